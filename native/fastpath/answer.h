// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Packets that the fast path says something with: answers to ARP and neighbour discovery, refusals of what was rejected.
// All run on the worker (or trace) that has the packet.
#pragma once

#include <rte_mbuf.h>

#include "packet.h"

// Turns an ARP request, or a neighbour solicitation whose hop limit, checksum and addresses are right, into its answer, on
// its way out of the port it came in on. The address told is the source MAC as actions left it. 0, or -EINVAL and the
// packet is as it was: it asks for nothing, or its sender asks for what is its own (duplicate address detection, gratuitous
// ARP), which must stay unanswered.
int answer_neighbour(struct packet *p);

// The refusal of a rejected packet, for the port it came in on: a TCP RST, or ICMP, ICMPv6 "administratively prohibited"
// with as much of the packet as such messages quote. Dropped as ttl or no_route, it is told "time exceeded" or
// "unreachable", be it TCP or not, by the address in meta.u32[0] (IPv6: [0] to [3]) if there is one; dropped as mtu,
// "fragmentation needed" or "packet too big" with that MTU, be it to be fragmented or not. What came out of a tunnel is
// answered into it, by its target's address. NULL: nothing may be said to it (an RST, an ICMP error, neighbour discovery,
// multicast, a later fragment, impossible addresses, headers that do not fit), or there is no buffer.
struct rte_mbuf *reject_build(struct packet *p, struct rte_mempool *pool, uint32_t mtu);
