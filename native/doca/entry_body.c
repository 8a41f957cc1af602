// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Entries that bring everything with them: of control pipes, and of ordered lists.

#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "entry.h"
#include "fwd.h"
#include "match.h"
#include "monitor.h"

// A steer_entry_body and what follows it. All parts are multiples of 8 bytes.
struct body {
	union {
		struct steer_entry_body head;
		uint8_t bytes[STEER_RECORD_MAX / 2];
	};
	uint32_t used;
};

static void *body_put(struct body *body, const void *from, size_t bytes)
{
	void *to = body->bytes + body->used;

	if (body->used + bytes > sizeof(body->bytes))
		return NULL;
	if (from)
		memcpy(to, from, bytes);
	else
		memset(to, 0, bytes);
	body->used += (uint32_t)bytes;
	return to;
}

static doca_error_t body_full(const struct doca_flow_pipe *pipe)
{
	return refuse(DOCA_ERROR_TOO_BIG, AT(.pipe = pipe->name, .rule = "entry-size"),
		"the entry's match and actions are longer than %d bytes", STEER_RECORD_MAX / 2);
}

static doca_error_t body_data(
	struct body *body, const struct doca_flow_pipe *pipe, const uint8_t *data, uint32_t bytes)
{
	uint8_t *to;

	body->head.data_bytes = (uint16_t)bytes;
	if (!bytes)
		return DOCA_SUCCESS;
	to = body_put(body, NULL, (bytes + 7) & ~7u);
	if (!to)
		return body_full(pipe);
	memcpy(to, data, bytes);
	return DOCA_SUCCESS;
}

// --- control

// Takes the member of a wire field out of a match.
static void forget_field(struct doca_flow_match *match, uint16_t field)
{
	struct field_gate gates[FIELD_LAYERS];
	struct field_view view;

	field_view_match(&view, match);
	field_gates(gates, &view);
	for (int layer = 0; layer < FIELD_LAYERS; layer++) {
		unsigned int nr;
		const struct field_map *rows = field_table(layer, &nr);

		for (unsigned int i = 0; i < nr; i++)
			if (field_id(&rows[i], layer) == field && field_selected(&rows[i], &gates[layer]))
				memset((uint8_t *)match + (view.base[layer] - (const uint8_t *)match) +
						rows[i].offset,
					0, rows[i].size);
	}
}

static doca_error_t put_match(struct body *body, const struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, const struct doca_flow_match *mask, uint16_t not_this)
{
	struct match_template template;
	struct steer_match_field *fields;
	struct doca_flow_match rest;
	struct field_view view;
	doca_error_t result;

	if (!match)
		return DOCA_SUCCESS;
	// The value that a condition compares with is not matched as well; metadata there needs no mask.
	if (not_this != STEER_F_NONE) {
		rest = *match;
		forget_field(&rest, not_this);
		match = &rest;
	}
	result = match_compile(&template, pipe->name, DOCA_FLOW_PIPE_CONTROL, match, mask);
	if (result != DOCA_SUCCESS)
		return result;
	// Nothing comes from an entry here: what a template would leave open is the value itself.
	field_view_match(&view, match);
	for (unsigned int i = 0; i < template.nr_fields; i++) {
		struct match_field *field = &template.fields[i];

		if (field->kind == STEER_MATCH_CHANGEABLE) {
			field_read(field->map, field->field, view.base[field->layer], field->value);
			for (unsigned int b = 0; b < field->bytes; b++)
				field->value[b] &= field->mask[b];
			field->kind = STEER_MATCH_CONSTANT;
		}
		// The value that a condition compares with is not matched as well.
		if (field->field == not_this) {
			memmove(field, field + 1, (template.nr_fields - i - 1u) * sizeof(*field));
			template.nr_fields--;
			i--;
		}
	}
	fields = body_put(body, NULL, template.nr_fields * sizeof(*fields));
	if (!fields)
		return body_full(pipe);
	match_to_wire(&template, fields);
	body->head.nr_match = template.nr_fields;
	return DOCA_SUCCESS;
}

static uint64_t number_of(const uint8_t *value, unsigned int bytes)
{
	uint64_t number = 0;

	for (unsigned int i = 0; i < bytes; i++)
		number = number << 8 | value[i];
	return number;
}

static doca_error_t condition_field(const struct doca_flow_pipe *pipe,
	const struct doca_flow_desc_field *desc, uint32_t width, uint16_t *field, uint8_t *bit)
{
	uint32_t at;

	*field = field_by_string(desc->field_string, desc->bit_offset, &at);
	if (!*field || at + width > field_bits(*field) || !width || width > 64)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = desc->field_string, .rule = "condition-field"),
			"condition: no such field, or bits %u to %u are not in it (at most 64)",
			desc->bit_offset, desc->bit_offset + width - 1);
	*bit = (uint8_t)at;
	return DOCA_SUCCESS;
}

static doca_error_t compile_condition(struct steer_condition *out, const struct doca_flow_pipe *pipe,
	const struct doca_flow_match_condition *condition, const struct doca_flow_match *match)
{
	uint8_t value[STEER_FIELD_BYTES_MAX] = {0};
	uint32_t width = condition->field_op.width;
	doca_error_t result;

	memset(out, 0, sizeof(*out));
	if ((unsigned int)condition->operation > DOCA_FLOW_COMPARE_GE)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "condition", .rule = "condition-operation"),
			"%u is no comparison", (unsigned int)condition->operation);
	if (!condition->field_op.a.field_string)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "condition", .rule = "condition-field"),
			"condition: field a is NULL");
	out->op = (uint8_t)(condition->operation + STEER_COND_EQ);
	out->width = (uint8_t)width;
	result = condition_field(pipe, &condition->field_op.a, width, &out->field_a, &out->a_bit);
	if (result != DOCA_SUCCESS)
		return result;
	if (condition->field_op.b.field_string)
		return condition_field(pipe, &condition->field_op.b, width, &out->field_b, &out->b_bit);
	if (!match || !match_value_of(match, out->field_a, value))
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = condition->field_op.a.field_string,
				.rule = "condition-value"),
			"condition: the match gives no value to compare this field with");
	out->immediate = number_of(value, field_bytes(out->field_a)) >> out->a_bit;
	if (width < 64)
		out->immediate &= (1ull << width) - 1;
	return DOCA_SUCCESS;
}

static doca_error_t put_condition(
	struct body *body, const struct doca_flow_pipe *pipe, const struct steer_condition *condition)
{
	if (!condition->op)
		return DOCA_SUCCESS;
	if (!body_put(body, condition, sizeof(*condition)))
		return body_full(pipe);
	body->head.nr_conditions = 1;
	return DOCA_SUCCESS;
}

static doca_error_t put_actions(struct body *body, const struct doca_flow_pipe *pipe,
	const struct doca_flow_actions *actions, const struct doca_flow_actions *mask,
	const struct doca_flow_action_descs *descs)
{
	struct actions_cfg cfg = {0};
	struct action_template *template;
	doca_error_t result;

	if (!actions && !descs)
		return DOCA_SUCCESS;
	if (actions) {
		cfg.actions = *actions;
		cfg.has_actions = true;
	}
	if (mask) {
		cfg.mask = *mask;
		cfg.has_mask = true;
	}
	if (descs && descs->nb_action_desc) {
		cfg.nr_descs = descs->nb_action_desc;
		cfg.descs = descs->desc_array;
	}
	template = malloc(sizeof(*template));
	if (!template)
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = pipe->name), "out of memory");
	result = actions_compile(template, pipe->name, &cfg, true);
	if (result == DOCA_SUCCESS) {
		if (!body_put(body, template->actions, template->nr_actions * sizeof(template->actions[0])))
			result = body_full(pipe);
		body->head.nr_actions = template->nr_actions;
		if (result == DOCA_SUCCESS)
			result = body_data(body, pipe, template->data, template->data_bytes);
		actions_release(template);
	}
	free(template);
	return result;
}

doca_error_t doca_flow_pipe_control_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, const struct doca_flow_match *match_mask,
	const struct doca_flow_match_condition *condition, const struct doca_flow_actions *actions,
	const struct doca_flow_actions *actions_mask, const struct doca_flow_action_descs *action_descs,
	const struct doca_flow_monitor *monitor, uint32_t priority, const struct doca_flow_fwd *fwd,
	void *usr_ctx, struct doca_flow_pipe_entry **entry)
{
	struct entry_request request = {.pipe = pipe,
		.queue = pipe_queue,
		.op = STEER_REC_ENTRY_ADD,
		.flags = DOCA_FLOW_ENTRY_FLAGS_NO_WAIT,
		.priority = priority,
		.user_ctx = usr_ctx,
		.tag = entry_next_tag()};
	struct steer_condition compiled = {0};
	struct body body = {.used = sizeof(body.head)};
	doca_error_t result = entry_check(
		__func__, pipe_queue, pipe, DOCA_FLOW_PIPE_CONTROL, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT);

	memset(&body.head, 0, sizeof(body.head));
	if (result == DOCA_SUCCESS && priority >= FLOW_CONTROL_PRIORITIES)
		result = refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "priority", .rule = "control-priority"),
			"%u is not in 0 (first) .. %d", priority, FLOW_CONTROL_PRIORITIES - 1);
	if (result == DOCA_SUCCESS && condition)
		result = compile_condition(&compiled, pipe, condition, match);
	if (result == DOCA_SUCCESS)
		result = put_match(&body, pipe, match, match_mask,
			compiled.op && !compiled.field_b ? compiled.field_a : (uint16_t)STEER_F_NONE);
	if (result == DOCA_SUCCESS)
		result = put_condition(&body, pipe, &compiled);
	if (result == DOCA_SUCCESS)
		result = put_actions(&body, pipe, actions, actions_mask, action_descs);
	if (result == DOCA_SUCCESS)
		result = monitor_of_entry(pipe, monitor, &request.monitor, &request.has_monitor);
	if (result == DOCA_SUCCESS)
		result = fwd_of_entry(pipe, fwd, &request.fwd, &request.has_fwd);
	if (result == DOCA_SUCCESS && !request.has_fwd && pipe->fwd.type == STEER_FWD_NONE)
		result = refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "fwd", .rule = "fwd-missing"),
			"an entry of a control pipe brings its fwd");
	if (result != DOCA_SUCCESS)
		return result;
	request.body = body.bytes;
	request.body_bytes = body.used;
	return entry_add(&request, entry);
}

// --- ordered lists

// One element's actions, with what the entry brings put in place of what the list leaves open.
static doca_error_t put_element_actions(struct body *body, const struct doca_flow_pipe *pipe,
	const struct action_template *template, const struct doca_flow_actions *actions, uint8_t *data,
	uint32_t *data_used)
{
	uint8_t args[STEER_ARGS_MAX];
	struct steer_action *to;
	doca_error_t result = actions_args(pipe->name, template, actions, args);

	if (result != DOCA_SUCCESS)
		return result;
	to = body_put(body, template->actions, template->nr_actions * sizeof(*to));
	if (!to || *data_used + template->data_bytes + template->args_bytes > UINT16_MAX)
		return body_full(pipe);
	for (unsigned int i = 0; i < template->nr_actions; i++) {
		struct steer_action *action = &to[i];
		const uint8_t *arg = args + action->arg_offset;
		bool changeable = action->flags & STEER_ACT_CHANGEABLE;

		action->flags &= (uint8_t)~STEER_ACT_CHANGEABLE;
		action->arg_offset = 0;
		if (action->data_length) {
			memcpy(data + *data_used, changeable ? arg : template->data + action->data_offset,
				action->data_length);
			action->data_offset = (uint16_t)*data_used;
			*data_used += action->data_length;
		} else if (changeable) {
			memcpy(action->value, arg,
				action->kind == STEER_ACT_SET || action->kind == STEER_ACT_ADD
					? field_bytes(action->field)
					: 4);
		}
	}
	body->head.nr_actions = (uint16_t)(body->head.nr_actions + template->nr_actions);
	return DOCA_SUCCESS;
}

static doca_error_t put_element_monitor(struct body *body, const struct doca_flow_pipe *pipe,
	const struct doca_flow_monitor *list, const struct doca_flow_monitor *entry,
	struct steer_monitor *own)
{
	struct steer_action action = {0};
	uint32_t id = UINT32_MAX;

	if (list->counter_type != DOCA_FLOW_RESOURCE_TYPE_NONE) {
		if (list->counter_type == DOCA_FLOW_RESOURCE_TYPE_SHARED) {
			id = list->shared_counter.shared_counter_id;
			if (id == UINT32_MAX && entry)
				id = entry->shared_counter.shared_counter_id;
		} else {
			own->flags |= STEER_MON_COUNTER;
		}
		action.kind = STEER_ACT_COUNT;
		memcpy(action.value, &id, sizeof(id));
		if (!body_put(body, &action, sizeof(action)))
			return body_full(pipe);
		body->head.nr_actions++;
	}
	if (list->meter_type == DOCA_FLOW_RESOURCE_TYPE_NONE)
		return DOCA_SUCCESS;
	if (list->meter_type != DOCA_FLOW_RESOURCE_TYPE_SHARED)
		return refuse(DOCA_ERROR_NOT_SUPPORTED,
			AT(.pipe = pipe->name, .field = "monitor.meter_type", .rule = "list-meter"),
			"an ordered list has shared meters only");
	id = list->shared_meter.shared_meter_id;
	if (id == UINT32_MAX && entry)
		id = entry->shared_meter.shared_meter_id;
	action.kind = STEER_ACT_METER;
	memcpy(action.value, &id, sizeof(id));
	if (!body_put(body, &action, sizeof(action)))
		return body_full(pipe);
	body->head.nr_actions++;
	return DOCA_SUCCESS;
}

static doca_error_t put_list(struct body *body, const struct doca_flow_pipe *pipe,
	const struct list_template *list, const struct doca_flow_ordered_list *entry,
	struct steer_monitor *own)
{
	uint8_t data[4 * STEER_ENCAP_MAX * FLOW_LIST_ELEMENTS_MAX];
	uint32_t data_used = 0;
	doca_error_t result = DOCA_SUCCESS;

	for (unsigned int i = 0; i < list->nr_elements && result == DOCA_SUCCESS; i++) {
		const struct doca_flow_ordered_list_element *with = &entry->elements[i];

		if (list->elements[i].type == DOCA_FLOW_ORDERED_LIST_ELEMENT_MONITOR)
			result = put_element_monitor(
				body, pipe, &list->elements[i].monitor, with->monitor, own);
		else
			result = put_element_actions(body, pipe, list->elements[i].actions,
				list->elements[i].type == DOCA_FLOW_ORDERED_LIST_ELEMENT_ACTIONS
					? with->actions
					: NULL,
				data, &data_used);
	}
	if (result == DOCA_SUCCESS)
		result = body_data(body, pipe, data, data_used);
	return result;
}

static doca_error_t check_list(const struct doca_flow_pipe *pipe, const struct doca_flow_ordered_list *list)
{
	if (!list || !list->elements)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "ordered_list", .rule = "list-index"), "is NULL");
	if (list->idx >= pipe->nr_lists)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "ordered_list.idx", .rule = "list-index"),
			"%u: the pipe has %u lists", list->idx, pipe->nr_lists);
	if (list->size != pipe->lists[list->idx].nr_elements)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "ordered_list.size", .rule = "list-elements"),
			"%u elements, the pipe's list has %u", list->size,
			pipe->lists[list->idx].nr_elements);
	for (unsigned int i = 0; i < list->size; i++)
		if (list->elements[i].type != pipe->lists[list->idx].elements[i].type)
			return refuse(DOCA_ERROR_INVALID_VALUE,
				AT(.pipe = pipe->name, .field = "ordered_list.elements",
					.rule = "list-elements"),
				"element %u has another type than in the pipe's list", i);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_ordered_list_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint32_t idx, const struct doca_flow_ordered_list *ordered_list, const struct doca_flow_fwd *fwd,
	uint32_t flags, void *user_ctx, struct doca_flow_pipe_entry **entry)
{
	struct entry_request request = {.pipe = pipe,
		.queue = pipe_queue,
		.op = STEER_REC_ENTRY_ADD,
		.flags = flags,
		.index = idx,
		.user_ctx = user_ctx,
		.tag = entry_next_tag()};
	struct body body = {.used = sizeof(body.head)};
	doca_error_t result = entry_check(__func__, pipe_queue, pipe, DOCA_FLOW_PIPE_ORDERED_LIST, flags);

	memset(&body.head, 0, sizeof(body.head));
	if (result == DOCA_SUCCESS)
		result = check_list(pipe, ordered_list);
	if (result == DOCA_SUCCESS && idx >= pipe->nr_entries)
		result = refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "idx", .rule = "list-index"),
			"%u: the pipe has %u entries", idx, pipe->nr_entries);
	if (result == DOCA_SUCCESS)
		result = monitor_of_entry(pipe, NULL, &request.monitor, &request.has_monitor);
	if (result == DOCA_SUCCESS)
		result = put_list(
			&body, pipe, &pipe->lists[ordered_list->idx], ordered_list, &request.monitor);
	if (result == DOCA_SUCCESS)
		result = fwd_of_entry(pipe, fwd, &request.fwd, &request.has_fwd);
	if (result != DOCA_SUCCESS)
		return result;
	request.has_monitor |= request.monitor.flags & STEER_MON_COUNTER;
	request.body = body.bytes;
	request.body_bytes = body.used;
	return entry_add(&request, entry);
}
