// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The life of a connection beyond its packets: time-outs, limits, age of its judgement, the end.

#include <netinet/in.h>
#include <string.h>

#include "ct_private.h"

// --- Time -----------------------------------------------------------------------------------------------------------

static enum steer_ct_timer timer_of(const struct ct_conn *c)
{
	uint8_t protocol = ct_key_protocol(&c->key);

	if (ct_key_mark(&c->key) != CT_MARK_CONNECTION)
		return protocol == IPPROTO_TCP ? STEER_CT_TIMER_DENIED_TCP : STEER_CT_TIMER_DENIED_OTHER;
	switch (protocol) {
	case IPPROTO_TCP:
		return ct_tcp_timer(c->state);
	case IPPROTO_UDP:
		return STEER_CT_TIMER_UDP;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return STEER_CT_TIMER_ICMP;
	default:
		return STEER_CT_TIMER_OTHER;
	}
}

uint32_t ct_timeout(const struct ct *ct, const struct ct_conn *c)
{
	return ct->timeout_ms[timer_of(c)];
}

void ct_rearm(struct ct_worker *cw, uint32_t number)
{
	struct ct_conn *c = ct_conn(&cw->table, number);
	uint32_t now = (uint32_t)cw->now_ms, interval = cw->ct->cfg.record_interval_ms;
	uint32_t seen = now - c->seen_ms, told = now - c->told_ms, timeout = ct_timeout(cw->ct, c);
	uint32_t next = CT_VISIT_MS;

	if (interval)
		next = RTE_MIN(next, told < interval ? interval - told : 0);
	next = RTE_MIN(next, seen < timeout ? timeout - seen : 0);
	ct_wheel_disarm(&cw->table, number);
	// A tick more: not before its time.
	ct_wheel_arm(&cw->table, number, (uint32_t)((cw->now_ms + next) >> CT_TICK_SHIFT) + 1);
}

// --- Limits ---------------------------------------------------------------------------------------------------------

static inline uint32_t present_second(uint64_t now_ms)
{
	return (uint32_t)(now_ms / 1000) + 1;
}

static bool too_fast(const struct ct_limit *limit, uint32_t most, uint32_t second)
{
	return most && fp_read(&limit->second) == second && fp_read(&limit->fresh) >= most;
}

static void opened_now(struct ct_limit *limit, uint32_t second)
{
	if (fp_read(&limit->second) != second) {
		fp_write(&limit->fresh, 0);
		fp_write(&limit->second, second);
	}
	__atomic_fetch_add(&limit->fresh, 1, __ATOMIC_RELAXED);
}

enum steer_drop ct_limit_check(const struct ct *ct, uint64_t now_ms, uint32_t identity, bool half_open)
{
	const struct steer_ct_cfg *cfg = &ct->cfg;
	const struct ct_limit *id = ct->ids ? &ct->ids[ct_id_slot(identity)] : NULL;
	uint32_t second = present_second(now_ms);

	if (id) {
		if (cfg->id_max_connections && fp_read(&id->connections) >= cfg->id_max_connections)
			return STEER_DROP_CT_ID_LIMIT;
		if (half_open && cfg->id_max_half_open && fp_read(&id->half_open) >= cfg->id_max_half_open)
			return STEER_DROP_CT_ID_LIMIT;
		if (too_fast(id, cfg->id_max_new_per_second, second))
			return STEER_DROP_CT_ID_LIMIT;
	}
	if (half_open && cfg->max_half_open && fp_read(&ct->all.half_open) >= cfg->max_half_open)
		return STEER_DROP_CT_LIMIT;
	if (too_fast(&ct->all, cfg->max_new_per_second, second))
		return STEER_DROP_CT_LIMIT;
	return STEER_DROP_NONE;
}

void ct_limit_take(struct ct *ct, uint64_t now_ms, uint32_t identity)
{
	if (ct->cfg.id_max_new_per_second)
		opened_now(&ct->ids[ct_id_slot(identity)], present_second(now_ms));
	if (ct->cfg.max_new_per_second)
		opened_now(&ct->all, present_second(now_ms));
}

void ct_charge(struct ct_worker *cw, struct ct_conn *c, uint32_t identity)
{
	struct ct_limit *ids = cw->ct->ids;

	c->src_identity = identity;
	if (!ids)
		return;
	__atomic_fetch_add(&ids[ct_id_slot(identity)].connections, 1, __ATOMIC_RELAXED);
	if (c->bits & CT_HALF_OPEN)
		__atomic_fetch_add(&ids[ct_id_slot(identity)].half_open, 1, __ATOMIC_RELAXED);
	c->bits |= CT_CHARGED;
}

void ct_uncharge(struct ct_worker *cw, struct ct_conn *c)
{
	struct ct_limit *ids = cw->ct->ids;

	if (!ids || !(c->bits & CT_CHARGED))
		return;
	__atomic_fetch_sub(&ids[ct_id_slot(c->src_identity)].connections, 1, __ATOMIC_RELAXED);
	if (c->bits & CT_HALF_OPEN)
		__atomic_fetch_sub(&ids[ct_id_slot(c->src_identity)].half_open, 1, __ATOMIC_RELAXED);
	c->bits &= (uint16_t)~CT_CHARGED;
}

static void count_half_open(struct ct_worker *cw, const struct ct_conn *c, uint32_t step)
{
	if (cw->ct->cfg.max_half_open)
		__atomic_fetch_add(&cw->ct->all.half_open, step, __ATOMIC_RELAXED);
	if (c->bits & CT_CHARGED)
		__atomic_fetch_add(
			&cw->ct->ids[ct_id_slot(c->src_identity)].half_open, step, __ATOMIC_RELAXED);
}

void ct_half_open(struct ct_worker *cw, uint32_t number)
{
	struct ct_conn *c = ct_conn(&cw->table, number);
	bool is = ct_key_protocol(&c->key) == IPPROTO_TCP && c->bits & CT_USED && ct_tcp_half_open(c);

	if (is == !!(c->bits & CT_HALF_OPEN))
		return;
	count_half_open(cw, c, is ? 1 : (uint32_t)-1);
	if (is)
		ct_half_add(&cw->table, number);
	else
		ct_half_remove(&cw->table, number);
	fp_write(&cw->stats->half_open, cw->table.half_open);
}

// --- Epoch ----------------------------------------------------------------------------------------------------------

bool ct_stale(const struct ct *ct, struct ct_conn *c, uint32_t epoch)
{
	uint32_t mine = c->epoch;

	if ((int32_t)(fp_read(&ct_in_force.all_epoch) - mine) > 0 ||
		(int32_t)(fp_read(&ct->id_epoch[ct_id_slot(c->src_identity)]) - mine) > 0 ||
		(int32_t)(fp_read(&ct->id_epoch[ct_id_slot(c->dst_identity)]) - mine) > 0)
		return true;
	c->epoch = epoch;
	return false;
}

uint32_t ct_denial_add(struct ct_worker *cw, const struct ct_key *key, uint64_t hash, unsigned int from_high)
{
	struct ct_key mine = *key;
	uint32_t number, victim;

	mine.k[0] |= (uint64_t)(CT_MARK_DENIAL + from_high) << CT_MARK_SHIFT;
	number = ct_table_add(&cw->table, &mine, hash, &victim);
	if (!number && victim) {
		ct_close(cw, victim, STEER_FLOW_CLOSE_EVICTED);
		number = ct_table_add(&cw->table, &mine, hash, &victim);
	}
	return number;
}

// What is still sent on a connection that was closed by policy is denied, not invalid, and may be answered: both ways of
// TCP, else what its opener sends. Its last record has told why, so there is no first one of these.
static void echo(struct ct_worker *cw, const struct ct_conn *was, bool reject)
{
	unsigned int opener = !!(was->bits & CT_HIGH_OPENS);
	bool both = ct_key_protocol(&was->key) == IPPROTO_TCP;

	for (unsigned int i = 0; i <= both; i++) {
		uint32_t number = ct_table_find(&cw->table, &was->key, was->hash, opener ^ i);
		struct ct_conn *c;

		// One of before the connection came says no more than this one.
		if (number)
			ct_close(cw, number, STEER_FLOW_CLOSE_POLICY);
		number = ct_denial_add(cw, &was->key, was->hash, opener ^ i);
		if (!number)
			return;
		c = ct_conn(&cw->table, number);
		c->epoch = was->epoch;
		c->seen_ms = c->told_ms = (uint32_t)cw->now_ms;
		c->first_ns = cw->now_ns;
		c->id = (uint64_t)cw->index << 56 | ++cw->next_id;
		c->tag = was->tag;
		c->revision = was->revision;
		c->drop = was->drop;
		c->src_identity = i ? was->dst_identity : was->src_identity;
		c->dst_identity = i ? was->src_identity : was->dst_identity;
		c->in_port = i && was->out_port < STEER_PORT_MAX ? was->out_port : was->in_port;
		c->out_port = STEER_PORT_NONE;
		memcpy(c->src_mac, i ? was->dst_mac : was->src_mac, 6);
		memcpy(c->dst_mac, i ? was->src_mac : was->dst_mac, 6);
		c->icmp_type = was->icmp_type;
		c->icmp_code = was->icmp_code;
		c->bits |= CT_ECHO | (reject ? CT_REJECT : 0) | (opener ^ i ? CT_HIGH_OPENS : 0);
		ct_rearm(cw, number);
	}
	fp_write(&cw->stats->denied, cw->table.denied);
}

bool ct_judged(struct walker *w, struct ct_worker *cw, uint32_t number, const struct ct_verdict *v)
{
	struct ct_conn *c = ct_conn(&cw->table, number), was;

	ct_bump(&cw->stats->rejudged, 1);
	c->tag = v->tag;
	c->revision = w->ct_revision;
	c->dst_identity = v->dst_identity;
	c->epoch = w->ct_epoch;
	if (c->src_identity != v->src_identity) {
		ct_uncharge(cw, c);
		ct_charge(cw, c, v->src_identity);
	}
	if (v->allowed)
		return true;
	ct_bump(&cw->stats->rejudged_denied, 1);
	c->drop = v->drop ? v->drop : STEER_DROP_POLICY;
	was = *c;
	ct_close(cw, number, STEER_FLOW_CLOSE_POLICY);
	echo(cw, &was, v->reject);
	return false;
}

// --- The end --------------------------------------------------------------------------------------------------------

static void last_words(struct ct_worker *cw, struct ct_conn *c, enum steer_flow_close why)
{
	if (ct_key_mark(&c->key) == CT_MARK_CONNECTION) {
		if (!(c->bits & CT_TOLD))
			ct_record(cw, c, STEER_FLOW_OPEN, STEER_FLOW_CLOSE_NONE);
		ct_record(cw, c, STEER_FLOW_CLOSE, why);
	} else if ((uint32_t)(c->packets[0] + c->packets[1]) != c->told_packets) {
		ct_record(cw, c, STEER_FLOW_DENY_UPDATE, why);
	}
}

void ct_close(struct ct_worker *cw, uint32_t number, enum steer_flow_close why)
{
	struct ct_conn *c = ct_conn(&cw->table, number);
	struct stats_ct *s = cw->stats;

	last_words(cw, c, why);
	if (c->bits & CT_HALF_OPEN) {
		count_half_open(cw, c, (uint32_t)-1);
		ct_half_remove(&cw->table, number);
	}
	ct_uncharge(cw, c);
	if (!ct_is_denial(&cw->table, number)) {
		ct_bump(&s->closed, 1);
		if (why == STEER_FLOW_CLOSE_EVICTED)
			ct_bump(&s->evicted, 1);
	}
	ct_table_remove(&cw->table, number);
	fp_write(&s->live, cw->table.live);
	fp_write(&s->denied, cw->table.denied);
	fp_write(&s->half_open, cw->table.half_open);
}
