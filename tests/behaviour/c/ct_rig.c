// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#include <time.h>

#include "ct_rig.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// -- set-up ---------------------------------------------------------------------------------------------------------

doca_error_t ct_rig_init(const struct ct_options *o)
{
	struct doca_flow_ct_cfg *cfg;
	doca_error_t result;

	success(doca_flow_ct_cfg_create(&cfg));
	success(doca_flow_ct_cfg_set_flags(cfg, o->flags));
	success(doca_flow_ct_cfg_set_queues(cfg, o->queues ? o->queues : 1));
	if (o->queue_depth)
		success(doca_flow_ct_cfg_set_queue_depth(cfg, o->queue_depth));
	success(doca_flow_ct_cfg_set_ctrl_queues(cfg, 1));
	if (o->ipv4 || o->ipv6 || o->total)
		success(doca_flow_ct_cfg_set_connections(cfg, o->ipv4, o->ipv6, o->total));
	else
		success(doca_flow_ct_cfg_set_connections(cfg, 64, 64, 0));
	if (o->zone_max)
		success(doca_flow_ct_cfg_set_max_connections_per_zone(cfg, o->zone_max));
	success(doca_flow_ct_cfg_set_user_actions(cfg, o->user_actions));
	success(doca_flow_ct_cfg_set_counter_asymmetric(cfg, o->asymmetric));
	success(doca_flow_ct_cfg_set_dup_filter_size(cfg, o->dup_filter));
	success(doca_flow_ct_cfg_set_entry_private_data_size(cfg, o->priv_bytes));
	success(doca_flow_ct_cfg_set_aging_query_delay(cfg, o->aging_delay_s));
	success(doca_flow_ct_cfg_set_entry_finalize_cb(cfg, o->finalize_cb));
	success(doca_flow_ct_cfg_set_status_update_cb(cfg, o->stats_cb));
	if (o->plugin)
		success(doca_flow_ct_cfg_set_aging_plugin_ops(cfg, o->plugin));
	for (int side = 0; side < 2; side++) {
		struct doca_flow_meta zone = o->zone[side];
		struct doca_flow_ct_meta modify = o->modify[side];

		success(doca_flow_ct_cfg_set_direction(cfg, side, o->inner[side], &zone, &modify));
	}
	result = doca_flow_ct_init(cfg);
	success(doca_flow_ct_cfg_destroy(cfg));
	return result;
}

void ct_rig_start(const struct rig_options *options, const struct ct_options *ct)
{
	success(rig_init(options));
	success(ct_rig_init(ct));
	rig_start_ports(options);
}

void ct_rig_stop(void)
{
	rig_stop();
}

// -- pipes ----------------------------------------------------------------------------------------------------------

struct doca_flow_pipe *ct_any(struct doca_flow_port *port, const char *name, struct doca_flow_fwd fwd,
	struct doca_flow_pipe_entry **entry)
{
	const struct doca_flow_monitor counted = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	const struct doca_flow_match nothing = {0};
	const struct rig_pipe p = {.name = name, .match = &nothing, .monitor = &counted, .fwd = fwd};
	struct doca_flow_pipe *pipe = rig_pipe(port, &p);
	struct doca_flow_pipe_entry *added = rig_add(port, pipe, &nothing, NULL, &counted, NULL);

	if (entry)
		*entry = added;
	return pipe;
}

struct doca_flow_fwd ct_fwd_rss(void)
{
	static uint16_t queues[] = {0};
	struct doca_flow_fwd fwd = {
		.type = DOCA_FLOW_FWD_RSS, .rss_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};

	fwd.rss.queues_array = queues;
	fwd.rss.nr_queues = 1;
	fwd.rss.outer_flags = DOCA_FLOW_RSS_IPV4 | DOCA_FLOW_RSS_UDP;
	return fwd;
}

struct doca_flow_pipe *ct_pipe(
	struct doca_flow_port *port, struct doca_flow_pipe *hit, struct doca_flow_pipe *miss)
{
	const struct doca_flow_match nothing = {0};
	const struct rig_pipe p = {.name = "CT",
		.type = DOCA_FLOW_PIPE_CT,
		.match = &nothing,
		.match_mask = &nothing,
		.fwd = rig_fwd_pipe(hit),
		.fwd_miss = rig_fwd_pipe(miss)};

	return rig_pipe(port, &p);
}

void ct_root(struct doca_flow_port *port, struct doca_flow_pipe *ct)
{
	const struct rig_pipe p = {.name = "ROOT", .type = DOCA_FLOW_PIPE_CONTROL, .is_root = true};
	struct doca_flow_pipe *root = rig_pipe(port, &p);
	const struct doca_flow_match any = {0};
	const struct doca_flow_fwd fwd = rig_fwd_pipe(ct);

	rig_add_control(port, root, 1, &any, NULL, &fwd);
}

// -- tuples and frames ----------------------------------------------------------------------------------------------

struct doca_flow_ct_match ct_match4(
	bool tcp, doca_be32_t src, doca_be32_t dst, uint16_t sport, uint16_t dport)
{
	return (struct doca_flow_ct_match){
		.ipv4 = {.l4_port = {.src_port = DOCA_HTOBE16(sport), .dst_port = DOCA_HTOBE16(dport)},
			.src_ip = src,
			.dst_ip = dst,
			.next_proto = tcp ? DOCA_FLOW_PROTO_TCP : DOCA_FLOW_PROTO_UDP}};
}

struct doca_flow_ct_match ct_match6(bool tcp, uint8_t src, uint8_t dst, uint16_t sport, uint16_t dport)
{
	return (struct doca_flow_ct_match){
		.ipv6 = {.l4_port = {.src_port = DOCA_HTOBE16(sport), .dst_port = DOCA_HTOBE16(dport)},
			.src_ip = {DOCA_HTOBE32(0x20010db8), 0, 0, DOCA_HTOBE32(src)},
			.dst_ip = {DOCA_HTOBE32(0x20010db8), 0, 0, DOCA_HTOBE32(dst)},
			.next_proto = tcp ? DOCA_FLOW_PROTO_TCP : DOCA_FLOW_PROTO_UDP}};
}

struct rig_frame ct_frame6(
	bool tcp, uint8_t src, uint8_t dst, uint16_t sport, uint16_t dport, uint32_t payload)
{
	static const uint8_t prefix[] = {0x20, 0x01, 0x0d, 0xb8};
	struct rig_frame four = rig_frame4(tcp, 0, 0, sport, dport, payload), six = four;
	uint32_t l4 = four.length - 34;
	uint8_t *ip = six.bytes + 14;

	six.length = four.length + 20;
	six.bytes[12] = 0x86;
	six.bytes[13] = 0xdd;
	memset(ip, 0, 40);
	ip[0] = 0x60;
	ip[4] = (uint8_t)(l4 >> 8);
	ip[5] = (uint8_t)l4;
	ip[6] = tcp ? DOCA_FLOW_PROTO_TCP : DOCA_FLOW_PROTO_UDP;
	ip[7] = 64;
	memcpy(ip + 8, prefix, sizeof(prefix));
	memcpy(ip + 24, prefix, sizeof(prefix));
	ip[23] = src;
	ip[39] = dst;
	memcpy(ip + 40, four.bytes + 34, l4);
	return six;
}

struct rig_frame ct_frame_vxlan(const struct rig_frame *inner, doca_be32_t src, doca_be32_t dst, uint8_t ttl,
	uint16_t sport, uint32_t vni)
{
	struct rig_frame frame = rig_frame4(false, src, dst, sport, 4789, inner->length + 8);
	uint8_t *vxlan = frame.bytes + 42;

	frame.bytes[18] = frame.bytes[19] = 0;
	frame.bytes[22] = ttl;
	memset(vxlan, 0, 8);
	vxlan[0] = 8;
	vxlan[4] = (uint8_t)(vni >> 16);
	vxlan[5] = (uint8_t)(vni >> 8);
	vxlan[6] = (uint8_t)vni;
	memcpy(vxlan + 8, inner->bytes, inner->length);
	rig_frame_checksums(&frame);
	frame.bytes[40] = frame.bytes[41] = 0; // VXLAN has no checksum
	return frame;
}

// -- connections ----------------------------------------------------------------------------------------------------

bool ct_process(struct doca_flow_port *port, const int *count, int n)
{
	double end = now() + 10;

	while (*count < n && now() < end)
		if (doca_flow_ct_entries_process(port, CT_QUEUE, 0, 0, NULL) != DOCA_SUCCESS)
			return false;
	return *count >= n;
}

struct doca_flow_pipe_entry *ct_add(struct doca_flow_pipe *pipe, uint32_t flags,
	struct doca_flow_ct_match *origin, struct doca_flow_ct_match *reply,
	const struct doca_flow_ct_actions *ao, const struct doca_flow_ct_actions *ar, uint32_t timeout_s,
	struct rig_status *status)
{
	struct doca_flow_pipe_entry *entry;
	int before = status->added;
	bool found;

	success(doca_flow_ct_entry_prepare(
		CT_QUEUE, pipe, CT_ALLOC | flags, origin, 0, reply, 0, &entry, &found));
	require(!found, "a new connection");
	success(doca_flow_ct_add_entry(
		CT_QUEUE, pipe, flags | CT_NOW, origin, reply, ao, ar, 0, 0, timeout_s, status, entry));
	require(ct_process(rig.port[0], &status->added, before + 1) && !status->failed, "connection added");
	return entry;
}

void ct_remove(struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry, struct rig_status *status)
{
	int before = status->deleted;

	success(doca_flow_ct_rm_entry(CT_QUEUE, pipe, CT_NOW, entry));
	require(ct_process(rig.port[0], &status->deleted, before + 1) && !status->failed,
		"connection removed");
}

bool ct_counts(
	struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry, uint64_t origin, uint64_t reply)
{
	struct doca_flow_resource_query o, r;
	uint64_t last_hit_s;

	success(doca_flow_ct_query_entry(CT_QUEUE, pipe, 0, entry, &o, &r, &last_hit_s));
	return ok(o.counter.total_pkts == origin && r.counter.total_pkts == reply,
		"counted %llu and %llu, expected %llu and %llu", (unsigned long long)o.counter.total_pkts,
		(unsigned long long)r.counter.total_pkts, (unsigned long long)origin,
		(unsigned long long)reply);
}
