// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The flow cache: a connection knows the walk that its packets take to the CT pipe and the one behind it, for either
// direction, so that an established packet costs one look-up, in the table of connections, however many pipes there are.
//
// A recorded walk is a list of (pipe, entry or miss). It is recorded when an established packet has walked, and repeated
// for a later packet of the same connection and direction if nothing that the pipes look at can differ: the tuple is the
// connection's, what else was compared or copied to metadata (MACs, VLAN tag, port) is compared again under the same mask,
// metadata begins as zero. Pipes that look at more (TTL, TCP flags, random numbers, meters, conditions), make copies or
// look up connections once more end the recorded part: the packet walks on from there. Actions are run, not remembered
// (but plain values of metadata); the last forward is carried out anew.
//
// The walk's generation (generation.h) is the sum of those of its pipes, read before it was walked. One compare tells
// whether it still holds. Equal walks are kept once: connections hold the number of a pair of them.
//
// Counters: pipes' counters are added up by path and written at the end of the burst; entries' at once. So everything that
// is read is what it would be without the cache. Only a worker touches its cache.
#pragma once

#include "generation.h"
#include "walk.h"

struct ct_conn;

enum {
	FLOW_PATHS = 64,
	FLOW_ACTORS = 4, // entries with actions in one walk
	FLOW_WORDS = 2,  // of metadata that it sets, when that is all that it does
	FLOW_ZONES = 1024,
	FLOW_WINDOW = 16, // bytes of the frame that are compared: MACs, type, VLAN tag
};

enum flow_log {
	FLOW_LOG_NONE = 0,
	FLOW_LOG_BEFORE, // CT
	FLOW_LOG_BEHIND,
};

// Pipes in a row, each hit or missed.
struct flow_path {
	uint64_t sum;   // of generations, in burst `burst`
	uint64_t burst; // 0: none yet
	uint64_t bytes; // of this burst, not yet counted
	uint32_t packets;
	bool usable;
	uint8_t nr;
	uint8_t hits; // bits
	uint16_t slot[PACKET_LOG];
	struct pipe *pipe[PACKET_LOG];
};

struct flow_walk {
	// What every packet needs: one cache line.
	uint64_t sum;
	uint8_t mask[FLOW_WINDOW];
	uint8_t window[FLOW_WINDOW]; // masked
	const struct fwd *fwd;       // of the last hop; NULL: the default miss
	uint32_t start;              // number of the first pipe
	uint16_t port_id;            // as in metadata
	uint8_t path;
	uint8_t l2_type;
	uint8_t nr_words; // then no actors
	uint8_t nr_actors;
	uint8_t nr_counting;
	uint8_t tagged;
	uint8_t nr;
	uint32_t hash;

	uint8_t word[FLOW_WORDS]; // of meta.u32[]
	uint8_t pad[2];
	uint32_t value[FLOW_WORDS];
	uint64_t tag;
	const struct entry *actor[FLOW_ACTORS];
	const struct entry *counting[PACKET_LOG];
	const struct entry *hit[PACKET_LOG];
} __rte_cache_aligned;

struct flow_pair {
	uint16_t before; // index of a walk
	uint16_t behind; // index + 1; 0 = none
};

struct flow_cache {
	uint64_t burst; // counts
	uint32_t most;  // walks
	uint32_t nr_walks;
	uint32_t nr_pairs;
	uint16_t nr_paths;
	uint16_t nr_dirty;   // paths used in this burst
	uint16_t generation; // of all numbers that connections hold, never 0
	bool full;
	uint64_t emptied_ms;
	struct flow_walk *walks;
	struct flow_pair *pairs; // as many
	uint16_t *walk_index;    // by hash, index + 1
	uint16_t *pair_index;
	uint32_t index_mask;
	uint8_t dirty[FLOW_PATHS];
	struct flow_path paths[FLOW_PATHS];
	uint32_t zones[FLOW_ZONES]; // last seen, by sender
};

// entries: recorded walks, 0 = no cache and *out = NULL. -ENOMEM.
int flow_cache_create(struct flow_cache **out, uint32_t entries);
void flow_cache_destroy(struct flow_cache *c);

// A packet that all of this can be done for: TCP or UDP, whole, not in a tunnel, at most one VLAN tag.
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

// Whether the packet takes the walk, as far as its tuple does not tell.
static inline bool flow_fits(const struct flow_walk *k, const struct packet *p)
{
	uint64_t mask[2], window[2], mine[2];

	memcpy(mask, k->mask, sizeof(mask));
	memcpy(window, k->window, sizeof(window));
	memcpy(mine, p->data, sizeof(mine));
	return !(((mine[0] & mask[0]) ^ window[0]) | ((mine[1] & mask[1]) ^ window[1])) &&
	       k->port_id == p->meta.port_id && k->l2_type == p->meta.layer[0].l2_type &&
	       k->start == p->pipe->id;
}

// Before a packet is logged: what it looks like as it came in.
static inline void flow_log_begin(struct packet *p, enum flow_log what)
{
	p->logging = what;
	p->nr_log = 0;
	p->logged.l2_type = p->meta.layer[0].l2_type;
	p->logged.vlan = packet_has(p, REGION_VLAN0);
	p->logged.ip4 = packet_has(p, REGION_IP4);
	p->logged.ip6 = packet_has(p, REGION_IP6);
	p->logged.tcp = packet_has(p, REGION_TCP);
	memcpy(p->logged.window, p->data, sizeof(p->logged.window));
}

static inline void flow_log_hop(struct packet *p, struct pipe *pipe, uint64_t generation)
{
	if (likely(p->nr_log < PACKET_LOG))
		p->log[p->nr_log] = (struct packet_hop){pipe, p->hit, generation};
	p->nr_log += p->nr_log <= PACKET_LOG;
}

// The walk of a logged packet to the CT pipe: index + 1, 0 when it cannot be recorded.
uint16_t flow_record_before(struct walker *w, struct packet *p, const struct pipe *ct);
// At the end of the walk: takes down the rest, and gives the pair to the connection. Nothing when that is not possible.
void flow_record_behind(struct walker *w, struct packet *p);
// At the end of a burst: writes counters; empties a cache that is full, now and then.
void flow_cache_settle(struct walker *w);
// ct_batch.c: the look-ups of a burst before its walk. Packets that need not walk to the CT pipe get `recorded`.
void ct_ahead(struct walker *w, struct packet **packets, unsigned int n);
// The connection that a logged packet belongs to, if it is still the same; its owner's.
struct ct_conn *ct_logged(const struct walker *w, const struct packet *p);
