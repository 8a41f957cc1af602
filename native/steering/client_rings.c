// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The rings of a session: work and completions, packets, events, and waiting for them.

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client_private.h"

void client_ring_doorbell(int fd)
{
	uint64_t one = 1;
	ssize_t written = write(fd, &one, sizeof(one));

	(void)written;
}

static int broken(const struct steering_client *client)
{
	return client_fail(-ENOTCONN,
		client->segment ? "the fast path at %s left a ring in an impossible state"
				: "there is no session with the fast path at %s",
		client->path);
}

static struct client_queue *queue_of(struct steering_client *client, unsigned int queue)
{
	return client->segment && queue < client->options.nr_queues ? &client->queue[queue] : NULL;
}

static int no_queue(const struct steering_client *client, unsigned int queue)
{
	if (!client->segment)
		return broken(client);
	return client_fail(
		-EINVAL, "queue %u is not one of the session's %u", queue, client->options.nr_queues);
}

int steering_reserve(struct steering_client *client, unsigned int index, uint32_t length, void **place)
{
	struct client_queue *queue = queue_of(client, index);
	int status;

	if (!queue)
		return no_queue(client, index);
	if (length > STEER_RECORD_MAX)
		return client_fail(-EMSGSIZE, "a work entry of %u bytes is longer than %u", length,
			(unsigned int)STEER_RECORD_MAX);
	if (queue->posted - queue->completed >= client->queue_depth)
		return client_fail(-EAGAIN, "queue %u has %u work entries in flight, its depth", index,
			client->queue_depth);
	status = ring_reserve(&queue->sq, length, place);
	if (status == -EAGAIN)
		return client_fail(status, "queue %u is full", index);
	return status == -EBADMSG ? broken(client) : status;
}

void steering_commit(struct steering_client *client, unsigned int index, uint32_t length)
{
	ring_commit(&client->queue[index].sq, length);
	client->queue[index].posted++;
}

int steering_post(struct steering_client *client, unsigned int index, const struct steer_record *record)
{
	void *place;
	int status = steering_reserve(client, index, record->length, &place);

	if (status)
		return status;
	memcpy(place, record, record->length);
	steering_commit(client, index, record->length);
	return 0;
}

int steering_push(struct steering_client *client, unsigned int index)
{
	struct client_queue *queue = queue_of(client, index);

	if (!queue)
		return no_queue(client, index);
	if (ring_publish(&queue->sq))
		client_ring_doorbell(client->doorbell);
	return 0;
}

int steering_pull(struct steering_client *client, unsigned int index, struct steer_completion *completions,
	unsigned int max)
{
	struct client_queue *queue = queue_of(client, index);
	unsigned int count = 0;
	int status = 0;

	if (!queue)
		return no_queue(client, index);
	while (count < max) {
		struct steer_record header;
		const void *place;

		status = ring_front(&queue->cq, &header, &place);
		if (status <= 0)
			break;
		if (header.kind == STEER_REC_COMPLETION && header.length >= sizeof(*completions)) {
			memcpy(&completions[count], place, sizeof(*completions));
			if (completions[count].op != STEER_REC_EVENT)
				queue->completed++;
			count++;
		}
		ring_pop(&queue->cq, &header);
	}
	ring_release(&queue->cq);
	return status < 0 && !count ? broken(client) : (int)count;
}

uint32_t steering_in_flight(const struct steering_client *client, unsigned int index)
{
	return index < STEER_QUEUE_MAX ? client->queue[index].posted - client->queue[index].completed : 0;
}

uint32_t steering_queue_depth(const struct steering_client *client)
{
	return client->queue_depth;
}

// -- packets and events -----------------------------------------------------------------------------------------

int steering_packet_post(struct steering_client *client, enum steer_packet_kind kind, uint16_t port,
	uint32_t pkt_meta, const void *frame, uint32_t length)
{
	struct steer_packet packet = {
		.rec = {.length = (uint32_t)sizeof(packet) + length, .kind = STEER_REC_PACKET},
		.length = length,
		.pkt_meta = pkt_meta,
		.port = port,
		.kind = (uint8_t)kind,
	};
	void *place;
	int status;

	if (!client->segment)
		return broken(client);
	if (length > STEER_FRAME_MAX)
		return client_fail(-EMSGSIZE, "a frame of %u bytes is longer than %u", length,
			(unsigned int)STEER_FRAME_MAX);
	status = ring_reserve(&client->packet_in, packet.rec.length, &place);
	if (status == -EAGAIN)
		return client_fail(status, "the packet ring is full");
	if (status == -EMSGSIZE)
		return client_fail(status, "a frame of %u bytes does not fit into the packet ring", length);
	if (status)
		return broken(client);
	memcpy(place, &packet, sizeof(packet));
	memcpy((uint8_t *)place + sizeof(packet), frame, length);
	ring_commit(&client->packet_in, packet.rec.length);
	return 0;
}

int steering_packet_push(struct steering_client *client)
{
	if (!client->segment)
		return broken(client);
	if (ring_publish(&client->packet_in))
		client_ring_doorbell(client->doorbell);
	return 0;
}

int steering_packet_receive(
	struct steering_client *client, struct steer_packet *packet, void *frame, uint32_t frame_bytes)
{
	struct steer_record header;
	const void *place;
	int status = client->segment ? ring_front(&client->packet_out, &header, &place) : -EBADMSG;

	if (status <= 0)
		return status ? broken(client) : 0;
	if (header.kind != STEER_REC_PACKET || header.length < sizeof(*packet))
		return broken(client);
	memcpy(packet, place, sizeof(*packet));
	if (packet->length > header.length - sizeof(*packet))
		return broken(client);
	memcpy(frame, (const uint8_t *)place + sizeof(*packet),
		packet->length < frame_bytes ? packet->length : frame_bytes);
	ring_pop(&client->packet_out, &header);
	ring_release(&client->packet_out);
	return 1;
}

int steering_event_receive(struct steering_client *client, struct steer_event *event)
{
	struct steer_record header;
	const void *place;
	int status = client->segment ? ring_front(&client->event, &header, &place) : -EBADMSG;

	if (status <= 0)
		return status ? broken(client) : 0;
	if (header.length < sizeof(*event))
		return broken(client);
	memcpy(event, place, sizeof(*event));
	event->text[sizeof(event->text) - 1] = '\0';
	ring_pop(&client->event, &header);
	ring_release(&client->event);
	return 1;
}

int steering_flow_receive(struct steering_client *client, struct steer_flow_record *records, unsigned int max)
{
	struct steer_record header;
	const void *place;
	unsigned int count = 0;
	int status = 0;

	if (!client->segment)
		return broken(client);
	if (!client->flow.shared)
		return client_fail(-ENODATA, "the session has asked for no ring of flow records");
	while (count < max) {
		status = ring_front(&client->flow, &header, &place);
		if (status <= 0)
			break;
		if (header.kind == STEER_REC_FLOW && header.length >= sizeof(*records))
			memcpy(&records[count++], place, sizeof(*records));
		ring_pop(&client->flow, &header);
	}
	ring_release(&client->flow);
	return status < 0 && !count ? broken(client) : (int)count;
}

static uint64_t lost(const struct steer_ring *ring)
{
	return __atomic_load_n(&ring->lost, __ATOMIC_RELAXED);
}

uint64_t steering_packets_lost(const struct steering_client *client)
{
	return client->segment ? lost(&client->segment->packet_out) : 0;
}

uint64_t steering_events_lost(const struct steering_client *client)
{
	return client->segment ? lost(&client->segment->event) : 0;
}

uint64_t steering_flows_lost(const struct steering_client *client)
{
	return client->segment ? lost(&client->segment->flow) : 0;
}

// -- waiting ----------------------------------------------------------------------------------------------------

enum { SPIN_US = 50 };

struct wait_set {
	struct ring_consumer *ring[4];
	unsigned int count;
};

// True when a ring has something. arm: the fast path shall write the eventfd for what comes later.
static bool any_ready(struct wait_set *set, bool arm)
{
	bool ready = false;

	for (unsigned int i = 0; i < set->count; i++) {
		struct ring_consumer *ring = set->ring[i];

		if (arm)
			ready |= !ring_sleep(ring);
		else
			ready |= ring->head != __atomic_load_n(&ring->shared->tail, __ATOMIC_ACQUIRE);
	}
	return ready;
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

// One sleep on notify and socket. -ENOTCONN when the fast path is gone.
static int poll_once(struct steering_client *client, int64_t left_us)
{
	struct pollfd fds[2] = {{.fd = client->notify, .events = POLLIN}, {.fd = client->socket}};
	struct timespec left = {.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
	uint64_t count;

	// The fast path sends a word for each time that it found us asleep.
	if (ppoll(fds, 2, left_us < 0 ? NULL : &left, NULL) < 0)
		return 0;
	while (fds[0].revents & POLLIN && recv(client->notify, &count, sizeof(count), MSG_DONTWAIT) > 0)
		;
	if (fds[1].revents & (POLLHUP | POLLERR | POLLNVAL))
		return client_fail(-ENOTCONN, "the fast path at %s has closed the connection", client->path);
	return 0;
}

// Waits until the thread that polls tells of a change. wait_lock is held.
static void follow(struct steering_client *client, int64_t until_us)
{
	struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};

	if (until_us < 0)
		pthread_cond_wait(&client->wait_changed, &client->wait_lock);
	else
		pthread_cond_timedwait(&client->wait_changed, &client->wait_lock, &until);
}

// Polls for all waiting threads. wait_lock is held, and released while asleep.
static int lead(struct steering_client *client, int64_t left_us)
{
	int status;

	client->wait_led = true;
	pthread_mutex_unlock(&client->wait_lock);
	status = poll_once(client, left_us);
	pthread_mutex_lock(&client->wait_lock);
	client->wait_led = false;
	pthread_cond_broadcast(&client->wait_changed);
	return status;
}

// Completions mostly come within microseconds, and being woken up costs more than that. Yielding lets the fast path run
// when it shares our core.
static bool spin(struct wait_set *set, int64_t timeout_us)
{
	int64_t until_us = now_us() + (timeout_us < 0 || timeout_us > SPIN_US ? SPIN_US : timeout_us);

	do {
		sched_yield();
		if (any_ready(set, false))
			return true;
	} while (now_us() < until_us);
	return false;
}

int steering_wait(
	struct steering_client *client, unsigned int wait_for, unsigned int index, int64_t timeout_us)
{
	struct wait_set set = {.count = 0};
	int64_t until_us = timeout_us < 0 ? -1 : now_us() + timeout_us;
	int status = 0;

	if (!client->segment)
		return broken(client);
	if (wait_for & STEERING_WAIT_COMPLETIONS) {
		if (!queue_of(client, index))
			return no_queue(client, index);
		set.ring[set.count++] = &client->queue[index].cq;
	}
	if (wait_for & STEERING_WAIT_PACKETS)
		set.ring[set.count++] = &client->packet_out;
	if (wait_for & STEERING_WAIT_EVENTS)
		set.ring[set.count++] = &client->event;
	if ((wait_for & STEERING_WAIT_FLOWS) && client->flow.shared)
		set.ring[set.count++] = &client->flow;
	if (any_ready(&set, false))
		return 1;
	if (!timeout_us)
		return steering_alive(client)
			       ? 0
			       : client_fail(-ENOTCONN, "the fast path at %s has closed the connection",
					 client->path);

	if ((wait_for & STEERING_WAIT_COMPLETIONS) && steering_in_flight(client, index) &&
		spin(&set, timeout_us))
		return 1;
	pthread_mutex_lock(&client->wait_lock);
	while (!status && !any_ready(&set, true)) {
		int64_t left_us = until_us < 0 ? -1 : until_us - now_us();

		if (until_us >= 0 && left_us <= 0)
			break;
		if (client->wait_led)
			follow(client, until_us);
		else
			status = lead(client, left_us);
	}
	pthread_mutex_unlock(&client->wait_lock);
	for (unsigned int i = 0; i < set.count; i++)
		ring_awake(set.ring[i]);
	return any_ready(&set, false) ? 1 : status;
}
