// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Results: doca_flow_entries_process() and doca_flow_aging_handle(). All ports share a queue's completion ring; what
// belongs to another port than the one asked for waits in that port's list.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "complete.h"
#include "ct.h"
#include "entry.h"
#include "txn.h"

enum {
	BURST = 32,
	// A card completes in microseconds and programs wait accordingly. The fast path shares its CPUs with everything
	// else, so that a wait is at least this long while something is in flight.
	PATIENCE_US = 2000000,
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

// --- why an entry failed

static const char *const reasons[STEER_WHY_MAX] = {
	[STEER_WHY_MALFORMED] = "the fast path could not read the work entry",
	[STEER_WHY_NO_PIPE] = "the pipe is gone",
	[STEER_WHY_NOT_OWNER] = "the pipe belongs to another session",
	[STEER_WHY_ID_IN_USE] = "the entry's number is in use",
	[STEER_WHY_ID_UNKNOWN] = "the fast path does not know the entry",
	[STEER_WHY_KEY_SIZE] = "the key has the wrong size",
	[STEER_WHY_ARGS_SIZE] = "the action arguments have the wrong size",
	[STEER_WHY_DUPLICATE_KEY] = "the pipe has an entry with this key already",
	[STEER_WHY_PIPE_FULL] = "the pipe is full",
	[STEER_WHY_NO_COUNTER] = "the fast path has no counter left",
	[STEER_WHY_NO_METER] = "the fast path has no meter left",
	[STEER_WHY_NO_SHARED] = "a shared resource is not configured",
	[STEER_WHY_BAD_FWD] = "the fwd points at a port or pipe that is gone",
	[STEER_WHY_BAD_ACTION] = "the fast path cannot do an action",
	[STEER_WHY_BAD_INDEX] = "the index is taken or beyond the pipe's size",
	[STEER_WHY_NO_MEMORY] = "the fast path is out of memory",
	[STEER_WHY_UNSUPPORTED] = "the fast path does not support this",
	[STEER_WHY_TXN_FAILED] = "its transaction failed",
};

static const char *const rules[STEER_WHY_MAX] = {
	[STEER_WHY_DUPLICATE_KEY] = "duplicate-key",
	[STEER_WHY_PIPE_FULL] = "pipe-full",
	[STEER_WHY_NO_COUNTER] = "counter-reserve",
	[STEER_WHY_NO_METER] = "meter-reserve",
	[STEER_WHY_NO_SHARED] = "shared-configured",
	[STEER_WHY_TXN_FAILED] = "transaction",
};

static void fill_reason(struct doca_flow_ringfield_error *error, doca_error_t code, const struct error_at *at,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

static void fill_reason(struct doca_flow_ringfield_error *error, doca_error_t code, const struct error_at *at,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_compose(error, code, at, format, args);
	va_end(args);
}

doca_error_t doca_flow_ringfield_entry_error(
	const struct doca_flow_pipe_entry *entry, struct doca_flow_ringfield_error *error)
{
	unsigned int reason;

	if (!entry || !error)
		return refuse_argument(__func__, "entry", "an argument is NULL");
	if (!entry->error)
		return refuse(DOCA_ERROR_NOT_FOUND, AT(.field = "entry"), "the entry has not failed");
	reason = entry->reason < STEER_WHY_MAX ? entry->reason : 0;
	fill_reason(error, error_from_errno(entry->error),
		AT(.pipe = entry->pipe ? entry->pipe->name : NULL,
			.rule = rules[reason] ? rules[reason] : "fast-path"),
		"entry %u: %s", entry->id, reasons[reason] ? reasons[reason] : strerror(-entry->error));
	return DOCA_SUCCESS;
}

// --- one result

static enum doca_flow_entry_op op_of(uint16_t kind)
{
	return kind == STEER_REC_ENTRY_ADD      ? DOCA_FLOW_ENTRY_OP_ADD
	       : kind == STEER_REC_ENTRY_UPDATE ? DOCA_FLOW_ENTRY_OP_UPD
						: DOCA_FLOW_ENTRY_OP_DEL;
}

static void note_result(struct doca_flow_pipe_entry *entry, const struct steer_completion *completion)
{
	entry->error = completion->status < 0 ? completion->status : 0;
	entry->reason = completion->reason;
	entry->status =
		completion->status < 0 ? DOCA_FLOW_ENTRY_STATUS_ERROR : DOCA_FLOW_ENTRY_STATUS_SUCCESS;
	if (completion->status >= 0 && completion->op != STEER_REC_ENTRY_REMOVE)
		entry->counter = completion->counter;
}

// The result of an operation that was posted before its port was stopped.
static void complete_orphan(uint16_t queue, const struct steer_completion *completion)
{
	struct doca_flow_pipe_entry *entry = entry_by_id(completion->entry);

	if (!entry || entry->generation != (uint32_t)(completion->user_data >> 32) ||
		entry->state != ENTRY_ZOMBIE)
		return;
	if (!--entry->in_flight)
		entry_release(entry, queue);
}

void complete_one(struct doca_flow_port *port, uint16_t queue, const struct steer_completion *completion)
{
	struct doca_flow_pipe_entry *entry = entry_by_id(completion->entry);
	enum doca_flow_entry_op op = op_of(completion->op);
	bool gone;

	port->queues[queue].in_flight--;
	if (!entry || entry->generation != (uint32_t)(completion->user_data >> 32))
		return;
	entry->in_flight--;
	if (entry->state != ENTRY_ALIVE) {
		if (entry->state == ENTRY_ZOMBIE && !entry->in_flight)
			entry_release(entry, queue);
		return;
	}
	note_result(entry, completion);
	gone = (op == DOCA_FLOW_ENTRY_OP_DEL && completion->status >= 0) ||
	       (op == DOCA_FLOW_ENTRY_OP_ADD && completion->status < 0);
	if (completion->status < 0 && !entry->quiet) {
		struct doca_flow_ringfield_error error;

		doca_flow_ringfield_entry_error(entry, &error);
		refuse(error.code, AT(.pipe = error.pipe, .rule = error.rule), "%s", error.reason);
	}
	// Whoever waits for the result returns the error, and nobody ever saw the entry.
	if (completion->status < 0 && entry->awaited)
		return;
	if (entry_pipe(entry)->conns) {
		ct_completed(entry, queue, op);
		if (entry->state != ENTRY_ALIVE)
			return;
	} else if (flow.cfg.entry_cb && !entry->quiet) {
		flow.cfg.entry_cb(
			entry, queue, (enum doca_flow_entry_status)entry->status, op, entry->user_ctx);
		// The callback may have destroyed the pipe.
		if (entry->state != ENTRY_ALIVE)
			return;
	}
	if (gone && op == DOCA_FLOW_ENTRY_OP_DEL && !entry_pipe(entry)->conns && txn_keep_entry(entry))
		return;
	if (gone && !entry->quiet)
		entry_release(entry, queue);
	else if (gone)
		entry->state = ENTRY_ZOMBIE; // bulk.c looks at it, then releases it
}

// --- queues

static bool defer(struct deferred_list *list, const struct steer_completion *completion)
{
	struct deferred *kept = malloc(sizeof(*kept));

	if (!kept)
		return false;
	kept->completion = *completion;
	STAILQ_INSERT_TAIL(list, kept, link);
	return true;
}

static bool take(struct deferred_list *list, struct steer_completion *completion)
{
	struct deferred *first = STAILQ_FIRST(list);

	if (!first)
		return false;
	*completion = first->completion;
	STAILQ_REMOVE_HEAD(list, link);
	free(first);
	return true;
}

// Results that were taken off a queue's ring and not yet looked at. A callback may make calls that collect on the same
// queue: they go on where we are, so that the order stays. Belongs to the thread that uses the queue.
static struct arrivals {
	struct steer_completion at[BURST];
	unsigned int next, nr;
} arrivals[STEER_QUEUE_MAX];

void complete_fini(void)
{
	memset(arrivals, 0, sizeof(arrivals));
}

// Which results are handled at once; the others wait in the lists of their ports.
struct collect {
	struct doca_flow_port *mine; // of this port, up to room
	uint32_t room;
	uint32_t handled;
	const struct doca_flow_pipe_entry *wanted; // of this entry
};

static bool at_once(const struct collect *collect, const struct doca_flow_port *port, uint16_t queue,
	const struct steer_completion *result)
{
	const struct doca_flow_pipe_entry *wanted = collect->wanted;

	if (wanted)
		return result->entry == wanted->id &&
		       (uint32_t)(result->user_data >> 32) == wanted->generation;
	return port == collect->mine && collect->handled < collect->room &&
	       STAILQ_EMPTY(&port->queues[queue].deferred);
}

// Takes what has arrived on the queue. Returns how many there were, or a negative errno; -ENOMEM leaves the rest for the
// next call.
static int take_arrivals(uint16_t queue, struct collect *collect)
{
	struct arrivals *in = &arrivals[queue];
	int nr;

	if (in->next == in->nr) {
		nr = steering_pull(flow.client, queue, in->at, BURST);
		if (nr < 0)
			return nr;
		in->next = 0;
		in->nr = (unsigned int)nr;
	}
	nr = (int)(in->nr - in->next);
	while (in->next < in->nr) {
		struct steer_completion result = in->at[in->next];
		uint16_t index = (uint16_t)result.user_data;
		struct doca_flow_port *port = index < STEER_PORT_MAX ? flow.port_of_index[index] : NULL;
		bool aged = result.op == STEER_REC_EVENT;

		if (!aged && (!port || port->start != (uint16_t)(result.user_data >> 16))) {
			in->next++;
			complete_orphan(queue, &result);
		} else if (!port) {
			in->next++;
		} else if (!aged && at_once(collect, port, queue, &result)) {
			in->next++;
			collect->handled++;
			complete_one(port, queue, &result);
		} else if (defer(aged ? &port->queues[queue].aged : &port->queues[queue].deferred, &result)) {
			in->next++;
		} else {
			return -ENOMEM;
		}
	}
	return nr;
}

static doca_error_t check(const char *function, struct doca_flow_port **port, uint16_t queue)
{
	doca_error_t result = flow_check_state(function);

	if (result != DOCA_SUCCESS)
		return result;
	if (!*port)
		return refuse_argument(function, "port", "is NULL");
	// A representor's entries are all on its switch port.
	*port = (*port)->manager;
	if (queue >= flow_nr_queues())
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "pipe_queue", .rule = "queue-number"),
			"there are queues 0 to %u, not %u", flow_nr_queues() - 1u, queue);
	return DOCA_SUCCESS;
}

// Handles what waits for the port, up to max. Returns how many.
static uint32_t handle_deferred(struct doca_flow_port *port, uint16_t queue, uint32_t max)
{
	struct steer_completion completion;
	uint32_t handled = 0;

	while (handled < max && take(&port->queues[queue].deferred, &completion)) {
		complete_one(port, queue, &completion);
		handled++;
	}
	return handled;
}

static doca_error_t pull_failed(int status)
{
	return refuse_steering(status, AT(.rule = "queue"), "collecting results");
}

doca_error_t complete_process(struct doca_flow_port *port, uint16_t queue, uint64_t timeout_us, uint32_t max)
{
	uint64_t start = timeout_us ? now_us() : 0;
	uint64_t patience = timeout_us < PATIENCE_US ? PATIENCE_US : timeout_us;
	struct collect collect = {.mine = port, .room = max ? max : UINT32_MAX};
	int status;

	steering_push(flow.client, queue);
	if (__atomic_load_n(&port->resizing, __ATOMIC_ACQUIRE))
		pipe_resize_step(port, queue);
	for (;;) {
		collect.handled += handle_deferred(port, queue, collect.room - collect.handled);
		status = collect.handled < collect.room ? take_arrivals(queue, &collect) : 0;
		if (status < 0)
			return pull_failed(status);
		if (collect.handled >= collect.room || !port->queues[queue].in_flight)
			return DOCA_SUCCESS;
		if (status == BURST)
			continue;
		if (!timeout_us || now_us() - start >= patience)
			return DOCA_SUCCESS;
		status = steering_wait(flow.client, STEERING_WAIT_COMPLETIONS, queue,
			(int64_t)(patience - (now_us() - start)));
		if (status < 0 && status != -EINTR)
			return pull_failed(status);
	}
}

// --- entries that complete inside the call that adds them

doca_error_t complete_await(struct doca_flow_pipe_entry *entry, uint16_t queue)
{
	struct collect collect = {.wanted = entry};
	uint64_t until = now_us() + PATIENCE_US, now;
	doca_error_t code = DOCA_SUCCESS;

	entry->awaited = true;
	while (!collect.handled) {
		int status = take_arrivals(queue, &collect);

		if (status > 0 || collect.handled)
			continue;
		now = now_us();
		if (!status && now >= until) {
			// The fast path is busy: an entry like any other, whose result is yet to come.
			entry->awaited = false;
			return DOCA_SUCCESS;
		}
		if (!status)
			status = steering_wait(
				flow.client, STEERING_WAIT_COMPLETIONS, queue, (int64_t)(until - now));
		if (status < 0 && status != -EINTR) {
			entry->awaited = false;
			entry->state = ENTRY_ZOMBIE;
			return pull_failed(status);
		}
	}
	// The callback may have made it another one's already; then it had succeeded.
	if (!entry->awaited)
		return DOCA_SUCCESS;
	entry->awaited = false;
	if (entry->status == DOCA_FLOW_ENTRY_STATUS_ERROR) {
		code = error_from_errno(entry->error);
		entry_release(entry, queue);
	}
	return code;
}

bool complete_make_room(uint16_t queue)
{
	struct collect none = {0};
	int status;

	steering_push(flow.client, queue);
	status = take_arrivals(queue, &none);
	if (!status && steering_wait(flow.client, STEERING_WAIT_COMPLETIONS, queue, PATIENCE_US) > 0)
		status = take_arrivals(queue, &none);
	return status > 0;
}

doca_error_t doca_flow_entries_process(
	struct doca_flow_port *port, uint16_t pipe_queue, uint64_t timeout, uint32_t max_processed_entries)
{
	doca_error_t result = check(__func__, &port, pipe_queue);

	if (result != DOCA_SUCCESS)
		return result;
	return complete_process(port, pipe_queue, timeout, max_processed_entries);
}

// --- ageing

int doca_flow_aging_handle(struct doca_flow_port *port, uint16_t queue, uint64_t quota, uint64_t max_entries)
{
	uint64_t start = now_us();
	struct steer_completion aged;
	struct collect none = {0};
	int told = 0;

	if (check(__func__, &port, queue) != DOCA_SUCCESS)
		return -1;
	if (queue >= flow.cfg.pipe_queues)
		return ct_aging_handle(port, queue, quota, max_entries);
	while (take_arrivals(queue, &none) == BURST)
		;
	while (take(&port->queues[queue].aged, &aged)) {
		struct doca_flow_pipe_entry *entry = entry_by_id(aged.entry);

		if (!entry || entry->state != ENTRY_ALIVE ||
			entry->generation != (uint32_t)(aged.user_data >> 32))
			continue;
		told++;
		if (flow.cfg.entry_cb)
			flow.cfg.entry_cb(entry, queue, DOCA_FLOW_ENTRY_STATUS_SUCCESS,
				DOCA_FLOW_ENTRY_OP_AGED, entry->user_ctx);
		if ((max_entries && (uint64_t)told >= max_entries) || (quota && now_us() - start >= quota))
			break;
	}
	return told ? told : -1;
}

void complete_forget(struct port_queue *queues, uint16_t nr)
{
	struct steer_completion ignored;

	for (uint16_t i = 0; i < nr; i++) {
		while (take(&queues[i].deferred, &ignored))
			;
		while (take(&queues[i].aged, &ignored))
			;
	}
}
