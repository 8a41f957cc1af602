// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The flow cache: walks that were recorded, to be repeated for packets that would walk the same way.
//
// A walk is recorded from where packets start: a port's root pipe, the policy stage behind a CT pipe's miss, what is behind
// the CT pipe, or where an earlier recorded part has ended. While a packet walks it is logged: the pipes, entries hit or
// missed, and what of the packet that depended on ("needs": fields and bits, as they were at the start). All packets with
// the same needed bits take the same walk. So the cache is exact: its key is the start and the needed bits. A start has few
// sets of needed bits ("masks"); each is one look-up.
//
// A miss of a small table needs no more bits than tell the packet from every entry, and the longest prefix no more than tell
// it from longer ones: so the ports of clients, or their addresses within a prefix, need not be known (flow_log.c).
//
// Actions on metadata are remembered as what they leave in its words; all that they read is needed. The first entry that
// does more (changes headers, meters) is the last of its walk and is run anew, like the last forward. Pipes that depend on
// more than fields (random numbers, checksums, conditions, copies, connections) are not part of any walk.
//
// A connection knows the walks that its packets take to the CT pipe and behind it, for either direction, so that an
// established packet costs one look-up, in the table of connections. What the tuple does not tell of a walk's needs (MACs,
// VLAN tag, port) is compared again; walks that need more (TTL, TCP flags) are not given to connections.
//
// The walk's generation (generation.h) is the sum of those of its pipes, read before it was walked. One compare tells
// whether it still holds.
//
// Counters: pipes' counters are added up by path and written at the end of the burst; entries' at once. So everything that
// is read is what it would be without the cache. Only a worker touches its cache.
#pragma once

#include "generation.h"
#include "tags.h"
#include "walk.h"

struct ct_conn;

enum {
	FLOW_PATHS = 256,
	FLOW_HOPS = 16,     // of one walk
	FLOW_COUNTERS = 12, // that it counts, besides those of its pipes
	FLOW_WORDS = 10,    // of metadata
	FLOW_NEEDS = 20,    // fields
	FLOW_KEY = 64,
	FLOW_STARTS = 32,
	FLOW_MASKS = 4, // of a start
	FLOW_LOGS = 64, // packets that are logged at a time
	FLOW_SLOTS = TAGS,
	FLOW_ZONES = 1024,
	FLOW_WINDOW = 16, // bytes of the frame that are compared for connections: MACs, type, VLAN tag
	FLOW_WORTH = 3,   // hops: shorter walks are not quicker when they are looked up
};

// --- What is recorded -----------------------------------------------------------------------------------------------

// Pipes in a row, each hit or missed.
struct flow_path {
	uint64_t sum;   // of generations, in burst `burst`
	uint64_t burst; // 0: none yet
	uint64_t bytes; // of this burst, not yet counted
	uint32_t packets;
	bool usable;
	uint8_t nr;
	uint16_t hits; // bits
	uint16_t slot[FLOW_HOPS];
	struct pipe *pipe[FLOW_HOPS];
};

enum flow_bits {
	FLOW_USED = 1 << 0,    // since the hand was here
	FLOW_TAGGED = 1 << 1,  // sets the tag
	FLOW_DEFAULT = 1 << 2, // ends in the port's default miss
	FLOW_LIVE = 1 << 3,    // its last hop is run anew
	// For connections: their tuple, `window`, port and l2_type tell all that it needs.
	FLOW_TUPLE = 1 << 4,
};

// Four cache lines. A packet reads the first three, which are fetched together; more than five words, and what connections
// compare, are in the last.
struct flow_walk {
	uint64_t sum;
	union {
		struct fwd fwd;     // of the last hop
		struct entry *last; // FLOW_LIVE: that hop itself
	};
	uint64_t tag;
	uint16_t path;
	uint16_t mask_id;
	uint8_t nr; // hops
	uint8_t nr_words;
	uint8_t nr_counters;
	uint8_t bits;
	uint32_t serial; // no other walk has had it
	uint32_t hash;
	uint32_t counter[FLOW_COUNTERS];
	uint8_t key[FLOW_KEY];
	uint8_t word[FLOW_WORDS];
	uint32_t value[FLOW_WORDS];
	// For connections.
	uint8_t mask[FLOW_WINDOW];
	uint8_t window[FLOW_WINDOW]; // masked
	uint32_t start;              // number of the first pipe
	uint16_t port_id;            // as in metadata
	uint16_t port_mask;          // 0: any port, since roots may be shared
	uint8_t l2_type;
} __rte_cache_aligned;

_Static_assert(sizeof(struct flow_walk) == 256, "four cache lines");

// The two walks of a connection and direction: index + 1 and serial of each; behind 0 = looked up each time.
struct flow_pair {
	uint16_t before, behind;
	uint32_t before_serial, behind_serial;
};

// --- Where, and by what ---------------------------------------------------------------------------------------------

struct flow_need {
	uint16_t field;
	uint8_t mask[STEER_FIELD_BYTES_MAX];
};

struct flow_mask {
	uint16_t id; // no other one has had it, but long ago; 0 = unused
	uint8_t nr;
	uint64_t hits;
	uint64_t used_ms;
	struct flow_need need[FLOW_NEEDS]; // by field
	struct key_plan plan;
};

struct flow_start {
	uint32_t pipe, stop; // numbers; stop STEER_PIPE_NONE: none
	uint8_t nr_masks;
	uint8_t order[FLOW_MASKS]; // the most used one first
	uint8_t average;           // hops times 8
	uint8_t samples;
	uint64_t idle_until; // ms: not looked up, since walks are short here, or do not last
	uint64_t since_ms;
	uint32_t hits, stale; // since then
	struct flow_mask mask[FLOW_MASKS];
};

struct flow_bucket {
	uint16_t tag[FLOW_SLOTS] __rte_aligned(16); // 0 = free
	uint16_t number[FLOW_SLOTS];                // of a walk, index + 1
};

// --- Logs -----------------------------------------------------------------------------------------------------------

struct flow_hop {
	struct pipe *pipe;
	struct entry *hit;   // NULL: missed
	uint64_t generation; // of the pipe, before the packet was looked up in it
};

struct flow_log {
	struct flow_start *start;
	uint8_t nr;
	uint8_t nr_needs;
	uint8_t nr_counters;
	bool ended;      // what follows is not part of the walk
	bool live;       // its last hop is run anew
	bool impossible; // needs what cannot be known
	bool tagged;
	bool first; // began as the packet came in
	uint8_t nr_masks;
	uint16_t mask_id[FLOW_MASKS]; // keys of the start's masks, as the packet began
	uint8_t key[FLOW_MASKS][FLOW_KEY] __rte_aligned(16);
	uint64_t written; // bytes of metadata that the walk itself has set
	uint16_t touched; // words
	uint32_t word[FLOW_WORDS];
	uint32_t counter[FLOW_COUNTERS];
	uint64_t tag;
	struct flow_hop hop[FLOW_HOPS];
	struct flow_need need[FLOW_NEEDS];
	uint8_t value[FLOW_NEEDS][STEER_FIELD_BYTES_MAX];
	// As the packet began.
	bool plain, vlan, ip4, ip6, tcp;
	uint8_t l2_type;
	uint16_t port_id;
	uint8_t window[FLOW_WINDOW];
};

struct flow_cache {
	uint64_t burst; // counts
	uint64_t now_ms;
	uint32_t most; // walks
	uint32_t nr_walks;
	uint32_t nr_pairs;
	uint32_t hand;
	uint32_t serial;
	uint32_t tokens; // walks that may be recorded in place of others
	uint16_t mask_id;
	uint16_t nr_paths;
	uint16_t nr_dirty;   // paths used in this burst
	uint16_t generation; // of all numbers that connections hold, never 0
	uint8_t nr_starts;
	uint8_t nr_logs; // free ones
	bool full;       // of what is never given up one by one: starts, paths, numbers of masks
	bool pairs_full;
	uint64_t emptied_ms;
	uint64_t tokens_ms;
	struct flow_walk *walks;
	struct flow_pair *pairs; // as many
	struct flow_bucket *bucket;
	uint16_t *pair_index; // by hash, index + 1
	uint32_t bucket_mask;
	uint32_t pair_mask;
	uint16_t dirty[FLOW_PATHS];
	uint8_t free_log[FLOW_LOGS];
	struct flow_path paths[FLOW_PATHS];
	uint32_t zones[FLOW_ZONES]; // last seen, by sender
	struct flow_start starts[FLOW_STARTS];
	struct flow_log logs[FLOW_LOGS];
	uint8_t keys[FP_LOOKUP * FLOW_KEY] __rte_cache_aligned;
};

// entries: recorded walks, 0 = no cache and *out = NULL. -ENOMEM.
int flow_cache_create(struct flow_cache **out, uint32_t entries);
void flow_cache_destroy(struct flow_cache *c);

// A packet whose connection may have recorded walks: TCP or UDP, whole, not in a tunnel, at most one VLAN tag.
static inline bool flow_plain(const struct packet *p)
{
	const struct packet_layer_meta *m = &p->meta.layer[0];

	return !p->inner_set && m->l3_ok && !m->ip_fragmented &&
	       (m->l4_type == L4_META_TCP || m->l4_type == L4_META_UDP) && m->l2_type != L2_META_MULTI_VLAN &&
	       packet_has(p, REGION_L4) && p->domain == STEER_DOMAIN_DEFAULT && !p->depth;
}

static inline uint32_t *flow_zone(struct flow_cache *c, const struct packet *p)
{
	uint64_t sender = 0;

	memcpy(&sender, p->base[REGION_ETH] + 6, 6);
	sender = (sender ^ (uint64_t)p->in_port << 48) * 0x9e3779b97f4a7c15;
	return &c->zones[sender >> 54];
}

// Whether the walk holds in this burst.
static inline bool flow_holds(struct walker *w, struct flow_cache *c, const struct flow_walk *k)
{
	struct flow_path *path = &c->paths[k->path];

	if (unlikely(path->burst != c->burst)) {
		path->burst = c->burst;
		path->sum = 0;
		path->usable = true;
		for (unsigned int i = 0; i < path->nr; i++)
			path->usable &= generation_read(path->slot[i], w->revision, &path->sum);
	}
	return likely(path->sum == k->sum) && likely(path->usable);
}

// Whether the packet takes a connection's walk, as far as its tuple does not tell.
static inline bool flow_fits(const struct flow_walk *k, const struct packet *p)
{
	uint64_t mask[2], window[2], mine[2];

	memcpy(mask, k->mask, sizeof(mask));
	memcpy(window, k->window, sizeof(window));
	memcpy(mine, p->data, sizeof(mine));
	return !(((mine[0] & mask[0]) ^ window[0]) | ((mine[1] & mask[1]) ^ window[1])) &&
	       !((k->port_id ^ p->meta.port_id) & k->port_mask) && k->l2_type == p->meta.layer[0].l2_type &&
	       k->start == p->pipe->id;
}

static inline uint16_t flow_number(const struct flow_cache *c, const struct flow_walk *k)
{
	return (uint16_t)(k - c->walks + 1);
}

// The walk that a pair or packet knows, if it is still the same; NULL: it was given up.
static inline struct flow_walk *flow_known(const struct flow_cache *c, uint16_t number, uint32_t serial)
{
	struct flow_walk *k = &c->walks[number - 1];

	return likely(k->serial == serial) ? k : NULL;
}

// What is known of packets that start before this pipe; NULL: nothing is to be looked up. wants: some connection asks.
struct flow_start *flow_start_of(struct walker *w, const struct pipe *pipe, bool wants);
// The recorded walks of n <= FP_LOOKUP packets at their start; NULL: none, or it does not hold any more.
void flow_find(struct walker *w, struct flow_start *start, struct packet *const *packets, unsigned int n,
	struct flow_walk **found);

// --- Logging --------------------------------------------------------------------------------------------------------

// A packet at its start, that was looked up in vain. It may stay without a log.
void flow_log_begin(struct walker *w, struct flow_start *start, struct packet *p);
// A logged packet that was looked up in a pipe, before its entry acts.
// generation: of the pipe, before that; NULL: not known.
void flow_log_hop(struct walker *w, struct packet *p, struct pipe *pipe, const uint64_t *generation);
// Takes down the log of a packet, whose walk has ended for now, and gives the walk to its connection, if that asked.
void flow_log_end(struct walker *w, struct packet *p);
// Matchers: the packet's way depends on these bits of a field (NULL: all of it).
void flow_need(struct flow_log *log, const struct packet *p, unsigned int field, const uint8_t *bits);
// Likewise: on what tells its key from this one.
void flow_need_other(struct flow_log *log, const struct packet *p, const struct pipe *pipe,
	const uint8_t *mine, const uint8_t *other);
// Likewise: on all that the pipe looks at.
void flow_need_key(struct flow_log *log, const struct packet *p, const struct pipe *pipe);

// --- Connections ----------------------------------------------------------------------------------------------------

// The walk of a packet whose connection asks for it, as it came in. k: NULL = not recorded.
static inline void flow_before(const struct flow_cache *c, struct packet *p, const struct flow_walk *k)
{
	const bool leads = k && (k->bits & (FLOW_TUPLE | FLOW_DEFAULT | FLOW_LIVE)) == FLOW_TUPLE &&
			   k->fwd.type == STEER_FWD_PIPE && !k->fwd.pipe->matcher->lookup;

	p->wants = leads;
	p->before = leads ? flow_number(c, k) : 0;
	p->before_serial = leads ? k->serial : 0;
}

// Gives the connection that asked the two walks of this packet. behind: NULL = none that fits connections.
void flow_give(struct walker *w, struct packet *p, const struct flow_walk *behind);
// At the end of a burst: writes counters; empties a cache that is full, now and then.
void flow_cache_settle(struct walker *w);
// ct_flow.c: the look-ups of a burst before its walk. Packets that need not walk to the CT pipe get `recorded`.
void ct_ahead(struct walker *w, struct packet **packets, unsigned int n);
// The connection that a packet asked for, if it is still the same; its owner's.
struct ct_conn *ct_asking(const struct walker *w, const struct packet *p);
