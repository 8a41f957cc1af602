// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Where the time of a turn goes, by stage (STEERING_STAGES). One turn in STAGE_EVERY is watched: at every step from one
// stage to the next, once a burst and not once a packet, the clock is read. In all others a step is one branch.
//
// Thread-safety: a worker's own; nobody watches a trace.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_cycles.h>

#include "fastpath.h"

enum {
	STAGE_EVERY = 61, // turns, a prime: nothing else comes as often
	// As a power of two: turns that took more cycles a packet had lost their core, and say nothing.
	STAGE_LOST = 16,
};

struct stage_watch {
	bool on;
	uint8_t stage;      // enum steer_stage
	uint16_t until;     // turns
	uint32_t step_cost; // cycles that a look at the clock takes, left out of all stages
	uint64_t at;
	uint64_t cycles[STATS_STAGES];
};

static inline void stage_step(struct stage_watch *s, enum steer_stage stage)
{
	uint64_t now = rte_rdtsc(), passed = now - s->at;

	s->cycles[s->stage] += passed > s->step_cost ? passed - s->step_cost : 0;
	s->stage = (uint8_t)stage;
	s->at = now;
}

// What follows is another stage's.
static inline void stage_to(struct stage_watch *s, enum steer_stage stage)
{
	if (unlikely(s->on))
		stage_step(s, stage);
}

// At the start of a turn.
static inline void stage_turn(struct stage_watch *s)
{
	if (likely(s->until--))
		return;
	*s = (struct stage_watch){.on = true, .until = STAGE_EVERY - 1, .step_cost = s->step_cost};
	s->at = rte_rdtsc();
}

// At the end of a turn that had so many packets.
static inline void stage_end(struct stage_watch *s, struct stats_stages *stats, unsigned int packets)
{
	uint64_t sum = 0;

	if (likely(!s->on))
		return;
	stage_step(s, STEER_STAGE_RECEIVE);
	s->on = false;
	for (unsigned int i = 0; i < STEER_STAGE_MAX; i++)
		sum += s->cycles[i];
	if (!packets || sum >> STAGE_LOST >= packets)
		return;
	fp_write(&stats->turns, stats->turns + 1);
	fp_write(&stats->packets, stats->packets + packets);
	for (unsigned int i = 0; i < STEER_STAGE_MAX; i++)
		fp_write(&stats->cycles[i], stats->cycles[i] + s->cycles[i]);
}

// Before the first turn.
static inline void stage_init(struct stage_watch *s)
{
	uint64_t least = UINT32_MAX;

	for (unsigned int i = 0; i < 64; i++) {
		uint64_t begin = rte_rdtsc(), took = rte_rdtsc() - begin;

		least = took < least ? took : least;
	}
	*s = (struct stage_watch){.step_cost = (uint32_t)least};
}
