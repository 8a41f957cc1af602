// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <stddef.h>
#include <string.h>

#include <netinet/in.h>

#include "checksum.h"
#include "fields.h"

#define PLACE(REGION, OFFSET, BYTES)                                                         \
	{                                                                                    \
		.region = (REGION), .offset = (OFFSET), .bytes = (BYTES), .first_mask = 0xff \
	}
// A field that says where or what another header is.
#define SHAPE(REGION, OFFSET, BYTES)                                                          \
	{                                                                                     \
		.region = (REGION), .offset = (OFFSET), .bytes = (BYTES), .first_mask = 0xff, \
		.needs = FIELD_SHAPES                                                         \
	}
#define META(MEMBER)                                                                   \
	{                                                                              \
		.region = REGION_META, .offset = offsetof(struct packet_meta, MEMBER), \
		.bytes = sizeof(((struct packet_meta *)0)->MEMBER), .first_mask = 0xff \
	}
#define PARSED(MEMBER, NEEDS)                                                           \
	{                                                                               \
		.region = REGION_META, .offset = offsetof(struct packet_meta, MEMBER),  \
		.bytes = sizeof(((struct packet_meta *)0)->MEMBER), .first_mask = 0xff, \
		.needs = FIELD_READ_ONLY | (NEEDS)                                      \
	}

#define PARSER_LAYER(L, I)                                                                        \
	[STEER_F_PM_##L##_L2_TYPE] = PARSED(layer[I].l2_type, 0),                                 \
	[STEER_F_PM_##L##_L3_TYPE] = PARSED(layer[I].l3_type, 0),                                 \
	[STEER_F_PM_##L##_L4_TYPE] = PARSED(layer[I].l4_type, 0),                                 \
	[STEER_F_PM_##L##_IP_FRAGMENTED] = PARSED(layer[I].ip_fragmented, 0),                     \
	[STEER_F_PM_##L##_L3_OK] = PARSED(layer[I].l3_ok, 0),                                     \
	[STEER_F_PM_##L##_IP4_CHECKSUM_OK] = PARSED(layer[I].ip4_checksum_ok, FIELD_NEEDS_JUDGE), \
	[STEER_F_PM_##L##_L4_OK] = PARSED(layer[I].l4_ok, FIELD_NEEDS_JUDGE),                     \
	[STEER_F_PM_##L##_L4_CHECKSUM_OK] = PARSED(layer[I].l4_checksum_ok, FIELD_NEEDS_JUDGE)

#define LAYER(L, I)                                                                    \
	[STEER_F_##L##_ETH_DST] = PLACE((I)*REGION_LAYER + REGION_ETH, 0, 6),          \
	[STEER_F_##L##_ETH_SRC] = PLACE((I)*REGION_LAYER + REGION_ETH, 6, 6),          \
	[STEER_F_##L##_ETH_TYPE] = SHAPE((I)*REGION_LAYER + REGION_ETYPE, 0, 2),       \
	[STEER_F_##L##_VLAN0_TCI] = PLACE((I)*REGION_LAYER + REGION_VLAN0, 0, 2),      \
	[STEER_F_##L##_VLAN1_TCI] = PLACE((I)*REGION_LAYER + REGION_VLAN1, 0, 2),      \
	[STEER_F_##L##_IP4_VERSION_IHL] = SHAPE((I)*REGION_LAYER + REGION_IP4, 0, 1),  \
	[STEER_F_##L##_IP4_DSCP_ECN] = PLACE((I)*REGION_LAYER + REGION_IP4, 1, 1),     \
	[STEER_F_##L##_IP4_TOTAL_LEN] = SHAPE((I)*REGION_LAYER + REGION_IP4, 2, 2),    \
	[STEER_F_##L##_IP4_ID] = PLACE((I)*REGION_LAYER + REGION_IP4, 4, 2),           \
	[STEER_F_##L##_IP4_FLAGS_FRAG] = SHAPE((I)*REGION_LAYER + REGION_IP4, 6, 2),   \
	[STEER_F_##L##_IP4_TTL] = PLACE((I)*REGION_LAYER + REGION_IP4, 8, 1),          \
	[STEER_F_##L##_IP4_PROTO] = SHAPE((I)*REGION_LAYER + REGION_IP4, 9, 1),        \
	[STEER_F_##L##_IP4_SRC] = PLACE((I)*REGION_LAYER + REGION_IP4, 12, 4),         \
	[STEER_F_##L##_IP4_DST] = PLACE((I)*REGION_LAYER + REGION_IP4, 16, 4),         \
	[STEER_F_##L##_IP6_TRAFFIC_CLASS] = {.region = (I)*REGION_LAYER + REGION_IP6,  \
		.offset = 0,                                                           \
		.bytes = 1,                                                            \
		.shift = 4,                                                            \
		.first_mask = 0xff},                                                   \
	[STEER_F_##L##_IP6_FLOW_LABEL] = {.region = (I)*REGION_LAYER + REGION_IP6,     \
		.offset = 1,                                                           \
		.bytes = 3,                                                            \
		.first_mask = 0x0f},                                                   \
	[STEER_F_##L##_IP6_PAYLOAD_LEN] = SHAPE((I)*REGION_LAYER + REGION_IP6, 4, 2),  \
	[STEER_F_##L##_IP6_NEXT_PROTO] = SHAPE((I)*REGION_LAYER + REGION_IP6, 6, 1),   \
	[STEER_F_##L##_IP6_HOP_LIMIT] = PLACE((I)*REGION_LAYER + REGION_IP6, 7, 1),    \
	[STEER_F_##L##_IP6_SRC] = PLACE((I)*REGION_LAYER + REGION_IP6, 8, 16),         \
	[STEER_F_##L##_IP6_DST] = PLACE((I)*REGION_LAYER + REGION_IP6, 24, 16),        \
	[STEER_F_##L##_L4_SRC_PORT] = PLACE((I)*REGION_LAYER + REGION_L4, 0, 2),       \
	[STEER_F_##L##_L4_DST_PORT] = SHAPE((I)*REGION_LAYER + REGION_L4, 2, 2),       \
	[STEER_F_##L##_TCP_SEQ] = PLACE((I)*REGION_LAYER + REGION_TCP, 4, 4),          \
	[STEER_F_##L##_TCP_ACK] = PLACE((I)*REGION_LAYER + REGION_TCP, 8, 4),          \
	[STEER_F_##L##_TCP_DATA_OFFSET] = PLACE((I)*REGION_LAYER + REGION_TCP, 12, 1), \
	[STEER_F_##L##_TCP_FLAGS] = PLACE((I)*REGION_LAYER + REGION_TCP, 13, 1),       \
	[STEER_F_##L##_ICMP_TYPE] = PLACE((I)*REGION_LAYER + REGION_ICMP, 0, 1),       \
	[STEER_F_##L##_ICMP_CODE] = PLACE((I)*REGION_LAYER + REGION_ICMP, 1, 1),       \
	[STEER_F_##L##_ICMP_IDENT] = PLACE((I)*REGION_LAYER + REGION_ICMP, 4, 2)

const struct field_place field_places[STEER_F_MAX] = {
	[STEER_F_META_PKT] = META(pkt_meta),
	[STEER_F_META_U32_0] = META(u32[0]),
	[STEER_F_META_U32_1] = META(u32[1]),
	[STEER_F_META_U32_2] = META(u32[2]),
	[STEER_F_META_U32_3] = META(u32[3]),
	[STEER_F_META_U32_4] = META(u32[4]),
	[STEER_F_META_U32_5] = META(u32[5]),
	[STEER_F_META_U32_6] = META(u32[6]),
	[STEER_F_META_U32_7] = META(u32[7]),
	[STEER_F_META_U32_8] = META(u32[8]),
	[STEER_F_META_U32_9] = META(u32[9]),
	[STEER_F_META_MARK] = META(mark),
	[STEER_F_PM_PORT_ID] = PARSED(port_id, 0),
	[STEER_F_PM_RANDOM] = PARSED(random, FIELD_NEEDS_RANDOM),
	[STEER_F_PM_METER_COLOR] = PARSED(meter_color, 0),
	PARSER_LAYER(OUTER, 0),
	PARSER_LAYER(INNER, 1),
	LAYER(OUTER, 0),
	LAYER(INNER, 1),
	[STEER_F_TUN_VXLAN_VNI] = PLACE(REGION_VXLAN, 4, 3),
	[STEER_F_TUN_VXLAN_FLAGS] = SHAPE(REGION_VXLAN, 0, 1),
	[STEER_F_TUN_VXLAN_RSVD1] = SHAPE(REGION_VXLAN, 1, 3),
	[STEER_F_TUN_VXLAN_RSVD2] = PLACE(REGION_VXLAN, 7, 1),
	[STEER_F_TUN_VXLAN_GPE_NEXT_PROTO] = SHAPE(REGION_VXLAN, 3, 1),
	[STEER_F_TUN_VXLAN_GBP_POLICY_ID] = SHAPE(REGION_VXLAN, 2, 2),
	[STEER_F_TUN_GRE_KEY_PRESENT] = PARSED(gre_key_present, 0),
	[STEER_F_TUN_GRE_PROTOCOL] = SHAPE(REGION_GRE, 2, 2),
	[STEER_F_TUN_GRE_KEY] = PLACE(REGION_GRE_KEY, 0, 4),
	[STEER_F_TUN_NVGRE_VS_ID] = PLACE(REGION_GRE_KEY, 0, 3),
	[STEER_F_TUN_NVGRE_FLOW_ID] = PLACE(REGION_GRE_KEY, 3, 1),
	[STEER_F_TUN_GENEVE_VNI] = PLACE(REGION_GENEVE, 4, 3),
	[STEER_F_TUN_GENEVE_VER_OPT_LEN] = SHAPE(REGION_GENEVE, 0, 1),
	[STEER_F_TUN_GENEVE_O_C] = PLACE(REGION_GENEVE, 1, 1),
	[STEER_F_TUN_GENEVE_NEXT_PROTO] = SHAPE(REGION_GENEVE, 2, 2),
	[STEER_F_TUN_GTP_TEID] = PLACE(REGION_GTP, 4, 4),
	[STEER_F_TUN_ESP_SPI] = PLACE(REGION_ESP, 0, 4),
	[STEER_F_TUN_ESP_SN] = PLACE(REGION_ESP, 4, 4),
	[STEER_F_TUN_MPLS_0] = SHAPE(REGION_MPLS0, 0, 4),
	[STEER_F_TUN_MPLS_1] = SHAPE(REGION_MPLS1, 0, 4),
	[STEER_F_TUN_MPLS_2] = SHAPE(REGION_MPLS2, 0, 4),
	[STEER_F_TUN_MPLS_3] = SHAPE(REGION_MPLS3, 0, 4),
	[STEER_F_TUN_MPLS_4] = SHAPE(REGION_MPLS4, 0, 4),
	[STEER_F_OUTER_ARP_OP] = PLACE(REGION_ARP, 6, 2),
	[STEER_F_OUTER_ARP_SHA] = PLACE(REGION_ARP, 8, 6),
	[STEER_F_OUTER_ARP_SPA] = PLACE(REGION_ARP, 14, 4),
	[STEER_F_OUTER_ARP_THA] = PLACE(REGION_ARP, 18, 6),
	[STEER_F_OUTER_ARP_TPA] = PLACE(REGION_ARP, 24, 4),
	[STEER_F_OUTER_ND_TARGET] = PLACE(REGION_ND, 0, 16),
	[STEER_F_OUTER_ND_LLADDR] = PLACE(REGION_ND_LLADDR, 0, 6),
};

#define FIELD_NAME(id, name, bits) [STEER_F_##id] = name,
static const char *const field_names[STEER_F_MAX] = {STEERING_FIELDS(FIELD_NAME)};
#undef FIELD_NAME

const char *field_name(unsigned int field)
{
	return field_valid(field) ? field_names[field] : "?";
}

unsigned int field_read(const struct packet *p, unsigned int field, uint8_t value[STEER_FIELD_BYTES_MAX])
{
	const struct field_place *place = &field_places[field];
	const uint8_t *b = p->base[place->region] + place->offset;

	if (place->shift) {
		value[0] = (uint8_t)(b[0] << 4 | b[1] >> 4);
		return 1;
	}
	memcpy(value, b, place->bytes);
	value[0] &= place->first_mask;
	return place->bytes;
}

// A checksum field to be patched by delta.
static void patch(uint8_t *field, uint64_t delta)
{
	uint16_t sum;

	memcpy(&sum, field, 2);
	sum = checksum_update(sum, delta);
	memcpy(field, &sum, 2);
}

// The same for UDP, where zero means none and stays, and a sum of zero is written as all ones.
static uint64_t patch_udp(uint8_t *field, uint64_t delta)
{
	uint16_t old, sum;

	memcpy(&old, field, 2);
	if (!old)
		return 0;
	sum = checksum_update(old, delta);
	if (!sum)
		sum = 0xffff;
	memcpy(field, &sum, 2);
	return (uint64_t)sum + (uint16_t)~old;
}

// The L4 checksum of a layer after bytes that it covers changed. `pseudo`: they are addresses, which ICMP leaves out.
// Returns the change of the checksum field itself.
static uint64_t patch_l4(struct packet *p, unsigned int layer, uint64_t delta, bool pseudo)
{
	const struct packet_layer *l = &p->layer[layer];
	uint8_t *h = p->data + l->l4, *field;
	uint16_t old, sum;

	if (!l->l4)
		return 0;
	switch (l->l4_proto) {
	case IPPROTO_TCP:
		field = h + 16;
		break;
	case IPPROTO_UDP:
		return patch_udp(h + 6, delta);
	case IPPROTO_ICMP:
		if (pseudo)
			return 0;
		field = h + 2;
		break;
	case IPPROTO_ICMPV6:
		field = h + 2;
		break;
	default:
		return 0;
	}
	memcpy(&old, field, 2);
	patch(field, delta);
	memcpy(&sum, field, 2);
	return (uint64_t)sum + (uint16_t)~old;
}

// Every checksum that covers bytes of `region` at `offset`, after they changed by delta.
static void patch_checksums(struct packet *p, unsigned int region, unsigned int offset, uint64_t delta)
{
	unsigned int layer = region < REGION_INNER ? 0 : 1;
	unsigned int kind = region < REGION_VXLAN ? region % REGION_LAYER : REGION_LAYER;

	switch (kind) {
	case REGION_IP4: {
		uint8_t *h = p->base[region];
		uint16_t old, sum;

		memcpy(&old, h + 10, 2);
		patch(h + 10, delta);
		memcpy(&sum, h + 10, 2);
		if (offset >= 12)
			delta += patch_l4(p, layer, delta, true);
		delta += (uint64_t)sum + (uint16_t)~old;
		break;
	}
	case REGION_IP6:
		if (offset >= 8)
			delta += patch_l4(p, layer, delta, true);
		break;
	case REGION_L4:
	case REGION_TCP:
	case REGION_ICMP:
		delta += patch_l4(p, layer, delta, false);
		break;
	case REGION_LAYER: // and beyond
		if (region == REGION_ND || region == REGION_ND_LLADDR)
			patch_l4(p, 0, delta, false);
		break;
	default:
		break;
	}
	// Inner headers and the tunnel's own are payload of the outer UDP header, if that is what carries them.
	if (region >= REGION_INNER && region != REGION_ESP && p->layer[0].l4 &&
		p->layer[0].l4_proto == IPPROTO_UDP)
		patch_udp(p->data + p->layer[0].l4 + 6, delta);
}

void field_write(struct packet *p, unsigned int field, const uint8_t *value, const uint8_t *mask)
{
	const struct field_place *place = &field_places[field];
	uint8_t *b = p->base[place->region] + place->offset;
	unsigned int bytes = place->bytes;
	// The 16 bit words around the field: headers have an even number of bytes, so all of them belong to it.
	unsigned int before = place->offset & 1, span = (before + bytes + (place->shift != 0) + 1) & ~1u;
	uint8_t old[STEER_FIELD_BYTES_MAX + 2];
	uint64_t delta;

	if (!packet_has(p, place->region) || (place->needs & FIELD_READ_ONLY))
		return;
	if (place->region != REGION_META)
		for (unsigned int i = 0; i < span; i++)
			old[i] = (uint8_t)~b[(int)i - (int)before];
	if (place->shift) {
		b[0] = (uint8_t)((b[0] & ~(mask[0] >> 4)) | (value[0] & mask[0]) >> 4);
		b[1] = (uint8_t)((b[1] & ~(mask[0] << 4)) | (value[0] & mask[0]) << 4);
	} else {
		uint8_t first = mask[0] & place->first_mask;

		b[0] = (uint8_t)((b[0] & ~first) | (value[0] & first));
		for (unsigned int i = 1; i < bytes; i++)
			b[i] = (uint8_t)((b[i] & ~mask[i]) | (value[i] & mask[i]));
	}
	if (place->region == REGION_META)
		return;
	delta = checksum_add(checksum_add(0, b - before, span), old, span);
	p->judged = false;
	p->stale |= (place->needs & FIELD_SHAPES) != 0;
	patch_checksums(p, place->region, place->offset, delta);
}

uint64_t bits_get(const uint8_t *value, unsigned int bytes, unsigned int bit, unsigned int width)
{
	uint64_t number = 0;

	for (unsigned int done = 0; done < width;) {
		unsigned int at = bit + done, take = 8 - (at & 7);

		if (at / 8 >= bytes)
			break;
		take = take < width - done ? take : width - done;
		number |= (uint64_t)(value[bytes - 1 - at / 8] >> (at & 7) & ((1u << take) - 1)) << done;
		done += take;
	}
	return number;
}

void bits_put(uint8_t *value, unsigned int bytes, unsigned int bit, unsigned int width, uint64_t number)
{
	for (unsigned int done = 0; done < width;) {
		unsigned int at = bit + done, take = 8 - (at & 7);
		uint8_t *b, mask;

		if (at / 8 >= bytes)
			break;
		take = take < width - done ? take : width - done;
		b = &value[bytes - 1 - at / 8];
		mask = (uint8_t)(((1u << take) - 1) << (at & 7));
		*b = (uint8_t)((*b & ~mask) | ((number >> done << (at & 7)) & mask));
		done += take;
	}
}
