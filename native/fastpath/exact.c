// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_hash.h>
#include <rte_hash_crc.h>

#include "exact.h"
#include "rcu.h"

// Tables with few keys are common, and comparing with each of them is far cheaper than hashing. Read instead of the hash
// table, which holds the same, as long as there is one. Keys never change in place, heads do.
enum { FEW = 8 };

typedef uint64_t __attribute__((may_alias)) word_t;

struct few {
	uint64_t nr;
	uint64_t pad;
	struct entry *head[FEW];
	word_t keys[]; // FEW times key_bytes
};

struct exact {
	struct rte_hash *hash; // RCU
	struct few *few;       // RCU; NULL: use the hash
	uint32_t capacity;
	uint32_t nr_keys;
	unsigned int key_bytes;
};

enum {
	// Slots of removed keys stay in use until the grace period is over; when these are used up the table is built anew.
	SLACK_MIN = 32,
	SLACK_SHIFT = 3,  // an eighth of the capacity
	SLACK_ALL = 1024, // up to here, as many as the capacity
};

static struct rte_hash *hash_new(uint32_t capacity, unsigned int key_bytes)
{
	static unsigned int serial;
	char name[RTE_HASH_NAMESIZE];
	uint32_t slack = capacity < SLACK_ALL ? capacity : capacity >> SLACK_SHIFT;
	struct rte_hash_parameters params = {
		.name = name,
		.key_len = key_bytes,
		.hash_func = rte_hash_crc,
		.socket_id = SOCKET_ID_ANY,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};

	if (slack < SLACK_MIN)
		slack = SLACK_MIN;
	else if (capacity >= SLACK_ALL && slack < SLACK_ALL)
		slack = SLACK_ALL;
	params.entries = capacity + slack;
	snprintf(name, sizeof(name), "exact%u", serial++);
	return rte_hash_create(&params);
}

// --- Few keys ---------------------------------------------------------------------------------------------------------

static struct few *few_new(const struct exact *x)
{
	return table_alloc(sizeof(struct few) + FEW * x->key_bytes);
}

static word_t *few_key(const struct exact *x, struct few *few, uint64_t i)
{
	return few->keys + i * x->key_bytes / sizeof(word_t);
}

// Where the key is, or nr.
static uint64_t few_find(const struct exact *x, struct few *few, const void *key)
{
	uint64_t i = 0;

	while (i < few->nr && memcmp(few_key(x, few, i), key, x->key_bytes))
		i++;
	return i;
}

static void few_publish(struct exact *x, struct few *few)
{
	struct few *old = x->few;

	fp_publish(&x->few, few);
	if (old)
		rcu_defer(free, old);
}

// The key has a new head, or is new.
static void few_put(struct exact *x, const void *key, struct entry *head)
{
	struct few *old = x->few, *few = NULL;
	uint64_t at;

	if (!old)
		return;
	at = few_find(x, old, key);
	if (at < old->nr) {
		fp_publish(&old->head[at], head);
		return;
	}
	if (old->nr < FEW)
		few = few_new(x);
	if (few) {
		memcpy(few, old, sizeof(*few) + FEW * x->key_bytes);
		memcpy(few_key(x, few, at), key, x->key_bytes);
		few->head[at] = head;
		few->nr++;
	}
	few_publish(x, few);
}

// The key is gone. A table that got empty has few keys again.
static void few_remove(struct exact *x, const void *key)
{
	struct few *old = x->few, *few;
	uint64_t at;

	if (!old && x->nr_keys)
		return;
	few = few_new(x);
	at = old ? few_find(x, old, key) : 0;
	if (few && old && at < old->nr) {
		uint64_t last = old->nr - 1;

		memcpy(few, old, sizeof(*few) + FEW * x->key_bytes);
		few->head[at] = few->head[last];
		memcpy(few_key(x, few, at), few_key(x, few, last), x->key_bytes);
		few->nr = last;
	}
	few_publish(x, few);
}

static void few_lookup(
	const struct exact *x, const struct few *few, const void **keys, unsigned int n, void **heads)
{
	unsigned int words = x->key_bytes / sizeof(word_t);
	uint64_t nr = few->nr;

	for (unsigned int p = 0; p < n; p++) {
		const word_t *key = keys[p], *with = few->keys;
		struct entry *found = NULL;

		for (uint64_t i = 0; i < nr; i++, with += words) {
			uint64_t differ = (key[0] ^ with[0]) | (key[1] ^ with[1]);

			for (unsigned int word = 2; word < words; word++)
				differ |= key[word] ^ with[word];
			found = differ ? found : fp_read_acquire(&few->head[i]);
		}
		heads[p] = found;
	}
}

// --- All of them ------------------------------------------------------------------------------------------------------

int exact_create(struct exact **out, uint32_t capacity, unsigned int key_bytes)
{
	struct exact *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->capacity = capacity;
	x->key_bytes = key_bytes;
	x->hash = hash_new(capacity, key_bytes);
	if (!x->hash) {
		free(x);
		return -ENOMEM;
	}
	x->few = few_new(x);
	*out = x;
	return 0;
}

void exact_destroy(struct exact *x)
{
	if (!x)
		return;
	rte_hash_free(x->hash);
	free(x->few);
	free(x);
}

static void hash_free(void *hash)
{
	rte_hash_free(hash);
}

int exact_resize(struct exact *x, uint32_t capacity)
{
	struct rte_hash *old = x->hash, *new = hash_new(capacity, x->key_bytes);
	const void *key;
	void *head;
	uint32_t next = 0;

	if (!new)
		return -ENOMEM;
	while (rte_hash_iterate(old, &key, &head, &next) >= 0) {
		if (rte_hash_add_key_data(new, key, head)) {
			rte_hash_free(new);
			return -ENOMEM;
		}
	}
	x->capacity = capacity;
	fp_publish(&x->hash, new);
	rcu_defer(hash_free, old);
	return 0;
}

struct entry *exact_head(const struct exact *x, const void *key)
{
	void *head;

	return rte_hash_lookup_data(x->hash, key, &head) < 0 ? NULL : head;
}

static int put_hash(struct exact *x, const void *key, struct entry *head)
{
	int err = rte_hash_add_key_data(x->hash, key, head);

	if (err != -ENOSPC)
		return err;
	// Removed keys may be due; else they are left behind in the old table.
	rcu_poll();
	err = rte_hash_add_key_data(x->hash, key, head);
	if (err == -ENOSPC && !exact_resize(x, x->capacity))
		err = rte_hash_add_key_data(x->hash, key, head);
	return err;
}

static int put(struct exact *x, const void *key, struct entry *head)
{
	int err = put_hash(x, key, head);

	if (!err)
		few_put(x, key, head);
	return err;
}

int exact_link(struct exact *x, const void *key, struct entry *e)
{
	struct entry *head = exact_head(x, key);
	int err;

	for (struct entry *i = head; i; i = i->older)
		if (!i->dying)
			return -EEXIST;
	e->older = head;
	err = put(x, key, e);
	x->nr_keys += !err && !head;
	return err;
}

int exact_replace(struct exact *x, const void *key, struct entry *old, struct entry *e)
{
	struct entry *i = exact_head(x, key);

	e->older = old->older;
	if (i == old)
		return put(x, key, e);
	while (i && i->older != old)
		i = i->older;
	if (!i)
		return -ENOENT;
	fp_publish(&i->older, e);
	return 0;
}

static void free_position(void *hash, uintptr_t position)
{
	rte_hash_free_key_with_position(hash, (int32_t)position);
}

void exact_unlink(struct exact *x, const void *key, struct entry *e)
{
	struct entry *i = exact_head(x, key);
	int32_t position;

	if (i == e) {
		if (e->older) {
			put(x, key, e->older);
			return;
		}
		position = rte_hash_del_key(x->hash, key);
		x->nr_keys--;
		few_remove(x, key);
		if (position >= 0)
			rcu_defer_pair(free_position, x->hash, (uintptr_t)position);
		return;
	}
	while (i && i->older != e)
		i = i->older;
	if (i)
		fp_publish(&i->older, e->older);
}

void exact_lookup(const struct exact *x, const void **keys, unsigned int n, void **heads)
{
	const struct few *few = fp_read_acquire(&x->few);
	uint64_t hits = 0;

	if (few) {
		few_lookup(x, few, keys, n, heads);
		return;
	}
	rte_hash_lookup_bulk_data(fp_read_acquire(&x->hash), keys, n, &hits, heads);
	for (unsigned int i = 0; i < n; i++)
		if (!(hits >> i & 1))
			heads[i] = NULL;
}
