// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What the control thread does beside posting: transactions, ageing, software packets, captures, trace, adoption by a
// re-attached durable session.

#include "slice.h"

static struct fastpath *fastpath;

static int call(struct steering_client *client, enum steer_op op)
{
	return steering_call(client, op, NULL, 0, NULL, 0, NULL);
}

static uint64_t dropped(struct steering_client *client, uint16_t port, enum steer_drop reason)
{
	struct stats_port sum;

	return steering_stats_port(client, port, &sum) ? 0 : sum.drops[reason];
}

static void transactions(struct steering_client *client, uint32_t pipe)
{
	struct steer_txn_reply reply = {0};
	struct steer_packet packet;
	uint8_t frame[2048];
	uint64_t misses = dropped(client, 0, STEER_DROP_PIPE);

	ok(call(client, STEER_OP_TXN_COMMIT) == -EINVAL, "nothing to commit: %s", steering_why());
	ok(!call(client, STEER_OP_TXN_BEGIN) && call(client, STEER_OP_TXN_BEGIN) == -EALREADY,
		"begun once: %s", steering_why());
	ok(!add_entry(client, pipe, 20, 20, 1).status, "an entry is prepared");
	inject(client, 0, 20);
	ok(WAIT_FOR(dropped(client, 0, STEER_DROP_PIPE) == misses + 1), "packets do not see it");
	ok(!steering_call_exact(client, STEER_OP_TXN_COMMIT, NULL, 0, &reply, sizeof(reply)) &&
			reply.changes == 1,
		"it is committed as revision %llu", (unsigned long long)reply.revision);
	inject(client, 0, 20);
	ok(receive(client, &packet, frame) == 1 && packet.port == 1, "now they do");
	call(client, STEER_OP_TXN_BEGIN);
	add_entry(client, pipe, 21, 21, 1);
	ok(add_entry(client, pipe, 22, 20, 1).status == -EEXIST, "one that cannot be");
	ok(steering_call(client, STEER_OP_TXN_COMMIT, NULL, 0, &reply, sizeof(reply), NULL) == -ECANCELED,
		"dooms the transaction: %s", steering_why());
	misses = dropped(client, 0, STEER_DROP_PIPE);
	inject(client, 0, 21);
	ok(WAIT_FOR(dropped(client, 0, STEER_DROP_PIPE) == misses + 1), "and nothing of it is there");
	call(client, STEER_OP_TXN_BEGIN);
	add_entry(client, pipe, 21, 21, 1);
	ok(!call(client, STEER_OP_TXN_ABORT) && call(client, STEER_OP_TXN_ABORT) < 0, "aborted once");
}

static void ageing(struct steering_client *client, uint32_t pipe)
{
	struct {
		struct steer_entry_add add;
		uint8_t key[8];
		struct steer_monitor monitor;
		struct steer_fwd fwd;
	} entry = {
		.add = {.rec = {.length = sizeof(entry), .kind = STEER_REC_ENTRY_ADD},
			.pipe = pipe,
			.entry = 30,
			.user_data = 3030,
			.flags = STEER_ENTRY_MONITOR | STEER_ENTRY_FWD,
			.key_bytes = 4},
		.key = {10, 0, 0, 30},
		.monitor = {.flags = STEER_MON_COUNTER | STEER_MON_AGING, .aging_sec = 1},
		.fwd = {.type = STEER_FWD_DROP},
	};
	struct steer_completion done = {.op = 0};
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	ok(!steering_post(client, 1, &entry.add.rec) && !steering_push(client, 1),
		"an entry that ages, on queue 1");
	ok(steering_wait(client, STEERING_WAIT_COMPLETIONS, 1, 5000000) == 1 &&
			steering_pull(client, 1, &done, 1) == 1 && !done.status,
		"is added");
	ok(steering_wait(client, STEERING_WAIT_COMPLETIONS, 1, 5000000) == 1 &&
			steering_pull(client, 1, &done, 1) == 1,
		"a notice comes on queue 1");
	clock_gettime(CLOCK_MONOTONIC, &to);
	ok(done.op == STEER_REC_EVENT && done.entry == 30 && done.user_data == 3030 && !done.status,
		"that names the entry");
	ok(to.tv_sec - from.tv_sec >= 1, "not before its time");
	ok(!steering_in_flight(client, 1), "and does not count as a completion");
	inject(client, 0, 30);
	ok(steering_wait(client, STEERING_WAIT_COMPLETIONS, 1, 5000000) == 1 &&
			steering_pull(client, 1, &done, 1) == 1 && done.op == STEER_REC_EVENT,
		"used again it ages again");
}

static void software(struct steering_client *client)
{
	struct steer_packet packet;
	struct stats_port sum;
	uint8_t frame[2048];

	ok(!start_port(client, 2, STEER_MISS_RSS), "a port whose default miss is software");
	create_pipe(client, 2, STEER_FWD_NONE);
	inject(client, 2, 9);
	ok(WAIT_FOR(dropped(client, 2, STEER_DROP_NO_RECEIVER) == 1),
		"without a receiver it is a named drop");
	ok(!listen_to(client, STEER_RECV_SOFTWARE | STEER_RECV_WIRE), "a receiver");
	inject(client, 2, 9);
	ok(receive(client, &packet, frame) == 1 && packet.kind == STEER_PKT_RSS && packet.port == 2 &&
			packet.queue < 4 && packet.length == 64 && frame[33] == 9,
		"gets it");
	ok(WAIT_FOR(!steering_stats_port(client, 2, &sum) && sum.software.packets == 1), "which is counted");
	ok(!steering_packet_post(client, STEER_PKT_TRANSMIT, 2, 0, frame, 64) &&
			!steering_packet_push(client) && receive(client, &packet, frame) == 1 &&
			packet.kind == STEER_PKT_WIRE && packet.port == 2,
		"transmit goes straight to the wire");
	ok(WAIT_FOR(!steering_stats_port(client, 2, &sum) && sum.transmitted.packets == 1 &&
		    sum.sent.packets == 1),
		"which is counted too");
	steering_packet_post(client, STEER_PKT_INJECT, 60, 0, frame, 64);
	steering_packet_push(client);
	ok(WAIT_FOR(dropped(client, 60, STEER_DROP_INJECT_REFUSED) == 1),
		"a port that is not there is a named drop");
}

static void captures(struct steering_client *client)
{
	struct steering_client *watcher = fastpath_connect(fastpath, "watcher", STEER_SESSION_READER, 0);
	struct steer_capture capture = {.points = 7, .port = STEER_PORT_NONE, .snap = 20};
	struct steer_packet packet;
	uint8_t frame[2048];

	ok(!steering_call(watcher, STEER_OP_CAPTURE, &capture, sizeof(capture), NULL, 0, NULL),
		"a reader captures");
	inject(client, 0, 20);
	ok(receive(watcher, &packet, frame) == 1 && packet.kind == STEER_PKT_CAPTURE_RX && packet.port == 0 &&
			packet.length == 20 && packet.wire_length == 64,
		"what is received, cut to the snap length");
	ok(receive(watcher, &packet, frame) == 1 && packet.kind == STEER_PKT_CAPTURE_TX && packet.port == 1,
		"what is sent");
	inject(client, 0, 99);
	ok(receive(watcher, &packet, frame) == 1 && packet.kind == STEER_PKT_CAPTURE_RX, "what is received");
	ok(receive(watcher, &packet, frame) == 1 && packet.kind == STEER_PKT_CAPTURE_DROP &&
			packet.reason == STEER_DROP_PIPE,
		"what is dropped, and why");
	capture = (struct steer_capture){
		.points = STEER_CAP_DROP, .port = 0, .drop_reasons = 1ull << STEER_DROP_NO_RECEIVER};
	steering_call(watcher, STEER_OP_CAPTURE, &capture, sizeof(capture), NULL, 0, NULL);
	inject(client, 0, 99);
	ok(steering_wait(watcher, STEERING_WAIT_PACKETS, 0, 100000) == 0, "other reasons are not shown");
	capture.points = 99;
	ok(steering_call(watcher, STEER_OP_CAPTURE, &capture, sizeof(capture), NULL, 0, NULL) == -EINVAL,
		"%s", steering_why());
	steering_close(watcher);
	// The frame that left p1 came to us too.
	ok(receive(client, &packet, frame) == 1 && packet.kind == STEER_PKT_WIRE,
		"the wire is not disturbed");
}

static void traces(struct steering_client *client, uint32_t pipe)
{
	struct {
		struct steer_trace_request request;
		uint8_t frame[64];
	} message = {.request = {.port = 0, .length = 64}};
	static uint8_t reply[STEER_MSG_MAX] __attribute__((aligned(8)));
	const struct steer_trace_reply *head = (void *)reply;
	const struct steer_trace_hop *hop = (const void *)(head + 1);
	struct stats_port before, after;
	uint32_t length = 0;

	memcpy(message.frame, frame_template, 64);
	message.frame[33] = 20;
	steering_stats_port(client, 0, &before);
	ok(!steering_call(client, STEER_OP_TRACE, &message, sizeof(message), reply, sizeof(reply), &length) &&
			head->nr_hops == 1 && head->nr_outcomes == 1 && hop->pipe == pipe && hop->entry == 20,
		"trace shows the entry");
	const struct steer_trace_outcome *outcome = (const void *)(hop + 1);

	ok(outcome->verdict == STEER_VERDICT_PORT && outcome->port == 1 && outcome->length == 64,
		"and the verdict");
	steering_stats_port(client, 0, &after);
	ok(!memcmp(&before, &after, sizeof(before)), "and counts nothing");
	message.request.length = 65;
	ok(steering_call(client, STEER_OP_TRACE, &message, sizeof(message), reply, sizeof(reply), &length) ==
			-EINVAL,
		"%s", steering_why());
}

static void adoption(void)
{
	struct steering_client *client = fastpath_connect(fastpath, "keeper", STEER_SESSION_DURABLE, 1);
	static uint8_t reply[STEER_MSG_MAX] __attribute__((aligned(8)));
	struct steer_pipe_query query = {.port = STEER_PORT_NONE, .after = STEER_PIPE_NONE};
	struct steer_entry_query entries = {.after = STEER_ENTRY_NONE};
	const struct steer_pipe_info *info = (void *)reply;
	const struct steer_entry_info *entry = (void *)reply;
	struct steer_pipe_ref ref;
	uint32_t length = 0;

	require(!start_port(client, 3, STEER_MISS_DROP), "a durable session starts p3");
	ref.pipe = entries.pipe = create_pipe(client, 3, STEER_FWD_DROP);
	for (uint32_t i = 0; i < 5; i++)
		add_entry(client, ref.pipe, i, (uint8_t)i, 3);
	steering_close(client);
	for (unsigned int i = 0; i < 1000; i++) {
		struct steering_options options = {.path = fastpath->socket,
			.name = "keeper",
			.flags = STEER_SESSION_DURABLE,
			.nr_queues = 1};

		if (!steering_connect(&options, &client, NULL, 0))
			break;
		usleep(1000);
	}
	require(client && steering_session(client)->resumed, "and is attached again");
	query.session = steering_session(client)->session;
	ok(!steering_call(client, STEER_OP_PIPE_LIST, &query, sizeof(query), reply, sizeof(reply), &length) &&
			length == sizeof(*info) && info->pipe == ref.pipe && info->used == 5 &&
			info->port == 3,
		"its pipe is listed");
	ok(!steering_call(client, STEER_OP_PIPE_GET, &ref, sizeof(ref), reply, sizeof(reply), &length) &&
			((struct steer_pipe_spec *)(void *)reply)->bytes == length,
		"its spec can be had");
	ok(!steering_call(
		   client, STEER_OP_ENTRY_LIST, &entries, sizeof(entries), reply, sizeof(reply), &length),
		"entries");
	for (uint32_t i = 0; i < 5; i++) {
		const struct steer_entry_add *add = (const void *)(entry + 1);

		ok(entry->entry == i && add->key_bytes == 4 && ((const uint8_t *)(add + 1))[3] == i &&
				add->user_data == 1000 + i,
			"entry %u as it was added", i);
		entry = (const void *)((const uint8_t *)entry + entry->bytes);
	}
	ok((const uint8_t *)entry == reply + length, "and no more");
	ok(!add_entry(client, ref.pipe, 5, 5, 3).status, "it goes on where it was");
	steering_close(client);
}

// A session that asks for packets and never reads loses its own, and nobody else's.
static void deaf_listener(struct steering_client *client)
{
	struct steering_options options = {.path = fastpath->socket,
		.name = "deaf",
		.flags = STEER_SESSION_READER,
		.packet_ring_bytes = 1 << 18};
	struct steering_client *deaf;
	unsigned int received = 0;
	struct steer_packet packet;
	uint8_t frame[2048];

	require(!steering_connect(&options, &deaf, NULL, 0), "a session that will not read");
	listen_to(deaf, STEER_RECV_WIRE);
	memcpy(frame, frame_template, sizeof(frame_template));
	frame[33] = 20;
	for (unsigned int sent = 0; sent < 6000; sent += 50) {
		uint8_t got[2048];

		for (unsigned int i = 0; i < 50; i++)
			steering_packet_post(client, STEER_PKT_INJECT, 0, 0, frame, 64);
		steering_packet_push(client);
		while (received < sent + 50 && steering_wait(client, STEERING_WAIT_PACKETS, 0, 5000000) > 0)
			while (steering_packet_receive(client, &packet, got, sizeof(got)) == 1)
				received++;
	}
	ok(received == 6000 && !steering_packets_lost(client), "a good one gets all %u", received);
	ok(steering_packets_lost(deaf) > 1000, "the deaf one lost %llu",
		(unsigned long long)steering_packets_lost(deaf));
	received = 0;
	while (steering_packet_receive(deaf, &packet, frame, sizeof(frame)) == 1)
		received++;
	ok(received + steering_packets_lost(deaf) == 6000, "and can tell");
	steering_close(deaf);
}

// The owner of a durable session is killed while its pipeline forwards: not one packet is lost.
static void owner_killed(void)
{
	struct steering_client *outside = fastpath_connect(fastpath, "outside", STEER_SESSION_READER, 0);
	unsigned int sent = 0, received = 0;
	struct steer_packet packet;
	uint8_t frame[2048];
	int ready[2];
	pid_t owner;

	require(!pipe2(ready, O_CLOEXEC), "a pipe");
	fflush(stdout);
	owner = fork();
	if (!owner) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		// Its test points are not ours.
		if (!freopen("/dev/null", "w", stdout))
			_exit(1);
		struct steering_client *client =
			fastpath_connect(fastpath, "mortal", STEER_SESSION_DURABLE, 1);
		bool good =
			!start_port(client, 4, STEER_MISS_DROP) && !start_port(client, 5, STEER_MISS_DROP);

		good = good && !add_entry(client, create_pipe(client, 4, STEER_FWD_DROP), 0, 20, 5).status;
		_exit(write(ready[1], good ? "y" : "n", 1) == 1 && pause());
	}
	ok(read(ready[0], frame, 1) == 1 && frame[0] == 'y', "a process of its own has a pipeline");
	listen_to(outside, STEER_RECV_WIRE);
	memcpy(frame, frame_template, sizeof(frame_template));
	while (received < 5000) {
		frame[33] = 20;
		for (; sent < 5000 && sent - received < 100; sent++)
			if (steering_packet_post(outside, STEER_PKT_INJECT, 4, 0, frame, 64))
				break;
		steering_packet_push(outside);
		if (received > 2500 && owner) {
			kill(owner, SIGKILL);
			waitpid(owner, NULL, 0);
			owner = 0;
		}
		if (steering_wait(outside, STEERING_WAIT_PACKETS, 0, 5000000) <= 0)
			break;
		while (steering_packet_receive(outside, &packet, frame, sizeof(frame)) == 1)
			received += packet.port == 5;
		memcpy(frame, frame_template, sizeof(frame_template));
	}
	ok(received == 5000, "%u of %u frames arrive although it was killed", received, sent);
	close(ready[0]);
	close(ready[1]);
	steering_close(outside);
}

int main(void)
{
	struct steering_client *client;
	uint64_t mbufs;
	uint32_t pipe;

	fastpath = fastpath_start("[port p0]\nbackend = net_ring\n[port p1]\nbackend = net_ring\n"
				  "[port p2]\nbackend = net_ring\n[port p3]\nbackend = net_ring\n"
				  "[port p4]\nbackend = net_ring\n[port p5]\nbackend = net_ring\n",
		NULL);
	client = fastpath_connect(fastpath, "control", 0, 2);
	require(steering_stats(client) != NULL, "statistics");
	mbufs = steering_stats(client)->mbufs_free;
	require(!start_port(client, 0, STEER_MISS_DROP) && !start_port(client, 1, STEER_MISS_DROP),
		"ports are started");
	listen_to(client, STEER_RECV_WIRE);
	pipe = create_pipe(client, 0, STEER_FWD_DROP);
	transactions(client, pipe);
	ageing(client, pipe);
	software(client);
	captures(client);
	traces(client, pipe);
	deaf_listener(client);
	adoption();
	owner_killed();
	ok(WAIT_FOR(conserved(client, mbufs)), "packets and buffers are conserved");
	steering_close(client);
	ok(fastpath_stop(fastpath) == 0, "the fast path ends in order");
	return tap_done();
}
