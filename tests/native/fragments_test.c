// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Fragments and ICMP errors through a whole pipeline with connection tracking.

#include "ct_bed.h"

static uint8_t frame[4096], out[4096];

// One fragment of a datagram CLIENT:1000 -> SERVER:dport; numbered by its payload's first byte.
static void send_fragment(unsigned int dport, unsigned int id, uint32_t at, uint32_t bytes, bool more)
{
	put_eth(frame, 0x0800);
	put_ip4(frame + 14, CLIENT, SERVER, 17, bytes);
	put16(frame + 18, id);
	put16(frame + 20, (more ? 0x2000u : 0) | at / 8);
	ip4_checksum(frame + 14);
	memset(frame + 34, (int)(at / 8), bytes);
	if (!at) {
		put16(frame + 34, 1000);
		put16(frame + 36, dport);
		put16(frame + 38, 3000);
		put16(frame + 40, 0);
	}
	bed_send(0, frame, 34 + bytes);
}

// The next frame at the server is the fragment at this offset.
static bool arrives(uint32_t at)
{
	return bed_receive(1, out, sizeof(out)) && (get16(out + 20) & 0x1fff) == at / 8 &&
	       (!at || out[34] == (uint8_t)(at / 8));
}

static bool nothing_arrives(void)
{
	return !bed_receive(1, out, sizeof(out));
}

static uint64_t held(void)
{
	return fp.workers[0].stats->held;
}

static void test_orders(void)
{
	struct steer_ct_cfg cfg = lab_cfg();

	lab_build(&cfg);
	lab_allow(53);
	send_fragment(53, 1, 0, 160, true);
	send_fragment(53, 1, 160, 160, true);
	lab_poll();
	ok(arrives(0) && arrives(160) && nothing_arrives(), "in order they pass");
	send_fragment(53, 1, 320, 8, false);
	lab_poll();
	ok(arrives(320) && out[34] == 40 && get16(out + 16) == 28, "unchanged");
	ok(lab_stats()->live == 1 && lab_stats()->opened == 1, "as one connection");
	send_fragment(53, 2, 320, 8, false);
	send_fragment(53, 2, 160, 160, true);
	lab_poll();
	ok(nothing_arrives() && held() == 2 && lab_stats()->fragments == 2, "early ones are held");
	send_fragment(53, 2, 0, 160, true);
	lab_poll();
	ok(arrives(0) && arrives(320) && arrives(160) && nothing_arrives(), "until the first one comes");
	ok(!held() && !lab_stats()->fragments, "none is held any more");
	// A denied datagram's: all of them.
	send_fragment(99, 3, 160, 8, false);
	send_fragment(99, 3, 0, 160, true);
	lab_poll();
	ok(nothing_arrives() && lab_dropped(CLIENT, STEER_DROP_POLICY) == 2,
		"denied ones are dropped by policy");
	send_fragment(53, 4, 0, 160, true);
	send_fragment(53, 4, 152, 16, true);
	send_fragment(53, 4, 160, 8, false);
	lab_poll();
	ok(arrives(0) && nothing_arrives() && lab_dropped(CLIENT, STEER_DROP_FRAGMENT_OVERLAP) == 2,
		"an overlap ends a datagram");
	send_fragment(53, 5, 160, 8, false);
	lab_poll();
	ok(held() == 1, "one without a first one");
	lab_tear_down();
	ok(!held() && lab_dropped(CLIENT, STEER_DROP_FRAGMENT_LOST) == 1, "is given up with the pipe");
}

static void test_bounds(void)
{
	struct steer_ct_cfg cfg = lab_cfg();

	cfg.max_fragments = 8;
	lab_build(&cfg);
	lab_allow(53);
	for (unsigned int id = 0; id < 2000; id++) {
		send_fragment(53, id, 160, 8, false);
		if (id % 100 == 99)
			lab_poll();
	}
	ok(held() == 4, "a port holds half of them (%lu)", (unsigned long)held());
	ok(lab_dropped(CLIENT, STEER_DROP_FRAGMENT_LOST) == 1 + 1996, "the rest is dropped");
	ok(lab_udp(CLIENT, SERVER, 1, 53), "whole ones pass");
	lab_tear_down();
}

// A burst of first fragments releases more than a burst.
static void test_many(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	unsigned int n = 0;

	lab_build(&cfg);
	lab_allow(53);
	for (unsigned int id = 0; id < 20; id++)
		for (uint32_t at = 8; at < 8 * 21; at += 8)
			send_fragment(53, id, at, 8, at < 160);
	lab_poll();
	ok(held() == 400, "400 are held");
	for (unsigned int id = 0; id < 20; id++)
		send_fragment(53, id, 0, 8, true);
	lab_poll();
	while (bed_receive(1, out, sizeof(out)))
		n++;
	ok(n == 420 && !held(), "all pass (%u)", n);
	lab_tear_down();
}

// Flooded copies of a later fragment are fragments of the same datagram.
static void test_copies(void)
{
	struct spec *s = spec_new("flood", 0, STEER_PIPE_HASH, 2);
	struct steer_fwd jump = {.type = STEER_FWD_HASH, .algorithm = STEER_HASH_FLOODING};
	struct steer_ct_cfg cfg = lab_cfg();
	uint32_t flood, zone;
	unsigned int n = 0;
	struct work w;

	lab_build(&cfg);
	lab_allow(53);
	ok(!pipe_destroy(bed.space, lab.root, NULL), "another root");
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	flood = spec_create(s, NULL);
	for (uint32_t i = 0; i < 2; i++) {
		w = work_new(flood, NULL, 0, NULL, 0);
		w.head.index = i;
		work_fwd(&w, fwd_pipe(lab.ct));
		ok(!work_add(&w, NULL), "a copy");
	}
	s = spec_new("flooding root", 0, STEER_PIPE_BASIC, 1);
	jump.pipe = flood;
	s->head.flags = STEER_PIPE_ROOT;
	s->head.fwd = jump;
	zone = spec_create(s, NULL);
	w = work_new(zone, NULL, 0, NULL, 0);
	ok(!work_add(&w, NULL), "all is flooded");
	send_fragment(53, 1, 0, 160, true);
	send_fragment(53, 1, 160, 8, false);
	lab_poll();
	while (bed_receive(1, out, sizeof(out)))
		n++;
	ok(n == 4, "each twice (%u)", n);
	fp.ports[1].mtu = 100;
	bed_send(0, frame, frame_udp(frame, CLIENT, SERVER, 1000, 53, 200));
	lab_poll();
	ok(!bed_receive(0, out, sizeof(out)) && bed_drops(0, STEER_DROP_MTU) == 2,
		"the sender is not told of copies that are too big");
	fp.ports[1].mtu = 1500;
	ok(!pipe_destroy(bed.space, zone, NULL) && !pipe_destroy(bed.space, flood, NULL), "destroyed");
	lab.root = lab_root(lab.ct);
	lab_tear_down();
}

// A destination unreachable from an address, in by its port or another one, about UDP CLIENT:sport -> SERVER:53.
static bool error_arrives(uint32_t from, uint16_t port, unsigned int sport)
{
	put_eth(frame, 0x0800);
	put_ip4(frame + 42, CLIENT, SERVER, 17, 28);
	put_udp(frame + 42, frame + 62, sport, 53, 20);
	put_ip4(frame + 14, from, CLIENT, 1, 8 + 28);
	memset(frame + 34, 0, 8);
	frame[34] = 3;
	l4_fill(frame + 14, frame + 34, 1, 8 + 28);
	bed_send(port, frame, 70);
	lab_poll();
	return bed_receive(0, out, sizeof(out)) == 70;
}

static void test_errors(void)
{
	enum { ROUTER = 0x0a0000fe };
	struct steer_ct_cfg cfg = lab_cfg();
	struct steer_ct_epoch epoch = {.revision = 2, .flags = STEER_CT_EPOCH_ALL};
	uint64_t before;

	lab_build(&cfg);
	lab_allow(53);
	before = lab_dropped(OTHER, STEER_DROP_CT_UNTRACKABLE);
	ok(lab_udp(CLIENT, SERVER, 1000, 53), "a connection");
	ok(error_arrives(SERVER, 1, 1000), "its target may say that it failed");
	ok(error_arrives(ROUTER, 1, 1000), "so may a router on the way");
	ok(lab_stats()->related == 2, "as related");
	ok(!error_arrives(SERVER, 1, 1001), "about others they may not");
	ok(!error_arrives(OTHER, 2, 1000) && !error_arrives(ROUTER, 2, 1000), "nor somebody elsewhere");
	ok(lab_dropped(OTHER, STEER_DROP_CT_UNTRACKABLE) == before + 2, "that is their reason");
	lab_withdraw(53);
	ok(!ct_epoch(1, &epoch, NULL, NULL), "the policy forbids it now");
	ok(!error_arrives(SERVER, 1, 1000) && lab_stats()->live == 0,
		"the connection is judged before its errors");
	lab_tear_down();

	cfg.router_u32 = 3; // which nothing sets here: all senders are bound by address
	lab_build(&cfg);
	lab_allow(53);
	ok(lab_udp(CLIENT, SERVER, 1000, 53), "a connection");
	ok(error_arrives(SERVER, 1, 1000), "its target is heard");
	ok(!error_arrives(OTHER, 1, 1000), "not who shares its port");
	lab_tear_down();
}

int main(void)
{
	bed_start(3);
	test_orders();
	test_bounds();
	test_many();
	test_copies();
	test_errors();
	bed_conserves(0);
	bed_stop();
	return tap_done();
}
