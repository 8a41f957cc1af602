// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Samples flow_ct_tcp, flow_ct_tcp_actions, flow_ct_tcp_entry_finalize, flow_ct_tcp_wire_to_wire: TCP connections that the
// program adds at a SYN and removes at FIN or RST; what they change; their last counts; their mark.
#include "ct_rig.h"

enum {
	SYN = DOCA_FLOW_MATCH_TCP_FLAG_SYN,
	FIN = DOCA_FLOW_MATCH_TCP_FLAG_FIN,
	RST = DOCA_FLOW_MATCH_TCP_FLAG_RST
};

static struct doca_flow_pipe *rss, *out, *flags_pipe;

static struct rig_frame tcp_frame(bool reply, uint8_t flags, uint32_t payload)
{
	struct rig_frame frame = reply ? rig_frame4(true, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 2, 1, payload)
				       : rig_frame4(true, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 1, 2, payload);

	frame.bytes[47] = flags;
	rig_frame_checksums(&frame);
	return frame;
}

// Known data leaves by port 1, SYN, FIN and RST come to software.
static void lower_pipes(void)
{
	const struct doca_flow_match nothing = {0};
	struct doca_flow_match match = {0}, mask = {0};
	struct rig_pipe p = {.name = "EGRESS",
		.domain = DOCA_FLOW_PIPE_DOMAIN_EGRESS,
		.is_root = true,
		.match = &nothing,
		.fwd = rig_fwd_port(1)};

	rss = ct_any(rig.port[0], "RSS", ct_fwd_rss(), NULL);
	out = rig_pipe(rig.port[0], &p);
	rig_add(rig.port[0], out, &nothing, NULL, NULL, NULL);
	match.outer.l4_type_ext = mask.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP;
	match.outer.tcp.flags = 0xff;
	mask.outer.tcp.flags = SYN | FIN | RST;
	p = (struct rig_pipe){.name = "FLAGS",
		.match = &match,
		.match_mask = &mask,
		.fwd = rig_fwd_pipe(out),
		.fwd_miss = rig_fwd_pipe(rss)};
	flags_pipe = rig_pipe(rig.port[0], &p);
	match.outer.tcp.flags = 0;
	rig_add(rig.port[0], flags_pipe, &match, NULL, NULL, NULL);
}

static void finalized(struct doca_flow_pipe *pipe, void *entry, uint16_t queue, void *usr_ctx)
{
	struct rig_status *status = usr_ctx;
	struct doca_flow_ct_match origin;

	ok(status->deleted == 1 && queue == CT_QUEUE, "the last callback comes behind DEL");
	ct_counts(pipe, entry, 2, 1);
	success(doca_flow_ct_get_entry(queue, pipe, 0, entry, &origin, NULL, NULL, NULL, NULL));
	ok(origin.ipv4.src_ip == IP(2, 2, 2, 2), "it still knows what it was");
	refused(DOCA_ERROR_BAD_STATE, doca_flow_ct_rm_entry(queue, pipe, 0, entry));
	status->queue = 77;
}

static void session(void)
{
	const struct rig_options rig_options = {.mode = "switch,hws", .nr_ports = 2};
	const struct ct_options options = {
		.flags = DOCA_FLOW_CT_FLAG_NO_AGING, .asymmetric = 64, .finalize_cb = finalized};
	struct doca_flow_ct_match match = ct_match4(true, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 1, 2);
	struct rig_frame syn = tcp_frame(false, SYN, 0), data = tcp_frame(false, 0x10, 40),
			 reply = tcp_frame(true, 0x10, 41), fin = tcp_frame(false, FIN, 0),
			 rst = tcp_frame(true, RST, 0);
	struct doca_flow_pipe_entry *entry;
	struct rig_status status = {0};
	struct doca_flow_pipe *ct;

	ct_rig_start(&rig_options, &options);
	lower_pipes();
	ct = ct_pipe(rig.port[0], flags_pipe, rss);
	ct_root(rig.port[0], ct);
	rig_send(0, &syn);
	rig_settle();
	ct_soft(0, &syn);
	entry = ct_add(ct, CT_BOTH | CT_COUNTED | DOCA_FLOW_CT_ENTRY_FLAGS_ENTRY_FINALIZE, &match, NULL, NULL,
		NULL, 0, &status);
	rig_transmit(1, &syn);
	rig_send(0, &data);
	rig_send(0, &reply);
	rig_send(0, &fin);
	rig_settle();
	rig_wire(1, &syn);
	rig_wire(1, &data);
	rig_wire(1, &reply);
	ct_soft(0, &fin);
	rig_done();
	ct_remove(ct, entry, &status);
	ok(status.queue == 77, "the finalize callback was called");
	rig_send(0, &data);
	rig_send(0, &rst);
	rig_settle();
	ct_soft(0, &data);
	ct_soft(0, &rst);
	rig_done();
	ct_rig_stop();
}

// A shared action on origin, one of the connection's own on reply: metadata, and the whole tuple.
static void actions(void)
{
	const struct rig_options rig_options = {.mode = "switch,hws,expert", .nr_ports = 2};
	const struct ct_options options = {.flags = DOCA_FLOW_CT_FLAG_NO_AGING, .user_actions = 2};
	const struct doca_flow_match nothing = {0};
	struct doca_flow_actions meta = {0}, meta_mask = {0}, nat = {0};
	struct doca_flow_actions *list[] = {&meta, &nat}, *masks[] = {&meta_mask, &nat};
	struct doca_flow_ct_match match = ct_match4(true, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 1, 2),
				  other = ct_match4(true, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 1, 9);
	struct doca_flow_ct_actions shared = {.resource_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED},
				    origin = {0},
				    reply = {.resource_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	struct rig_frame data = tcp_frame(false, 0x10, 40), back = tcp_frame(true, 0x10, 40), frame;
	struct doca_flow_pipe_entry *entry, *second;
	struct rig_pipe p = {.name = "CT", .type = DOCA_FLOW_PIPE_CT, .match = &nothing};
	struct rig_status status = {0};
	struct doca_flow_pipe *ct;
	uint32_t handle, none, got;
	bool found;

	ct_rig_start(&rig_options, &options);
	lower_pipes();
	meta.meta.pkt_meta = meta.meta.u32[0] = UINT32_MAX;
	meta_mask.meta.pkt_meta = meta_mask.meta.u32[0] = DOCA_HTOBE32(0xffff);
	nat.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	nat.outer.ip4.src_ip = nat.outer.ip4.dst_ip = UINT32_MAX;
	nat.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP;
	nat.outer.transport.src_port = nat.outer.transport.dst_port = UINT16_MAX;
	p.actions_list = list;
	p.masks_list = masks;
	p.nr_actions = 2;
	p.fwd = rig_fwd_pipe(rss); // so that software sees the metadata
	p.fwd_miss = rig_fwd_pipe(out);
	ct = rig_pipe(rig.port[0], &p);
	ct_root(rig.port[0], ct);
	shared.data.meta.flow.pkt_meta = shared.data.meta.flow.u32[0] = DOCA_HTOBE32(0xabc0001);
	success(doca_flow_ct_actions_add_shared(CT_QUEUE, ct, &shared, 1, &handle));
	origin.resource_type = DOCA_FLOW_RESOURCE_TYPE_SHARED;
	origin.action_handle = handle;
	reply.data.action_idx = 1;
	reply.data.l4_port.src_port = DOCA_HTOBE16(1);
	reply.data.l4_port.dst_port = DOCA_HTOBE16(2);
	reply.data.ip4.src_ip = IP(2, 2, 2, 2);
	reply.data.ip4.dst_ip = IP(1, 1, 1, 1);
	entry = ct_add(ct, CT_BOTH, &match, NULL, &origin, &reply, 0, &status);
	rig_send(0, &data);
	rig_send(0, &back);
	rig_settle();
	ok(rig_take(DOCA_FLOW_RINGFIELD_PACKET_RSS, 0, &data, &got, NULL) && got == 1,
		"origin has its metadata, under the template's mask: 0x%x", got);
	ok(rig_take(DOCA_FLOW_RINGFIELD_PACKET_RSS, 0, &data, &got, NULL) && !got,
		"reply comes out as origin's tuple, with right checksums");
	rig_done();

	// Of the two user actions both are taken.
	refused(DOCA_ERROR_NO_MEMORY, doca_flow_ct_actions_add_shared(CT_QUEUE, ct, &shared, 1, &none));
	success(doca_flow_ct_entry_prepare(CT_QUEUE, ct, CT_ALLOC, &other, 0, NULL, 0, &second, &found));
	refused(DOCA_ERROR_NO_MEMORY, doca_flow_ct_add_entry(CT_QUEUE, ct, CT_BOTH | CT_NOW, &other, NULL,
					      &reply, NULL, 0, 0, 0, &status, second));
	success(doca_flow_ct_entry_prepare_rollback(CT_QUEUE, ct, second));

	// A changed shared action reaches connections that are there.
	shared.data.meta.flow.pkt_meta = DOCA_HTOBE32(7);
	success(doca_flow_ct_actions_update_shared(CT_QUEUE + 1, ct, &shared, 1, &handle));
	rig_send(0, &data);
	rig_settle();
	ok(rig_take(DOCA_FLOW_RINGFIELD_PACKET_RSS, 0, &data, &got, NULL) && got == 7,
		"origin has the new metadata: 0x%x", got);
	ok(!status.updated, "which the connection is not called back for");
	// Into one of another template, and back.
	shared.data.action_idx = 1;
	shared.data.l4_port = reply.data.l4_port;
	shared.data.ip4.src_ip = IP(9, 9, 9, 9);
	shared.data.ip4.dst_ip = IP(1, 1, 1, 1);
	success(doca_flow_ct_actions_update_shared(CT_QUEUE + 1, ct, &shared, 1, &handle));
	rig_send(0, &data);
	rig_settle();
	frame = data;
	memcpy(frame.bytes + 26, (const uint8_t[]){9, 9, 9, 9}, 4);
	rig_frame_checksums(&frame);
	ct_soft(0, &frame);
	shared.data.action_idx = 0;
	success(doca_flow_ct_actions_update_shared(CT_QUEUE + 1, ct, &shared, 1, &handle));
	success(doca_flow_ct_actions_rm_shared(CT_QUEUE + 1, ct, &handle, 1));
	rig_send(0, &data);
	rig_settle();
	ok(rig_take(DOCA_FLOW_RINGFIELD_PACKET_RSS, 0, &data, &got, NULL) && got == 7,
		"a connection keeps what it has of a removed action");
	refused(DOCA_ERROR_INVALID_VALUE,
		doca_flow_ct_actions_update_shared(CT_QUEUE, ct, &shared, 1, &handle));

	success(doca_flow_ct_update_entry(CT_QUEUE, ct, CT_NOW, entry, NULL, NULL, 0, 0, 0));
	require(ct_process(rig.port[0], &status.updated, 1), "updated");
	rig_send(0, &data);
	rig_settle();
	ok(rig_take(DOCA_FLOW_RINGFIELD_PACKET_RSS, 0, &data, &got, NULL) && got == 7,
		"also when it is updated");
	status.updated = 0;

	// An update of the connection: another action, another forward of none, on origin only.
	reply.data.ip4.src_ip = IP(7, 7, 7, 7);
	success(doca_flow_ct_update_entry(CT_QUEUE, ct, CT_NOW, entry, &reply, NULL, 0, 0, 0));
	require(ct_process(rig.port[0], &status.updated, 1), "updated");
	rig_send(0, &data);
	rig_send(0, &back);
	rig_settle();
	frame = data;
	memcpy(frame.bytes + 26, (const uint8_t[]){7, 7, 7, 7}, 4);
	rig_frame_checksums(&frame);
	ct_soft(0, &frame);
	ct_soft(0, &data);
	rig_done();
	ct_rig_stop();
}

// The 24 bit mark of a connection, which software sees.
static void mark(void)
{
	const struct rig_options rig_options = {.mode = "switch,hws,expert", .nr_ports = 2};
	const struct ct_options options = {.flags = DOCA_FLOW_CT_FLAG_NO_AGING |
						    DOCA_FLOW_CT_FLAG_ORIGIN_WIRE |
						    DOCA_FLOW_CT_FLAG_REPLY_WIRE,
		.user_actions = 1,
		.modify = {{.mark = DOCA_HTOBE32(0xffffff)}, {.mark = DOCA_HTOBE32(0xffffff)}}};
	struct doca_flow_ct_match match = ct_match4(true, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 1, 2);
	struct doca_flow_ct_actions action = {.resource_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	struct rig_frame data = tcp_frame(false, 0x10, 40), reply = tcp_frame(true, 0x10, 40);
	struct doca_flow_actions meta = {.meta = {.pkt_meta = UINT32_MAX}};
	struct rig_pipe p = {.name = "CT", .type = DOCA_FLOW_PIPE_CT, .actions = &meta};
	struct rig_status status = {0};
	struct doca_flow_pipe *ct;

	ct_rig_start(&rig_options, &options);
	lower_pipes();
	p.fwd = rig_fwd_pipe(rss);
	p.fwd_miss = rig_fwd_pipe(rss);
	ct = rig_pipe(rig.port[0], &p);
	ct_root(rig.port[0], ct);
	action.data.meta.mark = DOCA_HTOBE32(0x123456);
	ct_add(ct, CT_BOTH, &match, NULL, &action, NULL, 0, &status);
	rig_send(0, &data);
	rig_send(0, &reply);
	rig_settle();
	ct_soft(0, &data);
	ok(rig_mark == 0x123456, "origin is marked: 0x%x", rig_mark);
	ct_soft(0, &reply);
	ok(rig_mark == 0, "reply is not: 0x%x", rig_mark);
	rig_done();
	ct_rig_stop();
}

int main(void)
{
	session();
	actions();
	mark();
	return tap_done();
}
