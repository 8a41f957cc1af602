// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Entries: handles, numbers, posting. A handle lives in a table by its number, for ever; the number is what the fast path
// knows. Results come back with number and generation, so that a late one for a reused number is recognised.
#pragma once

#include "flow.h"

// Numbers below first belong to entries that a resumed session has already.
void entries_init(uint32_t first);
void entries_fini(void);

// NULL when the number was never used.
struct doca_flow_pipe_entry *entry_by_id(uint32_t id);
// Numbers at or above this were never used.
uint32_t entries_end(void);

// One operation on its way into a queue. Everything but key, args and body is filled in by the caller.
struct entry_request {
	struct doca_flow_pipe *pipe;
	uint16_t queue;
	uint16_t op;    // STEER_REC_ENTRY_ADD or _UPDATE
	uint32_t flags; // enum doca_flow_entry_flags
	uint8_t action_idx;
	bool has_monitor;
	bool has_fwd;
	bool quiet;
	uint32_t priority;
	uint32_t index;
	uint32_t key_bytes;
	uint32_t args_bytes;
	const uint8_t *key;
	const uint8_t *args;
	const void *body; // steer_entry_body and what follows it
	uint32_t body_bytes;
	struct steer_monitor monitor; // resolved, also when it is the pipe's
	struct steer_fwd fwd;
	void *user_ctx;
	uint64_t tag;
};

// Checks that the call may be made at all: arguments, type of pipe, queue, flags.
doca_error_t entry_check(const char *function, uint16_t queue, const struct doca_flow_pipe *pipe,
	enum doca_flow_pipe_type type, uint32_t flags);
// The same of an entry that is to be updated or removed.
doca_error_t entry_check_alive(
	const char *function, const struct doca_flow_pipe_entry *entry, const struct doca_flow_pipe *pipe);

// AGAIN, FULL, NO_MEMORY; see doca_flow.h.
doca_error_t entry_add(const struct entry_request *request, struct doca_flow_pipe_entry **entry);
doca_error_t entry_update(const struct entry_request *request, struct doca_flow_pipe_entry *entry);
doca_error_t entry_remove(uint16_t queue, uint32_t flags, struct doca_flow_pipe_entry *entry);

// A handle for an entry that is in the fast path already.
doca_error_t entry_adopt(struct doca_flow_pipe *pipe, uint16_t queue, uint32_t id, uint32_t counter,
	const struct steer_entry_add *record, struct doca_flow_pipe_entry **entry);

// The pipe is gone: all its handles become invalid.
void entries_drop_pipe(struct doca_flow_pipe *pipe);

// Back to the free numbers of a queue. The handle stays readable until the number is used again.
void entry_release(struct doca_flow_pipe_entry *entry, uint16_t queue);

uint64_t entry_next_tag(void);
