// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What a program sets before it starts: each setting does what it says, or is refused with a reason.
#include "rig.h"

enum { MEMORY = 256, QUEUES = 4, COLLIDING = 64 };

static const struct doca_flow_monitor counted = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};

#define REFUSED(expected, named, rule_, call)                                                               \
	do {                                                                                                \
		doca_error_t code_ = (call);                                                                \
		struct doca_flow_ringfield_error error_;                                                    \
		doca_flow_ringfield_last_error_get(&error_);                                                \
		ok(code_ == (expected) && error_.code == code_ && strstr(error_.field, named) &&            \
				!strcmp(error_.rule, rule_) && strlen(error_.reason) > 10,                  \
			"%s: %s: %s", #call, doca_error_get_name(code_), doca_flow_ringfield_last_error()); \
	} while (0)

// The key that receive-side scaling was published with, and with it the hashes of many examples.
static const uint8_t published[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d,
	0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80,
	0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

// What is not part of Ringfield is refused where it is asked for; what is so anyhow is taken.
static void refusals(void)
{
	struct doca_flow_cfg *cfg;
	struct doca_flow_tune_cfg *tune;
	struct doca_flow_port_cfg *port;
	const struct doca_flow_definitions *definitions = (const void *)&cfg;

	success(doca_flow_cfg_create(&cfg));
	REFUSED(DOCA_ERROR_NOT_SUPPORTED, "definitions", "definitions",
		doca_flow_cfg_set_definitions(cfg, definitions));
	REFUSED(DOCA_ERROR_INVALID_VALUE, "rss_key_len", "argument",
		doca_flow_cfg_set_rss_key(cfg, published, 39));
	REFUSED(DOCA_ERROR_INVALID_VALUE, "rss_key_len", "argument",
		doca_flow_cfg_set_rss_key(cfg, published, 52));
	REFUSED(DOCA_ERROR_INVALID_VALUE, "rss_key", "argument", doca_flow_cfg_set_rss_key(cfg, NULL, 40));
	success(doca_flow_tune_cfg_create(&tune));
	success(doca_flow_tune_cfg_set_profile(tune, DOCA_FLOW_TUNE_PROFILE_NONE));
	success(doca_flow_cfg_set_tune_cfg(cfg, tune));
	success(doca_flow_tune_cfg_set_profile(tune, DOCA_FLOW_TUNE_PROFILE_PIPELINE));
	REFUSED(DOCA_ERROR_NOT_SUPPORTED, "profile", "tune-server", doca_flow_cfg_set_tune_cfg(cfg, tune));
	success(doca_flow_tune_cfg_set_profile(tune, DOCA_FLOW_TUNE_PROFILE_FULL));
	REFUSED(DOCA_ERROR_NOT_SUPPORTED, "profile", "tune-server", doca_flow_cfg_set_tune_cfg(cfg, tune));
	success(doca_flow_tune_cfg_destroy(tune));
	success(doca_flow_cfg_destroy(cfg));

	success(doca_flow_port_cfg_create(&port));
	REFUSED(DOCA_ERROR_NOT_SUPPORTED, "ipsec", "crypto",
		doca_flow_port_cfg_set_ipsec_sn_offload_disable(port));
	success(doca_flow_port_cfg_set_operation_state(port, DOCA_FLOW_PORT_OPERATION_STATE_ACTIVE));
	for (int state = DOCA_FLOW_PORT_OPERATION_STATE_ACTIVE_READY_TO_SWAP;
		state <= DOCA_FLOW_PORT_OPERATION_STATE_UNCONNECTED; state++)
		REFUSED(DOCA_ERROR_NOT_SUPPORTED, "state", "operation-state",
			doca_flow_port_cfg_set_operation_state(port, state));
	REFUSED(DOCA_ERROR_INVALID_VALUE, "state", "argument",
		doca_flow_port_cfg_set_operation_state(port, 99));
	REFUSED(DOCA_ERROR_NOT_SUPPORTED, "core", "service-threads",
		doca_flow_port_cfg_set_service_threads_core(port, 1));
	REFUSED(DOCA_ERROR_INVALID_VALUE, "cycle_ms", "argument",
		doca_flow_port_cfg_set_service_threads_cycle(port, 0));
	success(doca_flow_port_cfg_set_devargs(port, "th_win_us=0,dv_flow_en=2"));
	REFUSED(DOCA_ERROR_NOT_SUPPORTED, "devargs", "devargs",
		doca_flow_port_cfg_set_devargs(port, "th_win_us=0,fdb_def_rule_en=0"));
	REFUSED(DOCA_ERROR_INVALID_VALUE, "devargs", "argument", doca_flow_port_cfg_set_devargs(port, NULL));
	REFUSED(DOCA_ERROR_NOT_SUPPORTED, "resource", "shared-kind",
		doca_flow_port_cfg_set_nr_resources(port, DOCA_FLOW_RESOURCE_IPSEC_SA, 1));
	REFUSED(DOCA_ERROR_NOT_SUPPORTED, "resource", "shared-kind",
		doca_flow_port_cfg_set_nr_resources(port, DOCA_FLOW_RESOURCE_PSP, 1));
	success(doca_flow_port_cfg_set_nr_resources(port, DOCA_FLOW_RESOURCE_PSP, 0));
	success(doca_flow_port_cfg_destroy(port));
}

// Callbacks of updates and removals come after the call that added an entry.
static struct rig_status status;

static doca_error_t add(struct doca_flow_pipe *pipe, uint16_t sport, struct doca_flow_actions *actions,
	uint8_t template, struct doca_flow_pipe_entry **entry)
{
	struct doca_flow_match match = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), sport, 80);
	int before = status.added;
	doca_error_t code = doca_flow_pipe_basic_add_entry(
		0, pipe, &match, template, actions, NULL, NULL, 0, &status, entry);

	if (code == DOCA_SUCCESS)
		require(rig_process(rig.port[0], &status.added, before + 1) && !status.failed, "entry %u",
			sport);
	return code;
}

// 256 bytes: four entries that bring a MAC address, or fewer when they bring more, and none counts that brings nothing.
static void actions_memory(void)
{
	struct doca_flow_actions nothing = {0}, mac = {0}, *templates[2] = {&nothing, &mac};
	struct doca_flow_match match = rig_tuple_match(true);
	struct rig_pipe p = {.name = "MEMORY",
		.is_root = true,
		.match = &match,
		.actions_list = templates,
		.nr_actions = 2};
	struct doca_flow_pipe_entry *entries[MEMORY / 64], *more;
	struct doca_flow_pipe *pipe;

	memset(mac.outer.eth.dst_mac, 0xff, 6);
	p.fwd = rig_fwd_port(1);
	p.fwd_miss = rig_fwd_drop();
	pipe = rig_pipe(rig.port[0], &p);
	memset(mac.outer.eth.dst_mac, 0x02, 6);
	for (uint16_t i = 0; i < MEMORY / 64; i++)
		require(add(pipe, i, &mac, 1, &entries[i]) == DOCA_SUCCESS, "entry %u", i);
	REFUSED(DOCA_ERROR_NO_MEMORY, "actions", "actions-memory", add(pipe, 100, &mac, 1, &more));
	ok(add(pipe, 101, NULL, 0, &more) == DOCA_SUCCESS, "an entry that brings nothing takes none");
	REFUSED(DOCA_ERROR_NO_MEMORY, "actions", "actions-memory",
		doca_flow_pipe_basic_update_entry(0, pipe, 1, &mac, NULL, NULL, 0, more));
	success(doca_flow_pipe_basic_update_entry(0, pipe, 0, NULL, NULL, NULL, 0, entries[0]));
	success(doca_flow_entries_process(rig.port[0], 0, 10000, 0));
	ok(add(pipe, 102, &mac, 1, &more) == DOCA_SUCCESS, "an update to nothing gives it back");
	success(doca_flow_pipe_remove_entry(0, 0, more));
	success(doca_flow_entries_process(rig.port[0], 0, 10000, 0));
	ok(add(pipe, 103, &mac, 1, &more) == DOCA_SUCCESS, "and so does a removal");
	success(doca_flow_ringfield_pipe_destroy(pipe));
	pipe = rig_pipe(rig.port[0], &p);
	for (uint16_t i = 0; i < MEMORY / 64; i++)
		success(add(pipe, i, &mac, 1, &more));
	doca_flow_port_pipes_flush(rig.port[0]);
}

// A published example: addresses and ports of a packet, and the hash of the addresses and of both.
static const struct {
	doca_be32_t src, dst;
	uint16_t sport, dport;
	uint32_t addresses, all;
} examples[] = {
	{IP(66, 9, 149, 187), IP(161, 142, 100, 80), 2794, 1766, 0x323e8fc2, 0x51ccc178},
	{IP(199, 92, 111, 2), IP(65, 69, 140, 83), 14230, 4739, 0xd718262a, 0xc626b0ea},
	{IP(24, 19, 198, 95), IP(12, 22, 207, 184), 12898, 38024, 0xd2d0a5de, 0x5c2b394a},
	{IP(38, 27, 205, 30), IP(209, 142, 163, 6), 48228, 2217, 0x82989176, 0xafc7327f},
	{IP(153, 39, 163, 191), IP(202, 188, 127, 2), 44251, 1303, 0x5d1809c5, 0x10e828a2},
};
enum { EXAMPLES = sizeof(examples) / sizeof(examples[0]) };

static void queues_are(const char *what, const uint16_t *expected)
{
	for (int i = 0; i < EXAMPLES; i++) {
		struct rig_frame f = rig_frame4(
			true, examples[i].src, examples[i].dst, examples[i].sport, examples[i].dport, 20);
		uint16_t queue = UINT16_MAX;

		rig_send(0, &f);
		rig_settle();
		ok(rig_take(DOCA_FLOW_RINGFIELD_PACKET_RSS, 0, &f, NULL, &queue) && queue == expected[i],
			"%s: example %d on queue %u (%u)", what, i, expected[i], queue);
		rig_done();
	}
}

// RSS takes the hash's low bits for its table of 128, in which the queues stand in turn; the default miss its high ones.
static void rss_key(void)
{
	uint16_t queues[QUEUES] = {0, 1, 2, 3}, by_addresses[EXAMPLES], by_all[EXAMPLES], by_miss[EXAMPLES];
	struct rig_pipe p = {.name = "SPREAD", .is_root = true};
	struct doca_flow_match match = rig_tuple_match(false);

	for (int i = 0; i < EXAMPLES; i++) {
		by_addresses[i] = examples[i].addresses % QUEUES;
		by_all[i] = examples[i].all % QUEUES;
		by_miss[i] = (uint16_t)((uint64_t)examples[i].all * QUEUES >> 32);
	}
	p.fwd = (struct doca_flow_fwd){
		.type = DOCA_FLOW_FWD_RSS, .rss_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	p.fwd.rss.queues_array = queues;
	p.fwd.rss.nr_queues = QUEUES;
	p.fwd.rss.outer_flags = DOCA_FLOW_RSS_IPV4;
	rig_add(rig.port[0], rig_pipe(rig.port[0], &p), NULL, NULL, NULL, NULL);
	queues_are("addresses", by_addresses);
	doca_flow_port_pipes_flush(rig.port[0]);
	p.fwd.rss.outer_flags = DOCA_FLOW_RSS_IPV4 | DOCA_FLOW_RSS_TCP;
	rig_add(rig.port[0], rig_pipe(rig.port[0], &p), NULL, NULL, NULL, NULL);
	queues_are("addresses and ports", by_all);
	doca_flow_port_pipes_flush(rig.port[0]);
	p = (struct rig_pipe){.name = "MISSES", .is_root = true, .match = &match, .fwd = rig_fwd_drop()};
	(void)rig_pipe(rig.port[0], &p);
	queues_are("default miss", by_miss);
	doca_flow_port_pipes_flush(rig.port[0]);
}

// Entries of an ACL pipe that all match one packet: as many as it has room for, whatever was said of collisions.
static void acl_collisions(void)
{
	struct doca_flow_match template = rig_tuple_match(true), match, mask = {0};
	struct rig_pipe p = {.name = "ACL", .type = DOCA_FLOW_PIPE_ACL, .nr_entries = COLLIDING};
	struct rig_pipe root = {.name = "ROOT", .is_root = true};
	struct rig_frame f = rig_frame4(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80, 20);
	struct rig_status mine = {0};
	struct doca_flow_pipe *acl;
	struct doca_flow_pipe_entry *entry = NULL, *best = NULL;

	p.match = &template;
	p.fwd = rig_fwd_port(1);
	p.fwd_miss = rig_fwd_drop();
	p.monitor = &counted;
	acl = rig_pipe(rig.port[0], &p);
	root.fwd = rig_fwd_pipe(acl);
	rig_add(rig.port[0], rig_pipe(rig.port[0], &root), NULL, NULL, NULL, NULL);
	match = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 0, 0);
	mask.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	mask.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP;
	for (uint32_t i = 0; i < COLLIDING; i++) {
		mask.outer.ip4.src_ip = DOCA_HTOBE32(i < 32 ? UINT32_MAX << i : 0);
		mask.outer.ip4.dst_ip = DOCA_HTOBE32(i < 32 ? UINT32_MAX : UINT32_MAX << (i - 32));
		success(doca_flow_pipe_acl_add_entry(0, acl, &match, &mask, 0, NULL, COLLIDING - i, NULL,
			i == COLLIDING - 1 ? DOCA_FLOW_ENTRY_FLAGS_NO_WAIT
					   : DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH,
			&mine, &entry));
		best = entry;
	}
	ok(rig_process(rig.port[0], &mine.added, COLLIDING) && !mine.failed, "%d entries for one packet",
		COLLIDING);
	rig_send(0, &f);
	rig_settle();
	rig_wire(1, &f);
	rig_done();
	// The cycle of counters was said to be an hour.
	ok(rig_hits(best) == 1, "the first by priority has counted it, at once");
	doca_flow_port_pipes_flush(rig.port[0]);
}

int main(void)
{
	struct rig_options options = {.mode = "vnf,hws",
		.nr_ports = 2,
		.queues = QUEUES,
		.nr_counters = COLLIDING,
		.queue_depth = 2 * COLLIDING,
		.actions_mem_size = MEMORY,
		.rss_key = published,
		.acl_collisions = 1,
		.service_cycle_ms = 3600000};

	refusals();
	rig_start(&options);
	actions_memory();
	rss_key();
	acl_collisions();
	rig_stop();
	return tap_done();
}
