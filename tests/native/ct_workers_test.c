// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Two worker threads. All packets received by one of them, then each direction by another one: connections live with the
// worker that owns them, packets reach it in order, control's questions are answered while they run.

#include <pthread.h>
#include <time.h>

#include "ct_bed.h"

enum { HOSTS = 40, ROUNDS = 25, TALKS = 64, WORDS = 12, WORD = 6 };

static pthread_t threads[2];
static struct steer_flow_record told[4096];

static void *run(void *arg)
{
	worker_main(arg);
	return NULL;
}

static void start(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		fp.workers[i].quit = 0;
		require(!pthread_create(&threads[i], NULL, run, &fp.workers[i]), "a worker runs");
	}
}

static void stop(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		fp_publish(&fp.workers[i].quit, 1);
		worker_wake(&fp.workers[i]);
		pthread_join(threads[i], NULL);
	}
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void add_hosts(void)
{
	for (uint32_t i = 3; i < HOSTS; i++) {
		uint8_t key[4];
		struct work w;

		put32(key, CLIENT + i);
		w = work_new(lab.forward, key, 4, NULL, 0);
		work_fwd(&w, fwd_port(1));
		ok(!work_add(&w, NULL), "host");
		lab_address(lab.src, CLIENT + i, lab_identity(CLIENT + i));
		lab_address(lab.dst, CLIENT + i, lab_identity(CLIENT + i));
	}
}

// The next frame that left by a port, waiting for it.
static uint32_t receive(uint16_t port, uint8_t *frame)
{
	uint64_t until = now_ms() + 20000;
	uint32_t bytes;

	while (!(bytes = bed_receive(port, frame, 256)) && now_ms() < until) {
		rcu_poll();
		sched_yield();
	}
	return bytes;
}

static void transmit(uint32_t src, uint32_t dst, unsigned int sport, unsigned int dport, uint32_t round)
{
	uint8_t frame[256];
	uint32_t bytes = frame_udp(frame, src, dst, sport, dport, 20);

	put32(frame + 42, round);
	bed_send(0, frame, bytes);
	worker_wake(&fp.workers[0]);
}

// Each host is sent packets and answers; each port is one connection per host.
static void test_order(void)
{
	static uint32_t last[HOSTS];
	unsigned int wrong = 0, got = 0;
	uint8_t frame[256];

	for (uint32_t round = 1; round <= ROUNDS; round++) {
		for (uint32_t i = 3; i < HOSTS; i++)
			transmit(CLIENT, CLIENT + i, 1000, 53, round);
		for (uint32_t i = 3; i < HOSTS; i++) {
			uint32_t host;

			if (!receive(1, frame))
				continue;
			got++;
			host = get32(frame + 30) - CLIENT;
			wrong += host >= HOSTS || get32(frame + 42) != ++last[host];
		}
	}
	ok(got == (HOSTS - 3) * ROUNDS, "all arrive (%u)", got);
	ok(!wrong, "those of a connection in order");
	for (uint32_t i = 3; i < HOSTS; i++)
		transmit(CLIENT + i, CLIENT, 53, 1000, 1);
	for (uint32_t i = got = 0; i < HOSTS - 3; i++)
		got += !!receive(0, frame);
	ok(got == HOSTS - 3, "replies find their connection (%u)", got);
}

static void test_questions(void)
{
	struct {
		struct steer_trace_request head;
		uint8_t frame[256];
	} request = {.head.port = 0};
	static uint8_t reply[STEER_MSG_MAX] __attribute__((aligned(16)));
	const struct steer_trace_reply *head = (const void *)reply;
	const struct steer_trace_hop *hops = (const void *)(head + 1);
	struct steer_ct_list list = {.max = 5};
	struct steer_ct_list_reply some;
	unsigned int nr = 0, established = 0;
	struct why why = {0};
	size_t used;

	for (uint32_t i = 3; i < HOSTS; i++) {
		request.head.length = frame_udp(request.frame, CLIENT, CLIENT + i, 1000, 53, 20);
		ok(!trace_run(&request.head, request.frame, reply, sizeof(reply), &used), "trace");
		established += head->nr_hops == 3 && hops[1].result == STEER_TRACE_CT_ESTABLISHED &&
			       hops[1].tag == TAG_ALLOW + 53;
	}
	ok(established == HOSTS - 3, "a trace finds each connection with its owner (%u)", established);
	do {
		ok(!ct_list(&list, &some, told, 4096, &why) && some.nr <= 5, "a part of the list");
		nr += some.nr;
		list.cursor = some.cursor;
	} while (list.cursor);
	ok(nr == HOSTS - 3, "the list has all of them (%u)", nr);
}

// The owner of a frame.
static unsigned int owner(const uint8_t *frame, uint32_t bytes)
{
	static uint8_t copy[512];
	static struct packet packet;

	memcpy(copy, frame, bytes);
	packet_init(&packet);
	packet_load(&packet, copy, bytes, bytes);
	ok(!packet_parse(&packet), "a sound frame");
	return ct_owner(&packet);
}

// Puts a frame into a VXLAN tunnel.
static uint32_t tunnelled(uint8_t *outer, const uint8_t *plain, uint32_t bytes)
{
	static const uint8_t vxlan[8] = {8, 0, 0, 0, 0, 0, 7, 0};

	frame_udp(outer, 0xc0000201, 0xc0000202, 49152, 4789, sizeof(vxlan) + bytes);
	memcpy(outer + 42, vxlan, sizeof(vxlan));
	memcpy(outer + 50, plain, bytes);
	return 50 + bytes;
}

static void test_tunnels(void)
{
	unsigned int apart = 0, moved = 0, lost = 0;
	uint8_t plain[256], outer[512], error[256];

	for (uint32_t i = 0; i < 32; i++) {
		uint32_t bytes = frame_udp(plain, CLIENT + i, CLIENT, 1000, 53, 20);
		unsigned int mine = owner(plain, bytes);

		// A router cannot forward it.
		put_eth(error, 0x0800);
		put_ip4(error + 14, 0xc0a80001, CLIENT + i, 1, 8 + 28);
		memset(error + 34, 0, 8);
		error[34] = 3;
		memcpy(error + 42, plain + 14, 28);
		l4_fill(error + 14, error + 34, 1, 8 + 28);
		lost += owner(error, 70) != mine;
		lost += owner(outer, tunnelled(outer, error, 70)) != mine;
		tunnelled(outer, plain, bytes);
		apart += owner(outer, 50 + bytes) != mine;
		outer[20] = 0x20; // its first fragment
		mine = owner(outer, 50 + bytes);
		outer[20] = 0, outer[21] = 8; // a later one
		moved += owner(outer, 50 + bytes) != mine;
	}
	ok(!lost, "what a router says of it goes where it is kept (%u do not)", lost);
	ok(!apart, "in a tunnel as without one (%u apart)", apart);
	ok(!moved, "fragments of a tunnel stay together");
}

static uint64_t sum(size_t member)
{
	uint64_t all = 0;

	for (unsigned int i = 0; i < 2; i++)
		all += fp_read((const uint64_t *)((const uint8_t *)&fp.workers[i].stats->ct + member));
	return all;
}
#define SUM(member) sum(offsetof(struct stats_ct, member))

// --- Directions on two workers --------------------------------------------------------------------------------------

static void part_ports(void)
{
	struct fp_rx rx[3];

	for (uint16_t i = 0; i < 3; i++)
		rx[i] = (struct fp_rx){.port = i, .dev = fp.ports[i].dev, .fd = -1};
	ok(!worker_set_rx(&fp.workers[0], rx, 1) && !worker_set_rx(&fp.workers[1], rx + 1, 2),
		"each direction has its worker");
}

// One end says something in connection n; the other end's port leads to another worker.
static void say(bool client, unsigned int n, unsigned int flags, uint32_t seq, uint32_t ack)
{
	uint8_t frame[256];
	struct tcp t = {.src = client ? CLIENT : SERVER,
		.dst = client ? SERVER : CLIENT,
		.sport = client ? 2000 + n : 53,
		.dport = client ? 53 : 2000 + n,
		.flags = flags,
		.seq = seq,
		.ack = ack,
		.bytes = flags & PSH ? WORD : 0};

	bed_send(client ? 0 : 1, frame, lab_tcp_frame(frame, &t));
	worker_wake(&fp.workers[!client]);
}

// What the server does with a frame of connection n.
static void serve(const uint8_t *frame, unsigned int n)
{
	uint32_t seq = get32(frame + 38), ack = get32(frame + 42);

	if (frame[47] & SYN)
		say(false, n, SYN | ACK, 199, seq + 1);
	else if (frame[47] & PSH)
		say(false, n, PSH | ACK, ack, seq + WORD);
}

// The same for the client, who speaks WORDS times. True when the last of them was answered.
static bool ask(const uint8_t *frame, unsigned int n)
{
	uint32_t seq = get32(frame + 38), ack = get32(frame + 42);

	if (frame[47] & SYN) {
		say(true, n, ACK, 100, 200);
		say(true, n, PSH | ACK, 100, 200);
	} else if (ack == 100 + WORDS * WORD) {
		return true;
	} else {
		say(true, n, PSH | ACK, ack, seq + WORD);
	}
	return false;
}

static unsigned int listed(unsigned int *wrong)
{
	struct steer_ct_list list = {.max = 4096};
	struct steer_ct_list_reply some;
	struct why why = {0};
	unsigned int talks = 0;

	*wrong = 0;
	do {
		require(!ct_list(&list, &some, told, 4096, &why), "the list");
		for (unsigned int i = 0; i < some.nr; i++) {
			if (told[i].src_port < 2000)
				continue;
			talks++;
			*wrong += told[i].packets[0] != 2 + WORDS || told[i].packets[1] != 1 + WORDS;
		}
		list.cursor = some.cursor;
	} while (list.cursor);
	return talks;
}

static void test_two_sides(void)
{
	uint64_t opened = SUM(opened), invalid = SUM(invalid), until = now_ms() + 60000;
	unsigned int done = 0, talks, wrong;
	uint8_t frame[256];

	for (unsigned int n = 0; n < TALKS; n++)
		say(true, n, SYN, 99, 0);
	while (done < TALKS && now_ms() < until) {
		bool idle = true;

		while (bed_receive(1, frame, sizeof(frame)) && !(idle = false))
			serve(frame, get16(frame + 34) - 2000);
		while (bed_receive(0, frame, sizeof(frame)) && !(idle = false))
			done += ask(frame, get16(frame + 36) - 2000);
		rcu_poll();
		if (idle)
			sched_yield();
	}
	ok(done == TALKS, "%u conversations come to their end", done);
	ok(SUM(opened) == opened + TALKS, "each is one connection, opened once");
	ok(SUM(invalid) == invalid, "no packet is out of order or window");
	talks = listed(&wrong);
	ok(talks == TALKS && !wrong, "each has the packets of both directions (%u have not)", wrong);
	ok(fp_read(&fp.workers[0].stats->ct.handed_over) && fp_read(&fp.workers[1].stats->ct.handed_over),
		"both workers gave packets to the other one");
}

int main(void)
{
	struct steer_ct_cfg cfg = lab_cfg();

	bed_workers = 2;
	bed_start(3);
	for (unsigned int i = 0; i < 2; i++)
		fp.workers[i].idle = FP_IDLE_ADAPTIVE;
	lab_build(&cfg);
	lab_allow(53);
	add_hosts();
	start();
	test_order();
	ok(fp.workers[0].stats->ct.live && fp.workers[1].stats->ct.live, "both own some");
	ok(SUM(opened) == HOSTS - 3 && SUM(live) == HOSTS - 3, "each connection was opened once");
	ok(SUM(handed_over) && !fp.workers[0].stats->ct.handed_over, "packets were handed over");
	ok(counter_sum(lab.counter[53].counter).packets == HOSTS - 3, "the policy was asked once for each");
	ok(ct_take_records(told, 4096) == HOSTS - 3, "a record of each");
	test_questions();
	test_tunnels();
	stop();
	part_ports();
	start();
	test_two_sides();
	stop();
	rcu_poll();
	lab_tear_down();
	bed_conserves(0);
	bed_stop();
	return tap_done();
}
