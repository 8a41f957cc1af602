// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Connecting, the sync calls, and the end of a session.

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client_private.h"
#include "steering_layout.h"

enum { CALL_TIMEOUT_MS = 10000, HELLO_FDS = 3 };

static _Thread_local char why_text[STEERING_WHY_MAX];

int client_fail(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why_text, sizeof(why_text), format, args);
	va_end(args);
	return status;
}

const char *steering_why(void)
{
	return why_text;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int gone(const struct steering_client *client)
{
	return client_fail(-ENOTCONN, "the fast path at %s has closed the connection", client->path);
}

static int send_request(struct steering_client *client, const struct steer_msg *head, const void *request,
	uint32_t request_bytes)
{
	struct iovec parts[2] = {
		{.iov_base = (void *)(uintptr_t)head, .iov_len = sizeof(*head)},
		{.iov_base = (void *)(uintptr_t)request, .iov_len = request_bytes},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = request_bytes ? 2 : 1};
	ssize_t sent;

	do
		sent = sendmsg(client->socket, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return 0;
	if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN || errno == EBADF)
		return gone(client);
	if (errno == EAGAIN)
		return client_fail(-ETIMEDOUT, "the fast path at %s does not take our message", client->path);
	return client_fail(-errno, "cannot send to the fast path at %s: %m", client->path);
}

// Closes descriptors that nobody asked for, hands on the others.
static unsigned int take_fds(struct msghdr *message, int *fds, unsigned int nr_fds)
{
	unsigned int taken = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		unsigned int count = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

		for (unsigned int i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (taken < nr_fds)
				fds[taken++] = fd;
			else
				close(fd);
		}
	}
	return taken;
}

static void close_fds(int *fds, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		close(fds[i]);
}

// Receives the reply with our sequence number into buffer; replies to calls that timed out are thrown away.
static int receive_reply(struct steering_client *client, uint8_t *buffer, size_t buffer_bytes,
	size_t *received, int *fds, unsigned int nr_fds, unsigned int *got_fds)
{
	int64_t until = now_ms() + client->options.timeout_ms;
	bool reset = false;

	for (;;) {
		union {
			struct cmsghdr align;
			char space[CMSG_SPACE(8 * sizeof(int))];
		} control;
		struct iovec part = {.iov_base = buffer, .iov_len = buffer_bytes};
		struct msghdr message = {.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control)};
		struct pollfd poll_fd = {.fd = client->socket, .events = POLLIN};
		int64_t left = until - now_ms();

		if (left <= 0)
			return client_fail(-ETIMEDOUT, "the fast path at %s did not answer within %u ms",
				client->path, client->options.timeout_ms);
		if (poll(&poll_fd, 1, (int)left) <= 0)
			continue;
		ssize_t n = recvmsg(client->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		// The other end closed without reading our message; a sentence of its own may be there all the same.
		if (n < 0 && errno == ECONNRESET && !reset) {
			reset = true;
			continue;
		}
		if (n <= 0)
			return gone(client);
		unsigned int got = take_fds(&message, fds, nr_fds);
		struct steer_msg head;

		memcpy(&head, buffer, sizeof(head));
		if ((size_t)n >= sizeof(head) && head.seq != client->seq) {
			close_fds(fds, got);
			continue;
		}
		if ((size_t)n < sizeof(head) || (message.msg_flags & MSG_TRUNC) ||
			head.length != (size_t)n - sizeof(head)) {
			close_fds(fds, got);
			return client_fail(
				-EPROTO, "the fast path at %s sent a malformed reply", client->path);
		}
		*received = (size_t)n;
		if (got_fds)
			*got_fds = got;
		return 0;
	}
}

int client_exchange(struct steering_client *client, uint32_t op, const void *request, uint32_t request_bytes,
	void *reply, uint32_t reply_bytes, uint32_t *length, int *fds, unsigned int nr_fds,
	unsigned int *got_fds)
{
	struct steer_msg head = {.op = op, .seq = ++client->seq, .length = request_bytes};
	size_t buffer_bytes = sizeof(struct steer_msg) + STEER_MSG_MAX, received = 0;
	unsigned int got = 0;
	uint8_t *buffer;
	int status;

	if (client->socket < 0)
		return gone(client);
	if (request_bytes > STEER_MSG_MAX)
		return client_fail(-EMSGSIZE, "a message of %u bytes is longer than %u", request_bytes,
			(unsigned int)STEER_MSG_MAX);
	buffer = malloc(buffer_bytes);
	if (!buffer)
		return client_fail(-ENOMEM, "no memory for a reply");
	status = send_request(client, &head, request, request_bytes);
	// A client that is turned away at the door is told why before it could send.
	if (!status || status == -ENOTCONN)
		status = receive_reply(client, buffer, buffer_bytes, &received, fds, nr_fds, &got);
	if (status)
		goto out;

	memcpy(&head, buffer, sizeof(head));
	if (head.op != op) {
		status = client_fail(
			-EPROTO, "the fast path answered message %u with one of kind %u", op, head.op);
	} else if (head.status < 0) {
		status = client_fail(head.status, "%.*s", (int)head.length, (char *)buffer + sizeof(head));
		if (!head.length)
			client_fail(status, "%s", strerror(-head.status));
	} else if (head.length > reply_bytes) {
		status = client_fail(
			-EMSGSIZE, "a reply of %u bytes does not fit into %u", head.length, reply_bytes);
	} else if (head.length) {
		memcpy(reply, buffer + sizeof(head), head.length);
	}
	if (length)
		*length = head.length;
	if (status)
		close_fds(fds, got);
	else if (got_fds)
		*got_fds = got;
out:
	free(buffer);
	return status;
}

int steering_call(struct steering_client *client, enum steer_op op, const void *request,
	uint32_t request_bytes, void *reply, uint32_t reply_bytes, uint32_t *length)
{
	int status;

	pthread_mutex_lock(&client->call_lock);
	status = client_exchange(
		client, op, request, request_bytes, reply, reply_bytes, length, NULL, 0, NULL);
	pthread_mutex_unlock(&client->call_lock);
	return status;
}

int steering_call_exact(struct steering_client *client, enum steer_op op, const void *request,
	uint32_t request_bytes, void *reply, uint32_t reply_bytes)
{
	uint32_t length = 0;
	int status = steering_call(client, op, request, request_bytes, reply, reply_bytes, &length);

	if (!status && length != reply_bytes)
		return client_fail(
			-EPROTO, "a reply to message %u has %u bytes instead of %u", op, length, reply_bytes);
	return status;
}

bool steering_alive(struct steering_client *client)
{
	struct pollfd poll_fd = {.fd = client->socket};

	return client->socket >= 0 && poll(&poll_fd, 1, 0) >= 0 &&
	       !(poll_fd.revents & (POLLHUP | POLLERR | POLLNVAL));
}

// -- connecting -------------------------------------------------------------------------------------------------

static int open_socket(struct steering_client *client)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = client->options.timeout_ms / 1000,
		.tv_usec = client->options.timeout_ms % 1000 * 1000};

	if (strlen(client->path) >= sizeof(address.sun_path))
		return client_fail(-ENAMETOOLONG, "%s is too long for the path of a socket", client->path);
	memcpy(address.sun_path, client->path, strlen(client->path) + 1);
	client->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (client->socket < 0)
		return client_fail(-errno, "cannot make a socket: %m");
	// Only sending needs it: what we receive is polled for.
	setsockopt(client->socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (!connect(client->socket, (struct sockaddr *)&address, sizeof(address)))
		return 0;
	switch (errno) {
	case ENOENT:
		return client_fail(
			-ENOENT, "no fast path listens at %s: there is no such socket", client->path);
	case ECONNREFUSED:
		return client_fail(-ECONNREFUSED,
			"no fast path listens at %s: the socket is left over from one that ended",
			client->path);
	case EACCES:
	case EPERM:
		return client_fail(-EACCES,
			"not permitted to connect to the fast path at %s: it serves its own user only",
			client->path);
	default:
		return client_fail(-errno, "cannot connect to the fast path at %s: %m", client->path);
	}
}

static bool ring_fits(const struct steer_ring *ring, uint64_t bytes)
{
	return ring->size >= 4096 && !(ring->size & (ring->size - 1)) && !(ring->data_offset & 63) &&
	       ring->data_offset <= bytes && ring->size <= bytes - ring->data_offset;
}

static bool use_producer(
	struct steering_client *client, struct ring_producer *ring, struct steer_ring *shared)
{
	ring_producer_init(ring, shared, (uint8_t *)client->segment + shared->data_offset, shared->size);
	return ring_fits(shared, client->hello.segment_bytes);
}

static bool use_consumer(
	struct steering_client *client, struct ring_consumer *ring, struct steer_ring *shared)
{
	ring_consumer_init(ring, shared, (uint8_t *)client->segment + shared->data_offset, shared->size);
	return ring_fits(shared, client->hello.segment_bytes);
}

static int map_segment(struct steering_client *client, int fd)
{
	uint64_t bytes = client->hello.segment_bytes;
	struct stat stat;
	void *mapping;
	bool good;

	if (fstat(fd, &stat) || bytes < sizeof(struct steer_segment) || (uint64_t)stat.st_size < bytes)
		return client_fail(
			-EPROTO, "the fast path at %s gave a segment of a wrong size", client->path);
	mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapping == MAP_FAILED)
		return client_fail(-errno, "cannot map the session's segment: %m");
	client->segment = mapping;
	client->queue_depth = client->segment->queue_depth;
	good = client->segment->magic == STEERING_MAGIC &&
	       client->segment->nr_queues == client->options.nr_queues;
	good = good && use_producer(client, &client->packet_in, &client->segment->packet_in);
	good = good && use_consumer(client, &client->packet_out, &client->segment->packet_out);
	good = good && use_consumer(client, &client->event, &client->segment->event);
	memset(&client->flow, 0, sizeof(client->flow));
	if (client->segment->flow.size)
		good = good && use_consumer(client, &client->flow, &client->segment->flow);
	for (unsigned int i = 0; good && i < client->options.nr_queues; i++) {
		struct client_queue *queue = &client->queue[i];

		queue->posted = queue->completed = 0;
		good = use_producer(client, &queue->sq, &client->segment->queue[i].sq) &&
		       use_consumer(client, &queue->cq, &client->segment->queue[i].cq);
	}
	return good ? 0 : client_fail(-EPROTO, "the fast path at %s gave a malformed segment", client->path);
}

static int say_hello(struct steering_client *client)
{
	struct steer_hello hello = {
		.magic = STEERING_MAGIC,
		.abi = STEERING_ABI,
		.layout_hash = STEERING_LAYOUT_HASH,
		.flags = client->options.flags,
		.nr_queues = client->options.nr_queues,
		.queue_depth = client->options.queue_depth,
		.nr_counters = client->options.nr_counters,
		.nr_meters = client->options.nr_meters,
		.packet_ring_bytes = client->options.packet_ring_bytes,
		.flow_ring_bytes = client->options.flow_ring_bytes,
	};
	int fds[HELLO_FDS], status;
	unsigned int got = 0;
	uint32_t length = 0;

	memcpy(hello.name, client->name, sizeof(hello.name));
	status = client_exchange(client, STEER_OP_HELLO, &hello, sizeof(hello), &client->hello,
		sizeof(client->hello), &length, fds, HELLO_FDS, &got);
	if (status)
		return status;
	if (length != sizeof(client->hello) || got != HELLO_FDS || client->hello.magic != STEERING_MAGIC ||
		client->hello.abi != STEERING_ABI) {
		close_fds(fds, got);
		return client_fail(-EPROTO, "what listens at %s is not a fast path of our ABI (%u)",
			client->path, (unsigned int)STEERING_ABI);
	}
	client->doorbell = fds[1];
	client->notify = fds[2];
	status = map_segment(client, fds[0]);
	close(fds[0]);
	return status;
}

static void disconnect(struct steering_client *client)
{
	client_stats_close(client);
	if (client->segment)
		munmap(client->segment, client->hello.segment_bytes);
	client->segment = NULL;
	if (client->socket >= 0)
		close(client->socket);
	if (client->doorbell >= 0)
		close(client->doorbell);
	if (client->notify >= 0)
		close(client->notify);
	client->socket = client->doorbell = client->notify = -1;
}

static int establish(struct steering_client *client)
{
	int status = open_socket(client);

	if (!status)
		status = say_hello(client);
	if (status)
		disconnect(client);
	return status;
}

int steering_connect(
	const struct steering_options *options, struct steering_client **result, char *why, size_t why_bytes)
{
	struct steering_client *client = calloc(1, sizeof(*client));
	pthread_condattr_t monotonic;
	int status = -ENOMEM;

	*result = NULL;
	if (!client) {
		client_fail(-ENOMEM, "no memory for a session");
		goto fail;
	}
	client->options = *options;
	client->socket = client->doorbell = client->notify = -1;
	if (!client->options.queue_depth)
		client->options.queue_depth = 1024;
	if (!client->options.timeout_ms)
		client->options.timeout_ms = CALL_TIMEOUT_MS;
	snprintf(client->path, sizeof(client->path), "%s", options->path);
	snprintf(client->name, sizeof(client->name), "%s", options->name ? options->name : "");
	client->options.path = client->path;
	client->options.name = client->name;
	pthread_mutex_init(&client->call_lock, NULL);
	pthread_mutex_init(&client->wait_lock, NULL);
	pthread_mutex_init(&client->stats_lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&client->wait_changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (strlen(options->path) >= sizeof(client->path))
		status = client_fail(-ENAMETOOLONG, "%s is too long for the path of a socket", options->path);
	else if (options->name && strlen(options->name) >= sizeof(client->name))
		status =
			client_fail(-ENAMETOOLONG, "%s is too long for the name of a session", options->name);
	else
		status = establish(client);
	if (!status) {
		*result = client;
		return 0;
	}
fail:
	if (why && why_bytes)
		snprintf(why, why_bytes, "%s", why_text);
	if (client)
		steering_close(client);
	return status;
}

int steering_reattach(struct steering_client *client)
{
	disconnect(client);
	return establish(client);
}

void steering_close(struct steering_client *client)
{
	if (!client)
		return;
	disconnect(client);
	pthread_mutex_destroy(&client->call_lock);
	pthread_mutex_destroy(&client->wait_lock);
	pthread_mutex_destroy(&client->stats_lock);
	pthread_cond_destroy(&client->wait_changed);
	free(client);
}

const struct steer_hello_reply *steering_session(const struct steering_client *client)
{
	return &client->hello;
}
