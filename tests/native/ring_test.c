// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// ring.h: order, wrap, full, sleeping, and a peer that lies.

#include <pthread.h>
#include <sched.h>
#include <stddef.h>

#include "ring.h"
#include "tap.h"

enum { SIZE = 4096 };

static _Alignas(64) uint8_t data[SIZE];
static _Alignas(64) struct steer_ring shared;
static struct ring_producer producer;
static struct ring_consumer consumer;

static void fresh(void)
{
	memset(&shared, 0, sizeof(shared));
	memset(data, 0xee, sizeof(data));
	ring_producer_init(&producer, &shared, data, SIZE);
	ring_consumer_init(&consumer, &shared, data, SIZE);
}

static int put(uint32_t length, uint8_t fill)
{
	struct steer_record record = {.length = length, .kind = STEER_REC_EVENT};
	void *place;
	int status = ring_reserve(&producer, length, &place);

	if (status)
		return status;
	memset(place, fill, length);
	memcpy(place, &record, sizeof(record));
	ring_commit(&producer, length);
	return 0;
}

static void order_and_wrap(void)
{
	struct steer_record header;
	const void *place;
	bool good = true;

	fresh();
	for (unsigned int i = 0; i < 1000; i++) {
		uint32_t length = 8 + i * 7 % 1500;

		good &= !put(length, (uint8_t)i);
		ring_publish(&producer);
		good &= ring_front(&consumer, &header, &place) == 1 && header.length == length;
		good &= length == 8 || ((const uint8_t *)place)[length - 1] == (uint8_t)i;
		good &= (uintptr_t)place % STEER_RECORD_ALIGN == (uintptr_t)data % STEER_RECORD_ALIGN;
		ring_pop(&consumer, &header);
		ring_release(&consumer);
	}
	ok(good, "1000 records of many lengths arrive whole, in order, never wrapped");
	ok(ring_front(&consumer, &header, &place) == 0, "then the ring is empty");
}

static void full_and_visible(void)
{
	struct steer_record header;
	const void *place;
	unsigned int count = 0;

	fresh();
	while (!put(128, 1))
		count++;
	ok(count == SIZE / 128, "a ring of %d bytes takes %u records of 128", SIZE, count);
	ok(ring_front(&consumer, &header, &place) == 0, "nothing is visible before it is published");
	ring_publish(&producer);
	ok(put(128, 1) == -EAGAIN, "a full ring says EAGAIN");
	ok(ring_front(&consumer, &header, &place) == 1, "published records are there");
	ring_pop(&consumer, &header);
	ok(put(128, 1) == -EAGAIN, "popped is not released");
	ring_release(&consumer);
	ok(put(128, 1) == 0, "released room is used again");
	ok(put(SIZE / 2 + 1, 1) == -EMSGSIZE, "a record above half the ring is refused for good");
	ok(put(4, 1) == -EMSGSIZE, "a record shorter than its header is refused");
}

static void sleeping(void)
{
	struct steer_record header;
	const void *place;

	fresh();
	ok(ring_sleep(&consumer), "an empty ring may be slept on");
	put(64, 1);
	ok(ring_publish(&producer), "the producer is told to wake the consumer");
	ok(!ring_publish(&producer), "once");
	ok(!ring_sleep(&consumer), "a ring that has something may not be slept on");
	ring_front(&consumer, &header, &place);
	ok(!ring_sleep(&consumer), "nor one with a record seen but not popped");
}

static void lying_producer(void)
{
	struct steer_record header;
	const void *place;
	struct steer_record lie;

	fresh();
	shared.tail = SIZE + 16;
	ok(ring_front(&consumer, &header, &place) == -EBADMSG, "tail beyond the size");
	shared.tail = 8;
	ok(ring_front(&consumer, &header, &place) == -EBADMSG, "tail not aligned");
	shared.tail = 0ull - 16;
	ok(ring_front(&consumer, &header, &place) == -EBADMSG, "tail behind our head");
	fresh();
	put(64, 1);
	ring_publish(&producer);
	const uint32_t lengths[] = {0, 7, 65, 4096, 0xfffffff8, 0xffffffff};

	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		lie = (struct steer_record){.length = lengths[i], .kind = i & 1 ? STEER_REC_PAD : 1};
		memcpy(data, &lie, sizeof(lie));
		ok(ring_front(&consumer, &header, &place) == -EBADMSG, "record length %u is refused",
			lengths[i]);
	}
}

static void lying_consumer(void)
{
	fresh();
	while (!put(64, 1))
		;
	shared.head = 64 * 1000;
	ok(put(64, 1) == -EBADMSG, "head in front of the tail");
	shared.head = 1;
	ok(put(64, 1) == -EBADMSG, "head not aligned");
}

enum { MESSAGES = 200000 };

static void *produce(void *unused)
{
	for (uint32_t i = 0; i < MESSAGES; i++) {
		struct steer_event event = {
			.rec = {.length = sizeof(event) - i % 64, .kind = STEER_REC_EVENT}, .value = i};
		void *place;

		while (ring_reserve(&producer, event.rec.length, &place))
			sched_yield();
		memcpy(place, &event, event.rec.length);
		ring_commit(&producer, event.rec.length);
		ring_publish(&producer);
	}
	return NULL;
}

static void two_threads(void)
{
	pthread_t thread;
	uint32_t next = 0;
	bool good = true;

	fresh();
	pthread_create(&thread, NULL, produce, NULL);
	while (next < MESSAGES) {
		struct steer_record header;
		struct steer_event event;
		const void *place;
		int status = ring_front(&consumer, &header, &place);

		if (!status) {
			sched_yield();
			continue;
		}
		if (status < 0) {
			good = false;
			break;
		}
		memcpy(&event, place, offsetof(struct steer_event, text));
		good &= event.value == next++;
		ring_pop(&consumer, &header);
		ring_release(&consumer);
	}
	ok(good, "%d records between two threads arrive in order", MESSAGES);
	if (good)
		pthread_join(thread, NULL);
}

int main(void)
{
	order_and_wrap();
	full_and_visible();
	sleeping();
	lying_producer();
	lying_consumer();
	two_threads();
	return tap_done();
}
