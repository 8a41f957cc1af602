// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What changes about a pipe while packets are in it: whether it is a root, where its misses go, its size. Roots and misses
// have versions, of which a packet sees the one of its revision.

#include <errno.h>
#include <stdlib.h>

#include "generation.h"
#include "pipe_private.h"
#include "rcu.h"

// --- Roots ----------------------------------------------------------------------------------------------------------

void root_link(struct root_version *v, uint16_t port, uint8_t domain)
{
	v->older = fp.ports[port].root[domain];
	fp_publish(&fp.ports[port].root[domain], v);
}

struct root_version *root_of(const struct pipe *pipe)
{
	struct root_version *v = fp.ports[pipe->port].root[pipe->domain];

	while (v && v->pipe != pipe)
		v = v->older;
	return v;
}

void root_unlink_later(struct root_version *v)
{
	struct root_version **at = &fp.ports[v->pipe->port].root[v->pipe->domain];

	while (*at && *at != v)
		at = &(*at)->older;
	if (*at)
		fp_publish(at, v->older);
	rcu_defer(free, v);
}

// --- Misses ---------------------------------------------------------------------------------------------------------

static void miss_free(void *arg)
{
	struct miss_version *v = arg;

	fwd_free(&v->fwd);
	free(v);
}

void miss_unlink_later(struct pipe *pipe, struct miss_version *v)
{
	struct miss_version **at = &pipe->miss;

	while (*at && *at != v)
		at = &(*at)->older;
	if (*at)
		fp_publish(at, v->older);
	// Of a dead pipe pipe_release() has dropped all.
	if (v->pending)
		fwd_settle(&v->fwd, pipe);
	else if (!pipe->dead)
		fwd_release(&v->fwd, pipe);
	v->pending = false;
	rcu_defer(miss_free, v);
}

int pipe_set_miss(struct space *space, uint32_t id, const struct steer_fwd *fwd, struct why *why)
{
	struct why reason = {0};
	struct miss_version *v, *old;
	struct pipe *pipe;
	int err = 0;

	pipe = pipe_owned(space, id, &err, &reason);
	v = calloc(1, sizeof(*v));
	if (pipe && (!v || txn_reserve(space)))
		err = why_set(&reason, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory");
	if (!err)
		err = fwd_resolve(fwd, pipe, &v->fwd, &reason);
	if (why)
		*why = reason;
	if (err) {
		free(v);
		return txn_spoil(space, err, &reason);
	}
	old = pipe->miss;
	v->wire = *fwd;
	v->birth = space->txn ? REVISION_NEVER : old->birth;
	v->death = REVISION_NEVER;
	v->older = old;
	pipe->spec->fwd_miss = *fwd;
	fp_publish(&pipe->miss, v);
	if (!space->txn) {
		miss_unlink_later(pipe, old);
		generation_move(pipe);
		return 0;
	}
	// Where it led to is free to go in the same transaction.
	fwd_pend(&old->fwd, pipe);
	old->pending = true;
	txn_note(space, (struct change){.kind = CHANGE_MISS, .pipe = pipe, .miss = v, .old_miss = old});
	return 0;
}

// --- Sizes ----------------------------------------------------------------------------------------------------------

int pipe_resize(struct space *space, uint32_t id, uint32_t nr_entries, struct why *why)
{
	int err = 0;
	struct pipe *pipe = pipe_owned(space, id, &err, why);

	if (!pipe)
		return err;
	if (nr_entries < pipe->used || !nr_entries || nr_entries > STEER_ENTRY_ID_MAX)
		return why_set(why, STEER_WHY_PIPE_FULL, -ENOSPC, "pipe '%s' holds %u entries, more than %u",
			pipe->spec->name, pipe->used, nr_entries);
	if (pipe->matcher->resize) {
		err = pipe->matcher->resize(pipe, nr_entries, why);
		if (err)
			return err;
	}
	pipe->capacity = nr_entries;
	pipe->spec->nr_entries = nr_entries;
	pipe->congested = false;
	return 0;
}
