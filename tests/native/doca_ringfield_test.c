// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What Ringfield adds: rows and bulk calls, trace, transactions, lists, statistics, and a durable session that is left
// and attached to again.

#include "doca_support.h"

static const char config[] = "[port p0]\nbackend = net_ring\n[port p1]\nbackend = net_ring\n";

enum { ROWS = 1000 };

static uint8_t frame[256], got[65536];
static struct doca_flow_ringfield_packet packet;
static const struct doca_flow_fwd drop = {.type = DOCA_FLOW_FWD_DROP};

static struct doca_flow_pipe *create_pipe(void)
{
	struct doca_flow_match match = {0};
	struct doca_flow_actions actions = {0}, *list[] = {&actions};
	struct doca_flow_monitor monitor = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	struct doca_flow_fwd any = {.type = DOCA_FLOW_FWD_CHANGEABLE};
	struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], "HOSTS", DOCA_FLOW_PIPE_BASIC, true);
	struct doca_flow_pipe *pipe;

	match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	match.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TRANSPORT;
	match.outer.ip4.dst_ip = UINT32_MAX;
	match.outer.transport.dst_port = UINT16_MAX;
	actions.meta.pkt_meta = UINT32_MAX;
	must(doca_flow_pipe_cfg_set_nr_entries(cfg, 4096));
	must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	must(doca_flow_pipe_cfg_set_actions(cfg, list, NULL, NULL, 1));
	must(doca_flow_pipe_cfg_set_monitor(cfg, &monitor));
	must(doca_flow_pipe_create(cfg, &any, &drop, &pipe));
	must(doca_flow_pipe_cfg_destroy(cfg));
	return pipe;
}

static uint8_t keys[ROWS][6], args[ROWS][4];
static uint64_t tags[ROWS];
static uint32_t fwd_of_row[ROWS];
static struct doca_flow_pipe_entry *entries[ROWS];
static doca_error_t outcome[ROWS];

static void columns(const struct doca_flow_pipe *pipe)
{
	struct doca_flow_ringfield_column list[8];
	uint32_t nr, bytes;

	must(doca_flow_ringfield_pipe_columns(pipe, DOCA_FLOW_RINGFIELD_ROW_KEY, 0, list, 8, &nr, &bytes));
	ok(nr == 2 && bytes == 6 && !strcmp(list[0].name, "outer.ipv4.dst_ip") && list[0].width == 4 &&
			!strcmp(list[1].name, "outer.transport.dst_port") && list[1].offset == 4,
		"a key row is an address and a port");
	must(doca_flow_ringfield_pipe_columns(pipe, DOCA_FLOW_RINGFIELD_ROW_ARGS, 0, list, 8, &nr, &bytes));
	ok(nr == 1 && bytes == 4 && !strcmp(list[0].name, "meta.pkt_meta"), "an argument row is pkt_meta");
}

static void rows(void)
{
	for (unsigned int i = 0; i < ROWS; i++) {
		keys[i][0] = 10;
		keys[i][2] = (uint8_t)(i >> 8);
		keys[i][3] = (uint8_t)i;
		keys[i][5] = 80;
		args[i][3] = 7;
		tags[i] = 100000 + i;
		fwd_of_row[i] = i & 1;
	}
}

// Out of time in the middle: each row has its own result, is still on its way and is called back later, or was not begun.
static void impatient(struct doca_flow_pipe *pipe)
{
	struct doca_flow_fwd fwd = {.type = DOCA_FLOW_FWD_PORT, .port_id = 1};
	struct doca_flow_ringfield_bulk all = {.pipe = pipe,
		.nr = ROWS,
		.keys = &keys[0][0],
		.args = &args[0][0],
		.fwds = &fwd,
		.timeout_us = 1,
		.entries = entries,
		.results = outcome};
	unsigned int done = 0, later = 0, never = 0, wrong = 0;

	rows();
	memset(entries, 0xff, sizeof(entries));
	fwd_of_row[2] = 99; // refused at once, whatever the time
	all.fwd_of_row = fwd_of_row;
	for (unsigned int i = 3; i < ROWS; i++)
		fwd_of_row[i] = 0;
	fwd_of_row[1] = 0;
	all.nr_fwds = 1;
	ok(doca_flow_ringfield_bulk_add(&all) == DOCA_ERROR_TIME_OUT, "out of time: %s",
		doca_flow_ringfield_last_error());
	for (unsigned int i = 0; i < ROWS; i++) {
		done += outcome[i] == DOCA_SUCCESS;
		later += outcome[i] == DOCA_ERROR_TIME_OUT && entries[i];
		never += !entries[i];
		wrong += outcome[i] == DOCA_SUCCESS && !entries[i];
	}
	called_back = 0;
	for (unsigned int turn = 0; turn < 1000 && called_back < later; turn++)
		must(doca_flow_entries_process(ports[0], 0, 10000, 0));
	ok(outcome[2] == DOCA_ERROR_INVALID_VALUE && !entries[2], "a refused row says so: %s",
		doca_error_get_name(outcome[2]));
	ok(!wrong && done == all.nr_done && later && called_back == later && done + later + never == ROWS,
		"%u rows done, %u later, %u called back for, %u never begun", done, later, called_back,
		never);
	for (unsigned int i = 0; i < ROWS; i++)
		if (entries[i]) {
			wrong +=
				doca_flow_pipe_entry_get_status(entries[i]) != DOCA_FLOW_ENTRY_STATUS_SUCCESS;
			must(doca_flow_pipe_remove_entry(0, 0, entries[i]));
			must(doca_flow_entries_process(ports[0], 0, 10000, 1));
		}
	ok(!wrong, "all that were begun are there");
}

static void bulk(struct doca_flow_pipe *pipe)
{
	struct doca_flow_fwd fwds[] = {{.type = DOCA_FLOW_FWD_PORT, .port_id = 1}, drop};
	struct doca_flow_ringfield_bulk all = {.pipe = pipe,
		.nr = ROWS,
		.keys = &keys[0][0],
		.args = &args[0][0],
		.tags = tags,
		.fwds = fwds,
		.nr_fwds = 2,
		.fwd_of_row = fwd_of_row,
		.entries = entries,
		.results = outcome};

	rows();
	memcpy(keys[ROWS - 1], keys[0], sizeof(keys[0]));
	ok(doca_flow_ringfield_bulk_add(&all) == DOCA_ERROR_ALREADY_EXIST,
		"a twin among the rows is told: %s", doca_flow_ringfield_last_error());
	ok(all.nr_done == ROWS - 1 && outcome[ROWS - 1] == DOCA_ERROR_ALREADY_EXIST && !entries[ROWS - 1] &&
			outcome[0] == DOCA_SUCCESS && entries[ROWS - 2],
		"all other rows are in (%u)", all.nr_done);
	all.nr = 10;
	for (unsigned int i = 0; i < 10; i++)
		fwd_of_row[i] = 0;
	must(doca_flow_ringfield_bulk_update(&all));
	all.nr = 1;
	all.entries = &entries[20];
	must(doca_flow_ringfield_bulk_remove(&all));
	refused(doca_flow_ringfield_bulk_remove(&all), DOCA_ERROR_INVALID_VALUE, "argument");
}

static bool passes(uint8_t third, uint8_t last)
{
	uint32_t length = make_frame(frame, IP(1, 1, 1, 1), IP(10, 0, third, last), 17, 1234, 80);

	return send_frame(0, frame, length, &packet, got, 300) && packet.port == 1;
}

static void trace(void)
{
	static struct doca_flow_ringfield_trace_hop hops[4];
	static struct doca_flow_ringfield_trace_outcome outcomes[2];
	struct doca_flow_ringfield_trace walk = {.hops = hops,
		.max_hops = 4,
		.outcomes = outcomes,
		.max_outcomes = 2,
		.buffer = got,
		.buffer_bytes = sizeof(got)};
	uint32_t length = make_frame(frame, IP(1, 1, 1, 1), IP(10, 0, 0, 4), 17, 1234, 80);

	must(doca_flow_ringfield_trace_frame(0, 0, frame, length, &walk));
	ok(walk.nr_hops == 1 && hops[0].hit && !strcmp(hops[0].pipe, "HOSTS") && hops[0].tag == 100004,
		"trace: the pipe, the entry and its tag");
	ok(hops[0].nr_fields == 2 && !strcmp(hops[0].fields[0].name, "outer.ipv4.dst_ip") &&
			!memcmp(hops[0].fields[0].packet, (uint8_t[]){10, 0, 0, 4}, 4) &&
			!memcmp(hops[0].fields[0].value, (uint8_t[]){10, 0, 0, 4}, 4),
		"trace: what was compared");
	ok(hops[0].nr_actions == 1 && !strcmp(hops[0].actions[0].kind, "set") &&
			!strcmp(hops[0].actions[0].field, "meta.pkt_meta") && !strcmp(hops[0].fwd, "port p1"),
		"trace: the action and the forward (%s)", hops[0].fwd);
	ok(walk.nr_outcomes == 1 && outcomes[0].verdict == DOCA_FLOW_RINGFIELD_VERDICT_PORT &&
			outcomes[0].port == 1 && outcomes[0].length == length &&
			outcomes[0].pkt_meta == DOCA_HTOBE32(7),
		"trace: the outcome");
	frame[33] = 200;
	frame[32] = 99;
	must(doca_flow_ringfield_trace_frame(0, 0, frame, length, &walk));
	ok(walk.nr_hops == 1 && !hops[0].hit && outcomes[0].verdict == DOCA_FLOW_RINGFIELD_VERDICT_DROP &&
			!strcmp(doca_flow_ringfield_drop_name(outcomes[0].drop), "pipe"),
		"trace: a miss that drops");
}

static void transaction(struct doca_flow_pipe *pipe)
{
	struct doca_flow_ringfield_bulk some = {
		.pipe = pipe, .nr = 2, .entries = &entries[0], .results = outcome};
	struct doca_flow_match match = {0};
	struct doca_flow_actions actions = {0};
	struct doca_flow_fwd to_p1 = {.type = DOCA_FLOW_FWD_PORT, .port_id = 1};
	struct results results = {0};
	uint64_t revision = 0, before;
	struct doca_flow_ringfield_stats stats;

	must(doca_flow_ringfield_stats_get(&stats));
	before = stats.revision;
	must(doca_flow_ringfield_txn_begin());
	refused(doca_flow_ringfield_txn_begin(), DOCA_ERROR_BAD_STATE, "transaction");
	must(doca_flow_ringfield_bulk_remove(&some));
	match.outer.ip4.dst_ip = IP(10, 0, 99, 251);
	match.outer.transport.dst_port = DOCA_HTOBE16(80);
	doca_flow_ringfield_set_tag(4711);
	must(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, &actions, NULL, &to_p1, 0, &results, NULL));
	doca_flow_ringfield_set_tag(0);
	process(ports[0], &results, 1);
	ok(passes(0, 0), "before the commit the removed entry works");
	must(doca_flow_ringfield_txn_commit(&revision));
	ok(revision > before, "revision %llu was published", (unsigned long long)revision);
	ok(!passes(0, 0), "then it does not");
	ok(passes(99, 251), "and the new one does");
}

static void lists(struct doca_flow_pipe *pipe)
{
	struct doca_flow_ringfield_pipe pipes[4];
	struct doca_flow_ringfield_port list[4];
	struct doca_flow_ringfield_session self;
	struct doca_flow_ringfield_entry info;
	struct doca_flow_ringfield_port_stats stats;
	char text[2048] = "";
	FILE *f = fmemopen(text, sizeof(text), "w");
	uint32_t nr;

	must(doca_flow_ringfield_session_self(&self));
	ok(!strcmp(self.name, "keeper") && self.nr_pipes == 1 && self.nr_entries == ROWS - 3,
		"the session (%llu)", (unsigned long long)self.nr_entries);
	must(doca_flow_ringfield_pipe_list(true, pipes, 4, &nr));
	ok(nr == 1 && !strcmp(pipes[0].name, "HOSTS") && pipes[0].used == ROWS - 3 && pipes[0].is_root &&
			!strcmp(pipes[0].fwd, "changeable") && !strcmp(pipes[0].fwd_miss, "drop"),
		"its pipe");
	must(doca_flow_ringfield_port_list(list, 4, &nr));
	ok(nr == 2 && !strcmp(list[0].name, "p0") && list[0].started && list[0].ring &&
			!strcmp(list[0].owner, "keeper"),
		"the ports");
	must(doca_flow_ringfield_entry_info(entries[4], &info));
	ok(info.tag == 100004 && info.counted, "an entry's tag");
	ok(WAIT_FOR(doca_flow_ringfield_port_stats_get(0, &stats) == DOCA_SUCCESS && stats.drops[1] > 0),
		"drops of a port");
	doca_flow_pipe_dump(pipe, f);
	fclose(f);
	ok(strstr(text, "pipe HOSTS") && strstr(text, "match outer.ipv4.dst_ip changeable"), "the dump");
}

static void start(const struct fastpath *fastpath)
{
	flow_attach(fastpath, "keeper", DOCA_FLOW_RINGFIELD_DURABLE);
	flow_start("vnf,hws", 4096, NULL);
	flow_ports(2, false);
	must(doca_flow_port_pair(ports[0], ports[1]));
}

static void come_back(const struct fastpath *fastpath)
{
	static struct doca_flow_pipe_entry *adopted[ROWS];
	static struct doca_flow_ringfield_entry infos[ROWS];
	static uint8_t rows[ROWS][6], arguments[ROWS][4];
	struct doca_flow_ringfield_adopt adopt = {.max = ROWS,
		.entries = adopted,
		.infos = infos,
		.keys = &rows[0][0],
		.args = &arguments[0][0],
		.args_bytes = 4};
	struct doca_flow_ringfield_session self;
	struct doca_flow_pipe *pipes[2];
	struct doca_flow_match match = {0};
	struct doca_flow_actions actions = {0};
	struct doca_flow_fwd to_p1 = {.type = DOCA_FLOW_FWD_PORT, .port_id = 1};
	struct doca_flow_pipe_entry *entry;
	struct results results = {0};
	uint32_t nr, known = 0;

	start(fastpath);
	must(doca_flow_ringfield_session_self(&self));
	ok(self.resumed && self.nr_entries == ROWS - 3, "the session is resumed with its entries");
	ok(passes(99, 251), "packets pass without any further ado");
	must(doca_flow_ringfield_adopt_pipes(ports[0], pipes, 2, &nr));
	ok(nr == 1, "one pipe is adopted");
	refused(doca_flow_ringfield_adopt_pipes(ports[0], pipes, 2, &nr), DOCA_ERROR_BAD_STATE, "adopt");
	adopt.pipe = pipes[0];
	must(doca_flow_ringfield_adopt_entries(&adopt));
	ok(adopt.nr_entries == ROWS - 3, "its entries are (%u)", adopt.nr_entries);
	for (uint32_t i = 0; i < adopt.nr_entries; i++)
		known += infos[i].tag == 100004 && rows[i][3] == 4 && arguments[i][3] == 7;
	ok(known == 1, "with keys, arguments and tags");
	must(doca_flow_ringfield_adopt_entries(&adopt));
	ok(!adopt.nr_entries, "and then there are no more");
	adopt.after = UINT32_MAX;
	refused(doca_flow_ringfield_look_entries(&adopt), DOCA_ERROR_INVALID_VALUE, "argument");
	adopt.entries = NULL;
	memset(rows, 0, sizeof(rows));
	must(doca_flow_ringfield_look_entries(&adopt));
	ok(adopt.nr_entries == ROWS - 3, "what the fast path holds can be looked at (%u)", adopt.nr_entries);
	known = 0;
	for (uint32_t i = 0; i < adopt.nr_entries; i++)
		known += infos[i].tag == 100004 && rows[i][3] == 4 && arguments[i][3] == 7;
	ok(known == 1, "as it was added");
	must(doca_flow_ringfield_look_entries(&adopt));
	ok(!adopt.nr_entries, "to its end");
	match.outer.ip4.dst_ip = IP(10, 0, 99, 252);
	match.outer.transport.dst_port = DOCA_HTOBE16(80);
	must(doca_flow_pipe_basic_add_entry(
		0, pipes[0], &match, 0, &actions, NULL, &to_p1, 0, &results, &entry));
	process(ports[0], &results, 1);
	ok(passes(99, 252), "an adopted pipe takes new entries");
	for (uint32_t i = 0; i < ROWS - 3; i++)
		if (infos[i].tag == 4711) {
			must(doca_flow_pipe_remove_entry(0, 0, adopted[i]));
			must(doca_flow_entries_process(ports[0], 0, 10000, 1));
		}
	ok(!passes(99, 251), "an adopted entry can be removed");
	doca_flow_pipe_destroy(pipes[0]);
	must(doca_flow_port_stop(ports[1]));
	must(doca_flow_port_stop(ports[0]));
	doca_flow_destroy();
}

int main(int argc, char **argv)
{
	struct fastpath *fastpath = fastpath_start(config, (const char *const *)(uintptr_t)(argv + 1));
	struct doca_flow_pipe *pipe;

	(void)argc;
	start(fastpath);
	pipe = create_pipe();
	columns(pipe);
	impatient(pipe);
	bulk(pipe);
	ok(passes(0, 4), "an even row forwards");
	ok(passes(0, 5), "an updated odd one, too");
	ok(!passes(0, 21), "an odd one drops");
	trace();
	transaction(pipe);
	lists(pipe);
	doca_flow_destroy();
	come_back(fastpath);
	flow_attach(fastpath, "reader", DOCA_FLOW_RINGFIELD_READER);
	flow_start("vnf,hws", 0, NULL);
	must(doca_flow_ringfield_session_drop("keeper"));
	doca_flow_destroy();
	ok(!fastpath_stop(fastpath), "the fast path ends in good order");
	return tap_done();
}
