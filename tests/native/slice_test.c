// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The vertical slice, straight on the steering client: two ring ports, a root pipe, an entry through the ring, a frame
// in on one port and out on the other, counters.

#include "slice.h"

static void start_ports(struct steering_client *client)
{
	struct steer_port_info info[4];
	uint32_t length = 0;

	ok(!steering_call(client, STEER_OP_PORT_LIST, NULL, 0, info, sizeof(info), &length) &&
			length == 2 * sizeof(*info) && !strcmp(info[0].name, "p0") && info[0].ring &&
			info[1].index == 1,
		"two ring ports are listed");
	for (uint16_t i = 0; i < 2; i++) {
		struct steer_port_start start = {.port = i, .doca_port_id = i, .root_port = i};

		ok(!steering_call_exact(
			   client, STEER_OP_PORT_START, &start, sizeof(start), info, sizeof(*info)) &&
				info->started && !strcmp(info->owner, "slice"),
			"port %u is started", i);
	}
}

static void forward(struct steering_client *client, uint32_t counter)
{
	uint8_t frame[64], got[2048];
	struct stats_counter sum = {0};
	struct steer_packet packet;

	memcpy(frame, frame_template, sizeof(frame));
	ok(!steering_packet_post(client, STEER_PKT_INJECT, 0, 0, frame, sizeof(frame)) &&
			!steering_packet_push(client),
		"a frame is injected on p0");
	ok(receive(client, &packet, got) == 1 && packet.kind == STEER_PKT_WIRE && packet.port == 1,
		"it leaves p1");
	ok(packet.length == sizeof(frame) && !memcmp(frame, got, sizeof(frame)), "as it was");
	require(steering_stats(client) != NULL, "the stats segment is mapped");
	ok(WAIT_FOR(!steering_stats_counter(client, counter, &sum) && sum.packets == 1) &&
			sum.bytes == sizeof(frame),
		"the entry counted it");
	frame[33] = 77;
	steering_packet_post(client, STEER_PKT_INJECT, 0, 0, frame, sizeof(frame));
	steering_packet_push(client);
	struct stats_port port = {.dropped = {0}};

	ok(WAIT_FOR(!steering_stats_port(client, 0, &port) && port.drops[STEER_DROP_PIPE] == 1),
		"another one is dropped by the miss");
	ok(port.received.packets == 2 && port.received.bytes == 128 && port.dropped.packets == 1,
		"p0 received two");
	steering_stats_port(client, 1, &port);
	ok(port.sent.packets == 1 && port.sent.bytes == 64, "p1 sent one");
}

static void many(struct steering_client *client)
{
	uint8_t frame[64], got[2048];
	struct steer_packet packet;
	unsigned int sent = 0, received = 0;

	memcpy(frame, frame_template, sizeof(frame));
	while (received < 20000) {
		if (sent < 20000 && sent - received < 1000 &&
			!steering_packet_post(client, STEER_PKT_INJECT, 0, 0, frame, sizeof(frame))) {
			sent++;
			if (sent % 32 == 0 || sent == 20000)
				steering_packet_push(client);
			continue;
		}
		steering_packet_push(client);
		if (steering_wait(client, STEERING_WAIT_PACKETS, 0, 5000000) <= 0)
			break;
		while (steering_packet_receive(client, &packet, got, sizeof(got)) == 1)
			received++;
	}
	ok(received == 20000 && !steering_packets_lost(client), "%u of %u frames arrive", received, sent);
}

// Arguments go to the fast path: the same must hold with one core, and with several workers.
int main(int argc, char **argv)
{
	struct fastpath *fastpath = fastpath_start(config, (const char *const *)(uintptr_t)(argv + 1));
	struct steering_client *client = fastpath_connect(fastpath, "slice", 0, 1);
	struct steer_receive wire = {.flags = STEER_RECV_WIRE, .port = STEER_PORT_NONE};
	struct steer_completion done;
	uint64_t mbufs;
	uint32_t pipe;

	start_ports(client);
	ok(!steering_call(client, STEER_OP_RECEIVE, &wire, sizeof(wire), NULL, 0, NULL),
		"the wire is listened to");
	pipe = create_pipe(client, 0, STEER_FWD_DROP);
	steering_stats(client);
	mbufs = steering_stats(client)->mbufs_free;
	done = add_entry(client, pipe, 5, 2, 1);
	ok(!done.status && done.entry == 5 && done.user_data == 1005 && done.op == STEER_REC_ENTRY_ADD,
		"the entry is added");
	ok(done.counter != STEER_COUNTER_NONE, "and has a counter");
	forward(client, done.counter);
	many(client);
	done = add_entry(client, pipe, 6, 2, 1);
	ok(done.status == -EEXIST && done.reason == STEER_WHY_DUPLICATE_KEY, "the same key again is refused");
	done = add_entry(client, pipe + 99, 6, 2, 1);
	ok(done.status == -ENOENT && done.reason == STEER_WHY_NO_PIPE, "a pipe that is not there is refused");
	ok(WAIT_FOR(conserved(client, mbufs)), "packets and buffers are conserved");
	steering_close(client);
	ok(fastpath_stop(fastpath) == 0, "the fast path ends in order");
	return tap_done();
}
