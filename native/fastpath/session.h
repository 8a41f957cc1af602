// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Sessions: a client's connection, its shared segment, and what it owns. Control thread only.
//
// A client is not trusted: everything that it can write (socket, rings) is copied before it is looked at, its cursors are
// range checked, and whatever is impossible ends its session, not ours. A client that is slow fills its own rings and
// loses its own packets and events; nobody waits for it.
//
// A durable session outlives its client: then attached is false, and only number, name, space and ports are left of it.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "config.h"
#include "control.h"
#include "pipe.h"
#include "ring.h"
#include "steering_wire.h"

struct session_queue {
	struct ring_consumer sq;
	struct ring_producer cq;
	uint64_t sync_tail; // a sync call waits until sq has been drained up to here
	bool blocked;       // completions do not fit: work entries wait
};

struct session {
	TAILQ_ENTRY(session) all;
	struct source socket_source;
	struct source doorbell_source;
	uint32_t number; // 0 before hello
	uint32_t flags;  // enum steer_session_flags
	char name[STEER_NAME_MAX];
	struct space *space; // NULL: reader, or before hello

	bool attached;                // hello done, segment mapped
	bool dead;                    // to be ended at the end of this turn; why_dead says why
	bool busy;                    // may have something in its rings
	bool deferred;                // a sync call is answered later
	int socket, doorbell, notify; // -1 when there is none; notify: our end
	pid_t pid;
	uint64_t connected_ns;
	char why_dead[128];

	struct steer_segment *segment;
	uint64_t segment_bytes;
	uint16_t nr_queues;
	struct session_queue *queues;
	struct ring_consumer packet_in;
	struct ring_producer packet_out;
	struct ring_producer event;
	struct ring_producer flow; // records of connections; size 0: not wanted
	bool packets_blocked;      // no buffer or no room for the next injected frame
	bool unpublished;          // packet_out has records that were not published yet

	bool software;       // wants RSS and KERNEL packets of its ports
	uint64_t wire_ports; // bit i: wants what ring port i sent
	struct steer_capture capture;

	// The sync call in progress, when it waits for queues or is deferred, and a reply that the socket did not take.
	uint8_t *message;
	uint32_t message_bytes; // 0: none
	uint8_t *reply;
	uint32_t reply_bytes; // 0: none
};

TAILQ_HEAD(session_list, session);
extern struct session_list sessions;

// -- session_accept.c
// Listens at runtime_dir/steering.sock.
int sessions_open(const char *runtime_dir, unsigned int max_clients, char why[CONFIG_WHY_MAX]);
// Ends all sessions, and the listening.
void sessions_close(void);
const char *sessions_path(void);

// -- session.c
// A connection that was let in.
void session_add(int fd, pid_t pid);
unsigned int sessions_connected(void);
// All of them, durable ones too.
void sessions_end(void);

// One turn over the sessions that may have work. Returns how much was done.
unsigned int sessions_turn(void);
// Arms the doorbells; false when something came in meanwhile.
bool sessions_sleep(void);
// True when a session must be looked at again soon though nobody rings: its completion ring was full, say.
bool sessions_waiting(void);

struct session *session_find(uint32_t number);
const char *session_name(uint32_t number);
// "web (pid 77)", "appliance (durable, nobody attached)"; static storage.
const char *session_describe(uint32_t number);
// For SESSION_DROP. -ENOENT, -EBUSY.
int session_drop(const char *name, char why[CONFIG_WHY_MAX]);

// Ends the session at the end of this turn.
void session_kill(struct session *session, const char *why);

// Publishes a ring that the client consumes, and wakes it when it sleeps.
void session_publish(struct session *session, struct ring_producer *ring);
void session_count_lost(struct ring_producer *ring);

// -- session_segment.c
// Makes the segment as the hello asks for, maps it, sets the rings up. fds: memfd, doorbell, the client's end of notify; the
// caller closes the first and the last.
int session_map(
	struct session *session, const struct steer_hello *hello, int fds[3], char why[CONFIG_WHY_MAX]);
void session_unmap(struct session *session);

// -- session_ops.c
// Answers to one sync message are made here.
struct op_call {
	const void *request; // private copy, 8-byte aligned
	uint32_t length;
	uint8_t *reply; // room for STEER_MSG_MAX bytes
	uint32_t reply_length;
	int fds[3];
	unsigned int nr_fds;    // sent along
	unsigned int close_fds; // bit i: fds[i] is closed once it was sent, or not
	bool later;             // session_reply() comes later
	char why[CONFIG_WHY_MAX];
};

// 0 or negative errno with the sentence in call->why.
int session_op(struct session *session, uint32_t op, struct op_call *call);
// True when the op may be answered before the session's queues are drained.
bool session_op_independent(uint32_t op);

// Answers the call in progress that was deferred.
void session_reply(struct session *session, int status, const char *why);

// -- session.c, for the hello op: makes the connection a session. *resumed: a durable one was there.
int session_hello(
	struct session *session, const struct steer_hello *hello, bool *resumed, char why[CONFIG_WHY_MAX]);
