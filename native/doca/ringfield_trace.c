// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// doca_flow_ringfield.h: trace. The fast path walks its tables and reports numbers; here they get their names.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fwd.h"
#include "listing.h"

static const char *const action_names[STEER_ACT_MAX] = {
	[STEER_ACT_SET] = "set",
	[STEER_ACT_ADD] = "add",
	[STEER_ACT_ADD_FIELD] = "add field",
	[STEER_ACT_COPY] = "copy",
	[STEER_ACT_POP_VLAN] = "pop vlan",
	[STEER_ACT_PUSH_VLAN] = "push vlan",
	[STEER_ACT_DECAP] = "decap",
	[STEER_ACT_ENCAP] = "encap",
	[STEER_ACT_SHARED_ENCAP] = "shared encap",
	[STEER_ACT_SHARED_DECAP] = "shared decap",
	[STEER_ACT_NAT64] = "nat64",
	[STEER_ACT_COUNT] = "count",
	[STEER_ACT_METER] = "meter",
};

struct names {
	struct steer_pipe_info *infos;
	unsigned int nr;
};

static void pipe_name(const struct names *names, uint32_t number, char *to, size_t bytes)
{
	for (unsigned int i = 0; i < names->nr; i++)
		if (names->infos[i].pipe == number && names->infos[i].name[0]) {
			snprintf(to, bytes, "%.*s", STEER_NAME_MAX - 1, names->infos[i].name);
			return;
		}
	snprintf(to, bytes, "#%u", number);
}

static void name_fwd(const struct names *names, const struct steer_fwd *fwd, char *to, size_t bytes)
{
	char name[STEER_NAME_MAX];

	if (fwd->type != STEER_FWD_PIPE) {
		fwd_text(fwd, to, bytes);
		return;
	}
	pipe_name(names, fwd->pipe, name, sizeof(name));
	snprintf(to, bytes, "pipe %.40s", name);
}

static void give_hop(const struct names *names, struct doca_flow_ringfield_trace_hop *to,
	const struct steer_trace_hop *from)
{
	memset(to, 0, sizeof(*to));
	pipe_name(names, from->pipe, to->pipe, sizeof(to->pipe));
	to->pipe_number = from->pipe;
	to->entry = from->entry;
	to->tag = from->tag;
	to->hit = from->result == STEER_TRACE_HIT;
	to->domain = from->domain == STEER_DOMAIN_EGRESS ? DOCA_FLOW_PIPE_DOMAIN_EGRESS
							 : DOCA_FLOW_PIPE_DOMAIN_DEFAULT;
	to->meter_color = from->meter_color;
	to->copy = from->copy;
	to->frame_length = from->frame_length;
	name_fwd(names, &from->fwd, to->fwd, sizeof(to->fwd));
	for (; to->nr_fields < from->nr_keys && to->nr_fields < DOCA_FLOW_RINGFIELD_TRACE_FIELDS;
		to->nr_fields++) {
		struct doca_flow_ringfield_trace_field *field = &to->fields[to->nr_fields];
		const struct steer_trace_key *key = &from->keys[to->nr_fields];

		snprintf(field->name, sizeof(field->name), "%s", field_name(key->field));
		field->width = (uint8_t)field_bytes(key->field);
		memcpy(field->packet, key->packet, sizeof(field->packet));
		memcpy(field->value, key->value, sizeof(field->value));
		memcpy(field->mask, key->mask, sizeof(field->mask));
	}
	for (; to->nr_actions < from->nr_actions && to->nr_actions < DOCA_FLOW_RINGFIELD_TRACE_ACTIONS;
		to->nr_actions++) {
		struct doca_flow_ringfield_trace_action *action = &to->actions[to->nr_actions];
		uint8_t kind = from->actions[to->nr_actions];
		uint16_t field = from->action_fields[to->nr_actions];

		snprintf(action->kind, sizeof(action->kind), "%s",
			kind < STEER_ACT_MAX && action_names[kind] ? action_names[kind] : "?");
		snprintf(action->field, sizeof(action->field), "%s", field ? field_name(field) : "");
	}
}

static void give_outcome(struct doca_flow_ringfield_trace *trace, const struct steer_trace_outcome *from,
	const uint8_t *frame, uint32_t *used)
{
	struct doca_flow_ringfield_trace_outcome *to;

	_Static_assert((int)DOCA_FLOW_RINGFIELD_VERDICT_KERNEL == (int)STEER_VERDICT_KERNEL, "verdicts");
	if (trace->nr_outcomes < trace->max_outcomes) {
		to = &trace->outcomes[trace->nr_outcomes];
		memset(to, 0, sizeof(*to));
		to->verdict = from->verdict;
		to->drop = from->reason;
		to->port = from->port;
		to->queue = from->queue;
		to->copy = from->copy;
		to->pkt_meta = from->pkt_meta;
		if (from->length <= trace->buffer_bytes - *used) {
			memcpy(trace->buffer + *used, frame, from->length);
			to->offset = *used;
			to->length = from->length;
			*used += from->length;
		}
	}
	trace->nr_outcomes++;
}

static doca_error_t give_reply(struct doca_flow_ringfield_trace *trace, const uint8_t *reply, uint32_t length)
{
	const struct steer_trace_reply *head = (const void *)reply;
	const uint8_t *at = reply + sizeof(*head), *end = reply + length;
	struct names names = {0};
	uint32_t used = 0;
	doca_error_t result;

	if (length < sizeof(*head) || (size_t)(end - at) / sizeof(struct steer_trace_hop) < head->nr_hops)
		return refuse(DOCA_ERROR_DRIVER, AT(.rule = "trace"), "the fast path's answer is cut off");
	result = list_pipes(0, STEER_PORT_NONE, &names.infos, &names.nr);
	if (result != DOCA_SUCCESS)
		return result;
	trace->revision = head->revision;
	for (uint32_t i = 0; i < head->nr_hops; i++, at += sizeof(struct steer_trace_hop)) {
		if (trace->nr_hops < trace->max_hops)
			give_hop(&names, &trace->hops[trace->nr_hops], (const struct steer_trace_hop *)at);
		trace->nr_hops++;
	}
	for (uint32_t i = 0; i < head->nr_outcomes; i++) {
		const struct steer_trace_outcome *outcome = (const void *)at;
		uint32_t padded;

		if ((size_t)(end - at) < sizeof(*outcome))
			break;
		padded = (outcome->length + 7) & ~7u;
		if ((size_t)(end - at) - sizeof(*outcome) < padded)
			break;
		give_outcome(trace, outcome, (const uint8_t *)(outcome + 1), &used);
		at += sizeof(*outcome) + padded;
	}
	free(names.infos);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ringfield_trace_frame(uint16_t port, doca_be32_t pkt_meta, const uint8_t *frame,
	uint32_t length, struct doca_flow_ringfield_trace *trace)
{
	struct steer_trace_request *request;
	doca_error_t result = flow_check_state(__func__);
	uint8_t *reply;
	uint32_t got = 0;
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	if (!frame || !length || !trace || (trace->max_hops && !trace->hops) ||
		(trace->max_outcomes && !trace->outcomes) || (trace->buffer_bytes && !trace->buffer))
		return refuse_argument(__func__, "trace", "an argument or an array is NULL");
	if (length > STEER_MSG_MAX / 2)
		return refuse_argument(__func__, "length", "more than %d bytes", STEER_MSG_MAX / 2);
	trace->nr_hops = trace->nr_outcomes = 0;
	request = calloc(1, sizeof(*request) + length);
	reply = malloc(STEER_MSG_MAX);
	if (!request || !reply) {
		free(request);
		free(reply);
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
	}
	request->port = port;
	request->length = length;
	request->pkt_meta = pkt_meta;
	memcpy(request + 1, frame, length);
	flow_lock();
	status = steering_call(flow.client, STEER_OP_TRACE, request, (uint32_t)sizeof(*request) + length,
		reply, STEER_MSG_MAX, &got);
	result = status < 0 ? refuse_steering(status, AT(.rule = "trace"), "tracing a frame")
			    : give_reply(trace, reply, got);
	flow_unlock();
	free(request);
	free(reply);
	return result;
}
