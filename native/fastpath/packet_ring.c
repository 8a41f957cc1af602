// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Accounting. A worker that puts a packet on to_software has not decided its fate: it is delivered or dropped here, and
// counted in the control lcore's block of the port that it came in on. While it is on the way it is "held".

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_mbuf.h>

#include "clock.h"
#include "fastpath.h"
#include "handover.h"
#include "packet_ring.h"
#include "port.h"

enum { BATCH = 32 };

// -- in ---------------------------------------------------------------------------------------------------------

static void count(struct stats_counter *counter, uint32_t bytes)
{
	fp_write(&counter->packets, counter->packets + 1);
	fp_write(&counter->bytes, counter->bytes + bytes);
}

static void count_drop(uint16_t port, enum steer_drop reason, uint32_t bytes)
{
	struct stats_port *stats = &fp.control_stats->port[port];

	count(&stats->dropped, bytes);
	fp_write(&stats->drops[reason], stats->drops[reason] + 1);
}

// A frame that is not let in counts as injected and dropped, so that nothing vanishes.
static void refuse_frame(uint16_t port, uint32_t bytes)
{
	if (port >= STEER_PORT_MAX)
		port = 0;
	count(&fp.control_stats->port[port].injected, bytes);
	count_drop(port, STEER_DROP_INJECT_REFUSED, bytes);
}

// A chain of buffers with the frame's bytes. NULL when there are not enough.
static struct rte_mbuf *make_frame(const uint8_t *bytes, uint32_t length)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(fp.pool), *last = head;

	while (head && length) {
		uint16_t part = (uint16_t)RTE_MIN(length, (uint32_t)rte_pktmbuf_tailroom(last));

		memcpy(rte_pktmbuf_mtod_offset(last, void *, last->data_len), bytes, part);
		last->data_len = (uint16_t)(last->data_len + part);
		head->pkt_len += part;
		bytes += part;
		length -= part;
		if (!length)
			break;
		last->next = rte_pktmbuf_alloc(fp.pool);
		if (!last->next) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		last = last->next;
		last->data_off = 0; // only the first one needs head room
		head->nb_segs++;
	}
	return head;
}

static int feed(struct port *port, const struct steer_packet *packet, struct rte_mbuf *m)
{
	struct fp_note *note = fp_note(m);
	struct fp_worker *worker = &fp.workers[port->index % fp.nr_workers];

	*note = (struct fp_note){
		.timestamp_ns = control.now_ns,
		.pkt_meta = packet->pkt_meta,
		.port = port->index,
		.kind = packet->kind,
	};
	if (packet->kind == STEER_PKT_INJECT && port_is_ring(port)) {
		m->port = port->dev;
		if (port_ring_feed(port, m))
			return -ENOBUFS;
	} else {
		// A full ring would take the packet from us: look first, we are the only producer.
		if (!rte_ring_free_count(worker->from_control))
			return -ENOBUFS;
		worker_feed(worker, m);
	}
	return 0;
}

// One frame. 0, or -EAGAIN when it must stay in the ring for now.
static int take(const struct steer_packet *packet, const uint8_t *frame)
{
	struct port *port = port_get(packet->port);
	struct rte_mbuf *m;

	if (!port || !packet->length || packet->kind > STEER_PKT_TRANSMIT) {
		refuse_frame(packet->port, packet->length);
		return 0;
	}
	m = make_frame(frame, packet->length);
	if (!m)
		return -EAGAIN;
	if (!feed(port, packet, m))
		return 0;
	rte_pktmbuf_free(m);
	return -EAGAIN;
}

unsigned int packets_take(struct session *session)
{
	unsigned int taken = 0;

	session->packets_blocked = false;
	while (taken < BATCH) {
		struct steer_record header;
		struct steer_packet packet;
		const void *place;
		int status = ring_front(&session->packet_in, &header, &place);

		if (!status)
			break;
		if (status > 0 && header.length >= sizeof(packet))
			memcpy(&packet, place, sizeof(packet));
		if (status < 0 || header.kind != STEER_REC_PACKET || header.length < sizeof(packet) ||
			packet.length > header.length - sizeof(packet) || packet.length > STEER_FRAME_MAX) {
			session_kill(session, "its packet ring is in an impossible state");
			break;
		}
		if (take(&packet, (const uint8_t *)place + sizeof(packet))) {
			session->packets_blocked = true;
			break;
		}
		ring_pop(&session->packet_in, &header);
		taken++;
	}
	if (taken) {
		ring_release(&session->packet_in);
		for (unsigned int i = 0; i < fp.nr_workers; i++)
			worker_wake(&fp.workers[i]);
	}
	return taken;
}

// -- out --------------------------------------------------------------------------------------------------------

static bool deliver(
	struct session *session, const struct steer_packet *head, const struct rte_mbuf *m, uint32_t length)
{
	struct steer_packet packet = *head;
	uint8_t *frame;
	void *place;

	packet.rec =
		(struct steer_record){.length = (uint32_t)sizeof(packet) + length, .kind = STEER_REC_PACKET};
	packet.length = length;
	if (ring_reserve(&session->packet_out, packet.rec.length, &place)) {
		session_count_lost(&session->packet_out);
		return false;
	}
	memcpy(place, &packet, sizeof(packet));
	frame = (uint8_t *)place + sizeof(packet);
	for (; m && length; m = m->next) {
		uint32_t part = RTE_MIN(length, (uint32_t)m->data_len);

		memcpy(frame, rte_pktmbuf_mtod(m, const void *), part);
		frame += part;
		length -= part;
	}
	ring_commit(&session->packet_out, packet.rec.length);
	session->unpublished = true;
	return true;
}

static struct steer_packet head_of(const struct fp_note *note)
{
	return (struct steer_packet){
		.timestamp_ns = note->timestamp_ns,
		.pkt_meta = note->pkt_meta,
		.port = note->port,
		.queue = note->queue,
		.kind = note->kind,
		.reason = note->reason,
		.mark = note->mark,
	};
}

static void to_software(struct rte_mbuf *m)
{
	struct fp_note *note = fp_note(m);
	struct steer_packet head = head_of(note);
	struct port *port = port_get(note->port);
	struct session *session = port ? session_find(port->owner) : NULL;
	uint16_t index = note->port < STEER_PORT_MAX ? note->port : 0;
	uint32_t length = RTE_MIN(m->pkt_len, (uint32_t)STEER_FRAME_MAX);

	if (!session || !session->attached || !session->software)
		count_drop(index, STEER_DROP_NO_RECEIVER, m->pkt_len);
	else if (deliver(session, &head, m, length))
		count(&fp.control_stats->port[index].software, m->pkt_len);
	else
		count_drop(index, STEER_DROP_SW_FULL, m->pkt_len);
	rte_pktmbuf_free(m);
}

static bool wants_capture(const struct session *session, const struct fp_note *note)
{
	const struct steer_capture *capture = &session->capture;
	unsigned int point = note->kind == STEER_PKT_CAPTURE_RX   ? STEER_CAP_RX
			     : note->kind == STEER_PKT_CAPTURE_TX ? STEER_CAP_TX
								  : STEER_CAP_DROP;

	if (!session->attached || !(capture->points & point))
		return false;
	if (capture->port != STEER_PORT_NONE && capture->port != note->port)
		return false;
	return point != STEER_CAP_DROP || !capture->drop_reasons || capture->drop_reasons >> note->reason & 1;
}

static void to_capture(struct rte_mbuf *m)
{
	const struct fp_note *note = fp_note(m);
	struct steer_packet head = head_of(note);
	struct session *session;

	head.wire_length =
		(uint16_t)RTE_MIN(note->wire_len ? note->wire_len : m->pkt_len, (uint32_t)UINT16_MAX);
	TAILQ_FOREACH (session, &sessions, all) {
		uint32_t length = RTE_MIN(m->pkt_len, (uint32_t)STEER_FRAME_MAX);

		if (!wants_capture(session, note))
			continue;
		if (session->capture.snap)
			length = RTE_MIN(length, (uint32_t)session->capture.snap);
		deliver(session, &head, m, length);
	}
	rte_pktmbuf_free(m);
}

static void to_wire(const struct port *port, struct rte_mbuf *m, uint64_t timestamp_ns)
{
	struct steer_packet head = {
		.timestamp_ns = timestamp_ns, .port = port->index, .kind = STEER_PKT_WIRE};
	struct session *session;

	TAILQ_FOREACH (session, &sessions, all)
		if (session->attached && session->wire_ports >> port->index & 1)
			deliver(session, &head, m, RTE_MIN(m->pkt_len, (uint32_t)STEER_FRAME_MAX));
	rte_pktmbuf_free(m);
}

static unsigned int drain_wires(void)
{
	struct rte_mbuf *packets[BATCH];
	unsigned int work = 0;

	for (uint16_t i = 0; i < STEER_PORT_MAX; i++) {
		struct port *port = port_get(i);
		unsigned int got = port && port_is_ring(port) ? port_ring_drain(port, packets, BATCH) : 0;
		uint64_t now_ns = got ? clock_wall_ns() : 0;

		for (unsigned int k = 0; k < got; k++)
			to_wire(port, packets[k], now_ns);
		work += got;
	}
	return work;
}

static void publish_all(void)
{
	struct session *session;

	TAILQ_FOREACH (session, &sessions, all) {
		if (!session->unpublished || !session->attached)
			continue;
		session->unpublished = false;
		session_publish(session, &session->packet_out);
	}
}

unsigned int packets_turn(void)
{
	struct rte_mbuf *packets[BATCH];
	unsigned int work = 0, held = 0;

	for (unsigned int w = 0; w < fp.nr_workers; w++) {
		struct fp_worker *worker = &fp.workers[w];
		unsigned int got = rte_ring_dequeue_burst(worker->to_software, (void **)packets, BATCH, NULL);

		for (unsigned int i = 0; i < got; i++)
			to_software(packets[i]);
		work += got;
		got = rte_ring_dequeue_burst(worker->to_capture, (void **)packets, BATCH, NULL);
		for (unsigned int i = 0; i < got; i++)
			to_capture(packets[i]);
		work += got;
		held += rte_ring_count(worker->to_software) + (unsigned int)handover_held(worker);
	}
	work += drain_wires();
	if (work)
		publish_all();
	fp_write(&fp.control_stats->held, held);
	return work;
}

bool packets_pending(void)
{
	for (unsigned int w = 0; w < fp.nr_workers; w++)
		if (!rte_ring_empty(fp.workers[w].to_software) || !rte_ring_empty(fp.workers[w].to_capture))
			return true;
	for (uint16_t i = 0; i < STEER_PORT_MAX; i++) {
		struct port *port = port_get(i);

		if (port && port_is_ring(port) && port_ring_pending(port))
			return true;
	}
	return false;
}

// -- who wants what ---------------------------------------------------------------------------------------------

int packets_receive(struct session *session, const struct steer_receive *receive, char why[CONFIG_WHY_MAX])
{
	uint64_t ports = UINT64_MAX;
	struct port *port;

	if (receive->port != STEER_PORT_NONE) {
		port = port_get(receive->port);
		if (!port) {
			snprintf(why, CONFIG_WHY_MAX, "there is no port %u", receive->port);
			return -ENOENT;
		}
		if (receive->flags & STEER_RECV_WIRE && !port_is_ring(port)) {
			snprintf(why, CONFIG_WHY_MAX, "port %s is no ring port: its wire is not here",
				port->spec.name);
			return -EINVAL;
		}
		ports = 1ull << receive->port;
	}
	session->software = receive->flags & STEER_RECV_SOFTWARE;
	if (receive->flags & STEER_RECV_WIRE)
		session->wire_ports |= ports;
	else
		session->wire_ports &= ~ports;
	return 0;
}

void packets_refresh_captures(void)
{
	for (uint16_t i = 0; i < STEER_PORT_MAX; i++) {
		struct fp_port *shown = &fp.ports[i];
		uint64_t reasons = 0;
		uint8_t points = 0;
		uint16_t snap = 1;
		struct session *session;

		TAILQ_FOREACH (session, &sessions, all) {
			const struct steer_capture *capture = &session->capture;

			if (!capture->points || (capture->port != STEER_PORT_NONE && capture->port != i))
				continue;
			points |= (uint8_t)capture->points;
			snap = !snap || !capture->snap ? 0 : RTE_MAX(snap, capture->snap);
			if (capture->points & STEER_CAP_DROP)
				reasons |= capture->drop_reasons ? capture->drop_reasons : UINT64_MAX;
		}
		fp_write(&shown->capture_snap, points ? snap : 0);
		fp_write(&shown->capture_drops, reasons == UINT64_MAX ? 0 : reasons);
		fp_publish(&shown->capture, points);
	}
}

int packets_capture(struct session *session, const struct steer_capture *capture, char why[CONFIG_WHY_MAX])
{
	if (capture->points & ~(STEER_CAP_RX | STEER_CAP_TX | STEER_CAP_DROP)) {
		snprintf(why, CONFIG_WHY_MAX, "capture points 0x%x are none", capture->points);
		return -EINVAL;
	}
	if (capture->points && capture->port != STEER_PORT_NONE && !port_get(capture->port)) {
		snprintf(why, CONFIG_WHY_MAX, "there is no port %u", capture->port);
		return -ENOENT;
	}
	session->capture = *capture;
	packets_refresh_captures();
	return 0;
}

void packets_forget(struct session *session)
{
	session->software = session->unpublished = session->packets_blocked = false;
	session->wire_ports = 0;
	if (!session->capture.points)
		return;
	session->capture = (struct steer_capture){.points = 0};
	packets_refresh_captures();
}
