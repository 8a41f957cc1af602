// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// doca_flow_ringfield.h: transactions.

#include <errno.h>
#include <stdlib.h>

#include "complete.h"
#include "entry.h"
#include "pipe.h"
#include "reserve.h"
#include "txn.h"

struct removed {
	struct doca_flow_pipe_entry *entry;
	uint32_t generation;
};

static struct {
	uint32_t number; // atomic: of the open one, 0 = none
	uint32_t last;   // under flow.lock
	pthread_mutex_t lock;
	struct removed *removed; // under the lock: several queues may remove
	size_t nr, room;
} txn = {.lock = PTHREAD_MUTEX_INITIALIZER};

uint32_t txn_number(void)
{
	return __atomic_load_n(&txn.number, __ATOMIC_RELAXED);
}

// --- what was taken away

bool txn_keep_entry(struct doca_flow_pipe_entry *entry)
{
	bool kept;

	if (!txn_number())
		return false;
	pthread_mutex_lock(&txn.lock);
	if (txn.nr == txn.room) {
		size_t room = txn.room ? txn.room * 2 : 256;
		struct removed *grown = realloc(txn.removed, room * sizeof(*grown));

		if (grown) {
			txn.removed = grown;
			txn.room = room;
		}
	}
	kept = txn.nr < txn.room;
	if (kept)
		txn.removed[txn.nr++] = (struct removed){entry, entry->generation};
	pthread_mutex_unlock(&txn.lock);
	if (kept) {
		reserves_lend(entry, entry->pipe);
		entry->state = ENTRY_REMOVED;
	}
	return kept;
}

bool txn_keep_pipe(struct doca_flow_pipe *pipe)
{
	if (!txn_number())
		return false;
	if (!pipe->destroyed)
		reserves_lend_pipe(pipe);
	pipe->destroyed = true;
	return true;
}

static void end_pipes(bool committed)
{
	struct doca_flow_port *port;
	struct doca_flow_pipe *pipe, *next;

	TAILQ_FOREACH (port, &flow.ports, link) {
		for (pipe = TAILQ_FIRST(&port->pipes); pipe; pipe = next) {
			next = TAILQ_NEXT(pipe, link);
			if (!pipe->destroyed)
				continue;
			reserves_reclaim_pipe(pipe);
			pipe->destroyed = false;
			// Made in it, it is not there in any case.
			if (committed || pipe->in_txn == txn_number())
				pipe_release(pipe);
		}
	}
}

static void end_entries(bool committed)
{
	for (size_t i = 0; i < txn.nr; i++) {
		struct doca_flow_pipe_entry *entry = txn.removed[i].entry;

		// Its port may have been stopped meanwhile.
		if (entry->state != ENTRY_REMOVED || entry->generation != txn.removed[i].generation)
			continue;
		reserves_reclaim(entry, entry->pipe);
		entry->state = ENTRY_ALIVE;
		// Added in the same transaction: whoever removed it has been told, and is done with it.
		if (committed || entry->in_txn == txn_number())
			entry_release(entry, entry->queue);
	}
}

// What was added is not there, and its program is told: it may have been told of a success before.
static void fail_added(void)
{
	for (uint32_t id = 0, end = entries_end(); id < end; id++) {
		struct doca_flow_pipe_entry *entry = entry_by_id(id);

		if (!entry || entry->state != ENTRY_ALIVE || entry->in_txn != txn_number())
			continue;
		entry->status = DOCA_FLOW_ENTRY_STATUS_ERROR;
		entry->error = -ECANCELED;
		entry->reason = STEER_WHY_TXN_FAILED;
		if (flow.cfg.entry_cb && !entry->by_bulk)
			flow.cfg.entry_cb(entry, entry->queue, DOCA_FLOW_ENTRY_STATUS_ERROR,
				DOCA_FLOW_ENTRY_OP_ADD, entry->user_ctx);
		if (entry->state == ENTRY_ALIVE)
			entry_release(entry, entry->queue);
	}
}

// flow.lock is held, and no other thread posts.
static void end(bool committed)
{
	// Entries first: what goes with a pipe is not to be looked at behind it.
	end_entries(committed);
	end_pipes(committed);
	if (!committed)
		fail_added();
	__atomic_store_n(&txn.number, 0, __ATOMIC_RELAXED);
	free(txn.removed);
	txn.removed = NULL;
	txn.nr = txn.room = 0;
}

void txn_fini(void)
{
	__atomic_store_n(&txn.number, 0, __ATOMIC_RELAXED);
	free(txn.removed);
	txn.removed = NULL;
	txn.nr = txn.room = 0;
}

// --- the calls

// Everything posted must have been taken by the fast path before the transaction ends.
static doca_error_t drain_queues(void)
{
	struct doca_flow_port *port;
	doca_error_t result = DOCA_SUCCESS;

	TAILQ_FOREACH (port, &flow.ports, link) {
		for (uint16_t queue = 0; queue < flow_nr_queues() && result == DOCA_SUCCESS; queue++) {
			if (!port->queues[queue].in_flight)
				continue;
			result = complete_process(port, queue, 10000000, 0);
			if (result == DOCA_SUCCESS && port->queues[queue].in_flight)
				result = refuse(DOCA_ERROR_TIME_OUT, AT(.rule = "transaction"),
					"queue %u still has %u operations after 10 seconds", queue,
					port->queues[queue].in_flight);
		}
	}
	return result;
}

doca_error_t doca_flow_ringfield_txn_begin(void)
{
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	flow_lock();
	result = drain_queues();
	if (result == DOCA_SUCCESS) {
		status = steering_call_exact(flow.client, STEER_OP_TXN_BEGIN, NULL, 0, NULL, 0);
		if (status == -EALREADY)
			result = refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "transaction"),
				"a transaction is open already");
		else if (status < 0)
			result =
				refuse_steering(status, AT(.rule = "transaction"), "beginning a transaction");
		else
			__atomic_store_n(&txn.number, ++txn.last ? txn.last : ++txn.last, __ATOMIC_RELAXED);
	}
	flow_unlock();
	return result;
}

doca_error_t doca_flow_ringfield_txn_commit(uint64_t *revision)
{
	struct steer_txn_reply reply;
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	flow_lock();
	result = drain_queues();
	if (result == DOCA_SUCCESS) {
		status =
			steering_call_exact(flow.client, STEER_OP_TXN_COMMIT, NULL, 0, &reply, sizeof(reply));
		if (status == -ECANCELED)
			result = refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "transaction"),
				"nothing was changed: %s", steering_why());
		else if (status < 0)
			result = refuse_steering(
				status, AT(.rule = "transaction"), "committing a transaction");
		else if (revision)
			*revision = reply.revision;
		end(status >= 0);
	}
	flow_unlock();
	return result;
}

doca_error_t doca_flow_ringfield_txn_abort(void)
{
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	flow_lock();
	result = drain_queues();
	if (result == DOCA_SUCCESS) {
		status = steering_call_exact(flow.client, STEER_OP_TXN_ABORT, NULL, 0, NULL, 0);
		if (status < 0)
			result = refuse_steering(status, AT(.rule = "transaction"), "aborting a transaction");
		end(false);
	}
	flow_unlock();
	return result;
}
