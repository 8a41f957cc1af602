// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#pragma once

#include "flow.h"

// doca_flow_entries_process() without its checks.
doca_error_t complete_process(struct doca_flow_port *port, uint16_t queue, uint64_t timeout_us, uint32_t max);

// Takes one result of a work entry: status, callback, release.
void complete_one(struct doca_flow_port *port, uint16_t queue, const struct steer_completion *completion);

// Waits for the result of an add that was posted and pushed on the queue, whose results of others are kept for later calls.
// Returns the error of an add that failed, the entry is released then. When the fast path takes too long the entry is left
// to doca_flow_entries_process().
doca_error_t complete_await(struct doca_flow_pipe_entry *entry, uint16_t queue);

// Collects, and keeps for later calls, what takes room in the queue's rings. False: nothing has come.
bool complete_make_room(uint16_t queue);

// The session ends.
void complete_fini(void);

// Throws waiting results away and frees them.
void complete_forget(struct port_queue *queues, uint16_t nr);
