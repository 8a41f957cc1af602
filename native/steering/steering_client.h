// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The client side of the steering queues: connect to a fast path, ask it (sync calls over the socket), post work and
// collect completions (rings in shared memory), exchange packets, read statistics. libc only.
//
// Functions return 0 (or a count) or a negative errno; steering_why() then holds a sentence for people. -ENOTCONN: the
// fast path is gone or has ended the session; nothing but steering_reattach() and steering_close() makes sense then.
//
// Threads: sync calls may come from any thread (a lock serialises them). Each pipe queue, the packet input, the packet
// output, the events and the flow records are for one thread at a time each; different ones may be used at the same time.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats_wire.h"
#include "steering_wire.h"

struct steering_client;

struct steering_options {
	const char *path; // of the fast path's socket (<runtime-dir>/steering.sock)
	const char *name; // session name; required when durable
	uint32_t flags;   // enum steer_session_flags
	uint16_t nr_queues;
	uint32_t queue_depth; // work entries in flight per queue, 0 = 1024
	uint32_t nr_counters; // to be set aside
	uint32_t nr_meters;
	uint32_t packet_ring_bytes; // 0 = 1 MiB
	uint32_t flow_ring_bytes;   // 0 = no flow records
	uint32_t timeout_ms;        // of the hello and of each sync call, 0 = 10000
};

enum { STEERING_WHY_MAX = 512 };

// Connects and says hello. On failure *client is NULL and why (may be NULL) gets the sentence: no such socket
// (-ENOENT, -ECONNREFUSED), not permitted (-EACCES), other ABI (-EPROTO), durable session attached already (-EBUSY) ...
int steering_connect(
	const struct steering_options *options, struct steering_client **client, char *why, size_t why_bytes);

// Ends the session (a durable one stays in the fast path) and frees everything. NULL is fine.
void steering_close(struct steering_client *client);

// After -ENOTCONN: connects again with the options of steering_connect(). The session's number, boot id and "resumed"
// are new; everything posted and not completed before is lost. Needs all other use of the client to have ended.
int steering_reattach(struct steering_client *client);

// What the fast path said to our hello. Valid until steering_close() or steering_reattach().
const struct steer_hello_reply *steering_session(const struct steering_client *client);

// Sentence about this thread's last failed call on any client. Never NULL; valid until this thread's next call.
const char *steering_why(void);

// False once the fast path has closed the connection. No blocking; one system call.
bool steering_alive(struct steering_client *client);

// One sync message. reply (may be NULL) takes up to reply_bytes; *length (may be NULL) the bytes that came. -EMSGSIZE when
// the reply does not fit, -ETIMEDOUT when none came in time (a late one is thrown away).
int steering_call(struct steering_client *client, enum steer_op op, const void *request,
	uint32_t request_bytes, void *reply, uint32_t reply_bytes, uint32_t *length);

// steering_call() for replies of a fixed size: -EPROTO when it has another one.
int steering_call_exact(struct steering_client *client, enum steer_op op, const void *request,
	uint32_t request_bytes, void *reply, uint32_t reply_bytes);

// -- pipe queues ------------------------------------------------------------------------------------------------

// Room for a work entry of length bytes; fill it in (rec too), then steering_commit(). -EAGAIN: queue_depth entries are
// in flight or the ring is full: push and pull first. -EMSGSIZE: longer than STEER_RECORD_MAX.
int steering_reserve(struct steering_client *client, unsigned int queue, uint32_t length, void **place);
void steering_commit(struct steering_client *client, unsigned int queue, uint32_t length);

// Copies one work entry (its rec.length bytes) into the queue. Errors as steering_reserve().
int steering_post(struct steering_client *client, unsigned int queue, const struct steer_record *record);

// Makes everything posted on the queue visible to the fast path, and rings the doorbell if it sleeps.
int steering_push(struct steering_client *client, unsigned int queue);

// Collects up to max completions; 0 when there are none. Aged entries come here too, with op STEER_REC_EVENT.
int steering_pull(struct steering_client *client, unsigned int queue, struct steer_completion *completions,
	unsigned int max);

// Work entries posted whose completion has not been pulled.
uint32_t steering_in_flight(const struct steering_client *client, unsigned int queue);

// Work entries that may be in flight at once, per queue.
uint32_t steering_queue_depth(const struct steering_client *client);

// -- packets and events -----------------------------------------------------------------------------------------

// Puts one frame into the packet ring: kind INJECT or TRANSMIT. Visible with steering_packet_push(). -EAGAIN: full.
int steering_packet_post(struct steering_client *client, enum steer_packet_kind kind, uint16_t port,
	uint32_t pkt_meta, const void *frame, uint32_t length);
int steering_packet_push(struct steering_client *client);

// The next packet from the fast path: 1, or 0 when there is none. packet->length is the frame's; at most frame_bytes of
// it are stored.
int steering_packet_receive(
	struct steering_client *client, struct steer_packet *packet, void *frame, uint32_t frame_bytes);

// Packets and events that the fast path could not place because this client was too slow.
uint64_t steering_packets_lost(const struct steering_client *client);
uint64_t steering_events_lost(const struct steering_client *client);
uint64_t steering_flows_lost(const struct steering_client *client);

// The next event: 1, or 0 when there is none.
int steering_event_receive(struct steering_client *client, struct steer_event *event);

// Up to max records of connections; 0 when there are none, -ENODATA: the session has no ring for them.
int steering_flow_receive(
	struct steering_client *client, struct steer_flow_record *records, unsigned int max);

enum steering_wait_for {
	STEERING_WAIT_COMPLETIONS = 1 << 0, // of the queue given
	STEERING_WAIT_PACKETS = 1 << 1,
	STEERING_WAIT_EVENTS = 1 << 2,
	STEERING_WAIT_FLOWS = 1 << 3,
};

// Sleeps until one of the rings named has something, or timeout_us passed (0: only looks; negative: no end). 1 ready, 0
// timeout, -ENOTCONN. Several threads may wait at once, each for rings of its own.
int steering_wait(
	struct steering_client *client, unsigned int wait_for, unsigned int queue, int64_t timeout_us);

// -- statistics -------------------------------------------------------------------------------------------------

// The stats segment, mapped at first use, read-only; stays mapped until steering_close() or steering_reattach(). NULL
// with errno set when it cannot be had.
const struct stats_header *steering_stats(struct steering_client *client);

// Sums over the workers and the control lcore. No system call. -ENODATA: not mapped, -EINVAL: no such slot or port.
int steering_stats_counter(struct steering_client *client, uint32_t slot, struct stats_counter *sum);
int steering_stats_port(struct steering_client *client, uint16_t port, struct stats_port *sum);
int steering_stats_cache(struct steering_client *client, unsigned int worker, struct stats_cache *out);
int steering_stats_stages(struct steering_client *client, struct stats_stages *sum);
// The whole block summed; tsc and revision: the least of the workers.
int steering_stats_total(struct steering_client *client, struct stats_worker *sum);
