// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Recording walks: what may be recorded, and keeping equal ones once. Repeating them is in walk_core.h.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ct_table.h"
#include "flow_cache.h"

enum { EMPTY_MS = 16 }; // at least, between two times that a full cache is emptied

int flow_cache_create(struct flow_cache **out, uint32_t entries)
{
	uint32_t index = rte_align32pow2(entries * 2 + 2);
	struct flow_cache *c;

	*out = NULL;
	if (!entries)
		return 0;
	c = table_alloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->most = entries;
	c->generation = 1;
	c->index_mask = index - 1;
	c->walks = table_alloc(entries * sizeof(*c->walks));
	c->pairs = table_alloc(entries * sizeof(*c->pairs));
	c->walk_index = table_alloc(index * sizeof(*c->walk_index));
	c->pair_index = table_alloc(index * sizeof(*c->pair_index));
	if (!c->walks || !c->pairs || !c->walk_index || !c->pair_index) {
		flow_cache_destroy(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void flow_cache_destroy(struct flow_cache *c)
{
	if (!c)
		return;
	free(c->walks);
	free(c->pairs);
	free(c->walk_index);
	free(c->pair_index);
	free(c);
}

// --- What may be recorded -------------------------------------------------------------------------------------------

// Whether a field is the same in all packets of a connection and direction whose MACs, VLAN tag and port are equal under the
// walk's mask: by the tuple, because such packets lack the header, or because it begins as zero.
static bool steady(const struct packet *p, unsigned int field)
{
	const struct field_place *place = &field_places[field];

	if (place->needs & (FIELD_NEEDS_JUDGE | FIELD_NEEDS_RANDOM))
		return false;
	switch (place->region) {
	case REGION_META:
		return field != STEER_F_META_PKT && field != STEER_F_PM_METER_COLOR;
	case REGION_IP4:
		return field == STEER_F_OUTER_IP4_SRC || field == STEER_F_OUTER_IP4_DST ||
		       field == STEER_F_OUTER_IP4_PROTO || !p->logged.ip4;
	case REGION_IP6:
		return field == STEER_F_OUTER_IP6_SRC || field == STEER_F_OUTER_IP6_DST || !p->logged.ip6;
	case REGION_TCP:
		return !p->logged.tcp;
	default:
		return true;
	}
}

// A steady field makes a difference where `bits` has any (NULL: all of it): what the window has of it goes into the mask.
static void compare(
	const struct packet *p, unsigned int field, const uint8_t *bits, uint8_t mask[FLOW_WINDOW])
{
	const struct field_place *place = &field_places[field];
	unsigned int at;

	if (place->region == REGION_ETH)
		at = place->offset;
	else if (place->region == REGION_VLAN0 && p->logged.vlan)
		at = 14u + place->offset;
	else
		return;
	for (unsigned int b = 0; b < place->bytes; b++)
		mask[at + b] |= bits ? bits[b] : 0xff;
}

// What a pipe looks at goes into the mask. False: it looks at what is not steady.
static bool looks(const struct packet *p, const struct pipe *pipe, uint8_t mask[FLOW_WINDOW])
{
	if ((pipe->type != STEER_PIPE_BASIC && pipe->type != STEER_PIPE_LPM) || pipe->key.needs ||
		pipe->domain != STEER_DOMAIN_DEFAULT)
		return false;
	for (unsigned int i = 0; i < pipe->key.nr_fields; i++) {
		unsigned int field = pipe->fields[i].field;

		if (!steady(p, field))
			return false;
		compare(p, field, pipe->key.mask + pipe->key.at[i], mask);
	}
	return true;
}

// None of those that may be repeated ever drops a packet.
enum acts {
	ACTS_META,  // on metadata, and with what is steady; what it reads is in the mask
	ACTS_LAST,  // may be repeated, but what follows may not
	ACTS_NEVER, // not at all
};

static enum acts acts_of(const struct packet *p, const struct entry *e, uint8_t mask[FLOW_WINDOW])
{
	enum acts found = ACTS_META;

	if (e->bits & ENTRY_METERED)
		return ACTS_NEVER;
	for (unsigned int i = 0; e->program && i < e->program->nr; i++) {
		const struct action *a = &e->program->actions[i];

		switch (a->kind) {
		case STEER_ACT_ADD_FIELD:
		case STEER_ACT_COPY:
			if (!steady(p, a->src_field))
				found = ACTS_LAST;
			else if (field_places[a->field].region == REGION_META)
				compare(p, a->src_field, NULL, mask);
			// fall through
		case STEER_ACT_SET:
		case STEER_ACT_ADD:
			if (field_places[a->field].region != REGION_META || a->field == STEER_F_META_PKT)
				found = ACTS_LAST;
			break;
		default:
			return ACTS_NEVER;
		}
	}
	return found;
}

// --- Equal ones once ------------------------------------------------------------------------------------------------

static inline uint64_t mixed(uint64_t h, uint64_t with)
{
	h = (h ^ with) * 0x9e3779b97f4a7c15;
	return h ^ h >> 29;
}

static int path_of(struct flow_cache *c, const struct packet_hop *hop, unsigned int nr)
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
	if (c->nr_paths == FLOW_PATHS)
		return -1;
	path = &c->paths[c->nr_paths];
	*path = (struct flow_path){.nr = (uint8_t)nr, .hits = (uint8_t)hits};
	for (i = 0; i < nr; i++) {
		path->pipe[i] = hop[i].pipe;
		path->slot[i] = (uint16_t)generation_slot(hop[i].pipe);
	}
	return c->nr_paths++;
}

static bool same(const struct flow_walk *a, const struct flow_walk *b)
{
	return a->hash == b->hash && a->sum == b->sum && a->path == b->path && a->start == b->start &&
	       a->port_id == b->port_id && a->l2_type == b->l2_type && a->fwd == b->fwd &&
	       !memcmp(a->mask, b->mask, sizeof(a->mask)) &&
	       !memcmp(a->window, b->window, sizeof(a->window)) && !memcmp(a->hit, b->hit, sizeof(a->hit));
}

// Index + 1, 0: no place.
static uint16_t keep_walk(struct flow_cache *c, struct flow_walk *k)
{
	uint64_t h = mixed(mixed(k->sum, (uint64_t)k->path << 32 | k->start), k->port_id), window[2];
	uint32_t at;

	memcpy(window, k->window, sizeof(window));
	h = mixed(mixed(h, window[0]), window[1]);
	for (unsigned int i = 0; i < k->nr; i++)
		h = mixed(h, (uintptr_t)k->hit[i]);
	k->hash = (uint32_t)(h >> 32);
	for (at = k->hash & c->index_mask; c->walk_index[at]; at = (at + 1) & c->index_mask)
		if (same(&c->walks[c->walk_index[at] - 1], k))
			return c->walk_index[at];
	if (c->nr_walks == c->most) {
		c->full = true;
		return 0;
	}
	c->walks[c->nr_walks++] = *k;
	c->walk_index[at] = (uint16_t)c->nr_walks;
	return (uint16_t)c->nr_walks;
}

static uint16_t keep_pair(struct flow_cache *c, uint16_t before, uint16_t behind)
{
	uint32_t at = (uint32_t)(mixed(before, (uint64_t)behind << 16) >> 32) & c->index_mask;

	for (; c->pair_index[at]; at = (at + 1) & c->index_mask) {
		const struct flow_pair *pair = &c->pairs[c->pair_index[at] - 1];

		if (pair->before == before && pair->behind == behind)
			return c->pair_index[at];
	}
	if (c->nr_pairs == c->most) {
		c->full = true;
		return 0;
	}
	c->pairs[c->nr_pairs++] = (struct flow_pair){before, behind};
	c->pair_index[at] = (uint16_t)c->nr_pairs;
	return (uint16_t)c->nr_pairs;
}

// --- Recording ------------------------------------------------------------------------------------------------------

static const struct fwd *forward_of(const struct walker *w, const struct packet_hop *hop)
{
	return hop->hit ? &hop->hit->fwd : walk_miss_of(w, hop->pipe);
}

// Whether a hop leads to this pipe at once: copies are made, and connections looked up, in between without being logged.
static bool leads_to(const struct walker *w, const struct packet_hop *hop, const struct pipe *pipe)
{
	const struct fwd *fwd = forward_of(w, hop);

	return fwd && fwd->type == STEER_FWD_PIPE && fwd->pipe == pipe;
}

// Most walks only set words of metadata. False: this entry does more, or there are too many of them.
static bool words_of(struct flow_walk *k, const struct entry *e)
{
	for (unsigned int i = 0; i < e->program->nr; i++) {
		const struct action *a = &e->program->actions[i];
		unsigned int word = a->field - (unsigned int)STEER_F_META_U32_0;

		if (a->kind != STEER_ACT_SET || word > STEER_F_META_U32_9 - STEER_F_META_U32_0 ||
			k->nr_words == FLOW_WORDS ||
			~(a->mask[0] & a->mask[1] & a->mask[2] & a->mask[3]) & 0xff)
			return false;
		k->word[k->nr_words] = (uint8_t)word;
		memcpy(&k->value[k->nr_words++],
			a->flags & STEER_ACT_CHANGEABLE ? e->args + a->arg_offset : a->value, 4);
	}
	return true;
}

// How many hops of the log can be recorded; fills in what they add. all: none of them may be the last one for itself.
static unsigned int take_hops(const struct walker *w, const struct packet *p, struct flow_walk *k, bool all)
{
	unsigned int nr = p->nr_log < PACKET_LOG ? p->nr_log : PACKET_LOG, i;

	for (i = 0; i < nr; i++) {
		const struct entry *hit = p->log[i].hit;
		uint8_t mask[FLOW_WINDOW];
		enum acts acts;

		memcpy(mask, k->mask, sizeof(mask));
		acts = hit ? acts_of(p, hit, mask) : ACTS_META;
		if ((i && !leads_to(w, &p->log[i - 1], p->log[i].pipe)) || !looks(p, p->log[i].pipe, mask) ||
			acts == ACTS_NEVER || (all && acts == ACTS_LAST) ||
			(hit && hit->program && k->nr_actors == FLOW_ACTORS))
			break;
		memcpy(k->mask, mask, sizeof(mask));
		k->sum += p->log[i].generation;
		k->hit[i] = hit;
		if (hit && hit->program)
			k->actor[k->nr_actors++] = hit;
		if (hit && (hit->counter != STEER_COUNTER_NONE || hit->shared_counter != STEER_COUNTER_NONE))
			k->counting[k->nr_counting++] = hit;
		if (hit && hit->bits & ENTRY_TAGGED) {
			k->tagged = 1;
			k->tag = hit->rec->tag;
		}
		if (acts == ACTS_LAST)
			return i + 1;
	}
	return i;
}

static uint16_t record(struct walker *w, struct packet *p, bool before, const struct pipe *ct)
{
	struct flow_cache *c = w->cache;
	struct flow_walk k = {.start = p->log[0].pipe->id};
	unsigned int nr = take_hops(w, p, &k, before);
	bool plain = true;
	int path;

	if (!nr || (before && nr != p->nr_log))
		return 0;
	k.nr = (uint8_t)nr;
	for (unsigned int i = 0; i < k.nr_actors && plain; i++)
		plain = words_of(&k, k.actor[i]);
	if (plain)
		k.nr_actors = 0;
	else
		k.nr_words = 0;
	if (before && !leads_to(w, &p->log[nr - 1], ct))
		return 0;
	k.fwd = forward_of(w, &p->log[nr - 1]);
	k.port_id = p->meta.port_id;
	k.l2_type = p->logged.l2_type;
	for (unsigned int i = 0; i < FLOW_WINDOW; i++)
		k.window[i] = p->logged.window[i] & k.mask[i];
	path = path_of(c, p->log, nr);
	if (path < 0) {
		c->full = true;
		return 0;
	}
	k.path = (uint8_t)path;
	return keep_walk(c, &k);
}

uint16_t flow_record_before(struct walker *w, struct packet *p, const struct pipe *ct)
{
	return p->nr_log && !w->cache->full ? record(w, p, true, ct) : 0;
}

void flow_record_behind(struct walker *w, struct packet *p)
{
	struct flow_cache *c = w->cache;
	struct ct_conn *conn = ct_logged(w, p);
	uint16_t behind, pair;

	if (!conn || c->full)
		return;
	behind = p->nr_log ? record(w, p, false, NULL) : 0;
	if (c->full)
		return;
	pair = keep_pair(c, (uint16_t)(p->before - 1), behind);
	if (conn->recorded_in != c->generation) {
		conn->flow[0].recorded = conn->flow[1].recorded = 0;
		conn->recorded_in = c->generation;
	}
	conn->flow[p->logged.direction].recorded = pair;
	fp_write(&w->stats->cache_recorded, w->stats->cache_recorded + 1);
}

// --- The end of a burst ---------------------------------------------------------------------------------------------

static void count_path(struct walker *w, struct flow_path *path)
{
	for (unsigned int i = 0; i < path->nr; i++) {
		const struct pipe *pipe = path->pipe[i];

		walker_count_all(w, path->hits & 1u << i ? pipe->hit_counter : pipe->miss_counter,
			path->packets, path->bytes);
	}
	path->packets = 0;
	path->bytes = 0;
}

// Every number that a connection holds becomes invalid. Each connection is visited before the generations come round again
// (CT_VISIT_MS), and forgets numbers of old ones then.
static void empty(struct walker *w, struct flow_cache *c)
{
	c->nr_walks = c->nr_pairs = c->nr_paths = 0;
	memset(c->walk_index, 0, (c->index_mask + 1) * sizeof(*c->walk_index));
	memset(c->pair_index, 0, (c->index_mask + 1) * sizeof(*c->pair_index));
	if (!++c->generation)
		c->generation = 1;
	c->full = false;
	fp_write(&w->stats->cache_emptied, w->stats->cache_emptied + 1);
}

void flow_cache_settle(struct walker *w)
{
	struct flow_cache *c = w->cache;

	for (unsigned int i = 0; i < c->nr_dirty; i++)
		count_path(w, &c->paths[c->dirty[i]]);
	c->nr_dirty = 0;
	if (unlikely(c->full)) {
		uint64_t now_ms = w->now_ns / 1000000;

		if (now_ms - c->emptied_ms >= EMPTY_MS) {
			c->emptied_ms = now_ms;
			empty(w, c);
		}
	}
	fp_write(&w->stats->cache_walks, c->nr_walks);
}
