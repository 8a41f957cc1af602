// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Messages in and out, hello, the turn over busy sessions, the end of one.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "events.h"
#include "notice.h"
#include "packet_ring.h"
#include "port.h"
#include "queue.h"
#include "session.h"

enum { MESSAGE_MAX = STEER_MSG_MAX + sizeof(struct steer_msg), MESSAGES_PER_TURN = 8 };

static const uint64_t HELLO_NS = 10 * 1000000000ull; // a connection must have said hello by then

struct session_list sessions = TAILQ_HEAD_INITIALIZER(sessions);

static unsigned int nr_clients;
static uint32_t next_number = 1;
static bool any_dead;

// -- looking sessions up ----------------------------------------------------------------------------------------

struct session *session_find(uint32_t number)
{
	struct session *session;

	TAILQ_FOREACH (session, &sessions, all)
		if (number && session->number == number)
			return session;
	return NULL;
}

static struct session *find_durable(const char *name)
{
	struct session *session;

	TAILQ_FOREACH (session, &sessions, all)
		if (session->number && session->flags & STEER_SESSION_DURABLE && !strcmp(session->name, name))
			return session;
	return NULL;
}

const char *session_name(uint32_t number)
{
	static char unnamed[STEER_NAME_MAX];
	const struct session *session = session_find(number);

	if (session && session->name[0])
		return session->name;
	snprintf(unnamed, sizeof(unnamed), "#%u", number);
	return unnamed;
}

const char *session_describe(uint32_t number)
{
	static char text[160];
	const struct session *session = session_find(number);

	if (session && session->socket >= 0)
		snprintf(text, sizeof(text), "%s (pid %d)", session_name(number), (int)session->pid);
	else
		snprintf(text, sizeof(text), "%s (durable, nobody attached)", session_name(number));
	return text;
}

// -- the end of a session ---------------------------------------------------------------------------------------

void session_kill(struct session *session, const char *why)
{
	if (session->dead)
		return;
	session->dead = true;
	any_dead = true;
	snprintf(session->why_dead, sizeof(session->why_dead), "%s", why);
}

// The client's part goes: connection and segment.
static void detach(struct session *session)
{
	session->attached = false;
	session->busy = false;
	session->deferred = false;
	packets_forget(session);
	if (session->doorbell >= 0)
		control_forget(&session->doorbell_source, session->doorbell);
	session_unmap(session);
	if (session->socket >= 0) {
		control_forget(&session->socket_source, session->socket);
		close(session->socket);
		session->socket = -1;
		nr_clients--;
	}
	free(session->message);
	free(session->reply);
	session->message = session->reply = NULL;
	session->message_bytes = session->reply_bytes = 0;
	session->dead = false;
}

// What it owns goes too.
static void destroy(struct session *session)
{
	if (session->number)
		port_stop_all(session->number);
	if (session->space)
		space_destroy(session->space);
	TAILQ_REMOVE(&sessions, session, all);
	free(session);
}

static void end(struct session *session)
{
	if (session->number && session->why_dead[0])
		notice("session %s: %s", session_describe(session->number), session->why_dead);
	detach(session);
	session->why_dead[0] = '\0';
	if (!session->number || !(session->flags & STEER_SESSION_DURABLE))
		destroy(session);
	else if (session->space->txn)
		txn_abort(session->space);
}

static void bury(void)
{
	struct session *session, *next;

	any_dead = false;
	for (session = TAILQ_FIRST(&sessions); session; session = next) {
		next = TAILQ_NEXT(session, all);
		if (session->dead)
			end(session);
	}
}

int session_drop(const char *name, char why[CONFIG_WHY_MAX])
{
	struct session *session = find_durable(name);

	if (!session) {
		snprintf(why, CONFIG_WHY_MAX, "there is no durable session \"%.63s\"",
			config_name_good(name) ? name : "(not a name)");
		return -ENOENT;
	}
	if (session->socket >= 0) {
		snprintf(why, CONFIG_WHY_MAX, "session %s is attached", session_describe(session->number));
		return -EBUSY;
	}
	destroy(session);
	return 0;
}

// -- rings ------------------------------------------------------------------------------------------------------

void session_publish(struct session *session, struct ring_producer *ring)
{
	static const uint64_t one = 1;

	// A full socket holds wake-ups that the client has not seen yet.
	if (ring_publish(ring))
		send(session->notify, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void session_count_lost(struct ring_producer *ring)
{
	__atomic_store_n(&ring->shared->lost, ring->shared->lost + 1, __ATOMIC_RELAXED);
}

static void doorbell_ready(struct source *source, uint32_t events)
{
	struct session *session = container_of(source, struct session, doorbell_source);

	if (!session->dead)
		session->busy = session->attached;
}

// -- messages ---------------------------------------------------------------------------------------------------

static void wait_for_socket(struct session *session)
{
	uint32_t events = 0;

	// While a call is in progress or a reply waits for room, no more messages are read.
	if (session->reply_bytes)
		events = EPOLLOUT;
	else if (!session->message_bytes)
		events = EPOLLIN;
	control_change(&session->socket_source, session->socket, events);
}

static ssize_t send_with_fds(
	int socket_fd, const void *bytes, size_t count, const int *fds, unsigned int nr_fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(3 * sizeof(int))];
	} control_data = {.space = {0}};
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (nr_fds) {
		struct cmsghdr *head;

		message.msg_control = &control_data;
		message.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
		head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
		memcpy(CMSG_DATA(head), fds, nr_fds * sizeof(int));
	}
	return sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// Sends a whole reply, or keeps it until the client has read earlier ones.
static void send_reply(
	struct session *session, const uint8_t *bytes, uint32_t count, const int *fds, unsigned int nr_fds)
{
	if (session->dead)
		return;
	if (send_with_fds(session->socket, bytes, count, fds, nr_fds) == (ssize_t)count)
		return;
	if (errno != EAGAIN || nr_fds) {
		session_kill(session, errno == EPIPE || errno == ECONNRESET ? "" : "does not take a reply");
		return;
	}
	session->reply = malloc(count);
	if (!session->reply) {
		session_kill(session, "no memory for a reply");
		return;
	}
	memcpy(session->reply, bytes, count);
	session->reply_bytes = count;
}

static void answer(struct session *session, int status, struct op_call *call)
{
	static uint8_t buffer[MESSAGE_MAX] __attribute__((aligned(8)));
	struct steer_msg head;

	memcpy(&head, session->message, sizeof(head));
	session->message_bytes = 0;
	head.status = status;
	head.length = status ? (uint32_t)strlen(call->why) : call->reply_length;
	memcpy(buffer, &head, sizeof(head));
	if (head.length)
		memcpy(buffer + sizeof(head), status ? (const uint8_t *)call->why : call->reply, head.length);
	send_reply(
		session, buffer, (uint32_t)sizeof(head) + head.length, call->fds, status ? 0 : call->nr_fds);
	for (unsigned int i = 0; i < call->nr_fds; i++)
		if (call->close_fds & 1u << i)
			close(call->fds[i]);
	if (!session->dead)
		wait_for_socket(session);
}

void session_reply(struct session *session, int status, const char *why)
{
	static struct op_call call;

	if (!session->deferred || session->dead)
		return;
	session->deferred = false;
	call.reply_length = call.nr_fds = call.close_fds = 0;
	snprintf(call.why, sizeof(call.why), "%s", why ? why : "");
	answer(session, status, &call);
}

// Runs the message that session->message holds.
static void run_message(struct session *session)
{
	static uint8_t reply[STEER_MSG_MAX] __attribute__((aligned(16)));
	static struct op_call call;
	struct steer_msg head;
	int status;

	memcpy(&head, session->message, sizeof(head));
	memset(&call, 0, sizeof(call));
	call.request = session->message + sizeof(head);
	call.length = head.length;
	call.reply = reply;
	if (!session->number && head.op != STEER_OP_HELLO) {
		snprintf(call.why, sizeof(call.why), "the first message must be a hello");
		answer(session, -EPROTO, &call);
		session_kill(session, "");
		return;
	}
	status = session_op(session, head.op, &call);
	if (call.later && !status) {
		session->deferred = true;
		return;
	}
	answer(session, status, &call);
	if (status && head.op == STEER_OP_HELLO && !session->number)
		session_kill(session, "");
}

// What the client pushed before it sent its message is handled before the message.
static void mark_queues(struct session *session)
{
	for (unsigned int i = 0; i < session->nr_queues; i++) {
		struct session_queue *queue = &session->queues[i];
		uint64_t tail = __atomic_load_n(&queue->sq.shared->tail, __ATOMIC_ACQUIRE);

		queue->sync_tail = tail - queue->sq.head <= queue->sq.size ? tail : queue->sq.head;
	}
	session->busy = true;
}

static bool queues_behind(const struct session *session)
{
	for (unsigned int i = 0; i < session->nr_queues; i++) {
		const struct session_queue *queue = &session->queues[i];

		if ((int64_t)(queue->sync_tail - queue->sq.head) > 0 && !queue->blocked)
			return true;
	}
	return false;
}

static void try_message(struct session *session)
{
	struct steer_msg head;

	if (!session->message_bytes || session->deferred || session->dead)
		return;
	memcpy(&head, session->message, sizeof(head));
	if (queues_behind(session) && !session_op_independent(head.op))
		return;
	run_message(session);
}

// Reads one message. False when there is none.
static bool read_message(struct session *session)
{
	struct steer_msg head;
	ssize_t got;

	if (!session->message)
		session->message = malloc(MESSAGE_MAX + 8);
	if (!session->message) {
		session_kill(session, "no memory for a message");
		return false;
	}
	got = recv(session->socket, session->message, MESSAGE_MAX, MSG_DONTWAIT | MSG_TRUNC);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0) {
		session_kill(session, "");
		return false;
	}
	if (got > MESSAGE_MAX || got < (ssize_t)sizeof(head)) {
		session_kill(session, "sent a message of an impossible length");
		return false;
	}
	memcpy(&head, session->message, sizeof(head));
	if (head.length != (size_t)got - sizeof(head)) {
		session_kill(session, "sent a message whose length is wrong");
		return false;
	}
	session->message_bytes = (uint32_t)got;
	mark_queues(session);
	return true;
}

static void flush_reply(struct session *session)
{
	if (send_with_fds(session->socket, session->reply, session->reply_bytes, NULL, 0) < 0) {
		if (errno != EAGAIN)
			session_kill(session, "");
		return;
	}
	free(session->reply);
	session->reply = NULL;
	session->reply_bytes = 0;
}

static void socket_ready(struct source *source, uint32_t events)
{
	struct session *session = container_of(source, struct session, socket_source);

	if (session->dead || session->socket < 0)
		return;
	if (session->reply_bytes)
		flush_reply(session);
	for (unsigned int i = 0; i < MESSAGES_PER_TURN; i++) {
		if (session->dead || session->reply_bytes || session->message_bytes || !read_message(session))
			break;
		try_message(session);
	}
	if (!session->dead && events & (EPOLLHUP | EPOLLERR) && !session->reply_bytes)
		session_kill(session, "");
	if (!session->dead)
		wait_for_socket(session);
}

// -- connections ------------------------------------------------------------------------------------------------

void session_add(int fd, pid_t pid)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session) {
		close(fd);
		return;
	}
	session->socket = fd;
	session->doorbell = session->notify = -1;
	session->pid = pid;
	session->connected_ns = control.now_ns;
	session->socket_source.ready = socket_ready;
	session->doorbell_source.ready = doorbell_ready;
	TAILQ_INSERT_TAIL(&sessions, session, all);
	nr_clients++;
	if (control_watch(&session->socket_source, fd, EPOLLIN))
		session_kill(session, "cannot be watched");
}

static int too_many_counters(const struct steer_hello *hello, char why[CONFIG_WHY_MAX])
{
	snprintf(why, CONFIG_WHY_MAX, "%u counters are asked for and %u are left", hello->nr_counters,
		counter_unreserved());
	return -ENOSPC;
}

static int join_durable(struct session *session, struct session *old, const struct steer_hello *hello,
	char why[CONFIG_WHY_MAX])
{
	if (old->socket >= 0 && !old->dead) {
		snprintf(
			why, CONFIG_WHY_MAX, "session %s is attached already", session_describe(old->number));
		return -EBUSY;
	}
	if (space_reserve(old->space, hello->nr_counters))
		return too_many_counters(hello, why);
	if (old->dead)
		end(old);
	session->number = old->number;
	session->space = old->space;
	TAILQ_REMOVE(&sessions, old, all);
	free(old);
	return 0;
}

int session_hello(
	struct session *session, const struct steer_hello *hello, bool *resumed, char why[CONFIG_WHY_MAX])
{
	struct session *old = hello->flags & STEER_SESSION_DURABLE ? find_durable(hello->name) : NULL;
	int status = 0;

	*resumed = old != NULL;
	if (old) {
		status = join_durable(session, old, hello, why);
	} else if (!(hello->flags & STEER_SESSION_READER)) {
		status = space_create(next_number, &session->space);
		if (status)
			snprintf(why, CONFIG_WHY_MAX, "no memory for another session");
		if (!status && space_reserve(session->space, hello->nr_counters)) {
			space_destroy(session->space);
			session->space = NULL;
			status = too_many_counters(hello, why);
		}
	}
	if (status)
		return status;
	if (!session->number)
		session->number = next_number++;
	session->flags = hello->flags;
	memcpy(session->name, hello->name, sizeof(session->name));
	return control_watch(&session->doorbell_source, session->doorbell, EPOLLIN | EPOLLET);
}

// -- turns ------------------------------------------------------------------------------------------------------

static unsigned int session_turn(struct session *session)
{
	unsigned int work = 0;

	if (session->attached && session->busy && !session->dead) {
		for (unsigned int i = 0; i < session->nr_queues && !session->dead; i++)
			work += queue_turn(session, i);
		if (!session->dead)
			work += packets_take(session);
	}
	try_message(session);
	if (!session->number && !session->dead && control.now_ns - session->connected_ns > HELLO_NS)
		session_kill(session, "");
	return work;
}

unsigned int sessions_turn(void)
{
	struct session *session;
	unsigned int work = 0;

	TAILQ_FOREACH (session, &sessions, all)
		work += session_turn(session);
	if (any_dead)
		bury();
	return work;
}

bool sessions_sleep(void)
{
	struct session *session;
	bool quiet = !any_dead;

	TAILQ_FOREACH (session, &sessions, all) {
		bool asleep;

		if (!session->attached || !session->busy || session->dead)
			continue;
		asleep = ring_sleep(&session->packet_in) || session->packets_blocked;
		for (unsigned int i = 0; i < session->nr_queues; i++)
			asleep &= ring_sleep(&session->queues[i].sq) || session->queues[i].blocked;
		// With something left over it stays busy, and sessions_waiting() says how soon we look again.
		session->busy = session->packets_blocked || !asleep;
		for (unsigned int i = 0; i < session->nr_queues; i++)
			session->busy |= session->queues[i].blocked;
		quiet &= asleep;
	}
	return quiet;
}

bool sessions_waiting(void)
{
	struct session *session;

	TAILQ_FOREACH (session, &sessions, all)
		if (session->busy || any_dead)
			return true;
	return false;
}

unsigned int sessions_connected(void)
{
	return nr_clients;
}

void sessions_end(void)
{
	struct session *session;

	while ((session = TAILQ_FIRST(&sessions))) {
		detach(session);
		destroy(session);
	}
}
