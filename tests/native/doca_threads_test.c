// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// A thread per queue: entries added, updated, queried and removed in one pipe from two threads, while a third makes and
// destroys pipes and sends packets.

#include <pthread.h>
#include <time.h>

#include "doca_support.h"

enum { ROUNDS = 4, ENTRIES = 600, DEPTH = 64 };

static const char config[] = "[port p0]\nbackend = net_ring\n[port p1]\nbackend = net_ring\n";

static struct doca_flow_pipe *shared_pipe;
static const struct doca_flow_fwd to_p1 = {.type = DOCA_FLOW_FWD_PORT, .port_id = 1};

struct worker {
	pthread_t thread;
	uint16_t queue;
	struct results results;
	struct doca_flow_pipe_entry *entries[ENTRIES];
	const char *wrong; // the first thing that went wrong
	doca_error_t code;
};

static bool good(struct worker *w, doca_error_t result, const char *what)
{
	if (result == DOCA_SUCCESS)
		return true;
	if (!w->wrong) {
		w->wrong = what;
		w->code = result;
	}
	return false;
}

// Until so many results are in.
static void settle(struct worker *w, unsigned int nr)
{
	for (int i = 0; i < 100 && w->results.done < nr; i++)
		good(w, doca_flow_entries_process(ports[0], w->queue, 10000, 0), "entries_process");
	if (w->results.done != nr || w->results.failed)
		good(w, DOCA_ERROR_UNEXPECTED, "results");
	w->results.done = 0;
}

static struct doca_flow_match key(const struct worker *w, unsigned int i)
{
	return (struct doca_flow_match){.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4,
		.outer.ip4.src_ip = IP(10, w->queue, i / 256, i % 256)};
}

static void one_round(struct worker *w)
{
	struct doca_flow_resource_query query;
	struct doca_flow_actions actions = {.meta.pkt_meta = 7};

	for (unsigned int i = 0; i < ENTRIES; i++) {
		struct doca_flow_match match = key(w, i);
		bool last = i % 16 == 15 || i == ENTRIES - 1;
		doca_error_t result;

		do {
			result = doca_flow_pipe_basic_add_entry(w->queue, shared_pipe, &match, 0, &actions,
				NULL, NULL,
				last ? DOCA_FLOW_ENTRY_FLAGS_NO_WAIT : DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH,
				&w->results, &w->entries[i]);
			if (result == DOCA_ERROR_AGAIN)
				good(w, doca_flow_entries_process(ports[0], w->queue, 1000, 0), "process");
		} while (result == DOCA_ERROR_AGAIN);
		if (!good(w, result, "add_entry"))
			return;
	}
	settle(w, ENTRIES);
	for (unsigned int i = 0; i < ENTRIES; i += 7) {
		if (doca_flow_pipe_entry_get_status(w->entries[i]) != DOCA_FLOW_ENTRY_STATUS_SUCCESS)
			good(w, DOCA_ERROR_UNEXPECTED, "status");
		good(w, doca_flow_resource_query_entry(w->entries[i], &query), "query");
	}
	for (unsigned int i = 0; i < DEPTH / 2; i++)
		good(w,
			doca_flow_pipe_basic_update_entry(w->queue, shared_pipe, 0, &actions, NULL, NULL,
				DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, w->entries[i]),
			"update");
	settle(w, DEPTH / 2);
	for (unsigned int i = 0; i < ENTRIES; i++) {
		doca_error_t result;

		do {
			result = doca_flow_pipe_remove_entry(
				w->queue, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, w->entries[i]);
			if (result == DOCA_ERROR_AGAIN)
				good(w, doca_flow_entries_process(ports[0], w->queue, 1000, 0), "process");
		} while (result == DOCA_ERROR_AGAIN);
		good(w, result, "remove");
	}
	settle(w, ENTRIES);
}

static void *work(void *argument)
{
	struct worker *w = argument;

	for (int i = 0; i < ROUNDS && !w->wrong; i++)
		one_round(w);
	return NULL;
}

static struct doca_flow_pipe *make_pipe(const char *name, bool root)
{
	struct doca_flow_match match = {
		.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4, .outer.ip4.src_ip = UINT32_MAX};
	struct doca_flow_actions actions = {.meta.pkt_meta = UINT32_MAX}, *templates[] = {&actions};
	struct doca_flow_monitor count = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	struct doca_flow_fwd drop = {.type = DOCA_FLOW_FWD_DROP};
	struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[0], name, DOCA_FLOW_PIPE_BASIC, root);
	struct doca_flow_pipe *pipe;

	must(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	must(doca_flow_pipe_cfg_set_actions(cfg, templates, NULL, NULL, 1));
	must(doca_flow_pipe_cfg_set_monitor(cfg, &count));
	must(doca_flow_pipe_cfg_set_nr_entries(cfg, 4 * ENTRIES));
	must(doca_flow_pipe_create(cfg, &to_p1, &drop, &pipe));
	must(doca_flow_pipe_cfg_destroy(cfg));
	return pipe;
}

int main(int argc, char **argv)
{
	static struct worker workers[2] = {{.queue = 0}, {.queue = 1}};
	struct fastpath *fastpath = fastpath_start(config, (const char *const *)(uintptr_t)(argv + 1));
	uint8_t frame[256];
	uint32_t length = make_frame(frame, IP(10, 0, 0, 1), IP(8, 8, 8, 8), 17, 1, 2);
	struct doca_flow_resource_query query;

	(void)argc;
	flow_attach(fastpath, "doca-threads", 0);
	flow_start("vnf,hws", 8 * ENTRIES, NULL);
	flow_ports(2, false);
	must(doca_flow_port_pair(ports[0], ports[1]));
	shared_pipe = make_pipe("SHARED", true);
	for (unsigned int i = 0; i < 2; i++)
		require(!pthread_create(&workers[i].thread, NULL, work, &workers[i]), "a thread");
	for (unsigned int i = 0; i < 20; i++) {
		struct doca_flow_pipe *pipe = make_pipe("OTHER", false);

		must(doca_flow_ringfield_inject(0, 0, frame, &length, 1, NULL));
		doca_flow_pipe_destroy(pipe);
	}
	for (unsigned int i = 0; i < 2; i++) {
		pthread_join(workers[i].thread, NULL);
		ok(!workers[i].wrong, "queue %u: %s %s", workers[i].queue,
			workers[i].wrong ? workers[i].wrong : "all rounds",
			workers[i].wrong ? doca_error_get_name(workers[i].code) : "");
	}
	ok(doca_flow_resource_query_pipe_miss(shared_pipe, &query) != DOCA_SUCCESS,
		"no miss counter was asked for");
	doca_flow_pipe_destroy(shared_pipe);
	for (int i = 1; i >= 0; i--)
		must(doca_flow_port_stop(ports[i]));
	flow_close();
	ok(!fastpath_stop(fastpath), "the fast path ends in good order");
	return tap_done();
}
