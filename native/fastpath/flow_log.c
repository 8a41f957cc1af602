// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Recording walks: the log of a packet on its way, what its way depended on, and what becomes of that at its end.

#include <string.h>

#include "flow_private.h"

enum {
	SAMPLES = 32,        // walks, before they are found too short
	SHORT_IDLE_MS = 100, // then they are not looked up
	MASK_IDLE_MS = 100,  // without a hit, before a mask gives way to another
};

// --- What a walk needs ------------------------------------------------------------------------------------------------

// Bits of a field that are not known by the walk itself. Returns whether there are any.
static bool unknown_bits(const struct flow_log *log, unsigned int field, const uint8_t *bits,
	uint8_t out[STEER_FIELD_BYTES_MAX])
{
	const struct field_place *place = &field_places[field];
	uint8_t any = 0;

	for (unsigned int i = 0; i < place->bytes; i++) {
		unsigned int at = place->offset + i;

		out[i] = bits ? bits[i] : 0xff;
		if (!i)
			out[i] &= place->first_mask;
		// Words lie in front; what the parser says of inner headers lies beyond these bits.
		if (place->region == REGION_META && at < 64 && log->written >> at & 1)
			out[i] = 0;
		any |= out[i];
	}
	return any;
}

static struct flow_need *need_of(struct flow_log *log, unsigned int field)
{
	for (unsigned int i = 0; i < log->nr_needs; i++)
		if (log->need[i].field == field)
			return &log->need[i];
	return NULL;
}

void flow_need(struct flow_log *log, const struct packet *p, unsigned int field, const uint8_t *bits)
{
	uint8_t mask[STEER_FIELD_BYTES_MAX] = {0};
	struct flow_need *need;

	if (field_places[field].needs & (FIELD_NEEDS_JUDGE | FIELD_NEEDS_RANDOM))
		log->impossible = true;
	if (!unknown_bits(log, field, bits, mask))
		return;
	need = need_of(log, field);
	if (!need) {
		if (log->nr_needs == FLOW_NEEDS) {
			log->impossible = true;
			return;
		}
		need = &log->need[log->nr_needs];
		*need = (struct flow_need){.field = (uint16_t)field};
		memset(log->value[log->nr_needs], 0, STEER_FIELD_BYTES_MAX);
		field_read(p, field, log->value[log->nr_needs++]);
	}
	for (unsigned int i = 0; i < STEER_FIELD_BYTES_MAX; i++)
		need->mask[i] |= mask[i];
}

void flow_need_key(struct flow_log *log, const struct packet *p, const struct pipe *pipe)
{
	for (unsigned int i = 0; i < pipe->key.nr_fields; i++)
		flow_need(log, p, pipe->fields[i].field, pipe->key.mask + pipe->key.at[i]);
}

// Which of several fields that would do is needed: of the first kind all, of others one bit, for they differ more from
// packet to packet.
static unsigned int variety(unsigned int field)
{
	const struct field_place *place = &field_places[field];

	switch (place->region) {
	case REGION_META:
	case REGION_ETYPE:
		return 0;
	case REGION_L4:
		return place->offset ? 1 : 9; // servers' and clients' ports
	case REGION_IP4:
		return place->bytes == 1 && field == STEER_F_OUTER_IP4_PROTO ? 0 : 4;
	case REGION_VLAN0:
		return 2;
	case REGION_ETH:
		return 3;
	default:
		return 5;
	}
}

static void keep_highest_bit(uint8_t bits[STEER_FIELD_BYTES_MAX])
{
	unsigned int i = 0;

	while (!bits[i])
		i++;
	bits[i] = (uint8_t)(0x80 >> (__builtin_clz(bits[i]) - 24));
	memset(bits + i + 1, 0, STEER_FIELD_BYTES_MAX - i - 1);
}

void flow_need_other(struct flow_log *log, const struct packet *p, const struct pipe *pipe,
	const uint8_t *mine, const uint8_t *other)
{
	uint8_t differ[STEER_FIELD_BYTES_MAX], best_differ[STEER_FIELD_BYTES_MAX],
		unknown[STEER_FIELD_BYTES_MAX];
	unsigned int best = UINT32_MAX;

	for (unsigned int i = 0; i < pipe->key.nr_fields; i++) {
		unsigned int field = pipe->fields[i].field, at = pipe->key.at[i];
		const struct flow_need *need = need_of(log, field);
		uint8_t any = 0, needed = 0;

		memset(differ, 0, sizeof(differ));
		for (unsigned int b = 0; b < field_places[field].bytes; b++) {
			differ[b] = mine[at + b] ^ other[at + b];
			any |= differ[b];
			if (need)
				needed |= differ[b] & need->mask[b];
		}
		if (!any)
			continue;
		// Told apart by what the walk itself knows, or depends on already.
		if (needed || !unknown_bits(log, field, differ, unknown) ||
			memcmp(unknown, differ, field_places[field].bytes))
			return;
		if (best == UINT32_MAX || variety(field) < variety(pipe->fields[best].field)) {
			best = i;
			memcpy(best_differ, differ, sizeof(differ));
		}
	}
	if (best == UINT32_MAX) {
		// The same key, of an entry that is not visible now.
		flow_need_key(log, p, pipe);
		return;
	}
	if (variety(pipe->fields[best].field) <= 1) {
		flow_need(log, p, pipe->fields[best].field, pipe->key.mask + pipe->key.at[best]);
	} else {
		keep_highest_bit(best_differ);
		flow_need(log, p, pipe->fields[best].field, best_differ);
	}
}

// --- Actions ----------------------------------------------------------------------------------------------------------

static bool is_word(unsigned int field)
{
	return field >= STEER_F_META_U32_0 && field <= STEER_F_META_U32_9;
}

// Whether all that an entry does is to set words of metadata by what is needed then. Else it must be run anew.
static bool only_words(const struct entry *e)
{
	if (e->bits & ENTRY_METERED)
		return false;
	for (unsigned int i = 0; e->program && i < e->program->nr; i++) {
		const struct action *a = &e->program->actions[i];

		if (a->kind < STEER_ACT_SET || a->kind > STEER_ACT_COPY || !is_word(a->field))
			return false;
		if ((a->kind == STEER_ACT_ADD_FIELD || a->kind == STEER_ACT_COPY) &&
			field_places[a->src_field].needs & (FIELD_NEEDS_JUDGE | FIELD_NEEDS_RANDOM))
			return false;
	}
	return true;
}

static void note_words(struct flow_log *log, const struct packet *p, const struct program *program)
{
	for (unsigned int i = 0; i < program->nr; i++) {
		const struct action *a = &program->actions[i];
		unsigned int at = field_places[a->field].offset;
		uint8_t kept[4];

		if (a->kind == STEER_ACT_ADD_FIELD || a->kind == STEER_ACT_COPY)
			flow_need(log, p, a->src_field, NULL);
		// What of the word stays, or is added to.
		for (unsigned int b = 0; b < 4; b++)
			kept[b] = a->kind == STEER_ACT_SET ? (uint8_t)~a->mask[b] : 0xff;
		flow_need(log, p, a->field, kept);
		log->written |= UINT64_C(0xf) << at;
		log->touched |= (uint16_t)(1u << (a->field - STEER_F_META_U32_0));
	}
}

static void keep_words(struct flow_log *log, const struct packet *p)
{
	for (unsigned int i = 0; i < FLOW_WORDS; i++)
		if (log->touched >> i & 1)
			log->word[i] = p->meta.u32[i];
}

// --- The log ----------------------------------------------------------------------------------------------------------

static struct flow_log *log_of(const struct walker *w, const struct packet *p)
{
	return &w->cache->logs[p->log - 1];
}

void flow_log_begin(struct walker *w, struct flow_start *s, struct packet *p)
{
	struct flow_cache *c = w->cache;
	struct flow_log *log;

	if (!flow_may_record(c) || p->domain != STEER_DOMAIN_DEFAULT)
		return;
	p->log = (uint8_t)(c->free_log[--c->nr_logs] + 1);
	log = log_of(w, p);
	log->start = s;
	log->nr = log->nr_needs = log->nr_counters = 0;
	log->ended = log->live = log->impossible = log->tagged = false;
	log->written = 0;
	log->touched = 0;
	log->tag = 0;
	log->nr_masks = s->nr_masks;
	for (unsigned int i = 0; i < s->nr_masks; i++) {
		log->mask_id[i] = s->mask[i].id;
		key_build(&s->mask[i].plan, &p, 1, log->key[i], FLOW_KEY);
	}
	log->first = !p->depth;
	log->plain = p->plain;
	log->vlan = packet_has(p, REGION_VLAN0);
	log->ip4 = packet_has(p, REGION_IP4);
	log->ip6 = packet_has(p, REGION_IP6);
	log->tcp = packet_has(p, REGION_TCP);
	log->l2_type = p->meta.layer[0].l2_type;
	log->port_id = p->meta.port_id;
	memcpy(log->window, p->data, sizeof(log->window));
}

static const struct fwd *forward_of(const struct walker *w, const struct flow_hop *hop)
{
	return hop->hit ? &hop->hit->fwd : walk_miss_of(w, hop->pipe);
}

// Whether the log's last hop leads to this pipe at once: copies are made, and connections looked up, in between without
// being logged.
static bool leads_to(const struct walker *w, const struct flow_log *log, const struct pipe *pipe)
{
	const struct fwd *fwd = forward_of(w, &log->hop[log->nr - 1]);

	return fwd && fwd->type == STEER_FWD_PIPE && fwd->pipe == pipe;
}

// Whether there is room for the counters that an entry has; else none of them is taken.
static bool take_counters(struct flow_log *log, const struct entry *e)
{
	const uint32_t slots[2] = {e->counter, e->shared_counter};
	uint8_t was = log->nr_counters;

	for (unsigned int i = 0; i < 2; i++) {
		if (slots[i] == STEER_COUNTER_NONE)
			continue;
		if (log->nr_counters == FLOW_COUNTERS) {
			log->nr_counters = was;
			return false;
		}
		log->counter[log->nr_counters++] = slots[i];
	}
	return true;
}

void flow_log_hop(struct walker *w, struct packet *p, struct pipe *pipe, const uint64_t *generation)
{
	struct flow_log *log = log_of(w, p);
	const struct entry *hit = p->hit;

	keep_words(log, p);
	if (!generation)
		log->impossible = true;
	if (!generation || log->nr == FLOW_HOPS || !pipe->matcher->depends || pipe->key.needs ||
		pipe->domain != STEER_DOMAIN_DEFAULT || (log->nr && !leads_to(w, log, pipe))) {
		log->ended = true;
		return;
	}
	pipe->matcher->depends(pipe, p, hit, log);
	log->hop[log->nr++] = (struct flow_hop){pipe, p->hit, *generation};
	if (!hit)
		return;
	if (!only_words(hit) || !take_counters(log, hit)) {
		log->ended = log->live = true;
		return;
	}
	if (hit->program)
		note_words(log, p, hit->program);
	if (hit->bits & ENTRY_TAGGED) {
		log->tagged = true;
		log->tag = hit->rec->tag;
	}
}

// --- Masks ------------------------------------------------------------------------------------------------------------

static void sort_needs(struct flow_log *log)
{
	for (unsigned int i = 1; i < log->nr_needs; i++)
		for (unsigned int at = i; at && log->need[at - 1].field > log->need[at].field; at--) {
			struct flow_need need = log->need[at];
			uint8_t value[STEER_FIELD_BYTES_MAX];

			memcpy(value, log->value[at], sizeof(value));
			log->need[at] = log->need[at - 1];
			memcpy(log->value[at], log->value[at - 1], sizeof(value));
			log->need[at - 1] = need;
			memcpy(log->value[at - 1], value, sizeof(value));
		}
}

// Whether a mask has all that a walk needs.
static bool covers(const struct flow_mask *m, const struct flow_log *log)
{
	unsigned int at = 0;

	for (unsigned int i = 0; i < log->nr_needs; i++, at++) {
		while (at < m->nr && m->need[at].field < log->need[i].field)
			at++;
		if (at == m->nr || m->need[at].field != log->need[i].field)
			return false;
		for (unsigned int b = 0; b < STEER_FIELD_BYTES_MAX; b++)
			if (log->need[i].mask[b] & ~m->need[at].mask[b])
				return false;
	}
	return true;
}

// Makes a mask of these needs, in a place that may have another. False: there are no such keys.
static bool set_mask(struct flow_cache *c, struct flow_mask *m, const struct flow_need *need, unsigned int nr)
{
	struct steer_match_field fields[FLOW_NEEDS];
	struct key_plan plan;

	memset(fields, 0, sizeof(fields));
	for (unsigned int i = 0; i < nr; i++) {
		fields[i].field = need[i].field;
		fields[i].kind = STEER_MATCH_CHANGEABLE;
		memcpy(fields[i].mask, need[i].mask, sizeof(need[i].mask));
	}
	if (c->mask_id == UINT16_MAX) {
		c->full = true;
		return false;
	}
	if (key_compile(&plan, fields, nr, KEY_MERGED) || plan.bytes > FLOW_KEY)
		return false;
	memcpy(m->need, need, nr * sizeof(*need));
	m->plan = plan;
	m->nr = (uint8_t)nr;
	m->id = ++c->mask_id;
	m->hits = 0;
	m->used_ms = c->now_ms;
	return true;
}

// One with what either has: as a fifth one comes, and all four are in use.
static void widen(struct walker *w, struct flow_mask *m, const struct flow_log *log)
{
	struct flow_need both[2 * FLOW_NEEDS];
	unsigned int nr = 0, a = 0, b = 0;

	while (a < m->nr || b < log->nr_needs) {
		if (b == log->nr_needs || (a < m->nr && m->need[a].field < log->need[b].field)) {
			both[nr++] = m->need[a++];
		} else if (a == m->nr || m->need[a].field > log->need[b].field) {
			both[nr++] = log->need[b++];
		} else {
			both[nr] = m->need[a++];
			for (unsigned int i = 0; i < STEER_FIELD_BYTES_MAX; i++)
				both[nr].mask[i] |= log->need[b].mask[i];
			nr++;
			b++;
		}
	}
	if (nr <= FLOW_NEEDS && set_mask(w->cache, m, both, nr))
		fp_write(&w->stats->cache.widened, w->stats->cache.widened + 1);
}

static void put_key(const struct flow_mask *m, const struct flow_log *log, uint8_t key[FLOW_KEY])
{
	memset(key, 0, FLOW_KEY);
	for (unsigned int i = 0; i < m->nr; i++)
		for (unsigned int b = 0; b < field_places[m->need[i].field].bytes; b++)
			key[m->plan.at[i] + b] = log->value[i][b] & m->need[i].mask[b];
}

// The mask that a walk is kept under, and its key; NULL: none.
static const struct flow_mask *mask_for(struct walker *w, struct flow_log *log, uint8_t key[FLOW_KEY])
{
	struct flow_cache *c = w->cache;
	struct flow_start *s = log->start;
	struct flow_mask *oldest = NULL;

	sort_needs(log);
	for (unsigned int i = 0; i < s->nr_masks; i++) {
		struct flow_mask *m = &s->mask[i];

		if (covers(m, log)) {
			if (m->nr == log->nr_needs &&
				!memcmp(m->need, log->need, m->nr * sizeof(m->need[0]))) {
				put_key(m, log, key);
				return m;
			}
			for (unsigned int k = 0; k < log->nr_masks; k++)
				if (log->mask_id[k] == m->id) {
					memcpy(key, log->key[k], FLOW_KEY);
					return m;
				}
		}
		if (!oldest || m->used_ms < oldest->used_ms)
			oldest = m;
	}
	if (s->nr_masks < FLOW_MASKS) {
		oldest = &s->mask[s->nr_masks];
		if (!set_mask(c, oldest, log->need, log->nr_needs)) {
			log->impossible = true;
			return NULL;
		}
		s->order[s->nr_masks] = s->nr_masks;
		s->nr_masks++;
		put_key(oldest, log, key);
		return oldest;
	}
	if (c->now_ms - oldest->used_ms >= MASK_IDLE_MS && set_mask(c, oldest, log->need, log->nr_needs)) {
		put_key(oldest, log, key);
		return oldest;
	}
	widen(w, oldest, log);
	return NULL;
}

// --- Connections ------------------------------------------------------------------------------------------------------

// Whether a field is the same in all packets of a connection and direction whose MACs, VLAN tag and port are equal: by the
// tuple, because such packets lack the header, or because the walk before the CT pipe has left it so.
static bool steady(const struct flow_log *log, unsigned int field)
{
	const struct field_place *place = &field_places[field];

	switch (place->region) {
	case REGION_META:
		return field != STEER_F_META_PKT && field != STEER_F_PM_METER_COLOR;
	case REGION_IP4:
		return field == STEER_F_OUTER_IP4_SRC || field == STEER_F_OUTER_IP4_DST ||
		       field == STEER_F_OUTER_IP4_PROTO || !log->ip4;
	case REGION_IP6:
		return field == STEER_F_OUTER_IP6_SRC || field == STEER_F_OUTER_IP6_DST || !log->ip6;
	case REGION_TCP:
		return !log->tcp;
	default:
		return true;
	}
}

// What connections compare again; false: that would not be enough.
static bool set_window(struct flow_walk *k, const struct flow_log *log)
{
	memset(k->mask, 0, sizeof(k->mask));
	k->start = log->start->pipe;
	k->port_id = log->port_id;
	k->port_mask = 0;
	k->l2_type = log->l2_type;
	if (!log->plain)
		return false;
	for (unsigned int i = 0; i < log->nr_needs; i++) {
		const struct field_place *place = &field_places[log->need[i].field];
		unsigned int at = place->offset;

		if (!steady(log, log->need[i].field))
			return false;
		if (log->need[i].field == STEER_F_PM_PORT_ID)
			k->port_mask = UINT16_MAX;
		if (place->region == REGION_VLAN0 && log->vlan)
			at += 14;
		else if (place->region != REGION_ETH)
			continue;
		for (unsigned int b = 0; b < place->bytes; b++)
			k->mask[at + b] |= log->need[i].mask[b];
	}
	for (unsigned int i = 0; i < FLOW_WINDOW; i++)
		k->window[i] = log->window[i] & k->mask[i];
	return true;
}

// --- The end of a log -------------------------------------------------------------------------------------------------

static void set_last(struct walker *w, struct flow_walk *k, const struct flow_log *log)
{
	const struct flow_hop *last = &log->hop[log->nr - 1];
	const struct fwd *fwd = forward_of(w, last);

	k->bits = FLOW_USED;
	if (log->live) {
		k->last = last->hit;
		k->bits |= FLOW_LIVE;
	} else if (fwd) {
		k->fwd = *fwd;
	} else {
		k->bits |= FLOW_DEFAULT;
	}
}

static struct flow_walk *record(struct walker *w, struct flow_log *log)
{
	struct flow_cache *c = w->cache;
	int path = flow_path_of(c, log->hop, log->nr);
	uint8_t key[FLOW_KEY] __rte_aligned(16);
	const struct flow_mask *mask = path < 0 ? NULL : mask_for(w, log, key);
	struct flow_walk *k = mask ? flow_place(w, mask->id, key, mask->plan.bytes) : NULL;

	if (!k)
		return NULL;
	k->path = (uint16_t)path;
	k->serial = ++c->serial;
	k->sum = 0;
	for (unsigned int i = 0; i < log->nr; i++)
		k->sum += log->hop[i].generation;
	k->nr = log->nr;
	set_last(w, k, log);
	k->nr_counters = log->nr_counters;
	memcpy(k->counter, log->counter, sizeof(k->counter));
	k->nr_words = 0;
	for (unsigned int i = 0; i < FLOW_WORDS; i++)
		if (log->touched >> i & 1) {
			k->word[k->nr_words] = (uint8_t)i;
			k->value[k->nr_words++] = log->word[i];
		}
	k->tag = log->tag;
	if (log->tagged)
		k->bits |= FLOW_TAGGED;
	if (set_window(k, log))
		k->bits |= FLOW_TUPLE;
	fp_write(&w->stats->cache.recorded, w->stats->cache.recorded + 1);
	return k;
}

// Walks that are too short to be looked up are not, for a while.
static void sample(struct walker *w, struct flow_start *s, unsigned int hops)
{
	s->average = (uint8_t)(s->average - s->average / 8 + hops);
	if (++s->samples < SAMPLES)
		return;
	s->samples = 0;
	if (s->average >= FLOW_AVERAGE - 4)
		return;
	flow_leave(w, s, SHORT_IDLE_MS);
	s->average = FLOW_AVERAGE;
}

void flow_log_end(struct walker *w, struct packet *p)
{
	struct flow_cache *c = w->cache;
	struct flow_log *log = log_of(w, p);
	const struct flow_walk *k = NULL;

	c->free_log[c->nr_logs++] = (uint8_t)(p->log - 1);
	p->log = 0;
	if (!log->live)
		keep_words(log, p);
	if (log->nr && !log->impossible && (log->nr > 1 || p->wants))
		k = record(w, log);
	if (!p->wants) {
		sample(w, log->start, log->impossible ? 0 : log->nr);
		return;
	}
	if (p->behind)
		flow_give(w, p, k);
	else if (log->first)
		flow_before(c, p, k);
}
