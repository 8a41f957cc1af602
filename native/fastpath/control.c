// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ageing.h"
#include "clock.h"
#include "control.h"
#include "ct.h"
#include "fastpath.h"
#include "notice.h"
#include "packet_ring.h"
#include "pipe.h"
#include "port.h"
#include "rcu.h"
#include "session.h"
#include "stats.h"

enum {
	EVENTS = 64,
	SPIN_TURNS = 64, // turns without work before sleeping; a turn costs well below a microsecond
};

static const uint64_t LINK_NS = 250 * 1000000ull; // looks at links that nobody tells about
static const uint64_t SLEEP_NS = 50 * 1000000ull; // heartbeat and buffer counts stay fresh
static const uint64_t SOON_NS = 1000000ull;       // something waits for a grace period, or for a client

struct control control;

static int epoll_fd = -1;
static int signal_fd = -1;
static struct source doorbell_source, signal_source, rx_source;
static uint64_t links_ns;

// Events of one epoll_wait() that are yet to be served; those of a source that is forgotten meanwhile have none.
static struct epoll_event *pending;
static int nr_pending;

// -- sources ----------------------------------------------------------------------------------------------------

int control_watch(struct source *source, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int control_change(struct source *source, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	return epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event) ? -errno : 0;
}

void control_forget(struct source *source, int fd)
{
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	for (int i = 0; i < nr_pending; i++)
		if (pending[i].data.ptr == source)
			pending[i].data.ptr = NULL;
}

static void serve(struct epoll_event *events, int count)
{
	for (int i = 0; i < count; i++) {
		struct source *source = events[i].data.ptr;

		pending = &events[i + 1];
		nr_pending = count - i - 1;
		if (source)
			source->ready(source, events[i].events);
	}
	nr_pending = 0;
}

static void doorbell_ready(struct source *source, uint32_t events)
{
	eventfd_t count;

	eventfd_read(fp.control_doorbell, &count);
}

static void signal_ready(struct source *source, uint32_t events)
{
	struct signalfd_siginfo info;

	while (read(signal_fd, &info, sizeof(info)) == sizeof(info))
		control.quit = true;
}

// -- one-core mode: packets wake us -----------------------------------------------------------------------------

static int rx_fds[FP_RX_MAX];
static unsigned int nr_rx_fds;
static bool rx_silent = true; // no port must be polled by time

static void rx_ready(struct source *source, uint32_t events)
{
	// The turn that follows polls all ports.
}

void control_watch_rx(void)
{
	const struct fp_rx_list *list = fp.workers[0].rx;

	if (!fp.workers[0].nested)
		return;
	while (nr_rx_fds)
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, rx_fds[--nr_rx_fds], NULL);
	rx_silent = true;
	for (unsigned int i = 0; list && i < list->nr; i++) {
		const struct fp_rx *rx = &list->rx[i];

		if (rx->fd >= 0 && !control_watch(&rx_source, rx->fd, EPOLLIN))
			rx_fds[nr_rx_fds++] = rx->fd;
		else if (!fp.ports[rx->port].silent)
			rx_silent = false;
	}
}

// -- the loop ---------------------------------------------------------------------------------------------------

static unsigned int turn(void)
{
	unsigned int work = 0;

	control.now_ns = clock_monotonic_ns();
	work += sessions_turn();
	work += packets_turn();
	if (fp.workers[0].nested)
		work += worker_poll(&fp.workers[0]);
	work += ct_control_turn();
	acl_poll();
	if (control.now_ns - links_ns >= LINK_NS) {
		links_ns = control.now_ns;
		port_poll_links();
	}
	ageing_turn();
	stats_turn(control.now_ns);
	return work;
}

// How long we may sleep at most.
static uint64_t sleep_ns(unsigned int frees)
{
	if (fp.workers[0].nested && (fp.workers[0].idle == FP_IDLE_SPIN))
		return 0;
	if (frees || sessions_waiting() || ageing_waiting() || (fp.workers[0].nested && !rx_silent))
		return SOON_NS;
	return SLEEP_NS;
}

// True when nothing came in while we said that we are about to sleep.
static bool may_sleep(void)
{
	__atomic_store_n(&fp.control_sleeping, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return sessions_sleep() && !packets_pending();
}

static void wait_for_work(unsigned int frees, bool sleep)
{
	struct epoll_event events[EVENTS];
	uint64_t ns = 0;
	int count;

	if (sleep && may_sleep())
		ns = sleep_ns(frees);
	struct timespec timeout = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};

	count = epoll_pwait2(epoll_fd, events, EVENTS, &timeout, NULL);
	fp_write(&fp.control_sleeping, 0);
	if (count < 0 && errno == ENOSYS)
		count = epoll_wait(epoll_fd, events, EVENTS, ns ? (int)(ns / 1000000) : 0);
	control.now_ns = clock_monotonic_ns();
	serve(events, count);
}

void control_loop(void)
{
	unsigned int idle = 0, turns = 0;

	while (!control.quit) {
		unsigned int work = turn();
		unsigned int frees = rcu_poll();

		idle = work ? 0 : idle + 1;
		// Whoever waits for what we have just done may share our core.
		if (idle && !fp.workers[0].nested)
			sched_yield();
		// A busy loop looks at sockets every few turns only.
		if (idle >= SPIN_TURNS)
			wait_for_work(frees, true);
		else if (++turns % 16 == 0)
			wait_for_work(frees, false);
	}
}

int control_open(char why[CONFIG_WHY_MAX])
{
	sigset_t signals;
	int status = 0;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	fp.control_doorbell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	doorbell_source.ready = doorbell_ready;
	signal_source.ready = signal_ready;
	rx_source.ready = rx_ready;
	if (epoll_fd < 0 || signal_fd < 0 || fp.control_doorbell < 0)
		status = -errno;
	if (!status)
		status = control_watch(&doorbell_source, fp.control_doorbell, EPOLLIN);
	if (!status)
		status = control_watch(&signal_source, signal_fd, EPOLLIN);
	if (status)
		snprintf(why, CONFIG_WHY_MAX, "cannot make the control thread's descriptors: %s",
			strerror(-status));
	return status;
}

static void close_fd(int *fd)
{
	if (*fd > 0)
		close(*fd);
	*fd = -1;
}

void control_close(void)
{
	close_fd(&fp.control_doorbell);
	close_fd(&signal_fd);
	close_fd(&epoll_fd);
}
