// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Any packets in any order through small tables, while the policy changes and time goes by: the books balance at every
// step, and nothing is left over.

#include "ct_bed.h"

enum { STEPS = 20000 };

static struct steer_flow_record told[4096];
static uint64_t state = 42;

static uint32_t any(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 20) % n;
}

static uint32_t address(void)
{
	return CLIENT + any(4); // one of them nobody
}

static uint32_t make(uint8_t *f)
{
	static const uint8_t protocols[] = {6, 17, 1, 47, 132, 58};
	uint32_t src = address(), dst = address(), sport = 1000 + any(8), dport = 50 + any(6), bytes;

	switch (any(6)) {
	case 0:
		bytes = frame_udp(f, src, dst, sport, dport, any(40));
		break;
	case 1:
		bytes = frame_tcp6(f, (uint8_t)any(3), (uint8_t)any(3), sport, dport, any(40));
		break;
	case 2:
		put_eth(f, 0x0800);
		put_ip4(f + 14, src, dst, protocols[any(6)], 40);
		for (unsigned int i = 0; i < 40; i++)
			f[34 + i] = (uint8_t)any(256);
		bytes = 74;
		break;
	default: {
		struct tcp t = {src, dst, sport, dport, any(32), any(3000), any(3000), any(2) * 100, any(60),
			(int)any(9)};

		if (any(3))
			t.flags = (uint8_t[]){SYN, SYN | ACK, ACK, ACK, FIN | ACK, RST}[any(6)];
		bytes = lab_tcp_frame(f, &t);
	}
	}
	if (!any(20)) // a fragment
		put16(f + 20, any(2) << 13 | any(3) * 8);
	if (!any(20))
		bytes = 14 + any(bytes - 14);
	if (!any(30))
		f[14 + any(bytes > 14 ? bytes - 14 : 1)] ^= (uint8_t)(1 << any(8));
	return bytes;
}

static unsigned int drain(void)
{
	unsigned int n, all = 0;

	while ((n = lab_records(told, 4096)))
		all += n;
	for (uint16_t i = 0; i < 3; i++)
		lab_out(i);
	return all;
}

static void run(uint8_t full, uint32_t flags)
{
	struct steer_ct_cfg cfg = lab_cfg();
	struct steer_ct_epoch epoch = {.revision = 1};
	const struct stats_ct *s = lab_stats();
	unsigned int wrong = 0, records = 0;
	bool open[3] = {true, true, true};

	memset(&fp.workers[0].stats->ct, 0, sizeof(fp.workers[0].stats->ct));
	cfg.flags |= flags;
	cfg.capacity = 40;
	cfg.denied_capacity = 8;
	cfg.full = full;
	cfg.max_half_open = 20;
	cfg.id_max_connections = 30;
	cfg.adopt_window_ms = 60000;
	lab_build(&cfg);
	for (unsigned int i = 0; i < 3; i++)
		lab_allow(50 + i);
	lab_service(53, (struct steer_fwd){.type = STEER_FWD_REJECT}, 53);
	for (unsigned int i = 0; i < STEPS; i++) {
		uint32_t which = any(3), identities[2] = {lab_identity(address()), any(1000)};
		uint8_t frame[512];

		for (unsigned int n = any(40); n; n--)
			bed_send((uint16_t)any(3), frame, make(frame));
		if (!any(50)) {
			struct entry_result result;

			if (open[which])
				wrong += !!entry_remove(bed.space, lab.allowed[50 + which] - 1, &result);
			else
				lab_allow(50 + which);
			open[which] = !open[which];
			epoch.revision++;
			epoch.flags = any(2);
			epoch.nr_identities = any(3);
			wrong += !!ct_epoch(1, &epoch, identities, NULL);
		}
		ct_clock_skew_ms += any(10) ? any(100) : any(20000);
		lab_poll();
		records += drain();
		wrong += !lab_balance() || s->live > 40 || s->denied > 8 || s->half_open > 20;
		rcu_poll();
	}
	ok(!wrong, "the books balance (%u wrong)", wrong);
	ok(s->opened > 1000 && s->closed && s->denied_packets && s->invalid && s->rejudged_denied &&
			s->adopted,
		"all kinds of things happened");
	ok(records == s->records && !s->records_lost, "all was told");
	for (unsigned int i = 0; i < 100; i++)
		lab_wait(100000);
	ok(!s->live && !s->denied && !s->half_open, "all ends");
	drain();
	lab_tear_down();
}

int main(void)
{
	bed_start(3);
	run(STEER_CT_FULL_REFUSE, 0);
	run(STEER_CT_FULL_EVICT, 0);
	run(STEER_CT_FULL_UNTRACKED, STEER_CT_PASS_INVALID);
	bed_settle();
	bed_conserves(0);
	bed_stop();
	return tap_done();
}
