// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Questions of control to the worker that owns a connection. One at a time; the worker answers at the end of a turn. A
// worker that runs on the control thread is asked directly.

#include <errno.h>
#include <sched.h>

#include "clock.h"
#include "ct_private.h"

enum { IDLE, ASKED, TAKEN, ANSWERED };

static const uint64_t WAIT_NS = 200 * 1000000ull;

static void find(struct ct_worker *cw, struct ct_question *q)
{
	q->number = ct_table_find(&cw->table, &q->key, ct_hash(&cw->table, &q->key), q->from_high);
	q->full = ct_table_full(&cw->table);
	if (q->number)
		q->conn = *ct_conn(&cw->table, q->number);
}

static void list(struct ct_worker *cw, struct ct_question *q)
{
	enum { LOOKS = 8192 }; // a part of the table, so that no packet waits for all of it

	q->nr = 0;
	for (unsigned int i = 0; q->nr < q->max && i < LOOKS; i++, q->number++) {
		const struct ct_conn *c;

		if (q->number > cw->table.fresh) {
			q->number = 0;
			return;
		}
		c = ct_conn(&cw->table, q->number);
		if (c->bits & CT_USED)
			ct_record_fill(cw, c, STEER_FLOW_UPDATE, STEER_FLOW_CLOSE_NONE, &q->records[q->nr++]);
	}
}

static void answer(struct ct_worker *cw, struct ct_question *q)
{
	switch (q->op) {
	case CT_MAIL_FIND:
		find(cw, q);
		break;
	case CT_MAIL_LIST:
		list(cw, q);
		break;
	}
}

void ct_mail_turn(struct ct_worker *cw)
{
	uint32_t asked = ASKED;

	if (likely(fp_read(&cw->mail.state) != ASKED))
		return;
	if (!__atomic_compare_exchange_n(
		    &cw->mail.state, &asked, TAKEN, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	answer(cw, cw->mail.question);
	fp_publish(&cw->mail.state, ANSWERED);
}

int ct_ask(struct ct *ct, unsigned int worker, struct ct_question *q)
{
	struct ct_worker *cw = &ct->worker[worker];
	uint64_t until = clock_monotonic_ns() + WAIT_NS;
	uint32_t asked = ASKED;

	if (fp.workers[worker].nested) {
		answer(cw, q);
		return 0;
	}
	cw->mail.question = q;
	fp_publish(&cw->mail.state, ASKED);
	worker_wake(&fp.workers[worker]);
	while (fp_read_acquire(&cw->mail.state) != ANSWERED) {
		if (clock_monotonic_ns() > until && __atomic_compare_exchange_n(&cw->mail.state, &asked, IDLE,
							    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return -ETIMEDOUT;
		asked = ASKED;
		sched_yield();
	}
	fp_write(&cw->mail.state, IDLE);
	return 0;
}
