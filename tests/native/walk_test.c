// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Packets through whole pipelines: rings in, rings out.

#include "fp_support.h"

#include "frames.h"
#include "steering_hash.h"

static void test_port_forward(void)
{
	struct spec *s = spec_new("root", 0, STEER_PIPE_BASIC, 16);
	struct entry_result result;
	uint8_t key[4] = {8, 8, 8, 8}, frame[256], out[256];
	struct work w;
	uint32_t pipe, bytes;

	s->head.flags = STEER_PIPE_ROOT | STEER_PIPE_MISS_COUNTER;
	spec_match(s, STEER_F_PM_OUTER_L4_TYPE, STEER_MATCH_CONSTANT, L4_META_TCP, 0xff);
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	s->head.fwd = fwd_port(1);
	s->head.fwd_miss = fwd_drop;
	pipe = spec_create(s, NULL);
	require(pipe, "pipe is made");
	w = work_new(pipe, key, 4, NULL, 0);
	work_counter(&w);
	ok(!work_add(&w, &result), "entry is added");
	w.head.entry = bed.next_entry++;
	ok(work_add(&w, NULL) == -EEXIST, "not twice");

	bytes = frame_tcp(frame, 0x01020304, 0x08080808, 1234, 80, 20);
	bed_send(0, frame, bytes);
	bytes = frame_udp(frame, 0x01020304, 0x08080808, 1234, 80, 20);
	bed_send(0, frame, bytes);
	worker_poll(&fp.workers[0]);
	bytes = frame_tcp(frame, 0x01020304, 0x08080808, 1234, 80, 20);
	ok(bed_receive(1, out, sizeof(out)) == bytes && !memcmp(frame, out, bytes), "TCP crosses unchanged");
	ok(!bed_receive(1, out, sizeof(out)), "UDP does not");
	ok(counter_sum(result.counter).packets == 1 && counter_sum(result.counter).bytes == bytes, "counted");
	ok(bed_drops(0, STEER_DROP_PIPE) == 1, "the miss is dropped by reason");
	entry_remove(bed.space, 0, &result);
	bed_send(0, frame, bytes);
	worker_poll(&fp.workers[0]);
	ok(!bed_receive(1, out, sizeof(out)), "gone when removed");
	ok(!pipe_destroy(bed.space, pipe, NULL), "pipe is destroyed");
	bed_send(0, frame, bytes);
	bed_settle();
	ok(bed_drops(0, STEER_DROP_NO_PIPELINE) == 1, "no pipeline");
}

// --- Helpers ------------------------------------------------------------------------------------------------------

static uint64_t software; // packets taken off the ring to software

// --- Hash and list pipes --------------------------------------------------------------------------------------------

static uint32_t hash_pipe(uint8_t algorithm, uint32_t entries, unsigned int filled)
{
	struct spec *s = spec_new("hash", 0, STEER_PIPE_HASH, entries);
	uint32_t pipe;

	s->head.algorithm = algorithm;
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	pipe = spec_create(s, NULL);
	for (unsigned int i = 0; i < filled; i++) {
		struct work w = work_new(pipe, NULL, 0, NULL, 0);

		w.head.index = i;
		work_counter(&w);
		work_fwd(&w, fwd_port((uint16_t)(1 + i)));
		ok(!work_add(&w, NULL), "hash entry %u", i);
	}
	return pipe;
}

// A forward to a pipe means the pipe's own algorithm, whatever an earlier jump asked for.
static void test_algorithm_is_per_jump(void)
{
	uint32_t last = hash_pipe(STEER_HASH_ROUND_ROBIN, 2, 2), first, root;
	struct spec *s = spec_new("first", 0, STEER_PIPE_HASH, 1);
	struct steer_fwd jump = {.type = STEER_FWD_HASH, .algorithm = STEER_HASH_IDENTITY};
	struct work w;

	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	first = spec_create(s, NULL);
	w = work_new(first, NULL, 0, NULL, 0);
	work_fwd(&w, fwd_pipe(last));
	ok(!work_add(&w, NULL), "entry");
	jump.pipe = first;
	root = pass("root", 0, 0, jump, true);
	for (unsigned int i = 0; i < 8; i++)
		send_udp(0, 0x08080800, 1);
	poll_all();
	ok(count_out(1) == 4 && count_out(2) == 4, "round robin behind identity");
	destroy(root);
	destroy(first);
	destroy(last);
}

static void test_hash(void)
{
	struct steer_fwd jump = {.type = STEER_FWD_HASH};
	uint32_t pipe = hash_pipe(STEER_HASH_HASH, 2, 2), root, expected[2] = {0, 0};
	uint8_t bytes[4];

	jump.pipe = pipe;
	root = pass("root", 0, 0, jump, true);
	for (uint32_t i = 0; i < 64; i++) {
		put32(bytes, 0x08080800 + i);
		expected[steering_hash(bytes, 4) & 1]++;
		send_udp(0, 0x08080800 + i, 1);
	}
	poll_all();
	ok(count_out(1) == expected[0] && count_out(2) == expected[1],
		"hash: where steering_hash says (%u, %u)", expected[0], expected[1]);
	destroy(root);
	for (unsigned int algorithm = STEER_HASH_RANDOM; algorithm <= STEER_HASH_ROUND_ROBIN; algorithm++) {
		unsigned int a, b;

		jump.algorithm = (uint8_t)algorithm;
		root = pass("root", 0, 0, jump, true);
		for (uint32_t i = 0; i < 64; i++)
			send_udp(0, 0x08080800 + i * 2, 1);
		poll_all();
		a = count_out(1);
		b = count_out(2);
		ok(a + b == 64 && (algorithm == STEER_HASH_RANDOM            ? a > 5 && b > 5
					  : algorithm == STEER_HASH_IDENTITY ? a == 64
									     : a == 32),
			"algorithm %u: %u and %u", algorithm, a, b);
		destroy(root);
	}
	destroy(pipe);
	pipe = hash_pipe(STEER_HASH_HASH, 4, 0);
	jump = (struct steer_fwd){.type = STEER_FWD_PIPE, .pipe = pipe};
	root = pass("root", 0, 0, jump, true);
	send_udp(0, 1, 1);
	poll_all();
	ok(bed_drops(0, STEER_DROP_HASH_EMPTY) == 1, "an empty hash pipe drops by reason");
	destroy(root);
	destroy(pipe);
}

// Each copy owns its bytes: one branch changes them, the others do not see it.
static void test_flooding(void)
{
	struct steer_action ttl = {
		.kind = STEER_ACT_SET, .field = STEER_F_OUTER_IP4_TTL, .value = {7}, .mask = {0xff}};
	struct spec *s = spec_new("branch", 0, STEER_PIPE_BASIC, 1);
	struct steer_fwd jump = {.type = STEER_FWD_HASH, .algorithm = STEER_HASH_FLOODING};
	uint8_t frame[256], out[3][256];
	uint32_t pipe = hash_pipe(STEER_HASH_HASH, 4, 1), branch, root, bytes;
	uint64_t copies = fp.workers[0].stats->copies;
	struct work w;

	s->head.fwd = fwd_port(2);
	spec_template(s);
	spec_action(s, ttl, 0);
	branch = spec_create(s, NULL);
	w = work_new(branch, NULL, 0, NULL, 0);
	ok(!work_add(&w, NULL), "branch entry");
	w = work_new(pipe, NULL, 0, NULL, 0);
	w.head.index = 1;
	work_fwd(&w, fwd_pipe(branch));
	ok(!work_add(&w, NULL), "flood entry 1");
	w = work_new(pipe, NULL, 0, NULL, 0);
	w.head.index = 3;
	work_fwd(&w, fwd_port(3));
	ok(!work_add(&w, NULL), "flood entry 3");
	jump.pipe = pipe;
	root = pass("root", 0, 0, jump, true);
	bytes = frame_udp(frame, 1, 2, 3, 4, 30);
	bed_send(0, frame, bytes);
	poll_all();
	for (unsigned int i = 0; i < 3; i++)
		ok(bed_receive((uint16_t)(1 + i), out[i], 256) == bytes, "copy on port %u", 1 + i);
	ok(!memcmp(out[0], frame, bytes) && !memcmp(out[2], frame, bytes) && out[1][22] == 7,
		"only one was changed");
	ok(fp.workers[0].stats->copies - copies == 2, "two copies were made");
	// A full burst of floods, and order at a port.
	for (unsigned int i = 0; i < 40; i++)
		send_udp(0, 2, i);
	poll_all();
	for (unsigned int i = 0, bad = 0; i < 40; i++) {
		bed_receive(2, frame, 256);
		bad += get16(frame + 34) != i;
		if (i == 39)
			ok(!bad, "copies leave in order");
	}
	ok(count_out(1) == 40 && count_out(3) == 40 && count_out(2) == 0, "40 on each port");
	destroy(root);
	destroy(pipe);
	destroy(branch);
}

static void test_ordered_list(void)
{
	struct steer_action ttl = {.kind = STEER_ACT_SET,
		.field = STEER_F_OUTER_IP4_TTL,
		.flags = STEER_ACT_CHANGEABLE,
		.mask = {0xff}};
	struct steer_action own = {.kind = STEER_ACT_COUNT, .value = {0xff, 0xff, 0xff, 0xff}};
	struct steer_action tag = {.kind = STEER_ACT_PUSH_VLAN, .value = {0x81, 0, 0, 1}};
	struct spec *s = spec_new("list", 0, STEER_PIPE_ORDERED_LIST, 8);
	struct steer_fwd jump = {.type = STEER_FWD_ORDERED_LIST, .index = 5};
	struct entry_result result;
	uint8_t value[8] = {33}, out[256];
	uint32_t pipe, root, bytes;
	struct work w;

	s->head.fwd = fwd_port(1);
	spec_template(s);
	spec_action(s, tag, 0);
	spec_action(s, own, 0);
	spec_action(s, ttl, 1);
	pipe = spec_create(s, NULL);
	w = work_new(pipe, NULL, 0, value, 1);
	w.head.index = 5;
	ok(!work_add(&w, &result), "list entry");
	w.head.index = 8;
	w.head.entry = bed.next_entry++;
	ok(work_add(&w, NULL) == -EINVAL, "index out of range");
	jump.pipe = pipe;
	root = pass("root", 0, 0, jump, true);
	send_udp(0, 2, 3);
	poll_all();
	bytes = bed_receive(1, out, sizeof(out));
	ok(bytes == 66 && out[26] == 33, "elements run");
	ok(counter_sum(result.counter).packets == 1 && counter_sum(result.counter).bytes == 66,
		"counted once, behind the push: %lu", (unsigned long)counter_sum(result.counter).bytes);
	destroy(root);
	destroy(pipe);
}

// --- Ends -----------------------------------------------------------------------------------------------------------

static void test_egress(void)
{
	uint32_t out = pass("egress", 1, STEER_DOMAIN_EGRESS, fwd_port(1), true);
	uint32_t root = pass("root", 0, 0, fwd_port(1), true), other;

	send_udp(0, 1, 1);
	poll_all();
	ok(count_out(1) == 1, "through the egress root");
	destroy(out);
	other = pass("wrong", 1, STEER_DOMAIN_EGRESS, fwd_port(2), true);
	send_udp(0, 1, 1);
	poll_all();
	ok(count_out(2) == 0 && bed_drops(0, STEER_DROP_BAD_FWD) == 1, "egress to a port of another switch");
	fp.ports[1].root_port = fp.ports[2].root_port = 1;
	send_udp(0, 1, 1);
	poll_all();
	ok(count_out(2) == 1, "egress to another port of the switch");
	fp.ports[2].root_port = 2;
	destroy(root);
	destroy(other);
}

static void test_software(void)
{
	struct steer_fwd rss = {.type = STEER_FWD_RSS, .nr_queues = 4};
	unsigned int seen[8] = {0}, spread = 0;
	uint16_t queues[4] = {1, 3, 5, 7};
	struct rte_mbuf *m;
	uint32_t root;

	memcpy(rss.queues, queues, sizeof(queues));
	root = pass("root", 0, 0, rss, true);
	for (unsigned int i = 0; i < 64; i++)
		send_udp(0, 0x08080800 + i, 7 * i * i);
	poll_all();
	while ((m = bed_software())) {
		seen[fp_note(m)->queue & 7]++;
		ok(fp_note(m)->kind == STEER_PKT_RSS && fp_note(m)->port == 0, "note");
		rte_pktmbuf_free(m);
		software++;
	}
	for (unsigned int i = 0; i < 4; i++)
		spread += seen[queues[i]] > 4;
	ok(spread == 4 && seen[0] + seen[2] + seen[4] + seen[6] == 0,
		"RSS over the four queues given: %u %u %u %u", seen[1], seen[3], seen[5], seen[7]);
	destroy(root);
	root = pass("root", 0, 0, (struct steer_fwd){.type = STEER_FWD_KERNEL}, true);
	send_udp(0, 1, 1);
	poll_all();
	m = bed_software();
	ok(m && fp_note(m)->kind == STEER_PKT_KERNEL, "target kernel");
	rte_pktmbuf_free(m);
	software++;
	destroy(root);
}

static void test_default_miss(void)
{
	struct spec *s = spec_new("empty", 0, STEER_PIPE_BASIC, 4);
	struct rte_mbuf *m;
	uint32_t root;

	s->head.flags = STEER_PIPE_ROOT;
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	root = spec_create(s, NULL);
	send_udp(0, 1, 1);
	poll_all();
	ok(bed_drops(0, STEER_DROP_DEFAULT_MISS) == 1, "default miss: drop");
	fp.ports[0].default_miss = STEER_MISS_RSS;
	send_udp(0, 1, 1);
	poll_all();
	m = bed_software();
	ok(m && fp_note(m)->kind == STEER_PKT_RSS && fp_note(m)->queue == 0, "default miss: RSS");
	rte_pktmbuf_free(m);
	software++;
	fp.ports[0].default_miss = STEER_MISS_DROP;
	ok(!pipe_set_miss(bed.space, root, &(struct steer_fwd){.type = STEER_FWD_PORT, .port = 2}, NULL),
		"update miss");
	send_udp(0, 1, 1);
	poll_all();
	ok(count_out(2) == 1, "the new miss");
	destroy(root);
}

static void test_limits(void)
{
	struct spec *s = spec_new("loop", 0, STEER_PIPE_BASIC, 4);
	uint8_t frame[2048];
	uint32_t root;
	struct work w;

	s->head.flags = STEER_PIPE_ROOT;
	root = spec_create(s, NULL);
	w = work_new(root, NULL, 0, NULL, 0);
	work_fwd(&w, fwd_pipe(root));
	ok(!work_add(&w, NULL), "a pipe may lead to itself");
	send_udp(0, 1, 1);
	poll_all();
	ok(bed_drops(0, STEER_DROP_DEPTH) == 1, "but not for ever");
	destroy(root);
	root = pass("root", 0, 0, fwd_port(1), true);
	fp.ports[1].mtu = 1400;
	bed_send(0, frame, frame_udp(frame, 1, 2, 3, 4, 1372));
	bed_send(0, frame, frame_udp(frame, 1, 2, 3, 4, 1373));
	poll_all();
	ok(count_out(1) == 1 && bed_drops(0, STEER_DROP_MTU) == 1, "MTU");
	fp.ports[1].mtu = 1500;
	fp.ports[1].up = 0;
	send_udp(0, 1, 1);
	poll_all();
	ok(bed_drops(0, STEER_DROP_PORT_DOWN) == 1, "port down");
	fp.ports[1].up = 1;
	put_eth(frame, 0x0800);
	bed_send(0, frame, 20);
	poll_all();
	ok(bed_drops(0, STEER_DROP_MALFORMED) == 1, "malformed");
	count_out(1);
	destroy(root);
}

static void test_meter_drops(void)
{
	struct spec *s = spec_new("metered", 0, STEER_PIPE_BASIC, 4);
	struct steer_monitor m = {.flags = STEER_MON_METER | STEER_MON_COUNTER,
		.meter = {.algorithm = STEER_METER_SIMPLE, .cir = 1, .cbs = 130}};
	uint32_t root;
	struct work w;

	s->head.flags = STEER_PIPE_ROOT;
	s->head.fwd = fwd_port(1);
	root = spec_create(s, NULL);
	w = work_new(root, NULL, 0, NULL, 0);
	w.head.flags |= STEER_ENTRY_MONITOR;
	work_put(&w, &m, sizeof(m));
	ok(!work_add(&w, NULL), "metered entry");
	for (unsigned int i = 0; i < 5; i++)
		send_udp(0, 1, 1);
	poll_all();
	ok(count_out(1) == 2 && bed_drops(0, STEER_DROP_METER_RED) == 3,
		"red of an entry's own meter is dropped");
	destroy(root);
}

static void test_inject_and_capture(void)
{
	uint32_t root = pass("root", 0, 0, fwd_port(1), true);
	unsigned int kinds[8] = {0};
	uint8_t frame[256];
	uint32_t bytes = frame_udp(frame, 1, 2, 3, 4, 20);
	struct rte_mbuf *m = frame_to_mbuf(fp.pool, frame, bytes);

	fp.ports[0].capture = STEER_CAP_RX | STEER_CAP_DROP;
	fp.ports[1].capture = STEER_CAP_TX;
	fp.ports[1].capture_snap = 40;
	*fp_note(m) = (struct fp_note){.port = 0, .kind = STEER_PKT_INJECT};
	ok(!worker_feed(&fp.workers[0], m), "feed");
	m = frame_to_mbuf(fp.pool, frame, bytes);
	*fp_note(m) = (struct fp_note){.port = 2, .kind = STEER_PKT_TRANSMIT};
	worker_feed(&fp.workers[0], m);
	put_eth(frame, 0x0800);
	bed_send(0, frame, 20);
	poll_all();
	ok(count_out(1) == 1 && count_out(2) == 1, "injected is judged, transmitted is sent");
	ok(fp.workers[0].stats->port[0].injected.packets == 1 &&
			fp.workers[0].stats->port[2].transmitted.packets == 1,
		"counted");
	while (!rte_ring_dequeue(fp.workers[0].to_capture, (void **)&m)) {
		kinds[fp_note(m)->kind & 7]++;
		if (fp_note(m)->kind == STEER_PKT_CAPTURE_TX)
			ok(rte_pktmbuf_pkt_len(m) == 40 && fp_note(m)->wire_len == bytes, "snap");
		if (fp_note(m)->kind == STEER_PKT_CAPTURE_DROP)
			ok(fp_note(m)->reason == STEER_DROP_MALFORMED, "reason");
		rte_pktmbuf_free(m);
	}
	ok(kinds[STEER_PKT_CAPTURE_RX] == 2 && kinds[STEER_PKT_CAPTURE_TX] == 1 &&
			kinds[STEER_PKT_CAPTURE_DROP] == 1,
		"captured: %u in, %u out, %u dropped", kinds[STEER_PKT_CAPTURE_RX],
		kinds[STEER_PKT_CAPTURE_TX], kinds[STEER_PKT_CAPTURE_DROP]);
	fp.ports[0].capture = fp.ports[1].capture = 0;
	destroy(root);
}

// --- Trace ----------------------------------------------------------------------------------------------------------

static void test_trace(void)
{
	static uint64_t reply[8192];
	struct steer_trace_reply *head = (struct steer_trace_reply *)reply;
	struct steer_trace_hop *hops = (struct steer_trace_hop *)(head + 1);
	struct steer_trace_outcome *outcome;
	struct steer_trace_request request = {.port = 0};
	struct spec *s = spec_new("keyed", 0, STEER_PIPE_BASIC, 4);
	struct entry_result result;
	uint8_t frame[256], key[4] = {8, 8, 8, 8};
	uint32_t keyed, root;
	struct work w;
	size_t used;

	s->head.fwd = fwd_port(1);
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	keyed = spec_create(s, NULL);
	w = work_new(keyed, key, 4, NULL, 0);
	w.head.tag = 4711;
	work_counter(&w);
	work_add(&w, &result);
	root = pass("root", 0, 0, fwd_pipe(keyed), true);
	request.length = frame_udp(frame, 1, 0x08080808, 3, 4, 20);
	ok(!trace_run(&request, frame, reply, sizeof(reply), &used), "trace");
	outcome = (struct steer_trace_outcome *)(hops + head->nr_hops);
	ok(head->nr_hops == 2 && hops[0].pipe == root && hops[1].pipe == keyed && hops[1].tag == 4711 &&
			hops[1].entry == w.head.entry && hops[1].nr_keys == 1 &&
			!memcmp(hops[1].keys[0].packet, key, 4) && !memcmp(hops[1].keys[0].value, key, 4) &&
			hops[1].fwd.type == STEER_FWD_PORT,
		"each hop is told");
	ok(head->nr_outcomes == 1 && outcome->verdict == STEER_VERDICT_PORT && outcome->port == 1 &&
			outcome->length == request.length && !memcmp(outcome + 1, frame, request.length),
		"and the outcome");
	ok(counter_sum(result.counter).packets == 0, "nothing was counted");
	request.length = frame_udp(frame, 1, 0x08080809, 3, 4, 20);
	trace_run(&request, frame, reply, sizeof(reply), &used);
	outcome = (struct steer_trace_outcome *)(hops + head->nr_hops);
	ok(hops[1].result == STEER_TRACE_MISS && outcome->verdict == STEER_VERDICT_DROP &&
			outcome->reason == STEER_DROP_DEFAULT_MISS,
		"a miss and its reason");
	ok(trace_run(&request, frame, reply, 64, &used) == -EMSGSIZE, "no room");
	destroy(root);
	destroy(keyed);
}

static void test_refusals(void)
{
	struct spec *s = spec_new("bad", 0, STEER_PIPE_LPM, 4);
	uint32_t root = pass("root", 0, 0, fwd_port(1), true);
	int err;

	spec_create(s, &err);
	ok(err == -EINVAL, "LPM without a prefix");
	s = spec_new("bad", 0, STEER_PIPE_CT, 4);
	spec_create(s, &err);
	ok(err, "CT without its configuration");
	s = spec_new("bad", 0, STEER_PIPE_HASH, 3);
	spec_create(s, &err);
	ok(err == -EINVAL, "hash of three");
	s = spec_new("bad", 0, STEER_PIPE_BASIC, 4);
	s->head.flags = STEER_PIPE_ROOT;
	spec_create(s, &err);
	ok(err == -EEXIST, "a second root");
	s = spec_new("bad", 9, STEER_PIPE_BASIC, 4);
	spec_create(s, &err);
	ok(err == -EINVAL, "a port that is not there");
	s = spec_new("bad", 0, STEER_PIPE_BASIC, 4);
	s->head.fwd = fwd_pipe(12345);
	spec_create(s, &err);
	ok(err == -ENOENT, "a forward to nowhere");
	s = spec_new("bad", 0, STEER_PIPE_BASIC, 4);
	s->head.nr_match = 5;
	spec_create(s, &err);
	ok(err == -EINVAL, "a spec that is cut off");
	destroy(root);
}

int main(void)
{
	bed_start(4);
	test_port_forward();
	test_hash();
	test_algorithm_is_per_jump();
	test_flooding();
	test_ordered_list();
	test_egress();
	test_software();
	test_default_miss();
	test_limits();
	test_meter_drops();
	test_inject_and_capture();
	test_trace();
	test_refusals();
	bed_settle();
	bed_conserves(software);
	bed_stop();
	return tap_done();
}
