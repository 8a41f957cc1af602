// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What a program reserved before it began: counters, meters, memory for actions. Any thread that posts; all counts are
// atomic.
#pragma once

#include "flow.h"

// One of `limit`; false: there is none left.
bool reserve_take(uint32_t *used, uint32_t limit);
void reserve_give(uint32_t *used);

// One counter of the reserve, e.g. for misses.
bool reserve_counter_take(struct doca_flow_port *port);
void reserve_counter_give(struct doca_flow_port *port);

// What an entry takes: by its resolved monitor, and for the values that it brings for its actions (args_bytes) memory in
// units of 64 bytes, at most DOCA_FLOW_MAX_ENTRY_ACTIONS_MEM_SIZE. For an update: what the entry has, it keeps; what is new
// must be in the reserve. NO_MEMORY with a reason; then nothing is taken.
doca_error_t reserves_take(struct doca_flow_pipe_entry *entry, struct doca_flow_pipe *pipe,
	const struct steer_monitor *monitor, uint32_t args_bytes);
// Of an entry that the fast path has already: never refused.
void reserves_adopt(
	struct doca_flow_pipe_entry *entry, struct doca_flow_pipe *pipe, bool counted, uint32_t args_bytes);
void reserves_give(struct doca_flow_pipe_entry *entry, struct doca_flow_pipe *pipe);

// What is removed in an open transaction may come back: until the transaction ends others may have what it holds.
void reserves_lend(struct doca_flow_pipe_entry *entry, struct doca_flow_pipe *pipe);
void reserves_reclaim(struct doca_flow_pipe_entry *entry, struct doca_flow_pipe *pipe);
// The same for a pipe's miss counter and all its entries.
void reserves_lend_pipe(struct doca_flow_pipe *pipe);
void reserves_reclaim_pipe(struct doca_flow_pipe *pipe);
