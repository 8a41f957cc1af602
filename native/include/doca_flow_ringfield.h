// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// What Ringfield adds to DOCA Flow. None of this exists on a card; docs/ says what a card would need instead.
//
// "Port" here is a fast path port index (struct doca_flow_ringfield_port.index), which every port has, started or not;
// doca_flow_ringfield_port_index() gives it for a started port. Byte order as in doca_flow.h: keys, arguments, frames
// and doca_be32_t in network order, the rest in host order. Lengths are in bytes.
//
// Unless a call says otherwise: it needs doca_flow_init(), may be called from any thread, and returns INVALID_VALUE for
// NULL or impossible arguments, BAD_STATE before doca_flow_init(), NOT_CONNECTED when the fast path is gone.

#ifndef DOCA_FLOW_RINGFIELD_H_
#define DOCA_FLOW_RINGFIELD_H_

#ifndef RINGFIELD_CDEF
#include <stdbool.h>
#include <stdint.h>
#endif

#include <doca_compat.h>
#include <doca_dev.h>
#include <doca_error.h>
#include <doca_flow.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	DOCA_FLOW_RINGFIELD_NAME_MAX = 64,    // bytes of a name, final NUL included
	DOCA_FLOW_RINGFIELD_REASON_MAX = 384, // bytes of a sentence
	DOCA_FLOW_RINGFIELD_FIELD_BYTES = 16, // widest field
	DOCA_FLOW_RINGFIELD_PORT_ANY = 0xffff,
	DOCA_FLOW_RINGFIELD_DROPS_MAX = 64,
	DOCA_FLOW_RINGFIELD_STAGES_MAX = 8,
};

// === Attaching =====================================================================================================

enum doca_flow_ringfield_attach_flags {
	DOCA_FLOW_RINGFIELD_DURABLE =
		1 << 0, // ports, pipes and entries outlive the process; needs a session name
	DOCA_FLOW_RINGFIELD_READER = 1 << 1, // owns nothing: lists, statistics, trace and capture only
};

struct doca_flow_ringfield_attach {
	const char *
		runtime_dir; // NULL: $RINGFIELD_RUNTIME_DIR, else $XDG_RUNTIME_DIR/ringfield, else /run/ringfield
	const char *session;        // NULL: $RINGFIELD_SESSION, else the program's name and pid
	uint32_t flags;             // enum doca_flow_ringfield_attach_flags
	uint32_t timeout_ms;        // of connecting and of each exchange; 0 = 10 seconds
	uint32_t packet_ring_bytes; // per direction; 0 = 1 MiB
	uint32_t flow_ring_bytes;   // flow records, see there; 0 = none are wanted
};

// Says where doca_flow_init() and doca_devinfo_create_list() find the fast path, process-wide; strings are copied. NULL
// = back to the defaults. BAD_STATE while initialised.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_set_attach(const struct doca_flow_ringfield_attach *attach);

struct doca_flow_ringfield_session {
	char name[DOCA_FLOW_RINGFIELD_NAME_MAX];
	uint32_t session;
	uint32_t flags;
	bool attached;
	bool resumed; // of doca_flow_ringfield_session_self(): the durable session was there already
	uint16_t nr_workers;
	uint32_t boot_id; // differs after each start of the fast path
	uint32_t nr_pipes;
	uint64_t nr_entries;
	uint64_t pid; // of the client; in session_self() of the fast path
};

DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_session_self(struct doca_flow_ringfield_session *self);
// Up to max sessions; *nr = how many there are.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_session_list(
	struct doca_flow_ringfield_session *sessions, uint32_t max, uint32_t *nr);
// Ends a durable session that nobody is attached to. IN_USE, NOT_FOUND.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_session_drop(const char *name);
// False once the fast path has gone. One system call.
DOCA_EXPERIMENTAL
bool doca_flow_ringfield_alive(void);
// Orderly end of the fast path itself.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_shutdown(void);

// === Errors and warnings ===========================================================================================

struct doca_flow_ringfield_error {
	doca_error_t code;
	char pipe[DOCA_FLOW_RINGFIELD_NAME_MAX];  // its name, empty if none is concerned
	char field[DOCA_FLOW_RINGFIELD_NAME_MAX]; // field string or parameter name, empty if none
	char rule
		[DOCA_FLOW_RINGFIELD_NAME_MAX]; // the rule that was broken, e.g. "root-only", or the entry's number
	char reason[DOCA_FLOW_RINGFIELD_REASON_MAX];
};

// The sentence about this thread's last failed DOCA call; "" if none failed yet. Valid until this thread's next DOCA
// call. Successful calls leave it.
DOCA_EXPERIMENTAL
const char *doca_flow_ringfield_last_error(void);
DOCA_EXPERIMENTAL
void doca_flow_ringfield_last_error_get(struct doca_flow_ringfield_error *error);
// Why an entry's status is ERROR. NOT_FOUND: it is not. Inside its callback, or while the entry lives.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_entry_error(
	const struct doca_flow_pipe_entry *entry, struct doca_flow_ringfield_error *error);

enum doca_flow_ringfield_lint_level {
	DOCA_FLOW_RINGFIELD_LINT_OFF = 0,
	DOCA_FLOW_RINGFIELD_LINT_WARN,   // default: log, and call back
	DOCA_FLOW_RINGFIELD_LINT_REFUSE, // a warning makes the call fail with INVALID_VALUE
};

// A legal but suspicious thing: code is DOCA_SUCCESS. Called by the thread whose call is concerned; must not call DOCA.
typedef void (*doca_flow_ringfield_lint_cb)(const struct doca_flow_ringfield_error *warning, void *user_ctx);
// Before or after init, process-wide. cb may be NULL.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_lint_set(
	enum doca_flow_ringfield_lint_level level, doca_flow_ringfield_lint_cb cb, void *user_ctx);

// === Ports =========================================================================================================

struct doca_flow_ringfield_port {
	char name[DOCA_FLOW_RINGFIELD_NAME_MAX];    // p0, pf0hpf, pf0vf0 ...
	char backend[DOCA_FLOW_RINGFIELD_NAME_MAX]; // net_tap, net_ring ...
	char detail[DOCA_FLOW_RINGFIELD_NAME_MAX];
	char owner[DOCA_FLOW_RINGFIELD_NAME_MAX]; // session that started it, empty if none
	char pci[DOCA_FLOW_RINGFIELD_NAME_MAX];
	char ibdev[DOCA_FLOW_RINGFIELD_NAME_MAX];
	char representor[DOCA_FLOW_RINGFIELD_NAME_MAX]; // empty: an uplink
	uint16_t index;
	uint16_t port_id; // logical id, DOCA_FLOW_RINGFIELD_PORT_ANY before it is started
	uint16_t mtu;
	uint8_t mac[6];
	bool up;
	bool started;
	bool ring; // reachable from outside by the packet calls below only
};

struct doca_flow_ringfield_port_config {
	const char *name;
	const char *backend;
	const char *args;  // device arguments, may be NULL like all that follow
	const char *netns; // net_tap: namespace to open it in
	const char *mac;
	const char *pci;
	const char *ibdev;
	const char *representor;
	uint32_t mtu; // 0 = 1500
};

// Up to max ports; *nr = how many there are.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_port_list(
	struct doca_flow_ringfield_port *ports, uint32_t max, uint32_t *nr);
// At run time, without disturbing the others. ALREADY_EXIST, DRIVER. port may be NULL.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_port_add(
	const struct doca_flow_ringfield_port_config *config, struct doca_flow_ringfield_port *port);
// IN_USE: a session has it started.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_port_remove(uint16_t port);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_port_index(const struct doca_flow_port *port, uint16_t *index);
// A device for doca_flow_port_cfg_set_dev() or set_dev_rep() by port name, without walking lists. Close as usual.
// Works before doca_flow_init(). NOT_FOUND.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_dev_open(const char *port_name, struct doca_dev **dev);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_dev_rep_open(const char *port_name, struct doca_dev_rep **dev_rep);

// === Transactions ==================================================================================================

// Every change of pipes, entries and misses that this session posts between begin and commit becomes visible to packets
// in one step. One at a time per session (BAD_STATE). commit publishes and completes all queues' pending entries first;
// it must not run while other threads post or process queues, nor may abort. If anything could not be prepared, commit fails and nothing changed. Entries
// added in a transaction that was aborted or failed are reported as ERROR (those of bulk calls are not) and then invalid;
// handles of pipes that it destroyed and of entries that it removed are valid again, their user contexts too. Until it ends
// such a handle must not be used.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_txn_begin(void);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_txn_commit(uint64_t *revision); // may be NULL
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_txn_abort(void);

// doca_flow_pipe_destroy() that tells. IN_USE: forwards of other pipes still lead to it; it stays as it was.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_pipe_destroy(struct doca_flow_pipe *pipe);

// === Forwards of ours ==============================================================================================

// Further values of doca_flow_fwd.type, for a pipe, an entry, or a miss. doca_flow_fwd.port_id holds the drop reason to
// count, by its number (doca_flow_ringfield_drop_by_name()); 0 = the usual one: pipe, for REJECT policy.
enum doca_flow_ringfield_fwd_type {
	DOCA_FLOW_RINGFIELD_FWD_DROP = 1000,
	// Drop, and answer the sender: TCP with RST, the rest with ICMP or ICMPv6 "administratively prohibited"; for the reasons ttl
	// and no_route with "time exceeded" and "host unreachable". Rate bound. It comes from the packet's destination; for ttl and
	// no_route from the router's address that the actions left in meta.u32[0] (IPv6: [0] to [3]), unless that is zero.
	DOCA_FLOW_RINGFIELD_FWD_REJECT,
	// An ARP request or neighbour solicitation goes back, out of the port it came in on, as its answer; outer.eth.src_mac
	// as the actions left it is the address that is told. Anything else is dropped.
	DOCA_FLOW_RINGFIELD_FWD_ANSWER,
};

// Number of a drop reason; 0 if there is none of that name. Works before init.
DOCA_EXPERIMENTAL
uint32_t doca_flow_ringfield_drop_by_name(const char *name);

// === Connection tracking ===========================================================================================

// An autonomous CT pipe keeps connections by itself. A packet that belongs to none goes to the pipe's fwd_miss, where the
// policy begins; if it reaches the pipe's fwd the connection is committed, and later packets of both directions go there
// at once. If it is dropped on the way, that is remembered for a while. One such pipe per fast path.

enum doca_flow_ringfield_ct_flags {
	DOCA_FLOW_RINGFIELD_CT_PASS_INVALID =
		1 << 1, // out-of-window, out-of-state TCP is counted and let through
};

// What happens to a new connection when the table is full.
enum doca_flow_ringfield_ct_full {
	DOCA_FLOW_RINGFIELD_CT_FULL_REFUSE = 0, // dropped as ct_full
	DOCA_FLOW_RINGFIELD_CT_FULL_EVICT,      // the least useful one goes
	DOCA_FLOW_RINGFIELD_CT_FULL_UNTRACKED,  // forwarded without a connection
};

enum doca_flow_ringfield_ct_timer {
	DOCA_FLOW_RINGFIELD_CT_TIMER_TCP_ESTABLISHED = 0, // default 3600 s
	DOCA_FLOW_RINGFIELD_CT_TIMER_TCP_SETUP,           // 30 s
	DOCA_FLOW_RINGFIELD_CT_TIMER_TCP_HALF_CLOSED,     // 120 s
	DOCA_FLOW_RINGFIELD_CT_TIMER_TCP_CLOSE,           // 1 s
	DOCA_FLOW_RINGFIELD_CT_TIMER_UDP,                 // 30 s
	DOCA_FLOW_RINGFIELD_CT_TIMER_ICMP,                // 6 s
	DOCA_FLOW_RINGFIELD_CT_TIMER_OTHER,               // 30 s
	DOCA_FLOW_RINGFIELD_CT_TIMER_DENIED_TCP,          // 90 s
	DOCA_FLOW_RINGFIELD_CT_TIMER_DENIED_OTHER,        // 60 s
	DOCA_FLOW_RINGFIELD_CT_TIMER_MAX,
};

enum { DOCA_FLOW_RINGFIELD_CT_META_NONE = 0xff };

// Limits of 0 mean none. Identities are what the policy leaves in meta.u32[src_u32] and [dst_u32], as network order words.
struct doca_flow_ringfield_ct {
	uint32_t flags;           // enum doca_flow_ringfield_ct_flags
	uint32_t capacity;        // connections
	uint32_t denied_capacity; // remembered denials; 0 = none are remembered
	uint8_t zone_u32;         // which meta.u32[] holds the zone; CT_META_NONE: one zone
	uint8_t src_u32; // which meta.u32[] the policy leaves the opener's identity in, or CT_META_NONE
	uint8_t dst_u32; // and the target's
	uint8_t full;    // enum doca_flow_ringfield_ct_full
	uint32_t timeout_ms[DOCA_FLOW_RINGFIELD_CT_TIMER_MAX]; // 0 = the default
	uint32_t max_half_open;
	uint32_t max_new_per_second;
	uint32_t id_max_connections; // the same per identity of the opener
	uint32_t id_max_half_open;
	uint32_t id_max_new_per_second;
	uint32_t adopt_window_ms; // out-of-state TCP may be adopted so long after the pipe was made; 0 = not
	uint32_t record_interval_ms; // between two records of an active connection; 0 = no records
	uint32_t max_fragments;      // held until their datagram's first one comes; 0 = 1024
	// An ICMP error follows the connection that it is about when it comes from who the quoted packet was sent to, or in by
	// the port which that left by from a sender that may be a router: meta.u32[router_u32] is not 0 then. CT_META_NONE:
	// every sender may be one.
	uint8_t router_u32;
	uint8_t pad[3];
	uint64_t revision; // of the policy at the start
};

// Makes the pipe one of type CT with this configuration. The pipe has no match, actions, monitor or entries; its fwd and
// fwd_miss are pipes.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_pipe_cfg_set_ct(
	struct doca_flow_pipe_cfg *cfg, const struct doca_flow_ringfield_ct *ct);
// The configuration that an autonomous CT pipe was made with, adopted ones too. NOT_FOUND: it is none.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_pipe_ct(
	const struct doca_flow_pipe *pipe, struct doca_flow_ringfield_ct *ct);

// The policy has changed: connections are judged again at their next packet, all or those that name one of nr identities
// as either side. Call it when the change is visible, by the session that owns the CT pipe. revision: goes into records.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_ct_epoch(
	uint64_t revision, bool all, const uint32_t *identities, uint32_t nr);

struct doca_flow_ringfield_ct_adopt {
	uint8_t address[16]; // IPv4: the first four bytes
	uint32_t zone;       // host order
	uint32_t window_ms;
	uint8_t version; // 4, 6; 0 = every address of every zone
	uint8_t pad[7];
};

// For window_ms from now on, out-of-state TCP from or to this address may be adopted.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_ct_adopt(const struct doca_flow_ringfield_ct_adopt *adopt);

enum doca_flow_ringfield_flow_event {
	DOCA_FLOW_RINGFIELD_FLOW_OPEN = 1,
	DOCA_FLOW_RINGFIELD_FLOW_UPDATE,
	DOCA_FLOW_RINGFIELD_FLOW_CLOSE,
	DOCA_FLOW_RINGFIELD_FLOW_DENY,
	DOCA_FLOW_RINGFIELD_FLOW_DENY_UPDATE,
};

enum doca_flow_ringfield_flow_create {
	DOCA_FLOW_RINGFIELD_FLOW_BY_POLICY = 1,
	DOCA_FLOW_RINGFIELD_FLOW_ADOPTED,
};

enum doca_flow_ringfield_flow_close {
	DOCA_FLOW_RINGFIELD_FLOW_CLOSE_NONE = 0,
	DOCA_FLOW_RINGFIELD_FLOW_CLOSE_FIN,
	DOCA_FLOW_RINGFIELD_FLOW_CLOSE_RST,
	DOCA_FLOW_RINGFIELD_FLOW_CLOSE_TIMEOUT,
	DOCA_FLOW_RINGFIELD_FLOW_CLOSE_POLICY,
	DOCA_FLOW_RINGFIELD_FLOW_CLOSE_EVICTED,
	DOCA_FLOW_RINGFIELD_FLOW_CLOSE_SHUTDOWN,
	DOCA_FLOW_RINGFIELD_FLOW_CLOSE_REUSED,
};

enum doca_flow_ringfield_tcp_state {
	DOCA_FLOW_RINGFIELD_TCP_NONE = 0,
	DOCA_FLOW_RINGFIELD_TCP_SYN_SENT,
	DOCA_FLOW_RINGFIELD_TCP_SYN_RECV,
	DOCA_FLOW_RINGFIELD_TCP_ESTABLISHED,
	DOCA_FLOW_RINGFIELD_TCP_FIN_WAIT,
	DOCA_FLOW_RINGFIELD_TCP_CLOSE_WAIT,
	DOCA_FLOW_RINGFIELD_TCP_LAST_ACK,
	DOCA_FLOW_RINGFIELD_TCP_TIME_WAIT,
	DOCA_FLOW_RINGFIELD_TCP_CLOSE,
	DOCA_FLOW_RINGFIELD_TCP_SYN_SENT2,
};

// One change of one connection. src is who opened it; addresses in network order, IPv4 in the first four bytes and the
// rest 0. Numbers count since the opening.
struct doca_flow_ringfield_flow_record {
	uint64_t reserved;
	uint64_t id;         // the same in all records of a connection
	uint64_t first_ns;   // first packet, since the epoch
	uint64_t last_ns;    // last one
	uint64_t packets[2]; // opener's, responder's
	uint64_t bytes[2];   // frames without FCS
	uint64_t tag;        // of the policy's entry that decided; 0 = none had one
	uint64_t revision;   // of the policy that decided
	uint8_t src_ip[16];
	uint8_t dst_ip[16];
	uint32_t zone; // host order, as all numbers here
	uint32_t src_identity;
	uint32_t dst_identity;
	uint16_t src_port; // ICMP echo: the identifier
	uint16_t dst_port;
	uint8_t src_mac[6];
	uint8_t dst_mac[6];
	uint16_t in_port;   // fast path port index
	uint16_t out_port;  // likewise; PORT_ANY for denials
	uint16_t vlan;      // TCI of the outermost tag; 0 = none
	uint8_t ip_version; // 4, 6; 0 = neither
	uint8_t protocol;
	uint8_t icmp_type; // of the first packet
	uint8_t icmp_code;
	uint8_t tcp_flags[2]; // all that were seen, opener's, responder's
	uint8_t tcp_state;    // enum doca_flow_ringfield_tcp_state
	uint8_t event;        // enum doca_flow_ringfield_flow_event
	uint8_t create;       // enum doca_flow_ringfield_flow_create
	uint8_t close;        // enum doca_flow_ringfield_flow_close
	uint8_t drop;         // drop reason, of denials and closes by policy
	uint8_t pad[3];
	uint32_t frames; // DENY_UPDATE: packets of this record alone
	uint32_t boot;   // boot_id of the fast path
};

// Up to max connections, in no order, as records with event UPDATE. *cursor: 0 at first, then as it was left; 0 at the
// end. *nr may be 0 before that.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_ct_list(
	uint64_t *cursor, struct doca_flow_ringfield_flow_record *records, uint32_t max, uint32_t *nr);

// The next records of this session's connections, waiting up to timeout_us for the first; needs
// attach.flow_ring_bytes (BAD_STATE). *lost: how many have found no room since the session began. One thread at a time.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_flow_records(struct doca_flow_ringfield_flow_record *records, uint32_t max,
	uint64_t timeout_us, uint32_t *nr, uint64_t *lost);

struct doca_flow_ringfield_ct_stats {
	uint64_t live; // now, as half_open, denied and fragments
	uint64_t half_open;
	uint64_t denied;
	uint64_t opened;
	uint64_t adopted;
	uint64_t closed; // evicted ones too
	uint64_t evicted;
	uint64_t refused_full;
	uint64_t refused_limit;
	uint64_t untracked;
	uint64_t invalid;
	uint64_t related;
	uint64_t rejudged;
	uint64_t rejudged_denied;
	uint64_t denied_packets;
	uint64_t records;
	uint64_t records_lost;
	uint64_t fragments;
	uint64_t generated; // answers to rejected packets
	uint64_t handed_over;
};

// No exchange with the fast path: reads shared memory.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_ct_stats_get(struct doca_flow_ringfield_ct_stats *stats);

// === Packets =======================================================================================================

enum doca_flow_ringfield_packet_kind {
	DOCA_FLOW_RINGFIELD_PACKET_RSS = 2,
	DOCA_FLOW_RINGFIELD_PACKET_KERNEL,
	DOCA_FLOW_RINGFIELD_PACKET_WIRE, // what a ring port sent
	DOCA_FLOW_RINGFIELD_PACKET_CAPTURE_RX,
	DOCA_FLOW_RINGFIELD_PACKET_CAPTURE_TX,
	DOCA_FLOW_RINGFIELD_PACKET_CAPTURE_DROP,
};

struct doca_flow_ringfield_packet {
	uint64_t timestamp_ns; // since the epoch
	uint32_t offset;       // of the frame in the caller's buffer
	uint32_t length;       // of the frame
	doca_be32_t pkt_meta;
	uint16_t port;
	uint16_t queue; // RSS
	uint8_t kind;   // enum doca_flow_ringfield_packet_kind
	uint8_t drop;   // CAPTURE_DROP: number of the drop reason
	uint8_t pad[2];
	doca_be32_t mark; // RSS, KERNEL: the mark of its connection (doca_flow_ct_meta), 0 = none
};

enum doca_flow_ringfield_receive_flags {
	DOCA_FLOW_RINGFIELD_RECEIVE_SOFTWARE =
		1 << 0,                            // RSS and KERNEL, of the session's own ports; the default
	DOCA_FLOW_RINGFIELD_RECEIVE_WIRE = 1 << 1, // outside of ring ports
};

enum doca_flow_ringfield_capture_points {
	DOCA_FLOW_RINGFIELD_CAPTURE_RX = 1 << 0,
	DOCA_FLOW_RINGFIELD_CAPTURE_TX = 1 << 1,
	DOCA_FLOW_RINGFIELD_CAPTURE_DROP = 1 << 2,
};

// Packet calls: one thread injects or transmits at a time, one receives at a time.
// nr frames back to back, of the given lengths: as if received on port (inject), or sent on it past all pipes
// (transmit). *done (may be NULL) = how many were taken; AGAIN if not all, for the ring is full.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_inject(uint16_t port, doca_be32_t pkt_meta, const uint8_t *frames,
	const uint32_t *lengths, uint32_t nr, uint32_t *done);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_transmit(
	uint16_t port, const uint8_t *frames, const uint32_t *lengths, uint32_t nr, uint32_t *done);
// Which packets this session wants. flags: enum doca_flow_ringfield_receive_flags; port: of WIRE, or PORT_ANY.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_receive_set(uint32_t flags, uint16_t port);
// What has arrived, waiting up to timeout_us (0: not at all) for the first packet. Frames are stored one after the other
// in buffer; one that does not fit the rest stays for the next call (TOO_BIG if it is the first). *nr may be 0.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_receive(struct doca_flow_ringfield_packet *packets, uint32_t max,
	uint8_t *buffer, uint32_t buffer_bytes, uint64_t timeout_us, uint32_t *nr);
// Copies of packets to this session's packets. points: enum doca_flow_ringfield_capture_points, 0 stops. snap: bytes kept
// per packet, 0 = all. drops: bit set of drop reasons, 0 = all.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_capture(uint32_t points, uint16_t port, uint16_t snap, uint64_t drops);

// === Trace =========================================================================================================

enum { DOCA_FLOW_RINGFIELD_TRACE_FIELDS = 12, DOCA_FLOW_RINGFIELD_TRACE_ACTIONS = 16 };

struct doca_flow_ringfield_trace_field {
	char name[48];
	uint8_t width; // bytes used of the arrays
	uint8_t pad[7];
	uint8_t packet[DOCA_FLOW_RINGFIELD_FIELD_BYTES]; // what the packet has
	uint8_t value[DOCA_FLOW_RINGFIELD_FIELD_BYTES];  // what it was compared with; zero at a miss
	uint8_t mask[DOCA_FLOW_RINGFIELD_FIELD_BYTES];
};

struct doca_flow_ringfield_trace_action {
	char kind[16]; // "set", "add", "decap" ...
	char field[48];
};

struct doca_flow_ringfield_trace_hop {
	char pipe[DOCA_FLOW_RINGFIELD_NAME_MAX]; // name, or "#number" of another session's nameless pipe
	uint32_t pipe_number;
	uint32_t entry; // number, 0xffffffff at a miss
	uint64_t tag;   // of the entry
	bool hit;
	uint8_t domain;      // enum doca_flow_pipe_domain
	uint8_t meter_color; // after the hop
	uint8_t copy;        // 0, or n in the n-th flooded copy
	uint8_t nr_fields;
	uint8_t nr_actions;
	uint16_t frame_length; // after the hop
	char fwd[48];          // "port p1", "pipe ACL", "drop" ...
	struct doca_flow_ringfield_trace_field fields[DOCA_FLOW_RINGFIELD_TRACE_FIELDS];
	struct doca_flow_ringfield_trace_action actions[DOCA_FLOW_RINGFIELD_TRACE_ACTIONS];
};

enum doca_flow_ringfield_verdict {
	DOCA_FLOW_RINGFIELD_VERDICT_DROP = 0,
	DOCA_FLOW_RINGFIELD_VERDICT_PORT,
	DOCA_FLOW_RINGFIELD_VERDICT_RSS,
	DOCA_FLOW_RINGFIELD_VERDICT_KERNEL,
};

struct doca_flow_ringfield_trace_outcome {
	uint8_t verdict; // enum doca_flow_ringfield_verdict
	uint8_t drop;    // DROP: number of the reason
	uint16_t port;
	uint16_t queue;
	uint16_t copy;
	doca_be32_t pkt_meta;
	uint32_t offset; // of the frame as it left, in the caller's buffer
	uint32_t length;
};

struct doca_flow_ringfield_trace {
	struct doca_flow_ringfield_trace_hop *hops;
	uint32_t max_hops;
	uint32_t nr_hops; // result
	struct doca_flow_ringfield_trace_outcome *outcomes;
	uint32_t max_outcomes;
	uint32_t nr_outcomes; // result: 1, more with flooding
	uint8_t *buffer;
	uint32_t buffer_bytes;
	uint32_t pad;
	uint64_t revision; // result
};

// Sends a copy of the frame through the live tables, as if received on port, without side effects. The caller fills in
// the arrays and their sizes; what does not fit is left out.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_trace_frame(uint16_t port, doca_be32_t pkt_meta, const uint8_t *frame,
	uint32_t length, struct doca_flow_ringfield_trace *trace);

// === Entries: tags, numbers, bulk ==================================================================================

// Tag of the entries that this thread adds from now on, by any call: rule provenance, shown by trace. 0 = none.
DOCA_EXPERIMENTAL
void doca_flow_ringfield_set_tag(uint64_t tag);

enum doca_flow_ringfield_row_part {
	DOCA_FLOW_RINGFIELD_ROW_KEY = 0, // of keys, and of masks in pipes that have masks per entry
	DOCA_FLOW_RINGFIELD_ROW_ARGS,    // of action arguments
};

// One column of a row. A value is right-aligned in its bytes, in network order (a VLAN TCI two bytes, a VNI or flow label
// three).
struct doca_flow_ringfield_column {
	char name[48]; // field string, or "encap.<field string>", "encap.data", "push_vlan.tci", ...
	uint32_t offset;
	uint16_t width;
	uint16_t bits;
};

// How rows of a pipe are laid out: up to max columns, *nr = how many there are, *row_bytes = length of a row. action_idx
// matters to ARGS only. NOT_SUPPORTED: control and ordered list pipes have no rows.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_pipe_columns(const struct doca_flow_pipe *pipe,
	enum doca_flow_ringfield_row_part part, uint8_t action_idx,
	struct doca_flow_ringfield_column *columns, uint32_t max, uint32_t *nr, uint32_t *row_bytes);

// Many entries in one call, which returns when all are complete: it pushes, processes its queue and calls back for other
// entries that complete meanwhile, but not for its own. Rows are packed back to back.
struct doca_flow_ringfield_bulk {
	struct doca_flow_pipe *pipe;
	uint16_t pipe_queue;
	uint8_t action_idx;
	uint8_t pad[5];
	uint32_t nr;
	uint32_t nr_fwds;
	const uint8_t *keys;        // add: nr rows
	const uint8_t *masks;       // add, LPM and ACL: nr rows like keys; ACL ports: upper end of the range
	const uint32_t *priorities; // add, ACL: nr
	const uint8_t *args;        // nr rows, NULL if the template takes nothing from entries
	const uint64_t *tags;       // add: nr, or NULL
	const struct doca_flow_monitor *monitor; // for all, or NULL
	const struct doca_flow_fwd *fwds;        // NULL: the pipe's
	const uint32_t *fwd_of_row;              // nr indices into fwds; NULL: fwds[0] for all
	// TIME_OUT when not complete by then; 0 = 60 seconds. A row whose result is TIME_OUT and whose entry is there is
	// still under way: entries_process() calls back for it.
	uint64_t timeout_us;
	struct doca_flow_pipe_entry *
		*entries;      // add: nr results, NULL where it failed; update, remove: nr arguments
	doca_error_t *results; // nr, or NULL
	uint32_t nr_done;      // result: how many succeeded
	uint32_t pad1;
};

// Success if all entries succeeded, else the first error, whose sentence is the last error.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_bulk_add(struct doca_flow_ringfield_bulk *bulk);
// New actions, monitor and fwd for entries[]; keys stay.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_bulk_update(struct doca_flow_ringfield_bulk *bulk);
// entries[] are invalid afterwards, where it succeeded.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_bulk_remove(struct doca_flow_ringfield_bulk *bulk);

// === Lists and adoption ============================================================================================

struct doca_flow_ringfield_pipe {
	char name[DOCA_FLOW_RINGFIELD_NAME_MAX];
	char label[DOCA_FLOW_RINGFIELD_NAME_MAX];
	uint32_t number;
	uint32_t session;
	uint16_t port;
	uint8_t type;   // enum doca_flow_pipe_type
	uint8_t domain; // enum doca_flow_pipe_domain
	bool is_root;
	bool is_resizable;
	uint8_t pad[2];
	uint32_t nr_entries; // room
	uint32_t used;
	bool has_miss_counter;
	uint8_t pad1[7];
	uint64_t miss_pkts;
	uint64_t miss_bytes;
	uint64_t hit_pkts; // of all entries, with counters or not, those removed since included
	uint64_t hit_bytes;
	char fwd[48];
	char fwd_miss[48];
};

struct doca_flow_ringfield_entry {
	uint32_t number;
	uint32_t priority;
	uint32_t index; // hash, ordered list
	uint8_t action_idx;
	uint8_t pad[3];
	uint64_t tag;
	uint64_t pkts;
	uint64_t bytes;
	bool counted;
	uint8_t pad1[7];
	char fwd[48]; // empty: the pipe's
};

// Pipes of all sessions, or of this one. Up to max, *nr = how many there are.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_pipe_list(
	bool own, struct doca_flow_ringfield_pipe *pipes, uint32_t max, uint32_t *nr);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_pipe_info(
	const struct doca_flow_pipe *pipe, struct doca_flow_ringfield_pipe *info);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_entry_info(
	const struct doca_flow_pipe_entry *entry, struct doca_flow_ringfield_entry *info);

// After doca_flow_init() resumed a durable session and doca_flow_port_start() started one of its ports again: handles for
// the port's pipes (up to max, *nr = how many there are), as if this process had created them. Their pipe callbacks'
// user_ctx is NULL. Once per port; BAD_STATE when pipes of the port were created before.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_adopt_pipes(
	struct doca_flow_port *port, struct doca_flow_pipe **pipes, uint32_t max, uint32_t *nr);

// Handles for the entries of an adopted pipe, in ascending number, with what they were added with. Arrays may be NULL.
// Entries belong to pipe_queue from here on; usr_ctx is NULL. Call until nr_entries is 0.
struct doca_flow_ringfield_adopt {
	struct doca_flow_pipe *pipe;
	uint16_t pipe_queue;
	uint8_t pad[2];
	uint32_t max;
	struct doca_flow_pipe_entry **entries;
	struct doca_flow_ringfield_entry *infos;
	uint8_t *keys; // rows, see doca_flow_ringfield_pipe_columns()
	uint8_t *masks;
	uint8_t *args; // rows of args_bytes each, zero behind the template's own
	uint32_t args_bytes;
	uint32_t nr_entries; // result
	uint32_t after;      // look_entries: entries numbered above it; UINT32_MAX: from the first
	uint32_t pad1;
};

DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_adopt_entries(struct doca_flow_ringfield_adopt *adopt);
// The same of any pipe of this session as the fast path holds it now, without handles: entries must be NULL, pipe_queue
// is not looked at, counters are not told. after becomes the number of the last one; 0 entries: there are no more.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_look_entries(struct doca_flow_ringfield_adopt *look);

// === Statistics ====================================================================================================

struct doca_flow_ringfield_count {
	uint64_t pkts;
	uint64_t bytes; // without FCS
};

struct doca_flow_ringfield_port_stats {
	struct doca_flow_ringfield_count received;
	struct doca_flow_ringfield_count sent;
	struct doca_flow_ringfield_count injected;
	struct doca_flow_ringfield_count software;
	struct doca_flow_ringfield_count transmitted;
	struct doca_flow_ringfield_count dropped;
	uint64_t drops[DOCA_FLOW_RINGFIELD_DROPS_MAX]; // packets that came in here, by reason
};

struct doca_flow_ringfield_stats {
	uint32_t boot_id;
	uint32_t nr_workers;
	uint64_t started_ns; // since the epoch
	uint64_t revision;
	uint64_t heartbeat_ns; // CLOCK_MONOTONIC of the control loop's last turn
	uint64_t mbufs_total;
	uint64_t mbufs_free;
	uint64_t entries; // live, all sessions
	uint64_t posted;
	uint64_t refused;
	uint64_t copies;
	uint64_t generated;
	uint64_t held;
	uint64_t loops;
	uint64_t busy_loops;
	uint64_t cycles_busy;
	uint64_t cycles_total;
	uint64_t tsc_hz;
	uint64_t packets_lost; // this session was too slow to take them
	uint64_t events_lost;
	struct doca_flow_ringfield_port_stats ports; // summed
};

// No exchange with the fast path: reads shared memory.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_stats_get(struct doca_flow_ringfield_stats *stats);

// A worker's flow cache: recorded walks, looked up from a port's root, in the policy stage, behind the CT pipe.
struct doca_flow_ringfield_cache {
	uint64_t room;        // walks that there is room for; 0: no cache
	uint64_t walks;       // held at this moment
	uint64_t hits;        // look-ups that found a walk
	uint64_t misses;      // others
	uint64_t connections; // packets that took the walk that their connection knew
	uint64_t recorded;    // walks
	uint64_t given;       // times that a connection was given walks
	uint64_t changed;     // invalid walks found: a pipe on them has changed since
	uint64_t evicted;     // walks given up for others
	uint64_t widened;     // times that walks were given up since others depend on more of a packet
	uint64_t emptied;     // times that all were given up
	uint64_t forgotten;   // times that connections lost theirs
	uint64_t refused;     // walks not recorded since the cache is full
	uint64_t idle;        // times that a start was left alone: walks are short there, or do not last
};
// No exchange with the fast path, either. INVALID_VALUE: no such worker.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_cache_get(uint32_t worker, struct doca_flow_ringfield_cache *cache);

// Where the workers' time goes: cycles of a sample of the turns that had packets, by stage.
struct doca_flow_ringfield_stages {
	uint64_t turns;
	uint64_t packets;
	uint64_t cycles[DOCA_FLOW_RINGFIELD_STAGES_MAX];
};

// No exchange with the fast path, either.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_stages_get(struct doca_flow_ringfield_stages *stages);
// "parse", "send"; NULL beyond the last. Works before init.
DOCA_EXPERIMENTAL
const char *doca_flow_ringfield_stage_name(uint32_t stage);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_port_stats_get(uint16_t port, struct doca_flow_ringfield_port_stats *stats);
// Number, name ("meter_red") and meaning of drop reasons; NULL beyond the last. 0 is no drop. Work before init.
DOCA_EXPERIMENTAL
const char *doca_flow_ringfield_drop_name(uint32_t drop);
DOCA_EXPERIMENTAL
const char *doca_flow_ringfield_drop_text(uint32_t drop);

enum doca_flow_ringfield_event_kind {
	DOCA_FLOW_RINGFIELD_EVENT_PORT_UP = 1,
	DOCA_FLOW_RINGFIELD_EVENT_PORT_DOWN,
	DOCA_FLOW_RINGFIELD_EVENT_PORT_ADDED,
	DOCA_FLOW_RINGFIELD_EVENT_PORT_REMOVED,
	DOCA_FLOW_RINGFIELD_EVENT_PIPE_CONGESTED,
	DOCA_FLOW_RINGFIELD_EVENT_PIPE_RESIZED,
};

struct doca_flow_ringfield_event {
	uint64_t timestamp_ns; // since the epoch
	uint32_t kind;         // enum doca_flow_ringfield_event_kind
	uint16_t port;
	uint16_t pad;
	uint64_t value; // PIPE_*: number of the pipe
	char text[DOCA_FLOW_RINGFIELD_NAME_MAX];
};

// Up to max events, waiting up to timeout_us for the first. One thread at a time.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_ringfield_events(
	struct doca_flow_ringfield_event *events, uint32_t max, uint64_t timeout_us, uint32_t *nr);

#ifdef __cplusplus
}
#endif

#endif // DOCA_FLOW_RINGFIELD_H_
