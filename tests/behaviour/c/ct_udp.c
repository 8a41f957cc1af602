// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Samples flow_ct_udp, flow_ct_udp_single_match, flow_ct_udp_query, flow_ct_udp_tunnel_asymmetric: UDP connections that the
// program adds when their first packet comes to software; what is known leaves in VXLAN.
#include "ct_rig.h"

enum { VNI = 0xadadad };

static const struct rig_options rig_options = {.mode = "switch,hws", .nr_ports = 2};

// An egress root that puts all into VXLAN and sends it out of port 0.
static struct doca_flow_pipe *encap_pipe(void)
{
	struct doca_flow_actions actions = {.encap_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	struct doca_flow_resource_encap_cfg *cfg = &actions.encap_cfg;
	const struct doca_flow_match nothing = {0};
	const uint8_t macs[] = {2, 0, 0, 0, 0xb, 2, 2, 0, 0, 0, 0xa, 1}; // as rig_frame4()
	const struct rig_pipe p = {.name = "ENCAP",
		.domain = DOCA_FLOW_PIPE_DOMAIN_EGRESS,
		.is_root = true,
		.match = &nothing,
		.actions = &actions,
		.fwd = rig_fwd_port(0)};
	struct doca_flow_pipe *pipe;

	cfg->is_l2 = true;
	memcpy(cfg->encap.outer.eth.dst_mac, macs, 6);
	memcpy(cfg->encap.outer.eth.src_mac, macs + 6, 6);
	cfg->encap.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	cfg->encap.outer.ip4.src_ip = IP(11, 21, 31, 41);
	cfg->encap.outer.ip4.dst_ip = IP(81, 81, 81, 81);
	cfg->encap.outer.ip4.ttl = 17;
	cfg->encap.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_UDP;
	cfg->encap.outer.udp.l4_port.dst_port = DOCA_HTOBE16(DOCA_FLOW_VXLAN_DEFAULT_PORT);
	cfg->encap.tun.type = DOCA_FLOW_TUN_VXLAN;
	cfg->encap.tun.vxlan_tun_id = DOCA_HTOBE32(VNI);
	pipe = rig_pipe(rig.port[0], &p);
	rig_add(rig.port[0], pipe, &nothing, NULL, NULL, NULL);
	return pipe;
}

static struct rig_frame encapped(const struct rig_frame *frame)
{
	return ct_frame_vxlan(frame, IP(11, 21, 31, 41), IP(81, 81, 81, 81), 17, 0, VNI);
}

static struct doca_flow_pipe *pipeline(void)
{
	struct doca_flow_pipe *rss = ct_any(rig.port[0], "RSS", ct_fwd_rss(), NULL);
	struct doca_flow_pipe *ct = ct_pipe(rig.port[0], encap_pipe(), rss);

	ct_root(rig.port[0], ct);
	return ct;
}

// The first packet comes to software; then both directions are known, or only the one that was asked for.
static void both_or_one(bool single)
{
	const struct ct_options options = {
		.flags = DOCA_FLOW_CT_FLAG_NO_AGING | DOCA_FLOW_CT_FLAG_NO_COUNTER, .dup_filter = 512};
	struct rig_frame origin = rig_frame4(false, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 1, 2, 30),
			 reply = rig_frame4(false, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 2, 1, 31),
			 other = rig_frame4(false, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 1, 3, 32),
			 tcp = rig_frame4(true, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 1, 2, 33), origin_out,
			 reply_out;
	struct doca_flow_ct_match match = ct_match4(false, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 1, 2);
	uint32_t flags = single ? (uint32_t)DOCA_FLOW_CT_ENTRY_FLAGS_DIR_ORIGIN : (uint32_t)CT_BOTH;
	struct doca_flow_pipe_entry *entry;
	struct rig_status status = {0};
	struct doca_flow_pipe *ct;

	ct_rig_start(&rig_options, &options);
	ct = pipeline();
	rig_send(0, &origin);
	rig_settle();
	ct_soft(0, &origin);
	rig_done();
	entry = ct_add(ct, flags, &match, NULL, NULL, NULL, 0, &status);
	ok(doca_flow_pipe_entry_get_status(entry) == DOCA_FLOW_ENTRY_STATUS_SUCCESS, "its status says so");
	ok(status.added == 1 && status.queue == CT_QUEUE, "one callback for both directions");
	rig_send(0, &origin);
	rig_send(0, &reply);
	rig_send(0, &other);
	rig_send(0, &tcp);
	rig_settle();
	origin_out = encapped(&origin);
	reply_out = encapped(&reply);
	rig_wire(0, &origin_out);
	if (single)
		ct_soft(0, &reply);
	else
		rig_wire(0, &reply_out);
	ct_soft(0, &other);
	ct_soft(0, &tcp);
	rig_done();
	ct_remove(ct, entry, &status);
	rig_send(0, &origin);
	rig_send(0, &reply);
	rig_settle();
	ct_soft(0, &origin);
	ct_soft(0, &reply);
	rig_done();
	ct_rig_stop();
}

// A counter for each direction, and one for both.
static void counters(void)
{
	const struct ct_options options = {.flags = DOCA_FLOW_CT_FLAG_NO_AGING, .asymmetric = 1};
	struct doca_flow_ct_match first = ct_match4(false, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 1, 2),
				  second = ct_match4(false, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 2, 3),
				  third = ct_match4(false, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 3, 4);
	struct rig_frame f[] = {rig_frame4(false, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 1, 2, 30),
		rig_frame4(false, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 2, 1, 31),
		rig_frame4(false, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 2, 3, 32),
		rig_frame4(false, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 3, 2, 33)};
	struct doca_flow_pipe_entry *asymmetric, *shared, *beyond;
	struct doca_flow_resource_query o, r;
	struct rig_status status = {0};
	struct doca_flow_pipe *ct;
	uint64_t last_hit_s, flags;

	ct_rig_start(&rig_options, &options);
	ct = pipeline();
	asymmetric = ct_add(ct, CT_BOTH | CT_COUNTED, &first, NULL, NULL, NULL, 0, &status);
	shared = ct_add(ct, CT_BOTH | CT_COUNTED | CT_SHARED, &second, NULL, NULL, NULL, 0, &status);
	for (int i = 0; i < 4; i++)
		rig_send(0, &f[i]);
	rig_settle();
	for (int i = 0; i < 4; i++) {
		struct rig_frame out = encapped(&f[i]);

		rig_wire(0, &out);
	}
	rig_done();
	ct_counts(ct, asymmetric, 1, 1);
	ct_counts(ct, shared, 2, 2);
	success(doca_flow_ct_query_entry(CT_QUEUE, ct, 0, asymmetric, &o, &r, &last_hit_s));
	ok(o.counter.total_bytes == f[0].length && r.counter.total_bytes == f[1].length, "bytes as well");
	ok(last_hit_s > 1000000000, "the last hit is in seconds since the epoch");
	beyond = ct_add(ct, CT_BOTH | CT_COUNTED, &third, NULL, NULL, NULL, 0, &status);
	success(doca_flow_ct_get_entry(CT_QUEUE, ct, 0, beyond, NULL, NULL, &flags, NULL, NULL));
	ok(flags == (CT_BOTH | CT_COUNTED | CT_SHARED), "beyond the asymmetric ones a counter is shared");
	ct_rig_stop();
}

// Origin as it is, reply inside a tunnel.
static void tunnel(void)
{
	const struct ct_options options = {
		.flags = DOCA_FLOW_CT_FLAG_NO_AGING | DOCA_FLOW_CT_FLAG_ASYMMETRIC_TUNNEL,
		.asymmetric = 1,
		.inner = {false, true}};
	struct doca_flow_ct_match first = ct_match4(false, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 1, 2),
				  second = ct_match4(false, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 2, 3);
	struct rig_frame plain = rig_frame4(false, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 2, 1, 31),
			 inside = rig_frame4(false, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 3, 2, 31), reversed, f[4];
	struct doca_flow_pipe_entry *asymmetric, *shared;
	struct rig_status status = {0};
	struct doca_flow_pipe *ct;

	f[0] = rig_frame4(false, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 1, 2, 30);
	f[1] = ct_frame_vxlan(&plain, IP(9, 9, 9, 9), IP(1, 1, 1, 1), 64, 100, 5);
	f[2] = rig_frame4(false, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 2, 3, 30);
	f[3] = ct_frame_vxlan(&inside, IP(9, 9, 9, 9), IP(1, 1, 1, 1), 64, 100, 5);
	reversed = ct_frame_vxlan(&f[0], IP(9, 9, 9, 9), IP(1, 1, 1, 1), 64, 100, 5);
	ct_rig_start(&rig_options, &options);
	ct = pipeline();
	asymmetric = ct_add(ct, CT_BOTH | CT_COUNTED, &first, NULL, NULL, NULL, 0, &status);
	shared = ct_add(ct, CT_BOTH | CT_COUNTED | CT_SHARED, &second, NULL, NULL, NULL, 0, &status);
	for (int i = 0; i < 4; i++)
		rig_send(0, &f[i]);
	rig_send(0, &plain);
	rig_send(0, &reversed);
	rig_settle();
	for (int i = 0; i < 4; i++) {
		struct rig_frame out = encapped(&f[i]);

		rig_wire(0, &out);
	}
	ct_soft(0, &plain);    // the reply without its tunnel
	ct_soft(0, &reversed); // the origin inside one
	rig_done();
	ct_counts(ct, asymmetric, 1, 1);
	ct_counts(ct, shared, 2, 2);
	ct_rig_stop();
}

int main(void)
{
	both_or_one(false);
	both_or_one(true);
	counters();
	tunnel();
	return tap_done();
}
