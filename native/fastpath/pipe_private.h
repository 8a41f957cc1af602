// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What the control side's own files (pipe.c, pipe_change.c, entry.c, space.c, transaction.c, fwd.c) share.
#pragma once

#include "table.h"

// --- Changes of an open transaction -----------------------------------------------------------------------------------
enum change_kind {
	CHANGE_ENTRY_ADD,
	CHANGE_ENTRY_REMOVE,
	CHANGE_ENTRY_UPDATE,
	CHANGE_PIPE_CREATE,
	CHANGE_PIPE_DESTROY,
	CHANGE_MISS,
};

struct change {
	enum change_kind kind;
	struct entry *e;   // ADD, UPDATE: the new one; REMOVE: the one that goes
	struct entry *old; // UPDATE
	struct pipe *pipe;
	struct root_version *root;            // PIPE_CREATE, PIPE_DESTROY of a root
	struct miss_version *miss, *old_miss; // MISS
};

struct txn {
	struct change *changes;
	size_t nr, room;
	bool failed;
	struct why why; // of the first failure
};

// Room for one more change, before anything is done. -ENOMEM.
int txn_reserve(struct space *space);
void txn_note(struct space *space, struct change change); // after txn_reserve; never fails
// A call inside a transaction failed.
int txn_spoil(struct space *space, int err, const struct why *why);
static inline uint64_t space_birth(const struct space *space)
{
	return space->txn ? REVISION_NEVER : 0;
}

// --- Pipes ------------------------------------------------------------------------------------------------------------
// A live pipe of this session by id; NULL: *err and why.
struct pipe *pipe_owned(struct space *space, uint32_t id, int *err, struct why *why);
void pipe_unref(struct pipe *pipe);
// What leads to a pipe and goes with a transaction does not keep the pipe from being destroyed, by this session or by
// another one, but its memory stays: packets go there until the commit, and after an abort. Pend, then resume or settle.
void fwd_pend(struct fwd *fwd, struct pipe *self);
void fwd_resume(struct fwd *fwd, struct pipe *self);
void fwd_settle(struct fwd *fwd, struct pipe *self);
// Takes a pipe that nothing visible leads to out of all lists, with its entries, and frees all after grace.
void pipe_discard(struct pipe *pipe);
// Its destruction is pending: so are its forwards, and its entries are out of the id table; false brings them back.
void pipe_doom(struct pipe *pipe, bool doomed);
// Root slots.
void root_link(struct root_version *v, uint16_t port, uint8_t domain);
void root_unlink_later(struct root_version *v); // unlinks now, frees after grace
struct root_version *root_of(const struct pipe *pipe);
void miss_unlink_later(struct pipe *pipe, struct miss_version *v);

// --- Entries ----------------------------------------------------------------------------------------------------------
struct entry_parts {
	const uint8_t *key;
	const uint8_t *args;
	const struct steer_monitor *monitor;
	const struct steer_fwd *fwd;
	const struct steer_entry_body *body;
	const struct steer_match_field *fields;
	const struct steer_condition *conditions;
	const struct steer_action *actions;
	const uint8_t *data;
};

// A complete but unlinked entry. key_of: an update takes key, priority and index from there; else NULL. On failure *out,
// when not NULL, is to be undone by the caller.
int entry_build(struct pipe *pipe, const struct steer_entry_add *rec, size_t bytes, struct entry *key_of,
	struct entry **out, struct why *why);
// Splits a record; every part lies within `bytes`. -EINVAL.
int entry_parse(const struct steer_entry_add *rec, size_t bytes, struct entry_parts *parts, struct why *why);
void entry_doom(struct entry *e, bool doomed);            // removal pending: out of the id table, or back
void entry_hand_over(struct entry *old, struct entry *e); // an update that is final: counter and meter state
void entry_detach(struct entry *e);       // out of the id table, lists; references and counters dropped
void entry_unlink_later(struct entry *e); // detached already: unlinks now, frees after grace
void entry_free_later(struct entry *e);   // unlinked already
void entry_free(struct entry *e);         // after grace

// --- Counters of a session --------------------------------------------------------------------------------------------
uint32_t space_counter(struct space *space); // STEER_COUNTER_NONE: none left
void space_counter_free(struct space *space, uint32_t slot);

// --- Spaces -----------------------------------------------------------------------------------------------------------
struct entry **space_slot(struct space *space, uint32_t id, bool make); // NULL: no such page, or no memory
