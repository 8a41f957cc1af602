// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Which worker owns a packet. By the two addresses alone, in either order: ports are not in all fragments, and the packet
// that an ICMP error quotes has the addresses of its connection.

#include <string.h>

#include "ct_private.h"

static uint64_t fold(const uint8_t address[16])
{
	uint64_t half[2];

	memcpy(half, address, sizeof(half));
	return ct_spread(half[0]) ^ ct_spread(half[1] + 0x9e3779b97f4a7c15);
}

uint16_t ct_owner(const struct packet *p)
{
	uint8_t version = p->meta.layer[0].l3_type;
	struct ct_tuple t;
	uint64_t hash;

	if (fp.nr_workers == 1)
		return 0;
	if (version == L3_META_NONE)
		return 0;
	if (!icmp_error_is(p) || !icmp_error_quotes(p, &t))
		ct_tuple_of_packet(p, &t);
	// A sum does not know which comes first.
	hash = ct_spread(fold(t.src) + fold(t.dst));
	return (uint16_t)((hash >> 32) * fp.nr_workers >> 32);
}
