// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// ACL pipes: masked fields and port ranges with priorities (lower first, of equal ones the later).
//
// Rules live in a trie (rte_acl) that the builder thread makes of a snapshot, and in an overlay of those added since, which
// is searched one by one. The better of both wins. A rule of the trie that is gone or not visible leaves a hole: packets
// that find it search the trie's rules one by one, until the next trie is there. Small pipes have no trie at all.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_acl.h>
#include <rte_vect.h>

#include "acl_trie.h"
#include "flow_cache.h"
#include "pipe_private.h"
#include "rcu.h"

enum {
	OVERLAY_BUILD = 32, // entries in the overlay that make a trie worth while
	OVERLAY_ROOM = 64,
	STRIDE_EXTRA = 16, // before each key, of which a trie reads ACL_LEAD bytes
};

// Entry's own part.
struct acl_match {
	struct acl_rule rule;
	uint32_t in_trie;    // its place there + 1
	uint32_t in_job;     // in the job under way + 1
	uint32_t in_overlay; // + 1
};

struct overlay {
	uint32_t nr; // published by release
	uint32_t room;
	struct entry *entry[]; // NULL: gone
};

// Published as one: what workers search.
struct acl_state {
	struct rte_acl_ctx *trie; // NULL = none
	uint32_t nr;
	struct entry **entries; // of the trie, best first; NULL: gone
	struct overlay *overlay;
};

struct acl {
	struct acl_state *state; // RCU
	struct acl_shape shape;
	struct acl_job *job;
	uint32_t holes;    // entries gone from the trie
	uint32_t overlaid; // live ones in the overlay
	uint32_t
		hopeless; // so many rules made no trie (no memory): not tried again before there are clearly fewer
};

// --- State --------------------------------------------------------------------------------------------------------

static struct overlay *overlay_new(uint32_t room)
{
	struct overlay *o = calloc(1, sizeof(*o) + room * sizeof(o->entry[0]));

	if (o)
		o->room = room;
	return o;
}

// The overlay of a state that has been replaced may be shared with its successor.
static void state_free(void *arg, uintptr_t with_overlay)
{
	struct acl_state *s = arg;

	rte_acl_free(s->trie);
	free(s->entries);
	if (with_overlay)
		free(s->overlay);
	free(s);
}

static int acl_create(struct pipe *pipe, struct why *why)
{
	struct acl *a = calloc(1, sizeof(*a));

	pipe->table = a;
	if (a)
		a->state = calloc(1, sizeof(*a->state));
	if (a && a->state)
		a->state->overlay = overlay_new(OVERLAY_ROOM);
	if (!a || !a->state || !a->state->overlay)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the pipe");
	for (unsigned int i = 0; i < pipe->key.nr_fields; i++) {
		const struct steer_match_field *f = &pipe->fields[i];
		unsigned int end = pipe->key.at[i] + field_places[f->field].bytes;

		if (end > a->shape.bytes)
			a->shape.bytes = (uint16_t)RTE_ALIGN_CEIL(end, 4u);
		if (f->kind != STEER_MATCH_ACL)
			continue;
		memset(pipe->key.mask + pipe->key.at[i], 0xff, field_places[f->field].bytes);
		pipe->key.mask[pipe->key.at[i]] &= field_places[f->field].first_mask;
		if (field_places[f->field].region % REGION_LAYER == REGION_L4 &&
			field_places[f->field].region < REGION_VXLAN) {
			if (a->shape.nr_ranges == ACL_RANGES || (pipe->key.at[i] & 1))
				return why_set(why, STEER_WHY_UNSUPPORTED, -ENOTSUP,
					"pipe '%s': too many port fields", pipe->spec->name);
			a->shape.range_at[a->shape.nr_ranges++] = pipe->key.at[i];
		}
	}
	return 0;
}

static void acl_destroy(struct pipe *pipe)
{
	struct acl *a = pipe->table;

	if (!a)
		return;
	if (a->job)
		a->job->owner = NULL;
	if (a->state)
		state_free(a->state, true);
	free(a);
}

// --- Rules --------------------------------------------------------------------------------------------------------

static int parse_rule(const struct pipe *pipe, struct entry *e, struct why *why)
{
	const struct acl *a = pipe->table;
	const uint8_t *from = entry_key(e);
	unsigned int ranges = 0;
	struct acl_match *m = aligned_alloc(16, RTE_ALIGN_CEIL(sizeof(*m), (size_t)16));
	struct acl_rule *r;

	if (!m)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the entry");
	memset(m, 0, sizeof(*m));
	e->match = m;
	r = &m->rule;
	for (unsigned int i = 0; i < pipe->key.nr_fields; i++) {
		const struct steer_match_field *f = &pipe->fields[i];
		unsigned int at = pipe->key.at[i], bytes = field_places[f->field].bytes;

		if (f->kind == STEER_MATCH_CONSTANT) {
			memcpy(r->value + at, pipe->key.constant + at, bytes);
			memcpy(r->mask + at, pipe->key.mask + at, bytes);
			continue;
		}
		if (ranges < a->shape.nr_ranges && a->shape.range_at[ranges] == at) {
			r->low[ranges] = (uint16_t)(from[0] << 8 | from[1]);
			r->high[ranges] = (uint16_t)(from[2] << 8 | from[3]);
			if (r->low[ranges] > r->high[ranges])
				return why_set(why, STEER_WHY_MALFORMED, -EINVAL,
					"a port range that ends before it begins");
			ranges++;
		} else {
			for (unsigned int b = 0; b < bytes; b++) {
				r->mask[at + b] = from[bytes + b] & pipe->key.mask[at + b];
				r->value[at + b] = from[b] & r->mask[at + b];
			}
		}
		from += 2 * bytes;
	}
	return 0;
}

static bool better(const struct entry *a, const struct entry *b)
{
	if (!b)
		return true;
	if (a->rec->priority != b->rec->priority)
		return a->rec->priority < b->rec->priority;
	return a->sequence > b->sequence;
}

static int by_rank(const void *x, const void *y)
{
	struct entry *const *a = x, *const *b = y;

	return better(*a, *b) ? -1 : better(*b, *a) ? 1 : 0;
}

// --- Building a trie ----------------------------------------------------------------------------------------------

static uint32_t collect(const struct acl *a, struct entry **all)
{
	const struct acl_state *s = a->state;
	uint32_t nr = 0;

	for (uint32_t i = 0; i < s->nr; i++)
		if (s->entries[i])
			all[nr++] = s->entries[i];
	for (uint32_t i = 0; i < s->overlay->nr; i++)
		if (s->overlay->entry[i])
			all[nr++] = s->overlay->entry[i];
	qsort(all, nr, sizeof(all[0]), by_rank);
	return nr;
}

static void overlay_put(struct overlay *o, struct entry *e)
{
	struct acl_match *m = e->match;

	o->entry[o->nr] = e;
	m->in_overlay = o->nr + 1;
	fp_publish(&o->nr, o->nr + 1);
}

// So few are left that a trie is not worth it: all go into an overlay, and its holes go with it. Without memory it stays.
static void flatten(struct acl *a)
{
	struct acl_state *old = a->state, *new = calloc(1, sizeof(*new));
	struct overlay *o = overlay_new(OVERLAY_BUILD + OVERLAY_ROOM);

	if (!new || !o) {
		free(new);
		free(o);
		return;
	}
	for (uint32_t i = 0; i < old->nr; i++) {
		if (!old->entries[i])
			continue;
		((struct acl_match *)old->entries[i]->match)->in_trie = 0;
		overlay_put(o, old->entries[i]);
	}
	for (uint32_t i = 0; i < old->overlay->nr; i++)
		if (old->overlay->entry[i])
			overlay_put(o, old->overlay->entry[i]);
	new->overlay = o;
	a->overlaid = o->nr;
	a->holes = a->hopeless = 0;
	fp_publish(&a->state, new);
	rcu_defer_pair(state_free, old, true);
}

// Hands a snapshot to the builder, when there is a reason and none is under way. Without memory the pipe stays slow.
static void consider(struct acl *a)
{
	const struct acl_state *s = a->state;
	uint32_t room = s->nr + s->overlay->nr;
	struct acl_job *job;

	if (a->job || (a->overlaid <= OVERLAY_BUILD && !a->holes))
		return;
	if (s->trie && s->nr - a->holes + a->overlaid <= OVERLAY_BUILD) {
		flatten(a);
		return;
	}
	if (a->hopeless && s->nr - a->holes + a->overlaid > a->hopeless - a->hopeless / 8)
		return;
	job = calloc(1, sizeof(*job));
	if (job)
		job->entries = calloc(room + 1, sizeof(job->entries[0]));
	if (job && job->entries)
		job->nr = collect(a, (struct entry **)job->entries);
	if (job && job->nr)
		job->rules = calloc(job->nr, sizeof(job->rules[0]));
	if (!job || !job->entries || (job->nr && !job->rules)) {
		acl_job_free(job);
		return;
	}
	job->owner = a;
	job->shape = a->shape;
	for (uint32_t i = 0; i < job->nr; i++) {
		struct acl_match *m = ((struct entry *)job->entries[i])->match;

		job->rules[i] = m->rule;
		m->in_job = i + 1;
	}
	a->job = job;
	if (acl_trie_submit(job)) {
		// No builder: they stay where they are.
		for (uint32_t i = 0; i < job->nr; i++)
			((struct acl_match *)((struct entry *)job->entries[i])->match)->in_job = 0;
		a->job = NULL;
		acl_job_free(job);
	}
}

// A finished trie takes the place of the old one; what came meanwhile makes the new overlay.
static void adopt(struct acl *a, struct acl_job *job)
{
	struct acl_state *old = a->state, *new = calloc(1, sizeof(*new));
	uint32_t later = 0;

	for (uint32_t i = 0; i < old->overlay->nr; i++)
		if (old->overlay->entry[i] && !((struct acl_match *)old->overlay->entry[i]->match)->in_job)
			later++;
	if (new)
		new->overlay = overlay_new(later + OVERLAY_ROOM);
	a->job = NULL;
	if (!job->trie || !new || !new->overlay) {
		for (uint32_t i = 0; i < job->nr; i++)
			if (job->entries[i])
				((struct acl_match *)((struct entry *)job->entries[i])->match)->in_job = 0;
		rte_acl_free(job->trie);
		a->hopeless = job->nr;
		if (fp.log)
			fp.log("an ACL pipe is searched rule by rule: no memory for its trie");
		if (new)
			free(new->overlay);
		free(new);
		return;
	}
	a->overlaid = a->holes = a->hopeless = 0;
	for (uint32_t i = 0; i < old->overlay->nr; i++) {
		struct entry *e = old->overlay->entry[i];

		if (!e || ((struct acl_match *)e->match)->in_job)
			continue;
		overlay_put(new->overlay, e);
		a->overlaid++;
	}
	new->trie = job->trie;
	new->nr = job->nr;
	new->entries = (struct entry **)job->entries;
	job->entries = NULL;
	for (uint32_t i = 0; i < new->nr; i++) {
		struct acl_match *m = new->entries[i] ? new->entries[i]->match : NULL;

		if (!m) {
			a->holes++;
			continue;
		}
		m->in_trie = i + 1;
		m->in_job = m->in_overlay = 0;
	}
	fp_publish(&a->state, new);
	rcu_defer_pair(state_free, old, true);
}

void acl_poll(void)
{
	struct acl_job *job;

	while ((job = acl_trie_finished())) {
		struct acl *a = job->owner;

		if (a)
			adopt(a, job);
		else
			rte_acl_free(job->trie);
		acl_job_free(job);
		if (a)
			consider(a);
	}
}

struct acl_numbers acl_numbers(const struct pipe *pipe)
{
	const struct acl *a = pipe->table;

	return (struct acl_numbers){
		.trie = a->state->nr, .holes = a->holes, .overlay = a->state->overlay->nr};
}

// --- Links --------------------------------------------------------------------------------------------------------

// Room for one more in the overlay, by moving to a larger one (or to one without holes).
static int overlay_room(struct acl *a, struct why *why)
{
	struct acl_state *old = a->state, *new;
	struct overlay *o = old->overlay, *larger;

	if (o->nr < o->room)
		return 0;
	larger = overlay_new(a->overlaid * 2 + OVERLAY_ROOM);
	new = malloc(sizeof(*new));
	if (!larger || !new) {
		free(larger);
		free(new);
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the entry");
	}
	for (uint32_t i = 0; i < o->nr; i++)
		if (o->entry[i])
			overlay_put(larger, o->entry[i]);
	*new = *old;
	new->overlay = larger;
	fp_publish(&a->state, new);
	// Trie and its entries went over.
	rcu_defer(free, o);
	rcu_defer(free, old);
	return 0;
}

static int acl_link(struct pipe *pipe, struct entry *e, struct why *why)
{
	struct acl *a = pipe->table;
	int err = parse_rule(pipe, e, why);

	if (!err)
		err = overlay_room(a, why);
	if (err)
		return err;
	overlay_put(a->state->overlay, e);
	a->overlaid++;
	consider(a);
	return 0;
}

static int acl_replace(struct pipe *pipe, struct entry *old, struct entry *e, struct why *why)
{
	struct acl *a = pipe->table;
	struct acl_match *from = old->match, *m;
	int err = parse_rule(pipe, e, why);

	if (err)
		return err;
	m = e->match;
	m->in_trie = from->in_trie;
	m->in_job = from->in_job;
	m->in_overlay = from->in_overlay;
	if (m->in_job)
		a->job->entries[m->in_job - 1] = e;
	if (m->in_trie)
		fp_publish(&a->state->entries[m->in_trie - 1], e);
	if (m->in_overlay)
		fp_publish(&a->state->overlay->entry[m->in_overlay - 1], e);
	return 0;
}

static void acl_unlink(struct pipe *pipe, struct entry *e)
{
	struct acl *a = pipe->table;
	struct acl_match *m = e->match;

	if (m->in_job && a->job)
		a->job->entries[m->in_job - 1] = NULL;
	if (m->in_trie) {
		fp_publish(&a->state->entries[m->in_trie - 1], NULL);
		a->holes++;
	}
	if (m->in_overlay) {
		fp_publish(&a->state->overlay->entry[m->in_overlay - 1], NULL);
		a->overlaid--;
	}
	m->in_job = m->in_trie = m->in_overlay = 0;
	consider(a);
}

// --- Worker side --------------------------------------------------------------------------------------------------

static bool matches(const struct acl_shape *shape, const uint8_t *key, const struct acl_rule *r)
{
	for (unsigned int at = 0; at < shape->bytes; at += 16) {
		xmm_t k = *(const xmm_t *)(key + at), mask, value;
		uint64_t miss[2];

		memcpy(&mask, r->mask + at, 16);
		memcpy(&value, r->value + at, 16);
		k = (k & mask) ^ value;
		memcpy(miss, &k, 16);
		if (miss[0] | miss[1])
			return false;
	}
	for (unsigned int i = 0; i < shape->nr_ranges; i++) {
		const uint8_t *b = key + shape->range_at[i];
		uint16_t port = (uint16_t)(b[0] << 8 | b[1]);

		if (port < r->low[i] || port > r->high[i])
			return false;
	}
	return true;
}

static bool visible(const struct entry *e, uint64_t revision)
{
	return fp_read(&e->birth) <= revision && revision < fp_read(&e->death);
}

// The best visible match among `entries`, or `best`.
static struct entry *search(const struct acl_shape *shape, struct entry *const *entries, uint32_t nr,
	bool sorted, const uint8_t *key, uint64_t revision, struct entry *best)
{
	for (uint32_t i = 0; i < nr; i++) {
		struct entry *e = fp_read_acquire(&entries[i]);

		if (!e || !visible(e, revision) || !better(e, best) ||
			!matches(shape, key, &((const struct acl_match *)e->match)->rule))
			continue;
		best = e;
		if (sorted)
			break;
	}
	return best;
}

static void acl_lookup(struct walker *w, const struct pipe *pipe, struct packet **packets, unsigned int n)
{
	const struct acl *a = pipe->table;
	const struct acl_state *s = fp_read_acquire(&a->state);
	const struct overlay *o = s->overlay;
	uint32_t nr_overlay = fp_read_acquire(&o->nr), found[FP_LOOKUP];
	unsigned int stride = RTE_ALIGN_CEIL(a->shape.bytes, 16u) + STRIDE_EXTRA;
	uint8_t *keys = w->keys + STRIDE_EXTRA;

	// The longest keys leave no room for their lead in the scratch memory: half a batch then.
	if (unlikely(n * stride > sizeof(w->keys))) {
		acl_lookup(w, pipe, packets, n / 2);
		acl_lookup(w, pipe, packets + n / 2, n - n / 2);
		return;
	}
	key_build(&pipe->key, packets, n, keys, stride);
	if (s->trie) {
		for (unsigned int i = 0; i < n; i++) {
			w->key_at[i] = keys + i * stride - ACL_LEAD;
			memset(keys + i * stride - ACL_LEAD, 0, ACL_LEAD);
		}
		acl_trie_lookup(s->trie, (const uint8_t **)w->key_at, n, found);
	}
	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *key = keys + i * stride;
		struct entry *best = NULL;

		if (s->trie && found[i]) {
			best = fp_read_acquire(&s->entries[found[i] - 1]);
			// What is better than a hole was no match: go on behind it.
			if (unlikely(!best || !visible(best, w->revision)))
				best = search(&a->shape, s->entries + found[i], s->nr - found[i], true, key,
					w->revision, NULL);
		}
		packets[i]->hit = search(&a->shape, o->entry, nr_overlay, false, key, w->revision, best);
	}
}

static void acl_depends(
	const struct pipe *pipe, const struct packet *p, const struct entry *hit, struct flow_log *log)
{
	for (unsigned int i = 0; i < pipe->key.nr_fields; i++)
		flow_need(log, p, pipe->fields[i].field, NULL);
}

static const struct matcher acl = {
	.type = STEER_PIPE_ACL,
	.name = "acl",
	.layout = KEY_ALIGNED,
	.create = acl_create,
	.destroy = acl_destroy,
	.link = acl_link,
	.replace = acl_replace,
	.unlink = acl_unlink,
	.depends = acl_depends,
	.lookup = acl_lookup,
};
MATCHER_REGISTER(acl)
