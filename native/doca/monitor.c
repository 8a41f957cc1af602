// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <string.h>

#include "monitor.h"
#include "shared.h"

doca_error_t meter_to_wire(const struct doca_flow_resource_meter_cfg *cfg, struct steer_meter *meter)
{
	memset(meter, 0, sizeof(*meter));
	meter->packets = cfg->limit_type == DOCA_FLOW_METER_LIMIT_TYPE_PACKETS;
	meter->color_aware = cfg->color_mode == DOCA_FLOW_METER_COLOR_MODE_AWARE;
	meter->cir = cfg->cir;
	meter->cbs = cfg->cbs;
	switch (cfg->alg) {
	case DOCA_FLOW_METER_ALGORITHM_TYPE_RFC2697:
		meter->algorithm = STEER_METER_RFC2697;
		meter->ebs = cfg->rfc2697.ebs;
		break;
	case DOCA_FLOW_METER_ALGORITHM_TYPE_RFC2698:
		meter->algorithm = STEER_METER_RFC2698;
		meter->eir = cfg->rfc2698.pir;
		meter->ebs = cfg->rfc2698.pbs;
		if (meter->eir < meter->cir)
			return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "pir", .rule = "meter-rates"),
				"the peak rate is below the committed rate");
		break;
	case DOCA_FLOW_METER_ALGORITHM_TYPE_RFC4115:
		meter->algorithm = STEER_METER_RFC4115;
		meter->eir = cfg->rfc4115.eir;
		meter->ebs = cfg->rfc4115.ebs;
		break;
	default:
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "alg", .rule = "meter-algorithm"),
			"%d is no meter algorithm", (int)cfg->alg);
	}
	if (!meter->cir || !meter->cbs)
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "cir", .rule = "meter-rates"),
			"the committed rate and burst must not be zero");
	return DOCA_SUCCESS;
}

static bool meter_open(const struct doca_flow_monitor *monitor)
{
	return monitor->non_shared_meter.cir == UINT64_MAX && monitor->non_shared_meter.cbs == UINT64_MAX;
}

static doca_error_t simple_meter(
	const char *pipe, const struct doca_flow_monitor *monitor, struct steer_meter *meter)
{
	memset(meter, 0, sizeof(*meter));
	meter->algorithm = STEER_METER_SIMPLE;
	meter->packets = monitor->non_shared_meter.limit_type == DOCA_FLOW_METER_LIMIT_TYPE_PACKETS;
	meter->cir = monitor->non_shared_meter.cir;
	meter->cbs = monitor->non_shared_meter.cbs;
	if (!meter->cir || !meter->cbs)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe, .field = "non_shared_meter", .rule = "meter-rates"),
			"the committed rate and burst must not be zero");
	return DOCA_SUCCESS;
}

static doca_error_t check_types(const char *pipe, const struct doca_flow_monitor *monitor)
{
	if ((unsigned int)monitor->counter_type > DOCA_FLOW_RESOURCE_TYPE_NON_SHARED ||
		(unsigned int)monitor->meter_type > DOCA_FLOW_RESOURCE_TYPE_NON_SHARED)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe, .field = "monitor", .rule = "monitor-type"),
			"counter_type or meter_type is no resource type");
	return DOCA_SUCCESS;
}

doca_error_t monitor_compile(const char *pipe, enum doca_flow_pipe_type type,
	const struct doca_flow_monitor *monitor, struct steer_monitor *out)
{
	doca_error_t result = check_types(pipe, monitor);

	memset(out, 0, sizeof(*out));
	out->shared_counter = out->shared_meter = UINT32_MAX;
	if (result != DOCA_SUCCESS)
		return result;
	if (type == DOCA_FLOW_PIPE_LPM || type == DOCA_FLOW_PIPE_ACL) {
		if (monitor->meter_type != DOCA_FLOW_RESOURCE_TYPE_NONE)
			return refuse(DOCA_ERROR_NOT_SUPPORTED,
				AT(.pipe = pipe, .field = "monitor.meter_type", .rule = "lpm-acl-monitor"),
				"LPM and ACL pipes have no meters");
		if (monitor->counter_type == DOCA_FLOW_RESOURCE_TYPE_SHARED)
			return refuse(DOCA_ERROR_NOT_SUPPORTED,
				AT(.pipe = pipe, .field = "monitor.counter_type", .rule = "lpm-acl-monitor"),
				"LPM and ACL pipes have non-shared counters only");
	}
	if (monitor->counter_type == DOCA_FLOW_RESOURCE_TYPE_NON_SHARED) {
		out->flags |= STEER_MON_COUNTER;
	} else if (monitor->counter_type == DOCA_FLOW_RESOURCE_TYPE_SHARED) {
		out->flags |= STEER_MON_SHARED_COUNTER;
		out->shared_counter = monitor->shared_counter.shared_counter_id;
		if (out->shared_counter == UINT32_MAX)
			out->flags |= STEER_MON_ENTRY_COUNTER_ID;
		else
			result = shared_check(pipe, DOCA_FLOW_SHARED_RESOURCE_COUNTER, out->shared_counter);
	}
	if (result == DOCA_SUCCESS && monitor->meter_type == DOCA_FLOW_RESOURCE_TYPE_NON_SHARED) {
		out->flags |= STEER_MON_METER;
		if (meter_open(monitor)) {
			out->flags |= STEER_MON_ENTRY_METER;
			out->meter.packets =
				monitor->non_shared_meter.limit_type == DOCA_FLOW_METER_LIMIT_TYPE_PACKETS;
		} else {
			result = simple_meter(pipe, monitor, &out->meter);
		}
	} else if (result == DOCA_SUCCESS && monitor->meter_type == DOCA_FLOW_RESOURCE_TYPE_SHARED) {
		out->flags |= STEER_MON_SHARED_METER;
		out->shared_meter = monitor->shared_meter.shared_meter_id;
		out->init_color = (uint8_t)monitor->shared_meter.meter_init_color;
		if (out->shared_meter == UINT32_MAX)
			out->flags |= STEER_MON_ENTRY_METER_ID;
		else
			result = shared_check(pipe, DOCA_FLOW_SHARED_RESOURCE_METER, out->shared_meter);
	}
	if (monitor->aging_sec) {
		out->flags |= STEER_MON_AGING;
		out->aging_sec = monitor->aging_sec;
		if (monitor->aging_sec == UINT32_MAX)
			out->flags |= STEER_MON_ENTRY_AGING;
	}
	return result;
}

static doca_error_t needs(const struct doca_flow_pipe *pipe, const char *what)
{
	return refuse(DOCA_ERROR_INVALID_VALUE,
		AT(.pipe = pipe->name, .field = what, .rule = "monitor-missing"),
		"the pipe leaves this to its entries, but the entry's monitor does not give it");
}

static doca_error_t entry_counter(const struct doca_flow_pipe *pipe, const struct doca_flow_monitor *monitor,
	struct steer_monitor *out, bool *present)
{
	const uint32_t flags = pipe->wire_monitor.flags;

	if (flags & STEER_MON_ENTRY_COUNTER_ID) {
		if (!monitor || monitor->shared_counter.shared_counter_id == UINT32_MAX)
			return needs(pipe, "shared_counter_id");
		out->shared_counter = monitor->shared_counter.shared_counter_id;
		*present = true;
		return shared_check(pipe->name, DOCA_FLOW_SHARED_RESOURCE_COUNTER, out->shared_counter);
	}
	if (flags & (STEER_MON_COUNTER | STEER_MON_SHARED_COUNTER) || !monitor)
		return DOCA_SUCCESS;
	if (monitor->counter_type == DOCA_FLOW_RESOURCE_TYPE_NON_SHARED) {
		out->flags |= STEER_MON_COUNTER;
		*present = true;
	} else if (monitor->counter_type == DOCA_FLOW_RESOURCE_TYPE_SHARED) {
		out->flags |= STEER_MON_SHARED_COUNTER;
		out->shared_counter = monitor->shared_counter.shared_counter_id;
		*present = true;
		return shared_check(pipe->name, DOCA_FLOW_SHARED_RESOURCE_COUNTER, out->shared_counter);
	}
	return DOCA_SUCCESS;
}

static doca_error_t entry_meter(const struct doca_flow_pipe *pipe, const struct doca_flow_monitor *monitor,
	struct steer_monitor *out, bool *present)
{
	const uint32_t flags = pipe->wire_monitor.flags;

	if (flags & STEER_MON_ENTRY_METER) {
		if (!monitor)
			return needs(pipe, "non_shared_meter");
		*present = true;
		return simple_meter(pipe->name, monitor, &out->meter);
	}
	if (flags & STEER_MON_ENTRY_METER_ID) {
		if (!monitor || monitor->shared_meter.shared_meter_id == UINT32_MAX)
			return needs(pipe, "shared_meter_id");
		*present = true;
		out->shared_meter = monitor->shared_meter.shared_meter_id;
		out->init_color = (uint8_t)monitor->shared_meter.meter_init_color;
		return shared_check(pipe->name, DOCA_FLOW_SHARED_RESOURCE_METER, out->shared_meter);
	}
	if (flags & (STEER_MON_METER | STEER_MON_SHARED_METER) || !monitor)
		return DOCA_SUCCESS;
	if (monitor->meter_type == DOCA_FLOW_RESOURCE_TYPE_NON_SHARED) {
		out->flags |= STEER_MON_METER;
		*present = true;
		return simple_meter(pipe->name, monitor, &out->meter);
	}
	if (monitor->meter_type == DOCA_FLOW_RESOURCE_TYPE_SHARED) {
		out->flags |= STEER_MON_SHARED_METER;
		out->shared_meter = monitor->shared_meter.shared_meter_id;
		out->init_color = (uint8_t)monitor->shared_meter.meter_init_color;
		*present = true;
		return shared_check(pipe->name, DOCA_FLOW_SHARED_RESOURCE_METER, out->shared_meter);
	}
	return DOCA_SUCCESS;
}

doca_error_t monitor_of_entry(const struct doca_flow_pipe *pipe, const struct doca_flow_monitor *monitor,
	struct steer_monitor *out, bool *present)
{
	doca_error_t result;

	*present = false;
	*out = pipe->wire_monitor;
	out->flags &= ~(uint32_t)(STEER_MON_ENTRY_COUNTER_ID | STEER_MON_ENTRY_METER |
				  STEER_MON_ENTRY_METER_ID | STEER_MON_ENTRY_AGING);
	result = entry_counter(pipe, monitor, out, present);
	if (result == DOCA_SUCCESS)
		result = entry_meter(pipe, monitor, out, present);
	if (result != DOCA_SUCCESS)
		return result;
	if (pipe->wire_monitor.flags & STEER_MON_ENTRY_AGING) {
		out->aging_sec = monitor ? monitor->aging_sec : 0;
		*present = true;
	} else if (!(pipe->wire_monitor.flags & STEER_MON_AGING) && monitor && monitor->aging_sec) {
		out->flags |= STEER_MON_AGING;
		out->aging_sec = monitor->aging_sec;
		*present = true;
	}
	if (!out->aging_sec)
		out->flags &= ~(uint32_t)STEER_MON_AGING;
	return DOCA_SUCCESS;
}
