// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Pipes once they exist: creation in the fast path, destruction, change of the miss, size, dump.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "ct.h"
#include "entry.h"
#include "fwd.h"
#include "match.h"
#include "pipe.h"
#include "pipe_create.h"
#include "reserve.h"
#include "shared.h"
#include "steering_hash.h"
#include "txn.h"

struct doca_flow_pipe *pipe_by_number(uint32_t number)
{
	struct doca_flow_port *port;
	struct doca_flow_pipe *pipe;

	TAILQ_FOREACH (port, &flow.ports, link) {
		TAILQ_FOREACH (pipe, &port->pipes, link) {
			if (pipe->number == number)
				return pipe;
		}
	}
	return NULL;
}

void pipe_free(struct doca_flow_pipe *pipe)
{
	ct_pipe_free(pipe);
	for (unsigned int i = 0; i < pipe->nr_templates; i++)
		actions_release(&pipe->templates[i]);
	free(pipe->templates);
	for (unsigned int l = 0; l < pipe->nr_lists; l++)
		for (unsigned int e = 0; e < pipe->lists[l].nr_elements; e++)
			if (pipe->lists[l].elements[e].actions) {
				actions_release(pipe->lists[l].elements[e].actions);
				free(pipe->lists[l].elements[e].actions);
			}
	free(pipe->lists);
	free(pipe);
}

void pipe_release(struct doca_flow_pipe *pipe)
{
	if (pipe->resize_queues)
		__atomic_sub_fetch(&pipe->port->resizing, 1, __ATOMIC_RELEASE);
	if (pipe->destroyed)
		reserves_reclaim_pipe(pipe);
	if (pipe->has_miss_counter)
		reserve_counter_give(pipe->port);
	entries_drop_pipe(pipe);
	shared_unbind(pipe);
	TAILQ_REMOVE(&pipe->port->pipes, pipe, link);
	pipe_free(pipe);
}

// --- creation

// Where the fast path counts the pipe's misses.
static doca_error_t learn_miss_counter(struct doca_flow_pipe *pipe)
{
	struct steer_pipe_query query = {.port = STEER_PORT_NONE, .after = pipe->number - 1};
	struct steer_pipe_info *infos = malloc(STEER_MSG_MAX);
	uint32_t length;
	int status;

	if (!infos)
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = pipe->name), "out of memory");
	status = steering_call(
		flow.client, STEER_OP_PIPE_LIST, &query, sizeof(query), infos, STEER_MSG_MAX, &length);
	if (status >= 0 && length >= sizeof(*infos) && infos->pipe == pipe->number)
		pipe->miss_counter = infos->miss_counter;
	free(infos);
	return status < 0 ? refuse_steering(status, AT(.pipe = pipe->name), "reading the pipe back")
			  : DOCA_SUCCESS;
}

static int destroy_in_fast_path(const struct doca_flow_pipe *pipe)
{
	struct steer_pipe_ref ref = {.pipe = pipe->number};
	int status;

	// What queues still hold back for this pipe fails when it is published: the queues belong to other threads.
	status = steering_call_exact(flow.client, STEER_OP_PIPE_DESTROY, &ref, sizeof(ref), NULL, 0);
	return status == -ENOENT || status == -ENOTCONN ? 0 : status;
}

static doca_error_t create_in_fast_path(struct doca_flow_pipe *pipe)
{
	struct steer_pipe_spec *spec = pipe_spec_build(pipe);
	struct steer_pipe_ref ref;
	doca_error_t result;
	int status;

	if (!spec)
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = pipe->name), "out of memory");
	if (spec->bytes > STEER_MSG_MAX - sizeof(struct steer_msg)) {
		free(spec);
		return refuse(DOCA_ERROR_TOO_BIG, AT(.pipe = pipe->name, .rule = "pipe-size"),
			"the pipe's templates are longer than %d bytes", STEER_MSG_MAX);
	}
	status = steering_call_exact(flow.client, STEER_OP_PIPE_CREATE, spec, spec->bytes, &ref, sizeof(ref));
	free(spec);
	if (status == -ENOSPC)
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = pipe->name, .rule = "counter-reserve"), "%s",
			steering_why());
	if (status < 0)
		return refuse_steering(status, AT(.pipe = pipe->name), "creating a pipe");
	pipe->number = ref.pipe;
	result = pipe->has_miss_counter ? learn_miss_counter(pipe) : DOCA_SUCCESS;
	if (result != DOCA_SUCCESS)
		destroy_in_fast_path(pipe);
	return result;
}

doca_error_t doca_flow_pipe_create(const struct doca_flow_pipe_cfg *cfg, const struct doca_flow_fwd *fwd,
	const struct doca_flow_fwd *fwd_miss, struct doca_flow_pipe **out)
{
	struct doca_flow_pipe *pipe = NULL;
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (!cfg || !out)
		return refuse_argument(__func__, "cfg", "an argument is NULL");
	flow_lock();
	result = pipe_check(cfg, fwd);
	if (result == DOCA_SUCCESS && cfg->type == DOCA_FLOW_PIPE_CT && !cfg->has_ct)
		result = ct_pipe_check(cfg, fwd, fwd_miss);
	if (result == DOCA_SUCCESS)
		result = pipe_compile(cfg, fwd, fwd_miss, &pipe);
	if (result == DOCA_SUCCESS && pipe->has_miss_counter && !reserve_counter_take(pipe->port)) {
		result = refuse(DOCA_ERROR_NO_MEMORY,
			AT(.pipe = pipe->name, .field = "miss_counter", .rule = "counter-reserve"),
			"no counter left of the reserve (nr_counters: entries with counters plus miss "
			"counters)");
		pipe_free(pipe);
	} else if (result == DOCA_SUCCESS) {
		result = create_in_fast_path(pipe);
		if (result == DOCA_SUCCESS) {
			pipe->in_txn = txn_number();
			TAILQ_INSERT_TAIL(&cfg->port->pipes, pipe, link);
			*out = pipe;
		} else {
			if (pipe->has_miss_counter)
				reserve_counter_give(pipe->port);
			pipe_free(pipe);
		}
	}
	flow_unlock();
	return result;
}

// --- destruction

doca_error_t doca_flow_ringfield_pipe_destroy(struct doca_flow_pipe *pipe)
{
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	if (!pipe)
		return refuse_argument(__func__, "pipe", "is NULL");
	flow_lock();
	status = destroy_in_fast_path(pipe);
	if (status < 0)
		result = refuse_steering(
			status, AT(.pipe = pipe->name, .rule = "pipe-in-use"), "destroying a pipe");
	else if (!txn_keep_pipe(pipe))
		pipe_release(pipe);
	flow_unlock();
	return result;
}

// DOCA's call returns nothing: why a pipe stays is in the log and in doca_flow_ringfield_last_error().
void doca_flow_pipe_destroy(struct doca_flow_pipe *pipe)
{
	if (pipe)
		(void)doca_flow_ringfield_pipe_destroy(pipe);
}

// Pipes forward to each other, and what is forwarded to cannot go first: round after round, last created first.
doca_error_t pipe_destroy_all(struct doca_flow_port *port)
{
	struct doca_flow_pipe *pipe, *before, *left = NULL;
	bool progress = true;

	while (progress) {
		progress = false;
		left = NULL;
		for (pipe = TAILQ_LAST(&port->pipes, pipe_list); pipe; pipe = before) {
			before = TAILQ_PREV(pipe, pipe_list, link);
			if (pipe->destroyed)
				continue;
			if (destroy_in_fast_path(pipe) < 0) {
				left = pipe;
				continue;
			}
			if (!txn_keep_pipe(pipe))
				pipe_release(pipe);
			progress = true;
		}
	}
	if (left)
		return refuse(DOCA_ERROR_IN_USE, AT(.pipe = left->name, .rule = "pipe-in-use"),
			"a pipe of another port, or a circle of pipes, still forwards to it");
	return DOCA_SUCCESS;
}

// --- changes

doca_error_t doca_flow_pipe_update_miss(struct doca_flow_pipe *pipe, const struct doca_flow_fwd *fwd_miss)
{
	struct steer_pipe_miss miss = {0};
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	if (!pipe || !fwd_miss)
		return refuse_argument(__func__, "pipe", "an argument is NULL");
	flow_lock();
	result = fwd_miss_to_wire(&(struct fwd_at){.port = pipe->port,
					  .pipe = pipe->name,
					  .role = "fwd_miss",
					  .egress = pipe->domain == DOCA_FLOW_PIPE_DOMAIN_EGRESS},
		fwd_miss, &miss.fwd);
	if (result == DOCA_SUCCESS) {
		miss.pipe = pipe->number;
		status = steering_call_exact(flow.client, STEER_OP_PIPE_MISS, &miss, sizeof(miss), NULL, 0);
		if (status < 0)
			result = refuse_steering(status, AT(.pipe = pipe->name), "changing a miss");
		else
			pipe->fwd_miss = miss.fwd;
	}
	flow_unlock();
	return result;
}

static uint32_t next_size(uint32_t size)
{
	uint32_t power = 1;

	while (power <= size)
		power *= 2;
	return power;
}

doca_error_t doca_flow_pipe_resize(struct doca_flow_pipe *pipe, uint8_t new_congestion_level,
	doca_flow_pipe_resize_nr_entries_changed_cb nr_entries_changed_cb,
	doca_flow_pipe_resize_entry_relocate_cb entry_relocation_cb)
{
	struct steer_pipe_resize resize = {0};
	doca_error_t result = flow_check_state(__func__);
	uint32_t queues;
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	if (!pipe)
		return refuse_argument(__func__, "pipe", "is NULL");
	if (!pipe->is_resizable)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "is_resizable", .rule = "resize-type"),
			"the pipe was not created resizable");
	if (new_congestion_level > 100)
		return refuse_argument(__func__, "new_congestion_level", "%u per cent", new_congestion_level);
	flow_lock();
	if (pipe->resize_queues) {
		result = refuse(DOCA_ERROR_IN_PROGRESS, AT(.pipe = pipe->name, .rule = "resize-once"),
			"a resize is running: process all queues");
	} else {
		resize.pipe = pipe->number;
		resize.nr_entries = next_size(pipe->nr_entries);
		status = steering_call_exact(
			flow.client, STEER_OP_PIPE_RESIZE, &resize, sizeof(resize), NULL, 0);
		if (status < 0)
			result = refuse_steering(status, AT(.pipe = pipe->name), "resizing a pipe");
	}
	if (result == DOCA_SUCCESS) {
		queues = flow.cfg.pipe_queues == 32 ? UINT32_MAX : (1u << flow.cfg.pipe_queues) - 1;
		pipe->resize_changed = nr_entries_changed_cb;
		pipe->resize_relocate = entry_relocation_cb;
		pipe->congestion_percent = new_congestion_level;
		pipe->resize_queues = queues & ~pipe->excluded_queues;
		__atomic_store_n(&pipe->nr_entries, resize.nr_entries, __ATOMIC_RELAXED);
		__atomic_store_n(&pipe->congested, false, __ATOMIC_RELAXED);
		__atomic_add_fetch(&pipe->port->resizing, 1, __ATOMIC_RELEASE);
	}
	flow_unlock();
	return result;
}

// The fast path moved the entries already; here each queue's thread gets to exchange its entries' contexts.
static void relocate(struct doca_flow_pipe *pipe, uint16_t queue)
{
	for (uint32_t id = 0, end = entries_end(); pipe->resize_relocate && id < end; id++) {
		struct doca_flow_pipe_entry *entry = entry_by_id(id);
		void *user_ctx;

		if (!entry || entry_pipe(entry) != pipe || entry->queue != queue ||
			entry->state != ENTRY_ALIVE)
			continue;
		user_ctx = entry->user_ctx;
		if (pipe->resize_relocate(pipe->user_ctx, queue, entry->user_ctx, &user_ctx) == DOCA_SUCCESS)
			entry->user_ctx = user_ctx;
	}
}

void pipe_resize_step(struct doca_flow_port *port, uint16_t queue)
{
	struct doca_flow_pipe *pipe, *next;

	flow_lock();
	for (pipe = TAILQ_FIRST(&port->pipes); pipe; pipe = next) {
		next = TAILQ_NEXT(pipe, link);
		if (!(pipe->resize_queues & 1u << queue))
			continue;
		relocate(pipe, queue);
		pipe->resize_queues &= ~(1u << queue);
		if (pipe->resize_queues)
			continue;
		__atomic_sub_fetch(&port->resizing, 1, __ATOMIC_RELEASE);
		if (pipe->resize_changed)
			(void)pipe->resize_changed(pipe->user_ctx, pipe->nr_entries);
		if (flow.cfg.pipe_cb)
			flow.cfg.pipe_cb(pipe, DOCA_FLOW_PIPE_STATUS_SUCCESS, DOCA_FLOW_PIPE_OP_RESIZED,
				pipe->user_ctx);
	}
	flow_unlock();
}

// --- hash

doca_error_t doca_flow_pipe_calc_hash(
	struct doca_flow_pipe *pipe, const struct doca_flow_match *match, uint32_t *hash)
{
	uint8_t key[STEER_KEY_MAX] = {0};
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (!pipe || !match || !hash)
		return refuse_argument(__func__, "pipe", "an argument is NULL");
	if (pipe->type != DOCA_FLOW_PIPE_HASH || !pipe->match.nr_fields)
		return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.pipe = pipe->name, .rule = "hash-type"),
			"only hash pipes with a match have a hash that can be computed");
	result = match_key(pipe, match, key);
	if (result == DOCA_SUCCESS)
		*hash = steering_hash(key, pipe->match.key_bytes);
	return result;
}
