// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Operations on connections: each is one work entry per direction; the program hears of it once, when all are done.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ct.h"
#include "entry.h"

static const uint32_t dir_flags[CT_SIDES] = {
	DOCA_FLOW_CT_ENTRY_FLAGS_DIR_ORIGIN, DOCA_FLOW_CT_ENTRY_FLAGS_DIR_REPLY};
static const uint32_t six_flags[CT_SIDES] = {
	DOCA_FLOW_CT_ENTRY_FLAGS_IPV6_ORIGIN, DOCA_FLOW_CT_ENTRY_FLAGS_IPV6_REPLY};
static const uint32_t counter_flags[CT_SIDES] = {
	DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_ORIGIN, DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_REPLY};

enum {
	COUNTERS = DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_ORIGIN | DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_REPLY,
	KNOWN_FLAGS = DOCA_FLOW_CT_ENTRY_FLAGS_STATS_UPDATES * 2 - 1,
	UPDATABLE =
		COUNTERS | DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_SHARED | DOCA_FLOW_CT_ENTRY_FLAGS_STATS_UPDATES,
};

static doca_error_t bad(
	const struct doca_flow_pipe *pipe, const char *field, const char *rule, const char *what)
{
	return refuse(
		DOCA_ERROR_INVALID_VALUE, AT(.pipe = pipe->name, .field = field, .rule = rule), "%s", what);
}

// --- what a program gives for a direction, checked before anything changes

struct ways {
	struct ct_way way[CT_SIDES];
	bool inline_action[CT_SIDES];
};

static void ways_release(struct ways *ways)
{
	for (int side = 0; side < CT_SIDES; side++)
		free(ways->way[side].args);
}

static doca_error_t compile_action(struct doca_flow_pipe *pipe, enum ct_side side,
	const struct doca_flow_ct_actions *actions, struct ct_way *way, bool *is_inline)
{
	struct ct_pipe *p = pipe->conns;

	*is_inline = false;
	way->args = NULL;
	way->shared = CT_NONE;
	way->action_idx = (uint8_t)p->none_idx;
	if (!actions || actions->resource_type == DOCA_FLOW_RESOURCE_TYPE_NONE)
		return DOCA_SUCCESS;
	if (actions->resource_type == DOCA_FLOW_RESOURCE_TYPE_NON_SHARED) {
		*is_inline = true;
		return ct_action_compile(pipe, side, actions, &way->action_idx, &way->args);
	}
	if (actions->resource_type != DOCA_FLOW_RESOURCE_TYPE_SHARED ||
		actions->action_handle >= p->nr_actions || !p->actions[actions->action_handle].used)
		return bad(pipe, "action_handle", "ct-actions", "there is no such shared action");
	way->shared = actions->action_handle;
	way->action_idx = p->actions[way->shared].action_idx;
	return DOCA_SUCCESS;
}

static doca_error_t compile_way(struct doca_flow_pipe *pipe, enum ct_side side, uint32_t flags,
	const struct doca_flow_ct_match *match, const struct doca_flow_ct_actions *actions,
	uint32_t fwd_handle, struct ct_way *way, bool *is_inline)
{
	struct steer_fwd fwd;
	uint8_t protocol;
	doca_error_t result;

	way->six = flags & six_flags[side];
	way->match = *match;
	way->fwd_handle = fwd_handle;
	protocol = way->six ? match->ipv6.next_proto : match->ipv4.next_proto;
	if (protocol != DOCA_FLOW_PROTO_TCP && protocol != DOCA_FLOW_PROTO_UDP)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "next_proto", .rule = "ct-tuple"),
			"connections are TCP or UDP, not protocol %u", protocol);
	result = ct_fwd_of(pipe, fwd_handle, &fwd);
	return result == DOCA_SUCCESS ? compile_action(pipe, side, actions, way, is_inline) : result;
}

static bool same_key(const struct ct_way way[CT_SIDES])
{
	struct steer_ct_key o, r;

	ct_key(CT_ORIGIN, &way[CT_ORIGIN].match, way[CT_ORIGIN].six, &o);
	ct_key(CT_REPLY, &way[CT_REPLY].match, way[CT_REPLY].six, &r);
	return !memcmp(&o, &r, sizeof(o));
}

static doca_error_t check_flags(const struct doca_flow_pipe *pipe, uint32_t flags)
{
	if (flags & ~(uint32_t)KNOWN_FLAGS)
		return bad(pipe, "flags", "entry-flags", "unknown bits");
	if (ct_has(DOCA_FLOW_CT_FLAG_NO_COUNTER) &&
		flags & (COUNTERS | DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_SHARED))
		return bad(
			pipe, "flags", "ct-counter", "connection tracking was initialised without counters");
	return DOCA_SUCCESS;
}

static doca_error_t check_room(const struct doca_flow_pipe *pipe, uint16_t queue, unsigned int nr)
{
	if (pipe->port->queues[queue].in_flight + nr <= flow_queue_depth(queue))
		return flow_check_connected();
	return refuse(DOCA_ERROR_AGAIN, AT(.pipe = pipe->name, .field = "queue", .rule = "queue-depth"),
		"CT queue %u holds %u operations of %u; doca_flow_ct_entries_process() makes room", queue,
		pipe->port->queues[queue].in_flight, flow_queue_depth(queue));
}

// --- posting; the pipe's lock is held

static bool wants_counter(const struct ct_conn *conn, enum ct_side side)
{
	if (ct_has(DOCA_FLOW_CT_FLAG_NO_COUNTER))
		return false;
	return conn->flags & (counter_flags[side] | DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_SHARED) ||
	       (ct_aging_on() && conn->timeout_s);
}

static void fill_request(struct entry_request *request, struct ct_conn *conn, enum ct_side side,
	uint16_t queue, uint16_t op, uint32_t flags)
{
	struct ct_way *way = &conn->way[side];
	const struct ct_pipe *p = conn->ct;

	// A changed shared action may be one of another template.
	if (way->shared != CT_NONE)
		way->action_idx = p->actions[way->shared].action_idx;
	memset(request, 0, sizeof(*request));
	request->pipe = p->pipe;
	request->queue = queue;
	request->op = op;
	request->flags = flags;
	request->action_idx = way->action_idx;
	request->index = side;
	request->args = way->shared == CT_NONE ? way->args : p->actions[way->shared].args;
	request->args_bytes = p->pipe->templates[way->action_idx].args_bytes;
	request->has_monitor = wants_counter(conn, side);
	request->monitor.flags = STEER_MON_COUNTER;
	request->has_fwd = way->fwd_handle;
	if (way->fwd_handle)
		request->fwd = p->pipe->port->ct_fwds[way->fwd_handle - 1];
	request->user_ctx = conn;
	request->tag = entry_next_tag();
}

static doca_error_t post_add(struct ct_conn *conn, enum ct_side side, uint16_t queue, uint32_t flags)
{
	struct entry_request request;
	struct steer_ct_key key;
	doca_error_t result;

	fill_request(&request, conn, side, queue, STEER_REC_ENTRY_ADD, flags);
	ct_key(side, &conn->way[side].match, conn->way[side].six, &key);
	request.key = (const uint8_t *)&key;
	request.key_bytes = sizeof(key);
	result = entry_add(&request, &conn->way[side].entry);
	if (result != DOCA_SUCCESS)
		return result;
	conn->pending++;
	// The number by which traces and lists know it.
	if (side == CT_ORIGIN || !conn->way[CT_ORIGIN].entry)
		conn->handle.id = conn->way[side].entry->id;
	return result;
}

doca_error_t ct_repost(struct ct_conn *conn, enum ct_side side, uint16_t queue, uint32_t flags)
{
	struct entry_request request;
	doca_error_t result;

	fill_request(&request, conn, side, queue, STEER_REC_ENTRY_UPDATE, flags);
	conn->way[side].refresh = false;
	result = entry_update(&request, conn->way[side].entry);
	conn->pending += result == DOCA_SUCCESS;
	return result;
}

// Flags of the nth of nr work entries: only the last one pushes.
static uint32_t push_flags(uint32_t flags, bool last)
{
	return last && flags & DOCA_FLOW_CT_ENTRY_FLAGS_NO_WAIT ? DOCA_FLOW_ENTRY_FLAGS_NO_WAIT
								: DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH;
}

static void begin(struct ct_conn *conn, enum doca_flow_entry_op op)
{
	conn->op = (uint8_t)op;
	conn->quiet = false;
	conn->handle.error = 0;
	conn->handle.status = DOCA_FLOW_ENTRY_STATUS_IN_PROCESS;
}

// --- add

// Limits that the connection counts for; taken here, given back by ct_conn_free().
static doca_error_t take_limits(struct ct_conn *conn, uint32_t flags, const struct ways *ways)
{
	struct ct_pipe *p = conn->ct;
	const struct doca_flow_pipe *pipe = p->pipe;
	bool counts[2] = {false, false};
	uint32_t zone = 0;

	for (int side = 0; side < CT_SIDES; side++)
		if (flags & dir_flags[side])
			counts[ways->way[side].six] = true;
	for (int six = 0; six < 2; six++)
		if (counts[six] && p->used[six] >= p->max[six])
			return refuse(DOCA_ERROR_FULL,
				AT(.pipe = pipe->name, .field = "connections", .rule = "ct-connections"),
				"all %u connections of IPv%d are in use", p->max[six], six ? 6 : 4);
	if (p->used_actions + ways->inline_action[CT_ORIGIN] + ways->inline_action[CT_REPLY] > p->nr_actions)
		return refuse(DOCA_ERROR_NO_MEMORY,
			AT(.pipe = pipe->name, .field = "user_actions", .rule = "ct-actions"),
			"all %u actions are in use (doca_flow_ct_cfg_set_user_actions)", p->nr_actions);
	for (int side = CT_REPLY; side >= CT_ORIGIN; side--) {
		struct steer_ct_key key;

		if (!(flags & dir_flags[side]))
			continue;
		ct_key(side, &ways->way[side].match, ways->way[side].six, &key);
		zone = key.zone;
	}
	if (!ct_zone_take(p, zone))
		return refuse(DOCA_ERROR_FULL, AT(.pipe = pipe->name, .field = "zone", .rule = "ct-zone"),
			"the zone has its %u connections", ct.cfg.zone_max);
	conn->zone = zone;
	for (int i = 0; i < 2; i++) {
		conn->counts[i] = counts[i];
		p->used[i] += counts[i];
		conn->inline_actions[i] = ways->inline_action[i];
		p->used_actions += ways->inline_action[i];
	}
	return DOCA_SUCCESS;
}

// A counter for each direction takes one of the reserve; without one both are counted together.
static uint32_t settle_counters(struct ct_conn *conn, uint32_t flags)
{
	struct ct_pipe *p = conn->ct;

	if ((flags & COUNTERS) != COUNTERS || flags & DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_SHARED ||
		conn->asymmetric)
		return flags;
	if (p->used_asymmetric >= ct.cfg.asymmetric)
		return flags | DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_SHARED;
	p->used_asymmetric++;
	conn->asymmetric = true;
	return flags;
}

// The way takes what was given; its hash stays.
static void take_way(struct ct_way *to, struct ct_way *from)
{
	uint32_t hash = to->hash;

	*to = *from;
	to->hash = hash;
	from->args = NULL;
}

static doca_error_t post_ways(struct ct_conn *conn, uint32_t flags)
{
	doca_error_t result = DOCA_SUCCESS;

	conn->state = CT_ADDING;
	begin(conn, DOCA_FLOW_ENTRY_OP_ADD);
	for (int side = 0; side < CT_SIDES && result == DOCA_SUCCESS; side++) {
		bool last = side == CT_REPLY || !(flags & dir_flags[CT_REPLY]);

		if (flags & dir_flags[side])
			result = post_add(conn, side, conn->queue, push_flags(flags, last));
	}
	// One direction is on its way already: the program learns of the other's failure from the callback.
	if (result != DOCA_SUCCESS && conn->pending) {
		conn->handle.error = -EAGAIN;
		result = DOCA_SUCCESS;
	}
	return result;
}

static doca_error_t add_locked(struct ct_conn *conn, uint16_t queue, uint32_t flags, struct ways *ways,
	uint32_t timeout_s, void *usr_ctx)
{
	const uint32_t kept = conn->flags;
	doca_error_t result;

	if (conn->state != CT_PREPARED)
		return ct_refuse_state("doca_flow_ct_add_entry", conn);
	result = check_room(conn->ct->pipe, queue, CT_SIDES);
	if (result == DOCA_SUCCESS)
		result = take_limits(conn, flags, ways);
	if (result != DOCA_SUCCESS)
		return result;
	ct_filter_forget(conn);
	for (int side = 0; side < CT_SIDES; side++)
		take_way(&conn->way[side], &ways->way[side]);
	conn->flags = kept | settle_counters(conn, flags);
	conn->queue = conn->handle.queue = queue;
	conn->timeout_s = timeout_s;
	conn->handle.user_ctx = usr_ctx;
	ct_filter_note(conn);
	result = post_ways(conn, flags);
	if (result != DOCA_SUCCESS)
		ct_conn_free(conn);
	return result;
}

doca_error_t doca_flow_ct_add_entry(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
	struct doca_flow_ct_match *match_origin, struct doca_flow_ct_match *match_reply,
	const struct doca_flow_ct_actions *actions_origin, const struct doca_flow_ct_actions *actions_reply,
	uint32_t fwd_handle_origin, uint32_t fwd_handle_reply, uint32_t timeout_s, void *usr_ctx,
	struct doca_flow_pipe_entry *entry)
{
	const struct doca_flow_ct_actions *const actions[CT_SIDES] = {actions_origin, actions_reply};
	const struct doca_flow_ct_match *match[CT_SIDES] = {match_origin, match_reply};
	const uint32_t fwd[CT_SIDES] = {fwd_handle_origin, fwd_handle_reply};
	struct doca_flow_ct_match reversed;
	struct ways ways = {0};
	struct ct_conn *conn;
	doca_error_t result = ct_conn_of(__func__, queue, pipe, entry, &conn);

	if (result == DOCA_SUCCESS)
		result = check_flags(pipe, flags);
	if (result != DOCA_SUCCESS)
		return result;
	if (!(flags & (dir_flags[CT_ORIGIN] | dir_flags[CT_REPLY])))
		return bad(pipe, "flags", "entry-flags", "neither DIR_ORIGIN nor DIR_REPLY");
	if (!match_origin)
		return refuse_argument(__func__, "match_origin", "is NULL");
	if (!match_reply) {
		bool six = flags & six_flags[CT_ORIGIN];

		ct_reverse(match_origin, six, &reversed);
		match[CT_REPLY] = &reversed;
		flags = six ? flags | six_flags[CT_REPLY] : flags & ~six_flags[CT_REPLY];
	}
	pthread_mutex_lock(&pipe->conns->lock);
	for (int side = 0; side < CT_SIDES && result == DOCA_SUCCESS; side++) {
		if (flags & dir_flags[side]) {
			result = compile_way(pipe, side, flags, match[side], actions[side], fwd[side],
				&ways.way[side], &ways.inline_action[side]);
			continue;
		}
		ways.way[side].match = *match[side];
		ways.way[side].six = flags & six_flags[side];
		ways.way[side].shared = CT_NONE;
	}
	if (result == DOCA_SUCCESS && same_key(ways.way))
		result = bad(pipe, "match", "ct-tuple", "origin and reply are the same tuple");
	if (result == DOCA_SUCCESS)
		result = add_locked(conn, queue, flags, &ways, timeout_s, usr_ctx);
	ways_release(&ways);
	pthread_mutex_unlock(&pipe->conns->lock);
	return result;
}

doca_error_t doca_flow_ct_entry_add_dir(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
	struct doca_flow_ct_match *match, const struct doca_flow_ct_actions *actions, uint32_t fwd_handle,
	struct doca_flow_pipe_entry *entry)
{
	const uint32_t both = dir_flags[CT_ORIGIN] | dir_flags[CT_REPLY];
	enum ct_side side = flags & dir_flags[CT_REPLY] ? CT_REPLY : CT_ORIGIN;
	struct ct_way way = {0};
	bool is_inline = false;
	struct ct_conn *conn;
	doca_error_t result = ct_conn_of(__func__, queue, pipe, entry, &conn);

	if (result == DOCA_SUCCESS)
		result = check_flags(pipe, flags);
	if (result != DOCA_SUCCESS)
		return result;
	if (!match)
		return refuse_argument(__func__, "match", "is NULL");
	if ((flags & both) == both || !(flags & both))
		return bad(pipe, "flags", "entry-flags", "it adds one direction: DIR_ORIGIN or DIR_REPLY");
	pthread_mutex_lock(&pipe->conns->lock);
	if (conn->state != CT_ALIVE || conn->pending)
		result = ct_refuse_state(__func__, conn);
	else if (conn->way[side].entry)
		result = refuse(DOCA_ERROR_ALREADY_EXIST,
			AT(.pipe = pipe->name, .field = "flags", .rule = "ct-state"),
			"the connection has this direction");
	if (result == DOCA_SUCCESS)
		result = check_room(pipe, queue, 1);
	if (result == DOCA_SUCCESS)
		result = compile_way(pipe, side, flags, match, actions, fwd_handle, &way, &is_inline);
	if (result == DOCA_SUCCESS && pipe->conns->used_actions + is_inline > pipe->conns->nr_actions)
		result = refuse(DOCA_ERROR_NO_MEMORY,
			AT(.pipe = pipe->name, .field = "user_actions", .rule = "ct-actions"),
			"all %u actions are in use", pipe->conns->nr_actions);
	if (result == DOCA_SUCCESS) {
		ct_filter_forget(conn);
		free(conn->way[side].args);
		take_way(&conn->way[side], &way);
		conn->flags = settle_counters(conn,
			conn->flags | (flags & (dir_flags[side] | six_flags[side] | counter_flags[side])));
		// One that a failed attempt has taken goes back.
		pipe->conns->used_actions -= conn->inline_actions[side];
		pipe->conns->used_actions += is_inline;
		conn->inline_actions[side] = is_inline;
		ct_filter_note(conn);
		begin(conn, DOCA_FLOW_ENTRY_OP_ADD);
		result = post_add(conn, side, queue, push_flags(flags, true));
	}
	free(way.args);
	pthread_mutex_unlock(&pipe->conns->lock);
	return result;
}

// --- update

void ct_set_timeout(struct ct_conn *conn, uint32_t timeout_s)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	conn->timeout_s = timeout_s;
	conn->idle_since_s = (uint64_t)now.tv_sec;
	conn->aged = false;
	if (conn->aged_listed)
		TAILQ_REMOVE(&conn->ct->aged[conn->queue], conn, by_aged);
	conn->aged_listed = false;
	ct_aging_note(conn);
}

// Compiles the new actions of a direction, and takes them only when `commit`.
static doca_error_t update_way(struct ct_conn *conn, enum ct_side side,
	const struct doca_flow_ct_actions *actions, uint32_t fwd_handle, bool chosen, struct ways *ways)
{
	struct doca_flow_pipe *pipe = conn->ct->pipe;
	struct ct_way *way = &ways->way[side];
	struct steer_fwd fwd;
	doca_error_t result;

	*way = conn->way[side];
	ways->inline_action[side] = conn->inline_actions[side];
	if (chosen || fwd_handle)
		way->fwd_handle = fwd_handle;
	result = ct_fwd_of(pipe, way->fwd_handle, &fwd);
	way->args = NULL;
	if (result == DOCA_SUCCESS && actions)
		result = compile_action(pipe, side, actions, way, &ways->inline_action[side]);
	return result;
}

static void take_update(struct ct_conn *conn, enum ct_side side, bool new_actions, struct ways *ways)
{
	struct ct_way *to = &conn->way[side], *from = &ways->way[side];

	to->fwd_handle = from->fwd_handle;
	if (!new_actions)
		return;
	free(to->args);
	to->args = from->args;
	from->args = NULL;
	to->shared = from->shared;
	to->action_idx = from->action_idx;
	conn->ct->used_actions += ways->inline_action[side];
	conn->ct->used_actions -= conn->inline_actions[side];
	conn->inline_actions[side] = ways->inline_action[side];
}

doca_error_t doca_flow_ct_update_entry(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
	struct doca_flow_pipe_entry *entry, const struct doca_flow_ct_actions *actions_origin,
	const struct doca_flow_ct_actions *actions_reply, uint32_t fwd_handle_origin,
	uint32_t fwd_handle_reply, uint32_t timeout_s)
{
	const struct doca_flow_ct_actions *const actions[CT_SIDES] = {actions_origin, actions_reply};
	const uint32_t fwd[CT_SIDES] = {fwd_handle_origin, fwd_handle_reply};
	struct ways ways = {0};
	struct ct_conn *conn;
	doca_error_t result = ct_conn_of(__func__, queue, pipe, entry, &conn);

	if (result == DOCA_SUCCESS)
		result = check_flags(pipe, flags);
	if (result != DOCA_SUCCESS)
		return result;
	pthread_mutex_lock(&pipe->conns->lock);
	if (conn->state != CT_ALIVE || conn->pending)
		result = ct_refuse_state(__func__, conn);
	else
		result = check_room(pipe, queue, CT_SIDES);
	for (int side = 0; side < CT_SIDES && result == DOCA_SUCCESS; side++)
		result = update_way(conn, side, actions[side], fwd[side], flags & dir_flags[side], &ways);
	if (result == DOCA_SUCCESS &&
		pipe->conns->used_actions + ways.inline_action[CT_ORIGIN] + ways.inline_action[CT_REPLY] >
			pipe->conns->nr_actions + conn->inline_actions[CT_ORIGIN] +
				conn->inline_actions[CT_REPLY])
		result = refuse(DOCA_ERROR_NO_MEMORY,
			AT(.pipe = pipe->name, .field = "user_actions", .rule = "ct-actions"),
			"all %u actions are in use", pipe->conns->nr_actions);
	if (result == DOCA_SUCCESS) {
		ct_set_timeout(conn, timeout_s);
		conn->flags = settle_counters(conn, conn->flags | (flags & UPDATABLE));
		begin(conn, DOCA_FLOW_ENTRY_OP_UPD);
	}
	for (int side = 0; side < CT_SIDES && result == DOCA_SUCCESS; side++) {
		take_update(conn, side, actions[side], &ways);
		if (conn->way[side].entry)
			result = ct_repost(conn, side, queue,
				push_flags(flags, side == CT_REPLY || !conn->way[CT_REPLY].entry));
	}
	ways_release(&ways);
	pthread_mutex_unlock(&pipe->conns->lock);
	return result;
}

// --- remove

doca_error_t ct_post_removals(struct ct_conn *conn, uint16_t queue, uint32_t flags)
{
	doca_error_t result = DOCA_SUCCESS;

	for (int side = 0; side < CT_SIDES; side++) {
		bool last = side == CT_REPLY || !conn->way[CT_REPLY].entry;

		if (!conn->way[side].entry)
			continue;
		result = entry_remove(queue, push_flags(flags, last), conn->way[side].entry);
		conn->pending += result == DOCA_SUCCESS;
	}
	return conn->pending ? DOCA_SUCCESS : result;
}

doca_error_t doca_flow_ct_rm_entry(
	uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags, struct doca_flow_pipe_entry *entry)
{
	struct ct_conn *conn;
	doca_error_t result = ct_conn_of(__func__, queue, pipe, entry, &conn);

	if (result != DOCA_SUCCESS)
		return result;
	pthread_mutex_lock(&pipe->conns->lock);
	if (conn->state != CT_ALIVE || conn->pending)
		result = ct_refuse_state(__func__, conn);
	else
		result = check_room(pipe, queue, CT_SIDES);
	if (result == DOCA_SUCCESS) {
		// The fast path frees the counters with the entries: what they say now is the final count.
		struct doca_flow_resource_query data[CT_SIDES];

		ct_conn_read(conn, data);
		ct_conn_look(conn, data);
		memcpy(conn->last, data, sizeof(data));
		result = ct_post_removals(conn, queue, flags);
	}
	if (result == DOCA_SUCCESS) {
		conn->final = true;
		conn->state = CT_REMOVING;
		begin(conn, DOCA_FLOW_ENTRY_OP_DEL);
		ct_aging_note(conn);
	}
	pthread_mutex_unlock(&pipe->conns->lock);
	return result;
}
