// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// A session's shared segment: a memfd that neither end can shrink or grow, so that no access can fault, with all rings.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session.h"

enum {
	DEPTH_LEAST = 16,
	DEPTH_MOST = 1 << 16,
	RECORD_TYPICAL = 192, // bytes of a work entry that the submission ring is sized for
	RING_LEAST = 65536,
	PACKETS_DEFAULT = 1 << 20,
	PACKETS_LEAST = 1 << 18, // the largest frame takes at most half
	PACKETS_MOST = 1 << 26,
	EVENT_BYTES = 1 << 16,
	FLOWS_LEAST = 1 << 16,
	FLOWS_MOST = 1 << 28,
};

static const uint64_t SEGMENT_MOST = 1ull << 30;

static uint64_t power_of_two(uint64_t least)
{
	uint64_t size = 1;

	while (size < least)
		size <<= 1;
	return size;
}

static void place_ring(struct steer_ring *ring, uint64_t size, uint64_t *at)
{
	ring->data_offset = *at;
	ring->size = size;
	*at += size;
}

// Fills in all rings' places. Gives the size of the whole.
static uint64_t lay_out(struct steer_segment *segment, const struct steer_hello *hello)
{
	uint64_t at = (sizeof(*segment) + 4095) & ~4095ull;
	uint64_t depth = hello->queue_depth ? hello->queue_depth : 1024, packets = hello->packet_ring_bytes;

	depth = power_of_two(depth < DEPTH_LEAST ? DEPTH_LEAST : depth);
	packets = power_of_two(!packets                  ? PACKETS_DEFAULT
			       : packets < PACKETS_LEAST ? PACKETS_LEAST
							 : packets);
	segment->magic = STEERING_MAGIC;
	segment->abi = STEERING_ABI;
	segment->nr_queues = hello->nr_queues;
	segment->queue_depth = (uint32_t)depth;
	place_ring(&segment->packet_in, packets, &at);
	place_ring(&segment->packet_out, packets, &at);
	place_ring(&segment->event, EVENT_BYTES, &at);
	if (hello->flow_ring_bytes)
		place_ring(&segment->flow,
			power_of_two(
				hello->flow_ring_bytes < FLOWS_LEAST ? FLOWS_LEAST : hello->flow_ring_bytes),
			&at);
	for (unsigned int i = 0; i < hello->nr_queues; i++) {
		uint64_t sq = power_of_two(depth * RECORD_TYPICAL),
			 cq = 2 * depth * sizeof(struct steer_completion);

		place_ring(&segment->queue[i].sq, sq < RING_LEAST ? RING_LEAST : sq, &at);
		place_ring(&segment->queue[i].cq, cq < 4096 ? 4096 : cq, &at);
	}
	segment->bytes = at;
	return at;
}

static void use_consumer(struct session *session, struct ring_consumer *ring, struct steer_ring *shared,
	const struct steer_ring *mine)
{
	ring_consumer_init(ring, shared, (uint8_t *)session->segment + mine->data_offset, mine->size);
	// The first record shall ring the doorbell.
	ring_sleep(ring);
}

static void use_producer(struct session *session, struct ring_producer *ring, struct steer_ring *shared,
	const struct steer_ring *mine)
{
	ring_producer_init(ring, shared, (uint8_t *)session->segment + mine->data_offset, mine->size);
}

// Offsets and sizes are taken from our own layout, never from what the client could have changed by now.
static void use_rings(struct session *session, const struct steer_segment *mine)
{
	struct steer_segment *shared = session->segment;

	use_consumer(session, &session->packet_in, &shared->packet_in, &mine->packet_in);
	use_producer(session, &session->packet_out, &shared->packet_out, &mine->packet_out);
	use_producer(session, &session->event, &shared->event, &mine->event);
	use_producer(session, &session->flow, &shared->flow, &mine->flow);
	for (unsigned int i = 0; i < session->nr_queues; i++) {
		use_consumer(session, &session->queues[i].sq, &shared->queue[i].sq, &mine->queue[i].sq);
		use_producer(session, &session->queues[i].cq, &shared->queue[i].cq, &mine->queue[i].cq);
	}
}

static int map_memory(struct session *session, uint64_t bytes, int *fd)
{
	void *mapping;

	*fd = memfd_create("ringfield-session", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return -errno;
	if (ftruncate(*fd, (off_t)bytes) ||
		fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (mapping == MAP_FAILED)
		return -errno;
	session->segment = mapping;
	session->segment_bytes = bytes;
	return 0;
}

// A client shares the flags of what it is given, O_NONBLOCK too. So nothing is done with these that could wait on the
// client's word: the doorbell is an eventfd that is never read (epoll tells of each write), and to notify is to send on a
// socket with MSG_DONTWAIT.
static int make_descriptors(struct session *session, int fds[3])
{
	int pair[2];

	fds[1] = session->doorbell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fds[1] < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
		return -errno;
	session->notify = pair[0];
	fds[2] = pair[1];
	return 0;
}

int session_map(
	struct session *session, const struct steer_hello *hello, int fds[3], char why[CONFIG_WHY_MAX])
{
	static struct steer_segment layout;
	uint64_t bytes;
	int status;

	fds[0] = fds[1] = fds[2] = -1;
	if (hello->queue_depth > DEPTH_MOST || hello->packet_ring_bytes > PACKETS_MOST ||
		hello->flow_ring_bytes > FLOWS_MOST) {
		snprintf(why, CONFIG_WHY_MAX,
			"a queue depth of %u, packet rings of %u bytes or a flow ring of %u are above %u, %u "
			"and %u",
			hello->queue_depth, hello->packet_ring_bytes, hello->flow_ring_bytes,
			(unsigned int)DEPTH_MOST, (unsigned int)PACKETS_MOST, (unsigned int)FLOWS_MOST);
		return -EINVAL;
	}
	memset(&layout, 0, sizeof(layout));
	bytes = lay_out(&layout, hello);
	if (bytes > SEGMENT_MOST) {
		snprintf(why, CONFIG_WHY_MAX, "%u queues of depth %u need %llu MiB, above the bound of %llu",
			hello->nr_queues, hello->queue_depth, (unsigned long long)bytes >> 20,
			(unsigned long long)SEGMENT_MOST >> 20);
		return -E2BIG;
	}
	session->nr_queues = hello->nr_queues;
	session->queues = calloc(session->nr_queues ? session->nr_queues : 1, sizeof(*session->queues));
	status = session->queues ? map_memory(session, bytes, &fds[0]) : -ENOMEM;
	if (!status) {
		memcpy(session->segment, &layout, sizeof(layout));
		use_rings(session, &layout);
		status = make_descriptors(session, fds);
	}
	if (!status)
		return 0;
	snprintf(why, CONFIG_WHY_MAX, "cannot make the session's segment: %s", strerror(-status));
	if (fds[0] >= 0)
		close(fds[0]);
	if (fds[2] >= 0)
		close(fds[2]);
	session_unmap(session);
	return status;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void session_unmap(struct session *session)
{
	if (session->segment)
		munmap(session->segment, session->segment_bytes);
	session->segment = NULL;
	free(session->queues);
	session->queues = NULL;
	session->nr_queues = 0;
	close_fd(&session->doorbell);
	close_fd(&session->notify);
}
