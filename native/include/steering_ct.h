// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Connection tracking on the wire: how a CT pipe is set up, what records of connections look like, and the sync
// messages about them. Included by steering_wire.h; its rules hold here too.
//
// An autonomous CT pipe (ours, after DOCA 2.5 to 2.9) keeps connections by itself. A packet that belongs to none walks
// the policy stage, which begins at the pipe's fwd_miss. Reaching the pipe's fwd is the policy's "allow": the connection
// is committed and the packet goes on from there, as later packets of both directions do at once. Ending in a drop is
// its "deny", remembered for a while. One such pipe exists at a time in a fast path.

#pragma once

#ifndef RINGFIELD_CDEF
#include <stdint.h>
#endif

enum steer_ct_flags {
	STEER_CT_AUTONOMOUS = 1 << 0,
	STEER_CT_PASS_INVALID = 1 << 1, // out-of-window and out-of-state TCP is counted and let through
};

// What happens to a new connection when the table is full.
enum steer_ct_full {
	STEER_CT_FULL_REFUSE = 0, // the packet is dropped as ct_full
	STEER_CT_FULL_EVICT, // the least useful one goes: remembered denials, then half-open, then the longest idle found
	STEER_CT_FULL_UNTRACKED, // the packet is forwarded without a connection
};

enum steer_ct_timer {
	STEER_CT_TIMER_TCP_ESTABLISHED = 0,
	STEER_CT_TIMER_TCP_SETUP,
	STEER_CT_TIMER_TCP_HALF_CLOSED,
	STEER_CT_TIMER_TCP_CLOSE,
	STEER_CT_TIMER_UDP,
	STEER_CT_TIMER_ICMP,
	STEER_CT_TIMER_OTHER,
	STEER_CT_TIMER_DENIED_TCP,
	STEER_CT_TIMER_DENIED_OTHER,
	STEER_CT_TIMER_MAX,
};

enum { STEER_CT_META_NONE = 0xff };

// In the data area of a CT pipe's spec. Numbers of 0 in limits mean none; identities share a limit slot when they are
// equal modulo 65536 after their two state bits are shifted out.
struct steer_ct_cfg {
	uint32_t flags;    // enum steer_ct_flags
	uint32_t capacity; // connections, all workers together
	uint32_t denied_capacity;
	uint8_t zone_u32; // which meta.u32[] holds the zone at the CT pipe; STEER_CT_META_NONE: zone 0
	uint8_t src_u32;  // which meta.u32[] the policy stage leaves the opener's identity in, or NONE
	uint8_t dst_u32;  // and the target's
	uint8_t full;     // enum steer_ct_full
	uint32_t timeout_ms[STEER_CT_TIMER_MAX];
	uint32_t max_half_open;      // in all
	uint32_t max_new_per_second; // in all
	uint32_t id_max_connections; // per identity of the opener
	uint32_t id_max_half_open;
	uint32_t id_max_new_per_second;
	uint32_t adopt_window_ms;    // after the pipe was made; 0 = no adoption then
	uint32_t record_interval_ms; // between updates of an active connection; 0 = no records at all
	uint32_t max_fragments;      // early fragments held in all; 0 = 1024
	// Which meta.u32[] is not 0 at the CT pipe when the sender may be a router, who may send ICMP errors about packets to
	// others that left by its port; NONE: every sender may be one.
	uint8_t router_u32;
	uint8_t pad[3];
	uint64_t revision; // policy revision at the start
};

// --- Managed pipes ----------------------------------------------------------------------------------------------------
// Without STEER_CT_AUTONOMOUS the client adds the connections, each direction as a work entry of its own. In the data area
// a steer_ct_managed follows the steer_ct_cfg, of which only the flags count then.

// How packets of one direction are looked up. Equal ones for both directions make one table of both.
struct steer_ct_direction {
	uint16_t zone_field; // enum steer_field, a word of metadata; STEER_F_NONE: no zones
	uint8_t inner;       // 1: the tuple is that of the inner headers
	uint8_t pad[5];
	uint32_t zone_mask; // network order, of that word
	uint32_t pad1;
};

struct steer_ct_managed {
	struct steer_ct_direction direction[2]; // origin, reply
	uint32_t capacity[2];                   // entries to expect of IPv4, IPv6; more are slower to add
};

// Key of a work entry, as long as it is; the fast path keeps the first 32 bytes of an IPv4 one. Network order.
struct steer_ct_key {
	uint32_t zone; // under the direction's mask
	uint16_t src_port;
	uint16_t dst_port;
	uint8_t protocol;
	uint8_t version;   // 4, 6
	uint8_t direction; // 0 origin, 1 reply; 0 when both directions are one table
	uint8_t pad[5];
	uint8_t address[32]; // source, then destination: 4 or 16 bytes each
};

// --- Records --------------------------------------------------------------------------------------------------------

enum steer_flow_event {
	STEER_FLOW_OPEN = 1,
	STEER_FLOW_UPDATE,
	STEER_FLOW_CLOSE,
	STEER_FLOW_DENY,        // first packet of a denial
	STEER_FLOW_DENY_UPDATE, // further ones since, every record interval
};

enum steer_flow_create {
	STEER_FLOW_BY_POLICY = 1,
	STEER_FLOW_ADOPTED,
};

enum steer_flow_close {
	STEER_FLOW_CLOSE_NONE = 0,
	STEER_FLOW_CLOSE_FIN,
	STEER_FLOW_CLOSE_RST,
	STEER_FLOW_CLOSE_TIMEOUT,
	STEER_FLOW_CLOSE_POLICY, // judged again and denied
	STEER_FLOW_CLOSE_EVICTED,
	STEER_FLOW_CLOSE_SHUTDOWN,
	STEER_FLOW_CLOSE_REUSED, // its tuple opened anew
};

enum steer_ct_tcp_state {
	STEER_CT_TCP_NONE = 0, // not TCP
	STEER_CT_TCP_SYN_SENT,
	STEER_CT_TCP_SYN_RECV,
	STEER_CT_TCP_ESTABLISHED,
	STEER_CT_TCP_FIN_WAIT,
	STEER_CT_TCP_CLOSE_WAIT,
	STEER_CT_TCP_LAST_ACK,
	STEER_CT_TCP_TIME_WAIT,
	STEER_CT_TCP_CLOSE,
	STEER_CT_TCP_SYN_SENT2, // simultaneous open
	STEER_CT_TCP_STATE_MAX,
};

// One change of one connection. Addresses, ports and MACs as in the first packet: src is who opened it. Addresses in
// network order, IPv4 in the first four bytes, the rest 0. Counts are since the opening (DENY_UPDATE: since DENY).
// Only records for numpy to read in bulk: fixed size, no pointers.
struct steer_flow_record {
	struct steer_record rec; // kind STEER_REC_FLOW
	uint64_t id;             // worker << 56 | number; a connection keeps it in all its records
	uint64_t first_ns;       // CLOCK_REALTIME of the first packet
	uint64_t last_ns;        // of the last one
	uint64_t packets[2];     // opener's, responder's
	uint64_t bytes[2];       // frame lengths without FCS
	uint64_t tag;            // of the policy entry that decided; 0 = none had one
	uint64_t revision;       // policy revision that decided
	uint8_t src_ip[16];
	uint8_t dst_ip[16];
	uint32_t zone;         // host order
	uint32_t src_identity; // host order, 0 = not known
	uint32_t dst_identity;
	uint16_t src_port; // host order; ICMP echo: the identifier
	uint16_t dst_port;
	uint8_t src_mac[6];
	uint8_t dst_mac[6];
	uint16_t in_port;   // wire index, of the opener
	uint16_t out_port;  // wire index, STEER_PORT_NONE for denials
	uint16_t vlan;      // TCI of the outermost tag, host order, 0 = none
	uint8_t ip_version; // 4, 6; 0 = neither
	uint8_t protocol;
	uint8_t icmp_type; // of the first packet
	uint8_t icmp_code;
	uint8_t tcp_flags[2]; // all that were seen, per direction
	uint8_t tcp_state;    // enum steer_ct_tcp_state
	uint8_t event;        // enum steer_flow_event
	uint8_t create;       // enum steer_flow_create
	uint8_t close;        // enum steer_flow_close
	uint8_t drop;         // denials, and closes by policy: enum steer_drop
	uint8_t pad[3];
	uint32_t frames; // DENY_UPDATE: packets of this record alone
	uint32_t boot;   // boot_id of the fast path
};

// --- Sync messages --------------------------------------------------------------------------------------------------

enum steer_ct_epoch_flags {
	STEER_CT_EPOCH_ALL =
		1 << 0, // every connection is judged again at its next packet, else those of the identities
};

// Followed by nr_identities uint32_t: connections that name one of them as either side. Send it after what changed is
// visible (in or after the commit).
struct steer_ct_epoch {
	uint64_t revision; // policy revision in force now
	uint32_t flags;    // enum steer_ct_epoch_flags
	uint32_t nr_identities;
};

// For window_ms from now on, out-of-state TCP of this address may be adopted (in this zone; all addresses: version 0).
struct steer_ct_adopt {
	uint8_t address[16];
	uint32_t zone;
	uint32_t window_ms;
	uint8_t version; // 4, 6, 0 = everybody
	uint8_t pad[7];
};

// STEER_OP_CT_LIST: connections as records with event UPDATE, in no order; `cursor` 0 at first, then as returned until
// it is 0 again.
struct steer_ct_list {
	uint64_t cursor;
	uint32_t max;
	uint32_t pad;
};

struct steer_ct_list_reply {
	uint64_t cursor;
	uint32_t nr;
	uint32_t pad;
};
