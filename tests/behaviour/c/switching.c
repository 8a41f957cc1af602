// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Samples flow_switch, flow_switch_single, flow_switch_control_pipe, flow_switch_to_wire and flow_switch_rss: one switch,
// all pipes on its manager, representors as sources and targets.
#include "rig.h"

enum {
	WIRE = DOCA_FLOW_RINGFIELD_PACKET_WIRE,
	RSS = DOCA_FLOW_RINGFIELD_PACKET_RSS,
	KERNEL = DOCA_FLOW_RINGFIELD_PACKET_KERNEL
};

static struct doca_flow_port *manager;

static struct rig_frame flow(bool tcp, uint8_t host, uint16_t sport)
{
	return rig_frame4(tcp, IP(1, 2, 3, 4), IP(8, 8, 8, host), sport, 80, 20);
}

// The manager is found from any port and from none.
static void proxy(void)
{
	manager = doca_flow_port_switch_get(NULL);
	ok(manager != NULL, "a switch manager port");
	for (uint16_t i = 0; i < rig.nr_ports; i++)
		ok(doca_flow_port_switch_get(rig.port[i]) == manager, "port %u hangs on it", i);
	ok(manager == rig.port[0], "and it is the uplink");
}

// flow_switch, flow_switch_single: 5-tuples to representors, UDP to the kernel, the rest to software, IPv6 dropped.
static void single(void)
{
	struct doca_flow_match template = rig_tuple_match(true), key, match = {0};
	struct rig_pipe p = {.name = "TUPLES", .match = &template};
	uint16_t queue = 0;
	struct doca_flow_fwd rss = {
		.type = DOCA_FLOW_FWD_RSS, .rss_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	struct doca_flow_fwd kernel = {.type = DOCA_FLOW_FWD_TARGET}, fwd, drop = rig_fwd_drop();
	struct rig_frame first = flow(true, 1, 1000), second = flow(true, 2, 1000),
			 other = flow(true, 3, 1000);
	struct rig_frame datagram = flow(false, 1, 1000), six = first;
	struct doca_flow_pipe *tuples, *root;

	success(doca_flow_get_target(DOCA_FLOW_TARGET_KERNEL, &kernel.target));
	rss.rss.queues_array = &queue;
	rss.rss.nr_queues = 1;
	rss.rss.outer_flags = DOCA_FLOW_RSS_IPV4 | DOCA_FLOW_RSS_TCP;
	p.fwd = rig_fwd_port(UINT16_MAX);
	// RSS is no fwd_miss: a pipe that sends everything to software is.
	{
		struct rig_pipe all = {.name = "REST", .fwd = rss};
		struct doca_flow_pipe *rest = rig_pipe(manager, &all);

		rig_add(manager, rest, NULL, NULL, NULL, NULL);
		p.fwd_miss = rig_fwd_pipe(rest);
	}
	tuples = rig_pipe(manager, &p);
	for (uint8_t host = 1; host <= 2; host++) {
		key = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, host), 1000, 80);
		fwd = rig_fwd_port(host);
		rig_add(manager, tuples, &key, NULL, NULL, &fwd);
	}
	p = (struct rig_pipe){.name = "ROOT", .type = DOCA_FLOW_PIPE_CONTROL, .is_root = true};
	root = rig_pipe(manager, &p);
	match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV6;
	rig_add_control(manager, root, 0, &match, NULL, &drop);
	match = (struct doca_flow_match){.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_UDP};
	rig_add_control(manager, root, 1, &match, NULL, &kernel);
	fwd = rig_fwd_pipe(tuples);
	rig_add_control(manager, root, 2, NULL, NULL, &fwd);

	six.bytes[12] = 0x86;
	six.bytes[13] = 0xdd;
	six.bytes[14] = 0x60;
	rig_send(0, &first);
	rig_send(0, &second);
	rig_send(0, &other);
	rig_send(0, &datagram);
	rig_send(0, &six);
	rig_send(2, &first); // from a representor the same pipeline
	rig_settle();
	rig_wire(1, &first);
	rig_wire(1, &first);
	rig_wire(2, &second);
	ok(rig_take(RSS, 0, &other, NULL, NULL), "the rest goes to software");
	ok(rig_take(KERNEL, 0, &datagram, NULL, NULL), "UDP goes to the kernel");
	rig_done();
	ok(rig_drops("pipe") == 1, "IPv6 is dropped");
	doca_flow_port_pipes_flush(manager);
}

// flow_switch_control_pipe: entries by source port, everything else dropped.
static void control(void)
{
	struct rig_pipe p = {.name = "BY_SPORT", .type = DOCA_FLOW_PIPE_CONTROL, .is_root = true};
	struct doca_flow_pipe *root = rig_pipe(manager, &p);
	struct doca_flow_match match = {0};
	struct doca_flow_fwd fwd = rig_fwd_drop();
	uint64_t before = rig_drops("pipe");
	struct rig_frame f[3];

	rig_add_control(manager, root, 7, NULL, NULL, &fwd);
	match.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_TCP;
	match.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP;
	for (uint16_t i = 0; i < 2; i++) {
		match.outer.tcp.l4_port.src_port = DOCA_HTOBE16(1234 + i);
		fwd = rig_fwd_port(1 + i);
		rig_add_control(manager, root, 0, &match, NULL, &fwd);
	}
	for (uint16_t i = 0; i < 3; i++) {
		f[i] = flow(true, 8, 1234 + i);
		rig_send(0, &f[i]);
	}
	rig_settle();
	rig_wire(1, &f[0]);
	rig_wire(2, &f[1]);
	rig_done();
	ok(rig_drops("pipe") == before + 1, "another source port is dropped");
	doca_flow_port_pipes_flush(manager);
}

// flow_switch_to_wire: judged by source port, through the egress domain: wire to wire, wire to representor, back.
static void to_wire(void)
{
	struct doca_flow_match template = {0}, key = {0}, in = {0};
	struct rig_pipe p = {.name = "EGRESS",
		.is_root = true,
		.domain = DOCA_FLOW_PIPE_DOMAIN_EGRESS,
		.match = &template};
	struct doca_flow_actions ttl = {.outer = {.l3_type = DOCA_FLOW_L3_TYPE_IP4, .ip4.ttl = 9}};
	struct rig_frame hairpin = flow(true, 8, 1234), to_rep = flow(true, 9, 1234),
			 from_rep = flow(true, 8, 99), after;
	struct doca_flow_pipe *egress, *root;
	struct doca_flow_fwd fwd;

	template.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	template.outer.ip4.dst_ip = UINT32_MAX;
	p.fwd = rig_fwd_port(UINT16_MAX);
	p.fwd_miss = rig_fwd_drop();
	p.actions = &ttl;
	egress = rig_pipe(manager, &p);
	key.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	for (uint16_t i = 0; i < 2; i++) {
		key.outer.ip4.dst_ip = IP(8, 8, 8, 8 + i);
		fwd = rig_fwd_port(i);
		rig_add(manager, egress, &key, NULL, NULL, &fwd);
	}
	p = (struct rig_pipe){.name = "INGRESS", .is_root = true, .match = &in};
	in.parser_meta.port_id = UINT16_MAX;
	p.fwd = rig_fwd_port(0);
	p.fwd_miss = rig_fwd_drop();
	root = rig_pipe(manager, &p);
	for (uint16_t i = 0; i < 2; i++) {
		struct doca_flow_match from = {.parser_meta.port_id = i};

		rig_add(manager, root, &from, NULL, NULL, NULL);
	}
	rig_send(0, &hairpin);
	rig_send(0, &to_rep);
	rig_send(1, &from_rep);
	rig_settle();
	for (struct rig_frame *f = &hairpin; f; f = f == &hairpin  ? &to_rep
						    : f == &to_rep ? &from_rep
								   : NULL) {
		after = *f;
		after.bytes[22] = 9;
		rig_frame_checksums(&after);
		ok(rig_take(WIRE, f == &to_rep ? 1 : 0, &after, NULL, NULL), "leaves by way of egress");
	}
	rig_done();
	doca_flow_port_pipes_flush(manager);
}

// flow_switch_rss: a representor's packets to software queues, with the mark that says where they came from; software
// sends them on.
static void to_software(void)
{
	struct doca_flow_match in = {0}, from = {0};
	struct doca_flow_actions mark = {0};
	struct rig_pipe p = {.name = "RSS", .is_root = true, .match = &in, .actions = &mark};
	uint16_t queues[] = {0, 1};
	struct rig_frame f = flow(true, 8, 5);
	struct doca_flow_pipe *root;
	uint32_t meta = 0;
	uint16_t queue = 9;

	in.parser_meta.port_id = UINT16_MAX;
	mark.meta.pkt_meta = UINT32_MAX;
	p.fwd = (struct doca_flow_fwd){
		.type = DOCA_FLOW_FWD_RSS, .rss_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	p.fwd.rss.queues_array = queues;
	p.fwd.rss.nr_queues = 2;
	p.fwd.rss.outer_flags = DOCA_FLOW_RSS_IPV4;
	root = rig_pipe(manager, &p);
	from.parser_meta.port_id = 2;
	mark.meta.pkt_meta = DOCA_HTOBE32(0x20002);
	rig_add(manager, root, &from, &mark, NULL, NULL);
	rig_send(2, &f);
	rig_settle();
	ok(rig_take(RSS, 2, &f, &meta, &queue), "software sees it");
	ok(meta == 0x20002 && queue < 2, "with its mark and on one of the queues: 0x%x, %u", meta, queue);
	rig_transmit(1, &f);
	rig_settle();
	rig_wire(1, &f);
	rig_done();
	doca_flow_port_pipes_flush(manager);
}

// The default miss of a switch is RSS, whatever port the packet came from.
static void default_miss(void)
{
	struct doca_flow_match in = {.parser_meta.port_id = UINT16_MAX};
	struct rig_pipe p = {.name = "NOTHING", .is_root = true, .match = &in};
	struct rig_frame f = flow(true, 8, 6);

	p.fwd = rig_fwd_drop();
	rig_pipe(manager, &p);
	rig_send(0, &f);
	rig_settle();
	ok(rig_take(RSS, 0, &f, NULL, NULL), "a miss goes to software");
	rig_done();
	doca_flow_port_pipes_flush(manager);
}

int main(void)
{
	const struct rig_options options = {.mode = "switch,hws", .nr_ports = 3, .queues = 2};

	rig_start(&options);
	proxy();
	single();
	control();
	to_wire();
	to_software();
	default_miss();
	rig_stop();
	return tap_done();
}
