// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What devtools/instructions.py counts instructions of: turns of a worker with full bursts from ring ports, on each path
// that a packet can take. Nothing is random and nothing waits, so that the counts are the same in every run.
//
// callgrind collects within measured() and writes what it has at each path_done(), which is told of on stdout. An argument
// names the only path to be measured.

#include <string.h>
#include <unistd.h>

#include "ct_bed.h"

enum {
	BURSTS = 32,
	PACKETS = BURSTS * FP_BURST,
	CHAIN = 8,
	PORT_ONE = 3,
	PORT_CHAIN = 4,
	SPORT = 1024,
	DPORT = 80
};

// Found by their names.
__attribute__((noinline, noclone)) void measured(struct rte_mbuf **burst, uint16_t port);
__attribute__((noinline, noclone)) void path_done(const char *name, unsigned int packets);
ssize_t getrandom(void *buffer, size_t length, unsigned int flags);

static bool parse_only;
static const char *only;
static struct flow_cache *cache;

// The connection table's secrets: of the tests' own choice, since places and lengths of chains depend on them.
ssize_t getrandom(void *buffer, size_t length, unsigned int flags)
{
	for (size_t i = 0; i < length; i++)
		((uint8_t *)buffer)[i] = (uint8_t)(i * 167 + 13);
	return (ssize_t)length;
}

void measured(struct rte_mbuf **burst, uint16_t port)
{
	struct walker *w = fp.workers[0].walker;
	struct packet *packets[FP_BURST];

	if (!parse_only) {
		worker_poll(&fp.workers[0]);
		return;
	}
	walk_enter_burst(w, packets, burst, FP_BURST, port);
	for (unsigned int i = 0; i < FP_BURST; i++)
		walker_put(w, packets[i]);
}

void path_done(const char *name, unsigned int packets)
{
	printf("%s: %u\n", name, packets);
}

// Number n of a path's frames; gives its length.
typedef uint32_t frame_fn(uint8_t *frame, unsigned int n);

static uint32_t udp(uint8_t *f, unsigned int n)
{
	return frame_udp(f, CLIENT, SERVER, SPORT + n, DPORT, 18);
}

static uint32_t udp_back(uint8_t *f, unsigned int n)
{
	return frame_udp(f, SERVER, CLIENT, DPORT, SPORT + n, 18);
}

static uint32_t tcp(uint8_t *f, uint32_t src, unsigned int n, unsigned int flags, uint32_t seq, uint32_t ack)
{
	bool opens = src == CLIENT;

	return lab_tcp_frame(f, &(struct tcp){.src = src,
					.dst = opens ? SERVER : CLIENT,
					.sport = opens ? SPORT + n : DPORT,
					.dport = opens ? DPORT : SPORT + n,
					.flags = flags,
					.seq = seq,
					.ack = ack,
					.bytes = flags & PSH ? 6 : 0});
}

static uint32_t syn(uint8_t *f, unsigned int n)
{
	return tcp(f, CLIENT, n, SYN, 99, 0);
}

static uint32_t syn_ack(uint8_t *f, unsigned int n)
{
	return tcp(f, SERVER, n, SYN | ACK, 199, 100);
}

static uint32_t ack(uint8_t *f, unsigned int n)
{
	return tcp(f, CLIENT, n, ACK, 100, 200);
}

static uint32_t data(uint8_t *f, unsigned int n)
{
	return tcp(f, CLIENT, n, ACK | PSH, 100, 200);
}

// All frames once, in bursts that come in at a port. They leave by ports that are emptied here.
static void send_all(frame_fn *frame, uint16_t port, bool count)
{
	unsigned int sent = 0;

	for (unsigned int n = 0; n < PACKETS; n += FP_BURST) {
		struct rte_mbuf *burst[FP_BURST];
		uint8_t bytes[256];

		for (unsigned int i = 0; i < FP_BURST; i++)
			burst[i] = frame_to_mbuf(fp.pool, bytes, frame(bytes, n + i));
		if (!parse_only)
			rte_ring_enqueue_burst(bed.rx[port], (void **)burst, FP_BURST, NULL);
		if (count)
			measured(burst, port);
		else
			lab_poll();
		if (parse_only)
			rte_pktmbuf_free_bulk(burst, FP_BURST);
		for (unsigned int out = 0; out < 3; out++)
			sent += lab_out((uint16_t)out);
	}
	if (sent != (parse_only ? 0 : PACKETS))
		require(false, "%u of %u packets were sent", sent, PACKETS);
}

// The second time caches of this machine's making are warm, and recorded walks are used.
static void path(const char *name, frame_fn *frame, uint16_t port, unsigned int warm)
{
	for (unsigned int i = 0; i < warm; i++)
		send_all(frame, port, false);
	send_all(frame, port, !only || !strcmp(only, name));
	path_done(name, PACKETS);
}

// Pipes in a row, 64 entries each, that look at one field each.
static void build_chain(unsigned int length, uint16_t port)
{
	static const uint16_t fields[CHAIN] = {STEER_F_OUTER_IP4_DST, STEER_F_OUTER_L4_DST_PORT,
		STEER_F_OUTER_IP4_SRC, STEER_F_OUTER_ETH_DST, STEER_F_OUTER_ETH_SRC,
		STEER_F_OUTER_IP4_DSCP_ECN, STEER_F_OUTER_IP4_PROTO, STEER_F_OUTER_ETH_TYPE};
	uint8_t frame[256], key[8];
	struct steer_fwd next = fwd_port(1);

	udp(frame, 0);
	for (unsigned int i = length; i--;) {
		static const uint8_t at[CHAIN] = {30, 36, 26, 0, 6, 15, 23, 12};
		struct spec *s = spec_new("chain", port, STEER_PIPE_BASIC, 64);
		unsigned int bytes = field_places[fields[i]].bytes;
		struct work w;

		s->head.flags = i ? 0 : STEER_PIPE_ROOT;
		s->head.fwd = next;
		s->head.fwd_miss = fwd_drop;
		spec_match(s, fields[i], STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
		next = fwd_pipe(spec_create(s, NULL));
		require(next.pipe, "pipe %u", i);
		memcpy(key, frame + at[i], bytes);
		for (unsigned int other = 0; other < 32; other++) {
			w = work_new(next.pipe, key, (uint16_t)bytes, NULL, 0);
			work_counter(&w);
			require(!work_add(&w, NULL), "entry %u of pipe %u", other, i);
			key[bytes - 1]++;
		}
	}
}

static void with_cache(bool wanted)
{
	fp.workers[0].walker->cache = wanted ? cache : NULL;
}

static void all_paths(void)
{
	parse_only = true;
	path("parse", udp, 0, 1);
	parse_only = false;
	with_cache(false);
	path("1 pipe", udp, PORT_ONE, 1);
	path("8 pipes", udp, PORT_CHAIN, 1);
	with_cache(true);
	path("8 pipes, cache on", udp, PORT_CHAIN, 2);
	path("new TCP connection", syn, 0, 0);
	send_all(syn_ack, 1, false);
	send_all(ack, 0, false);
	with_cache(false);
	path("established TCP connection, cache off", data, 0, 1);
	with_cache(true);
	path("established TCP connection, cache hit", data, 0, 2);
	send_all(udp, 0, false);
	send_all(udp_back, 1, false);
	path("established UDP connection, cache hit", udp, 0, 2);
}

int main(int argc, char **argv)
{
	struct steer_ct_cfg cfg = lab_cfg();

	only = argc > 1 ? argv[1] : NULL;
	bed_start(5);
	cfg.capacity = 16384;
	lab_build(&cfg);
	lab_allow(DPORT);
	build_chain(1, PORT_ONE);
	build_chain(CHAIN, PORT_CHAIN);
	bed_settle();
	while (ct_control_turn())
		;
	cache = fp.workers[0].walker->cache;
	printf("# paths\n");
	all_paths();
	fflush(stdout);
	_exit(tap_failures != 0);
}
