// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The single-producer single-consumer byte ring of the shared segment (struct steer_ring in steering_wire.h). Client and
// fast path both use this file. Each end keeps its own cursor and the ring's geometry in private memory, and only range
// checks what the other end wrote: a peer that lies gets -EBADMSG, never an access outside the ring.
//
// Thread rule: one thread produces, one thread consumes; neither ever waits.
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "steering_wire.h"

struct ring_producer {
	struct steer_ring *shared;
	uint8_t *data;
	uint64_t size;
	uint64_t tail; // ours; records up to here are written, not all published
	uint64_t head; // the consumer's, as last seen
};

struct ring_consumer {
	struct steer_ring *shared;
	const uint8_t *data;
	uint64_t size;
	uint64_t head; // ours; not all released
	uint64_t tail; // the producer's, as last seen
};

// Bytes that a record of this length takes in a ring.
static inline uint64_t ring_record_bytes(uint32_t length)
{
	return ((uint64_t)length + STEER_RECORD_ALIGN - 1) & ~(uint64_t)(STEER_RECORD_ALIGN - 1);
}

// A fresh ring: both cursors at zero. size is a power of two, data has size bytes.
static inline void ring_producer_init(
	struct ring_producer *ring, struct steer_ring *shared, void *data, uint64_t size)
{
	*ring = (struct ring_producer){.shared = shared, .data = data, .size = size};
}

static inline void ring_consumer_init(
	struct ring_consumer *ring, struct steer_ring *shared, const void *data, uint64_t size)
{
	*ring = (struct ring_consumer){.shared = shared, .data = data, .size = size};
}

// Bytes that are free for sure; refreshes the view of the consumer's cursor. -EBADMSG when that is impossible.
static inline int64_t ring_room(struct ring_producer *ring)
{
	uint64_t head = __atomic_load_n(&ring->shared->head, __ATOMIC_ACQUIRE);

	if (ring->tail - head > ring->size || head % STEER_RECORD_ALIGN)
		return -EBADMSG;
	ring->head = head;
	return (int64_t)(ring->size - (ring->tail - head));
}

// Finds room for a record of length bytes and gives its place, aligned to STEER_RECORD_ALIGN. Nothing is visible to the
// consumer before ring_commit() and ring_publish(). -EAGAIN: full, -EMSGSIZE: could never fit, -EBADMSG: see ring_room().
static inline int ring_reserve(struct ring_producer *ring, uint32_t length, void **place)
{
	uint64_t need = ring_record_bytes(length), offset = ring->tail & (ring->size - 1);
	uint64_t to_end = ring->size - offset, total = need <= to_end ? need : to_end + need;

	*place = NULL;
	if (length < sizeof(struct steer_record) || need > ring->size / 2)
		return -EMSGSIZE;
	if (ring->size - (ring->tail - ring->head) < total) {
		int64_t room = ring_room(ring);

		if (room < 0)
			return (int)room;
		if ((uint64_t)room < total)
			return -EAGAIN;
	}
	if (need > to_end) {
		struct steer_record pad = {.length = (uint32_t)to_end, .kind = STEER_REC_PAD};

		memcpy(ring->data + offset, &pad, sizeof(pad));
		ring->tail += to_end;
		offset = 0;
	}
	*place = ring->data + offset;
	return 0;
}

// The record just reserved is complete. length may be smaller than what was reserved.
static inline void ring_commit(struct ring_producer *ring, uint32_t length)
{
	ring->tail += ring_record_bytes(length);
}

// Makes all committed records visible. True: the consumer sleeps and its eventfd must be written.
static inline bool ring_publish(struct ring_producer *ring)
{
	__atomic_store_n(&ring->shared->tail, ring->tail, __ATOMIC_RELEASE);
	// The consumer stores sleeping, then loads tail; we store tail, then load sleeping: one of the two sees the other.
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&ring->shared->sleeping, __ATOMIC_RELAXED) &&
	       __atomic_exchange_n(&ring->shared->sleeping, 0, __ATOMIC_ACQ_REL);
}

// The first record not popped yet: 1 with its header copied and its place, 0 when there is none, -EBADMSG when the
// producer's cursor or the header is impossible. Whoever does not trust the producer copies header->length bytes from
// place and believes only the header given here, since the producer can still write to place.
static inline int ring_front(struct ring_consumer *ring, struct steer_record *header, const void **place)
{
	for (;;) {
		uint64_t offset = ring->head & (ring->size - 1), available = ring->tail - ring->head;

		if (!available) {
			ring->tail = __atomic_load_n(&ring->shared->tail, __ATOMIC_ACQUIRE);
			available = ring->tail - ring->head;
			if (!available)
				return 0;
			if (available > ring->size || available % STEER_RECORD_ALIGN) {
				ring->tail = ring->head;
				return -EBADMSG;
			}
		}
		uint64_t word = __atomic_load_n((const uint64_t *)(ring->data + offset), __ATOMIC_RELAXED);

		memcpy(header, &word, sizeof(*header));
		uint64_t bytes = ring_record_bytes(header->length);

		if (header->length < sizeof(*header) || bytes > available || bytes > ring->size - offset)
			return -EBADMSG;
		if (header->kind != STEER_REC_PAD) {
			*place = ring->data + offset;
			return 1;
		}
		ring->head += bytes;
	}
}

// Steps over the record that ring_front() gave.
static inline void ring_pop(struct ring_consumer *ring, const struct steer_record *header)
{
	ring->head += ring_record_bytes(header->length);
}

// Gives the room of all popped records back to the producer.
static inline void ring_release(struct ring_consumer *ring)
{
	__atomic_store_n(&ring->shared->head, ring->head, __ATOMIC_RELEASE);
}

// To be called before sleeping on the eventfd: true when the ring is empty and the producer will write the eventfd,
// false when there is something to do.
static inline bool ring_sleep(struct ring_consumer *ring)
{
	__atomic_store_n(&ring->shared->sleeping, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ring->tail == ring->head && __atomic_load_n(&ring->shared->tail, __ATOMIC_ACQUIRE) == ring->tail)
		return true;
	__atomic_store_n(&ring->shared->sleeping, 0, __ATOMIC_RELAXED);
	return false;
}

static inline void ring_awake(struct ring_consumer *ring)
{
	__atomic_store_n(&ring->shared->sleeping, 0, __ATOMIC_RELAXED);
}
