// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include "entry.h"
#include "reserve.h"

enum { MEMORY_UNIT = 64 }; // bytes

bool reserve_take(uint32_t *used, uint32_t limit)
{
	if (__atomic_add_fetch(used, 1, __ATOMIC_RELAXED) <= limit)
		return true;
	__atomic_sub_fetch(used, 1, __ATOMIC_RELAXED);
	return false;
}

void reserve_give(uint32_t *used)
{
	__atomic_sub_fetch(used, 1, __ATOMIC_RELAXED);
}

static void add(uint32_t *used, uint32_t n)
{
	__atomic_add_fetch(used, n, __ATOMIC_RELAXED);
}

static void subtract(uint32_t *used, uint32_t n)
{
	__atomic_sub_fetch(used, n, __ATOMIC_RELAXED);
}

// --- where it is counted

static bool by_port(void)
{
	return flow.cfg.resource_mode == DOCA_FLOW_RESOURCE_MODE_PORT;
}

static uint32_t *counters_used(struct doca_flow_port *port)
{
	return by_port() ? &port->counters_used : &flow.counters_used;
}

static uint32_t *meters_used(struct doca_flow_port *port)
{
	return by_port() ? &port->meters_used : &flow.meters_used;
}

bool reserve_counter_take(struct doca_flow_port *port)
{
	return reserve_take(counters_used(port),
		by_port() ? port->nr_resources[DOCA_FLOW_RESOURCE_COUNTER] : flow.cfg.nr_counters);
}

void reserve_counter_give(struct doca_flow_port *port)
{
	reserve_give(counters_used(port));
}

static bool meter_take(struct doca_flow_port *port)
{
	return reserve_take(meters_used(port),
		by_port() ? port->nr_resources[DOCA_FLOW_RESOURCE_METER] : flow.cfg.nr_meters);
}

// Connections have memory of their own, as they have counters.
static uint8_t memory_units(const struct doca_flow_pipe *pipe, uint32_t args_bytes)
{
	if (pipe->conns)
		return 0;
	if (args_bytes > DOCA_FLOW_MAX_ENTRY_ACTIONS_MEM_SIZE)
		args_bytes = DOCA_FLOW_MAX_ENTRY_ACTIONS_MEM_SIZE;
	return (uint8_t)((args_bytes + MEMORY_UNIT - 1) / MEMORY_UNIT);
}

// More memory for the entry, or less.
static doca_error_t memory_take(
	struct doca_flow_pipe_entry *entry, struct doca_flow_pipe *pipe, uint32_t args_bytes)
{
	struct doca_flow_port *port = pipe->port;
	uint8_t units = memory_units(pipe, args_bytes);

	if (units <= entry->memory) {
		subtract(&port->memory_used, entry->memory - units);
	} else {
		uint32_t more = units - entry->memory;
		uint32_t used = __atomic_add_fetch(&port->memory_used, more, __ATOMIC_RELAXED);

		if (port->actions_mem_size && used > port->actions_mem_size / MEMORY_UNIT) {
			subtract(&port->memory_used, more);
			return refuse(DOCA_ERROR_NO_MEMORY,
				AT(.pipe = pipe->name, .field = "actions", .rule = "actions-memory"),
				"port %u has no memory left for an entry's actions: "
				"doca_flow_port_cfg_set_actions_mem_size() gave it %u bytes",
				port->id, port->actions_mem_size);
		}
	}
	entry->memory = units;
	return DOCA_SUCCESS;
}

// --- entries

void reserves_give(struct doca_flow_pipe_entry *entry, struct doca_flow_pipe *pipe)
{
	if (entry->lent)
		reserves_reclaim(entry, pipe);
	if (entry->counted)
		reserve_counter_give(pipe->port);
	if (entry->metered)
		reserve_give(meters_used(pipe->port));
	subtract(&pipe->port->memory_used, entry->memory);
	entry->counted = entry->metered = false;
	entry->memory = 0;
}

static doca_error_t no_counter(const struct doca_flow_pipe *pipe)
{
	return refuse(DOCA_ERROR_NO_MEMORY,
		AT(.pipe = pipe->name, .field = "counter", .rule = "counter-reserve"),
		"no counter left of the reserve (nr_counters: entries with counters plus miss counters)");
}

static doca_error_t no_meter(const struct doca_flow_pipe *pipe)
{
	return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = pipe->name, .field = "meter", .rule = "meter-reserve"),
		"no meter left of the reserve (nr_meters)");
}

doca_error_t reserves_take(struct doca_flow_pipe_entry *entry, struct doca_flow_pipe *pipe,
	const struct steer_monitor *monitor, uint32_t args_bytes)
{
	// Connections have counters of their own.
	bool counter = monitor->flags & STEER_MON_COUNTER && !pipe->conns && !entry->counted;
	bool meter = monitor->flags & STEER_MON_METER && !entry->metered;
	doca_error_t result = DOCA_SUCCESS;

	if (counter && !reserve_counter_take(pipe->port))
		return no_counter(pipe);
	if (meter && !meter_take(pipe->port)) {
		result = no_meter(pipe);
		meter = false;
	}
	if (result == DOCA_SUCCESS)
		result = memory_take(entry, pipe, args_bytes);
	if (result != DOCA_SUCCESS) {
		if (counter)
			reserve_counter_give(pipe->port);
		if (meter)
			reserve_give(meters_used(pipe->port));
		return result;
	}
	entry->counted |= counter;
	entry->metered |= meter;
	if (monitor->flags & STEER_MON_SHARED_COUNTER)
		entry->shared_counter = monitor->shared_counter;
	return DOCA_SUCCESS;
}

void reserves_adopt(
	struct doca_flow_pipe_entry *entry, struct doca_flow_pipe *pipe, bool counted, uint32_t args_bytes)
{
	entry->counted = counted;
	entry->metered = false;
	entry->lent = false;
	entry->memory = memory_units(pipe, args_bytes);
	if (counted)
		add(counters_used(pipe->port), 1);
	add(&pipe->port->memory_used, entry->memory);
}

// --- loans

void reserves_lend(struct doca_flow_pipe_entry *entry, struct doca_flow_pipe *pipe)
{
	if (entry->lent)
		return;
	entry->lent = true;
	reserve_give(&pipe->used);
	if (entry->counted)
		reserve_counter_give(pipe->port);
	if (entry->metered)
		reserve_give(meters_used(pipe->port));
	subtract(&pipe->port->memory_used, entry->memory);
}

void reserves_reclaim(struct doca_flow_pipe_entry *entry, struct doca_flow_pipe *pipe)
{
	if (!entry->lent)
		return;
	entry->lent = false;
	add(&pipe->used, 1);
	if (entry->counted)
		add(counters_used(pipe->port), 1);
	if (entry->metered)
		add(meters_used(pipe->port), 1);
	add(&pipe->port->memory_used, entry->memory);
}

static void each_of_pipe(struct doca_flow_pipe *pipe,
	void (*step)(struct doca_flow_pipe_entry *entry, struct doca_flow_pipe *pipe))
{
	for (uint32_t id = 0, end = entries_end(); id < end; id++) {
		struct doca_flow_pipe_entry *entry = entry_by_id(id);

		if (entry && entry_pipe(entry) == pipe && entry->state == ENTRY_ALIVE)
			step(entry, pipe);
	}
}

void reserves_lend_pipe(struct doca_flow_pipe *pipe)
{
	each_of_pipe(pipe, reserves_lend);
	if (pipe->has_miss_counter)
		reserve_counter_give(pipe->port);
}

void reserves_reclaim_pipe(struct doca_flow_pipe *pipe)
{
	each_of_pipe(pipe, reserves_reclaim);
	if (pipe->has_miss_counter)
		add(counters_used(pipe->port), 1);
}
