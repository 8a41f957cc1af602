// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Entries of pipes that have templates: BASIC, LPM, ACL and HASH. They differ in how the key is made, nothing else.

#include <string.h>

#include "actions.h"
#include "entry.h"
#include "fwd.h"
#include "match.h"
#include "monitor.h"

// Room for one entry's key and arguments.
struct buffers {
	uint8_t key[3 * STEER_KEY_MAX];
	uint8_t args[STEER_ARGS_MAX];
};

static doca_error_t fill_actions(
	struct entry_request *request, struct buffers *buffers, const struct doca_flow_actions *actions)
{
	struct doca_flow_pipe *pipe = request->pipe;

	if (request->action_idx >= pipe->nr_templates)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "action_idx", .rule = "action-index"),
			"%u: the pipe has %u action templates", request->action_idx, pipe->nr_templates);
	request->args = buffers->args;
	request->args_bytes = pipe->templates[request->action_idx].args_bytes;
	return actions_args(pipe->name, &pipe->templates[request->action_idx], actions, buffers->args);
}

static doca_error_t fill_rest(struct entry_request *request, struct buffers *buffers,
	const struct doca_flow_actions *actions, const struct doca_flow_monitor *monitor,
	const struct doca_flow_fwd *fwd)
{
	doca_error_t result = fill_actions(request, buffers, actions);

	if (result == DOCA_SUCCESS)
		result = monitor_of_entry(request->pipe, monitor, &request->monitor, &request->has_monitor);
	if (result == DOCA_SUCCESS)
		result = fwd_of_entry(request->pipe, fwd, &request->fwd, &request->has_fwd);
	return result;
}

static doca_error_t check_added(
	const char *function, const struct doca_flow_pipe *pipe, const struct doca_flow_match *match)
{
	if (!match && pipe->match.key_bytes)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "match", .rule = "argument"),
			"%s(): match is NULL, but the pipe matches fields of its entries", function);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_basic_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, uint8_t action_idx, const struct doca_flow_actions *actions,
	const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd, uint32_t flags,
	void *usr_ctx, struct doca_flow_pipe_entry **entry)
{
	struct entry_request request = {.pipe = pipe,
		.queue = pipe_queue,
		.op = STEER_REC_ENTRY_ADD,
		.flags = flags,
		.action_idx = action_idx,
		.user_ctx = usr_ctx,
		.tag = entry_next_tag()};
	struct buffers buffers;
	doca_error_t result = entry_check(__func__, pipe_queue, pipe, DOCA_FLOW_PIPE_BASIC, flags);

	if (result == DOCA_SUCCESS)
		result = check_added(__func__, pipe, match);
	if (result == DOCA_SUCCESS && match) {
		request.key = buffers.key;
		request.key_bytes = pipe->match.key_bytes;
		result = match_key(pipe, match, buffers.key);
	}
	if (result == DOCA_SUCCESS)
		result = fill_rest(&request, &buffers, actions, monitor, fwd);
	return result == DOCA_SUCCESS ? entry_add(&request, entry) : result;
}

doca_error_t doca_flow_pipe_lpm_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, const struct doca_flow_match *match_mask, uint8_t action_idx,
	const struct doca_flow_actions *actions, const struct doca_flow_monitor *monitor,
	const struct doca_flow_fwd *fwd, uint32_t flags, void *usr_ctx, struct doca_flow_pipe_entry **entry)
{
	struct entry_request request = {.pipe = pipe,
		.queue = pipe_queue,
		.op = STEER_REC_ENTRY_ADD,
		.flags = flags,
		.action_idx = action_idx,
		.user_ctx = usr_ctx,
		.tag = entry_next_tag()};
	struct buffers buffers;
	doca_error_t result = entry_check(__func__, pipe_queue, pipe, DOCA_FLOW_PIPE_LPM, flags);

	if (result == DOCA_SUCCESS)
		result = check_added(__func__, pipe, match);
	if (result == DOCA_SUCCESS) {
		request.key = buffers.key;
		request.key_bytes = pipe->match.key_bytes;
		result = match_key_lpm(pipe, match, match_mask, buffers.key);
	}
	if (result == DOCA_SUCCESS)
		result = fill_rest(&request, &buffers, actions, monitor, fwd);
	return result == DOCA_SUCCESS ? entry_add(&request, entry) : result;
}

doca_error_t doca_flow_pipe_acl_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, const struct doca_flow_match *match_mask, uint8_t action_idx,
	const struct doca_flow_actions *actions, const uint32_t priority, const struct doca_flow_fwd *fwd,
	uint32_t flags, void *usr_ctx, struct doca_flow_pipe_entry **entry)
{
	static const struct doca_flow_match any;
	struct entry_request request = {.pipe = pipe,
		.queue = pipe_queue,
		.op = STEER_REC_ENTRY_ADD,
		.flags = flags,
		.action_idx = action_idx,
		.priority = priority,
		.user_ctx = usr_ctx,
		.tag = entry_next_tag()};
	struct buffers buffers;
	doca_error_t result = entry_check(__func__, pipe_queue, pipe, DOCA_FLOW_PIPE_ACL, flags);

	if (result == DOCA_SUCCESS && priority > FLOW_ACL_PRIORITY_MAX)
		result = refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "priority", .rule = "acl-priority"),
			"%u is not in 0 .. %d", priority, FLOW_ACL_PRIORITY_MAX);
	if (result == DOCA_SUCCESS)
		result = check_added(__func__, pipe, match);
	if (result == DOCA_SUCCESS) {
		request.key = buffers.key;
		request.key_bytes = pipe->match.key_bytes;
		result = match_key_acl(
			pipe, match ? match : &any, match_mask ? match_mask : &any, buffers.key);
	}
	if (result == DOCA_SUCCESS)
		result = fill_rest(&request, &buffers, actions, NULL, fwd);
	return result == DOCA_SUCCESS ? entry_add(&request, entry) : result;
}

// All entries of a flooding pipe have one type of forward: the first entry's.
static doca_error_t check_flooding(struct doca_flow_pipe *pipe, const struct doca_flow_fwd *fwd)
{
	uint8_t first = 0, mine = fwd ? (uint8_t)fwd->type : 0;

	if (pipe->algorithm != STEER_HASH_FLOODING || !mine)
		return DOCA_SUCCESS;
	if (__atomic_compare_exchange_n(
		    &pipe->flood_fwd, &first, mine, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED) ||
		first == mine)
		return DOCA_SUCCESS;
	return refuse(DOCA_ERROR_INVALID_VALUE,
		AT(.pipe = pipe->name, .field = "fwd", .rule = "flooding-fwd"),
		"all entries of a flooding pipe have one type of forward");
}

doca_error_t doca_flow_pipe_hash_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint32_t entry_index, uint8_t action_idx, const struct doca_flow_actions *actions,
	const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd, uint32_t flags,
	void *usr_ctx, struct doca_flow_pipe_entry **entry)
{
	struct entry_request request = {.pipe = pipe,
		.queue = pipe_queue,
		.op = STEER_REC_ENTRY_ADD,
		.flags = flags,
		.action_idx = action_idx,
		.index = entry_index,
		.user_ctx = usr_ctx,
		.tag = entry_next_tag()};
	struct buffers buffers;
	doca_error_t result = entry_check(__func__, pipe_queue, pipe, DOCA_FLOW_PIPE_HASH, flags);

	if (result == DOCA_SUCCESS && entry_index >= pipe->nr_entries)
		result = refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "entry_index", .rule = "hash-index"),
			"%u: the pipe has %u entries", entry_index, pipe->nr_entries);
	if (result == DOCA_SUCCESS)
		result = fill_rest(&request, &buffers, actions, monitor, fwd);
	if (result == DOCA_SUCCESS)
		result = check_flooding(pipe, fwd);
	return result == DOCA_SUCCESS ? entry_add(&request, entry) : result;
}

// --- updates

static doca_error_t update(const char *function, enum doca_flow_pipe_type type, uint16_t queue,
	struct doca_flow_pipe *pipe, uint8_t action_idx, const struct doca_flow_actions *actions,
	const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd, uint32_t flags,
	struct doca_flow_pipe_entry *entry)
{
	struct entry_request request = {.pipe = pipe,
		.queue = queue,
		.op = STEER_REC_ENTRY_UPDATE,
		.flags = flags,
		.action_idx = action_idx,
		.tag = entry_next_tag()};
	struct buffers buffers;
	doca_error_t result = entry_check(function, queue, pipe, type, flags);

	if (result == DOCA_SUCCESS)
		result = entry_check_alive(function, entry, pipe);
	if (result == DOCA_SUCCESS)
		result = fill_rest(&request, &buffers, actions, monitor, fwd);
	return result == DOCA_SUCCESS ? entry_update(&request, entry) : result;
}

doca_error_t doca_flow_pipe_basic_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint8_t action_idx, const struct doca_flow_actions *actions, const struct doca_flow_monitor *monitor,
	const struct doca_flow_fwd *fwd, uint32_t flags, struct doca_flow_pipe_entry *entry)
{
	return update(__func__, DOCA_FLOW_PIPE_BASIC, pipe_queue, pipe, action_idx, actions, monitor, fwd,
		flags, entry);
}

doca_error_t doca_flow_pipe_lpm_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint8_t action_idx, const struct doca_flow_actions *actions, const struct doca_flow_monitor *monitor,
	const struct doca_flow_fwd *fwd, uint32_t flags, struct doca_flow_pipe_entry *entry)
{
	return update(__func__, DOCA_FLOW_PIPE_LPM, pipe_queue, pipe, action_idx, actions, monitor, fwd,
		flags, entry);
}

doca_error_t doca_flow_pipe_acl_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint8_t action_idx, const struct doca_flow_actions *actions, const struct doca_flow_fwd *fwd,
	uint32_t flags, struct doca_flow_pipe_entry *entry)
{
	return update(
		__func__, DOCA_FLOW_PIPE_ACL, pipe_queue, pipe, action_idx, actions, NULL, fwd, flags, entry);
}
