// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The CT pipe in a trace: what would happen, told from a copy of the connection, without side effects.

#include <netinet/in.h>

#include "ct_private.h"

static struct ct_scratch scratch; // control thread only

static void allowed(const struct ct *ct, struct packet *p)
{
	p->verdict = PACKET_WALKING;
	p->pipe = ct->pipe->fwd.pipe;
	p->algorithm = STEER_HASH_DEFAULT;
}

static void decide(const struct ct *ct, struct packet *p, const struct ct_verdict *v)
{
	if (v->allowed)
		allowed(ct, p);
	else if (v->verdict == PACKET_DROP || p->verdict == PACKET_ALLOWED)
		packet_drop(p, v->drop ? v->drop : STEER_DROP_POLICY);
}

static void stateless(struct walker *w, const struct ct *ct, struct packet *p, uint8_t result, bool ask)
{
	struct ct_verdict v;

	record_ct(w, result, 0);
	if (!ask)
		return;
	ct_policy_walk(w, ct, &p, 1, false);
	ct_verdict_of(ct, p, &v);
	decide(ct, p, &v);
}

static void no_connection(
	struct walker *w, const struct ct *ct, struct packet *p, const struct ct_question *q)
{
	uint8_t protocol = ct_key_protocol(&q->key);
	bool pass = ct->cfg.flags & STEER_CT_PASS_INVALID;
	struct ct_segment segment;

	if (protocol == IPPROTO_TCP && packet_has(p, REGION_TCP)) {
		ct_segment_read(p, &segment);
		if (!ct_tcp_opens(&segment)) {
			packet_drop(p, STEER_DROP_CT_INVALID);
			if (pass)
				p->verdict = PACKET_WALKING;
			stateless(w, ct, p, STEER_TRACE_CT_INVALID, pass);
			return;
		}
	} else if (!p->layer[0].first) {
		packet_drop(p, STEER_DROP_CT_UNTRACKABLE);
		stateless(w, ct, p, STEER_TRACE_CT_INVALID, false);
		return;
	}
	stateless(w, ct, p, STEER_TRACE_CT_NEW, true);
}

// False: what comes is as without a connection.
static bool connection(struct walker *w, struct ct *ct, struct packet *p, struct ct_question *q, bool error)
{
	struct ct_conn *c = &q->conn;
	const struct ct_conn *asked = c;
	struct ct_segment segment;
	struct ct_verdict v;

	if (c->epoch != w->ct_epoch && ct_stale(ct, c, w->ct_epoch)) {
		record_ct(w, STEER_TRACE_CT_JUDGED, c->tag);
		ct_judge(w, ct, &scratch, &asked, 1, &v);
		if (!v.allowed) {
			packet_drop(p, v.drop ? v.drop : STEER_DROP_POLICY);
			return true;
		}
	} else {
		record_ct(w, error ? STEER_TRACE_CT_RELATED : STEER_TRACE_CT_ESTABLISHED, c->tag);
	}
	if (!error && packet_has(p, REGION_TCP)) {
		enum ct_tcp_result result;

		ct_segment_read(p, &segment);
		result = ct_tcp_track(c, ct_direction(c, q->from_high), &segment);
		if (result == CT_TCP_REOPEN)
			return false;
		if (result == CT_TCP_INVALID && !(ct->cfg.flags & STEER_CT_PASS_INVALID)) {
			record_ct(w, STEER_TRACE_CT_INVALID, c->tag);
			packet_drop(p, STEER_DROP_CT_INVALID);
			return true;
		}
	}
	allowed(ct, p);
	record_after(w, p, &ct->pipe->fwd);
	return true;
}

static void one(struct walker *w, struct ct *ct, struct packet *p)
{
	struct ct_question q = {.op = CT_MAIL_FIND};
	enum ct_kind kind = ct_key_of(ct, p, &q.key, &q.from_high);
	bool error = kind == CT_KIND_ERROR;

	record_hop(w, p, ct->pipe, NULL);
	if (kind > CT_KIND_ERROR || ct_ask(ct, ct_owner(p), &q)) {
		record_ct(w, STEER_TRACE_CT_INVALID, 0);
		packet_drop(p, kind == CT_KIND_MALFORMED ? STEER_DROP_MALFORMED : STEER_DROP_CT_UNTRACKABLE);
		return;
	}
	if (q.number && ct_key_mark(&q.conn.key) != CT_MARK_CONNECTION) {
		bool stale = q.conn.epoch != w->ct_epoch && ct_stale(ct, &q.conn, w->ct_epoch);

		if (!stale && !error) {
			record_ct(w, STEER_TRACE_CT_DENIED, q.conn.tag);
			packet_drop(p, q.conn.drop);
			return;
		}
		q.number = 0;
	}
	if (q.number && connection(w, ct, p, &q, error))
		return;
	if (error) {
		record_ct(w, STEER_TRACE_CT_INVALID, 0);
		packet_drop(p, STEER_DROP_CT_UNTRACKABLE);
		return;
	}
	no_connection(w, ct, p, &q);
}

void ct_trace(struct walker *w, struct ct *ct, struct packet **batch, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		one(w, ct, batch[i]);
}
