// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The connections of one worker: keys, the connection itself, the index, the wheel of time-outs. Only the owner touches
// them, so nothing here is shared.
//
// Numbers of connections count from 1; 0 is "none". Denials that are remembered live in the same index, with places of
// their own behind the connections.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "steering_wire.h"
#include "tags.h"

// --- Keys -----------------------------------------------------------------------------------------------------------
// Both directions have the same key: of its two ends the smaller (address, port) is the low one. IPv4 uses three words,
// IPv6 all.
//   k[0] zone (as in the packet) | version << 32 | protocol << 40 | class << 48 | mark << 56
//   k[1] low port | high port << 16, as in the packet
//   k[2] IPv4: low address | high address << 32; IPv6: k[2..3] the low one, k[4..5] the high one
struct ct_key {
	uint64_t k[6];
};

enum {
	CT_MARK_SHIFT = 56,
	CT_CLASS_SHIFT = 48,
	CT_PROTOCOL_SHIFT = 40,
	CT_VERSION_SHIFT = 32,
	// Marks: a connection, or a denial of what the low or the high end opens.
	CT_MARK_CONNECTION = 0,
	CT_MARK_DENIAL = 1,
	// Class, of ICMP queries: the kind of query, and who asks; both ends may ask with the same identifier.
	CT_CLASS_HIGH_ASKS = 0x80,
};

#define CT_MARK_MASK (UINT64_C(0xff) << CT_MARK_SHIFT)

static inline uint8_t ct_key_mark(const struct ct_key *key)
{
	return (uint8_t)(key->k[0] >> CT_MARK_SHIFT);
}

static inline uint8_t ct_key_protocol(const struct ct_key *key)
{
	return (uint8_t)(key->k[0] >> CT_PROTOCOL_SHIFT);
}

static inline uint8_t ct_key_version(const struct ct_key *key)
{
	return (uint8_t)(key->k[0] >> CT_VERSION_SHIFT);
}

// --- The connection -------------------------------------------------------------------------------------------------

enum ct_bits {
	CT_USED = 1 << 0,
	CT_HIGH_OPENS = 1 << 1, // the high end opened it
	CT_TOLD = 1 << 2,       // its first record was written
	CT_ADOPTED = 1 << 3,
	CT_HALF_OPEN = 1 << 4, // is counted as half-open
	CT_REJECT = 1 << 5,    // denial: senders get an answer
	CT_ECHO = 1 << 6,      // denial: of what is still sent on a connection that was closed by policy
	CT_CHARGED = 1 << 7,   // counted at its identity
	CT_FIN_0 = 1 << 8,     // the opener's FIN was seen; CT_FIN_0 << 1 is the responder's
	CT_FIN_ACKED_0 = 1 << 10,
	CT_SYN_ACKED_0 = 1 << 12, // simultaneous open: the opener has acknowledged
	CT_REPLIED = 1 << 14,
};

// What is known of one direction's sequence numbers, by its own packets and the other side's acknowledgements.
struct ct_flow {
	uint32_t end;    // behind the last byte sent
	uint32_t limit;  // what the other side has room for ends here
	uint32_t window; // the largest that this side has offered; 0 = nothing was seen of it
	uint8_t scale;   // of its window
	uint8_t bits;    // enum ct_flow_bits
	// Not of TCP only: the recorded walks of this direction, see flow_cache.h; 0 = none.
	uint16_t recorded;
};

enum ct_flow_bits {
	CT_FLOW_SCALES = 1 << 0, // offered window scaling
	CT_FLOW_SACK = 1 << 1,
	CT_FLOW_LOOSE = 1 << 2, // numbers were not learned from the beginning: nothing is out of window
};

// Four cache lines. An established packet reads and writes the first two, the third is for records and judgements, the
// fourth for lists. With 16 to 32 bytes of index a connection takes 272 to 288 bytes.
struct ct_conn {
	struct ct_key key; // IPv4: 24 bytes of it
	uint32_t epoch;    // at which it was judged
	uint32_t seen_ms;  // last packet, lower half of the clock
	uint8_t state;     // enum steer_ct_tcp_state
	uint8_t drop;      // enum steer_drop: denials, and closing by policy
	uint16_t bits;     // enum ct_bits
	uint8_t tcp_flags[2];
	uint16_t recorded_in; // generation of the cache that flow[].recorded are numbers of

	uint64_t packets[2]; // by direction: 0 the opener's
	uint64_t bytes[2];
	struct ct_flow flow[2];

	uint64_t id;
	uint64_t first_ns;
	uint64_t tag;
	uint64_t revision;
	uint32_t src_identity; // host order, of the opener
	uint32_t dst_identity;
	uint16_t in_port;
	uint16_t out_port;
	uint16_t vlan; // host order
	uint8_t icmp_type;
	uint8_t icmp_code;
	uint8_t src_mac[6];
	uint8_t dst_mac[6];
	uint32_t told_packets; // of both directions, when the last record was written; lower half

	uint32_t next; // wheel; free: the next free one
	uint32_t prev; // wheel: number, or CT_WHEEL_HEAD | slot
	uint32_t due;  // wheel: tick
	uint32_t told_ms;
	uint64_t hash;
	uint32_t half_next; // half-open ones in order of age
	uint32_t half_prev;
	uint32_t mark[2];   // TCP: end of each side's SYN, later of its FIN
	uint64_t opened_ms; // whole: connections may be older than half of 32 bits
	uint32_t spare[4];
} __rte_cache_aligned;

_Static_assert(sizeof(struct ct_conn) == 256, "four cache lines");

// Direction of a packet of the low (0) or high (1) end.
static inline unsigned int ct_direction(const struct ct_conn *c, unsigned int from_high)
{
	return from_high ^ !!(c->bits & CT_HIGH_OPENS);
}

// --- The wheel ------------------------------------------------------------------------------------------------------
// Four levels of 256 slots; a tick is 16 ms. A connection is not moved when a packet comes: when its turn comes, whoever
// asked looks how long it has been idle and arms it again.

enum { CT_TICK_SHIFT = 4, CT_WHEEL_SLOTS = 256, CT_WHEEL_LEVELS = 4 };
#define CT_WHEEL_HEAD 0x80000000u

struct ct_wheel {
	uint32_t tick; // slots up to here are empty, but for this one's below `level`
	int level;     // being emptied; -1 = none
	uint32_t head[CT_WHEEL_LEVELS * CT_WHEEL_SLOTS];
};

struct ct_table;
void ct_wheel_init(struct ct_wheel *wheel, uint32_t tick);
// Arms an unarmed connection for a tick; one that is not in the future is the next one.
void ct_wheel_arm(struct ct_table *t, uint32_t number, uint32_t due);
void ct_wheel_disarm(struct ct_table *t, uint32_t number); // one that is not armed is fine
// Takes out the next connection that is due by `now`; 0 = none, or *budget (steps that may still be made) is used up.
uint32_t ct_wheel_next(struct ct_table *t, uint32_t now, unsigned int *budget);

// --- The table ------------------------------------------------------------------------------------------------------

enum { CT_SLOTS = TAGS, CT_CHAIN = 4 };

// One cache line: tags of 16 bits, compared all at once, and numbers of connections.
struct ct_bucket {
	uint16_t tag[CT_SLOTS]; // 0 = free
	uint32_t number[CT_SLOTS];
	uint32_t next; // spare bucket that continues this one, counted from 1
	uint32_t pad[3];
} __rte_cache_aligned;

struct ct_table {
	struct ct_conn *conn; // conn[number - 1]: capacity connections, then denied_capacity denials
	struct ct_bucket *bucket;
	struct ct_bucket *spare;
	uint32_t mask;
	uint32_t capacity;
	uint32_t denied_capacity;
	uint32_t
		serial; // grows when a connection comes or goes: numbers found before must be looked up again
	uint32_t fresh; // connections from here on were never used
	uint32_t free;  // those that were, linked by next
	uint32_t live;
	uint32_t denied;
	uint32_t denied_hand; // the oldest denial is about here
	uint32_t nr_spare;
	uint32_t spare_fresh;
	uint32_t spare_free;
	uint32_t half_first; // oldest half-open one
	uint32_t half_last;
	uint32_t half_open;
	uint32_t evict_hand;
	uint64_t secret[4];
	size_t conn_bytes;
	size_t bucket_bytes;
	size_t ready_bytes; // control: of conn, backed by memory already
	struct ct_wheel wheel;
};

// -ENOMEM. capacity >= 1.
int ct_table_init(struct ct_table *t, uint32_t capacity, uint32_t denied_capacity, uint32_t tick);
void ct_table_fini(struct ct_table *t);
// Control: gives the next places memory before they are taken, so that the worker does not wait for it. True when it had
// something to do.
bool ct_table_prepare(struct ct_table *t);

static inline struct ct_conn *ct_conn(const struct ct_table *t, uint32_t number)
{
	return &t->conn[number - 1];
}

static inline bool ct_is_denial(const struct ct_table *t, uint32_t number)
{
	return number > t->capacity;
}

// All bits depend on all: products alone leave addresses that count up in few buckets.
static inline uint64_t ct_spread(uint64_t h)
{
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93;
	return h ^ h >> 32;
}

// With secrets, so that nobody can choose tuples that share a bucket.
static inline uint64_t ct_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t ct_hash(const struct ct_table *t, const struct ct_key *key)
{
	uint64_t h = ct_mix((key->k[0] & ~CT_MARK_MASK) ^ t->secret[0], key->k[1] ^ t->secret[1]);

	h = ct_mix(h ^ t->secret[2], key->k[2] ^ t->secret[3]);
	if (unlikely(ct_key_version(key) == 6)) {
		h = ct_mix(h ^ t->secret[1], key->k[3] ^ t->secret[2]);
		h = ct_mix(h ^ key->k[4], key->k[5] ^ t->secret[0]);
	}
	return ct_spread(h);
}

static inline uint16_t ct_tag(uint64_t hash)
{
	uint16_t tag = (uint16_t)(hash >> 48);

	return tag ? tag : 1;
}

// Denials have tags of their own: who looks for a connection does not meet those of what came before it was opened.
static inline uint16_t ct_denial_tag(uint64_t hash)
{
	return ct_tag(hash ^ UINT64_C(1) << 63);
}

static inline struct ct_bucket *ct_bucket(const struct ct_table *t, uint64_t hash)
{
	return &t->bucket[hash & t->mask];
}

// Slots of a bucket that have a tag, as bits.
static inline unsigned int ct_matching(const struct ct_bucket *b, uint16_t tag)
{
	return tags_matching(b->tag, tag);
}

// The first number whose tag is the hash's, else the first denial; 0 when there is none. Likely it, and certainly worth a
// prefetch.
static inline uint32_t ct_table_guess(const struct ct_table *t, uint64_t hash)
{
	const struct ct_bucket *b = ct_bucket(t, hash);
	unsigned int bits = ct_matching(b, ct_tag(hash));

	if (unlikely(!bits))
		bits = ct_matching(b, ct_denial_tag(hash));
	return bits ? b->number[__builtin_ctz(bits)] : 0;
}

// Same but for the mark.
static inline bool ct_same(const struct ct_key *a, const struct ct_key *b)
{
	uint64_t differ = ((a->k[0] ^ b->k[0]) & ~CT_MARK_MASK) | (a->k[1] ^ b->k[1]) | (a->k[2] ^ b->k[2]);

	if (unlikely(ct_key_version(b) == 6))
		differ |= (a->k[3] ^ b->k[3]) | (a->k[4] ^ b->k[4]) | (a->k[5] ^ b->k[5]);
	return !differ;
}

// The connection with this key; else the denial of what this end (1: the high one) opens; else 0.
uint32_t ct_table_find(
	const struct ct_table *t, const struct ct_key *key, uint64_t hash, unsigned int from_high);
// A zeroed connection (or denial: key's mark) with this key, not armed; 0 = no place. The key must not be there. Denials
// have always a place: *victim is then the number of one that must be dropped first, and 0 is returned.
uint32_t ct_table_add(struct ct_table *t, const struct ct_key *key, uint64_t hash, uint32_t *victim);
void ct_table_remove(struct ct_table *t, uint32_t number);
bool ct_table_full(const struct ct_table *t);

// Half-open ones in order of age.
void ct_half_add(struct ct_table *t, uint32_t number);
void ct_half_remove(struct ct_table *t, uint32_t number);
// Whom to give up for a new one: the oldest half-open, else the longest idle of some; 0 = nobody.
uint32_t ct_table_victim(struct ct_table *t, uint32_t now_ms);
