// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What a work entry says, checked and resolved into an entry that is not linked yet.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pipe_private.h"
#include "slab.h"

// --- Records ------------------------------------------------------------------------------------------------------

struct reader {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static const void *take(struct reader *r, size_t bytes)
{
	const uint8_t *at = r->at;
	size_t padded = RTE_ALIGN_CEIL(bytes, (size_t)8);

	if (r->bad || padded > r->left) {
		r->bad = true;
		return NULL;
	}
	r->at += padded;
	r->left -= padded;
	return at;
}

int entry_parse(const struct steer_entry_add *rec, size_t bytes, struct entry_parts *parts, struct why *why)
{
	struct reader r = {.at = (const uint8_t *)rec, .left = bytes};

	*parts = (struct entry_parts){0};
	if (!take(&r, sizeof(*rec)) || bytes > STEER_RECORD_MAX)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "a work entry of impossible length");
	parts->key = take(&r, rec->key_bytes);
	parts->args = take(&r, rec->args_bytes);
	if (rec->flags & STEER_ENTRY_MONITOR)
		parts->monitor = take(&r, sizeof(*parts->monitor));
	if (rec->flags & STEER_ENTRY_FWD)
		parts->fwd = take(&r, sizeof(*parts->fwd));
	if (rec->flags & STEER_ENTRY_BODY) {
		parts->body = take(&r, sizeof(*parts->body));
		if (parts->body) {
			const struct steer_entry_body *b = parts->body;

			parts->fields = take(&r, b->nr_match * sizeof(*parts->fields));
			parts->conditions = take(&r, b->nr_conditions * sizeof(*parts->conditions));
			parts->actions = take(&r, b->nr_actions * sizeof(*parts->actions));
			parts->data = take(&r, b->data_bytes);
			if (b->nr_match > STEER_MATCH_FIELD_MAX || b->nr_conditions > STEER_CONDITION_MAX ||
				b->nr_actions > STEER_ACTION_MAX)
				r.bad = true;
		}
	}
	if (r.bad || rec->args_bytes > STEER_ARGS_MAX)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "a work entry that is cut off or too long");
	return 0;
}

// --- Building -----------------------------------------------------------------------------------------------------

static int build_program(struct entry *e, const struct entry_parts *parts, struct why *why)
{
	const struct pipe *pipe = e->pipe;
	struct program *program = NULL;
	int err;

	if (parts->body) {
		if (pipe->type != STEER_PIPE_CONTROL && pipe->type != STEER_PIPE_ORDERED_LIST)
			return why_set(
				why, STEER_WHY_MALFORMED, -EINVAL, "an entry of this pipe type has no body");
		if (parts->body->nr_actions) {
			err = program_compile(e->space, parts->actions, parts->body->nr_actions, parts->data,
				parts->body->data_bytes, e->rec->args_bytes, &program, why);
			if (err)
				return err;
			e->owns_program = true;
		}
	} else if (pipe->nr_templates) {
		if (e->rec->action_idx >= pipe->nr_templates)
			return why_set(why, STEER_WHY_BAD_ACTION, -EINVAL, "action_idx %u of %u templates",
				e->rec->action_idx, pipe->nr_templates);
		program = pipe->templates[e->rec->action_idx];
		if (program->args_bytes != e->rec->args_bytes)
			return why_set(why, STEER_WHY_ARGS_SIZE, -EINVAL,
				"%u bytes of arguments, template %u takes %u", e->rec->args_bytes,
				e->rec->action_idx, program->args_bytes);
	} else if (e->rec->args_bytes) {
		return why_set(why, STEER_WHY_ARGS_SIZE, -EINVAL, "arguments for a pipe without actions");
	}
	e->program = program && program->nr ? program : NULL;
	if (program && !program->nr && e->owns_program) {
		program_free(program);
		e->owns_program = false;
	}
	return e->program ? program_hold(e->space, e->program, e->args, 1, why) : 0;
}

static int build_meter(struct entry *e, const struct steer_monitor *m, struct entry *old, struct why *why)
{
	if (m->flags & STEER_MON_SHARED_METER) {
		struct shared *s = shared_find(e->space, STEER_SHARED_METER, m->shared_meter);

		if (!s)
			return why_set(why, STEER_WHY_NO_SHARED, -ENOENT, "there is no shared meter %u",
				m->shared_meter);
		s->references++;
		e->shared_meter_id = m->shared_meter;
		e->meter = s->meter;
		e->bits |= ENTRY_METER_SHARED;
		e->init_color = m->init_color <= METER_GREEN ? m->init_color : METER_GREEN;
	} else if (m->flags & STEER_MON_METER) {
		// An update that leaves the meter as it is keeps its state.
		if (old && old->meter && old->owns_meter &&
			!memcmp(&old->meter_cfg, &m->meter, sizeof(m->meter))) {
			e->meter = old->meter;
		} else {
			e->meter = table_alloc(sizeof(*e->meter));
			if (!e->meter)
				return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for a meter");
			e->owns_meter = true;
			if (meter_init(e->meter, &m->meter, fp.tsc_hz, rte_rdtsc()))
				return why_set(
					why, STEER_WHY_NO_METER, -EINVAL, "impossible meter parameters");
		}
		e->meter_cfg = m->meter;
	}
	return 0;
}

// Whether an action of the entry counts on its own counter, so that the hit does not.
static bool element_counts(const struct entry *e)
{
	static const uint8_t own[4] = {0xff, 0xff, 0xff, 0xff};

	for (unsigned int i = 0; e->program && i < e->program->nr; i++) {
		const struct action *a = &e->program->actions[i];

		if (a->kind == STEER_ACT_COUNT &&
			!memcmp(a->flags & STEER_ACT_CHANGEABLE ? e->args + a->arg_offset : a->value, own,
				sizeof(own)))
			return true;
	}
	return false;
}

static int build_monitor(struct entry *e, const struct steer_monitor *m, struct entry *old, struct why *why)
{
	bool counts_only = e->pipe->type == STEER_PIPE_LPM || e->pipe->type == STEER_PIPE_ACL;

	e->counter = e->own_counter = e->shared_counter = STEER_COUNTER_NONE;
	e->shared_counter_id = e->shared_meter_id = UINT32_MAX;
	if (counts_only && (m->flags & (STEER_MON_METER | STEER_MON_SHARED_METER)))
		return why_set(why, STEER_WHY_UNSUPPORTED, -ENOTSUP, "LPM and ACL entries have no meters");
	if (m->flags & STEER_MON_SHARED_COUNTER) {
		struct shared *s = shared_find(e->space, STEER_SHARED_COUNTER, m->shared_counter);

		if (!s)
			return why_set(why, STEER_WHY_NO_SHARED, -ENOENT, "there is no shared counter %u",
				m->shared_counter);
		s->references++;
		e->shared_counter_id = m->shared_counter;
		e->shared_counter = s->counter;
	}
	// Ageing goes by the entry's own counter.
	if ((m->flags & (STEER_MON_COUNTER | STEER_MON_AGING)) || element_counts(e)) {
		if (old && old->own_counter != STEER_COUNTER_NONE) {
			e->own_counter = old->own_counter;
		} else {
			e->own_counter = space_counter(e->space);
			if (e->own_counter == STEER_COUNTER_NONE)
				return why_set(why, STEER_WHY_NO_COUNTER, -ENOSPC, "no counter left");
			e->owns_counter = true;
		}
	}
	e->counter = element_counts(e) ? STEER_COUNTER_NONE : e->own_counter;
	if (m->flags & STEER_MON_AGING)
		e->age.timeout_sec = m->aging_sec;
	return build_meter(e, m, old, why);
}

// The parts of the pipe's monitor that are not left to the entries.
static const struct steer_monitor *inherited(const struct pipe *pipe, struct steer_monitor *fixed)
{
	uint32_t flags = pipe->spec->monitor.flags;

	*fixed = pipe->spec->monitor;
	if (flags & STEER_MON_ENTRY_COUNTER_ID)
		fixed->flags &= ~(uint32_t)STEER_MON_SHARED_COUNTER;
	if (flags & STEER_MON_ENTRY_METER)
		fixed->flags &= ~(uint32_t)STEER_MON_METER;
	if (flags & STEER_MON_ENTRY_METER_ID)
		fixed->flags &= ~(uint32_t)STEER_MON_SHARED_METER;
	if (flags & STEER_MON_ENTRY_AGING)
		fixed->flags &= ~(uint32_t)STEER_MON_AGING;
	return fixed;
}

static int build_fwd(struct entry *e, const struct steer_fwd *fwd, struct why *why)
{
	struct pipe *pipe = e->pipe;
	int err;

	if (fwd && fwd->type != STEER_FWD_NONE) {
		err = fwd_resolve(fwd, pipe, &e->fwd, why);
		e->owns_fwd = !err;
		return err;
	}
	if (pipe->fwd.type == STEER_FWD_NONE || pipe->fwd.type == STEER_FWD_CHANGEABLE)
		return why_set(why, STEER_WHY_BAD_FWD, -EINVAL,
			"neither the entry nor pipe '%s' says where to forward", pipe->spec->name);
	e->fwd = pipe->fwd;
	return 0;
}

// A complete but unlinked entry. key_of: an update takes key, priority and index from there.
int entry_build(struct pipe *pipe, const struct steer_entry_add *rec, size_t bytes, struct entry *key_of,
	struct entry **out, struct why *why)
{
	size_t old_key = key_of ? RTE_ALIGN_CEIL(key_of->rec->key_bytes, 8u) : 0;
	struct steer_monitor fixed;
	struct entry_parts parts;
	struct entry *e;
	int err;

	e = slab_alloc(sizeof(*e) + bytes + old_key);
	if (!e)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the entry");
	e->rec_bytes = (uint32_t)(bytes + old_key);
	e->pipe = pipe;
	e->space = pipe->space;
	e->id = rec->entry;
	e->death = REVISION_NEVER;
	e->birth = space_birth(pipe->space);
	e->rec = (struct steer_entry_add *)(e + 1);
	memcpy(e->rec, rec, sizeof(*rec));
	if (key_of) {
		const struct steer_entry_add *from = key_of->rec;

		memcpy(e->rec + 1, from + 1, old_key);
		memcpy((uint8_t *)(e->rec + 1) + old_key, rec + 1, bytes - sizeof(*rec));
		e->rec->key_bytes = from->key_bytes;
		e->rec->priority = from->priority;
		e->rec->index = from->index;
		e->rec->pipe = from->pipe;
		e->rec->tag = rec->tag ? rec->tag : from->tag;
		e->age = key_of->age;
		e->age.timeout_sec = 0;
	} else {
		memcpy(e->rec + 1, rec + 1, bytes - sizeof(*rec));
	}
	e->rec->rec.length = e->rec_bytes;
	e->bits = e->rec->tag ? ENTRY_TAGGED : 0;
	e->counter = e->own_counter = e->shared_counter = STEER_COUNTER_NONE;
	e->shared_counter_id = e->shared_meter_id = UINT32_MAX;
	err = entry_parse(e->rec, e->rec_bytes, &parts, why);
	e->args = parts.args;
	if (!err && parts.body && key_of)
		err = why_set(
			why, STEER_WHY_UNSUPPORTED, -ENOTSUP, "entries of this pipe type cannot be updated");
	if (!err)
		err = build_program(e, &parts, why);
	else
		e->program = NULL;
	e->held = !err && e->program;
	if (!err)
		err = build_monitor(e, parts.monitor ? parts.monitor : inherited(pipe, &fixed), key_of, why);
	if (e->meter)
		e->bits |= ENTRY_METERED;
	if (!err)
		err = build_fwd(e, parts.fwd, why);
	*out = e;
	return err;
}
