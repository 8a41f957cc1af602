// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// bench-flow: measures a running fast path as any DOCA program sees it, through libdoca_flow. `ringfield bench` starts the
// fast path and reads the JSON that this prints. One process, one session, vnf mode.
//
// Errors end the process: a sentence on stderr, exit status 1.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <doca_flow.h>
#include <doca_flow_ringfield.h>

enum {
	BENCH_QUEUES = 2,   // pipe queues: 0 for set-up and measurements, 1 for what disturbs them
	BENCH_DEPTH = 4096, // operations in flight per queue
	BENCH_PORTS_MAX = 2,
	BENCH_PIPES_MAX = 64,
};

struct options {
	const char *runtime_dir;
	const char *session;
	const char *ports; // names, comma separated
	const char *shape; // mixed or same
	const char *churn; // none, hit or miss
	uint32_t pipes;
	uint32_t flows;
	uint32_t nr;        // entries, or operations
	uint32_t batch;     // entries per push
	uint32_t rate;      // operations of each kind per second
	uint32_t windows;   // measurements
	uint32_t window_ms; // length of one
	uint32_t gap_us;    // between two single posts
	uint32_t depth;     // operations in flight per queue
};

// -- base.c -------------------------------------------------------------------------------------------------------
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
// Ends the process with DOCA's sentence unless the call succeeded.
void check(doca_error_t result, const char *what);
void *allocate(size_t count, size_t bytes);
uint64_t now_ns(void); // CLOCK_MONOTONIC
void sleep_until(uint64_t ns);
// Value at a fraction of sorted values.
uint64_t quantile(const uint64_t *sorted, uint32_t nr, double fraction);
void sort_numbers(uint64_t *numbers, uint32_t nr);
// Nanoseconds that the worker threads of a process have run so far; what they got of a core shared with others.
uint64_t worker_run_ns(uint64_t pid);

// -- session.c ----------------------------------------------------------------------------------------------------
struct bench_port {
	struct doca_flow_port *port;
	uint16_t index; // fast path's
	uint16_t id;    // ours
};

// What failed so far, over all entries; counted by the callback. `pending` is per queue.
struct progress {
	uint64_t pending[BENCH_QUEUES];
	uint64_t failed;
};
extern struct progress progress;

// Attaches and starts the ports named. Counters: reserve.
uint16_t session_open(const struct options *options, uint32_t counters, struct bench_port *ports);
void session_close(struct bench_port *ports, uint16_t nr);

struct pipe_plan {
	const char *name;
	const struct doca_flow_match *match;
	const struct doca_flow_match *mask;
	const struct doca_flow_actions *actions; // changeable values, or NULL
	const struct doca_flow_fwd *fwd;
	const struct doca_flow_fwd *miss; // NULL: drop
	uint32_t nr_entries;
	enum doca_flow_pipe_type type;
	bool root;
	bool counters;
};
struct doca_flow_pipe *pipe_make(struct doca_flow_port *port, const struct pipe_plan *plan);
// Posts one basic entry, waiting for room in the queue. actions and monitor may be NULL.
struct doca_flow_pipe_entry *entry_post(struct doca_flow_port *port, uint16_t queue,
	struct doca_flow_pipe *pipe, const struct doca_flow_match *match,
	const struct doca_flow_actions *actions, const struct doca_flow_monitor *monitor, uint32_t flags);
extern const struct doca_flow_monitor counted; // a counter of the entry's own
void entry_drop(
	struct doca_flow_port *port, uint16_t queue, struct doca_flow_pipe_entry *entry, uint32_t flags);
// Until everything posted on the queue is complete.
void queue_finish(struct doca_flow_port *port, uint16_t queue);

// -- traffic.c ----------------------------------------------------------------------------------------------------
// Connection i of the replayed traffic (appliance/bench/traffic.py makes the frames), all in network byte order.
struct connection {
	doca_be32_t src, dst;
	doca_be16_t sport, dport;
};
struct connection connection_of(uint32_t i, bool reverse);
// A connection that the traffic does not have.
struct connection connection_absent(uint32_t i);
// All values that a match of this traffic may read.
void connection_match(struct doca_flow_match *match, const struct connection *connection, bool reverse);

enum connection_fields {
	FIELD_ETHER = 1 << 0, // type
	FIELD_MAC = 1 << 1,   // destination
	FIELD_PROTO = 1 << 2,
	FIELD_SRC = 1 << 3,
	FIELD_DST = 1 << 4,
	FIELD_SPORT = 1 << 5,
	FIELD_DPORT = 1 << 6,
	FIELD_TUPLE = FIELD_PROTO | FIELD_SRC | FIELD_DST | FIELD_SPORT | FIELD_DPORT,
};
// Declares these fields changeable.
void connection_shape(struct doca_flow_match *match, uint32_t fields);
// Distinct connections of the traffic as these fields see them; the caller frees.
struct connection *connection_distinct(uint32_t flows, bool reverse, uint32_t fields, uint32_t *nr);

// -- the measurements, one file each --------------------------------------------------------------------------------
int forward_run(const struct options *options); // packets per second through a chain of pipes
int entries_run(const struct options *options); // entries added, updated, removed per second
int post_run(const struct options *options);    // one entry, post to completion
int churn_run(const struct options *options);   // no measurement: adds and removes at a rate until stdin ends
int acl_run(const struct options *options);     // no measurement: ACL rules again and again until stdin ends
int first_run(const struct options *options);   // waits for the fast path and for its first packet sent
