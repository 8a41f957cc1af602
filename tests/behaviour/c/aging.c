// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Sample flow_aging: ten entries on each of two ports, each removed in the callback that says it aged. Traffic keeps an
// entry alive, and without the removal the entry would still forward.
#include <time.h>

#include "rig.h"

enum { ENTRIES = 10, AGE = 1 };

static int aged, removed, wrong;
static struct doca_flow_pipe_entry *kept[2];

// The library does not remove an aged entry: the program does, here inside the callback.
static void on_entry(struct doca_flow_pipe_entry *entry, uint16_t pipe_queue,
	enum doca_flow_entry_status status, enum doca_flow_entry_op op, void *user_ctx)
{
	rig_count_entry(entry, pipe_queue, status, op, user_ctx);
	if (op == DOCA_FLOW_ENTRY_OP_DEL)
		removed++;
	if (op != DOCA_FLOW_ENTRY_OP_AGED)
		return;
	aged++;
	wrong += entry == kept[0] || entry == kept[1];
	success(doca_flow_pipe_remove_entry(pipe_queue, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, entry));
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct rig_frame frame(int i)
{
	return rig_frame4(true, IP(1, 2, 3, i), IP(8, 8, 8, 8), 1234, 80, 20);
}

int main(void)
{
	const struct rig_options options = {
		.mode = "vnf,hws", .nr_ports = 2, .nr_counters = 64, .entry_cb = on_entry};
	const struct doca_flow_monitor ageing = {
		.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED, .aging_sec = UINT32_MAX};
	const struct doca_flow_match template = rig_tuple_match(true);
	struct rig_status status = {0};
	struct rig_frame f, keep = frame(0);
	double end;
	int rounds = 0;

	rig_start(&options);
	for (uint16_t port = 0; port < 2; port++) {
		struct rig_pipe p = {.name = "AGEING",
			.is_root = true,
			.match = &template,
			.monitor = &ageing,
			.miss_counter = true};
		struct doca_flow_pipe *pipe;

		p.fwd = rig_fwd_port(port ^ 1);
		p.fwd_miss = rig_fwd_drop();
		pipe = rig_pipe(rig.port[port], &p);
		for (int i = 0; i < ENTRIES; i++) {
			struct doca_flow_match match =
				rig_tuple(true, IP(1, 2, 3, i), IP(8, 8, 8, 8), 1234, 80);
			struct doca_flow_monitor monitor = ageing;
			struct doca_flow_pipe_entry *entry;

			monitor.aging_sec = AGE;
			success(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, &monitor, NULL,
				i < ENTRIES - 1 ? DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH
						: DOCA_FLOW_ENTRY_FLAGS_NO_WAIT,
				&status, &entry));
			if (i == 0)
				kept[port] = entry;
		}
		ok(rig_process(rig.port[port], &status.added, (port + 1) * ENTRIES), "port %u: all entries",
			port);
		f = frame(3);
		rig_send(port, &f);
		rig_settle();
		ok(rig_take(DOCA_FLOW_RINGFIELD_PACKET_WIRE, port ^ 1, &f, NULL, NULL),
			"port %u: an entry hits", port);
	}
	// Entry 0 of each port gets traffic all the time, the others none.
	for (end = now() + 15; removed < 2 * (ENTRIES - 1) && now() < end; rounds++) {
		for (uint16_t port = 0; port < 2; port++) {
			rig_send(port, &keep);
			while (doca_flow_aging_handle(rig.port[port], 0, 0, 0) != -1)
				;
			success(doca_flow_entries_process(rig.port[port], 0, 10000, 0));
		}
		rig_settle();
	}
	ok(aged == 2 * (ENTRIES - 1), "%d entries aged", aged);
	ok(removed == aged && !status.failed, "all were removed");
	ok(wrong == 0, "none that had traffic");
	for (uint16_t port = 0; port < 2; port++)
		ok(rig_hits(kept[port]) == (uint64_t)rounds, "port %u: entry with traffic counts %llu of %d",
			port, (unsigned long long)rig_hits(kept[port]), rounds);
	rig_nothing_else();
	f = frame(3);
	rig_send(0, &f);
	rig_send(0, &keep);
	rig_settle();
	rig_wire(1, &keep);
	rig_done();
	ok(rig_drops("pipe") == 1, "an aged and removed entry no longer hits");

	// Without traffic the last ones age as well.
	kept[0] = kept[1] = NULL;
	for (end = now() + 15; removed < 2 * ENTRIES && now() < end;)
		for (uint16_t port = 0; port < 2; port++) {
			doca_flow_aging_handle(rig.port[port], 0, 0, 0);
			success(doca_flow_entries_process(rig.port[port], 0, 10000, 0));
		}
	ok(removed == 2 * ENTRIES, "total: %d", removed);
	rig_stop();
	return tap_done();
}
