// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// doca_flow_ringfield.h: autonomous connection tracking.

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "autonomous.h"
#include "ct_timers.h"

// --- configuration

static const uint32_t default_ms[DOCA_FLOW_RINGFIELD_CT_TIMER_MAX] = {
#define DEFAULT_MS(timer, seconds) [DOCA_FLOW_RINGFIELD_CT_TIMER_##timer] = 1000 * (seconds),
	CT_TIMER_DEFAULTS(DEFAULT_MS)
#undef DEFAULT_MS
};

_Static_assert((int)DOCA_FLOW_RINGFIELD_CT_TIMER_MAX == (int)STEER_CT_TIMER_MAX &&
		       (int)DOCA_FLOW_RINGFIELD_CT_TIMER_DENIED_OTHER == (int)STEER_CT_TIMER_DENIED_OTHER &&
		       (int)DOCA_FLOW_RINGFIELD_CT_FULL_UNTRACKED == (int)STEER_CT_FULL_UNTRACKED &&
		       (int)DOCA_FLOW_RINGFIELD_CT_PASS_INVALID == (int)STEER_CT_PASS_INVALID &&
		       (int)DOCA_FLOW_RINGFIELD_CT_META_NONE == (int)STEER_CT_META_NONE,
	"numbers are passed on as they are");

void ct_defaults(struct doca_flow_ringfield_ct *ct)
{
	for (unsigned int i = 0; i < DOCA_FLOW_RINGFIELD_CT_TIMER_MAX; i++)
		if (!ct->timeout_ms[i])
			ct->timeout_ms[i] = default_ms[i];
}

void ct_to_wire(const struct doca_flow_ringfield_ct *ct, struct steer_ct_cfg *wire)
{
	*wire = (struct steer_ct_cfg){
		.flags = ct->flags | STEER_CT_AUTONOMOUS,
		.capacity = ct->capacity,
		.denied_capacity = ct->denied_capacity,
		.zone_u32 = ct->zone_u32,
		.src_u32 = ct->src_u32,
		.dst_u32 = ct->dst_u32,
		.full = ct->full,
		.max_half_open = ct->max_half_open,
		.max_new_per_second = ct->max_new_per_second,
		.id_max_connections = ct->id_max_connections,
		.id_max_half_open = ct->id_max_half_open,
		.id_max_new_per_second = ct->id_max_new_per_second,
		.adopt_window_ms = ct->adopt_window_ms,
		.record_interval_ms = ct->record_interval_ms,
		.max_fragments = ct->max_fragments,
		.router_u32 = ct->router_u32,
		.revision = ct->revision,
	};
	memcpy(wire->timeout_ms, ct->timeout_ms, sizeof(wire->timeout_ms));
}

void ct_from_wire(struct doca_flow_ringfield_ct *ct, const struct steer_ct_cfg *wire)
{
	*ct = (struct doca_flow_ringfield_ct){
		.flags = wire->flags & ~(uint32_t)STEER_CT_AUTONOMOUS,
		.capacity = wire->capacity,
		.denied_capacity = wire->denied_capacity,
		.zone_u32 = wire->zone_u32,
		.src_u32 = wire->src_u32,
		.dst_u32 = wire->dst_u32,
		.full = wire->full,
		.max_half_open = wire->max_half_open,
		.max_new_per_second = wire->max_new_per_second,
		.id_max_connections = wire->id_max_connections,
		.id_max_half_open = wire->id_max_half_open,
		.id_max_new_per_second = wire->id_max_new_per_second,
		.adopt_window_ms = wire->adopt_window_ms,
		.record_interval_ms = wire->record_interval_ms,
		.max_fragments = wire->max_fragments,
		.router_u32 = wire->router_u32,
		.revision = wire->revision,
	};
	memcpy(ct->timeout_ms, wire->timeout_ms, sizeof(ct->timeout_ms));
}

doca_error_t doca_flow_ringfield_pipe_ct(const struct doca_flow_pipe *pipe, struct doca_flow_ringfield_ct *ct)
{
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (!pipe || !ct)
		return refuse_argument(__func__, "pipe", "an argument is NULL");
	if (!pipe->has_ct)
		return refuse(DOCA_ERROR_NOT_FOUND, AT(.pipe = pipe->name, .rule = "ct-type"),
			"it is no autonomous CT pipe");
	*ct = pipe->ct;
	return DOCA_SUCCESS;
}

// --- messages

enum { EPOCH_MOST = 8192 }; // identities in one message

doca_error_t doca_flow_ringfield_ct_epoch(
	uint64_t revision, bool all, const uint32_t *identities, uint32_t nr)
{
	struct {
		struct steer_ct_epoch head;
		uint32_t identities[EPOCH_MOST];
	} * message;
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (nr && !identities)
		return refuse_argument(__func__, "identities", "is NULL");
	if (all)
		nr = 0;
	message = malloc(sizeof(*message));
	if (!message)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
	do {
		uint32_t some = nr < EPOCH_MOST ? nr : EPOCH_MOST;
		int status;

		message->head = (struct steer_ct_epoch){
			.revision = revision, .flags = all ? STEER_CT_EPOCH_ALL : 0, .nr_identities = some};
		if (some)
			memcpy(message->identities, identities, some * sizeof(*identities));
		status = steering_call_exact(flow.client, STEER_OP_CT_EPOCH, message,
			(uint32_t)(sizeof(message->head) + some * sizeof(*identities)), NULL, 0);
		if (status < 0)
			result = refuse_steering(status, AT(.rule = "ct-epoch"), "moving the policy epoch");
		identities += some;
		nr -= some;
	} while (nr && result == DOCA_SUCCESS);
	free(message);
	return result;
}

doca_error_t doca_flow_ringfield_ct_adopt(const struct doca_flow_ringfield_ct_adopt *adopt)
{
	struct steer_ct_adopt message = {0};
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	if (!adopt)
		return refuse_argument(__func__, "adopt", "is NULL");
	if (adopt->version && adopt->version != 4 && adopt->version != 6)
		return refuse_argument(__func__, "version", "%u is not 4, 6 or 0", adopt->version);
	memcpy(message.address, adopt->address, sizeof(message.address));
	message.zone = adopt->zone;
	message.window_ms = adopt->window_ms;
	message.version = adopt->version;
	status = steering_call_exact(flow.client, STEER_OP_CT_ADOPT, &message, sizeof(message), NULL, 0);
	return status < 0 ? refuse_steering(status, AT(.rule = "ct-adopt"), "opening a window of adoption")
			  : DOCA_SUCCESS;
}

// --- records

#define SAME_PLACE(member)                                                       \
	(offsetof(struct doca_flow_ringfield_flow_record, member) ==             \
			offsetof(struct steer_flow_record, member) &&            \
		sizeof(((struct doca_flow_ringfield_flow_record *)0)->member) == \
			sizeof(((struct steer_flow_record *)0)->member))
_Static_assert(sizeof(struct doca_flow_ringfield_flow_record) == sizeof(struct steer_flow_record) &&
		       SAME_PLACE(id) && SAME_PLACE(first_ns) && SAME_PLACE(last_ns) && SAME_PLACE(packets) &&
		       SAME_PLACE(bytes) && SAME_PLACE(tag) && SAME_PLACE(revision) && SAME_PLACE(src_ip) &&
		       SAME_PLACE(dst_ip) && SAME_PLACE(zone) && SAME_PLACE(src_identity) &&
		       SAME_PLACE(dst_identity) && SAME_PLACE(src_port) && SAME_PLACE(dst_port) &&
		       SAME_PLACE(src_mac) && SAME_PLACE(dst_mac) && SAME_PLACE(in_port) &&
		       SAME_PLACE(out_port) && SAME_PLACE(vlan) && SAME_PLACE(ip_version) &&
		       SAME_PLACE(protocol) && SAME_PLACE(icmp_type) && SAME_PLACE(icmp_code) &&
		       SAME_PLACE(tcp_flags) && SAME_PLACE(tcp_state) && SAME_PLACE(event) &&
		       SAME_PLACE(create) && SAME_PLACE(close) && SAME_PLACE(drop) && SAME_PLACE(frames) &&
		       SAME_PLACE(boot),
	"records are copied as they are");
_Static_assert((int)DOCA_FLOW_RINGFIELD_FLOW_DENY_UPDATE == (int)STEER_FLOW_DENY_UPDATE &&
		       (int)DOCA_FLOW_RINGFIELD_FLOW_ADOPTED == (int)STEER_FLOW_ADOPTED &&
		       (int)DOCA_FLOW_RINGFIELD_FLOW_CLOSE_REUSED == (int)STEER_FLOW_CLOSE_REUSED &&
		       (int)DOCA_FLOW_RINGFIELD_TCP_SYN_SENT2 == (int)STEER_CT_TCP_SYN_SENT2,
	"and so are their numbers");

doca_error_t doca_flow_ringfield_ct_list(
	uint64_t *cursor, struct doca_flow_ringfield_flow_record *records, uint32_t max, uint32_t *nr)
{
	struct steer_ct_list request = {0};
	struct steer_ct_list_reply *reply;
	doca_error_t result = flow_check_state(__func__);
	uint32_t length = 0;
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	if (!cursor || !records || !max || !nr)
		return refuse_argument(__func__, "records", "an argument is NULL or zero");
	*nr = 0;
	reply = malloc(STEER_MSG_MAX);
	if (!reply)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
	do {
		request.cursor = *cursor;
		request.max = max - *nr;
		status = steering_call(flow.client, STEER_OP_CT_LIST, &request, sizeof(request), reply,
			STEER_MSG_MAX, &length);
		if (status < 0) {
			result = refuse_steering(status, AT(.rule = "ct-list"), "listing connections");
			break;
		}
		if (length < sizeof(*reply) || reply->nr > max - *nr ||
			length - sizeof(*reply) < reply->nr * sizeof(*records)) {
			result = refuse(DOCA_ERROR_DRIVER, AT(.rule = "ct-list"),
				"the fast path's answer is cut off");
			break;
		}
		memcpy(records + *nr, reply + 1, reply->nr * sizeof(*records));
		*nr += reply->nr;
		*cursor = reply->cursor;
	} while (*cursor && *nr < max && reply->nr);
	free(reply);
	return result;
}

doca_error_t doca_flow_ringfield_flow_records(struct doca_flow_ringfield_flow_record *records, uint32_t max,
	uint64_t timeout_us, uint32_t *nr, uint64_t *lost)
{
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	if (!records || !max || !nr || !lost)
		return refuse_argument(__func__, "records", "an argument is NULL or zero");
	*nr = 0;
	status = steering_flow_receive(flow.client, (struct steer_flow_record *)records, max);
	if (!status && timeout_us) {
		status = steering_wait(flow.client, STEERING_WAIT_FLOWS, 0, (int64_t)timeout_us);
		if (status >= 0 || status == -EINTR)
			status = steering_flow_receive(flow.client, (struct steer_flow_record *)records, max);
	}
	if (status == -ENODATA)
		return refuse(DOCA_ERROR_BAD_STATE, AT(.field = "flow_ring_bytes", .rule = "flow-ring"),
			"%s: attach with flow_ring_bytes to get records of connections", __func__);
	if (status < 0)
		return refuse_steering(status, NULL, "receiving flow records");
	*nr = (uint32_t)status;
	*lost = steering_flows_lost(flow.client);
	return DOCA_SUCCESS;
}

// --- statistics

doca_error_t doca_flow_ringfield_ct_stats_get(struct doca_flow_ringfield_ct_stats *stats)
{
	struct stats_worker *sum;
	doca_error_t result = flow_check_state(__func__);
	int status;

	_Static_assert(sizeof(*stats) == offsetof(struct stats_ct, pad) &&
			       offsetof(struct doca_flow_ringfield_ct_stats, handed_over) ==
				       offsetof(struct stats_ct, handed_over),
		"they are copied as they are");
	if (result != DOCA_SUCCESS)
		return result;
	if (!stats)
		return refuse_argument(__func__, "stats", "is NULL");
	if (!steering_stats(flow.client))
		return refuse_steering(-errno, NULL, "mapping the statistics");
	sum = malloc(sizeof(*sum));
	if (!sum)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
	status = steering_stats_total(flow.client, sum);
	if (status >= 0)
		memcpy(stats, &sum->ct, sizeof(*stats));
	free(sum);
	return status < 0 ? refuse_steering(status, NULL, "reading the statistics") : DOCA_SUCCESS;
}
