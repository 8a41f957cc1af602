// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Changes of policy: connections and remembered denials are judged again at their next packet, or when they are idle.

#include "ct_bed.h"

static struct steer_flow_record told[256];

static void move(uint64_t revision, uint32_t flags, unsigned int nr, const uint32_t *identities)
{
	struct steer_ct_epoch epoch = {.revision = revision, .flags = flags, .nr_identities = nr};

	ok(!ct_epoch(1, &epoch, identities, NULL), "revision %lu is in force", (unsigned long)revision);
}

static unsigned int records(void)
{
	return lab_records(told, 256);
}

static bool tcp(uint32_t src, uint32_t dst, unsigned int sport, unsigned int dport, unsigned int flags,
	uint32_t seq, uint32_t ack)
{
	return lab_tcp((struct tcp){src, dst, sport, dport, flags, seq, ack, 0, 0, 0});
}

static bool open_tcp(unsigned int sport, unsigned int dport)
{
	return tcp(CLIENT, SERVER, sport, dport, SYN, 100, 0) &&
	       tcp(SERVER, CLIENT, dport, sport, SYN | ACK, 500, 101) &&
	       tcp(CLIENT, SERVER, sport, dport, ACK, 101, 501);
}

static void test_all(void)
{
	const struct stats_ct *s = lab_stats();
	uint64_t hits;

	lab_allow(53);
	lab_allow(54);
	lab_udp(CLIENT, SERVER, 1, 53);
	lab_udp(CLIENT, SERVER, 1, 54);
	records();
	hits = counter_sum(lab.counter[54].counter).packets;
	lab_withdraw(53);
	ok(lab_udp(CLIENT, SERVER, 1, 53), "before the epoch moves it passes");
	move(2, STEER_CT_EPOCH_ALL, 0, NULL);
	ok(lab_udp(CLIENT, SERVER, 1, 54) && s->rejudged == 1 && !s->rejudged_denied,
		"judged again, allowed");
	ok(counter_sum(lab.counter[54].counter).packets == hits, "a judgement counts at no entry");
	ok(lab_udp(CLIENT, SERVER, 1, 54) && s->rejudged == 1, "once");
	ok(!lab_udp(SERVER, CLIENT, 53, 1) && s->rejudged_denied == 1, "a reply has its connection denied");
	ok(lab_dropped(SERVER, STEER_DROP_POLICY) == 1 && s->live == 1, "it is dropped by policy");
	ok(records() == 1 && told[0].event == STEER_FLOW_CLOSE && told[0].close == STEER_FLOW_CLOSE_POLICY &&
			told[0].drop == STEER_DROP_POLICY && told[0].revision == 2 && told[0].packets[0] == 2,
		"its record is final");
	ok(!lab_udp(CLIENT, SERVER, 1, 53) && lab_dropped(CLIENT, STEER_DROP_POLICY) == 1,
		"what follows too");
	ok(!records(), "without another record");
	lab_allow(53);
	ok(!lab_udp(CLIENT, SERVER, 1, 53), "a denial is remembered");
	move(3, STEER_CT_EPOCH_ALL, 0, NULL);
	ok(lab_udp(CLIENT, SERVER, 1, 53) && s->live == 2, "until the epoch moves");
	ok(lab_udp(SERVER, CLIENT, 53, 1), "both ways");
	records();
	lab_wait(70000);
	ok(!s->live && !s->denied && lab_balance(), "all end");
	records();
}

static void test_provenance(void)
{
	struct entry_result result;
	uint8_t key[2];
	struct work w;

	lab_udp(CLIENT, SERVER, 1, 54);
	put16(key, 54);
	w = work_new(lab.service, key, 2, NULL, 0);
	w.head.tag = 4711;
	work_fwd(&w, fwd_pipe(lab.forward));
	lab_withdraw(54);
	ok(!work_add(&w, &result), "another rule allows it");
	lab.allowed[54] = w.head.entry + 1;
	move(4, STEER_CT_EPOCH_ALL, 0, NULL);
	lab_udp(CLIENT, SERVER, 1, 54);
	records();
	lab_wait(11000);
	ok(records() == 1 && told[0].tag == 4711 && told[0].revision == 4 && told[0].packets[0] == 2,
		"rule and revision are new, the counts go on");
	lab_wait(60000);
	records();
}

static void test_identities(void)
{
	const struct stats_ct *s = lab_stats();
	uint32_t server = lab_identity(SERVER), other = lab_identity(OTHER);
	uint64_t before;

	lab_udp(CLIENT, SERVER, 7, 54);
	lab_udp(CLIENT, OTHER, 7, 54);
	ok(!lab_udp(CLIENT, OTHER, 7, 60), "a denial");
	before = s->rejudged;
	move(5, 0, 1, &server);
	ok(lab_udp(CLIENT, OTHER, 7, 54) && s->rejudged == before, "who is not concerned is not judged");
	ok(lab_udp(SERVER, CLIENT, 54, 7) && s->rejudged == before + 1, "who is, is");
	lab_allow(60);
	ok(!lab_udp(CLIENT, OTHER, 7, 60), "a denial of others stands");
	move(6, 0, 1, &other);
	ok(lab_udp(CLIENT, OTHER, 7, 60), "until it is concerned");
	lab_wait(61000);
	records();
}

// A connection that says nothing for long is judged by the sweep.
static void test_idle(void)
{
	const struct stats_ct *s = lab_stats();
	uint64_t denied = s->rejudged_denied;
	unsigned int closed = 0, n;

	lab_allow(80);
	for (unsigned int i = 0; i < 200; i++)
		ok(open_tcp(3000 + i, 80), "a connection");
	ok(s->live == 200, "200 connections");
	while (records())
		;
	lab_withdraw(80);
	move(7, STEER_CT_EPOCH_ALL, 0, NULL);
	for (unsigned int i = 0; i < 20; i++)
		lab_wait(1000);
	ok(!s->live && s->rejudged_denied == denied + 200, "all were closed");
	while ((n = records()))
		for (unsigned int i = 0; i < n; i++)
			closed += told[i].close == STEER_FLOW_CLOSE_POLICY;
	ok(closed == 200, "by policy (%u)", closed);
	lab_wait(100000);
	records();
}

static void test_reject(void)
{
	struct steer_fwd reject = {.type = STEER_FWD_REJECT};
	uint64_t generated = lab_stats()->generated;
	uint8_t frame[256];

	lab_service(81, reject, 81);
	ok(!tcp(CLIENT, SERVER, 5000, 81, SYN, 1, 0), "rejected");
	ok(bed_receive(0, frame, sizeof(frame)) && frame[47] == (RST | ACK), "and told so");
	ok(records() == 1 && told[0].event == STEER_FLOW_DENY && told[0].tag == 81, "a denial");
	ok(!tcp(CLIENT, SERVER, 5000, 81, SYN, 1, 0) && lab_out(0) == 1, "the remembered one as well");
	lab_allow(82);
	ok(open_tcp(5001, 82), "another connection");
	lab_withdraw(82);
	lab_service(82, reject, 82);
	move(8, STEER_CT_EPOCH_ALL, 0, NULL);
	ok(!tcp(CLIENT, SERVER, 5001, 82, ACK, 101, 501) && lab_out(0) == 1, "one side is reset");
	ok(!tcp(SERVER, CLIENT, 82, 5001, ACK, 501, 101) && lab_out(1) == 1, "the other side too");
	ok(lab_stats()->generated == generated + 4, "answers are counted");
	ok(lab_dropped(SERVER, STEER_DROP_CT_INVALID) == 0, "nothing of it is invalid");
}

static void test_trace(void)
{
	struct {
		struct steer_trace_request head;
		uint8_t frame[256];
	} r = {.head.port = 0};
	static uint8_t reply[STEER_MSG_MAX] __attribute__((aligned(16)));
	const struct steer_trace_reply *head = (const void *)reply;
	const struct steer_trace_hop *hops = (const void *)(head + 1);
	struct stats_ct before;
	unsigned int denied;
	uint64_t hits;
	size_t used;

	lab_allow(90);
	ok(lab_udp(CLIENT, SERVER, 9, 90), "a connection");
	ok(!lab_udp(CLIENT, SERVER, 9, 91), "a denial");
	before = *lab_stats();
	hits = counter_sum(lab.counter[90].counter).packets;
#define TRACE(sport, dport)                                                    \
	(r.head.length = frame_udp(r.frame, CLIENT, SERVER, sport, dport, 20), \
		!trace_run(&r.head, r.frame, reply, sizeof(reply), &used))
	ok(TRACE(9, 90) && hops[1].result == STEER_TRACE_CT_ESTABLISHED && head->nr_hops == 3 &&
			hops[1].tag == TAG_ALLOW + 90,
		"established");
	ok(TRACE(9, 91) && hops[1].result == STEER_TRACE_CT_DENIED && head->nr_hops == 2, "denied before");
	ok(TRACE(10, 90) && hops[1].result == STEER_TRACE_CT_NEW && head->nr_hops == 6 &&
			hops[4].tag == TAG_ALLOW + 90,
		"new, with the policy's hops");
	move(9, STEER_CT_EPOCH_ALL, 0, NULL);
	ok(TRACE(9, 90) && hops[1].result == STEER_TRACE_CT_JUDGED && head->nr_hops == 6, "judged again");
	denied = (unsigned int)((const struct steer_trace_outcome *)(hops + head->nr_hops))->verdict;
	ok(denied == STEER_VERDICT_PORT, "and let through");
	ok(!memcmp(&before, lab_stats(), sizeof(before)) &&
			hits == counter_sum(lab.counter[90].counter).packets,
		"nothing was changed by it");
}

// A denial that is asked about again stays the same one, also when adoption asks.
static void test_denied_adoption(void)
{
	struct steer_ct_adopt window = {.window_ms = 60000};
	const struct stats_ct *s = lab_stats();
	uint64_t denied;

	lab_wait(100000);
	records();
	ok(!ct_adopt(1, &window, NULL), "running connections may be adopted");
	denied = s->denied;
	ok(!tcp(CLIENT, SERVER, 6000, 99, ACK, 100, 200) && s->denied == denied + 1, "not this one");
	move(20, STEER_CT_EPOCH_ALL, 0, NULL);
	ok(!tcp(CLIENT, SERVER, 6000, 99, ACK, 100, 200), "nor later");
	ok(s->denied == denied + 1, "it is remembered once (%lu)", (unsigned long)(s->denied - denied));
	ok(records() == 1 && told[0].event == STEER_FLOW_DENY, "and told once");
	lab_allow(99);
	move(21, STEER_CT_EPOCH_ALL, 0, NULL);
	ok(tcp(CLIENT, SERVER, 6000, 99, ACK, 100, 200) && s->denied == denied, "until it is adopted");
	lab_withdraw(99);
	move(22, STEER_CT_EPOCH_ALL, 0, NULL);
	lab_wait(100000);
	records();
}

// What one end opens is denied once, whatever has become of a connection that the other one has opened.
static void test_denied_once(void)
{
	const struct stats_ct *s = lab_stats();

	lab_wait(100000);
	records();
	lab_allow(99);
	ok(!tcp(SERVER, CLIENT, 99, 6100, SYN, 1, 0) && s->denied == 1, "one end may not open it");
	ok(open_tcp(6100, 99), "the other one may");
	ok(tcp(CLIENT, SERVER, 6100, 99, RST, 101, 0), "it ends");
	ok(!tcp(SERVER, CLIENT, 99, 6100, SYN, 1, 0) && !s->live, "who may not, still may not");
	ok(s->denied == 1, "which is remembered once (%lu)", (unsigned long)s->denied);
	ok(open_tcp(6100, 99), "another one");
	lab_withdraw(99);
	move(23, STEER_CT_EPOCH_ALL, 0, NULL);
	ok(!tcp(CLIENT, SERVER, 6100, 99, ACK, 101, 501) && !s->live, "is closed by policy");
	ok(s->denied == 2, "each end is denied once (%lu)", (unsigned long)s->denied);
	lab_wait(100000);
	records();
	ok(!s->denied && lab_balance(), "and both are forgotten");
}

static void test_refusals(void)
{
	struct steer_ct_epoch epoch = {.flags = 2};

	ok(ct_epoch(2, &epoch, NULL, NULL) == -EPERM, "another session's");
	ok(ct_epoch(1, &epoch, NULL, NULL) == -EINVAL, "unknown flags");
}

int main(void)
{
	struct steer_ct_cfg cfg = lab_cfg();

	bed_start(3);
	lab_build(&cfg);
	test_all();
	test_provenance();
	test_identities();
	test_idle();
	test_reject();
	test_trace();
	test_denied_adoption();
	test_denied_once();
	test_refusals();
	lab_tear_down();
	bed_conserves(0);
	bed_stop();
	return tap_done();
}
