// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// DOCA Flow tells by callbacks; Python polls. These callbacks append what they are told to one list of the process,
// from which Python takes it. They may run in any thread; the list has a lock of its own.
#pragma once

#ifndef RINGFIELD_CDEF
#include <stdint.h>
#endif

#include "doca_flow.h"
#include "doca_flow_ringfield.h"

enum ringfield_notice_kind {
	RINGFIELD_NOTICE_ENTRY = 0, // status: enum doca_flow_entry_status, op: enum doca_flow_entry_op
	RINGFIELD_NOTICE_PIPE,      // status: enum doca_flow_pipe_status, op: enum doca_flow_pipe_op
	RINGFIELD_NOTICE_RESIZE,    // value: the pipe's new number of entries; object is the pipe's user_ctx
	RINGFIELD_NOTICE_LINT,      // code DOCA_SUCCESS, reason: the warning
};

struct ringfield_notice {
	uint64_t object; // address of the entry or pipe
	uint32_t value;
	uint16_t queue;
	uint8_t kind;
	uint8_t status;
	uint8_t op;
	uint8_t pad[3];
	doca_error_t code; // why an entry has status ERROR
	char reason[DOCA_FLOW_RINGFIELD_REASON_MAX];
};

void ringfield_on_entry(struct doca_flow_pipe_entry *entry, uint16_t pipe_queue,
	enum doca_flow_entry_status status, enum doca_flow_entry_op op, void *user_ctx);
void ringfield_on_pipe(struct doca_flow_pipe *pipe, enum doca_flow_pipe_status status,
	enum doca_flow_pipe_op op, void *user_ctx);
void ringfield_on_lint(const struct doca_flow_ringfield_error *warning, void *user_ctx);
doca_error_t ringfield_on_resize(void *pipe_user_ctx, uint32_t nr_entries);
doca_error_t ringfield_on_relocate(
	void *pipe_user_ctx, uint16_t pipe_queue, void *entry_user_ctx, void **new_entry_user_ctx);

// Moves up to max notices to the caller, oldest first; returns how many.
uint32_t ringfield_notices_take(struct ringfield_notice *notices, uint32_t max);
// Notices that were lost because there was no memory; only grows.
uint64_t ringfield_notices_lost(void);
