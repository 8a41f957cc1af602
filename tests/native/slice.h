// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What tests straight on the steering client share: a frame, a root pipe that matches the destination address, its
// entries, ports.
#pragma once

#include "run_fastpath.h"

static const char config[] = "[port p0]\nbackend = net_ring\n[port p1]\nbackend = net_ring\n";

// Ethernet, IPv4, UDP to 10.0.0.x: byte 33 is x.
static const uint8_t frame_template[64] = {0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00, 0x45, 0, 0,
	50, 0, 0, 0, 0, 64, 17, 0x66, 0xb9, 10, 0, 0, 1, 10, 0, 0, 2, 0x04, 0xd2, 0x16, 0x2e, 0, 30, 0, 0};

__attribute__((unused)) static uint32_t create_pipe(
	struct steering_client *client, uint16_t port, uint8_t miss)
{
	struct {
		struct steer_pipe_spec spec;
		struct steer_match_field match;
		struct steer_template template;
	} pipe = {
		.spec = {.bytes = sizeof(pipe),
			.port = port,
			.type = STEER_PIPE_BASIC,
			.flags = STEER_PIPE_ROOT | STEER_PIPE_MISS_COUNTER,
			.nr_entries = 128,
			.nr_match = 1,
			.nr_templates = 1,
			.key_bytes = 4,
			.name = "dst",
			.fwd = {.type = STEER_FWD_CHANGEABLE},
			.fwd_miss = {.type = miss}},
		.match = {.field = STEER_F_OUTER_IP4_DST,
			.kind = STEER_MATCH_CHANGEABLE,
			.mask = {0xff, 0xff, 0xff, 0xff}},
	};
	struct steer_pipe_ref ref = {.pipe = STEER_PIPE_NONE};
	int status =
		steering_call_exact(client, STEER_OP_PIPE_CREATE, &pipe, sizeof(pipe), &ref, sizeof(ref));

	require(!status, "the pipe is created%s%s", status ? ": " : "", status ? steering_why() : "");
	return ref.pipe;
}

static struct steer_completion complete(struct steering_client *client)
{
	struct steer_completion done = {.status = -ETIMEDOUT};

	steering_push(client, 0);
	while (!steering_pull(client, 0, &done, 1) &&
		steering_wait(client, STEERING_WAIT_COMPLETIONS, 0, 5000000) > 0)
		;
	return done;
}

__attribute__((unused)) static struct steer_completion add_entry(
	struct steering_client *client, uint32_t pipe, uint32_t id, uint8_t last, uint16_t port)
{
	struct {
		struct steer_entry_add add;
		uint8_t key[8];
		struct steer_monitor monitor;
		struct steer_fwd fwd;
	} entry = {
		.add = {.rec = {.length = sizeof(entry), .kind = STEER_REC_ENTRY_ADD},
			.pipe = pipe,
			.entry = id,
			.user_data = 1000 + id,
			.flags = STEER_ENTRY_MONITOR | STEER_ENTRY_FWD,
			.key_bytes = 4},
		.key = {10, 0, 0, last},
		.monitor = {.flags = STEER_MON_COUNTER},
		.fwd = {.type = STEER_FWD_PORT, .port = port},
	};
	require(!steering_post(client, 0, &entry.add.rec), "the entry is posted");
	return complete(client);
}

__attribute__((unused)) static int receive(
	struct steering_client *client, struct steer_packet *packet, uint8_t *frame)
{
	memset(packet, 0, sizeof(*packet));
	if (steering_wait(client, STEERING_WAIT_PACKETS, 0, 5000000) <= 0)
		return 0;
	return steering_packet_receive(client, packet, frame, 2048);
}

__attribute__((unused)) static int start_port(
	struct steering_client *client, uint16_t port, uint8_t default_miss)
{
	struct steer_port_start start = {.port = port,
		.doca_port_id = port,
		.root_port = port,
		.default_miss = default_miss,
		.nr_rss_queues = 4};
	struct steer_port_info info;

	return steering_call_exact(client, STEER_OP_PORT_START, &start, sizeof(start), &info, sizeof(info));
}

__attribute__((unused)) static int listen_to(struct steering_client *client, uint32_t flags)
{
	struct steer_receive what = {.flags = flags, .port = STEER_PORT_NONE};

	return steering_call(client, STEER_OP_RECEIVE, &what, sizeof(what), NULL, 0, NULL);
}

// Injects the frame to 10.0.0.<last> on a port.
__attribute__((unused)) static void inject(struct steering_client *client, uint16_t port, uint8_t last)
{
	uint8_t frame[sizeof(frame_template)];

	memcpy(frame, frame_template, sizeof(frame));
	frame[33] = last;
	require(!steering_packet_post(client, STEER_PKT_INJECT, port, 0, frame, sizeof(frame)),
		"injected to .%u", last);
	steering_packet_push(client);
}

// Nothing lost, and all buffers back.
__attribute__((unused)) static bool conserved(struct steering_client *client, uint64_t mbufs_at_start)
{
	uint64_t in = 0, out = 0;
	struct stats_worker sum;

	steering_stats_total(client, &sum);
	for (unsigned int i = 0; i < STEER_PORT_MAX; i++) {
		const struct stats_port *port = &sum.port[i];

		in += port->received.packets + port->injected.packets;
		out += port->sent.packets - port->transmitted.packets + port->software.packets +
		       port->dropped.packets;
	}
	return in + sum.copies + sum.generated == out + sum.held &&
	       steering_stats(client)->mbufs_free == mbufs_at_start;
}
