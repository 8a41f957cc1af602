// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// BASIC pipes: one exact look-up of the packed key, constants included. A pipe without changeable fields can hold one key
// only, so that one is compared directly.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exact.h"
#include "flow_cache.h"
struct basic {
	struct exact *exact;  // NULL: a single key
	struct entry *single; // head of its versions
};

static bool has_changeable(const struct pipe *pipe)
{
	for (unsigned int i = 0; i < pipe->key.nr_fields; i++)
		if (pipe->fields[i].kind == STEER_MATCH_CHANGEABLE)
			return true;
	return false;
}

static int basic_create(struct pipe *pipe, struct why *why)
{
	struct basic *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the pipe");
	if (has_changeable(pipe)) {
		err = exact_create(&b->exact, pipe->capacity, pipe->key.bytes);
		if (err) {
			free(b);
			return why_set(why, STEER_WHY_NO_MEMORY, err, "no memory for a table of %u entries",
				pipe->capacity);
		}
	}
	pipe->table = b;
	return 0;
}

static void basic_destroy(struct pipe *pipe)
{
	struct basic *b = pipe->table;

	if (b)
		exact_destroy(b->exact);
	free(b);
}

static void build(const struct pipe *pipe, const struct entry *e, uint8_t key[STEER_KEY_MAX])
{
	memcpy(key, pipe->key.constant, STEER_KEY_MAX);
	key_place(&pipe->key, pipe->fields, STEER_MATCH_CHANGEABLE, entry_key(e), key);
}

static int basic_link(struct pipe *pipe, struct entry *e, struct why *why)
{
	struct basic *b = pipe->table;
	uint8_t key[STEER_KEY_MAX] __attribute__((aligned(16)));
	int err;

	if (!b->exact) {
		for (struct entry *i = b->single; i; i = i->older)
			if (!i->dying)
				return why_set(why, STEER_WHY_DUPLICATE_KEY, -EEXIST,
					"the pipe has no changeable field, so it holds one entry");
		e->older = b->single;
		entry_follow(e, b->single);
		fp_publish(&b->single, e);
		return 0;
	}
	build(pipe, e, key);
	err = exact_link(b->exact, key, e);
	if (err == -EEXIST)
		return why_set(why, STEER_WHY_DUPLICATE_KEY, err, "an entry with this key is there already");
	if (err)
		return why_set(why, STEER_WHY_PIPE_FULL, err, "the table is full");
	return 0;
}

static int basic_replace(struct pipe *pipe, struct entry *old, struct entry *e, struct why *why)
{
	struct basic *b = pipe->table;
	uint8_t key[STEER_KEY_MAX] __attribute__((aligned(16)));
	struct entry **at;

	if (b->exact) {
		build(pipe, old, key);
		return exact_replace(b->exact, key, old, e);
	}
	for (at = &b->single; *at && *at != old; at = &(*at)->older)
		;
	e->older = old->older;
	fp_publish(at, e);
	return 0;
}

static void basic_unlink(struct pipe *pipe, struct entry *e)
{
	struct basic *b = pipe->table;
	uint8_t key[STEER_KEY_MAX] __attribute__((aligned(16)));
	struct entry **at;

	if (b->exact) {
		build(pipe, e, key);
		exact_unlink(b->exact, key, e);
		return;
	}
	for (at = &b->single; *at && *at != e; at = &(*at)->older)
		;
	if (*at)
		fp_publish(at, e->older);
}

static int basic_resize(struct pipe *pipe, uint32_t capacity, struct why *why)
{
	struct basic *b = pipe->table;

	if (b->exact && exact_resize(b->exact, capacity))
		return why_set(
			why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for a table of %u entries", capacity);
	return 0;
}

static void basic_warm(const struct pipe *pipe, const uint8_t *const *packed, unsigned int n)
{
	static uint8_t keys[ENTRY_HINTS_MAX][STEER_KEY_MAX] __attribute__((aligned(64)));
	const struct basic *b = pipe->table;
	const void *at[ENTRY_HINTS_MAX];
	void *found[ENTRY_HINTS_MAX];

	if (!b->exact)
		return;
	for (unsigned int i = 0; i < n; i++) {
		memcpy(keys[i], pipe->key.constant, pipe->key.bytes);
		key_place(&pipe->key, pipe->fields, STEER_MATCH_CHANGEABLE, packed[i], keys[i]);
		at[i] = keys[i];
	}
	exact_lookup(b->exact, at, n, found);
}

static void lookup_single(struct walker *w, struct entry *head, const struct pipe *pipe,
	struct packet **packets, unsigned int n)
{
	unsigned int bytes = pipe->key.bytes;

	head = entry_visible(head, w->revision);
	if (!bytes || !head) {
		for (unsigned int i = 0; i < n; i++)
			packets[i]->hit = head;
		return;
	}
	key_build(&pipe->key, packets, n, w->keys, bytes);
	for (unsigned int i = 0; i < n; i++)
		packets[i]->hit = memcmp(w->keys + i * bytes, pipe->key.constant, bytes) ? NULL : head;
}

static void basic_lookup(struct walker *w, const struct pipe *pipe, struct packet **packets, unsigned int n)
{
	const struct basic *b = pipe->table;
	unsigned int bytes = pipe->key.bytes;

	if (!b->exact) {
		lookup_single(w, fp_read_acquire(&b->single), pipe, packets, n);
		return;
	}
	key_build(&pipe->key, packets, n, w->keys, bytes);
	for (unsigned int i = 0; i < n; i++)
		w->key_at[i] = w->keys + i * bytes;
	exact_lookup(b->exact, w->key_at, n, w->found);
	for (unsigned int i = 0; i < n; i++)
		rte_prefetch0(w->found[i]);
	for (unsigned int i = 0; i < n; i++)
		packets[i]->hit = entry_visible(w->found[i], w->revision);
}

// A hit depends on the whole key, a miss on what tells it from the keys that there are, if they are few.
static void basic_depends(
	const struct pipe *pipe, const struct packet *p, const struct entry *hit, struct flow_log *log)
{
	const struct basic *b = pipe->table;
	uint8_t mine[STEER_KEY_MAX] __attribute__((aligned(16)));
	const struct entry *others[EXACT_FEW];
	unsigned int nr = EXACT_FEW + 1;

	if (!hit && b->exact) {
		nr = exact_few(b->exact, others);
	} else if (!hit) {
		others[0] = fp_read_acquire(&b->single);
		nr = others[0] != NULL;
	}
	if (nr > EXACT_FEW) {
		flow_need_key(log, p, pipe);
		return;
	}
	key_build(&pipe->key, (struct packet *const *)&p, 1, mine, pipe->key.bytes);
	for (unsigned int i = 0; i < nr; i++)
		flow_need_other(
			log, p, pipe, mine, b->exact ? exact_key(b->exact, others[i]) : pipe->key.constant);
}

static const struct matcher basic = {
	.type = STEER_PIPE_BASIC,
	.name = "basic",
	.layout = KEY_MERGED,
	.create = basic_create,
	.destroy = basic_destroy,
	.link = basic_link,
	.replace = basic_replace,
	.unlink = basic_unlink,
	.resize = basic_resize,
	.warm = basic_warm,
	.depends = basic_depends,
	.lookup = basic_lookup,
};
MATCHER_REGISTER(basic)
