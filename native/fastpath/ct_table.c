// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "bytes.h"
#include "ct_table.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum {
	LOAD = 4,          // connections per bucket, at most, on average
	SPARE_SHIFT = 3,   // spare buckets: an eighth
	VICTIM_LOOKS = 32, // connections looked at to find one that is idle
	PIECE = 2 << 20,   // bytes prepared at once
	AHEAD = 2 * PIECE, // of places that are not taken yet, besides as much as is taken
	DENIAL_LOOKS = 8,  // places looked at to find one that is free
};

// Zeroed memory that becomes real when it is touched, in large pages if the system has any.
static void *map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, bytes, MADV_HUGEPAGE);
	return memory;
}

int ct_table_init(struct ct_table *t, uint32_t capacity, uint32_t denied_capacity, uint32_t tick)
{
	uint64_t all = (uint64_t)capacity + denied_capacity;
	uint32_t buckets = rte_align32pow2((uint32_t)((all + LOAD - 1) / LOAD));

	*t = (struct ct_table){.capacity = capacity, .denied_capacity = denied_capacity, .mask = buckets - 1};
	if (getrandom(t->secret, sizeof(t->secret), 0) != (ssize_t)sizeof(t->secret))
		return -errno;
	t->nr_spare = (buckets >> SPARE_SHIFT) + 2;
	t->conn_bytes = all * sizeof(*t->conn);
	t->bucket_bytes = ((size_t)buckets + t->nr_spare) * sizeof(*t->bucket);
	t->conn = map(t->conn_bytes);
	t->bucket = map(t->bucket_bytes);
	if (!t->conn || !t->bucket) {
		ct_table_fini(t);
		return -ENOMEM;
	}
	t->spare = t->bucket + buckets;
	madvise(t->bucket, t->bucket_bytes, MADV_POPULATE_WRITE);
	ct_table_prepare(t);
	ct_wheel_init(&t->wheel, tick);
	return 0;
}

bool ct_table_prepare(struct ct_table *t)
{
	size_t taken = __atomic_load_n(&t->fresh, __ATOMIC_RELAXED) * sizeof(*t->conn), wanted, bytes = PIECE;

	// Who opens many connections at once must not overtake us, who may have to wait for a core.
	wanted = 2 * taken + AHEAD;
	if (wanted > t->conn_bytes)
		wanted = t->conn_bytes;
	if (t->ready_bytes >= wanted)
		return false;
	if (bytes > t->conn_bytes - t->ready_bytes)
		bytes = t->conn_bytes - t->ready_bytes;
	// What the system cannot do ahead it does when the worker comes.
	madvise((uint8_t *)t->conn + t->ready_bytes, bytes, MADV_POPULATE_WRITE);
	t->ready_bytes += bytes;
	return true;
}

void ct_table_fini(struct ct_table *t)
{
	if (t->conn)
		munmap(t->conn, t->conn_bytes);
	if (t->bucket)
		munmap(t->bucket, t->bucket_bytes);
	t->conn = NULL;
	t->bucket = NULL;
}

// --- Index ----------------------------------------------------------------------------------------------------------

static inline struct ct_bucket *next_of(const struct ct_table *t, const struct ct_bucket *b)
{
	return b->next ? &t->spare[b->next - 1] : NULL;
}

static inline uint32_t find_tag(
	const struct ct_table *t, const struct ct_key *key, uint64_t hash, uint16_t tag, uint8_t mark)
{
	for (const struct ct_bucket *b = ct_bucket(t, hash); b; b = next_of(t, b)) {
		for (unsigned int bits = ct_matching(b, tag); bits; bits &= bits - 1) {
			uint32_t number = b->number[__builtin_ctz(bits)];
			const struct ct_key *mine = &ct_conn(t, number)->key;

			if (ct_same(mine, key) && ct_key_mark(mine) == mark)
				return number;
		}
	}
	return 0;
}

static inline uint16_t tag_of(const struct ct_table *t, uint64_t hash, uint32_t number)
{
	return ct_is_denial(t, number) ? ct_denial_tag(hash) : ct_tag(hash);
}

uint32_t ct_table_find(
	const struct ct_table *t, const struct ct_key *key, uint64_t hash, unsigned int from_high)
{
	uint32_t number = find_tag(t, key, hash, ct_tag(hash), CT_MARK_CONNECTION);

	return number ? number
		      : find_tag(t, key, hash, ct_denial_tag(hash), (uint8_t)(CT_MARK_DENIAL + from_high));
}

static struct ct_bucket *lengthen(struct ct_table *t, struct ct_bucket *last)
{
	uint32_t n = t->spare_free;

	if (n)
		t->spare_free = t->spare[n - 1].next;
	else if (t->spare_fresh < t->nr_spare)
		n = ++t->spare_fresh;
	else
		return NULL;
	t->spare[n - 1].next = 0;
	last->next = n;
	return &t->spare[n - 1];
}

// False: so many share the bucket that there is no place, which the secrets make as good as impossible.
static bool link_number(struct ct_table *t, uint64_t hash, uint32_t number)
{
	struct ct_bucket *b = ct_bucket(t, hash), *last = b;
	unsigned int taken;

	for (unsigned int length = 0; b; b = next_of(t, b), length++) {
		taken = ct_matching(b, 0);
		if (taken) {
			unsigned int i = (unsigned int)__builtin_ctz(taken);

			b->number[i] = number;
			b->tag[i] = tag_of(t, hash, number);
			return true;
		}
		last = b;
		if (length == CT_CHAIN)
			return false;
	}
	b = lengthen(t, last);
	if (!b)
		return false;
	b->number[0] = number;
	b->tag[0] = tag_of(t, hash, number);
	return true;
}

static void unlink_number(struct ct_table *t, uint64_t hash, uint32_t number)
{
	struct ct_bucket *before = NULL;

	for (struct ct_bucket *b = ct_bucket(t, hash); b; before = b, b = next_of(t, b)) {
		for (unsigned int bits = ct_matching(b, tag_of(t, hash, number)); bits; bits &= bits - 1) {
			unsigned int i = (unsigned int)__builtin_ctz(bits);

			if (b->number[i] != number)
				continue;
			b->tag[i] = 0;
			// An empty spare bucket goes back.
			if (before && ct_matching(b, 0) == (1u << CT_SLOTS) - 1) {
				uint32_t mine = before->next;

				before->next = b->next;
				b->next = t->spare_free;
				t->spare_free = mine;
			}
			return;
		}
	}
}

// --- Connections ----------------------------------------------------------------------------------------------------

bool ct_table_full(const struct ct_table *t)
{
	return t->live == t->capacity;
}

static uint32_t take(struct ct_table *t)
{
	uint32_t number = t->free;

	if (number)
		t->free = ct_conn(t, number)->next;
	else if (t->fresh < t->capacity)
		number = ++t->fresh;
	return number;
}

static void give_back(struct ct_table *t, uint32_t number)
{
	if (ct_is_denial(t, number))
		return;
	ct_conn(t, number)->next = t->free;
	t->free = number;
}

static inline uint32_t after(const struct ct_table *t, uint32_t hand)
{
	return hand + 1 == t->denied_capacity ? 0 : hand + 1;
}

// Places of denials are taken in turn, so the one at the hand is the oldest. It goes only when none of the next ones is free:
// those that are asked about stay, others around them end.
static uint32_t take_denial(struct ct_table *t, uint32_t *victim)
{
	uint32_t hand = t->denied_hand;

	if (!t->denied_capacity)
		return 0;
	for (unsigned int i = 0; i < DENIAL_LOOKS; i++, hand = after(t, hand)) {
		uint32_t number = t->capacity + 1 + hand;

		if (ct_conn(t, number)->bits & CT_USED)
			continue;
		t->denied_hand = after(t, hand);
		return number;
	}
	*victim = t->capacity + 1 + t->denied_hand;
	return 0;
}

uint32_t ct_table_add(struct ct_table *t, const struct ct_key *key, uint64_t hash, uint32_t *victim)
{
	bool denial = ct_key_mark(key) != CT_MARK_CONNECTION;
	uint32_t number;
	struct ct_conn *c;

	*victim = 0;
	number = denial ? take_denial(t, victim) : take(t);
	if (!number)
		return 0;
	if (unlikely(!link_number(t, hash, number))) {
		give_back(t, number);
		return 0;
	}
	c = ct_conn(t, number);
	bytes_clear(c, sizeof(*c));
	c->key = *key;
	c->hash = hash;
	c->bits = CT_USED;
	if (denial)
		t->denied++;
	else
		t->live++;
	t->serial++;
	return number;
}

void ct_table_remove(struct ct_table *t, uint32_t number)
{
	struct ct_conn *c = ct_conn(t, number);

	ct_wheel_disarm(t, number);
	if (c->bits & CT_HALF_OPEN)
		ct_half_remove(t, number);
	unlink_number(t, c->hash, number);
	c->bits = 0;
	if (ct_is_denial(t, number))
		t->denied--;
	else
		t->live--;
	give_back(t, number);
	t->serial++;
}

// --- Half-open ones -------------------------------------------------------------------------------------------------

void ct_half_add(struct ct_table *t, uint32_t number)
{
	struct ct_conn *c = ct_conn(t, number);

	c->half_next = 0;
	c->half_prev = t->half_last;
	if (t->half_last)
		ct_conn(t, t->half_last)->half_next = number;
	else
		t->half_first = number;
	t->half_last = number;
	t->half_open++;
	c->bits |= CT_HALF_OPEN;
}

void ct_half_remove(struct ct_table *t, uint32_t number)
{
	struct ct_conn *c = ct_conn(t, number);

	if (c->half_prev)
		ct_conn(t, c->half_prev)->half_next = c->half_next;
	else
		t->half_first = c->half_next;
	if (c->half_next)
		ct_conn(t, c->half_next)->half_prev = c->half_prev;
	else
		t->half_last = c->half_prev;
	t->half_open--;
	c->bits &= (uint16_t)~CT_HALF_OPEN;
}

uint32_t ct_table_victim(struct ct_table *t, uint32_t now_ms)
{
	uint32_t best = 0, idle = 0;

	if (t->half_first)
		return t->half_first;
	for (unsigned int i = 0; i < VICTIM_LOOKS && t->fresh; i++) {
		const struct ct_conn *c;

		if (++t->evict_hand > t->fresh)
			t->evict_hand = 1;
		c = ct_conn(t, t->evict_hand);
		if (!(c->bits & CT_USED) || (best && now_ms - c->seen_ms <= idle))
			continue;
		best = t->evict_hand;
		idle = now_ms - c->seen_ms;
	}
	return best;
}
