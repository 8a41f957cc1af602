// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// SET, ADD, ADD_FIELD, COPY: changes of a field in place.

#include <errno.h>
#include <string.h>

#include "walk.h"

static const uint8_t all_ones[STEER_FIELD_BYTES_MAX] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void prepare(struct walker *w, struct packet *p, unsigned int field)
{
	packet_refresh(p);
	if (field_places[field].needs & FIELD_NEEDS_RANDOM)
		p->meta.random = (uint16_t)walker_random(w);
	if (field_places[field].needs & FIELD_NEEDS_JUDGE)
		packet_judge(p);
}

static enum steer_drop set_run(
	struct walker *w, struct packet *p, const struct action *a, const uint8_t *value)
{
	packet_refresh(p);
	if (unlikely(a->field == STEER_F_OUTER_ETH_SRC)) // who is answered if it goes wrong from here on
		packet_keep_sender(p, p->data + 6);
	field_write(p, a->field, value, a->mask);
	return STEER_DROP_NONE;
}

static unsigned int width_of(const struct action *a)
{
	return a->width ? a->width : field_places[a->field].bytes * 8u - a->dst_bit;
}

static void add(struct packet *p, const struct action *a, uint64_t number)
{
	unsigned int bytes = field_places[a->field].bytes, width = width_of(a);
	uint8_t value[STEER_FIELD_BYTES_MAX];

	field_read(p, a->field, value);
	number += bits_get(value, bytes, a->dst_bit, width);
	bits_put(value, bytes, a->dst_bit, width, number);
	field_write(p, a->field, value, all_ones);
}

// The value is as wide as the field and is taken from the same bits.
static enum steer_drop add_run(
	struct walker *w, struct packet *p, const struct action *a, const uint8_t *value)
{
	packet_refresh(p);
	if (field_present(p, a->field))
		add(p, a, bits_get(value, field_places[a->field].bytes, a->dst_bit, width_of(a)));
	return STEER_DROP_NONE;
}

static enum steer_drop add_field_run(
	struct walker *w, struct packet *p, const struct action *a, const uint8_t *value)
{
	uint8_t source[STEER_FIELD_BYTES_MAX];
	unsigned int bytes;

	prepare(w, p, a->src_field);
	if (!field_present(p, a->field))
		return STEER_DROP_NONE;
	bytes = field_read(p, a->src_field, source);
	add(p, a, bits_get(source, bytes, a->src_bit, width_of(a)));
	return STEER_DROP_NONE;
}

static enum steer_drop copy_run(
	struct walker *w, struct packet *p, const struct action *a, const uint8_t *value)
{
	uint8_t source[STEER_FIELD_BYTES_MAX], target[STEER_FIELD_BYTES_MAX];
	unsigned int from, to, width = width_of(a);

	prepare(w, p, a->src_field);
	if (!field_present(p, a->field))
		return STEER_DROP_NONE;
	from = field_read(p, a->src_field, source);
	to = field_read(p, a->field, target);
	for (unsigned int done = 0; done < width;) {
		unsigned int step = width - done < 64 ? width - done : 64;

		bits_put(
			target, to, a->dst_bit + done, step, bits_get(source, from, a->src_bit + done, step));
		done += step;
	}
	field_write(p, a->field, target, all_ones);
	return STEER_DROP_NONE;
}

static const struct action_kind set = {.kind = STEER_ACT_SET, .name = "set", .run = set_run};
static const struct action_kind add_value = {.kind = STEER_ACT_ADD, .name = "add", .run = add_run};
static const struct action_kind add_field = {
	.kind = STEER_ACT_ADD_FIELD, .name = "add field", .run = add_field_run, .arg_bytes = 1};
static const struct action_kind copy = {
	.kind = STEER_ACT_COPY, .name = "copy", .run = copy_run, .arg_bytes = 1};
ACTION_REGISTER(set)
ACTION_REGISTER(add_value)
ACTION_REGISTER(add_field)
ACTION_REGISTER(copy)
