// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <stdio.h>
#include <string.h>

#include "match.h"

static bool bytes_zero(const uint8_t *bytes, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		if (bytes[i])
			return false;
	return true;
}

bool match_all_ones(uint16_t field, const uint8_t *value)
{
	uint8_t full[STEER_FIELD_BYTES_MAX];

	field_full_mask(field, full);
	return !memcmp(value, full, field_bytes(field));
}

static bool is_address(uint16_t field)
{
	switch (field) {
	case STEER_F_OUTER_IP4_SRC:
	case STEER_F_OUTER_IP4_DST:
	case STEER_F_OUTER_IP6_SRC:
	case STEER_F_OUTER_IP6_DST:
	case STEER_F_INNER_IP4_SRC:
	case STEER_F_INNER_IP4_DST:
	case STEER_F_INNER_IP6_SRC:
	case STEER_F_INNER_IP6_DST:
		return true;
	default:
		return false;
	}
}

static bool is_l4_port(uint16_t field)
{
	return field == STEER_F_OUTER_L4_SRC_PORT || field == STEER_F_OUTER_L4_DST_PORT ||
	       field == STEER_F_INNER_L4_SRC_PORT || field == STEER_F_INNER_L4_DST_PORT;
}

static struct match_field *template_add(
	struct match_template *template, const struct field_map *map, enum field_layer layer, uint16_t field)
{
	struct match_field *added;

	if (template->nr_fields == STEER_MATCH_FIELD_MAX)
		return NULL;
	added = &template->fields[template->nr_fields++];
	memset(added, 0, sizeof(*added));
	added->map = map;
	added->layer = layer;
	added->field = field;
	added->bytes = (uint8_t)field_bytes(field);
	return added;
}

// The rules of doca_flow_match for one member: is it matched, and how?
static doca_error_t classify(struct match_field *out, bool *matched, const char *pipe, const char *label,
	uint16_t field, const uint8_t *value, const uint8_t *mask, bool explicit_mask, bool implicit_off)
{
	unsigned int bytes = field_bytes(field);

	*matched = false;
	memset(out, 0, sizeof(*out));
	if (explicit_mask) {
		if (bytes_zero(mask, bytes))
			return DOCA_SUCCESS;
		memcpy(out->mask, mask, bytes);
		// A value of zero is what a program leaves for the entry to fill in, just like all ones.
		out->kind = bytes_zero(value, bytes) || match_all_ones(field, value) ? STEER_MATCH_CHANGEABLE
										     : STEER_MATCH_CONSTANT;
	} else {
		if (bytes_zero(value, bytes))
			return DOCA_SUCCESS;
		if (implicit_off)
			return refuse(DOCA_ERROR_INVALID_VALUE,
				AT(.pipe = pipe, .field = label, .rule = "meta-needs-mask"),
				"metadata has no implicit mask: give a match mask for it");
		field_full_mask(field, out->mask);
		out->kind = match_all_ones(field, value) ? STEER_MATCH_CHANGEABLE : STEER_MATCH_CONSTANT;
	}
	if (out->kind == STEER_MATCH_CONSTANT)
		for (unsigned int i = 0; i < bytes; i++)
			out->value[i] = value[i] & out->mask[i];
	*matched = true;
	return DOCA_SUCCESS;
}

// Selectors decide the layout; they must be known values, and never "from the entry".
static doca_error_t check_selectors(const char *pipe, const struct doca_flow_match *match)
{
	const struct {
		const char *name;
		uint32_t value;
		uint32_t max;
	} selectors[] = {
		{"outer.l3_type", match->outer.l3_type, DOCA_FLOW_L3_TYPE_IP6},
		{"inner.l3_type", match->inner.l3_type, DOCA_FLOW_L3_TYPE_IP6},
		{"outer.l4_type_ext", match->outer.l4_type_ext, DOCA_FLOW_L4_TYPE_EXT_ROCE_V2},
		{"inner.l4_type_ext", match->inner.l4_type_ext, DOCA_FLOW_L4_TYPE_EXT_ROCE_V2},
		{"tun.type", match->tun.type, DOCA_FLOW_TUN_MAX - 1},
	};

	for (unsigned int i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++) {
		if (selectors[i].value == UINT32_MAX)
			return refuse(DOCA_ERROR_INVALID_VALUE,
				AT(.pipe = pipe, .field = selectors[i].name, .rule = "selector-changeable"),
				"a type selector can never come with the entry");
		if (selectors[i].value > selectors[i].max)
			return refuse(DOCA_ERROR_INVALID_VALUE,
				AT(.pipe = pipe, .field = selectors[i].name, .rule = "selector-unknown"),
				"%u is no type", selectors[i].value);
	}
	return DOCA_SUCCESS;
}

// Values without their selector are ignored by the layout rules; that is nearly always a mistake.
static doca_error_t lint_unselected(
	const char *pipe, const struct field_view *view, const struct field_gate gates[FIELD_LAYERS])
{
	for (int layer = FIELD_OUTER; layer < FIELD_LAYERS; layer++) {
		unsigned int nr;
		const struct field_map *rows = field_table(layer, &nr);
		bool ip = gates[layer].l3_type != DOCA_FLOW_L3_TYPE_NONE;
		bool l4 = gates[layer].l4_type != DOCA_FLOW_L4_TYPE_EXT_NONE;

		for (unsigned int i = 0; i < nr; i++) {
			if (field_selected(&rows[i], &gates[layer]) ||
				field_is_zero(&rows[i], view->base[layer]))
				continue;
			if ((ip && (rows[i].selector == SELECT_IP4 || rows[i].selector == SELECT_IP6)) ||
				(l4 && rows[i].selector >= SELECT_PORTS && rows[i].selector <= SELECT_BTH) ||
				(layer == FIELD_TUN && gates[layer].tun_type))
				continue; // the other member of a union in use
			return lint(AT(.pipe = pipe, .field = field_label(&rows[i], layer),
					    .rule = "no-selector"),
				"a value without its type selector (l3_type, l4_type_ext, tun.type or "
				"l2_valid_headers) is ignored");
		}
	}
	return DOCA_SUCCESS;
}

// What the match leaves open the mask may select; a mask of all ones selects nothing.
static void merge_gate(struct field_gate *gate, const struct field_gate *mask)
{
	gate->l2_valid |= mask->l2_valid;
	if (!gate->l3_type && mask->l3_type <= DOCA_FLOW_L3_TYPE_IP6)
		gate->l3_type = mask->l3_type;
	if (!gate->l4_type && mask->l4_type <= DOCA_FLOW_L4_TYPE_EXT_ROCE_V2)
		gate->l4_type = mask->l4_type;
	if (!gate->tun_type && mask->tun_type < DOCA_FLOW_TUN_MAX) {
		gate->tun_type = mask->tun_type;
		gate->tun_ext = mask->tun_ext;
	}
}

static doca_error_t compile_row(struct match_template *template, const char *pipe,
	enum doca_flow_pipe_type type, enum field_layer layer, const struct field_map *map,
	const uint8_t *values, const uint8_t *masks)
{
	uint16_t field = field_id(map, layer);
	uint8_t value[STEER_FIELD_BYTES_MAX], mask[STEER_FIELD_BYTES_MAX] = {0};
	const char *label = field_label(map, layer);
	struct match_field found, *added;
	doca_error_t result;
	bool matched;

	if (!field) {
		if (masks ? field_is_zero(map, masks) : field_is_zero(map, values))
			return DOCA_SUCCESS;
		return refuse(DOCA_ERROR_NOT_SUPPORTED,
			AT(.pipe = pipe, .field = label, .rule = "field-support"),
			"the fast path cannot match this field");
	}
	field_read(map, field, values, value);
	if (masks) {
		field_read(map, field, masks, mask);
		if (map->conversion == CONVERT_BOOL && mask[0])
			mask[0] = 0xff;
	}
	// A flag in the packet is 0 or 1: a pipe's "true" is a constant even though it is all ones of its one bit.
	result =
		classify(&found, &matched, pipe, label, field, value, mask, masks != NULL, map->implicit_off);
	if (result != DOCA_SUCCESS)
		return result;
	// LPM and ACL: what the entries match need not be masked by the pipe, all ones in the match will do.
	if (!matched && (type == DOCA_FLOW_PIPE_LPM || type == DOCA_FLOW_PIPE_ACL) &&
		match_all_ones(field, value)) {
		memset(&found, 0, sizeof(found));
		field_full_mask(field, found.mask);
		found.kind = STEER_MATCH_CHANGEABLE;
		matched = true;
	}
	if (!matched)
		return DOCA_SUCCESS;
	if (map->conversion == CONVERT_BOOL)
		found.kind = STEER_MATCH_CONSTANT, found.value[0] = value[0], found.mask[0] = 0xff;
	added = template_add(template, map, layer, field);
	if (!added)
		return refuse(DOCA_ERROR_TOO_BIG, AT(.pipe = pipe, .field = label, .rule = "match-size"),
			"more than %d matched fields", STEER_MATCH_FIELD_MAX);
	added->kind = found.kind;
	memcpy(added->value, found.value, sizeof(added->value));
	memcpy(added->mask, found.mask, sizeof(added->mask));
	return DOCA_SUCCESS;
}

// LPM: the one changeable address becomes the prefix field and goes last, all other changeable fields are exact.
static doca_error_t arrange_lpm(struct match_template *template, const char *pipe)
{
	int address = -1;
	struct match_field moved;

	for (unsigned int i = 0; i < template->nr_fields; i++) {
		const struct match_field *field = &template->fields[i];

		if (field->kind != STEER_MATCH_CHANGEABLE || !is_address(field->field))
			continue;
		if (address >= 0)
			return refuse(DOCA_ERROR_INVALID_VALUE,
				AT(.pipe = pipe, .field = field_name(field->field),
					.rule = "lpm-one-address"),
				"an LPM pipe has one address, this is the second (first: %s)",
				field_name(template->fields[address].field));
		address = (int)i;
	}
	if (address < 0)
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.pipe = pipe, .rule = "lpm-one-address"),
			"an LPM pipe needs one IPv4 or IPv6 address that is all ones in its match");
	moved = template->fields[address];
	moved.kind = STEER_MATCH_PREFIX;
	memmove(&template->fields[address], &template->fields[address + 1],
		(template->nr_fields - 1 - (unsigned int)address) * sizeof(moved));
	template->fields[template->nr_fields - 1] = moved;
	return DOCA_SUCCESS;
}

// ACL: changeable addresses, ports, protocols are ranges and masks per entry. The layer 4 type always is one of them,
// for each entry says which protocol its ports are of.
static doca_error_t arrange_acl(struct match_template *template, const char *pipe)
{
	bool has_l4_type = false;

	for (unsigned int i = 0; i < template->nr_fields; i++) {
		struct match_field *field = &template->fields[i];

		if (field->field == STEER_F_PM_OUTER_L4_TYPE)
			has_l4_type = true;
		if (field->kind == STEER_MATCH_CHANGEABLE)
			field->kind = STEER_MATCH_ACL;
	}
	if (!has_l4_type) {
		unsigned int nr;
		const struct field_map *rows = field_table(FIELD_PARSER, &nr);
		struct match_field *added = NULL;

		for (unsigned int i = 0; i < nr && !added; i++)
			if (rows[i].field == STEER_F_PM_OUTER_L4_TYPE)
				added = template_add(
					template, &rows[i], FIELD_PARSER, STEER_F_PM_OUTER_L4_TYPE);
		if (!added)
			return refuse(DOCA_ERROR_TOO_BIG, AT(.pipe = pipe, .rule = "match-size"),
				"more than %d matched fields", STEER_MATCH_FIELD_MAX);
		added->kind = STEER_MATCH_ACL;
		field_full_mask(added->field, added->mask);
	}
	return DOCA_SUCCESS;
}

static doca_error_t lay_out_key(struct match_template *template, const char *pipe)
{
	unsigned int offset = 0;

	for (unsigned int i = 0; i < template->nr_fields; i++) {
		struct match_field *field = &template->fields[i];

		if (field->kind == STEER_MATCH_CONSTANT)
			continue;
		if (field->kind == STEER_MATCH_PREFIX)
			template->exact_bytes = (uint16_t)offset;
		field->offset = (uint16_t)offset;
		offset += field->kind == STEER_MATCH_CHANGEABLE ? field->bytes : 2u * field->bytes;
	}
	template->key_bytes = (uint16_t)offset;
	// The fast path's key holds constants too.
	for (unsigned int i = 0, bytes = 0; i < template->nr_fields; i++) {
		bytes += template->fields[i].bytes;
		if (bytes > STEER_KEY_MAX)
			return refuse(DOCA_ERROR_TOO_BIG,
				AT(.pipe = pipe, .field = field_name(template->fields[i].field),
					.rule = "match-size"),
				"matched fields are longer than %d bytes together", STEER_KEY_MAX);
	}
	return DOCA_SUCCESS;
}

doca_error_t match_compile(struct match_template *template, const char *pipe, enum doca_flow_pipe_type type,
	const struct doca_flow_match *match, const struct doca_flow_match *mask)
{
	struct field_view values, masks = {{NULL}};
	doca_error_t result = check_selectors(pipe, match);

	memset(template, 0, sizeof(*template));
	field_view_match(&values, match);
	if (mask)
		field_view_match(&masks, mask);
	field_gates(template->gates, &values);
	// Programs that give a full mask sometimes select the layout there only.
	if (mask) {
		struct field_gate more[FIELD_LAYERS];

		field_gates(more, &masks);
		for (int layer = 0; layer < FIELD_LAYERS; layer++)
			merge_gate(&template->gates[layer], &more[layer]);
	}
	if (result == DOCA_SUCCESS)
		result = lint_unselected(pipe, &values, template->gates);
	for (int layer = 0; layer < FIELD_LAYERS && result == DOCA_SUCCESS; layer++) {
		unsigned int nr;
		const struct field_map *rows = field_table(layer, &nr);

		for (unsigned int i = 0; i < nr && result == DOCA_SUCCESS; i++)
			if (field_selected(&rows[i], &template->gates[layer]))
				result = compile_row(template, pipe, type, layer, &rows[i],
					values.base[layer], masks.base[layer]);
	}
	if (result == DOCA_SUCCESS && type == DOCA_FLOW_PIPE_LPM)
		result = arrange_lpm(template, pipe);
	if (result == DOCA_SUCCESS && type == DOCA_FLOW_PIPE_ACL)
		result = arrange_acl(template, pipe);
	return result == DOCA_SUCCESS ? lay_out_key(template, pipe) : result;
}

void match_to_wire(const struct match_template *template, struct steer_match_field *fields)
{
	memset(fields, 0, template->nr_fields * sizeof(*fields));
	for (unsigned int i = 0; i < template->nr_fields; i++) {
		const struct match_field *from = &template->fields[i];

		fields[i].field = from->field;
		fields[i].kind = from->kind;
		memcpy(fields[i].value, from->value, sizeof(fields[i].value));
		memcpy(fields[i].mask, from->mask, sizeof(fields[i].mask));
	}
}

// An entry's own value for a field that the pipe holds constant changes nothing; tell if it differs.
static doca_error_t lint_constant(
	const struct doca_flow_pipe *pipe, const struct match_field *field, const uint8_t *base)
{
	uint8_t value[STEER_FIELD_BYTES_MAX];

	if (field_is_zero(field->map, base))
		return DOCA_SUCCESS;
	field_read(field->map, field->field, base, value);
	for (unsigned int i = 0; i < field->bytes; i++)
		if ((value[i] & field->mask[i]) != field->value[i])
			return lint(AT(.pipe = pipe->name, .field = field_name(field->field),
					    .rule = "constant-differs"),
				"the entry gives another value for a field that the pipe holds constant; it "
				"is ignored");
	return DOCA_SUCCESS;
}

doca_error_t match_key(const struct doca_flow_pipe *pipe, const struct doca_flow_match *match, uint8_t *key)
{
	const struct match_template *template = &pipe->match;
	struct field_view view;
	uint8_t value[STEER_FIELD_BYTES_MAX];

	field_view_match(&view, match);
	for (unsigned int i = 0; i < template->nr_fields; i++) {
		const struct match_field *field = &template->fields[i];

		if (field->kind == STEER_MATCH_CHANGEABLE) {
			field_read(field->map, field->field, view.base[field->layer], value);
			for (unsigned int b = 0; b < field->bytes; b++)
				key[field->offset + b] = value[b] & field->mask[b];
		} else if (field->kind == STEER_MATCH_CONSTANT) {
			doca_error_t result = lint_constant(pipe, field, view.base[field->layer]);

			if (result != DOCA_SUCCESS)
				return result;
		}
	}
	return DOCA_SUCCESS;
}

static bool mask_contiguous(const uint8_t *mask, unsigned int bytes)
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

doca_error_t match_key_lpm(const struct doca_flow_pipe *pipe, const struct doca_flow_match *match,
	const struct doca_flow_match *mask, uint8_t *key)
{
	const struct match_field *field = &pipe->match.fields[pipe->match.nr_fields - 1];
	struct field_view values, masks;
	uint8_t value[STEER_FIELD_BYTES_MAX], prefix[STEER_FIELD_BYTES_MAX];
	doca_error_t result = match_key(pipe, match, key);

	if (result != DOCA_SUCCESS)
		return result;
	field_view_match(&values, match);
	field_read(field->map, field->field, values.base[field->layer], value);
	if (mask) {
		field_view_match(&masks, mask);
		field_read(field->map, field->field, masks.base[field->layer], prefix);
	} else {
		field_full_mask(field->field, prefix);
	}
	if (!mask_contiguous(prefix, field->bytes))
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = field_name(field->field), .rule = "lpm-prefix"),
			"the mask of an LPM entry must be a prefix: ones, then zeros");
	for (unsigned int i = 0; i < field->bytes; i++) {
		key[field->offset + i] = value[i] & prefix[i];
		key[field->offset + field->bytes + i] = prefix[i];
	}
	return DOCA_SUCCESS;
}

// DOCA's encoding of a port range in value and mask; see doca_flow_pipe_acl_add_entry().
static doca_error_t acl_ports(const struct doca_flow_pipe *pipe, const struct match_field *field,
	const uint8_t *value, const uint8_t *mask, uint8_t *key)
{
	unsigned int low = (unsigned int)(value[0] << 8 | value[1]),
		     high = (unsigned int)(mask[0] << 8 | mask[1]);

	if (!high) {
		low = 0;
		high = 0xffff;
	} else if (high < low) {
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = field_name(field->field), .rule = "acl-port-range"),
			"the mask of a port is the end of its range and lies below the value: %u to %u", low,
			high);
	}
	key[0] = (uint8_t)(low >> 8);
	key[1] = (uint8_t)low;
	key[2] = (uint8_t)(high >> 8);
	key[3] = (uint8_t)high;
	return DOCA_SUCCESS;
}

doca_error_t match_key_acl(const struct doca_flow_pipe *pipe, const struct doca_flow_match *match,
	const struct doca_flow_match *mask, uint8_t *key)
{
	const struct match_template *template = &pipe->match;
	struct field_view values, masks;
	uint8_t value[STEER_FIELD_BYTES_MAX], bits[STEER_FIELD_BYTES_MAX];

	field_view_match(&values, match);
	field_view_match(&masks, mask);
	for (unsigned int i = 0; i < template->nr_fields; i++) {
		const struct match_field *field = &template->fields[i];
		uint8_t *to = key + field->offset;
		doca_error_t result;

		if (field->kind != STEER_MATCH_ACL)
			continue;
		field_read(field->map, field->field, values.base[field->layer], value);
		field_read(field->map, field->field, masks.base[field->layer], bits);
		if (is_l4_port(field->field)) {
			result = acl_ports(pipe, field, value, bits, to);
			if (result != DOCA_SUCCESS)
				return result;
			continue;
		}
		for (unsigned int b = 0; b < field->bytes; b++) {
			to[b] = value[b] & bits[b];
			to[field->bytes + b] = bits[b];
		}
	}
	return DOCA_SUCCESS;
}

bool match_value_of(const struct doca_flow_match *match, uint16_t field, uint8_t *value)
{
	struct field_view view;

	field_view_match(&view, match);
	for (int layer = 0; layer < FIELD_LAYERS; layer++) {
		unsigned int nr;
		const struct field_map *rows = field_table(layer, &nr);

		for (unsigned int i = 0; i < nr; i++)
			if (field_id(&rows[i], layer) == field) {
				field_read(&rows[i], field, view.base[layer], value);
				return true;
			}
	}
	return false;
}
