// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Autonomous connection tracking through a whole pipeline: what opens a connection, what its packets may do, what is told.

#include "ct_bed.h"
#include "ct_private.h"

static struct steer_flow_record told[4096];

static void test_udp(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	uint64_t denied;

	lab_build(&cfg);
	lab_allow(53);
	ok(lab_udp(CLIENT, SERVER, 1000, 53), "a first packet passes");
	ok(lab_stats()->live == 1 && lab_stats()->opened == 1, "and opens a connection");
	ok(lab_udp(SERVER, CLIENT, 53, 1000), "its reply passes");
	ok(lab_udp(CLIENT, SERVER, 1000, 53), "so does the next one");
	ok(counter_sum(lab.counter[53].counter).packets == 1, "the policy was asked once");
	ok(!lab_udp(SERVER, CLIENT, 54, 1000), "what is no reply does not pass");
	ok(lab_dropped(SERVER, STEER_DROP_POLICY) == 1, "it is dropped by policy");
	ok(lab_stats()->denied == 1 && lab_stats()->denied_packets == 1, "and the denial is remembered");
	denied = counter_sum(lab.counter[53].counter).packets;
	ok(!lab_udp(SERVER, CLIENT, 54, 1000) && lab_stats()->denied_packets == 2, "the next one is dropped");
	ok(denied == counter_sum(lab.counter[53].counter).packets, "without asking");
	ok(lab_records(told, 16) == 2, "two records");
	ok(told[0].event == STEER_FLOW_OPEN && told[0].src_port == 1000 && told[0].dst_port == 53, "opened");
	ok(told[0].tag == TAG_ALLOW + 53 && told[0].revision == 1 && told[0].zone == ZONE, "by which rule");
	ok(told[0].src_identity == lab_identity(CLIENT) && told[0].dst_identity == lab_identity(SERVER),
		"between whom");
	ok(told[0].in_port == 0 && told[0].out_port == 1 && told[0].packets[0] == 1 && told[0].bytes[0] == 62,
		"from where to where");
	ok(told[1].event == STEER_FLOW_DENY && told[1].drop == STEER_DROP_POLICY && told[1].src_port == 54,
		"denied");
	lab_wait(11000);
	ok(lab_records(told, 16) == 2, "an update each, after the interval");
	ok(told[0].event + told[1].event == STEER_FLOW_UPDATE + STEER_FLOW_DENY_UPDATE, "of both kinds");
	lab_wait(60000);
	ok(lab_stats()->live == 0 && lab_stats()->denied == 0, "both end after their time");
	ok(lab_records(told, 16) == 1 && told[0].event == STEER_FLOW_CLOSE &&
			told[0].close == STEER_FLOW_CLOSE_TIMEOUT && told[0].packets[0] == 2 &&
			told[0].packets[1] == 1,
		"with a last record");
	ok(lab_balance(), "opened = live + closed");
	lab_tear_down();
}

static void test_tcp(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	struct tcp c = {CLIENT, SERVER, 2000, 80, SYN, 100, 0, 0, 0, 8};
	struct tcp s = {SERVER, CLIENT, 80, 2000, SYN | ACK, 5000, 101, 0, 0, 8};

	lab_build(&cfg);
	lab_allow(80);
	ok(lab_tcp(c), "SYN");
	ok(lab_stats()->half_open == 1, "half-open");
	ok(lab_tcp(s), "SYN ACK");
	c = (struct tcp){CLIENT, SERVER, 2000, 80, ACK, 101, 5001, 0, 0, 0};
	ok(lab_tcp(c), "ACK");
	ok(!lab_stats()->half_open && lab_stats()->live == 1, "established");
	c.bytes = 100;
	ok(lab_tcp(c), "data");
	s = (struct tcp){SERVER, CLIENT, 80, 2000, ACK | PSH, 5001, 201, 0, 1000, 0};
	ok(lab_tcp(s), "data back");
	c = (struct tcp){CLIENT, SERVER, 2000, 80, ACK | FIN, 201, 6001, 0, 0, 0};
	ok(lab_tcp(c), "FIN");
	s = (struct tcp){SERVER, CLIENT, 80, 2000, ACK | FIN, 6001, 202, 0, 0, 0};
	ok(lab_tcp(s), "FIN back");
	c = (struct tcp){CLIENT, SERVER, 2000, 80, ACK, 202, 6002, 0, 0, 0};
	ok(lab_tcp(c), "last ACK");
	lab_wait(1100);
	ok(lab_stats()->live == 0, "closed");
	ok(lab_records(told, 16) == 2 && told[1].event == STEER_FLOW_CLOSE &&
			told[1].close == STEER_FLOW_CLOSE_FIN && told[1].packets[0] == 5 &&
			told[1].packets[1] == 3 && told[1].tcp_flags[0] == (SYN | ACK | FIN),
		"by FIN");
	ok(!lab_tcp(c) && lab_dropped(CLIENT, STEER_DROP_CT_INVALID) == 1, "late segments are invalid");
	lab_tear_down();
}

// Two packets of a new connection in one burst are handled as if one came after the other.
static void test_burst(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	uint8_t frame[256];
	uint64_t before;

	lab_build(&cfg);
	lab_allow(53);
	before = lab_stats()->opened;
	for (unsigned int i = 0; i < 24; i++)
		bed_send(0, frame, frame_udp(frame, CLIENT, SERVER, 1000 + i % 3, 53 + i % 3 / 2, 20));
	lab_poll();
	ok(lab_out(1) == 16 && lab_stats()->opened == before + 2, "two connections");
	ok(counter_sum(lab.counter[53].counter).packets == 2, "the policy was asked once for each");
	ok(lab_stats()->denied == 1, "one denial");
	ok(lab_records(told, 16) == 3, "a record for each");
	lab_tear_down();
}

// A pipe takes over before the memory of the one before is given back.
static void test_successor(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	uint32_t first;

	lab_build(&cfg);
	lab_allow(53);
	ok(lab_udp(CLIENT, SERVER, 1000, 53) && lab_udp(CLIENT, SERVER, 1001, 53), "two connections");
	first = lab.ct;
	ok(!pipe_destroy(bed.space, lab.root, NULL) && !pipe_destroy(bed.space, first, NULL),
		"their pipe goes");
	lab.ct = lab_ct(&cfg, lab.forward, lab.src, NULL);
	lab.root = lab_root(lab.ct);
	ok(lab_udp(CLIENT, SERVER, 1002, 53) && lab_stats()->live == 1, "one of the next pipe");
	ok(lab_balance(), "the others have ended");
	bed_settle();
	ok(lab_stats()->live == 1 && lab_balance(), "it stays when the first one is buried");
	while (lab_records(told, 4096))
		;
	lab_tear_down();
	while (lab_records(told, 4096))
		;
	ok(!lab_stats()->live && lab_balance(), "and ends with its own");
}

// Of two that open a connection in one burst only one has a place: it is told of that one only.
static void test_pushed_out(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	uint8_t frame[256];
	unsigned int opened = 0, closed = 0, n;

	cfg.capacity = 1;
	cfg.full = STEER_CT_FULL_EVICT;
	lab_build(&cfg);
	lab_allow(53);
	for (unsigned int i = 0; i < 2; i++)
		bed_send(0, frame, frame_udp(frame, CLIENT, SERVER, 1000 + i, 53, 20));
	lab_poll();
	ok(lab_out(1) == 2 && lab_stats()->live == 1 && lab_stats()->evicted >= 1,
		"the second pushes the first out");
	n = lab_records(told, 16);
	for (unsigned int i = 0; i < n; i++) {
		opened += told[i].event == STEER_FLOW_OPEN;
		closed += told[i].event == STEER_FLOW_CLOSE;
		if (told[i].event == STEER_FLOW_OPEN && told[i].src_port == 1001)
			ok(told[i].out_port == 1, "the second knows where it left");
	}
	ok(opened == 2 && closed == 1, "each is told of once");
	lab_wait(31000);
	lab_tear_down();
	while (lab_records(told, 4096))
		;
}

static uint32_t put_icmp(uint8_t *f, uint32_t src, uint32_t dst, uint8_t type, unsigned int id)
{
	put_eth(f, 0x0800);
	put_ip4(f + 14, src, dst, 1, 8 + 16);
	memset(f + 34, 0, 24);
	f[34] = type;
	put16(f + 38, id);
	put16(f + 36, 0xffff & ~plain_fold(plain_sum(0, f + 34, 24)));
	return 58;
}

static bool cross(uint32_t src, uint32_t dst, const uint8_t *frame, uint32_t bytes)
{
	bed_send(lab_port(src), frame, bytes);
	lab_poll();
	return lab_out(lab_port(dst)) == 1;
}

static bool icmp(uint32_t src, uint32_t dst, uint8_t type, unsigned int id)
{
	uint8_t f[256];

	return cross(src, dst, f, put_icmp(f, src, dst, type, id));
}

static void test_icmp(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	uint8_t f[512], quoted[256];

	lab_build(&cfg);
	lab_allow(0); // packets without ports
	lab_allow(53);
	ok(!icmp(CLIENT, SERVER, 0, 7) && lab_dropped(CLIENT, STEER_DROP_CT_UNTRACKABLE) == 1,
		"an answer to nothing");
	ok(icmp(CLIENT, SERVER, 8, 7) && icmp(SERVER, CLIENT, 0, 7), "echo and its answer");
	ok(!icmp(SERVER, CLIENT, 0, 8), "not with another identifier");
	ok(icmp(SERVER, CLIENT, 8, 7) && icmp(CLIENT, SERVER, 0, 7) && lab_stats()->live == 2,
		"the same identifier the other way is another connection");
	ok(!icmp(CLIENT, SERVER, 14, 7), "nor with another kind of query");
	ok(lab_records(told, 16) == 2 && told[0].icmp_type == 8 && told[0].src_port == 7, "told with type");

	// An error about a connection follows it.
	ok(lab_udp(CLIENT, SERVER, 1000, 53), "a connection");
	frame_udp(quoted, CLIENT, SERVER, 1000, 53, 20);
	put_eth(f, 0x0800);
	put_ip4(f + 14, SERVER, CLIENT, 1, 8 + 48);
	memset(f + 34, 0, 8);
	f[34] = 3;
	f[35] = 3;
	memcpy(f + 42, quoted + 14, 48);
	put16(f + 36, 0xffff & ~plain_fold(plain_sum(0, f + 34, 56)));
	ok(cross(SERVER, CLIENT, f, 90) && lab_stats()->related == 1, "an error about it passes");
	put16(f + 36, 0);
	put16(f + 42 + 20, 1001);
	put16(f + 36, 0xffff & ~plain_fold(plain_sum(0, f + 34, 56)));
	ok(!cross(SERVER, CLIENT, f, 90) && lab_stats()->related == 1, "one about nothing does not");

	// GRE, by address pair.
	put_eth(f, 0x0800);
	put_ip4(f + 14, CLIENT, SERVER, 47, 4);
	memset(f + 34, 0, 8);
	ok(cross(CLIENT, SERVER, f, 60) && cross(CLIENT, SERVER, f, 60), "another protocol");
	put_ip4(f + 14, SERVER, CLIENT, 47, 4);
	ok(cross(SERVER, CLIENT, f, 60), "and back");
	lab_wait(7000);
	ok(lab_stats()->live == 2, "queries end soon");
	lab_wait(31000);
	lab_tear_down();
}

// A packet of a protocol, whose header begins as one with ports does.
static bool other_protocol(
	uint32_t src, uint32_t dst, unsigned int protocol, unsigned int sport, unsigned int dport)
{
	uint8_t f[256];

	put_eth(f, 0x0800);
	put_ip4(f + 14, src, dst, protocol, 28);
	put_payload(f + 34, 28);
	put16(f + 34, sport);
	put16(f + 36, dport);
	return cross(src, dst, f, 62);
}

// SCTP goes by ports like UDP, whatever its chunks say; all else by its two ends.
static void test_others(void)
{
	enum { SCTP = 132, ESP = 50, UNKNOWN = 253 };
	uint64_t before = lab_stats()->opened;
	struct steer_ct_cfg cfg = lab_cfg();

	lab_build(&cfg);
	lab_allow(80);
	ok(other_protocol(CLIENT, SERVER, SCTP, 1000, 80), "SCTP to an allowed port passes");
	ok(lab_stats()->opened == before + 1 && lab_stats()->live == 1, "and opens a connection");
	ok(other_protocol(SERVER, CLIENT, SCTP, 80, 1000), "its reply passes");
	ok(!other_protocol(SERVER, CLIENT, SCTP, 81, 1000), "what is no reply does not");
	ok(!other_protocol(CLIENT, SERVER, SCTP, 1000, 81), "nor does another port");
	ok(lab_stats()->opened == before + 1 && counter_sum(lab.counter[80].counter).packets == 1,
		"the policy was asked once");
	ok(other_protocol(CLIENT, SERVER, SCTP, 1001, 80) && lab_stats()->live == 2, "ports tell them apart");
	ok(!other_protocol(CLIENT, SERVER, UNKNOWN, 1, 2), "an unknown protocol has no port that is allowed");
	lab_allow(0);
	ok(other_protocol(CLIENT, OTHER, ESP, 1, 2) && lab_stats()->live == 3,
		"a pair of addresses opens one");
	ok(other_protocol(OTHER, CLIENT, ESP, 3, 4) && other_protocol(CLIENT, OTHER, ESP, 5, 6) &&
			lab_stats()->live == 3 && counter_sum(lab.counter[0].counter).packets == 1,
		"all between them belong to it, either way");
	ok(other_protocol(CLIENT, OTHER, UNKNOWN, 1, 2) && lab_stats()->live == 4, "protocols are apart");
	lab_wait(61000);
	ok(lab_stats()->live == 0 && lab_balance(), "all end after their time");
	lab_tear_down();
}

// IPv6 whose extension headers do not end, or not where we look: it could be anything.
static void test_extensions(void)
{
	enum { HEADERS = 40, OPTIONS = 60, FRAGMENT = 44 };
	struct steer_ct_cfg cfg = lab_cfg();
	uint64_t before;
	uint8_t f[14 + 40 + 8 * HEADERS + 20];

	lab_build(&cfg);
	before = lab_dropped(CLIENT, STEER_DROP_MALFORMED);
	put_eth(f, 0x86dd);
	put_ip6(f + 14, 1, 2, OPTIONS, 8 * HEADERS + 20);
	memset(f + 54, 0, sizeof(f) - 54);
	for (unsigned int i = 0; i < HEADERS; i++)
		f[54 + 8 * i] = i + 1 < HEADERS ? OPTIONS : 6;
	bed_send(0, f, sizeof(f));
	lab_poll();
	ok(lab_dropped(CLIENT, STEER_DROP_MALFORMED) == before + 1,
		"TCP behind too many headers is malformed");
	put_ip6(f + 14, 1, 2, FRAGMENT, 36);
	memset(f + 54, 0, sizeof(f) - 54);
	f[54] = FRAGMENT; // all of a datagram, within which is one in fragments
	f[62] = 6;
	f[65] = 1;
	bed_send(0, f, 54 + 36);
	lab_poll();
	ok(lab_dropped(CLIENT, STEER_DROP_MALFORMED) == before + 2, "so is a fragment within a fragment");
	ok(!lab_stats()->live && !lab_stats()->denied, "nothing is known of either");
	lab_tear_down();
}

static void test_keys(void)
{
	struct ct_tuple t = {.src_port = 1, .dst_port = 2, .version = 6, .protocol = 17}, back = t, again;
	struct ct_conn c = {.bits = 0};
	struct ct_key key, other;
	unsigned int high, low;

	memset(t.src, 9, 16);
	memset(t.dst, 7, 16);
	memcpy(back.src, t.dst, 16);
	memcpy(back.dst, t.src, 16);
	back.src_port = 2;
	back.dst_port = 1;
	ct_key_of_tuple(5, &t, &key, &high);
	ct_key_of_tuple(5, &back, &other, &low);
	ok(!memcmp(&key, &other, sizeof(key)) && high == !low, "IPv6: one key for both ways");
	c.key = key;
	c.bits = high ? CT_HIGH_OPENS : 0;
	ct_tuple_of(&c, &again);
	ok(!memcmp(&again, &t, sizeof(t)), "which says who opened");
	ct_key_of_tuple(6, &t, &other, &high);
	ok(memcmp(&key, &other, sizeof(key)), "zones are apart");
	t.protocol = back.protocol = 58;
	t.icmp_type = 128;
	back.icmp_type = 129;
	t.src_port = t.dst_port = back.src_port = back.dst_port = 3;
	ct_key_of_tuple(5, &t, &key, &high);
	ct_key_of_tuple(5, &back, &other, &low);
	ok(!memcmp(&key, &other, sizeof(key)), "ICMPv6 echo");
	back.icmp_type = 128;
	ct_key_of_tuple(5, &back, &other, &low);
	ok(memcmp(&key, &other, sizeof(key)), "and that of the other end");
	t.icmp_type = 135;
	ok(ct_key_of_tuple(5, &t, &key, &high) == CT_KIND_UNTRACKABLE, "nothing else of ICMPv6");
}

static void test_refusals(void)
{
	struct steer_ct_cfg cfg = lab_cfg(), bad;
	int err;

	lab_build(&cfg);
	lab_ct(&cfg, lab.forward, lab.src, &err);
	ok(err == -ENOTSUP, "one at a time");
	lab_tear_down();
	lab.forward = lab_pipe("a", STEER_F_OUTER_IP4_DST, 0, fwd_port(0));
	lab.src = lab_pipe("b", STEER_F_OUTER_IP4_DST, 0, fwd_port(0));
#define REFUSED(member, value, what) \
	bad = cfg;                   \
	bad.member = value;          \
	ok(!lab_ct(&bad, lab.forward, lab.src, &err) && err, what)
	REFUSED(capacity, 0, "no capacity");
	REFUSED(capacity, UINT32_MAX, "too much capacity");
	REFUSED(flags, 1 << 7 | STEER_CT_AUTONOMOUS, "unknown flags");
	REFUSED(zone_u32, 10, "a word that does not exist");
	REFUSED(router_u32, 10, "another word that does not exist");
	REFUSED(full, 3, "an unknown rule");
	REFUSED(timeout_ms[3], UINT32_MAX, "a time-out without end");
	REFUSED(record_interval_ms, 3600001, "an interval above an hour");
	lab.ct = lab_ct(&cfg, lab.forward, lab.src, &err);
	ok(lab.ct && !err, "a good one");
	ok(!pipe_destroy(bed.space, lab.ct, NULL) && !pipe_destroy(bed.space, lab.forward, NULL) &&
			!pipe_destroy(bed.space, lab.src, NULL),
		"all is destroyed");
	bed_settle();
}

int main(void)
{
	bed_start(3);
	test_udp();
	test_tcp();
	test_burst();
	test_successor();
	test_pushed_out();
	test_icmp();
	test_others();
	test_extensions();
	test_keys();
	test_refusals();
	bed_settle();
	bed_conserves(0);
	bed_stop();
	return tap_done();
}
