// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What becomes of a packet at the CT pipe, decided without doing it: workers act on it, trace tells it.

#include <netinet/in.h>
#include <string.h>

#include "ct_private.h"

// --- Packets without a connection -----------------------------------------------------------------------------------

// older: only windows that were opened after this connection count; NULL = any.
static bool may_adopt(const struct ct *ct, uint64_t now_ms, const struct packet *p, const struct ct_key *key,
	const struct ct_conn *older)
{
	const struct ct_adopt_list *list = fp_read_acquire(&ct->adopt);
	uint32_t zone = (uint32_t)key->k[0];
	struct ct_tuple t;

	if ((ct_flags_of(p) & (CT_TCP_SYN | CT_TCP_ACK | CT_TCP_RST)) != CT_TCP_ACK || !list)
		return false;
	ct_tuple_of_packet(p, &t);
	for (unsigned int i = 0; i < list->nr; i++) {
		const struct ct_adopt_window *a = &list->window[i];

		if (a->until_ms <= now_ms)
			continue;
		if (older && a->since_ms < older->opened_ms)
			continue;
		if (!a->version)
			return true;
		if (a->version == t.version && a->zone == zone &&
			(!memcmp(a->address, t.src, 16) || !memcmp(a->address, t.dst, 16)))
			return true;
	}
	return false;
}

bool ct_rejoins(const struct ct *ct, uint64_t now_ms, const struct packet *p, const struct ct_key *key,
	unsigned int direction, const struct ct_segment *segment, struct ct_conn *c)
{
	// What was closed was closed: a late segment does not make it live again.
	if (c->state == STEER_CT_TCP_TIME_WAIT || c->state == STEER_CT_TCP_CLOSE ||
		!may_adopt(ct, now_ms, p, key, c))
		return false;
	ct_tcp_adopt(c, direction, segment);
	return true;
}

enum ct_step ct_step_without(const struct ct *ct, uint64_t now_ms, const struct packet *p,
	const struct ct_key *key, unsigned int from_high)
{
	// Of a datagram whose first fragment has left no connection.
	if (unlikely(!p->layer[0].first))
		return CT_STEP_UNTRACKABLE;
	if (likely(ct_opens(p, key, from_high)))
		return CT_STEP_NEW;
	if (ct_key_protocol(key) != IPPROTO_TCP)
		return CT_STEP_UNTRACKABLE;
	return may_adopt(ct, now_ms, p, key, NULL) ? CT_STEP_ADOPT : CT_STEP_INVALID;
}

enum ct_step ct_step_of(const struct ct *ct, uint64_t now_ms, uint32_t epoch, enum ct_kind kind,
	const struct packet *p, const struct ct_key *key, unsigned int from_high, struct ct_conn *c)
{
	bool denial = c && ct_key_mark(&c->key) != CT_MARK_CONNECTION;

	switch (kind) {
	case CT_KIND_MALFORMED:
		return CT_STEP_MALFORMED;
	case CT_KIND_UNTRACKABLE:
		return CT_STEP_UNTRACKABLE;
	case CT_KIND_ERROR:
		return c && !denial ? CT_STEP_RELATED : CT_STEP_UNTRACKABLE;
	case CT_KIND_TRACKED:
		break;
	}
	if (c && !denial)
		return CT_STEP_CONNECTION;
	if (c && !(c->epoch != epoch && ct_stale(ct, c, epoch)) &&
		!(c->bits & CT_ECHO && ct_opens(p, key, from_high)))
		return CT_STEP_DENIED;
	return ct_step_without(ct, now_ms, p, key, from_high);
}

// --- New connections ------------------------------------------------------------------------------------------------

enum steer_drop ct_refuses(const struct ct *ct, uint64_t now_ms, uint32_t identity, bool half_open, bool full)
{
	enum steer_drop why = ct->limited ? ct_limit_check(ct, now_ms, identity, half_open) : STEER_DROP_NONE;

	if (!why && full && ct->cfg.full == STEER_CT_FULL_REFUSE)
		why = STEER_DROP_CT_FULL;
	return why;
}

void ct_fill(struct ct_conn *c, const struct packet *p, bool reversed)
{
	const uint8_t *eth = p->base[REGION_ETH];

	c->in_port = p->in_port;
	c->out_port = STEER_PORT_NONE;
	if (packet_has(p, REGION_VLAN0))
		c->vlan = (uint16_t)(p->base[REGION_VLAN0][0] << 8 | p->base[REGION_VLAN0][1]);
	memcpy(reversed ? c->src_mac : c->dst_mac, eth, 6);
	memcpy(reversed ? c->dst_mac : c->src_mac, eth + 6, 6);
	if (packet_has(p, REGION_ICMP)) {
		c->icmp_type = p->base[REGION_ICMP][0];
		c->icmp_code = p->base[REGION_ICMP][1];
	}
}

void ct_adoption_ask(struct walker *w, const struct ct *ct, struct ct_scratch *scratch, struct ct_conn *both,
	const struct packet *p, const struct ct_key *key, unsigned int from_high, struct ct_adoption *out)
{
	const struct ct_conn *asked[2] = {&both[0], &both[1]};
	struct ct_tuple t;

	for (unsigned int i = 0; i < 2; i++) {
		memset(&both[i], 0, sizeof(both[i]));
		both[i].key = *key;
		ct_fill(&both[i], p, i);
		both[i].bits = (from_high ^ i) ? CT_HIGH_OPENS : 0;
	}
	ct_judge(w, ct, scratch, asked, 2, out->verdict);
	out->allowed = out->verdict[0].allowed || out->verdict[1].allowed;
	ct_tuple_of_packet(p, &t);
	out->reversed = out->verdict[0].allowed && out->verdict[1].allowed
				? ntohs(t.src_port) < ntohs(t.dst_port)
				: out->verdict[1].allowed;
}

// --- Errors ---------------------------------------------------------------------------------------------------------

static bool comes_from_end(const struct packet *p, const struct ct_key *key, unsigned int high)
{
	if (ct_key_version(key) == 6)
		return !memcmp(p->base[REGION_IP6] + 8, &key->k[2 + 2 * high], 16);
	return !memcmp(p->base[REGION_IP4] + 12, (const uint8_t *)&key->k[2] + 4 * high, 4);
}

bool ct_error_is_heard(
	const struct ct *ct, const struct packet *p, const struct ct_conn *c, unsigned int from_high)
{
	uint8_t word = ct->cfg.router_u32;

	if (comes_from_end(p, &c->key, !from_high))
		return true;
	if (p->in_port != (ct_direction(c, from_high) ? c->in_port : c->out_port))
		return false;
	return word == STEER_CT_META_NONE || p->meta.u32[word];
}
