// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// One packet on its walk: where its headers are, its metadata, what is decided about it so far.
//
// Headers are reached through one base pointer per header kind ("region"). A header that the packet lacks points to a
// page of zeros, so reads need no test and give zero; writes to it are skipped. A context belongs to one thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "steering_wire.h"

struct rte_mbuf;
struct pipe;
struct entry;

// The regions of one layer. Outer ones come first, inner ones have the same order REGION_LAYER further on.
enum packet_region {
	REGION_ETH = 0,
	REGION_ETYPE, // the ethertype behind the last VLAN tag
	REGION_VLAN0, // TCI and next type of the outermost tag
	REGION_VLAN1,
	REGION_IP4,
	REGION_IP6,
	REGION_L4, // first four bytes of TCP, UDP, SCTP: the ports
	REGION_TCP,
	REGION_ICMP, // of either version
	REGION_LAYER,
	REGION_INNER = REGION_LAYER,
	REGION_VXLAN = 2 * REGION_LAYER, // GPE and GBP too
	REGION_GRE,
	REGION_GRE_KEY,
	REGION_GENEVE,
	REGION_GTP,
	REGION_ESP,
	REGION_MPLS0,
	REGION_MPLS1,
	REGION_MPLS2,
	REGION_MPLS3,
	REGION_MPLS4,
	REGION_ARP,       // for IPv4 over Ethernet
	REGION_ND,        // the target address of neighbour discovery
	REGION_ND_LLADDR, // the address in its option
	REGION_META,      // struct packet_meta of the packet itself
	REGION_MAX,
};

// Values of parser_meta types: DOCA's. CUSTOM_VLAN: a single tag of another type than 0x8100.
enum { L2_META_NO_VLAN = 0, L2_META_MULTI_VLAN, L2_META_SINGLE_VLAN, L2_META_CUSTOM_VLAN };
enum { L3_META_NONE = 0, L3_META_IPV4, L3_META_IPV6 };
enum { L4_META_NONE = 0, L4_META_TCP, L4_META_UDP, L4_META_ICMP, L4_META_ESP };
enum { METER_RED = 0, METER_YELLOW, METER_GREEN };

// What the parser says about one layer. The *_ok of checksums and L4 are filled in by packet_judge() only.
struct packet_layer_meta {
	uint8_t l2_type;
	uint8_t l3_type;
	uint8_t l4_type;
	uint8_t ip_fragmented;
	uint8_t l3_ok;
	uint8_t ip4_checksum_ok;
	uint8_t l4_ok;
	uint8_t l4_checksum_ok;
};

struct packet_meta {
	uint32_t pkt_meta; // this and u32: network byte order
	uint32_t u32[10];
	uint32_t mark;
	uint16_t port_id; // network byte order
	uint16_t random;
	uint8_t meter_color;
	uint8_t gre_key_present;
	uint8_t pad[2];
	struct packet_layer_meta layer[2];
	uint8_t tail[4]; // room for reads of 16 bytes at the last field is in struct packet behind
};

// Where a layer's parts are, as offsets from the start of the frame; for checksums and structural changes.
struct packet_layer {
	uint16_t l2;      // Ethernet header; inner layer without one: 0
	uint16_t l3;      // 0 = none
	uint16_t l4;      // 0 = none or not in this fragment
	uint8_t l4_proto; // IP protocol of what is at l4
	uint8_t first;    // 1: not a later fragment
	// Offset where the IP packet ends, bounded by the frame; 0 = its header is impossible.
	uint32_t end;
	// Bytes from l4 to the end of the IP packet, as the IP header says, bounded by the frame.
	uint32_t l4_len;
};

enum packet_verdict {
	PACKET_WALKING = 0,
	PACKET_DROP,
	PACKET_SEND,
	PACKET_SOFTWARE,
	PACKET_ALLOWED, // by a policy stage that was asked (walker.stop)
};

// packet.encap, packet.decap: there was a header, but where it is, or what stood in it, is not known any more.
enum { PACKET_HEADER_LOST = 0xffff };

struct packet {
	uint8_t *base[REGION_MAX];
	struct packet_meta meta;
	uint8_t *data;      // first byte of the frame
	uint32_t seg_len;   // readable bytes at data
	uint32_t frame_len; // bytes of the whole frame (more than seg_len with several segments)
	struct packet_layer layer[2];
	uint8_t tunnel;   // enum steer_tunnel of the outermost tunnel
	bool inner_set;   // regions from REGION_INNER on are not all zero pages
	bool stale;       // structure changed: parse again before fields are used
	bool judged;      // packet_judge was done since the last change
	uint16_t frag_at; // IPv6 that is fragmented, the outermost such layer: offset of its fragment header
	uint16_t tunnel_end; // offset of what the tunnel carries (inner Ethernet or IP header), 0 = no tunnel
	uint8_t sender
		[6]; // the source MAC as it was: when ARP or neighbour discovery was first seen, or before it was set
	bool sender_kept; // on this walk

	// Walk.
	struct rte_mbuf *m;    // NULL in tests over plain memory
	struct pipe *pipe;     // next or present pipe
	struct entry *hit;     // of the present pipe; flooding: the entry to run
	struct packet *root;   // the packet that came in, of which this is a copy (or itself)
	struct packet *copies; // of a root: flooded copies made of it, in order; linked by next_copy
	struct packet *last_copy;
	struct packet *next_copy;
	uint32_t index;   // ORDERED_LIST: entry index asked for
	uint16_t in_port; // wire index
	uint16_t out_port;
	uint16_t queue;     // software
	uint16_t copy;      // 0 = the packet itself, n = n-th copy (trace)
	uint16_t nr_copies; // of a root
	uint8_t verdict;    // enum packet_verdict
	uint8_t reason;     // enum steer_drop
	uint8_t kind;       // software: enum steer_packet_kind
	uint8_t domain;     // enum steer_domain
	uint8_t depth;      // pipes so far
	uint8_t algorithm;  // HASH: as the forward says

	// Connection tracking.
	uint8_t reject;         // dropped, and the sender gets an answer
	uint8_t frag_protocol;  // later fragment: what its first one said (frag.c); 0 = not known
	uint8_t frag_icmp_type; // likewise
	uint16_t frag_port[2];  // likewise: source and destination, network order; ICMP: both the identifier
	uint32_t ct_opened;     // the connection that it opened, counted from 1
	// Bytes of L2 tunnels' headers, 0 = none: that actions have put in front of the frame; that it came out of, and that
	// still stand in front of `data`.
	uint16_t encap;
	uint16_t decap;
	uint64_t ct_id; // that connection's record id
	uint64_t tag;   // of the last tagged entry that it hit

	// Flow cache (flow_cache.h).
	bool fresh;        // before a pipe where recorded walks may start, not looked up yet
	uint8_t look;      // its look-up ahead of the CT pipe, counted from 1; 0 = none
	uint8_t log;       // counted from 1; 0 = none
	bool intact;       // came to the CT pipe by a recorded walk that changes nothing in its frame
	bool plain;        // its connection may have recorded walks
	bool wants;        // its connection asks for them
	bool behind;       // behind the CT pipe
	uint16_t recorded; // the two walks of its connection and direction, counted from 1
	uint16_t before;   // wants: the walk that led to the CT pipe, counted from 1
	uint32_t before_serial;
	struct {
		uint64_t id;     // of the connection
		uint32_t number; // counted from 1; 0 = none asks
		uint8_t direction;
	} asking;
};

extern const uint8_t packet_zero_page[64];

static inline void packet_keep_sender(struct packet *p, const uint8_t *mac)
{
	if (p->sender_kept)
		return;
	p->sender_kept = true;
	memcpy(p->sender, mac, sizeof(p->sender));
}

static inline bool packet_has(const struct packet *p, unsigned int region)
{
	return p->base[region] != packet_zero_page;
}
