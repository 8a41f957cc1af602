// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Packets on their way from the worker that received them to the one that owns their connection. Rings between each two
// workers, single producer, single consumer, so the order of what one worker receives is kept. Only while an autonomous CT
// pipe is there; before any pipe, so that nothing is counted twice.
#pragma once

#include "fastpath.h"
#include "packet.h"

// Control side: the rings that lead to a worker. 0, -ENOMEM.
int handover_init(struct fp_worker *w);
void handover_fini(struct fp_worker *w); // frees packets on them too

// Gives parsed packets of one port that others own away, with their contexts, and moves the rest to the front. Who finds no room stays
// and is dropped. Returns how many stay.
unsigned int handover_away(struct fp_worker *w, struct packet **packets, unsigned int n);
// Wakes the workers that were given something. At the end of a burst.
void handover_wake(struct fp_worker *w);
// The next packets from another worker; fp_note() says where they came in.
unsigned int handover_take(struct fp_worker *w, unsigned int from, struct rte_mbuf **burst, unsigned int max);
// Packets that wait for this worker.
uint64_t handover_held(const struct fp_worker *w);
