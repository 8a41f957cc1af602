// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The fast path is killed under a program: calls fail with a reason, none hangs, and everything can be put away.

#include <signal.h>
#include <time.h>

#include "doca_support.h"

static const char config[] = "[port p0]\nbackend = net_ring\n[port p1]\nbackend = net_ring\n";

static struct results results;

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// The call fails, and not after a long time.
#define fails(call)                                                                                          \
	do {                                                                                                 \
		double start_ = seconds();                                                                   \
		doca_error_t result_ = (call);                                                               \
		ok(result_ != DOCA_SUCCESS && seconds() - start_ < 5, "%s: %s (%.1f s): %s", #call,          \
			doca_error_get_name(result_), seconds() - start_, doca_flow_ringfield_last_error()); \
	} while (0)

int main(int argc, char **argv)
{
	struct fastpath *fastpath = fastpath_start(config, (const char *const *)(uintptr_t)(argv + 1));
	struct doca_flow_match match = {
		.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4, .outer.ip4.src_ip = UINT32_MAX};
	struct doca_flow_monitor count = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	struct doca_flow_fwd drop = {.type = DOCA_FLOW_FWD_DROP};
	struct doca_flow_pipe_entry *entry, *late;
	struct doca_flow_resource_query query;
	struct doca_flow_pipe_cfg *cfg;
	struct doca_flow_pipe *pipe, *other;
	uint8_t frame[256];
	uint32_t length = make_frame(frame, IP(10, 0, 0, 1), IP(8, 8, 8, 8), 17, 1, 2);
	double start;

	(void)argc;
	flow_attach(fastpath, "doca-gone", 0);
	flow_start("vnf,hws", 64, NULL);
	flow_ports(2, false);
	cfg = pipe_cfg(ports[0], "ROOT", DOCA_FLOW_PIPE_BASIC, true);
	must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	must(doca_flow_pipe_cfg_set_monitor(cfg, &count));
	must(doca_flow_pipe_create(cfg, &drop, &drop, &pipe));
	must(doca_flow_pipe_cfg_destroy(cfg));
	match.outer.ip4.src_ip = IP(10, 0, 0, 1);
	must(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, 0, &results, &entry));
	process(ports[0], &results, 1);

	must(doca_flow_pipe_basic_add_entry(
		0, pipe, &match, 0, NULL, NULL, NULL, DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, &results, &late));
	kill(fastpath->pid, SIGKILL);
	fails(doca_flow_entries_process(ports[0], 0, 10000, 0));
	fails(doca_flow_ringfield_inject(0, 0, frame, &length, 1, NULL));
	cfg = pipe_cfg(ports[0], "OTHER", DOCA_FLOW_PIPE_BASIC, false);
	must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	fails(doca_flow_pipe_create(cfg, &drop, &drop, &other));
	must(doca_flow_pipe_cfg_destroy(cfg));
	match.outer.ip4.src_ip = IP(10, 0, 0, 2);
	fails(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, 0, &results, &late));
	fails(doca_flow_pipe_remove_entry(0, 0, entry));
	// The counters' memory is still there.
	doca_flow_resource_query_entry(entry, &query);
	start = seconds();
	doca_flow_pipe_destroy(pipe);
	for (int i = 1; i >= 0; i--)
		ok(doca_flow_port_stop(ports[i]) == DOCA_SUCCESS, "port %d is put away: %s", i,
			doca_flow_ringfield_last_error());
	flow_close();
	ok(seconds() - start < 5, "and that is quick");
	fastpath_stop(fastpath);
	return tap_done();
}
