// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// The stats segment: read-only memory that any client maps (STEER_OP_STATS). Blocks per worker, each written by one
// thread with plain aligned 64-bit stores; the reader sums over workers. No lock, no system call, no effect on the
// fast path. Layout: stats_header, then per worker (and one for the control lcore: index nr_workers) a stats_worker
// block at worker_offset[i], then per worker an array of stats_counter at counter_offset[i], nr_counters long.

#pragma once

#ifndef RINGFIELD_CDEF
#include <stdint.h>
#endif
#include "steering_wire.h"

// Every reason for which a packet can be dropped: one line here is all that a new one needs.
// X(ID, "name shown", "what it means")
#define STEERING_DROPS(X)                                                                                \
	X(PIPE, "pipe", "an entry or a pipe miss says drop")                                             \
	X(DEFAULT_MISS, "default_miss", "the port's default miss says drop")                             \
	X(NO_PIPELINE, "no_pipeline", "the port has no root pipe, or is not started")                    \
	X(METER_RED, "meter_red", "red of a non-shared meter")                                           \
	X(MALFORMED, "malformed", "headers contradict the frame's length")                               \
	X(DEPTH, "depth", "more pipes in a row than the bound")                                          \
	X(MTU, "mtu", "larger than the output port's MTU")                                               \
	X(PORT_DOWN, "port_down", "the output port is down or gone")                                     \
	X(TX_FULL, "tx_full", "the output port's queue is full")                                         \
	X(SW_FULL, "software_full", "the queue to software is full")                                     \
	X(NO_RECEIVER, "no_receiver", "forwarded to software, but no session receives")                  \
	X(NO_MBUF, "no_mbuf", "no packet buffer for a copy or an encapsulation")                         \
	X(BAD_FWD, "bad_fwd", "the forward points at something that is gone")                            \
	X(ACTION_FAILED, "action_failed",                                                                \
		"an action does not fit the packet (decap without tunnel, no room)")                     \
	X(HASH_EMPTY, "hash_empty", "the hash or list pipe has no entry at the index")                   \
	X(INJECT_REFUSED, "inject_refused",                                                              \
		"injected on a port that is gone, or a frame of impossible length")                      \
	X(UNAUTHENTICATED, "unauthenticated", "the sender's addresses are not bound to the port")        \
	X(LINK_CONTROL, "link_control", "link-local housekeeping of a host, not forwarded")              \
	X(ROGUE_CONTROL, "rogue_control", "a router's or DHCP server's message from a workload")         \
	X(NO_MULTICAST, "no_multicast", "multicast and broadcast are not forwarded")                     \
	X(TUNNEL_SPOOFED, "tunnel_spoofed", "the tunnel's sender does not own the inner source")         \
	X(NO_ROUTE, "no_route", "nobody known has the destination address")                              \
	X(TTL, "ttl", "the hop limit is used up")                                                        \
	X(POLICY, "policy", "the policy denies the connection")                                          \
	X(CT_INVALID, "ct_invalid", "TCP out of state or out of window")                                 \
	X(CT_FULL, "ct_full", "the connection table is full")                                            \
	X(CT_LIMIT, "ct_limit", "a limit of connections in all")                                         \
	X(CT_ID_LIMIT, "ct_identity_limit", "a limit of connections of the sender's identity")           \
	X(CT_UNTRACKABLE, "ct_untrackable",                                                              \
		"no connection can be made of it (an unrelated ICMP error, no IP)")                      \
	X(FRAGMENT_OVERLAP, "fragment_overlap", "fragments of a datagram overlap")                       \
	X(FRAGMENT_LOST, "fragment_lost", "held too long, or too many: the first fragment did not come") \
	X(HANDOVER_FULL, "handover_full", "the queue to the worker that owns the connection is full")    \
	X(TUNNEL_VLAN, "tunnel_vlan", "a VLAN tag inside a tunnel, which stands for the network itself") \
	X(TUNNEL_ECN, "tunnel_ecn", "congestion marked on a tunnel whose packet cannot carry the mark")

#define STEERING_DROP_ENUM(id, name, text) STEER_DROP_##id,
enum steer_drop {
	STEER_DROP_NONE = 0,
	STEERING_DROPS(STEERING_DROP_ENUM) STEER_DROP_MAX,
};
#undef STEERING_DROP_ENUM

enum { STATS_DROPS = 64 };

// What a worker does in a turn, in the order in which a packet meets it: one line here is all that a new one needs.
// X(ID, "name shown", "what it means")
#define STEERING_STAGES(X)                                                                             \
	X(RECEIVE, "receive", "the device hands packets over (for replay and generators: makes them)") \
	X(PARSE, "parse", "headers, counters of the port; fragments")                                  \
	X(CACHE, "cache", "recorded walks: look-up, counters and actions of them, recording")          \
	X(CONNECTIONS, "ct", "look-ups and states of connections, their expiry")                       \
	X(PIPES, "pipes", "keys and look-ups of pipes")                                                \
	X(ACTIONS, "actions", "counters, meters, actions and forwards of what pipes found")            \
	X(SEND, "send", "verdicts, and what the device does to send or free packets")

#define STEERING_STAGE_ENUM(id, name, text) STEER_STAGE_##id,
enum steer_stage { STEERING_STAGES(STEERING_STAGE_ENUM) STEER_STAGE_MAX };
#undef STEERING_STAGE_ENUM

enum { STATS_STAGES = 8 };

// Of a sample of the turns that had packets.
struct stats_stages {
	uint64_t turns;
	uint64_t packets;
	uint64_t cycles[STATS_STAGES]; // by enum steer_stage
};

struct stats_counter {
	uint64_t packets;
	uint64_t bytes; // frame length without FCS
};

struct stats_port {
	struct stats_counter received;
	struct stats_counter sent;
	struct stats_counter injected;    // accepted as if received
	struct stats_counter software;    // delivered to software from this port
	struct stats_counter transmitted; // sent by a client's TRANSMIT (also counted in sent)
	struct stats_counter dropped;
	uint64_t drops[STATS_DROPS]; // packets by enum steer_drop, of packets that came in here
};

enum { STATS_GENERATED_MAX = 4 };

// Connections of one worker. Numbers of things that happened only grow; live, half_open, denied, fragments are states.
struct stats_ct {
	uint64_t live;
	uint64_t half_open;
	uint64_t denied; // remembered denials
	uint64_t opened;
	uint64_t adopted;
	uint64_t closed; // all causes, evicted included
	uint64_t evicted;
	uint64_t refused_full;
	uint64_t refused_limit; // ct_limit and ct_identity_limit
	uint64_t untracked;     // forwarded without a connection
	uint64_t invalid;       // let through or dropped
	uint64_t related;       // ICMP errors that followed a connection
	uint64_t rejudged;
	uint64_t rejudged_denied;
	uint64_t denied_packets; // by policy, first ones and remembered ones
	uint64_t records;
	uint64_t records_lost; // no room on the way to control
	uint64_t fragments;    // held now
	uint64_t generated;    // answers to rejected packets
	uint64_t handed_over;  // packets that another worker owned
	uint64_t pad[4];
};

// Flow cache of one worker: recorded walks. A packet may be looked up at several starts (a port's root, the policy stage,
// behind the CT pipe), or be brought to the CT pipe by its connection. Numbers of things that happened only grow.
struct stats_cache {
	uint64_t room;        // walks that there is room for, 0: no cache
	uint64_t walks;       // held at this moment
	uint64_t hits;        // look-ups that found a walk
	uint64_t misses;      // others
	uint64_t connections; // packets that took the walk that their connection knew
	uint64_t recorded;    // walks
	uint64_t given;       // times that a connection was given walks
	// Why walks became invalid.
	uint64_t changed;   // found, but a pipe on them has changed since
	uint64_t evicted;   // given up for others, one by one
	uint64_t widened;   // times that walks were given up since others depend on more of a packet
	uint64_t emptied;   // times that all were given up
	uint64_t forgotten; // times that connections lost theirs
	// Why walks were not recorded or not looked up.
	uint64_t refused; // not recorded: the cache is full and enough others have given way lately
	uint64_t idle;    // times that a start was left alone: walks are short there, or do not last
};

struct stats_worker {
	uint64_t heartbeat; // grows while the thread lives
	uint64_t loops;
	uint64_t busy_loops; // with at least one packet
	uint64_t tsc;        // at the last fold
	uint64_t copies;     // packets made by flooding
	uint64_t generated;  // packets made by the fast path itself
	uint64_t held;       // packets in queues of the fast path at this moment
	uint64_t revision;   // last revision used
	uint64_t cycles_busy;
	uint64_t cycles_total;
	struct stats_cache cache;
	struct stats_ct ct;
	struct stats_stages stages;
	struct stats_port port[STEER_PORT_MAX];
};

struct stats_header {
	uint32_t magic; // STEERING_MAGIC
	uint32_t abi;
	uint32_t boot_id;
	uint32_t nr_workers;
	uint32_t nr_counters;
	uint32_t nr_drops;
	uint64_t bytes;
	uint64_t started_ns; // CLOCK_REALTIME
	uint64_t tsc_hz;
	uint64_t revision; // published
	uint64_t mbufs_total;
	uint64_t mbufs_free;           // refreshed by the control lcore when idle, at least every 100 ms
	uint64_t control_heartbeat_ns; // CLOCK_MONOTONIC of the control loop's last turn
	uint64_t entries;              // live entries, all pipes
	uint64_t posted;               // work entries taken
	uint64_t refused;              // work entries refused
	uint64_t worker_offset[STEER_WORKER_MAX + 1];
	uint64_t counter_offset[STEER_WORKER_MAX];
};
