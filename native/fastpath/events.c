// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "events.h"
#include "session.h"

static void send_event(struct session *session, const struct steer_event *event)
{
	void *place;

	if (!session->attached)
		return;
	if (ring_reserve(&session->event, sizeof(*event), &place)) {
		session_count_lost(&session->event);
		return;
	}
	memcpy(place, event, sizeof(*event));
	ring_commit(&session->event, sizeof(*event));
	session_publish(session, &session->event);
}

static struct steer_event make_event(uint32_t kind, uint16_t port, uint64_t value, const char *text)
{
	struct steer_event event = {
		.rec = {.length = sizeof(event), .kind = STEER_REC_EVENT},
		.kind = kind,
		.port = port,
		.value = value,
	};

	event.timestamp_ns = clock_wall_ns();
	snprintf(event.text, sizeof(event.text), "%s", text ? text : "");
	return event;
}

void events_send(uint32_t kind, uint16_t port, uint64_t value, const char *text)
{
	struct steer_event event = make_event(kind, port, value, text);
	struct session *session;

	TAILQ_FOREACH (session, &sessions, all)
		send_event(session, &event);
}

void events_send_to(uint32_t number, uint32_t kind, uint16_t port, uint64_t value, const char *text)
{
	struct steer_event event = make_event(kind, port, value, text);
	struct session *session = session_find(number);

	if (session)
		send_event(session, &event);
}
