// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// doca_flow_ringfield.h: statistics, drop reasons, and the list of ports.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"

static const struct {
	const char *name;
	const char *text;
} drops[STEER_DROP_MAX] = {[STEER_DROP_NONE] = {"none", "not dropped"},
#define DROP(id, shown, meaning) [STEER_DROP_##id] = {shown, meaning},
	STEERING_DROPS(DROP)
#undef DROP
};

const char *doca_flow_ringfield_drop_name(uint32_t drop)
{
	return drop < STEER_DROP_MAX ? drops[drop].name : NULL;
}

const char *doca_flow_ringfield_drop_text(uint32_t drop)
{
	return drop < STEER_DROP_MAX ? drops[drop].text : NULL;
}

uint32_t doca_flow_ringfield_drop_by_name(const char *name)
{
	for (uint32_t drop = STEER_DROP_NONE + 1; name && drop < STEER_DROP_MAX; drop++)
		if (!strcmp(drops[drop].name, name))
			return drop;
	return STEER_DROP_NONE;
}

// --- statistics

static const struct stats_header *stats(doca_error_t *result, const char *function)
{
	const struct stats_header *header;

	*result = flow_check_state(function);
	if (*result != DOCA_SUCCESS)
		return NULL;
	header = steering_stats(flow.client);
	if (!header)
		*result = refuse_steering(-errno, NULL, "mapping the statistics");
	return header;
}

static struct doca_flow_ringfield_count count(const struct stats_counter *from)
{
	return (struct doca_flow_ringfield_count){.pkts = from->packets, .bytes = from->bytes};
}

static void add_port(struct doca_flow_ringfield_port_stats *to, const struct stats_port *from)
{
	const struct stats_counter *const parts[] = {&from->received, &from->sent, &from->injected,
		&from->software, &from->transmitted, &from->dropped};
	struct doca_flow_ringfield_count *const sums[] = {
		&to->received, &to->sent, &to->injected, &to->software, &to->transmitted, &to->dropped};

	_Static_assert(
		(int)DOCA_FLOW_RINGFIELD_DROPS_MAX * sizeof(uint64_t) == sizeof(from->drops), "drop reasons");
	for (unsigned int i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		struct doca_flow_ringfield_count one = count(parts[i]);

		sums[i]->pkts += one.pkts;
		sums[i]->bytes += one.bytes;
	}
	for (unsigned int i = 0; i < DOCA_FLOW_RINGFIELD_DROPS_MAX; i++)
		to->drops[i] += from->drops[i];
}

doca_error_t doca_flow_ringfield_stats_get(struct doca_flow_ringfield_stats *out)
{
	const struct stats_header *header;
	struct stats_worker *sum;
	doca_error_t result;
	int status;

	if (!out)
		return refuse_argument(__func__, "stats", "is NULL");
	header = stats(&result, __func__);
	if (!header)
		return result;
	sum = malloc(sizeof(*sum));
	if (!sum)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
	status = steering_stats_total(flow.client, sum);
	if (status < 0) {
		free(sum);
		return refuse_steering(status, NULL, "reading the statistics");
	}
	memset(out, 0, sizeof(*out));
	out->boot_id = header->boot_id;
	out->nr_workers = header->nr_workers;
	out->started_ns = header->started_ns;
	out->tsc_hz = header->tsc_hz;
	out->revision = header->revision;
	out->heartbeat_ns = header->control_heartbeat_ns;
	out->mbufs_total = header->mbufs_total;
	out->mbufs_free = header->mbufs_free;
	out->entries = header->entries;
	out->posted = header->posted;
	out->refused = header->refused;
	out->copies = sum->copies;
	out->generated = sum->generated;
	out->held = sum->held;
	out->loops = sum->loops;
	out->busy_loops = sum->busy_loops;
	out->cycles_busy = sum->cycles_busy;
	out->cycles_total = sum->cycles_total;
	out->packets_lost = steering_packets_lost(flow.client);
	out->events_lost = steering_events_lost(flow.client);
	for (unsigned int port = 0; port < STEER_PORT_MAX; port++)
		add_port(&out->ports, &sum->port[port]);
	free(sum);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ringfield_cache_get(uint32_t worker, struct doca_flow_ringfield_cache *out)
{
	struct stats_cache found;
	doca_error_t result;
	int status;

	_Static_assert(sizeof(found) == sizeof(*out), "the same numbers in the same order");
	if (!out)
		return refuse_argument(__func__, "cache", "is NULL");
	if (!stats(&result, __func__))
		return result;
	status = steering_stats_cache(flow.client, worker, &found);
	if (status < 0)
		return refuse_steering(status, NULL, "reading the statistics");
	memcpy(out, &found, sizeof(*out));
	return DOCA_SUCCESS;
}

const char *doca_flow_ringfield_stage_name(uint32_t stage)
{
#define STAGE(id, shown, meaning) shown,
	static const char *const names[STEER_STAGE_MAX] = {STEERING_STAGES(STAGE)};
#undef STAGE

	return stage < STEER_STAGE_MAX ? names[stage] : NULL;
}

doca_error_t doca_flow_ringfield_stages_get(struct doca_flow_ringfield_stages *out)
{
	struct stats_stages sum;
	doca_error_t result;
	int status;

	_Static_assert((int)DOCA_FLOW_RINGFIELD_STAGES_MAX == (int)STATS_STAGES, "stages");
	if (!out)
		return refuse_argument(__func__, "stages", "is NULL");
	if (!stats(&result, __func__))
		return result;
	status = steering_stats_stages(flow.client, &sum);
	if (status < 0)
		return refuse_steering(status, NULL, "reading the statistics");
	out->turns = sum.turns;
	out->packets = sum.packets;
	memcpy(out->cycles, sum.cycles, sizeof(out->cycles));
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ringfield_port_stats_get(uint16_t port, struct doca_flow_ringfield_port_stats *out)
{
	struct stats_port sum;
	doca_error_t result;
	int status;

	if (!out)
		return refuse_argument(__func__, "stats", "is NULL");
	if (!stats(&result, __func__))
		return result;
	status = steering_stats_port(flow.client, port, &sum);
	if (status < 0)
		return refuse_steering(status, AT(.field = "port"), "reading a port's statistics");
	memset(out, 0, sizeof(*out));
	add_port(out, &sum);
	return DOCA_SUCCESS;
}

// --- ports

static void text(char *to, const char *from)
{
	memcpy(to, from, DOCA_FLOW_RINGFIELD_NAME_MAX);
	to[DOCA_FLOW_RINGFIELD_NAME_MAX - 1] = 0;
}

static void port_from_wire(struct doca_flow_ringfield_port *to, const struct steer_port_info *from)
{
	_Static_assert((int)DOCA_FLOW_RINGFIELD_NAME_MAX == (int)STEER_NAME_MAX, "names");
	memset(to, 0, sizeof(*to));
	text(to->name, from->name);
	text(to->backend, from->backend);
	text(to->detail, from->detail);
	text(to->owner, from->owner);
	text(to->pci, from->pci);
	text(to->ibdev, from->ibdev);
	text(to->representor, from->representor);
	to->index = from->index;
	to->port_id = from->doca_port_id;
	to->mtu = from->mtu;
	memcpy(to->mac, from->mac, sizeof(to->mac));
	to->up = from->state == STEER_PORT_UP;
	to->started = from->started;
	to->ring = from->ring;
}

doca_error_t doca_flow_ringfield_port_list(struct doca_flow_ringfield_port *ports, uint32_t max, uint32_t *nr)
{
	struct steer_port_info *infos;
	unsigned int nr_infos;
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (!nr || (max && !ports))
		return refuse_argument(__func__, "ports", "an argument is NULL");
	result = flow_port_infos(flow.client, &infos, &nr_infos);
	if (result != DOCA_SUCCESS)
		return result;
	for (unsigned int i = 0; i < nr_infos && i < max; i++)
		port_from_wire(&ports[i], &infos[i]);
	*nr = nr_infos;
	free(infos);
	return DOCA_SUCCESS;
}

static bool give(char *to, size_t bytes, const char *from)
{
	if (from && strlen(from) >= bytes)
		return false;
	snprintf(to, bytes, "%s", from ? from : "");
	return true;
}

doca_error_t doca_flow_ringfield_port_add(
	const struct doca_flow_ringfield_port_config *config, struct doca_flow_ringfield_port *port)
{
	struct steer_port_add add = {0};
	struct steer_port_info info;
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	if (!config || !config->name || !config->backend)
		return refuse_argument(__func__, "config", "it, its name or its backend is NULL");
	if (!give(add.name, sizeof(add.name), config->name) ||
		!give(add.backend, sizeof(add.backend), config->backend) ||
		!give(add.args, sizeof(add.args), config->args) ||
		!give(add.netns, sizeof(add.netns), config->netns) ||
		!give(add.mac, sizeof(add.mac), config->mac) ||
		!give(add.pci, sizeof(add.pci), config->pci) ||
		!give(add.ibdev, sizeof(add.ibdev), config->ibdev) ||
		!give(add.representor, sizeof(add.representor), config->representor))
		return refuse_argument(__func__, "config", "a text is too long");
	add.mtu = config->mtu;
	status = steering_call_exact(flow.client, STEER_OP_PORT_ADD, &add, sizeof(add), &info, sizeof(info));
	if (status < 0)
		return refuse_steering(status, AT(.field = "port"), "adding a port");
	if (port)
		port_from_wire(port, &info);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ringfield_port_remove(uint16_t port)
{
	struct steer_port_ref ref = {.port = port};
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	status = steering_call_exact(flow.client, STEER_OP_PORT_REMOVE, &ref, sizeof(ref), NULL, 0);
	return status < 0 ? refuse_steering(status, AT(.field = "port"), "removing a port") : DOCA_SUCCESS;
}
