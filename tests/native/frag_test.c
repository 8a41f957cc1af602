// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Virtual reassembly: odd orders, overlaps, bounds and floods, on plain memory.

#include <stdlib.h>
#include <string.h>

#include "frag.h"
#include "frames.h"
#include "parse.h"
#include "stats_wire.h"
#include "tap.h"

enum { HZ = 1000, MOST = 100 };

static struct frag_table *table;
static struct packet packet;
static uint8_t frame[65536];
static uint64_t now;

// One fragment of a UDP datagram 10.0.0.1:4000 -> 10.0.0.2:53 with `bytes` payload bytes at `at`.
static uint32_t put_fragment(unsigned int id, uint32_t at, uint32_t bytes, bool more)
{
	put_eth(frame, 0x0800);
	put_ip4(frame + 14, 0x0a000001, 0x0a000002, 17, bytes);
	put16(frame + 18, id);
	put16(frame + 20, (more ? 0x2000u : 0) | at / 8);
	ip4_checksum(frame + 14);
	memset(frame + 34, 0, bytes);
	if (!at) {
		put16(frame + 34, 4000);
		put16(frame + 36, 53);
	}
	return 34 + bytes;
}

// The same, carried between VTEPs.
static uint32_t put_tunnelled(uint32_t target, unsigned int id, uint32_t at, uint32_t bytes, bool more)
{
	static const uint8_t vxlan[8] = {8, 0, 0, 0, 0, 0, 7, 0};
	uint32_t length = put_fragment(id, at, bytes, more);

	memmove(frame + 50, frame, length);
	put_eth(frame, 0x0800);
	put_ip4(frame + 14, 0xc0000201, target, 17, 16 + length);
	put16(frame + 34, 49152);
	put16(frame + 36, 4789);
	put16(frame + 38, 16 + length);
	put16(frame + 40, 0);
	memcpy(frame + 42, vxlan, 8);
	return 50 + length;
}

static uint32_t put_fragment6(uint32_t id, uint32_t at, uint32_t bytes, bool more)
{
	put_eth(frame, 0x86dd);
	put_ip6(frame + 14, 1, 2, 44, 8 + bytes);
	frame[54] = 17;
	frame[55] = 0;
	put16(frame + 56, at | more);
	put32(frame + 58, id);
	memset(frame + 62, 0, bytes);
	if (!at) {
		put16(frame + 62, 4000);
		put16(frame + 64, 53);
	}
	return 62 + bytes;
}

static enum frag_verdict judge_on(uint16_t port, uint32_t bytes, uintptr_t number)
{
	static uint8_t *copy;

	free(copy);
	copy = malloc(bytes);
	memcpy(copy, frame, bytes);
	packet_init(&packet);
	packet.in_port = port;
	packet_load(&packet, copy, bytes, bytes);
	if (packet_parse(&packet) ||
		!(packet.meta.layer[0].ip_fragmented || packet.meta.layer[1].ip_fragmented))
		abort();
	return frag_judge(table, &packet, (void *)number, MOST, now);
}

static enum frag_verdict judge(uint32_t bytes, uintptr_t number)
{
	return judge_on(0, bytes, number);
}

static bool dropped(enum frag_verdict verdict, enum steer_drop reason)
{
	return verdict == FRAG_DROPPED && packet.verdict == PACKET_DROP && packet.reason == reason;
}

static bool learnt(enum frag_verdict verdict)
{
	return verdict == FRAG_GOES_ON && packet.frag_protocol == 17 &&
	       get16((uint8_t *)&packet.frag_port[0]) == 4000 && get16((uint8_t *)&packet.frag_port[1]) == 53;
}

// The next one given back is this, to go on or for this reason.
static bool back(uintptr_t number, enum steer_drop reason)
{
	struct frag_back b;

	return frag_back(table, &b) && (uintptr_t)b.held == number && b.reason == reason &&
	       (reason || (b.protocol == 17 && get16((uint8_t *)&b.port[0]) == 4000));
}

static bool none_back(void)
{
	struct frag_back b;

	return !frag_back(table, &b);
}

static void empty(const char *after)
{
	frag_flush(table);
	while (!none_back())
		;
	ok(!frag_held(table) && !frag_datagrams(table), "nothing is left after %s", after);
}

static void test_in_order(void)
{
	ok(judge(put_fragment(1, 0, 1480, true), 1) == FRAG_GOES_ON, "a first fragment goes on");
	ok(learnt(judge(put_fragment(1, 1480, 1480, true), 2)), "the second knows its ports");
	ok(frag_datagrams(table) == 1, "one datagram");
	ok(learnt(judge(put_fragment(1, 2960, 11, false), 3)), "and the last");
	ok(!frag_datagrams(table), "which ends it");
	ok(judge(put_fragment(1, 0, 8, true), 1) == FRAG_GOES_ON, "its number can be used again");
	ok(learnt(judge(put_fragment(1, 8, 8, false), 1)), "and again");
	ok(!frag_datagrams(table), "at once");
}

static void test_odd_orders(void)
{
	ok(judge(put_fragment(2, 2960, 11, false), 3) == FRAG_HELD, "the last one first: held");
	ok(judge(put_fragment(2, 1480, 1480, true), 2) == FRAG_HELD, "the second: held");
	ok(frag_held(table) == 2 && none_back(), "both");
	ok(judge(put_fragment(2, 0, 1480, true), 1) == FRAG_GOES_ON, "the first goes on");
	ok(back(3, 0) && back(2, 0) && none_back(), "and they behind it, as they came");
	ok(!frag_held(table) && !frag_datagrams(table), "complete");
	// The middle one comes before the first, the last one behind.
	ok(judge(put_fragment(3, 1480, 1480, true), 2) == FRAG_HELD, "held");
	ok(judge(put_fragment(3, 0, 1480, true), 1) == FRAG_GOES_ON && back(2, 0), "released");
	ok(learnt(judge(put_fragment(3, 2960, 11, false), 3)) && !frag_datagrams(table), "complete");
}

static void test_overlaps(void)
{
	judge(put_fragment(4, 0, 1480, true), 1);
	ok(dropped(judge(put_fragment(4, 0, 1480, true), 1), STEER_DROP_FRAGMENT_OVERLAP), "twice the same");
	ok(dropped(judge(put_fragment(4, 8, 16, true), 1), STEER_DROP_FRAGMENT_OVERLAP),
		"a part of it again");
	ok(learnt(judge(put_fragment(4, 1480, 8, true), 1)), "harms no other");
	ok(dropped(judge(put_fragment(4, 1472, 24, true), 1), STEER_DROP_FRAGMENT_OVERLAP),
		"an overlap does");
	ok(dropped(judge(put_fragment(4, 4000, 24, true), 1), STEER_DROP_FRAGMENT_OVERLAP),
		"for all the rest");
	ok(judge(put_fragment(5, 0, 8, true), 1) == FRAG_GOES_ON, "of that datagram only");
	empty("overlaps");
	judge(put_fragment(6, 80, 80, true), 1);
	judge(put_fragment(6, 160, 80, true), 2);
	ok(dropped(judge(put_fragment(6, 0, 120, true), 3), STEER_DROP_FRAGMENT_OVERLAP),
		"the first one overlaps");
	ok(back(1, STEER_DROP_FRAGMENT_OVERLAP) && back(2, STEER_DROP_FRAGMENT_OVERLAP) && none_back(),
		"what was held goes too");
	empty("held overlaps");
	judge(put_fragment(7, 0, 80, true), 1);
	judge(put_fragment(7, 160, 8, false), 1);
	ok(dropped(judge(put_fragment(7, 168, 8, true), 1), STEER_DROP_FRAGMENT_OVERLAP),
		"beyond the last one");
	judge(put_fragment(8, 0, 80, true), 1);
	judge(put_fragment(8, 160, 8, false), 1);
	ok(dropped(judge(put_fragment(8, 80, 8, false), 1), STEER_DROP_FRAGMENT_OVERLAP), "two last ones");
	judge(put_fragment(9, 0, 80, true), 1);
	judge(put_fragment(9, 160, 80, true), 1);
	ok(dropped(judge(put_fragment(9, 80, 8, false), 1), STEER_DROP_FRAGMENT_OVERLAP),
		"a last one before what has come");
	empty("lengths");
}

static void test_bad(void)
{
	uint32_t bytes;

	ok(dropped(judge(put_fragment(10, 0, 12, true), 1), STEER_DROP_MALFORMED), "not a multiple of 8");
	ok(dropped(judge(put_fragment(10, 8, 0, false), 1), STEER_DROP_MALFORMED), "nothing in it");
	ok(dropped(judge(put_fragment(10, 65528, 16, true), 1), STEER_DROP_MALFORMED), "beyond 64 KiB");
	bytes = put_fragment(10, 8, 64, true);
	ok(dropped(judge(bytes - 10, 1), STEER_DROP_MALFORMED), "cut off");
	bytes = put_fragment(10, 0, 16, true);
	frame[23] = 6;
	ok(dropped(judge(bytes, 1), STEER_DROP_MALFORMED), "a TCP header in two fragments");
	empty("bad ones");
}

static void test_keys(void)
{
	uint32_t bytes;

	judge(put_fragment(11, 0, 8, true), 1);
	ok(judge_on(1, put_fragment(11, 8, 8, true), 2) == FRAG_HELD, "another port is another datagram");
	ok(judge(put_fragment(12, 8, 8, true), 2) == FRAG_HELD, "another number");
	bytes = put_fragment(11, 8, 8, true);
	frame[23] = 6;
	ok(judge(bytes, 2) == FRAG_HELD, "another protocol");
	put32(frame + 26, 0x0a000009);
	frame[23] = 17;
	ok(judge(bytes, 2) == FRAG_HELD, "another source");
	bytes = put_fragment(11, 8, 8, true);
	memmove(frame + 18, frame + 14, bytes - 14);
	put16(frame + 12, 0x8100);
	put16(frame + 14, 7);
	put16(frame + 16, 0x0800);
	ok(judge(bytes + 4, 2) == FRAG_HELD, "another VLAN");
	ok(learnt(judge(put_fragment(11, 8, 8, true), 2)), "the same");
	empty("keys");
}

// One datagram that was sent to two VTEPs is two.
static void test_tunnelled(void)
{
	ok(judge(put_tunnelled(0xc0000202, 21, 0, 8, true), 1) == FRAG_GOES_ON, "in a tunnel");
	ok(judge(put_tunnelled(0xc0000203, 21, 0, 8, true), 2) == FRAG_GOES_ON, "and in another");
	ok(learnt(judge(put_tunnelled(0xc0000202, 21, 8, 8, false), 3)), "each has its ports");
	ok(learnt(judge(put_tunnelled(0xc0000203, 21, 8, 8, false), 4)), "and its end");
	empty("tunnels");
}

static void test_ip6(void)
{
	ok(judge(put_fragment6(1, 1232, 1232, true), 2) == FRAG_HELD, "IPv6: held");
	ok(judge(put_fragment6(1, 0, 1232, true), 1) == FRAG_GOES_ON && back(2, 0), "released");
	ok(learnt(judge(put_fragment6(1, 2464, 5, false), 3)) && !frag_datagrams(table), "complete");
	ok(judge(put_fragment6(1 << 20, 8, 8, true), 2) == FRAG_HELD &&
			judge(put_fragment6(1 << 21, 0, 8, true), 2) == FRAG_GOES_ON && none_back(),
		"numbers of 32 bits");
	for (uint32_t at = 0; at < 16; at += 8) {
		uint32_t bytes = put_fragment6(3, at, 8, !at);

		memmove(frame + 62, frame + 54, bytes - 54);
		memset(frame + 54, 0, 8); // options in front
		frame[20] = 0;
		frame[54] = 44;
		put16(frame + 18, get16(frame + 18) + 8);
		ok(judge(bytes + 8, 5) == FRAG_GOES_ON, "behind options");
	}
	// What the first one carries is IPv6, and a later fragment of something itself.
	put_fragment6(4, 0, 64, true);
	frame[54] = 41;
	put_ip6(frame + 62, 3, 4, 44, 24);
	frame[102] = 17;
	frame[103] = 0;
	put16(frame + 104, 800);
	put32(frame + 106, 99);
	ok(judge(62 + 64, 1) == FRAG_GOES_ON, "the outer header says where a fragment belongs");
	ok(judge(put_fragment6(4, 64, 8, false), 2) == FRAG_GOES_ON && packet.frag_protocol == 41,
		"and so do those behind it");
	put_fragment6(2, 0, 8, true);
	frame[54] = 60; // destination options that do not end here
	frame[63] = 1;
	ok(dropped(judge(70, 1), STEER_DROP_MALFORMED), "headers in two fragments");
	empty("IPv6");
}

static void test_large(void)
{
	unsigned int n = 0;

	// 64 KiB in order and, but for what may be held, backwards.
	for (uint32_t at = 0; at < 65528; at += 1480)
		n += judge(put_fragment(20, at, 65528 - at < 1480 ? 65528 - at : 1480, at + 1480 < 65528),
			     n) == FRAG_GOES_ON;
	ok(n == 45 && !frag_datagrams(table), "a datagram of 64 KiB passes");
	n = 0;
	for (int at = 44 * 1480; at > 0; at -= 1480)
		n += judge(put_fragment(21, (uint32_t)at, at == 44 * 1480 ? 400 : 1480, at < 44 * 1480), n) ==
		     FRAG_HELD;
	ok(n == 44, "backwards: held");
	ok(judge(put_fragment(21, 0, 1480, true), 99) == FRAG_GOES_ON, "the first one");
	for (n = 0; back(n, 0); n++)
		;
	ok(n == 44 && !frag_datagrams(table) && !frag_held(table), "and all behind it");
	n = 0;
	for (uint32_t at = 8; at < 8 * 100; at += 8)
		n += judge(put_fragment(22, at, 8, true), n) == FRAG_HELD;
	ok(n == MOST / 2, "a port may have half of what is held (%u)", n);
	ok(dropped(judge(put_fragment(22, 8 * 200, 8, true), n), STEER_DROP_FRAGMENT_LOST), "no more");
	ok(judge_on(1, put_fragment(22, 8, 8, true), 1) == FRAG_HELD, "another port has its own half");
	empty("bounds");
}

static void test_time(void)
{
	uint32_t i = 0;

	now = 1000000;
	judge(put_fragment(30, 8, 8, true), 1);
	judge(put_fragment(31, 0, 8, true), 2);
	now += FRAG_WAIT_SECONDS * HZ - 1;
	frag_sweep(table, now);
	ok(frag_datagrams(table) == 2, "they wait");
	now += HZ;
	for (i = 0; i < 200; i++)
		frag_sweep(table, now);
	ok(back(1, STEER_DROP_FRAGMENT_LOST) && none_back() && frag_datagrams(table) == 1,
		"the first one did not come");
	ok(judge(put_fragment(30, 0, 8, true), 1) == FRAG_GOES_ON, "when it comes it is another datagram");
	now += FRAG_LIFE_SECONDS * HZ;
	for (i = 0; i < 200; i++) {
		frag_sweep(table, now);
		now += HZ;
	}
	ok(!frag_datagrams(table), "nor do the others for ever");
}

static void test_flood(void)
{
	unsigned int lost = 0, other = 0;
	struct frag_back b;

	judge_on(1, put_fragment(1, 0, 8, true), 1);
	judge_on(1, put_fragment(2, 8, 8, true), 77);
	for (unsigned int id = 0; id < 20000; id++) {
		judge(put_fragment(id, id & 1 ? 0 : 64, 8, true), 1000 + id);
		while (frag_back(table, &b)) {
			lost += b.reason == STEER_DROP_FRAGMENT_LOST;
			other += (uintptr_t)b.held == 77;
		}
		if (frag_datagrams(table) > FRAG_SLOTS || frag_held(table) > MOST)
			ok(false, "bounds at %u", id);
	}
	ok(lost > 0 && !other, "a flood drives out its own port's datagrams (%u)", lost);
	ok(learnt(judge_on(1, put_fragment(1, 8, 8, false), 1)), "another port's live on");
	ok(judge_on(1, put_fragment(2, 0, 8, true), 1) == FRAG_GOES_ON && back(77, 0), "held ones too");
	empty("a flood");
}

// Random fragments: never more goes on than what fits, every held one comes back once.
static void test_random(void)
{
	static uint8_t seen[70000];
	uintptr_t number = 1;
	unsigned int back_nr = 0, held = 0;
	struct frag_back b;
	bool twice = false;

	srandom(7);
	for (unsigned int i = 0; i < 60000; i++) {
		uint32_t at = (uint32_t)(random() % 40) * 8, bytes = (uint32_t)(1 + random() % 5) * 8;
		bool more = random() % 4, six = random() % 2;
		unsigned int id = (unsigned int)(random() % 300);
		uint32_t length =
			six ? put_fragment6(id, at, bytes, more) : put_fragment(id, at, bytes, more);

		if (!at && !more)
			continue; // no fragment
		held += judge_on((uint16_t)(random() % 3), length, number++) == FRAG_HELD;
		now += (uint64_t)(random() % 20);
		frag_sweep(table, now);
		while (frag_back(table, &b)) {
			twice |= seen[(uintptr_t)b.held]++;
			back_nr++;
		}
	}
	frag_flush(table);
	while (frag_back(table, &b)) {
		twice |= seen[(uintptr_t)b.held]++;
		back_nr++;
	}
	ok(held > 1000 && held == back_nr && !twice, "each of %u held came back once", held);
	empty("random ones");
}

int main(void)
{
	table = frag_table_create(HZ);
	require(table, "a table");
	test_in_order();
	test_odd_orders();
	test_overlaps();
	test_bad();
	test_keys();
	test_tunnelled();
	test_ip6();
	test_large();
	test_time();
	test_flood();
	test_random();
	frag_table_destroy(table);
	return tap_done();
}
