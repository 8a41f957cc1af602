// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// NAT64: translates the outer IP header between versions; addresses carry the well-known prefix 64:ff9b::/96.
//
// TCP and UDP checksums follow the addresses; ICMP echo becomes ICMPv6 echo and back. TTL is kept, IPv4 options and IPv6
// extension headers are dropped. What cannot be translated without state fails the action: fragments, other ICMP, IPv6
// addresses outside the prefix.

#include <errno.h>
#include <string.h>

#include <netinet/in.h>

#include "bytes.h"
#include "checksum.h"
#include "walk.h"

static const uint8_t prefix[12] = {0x00, 0x64, 0xff, 0x9b};

enum {
	IP4_BYTES = 20,
	IP6_BYTES = 40,
	ECHO_REQUEST4 = 8,
	ECHO_REPLY4 = 0,
	ECHO_REQUEST6 = 128,
	ECHO_REPLY6 = 129
};

// Replaces `old` bytes of network header at `l3` by room for `new` bytes; the L2 header keeps its place before it.
static bool reshape(struct packet *p, uint32_t l3, uint32_t old, uint32_t new)
{
	if (new > old) {
		if (!packet_push(p, new - old))
			return false;
		memmove(p->data, p->data + (new - old), l3);
	} else if (old > new) {
		memmove(p->data + (old - new), p->data, l3);
		return packet_pull(p, old - new);
	}
	return true;
}

// The whole L4 checksum, for what has none yet or another pseudo header.
static void sum_l4(struct packet *p, uint32_t l4, uint32_t bytes, const uint8_t *addresses,
	uint32_t address_bytes, uint8_t proto, uint32_t field)
{
	uint64_t sum;
	uint16_t value;

	memset(p->data + l4 + field, 0, 2);
	sum = checksum_add(0, addresses, address_bytes);
	if (address_bytes)
		sum += (uint64_t)htons(proto) + (htonl(bytes) >> 16) + (htonl(bytes) & 0xffff);
	value = (uint16_t)~checksum_fold(sum + checksum_frame(p, l4, bytes));
	if (!value && proto == IPPROTO_UDP)
		value = 0xffff;
	memcpy(p->data + l4 + field, &value, 2);
}

static bool echo_to(uint8_t *type, bool six)
{
	if (six) {
		if (*type != ECHO_REQUEST4 && *type != ECHO_REPLY4)
			return false;
		*type = *type == ECHO_REQUEST4 ? ECHO_REQUEST6 : ECHO_REPLY6;
	} else {
		if (*type != ECHO_REQUEST6 && *type != ECHO_REPLY6)
			return false;
		*type = *type == ECHO_REQUEST6 ? ECHO_REQUEST4 : ECHO_REPLY4;
	}
	return true;
}

// L4 checksums after the addresses changed from old to new; l4 at its new place.
static enum steer_drop follow(
	struct packet *p, uint32_t l4, uint32_t bytes, uint8_t proto, uint64_t delta, bool six)
{
	uint8_t *h = p->data + l4;
	uint16_t sum;

	switch (proto) {
	case IPPROTO_TCP:
		memcpy(&sum, h + 16, 2);
		sum = checksum_update(sum, delta);
		memcpy(h + 16, &sum, 2);
		break;
	case IPPROTO_UDP:
		memcpy(&sum, h + 6, 2);
		if (!sum) {
			if (six) // must have one there
				sum_l4(p, l4, bytes, p->data + l4 - 32, 32, IPPROTO_UDP, 6);
			break;
		}
		sum = checksum_update(sum, delta);
		if (!sum)
			sum = 0xffff;
		memcpy(h + 6, &sum, 2);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (!echo_to(h, six))
			return STEER_DROP_ACTION_FAILED;
		sum_l4(p, l4, bytes, six ? p->data + l4 - 32 : NULL, six ? 32 : 0, IPPROTO_ICMPV6, 2);
		break;
	default:
		break;
	}
	return STEER_DROP_NONE;
}

static enum steer_drop to_six(struct packet *p)
{
	struct packet_layer l = p->layer[0];
	uint8_t old[IP4_BYTES], *h;
	uint32_t ihl;
	uint64_t delta;

	memcpy(old, p->data + l.l3, sizeof(old));
	ihl = (old[0] & 0xfu) * 4;
	if (!reshape(p, l.l3, ihl, IP6_BYTES))
		return STEER_DROP_ACTION_FAILED;
	h = p->data + l.l3;
	put16(h - 2, 0x86dd);
	p->stale = true; // as long as the header with its options was, nothing moved
	memset(h, 0, IP6_BYTES);
	h[0] = (uint8_t)(0x60 | old[1] >> 4);
	h[1] = (uint8_t)(old[1] << 4);
	put16(h + 4, l.l4_len);
	h[6] = old[9] == IPPROTO_ICMP ? IPPROTO_ICMPV6 : old[9];
	h[7] = old[8];
	memcpy(h + 8, prefix, sizeof(prefix));
	memcpy(h + 20, old + 12, 4);
	memcpy(h + 24, prefix, sizeof(prefix));
	memcpy(h + 36, old + 16, 4);
	// The IPv4 parts stand in both: only the prefixes are new.
	delta = checksum_add(checksum_add(0, prefix, sizeof(prefix)), prefix, sizeof(prefix));
	return l.l4 ? follow(p, l.l3 + IP6_BYTES, l.l4_len, h[6], delta, true) : STEER_DROP_NONE;
}

static enum steer_drop to_four(struct packet *p)
{
	struct packet_layer l = p->layer[0];
	uint8_t old[IP6_BYTES], *h;
	uint64_t delta;
	uint16_t sum;

	memcpy(old, p->data + l.l3, sizeof(old));
	if (!l.l4 || memcmp(old + 8, prefix, sizeof(prefix)) || memcmp(old + 24, prefix, sizeof(prefix)) ||
		!reshape(p, l.l3, l.l4 - l.l3, IP4_BYTES))
		return STEER_DROP_ACTION_FAILED;
	h = p->data + l.l3;
	put16(h - 2, 0x0800);
	memset(h, 0, IP4_BYTES);
	h[0] = 0x45;
	h[1] = (uint8_t)(old[0] << 4 | old[1] >> 4);
	put16(h + 2, IP4_BYTES + l.l4_len);
	h[8] = old[7];
	h[9] = l.l4_proto == IPPROTO_ICMPV6 ? IPPROTO_ICMP : l.l4_proto;
	memcpy(h + 12, old + 20, 4);
	memcpy(h + 16, old + 36, 4);
	sum = (uint16_t)~checksum_fold(checksum_add(0, h, IP4_BYTES));
	memcpy(h + 10, &sum, 2);
	delta = checksum_add(checksum_add(0, prefix, sizeof(prefix)), prefix, sizeof(prefix));
	delta = (uint16_t)~checksum_fold(delta);
	return follow(p, l.l3 + IP4_BYTES, l.l4_len, h[9], delta, false);
}

static enum steer_drop nat64_run(
	struct walker *w, struct packet *p, const struct action *a, const uint8_t *value)
{
	const struct packet_layer_meta *meta = &p->meta.layer[0];

	packet_refresh(p);
	if (!p->layer[0].end || meta->ip_fragmented ||
		meta->l3_type != (value[0] == 4 ? L3_META_IPV4 : L3_META_IPV6))
		return STEER_DROP_ACTION_FAILED;
	return value[0] == 4 ? to_six(p) : to_four(p);
}

static int nat64_check(const struct steer_action *w, struct why *why)
{
	if (!(w->flags & STEER_ACT_CHANGEABLE) && w->value[0] != 4 && w->value[0] != 6)
		return why_set(why, STEER_WHY_BAD_ACTION, -EINVAL, "nat64: original version %u", w->value[0]);
	return 0;
}

static const struct action_kind nat64 = {
	.kind = STEER_ACT_NAT64, .name = "nat64", .run = nat64_run, .arg_bytes = 1, .check = nat64_check};
ACTION_REGISTER(nat64)
