// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <stdio.h>
#include <string.h>

#include "bench.h"

struct progress progress;
const struct doca_flow_monitor counted = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};

static void on_entry(struct doca_flow_pipe_entry *entry, uint16_t queue, enum doca_flow_entry_status status,
	enum doca_flow_entry_op op, void *user_ctx)
{
	if (op == DOCA_FLOW_ENTRY_OP_AGED)
		return;
	progress.pending[queue]--;
	if (status == DOCA_FLOW_ENTRY_STATUS_SUCCESS)
		return;
	if (!__atomic_fetch_add(&progress.failed, 1, __ATOMIC_RELAXED)) {
		struct doca_flow_ringfield_error error = {.code = DOCA_SUCCESS};

		doca_flow_ringfield_entry_error(entry, &error);
		fprintf(stderr, "bench-flow: an entry failed: %s\n", error.reason);
	}
}

static void start_port(const char *name, uint16_t id, struct bench_port *to)
{
	struct doca_flow_port_cfg *cfg;
	struct doca_dev *dev;

	check(doca_flow_ringfield_dev_open(name, &dev), name);
	check(doca_flow_port_cfg_create(&cfg), "port cfg");
	check(doca_flow_port_cfg_set_port_id(cfg, id), "port id");
	check(doca_flow_port_cfg_set_dev(cfg, dev), "port device");
	check(doca_flow_port_cfg_set_actions_mem_size(cfg, 1u << 30), "actions memory");
	check(doca_flow_port_start(cfg, &to->port), name);
	doca_flow_port_cfg_destroy(cfg);
	doca_dev_close(dev);
	check(doca_flow_ringfield_port_index(to->port, &to->index), "port index");
	to->id = id;
}

uint16_t session_open(const struct options *options, uint32_t counters, struct bench_port *ports)
{
	struct doca_flow_ringfield_attach attach = {
		.runtime_dir = options->runtime_dir, .session = options->session};
	struct doca_flow_cfg *cfg;
	char names[256], *rest = names;
	const char *name;
	uint16_t nr = 0;

	check(doca_flow_ringfield_set_attach(&attach), "attach");
	check(doca_flow_cfg_create(&cfg), "cfg");
	check(doca_flow_cfg_set_pipe_queues(cfg, BENCH_QUEUES), "queues");
	check(doca_flow_cfg_set_queue_depth(cfg, options->depth), "queue depth");
	check(doca_flow_cfg_set_mode_args(cfg, "vnf,hws"), "mode");
	check(doca_flow_cfg_set_nr_counters(cfg, counters), "counters");
	check(doca_flow_cfg_set_cb_entry_process(cfg, on_entry), "callback");
	check(doca_flow_init(cfg), "doca_flow_init");
	doca_flow_cfg_destroy(cfg);
	snprintf(names, sizeof(names), "%s", options->ports);
	while ((name = strsep(&rest, ",")) && nr < BENCH_PORTS_MAX) {
		start_port(name, nr, &ports[nr]);
		nr++;
	}
	if (nr == 2)
		check(doca_flow_port_pair(ports[0].port, ports[1].port), "port pair");
	return nr;
}

void session_close(struct bench_port *ports, uint16_t nr)
{
	while (nr--)
		check(doca_flow_port_stop(ports[nr].port), "port stop");
	doca_flow_destroy();
	if (progress.failed)
		die("%llu entries failed", (unsigned long long)progress.failed);
}

struct doca_flow_pipe *pipe_make(struct doca_flow_port *port, const struct pipe_plan *plan)
{
	static const struct doca_flow_fwd drop = {.type = DOCA_FLOW_FWD_DROP};
	struct doca_flow_actions actions;
	struct doca_flow_actions *templates[] = {&actions};
	struct doca_flow_pipe_cfg *cfg;
	struct doca_flow_pipe *pipe;

	check(doca_flow_pipe_cfg_create(&cfg, port), "pipe cfg");
	check(doca_flow_pipe_cfg_set_name(cfg, plan->name), "pipe name");
	check(doca_flow_pipe_cfg_set_type(cfg, plan->type), "pipe type");
	check(doca_flow_pipe_cfg_set_is_root(cfg, plan->root), "root");
	check(doca_flow_pipe_cfg_set_nr_entries(cfg, plan->nr_entries), "nr_entries");
	check(doca_flow_pipe_cfg_set_match(cfg, plan->match, plan->mask), "match");
	if (plan->actions) {
		actions = *plan->actions;
		check(doca_flow_pipe_cfg_set_actions(cfg, templates, NULL, NULL, 1), "actions");
	}
	if (plan->counters)
		check(doca_flow_pipe_cfg_set_monitor(cfg, &counted), "monitor");
	check(doca_flow_pipe_create(cfg, plan->fwd, plan->miss ? plan->miss : &drop, &pipe), plan->name);
	doca_flow_pipe_cfg_destroy(cfg);
	return pipe;
}

struct doca_flow_pipe_entry *entry_post(struct doca_flow_port *port, uint16_t queue,
	struct doca_flow_pipe *pipe, const struct doca_flow_match *match,
	const struct doca_flow_actions *actions, const struct doca_flow_monitor *monitor, uint32_t flags)
{
	struct doca_flow_pipe_entry *entry = NULL;
	doca_error_t result;

	while ((result = doca_flow_pipe_basic_add_entry(queue, pipe, match, 0, actions, monitor, NULL, flags,
			NULL, &entry)) == DOCA_ERROR_AGAIN)
		check(doca_flow_entries_process(port, queue, 10000, 0), "entries_process");
	check(result, "add_entry");
	progress.pending[queue]++;
	return entry;
}

void entry_drop(
	struct doca_flow_port *port, uint16_t queue, struct doca_flow_pipe_entry *entry, uint32_t flags)
{
	doca_error_t result;

	while ((result = doca_flow_pipe_remove_entry(queue, flags, entry)) == DOCA_ERROR_AGAIN)
		check(doca_flow_entries_process(port, queue, 10000, 0), "entries_process");
	check(result, "remove_entry");
	progress.pending[queue]++;
}

void queue_finish(struct doca_flow_port *port, uint16_t queue)
{
	uint64_t end = now_ns() + 30000000000u;

	while (progress.pending[queue]) {
		check(doca_flow_entries_process(port, queue, 10000, 0), "entries_process");
		if (now_ns() > end)
			die("%llu operations do not complete", (unsigned long long)progress.pending[queue]);
	}
}
