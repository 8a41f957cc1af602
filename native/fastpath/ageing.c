// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include "ageing.h"
#include "control.h"
#include "pipe.h"
#include "queue.h"
#include "session.h"

enum { STEP = 256 }; // entries looked at in one step

static const uint64_t STEP_NS = 1000000;           // between steps while a round is on
static const uint64_t ROUND_NS = 200 * 1000000ull; // from the start of one round to the next
static uint64_t step_ns, round_ns;
static bool in_round;

// A notice that finds no room is told in a later round.
static void look_at(struct session *session, struct entry *entry)
{
	struct entry_age *age = entry_age(entry);
	uint64_t hits;

	if (!age || !age->timeout_sec)
		return;
	hits = entry_hits(entry);
	if (!age->seen_ns || hits != age->hits) {
		age->hits = hits;
		age->seen_ns = control.now_ns;
		age->told = false;
		return;
	}
	if (age->told || control.now_ns - age->seen_ns < age->timeout_sec * 1000000000ull)
		return;
	age->told = queue_notify_aged(
		session, age->queue, entry_id(entry), entry_user_data(entry), entry_counter(entry));
}

// One step over a session's entries. False when its round is over.
static bool sweep(struct session *session)
{
	struct space *space = session->space;

	for (unsigned int i = 0; i < STEP && space->aging_cursor; i++) {
		struct entry *entry = space->aging_cursor;

		space->aging_cursor = entry_aging_next(space, entry);
		look_at(session, entry);
	}
	return space->aging_cursor != NULL;
}

void ageing_turn(void)
{
	struct session *session;
	bool more = false;

	if (control.now_ns - step_ns < STEP_NS || (!in_round && control.now_ns - round_ns < ROUND_NS))
		return;
	step_ns = control.now_ns;
	if (!in_round)
		round_ns = control.now_ns;
	TAILQ_FOREACH (session, &sessions, all) {
		if (!session->space || TAILQ_EMPTY(&session->space->aging))
			continue;
		if (!in_round)
			session->space->aging_cursor = entry_aging_next(session->space, NULL);
		more |= sweep(session);
	}
	in_round = more;
}

bool ageing_waiting(void)
{
	return in_round;
}
