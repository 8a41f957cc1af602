// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <rte_prefetch.h>

#include "pipe_private.h"

struct run {
	const struct pipe *pipe; // whose keys follow
	const uint8_t *packed[ENTRY_HINTS_MAX];
	unsigned int n;
};

static void flush(struct run *run)
{
	if (run->n)
		run->pipe->matcher->warm(run->pipe, run->packed, run->n);
	run->n = 0;
}

static void add(struct run *run, const struct pipe *pipe, const uint8_t *packed)
{
	if (pipe != run->pipe)
		flush(run);
	run->pipe = pipe;
	run->packed[run->n++] = packed;
}

void entries_warm(const struct space *space, const struct entry_hint *hints, unsigned int n)
{
	struct entry *entries[ENTRY_HINTS_MAX];
	struct run run = {.n = 0};

	for (unsigned int i = 0; i < n; i++) {
		entries[i] = !hints[i].add && hints[i].entry < STEER_ENTRY_ID_MAX
				     ? entry_find(space, hints[i].entry)
				     : NULL;
		if (!entries[i])
			continue;
		for (size_t line = 0; line < sizeof(struct entry) + 2 * RTE_CACHE_LINE_SIZE;
			line += RTE_CACHE_LINE_SIZE)
			rte_prefetch0((const uint8_t *)entries[i] + line);
	}
	for (unsigned int i = 0; i < n; i++) {
		const struct pipe *pipe = entries[i]     ? entries[i]->pipe
					  : hints[i].add ? pipe_find(hints[i].pipe)
							 : NULL;

		if (!pipe || pipe->space != space || !pipe->matcher->warm)
			continue;
		if (entries[i])
			add(&run, pipe, entry_key(entries[i]));
		else if (hints[i].key_bytes == pipe->spec->key_bytes)
			add(&run, pipe, hints[i].key);
	}
	flush(&run);
}
