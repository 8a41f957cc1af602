// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include "generation.h"

struct generation generations[GENERATION_SLOTS];

void generation_commit(const struct pipe *pipe, uint64_t revision)
{
	struct generation *g = &generations[generation_slot(pipe)];
	unsigned int newer = g->revision[1] > g->revision[0];

	if (g->revision[newer] < revision)
		fp_publish(&g->revision[!newer], revision);
}

void generation_move(const struct pipe *pipe)
{
	struct generation *g = &generations[generation_slot(pipe)];

	// Who still runs at an older revision may not see all of it yet.
	generation_commit(pipe, fp.revision);
	fp_publish(&g->changes, g->changes + 1);
}
