// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// A worker's turn at its connections when no packet asks for them: who is due in the wheel is closed, tells how he is doing,
// or is judged again after a change of policy. A bounded number at a time.

#include "clock.h"
#include "ct_private.h"
#include "flow_cache.h"

enum {
	VISITS_BUSY = 16, // per turn with packets
	VISITS_IDLE = 256,
};

struct ct *ct_present;
struct ct_in_force ct_in_force;
uint64_t ct_clock_skew_ms;

void ct_begin(struct walker *w)
{
	uint32_t epoch;

	do {
		epoch = fp_read_acquire(&ct_in_force.epoch);
		w->ct_revision = fp_read_acquire(&ct_in_force.revision);
	} while (unlikely(fp_read(&ct_in_force.epoch) != epoch));
	w->ct_epoch = epoch;
}

uint64_t ct_ms(const struct ct *ct, uint64_t tsc)
{
	return (uint64_t)(((unsigned __int128)(tsc - ct->tsc_base) * ct->tsc_scale) >> 64) + 1 +
	       fp_read(&ct_clock_skew_ms);
}

void ct_take_over(struct walker *w, struct ct *ct)
{
	struct stats_ct *s = &w->stats->ct;

	// Its last records are control's to tell.
	fp_write(&s->closed, s->closed + s->live);
	fp_write(&s->live, 0);
	fp_write(&s->half_open, 0);
	fp_write(&s->denied, 0);
	w->ct = ct;
	w->ct_serial = ct ? ct->serial : 0;
}

static enum steer_flow_close end_of(const struct ct_conn *c)
{
	switch (c->state) {
	case STEER_CT_TCP_TIME_WAIT:
	case STEER_CT_TCP_LAST_ACK:
		return STEER_FLOW_CLOSE_FIN;
	case STEER_CT_TCP_CLOSE:
		return STEER_FLOW_CLOSE_RST;
	default:
		return STEER_FLOW_CLOSE_TIMEOUT;
	}
}

static void tell(struct ct_worker *cw, struct ct_conn *c, bool denial)
{
	uint32_t interval = cw->ct->cfg.record_interval_ms;

	if (!interval || (uint32_t)cw->now_ms - c->told_ms < interval)
		return;
	if ((uint32_t)(c->packets[0] + c->packets[1]) == c->told_packets) {
		c->told_ms = (uint32_t)cw->now_ms;
		return;
	}
	ct_record(cw, c, denial ? STEER_FLOW_DENY_UPDATE : STEER_FLOW_UPDATE, STEER_FLOW_CLOSE_NONE);
}

// True when it must be judged again.
static bool visit(struct walker *w, struct ct_worker *cw, uint32_t number)
{
	struct ct_conn *c = ct_conn(&cw->table, number);
	bool denial = ct_is_denial(&cw->table, number);

	if ((uint32_t)cw->now_ms - c->seen_ms >= ct_timeout(cw->ct, c)) {
		ct_close(cw, number, end_of(c));
		return false;
	}
	// Numbers of a cache that was emptied: before its generations come round again.
	if (w->cache && c->recorded_in != w->cache->generation)
		c->flow[0].recorded = c->flow[1].recorded = 0;
	tell(cw, c, denial);
	ct_rearm(cw, number);
	return !denial && c->epoch != w->ct_epoch && ct_stale(cw->ct, c, w->ct_epoch);
}

static void judge_idle(struct walker *w, struct ct_worker *cw, const uint32_t *numbers, unsigned int n)
{
	struct ct_verdict verdicts[FP_BURST];
	const struct ct_conn *conns[FP_BURST];

	if (!n)
		return;
	for (unsigned int i = 0; i < n; i++)
		conns[i] = ct_conn(&cw->table, numbers[i]);
	ct_judge(w, cw->ct, cw->scratch, conns, n, verdicts);
	for (unsigned int i = 0; i < n; i++)
		ct_judged(w, cw, numbers[i], &verdicts[i]);
}

static bool visits(struct walker *w, struct ct_worker *cw, unsigned int budget)
{
	uint32_t now = (uint32_t)(cw->now_ms >> CT_TICK_SHIFT), numbers[FP_BURST], number;
	unsigned int n = 0;

	while ((number = ct_wheel_next(&cw->table, now, &budget))) {
		if (!visit(w, cw, number))
			continue;
		numbers[n++] = number;
		if (n == FP_BURST) {
			judge_idle(w, cw, numbers, n);
			n = 0;
		}
	}
	judge_idle(w, cw, numbers, n);
	return !budget;
}

bool ct_worker_turn(struct walker *w, bool busy)
{
	struct ct *ct = fp_read_acquire(&ct_present);
	struct ct_worker *cw;
	bool more = false;

	if (unlikely(w->ct_serial != (ct ? ct->serial : 0)))
		ct_take_over(w, ct);
	if (!ct)
		return false;
	cw = &ct->worker[w->worker];
	cw->now_ms = ct_ms(ct, w->tsc);
	if (cw->table.wheel.tick != (uint32_t)(cw->now_ms >> CT_TICK_SHIFT)) {
		cw->now_ns = busy ? w->now_ns : clock_wall_ns();
		more = visits(w, cw, busy ? VISITS_BUSY : VISITS_IDLE);
		ct_tell(w);
	}
	ct_mail_turn(cw);
	// Control looks often enough, but not when there is that much to take.
	if (unlikely(cw->records_tail - fp_read(&cw->records_head) > CT_RECORDS / 4))
		control_wake();
	return more;
}
