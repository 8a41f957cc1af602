// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The control thread: its loop over sockets, doorbells and queues, and the sources that it sleeps on. It never spins when
// there is nothing to do: it sleeps in epoll until a descriptor or the next date, and workers and clients that see it
// asleep wake it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_common.h>

#include "config.h"

// Something to sleep on. Embedded in its owner; ready() may free any source but is not called for one that control_forget()
// has seen.
struct source {
	void (*ready)(struct source *source, uint32_t events);
};

struct control {
	struct config config;
	uint32_t boot_id;
	uint64_t now_ns; // CLOCK_MONOTONIC, of this turn
	bool quit;
};
extern struct control control;

int control_open(char why[CONFIG_WHY_MAX]);
void control_close(void);

// Serves until control.quit.
void control_loop(void);

// Adds a descriptor; EPOLL* events as in epoll_ctl. 0 or -errno.
int control_watch(struct source *source, int fd, uint32_t events);
int control_change(struct source *source, int fd, uint32_t events);
void control_forget(struct source *source, int fd);

// In one-core mode: the receive queues' descriptors are slept on here. Called when they changed.
void control_watch_rx(void);
