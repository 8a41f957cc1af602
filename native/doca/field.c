// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "field.h"

#define COUNT(array)       (sizeof(array) / sizeof((array)[0]))
#define SIZE(type, member) sizeof(((struct type *)0)->member)
#define ROW(type, member, id, convert, select)                                                              \
	{                                                                                                   \
		.field = STEER_F_##id, .offset = offsetof(struct type, member), .size = SIZE(type, member), \
		.conversion = CONVERT_##convert, .selector = SELECT_##select                                \
	}
#define ABSENT(type, member, text, select)                                           \
	{                                                                            \
		.offset = offsetof(struct type, member), .size = SIZE(type, member), \
		.selector = SELECT_##select, .name = text                            \
	}

#define META(member, id)                                                                                  \
	{                                                                                                 \
		.field = STEER_F_META_##id, .offset = offsetof(struct doca_flow_meta, member), .size = 4, \
		.implicit_off = 1                                                                         \
	}

static const struct field_map meta_table[] = {
	META(pkt_meta, PKT),
	META(u32[0], U32_0),
	META(u32[1], U32_1),
	META(u32[2], U32_2),
	META(u32[3], U32_3),
	META(u32[4], U32_4),
	META(u32[5], U32_5),
	META(u32[6], U32_6),
	META(u32[7], U32_7),
	META(u32[8], U32_8),
	META(u32[9], U32_9),
};

#define PARSER(member, id, convert) ROW(doca_flow_parser_meta, member, PM_##id, convert, ALWAYS)

static const struct field_map parser_table[] = {
	PARSER(port_id, PORT_ID, U16_HOST),
	PARSER(random, RANDOM, BYTES),
	ABSENT(doca_flow_parser_meta, ipsec_syndrome, "parser_meta.ipsec_syndrome", ALWAYS),
	ABSENT(doca_flow_parser_meta, ipsec_ar_syndrome, "parser_meta.ipsec_ar_syndrome", ALWAYS),
	ABSENT(doca_flow_parser_meta, psp_syndrome, "parser_meta.psp_syndrome", ALWAYS),
	PARSER(meter_color, METER_COLOR, BYTES),
	PARSER(outer_l2_type, OUTER_L2_TYPE, ENUM32),
	PARSER(outer_l3_type, OUTER_L3_TYPE, ENUM32),
	PARSER(outer_l4_type, OUTER_L4_TYPE, ENUM32),
	PARSER(inner_l2_type, INNER_L2_TYPE, ENUM32),
	PARSER(inner_l3_type, INNER_L3_TYPE, ENUM32),
	PARSER(inner_l4_type, INNER_L4_TYPE, ENUM32),
	PARSER(outer_ip_fragmented, OUTER_IP_FRAGMENTED, BYTES),
	PARSER(inner_ip_fragmented, INNER_IP_FRAGMENTED, BYTES),
	PARSER(outer_l3_ok, OUTER_L3_OK, BYTES),
	PARSER(outer_ip4_checksum_ok, OUTER_IP4_CHECKSUM_OK, BYTES),
	PARSER(outer_l4_ok, OUTER_L4_OK, BYTES),
	PARSER(outer_l4_checksum_ok, OUTER_L4_CHECKSUM_OK, BYTES),
	PARSER(inner_l3_ok, INNER_L3_OK, BYTES),
	PARSER(inner_ip4_checksum_ok, INNER_IP4_CHECKSUM_OK, BYTES),
	PARSER(inner_l4_ok, INNER_L4_OK, BYTES),
	PARSER(inner_l4_checksum_ok, INNER_L4_CHECKSUM_OK, BYTES),
};

#define HEADER(member, id, convert, select)                                                     \
	{                                                                                       \
		.field = STEER_F_OUTER_##id, .inner = STEER_F_INNER_##id,                       \
		.offset = offsetof(struct doca_flow_header_format, member),                     \
		.size = SIZE(doca_flow_header_format, member), .conversion = CONVERT_##convert, \
		.selector = SELECT_##select                                                     \
	}

static const struct field_map header_table[] = {
	HEADER(eth.dst_mac, ETH_DST, BYTES, ALWAYS),
	HEADER(eth.src_mac, ETH_SRC, BYTES, ALWAYS),
	HEADER(eth.type, ETH_TYPE, BYTES, ALWAYS),
	HEADER(eth_vlan[0].tci, VLAN0_TCI, BYTES, VLAN0),
	HEADER(eth_vlan[1].tci, VLAN1_TCI, BYTES, VLAN1),
	HEADER(ip4.version_ihl, IP4_VERSION_IHL, BYTES, IP4),
	HEADER(ip4.dscp_ecn, IP4_DSCP_ECN, BYTES, IP4),
	HEADER(ip4.total_len, IP4_TOTAL_LEN, BYTES, IP4),
	HEADER(ip4.identification, IP4_ID, BYTES, IP4),
	HEADER(ip4.flags_fragment_offset, IP4_FLAGS_FRAG, BYTES, IP4),
	HEADER(ip4.ttl, IP4_TTL, BYTES, IP4),
	HEADER(ip4.next_proto, IP4_PROTO, BYTES, IP4),
	HEADER(ip4.src_ip, IP4_SRC, BYTES, IP4),
	HEADER(ip4.dst_ip, IP4_DST, BYTES, IP4),
	HEADER(ip6.traffic_class, IP6_TRAFFIC_CLASS, BYTES, IP6),
	HEADER(ip6.flow_label, IP6_FLOW_LABEL, LOW20, IP6),
	HEADER(ip6.payload_len, IP6_PAYLOAD_LEN, BYTES, IP6),
	HEADER(ip6.next_proto, IP6_NEXT_PROTO, BYTES, IP6),
	HEADER(ip6.hop_limit, IP6_HOP_LIMIT, BYTES, IP6),
	HEADER(ip6.src_ip, IP6_SRC, BYTES, IP6),
	HEADER(ip6.dst_ip, IP6_DST, BYTES, IP6),
	HEADER(transport.src_port, L4_SRC_PORT, BYTES, PORTS),
	HEADER(transport.dst_port, L4_DST_PORT, BYTES, PORTS),
	HEADER(tcp.seq_num, TCP_SEQ, BYTES, TCP),
	HEADER(tcp.ack_num, TCP_ACK, BYTES, TCP),
	HEADER(tcp.data_offset, TCP_DATA_OFFSET, BYTES, TCP),
	HEADER(tcp.flags, TCP_FLAGS, BYTES, TCP),
	HEADER(icmp.type, ICMP_TYPE, BYTES, ICMP),
	HEADER(icmp.code, ICMP_CODE, BYTES, ICMP),
	HEADER(icmp.ident, ICMP_IDENT, BYTES, ICMP),
	ABSENT(doca_flow_header_format, roce_v2.bth, "outer.roce_v2.bth", BTH),
};

#define TUN(member, id, convert, select) ROW(doca_flow_tun, member, TUN_##id, convert, select)

static const struct field_map tun_table[] = {
	TUN(vxlan_tun_id, VXLAN_VNI, LOW24, VXLAN),
	TUN(vxlan_tun_rsvd1, VXLAN_RSVD2, BYTES, VXLAN),
	TUN(vxlan_gpe_flags, VXLAN_FLAGS, BYTES, VXLAN_GPE),
	TUN(vxlan_gpe_next_protocol, VXLAN_GPE_NEXT_PROTO, BYTES, VXLAN_GPE),
	TUN(vxlan_gbp_group_policy_id, VXLAN_GBP_POLICY_ID, BYTES, VXLAN_GBP),
	// NVGRE is what it is by its protocol: only GRE has one to match.
	TUN(protocol, GRE_PROTOCOL, BYTES, GRE_STANDARD),
	TUN(key_present, GRE_KEY_PRESENT, BOOL, GRE_STANDARD),
	TUN(gre_key, GRE_KEY, BYTES, GRE_STANDARD),
	TUN(nvgre_vs_id, NVGRE_VS_ID, HIGH24, NVGRE),
	TUN(nvgre_flow_id, NVGRE_FLOW_ID, BYTES, NVGRE),
	TUN(gtp_teid, GTP_TEID, BYTES, GTPU),
	ABSENT(doca_flow_tun, gtp_next_ext_hdr_type, "tunnel.gtp.next_ext_hdr_type", GTPU),
	ABSENT(doca_flow_tun, gtp_ext_psc_qfi, "tunnel.gtp.ext_psc_qfi", GTPU),
	TUN(esp_spi, ESP_SPI, BYTES, ESP),
	TUN(esp_sn, ESP_SN, BYTES, ESP),
	TUN(mpls[0].label, MPLS_0, BYTES, MPLS),
	TUN(mpls[1].label, MPLS_1, BYTES, MPLS),
	TUN(mpls[2].label, MPLS_2, BYTES, MPLS),
	TUN(mpls[3].label, MPLS_3, BYTES, MPLS),
	TUN(mpls[4].label, MPLS_4, BYTES, MPLS),
	TUN(geneve.vni, GENEVE_VNI, HIGH24, GENEVE),
	TUN(geneve.ver_opt_len, GENEVE_VER_OPT_LEN, BYTES, GENEVE),
	TUN(geneve.o_c, GENEVE_O_C, BYTES, GENEVE),
	TUN(geneve.next_proto, GENEVE_NEXT_PROTO, BYTES, GENEVE),
	ABSENT(doca_flow_tun, geneve_options, "tunnel.geneve.options", GENEVE),
	ABSENT(doca_flow_tun, psp, "tunnel.psp", PSP),
};

static const struct {
	const struct field_map *rows;
	unsigned int nr;
} tables[FIELD_LAYERS] = {
	[FIELD_META] = {meta_table, COUNT(meta_table)},
	[FIELD_PARSER] = {parser_table, COUNT(parser_table)},
	[FIELD_OUTER] = {header_table, COUNT(header_table)},
	[FIELD_TUN] = {tun_table, COUNT(tun_table)},
	[FIELD_INNER] = {header_table, COUNT(header_table)},
};

static const struct {
	const char *name;
	uint16_t bits;
} wire[STEER_F_MAX] = {
#define WIRE(id, text, width) [STEER_F_##id] = {text, width},
	STEERING_FIELDS(WIRE)
#undef WIRE
};

const struct field_map *field_table(enum field_layer layer, unsigned int *nr)
{
	*nr = tables[layer].nr;
	return tables[layer].rows;
}

void field_view_match(struct field_view *view, const struct doca_flow_match *match)
{
	view->base[FIELD_META] = (const uint8_t *)&match->meta;
	view->base[FIELD_PARSER] = (const uint8_t *)&match->parser_meta;
	view->base[FIELD_OUTER] = (const uint8_t *)&match->outer;
	view->base[FIELD_TUN] = (const uint8_t *)&match->tun;
	view->base[FIELD_INNER] = (const uint8_t *)&match->inner;
}

void field_view_actions(struct field_view *view, const struct doca_flow_actions *actions)
{
	view->base[FIELD_META] = (const uint8_t *)&actions->meta;
	view->base[FIELD_PARSER] = NULL; // read-only: only a source of copies
	view->base[FIELD_OUTER] = (const uint8_t *)&actions->outer;
	view->base[FIELD_TUN] = (const uint8_t *)&actions->tun;
	view->base[FIELD_INNER] = NULL;
}

void field_gates(struct field_gate gates[FIELD_LAYERS], const struct field_view *view)
{
	memset(gates, 0, FIELD_LAYERS * sizeof(*gates));
	for (int layer = FIELD_OUTER; layer < FIELD_LAYERS; layer++) {
		const uint8_t *base = view->base[layer];

		if (!base)
			continue;
		if (layer == FIELD_TUN) {
			const struct doca_flow_tun *tun = (const void *)base;

			gates[layer].tun_type = (uint8_t)tun->type;
			gates[layer].tun_ext = tun->type == DOCA_FLOW_TUN_VXLAN ? (uint8_t)tun->vxlan_type
					       : tun->type == DOCA_FLOW_TUN_GRE ? (uint8_t)tun->gre_type
										: 0;
		} else {
			const struct doca_flow_header_format *header = (const void *)base;

			gates[layer].l2_valid = header->l2_valid_headers;
			gates[layer].l3_type = (uint8_t)header->l3_type;
			gates[layer].l4_type = (uint8_t)header->l4_type_ext;
		}
	}
}

bool field_selected(const struct field_map *map, const struct field_gate *gate)
{
	switch (map->selector) {
	case SELECT_ALWAYS:
		return true;
	case SELECT_VLAN0:
		return gate->l2_valid & DOCA_FLOW_L2_VALID_HEADER_VLAN_0;
	case SELECT_VLAN1:
		return gate->l2_valid & DOCA_FLOW_L2_VALID_HEADER_VLAN_1;
	case SELECT_IP4:
		return gate->l3_type == DOCA_FLOW_L3_TYPE_IP4;
	case SELECT_IP6:
		return gate->l3_type == DOCA_FLOW_L3_TYPE_IP6;
	case SELECT_PORTS:
		return gate->l4_type == DOCA_FLOW_L4_TYPE_EXT_TCP ||
		       gate->l4_type == DOCA_FLOW_L4_TYPE_EXT_UDP ||
		       gate->l4_type == DOCA_FLOW_L4_TYPE_EXT_TRANSPORT ||
		       gate->l4_type == DOCA_FLOW_L4_TYPE_EXT_ROCE_V2;
	case SELECT_TCP:
		return gate->l4_type == DOCA_FLOW_L4_TYPE_EXT_TCP;
	case SELECT_ICMP:
		return gate->l4_type == DOCA_FLOW_L4_TYPE_EXT_ICMP ||
		       gate->l4_type == DOCA_FLOW_L4_TYPE_EXT_ICMP6;
	case SELECT_BTH:
		return gate->l4_type == DOCA_FLOW_L4_TYPE_EXT_ROCE_V2;
	case SELECT_VXLAN:
		return gate->tun_type == DOCA_FLOW_TUN_VXLAN;
	case SELECT_VXLAN_GPE:
		return gate->tun_type == DOCA_FLOW_TUN_VXLAN && gate->tun_ext == DOCA_FLOW_TUN_EXT_VXLAN_GPE;
	case SELECT_VXLAN_GBP:
		return gate->tun_type == DOCA_FLOW_TUN_VXLAN && gate->tun_ext == DOCA_FLOW_TUN_EXT_VXLAN_GBP;
	case SELECT_GRE_STANDARD:
		return gate->tun_type == DOCA_FLOW_TUN_GRE && gate->tun_ext == DOCA_FLOW_TUN_EXT_GRE_STANDARD;
	case SELECT_NVGRE:
		return gate->tun_type == DOCA_FLOW_TUN_GRE && gate->tun_ext == DOCA_FLOW_TUN_EXT_GRE_NVGRE;
	case SELECT_GTPU:
		return gate->tun_type == DOCA_FLOW_TUN_GTPU;
	case SELECT_ESP:
		return gate->tun_type == DOCA_FLOW_TUN_ESP;
	case SELECT_MPLS:
		return gate->tun_type == DOCA_FLOW_TUN_MPLS_O_UDP;
	case SELECT_GENEVE:
		return gate->tun_type == DOCA_FLOW_TUN_GENEVE;
	case SELECT_PSP:
		return gate->tun_type == DOCA_FLOW_TUN_PSP;
	default:
		return false;
	}
}

uint16_t field_id(const struct field_map *map, enum field_layer layer)
{
	return layer == FIELD_INNER ? map->inner : map->field;
}

bool field_is_zero(const struct field_map *map, const uint8_t *base)
{
	for (unsigned int i = 0; i < map->size; i++)
		if (base[map->offset + i])
			return false;
	return true;
}

void field_read(const struct field_map *map, uint16_t field, const uint8_t *base, uint8_t *value)
{
	const uint8_t *from = base + map->offset;

	memset(value, 0, STEER_FIELD_BYTES_MAX);
	switch (map->conversion) {
	case CONVERT_BYTES:
		memcpy(value, from, field_bytes(field));
		break;
	case CONVERT_U16_HOST: {
		uint16_t host;

		memcpy(&host, from, sizeof(host));
		value[0] = (uint8_t)(host >> 8);
		value[1] = (uint8_t)host;
		break;
	}
	case CONVERT_ENUM32: {
		uint32_t number;

		memcpy(&number, from, sizeof(number));
		value[0] = number > 0xff ? 0xff : (uint8_t)number;
		break;
	}
	case CONVERT_BOOL:
		value[0] = *from ? 1 : 0;
		break;
	case CONVERT_HIGH24:
		memcpy(value, from, 3);
		break;
	case CONVERT_LOW24:
		memcpy(value, from + 1, 3);
		break;
	case CONVERT_LOW20:
		memcpy(value, from + 1, 3);
		value[0] &= 0x0f;
		break;
	default:
		break;
	}
}

const char *field_label(const struct field_map *map, enum field_layer layer)
{
	uint16_t field = field_id(map, layer);

	return field ? wire[field].name : map->name ? map->name : "?";
}

const char *field_name(uint16_t field)
{
	return field > STEER_F_NONE && field < STEER_F_MAX ? wire[field].name : "?";
}

unsigned int field_bits(uint16_t field)
{
	return field < STEER_F_MAX ? wire[field].bits : 0;
}

unsigned int field_bytes(uint16_t field)
{
	return (field_bits(field) + 7) / 8;
}

void field_full_mask(uint16_t field, uint8_t *mask)
{
	unsigned int bits = field_bits(field), bytes = field_bytes(field);

	memset(mask, 0, STEER_FIELD_BYTES_MAX);
	memset(mask, 0xff, bytes);
	if (bits % 8)
		mask[0] = (uint8_t)(0xff >> (8 - bits % 8));
}

// Other spellings that programs use for a name of the list.
static const struct {
	const char *theirs;
	const char *ours;
} spellings[] = {
	{".ip4.", ".ipv4."},
	{".ip6.", ".ipv6."},
	{".tcp.src_port", ".transport.src_port"},
	{".tcp.dst_port", ".transport.dst_port"},
	{".udp.src_port", ".transport.src_port"},
	{".udp.dst_port", ".transport.dst_port"},
	{".tcp_src_port", ".transport.src_port"},
	{".tcp_dst_port", ".transport.dst_port"},
	{".udp_src_port", ".transport.src_port"},
	{".udp_dst_port", ".transport.dst_port"},
	{".eth_vlan.tci", ".eth_vlan0.tci"},
	{"parser_meta.random.value", "parser_meta.random.value"},
	{"parser_meta.random", "parser_meta.random.value"},
	{"tunnel.vxlan.tun_id", "tunnel.vxlan.vni"},
	{"tunnel.vxlan_gpe.vni", "tunnel.vxlan.vni"},
	{"tunnel.vxlan_gbp.vni", "tunnel.vxlan.vni"},
	{"tunnel.gre.key", "tunnel.gre_key.value"},
};

static uint16_t by_exact_name(const char *name)
{
	for (uint16_t field = 1; field < STEER_F_MAX; field++)
		if (!strcmp(wire[field].name, name))
			return field;
	return STEER_F_NONE;
}

uint16_t field_by_string(const char *name, uint32_t bit_offset, uint32_t *bit)
{
	char other[96];
	uint16_t field;

	*bit = bit_offset;
	// All metadata as one string of bits: word 0 is pkt_meta, each word counted from its least significant bit.
	if (!strcmp(name, "meta.data")) {
		if (bit_offset >= 32 * (DOCA_FLOW_META_SCRATCH_PAD_MAX + 1))
			return STEER_F_NONE;
		*bit = bit_offset % 32;
		return (uint16_t)(STEER_F_META_PKT + bit_offset / 32);
	}
	field = by_exact_name(name);
	for (unsigned int i = 0; !field && i < COUNT(spellings); i++) {
		const char *at = strstr(name, spellings[i].theirs);

		if (!at)
			continue;
		snprintf(other, sizeof(other), "%.*s%s%s", (int)(at - name), name, spellings[i].ours,
			at + strlen(spellings[i].theirs));
		field = by_exact_name(other);
	}
	if (!field || bit_offset >= wire[field].bits)
		return STEER_F_NONE;
	// The header's byte has the offset in its upper half: bit 0 is that of the number.
	if (field == STEER_F_OUTER_TCP_DATA_OFFSET || field == STEER_F_INNER_TCP_DATA_OFFSET)
		*bit = bit_offset + 4;
	return field;
}
