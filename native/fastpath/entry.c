// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Entries: a work entry, checked and resolved, linked into its pipe's table. An entry never changes once packets may see
// it; an update makes another one in its place.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "generation.h"
#include "pipe_private.h"
#include "rcu.h"
#include "slab.h"

// --- Lists and references -----------------------------------------------------------------------------------------

static void drop_shared(struct entry *e)
{
	struct shared *s;

	if (e->held)
		program_hold(e->space, e->program, e->args, -1, NULL);
	e->held = false;
	s = shared_find(e->space, STEER_SHARED_COUNTER, e->shared_counter_id);
	if (s)
		s->references--;
	s = shared_find(e->space, STEER_SHARED_METER, e->shared_meter_id);
	if (s)
		s->references--;
	e->shared_counter_id = e->shared_meter_id = UINT32_MAX;
}

static void list(struct entry *e)
{
	struct space *space = e->space;

	TAILQ_INSERT_TAIL(&e->pipe->entries, e, by_pipe);
	e->in_pipe_list = true;
	*space_slot(space, e->id, true) = e;
	if (e->age.timeout_sec) {
		TAILQ_INSERT_TAIL(&space->aging, e, by_age);
		e->aging_listed = true;
	}
	e->pipe->used++;
	space->nr_entries++;
	fp_write(&fp.stats->entries, fp.stats->entries + 1);
}

// Out of what the session sees; the table still has it.
static void unlist(struct entry *e)
{
	struct space *space = e->space;
	struct entry **slot = space_slot(space, e->id, false);

	if (slot && *slot == e)
		*slot = NULL;
	if (e->aging_listed) {
		if (space->aging_cursor == e)
			space->aging_cursor = TAILQ_NEXT(e, by_age);
		TAILQ_REMOVE(&space->aging, e, by_age);
		e->aging_listed = false;
	}
	e->pipe->used--;
	space->nr_entries--;
	fp_write(&fp.stats->entries, fp.stats->entries - 1);
}

static void drop_counter(struct entry *e)
{
	if (!e->owns_counter)
		return;
	space_counter_free(e->space, e->own_counter);
	e->owns_counter = false;
}

void entry_free(struct entry *e)
{
	if (e->owns_program)
		program_free((struct program *)(uintptr_t)e->program);
	if (e->owns_meter)
		free(e->meter);
	if (e->owns_fwd)
		fwd_free(&e->fwd);
	free(e->match);
	slab_free(e, sizeof(*e) + e->rec_bytes);
}

static void free_deferred(void *arg)
{
	entry_free(arg);
}

static void settle(struct entry *e)
{
	if (e->fwd_pending)
		fwd_settle(&e->fwd, e->pipe);
	e->fwd_pending = false;
}

void entry_free_later(struct entry *e)
{
	settle(e);
	drop_shared(e);
	drop_counter(e);
	rcu_defer(free_deferred, e);
}

void entry_unlink_later(struct entry *e)
{
	e->pipe->matcher->unlink(e->pipe, e);
	if (e->in_pipe_list)
		TAILQ_REMOVE(&e->pipe->entries, e, by_pipe);
	e->in_pipe_list = false;
	entry_free_later(e);
}

void entry_detach(struct entry *e)
{
	if (!e->dying) {
		unlist(e);
		if (e->owns_fwd)
			fwd_release(&e->fwd, e->pipe);
	}
	settle(e);
	e->dying = true;
	drop_shared(e);
	drop_counter(e);
}

// Undoes entry_build of an entry that was never linked.
static void entry_unbuild(struct entry *e)
{
	if (e->owns_fwd)
		fwd_release(&e->fwd, e->pipe);
	drop_shared(e);
	drop_counter(e);
	entry_free(e);
}

void entry_doom(struct entry *e, bool doomed)
{
	struct entry **slot;

	if (doomed) {
		unlist(e);
		if (e->owns_fwd)
			fwd_pend(&e->fwd, e->pipe);
		e->fwd_pending = e->owns_fwd;
		e->dying = true;
		return;
	}
	e->dying = false;
	if (e->fwd_pending)
		fwd_resume(&e->fwd, e->pipe);
	e->fwd_pending = false;
	slot = space_slot(e->space, e->id, true);
	*slot = e;
	if (e->age.timeout_sec) {
		TAILQ_INSERT_TAIL(&e->space->aging, e, by_age);
		e->aging_listed = true;
	}
	e->pipe->used++;
	e->space->nr_entries++;
	fp_write(&fp.stats->entries, fp.stats->entries + 1);
}

void entry_hand_over(struct entry *old, struct entry *e)
{
	if (e->own_counter == old->own_counter && old->owns_counter) {
		e->owns_counter = true;
		old->owns_counter = false;
	}
	if (e->meter == old->meter && old->owns_meter) {
		e->owns_meter = true;
		old->owns_meter = false;
	}
}

// --- Calls --------------------------------------------------------------------------------------------------------

static void congestion(struct pipe *pipe)
{
	uint8_t percent = pipe->spec->congestion_percent;

	if (!percent || pipe->congested || (uint64_t)pipe->used * 100 < (uint64_t)pipe->capacity * percent)
		return;
	pipe->congested = true;
	if (fp.on_congestion)
		fp.on_congestion(pipe->space->session, pipe->id);
}

static int add(struct space *space, const struct steer_entry_add *rec, size_t bytes, struct entry **out,
	struct why *why)
{
	struct entry **slot, *e = NULL;
	struct pipe *pipe;
	int err = 0;

	if (bytes < sizeof(*rec))
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "a work entry of impossible length");
	if (rec->entry >= STEER_ENTRY_ID_MAX)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "entry id %u is out of range", rec->entry);
	pipe = pipe_owned(space, rec->pipe, &err, why);
	if (!pipe)
		return err;
	slot = space_slot(space, rec->entry, true);
	if (!slot || txn_reserve(space))
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the entry");
	if (*slot)
		return why_set(why, STEER_WHY_ID_IN_USE, -EEXIST, "entry id %u is in use", rec->entry);
	if (rec->key_bytes != pipe->spec->key_bytes)
		return why_set(why, STEER_WHY_KEY_SIZE, -EINVAL, "a key of %u bytes, pipe '%s' takes %u",
			rec->key_bytes, pipe->spec->name, pipe->spec->key_bytes);
	if (pipe->used >= pipe->capacity)
		return why_set(why, STEER_WHY_PIPE_FULL, -ENOSPC, "pipe '%s' is full: %u entries",
			pipe->spec->name, pipe->capacity);
	err = entry_build(pipe, rec, bytes, NULL, &e, why);
	if (!err) {
		e->sequence = pipe->sequence++;
		err = pipe->matcher->link(pipe, e, why);
	}
	if (err) {
		if (e)
			entry_unbuild(e);
		return err;
	}
	list(e);
	if (space->txn)
		txn_note(space, (struct change){.kind = CHANGE_ENTRY_ADD, .e = e, .pipe = pipe});
	else
		generation_move(pipe);
	congestion(pipe);
	*out = e;
	return 0;
}

int entry_add(
	struct space *space, const struct steer_entry_add *rec, size_t bytes, struct entry_result *result)
{
	struct entry *e = NULL;
	int err;

	result->counter = STEER_COUNTER_NONE;
	result->why.reason = STEER_WHY_NONE;
	err = add(space, rec, bytes, &e, &result->why);
	if (err)
		return txn_spoil(space, err, &result->why);
	result->counter = e->own_counter;
	return 0;
}

static int update(struct space *space, const struct steer_entry_add *rec, size_t bytes, struct entry **out,
	struct why *why)
{
	struct entry *old, *e = NULL;
	struct pipe *pipe;
	int err;

	if (bytes < sizeof(*rec) || rec->key_bytes)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "a malformed update");
	old = entry_find(space, rec->entry);
	if (!old)
		return why_set(why, STEER_WHY_ID_UNKNOWN, -ENOENT, "there is no entry %u", rec->entry);
	pipe = old->pipe;
	if (txn_reserve(space))
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the entry");
	err = entry_build(pipe, rec, bytes, old, &e, why);
	if (!err) {
		e->sequence = old->sequence;
		if (space->txn) {
			entry_doom(old, true);
			err = pipe->matcher->link(pipe, e, why);
			if (err)
				entry_doom(old, false);
		} else {
			// A burst that does not see the old one sees none.
			e->birth = old->birth;
			err = pipe->matcher->replace(pipe, old, e, why);
		}
	}
	if (err) {
		if (e)
			entry_unbuild(e);
		return err;
	}
	if (space->txn) {
		list(e);
		txn_note(space,
			(struct change){.kind = CHANGE_ENTRY_UPDATE, .e = e, .old = old, .pipe = pipe});
	} else {
		generation_move(pipe);
		entry_doom(old, true);
		list(e);
		entry_hand_over(old, e);
		TAILQ_REMOVE(&pipe->entries, old, by_pipe);
		entry_free_later(old);
	}
	*out = e;
	return 0;
}

int entry_update(
	struct space *space, const struct steer_entry_add *rec, size_t bytes, struct entry_result *result)
{
	struct entry *e = NULL;
	int err;

	result->counter = STEER_COUNTER_NONE;
	result->why.reason = STEER_WHY_NONE;
	err = update(space, rec, bytes, &e, &result->why);
	if (err)
		return txn_spoil(space, err, &result->why);
	result->counter = e->own_counter;
	return 0;
}

int entry_remove(struct space *space, uint32_t id, struct entry_result *result)
{
	struct entry *e = entry_find(space, id);
	int err = 0;

	result->counter = STEER_COUNTER_NONE;
	result->why.reason = STEER_WHY_NONE;
	if (!e)
		err = why_set(&result->why, STEER_WHY_ID_UNKNOWN, -ENOENT, "there is no entry %u", id);
	else if (txn_reserve(space))
		err = why_set(&result->why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory");
	if (err)
		return txn_spoil(space, err, &result->why);
	entry_doom(e, true);
	if (space->txn) {
		txn_note(space, (struct change){.kind = CHANGE_ENTRY_REMOVE, .e = e, .pipe = e->pipe});
		return 0;
	}
	entry_unlink_later(e);
	generation_move(e->pipe); // e is freed after a grace period, not before
	return 0;
}

// --- Reads --------------------------------------------------------------------------------------------------------

struct entry *entry_find(const struct space *space, uint32_t id)
{
	struct entry **slot = space_slot((struct space *)(uintptr_t)space, id, false);

	return slot ? *slot : NULL;
}

struct entry *entry_next(const struct pipe *pipe, uint32_t after)
{
	uint32_t id = after == STEER_ENTRY_NONE ? 0 : after + 1;

	while (id < STEER_ENTRY_ID_MAX) {
		struct entry **slot = space_slot(pipe->space, id, false);

		if (!slot) {
			id = (id / ENTRY_PAGE + 1) * ENTRY_PAGE;
			continue;
		}
		if (*slot && (*slot)->pipe == pipe)
			return *slot;
		id++;
	}
	return NULL;
}

uint32_t entry_id(const struct entry *entry)
{
	return entry->id;
}

uint32_t entry_counter(const struct entry *entry)
{
	return entry->own_counter;
}

uint32_t entry_pipe(const struct entry *entry)
{
	return entry->pipe->id;
}

uint64_t entry_user_data(const struct entry *entry)
{
	return entry->rec->user_data;
}

const struct steer_entry_add *entry_record(const struct entry *entry, uint32_t *bytes)
{
	*bytes = entry->rec_bytes;
	return entry->rec;
}

uint64_t entry_hits(const struct entry *entry)
{
	return counter_sum(entry->own_counter).packets;
}

struct entry_age *entry_age(struct entry *entry)
{
	return &entry->age;
}

struct entry *entry_aging_next(struct space *space, struct entry *after)
{
	return after ? TAILQ_NEXT(after, by_age) : TAILQ_FIRST(&space->aging);
}
