// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// A segmentation program in small, around an autonomous CT pipe: root (zone) -> ct; its policy: source and destination
// identity by address, then service by destination port; its forwarding: port by destination address.
#pragma once

#include "fp_support.h"

#include "ct.h"
#include "frames.h"

enum {
	CLIENT = 0x0a000001, // 10.0.0.1 at port 0, identity 4 << 2
	SERVER = 0x0a000002, // 10.0.0.2 at port 1, identity 5 << 2
	OTHER = 0x0a000003,  // 10.0.0.3 at port 2, identity 6 << 2
	ZONE = 7,
	TAG_ALLOW = 1000, // + destination port
	TAG_DENY = 2000,  // of the catch-all
};

struct ct_bed {
	uint32_t root, ct, src, dst, service, forward;
	uint32_t allowed[65536]; // entry by destination port, counted from 1
	struct entry_result counter[65536];
};
static struct ct_bed lab;

__attribute__((unused)) static uint32_t lab_pipe(
	const char *name, uint16_t field, uint16_t set, struct steer_fwd fwd)
{
	struct steer_action to = {.kind = STEER_ACT_SET,
		.field = set,
		.flags = STEER_ACT_CHANGEABLE,
		.mask = {255, 255, 255, 255}};
	struct spec *s = spec_new(name, 0, STEER_PIPE_BASIC, 1024);

	s->head.fwd = fwd;
	s->head.fwd_miss = fwd_drop;
	spec_match(s, field, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	if (set) {
		spec_template(s);
		spec_action(s, to, 4);
	}
	return spec_create(s, NULL);
}

static uint32_t lab_identity(uint32_t address)
{
	return (address - CLIENT + 4) << 2;
}

static void lab_address(uint32_t pipe, uint32_t address, uint32_t identity)
{
	uint8_t key[4], args[4];
	struct work w;

	put32(key, address);
	put32(args, identity);
	w = work_new(pipe, key, 4, args, 4);
	ok(!work_add(&w, NULL), "an address has an identity");
}

// Allows a destination port (or denies it with a forward of another kind).
__attribute__((unused)) static void lab_service(unsigned int port, struct steer_fwd fwd, uint64_t tag)
{
	uint8_t key[2];
	struct work w;

	put16(key, port);
	w = work_new(lab.service, key, 2, NULL, 0);
	w.head.tag = tag;
	work_counter(&w);
	work_fwd(&w, fwd);
	lab.allowed[port] = w.head.entry + 1;
	ok(!work_add(&w, &lab.counter[port]), "service %u", port);
}

__attribute__((unused)) static void lab_allow(unsigned int port)
{
	lab_service(port, fwd_pipe(lab.forward), TAG_ALLOW + port);
}

__attribute__((unused)) static void lab_withdraw(unsigned int port)
{
	struct entry_result result;

	ok(!entry_remove(bed.space, lab.allowed[port] - 1, &result), "service %u is withdrawn", port);
}

__attribute__((unused)) static struct steer_ct_cfg lab_cfg(void)
{
	return (struct steer_ct_cfg){.flags = STEER_CT_AUTONOMOUS,
		.capacity = 1024,
		.denied_capacity = 256,
		.zone_u32 = 4,
		.src_u32 = 5,
		.dst_u32 = 6,
		.router_u32 = STEER_CT_META_NONE,
		.record_interval_ms = 10000,
		.revision = 1};
}

__attribute__((unused)) static uint32_t lab_ct(
	const struct steer_ct_cfg *cfg, uint32_t hit, uint32_t miss, int *err)
{
	struct spec *s = spec_new("ct", 0, STEER_PIPE_CT, 1);

	s->head.fwd = fwd_pipe(hit);
	s->head.fwd_miss = fwd_pipe(miss);
	spec_data(s, cfg, sizeof(*cfg));
	return spec_create(s, err);
}

static uint32_t lab_root(uint32_t ct)
{
	struct steer_action zone = {.kind = STEER_ACT_SET,
		.field = STEER_F_META_U32_4,
		.value = {0, 0, 0, ZONE},
		.mask = {255, 255, 255, 255}};
	struct spec *s = spec_new("root", 0, STEER_PIPE_BASIC, 1);
	struct work w;
	uint32_t pipe;

	s->head.flags = STEER_PIPE_ROOT;
	s->head.fwd = fwd_pipe(ct);
	spec_template(s);
	spec_action(s, zone, 0);
	pipe = spec_create(s, NULL);
	w = work_new(pipe, NULL, 0, NULL, 0);
	ok(!work_add(&w, NULL), "all goes to connection tracking");
	return pipe;
}

__attribute__((unused)) static void lab_build(const struct steer_ct_cfg *cfg)
{
	for (unsigned int i = 0; i < 3; i++)
		fp.ports[i].root_port = 0;
	lab.forward = lab_pipe(
		"forward", STEER_F_OUTER_IP4_DST, 0, (struct steer_fwd){.type = STEER_FWD_CHANGEABLE});
	lab.service = lab_pipe(
		"service", STEER_F_OUTER_L4_DST_PORT, 0, (struct steer_fwd){.type = STEER_FWD_CHANGEABLE});
	lab.dst = lab_pipe("dst", STEER_F_OUTER_IP4_DST, STEER_F_META_U32_6, fwd_pipe(lab.service));
	lab.src = lab_pipe("src", STEER_F_OUTER_IP4_SRC, STEER_F_META_U32_5, fwd_pipe(lab.dst));
	lab.ct = lab_ct(cfg, lab.forward, lab.src, NULL);
	require(lab.forward && lab.service && lab.dst && lab.src && lab.ct, "the program is made");
	for (uint32_t i = 0; i < 3; i++) {
		uint8_t key[4];
		struct work w;

		put32(key, CLIENT + i);
		w = work_new(lab.forward, key, 4, NULL, 0);
		work_fwd(&w, fwd_port((uint16_t)i));
		ok(!work_add(&w, NULL), "an address has a port");
		lab_address(lab.src, CLIENT + i, lab_identity(CLIENT + i));
		lab_address(lab.dst, CLIENT + i, lab_identity(CLIENT + i));
	}
	lab.root = lab_root(lab.ct);
}

__attribute__((unused)) static void lab_tear_down(void)
{
	uint32_t pipes[] = {lab.root, lab.ct, lab.src, lab.dst, lab.service, lab.forward};

	for (unsigned int i = 0; i < RTE_DIM(pipes); i++)
		ok(!pipe_destroy(bed.space, pipes[i], NULL), "pipe is destroyed");
	bed_settle();
	while (ct_control_turn())
		;
	memset(&lab, 0, sizeof(lab));
}

__attribute__((unused)) static void lab_poll(void)
{
	while (worker_poll(&fp.workers[0]))
		;
}

// Frames that left by a port, thrown away.
__attribute__((unused)) static unsigned int lab_out(uint16_t port)
{
	uint8_t out[2048];
	unsigned int n = 0;

	while (bed_receive(port, out, sizeof(out)))
		n++;
	return n;
}

static uint16_t lab_port(uint32_t address)
{
	return (uint16_t)(address - CLIENT);
}

__attribute__((unused)) static bool lab_udp(
	uint32_t src, uint32_t dst, unsigned int sport, unsigned int dport)
{
	uint8_t frame[256];

	bed_send(lab_port(src), frame, frame_udp(frame, src, dst, sport, dport, 20));
	lab_poll();
	return lab_out(lab_port(dst)) == 1;
}

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

struct tcp {
	uint32_t src, dst;
	unsigned int sport, dport;
	unsigned int flags;
	uint32_t seq, ack;
	unsigned int window; // 0 = 8192
	unsigned int bytes;
	int scale; // of a SYN, counted from 1
};

__attribute__((unused)) static uint32_t lab_tcp_frame(uint8_t *f, const struct tcp *t)
{
	unsigned int options = t->flags & SYN && t->scale ? 4 : 0, l4 = 20 + options + t->bytes;

	put_eth(f, 0x0800);
	put_ip4(f + 14, t->src, t->dst, 6, l4);
	memset(f + 34, 0, 20);
	put16(f + 34, t->sport);
	put16(f + 36, t->dport);
	put32(f + 38, t->seq);
	put32(f + 42, t->ack);
	f[46] = (uint8_t)((20 + options) / 4 << 4);
	f[47] = (uint8_t)t->flags;
	put16(f + 48, t->window ? t->window : 8192);
	if (options)
		memcpy(f + 54, (uint8_t[]){1, 3, 3, (uint8_t)(t->scale - 1)}, 4);
	put_payload(f + 54 + options, t->bytes);
	l4_fill(f + 14, f + 34, 6, l4);
	return 34 + l4;
}

// Sends it; whether it arrived.
__attribute__((unused)) static bool lab_tcp(struct tcp t)
{
	static uint8_t frame[70000];

	bed_send(lab_port(t.src), frame, lab_tcp_frame(frame, &t));
	lab_poll();
	return lab_out(lab_port(t.dst)) == 1;
}

static const struct stats_ct *lab_stats(void)
{
	return &fp.workers[0].stats->ct;
}

// Lets ms go by.
__attribute__((unused)) static void lab_wait(uint64_t ms)
{
	ct_clock_skew_ms += ms;
	lab_poll();
	lab_poll();
}

__attribute__((unused)) static unsigned int lab_records(struct steer_flow_record *records, unsigned int max)
{
	return ct_take_records(records, max);
}

__attribute__((unused)) static uint64_t lab_dropped(uint32_t address, enum steer_drop reason)
{
	return bed_drops(lab_port(address), reason);
}

__attribute__((unused)) static bool lab_balance(void)
{
	const struct stats_ct *s = lab_stats();

	return s->opened + s->adopted == s->live + s->closed;
}
