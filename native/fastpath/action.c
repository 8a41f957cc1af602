// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Programs of actions: checked and compiled once, run by workers. What each kind does is in its own action_*.c.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pipe_private.h"

const struct action_kind *action_kinds[STEER_ACT_MAX];

void action_register(const struct action_kind *kind)
{
	action_kinds[kind->kind] = kind;
}

static unsigned int field_bits(unsigned int field)
{
	return field_places[field].bytes * 8u;
}

static int check_fields(const struct steer_action *w, unsigned int index, struct why *why)
{
	unsigned int width;

	switch (w->kind) {
	case STEER_ACT_SET:
	case STEER_ACT_ADD:
	case STEER_ACT_ADD_FIELD:
	case STEER_ACT_COPY:
		break;
	default:
		return 0;
	}
	if (!field_valid(w->field))
		return why_set(
			why, STEER_WHY_BAD_ACTION, -EINVAL, "action %u: unknown field %u", index, w->field);
	if (field_places[w->field].needs & FIELD_READ_ONLY)
		return why_set(why, STEER_WHY_BAD_ACTION, -EINVAL, "action %u: field %s cannot be changed",
			index, field_name(w->field));
	if (w->kind == STEER_ACT_SET)
		return 0;
	width = w->width ? w->width : field_bits(w->field) - w->dst_bit;
	if (w->dst_bit >= field_bits(w->field) || w->dst_bit + width > field_bits(w->field) ||
		(w->kind != STEER_ACT_COPY && width > 64))
		return why_set(why, STEER_WHY_BAD_ACTION, -EINVAL, "action %u: bits beyond field %s", index,
			field_name(w->field));
	if (w->kind == STEER_ACT_ADD)
		return 0;
	if (!field_valid(w->src_field))
		return why_set(why, STEER_WHY_BAD_ACTION, -EINVAL, "action %u: unknown source field %u",
			index, w->src_field);
	if (w->width && w->src_bit + width > field_bits(w->src_field))
		return why_set(why, STEER_WHY_BAD_ACTION, -EINVAL, "action %u: bits beyond field %s", index,
			field_name(w->src_field));
	return 0;
}

static int check_bounds(const struct steer_action *w, const struct action_kind *kind, unsigned int index,
	uint32_t data_bytes, uint16_t args_bytes, struct why *why)
{
	unsigned int needed = kind->arg_bytes;

	if (!needed && field_valid(w->field))
		needed = field_places[w->field].bytes;
	if (needed == 0xff)
		needed = w->data_length;
	if ((w->flags & STEER_ACT_CHANGEABLE) && w->arg_offset + needed > args_bytes)
		return why_set(why, STEER_WHY_BAD_ACTION, -EINVAL,
			"action %u: argument beyond the entry's %u bytes", index, args_bytes);
	if (w->data_length > STEER_ENCAP_MAX)
		return why_set(why, STEER_WHY_BAD_ACTION, -EINVAL,
			"action %u: a header of %u bytes, at most %u", index, w->data_length,
			STEER_ENCAP_MAX);
	if (kind->arg_bytes == 0xff && !(w->flags & STEER_ACT_CHANGEABLE) &&
		(uint32_t)w->data_offset + w->data_length > data_bytes)
		return why_set(why, STEER_WHY_BAD_ACTION, -EINVAL,
			"action %u: data beyond the spec's %u bytes", index, data_bytes);
	return 0;
}

static int compile(struct space *space, struct program *program, unsigned int index,
	const struct steer_action *w, struct why *why)
{
	struct action *a = &program->actions[program->nr];
	const struct action_kind *kind;
	int err;

	if (w->kind == STEER_ACT_NONE)
		return 0;
	kind = w->kind < STEER_ACT_MAX ? action_kinds[w->kind] : NULL;
	if (!kind)
		return why_set(why, STEER_WHY_UNSUPPORTED, -ENOTSUP, "action %u: kind %u is not supported",
			index, w->kind);
	err = check_fields(w, index, why);
	if (!err)
		err = check_bounds(w, kind, index, program->data_bytes, program->args_bytes, why);
	if (!err && kind->check)
		err = kind->check(w, why);
	if (err)
		return err;
	*a = (struct action){.run = kind->run,
		.kind = w->kind,
		.flags = w->flags,
		.field = w->field,
		.src_field = w->src_field,
		.dst_bit = w->dst_bit,
		.src_bit = w->src_bit,
		.width = w->width,
		.tunnel = w->tunnel,
		.arg_offset = w->arg_offset,
		.data_length = w->data_length,
		.space = space};
	memcpy(a->value, w->value, sizeof(a->value));
	memcpy(a->mask, w->mask, sizeof(a->mask));
	if (kind->arg_bytes == 0xff && !(w->flags & STEER_ACT_CHANGEABLE))
		a->data = program->data + w->data_offset;
	program->nr++;
	return 0;
}

int program_compile(struct space *space, const struct steer_action *actions, unsigned int n,
	const uint8_t *data, uint32_t data_bytes, uint16_t args_bytes, struct program **out, struct why *why)
{
	struct program *program;
	int err = 0;

	if (n > STEER_ACTION_MAX || args_bytes > STEER_ARGS_MAX)
		return why_set(why, STEER_WHY_BAD_ACTION, -EINVAL,
			"%u actions with %u bytes of arguments are too many", n, args_bytes);
	program = table_alloc(sizeof(*program) + n * sizeof(program->actions[0]) + data_bytes);
	if (!program)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for actions");
	program->args_bytes = args_bytes;
	program->data_bytes = data_bytes;
	program->data = (uint8_t *)(program->actions + n);
	if (data_bytes)
		memcpy(program->data, data, data_bytes);
	for (unsigned int i = 0; i < n && !err; i++)
		err = compile(space, program, i, &actions[i], why);
	if (err) {
		free(program);
		return err;
	}
	*out = program;
	return 0;
}

void program_free(struct program *program)
{
	free(program);
}

static int shared_type(uint8_t kind)
{
	switch (kind) {
	case STEER_ACT_SHARED_ENCAP:
		return STEER_SHARED_ENCAP;
	case STEER_ACT_SHARED_DECAP:
		return STEER_SHARED_DECAP;
	case STEER_ACT_COUNT:
		return STEER_SHARED_COUNTER;
	case STEER_ACT_METER:
		return STEER_SHARED_METER;
	default:
		return -1;
	}
}

// The shared resource that an action names, NULL when there is none; *names: it names one.
static struct shared *named(
	const struct space *space, const struct action *a, const uint8_t *args, bool *names)
{
	int type = shared_type(a->kind);
	uint32_t id;

	*names = false;
	if (type < 0)
		return NULL;
	memcpy(&id, a->flags & STEER_ACT_CHANGEABLE ? args + a->arg_offset : a->value, sizeof(id));
	if (type == STEER_SHARED_COUNTER && id == UINT32_MAX)
		return NULL;
	*names = true;
	return shared_find(space, (unsigned int)type, id);
}

int program_hold(
	struct space *space, const struct program *program, const uint8_t *args, int step, struct why *why)
{
	struct shared *s;
	bool names;

	if (step > 0)
		for (unsigned int i = 0; i < program->nr; i++)
			if (!named(space, &program->actions[i], args, &names) && names)
				return why_set(why, STEER_WHY_NO_SHARED, -ENOENT,
					"action %u names a shared resource that does not exist", i);
	for (unsigned int i = 0; i < program->nr; i++) {
		s = named(space, &program->actions[i], args, &names);
		if (s)
			s->references += (uint32_t)step;
	}
	return 0;
}
