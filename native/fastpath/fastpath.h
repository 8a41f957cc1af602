// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What the control thread and the workers share: ports, worker contexts, rings, counters, the published revision.
//
// Thread-safety. One thread, "control" (the lcore that drains the steering queues), is the only writer of everything
// here unless a member says otherwise. Workers read: plain words with fp_read(), pointers to immutable objects with
// fp_read_acquire(). What a worker may still be looking at is freed through rcu_defer() (rcu.h). Workers never lock,
// allocate, log, divide or wait.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include <rte_common.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "stats_wire.h"

#define fp_read(p)         __atomic_load_n((p), __ATOMIC_RELAXED)
#define fp_read_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define fp_write(p, v)     __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define fp_publish(p, v)   __atomic_store_n((p), (v), __ATOMIC_RELEASE)

struct root_version; // pipe.h's business: versions of a port's root pipe
struct packet;       // packet.h: one packet on its walk

enum {
	FP_BURST = 32,       // packets taken from one queue at a time
	FP_TX_BUFFER = 64,   // packets buffered per worker and output port, flushed at the end of every turn
	FP_RX_MAX = 128,     // rx queues of one worker
	FP_RING_SIZE = 4096, // default size of the rings between workers and control
	FP_DEPTH_MAX = 64,   // pipes in a row, of all domains
	FP_HEADROOM = 256,   // head room that mbuf pools should leave (two encapsulations)
	// Private area of the mbufs of every pool. A cache line, so that frames begin on one: else the headers of
	// every packet would be on two.
	FP_NOTE_BYTES = RTE_CACHE_LINE_SIZE,
};

// In every mbuf's private area: rte_pktmbuf_pool_create(.., priv_size = FP_NOTE_BYTES, ..). It says what a packet on one of the rings below is. Written by who enqueues.
struct fp_note {
	uint64_t timestamp_ns; // CLOCK_REALTIME; worker: of the turn
	uint32_t pkt_meta;     // network byte order
	uint16_t port;         // wire index: came in on (software, RX, DROP, inject), sent on (TX, transmit)
	uint16_t queue;        // RSS: queue number
	uint8_t kind;          // enum steer_packet_kind
	uint8_t reason;        // CAPTURE_DROP: enum steer_drop
	uint16_t pad;
	uint32_t wire_len; // captures: frame length before it was cut to snap
	uint32_t mark;     // software: network byte order
};

static inline struct fp_note *fp_note(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

// A port, slot i of fp.ports = wire index i. Control fills it in and sets `dev` and `up` last; the slot is re-used only
// after a grace period.
struct fp_port {
	uint8_t present;        // the slot is in use
	uint8_t up;             // 1: may be sent to; else packets drop as port_down
	uint8_t started;        // PORT_START done: has pipes
	uint8_t default_miss;   // enum steer_miss_default
	uint16_t dev;           // ethdev id
	uint16_t mtu;           // bytes behind the L2 header and VLAN tags
	uint16_t doca_port_id;  // host order; parser_meta.port_id reads this
	uint16_t root_port;     // whose root pipes judge this port's packets
	uint16_t nr_rss_queues; // default miss RSS
	uint16_t nr_tx;  // tx queues; worker w sends on queue w: must be at least the number of workers
	uint8_t capture; // enum steer_capture_points, union over sessions
	uint8_t silent; // gives no wake-up by fd and needs none: whoever feeds it calls worker_wake (ring ports)
	uint16_t capture_snap;  // longest snap asked for, 0 = whole
	uint64_t capture_drops; // union of the drop reasons asked for, 0 = all
	uint32_t miss_counter;  // slot of the default miss, STEER_COUNTER_NONE = not counted
	uint8_t mac[6];
	uint32_t rss_key[STEER_RSS_KEY_BYTES / 4]; // of packets that came in here, in the order of its bytes
	struct root_version *root[STEER_DOMAIN_MAX]; // see pipe.h; read by workers
} __rte_cache_aligned;

struct fp_rx {
	uint16_t port; // wire index
	uint16_t dev;  // ethdev id
	uint16_t queue;
	uint16_t pad;
	int fd; // readable when packets wait (rx interrupts enabled), or -1
};

// Immutable once published with worker_set_rx().
struct fp_rx_list {
	uint32_t serial; // differs between lists, also when one takes the memory of another
	uint16_t nr;
	struct fp_rx rx[];
};

enum fp_idle {
	FP_IDLE_ADAPTIVE = 0, // back off, then sleep
	FP_IDLE_SPIN,
};

struct walker; // walk.h: scratch memory of one thread that walks packets

struct fp_worker {
	uint16_t index; // also its tx queue on every port
	uint16_t lcore;
	uint8_t idle;          // enum fp_idle
	uint8_t quit;          // control sets 1, then worker_wake
	uint8_t nested;        // 1: no thread of its own, control calls worker_poll (cores: 1)
	uint8_t sleeping;      // the worker's: 1 while it sleeps or is about to
	int doorbell;          // eventfd
	int epoll;             // the worker's
	struct fp_rx_list *rx; // RCU
	// Packets on to_software are not counted by the worker: control counts them as software (or drops them as no_receiver,
	// software_full) in its own block, at the port in the note, and shows what is on the rings as its `held`.
	struct rte_ring *to_software;  // worker -> control: RSS and KERNEL packets (note.kind)
	struct rte_ring *to_capture;   // worker -> control: copies; drop when full is counted in capture_lost
	struct rte_ring *from_control; // control -> worker: note.kind INJECT or TRANSMIT
	struct rte_ring *from_worker[STEER_WORKER_MAX]; // other worker -> this one, see handover.h
	uint32_t gave;              // the worker's: bit per worker that it has given packets to in this burst
	struct stats_worker *stats; // this worker's block of the stats segment
	struct stats_counter *counters; // this worker's array
	uint64_t capture_lost;          // the worker's, only grows
	struct walker *walker;
	struct fp_tx *tx;            // worker.c's buffers
	struct fragments *fragments; // fragments.h
} __rte_cache_aligned;

// Everything of one fast path process. Zeroed at start.
struct fp {
	uint16_t nr_workers;
	uint16_t nr_ports_max; // STEER_PORT_MAX
	uint32_t nr_counters;  // slots
	struct fp_port ports[STEER_PORT_MAX];
	struct fp_worker workers[STEER_WORKER_MAX];
	struct stats_header *stats;         // stats segment (or heap memory in tests)
	struct stats_worker *control_stats; // block nr_workers: what control counts
	struct rte_mempool *pool;           // for copies (flooding, captures)
	uint64_t revision;                  // published; workers read it once per burst
	uint64_t tsc_hz;
	uint8_t rss_key[STEER_RSS_KEY_BYTES]; // of ports that were given none
	uint32_t cache;       // recorded walks of each worker's flow cache, 0 = none; set before worker_init
	int control_doorbell; // eventfd of the control thread
	uint32_t control_sleeping; // control sets 1 before it sleeps; see control_wake()
	// Hooks that control may set; called on the control thread.
	void (*on_congestion)(uint32_t session, uint32_t pipe); // a pipe passed its congestion threshold
	void (*log)(const char *line);
};
extern struct fp fp;

// Gives the fast path its memory, before any pipe is made: sets up counter slots, RCU for nr_workers threads, the default
// RSS key. workers[i].stats and .counters, fp.stats, fp.control_stats must point to zeroed memory already.
int fp_init(uint16_t nr_workers, uint32_t nr_counters);
void fp_fini(void); // after all workers ended and spaces were destroyed

// --- Counter slots (control thread) -------------------------------------------------------------------------------
// A slot is the same index in every worker's array. Freed slots are zeroed after a grace period, then given out again.
// Of those that nobody reserved, or one of a reserve. STEER_COUNTER_NONE when none is left.
uint32_t counter_alloc(void);
uint32_t counter_claim(void);
uint32_t counter_unreserved(void);               // how many more may be reserved
void counter_reserve(int32_t change);            // for later claims
void counter_free(uint32_t slot);                // NONE is fine
struct stats_counter counter_sum(uint32_t slot); // over all workers; any thread
uint32_t counter_used(void);

// Any thread: a worker calls it once at the end of a turn in which it put something on to_software or to_capture, or sent
// on a silent port. One load while control is awake, a system call only when it sleeps.
static inline void control_wake(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (fp_read(&fp.control_sleeping) && __atomic_exchange_n(&fp.control_sleeping, 0, __ATOMIC_ACQ_REL))
		eventfd_write(fp.control_doorbell, 1);
}

// --- Workers --------------------------------------------------------------------------------------------------------
// Makes rings, eventfd, epoll and walker of worker i (index, lcore and idle filled in by the caller).
int worker_init(struct fp_worker *w);
void worker_fini(struct fp_worker *w); // frees what init made, packets on the rings too
int worker_main(void *arg);            // arg: struct fp_worker; for rte_eal_remote_launch; until quit is set
// One turn: at most one burst from every rx queue and ring, everything sent and flushed. Returns packets handled, and one
// more when connections wait for another turn.
// Only for the thread that is the worker (nested: control).
unsigned int worker_poll(struct fp_worker *w);
// Publishes a new rx list (the worker's copy is made; caller keeps his); the old one is freed after a grace period.
// To take a port away: set_rx without it on all workers, port.up = 0, rcu_defer(close it).
int worker_set_rx(struct fp_worker *w, const struct fp_rx *rx, uint16_t nr);
void ring_drain(struct rte_ring *ring); // frees its packets, then itself; NULL is fine
void worker_wake(struct fp_worker *w);  // any thread; cheap when it is awake
// Queues a frame for this worker (note filled in). Takes m over also on failure: then it is freed, -ENOSPC.
int worker_feed(struct fp_worker *w, struct rte_mbuf *m);
