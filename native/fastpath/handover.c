// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <stdio.h>

#include "handover.h"

#include "ct.h"

int handover_init(struct fp_worker *w)
{
	for (unsigned int i = 0; i < fp.nr_workers; i++) {
		char name[RTE_RING_NAMESIZE];

		if (i == w->index)
			continue;
		snprintf(name, sizeof(name), "w%u_from_w%u", w->index, i);
		w->from_worker[i] =
			rte_ring_create(name, FP_RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (!w->from_worker[i])
			return -ENOMEM;
	}
	return 0;
}

void handover_fini(struct fp_worker *w)
{
	for (unsigned int i = 0; i < STEER_WORKER_MAX; i++) {
		ring_drain(w->from_worker[i]);
		w->from_worker[i] = NULL;
	}
}

// One burst for one owner. Returns how many of it found room.
static unsigned int give(struct fp_worker *w, unsigned int owner, struct packet **packets, unsigned int n)
{
	struct rte_mbuf *burst[FP_BURST];
	unsigned int given;

	for (unsigned int i = 0; i < n; i++) {
		burst[i] = packets[i]->m;
		*fp_note(burst[i]) =
			(struct fp_note){.port = packets[i]->in_port, .pkt_meta = packets[i]->meta.pkt_meta};
	}
	given = rte_ring_sp_enqueue_burst(
		fp.workers[owner].from_worker[w->index], (void *const *)burst, n, NULL);
	for (unsigned int i = 0; i < given; i++)
		walker_put(w->walker, packets[i]);
	w->gave |= 1u << owner;
	return given;
}

unsigned int handover_away(struct fp_worker *w, struct packet **packets, unsigned int n)
{
	const struct ct *ct = fp_read_acquire(&ct_present);
	struct packet *away[FP_BURST], *stay[FP_BURST];
	uint8_t owner[FP_BURST];
	unsigned int kept = 0;

	if (!ct || !n || !ct_concerns(ct, packets[0]->in_port))
		return n;
	for (unsigned int i = 0; i < n; i++) {
		owner[i] = (uint8_t)w->index;
		if (packets[i]->verdict == PACKET_WALKING &&
			packets[i]->meta.layer[0].l3_type != L3_META_NONE)
			owner[i] = (uint8_t)ct_owner(packets[i]);
		if (owner[i] == w->index)
			stay[kept++] = packets[i];
	}
	if (kept == n)
		return n;
	for (unsigned int o = 0; o < fp.nr_workers; o++) {
		unsigned int nr = 0;

		for (unsigned int i = 0; i < n && o != w->index; i++)
			if (owner[i] == o)
				away[nr++] = packets[i];
		for (unsigned int i = nr ? give(w, o, away, nr) : 0; i < nr; i++) {
			packet_drop(away[i], STEER_DROP_HANDOVER_FULL);
			stay[kept++] = away[i];
		}
	}
	for (unsigned int i = 0; i < kept; i++)
		packets[i] = stay[i];
	return kept;
}

void handover_wake(struct fp_worker *w)
{
	for (unsigned int o = 0; w->gave; o++, w->gave >>= 1)
		if (w->gave & 1)
			worker_wake(&fp.workers[o]);
}

unsigned int handover_take(struct fp_worker *w, unsigned int from, struct rte_mbuf **burst, unsigned int max)
{
	unsigned int n = rte_ring_sc_dequeue_burst(w->from_worker[from], (void **)burst, max, NULL);

	fp_write(&w->stats->ct.handed_over, w->stats->ct.handed_over + n);
	return n;
}

uint64_t handover_held(const struct fp_worker *w)
{
	uint64_t held = 0;

	for (unsigned int i = 0; i < fp.nr_workers; i++)
		held += i == w->index ? 0 : rte_ring_count(w->from_worker[i]);
	return held;
}
