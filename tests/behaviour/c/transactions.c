// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// A transaction that is aborted, or fails, leaves the handles of its program as they were: what it destroyed or removed is
// there again and usable, what it added is reported and gone, and the reserves are as before.
#include "rig.h"

static const struct doca_flow_monitor counted = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
static struct rig_frame f;

enum { ENTRIES = 4, COUNTERS = 6 };

static struct doca_flow_match key(uint16_t sport)
{
	return rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), sport, 80);
}

static struct doca_flow_pipe *tuples(const char *name, bool is_root)
{
	struct doca_flow_match match = rig_tuple_match(true);
	struct rig_pipe p = {.name = name,
		.is_root = is_root,
		.match = &match,
		.nr_entries = ENTRIES,
		.monitor = &counted,
		.miss_counter = true};

	p.fwd = rig_fwd_port(1);
	p.fwd_miss = rig_fwd_drop();
	return rig_pipe(rig.port[0], &p);
}

// Callbacks may come long after the call that added an entry.
static struct rig_status all;

static struct doca_flow_pipe_entry *add(struct doca_flow_pipe *pipe, uint16_t sport)
{
	struct doca_flow_match match = key(sport);
	struct doca_flow_pipe_entry *entry;
	int before = all.added, failed = all.failed;

	success(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, &counted, NULL, 0, &all, &entry));
	require(rig_process(rig.port[0], &all.added, before + 1) && all.failed == failed, "entry %u", sport);
	return entry;
}

static bool passes(uint16_t sport)
{
	struct rig_frame mine = rig_frame4(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), sport, 80, 20);
	bool out;

	rig_send(0, &mine);
	rig_settle();
	out = rig_take(DOCA_FLOW_RINGFIELD_PACKET_WIRE, 1, &mine, NULL, NULL);
	rig_done();
	return out;
}

// A pipe destroyed and made anew, in a transaction that does not come to pass.
static void pipe_comes_back(void)
{
	struct doca_flow_pipe *first = tuples("FIRST", true), *second;
	struct doca_flow_pipe_entry *entry = add(first, 1);
	struct doca_flow_match k;

	for (uint16_t i = 2; i <= ENTRIES; i++)
		add(first, i);
	ok(passes(1), "the pipe forwards");
	success(doca_flow_ringfield_txn_begin());
	doca_flow_pipe_destroy(first);
	// All of the reserve but one: five counters are lent to the pipe that replaces it.
	second = tuples("SECOND", true);
	for (uint16_t i = 1; i <= ENTRIES; i++)
		add(second, (uint16_t)(100 + i));
	success(doca_flow_ringfield_txn_abort());
	ok(all.failed == ENTRIES, "the new pipe's entries are reported");
	ok(passes(1) && !passes(101), "after the abort the first pipe forwards, the second is not there");
	ok(rig_hits(entry) == 2, "the counter went on: %llu", (unsigned long long)rig_hits(entry));
	doca_flow_pipe_destroy(second);
	success(doca_flow_pipe_remove_entry(0, 0, entry));
	ok(rig_process(rig.port[0], &all.deleted, 1) && !passes(1), "its entry can be removed");
	add(first, 5);
	ok(passes(5), "and one added");
	k = key(6);
	ok(doca_flow_pipe_basic_add_entry(0, first, &k, 0, NULL, &counted, NULL, 0, NULL, &entry) ==
			DOCA_ERROR_FULL,
		"it holds as many as before");
	success(doca_flow_ringfield_pipe_destroy(first));
	rig_send(0, &f);
	rig_settle();
	ok(rig_drops("no_pipeline") == 1, "the handle destroys it for good");
	rig_done();
}

// Destroyed and committed: the reserve is back, a new pipe may be as large.
static void pipe_goes(void)
{
	struct doca_flow_pipe *first = tuples("FIRST", true), *second;

	for (uint16_t i = 1; i <= ENTRIES; i++)
		add(first, i);
	success(doca_flow_ringfield_txn_begin());
	doca_flow_pipe_destroy(first);
	second = tuples("SECOND", true);
	add(second, 101);
	success(doca_flow_ringfield_txn_commit(NULL));
	ok(!passes(1) && passes(101), "committed: the second pipe has taken over");
	for (uint16_t i = 2; i <= ENTRIES; i++)
		add(second, (uint16_t)(100 + i));
	success(doca_flow_ringfield_pipe_destroy(second));
}

static void entries_come_back(void)
{
	struct doca_flow_pipe *pipe = tuples("ENTRIES", true);
	struct doca_flow_match k = key(1);
	struct doca_flow_pipe_entry *kept, *added, *both;
	struct rig_status status = {0}, mine = {0}, gone = {0};

	success(doca_flow_pipe_basic_add_entry(0, pipe, &k, 0, NULL, &counted, NULL, 0, &status, &kept));
	require(rig_process(rig.port[0], &status.added, 1) && !status.failed, "an entry");
	success(doca_flow_ringfield_txn_begin());
	success(doca_flow_pipe_remove_entry(0, 0, kept));
	require(rig_process(rig.port[0], &status.deleted, 1) && !status.failed, "removed");
	k = key(2);
	success(doca_flow_pipe_basic_add_entry(0, pipe, &k, 0, NULL, &counted, NULL, 0, &mine, &added));
	k = key(3);
	success(doca_flow_pipe_basic_add_entry(0, pipe, &k, 0, NULL, &counted, NULL, 0, &gone, &both));
	require(rig_process(rig.port[0], &gone.added, 1) && mine.added == 1, "two added");
	success(doca_flow_pipe_remove_entry(0, 0, both));
	require(rig_process(rig.port[0], &gone.deleted, 1), "one of them removed again");
	success(doca_flow_ringfield_txn_abort());
	ok(mine.added == 2 && mine.failed == 1, "the added one is reported as failed");
	ok(gone.added == 1 && gone.failed == 0, "of the one that was removed nothing more is told");
	ok(passes(1) && !passes(2) && !passes(3), "packets see what was before");
	ok(rig_hits(kept) == 1, "the entry's handle is good");
	success(doca_flow_pipe_remove_entry(0, 0, kept));
	require(rig_process(rig.port[0], &status.deleted, 2) && !status.failed, "removed for good");
	for (uint16_t i = 1; i <= ENTRIES; i++)
		add(pipe, (uint16_t)(10 + i));
	ok(true, "nothing of the pipe's room or of the counters is lost");
	success(doca_flow_ringfield_pipe_destroy(pipe));
}

// A commit that fails is an abort.
static void failed_commit(void)
{
	struct doca_flow_pipe *pipe = tuples("KEPT", true);
	struct doca_flow_pipe_entry *kept = add(pipe, 1), *twice;
	struct doca_flow_match k = key(2);
	struct doca_flow_ringfield_error error;
	struct rig_status status = {0};

	success(doca_flow_ringfield_txn_begin());
	success(doca_flow_pipe_remove_entry(0, 0, kept));
	success(doca_flow_pipe_basic_add_entry(0, pipe, &k, 0, NULL, &counted, NULL, 0, &status, &twice));
	success(doca_flow_pipe_basic_add_entry(0, pipe, &k, 0, NULL, &counted, NULL, 0, &status, &twice));
	ok(rig_process(rig.port[0], &status.added, 2) && status.failed == 1, "the same key twice fails");
	ok(doca_flow_ringfield_txn_commit(NULL) == DOCA_ERROR_BAD_STATE, "so the commit does");
	doca_flow_ringfield_last_error_get(&error);
	ok(!strcmp(error.rule, "transaction") && strstr(error.reason, "nothing was changed"), "says so: %s",
		error.reason);
	ok(passes(1) && !passes(2) && rig_hits(kept) == 1, "nothing was");
	success(doca_flow_ringfield_pipe_destroy(pipe));
}

// A flush in a transaction is undone like the rest; and a port that stops takes everything along.
static void flush_and_stop(void)
{
	const struct rig_options options = {.mode = "vnf,hws", .nr_ports = 2};
	struct doca_flow_pipe *last, *first;
	struct rig_pipe p = {.name = "ROOT", .is_root = true};

	last = tuples("LAST", false);
	add(last, 1);
	p.fwd = rig_fwd_pipe(last);
	first = rig_pipe(rig.port[0], &p);
	rig_add(rig.port[0], first, NULL, NULL, NULL, NULL);
	success(doca_flow_ringfield_txn_begin());
	doca_flow_port_pipes_flush(rig.port[0]);
	success(doca_flow_ringfield_txn_abort());
	ok(passes(1), "a flush is undone");
	ok(doca_flow_ringfield_pipe_destroy(last) == DOCA_ERROR_IN_USE, "the pipes are as they were");
	success(doca_flow_ringfield_txn_begin());
	doca_flow_port_pipes_flush(rig.port[0]);
	success(doca_flow_port_stop(rig.port[0]));
	ok(doca_flow_ringfield_txn_commit(NULL) != DOCA_SUCCESS, "the port's stop ended the transaction");
	success(rig_port_start(0, &options, &rig.port[0]));
	success(doca_flow_port_pair(rig.port[0], rig.port[1]));
	last = tuples("AGAIN", true);
	add(last, 1);
	ok(passes(1), "a new port starts afresh");
}

int main(void)
{
	const struct rig_options options = {.mode = "vnf,hws", .nr_ports = 2, .nr_counters = COUNTERS};

	f = rig_frame4(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1, 80, 20);
	rig_start(&options);
	pipe_comes_back();
	pipe_goes();
	entries_come_back();
	failed_commit();
	flush_and_stop();
	rig_stop();
	return tap_done();
}
