// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What threads share without locks, each in its smallest form and under as much concurrency as there is: the ring that one
// sleeps on, generations with what they stand for, deferred frees, counters. Every loop also says what must hold; under
// `./ringfield test --tsan` the order of plain memory beside the atomics is checked as well.

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "generation.h"
#include "rcu.h"
#include "ring.h"
#include "tap.h"
#include "walk.h"

enum { WORKERS = 2, CHANGES = 20000, RECORDS = 50000, COUNTS = 300000, SIZE = 1024, SLOT = 7 };

static unsigned int wrong[WORKERS], turns[WORKERS];
static bool over;

static void run_threads(void *(*body)(void *), unsigned int n, pthread_t *threads)
{
	static unsigned int numbers[] = {0, 1};

	fp_write(&over, false);
	for (unsigned int i = 0; i < n; i++)
		require(!pthread_create(&threads[i], NULL, body, &numbers[i]), "a thread runs");
}

static void join(const pthread_t *threads, unsigned int n)
{
	fp_write(&over, true);
	for (unsigned int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

// --- A ring whose consumer sleeps -----------------------------------------------------------------------------------

static _Alignas(64) uint8_t bytes[SIZE];
static _Alignas(64) struct steer_ring shared;
static int doorbell;

static void *produce(void *arg)
{
	struct ring_producer ring;

	ring_producer_init(&ring, &shared, bytes, SIZE);
	for (uint32_t i = 0; i < RECORDS; i++) {
		struct steer_event event = {
			.rec = {.length = sizeof(event), .kind = STEER_REC_EVENT}, .value = i};
		void *place;

		while (ring_reserve(&ring, sizeof(event), &place))
			sched_yield();
		memcpy(place, &event, sizeof(event));
		ring_commit(&ring, sizeof(event));
		if (i % 3 == 0 && ring_publish(&ring))
			eventfd_write(doorbell, 1);
		// Now and then the consumer catches up, and falls asleep.
		if (i % 64 == 0)
			sched_yield();
	}
	if (ring_publish(&ring))
		eventfd_write(doorbell, 1);
	return arg;
}

static void test_ring(void)
{
	struct pollfd waiting = {.events = POLLIN};
	unsigned int unwoken = 0, disorder = 0;
	struct ring_consumer ring;
	uint32_t next = 0;
	pthread_t thread;

	waiting.fd = doorbell = eventfd(0, EFD_NONBLOCK);
	ring_consumer_init(&ring, &shared, bytes, SIZE);
	run_threads(produce, 1, &thread);
	while (next < RECORDS && !unwoken && !disorder) {
		struct steer_record header;
		struct steer_event event;
		const void *place;
		eventfd_t value;

		if (ring_front(&ring, &header, &place) == 1) {
			memcpy(&event, place, sizeof(event));
			disorder += event.value != next++;
			ring_pop(&ring, &header);
			ring_release(&ring);
		} else if (ring_sleep(&ring)) {
			unwoken += poll(&waiting, 1, 20000) != 1;
			eventfd_read(doorbell, &value);
			ring_awake(&ring);
		}
	}
	ok(!disorder, "%d records come in order", RECORDS);
	require(!unwoken, "nobody sleeps while something is there");
	join(&thread, 1);
	close(doorbell);
}

// --- Generations, and what is freed later ---------------------------------------------------------------------------

struct thing {
	uint64_t number; // of the change that made it
	bool freed;
};
static struct thing *table;
static uint64_t made[CHANGES + 1]; // by number; a generation is all that tells of it

static void *walk(void *arg)
{
	unsigned int worker = *(unsigned int *)arg;

	rcu_online(worker);
	while (!fp_read(&over)) {
		uint64_t revision = fp_read_acquire(&fp.revision), sum = 0, again = 0;
		const struct thing *thing;
		uint64_t recorded;

		wrong[worker] += !generation_read(SLOT, revision, &sum);
		wrong[worker] += made[sum - revision] != ~(sum - revision);
		thing = fp_read_acquire(&table);
		recorded = thing->number;
		wrong[worker] += thing->freed;
		// What was found is no older than what the generation says.
		wrong[worker] += recorded + revision < sum;
		// And so it may be repeated for as long as that one stays.
		generation_read(SLOT, revision, &again);
		wrong[worker] += again < sum;
		fp_write(&turns[worker], turns[worker] + 1);
		if (turns[worker] % 8 == 0)
			rcu_quiescent(worker);
		if (turns[worker] % 512 == 0) {
			rcu_offline(worker);
			sched_yield();
			rcu_online(worker);
		}
	}
	rcu_offline(worker);
	return arg;
}

static struct thing *make(uint64_t number)
{
	struct thing *thing = calloc(1, sizeof(*thing));

	if (!thing)
		abort();
	thing->number = number;
	return thing;
}

static void let_go(void *arg)
{
	struct thing *thing = arg;

	thing->freed = true;
	free(thing);
}

static void test_generations(void)
{
	struct pipe *pipe = calloc(1, sizeof(*pipe));
	pthread_t threads[WORKERS];

	require(pipe && !rcu_init(WORKERS), "RCU");
	pipe->id = SLOT;
	fp.revision = 1;
	table = make(0);
	made[0] = ~0ull;
	generation_commit(pipe, fp.revision);
	run_threads(walk, WORKERS, threads);
	for (uint64_t i = 1; i <= CHANGES; i++) {
		struct thing *old = table;

		made[i] = ~i;
		fp_publish(&table, make(i));
		generation_move(pipe);
		rcu_defer(let_go, old);
		rcu_poll();
		if (i % 256 == 0)
			sched_yield();
	}
	// On a busy machine a thread may not have had its first turn yet.
	for (unsigned int i = 0; i < WORKERS; i++)
		while (!fp_read(&turns[i]))
			sched_yield();
	join(threads, WORKERS);
	for (unsigned int i = 0; i < WORKERS; i++)
		ok(!wrong[i] && turns[i], "worker %u: %u walks, %u wrong", i, turns[i], wrong[i]);
	rcu_poll();
	ok(!rcu_poll(), "everything was freed");
	rcu_fini();
	free(table);
	free(pipe);
}

// --- Counters -------------------------------------------------------------------------------------------------------

static struct walker *walkers[WORKERS];

static void *count(void *arg)
{
	unsigned int worker = *(unsigned int *)arg;
	struct packet packet = {.frame_len = 60};

	for (unsigned int i = 0; i < COUNTS; i++) {
		if (i % 2)
			walker_count(walkers[worker], &packet, SLOT);
		else
			walker_count_all(walkers[worker], SLOT, 3, 180);
	}
	return arg;
}

static void test_counters(void)
{
	struct stats_counter last = {0}, all;
	pthread_t threads[WORKERS];
	unsigned int fell = 0;

	fp.nr_workers = WORKERS;
	fp.nr_counters = SLOT + 1;
	for (unsigned int i = 0; i < WORKERS; i++) {
		walkers[i] = calloc(1, sizeof(*walkers[i]));
		fp.workers[i].counters = calloc(SLOT + 1, sizeof(struct stats_counter));
		require(walkers[i] && fp.workers[i].counters, "counters");
		walkers[i]->counters = fp.workers[i].counters;
	}
	run_threads(count, WORKERS, threads);
	for (unsigned int i = 0; i < 20000; i++) {
		all = counter_sum(SLOT);
		fell += all.packets < last.packets || all.bytes < last.bytes;
		last = all;
	}
	join(threads, WORKERS);
	all = counter_sum(SLOT);
	ok(!fell, "a sum never falls");
	ok(all.packets == 2ull * WORKERS * COUNTS && all.bytes == 60 * all.packets,
		"it is exact when all have stored (%lu packets)", (unsigned long)all.packets);
	for (unsigned int i = 0; i < WORKERS; i++) {
		free(walkers[i]);
		free(fp.workers[i].counters);
	}
}

int main(void)
{
	test_ring();
	test_generations();
	test_counters();
	return tap_done();
}
