// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Deferred work is gathered into batches. One token is taken per batch, when the batch before it has passed or at the next
// poll, so that a thousand removals cost one grace period to look for.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_rcu_qsbr.h>

#include "rcu.h"
#include "table.h"

struct deferred {
	void (*fn)(void *, uintptr_t);
	void *arg;
	uintptr_t n;
};

struct batch {
	struct deferred *items;
	size_t nr, room;
	uint64_t token;
};

static struct rte_rcu_qsbr *qsbr;
static unsigned int nr_threads;
static struct batch waiting; // token taken
static struct batch open;

static void plain(void *arg, uintptr_t fn)
{
	((void (*)(void *))fn)(arg);
}

int rcu_init(unsigned int nr_workers)
{
	size_t size = rte_rcu_qsbr_get_memsize(nr_workers ? nr_workers : 1);

	qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(size, RTE_CACHE_LINE_SIZE));
	if (!qsbr)
		return -ENOMEM;
	nr_threads = nr_workers;
	if (rte_rcu_qsbr_init(qsbr, nr_workers ? nr_workers : 1))
		return -EINVAL;
	for (unsigned int i = 0; i < nr_workers; i++)
		if (rte_rcu_qsbr_thread_register(qsbr, i))
			return -EINVAL;
	return 0;
}

static void run(struct batch *b)
{
	// Callbacks may defer more: that goes into the open batch, never into this one.
	for (size_t i = 0; i < b->nr; i++)
		b->items[i].fn(b->items[i].arg, b->items[i].n);
	b->nr = 0;
}

void rcu_fini(void)
{
	while (waiting.nr || open.nr) {
		struct batch swap;

		run(&waiting);
		swap = waiting;
		waiting = open;
		open = swap;
	}
	free(waiting.items);
	free(open.items);
	waiting = open = (struct batch){0};
	free(qsbr);
	qsbr = NULL;
}

void rcu_defer_pair(void (*fn)(void *, uintptr_t), void *arg, uintptr_t n)
{
	if (open.nr == open.room) {
		open.room = open.room ? open.room * 2 : 1024;
		open.items = realloc(open.items, open.room * sizeof(open.items[0]));
		if (!open.items) {
			fprintf(stderr, "fastpath: no memory for deferred frees\n");
			abort();
		}
	}
	open.items[open.nr++] = (struct deferred){fn, arg, n};
}

void rcu_defer(void (*fn)(void *), void *arg)
{
	rcu_defer_pair(plain, arg, (uintptr_t)fn);
}

unsigned int rcu_poll(void)
{
	for (unsigned int turn = 0; turn < 2; turn++) {
		if (waiting.nr) {
			if (rte_rcu_qsbr_check(qsbr, waiting.token, false) != 1)
				break;
			run(&waiting);
		}
		if (open.nr) {
			struct batch swap = waiting;

			waiting = open;
			open = swap;
			waiting.token = rte_rcu_qsbr_start(qsbr);
		}
	}
	return (unsigned int)(waiting.nr + open.nr);
}

void rcu_online(unsigned int worker)
{
	rte_rcu_qsbr_thread_online(qsbr, worker);
}

void rcu_offline(unsigned int worker)
{
	rte_rcu_qsbr_thread_offline(qsbr, worker);
}

void rcu_quiescent(unsigned int worker)
{
	rte_rcu_qsbr_quiescent(qsbr, worker);
}
