// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Generations of pipes: what a recorded walk depends on. Control moves a pipe's generation whenever a packet could find
// something else in the pipe than before; a worker compares numbers and needs no look at the tables.
//
// A generation is two things: a count of changes that were visible at once, and the revisions at which changes of
// transactions become visible. So a worker that still runs at an older revision never takes what it found then for what
// is found at the next one. Pipes share slots by number; a neighbour's change costs a walk, no more.
//
// Thread-safety. Control writes; workers read, after the revision that they walk by and before the tables.
#pragma once

#include "table.h"

enum { GENERATION_SLOTS = 1024 };

struct generation {
	uint64_t changes;
	uint64_t revision
		[2]; // the last two of which a transaction changed the pipe; the older one is replaced
	uint64_t pad;
};
extern struct generation generations[GENERATION_SLOTS];

static inline unsigned int generation_slot(const struct pipe *pipe)
{
	return pipe->id & (GENERATION_SLOTS - 1);
}

// What a walk at `revision` depends on: never falls, and differs when anything changed. False: this revision is too old to
// tell; nothing must be recorded or repeated.
static inline bool generation_read(unsigned int slot, uint64_t revision, uint64_t *sum)
{
	const struct generation *g = &generations[slot];
	uint64_t changes = fp_read_acquire(&g->changes), a = fp_read_acquire(&g->revision[0]),
		 b = fp_read_acquire(&g->revision[1]), newer = a > b ? a : b, older = a > b ? b : a;

	*sum += changes + (newer <= revision ? newer : older);
	return newer <= revision || (older && older <= revision);
}

// Control: a change that was visible at once is in place.
void generation_move(const struct pipe *pipe);
// Control: a change becomes visible with this revision, which is not published yet.
void generation_commit(const struct pipe *pipe, uint64_t revision);
