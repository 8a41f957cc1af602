// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The CT pipe's turn at a batch of packets, on the worker that owns their connections.
//
// All look-ups come first, their cache misses at once. Then the policy stage judges, in one walk, packets that could open
// a connection, and in another one connections that must be judged again. Then each packet is handled in order of arrival:
// what an earlier one of the batch has changed is looked up again, and who still needs a judgement then gets one of his
// own. So a burst ends as if its packets had come one by one.

#include <netinet/in.h>
#include <string.h>

#include "ct_private.h"
#include "flow_cache.h"

struct job {
	struct walker *w;
	struct ct *ct;
	struct ct_worker *cw;
	uint32_t epoch;
	uint32_t serial; // of the table at the look-up
	uint32_t opened; // since then, by packets that were asked about together: each has a key of its own
	struct ct_look look[FP_LOOKUP];
	struct ct_verdict verdicts[FP_LOOKUP];
};

// --- What a packet is -----------------------------------------------------------------------------------------------

static inline void go_on(const struct ct *ct, struct packet *p)
{
	p->verdict = PACKET_WALKING;
	p->pipe = ct->pipe->fwd.pipe;
	p->algorithm = STEER_HASH_DEFAULT;
	p->behind = true;
}

// --- Counting -------------------------------------------------------------------------------------------------------

static inline void count(
	const struct ct_worker *cw, struct ct_conn *c, const struct packet *p, unsigned int direction)
{
	c->packets[direction]++;
	c->bytes[direction] += p->frame_len;
	c->seen_ms = (uint32_t)cw->now_ms;
}

// --- New connections ------------------------------------------------------------------------------------------------

static void fill(const struct job *j, const struct packet *p, struct ct_conn *c, bool reversed)
{
	c->epoch = j->epoch;
	c->seen_ms = c->told_ms = (uint32_t)j->cw->now_ms;
	c->opened_ms = j->cw->now_ms;
	c->id = (uint64_t)j->cw->index << 56 | ++j->cw->next_id;
	c->first_ns = j->cw->now_ns;
	ct_fill(c, p, reversed);
}

static void judged_as(const struct job *j, struct ct_conn *c, const struct ct_verdict *v)
{
	c->tag = v->tag;
	c->revision = j->w->ct_revision;
	c->dst_identity = v->dst_identity;
	c->epoch = j->epoch;
}

// Somebody has to go so that a new one fits. False: nobody.
static bool evict(struct ct_worker *cw)
{
	uint32_t victim = ct_table_victim(&cw->table, (uint32_t)cw->now_ms);

	if (victim)
		ct_close(cw, victim, STEER_FLOW_CLOSE_EVICTED);
	return victim;
}

static void refuse(struct job *j, struct packet *p, enum steer_drop why)
{
	struct stats_ct *s = j->cw->stats;

	ct_bump(why == STEER_DROP_CT_FULL ? &s->refused_full : &s->refused_limit, 1);
	packet_drop(p, why);
}

// The policy has allowed it. reversed: an adopted one, the packet comes from its responder.
static void commit(struct job *j, struct packet *p, const struct ct_look *k, const struct ct_verdict *v,
	const struct ct_segment *segment, bool adopted, bool reversed)
{
	struct ct_worker *cw = j->cw;
	unsigned int opener = k->from_high ^ reversed;
	bool full = ct_table_full(&cw->table);
	enum steer_drop why = ct_refuses(j->ct, cw->now_ms, v->src_identity, segment && !adopted, full);
	uint32_t number = 0, victim;
	struct ct_conn *c;

	if (why) {
		refuse(j, p, why);
		return;
	}
	if (full && j->ct->cfg.full == STEER_CT_FULL_UNTRACKED) {
		ct_bump(&cw->stats->untracked, 1);
		go_on(j->ct, p);
		return;
	}
	// Only who comes in may push somebody out.
	if (!full || evict(cw))
		number = ct_table_add(&cw->table, &k->key, k->hash, &victim);
	if (!number) {
		refuse(j, p, STEER_DROP_CT_FULL);
		return;
	}
	// Two further on: written while this one is filled in.
	ct_fetch_to_write(ct_conn(&cw->table, number + 2), sizeof(*c));
	j->opened += k->walked;
	if (j->ct->limited)
		ct_limit_take(j->ct, cw->now_ms, v->src_identity);
	c = ct_conn(&cw->table, number);
	fill(j, p, c, reversed);
	c->bits |= (opener ? CT_HIGH_OPENS : 0) | (adopted ? CT_ADOPTED : 0);
	judged_as(j, c, v);
	ct_charge(cw, c, v->src_identity);
	if (segment && adopted)
		ct_tcp_adopt(c, reversed, segment);
	else if (segment)
		ct_tcp_open(c, segment);
	if (segment) {
		c->tcp_flags[reversed] = segment->flags;
		ct_half_open(cw, number);
	}
	count(cw, c, p, reversed);
	ct_rearm(cw, number);
	ct_bump(adopted ? &cw->stats->adopted : &cw->stats->opened, 1);
	fp_write(&cw->stats->live, cw->table.live);
	go_on(j->ct, p);
	p->ct_opened = number;
	p->ct_id = c->id;
}

// --- Denials --------------------------------------------------------------------------------------------------------

// Reasons that speak of the connection, not of this packet.
static bool worth_remembering(uint8_t drop)
{
	return drop >= STEER_DROP_UNAUTHENTICATED && drop <= STEER_DROP_POLICY;
}

static void denied_drop(struct job *j, struct packet *p, uint8_t drop, bool reject)
{
	ct_bump(&j->cw->stats->denied_packets, 1);
	packet_drop(p, drop);
	p->reject = reject;
}

// number: of a denial that is remembered already, or 0.
static void deny(
	struct job *j, struct packet *p, const struct ct_look *k, const struct ct_verdict *v, uint32_t number)
{
	struct ct_worker *cw = j->cw;
	bool first = !number;
	struct ct_conn *c;

	if (!worth_remembering(v->drop)) {
		packet_drop(p, v->drop);
		p->reject = v->reject;
		return;
	}
	denied_drop(j, p, v->drop, v->reject);
	if (first)
		number = ct_denial_add(cw, &k->key, k->hash, k->from_high);
	if (!number)
		return;
	c = ct_conn(&cw->table, number);
	if (first) {
		fill(j, p, c, false);
		c->bits |= k->from_high ? CT_HIGH_OPENS : 0;
	}
	judged_as(j, c, v);
	c->src_identity = v->src_identity;
	c->drop = v->drop;
	c->bits = (uint16_t)((c->bits & ~(CT_REJECT | CT_ECHO)) | (v->reject ? CT_REJECT : 0));
	if (packet_has(p, REGION_TCP))
		c->tcp_flags[0] |= ct_flags_of(p);
	count(cw, c, p, 0);
	if (first) {
		ct_record(cw, c, STEER_FLOW_DENY, STEER_FLOW_CLOSE_NONE);
		ct_rearm(cw, number);
		fp_write(&cw->stats->denied, cw->table.denied);
	}
}

// --- Packets without a connection -----------------------------------------------------------------------------------

static void untracked(struct job *j, struct packet *p)
{
	struct ct_verdict v;

	ct_policy_walk(j->w, j->ct, &p, 1, true);
	ct_verdict_of(j->ct, p, &v);
	if (v.allowed) {
		ct_bump(&j->cw->stats->untracked, 1);
		go_on(j->ct, p);
	} else if (p->verdict == PACKET_DROP) {
		denied_drop(j, p, v.drop, v.reject);
	}
}

// A running connection that was opened before we could see it. denial: of its sender, no longer valid; 0 = none.
static void adopt(struct job *j, struct packet *p, const struct ct_look *k, uint32_t denial)
{
	struct ct_segment segment;
	struct ct_adoption a;

	ct_adoption_ask(j->w, j->ct, j->cw->scratch, j->cw->adopting, p, &k->key, k->from_high, &a);
	if (a.allowed) {
		if (denial)
			ct_close(j->cw, denial, STEER_FLOW_CLOSE_POLICY);
		ct_segment_read(p, &segment);
		commit(j, p, k, &a.verdict[a.reversed], &segment, true, a.reversed);
	} else if (a.verdict[0].verdict == PACKET_DROP) {
		deny(j, p, k, &a.verdict[0], denial);
	} else {
		packet_drop(p, STEER_DROP_CT_INVALID);
	}
}

static void open_new(struct job *j, struct packet *p, const struct ct_look *k, uint32_t denial)
{
	bool tcp = ct_key_protocol(&k->key) == IPPROTO_TCP;
	struct ct_segment segment;
	struct ct_verdict v;

	if (!k->walked)
		ct_policy_walk(j->w, j->ct, &p, 1, true);
	ct_verdict_of(j->ct, p, &v);
	if (v.allowed) {
		if (denial)
			ct_close(j->cw, denial, STEER_FLOW_CLOSE_POLICY);
		if (tcp)
			ct_segment_read(p, &segment);
		commit(j, p, k, &v, tcp ? &segment : NULL, false, false);
	} else if (v.verdict == PACKET_DROP) {
		deny(j, p, k, &v, denial);
	}
}

// denial: one that is not valid any more, or 0.
static void without(
	struct job *j, struct packet *p, const struct ct_look *k, enum ct_step step, uint32_t denial)
{
	p->wants = false; // that was another connection, or none
	switch (step) {
	case CT_STEP_NEW:
		open_new(j, p, k, denial);
		break;
	case CT_STEP_ADOPT:
		adopt(j, p, k, denial);
		break;
	case CT_STEP_INVALID:
		ct_bump(&j->cw->stats->invalid, 1);
		if (j->ct->cfg.flags & STEER_CT_PASS_INVALID)
			untracked(j, p);
		else
			packet_drop(p, STEER_DROP_CT_INVALID);
		break;
	case CT_STEP_MALFORMED:
		packet_drop(p, STEER_DROP_MALFORMED);
		break;
	default:
		packet_drop(p, STEER_DROP_CT_UNTRACKABLE);
		break;
	}
}

// --- Packets of connections -----------------------------------------------------------------------------------------

// Judges a connection again if a change may concern it. False: it was closed, and the packet is dropped.
static bool still_allowed(struct job *j, struct packet *p, const struct ct_look *k, uint32_t number)
{
	struct ct_conn *c = ct_conn(&j->cw->table, number);
	const struct ct_conn *asked = c;
	struct ct_verdict own;
	const struct ct_verdict *v = &own;

	if (likely(c->epoch == j->epoch) || !ct_stale(j->ct, c, j->epoch))
		return true;
	if (k->judged)
		v = &j->verdicts[k->judged - 1];
	else
		ct_judge(j->w, j->ct, j->cw->scratch, &asked, 1, &own);
	if (ct_judged(j->w, j->cw, number, v))
		return true;
	denied_drop(j, p, v->drop ? v->drop : STEER_DROP_POLICY, v->reject);
	return false;
}

static void related(struct job *j, struct packet *p, const struct ct_look *k, uint32_t number)
{
	if (!still_allowed(j, p, k, number))
		return;
	if (!ct_error_is_heard(j->ct, p, ct_conn(&j->cw->table, number), k->from_high)) {
		packet_drop(p, STEER_DROP_CT_UNTRACKABLE);
		return;
	}
	ct_bump(&j->cw->stats->related, 1);
	go_on(j->ct, p);
}

static void remembered(struct job *j, struct packet *p, uint32_t number)
{
	struct ct_conn *c = ct_conn(&j->cw->table, number);

	count(j->cw, c, p, 0);
	if (packet_has(p, REGION_TCP))
		c->tcp_flags[0] |= ct_flags_of(p);
	denied_drop(j, p, c->drop, c->bits & CT_REJECT);
}

// Gives false when the packet opens the tuple anew.
static bool established(struct job *j, struct packet *p, const struct ct_look *k, uint32_t number)
{
	struct ct_conn *c = ct_conn(&j->cw->table, number);
	unsigned int direction = ct_direction(c, k->from_high);

	if (packet_has(p, REGION_TCP)) {
		uint8_t was = c->state;
		struct ct_segment segment;
		enum ct_tcp_result result;

		ct_segment_read(p, &segment);
		result = ct_tcp_track(c, direction, &segment);
		if (unlikely(result == CT_TCP_REOPEN)) {
			ct_close(j->cw, number, STEER_FLOW_CLOSE_REUSED);
			return false;
		}
		if (unlikely(result == CT_TCP_INVALID) &&
			!ct_rejoins(j->ct, j->cw->now_ms, p, &k->key, direction, &segment, c)) {
			ct_bump(&j->cw->stats->invalid, 1);
			if (!(j->ct->cfg.flags & STEER_CT_PASS_INVALID)) {
				packet_drop(p, STEER_DROP_CT_INVALID);
				return true;
			}
		}
		c->tcp_flags[direction] |= segment.flags;
		count(j->cw, c, p, direction);
		if (unlikely(c->state != was)) {
			ct_half_open(j->cw, number);
			ct_rearm(j->cw, number);
		}
	} else {
		count(j->cw, c, p, direction);
	}
	go_on(j->ct, p);
	if (j->w->cache)
		ct_behind(j->w, j->ct, p, k, c, direction);
	return true;
}

static void of_connection(struct job *j, struct packet *p, const struct ct_look *k, uint32_t number)
{
	if (unlikely(!still_allowed(j, p, k, number)) || likely(established(j, p, k, number)))
		return;
	// It was closed. What its sender opens may be denied since before it came.
	without(j, p, k, ct_step_without(j->ct, j->cw->now_ms, p, &k->key, k->from_high),
		ct_table_find(&j->cw->table, &k->key, k->hash, k->from_high));
}

// Whether what was looked up is so still. While nothing but connections came that the policy was asked about in one walk,
// a packet that was so, too, is the first of its own, and a connection that was there is.
static inline bool still_so(const struct job *j, const struct ct_look *k)
{
	const struct ct_table *t = &j->cw->table;

	if (likely(j->serial == t->serial))
		return true;
	if (j->serial + j->opened != t->serial)
		return false;
	return k->walked ? !k->number : k->number && !ct_is_denial(t, k->number);
}

static void handle(struct job *j, struct packet *p, struct ct_look *k)
{
	uint32_t number = k->number;
	enum ct_step step;

	if (k->kind <= CT_KIND_ERROR && unlikely(!still_so(j, k)))
		number = ct_table_find(&j->cw->table, &k->key, k->hash, k->from_high);
	if (likely(k->kind == CT_KIND_TRACKED && number && !ct_is_denial(&j->cw->table, number))) {
		of_connection(j, p, k, number);
		return;
	}
	step = ct_step_of(j->ct, j->cw->now_ms, j->epoch, k->kind, p, &k->key, k->from_high,
		number ? ct_conn(&j->cw->table, number) : NULL);
	switch (step) {
	case CT_STEP_RELATED:
		related(j, p, k, number);
		break;
	case CT_STEP_DENIED:
		remembered(j, p, number);
		break;
	default:
		without(j, p, k, step, number);
		break;
	}
}

// --- The batch ------------------------------------------------------------------------------------------------------

// What was looked up ahead of the walk, if the packet is still the same. Its number only while nobody came or went.
static inline bool known(struct job *j, struct packet *p, struct ct_look *k)
{
	const struct ct_look *ahead;

	if (!p->look)
		return false;
	ahead = &j->cw->ahead[p->look - 1];
	if (likely(p->recorded) || p->intact) {
		*k = *ahead;
		p->intact = false;
		k->recorded = p->recorded;
		p->recorded = 0;
	} else if (ct_same(&ahead->key, &k->key) && ahead->from_high == k->from_high) {
		k->hash = ahead->hash;
		k->number = ahead->number;
		k->absent = ahead->absent;
	} else {
		// Mostly the next one of this sender is in the same zone.
		*flow_zone(j->w->cache, p) = (uint32_t)k->key.k[0];
		return false;
	}
	if (unlikely(j->cw->ahead_serial != j->cw->table.serial)) {
		k->number = 0;
		k->absent = false;
	}
	return true;
}

// Whether its key is that which was looked up ahead, without a look at it.
static inline bool came_intact(const struct job *j, struct packet *p)
{
	p->intact =
		p->intact && p->look && (uint32_t)j->cw->ahead[p->look - 1].key.k[0] == ct_zone_of(j->ct, p);
	return p->intact;
}

static void look_up(struct job *j, struct packet **batch, unsigned int n)
{
	struct ct_table *t = &j->cw->table;
	bool guess[FP_LOOKUP];

	for (unsigned int i = 0; i < n; i++) {
		struct ct_look *k = &j->look[i];
		unsigned int from_high = 0;
		enum ct_kind kind;

		guess[i] = false;
		if ((likely(batch[i]->recorded) || came_intact(j, batch[i])) && known(j, batch[i], k))
			continue;
		kind = ct_key_of(j->ct, batch[i], &k->key, &from_high);
		ct_look_begin(k, kind, from_high);
		if (unlikely(kind > CT_KIND_ERROR) || known(j, batch[i], k))
			continue;
		ct_look_hash(t, k);
		guess[i] = true;
	}
	for (unsigned int i = 0; i < n; i++)
		if (guess[i])
			ct_look_guess(t, &j->look[i]);
	// What was found ahead was confirmed there.
	for (unsigned int i = 0; i < n; i++)
		if (guess[i] || unlikely(!j->look[i].number && j->look[i].kind <= CT_KIND_ERROR))
			ct_look_confirm(t, &j->look[i]);
	j->serial = t->serial;
	j->opened = 0;
}

// Whether all of the batch came by walks that their connections knew, and are judged by what is in force: most batches.
static inline bool all_known(const struct job *j, struct packet *const *batch, unsigned int n)
{
	const struct ct_worker *cw = j->cw;

	if (unlikely(cw->ahead_serial != cw->table.serial))
		return false;
	for (unsigned int i = 0; i < n; i++) {
		const struct packet *p = batch[i];

		if (unlikely(!p->recorded) || unlikely(!p->look) ||
			unlikely(ct_conn(&cw->table, cw->ahead[p->look - 1].number)->epoch != j->epoch))
			return false;
	}
	return true;
}

// What was looked up ahead is taken as it is, until one of the batch closes or opens a connection.
static void handle_known(struct job *j, struct packet **batch, unsigned int n)
{
	struct ct_worker *cw = j->cw;

	j->serial = cw->ahead_serial;
	j->opened = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = batch[i];
		struct ct_look *k = &cw->ahead[p->look - 1];

		p->intact = false;
		k->recorded = p->recorded;
		p->recorded = 0;
		if (unlikely(j->serial != cw->table.serial))
			handle(j, p, k);
		else
			of_connection(j, p, k, k->number);
	}
}

// Remembers hashes of a batch. True when it is a new one.
static bool first_of(uint64_t set[2 * FP_LOOKUP], uint64_t hash)
{
	unsigned int at = (unsigned int)(hash >> 20) & (2 * FP_LOOKUP - 1);

	hash |= 1; // 0 is a free place
	while (set[at] && set[at] != hash)
		at = (at + 1) & (2 * FP_LOOKUP - 1);
	if (set[at])
		return false;
	set[at] = hash;
	return true;
}

static bool needs_judgement(struct job *j, const struct packet *p, const struct ct_look *k)
{
	struct ct_conn *c;

	if (k->kind > CT_KIND_ERROR)
		return false;
	if (!k->number)
		return k->kind == CT_KIND_TRACKED && p->layer[0].first && ct_opens(p, &k->key, k->from_high);
	c = ct_conn(&j->cw->table, k->number);
	if (likely(c->epoch == j->epoch) || !ct_stale(j->ct, c, j->epoch))
		return false;
	return !ct_is_denial(&j->cw->table, k->number) ||
	       (k->kind == CT_KIND_TRACKED && p->layer[0].first && ct_opens(p, &k->key, k->from_high));
}

// Places that new connections will take are on their way while the policy is asked.
static void fetch_places(const struct ct_table *t, unsigned int n)
{
	if (t->free)
		return;
	for (uint32_t number = t->fresh + 1; n && number <= t->capacity; number++, n--)
		for (unsigned int at = 0; at < sizeof(struct ct_conn); at += RTE_CACHE_LINE_SIZE)
			rte_prefetch1((const uint8_t *)ct_conn(t, number) + at);
}

static void judge(struct job *j, struct packet **batch, unsigned int n)
{
	const struct ct_conn *conns[FP_LOOKUP];
	struct packet *own[FP_LOOKUP];
	unsigned int nr_own = 0, nr_conns = 0, i;
	uint64_t set[2 * FP_LOOKUP];

	for (i = 0; i < n && likely(!needs_judgement(j, batch[i], &j->look[i])); i++)
		;
	if (likely(i == n))
		return;
	memset(set, 0, sizeof(set));
	for (; i < n; i++) {
		struct ct_look *k = &j->look[i];

		if (!needs_judgement(j, batch[i], k) || !first_of(set, k->hash))
			continue;
		if (k->number && !ct_is_denial(&j->cw->table, k->number)) {
			conns[nr_conns++] = ct_conn(&j->cw->table, k->number);
			k->judged = (uint8_t)nr_conns;
		} else {
			own[nr_own++] = batch[i];
			k->walked = true;
		}
	}
	if (nr_conns)
		ct_judge(j->w, j->ct, j->cw->scratch, conns, nr_conns, j->verdicts);
	if (!nr_own)
		return;
	fetch_places(&j->cw->table, nr_own);
	ct_policy_walk(j->w, j->ct, own, nr_own, true);
	// The walk has pushed them out.
	for (i = 0; i < n; i++)
		if (j->look[i].walked)
			__builtin_prefetch(ct_bucket(&j->cw->table, j->look[i].hash), 1);
}

// Another pipe's connections. What was looked up ahead of this burst was looked up in the former one's.
static __rte_noinline void take_over(struct walker *w, struct ct *ct)
{
	ct_take_over(w, ct);
	for (unsigned int i = 0; i < WALK_CONTEXTS; i++) {
		w->contexts[i].look = 0;
		w->contexts[i].recorded = 0;
	}
}

unsigned int ct_batch(struct walker *w, struct pipe *pipe, struct packet **batch, unsigned int n, bool live)
{
	struct ct *ct = pipe->table;
	unsigned int on = 0;
	struct job j;

	// The policy stage leads back to the pipe that asks it.
	if (unlikely(w->stop)) {
		for (unsigned int i = 0; i < n; i++)
			packet_drop(batch[i], STEER_DROP_BAD_FWD);
		return 0;
	}
	if (unlikely(!live)) {
		ct_trace(w, ct, batch, n);
	} else {
		if (unlikely(w->ct_serial != ct->serial))
			take_over(w, ct);
		j.w = w;
		j.ct = ct;
		j.cw = &ct->worker[w->worker];
		j.epoch = w->ct_epoch;
		j.cw->now_ms = ct_ms(ct, w->tsc);
		j.cw->now_ns = w->now_ns;
		if (likely(all_known(&j, batch, n))) {
			handle_known(&j, batch, n);
		} else {
			look_up(&j, batch, n);
			judge(&j, batch, n);
			for (unsigned int i = 0; i < n; i++)
				handle(&j, batch[i], &j.look[i]);
		}
		ct_tell(w);
	}
	for (unsigned int i = 0; i < n; i++) {
		batch[on] = batch[i];
		on += batch[i]->verdict == PACKET_WALKING;
	}
	return on;
}

void ct_delivered(struct walker *w, const struct packet *p)
{
	struct ct_worker *cw = &w->ct->worker[w->worker];
	struct ct_conn *c = ct_conn(&cw->table, p->ct_opened);

	// A later packet of the burst may have pushed it out.
	if (c->id != p->ct_id || !(c->bits & CT_USED) || c->bits & CT_TOLD)
		return;
	if (p->verdict == PACKET_SEND && c->packets[0]) {
		c->out_port = p->out_port;
	} else if (p->verdict == PACKET_SEND) {
		// Adopted at a packet of its responder.
		c->out_port = c->in_port;
		c->in_port = p->out_port;
	}
	ct_record(cw, c, STEER_FLOW_OPEN, STEER_FLOW_CLOSE_NONE);
	w->untold = true;
}
