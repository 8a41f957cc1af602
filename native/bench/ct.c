// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// bench-ct: what connection tracking costs the worker, in cycles per packet and without ports: parse, root pipe, CT pipe,
// forward. 32 frames are rewritten for each burst, so that the connections are the only thing that grows. For each number
// of connections: opening them all (policy: one pipe of 1,000 entries), then packets of them in an order that no cache
// foresees. The share of rewriting and parsing is measured by itself and told.
//
// Prints JSON. Links the fast path's objects; nothing here runs in a fast path.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include "ct.h"
#include "pipe.h"
#include "rcu.h"

enum { RULES = 1000, FRAME = 60, SESSION = 1, ROUNDS = 3, COUNTERS = 4096 };

struct spec {
	struct steer_pipe_spec head;
	union {
		struct steer_match_field match;
		struct steer_ct_cfg ct;
	};
};

static struct space *space;
static struct rte_mbuf *burst[FP_BURST];
static uint32_t next_entry;
static uint64_t now_ns = 1;

static void fail(const char *what)
{
	fprintf(stderr, "bench-ct: %s\n", what);
	exit(1);
}

static void *zeroed(size_t bytes)
{
	void *memory = calloc(1, bytes);

	if (!memory)
		fail("no memory");
	return memory;
}

static uint32_t make(
	struct spec *s, const char *name, uint8_t type, struct steer_fwd fwd, struct steer_fwd miss)
{
	struct why why = {.text = ""};
	uint32_t id;

	snprintf(s->head.name, sizeof(s->head.name), "%s", name);
	s->head.type = type;
	s->head.fwd = fwd;
	s->head.fwd_miss = miss;
	s->head.bytes = sizeof(s->head);
	if (s->head.nr_match)
		s->head.bytes += sizeof(s->match);
	if (s->head.data_bytes)
		s->head.bytes += sizeof(s->ct);
	if (pipe_create(space, &s->head, s->head.bytes, &id, &why))
		fail(why.text);
	return id;
}

static uint32_t basic(const char *name, uint16_t field, uint8_t bytes, uint32_t entries, uint32_t flags,
	struct steer_fwd fwd)
{
	struct spec s = {.head = {.nr_entries = entries, .flags = flags}};

	if (bytes) {
		s.head.nr_match = 1;
		s.head.key_bytes = bytes;
		s.match.field = field;
		s.match.kind = STEER_MATCH_CHANGEABLE;
		memset(s.match.mask, 0xff, bytes);
	}
	return make(&s, name, STEER_PIPE_BASIC, fwd, (struct steer_fwd){.type = STEER_FWD_DROP});
}

static void add(uint32_t pipe, const void *key, uint16_t bytes, uint64_t tag)
{
	struct {
		struct steer_entry_add add;
		uint8_t key[8];
	} full = {.add = {.pipe = pipe, .entry = next_entry++, .key_bytes = bytes, .tag = tag}};
	struct entry_result result;

	if (bytes)
		memcpy(full.key, key, bytes);
	if (entry_add(space, &full.add, sizeof(full.add) + (bytes ? 8 : 0), &result))
		fail(result.why.text);
}

static struct steer_fwd to(uint32_t pipe)
{
	return (struct steer_fwd){.type = STEER_FWD_PIPE, .pipe = pipe};
}

static uint32_t pipes[4];

static void build(uint32_t capacity)
{
	struct spec ct = {.head = {.nr_entries = 1, .data_bytes = sizeof(struct steer_ct_cfg)}};

	ct.ct = (struct steer_ct_cfg){.flags = STEER_CT_AUTONOMOUS,
		.capacity = capacity,
		.denied_capacity = 1024,
		.zone_u32 = STEER_CT_META_NONE,
		.src_u32 = STEER_CT_META_NONE,
		.dst_u32 = STEER_CT_META_NONE,
		.router_u32 = STEER_CT_META_NONE,
		.timeout_ms[STEER_CT_TIMER_UDP] = 3600000,
		.record_interval_ms = 10000};
	pipes[0] = basic("forward", STEER_F_OUTER_IP4_DST, 4, 16, 0,
		(struct steer_fwd){.type = STEER_FWD_PORT, .port = 0});
	add(pipes[0], (uint8_t[]){10, 255, 0, 1}, 4, 0);
	pipes[1] = basic("rules", STEER_F_OUTER_L4_DST_PORT, 2, RULES, 0, to(pipes[0]));
	for (unsigned int i = 0; i < RULES; i++)
		add(pipes[1], (uint8_t[]){(uint8_t)(i >> 8), (uint8_t)i}, 2, 1 + i);
	pipes[2] = make(&ct, "ct", STEER_PIPE_CT, to(pipes[0]), to(pipes[1]));
	pipes[3] = basic("root", 0, 0, 1, STEER_PIPE_ROOT, to(pipes[2]));
	add(pipes[3], NULL, 0, 0);
}

static void tear_down(void)
{
	for (unsigned int i = 4; i--;)
		if (pipe_destroy(space, pipes[i], NULL))
			fail("a pipe is not destroyed");
	for (unsigned int i = 0; i < 8; i++) {
		rcu_quiescent(0);
		rcu_poll();
	}
}

static void start(void)
{
	static char name[] = "bench-ct", huge[] = "--no-huge", m[] = "-m", mb[] = "64", pci[] = "--no-pci",
		    shconf[] = "--no-shconf", telemetry[] = "--no-telemetry";
	char *argv[] = {name, huge, m, mb, pci, shconf, telemetry};
	struct fp_worker *worker = &fp.workers[0];

	rte_log_set_global_level(RTE_LOG_ERR);
	if (rte_eal_init((int)RTE_DIM(argv), argv) < 0)
		fail("DPDK does not start");
	fp.tsc_hz = rte_get_tsc_hz();
	fp.stats = zeroed(sizeof(*fp.stats));
	fp.control_stats = zeroed(sizeof(*fp.control_stats));
	fp.control_doorbell = eventfd(0, EFD_NONBLOCK);
	worker->stats = zeroed(sizeof(*worker->stats));
	worker->counters = zeroed(COUNTERS * sizeof(*worker->counters));
	worker->nested = 1;
	fp.pool =
		rte_pktmbuf_pool_create("packets", 1023, 0, FP_NOTE_BYTES, FP_HEADROOM + 256, SOCKET_ID_ANY);
	if (!fp.pool || fp_init(1, COUNTERS) || worker_init(worker) || space_create(SESSION, &space))
		fail("the worker's memory cannot be had");
	fp.ports[0].present = fp.ports[0].started = fp.ports[0].up = 1;
	fp.ports[0].mtu = 1500;
	fp.ports[0].miss_counter = STEER_COUNTER_NONE;
}

static void make_frames(void)
{
	static const uint8_t frame[FRAME] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 0,
		0, 0, 64, 17, 0, 0, 10, 0, 0, 0, 10, 255, 0, 1, 0, 0, 0, 53, 0, 26};

	for (unsigned int i = 0; i < FP_BURST; i++) {
		burst[i] = rte_pktmbuf_alloc(fp.pool);
		if (!burst[i])
			fail("no buffer");
		memcpy(rte_pktmbuf_append(burst[i], FRAME), frame, FRAME);
	}
}

// Of this thread: what others do on a shared core does not count.
static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

enum part { PARSE, WALK };

// `count` packets of `flows` connections, a power of two; step odd. Returns cycles per packet.
static double packets(enum part part, uint32_t flows, uint32_t count, uint32_t step)
{
	struct walker *w = fp.workers[0].walker;
	struct packet *at[FP_BURST];
	uint64_t begin = cpu_ns(), ours = 0;
	uint32_t flow = 0;

	for (uint32_t done = 0; done < count; done += FP_BURST) {
		for (unsigned int i = 0; i < FP_BURST; i++) {
			uint8_t *h = rte_pktmbuf_mtod(burst[i], uint8_t *);

			flow = (flow + step) & (flows - 1);
			memcpy(h + 27, &flow, 3);
			h[34] = (uint8_t)(flow >> 24);
		}
		w->now_ns = now_ns++;
		walk_begin(w, rte_rdtsc());
		walk_enter_burst(w, at, burst, FP_BURST, 0);
		if (part == WALK)
			walk_run(w, at, FP_BURST);
		for (unsigned int i = 0; i < FP_BURST; i++) {
			if (part == WALK && at[i]->verdict != PACKET_SEND) {
				fprintf(stderr, "reason %u\n", at[i]->reason);
				fail("a packet is not sent");
			}
			if (at[i]->ct_opened)
				ct_delivered(w, at[i]);
			walker_put(w, at[i]);
		}
		if (part == WALK) {
			ct_tell(w);
			ct_worker_turn(w, true);
		}
		if (done & 2047)
			continue;
		// What control does elsewhere.
		ours += cpu_ns() - begin;
		while (ct_control_turn())
			;
		begin = cpu_ns();
	}
	return (double)(ours + cpu_ns() - begin) * (double)fp.tsc_hz / 1e9 / count;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(values[0]), by_value);
	return values[ROUNDS / 2];
}

static void measure(uint32_t flows, bool last)
{
	double opening[ROUNDS], established[ROUNDS], parse[ROUNDS];
	uint32_t count = flows < 1 << 18 ? 1 << 18 : flows;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		build(flows);
		opening[i] = packets(WALK, flows, flows, 1);
		parse[i] = packets(PARSE, flows, count, 0x9e3779b1);
		established[i] = packets(WALK, flows, count, 0x9e3779b1);
		tear_down();
	}
	printf("  {\"connections\": %u, \"cycles_established\": %.1f, \"cycles_parse\": %.1f, "
	       "\"cycles_new\": %.1f, "
	       "\"new_per_second\": %.0f}%s\n",
		flows, median(established), median(parse), median(opening),
		(double)fp.tsc_hz / median(opening), last ? "" : ",");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = {1 << 10, 1 << 15, 1 << 18, 1 << 20};

	start();
	make_frames();
	printf("{\"tsc_hz\": %llu, \"frame\": %u, \"rules\": %u, \"results\": "
	       "[\n",
		(unsigned long long)fp.tsc_hz, FRAME, RULES);
	for (unsigned int i = 0; i < RTE_DIM(sizes); i++)
		measure(sizes[i], i == RTE_DIM(sizes) - 1);
	printf("]}\n");
	return 0;
}
