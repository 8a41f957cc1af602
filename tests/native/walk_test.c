// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Packets through whole pipelines: rings in, rings out.

#include "fp_support.h"

#include "frames.h"

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

int main(void)
{
	bed_start(4);
	test_port_forward();
	bed_conserves(0);
	bed_stop();
	return tap_done();
}
