// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <stdio.h>
#include <string.h>

#include "rows.h"

static bool is_open(const struct match_field *field)
{
	return field->kind != STEER_MATCH_CONSTANT;
}

static bool is_l4_port(uint16_t field)
{
	return field == STEER_F_OUTER_L4_SRC_PORT || field == STEER_F_OUTER_L4_DST_PORT ||
	       field == STEER_F_INNER_L4_SRC_PORT || field == STEER_F_INNER_L4_DST_PORT;
}

bool rows_have_masks(const struct doca_flow_pipe *pipe)
{
	return pipe->type == DOCA_FLOW_PIPE_LPM || pipe->type == DOCA_FLOW_PIPE_ACL;
}

uint32_t rows_key_bytes(const struct doca_flow_pipe *pipe)
{
	uint32_t bytes = 0;

	if (pipe->type == DOCA_FLOW_PIPE_HASH)
		return 0;
	for (unsigned int i = 0; i < pipe->match.nr_fields; i++)
		if (is_open(&pipe->match.fields[i]))
			bytes += pipe->match.fields[i].bytes;
	return bytes;
}

static doca_error_t bad_mask(
	const struct doca_flow_pipe *pipe, const struct match_field *field, const char *rule)
{
	return refuse(DOCA_ERROR_INVALID_VALUE,
		AT(.pipe = pipe->name, .field = field_name(field->field), .rule = rule),
		"the mask of a row is no prefix, or the end of a port range lies below its start");
}

static bool is_prefix(const uint8_t *mask, unsigned int bytes)
{
	bool ended = false;

	for (unsigned int bit = 0; bit < bytes * 8; bit++) {
		bool set = mask[bit / 8] & (0x80 >> bit % 8);

		if (set && ended)
			return false;
		ended |= !set;
	}
	return true;
}

// A port's range, DOCA's encoding: the mask is its end, 0 = any port.
static bool put_range(uint8_t *to, const uint8_t *value, const uint8_t *end)
{
	if (!end[0] && !end[1]) {
		memcpy(to, (const uint8_t[4]){0, 0, 0xff, 0xff}, 4);
		return true;
	}
	memcpy(to, value, 2);
	memcpy(to + 2, end, 2);
	return memcmp(value, end, 2) <= 0;
}

doca_error_t rows_to_key(
	const struct doca_flow_pipe *pipe, const uint8_t *row, const uint8_t *mask, uint8_t *key)
{
	uint8_t full[STEER_FIELD_BYTES_MAX];

	for (unsigned int i = 0; i < pipe->match.nr_fields; i++) {
		const struct match_field *field = &pipe->match.fields[i];
		const uint8_t *bits = field->mask;
		uint8_t *to = key + field->offset;

		if (!is_open(field))
			continue;
		if (field->kind != STEER_MATCH_CHANGEABLE) {
			field_full_mask(field->field, full);
			bits = mask                                                         ? mask
			       : field->kind == STEER_MATCH_ACL && is_l4_port(field->field) ? row
											    : full;
		}
		if (field->kind == STEER_MATCH_ACL && is_l4_port(field->field)) {
			if (!put_range(to, row, bits))
				return bad_mask(pipe, field, "acl-port-range");
		} else {
			if (field->kind == STEER_MATCH_PREFIX && !is_prefix(bits, field->bytes))
				return bad_mask(pipe, field, "lpm-prefix");
			for (unsigned int b = 0; b < field->bytes; b++)
				to[b] = row[b] & bits[b];
			if (field->kind != STEER_MATCH_CHANGEABLE)
				memcpy(to + field->bytes, bits, field->bytes);
		}
		row += field->bytes;
		if (mask)
			mask += field->bytes;
	}
	return DOCA_SUCCESS;
}

void rows_from_key(const struct doca_flow_pipe *pipe, const uint8_t *key, uint8_t *row, uint8_t *mask)
{
	for (unsigned int i = 0; i < pipe->match.nr_fields; i++) {
		const struct match_field *field = &pipe->match.fields[i];
		const uint8_t *from = key + field->offset;
		bool pair = field->kind == STEER_MATCH_PREFIX || field->kind == STEER_MATCH_ACL;

		if (!is_open(field))
			continue;
		if (row) {
			memcpy(row, from, field->bytes);
			row += field->bytes;
		}
		if (mask) {
			memcpy(mask, pair ? from + field->bytes : field->mask, field->bytes);
			mask += field->bytes;
		}
	}
}

// --- columns

struct columns {
	struct doca_flow_ringfield_column *to;
	uint32_t max;
	uint32_t nr;
	uint32_t offset;
};

static void column(struct columns *columns, const char *name, uint32_t width, uint32_t bits)
{
	if (columns->nr < columns->max) {
		struct doca_flow_ringfield_column *to = &columns->to[columns->nr];

		memset(to, 0, sizeof(*to));
		snprintf(to->name, sizeof(to->name), "%s", name);
		to->offset = columns->offset;
		to->width = (uint16_t)width;
		to->bits = (uint16_t)bits;
	}
	columns->nr++;
	columns->offset += width;
}

static void argument_columns(struct columns *columns, const struct action_template *template)
{
	for (unsigned int i = 0; i < template->nr_args; i++) {
		const struct action_arg *arg = &template->args[i];
		uint16_t field;

		switch (arg->source) {
		case ARG_FIELD:
			field = field_id(arg->map, arg->layer);
			column(columns, field_name(field), arg->bytes, field_bits(field));
			break;
		case ARG_ENCAP:
			column(columns, "encap.data", arg->bytes, arg->bytes * 8u);
			break;
		case ARG_DECAP_ETH:
			column(columns, "decap.data", arg->bytes, arg->bytes * 8u);
			break;
		case ARG_PUSH_VLAN:
			column(columns, "push_vlan.eth_type", 2, 16);
			column(columns, "push_vlan.tci", 2, 16);
			break;
		case ARG_SHARED_ENCAP:
			column(columns, "shared_encap_id", 4, 32);
			break;
		case ARG_SHARED_DECAP:
			column(columns, "shared_decap_id", 4, 32);
			break;
		}
	}
}

doca_error_t doca_flow_ringfield_pipe_columns(const struct doca_flow_pipe *pipe,
	enum doca_flow_ringfield_row_part part, uint8_t action_idx, struct doca_flow_ringfield_column *list,
	uint32_t max, uint32_t *nr, uint32_t *row_bytes)
{
	struct columns columns = {.to = list, .max = list ? max : 0};
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (!pipe || !nr || !row_bytes)
		return refuse_argument(__func__, "pipe", "an argument is NULL");
	if (pipe->type == DOCA_FLOW_PIPE_CONTROL || pipe->type == DOCA_FLOW_PIPE_ORDERED_LIST)
		return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.pipe = pipe->name, .rule = "rows"),
			"entries of control and ordered list pipes have no common layout");
	if (part == DOCA_FLOW_RINGFIELD_ROW_KEY) {
		for (unsigned int i = 0; pipe->type != DOCA_FLOW_PIPE_HASH && i < pipe->match.nr_fields;
			i++) {
			const struct match_field *field = &pipe->match.fields[i];

			if (is_open(field))
				column(&columns, field_name(field->field), field->bytes,
					field_bits(field->field));
		}
	} else if (part == DOCA_FLOW_RINGFIELD_ROW_ARGS) {
		if (action_idx >= pipe->nr_templates)
			return refuse_argument(
				__func__, "action_idx", "%u of %u", action_idx, pipe->nr_templates);
		argument_columns(&columns, &pipe->templates[action_idx]);
	} else {
		return refuse_argument(__func__, "part", "%u", (unsigned int)part);
	}
	*nr = columns.nr;
	*row_bytes = columns.offset;
	return DOCA_SUCCESS;
}
