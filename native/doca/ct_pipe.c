// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// CT pipes: what they may have, their action templates, shared actions and registered forwards.

#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "complete.h"
#include "ct.h"
#include "fwd.h"

static doca_error_t bad(const char *pipe, const char *field, const char *rule, const char *what)
{
	return refuse(DOCA_ERROR_INVALID_VALUE, AT(.pipe = pipe, .field = field, .rule = rule), "CT pipe: %s",
		what);
}

doca_error_t ct_pipe_check(const struct doca_flow_pipe_cfg *cfg, const struct doca_flow_fwd *fwd,
	const struct doca_flow_fwd *fwd_miss)
{
	if (!ct.initialised)
		return refuse(DOCA_ERROR_BAD_STATE, AT(.pipe = cfg->name, .rule = "init-order"),
			"CT pipes come after doca_flow_ct_init()");
	if (!fwd || fwd->type != DOCA_FLOW_FWD_PIPE || !fwd->next_pipe)
		return bad(cfg->name, "fwd", "ct-fwd", "known connections go to a pipe, nothing else");
	if (!fwd_miss || fwd_miss->type != DOCA_FLOW_FWD_PIPE)
		return bad(cfg->name, "fwd_miss", "ct-fwd", "unknown packets go to a pipe, nothing else");
	if (cfg->has_monitor)
		return bad(cfg->name, "monitor", "ct-monitor",
			"counters and ageing are the connections' (doca_flow_ct_add_entry)");
	return DOCA_SUCCESS;
}

// --- templates

static bool is_plain(const struct action_template *template)
{
	for (unsigned int i = 0; i < template->nr_actions; i++)
		if (template->actions[i].kind != STEER_ACT_SET &&
			template->actions[i].kind != STEER_ACT_ADD &&
			template->actions[i].kind != STEER_ACT_COPY)
			return false;
	return true;
}

// The mark is no member of doca_flow_actions: it goes behind the template's own arguments.
static bool add_mark(struct action_template *template, uint16_t *offset)
{
	doca_be32_t mask = ct.cfg.side[CT_ORIGIN].modify.mark | ct.cfg.side[CT_REPLY].modify.mark;
	struct steer_action *action;

	*offset = UINT16_MAX;
	if (!mask)
		return true;
	if (template->nr_actions == STEER_ACTION_MAX || template->args_bytes + sizeof(mask) > STEER_ARGS_MAX)
		return false;
	action = &template->actions[template->nr_actions++];
	memset(action, 0, sizeof(*action));
	action->kind = STEER_ACT_SET;
	action->flags = STEER_ACT_CHANGEABLE;
	action->field = STEER_F_META_MARK;
	action->arg_offset = *offset = template->args_bytes;
	memcpy(action->mask, &mask, sizeof(mask));
	template->args_bytes = (uint16_t)(template->args_bytes + sizeof(mask));
	return true;
}

// Without templates of the program, connections may set what the directions' modify masks name.
static doca_error_t add_meta_template(struct doca_flow_pipe *pipe, enum ct_side side)
{
	static const struct doca_flow_meta nothing;
	const struct doca_flow_ct_meta *modify = &ct.cfg.side[side].modify;
	struct actions_cfg cfg = {.has_actions = true, .has_mask = true};
	struct action_template *template = &pipe->templates[pipe->nr_templates];
	doca_error_t result;

	if (!memcmp(&modify->flow, &nothing, sizeof(nothing)) && !modify->mark)
		return DOCA_SUCCESS;
	memset(&cfg.actions.meta, 0xff, sizeof(cfg.actions.meta));
	cfg.mask.meta = modify->flow;
	result = actions_compile(template, pipe->name, &cfg, false);
	if (result == DOCA_SUCCESS)
		pipe->conns->meta_idx[side] = pipe->nr_templates++;
	return result;
}

static doca_error_t compile_templates(struct doca_flow_pipe *pipe, size_t nr_user)
{
	static const struct actions_cfg none;
	struct ct_pipe *p = pipe->conns;
	struct action_template *grown;
	doca_error_t result = DOCA_SUCCESS;

	if (nr_user + 1 > STEER_ACTION_TEMPLATE_MAX)
		return refuse(DOCA_ERROR_TOO_BIG,
			AT(.pipe = pipe->name, .field = "actions", .rule = "ct-actions"),
			"a CT pipe has at most %d action templates", STEER_ACTION_TEMPLATE_MAX - 1);
	for (size_t i = 0; i < nr_user; i++)
		if (!is_plain(&pipe->templates[i]))
			return refuse(DOCA_ERROR_NOT_SUPPORTED,
				AT(.pipe = pipe->name, .field = "actions", .rule = "ct-actions"),
				"connections change metadata, addresses and ports, nothing else");
	grown = realloc(pipe->templates, (nr_user + 1 + CT_SIDES) * sizeof(*grown));
	if (!grown)
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = pipe->name), "out of memory");
	pipe->templates = grown;
	pipe->nr_templates = p->nr_user = p->none_idx = (uint16_t)nr_user;
	result = actions_compile(&pipe->templates[pipe->nr_templates], pipe->name, &none, false);
	if (result == DOCA_SUCCESS)
		pipe->nr_templates++;
	for (int side = 0; side < CT_SIDES && !nr_user && result == DOCA_SUCCESS; side++)
		result = add_meta_template(pipe, side);
	for (unsigned int i = 0; i < pipe->nr_templates && result == DOCA_SUCCESS; i++) {
		p->mark_offset[i] = UINT16_MAX;
		if (i != p->none_idx && !add_mark(&pipe->templates[i], &p->mark_offset[i]))
			result = refuse(DOCA_ERROR_TOO_BIG,
				AT(.pipe = pipe->name, .field = "actions", .rule = "action-count"),
				"no room for the mark in template %u", i);
	}
	return result;
}

// --- creation

// All that a CT pipe's own match may name is the zone.
static doca_error_t check_match(struct doca_flow_pipe *pipe)
{
	for (unsigned int i = 0; i < pipe->match.nr_fields; i++)
		if (pipe->match.fields[i].field != ct.cfg.side[CT_ORIGIN].zone_field &&
			pipe->match.fields[i].field != ct.cfg.side[CT_REPLY].zone_field)
			return bad(pipe->name, field_name(pipe->match.fields[i].field), "ct-match",
				"it matches connections and their zone, no field of its own");
	memset(&pipe->match, 0, sizeof(pipe->match));
	return DOCA_SUCCESS;
}

static void set_limits(struct ct_pipe *p, uint32_t nr_entries)
{
	p->max[0] = ct.cfg.max_ipv4;
	p->max[1] = ct.cfg.max_ipv6;
	p->max_total = ct.conns_per_pipe;
	if (!p->max[0] && !p->max[1]) {
		if (!p->max_total)
			p->max_total = nr_entries;
		p->max[0] = p->max[1] = p->max_total;
	}
	// Zones are counted only where one of them can become full before the pipe is.
	if (ct.cfg.zone_max < p->max_total) {
		p->zone_slots = 16;
		while (p->zone_slots < p->max_total * 2)
			p->zone_slots *= 2;
	}
}

static doca_error_t enlist(struct ct_pipe *p)
{
	doca_error_t result = DOCA_ERROR_FULL;

	pthread_mutex_lock(&ct.lock);
	for (unsigned int i = 0; i < CT_PIPES_MAX && result != DOCA_SUCCESS; i++)
		if (!ct.pipes[i]) {
			ct.pipes[i] = p;
			p->slot = i;
			result = DOCA_SUCCESS;
		}
	pthread_mutex_unlock(&ct.lock);
	if (result != DOCA_SUCCESS)
		return refuse(DOCA_ERROR_TOO_BIG, AT(.pipe = p->pipe->name, .rule = "ct-pipes"),
			"a process has at most %d CT pipes", CT_PIPES_MAX);
	return DOCA_SUCCESS;
}

static doca_error_t alloc_parts(struct ct_pipe *p)
{
	unsigned int queues = ct.cfg.dup_filter ? ct.cfg.queues : 0;

	p->conn_bytes = (sizeof(struct ct_conn) + ct.cfg.priv_bytes + 15) & ~(size_t)15;
	p->nr_chunks = (p->max_total + CT_CHUNK - 1) / CT_CHUNK;
	p->chunks = calloc(p->nr_chunks ? p->nr_chunks : 1, sizeof(struct ct_conn *));
	p->nr_actions = ct.cfg.user_actions;
	p->actions = calloc(p->nr_actions ? p->nr_actions : 1, sizeof(*p->actions));
	if (p->zone_slots)
		p->zones = calloc(p->zone_slots, sizeof(*p->zones));
	if (!p->chunks || !p->actions || (p->zone_slots && !p->zones))
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = p->pipe->name), "out of memory");
	for (unsigned int q = 0; q < queues; q++) {
		p->filters[q].slots = calloc(ct.cfg.dup_filter, sizeof(struct ct_conn *));
		if (!p->filters[q].slots)
			return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = p->pipe->name), "out of memory");
	}
	return DOCA_SUCCESS;
}

doca_error_t ct_pipe_compile(struct doca_flow_pipe *pipe, size_t nr_user)
{
	struct ct_pipe *p = calloc(1, sizeof(*p));
	doca_error_t result;

	if (!p)
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = pipe->name), "out of memory");
	pipe->conns = p;
	p->pipe = pipe;
	p->slot = CT_NONE;
	p->first_free = CT_NONE;
	p->meta_idx[CT_ORIGIN] = p->meta_idx[CT_REPLY] = UINT16_MAX;
	pthread_mutex_init(&p->lock, NULL);
	for (unsigned int q = 0; q < STEER_QUEUE_MAX; q++) {
		TAILQ_INIT(&p->aged[q]);
		TAILQ_INIT(&p->changed[q]);
		p->iterate_at[q] = CT_NONE;
	}
	result = check_match(pipe);
	if (result == DOCA_SUCCESS)
		result = compile_templates(pipe, nr_user);
	if (result != DOCA_SUCCESS)
		return result;
	set_limits(p, pipe->nr_entries);
	if (p->max_total > STEER_ENTRY_ID_MAX / CT_SIDES)
		return refuse(DOCA_ERROR_TOO_BIG,
			AT(.pipe = pipe->name, .field = "nr_entries", .rule = "ct-connections"),
			"at most %d connections are possible", STEER_ENTRY_ID_MAX / CT_SIDES);
	pipe->nr_entries = p->max_total * CT_SIDES;
	result = alloc_parts(p);
	return result == DOCA_SUCCESS ? enlist(p) : result;
}

static void free_conns(struct ct_pipe *p)
{
	for (uint32_t i = 0; i < p->nr_chunks; i++) {
		for (uint32_t k = 0; p->chunks[i] && k < CT_CHUNK; k++) {
			struct ct_conn *conn = ct_conn_at(p, i * CT_CHUNK + k);

			free(conn->way[CT_ORIGIN].args);
			free(conn->way[CT_REPLY].args);
		}
		free(p->chunks[i]);
	}
}

void ct_pipe_free(struct doca_flow_pipe *pipe)
{
	struct ct_pipe *p = pipe->conns;

	if (!p)
		return;
	// Behind this the ageing thread does not touch it any more.
	pthread_mutex_lock(&ct.lock);
	if (p->slot != CT_NONE)
		ct.pipes[p->slot] = NULL;
	pthread_mutex_unlock(&ct.lock);
	if (p->chunks)
		free_conns(p);
	free(p->chunks);
	for (uint32_t i = 0; p->actions && i < p->nr_actions; i++)
		free(p->actions[i].args);
	free(p->actions);
	free(p->zones);
	for (unsigned int q = 0; q < STEER_QUEUE_MAX; q++)
		free(p->filters[q].slots);
	pthread_mutex_destroy(&p->lock);
	free(p);
	pipe->conns = NULL;
}

void ct_pipe_data(const struct doca_flow_pipe *pipe, struct ct_data *data)
{
	memset(data, 0, sizeof(*data));
	for (int side = 0; side < CT_SIDES; side++) {
		struct steer_ct_direction *d = &data->managed.direction[side];

		d->inner = ct.cfg.side[side].inner;
		d->zone_field = ct.cfg.side[side].zone_field;
		d->zone_mask = ct.cfg.side[side].zone_mask;
	}
	for (int six = 0; six < 2; six++)
		data->managed.capacity[six] = pipe->conns->max[six] * CT_SIDES;
}

// --- actions

static doca_error_t pick_template(const struct doca_flow_pipe *pipe, enum ct_side side,
	const struct doca_flow_ct_actions *actions, uint8_t *action_idx)
{
	const struct ct_pipe *p = pipe->conns;
	uint8_t idx = actions->data.action_idx;

	if (!p->nr_user && p->meta_idx[side] != UINT16_MAX) {
		*action_idx = (uint8_t)p->meta_idx[side];
		return DOCA_SUCCESS;
	}
	if (idx >= p->nr_user)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "action_idx", .rule = "ct-actions"),
			"template %u of %u", idx, p->nr_user);
	*action_idx = idx;
	return DOCA_SUCCESS;
}

static doca_error_t check_mark(
	const struct doca_flow_pipe *pipe, enum ct_side side, const struct doca_flow_ct_actions *actions)
{
	if (actions->data.meta.mark & ~ct.cfg.side[side].modify.mark)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "meta.mark", .rule = "ct-mark"),
			"0x%x is outside of the direction's modify mask",
			DOCA_BETOH32(actions->data.meta.mark));
	return DOCA_SUCCESS;
}

doca_error_t ct_action_compile(const struct doca_flow_pipe *pipe, enum ct_side side,
	const struct doca_flow_ct_actions *actions, uint8_t *action_idx, uint8_t **args)
{
	const struct doca_flow_ct_actions_data *data = &actions->data;
	const struct action_template *template;
	struct doca_flow_actions values;
	uint16_t mark_offset;
	doca_error_t result = pick_template(pipe, side, actions, action_idx);

	if (result == DOCA_SUCCESS)
		result = check_mark(pipe, side, actions);
	if (result != DOCA_SUCCESS)
		return result;
	*args = NULL;
	template = &pipe->templates[*action_idx];
	mark_offset = pipe->conns->mark_offset[*action_idx];
	if (!template->args_bytes)
		return DOCA_SUCCESS;
	memset(&values, 0, sizeof(values));
	values.meta = data->meta.flow;
	values.outer.transport.src_port = data->l4_port.src_port;
	values.outer.transport.dst_port = data->l4_port.dst_port;
	if (template->gates[FIELD_OUTER].l3_type == DOCA_FLOW_L3_TYPE_IP6) {
		memcpy(values.outer.ip6.src_ip, data->ip6.src_ip, sizeof(data->ip6.src_ip));
		memcpy(values.outer.ip6.dst_ip, data->ip6.dst_ip, sizeof(data->ip6.dst_ip));
	} else {
		values.outer.ip4.src_ip = data->ip4.src_ip;
		values.outer.ip4.dst_ip = data->ip4.dst_ip;
	}
	*args = calloc(1, template->args_bytes);
	if (!*args)
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = pipe->name), "out of memory");
	result = actions_args(pipe->name, template, &values, *args);
	if (result == DOCA_SUCCESS && mark_offset != UINT16_MAX)
		memcpy(*args + mark_offset, &data->meta.mark, sizeof(data->meta.mark));
	if (result != DOCA_SUCCESS) {
		free(*args);
		*args = NULL;
	}
	return result;
}

// --- shared actions

static doca_error_t check_shared(const char *function, uint16_t queue, const struct doca_flow_pipe *pipe,
	const void *array, const void *handles)
{
	doca_error_t result = ct_check(function, queue, pipe, true);

	if (result == DOCA_SUCCESS && (!array || !handles))
		return refuse_argument(function, "actions", "an argument is NULL");
	return result;
}

static bool handle_known(const struct ct_pipe *p, uint32_t handle)
{
	return handle < p->nr_actions && p->actions[handle].used;
}

static doca_error_t unknown_handle(const struct doca_flow_pipe *pipe, uint32_t handle)
{
	return refuse(DOCA_ERROR_INVALID_VALUE,
		AT(.pipe = pipe->name, .field = "action_handle", .rule = "ct-actions"),
		"%u is no handle of a shared action", handle);
}

static void drop_shared(struct ct_pipe *p, uint32_t handle)
{
	free(p->actions[handle].args);
	p->actions[handle] = (struct ct_action){0};
	p->used_actions--;
}

static uint32_t free_handle(const struct ct_pipe *p)
{
	uint32_t handle = 0;

	while (handle < p->nr_actions && p->actions[handle].used)
		handle++;
	return p->used_actions < p->nr_actions ? handle : CT_NONE;
}

doca_error_t doca_flow_ct_actions_add_shared(uint16_t ctrl_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_ct_actions actions[], uint32_t nb_actions, uint32_t actions_handles[])
{
	doca_error_t result = check_shared(__func__, ctrl_queue, pipe, actions, actions_handles);
	struct ct_pipe *p;
	uint32_t done = 0;

	if (result != DOCA_SUCCESS)
		return result;
	p = pipe->conns;
	pthread_mutex_lock(&p->lock);
	for (; done < nb_actions && result == DOCA_SUCCESS; done++) {
		struct ct_action compiled = {.used = true};
		uint32_t handle = free_handle(p);

		if (handle == CT_NONE)
			result = refuse(DOCA_ERROR_NO_MEMORY,
				AT(.pipe = pipe->name, .field = "user_actions", .rule = "ct-actions"),
				"all %u actions are in use (doca_flow_ct_cfg_set_user_actions)",
				p->nr_actions);
		else
			result = ct_action_compile(
				pipe, CT_ORIGIN, &actions[done], &compiled.action_idx, &compiled.args);
		if (result != DOCA_SUCCESS)
			break;
		p->actions[handle] = compiled;
		p->used_actions++;
		actions_handles[done] = handle;
	}
	// All of them, or none.
	while (result != DOCA_SUCCESS && done)
		drop_shared(p, actions_handles[--done]);
	pthread_mutex_unlock(&p->lock);
	return result;
}

// Connections that use the action get its new arguments: at once, or when what they are busy with is done.
static doca_error_t repost_users(struct ct_pipe *p, uint32_t handle, uint16_t queue)
{
	struct doca_flow_port *port = p->pipe->port;
	doca_error_t result = DOCA_SUCCESS;

	for (uint32_t i = 0; i < p->nr_chunks * CT_CHUNK && result == DOCA_SUCCESS; i++) {
		struct ct_conn *conn = ct_conn_at(p, i);

		for (int side = 0; conn && side < CT_SIDES && result == DOCA_SUCCESS; side++) {
			struct ct_way *way = &conn->way[side];

			if (way->shared != handle || conn->state == CT_FREE || conn->state == CT_PREPARED)
				continue;
			if (conn->pending) {
				way->refresh = true;
				continue;
			}
			if (port->queues[queue].in_flight >= flow_queue_depth(queue)) {
				pthread_mutex_unlock(&p->lock);
				result = complete_process(port, queue, 2000000, 1);
				pthread_mutex_lock(&p->lock);
			}
			if (result == DOCA_SUCCESS && conn->state == CT_ALIVE && way->entry) {
				conn->quiet = true;
				result = ct_repost(conn, side, queue, 0);
			}
		}
	}
	return result;
}

doca_error_t doca_flow_ct_actions_update_shared(uint16_t ctrl_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_ct_actions actions[], uint32_t nb_actions, uint32_t actions_handles[])
{
	doca_error_t result = check_shared(__func__, ctrl_queue, pipe, actions, actions_handles);
	struct ct_pipe *p;

	if (result != DOCA_SUCCESS)
		return result;
	p = pipe->conns;
	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; i < nb_actions && result == DOCA_SUCCESS; i++)
		if (!handle_known(p, actions_handles[i]))
			result = unknown_handle(pipe, actions_handles[i]);
	for (uint32_t i = 0; i < nb_actions && result == DOCA_SUCCESS; i++) {
		struct ct_action compiled = {.used = true};

		result =
			ct_action_compile(pipe, CT_ORIGIN, &actions[i], &compiled.action_idx, &compiled.args);
		if (result != DOCA_SUCCESS)
			break;
		free(p->actions[actions_handles[i]].args);
		p->actions[actions_handles[i]] = compiled;
		result = repost_users(p, actions_handles[i], ctrl_queue);
	}
	pthread_mutex_unlock(&p->lock);
	return result == DOCA_SUCCESS ? complete_process(pipe->port, ctrl_queue, 2000000, 0) : result;
}

// A connection that is posted again needs what a removed action was: whoever has it gets a copy of his own.
static doca_error_t part_with(const struct doca_flow_pipe *pipe, uint32_t handle)
{
	struct ct_pipe *p = pipe->conns;
	const struct ct_action *action = &p->actions[handle];
	uint32_t bytes = action->args ? pipe->templates[action->action_idx].args_bytes : 0;

	for (uint32_t i = 0; i < p->nr_chunks * CT_CHUNK; i++) {
		struct ct_conn *conn = ct_conn_at(p, i);

		for (int side = 0; conn && conn->state != CT_FREE && side < CT_SIDES; side++) {
			struct ct_way *way = &conn->way[side];

			if (way->shared != handle)
				continue;
			way->args = bytes ? malloc(bytes) : NULL;
			if (bytes && !way->args)
				return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = pipe->name), "out of memory");
			if (bytes)
				memcpy(way->args, action->args, bytes);
			way->action_idx = action->action_idx;
			way->shared = CT_NONE;
		}
	}
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_actions_rm_shared(
	uint16_t ctrl_queue, struct doca_flow_pipe *pipe, uint32_t actions_handles[], uint32_t nb_actions)
{
	doca_error_t result = check_shared(__func__, ctrl_queue, pipe, actions_handles, actions_handles);
	struct ct_pipe *p;

	if (result != DOCA_SUCCESS)
		return result;
	p = pipe->conns;
	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; i < nb_actions && result == DOCA_SUCCESS; i++)
		if (!handle_known(p, actions_handles[i]))
			result = unknown_handle(pipe, actions_handles[i]);
	// Connections keep what they have.
	for (uint32_t i = 0; i < nb_actions && result == DOCA_SUCCESS; i++)
		if (p->actions[actions_handles[i]].used) {
			result = part_with(pipe, actions_handles[i]);
			if (result == DOCA_SUCCESS)
				drop_shared(p, actions_handles[i]);
		}
	pthread_mutex_unlock(&p->lock);
	return result;
}

// --- forwards

static doca_error_t check_register(const struct doca_flow_port *port)
{
	const struct doca_flow_pipe *pipe;

	TAILQ_FOREACH (pipe, &port->pipes, link)
		if (pipe->conns)
			return refuse(DOCA_ERROR_BAD_STATE,
				AT(.pipe = pipe->name, .field = "fwd", .rule = "ct-fwd"),
				"forwards are registered before the port's CT pipe is made");
	return DOCA_SUCCESS;
}

static doca_error_t register_all(
	struct doca_flow_port *port, uint32_t nr, const struct doca_flow_fwd *fwd, struct steer_fwd *to)
{
	doca_error_t result = DOCA_SUCCESS;

	for (uint32_t i = 0; i < nr && result == DOCA_SUCCESS; i++) {
		if (fwd[i].type != DOCA_FLOW_FWD_PIPE)
			return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "fwd", .rule = "ct-fwd"),
				"connections go to pipes, nothing else");
		if (!fwd[i].next_pipe || !pipe_by_number(fwd[i].next_pipe->number))
			return refuse(DOCA_ERROR_NOT_FOUND, AT(.field = "next_pipe", .rule = "ct-fwd"),
				"forward %u has no pipe", i);
		result = fwd_to_wire(&(struct fwd_at){.port = port, .role = "fwd"}, &fwd[i], &to[i], NULL);
	}
	return result;
}

doca_error_t doca_flow_ct_fwd_register(
	struct doca_flow_port *port, uint32_t fwd_count, struct doca_flow_fwd fwd[], uint32_t fwd_handle[])
{
	doca_error_t result = flow_check_state(__func__);
	struct steer_fwd *grown;

	if (result != DOCA_SUCCESS)
		return result;
	if (!ct.initialised)
		return refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "init-order"),
			"%s() comes after doca_flow_ct_init()", __func__);
	if (!port || !fwd || !fwd_handle || !fwd_count)
		return refuse_argument(__func__, "fwd", "an argument is NULL or 0");
	flow_lock();
	port = port->manager;
	result = check_register(port);
	if (result == DOCA_SUCCESS) {
		grown = realloc(port->ct_fwds, (port->nr_ct_fwds + fwd_count) * sizeof(*grown));
		if (grown)
			port->ct_fwds = grown;
		result = grown ? register_all(port, fwd_count, fwd, grown + port->nr_ct_fwds)
			       : refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
	}
	// 0 is the CT pipe's own forward.
	for (uint32_t i = 0; i < fwd_count && result == DOCA_SUCCESS; i++)
		fwd_handle[i] = ++port->nr_ct_fwds;
	flow_unlock();
	return result;
}

doca_error_t ct_fwd_of(const struct doca_flow_pipe *pipe, uint32_t handle, struct steer_fwd *fwd)
{
	if (!handle) {
		*fwd = pipe->fwd;
		return DOCA_SUCCESS;
	}
	if (handle > pipe->port->nr_ct_fwds)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "fwd_handle", .rule = "ct-fwd"),
			"%u is no handle of doca_flow_ct_fwd_register()", handle);
	*fwd = pipe->port->ct_fwds[handle - 1];
	return DOCA_SUCCESS;
}
