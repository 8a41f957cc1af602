// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What the programs about connection tracking share, on top of rig.h: one CT queue behind one pipe queue.
#pragma once

#include <doca_flow_ct.h>

#include "rig.h"

enum { CT_QUEUE = 1 }; // behind the one pipe queue

enum {
	CT_BOTH = DOCA_FLOW_CT_ENTRY_FLAGS_DIR_ORIGIN | DOCA_FLOW_CT_ENTRY_FLAGS_DIR_REPLY,
	CT_NOW = DOCA_FLOW_CT_ENTRY_FLAGS_NO_WAIT,
	CT_COUNTED = DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_ORIGIN | DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_REPLY,
	CT_SHARED = DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_SHARED,
	CT_ALLOC = DOCA_FLOW_CT_ENTRY_FLAGS_ALLOC_ON_MISS,
	CT_FILTER = DOCA_FLOW_CT_ENTRY_FLAGS_DUP_FILTER_ORIGIN | DOCA_FLOW_CT_ENTRY_FLAGS_DUP_FILTER_REPLY,
};

// The members of doca_flow_ct_cfg that programs set; zero is "not set".
struct ct_options {
	uint32_t flags;
	uint32_t queues;      // 0 = 1
	uint32_t queue_depth; // 0 = as it is
	uint32_t ipv4;        // all three 0: 64 of each
	uint32_t ipv6;
	uint32_t total;
	uint32_t zone_max;
	uint32_t user_actions;
	uint32_t asymmetric;
	uint32_t dup_filter;
	uint32_t priv_bytes;
	uint32_t aging_delay_s;
	doca_flow_ct_entry_finalize_cb finalize_cb;
	doca_flow_ct_stats_update_cb stats_cb;
	struct doca_flow_ct_aging_ops *plugin;
	bool inner[2]; // origin, reply
	struct doca_flow_meta zone[2];
	struct doca_flow_ct_meta modify[2];
};

doca_error_t ct_rig_init(const struct ct_options *options);
// rig_start() with doca_flow_ct_init() in its place.
void ct_rig_start(const struct rig_options *options, const struct ct_options *ct);
void ct_rig_stop(void);

// A pipe that matches everything, with one counted entry.
struct doca_flow_pipe *ct_any(struct doca_flow_port *port, const char *name, struct doca_flow_fwd fwd,
	struct doca_flow_pipe_entry **entry);
struct doca_flow_fwd ct_fwd_rss(void);
struct doca_flow_pipe *ct_pipe(
	struct doca_flow_port *port, struct doca_flow_pipe *hit, struct doca_flow_pipe *miss);
// Everything to the CT pipe, IPv4 and IPv6.
void ct_root(struct doca_flow_port *port, struct doca_flow_pipe *ct);

// Tuples; ports in host order.
struct doca_flow_ct_match ct_match4(
	bool tcp, doca_be32_t src, doca_be32_t dst, uint16_t sport, uint16_t dport);
struct doca_flow_ct_match ct_match6(bool tcp, uint8_t src, uint8_t dst, uint16_t sport, uint16_t dport);
// 2001:db8::n to 2001:db8::n, as ct_match6().
struct rig_frame ct_frame6(
	bool tcp, uint8_t src, uint8_t dst, uint16_t sport, uint16_t dport, uint32_t payload);
// The frame in VXLAN.
struct rig_frame ct_frame_vxlan(const struct rig_frame *inner, doca_be32_t src, doca_be32_t dst, uint8_t ttl,
	uint16_t sport, uint32_t vni);

// Prepares and adds one connection and waits for it; reply NULL: the reverse.
struct doca_flow_pipe_entry *ct_add(struct doca_flow_pipe *pipe, uint32_t flags,
	struct doca_flow_ct_match *origin, struct doca_flow_ct_match *reply,
	const struct doca_flow_ct_actions *ao, const struct doca_flow_ct_actions *ar, uint32_t timeout_s,
	struct rig_status *status);
// Processes the CT queue until *count is at least n.
bool ct_process(struct doca_flow_port *port, const int *count, int n);
void ct_remove(struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry, struct rig_status *status);
// Packets of both directions.
bool ct_counts(
	struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry, uint64_t origin, uint64_t reply);

#define ct_soft(port, frame) \
	ok(rig_take(DOCA_FLOW_RINGFIELD_PACKET_RSS, port, frame, NULL, NULL), "%s comes to software", #frame)
// success() for loops: no test point unless it fails.
#define must(call)                                                                     \
	do {                                                                           \
		doca_error_t code_ = (call);                                           \
		if (code_ != DOCA_SUCCESS)                                             \
			require(false, "%s: %s %s", #call, doca_error_get_name(code_), \
				doca_flow_ringfield_last_error());                     \
	} while (0)
#define refused(code, call)                                                             \
	do {                                                                            \
		doca_error_t code_ = (call);                                            \
		ok(code_ == (code), "%s: %s %s", #call, doca_error_get_name(code_),     \
			code_ == DOCA_SUCCESS ? "" : doca_flow_ringfield_last_error()); \
	} while (0)
