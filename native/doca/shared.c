// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Shared resources. Ids are those of the program; in port resource mode they are handed out from one space for all ports,
// so that an id means the same in the fast path, which knows them per session. RSS configurations never leave this
// library: a forward that names one is sent as a plain RSS forward.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "monitor.h"
#include "shared.h"

enum { PORT_MODE_IDS = 4096 }; // per kind

static const char *const kinds[FLOW_SHARED_TYPES] = {
	[DOCA_FLOW_SHARED_RESOURCE_METER] = "meter",
	[DOCA_FLOW_SHARED_RESOURCE_COUNTER] = "counter",
	[DOCA_FLOW_SHARED_RESOURCE_RSS] = "rss",
	[DOCA_FLOW_SHARED_RESOURCE_PSP] = "psp",
	[DOCA_FLOW_SHARED_RESOURCE_ENCAP] = "encap",
	[DOCA_FLOW_SHARED_RESOURCE_DECAP] = "decap",
	[DOCA_FLOW_SHARED_RESOURCE_IPSEC_SA] = "ipsec_sa",
};

// enum steer_shared_type + 1; 0 = not known to the fast path.
static const uint8_t wire_kinds[FLOW_SHARED_TYPES] = {
	[DOCA_FLOW_SHARED_RESOURCE_METER] = STEER_SHARED_METER + 1,
	[DOCA_FLOW_SHARED_RESOURCE_COUNTER] = STEER_SHARED_COUNTER + 1,
	[DOCA_FLOW_SHARED_RESOURCE_ENCAP] = STEER_SHARED_ENCAP + 1,
	[DOCA_FLOW_SHARED_RESOURCE_DECAP] = STEER_SHARED_DECAP + 1,
};

doca_error_t shared_init(const struct doca_flow_cfg *cfg)
{
	for (unsigned int type = 0; type < FLOW_SHARED_TYPES; type++) {
		flow.nr_shared[type] = cfg->resource_mode == DOCA_FLOW_RESOURCE_MODE_PORT
					       ? (uint32_t)PORT_MODE_IDS
					       : cfg->nr_shared[type];
		if (!flow.nr_shared[type])
			continue;
		flow.shared[type] = calloc(flow.nr_shared[type], sizeof(*flow.shared[type]));
		if (!flow.shared[type])
			return refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
	}
	return DOCA_SUCCESS;
}

void shared_fini(void)
{
	for (unsigned int type = 0; type < FLOW_SHARED_TYPES; type++) {
		for (uint32_t id = 0; type == DOCA_FLOW_SHARED_RESOURCE_RSS && id < flow.nr_shared[type];
			id++)
			free(flow.shared[type][id].cfg.rss_cfg.queues_array);
		free(flow.shared[type]);
		flow.shared[type] = NULL;
		flow.nr_shared[type] = 0;
	}
}

void shared_unbind(const void *object)
{
	for (unsigned int type = 0; type < FLOW_SHARED_TYPES; type++)
		for (uint32_t id = 0; id < flow.nr_shared[type]; id++) {
			struct shared_resource *shared = &flow.shared[type][id];

			if (!shared->bound || shared->bound_to != object)
				continue;
			shared->bound = false;
			shared->bound_to = NULL;
			if (flow.cfg.unbind_cb)
				flow.cfg.unbind_cb(type, id, (void *)object);
		}
}

static doca_error_t check_kind(enum doca_flow_shared_resource_type type)
{
	if ((unsigned int)type >= FLOW_SHARED_TYPES)
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "type", .rule = "shared-kind"),
			"%u is no kind of shared resource", (unsigned int)type);
	if (!wire_kinds[type] && type != DOCA_FLOW_SHARED_RESOURCE_RSS)
		return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = kinds[type], .rule = "shared-kind"),
			"Ringfield has no IPsec and no PSP");
	return DOCA_SUCCESS;
}

static doca_error_t check_id(const char *pipe, enum doca_flow_shared_resource_type type, uint32_t id)
{
	doca_error_t result = check_kind(type);

	if (result == DOCA_SUCCESS && id >= flow.nr_shared[type])
		result = refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe, .field = kinds[type], .rule = "shared-reserve"),
			"shared %s %u is beyond the %u reserved", kinds[type], id, flow.nr_shared[type]);
	return result;
}

doca_error_t shared_check(const char *pipe, enum doca_flow_shared_resource_type type, uint32_t id)
{
	doca_error_t result = check_id(pipe, type, id);

	if (result != DOCA_SUCCESS)
		return result;
	if (!flow.shared[type][id].configured)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe, .field = kinds[type], .rule = "shared-configured"),
			"shared %s %u has no configuration (doca_flow_shared_resource_set_cfg)", kinds[type],
			id);
	if (!flow.shared[type][id].bound)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe, .field = kinds[type], .rule = "shared-bound"),
			"shared %s %u is not bound (doca_flow_shared_resources_bind)", kinds[type], id);
	return DOCA_SUCCESS;
}

doca_error_t shared_get_cfg(const char *pipe, enum doca_flow_shared_resource_type type, uint32_t id,
	struct doca_flow_shared_resource_cfg *cfg)
{
	doca_error_t result = shared_check(pipe, type, id);

	if (result == DOCA_SUCCESS)
		*cfg = flow.shared[type][id].cfg;
	return result;
}

// --- configuration

static doca_error_t keep_rss(struct shared_resource *shared, const struct doca_flow_resource_rss_cfg *rss)
{
	uint16_t *queues;

	if (rss->nr_queues <= 0 || rss->nr_queues > 64 || !rss->queues_array)
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "rss", .rule = "rss-queues"),
			"an RSS configuration has 1 to 64 queues");
	queues = malloc((size_t)rss->nr_queues * sizeof(*queues));
	if (!queues)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
	memcpy(queues, rss->queues_array, (size_t)rss->nr_queues * sizeof(*queues));
	free(shared->cfg.rss_cfg.queues_array);
	shared->cfg.rss_cfg = *rss;
	shared->cfg.rss_cfg.queues_array = queues;
	return DOCA_SUCCESS;
}

static doca_error_t fill_set(struct steer_shared_set *set, enum doca_flow_shared_resource_type type,
	const struct doca_flow_shared_resource_cfg *cfg)
{
	switch (type) {
	case DOCA_FLOW_SHARED_RESOURCE_METER:
		return meter_to_wire(&cfg->meter_cfg, &set->meter);
	case DOCA_FLOW_SHARED_RESOURCE_ENCAP:
		set->flags = cfg->encap_cfg.is_l2 ? STEER_ACT_L2 : 0;
		return encap_build(NULL, &cfg->encap_cfg, set->data, &set->data_length, &set->tunnel);
	case DOCA_FLOW_SHARED_RESOURCE_DECAP:
		set->flags = cfg->decap_cfg.is_l2 ? STEER_ACT_L2 : 0;
		if (!cfg->decap_cfg.is_l2)
			decap_build(&cfg->decap_cfg, set->data, &set->data_length);
		return DOCA_SUCCESS;
	default:
		return DOCA_SUCCESS;
	}
}

static doca_error_t set_cfg(const char *function, enum doca_flow_shared_resource_type type, uint32_t id,
	const struct doca_flow_shared_resource_cfg *cfg)
{
	struct steer_shared_set set = {.id = id};
	doca_error_t result = flow_check_state(function);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	if (!cfg)
		return refuse_argument(function, "cfg", "is NULL");
	result = check_id(NULL, type, id);
	if (result != DOCA_SUCCESS)
		return result;
	flow_lock();
	if (type == DOCA_FLOW_SHARED_RESOURCE_RSS) {
		result = keep_rss(&flow.shared[type][id], &cfg->rss_cfg);
	} else {
		set.type = wire_kinds[type] - 1u;
		result = fill_set(&set, type, cfg);
		if (result == DOCA_SUCCESS) {
			status = steering_call_exact(
				flow.client, STEER_OP_SHARED_SET, &set, sizeof(set), NULL, 0);
			if (status < 0)
				result = refuse_steering(
					status, AT(.field = kinds[type]), "configuring a shared resource");
			else
				flow.shared[type][id].cfg = *cfg;
		}
	}
	if (result == DOCA_SUCCESS)
		flow.shared[type][id].configured = true;
	flow_unlock();
	return result;
}

doca_error_t doca_flow_shared_resource_set_cfg(
	enum doca_flow_shared_resource_type type, uint32_t id, struct doca_flow_shared_resource_cfg *cfg)
{
	return set_cfg(__func__, type, id, cfg);
}

doca_error_t doca_flow_port_shared_resource_set_cfg(struct doca_flow_port *port,
	enum doca_flow_shared_resource_type type, uint32_t shared_resource_id,
	struct doca_flow_shared_resource_cfg *cfg)
{
	if (!port)
		return refuse_argument(__func__, "port", "is NULL");
	return set_cfg(__func__, type, shared_resource_id, cfg);
}

doca_error_t doca_flow_shared_resources_bind(enum doca_flow_shared_resource_type type, uint32_t *res_array,
	uint32_t res_array_len, void *bindable_obj)
{
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (!res_array || !res_array_len)
		return refuse_argument(__func__, "res_array", "is NULL or empty");
	flow_lock();
	for (uint32_t i = 0; i < res_array_len && result == DOCA_SUCCESS; i++) {
		result = check_id(NULL, type, res_array[i]);
		if (result == DOCA_SUCCESS && flow.shared[type][res_array[i]].bound &&
			flow.shared[type][res_array[i]].bound_to != bindable_obj)
			result = refuse(DOCA_ERROR_ALREADY_EXIST,
				AT(.field = kinds[type], .rule = "shared-bound"),
				"shared %s %u is bound to something else already", kinds[type], res_array[i]);
	}
	for (uint32_t i = 0; i < res_array_len && result == DOCA_SUCCESS; i++) {
		flow.shared[type][res_array[i]].bound = true;
		flow.shared[type][res_array[i]].bound_to = bindable_obj;
	}
	flow_unlock();
	return result;
}

// --- port resource mode

static const uint8_t port_resource[FLOW_SHARED_TYPES] = {
	[DOCA_FLOW_SHARED_RESOURCE_METER] = DOCA_FLOW_RESOURCE_METER,
	[DOCA_FLOW_SHARED_RESOURCE_COUNTER] = DOCA_FLOW_RESOURCE_COUNTER,
	[DOCA_FLOW_SHARED_RESOURCE_RSS] = DOCA_FLOW_RESOURCE_RSS,
	[DOCA_FLOW_SHARED_RESOURCE_PSP] = DOCA_FLOW_RESOURCE_PSP,
	[DOCA_FLOW_SHARED_RESOURCE_ENCAP] = DOCA_FLOW_RESOURCE_ENCAP,
	[DOCA_FLOW_SHARED_RESOURCE_DECAP] = DOCA_FLOW_RESOURCE_DECAP,
	[DOCA_FLOW_SHARED_RESOURCE_IPSEC_SA] = DOCA_FLOW_RESOURCE_IPSEC_SA,
};

static doca_error_t check_port_mode(const char *function, const struct doca_flow_port *port)
{
	doca_error_t result = flow_check_state(function);

	if (result == DOCA_SUCCESS && !port)
		result = refuse_argument(function, "port", "is NULL");
	if (result == DOCA_SUCCESS && flow.cfg.resource_mode != DOCA_FLOW_RESOURCE_MODE_PORT)
		result = refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "resource-mode"),
			"%s() is for port resource mode", function);
	return result;
}

doca_error_t doca_flow_port_shared_resource_get(
	struct doca_flow_port *port, enum doca_flow_shared_resource_type type, uint32_t *shared_resource_id)
{
	doca_error_t result = check_port_mode(__func__, port);

	if (result == DOCA_SUCCESS)
		result = check_kind(type);
	if (result != DOCA_SUCCESS)
		return result;
	if (!shared_resource_id)
		return refuse_argument(__func__, "shared_resource_id", "is NULL");
	result = DOCA_ERROR_EMPTY;
	flow_lock();
	if (port->shared_taken[type] < port->nr_resources[port_resource[type]])
		for (uint32_t id = 0; id < flow.nr_shared[type] && result != DOCA_SUCCESS; id++)
			if (!flow.shared[type][id].bound) {
				flow.shared[type][id].bound = true;
				flow.shared[type][id].bound_to = port;
				port->shared_taken[type]++;
				*shared_resource_id = id;
				result = DOCA_SUCCESS;
			}
	flow_unlock();
	if (result != DOCA_SUCCESS)
		return refuse(DOCA_ERROR_EMPTY, AT(.field = kinds[type], .rule = "shared-reserve"),
			"port %u has no free %s: %u are reserved", port->id, kinds[type],
			port->nr_resources[port_resource[type]]);
	return result;
}

doca_error_t doca_flow_port_shared_resource_put(
	struct doca_flow_port *port, enum doca_flow_shared_resource_type type, uint32_t shared_resource_id)
{
	doca_error_t result = check_port_mode(__func__, port);
	struct steer_shared_ref ref = {.id = shared_resource_id};
	int status = 0;

	if (result == DOCA_SUCCESS)
		result = check_id(NULL, type, shared_resource_id);
	if (result != DOCA_SUCCESS)
		return result;
	flow_lock();
	if (!flow.shared[type][shared_resource_id].bound ||
		flow.shared[type][shared_resource_id].bound_to != port) {
		result = refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = kinds[type], .rule = "shared-bound"),
			"port %u has not got %s %u", port->id, kinds[type], shared_resource_id);
	} else if (wire_kinds[type] && flow.shared[type][shared_resource_id].configured) {
		ref.type = wire_kinds[type] - 1u;
		status = steering_call_exact(flow.client, STEER_OP_SHARED_REMOVE, &ref, sizeof(ref), NULL, 0);
		if (status < 0)
			result = refuse_steering(
				status, AT(.field = kinds[type]), "putting a shared resource back");
	}
	if (result == DOCA_SUCCESS) {
		flow.shared[type][shared_resource_id].bound = false;
		flow.shared[type][shared_resource_id].bound_to = NULL;
		flow.shared[type][shared_resource_id].configured = false;
		port->shared_taken[type]--;
	}
	flow_unlock();
	return result;
}

// --- queries

static doca_error_t query_one(uint32_t id, struct doca_flow_resource_query *data)
{
	struct steer_shared_ref ref = {.type = STEER_SHARED_COUNTER, .id = id};
	struct steer_shared_info info;
	struct stats_counter sum;
	int status;

	memset(data, 0, sizeof(*data));
	status =
		steering_call_exact(flow.client, STEER_OP_SHARED_GET, &ref, sizeof(ref), &info, sizeof(info));
	if (status < 0)
		return refuse_steering(status, AT(.field = "counter"), "querying a shared counter");
	if (info.counter == STEER_COUNTER_NONE)
		return DOCA_SUCCESS;
	if (!steering_stats(flow.client))
		return refuse_steering(-ENOTCONN, NULL, "mapping the statistics");
	status = steering_stats_counter(flow.client, info.counter, &sum);
	if (status < 0)
		return refuse_steering(status, NULL, "reading a counter");
	data->counter.total_pkts = sum.packets;
	data->counter.total_bytes = sum.bytes;
	return DOCA_SUCCESS;
}

static doca_error_t query(const char *function, enum doca_flow_shared_resource_type type, uint32_t *res_array,
	struct doca_flow_resource_query *data_array, uint32_t array_len)
{
	doca_error_t result = flow_check_state(function);

	if (result != DOCA_SUCCESS)
		return result;
	if (!res_array || !data_array || !array_len)
		return refuse_argument(function, "res_array", "an argument is NULL or zero");
	if (type != DOCA_FLOW_SHARED_RESOURCE_COUNTER)
		return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "type", .rule = "shared-query"),
			"only shared counters can be queried");
	for (uint32_t i = 0; i < array_len && result == DOCA_SUCCESS; i++) {
		result = check_id(NULL, type, res_array[i]);
		if (result == DOCA_SUCCESS)
			result = query_one(res_array[i], &data_array[i]);
	}
	return result;
}

doca_error_t doca_flow_shared_resources_query(enum doca_flow_shared_resource_type type, uint32_t *res_array,
	struct doca_flow_resource_query *data_array, uint32_t array_len)
{
	return query(__func__, type, res_array, data_array, array_len);
}

doca_error_t doca_flow_port_shared_resources_query(struct doca_flow_port *port,
	enum doca_flow_shared_resource_type type, uint32_t *res_array,
	struct doca_flow_resource_query *data_array, uint32_t array_len)
{
	if (!port)
		return refuse_argument(__func__, "port", "is NULL");
	return query(__func__, type, res_array, data_array, array_len);
}
