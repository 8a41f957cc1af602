// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Samples flow_ct_aging and flow_ct_udp_update: connections without packets are reported after their time-out and removed by
// the program; a time-out that comes later; what notices of counters and a plug-in of the program get to see.
#include <stdatomic.h>
#include <time.h>

#include "ct_rig.h"

enum { CONNECTIONS = 600 };

static const struct rig_options rig_options = {.mode = "switch,hws", .nr_ports = 2};
static struct doca_flow_pipe *ct, *rss;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// As programs do it: what has aged is removed inside the callback.
static void remove_aged(struct doca_flow_pipe_entry *entry, uint16_t queue,
	enum doca_flow_entry_status result, enum doca_flow_entry_op op, void *user_ctx)
{
	rig_count_entry(entry, queue, result, op, user_ctx);
	if (op == DOCA_FLOW_ENTRY_OP_AGED)
		must(doca_flow_ct_rm_entry(queue, ct, CT_NOW, entry));
}

static void pipeline(void)
{
	rss = ct_any(rig.port[0], "RSS", ct_fwd_rss(), NULL);
	ct = ct_pipe(rig.port[0], ct_any(rig.port[0], "OUT", rig_fwd_port(1), NULL), rss);
	ct_root(rig.port[0], ct);
}

// Handles what has aged until n connections have been removed, or it takes too long.
static bool wait_aged(const struct rig_status *status, int n)
{
	double end = now() + 20;

	while (status->deleted < n && now() < end) {
		(void)doca_flow_aging_handle(rig.port[0], CT_QUEUE, 0, 0);
		if (doca_flow_ct_entries_process(rig.port[0], CT_QUEUE, 0, 0, NULL) != DOCA_SUCCESS)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	return status->deleted >= n;
}

static void many(void)
{
	struct rig_options rig_cb = rig_options;
	const struct ct_options options = {.ipv4 = CONNECTIONS + 1};
	struct rig_status status = {0}, keeps = {0};
	struct doca_flow_pipe_entry *entry;
	struct doca_flow_ct_match match;
	bool found;

	rig_cb.entry_cb = remove_aged;
	ct_rig_start(&rig_cb, &options);
	pipeline();
	match = ct_match4(false, IP(1, 2, 3, 4), IP(9, 9, 9, 9), 1234, 80);
	ct_add(ct, CT_BOTH, &match, NULL, NULL, NULL, 0, &keeps);
	for (int i = 0; i < CONNECTIONS; i++) {
		// Two rules each; the last of a batch pushes.
		uint32_t flags = CT_BOTH | (i % 64 == 63 || i == CONNECTIONS - 1 ? (uint32_t)CT_NOW : 0);

		match = ct_match4(false, IP(1, 2, 3, 4), IP(8, 8, i >> 8, i & 0xff), 1234, 80);
		must(doca_flow_ct_entries_process(rig.port[0], CT_QUEUE, 128, 0, NULL));
		must(doca_flow_ct_entry_prepare(CT_QUEUE, ct, CT_ALLOC, &match, 0, NULL, 0, &entry, &found));
		must(doca_flow_ct_add_entry(CT_QUEUE, ct, flags, &match, NULL, NULL, NULL, 0, 0,
			1 + (uint32_t)i % 3, &status, entry));
	}
	require(ct_process(rig.port[0], &status.added, CONNECTIONS) && !status.failed, "all are there");
	ok(!status.aged, "none of them aged yet");
	ok(wait_aged(&status, CONNECTIONS), "all of them aged");
	ok(status.aged == CONNECTIONS && !status.failed, "each was reported once: %d", status.aged);
	ok(!keeps.aged, "without a time-out there is no ageing");
	ok(doca_flow_aging_handle(rig.port[0], CT_QUEUE, 0, 0) == -1, "nothing is left");
	ct_rig_stop();
}

// Packets keep a connection; an update sets a time-out, or takes it away.
static void update(void)
{
	const struct ct_options options = {.asymmetric = 8};
	struct doca_flow_ct_match match = ct_match4(false, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80),
				  other = ct_match4(false, IP(1, 2, 3, 4), IP(8, 8, 8, 9), 1234, 80);
	struct rig_frame frame = rig_frame4(false, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80, 20),
			 back = rig_frame4(false, IP(8, 8, 8, 8), IP(1, 2, 3, 4), 80, 1234, 20);
	struct rig_options rig_cb = rig_options;
	struct rig_status idle = {0}, busy = {0};
	struct doca_flow_pipe_entry *entry, *second;
	double end;

	rig_cb.entry_cb = remove_aged;
	ct_rig_start(&rig_cb, &options);
	pipeline();
	entry = ct_add(ct, CT_BOTH, &match, NULL, NULL, NULL, 0, &busy);
	second = ct_add(ct, CT_BOTH, &other, NULL, NULL, NULL, 1000, &idle);
	success(doca_flow_ct_update_entry(CT_QUEUE, ct, CT_NOW, entry, NULL, NULL, 0, 0, 3));
	refused(DOCA_ERROR_IN_PROGRESS, doca_flow_ct_rm_entry(CT_QUEUE, ct, CT_NOW, entry));
	require(ct_process(rig.port[0], &busy.updated, 1), "the time-out is set");
	success(doca_flow_ct_update_entry(CT_QUEUE, ct, CT_NOW, second, NULL, NULL, 0, 0, 1));
	require(ct_process(rig.port[0], &idle.updated, 1), "another one is shortened");
	for (end = now() + 4.5; now() < end;) {
		rig_send(0, &frame);
		rig_settle();
		rig_wire(1, &frame);
		(void)doca_flow_aging_handle(rig.port[0], CT_QUEUE, 0, 0);
		success(doca_flow_ct_entries_process(rig.port[0], CT_QUEUE, 0, 0, NULL));
		nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
	}
	ok(!busy.aged, "packets keep a connection");
	ok(wait_aged(&idle, 1) && idle.aged == 1, "without packets it ages");
	ok(wait_aged(&busy, 1) && busy.aged == 1, "and the other one when they cease");
	rig_send(0, &back);
	rig_settle();
	ct_soft(0, &back);
	rig_done();
	ct_rig_stop();
}

// -- notices of counters ----------------------------------------------------------------------------------------------

static struct {
	int calls;
	void *priv;
	uint64_t origin, reply;
} notice;

static void counted(struct doca_flow_pipe *pipe, void *priv_data,
	struct doca_flow_resource_query *origin_data, struct doca_flow_resource_query *reply_data)
{
	notice.calls += pipe == ct;
	notice.priv = priv_data;
	notice.origin = origin_data->counter.total_pkts;
	notice.reply = reply_data->counter.total_pkts;
}

static void notices(void)
{
	const struct ct_options options = {
		.flags = DOCA_FLOW_CT_FLAG_NO_AGING, .asymmetric = 8, .priv_bytes = 24, .stats_cb = counted};
	struct doca_flow_ct_match match = ct_match4(false, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80),
				  quiet = ct_match4(false, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1235, 80);
	struct rig_frame frame = rig_frame4(false, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80, 20),
			 unwatched = rig_frame4(false, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1235, 80, 20);
	struct rig_status status = {0};
	struct doca_flow_pipe_entry *entry;
	double end = now() + 10;
	void *priv;

	ct_rig_start(&rig_options, &options);
	pipeline();
	entry = ct_add(ct, CT_BOTH | CT_COUNTED | DOCA_FLOW_CT_ENTRY_FLAGS_STATS_UPDATES, &match, NULL, NULL,
		NULL, 0, &status);
	ct_add(ct, CT_BOTH | CT_COUNTED, &quiet, NULL, NULL, NULL, 0, &status);
	priv = doca_flow_ct_entry_get_priv_data(CT_QUEUE, ct, entry);
	ok(priv && !((uint8_t *)priv)[23], "private data, zero at first");
	rig_send(0, &frame);
	rig_send(0, &unwatched);
	rig_settle();
	rig_wire(1, &frame);
	rig_wire(1, &unwatched);
	while (!notice.calls && now() < end)
		must(doca_flow_ct_entries_process(rig.port[0], CT_QUEUE, 0, 0, NULL));
	ok(notice.calls == 1 && notice.priv == priv && notice.origin == 1 && !notice.reply,
		"one notice of the connection that wants them");
	ct_rig_stop();
}

// -- a plug-in --------------------------------------------------------------------------------------------------------

static struct {
	atomic_int inits, shutdowns, adds, updates, deletes, timers;
	uint32_t id; // of the only connection
	union doca_flow_ct_aging_conn conn;
	atomic_ullong packets;
	atomic_bool expire;
} plugin;

static doca_error_t plugin_init(struct doca_flow_ct_aging_ctx *ctx)
{
	atomic_fetch_add(&plugin.inits, ctx->n_total_conns >= 128 && ctx->n_total_counters >= 256);
	return DOCA_SUCCESS;
}

static void plugin_shutdown(struct doca_flow_ct_aging_ctx *ctx)
{
	(void)ctx;
	atomic_fetch_add(&plugin.shutdowns, 1);
}

static void plugin_sync(
	struct doca_flow_ct_aging_ctx *ctx, struct doca_flow_ct_aging_conn_event *event, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct doca_flow_ct_aging_conn_update_info info = {.aging_conn_id = event[i].aging_conn_id,
			.conn_info = event[i].conn,
			.ctr_origin_id = 10,
			.ctr_reply_id = 11};

		plugin.id = event[i].aging_conn_id;
		plugin.conn = event[i].conn;
		if (event[i].op == DOCA_FLOW_ENTRY_OP_ADD) {
			struct doca_flow_ct_aging_counter_state state[] = {
				{.ctr_id = 10, .inuse = true}, {.ctr_id = 11, .inuse = true}};

			(void)doca_flow_ct_aging_counter_state_set(ctx, state, 2);
			doca_flow_ct_aging_conn_update(ctx, &info, 1);
			atomic_fetch_add(&plugin.adds, 1);
		}
		atomic_fetch_add(&plugin.updates, event[i].op == DOCA_FLOW_ENTRY_OP_UPD);
		atomic_fetch_add(&plugin.deletes, event[i].op == DOCA_FLOW_ENTRY_OP_DEL);
	}
}

static void plugin_timer(struct doca_flow_ct_aging_ctx *ctx, uint64_t current_time_s)
{
	struct doca_flow_ct_aging_counter counter[] = {{.ctr_id = 10}, {.ctr_id = 11}};
	struct doca_flow_ct_aging_counter_state state = {.ctr_id = 10};

	(void)current_time_s;
	atomic_fetch_add(&plugin.timers, 1);
	if (!atomic_load(&plugin.adds))
		return;
	if (doca_flow_ct_aging_counter_state_get(ctx, &state, 1) == DOCA_SUCCESS && state.inuse &&
		doca_flow_ct_aging_counter_query(ctx, counter, 2) == DOCA_SUCCESS)
		atomic_store(&plugin.packets, counter[0].total_pkts * 1000 + counter[1].total_pkts);
	if (atomic_load(&plugin.expire))
		doca_flow_ct_aging_conn_timeout(ctx, &plugin.id, 1);
}

static bool wait_for(const atomic_int *number, int n)
{
	double end = now() + 10;

	while (atomic_load(number) < n && now() < end)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	return atomic_load(number) >= n;
}

static void plug_in(void)
{
	struct doca_flow_ct_aging_ops ops = {plugin_init, plugin_shutdown, plugin_sync, plugin_timer};
	const struct ct_options options = {.asymmetric = 8, .plugin = &ops};
	struct doca_flow_ct_match match = ct_match4(false, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80);
	struct rig_frame frame = rig_frame4(false, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80, 20);
	struct rig_options rig_cb = rig_options;
	struct rig_status status = {0};
	struct doca_flow_pipe_entry *entry, *same;
	double end = now() + 10;

	rig_cb.entry_cb = remove_aged;
	ct_rig_start(&rig_cb, &options);
	ok(atomic_load(&plugin.inits) == 1, "the plug-in is told the sizes");
	pipeline();
	entry = ct_add(ct, CT_BOTH | CT_COUNTED, &match, NULL, NULL, NULL, 77, &status);
	require(wait_for(&plugin.adds, 1), "it hears of the connection");
	ok(plugin.conn.valid && plugin.conn.ctr_origin && plugin.conn.ctr_reply && !plugin.conn.ctr_shared &&
			!plugin.conn.is_tcp && plugin.conn.timeout == 77,
		"and what it is");
	ok(doca_flow_ct_entry_get_aging_conn_id(CT_QUEUE, ct, entry) == plugin.id,
		"by the number that it has");
	success(doca_flow_ct_entry_get_by_aging_conn_id(ct, plugin.id, &same, NULL));
	ok(same == entry, "the number leads back to it");
	rig_send(0, &frame);
	rig_settle();
	rig_wire(1, &frame);
	while (atomic_load(&plugin.packets) != 1000 && now() < end)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	ok(atomic_load(&plugin.packets) == 1000, "its counters count each direction");
	atomic_store(&plugin.expire, true);
	ok(wait_aged(&status, 1) && status.aged == 1, "what it lets expire ages");
	ok(wait_for(&plugin.deletes, 1), "and it hears of the end");
	ct_rig_stop();
	ok(atomic_load(&plugin.shutdowns) == 1, "it is shut down");
}

// -- the pipe goes while it is looked through -------------------------------------------------------------------------

static int calls; // since it was destroyed

static void destroy_aged(struct doca_flow_pipe_entry *entry, uint16_t queue,
	enum doca_flow_entry_status result, enum doca_flow_entry_op op, void *user_ctx)
{
	rig_count_entry(entry, queue, result, op, user_ctx);
	if (op == DOCA_FLOW_ENTRY_OP_AGED && ++calls == 1)
		doca_flow_port_pipes_flush(rig.port[0]);
}

static void destroy_counted(struct doca_flow_pipe *pipe, void *priv_data,
	struct doca_flow_resource_query *origin_data, struct doca_flow_resource_query *reply_data)
{
	(void)pipe;
	(void)priv_data;
	(void)origin_data;
	(void)reply_data;
	if (++calls == 1)
		doca_flow_port_pipes_flush(rig.port[0]);
}

static void destroy_found(
	uint16_t queue, struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry, void *ctx)
{
	(void)queue;
	(void)pipe;
	(void)entry;
	(void)ctx;
	if (++calls == 1)
		doca_flow_port_pipes_flush(rig.port[0]);
}

// Three connections, and one call of the program for them, in which it destroys their pipe.
static void gone(const char *what, const struct ct_options *options, bool iterate)
{
	struct rig_options rig_cb = rig_options;
	struct rig_status status = {0};
	double end = now() + 20;

	rig_cb.entry_cb = destroy_aged;
	ct_rig_start(&rig_cb, options);
	pipeline();
	calls = 0;
	for (uint16_t i = 0; i < 3; i++) {
		struct doca_flow_ct_match match =
			ct_match4(false, IP(1, 2, 3, 4), IP(8, 8, 8, 8), (uint16_t)(1234 + i), 80);
		struct rig_frame frame =
			rig_frame4(false, IP(1, 2, 3, 4), IP(8, 8, 8, 8), (uint16_t)(1234 + i), 80, 20);

		ct_add(ct, CT_BOTH | CT_COUNTED | DOCA_FLOW_CT_ENTRY_FLAGS_STATS_UPDATES, &match, NULL, NULL,
			NULL, options->stats_cb || iterate ? 0 : 1, &status);
		rig_send(0, &frame);
		rig_settle();
		rig_wire(1, &frame);
	}
	if (iterate)
		success(doca_flow_ct_pipe_iterate(ct, destroy_found, NULL));
	while (!calls && now() < end) {
		(void)doca_flow_aging_handle(rig.port[0], CT_QUEUE, 0, 0);
		must(doca_flow_ct_entries_process(rig.port[0], CT_QUEUE, 0, 0, NULL));
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	ok(calls == 1, "%s: one call, then the pipe is gone: %d", what, calls);
	ct_rig_stop();
}

int main(void)
{
	gone("ageing", &(struct ct_options){.asymmetric = 8}, false);
	gone("notices", &(struct ct_options){.asymmetric = 8, .stats_cb = destroy_counted}, false);
	gone("iteration", &(struct ct_options){.flags = DOCA_FLOW_CT_FLAG_ITERATOR, .asymmetric = 8}, true);
	many();
	update();
	notices();
	plug_in();
	return tap_done();
}
