// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// A worker's thread: turns, naps between them when there is nothing to do, and what control does to a worker that runs.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <rte_ring.h>

#include "fastpath.h"
#include "rcu.h"

enum {
	IDLE_TURNS = 16,          // empty turns before a look at the clock
	IDLE_SPINS = 256,         // empty turns before pausing between them
	IDLE_PER_SECOND = 10000,  // so small a part of a second without packets before sleeping
	SLEEP_NS_MAX = 50000000,  // so that the heartbeat grows
	SLEEP_NS_POLLED = 100000, // with a port that cannot wake the worker
};

// --- Sleep --------------------------------------------------------------------------------------------------------

static uint32_t serial_of(const struct fp_rx_list *rx)
{
	return rx ? rx->serial : 0;
}

// What the worker waits on, rebuilt when the rx list changed. Returns how long it may sleep.
static uint64_t watch(struct fp_worker *w, const struct fp_rx_list *rx, uint32_t *watched)
{
	uint64_t ns = SLEEP_NS_MAX;

	if (serial_of(rx) != *watched) {
		struct epoll_event event = {.events = EPOLLIN, .data.fd = w->doorbell};

		close(w->epoll);
		w->epoll = epoll_create1(EPOLL_CLOEXEC);
		epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->doorbell, &event);
		for (unsigned int i = 0; rx && i < rx->nr; i++) {
			event.data.fd = rx->rx[i].fd;
			if (rx->rx[i].fd >= 0)
				epoll_ctl(w->epoll, EPOLL_CTL_ADD, rx->rx[i].fd, &event);
		}
		*watched = serial_of(rx);
	}
	for (unsigned int i = 0; rx && i < rx->nr; i++)
		if (rx->rx[i].fd < 0 && !fp_read(&fp.ports[rx->rx[i].port].silent))
			ns = SLEEP_NS_POLLED;
	return ns;
}

static void nap(struct fp_worker *w, uint64_t ns)
{
	struct epoll_event events[8];
	struct timespec timeout = {.tv_sec = 0, .tv_nsec = (long)ns};
	int n = epoll_pwait2(w->epoll, events, 8, &timeout, NULL);

	if (n < 0 && errno == ENOSYS)
		n = epoll_wait(w->epoll, events, 8, (int)((ns + 999999) / 1000000));
	for (int i = 0; i < n; i++) {
		eventfd_t value;

		if (events[i].data.fd == w->doorbell)
			eventfd_read(w->doorbell, &value);
	}
}

// Announces the sleep, looks once more, then sleeps offline.
static void worker_sleep(struct fp_worker *w, uint32_t *watched)
{
	uint64_t ns = watch(w, fp_read_acquire(&w->rx), watched);

	fp_write(&w->sleeping, 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!worker_poll(w) && !fp_read(&w->quit) && serial_of(fp_read_acquire(&w->rx)) == *watched) {
		rcu_offline(w->index);
		nap(w, ns);
		rcu_online(w->index);
	}
	fp_write(&w->sleeping, 0);
}

int worker_main(void *arg)
{
	struct fp_worker *w = arg;
	uint32_t watched = UINT32_MAX;
	const uint64_t patience = rte_get_tsc_hz() / IDLE_PER_SECOND;
	unsigned int empty = 0;
	uint64_t since = 0;

	rcu_online(w->index);
	while (!fp_read_acquire(&w->quit)) {
		if (worker_poll(w)) {
			empty = 0;
			continue;
		}
		// By the clock, not by turns: one costs a system call for each tap, and these follow every packet.
		if (!empty)
			since = rte_rdtsc();
		if (w->idle == FP_IDLE_SPIN || ++empty < IDLE_TURNS)
			continue;
		if (rte_rdtsc() - since >= patience)
			worker_sleep(w, &watched);
		else if (empty > IDLE_SPINS)
			rte_pause();
	}
	rcu_offline(w->index);
	return 0;
}

// --- Control side -------------------------------------------------------------------------------------------------

int worker_set_rx(struct fp_worker *w, const struct fp_rx *rx, uint16_t nr)
{
	static uint32_t serial;
	struct fp_rx_list *list, *old = w->rx;

	if (nr > FP_RX_MAX)
		return -E2BIG;
	list = malloc(sizeof(*list) + nr * sizeof(list->rx[0]));
	if (!list)
		return -ENOMEM;
	list->serial = ++serial;
	list->nr = nr;
	memcpy(list->rx, rx, nr * sizeof(list->rx[0]));
	fp_publish(&w->rx, list);
	if (old)
		rcu_defer(free, old);
	worker_wake(w);
	return 0;
}

void worker_wake(struct fp_worker *w)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (fp_read(&w->sleeping))
		eventfd_write(w->doorbell, 1);
}

int worker_feed(struct fp_worker *w, struct rte_mbuf *m)
{
	if (rte_ring_sp_enqueue(w->from_control, m)) {
		rte_pktmbuf_free(m);
		return -ENOSPC;
	}
	worker_wake(w);
	return 0;
}
