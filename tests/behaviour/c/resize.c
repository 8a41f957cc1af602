// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Sample flow_pipe_resize (switch mode): a pipe of ten entries is filled with eighty; each time that it says congested it
// is resized, with entries relocated and traffic judged all the while. Basic and control pipes; an excluded queue.
#include "rig.h"

enum { SIZE = 10, CONGESTION = 80, ENTRIES = 80, QUEUES = 4, EXCLUDED = 1 };

struct context {
	struct rig_status status; // first: it is what rig_count_entry() sees
	int index;
	int relocations;
};

static bool congested, resized;
static int wrong_contexts;
static uint32_t sizes[16];
static int nr_sizes;
static int pipe_ctx; // its address is the pipe's context
static struct context contexts[ENTRIES], moved[ENTRIES];

static void on_pipe(struct doca_flow_pipe *pipe, enum doca_flow_pipe_status status, enum doca_flow_pipe_op op,
	void *user_ctx)
{
	wrong_contexts += user_ctx != &pipe_ctx || status != DOCA_FLOW_PIPE_STATUS_SUCCESS;
	congested |= op == DOCA_FLOW_PIPE_OP_CONGESTION_REACHED;
	resized |= op == DOCA_FLOW_PIPE_OP_RESIZED;
}

static doca_error_t on_size(void *pipe_user_ctx, uint32_t nr_entries)
{
	wrong_contexts += pipe_user_ctx != &pipe_ctx;
	if (nr_sizes < 16)
		sizes[nr_sizes++] = nr_entries;
	return DOCA_SUCCESS;
}

// The context of a relocated entry may be exchanged; the new one is what later callbacks get.
static doca_error_t on_relocate(
	void *pipe_user_ctx, uint16_t pipe_queue, void *entry_user_ctx, void **new_entry_user_ctx)
{
	struct context *old = entry_user_ctx;

	wrong_contexts += pipe_user_ctx != &pipe_ctx || pipe_queue == EXCLUDED;
	moved[old->index].index = old->index;
	moved[old->index].relocations++;
	*new_entry_user_ctx = &moved[old->index];
	return DOCA_SUCCESS;
}

static struct rig_frame frame(int i)
{
	return rig_frame4(true, IP(1, 2, 3, 4), IP(8, 8, 8, i), 1234, 80, 10);
}

static void resize(struct doca_flow_pipe *pipe)
{
	struct rig_frame f = frame(0);

	congested = resized = false;
	success(doca_flow_pipe_resize(pipe, CONGESTION, on_size, on_relocate));
	rig_send(0, &f);
	for (int round = 0; round < 1000 && !resized; round++)
		for (uint16_t queue = 0; queue < QUEUES; queue++)
			if (queue != EXCLUDED)
				success(doca_flow_entries_process(rig.port[0], queue, 1000, 0));
	require(resized, "RESIZED is called back");
	rig_settle();
	ok(rig_take(DOCA_FLOW_RINGFIELD_PACKET_WIRE, 1, &f, NULL, NULL), "traffic is judged during a resize");
}

static void fill(bool basic)
{
	static const uint16_t excluded[] = {EXCLUDED};
	struct doca_flow_match match = rig_tuple_match(true);
	struct rig_pipe p = {.name = basic ? "RESIZABLE_BASIC" : "RESIZABLE_CONTROL",
		.is_root = true,
		.is_resizable = true,
		.nr_entries = SIZE,
		.congestion = CONGESTION,
		.user_ctx = &pipe_ctx,
		.excluded_queues = excluded,
		.nr_excluded = 1};
	struct doca_flow_fwd fwd = rig_fwd_port(1), drop = rig_fwd_drop();
	struct doca_flow_pipe_entry *entries[ENTRIES];
	struct doca_flow_pipe *pipe;
	int resizes = 0, relocated = 0;
	struct rig_frame f;

	memset(contexts, 0, sizeof(contexts));
	memset(moved, 0, sizeof(moved));
	nr_sizes = 0;
	p.type = basic ? DOCA_FLOW_PIPE_BASIC : DOCA_FLOW_PIPE_CONTROL;
	if (basic) {
		p.match = &match;
		p.fwd = fwd;
		p.fwd_miss = drop;
	}
	pipe = rig_pipe(rig.port[0], &p);
	for (int i = 0; i < ENTRIES; i++) {
		struct doca_flow_match key = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, i), 1234, 80);

		contexts[i].index = i;
		if (basic)
			success(doca_flow_pipe_basic_add_entry(
				0, pipe, &key, 0, NULL, NULL, NULL, 0, &contexts[i], &entries[i]));
		else
			success(doca_flow_pipe_control_add_entry(0, pipe, &key, NULL, NULL, NULL, NULL, NULL,
				NULL, 1, &fwd, &contexts[i], &entries[i]));
		require(rig_process(rig.port[0], &contexts[i].status.added, 1) && !contexts[i].status.failed,
			"entry %d", i);
		if (congested) {
			resizes++;
			resize(pipe);
		}
	}
	ok(resizes == 4, "%s: congested four times: %d", p.name, resizes);
	ok(nr_sizes == 4 && sizes[0] == 16 && sizes[1] == 32 && sizes[2] == 64 && sizes[3] == 128,
		"%s: sizes 16, 32, 64, 128: %u %u %u %u", p.name, sizes[0], sizes[1], sizes[2], sizes[3]);
	for (int i = 0; i < ENTRIES; i++)
		relocated += moved[i].relocations;
	ok(relocated >= SIZE * CONGESTION / 100, "%s: entries were relocated: %d times", p.name, relocated);
	ok(wrong_contexts == 0, "%s: every callback had its context", p.name);
	rig_nothing_else();
	for (int i = 0; i < ENTRIES; i++) {
		f = frame(i);
		rig_send(0, &f);
	}
	rig_settle();
	for (int i = 0; i < ENTRIES; i++) {
		f = frame(i);
		if (!rig_take(DOCA_FLOW_RINGFIELD_PACKET_WIRE, 1, &f, NULL, NULL))
			ok(false, "%s: entry %d forwards after the resizes", p.name, i);
	}
	ok(rig_nothing_else(), "%s: all %d packets are forwarded, and nothing else", p.name, ENTRIES);
	for (int i = 0; i < ENTRIES; i++)
		success(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, entries[i]));
	for (int i = 0; i < ENTRIES; i++) {
		struct context *c = moved[i].relocations ? &moved[i] : &contexts[i];

		if (!rig_process(rig.port[0], &c->status.deleted, 1))
			ok(false, "%s: the removal of entry %d reaches its present context", p.name, i);
	}
	ok(true, "%s: entries removed", p.name);
	doca_flow_pipe_destroy(pipe);
}

int main(void)
{
	const struct rig_options options = {.mode = "switch,hws",
		.nr_ports = 3,
		.queues = QUEUES,
		.queue_depth = 128,
		.pipe_cb = on_pipe};

	rig_start(&options);
	fill(true);
	fill(false);
	rig_stop();
	return tap_done();
}
