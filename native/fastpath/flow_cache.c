// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Recorded walks: where they are kept, how they are found, who has to go. What is recorded is decided in flow_log.c; walks
// are repeated in walk_core.h.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ct_table.h"
#include "flow_private.h"

enum {
	EMPTY_MS = 16,      // at least, between two times that a full cache is emptied
	LOAD = 4,           // walks per bucket, on average, when all are in use
	HAND_STEPS = 16,    // of walks that were used since, before one of those goes too
	TOKENS_MAX = 256,   // in place of others, at once
	TOKENS_PER_MS = 32, // and in the long run
	WINDOW_MS = 4,      // in which it is seen whether walks last
	CHURN_LEAST = 256,  // that did not, and more than every fourth
	CHURN_IDLE_MS = 64, // then walks are not looked up
	STARTS_USED = FLOW_STARTS * 3 / 4,
};

int flow_cache_create(struct flow_cache **out, uint32_t entries)
{
	uint32_t pairs = rte_align32pow2(entries * 2 + 2), buckets = rte_align32pow2(entries / LOAD + 1);
	struct flow_cache *c;

	*out = NULL;
	if (!entries)
		return 0;
	c = table_alloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->most = entries;
	c->generation = 1;
	c->pair_mask = pairs - 1;
	c->bucket_mask = buckets - 1;
	c->walks = table_alloc(entries * sizeof(*c->walks));
	c->pairs = table_alloc(entries * sizeof(*c->pairs));
	c->bucket = table_alloc(buckets * sizeof(*c->bucket));
	c->pair_index = table_alloc(pairs * sizeof(*c->pair_index));
	if (!c->walks || !c->pairs || !c->bucket || !c->pair_index) {
		flow_cache_destroy(c);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < FLOW_LOGS; i++)
		c->free_log[c->nr_logs++] = (uint8_t)i;
	*out = c;
	return 0;
}

void flow_cache_destroy(struct flow_cache *c)
{
	if (!c)
		return;
	free(c->walks);
	free(c->pairs);
	free(c->bucket);
	free(c->pair_index);
	free(c);
}

// --- Starts ---------------------------------------------------------------------------------------------------------

void flow_leave(struct walker *w, struct flow_start *s, uint64_t ms)
{
	s->idle_until = w->cache->now_ms + ms;
	fp_write(&w->stats->cache.idle, w->stats->cache.idle + 1);
}

static bool is_idle(struct walker *w, struct flow_start *s)
{
	const struct flow_cache *c = w->cache;

	if (unlikely(c->now_ms - s->since_ms >= WINDOW_MS)) {
		if (s->stale > CHURN_LEAST && s->stale > s->hits / 4)
			flow_leave(w, s, CHURN_IDLE_MS);
		s->since_ms = c->now_ms;
		s->hits = s->stale = 0;
	}
	return s->idle_until > c->now_ms;
}

struct flow_start *flow_start_of(struct walker *w, const struct pipe *pipe, bool wants)
{
	struct flow_cache *c = w->cache;
	uint32_t stop = w->stop ? w->stop->id : STEER_PIPE_NONE;
	uint32_t at = (pipe->id * 7 + stop) % FLOW_STARTS;
	struct flow_start *s;

	if (!pipe->matcher->depends)
		return NULL;
	for (;; at = (at + 1) % FLOW_STARTS) {
		s = &c->starts[at];
		if (!s->average)
			break;
		if (likely(s->pipe == pipe->id && s->stop == stop))
			return likely(!is_idle(w, s)) || wants ? s : NULL;
	}
	if (c->nr_starts == STARTS_USED) {
		c->full = true;
		return NULL;
	}
	c->nr_starts++;
	memset(s, 0, sizeof(*s));
	s->pipe = pipe->id;
	s->stop = stop;
	s->average = FLOW_AVERAGE;
	s->since_ms = c->now_ms;
	return s;
}

// --- Finding --------------------------------------------------------------------------------------------------------

static inline uint16_t tag_of(uint32_t hash)
{
	uint16_t tag = (uint16_t)(hash >> 16);

	return tag ? tag : 1;
}

// A walk whose key has this hash's tag, likely the one; NULL: there is none.
static inline struct flow_walk *guess(const struct flow_cache *c, uint32_t hash)
{
	const struct flow_bucket *b = &c->bucket[hash & c->bucket_mask];
	unsigned int bits = tags_matching(b->tag, tag_of(hash));

	return bits ? &c->walks[b->number[__builtin_ctz(bits)] - 1] : NULL;
}

static inline bool same_key(
	const struct flow_walk *k, uint16_t mask_id, const uint8_t *key, unsigned int bytes)
{
	uint64_t differ = k->mask_id ^ mask_id, a[2], b[2];

	for (unsigned int at = 0; at < bytes; at += 16) {
		memcpy(a, k->key + at, sizeof(a));
		memcpy(b, key + at, sizeof(b));
		differ |= (a[0] ^ b[0]) | (a[1] ^ b[1]);
	}
	return !differ;
}

static struct flow_walk *find(
	const struct flow_cache *c, uint32_t hash, uint16_t mask_id, const uint8_t *key, unsigned int bytes)
{
	const struct flow_bucket *b = &c->bucket[hash & c->bucket_mask];

	for (unsigned int bits = tags_matching(b->tag, tag_of(hash)); bits; bits &= bits - 1) {
		struct flow_walk *k = &c->walks[b->number[__builtin_ctz(bits)] - 1];

		if (likely(same_key(k, mask_id, key, bytes)))
			return k;
	}
	return NULL;
}

// One mask's look-ups: fills in found of those in `left`, and keeps the others there.
static unsigned int find_masked(struct walker *w, struct flow_start *s, unsigned int at,
	struct packet **packets, uint8_t *left, unsigned int n, struct flow_walk **found)
{
	struct flow_cache *c = w->cache;
	struct flow_mask *m = &s->mask[s->order[at]];
	unsigned int bytes = m->plan.bytes, on = 0, hits = 0;
	struct flow_walk *guessed[FP_LOOKUP];
	uint32_t hash[FP_LOOKUP];

	key_build(&m->plan, packets, n, c->keys, FLOW_KEY);
	for (unsigned int i = 0; i < n; i++) {
		hash[i] = flow_hash(c->keys + i * FLOW_KEY, bytes, m->id);
		rte_prefetch0(&c->bucket[hash[i] & c->bucket_mask]);
	}
	for (unsigned int i = 0; i < n; i++) {
		guessed[i] = guess(c, hash[i]);
		if (guessed[i]) {
			rte_prefetch0(guessed[i]);
			rte_prefetch0(guessed[i]->key);
			rte_prefetch0(guessed[i]->word);
		}
	}
	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *key = c->keys + i * FLOW_KEY;
		struct flow_walk *k = guessed[i];

		if (unlikely(k && !same_key(k, m->id, key, bytes)))
			k = find(c, hash[i], m->id, key, bytes);
		found[left[i]] = k;
		if (likely(k != NULL)) {
			hits++;
			continue;
		}
		packets[on] = packets[i];
		left[on++] = left[i];
	}
	m->hits += hits;
	if (hits)
		m->used_ms = c->now_ms;
	if (at && unlikely(m->hits > s->mask[s->order[at - 1]].hits)) {
		uint8_t swap = s->order[at];

		s->order[at] = s->order[at - 1];
		s->order[at - 1] = swap;
	}
	return on;
}

void flow_find(struct walker *w, struct flow_start *s, struct packet *const *packets, unsigned int n,
	struct flow_walk **found)
{
	struct flow_cache *c = w->cache;
	struct packet *in_vain[FP_LOOKUP];
	uint8_t left[FP_LOOKUP];
	uint64_t hits = 0, stale = 0;
	unsigned int on = n;

	for (unsigned int i = 0; i < n; i++) {
		in_vain[i] = packets[i];
		left[i] = (uint8_t)i;
		found[i] = NULL;
	}
	for (unsigned int at = 0; at < s->nr_masks && on; at++)
		on = find_masked(w, s, at, in_vain, left, on, found);
	for (unsigned int i = 0; i < n; i++) {
		struct flow_walk *k = found[i];

		if (unlikely(!k))
			continue;
		if (unlikely(!flow_holds(w, c, k)) || unlikely(packets[i]->depth + k->nr > FP_DEPTH_MAX)) {
			found[i] = NULL;
			stale++;
			continue;
		}
		hits++;
		if (unlikely(!(k->bits & FLOW_USED)))
			k->bits |= FLOW_USED;
		for (unsigned int at = 0; at < k->nr_counters; at++)
			rte_prefetch0(&w->counters[k->counter[at]]);
	}
	s->hits += (uint32_t)hits;
	s->stale += (uint32_t)stale;
	fp_write(&w->stats->cache.hits, w->stats->cache.hits + hits);
	fp_write(&w->stats->cache.misses, w->stats->cache.misses + n - hits);
	fp_write(&w->stats->cache.changed, w->stats->cache.changed + stale);
}

// --- Keeping --------------------------------------------------------------------------------------------------------

bool flow_may_record(const struct flow_cache *c)
{
	return c->nr_logs && !c->full && (c->nr_walks < c->most || c->tokens);
}

static void forget(struct flow_cache *c, const struct flow_walk *k)
{
	struct flow_bucket *b = &c->bucket[k->hash & c->bucket_mask];
	uint16_t number = flow_number(c, k);

	for (unsigned int i = 0; i < FLOW_SLOTS; i++)
		if (b->tag[i] && b->number[i] == number)
			b->tag[i] = 0;
}

// Goes round: who was not used since the last time goes.
static struct flow_walk *victim(struct flow_cache *c)
{
	struct flow_walk *k;

	for (unsigned int i = 0;; i++) {
		k = &c->walks[c->hand];
		c->hand = c->hand + 1 == c->most ? 0 : c->hand + 1;
		if (!(k->bits & FLOW_USED) || i == HAND_STEPS)
			break;
		k->bits &= (uint8_t)~FLOW_USED;
	}
	forget(c, k);
	return k;
}

struct flow_walk *flow_place(struct walker *w, uint16_t mask_id, const uint8_t *key, unsigned int bytes)
{
	struct flow_cache *c = w->cache;
	uint32_t hash = flow_hash(key, bytes, mask_id);
	struct flow_bucket *b = &c->bucket[hash & c->bucket_mask];
	struct flow_walk *k = find(c, hash, mask_id, key, bytes);
	unsigned int slot = 0;

	if (k)
		return k;
	while (slot < FLOW_SLOTS && b->tag[slot])
		slot++;
	if (slot == FLOW_SLOTS || c->nr_walks == c->most) {
		if (!c->tokens) {
			fp_write(&w->stats->cache.refused, w->stats->cache.refused + 1);
			return NULL;
		}
		c->tokens--;
		fp_write(&w->stats->cache.evicted, w->stats->cache.evicted + 1);
	}
	if (slot == FLOW_SLOTS) {
		for (slot = 0; slot < FLOW_SLOTS && c->walks[b->number[slot] - 1].bits & FLOW_USED; slot++)
			;
		slot = slot < FLOW_SLOTS ? slot : c->serial % FLOW_SLOTS;
		k = &c->walks[b->number[slot] - 1];
	} else if (c->nr_walks < c->most) {
		k = &c->walks[c->nr_walks++];
	} else {
		k = victim(c);
	}
	memcpy(k->key, key, bytes);
	k->hash = hash;
	k->mask_id = mask_id;
	b->tag[slot] = tag_of(hash);
	b->number[slot] = flow_number(c, k);
	return k;
}

int flow_path_of(struct flow_cache *c, const struct flow_hop *hop, unsigned int nr)
{
	struct flow_path *path;
	unsigned int hits = 0, i;

	for (i = 0; i < nr; i++)
		hits |= (unsigned int)!!hop[i].hit << i;
	for (unsigned int n = 0; n < c->nr_paths; n++) {
		path = &c->paths[n];
		if (path->nr != nr || path->hits != hits)
			continue;
		for (i = 0; i < nr && path->pipe[i] == hop[i].pipe &&
			    path->slot[i] == generation_slot(hop[i].pipe);
			i++)
			;
		if (i == nr)
			return (int)n;
	}
	if (c->nr_paths == FLOW_PATHS) {
		c->full = true;
		return -1;
	}
	path = &c->paths[c->nr_paths];
	*path = (struct flow_path){.nr = (uint8_t)nr, .hits = (uint16_t)hits};
	for (i = 0; i < nr; i++) {
		path->pipe[i] = hop[i].pipe;
		path->slot[i] = (uint16_t)generation_slot(hop[i].pipe);
	}
	return c->nr_paths++;
}

// --- Connections ----------------------------------------------------------------------------------------------------

static uint32_t pair_hash(const struct flow_pair *pair)
{
	uint64_t h = (pair->before_serial ^ (uint64_t)pair->behind_serial << 32) * 0x9e3779b97f4a7c15;

	return (uint32_t)(h >> 32);
}

// Index + 1, 0: no place.
static uint16_t keep_pair(struct flow_cache *c, const struct flow_pair *pair)
{
	uint32_t at = pair_hash(pair) & c->pair_mask;

	for (; c->pair_index[at]; at = (at + 1) & c->pair_mask) {
		const struct flow_pair *other = &c->pairs[c->pair_index[at] - 1];

		if (pair->before_serial == other->before_serial &&
			pair->behind_serial == other->behind_serial)
			return c->pair_index[at];
	}
	if (c->nr_pairs == c->most) {
		c->pairs_full = true;
		return 0;
	}
	c->pairs[c->nr_pairs++] = *pair;
	c->pair_index[at] = (uint16_t)c->nr_pairs;
	return (uint16_t)c->nr_pairs;
}

void flow_give(struct walker *w, struct packet *p, const struct flow_walk *behind)
{
	struct flow_cache *c = w->cache;
	struct flow_pair pair = {.before = p->before, .before_serial = p->before_serial};
	struct ct_conn *conn = p->before ? ct_asking(w, p) : NULL;
	uint16_t number;

	p->wants = false;
	if (!conn)
		return;
	if (behind && behind->bits & FLOW_TUPLE) {
		pair.behind = flow_number(c, behind);
		pair.behind_serial = behind->serial;
	}
	number = keep_pair(c, &pair);
	if (!number)
		return;
	if (conn->recorded_in != c->generation) {
		conn->flow[0].recorded = conn->flow[1].recorded = 0;
		conn->recorded_in = c->generation;
	}
	conn->flow[p->asking.direction].recorded = number;
	fp_write(&w->stats->cache.given, w->stats->cache.given + 1);
}

// --- The end of a burst ---------------------------------------------------------------------------------------------

static void count_path(struct walker *w, struct flow_path *path)
{
	for (unsigned int i = 0; i < path->nr; i++) {
		const struct pipe *pipe = path->pipe[i];

		walker_count_all(w, fp_read(path->hits & 1u << i ? &pipe->hit_counter : &pipe->miss_counter),
			path->packets, path->bytes);
	}
	path->packets = 0;
	path->bytes = 0;
}

// Every number that a connection holds becomes invalid. Each connection is visited before the generations come round again
// (CT_VISIT_MS), and forgets numbers of old ones then.
static void empty_pairs(struct walker *w, struct flow_cache *c)
{
	c->nr_pairs = 0;
	memset(c->pair_index, 0, (c->pair_mask + 1) * sizeof(*c->pair_index));
	if (!++c->generation)
		c->generation = 1;
	c->pairs_full = false;
	fp_write(&w->stats->cache.forgotten, w->stats->cache.forgotten + 1);
}

static void empty(struct walker *w, struct flow_cache *c)
{
	c->nr_walks = c->nr_paths = c->nr_starts = 0;
	c->hand = c->mask_id = 0;
	memset(c->bucket, 0, (c->bucket_mask + 1) * sizeof(*c->bucket));
	memset(c->starts, 0, sizeof(c->starts));
	empty_pairs(w, c);
	c->full = false;
	fp_write(&w->stats->cache.emptied, w->stats->cache.emptied + 1);
}

void flow_cache_settle(struct walker *w)
{
	struct flow_cache *c = w->cache;

	for (unsigned int i = 0; i < c->nr_dirty; i++)
		count_path(w, &c->paths[c->dirty[i]]);
	c->nr_dirty = 0;
	if (unlikely(c->tokens_ms != c->now_ms)) {
		uint64_t more = (c->now_ms - c->tokens_ms) * TOKENS_PER_MS;

		c->tokens = more < TOKENS_MAX - c->tokens ? c->tokens + (uint32_t)more : TOKENS_MAX;
		c->tokens_ms = c->now_ms;
	}
	if (unlikely(c->full || c->pairs_full) && c->now_ms - c->emptied_ms >= EMPTY_MS) {
		c->emptied_ms = c->now_ms;
		if (c->full)
			empty(w, c);
		else
			empty_pairs(w, c);
	}
	fp_write(&w->stats->cache.walks, c->nr_walks);
}
