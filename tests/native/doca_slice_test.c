// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// A program as one writes it for DOCA Flow: init, two ports, a root pipe on the 5-tuple, an entry, packets, queries,
// update, removal, and the order of ends.

#include "doca_support.h"

static const char config[] = "[port p0]\nbackend = net_ring\n[port p1]\nbackend = net_ring\n";

static struct doca_flow_pipe *create_pipe(void)
{
	struct doca_flow_match match = {0};
	struct doca_flow_actions actions = {0}, *action_list[] = {&actions};
	struct doca_flow_monitor monitor = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	struct doca_flow_fwd fwd = {.type = DOCA_FLOW_FWD_PORT, .port_id = 1};
	struct doca_flow_fwd miss = {.type = DOCA_FLOW_FWD_DROP};
	struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], "5TUPLE", DOCA_FLOW_PIPE_BASIC, true);
	struct doca_flow_pipe *pipe;

	match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
	match.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_TCP;
	match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	match.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP;
	match.outer.ip4.src_ip = UINT32_MAX;
	match.outer.ip4.dst_ip = UINT32_MAX;
	match.outer.tcp.l4_port.src_port = UINT16_MAX;
	match.outer.tcp.l4_port.dst_port = UINT16_MAX;
	memset(actions.outer.eth.dst_mac, 0xff, 6);
	must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	must(doca_flow_pipe_cfg_set_actions(cfg, action_list, NULL, NULL, 1));
	must(doca_flow_pipe_cfg_set_monitor(cfg, &monitor));
	must(doca_flow_pipe_cfg_set_miss_counter(cfg, true));
	must(doca_flow_pipe_create(cfg, &fwd, &miss, &pipe));
	refused(doca_flow_pipe_create(cfg, &fwd, &miss, &pipe), DOCA_ERROR_ALREADY_EXIST, "");
	must(doca_flow_pipe_cfg_destroy(cfg));
	return pipe;
}

static struct doca_flow_match tuple(uint8_t last)
{
	struct doca_flow_match match = {0};

	match.outer.ip4.src_ip = IP(1, 2, 3, 4);
	match.outer.ip4.dst_ip = IP(8, 8, 8, last);
	match.outer.tcp.l4_port.src_port = DOCA_HTOBE16(1234);
	match.outer.tcp.l4_port.dst_port = DOCA_HTOBE16(80);
	return match;
}

static void packets(struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry, const uint8_t *mac)
{
	struct doca_flow_resource_query query;
	struct doca_flow_ringfield_packet packet;
	uint8_t frame[128], got[65536];
	uint32_t length = make_frame(frame, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 6, 1234, 80);

	ok(send_frame(0, frame, length, &packet, got, 5000), "a TCP frame comes out");
	ok(packet.kind == DOCA_FLOW_RINGFIELD_PACKET_WIRE && packet.port == 1 && packet.length == length,
		"of port 1, as long as it was");
	ok(!memcmp(got, mac, 6), "with the entry's MAC address");
	must(doca_flow_resource_query_entry(entry, &query));
	ok(WAIT_FOR(doca_flow_resource_query_entry(entry, &query) == DOCA_SUCCESS &&
		    query.counter.total_pkts == 1),
		"the entry counted one packet");
	ok(query.counter.total_bytes == length, "and its bytes");
	length = make_frame(frame, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 17, 1234, 80);
	ok(!send_frame(0, frame, length, &packet, got, 200), "a UDP frame does not");
	ok(WAIT_FOR(doca_flow_resource_query_pipe_miss(pipe, &query) == DOCA_SUCCESS &&
		    query.counter.total_pkts == 1),
		"the pipe counted one miss");
}

static void entries(struct doca_flow_pipe *pipe)
{
	struct doca_flow_match match = tuple(8);
	struct doca_flow_actions actions = {0};
	struct doca_flow_pipe_entry *entry, *twin;
	struct results results = {0};
	static const uint8_t first[6] = {0xaa, 1, 2, 3, 4, 5}, second[6] = {0xbb, 1, 2, 3, 4, 5};
	struct doca_flow_ringfield_error error;
	struct doca_flow_ringfield_packet packet;
	uint8_t frame[128], got[65536];

	memcpy(actions.outer.eth.dst_mac, first, 6);
	must(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, &actions, NULL, NULL,
		DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, &results, &entry));
	ok(doca_flow_pipe_entry_get_status(entry) == DOCA_FLOW_ENTRY_STATUS_IN_PROCESS, "it is in process");
	process(ports[0], &results, 1);
	ok(doca_flow_pipe_entry_get_status(entry) == DOCA_FLOW_ENTRY_STATUS_SUCCESS, "then it is there");
	packets(pipe, entry, first);

	must(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, &actions, NULL, NULL, 0, &results, &twin));
	must(doca_flow_entries_process(ports[0], 0, 10000, 1));
	ok(results.done == 1 && results.failed == 1, "an entry with the same key fails");
	must(doca_flow_ringfield_entry_error(twin, &error));
	ok(error.code == DOCA_ERROR_ALREADY_EXIST && !strcmp(error.rule, "duplicate-key"), "and says why: %s",
		error.reason);
	refused(doca_flow_pipe_remove_entry(0, 0, twin), DOCA_ERROR_INVALID_VALUE, "entry-alive");

	results = (struct results){0};
	memcpy(actions.outer.eth.dst_mac, second, 6);
	must(doca_flow_pipe_basic_update_entry(0, pipe, 0, &actions, NULL, NULL, 0, entry));
	process(ports[0], &results, 1);
	ok(results.op == DOCA_FLOW_ENTRY_OP_UPD, "an update says so");
	ok(send_frame(0, frame, make_frame(frame, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 6, 1234, 80), &packet, got,
		   5000) &&
			!memcmp(got, second, 6),
		"the new action is done");

	must(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, entry));
	process(ports[0], &results, 1);
	ok(results.op == DOCA_FLOW_ENTRY_OP_DEL, "a removal says so");
	ok(!send_frame(0, frame, make_frame(frame, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 6, 1234, 80), &packet, got,
		   200),
		"its packets are dropped");
}

// Depth, size and reserves.
static void limits(struct doca_flow_pipe *pipe)
{
	struct doca_flow_match match;
	struct doca_flow_actions actions = {0};
	struct doca_flow_pipe_entry *entry;
	struct results results = {0};
	doca_error_t result = DOCA_SUCCESS;
	unsigned int added = 0;

	for (; result == DOCA_SUCCESS && added < 100; added += result == DOCA_SUCCESS) {
		match = tuple((uint8_t)added);
		result = doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, &actions, NULL, NULL,
			DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, &results, &entry);
	}
	// Ten counters are reserved, and the pipe's misses have one of them.
	ok(result == DOCA_ERROR_NO_MEMORY && added == 9, "counters end with the reserve: %u, %s", added,
		doca_flow_ringfield_last_error());
	process(ports[0], &results, added);
	doca_flow_pipe_destroy(pipe);
	ok(doca_flow_pipe_entry_get_status(entry) == DOCA_FLOW_ENTRY_STATUS_SUCCESS,
		"a handle stays readable");
	refused(doca_flow_pipe_remove_entry(0, 0, entry), DOCA_ERROR_INVALID_VALUE, "entry-alive");
}

int main(int argc, char **argv)
{
	struct fastpath *fastpath = fastpath_start(config, (const char *const *)(uintptr_t)(argv + 1));
	struct doca_flow_pipe *pipe;

	refused(doca_flow_port_stop(NULL), DOCA_ERROR_BAD_STATE, "init-order");
	flow_attach(fastpath, "doca-slice", 0);
	flow_start("vnf,hws", 10, NULL);
	flow_ports(2, false);
	must(doca_flow_port_pair(ports[0], ports[1]));
	pipe = create_pipe();
	entries(pipe);
	limits(pipe);
	must(doca_flow_port_stop(ports[1]));
	must(doca_flow_port_stop(ports[0]));
	doca_flow_destroy();
	ok(fastpath_alive(fastpath), "the fast path lives on");
	ok(!fastpath_stop(fastpath), "and ends in good order");
	return tap_done();
}
