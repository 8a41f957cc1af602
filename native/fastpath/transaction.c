// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Transactions: changes are linked but belong to no revision until commit stamps them with the next number and publishes
// it by one store. A burst that read the number before sees none of them, one that read it after sees all.
//
// What dies stays linked until no burst of an older revision can run any more.

#include <errno.h>
#include <stdlib.h>

#include "generation.h"
#include "pipe_private.h"
#include "rcu.h"

int txn_begin(struct space *space)
{
	if (space->txn)
		return -EALREADY;
	space->txn = calloc(1, sizeof(*space->txn));
	return space->txn ? 0 : -ENOMEM;
}

int txn_reserve(struct space *space)
{
	struct txn *t = space->txn;

	if (t && t->nr == t->room) {
		size_t room = t->room ? t->room * 2 : 64;
		struct change *grown = realloc(t->changes, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		t->changes = grown;
		t->room = room;
	}
	return 0;
}

void txn_note(struct space *space, struct change change)
{
	space->txn->changes[space->txn->nr++] = change;
}

int txn_spoil(struct space *space, int err, const struct why *why)
{
	if (err && space->txn && !space->txn->failed) {
		space->txn->failed = true;
		space->txn->why = *why;
	}
	return err;
}

// --- Commit -------------------------------------------------------------------------------------------------------

// Still invisible: everybody's revision is below.
static void stamp(const struct change *c, uint64_t revision)
{
	switch (c->kind) {
	case CHANGE_ENTRY_ADD:
		fp_write(&c->e->birth, revision);
		break;
	case CHANGE_ENTRY_REMOVE:
		fp_write(&c->e->death, revision);
		break;
	case CHANGE_ENTRY_UPDATE:
		fp_write(&c->e->birth, revision);
		fp_write(&c->old->death, revision);
		break;
	case CHANGE_PIPE_CREATE:
		if (c->root)
			fp_write(&c->root->birth, revision);
		break;
	case CHANGE_PIPE_DESTROY:
		if (c->root)
			fp_write(&c->root->death, revision);
		break;
	case CHANGE_MISS:
		fp_write(&c->miss->birth, revision);
		fp_write(&c->old_miss->death, revision);
		break;
	}
}

static void unlink_entry(void *arg)
{
	struct entry *e = arg;

	// A pipe that is gone frees its entries with itself. Its table must not be changed any more: what a matcher then
	// leaves for after the next grace period would come after the table's end.
	if (!e->pipe->dead)
		entry_unlink_later(e);
}

struct old_miss {
	struct pipe *pipe;
	struct miss_version *v;
};

static void unlink_miss(void *arg)
{
	struct old_miss *m = arg;

	miss_unlink_later(m->pipe, m->v);
	free(m);
}

static void discard_pipe(void *arg)
{
	struct pipe *pipe = arg;

	// Its port or session may have gone meanwhile.
	if (!pipe->dead)
		pipe_discard(pipe);
}

// After publication: what died is unlinked once no older burst runs.
static void finish(const struct change *c)
{
	struct old_miss *m;

	switch (c->kind) {
	case CHANGE_ENTRY_REMOVE:
		rcu_defer(unlink_entry, c->e);
		break;
	case CHANGE_ENTRY_UPDATE:
		entry_hand_over(c->old, c->e);
		rcu_defer(unlink_entry, c->old);
		break;
	case CHANGE_PIPE_DESTROY:
		rcu_defer(discard_pipe, c->pipe);
		break;
	case CHANGE_MISS:
		m = malloc(sizeof(*m));
		// Without memory the dead version stays linked, invisible, until its pipe goes.
		if (m) {
			*m = (struct old_miss){c->pipe, c->old_miss};
			rcu_defer(unlink_miss, m);
		}
		break;
	default:
		break;
	}
}

int txn_commit(struct space *space, struct steer_txn_reply *reply, struct why *why)
{
	struct txn *t = space->txn;
	uint64_t revision = fp.revision + 1;

	if (!t)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "no transaction is open");
	if (t->failed) {
		struct why first = t->why;

		txn_abort(space);
		return why_set(why, STEER_WHY_TXN_FAILED, -ECANCELED, "nothing was changed: %s", first.text);
	}
	for (size_t i = 0; i < t->nr; i++) {
		stamp(&t->changes[i], revision);
		generation_commit(t->changes[i].pipe, revision);
	}
	fp_publish(&fp.revision, revision);
	fp_write(&fp.stats->revision, revision);
	space->txn = NULL;
	for (size_t i = 0; i < t->nr; i++)
		finish(&t->changes[i]);
	*reply = (struct steer_txn_reply){.revision = revision, .changes = (uint32_t)t->nr};
	free(t->changes);
	free(t);
	return 0;
}

// --- Abort --------------------------------------------------------------------------------------------------------

static void undo(const struct change *c)
{
	switch (c->kind) {
	case CHANGE_ENTRY_ADD:
		entry_doom(c->e, true);
		entry_unlink_later(c->e);
		break;
	case CHANGE_ENTRY_REMOVE:
		entry_doom(c->e, false);
		break;
	case CHANGE_ENTRY_UPDATE:
		entry_doom(c->e, true);
		entry_unlink_later(c->e);
		entry_doom(c->old, false);
		break;
	case CHANGE_PIPE_CREATE:
		pipe_discard(c->pipe);
		break;
	case CHANGE_PIPE_DESTROY:
		pipe_doom(c->pipe, false);
		break;
	case CHANGE_MISS:
		c->pipe->spec->fwd_miss = c->old_miss->wire;
		fwd_resume(&c->old_miss->fwd, c->pipe);
		c->old_miss->pending = false;
		miss_unlink_later(c->pipe, c->miss);
		break;
	}
}

int txn_abort(struct space *space)
{
	struct txn *t = space->txn;

	if (!t)
		return -EINVAL;
	space->txn = NULL;
	while (t->nr)
		undo(&t->changes[--t->nr]);
	free(t->changes);
	free(t);
	return 0;
}
