// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "match.h"
#include "shared.h"

// One compilation.
struct compiler {
	struct action_template *out;
	const struct actions_cfg *cfg;
	const char *pipe;
	bool per_entry;
	// Fields that an ADD descriptor takes its number from, so that they are not written as well.
	uint16_t added[32];
	unsigned int nr_added;
};

static doca_error_t too_many(const struct compiler *c)
{
	return refuse(DOCA_ERROR_TOO_BIG, AT(.pipe = c->pipe, .rule = "action-count"),
		"an action template has more than %d actions or %d bytes of arguments", STEER_ACTION_MAX,
		STEER_ARGS_MAX);
}

static struct steer_action *add_action(struct compiler *c, uint8_t kind)
{
	struct steer_action *action;

	if (c->out->nr_actions == STEER_ACTION_MAX)
		return NULL;
	action = &c->out->actions[c->out->nr_actions++];
	memset(action, 0, sizeof(*action));
	action->kind = kind;
	return action;
}

// Makes the action take bytes of the entry's arguments.
static struct action_arg *add_arg(
	struct compiler *c, struct steer_action *action, int source, unsigned int bytes)
{
	struct action_template *out = c->out;
	struct action_arg *arg;

	if (out->nr_args == STEER_ACTION_MAX || out->args_bytes + bytes > STEER_ARGS_MAX)
		return NULL;
	arg = &out->args[out->nr_args++];
	memset(arg, 0, sizeof(*arg));
	arg->source = source;
	arg->offset = out->args_bytes;
	arg->bytes = (uint16_t)bytes;
	action->flags |= STEER_ACT_CHANGEABLE;
	action->arg_offset = out->args_bytes;
	out->args_bytes = (uint16_t)(out->args_bytes + bytes);
	return arg;
}

static bool add_data(struct compiler *c, struct steer_action *action, const uint8_t *data, uint16_t bytes)
{
	if (c->out->data_bytes + bytes > sizeof(c->out->data))
		return false;
	action->data_offset = c->out->data_bytes;
	action->data_length = bytes;
	memcpy(c->out->data + c->out->data_bytes, data, bytes);
	c->out->data_bytes = (uint16_t)(c->out->data_bytes + bytes);
	return true;
}

static bool bytes_zero(const uint8_t *bytes, unsigned int nr)
{
	while (nr--)
		if (*bytes++)
			return false;
	return true;
}

static bool is_added(const struct compiler *c, uint16_t field)
{
	for (unsigned int i = 0; i < c->nr_added; i++)
		if (c->added[i] == field)
			return true;
	return false;
}

// --- plain writes of fields

static doca_error_t compile_set(struct compiler *c, enum field_layer layer, const struct field_map *map,
	const uint8_t *values, const uint8_t *masks)
{
	uint16_t field = field_id(map, layer);
	uint8_t value[STEER_FIELD_BYTES_MAX], mask[STEER_FIELD_BYTES_MAX];
	struct steer_action *action;
	unsigned int bytes;

	if (!field) {
		if (field_is_zero(map, values) && (!masks || field_is_zero(map, masks)))
			return DOCA_SUCCESS;
		return refuse(DOCA_ERROR_NOT_SUPPORTED,
			AT(.pipe = c->pipe, .field = field_label(map, layer), .rule = "field-support"),
			"the fast path cannot write this field");
	}
	bytes = field_bytes(field);
	field_read(map, field, values, value);
	if (masks) {
		field_read(map, field, masks, mask);
		if (bytes_zero(mask, bytes)) {
			if (!bytes_zero(value, bytes))
				return lint(
					AT(.pipe = c->pipe, .field = field_name(field), .rule = "mask-zero"),
					"the actions mask leaves this value out; it is not written");
			return DOCA_SUCCESS;
		}
	} else {
		if (bytes_zero(value, bytes))
			return DOCA_SUCCESS;
		field_full_mask(field, mask);
	}
	if (is_added(c, field))
		return DOCA_SUCCESS;
	action = add_action(c, STEER_ACT_SET);
	if (!action)
		return too_many(c);
	action->field = field;
	memcpy(action->mask, mask, sizeof(mask));
	if (match_all_ones(field, value) && !c->per_entry && map->conversion != CONVERT_BOOL) {
		struct action_arg *arg = add_arg(c, action, ARG_FIELD, bytes);

		if (!arg)
			return too_many(c);
		arg->map = map;
		arg->layer = layer;
		memcpy(arg->mask, mask, sizeof(mask));
	} else {
		for (unsigned int i = 0; i < bytes; i++)
			action->value[i] = value[i] & mask[i];
	}
	return DOCA_SUCCESS;
}

static doca_error_t compile_layer(struct compiler *c, enum field_layer layer)
{
	struct field_view values, masks = {{NULL}};
	unsigned int nr;
	const struct field_map *rows = field_table(layer, &nr);
	doca_error_t result = DOCA_SUCCESS;

	if (!c->cfg->has_actions)
		return DOCA_SUCCESS;
	field_view_actions(&values, &c->cfg->actions);
	if (c->cfg->has_mask)
		field_view_actions(&masks, &c->cfg->mask);
	for (unsigned int i = 0; i < nr && result == DOCA_SUCCESS; i++)
		if (field_selected(&rows[i], &c->out->gates[layer]))
			result = compile_set(c, layer, &rows[i], values.base[layer], masks.base[layer]);
	return result;
}

// --- descriptors

static enum field_layer layer_of(uint16_t field)
{
	if (field >= STEER_F_META_PKT && field <= STEER_F_META_U32_9)
		return FIELD_META;
	if (field >= STEER_F_OUTER_ETH_DST && field <= STEER_F_OUTER_ICMP_IDENT)
		return FIELD_OUTER;
	if (field >= STEER_F_INNER_ETH_DST && field <= STEER_F_INNER_ICMP_IDENT)
		return FIELD_INNER;
	if (field >= STEER_F_TUN_VXLAN_VNI)
		return FIELD_TUN;
	return FIELD_PARSER;
}

static doca_error_t resolve(const struct compiler *c, const char *role,
	const struct doca_flow_desc_field *desc, uint32_t width, uint16_t *field, uint32_t *bit)
{
	*field = field_by_string(desc->field_string, desc->bit_offset, bit);
	if (!*field)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = c->pipe, .field = desc->field_string, .rule = "desc-field"),
			"%s of an action descriptor: no such field or no bit %u in it", role,
			desc->bit_offset);
	if (*bit + width > field_bits(*field))
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = c->pipe, .field = desc->field_string, .rule = "desc-width"),
			"%s of an action descriptor: bits %u to %u do not fit a field of %u bits", role, *bit,
			*bit + width - 1, field_bits(*field));
	return DOCA_SUCCESS;
}

// The actions structure's own value for a field, to be added.
static const struct field_map *value_row(const struct compiler *c, uint16_t field, enum field_layer *layer)
{
	for (int l = FIELD_META; l <= FIELD_TUN; l++) {
		unsigned int nr;
		const struct field_map *rows = field_table(l, &nr);

		for (unsigned int i = 0; i < nr; i++)
			if (field_id(&rows[i], l) == field && field_selected(&rows[i], &c->out->gates[l])) {
				*layer = l;
				return &rows[i];
			}
	}
	return NULL;
}

static doca_error_t compile_add_value(
	struct compiler *c, const struct doca_flow_action_desc *desc, struct steer_action *action)
{
	struct field_view values = {{NULL}};
	uint8_t value[STEER_FIELD_BYTES_MAX] = {0};
	enum field_layer layer = FIELD_META;
	const struct field_map *map;

	map = c->cfg->has_actions ? value_row(c, action->field, &layer) : NULL;
	if (!map)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = c->pipe, .field = desc->field_op.dst.field_string, .rule = "add-value"),
			"the actions hold no value to add to this field (is its type selector set?)");
	field_view_actions(&values, &c->cfg->actions);
	field_read(map, action->field, values.base[layer], value);
	memcpy(action->value, value, sizeof(value));
	if (bytes_zero(value, field_bytes(action->field)) && !c->per_entry) {
		struct action_arg *arg = add_arg(c, action, ARG_FIELD, field_bytes(action->field));

		if (!arg)
			return too_many(c);
		arg->map = map;
		arg->layer = layer;
		field_full_mask(action->field, arg->mask);
	}
	return DOCA_SUCCESS;
}

static doca_error_t compile_desc(struct compiler *c, const struct doca_flow_action_desc *desc, uint16_t dst,
	uint32_t dst_bit, uint32_t width)
{
	struct steer_action *action;
	uint16_t src = STEER_F_NONE;
	uint32_t src_bit = 0;
	doca_error_t result;

	if (desc->field_op.src.field_string) {
		result = resolve(c, "source", &desc->field_op.src, width, &src, &src_bit);
		if (result != DOCA_SUCCESS)
			return result;
	} else if (desc->type == DOCA_FLOW_ACTION_COPY) {
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = c->pipe, .field = desc->field_op.dst.field_string, .rule = "desc-field"),
			"a copy needs a source");
	}
	action = add_action(c, desc->type == DOCA_FLOW_ACTION_COPY ? STEER_ACT_COPY
			       : src                               ? STEER_ACT_ADD_FIELD
								   : STEER_ACT_ADD);
	if (!action)
		return too_many(c);
	action->field = dst;
	action->dst_bit = (uint8_t)dst_bit;
	action->src_field = src;
	action->src_bit = (uint8_t)src_bit;
	action->width = (uint8_t)width;
	return src ? DOCA_SUCCESS : compile_add_value(c, desc, action);
}

static uint32_t desc_width(const struct doca_flow_action_desc *desc, uint16_t dst)
{
	return desc->field_op.width ? desc->field_op.width : field_bits(dst);
}

// Which fields descriptors add to; all descriptors are checked here.
static doca_error_t prepare_descs(struct compiler *c)
{
	for (unsigned int i = 0; i < c->cfg->nr_descs; i++) {
		const struct doca_flow_action_desc *desc = &c->cfg->descs[i];
		uint16_t dst;
		uint32_t bit;
		doca_error_t result;

		if (desc->type == DOCA_FLOW_ACTION_AUTO)
			continue;
		if (desc->type > DOCA_FLOW_ACTION_COPY || !desc->field_op.dst.field_string)
			return refuse(DOCA_ERROR_INVALID_VALUE, AT(.pipe = c->pipe, .rule = "desc-field"),
				"action descriptor %u has an unknown type or no destination", i);
		dst = field_by_string(desc->field_op.dst.field_string, desc->field_op.dst.bit_offset, &bit);
		result = resolve(
			c, "destination", &desc->field_op.dst, dst ? desc_width(desc, dst) : 0, &dst, &bit);
		if (result != DOCA_SUCCESS)
			return result;
		if (layer_of(dst) == FIELD_PARSER)
			return refuse(DOCA_ERROR_INVALID_VALUE,
				AT(.pipe = c->pipe, .field = desc->field_op.dst.field_string,
					.rule = "read-only"),
				"parser_meta can be copied from, not to");
		if (desc->type == DOCA_FLOW_ACTION_ADD && !desc->field_op.src.field_string &&
			c->nr_added < sizeof(c->added) / sizeof(c->added[0]))
			c->added[c->nr_added++] = dst;
	}
	return DOCA_SUCCESS;
}

static doca_error_t compile_descs(struct compiler *c, enum field_layer layer)
{
	doca_error_t result = DOCA_SUCCESS;

	for (unsigned int i = 0; i < c->cfg->nr_descs && result == DOCA_SUCCESS; i++) {
		const struct doca_flow_action_desc *desc = &c->cfg->descs[i];
		enum field_layer group;
		uint16_t dst;
		uint32_t bit;

		if (desc->type == DOCA_FLOW_ACTION_AUTO)
			continue;
		dst = field_by_string(desc->field_op.dst.field_string, desc->field_op.dst.bit_offset, &bit);
		group = layer_of(dst) == FIELD_INNER ? FIELD_OUTER : layer_of(dst);
		if (group == layer)
			result = compile_desc(c, desc, dst, bit, desc_width(desc, dst));
	}
	return result;
}

// --- headers

static doca_error_t compile_shared(struct compiler *c, uint8_t kind, int source, uint32_t id)
{
	struct steer_action *action = add_action(c, kind);

	if (!action)
		return too_many(c);
	if (id == UINT32_MAX && !c->per_entry)
		return add_arg(c, action, source, sizeof(id)) ? DOCA_SUCCESS : too_many(c);
	memcpy(action->value, &id, sizeof(id));
	return shared_check(c->pipe,
		kind == STEER_ACT_SHARED_ENCAP ? DOCA_FLOW_SHARED_RESOURCE_ENCAP
					       : DOCA_FLOW_SHARED_RESOURCE_DECAP,
		id);
}

static doca_error_t compile_decap(struct compiler *c)
{
	const struct doca_flow_actions *actions = &c->cfg->actions;
	const struct doca_flow_resource_decap_cfg *cfg = &actions->decap_cfg;
	uint8_t data[STEER_ENCAP_MAX];
	struct steer_action *action;
	uint16_t bytes = 0;

	if (actions->decap_type == DOCA_FLOW_RESOURCE_TYPE_NONE)
		return DOCA_SUCCESS;
	if (actions->decap_type == DOCA_FLOW_RESOURCE_TYPE_SHARED)
		return compile_shared(c, STEER_ACT_SHARED_DECAP, ARG_SHARED_DECAP, actions->shared_decap_id);
	action = add_action(c, STEER_ACT_DECAP);
	if (!action)
		return too_many(c);
	if (cfg->is_l2) {
		action->flags |= STEER_ACT_L2;
		return DOCA_SUCCESS;
	}
	decap_build(cfg, data, &bytes);
	if (!decap_changeable(cfg) || c->per_entry)
		return add_data(c, action, data, bytes) ? DOCA_SUCCESS : too_many(c);
	action->data_length = bytes;
	c->out->decap = malloc(sizeof(*cfg));
	if (!c->out->decap)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
	*c->out->decap = *cfg;
	return add_arg(c, action, ARG_DECAP_ETH, bytes) ? DOCA_SUCCESS : too_many(c);
}

static doca_error_t compile_encap(struct compiler *c)
{
	const struct doca_flow_actions *actions = &c->cfg->actions;
	const struct doca_flow_resource_encap_cfg *cfg = &actions->encap_cfg;
	uint8_t data[STEER_ENCAP_MAX];
	struct steer_action *action;
	uint16_t bytes = 0;
	doca_error_t result;

	if (actions->encap_type == DOCA_FLOW_RESOURCE_TYPE_NONE) {
		static const struct doca_flow_resource_encap_cfg none;

		if (memcmp(cfg, &none, sizeof(none)))
			return lint(AT(.pipe = c->pipe, .field = "encap_type", .rule = "encap-without-type"),
				"encap_cfg is filled in, but encap_type says there is none: nothing is "
				"encapsulated");
		return DOCA_SUCCESS;
	}
	if (actions->encap_type == DOCA_FLOW_RESOURCE_TYPE_SHARED)
		return compile_shared(c, STEER_ACT_SHARED_ENCAP, ARG_SHARED_ENCAP, actions->shared_encap_id);
	action = add_action(c, STEER_ACT_ENCAP);
	if (!action)
		return too_many(c);
	if (cfg->is_l2)
		action->flags |= STEER_ACT_L2;
	result = encap_build(c->pipe, cfg, data, &bytes, &action->tunnel);
	if (result != DOCA_SUCCESS)
		return result;
	if (!encap_changeable(cfg) || c->per_entry)
		return add_data(c, action, data, bytes) ? DOCA_SUCCESS : too_many(c);
	action->data_length = bytes;
	c->out->encap = malloc(sizeof(*cfg));
	if (!c->out->encap)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
	*c->out->encap = *cfg;
	return add_arg(c, action, ARG_ENCAP, bytes) ? DOCA_SUCCESS : too_many(c);
}

static doca_error_t compile_push(struct compiler *c)
{
	const struct doca_flow_push_action *push = &c->cfg->actions.push;
	struct steer_action *action;

	if (!c->cfg->actions.has_push)
		return DOCA_SUCCESS;
	if (push->type != DOCA_FLOW_PUSH_ACTION_VLAN)
		return refuse(DOCA_ERROR_NOT_SUPPORTED,
			AT(.pipe = c->pipe, .field = "push.type", .rule = "push"),
			"only VLAN headers can be pushed");
	action = add_action(c, STEER_ACT_PUSH_VLAN);
	if (!action)
		return too_many(c);
	memcpy(action->value, &push->vlan.eth_type, 2);
	memcpy(action->value + 2, &push->vlan.vlan_hdr.tci, 2);
	if (push->vlan.vlan_hdr.tci == UINT16_MAX && !c->per_entry) {
		struct action_arg *arg = add_arg(c, action, ARG_PUSH_VLAN, 4);

		if (!arg)
			return too_many(c);
		memcpy(arg->mask, action->value, 2);
	}
	return DOCA_SUCCESS;
}

static doca_error_t compile_nat64(struct compiler *c)
{
	enum doca_flow_l3_type type = c->cfg->actions.nat64.original_l3_type;
	struct steer_action *action;

	if (!c->cfg->has_actions || type == DOCA_FLOW_L3_TYPE_NONE)
		return DOCA_SUCCESS;
	action = add_action(c, STEER_ACT_NAT64);
	if (!action)
		return too_many(c);
	action->value[0] = type == DOCA_FLOW_L3_TYPE_IP4 ? 4 : 6;
	return DOCA_SUCCESS;
}

static doca_error_t check_crypto(const struct compiler *c)
{
	const struct doca_flow_actions *actions = &c->cfg->actions;

	if (actions->has_crypto_encap || actions->crypto.action_type != DOCA_FLOW_CRYPTO_ACTION_NONE)
		return refuse(DOCA_ERROR_NOT_SUPPORTED,
			AT(.pipe = c->pipe, .field = "crypto", .rule = "crypto"),
			"Ringfield has no IPsec and no PSP");
	return DOCA_SUCCESS;
}

static doca_error_t compile_pop(struct compiler *c)
{
	if (c->cfg->actions.pop_vlan && !add_action(c, STEER_ACT_POP_VLAN))
		return too_many(c);
	return DOCA_SUCCESS;
}

doca_error_t actions_compile(
	struct action_template *template, const char *pipe, const struct actions_cfg *cfg, bool per_entry)
{
	struct compiler c = {.out = template, .cfg = cfg, .pipe = pipe, .per_entry = per_entry};
	struct field_view view;
	doca_error_t result;

	memset(template, 0, sizeof(*template));
	field_view_actions(&view, &cfg->actions);
	field_gates(template->gates, &view);
	result = check_crypto(&c);
	if (result == DOCA_SUCCESS)
		result = prepare_descs(&c);
	// DOCA's order of execution.
	if (result == DOCA_SUCCESS)
		result = compile_decap(&c);
	if (result == DOCA_SUCCESS)
		result = compile_pop(&c);
	for (int layer = FIELD_META; layer <= FIELD_TUN && result == DOCA_SUCCESS; layer++) {
		if (layer == FIELD_PARSER)
			continue;
		result = compile_layer(&c, layer);
		if (result == DOCA_SUCCESS)
			result = compile_descs(&c, layer);
	}
	if (result == DOCA_SUCCESS)
		result = compile_nat64(&c);
	if (result == DOCA_SUCCESS)
		result = compile_push(&c);
	if (result == DOCA_SUCCESS)
		result = compile_encap(&c);
	if (result != DOCA_SUCCESS)
		actions_release(template);
	return result;
}

void actions_release(struct action_template *template)
{
	free(template->encap);
	free(template->decap);
	template->encap = NULL;
	template->decap = NULL;
}

bool actions_shared_changeable(const struct action_template *template)
{
	for (unsigned int i = 0; i < template->nr_args; i++)
		if (template->args[i].source == ARG_SHARED_ENCAP ||
			template->args[i].source == ARG_SHARED_DECAP)
			return true;
	return false;
}

static doca_error_t fill_encap(const char *pipe, const struct action_template *template,
	const struct action_arg *arg, const struct doca_flow_resource_encap_cfg *entry, uint8_t *to)
{
	// An adopted pipe's own header is not known: its entries bring all of it.
	struct doca_flow_resource_encap_cfg merged = template->encap ? *template->encap : *entry;
	uint8_t data[STEER_ENCAP_MAX], tunnel;
	uint16_t bytes = 0;
	doca_error_t result;

	if (template->encap)
		encap_merge(&merged, entry);
	result = encap_build(pipe, &merged, data, &bytes, &tunnel);
	if (result == DOCA_SUCCESS && bytes != arg->bytes)
		result = refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe, .field = "encap", .rule = "encap-size"),
			"the entry's encapsulation has %u bytes, the template's %u", bytes, arg->bytes);
	if (result == DOCA_SUCCESS)
		memcpy(to, data, bytes);
	return result;
}

doca_error_t actions_args(const char *pipe, const struct action_template *template,
	const struct doca_flow_actions *actions, uint8_t *args)
{
	struct field_view view;
	uint8_t value[STEER_FIELD_BYTES_MAX];
	doca_error_t result = DOCA_SUCCESS;

	if (!template->nr_args)
		return DOCA_SUCCESS;
	if (!actions)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe, .field = "actions", .rule = "actions-missing"),
			"the action template takes values from its entries, but actions is NULL");
	field_view_actions(&view, actions);
	for (unsigned int i = 0; i < template->nr_args && result == DOCA_SUCCESS; i++) {
		const struct action_arg *arg = &template->args[i];
		uint8_t *to = args + arg->offset;

		switch (arg->source) {
		case ARG_FIELD:
			field_read(arg->map, field_id(arg->map, arg->layer), view.base[arg->layer], value);
			for (unsigned int b = 0; b < arg->bytes; b++)
				to[b] = value[b] & arg->mask[b];
			break;
		case ARG_ENCAP:
			result = fill_encap(pipe, template, arg, &actions->encap_cfg, to);
			break;
		case ARG_DECAP_ETH: {
			struct doca_flow_resource_decap_cfg merged =
				template->decap ? *template->decap : actions->decap_cfg;
			uint8_t header[STEER_ENCAP_MAX];
			uint16_t bytes;

			if (template->decap)
				decap_merge(&merged, &actions->decap_cfg);
			decap_build(&merged, header, &bytes);
			if (bytes != arg->bytes)
				return refuse(DOCA_ERROR_INVALID_VALUE,
					AT(.pipe = pipe, .field = "decap", .rule = "encap-size"),
					"the entry's header has %u bytes, the template's %u", bytes,
					arg->bytes);
			memcpy(to, header, bytes);
			break;
		}
		case ARG_PUSH_VLAN:
			memcpy(to, arg->mask, 2);
			memcpy(to + 2, &actions->push.vlan.vlan_hdr.tci, 2);
			break;
		case ARG_SHARED_ENCAP:
			memcpy(to, &actions->shared_encap_id, sizeof(actions->shared_encap_id));
			break;
		case ARG_SHARED_DECAP:
			memcpy(to, &actions->shared_decap_id, sizeof(actions->shared_decap_id));
			break;
		}
	}
	return result;
}
