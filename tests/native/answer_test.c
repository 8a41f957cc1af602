// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Answers to ARP and neighbour discovery, and refusals of rejected packets: rings in, rings out.

#include "fp_support.h"

#include "frames.h"

static const uint8_t asker[6] = {0x02, 0, 0, 0, 0, 2}, told[6] = {0x02, 0, 0, 0, 0xaa, 0xbb};
static uint8_t frame[4096], out[4096];

static uint32_t judge(uint16_t port, const uint8_t *in, uint32_t bytes)
{
	bed_send(port, in, bytes);
	worker_poll(&fp.workers[0]);
	return bed_receive(port, out, sizeof(out));
}

// A root pipe without match whose one entry does `actions` and `fwd`.
static uint32_t all(const struct steer_action *action, struct steer_fwd fwd)
{
	struct spec *s = spec_new("root", 0, STEER_PIPE_BASIC, 1);
	struct work w;
	uint32_t pipe;

	s->head.flags = STEER_PIPE_ROOT;
	s->head.fwd = fwd;
	spec_template(s);
	if (action)
		spec_action(s, *action, 0);
	pipe = spec_create(s, NULL);
	require(pipe, "pipe");
	w = work_new(pipe, NULL, 0, NULL, 0);
	require(!work_add(&w, NULL), "entry");
	return pipe;
}

// --- Neighbours -----------------------------------------------------------------------------------------------------

static uint32_t put_arp(uint8_t *f, unsigned int op, uint32_t spa, uint32_t tpa)
{
	static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};

	memset(f, 0, 60);
	memset(f, 0xff, 6);
	memcpy(f + 6, asker, 6);
	put16(f + 12, 0x0806);
	memcpy(f + 14, head, 6);
	put16(f + 20, op);
	memcpy(f + 22, asker, 6);
	put32(f + 28, spa);
	put32(f + 38, tpa);
	return 60;
}

static struct steer_action set_source(const uint8_t *mac)
{
	struct steer_action a = {.kind = STEER_ACT_SET, .field = STEER_F_OUTER_ETH_SRC};

	memcpy(a.value, mac, 6);
	memset(a.mask, 0xff, 6);
	return a;
}

static void test_arp(void)
{
	struct steer_action tell = set_source(told);
	uint32_t pipe = all(&tell, (struct steer_fwd){.type = STEER_FWD_ANSWER}), bytes;
	uint64_t before = bed_drops(0, STEER_DROP_LINK_CONTROL);

	bytes = judge(0, frame, put_arp(frame, 1, 0x0a000001, 0x0a000002));
	ok(bytes == 60 && !memcmp(out, asker, 6) && !memcmp(out + 6, told, 6),
		"the answer goes to the asker");
	ok(get16(out + 20) == 2 && !memcmp(out + 22, told, 6) && get32(out + 28) == 0x0a000002, "it tells");
	ok(!memcmp(out + 32, asker, 6) && get32(out + 38) == 0x0a000001, "whom it tells");
	ok(!judge(0, frame, put_arp(frame, 2, 0x0a000001, 0x0a000002)), "replies are not answered");
	ok(!judge(0, frame, put_arp(frame, 1, 0x0a000001, 0x0a000001)), "nor gratuitous requests");
	put_arp(frame, 1, 0x0a000001, 0x0a000002);
	frame[18] = 8;
	ok(!judge(0, frame, 60), "nor other kinds of ARP");
	ok(!judge(0, frame, put_arp(frame, 1, 0x0a000001, 0x0a000002) - 20), "nor one cut off");
	put_arp(frame, 1, 0, 0x0a000002);
	memcpy(frame + 6, told, 6);
	memcpy(frame + 22, told, 6);
	ok(!judge(0, frame, 60), "nor a probe for one's own address");
	ok(bed_drops(0, STEER_DROP_LINK_CONTROL) == before + 5, "each is dropped as link control");
	require(!pipe_destroy(bed.space, pipe, NULL), "destroyed");
	bed_settle();
}

// The asker of what a tunnel carried is who sent it into the tunnel, not who asked last in the same context.
static void test_decapsulated(void)
{
	static const uint8_t last[6] = {0x02, 0, 0, 0, 0, 0x77};
	struct steer_action tell = set_source(told), decap = {.kind = STEER_ACT_DECAP, .flags = STEER_ACT_L2};
	struct spec *s = spec_new("answer", 0, STEER_PIPE_BASIC, 1);
	uint32_t answer, root, bytes;
	struct work w;

	s->head.fwd = (struct steer_fwd){.type = STEER_FWD_ANSWER};
	spec_template(s);
	spec_action(s, tell, 0);
	answer = spec_create(s, NULL);
	w = work_new(answer, NULL, 0, NULL, 0);
	require(answer && !work_add(&w, NULL), "a pipe that answers");
	root = all(&decap, fwd_pipe(answer));
	put_arp(frame, 1, 0x0a000001, 0x0a000002);
	memcpy(frame + 6, last, 6);
	ok(!judge(0, frame, 60), "a question outside of a tunnel");
	bytes = put_arp(frame + 50, 1, 0x0a000001, 0x0a000002);
	put_eth(frame, 0x0800);
	put_ip4(frame + 14, 0x01020304, 0x05060708, 17, 16 + bytes);
	put_udp(frame + 14, frame + 34, 1000, 4789, 8 + bytes);
	memset(frame + 42, 0, 8);
	frame[42] = 8;
	put_arp(frame + 50, 1, 0x0a000001, 0x0a000002);
	ok(judge(0, frame, 50 + bytes) == bytes && !memcmp(out, asker, 6),
		"one of a tunnel goes to its asker");
	require(!pipe_destroy(bed.space, root, NULL) && !pipe_destroy(bed.space, answer, NULL), "destroyed");
	bed_settle();
}

// fe80::<n> or 2001::<n> as put_ip6 makes them.
static uint32_t put_ns(uint8_t *f, bool duplicate, bool option)
{
	uint32_t payload = option ? 32 : 24;
	uint8_t *ip = f + 14, *icmp = f + 54;

	memset(f, 0, 86);
	f[0] = f[1] = 0x33;
	f[2] = 0xff;
	f[5] = 9;
	memcpy(f + 6, asker, 6);
	put16(f + 12, 0x86dd);
	put_ip6(ip, 1, 0, 58, payload);
	ip[7] = 255;
	if (duplicate)
		memset(ip + 8, 0, 16);
	memset(ip + 24, 0, 16);
	ip[24] = 0xff;
	ip[25] = 0x02;
	ip[35] = 1;
	ip[36] = 0xff;
	ip[39] = 9;
	icmp[0] = 135;
	icmp[8] = 0x20;
	icmp[9] = 0x01;
	icmp[23] = 9;
	if (option) {
		icmp[24] = icmp[25] = 1;
		memcpy(icmp + 26, asker, 6);
	}
	l4_fill(ip, icmp, 58, payload);
	return 54 + payload;
}

static void test_solicitations(void)
{
	static const uint8_t all_nodes[6] = {0x33, 0x33, 0, 0, 0, 1};
	struct steer_action tell = set_source(told);
	uint32_t pipe = all(&tell, (struct steer_fwd){.type = STEER_FWD_ANSWER}), bytes;
	uint8_t *ip = out + 14, *icmp = out + 54;
	uint64_t before = bed_drops(0, STEER_DROP_LINK_CONTROL);

	bytes = judge(0, frame, put_ns(frame, false, true));
	ok(bytes == 86 && !memcmp(out, asker, 6) && !memcmp(out + 6, told, 6),
		"the answer goes to the asker");
	ok(ip[39] == 1 && ip[24] == 0x20 && ip[23] == 9 && ip[7] == 255, "between the right addresses");
	ok(icmp[0] == 136 && icmp[4] == 0x60 && icmp[23] == 9 && icmp[24] == 2 && !memcmp(icmp + 26, told, 6),
		"solicited, with the target's address");
	ok(l4_sum(ip, icmp, 58, 32) == 0xffff, "with a right checksum");
	bytes = judge(0, frame, put_ns(frame, true, false));
	ok(bytes == 86 && !memcmp(out, all_nodes, 6) && ip[24] == 0xff && ip[25] == 2 && ip[39] == 1 &&
			icmp[4] == 0x20 && l4_sum(ip, icmp, 58, 32) == 0xffff,
		"duplicate address detection is answered to all nodes");
	bytes = put_ns(frame, false, true);
	memset(frame + bytes, 0x55, 40);
	ok(judge(0, frame, bytes + 40) == 86, "padding goes");
	put_ns(frame, false, true);
	frame[21] = 64;
	ok(!judge(0, frame, 86), "not from beyond a router");
	put_ns(frame, false, true);
	frame[56]++;
	ok(!judge(0, frame, 86), "not with a wrong checksum");
	ok(!judge(0, frame, put_ns(frame, true, true)), "not from nobody with an address");
	bytes = put_ns(frame, true, false);
	memcpy(frame + 6, told, 6);
	ok(!judge(0, frame, bytes), "not the owner's own detection");
	ok(bed_drops(0, STEER_DROP_LINK_CONTROL) == before + 4, "each is dropped as link control");
	require(!pipe_destroy(bed.space, pipe, NULL), "destroyed");
	bed_settle();
}

static bool reads(struct packet *p, unsigned int field, const void *value, unsigned int bytes)
{
	uint8_t is[STEER_FIELD_BYTES_MAX];

	return field_read(p, field, is) == bytes && !memcmp(is, value, bytes);
}

static void test_fields(void)
{
	static const uint8_t nothing[16];
	uint8_t other[6] = {2, 4, 6, 8, 10, 12}, mask[16];
	struct packet p;

	memset(mask, 0xff, sizeof(mask));
	packet_init(&p);
	packet_load(&p, frame, 60, put_arp(frame, 1, 0x0a000001, 0x0a000002));
	packet_parse(&p);
	ok(reads(&p, STEER_F_OUTER_ARP_OP, "\0\1", 2) && reads(&p, STEER_F_OUTER_ARP_SHA, asker, 6) &&
			reads(&p, STEER_F_OUTER_ARP_SPA, "\x0a\0\0\1", 4) &&
			reads(&p, STEER_F_OUTER_ARP_THA, nothing, 6) &&
			reads(&p, STEER_F_OUTER_ARP_TPA, "\x0a\0\0\2", 4),
		"ARP fields");
	ok(!field_present(&p, STEER_F_OUTER_ND_TARGET), "without neighbour discovery");
	packet_load(&p, frame, 86, put_ns(frame, false, true));
	packet_parse(&p);
	ok(!field_present(&p, STEER_F_OUTER_ARP_OP) && reads(&p, STEER_F_OUTER_ND_LLADDR, asker, 6) &&
			reads(&p, STEER_F_OUTER_ND_TARGET, frame + 62, 16),
		"fields of a solicitation");
	field_write(&p, STEER_F_OUTER_ND_LLADDR, other, mask);
	other[0] ^= 0x40;
	field_write(&p, STEER_F_OUTER_ND_TARGET, mask, mask);
	ok(l4_sum(frame + 14, frame + 54, 58, 32) == 0xffff && frame[80] == 2, "writing keeps the checksum");
	for (uint32_t cut = 54; cut < 86; cut++) {
		uint8_t *copy = malloc(cut); // so that a sanitizer sees every byte too many

		put_ns(frame, false, true);
		memcpy(copy, frame, cut);
		packet_load(&p, copy, cut, 86);
		packet_parse(&p);
		if (field_present(&p, STEER_F_OUTER_ND_TARGET) != (cut >= 78) ||
			field_present(&p, STEER_F_OUTER_ND_LLADDR))
			ok(false, "cut at %u", cut);
		free(copy);
	}
	put_ns(frame, false, true);
	frame[79] = 0;
	packet_load(&p, frame, 86, 86);
	packet_parse(&p);
	ok(!field_present(&p, STEER_F_OUTER_ND_LLADDR), "an option of no length ends them");
	packet_load(&p, frame, 60, frame_tcp(frame, 1, 2, 3, 4, 6));
	packet_parse(&p);
	ok(!field_present(&p, STEER_F_OUTER_ND_TARGET), "nothing is left over");
}

// --- Refusals -------------------------------------------------------------------------------------------------------

static void swapped(void)
{
	ok(!memcmp(out, frame + 6, 6) && !memcmp(out + 6, frame, 6), "between the same stations");
}

static void test_tcp(void)
{
	uint32_t pipe = all(NULL, (struct steer_fwd){.type = STEER_FWD_REJECT}), bytes;
	uint8_t *ip = out + 14, *tcp = out + 34;

	bytes = frame_tcp(frame, 0x0a000001, 0x0a000002, 1234, 80, 100);
	frame[47] = 2; // SYN
	ok(judge(0, frame, bytes) == 54, "a SYN is refused");
	swapped();
	ok(get32(ip + 12) == 0x0a000002 && get32(ip + 16) == 0x0a000001 &&
			plain_fold(plain_sum(0, ip, 20)) == 0xffff,
		"from the destination");
	ok(get16(tcp) == 80 && get16(tcp + 2) == 1234 && tcp[13] == 0x14 && !get32(tcp + 4) &&
			get32(tcp + 8) == 1101 && l4_sum(ip, tcp, 6, 20) == 0xffff,
		"RST that acknowledges it");
	frame[47] = 0x11; // FIN ACK
	put32(frame + 42, 777);
	ok(judge(0, frame, bytes) == 54 && tcp[13] == 4 && get32(tcp + 4) == 777 && !get32(tcp + 8),
		"RST where its ACK is");
	frame[47] = 0x14;
	ok(!judge(0, frame, bytes), "an RST is not refused");
	frame[47] = 2;
	put16(frame + 20, 0x2000);
	ok(judge(0, frame, bytes) == 54, "a first fragment is");
	put16(frame + 20, 5);
	ok(!judge(0, frame, bytes), "a later one is not");
	put16(frame + 20, 0);
	frame[46] = 0xf0;
	ok(judge(0, frame, bytes) == 54 && get32(tcp + 8) == 1000 + 60 + 1, "options are no data");
	put16(frame + 16, 50);
	ok(!judge(0, frame, bytes), "headers beyond the packet");
	bytes = frame_tcp6(frame, 1, 2, 1234, 80, 3);
	ok(judge(0, frame, bytes) == 74, "IPv6 too");
	ok(ip[23] == 2 && ip[39] == 1 && l4_sum(ip, out + 54, 6, 20) == 0xffff, "with a right checksum");
	ok(bed_drops(0, STEER_DROP_POLICY) == 8, "all were dropped by policy (%lu)",
		bed_drops(0, STEER_DROP_POLICY));
	require(!pipe_destroy(bed.space, pipe, NULL), "destroyed");
	bed_settle();
}

static uint32_t put_icmp(uint8_t *f, uint32_t src, uint32_t dst, unsigned int type)
{
	put_eth(f, 0x0800);
	put_ip4(f + 14, src, dst, 1, 36);
	memset(f + 34, 0, 36);
	f[34] = (uint8_t)type;
	l4_fill(f + 14, f + 34, 1, 36);
	return 70;
}

static void test_unreachable(void)
{
	uint32_t pipe = all(NULL,
			 (struct steer_fwd){.type = STEER_FWD_REJECT, .index = STEER_DROP_ROGUE_CONTROL}),
		 bytes;
	uint64_t generated = fp.workers[0].stats->generated;
	uint8_t *ip = out + 14;

	bytes = frame_udp(frame, 0x0a000001, 0x0a000002, 1234, 53, 30);
	ok(judge(0, frame, bytes) == bytes + 28, "a datagram is refused");
	swapped();
	ok(out[34] == 3 && out[35] == 13 && !memcmp(out + 42, frame + 14, bytes - 14), "and quoted");
	ok(plain_fold(plain_sum(0, ip, 20)) == 0xffff && l4_sum(ip, out + 34, 1, bytes - 14 + 8) == 0xffff,
		"with right checksums");
	bytes = frame_udp(frame, 0x0a000001, 0x0a000002, 1234, 53, 1400);
	ok(judge(0, frame, bytes) == 14 + 576 && !memcmp(out + 42, frame + 14, 548),
		"576 bytes of it at most");
	put_eth(frame, 0x86dd);
	put_ip6(frame + 14, 1, 2, 17, 1408);
	bytes = 54 + put_udp(frame + 14, frame + 54, 1, 2, 1400);
	ok(judge(0, frame, bytes) == 14 + 1280, "IPv6: 1280 bytes");
	ok(out[54] == 1 && out[55] == 1 && l4_sum(ip, out + 54, 58, 1240) == 0xffff &&
			!memcmp(out + 62, frame + 14, 1232),
		"administratively prohibited");
	ok(judge(0, frame, put_icmp(frame, 0x0a000001, 0x0a000002, 8)) == 98, "an echo request is refused");
	ok(!judge(0, frame, put_icmp(frame, 0x0a000001, 0x0a000002, 3)), "an ICMP error is not");
	ok(!judge(0, frame, put_icmp(frame, 0x0a000001, 0xe0000001, 8)), "nor what goes to a group");
	ok(!judge(0, frame, put_icmp(frame, 0, 0x0a000001, 8)), "nor what comes from nobody");
	put_icmp(frame, 0x0a000001, 0x0a000002, 8);
	frame[0] |= 1;
	ok(!judge(0, frame, 70), "nor what a group of stations got");
	put_icmp(frame, 0x0a000001, 0x0a000002, 8);
	frame[6] |= 1;
	ok(!judge(0, frame, 70), "nor what a group sent");
	ok(!judge(0, frame, put_ns(frame, false, true)), "nor neighbour discovery");
	ok(!judge(0, frame, put_arp(frame, 1, 1, 2)), "nor ARP");
	ok(fp.workers[0].stats->generated == generated + 4, "four were made");
	ok(bed_drops(0, STEER_DROP_ROGUE_CONTROL) == 11, "all dropped for their reason");
	// A flood of them is not answered as one.
	bytes = frame_udp(frame, 0x0a000001, 0x0a000002, 1234, 53, 30);
	generated = fp.workers[0].stats->generated;
	for (unsigned int i = 0; i < 3000; i++)
		bed_send(0, frame, bytes);
	bed_settle();
	for (unsigned int i = 0; i < 3000; i++)
		worker_poll(&fp.workers[0]);
	while (bed_receive(0, out, sizeof(out)))
		;
	ok(fp.workers[0].stats->generated - generated < 2900, "a bounded number of them (%lu)",
		(unsigned long)(fp.workers[0].stats->generated - generated));
	require(!pipe_destroy(bed.space, pipe, NULL), "destroyed");
	bed_settle();
}

// Whatever the protocol, who is too far away is told so.
static void test_reasons(void)
{
	static const struct {
		uint8_t reason, ip4[2], ip6[2];
	} cases[] = {
		{STEER_DROP_TTL, {11, 0}, {3, 0}},
		{STEER_DROP_NO_ROUTE, {3, 1}, {1, 3}},
	};

	for (unsigned int i = 0; i < RTE_DIM(cases); i++) {
		uint32_t pipe =
			all(NULL, (struct steer_fwd){.type = STEER_FWD_REJECT, .index = cases[i].reason});
		uint32_t bytes = frame_tcp(frame, 0x0a000001, 0x0a000002, 1234, 80, 10);

		ok(judge(0, frame, bytes) == bytes + 28 && !memcmp(out + 34, cases[i].ip4, 2) &&
				l4_sum(out + 14, out + 34, 1, bytes - 14 + 8) == 0xffff,
			"IPv4 type %u", cases[i].ip4[0]);
		bytes = frame_tcp6(frame, 1, 2, 1234, 80, 10);
		ok(judge(0, frame, bytes) == bytes + 48 && !memcmp(out + 54, cases[i].ip6, 2) &&
				l4_sum(out + 14, out + 54, 58, bytes - 14 + 8) == 0xffff,
			"IPv6 type %u", cases[i].ip6[0]);
		require(!pipe_destroy(bed.space, pipe, NULL), "destroyed");
		bed_settle();
	}
}

int main(void)
{
	bed_start(2);
	test_fields();
	test_arp();
	test_decapsulated();
	test_solicitations();
	test_tcp();
	test_reasons();
	test_unreachable();
	bed_conserves(0);
	bed_stop();
	return tap_done();
}
