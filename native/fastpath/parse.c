// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <string.h>

#include <netinet/in.h>

#include "bytes.h"
#include "parse.h"

enum {
	TYPE_IP4 = 0x0800,
	TYPE_ARP = 0x0806,
	TYPE_IP6 = 0x86dd,
	TYPE_VLAN = 0x8100,
	TYPE_QINQ = 0x88a8,
	TYPE_QINQ_OLD = 0x9100,
	TYPE_TEB = 0x6558, // Ethernet inside GRE or GENEVE
	PORT_VXLAN = 4789,
	PORT_VXLAN_GPE = 4790,
	PORT_GENEVE = 6081,
	PORT_GTPU = 2152,
	PORT_MPLS = 6635,
	IP6_EXT_MAX = 16, // extension headers looked through
	GTP_EXT_MAX = 8,
	MPLS_FIELDS = 5,
	MPLS_MAX = 16,
	ND_OPTIONS_MAX = 16,
	GPE_IP4 = 1,
	GPE_IP6 = 2,
	GPE_ETH = 3,
};

const uint8_t packet_zero_page[64] __attribute__((aligned(64)));

#define ABSENT ((uint8_t *)(uintptr_t)packet_zero_page)

// One step of the parse: position, and where readable bytes end.
struct cursor {
	struct packet *p;
	uint32_t at;
	uint32_t end; // of the first segment, and of the enclosing IP packet once known
};

static inline bool fits(const struct cursor *c, uint32_t bytes)
{
	return c->at <= c->end && bytes <= c->end - c->at;
}

void packet_init(struct packet *p)
{
	memset(p, 0, sizeof(*p));
	for (unsigned int i = 0; i < REGION_META; i++)
		p->base[i] = ABSENT;
	p->base[REGION_META] = (uint8_t *)&p->meta;
}

static void regions_reset(struct packet *p)
{
	for (unsigned int i = 0; i < REGION_LAYER; i++)
		p->base[i] = ABSENT;
	if (p->inner_set) {
		for (unsigned int i = REGION_INNER; i < REGION_META; i++)
			p->base[i] = ABSENT;
		p->inner_set = false;
	}
	memset(p->layer, 0, sizeof(p->layer));
	memset(p->meta.layer, 0, sizeof(p->meta.layer));
	p->meta.gre_key_present = 0;
	p->tunnel = STEER_TUN_NONE;
	p->tunnel_end = 0;
	p->stale = false;
	p->judged = false;
}

// Answers go to who asked, whatever actions do to the header until then: the first parse that finds the question keeps the
// address, behind a tunnel too.
static void keep_sender(struct packet *p)
{
	p->inner_set = true;
	packet_keep_sender(p, p->base[REGION_ETH] + 6);
}

// ARP for IPv4 over Ethernet at the cursor; any other kind is no header that we know.
static void parse_arp(struct cursor *c)
{
	static const uint8_t kind[6] = {0, 1, 0x08, 0, 6, 4};
	uint8_t *h = c->p->data + c->at;

	if (!fits(c, 28) || memcmp(h, kind, sizeof(kind)))
		return;
	c->p->base[REGION_ARP] = h;
	keep_sender(c->p);
}

// Neighbour discovery, whose ICMPv6 header is at the cursor: the target, and the first link-layer address option of the
// kind that belongs to the message. Fragments of it count for nothing (RFC 6980).
static void parse_nd(struct cursor *c)
{
	static const uint8_t heads[] = {8, 16, 24, 24, 40}; // RS, RA, NS, NA, redirect
	struct packet *p = c->p;
	uint8_t *h = p->data + c->at, *option;
	uint8_t type = h[0], wanted = type >= ND_ADVERTISEMENT ? 2 : 1;
	struct cursor at = *c;

	if (type < ND_FIRST || type > ND_LAST || p->meta.layer[0].ip_fragmented ||
		p->meta.layer[0].l3_type != L3_META_IPV6 || !fits(c, heads[type - ND_FIRST]))
		return;
	keep_sender(p);
	if (type >= ND_SOLICITATION)
		p->base[REGION_ND] = h + 8;
	at.at += heads[type - ND_FIRST];
	for (unsigned int i = 0; i < ND_OPTIONS_MAX && fits(&at, 8); i++) {
		option = p->data + at.at;
		if (!option[1] || !fits(&at, option[1] * 8u))
			return;
		if (option[0] == wanted) {
			p->base[REGION_ND_LLADDR] = option + 2;
			return;
		}
		at.at += option[1] * 8u;
	}
}

// The L4 header, at the cursor; `proto` is what the IP header (or its last extension) says.
static void parse_l4(struct cursor *c, unsigned int layer, uint8_t proto)
{
	struct packet *p = c->p;
	struct packet_layer *l = &p->layer[layer];
	struct packet_layer_meta *meta = &p->meta.layer[layer];
	uint8_t **base = &p->base[layer * REGION_LAYER];
	uint8_t *h = p->data + c->at;

	l->l4_proto = proto;
	switch (proto) {
	case IPPROTO_TCP:
		meta->l4_type = L4_META_TCP;
		if (!fits(c, 20))
			return;
		base[REGION_TCP] = h;
		base[REGION_L4] = h;
		break;
	case IPPROTO_UDP:
		meta->l4_type = L4_META_UDP;
		if (!fits(c, 8))
			return;
		base[REGION_L4] = h;
		break;
	case IPPROTO_SCTP:
		if (!fits(c, 12))
			return;
		base[REGION_L4] = h;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		meta->l4_type = L4_META_ICMP;
		if (!fits(c, 8))
			return;
		base[REGION_ICMP] = h;
		if (proto == IPPROTO_ICMPV6 && !layer)
			parse_nd(c);
		break;
	case IPPROTO_ESP:
		meta->l4_type = L4_META_ESP;
		if (!fits(c, 8))
			return;
		if (!layer || !packet_has(p, REGION_ESP)) {
			p->base[REGION_ESP] = h;
			p->inner_set = true;
			if (!layer)
				p->tunnel = STEER_TUN_ESP;
		}
		break;
	default:
		return;
	}
	l->l4 = (uint16_t)c->at;
}

// IPv4 at the cursor. Returns the next protocol, or -1 when nothing (more) is to be parsed.
static int parse_ip4(struct cursor *c, unsigned int layer)
{
	struct packet *p = c->p;
	struct packet_layer *l = &p->layer[layer];
	struct packet_layer_meta *meta = &p->meta.layer[layer];
	uint8_t *h = p->data + c->at;
	uint32_t ihl, total, left;
	uint16_t fragment;

	if (!fits(c, 20))
		return -EBADMSG;
	ihl = (h[0] & 0xfu) * 4;
	if (!fits(c, ihl))
		return -EBADMSG;
	p->base[layer * REGION_LAYER + REGION_IP4] = h;
	meta->l3_type = L3_META_IPV4;
	l->l3 = (uint16_t)c->at;
	fragment = be16(h + 6);
	meta->ip_fragmented = (fragment & 0x3fff) != 0;
	l->first = !(fragment & 0x1fff);
	total = be16(h + 2);
	left = p->frame_len - c->at;
	meta->l3_ok = h[0] >> 4 == 4 && ihl >= 20 && total >= ihl && total <= left;
	if (h[0] >> 4 != 4 || ihl < 20 || total < ihl)
		return -1;
	total = total < left ? total : left;
	l->end = c->at + total;
	if (l->end < c->end)
		c->end = l->end;
	l->l4_len = total - ihl;
	c->at += ihl;
	return l->first ? h[9] : -1;
}

// The extension headers from the cursor on; returns the protocol behind them, or -1 when nothing is to be parsed there.
static int parse_ip6_extensions(struct cursor *c, unsigned int layer, uint8_t proto)
{
	struct packet *p = c->p;
	struct packet_layer *l = &p->layer[layer];
	struct packet_layer_meta *meta = &p->meta.layer[layer];
	bool fragment = false;

	for (unsigned int i = 0; i < IP6_EXT_MAX; i++) {
		const uint8_t *e = p->data + c->at;
		uint32_t bytes;

		switch (proto) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			if (!fits(c, 8))
				return -1;
			bytes = (e[1] + 1u) * 8;
			break;
		case IPPROTO_AH:
			if (!fits(c, 8))
				return -1;
			bytes = (e[1] + 2u) * 4;
			break;
		case IPPROTO_FRAGMENT:
			// One within the other: what is behind the inner one is not to be had.
			if (fragment || !fits(c, 8))
				return -1;
			fragment = true;
			meta->ip_fragmented = (be16(e + 2) & 0xfff9) != 0;
			l->first = !(be16(e + 2) & 0xfff8);
			// What an outer fragment carries may be in fragments too: that is for who puts the outer ones together.
			if (!layer || !p->meta.layer[0].ip_fragmented)
				p->frag_at = (uint16_t)c->at;
			bytes = 8;
			break;
		default:
			l->l4_len = l->end - c->at;
			return proto;
		}
		if (!fits(c, bytes))
			return -1;
		proto = e[0];
		c->at += bytes;
		if (!l->first)
			return -1;
	}
	return -1;
}

// IPv6 at the cursor with its extension headers; like parse_ip4.
static int parse_ip6(struct cursor *c, unsigned int layer)
{
	struct packet *p = c->p;
	struct packet_layer *l = &p->layer[layer];
	struct packet_layer_meta *meta = &p->meta.layer[layer];
	uint8_t *h = p->data + c->at;
	uint32_t total, left;

	if (!fits(c, 40))
		return -EBADMSG;
	p->base[layer * REGION_LAYER + REGION_IP6] = h;
	meta->l3_type = L3_META_IPV6;
	l->l3 = (uint16_t)c->at;
	l->first = 1;
	total = 40u + be16(h + 4);
	left = p->frame_len - c->at;
	meta->l3_ok = h[0] >> 4 == 6 && total <= left;
	if (h[0] >> 4 != 6)
		return -1;
	total = total < left ? total : left;
	l->end = c->at + total;
	if (l->end < c->end)
		c->end = l->end;
	c->at += 40;
	return parse_ip6_extensions(c, layer, h[6]);
}

// Ethernet and VLAN tags at the cursor. Returns the ethertype behind them or -EBADMSG.
static int parse_eth(struct cursor *c, unsigned int layer)
{
	struct packet *p = c->p;
	uint8_t **base = &p->base[layer * REGION_LAYER];
	unsigned int tags = 0;
	uint16_t type, first;

	if (!fits(c, 14))
		return -EBADMSG;
	base[REGION_ETH] = p->data + c->at;
	p->layer[layer].l2 = (uint16_t)c->at;
	type = first = be16(p->data + c->at + 12);
	c->at += 14;
	while (type == TYPE_VLAN || type == TYPE_QINQ || type == TYPE_QINQ_OLD) {
		if (!fits(c, 4))
			return -EBADMSG;
		if (tags < 2)
			base[REGION_VLAN0 + tags] = p->data + c->at;
		tags++;
		type = be16(p->data + c->at + 2);
		c->at += 4;
	}
	base[REGION_ETYPE] = p->data + c->at - 2;
	// A tag of a provider bridge is none of this one: its VIDs are others.
	p->meta.layer[layer].l2_type = tags == 0            ? L2_META_NO_VLAN
				       : tags > 1           ? L2_META_MULTI_VLAN
				       : first == TYPE_VLAN ? L2_META_SINGLE_VLAN
							    : L2_META_CUSTOM_VLAN;
	return type;
}

static int parse_l3(struct cursor *c, unsigned int layer, int type)
{
	if (type == TYPE_IP4)
		return parse_ip4(c, layer);
	if (type == TYPE_IP6)
		return parse_ip6(c, layer);
	return -1;
}

// What a tunnel carries: Ethernet, IPv4 or IPv6 at the cursor. One level only.
static void parse_inner(struct cursor *c, int type)
{
	struct packet *p = c->p;
	int proto;

	p->tunnel_end = (uint16_t)c->at;
	p->inner_set = true;
	if (type == TYPE_TEB)
		type = parse_eth(c, 1);
	if (type < 0)
		return;
	proto = parse_l3(c, 1, type);
	if (proto >= 0)
		parse_l4(c, 1, (uint8_t)proto);
}

static int type_by_nibble(const struct cursor *c, int otherwise)
{
	if (!fits(c, 1))
		return -1;
	switch (c->p->data[c->at] >> 4) {
	case 4:
		return TYPE_IP4;
	case 6:
		return TYPE_IP6;
	default:
		return otherwise;
	}
}

static void parse_vxlan(struct cursor *c, bool gpe)
{
	uint8_t *h = c->p->data + c->at;
	int type = TYPE_TEB;

	if (!fits(c, 8))
		return;
	c->p->base[REGION_VXLAN] = h;
	c->p->tunnel = gpe ? STEER_TUN_VXLAN_GPE : STEER_TUN_VXLAN;
	if (gpe)
		type = h[3] == GPE_IP4   ? TYPE_IP4
		       : h[3] == GPE_IP6 ? TYPE_IP6
		       : h[3] == GPE_ETH ? TYPE_TEB
					 : -1;
	else if (h[0] & 0x80)
		c->p->tunnel = STEER_TUN_VXLAN_GBP;
	c->at += 8;
	parse_inner(c, type);
}

static void parse_geneve(struct cursor *c)
{
	uint8_t *h = c->p->data + c->at;
	uint32_t bytes;
	uint16_t type;

	if (!fits(c, 8))
		return;
	c->p->base[REGION_GENEVE] = h;
	c->p->inner_set = true;
	c->p->tunnel = STEER_TUN_GENEVE;
	bytes = 8 + (h[0] & 0x3fu) * 4;
	if (!fits(c, bytes))
		return;
	type = be16(h + 2);
	c->at += bytes;
	parse_inner(c, type);
}

static void parse_gtpu(struct cursor *c)
{
	uint8_t *h = c->p->data + c->at;
	uint8_t next;

	if (!fits(c, 8) || h[0] >> 5 != 1)
		return;
	c->p->base[REGION_GTP] = h;
	c->p->inner_set = true;
	c->p->tunnel = STEER_TUN_GTPU;
	c->at += 8;
	if (h[1] != 255) // only G-PDU carries a user packet
		return;
	if (h[0] & 7) {
		if (!fits(c, 4))
			return;
		next = h[0] & 4 ? h[11] : 0;
		c->at += 4;
		for (unsigned int i = 0; next; i++) {
			uint32_t bytes;

			if (i == GTP_EXT_MAX || !fits(c, 4))
				return;
			bytes = c->p->data[c->at] * 4u;
			if (!bytes || !fits(c, bytes))
				return;
			next = c->p->data[c->at + bytes - 1];
			c->at += bytes;
		}
	}
	parse_inner(c, type_by_nibble(c, -1));
}

static void parse_mpls(struct cursor *c)
{
	for (unsigned int i = 0; i < MPLS_MAX; i++) {
		uint8_t *h = c->p->data + c->at;

		if (!fits(c, 4))
			return;
		if (i < MPLS_FIELDS)
			c->p->base[REGION_MPLS0 + i] = h;
		c->p->inner_set = true;
		c->p->tunnel = STEER_TUN_MPLS_O_UDP;
		c->at += 4;
		if (h[2] & 1) {
			parse_inner(c, type_by_nibble(c, TYPE_TEB));
			return;
		}
	}
}

static void parse_gre(struct cursor *c)
{
	struct packet *p = c->p;
	uint8_t *h = p->data + c->at;
	uint32_t bytes = 4;
	int type;

	if (!fits(c, 4) || (h[1] & 7) != 0)
		return;
	if (h[0] & 0x80)
		bytes += 4;
	if (h[0] & 0x20) {
		if (!fits(c, bytes + 4))
			return;
		p->base[REGION_GRE_KEY] = h + bytes;
		p->meta.gre_key_present = 1;
		bytes += 4;
	}
	if (h[0] & 0x10)
		bytes += 4;
	p->base[REGION_GRE] = h;
	p->inner_set = true;
	type = be16(h + 2);
	p->tunnel = type == TYPE_TEB && p->meta.gre_key_present ? STEER_TUN_NVGRE : STEER_TUN_GRE;
	if (!fits(c, bytes))
		return;
	p->layer[0].l4 = (uint16_t)c->at;
	p->layer[0].l4_proto = IPPROTO_GRE;
	c->at += bytes;
	parse_inner(c, type);
}

static void parse_udp_tunnel(struct cursor *c)
{
	uint16_t port = be16(c->p->data + c->at + 2);

	if (port < PORT_GTPU || port > PORT_MPLS)
		return;
	c->at += 8;
	switch (port) {
	case PORT_VXLAN:
		parse_vxlan(c, false);
		break;
	case PORT_VXLAN_GPE:
		parse_vxlan(c, true);
		break;
	case PORT_GENEVE:
		parse_geneve(c);
		break;
	case PORT_GTPU:
		parse_gtpu(c);
		break;
	case PORT_MPLS:
		parse_mpls(c);
		break;
	default:
		break;
	}
}

// Without a branch: ports of ordinary traffic lie between these.
static inline bool is_tunnel_port(uint16_t port)
{
	return (port == PORT_VXLAN) | (port == PORT_VXLAN_GPE) | (port == PORT_GENEVE) | (port == PORT_GTPU) |
	       (port == PORT_MPLS);
}

// Most packets: Ethernet without tags, IPv4 without options, not a fragment, TCP or UDP that cannot be a tunnel, all of it
// in the frame. Leaves exactly what the general parser would; false: let that one do it.
static inline bool parse_plain(struct packet *p)
{
	uint8_t *h = p->data;
	struct packet_layer_meta *meta = &p->meta.layer[0];
	uint32_t total;
	bool tcp;

	if (p->seg_len < 42 || p->inner_set || be16(h + 12) != TYPE_IP4 || h[14] != 0x45 ||
		(be16(h + 20) & 0x3fff))
		return false;
	tcp = h[23] == IPPROTO_TCP;
	total = be16(h + 16);
	if (total > p->frame_len - 14)
		return false;
	if (tcp) {
		if (p->seg_len < 54 || total < 40)
			return false;
	} else if (h[23] != IPPROTO_UDP || total < 28 || is_tunnel_port(be16(h + 36))) {
		return false;
	}
	p->base[REGION_ETH] = h;
	p->base[REGION_ETYPE] = h + 12;
	p->base[REGION_VLAN0] = ABSENT;
	p->base[REGION_VLAN1] = ABSENT;
	p->base[REGION_IP4] = h + 14;
	p->base[REGION_IP6] = ABSENT;
	p->base[REGION_L4] = h + 34;
	p->base[REGION_TCP] = tcp ? h + 34 : ABSENT;
	p->base[REGION_ICMP] = ABSENT;
	p->layer[0] = (struct packet_layer){
		.l3 = 14, .l4 = 34, .l4_proto = h[23], .first = 1, .end = 14 + total, .l4_len = total - 20};
	p->layer[1] = (struct packet_layer){0};
	*meta = (struct packet_layer_meta){.l2_type = L2_META_NO_VLAN,
		.l3_type = L3_META_IPV4,
		.l4_type = tcp ? L4_META_TCP : L4_META_UDP,
		.l3_ok = 1};
	p->meta.layer[1] = (struct packet_layer_meta){0};
	p->meta.gre_key_present = 0;
	p->tunnel = STEER_TUN_NONE;
	p->tunnel_end = 0;
	p->stale = false;
	p->judged = false;
	return true;
}

static int parse_all(struct packet *p)
{
	struct cursor c = {.p = p, .at = 0, .end = p->seg_len};
	int type, proto;

	regions_reset(p);
	type = parse_eth(&c, 0);
	if (type < 0)
		return type;
	if (type == TYPE_ARP) {
		parse_arp(&c);
		return 0;
	}
	proto = parse_l3(&c, 0, type);
	if (proto < 0)
		return proto == -EBADMSG ? proto : 0;
	switch (proto) {
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
		p->tunnel = STEER_TUN_IP_IN_IP;
		p->layer[0].l4_proto = (uint8_t)proto;
		parse_inner(&c, proto == IPPROTO_IPIP ? TYPE_IP4 : TYPE_IP6);
		break;
	case IPPROTO_GRE:
		p->layer[0].l4_proto = IPPROTO_GRE;
		parse_gre(&c);
		break;
	case IPPROTO_UDP:
		parse_l4(&c, 0, IPPROTO_UDP);
		if (p->layer[0].l4 && !p->meta.layer[0].ip_fragmented)
			parse_udp_tunnel(&c);
		break;
	default:
		parse_l4(&c, 0, (uint8_t)proto);
		break;
	}
	return 0;
}

int packet_parse_general(struct packet *p)
{
	int err = parse_all(p);

	// What made it malformed may stand behind headers that were found: none of them counts.
	if (__builtin_expect(err, 0))
		regions_reset(p);
	return err;
}

int packet_parse(struct packet *p)
{
	return __builtin_expect(parse_plain(p), 1) ? 0 : packet_parse_general(p);
}
