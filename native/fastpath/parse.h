// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Finds a frame's headers. Works on plain bytes, no EAL needed.
//
// Dropped as malformed is only a frame whose outer Ethernet header, VLAN tag, or IPv4 / IPv6 header does not fit into it.
// Everything else goes on: a length that contradicts the frame clears l3_ok, an L4 header that does not fit is absent and
// clears l4_ok, an inner header that does not fit makes the inner layer absent from there on.
#pragma once

#include <string.h>

#include <netinet/in.h>

#include "packet.h"

// Prepares a context for its first use: all regions absent.
void packet_init(struct packet *p);

// Sets data, lengths and metadata for a frame that came in; drawn per packet: nothing (random on demand).
static inline void packet_load(struct packet *p, void *data, uint32_t seg_len, uint32_t frame_len)
{
	p->data = data;
	p->seg_len = seg_len;
	p->frame_len = frame_len;
}

// Zero metadata as a received packet has it; port_id in host order.
static inline void packet_meta_reset(struct packet *p, uint16_t port_id)
{
	memset(&p->meta, 0, sizeof(p->meta));
	p->meta.port_id = htons(port_id);
	p->meta.meter_color = METER_GREEN;
}

// Types of ICMP (not ICMPv6) errors.
static inline bool icmp4_is_error(uint8_t type)
{
	switch (type) {
	case 3:  // destination unreachable
	case 4:  // source quench
	case 5:  // redirect
	case 11: // time exceeded
	case 12: // parameter problem
		return true;
	default:
		return false;
	}
}

enum { ND_FIRST = 133, ND_SOLICITATION = 135, ND_ADVERTISEMENT = 136, ND_LAST = 137 };

// 0 or -EBADMSG (malformed). Keeps pkt_meta, u32, port_id, random and colour.
int packet_parse(struct packet *p);
// The same without the short cut for plain packets. For tests, which compare the two.
int packet_parse_general(struct packet *p);

// Parses again after a structural change, if there was one. What cannot be parsed any more just has no layers.
static inline void packet_refresh(struct packet *p)
{
	if (__builtin_expect(p->stale, 0))
		packet_parse(p);
}

// Fills in ip4_checksum_ok, l4_ok and l4_checksum_ok of both layers; sums the payload, so only for pipes that ask.
// l4_ok: the header fits and its own lengths are possible. l4_checksum_ok: the sum is right; UDP without checksum counts
// as right; fragments and other protocols read as 0.
void packet_judge(struct packet *p);
