// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "ct_private.h"
#include "fragments.h"

int fragments_init(struct fp_worker *w)
{
	w->fragments = calloc(1, sizeof(*w->fragments));
	if (w->fragments)
		w->fragments->table = frag_table_create(rte_get_tsc_hz());
	return w->fragments && w->fragments->table ? 0 : -ENOMEM;
}

void fragments_fini(struct fp_worker *w)
{
	struct frag_back back;

	if (!w->fragments)
		return;
	if (w->fragments->table) {
		frag_flush(w->fragments->table);
		while (frag_back(w->fragments->table, &back))
			rte_pktmbuf_free(back.held);
		frag_table_destroy(w->fragments->table);
	}
	free(w->fragments);
	w->fragments = NULL;
}

// Counts what the worker holds, where conservation and connections are counted.
static void count(struct fp_worker *w)
{
	uint32_t held = frag_held(w->fragments->table);

	fp_write(&w->stats->held, held);
	fp_write(&w->stats->ct.fragments, held);
}

// This worker's share of what all may hold. Not per packet: it divides.
static uint32_t most_held(struct fragments *f, const struct ct *ct)
{
	uint32_t all = ct->cfg.max_fragments ? ct->cfg.max_fragments : FRAG_HELD_DEFAULT;

	if (f->all != all) {
		f->all = all;
		f->most = (all + fp.nr_workers - 1u) / fp.nr_workers;
	}
	return f->most;
}

unsigned int fragments_filter(struct fp_worker *w, struct packet **packets, unsigned int n)
{
	const struct ct *ct = fp_read_acquire(&ct_present);
	unsigned int left = 0;
	bool any = false;

	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = packets[i];

		if (unlikely(frag_is(p)) && p->verdict == PACKET_WALKING && ct &&
			ct_concerns(ct, p->in_port)) {
			any = true;
			*fp_note(p->m) = (struct fp_note){.port = p->in_port, .pkt_meta = p->meta.pkt_meta};
			if (frag_judge(w->fragments->table, p, p->m, most_held(w->fragments, ct),
				    w->walker->tsc) == FRAG_HELD) {
				walker_put(w->walker, p);
				continue;
			}
		}
		packets[left++] = p;
	}
	if (unlikely(any))
		count(w);
	return left;
}

unsigned int fragments_take(struct fp_worker *w, struct packet **packets, unsigned int n)
{
	struct frag_back back;
	unsigned int taken = 0;

	while (taken < n && frag_back(w->fragments->table, &back)) {
		struct packet *p = packets[taken++] = walker_get(w->walker);

		walk_enter(w->walker, p, back.held, back.in_port);
		if (back.reason)
			packet_drop(p, back.reason);
		p->meta.pkt_meta = fp_note(p->m)->pkt_meta;
		p->frag_protocol = back.protocol;
		p->frag_icmp_type = back.icmp_type;
		memcpy(p->frag_port, back.port, sizeof(p->frag_port));
	}
	if (unlikely(taken))
		count(w);
	return taken;
}

bool fragments_sweep(struct fp_worker *w, uint64_t tsc)
{
	struct frag_table *t = w->fragments->table;

	if (likely(!frag_datagrams(t)))
		return false;
	if (likely(fp_read(&ct_present)))
		frag_sweep(t, tsc);
	else
		frag_flush(t);
	return frag_held(t);
}
