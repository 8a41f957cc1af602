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

struct exact {
	struct rte_hash *hash;
	unsigned int key_bytes;
};

enum {
	SLACK_MIN = 32, // slots of removed keys are in use until the grace period is over
	SLACK_MAX = 1024,
	ADD_TRIES = 64,
};

int exact_create(struct exact **out, uint32_t capacity, unsigned int key_bytes)
{
	static unsigned int serial;
	char name[RTE_HASH_NAMESIZE];
	uint32_t slack = capacity < SLACK_MIN ? SLACK_MIN : capacity > SLACK_MAX ? SLACK_MAX : capacity;
	struct rte_hash_parameters params = {
		.name = name,
		.entries = capacity + slack,
		.key_len = key_bytes,
		.hash_func = rte_hash_crc,
		.socket_id = SOCKET_ID_ANY,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct exact *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	snprintf(name, sizeof(name), "exact%u", serial++);
	x->key_bytes = key_bytes;
	x->hash = rte_hash_create(&params);
	if (!x->hash) {
		free(x);
		return -ENOMEM;
	}
	*out = x;
	return 0;
}

void exact_destroy(struct exact *x)
{
	if (!x)
		return;
	rte_hash_free(x->hash);
	free(x);
}

struct entry *exact_head(const struct exact *x, const void *key)
{
	void *head;

	return rte_hash_lookup_data(x->hash, key, &head) < 0 ? NULL : head;
}

static int put(struct exact *x, const void *key, struct entry *head)
{
	int err = rte_hash_add_key_data(x->hash, key, head);

	// Slots of keys that were just removed come back as workers pass; they do so within microseconds.
	for (unsigned int i = 0; err == -ENOSPC && i < ADD_TRIES; i++) {
		rcu_poll();
		err = rte_hash_add_key_data(x->hash, key, head);
	}
	return err;
}

int exact_link(struct exact *x, const void *key, struct entry *e)
{
	struct entry *head = exact_head(x, key);

	for (struct entry *i = head; i; i = i->older)
		if (!i->dying)
			return -EEXIST;
	e->older = head;
	return put(x, key, e);
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
		if (position >= 0)
			rcu_defer_pair(free_position, x->hash, (uintptr_t)position);
		return;
	}
	while (i && i->older != e)
		i = i->older;
	if (i)
		fp_publish(&i->older, e->older);
}

int exact_move(const struct exact *from, struct exact *to)
{
	const void *key;
	void *head;
	uint32_t next = 0;

	while (rte_hash_iterate(from->hash, &key, &head, &next) >= 0) {
		int err = rte_hash_add_key_data(to->hash, key, head);

		if (err)
			return err;
	}
	return 0;
}

void exact_lookup(const struct exact *x, const void **keys, unsigned int n, void **heads)
{
	uint64_t hits = 0;

	rte_hash_lookup_bulk_data(x->hash, keys, n, &hits, heads);
	for (unsigned int i = 0; i < n; i++)
		if (!(hits >> i & 1))
			heads[i] = NULL;
}
