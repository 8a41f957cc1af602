// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Tables as the data plane sees them: pipes, entries, programs of actions, and what a matcher and an action must provide.
//
// Thread-safety. Control is the only writer. Workers follow pointers that were published with release stores and look only
// at entries that are visible at the revision they read at the start of their burst. An object is unlinked first, freed
// after a grace period.
#pragma once

#include <sys/queue.h>

#include <rte_branch_prediction.h>

#include "key.h"
#include "meter.h"
#include "pipe.h"

struct walker;
struct matcher;
struct flow_log;

#define REVISION_NEVER UINT64_MAX

// --- Forwards -----------------------------------------------------------------------------------------------------
enum { RSS_TABLE = 128 };

struct fwd_rss {
	uint32_t outer; // DOCA_FLOW_RSS_* bits
	uint32_t inner;
	uint8_t symmetric;
	uint8_t pad[7];
	uint16_t table[RSS_TABLE]; // queue by hash
};

struct fwd {
	uint8_t type; // enum steer_fwd_type
	uint8_t algorithm;
	uint16_t port;
	uint32_t index;
	union {
		struct pipe *pipe;   // PIPE, HASH, ORDERED_LIST
		struct fwd_rss *rss; // RSS
	};
};

// Checks and resolves; takes a reference on the pipe. self: a forward to it counts no reference.
int fwd_resolve(const struct steer_fwd *wire, struct pipe *self, struct fwd *out, struct why *why);
void fwd_release(
	struct fwd *fwd, struct pipe *self); // drops the reference; frees nothing that a worker may see
void fwd_free(struct fwd *fwd);              // after grace

// --- Programs -----------------------------------------------------------------------------------------------------
struct action;
// Runs one action on one packet. value: the action's own, or the entry's argument. Returns 0 or why the packet is dropped.
typedef enum steer_drop (*action_run)(
	struct walker *w, struct packet *p, const struct action *action, const uint8_t *value);

struct action {
	action_run run;
	uint8_t kind;
	uint8_t flags;
	uint16_t field;
	uint16_t src_field;
	uint8_t dst_bit;
	uint8_t src_bit;
	uint8_t width;
	uint8_t tunnel;
	uint16_t arg_offset;
	uint16_t data_length;
	const uint8_t *data; // fixed data (program->data) or NULL: at the arguments
	const struct space *space;
	uint8_t value[STEER_FIELD_BYTES_MAX];
	uint8_t mask[STEER_FIELD_BYTES_MAX];
};

struct program {
	uint16_t nr;
	uint16_t args_bytes;
	uint32_t data_bytes;
	uint8_t *data; // behind the actions
	struct action actions[];
};

// What defines an action kind registers it once, with ACTION_REGISTER in its own file.
struct action_kind {
	uint8_t kind; // enum steer_action_kind
	const char *name;
	action_run run;
	uint8_t arg_bytes; // of a changeable value; 0: width of the destination field; 0xff: data_length
	// Checks what is particular to the kind; generic parts (fields, argument bounds) are checked already.
	int (*check)(const struct steer_action *wire, struct why *why);
};
extern const struct action_kind *action_kinds[STEER_ACT_MAX];
void action_register(const struct action_kind *kind);
#define ACTION_REGISTER(k)            \
	RTE_INIT(action_register_##k) \
	{                             \
		action_register(&k);  \
	}

// data: data_bytes bytes that ENCAP and DECAP point into. Frees with program_free.
int program_compile(struct space *space, const struct steer_action *actions, unsigned int n,
	const uint8_t *data, uint32_t data_bytes, uint16_t args_bytes, struct program **out, struct why *why);
void program_free(struct program *program);
// References on shared resources that actions name, by value or argument: +1 / -1. -ENOENT unknown resource.
int program_hold(
	struct space *space, const struct program *program, const uint8_t *args, int step, struct why *why);

// --- Entries ------------------------------------------------------------------------------------------------------
enum entry_bits {
	ENTRY_METER_SHARED = 1 << 0, // meter marks only
	ENTRY_MONITORED = 1 << 1,
	ENTRY_TAGGED = 1 << 2,  // its record has a tag
	ENTRY_METERED = 1 << 3, // it has a meter
};

struct entry {
	// What a hit reads: one cache line.
	uint64_t birth; // visible at revision r iff birth <= r < death
	uint64_t death;
	const struct program *program; // NULL = no actions
	struct meter *meter;           // NULL = none
	struct fwd fwd;
	uint32_t counter;        // slot or STEER_COUNTER_NONE
	uint32_t shared_counter; // likewise
	uint8_t bits;            // enum entry_bits
	uint8_t init_color;
	uint8_t pad[2];
	uint32_t id;
	// The second: key of an exact table, when it is so short (see exact.c); it follows the first on a hit.
	uint8_t key[32];
	// Versions of the same key or index.
	struct entry *older;
	uint32_t few; // place among few in its table, counted from 1 (exact.c); 0 = none
	const uint8_t *args;
	void *match; // the matcher's own: one malloc'ed piece or NULL, freed with the entry
	struct pipe *pipe;
	// Control only.
	struct space *space;
	struct steer_entry_add *rec;
	uint32_t rec_bytes;
	uint32_t sequence; // order of insertion in the pipe
	uint32_t
		own_counter; // slot or STEER_COUNTER_NONE; `counter` is the same unless a list's element counts
	uint32_t shared_counter_id;
	uint32_t shared_meter_id;
	bool dying;     // removed or replaced; not yet unlinked
	bool with_pipe; // dying because its pipe is to go
	bool linked;
	bool owns_counter; // frees the slot with itself
	bool owns_meter;
	bool owns_fwd;     // else the pipe's
	bool fwd_pending;  // of it: see fwd_pend()
	bool owns_program; // body of its own
	bool aging_listed;
	bool in_pipe_list;
	bool held;                    // references of fwd, shared and program are taken
	struct steer_meter meter_cfg; // of a meter of its own
	struct entry_age age;
	TAILQ_ENTRY(entry) by_pipe;
	TAILQ_ENTRY(entry) by_age;
} __rte_cache_aligned;

TAILQ_HEAD(entry_list, entry);

// The version that a packet at `revision` sees, or NULL.
static inline struct entry *entry_visible(struct entry *e, uint64_t revision)
{
	while (unlikely(e && !(fp_read(&e->birth) <= revision && revision < fp_read(&e->death))))
		e = fp_read_acquire(&e->older);
	return e;
}

// A version that is put before the others of its key, outside a transaction, begins where they end: who reads an older
// revision still sees those.
static inline void entry_follow(struct entry *e, const struct entry *older)
{
	if (older && older->death != REVISION_NEVER && e->birth < older->death)
		e->birth = older->death;
}

// --- Pipes --------------------------------------------------------------------------------------------------------
struct miss_version {
	uint64_t birth;
	uint64_t death;
	struct fwd fwd;
	struct miss_version *older;
	struct steer_fwd wire;
	bool pending; // see fwd_pend()
};

struct root_version {
	uint64_t birth;
	uint64_t death;
	struct pipe *pipe;
	struct root_version *older;
};

// Where a packet at `revision` begins, or where it goes on when it leaves by the port; NULL: no root pipe.
static inline struct pipe *root_visible(uint16_t port, enum steer_domain domain, uint64_t revision)
{
	struct root_version *v = fp_read_acquire(&fp.ports[port].root[domain]);

	while (v && !(fp_read(&v->birth) <= revision && revision < fp_read(&v->death)))
		v = fp_read_acquire(&v->older);
	return v ? v->pipe : NULL;
}

struct pipe {
	// Workers.
	const struct matcher *matcher;
	void *table; // the matcher's; swapped at a resize
	struct miss_version *miss;
	uint32_t miss_counter;
	uint32_t hit_counter; // of all entries together, those that are gone included; NONE: no slot was left
	uint8_t dead;         // 1: destroyed, packets drop as bad_fwd
	uint8_t type;         // enum steer_pipe_type
	uint8_t domain;
	uint8_t algorithm; // HASH
	uint16_t port;
	uint16_t pad;
	uint32_t id;
	struct key_plan key;
	// Control only.
	struct space *space;
	struct steer_pipe_spec *spec;           // as created, whole
	const struct steer_match_field *fields; // in spec
	struct fwd fwd;                         // inherited by entries; CHANGEABLE = each its own
	uint16_t nr_templates;
	struct program **templates;
	uint32_t capacity;
	uint32_t used;     // live entries
	uint32_t sequence; // next entry's
	uint32_t refs;     // forwards of others to it
	uint32_t pending;  // and those that go with an open transaction; see fwd_pend()
	bool congested;    // told
	bool published;    // false: made in an open transaction
	bool dying;        // destroy is pending in a transaction
	struct entry_list entries;
	TAILQ_ENTRY(pipe) by_space;
};

TAILQ_HEAD(pipe_list, pipe);

// What defines a pipe type registers it once, with MATCHER_REGISTER in its own file.
struct matcher {
	uint8_t type; // enum steer_pipe_type, or MATCHER_CT_MANAGED
	const char *name;
	enum key_layout layout;
	// Control side. pipe->key is compiled and capacity set.
	int (*create)(struct pipe *pipe, struct why *why);
	void (*retire)(struct pipe *pipe);  // NULL: nothing to do when the pipe goes, before grace
	void (*destroy)(struct pipe *pipe); // after grace, no entries left
	// Makes the entry reachable (visibility is by its revisions). -EEXIST same key (a dying one does not count).
	int (*link)(struct pipe *pipe, struct entry *e, struct why *why);
	// Puts `e` where `old` is, in one step as packets see it.
	int (*replace)(struct pipe *pipe, struct entry *old, struct entry *e, struct why *why);
	void (*unlink)(struct pipe *pipe, struct entry *e); // unreachable for new bursts at return
	int (*resize)(
		struct pipe *pipe, uint32_t capacity, struct why *why); // NULL: capacity is just a number
	// NULL: nothing to gain. Reads what link, replace and unlink of n <= ENTRY_HINTS_MAX packed keys will read.
	void (*warm)(const struct pipe *pipe, const uint8_t *const *packed, unsigned int n);
	// Worker side: what of a packet its hit or miss depended on (flow_cache.h). NULL: no part of recorded walks.
	void (*depends)(const struct pipe *pipe, const struct packet *p, const struct entry *hit,
		struct flow_log *log);
	// Worker side: sets hit of n <= FP_LOOKUP packets, whose key fields are prepared. NULL: connection tracking, see ct.h.
	void (*lookup)(struct walker *w, const struct pipe *pipe, struct packet **packets, unsigned int n);
};
enum { FP_LOOKUP = 64 };
// STEER_PIPE_CT is two things: who keeps the connections is told by the data area.
enum { MATCHER_CT_MANAGED = STEER_PIPE_TYPE_MAX, MATCHER_MAX };
extern const struct matcher *matchers[MATCHER_MAX];
void matcher_register(const struct matcher *matcher);
#define MATCHER_REGISTER(m)            \
	RTE_INIT(matcher_register_##m) \
	{                              \
		matcher_register(&m);  \
	}

// Parts of a work entry that was checked by entry_parse.
static inline const uint8_t *entry_key(const struct entry *e)
{
	return (const uint8_t *)(e->rec + 1);
}

// --- Shared resources ---------------------------------------------------------------------------------------------
struct shared {
	struct space *space;
	uint32_t id;
	uint32_t references;
	struct steer_shared_set set;
	uint32_t counter;    // COUNTER
	struct meter *meter; // METER
};

enum { SHARED_IDS = 65536, SHARED_PAGE = 256 };

struct shared_page {
	struct shared *slot[SHARED_PAGE]; // read by workers (encap, decap, meter by argument)
};

enum { ENTRY_PAGE = 4096 };

struct space_tables {
	struct shared_page *shared[STEER_SHARED_MAX][SHARED_IDS / SHARED_PAGE];
	struct entry **entries[STEER_ENTRY_ID_MAX / ENTRY_PAGE];
	struct pipe_list pipes;
};

// Any thread; NULL when there is none.
static inline struct shared *shared_find(const struct space *space, unsigned int type, uint32_t id)
{
	struct shared_page *page;

	if (unlikely(id >= SHARED_IDS))
		return NULL;
	page = fp_read_acquire(&space->tables->shared[type][id / SHARED_PAGE]);
	return page ? fp_read_acquire(&page->slot[id % SHARED_PAGE]) : NULL;
}

// --- Helpers of the control side ------------------------------------------------------------------------------------
// Fills why in and returns err.
int why_set(struct why *why, enum steer_reason reason, int err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
// Runs fn(arg, n) after a grace period, like rcu_defer.
void rcu_defer_pair(void (*fn)(void *, uintptr_t), void *arg, uintptr_t n);
void *table_alloc(size_t bytes); // cache aligned, zeroed; free() it
