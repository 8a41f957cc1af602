// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Results of operations on connections: the program hears of one when all of its directions are done.

#include "complete.h"
#include "ct.h"
#include "entry.h"

enum { WAIT_US = 2000000 };

// All directions are done. Returns whether the program is to hear of it; *gone: the connection is.
static bool settle(struct ct_conn *conn, uint16_t queue, bool *gone)
{
	bool failed = conn->handle.error < 0;

	*gone = false;
	if (conn->state == CT_REMOVING) {
		// A removal that failed, in a transaction that was undone for one, leaves the connection as it was.
		*gone = !conn->way[CT_ORIGIN].entry && !conn->way[CT_REPLY].entry;
		if (!*gone) {
			conn->state = CT_ALIVE;
			conn->final = false;
			ct_aging_note(conn);
		}
	} else if (conn->state == CT_ADDING && failed) {
		conn->state = CT_REMOVING;
		conn->add_failed = true;
		*gone = !conn->way[CT_ORIGIN].entry && !conn->way[CT_REPLY].entry;
		// The direction that came through goes again, quietly.
		if (!*gone && ct_post_removals(conn, queue, DOCA_FLOW_CT_ENTRY_FLAGS_NO_WAIT) == DOCA_SUCCESS)
			return false;
		*gone = true;
	} else if (conn->state == CT_ADDING) {
		conn->state = CT_ALIVE;
		ct_set_timeout(conn, conn->timeout_s);
	}
	conn->handle.status = failed ? DOCA_FLOW_ENTRY_STATUS_ERROR : DOCA_FLOW_ENTRY_STATUS_SUCCESS;
	return true;
}

// What the shared actions of the connection have become while it was busy.
static void refresh(struct ct_conn *conn, uint16_t queue)
{
	for (int side = 0; side < CT_SIDES && conn->state == CT_ALIVE; side++)
		if (conn->way[side].refresh && conn->way[side].entry) {
			conn->quiet = true;
			(void)ct_repost(conn, side, queue, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT);
		}
}

void ct_completed(struct doca_flow_pipe_entry *entry, uint16_t queue, enum doca_flow_entry_op op)
{
	struct ct_conn *conn = entry->user_ctx;
	struct ct_pipe *p = conn->ct;
	struct ct_way *way = &conn->way[entry->index];
	enum doca_flow_entry_op told;
	bool tell = false, gone = false, finalize = false;

	pthread_mutex_lock(&p->lock);
	conn->pending--;
	if (entry->error < 0 && !conn->add_failed) {
		conn->handle.error = entry->error;
		conn->handle.reason = entry->reason;
	}
	if ((op == DOCA_FLOW_ENTRY_OP_ADD && entry->error < 0) ||
		(op == DOCA_FLOW_ENTRY_OP_DEL && entry->error >= 0))
		way->entry = NULL;
	told = conn->op;
	if (!conn->pending) {
		tell = settle(conn, queue, &gone) && !conn->quiet;
		refresh(conn, queue);
	}
	finalize = gone && !conn->add_failed && conn->flags & DOCA_FLOW_CT_ENTRY_FLAGS_ENTRY_FINALIZE;
	pthread_mutex_unlock(&p->lock);
	if (!tell)
		return;
	if (flow.cfg.entry_cb)
		flow.cfg.entry_cb(&conn->handle, queue, (enum doca_flow_entry_status)conn->handle.status,
			told, conn->handle.user_ctx);
	// The callback may have destroyed the pipe, and its connections with it.
	if (entry->state != ENTRY_ALIVE)
		return;
	if (finalize && ct.cfg.finalize_cb)
		ct.cfg.finalize_cb(p->pipe, &conn->handle, queue, conn->handle.user_ctx);
	if (gone && entry->state == ENTRY_ALIVE) {
		pthread_mutex_lock(&p->lock);
		ct_conn_free(conn);
		pthread_mutex_unlock(&p->lock);
	}
}

// --- queues

// Waits until the queue has min_room free places.
static doca_error_t make_room(struct doca_flow_port *port, uint16_t queue, uint32_t min_room)
{
	uint32_t depth = flow_queue_depth(queue), in_flight = port->queues[queue].in_flight;
	doca_error_t result = DOCA_SUCCESS;

	if (depth - in_flight < min_room)
		result = complete_process(port, queue, WAIT_US, min_room - (depth - in_flight));
	if (result == DOCA_SUCCESS && depth - port->queues[queue].in_flight < min_room)
		result = refuse(DOCA_ERROR_TIME_OUT, AT(.field = "min_room", .rule = "queue-depth"),
			"CT queue %u still has %u operations in flight", queue,
			port->queues[queue].in_flight);
	return result;
}

doca_error_t doca_flow_ct_entries_process(struct doca_flow_port *port, uint16_t pipe_queue, uint32_t min_room,
	uint32_t max_processed_entries, uint32_t *queue_room)
{
	doca_error_t result = flow_check_state(__func__);
	uint32_t before, handled;

	if (result != DOCA_SUCCESS)
		return result;
	if (!ct.initialised)
		return refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "init-order"),
			"%s() comes after doca_flow_ct_init()", __func__);
	if (!port)
		return refuse_argument(__func__, "port", "is NULL");
	if (pipe_queue < flow.cfg.pipe_queues || pipe_queue >= flow_nr_queues())
		return refuse_argument(__func__, "pipe_queue", "CT queues are %u to %u, not %u",
			flow.cfg.pipe_queues, flow_nr_queues() - 1u, pipe_queue);
	if (min_room > flow_queue_depth(pipe_queue) ||
		(max_processed_entries && max_processed_entries < min_room))
		return refuse_argument(__func__, "min_room",
			"%u is more than the queue's depth or than max_processed_entries", min_room);
	port = port->manager;
	before = port->queues[pipe_queue].in_flight;
	result = complete_process(port, pipe_queue, 0, max_processed_entries);
	if (result == DOCA_SUCCESS && min_room)
		result = make_room(port, pipe_queue, min_room);
	if (result != DOCA_SUCCESS)
		return result;
	handled = before - port->queues[pipe_queue].in_flight;
	if (port->queues[pipe_queue].in_flight > before)
		handled = 0;
	ct_stats_updates(port, pipe_queue);
	if (!max_processed_entries || handled < max_processed_entries)
		ct_conn_iterate(port, pipe_queue,
			max_processed_entries ? max_processed_entries - handled : UINT32_MAX);
	if (queue_room)
		*queue_room = flow_queue_depth(pipe_queue) - port->queues[pipe_queue].in_flight;
	return DOCA_SUCCESS;
}
