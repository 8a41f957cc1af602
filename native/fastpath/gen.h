// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// A generator of packets for measurements: connections numbered from 0, each number a tuple of its own, visited in an order
// that no cache foresees. A packet is a preloaded frame whose addresses, ports and checksums are rewritten; nothing is kept
// per connection, so that four million of them cost no memory. Port backend `gen` (port_gen.c) makes a port of one.
//
// Thread-safety. Made and released by the control thread. A queue is filled by one worker at a time.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "config.h"

enum {
	GEN_FLOWS_MAX = 1 << 22, // connections that are visited again and again
	GEN_SERVICES = 8,
	GEN_BURST_MAX = 64,
	GEN_FRAME_MIN = 60, // without FCS
	GEN_FRAME_MAX = 1514,
};

enum gen_kind {
	GEN_UDP = 0,
	GEN_SYN,      // TCP, the first segment of a connection and nothing else
	GEN_FRAGMENT, // later fragments of datagrams whose first one never comes
	GEN_OVERLAP,  // fragments of eight datagrams, at any place: they overlap
	GEN_SHORT,    // UDP frames that end anywhere in their headers or soon after
};

// One side of the connections.
struct gen_side {
	uint32_t base;  // first address, host order
	uint8_t bits;   // of the address that differ, 0 to 16
	uint8_t to_mac; // what is differing in an address, shifted right by this, is the number of its MAC
	uint8_t mac[6]; // of number 0; the others differ in the last byte
	uint16_t macs;  // a power of two
};

struct gen_spec {
	uint64_t flows; // connections, up to 2^32
	bool once;      // each is visited `rounds` times ("new"), else again and again
	bool endless;   // and without an end
	uint32_t rounds;
	uint32_t rate; // packets a second, all queues together; 0 = as fast as they are taken
	enum gen_kind kind;
	uint16_t size;           // of frames, without FCS; 0 = a mix (GEN_UDP only)
	struct gen_side side[2]; // opener, responder
	uint16_t service[GEN_SERVICES];
	uint8_t service_bits; // log2 of how many there are
	char reply
		[STEER_NAME_MAX]; // port whose packets are replied to; what else is here but rate is not used then
};

struct gen;

// Reads "key=value,..." as docs/fastpath-config.md has it. -EINVAL with a sentence that names key and value.
int gen_parse(const char *text, struct gen_spec *spec, char why[CONFIG_WHY_MAX]);

// forward: the one to reply to, or NULL; it lives on until its repliers are released too. -EINVAL, -ENOMEM.
int gen_create(const struct gen_spec *spec, struct gen *forward, uint16_t nr_queues, uint64_t tsc_hz,
	struct gen **made, char why[CONFIG_WHY_MAX]);
void gen_release(struct gen *gen);
bool gen_replies(const struct gen *gen);

// The next packets of a queue, at most max (GEN_BURST_MAX is the most it makes at once); fewer when its rate, its end, or
// a lack of buffers says so. A replier makes nothing before each connection was opened (once: before its own was).
// now: rte_rdtsc(). A buffer must have room for 64 bytes, and for the largest frame.
uint16_t gen_fill(struct gen *gen, uint16_t queue, struct rte_mempool *pool, uint64_t now,
	struct rte_mbuf **packets, uint16_t max);
