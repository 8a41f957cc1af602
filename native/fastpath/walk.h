// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The walk of packets through pipes, and the scratch memory of a thread that walks: each worker has a walker, trace has one.
#pragma once

#include "stage.h"
#include "table.h"

enum {
	WALK_CONTEXTS = 1024, // packets and copies in flight in one turn
};

struct recorder;   // trace.c
struct flow_cache; // flow_cache.h

struct walker {
	uint64_t revision;    // of this burst
	uint64_t tsc;         // at its start
	uint64_t now_ns;      // CLOCK_REALTIME of this turn
	uint64_t ct_revision; // of the policy, and its epoch: read before `revision`, see ct.h
	uint32_t ct_epoch;
	struct ct *ct;      // whose connections this worker keeps; it stays until the turn is over
	uint32_t ct_serial; // that one's, 0 = none: another one may have its place in memory
	struct pipe *stop;  // a walk within a walk ends here as allowed; NULL = none
	uint64_t random;    // state of the generator, never 0
	uint16_t worker;    // index; trace: 0, with `recorder` set
	bool live;          // false: trace, nothing may be changed for others
	uint16_t nr_free;
	struct stats_counter *counters;
	struct stats_worker *stats;
	struct stage_watch stage;
	struct recorder *recorder;
	struct flow_cache *cache; // NULL: none
	bool fresh;               // some packet of this burst may be so
	bool untold;              // ct_delivered() has written records that control is not told of
	const void *key_at[FP_LOOKUP];
	void *found[FP_LOOKUP];
	uint8_t keys[FP_LOOKUP * STEER_KEY_MAX] __rte_cache_aligned;
	struct packet *pending[2][WALK_CONTEXTS]; // of the walk, and of one within it
	struct packet *free[WALK_CONTEXTS];
	struct packet contexts[WALK_CONTEXTS];
};

struct walker *walker_create(void);
void walker_destroy(struct walker *w);

// A context, or NULL when all are in use. Contexts keep their packet_init state.
static inline struct packet *walker_get(struct walker *w)
{
	return likely(w->nr_free) ? w->free[--w->nr_free] : NULL;
}

static inline void walker_put(struct walker *w, struct packet *p)
{
	w->free[w->nr_free++] = p;
}

// Uniform bits from a xorshift generator of the walker's own.
static inline uint32_t walker_random(struct walker *w)
{
	uint64_t x = w->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	w->random = x;
	return (uint32_t)(x >> 16);
}

// One packet more in a counter slot, with its present length. Only when w->live.
static inline void walker_count(struct walker *w, const struct packet *p, uint32_t slot)
{
	struct stats_counter *counter = &w->counters[slot];

	// Written by this thread only; plain aligned stores, whole for readers.
	fp_write(&counter->packets, counter->packets + 1);
	fp_write(&counter->bytes, counter->bytes + p->frame_len);
}

// The same for many packets of `bytes` together; a pipe may have no slot.
static inline void walker_count_all(struct walker *w, uint32_t slot, uint32_t packets, uint64_t bytes)
{
	struct stats_counter *counter = &w->counters[slot];

	if (unlikely(slot == STEER_COUNTER_NONE))
		return;
	fp_write(&counter->packets, counter->packets + packets);
	fp_write(&counter->bytes, counter->bytes + bytes);
}

// A context at the start of its walk: no verdict yet, nothing known but its port. The caller sets `pipe` and what else it
// knows better; the frame is parsed apart.
static inline void packet_begin(struct packet *p, uint16_t in_port)
{
	p->in_port = in_port;
	p->out_port = STEER_PORT_NONE;
	p->copy = 0;
	p->nr_copies = 0;
	p->sender_kept = false;
	// In order and without a gap: one store.
	p->verdict = PACKET_WALKING;
	p->reason = STEER_DROP_NONE;
	p->kind = 0;
	p->domain = STEER_DOMAIN_DEFAULT;
	p->depth = 0;
	p->algorithm = STEER_HASH_DEFAULT;
	p->reject = 0;
	p->frag_protocol = 0;
	p->ct_opened = 0;
	p->encap = 0;
	p->decap = 0;
	p->tag = 0;
	p->fresh = false;
	p->look = 0;
	p->log = 0;
	p->intact = false;
	p->plain = false;
	p->wants = false;
	p->asking.number = 0;
	p->behind = false;
	p->recorded = 0;
	p->before = 0;
	p->hit = NULL;
	p->copies = NULL;
	p->last_copy = NULL;
	p->next_copy = NULL;
	p->root = p;
}

// Where a pipe's misses go in the walker's revision; NULL: to the port's default.
static inline const struct fwd *walk_miss_of(const struct walker *w, const struct pipe *pipe)
{
	const struct miss_version *v = fp_read_acquire(&pipe->miss);

	while (v && !(fp_read(&v->birth) <= w->revision && w->revision < fp_read(&v->death)))
		v = fp_read_acquire(&v->older);
	return v ? &v->fwd : NULL;
}

// Reads the revision and the clock for the packets that follow.
void walk_begin(struct walker *w, uint64_t tsc);

// Fills in a context for a frame that came in on a port (wire index) and parses it; sets the port's root pipe. Returns
// false when the verdict is there already (malformed, no pipeline).
bool walk_enter(struct walker *w, struct packet *p, struct rte_mbuf *m, uint16_t port);

// Contexts for a burst of one port, filled in likewise. n <= FP_BURST, and no contexts are in use but for copies.
void walk_enter_burst(
	struct walker *w, struct packet **packets, struct rte_mbuf **burst, unsigned int n, uint16_t port);

// Walks n packets, as walk_enter left them, to their verdicts. Flooded copies hang on the packet they were made of.
void walk_run(struct walker *w, struct packet **packets, unsigned int n);
// The same, telling w->recorder of each step, without counting or taking tokens.
void walk_trace(struct walker *w, struct packet **packets, unsigned int n);

// Bytes before or behind the first byte: moves data, keeps p in step. False when there is no room (or not so many bytes).
bool packet_push(struct packet *p, unsigned int bytes);
bool packet_pull(struct packet *p, unsigned int bytes);
// A frame in as many segments as it needs, NULL without mbufs.
struct rte_mbuf *frame_to_mbuf(struct rte_mempool *pool, const void *frame, uint32_t length);

// The next visible entry of a HASH or ORDERED_LIST pipe from *index on, which it moves behind it; NULL at the end.
struct entry *hash_next(const struct pipe *pipe, uint64_t revision, uint32_t *index);

// The only way to drop: names the reason. The owner of the packet counts and frees it when he delivers.
static inline void packet_drop(struct packet *p, enum steer_drop reason)
{
	p->verdict = PACKET_DROP;
	p->reason = (uint8_t)reason;
}

// Whether a port takes the packet now: NONE, PORT_DOWN or MTU.
enum steer_drop worker_send_check(const struct rte_mbuf *m, uint16_t out);

// What trace wants to know; called only with w->recorder set.
void record_hop(struct walker *w, const struct packet *p, const struct pipe *pipe, const struct entry *hit);
void record_action(struct walker *w, const struct packet *p, const struct action *action);
void record_after(struct walker *w, const struct packet *p, const struct fwd *fwd);
void record_ct(struct walker *w, uint8_t result, uint64_t tag); // of the hop just begun
