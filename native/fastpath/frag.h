// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Virtual reassembly: a datagram's later fragments learn ports and protocol from its first one, and leave as they came. What
// comes before the first one is held, within bounds of number and time. A fragment all of which was there before is dropped; one
// that overlaps others in part, or contradicts the datagram's length, spoils the rest of its datagram (RFC 5722).
//
// Datagrams are told apart by input port, outermost VLAN tag, addresses, identification and, IPv4, protocol; those that come
// in fragments inside of VXLAN also by the tunnel's sender and VNI. A table belongs to one worker and touches no memory but
// its own and the packets' headers; what it holds are opaque pointers.
#pragma once

#include "packet.h"

enum {
	FRAG_SLOTS = 1024,          // datagrams under way, per worker
	FRAG_HELD_MAX = 4096,       // fragments held, per worker, whatever is asked for
	FRAG_HELD_OF_DATAGRAM = 64, // enough for 64 KiB in an MTU of 1500 that comes backwards
	FRAG_HELD_DEFAULT = 1024,
	FRAG_WAIT_SECONDS = 5,  // for a first fragment
	FRAG_LIFE_SECONDS = 30, // for the last one
};

enum frag_verdict {
	FRAG_GOES_ON = 0, // a later fragment's p->frag_* are set
	FRAG_HELD,        // the table has it, frag_back() will give it back
	FRAG_DROPPED,     // packet_drop() was done
};

// A fragment that was held.
struct frag_back {
	void *held;
	uint16_t in_port;
	uint16_t port[2]; // as p->frag_port and so on
	uint8_t protocol;
	uint8_t icmp_type;
	uint8_t reason; // enum steer_drop; 0: it goes on
};

struct frag_table;

// NULL without memory. tsc_hz: of the clock that the calls below are given.
struct frag_table *frag_table_create(uint64_t tsc_hz);
// What is held is forgotten: take it back first with frag_flush() and frag_back().
void frag_table_destroy(struct frag_table *t);

// Whether there is a fragment to be judged in a freshly parsed packet: it is one, or VXLAN that is whole carries one.
static inline bool frag_is(const struct packet *p)
{
	return p->meta.layer[0].ip_fragmented ||
	       (p->meta.layer[1].ip_fragmented && p->tunnel == STEER_TUN_VXLAN);
}

// Judges such a packet in front of all pipes. held: what stands for the packet when it is held. most: fragments that may be
// held in all; a port has half of it.
enum frag_verdict frag_judge(struct frag_table *t, struct packet *p, void *held, uint32_t most, uint64_t tsc);

// Gives up what waited too long. Bounded work; call it every turn.
void frag_sweep(struct frag_table *t, uint64_t tsc);
// Gives up everything.
void frag_flush(struct frag_table *t);

// The next fragment that is held no more, in the order in which they are to go on. False: none.
bool frag_back(struct frag_table *t, struct frag_back *back);

// How many fragments the table has, those to be given back included; and how many datagrams.
uint32_t frag_held(const struct frag_table *t);
uint32_t frag_datagrams(const struct frag_table *t);
