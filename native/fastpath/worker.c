// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// A worker's turn: take a burst from every queue, walk it, carry out the verdicts in order of arrival, flush.
//
// Thread-safety. A worker owns its walker, tx buffers, counters and stats block; it reads ports, rx list and tables under
// RCU and is quiescent at the end of every turn, when it holds no packet. Rings to and from control are single-producer
// single-consumer. No turn locks, allocates memory (mbufs excepted), logs or waits.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "answer.h"
#include "clock.h"
#include "ct.h"
#include "flow_cache.h"
#include "fragments.h"
#include "handover.h"
#include "rcu.h"
#include "walk.h"

enum {
	REFUSALS_PER_SECOND = 4096,
	REFUSALS_AT_ONCE = 512,
	// One port has a part of them only: who is refused all the time does not silence the others.
	REFUSALS_SHARE = 4,
	REFUSALS_AT_ONCE_OF_PORT = REFUSALS_AT_ONCE / 2,
};

// A token bucket in cycles.
struct allowance {
	uint64_t credit;
	uint64_t at;
};

struct tx_buffer {
	uint16_t nr;
	uint16_t in_port[FP_TX_BUFFER];
	uint32_t length[FP_TX_BUFFER];
	struct rte_mbuf *packets[FP_TX_BUFFER];
};

struct fp_tx {
	uint16_t nr_dirty;
	uint16_t dirty[STEER_PORT_MAX];
	bool told; // something was put where control must look
	uint64_t now_ns;
	// Refusals of rejected packets, in all and of each port's senders.
	uint64_t refusal_cost;
	struct allowance refusals;
	struct allowance refusals_of[STEER_PORT_MAX];
	struct tx_buffer port[STEER_PORT_MAX];
};

static inline void add(struct stats_counter *counter, uint64_t packets, uint64_t bytes)
{
	fp_write(&counter->packets, counter->packets + packets);
	fp_write(&counter->bytes, counter->bytes + bytes);
}

static inline void bump(uint64_t *number, uint64_t by)
{
	fp_write(number, *number + by);
}

// --- Captures -----------------------------------------------------------------------------------------------------

static void capture(
	struct fp_worker *w, struct rte_mbuf *m, uint16_t port, uint8_t kind, uint8_t reason, uint32_t meta)
{
	uint16_t snap = fp_read(&fp.ports[port].capture_snap);
	uint32_t length = rte_pktmbuf_pkt_len(m);
	struct rte_mbuf *copy = rte_pktmbuf_copy(m, fp.pool, 0, snap && snap < length ? snap : length);

	if (copy) {
		*fp_note(copy) = (struct fp_note){.timestamp_ns = w->tx->now_ns,
			.pkt_meta = meta,
			.port = port,
			.kind = kind,
			.reason = reason,
			.wire_len = length};
		if (!rte_ring_sp_enqueue(w->to_capture, copy)) {
			w->tx->told = true;
			return;
		}
		rte_pktmbuf_free(copy);
	}
	bump(&w->capture_lost, 1);
}

// --- Verdicts -----------------------------------------------------------------------------------------------------

// The one place where a packet is lost: counts it at the port it came in on, shows it to captures, frees it.
static void drop(
	struct fp_worker *w, struct rte_mbuf *m, uint16_t in_port, enum steer_drop reason, uint32_t meta)
{
	struct stats_port *stats = &w->stats->port[in_port];
	const struct fp_port *port = &fp.ports[in_port];

	add(&stats->dropped, 1, rte_pktmbuf_pkt_len(m));
	bump(&stats->drops[reason], 1);
	if (unlikely(fp_read(&port->capture) & STEER_CAP_DROP)) {
		uint64_t wanted = fp_read(&port->capture_drops);

		if (!wanted || (wanted & UINT64_C(1) << reason))
			capture(w, m, in_port, STEER_PKT_CAPTURE_DROP, (uint8_t)reason, meta);
	}
	rte_pktmbuf_free(m);
}

static void flush(struct fp_worker *w, uint16_t index)
{
	struct tx_buffer *b = &w->tx->port[index];
	const struct fp_port *port = &fp.ports[index];
	uint16_t nr = b->nr, sent = 0;
	uint64_t bytes = 0;

	if (!nr)
		return;
	b->nr = 0;
	if (likely(fp_read(&port->up))) {
		sent = rte_eth_tx_burst(fp_read(&port->dev), w->index, b->packets, nr);
		if (unlikely(sent < nr))
			sent += rte_eth_tx_burst(
				fp_read(&port->dev), w->index, b->packets + sent, (uint16_t)(nr - sent));
	}
	for (unsigned int i = 0; i < sent; i++)
		bytes += b->length[i];
	add(&w->stats->port[index].sent, sent, bytes);
	for (unsigned int i = sent; i < nr; i++)
		drop(w, b->packets[i], b->in_port[i],
			fp_read(&port->up) ? STEER_DROP_TX_FULL : STEER_DROP_PORT_DOWN, 0);
	if (fp_read(&port->silent))
		w->tx->told = true;
}

static bool exceeds_mtu(const struct rte_mbuf *m, uint16_t mtu)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t left = rte_pktmbuf_pkt_len(m) - 14, at = 12;

	// VLAN tags do not count.
	for (; at + 6 <= m->data_len; at += 4) {
		uint16_t type = (uint16_t)(frame[at] << 8 | frame[at + 1]);

		if (type != 0x8100 && type != 0x88a8 && type != 0x9100)
			break;
		left -= 4;
	}
	return left > mtu;
}

static inline enum steer_drop send_check(const struct rte_mbuf *m, uint16_t out)
{
	const struct fp_port *port = &fp.ports[out];

	if (unlikely(!fp_read(&port->up)))
		return STEER_DROP_PORT_DOWN;
	if (unlikely(rte_pktmbuf_pkt_len(m) > fp_read(&port->mtu) + 14u) &&
		exceeds_mtu(m, fp_read(&port->mtu)))
		return STEER_DROP_MTU;
	return STEER_DROP_NONE;
}

enum steer_drop worker_send_check(const struct rte_mbuf *m, uint16_t out)
{
	return send_check(m, out);
}

// Or says why not; then the packet is the caller's still.
static enum steer_drop send_packet(
	struct fp_worker *w, struct rte_mbuf *m, uint16_t out, uint16_t in, uint32_t meta)
{
	const struct fp_port *port = &fp.ports[out];
	struct tx_buffer *b = &w->tx->port[out];
	enum steer_drop why = send_check(m, out);

	if (unlikely(why))
		return why;
	if (unlikely(fp_read(&port->capture) & STEER_CAP_TX))
		capture(w, m, out, STEER_PKT_CAPTURE_TX, 0, meta);
	if (!b->nr)
		w->tx->dirty[w->tx->nr_dirty++] = out;
	b->packets[b->nr] = m;
	b->in_port[b->nr] = in;
	b->length[b->nr] = rte_pktmbuf_pkt_len(m);
	if (unlikely(++b->nr == FP_TX_BUFFER)) {
		flush(w, out);
		// It stays on the dirty list once; the next packet must not put it there again.
		for (unsigned int i = 0; i < w->tx->nr_dirty; i++)
			if (w->tx->dirty[i] == out)
				w->tx->dirty[i] = w->tx->dirty[--w->tx->nr_dirty];
	}
	return STEER_DROP_NONE;
}

static void send_or_drop(struct fp_worker *w, struct rte_mbuf *m, uint16_t out, uint32_t meta)
{
	enum steer_drop why = send_packet(w, m, out, out, meta);

	if (unlikely(why))
		drop(w, m, out, why, meta);
}

static void to_software(struct fp_worker *w, struct packet *p)
{
	*fp_note(p->m) = (struct fp_note){.timestamp_ns = w->tx->now_ns,
		.pkt_meta = p->meta.pkt_meta,
		.port = p->in_port,
		.queue = p->queue,
		.kind = p->kind,
		.wire_len = p->frame_len,
		.mark = p->meta.mark};
	if (unlikely(rte_ring_sp_enqueue(w->to_software, p->m)))
		drop(w, p->m, p->in_port, STEER_DROP_SW_FULL, p->meta.pkt_meta);
	else
		w->tx->told = true;
}

static bool allows(struct allowance *a, uint64_t now, uint64_t cost, unsigned int at_once)
{
	a->credit += now - a->at;
	a->at = now;
	if (a->credit > cost * at_once)
		a->credit = cost * at_once;
	return a->credit >= cost;
}

// Tells the sender of a rejected packet, if that may be told and not too many were. The packet itself is dropped. mtu: when
// that is what it is told.
static void refuse(struct fp_worker *w, struct packet *p, uint32_t mtu)
{
	struct fp_tx *tx = w->tx;
	struct allowance *own = &tx->refusals_of[p->in_port];
	uint64_t now = w->walker->tsc, cost = tx->refusal_cost, own_cost = cost * REFUSALS_SHARE;
	struct rte_mbuf *m;

	if (!allows(own, now, own_cost, REFUSALS_AT_ONCE_OF_PORT) ||
		!allows(&tx->refusals, now, cost, REFUSALS_AT_ONCE))
		return;
	m = reject_build(p, fp.pool, mtu);
	if (!m)
		return;
	own->credit -= own_cost;
	tx->refusals.credit -= cost;
	bump(&w->stats->generated, 1);
	bump(&w->stats->ct.generated, 1);
	send_or_drop(w, m, p->in_port, 0);
}

// What does not fit through the port it was to leave by. Where connections are tracked, its sender is told how large it may
// be; not so in pipelines that are as a card would have them, nor of one of several that a packet was flooded as: others may
// have been delivered.
static void too_big(struct fp_worker *w, struct packet *p)
{
	const struct ct *ct = fp_read_acquire(&ct_present);
	uint32_t mtu = fp_read(&fp.ports[p->out_port].mtu), front = p->encap;

	p->reason = STEER_DROP_MTU;
	if (!ct || p->root != p || p->nr_copies || !ct_concerns(ct, p->in_port) || front >= mtu)
		return;
	if (front && !packet_pull(p, front))
		return;
	p->encap = 0; // it is as it was before
	refuse(w, p, mtu - front);
}

static inline void deliver(struct fp_worker *w, struct packet *p)
{
	enum steer_drop why;

	if (unlikely(p->ct_opened))
		ct_delivered(w->walker, p);
	switch (p->verdict) {
	case PACKET_SEND:
		why = send_packet(w, p->m, p->out_port, p->in_port, p->meta.pkt_meta);
		if (unlikely(why)) {
			if (why == STEER_DROP_MTU)
				too_big(w, p);
			drop(w, p->m, p->in_port, why, p->meta.pkt_meta);
		}
		break;
	case PACKET_SOFTWARE:
		to_software(w, p);
		break;
	default:
		if (unlikely(p->reject))
			refuse(w, p, 0);
		drop(w, p->m, p->in_port, p->reason, p->meta.pkt_meta);
		break;
	}
	walker_put(w->walker, p);
}

static void judge_kept(struct fp_worker *w, struct packet **packets, unsigned int n)
{
	walk_run(w->walker, packets, n);
	stage_to(&w->walker->stage, STEER_STAGE_SEND);
	for (unsigned int i = 0; i < n; i++) {
		struct packet *copy = packets[i]->copies, *next;

		deliver(w, packets[i]);
		for (; copy; copy = next) {
			next = copy->next_copy;
			deliver(w, copy);
		}
	}
	if (w->walker->untold)
		ct_tell(w->walker);
}

// Fragments that their first one has released.
static void judge_released(struct fp_worker *w)
{
	struct packet *packets[FP_BURST];
	unsigned int n;

	while ((n = fragments_take(w, packets, FP_BURST)))
		judge_kept(w, packets, n);
}

static void judge(struct fp_worker *w, struct packet **packets, unsigned int n)
{
	if (!fp_read(&ct_present)) {
		judge_kept(w, packets, n);
		return;
	}
	judge_kept(w, packets, fragments_filter(w, packets, n));
	judge_released(w);
}

static void judge_burst(
	struct fp_worker *w, struct rte_mbuf **burst, unsigned int n, uint16_t port, bool injected)
{
	struct packet *packets[FP_BURST];
	struct stats_port *stats = &w->stats->port[port];
	bool noted =
		injected || fp_read(&fp.ports[port].silent); // all that comes in by a ring port was injected
	uint64_t bytes = 0;

	stage_to(&w->walker->stage, STEER_STAGE_PARSE);
	for (unsigned int i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(burst[i], void *));
	if (unlikely(fp_read(&fp.ports[port].capture) & STEER_CAP_RX))
		for (unsigned int i = 0; i < n; i++)
			capture(w, burst[i], port, STEER_PKT_CAPTURE_RX, 0, 0);
	for (unsigned int i = 0; i < n; i++)
		bytes += rte_pktmbuf_pkt_len(burst[i]);
	walk_enter_burst(w->walker, packets, burst, n, port);
	if (unlikely(noted))
		for (unsigned int i = 0; i < n; i++)
			packets[i]->meta.pkt_meta = fp_note(burst[i])->pkt_meta;
	add(injected ? &stats->injected : &stats->received, n, bytes);
	if (unlikely(fp.nr_workers > 1)) {
		n = handover_away(w, packets, n);
		handover_wake(w);
	}
	judge(w, packets, n);
}

// --- From other workers -------------------------------------------------------------------------------------------

// They were counted as received, and shown, where they came in.
static unsigned int drain_workers(struct fp_worker *w)
{
	struct packet *packets[FP_BURST];
	struct rte_mbuf *burst[FP_BURST];
	unsigned int handled = 0;

	for (unsigned int from = 0; from < fp.nr_workers; from++) {
		unsigned int n = from == w->index ? 0 : handover_take(w, from, burst, FP_BURST);

		for (unsigned int i = 0, run; i < n; i += run) {
			uint16_t port = fp_note(burst[i])->port;

			for (run = 1; i + run < n && fp_note(burst[i + run])->port == port; run++)
				;
			stage_to(&w->walker->stage, STEER_STAGE_PARSE);
			walk_enter_burst(w->walker, packets, burst + i, run, port);
			for (unsigned int k = 0; k < run; k++)
				packets[k]->meta.pkt_meta = fp_note(burst[i + k])->pkt_meta;
			judge(w, packets, run);
		}
		handled += n;
	}
	return handled;
}

// --- From control -------------------------------------------------------------------------------------------------

static unsigned int drain_control(struct fp_worker *w)
{
	struct rte_mbuf *burst[FP_BURST];
	unsigned int n = rte_ring_sc_dequeue_burst(w->from_control, (void **)burst, FP_BURST, NULL);

	for (unsigned int i = 0; i < n;) {
		struct fp_note *note = fp_note(burst[i]);
		uint16_t port = note->port < STEER_PORT_MAX ? note->port : 0;
		unsigned int run = 1;

		if (note->kind == STEER_PKT_TRANSMIT) {
			struct stats_port *stats = &w->stats->port[port];

			add(&stats->transmitted, 1, rte_pktmbuf_pkt_len(burst[i]));
			send_or_drop(w, burst[i++], port, note->pkt_meta);
			continue;
		}
		while (i + run < n && fp_note(burst[i + run])->port == port &&
			fp_note(burst[i + run])->kind == note->kind)
			run++;
		judge_burst(w, burst + i, run, port, true);
		i += run;
	}
	return n;
}

// --- The turn -----------------------------------------------------------------------------------------------------

// Packets of this turn follow; they all have the same time of day.
static void begin(struct fp_worker *w, bool *timed)
{
	if (!*timed)
		w->tx->now_ns = w->walker->now_ns = clock_wall_ns();
	*timed = true;
	walk_begin(w->walker, rte_rdtsc());
}

unsigned int worker_poll(struct fp_worker *w)
{
	const struct fp_rx_list *rx = fp_read_acquire(&w->rx);
	struct rte_mbuf *burst[FP_BURST];
	struct fp_tx *tx = w->tx;
	uint64_t now = rte_rdtsc();
	unsigned int handled = 0;
	bool timed = false, more;

	walk_begin(w->walker, now);
	stage_turn(&w->walker->stage);
	for (unsigned int i = 0; rx && i < rx->nr; i++) {
		const struct fp_rx *from = &rx->rx[i];
		uint16_t n;

		stage_to(&w->walker->stage, STEER_STAGE_RECEIVE);
		n = rte_eth_rx_burst(from->dev, from->queue, burst, FP_BURST);
		if (!n)
			continue;
		handled += n;
		begin(w, &timed);
		judge_burst(w, burst, n, from->port, false);
	}
	if (!rte_ring_empty(w->from_control)) {
		begin(w, &timed);
		handled += drain_control(w);
	}
	if (unlikely(fp.nr_workers > 1) && handover_held(w)) {
		begin(w, &timed);
		handled += drain_workers(w);
	}
	if (unlikely(fragments_sweep(w, now))) {
		begin(w, &timed);
		judge_released(w);
	}
	stage_to(&w->walker->stage, STEER_STAGE_CONNECTIONS);
	more = ct_worker_turn(w->walker, handled);
	stage_to(&w->walker->stage, STEER_STAGE_SEND);
	for (unsigned int i = 0; i < tx->nr_dirty; i++)
		flush(w, tx->dirty[i]);
	tx->nr_dirty = 0;
	if (tx->told) {
		tx->told = false;
		control_wake();
	}
	stage_end(&w->walker->stage, &w->stats->stages, handled);
	rcu_quiescent(w->index);

	bump(&w->stats->heartbeat, 1);
	bump(&w->stats->loops, 1);
	now = rte_rdtsc() - now;
	bump(&w->stats->cycles_total, now);
	if (handled) {
		bump(&w->stats->busy_loops, 1);
		bump(&w->stats->cycles_busy, now);
	}
	fp_write(&w->stats->revision, w->walker->revision);
	fp_write(&w->stats->tsc, w->walker->tsc);
	return handled + more;
}

// --- Control side -------------------------------------------------------------------------------------------------

int worker_init(struct fp_worker *w)
{
	static const char *const names[] = {"software", "capture", "control"};
	struct rte_ring **rings[] = {&w->to_software, &w->to_capture, &w->from_control};

	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->walker = walker_create();
	w->tx = table_alloc(sizeof(*w->tx));
	if (w->epoll < 0 || w->doorbell < 0 || !w->walker || !w->tx)
		goto fail;
	for (unsigned int i = 0; i < RTE_DIM(rings); i++) {
		char name[RTE_RING_NAMESIZE];

		snprintf(name, sizeof(name), "w%u_%s", w->index, names[i]);
		*rings[i] = rte_ring_create(name, FP_RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (!*rings[i])
			goto fail;
	}
	if (handover_init(w) || fragments_init(w))
		goto fail;
	w->tx->refusal_cost = rte_get_tsc_hz() / REFUSALS_PER_SECOND;
	if (flow_cache_create(&w->walker->cache, fp.cache))
		goto fail;
	w->walker->worker = w->index;
	w->walker->stats = w->stats;
	fp_write(&w->stats->cache.room, fp.cache);
	stage_init(&w->walker->stage);
	w->walker->counters = w->counters;
	if (w->nested)
		rcu_online(w->index);
	return 0;
fail:
	worker_fini(w);
	return -ENOMEM;
}

void ring_drain(struct rte_ring *ring)
{
	void *m;

	while (ring && !rte_ring_dequeue(ring, &m))
		rte_pktmbuf_free(m);
	rte_ring_free(ring);
}

void worker_fini(struct fp_worker *w)
{
	if (w->nested)
		rcu_offline(w->index);
	ring_drain(w->to_software);
	ring_drain(w->to_capture);
	ring_drain(w->from_control);
	w->to_software = w->to_capture = w->from_control = NULL;
	handover_fini(w);
	fragments_fini(w);
	walker_destroy(w->walker);
	w->walker = NULL;
	free(w->tx);
	w->tx = NULL;
	free(w->rx);
	w->rx = NULL;
	if (w->epoll >= 0)
		close(w->epoll);
	if (w->doorbell >= 0)
		close(w->doorbell);
	w->epoll = w->doorbell = -1;
}
