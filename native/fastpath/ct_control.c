// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Connection tracking on the control thread: records on their way to the session that owns the pipe, changes of policy,
// windows of adoption, lists.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <rte_cycles.h>

#include "clock.h"
#include "ct_control.h"
#include "rcu.h"
#include "session.h"

enum { BATCH = 1024 };

static const uint64_t DYING_NS = 5000000000ull; // a consumer of the last records may take so long

static struct ct *dying; // whose last records are being told
static uint64_t untold;  // records that found nobody attached; told as lost to who comes
static uint32_t untold_session;

// --- Records --------------------------------------------------------------------------------------------------------

// Records that lie one behind the other, at most max, where the worker has put them; taken() gives the places back.
static unsigned int look(struct ct_worker *cw, unsigned int max, const struct steer_flow_record **records)
{
	uint64_t head = cw->records_head, n = fp_read_acquire(&cw->records_tail) - head;
	unsigned int at = head & (CT_RECORDS - 1);

	*records = &cw->records[at];
	if (n > CT_RECORDS - at)
		n = CT_RECORDS - at;
	return n < max ? (unsigned int)n : max;
}

static void taken(struct ct_worker *cw, unsigned int n)
{
	fp_publish(&cw->records_head, cw->records_head + n);
}

unsigned int ct_take_records(struct steer_flow_record *records, unsigned int max)
{
	const struct steer_flow_record *found;
	unsigned int n = 0, some;

	for (unsigned int i = 0; ct_present && i < ct_present->nr_workers; i++)
		while ((some = look(&ct_present->worker[i], max - n, &found))) {
			memcpy(records + n, found, some * sizeof(*found));
			taken(&ct_present->worker[i], some);
			n += some;
		}
	return n;
}

static struct session *consumer(uint32_t number)
{
	struct session *session = session_find(number);

	return session && session->attached && session->flow.size ? session : NULL;
}

static void count_lost(struct session *session, uint64_t by)
{
	__atomic_store_n(&session->flow.shared->lost, session->flow.shared->lost + by, __ATOMIC_RELAXED);
}

// False: no room.
static bool give(struct session *session, const struct steer_flow_record *record)
{
	void *place;

	if (ring_reserve(&session->flow, sizeof(*record), &place))
		return false;
	memcpy(place, record, sizeof(*record));
	ring_commit(&session->flow, sizeof(*record));
	return true;
}

static void deliver(uint32_t number, const struct steer_flow_record *records, unsigned int n)
{
	struct session *session = consumer(number);

	if (!session) {
		untold = untold_session == number ? untold + n : n;
		untold_session = number;
		return;
	}
	if (untold && untold_session == number)
		count_lost(session, untold);
	untold = 0;
	for (unsigned int i = 0; i < n; i++)
		if (!give(session, &records[i]))
			count_lost(session, 1);
	session_publish(session, &session->flow);
}

static unsigned int drain(struct ct *ct)
{
	unsigned int work = 0;

	for (unsigned int i = 0; i < ct->nr_workers; i++) {
		const struct steer_flow_record *records;
		unsigned int n = look(&ct->worker[i], BATCH, &records);

		if (n) {
			deliver(ct->session, records, n);
			taken(&ct->worker[i], n);
		}
		work += n + ct_table_prepare(&ct->worker[i].table);
	}
	return work;
}

// --- The end of a pipe ----------------------------------------------------------------------------------------------

void ct_bury(struct ct *ct)
{
	uint64_t now_ns = clock_wall_ns();

	for (unsigned int i = 0; i < ct->nr_workers; i++) {
		ct->worker[i].now_ms = ct_ms(ct, rte_rdtsc());
		ct->worker[i].now_ns = now_ns;
	}
	ct->dying_ns = clock_monotonic_ns() + DYING_NS;
	ct->dying_number = 1;
	if (!ct->cfg.record_interval_ms || !consumer(ct->session)) {
		ct_free(ct);
		return;
	}
	ct->next_dying = dying;
	dying = ct;
}

// Tells of the next connections that were left. True when there are no more.
static bool last_records(struct ct *ct, struct session *session, bool hurry)
{
	for (unsigned int i = 0; i < BATCH; i++) {
		struct ct_worker *cw = &ct->worker[ct->dying_worker];
		struct steer_flow_record record;
		const struct ct_conn *c;

		if (ct->dying_number > cw->table.fresh) {
			ct->dying_number = 1;
			if (++ct->dying_worker == ct->nr_workers)
				return true;
			continue;
		}
		c = ct_conn(&cw->table, ct->dying_number);
		if (c->bits & CT_USED) {
			ct_record_fill(cw, c, STEER_FLOW_CLOSE, STEER_FLOW_CLOSE_SHUTDOWN, &record);
			if (!give(session, &record)) {
				if (!hurry)
					return false;
				count_lost(session, 1);
			}
		}
		ct->dying_number++;
	}
	return false;
}

static unsigned int bury_turn(void)
{
	struct ct *ct = dying;
	struct session *session = consumer(ct->session);
	bool done = true;

	drain(ct);
	if (session) {
		done = last_records(ct, session, clock_monotonic_ns() > ct->dying_ns);
		session_publish(session, &session->flow);
	}
	if (done) {
		dying = ct->next_dying;
		ct_free(ct);
	}
	return 1;
}

unsigned int ct_control_turn(void)
{
	unsigned int work = 0;

	if (ct_present)
		work += drain(ct_present);
	if (unlikely(dying))
		work += bury_turn();
	return work;
}

// --- Messages -------------------------------------------------------------------------------------------------------

static struct ct *owned(uint32_t session, struct why *why, int *err)
{
	if (!ct_present)
		*err = why_set(why, STEER_WHY_NO_PIPE, -ENOENT, "there is no autonomous CT pipe");
	else if (ct_present->session != session)
		*err = why_set(why, STEER_WHY_NOT_OWNER, -EPERM,
			"the autonomous CT pipe belongs to another session");
	else
		return ct_present;
	return NULL;
}

int ct_epoch(
	uint32_t session, const struct steer_ct_epoch *epoch, const uint32_t *identities, struct why *why)
{
	uint32_t next = ct_in_force.epoch + 1;
	int err = 0;
	struct ct *ct = owned(session, why, &err);

	if (!ct)
		return err;
	if (epoch->flags & ~(uint32_t)STEER_CT_EPOCH_ALL)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "unknown flags 0x%x", epoch->flags);
	for (uint32_t i = 0; i < epoch->nr_identities; i++)
		fp_write(&ct->id_epoch[ct_id_slot(identities[i])], next);
	if (epoch->flags & STEER_CT_EPOCH_ALL)
		fp_write(&ct_in_force.all_epoch, next);
	fp_publish(&ct_in_force.revision, epoch->revision);
	if (epoch->nr_identities || epoch->flags)
		fp_publish(&ct_in_force.epoch, next);
	return 0;
}

// Whether a window makes another one, of the same address, superfluous.
static bool replaces(const struct ct_adopt_window *window, const struct ct_adopt_window *other)
{
	return window->version == other->version && window->zone == other->zone &&
	       window->until_ms >= other->until_ms && !memcmp(window->address, other->address, 16);
}

int ct_adopt(uint32_t session, const struct steer_ct_adopt *adopt, struct why *why)
{
	struct ct_adopt_list *list, *old;
	struct ct_adopt_window window;
	uint64_t now;
	int err = 0;
	struct ct *ct = owned(session, why, &err);

	if (!ct)
		return err;
	if (adopt->version && adopt->version != 4 && adopt->version != 6)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "IP version %u", adopt->version);
	now = ct_ms(ct, rte_rdtsc());
	window = (struct ct_adopt_window){.zone = htonl(adopt->zone),
		.version = adopt->version,
		.since_ms = now,
		.until_ms = now + adopt->window_ms};
	memcpy(window.address, adopt->address, adopt->version == 4 ? 4 : 16);
	old = ct->adopt;
	list = calloc(1, sizeof(*list) + ((old ? old->nr : 0) + 1) * sizeof(list->window[0]));
	if (!list)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory");
	for (unsigned int i = 0; old && i < old->nr; i++)
		if (old->window[i].until_ms > now && !replaces(&window, &old->window[i]))
			list->window[list->nr++] = old->window[i];
	if (list->nr == CT_ADOPT_MAX) {
		free(list);
		return why_set(why, STEER_WHY_PIPE_FULL, -ENOSPC, "%u windows of adoption are open already",
			(unsigned int)CT_ADOPT_MAX);
	}
	list->window[list->nr++] = window;
	fp_publish(&ct->adopt, list);
	if (old)
		rcu_defer(free, old);
	return 0;
}

int ct_list(const struct steer_ct_list *list, struct steer_ct_list_reply *reply,
	struct steer_flow_record *records, uint32_t room, struct why *why)
{
	struct ct *ct = ct_present;
	uint32_t worker = (uint32_t)(list->cursor >> 32), number = (uint32_t)list->cursor;
	int err = 0;

	*reply = (struct steer_ct_list_reply){0};
	if (!ct)
		return why_set(why, STEER_WHY_NO_PIPE, -ENOENT, "there is no autonomous CT pipe");
	if (list->max && list->max < room)
		room = list->max;
	while (worker < ct->nr_workers && reply->nr < room && !err) {
		struct ct_question q = {.op = CT_MAIL_LIST,
			.number = number ? number : 1,
			.max = room - reply->nr,
			.records = records + reply->nr};

		err = ct_ask(ct, worker, &q);
		reply->nr += q.nr;
		number = q.number;
		worker += !number;
	}
	if (err)
		return why_set(why, STEER_WHY_NONE, err, "worker %u does not answer", worker);
	reply->cursor = worker < ct->nr_workers ? (uint64_t)worker << 32 | (number ? number : 1) : 0;
	return 0;
}
