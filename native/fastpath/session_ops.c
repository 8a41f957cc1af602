// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The sync messages, one row each: what it takes, who may send it, what it does.

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ct.h"
#include "events.h"
#include "fastpath.h"
#include "packet_ring.h"
#include "port.h"
#include "session.h"
#include "stats.h"
#include "steering_layout.h"

struct op_row {
	int (*run)(struct session *session, struct op_call *call);
	uint32_t request_bytes;
	bool variable;    // request_bytes is the least
	bool owner;       // not for readers
	bool independent; // need not wait for the session's queues
};

static int refuse(struct op_call *call, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct op_call *call, int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(call->why, sizeof(call->why), format, args);
	va_end(args);
	return status;
}

// The tables' sentence becomes the call's.
static int told(struct op_call *call, int status, const struct why *why)
{
	if (status)
		snprintf(call->why, sizeof(call->why), "%s", why->text[0] ? why->text : strerror(-status));
	return status;
}

// Appends to the reply; false when it would not fit.
static bool append(struct op_call *call, const void *bytes, uint32_t count)
{
	if (count > STEER_MSG_MAX - call->reply_length)
		return false;
	memcpy(call->reply + call->reply_length, bytes, count);
	call->reply_length += count;
	return true;
}

// -- hello ------------------------------------------------------------------------------------------------------

static int check_hello(const struct session *session, const struct steer_hello *hello, struct op_call *call)
{
	bool reader = hello->flags & STEER_SESSION_READER, durable = hello->flags & STEER_SESSION_DURABLE;

	if (session->number)
		return refuse(call, -EALREADY, "hello was said already");
	if (hello->magic != STEERING_MAGIC)
		return refuse(call, -EPROTO, "the hello is not one of a steering client");
	if (hello->abi != STEERING_ABI)
		return refuse(call, -EPROTO,
			"the client speaks steering ABI %u and the fast path ABI %u: they are from different "
			"versions",
			hello->abi, (unsigned int)STEERING_ABI);
	if (hello->layout_hash && hello->layout_hash != STEERING_LAYOUT_HASH)
		return refuse(call, -EPROTO,
			"client and fast path were built from different wire headers (layout %016llx and "
			"%016llx)",
			(unsigned long long)hello->layout_hash, (unsigned long long)STEERING_LAYOUT_HASH);
	if (hello->flags & ~(STEER_SESSION_DURABLE | STEER_SESSION_READER) || (reader && durable))
		return refuse(call, -EINVAL, "session flags 0x%x contradict each other", hello->flags);
	if (!memchr(hello->name, '\0', sizeof(hello->name)) ||
		(hello->name[0] && !config_name_good(hello->name)) || (durable && !hello->name[0]))
		return refuse(call, -EINVAL,
			"the name of the session must be up to 63 letters, digits, '-', '_', '.', ':'");
	if (reader ? hello->nr_queues : !hello->nr_queues || hello->nr_queues > STEER_QUEUE_MAX)
		return refuse(call, -EINVAL, "a session has 1 to %u queues and a reader none, not %u",
			(unsigned int)STEER_QUEUE_MAX, hello->nr_queues);
	return 0;
}

static int op_hello(struct session *session, struct op_call *call)
{
	struct steer_hello hello;
	struct steer_hello_reply reply;
	bool resumed = false;
	int status;

	memcpy(&hello, call->request, sizeof(hello));
	status = check_hello(session, &hello, call);
	if (status)
		return status;
	status = session_map(session, &hello, call->fds, call->why);
	if (status)
		return status;
	call->nr_fds = 3;
	call->close_fds = 1u << 0 | 1u << 2;
	status = session_hello(session, &hello, &resumed, call->why);
	if (status) {
		session_unmap(session); // answer() closes what was for the client
		return status;
	}
	session->attached = true;
	reply = (struct steer_hello_reply){
		.magic = STEERING_MAGIC,
		.abi = STEERING_ABI,
		.segment_bytes = session->segment_bytes,
		.session = session->number,
		.resumed = resumed,
		.nr_workers = fp.nr_workers,
		.boot_id = control.boot_id,
		.pid = (uint64_t)getpid(),
	};
	append(call, &reply, sizeof(reply));
	return 0;
}

// -- ports ------------------------------------------------------------------------------------------------------

static int op_port_list(struct session *session, struct op_call *call)
{
	for (uint16_t i = 0; i < STEER_PORT_MAX; i++) {
		struct steer_port_info info;
		struct port *port = port_get(i);

		if (!port)
			continue;
		port_info(port, &info);
		append(call, &info, sizeof(info));
	}
	return 0;
}

static int reply_port(struct op_call *call, uint16_t index)
{
	struct steer_port_info info;

	port_info(port_get(index), &info);
	append(call, &info, sizeof(info));
	return 0;
}

static int op_port_add(struct session *session, struct op_call *call)
{
	struct steer_port_add add;
	uint16_t index;
	int status;

	memcpy(&add, call->request, sizeof(add));
	// A port that a client adds lives as long as the fast path: its interface is kept only when the args say persist.
	status = port_add(&add, false, &index, call->why);
	if (status)
		return status;
	packets_refresh_captures();
	return reply_port(call, index);
}

static void port_removed(void *arg, int status)
{
	struct session *session = session_find((uint32_t)(uintptr_t)arg);

	if (session)
		session_reply(session, status, NULL);
}

static int op_port_remove(struct session *session, struct op_call *call)
{
	const struct steer_port_ref *ref = call->request;
	int status = port_remove(ref->port, port_removed, (void *)(uintptr_t)session->number, call->why);

	call->later = !status;
	return status;
}

static int op_port_start(struct session *session, struct op_call *call)
{
	const struct steer_port_start *start = call->request;
	int status = port_start(session->number, start, call->why);

	return status ? status : reply_port(call, start->port);
}

static int op_port_stop(struct session *session, struct op_call *call)
{
	const struct steer_port_ref *ref = call->request;

	return port_stop(session->number, ref->port, call->why);
}

static int op_port_set(struct session *session, struct op_call *call)
{
	return port_set(session->number, call->request, call->why);
}

// -- pipes ------------------------------------------------------------------------------------------------------

static int op_pipe_create(struct session *session, struct op_call *call)
{
	const struct steer_pipe_spec *spec = call->request;
	struct steer_pipe_ref ref = {.pipe = STEER_PIPE_NONE};
	struct why why = {.reason = STEER_WHY_NONE};
	int status;

	if (spec->bytes != call->length)
		return refuse(
			call, -EINVAL, "a pipe of %u bytes says that it has %u", call->length, spec->bytes);
	status = port_check_owner(session->number, spec->port, call->why);
	if (status)
		return status;
	status = told(call, pipe_create(session->space, spec, call->length, &ref.pipe, &why), &why);
	if (!status)
		append(call, &ref, sizeof(ref));
	return status;
}

static int op_pipe_destroy(struct session *session, struct op_call *call)
{
	const struct steer_pipe_ref *ref = call->request;
	struct why why = {.reason = STEER_WHY_NONE};

	return told(call, pipe_destroy(session->space, ref->pipe, &why), &why);
}

static int op_pipe_miss(struct session *session, struct op_call *call)
{
	const struct steer_pipe_miss *miss = call->request;
	struct why why = {.reason = STEER_WHY_NONE};

	return told(call, pipe_set_miss(session->space, miss->pipe, &miss->fwd, &why), &why);
}

static int op_pipe_resize(struct session *session, struct op_call *call)
{
	const struct steer_pipe_resize *resize = call->request;
	struct why why = {.reason = STEER_WHY_NONE};

	int status = told(call, pipe_resize(session->space, resize->pipe, resize->nr_entries, &why), &why);

	if (!status)
		events_send_to(session->number, STEER_EV_PIPE_RESIZED, STEER_PORT_NONE, resize->pipe, NULL);
	return status;
}

static int op_pipe_list(struct session *session, struct op_call *call)
{
	const struct steer_pipe_query *query = call->request;
	struct steer_pipe_info info;

	for (struct pipe *pipe = pipe_next(query->after); pipe; pipe = pipe_next(pipe_id(pipe))) {
		memset(&info, 0, sizeof(info));
		pipe_info(pipe, &info);
		if (query->session && query->session != info.session)
			continue;
		if (query->port != STEER_PORT_NONE && query->port != info.port)
			continue;
		if (!append(call, &info, sizeof(info)))
			break;
	}
	return 0;
}

static int op_pipe_get(struct session *session, struct op_call *call)
{
	const struct steer_pipe_ref *ref = call->request;
	struct pipe *pipe = pipe_find(ref->pipe);
	const struct steer_pipe_spec *spec;

	if (!pipe)
		return refuse(call, -ENOENT, "there is no pipe %u", ref->pipe);
	spec = pipe_spec(pipe);
	append(call, spec, spec->bytes);
	return 0;
}

static int op_entry_list(struct session *session, struct op_call *call)
{
	const struct steer_entry_query *query = call->request;
	struct pipe *pipe = pipe_find(query->pipe);
	struct entry *entry;
	uint32_t count = 0;

	if (!pipe)
		return refuse(call, -ENOENT, "there is no pipe %u", query->pipe);
	for (entry = entry_next(pipe, query->after); entry && (!query->max || count < query->max);
		entry = entry_next(pipe, entry_id(entry)), count++) {
		static const uint8_t zeros[8];
		uint32_t bytes;
		const struct steer_entry_add *record = entry_record(entry, &bytes);
		uint32_t padded = (bytes + 7) & ~7u;
		struct steer_entry_info info = {
			.bytes = (uint32_t)sizeof(info) + padded,
			.entry = entry_id(entry),
			.counter = entry_counter(entry),
		};

		if (info.bytes > STEER_MSG_MAX - call->reply_length)
			break;
		append(call, &info, sizeof(info));
		append(call, record, bytes);
		append(call, zeros, padded - bytes);
	}
	return 0;
}

// -- shared resources, transactions, trace ----------------------------------------------------------------------

static int op_shared_set(struct session *session, struct op_call *call)
{
	struct why why = {.reason = STEER_WHY_NONE};

	return told(call, shared_set(session->space, call->request, &why), &why);
}

static int op_shared_get(struct session *session, struct op_call *call)
{
	const struct steer_shared_ref *ref = call->request;
	struct steer_shared_info info = {0};
	int status = shared_get(session->space, ref->type, ref->id, &info);

	if (status)
		return refuse(call, status, "there is no shared resource %u of type %u", ref->id, ref->type);
	append(call, &info, sizeof(info));
	return 0;
}

static int op_shared_remove(struct session *session, struct op_call *call)
{
	const struct steer_shared_ref *ref = call->request;
	struct why why = {.reason = STEER_WHY_NONE};

	return told(call, shared_remove(session->space, ref->type, ref->id, &why), &why);
}

static int op_txn_begin(struct session *session, struct op_call *call)
{
	int status = txn_begin(session->space);

	if (status)
		return refuse(
			call, status, status == -EALREADY ? "a transaction is open already" : "no memory");
	return 0;
}

static int op_txn_commit(struct session *session, struct op_call *call)
{
	struct steer_txn_reply reply = {0};
	struct why why = {.reason = STEER_WHY_NONE};
	int status = told(call, txn_commit(session->space, &reply, &why), &why);

	if (!status)
		append(call, &reply, sizeof(reply));
	return status;
}

static int op_txn_abort(struct session *session, struct op_call *call)
{
	int status = txn_abort(session->space);

	return status ? refuse(call, status, "no transaction is open") : 0;
}

static int op_trace(struct session *session, struct op_call *call)
{
	const struct steer_trace_request *request = call->request;
	size_t used = 0;
	int status;

	if (!port_get(request->port))
		return refuse(call, -ENOENT, "there is no port %u", request->port);
	if (request->length != call->length - sizeof(*request) || !request->length)
		return refuse(call, -EINVAL, "a frame of %u bytes says that it has %u",
			call->length - (uint32_t)sizeof(*request), request->length);
	status = trace_run(request, request + 1, call->reply, STEER_MSG_MAX, &used);
	if (status == -EMSGSIZE)
		return refuse(call, status, "the trace is longer than a message of %u bytes",
			(unsigned int)STEER_MSG_MAX);
	if (status)
		return refuse(call, status, "the trace failed: %s", strerror(-status));
	call->reply_length = (uint32_t)used;
	return 0;
}

// -- connections -------------------------------------------------------------------------------------------------

static int op_ct_epoch(struct session *session, struct op_call *call)
{
	const struct steer_ct_epoch *epoch = call->request;
	struct why why = {.reason = STEER_WHY_NONE};

	if ((call->length - sizeof(*epoch)) / sizeof(uint32_t) != epoch->nr_identities ||
		call->length % sizeof(uint32_t))
		return refuse(call, -EINVAL, "%u identities do not fit into a message of %u bytes",
			epoch->nr_identities, call->length);
	return told(call, ct_epoch(session->number, epoch, (const uint32_t *)(epoch + 1), &why), &why);
}

static int op_ct_adopt(struct session *session, struct op_call *call)
{
	struct why why = {.reason = STEER_WHY_NONE};

	return told(call, ct_adopt(session->number, call->request, &why), &why);
}

static int op_ct_list(struct session *session, struct op_call *call)
{
	struct steer_ct_list_reply *reply = (void *)call->reply;
	struct why why = {.reason = STEER_WHY_NONE};
	int status = told(call,
		ct_list(call->request, reply, (void *)(reply + 1),
			(STEER_MSG_MAX - sizeof(*reply)) / sizeof(struct steer_flow_record), &why),
		&why);

	if (!status)
		call->reply_length =
			(uint32_t)(sizeof(*reply) + reply->nr * sizeof(struct steer_flow_record));
	return status;
}

// -- packets, statistics, sessions ------------------------------------------------------------------------------

static int op_capture(struct session *session, struct op_call *call)
{
	return packets_capture(session, call->request, call->why);
}

static int op_receive(struct session *session, struct op_call *call)
{
	return packets_receive(session, call->request, call->why);
}

static int op_stats(struct session *session, struct op_call *call)
{
	stats_refresh(control.now_ns);
	call->fds[0] = stats_fd();
	call->nr_fds = 1;
	return 0;
}

static int op_session_list(struct session *session, struct op_call *call)
{
	struct session *one;

	TAILQ_FOREACH (one, &sessions, all) {
		struct steer_session_info info = {.session = one->number, .flags = one->flags};

		if (!one->number)
			continue;
		memcpy(info.name, one->name, sizeof(info.name));
		info.attached = one->socket >= 0;
		info.client_pid = one->socket >= 0 ? (uint64_t)one->pid : 0;
		if (one->space) {
			info.nr_pipes = one->space->nr_pipes;
			info.nr_entries = one->space->nr_entries;
		}
		if (!append(call, &info, sizeof(info)))
			break;
	}
	return 0;
}

static int op_session_drop(struct session *session, struct op_call *call)
{
	struct steer_session_ref ref;

	memcpy(&ref, call->request, sizeof(ref));
	ref.name[sizeof(ref.name) - 1] = '\0';
	return session_drop(ref.name, call->why);
}

static int op_shutdown(struct session *session, struct op_call *call)
{
	control.quit = true;
	return 0;
}

#define FIXED(type) .request_bytes = sizeof(type)

static const struct op_row rows[STEER_OP_MAX] = {
	[STEER_OP_HELLO] = {op_hello, FIXED(struct steer_hello), .independent = true},
	[STEER_OP_PORT_LIST] = {op_port_list, .independent = true},
	[STEER_OP_PORT_ADD] = {op_port_add, FIXED(struct steer_port_add), .owner = true},
	[STEER_OP_PORT_REMOVE] = {op_port_remove, FIXED(struct steer_port_ref), .owner = true},
	[STEER_OP_PORT_START] = {op_port_start, FIXED(struct steer_port_start), .owner = true},
	[STEER_OP_PORT_STOP] = {op_port_stop, FIXED(struct steer_port_ref), .owner = true},
	[STEER_OP_PORT_SET] = {op_port_set, FIXED(struct steer_port_set), .owner = true},
	[STEER_OP_PIPE_CREATE] = {op_pipe_create, FIXED(struct steer_pipe_spec), .variable = true,
		.owner = true},
	[STEER_OP_PIPE_DESTROY] = {op_pipe_destroy, FIXED(struct steer_pipe_ref), .owner = true},
	[STEER_OP_PIPE_MISS] = {op_pipe_miss, FIXED(struct steer_pipe_miss), .owner = true},
	[STEER_OP_PIPE_RESIZE] = {op_pipe_resize, FIXED(struct steer_pipe_resize), .owner = true},
	[STEER_OP_PIPE_LIST] = {op_pipe_list, FIXED(struct steer_pipe_query)},
	[STEER_OP_PIPE_GET] = {op_pipe_get, FIXED(struct steer_pipe_ref)},
	[STEER_OP_ENTRY_LIST] = {op_entry_list, FIXED(struct steer_entry_query)},
	[STEER_OP_SHARED_SET] = {op_shared_set, FIXED(struct steer_shared_set), .owner = true},
	[STEER_OP_SHARED_GET] = {op_shared_get, FIXED(struct steer_shared_ref), .owner = true},
	[STEER_OP_SHARED_REMOVE] = {op_shared_remove, FIXED(struct steer_shared_ref), .owner = true},
	[STEER_OP_TXN_BEGIN] = {op_txn_begin, .owner = true},
	[STEER_OP_TXN_COMMIT] = {op_txn_commit, .owner = true},
	[STEER_OP_TXN_ABORT] = {op_txn_abort, .owner = true},
	[STEER_OP_TRACE] = {op_trace, FIXED(struct steer_trace_request), .variable = true},
	[STEER_OP_CT_EPOCH] = {op_ct_epoch, FIXED(struct steer_ct_epoch), .variable = true, .owner = true},
	[STEER_OP_CT_ADOPT] = {op_ct_adopt, FIXED(struct steer_ct_adopt), .owner = true},
	[STEER_OP_CT_LIST] = {op_ct_list, FIXED(struct steer_ct_list)},
	[STEER_OP_CAPTURE] = {op_capture, FIXED(struct steer_capture), .independent = true},
	[STEER_OP_RECEIVE] = {op_receive, FIXED(struct steer_receive), .independent = true},
	[STEER_OP_STATS] = {op_stats, .independent = true},
	[STEER_OP_SESSION_LIST] = {op_session_list, .independent = true},
	[STEER_OP_SESSION_DROP] = {op_session_drop, FIXED(struct steer_session_ref), .independent = true},
	[STEER_OP_SHUTDOWN] = {op_shutdown, .independent = true},
};

bool session_op_independent(uint32_t op)
{
	return op >= STEER_OP_MAX || rows[op].independent;
}

int session_op(struct session *session, uint32_t op, struct op_call *call)
{
	const struct op_row *row = op < STEER_OP_MAX ? &rows[op] : NULL;

	if (!row || !row->run)
		return refuse(call, -EOPNOTSUPP, "message %u is unknown", op);
	if (call->length < row->request_bytes || (!row->variable && call->length != row->request_bytes))
		return refuse(call, -EINVAL, "message %u has %u bytes instead of %u", op, call->length,
			row->request_bytes);
	if (row->owner && !session->space)
		return refuse(call, -EPERM, "message %u is not for readers", op);
	return row->run(session, call);
}
