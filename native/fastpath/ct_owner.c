// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Which worker owns a packet. By the two addresses alone, in either order: ports are not in all fragments, and the packet
// that an ICMP error quotes has the addresses of its connection. By the inner ones of VXLAN: the other direction of what comes
// out of a tunnel comes in without one. (VXLAN that is in fragments itself goes by the outer ones, all of it.)

#include "bytes.h"
#include "ct_private.h"

static inline uint64_t fold(uint64_t first, uint64_t second)
{
	return ct_spread(first) ^ ct_spread(second + 0x9e3779b97f4a7c15);
}

static inline uint64_t fold4(const uint8_t *address)
{
	return fold(load32(address), 0);
}

static inline uint64_t fold6(const uint8_t *address)
{
	return fold(load64(address), load64(address + 8));
}

uint16_t ct_owner(const struct packet *p)
{
	const unsigned int tunnel = p->tunnel == STEER_TUN_VXLAN && !p->meta.layer[0].ip_fragmented &&
				    p->meta.layer[1].l3_type != L3_META_NONE;
	const unsigned int layer = tunnel * REGION_LAYER;
	bool six = p->meta.layer[tunnel].l3_type == L3_META_IPV6;
	const uint8_t *src = six ? p->base[layer + REGION_IP6] + 8 : p->base[layer + REGION_IP4] + 12,
		      *dst = src + (six ? 16 : 4);
	struct ct_tuple t;
	uint64_t hash;

	if (fp.nr_workers == 1)
		return 0;
	if (unlikely(packet_has(p, layer + REGION_ICMP)) && icmp_error_quotes(p, tunnel, &t)) {
		src = t.src;
		dst = t.dst;
	}
	// A sum does not know which comes first.
	hash = ct_spread(six ? fold6(src) + fold6(dst) : fold4(src) + fold4(dst));
	return (uint16_t)((hash >> 32) * fp.nr_workers >> 32);
}

bool ct_concerns(const struct ct *ct, uint16_t port)
{
	return fp_read(&fp.ports[port].root_port) == ct->pipe->port;
}
