// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// rte_atomic128_cmp_exchange is an inline function without a stable ABI to break.
#define ALLOW_EXPERIMENTAL_API

#include <errno.h>
#include <string.h>

#include <rte_atomic.h>
#include <rte_branch_prediction.h>

#include "meter.h"

typedef unsigned __int128 wide;

// A token moment must not wrap within a year of running: rate << fraction stays below 2^38 per second.
enum { RATE_BITS = 38, FRACTION_MAX = 20, BURST_BITS = 60 };

static int bucket_init(
	struct meter_bucket *b, uint64_t rate, uint64_t burst, unsigned int fraction, uint64_t tsc_hz)
{
	wide scaled = (wide)rate << fraction;

	if (burst >> (BURST_BITS - fraction) || scaled >= tsc_hz * (wide)(1u << 16))
		return -EINVAL;
	// Tokens per cycle as a 32.64 fixed point number, of which the upper part is rarely needed: see tokens_at().
	b->rate_whole = (uint64_t)((scaled << 48) / tsc_hz);
	b->burst = burst << fraction;
	return 0;
}

int meter_init(struct meter *m, const struct steer_meter *wire, uint64_t tsc_hz, uint64_t now)
{
	uint64_t rate = wire->cir > wire->eir ? wire->cir : wire->eir;
	unsigned int fraction = FRACTION_MAX;

	memset(m, 0, sizeof(*m));
	if (wire->algorithm > STEER_METER_SIMPLE || !tsc_hz)
		return -EINVAL;
	while (fraction && rate >> (RATE_BITS - fraction))
		fraction--;
	if (rate >> RATE_BITS)
		return -EINVAL;
	while (fraction && ((wire->cbs | wire->ebs) >> (BURST_BITS - fraction)))
		fraction--;
	m->algorithm = wire->algorithm;
	m->packets = wire->packets;
	m->color_aware = wire->color_aware;
	m->fraction = (uint8_t)fraction;
	m->epoch = now;
	if (bucket_init(&m->c, wire->cir, wire->cbs, fraction, tsc_hz) ||
		bucket_init(&m->e, wire->algorithm == STEER_METER_RFC2697 ? 0 : wire->eir, wire->ebs,
			fraction, tsc_hz))
		return -EINVAL;
	// Full: they were empty a burst ago.
	m->state.committed = (uint64_t)0 - m->c.burst;
	m->state.excess = wire->algorithm == STEER_METER_RFC2697 ? m->e.burst : (uint64_t)0 - m->e.burst;
	return 0;
}

static inline uint64_t tokens_at(const struct meter_bucket *b, uint64_t cycles)
{
	return (uint64_t)((wide)cycles * b->rate_whole >> 48);
}

// What a bucket holds whose moment is `empty`; *empty is moved up when it overflowed. Signed: another worker's clock may
// be a little ahead.
static inline int64_t level(const struct meter_bucket *b, uint64_t now, uint64_t *empty)
{
	int64_t held = (int64_t)(now - *empty);

	if (held > (int64_t)b->burst) {
		*empty = now - b->burst;
		return (int64_t)b->burst;
	}
	return held;
}

struct draft {
	uint64_t committed;
	uint64_t excess;
};

static uint8_t color_2697(const struct meter *m, uint64_t now, int64_t n, uint8_t in, struct draft *s)
{
	uint64_t c = tokens_at(&m->c, now);
	int64_t over = (int64_t)(c - s->committed) - (int64_t)m->c.burst, held;

	if (over > 0) {
		uint64_t room = m->e.burst - s->excess;

		s->excess += (uint64_t)over < room ? (uint64_t)over : room;
	}
	held = level(&m->c, c, &s->committed);
	if (in == METER_GREEN && held >= n) {
		s->committed += (uint64_t)n;
		return METER_GREEN;
	}
	if (in != METER_RED && (int64_t)s->excess >= n) {
		s->excess -= (uint64_t)n;
		return METER_YELLOW;
	}
	return METER_RED;
}

static uint8_t color_2698(const struct meter *m, uint64_t now, int64_t n, uint8_t in, struct draft *s)
{
	int64_t peak = level(&m->e, tokens_at(&m->e, now), &s->excess);
	int64_t held = level(&m->c, tokens_at(&m->c, now), &s->committed);

	if (in == METER_RED || peak < n)
		return METER_RED;
	s->excess += (uint64_t)n;
	if (in == METER_YELLOW || held < n)
		return METER_YELLOW;
	s->committed += (uint64_t)n;
	return METER_GREEN;
}

static uint8_t color_4115(const struct meter *m, uint64_t now, int64_t n, uint8_t in, struct draft *s)
{
	int64_t excess = level(&m->e, tokens_at(&m->e, now), &s->excess);
	int64_t held = level(&m->c, tokens_at(&m->c, now), &s->committed);

	if (in == METER_GREEN && held >= n) {
		s->committed += (uint64_t)n;
		return METER_GREEN;
	}
	if (in != METER_RED && excess >= n) {
		s->excess += (uint64_t)n;
		return METER_YELLOW;
	}
	return METER_RED;
}

static uint8_t color_simple(const struct meter *m, uint64_t now, int64_t n, struct draft *s)
{
	if (level(&m->c, tokens_at(&m->c, now), &s->committed) < n)
		return METER_RED;
	s->committed += (uint64_t)n;
	return METER_GREEN;
}

uint8_t meter_color(struct meter *m, uint64_t now, uint32_t bytes, uint8_t incoming, bool take)
{
	int64_t n = (int64_t)((uint64_t)(m->packets ? 1 : bytes) << m->fraction);
	uint8_t in = m->color_aware ? incoming : METER_GREEN, color;
	uint64_t cycles = now - m->epoch;
	rte_int128_t old, new;
	struct draft draft;

	if (unlikely((int64_t)cycles < 0))
		cycles = 0;
	// A torn first read is harmless: the exchange then fails and brings the true value.
	old.val[0] = __atomic_load_n(&m->state.committed, __ATOMIC_RELAXED);
	old.val[1] = __atomic_load_n(&m->state.excess, __ATOMIC_RELAXED);
	do {
		draft.committed = old.val[0];
		draft.excess = old.val[1];
		switch (m->algorithm) {
		case STEER_METER_RFC2697:
			color = color_2697(m, cycles, n, in, &draft);
			break;
		case STEER_METER_RFC2698:
			color = color_2698(m, cycles, n, in, &draft);
			break;
		case STEER_METER_RFC4115:
			color = color_4115(m, cycles, n, in, &draft);
			break;
		default:
			color = color_simple(m, cycles, n, &draft);
			break;
		}
		if (!take)
			return color;
		new.val[0] = draft.committed;
		new.val[1] = draft.excess;
	} while (unlikely(!rte_atomic128_cmp_exchange(
		(rte_int128_t *)&m->state, &old, &new, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)));
	return color;
}
