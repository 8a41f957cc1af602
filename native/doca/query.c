// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Counters: read from the statistics that the fast path shares, without asking it.

#include <errno.h>
#include <string.h>

#include "query.h"

doca_error_t query_slot(uint32_t slot, struct doca_flow_resource_query *data)
{
	struct stats_counter sum;
	int status;

	memset(data, 0, sizeof(*data));
	if (slot == STEER_COUNTER_NONE)
		return DOCA_SUCCESS;
	if (!steering_stats(flow.client))
		return refuse_steering(-errno, NULL, "mapping the statistics");
	status = steering_stats_counter(flow.client, slot, &sum);
	if (status < 0)
		return refuse_steering(status, NULL, "reading a counter");
	data->counter.total_pkts = sum.packets;
	data->counter.total_bytes = sum.bytes;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_resource_query_entry(
	struct doca_flow_pipe_entry *entry, struct doca_flow_resource_query *data)
{
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (!entry || !data)
		return refuse_argument(__func__, "entry", "an argument is NULL");
	if (entry->state != ENTRY_ALIVE)
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "entry", .rule = "entry-alive"),
			"the entry was removed, failed, or its pipe is gone");
	if (entry->pipe->conns)
		return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.pipe = entry->pipe->name, .rule = "pipe-type"),
			"connections are queried by doca_flow_ct_query_entry()");
	if (entry->shared_counter != STEER_COUNTER_NONE)
		return doca_flow_shared_resources_query(
			DOCA_FLOW_SHARED_RESOURCE_COUNTER, &entry->shared_counter, data, 1);
	if (entry->counter == STEER_COUNTER_NONE && entry->status == DOCA_FLOW_ENTRY_STATUS_SUCCESS) {
		result = lint(AT(.pipe = entry->pipe->name, .field = "monitor", .rule = "counter-unbound"),
			"entry %u has no counter: its query is always zero", entry->id);
		if (result != DOCA_SUCCESS)
			return result;
	}
	return query_slot(entry->counter, data);
}

doca_error_t doca_flow_resource_query_pipe_miss(
	struct doca_flow_pipe *pipe, struct doca_flow_resource_query *data)
{
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (!pipe || !data)
		return refuse_argument(__func__, "pipe", "an argument is NULL");
	if (!pipe->has_miss_counter)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "miss_counter", .rule = "miss-counter"),
			"the pipe was created without a miss counter (doca_flow_pipe_cfg_set_miss_counter)");
	return query_slot(pipe->miss_counter, data);
}
