// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Pipes: made from a spec, found by id, destroyed when nothing leads to them.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generation.h"
#include "pipe_private.h"
#include "rcu.h"

const struct matcher *matchers[MATCHER_MAX];

// All pipes by ascending id; ids are never used again.
static struct pipe **pipes;
static size_t nr_pipes, room_pipes;
static uint32_t next_id = 1;

void matcher_register(const struct matcher *matcher)
{
	matchers[matcher->type] = matcher;
}

// Index of the first pipe with an id >= id.
static size_t position(uint32_t id)
{
	size_t low = 0, high = nr_pipes;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (pipes[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct pipe *pipe_find(uint32_t id)
{
	size_t at = position(id);

	return at < nr_pipes && pipes[at]->id == id ? pipes[at] : NULL;
}

struct pipe *pipe_next(uint32_t after)
{
	size_t at = after == STEER_PIPE_NONE ? 0 : position(after + 1);

	return at < nr_pipes ? pipes[at] : NULL;
}

struct pipe *pipe_owned(struct space *space, uint32_t id, int *err, struct why *why)
{
	struct pipe *pipe = pipe_find(id);

	if (!pipe || pipe->dying)
		*err = why_set(why, STEER_WHY_NO_PIPE, -ENOENT, "there is no pipe %u", id);
	else if (pipe->space != space)
		*err = why_set(why, STEER_WHY_NOT_OWNER, -EPERM, "pipe '%s' belongs to another session",
			pipe->spec->name);
	else
		return pipe;
	return NULL;
}

uint32_t pipe_id(const struct pipe *pipe)
{
	return pipe->id;
}

struct space *pipe_space(const struct pipe *pipe)
{
	return pipe->space;
}

const struct steer_pipe_spec *pipe_spec(const struct pipe *pipe)
{
	return pipe->spec;
}

void pipe_info(const struct pipe *pipe, struct steer_pipe_info *info)
{
	const struct steer_pipe_spec *spec = pipe->spec;

	*info = (struct steer_pipe_info){.pipe = pipe->id,
		.session = pipe->space->session,
		.port = pipe->port,
		.type = pipe->type,
		.domain = pipe->domain,
		.flags = spec->flags,
		.nr_entries = pipe->capacity,
		.used = pipe->used,
		.miss_counter = pipe->miss_counter,
		.hit_counter = pipe->hit_counter,
		.user = spec->user,
		.fwd = spec->fwd,
		.fwd_miss = spec->fwd_miss};
	memcpy(info->name, spec->name, sizeof(info->name));
	memcpy(info->label, spec->label, sizeof(info->label));
}

// --- Creation -----------------------------------------------------------------------------------------------------

static const char *check_header(const struct steer_pipe_spec *spec, size_t bytes)
{
	if (bytes < sizeof(*spec) || spec->bytes != bytes || bytes > STEER_MSG_MAX)
		return "the spec's length is wrong";
	if (spec->type >= STEER_PIPE_TYPE_MAX || spec->domain >= STEER_DOMAIN_MAX)
		return "unknown pipe type or domain";
	if (!memchr(spec->name, 0, sizeof(spec->name)) || !memchr(spec->label, 0, sizeof(spec->label)))
		return "name or label is not terminated";
	if (spec->port >= STEER_PORT_MAX || !fp.ports[spec->port].present || !fp.ports[spec->port].started)
		return "the port is not started";
	if (spec->nr_match > STEER_MATCH_FIELD_MAX || spec->nr_templates > STEER_ACTION_TEMPLATE_MAX)
		return "too many match fields or action templates";
	if (spec->congestion_percent > 100)
		return "a congestion threshold above 100 %";
	if (spec->algorithm >= STEER_HASH_MAX)
		return "unknown hash algorithm";
	if (!spec->nr_entries || spec->nr_entries > STEER_ENTRY_ID_MAX)
		return "an impossible number of entries";
	return NULL;
}

// A CT pipe's matcher is told by the flags at the start of its data area.
static const struct matcher *matcher_of(const struct steer_pipe_spec *spec)
{
	size_t data = RTE_ALIGN_CEIL((size_t)spec->data_bytes, 8u);
	struct steer_ct_cfg cfg = {0};

	if (spec->type != STEER_PIPE_CT)
		return matchers[spec->type];
	if (spec->data_bytes >= sizeof(cfg) && data <= spec->bytes - sizeof(*spec))
		memcpy(&cfg, (const uint8_t *)spec + spec->bytes - data, sizeof(cfg));
	return matchers[cfg.flags & STEER_CT_AUTONOMOUS ? STEER_PIPE_CT : MATCHER_CT_MANAGED];
}

// Kinds of fields that a type takes, and how many bytes of key an entry brings.
static const char *check_fields(const struct pipe *pipe)
{
	const struct steer_pipe_spec *spec = pipe->spec;
	uint32_t key = 0;
	unsigned int prefixes = 0;

	for (unsigned int i = 0; i < spec->nr_match; i++) {
		const struct steer_match_field *f = &pipe->fields[i];
		unsigned int bytes;

		if (!field_valid(f->field))
			return "an unknown match field";
		bytes = field_places[f->field].bytes;
		switch (f->kind) {
		case STEER_MATCH_CONSTANT:
			break;
		case STEER_MATCH_CHANGEABLE:
			if (pipe->type != STEER_PIPE_BASIC && pipe->type != STEER_PIPE_LPM &&
				pipe->type != STEER_PIPE_HASH)
				return "a changeable field in a pipe type that has none";
			key += pipe->type == STEER_PIPE_HASH ? 0 : bytes;
			break;
		case STEER_MATCH_PREFIX:
			if (pipe->type != STEER_PIPE_LPM || prefixes++)
				return "a prefix field outside an LPM pipe, or two of them";
			key += 2 * bytes;
			break;
		case STEER_MATCH_ACL:
			if (pipe->type != STEER_PIPE_ACL)
				return "an ACL field outside an ACL pipe";
			key += 2 * bytes;
			break;
		default:
			return "a match field of unknown kind";
		}
	}
	if (pipe->matcher == matchers[MATCHER_CT_MANAGED])
		key = sizeof(struct steer_ct_key);
	if (pipe->type == STEER_PIPE_LPM && prefixes != 1)
		return "an LPM pipe needs exactly one prefix field";
	return key == spec->key_bytes ? NULL : "key_bytes is not the sum of the entries' fields";
}

static int compile_templates(struct pipe *pipe, const uint8_t *from, const uint8_t *end, struct why *why)
{
	const struct steer_pipe_spec *spec = pipe->spec;
	const uint8_t *data = end - RTE_ALIGN_CEIL(spec->data_bytes, 8u);
	int err;

	if (!spec->nr_templates)
		return 0;
	pipe->templates = calloc(spec->nr_templates, sizeof(pipe->templates[0]));
	if (!pipe->templates)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for action templates");
	for (unsigned int i = 0; i < spec->nr_templates; i++) {
		const struct steer_template *t = (const struct steer_template *)from;
		const struct steer_action *actions = (const struct steer_action *)(t + 1);

		// Bounds: a template's header, then its actions, all before the data area.
		if (data < from || (size_t)(data - from) < sizeof(*t) || t->nr_actions > STEER_ACTION_MAX ||
			(size_t)(data - from) - sizeof(*t) < t->nr_actions * sizeof(*actions))
			return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "action template %u is cut off", i);
		err = program_compile(pipe->space, actions, t->nr_actions, data, spec->data_bytes,
			t->args_bytes, &pipe->templates[i], why);
		if (err)
			return err;
		pipe->nr_templates++;
		from = (const uint8_t *)(actions + t->nr_actions);
	}
	return 0;
}

static int check_monitor(const struct steer_pipe_spec *spec, struct why *why)
{
	bool counts_only = spec->type == STEER_PIPE_LPM || spec->type == STEER_PIPE_ACL;

	if (counts_only && (spec->monitor.flags & (STEER_MON_METER | STEER_MON_SHARED_METER)))
		return why_set(why, STEER_WHY_UNSUPPORTED, -ENOTSUP,
			"pipe '%s': LPM and ACL pipes have no meters", spec->name);
	return 0;
}

// Everything of a new pipe but its place in lists and roots.
static int pipe_build(struct pipe *pipe, struct why *why)
{
	const struct steer_pipe_spec *spec = pipe->spec;
	const uint8_t *end = (const uint8_t *)spec + spec->bytes;
	size_t fields = spec->nr_match * sizeof(struct steer_match_field);
	const char *wrong;
	int err;

	if (spec->data_bytes > spec->bytes ||
		sizeof(*spec) + fields + RTE_ALIGN_CEIL(spec->data_bytes, 8u) > spec->bytes)
		return why_set(
			why, STEER_WHY_MALFORMED, -EINVAL, "pipe '%s': the spec is cut off", spec->name);
	pipe->fields = (const struct steer_match_field *)(spec + 1);
	wrong = check_fields(pipe);
	if (wrong)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "pipe '%s': %s", spec->name, wrong);
	err = key_compile(&pipe->key, pipe->fields, spec->nr_match, pipe->matcher->layout);
	if (err)
		return why_set(why, STEER_WHY_UNSUPPORTED, err,
			"pipe '%s': the match is longer than %u bytes", spec->name, STEER_KEY_MAX);
	err = check_monitor(spec, why);
	if (!err)
		err = compile_templates(pipe, (const uint8_t *)(pipe->fields + spec->nr_match), end, why);
	if (err)
		return err;
	if (spec->fwd.type == STEER_FWD_CHANGEABLE)
		pipe->fwd.type = STEER_FWD_CHANGEABLE;
	else
		err = fwd_resolve(&spec->fwd, pipe, &pipe->fwd, why);
	if (err)
		return err;
	pipe->miss = calloc(1, sizeof(*pipe->miss));
	if (!pipe->miss)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the pipe");
	pipe->miss->death = REVISION_NEVER;
	pipe->miss->wire = spec->fwd_miss;
	err = fwd_resolve(&spec->fwd_miss, pipe, &pipe->miss->fwd, why);
	if (err)
		return err;
	pipe->hit_counter = counter_alloc();
	if (spec->flags & STEER_PIPE_MISS_COUNTER) {
		pipe->miss_counter = space_counter(pipe->space);
		if (pipe->miss_counter == STEER_COUNTER_NONE)
			return why_set(
				why, STEER_WHY_NO_COUNTER, -ENOSPC, "pipe '%s': no counter left", spec->name);
	}
	return pipe->matcher->create(pipe, why);
}

// Frees a pipe that no worker can reach any more, with its entries.
static void pipe_free(void *arg)
{
	struct pipe *pipe = arg;
	struct miss_version *v, *older;
	struct entry *e;

	while ((e = TAILQ_FIRST(&pipe->entries))) {
		TAILQ_REMOVE(&pipe->entries, e, by_pipe);
		entry_free(e);
	}
	if (pipe->matcher && pipe->table)
		pipe->matcher->destroy(pipe);
	for (v = pipe->miss; v; v = older) {
		older = v->older;
		fwd_free(&v->fwd);
		free(v);
	}
	fwd_free(&pipe->fwd);
	for (unsigned int i = 0; i < pipe->nr_templates; i++)
		program_free(pipe->templates[i]);
	free(pipe->templates);
	free(pipe->spec);
	free(pipe);
}

static int list_room(void)
{
	if (nr_pipes == room_pipes) {
		size_t room = room_pipes ? room_pipes * 2 : 64;
		struct pipe **grown = realloc(pipes, room * sizeof(pipes[0]));

		if (!grown)
			return -ENOMEM;
		pipes = grown;
		room_pipes = room;
	}
	return 0;
}

// References that a pipe itself holds.
static void pipe_forwards(struct pipe *pipe, void (*step)(struct fwd *, struct pipe *))
{
	step(&pipe->fwd, pipe);
	for (struct miss_version *v = pipe->miss; v; v = v->older)
		if (!v->pending)
			step(&v->fwd, pipe);
}

static void pipe_release(struct pipe *pipe)
{
	pipe_forwards(pipe, pipe->dying ? fwd_settle : fwd_release);
	for (struct miss_version *v = pipe->miss; v; v = v->older) {
		if (v->pending)
			fwd_settle(&v->fwd, pipe);
		v->pending = false;
	}
	space_counter_free(pipe->space, pipe->miss_counter);
	counter_free(pipe->hit_counter);
	fp_write(&pipe->miss_counter, STEER_COUNTER_NONE); // packets may still be in here
	fp_write(&pipe->hit_counter, STEER_COUNTER_NONE);
}

static int make_root(struct pipe *pipe, struct root_version **out, struct why *why)
{
	struct root_version *v;
	uint64_t birth = space_birth(pipe->space);

	for (v = fp.ports[pipe->port].root[pipe->domain]; v; v = v->older) {
		// One that goes in a transaction makes room for that transaction only, until it is committed.
		if (v->death == REVISION_NEVER && !(v->pipe->dying && v->pipe->space == pipe->space))
			return why_set(why, STEER_WHY_UNSUPPORTED, -EEXIST,
				"pipe '%s': the port has a root pipe in this domain already: '%s'",
				pipe->spec->name, v->pipe->spec->name);
		if (v->death != REVISION_NEVER && birth < v->death)
			birth = v->death;
	}
	if (pipe->type != STEER_PIPE_BASIC && pipe->type != STEER_PIPE_CONTROL &&
		pipe->type != STEER_PIPE_HASH)
		return why_set(why, STEER_WHY_UNSUPPORTED, -EINVAL,
			"pipe '%s': only basic, control and hash pipes can be root", pipe->spec->name);
	v = calloc(1, sizeof(*v));
	if (!v)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the pipe");
	v->pipe = pipe;
	v->birth = birth;
	v->death = REVISION_NEVER;
	*out = v;
	return 0;
}

static int create(struct space *space, const struct steer_pipe_spec *spec, size_t bytes, struct pipe **out,
	struct why *why)
{
	const char *wrong = check_header(spec, bytes);
	struct root_version *root = NULL;
	struct pipe *pipe;
	int err;

	if (wrong)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "pipe: %s", wrong);
	if (!matcher_of(spec))
		return why_set(why, STEER_WHY_UNSUPPORTED, -ENOTSUP,
			"pipe '%s': this pipe type is not supported", spec->name);
	pipe = table_alloc(sizeof(*pipe));
	if (!pipe || list_room() || txn_reserve(space)) {
		free(pipe);
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the pipe");
	}
	TAILQ_INIT(&pipe->entries);
	pipe->space = space;
	pipe->type = spec->type;
	pipe->domain = spec->domain;
	pipe->port = spec->port;
	pipe->algorithm = spec->algorithm ? spec->algorithm : STEER_HASH_HASH;
	pipe->capacity = spec->nr_entries;
	pipe->miss_counter = pipe->hit_counter = STEER_COUNTER_NONE;
	pipe->matcher = matcher_of(spec);
	pipe->id = next_id;
	pipe->spec = malloc(bytes);
	if (!pipe->spec) {
		free(pipe);
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the pipe");
	}
	memcpy(pipe->spec, spec, bytes);
	err = pipe_build(pipe, why);
	if (!err && (spec->flags & STEER_PIPE_ROOT))
		err = make_root(pipe, &root, why);
	if (err) {
		pipe_release(pipe);
		pipe_free(pipe);
		return err;
	}
	next_id++;
	pipes[nr_pipes++] = pipe;
	TAILQ_INSERT_TAIL(&space->tables->pipes, pipe, by_space);
	space->nr_pipes++;
	if (root)
		root_link(root, pipe->port, pipe->domain);
	if (space->txn)
		txn_note(space, (struct change){.kind = CHANGE_PIPE_CREATE, .pipe = pipe, .root = root});
	*out = pipe;
	return 0;
}

int pipe_create(
	struct space *space, const struct steer_pipe_spec *spec, size_t bytes, uint32_t *id, struct why *why)
{
	struct why reason = {0};
	struct pipe *pipe = NULL;
	int err = create(space, spec, bytes, &pipe, &reason);

	if (why)
		*why = reason;
	if (err)
		return txn_spoil(space, err, &reason);
	*id = pipe->id;
	return 0;
}

// --- Destruction --------------------------------------------------------------------------------------------------

void pipe_unref(struct pipe *pipe)
{
	if (!--pipe->refs && !pipe->pending && pipe->dead)
		rcu_defer(pipe_free, pipe);
}

void pipe_discard(struct pipe *pipe)
{
	struct root_version *root = root_of(pipe);
	size_t at = position(pipe->id);
	struct entry *e;

	if (root)
		root_unlink_later(root);
	TAILQ_FOREACH (e, &pipe->entries, by_pipe)
		entry_detach(e);
	if (at < nr_pipes && pipes[at] == pipe) {
		memmove(&pipes[at], &pipes[at + 1], (nr_pipes - at - 1) * sizeof(pipes[0]));
		nr_pipes--;
		TAILQ_REMOVE(&pipe->space->tables->pipes, pipe, by_space);
		pipe->space->nr_pipes--;
	}
	pipe_release(pipe);
	fp_write(&pipe->dead, 1);
	generation_move(pipe);
	// Behind it: who sees it retired sees it dead.
	if (pipe->matcher->retire)
		pipe->matcher->retire(pipe);
	// With references left it stays as a stub that drops, until the last of them goes.
	if (!pipe->refs && !pipe->pending)
		rcu_defer(pipe_free, pipe);
}

void pipe_doom(struct pipe *pipe, bool doomed)
{
	void (*step)(struct fwd *, struct pipe *) = doomed ? fwd_pend : fwd_resume;
	struct entry *e;

	pipe->dying = doomed;
	pipe_forwards(pipe, step);
	// Their numbers are free for the rest of the transaction. What it removed one by one it also brings back one by one.
	TAILQ_FOREACH (e, &pipe->entries, by_pipe)
		if (doomed ? !e->dying : e->with_pipe) {
			entry_doom(e, doomed);
			e->with_pipe = doomed;
		}
}

int pipe_destroy(struct space *space, uint32_t id, struct why *why)
{
	struct why reason = {0};
	int err = 0;
	struct pipe *pipe = pipe_owned(space, id, &err, &reason);

	if (pipe && pipe->refs)
		err = why_set(&reason, STEER_WHY_BAD_FWD, -EBUSY, "pipe '%s': %u forwards lead to it",
			pipe->spec->name, pipe->refs);
	else if (pipe && txn_reserve(space))
		err = why_set(&reason, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory");
	if (why)
		*why = reason;
	if (err)
		return txn_spoil(space, err, &reason);
	if (!space->txn) {
		pipe_discard(pipe);
		return 0;
	}
	// What it leads to is free to go in the same transaction.
	pipe_doom(pipe, true);
	txn_note(space, (struct change){.kind = CHANGE_PIPE_DESTROY, .pipe = pipe, .root = root_of(pipe)});
	return 0;
}

void pipe_flush_port(struct space *space, uint16_t port)
{
	struct pipe *pipe;
	size_t i = 0;

	while (i < nr_pipes) {
		pipe = pipes[i];
		if (pipe->port != port || (space && pipe->space != space)) {
			i++;
			continue;
		}
		// A transaction that touched it cannot go on.
		if (pipe->space->txn)
			txn_abort(pipe->space);
		// The abort may have taken pipes away: look again at the same place.
		if (i < nr_pipes && pipes[i] == pipe)
			pipe_discard(pipe);
	}
}
