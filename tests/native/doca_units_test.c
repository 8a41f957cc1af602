// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What libdoca_flow decides before anything is sent: masks, keys, action lists, headers, field strings, refusals.

#include <stddef.h>
#include <string.h>

#include <doca_bitfield.h>

#include "actions.h"
#include "error.h"
#include "match.h"
#include "tap.h"

#define success(call) ok((call) == DOCA_SUCCESS, "%s: %s", #call, doca_flow_ringfield_last_error())

// The refusal has this code, and its sentence says these words.
static void refused(doca_error_t result, doca_error_t code, const char *words)
{
	ok(result == code && strstr(doca_flow_ringfield_last_error(), words), "%s, not %s: %s",
		doca_error_get_name(code), doca_error_get_name(result), doca_flow_ringfield_last_error());
}

static const struct match_field *field_of(const struct match_template *template, uint16_t field)
{
	for (unsigned int i = 0; i < template->nr_fields; i++)
		if (template->fields[i].field == field)
			return &template->fields[i];
	return NULL;
}

// --- the table

// Sets the selectors that make a row count; for a layer of a match or of actions.
static void select_row(
	const struct field_map *row, struct doca_flow_header_format *header, struct doca_flow_tun *tun)
{
	static const struct {
		uint16_t l2_valid;
		enum doca_flow_l3_type l3;
		enum doca_flow_l4_type_ext l4;
		enum doca_flow_tun_type tun;
		int extension;
	} selectors[] = {
		[SELECT_VLAN0] = {.l2_valid = DOCA_FLOW_L2_VALID_HEADER_VLAN_0},
		[SELECT_VLAN1] = {.l2_valid = DOCA_FLOW_L2_VALID_HEADER_VLAN_1},
		[SELECT_IP4] = {.l3 = DOCA_FLOW_L3_TYPE_IP4},
		[SELECT_IP6] = {.l3 = DOCA_FLOW_L3_TYPE_IP6},
		[SELECT_PORTS] = {.l4 = DOCA_FLOW_L4_TYPE_EXT_TRANSPORT},
		[SELECT_TCP] = {.l4 = DOCA_FLOW_L4_TYPE_EXT_TCP},
		[SELECT_ICMP] = {.l4 = DOCA_FLOW_L4_TYPE_EXT_ICMP},
		[SELECT_BTH] = {.l4 = DOCA_FLOW_L4_TYPE_EXT_ROCE_V2},
		[SELECT_VXLAN] = {.tun = DOCA_FLOW_TUN_VXLAN},
		[SELECT_VXLAN_GPE] = {.tun = DOCA_FLOW_TUN_VXLAN, .extension = DOCA_FLOW_TUN_EXT_VXLAN_GPE},
		[SELECT_VXLAN_GBP] = {.tun = DOCA_FLOW_TUN_VXLAN, .extension = DOCA_FLOW_TUN_EXT_VXLAN_GBP},
		[SELECT_GRE_STANDARD] = {.tun = DOCA_FLOW_TUN_GRE,
			.extension = DOCA_FLOW_TUN_EXT_GRE_STANDARD},
		[SELECT_NVGRE] = {.tun = DOCA_FLOW_TUN_GRE, .extension = DOCA_FLOW_TUN_EXT_GRE_NVGRE},
		[SELECT_GTPU] = {.tun = DOCA_FLOW_TUN_GTPU},
		[SELECT_ESP] = {.tun = DOCA_FLOW_TUN_ESP},
		[SELECT_MPLS] = {.tun = DOCA_FLOW_TUN_MPLS_O_UDP},
		[SELECT_GENEVE] = {.tun = DOCA_FLOW_TUN_GENEVE},
		[SELECT_PSP] = {.tun = DOCA_FLOW_TUN_PSP},
	};

	header->l2_valid_headers = selectors[row->selector].l2_valid;
	header->l3_type = selectors[row->selector].l3;
	header->l4_type_ext = selectors[row->selector].l4;
	tun->type = selectors[row->selector].tun;
	if (tun->type == DOCA_FLOW_TUN_VXLAN)
		tun->vxlan_type = (enum doca_flow_tun_ext_vxlan_type)selectors[row->selector].extension;
	if (tun->type == DOCA_FLOW_TUN_GRE)
		tun->gre_type = (enum doca_flow_tun_ext_gre_type)selectors[row->selector].extension;
}

static uint8_t *base_of(struct doca_flow_match *match, int layer)
{
	struct field_view view;

	field_view_match(&view, match);
	return (uint8_t *)match + (view.base[layer] - (const uint8_t *)match);
}

// A member of all ones is one changeable field, with the bytes of the entry in the key; without its selector it is none.
static void one_row(int layer, const struct field_map *row)
{
	struct doca_flow_match match = {0}, mask = {0}, entry = {0};
	struct doca_flow_header_format *header = layer == FIELD_INNER ? &match.inner : &match.outer;
	struct doca_flow_pipe pipe = {.name = "ROW"};
	struct match_template *template = &pipe.match;
	const struct match_field *field;
	uint16_t id = field_id(row, layer);
	uint8_t key[STEER_KEY_MAX] = {0}, full[STEER_FIELD_BYTES_MAX], value[STEER_FIELD_BYTES_MAX];
	const char *label = field_label(row, layer);
	doca_error_t result;

	select_row(row, header, &match.tun);
	mask = entry = match;
	memset(base_of(&match, layer) + row->offset, 0xff, row->size);
	memset(base_of(&mask, layer) + row->offset, 0xff, row->size);
	for (unsigned int i = 0; i < row->size; i++)
		base_of(&entry, layer)[row->offset + i] = (uint8_t)(0x81 + i);
	result = match_compile(
		template, "ROW", DOCA_FLOW_PIPE_BASIC, &match, row->implicit_off ? &mask : NULL);
	if (!id) {
		ok(result == DOCA_ERROR_NOT_SUPPORTED && strstr(doca_flow_ringfield_last_error(), label),
			"%s is refused by its name", label);
		return;
	}
	field = result == DOCA_SUCCESS ? field_of(template, id) : NULL;
	if (!ok(field && template->nr_fields == 1, "%s alone is matched (%u)", label, template->nr_fields))
		return;
	field_full_mask(id, full);
	ok(!memcmp(field->mask, full, sizeof(full)), "%s: the mask has all %u bits", label, field_bits(id));
	if (row->conversion == CONVERT_BOOL) {
		ok(field->kind == STEER_MATCH_CONSTANT && field->value[0] == 1, "%s: true is a value", label);
		return;
	}
	ok(field->kind == STEER_MATCH_CHANGEABLE && template->key_bytes == field_bytes(id),
		"%s comes with the entry", label);
	field_read(row, id, base_of(&entry, layer), value);
	ok(match_key(&pipe, &entry, key) == DOCA_SUCCESS, "%s: the key is packed", label);
	for (unsigned int i = 0; i < field_bytes(id); i++)
		value[i] &= full[i];
	ok(!memcmp(key, value, field_bytes(id)), "%s: the key has the entry's value", label);
	ok(row->conversion != CONVERT_BYTES || key[field_bytes(id) - 1] == (0x81 + field_bytes(id) - 1),
		"%s: the last byte is the member's", label);
	if (row->selector == SELECT_ALWAYS)
		return;
	memset(header, 0, offsetof(struct doca_flow_header_format, eth));
	match.outer.l3_type = match.inner.l3_type = DOCA_FLOW_L3_TYPE_NONE;
	match.outer.l4_type_ext = match.inner.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_NONE;
	match.outer.l2_valid_headers = match.inner.l2_valid_headers = 0;
	match.tun.type = DOCA_FLOW_TUN_NONE;
	ok(match_compile(template, "ROW", DOCA_FLOW_PIPE_BASIC, &match, NULL) == DOCA_SUCCESS &&
			!template->nr_fields,
		"%s needs its selector", label);
}

static void every_row(void)
{
	for (int layer = 0; layer < FIELD_LAYERS; layer++) {
		unsigned int nr;
		const struct field_map *rows = field_table(layer, &nr);

		for (unsigned int i = 0; i < nr; i++)
			one_row(layer, &rows[i]);
	}
}

static void every_name(void)
{
	uint32_t bit;
	unsigned int known = 0, own = 0;

	for (uint16_t field = 1; field < STEER_F_MAX; field++) {
		own += field_bits(field) > 0;
		known += field_bits(field) > 0 && field_by_string(field_name(field), 0, &bit) == field;
	}
	ok(known == own, "all %u field strings name their field (%u)", own, known);
	ok(field_by_string("meta.data", 0, &bit) == STEER_F_META_PKT && bit == 0, "meta.data bit 0");
	ok(field_by_string("meta.data", 32 * 3 + 7, &bit) == STEER_F_META_U32_2 && bit == 7,
		"meta.data bit 103 is bit 7 of u32[2]");
	ok(field_by_string("meta.data", 32 * 11, &bit) == STEER_F_NONE, "meta.data has 11 words");
	ok(field_by_string("outer.ipv4.ttl", 8, &bit) == STEER_F_NONE, "no bit 8 in a TTL");
	ok(field_by_string("outer.ip4.ttl", 0, &bit) == STEER_F_OUTER_IP4_TTL, "ip4 is ipv4");
	ok(field_by_string("outer.tcp.src_port", 0, &bit) == STEER_F_OUTER_L4_SRC_PORT, "tcp.src_port");
	ok(field_by_string("outer.ipv4.nonsense", 0, &bit) == STEER_F_NONE, "no such field");
}

// --- masks

static void masks(void)
{
	// TTL: value and mask of a pipe; what becomes of it.
	static const struct {
		uint8_t value;
		int mask; // -1: no mask at all
		int kind; // -1: not matched
		uint8_t constant;
	} cases[] = {
		{0, -1, -1, 0},
		{64, -1, STEER_MATCH_CONSTANT, 64},
		{0xff, -1, STEER_MATCH_CHANGEABLE, 0},
		{0, 0, -1, 0},
		{64, 0, -1, 0},
		{0xff, 0, -1, 0},
		{0, 0xff, STEER_MATCH_CHANGEABLE, 0},
		{0xff, 0xff, STEER_MATCH_CHANGEABLE, 0},
		{0, 0x0f, STEER_MATCH_CHANGEABLE, 0},
		{0xff, 0xf0, STEER_MATCH_CHANGEABLE, 0},
		{64, 0xff, STEER_MATCH_CONSTANT, 64},
		{0x45, 0x0f, STEER_MATCH_CONSTANT, 0x05},
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct doca_flow_match match = {
			.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4, .outer.ip4.ttl = cases[i].value};
		struct doca_flow_match mask = {.outer.ip4.ttl = (uint8_t)cases[i].mask};
		struct match_template template;
		const struct match_field *field;

		success(match_compile(
			&template, "MASK", DOCA_FLOW_PIPE_BASIC, &match, cases[i].mask < 0 ? NULL : &mask));
		field = field_of(&template, STEER_F_OUTER_IP4_TTL);
		if (cases[i].kind < 0)
			ok(!field && !template.nr_fields, "value %02x, mask %d: not matched", cases[i].value,
				cases[i].mask);
		else
			ok(field && field->kind == cases[i].kind && field->value[0] == cases[i].constant &&
					field->mask[0] == (cases[i].mask < 0 ? 0xff : cases[i].mask),
				"value %02x, mask %d", cases[i].value, cases[i].mask);
	}
}

static void match_rules(void)
{
	struct doca_flow_match match = {0}, mask = {0};
	struct match_template template;

	match.meta.pkt_meta = UINT32_MAX;
	refused(match_compile(&template, "META", DOCA_FLOW_PIPE_BASIC, &match, NULL),
		DOCA_ERROR_INVALID_VALUE, "pipe META");
	refused(match_compile(&template, "META", DOCA_FLOW_PIPE_BASIC, &match, NULL),
		DOCA_ERROR_INVALID_VALUE, "meta.pkt_meta");
	mask.meta.pkt_meta = 0x00ffff00;
	success(match_compile(&template, "META", DOCA_FLOW_PIPE_BASIC, &match, &mask));
	ok(template.nr_fields == 1 && template.key_bytes == 4, "metadata with a mask");

	memset(&match, 0, sizeof(match));
	match.outer.l3_type = (enum doca_flow_l3_type)UINT32_MAX;
	refused(match_compile(&template, "P", DOCA_FLOW_PIPE_BASIC, &match, NULL), DOCA_ERROR_INVALID_VALUE,
		"outer.l3_type");
	match.outer.l3_type = (enum doca_flow_l3_type)17;
	refused(match_compile(&template, "P", DOCA_FLOW_PIPE_BASIC, &match, NULL), DOCA_ERROR_INVALID_VALUE,
		"17");

	// LPM: exactly one address, and it goes last.
	memset(&match, 0, sizeof(match));
	match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	match.outer.ip4.ttl = 0xff;
	refused(match_compile(&template, "LPM", DOCA_FLOW_PIPE_LPM, &match, NULL), DOCA_ERROR_INVALID_VALUE,
		"address");
	match.outer.ip4.src_ip = UINT32_MAX;
	match.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_UDP;
	match.outer.udp.l4_port.dst_port = UINT16_MAX;
	success(match_compile(&template, "LPM", DOCA_FLOW_PIPE_LPM, &match, NULL));
	ok(template.nr_fields == 3 && template.fields[2].kind == STEER_MATCH_PREFIX &&
			template.fields[2].field == STEER_F_OUTER_IP4_SRC && template.exact_bytes == 3 &&
			template.key_bytes == 3 + 8,
		"exact fields, then the address and its prefix");
	match.outer.ip4.dst_ip = UINT32_MAX;
	refused(match_compile(&template, "LPM", DOCA_FLOW_PIPE_LPM, &match, NULL), DOCA_ERROR_INVALID_VALUE,
		"one address");

	// ACL: the protocol is always one of its fields.
	success(match_compile(&template, "ACL", DOCA_FLOW_PIPE_ACL, &match, NULL));
	ok(field_of(&template, STEER_F_PM_OUTER_L4_TYPE) &&
			field_of(&template, STEER_F_PM_OUTER_L4_TYPE)->kind == STEER_MATCH_ACL,
		"an ACL looks at the protocol");
	ok(field_of(&template, STEER_F_OUTER_IP4_DST)->kind == STEER_MATCH_ACL, "and at addresses");

	// A selector may come with the mask.
	memset(&match, 0, sizeof(match));
	memset(&mask, 0, sizeof(mask));
	mask.outer.l3_type = DOCA_FLOW_L3_TYPE_IP6;
	memset(mask.outer.ip6.dst_ip, 0xff, sizeof(mask.outer.ip6.dst_ip));
	success(match_compile(&template, "HASH", DOCA_FLOW_PIPE_HASH, &match, &mask));
	ok(template.nr_fields == 1 && template.fields[0].field == STEER_F_OUTER_IP6_DST,
		"layout of the mask");
}

static void entry_keys(void)
{
	struct doca_flow_match match = {.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4}, mask = {0}, entry = match;
	struct doca_flow_pipe pipe = {.name = "KEYS"};
	uint8_t key[STEER_KEY_MAX];
	static const uint8_t prefix[8] = {10, 1, 0, 0, 255, 255, 0, 0};

	match.outer.ip4.dst_ip = UINT32_MAX;
	success(match_compile(&pipe.match, "KEYS", DOCA_FLOW_PIPE_LPM, &match, NULL));
	entry.outer.ip4.dst_ip = DOCA_HTOBE32(0x0a010203);
	mask.outer.ip4.dst_ip = DOCA_HTOBE32(0xffff0000);
	success(match_key_lpm(&pipe, &entry, &mask, key));
	ok(!memcmp(key, prefix, sizeof(prefix)), "an LPM key: address within the prefix, then the prefix");
	mask.outer.ip4.dst_ip = DOCA_HTOBE32(0xff00ff00);
	refused(match_key_lpm(&pipe, &entry, &mask, key), DOCA_ERROR_INVALID_VALUE, "prefix");

	match.outer.l4_type_ext = entry.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_UDP;
	match.outer.udp.l4_port.dst_port = UINT16_MAX;
	success(match_compile(&pipe.match, "KEYS", DOCA_FLOW_PIPE_ACL, &match, NULL));
	entry.outer.udp.l4_port.dst_port = DOCA_HTOBE16(1000);
	mask.outer.udp.l4_port.dst_port = DOCA_HTOBE16(2000);
	success(match_key_acl(&pipe, &entry, &mask, key));
	mask.outer.udp.l4_port.dst_port = DOCA_HTOBE16(999);
	refused(match_key_acl(&pipe, &entry, &mask, key), DOCA_ERROR_INVALID_VALUE, "1000 to 999");
}

// --- actions

static void actions(void)
{
	struct actions_cfg cfg = {.has_actions = true};
	struct action_template template;
	struct doca_flow_actions entry = {0};
	uint8_t args[64] = {0};

	cfg.actions.meta.pkt_meta = UINT32_MAX;
	cfg.actions.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	cfg.actions.outer.ip4.ttl = 64;
	cfg.actions.outer.ip4.dst_ip = UINT32_MAX;
	memset(cfg.actions.outer.eth.src_mac, 0xff, 6);
	cfg.actions.pop_vlan = true;
	cfg.actions.decap_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED;
	cfg.actions.decap_cfg.is_l2 = true;
	success(actions_compile(&template, "ACT", &cfg, false));
	ok(template.nr_actions == 6 && template.actions[0].kind == STEER_ACT_DECAP &&
			template.actions[1].kind == STEER_ACT_POP_VLAN &&
			template.actions[2].field == STEER_F_META_PKT &&
			template.actions[3].field == STEER_F_OUTER_ETH_SRC &&
			template.actions[4].field == STEER_F_OUTER_IP4_TTL &&
			template.actions[5].field == STEER_F_OUTER_IP4_DST,
		"decapsulate, pop, metadata, headers from the outside in");
	ok(template.nr_args == 3 && template.args_bytes == 14 && template.actions[4].value[0] == 64 &&
			!(template.actions[4].flags & STEER_ACT_CHANGEABLE) &&
			template.actions[5].flags & STEER_ACT_CHANGEABLE,
		"all ones come with the entry (%u arguments, %u bytes)", template.nr_args,
		template.args_bytes);
	entry.meta.pkt_meta = 0x01020304;
	memcpy(entry.outer.eth.src_mac, "\x02\x00\x00\x00\x00\x07", 6);
	entry.outer.ip4.dst_ip = DOCA_HTOBE32(0x0a000001);
	success(actions_args("ACT", &template, &entry, args));
	ok(!memcmp(args + template.actions[3].arg_offset, "\x02\x00\x00\x00\x00\x07", 6) &&
			!memcmp(args + template.actions[5].arg_offset, "\x0a\x00\x00\x01", 4) &&
			!memcmp(args + template.actions[2].arg_offset, &entry.meta.pkt_meta, 4),
		"the entry's values where the actions look for them");
	refused(actions_args("ACT", &template, NULL, args), DOCA_ERROR_INVALID_VALUE, "actions");
	actions_release(&template);

	success(actions_compile(&template, "ACT", &cfg, true));
	ok(!template.nr_args, "entries that bring everything leave nothing open");
	actions_release(&template);

	// A mask: only its bits are written, and zero is a value.
	memset(&cfg, 0, sizeof(cfg));
	cfg.has_actions = cfg.has_mask = true;
	cfg.actions.meta.u32[1] = 0x1234;
	cfg.mask.meta.u32[1] = 0x00ff;
	cfg.mask.meta.u32[2] = UINT32_MAX;
	success(actions_compile(&template, "ACT", &cfg, false));
	ok(template.nr_actions == 2 && template.actions[1].field == STEER_F_META_U32_2 &&
			!(template.actions[1].flags & STEER_ACT_CHANGEABLE) && !template.actions[1].value[0],
		"masked writes");
	actions_release(&template);
}

static void descriptors(void)
{
	struct doca_flow_action_desc desc = {.type = DOCA_FLOW_ACTION_COPY};
	struct actions_cfg cfg = {.has_actions = true, .nr_descs = 1, .descs = &desc};
	struct action_template template;

	desc.field_op.src.field_string = "outer.ipv4.src_ip";
	desc.field_op.src.bit_offset = 8;
	desc.field_op.dst.field_string = "meta.data";
	desc.field_op.dst.bit_offset = 40;
	desc.field_op.width = 16;
	success(actions_compile(&template, "DESC", &cfg, false));
	ok(template.nr_actions == 1 && template.actions[0].kind == STEER_ACT_COPY &&
			template.actions[0].field == STEER_F_META_U32_0 && template.actions[0].dst_bit == 8 &&
			template.actions[0].src_field == STEER_F_OUTER_IP4_SRC &&
			template.actions[0].src_bit == 8 && template.actions[0].width == 16,
		"a copy of 16 bits");
	actions_release(&template);
	desc.field_op.width = 32;
	refused(actions_compile(&template, "DESC", &cfg, false), DOCA_ERROR_INVALID_VALUE, "bits 8 to 39");
	desc.field_op.width = 8;
	desc.field_op.dst.field_string = "parser_meta.outer_l3.ok";
	desc.field_op.dst.bit_offset = 0;
	desc.field_op.width = 1;
	refused(actions_compile(&template, "DESC", &cfg, false), DOCA_ERROR_INVALID_VALUE, "parser_meta");
	desc.field_op.dst.field_string = "no.such.field";
	refused(actions_compile(&template, "DESC", &cfg, false), DOCA_ERROR_INVALID_VALUE, "no.such.field");

	memset(&desc, 0, sizeof(desc));
	desc.type = DOCA_FLOW_ACTION_ADD;
	desc.field_op.dst.field_string = "outer.ipv4.ttl";
	desc.field_op.width = 8;
	refused(actions_compile(&template, "DESC", &cfg, false), DOCA_ERROR_INVALID_VALUE, "no value to add");
	cfg.actions.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	cfg.actions.outer.ip4.ttl = 0xff;
	success(actions_compile(&template, "DESC", &cfg, false));
	ok(template.nr_actions == 1 && template.actions[0].kind == STEER_ACT_ADD &&
			template.actions[0].value[0] == 0xff && !template.nr_args,
		"adding 255 takes one off, and is no plain write");
	actions_release(&template);
	cfg.actions.outer.ip4.ttl = 0;
	success(actions_compile(&template, "DESC", &cfg, false));
	ok(template.nr_args == 1, "adding zero: the entry says how much");
	actions_release(&template);
}

// --- headers

static void header_is(const struct doca_flow_resource_encap_cfg *cfg, int tunnel, const char *text)
{
	uint8_t data[STEER_ENCAP_MAX], kind = 0xff;
	char hex[2 * STEER_ENCAP_MAX + 1] = "";
	uint16_t bytes = 0;

	success(encap_build("ENCAP", cfg, data, &bytes, &kind));
	for (unsigned int i = 34; i < bytes; i++) // behind Ethernet and IPv4
		snprintf(hex + 2 * (i - 34), 3, "%02x", data[i]);
	ok(kind == tunnel && !strcmp(hex, text), "tunnel %d: %s", kind, hex);
}

static void headers(void)
{
	static const uint8_t front[34] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0,
		64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
	struct doca_flow_resource_encap_cfg cfg = {.is_l2 = true}, open, entry;
	struct doca_flow_header_format *outer = &cfg.encap.outer;
	struct doca_flow_tun *tun = &cfg.encap.tun;
	struct doca_flow_resource_encap_cfg plain;
	uint8_t data[STEER_ENCAP_MAX], kind;
	uint16_t bytes;

	refused(encap_build("ENCAP", &cfg, data, &bytes, &kind), DOCA_ERROR_INVALID_VALUE, "IPv4 or IPv6");
	memcpy(outer->eth.dst_mac, front, 6);
	memcpy(outer->eth.src_mac, front + 6, 6);
	outer->l3_type = DOCA_FLOW_L3_TYPE_IP4;
	outer->ip4.src_ip = DOCA_HTOBE32(0x0a000001);
	outer->ip4.dst_ip = DOCA_HTOBE32(0x0a000002);
	outer->ip4.ttl = 64;
	plain = cfg;

	tun->type = DOCA_FLOW_TUN_VXLAN;
	tun->vxlan_tun_id = DOCA_HTOBE32(0x123456);
	outer->l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_UDP;
	outer->udp.l4_port.src_port = DOCA_HTOBE16(0x1111);
	header_is(&cfg, STEER_TUN_VXLAN,
		"111112b50000000008000000"
		"12345600");
	success(encap_build("ENCAP", &cfg, data, &bytes, &kind));
	ok(bytes == 50 && !memcmp(data, front, sizeof(front)), "Ethernet and IPv4 in front of it");
	tun->vxlan_type = DOCA_FLOW_TUN_EXT_VXLAN_GPE;
	tun->vxlan_gpe_next_protocol = 3;
	header_is(&cfg, STEER_TUN_VXLAN_GPE,
		"111112b6000000000c000003"
		"12345600");
	tun->vxlan_gpe_next_protocol = 0;
	tun->vxlan_type = DOCA_FLOW_TUN_EXT_VXLAN_GBP;
	tun->vxlan_gbp_group_policy_id = DOCA_HTOBE16(0x0abc);
	header_is(&cfg, STEER_TUN_VXLAN_GBP,
		"111112b50000000088000abc"
		"12345600");

	cfg = plain;
	tun->type = DOCA_FLOW_TUN_GRE;
	header_is(&cfg, STEER_TUN_GRE, "00006558");
	tun->key_present = true;
	tun->gre_key = DOCA_HTOBE32(0xdeadbeef);
	header_is(&cfg, STEER_TUN_GRE, "20006558deadbeef");
	cfg = plain;
	tun->type = DOCA_FLOW_TUN_GRE;
	tun->gre_type = DOCA_FLOW_TUN_EXT_GRE_NVGRE;
	tun->nvgre_vs_id = DOCA_HTOBE32(0x00cafe << 8);
	tun->nvgre_flow_id = 7;
	header_is(&cfg, STEER_TUN_NVGRE, "2000655800cafe07");

	cfg = plain;
	tun->type = DOCA_FLOW_TUN_GENEVE;
	tun->geneve.vni = DOCA_HTOBE32(0x000009 << 8);
	tun->geneve.next_proto = DOCA_HTOBE16(0x6558);
	tun->geneve.ver_opt_len = 1;
	tun->geneve_options[0].data = DOCA_HTOBE32(0x01020304);
	header_is(&cfg, STEER_TUN_GENEVE,
		"000017c100000000"
		"0100655800000900"
		"01020304");

	cfg = plain;
	tun->type = DOCA_FLOW_TUN_GTPU;
	tun->gtp_teid = DOCA_HTOBE32(77);
	header_is(&cfg, STEER_TUN_GTPU,
		"0000086800000000"
		"30ff00000000004d");

	cfg = plain;
	tun->type = DOCA_FLOW_TUN_MPLS_O_UDP;
	success(doca_flow_mpls_label_encode(0xabcde, 5, 33, false, &tun->mpls[0]));
	success(doca_flow_mpls_label_encode(3, 0, 1, true, &tun->mpls[1]));
	header_is(&cfg, STEER_TUN_MPLS_O_UDP,
		"000019eb00000000"
		"abcdea2100003101");

	// IPv6 and two VLAN tags.
	cfg = (struct doca_flow_resource_encap_cfg){.is_l2 = true};
	outer->l2_valid_headers = DOCA_FLOW_L2_VALID_HEADER_VLAN_0 | DOCA_FLOW_L2_VALID_HEADER_VLAN_1;
	outer->eth_vlan[0].tci = DOCA_HTOBE16(5);
	outer->eth_vlan[1].tci = DOCA_HTOBE16(6);
	outer->l3_type = DOCA_FLOW_L3_TYPE_IP6;
	outer->ip6.traffic_class = 0x12;
	outer->ip6.flow_label = DOCA_HTOBE32(0x34567);
	outer->ip6.hop_limit = 9;
	tun->type = DOCA_FLOW_TUN_GRE;
	success(encap_build("ENCAP", &cfg, data, &bytes, &kind));
	ok(bytes == 14 + 8 + 40 + 4 &&
			!memcmp(data + 12, "\x88\xa8\0\5\x81\0\0\6\x86\xdd\x61\x03\x45\x67\0\0\x2f\x09", 18),
		"QinQ, IPv6, its traffic class without ECN");

	// What is all ones comes with the entry.
	cfg = plain;
	tun->type = DOCA_FLOW_TUN_VXLAN;
	ok(!encap_changeable(&cfg), "nothing is open");
	open = entry = cfg;
	open.encap.outer.ip4.dst_ip = UINT32_MAX;
	open.encap.tun.vxlan_tun_id = UINT32_MAX;
	ok(encap_changeable(&open), "an address and a VNI are open");
	entry.encap.outer.ip4.dst_ip = DOCA_HTOBE32(0x01010101);
	entry.encap.outer.ip4.src_ip = DOCA_HTOBE32(0x09090909);
	entry.encap.tun.vxlan_tun_id = DOCA_HTOBE32(0x42);
	encap_merge(&open, &entry);
	ok(open.encap.outer.ip4.dst_ip == DOCA_HTOBE32(0x01010101) &&
			open.encap.outer.ip4.src_ip == cfg.encap.outer.ip4.src_ip &&
			open.encap.tun.vxlan_tun_id == DOCA_HTOBE32(0x42),
		"the entry fills in what is open, nothing else");
}

// --- the rest

static void helpers(void)
{
	struct doca_flow_header_mpls label;
	uint32_t number;
	uint8_t class, ttl;
	bool bottom;

	success(doca_flow_mpls_label_encode(0xfffff, 7, 255, true, &label));
	success(doca_flow_mpls_label_decode(&label, &number, &class, &ttl, &bottom));
	ok(number == 0xfffff && class == 7 && ttl == 255 && bottom, "an MPLS label there and back");
	refused(doca_flow_mpls_label_encode(1u << 20, 0, 0, false, &label), DOCA_ERROR_INVALID_VALUE,
		"20 bits");
	for (int code = DOCA_SUCCESS; code <= DOCA_ERROR_DEVICE_FATAL_ERROR; code++)
		ok(doca_error_get_name(code)[0] == 'D' && *doca_error_get_descr(code), "code %d has a name",
			code);
	ok(doca_error_get_name((doca_error_t)4711) && doca_error_get_descr((doca_error_t)4711), "others too");
}

static void objects(void)
{
	struct doca_flow_cfg *cfg;
	struct doca_flow_port_cfg *port_cfg;
	struct doca_flow_pipe_cfg *pipe_cfg;
	struct doca_flow_port *port = (void *)&cfg;

	refused(doca_flow_cfg_create(NULL), DOCA_ERROR_INVALID_VALUE, "cfg");
	success(doca_flow_cfg_create(&cfg));
	refused(doca_flow_cfg_set_pipe_queues(cfg, 0), DOCA_ERROR_INVALID_VALUE, "pipe_queues");
	refused(doca_flow_cfg_set_queue_depth(cfg, 0), DOCA_ERROR_INVALID_VALUE, "queue_depth");
	refused(doca_flow_cfg_set_mode_args(cfg, NULL), DOCA_ERROR_INVALID_VALUE, "mode_args");
	refused(doca_flow_cfg_set_nr_shared_resource(cfg, 1, (enum doca_flow_shared_resource_type)99),
		DOCA_ERROR_INVALID_VALUE, "type");
	success(doca_flow_cfg_set_mode_args(cfg, "vnf,nonsense"));
	refused(doca_flow_init(cfg), DOCA_ERROR_NOT_SUPPORTED, "nonsense");
	success(doca_flow_cfg_destroy(cfg));
	refused(doca_flow_init(NULL), DOCA_ERROR_INVALID_VALUE, "cfg");

	// Nothing works before doca_flow_init().
	success(doca_flow_port_cfg_create(&port_cfg));
	refused(doca_flow_port_start(port_cfg, &port), DOCA_ERROR_BAD_STATE, "init");
	success(doca_flow_port_cfg_destroy(port_cfg));
	refused(doca_flow_entries_process(port, 0, 0, 0), DOCA_ERROR_BAD_STATE, "init");

	success(doca_flow_pipe_cfg_create(&pipe_cfg, port));
	success(doca_flow_pipe_cfg_set_domain(pipe_cfg, DOCA_FLOW_PIPE_DOMAIN_DEFAULT));
	refused(doca_flow_pipe_cfg_set_domain(pipe_cfg, DOCA_FLOW_PIPE_DOMAIN_EGRESS),
		DOCA_ERROR_ALREADY_EXIST, "domain");
	refused(doca_flow_pipe_cfg_set_congestion_level_threshold(pipe_cfg, 101), DOCA_ERROR_INVALID_VALUE,
		"congestion");
	refused(doca_flow_pipe_cfg_set_name(pipe_cfg, NULL), DOCA_ERROR_INVALID_VALUE, "name");
	refused(doca_flow_pipe_cfg_set_match(pipe_cfg, NULL, NULL), DOCA_ERROR_INVALID_VALUE, "match");
	success(doca_flow_pipe_cfg_destroy(pipe_cfg));
	refused(doca_flow_pipe_cfg_destroy(NULL), DOCA_ERROR_INVALID_VALUE, "cfg");
}

static unsigned int lints;

static void on_lint(const struct doca_flow_ringfield_error *warning, void *user)
{
	(void)user;
	lints += warning != NULL;
}

static void lint_levels(void)
{
	struct doca_flow_match match = {.outer.ip4.ttl = 7};
	struct match_template template;

	success(doca_flow_ringfield_lint_set(DOCA_FLOW_RINGFIELD_LINT_WARN, on_lint, NULL));
	success(match_compile(&template, "LINT", DOCA_FLOW_PIPE_BASIC, &match, NULL));
	ok(lints == 1 && !template.nr_fields, "a value without a selector is told about");
	success(doca_flow_ringfield_lint_set(DOCA_FLOW_RINGFIELD_LINT_REFUSE, on_lint, NULL));
	refused(match_compile(&template, "LINT", DOCA_FLOW_PIPE_BASIC, &match, NULL),
		DOCA_ERROR_INVALID_VALUE, "selector");
	success(doca_flow_ringfield_lint_set(DOCA_FLOW_RINGFIELD_LINT_OFF, NULL, NULL));
}

int main(void)
{
	every_row();
	every_name();
	masks();
	match_rules();
	entry_keys();
	actions();
	descriptors();
	headers();
	helpers();
	objects();
	lint_levels();
	return tap_done();
}
