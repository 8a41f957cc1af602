// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Records of connections, on their way from the worker to control.

#include <arpa/inet.h>
#include <string.h>

#include "bytes.h"
#include "ct_private.h"

enum { AHEAD = 6 }; // records, between fetching a place and writing it

void ct_record_fill(const struct ct_worker *cw, const struct ct_conn *c, enum steer_flow_event event,
	enum steer_flow_close close, struct steer_flow_record *r)
{
	bool denial = ct_key_mark(&c->key) != CT_MARK_CONNECTION;
	uint32_t ago_ms = (uint32_t)cw->now_ms - c->seen_ms;
	struct ct_tuple tuple;

	ct_tuple_of(c, &tuple);
	bytes_clear(r, sizeof(*r));
	r->rec.length = sizeof(*r);
	r->rec.kind = STEER_REC_FLOW;
	r->id = c->id;
	r->first_ns = c->first_ns;
	r->last_ns = cw->now_ns - (uint64_t)ago_ms * 1000000;
	r->packets[0] = c->packets[0];
	r->packets[1] = c->packets[1];
	r->bytes[0] = c->bytes[0];
	r->bytes[1] = c->bytes[1];
	r->tag = c->tag;
	r->revision = c->revision;
	r->zone = ntohl((uint32_t)c->key.k[0]);
	r->src_identity = c->src_identity;
	r->dst_identity = c->dst_identity;
	r->src_port = ntohs(tuple.src_port);
	r->dst_port = ntohs(tuple.dst_port);
	r->in_port = c->in_port;
	r->out_port = denial ? STEER_PORT_NONE : c->out_port;
	r->vlan = c->vlan;
	r->ip_version = tuple.version;
	r->protocol = tuple.protocol;
	r->icmp_type = c->icmp_type;
	r->icmp_code = c->icmp_code;
	r->tcp_flags[0] = c->tcp_flags[0];
	r->tcp_flags[1] = c->tcp_flags[1];
	r->tcp_state = c->state;
	r->event = (uint8_t)event;
	r->create = c->bits & CT_ADOPTED ? STEER_FLOW_ADOPTED : STEER_FLOW_BY_POLICY;
	r->close = (uint8_t)close;
	r->drop = c->drop;
	r->frames = (uint32_t)(c->packets[0] + c->packets[1]) - c->told_packets;
	r->boot = fp.stats ? fp.stats->boot_id : 0;
	if (r->last_ns < r->first_ns)
		r->last_ns = r->first_ns;
	memcpy(r->src_ip, tuple.src, sizeof(r->src_ip));
	memcpy(r->dst_ip, tuple.dst, sizeof(r->dst_ip));
	memcpy(r->src_mac, c->src_mac, sizeof(r->src_mac));
	memcpy(r->dst_mac, c->dst_mac, sizeof(r->dst_mac));
}

void ct_record(
	struct ct_worker *cw, struct ct_conn *c, enum steer_flow_event event, enum steer_flow_close close)
{
	uint64_t tail = cw->records_next;

	if (!cw->ct->cfg.record_interval_ms)
		return;
	if (unlikely(tail - cw->records_seen >= CT_RECORDS))
		cw->records_seen = fp_read_acquire(&cw->records_head);
	if (likely(tail - cw->records_seen < CT_RECORDS)) {
		ct_record_fill(cw, c, event, close, &cw->records[tail & (CT_RECORDS - 1)]);
		cw->records_next = tail + 1;
		// Control has read there before: the lines are in another core's cache.
		ct_fetch_to_write(&cw->records[(tail + AHEAD) & (CT_RECORDS - 1)], sizeof(*cw->records));
		ct_bump(&cw->stats->records, 1);
	} else {
		ct_bump(&cw->stats->records_lost, 1);
	}
	c->told_packets = (uint32_t)(c->packets[0] + c->packets[1]);
	c->told_ms = (uint32_t)cw->now_ms;
	c->bits |= CT_TOLD;
}

void ct_tell(struct walker *w)
{
	struct ct_worker *cw = &w->ct->worker[w->worker];

	w->untold = false;
	if (cw->records_next != cw->records_tail)
		fp_publish(&cw->records_tail, cw->records_next);
}
