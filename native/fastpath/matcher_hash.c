// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// HASH and ORDERED_LIST pipes: an array of entries, picked by a hash of the packet, by another algorithm, or by the index
// that the forward names.

#include <errno.h>
#include <stdlib.h>

#include <rte_hash_crc.h>

#include "walk.h"

struct slots {
	uint32_t nr;
	uint32_t mask; // HASH: nr - 1
	struct {
		uint32_t next;
	} __rte_cache_aligned turn[STEER_WORKER_MAX]; // ROUND_ROBIN, one per worker
	struct entry *slot[];                         // heads of versions
};

static int slots_create(struct pipe *pipe, struct why *why)
{
	struct slots *s;
	bool hash = pipe->type == STEER_PIPE_HASH;

	if (hash && pipe->algorithm != STEER_HASH_FLOODING && (pipe->capacity & (pipe->capacity - 1)))
		return why_set(why, STEER_WHY_UNSUPPORTED, -EINVAL,
			"pipe '%s': a hash pipe needs a power of two of entries", pipe->spec->name);
	if (!hash && pipe->key.nr_fields)
		return why_set(why, STEER_WHY_UNSUPPORTED, -EINVAL,
			"pipe '%s': an ordered list matches nothing", pipe->spec->name);
	if (pipe->capacity > 1 << 20)
		return why_set(why, STEER_WHY_UNSUPPORTED, -EINVAL, "pipe '%s': at most %u entries",
			pipe->spec->name, 1 << 20);
	s = table_alloc(sizeof(*s) + pipe->capacity * sizeof(s->slot[0]));
	if (!s)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the pipe");
	s->nr = pipe->capacity;
	s->mask = pipe->capacity - 1;
	pipe->table = s;
	return 0;
}

static void slots_destroy(struct pipe *pipe)
{
	free(pipe->table);
}

static int slots_link(struct pipe *pipe, struct entry *e, struct why *why)
{
	struct slots *s = pipe->table;
	uint32_t index = e->rec->index;

	if (index >= s->nr)
		return why_set(why, STEER_WHY_BAD_INDEX, -EINVAL, "index %u in pipe '%s' of %u entries",
			index, pipe->spec->name, s->nr);
	for (struct entry *i = s->slot[index]; i; i = i->older)
		if (!i->dying)
			return why_set(why, STEER_WHY_DUPLICATE_KEY, -EEXIST,
				"pipe '%s' has an entry at index %u", pipe->spec->name, index);
	e->older = s->slot[index];
	entry_follow(e, s->slot[index]);
	fp_publish(&s->slot[index], e);
	return 0;
}

static int slots_replace(struct pipe *pipe, struct entry *old, struct entry *e, struct why *why)
{
	struct slots *s = pipe->table;
	struct entry **at = &s->slot[old->rec->index];

	while (*at && *at != old)
		at = &(*at)->older;
	if (!*at)
		return why_set(why, STEER_WHY_ID_UNKNOWN, -ENOENT, "the entry is not there");
	e->older = old->older;
	fp_publish(at, e);
	return 0;
}

static void slots_unlink(struct pipe *pipe, struct entry *e)
{
	struct slots *s = pipe->table;
	struct entry **at = &s->slot[e->rec->index];

	while (*at && *at != e)
		at = &(*at)->older;
	if (*at)
		fp_publish(at, e->older);
}

struct entry *hash_next(const struct pipe *pipe, uint64_t revision, uint32_t *index)
{
	const struct slots *s = pipe->table;

	while (*index < s->nr) {
		struct entry *e = entry_visible(fp_read_acquire(&s->slot[*index]), revision);

		++*index;
		if (e)
			return e;
	}
	return NULL;
}

// Packed masked values in order of the spec; see steering_hash.h.
static uint32_t pick(struct walker *w, const struct pipe *pipe, struct slots *s, struct packet *p)
{
	uint8_t algorithm = p->algorithm ? p->algorithm : pipe->algorithm;
	unsigned int bytes = pipe->key.bytes;
	uint32_t number = 0;

	switch (algorithm) {
	case STEER_HASH_RANDOM:
		return walker_random(w);
	case STEER_HASH_ROUND_ROBIN:
		return w->live ? s->turn[w->worker].next++ : s->turn[w->worker].next;
	case STEER_HASH_IDENTITY:
		key_build(&pipe->key, &p, 1, w->keys, STEER_KEY_MAX);
		for (unsigned int i = bytes > 4 ? bytes - 4 : 0; i < bytes; i++)
			number = number << 8 | w->keys[i];
		return number;
	default:
		key_build(&pipe->key, &p, 1, w->keys, STEER_KEY_MAX);
		return rte_hash_crc(w->keys, bytes, UINT32_MAX);
	}
}

static void hash_lookup(struct walker *w, const struct pipe *pipe, struct packet **packets, unsigned int n)
{
	struct slots *s = pipe->table;

	for (unsigned int i = 0; i < n; i++) {
		uint32_t index = pick(w, pipe, s, packets[i]) & s->mask;

		packets[i]->hit = entry_visible(fp_read_acquire(&s->slot[index]), w->revision);
	}
}

static void list_lookup(struct walker *w, const struct pipe *pipe, struct packet **packets, unsigned int n)
{
	const struct slots *s = pipe->table;

	for (unsigned int i = 0; i < n; i++) {
		uint32_t index = packets[i]->index;

		packets[i]->hit = likely(index < s->nr)
					  ? entry_visible(fp_read_acquire(&s->slot[index]), w->revision)
					  : NULL;
	}
}

static int slots_resize(struct pipe *pipe, uint32_t capacity, struct why *why)
{
	return why_set(why, STEER_WHY_UNSUPPORTED, -ENOTSUP, "pipe '%s': this pipe type cannot be resized",
		pipe->spec->name);
}

static const struct matcher hash = {
	.type = STEER_PIPE_HASH,
	.name = "hash",
	.layout = KEY_IN_ORDER,
	.create = slots_create,
	.destroy = slots_destroy,
	.link = slots_link,
	.replace = slots_replace,
	.unlink = slots_unlink,
	.resize = slots_resize,
	.lookup = hash_lookup,
};
MATCHER_REGISTER(hash)

static const struct matcher ordered_list = {
	.type = STEER_PIPE_ORDERED_LIST,
	.name = "ordered list",
	.layout = KEY_IN_ORDER,
	.create = slots_create,
	.destroy = slots_destroy,
	.link = slots_link,
	.replace = slots_replace,
	.unlink = slots_unlink,
	.resize = slots_resize,
	.lookup = list_lookup,
};
MATCHER_REGISTER(ordered_list)
