// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// The configuration object of a pipe. It keeps copies of everything, so that the program may free its structures.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"

#define NEED(argument)                                                          \
	do {                                                                    \
		if (!(argument))                                                \
			return refuse_argument(__func__, #argument, "is NULL"); \
	} while (0)

static void descs_release(struct actions_cfg *cfg)
{
	for (unsigned int i = 0; i < cfg->nr_descs; i++) {
		free((void *)cfg->descs[i].field_op.src.field_string);
		free((void *)cfg->descs[i].field_op.dst.field_string);
	}
	free(cfg->descs);
	cfg->descs = NULL;
	cfg->nr_descs = 0;
}

void actions_cfg_release(struct actions_cfg *cfg)
{
	descs_release(cfg);
}

static bool text_dup(const char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return !from || *to;
}

static doca_error_t actions_copy(struct actions_cfg *to, const struct doca_flow_actions *actions,
	const struct doca_flow_actions *mask, const struct doca_flow_action_descs *descs)
{
	memset(to, 0, sizeof(*to));
	if (actions) {
		to->actions = *actions;
		to->has_actions = true;
	}
	if (mask) {
		to->mask = *mask;
		to->has_mask = true;
	}
	if (!descs || !descs->nb_action_desc)
		return DOCA_SUCCESS;
	if (!descs->desc_array)
		return refuse_argument("doca_flow_pipe_cfg_set_actions", "desc_array", "is NULL");
	to->descs = calloc(descs->nb_action_desc, sizeof(*to->descs));
	if (!to->descs)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
	for (; to->nr_descs < descs->nb_action_desc; to->nr_descs++) {
		struct doca_flow_action_desc *copy = &to->descs[to->nr_descs];
		const struct doca_flow_action_desc *from = &descs->desc_array[to->nr_descs];

		*copy = *from;
		copy->field_op.src.field_string = copy->field_op.dst.field_string = NULL;
		// An automatic descriptor's other members mean nothing and may be uninitialised.
		if (from->type == DOCA_FLOW_ACTION_AUTO)
			continue;
		if (!text_dup(&copy->field_op.src.field_string, from->field_op.src.field_string) ||
			!text_dup(&copy->field_op.dst.field_string, from->field_op.dst.field_string)) {
			to->nr_descs++;
			descs_release(to);
			return refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
		}
	}
	return DOCA_SUCCESS;
}

static void actions_free(struct doca_flow_pipe_cfg *cfg)
{
	for (size_t i = 0; i < cfg->nr_actions; i++)
		actions_cfg_release(&cfg->actions[i]);
	free(cfg->actions);
	cfg->actions = NULL;
	cfg->nr_actions = 0;
}

static void lists_free(struct doca_flow_pipe_cfg *cfg)
{
	for (size_t i = 0; i < cfg->nr_lists; i++)
		for (unsigned int e = 0; e < cfg->lists[i].nr_elements; e++)
			actions_cfg_release(&cfg->lists[i].elements[e].actions);
	free(cfg->lists);
	cfg->lists = NULL;
	cfg->nr_lists = 0;
}

doca_error_t doca_flow_pipe_cfg_create(struct doca_flow_pipe_cfg **cfg, struct doca_flow_port *port)
{
	NEED(cfg);
	NEED(port);
	*cfg = calloc(1, sizeof(**cfg));
	if (!*cfg)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
	(*cfg)->port = port;
	(*cfg)->nr_entries = FLOW_DEFAULT_ENTRIES;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_destroy(struct doca_flow_pipe_cfg *cfg)
{
	NEED(cfg);
	actions_free(cfg);
	lists_free(cfg);
	free(cfg);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_match(struct doca_flow_pipe_cfg *cfg, const struct doca_flow_match *match,
	const struct doca_flow_match *match_mask)
{
	NEED(cfg);
	if (!match && !match_mask)
		return refuse_argument(__func__, "match", "match and match_mask are both NULL");
	memset(&cfg->match, 0, sizeof(cfg->match));
	if (match)
		cfg->match = *match;
	cfg->has_match = true;
	cfg->has_mask = match_mask;
	if (match_mask)
		cfg->mask = *match_mask;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_actions(struct doca_flow_pipe_cfg *cfg,
	struct doca_flow_actions *const *actions, struct doca_flow_actions *const *actions_masks,
	struct doca_flow_action_descs *const *action_descs, size_t nr_actions)
{
	doca_error_t result;

	NEED(cfg);
	if (!nr_actions)
		return refuse_argument(__func__, "nr_actions", "is 0");
	if (nr_actions > STEER_ACTION_TEMPLATE_MAX)
		return refuse(DOCA_ERROR_TOO_BIG, AT(.field = "nr_actions", .rule = "action-templates"),
			"%zu action templates, at most %d are possible", nr_actions,
			STEER_ACTION_TEMPLATE_MAX);
	// NVIDIA's text wants actions, its programs pass only descriptors.
	if (!actions && !action_descs)
		return refuse_argument(__func__, "actions", "actions and action_descs are both NULL");
	actions_free(cfg);
	cfg->actions = calloc(nr_actions, sizeof(*cfg->actions));
	if (!cfg->actions)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
	for (; cfg->nr_actions < nr_actions; cfg->nr_actions++) {
		size_t i = cfg->nr_actions;

		result = actions_copy(&cfg->actions[i], actions ? actions[i] : NULL,
			actions_masks ? actions_masks[i] : NULL, action_descs ? action_descs[i] : NULL);
		if (result != DOCA_SUCCESS) {
			actions_free(cfg);
			return result;
		}
	}
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_monitor(
	struct doca_flow_pipe_cfg *cfg, const struct doca_flow_monitor *monitor)
{
	NEED(cfg);
	NEED(monitor);
	cfg->monitor = *monitor;
	cfg->has_monitor = true;
	return DOCA_SUCCESS;
}

static doca_error_t element_copy(
	struct list_cfg *list, unsigned int i, const struct doca_flow_ordered_list_element *from)
{
	list->elements[i].type = from->type;
	switch (from->type) {
	case DOCA_FLOW_ORDERED_LIST_ELEMENT_ACTIONS:
		return actions_copy(
			&list->elements[i].actions, from->actions, from->actions_mask, from->action_descs);
	case DOCA_FLOW_ORDERED_LIST_ELEMENT_MONITOR:
		if (!from->monitor)
			break;
		list->elements[i].monitor = *from->monitor;
		return DOCA_SUCCESS;
	case DOCA_FLOW_ORDERED_LIST_ELEMENT_NAT64:
		if (!from->nat64)
			break;
		list->elements[i].nat64 = *from->nat64;
		return DOCA_SUCCESS;
	case DOCA_FLOW_ORDERED_LIST_ELEMENT_CRYPTO:
		return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "ordered_lists", .rule = "crypto"),
			"Ringfield has no IPsec and no PSP");
	}
	return refuse_argument("doca_flow_pipe_cfg_set_ordered_lists", "elements", "element %u is NULL", i);
}

doca_error_t doca_flow_pipe_cfg_set_ordered_lists(struct doca_flow_pipe_cfg *cfg,
	struct doca_flow_ordered_list *const *ordered_lists, size_t nr_ordered_lists)
{
	NEED(cfg);
	NEED(ordered_lists);
	if (!nr_ordered_lists || nr_ordered_lists > FLOW_LISTS_MAX)
		return refuse_argument(__func__, "nr_ordered_lists", "%zu is not in 1 .. %d",
			nr_ordered_lists, FLOW_LISTS_MAX);
	lists_free(cfg);
	cfg->lists = calloc(nr_ordered_lists, sizeof(*cfg->lists));
	if (!cfg->lists)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
	cfg->nr_lists = nr_ordered_lists;
	for (size_t i = 0; i < nr_ordered_lists; i++) {
		const struct doca_flow_ordered_list *from = ordered_lists[i];
		doca_error_t result = DOCA_SUCCESS;

		if (!from || !from->elements || !from->size || from->size > FLOW_LIST_ELEMENTS_MAX)
			result = refuse_argument(__func__, "ordered_lists",
				"list %zu has not 1 .. %d elements", i, FLOW_LIST_ELEMENTS_MAX);
		else if (from->idx != i)
			result = refuse(DOCA_ERROR_INVALID_VALUE,
				AT(.field = "ordered_lists", .rule = "list-index"),
				"the list at place %zu has index %u", i, from->idx);
		for (unsigned int e = 0; result == DOCA_SUCCESS && e < from->size; e++) {
			result = element_copy(&cfg->lists[i], e, &from->elements[e]);
			cfg->lists[i].nr_elements = e + 1;
		}
		if (result != DOCA_SUCCESS) {
			lists_free(cfg);
			return result;
		}
	}
	return DOCA_SUCCESS;
}

static doca_error_t set_text(char *to, const char *text, const char *function)
{
	if (!text)
		return refuse_argument(function, "text", "is NULL");
	if (strlen(text) >= STEER_NAME_MAX)
		return refuse_argument(function, "text", "longer than %d bytes", STEER_NAME_MAX - 1);
	memcpy(to, text, strlen(text) + 1);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_name(struct doca_flow_pipe_cfg *cfg, const char *name)
{
	NEED(cfg);
	return set_text(cfg->name, name, __func__);
}

doca_error_t doca_flow_pipe_cfg_set_label(struct doca_flow_pipe_cfg *cfg, const char *label)
{
	NEED(cfg);
	NEED(label);
	// Labels are for people, and those of published programs are longer than ours.
	snprintf(cfg->label, sizeof(cfg->label), "%s", label);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_type(struct doca_flow_pipe_cfg *cfg, enum doca_flow_pipe_type type)
{
	NEED(cfg);
	if ((unsigned int)type > DOCA_FLOW_PIPE_HASH)
		return refuse_argument(__func__, "type", "%u is no pipe type", (unsigned int)type);
	cfg->type = type;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_domain(struct doca_flow_pipe_cfg *cfg, enum doca_flow_pipe_domain domain)
{
	NEED(cfg);
	if ((unsigned int)domain > DOCA_FLOW_PIPE_DOMAIN_SECURE_EGRESS)
		return refuse_argument(__func__, "domain", "%u is no domain", (unsigned int)domain);
	if (cfg->has_domain)
		return refuse(DOCA_ERROR_ALREADY_EXIST,
			AT(.pipe = cfg->name, .field = "domain", .rule = "domain-once"),
			"the domain of a pipe can be set only once");
	cfg->domain = domain;
	cfg->has_domain = true;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_is_root(struct doca_flow_pipe_cfg *cfg, bool is_root)
{
	NEED(cfg);
	cfg->is_root = is_root;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_nr_entries(struct doca_flow_pipe_cfg *cfg, uint32_t nr_entries)
{
	NEED(cfg);
	if (!nr_entries || nr_entries > STEER_ENTRY_ID_MAX)
		return refuse_argument(
			__func__, "nr_entries", "%u is not in 1 .. %d", nr_entries, STEER_ENTRY_ID_MAX);
	cfg->nr_entries = nr_entries;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_is_resizable(struct doca_flow_pipe_cfg *cfg, bool is_resizable)
{
	NEED(cfg);
	cfg->is_resizable = is_resizable;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_excluded_queue(struct doca_flow_pipe_cfg *cfg, uint16_t pipe_queue)
{
	NEED(cfg);
	if (pipe_queue >= STEER_QUEUE_MAX)
		return refuse_argument(__func__, "pipe_queue", "%u is no queue", pipe_queue);
	cfg->excluded_queues |= 1u << pipe_queue;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_miss_counter(struct doca_flow_pipe_cfg *cfg, bool miss_counter)
{
	NEED(cfg);
	cfg->miss_counter = miss_counter;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_congestion_level_threshold(
	struct doca_flow_pipe_cfg *cfg, uint8_t congestion_level_threshold)
{
	NEED(cfg);
	if (!congestion_level_threshold || congestion_level_threshold > 100)
		return refuse_argument(__func__, "congestion_level_threshold",
			"%u is not in 1 .. 100 per cent", congestion_level_threshold);
	cfg->congestion_percent = congestion_level_threshold;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_user_ctx(struct doca_flow_pipe_cfg *cfg, void *user_ctx)
{
	NEED(cfg);
	cfg->user_ctx = user_ctx;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_hash_map_algorithm(
	struct doca_flow_pipe_cfg *cfg, uint32_t algorithm_flags)
{
	const uint32_t known =
		DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_HASH | DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_RANDOM |
		DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_IDENTITY | DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_ROUND_ROBIN |
		DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_FLOODING | DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_SELECT_ENABLED;

	NEED(cfg);
	if (algorithm_flags & ~known)
		return refuse_argument(
			__func__, "algorithm_flags", "unknown flags 0x%x", algorithm_flags & ~known);
	cfg->hash_algorithms = algorithm_flags;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ringfield_pipe_cfg_set_ct(
	struct doca_flow_pipe_cfg *cfg, const struct doca_flow_ringfield_ct *ct)
{
	NEED(cfg);
	NEED(ct);
	cfg->type = DOCA_FLOW_PIPE_CT;
	cfg->has_ct = true;
	cfg->ct = *ct;
	return DOCA_SUCCESS;
}
