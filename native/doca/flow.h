// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The objects behind DOCA Flow's opaque types, and the one process-wide state.
//
// Locking: flow.lock covers everything here but what the entry calls touch. Entry calls are lock-free: they read pipes
// (immutable but for counts, which are atomic) and write their own queue. See doca_flow.h for the rule that programs see.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <doca_flow.h>
#include <doca_flow_ringfield.h>

#include "error.h"
#include "field.h"
#include "steering_client.h"

enum {
	FLOW_SHARED_TYPES = DOCA_FLOW_SHARED_RESOURCE_IPSEC_SA + 1,
	FLOW_RESOURCES = DOCA_FLOW_RESOURCE_IPSEC_SA + 1,
	FLOW_DEFAULT_ENTRIES = 8192,
	FLOW_DEFAULT_DEPTH = 128,
	FLOW_CONTROL_PRIORITIES = 8,
	FLOW_ACL_PRIORITY_MAX = 1024,
	FLOW_LISTS_MAX = 8,
	FLOW_LIST_ELEMENTS_MAX = 16,
};

// === Configuration objects

struct doca_flow_cfg {
	uint16_t pipe_queues;
	uint32_t queue_depth;
	char mode_args[256];
	uint32_t nr_counters;
	uint32_t nr_meters;
	uint32_t nr_shared[FLOW_SHARED_TYPES];
	enum doca_flow_resource_mode resource_mode;
	doca_flow_entry_process_cb entry_cb;
	doca_flow_pipe_process_cb pipe_cb;
	doca_flow_shared_resource_unbind_cb unbind_cb;
	bool has_rss_key;
	uint8_t rss_key[STEER_RSS_KEY_BYTES];
};

struct doca_flow_tune_cfg {
	enum doca_flow_tune_profile profile;
};

struct doca_flow_port_cfg {
	bool has_id;
	uint16_t id;
	struct doca_dev *dev;
	struct doca_dev_rep *rep;
	uint16_t priv_bytes;
	uint32_t actions_mem_size;
	uint32_t nr_resources[FLOW_RESOURCES];
};

// One action template, or the actions element of an ordered list, as the program gave it.
struct actions_cfg {
	struct doca_flow_actions actions;
	struct doca_flow_actions mask;
	bool has_actions;
	bool has_mask;
	uint8_t nr_descs;
	struct doca_flow_action_desc *descs; // with their strings copied
};

struct list_cfg {
	uint32_t nr_elements;
	struct {
		enum doca_flow_ordered_list_element_type type;
		struct actions_cfg actions;
		struct doca_flow_monitor monitor;
		struct doca_flow_nat64_action nat64;
	} elements[FLOW_LIST_ELEMENTS_MAX];
};

struct doca_flow_pipe_cfg {
	struct doca_flow_port *port;
	char name[STEER_NAME_MAX];
	char label[STEER_NAME_MAX];
	enum doca_flow_pipe_type type;
	enum doca_flow_pipe_domain domain;
	bool has_domain;
	bool is_root;
	bool is_resizable;
	bool miss_counter;
	uint32_t nr_entries;
	uint8_t congestion_percent;
	uint32_t excluded_queues; // bit set
	uint32_t hash_algorithms;
	void *user_ctx;
	bool has_match;
	bool has_mask;
	struct doca_flow_match match;
	struct doca_flow_match mask;
	bool has_monitor;
	struct doca_flow_monitor monitor;
	size_t nr_actions;
	struct actions_cfg *actions;
	size_t nr_lists;
	struct list_cfg *lists;
	bool has_ct; // an autonomous CT pipe
	struct doca_flow_ringfield_ct ct;
};

void actions_cfg_release(struct actions_cfg *cfg);

// === Devices

struct doca_devinfo {
	struct steer_port_info port;
	struct doca_dev *dev; // open device that this belongs to, or NULL
};

struct doca_devinfo_rep {
	struct steer_port_info port;
	struct steer_port_info parent;
};

struct doca_dev {
	struct doca_devinfo info;
	unsigned int references;
	unsigned int ports; // started on it
	LIST_ENTRY(doca_dev) link;
};

struct doca_dev_rep {
	struct doca_devinfo_rep info;
	unsigned int ports;
};

// === Ports

// A completion taken off the shared queue while another port was processed.
struct deferred {
	struct steer_completion completion;
	STAILQ_ENTRY(deferred) link;
};

STAILQ_HEAD(deferred_list, deferred);

// Of one port and one queue; belongs to the thread that uses the queue.
struct port_queue {
	uint32_t in_flight; // posted, result not yet reported
	struct deferred_list deferred;
	struct deferred_list aged; // reported by doca_flow_aging_handle()
};

struct ct_pipe;

struct doca_flow_port {
	uint16_t id;    // logical
	uint16_t index; // in the fast path
	uint16_t root;  // index of the port whose pipes judge this port's packets
	uint16_t start; // of which start of a port it is; results of an earlier one may still be under way
	struct steer_port_info info;
	struct doca_dev *dev;
	struct doca_dev_rep *rep;
	struct doca_flow_port *manager; // switch mode: the switch port, itself for that one; vnf: itself
	struct doca_flow_port *pair;
	uint8_t *priv;
	enum doca_flow_port_default_miss_type default_miss;
	bool default_miss_counted;
	struct doca_flow_resource_query
		default_miss_before;           // what had been counted when counting was asked for
	uint32_t nr_resources[FLOW_RESOURCES]; // port resource mode
	uint32_t counters_used;                // atomic
	uint32_t meters_used;                  // atomic
	uint32_t actions_mem_size;             // bytes for what entries bring for their actions; 0 = no limit
	uint32_t memory_used;                  // atomic: of it, in units of 64 bytes
	uint32_t shared_taken[FLOW_SHARED_TYPES]; // ids handed out by shared_resource_get
	struct port_queue *queues;
	struct steer_fwd *ct_fwds; // registered for connections; handles count from 1
	uint32_t nr_ct_fwds;
	uint32_t resizing; // atomic: pipes of this port whose resize is not complete
	bool adopted;
	TAILQ_HEAD(pipe_list, doca_flow_pipe) pipes;
	TAILQ_ENTRY(doca_flow_port) link;
};

// === Pipes

struct match_field {
	const struct field_map *map;
	enum field_layer layer;
	uint16_t field;  // enum steer_field
	uint8_t kind;    // enum steer_match_kind
	uint8_t bytes;   // on the wire
	uint16_t offset; // in the key
	uint8_t value[STEER_FIELD_BYTES_MAX];
	uint8_t mask[STEER_FIELD_BYTES_MAX];
};

struct match_template {
	uint16_t nr_fields;
	uint16_t key_bytes;
	uint16_t exact_bytes; // LPM: of the exact part
	struct field_gate gates[FIELD_LAYERS];
	struct match_field fields[STEER_MATCH_FIELD_MAX];
};

// Where an argument of an entry's args comes from.
struct action_arg {
	const struct field_map *map; // a field of the actions structure; NULL: see source
	enum field_layer layer;
	enum {
		ARG_FIELD,
		ARG_ENCAP,
		ARG_DECAP_ETH,
		ARG_PUSH_VLAN,
		ARG_SHARED_ENCAP,
		ARG_SHARED_DECAP
	} source;
	uint16_t offset;
	uint16_t bytes;
	uint8_t mask[STEER_FIELD_BYTES_MAX];
};

struct action_template {
	struct field_gate gates[FIELD_LAYERS];
	uint16_t nr_actions;
	uint16_t nr_args;
	uint16_t args_bytes;
	uint16_t data_bytes;
	struct steer_action actions[STEER_ACTION_MAX];
	struct action_arg args[STEER_ACTION_MAX];
	uint8_t data[2 * STEER_ENCAP_MAX];
	struct doca_flow_resource_encap_cfg *encap; // of the pipe, for changeable encapsulations
	struct doca_flow_resource_decap_cfg *decap;
};

// What an entry may bring of fwd.
enum fwd_open {
	FWD_FIXED,     // nothing
	FWD_OPEN_SAME, // the pipe's type, its own target
	FWD_OPEN_ANY,  // everything
};

struct list_template {
	uint32_t nr_elements;
	struct {
		enum doca_flow_ordered_list_element_type type;
		struct action_template *actions;
		struct doca_flow_monitor monitor;
	} elements[FLOW_LIST_ELEMENTS_MAX];
};

struct doca_flow_pipe {
	struct doca_flow_port *port;
	uint32_t number; // in the fast path
	char name[STEER_NAME_MAX];
	char label[STEER_NAME_MAX];
	enum doca_flow_pipe_type type;
	enum doca_flow_pipe_domain domain;
	bool is_root;
	bool is_resizable;
	bool has_miss_counter;
	uint32_t miss_counter; // slot
	uint32_t nr_entries;   // atomic
	uint32_t used;         // atomic: entries posted and not known to be gone
	uint8_t congestion_percent;
	bool congested; // reported
	uint32_t excluded_queues;
	uint32_t algorithm; // enum steer_hash_algorithm
	uint8_t flood_fwd;  // enum doca_flow_fwd_type of a flooding pipe's entries, 0 before the first
	void *user_ctx;
	struct match_template match;
	uint16_t nr_templates;
	struct action_template *templates;
	struct doca_flow_monitor monitor;
	struct steer_monitor wire_monitor;
	struct steer_fwd fwd;
	enum fwd_open fwd_open;
	struct steer_fwd fwd_miss;
	uint16_t nr_lists;
	struct list_template *lists;
	bool has_ct; // autonomous CT
	struct doca_flow_ringfield_ct ct;
	uint32_t resize_queues; // bit set: queues that still have to be processed; 0 = no resize is running
	doca_flow_pipe_resize_nr_entries_changed_cb resize_changed;
	doca_flow_pipe_resize_entry_relocate_cb resize_relocate;
	struct ct_pipe *conns; // of a managed CT pipe, else NULL
	bool destroyed;        // in the open transaction, whose end decides
	uint32_t in_txn;       // number of the transaction that it was made in, 0 = in none
	bool adopting;         // adopt_after counts
	uint32_t adopt_after;  // number of the entry adopted last
	TAILQ_ENTRY(doca_flow_pipe) link;
};

// === Entries

enum entry_state {
	ENTRY_FREE = 0,
	ENTRY_ALIVE,
	ENTRY_ZOMBIE,  // its pipe is gone, results are still to come
	ENTRY_REMOVED, // in the open transaction, whose end decides
};

struct doca_flow_pipe_entry {
	struct doca_flow_pipe *pipe;
	void *user_ctx;
	uint32_t id;
	uint32_t generation;
	uint32_t counter;        // slot, or STEER_COUNTER_NONE
	uint32_t shared_counter; // id, or STEER_COUNTER_NONE
	int32_t error;           // negative errno of the last failure
	uint16_t queue;
	uint16_t reason; // enum steer_reason
	uint8_t state;   // enum entry_state
	uint8_t status;  // enum doca_flow_entry_status
	uint8_t action_idx;
	bool counted;   // takes one of the counter reserve
	bool metered;   // takes one of the meter reserve
	bool lent;      // what it takes is lent out until the transaction ends
	uint8_t memory; // units of 64 bytes of its port's memory for actions
	bool by_bulk;   // added by a bulk call: there is no context to call back with
	bool quiet;     // bulk: no callback
	bool awaited;   // the call that added it waits for the result
	bool aged_told; // AGED was called back
	uint16_t port;  // index of the port
	uint32_t in_flight;
	uint32_t priority;
	uint32_t index;
	uint64_t tag;
	uint32_t in_txn; // number of the transaction that it was added in, 0 = in none
};

// Destroying a pipe looks through all entries, those of other threads among them.
static inline struct doca_flow_pipe *entry_pipe(const struct doca_flow_pipe_entry *entry)
{
	return __atomic_load_n(&entry->pipe, __ATOMIC_RELAXED);
}

static inline void entry_pipe_set(struct doca_flow_pipe_entry *entry, struct doca_flow_pipe *pipe)
{
	__atomic_store_n(&entry->pipe, pipe, __ATOMIC_RELAXED);
}

// === Process-wide state

struct shared_resource {
	bool configured;
	bool bound;
	void *bound_to;
	struct doca_flow_shared_resource_cfg cfg;
};

extern struct flow {
	pthread_mutex_t lock;
	bool initialised;
	bool lost; // atomic: the fast path has broken off; what is posted now will never be done
	bool reader;
	bool switch_mode;
	bool expert;
	struct doca_flow_cfg cfg;
	struct steering_client *client;
	uint16_t ct_queues; // behind the pipe queues
	uint32_t ct_depth;
	uint32_t counters_used; // atomic, system resource mode
	uint32_t meters_used;   // atomic
	struct shared_resource *shared[FLOW_SHARED_TYPES];
	uint32_t nr_shared[FLOW_SHARED_TYPES];
	TAILQ_HEAD(port_list, doca_flow_port) ports;
	struct doca_flow_port *port_of_index[STEER_PORT_MAX];
} flow;

static inline void flow_lock(void)
{
	pthread_mutex_lock(&flow.lock);
}

static inline void flow_unlock(void)
{
	pthread_mutex_unlock(&flow.lock);
}

static inline uint16_t flow_nr_queues(void)
{
	return (uint16_t)(flow.cfg.pipe_queues + flow.ct_queues);
}

static inline uint32_t flow_queue_depth(uint16_t queue)
{
	return queue < flow.cfg.pipe_queues ? flow.cfg.queue_depth : flow.ct_depth;
}

// Attaches again with nr more queues behind the pipe queues; no port is started. flow.lock is held.
doca_error_t flow_add_queues(uint16_t nr, uint32_t depth);

// BAD_STATE with a reason unless doca_flow_init() has been called.
doca_error_t flow_check_state(const char *function);

// NOT_CONNECTED once a call has found that the fast path is gone.
doca_error_t flow_check_connected(void);

// Where to find the fast path: opens a client with this process' attach settings. flags as in steering_options; name and
// sizes only matter to sessions that own something.
doca_error_t flow_connect(uint32_t flags, const struct doca_flow_cfg *cfg, struct steering_client **client);
// A client for reading lists: the session's own when initialised, else a new one. Give it back.
doca_error_t flow_reader_get(struct steering_client **client);
void flow_reader_put(struct steering_client *client);

// All ports of the fast path; *ports is the caller's to free.
doca_error_t flow_port_infos(
	struct steering_client *client, struct steer_port_info **ports, unsigned int *nr_ports);

// Forgets a packet of the session that waits for a larger buffer.
void packets_fini(void);

// --- ports
struct doca_flow_port *port_by_id(uint16_t id); // logical id; NULL
// Forgets a port and its pipes' handles without telling the fast path.
void port_forget(struct doca_flow_port *port);

// --- pipes
struct doca_flow_pipe *pipe_by_number(uint32_t number);
void pipe_release(struct doca_flow_pipe *pipe); // frees the handle; the fast path's side is gone already
// Carries running resizes of a port on, for one queue.
void pipe_resize_step(struct doca_flow_port *port, uint16_t queue);
