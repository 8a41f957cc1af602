// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Which connection a packet belongs to: TCP, UDP and SCTP by ports, ICMP and ICMPv6 queries by identifier, all else by its
// two addresses and protocol.

#include <netinet/in.h>
#include <string.h>

#include "bytes.h"
#include "ct_private.h"

// ICMP types that ask and that answer.
enum {
	ECHO_REPLY = 0,
	ECHO = 8,
	TIMESTAMP = 13,
	TIMESTAMP_REPLY = 14,
	INFORMATION = 15,
	INFORMATION_REPLY = 16,
	ADDRESS_MASK = 17,
	ADDRESS_MASK_REPLY = 18,
	ECHO6 = 128,
	ECHO6_REPLY = 129,
};

static inline uint64_t head(uint32_t zone, uint8_t version, uint8_t protocol, uint8_t class)
{
	return zone | (uint64_t)version << CT_VERSION_SHIFT | (uint64_t)protocol << CT_PROTOCOL_SHIFT |
	       (uint64_t) class << CT_CLASS_SHIFT;
}

// Any order of the two ends will do, as long as both directions have the same.
static inline void key4(struct ct_key *key, uint32_t src, uint32_t dst, uint16_t src_port, uint16_t dst_port,
	unsigned int *from_high)
{
	uint64_t a = (uint64_t)src << 16 | src_port, b = (uint64_t)dst << 16 | dst_port;
	unsigned int high = a > b;

	key->k[1] = high ? dst_port | (uint32_t)src_port << 16 : src_port | (uint32_t)dst_port << 16;
	key->k[2] = high ? dst | (uint64_t)src << 32 : src | (uint64_t)dst << 32;
	key->k[3] = key->k[4] = key->k[5] = 0;
	*from_high = high;
}

static inline void key6(struct ct_key *key, const uint8_t *src, const uint8_t *dst, uint16_t src_port,
	uint16_t dst_port, unsigned int *from_high)
{
	uint64_t a[2] = {load64(src), load64(src + 8)}, b[2] = {load64(dst), load64(dst + 8)};
	unsigned int high = a[0] != b[0] ? a[0] > b[0] : a[1] != b[1] ? a[1] > b[1] : src_port > dst_port;
	const uint64_t *low_end = high ? b : a, *high_end = high ? a : b;

	key->k[1] = high ? dst_port | (uint32_t)src_port << 16 : src_port | (uint32_t)dst_port << 16;
	key->k[2] = low_end[0];
	key->k[3] = low_end[1];
	key->k[4] = high_end[0];
	key->k[5] = high_end[1];
	*from_high = high;
}

// The kind of query, from 1, and whether this one answers; 0 = no query.
static uint8_t query_of(uint8_t version, uint8_t type, bool *answers)
{
	*answers = false;
	if (version == 6) {
		*answers = type == ECHO6_REPLY;
		return type == ECHO6 || type == ECHO6_REPLY;
	}
	switch (type) {
	case ECHO:
		return 1;
	case ECHO_REPLY:
		*answers = true;
		return 1;
	case TIMESTAMP:
	case TIMESTAMP_REPLY:
		*answers = type == TIMESTAMP_REPLY;
		return 2;
	case INFORMATION:
	case INFORMATION_REPLY:
		*answers = type == INFORMATION_REPLY;
		return 3;
	case ADDRESS_MASK:
	case ADDRESS_MASK_REPLY:
		*answers = type == ADDRESS_MASK_REPLY;
		return 4;
	default:
		return 0;
	}
}

static bool is_icmp(uint8_t version, uint8_t protocol)
{
	return version == 4 ? protocol == IPPROTO_ICMP : protocol == IPPROTO_ICMPV6;
}

enum ct_kind ct_key_of_tuple(
	uint32_t zone, const struct ct_tuple *tuple, struct ct_key *key, unsigned int *from_high)
{
	uint8_t class = 0;
	bool answers = false;

	if (is_icmp(tuple->version, tuple->protocol)) {
		class = query_of(tuple->version, tuple->icmp_type, &answers);
		if (!class)
			return CT_KIND_UNTRACKABLE;
	}
	if (tuple->version == 4)
		key4(key, load32(tuple->src), load32(tuple->dst), tuple->src_port, tuple->dst_port,
			from_high);
	else
		key6(key, tuple->src, tuple->dst, tuple->src_port, tuple->dst_port, from_high);
	if (class && *from_high != answers)
		class |= CT_CLASS_HIGH_ASKS;
	key->k[0] = head(zone, tuple->version, tuple->protocol, class);
	return CT_KIND_TRACKED;
}

// Protocol and ports of a packet whose IP header is good. False: there is a header that is cut off.
static bool tuple_of_l4(const struct packet *p, struct ct_tuple *tuple)
{
	const struct packet_layer *l = &p->layer[0];

	tuple->protocol = l->l4_proto;
	if (unlikely(!l->first)) {
		tuple->protocol = p->frag_protocol;
		tuple->src_port = p->frag_port[0];
		tuple->dst_port = p->frag_port[1];
		tuple->icmp_type = p->frag_icmp_type;
		return tuple->protocol;
	}
	// Extension headers whose end was not found: what is behind them must not pass as a protocol that nobody has forbidden.
	if (unlikely(!tuple->protocol && tuple->version == 6))
		return false;
	switch (tuple->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		if (!packet_has(p, REGION_L4))
			return false;
		tuple->src_port = load16(p->base[REGION_L4]);
		tuple->dst_port = load16(p->base[REGION_L4] + 2);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (!packet_has(p, REGION_ICMP))
			return false;
		tuple->icmp_type = p->base[REGION_ICMP][0];
		tuple->src_port = tuple->dst_port = load16(p->base[REGION_ICMP] + 4);
		break;
	default:
		break;
	}
	return true;
}

static bool tuple_of_packet(const struct packet *p, struct ct_tuple *tuple)
{
	*tuple = (struct ct_tuple){.version = p->meta.layer[0].l3_type == L3_META_IPV4 ? 4 : 6};
	if (tuple->version == 4) {
		memcpy(tuple->src, p->base[REGION_IP4] + 12, 4);
		memcpy(tuple->dst, p->base[REGION_IP4] + 16, 4);
	} else {
		memcpy(tuple->src, p->base[REGION_IP6] + 8, 16);
		memcpy(tuple->dst, p->base[REGION_IP6] + 24, 16);
	}
	return tuple_of_l4(p, tuple);
}

void ct_tuple_of_packet(const struct packet *p, struct ct_tuple *tuple)
{
	tuple_of_packet(p, tuple);
}

enum ct_kind ct_key_of(
	const struct ct *ct, const struct packet *p, struct ct_key *key, unsigned int *from_high)
{
	return ct_key_in(ct_zone_of(ct, p), p, key, from_high);
}

enum ct_kind ct_key_in(uint32_t zone, const struct packet *p, struct ct_key *key, unsigned int *from_high)
{
	const struct packet_layer_meta *meta = &p->meta.layer[0];
	struct ct_tuple tuple;

	// Most packets.
	if (likely(packet_has(p, REGION_L4) && meta->l3_ok)) {
		const uint8_t *ip4 = p->base[REGION_IP4], *ip6 = p->base[REGION_IP6],
			      *l4 = p->base[REGION_L4];
		bool six = meta->l3_type == L3_META_IPV6;

		if (six)
			key6(key, ip6 + 8, ip6 + 24, load16(l4), load16(l4 + 2), from_high);
		else
			key4(key, load32(ip4 + 12), load32(ip4 + 16), load16(l4), load16(l4 + 2), from_high);
		key->k[0] = head(zone, six ? 6 : 4, p->layer[0].l4_proto, 0);
		return CT_KIND_TRACKED;
	}
	if (meta->l3_type == L3_META_NONE)
		return CT_KIND_UNTRACKABLE;
	if (!meta->l3_ok)
		return CT_KIND_MALFORMED;
	if (icmp_error_is(p, 0)) {
		if (!icmp_error_quotes(p, 0, &tuple) ||
			ct_key_of_tuple(zone, &tuple, key, from_high) != CT_KIND_TRACKED)
			return CT_KIND_UNTRACKABLE;
		return CT_KIND_ERROR;
	}
	if (!tuple_of_packet(p, &tuple))
		return p->layer[0].first ? CT_KIND_MALFORMED : CT_KIND_UNTRACKABLE;
	return ct_key_of_tuple(zone, &tuple, key, from_high);
}

void ct_tuple_of(const struct ct_conn *c, struct ct_tuple *tuple)
{
	const uint64_t *k = c->key.k;
	unsigned int high = !!(c->bits & CT_HIGH_OPENS);
	uint16_t port[2] = {(uint16_t)k[1], (uint16_t)(k[1] >> 16)};

	*tuple = (struct ct_tuple){
		.src_port = port[high],
		.dst_port = port[!high],
		.version = ct_key_version(&c->key),
		.protocol = ct_key_protocol(&c->key),
		.icmp_type = c->icmp_type,
	};
	if (tuple->version == 4) {
		memcpy(tuple->src, (const uint8_t *)&k[2] + 4 * high, 4);
		memcpy(tuple->dst, (const uint8_t *)&k[2] + 4 * !high, 4);
	} else {
		memcpy(tuple->src, &k[2 + 2 * high], 16);
		memcpy(tuple->dst, &k[2 + 2 * !high], 16);
	}
}
