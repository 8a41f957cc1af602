// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <string.h>

#include "fastpath.h"
#include "queue.h"

enum {
	BATCH = 64, // work entries of one queue and turn: other queues and sessions come in between
	WARM_LEAST = 4,
};

static bool complete(
	struct session *session, struct session_queue *queue, const struct steer_completion *completion)
{
	void *place;
	int status = ring_reserve(&queue->cq, sizeof(*completion), &place);

	if (status == -EBADMSG)
		session_kill(session, "its completion ring is in an impossible state");
	if (status)
		return false;
	memcpy(place, completion, sizeof(*completion));
	ring_commit(&queue->cq, sizeof(*completion));
	return true;
}

// Only when an entry of the space can age does it matter on which queue it was added.
static void note_queue(struct session *session, uint32_t id, unsigned int index)
{
	struct entry *entry;
	struct entry_age *age;

	if (TAILQ_EMPTY(&session->space->aging))
		return;
	entry = entry_find(session->space, id);
	age = entry ? entry_age(entry) : NULL;
	if (age)
		age->queue = (uint16_t)index;
}

static int execute(
	struct session *session, unsigned int index, struct work_entry *work, struct entry_result *result)
{
	int status;

	switch (work->rec.kind) {
	case STEER_REC_ENTRY_ADD:
		status = entry_add(session->space, &work->add, work->rec.length, result);
		if (!status)
			note_queue(session, work->add.entry, index);
		return status;
	case STEER_REC_ENTRY_UPDATE:
		status = entry_update(session->space, &work->add, work->rec.length, result);
		if (!status)
			note_queue(session, work->add.entry, index);
		return status;
	default:
		return entry_remove(session->space, work->remove.entry, result);
	}
}

static void handle(
	struct session *session, unsigned int index, struct work_entry *work, struct steer_completion *done)
{
	static struct entry_result result;
	enum steer_reason reason = work_check(work);

	*done = (struct steer_completion){
		.rec = {.length = sizeof(*done), .kind = STEER_REC_COMPLETION},
		.user_data = work_user_data(work),
		.entry = work_entry_id(work),
		.counter = STEER_COUNTER_NONE,
		.op = work->rec.kind,
		.reason = reason,
		.status = reason ? -EINVAL : 0,
	};
	if (reason)
		return;
	result.counter = STEER_COUNTER_NONE;
	result.why.reason = STEER_WHY_NONE;
	done->status = execute(session, index, work, &result);
	done->counter = result.counter;
	done->reason = done->status ? result.why.reason : STEER_WHY_NONE;
}

static bool completion_fits(struct session *session, struct session_queue *queue)
{
	int64_t room;

	// The last view of the client's cursor will do most of the time.
	if (queue->cq.size - (queue->cq.tail - queue->cq.head) >= sizeof(struct steer_completion))
		return true;
	room = ring_room(&queue->cq);
	if (room < 0)
		session_kill(session, "its completion ring is in an impossible state");
	return room >= (int64_t)sizeof(struct steer_completion);
}

// What the next entries will touch is fetched together. A handful is not worth it.
static void warm(const struct session *session, const struct session_queue *queue)
{
	static struct entry_hint hints[ENTRY_HINTS_MAX];
	struct ring_consumer peek = queue->sq;
	struct steer_record header;
	const void *place;
	unsigned int n = 0;

	while (n < ENTRY_HINTS_MAX && ring_front(&peek, &header, &place) > 0) {
		struct entry_hint *hint = &hints[n++];

		*hint = (struct entry_hint){.entry = STEER_ENTRY_NONE};
		if (header.kind == STEER_REC_ENTRY_ADD && header.length > sizeof(struct steer_entry_add)) {
			struct steer_entry_add rec;

			memcpy(&rec, place, sizeof(rec));
			hint->add = true;
			hint->pipe = rec.pipe;
			hint->key_bytes = rec.key_bytes;
			if (rec.key_bytes <= sizeof(hint->key) &&
				rec.key_bytes <= header.length - sizeof(rec))
				memcpy(hint->key, (const uint8_t *)place + sizeof(rec), rec.key_bytes);
			else
				hint->add = false;
		} else if (header.kind == STEER_REC_ENTRY_UPDATE &&
			   header.length >= sizeof(struct steer_entry_add)) {
			memcpy(&hint->entry, (const uint8_t *)place + offsetof(struct steer_entry_add, entry),
				sizeof(hint->entry));
		} else if (header.kind == STEER_REC_ENTRY_REMOVE &&
			   header.length >= sizeof(struct steer_entry_remove)) {
			memcpy(&hint->entry,
				(const uint8_t *)place + offsetof(struct steer_entry_remove, entry),
				sizeof(hint->entry));
		}
		ring_pop(&peek, &header);
	}
	if (n >= WARM_LEAST)
		entries_warm(session->space, hints, n);
}

unsigned int queue_turn(struct session *session, unsigned int index)
{
	static struct work_entry work __attribute__((aligned(64)));
	struct session_queue *queue = &session->queues[index];
	unsigned int count = 0, refused = 0;

	if (queue->sq.head == __atomic_load_n(&queue->sq.shared->tail, __ATOMIC_RELAXED)) {
		queue->blocked = false;
		return 0;
	}
	while (count < BATCH) {
		struct steer_completion done;
		int status;

		queue->blocked = !completion_fits(session, queue);
		if (queue->blocked || session->dead)
			break;
		if (count % ENTRY_HINTS_MAX == 0)
			warm(session, queue);
		status = work_take(&queue->sq, &work);
		if (status < 0)
			session_kill(session, "its submission ring is in an impossible state");
		if (status <= 0)
			break;
		handle(session, index, &work, &done);
		refused += done.status < 0;
		complete(session, queue, &done);
		count++;
	}
	if (!count)
		return 0;
	ring_release(&queue->sq);
	session_publish(session, &queue->cq);
	fp_write(&fp.stats->posted, fp.stats->posted + count);
	fp_write(&fp.stats->refused, fp.stats->refused + refused);
	return count;
}

bool queue_notify_aged(
	struct session *session, unsigned int index, uint32_t entry, uint64_t user_data, uint32_t counter)
{
	struct steer_completion aged = {
		.rec = {.length = sizeof(aged), .kind = STEER_REC_COMPLETION},
		.user_data = user_data,
		.entry = entry,
		.counter = counter,
		.op = STEER_REC_EVENT,
	};
	struct session_queue *queue;

	if (!session->attached || !session->nr_queues)
		return false;
	queue = &session->queues[index < session->nr_queues ? index : 0];
	// Half of the ring is for the completions of what is in flight.
	if (ring_room(&queue->cq) < (int64_t)(queue->cq.size / 2))
		return false;
	if (!complete(session, queue, &aged))
		return false;
	session_publish(session, &queue->cq);
	return true;
}
