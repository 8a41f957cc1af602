// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// CONTROL pipes: each entry matches fields of its own under masks of its own, and may compare numbers. Few entries, tried in
// order of priority (lower first, of equal ones the later). The array is immutable; every change publishes another.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pipe_private.h"
#include "rcu.h"
#include "walk.h"

struct row {
	uint16_t field;
	uint16_t pad[3];
	uint64_t value[2]; // masked
	uint64_t mask[2];
};

struct compiled {
	uint16_t nr_rows;
	uint16_t nr_conditions;
	uint32_t needs;
	struct steer_condition conditions[STEER_CONDITION_MAX];
	struct row rows[];
};

struct ordered {
	uint32_t nr;
	uint32_t needs; // of all entries
	struct entry *entry[];
};

struct control {
	struct ordered *ordered; // RCU
};

// --- Building -----------------------------------------------------------------------------------------------------

static int check_condition(const struct steer_condition *c)
{
	if (!field_valid(c->field_a) || c->op < STEER_COND_EQ || c->op > STEER_COND_GE || !c->width ||
		c->width > 64 || c->a_bit + c->width > field_places[c->field_a].bytes * 8u)
		return -EINVAL;
	if (c->field_b != STEER_F_NONE &&
		(!field_valid(c->field_b) || c->b_bit + c->width > field_places[c->field_b].bytes * 8u))
		return -EINVAL;
	return 0;
}

static void compile_row(struct row *row, const struct steer_match_field *f)
{
	uint8_t value[16] = {0}, mask[16] = {0};

	for (unsigned int i = 0; i < field_places[f->field].bytes; i++) {
		mask[i] = f->mask[i];
		value[i] = f->value[i] & f->mask[i];
	}
	row->field = f->field;
	memcpy(row->value, value, sizeof(value));
	memcpy(row->mask, mask, sizeof(mask));
}

static int compile(struct entry *e, struct why *why)
{
	struct entry_parts parts;
	struct compiled *c;
	unsigned int nr = 0, conditions = 0;

	if (entry_parse(e->rec, e->rec_bytes, &parts, why))
		return -EINVAL;
	if (parts.body) {
		nr = parts.body->nr_match;
		conditions = parts.body->nr_conditions;
	}
	c = calloc(1, sizeof(*c) + nr * sizeof(c->rows[0]));
	if (!c)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the entry");
	e->match = c;
	for (unsigned int i = 0; i < nr; i++) {
		if (!field_valid(parts.fields[i].field))
			return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "match field %u is unknown",
				parts.fields[i].field);
		compile_row(&c->rows[c->nr_rows++], &parts.fields[i]);
		c->needs |= field_places[parts.fields[i].field].needs;
	}
	for (unsigned int i = 0; i < conditions; i++) {
		const struct steer_condition *from = &parts.conditions[i];

		if (check_condition(from))
			return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "condition %u is malformed", i);
		c->conditions[c->nr_conditions++] = *from;
		c->needs |= field_places[from->field_a].needs | field_places[from->field_b].needs;
	}
	c->needs &= FIELD_NEEDS_JUDGE | FIELD_NEEDS_RANDOM;
	return 0;
}

// --- Control side -------------------------------------------------------------------------------------------------

static int control_create(struct pipe *pipe, struct why *why)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c)
		c->ordered = calloc(1, sizeof(*c->ordered));
	pipe->table = c;
	return c && c->ordered ? 0 : why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the pipe");
}

static void control_destroy(struct pipe *pipe)
{
	struct control *c = pipe->table;

	free(c->ordered);
	free(c);
}

static bool before(const struct entry *a, const struct entry *b)
{
	if (a->rec->priority != b->rec->priority)
		return a->rec->priority < b->rec->priority;
	return a->sequence > b->sequence;
}

// Publishes the array without `gone` (may be NULL) and with `fresh` (may be NULL) in its place.
static int rebuild(struct control *c, const struct entry *gone, struct entry *fresh, struct why *why)
{
	struct ordered *old = c->ordered, *new = malloc(sizeof(*new) + (old->nr + 1) * sizeof(new->entry[0]));

	if (!new)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the entry");
	new->nr = 0;
	new->needs = 0;
	for (uint32_t i = 0; i < old->nr; i++) {
		if (!old->entry[i])
			continue;
		if (fresh && before(fresh, old->entry[i])) {
			new->entry[new->nr++] = fresh;
			fresh = NULL;
		}
		if (old->entry[i] != gone)
			new->entry[new->nr++] = old->entry[i];
	}
	if (fresh)
		new->entry[new->nr++] = fresh;
	for (uint32_t i = 0; i < new->nr; i++)
		new->needs |= ((const struct compiled *)new->entry[i]->match)->needs;
	fp_publish(&c->ordered, new);
	rcu_defer(free, old);
	return 0;
}

static int control_link(struct pipe *pipe, struct entry *e, struct why *why)
{
	int err = e->match ? 0 : compile(e, why);

	return err ? err : rebuild(pipe->table, NULL, e, why);
}

static int control_replace(struct pipe *pipe, struct entry *old, struct entry *e, struct why *why)
{
	int err = compile(e, why);

	return err ? err : rebuild(pipe->table, old, e, why);
}

static void control_unlink(struct pipe *pipe, struct entry *e)
{
	struct control *c = pipe->table;

	// Without memory for a shorter array the entry is taken out of the present one: nobody reads NULL.
	if (rebuild(c, e, NULL, NULL))
		for (uint32_t i = 0; i < c->ordered->nr; i++)
			if (c->ordered->entry[i] == e)
				fp_publish(&c->ordered->entry[i], NULL);
}

// --- Worker side --------------------------------------------------------------------------------------------------

static bool condition_holds(const struct packet *p, const struct steer_condition *c)
{
	uint8_t value[STEER_FIELD_BYTES_MAX];
	unsigned int bytes = field_read(p, c->field_a, value);
	uint64_t a = bits_get(value, bytes, c->a_bit, c->width), b = c->immediate;

	if (c->field_b != STEER_F_NONE) {
		bytes = field_read(p, c->field_b, value);
		b = bits_get(value, bytes, c->b_bit, c->width);
	} else if (c->width < 64) {
		b &= (UINT64_C(1) << c->width) - 1;
	}
	switch (c->op) {
	case STEER_COND_EQ:
		return a == b;
	case STEER_COND_NE:
		return a != b;
	case STEER_COND_LT:
		return a < b;
	case STEER_COND_LE:
		return a <= b;
	case STEER_COND_GT:
		return a > b;
	default:
		return a >= b;
	}
}

static bool matches(const struct packet *p, const struct compiled *c)
{
	for (unsigned int i = 0; i < c->nr_rows; i++) {
		const struct row *row = &c->rows[i];
		uint64_t value[2] = {0, 0};

		field_read(p, row->field, (uint8_t *)value);
		if (((value[0] & row->mask[0]) ^ row->value[0]) | ((value[1] & row->mask[1]) ^ row->value[1]))
			return false;
	}
	for (unsigned int i = 0; i < c->nr_conditions; i++)
		if (!condition_holds(p, &c->conditions[i]))
			return false;
	return true;
}

static void control_lookup(struct walker *w, const struct pipe *pipe, struct packet **packets, unsigned int n)
{
	const struct control *c = pipe->table;
	const struct ordered *ordered = fp_read_acquire(&c->ordered);

	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = packets[i];

		p->hit = NULL;
		if (unlikely(ordered->needs & FIELD_NEEDS_RANDOM))
			p->meta.random = (uint16_t)walker_random(w);
		if (unlikely(ordered->needs & FIELD_NEEDS_JUDGE))
			packet_judge(p);
		for (uint32_t k = 0; k < ordered->nr && !p->hit; k++) {
			struct entry *e = fp_read_acquire(&ordered->entry[k]);

			// One version each: all of them stand in the array.
			if (likely(e && fp_read(&e->birth) <= w->revision &&
				    w->revision < fp_read(&e->death)) &&
				matches(p, e->match))
				p->hit = e;
		}
	}
}

static const struct matcher control = {
	.type = STEER_PIPE_CONTROL,
	.name = "control",
	.layout = KEY_MERGED,
	.create = control_create,
	.destroy = control_destroy,
	.link = control_link,
	.replace = control_replace,
	.unlink = control_unlink,
	.lookup = control_lookup,
};
MATCHER_REGISTER(control)
