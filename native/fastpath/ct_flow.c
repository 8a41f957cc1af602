// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Connections and the flow cache: who of a burst needs not walk to the CT pipe, and who not behind it.

#include <string.h>

#include "ct_private.h"
#include "flow_cache.h"

void ct_ahead(struct walker *w, struct packet **packets, unsigned int n)
{
	struct ct *ct = fp_read_acquire(&ct_present);
	struct flow_cache *cache = w->cache;
	struct ct_worker *cw;
	struct ct_table *t;

	if (!ct || n > FP_LOOKUP)
		return;
	cw = &ct->worker[w->worker];
	t = &cw->table;
	cw->ahead_serial = t->serial;
	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = packets[i];
		struct ct_look *k = &cw->ahead[i];
		unsigned int from_high = 0;
		enum ct_kind kind;

		if (unlikely(p->verdict != PACKET_WALKING || !flow_plain(p)))
			continue;
		p->plain = true;
		kind = ct_key_in(*flow_zone(cache, p), p, &k->key, &from_high);
		ct_look_begin(k, kind, from_high);
		if (unlikely(kind != CT_KIND_TRACKED))
			continue;
		ct_look_hash(t, k);
		p->look = (uint8_t)(i + 1);
	}
	for (unsigned int i = 0; i < n; i++)
		if (packets[i]->look)
			ct_look_guess(t, &cw->ahead[i]);
	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = packets[i];
		struct ct_look *k = &cw->ahead[i];
		const struct ct_conn *c;

		if (!p->look || !k->number)
			continue;
		ct_look_confirm(t, k);
		if (!k->number || ct_is_denial(t, k->number))
			continue;
		c = ct_conn(t, k->number);
		if (likely(c->recorded_in == cache->generation))
			p->recorded = c->flow[ct_direction(c, k->from_high)].recorded;
		p->wants = !p->recorded;
		if (p->recorded)
			rte_prefetch0(&cache->walks[cache->pairs[p->recorded - 1].before - 1]);
	}
}

struct ct_conn *ct_asking(const struct walker *w, const struct packet *p)
{
	struct ct *ct = w->ct; // that of the batch: there may be another one since
	struct ct_conn *c;

	if (!ct || !p->asking.number)
		return NULL;
	c = ct_conn(&ct->worker[w->worker].table, p->asking.number);
	return c->bits & CT_USED && c->id == p->asking.id ? c : NULL;
}

// The walk behind the pipe is repeated if it is recorded and holds; else the packet starts there, and its connection asks for
// what is found, if its walk up to here fits connections.
void ct_behind(struct walker *w, const struct ct *ct, struct packet *p, const struct ct_look *k,
	const struct ct_conn *c, unsigned int direction)
{
	struct flow_cache *cache = w->cache;

	if (likely(k->recorded)) {
		const struct flow_pair *pair = &cache->pairs[k->recorded - 1];
		const struct flow_walk *walk;

		// What is behind does not fit connections.
		if (!pair->behind)
			return;
		walk = flow_known(cache, pair->behind, pair->behind_serial);
		if (likely(walk != NULL) && likely(flow_holds(w, cache, walk)) &&
			likely(flow_fits(walk, p))) {
			p->recorded = k->recorded;
			return;
		}
		p->wants = true;
		p->before = pair->before;
		p->before_serial = pair->before_serial;
	} else if (!p->wants) {
		return;
	}
	p->asking.id = c->id;
	p->asking.number = (uint32_t)(c - ct->worker[w->worker].table.conn) + 1;
	p->asking.direction = (uint8_t)direction;
}
