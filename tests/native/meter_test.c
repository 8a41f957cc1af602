// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Meters against the RFCs' own arithmetic, computed here in exact numbers; and one budget over several threads.

#include <pthread.h>
#include <stdlib.h>

#include "meter.h"
#include "tap.h"

#define HZ 2300000000ull

typedef unsigned __int128 wide;

// Tokens times HZ, so that nothing is rounded.
struct model {
	struct steer_meter cfg;
	wide c, e;
	uint64_t last;
};

static void model_fill(struct model *m, uint64_t now)
{
	wide cap_c = (wide)m->cfg.cbs * HZ, cap_e = (wide)m->cfg.ebs * HZ, passed = now - m->last;

	m->last = now;
	m->c += passed * m->cfg.cir;
	if (m->cfg.algorithm == STEER_METER_RFC2697) {
		if (m->c > cap_c) {
			m->e += m->c - cap_c;
			m->c = cap_c;
		}
	} else {
		m->e += passed * m->cfg.eir;
	}
	m->c = m->c > cap_c ? cap_c : m->c;
	m->e = m->e > cap_e ? cap_e : m->e;
}

static uint8_t model_color(struct model *m, uint64_t now, uint32_t bytes, uint8_t in)
{
	wide n = (wide)(m->cfg.packets ? 1 : bytes) * HZ;

	model_fill(m, now);
	if (!m->cfg.color_aware)
		in = METER_GREEN;
	switch (m->cfg.algorithm) {
	case STEER_METER_RFC2698:
		if (in == METER_RED || m->e < n)
			return METER_RED;
		m->e -= n;
		if (in == METER_YELLOW || m->c < n)
			return METER_YELLOW;
		m->c -= n;
		return METER_GREEN;
	case STEER_METER_SIMPLE:
		if (m->c < n)
			return METER_RED;
		m->c -= n;
		return METER_GREEN;
	default:
		if (in == METER_GREEN && m->c >= n) {
			m->c -= n;
			return METER_GREEN;
		}
		if (in != METER_RED && m->e >= n) {
			m->e -= n;
			return METER_YELLOW;
		}
		return METER_RED;
	}
}

static uint64_t seed = 1;

static uint32_t dice(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static void compare(struct steer_meter cfg, const char *name)
{
	struct model model = {.cfg = cfg, .c = (wide)cfg.cbs * HZ, .e = (wide)cfg.ebs * HZ};
	struct meter *m = aligned_alloc(64, sizeof(*m));
	uint64_t start = 123456789012345, now = 0;
	unsigned int differ = 0, colors[3] = {0};

	require(!meter_init(m, &cfg, HZ, start), "%s: init", name);
	for (unsigned int i = 0; i < 200000; i++) {
		uint32_t bytes = 60 + dice(1440);
		uint8_t in = (uint8_t)dice(3), a, b;

		// Around the rate, with pauses now and then.
		now += dice(1000) ? dice(1200000) : dice(2000000000);
		a = meter_color(m, start + now, bytes, in, true);
		b = model_color(&model, now, bytes, in);
		colors[a]++;
		if (a != b) {
			differ++;
			// Follow the decision: one rounded token must not count as many differences.
			if (differ > 200)
				break;
		}
	}
	ok(differ < 20, "%s: %u of 200000 decisions differ (red %u yellow %u green %u)", name, differ,
		colors[0], colors[1], colors[2]);
	free(m);
}

// Exactly what two buckets may let through in an interval, burst included.
static void test_budget_exact(void)
{
	struct steer_meter cfg = {.algorithm = STEER_METER_SIMPLE, .cir = 1000000, .cbs = 1500};
	struct meter *m = aligned_alloc(64, sizeof(*m));
	uint64_t passed = 0;

	meter_init(m, &cfg, HZ, 0);
	for (uint64_t t = 0; t < HZ; t += 1000)
		passed += meter_color(m, t, 100, METER_GREEN, true) == METER_GREEN ? 100 : 0;
	ok(passed <= 1000000 + 1500 && passed >= 1000000 + 1500 - 200, "one second at 1 MB/s and 1500 B: %lu",
		passed);
	ok(meter_color(m, HZ * 2, 1501, METER_GREEN, true) == METER_RED, "more than the burst never passes");
	ok(meter_color(m, HZ * 2, 1500, METER_GREEN, false) == METER_GREEN &&
			meter_color(m, HZ * 2, 1500, METER_GREEN, true) == METER_GREEN &&
			meter_color(m, HZ * 2, 60, METER_GREEN, true) == METER_RED,
		"a look takes nothing");
	free(m);
}

static struct meter *shared;
static uint64_t passed[4];

static void *spend(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;

	for (uint64_t t = 0; t < 400000; t++)
		if (meter_color(shared, t * 2000, 100, METER_GREEN, true) == METER_GREEN)
			passed[me] += 100;
	return NULL;
}

static void test_threads(void)
{
	struct steer_meter cfg = {.algorithm = STEER_METER_RFC2698,
		.cir = 50000000,
		.cbs = 3000,
		.eir = 100000000,
		.ebs = 6000};
	pthread_t threads[4];
	uint64_t sum = 0, limit = 50000000 * (400000ull * 2000) / HZ + 3000;

	shared = aligned_alloc(64, sizeof(*shared));
	meter_init(shared, &cfg, HZ, 0);
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, spend, (void *)i);
	for (unsigned int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		sum += passed[i];
	}
	ok(sum <= limit, "four threads together stay within the budget: %lu of %lu", sum, limit);
	free(shared);
}

int main(void)
{
	struct steer_meter cfg = {.cir = 1250000, .cbs = 15000, .eir = 2500000, .ebs = 30000};
	struct meter *m = aligned_alloc(64, sizeof(*m));
	static const char *const names[] = {"RFC 2697", "RFC 2698", "RFC 4115", "simple"};

	for (uint8_t algorithm = 0; algorithm <= STEER_METER_SIMPLE; algorithm++) {
		for (uint8_t aware = 0; aware < 2; aware++) {
			cfg.algorithm = algorithm;
			cfg.color_aware = aware;
			compare(cfg, names[algorithm]);
		}
	}
	cfg = (struct steer_meter){
		.algorithm = STEER_METER_RFC2697, .packets = 1, .cir = 800, .cbs = 10, .ebs = 20};
	compare(cfg, "packets");
	cfg = (struct steer_meter){
		.algorithm = STEER_METER_RFC2698, .cir = 1, .cbs = 2000, .eir = 50000000000, .ebs = 1 << 30};
	compare(cfg, "extremes");
	cfg.cbs = UINT64_MAX;
	ok(meter_init(m, &cfg, HZ, 0) < 0, "impossible burst");
	cfg.algorithm = 9;
	ok(meter_init(m, &cfg, HZ, 0) < 0, "unknown algorithm");
	free(m);
	test_budget_exact();
	test_threads();
	return tap_done();
}
