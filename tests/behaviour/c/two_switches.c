// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Sample flow_switch: two independent switches of three ports in one process, each with pipes on its own manager. What
// one drops, misses or counts is nothing to the other.
#include "rig.h"

enum { SWITCHES = 2, PORTS = 3 };

int main(void)
{
	static const char *const names[] = {"p0", "pf0vf0", "pf0vf1", "p1", "pf1vf0", "pf1vf1"};
	const struct rig_options options = {
		.mode = "switch,hws", .nr_ports = SWITCHES * PORTS, .names = names};
	const struct doca_flow_monitor counted = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	const struct doca_flow_match template = rig_tuple_match(true);
	struct doca_flow_pipe_entry *entries[SWITCHES][2];
	struct rig_frame f[SWITCHES][2],
		other = rig_frame4(true, IP(1, 2, 3, 4), IP(9, 9, 9, 9), 1234, 80, 20);

	rig_start(&options);
	for (uint16_t s = 0; s < SWITCHES; s++) {
		struct rig_pipe p = {
			.name = "SWITCH", .is_root = true, .match = &template, .monitor = &counted};
		struct doca_flow_port *manager = doca_flow_port_switch_get(rig.port[s * PORTS + 1]);
		struct doca_flow_pipe *pipe;

		ok(manager == rig.port[s * PORTS], "switch %u: its representors hang on its uplink", s);
		p.fwd = rig_fwd_port(UINT16_MAX);
		p.fwd_miss = rig_fwd_drop();
		pipe = rig_pipe(manager, &p);
		for (uint16_t i = 0; i < 2; i++) {
			struct doca_flow_match key =
				rig_tuple(true, IP(1, 2, 3, s), IP(8, 8, 8, i), 1234, 80);
			struct doca_flow_fwd fwd = rig_fwd_port((uint16_t)(s * PORTS + 1 + i));

			entries[s][i] = rig_add(manager, pipe, &key, NULL, &counted, &fwd);
			f[s][i] = rig_frame4(true, IP(1, 2, 3, s), IP(8, 8, 8, i), 1234, 80, 20);
		}
	}
	for (uint16_t s = 0; s < SWITCHES; s++) {
		rig_send((uint16_t)(s * PORTS), &f[s][0]);
		rig_send((uint16_t)(s * PORTS), &f[s][1]);
		rig_send((uint16_t)(s * PORTS), &other);
	}
	rig_send(0, &f[1][0]); // the other switch's flow
	rig_settle();
	for (uint16_t s = 0; s < SWITCHES; s++)
		for (uint16_t i = 0; i < 2; i++) {
			rig_wire((uint16_t)(s * PORTS + 1 + i), &f[s][i]);
			ok(rig_hits(entries[s][i]) == 1, "switch %u entry %u counts one", s, i);
		}
	rig_done();
	ok(rig_drops("pipe") == 3, "what neither knows is dropped");
	rig_stop();
	return tap_done();
}
