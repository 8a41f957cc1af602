// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The life of entries: batches, statuses, callbacks, queue depth, update, removal, and what NULL arguments mean.
#include "rig.h"

enum { DEPTH = 32 };

static struct doca_flow_pipe *pipe;
static const struct doca_flow_monitor counted = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};

static struct doca_flow_match tuple(uint16_t sport)
{
	return rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), sport, 80);
}

static struct rig_frame frame(uint16_t sport)
{
	return rig_frame4(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), sport, 80, 20);
}

static doca_error_t add(uint16_t sport, uint32_t flags, void *status, struct doca_flow_pipe_entry **entry)
{
	struct doca_flow_match match = tuple(sport);

	return doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, &counted, NULL, flags, status, entry);
}

// Entries that wait for their batch are not live; the last one takes them along.
static void batch(void)
{
	struct doca_flow_pipe_entry *entries[4];
	struct rig_status status = {0};
	struct rig_frame f = frame(1000);

	for (uint16_t i = 0; i < 3; i++)
		success(add(1000 + i, DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, &status, &entries[i]));
	ok(doca_flow_pipe_entry_get_status(entries[0]) == DOCA_FLOW_ENTRY_STATUS_IN_PROCESS,
		"a buffered entry is in process");
	rig_send(0, &f);
	rig_settle();
	ok(rig_drops("pipe") == 1, "a buffered entry is not live");
	success(add(1003, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, &status, &entries[3]));
	ok(rig_process(rig.port[0], &status.added, 4), "NO_WAIT pushes the batch: four callbacks");
	ok(status.added == 4 && !status.failed && status.queue == 0,
		"each with success, op ADD and the queue");
	ok(doca_flow_pipe_entry_get_status(entries[0]) == DOCA_FLOW_ENTRY_STATUS_SUCCESS,
		"and success as status");
	rig_send(0, &f);
	rig_settle();
	rig_wire(1, &f);
	rig_done();
	ok(rig_hits(entries[0]) == 1 && rig_bytes(entries[0]) == f.length, "counted: packets and bytes");
	ok(rig_hits(entries[1]) == 0, "the others are not");
	for (int i = 0; i < 4; i++)
		success(doca_flow_pipe_remove_entry(0,
			i < 3 ? DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH : DOCA_FLOW_ENTRY_FLAGS_NO_WAIT,
			entries[i]));
	ok(rig_process(rig.port[0], &status.deleted, 4) && status.deleted == 4, "four callbacks with op DEL");
	rig_send(0, &f);
	rig_settle();
	ok(rig_drops("pipe") == 2, "a removed entry is gone");
	rig_done();
}

// entries_process pushes what is buffered, too, and counts what it processed against max.
static void process_pushes(void)
{
	struct doca_flow_pipe_entry *entries[3];
	struct rig_status status = {0};

	for (uint16_t i = 0; i < 3; i++)
		success(add(2000 + i, DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, &status, &entries[i]));
	success(doca_flow_entries_process(rig.port[0], 0, RIG_TIMEOUT_US, 2));
	ok(status.added == 2, "max 2: two are processed");
	success(doca_flow_entries_process(rig.port[0], 0, RIG_TIMEOUT_US, 1));
	ok(status.added == 3, "then the third");
	for (int i = 0; i < 3; i++)
		success(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, entries[i]));
	ok(rig_process(rig.port[0], &status.deleted, 3), "removed");
}

// Nothing may be lost at the queue's depth, and the depth is real.
static void depth(void)
{
	struct doca_flow_pipe_entry *entries[DEPTH + 1];
	struct rig_status status = {0};
	doca_error_t code = DOCA_SUCCESS;
	int posted = 0;

	while (posted <= DEPTH && code == DOCA_SUCCESS) {
		code = add((uint16_t)(3000 + posted), DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, &status,
			&entries[posted]);
		posted += code == DOCA_SUCCESS;
	}
	ok(posted == DEPTH, "%d entries are taken at depth %d", posted, DEPTH);
	ok(code == DOCA_ERROR_AGAIN, "the next one is told to come again: %s", doca_error_get_name(code));
	ok(strlen(doca_flow_ringfield_last_error()) > 10, "with a sentence: %s",
		doca_flow_ringfield_last_error());
	ok(rig_process(rig.port[0], &status.added, posted), "all complete");
	success(add(4000, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, &status, &entries[DEPTH]));
	ok(rig_process(rig.port[0], &status.added, posted + 1), "and there is room again");
	for (int i = 0; i <= DEPTH; i++) {
		success(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, entries[i]));
		ok(rig_process(rig.port[0], &status.deleted, i + 1), "removed %d", i);
	}
}

// Each entry gets its own context back, in every callback.
static void contexts(void)
{
	struct doca_flow_pipe_entry *entries[2];
	struct rig_status status[2] = {0};

	success(add(5000, DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, &status[0], &entries[0]));
	success(add(5001, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, &status[1], &entries[1]));
	ok(rig_process(rig.port[0], &status[1].added, 1), "processed");
	ok(status[0].added == 1 && status[1].added == 1, "one callback each");
	success(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, entries[1]));
	ok(rig_process(rig.port[0], &status[1].deleted, 1) && !status[0].deleted, "the right one is deleted");
	success(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, entries[0]));
	ok(rig_process(rig.port[0], &status[0].deleted, 1), "and the other");
}

// Two entries with one key: the second fails, at the call or in its completion, and the first stays.
static void duplicate(void)
{
	struct doca_flow_pipe_entry *first, *second = NULL;
	struct rig_status status = {0}, again = {0};
	struct rig_frame f = frame(6000);
	doca_error_t code;

	success(add(6000, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, &status, &first));
	ok(rig_process(rig.port[0], &status.added, 1), "first");
	code = add(6000, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, &again, &second);
	ok(code == DOCA_SUCCESS && rig_process(rig.port[0], &again.added, 1) && again.failed == 1,
		"a second entry with the key completes with an error");
	rig_send(0, &f);
	rig_settle();
	rig_wire(1, &f);
	rig_done();
	ok(rig_hits(first) == 1, "the first still hits");
	success(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, first));
	ok(rig_process(rig.port[0], &status.deleted, 1), "removed");
}

// monitor NULL and fwd NULL: the pipe's. A pipe that counts nothing: the query is a success and stays zero.
static void null_arguments(void)
{
	struct doca_flow_match match = tuple(7000);
	struct doca_flow_pipe_entry *entry;
	struct rig_status status = {0};
	struct rig_frame f = frame(7000);

	success(doca_flow_pipe_basic_add_entry(
		0, pipe, &match, 0, NULL, NULL, NULL, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, &status, &entry));
	ok(rig_process(rig.port[0], &status.added, 1), "an entry without monitor");
	rig_send(0, &f);
	rig_settle();
	rig_wire(1, &f);
	rig_done();
	ok(rig_hits(entry) == 1, "is counted as the pipe's monitor says");
	success(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, entry));
	ok(rig_process(rig.port[0], &status.deleted, 1), "removed");
	{
		struct rig_pipe p = {.name = "UNCOUNTED", .is_root = true};

		p.fwd = rig_fwd_port(0);
		entry = rig_add(rig.port[1], rig_pipe(rig.port[1], &p), NULL, NULL, NULL, NULL);
	}
	rig_send(1, &f);
	rig_settle();
	rig_wire(0, &f);
	rig_done();
	ok(rig_hits(entry) == 0, "without a counter the query is a success and stays zero");
}

// An update keeps the match and the counter, and calls back with op UPD.
static void update(void)
{
	const struct doca_flow_match match = rig_tuple_match(true), key = tuple(8000);
	const struct doca_flow_fwd out = rig_fwd_port(1), back = rig_fwd_port(0);
	struct rig_pipe p = {.name = "UPDATED", .is_root = true, .match = &match, .monitor = &counted};
	struct doca_flow_pipe_entry *entry;
	struct rig_status status = {0};
	struct rig_frame f = frame(8000);

	doca_flow_port_pipes_flush(rig.port[0]);
	p.fwd = rig_fwd_port(UINT16_MAX);
	pipe = rig_pipe(rig.port[0], &p);

	success(doca_flow_pipe_basic_add_entry(0, pipe, &key, 0, NULL, &counted, &out, 0, &status, &entry));
	ok(rig_process(rig.port[0], &status.added, 1), "flags 0 publish as well");
	rig_send(0, &f);
	rig_settle();
	rig_wire(1, &f);
	success(doca_flow_pipe_basic_update_entry(
		0, pipe, 0, NULL, &counted, &back, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, entry));
	ok(rig_process(rig.port[0], &status.updated, 1) && !status.failed, "updated");
	rig_send(0, &f);
	rig_settle();
	rig_wire(0, &f);
	rig_done();
	ok(rig_hits(entry) == 2, "the counter went on: %llu", (unsigned long long)rig_hits(entry));
	success(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, entry));
	ok(rig_process(rig.port[0], &status.deleted, 1), "removed");
}

int main(void)
{
	const struct rig_options options = {.mode = "vnf,hws",
		.nr_ports = 2,
		.queues = 2,
		.queue_depth = DEPTH,
		.nr_counters = 2 * DEPTH};
	const struct doca_flow_match match = rig_tuple_match(true);
	struct rig_pipe p = {.name = "ENTRIES", .is_root = true, .match = &match, .monitor = &counted};

	rig_start(&options);
	p.fwd = rig_fwd_port(1);
	p.fwd_miss = rig_fwd_drop();
	pipe = rig_pipe(rig.port[0], &p);
	batch();
	process_pushes();
	depth();
	contexts();
	duplicate();
	null_arguments();
	update();
	rig_stop();
	return tap_done();
}
