// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "complete.h"
#include "entry.h"
#include "flow.h"
#include "pipe.h"
#include "query.h"
#include "shared.h"

#define NEED(argument)                                                          \
	do {                                                                    \
		if (!(argument))                                                \
			return refuse_argument(__func__, #argument, "is NULL"); \
	} while (0)

struct doca_flow_port *port_by_id(uint16_t id)
{
	struct doca_flow_port *port;

	TAILQ_FOREACH (port, &flow.ports, link) {
		if (port->id == id)
			return port;
	}
	return NULL;
}

// The switch port that judges a representor's packets: of the same card, else the one that started first.
static struct doca_flow_port *find_manager(const struct doca_flow_port_cfg *cfg)
{
	struct doca_flow_port *port, *first = NULL;

	TAILQ_FOREACH (port, &flow.ports, link) {
		if (!port->dev || port->manager != port)
			continue;
		if (!first)
			first = port;
		if (cfg->rep->info.parent.name[0] && !strcmp(port->info.name, cfg->rep->info.parent.name))
			return port;
	}
	return cfg->rep->info.parent.name[0] ? NULL : first;
}

static doca_error_t check_start(const struct doca_flow_port_cfg *cfg, struct doca_flow_port **manager)
{
	doca_error_t result = flow_check_state("doca_flow_port_start");

	*manager = NULL;
	if (result != DOCA_SUCCESS)
		return result;
	if (flow.reader)
		return refuse(
			DOCA_ERROR_NOT_PERMITTED, AT(.rule = "reader"), "a reader session owns no ports");
	if (!cfg->has_id)
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "port_id", .rule = "port-id"),
			"port ID is mandatory");
	if (!cfg->dev && !cfg->rep)
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "dev", .rule = "port-device"),
			"either doca_dev or doca_dev_rep must be provided");
	if (cfg->dev && cfg->rep)
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "dev", .rule = "port-device"),
			"a port is on a doca_dev or on a doca_dev_rep, not on both");
	if (port_by_id(cfg->id))
		return refuse(DOCA_ERROR_ALREADY_EXIST, AT(.field = "port_id", .rule = "port-id"),
			"a port with id %u is started", cfg->id);
	if (cfg->rep && !flow.switch_mode)
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "dev_rep", .rule = "vnf-representor"),
			"port representor cannot be created in VNF mode");
	if (cfg->rep) {
		*manager = find_manager(cfg);
		if (!*manager)
			return refuse(DOCA_ERROR_BAD_STATE,
				AT(.field = "dev_rep", .rule = "switch-port-first"),
				"the switch port of representor %s must start first",
				cfg->rep->info.port.name);
	}
	return DOCA_SUCCESS;
}

// A resumed session's ports are started already, with their pipes. Takes one over, if it is the same port to packets.
static doca_error_t resume_in_fast_path(struct doca_flow_port *port, uint16_t index)
{
	struct steer_port_info *infos;
	unsigned int nr;
	bool found = false;
	doca_error_t result = flow_port_infos(flow.client, &infos, &nr);

	if (result != DOCA_SUCCESS)
		return result;
	for (unsigned int i = 0; i < nr && !found; i++) {
		found = infos[i].index == index && infos[i].doca_port_id == port->id;
		if (found)
			port->info = infos[i];
	}
	if (!found)
		result = refuse(DOCA_ERROR_ALREADY_EXIST, AT(.field = "port_id", .rule = "port-resumed"),
			"the session has started this port already, with another id than %u", port->id);
	free(infos);
	return result;
}

static doca_error_t start_in_fast_path(struct doca_flow_port *port, uint16_t index)
{
	struct steer_port_start start = {
		.port = index,
		.doca_port_id = port->id,
		.root_port = port->manager == port ? index : port->manager->index,
		.nr_rss_queues = flow.cfg.pipe_queues,
		.default_miss = STEER_MISS_RSS,
		.has_rss_key = flow.cfg.has_rss_key,
	};
	doca_error_t result = DOCA_SUCCESS;
	int status;

	memcpy(start.rss_key, flow.cfg.rss_key, sizeof(start.rss_key));
	status = steering_call_exact(
		flow.client, STEER_OP_PORT_START, &start, sizeof(start), &port->info, sizeof(port->info));
	if (status == -EALREADY && steering_session(flow.client)->resumed)
		result = resume_in_fast_path(port, index);
	else if (status == -EBUSY || status == -EALREADY)
		return refuse(
			DOCA_ERROR_IN_USE, AT(.field = "port", .rule = "port-owner"), "%s", steering_why());
	else if (status < 0)
		return refuse_steering(status, AT(.field = "port"), "starting a port");
	port->index = index;
	port->root = start.root_port;
	port->default_miss = DOCA_FLOW_PORT_DEFAULT_MISS_RSS;
	return result;
}

static void port_free(struct doca_flow_port *port)
{
	free(port->queues);
	free(port->ct_fwds);
	free(port->priv);
	free(port);
}

static struct doca_flow_port *port_alloc(const struct doca_flow_port_cfg *cfg, struct doca_flow_port *manager)
{
	struct doca_flow_port *port = calloc(1, sizeof(*port));
	static uint16_t starts; // under the lock

	if (!port)
		return NULL;
	port->start = ++starts;
	port->queues = calloc(flow_nr_queues(), sizeof(*port->queues));
	port->priv = calloc(1, cfg->priv_bytes ? cfg->priv_bytes : 1u);
	if (!port->queues || !port->priv) {
		port_free(port);
		return NULL;
	}
	for (uint16_t i = 0; i < flow_nr_queues(); i++) {
		STAILQ_INIT(&port->queues[i].deferred);
		STAILQ_INIT(&port->queues[i].aged);
	}
	TAILQ_INIT(&port->pipes);
	port->id = cfg->id;
	port->dev = cfg->dev;
	port->rep = cfg->rep;
	port->manager = manager ? manager : port;
	port->actions_mem_size = cfg->actions_mem_size;
	memcpy(port->nr_resources, cfg->nr_resources, sizeof(port->nr_resources));
	return port;
}

// A device outlives the session that it was opened in: the fast path may have been started anew, with other ports.
static doca_error_t look_up(const struct doca_flow_port_cfg *cfg, uint16_t *index)
{
	struct steer_port_info *mine = cfg->dev ? &cfg->dev->info.port : &cfg->rep->info.port, *infos;
	unsigned int nr;
	doca_error_t result = flow_port_infos(flow.client, &infos, &nr);

	if (result != DOCA_SUCCESS)
		return result;
	result = DOCA_ERROR_NOT_FOUND;
	for (unsigned int i = 0; i < nr && result != DOCA_SUCCESS; i++) {
		if (strcmp(infos[i].name, mine->name))
			continue;
		*mine = infos[i];
		*index = mine->index;
		result = DOCA_SUCCESS;
	}
	free(infos);
	if (result != DOCA_SUCCESS)
		return refuse(result, AT(.field = "dev", .rule = "port-device"),
			"the fast path has no port %s any more", mine->name);
	return result;
}

doca_error_t doca_flow_port_start(const struct doca_flow_port_cfg *cfg, struct doca_flow_port **out)
{
	struct doca_flow_port *manager, *port;
	uint16_t index = 0;
	doca_error_t result;

	NEED(cfg);
	NEED(out);
	flow_lock();
	result = check_start(cfg, &manager);
	if (result == DOCA_SUCCESS)
		result = look_up(cfg, &index);
	if (result == DOCA_SUCCESS) {
		port = port_alloc(cfg, manager);
		if (!port) {
			result = refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
		} else {
			result = start_in_fast_path(port, index);
			if (result != DOCA_SUCCESS)
				port_free(port);
		}
	}
	if (result == DOCA_SUCCESS) {
		if (port->dev)
			port->dev->ports++;
		if (port->rep)
			port->rep->ports++;
		flow.port_of_index[port->index] = port;
		TAILQ_INSERT_TAIL(&flow.ports, port, link);
		*out = port;
	}
	flow_unlock();
	return result;
}

void port_forget(struct doca_flow_port *port)
{
	struct doca_flow_pipe *pipe;

	while ((pipe = TAILQ_LAST(&port->pipes, pipe_list)))
		pipe_release(pipe);
	shared_unbind(port);
	if (port->pair)
		port->pair->pair = NULL;
	if (port->dev)
		port->dev->ports--;
	if (port->rep)
		port->rep->ports--;
	complete_forget(port->queues, flow_nr_queues());
	flow.port_of_index[port->index] = NULL;
	TAILQ_REMOVE(&flow.ports, port, link);
	port_free(port);
}

doca_error_t doca_flow_port_stop(struct doca_flow_port *port)
{
	struct steer_port_ref ref = {0};
	struct doca_flow_port *other;
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	NEED(port);
	flow_lock();
	TAILQ_FOREACH (other, &flow.ports, link) {
		if (other != port && other->manager == port)
			result = refuse(DOCA_ERROR_IN_USE, AT(.field = "port", .rule = "switch-port-last"),
				"representor %u is still started on switch port %u", other->id, port->id);
	}
	if (result == DOCA_SUCCESS) {
		ref.port = port->index;
		status = steering_call_exact(flow.client, STEER_OP_PORT_STOP, &ref, sizeof(ref), NULL, 0);
		// What is gone is stopped.
		if (status < 0 && status != -ENOTCONN)
			result = refuse_steering(status, AT(.field = "port"), "stopping a port");
		else
			port_forget(port);
	}
	flow_unlock();
	return result;
}

doca_error_t doca_flow_port_pair(struct doca_flow_port *port, struct doca_flow_port *pair_port)
{
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	NEED(port);
	NEED(pair_port);
	if (port == pair_port)
		return refuse_argument(__func__, "pair_port", "a port cannot be paired with itself");
	if (flow.switch_mode)
		return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.rule = "pair-vnf"),
			"ports are paired in vnf mode only");
	flow_lock();
	if ((port->pair && port->pair != pair_port) || (pair_port->pair && pair_port->pair != port)) {
		result = refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "pair_port", .rule = "pair-once"),
			"port %u or %u is paired with another port", port->id, pair_port->id);
	} else {
		port->pair = pair_port;
		pair_port->pair = port;
	}
	flow_unlock();
	return result;
}

uint8_t *doca_flow_port_priv_data(struct doca_flow_port *port)
{
	return port ? port->priv : NULL;
}

struct doca_flow_port *doca_flow_port_switch_get(const struct doca_flow_port *port)
{
	struct doca_flow_port *found = NULL;

	if (!flow.switch_mode)
		return NULL;
	if (port)
		return port->manager;
	flow_lock();
	TAILQ_FOREACH (found, &flow.ports, link) {
		if (found->manager == found)
			break;
	}
	flow_unlock();
	return found;
}

doca_error_t doca_flow_port_operation_state_modify(
	struct doca_flow_port *port, enum doca_flow_port_operation_state state)
{
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	NEED(port);
	if ((unsigned int)state > DOCA_FLOW_PORT_OPERATION_STATE_UNCONNECTED)
		return refuse_argument(__func__, "state", "%u is no operation state", (unsigned int)state);
	if (state == DOCA_FLOW_PORT_OPERATION_STATE_ACTIVE)
		return DOCA_SUCCESS;
	// One session owns a port, so no two instances can be told apart.
	return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "state", .rule = "operation-state"),
		"a port of the fast path has one instance, which cannot hand over to another");
}

doca_error_t doca_flow_port_update_default_miss(
	struct doca_flow_port *port, enum doca_flow_port_default_miss_type default_miss, bool counter_en)
{
	static const uint8_t wire[] = {
		[DOCA_FLOW_PORT_DEFAULT_MISS_KERNEL] = STEER_MISS_KERNEL,
		[DOCA_FLOW_PORT_DEFAULT_MISS_RSS] = STEER_MISS_RSS,
		[DOCA_FLOW_PORT_DEFAULT_MISS_DROP] = STEER_MISS_DROP,
	};
	struct steer_port_set set = {0};
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	NEED(port);
	if ((unsigned int)default_miss > DOCA_FLOW_PORT_DEFAULT_MISS_DROP)
		return refuse_argument(
			__func__, "default_miss", "%u is no default miss", (unsigned int)default_miss);
	// The fast path always counts; what a program gets to see begins with the first call that asks for it.
	if (counter_en && !port->default_miss_counted) {
		result = query_slot(port->info.miss_counter, &port->default_miss_before);
		if (result != DOCA_SUCCESS)
			return result;
		port->default_miss_counted = true;
	}
	set.port = port->index;
	set.default_miss = wire[default_miss];
	flow_lock();
	status = steering_call_exact(flow.client, STEER_OP_PORT_SET, &set, sizeof(set), NULL, 0);
	if (status < 0)
		result = refuse_steering(status, AT(.field = "port"), "setting a default miss");
	else
		port->default_miss = default_miss;
	flow_unlock();
	return result;
}

doca_error_t doca_flow_port_query_default_miss(
	struct doca_flow_port *port, struct doca_flow_resource_query *data)
{
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	NEED(port);
	NEED(data);
	if (!port->default_miss_counted)
		return refuse(DOCA_ERROR_BAD_STATE, AT(.field = "port", .rule = "default-miss-counter"),
			"port %u: doca_flow_port_update_default_miss() has not asked for a counter",
			port->id);
	result = query_slot(port->info.miss_counter, data);
	data->counter.total_pkts -= port->default_miss_before.counter.total_pkts;
	data->counter.total_bytes -= port->default_miss_before.counter.total_bytes;
	return result;
}

void doca_flow_port_pipes_flush(struct doca_flow_port *port)
{
	if (flow_check_state(__func__) != DOCA_SUCCESS || !port)
		return;
	flow_lock();
	(void)pipe_destroy_all(port);
	flow_unlock();
}

doca_error_t doca_flow_ringfield_port_index(const struct doca_flow_port *port, uint16_t *index)
{
	NEED(port);
	NEED(index);
	*index = port->index;
	return DOCA_SUCCESS;
}
