// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <stdio.h>
#include <string.h>

#include "fwd.h"
#include "helpers.h"
#include "shared.h"

static doca_error_t bad(const struct fwd_at *at, doca_error_t code, const char *rule, const char *reason)
{
	return refuse(code, AT(.pipe = at->pipe, .field = at->role, .rule = rule), "%s", reason);
}

static doca_error_t to_port(
	const struct fwd_at *at, uint16_t port_id, struct steer_fwd *out, enum fwd_open *open)
{
	struct doca_flow_port *port;

	out->type = STEER_FWD_PORT;
	if (port_id == UINT16_MAX && open) {
		*open = FWD_OPEN_SAME;
		return DOCA_SUCCESS;
	}
	port = port_by_id(port_id);
	if (!port)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = at->pipe, .field = at->role, .rule = "fwd-port"),
			"no port with id %u is started", port_id);
	if (!flow.switch_mode && at->egress && at->port && port != at->port)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = at->pipe, .field = at->role, .rule = "egress-own-port"),
			"in the egress domain a packet leaves by its own port %u, not by %u", at->port->id,
			port_id);
	if (!flow.switch_mode && at->port && port != at->port && at->port->pair != port)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = at->pipe, .field = at->role, .rule = "hairpin-peers"),
			"ports %u and %u are not hairpin peers: in vnf mode, doca_flow_port_pair() comes "
			"first",
			at->port->id, port_id);
	out->port = port->index;
	return DOCA_SUCCESS;
}

static doca_error_t to_rss(
	const struct fwd_at *at, const struct doca_flow_fwd *fwd, struct steer_fwd *out, enum fwd_open *open)
{
	const struct doca_flow_resource_rss_cfg *rss = &fwd->rss;
	uint16_t *queues = (uint16_t *)out->queues;
	struct doca_flow_shared_resource_cfg shared;

	out->type = STEER_FWD_RSS;
	if (fwd->rss_type == DOCA_FLOW_RESOURCE_TYPE_SHARED) {
		if (fwd->shared_rss_id == UINT32_MAX && open) {
			*open = FWD_OPEN_SAME;
			return DOCA_SUCCESS;
		}
		doca_error_t result =
			shared_get_cfg(at->pipe, DOCA_FLOW_SHARED_RESOURCE_RSS, fwd->shared_rss_id, &shared);

		if (result != DOCA_SUCCESS)
			return result;
		rss = &shared.rss_cfg;
	}
	if (rss->nr_queues == -1 && open) {
		*open = FWD_OPEN_SAME;
		return DOCA_SUCCESS;
	}
	if (rss->nr_queues <= 0 || !rss->queues_array)
		return bad(at, DOCA_ERROR_INVALID_VALUE, "rss-queues",
			"an RSS forward needs at least one queue");
	if ((size_t)rss->nr_queues * sizeof(*queues) > sizeof(out->queues))
		return bad(at, DOCA_ERROR_TOO_BIG, "rss-queues", "more than 64 RSS queues");
	if ((unsigned int)rss->rss_hash_func > DOCA_FLOW_RSS_HASH_FUNCTION_SYMMETRIC_TOEPLITZ)
		return bad(at, DOCA_ERROR_INVALID_VALUE, "rss-function", "no such RSS hash function");
	for (int i = 0; i < rss->nr_queues; i++)
		queues[i] = rss->queues_array[i];
	out->nr_queues = (uint16_t)rss->nr_queues;
	// "As the library sees fit" is what the fast path does when told nothing.
	out->rss_outer = rss->outer_flags & ~(uint32_t)DOCA_FLOW_RSS_AUTO;
	out->rss_inner = rss->inner_flags & ~(uint32_t)DOCA_FLOW_RSS_AUTO;
	out->rss_function = (uint16_t)rss->rss_hash_func;
	return DOCA_SUCCESS;
}

static uint8_t one_algorithm(enum doca_flow_pipe_hash_map_algorithm algorithm)
{
	switch ((unsigned int)algorithm) {
	case 0:
		return STEER_HASH_DEFAULT;
	case DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_HASH:
		return STEER_HASH_HASH;
	case DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_RANDOM:
		return STEER_HASH_RANDOM;
	case DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_IDENTITY:
		return STEER_HASH_IDENTITY;
	case DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_ROUND_ROBIN:
		return STEER_HASH_ROUND_ROBIN;
	case DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_FLOODING:
		return STEER_HASH_FLOODING;
	default:
		return STEER_HASH_MAX;
	}
}

static doca_error_t to_pipe(const struct fwd_at *at, const struct doca_flow_pipe *pipe, struct steer_fwd *out,
	enum fwd_open *open)
{
	out->type = STEER_FWD_PIPE;
	if (!pipe) {
		if (!open)
			return bad(at, DOCA_ERROR_INVALID_VALUE, "fwd-pipe", "next_pipe is NULL");
		*open = FWD_OPEN_SAME;
		return DOCA_SUCCESS;
	}
	// Between two ports a packet that is on its way out does not come in again; a switch is one port to its pipes.
	if (!flow.switch_mode && at->egress && pipe->domain != DOCA_FLOW_PIPE_DOMAIN_EGRESS)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = at->pipe, .field = at->role, .rule = "egress-to-ingress"),
			"in vnf mode the egress domain does not lead back to pipe %s of the default domain",
			pipe->name);
	out->pipe = pipe->number;
	return DOCA_SUCCESS;
}

// Forwards that are not DOCA's.
static doca_error_t to_ours(const struct fwd_at *at, const struct doca_flow_fwd *fwd, struct steer_fwd *out)
{
	switch ((enum doca_flow_ringfield_fwd_type)fwd->type) {
	case DOCA_FLOW_RINGFIELD_FWD_DROP:
		out->type = STEER_FWD_DROP;
		break;
	case DOCA_FLOW_RINGFIELD_FWD_REJECT:
		out->type = STEER_FWD_REJECT;
		break;
	case DOCA_FLOW_RINGFIELD_FWD_ANSWER:
		out->type = STEER_FWD_ANSWER;
		return DOCA_SUCCESS;
	default:
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = at->pipe, .field = at->role, .rule = "fwd-type"), "%d is no forward type",
			(int)fwd->type);
	}
	if (fwd->port_id >= STEER_DROP_MAX)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = at->pipe, .field = at->role, .rule = "drop-reason"),
			"%u is no drop reason: their numbers are below %d", fwd->port_id, STEER_DROP_MAX);
	out->index = fwd->port_id;
	return DOCA_SUCCESS;
}

static bool is_ours(const struct doca_flow_fwd *fwd)
{
	return (unsigned int)fwd->type >= DOCA_FLOW_RINGFIELD_FWD_DROP &&
	       (unsigned int)fwd->type <= DOCA_FLOW_RINGFIELD_FWD_ANSWER;
}

doca_error_t fwd_to_wire(
	const struct fwd_at *at, const struct doca_flow_fwd *fwd, struct steer_fwd *out, enum fwd_open *open)
{
	memset(out, 0, sizeof(*out));
	if (open)
		*open = FWD_FIXED;
	switch (fwd->type) {
	case DOCA_FLOW_FWD_NONE:
		return DOCA_SUCCESS;
	case DOCA_FLOW_FWD_RSS:
		return to_rss(at, fwd, out, open);
	case DOCA_FLOW_FWD_PORT:
		return to_port(at, fwd->port_id, out, open);
	case DOCA_FLOW_FWD_PIPE:
		return to_pipe(at, fwd->next_pipe, out, open);
	case DOCA_FLOW_FWD_DROP:
		out->type = STEER_FWD_DROP;
		return DOCA_SUCCESS;
	case DOCA_FLOW_FWD_TARGET:
		if (!helpers_is_kernel(fwd->target))
			return bad(at, DOCA_ERROR_INVALID_VALUE, "fwd-target",
				"target is not from doca_flow_get_target()");
		out->type = STEER_FWD_KERNEL;
		return DOCA_SUCCESS;
	case DOCA_FLOW_FWD_ORDERED_LIST_PIPE:
		if (!fwd->ordered_list_pipe.pipe ||
			fwd->ordered_list_pipe.pipe->type != DOCA_FLOW_PIPE_ORDERED_LIST)
			return bad(at, DOCA_ERROR_INVALID_VALUE, "fwd-list", "not an ordered list pipe");
		out->type = STEER_FWD_ORDERED_LIST;
		out->pipe = fwd->ordered_list_pipe.pipe->number;
		out->index = fwd->ordered_list_pipe.idx;
		if (out->index == UINT32_MAX && open)
			*open = FWD_OPEN_SAME;
		return DOCA_SUCCESS;
	case DOCA_FLOW_FWD_HASH_PIPE:
		if (!fwd->hash_pipe.pipe || fwd->hash_pipe.pipe->type != DOCA_FLOW_PIPE_HASH)
			return bad(at, DOCA_ERROR_INVALID_VALUE, "fwd-hash", "not a hash pipe");
		out->type = STEER_FWD_HASH;
		out->pipe = fwd->hash_pipe.pipe->number;
		out->algorithm = one_algorithm(fwd->hash_pipe.algorithm);
		if (out->algorithm == STEER_HASH_MAX)
			return bad(at, DOCA_ERROR_NOT_SUPPORTED, "fwd-hash",
				"unknown algorithm, or more than one");
		return DOCA_SUCCESS;
	case DOCA_FLOW_FWD_CHANGEABLE:
		if (!open)
			return bad(at, DOCA_ERROR_INVALID_VALUE, "fwd-changeable",
				"only a pipe's fwd can be changeable");
		*open = FWD_OPEN_ANY;
		out->type = STEER_FWD_CHANGEABLE;
		return DOCA_SUCCESS;
	}
	return to_ours(at, fwd, out);
}

doca_error_t fwd_miss_to_wire(const struct fwd_at *at, const struct doca_flow_fwd *fwd, struct steer_fwd *out)
{
	memset(out, 0, sizeof(*out));
	if (!fwd || fwd->type == DOCA_FLOW_FWD_NONE)
		return DOCA_SUCCESS;
	if (fwd->type != DOCA_FLOW_FWD_PIPE && fwd->type != DOCA_FLOW_FWD_DROP &&
		fwd->type != DOCA_FLOW_FWD_TARGET && !is_ours(fwd))
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = at->pipe, .field = at->role, .rule = "fwd-miss-type"),
			"invalid fwd_miss type %d: a miss can go to a pipe, to drop or to a target",
			(int)fwd->type);
	return fwd_to_wire(at, fwd, out, NULL);
}

doca_error_t fwd_of_entry(const struct doca_flow_pipe *pipe, const struct doca_flow_fwd *fwd,
	struct steer_fwd *out, bool *present)
{
	const struct fwd_at at = {.port = pipe->port,
		.pipe = pipe->name,
		.role = "entry's fwd",
		.egress = pipe->domain == DOCA_FLOW_PIPE_DOMAIN_EGRESS};
	doca_error_t result;

	*present = false;
	if (!fwd || fwd->type == DOCA_FLOW_FWD_NONE) {
		if (pipe->fwd_open != FWD_FIXED)
			return refuse(DOCA_ERROR_INVALID_VALUE,
				AT(.pipe = pipe->name, .field = "fwd", .rule = "fwd-missing"),
				"the pipe leaves its fwd to the entries, but this entry brings none");
		return DOCA_SUCCESS;
	}
	if (pipe->fwd_open == FWD_FIXED && pipe->fwd.type != STEER_FWD_NONE) {
		// The pipe's forward is a constant, which an entry does not change.
		result = fwd_to_wire(&at, fwd, out, NULL);
		if (result == DOCA_SUCCESS && memcmp(out, &pipe->fwd, sizeof(*out)))
			return lint(AT(.pipe = pipe->name, .field = "fwd", .rule = "constant-differs"),
				"the entry gives another fwd than the pipe's constant one; it is ignored");
		return result;
	}
	result = fwd_to_wire(&at, fwd, out, NULL);
	if (result != DOCA_SUCCESS)
		return result;
	if (pipe->fwd_open == FWD_OPEN_SAME && out->type != pipe->fwd.type)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "fwd", .rule = "fwd-type"),
			"the entry's fwd has another type than the pipe's");
	*present = true;
	return DOCA_SUCCESS;
}

const char *fwd_text(const struct steer_fwd *fwd, char *text, size_t bytes)
{
	struct doca_flow_pipe *pipe = pipe_by_number(fwd->pipe);
	char number[16];
	const char *name;

	snprintf(number, sizeof(number), "#%u", fwd->pipe);
	name = pipe && pipe->name[0] ? pipe->name : number;
	switch (fwd->type) {
	case STEER_FWD_NONE:
		snprintf(text, bytes, "none");
		break;
	case STEER_FWD_PORT:
		if (fwd->port < STEER_PORT_MAX && flow.port_of_index[fwd->port])
			snprintf(text, bytes, "port %.40s", flow.port_of_index[fwd->port]->info.name);
		else
			snprintf(text, bytes, "port #%u", fwd->port);
		break;
	case STEER_FWD_PIPE:
		snprintf(text, bytes, "pipe %.40s", name);
		break;
	case STEER_FWD_DROP:
	case STEER_FWD_REJECT:
		name = fwd->index ? doca_flow_ringfield_drop_name(fwd->index) : NULL;
		snprintf(text, bytes, "%s%s%s", fwd->type == STEER_FWD_DROP ? "drop" : "reject",
			name ? " " : "", name ? name : "");
		break;
	case STEER_FWD_ANSWER:
		snprintf(text, bytes, "answer");
		break;
	case STEER_FWD_RSS:
		snprintf(text, bytes, "rss %u queues", fwd->nr_queues);
		break;
	case STEER_FWD_KERNEL:
		snprintf(text, bytes, "kernel");
		break;
	case STEER_FWD_ORDERED_LIST:
		snprintf(text, bytes, "list %.24s[%u]", name, fwd->index);
		break;
	case STEER_FWD_HASH:
		snprintf(text, bytes, "hash %.40s", name);
		break;
	case STEER_FWD_CHANGEABLE:
		snprintf(text, bytes, "changeable");
		break;
	default:
		snprintf(text, bytes, "?");
		break;
	}
	return text;
}
