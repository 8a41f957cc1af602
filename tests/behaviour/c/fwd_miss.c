// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Sample flow_fwd_miss: misses are counted per pipe, chained, and exchanged while the pipeline is in use: first the
// missed packets have their IPv4 DSCP written, after the update a VLAN tag is pushed. The port's default miss, too.
#include "rig.h"

static struct doca_flow_pipe *root, *selector;

static uint64_t misses(struct doca_flow_pipe *pipe)
{
	struct doca_flow_resource_query q;

	success(doca_flow_resource_query_pipe_miss(pipe, &q));
	return q.counter.total_pkts;
}

static struct doca_flow_pipe *all(
	const char *name, struct doca_flow_actions *actions, const struct doca_flow_match *match)
{
	struct rig_pipe p = {.name = name, .actions = actions, .match = match};
	struct doca_flow_pipe *pipe;

	p.fwd = rig_fwd_port(1);
	p.fwd_miss = rig_fwd_drop();
	pipe = rig_pipe(rig.port[0], &p);
	rig_add(rig.port[0], pipe, match, NULL, NULL, NULL);
	return pipe;
}

static void update(void)
{
	struct doca_flow_actions dscp = {.outer = {.l3_type = DOCA_FLOW_L3_TYPE_IP4, .ip4.dscp_ecn = 5}};
	struct doca_flow_actions vlan = {.has_push = true};
	struct rig_frame hit = rig_frame4(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80, 50);
	struct rig_frame missed = rig_frame4(true, IP(2, 2, 2, 2), IP(3, 3, 3, 3), 1234, 80, 92),
			 after = missed, tagged = missed;
	struct rig_frame other = rig_frame4(false, IP(2, 2, 2, 2), IP(3, 3, 3, 3), 1, 2, 10);
	struct doca_flow_match tuple = rig_tuple_match(true), tcp = {0}, entry;
	struct rig_pipe p = {.name = "SELECTOR", .miss_counter = true, .match = &tcp};
	struct doca_flow_pipe *modify, *push;
	struct doca_flow_fwd fwd;

	after.bytes[15] = 5;
	rig_frame_checksums(&after);
	rig_frame_tag(&tagged, 564);
	vlan.push.type = DOCA_FLOW_PUSH_ACTION_VLAN;
	vlan.push.vlan.eth_type = DOCA_HTOBE16(DOCA_FLOW_ETHER_TYPE_VLAN);
	vlan.push.vlan.vlan_hdr.tci = DOCA_HTOBE16(564);
	modify = all("MODIFY", &dscp, NULL);
	push = all("PUSH", &vlan, NULL);
	tcp.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_TCP;
	p.fwd = rig_fwd_pipe(modify);
	p.fwd_miss = rig_fwd_drop();
	selector = rig_pipe(rig.port[0], &p);
	rig_add(rig.port[0], selector, NULL, NULL, NULL, NULL);
	p.name = "ROOT";
	p.is_root = true;
	p.match = &tuple;
	p.fwd = rig_fwd_port(1);
	p.fwd_miss = rig_fwd_pipe(selector);
	root = rig_pipe(rig.port[0], &p);
	entry = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80);
	rig_add(rig.port[0], root, &entry, NULL, NULL, NULL);

	rig_send(0, &hit);
	rig_send(0, &missed);
	rig_send(0, &other);
	rig_settle();
	rig_wire(1, &hit);
	rig_wire(1, &after);
	rig_done();
	ok(misses(root) == 2 && misses(selector) == 1, "misses are counted where they happen: %llu, %llu",
		(unsigned long long)misses(root), (unsigned long long)misses(selector));
	ok(rig_drops("pipe") == 1, "and the last one is dropped");

	fwd = rig_fwd_pipe(push);
	success(doca_flow_pipe_update_miss(root, &fwd));
	rig_send(0, &hit);
	rig_send(0, &missed);
	rig_settle();
	rig_wire(1, &hit);
	rig_wire(1, &tagged);
	rig_done();
	ok(misses(root) == 3 && misses(selector) == 1, "after the update the selector sees nothing");

	fwd = rig_fwd_drop();
	success(doca_flow_pipe_update_miss(root, &fwd));
	rig_send(0, &missed);
	rig_settle();
	rig_done();
	ok(rig_drops("pipe") == 2, "a miss can become a drop");
}

// What a pipe without fwd_miss does is the port's affair.
static void default_miss(void)
{
	struct rig_frame f = rig_frame4(true, IP(7, 7, 7, 7), IP(3, 3, 3, 3), 1234, 80, 20);
	struct doca_flow_match tuple = rig_tuple_match(true);
	struct rig_pipe p = {.name = "NO_MISS", .is_root = true, .match = &tuple};
	struct doca_flow_resource_query q;

	p.fwd = rig_fwd_port(0);
	rig_pipe(rig.port[1], &p);
	rig_send(1, &f);
	rig_settle();
	ok(rig_take(DOCA_FLOW_RINGFIELD_PACKET_RSS, 1, &f, NULL, NULL),
		"vnf: the default miss is RSS to software");
	success(doca_flow_port_update_default_miss(rig.port[1], DOCA_FLOW_PORT_DEFAULT_MISS_KERNEL, true));
	rig_send(1, &f);
	rig_settle();
	ok(rig_take(DOCA_FLOW_RINGFIELD_PACKET_KERNEL, 1, &f, NULL, NULL), "it can be the kernel");
	success(doca_flow_port_update_default_miss(rig.port[1], DOCA_FLOW_PORT_DEFAULT_MISS_DROP, true));
	rig_send(1, &f);
	rig_settle();
	rig_done();
	ok(rig_drops("default_miss") == 1, "or a drop, with its own reason");
	success(doca_flow_port_query_default_miss(rig.port[1], &q));
	ok(q.counter.total_pkts == 2, "counted from the call that asked for it: %llu",
		(unsigned long long)q.counter.total_pkts);
}

int main(void)
{
	const struct rig_options options = {.mode = "vnf,hws", .nr_ports = 2};

	rig_start(&options);
	update();
	default_miss();
	rig_stop();
	return tap_done();
}
