// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// A table from fixed-size keys to chains of entry versions: rte_hash with lock-free readers, and a short array for as long
// as there are few keys. Control writes, workers read.
#pragma once

#include "table.h"

struct exact;

// key_bytes: multiple of 16. -ENOMEM.
int exact_create(struct exact **out, uint32_t capacity, unsigned int key_bytes);
void exact_destroy(struct exact *x); // after grace

// Newest version of a key, or NULL. Control.
struct entry *exact_head(const struct exact *x, const void *key);
// Puts e in front of the key's chain. -EEXIST when a version is there that is not dying, -ENOSPC.
int exact_link(struct exact *x, const void *key, struct entry *e);
// Puts e in the place of old, in one step.
int exact_replace(struct exact *x, const void *key, struct entry *old, struct entry *e);
void exact_unlink(struct exact *x, const void *key, struct entry *e);
// Another capacity, no less than what is in use: all keys move to a new table, which takes the old one's place in one step.
int exact_resize(struct exact *x, uint32_t capacity);

// Where an entry's key is.
const uint8_t *exact_key(const struct exact *x, const struct entry *e);
// Any thread: an entry of each key when there are few, EXACT_FEW + 1 when there are more.
enum { EXACT_FEW = 128 };
unsigned int exact_few(const struct exact *x, const struct entry *heads[EXACT_FEW]);

// Heads for n <= FP_LOOKUP keys, NULL where there is none; keys are aligned to 16 bytes.
void exact_lookup(const struct exact *x, const void **keys, unsigned int n, void **heads);
