// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// A worker's fragments: with a CT pipe in force, they pass its table (frag.h) in front of all pipes.
#pragma once

#include "frag.h"
#include "walk.h"

struct fragments {
	struct frag_table *table;
	uint32_t all;  // that `most` is a share of
	uint32_t most; // fragments that this worker may hold
};

int fragments_init(struct fp_worker *w); // -ENOMEM
void fragments_fini(struct fp_worker *w);

// Shows a burst's fragments to the table. Held packets leave the array, dropped ones have their verdict. Returns how many
// are left. Only with a CT pipe in force.
unsigned int fragments_filter(struct fp_worker *w, struct packet **packets, unsigned int n);

// Up to n packets that are held no more: they go on, freshly entered, or have their verdict. Call it until it returns 0
// after each filter, and each turn after fragments_sweep().
unsigned int fragments_take(struct fp_worker *w, struct packet **packets, unsigned int n);

// Gives up what waited too long; all of it when no CT pipe is in force any more. True: there is something to take.
bool fragments_sweep(struct fp_worker *w, uint64_t tsc);
