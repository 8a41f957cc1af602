// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Token bucket meters: RFC 2697, 2698, 4115 and a simple one-rate meter. One budget over all workers.
//
// A bucket is kept as the moment at which it would have been empty, counted in tokens since the meter was made: what it
// holds now is min(burst, now - empty). Taking tokens moves that moment forward, filling it needs no work at all. Both
// buckets of a meter change in one 128 bit compare-and-swap, so the sum over workers never exceeds the budget. Time becomes
// tokens by one multiplication; there is no division and no lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "packet.h"

struct meter_bucket {
	uint64_t
		rate_whole; // tokens per TSC cycle times 2^64: tokens = cycles * rate >> 64, with fraction bits
	uint64_t burst;     // in tokens << fraction
};

struct meter {
	// Changed by workers. RFC 2697: committed's moment, tokens in the excess bucket. Others: two moments.
	struct {
		uint64_t committed;
		uint64_t excess;
	} state __attribute__((aligned(16)));
	uint64_t epoch; // TSC when the meter was made
	uint8_t algorithm;
	uint8_t packets;
	uint8_t color_aware;
	uint8_t fraction; // bits of a token
	struct meter_bucket c;
	struct meter_bucket e;
} __attribute__((aligned(64)));

// Buckets start full. -EINVAL: unknown algorithm, rates or bursts that cannot be held.
int meter_init(struct meter *m, const struct steer_meter *wire, uint64_t tsc_hz, uint64_t now);

// Colour (METER_*) of a packet of `bytes` bytes at TSC `now`; incoming colour counts when the meter is colour aware.
// take = false looks only.
uint8_t meter_color(struct meter *m, uint64_t now, uint32_t bytes, uint8_t incoming, bool take);
