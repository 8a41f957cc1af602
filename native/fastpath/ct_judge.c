// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The policy stage as a subroutine: packets walk from the CT pipe's miss until they reach its fwd, which is the policy's
// "allow", or get another verdict. Who must be judged again is asked for with a made-up first packet of its opener, which
// counts nowhere and takes no tokens.

#include <netinet/in.h>
#include <string.h>

#include "ct_private.h"
#include "parse.h"

enum { TYPE_VLAN = 0x8100, TYPE_IP4 = 0x0800, TYPE_IP6 = 0x86dd, HOPS = 64 };

void ct_policy_walk(struct walker *w, const struct ct *ct, struct packet **packets, unsigned int n, bool live)
{
	const struct fwd *miss = walk_miss_of(w, ct->pipe);
	bool was = w->live;

	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = packets[i];

		p->tag = 0;
		p->reject = 0;
		p->algorithm = STEER_HASH_DEFAULT;
		p->fresh = live && w->cache;
		if (likely(miss && miss->type == STEER_FWD_PIPE))
			p->pipe = miss->pipe;
		else
			packet_drop(p, STEER_DROP_BAD_FWD);
	}
	w->live = live;
	w->stop = ct->pipe->fwd.pipe;
	w->fresh = live && w->cache;
	if (live)
		walk_run(w, packets, n);
	else
		walk_trace(w, packets, n);
	w->stop = NULL;
	w->live = was;
	stage_to(&w->stage, STEER_STAGE_CONNECTIONS);
}

static uint32_t identity(const struct packet *p, uint8_t u32)
{
	return u32 == STEER_CT_META_NONE ? 0 : ntohl(p->meta.u32[u32]);
}

void ct_verdict_of(const struct ct *ct, const struct packet *p, struct ct_verdict *out)
{
	*out = (struct ct_verdict){
		.allowed = p->verdict == PACKET_ALLOWED,
		.verdict = p->verdict,
		.tag = p->tag,
		.src_identity = identity(p, ct->cfg.src_u32),
		.dst_identity = identity(p, ct->cfg.dst_u32),
	};
	if (p->verdict != PACKET_DROP)
		return;
	out->reject = p->reject;
	out->drop = p->reason == STEER_DROP_PIPE || p->reason == STEER_DROP_DEFAULT_MISS ? STEER_DROP_POLICY
											 : p->reason;
}

// --- Made-up packets ------------------------------------------------------------------------------------------------

static uint8_t *put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

static uint8_t *put(uint8_t *at, const void *from, size_t bytes)
{
	memcpy(at, from, bytes);
	return at + bytes;
}

// Bytes of the header behind IP.
static unsigned int put_l4(uint8_t *at, const struct ct_tuple *t, uint8_t icmp_code)
{
	memset(at, 0, 20);
	switch (t->protocol) {
	case IPPROTO_TCP:
		at[12] = 5 << 4;
		at[13] = CT_TCP_SYN;
		put16(at + 14, 0xffff);
		break;
	case IPPROTO_UDP:
		put16(at + 4, 8);
		break;
	case IPPROTO_SCTP:
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		at[0] = t->icmp_type;
		at[1] = icmp_code;
		memcpy(at + 4, &t->src_port, 2);
		return 8;
	default:
		return 8;
	}
	memcpy(at, &t->src_port, 2);
	memcpy(at + 2, &t->dst_port, 2);
	return t->protocol == IPPROTO_TCP ? 20 : t->protocol == IPPROTO_UDP ? 8 : 12;
}

static unsigned int put_frame(uint8_t *frame, const struct ct_conn *c, const struct ct_tuple *t)
{
	uint8_t *at = put(put(frame, c->dst_mac, 6), c->src_mac, 6), *ip;
	unsigned int l4;

	if (c->vlan)
		at = put16(put16(at, TYPE_VLAN), c->vlan);
	ip = put16(at, t->version == 4 ? TYPE_IP4 : TYPE_IP6);
	if (t->version == 4) {
		memset(ip, 0, 20);
		ip[0] = 0x45;
		ip[8] = HOPS;
		ip[9] = t->protocol;
		memcpy(ip + 12, t->src, 4);
		memcpy(ip + 16, t->dst, 4);
		l4 = put_l4(ip + 20, t, c->icmp_code);
		put16(ip + 2, (uint16_t)(20 + l4));
		return (unsigned int)(ip - frame) + 20 + l4;
	}
	memset(ip, 0, 8);
	ip[0] = 0x60;
	ip[6] = t->protocol;
	ip[7] = HOPS;
	memcpy(ip + 8, t->src, 16);
	memcpy(ip + 24, t->dst, 16);
	l4 = put_l4(ip + 40, t, c->icmp_code);
	put16(ip + 4, (uint16_t)l4);
	return (unsigned int)(ip - frame) + 40 + l4;
}

struct packet *ct_scratch_of(struct ct_scratch *s, const struct ct_conn *c)
{
	struct packet *p = &s->p;
	struct ct_tuple tuple;
	unsigned int bytes;

	ct_tuple_of(c, &tuple);
	memset(&s->m, 0, sizeof(s->m));
	bytes = put_frame(s->buffer + FP_HEADROOM, c, &tuple);
	s->m.buf_addr = s->buffer;
	s->m.buf_len = sizeof(s->buffer);
	s->m.data_off = FP_HEADROOM;
	s->m.data_len = (uint16_t)bytes;
	s->m.pkt_len = bytes;
	s->m.nb_segs = 1;
	s->m.refcnt = 1;
	if (!p->base[REGION_META])
		packet_init(p);
	p->m = &s->m;
	packet_begin(p, c->in_port);
	p->depth = 1; // of the CT pipe
	packet_load(p, s->buffer + FP_HEADROOM, bytes, bytes);
	packet_meta_reset(p, fp_read(&fp.ports[c->in_port].doca_port_id));
	packet_parse(p);
	return p;
}

void ct_judge(struct walker *w, const struct ct *ct, struct ct_scratch *scratch,
	const struct ct_conn *const *conns, unsigned int n, struct ct_verdict *verdicts)
{
	struct packet *packets[FP_LOOKUP];

	for (unsigned int i = 0; i < n; i++) {
		packets[i] = ct_scratch_of(&scratch[i], conns[i]);
		if (ct->cfg.zone_u32 != STEER_CT_META_NONE)
			packets[i]->meta.u32[ct->cfg.zone_u32] = (uint32_t)conns[i]->key.k[0];
	}
	ct_policy_walk(w, ct, packets, n, false);
	for (unsigned int i = 0; i < n; i++)
		ct_verdict_of(ct, packets[i], &verdicts[i]);
}
