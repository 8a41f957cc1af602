// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Samples flow_shared_counter, flow_shared_meter and flow_vxlan_shared_encap: resources reserved by count, configured and
// bound by id, referred to by several pipes and ports.
#include "rig.h"

#define COUNTER DOCA_FLOW_SHARED_RESOURCE_COUNTER
#define METER   DOCA_FLOW_SHARED_RESOURCE_METER

static struct rig_frame tcp, udp;

static uint64_t shared_hits(uint32_t id)
{
	struct doca_flow_resource_query q;

	success(doca_flow_shared_resources_query(COUNTER, &id, &q, 1));
	return q.counter.total_pkts;
}

static struct doca_flow_pipe *tuple_pipe(
	uint16_t port, bool is_tcp, const struct doca_flow_monitor *monitor, struct doca_flow_fwd fwd)
{
	struct doca_flow_match match = rig_tuple_match(is_tcp);
	struct rig_pipe p = {.name = is_tcp ? "TCP" : "UDP", .match = &match, .monitor = monitor, .fwd = fwd};

	p.fwd_miss = rig_fwd_drop();
	return rig_pipe(rig.port[port], &p);
}

static void tuple_entry(
	uint16_t port, struct doca_flow_pipe *pipe, bool is_tcp, const struct doca_flow_monitor *monitor)
{
	struct doca_flow_match match = rig_tuple(is_tcp, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80);

	rig_add(rig.port[port], pipe, &match, NULL, monitor, NULL);
}

// A control root that sends TCP and UDP to pipes of their own.
static void split(uint16_t port, struct doca_flow_pipe *to_tcp, struct doca_flow_pipe *to_udp)
{
	struct rig_pipe p = {.name = "SPLIT", .type = DOCA_FLOW_PIPE_CONTROL, .is_root = true};
	struct doca_flow_pipe *pipe = rig_pipe(rig.port[port], &p);
	struct doca_flow_match match = {0};
	struct doca_flow_fwd fwd = rig_fwd_pipe(to_tcp);

	match.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_TCP;
	rig_add_control(rig.port[port], pipe, 0, &match, NULL, &fwd);
	match.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_UDP;
	fwd = rig_fwd_pipe(to_udp);
	rig_add_control(rig.port[port], pipe, 0, &match, NULL, &fwd);
}

// One counter for the TCP and the UDP entry of a port; ports have different ones.
static void counters(void)
{
	struct doca_flow_monitor any = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_SHARED};
	struct doca_flow_shared_resource_cfg cfg = {0};

	any.shared_counter.shared_counter_id = UINT32_MAX;
	for (uint16_t port = 0; port < 2; port++) {
		uint32_t id = port + 1u;
		struct doca_flow_monitor mine = any;
		struct doca_flow_pipe *pipes[2];

		mine.shared_counter.shared_counter_id = id;
		success(doca_flow_shared_resource_set_cfg(COUNTER, id, &cfg));
		success(doca_flow_shared_resources_bind(COUNTER, &id, 1, rig.port[port]));
		for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
			pipes[is_tcp] = tuple_pipe(port, is_tcp, &any, rig_fwd_port(port ^ 1));
			tuple_entry(port, pipes[is_tcp], is_tcp, &mine);
		}
		split(port, pipes[1], pipes[0]);
		ok(shared_hits(id) == 0, "counter %u starts at zero", id);
	}
	rig_send(0, &tcp);
	rig_send(0, &udp);
	rig_send(0, &udp);
	rig_send(1, &tcp);
	rig_settle();
	rig_wire(1, &tcp);
	rig_wire(1, &udp);
	rig_wire(1, &udp);
	rig_wire(0, &tcp);
	rig_done();
	ok(shared_hits(1) == 3, "port 0's counter sums over both pipes: %llu",
		(unsigned long long)shared_hits(1));
	ok(shared_hits(2) == 1, "port 1's counter is its own");
	for (int port = 0; port < 2; port++)
		doca_flow_port_pipes_flush(rig.port[port]);
}

// The meter marks; a pipe behind it drops what is red. TCP and UDP share one budget.
static void meter(void)
{
	struct doca_flow_shared_resource_cfg cfg = {
		.meter_cfg = {.limit_type = DOCA_FLOW_METER_LIMIT_TYPE_PACKETS,
			.alg = DOCA_FLOW_METER_ALGORITHM_TYPE_RFC2697,
			.cir = 1,
			.cbs = 6}};
	struct doca_flow_monitor metered = {.meter_type = DOCA_FLOW_RESOURCE_TYPE_SHARED,
		.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	struct doca_flow_monitor counted = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	struct rig_pipe p = {.name = "COLOUR", .type = DOCA_FLOW_PIPE_CONTROL};
	struct doca_flow_match match = {0}, mask = {0};
	struct doca_flow_pipe *colour, *pipes[2];
	struct doca_flow_pipe_entry *green, *red;
	struct rig_status status = {0};
	struct doca_flow_fwd out = rig_fwd_port(1), drop = rig_fwd_drop();
	uint32_t id = 3;

	success(doca_flow_shared_resource_set_cfg(METER, id, &cfg));
	success(doca_flow_shared_resources_bind(METER, &id, 1, rig.port[0]));
	metered.shared_meter.shared_meter_id = id;
	colour = rig_pipe(rig.port[0], &p);
	// The width of the enum is the compiler's affair; the samples write a byte's mask as well.
	memset(&mask.parser_meta.meter_color, 0xff, sizeof(mask.parser_meta.meter_color));
	match.parser_meta.meter_color = DOCA_FLOW_METER_COLOR_GREEN;
	success(doca_flow_pipe_control_add_entry(
		0, colour, &match, &mask, NULL, NULL, NULL, NULL, &counted, 0, &out, &status, &green));
	match.parser_meta.meter_color = DOCA_FLOW_METER_COLOR_RED;
	success(doca_flow_pipe_control_add_entry(
		0, colour, &match, &mask, NULL, NULL, NULL, NULL, &counted, 0, &drop, &status, &red));
	require(rig_process(rig.port[0], &status.added, 2), "colour entries");
	for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
		pipes[is_tcp] = tuple_pipe(0, is_tcp, &metered, rig_fwd_pipe(colour));
		tuple_entry(0, pipes[is_tcp], is_tcp, &metered);
	}
	split(0, pipes[1], pipes[0]);
	for (int i = 0; i < 5; i++) {
		rig_send(0, &tcp);
		rig_send(0, &udp);
	}
	rig_settle();
	ok(rig_hits(green) >= 6 && rig_hits(green) <= 7, "the burst of six is green: %llu",
		(unsigned long long)rig_hits(green));
	ok(rig_hits(green) + rig_hits(red) == 10, "the rest is red: %llu", (unsigned long long)rig_hits(red));
	ok((uint64_t)rig_seen(DOCA_FLOW_RINGFIELD_PACKET_WIRE, 1) == rig_hits(green), "green leaves");
	ok(rig_drops("pipe") == rig_hits(red), "red is dropped by the pipe, not by the meter");
	ok(rig_drops("meter_red") == 0, "a shared meter drops nothing");
	rig_nothing_else();
	doca_flow_port_pipes_flush(rig.port[0]);
}

static struct doca_flow_resource_encap_cfg vxlan(uint8_t host, uint32_t vni)
{
	struct doca_flow_resource_encap_cfg encap = {.is_l2 = true};

	memset(encap.encap.outer.eth.src_mac, 0xaa, 6);
	memset(encap.encap.outer.eth.dst_mac, 0xbb, 6);
	encap.encap.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	encap.encap.outer.ip4.src_ip = IP(11, 21, 31, host);
	encap.encap.outer.ip4.dst_ip = IP(81, 81, 81, host);
	encap.encap.outer.ip4.ttl = 17;
	encap.encap.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_UDP;
	encap.encap.outer.udp.l4_port.dst_port = DOCA_HTOBE16(DOCA_FLOW_VXLAN_DEFAULT_PORT);
	encap.encap.tun.type = DOCA_FLOW_TUN_VXLAN;
	encap.encap.tun.vxlan_tun_id = DOCA_HTOBE32(vni);
	return encap;
}

// What vxlan() must make of a frame.
static struct rig_frame wrapped(const struct rig_frame *inner, uint8_t host, uint32_t vni)
{
	struct rig_frame f = rig_frame4(false, IP(11, 21, 31, host), IP(81, 81, 81, host), 0,
		DOCA_FLOW_VXLAN_DEFAULT_PORT, inner->length + 8);
	uint8_t *header = f.bytes + 42;

	memset(f.bytes, 0xbb, 6);
	memset(f.bytes + 6, 0xaa, 6);
	memset(header, 0, 8);
	header[0] = 8;
	header[4] = (uint8_t)(vni >> 16);
	header[5] = (uint8_t)(vni >> 8);
	header[6] = (uint8_t)vni;
	memcpy(header + 8, inner->bytes, inner->length);
	f.bytes[18] = f.bytes[19] = 0; // identification
	f.bytes[22] = 17;
	rig_frame_checksums(&f);
	f.bytes[40] = f.bytes[41] = 0; // a UDP checksum of none
	return f;
}

// Two entries of one egress pipe, TCP and UDP, with encapsulations that are shared with other entries.
static void encap(void)
{
	struct doca_flow_actions any = {
		.encap_type = DOCA_FLOW_RESOURCE_TYPE_SHARED, .shared_encap_id = UINT32_MAX};
	struct doca_flow_match template = {0}, match = {0};
	struct rig_frame first, second;

	template.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	template.outer.ip4.next_proto = UINT8_MAX;
	template.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TRANSPORT;
	template.outer.transport.dst_port = UINT16_MAX;
	match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	match.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TRANSPORT;
	match.outer.transport.dst_port = DOCA_HTOBE16(80);
	for (uint32_t id = 0; id < 2; id++) {
		struct doca_flow_shared_resource_cfg cfg = {
			.encap_cfg = vxlan((uint8_t)(41 + id), 0xadad + id)};

		success(doca_flow_shared_resource_set_cfg(DOCA_FLOW_SHARED_RESOURCE_ENCAP, id, &cfg));
		success(doca_flow_shared_resources_bind(DOCA_FLOW_SHARED_RESOURCE_ENCAP, &id, 1, NULL));
	}
	for (uint16_t port = 0; port < 2; port++) {
		struct rig_pipe p = {.name = "TO_PEER", .is_root = true};
		struct doca_flow_pipe *pipe;

		p.fwd = rig_fwd_port(port ^ 1);
		rig_add(rig.port[port], rig_pipe(rig.port[port], &p), NULL, NULL, NULL, NULL);
		p = (struct rig_pipe){.name = "SHARED_ENCAP",
			.is_root = true,
			.domain = DOCA_FLOW_PIPE_DOMAIN_EGRESS,
			.match = &template,
			.actions = &any};
		p.fwd = rig_fwd_port(port);
		p.fwd_miss = rig_fwd_drop();
		pipe = rig_pipe(rig.port[port], &p);
		for (uint32_t id = 0; id < 2; id++) {
			struct doca_flow_actions actions = {.encap_type = DOCA_FLOW_RESOURCE_TYPE_SHARED,
				.shared_encap_id = (id + port) % 2};

			match.outer.ip4.next_proto = id ? DOCA_FLOW_PROTO_UDP : DOCA_FLOW_PROTO_TCP;
			rig_add(rig.port[port], pipe, &match, &actions, NULL, NULL);
		}
	}
	rig_send(0, &tcp);
	rig_send(0, &udp);
	rig_send(1, &tcp);
	rig_settle();
	// Port 0's packets leave by port 1, whose TCP entry has encapsulation 1.
	first = wrapped(&tcp, 42, 0xadae);
	second = wrapped(&udp, 41, 0xadad);
	rig_wire(1, &first);
	rig_wire(1, &second);
	first = wrapped(&tcp, 41, 0xadad);
	rig_wire(0, &first);
	rig_done();
}

int main(void)
{
	struct rig_options options = {.mode = "vnf,hws", .nr_ports = 2};

	options.nr_shared[COUNTER] = 4;
	options.nr_shared[METER] = 4;
	options.nr_shared[DOCA_FLOW_SHARED_RESOURCE_ENCAP] = 2;
	rig_start(&options);
	tcp = rig_frame4(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80, 40);
	udp = rig_frame4(false, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80, 30);
	counters();
	meter();
	encap();
	rig_stop();
	return tap_done();
}
