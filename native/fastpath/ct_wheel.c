// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Time-outs of connections: a hierarchical wheel of lists by number. Arming, disarming and taking out are O(1); a slot of a
// higher level is spread over the lower ones connection by connection, within the caller's budget.

#include <string.h>

#include "ct_table.h"

enum { MASK = CT_WHEEL_SLOTS - 1, BITS = 8, TICKS_PER_CALL = 4096 };

void ct_wheel_init(struct ct_wheel *wheel, uint32_t tick)
{
	memset(wheel, 0, sizeof(*wheel));
	wheel->tick = tick;
	wheel->level = -1;
}

static unsigned int slot_of(uint32_t tick, uint32_t due)
{
	uint32_t ahead = due - tick;
	unsigned int level = ahead < 1u << BITS       ? 0
			     : ahead < 1u << 2 * BITS ? 1
			     : ahead < 1u << 3 * BITS ? 2
						      : 3;

	return level * CT_WHEEL_SLOTS + (due >> level * BITS & MASK);
}

static void insert(struct ct_table *t, uint32_t number, uint32_t due)
{
	struct ct_conn *c = ct_conn(t, number);
	unsigned int slot = slot_of(t->wheel.tick, due);
	uint32_t first = t->wheel.head[slot];

	c->due = due;
	c->next = first;
	c->prev = CT_WHEEL_HEAD | slot;
	if (first)
		ct_conn(t, first)->prev = number;
	t->wheel.head[slot] = number;
}

void ct_wheel_arm(struct ct_table *t, uint32_t number, uint32_t due)
{
	if ((int32_t)(due - t->wheel.tick) < 1)
		due = t->wheel.tick + 1;
	insert(t, number, due);
}

void ct_wheel_disarm(struct ct_table *t, uint32_t number)
{
	struct ct_conn *c = ct_conn(t, number);

	if (!c->prev)
		return;
	if (c->prev & CT_WHEEL_HEAD)
		t->wheel.head[c->prev & ~CT_WHEEL_HEAD] = c->next;
	else
		ct_conn(t, c->prev)->next = c->next;
	if (c->next)
		ct_conn(t, c->next)->prev = c->prev;
	c->next = c->prev = 0;
}

// The levels whose slots begin at a tick.
static int level_of(uint32_t tick)
{
	int level = 0;

	while (level < CT_WHEEL_LEVELS - 1 && !(tick >> level * BITS & MASK))
		level++;
	return level;
}

uint32_t ct_wheel_next(struct ct_table *t, uint32_t now, unsigned int *budget)
{
	struct ct_wheel *wheel = &t->wheel;
	unsigned int ticks = 0;

	for (;;) {
		uint32_t number;

		if (wheel->level < 0) {
			if ((int32_t)(now - wheel->tick) <= 0 || ticks++ == TICKS_PER_CALL)
				return 0;
			wheel->level = level_of(++wheel->tick);
		}
		number = wheel->head[wheel->level * CT_WHEEL_SLOTS +
				     (wheel->tick >> wheel->level * BITS & MASK)];
		if (!number) {
			wheel->level--;
			continue;
		}
		if (!*budget)
			return 0;
		--*budget;
		ct_wheel_disarm(t, number);
		if (!wheel->level)
			return number;
		insert(t, number, ct_conn(t, number)->due);
	}
}
