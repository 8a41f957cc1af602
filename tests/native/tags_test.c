// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Comparing eight tags at once gives what comparing them one by one gives.

#include "tags.h"
#include "tap.h"

static uint64_t state = 42;

static uint16_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint16_t)(state >> 24);
}

int main(void)
{
	static const uint16_t edges[] = {0, 1, 0x7fff, 0x8000, 0xff, 0xff00, 0xfffe, 0xffff};
	_Alignas(16) uint16_t tags[TAGS];
	unsigned int wrong = 0, hits = 0;

	// Every set of matching slots, for tags whose halves and signs may be mistaken for each other's.
	for (unsigned int set = 0; set < 256; set++)
		for (unsigned int a = 0; a < 8; a++)
			for (unsigned int b = 0; b < 8; b++) {
				for (unsigned int i = 0; i < TAGS; i++)
					tags[i] = edges[set >> i & 1 ? a : b];
				wrong += tags_matching(tags, edges[a]) != (a == b ? 255 : set);
				wrong += tags_matching_portable(tags, edges[a]) != (a == b ? 255 : set);
			}
	ok(!wrong, "every set of slots is found in both ways (%u wrong)", wrong);
	for (unsigned int n = 0; n < 200000; n++) {
		uint16_t tag = any();
		unsigned int bits;

		for (unsigned int i = 0; i < TAGS; i++)
			tags[i] = any() & 3 ? any() : tag;
		bits = tags_matching(tags, tag);
		hits += !!bits;
		wrong += bits != tags_matching_portable(tags, tag);
	}
	ok(!wrong && hits > 100000, "both ways find the same among any tags (%u wrong)", wrong);
	return tap_done();
}
