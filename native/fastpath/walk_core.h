// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The walk itself, compiled twice: by walk.c for workers (live) and by trace.c with a recorder. `live` is a constant in
// both, so the workers' copy has no trace of the other.
//
// All pending packets that stand before the same pipe are handled as one batch: keys, look-up, then entry by entry. Order
// on the wire is not decided here but when the verdicts are carried out, in order of arrival.
#pragma once

#include "ct.h"
#include "flow_cache.h"
#include "walk_hop.h"

// --- Recorded walks -------------------------------------------------------------------------------------------------

static inline void core_repeat(struct walker *w, struct packet *p, const struct flow_walk *k)
{
	struct flow_cache *c = w->cache;
	struct flow_path *path = &c->paths[k->path];

	if (!path->packets++)
		c->dirty[c->nr_dirty++] = k->path;
	path->bytes += p->frame_len;
	p->depth = (uint8_t)(p->depth + k->nr);
	for (unsigned int i = 0; i < k->nr_counters; i++)
		walker_count(w, p, k->counter[i]);
	for (unsigned int i = 0; i < k->nr_words; i++)
		p->meta.u32[k->word[i]] = k->value[i];
	if (unlikely(k->bits & FLOW_TAGGED))
		p->tag = k->tag;
	if (unlikely(k->bits & FLOW_LIVE)) {
		p->hit = k->last;
		core_entry(w, p, p->hit, true);
	} else if (likely(!(k->bits & FLOW_DEFAULT))) {
		core_forward(w, p, &k->fwd, true);
	} else {
		core_default_miss(w, p, true);
	}
}

// A packet of a known connection is brought to the CT pipe by that one's walk. False: it does not hold, or does not fit.
static inline bool core_known(struct walker *w, struct packet *p)
{
	const struct flow_pair *pair = &w->cache->pairs[p->recorded - 1];
	const struct flow_walk *k = flow_known(w->cache, pair->before, pair->before_serial);

	if (unlikely(!k) || unlikely(!flow_holds(w, w->cache, k)) || unlikely(!flow_fits(k, p)))
		return false;
	core_repeat(w, p, k);
	return true;
}

// Before the walk: packets of known connections take that one's way, others start at the root.
static inline void core_ahead(struct walker *w, struct packet **packets, unsigned int n)
{
	uint64_t hits = 0, stale = 0;

	w->fresh = false;
	if (fp_read(&ct_present)) {
		stage_to(&w->stage, STEER_STAGE_CONNECTIONS);
		ct_ahead(w, packets, n);
	}
	stage_to(&w->stage, STEER_STAGE_CACHE);
	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = packets[i];

		if (likely(p->recorded) && likely(core_known(w, p))) {
			hits++;
			continue;
		}
		if (unlikely(p->recorded)) {
			p->recorded = 0;
			p->wants = true;
			stale++;
		}
		p->fresh = w->fresh = true;
	}
	fp_write(&w->stats->cache.connections, w->stats->cache.connections + hits);
	fp_write(&w->stats->cache.changed, w->stats->cache.changed + stale);
}

// Behind the CT pipe. Returns how many walk on.
static inline unsigned int core_behind(struct walker *w, struct packet **batch, unsigned int n)
{
	const struct flow_cache *c = w->cache;
	unsigned int on = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = batch[i];
		const struct flow_pair *pair = p->recorded ? &c->pairs[p->recorded - 1] : NULL;
		// It may have been given up since, for a packet that was judged in between.
		const struct flow_walk *k =
			likely(pair) ? flow_known(c, pair->behind, pair->behind_serial) : NULL;

		p->recorded = 0; // should it come here once more
		if (likely(k))
			core_repeat(w, p, k);
		else
			p->fresh = true;
		w->fresh |= p->verdict == PACKET_WALKING;
		batch[on] = p;
		on += p->verdict == PACKET_WALKING;
	}
	return on;
}

// Packets at a start: those whose walk is recorded take it, others are logged. All stand before the same pipe.
static inline void core_begin(struct walker *w, struct packet **packets, unsigned int n, bool wants)
{
	struct flow_cache *c = w->cache;
	struct flow_start *start = flow_start_of(w, packets[0]->pipe, wants);
	struct flow_walk *found[FP_LOOKUP];

	if (start)
		flow_find(w, start, packets, n, found);
	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = packets[i];
		const struct flow_walk *k = start ? found[i] : NULL;
		bool first = !p->depth;

		if (likely(k)) {
			core_repeat(w, p, k);
			p->intact = first && !(k->bits & FLOW_LIVE) && p->verdict == PACKET_WALKING &&
				    !p->pipe->matcher->lookup;
			// What ends within the pipeline may begin there anew.
			p->fresh = p->verdict == PACKET_WALKING;
		} else if (start) {
			flow_log_begin(w, start, p);
		}
		if (likely(!p->wants) || p->log)
			continue;
		if (p->behind)
			flow_give(w, p, k);
		else if (first)
			flow_before(c, p, k);
		else
			p->wants = false;
	}
}

// All pending packets that stand before the same pipe as this one, at a start.
static inline void core_starts_like(
	struct walker *w, struct packet *like, struct packet **pending, unsigned int nr)
{
	struct packet *batch[FP_LOOKUP];
	unsigned int n = 0;
	bool wants = false;

	for (unsigned int i = 0; i < nr && n < FP_LOOKUP; i++) {
		if (!pending[i]->fresh || pending[i]->pipe != like->pipe)
			continue;
		pending[i]->fresh = false;
		packet_refresh(pending[i]);
		wants |= pending[i]->wants;
		batch[n++] = pending[i];
	}
	core_begin(w, batch, n, wants);
}

// The starts of all pending packets that stand at one. Returns how many walk on.
static inline unsigned int core_starts(struct walker *w, struct packet **pending, unsigned int nr)
{
	unsigned int on = 0;

	for (unsigned int i = 0; i < nr; i++)
		while (pending[i]->fresh) {
			const struct pipe *pipe = pending[i]->pipe;

			// Connection tracking is no start, and where a policy stage says "allowed" it ends.
			if (pending[i]->verdict == PACKET_WALKING && pipe->matcher->lookup && pipe != w->stop)
				core_starts_like(w, pending[i], pending + i, nr - i);
			else
				pending[i]->fresh = false;
		}
	w->fresh = false;
	for (unsigned int i = 0; i < nr; i++) {
		pending[on] = pending[i];
		on += pending[i]->verdict == PACKET_WALKING;
	}
	return on;
}

// A logged packet in a pipe. What ends a log may begin another one behind it.
static inline void core_log(struct walker *w, struct packet *p, struct pipe *pipe, const uint64_t *generation)
{
	flow_log_hop(w, p, pipe, generation);
	if (w->cache->logs[p->log - 1].ended) {
		flow_log_end(w, p);
		p->fresh = w->fresh = true;
	}
}

// Their walk is over, or interrupted.
static inline void core_log_end(struct walker *w, struct packet **packets, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (unlikely(packets[i]->log))
			flow_log_end(w, packets[i]);
}

static inline void core_settle(struct walker *w, struct packet **packets, unsigned int n)
{
	core_log_end(w, packets, n);
	if (w->stop)
		return;
	for (unsigned int i = 0; i < n; i++)
		for (struct packet *copy = packets[i]->copies; unlikely(copy != NULL); copy = copy->next_copy)
			core_log_end(w, &copy, 1);
	flow_cache_settle(w);
}

// --- The walk -------------------------------------------------------------------------------------------------------

// Runs n <= FP_LOOKUP packets through one pipe. Those that go on to another are left in batch; returns how many.
static inline unsigned int core_pipe(
	struct walker *w, struct pipe *pipe, struct packet **batch, unsigned int n, const bool live)
{
	const bool dead = fp_read(&pipe->dead), needs = pipe->key.needs;
	const bool caches = live && w->cache, starts = caches && !pipe->matcher->depends;
	unsigned int kept = 0, on = 0, hits = 0;
	uint64_t bytes = 0, generation = 0;
	bool known = false;

	if (live)
		stage_to(&w->stage, STEER_STAGE_PIPES);
	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = batch[i];

		if (unlikely(++p->depth > FP_DEPTH_MAX || dead)) {
			packet_drop(p, p->depth > FP_DEPTH_MAX ? STEER_DROP_DEPTH : STEER_DROP_BAD_FWD);
			if (!live)
				record_hop(w, p, pipe, NULL);
			continue;
		}
		core_enter(p, pipe);
		packet_refresh(p);
		if (unlikely(needs))
			key_prepare(&pipe->key, p, (uint16_t)walker_random(w));
		batch[kept++] = p;
	}
	if (unlikely(!kept))
		return 0;
	if (unlikely(!pipe->matcher->lookup)) {
		if (caches)
			core_log_end(w, batch, kept);
		if (live)
			stage_to(&w->stage, STEER_STAGE_CONNECTIONS);
		on = ct_batch(w, pipe, batch, kept, live);
		if (!caches)
			return on;
		stage_to(&w->stage, STEER_STAGE_CACHE);
		return core_behind(w, batch, on);
	}
	if (caches)
		known = generation_read(generation_slot(pipe), w->revision, &generation);
	pipe->matcher->lookup(w, pipe, batch, kept);
	if (live)
		stage_to(&w->stage, STEER_STAGE_ACTIONS);
	// All counters are on their way before the first one is needed.
	for (unsigned int i = 0; live && i < kept; i++)
		if (batch[i]->hit && batch[i]->hit->counter != STEER_COUNTER_NONE)
			rte_prefetch0(&w->counters[batch[i]->hit->counter]);
	for (unsigned int i = 0; i < kept; i++) {
		struct packet *p = batch[i];

		if (!live)
			record_hop(w, p, pipe, p->hit);
		if (live && unlikely(p->log))
			core_log(w, p, pipe, known ? &generation : NULL);
		// Behind what is no part of a recorded walk another one may begin.
		if (unlikely(starts))
			p->fresh = w->fresh = true;
		if (likely(p->hit)) {
			hits++;
			bytes += p->frame_len;
			core_entry(w, p, p->hit, live);
		} else {
			core_miss(w, p, pipe, live);
		}
		batch[on] = p;
		on += p->verdict == PACKET_WALKING;
	}
	if (live && hits)
		walker_count_all(w, fp_read(&pipe->hit_counter), hits, bytes);
	return on;
}

unsigned int walk_flood(struct walker *w, struct packet *p, struct packet **copies, unsigned int room);

// Hash pipes asked to flood: a deep copy for every entry but the first, made before any entry acts.
static inline unsigned int core_flood(struct walker *w, struct pipe *pipe, struct packet **batch,
	unsigned int n, struct packet **copies, unsigned int room, const bool live)
{
	unsigned int made = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = batch[i];
		unsigned int mine;

		p->pipe = pipe;
		if (live && p->log)
			flow_log_end(w, p);
		if (unlikely(++p->depth > FP_DEPTH_MAX || fp_read(&pipe->dead))) {
			packet_drop(p, p->depth > FP_DEPTH_MAX ? STEER_DROP_DEPTH : STEER_DROP_BAD_FWD);
			continue;
		}
		core_enter(p, pipe);
		packet_refresh(p);
		mine = walk_flood(w, p, copies + made, room - made);
		for (unsigned int k = 0; k <= mine; k++) {
			struct packet *q = k ? copies[made + k - 1] : p;

			if (!live)
				record_hop(w, q, pipe, q->hit);
			if (q->hit) {
				if (live)
					walker_count_all(w, fp_read(&pipe->hit_counter), 1, q->frame_len);
				core_entry(w, q, q->hit, live);
			} else if (q->verdict == PACKET_WALKING) {
				core_miss(w, q, pipe, live);
			}
		}
		made += mine;
	}
	return made;
}

static inline bool core_floods(const struct pipe *pipe, const struct packet *p)
{
	return pipe->type == STEER_PIPE_HASH &&
	       (p->algorithm == STEER_HASH_FLOODING ||
		       (p->algorithm == STEER_HASH_DEFAULT && pipe->algorithm == STEER_HASH_FLOODING));
}

// Packets that a policy stage has brought where "allowed" begins leave its walk. Returns how many go on.
static inline unsigned int core_stop(const struct walker *w, struct packet **pending, unsigned int nr)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < nr; i++) {
		struct packet *p = pending[i];

		if (p->pipe == w->stop)
			p->verdict = PACKET_ALLOWED;
		else if (p->pipe->type == STEER_PIPE_HASH && core_floods(p->pipe, p))
			packet_drop(p, STEER_DROP_BAD_FWD); // an answer cannot be copied
		else
			pending[left++] = p;
	}
	return left;
}

// Who is next, and with it those before the same pipe. Connection tracking waits for everybody, so that its packets come in
// order of arrival whatever way they took.
static inline struct packet *core_next(struct walker *w, struct packet **packets, unsigned int n,
	struct packet **pending, unsigned int nr, bool mixed)
{
	struct packet **copies = w->pending[1];
	unsigned int nr_copies = 0, at = 0;

	if (likely(pending[0]->pipe->matcher->lookup) || w->stop)
		return pending[0];
	for (unsigned int i = 1; i < nr; i++)
		if (pending[i]->pipe->matcher->lookup)
			return pending[i];
	if (!mixed)
		return pending[0];
	for (unsigned int i = 0; i < nr; i++)
		if (pending[i]->copy)
			copies[nr_copies++] = pending[i];
	for (unsigned int i = 0; i < n; i++)
		if (packets[i]->verdict == PACKET_WALKING)
			pending[at++] = packets[i];
	for (unsigned int i = 0; i < nr_copies; i++)
		pending[at++] = copies[i];
	return pending[0];
}

static __rte_always_inline void walk_core(
	struct walker *w, struct packet **packets, unsigned int n, const bool live)
{
	struct packet *batch[FP_LOOKUP];
	struct packet **pending = w->pending[w->stop ? 1 : 0];
	const bool caches = live && w->cache;
	unsigned int nr = 0;
	bool mixed = false;

	if (caches && !w->stop)
		core_ahead(w, packets, n);
	for (unsigned int i = 0; i < n; i++)
		if (packets[i]->verdict == PACKET_WALKING)
			pending[nr++] = packets[i];
	while (nr) {
		struct packet *next;
		struct pipe *pipe;
		bool floods;
		unsigned int taken = 0, left = 0, walking = 0;

		if (caches && w->fresh) {
			stage_to(&w->stage, STEER_STAGE_CACHE);
			nr = core_starts(w, pending, nr);
		}
		if (unlikely(w->stop))
			nr = core_stop(w, pending, nr);
		if (!nr)
			break;
		next = core_next(w, packets, n, pending, nr, mixed);
		pipe = next->pipe;
		// Mostly all of them stand before the same pipe.
		if (likely(pipe->type != STEER_PIPE_HASH && nr <= FP_LOOKUP)) {
			unsigned int same = 1;

			while (same < nr && pending[same]->pipe == pipe)
				same++;
			if (same == nr && next == pending[0]) {
				nr = core_pipe(w, pipe, pending, nr, live);
				continue;
			}
		}
		mixed = true;
		floods = core_floods(pipe, next);

		for (unsigned int i = 0; i < nr; i++) {
			struct packet *p = pending[i];

			if (p->pipe == pipe && taken < FP_LOOKUP && core_floods(pipe, p) == floods)
				batch[taken++] = p;
			else
				pending[left++] = p;
		}
		if (unlikely(floods)) {
			// Copies follow behind what is left; the batch itself comes after them.
			unsigned int made = core_flood(
				w, pipe, batch, taken, pending + left, WALK_CONTEXTS - left - taken, live);

			for (unsigned int i = 0; i < made; i++)
				if (pending[left + i]->verdict == PACKET_WALKING)
					pending[left + walking++] = pending[left + i];
			left += walking;
		} else {
			taken = core_pipe(w, pipe, batch, taken, live);
		}
		for (unsigned int i = 0; i < taken; i++)
			if (batch[i]->verdict == PACKET_WALKING)
				pending[left++] = batch[i];
		nr = left;
	}
	if (caches) {
		stage_to(&w->stage, STEER_STAGE_CACHE);
		core_settle(w, packets, n);
	}
}
