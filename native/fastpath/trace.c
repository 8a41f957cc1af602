// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Trace: a frame goes through the live tables by the workers' own code, compiled with a recorder. It runs on the control
// thread, on a copy, and changes nothing: no counters, no tokens, no turns.

#include <errno.h>
#include <string.h>

#include <rte_cycles.h>

#include "pipe_private.h"
#include "walk.h"
#include "walk_core.h"

struct recorder {
	struct steer_trace_hop *hops;
	uint32_t nr;
	uint32_t room;
	struct steer_trace_hop *now; // NULL: no room for it
};

void walk_trace(struct walker *w, struct packet **packets, unsigned int n)
{
	walk_core(w, packets, n, false);
}

static void record_key(const struct packet *p, unsigned int field, struct steer_trace_hop *hop,
	const uint8_t *value, const uint8_t *mask)
{
	struct steer_trace_key *key;
	unsigned int bytes = field_places[field].bytes;

	if (hop->nr_keys == STEER_TRACE_KEYS)
		return;
	key = &hop->keys[hop->nr_keys++];
	key->field = (uint16_t)field;
	field_read(p, field, key->packet);
	if (value)
		memcpy(key->value, value, bytes);
	if (mask)
		memcpy(key->mask, mask, bytes);
}

// What an entry's key holds for each field of the pipe; see steer_entry_add in steering_wire.h.
static void record_keys(
	const struct packet *p, const struct pipe *pipe, const struct entry *hit, struct steer_trace_hop *hop)
{
	const uint8_t *at = hit ? entry_key(hit) : NULL;
	struct entry_parts parts;

	for (unsigned int i = 0; i < pipe->key.nr_fields; i++) {
		const struct steer_match_field *f = &pipe->fields[i];
		unsigned int bytes = field_places[f->field].bytes;

		switch (f->kind) {
		case STEER_MATCH_CONSTANT:
			record_key(p, f->field, hop, f->value, f->mask);
			break;
		case STEER_MATCH_CHANGEABLE:
			record_key(p, f->field, hop, pipe->type == STEER_PIPE_HASH ? NULL : at, f->mask);
			at = at && pipe->type != STEER_PIPE_HASH ? at + bytes : at;
			break;
		case STEER_MATCH_PREFIX: {
			const uint8_t *end =
				at ? at + hit->rec->key_bytes - (at - entry_key(hit)) - 2 * bytes : NULL;

			record_key(p, f->field, hop, end, end ? end + bytes : NULL);
			break;
		}
		default:
			record_key(p, f->field, hop, at, at ? at + bytes : NULL);
			at = at ? at + 2 * bytes : NULL;
		}
	}
	if (pipe->type != STEER_PIPE_CONTROL || !hit || entry_parse(hit->rec, hit->rec_bytes, &parts, NULL) ||
		!parts.body)
		return;
	for (unsigned int i = 0; i < parts.body->nr_match; i++)
		record_key(p, parts.fields[i].field, hop, parts.fields[i].value, parts.fields[i].mask);
}

void record_hop(struct walker *w, const struct packet *p, const struct pipe *pipe, const struct entry *hit)
{
	struct recorder *r = w->recorder;
	struct steer_trace_hop *hop;

	if (!r)
		return;
	r->now = NULL;
	if (r->nr == r->room)
		return;
	hop = r->now = &r->hops[r->nr++];
	memset(hop, 0, sizeof(*hop));
	hop->pipe = pipe->id;
	hop->entry = hit ? hit->id : STEER_ENTRY_NONE;
	hop->tag = hit ? hit->rec->tag : 0;
	hop->user_data = hit ? hit->rec->user_data : 0;
	hop->result = hit ? STEER_TRACE_HIT : STEER_TRACE_MISS;
	hop->domain = p->domain;
	hop->copy = (uint8_t)p->copy;
	hop->meter_color = p->meta.meter_color;
	hop->frame_length = (uint16_t)p->frame_len;
	record_keys(p, pipe, hit, hop);
}

void record_action(struct walker *w, const struct packet *p, const struct action *action)
{
	struct steer_trace_hop *hop = w->recorder ? w->recorder->now : NULL;

	if (!hop || hop->nr_actions == STEER_TRACE_ACTIONS)
		return;
	hop->actions[hop->nr_actions] = action->kind;
	hop->action_fields[hop->nr_actions++] = action->field;
}

void record_after(struct walker *w, const struct packet *p, const struct fwd *fwd)
{
	struct steer_trace_hop *hop = w->recorder ? w->recorder->now : NULL;

	if (!hop)
		return;
	hop->meter_color = p->meta.meter_color;
	hop->frame_length = (uint16_t)p->frame_len;
	hop->fwd.type = fwd->type;
	hop->fwd.algorithm = fwd->algorithm;
	hop->fwd.port = fwd->port;
	hop->fwd.index = fwd->index;
	if (fwd->type == STEER_FWD_PIPE || fwd->type == STEER_FWD_HASH || fwd->type == STEER_FWD_ORDERED_LIST)
		hop->fwd.pipe = fwd->pipe->id;
}

void record_ct(struct walker *w, uint8_t result, uint64_t tag)
{
	struct steer_trace_hop *hop = w->recorder ? w->recorder->now : NULL;

	if (!hop)
		return;
	hop->result = result;
	hop->tag = tag;
}

// --- Outcomes -----------------------------------------------------------------------------------------------------

static uint8_t verdict(const struct packet *p, uint8_t *reason)
{
	*reason = STEER_DROP_NONE;
	switch (p->verdict) {
	case PACKET_SEND:
		*reason = (uint8_t)worker_send_check(p->m, p->out_port);
		return *reason ? STEER_VERDICT_DROP : STEER_VERDICT_PORT;
	case PACKET_SOFTWARE:
		return p->kind == STEER_PKT_KERNEL ? STEER_VERDICT_KERNEL : STEER_VERDICT_RSS;
	default:
		*reason = p->reason;
		return STEER_VERDICT_DROP;
	}
}

static int put_outcome(const struct packet *p, uint8_t *reply, size_t size, size_t *used)
{
	struct steer_trace_outcome *o = (struct steer_trace_outcome *)(reply + *used);
	size_t bytes = sizeof(*o) + RTE_ALIGN_CEIL((size_t)p->frame_len, (size_t)8);
	const void *frame;

	if (size - *used < bytes)
		return -EMSGSIZE;
	memset(o, 0, bytes);
	o->verdict = verdict(p, &o->reason);
	o->port = o->verdict == STEER_VERDICT_PORT ? p->out_port : p->in_port;
	o->queue = p->verdict == PACKET_SOFTWARE ? p->queue : 0;
	o->copy = p->copy;
	o->pkt_meta = p->meta.pkt_meta;
	o->length = p->frame_len;
	frame = rte_pktmbuf_read(p->m, 0, p->frame_len, o + 1);
	if (frame && frame != o + 1)
		memcpy(o + 1, frame, p->frame_len);
	*used += bytes;
	return 0;
}

static void put_back(struct walker *w, struct packet *p)
{
	struct packet *next;

	for (struct packet *copy = p->copies; copy; copy = next) {
		next = copy->next_copy;
		rte_pktmbuf_free(copy->m);
		walker_put(w, copy);
	}
	rte_pktmbuf_free(p->m);
	walker_put(w, p);
}

int trace_run(
	const struct steer_trace_request *request, const void *frame, void *reply, size_t size, size_t *used)
{
	static struct walker *w; // made at the first trace, kept
	struct steer_trace_reply *head = reply;
	struct recorder recorder = {0};
	struct rte_mbuf *m;
	struct packet *p;
	int err = 0;

	if (request->port >= STEER_PORT_MAX || !fp.ports[request->port].present)
		return -ENOENT;
	if (size < sizeof(*head) + sizeof(struct steer_trace_hop) || !request->length ||
		request->length > STEER_FRAME_MAX)
		return -EMSGSIZE;
	if (!w)
		w = walker_create();
	m = w ? frame_to_mbuf(fp.pool, frame, request->length) : NULL;
	if (!m)
		return -ENOMEM;
	recorder.hops = (struct steer_trace_hop *)(head + 1);
	recorder.room = (uint32_t)((size - sizeof(*head)) / sizeof(struct steer_trace_hop));
	if (recorder.room > STEER_TRACE_HOPS)
		recorder.room = STEER_TRACE_HOPS;
	w->live = false;
	w->recorder = &recorder;
	walk_begin(w, rte_rdtsc());
	p = walker_get(w);
	if (walk_enter(w, p, m, request->port)) {
		p->meta.pkt_meta = request->pkt_meta;
		walk_trace(w, &p, 1);
	}
	*head = (struct steer_trace_reply){.nr_hops = recorder.nr, .revision = w->revision};
	*used = sizeof(*head) + recorder.nr * sizeof(struct steer_trace_hop);
	for (struct packet *q = p; q && !err; q = q == p ? p->copies : q->next_copy) {
		err = put_outcome(q, reply, size, used);
		head->nr_outcomes += !err;
	}
	put_back(w, p);
	w->recorder = NULL;
	return err;
}
