// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Tables as the control code sees them: spaces (what one session owns), pipes, entries, shared resources, transactions,
// trace. Every function here belongs to the control thread. Inputs that came from a client must already be copied out
// of shared memory; beyond that nothing in them is trusted: sizes, ids, enums and references are all checked here.
//
// Results are 0 or a negative errno; `why` (may be NULL) then holds the reason, also as a sentence.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "fastpath.h"
#include "steering_wire.h"

struct pipe;
struct entry;
struct txn;

struct why {
	enum steer_reason reason;
	char text[240];
};

// --- Spaces ---------------------------------------------------------------------------------------------------------
// What one session owns. Opaque but for these.
struct space {
	uint32_t session;
	uint32_t nr_pipes;
	uint64_t nr_entries;
	uint32_t nr_counters; // slots taken
	uint32_t reserve;     // of slots; more are taken of what nobody reserved
	struct space_tables *tables;
	struct txn *txn;           // open transaction or NULL
	TAILQ_HEAD(, entry) aging; // entries with a time-out, for control's sweep
	// Where control's sweep goes on; whoever takes this entry off the list moves it to the next one.
	struct entry *aging_cursor;
};

int space_create(uint32_t session, struct space **out);
// Reserves counters for this session, in place of what it had reserved. -ENOSPC: not so many are left.
int space_reserve(struct space *space, uint32_t nr_counters);
// All pipes, entries, shared resources; an open transaction is aborted. Invisible at once, memory freed after grace.
void space_destroy(struct space *space);

// --- Pipes ----------------------------------------------------------------------------------------------------------
// spec: `bytes` readable bytes. The port must be started; whether it belongs to the session is the caller's check.
// -EINVAL contradiction, -ENOTSUP, -EEXIST second root of a domain, -ENOENT unknown pipe in a forward, -ENOMEM,
// -ENOSPC no counter left.
int pipe_create(
	struct space *space, const struct steer_pipe_spec *spec, size_t bytes, uint32_t *id, struct why *why);
int pipe_destroy(
	struct space *space, uint32_t id, struct why *why); // -ENOENT, -EPERM not owner, -EBUSY forwarded to
int pipe_set_miss(struct space *space, uint32_t id, const struct steer_fwd *fwd, struct why *why);
int pipe_resize(struct space *space, uint32_t id, uint32_t nr_entries,
	struct why *why); // -ENOSPC: below what is used
// All pipes of a port (of the space, or of every space when NULL), whoever refers to them: such forwards drop as
// bad_fwd. For PORT_STOP.
void pipe_flush_port(struct space *space, uint16_t port);
// Reads, any session. pipe_next gives the pipe with the smallest id > after (STEER_PIPE_NONE: the first), or NULL.
struct pipe *pipe_find(uint32_t id);
struct pipe *pipe_next(uint32_t after);
uint32_t pipe_id(const struct pipe *pipe);
struct space *pipe_space(const struct pipe *pipe);
void pipe_info(const struct pipe *pipe, struct steer_pipe_info *info);
// The spec as created, with the present fwd_miss and capacity; valid until the next change of the pipe.
const struct steer_pipe_spec *pipe_spec(const struct pipe *pipe);

// --- Entries --------------------------------------------------------------------------------------------------------
struct entry_result {
	uint32_t counter; // slot or STEER_COUNTER_NONE
	struct why why;   // text filled in on failure only
};

// rec: a whole work entry of `bytes` bytes (rec->rec.length is not looked at). Not visible to packets before the
// transaction commits, when one is open. -EINVAL, -ENOENT, -EPERM, -EEXIST, -ENOSPC, -ENOMEM, -ENOTSUP.
int entry_add(
	struct space *space, const struct steer_entry_add *rec, size_t bytes, struct entry_result *result);
int entry_update(
	struct space *space, const struct steer_entry_add *rec, size_t bytes, struct entry_result *result);
int entry_remove(struct space *space, uint32_t id, struct entry_result *result);

// Work entries that will follow at once, as the client has them in its ring: not checked, and perhaps changing.
struct entry_hint {
	uint32_t pipe; // add: with key_bytes of key
	uint32_t entry;
	uint16_t key_bytes;
	bool add;
	uint8_t key[STEER_KEY_MAX];
};
enum { ENTRY_HINTS_MAX = 32 };
// Brings what they will touch into the cache, all misses at once instead of one after the other.
void entries_warm(const struct space *space, const struct entry_hint *hints, unsigned int n);

// Reads. NULL when unknown. entry_next walks a pipe's entries by ascending id (after = STEER_ENTRY_NONE: the first).
struct entry *entry_find(const struct space *space, uint32_t id);
struct entry *entry_next(const struct pipe *pipe, uint32_t after);
uint32_t entry_id(const struct entry *entry);
uint32_t entry_counter(const struct entry *entry);
uint32_t entry_pipe(const struct entry *entry);
uint64_t entry_user_data(const struct entry *entry);
// The work entry as it was added or last updated (key from the add); *bytes its length.
const struct steer_entry_add *entry_record(const struct entry *entry, uint32_t *bytes);
uint64_t entry_hits(const struct entry *entry); // packets so far, all workers
// Ageing: control's own notes on an entry of space->aging, kept with it over updates.
struct entry_age {
	uint32_t timeout_sec;
	bool told;        // AGED was reported
	uint64_t hits;    // at the last look
	uint64_t seen_ns; // when hits last grew
	uint16_t queue;   // pipe queue that it was added on, and that gets the notice
};
struct entry_age *entry_age(struct entry *entry);
struct entry *entry_aging_next(struct space *space, struct entry *after); // NULL = first; NULL at the end

// --- Shared resources -------------------------------------------------------------------------------------------------
int shared_set(struct space *space, const struct steer_shared_set *set, struct why *why);
int shared_get(struct space *space, uint32_t type, uint32_t id, struct steer_shared_info *info);
int shared_remove(struct space *space, uint32_t type, uint32_t id, struct why *why); // -EBUSY, -ENOENT

// --- Transactions -----------------------------------------------------------------------------------------------------
// From begin to commit or abort, pipe_create/destroy/set_miss and entry_* of this space are prepared, not visible.
// Work that cannot be prepared fails its own call and dooms the transaction: commit then undoes all, -ECANCELED.
int txn_begin(struct space *space); // -EALREADY
int txn_commit(
	struct space *space, struct steer_txn_reply *reply, struct why *why); // -EINVAL when none is open
int txn_abort(struct space *space);

// --- Trace ------------------------------------------------------------------------------------------------------------
// Runs the frame through the live tables without side effects. Writes a steer_trace_reply with its hops and outcomes.
// -EMSGSIZE when `size` does not hold it, -ENOENT no such port.
int trace_run(
	const struct steer_trace_request *request, const void *frame, void *reply, size_t size, size_t *used);

// --- ACL builder ------------------------------------------------------------------------------------------------------
// Call once per turn of the control loop: takes over tries that the builder thread has finished.
void acl_poll(void);
// How an ACL pipe is searched now: rules in its trie, of which so many are gone, and rules beside it. For tests.
struct acl_numbers {
	uint32_t trie, holes, overlay;
};
struct acl_numbers acl_numbers(const struct pipe *pipe);
