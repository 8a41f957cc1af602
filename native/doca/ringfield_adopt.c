// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// doca_flow_ringfield.h: handles for what a durable session left in the fast path. A pipe's template is rebuilt from the
// spec it was created with.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "autonomous.h"
#include "entry.h"
#include "fwd.h"
#include "listing.h"
#include "pipe.h"
#include "reserve.h"
#include "rows.h"

// --- pipes

static const struct field_map *row_of(uint16_t field, enum field_layer *layer)
{
	for (int l = 0; l < FIELD_LAYERS; l++) {
		unsigned int nr;
		const struct field_map *rows = field_table(l, &nr);

		for (unsigned int i = 0; i < nr; i++)
			if (field_id(&rows[i], l) == field) {
				*layer = l;
				return &rows[i];
			}
	}
	return NULL;
}

static bool adopt_match(struct doca_flow_pipe *pipe, const struct steer_match_field *fields, unsigned int nr)
{
	unsigned int offset = 0;

	if (nr > STEER_MATCH_FIELD_MAX)
		return false;
	for (unsigned int i = 0; i < nr; i++) {
		struct match_field *to = &pipe->match.fields[i];

		to->map = row_of(fields[i].field, &to->layer);
		if (!to->map)
			return false;
		to->field = fields[i].field;
		to->kind = fields[i].kind;
		to->bytes = (uint8_t)field_bytes(to->field);
		memcpy(to->value, fields[i].value, sizeof(to->value));
		memcpy(to->mask, fields[i].mask, sizeof(to->mask));
		if (to->kind == STEER_MATCH_CONSTANT)
			continue;
		if (to->kind == STEER_MATCH_PREFIX)
			pipe->match.exact_bytes = (uint16_t)offset;
		to->offset = (uint16_t)offset;
		offset += to->kind == STEER_MATCH_CHANGEABLE ? to->bytes : 2u * to->bytes;
	}
	pipe->match.nr_fields = (uint16_t)nr;
	pipe->match.key_bytes = (uint16_t)offset;
	return true;
}

static bool adopt_arg(struct action_template *to, const struct steer_action *action)
{
	struct action_arg *arg = &to->args[to->nr_args++];

	arg->offset = action->arg_offset;
	switch (action->kind) {
	case STEER_ACT_SET:
	case STEER_ACT_ADD:
		arg->source = ARG_FIELD;
		arg->map = row_of(action->field, &arg->layer);
		arg->bytes = (uint16_t)field_bytes(action->field);
		if (action->kind == STEER_ACT_SET)
			memcpy(arg->mask, action->mask, sizeof(arg->mask));
		else
			field_full_mask(action->field, arg->mask);
		return arg->map != NULL;
	case STEER_ACT_ENCAP:
		arg->source = ARG_ENCAP;
		arg->bytes = action->data_length;
		return true;
	case STEER_ACT_DECAP:
		arg->source = ARG_DECAP_ETH;
		arg->bytes = action->data_length;
		return true;
	case STEER_ACT_PUSH_VLAN:
		arg->source = ARG_PUSH_VLAN;
		arg->bytes = 4;
		memcpy(arg->mask, action->value, 2);
		return true;
	case STEER_ACT_SHARED_ENCAP:
	case STEER_ACT_SHARED_DECAP:
		arg->source = action->kind == STEER_ACT_SHARED_ENCAP ? ARG_SHARED_ENCAP : ARG_SHARED_DECAP;
		arg->bytes = 4;
		return true;
	default:
		return false;
	}
}

static bool adopt_templates(
	struct doca_flow_pipe *pipe, const uint8_t *at, const uint8_t *end, unsigned int nr)
{
	if (nr > STEER_ACTION_TEMPLATE_MAX)
		return false;
	pipe->templates = calloc(nr ? nr : 1, sizeof(*pipe->templates));
	if (!pipe->templates)
		return false;
	for (; pipe->nr_templates < nr; pipe->nr_templates++) {
		const struct steer_template *head = (const void *)at;
		struct action_template *to = &pipe->templates[pipe->nr_templates];
		const struct steer_action *actions = (const void *)(head + 1);

		if ((size_t)(end - at) < sizeof(*head) || head->nr_actions > STEER_ACTION_MAX ||
			(size_t)(end - at) - sizeof(*head) < head->nr_actions * sizeof(*actions))
			return false;
		to->nr_actions = head->nr_actions;
		to->args_bytes = head->args_bytes;
		memcpy(to->actions, actions, head->nr_actions * sizeof(*actions));
		for (unsigned int i = 0; i < head->nr_actions; i++)
			if (actions[i].flags & STEER_ACT_CHANGEABLE && !adopt_arg(to, &actions[i]))
				return false;
		at = (const uint8_t *)(actions + head->nr_actions);
	}
	if (!nr)
		pipe->nr_templates = 1;
	return true;
}

// The configuration of an autonomous CT pipe is all its data, at the end.
static bool adopt_ct(struct doca_flow_pipe *pipe, const struct steer_pipe_spec *spec)
{
	struct steer_ct_cfg ct;

	if (pipe->type != DOCA_FLOW_PIPE_CT || spec->data_bytes < sizeof(ct))
		return true;
	if (spec->data_bytes > spec->bytes - sizeof(*spec))
		return false;
	memcpy(&ct, (const uint8_t *)spec + spec->bytes - ((spec->data_bytes + 7) & ~7u), sizeof(ct));
	pipe->has_ct = ct.flags & STEER_CT_AUTONOMOUS;
	if (pipe->has_ct)
		ct_from_wire(&pipe->ct, &ct);
	return true;
}

static const uint8_t types[STEER_PIPE_TYPE_MAX] = {
	[STEER_PIPE_BASIC] = DOCA_FLOW_PIPE_BASIC,
	[STEER_PIPE_CONTROL] = DOCA_FLOW_PIPE_CONTROL,
	[STEER_PIPE_LPM] = DOCA_FLOW_PIPE_LPM,
	[STEER_PIPE_ACL] = DOCA_FLOW_PIPE_ACL,
	[STEER_PIPE_ORDERED_LIST] = DOCA_FLOW_PIPE_ORDERED_LIST,
	[STEER_PIPE_HASH] = DOCA_FLOW_PIPE_HASH,
	[STEER_PIPE_CT] = DOCA_FLOW_PIPE_CT,
};

static struct doca_flow_pipe *rebuild(
	struct doca_flow_port *port, const struct steer_pipe_info *info, const struct steer_pipe_spec *spec)
{
	const uint8_t *fields = (const uint8_t *)(spec + 1), *end = (const uint8_t *)spec + spec->bytes;
	struct doca_flow_pipe *pipe = calloc(1, sizeof(*pipe));

	if (!pipe)
		return NULL;
	pipe->port = port;
	pipe->number = info->pipe;
	memcpy(pipe->name, spec->name, sizeof(pipe->name) - 1);
	memcpy(pipe->label, spec->label, sizeof(pipe->label) - 1);
	pipe->type = types[spec->type];
	pipe->domain = spec->domain == STEER_DOMAIN_EGRESS ? DOCA_FLOW_PIPE_DOMAIN_EGRESS
							   : DOCA_FLOW_PIPE_DOMAIN_DEFAULT;
	pipe->is_root = spec->flags & STEER_PIPE_ROOT;
	pipe->is_resizable = spec->flags & STEER_PIPE_RESIZABLE;
	pipe->has_miss_counter = spec->flags & STEER_PIPE_MISS_COUNTER;
	pipe->miss_counter = info->miss_counter;
	pipe->nr_entries = info->nr_entries;
	pipe->congestion_percent = spec->congestion_percent;
	pipe->algorithm = spec->algorithm;
	pipe->wire_monitor = spec->monitor;
	pipe->fwd = spec->fwd;
	pipe->fwd_open = spec->fwd.type == STEER_FWD_CHANGEABLE ? FWD_OPEN_ANY : FWD_FIXED;
	pipe->fwd_miss = spec->fwd_miss;
	if ((size_t)(end - fields) < spec->nr_match * sizeof(struct steer_match_field) ||
		!adopt_match(pipe, (const struct steer_match_field *)fields, spec->nr_match) ||
		!adopt_templates(pipe, fields + spec->nr_match * sizeof(struct steer_match_field), end,
			spec->nr_templates) ||
		!adopt_ct(pipe, spec)) {
		pipe_free(pipe);
		return NULL;
	}
	return pipe;
}

static doca_error_t adopt_one(struct doca_flow_port *port, const struct steer_pipe_info *info, uint8_t *page)
{
	const struct steer_pipe_spec *spec = (const void *)page;
	struct steer_pipe_ref ref = {.pipe = info->pipe};
	struct doca_flow_pipe *pipe;
	uint32_t length = 0;
	int status = steering_call(
		flow.client, STEER_OP_PIPE_GET, &ref, sizeof(ref), page, STEER_MSG_MAX, &length);

	if (status < 0)
		return refuse_steering(status, AT(.pipe = info->name), "reading a pipe");
	if (length < sizeof(*spec) || spec->bytes > length || spec->type >= STEER_PIPE_TYPE_MAX)
		return refuse(DOCA_ERROR_DRIVER, AT(.pipe = info->name, .rule = "adopt"),
			"the fast path's answer is cut off");
	pipe = rebuild(port, info, spec);
	if (!pipe)
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = info->name, .rule = "adopt"),
			"the pipe's template cannot be rebuilt");
	if (pipe->has_miss_counter)
		(void)reserve_counter_take(port);
	TAILQ_INSERT_TAIL(&port->pipes, pipe, link);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ringfield_adopt_pipes(
	struct doca_flow_port *port, struct doca_flow_pipe **pipes, uint32_t max, uint32_t *nr)
{
	struct steer_pipe_info *infos = NULL;
	struct doca_flow_pipe *pipe;
	doca_error_t result = flow_check_state(__func__);
	uint8_t *page;
	unsigned int nr_infos = 0;

	if (result != DOCA_SUCCESS)
		return result;
	if (!port || !nr || (max && !pipes))
		return refuse_argument(__func__, "port", "an argument is NULL");
	page = malloc(STEER_MSG_MAX);
	if (!page)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
	flow_lock();
	if (port->adopted || !TAILQ_EMPTY(&port->pipes))
		result = refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "adopt"),
			"port %u has pipes of this process already: adoption comes first, and once",
			port->id);
	else
		result = list_pipes(steering_session(flow.client)->session, port->index, &infos, &nr_infos);
	for (unsigned int i = 0; i < nr_infos && result == DOCA_SUCCESS; i++)
		result = adopt_one(port, &infos[i], page);
	if (result == DOCA_SUCCESS) {
		port->adopted = true;
		*nr = 0;
		TAILQ_FOREACH (pipe, &port->pipes, link) {
			if (*nr < max)
				pipes[*nr] = pipe;
			(*nr)++;
		}
	} else if (!port->adopted) {
		while ((pipe = TAILQ_FIRST(&port->pipes)) && nr_infos) {
			TAILQ_REMOVE(&port->pipes, pipe, link);
			pipe_free(pipe);
		}
	}
	flow_unlock();
	free(infos);
	free(page);
	return result;
}

// --- entries

struct visitor {
	struct doca_flow_ringfield_adopt *adopt;
	uint32_t key_bytes;
	bool look; // no handles are made
	doca_error_t result;
};

static void give_info(struct doca_flow_ringfield_entry *to, const struct doca_flow_pipe_entry *entry)
{
	if (doca_flow_ringfield_entry_info(entry, to) != DOCA_SUCCESS)
		memset(to, 0, sizeof(*to));
}

static void look_info(struct doca_flow_ringfield_entry *to, const struct steer_entry_info *info,
	const struct steer_entry_add *record)
{
	*to = (struct doca_flow_ringfield_entry){.number = info->entry,
		.priority = record->priority,
		.index = record->index,
		.action_idx = record->action_idx,
		.tag = record->tag,
		.counted = info->counter != STEER_COUNTER_NONE};
}

// The forward that an entry brought along: it lies behind key, arguments and monitor.
static void give_fwd(struct doca_flow_ringfield_entry *to, const struct steer_entry_add *record, size_t room)
{
	const uint8_t *at = (const uint8_t *)(record + 1);
	size_t before = ((record->key_bytes + 7u) & ~7u) + ((record->args_bytes + 7u) & ~7u) +
			(record->flags & STEER_ENTRY_MONITOR ? sizeof(struct steer_monitor) : 0);

	if (record->flags & STEER_ENTRY_FWD && before + sizeof(struct steer_fwd) <= room)
		fwd_text((const struct steer_fwd *)(at + before), to->fwd, sizeof(to->fwd));
}

static bool visit(const struct steer_entry_info *info, const struct steer_entry_add *record, void *context)
{
	struct visitor *visitor = context;
	struct doca_flow_ringfield_adopt *adopt = visitor->adopt;
	uint32_t row = adopt->nr_entries;
	const uint8_t *key = (const uint8_t *)(record + 1), *args = key + ((record->key_bytes + 7u) & ~7u);
	size_t room = info->bytes - sizeof(*info) - sizeof(*record);
	struct doca_flow_pipe_entry *entry = NULL;

	if (row >= adopt->max)
		return false;
	if (((record->key_bytes + 7u) & ~7u) + (size_t)record->args_bytes > room) {
		visitor->result = refuse(DOCA_ERROR_DRIVER, AT(.pipe = adopt->pipe->name, .rule = "adopt"),
			"the fast path's answer is cut off");
		return false;
	}
	if (!visitor->look)
		visitor->result = entry_adopt(
			adopt->pipe, adopt->pipe_queue, info->entry, info->counter, record, &entry);
	if (visitor->result != DOCA_SUCCESS)
		return false;
	if (adopt->entries)
		adopt->entries[row] = entry;
	if (adopt->infos) {
		if (entry)
			give_info(&adopt->infos[row], entry);
		else
			look_info(&adopt->infos[row], info, record);
		give_fwd(&adopt->infos[row], record, room);
	}
	if (record->key_bytes == adopt->pipe->match.key_bytes && visitor->key_bytes)
		rows_from_key(adopt->pipe, key,
			adopt->keys ? adopt->keys + (size_t)row * visitor->key_bytes : NULL,
			adopt->masks ? adopt->masks + (size_t)row * visitor->key_bytes : NULL);
	if (adopt->args && adopt->args_bytes) {
		uint8_t *to = adopt->args + (size_t)row * adopt->args_bytes;

		memset(to, 0, adopt->args_bytes);
		memcpy(to, args,
			record->args_bytes < adopt->args_bytes ? record->args_bytes : adopt->args_bytes);
	}
	if (visitor->look)
		adopt->after = info->entry;
	else
		adopt->pipe->adopt_after = info->entry;
	adopt->nr_entries++;
	return adopt->nr_entries < adopt->max;
}

doca_error_t doca_flow_ringfield_adopt_entries(struct doca_flow_ringfield_adopt *adopt)
{
	struct visitor visitor = {.adopt = adopt};
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (!adopt || !adopt->pipe || !adopt->max)
		return refuse_argument(__func__, "adopt", "it or its pipe is NULL, or max is 0");
	if (adopt->pipe_queue >= flow.cfg.pipe_queues)
		return refuse_argument(__func__, "pipe_queue", "there are %u queues", flow.cfg.pipe_queues);
	if (!adopt->pipe->port->adopted)
		return refuse(DOCA_ERROR_BAD_STATE, AT(.pipe = adopt->pipe->name, .rule = "adopt"),
			"the pipe was not adopted, its entries are known");
	adopt->nr_entries = 0;
	visitor.key_bytes = rows_key_bytes(adopt->pipe);
	flow_lock();
	if (!adopt->pipe->adopting) {
		adopt->pipe->adopting = true;
		adopt->pipe->adopt_after = STEER_ENTRY_NONE;
	}
	result = list_entries(adopt->pipe->number, adopt->pipe->adopt_after, adopt->max, visit, &visitor);
	flow_unlock();
	return result == DOCA_SUCCESS ? visitor.result : result;
}

doca_error_t doca_flow_ringfield_look_entries(struct doca_flow_ringfield_adopt *look)
{
	struct visitor visitor = {.adopt = look, .look = true};
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (!look || !look->pipe || !look->max || look->entries)
		return refuse_argument(
			__func__, "look", "it or its pipe is NULL, max is 0, or handles are asked for");
	look->nr_entries = 0;
	flow_lock();
	visitor.key_bytes = rows_key_bytes(look->pipe);
	result = list_entries(look->pipe->number, look->after, look->max, visit, &visitor);
	flow_unlock();
	return result == DOCA_SUCCESS ? visitor.result : result;
}
