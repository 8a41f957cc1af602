// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The same connections as appliance/bench/traffic.py writes frames of.

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const uint16_t services[] = {443, 8080, 5432, 6379};
static const uint8_t initiator_mac[6] = {2, 0, 0, 0, 0, 1}, responder_mac[6] = {2, 0, 0, 0, 0, 2};

struct connection connection_of(uint32_t i, bool reverse)
{
	struct connection c = {
		.src = htonl(0x0a000000 | (i % 64000 + 1)),
		.dst = htonl(0x0a800000 | (uint32_t)((uint64_t)i * 2654435761 % 4096 + 1)),
		.sport = htons((uint16_t)(1024 + (i / 64000 * 31 + i * 7919) % 60000)),
		.dport = htons(services[i % 4]),
	};

	if (reverse)
		c = (struct connection){.src = c.dst, .dst = c.src, .sport = c.dport, .dport = c.sport};
	return c;
}

struct connection connection_absent(uint32_t i)
{
	return (struct connection){
		.src = htonl(0x0b000000 | (i >> 4)),
		.dst = htonl(0x0b800001),
		.sport = htons((uint16_t)(1024 + (i & 15))),
		.dport = htons(443),
	};
}

void connection_match(struct doca_flow_match *match, const struct connection *c, bool reverse)
{
	memset(match, 0, sizeof(*match));
	match->outer.eth.type = htons(0x0800);
	memcpy(match->outer.eth.dst_mac, reverse ? initiator_mac : responder_mac, 6);
	match->outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	match->outer.ip4.next_proto = 17;
	match->outer.ip4.src_ip = c->src;
	match->outer.ip4.dst_ip = c->dst;
	match->outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_UDP;
	match->outer.udp.l4_port.src_port = c->sport;
	match->outer.udp.l4_port.dst_port = c->dport;
}

void connection_shape(struct doca_flow_match *match, uint32_t fields)
{
	memset(match, 0, sizeof(*match));
	if (fields & FIELD_ETHER)
		match->outer.eth.type = 0xffff;
	if (fields & FIELD_MAC)
		memset(match->outer.eth.dst_mac, 0xff, 6);
	if (fields & (FIELD_PROTO | FIELD_SRC | FIELD_DST))
		match->outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	if (fields & FIELD_PROTO)
		match->outer.ip4.next_proto = 0xff;
	if (fields & FIELD_SRC)
		match->outer.ip4.src_ip = 0xffffffff;
	if (fields & FIELD_DST)
		match->outer.ip4.dst_ip = 0xffffffff;
	if (fields & (FIELD_SPORT | FIELD_DPORT))
		match->outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_UDP;
	if (fields & FIELD_SPORT)
		match->outer.udp.l4_port.src_port = 0xffff;
	if (fields & FIELD_DPORT)
		match->outer.udp.l4_port.dst_port = 0xffff;
}

static int compare_connections(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct connection));
}

struct connection *connection_distinct(uint32_t flows, bool reverse, uint32_t fields, uint32_t *nr)
{
	struct connection *all = allocate(flows, sizeof(*all));
	uint32_t kept = 0;

	for (uint32_t i = 0; i < flows; i++) {
		all[i] = connection_of(i, reverse);
		if (!(fields & FIELD_SRC))
			all[i].src = 0;
		if (!(fields & FIELD_DST))
			all[i].dst = 0;
		if (!(fields & FIELD_SPORT))
			all[i].sport = 0;
		if (!(fields & FIELD_DPORT))
			all[i].dport = 0;
	}
	qsort(all, flows, sizeof(*all), compare_connections);
	for (uint32_t i = 0; i < flows; i++)
		if (!kept || compare_connections(&all[i], &all[kept - 1]))
			all[kept++] = all[i];
	*nr = kept;
	return all;
}
