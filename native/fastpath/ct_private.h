// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What the files of connection tracking share.
#pragma once

#include <netinet/in.h>

#include "ct.h"
#include "ct_table.h"

enum {
	CT_VISIT_MS =
		10000, // every connection is looked at so often at least: the sweep after a change of policy
	CT_RECORDS = 1 << 14,   // of one worker's ring
	CT_SCRATCH_FRAME = 128, // of a packet made for a judgement: Ethernet, VLAN, IPv6, TCP
	CT_ID_SLOTS = 65536,
	CT_ADOPT_MAX = 1024,
};

// --- Limits -----------------------------------------------------------------------------------------------------------
// Shared by the workers: added to with atomic operations, when connections come and go only.
struct ct_limit {
	uint32_t connections;
	uint32_t half_open;
	uint32_t second; // of `fresh`
	uint32_t fresh;  // opened in that second
};

static inline unsigned int ct_id_slot(uint32_t identity)
{
	return identity >> 2 & (CT_ID_SLOTS - 1);
}

// --- Adoption ---------------------------------------------------------------------------------------------------------
struct ct_adopt_window {
	uint8_t address[16];
	uint32_t zone; // network order
	uint8_t version;
	uint64_t since_ms;
	uint64_t until_ms;
};

struct ct_adopt_list { // immutable once published
	unsigned int nr;
	struct ct_adopt_window window[];
};

// --- One worker -------------------------------------------------------------------------------------------------------

// A packet made up to ask the policy, in memory of its own.
struct ct_scratch {
	struct packet p;
	struct rte_mbuf m;
	uint8_t buffer[FP_HEADROOM + CT_SCRATCH_FRAME + 128];
} __rte_cache_aligned;

enum ct_kind {
	CT_KIND_TRACKED,     // a connection, or what could open one
	CT_KIND_ERROR,       // an ICMP error about a connection
	CT_KIND_UNTRACKABLE, // nothing can be made of it
	CT_KIND_MALFORMED,
};

// What was found of a packet's connection.
struct ct_look {
	struct ct_key key;
	uint64_t hash;
	uint32_t number; // as looked up
	uint8_t kind;    // enum ct_kind
	uint8_t from_high;
	bool absent;       // certainly neither a connection nor a denial, as looked up
	bool walked;       // went through the policy stage
	uint8_t judged;    // its connection's new verdict, counted from 1
	uint16_t recorded; // it came here by a recorded walk, see flow_cache.h
};

// All lines of what is written soon.
static inline void ct_fetch_to_write(const void *place, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += RTE_CACHE_LINE_SIZE)
		__builtin_prefetch((const uint8_t *)place + at, 1);
}

// The steps of looking up a burst: each is done for all of its packets before the next, their cache misses at once.
static inline void ct_look_begin(struct ct_look *k, enum ct_kind kind, unsigned int from_high)
{
	k->kind = (uint8_t)kind;
	k->from_high = (uint8_t)from_high;
	k->number = 0;
	k->absent = false;
	k->walked = false;
	k->judged = 0;
	k->recorded = 0;
}

static inline void ct_look_hash(const struct ct_table *t, struct ct_look *k)
{
	k->hash = ct_hash(t, &k->key);
	rte_prefetch0(ct_bucket(t, k->hash));
}

static inline void ct_look_guess(const struct ct_table *t, struct ct_look *k)
{
	k->number = ct_table_guess(t, k->hash);
	k->absent = !k->number && !ct_bucket(t, k->hash)->next;
	if (k->number) {
		rte_prefetch0(ct_conn(t, k->number));
		rte_prefetch0(ct_conn(t, k->number)->packets);
	}
}

// A guess that is wrong is looked up.
static inline void ct_look_confirm(const struct ct_table *t, struct ct_look *k)
{
	if (k->absent)
		return;
	if (likely(k->number) && likely(ct_same(&ct_conn(t, k->number)->key, &k->key)) &&
		likely(ct_key_mark(&ct_conn(t, k->number)->key) == CT_MARK_CONNECTION))
		return;
	k->number = ct_table_find(t, &k->key, k->hash, k->from_high);
}

struct ct_question;
struct ct_mail {
	uint32_t state; // enum of ct_mail.c
	struct ct_question *question;
};

struct ct_worker {
	struct ct *ct;
	struct ct_table table;
	struct stats_ct *stats;
	uint64_t now_ms; // of this turn
	uint64_t now_ns; // CLOCK_REALTIME
	uint64_t next_id;
	uint64_t records_next; // as records_tail, with those that control is not told of yet
	uint64_t records_seen; // records_head, as last read
	unsigned int index;
	struct ct_scratch *scratch; // FP_LOOKUP of them
	struct ct_conn *adopting;   // 2, for questions
	uint32_t ahead_serial;      // of the table at the look-ups `ahead`
	struct ct_look ahead[FP_LOOKUP];
	// Records on their way to control. Single producer, single consumer.
	struct steer_flow_record *records;
	uint64_t records_tail __rte_cache_aligned;
	uint64_t records_head __rte_cache_aligned;
	struct ct_mail mail __rte_cache_aligned;
} __rte_cache_aligned;

struct ct {
	struct steer_ct_cfg cfg;
	struct pipe *pipe;
	uint32_t session; // that the pipe belongs to
	uint32_t serial;  // no other one has had it; not 0
	uint32_t timeout_ms[STEER_CT_TIMER_MAX];
	uint16_t nr_workers;
	bool limited; // any limit is set
	uint64_t tsc_base;
	uint64_t tsc_scale;                      // ms = (tsc - base) * scale >> 64
	struct ct_adopt_list *adopt;             // RCU
	struct ct_limit *ids;                    // CT_ID_SLOTS, or NULL without limits per identity
	struct ct_limit all __rte_cache_aligned; // in all
	// Control only, when the pipe is gone: the last records on their way.
	struct ct *next_dying __rte_cache_aligned;
	uint64_t dying_ns;
	uint32_t dying_worker;
	uint32_t dying_number;
	uint32_t id_epoch[CT_ID_SLOTS]; // control writes, before the epoch
	struct ct_worker worker[STEER_WORKER_MAX];
};

// What is in force, written by control, read by workers at the start of a burst, before the revision of the tables.
struct ct_in_force {
	uint64_t revision; // of the policy
	uint32_t epoch;
	uint32_t all_epoch; // the last one that concerns every connection
};
extern struct ct_in_force ct_in_force;

uint64_t ct_ms(const struct ct *ct, uint64_t tsc);
// The worker keeps this pipe's connections from now on (NULL: none): what it had has ended.
void ct_take_over(struct walker *w, struct ct *ct);

// --- Keys (ct_key.c) ----------------------------------------------------------------------------------------------------
// The packet's key and whether it comes from the high end. ERROR: key of the quoted packet, and of whom that came.
enum ct_kind ct_key_of(
	const struct ct *ct, const struct packet *p, struct ct_key *key, unsigned int *from_high);
static inline uint32_t ct_zone_of(const struct ct *ct, const struct packet *p)
{
	return ct->cfg.zone_u32 == STEER_CT_META_NONE ? 0 : p->meta.u32[ct->cfg.zone_u32];
}

// Likewise, in a zone that its metadata need not name.
enum ct_kind ct_key_in(uint32_t zone, const struct packet *p, struct ct_key *key, unsigned int *from_high);
// Likewise of plain headers.
enum ct_kind ct_key_of_tuple(
	uint32_t zone, const struct ct_tuple *tuple, struct ct_key *key, unsigned int *from_high);
// The opener's tuple of a connection.
void ct_tuple_of(const struct ct_conn *c, struct ct_tuple *tuple);
// Of a packet (its outer headers). ICMP queries only.
void ct_tuple_of_packet(const struct packet *p, struct ct_tuple *tuple);

// --- TCP (ct_tcp.c) -----------------------------------------------------------------------------------------------------
struct ct_segment {
	uint32_t seq;
	uint32_t end; // behind its last byte, SYN and FIN count
	uint32_t ack;
	uint32_t sack; // the highest byte acknowledged at all
	uint32_t window;
	uint8_t flags;
	uint8_t scale; // of a SYN
	bool scales;
	bool sacks;
	bool part; // of a fragmented datagram
};

enum ct_tcp_flags {
	CT_TCP_FIN = 1,
	CT_TCP_SYN = 2,
	CT_TCP_RST = 4,
	CT_TCP_PSH = 8,
	CT_TCP_ACK = 16,
};

enum ct_tcp_result {
	CT_TCP_PASS = 0,
	CT_TCP_INVALID, // out of state or window
	CT_TCP_REOPEN,  // opens the tuple anew
};

void ct_segment_read(const struct packet *p, struct ct_segment *s);
static inline bool ct_tcp_opens(const struct ct_segment *s)
{
	return (s->flags & (CT_TCP_SYN | CT_TCP_ACK | CT_TCP_RST | CT_TCP_FIN)) == CT_TCP_SYN;
}
void ct_tcp_open(struct ct_conn *c, const struct ct_segment *s);
// Takes over a connection that runs: direction of this segment.
void ct_tcp_adopt(struct ct_conn *c, unsigned int direction, const struct ct_segment *s);
enum ct_tcp_result ct_tcp_track(struct ct_conn *c, unsigned int direction, const struct ct_segment *s);
bool ct_tcp_half_open(const struct ct_conn *c);
enum steer_ct_timer ct_tcp_timer(uint8_t state);

// --- Judgements (ct_judge.c) ----------------------------------------------------------------------------------------------

// What the policy says.
struct ct_verdict {
	bool allowed;
	bool reject;
	uint8_t drop;    // enum steer_drop when not allowed
	uint8_t verdict; // enum packet_verdict as the policy stage left it
	uint64_t tag;
	uint32_t src_identity;
	uint32_t dst_identity;
};

// Walks packets of their own through the policy stage; they are left with PACKET_ALLOWED or another verdict.
void ct_policy_walk(
	struct walker *w, const struct ct *ct, struct packet **packets, unsigned int n, bool live);
void ct_verdict_of(const struct ct *ct, const struct packet *p, struct ct_verdict *out);
// A made-up first packet of a connection, ready to walk.
struct packet *ct_scratch_of(struct ct_scratch *s, const struct ct_conn *c);
// Judges again what is in the array, in one walk. n <= FP_LOOKUP.
void ct_judge(struct walker *w, const struct ct *ct, struct ct_scratch *scratch,
	const struct ct_conn *const *conns, unsigned int n, struct ct_verdict *verdicts);

// --- Decisions (ct_rules.c), which change nothing ---------------------------------------------------------------------------

static inline uint8_t ct_flags_of(const struct packet *p)
{
	return p->base[REGION_TCP][13] & 0x3f;
}

// Whether a packet without a connection may open one.
static inline bool ct_opens(const struct packet *p, const struct ct_key *key, unsigned int from_high)
{
	uint8_t protocol = ct_key_protocol(key);

	if (protocol == IPPROTO_TCP)
		return (ct_flags_of(p) & (CT_TCP_SYN | CT_TCP_ACK | CT_TCP_RST | CT_TCP_FIN)) == CT_TCP_SYN;
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
		return !!((uint8_t)(key->k[0] >> CT_CLASS_SHIFT) & CT_CLASS_HIGH_ASKS) == !!from_high;
	return true;
}

enum ct_step {
	CT_STEP_MALFORMED,
	CT_STEP_UNTRACKABLE,
	CT_STEP_RELATED,    // an error about a connection, which is judged first if it must be
	CT_STEP_CONNECTION, // of a connection, likewise
	CT_STEP_DENIED,     // as remembered
	CT_STEP_NEW,        // the policy is asked
	CT_STEP_ADOPT,      // it is asked for both orientations
	CT_STEP_INVALID,    // TCP out of state
};

// What becomes of a packet. c: what ct_table_find() gives, a copy of it in a trace; NULL = nothing. Only its epoch may be
// moved on.
enum ct_step ct_step_of(const struct ct *ct, uint64_t now_ms, uint32_t epoch, enum ct_kind kind,
	const struct packet *p, const struct ct_key *key, unsigned int from_high, struct ct_conn *c);
// Likewise of a tracked packet that has neither connection nor denial.
enum ct_step ct_step_without(const struct ct *ct, uint64_t now_ms, const struct packet *p,
	const struct ct_key *key, unsigned int from_high);
// Whether a segment that a connection finds invalid is one of after a move: the connection is older than a window of
// adoption of one of its ends, and what it knows of sequence numbers may be what another appliance has not told us. Then
// it learns them anew, loosely, as an adopted one does.
bool ct_rejoins(const struct ct *ct, uint64_t now_ms, const struct packet *p, const struct ct_key *key,
	unsigned int direction, const struct ct_segment *segment, struct ct_conn *c);
// Why a connection that the policy allows is not opened: 0, CT_LIMIT, CT_ID_LIMIT or CT_FULL. full: the table is.
enum steer_drop ct_refuses(
	const struct ct *ct, uint64_t now_ms, uint32_t identity, bool half_open, bool full);
// What a connection has of the packet that opens it, but for what the worker knows. reversed: of its responder.
void ct_fill(struct ct_conn *c, const struct packet *p, bool reversed);

struct ct_adoption {
	struct ct_verdict verdict[2]; // as if the packet's sender had opened it, as if the other end had
	bool allowed;                 // by one of them
	bool reversed;                // by the second, or the better of both
};

// Asks the policy about a running connection. scratch, both: two of each.
void ct_adoption_ask(struct walker *w, const struct ct *ct, struct ct_scratch *scratch, struct ct_conn *both,
	const struct packet *p, const struct ct_key *key, unsigned int from_high, struct ct_adoption *out);

// Whether an ICMP error about a connection may follow it: it comes from who the quoted packet was sent to, or by the way
// which that took, from where routers may speak. from_high: the end that sent the quoted packet.
bool ct_error_is_heard(
	const struct ct *ct, const struct packet *p, const struct ct_conn *c, unsigned int from_high);

// --- Records (ct_record.c) --------------------------------------------------------------------------------------------------
void ct_record(
	struct ct_worker *cw, struct ct_conn *c, enum steer_flow_event event, enum steer_flow_close close);
void ct_record_fill(const struct ct_worker *cw, const struct ct_conn *c, enum steer_flow_event event,
	enum steer_flow_close close, struct steer_flow_record *out);

// --- Life of connections (ct_conn.c) ----------------------------------------------------------------------------------------
uint32_t ct_timeout(const struct ct *ct, const struct ct_conn *c); // ms without packets
void ct_rearm(struct ct_worker *cw, uint32_t number);
// Writes what is left to be told, then frees it.
void ct_close(struct ct_worker *cw, uint32_t number, enum steer_flow_close why);
// A place for a denial of what one end opens, whose oldest neighbour may have to go; 0 = none.
uint32_t ct_denial_add(struct ct_worker *cw, const struct ct_key *key, uint64_t hash, unsigned int from_high);
// Takes in what the policy says now. False: it was closed.
bool ct_judged(struct walker *w, struct ct_worker *cw, uint32_t number, const struct ct_verdict *v);
// Counts or discounts it as half-open, as its state says.
void ct_half_open(struct ct_worker *cw, uint32_t number);
// A limit that keeps a new connection out: 0, CT_LIMIT or CT_ID_LIMIT.
enum steer_drop ct_limit_check(const struct ct *ct, uint64_t now_ms, uint32_t identity, bool half_open);
// One is opened: it counts in this second.
void ct_limit_take(struct ct *ct, uint64_t now_ms, uint32_t identity);
void ct_charge(struct ct_worker *cw, struct ct_conn *c, uint32_t identity);
void ct_uncharge(struct ct_worker *cw, struct ct_conn *c);
// Whether a change of policy since it was judged may concern it; else it is stamped with the present epoch.
bool ct_stale(const struct ct *ct, struct ct_conn *c, uint32_t epoch);

// --- Flow cache (ct_flow.c) --------------------------------------------------------------------------------------------------
// An established packet that the CT pipe lets through: its walk behind the pipe is repeated (p->recorded), or logged.
void ct_behind(struct walker *w, const struct ct *ct, struct packet *p, const struct ct_look *k,
	const struct ct_conn *c, unsigned int direction);

// --- Trace (ct_trace.c), mail (ct_mail.c) -------------------------------------------------------------------------------------
void ct_trace(struct walker *w, struct ct *ct, struct packet **batch, unsigned int n);

enum ct_mail_op {
	CT_MAIL_FIND = 1, // key, from_high -> number, conn, full
	CT_MAIL_LIST,     // number, max, records -> nr, number
};

// A question of control to a worker about its connections. Control owns it but while it is asked.
struct ct_question {
	enum ct_mail_op op;
	struct ct_key key;
	unsigned int from_high;
	uint32_t number; // FIND: 0 = there is none; LIST: where to go on, 0 = at the end
	uint32_t max;
	uint32_t nr;
	bool full; // FIND: no room for another one
	struct steer_flow_record *records;
	struct ct_conn conn;
};

// Control: asks and waits, 200 ms at most. -ETIMEDOUT: the worker does not answer.
int ct_ask(struct ct *ct, unsigned int worker, struct ct_question *q);
// Worker: answers, if there is a question.
void ct_mail_turn(struct ct_worker *cw);

static inline void ct_bump(uint64_t *number, uint64_t by)
{
	fp_write(number, *number + by);
}
