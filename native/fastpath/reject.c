// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Refusals of rejected packets. They are built anew, from the address of the packet's destination, as if that had refused:
// a fast path has no addresses of its own. What a router refuses is told from the address that the actions have named.

#include <string.h>

#include <netinet/in.h>

#include "answer.h"
#include "bytes.h"
#include "checksum.h"
#include "parse.h"
#include "stats_wire.h"
#include "tunnel.h"

enum {
	L2_MOST = 64, // with all VLAN tags
	IP4_QUOTE = 576 - 28,
	IP6_QUOTE = 1280 - 48,
	HOPS = 64,
	TCP_RST = 4,
	TCP_ACK = 16,
};

// What is said, by the reason for which the packet is dropped.
struct saying {
	bool rst;    // to TCP
	bool router; // by the address that the actions have named
	uint8_t ip4[2];
	uint8_t ip6[2]; // type and code
};

static const struct saying prohibited = {true, true, {3, 13}, {1, 1}};
static const struct saying unreachable = {false, true, {3, 1}, {1, 3}};
static const struct saying exceeded = {false, true, {11, 0}, {3, 0}};
static const struct saying too_big = {false, false, {3, 4}, {2, 0}};

static const struct saying *saying_of(uint8_t reason)
{
	switch (reason) {
	case STEER_DROP_TTL:
		return &exceeded;
	case STEER_DROP_NO_ROUTE:
		return &unreachable;
	case STEER_DROP_MTU:
		return &too_big;
	default:
		return &prohibited;
	}
}

// What is refused, and what is built for it.
struct refusal {
	const struct saying *saying;
	struct packet *p;
	const uint8_t *ip;
	const uint8_t *from; // whose address the answer has
	const struct packet_layer *l;
	uint8_t *out; // the answer's IP header
	uint32_t l2;
	uint32_t mtu;
	bool ip6;
};

// Errors, listener and neighbour discovery are not answered.
static bool is_silent6(const uint8_t *icmp)
{
	return icmp[0] < 128 || (icmp[0] >= 130 && icmp[0] <= 137) || icmp[0] == 143;
}

static bool addresses_ok(const struct refusal *r)
{
	static const uint8_t nothing[16], loopback[16] = {[15] = 1};
	const uint8_t *eth = r->p->data, *ip = r->ip;

	if ((eth[0] | eth[6]) & 1 || !memcmp(eth + 6, nothing, 6) || !memcmp(eth, eth + 6, 6))
		return false;
	if (r->ip6)
		return ip[8] != 0xff && ip[24] != 0xff && memcmp(ip + 8, nothing, 16) &&
		       memcmp(ip + 8, loopback, 16) && memcmp(ip + 8, ip + 24, 16);
	return ip[12] && ip[12] != 127 && ip[12] < 224 && ip[16] && ip[16] < 224 &&
	       memcmp(ip + 12, ip + 16, 4);
}

static bool may_answer(const struct refusal *r)
{
	const struct packet_layer *l = r->l;
	const uint8_t *h = r->p->data + l->l4;

	if (!r->p->meta.layer[0].l3_ok || !l->first || !l->l4_proto || r->l2 > L2_MOST || !addresses_ok(r))
		return false;
	switch (l->l4_proto) {
	case IPPROTO_TCP:
		return l->l4 && !(h[13] & TCP_RST) && h[12] >> 4 >= 5 && (h[12] >> 4) * 4u <= l->l4_len;
	case IPPROTO_ICMP:
		return l->l4 && (r->ip6 || !icmp4_is_error(h[0]));
	case IPPROTO_ICMPV6:
		return l->l4 && !is_silent6(h);
	default:
		return true;
	}
}

// Who refuses: the packet's destination, or a router that says its own address.
static const uint8_t *speaker(const struct refusal *r)
{
	static const uint8_t nothing[16];
	const uint8_t *router = (const uint8_t *)r->p->meta.u32;
	size_t bytes = r->ip6 ? 16 : 4;

	// At the tunnel's other end no packet of a router here would be let out.
	if (!r->saying->rst && r->saying->router && !r->p->decap && memcmp(router, nothing, bytes))
		return router;
	return r->ip + (r->ip6 ? 24 : 16);
}

// The IP header to the packet's source; returns where its payload begins.
static uint8_t *put_ip(const struct refusal *r, uint8_t protocol, uint32_t payload)
{
	uint8_t *out = r->out;
	uint16_t sum;

	if (r->ip6) {
		memset(out, 0, 8);
		out[0] = 0x60;
		put16(out + 4, payload);
		out[6] = protocol;
		out[7] = HOPS;
		memcpy(out + 8, r->from, 16);
		memcpy(out + 24, r->ip + 8, 16);
		return out + 40;
	}
	memset(out, 0, 12);
	out[0] = 0x45;
	put16(out + 2, 20 + payload);
	out[6] = 0x40; // do not fragment
	out[8] = HOPS;
	out[9] = protocol;
	memcpy(out + 12, r->from, 4);
	memcpy(out + 16, r->ip + 12, 4);
	sum = (uint16_t)~checksum_fold(checksum_add(0, out, 20));
	memcpy(out + 10, &sum, 2);
	return out + 20;
}

static uint64_t pseudo_sum(const struct refusal *r, uint8_t protocol, uint32_t payload)
{
	uint64_t sum = htons((uint16_t)payload) + (uint64_t)htons(protocol);

	return r->ip6 ? checksum_add(sum, r->out + 8, 32) : checksum_add(sum, r->out + 12, 8);
}

// RFC 9293 3.5.2.
static void put_rst(const struct refusal *r)
{
	const uint8_t *h = r->p->data + r->l->l4;
	uint8_t *tcp = put_ip(r, IPPROTO_TCP, 20);
	uint16_t sum;

	memset(tcp, 0, 20);
	memcpy(tcp, h + 2, 2);
	memcpy(tcp + 2, h, 2);
	tcp[12] = 0x50;
	tcp[13] = TCP_RST;
	if (h[13] & TCP_ACK) {
		memcpy(tcp + 4, h + 8, 4);
	} else {
		// SYN and FIN take a number each.
		uint32_t length = r->l->l4_len - (h[12] >> 4) * 4u + ((h[13] >> 1) & 1u) + (h[13] & 1u);

		tcp[13] |= TCP_ACK;
		put32(tcp + 8, be32(h + 4) + length);
	}
	sum = (uint16_t)~checksum_fold(checksum_add(pseudo_sum(r, IPPROTO_TCP, 20), tcp, 20));
	memcpy(tcp + 16, &sum, 2);
}

static void put_icmp(const struct refusal *r, uint32_t quote)
{
	uint8_t protocol = r->ip6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	uint8_t *icmp = put_ip(r, protocol, 8 + quote);
	const uint8_t *from;
	uint16_t sum;

	memset(icmp, 0, 8);
	memcpy(icmp, r->ip6 ? r->saying->ip6 : r->saying->ip4, 2);
	if (r->saying == &too_big)
		put16(icmp + 6, r->mtu);
	from = rte_pktmbuf_read(r->p->m, r->l->l3, quote, icmp + 8);
	if (from != icmp + 8)
		memcpy(icmp + 8, from, quote);
	sum = (uint16_t)~checksum_fold(
		checksum_add(r->ip6 ? pseudo_sum(r, protocol, 8 + quote) : 0, icmp, 8 + quote));
	memcpy(icmp + 2, &sum, 2);
}

// The header of the tunnel, if there is one, and Ethernet. A router that the packet has passed has set its MACs: then it is
// its source that answers the sender.
static bool put_l2(const struct refusal *r, uint8_t *out, uint32_t frame_len)
{
	const struct packet *p = r->p;
	const uint8_t *sender = p->sender_kept ? p->sender : p->data + 6;

	memcpy(out, p->data - p->decap, p->decap);
	if (p->decap && !tunnel_back(out, p->decap, frame_len))
		return false;
	out += p->decap;
	memcpy(out, p->data, r->l2);
	memcpy(out, sender, 6);
	memcpy(out + 6, memcmp(sender, p->data + 6, 6) ? p->data + 6 : p->data, 6);
	return true;
}

struct rte_mbuf *reject_build(struct packet *p, struct rte_mempool *pool, uint32_t mtu)
{
	struct refusal r = {.saying = saying_of(p->reason), .p = p, .l = &p->layer[0], .mtu = mtu};
	uint32_t quote = 0, head, bytes;
	struct rte_mbuf *m;
	uint8_t *out;
	bool tcp;

	packet_refresh(p);
	r.ip6 = p->meta.layer[0].l3_type == L3_META_IPV6;
	if (!p->m || p->meta.layer[0].l3_type == L3_META_NONE || p->encap || p->decap == PACKET_HEADER_LOST)
		return NULL;
	r.l2 = r.l->l3;
	r.ip = p->data + r.l->l3;
	if (!may_answer(&r))
		return NULL;
	r.from = speaker(&r);
	tcp = r.l->l4_proto == IPPROTO_TCP && r.saying->rst;
	head = r.ip6 ? 40 : 20;
	if (!tcp) {
		quote = r.l->end - r.l->l3;
		bytes = r.ip6 ? IP6_QUOTE : IP4_QUOTE;
		quote = quote < bytes ? quote : bytes;
	}
	bytes = p->decap + r.l2 + head + (tcp ? 20 : 8 + quote);
	m = rte_pktmbuf_alloc(pool);
	if (!m)
		return NULL;
	out = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)bytes);
	if (!out || !put_l2(&r, out, bytes)) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	r.out = out + p->decap + r.l2;
	if (tcp)
		put_rst(&r);
	else
		put_icmp(&r, quote);
	return m;
}
