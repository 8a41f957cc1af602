// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Two workers judge packets that go round in circles while tables change under them: nothing may be lost, no packet may see
// half a transaction, and everything must come back at the end.

#include <rte_launch.h>
#include <rte_lcore.h>

#include "fp_support.h"
#include "frames.h"

enum { WORKERS = 2, PACKETS = 48, DESTINATIONS = 16 };

static struct rte_ring *circle[WORKERS];

// Port 0 receives what ports 1 and 2 send, one ring per worker.
static void circles(void)
{
	for (unsigned int i = 0; i < WORKERS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "circle%u", i);
		circle[i] = rte_ring_create(name, 1024, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	}
	for (unsigned int i = 0; i < 3; i++) {
		struct fp_port *port = &fp.ports[i];
		char name[32];

		snprintf(name, sizeof(name), "loop%u", i);
		port->dev =
			(uint16_t)rte_eth_from_rings(name, circle, WORKERS, circle, WORKERS, SOCKET_ID_ANY);
		rte_eth_dev_configure(port->dev, WORKERS, WORKERS, &(struct rte_eth_conf){0});
		for (uint16_t q = 0; q < WORKERS; q++) {
			rte_eth_tx_queue_setup(port->dev, q, 64, SOCKET_ID_ANY, NULL);
			rte_eth_rx_queue_setup(port->dev, q, 64, SOCKET_ID_ANY, NULL, fp.pool);
		}
		require(rte_eth_dev_start(port->dev) == 0, "port %u", i);
		port->present = port->up = port->started = port->silent = 1;
		port->mtu = 1500;
		port->root_port = port->doca_port_id = (uint16_t)i;
		port->nr_tx = WORKERS;
	}
	for (unsigned int i = 0; i < WORKERS; i++) {
		struct fp_rx rx = {.port = 0, .dev = fp.ports[0].dev, .queue = (uint16_t)i, .fd = -1};

		worker_set_rx(&fp.workers[i], &rx, 1);
	}
}

static uint64_t rounds(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < WORKERS; i++)
		sum += fp_read(&fp.workers[i].stats->port[0].received.packets);
	return sum;
}

static uint64_t losses(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < WORKERS; i++)
		sum += fp_read(&fp.workers[i].stats->port[0].dropped.packets);
	return sum;
}

static void fill(void)
{
	uint8_t frame[128];

	for (unsigned int i = 0; i < PACKETS; i++) {
		uint32_t bytes =
			frame_udp(frame, 0x0a000001 + i, 0x08080800 + i % DESTINATIONS, 1000 + i, 80, 10);

		rte_ring_enqueue(circle[i % WORKERS], frame_to_mbuf(fp.pool, frame, bytes));
	}
}

// ThreadSanitizer does not see how DPDK waits for its threads.
static bool ended[WORKERS];

static int run(void *arg)
{
	struct fp_worker *w = arg;
	int status = worker_main(w);

	fp_publish(&ended[w->index], true);
	return status;
}

static void start(void)
{
	unsigned int lcore, i = 0;

	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		fp.workers[i].quit = ended[i] = false;
		rte_eal_remote_launch(run, &fp.workers[i++], lcore);
	}
}

static void stop(void)
{
	for (unsigned int i = 0; i < WORKERS; i++)
		fp_publish(&fp.workers[i].quit, 1);
	rte_eal_mp_wait_lcore();
	for (unsigned int i = 0; i < WORKERS; i++)
		require(fp_read_acquire(&ended[i]), "worker %u has ended", i);
}

// Waits (within reason) until the workers have taken so many packets more.
static void let_pass(uint64_t packets)
{
	uint64_t until = rounds() + packets, deadline = rte_rdtsc() + 20 * rte_get_tsc_hz();

	while (rounds() < until && rte_rdtsc() < deadline) {
		rcu_poll();
		acl_poll();
		rte_pause();
	}
}

static int add_keyed(uint32_t pipe, uint32_t id, uint32_t key, struct steer_fwd fwd)
{
	struct entry_result result;
	uint8_t bytes[4];
	struct work w;

	put32(bytes, key);
	w = work_new(pipe, bytes, 4, NULL, 0);
	w.head.entry = id;
	work_fwd(&w, fwd);
	return work_add(&w, &result);
}

static uint32_t keyed_pipe(const char *name, uint32_t entries, bool root)
{
	struct spec *s = spec_new(name, 0, STEER_PIPE_BASIC, entries);

	s->head.flags = root ? STEER_PIPE_ROOT : 0;
	s->head.fwd_miss = fwd_drop;
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	return spec_create(s, NULL);
}

// Sets A and B of entries over three pipes, disjoint by construction: A leads to port 1, B to port 2, half of each to a
// miss that drops.
static void test_transactions(void)
{
	uint32_t pipes[3], wrong = 0;
	struct steer_txn_reply reply;
	struct entry_result result;
	uint64_t lost;

	for (int i = 2; i >= 0; i--)
		pipes[i] = keyed_pipe("chain", 64, i == 0);
	for (unsigned int round = 0; round < 300; round++) {
		unsigned int set = round & 1;

		if (round)
			wrong += txn_begin(bed.space) != 0;
		for (unsigned int i = 0; i < 3; i++)
			for (unsigned int d = 0; d < DESTINATIONS; d++) {
				struct steer_fwd next =
					i < 2 ? fwd_pipe(pipes[i + 1]) : fwd_port((uint16_t)(1 + set));

				if (round)
					wrong += entry_remove(bed.space, (!set * 3 + i) * DESTINATIONS + d,
							 &result) != 0;
				wrong += add_keyed(pipes[i], (set * 3 + i) * DESTINATIONS + d, 0x08080800 + d,
						 next) != 0;
			}
		if (round)
			wrong += txn_commit(bed.space, &reply, NULL) != 0;
		else
			start();
		let_pass(200);
	}
	lost = losses();
	ok(!wrong && !lost, "300 transactions of 96 changes under load: %u calls failed, %lu packets lost",
		wrong, (unsigned long)lost);
	stop();
	for (int i = 0; i < 3; i++)
		ok(!pipe_destroy(bed.space, pipes[i], NULL), "destroyed");
}

// Each entry alone: a packet sees the old or the new one, never neither. And a neighbour's comings and goings, and resizes.
static void test_changes(void)
{
	uint32_t pipe = keyed_pipe("busy", 8192, true), wrong = 0, serial = 0;
	struct entry_result result;

	for (unsigned int d = 0; d < DESTINATIONS; d++)
		wrong += add_keyed(pipe, d, 0x08080800 + d, fwd_port(1)) != 0;
	start();
	for (unsigned int round = 0; round < 200; round++) {
		for (unsigned int d = 0; d < DESTINATIONS; d++) {
			struct work w = work_new(pipe, NULL, 0, NULL, 0);

			w.head.entry = d;
			work_fwd(&w, fwd_port((uint16_t)(1 + (round + d) % 2)));
			wrong += entry_update(bed.space, &w.head, sizeof(w.head) + w.used, &result) != 0;
		}
		for (unsigned int i = 0; i < 200; i++, serial++) {
			if (serial >= 4000)
				wrong += entry_remove(bed.space, 100 + serial % 4000, &result) != 0;
			wrong += add_keyed(pipe, 100 + serial % 4000, 0x0c000000 + serial, fwd_drop) != 0;
		}
		if (round % 50 == 49)
			wrong += pipe_resize(bed.space, pipe, 8192 + round * 16, NULL) != 0;
		rcu_poll();
	}
	let_pass(1000);
	ok(!wrong && !losses(),
		"3200 updates, 40000 neighbours, 4 resizes: %u calls failed, %lu packets lost", wrong,
		(unsigned long)losses());
	stop();
	ok(!pipe_destroy(bed.space, pipe, NULL), "destroyed");
}

// Rules that never match come and go in an ACL while the builder makes tries; the last rule lets all pass.
static void test_acl(void)
{
	struct spec *s = spec_new("rules", 0, STEER_PIPE_ACL, 4096);
	struct spec *f = spec_new("front", 0, STEER_PIPE_BASIC, 1);
	struct entry_result result;
	uint32_t acl, root, wrong = 0;
	uint8_t key[16] = {0};
	struct work w;

	s->head.fwd_miss = fwd_drop;
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_ACL, 0, UINT64_MAX);
	spec_match(s, STEER_F_OUTER_L4_DST_PORT, STEER_MATCH_ACL, 0, UINT64_MAX);
	acl = spec_create(s, NULL);
	f->head.flags = STEER_PIPE_ROOT;
	f->head.fwd = fwd_pipe(acl);
	root = spec_create(f, NULL);
	w = work_new(root, NULL, 0, NULL, 0);
	w.head.entry = 5000;
	wrong += work_add(&w, &result) != 0;
	put16(key + 10, 0xffff);
	w = work_new(acl, key, 12, NULL, 0);
	w.head.entry = 5001;
	w.head.priority = 1000;
	work_fwd(&w, fwd_port(1));
	wrong += work_add(&w, &result) != 0;
	start();
	for (unsigned int i = 0; i < 3000; i++) {
		unsigned int slot = i % 500;

		if (i >= 500)
			wrong += entry_remove(bed.space, slot, &result) != 0;
		put32(key, 0x08080800 + i % 32);
		put32(key + 4, i % 3 ? 0xffffffff : 0xffffff00);
		put16(key + 8, 1 + i % 79);
		put16(key + 10, 79);
		w = work_new(acl, key, 12, NULL, 0);
		w.head.entry = slot;
		w.head.priority = i % 100;
		work_fwd(&w, fwd_drop);
		wrong += work_add(&w, &result) != 0;
		if (i % 50 == 0)
			let_pass(50);
	}
	let_pass(1000);
	ok(!wrong && !losses(), "3000 rules under load: %u calls failed, %lu packets lost", wrong,
		(unsigned long)losses());
	stop();
	ok(!pipe_destroy(bed.space, root, NULL) && !pipe_destroy(bed.space, acl, NULL), "destroyed");
}

static void begin(void)
{
	const char *const argv[] = {"test", "--no-huge", "-m", "192", "--no-pci", "--no-telemetry",
		"--no-shconf", "--lcores", "0,(1,2)@(0-1)", "--log-level", "error"};
	char *copy[RTE_DIM(argv)];

	for (unsigned int i = 0; i < RTE_DIM(argv); i++)
		copy[i] = (char *)(uintptr_t)argv[i];
	require(rte_eal_init((int)RTE_DIM(argv), copy) >= 0, "EAL");
	fp.pool = rte_pktmbuf_pool_create(
		"pool", 1023, 0, sizeof(struct fp_note), 2048 + FP_HEADROOM, SOCKET_ID_ANY);
	fp.stats = calloc(1, sizeof(*fp.stats));
	for (uint16_t i = 0; i < WORKERS; i++) {
		fp.workers[i].index = i;
		fp.workers[i].idle = FP_IDLE_ADAPTIVE;
		fp.workers[i].stats = calloc(1, sizeof(struct stats_worker));
		fp.workers[i].counters = calloc(BED_COUNTERS, sizeof(struct stats_counter));
	}
	require(!fp_init(WORKERS, BED_COUNTERS), "fast path");
	for (unsigned int i = 0; i < WORKERS; i++)
		require(!worker_init(&fp.workers[i]), "worker");
	circles();
	require(!space_create(1, &bed.space), "space");
}

int main(void)
{
	unsigned int left = 0;
	void *m = NULL;

	begin();
	fill();
	test_transactions();
	test_changes();
	test_acl();
	for (unsigned int i = 0; i < WORKERS; i++)
		while (!rte_ring_dequeue(circle[i], &m)) {
			rte_pktmbuf_free(m);
			left++;
		}
	ok(left == PACKETS, "%u packets still go round", left);
	ok(rte_mempool_in_use_count(fp.pool) == 0, "no mbuf is missing");
	space_destroy(bed.space);
	for (unsigned int i = 0; i < 100 && rcu_poll(); i++)
		acl_poll();
	ok(rcu_poll() == 0 && counter_used() == 0, "everything was freed");
	for (unsigned int i = 0; i < WORKERS; i++)
		worker_fini(&fp.workers[i]);
	fp_fini();
	for (unsigned int i = 0; i < WORKERS; i++) {
		free(fp.workers[i].stats);
		free(fp.workers[i].counters);
	}
	free(fp.stats);
	rte_eal_cleanup();
	return tap_done();
}
