// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// ICMP and ICMPv6 errors, and the packet that they quote. An error that follows a connection passes without asking the
// policy, so it is looked at closely: its checksum is right, it is no fragment, it goes to who sent the quoted packet, and
// the quote has that packet's ports.

#include <string.h>

#include <netinet/in.h>

#include "bytes.h"
#include "checksum.h"
#include "ct.h"
#include "parse.h"

enum {
	QUOTE_AT = 8,       // behind the ICMP header
	EXTENSIONS_MAX = 8, // of a quoted IPv6 packet
	ICMP6_QUERIES = 128,
};

bool icmp_error_is(const struct packet *p, unsigned int layer)
{
	const struct packet_layer *l = &p->layer[layer];
	const uint8_t *icmp = p->base[layer * REGION_LAYER + REGION_ICMP];

	if (!l->first || !packet_has(p, layer * REGION_LAYER + REGION_ICMP))
		return false;
	if (p->meta.layer[layer].l3_type == L3_META_IPV6)
		return l->l4_proto == IPPROTO_ICMPV6 && icmp[0] < ICMP6_QUERIES;
	if (l->l4_proto != IPPROTO_ICMP)
		return false;
	return icmp4_is_error(icmp[0]);
}

static bool checksum_is_right(const struct packet *p, unsigned int layer)
{
	const struct packet_layer *l = &p->layer[layer];
	uint64_t sum = 0;

	if (p->meta.layer[layer].l3_type == L3_META_IPV6) {
		sum = checksum_add(0, p->base[layer * REGION_LAYER + REGION_IP6] + 8, 32);
		sum += htons(IPPROTO_ICMPV6);
		sum += htons((uint16_t)l->l4_len);
	}
	return checksum_fold(sum + checksum_frame(p, l->l4, l->l4_len)) == 0xffff;
}

// Ports or identifier at h, of which `left` bytes are there. False: too few, or it is an error itself.
static bool quoted_l4(struct ct_tuple *quoted, const uint8_t *h, uint32_t left)
{
	switch (quoted->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		if (left < 8)
			return false;
		memcpy(&quoted->src_port, h, 2);
		memcpy(&quoted->dst_port, h + 2, 2);
		return true;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		// What is no query is told by who makes a key of it.
		if (left < 8)
			return false;
		quoted->icmp_type = h[0];
		memcpy(&quoted->src_port, h + 4, 2);
		quoted->dst_port = quoted->src_port;
		return true;
	default:
		return true;
	}
}

static bool quoted_ip4(struct ct_tuple *quoted, const uint8_t *ip, uint32_t left)
{
	uint32_t ihl;

	if (left < 20 || ip[0] >> 4 != 4)
		return false;
	ihl = (ip[0] & 15u) * 4;
	if (ihl < 20 || ihl > left || (be16(ip + 6) & 0x1fff))
		return false;
	quoted->version = 4;
	quoted->protocol = ip[9];
	memcpy(quoted->src, ip + 12, 4);
	memcpy(quoted->dst, ip + 16, 4);
	return quoted_l4(quoted, ip + ihl, left - ihl);
}

// Finds what the extension headers at *at lead to. False: they are cut off, or it is a later fragment.
static bool skip_extensions(const uint8_t *ip, uint32_t left, uint8_t *protocol, uint32_t *at)
{
	for (unsigned int i = 0; i < EXTENSIONS_MAX; i++) {
		const uint8_t *e = ip + *at;
		uint32_t bytes = 8;

		switch (*protocol) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_FRAGMENT:
		case IPPROTO_AH:
			break;
		default:
			return true;
		}
		if (left - *at < 8)
			return false;
		if (*protocol == IPPROTO_AH)
			bytes = (e[1] + 2u) * 4;
		else if (*protocol != IPPROTO_FRAGMENT)
			bytes = (e[1] + 1u) * 8;
		else if (be16(e + 2) & 0xfff8)
			return false;
		if (left - *at < bytes)
			return false;
		*protocol = e[0];
		*at += bytes;
	}
	return false;
}

static bool quoted_ip6(struct ct_tuple *quoted, const uint8_t *ip, uint32_t left)
{
	uint32_t at = 40;

	if (left < 40 || ip[0] >> 4 != 6)
		return false;
	quoted->version = 6;
	quoted->protocol = ip[6];
	memcpy(quoted->src, ip + 8, 16);
	memcpy(quoted->dst, ip + 24, 16);
	return skip_extensions(ip, left, &quoted->protocol, &at) && quoted_l4(quoted, ip + at, left - at);
}

bool icmp_error_quotes(const struct packet *p, unsigned int layer, struct ct_tuple *quoted)
{
	const struct packet_layer *l = &p->layer[layer];
	const struct packet_layer_meta *meta = &p->meta.layer[layer];
	uint8_t *const *base = &p->base[layer * REGION_LAYER];
	uint32_t readable, left;
	const uint8_t *ip;

	*quoted = (struct ct_tuple){0};
	if (!icmp_error_is(p, layer) || meta->ip_fragmented || !meta->l3_ok || l->l4_len <= QUOTE_AT)
		return false;
	readable = p->seg_len < l->end ? p->seg_len : l->end;
	if (readable <= l->l4 + (uint32_t)QUOTE_AT)
		return false;
	ip = p->data + l->l4 + QUOTE_AT;
	left = readable - l->l4 - QUOTE_AT;
	if (meta->l3_type == L3_META_IPV4) {
		if (!quoted_ip4(quoted, ip, left) || memcmp(quoted->src, base[REGION_IP4] + 16, 4))
			return false;
	} else if (!quoted_ip6(quoted, ip, left) || memcmp(quoted->src, base[REGION_IP6] + 24, 16)) {
		return false;
	}
	return checksum_is_right(p, layer);
}
