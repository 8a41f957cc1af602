// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Entries per second: a 5-tuple pipe whose entries set pkt_meta; all added, all updated, all removed, in batches. Posting
// runs ahead of completion up to the queue's depth, as DOCA programs do it.

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

static struct doca_flow_pipe *make_pipe(const struct bench_port *port, uint32_t nr_entries)
{
	struct doca_flow_fwd fwd = {.type = DOCA_FLOW_FWD_DROP};
	struct doca_flow_actions actions = {.meta.pkt_meta = 0xffffffff};
	struct doca_flow_match match;
	struct pipe_plan plan = {.name = "entries",
		.match = &match,
		.actions = &actions,
		.fwd = &fwd,
		.nr_entries = nr_entries,
		.root = true};

	connection_shape(&match, FIELD_TUPLE);
	return pipe_make(port->port, &plan);
}

static void update(struct doca_flow_port *port, struct doca_flow_pipe *pipe,
	struct doca_flow_pipe_entry *entry, const struct doca_flow_actions *actions, uint32_t flags)
{
	doca_error_t result;

	while ((result = doca_flow_pipe_basic_update_entry(0, pipe, 0, actions, NULL, NULL, flags, entry)) ==
		DOCA_ERROR_AGAIN)
		check(doca_flow_entries_process(port, 0, 10000, 0), "entries_process");
	check(result, "update_entry");
	progress.pending[0]++;
}

enum step { ADD, UPDATE, REMOVE, STEPS };

static uint64_t run_step(const struct options *options, struct doca_flow_port *port,
	struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry **entries, enum step step)
{
	struct doca_flow_actions actions = {.meta.pkt_meta = 0};
	struct doca_flow_match match;
	uint64_t start = now_ns();

	for (uint32_t i = 0; i < options->nr; i++) {
		bool last = i % options->batch == options->batch - 1 || i + 1 == options->nr;
		uint32_t flags = last ? DOCA_FLOW_ENTRY_FLAGS_NO_WAIT : DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH;

		actions.meta.pkt_meta = htonl(i + step);
		if (step == ADD) {
			struct connection absent = connection_absent(i);

			connection_match(&match, &absent, false);
			entries[i] = entry_post(port, 0, pipe, &match, &actions, NULL, flags);
		} else if (step == UPDATE) {
			update(port, pipe, entries[i], &actions, flags);
		} else {
			entry_drop(port, 0, entries[i], flags);
		}
		if (last)
			check(doca_flow_entries_process(port, 0, 0, 0), "entries_process");
	}
	queue_finish(port, 0);
	return now_ns() - start;
}

int entries_run(const struct options *options)
{
	static const char *const names[STEPS] = {"add", "update", "remove"};
	struct doca_flow_pipe_entry **entries = allocate(options->nr, sizeof(*entries));
	struct bench_port ports[BENCH_PORTS_MAX];
	uint16_t nr = session_open(options, 0, ports);
	struct doca_flow_pipe *pipe = make_pipe(&ports[0], options->nr);

	printf("{\"nr\": %u, \"batch\": %u", options->nr, options->batch);
	for (enum step step = ADD; step < STEPS; step++)
		printf(", \"%s_ns\": %llu", names[step],
			(unsigned long long)run_step(options, ports[0].port, pipe, entries, step));
	printf("}\n");
	free(entries);
	session_close(ports, nr);
	return 0;
}
