// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Each pipe type through DOCA's calls to packets: LPM, ACL, control with conditions, hash, ordered list; encapsulation,
// shared resources, descriptors, resize, ageing, changeable forwards.

#include "doca_support.h"

static const char config[] =
	"[port p0]\nbackend = net_ring\n[port p1]\nbackend = net_ring\n[port p2]\nbackend = net_ring\n";

static struct results results;
static uint8_t frame[256], got[65536];
static struct doca_flow_ringfield_packet packet;

static const struct doca_flow_fwd to_p1 = {.type = DOCA_FLOW_FWD_PORT, .port_id = 1};
static const struct doca_flow_fwd to_p2 = {.type = DOCA_FLOW_FWD_PORT, .port_id = 2};
static const struct doca_flow_fwd drop = {.type = DOCA_FLOW_FWD_DROP};

static struct doca_flow_fwd to_pipe(struct doca_flow_pipe *pipe)
{
	return (struct doca_flow_fwd){.type = DOCA_FLOW_FWD_PIPE, .next_pipe = pipe};
}

static struct doca_flow_pipe *create(
	struct doca_flow_pipe_cfg *cfg, const struct doca_flow_fwd *fwd, const struct doca_flow_fwd *miss)
{
	struct doca_flow_pipe *pipe;

	must(doca_flow_pipe_create(cfg, fwd, miss, &pipe));
	must(doca_flow_pipe_cfg_destroy(cfg));
	return pipe;
}

// A root pipe without a match that sends everything to another pipe.
static struct doca_flow_pipe *root_to(struct doca_flow_pipe *next)
{
	struct doca_flow_match all = {0};
	struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], "ROOT", DOCA_FLOW_PIPE_BASIC, true);
	struct doca_flow_fwd fwd = to_pipe(next);
	struct doca_flow_pipe *pipe;

	must(doca_flow_pipe_cfg_set_match(cfg, &all, NULL));
	pipe = create(cfg, &fwd, &drop);
	must(doca_flow_pipe_basic_add_entry(0, pipe, &all, 0, NULL, NULL, NULL, 0, &results, NULL));
	process(ports[0], &results, 1);
	return pipe;
}

// Where a frame to an address comes out: its port, or -1.
static int port_of(uint32_t src, uint32_t dst, uint8_t protocol, uint16_t dport)
{
	uint32_t length = make_frame(frame, src, dst, protocol, 1234, dport);

	return send_frame(0, frame, length, &packet, got, 300) &&
			       packet.kind == DOCA_FLOW_RINGFIELD_PACKET_WIRE
		       ? packet.port
		       : -1;
}

static void clear(void)
{
	doca_flow_port_pipes_flush(ports[0]);
	results = (struct results){0};
}

static void lpm_entry(
	struct doca_flow_pipe *pipe, uint32_t address, uint32_t mask, const struct doca_flow_fwd *fwd)
{
	struct doca_flow_match match = {0}, prefix = {0};

	match.outer.ip4.src_ip = address;
	prefix.outer.ip4.src_ip = mask;
	must(doca_flow_pipe_lpm_add_entry(0, pipe, &match, &prefix, 0, NULL, NULL, fwd,
		DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, &results, NULL));
}

static void lpm(void)
{
	struct doca_flow_match match = {0}, bad = {0};
	struct doca_flow_fwd any = {.type = DOCA_FLOW_FWD_CHANGEABLE};
	struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], "LPM", DOCA_FLOW_PIPE_LPM, false);
	struct doca_flow_pipe *pipe;

	match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	match.outer.ip4.src_ip = UINT32_MAX;
	must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	must(doca_flow_pipe_cfg_set_is_root(cfg, true));
	refused(doca_flow_pipe_create(cfg, &any, &drop, &pipe), DOCA_ERROR_INVALID_VALUE, "root-type");
	must(doca_flow_pipe_cfg_set_is_root(cfg, false));
	pipe = create(cfg, &any, &drop);
	root_to(pipe);
	lpm_entry(pipe, IP(1, 2, 0, 0), IP(255, 255, 0, 0), &drop);
	lpm_entry(pipe, IP(1, 2, 3, 4), UINT32_MAX, &to_p1);
	lpm_entry(pipe, 0, 0, &to_p2);
	process(ports[0], &results, 3);
	ok(port_of(IP(1, 2, 3, 4), IP(8, 8, 8, 8), 17, 80) == 1, "LPM: the longest prefix");
	ok(port_of(IP(1, 2, 9, 9), IP(8, 8, 8, 8), 17, 80) == -1, "LPM: a shorter one");
	ok(port_of(IP(9, 9, 9, 9), IP(8, 8, 8, 8), 17, 80) == 2, "LPM: the default");
	match.outer.ip4.src_ip = IP(1, 1, 1, 1);
	bad.outer.ip4.src_ip = IP(255, 0, 255, 0);
	refused(doca_flow_pipe_lpm_add_entry(0, pipe, &match, &bad, 0, NULL, NULL, &to_p1, 0, NULL, NULL),
		DOCA_ERROR_INVALID_VALUE, "lpm-prefix");
	refused(doca_flow_pipe_lpm_add_entry(0, pipe, &match, NULL, 0, NULL, NULL, NULL, 0, NULL, NULL),
		DOCA_ERROR_INVALID_VALUE, "fwd-missing");
	clear();
}

static void acl_entry(struct doca_flow_pipe *pipe, uint8_t protocol, uint32_t dst, uint32_t mask,
	uint16_t low, uint16_t high, uint32_t priority, const struct doca_flow_fwd *fwd)
{
	struct doca_flow_match match = {0}, bits = {0};

	match.parser_meta.outer_l4_type = protocol == 6 ? DOCA_FLOW_L4_META_TCP : DOCA_FLOW_L4_META_UDP;
	bits.parser_meta.outer_l4_type = (enum doca_flow_l4_meta)UINT32_MAX;
	match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	match.outer.l4_type_ext = protocol == 6 ? DOCA_FLOW_L4_TYPE_EXT_TCP : DOCA_FLOW_L4_TYPE_EXT_UDP;
	match.outer.ip4.dst_ip = dst;
	bits.outer.ip4.dst_ip = mask;
	match.outer.transport.dst_port = DOCA_HTOBE16(low);
	bits.outer.transport.dst_port = DOCA_HTOBE16(high);
	must(doca_flow_pipe_acl_add_entry(0, pipe, &match, &bits, 0, NULL, priority, fwd,
		DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, &results, NULL));
}

static void acl(void)
{
	struct doca_flow_match match = {0}, bits = {0};
	struct doca_flow_fwd any = {.type = DOCA_FLOW_FWD_CHANGEABLE};
	struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], "ACL", DOCA_FLOW_PIPE_ACL, false);
	struct doca_flow_pipe *pipe;

	match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
	match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	match.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP;
	match.outer.ip4.dst_ip = UINT32_MAX;
	match.outer.tcp.l4_port.dst_port = UINT16_MAX;
	must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	pipe = create(cfg, &any, &drop);
	root_to(pipe);
	acl_entry(pipe, 17, IP(8, 8, 8, 0), IP(255, 255, 255, 0), 80, 3000, 50, &to_p1);
	acl_entry(pipe, 17, IP(8, 8, 8, 8), UINT32_MAX, 0, 0, 10, &to_p2);
	acl_entry(pipe, 6, 0, 0, 0, 0, 60, &to_p2);
	process(ports[0], &results, 3);
	ok(port_of(IP(1, 1, 1, 1), IP(8, 8, 8, 7), 17, 80) == 1, "ACL: the start of a port range");
	ok(port_of(IP(1, 1, 1, 1), IP(8, 8, 8, 7), 17, 2999) == 1, "ACL: inside the range");
	ok(port_of(IP(1, 1, 1, 1), IP(8, 8, 8, 7), 17, 3001) == -1, "ACL: behind the range");
	ok(port_of(IP(1, 1, 1, 1), IP(8, 8, 8, 8), 17, 80) == 2, "ACL: the better priority");
	ok(port_of(IP(1, 1, 1, 1), IP(8, 8, 8, 7), 6, 80) == 2, "ACL: the other protocol");
	bits.outer.tcp.l4_port.dst_port = DOCA_HTOBE16(79);
	match.outer.tcp.l4_port.dst_port = DOCA_HTOBE16(80);
	refused(doca_flow_pipe_acl_add_entry(0, pipe, &match, &bits, 0, NULL, 1, &to_p1, 0, NULL, NULL),
		DOCA_ERROR_INVALID_VALUE, "acl-port-range");
	refused(doca_flow_pipe_acl_add_entry(0, pipe, &match, &bits, 0, NULL, 1025, &to_p1, 0, NULL, NULL),
		DOCA_ERROR_INVALID_VALUE, "acl-priority");
	clear();
}

static void control(void)
{
	struct doca_flow_match match = {0}, mask = {0}, value = {0};
	struct doca_flow_match_condition low = {.operation = DOCA_FLOW_COMPARE_LT,
		.field_op = {.a = {.field_string = "outer.ipv4.ttl"}, .width = 8}};
	struct doca_flow_actions actions = {0};
	struct doca_flow_action_desc desc = {.type = DOCA_FLOW_ACTION_ADD,
		.field_op = {.dst = {.field_string = "outer.ipv4.ttl"}, .width = 8}};
	struct doca_flow_action_descs descs = {.nb_action_desc = 1, .desc_array = &desc};
	struct doca_flow_pipe *pipe =
		create(pipe_cfg(ports[0], "CONTROL", DOCA_FLOW_PIPE_CONTROL, true), NULL, NULL);

	match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
	match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	match.outer.ip4.dst_ip = IP(10, 0, 0, 0);
	mask.parser_meta.outer_l3_type = (enum doca_flow_l3_meta)UINT32_MAX;
	mask.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	mask.outer.ip4.dst_ip = IP(255, 0, 0, 0);
	actions.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	actions.outer.ip4.ttl = 0xff;
	must(doca_flow_pipe_control_add_entry(
		0, pipe, &match, &mask, NULL, &actions, NULL, &descs, NULL, 1, &to_p1, &results, NULL));
	value.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	value.outer.ip4.ttl = 65;
	must(doca_flow_pipe_control_add_entry(
		0, pipe, &value, NULL, &low, NULL, NULL, NULL, NULL, 2, &to_p2, &results, NULL));
	process(ports[0], &results, 2);
	ok(port_of(IP(1, 1, 1, 1), IP(10, 9, 9, 9), 17, 80) == 1 && got[22] == 63,
		"control: masked match, TTL - 1 (%u)", got[22]);
	ok(port_of(IP(1, 1, 1, 1), IP(11, 9, 9, 9), 17, 80) == 2, "control: the condition TTL < 65");
	refused(doca_flow_pipe_control_add_entry(
			0, pipe, &match, NULL, NULL, NULL, NULL, NULL, NULL, 8, &to_p1, NULL, NULL),
		DOCA_ERROR_INVALID_VALUE, "control-priority");
	refused(doca_flow_pipe_control_add_entry(
			0, pipe, &match, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL),
		DOCA_ERROR_INVALID_VALUE, "fwd-missing");
	desc.field_op.dst.field_string = "outer.ipv4.no_such_field";
	refused(doca_flow_pipe_control_add_entry(
			0, pipe, &match, NULL, NULL, &actions, NULL, &descs, NULL, 0, &to_p1, NULL, NULL),
		DOCA_ERROR_INVALID_VALUE, "desc-field");
	clear();
}

static void hash(void)
{
	struct doca_flow_match match = {0}, mask = {0};
	struct doca_flow_fwd any = {.type = DOCA_FLOW_FWD_PORT, .port_id = UINT16_MAX};
	struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], "HASH", DOCA_FLOW_PIPE_HASH, false);
	struct doca_flow_pipe *pipe;
	unsigned int right = 0;

	mask.outer.l3_type = match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	mask.outer.ip4.dst_ip = UINT32_MAX;
	must(doca_flow_pipe_cfg_set_match(cfg, &match, &mask));
	must(doca_flow_pipe_cfg_set_nr_entries(cfg, 3));
	refused(doca_flow_pipe_create(cfg, &any, &drop, &pipe), DOCA_ERROR_INVALID_VALUE, "hash-size");
	must(doca_flow_pipe_cfg_set_nr_entries(cfg, 2));
	pipe = create(cfg, &any, &drop);
	root_to(pipe);
	must(doca_flow_pipe_hash_add_entry(0, pipe, 0, 0, NULL, NULL, &to_p1, 0, &results, NULL));
	must(doca_flow_pipe_hash_add_entry(0, pipe, 1, 0, NULL, NULL, &to_p2, 0, &results, NULL));
	process(ports[0], &results, 2);
	for (uint8_t last = 1; last <= 8; last++) {
		uint32_t value;

		match.outer.ip4.dst_ip = IP(8, 8, 8, last);
		must(doca_flow_pipe_calc_hash(pipe, &match, &value));
		right += port_of(IP(1, 1, 1, 1), IP(8, 8, 8, last), 17, 80) == (int)(value & 1) + 1;
	}
	ok(right == 8, "hash: calc_hash says where each of 8 packets goes (%u)", right);
	clear();
}

// A root that copies each packet to all its entries; the samples of DOCA have it.
static void flooding_root(void)
{
	struct doca_flow_fwd any = {.type = DOCA_FLOW_FWD_PORT, .port_id = UINT16_MAX};
	struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], "FLOOD", DOCA_FLOW_PIPE_HASH, true);
	uint32_t length = make_frame(frame, IP(1, 1, 1, 1), IP(8, 8, 8, 8), 17, 1234, 80), nr;
	struct doca_flow_pipe *pipe;
	unsigned int seen = 0;

	must(doca_flow_pipe_cfg_set_nr_entries(cfg, 2));
	must(doca_flow_pipe_cfg_set_hash_map_algorithm(cfg, DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_FLOODING));
	pipe = create(cfg, &any, NULL);
	must(doca_flow_pipe_hash_add_entry(0, pipe, 0, 0, NULL, NULL, &to_p1, 0, &results, NULL));
	must(doca_flow_pipe_hash_add_entry(0, pipe, 1, 0, NULL, NULL, &to_p2, 0, &results, NULL));
	process(ports[0], &results, 2);
	must(doca_flow_ringfield_inject(0, 0, frame, &length, 1, NULL));
	for (int i = 0; i < 2; i++) {
		must(doca_flow_ringfield_receive(&packet, 1, got, sizeof(got), 1000000, &nr));
		if (nr && packet.length == length && !memcmp(got, frame, length))
			seen |= 1u << packet.port;
	}
	ok(seen == 6, "a hash pipe as root floods both ports (%x)", seen);
	clear();
}

static void ordered_list(void)
{
	struct doca_flow_actions actions = {0}, mask = {0};
	struct doca_flow_monitor count = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	struct doca_flow_ordered_list_element elements[2] = {
		{.type = DOCA_FLOW_ORDERED_LIST_ELEMENT_ACTIONS, .actions = &actions, .actions_mask = &mask},
		{.type = DOCA_FLOW_ORDERED_LIST_ELEMENT_MONITOR, .monitor = &count}};
	struct doca_flow_ordered_list list = {.idx = 0, .size = 2, .elements = elements}, *lists[] = {&list};
	struct doca_flow_fwd by_index = {.type = DOCA_FLOW_FWD_ORDERED_LIST_PIPE};
	struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], "LIST", DOCA_FLOW_PIPE_ORDERED_LIST, false);
	struct doca_flow_match all = {0};
	struct doca_flow_resource_query query = {0};
	struct doca_flow_pipe *pipe, *root;
	struct doca_flow_pipe_entry *entry;

	actions.outer.l3_type = mask.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	actions.outer.ip4.src_ip = IP(192, 168, 0, 0);
	mask.outer.ip4.src_ip = IP(255, 255, 0, 0);
	must(doca_flow_pipe_cfg_set_ordered_lists(cfg, lists, 1));
	pipe = create(cfg, &to_p1, NULL);
	must(doca_flow_pipe_ordered_list_add_entry(0, pipe, 5, &list, NULL, 0, &results, &entry));
	process(ports[0], &results, 1);
	by_index.ordered_list_pipe.pipe = pipe;
	by_index.ordered_list_pipe.idx = 5;
	cfg = pipe_cfg(ports[0], "ROOT", DOCA_FLOW_PIPE_BASIC, true);
	must(doca_flow_pipe_cfg_set_match(cfg, &all, NULL));
	root = create(cfg, &by_index, &drop);
	must(doca_flow_pipe_basic_add_entry(0, root, &all, 0, NULL, NULL, NULL, 0, &results, NULL));
	process(ports[0], &results, 1);
	ok(port_of(IP(1, 2, 3, 4), IP(8, 8, 8, 8), 17, 80) == 1 &&
			!memcmp(got + 26, (uint8_t[]){192, 168, 3, 4}, 4),
		"ordered list: the masked write");
	ok(WAIT_FOR(doca_flow_resource_query_entry(entry, &query) == DOCA_SUCCESS &&
		    query.counter.total_pkts == 1),
		"ordered list: the count");
	list.idx = 1;
	refused(doca_flow_pipe_ordered_list_add_entry(0, pipe, 6, &list, NULL, 0, NULL, NULL),
		DOCA_ERROR_INVALID_VALUE, "list-index");
	clear();
}

static void encap_and_shared(void)
{
	struct doca_flow_match match = {0};
	struct doca_flow_actions actions = {0}, *list[] = {&actions};
	struct doca_flow_monitor monitor = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_SHARED};
	struct doca_flow_shared_resource_cfg none = {0};
	struct doca_flow_resource_query query = {0};
	struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], "ENCAP", DOCA_FLOW_PIPE_BASIC, true);
	struct doca_flow_header_format *outer = &actions.encap_cfg.encap.outer;
	struct doca_flow_pipe *pipe;
	uint32_t id = 3, length;

	monitor.shared_counter.shared_counter_id = UINT32_MAX;
	actions.encap_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED;
	actions.encap_cfg.is_l2 = true;
	memset(outer->eth.src_mac, 0xff, 6);
	memset(outer->eth.dst_mac, 0xff, 6);
	outer->l3_type = DOCA_FLOW_L3_TYPE_IP4;
	outer->ip4.src_ip = UINT32_MAX;
	outer->ip4.dst_ip = UINT32_MAX;
	outer->ip4.ttl = 17;
	outer->l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_UDP;
	outer->udp.l4_port.dst_port = DOCA_HTOBE16(4789);
	actions.encap_cfg.encap.tun.type = DOCA_FLOW_TUN_VXLAN;
	actions.encap_cfg.encap.tun.vxlan_tun_id = UINT32_MAX;
	must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	must(doca_flow_pipe_cfg_set_actions(cfg, list, NULL, NULL, 1));
	must(doca_flow_pipe_cfg_set_monitor(cfg, &monitor));
	pipe = create(cfg, &to_p1, &drop);
	memset(outer->eth.src_mac, 0xaa, 6);
	memset(outer->eth.dst_mac, 0xbb, 6);
	outer->ip4.src_ip = IP(11, 21, 31, 41);
	outer->ip4.dst_ip = IP(81, 81, 81, 81);
	actions.encap_cfg.encap.tun.vxlan_tun_id = DOCA_HTOBE32(0xadadad);
	refused(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, &actions, NULL, NULL, 0, NULL, NULL),
		DOCA_ERROR_INVALID_VALUE, "monitor-missing");
	monitor.shared_counter.shared_counter_id = id;
	refused(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, &actions, &monitor, NULL, 0, NULL, NULL),
		DOCA_ERROR_INVALID_VALUE, "shared-configured");
	must(doca_flow_shared_resource_set_cfg(DOCA_FLOW_SHARED_RESOURCE_COUNTER, id, &none));
	refused(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, &actions, &monitor, NULL, 0, NULL, NULL),
		DOCA_ERROR_INVALID_VALUE, "shared-bound");
	must(doca_flow_shared_resources_bind(DOCA_FLOW_SHARED_RESOURCE_COUNTER, &id, 1, ports[0]));
	refused(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, &monitor, NULL, 0, NULL, NULL),
		DOCA_ERROR_INVALID_VALUE, "actions-missing");
	must(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, &actions, &monitor, NULL, 0, &results, NULL));
	process(ports[0], &results, 1);
	length = make_frame(frame, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 6, 1234, 80);
	ok(send_frame(0, frame, length, &packet, got, 5000) && packet.length == length + 50,
		"VXLAN: 50 bytes in front (%u)", packet.length);
	ok(!memcmp(got, (uint8_t[]){0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xaa}, 7) && got[16] == 0 &&
			got[17] == 112 && got[22] == 17 && got[42] == 0x08 && got[46] == 0xad &&
			got[48] == 0xad && got[49] == 0,
		"VXLAN: header");
	ok(!memcmp(got + 50, frame, length), "VXLAN: what is inside");
	ok(WAIT_FOR(doca_flow_shared_resources_query(DOCA_FLOW_SHARED_RESOURCE_COUNTER, &id, &query, 1) ==
			    DOCA_SUCCESS &&
		    query.counter.total_pkts == 1),
		"the shared counter counted");
	clear();
}

static unsigned int congested, resized, relocated;
static uint32_t new_size;

static void pipe_event(struct doca_flow_pipe *pipe, enum doca_flow_pipe_status status,
	enum doca_flow_pipe_op op, void *user_ctx)
{
	(void)pipe, (void)status, (void)user_ctx;
	congested += op == DOCA_FLOW_PIPE_OP_CONGESTION_REACHED;
	resized += op == DOCA_FLOW_PIPE_OP_RESIZED;
}

static doca_error_t size_changed(void *pipe_user_ctx, uint32_t nr_entries)
{
	(void)pipe_user_ctx;
	new_size = nr_entries;
	return DOCA_SUCCESS;
}

static doca_error_t relocate(
	void *pipe_user_ctx, uint16_t queue, void *entry_user_ctx, void **new_entry_user_ctx)
{
	(void)pipe_user_ctx, (void)queue, (void)new_entry_user_ctx;
	relocated += entry_user_ctx == &results;
	return DOCA_SUCCESS;
}

static void add_address(struct doca_flow_pipe *pipe, uint8_t last, doca_error_t expected)
{
	struct doca_flow_match match = {0};

	match.outer.ip4.dst_ip = IP(8, 8, 8, last);
	ok(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, 0, &results, NULL) ==
			expected,
		"entry %u: %s", last, doca_error_get_name(expected));
}

static void resize(void)
{
	struct doca_flow_match match = {0};
	struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], "RESIZE", DOCA_FLOW_PIPE_BASIC, true);
	struct doca_flow_pipe *pipe;

	match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	match.outer.ip4.dst_ip = UINT32_MAX;
	must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	must(doca_flow_pipe_cfg_set_nr_entries(cfg, 10));
	must(doca_flow_pipe_cfg_set_is_resizable(cfg, true));
	must(doca_flow_pipe_cfg_set_congestion_level_threshold(cfg, 80));
	must(doca_flow_pipe_cfg_set_excluded_queue(cfg, 1));
	pipe = create(cfg, &to_p1, &drop);
	for (uint8_t last = 1; last <= 10; last++)
		add_address(pipe, last, DOCA_SUCCESS);
	process(ports[0], &results, 10);
	ok(congested == 1, "congestion is reported once (%u)", congested);
	add_address(pipe, 11, DOCA_ERROR_FULL);
	must(doca_flow_pipe_resize(pipe, 80, size_changed, relocate));
	ok(!resized, "the resize is not complete before the queues are processed");
	must(doca_flow_entries_process(ports[0], 0, 0, 0));
	ok(resized == 1 && new_size == 16 && relocated == 10, "then it is: 16 entries, 10 relocated (%u, %u)",
		new_size, relocated);
	add_address(pipe, 11, DOCA_SUCCESS);
	process(ports[0], &results, 1);
	ok(port_of(IP(1, 1, 1, 1), IP(8, 8, 8, 11), 17, 80) == 1, "the new entry works");
	ok(port_of(IP(1, 1, 1, 1), IP(8, 8, 8, 3), 17, 80) == 1, "an old one, too");
	clear();
}

static void ageing(void)
{
	struct doca_flow_match match = {0};
	struct doca_flow_monitor monitor = {.aging_sec = UINT32_MAX};
	struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], "AGE", DOCA_FLOW_PIPE_BASIC, true);
	struct doca_flow_pipe *pipe;
	struct doca_flow_pipe_entry *entry;

	match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	match.outer.ip4.dst_ip = UINT32_MAX;
	must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	must(doca_flow_pipe_cfg_set_monitor(cfg, &monitor));
	pipe = create(cfg, &to_p1, &drop);
	match.outer.ip4.dst_ip = IP(8, 8, 8, 8);
	monitor.aging_sec = 1;
	must(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, &monitor, NULL, 0, &results, &entry));
	process(ports[0], &results, 1);
	ok(WAIT_FOR(doca_flow_aging_handle(ports[0], 0, 0, 0) == 1), "an entry without packets ages");
	ok(results.done == 1 && results.op == DOCA_FLOW_ENTRY_OP_AGED, "and is called back");
	results.done = 0;
	ok(doca_flow_aging_handle(ports[0], 0, 0, 0) == -1, "once");
	must(doca_flow_pipe_remove_entry(0, 0, entry));
	process(ports[0], &results, 1);
	clear();
}

// An entry may have any number of operations in flight, and each has its result.
static void busy_entry(void)
{
	struct doca_flow_match match = {0};
	struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], "BUSY", DOCA_FLOW_PIPE_BASIC, true);
	struct doca_flow_pipe_entry *entry;
	struct doca_flow_pipe *pipe;
	unsigned int posted = 1;

	match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	match.outer.ip4.dst_ip = UINT32_MAX;
	must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	pipe = create(cfg, &to_p1, &drop);
	match.outer.ip4.dst_ip = IP(8, 8, 8, 8);
	must(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL,
		DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, &results, &entry));
	for (; posted < 301; posted++)
		must(doca_flow_pipe_basic_update_entry(
			0, pipe, 0, NULL, NULL, NULL, DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, entry));
	process(ports[0], &results, posted);
	must(doca_flow_pipe_remove_entry(0, 0, entry));
	process(ports[0], &results, 1);
	clear();
}

// Results of a port that was stopped are not those of the port that starts in its place.
static void restart(void)
{
	struct doca_flow_match match = {0};
	struct doca_flow_pipe_entry *entry;
	struct doca_flow_pipe *pipe = NULL;

	match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	for (unsigned int turn = 0; turn < 2; turn++) {
		struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], "AGAIN", DOCA_FLOW_PIPE_BASIC, true);

		match.outer.ip4.dst_ip = UINT32_MAX;
		must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
		pipe = create(cfg, &to_p1, &drop);
		for (unsigned int i = 0; i < 3 - turn; i++) {
			match.outer.ip4.dst_ip = IP(8, 8, 8, 1 + i);
			must(doca_flow_pipe_basic_add_entry(
				0, pipe, &match, 0, NULL, NULL, NULL, 0, &results, &entry));
		}
		if (turn)
			break;
		for (int i = 2; i >= 0; i--)
			must(doca_flow_port_stop(ports[i]));
		for (unsigned int i = 1; i < 3; i++)
			must(doca_dev_rep_close(flow_reps[i]));
		flow_ports(3, true);
	}
	process(ports[0], &results, 2);
	must(doca_flow_pipe_remove_entry(0, 0, entry));
	process(ports[0], &results, 1);
	clear();
}

static void rules(void)
{
	struct doca_flow_match match = {0};
	struct doca_flow_fwd rss = {.type = DOCA_FLOW_FWD_RSS};
	struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], "RULES", DOCA_FLOW_PIPE_BASIC, true);
	struct doca_flow_pipe *pipe;

	refused(doca_flow_pipe_create(cfg, &to_p1, &to_p2, &pipe), DOCA_ERROR_INVALID_VALUE, "fwd-miss-type");
	refused(doca_flow_pipe_create(cfg, &rss, &drop, &pipe), DOCA_ERROR_INVALID_VALUE, "rss-queues");
	match.meta.u32[0] = 1;
	must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	refused(doca_flow_pipe_create(cfg, &to_p1, &drop, &pipe), DOCA_ERROR_INVALID_VALUE,
		"meta-needs-mask");
	match.meta.u32[0] = 0;
	match.outer.l3_type = (enum doca_flow_l3_type)UINT32_MAX;
	must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	refused(doca_flow_pipe_create(cfg, &to_p1, &drop, &pipe), DOCA_ERROR_INVALID_VALUE,
		"selector-changeable");
	match.outer.l3_type = DOCA_FLOW_L3_TYPE_NONE;
	match.parser_meta.psp_syndrome = 1;
	must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	refused(doca_flow_pipe_create(cfg, &to_p1, &drop, &pipe), DOCA_ERROR_NOT_SUPPORTED, "field-support");
	must(doca_flow_pipe_cfg_set_domain(cfg, DOCA_FLOW_PIPE_DOMAIN_SECURE_INGRESS));
	refused(doca_flow_pipe_cfg_set_domain(cfg, DOCA_FLOW_PIPE_DOMAIN_EGRESS), DOCA_ERROR_ALREADY_EXIST,
		"domain-once");
	refused(doca_flow_pipe_create(cfg, &to_p1, &drop, &pipe), DOCA_ERROR_NOT_SUPPORTED, "crypto");
	must(doca_flow_pipe_cfg_destroy(cfg));
}

int main(int argc, char **argv)
{
	struct fastpath *fastpath = fastpath_start(config, (const char *const *)(uintptr_t)(argv + 1));

	(void)argc;
	flow_attach(fastpath, "doca-pipes", 0);
	flow_start("switch,hws", 64, pipe_event);
	flow_ports(3, true);
	ok(doca_flow_port_switch_get(ports[2]) == ports[0] && doca_flow_port_switch_get(NULL) == ports[0],
		"the switch port");
	rules();
	lpm();
	acl();
	control();
	hash();
	flooding_root();
	ordered_list();
	encap_and_shared();
	resize();
	ageing();
	busy_entry();
	restart();
	refused(doca_flow_port_stop(ports[0]), DOCA_ERROR_IN_USE, "switch-port-last");
	for (int i = 2; i >= 0; i--)
		must(doca_flow_port_stop(ports[i]));
	flow_close();
	ok(!fastpath_stop(fastpath), "the fast path ends in good order");
	return tap_done();
}
