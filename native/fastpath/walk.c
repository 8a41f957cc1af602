// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "ct.h"
#include "walk.h"
#include "walk_core.h"

struct walker *walker_create(void)
{
	struct walker *w = table_alloc(sizeof(*w));

	if (!w)
		return NULL;
	for (unsigned int i = 0; i < WALK_CONTEXTS; i++) {
		packet_init(&w->contexts[i]);
		// The first context is given out first.
		w->free[WALK_CONTEXTS - 1 - i] = &w->contexts[i];
	}
	w->nr_free = WALK_CONTEXTS;
	w->random = rte_rdtsc() * 2654435761u | 1;
	w->live = true;
	return w;
}

void walker_destroy(struct walker *w)
{
	if (w)
		flow_cache_destroy(w->cache);
	free(w);
}

void walk_begin(struct walker *w, uint64_t tsc)
{
	ct_begin(w);
	w->revision = fp_read_acquire(&fp.revision);
	if (w->cache) {
		w->cache->burst++;
		w->cache->now_ms = w->now_ns / 1000000;
	}
	w->tsc = tsc;
}

// What all packets of a burst have in common.
struct entrance {
	struct pipe *root; // NULL: the port has no pipeline
	uint16_t port;
	uint16_t doca_port_id;
};

static inline struct entrance entrance_of(const struct walker *w, uint16_t port)
{
	const struct fp_port *in = &fp.ports[port];
	bool started = fp_read(&in->started);

	return (struct entrance){
		.root = started ? root_visible(fp_read(&in->root_port), STEER_DOMAIN_DEFAULT, w->revision)
				: NULL,
		.port = port,
		.doca_port_id = fp_read(&in->doca_port_id),
	};
}

static inline bool enter(struct packet *p, struct rte_mbuf *m, const struct entrance *entrance)
{
	packet_begin(p, entrance->port);
	p->m = m;
	p->pipe = entrance->root;
	packet_load(p, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_data_len(m), rte_pktmbuf_pkt_len(m));
	packet_meta_reset(p, entrance->doca_port_id);
	if (unlikely(packet_parse(p))) {
		packet_drop(p, STEER_DROP_MALFORMED);
		return false;
	}
	if (unlikely(!p->pipe)) {
		packet_drop(p, STEER_DROP_NO_PIPELINE);
		return false;
	}
	return true;
}

bool walk_enter(struct walker *w, struct packet *p, struct rte_mbuf *m, uint16_t port)
{
	struct entrance entrance = entrance_of(w, port);

	return enter(p, m, &entrance);
}

void walk_enter_burst(
	struct walker *w, struct packet **packets, struct rte_mbuf **burst, unsigned int n, uint16_t port)
{
	struct entrance entrance = entrance_of(w, port);

	for (unsigned int i = 0; i < n; i++) {
		packets[i] = walker_get(w);
		enter(packets[i], burst[i], &entrance);
	}
}

void walk_run(struct walker *w, struct packet **packets, unsigned int n)
{
	walk_core(w, packets, n, true);
}

// The frame begins elsewhere: what stood in front of it, or was put there, is not found again.
static void moved(struct packet *p)
{
	p->encap = p->encap ? PACKET_HEADER_LOST : 0;
	p->decap = p->decap ? PACKET_HEADER_LOST : 0;
	p->stale = true;
}

bool packet_push(struct packet *p, unsigned int bytes)
{
	struct rte_mbuf *m = p->m;

	if (unlikely(rte_pktmbuf_headroom(m) < bytes)) {
		unsigned int room = rte_pktmbuf_tailroom(m);

		if (room < bytes)
			return false;
		// No head room left: use some of the room behind the first segment's data.
		memmove((uint8_t *)m->buf_addr + m->data_off + room, rte_pktmbuf_mtod(m, void *),
			m->data_len);
		m->data_off = (uint16_t)(m->data_off + room);
	}
	if (unlikely(m->pkt_len + bytes > STEER_FRAME_MAX))
		return false;
	rte_pktmbuf_prepend(m, (uint16_t)bytes);
	packet_load(p, rte_pktmbuf_mtod(m, void *), m->data_len, m->pkt_len);
	moved(p);
	return true;
}

bool packet_pull(struct packet *p, unsigned int bytes)
{
	struct rte_mbuf *m = p->m;

	if (unlikely(!rte_pktmbuf_adj(m, (uint16_t)bytes)))
		return false;
	packet_load(p, rte_pktmbuf_mtod(m, void *), m->data_len, m->pkt_len);
	moved(p);
	return true;
}

struct rte_mbuf *frame_to_mbuf(struct rte_mempool *pool, const void *frame, uint32_t length)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(pool), *tail = head;
	const uint8_t *from = frame;

	while (tail) {
		uint32_t take = rte_pktmbuf_tailroom(tail);

		take = take < length ? take : length;
		memcpy(rte_pktmbuf_mtod(tail, void *), from, take);
		tail->data_len = (uint16_t)take;
		head->pkt_len += take;
		from += take;
		length -= take;
		if (!length)
			return head;
		tail->next = rte_pktmbuf_alloc(pool);
		if (!tail->next) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		tail = tail->next;
		tail->data_off = 0;
		head->nb_segs++;
	}
	return NULL;
}

// A context and deep copy of p for one more entry; NULL (and counted by the caller) when there is no buffer.
static struct packet *copy_of(struct walker *w, const struct packet *p)
{
	struct packet *q = walker_get(w);
	struct rte_mbuf *m;

	if (!q)
		return NULL;
	m = rte_pktmbuf_copy(p->m, p->m->pool, 0, UINT32_MAX);
	if (!m) {
		walker_put(w, q);
		return NULL;
	}
	packet_begin(q, p->in_port);
	q->m = m;
	q->meta = p->meta;
	// Before its frame is parsed: actions may have changed it.
	q->sender_kept = p->sender_kept;
	memcpy(q->sender, p->sender, sizeof(q->sender));
	packet_load(q, rte_pktmbuf_mtod(m, void *), m->data_len, m->pkt_len);
	packet_parse(q);
	q->pipe = p->pipe;
	q->root = p->root;
	q->out_port = p->out_port;
	q->domain = p->domain;
	q->algorithm = p->algorithm;
	q->depth = p->depth;
	q->index = p->index;
	q->tag = p->tag;
	q->encap = p->encap;
	q->decap = p->decap ? PACKET_HEADER_LOST : 0;
	// What the first fragment said of this one holds for the copy too.
	q->frag_protocol = p->frag_protocol;
	q->frag_icmp_type = p->frag_icmp_type;
	memcpy(q->frag_port, p->frag_port, sizeof(q->frag_port));
	return q;
}

unsigned int walk_flood(struct walker *w, struct packet *p, struct packet **copies, unsigned int room)
{
	struct packet *root = p->root;
	struct entry *e;
	uint32_t index = 0;
	unsigned int made = 0;

	p->hit = hash_next(p->pipe, w->revision, &index);
	if (!p->hit)
		return 0;
	while ((e = hash_next(p->pipe, w->revision, &index))) {
		struct packet *q = made < room ? copy_of(w, p) : NULL;

		if (w->live) {
			// A copy that cannot be made is a copy that was dropped.
			fp_write(&w->stats->copies, w->stats->copies + 1);
			if (!q) {
				struct stats_port *port = &w->stats->port[p->in_port];

				fp_write(&port->dropped.packets, port->dropped.packets + 1);
				fp_write(&port->dropped.bytes, port->dropped.bytes + p->frame_len);
				fp_write(&port->drops[STEER_DROP_NO_MBUF],
					port->drops[STEER_DROP_NO_MBUF] + 1);
			}
		}
		if (!q)
			continue;
		q->hit = e;
		q->copy = ++root->nr_copies;
		if (root->last_copy)
			root->last_copy->next_copy = q;
		else
			root->copies = q;
		root->last_copy = q;
		copies[made++] = q;
	}
	return made;
}
