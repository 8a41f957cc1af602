// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What the C behaviour programs share: DOCA Flow set up over a private fast path with ring ports (the runtime directory
// comes in RINGFIELD_RUNTIME_DIR), frames in and out, and the check that nothing else came out. One rig per process,
// one thread. A step of the set-up that fails ends the program: the rest would say nothing.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <doca_bitfield.h>
#include <doca_error.h>
#include <doca_flow.h>
#include <doca_flow_ringfield.h>

#include "tap.h"

enum { RIG_PORTS_MAX = 8, RIG_TIMEOUT_US = 2000000, RIG_FRAME_MAX = 2048 };

#define IP(a, b, c, d) DOCA_HTOBE32((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

struct rig_options {
	const char *mode; // "vnf,hws", "switch,hws"
	uint16_t nr_ports;
	const char *const *names; // NULL: p0, p1 ... in vnf mode; p0, pf0vf0, pf0vf1 ... in switch mode
	uint16_t queues;          // 0 = 1
	uint32_t queue_depth;
	uint32_t nr_counters; // 0 = 64
	uint32_t nr_meters;
	uint32_t nr_shared[DOCA_FLOW_SHARED_RESOURCE_IPSEC_SA + 1];
	uint16_t priv_data_size;
	doca_flow_entry_process_cb entry_cb; // NULL: rig_count_entry
	doca_flow_pipe_process_cb pipe_cb;
	uint32_t port_counters; // not 0: resources are the ports', so many counters each
	bool no_pair;           // vnf mode: leave the ports unpaired
	// Not 0: handed to the setters of these names.
	uint32_t actions_mem_size; // 0 = 65536
	uint8_t acl_collisions;
	uint32_t service_cycle_ms;
	const uint8_t *rss_key; // 40 bytes
};

struct rig {
	struct doca_flow_port *port[RIG_PORTS_MAX];
	struct doca_dev *dev[RIG_PORTS_MAX];
	struct doca_dev_rep *rep[RIG_PORTS_MAX];
	uint16_t index[RIG_PORTS_MAX]; // the fast path's number of the port
	uint16_t nr_ports;
};

extern struct rig rig;

void rig_start(const struct rig_options *options);
// doca_flow_init() only, with the same configuration; for tests of what comes before ports.
doca_error_t rig_init(const struct rig_options *options);
// What rig_start() does behind it: ports, pairs, packets.
void rig_start_ports(const struct rig_options *options);
doca_error_t rig_port_start(uint16_t port, const struct rig_options *options, struct doca_flow_port **result);
void rig_stop(void);

// -- entries --------------------------------------------------------------------------------------------------------

// What rig_count_entry() fills in when it is the usr_ctx of entries.
struct rig_status {
	int added, deleted, updated, aged;
	int failed;
	uint16_t queue; // of the last one
};

void rig_count_entry(struct doca_flow_pipe_entry *entry, uint16_t pipe_queue,
	enum doca_flow_entry_status status, enum doca_flow_entry_op op, void *user_ctx);

// Processes queue 0 of a port until *count is at least n, or it takes too long.
bool rig_process(struct doca_flow_port *port, const int *count, int n);

// Packets of an entry's counter.
uint64_t rig_hits(struct doca_flow_pipe_entry *entry);
uint64_t rig_bytes(struct doca_flow_pipe_entry *entry);

// -- pipes ----------------------------------------------------------------------------------------------------------

// The members of doca_flow_pipe_cfg that programs set; zero is "not set".
struct rig_pipe {
	const char *name;
	enum doca_flow_pipe_type type;
	enum doca_flow_pipe_domain domain;
	bool is_root;
	bool is_resizable;
	bool miss_counter;
	uint32_t nr_entries;
	uint8_t congestion;
	uint32_t algorithm;
	const struct doca_flow_match *match;
	const struct doca_flow_match *match_mask;
	struct doca_flow_actions *actions;       // one template
	struct doca_flow_actions **actions_list; // or nr_actions of them, with masks
	struct doca_flow_actions **masks_list;
	size_t nr_actions;
	struct doca_flow_actions *actions_mask;
	struct doca_flow_action_descs *descs;
	const struct doca_flow_monitor *monitor;
	struct doca_flow_fwd fwd;
	struct doca_flow_fwd fwd_miss;
	void *user_ctx;
	const uint16_t *excluded_queues;
	int nr_excluded;
};

doca_error_t rig_pipe_try(
	struct doca_flow_port *port, const struct rig_pipe *p, struct doca_flow_pipe **pipe);
// The same, which must succeed.
struct doca_flow_pipe *rig_pipe(struct doca_flow_port *port, const struct rig_pipe *p);

// A match of TCP or UDP 5-tuples, all ones, gated by the parser; and one entry's values.
struct doca_flow_match rig_tuple_match(bool tcp);
struct doca_flow_match rig_tuple(bool tcp, doca_be32_t src, doca_be32_t dst, uint16_t sport, uint16_t dport);
struct doca_flow_fwd rig_fwd_port(uint16_t port);
struct doca_flow_fwd rig_fwd_pipe(struct doca_flow_pipe *pipe);
struct doca_flow_fwd rig_fwd_drop(void);

// Adds one entry to a basic pipe of a port and waits for it.
struct doca_flow_pipe_entry *rig_add(struct doca_flow_port *port, struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, const struct doca_flow_actions *actions,
	const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd);
// Adds one entry to a control pipe of a port and waits for it.
struct doca_flow_pipe_entry *rig_add_control(struct doca_flow_port *port, struct doca_flow_pipe *pipe,
	uint32_t priority, const struct doca_flow_match *match, const struct doca_flow_monitor *monitor,
	const struct doca_flow_fwd *fwd);

// -- packets --------------------------------------------------------------------------------------------------------

struct rig_frame {
	uint8_t bytes[RIG_FRAME_MAX];
	uint32_t length;
};

// An Ethernet, IPv4 and TCP or UDP frame with right checksums and payload bytes of 'r'. Ports in host order.
struct rig_frame rig_frame4(
	bool tcp, doca_be32_t src, doca_be32_t dst, uint16_t sport, uint16_t dport, uint32_t payload);
// Puts the checksums right again after a test changed the frame. Behind the tags that it has.
void rig_frame_checksums(struct rig_frame *frame);
// A VLAN tag behind the addresses.
void rig_frame_tag(struct rig_frame *frame, uint16_t tci);

// As if it arrived at the port from outside.
void rig_send(uint16_t port, const struct rig_frame *frame);
// Sent on the port past all pipes, as software does.
void rig_transmit(uint16_t port, const struct rig_frame *frame);
// Waits until everything sent has been accounted for, and collects what came out.
void rig_settle(void);
// Frames of a kind (enum doca_flow_ringfield_packet_kind) from a port that came out so far.
int rig_seen(int kind, uint16_t port);
// Takes one such frame, equal byte for byte, from what came out. meta and queue may be NULL.
bool rig_take(int kind, uint16_t port, const struct rig_frame *frame, uint32_t *meta, uint16_t *queue);
// The mark of the packet taken last.
extern uint32_t rig_mark;
// Forgets what came out and was not taken.
void rig_forget(void);
// True when nothing is left of what came out, and forgets it. Says what is left.
bool rig_nothing_else(void);
// Packets dropped so far, all ports, by the reason's name.
uint64_t rig_drops(const char *reason);

#define rig_wire(port, frame)                                                                               \
	ok(rig_take(DOCA_FLOW_RINGFIELD_PACKET_WIRE, port, frame, NULL, NULL), "%s leaves port %u", #frame, \
		port)
#define rig_done() ok(rig_nothing_else(), "nothing else comes out")
#define success(call)                                                                          \
	do {                                                                                   \
		doca_error_t code_ = (call);                                                   \
		require(code_ == DOCA_SUCCESS, "%s: %s %s", #call, doca_error_get_name(code_), \
			code_ == DOCA_SUCCESS ? "" : doca_flow_ringfield_last_error());        \
	} while (0)
