// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// ENCAP, DECAP and their shared forms.
//
// An encapsulation header comes as bytes; lengths and the IPv4 checksum are filled in here, and so is what depends on the
// packet: where the header says 0, the IP version, ECN, the IP protocol and the tunnel's next protocol. UDP checksum and IP id
// stay as given. An L3 tunnel carries the IP packet alone: what follows it in the frame (padding) is cut off; so does
// every decapsulation. What an L2 tunnel adds or takes is kept count of in the packet, so that its sender can be answered.

#include <errno.h>
#include <string.h>

#include <netinet/in.h>

#include "bytes.h"
#include "checksum.h"
#include "tunnel.h"
#include "walk.h"

enum { ETHERTYPE_IP4 = 0x0800, ETHERTYPE_IP6 = 0x86dd, ETHERTYPE_TEB = 0x6558, ETH_BYTES = 14, HOPS = 64 };
enum { ECN = 3, ECN_ECT1 = 1, ECN_ECT0 = 2, ECN_CE = 3 };

// Cuts the frame at the end of its outer IP packet. What is behind it may fill more than the last segment.
static void trim(struct packet *p)
{
	uint32_t end = p->layer[0].end, left = end;
	struct rte_mbuf *m = p->m, *last = m;

	if (!end || end >= p->frame_len)
		return;
	m->nb_segs = 1;
	for (; left > last->data_len; last = last->next) {
		left -= last->data_len;
		m->nb_segs++;
	}
	rte_pktmbuf_free(last->next);
	last->next = NULL;
	last->data_len = (uint16_t)left;
	m->pkt_len = end;
	packet_load(p, p->data, m->data_len, m->pkt_len);
}

// --- Encapsulation ------------------------------------------------------------------------------------------------

// What a tunnel header of `room` bytes says about its payload: protocol, or length where it has one. `behind`: bytes of
// the frame from the tunnel header on.
static void fill_tunnel(uint8_t *header, uint32_t room, uint8_t tunnel, uint32_t payload, uint32_t behind)
{
	switch (tunnel) {
	case STEER_TUN_GRE:
	case STEER_TUN_NVGRE:
		if (room >= 4 && !be16(header + 2))
			put16(header + 2, payload);
		break;
	case STEER_TUN_GENEVE:
		if (room >= 4 && !be16(header + 2))
			put16(header + 2, payload);
		break;
	case STEER_TUN_GTPU:
		if (room >= 8 && !be16(header + 2))
			put16(header + 2, behind - 8);
		break;
	case STEER_TUN_VXLAN_GPE:
		if (room >= 4 && !header[3])
			header[3] = payload == ETHERTYPE_IP4 ? 1 : payload == ETHERTYPE_IP6 ? 2 : 3;
		break;
	default:
		break;
	}
}

static uint8_t carrier(uint8_t tunnel, uint32_t payload)
{
	switch (tunnel) {
	case STEER_TUN_GRE:
	case STEER_TUN_NVGRE:
		return IPPROTO_GRE;
	case STEER_TUN_ESP:
		return IPPROTO_ESP;
	case STEER_TUN_IP_IN_IP:
		return payload == ETHERTYPE_IP6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	default:
		return IPPROTO_UDP;
	}
}

// Where the ethertype behind all VLAN tags is.
static uint32_t type_at(const uint8_t *h, uint32_t length)
{
	uint32_t at = ETH_BYTES - 2;

	while (at + 6 <= length &&
		(be16(h + at) == 0x8100 || be16(h + at) == 0x88a8 || be16(h + at) == 0x9100))
		at += 4;
	return at;
}

// ECN of a layer's IP header; 0: not capable, or no IP.
static uint8_t ecn_of(const struct packet *p, unsigned int layer)
{
	uint8_t *const *base = &p->base[layer * REGION_LAYER];

	if (p->meta.layer[layer].l3_type == L3_META_IPV6)
		return base[REGION_IP6][1] >> 4 & ECN;
	return base[REGION_IP4][1] & ECN;
}

// Outer to inner header when a tunnel ends (RFC 6040, 4.2). False: there was congestion, and no way to say so.
static bool ecn_arrives(struct packet *p)
{
	static const uint8_t mask[STEER_FIELD_BYTES_MAX] = {ECN};
	uint8_t outer = ecn_of(p, 0), inner = ecn_of(p, 1), value[STEER_FIELD_BYTES_MAX] = {outer};

	if (outer != ECN_CE && !(outer == ECN_ECT1 && inner == ECN_ECT0))
		return true;
	if (p->meta.layer[1].l3_type == L3_META_NONE)
		return true;
	if (!inner)
		return false;
	field_write(p,
		p->meta.layer[1].l3_type == L3_META_IPV6 ? STEER_F_INNER_IP6_TRAFFIC_CLASS
							 : STEER_F_INNER_IP4_DSCP_ECN,
		value, mask);
	return true;
}

// Completes the header h of `length` bytes in front of a frame that has frame_len bytes with it. False when it is not what it
// should be. ecn: of what is inside (RFC 6040, 4.1), unless the header says one.
static bool fill(
	uint8_t *h, uint32_t length, uint32_t frame_len, uint8_t tunnel, uint32_t payload, uint8_t ecn)
{
	uint32_t at = type_at(h, length), l3 = at + 2;
	uint8_t proto;

	if (l3 + 20 <= length && be16(h + at) == ETHERTYPE_IP4) {
		uint32_t ihl;

		if (!h[l3])
			h[l3] = 0x45;
		ihl = (h[l3] & 0xfu) * 4;
		if (ihl < 20 || l3 + ihl > length)
			return false;
		if (!(h[l3 + 1] & ECN))
			h[l3 + 1] |= ecn;
		put16(h + l3 + 2, frame_len - l3);
		if (!h[l3 + 9])
			h[l3 + 9] = carrier(tunnel, payload);
		proto = h[l3 + 9];
		put16(h + l3 + 10, 0);
		uint16_t sum = (uint16_t)~checksum_fold(checksum_add(0, h + l3, ihl));

		memcpy(h + l3 + 10, &sum, 2);
		at = l3 + ihl;
	} else if (l3 + 40 <= length && be16(h + at) == ETHERTYPE_IP6) {
		h[l3] = (uint8_t)(0x60 | (h[l3] & 0xf));
		if (!(h[l3 + 1] >> 4 & ECN))
			h[l3 + 1] |= (uint8_t)(ecn << 4);
		put16(h + l3 + 4, frame_len - l3 - 40);
		if (!h[l3 + 6])
			h[l3 + 6] = carrier(tunnel, payload);
		proto = h[l3 + 6];
		at = l3 + 40;
	} else {
		return false;
	}
	if (proto == IPPROTO_UDP) {
		if (at + 8 > length)
			return false;
		put16(h + at + 4, frame_len - at);
		at += 8;
	}
	fill_tunnel(h + at, length - at, tunnel, payload, frame_len - at);
	return true;
}

bool tunnel_back(uint8_t *h, uint32_t length, uint32_t frame_len)
{
	uint32_t at = type_at(h, length), l3 = at + 2, bytes = be16(h + at) == ETHERTYPE_IP4 ? 4 : 16;
	uint8_t kept[16], *src, *dst;

	if (l3 + 20 <= length && bytes == 4) {
		src = h + l3 + 12;
		h[l3 + 1] = 0;
		h[l3 + 8] = HOPS;
	} else if (l3 + 40 <= length && be16(h + at) == ETHERTYPE_IP6) {
		src = h + l3 + 8;
		put16(h + l3, 0x6000);
		h[l3 + 7] = HOPS;
	} else {
		return false;
	}
	memcpy(kept, h, 6);
	memcpy(h, h + 6, 6);
	memcpy(h + 6, kept, 6);
	dst = src + bytes;
	memcpy(kept, src, bytes);
	memcpy(src, dst, bytes);
	memcpy(dst, kept, bytes);
	if (!fill(h, length, frame_len, STEER_TUN_NONE, ETHERTYPE_TEB, 0))
		return false;
	// The checksum, if there was one, was of what came.
	if (h[l3 + (bytes == 4 ? 9 : 6)] == IPPROTO_UDP)
		put16(h + l3 + (bytes == 4 ? (h[l3] & 0xfu) * 4 : 40) + 6, 0);
	return true;
}

static enum steer_drop encap(
	struct packet *p, const uint8_t *header, uint32_t length, uint8_t tunnel, bool l2)
{
	uint32_t payload = ETHERTYPE_TEB, before = p->encap;
	uint8_t ecn;

	packet_refresh(p);
	ecn = ecn_of(p, 0);
	if (!l2) {
		const struct packet_layer *l = &p->layer[0];

		if (!l->l3 || !l->end)
			return STEER_DROP_ACTION_FAILED;
		payload = p->meta.layer[0].l3_type == L3_META_IPV4 ? ETHERTYPE_IP4 : ETHERTYPE_IP6;
		trim(p);
		if (!packet_pull(p, l->l3))
			return STEER_DROP_ACTION_FAILED;
	}
	if (!packet_push(p, length))
		return STEER_DROP_ACTION_FAILED;
	memcpy(p->data, header, length);
	p->encap = l2 && before != PACKET_HEADER_LOST ? (uint16_t)(before + length) : PACKET_HEADER_LOST;
	return fill(p->data, length, p->frame_len, tunnel, payload, ecn) ? STEER_DROP_NONE
									 : STEER_DROP_ACTION_FAILED;
}

static enum steer_drop encap_run(
	struct walker *w, struct packet *p, const struct action *a, const uint8_t *value)
{
	return encap(p, a->data ? a->data : value, a->data_length, a->tunnel, a->flags & STEER_ACT_L2);
}

static const struct shared *shared_of(const struct action *a, const uint8_t *value, unsigned int type)
{
	uint32_t id;

	memcpy(&id, value, sizeof(id));
	return shared_find(a->space, type, id);
}

static enum steer_drop shared_encap_run(
	struct walker *w, struct packet *p, const struct action *a, const uint8_t *value)
{
	const struct shared *s = shared_of(a, value, STEER_SHARED_ENCAP);

	if (!s)
		return STEER_DROP_ACTION_FAILED;
	return encap(p, s->set.data, s->set.data_length, s->set.tunnel, s->set.flags & STEER_ACT_L2);
}

// --- Decapsulation ------------------------------------------------------------------------------------------------

static enum steer_drop decap(struct packet *p, const uint8_t *header, uint32_t length, bool l2)
{
	bool first = !p->encap && !p->decap;
	uint16_t bytes;
	uint8_t type;

	packet_refresh(p);
	bytes = p->tunnel_end;
	if (!bytes)
		return STEER_DROP_ACTION_FAILED;
	if (!ecn_arrives(p))
		return STEER_DROP_TUNNEL_ECN;
	trim(p);
	if (l2) {
		if (!packet_has(p, REGION_INNER + REGION_ETH) || !packet_pull(p, bytes))
			return STEER_DROP_ACTION_FAILED;
		p->decap = first ? bytes : PACKET_HEADER_LOST;
		return STEER_DROP_NONE;
	}
	p->decap = PACKET_HEADER_LOST;
	type = p->meta.layer[1].l3_type;
	if (type == L3_META_NONE || !packet_pull(p, p->layer[1].l3) || !packet_push(p, length))
		return STEER_DROP_ACTION_FAILED;
	memcpy(p->data, header, length);
	if (!be16(p->data + length - 2))
		put16(p->data + length - 2, type == L3_META_IPV4 ? ETHERTYPE_IP4 : ETHERTYPE_IP6);
	return STEER_DROP_NONE;
}

static enum steer_drop decap_run(
	struct walker *w, struct packet *p, const struct action *a, const uint8_t *value)
{
	return decap(p, a->data ? a->data : value, a->data_length, a->flags & STEER_ACT_L2);
}

static enum steer_drop shared_decap_run(
	struct walker *w, struct packet *p, const struct action *a, const uint8_t *value)
{
	const struct shared *s = shared_of(a, value, STEER_SHARED_DECAP);

	if (!s)
		return STEER_DROP_ACTION_FAILED;
	return decap(p, s->set.data, s->set.data_length, s->set.flags & STEER_ACT_L2);
}

// --- Checks -------------------------------------------------------------------------------------------------------

static int encap_check(const struct steer_action *w, struct why *why)
{
	if (w->data_length < ETH_BYTES + 20 || w->data_length > STEER_ENCAP_MAX || w->tunnel >= STEER_TUN_MAX)
		return why_set(
			why, STEER_WHY_BAD_ACTION, -EINVAL, "encap: a header of %u bytes", w->data_length);
	return 0;
}

static int decap_check(const struct steer_action *w, struct why *why)
{
	if (!(w->flags & STEER_ACT_L2) && w->data_length < ETH_BYTES)
		return why_set(why, STEER_WHY_BAD_ACTION, -EINVAL,
			"decap of an L3 tunnel needs an Ethernet header to put in front");
	return 0;
}

static const struct action_kind encap_kind = {
	.kind = STEER_ACT_ENCAP, .name = "encap", .run = encap_run, .arg_bytes = 0xff, .check = encap_check};
static const struct action_kind decap_kind = {
	.kind = STEER_ACT_DECAP, .name = "decap", .run = decap_run, .arg_bytes = 0xff, .check = decap_check};
static const struct action_kind shared_encap = {
	.kind = STEER_ACT_SHARED_ENCAP, .name = "shared encap", .run = shared_encap_run, .arg_bytes = 4};
static const struct action_kind shared_decap = {
	.kind = STEER_ACT_SHARED_DECAP, .name = "shared decap", .run = shared_decap_run, .arg_bytes = 4};
ACTION_REGISTER(encap_kind)
ACTION_REGISTER(decap_kind)
ACTION_REGISTER(shared_encap)
ACTION_REGISTER(shared_decap)
