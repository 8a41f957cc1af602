// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// COUNT, METER: elements of ordered lists, which count and meter at their place among the other elements.

#include <string.h>

#include "walk.h"

static enum steer_drop count_run(
	struct walker *w, struct packet *p, const struct action *a, const uint8_t *value)
{
	uint32_t id, slot = p->hit->own_counter;

	memcpy(&id, value, sizeof(id));
	if (id != UINT32_MAX) {
		const struct shared *s = shared_find(a->space, STEER_SHARED_COUNTER, id);

		slot = s ? s->counter : STEER_COUNTER_NONE;
	}
	if (w->live && slot != STEER_COUNTER_NONE)
		walker_count(w, p, slot);
	return STEER_DROP_NONE;
}

// Marks only, as every shared meter.
static enum steer_drop meter_run(
	struct walker *w, struct packet *p, const struct action *a, const uint8_t *value)
{
	const struct shared *s;
	uint32_t id;

	memcpy(&id, value, sizeof(id));
	s = shared_find(a->space, STEER_SHARED_METER, id);
	if (!s)
		return STEER_DROP_ACTION_FAILED;
	p->meta.meter_color = meter_color(s->meter, w->tsc, p->frame_len, p->meta.meter_color, w->live);
	return STEER_DROP_NONE;
}

static const struct action_kind count = {
	.kind = STEER_ACT_COUNT, .name = "count", .run = count_run, .arg_bytes = 4};
static const struct action_kind meter = {
	.kind = STEER_ACT_METER, .name = "meter", .run = meter_run, .arg_bytes = 4};
ACTION_REGISTER(count)
ACTION_REGISTER(meter)
