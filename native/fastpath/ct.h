// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Autonomous connection tracking: what the walk, the workers, control and the parts around it (fragments, ICMP errors,
// answers) need to know of it. How connections are kept is in ct_table.h.
//
// Thread-safety. A worker alone touches its connections. Control reaches them by messages (ct_mail.c) and by words that
// workers read: the epoch, the windows of adoption. There is at most one autonomous CT pipe in a fast path.
#pragma once

#include "walk.h"

struct ct;        // one autonomous CT pipe
struct ct_worker; // its part that one worker owns

// --- Headers of a packet as connections see them ---------------------------------------------------------------------

// Addresses in network order, IPv4 in the first four bytes and the rest 0. Ports in network order; ICMP queries: both the
// identifier.
struct ct_tuple {
	uint8_t src[16];
	uint8_t dst[16];
	uint16_t src_port;
	uint16_t dst_port;
	uint8_t version; // 4, 6
	uint8_t protocol;
	uint8_t icmp_type;
	uint8_t pad;
};

// icmp_error.c. True when the packet is an ICMP or ICMPv6 error (of the outer layer, 0, or of what a tunnel carries, 1)
// whose quoted packet is whole enough to name a connection; *quoted is that packet, as it was sent. The error must go to the
// quoted packet's source, else it is false too.
bool icmp_error_quotes(const struct packet *p, unsigned int layer, struct ct_tuple *quoted);
// Whether it is an ICMP or ICMPv6 error at all.
bool icmp_error_is(const struct packet *p, unsigned int layer);

// frag.c keeps fragments in front of all pipes, on the worker that owns their addresses, and leaves in a later fragment's
// context what its first one said: p->frag_protocol, p->frag_port[], p->frag_icmp_type.

// --- Workers ---------------------------------------------------------------------------------------------------------

// The CT pipe in force, or NULL. Workers read it once per turn.
extern struct ct *ct_present;

// Reads epoch and revision of the policy. Before the revision of the tables: who judges by tables of before a change then
// stamps with an epoch of before it too.
void ct_begin(struct walker *w);

// The CT pipe's turn at a batch: look-up, policy stage as a subroutine, state, counts. Leaves verdicts, or p->pipe at the
// pipe's fwd. Returns how many still walk, moved to the front. live: false for trace.
unsigned int ct_batch(struct walker *w, struct pipe *pipe, struct packet **batch, unsigned int n, bool live);

// A packet that opened a connection (p->ct_opened) has its verdict: the connection learns where it left by, its first
// record is written.
void ct_delivered(struct walker *w, const struct packet *p);

// Behind those of a burst, if there was one: control is told of all records that were written. Not one by one, since each
// time the line that says how many there are has to come back from the core of control.
void ct_tell(struct walker *w);

// Once per turn of a worker: time-outs, records of active connections, messages of control. Bounded. True when there is
// more to do at once.
bool ct_worker_turn(struct walker *w, bool busy);

// Which worker owns a packet's connection; the same for both directions, for fragments and for errors about them. IP only.
uint16_t ct_owner(const struct packet *p);
// Whether what comes in by a port may reach the CT pipe: its packets have an owner.
bool ct_concerns(const struct ct *ct, uint16_t port);

// --- Control ---------------------------------------------------------------------------------------------------------

// Takes records from the workers to the session that owns the pipe. Once per turn; returns how many there were.
unsigned int ct_control_turn(void);
// CT_EPOCH, CT_ADOPT and CT_LIST; 0 or -errno with a sentence in why. session: who asks.
int ct_epoch(
	uint32_t session, const struct steer_ct_epoch *epoch, const uint32_t *identities, struct why *why);
int ct_adopt(uint32_t session, const struct steer_ct_adopt *adopt, struct why *why);
int ct_list(const struct steer_ct_list *list, struct steer_ct_list_reply *reply,
	struct steer_flow_record *records, uint32_t room, struct why *why);
// Takes up to max records of all workers; for control and for tests without it.
unsigned int ct_take_records(struct steer_flow_record *records, unsigned int max);
// Added to every reading of the clock of connections, in ms. For tests.
extern uint64_t ct_clock_skew_ms;
