// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What the files of the client library share.
#pragma once

#include <pthread.h>
#include <stdarg.h>

#include "ring.h"
#include "steering_client.h"

struct client_queue {
	struct ring_producer sq;
	struct ring_consumer cq;
	uint32_t posted; // written by the queue's thread only, as is completed
	uint32_t completed;
};

struct steering_client {
	// Owned copies of what the caller gave, for steering_reattach().
	struct steering_options options;
	char path[128];
	char name[STEER_NAME_MAX];

	int socket;
	int doorbell; // eventfd, we write
	int notify;   // socket, the fast path sends
	struct steer_hello_reply hello;
	struct steer_segment *segment;
	uint32_t queue_depth;

	pthread_mutex_t call_lock; // one sync call at a time
	uint32_t seq;

	// Several threads may wait for different rings on the one notify descriptor: one of them polls, the others wait for
	// it to tell that something happened.
	pthread_mutex_t wait_lock;
	pthread_cond_t wait_changed;
	bool wait_led;

	struct ring_producer packet_in;
	struct ring_consumer packet_out;
	struct ring_consumer event;
	struct ring_consumer flow; // without data when none was asked for
	struct client_queue queue[STEER_QUEUE_MAX];

	pthread_mutex_t stats_lock;
	const struct stats_header *stats;
	size_t stats_bytes;
};

// Records the sentence for steering_why() and gives status back.
int client_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

// One message out, one in; fds (may be NULL) takes up to nr_fds descriptors, *got_fds how many came. The caller holds
// call_lock. payload_bytes of reply_head says how long the answer was.
int client_exchange(struct steering_client *client, uint32_t op, const void *request, uint32_t request_bytes,
	void *reply, uint32_t reply_bytes, uint32_t *length, int *fds, unsigned int nr_fds,
	unsigned int *got_fds);

// Writes an eventfd, whose counter never overflows in practice; a full one wakes the reader just as well.
void client_ring_doorbell(int fd);

// Drops the stats mapping.
void client_stats_close(struct steering_client *client);
