// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "ct.h"
#include "autonomous.h"
#include "entry.h"
#include "fwd.h"
#include "match.h"
#include "monitor.h"
#include "pipe.h"
#include "pipe_create.h"

static uint8_t hash_algorithm(uint32_t flags)
{
	if (flags & DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_HASH)
		return STEER_HASH_HASH;
	if (flags & DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_FLOODING)
		return STEER_HASH_FLOODING;
	if (flags & DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_RANDOM)
		return STEER_HASH_RANDOM;
	if (flags & DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_IDENTITY)
		return STEER_HASH_IDENTITY;
	if (flags & DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_ROUND_ROBIN)
		return STEER_HASH_ROUND_ROBIN;
	return STEER_HASH_HASH;
}

static doca_error_t compile_actions(struct doca_flow_pipe *pipe, const struct doca_flow_pipe_cfg *cfg)
{
	static const struct actions_cfg none;
	size_t nr = cfg->nr_actions ? cfg->nr_actions : 1;

	pipe->templates = calloc(nr, sizeof(*pipe->templates));
	if (!pipe->templates)
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = pipe->name), "out of memory");
	for (size_t i = 0; i < nr; i++) {
		doca_error_t result = actions_compile(
			&pipe->templates[i], pipe->name, cfg->nr_actions ? &cfg->actions[i] : &none, false);

		if (result != DOCA_SUCCESS)
			return result;
		pipe->nr_templates++;
	}
	return DOCA_SUCCESS;
}

static doca_error_t compile_list(
	struct doca_flow_pipe *pipe, const struct list_cfg *from, struct list_template *to)
{
	for (; to->nr_elements < from->nr_elements; to->nr_elements++) {
		unsigned int i = to->nr_elements;
		struct actions_cfg nat64 = {.has_actions = true};
		const struct actions_cfg *actions = &from->elements[i].actions;
		doca_error_t result;

		to->elements[i].type = from->elements[i].type;
		if (from->elements[i].type == DOCA_FLOW_ORDERED_LIST_ELEMENT_MONITOR) {
			to->elements[i].monitor = from->elements[i].monitor;
			continue;
		}
		if (from->elements[i].type == DOCA_FLOW_ORDERED_LIST_ELEMENT_NAT64) {
			nat64.actions.nat64 = from->elements[i].nat64;
			actions = &nat64;
		}
		to->elements[i].actions = malloc(sizeof(*to->elements[i].actions));
		if (!to->elements[i].actions)
			return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = pipe->name), "out of memory");
		result = actions_compile(to->elements[i].actions, pipe->name, actions, false);
		if (result != DOCA_SUCCESS) {
			free(to->elements[i].actions);
			to->elements[i].actions = NULL;
			return result;
		}
	}
	return DOCA_SUCCESS;
}

static doca_error_t compile_lists(struct doca_flow_pipe *pipe, const struct doca_flow_pipe_cfg *cfg)
{
	if (!cfg->nr_lists)
		return DOCA_SUCCESS;
	pipe->lists = calloc(cfg->nr_lists, sizeof(*pipe->lists));
	if (!pipe->lists)
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = pipe->name), "out of memory");
	for (; pipe->nr_lists < cfg->nr_lists; pipe->nr_lists++) {
		doca_error_t result =
			compile_list(pipe, &cfg->lists[pipe->nr_lists], &pipe->lists[pipe->nr_lists]);

		if (result != DOCA_SUCCESS) {
			pipe->nr_lists++;
			return result;
		}
	}
	return DOCA_SUCCESS;
}

static doca_error_t compile_fwd(struct doca_flow_pipe *pipe, const struct doca_flow_pipe_cfg *cfg,
	const struct doca_flow_fwd *fwd, const struct doca_flow_fwd *fwd_miss)
{
	struct fwd_at at = {.port = cfg->port,
		.pipe = pipe->name,
		.role = "fwd",
		.egress = pipe->domain == DOCA_FLOW_PIPE_DOMAIN_EGRESS};
	doca_error_t result = DOCA_SUCCESS;

	if (fwd)
		result = fwd_to_wire(&at, fwd, &pipe->fwd, &pipe->fwd_open);
	if (result != DOCA_SUCCESS)
		return result;
	for (unsigned int i = 0; pipe->fwd_open == FWD_OPEN_ANY && i < pipe->nr_templates; i++)
		if (actions_shared_changeable(&pipe->templates[i]))
			return refuse(DOCA_ERROR_INVALID_VALUE,
				AT(.pipe = pipe->name, .field = "fwd", .rule = "changeable-shared-and-fwd"),
				"a changeable shared encap or decap and a changeable fwd need two pipes");
	at.role = "fwd_miss";
	result = fwd_miss_to_wire(&at, fwd_miss, &pipe->fwd_miss);
	if (result == DOCA_SUCCESS && pipe->has_ct &&
		(pipe->fwd.type != STEER_FWD_PIPE || pipe->fwd_open != FWD_FIXED ||
			pipe->fwd_miss.type != STEER_FWD_PIPE))
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "fwd", .rule = "ct-fwd"),
			"CT pipe: fwd is the pipe for what is allowed, fwd_miss the first one of the policy");
	return result;
}

static doca_error_t compile_match(struct doca_flow_pipe *pipe, const struct doca_flow_pipe_cfg *cfg)
{
	doca_error_t result;

	if (!cfg->has_match || cfg->type == DOCA_FLOW_PIPE_CONTROL)
		return DOCA_SUCCESS;
	result = match_compile(
		&pipe->match, pipe->name, cfg->type, &cfg->match, cfg->has_mask ? &cfg->mask : NULL);
	// What a hash pipe hashes are all the fields of its mask, constants would make no sense.
	for (unsigned int i = 0; cfg->type == DOCA_FLOW_PIPE_HASH && i < pipe->match.nr_fields; i++)
		pipe->match.fields[i].kind = STEER_MATCH_CHANGEABLE;
	return result;
}

doca_error_t pipe_compile(const struct doca_flow_pipe_cfg *cfg, const struct doca_flow_fwd *fwd,
	const struct doca_flow_fwd *fwd_miss, struct doca_flow_pipe **out)
{
	struct doca_flow_pipe *pipe = calloc(1, sizeof(*pipe));
	doca_error_t result;

	if (!pipe)
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = cfg->name), "out of memory");
	pipe->port = cfg->port;
	memcpy(pipe->name, cfg->name, sizeof(pipe->name));
	memcpy(pipe->label, cfg->label, sizeof(pipe->label));
	pipe->type = cfg->type;
	pipe->domain = cfg->domain;
	pipe->is_root = cfg->is_root;
	pipe->is_resizable = cfg->is_resizable;
	pipe->has_miss_counter = cfg->miss_counter;
	pipe->miss_counter = STEER_COUNTER_NONE;
	pipe->nr_entries = cfg->nr_entries;
	pipe->congestion_percent = cfg->congestion_percent;
	pipe->excluded_queues = cfg->excluded_queues;
	pipe->algorithm = hash_algorithm(cfg->hash_algorithms);
	pipe->user_ctx = cfg->user_ctx;
	pipe->monitor = cfg->monitor;
	if (cfg->has_ct) {
		pipe->has_ct = true;
		pipe->ct = cfg->ct;
		ct_defaults(&pipe->ct);
		pipe->nr_entries = cfg->ct.capacity;
	}
	result = compile_match(pipe, cfg);
	if (result == DOCA_SUCCESS)
		result = compile_actions(pipe, cfg);
	if (result == DOCA_SUCCESS)
		result = compile_lists(pipe, cfg);
	if (result == DOCA_SUCCESS)
		result = compile_fwd(pipe, cfg, fwd, fwd_miss);
	if (result == DOCA_SUCCESS)
		result = monitor_compile(pipe->name, pipe->type, &pipe->monitor, &pipe->wire_monitor);
	if (result == DOCA_SUCCESS && pipe->type == DOCA_FLOW_PIPE_CT && !pipe->has_ct)
		result = ct_pipe_compile(pipe, cfg->nr_actions);
	if (result != DOCA_SUCCESS) {
		pipe_free(pipe);
		return result;
	}
	*out = pipe;
	return DOCA_SUCCESS;
}

// --- the fast path's form

static const uint8_t wire_types[] = {
	[DOCA_FLOW_PIPE_BASIC] = STEER_PIPE_BASIC,
	[DOCA_FLOW_PIPE_CONTROL] = STEER_PIPE_CONTROL,
	[DOCA_FLOW_PIPE_LPM] = STEER_PIPE_LPM,
	[DOCA_FLOW_PIPE_CT] = STEER_PIPE_CT,
	[DOCA_FLOW_PIPE_ACL] = STEER_PIPE_ACL,
	[DOCA_FLOW_PIPE_ORDERED_LIST] = STEER_PIPE_ORDERED_LIST,
	[DOCA_FLOW_PIPE_HASH] = STEER_PIPE_HASH,
};

// Data of all templates is one area; an action's offset is into that.
static uint32_t data_bytes(const struct doca_flow_pipe *pipe)
{
	uint32_t bytes = 0;

	for (unsigned int i = 0; i < pipe->nr_templates; i++)
		bytes += pipe->templates[i].data_bytes;
	return bytes;
}

static uint8_t *put_template(
	const struct action_template *from, uint8_t *to, uint8_t *data, uint32_t *data_used)
{
	struct steer_template *head = (struct steer_template *)to;
	struct steer_action *actions = (struct steer_action *)(head + 1);

	head->nr_actions = from->nr_actions;
	head->args_bytes = from->args_bytes;
	memcpy(actions, from->actions, from->nr_actions * sizeof(*actions));
	for (unsigned int i = 0; i < from->nr_actions; i++)
		if (actions[i].data_length && !(actions[i].flags & STEER_ACT_CHANGEABLE))
			actions[i].data_offset = (uint16_t)(actions[i].data_offset + *data_used);
	memcpy(data + *data_used, from->data, from->data_bytes);
	*data_used += from->data_bytes;
	return (uint8_t *)(actions + from->nr_actions);
}

struct steer_pipe_spec *pipe_spec_build(const struct doca_flow_pipe *pipe)
{
	// An ordered list's actions come with its entries.
	unsigned int nr_templates = pipe->type == DOCA_FLOW_PIPE_CONTROL || pipe->nr_lists || pipe->has_ct
					    ? 0
					    : pipe->nr_templates;
	uint32_t data = pipe->has_ct   ? sizeof(struct steer_ct_cfg)
			: pipe->conns  ? sizeof(struct ct_data)
			: nr_templates ? data_bytes(pipe)
				       : 0,
		 used = 0;
	size_t bytes =
		sizeof(struct steer_pipe_spec) + pipe->match.nr_fields * sizeof(struct steer_match_field);
	struct steer_pipe_spec *spec;
	uint8_t *to;

	for (unsigned int i = 0; i < nr_templates; i++)
		bytes += sizeof(struct steer_template) +
			 pipe->templates[i].nr_actions * sizeof(struct steer_action);
	bytes += (data + 7) & ~7u;
	spec = calloc(1, bytes);
	if (!spec)
		return NULL;
	spec->bytes = (uint32_t)bytes;
	spec->port = pipe->port->index;
	spec->type = wire_types[pipe->type];
	spec->domain =
		pipe->domain == DOCA_FLOW_PIPE_DOMAIN_EGRESS ? STEER_DOMAIN_EGRESS : STEER_DOMAIN_DEFAULT;
	spec->flags =
		(pipe->is_root ? STEER_PIPE_ROOT : 0u) | (pipe->is_resizable ? STEER_PIPE_RESIZABLE : 0u) |
		(pipe->has_miss_counter ? STEER_PIPE_MISS_COUNTER : 0u) |
		(pipe->type == DOCA_FLOW_PIPE_LPM && pipe->match.nr_fields > 1 ? STEER_PIPE_LPM_EXACT : 0u);
	spec->nr_entries = pipe->nr_entries;
	spec->nr_match = pipe->match.nr_fields;
	spec->nr_templates = (uint16_t)nr_templates;
	spec->data_bytes = data;
	spec->key_bytes = pipe->type == DOCA_FLOW_PIPE_HASH ? 0
			  : pipe->conns                     ? (uint32_t)sizeof(struct steer_ct_key)
							    : pipe->match.key_bytes;
	spec->algorithm = pipe->type == DOCA_FLOW_PIPE_HASH ? (uint8_t)pipe->algorithm : 0;
	spec->congestion_percent = pipe->congestion_percent;
	memcpy(spec->name, pipe->name, sizeof(spec->name));
	memcpy(spec->label, pipe->label, sizeof(spec->label));
	spec->fwd = pipe->fwd;
	if (pipe->fwd_open != FWD_FIXED) {
		memset(&spec->fwd, 0, sizeof(spec->fwd));
		spec->fwd.type = STEER_FWD_CHANGEABLE;
	}
	spec->fwd_miss = pipe->fwd_miss;
	spec->monitor = pipe->wire_monitor;
	match_to_wire(&pipe->match, (struct steer_match_field *)(spec + 1));
	to = (uint8_t *)(spec + 1) + pipe->match.nr_fields * sizeof(struct steer_match_field);
	if (pipe->conns)
		ct_pipe_data(pipe, (struct ct_data *)((uint8_t *)spec + bytes - sizeof(struct ct_data)));
	if (pipe->has_ct)
		ct_to_wire(&pipe->ct, (struct steer_ct_cfg *)to);
	for (unsigned int i = 0; i < nr_templates; i++)
		to = put_template(
			&pipe->templates[i], to, (uint8_t *)spec + bytes - ((data + 7) & ~7u), &used);
	return spec;
}
