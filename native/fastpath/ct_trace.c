// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The CT pipe in a trace: what would happen, told from a copy of the connection, without side effects. What is decided is
// decided in ct_rules.c, for packets and traces alike.

#include "ct_private.h"

// Of the control thread only.
static struct ct_scratch scratch[2];
static struct ct_conn adopting[2];

static void allowed(const struct ct *ct, struct packet *p)
{
	p->verdict = PACKET_WALKING;
	p->reason = STEER_DROP_NONE;
	p->pipe = ct->pipe->fwd.pipe;
	p->algorithm = STEER_HASH_DEFAULT;
}

static void drop(struct walker *w, struct packet *p, uint8_t result, uint64_t tag, enum steer_drop why)
{
	record_ct(w, result, tag);
	packet_drop(p, why);
}

// A connection that the policy allows is opened, if there is room.
static void opens(struct walker *w, const struct ct *ct, struct packet *p, const struct ct_verdict *v,
	bool half_open, bool full)
{
	enum steer_drop why = ct_refuses(ct, ct_ms(ct, w->tsc), v->src_identity, half_open, full);

	if (why)
		packet_drop(p, why);
	else
		allowed(ct, p);
}

// The policy stage looks at the packet itself. False: it does not allow it, and its verdict stands.
static bool asked(struct walker *w, const struct ct *ct, struct packet *p, struct ct_verdict *v)
{
	ct_policy_walk(w, ct, &p, 1, false);
	ct_verdict_of(ct, p, v);
	if (v->verdict == PACKET_DROP)
		packet_drop(p, v->drop);
	return v->allowed;
}

static void adopts(struct walker *w, const struct ct *ct, struct packet *p, const struct ct_question *q)
{
	struct ct_adoption a;

	ct_adoption_ask(w, ct, scratch, adopting, p, &q->key, q->from_high, &a);
	if (a.allowed)
		opens(w, ct, p, &a.verdict[a.reversed], false, q->full);
	else
		packet_drop(
			p, a.verdict[0].verdict == PACKET_DROP ? a.verdict[0].drop : STEER_DROP_CT_INVALID);
}

static void without(struct walker *w, const struct ct *ct, struct packet *p, const struct ct_question *q,
	enum ct_step step)
{
	struct ct_verdict v;

	switch (step) {
	case CT_STEP_NEW:
		record_ct(w, STEER_TRACE_CT_NEW, 0);
		if (asked(w, ct, p, &v))
			opens(w, ct, p, &v, ct_key_protocol(&q->key) == IPPROTO_TCP, q->full);
		break;
	case CT_STEP_ADOPT:
		record_ct(w, STEER_TRACE_CT_NEW, 0);
		adopts(w, ct, p, q);
		break;
	case CT_STEP_INVALID:
		record_ct(w, STEER_TRACE_CT_INVALID, 0);
		if (!(ct->cfg.flags & STEER_CT_PASS_INVALID))
			packet_drop(p, STEER_DROP_CT_INVALID);
		else if (asked(w, ct, p, &v))
			allowed(ct, p);
		break;
	case CT_STEP_DENIED:
		drop(w, p, STEER_TRACE_CT_DENIED, q->conn.tag, q->conn.drop);
		break;
	case CT_STEP_MALFORMED:
		drop(w, p, STEER_TRACE_CT_INVALID, 0, STEER_DROP_MALFORMED);
		break;
	default:
		drop(w, p, STEER_TRACE_CT_INVALID, 0, STEER_DROP_CT_UNTRACKABLE);
		break;
	}
}

// Gives false when the packet opens the tuple anew.
static bool tracked(struct walker *w, const struct ct *ct, struct packet *p, struct ct_question *q)
{
	enum ct_tcp_result result = CT_TCP_PASS;
	struct ct_segment segment;

	if (packet_has(p, REGION_TCP)) {
		unsigned int direction = ct_direction(&q->conn, q->from_high);

		ct_segment_read(p, &segment);
		result = ct_tcp_track(&q->conn, direction, &segment);
		if (result == CT_TCP_INVALID &&
			ct_rejoins(ct, ct_ms(ct, w->tsc), p, &q->key, direction, &segment, &q->conn))
			result = CT_TCP_PASS;
	}
	if (result == CT_TCP_REOPEN)
		return false;
	if (result == CT_TCP_INVALID && !(ct->cfg.flags & STEER_CT_PASS_INVALID))
		drop(w, p, STEER_TRACE_CT_INVALID, q->conn.tag, STEER_DROP_CT_INVALID);
	else
		allowed(ct, p);
	return true;
}

static void of_connection(
	struct walker *w, struct ct *ct, struct packet *p, struct ct_question *q, bool error)
{
	struct ct_conn *c = &q->conn;
	const struct ct_conn *judged = c;
	struct ct_verdict v = {.allowed = true};

	record_ct(w, error ? STEER_TRACE_CT_RELATED : STEER_TRACE_CT_ESTABLISHED, c->tag);
	if (c->epoch != w->ct_epoch && ct_stale(ct, c, w->ct_epoch)) {
		record_ct(w, STEER_TRACE_CT_JUDGED, c->tag);
		ct_judge(w, ct, scratch, &judged, 1, &v);
	}
	if (!v.allowed)
		packet_drop(p, v.drop ? v.drop : STEER_DROP_POLICY);
	else if (!error && !tracked(w, ct, p, q))
		without(w, ct, p, q, ct_step_without(ct, ct_ms(ct, w->tsc), p, &q->key, q->from_high));
	else if (error && !ct_error_is_heard(ct, p, c, q->from_high))
		drop(w, p, STEER_TRACE_CT_INVALID, c->tag, STEER_DROP_CT_UNTRACKABLE);
	else if (error)
		allowed(ct, p);
}

static void one(struct walker *w, struct ct *ct, struct packet *p)
{
	struct ct_question q = {.op = CT_MAIL_FIND};
	enum ct_kind kind = ct_key_of(ct, p, &q.key, &q.from_high);
	enum ct_step step;

	record_hop(w, p, ct->pipe, NULL);
	if (kind <= CT_KIND_ERROR && ct_ask(ct, ct_owner(p), &q)) {
		drop(w, p, STEER_TRACE_CT_INVALID, 0, STEER_DROP_CT_UNTRACKABLE);
		return;
	}
	step = ct_step_of(
		ct, ct_ms(ct, w->tsc), w->ct_epoch, kind, p, &q.key, q.from_high, q.number ? &q.conn : NULL);
	if (step == CT_STEP_CONNECTION || step == CT_STEP_RELATED)
		of_connection(w, ct, p, &q, step == CT_STEP_RELATED);
	else
		without(w, ct, p, &q, step);
}

void ct_trace(struct walker *w, struct ct *ct, struct packet **batch, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		one(w, ct, batch[i]);
		if (batch[i]->verdict == PACKET_WALKING)
			record_after(w, batch[i], &ct->pipe->fwd);
	}
}
