// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Connection tracking, managed: a connection is a handle with up to two entries of the fast path, one for each direction.
// The fast path knows only those entries; that they belong together, ageing and final counts are this library's.
//
// Thread-safety. One thread per CT queue at a time. A CT pipe's lock covers its connections and is held for single steps
// only, never while the program's callbacks run. Order: flow.lock before a pipe's lock; the list of pipes has its own.
#pragma once

#include <doca_flow_ct.h>

#include "flow.h"

enum {
	CT_DEFAULT_DEPTH = 512,
	CT_DEFAULT_ZONE_MAX = 0x200000,
	CT_CHUNK = 256, // connections allocated at a time
	CT_PIPES_MAX = 8,
	CT_NONE = UINT32_MAX,
};

enum ct_side { CT_ORIGIN = 0, CT_REPLY, CT_SIDES };

struct ct_side_cfg {
	bool inner;
	uint16_t zone_field; // enum steer_field of the metadata word, STEER_F_NONE: no zones
	doca_be32_t zone_mask;
	struct doca_flow_ct_meta modify;
};

struct doca_flow_ct_cfg {
	uint32_t flags;
	uint32_t queues;
	uint32_t queue_depth;
	uint32_t ctrl_queues;
	uint32_t user_actions;
	uint32_t max_ipv4;
	uint32_t max_ipv6;
	uint32_t max_total;
	uint32_t zone_max;
	uint32_t asymmetric; // connections with a counter for each direction
	uint32_t priv_bytes;
	doca_flow_ct_entry_finalize_cb finalize_cb;
	doca_flow_ct_stats_update_cb stats_cb;
	bool has_aging_core;
	uint32_t aging_core;
	uint32_t aging_delay_s; // 0 = 1
	bool has_plugin;
	struct doca_flow_ct_aging_ops plugin;
	uint32_t dup_filter;
	struct ct_side_cfg side[CT_SIDES];
};

enum ct_state {
	CT_FREE = 0,
	CT_PREPARED,
	CT_ADDING,
	CT_ALIVE,
	CT_REMOVING,
};

// One direction of a connection.
struct ct_way {
	struct doca_flow_pipe_entry *entry; // NULL: this direction is not offloaded
	struct doca_flow_ct_match match;
	bool six;
	bool refresh;        // its shared action changed while it was busy: post again
	uint8_t action_idx;  // template
	uint32_t shared;     // handle of its shared action, or CT_NONE
	uint32_t fwd_handle; // 0: the pipe's fwd
	uint32_t hash;       // the program's
	uint8_t *args;       // of the template; NULL when it has none
};

struct ct_conn {
	struct doca_flow_pipe_entry handle; // first: what programs hold
	struct ct_pipe *ct;
	uint32_t index;
	uint32_t next_free;
	uint32_t flags; // enum doca_flow_ct_entry_flags that stay
	uint32_t timeout_s;
	uint32_t zone;
	uint16_t queue;
	uint16_t version;              // of the slot
	uint8_t state;                 // enum ct_state
	uint8_t pending;               // operations of its directions in flight
	uint8_t op;                    // enum doca_flow_entry_op that those are
	bool add_failed;               // REMOVING what a failed add left
	bool quiet;                    // the program did not ask for the operation
	bool asymmetric;               // takes one of the asymmetric counters
	bool inline_actions[CT_SIDES]; // takes one of the user actions
	bool counts[2];                // of the limits of IPv4, IPv6
	bool final;                    // `last` is what queries give
	// Ageing.
	bool aged; // reported, or waiting to be
	bool aged_listed;
	bool changed_listed;
	bool synced;   // the plug-in knows it
	uint64_t seen; // packets at the last look
	uint64_t last_hit_s;
	uint64_t idle_since_s; // of the monotonic clock
	struct doca_flow_resource_query last[CT_SIDES];
	struct ct_way way[CT_SIDES];
	TAILQ_ENTRY(ct_conn) by_aged;
	TAILQ_ENTRY(ct_conn) by_changed;
	uint8_t priv[] __attribute__((aligned(16)));
};

TAILQ_HEAD(ct_conn_list, ct_conn);

// Recent connections by key, of one queue.
struct ct_filter {
	struct ct_conn **slots;
};

struct ct_zone {
	uint32_t zone; // masked, network order
	uint32_t used;
};

struct ct_action {
	bool used;
	uint8_t action_idx;
	uint8_t *args;
};

struct ct_pipe {
	struct doca_flow_pipe *pipe;
	unsigned int
		slot; // in the list of CT pipes: its connections' ageing ids begin at slot * ct.conns_per_pipe
	pthread_mutex_t lock;
	uint32_t max_total;
	uint32_t max[2]; // of IPv4, IPv6
	uint32_t used_total;
	uint32_t used[2];
	uint32_t used_asymmetric;
	uint32_t used_actions;
	struct ct_conn **chunks; // each CT_CHUNK connections of conn_bytes
	uint32_t nr_chunks;
	size_t conn_bytes;
	uint32_t first_free;
	struct ct_zone *zones; // open hashing; NULL when no zone can reach its limit
	uint32_t zone_slots;
	struct ct_action *actions;
	uint32_t nr_actions;
	uint16_t nr_user;  // the program's templates, then one without actions, then those of metadata
	uint16_t none_idx; // template without actions
	uint16_t meta_idx[CT_SIDES]; // template of the modify masks
	uint16_t mark_offset
		[STEER_ACTION_TEMPLATE_MAX]; // in the arguments; UINT16_MAX: the template has no mark
	struct ct_filter filters[STEER_QUEUE_MAX];
	struct ct_conn_list aged[STEER_QUEUE_MAX];
	struct ct_conn_list changed[STEER_QUEUE_MAX];
	// An iteration that runs: where each queue is.
	doca_flow_ct_pipe_iterate_cb iterate_cb;
	void *iterate_ctx;
	uint32_t iterate_at[STEER_QUEUE_MAX]; // CT_NONE: done
};

extern struct ct {
	bool initialised;
	struct doca_flow_ct_cfg cfg;
	bool split; // the directions look at different things
	uint32_t conns_per_pipe;
	pthread_mutex_t lock; // of pipes[] and of the ageing thread's wake-up
	struct ct_pipe *pipes[CT_PIPES_MAX];
} ct;

static inline bool ct_has(uint32_t flag)
{
	return ct.cfg.flags & flag;
}

// The port's CT pipe in a slot of the list, or NULL. To be asked anew after each call of the program, who may have
// destroyed it.
static inline struct ct_pipe *ct_pipe_in(unsigned int slot, const struct doca_flow_port *port)
{
	struct ct_pipe *p = __atomic_load_n(&ct.pipes[slot], __ATOMIC_ACQUIRE);

	return p && p->pipe->port == port ? p : NULL;
}

// --- checks (ct_cfg.c)
// BAD_STATE before doca_flow_ct_init(); queue is one of CT's, ctrl: control queues as well.
doca_error_t ct_check(const char *function, uint16_t queue, const struct doca_flow_pipe *pipe, bool ctrl);
// Puts a zone number at its place in the word.
doca_be32_t ct_zone_place(enum ct_side side, uint32_t zone);

// --- pipes (ct_pipe.c)
doca_error_t ct_pipe_check(const struct doca_flow_pipe_cfg *cfg, const struct doca_flow_fwd *fwd,
	const struct doca_flow_fwd *fwd_miss);
// Behind the compilation of templates and match.
doca_error_t ct_pipe_compile(struct doca_flow_pipe *pipe, size_t nr_user);
void ct_pipe_free(struct doca_flow_pipe *pipe);
// What goes into the data area of the spec.
struct ct_data {
	struct steer_ct_cfg cfg;
	struct steer_ct_managed managed;
};
void ct_pipe_data(const struct doca_flow_pipe *pipe, struct ct_data *data);
// Template and arguments of an action; *args is malloc'ed or NULL.
doca_error_t ct_action_compile(const struct doca_flow_pipe *pipe, enum ct_side side,
	const struct doca_flow_ct_actions *actions, uint8_t *action_idx, uint8_t **args);
doca_error_t ct_fwd_of(const struct doca_flow_pipe *pipe, uint32_t handle, struct steer_fwd *fwd);

// --- connections (ct_conn.c); the pipe's lock is held
struct ct_conn *ct_conn_at(const struct ct_pipe *p, uint32_t index);
struct ct_conn *ct_conn_alloc(struct ct_pipe *p);
void ct_conn_free(struct ct_conn *conn);
bool ct_zone_take(struct ct_pipe *p, uint32_t zone);
void ct_zone_give(struct ct_pipe *p, uint32_t zone);
void ct_filter_forget(const struct ct_conn *conn);
void ct_filter_note(struct ct_conn *conn);
void ct_reverse(const struct doca_flow_ct_match *origin, bool six, struct doca_flow_ct_match *reply);
void ct_key(enum ct_side side, const struct doca_flow_ct_match *match, bool six, struct steer_ct_key *key);
// Counters as they are now; both sides the sum when shared.
void ct_conn_read(const struct ct_conn *conn, struct doca_flow_resource_query data[CT_SIDES]);
// Notes whether the counters moved since the last look, and when.
bool ct_conn_look(struct ct_conn *conn, const struct doca_flow_resource_query data[CT_SIDES]);
// The connection behind a handle, after ct_check(). INVALID_VALUE when it is none of this pipe's.
doca_error_t ct_conn_of(const char *function, uint16_t queue, struct doca_flow_pipe *pipe,
	struct doca_flow_pipe_entry *entry, struct ct_conn **conn);
// NOT_FOUND, IN_PROGRESS or BAD_STATE, as the connection is.
doca_error_t ct_refuse_state(const char *function, const struct ct_conn *conn);
// Calls back for live connections of the queue, as far as an iteration is due; no lock may be held.
void ct_conn_iterate(struct doca_flow_port *port, uint16_t queue, uint32_t max);

// --- operations (ct_entry.c, ct_complete.c)
// The result of one direction's entry. Called without locks.
void ct_completed(struct doca_flow_pipe_entry *entry, uint16_t queue, enum doca_flow_entry_op op);
// Posts the removal of all directions that there are; flags: those of connections. The pipe's lock is held, for both.
doca_error_t ct_post_removals(struct ct_conn *conn, uint16_t queue, uint32_t flags);
void ct_set_timeout(struct ct_conn *conn, uint32_t timeout_s);
// Posts the present state of a direction again. The pipe's lock is held.
doca_error_t ct_repost(struct ct_conn *conn, enum ct_side side, uint16_t queue, uint32_t flags);

// --- ageing (ct_aging.c)
doca_error_t ct_aging_start(void);
void ct_aging_stop(void);
int ct_aging_handle(struct doca_flow_port *port, uint16_t queue, uint64_t quota_us, uint64_t max);
// Calls the program's statistics callback for connections of the queue whose counters moved.
void ct_stats_updates(struct doca_flow_port *port, uint16_t queue);
// The plug-in is to hear of this connection. The pipe's lock is held.
void ct_aging_note(struct ct_conn *conn);
// Numbers of connections over all pipes: pipe's slot * stride + index.
uint32_t ct_aging_stride(void);
uint32_t ct_aging_id(const struct ct_conn *conn);
// Whether connections are watched at all.
bool ct_aging_on(void);
