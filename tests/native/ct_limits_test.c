// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Full tables, limits, and the structures below them.

#include "ct_bed.h"
#include "ct_table.h"

enum { MANY = 1000, OFFERED = 1200 };

static struct steer_flow_record told[4096];

static bool open_nr(unsigned int i)
{
	return lab_udp(CLIENT, SERVER, 1000 + i, 53);
}

static void build(struct steer_ct_cfg *cfg)
{
	lab_build(cfg);
	lab_allow(53);
	lab_allow(80);
}

static void end(void)
{
	lab_tear_down();
	while (ct_take_records(told, 4096))
		;
	memset(&fp.workers[0].stats->ct, 0, sizeof(fp.workers[0].stats->ct));
}

static void test_refuse(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	const struct stats_ct *s = lab_stats();
	unsigned int passed = 0, still = 0;

	cfg.capacity = MANY;
	build(&cfg);
	for (unsigned int i = 0; i < OFFERED; i++)
		passed += open_nr(i);
	ok(passed == MANY && s->opened == MANY && s->live == MANY, "as many as fit (%u)", passed);
	ok(s->refused_full == OFFERED - MANY && lab_dropped(CLIENT, STEER_DROP_CT_FULL) == OFFERED - MANY,
		"the rest is refused by name");
	for (unsigned int i = 0; i < MANY; i++)
		still += open_nr(i);
	ok(still == MANY, "all old ones pass");
	lab_wait(31000);
	for (unsigned int i = 0; i < 10; i++)
		lab_wait(20);
	ok(!s->live && lab_balance(), "all end");
	ok(open_nr(5000), "then there is room");
	end();
}

static void test_evict(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	const struct stats_ct *s = lab_stats();
	unsigned int passed = 0;

	cfg.capacity = MANY;
	cfg.full = STEER_CT_FULL_EVICT;
	build(&cfg);
	for (unsigned int i = 0; i < MANY - 10; i++)
		open_nr(i);
	for (unsigned int i = 0; i < 10; i++)
		lab_tcp((struct tcp){CLIENT, SERVER, 1000 + i, 80, SYN, 1, 0, 0, 0, 0});
	ok(s->half_open == 10 && s->live == MANY, "full, ten of them half-open");
	for (unsigned int i = 0; i < 10; i++)
		passed += open_nr(2000 + i);
	ok(passed == 10 && !s->half_open && s->evicted == 10, "half-open ones go first");
	lab_wait(5000);
	for (unsigned int i = 100; i < MANY - 10; i++)
		open_nr(i);
	for (unsigned int i = passed = 0; i < 50; i++)
		passed += open_nr(3000 + i);
	ok(passed == 50 && s->evicted == 60 && s->live == MANY, "then idle ones");
	for (unsigned int i = 100, alive = 0; i < MANY - 10; i++) {
		uint64_t opened = s->opened;

		open_nr(i);
		alive += s->opened == opened;
		if (i == MANY - 11)
			ok(alive > 800, "not the busy ones (%u)", alive);
	}
	ok(lab_balance(), "balance");
	end();
}

static void test_untracked(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	const struct stats_ct *s = lab_stats();

	cfg.capacity = 2;
	cfg.full = STEER_CT_FULL_UNTRACKED;
	build(&cfg);
	ok(open_nr(1) && open_nr(2) && open_nr(3) && open_nr(3), "all pass");
	ok(s->live == 2 && s->untracked == 2, "two packets without a connection");
	ok(counter_sum(lab.counter[53].counter).packets == 4, "each by the policy");
	ok(!lab_udp(SERVER, CLIENT, 53, 1003), "but replies have nothing to go by");
	end();
}

static void test_half_open(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	const struct stats_ct *s = lab_stats();
	unsigned int passed = 0;

	cfg.max_half_open = 20;
	cfg.id_max_half_open = 10;
	build(&cfg);
	for (unsigned int i = 0; i < 15; i++)
		passed += lab_tcp((struct tcp){CLIENT, SERVER, 1000 + i, 80, SYN, 1, 0, 0, 0, 0});
	ok(passed == 10 && lab_dropped(CLIENT, STEER_DROP_CT_ID_LIMIT) == 5, "ten of one identity");
	for (unsigned int i = 0; i < 15; i++)
		lab_tcp((struct tcp){OTHER, SERVER, 1000 + i, 80, SYN, 1, 0, 0, 0, 0});
	ok(s->half_open == 20 && s->refused_limit == 10, "and ten of another");
	ok(!lab_tcp((struct tcp){SERVER, CLIENT, 1, 80, SYN, 1, 0, 0, 0, 0}) &&
			lab_dropped(SERVER, STEER_DROP_CT_LIMIT) == 1,
		"none above twenty in all");
	ok(open_nr(1), "UDP is not concerned");
	lab_tcp((struct tcp){SERVER, CLIENT, 80, 1000, SYN | ACK, 1, 2, 0, 0, 0});
	lab_tcp((struct tcp){CLIENT, SERVER, 1000, 80, ACK, 2, 2, 0, 0, 0});
	ok(s->half_open == 19, "established ones count no more");
	ok(lab_tcp((struct tcp){CLIENT, SERVER, 2000, 80, SYN, 1, 0, 0, 0, 0}), "so another one fits");
	lab_wait(31000);
	ok(!s->half_open && s->live == 1, "half-open ones end");
	ok(lab_tcp((struct tcp){CLIENT, SERVER, 2001, 80, SYN, 1, 0, 0, 0, 0}), "and make room");
	end();
}

static void test_rates(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	const struct stats_ct *s = lab_stats();
	unsigned int passed = 0;

	cfg.id_max_new_per_second = 100;
	cfg.id_max_connections = 150;
	cfg.max_new_per_second = 180;
	build(&cfg);
	lab_wait(1000 - ct_clock_skew_ms % 1000);
	for (unsigned int i = 0; i < 200; i++)
		passed += open_nr(i);
	// A second may pass while this runs, once.
	ok(passed == 100 || passed == 150, "a hundred a second (%u)", passed);
	lab_wait(1000);
	for (unsigned int i = 0; i < 200; i++)
		passed += open_nr(1000 + i);
	ok(passed == 150 && s->live == 150, "150 in all of one identity (%u)", passed);
	lab_wait(31000);
	ok(!s->live && open_nr(1), "they end");
	end();
}

// Denials have their own places: they never push a connection out.
static void test_denials(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	const struct stats_ct *s = lab_stats();
	unsigned int still = 0, deny = 0, updates = 0, n;

	cfg.capacity = 100;
	cfg.denied_capacity = 50;
	cfg.full = STEER_CT_FULL_EVICT;
	build(&cfg);
	for (unsigned int i = 0; i < 100; i++)
		open_nr(i);
	for (unsigned int i = 0; i < 500; i++)
		lab_udp(CLIENT, SERVER, 1000 + i, 99);
	ok(s->denied == 50 && s->denied_packets == 500 && s->live == 100 && !s->evicted, "50 are remembered");
	for (unsigned int i = 0; i < 100; i++)
		still += open_nr(i);
	ok(still == 100 && s->opened == 100, "all connections are there");
	lab_udp(CLIENT, SERVER, 1499, 99);
	lab_udp(CLIENT, SERVER, 1499, 99);
	lab_wait(11000);
	while ((n = ct_take_records(told, 4096)))
		for (unsigned int i = 0; i < n; i++) {
			deny += told[i].event == STEER_FLOW_DENY;
			if (told[i].event == STEER_FLOW_DENY_UPDATE) {
				updates++;
				ok(told[i].src_port == 1499 && told[i].frames == 2 && told[i].packets[0] == 3,
					"further ones are counted");
			}
		}
	ok(deny == 500 && updates == 1, "each was told at once");
	lab_wait(61000);
	ok(!s->denied, "they are forgotten");
	end();
}

// A denial that is asked about stays while there are free places around it.
static void test_denial_stays(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	const struct stats_ct *s = lab_stats();

	cfg.denied_capacity = 4;
	build(&cfg);
	for (unsigned int i = 0; i < 4; i++)
		lab_udp(CLIENT, SERVER, 1000 + i, 99);
	ok(s->denied == 4, "all places are taken");
	lab_wait(50000);
	lab_udp(CLIENT, SERVER, 1000, 99);
	for (unsigned int i = 0; i < 20; i++)
		lab_wait(1000);
	ok(s->denied == 1, "who asks again stays");
	while (ct_take_records(told, 4096))
		;
	lab_udp(CLIENT, SERVER, 2000, 99);
	ok(s->denied == 2, "the next one takes another place");
	lab_udp(CLIENT, SERVER, 1000, 99);
	ok(ct_take_records(told, 4096) == 1 && told[0].src_port == 2000, "only that one is told as new");
	end();
}

// Who is refused by a limit pushes nobody out.
static void test_refused_at_full(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	const struct stats_ct *s = lab_stats();
	uint64_t before = lab_dropped(CLIENT, STEER_DROP_CT_ID_LIMIT);

	cfg.capacity = 10;
	cfg.full = STEER_CT_FULL_EVICT;
	cfg.id_max_connections = 10;
	build(&cfg);
	for (unsigned int i = 0; i < 10; i++)
		open_nr(i);
	ok(s->live == 10 && !s->evicted, "full");
	ok(!open_nr(100) && s->refused_limit == 1 &&
			lab_dropped(CLIENT, STEER_DROP_CT_ID_LIMIT) == before + 1,
		"one identity has enough");
	ok(!s->evicted && s->live == 10, "nobody had to go");
	ok(lab_udp(OTHER, SERVER, 1, 53) && s->evicted == 1 && s->live == 10, "another one gets a place");
	end();
}

static void test_no_records(void)
{
	struct steer_ct_cfg cfg = lab_cfg();

	cfg.record_interval_ms = 0;
	cfg.denied_capacity = 0;
	build(&cfg);
	ok(open_nr(1) && !lab_udp(CLIENT, SERVER, 1, 99) && !lab_udp(CLIENT, SERVER, 1, 99), "as usual");
	lab_wait(40000);
	ok(!ct_take_records(told, 10) && !lab_stats()->records && !lab_stats()->denied, "but not told");
	end();
}

// --- The table ------------------------------------------------------------------------------------------------------

static uint64_t state = 1;

static uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static struct ct_key key_of(uint64_t n)
{
	return (struct ct_key){{(uint64_t)4 << CT_VERSION_SHIFT, n, n * 0x9e3779b97f4a7c15}};
}

static void test_table(void)
{
	enum { ROOM = 5000, KEYS = 20000 };
	static uint32_t number[KEYS];
	struct ct_table t;
	uint32_t live = 0, wrong = 0, victim;

	require(!ct_table_init(&t, ROOM, 10, 0), "a table");
	for (unsigned int i = 0; i < 200000; i++) {
		uint64_t n = any() % KEYS;
		struct ct_key key = key_of(n);
		uint64_t hash = ct_hash(&t, &key);

		wrong += ct_table_find(&t, &key, hash, 0) != number[n];
		if (number[n]) {
			ct_table_remove(&t, number[n]);
			number[n] = 0;
			live--;
		} else {
			number[n] = ct_table_add(&t, &key, hash, &victim);
			wrong += !number[n] != (live == ROOM);
			live += !!number[n];
		}
		wrong += t.live != live;
	}
	ok(!wrong, "connections come and go (%u wrong)", wrong);
	for (unsigned int i = 0; i < KEYS; i++)
		if (number[i])
			ct_table_remove(&t, number[i]);
	ok(!t.live && t.spare_fresh >= 1, "an empty table");
	for (uint32_t n = t.spare_free, free = 0; n || free < t.spare_fresh; n = t.spare[n - 1].next)
		if (!n || ++free == t.spare_fresh) {
			ok(n, "all spare buckets came back");
			break;
		}
	ct_table_fini(&t);
}

// Addresses that count up, with other secrets each time: every place can be taken.
static void test_spread(void)
{
	enum { TABLES = 50, ROOM = 4096 };
	unsigned int missing = 0;

	for (unsigned int n = 0; n < TABLES; n++) {
		struct ct_table t;
		uint32_t victim;

		require(!ct_table_init(&t, ROOM, 0, 0), "a table");
		for (uint64_t i = 0; i < ROOM; i++) {
			unsigned int shift = n % 3 * 16 + 8;
			struct ct_key key = {
				{(uint64_t)4 << CT_VERSION_SHIFT, 53 << 16, 0x0100000a | i << shift}};

			missing += !ct_table_add(&t, &key, ct_hash(&t, &key), &victim);
		}
		ct_table_fini(&t);
	}
	ok(!missing, "all of them have a place (%u have none)", missing);
}

// The wheel against a plain list of dates.
static void test_wheel(void)
{
	enum { TIMERS = 3000 };
	static uint32_t due[TIMERS + 1];
	struct ct_table t;
	uint32_t tick = 0xffff0000, fired = 0, wrong = 0, victim;

	require(!ct_table_init(&t, TIMERS, 0, tick), "a wheel");
	for (uint32_t i = 0; i < TIMERS; i++) {
		struct ct_key key = key_of(i);
		uint32_t n = ct_table_add(&t, &key, ct_hash(&t, &key), &victim);
		static const uint32_t ranges[] = {10, 300, 70000, 20000000};

		due[n] = tick + 1 + (uint32_t)(any() % ranges[i % 4]);
		ct_wheel_arm(&t, n, due[n]);
	}
	for (uint32_t i = 1; i <= TIMERS; i += 7) {
		ct_wheel_disarm(&t, i);
		due[i] = 0;
		fired++;
	}
	for (uint64_t at = tick; fired < TIMERS && at < (uint64_t)tick + 20000001; at += 1 + any() % 3000) {
		unsigned int budget = UINT32_MAX;
		uint32_t n, now = (uint32_t)at;

		while (t.wheel.tick != now)
			while ((n = ct_wheel_next(&t, now, &budget))) {
				wrong += due[n] != t.wheel.tick;
				due[n] = 0;
				fired++;
			}
	}
	ok(fired == TIMERS && !wrong, "each timer at its tick (%u, %u wrong)", fired, wrong);
	ct_table_fini(&t);
}

// Who is refused all the time leaves others their answers.
static void test_refusals(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	unsigned int answers = 0;
	uint8_t frame[256];

	build(&cfg);
	lab_service(54, (struct steer_fwd){.type = STEER_FWD_REJECT}, 1);
	for (unsigned int i = 0; i < 3000; i++) {
		bed_send(0, frame, frame_udp(frame, CLIENT, SERVER, 1000 + i, 54, 20));
		lab_poll();
		answers += lab_out(0);
	}
	ok(answers >= 256, "a flood is answered, in part at least (%u)", answers);
	answers = 0;
	for (unsigned int i = 0; i < 200; i++) {
		bed_send(2, frame, frame_udp(frame, OTHER, SERVER, 1000 + i, 54, 20));
		lab_poll();
		answers += lab_out(2);
	}
	ok(answers == 200, "who comes by another port gets his answers (%u)", answers);
	end();
}

int main(void)
{
	bed_start(3);
	test_table();
	test_spread();
	test_wheel();
	test_refuse();
	test_evict();
	test_untracked();
	test_half_open();
	test_rates();
	test_denials();
	test_denial_stays();
	test_refused_at_full();
	test_no_records();
	test_refusals();
	bed_conserves(0);
	bed_stop();
	return tap_done();
}
