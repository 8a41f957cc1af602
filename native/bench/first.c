// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The moment of a fresh fast path's first packet: installs one pipe on two ports that replay traffic and looks until one
// has sent something. Prints CLOCK_MONOTONIC, for the caller knows when it started the fast path.

#include <stdio.h>

#include "bench.h"

int first_run(const struct options *options)
{
	struct bench_port ports[BENCH_PORTS_MAX];
	uint16_t nr = session_open(options, 1024, ports);
	struct doca_flow_fwd fwd = {.type = DOCA_FLOW_FWD_PORT, .port_id = 1};
	struct doca_flow_match match;
	struct pipe_plan plan = {
		.name = "first", .match = &match, .fwd = &fwd, .nr_entries = 1024, .root = true};
	struct connection any = connection_of(0, false);
	struct doca_flow_ringfield_port_stats stats;
	uint64_t attached = now_ns();
	struct doca_flow_pipe *pipe;

	connection_shape(&match, FIELD_ETHER);
	pipe = pipe_make(ports[0].port, &plan);
	connection_match(&match, &any, false);
	entry_post(ports[0].port, 0, pipe, &match, NULL, NULL, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT);
	queue_finish(ports[0].port, 0);
	do
		check(doca_flow_ringfield_port_stats_get(ports[1].index, &stats), "stats");
	while (!stats.sent.pkts && now_ns() < attached + 10000000000u);
	if (!stats.sent.pkts)
		die("no packet was sent within 10 s");
	printf("{\"attached_ns\": %llu, \"first_ns\": %llu}\n", (unsigned long long)attached,
		(unsigned long long)now_ns());
	session_close(ports, nr);
	return 0;
}
