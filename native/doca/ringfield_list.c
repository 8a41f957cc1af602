// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// doca_flow_ringfield.h: what is in the fast path, of this session and of others.

#include <stdlib.h>
#include <string.h>

#include "fwd.h"
#include "listing.h"
#include "query.h"

doca_error_t list_pipes(uint32_t session, uint16_t port, struct steer_pipe_info **infos, unsigned int *nr)
{
	struct steer_pipe_query query = {.session = session, .port = port};
	struct steer_pipe_info *page = malloc(STEER_MSG_MAX), *all = NULL;
	uint32_t length = 0;
	int status = 0;

	*nr = 0;
	while (page) {
		struct steer_pipe_info *grown;
		unsigned int got;

		status = steering_call(
			flow.client, STEER_OP_PIPE_LIST, &query, sizeof(query), page, STEER_MSG_MAX, &length);
		got = status < 0 ? 0 : length / sizeof(*page);
		if (!got)
			break;
		grown = realloc(all, (*nr + got) * sizeof(*all));
		if (!grown) {
			free(page);
			page = NULL;
			break;
		}
		all = grown;
		memcpy(all + *nr, page, got * sizeof(*page));
		*nr += got;
		query.after = page[got - 1].pipe;
	}
	if (!page || status < 0) {
		free(page);
		free(all);
		return page ? refuse_steering(status, NULL, "listing pipes")
			    : refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
	}
	free(page);
	*infos = all;
	return DOCA_SUCCESS;
}

doca_error_t list_entries(uint32_t pipe, uint32_t after, uint32_t max,
	bool (*visit)(
		const struct steer_entry_info *info, const struct steer_entry_add *record, void *context),
	void *context)
{
	struct steer_entry_query query = {.pipe = pipe, .after = after, .max = max};
	uint8_t *page = malloc(STEER_MSG_MAX);
	bool more = page != NULL;
	uint32_t length = 0;
	int status = 0;

	if (!page)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
	while (more) {
		uint32_t at = 0;

		status = steering_call(flow.client, STEER_OP_ENTRY_LIST, &query, sizeof(query), page,
			STEER_MSG_MAX, &length);
		if (status < 0 || !length)
			break;
		while (more &&
			at + sizeof(struct steer_entry_info) + sizeof(struct steer_entry_add) <= length) {
			const struct steer_entry_info *info = (const struct steer_entry_info *)(page + at);

			if (info->bytes < sizeof(*info) + sizeof(struct steer_entry_add) ||
				info->bytes > length - at)
				break;
			more = visit(info, (const struct steer_entry_add *)(info + 1), context);
			query.after = info->entry;
			at += info->bytes;
		}
	}
	free(page);
	return status < 0 ? refuse_steering(status, NULL, "listing entries") : DOCA_SUCCESS;
}

static const uint8_t types[STEER_PIPE_TYPE_MAX] = {
	[STEER_PIPE_BASIC] = DOCA_FLOW_PIPE_BASIC,
	[STEER_PIPE_CONTROL] = DOCA_FLOW_PIPE_CONTROL,
	[STEER_PIPE_LPM] = DOCA_FLOW_PIPE_LPM,
	[STEER_PIPE_ACL] = DOCA_FLOW_PIPE_ACL,
	[STEER_PIPE_ORDERED_LIST] = DOCA_FLOW_PIPE_ORDERED_LIST,
	[STEER_PIPE_HASH] = DOCA_FLOW_PIPE_HASH,
	[STEER_PIPE_CT] = DOCA_FLOW_PIPE_CT,
};

static void pipe_from_wire(struct doca_flow_ringfield_pipe *to, const struct steer_pipe_info *from)
{
	struct doca_flow_resource_query misses = {0}, hits = {0};

	memset(to, 0, sizeof(*to));
	memcpy(to->name, from->name, sizeof(to->name));
	memcpy(to->label, from->label, sizeof(to->label));
	to->name[sizeof(to->name) - 1] = to->label[sizeof(to->label) - 1] = 0;
	to->number = from->pipe;
	to->session = from->session;
	to->port = from->port;
	to->type = from->type < STEER_PIPE_TYPE_MAX ? types[from->type] : 0;
	to->domain = from->domain == STEER_DOMAIN_EGRESS ? DOCA_FLOW_PIPE_DOMAIN_EGRESS
							 : DOCA_FLOW_PIPE_DOMAIN_DEFAULT;
	to->is_root = from->flags & STEER_PIPE_ROOT;
	to->is_resizable = from->flags & STEER_PIPE_RESIZABLE;
	to->nr_entries = from->nr_entries;
	to->used = from->used;
	to->has_miss_counter = from->miss_counter != STEER_COUNTER_NONE;
	(void)query_slot(from->miss_counter, &misses);
	to->miss_pkts = misses.counter.total_pkts;
	to->miss_bytes = misses.counter.total_bytes;
	(void)query_slot(from->hit_counter, &hits);
	to->hit_pkts = hits.counter.total_pkts;
	to->hit_bytes = hits.counter.total_bytes;
	fwd_text(&from->fwd, to->fwd, sizeof(to->fwd));
	fwd_text(&from->fwd_miss, to->fwd_miss, sizeof(to->fwd_miss));
}

doca_error_t doca_flow_ringfield_pipe_list(
	bool own, struct doca_flow_ringfield_pipe *pipes, uint32_t max, uint32_t *nr)
{
	struct steer_pipe_info *infos;
	unsigned int nr_infos;
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (!nr || (max && !pipes))
		return refuse_argument(__func__, "pipes", "an argument is NULL");
	flow_lock();
	result = list_pipes(
		own ? steering_session(flow.client)->session : 0, STEER_PORT_NONE, &infos, &nr_infos);
	if (result == DOCA_SUCCESS) {
		for (unsigned int i = 0; i < nr_infos && i < max; i++)
			pipe_from_wire(&pipes[i], &infos[i]);
		*nr = nr_infos;
		free(infos);
	}
	flow_unlock();
	return result;
}

doca_error_t doca_flow_ringfield_pipe_info(
	const struct doca_flow_pipe *pipe, struct doca_flow_ringfield_pipe *info)
{
	struct steer_pipe_query query = {.port = STEER_PORT_NONE};
	struct steer_pipe_info *page;
	doca_error_t result = flow_check_state(__func__);
	uint32_t length = 0;
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	if (!pipe || !info)
		return refuse_argument(__func__, "pipe", "an argument is NULL");
	page = malloc(STEER_MSG_MAX);
	if (!page)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
	query.after = pipe->number - 1;
	status = steering_call(
		flow.client, STEER_OP_PIPE_LIST, &query, sizeof(query), page, STEER_MSG_MAX, &length);
	if (status < 0)
		result = refuse_steering(status, AT(.pipe = pipe->name), "reading a pipe");
	else if (length < sizeof(*page) || page->pipe != pipe->number)
		result = refuse(
			DOCA_ERROR_NOT_FOUND, AT(.pipe = pipe->name), "the fast path does not have it");
	else
		pipe_from_wire(info, page);
	free(page);
	return result;
}

doca_error_t doca_flow_ringfield_entry_info(
	const struct doca_flow_pipe_entry *entry, struct doca_flow_ringfield_entry *info)
{
	struct doca_flow_resource_query hits;
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (!entry || !info)
		return refuse_argument(__func__, "entry", "an argument is NULL");
	if (entry->state != ENTRY_ALIVE)
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "entry", .rule = "entry-alive"),
			"the entry was removed, failed, or its pipe is gone");
	memset(info, 0, sizeof(*info));
	info->number = entry->id;
	info->action_idx = entry->action_idx;
	info->tag = entry->tag;
	info->priority = entry->priority;
	info->index = entry->index;
	info->counted = entry->counter != STEER_COUNTER_NONE;
	result = query_slot(entry->counter, &hits);
	info->pkts = hits.counter.total_pkts;
	info->bytes = hits.counter.total_bytes;
	return result;
}
