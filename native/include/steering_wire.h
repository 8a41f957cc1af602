// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// The contract between a steering client (libdoca_flow) and the fast path: what travels over the unix socket (sync
// messages) and through the rings of a session's shared segment (work entries, completions, packets).
//
// Rules: fixed-size integers, explicit padding, offsets never pointers. Integers are in host byte order (both ends run
// on one machine); packet field values are in network byte order. The fast path copies a record out of shared memory
// before it looks at it and trusts nothing in it. STEERING_ABI is raised with every change of layout or meaning; a test
// hashes the layout against it.

#pragma once

#ifndef RINGFIELD_CDEF
#include <stdint.h>
#endif
#include "steering_fields.h"

enum {
	STEERING_MAGIC = 0x52464c44, // "RFLD"
	STEERING_ABI = 1,
	STEER_NAME_MAX = 64,      // bytes of a name with its final NUL
	STEER_PORT_MAX = 64,      // ports of one fast path
	STEER_QUEUE_MAX = 32,     // pipe queues of one session
	STEER_WORKER_MAX = 16,    // worker lcores
	STEER_MSG_MAX = 65536,    // largest sync message
	STEER_RECORD_ALIGN = 16,  // ring records start at multiples of this
	STEER_RECORD_MAX = 16384, // largest work entry
	STEER_FRAME_MAX = 65535,  // largest frame on the packet ring
	STEER_KEY_MAX = 128,      // bytes of one packed key, all fields of a pipe
	STEER_MATCH_FIELD_MAX = 32,
	STEER_ACTION_TEMPLATE_MAX = 32,
	STEER_ACTION_MAX = 48, // actions of one template
	STEER_ENCAP_MAX = 128, // bytes of an encapsulation header
	STEER_ARGS_MAX = 512,  // bytes of one entry's action arguments
	STEER_CONDITION_MAX = 4,
	STEER_RSS_KEY_BYTES = 40,
	STEER_PORT_NONE = 0xffff,
	STEER_QUEUE_ANY = 0xffff,
};

enum {
	STEER_PIPE_NONE = 0xffffffffu,
	STEER_ENTRY_NONE = 0xffffffffu,
	STEER_COUNTER_NONE = 0xffffffffu,
};

// ---------------------------------------------------------------------------------------------------------------
// Sync messages: SOCK_SEQPACKET, one request, one reply, in order. A reply repeats op and seq; status 0 or negative
// errno; when status < 0 the payload is a sentence for people (UTF-8, not NUL terminated), possibly empty.

struct steer_msg {
	uint32_t op;     // enum steer_op
	uint32_t seq;    // the client's, repeated in the reply
	int32_t status;  // replies only
	uint32_t length; // payload bytes that follow
};

enum steer_op {
	STEER_OP_NONE = 0,
	STEER_OP_HELLO,       // steer_hello -> steer_hello_reply, fds: see there
	STEER_OP_PORT_LIST,   // - -> steer_port_info[]
	STEER_OP_PORT_ADD,    // steer_port_add -> steer_port_info
	STEER_OP_PORT_REMOVE, // steer_port_ref -> -
	STEER_OP_PORT_START,  // steer_port_start -> steer_port_info; the session owns the port from here on
	STEER_OP_PORT_STOP,   // steer_port_ref -> -; all pipes of the port are gone
	STEER_OP_PORT_SET,    // steer_port_set -> -; default miss
	STEER_OP_PIPE_CREATE, // steer_pipe_spec (variable) -> steer_pipe_ref
	STEER_OP_PIPE_DESTROY, // steer_pipe_ref -> -; its entries go too; -EBUSY while another pipe forwards to it
	STEER_OP_PIPE_MISS,   // steer_pipe_miss -> -; change fwd_miss
	STEER_OP_PIPE_RESIZE, // steer_pipe_resize -> -
	STEER_OP_PIPE_LIST,   // steer_pipe_query -> steer_pipe_info[]; any session may read
	STEER_OP_PIPE_GET,   // steer_pipe_ref -> steer_pipe_spec as it was created, with the present fwd_miss
	STEER_OP_ENTRY_LIST, // steer_entry_query -> records of steer_entry_info + work entry as it was added
	STEER_OP_SHARED_SET, // steer_shared_set -> -
	STEER_OP_SHARED_GET, // steer_shared_ref -> steer_shared_info
	STEER_OP_SHARED_REMOVE, // steer_shared_ref -> -; -EBUSY while referenced
	STEER_OP_TXN_BEGIN, // - -> -; all pipe, entry and miss changes of this session from here on, until ..
	STEER_OP_TXN_COMMIT, // .. - -> steer_txn_reply: visible in one step, or nothing of it (status says why)
	STEER_OP_TXN_ABORT, // - -> -
	STEER_OP_TRACE,   // steer_trace_request + frame -> steer_trace_reply + steer_trace_hop[] + frame out
	STEER_OP_CAPTURE, // steer_capture -> -; start or stop copies of packets to this session's packet ring
	STEER_OP_RECEIVE, // steer_receive -> -; which software packets this session wants
	STEER_OP_STATS,   // - -> fd of the stats segment (stats_wire.h)
	STEER_OP_SESSION_LIST, // - -> steer_session_info[]
	STEER_OP_SESSION_DROP, // steer_session_ref -> -; end a durable session that nobody is attached to
	STEER_OP_SHUTDOWN,     // - -> -; orderly end of the fast path (same user only)
	STEER_OP_CT_EPOCH,     // steer_ct_epoch + uint32_t[] -> -; the session that owns the CT pipe
	STEER_OP_CT_ADOPT,     // steer_ct_adopt -> -; likewise
	STEER_OP_CT_LIST,      // steer_ct_list -> steer_ct_list_reply + steer_flow_record[]; any session
	STEER_OP_MAX,
};

enum steer_session_flags {
	STEER_SESSION_DURABLE = 1 << 0, // survives its client; attach again by the same name
	STEER_SESSION_READER = 1 << 1,  // no queues, owns nothing: stats, trace, capture, lists only
};

struct steer_hello {
	uint32_t magic;
	uint32_t abi;
	uint64_t layout_hash;      // reserved for the hash of this header's layout, 0 = not checked
	char name[STEER_NAME_MAX]; // session name; required when durable, else informative
	uint32_t flags;            // enum steer_session_flags
	uint16_t nr_queues;        // pipe queues, 1 .. STEER_QUEUE_MAX (0 for readers)
	uint16_t pad;
	uint32_t queue_depth; // work entries in flight per queue; rounded up to a power of two
	// Counter slots set aside for the session (-ENOSPC: not so many are left); beyond them it takes of what nobody reserved.
	// Attaching again sets it anew.
	uint32_t nr_counters;
	uint32_t nr_meters;         // for the record: meters are ordinary memory, none are set aside
	uint32_t packet_ring_bytes; // per direction, 0 = default 1 MiB
	uint32_t flow_ring_bytes;   // records of connections, 0 = none wanted; rounded up to a power of two
	uint32_t pad1;
};

// Reply to HELLO carries fds by SCM_RIGHTS, in this order: segment memfd, doorbell eventfd (client writes, fast path
// sleeps on it), notify (a socket that gets 8 bytes when the fast path produced something and the client asked, see
// steer_ring; the client only receives).
struct steer_hello_reply {
	uint32_t magic;
	uint32_t abi;
	uint64_t segment_bytes;
	uint32_t session; // number of the session in this fast path
	uint32_t resumed; // 1: a durable session was there already; use PIPE_LIST / ENTRY_LIST to learn it
	uint32_t nr_workers;
	uint32_t boot_id; // differs after each start of the fast path
	uint64_t pid;
};

// ---------------------------------------------------------------------------------------------------------------
// The shared segment: struct steer_segment at offset 0, then the rings it points to. Every ring is a single-producer
// single-consumer ring of bytes with records aligned to STEER_RECORD_ALIGN. A record never wraps: when it does not fit
// before the end the producer writes a record of kind STEER_REC_PAD over the rest. Cursors count bytes, ever growing,
// and live on cache lines of their own; data offset = cursor & (size - 1). Producer publishes with a release store of
// tail; the consumer frees with a release store of head. The fast path keeps its own cursor private and only range
// checks the client's: (tail - head) <= size and multiple of STEER_RECORD_ALIGN, else the session is ended.

struct steer_ring {
	uint64_t data_offset; // from the start of the segment, multiple of 64
	uint64_t size;        // bytes, power of two
	uint8_t pad0[48];
	uint64_t tail; // producer
	uint8_t pad1[56];
	uint64_t head;     // consumer
	uint32_t sleeping; // consumer sets 1 before it sleeps; producer that sees 1 rings doorbell or notify
	uint32_t pad2;
	uint64_t lost; // records the producer could not place (event, packet rings); only grows
	uint8_t pad3[40];
};

struct steer_queue {
	struct steer_ring sq; // client -> fast path: work entries
	struct steer_ring cq; // fast path -> client: steer_completion
};

struct steer_segment {
	uint32_t magic;
	uint32_t abi;
	uint64_t bytes;
	uint32_t nr_queues;
	uint32_t queue_depth;
	uint8_t pad[40];
	struct steer_ring packet_in; // client -> fast path: inject / transmit (steer_packet)
	struct steer_ring
		packet_out;      // fast path -> client: software packets, captures, wire side of ring ports
	struct steer_ring event; // fast path -> client: events (steer_event)
	struct steer_ring flow;  // fast path -> client: steer_flow_record, if asked for
	struct steer_queue queue[STEER_QUEUE_MAX];
};

struct steer_record {
	uint32_t length; // bytes with this header, before alignment
	uint16_t kind;   // enum steer_record_kind
	uint16_t pad;
};

enum steer_record_kind {
	STEER_REC_PAD = 0,
	STEER_REC_ENTRY_ADD, // steer_entry_add (variable)
	STEER_REC_ENTRY_UPDATE, // steer_entry_add (variable): the entry's new actions, monitor and fwd; key empty
	STEER_REC_ENTRY_REMOVE, // steer_entry_remove
	STEER_REC_COMPLETION,   // steer_completion
	STEER_REC_PACKET,       // steer_packet + frame
	STEER_REC_EVENT,        // steer_event
	STEER_REC_FLOW,         // steer_flow_record
};

#include "steering_ct.h"

// ---------------------------------------------------------------------------------------------------------------
// Pipes

enum steer_pipe_type {
	STEER_PIPE_BASIC = 0,
	STEER_PIPE_CONTROL,
	STEER_PIPE_LPM,
	STEER_PIPE_ACL,
	STEER_PIPE_ORDERED_LIST,
	STEER_PIPE_HASH,
	STEER_PIPE_CT,
	STEER_PIPE_TYPE_MAX,
};

enum steer_domain {
	STEER_DOMAIN_DEFAULT = 0,
	STEER_DOMAIN_EGRESS,
	STEER_DOMAIN_MAX,
};

enum steer_fwd_type {
	STEER_FWD_NONE = 0, // entry: inherit the pipe's; pipe miss: the port's default miss
	STEER_FWD_PORT,
	STEER_FWD_PIPE,
	STEER_FWD_DROP,
	STEER_FWD_RSS,          // to software: queue picked by hash
	STEER_FWD_KERNEL,       // target kernel: to software, kind KERNEL
	STEER_FWD_ORDERED_LIST, // pipe + index
	STEER_FWD_HASH,         // pipe + algorithm
	STEER_FWD_CHANGEABLE,   // pipe only: each entry brings its own
	// Ours. index: enum steer_drop that is counted, 0 = the usual one.
	STEER_FWD_REJECT, // drop, and answer the sender: TCP RST, else ICMP administratively prohibited
	STEER_FWD_ANSWER, // an ARP request or neighbour solicitation goes back as its answer, from outer.eth.src_mac as
			  // the actions left it; anything else is dropped
	STEER_FWD_MAX,
};

enum steer_hash_algorithm {
	STEER_HASH_DEFAULT = 0, // what the pipe was created with
	STEER_HASH_HASH,
	STEER_HASH_RANDOM,
	STEER_HASH_IDENTITY,
	STEER_HASH_ROUND_ROBIN,
	STEER_HASH_FLOODING,
	STEER_HASH_MAX,
};

struct steer_fwd {
	uint8_t type;      // enum steer_fwd_type
	uint8_t algorithm; // HASH: enum steer_hash_algorithm
	uint16_t port;     // PORT: fast path port index
	uint32_t pipe;     // PIPE, HASH, ORDERED_LIST
	uint32_t index; // ORDERED_LIST: entry index; DROP, REJECT: enum steer_drop to count, 0 = pipe, policy
	uint32_t rss_outer; // RSS: fields hashed, DOCA_FLOW_RSS_* bits; 0 = addresses and ports
	uint32_t rss_inner;
	uint16_t nr_queues;    // RSS: 1 .. 64
	uint16_t rss_function; // 0 Toeplitz, 1 symmetric Toeplitz
	uint64_t queues[16];   // RSS: 64 queue numbers of 16 bits, packed as uint16_t[64]
};

// One matched field. Values and masks: STEER_FIELD_BYTES_MAX bytes, the field's own bytes first.
// BASIC, LPM (exact part), HASH: kind says where the value comes from. CHANGEABLE values are packed one after the
// other, in the order of the fields here, each in its own number of bytes, in a work entry's key.
enum steer_match_kind {
	STEER_MATCH_CONSTANT = 0,
	STEER_MATCH_CHANGEABLE,
	STEER_MATCH_PREFIX, // LPM: the address; value and mask come with the entry
	STEER_MATCH_ACL, // ACL: value and mask come with the entry (ports: DOCA's range encoding resolved to lo, hi)
};

struct steer_match_field {
	uint16_t field; // enum steer_field
	uint8_t kind;   // enum steer_match_kind
	uint8_t pad[5];
	uint8_t value[STEER_FIELD_BYTES_MAX];
	uint8_t mask[STEER_FIELD_BYTES_MAX];
};

enum steer_condition_op {
	STEER_COND_EQ = 1,
	STEER_COND_NE,
	STEER_COND_LT,
	STEER_COND_LE,
	STEER_COND_GT,
	STEER_COND_GE,
};

// CONTROL entries: (a >> a_bit) & width bits  OP  b, where b is another field or the immediate. Unsigned, bit 0 = least
// significant bit of the field read as a big-endian number.
struct steer_condition {
	uint8_t op;
	uint8_t pad;
	uint16_t field_a;
	uint16_t field_b; // STEER_F_NONE: immediate
	uint8_t a_bit;
	uint8_t b_bit;
	uint8_t width; // bits, 1 .. 64
	uint8_t pad1[7];
	uint64_t immediate; // host order number
};

// Actions run in the order of the list, which libdoca_flow sorts as DOCA Flow executes them (doca-flow.md 4.1).
enum steer_action_kind {
	STEER_ACT_NONE = 0,
	STEER_ACT_SET,       // field = (field & ~mask) | (value & mask)
	STEER_ACT_ADD,       // field += value, modulo the width (bits dst_bit .. dst_bit + width)
	STEER_ACT_ADD_FIELD, // field += src_field's bits, likewise
	STEER_ACT_COPY,      // width bits of src_field at src_bit to field at dst_bit
	STEER_ACT_POP_VLAN,
	STEER_ACT_PUSH_VLAN, // value: 2 bytes ethertype, 2 bytes TCI
	STEER_ACT_DECAP, // flags: L2 keeps the inner Ethernet header; else data = L2 header to put in front
	STEER_ACT_ENCAP, // data = header bytes with lengths and IPv4 checksum to be filled in; flags: L2 keeps the
			 // packet's Ethernet header inside, else it is removed first
	STEER_ACT_SHARED_ENCAP, // value: 4 bytes shared resource id, host order
	STEER_ACT_SHARED_DECAP,
	STEER_ACT_NAT64, // value[0]: original version, 4 or 6
	STEER_ACT_COUNT, // ordered list elements: count here; value: 4 bytes shared counter id or ~0 = own counter
	STEER_ACT_METER, // likewise: value 4 bytes shared meter id
	STEER_ACT_MAX,
};

enum steer_action_flags {
	STEER_ACT_CHANGEABLE = 1 << 0, // value (or data) comes with the entry: args[arg_offset ..]
	STEER_ACT_L2 = 1 << 1,
};

struct steer_action {
	uint8_t kind;   // enum steer_action_kind
	uint8_t flags;  // enum steer_action_flags
	uint16_t field; // destination field
	uint16_t src_field;
	uint8_t dst_bit;
	uint8_t src_bit;
	uint8_t width;        // bits; 0 = the whole field
	uint8_t tunnel;       // ENCAP: enum steer_tunnel
	uint16_t arg_offset;  // CHANGEABLE: where in an entry's args
	uint16_t data_offset; // ENCAP, DECAP: where in the spec's data area, when not CHANGEABLE
	uint16_t data_length; // bytes of data in spec or args
	uint8_t value[STEER_FIELD_BYTES_MAX];
	uint8_t mask[STEER_FIELD_BYTES_MAX];
};

enum steer_tunnel {
	STEER_TUN_NONE = 0,
	STEER_TUN_VXLAN,
	STEER_TUN_VXLAN_GPE,
	STEER_TUN_VXLAN_GBP,
	STEER_TUN_GRE,
	STEER_TUN_NVGRE,
	STEER_TUN_GENEVE,
	STEER_TUN_GTPU,
	STEER_TUN_ESP,
	STEER_TUN_MPLS_O_UDP,
	STEER_TUN_IP_IN_IP,
	STEER_TUN_MAX,
};

enum steer_meter_algorithm {
	STEER_METER_RFC2697 = 0, // cir, cbs, ebs
	STEER_METER_RFC2698,     // cir, cbs, pir = eir, pbs = ebs
	STEER_METER_RFC4115,     // cir, cbs, eir, ebs
	STEER_METER_SIMPLE,      // non-shared: cir, cbs; red is dropped by the meter
};

struct steer_meter {
	uint8_t algorithm; // enum steer_meter_algorithm
	uint8_t packets;   // 1: unit is packets, 0: bytes
	uint8_t color_aware;
	uint8_t pad[5];
	uint64_t cir; // per second
	uint64_t cbs;
	uint64_t eir; // or pir
	uint64_t ebs; // or pbs
};

enum steer_monitor_flags {
	STEER_MON_COUNTER = 1 << 0,
	STEER_MON_SHARED_COUNTER = 1 << 1,
	STEER_MON_METER = 1 << 2,
	STEER_MON_SHARED_METER = 1 << 3,
	STEER_MON_AGING = 1 << 4,
	// Pipe only: this part is per entry (all-ones in the pipe's monitor).
	STEER_MON_ENTRY_COUNTER_ID = 1 << 8,
	STEER_MON_ENTRY_METER = 1 << 9,
	STEER_MON_ENTRY_METER_ID = 1 << 10,
	STEER_MON_ENTRY_AGING = 1 << 11,
};

struct steer_monitor {
	uint32_t flags;          // enum steer_monitor_flags
	uint32_t shared_counter; // id
	uint32_t shared_meter;   // id
	uint8_t init_color;      // shared meter, colour aware: 0 red 1 yellow 2 green
	uint8_t pad[3];
	uint32_t aging_sec;
	uint32_t pad1;
	struct steer_meter meter;
};

enum steer_pipe_flags {
	STEER_PIPE_ROOT = 1 << 0,
	STEER_PIPE_RESIZABLE = 1 << 1,
	STEER_PIPE_MISS_COUNTER = 1 << 2,
	STEER_PIPE_LPM_EXACT = 1 << 3,
};

// Variable length: this header, then nr_match steer_match_field, then for each action template a steer_template header
// followed by its steer_action[], then data_bytes of data (encapsulation headers). All parts are multiples of 8 bytes;
// data is padded to 8.
struct steer_pipe_spec {
	uint32_t bytes; // of the whole
	uint16_t port;  // owning port (switch mode: the switch manager port)
	uint8_t type;   // enum steer_pipe_type
	uint8_t domain; // enum steer_domain
	uint32_t flags; // enum steer_pipe_flags
	uint32_t nr_entries;
	uint16_t nr_match;
	uint16_t nr_templates;
	uint32_t data_bytes;
	uint32_t key_bytes; // of a work entry's key (BASIC: sum of CHANGEABLE fields); checked
	uint8_t algorithm;  // HASH: enum steer_hash_algorithm
	uint8_t congestion_percent;
	uint16_t pad;
	uint64_t user; // the client's, returned by PIPE_LIST (a cookie for adoption)
	char name[STEER_NAME_MAX];
	char label[STEER_NAME_MAX];
	struct steer_fwd fwd;
	struct steer_fwd fwd_miss;
	struct steer_monitor monitor;
};

struct steer_template {
	uint16_t nr_actions;
	uint16_t args_bytes; // of an entry that picks this template
	uint32_t pad;
};

// ---------------------------------------------------------------------------------------------------------------
// Work entries

// ---------------------------------------------------------------------------------------------------------------
// Work entries

// The client picks entry ids: dense numbers per session, below STEER_ENTRY_ID_MAX, free when added. So an update or a
// remove can be posted behind an add that has not completed yet.
enum { STEER_ENTRY_ID_MAX = 1 << 24 };

enum steer_entry_flags {
	// A steer_monitor follows, complete; without it the entry has the parts of the pipe's that are not STEER_MON_ENTRY_*.
	STEER_ENTRY_MONITOR = 1 << 0,
	STEER_ENTRY_FWD = 1 << 1,  // a steer_fwd follows
	STEER_ENTRY_BODY = 1 << 2, // CONTROL, ORDERED_LIST: a steer_entry_body follows
};

// Variable length: header, then key_bytes of key and args_bytes of action arguments (each padded to 8), then
// steer_monitor, steer_fwd, steer_entry_body as flags say.
// key by pipe type
//   BASIC          CHANGEABLE fields packed
//   LPM            CHANGEABLE fields packed, then the address, then its mask (contiguous ones)
//   ACL            per match field of the pipe, in order: value then mask; ports: lowest then highest value
//   HASH, ORDERED_LIST  empty; index says which
//   CONTROL        empty, everything is in the body
struct steer_entry_add {
	struct steer_record rec;
	uint32_t pipe;
	uint32_t entry;     // id picked by the client
	uint64_t user_data; // returned in the completion and in ageing notices
	uint64_t tag;       // rule provenance, shown by trace and records; 0 = none
	uint32_t priority;  // CONTROL, ACL: lower value first
	uint32_t index;     // HASH, ORDERED_LIST
	uint16_t flags;     // enum steer_entry_flags
	uint16_t key_bytes;
	uint16_t args_bytes;
	uint8_t action_idx; // template; ignored with a body
	uint8_t pad;
};

// Followed by nr_match steer_match_field (kind CONSTANT), nr_conditions steer_condition, nr_actions steer_action,
// data_bytes of data padded to 8.
struct steer_entry_body {
	uint16_t nr_match;
	uint16_t nr_conditions;
	uint16_t nr_actions;
	uint16_t data_bytes;
};

struct steer_entry_remove {
	struct steer_record rec;
	uint32_t entry;
	uint32_t pad;
	uint64_t user_data;
};

struct steer_completion {
	struct steer_record rec;
	uint64_t user_data;
	uint32_t entry;
	int32_t status;   // 0 or negative errno (-ENOSPC table full, -ENOMEM, -EEXIST, -ENOENT, -EINVAL ...)
	uint32_t counter; // slot in the stats segment or STEER_COUNTER_NONE
	uint16_t op;      // enum steer_record_kind of the work entry, or STEER_REC_EVENT for an aged entry
	uint16_t reason;  // enum steer_reason when status < 0
};

// Why a work entry was refused, beyond its errno.
enum steer_reason {
	STEER_WHY_NONE = 0,
	STEER_WHY_MALFORMED,
	STEER_WHY_NO_PIPE,
	STEER_WHY_NOT_OWNER,
	STEER_WHY_ID_IN_USE,
	STEER_WHY_ID_UNKNOWN,
	STEER_WHY_KEY_SIZE,
	STEER_WHY_ARGS_SIZE,
	STEER_WHY_DUPLICATE_KEY,
	STEER_WHY_PIPE_FULL,
	STEER_WHY_NO_COUNTER,
	STEER_WHY_NO_METER,
	STEER_WHY_NO_SHARED,
	STEER_WHY_BAD_FWD,
	STEER_WHY_BAD_ACTION,
	STEER_WHY_BAD_INDEX,
	STEER_WHY_NO_MEMORY,
	STEER_WHY_UNSUPPORTED,
	STEER_WHY_TXN_FAILED,
	STEER_WHY_MAX,
};

// ---------------------------------------------------------------------------------------------------------------
// Packets

enum steer_packet_kind {
	STEER_PKT_INJECT = 0,   // in: as if received on port (ring ports: through the ring, as from the wire)
	STEER_PKT_TRANSMIT,     // in: send on port, no pipeline
	STEER_PKT_RSS,          // out: forwarded to software, queue says which
	STEER_PKT_KERNEL,       // out: target kernel
	STEER_PKT_WIRE,         // out: what a ring port sent
	STEER_PKT_CAPTURE_RX,   // out: copy, as received
	STEER_PKT_CAPTURE_TX,   // out: copy, as sent
	STEER_PKT_CAPTURE_DROP, // out: copy, as dropped; reason says why
};

// Followed by length bytes of frame.
struct steer_packet {
	struct steer_record rec;
	uint64_t timestamp_ns; // CLOCK_REALTIME
	uint32_t length;
	uint32_t pkt_meta; // network byte order, as in meta.pkt_meta
	uint16_t port;
	uint16_t queue;
	uint8_t kind;         // enum steer_packet_kind
	uint8_t reason;       // CAPTURE_DROP: enum steer_drop
	uint16_t wire_length; // captures: of the frame before it was cut to snap; else 0
	uint32_t mark;        // RSS, KERNEL: meta.mark, network byte order
	uint32_t pad;
};

enum steer_receive_flags {
	STEER_RECV_SOFTWARE = 1 << 0, // RSS and KERNEL packets of the ports that this session owns
	STEER_RECV_WIRE = 1 << 1,     // outside end of ring ports
};

struct steer_receive {
	uint32_t flags; // enum steer_receive_flags
	uint16_t port;  // WIRE: this port, STEER_PORT_NONE = all ring ports
	uint16_t pad;
};

enum steer_capture_points {
	STEER_CAP_RX = 1 << 0,
	STEER_CAP_TX = 1 << 1,
	STEER_CAP_DROP = 1 << 2,
};

struct steer_capture {
	uint32_t points;       // enum steer_capture_points; 0 stops this session's capture
	uint16_t port;         // STEER_PORT_NONE = all
	uint16_t snap;         // bytes per packet kept, 0 = whole
	uint64_t drop_reasons; // bits of enum steer_drop, 0 = all
};

struct steer_event {
	struct steer_record rec;
	uint64_t timestamp_ns;
	uint32_t kind; // enum steer_event_kind
	uint16_t port;
	uint16_t pad;
	uint64_t value;
	char text[STEER_NAME_MAX];
};

enum steer_event_kind {
	STEER_EV_PORT_UP = 1,
	STEER_EV_PORT_DOWN,
	STEER_EV_PORT_ADDED,
	STEER_EV_PORT_REMOVED,
	STEER_EV_PIPE_CONGESTED, // value: pipe
	STEER_EV_PIPE_RESIZED,   // value: pipe
};

// ---------------------------------------------------------------------------------------------------------------
// Payloads of sync messages

enum steer_port_state {
	STEER_PORT_DOWN = 0,
	STEER_PORT_UP,
};

struct steer_port_info {
	char name[STEER_NAME_MAX];    // p0, pf0hpf, pf0vf0 ...
	char backend[STEER_NAME_MAX]; // net_tap, net_ring ...
	char detail[STEER_NAME_MAX];  // device arguments or PCI address
	char owner[STEER_NAME_MAX];   // session that started it, empty when none
	char pci[STEER_NAME_MAX];     // emulated device tree: PCI address, ibdev name, representor string
	char ibdev[STEER_NAME_MAX];
	char representor[STEER_NAME_MAX];
	uint16_t index;        // number on this wire
	uint16_t doca_port_id; // given by PORT_START, STEER_PORT_NONE before
	uint8_t state;         // enum steer_port_state
	uint8_t started;
	uint8_t ring; // 1: ring port, reachable from outside only by the packet ring
	uint8_t mac[6];
	uint8_t pad[1];
	uint16_t mtu;
	uint32_t owner_session;
	uint32_t miss_counter; // started: slot that counts the default miss
};

struct steer_port_add {
	char name[STEER_NAME_MAX];
	char backend[STEER_NAME_MAX];
	char args[256]; // device arguments, comma separated
	char netns
		[STEER_NAME_MAX]; // net_tap: namespace (name or path) to open the tap in, empty = the fast path's own
	char mac[STEER_NAME_MAX];
	char pci[STEER_NAME_MAX];
	char ibdev[STEER_NAME_MAX];
	char representor[STEER_NAME_MAX];
	uint32_t mtu; // 0 = 1500
	uint32_t pad;
};

struct steer_port_ref {
	uint16_t port;
	uint16_t pad[3];
};

enum steer_miss_default {
	STEER_MISS_DROP = 0,
	STEER_MISS_RSS,
	STEER_MISS_KERNEL,
};

struct steer_port_start {
	uint16_t port;
	uint16_t doca_port_id;
	uint16_t
		root_port; // vnf: itself; switch mode: the switch manager port, whose pipes judge this port's packets
	uint16_t nr_rss_queues; // default miss RSS spreads over queues 0 .. n - 1
	uint8_t default_miss;   // enum steer_miss_default
	uint8_t has_rss_key;    // 0: the fast path's own
	uint8_t pad[6];
	uint8_t rss_key[STEER_RSS_KEY_BYTES]; // Toeplitz key of packets that came in here
};

struct steer_port_set {
	uint16_t port;
	uint8_t default_miss;
	uint8_t pad[5];
};

struct steer_pipe_ref {
	uint32_t pipe;
	uint32_t pad;
};

struct steer_pipe_miss {
	uint32_t pipe;
	uint32_t pad;
	struct steer_fwd fwd;
};

struct steer_pipe_resize {
	uint32_t pipe;
	uint32_t nr_entries;
};

struct steer_pipe_query {
	uint32_t session; // 0 = all
	uint16_t port;    // STEER_PORT_NONE = all
	uint16_t pad;
	uint32_t after; // pipes numbered above this; replies are cut at STEER_MSG_MAX
	uint32_t pad1;
};

struct steer_pipe_info {
	uint32_t pipe;
	uint32_t session;
	uint16_t port;
	uint8_t type;
	uint8_t domain;
	uint32_t flags;
	uint32_t nr_entries;   // capacity
	uint32_t used;         // entries live
	uint32_t miss_counter; // slot or STEER_COUNTER_NONE
	uint32_t hit_counter;  // of all its entries, also those without counters and those gone; slot or NONE
	uint64_t user;
	char name[STEER_NAME_MAX];
	char label[STEER_NAME_MAX];
	struct steer_fwd fwd;
	struct steer_fwd fwd_miss;
};

struct steer_entry_query {
	uint32_t pipe;
	uint32_t after; // entries with ids above this, ascending; STEER_ENTRY_NONE = from the first
	uint32_t max;   // 0 = as many as fit into a reply
	uint32_t pad;
};

struct steer_entry_info {
	uint32_t bytes; // of this header and the work entry that follows, padded to 8
	uint32_t entry;
	uint32_t counter; // slot or STEER_COUNTER_NONE
	uint32_t pad;
};

enum steer_shared_type {
	STEER_SHARED_METER = 0,
	STEER_SHARED_COUNTER,
	STEER_SHARED_ENCAP,
	STEER_SHARED_DECAP,
	STEER_SHARED_MAX,
};

struct steer_shared_set {
	uint32_t type;
	uint32_t id; // per session, below 65536
	struct steer_meter meter;
	uint8_t flags;  // ENCAP, DECAP: enum steer_action_flags (L2)
	uint8_t tunnel; // ENCAP
	uint16_t data_length;
	uint32_t pad;
	uint8_t data[STEER_ENCAP_MAX]; // ENCAP, DECAP
};

struct steer_shared_ref {
	uint32_t type;
	uint32_t id;
};

struct steer_shared_info {
	uint32_t type;
	uint32_t id;
	uint32_t counter; // COUNTER: slot
	uint32_t references;
};

struct steer_txn_reply {
	uint64_t revision; // published number
	uint32_t changes;
	uint32_t pad;
};

// Trace: the packet goes through the live tables as the workers walk them, without side effects.
struct steer_trace_request {
	uint16_t port; // as if received here
	uint16_t pad;
	uint32_t length; // frame bytes that follow
	uint32_t pkt_meta;
	uint32_t pad1;
};

enum steer_trace_result {
	STEER_TRACE_HIT = 0,
	STEER_TRACE_MISS,
	// At an autonomous CT pipe; the tag is the one that the connection or denial was judged by.
	STEER_TRACE_CT_ESTABLISHED, // of a connection
	STEER_TRACE_CT_JUDGED,      // of a connection that the policy stage judges again: its hops follow
	STEER_TRACE_CT_NEW,         // of none: the policy stage's hops follow
	STEER_TRACE_CT_DENIED,      // denied before
	STEER_TRACE_CT_RELATED,     // an ICMP error about a connection
	STEER_TRACE_CT_INVALID,     // out of state or window, or nothing that could be tracked
};

struct steer_trace_key {
	uint16_t field;
	uint8_t pad[6];
	uint8_t packet[STEER_FIELD_BYTES_MAX]; // the packet's value
	uint8_t value[STEER_FIELD_BYTES_MAX];  // what it was compared with (hit) or zero
	uint8_t mask[STEER_FIELD_BYTES_MAX];
};

enum { STEER_TRACE_KEYS = 12, STEER_TRACE_ACTIONS = 16, STEER_TRACE_HOPS = 40 };

struct steer_trace_hop {
	uint32_t pipe;
	uint32_t entry; // STEER_ENTRY_NONE at a miss
	uint64_t tag;
	uint64_t user_data;
	uint8_t result; // enum steer_trace_result
	uint8_t domain;
	uint8_t meter_color; // after this hop
	uint8_t nr_keys;
	uint8_t nr_actions;
	uint8_t copy;          // 0 the packet, n = its n-th flooded copy
	uint16_t frame_length; // after this hop
	struct steer_fwd fwd;
	uint8_t actions[STEER_TRACE_ACTIONS]; // enum steer_action_kind, as executed
	uint16_t action_fields[STEER_TRACE_ACTIONS];
	struct steer_trace_key keys[STEER_TRACE_KEYS];
};

enum steer_verdict {
	STEER_VERDICT_DROP = 0,
	STEER_VERDICT_PORT,
	STEER_VERDICT_RSS,
	STEER_VERDICT_KERNEL,
};

// Followed by nr_hops steer_trace_hop, then nr_outcomes steer_trace_outcome, each with its frame behind it (padded to 8).
struct steer_trace_reply {
	uint32_t nr_hops;
	uint32_t nr_outcomes; // 1, more with flooding
	uint64_t revision;
};

struct steer_trace_outcome {
	uint8_t verdict; // enum steer_verdict
	uint8_t reason;  // enum steer_drop when dropped
	uint16_t port;
	uint16_t queue;
	uint16_t copy;
	uint32_t pkt_meta;
	uint32_t length;
};

struct steer_session_info {
	char name[STEER_NAME_MAX];
	uint32_t session;
	uint32_t flags;
	uint32_t attached; // 1: a client is connected
	uint32_t nr_pipes;
	uint64_t nr_entries;
	uint64_t client_pid;
};

struct steer_session_ref {
	char name[STEER_NAME_MAX];
};
