// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The exact table alone: long keys, keys that all fall into one bucket, chains of versions, growth. No EAL.

#include <stdlib.h>

#include <rte_hash_crc.h>

#include "exact.h"
#include "rcu.h"
#include "tap.h"

enum { KEYS = 4096 };

static struct entry *entries[KEYS];
static uint8_t keys[KEYS][STEER_KEY_MAX] __attribute__((aligned(16)));

static struct entry *fresh(void)
{
	return table_alloc(sizeof(struct entry));
}

static void let_go(struct entry *e)
{
	if (e)
		free(e->match);
	free(e);
}

// How many of n keys are found as `entries` has them, by both ways to look.
static unsigned int found(struct exact *x, unsigned int n)
{
	unsigned int good = 0;

	for (unsigned int at = 0; at < n; at += FP_LOOKUP) {
		const void *list[FP_LOOKUP];
		void *heads[FP_LOOKUP];
		unsigned int some = n - at < FP_LOOKUP ? n - at : FP_LOOKUP;

		for (unsigned int i = 0; i < some; i++)
			list[i] = keys[at + i];
		exact_lookup(x, list, some, heads);
		for (unsigned int i = 0; i < some; i++)
			good += heads[i] == entries[at + i] && exact_head(x, keys[at + i]) == entries[at + i];
	}
	return good;
}

static void test_many(unsigned int bytes)
{
	struct exact *x;
	unsigned int wrong = 0;

	require(!exact_create(&x, KEYS / 4, bytes), "table of %u byte keys", bytes);
	for (unsigned int i = 0; i < KEYS; i++) {
		memset(keys[i], 0, bytes);
		memcpy(keys[i] + bytes - 8, &(uint64_t){i * 0x9e3779b97f4a7c15u}, 8);
		entries[i] = NULL;
	}
	ok(found(x, KEYS) == KEYS, "nothing is found in an empty table");
	for (unsigned int i = 0; i < KEYS; i++) {
		entries[i] = fresh();
		wrong += exact_link(x, keys[i], entries[i]) != 0;
	}
	ok(!wrong && found(x, KEYS) == KEYS, "four times its capacity");
	for (unsigned int i = 0; i < KEYS; i += 2) {
		exact_unlink(x, keys[i], entries[i]);
		let_go(entries[i]);
		entries[i] = NULL;
	}
	ok(found(x, KEYS) == KEYS, "half of them gone");
	wrong += exact_resize(x, KEYS) != 0;
	ok(!wrong && found(x, KEYS) == KEYS, "resized");
	for (unsigned int i = 0; i < KEYS; i++) {
		if (entries[i]) {
			exact_unlink(x, keys[i], entries[i]);
			let_go(entries[i]);
			entries[i] = NULL;
		}
	}
	ok(found(x, KEYS) == KEYS, "empty again");
	exact_destroy(x);
	rcu_poll();
	rcu_poll();
}

// Keys with equal low bits of their hash.
static void test_one_bucket(void)
{
	struct exact *x;
	unsigned int n = 0, wrong = 0;

	exact_create(&x, 64, 16);
	for (uint64_t i = 0; n < 200; i++) {
		memset(keys[n], 0, 16);
		memcpy(keys[n], &i, 8);
		entries[n] = NULL;
		n += (rte_hash_crc(keys[n], 16, 0) & 1023) == 77;
	}
	for (unsigned int i = 0; i < n; i++) {
		entries[i] = fresh();
		wrong += exact_link(x, keys[i], entries[i]) != 0;
	}
	ok(!wrong && found(x, n) == n, "200 keys of one bucket: %u of %u", found(x, n), n);
	for (unsigned int i = 0; i < n; i++) {
		exact_unlink(x, keys[i], entries[i]);
		let_go(entries[i]);
	}
	exact_destroy(x);
	rcu_poll();
	rcu_poll();
}

static void test_versions(void)
{
	struct entry *old = fresh(), *new = fresh(), *newest = fresh();
	struct exact *x;

	exact_create(&x, 8, 16);
	memset(keys[0], 7, 16);
	ok(!exact_link(x, keys[0], old) && exact_link(x, keys[0], new) == -EEXIST, "one live version");
	old->dying = true;
	ok(!exact_link(x, keys[0], new) && exact_head(x, keys[0]) == new &&new->older == old,
		"before a dying one");
	ok(!exact_replace(x, keys[0], new, newest) && exact_head(x, keys[0]) == newest &&
			newest->older == old,
		"replaced");
	exact_unlink(x, keys[0], old);
	ok(exact_head(x, keys[0]) == newest && !newest->older, "the old one is unlinked");
	exact_unlink(x, keys[0], newest);
	ok(!exact_head(x, keys[0]), "and the last");
	exact_unlink(x, keys[0], newest);
	exact_destroy(x);
	let_go(old);
	let_go(new);
	let_go(newest);
}

int main(void)
{
	fp.tsc_hz = 1;
	require(!fp_init(0, 0), "fast path");
	test_many(16);
	test_many(32);
	test_many(48);
	test_many(128);
	test_one_bucket();
	test_versions();
	fp_fini();
	return tap_done();
}
