// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Entries of control pipes: in force, and called back, when the call that adds them returns; neither a queue's depth nor
// doca_flow_entries_process() counts them; results of others that come meanwhile are kept, in order.
#include "rig.h"

enum { DEPTH = 16, DEEP = 20000 };

static struct doca_flow_pipe *pipe, *control;
static const struct doca_flow_monitor counted = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};

static doca_error_t add(uint16_t number, void *status, struct doca_flow_pipe_entry **entry)
{
	struct doca_flow_match match = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), number, 80);

	return doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, &counted, NULL,
		DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, status, entry);
}

static doca_error_t add_control(uint16_t sport, const struct doca_flow_monitor *monitor, void *status,
	struct doca_flow_pipe_entry **entry)
{
	struct doca_flow_match match = {.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_TCP,
		.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP};
	struct doca_flow_fwd fwd = rig_fwd_port(1);

	match.outer.tcp.l4_port.src_port = DOCA_HTOBE16(sport);
	return doca_flow_pipe_control_add_entry(
		0, control, &match, NULL, NULL, NULL, NULL, NULL, monitor, 3, &fwd, status, entry);
}

static void pipes(uint32_t nr_entries)
{
	const struct doca_flow_match match = rig_tuple_match(true);
	struct rig_pipe p = {.name = "BASIC", .match = &match, .monitor = &counted, .nr_entries = nr_entries};

	p.fwd = rig_fwd_port(1);
	p.fwd_miss = rig_fwd_drop();
	pipe = rig_pipe(rig.port[0], &p);
	p = (struct rig_pipe){.name = "CONTROL", .type = DOCA_FLOW_PIPE_CONTROL, .is_root = true};
	control = rig_pipe(rig.port[0], &p);
}

static void immediate(void)
{
	struct rig_frame f = rig_frame4(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1007, 80, 20);
	struct doca_flow_pipe_entry *entries[DEPTH], *controls[3 * DEPTH];
	struct rig_status basic = {0}, status = {0};
	int done = 0;

	for (uint16_t i = 0; i < DEPTH; i++)
		success(add(i, &basic, &entries[i]));
	ok(add(DEPTH, &basic, &controls[0]) == DOCA_ERROR_AGAIN, "the queue is at its depth");
	for (int i = 0; i < 3 * DEPTH; i++)
		done += add_control((uint16_t)(1000 + i), &counted, &status, &controls[i]) == DOCA_SUCCESS &&
			status.added == i + 1 &&
			doca_flow_pipe_entry_get_status(controls[i]) == DOCA_FLOW_ENTRY_STATUS_SUCCESS;
	ok(done == 3 * DEPTH, "%d control entries, each called back inside its call", done);
	ok(!basic.added, "nothing of the others' was called back");
	rig_send(0, &f);
	rig_settle();
	rig_wire(1, &f);
	rig_done();
	ok(rig_hits(controls[7]) == 1, "they are in force");
	success(doca_flow_entries_process(rig.port[0], 0, RIG_TIMEOUT_US, DEPTH - 1));
	ok(basic.added == DEPTH - 1, "entries_process counts the others alone: %d", basic.added);
	success(doca_flow_entries_process(rig.port[0], 0, RIG_TIMEOUT_US, 5));
	ok(basic.added == DEPTH && status.added == 3 * DEPTH && !basic.failed && !status.failed,
		"every entry was called back once");
	success(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, controls[7]));
	ok(!status.deleted, "a removal has flags and is not immediate");
	ok(rig_process(rig.port[0], &status.deleted, 1), "processed, it is");
	rig_send(0, &f);
	rig_settle();
	ok(rig_drops("default_miss") + rig_seen(DOCA_FLOW_RINGFIELD_PACKET_RSS, 0) == 1, "it is gone");
}

// A callback adds a control entry while results wait behind its own: they are called back in order.
static struct {
	bool nested;
	int calls, first_wrong;
	struct rig_status control;
} order;

static void ordered(struct doca_flow_pipe_entry *entry, uint16_t queue, enum doca_flow_entry_status status,
	enum doca_flow_entry_op op, void *user_ctx)
{
	if (user_ctx == &order.control) {
		rig_count_entry(entry, queue, status, op, user_ctx);
		return;
	}
	if ((uintptr_t)user_ctx != (uintptr_t)++order.calls && !order.first_wrong)
		order.first_wrong = order.calls;
	if (order.calls % 5 == 2)
		order.nested |= add_control((uint16_t)(5000 + order.calls), NULL, &order.control, NULL) !=
				DOCA_SUCCESS;
}

static void nested(void)
{
	const struct rig_options options = {
		.mode = "vnf,hws", .nr_ports = 2, .queue_depth = 64, .nr_counters = 64, .entry_cb = ordered};
	struct doca_flow_pipe_entry *entry;

	rig_start(&options);
	pipes(64);
	for (uintptr_t i = 1; i <= 60; i++)
		success(add((uint16_t)i, (void *)i, &entry));
	ok(rig_process(rig.port[0], &order.calls, 60), "all are called back");
	ok(!order.first_wrong && !order.nested && order.control.added == 12,
		"in order (%d), with %d control entries in between", order.first_wrong, order.control.added);
	rig_stop();
}

// Even a full ring does not stop a control entry.
static void full_ring(void)
{
	const struct rig_options options = {
		.mode = "vnf,hws", .nr_ports = 2, .queue_depth = DEEP, .nr_counters = DEEP};
	struct rig_status basic = {0}, status = {0};
	struct doca_flow_pipe_entry *entry;
	doca_error_t code = DOCA_SUCCESS;
	int posted = 0, done = 0;

	rig_start(&options);
	pipes(DEEP);
	while (posted < DEEP && code == DOCA_SUCCESS) {
		code = add((uint16_t)posted, &basic, &entry);
		posted += code == DOCA_SUCCESS;
	}
	ok(code == DOCA_ERROR_AGAIN, "%d entries fill the ring", posted);
	for (uint16_t i = 0; i < 40; i++)
		done += add_control(i, NULL, &status, &entry) == DOCA_SUCCESS && status.added == i + 1;
	ok(done == 40 && !basic.added, "%d control entries are added all the same", done);
	ok(rig_process(rig.port[0], &basic.added, posted) && basic.added == posted && !basic.failed,
		"nothing was lost: %d of %d", basic.added, posted);
	rig_stop();
}

// What the fast path refuses is the call's error; there is no callback and no entry. Here it runs out of counters, of which
// the port may have more than there are.
static void failing(void)
{
	const struct rig_options options = {
		.mode = "vnf,hws", .nr_ports = 2, .queue_depth = DEEP, .port_counters = UINT16_MAX};
	struct doca_flow_pipe_entry *entry = NULL;
	struct rig_status basic = {0}, status = {0};
	int posted = 0;

	rig_start(&options);
	pipes(2 * DEEP);
	while (!basic.failed && posted < 2 * DEEP && add((uint16_t)posted, &basic, &entry) == DOCA_SUCCESS)
		if (++posted % 256 == 0)
			rig_process(rig.port[0], &basic.added, posted);
	ok(basic.failed, "after %d entries there is no counter left", posted);
	ok(add_control(9, &counted, &status, &entry) == DOCA_ERROR_FULL && !entry,
		"a control entry is refused: %s", doca_flow_ringfield_last_error());
	ok(!status.added && !status.failed, "without a callback");
	success(add_control(9, NULL, &status, &entry));
	ok(status.added == 1 && entry, "the queue goes on");
	rig_stop();
}

int main(void)
{
	const struct rig_options options = {
		.mode = "vnf,hws", .nr_ports = 2, .queue_depth = DEPTH, .nr_counters = 4 * DEPTH};

	rig_start(&options);
	pipes(DEPTH);
	immediate();
	rig_stop();
	nested();
	full_ring();
	failing();
	return tap_done();
}
