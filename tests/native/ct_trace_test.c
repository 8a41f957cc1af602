// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Trace says what the live path then does: random packets among connections in all states, each traced first, then sent.

#include "ct_bed.h"

enum { STEPS = 4000, PORTS = 4 };

static uint64_t state = 88172645463325252;

static uint32_t any(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % below;
}

// --- Packets --------------------------------------------------------------------------------------------------------

static const unsigned int flags_of[] = {
	SYN, SYN, SYN | ACK, ACK, ACK, ACK | PSH, FIN | ACK, FIN | ACK, RST, RST | ACK, 0, SYN | FIN};
static uint32_t next_seq[6 * PORTS * 2];

// Who sends what to whom; enough of it is in order that connections come to all their states.
static uint32_t any_tcp(uint8_t *f, uint32_t src, uint32_t dst)
{
	bool back = any(2);
	unsigned int client = 1000 + any(PORTS), server = 80 + any(2);
	uint32_t *mine = &next_seq[(lab_port(src) * PORTS + client % PORTS) * 2 + server % 2];
	uint32_t *other = &next_seq[(lab_port(dst) * PORTS + client % PORTS) * 2 + server % 2];
	struct tcp t = {src, dst, back ? server : client, back ? client : server,
		flags_of[any(RTE_DIM(flags_of))], *mine, *other, 0, 0, 0};
	uint32_t bytes;

	t.bytes = t.flags & PSH ? 10 : 0;
	t.seq += any(20) ? 0 : 1000000;
	bytes = lab_tcp_frame(f, &t);
	*mine += t.bytes + !!(t.flags & (SYN | FIN));
	return bytes;
}

static uint32_t any_icmp(uint8_t *f, uint32_t src, uint32_t dst)
{
	static const uint8_t types[] = {0, 8, 8, 13, 14, 9};

	put_eth(f, 0x0800);
	put_ip4(f + 14, src, dst, 1, 8 + 16);
	memset(f + 34, 0, 24);
	f[34] = types[any(RTE_DIM(types))];
	put16(f + 38, any(2));
	put16(f + 36, 0xffff & ~plain_fold(plain_sum(0, f + 34, 24)));
	return 58;
}

// About a datagram or a segment of one end to the other, by one of them or somebody else.
static uint32_t any_error(uint8_t *f, uint32_t src, uint32_t dst)
{
	uint32_t to = CLIENT + any(3);
	uint8_t quoted[256];

	if (any(2))
		frame_udp(quoted, dst, to, 1000 + any(PORTS), 53 + any(2), 20);
	else
		lab_tcp_frame(quoted, &(struct tcp){dst, to, 1000 + any(PORTS), 80, ACK, 1, 1, 0, 8, 0});
	put_eth(f, 0x0800);
	put_ip4(f + 14, src, dst, 1, 8 + 48);
	memset(f + 34, 0, 8);
	f[34] = 3;
	f[35] = 1;
	memcpy(f + 42, quoted + 14, 48);
	put16(f + 36, 0xffff & ~plain_fold(plain_sum(0, f + 34, 56)));
	return 90;
}

static uint32_t any_frame(uint8_t *f, uint32_t *src, uint32_t *dst)
{
	*src = CLIENT + any(3);
	*dst = CLIENT + (*src - CLIENT + 1 + any(2)) % 3;
	switch (any(8)) {
	case 0:
	case 1:
		return any(2) ? frame_udp(f, *src, *dst, 1000 + any(PORTS), 53 + any(2), 20)
			      : frame_udp(f, *src, *dst, 53 + any(2), 1000 + any(PORTS), 20);
	case 2:
		return any_icmp(f, *src, *dst);
	case 3:
		return any_error(f, *src, *dst);
	default:
		return any_tcp(f, *src, *dst);
	}
}

// --- Both ways ------------------------------------------------------------------------------------------------------

struct outcome {
	uint8_t verdict; // enum steer_verdict
	uint8_t reason;
	uint16_t port;
};

static struct outcome traced(uint32_t src, const uint8_t *frame, uint32_t bytes)
{
	static uint8_t reply[STEER_MSG_MAX] __attribute__((aligned(16)));
	struct steer_trace_request request = {.port = lab_port(src), .length = (uint16_t)bytes};
	const struct steer_trace_reply *head = (const void *)reply;
	const struct steer_trace_hop *hops = (const void *)(head + 1);
	const struct steer_trace_outcome *o;
	struct outcome out = {0};
	size_t used;

	if (trace_run(&request, frame, reply, sizeof(reply), &used))
		return out;
	o = (const void *)(hops + head->nr_hops);
	out.verdict = o->verdict;
	out.reason = o->reason;
	out.port = o->verdict == STEER_VERDICT_PORT ? o->port : 0;
	return out;
}

static struct outcome lived(uint32_t src, const uint8_t *frame, uint32_t bytes)
{
	struct outcome out = {.verdict = STEER_VERDICT_DROP};
	uint64_t before[STEER_DROP_MAX];

	for (unsigned int i = 0; i < STEER_DROP_MAX; i++)
		before[i] = bed_drops(lab_port(src), i);
	bed_send(lab_port(src), frame, bytes);
	lab_poll();
	for (unsigned int i = 0; i < STEER_DROP_MAX; i++)
		if (bed_drops(lab_port(src), i) != before[i])
			out.reason = (uint8_t)i;
	for (uint16_t port = 0; port < 3; port++)
		// What comes back to the sender is an answer.
		if (lab_out(port) && port != lab_port(src))
			out = (struct outcome){STEER_VERDICT_PORT, 0, port};
	return out;
}

static void change_something(bool *allowed)
{
	static uint64_t revision = 1;
	uint32_t identity = lab_identity(CLIENT + any(3));
	struct steer_ct_epoch epoch = {
		.revision = ++revision, .flags = any(2) ? STEER_CT_EPOCH_ALL : 0, .nr_identities = any(2)};
	struct entry_result result;
	unsigned int service = any(2) ? 80 : 53;
	uint8_t key[2];
	struct work w;

	switch (any(3)) {
	case 0:
		ct_clock_skew_ms += any(4) ? any(3000) : 40000;
		lab_poll();
		return;
	case 1:
		if (allowed[service]) {
			entry_remove(bed.space, lab.allowed[service] - 1, &result);
		} else {
			put16(key, service);
			w = work_new(lab.service, key, 2, NULL, 0);
			work_fwd(&w, fwd_pipe(lab.forward));
			lab.allowed[service] = w.head.entry + 1;
			work_add(&w, NULL);
		}
		allowed[service] = !allowed[service];
		__attribute__((fallthrough));
	default:
		ct_epoch(1, &epoch, &identity, NULL);
	}
}

static void run(const char *what, const struct steer_ct_cfg *cfg)
{
	static struct steer_flow_record records[4096];
	unsigned int wrong = 0, touched = 0, passed = 0, kinds = 0;
	uint64_t reasons = 0;
	bool allowed[128] = {false};

	lab_build(cfg);
	lab_service(0, fwd_pipe(lab.forward), 1);
	lab_service(54, (struct steer_fwd){.type = STEER_FWD_REJECT}, 2);
	for (unsigned int i = 0; i < STEPS; i++) {
		struct stats_ct before;
		struct outcome said, done;
		uint32_t src, dst, bytes;
		uint8_t frame[256];

		if (!any(25))
			change_something(allowed);
		bytes = any_frame(frame, &src, &dst);
		before = *lab_stats();
		said = traced(src, frame, bytes);
		touched += !!memcmp(&before, lab_stats(), sizeof(before));
		done = lived(src, frame, bytes);
		wrong += !!memcmp(&said, &done, sizeof(said));
		if (memcmp(&said, &done, sizeof(said)) && wrong < 4)
			printf("# %s, step %u: said %u %u %u, done %u %u %u; protocol %u type/flags %u/%u\n",
				what, i, said.verdict, said.reason, said.port, done.verdict, done.reason,
				done.port, frame[23], frame[34], frame[47]);
		passed += done.verdict == STEER_VERDICT_PORT;
		reasons |= UINT64_C(1) << done.reason;
		ct_take_records(records, RTE_DIM(records));
	}
	for (; reasons; reasons &= reasons - 1)
		kinds++;
	ok(!wrong, "%s: trace is right about %u packets (%u wrong)", what, STEPS, wrong);
	ok(!touched, "%s: and changes nothing", what);
	ok(passed > STEPS / 20 && kinds >= 3, "%s: %u pass, %u kinds of verdicts", what, passed, kinds);
	lab_tear_down();
	while (ct_take_records(records, RTE_DIM(records)))
		;
}

int main(void)
{
	struct steer_ct_cfg cfg = lab_cfg();

	bed_start(3);
	run("plain", &cfg);
	cfg.adopt_window_ms = 7 * 24 * 3600 * 1000;
	run("adoption", &cfg);
	cfg = lab_cfg();
	cfg.flags |= STEER_CT_PASS_INVALID;
	run("invalid passes", &cfg);
	cfg = lab_cfg();
	cfg.capacity = 6;
	cfg.denied_capacity = 4;
	run("little room", &cfg);
	cfg.full = STEER_CT_FULL_EVICT;
	run("who is idle goes", &cfg);
	cfg.full = STEER_CT_FULL_UNTRACKED;
	run("untracked", &cfg);
	cfg = lab_cfg();
	cfg.id_max_connections = 4;
	cfg.max_half_open = 3;
	cfg.adopt_window_ms = 7 * 24 * 3600 * 1000;
	run("limits", &cfg);
	cfg = lab_cfg();
	cfg.router_u32 = 3; // which nobody sets
	run("no routers", &cfg);
	bed_conserves(0);
	bed_stop();
	return tap_done();
}
