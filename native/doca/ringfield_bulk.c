// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// doca_flow_ringfield.h: many entries in one call. Entries are marked quiet, so that their results cause no callbacks but
// are collected here.

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "complete.h"
#include "entry.h"
#include "fwd.h"
#include "monitor.h"
#include "rows.h"

enum { PUSH_EVERY = 32, DEFAULT_TIMEOUT_US = 60000000 };

struct run {
	struct doca_flow_ringfield_bulk *bulk;
	struct doca_flow_pipe *pipe;
	uint64_t deadline_us;
	uint32_t settled;   // rows below this are finished
	doca_error_t first; // error
	struct doca_flow_ringfield_error why;
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void row_result(struct run *run, uint32_t row, doca_error_t result)
{
	if (run->bulk->results)
		run->bulk->results[row] = result;
	if (result == DOCA_SUCCESS) {
		run->bulk->nr_done++;
	} else if (run->first == DOCA_SUCCESS) {
		run->first = result;
		doca_flow_ringfield_last_error_get(&run->why);
	}
}

// Takes note of a row's result. False: it has not come.
static bool settle_row(struct run *run, uint32_t row)
{
	struct doca_flow_ringfield_bulk *bulk = run->bulk;
	struct doca_flow_pipe_entry *entry = bulk->entries[row];

	if (!entry || !entry->quiet)
		return true; // refused at once
	if (entry->in_flight)
		return false;
	entry->quiet = false;
	if (entry->error) {
		struct doca_flow_ringfield_error error;

		doca_flow_ringfield_entry_error(entry, &error);
		refuse(error.code, AT(.pipe = run->pipe->name, .rule = error.rule), "%s", error.reason);
		row_result(run, row, error.code);
	} else {
		row_result(run, row, DOCA_SUCCESS);
	}
	if (entry->state == ENTRY_ZOMBIE) {
		entry_release(entry, bulk->pipe_queue);
		bulk->entries[row] = NULL;
	}
	return true;
}

// Takes note of the rows, in order, whose results have come.
static void settle(struct run *run, uint32_t posted)
{
	while (run->settled < posted && settle_row(run, run->settled))
		run->settled++;
}

// Pushes and collects until the queue has room again, or everything is there.
static doca_error_t advance(struct run *run, uint32_t posted, bool all)
{
	struct port_queue *queue = &run->pipe->port->queues[run->bulk->pipe_queue];
	doca_error_t result = DOCA_SUCCESS;

	steering_push(flow.client, run->bulk->pipe_queue);
	settle(run, posted);
	while (result == DOCA_SUCCESS &&
		(all ? run->settled < posted : queue->in_flight + PUSH_EVERY > flow.cfg.queue_depth)) {
		uint64_t now = now_us();

		if (now >= run->deadline_us)
			return refuse(DOCA_ERROR_TIME_OUT, AT(.pipe = run->pipe->name, .rule = "bulk"),
				"%u of %u entries were completed in time", run->settled, run->bulk->nr);
		result = complete_process(
			run->pipe->port, run->bulk->pipe_queue, run->deadline_us - now, PUSH_EVERY);
		settle(run, posted);
		if (!all && queue->in_flight < flow.cfg.queue_depth)
			break;
	}
	return result;
}

static doca_error_t check(const char *function, struct run *run, struct doca_flow_ringfield_bulk *bulk)
{
	doca_error_t result = flow_check_state(function);
	struct doca_flow_pipe *pipe;

	if (result != DOCA_SUCCESS)
		return result;
	if (!bulk || !bulk->pipe || (bulk->nr && !bulk->entries))
		return refuse_argument(function, "bulk", "it, its pipe or its entries are NULL");
	pipe = bulk->pipe;
	result = entry_check(function, bulk->pipe_queue, pipe, pipe->type, 0);
	if (result != DOCA_SUCCESS)
		return result;
	if (pipe->type == DOCA_FLOW_PIPE_CONTROL || pipe->type == DOCA_FLOW_PIPE_ORDERED_LIST ||
		pipe->type == DOCA_FLOW_PIPE_CT)
		return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.pipe = pipe->name, .rule = "rows"),
			"entries of control, ordered list and CT pipes have no common layout");
	if (bulk->fwd_of_row && !bulk->fwds)
		return refuse_argument(function, "fwds", "is NULL, but fwd_of_row is not");
	memset(run, 0, sizeof(*run));
	run->bulk = bulk;
	run->pipe = pipe;
	run->deadline_us = now_us() + (bulk->timeout_us ? bulk->timeout_us : (uint64_t)DEFAULT_TIMEOUT_US);
	bulk->nr_done = 0;
	return DOCA_SUCCESS;
}

static doca_error_t finish(struct run *run, doca_error_t result, uint32_t posted)
{
	if (result == DOCA_SUCCESS)
		result = advance(run, posted, true);
	if (result != DOCA_SUCCESS) {
		// What is still under way becomes an ordinary entry; its callback will tell. A queue is in order, but what was
		// refused at once stands between.
		for (uint32_t row = run->settled; row < run->bulk->nr; row++) {
			if (row < posted && settle_row(run, row))
				continue;
			if (row < posted)
				run->bulk->entries[row]->quiet = false;
			if (run->bulk->results)
				run->bulk->results[row] = result;
		}
		return result;
	}
	if (run->first != DOCA_SUCCESS)
		refuse(run->first, AT(.pipe = run->why.pipe, .field = run->why.field, .rule = run->why.rule),
			"%s", run->why.reason);
	return run->first;
}

// What all rows have in common, and the forwards of each.
struct common {
	struct entry_request request;
	struct steer_fwd *fwds;
	bool *has_fwd;
};

static doca_error_t prepare(struct common *common, struct run *run, uint16_t op)
{
	const struct doca_flow_ringfield_bulk *bulk = run->bulk;
	uint32_t nr = bulk->fwds ? bulk->nr_fwds ? bulk->nr_fwds : 1 : 1;
	doca_error_t result = DOCA_SUCCESS;

	memset(common, 0, sizeof(*common));
	common->request = (struct entry_request){.pipe = run->pipe,
		.queue = bulk->pipe_queue,
		.op = op,
		.flags = DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH,
		.action_idx = bulk->action_idx,
		.quiet = true,
		.tag = entry_next_tag()};
	if (bulk->action_idx >= run->pipe->nr_templates)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = run->pipe->name, .field = "action_idx", .rule = "action-index"),
			"%u: the pipe has %u action templates", bulk->action_idx, run->pipe->nr_templates);
	common->request.args_bytes = run->pipe->templates[bulk->action_idx].args_bytes;
	if (common->request.args_bytes && !bulk->args)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = run->pipe->name, .field = "args", .rule = "actions-missing"),
			"the action template takes %u bytes from each entry", common->request.args_bytes);
	result = monitor_of_entry(
		run->pipe, bulk->monitor, &common->request.monitor, &common->request.has_monitor);
	if (result != DOCA_SUCCESS)
		return result;
	common->fwds = calloc(nr, sizeof(*common->fwds));
	common->has_fwd = calloc(nr, sizeof(*common->has_fwd));
	if (!common->fwds || !common->has_fwd)
		result = refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
	for (uint32_t i = 0; i < nr && result == DOCA_SUCCESS; i++)
		result = fwd_of_entry(
			run->pipe, bulk->fwds ? &bulk->fwds[i] : NULL, &common->fwds[i], &common->has_fwd[i]);
	return result;
}

static void unprepare(struct common *common)
{
	free(common->fwds);
	free(common->has_fwd);
}

static doca_error_t fill_row(struct common *common, const struct doca_flow_ringfield_bulk *bulk, uint32_t row)
{
	uint32_t fwd = bulk->fwd_of_row ? bulk->fwd_of_row[row] : 0;

	if (bulk->fwd_of_row && fwd >= bulk->nr_fwds)
		return refuse_argument("doca_flow_ringfield_bulk", "fwd_of_row", "row %u: %u of %u", row, fwd,
			bulk->nr_fwds);
	common->request.fwd = common->fwds[fwd];
	common->request.has_fwd = common->has_fwd[fwd];
	common->request.args = bulk->args ? bulk->args + (size_t)row * common->request.args_bytes : NULL;
	if (bulk->tags)
		common->request.tag = bulk->tags[row];
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ringfield_bulk_add(struct doca_flow_ringfield_bulk *bulk)
{
	uint8_t key[3 * STEER_KEY_MAX];
	struct common common;
	struct run run;
	uint32_t row = 0, row_bytes;
	doca_error_t result = check(__func__, &run, bulk);

	if (result != DOCA_SUCCESS)
		return result;
	row_bytes = rows_key_bytes(run.pipe);
	if (row_bytes && bulk->nr && !bulk->keys)
		return refuse_argument(__func__, "keys", "is NULL");
	if (run.pipe->type == DOCA_FLOW_PIPE_ACL && bulk->nr && !bulk->priorities)
		return refuse_argument(__func__, "priorities", "is NULL, an ACL pipe needs them");
	if (bulk->nr)
		memset(bulk->entries, 0, bulk->nr * sizeof(struct doca_flow_pipe_entry *));
	result = prepare(&common, &run, STEER_REC_ENTRY_ADD);
	common.request.key = key;
	common.request.key_bytes = run.pipe->type == DOCA_FLOW_PIPE_HASH ? 0 : run.pipe->match.key_bytes;
	for (; row < bulk->nr && result == DOCA_SUCCESS; row++) {
		doca_error_t one = fill_row(&common, bulk, row);

		if (run.pipe->port->queues[bulk->pipe_queue].in_flight >= flow.cfg.queue_depth ||
			row % 256 == 255)
			result = advance(&run, row, false);
		if (result != DOCA_SUCCESS)
			break;
		if (one == DOCA_SUCCESS && row_bytes)
			one = rows_to_key(run.pipe, bulk->keys + (size_t)row * row_bytes,
				bulk->masks ? bulk->masks + (size_t)row * row_bytes : NULL, key);
		common.request.priority = bulk->priorities ? bulk->priorities[row] : 0;
		common.request.index = row;
		if (one == DOCA_SUCCESS && common.request.priority > FLOW_ACL_PRIORITY_MAX)
			one = refuse(DOCA_ERROR_INVALID_VALUE,
				AT(.pipe = run.pipe->name, .field = "priority", .rule = "acl-priority"),
				"row %u: %u is not in 0 .. %d", row, common.request.priority,
				FLOW_ACL_PRIORITY_MAX);
		if (one == DOCA_SUCCESS)
			one = entry_add(&common.request, &bulk->entries[row]);
		while (one == DOCA_ERROR_AGAIN && result == DOCA_SUCCESS) {
			result = advance(&run, row, true);
			if (result == DOCA_SUCCESS)
				one = entry_add(&common.request, &bulk->entries[row]);
		}
		if (one != DOCA_SUCCESS)
			row_result(&run, row, one);
		if (row % PUSH_EVERY == PUSH_EVERY - 1)
			steering_push(flow.client, bulk->pipe_queue);
	}
	unprepare(&common);
	return finish(&run, result, row);
}

// One operation on each entry of the list.
static doca_error_t each_entry(const char *function, struct run *run, struct common *common)
{
	struct doca_flow_ringfield_bulk *bulk = run->bulk;
	doca_error_t result = DOCA_SUCCESS;
	uint32_t row = 0;

	for (; row < bulk->nr && result == DOCA_SUCCESS; row++) {
		struct doca_flow_pipe_entry *entry = bulk->entries[row];
		doca_error_t one = entry_check_alive(function, entry, run->pipe);

		if (run->pipe->port->queues[bulk->pipe_queue].in_flight >= flow.cfg.queue_depth ||
			row % 256 == 255)
			result = advance(run, row, false);
		if (result != DOCA_SUCCESS)
			break;
		if (one == DOCA_SUCCESS && common)
			one = fill_row(common, bulk, row);
		do {
			if (one == DOCA_ERROR_AGAIN)
				result = advance(run, row, true);
			if (one == DOCA_SUCCESS || (one == DOCA_ERROR_AGAIN && result == DOCA_SUCCESS)) {
				one = common ? entry_update(&common->request, entry)
					     : entry_remove(bulk->pipe_queue,
						       DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, entry);
				if (one == DOCA_SUCCESS)
					entry->quiet = true;
			}
		} while (one == DOCA_ERROR_AGAIN && result == DOCA_SUCCESS);
		if (one != DOCA_SUCCESS)
			row_result(run, row, one);
		if (row % PUSH_EVERY == PUSH_EVERY - 1)
			steering_push(flow.client, bulk->pipe_queue);
	}
	return finish(run, result, row);
}

doca_error_t doca_flow_ringfield_bulk_update(struct doca_flow_ringfield_bulk *bulk)
{
	struct common common;
	struct run run;
	doca_error_t result = check(__func__, &run, bulk);

	if (result != DOCA_SUCCESS)
		return result;
	result = prepare(&common, &run, STEER_REC_ENTRY_UPDATE);
	if (result == DOCA_SUCCESS)
		result = each_entry(__func__, &run, &common);
	unprepare(&common);
	return result;
}

doca_error_t doca_flow_ringfield_bulk_remove(struct doca_flow_ringfield_bulk *bulk)
{
	struct run run;
	doca_error_t result = check(__func__, &run, bulk);

	return result == DOCA_SUCCESS ? each_entry(__func__, &run, NULL) : result;
}
