// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Forwards: checked, resolved to pointers, counted as references.

#include <errno.h>
#include <stdlib.h>

#include "pipe_private.h"
#include "rss.h"

static int resolve_pipe(const struct steer_fwd *wire, struct pipe *self, struct fwd *out, struct why *why)
{
	struct pipe *target = pipe_find(wire->pipe);

	if (!target || target->dying || target->dead)
		return why_set(why, STEER_WHY_BAD_FWD, -ENOENT, "forward to pipe %u, which does not exist",
			wire->pipe);
	// Egress may use the ingress pipes of its own port (a switch's) again; there is no way back to another port.
	if (self && self->domain == STEER_DOMAIN_EGRESS && target->domain != STEER_DOMAIN_EGRESS &&
		target->port != self->port)
		return why_set(why, STEER_WHY_BAD_FWD, -EINVAL,
			"forward from egress back to pipe '%s' of another port", target->spec->name);
	if (wire->type == STEER_FWD_HASH && target->type != STEER_PIPE_HASH)
		return why_set(why, STEER_WHY_BAD_FWD, -EINVAL,
			"hash forward to pipe '%s', which is no hash pipe", target->spec->name);
	if (wire->type == STEER_FWD_ORDERED_LIST && target->type != STEER_PIPE_ORDERED_LIST)
		return why_set(why, STEER_WHY_BAD_FWD, -EINVAL,
			"ordered list forward to pipe '%s', which is no ordered list", target->spec->name);
	if (wire->type == STEER_FWD_PIPE && target->type == STEER_PIPE_ORDERED_LIST)
		return why_set(why, STEER_WHY_BAD_FWD, -EINVAL,
			"forward to ordered list '%s' without an index", target->spec->name);
	if (wire->algorithm >= STEER_HASH_MAX)
		return why_set(why, STEER_WHY_BAD_FWD, -EINVAL, "unknown hash algorithm %u", wire->algorithm);
	out->pipe = target;
	out->algorithm = wire->algorithm;
	out->index = wire->index;
	if (target != self)
		target->refs++;
	return 0;
}

static int resolve(const struct steer_fwd *wire, struct pipe *self, struct fwd *out, struct why *why)
{
	*out = (struct fwd){.type = wire->type};
	switch (wire->type) {
	case STEER_FWD_NONE:
	case STEER_FWD_KERNEL:
	case STEER_FWD_ANSWER:
		return 0;
	case STEER_FWD_DROP:
	case STEER_FWD_REJECT:
		if (wire->index >= STEER_DROP_MAX)
			return why_set(
				why, STEER_WHY_BAD_FWD, -EINVAL, "drop for unknown reason %u", wire->index);
		out->index = wire->index;
		return 0;
	case STEER_FWD_PORT:
		if (wire->port >= STEER_PORT_MAX || !fp.ports[wire->port].present)
			return why_set(why, STEER_WHY_BAD_FWD, -ENOENT,
				"forward to port %u, which does not exist", wire->port);
		out->port = wire->port;
		return 0;
	case STEER_FWD_RSS:
		return rss_compile(wire, &out->rss, why);
	case STEER_FWD_PIPE:
	case STEER_FWD_HASH:
	case STEER_FWD_ORDERED_LIST:
		return resolve_pipe(wire, self, out, why);
	default:
		return why_set(why, STEER_WHY_BAD_FWD, -EINVAL, "forward of unknown type %u", wire->type);
	}
}

int fwd_resolve(const struct steer_fwd *wire, struct pipe *self, struct fwd *out, struct why *why)
{
	int err = resolve(wire, self, out, why);

	if (err)
		out->type = STEER_FWD_NONE;
	return err;
}

static bool has_pipe(const struct fwd *fwd)
{
	return fwd->type == STEER_FWD_PIPE || fwd->type == STEER_FWD_HASH ||
	       fwd->type == STEER_FWD_ORDERED_LIST;
}

void fwd_pend(struct fwd *fwd, struct pipe *self)
{
	if (has_pipe(fwd) && fwd->pipe != self) {
		fwd->pipe->refs--;
		fwd->pipe->pending++;
	}
}

void fwd_resume(struct fwd *fwd, struct pipe *self)
{
	if (has_pipe(fwd) && fwd->pipe != self) {
		fwd->pipe->pending--;
		fwd->pipe->refs++;
	}
}

void fwd_settle(struct fwd *fwd, struct pipe *self)
{
	if (has_pipe(fwd) && fwd->pipe != self) {
		fwd->pipe->refs++;
		fwd->pipe->pending--;
		pipe_unref(fwd->pipe);
	}
}

void fwd_release(struct fwd *fwd, struct pipe *self)
{
	if (has_pipe(fwd) && fwd->pipe != self)
		pipe_unref(fwd->pipe);
}

void fwd_free(struct fwd *fwd)
{
	if (fwd->type == STEER_FWD_RSS)
		free(fwd->rss);
}
