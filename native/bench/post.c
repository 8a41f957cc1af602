// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// One entry at a time: from the call that posts it to its callback. And what may disturb that: another session that adds
// and removes at a rate, ACL rules that keep the trie builder busy.

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

enum { CHURN_MS = 64, ACL_RULES = 4000 };

static struct doca_flow_pipe *make_pipe(const struct bench_port *port, uint32_t nr_entries)
{
	struct doca_flow_fwd fwd = {.type = DOCA_FLOW_FWD_DROP};
	struct doca_flow_match match;
	struct pipe_plan plan = {
		.name = "posts", .match = &match, .fwd = &fwd, .nr_entries = nr_entries, .root = true};

	connection_shape(&match, FIELD_TUPLE);
	return pipe_make(port->port, &plan);
}

static void print_quantiles(const char *name, uint64_t *ns, uint32_t nr)
{
	sort_numbers(ns, nr);
	printf("\"%s\": {\"p50_ns\": %llu, \"p90_ns\": %llu, \"p99_ns\": %llu, \"max_ns\": %llu}", name,
		(unsigned long long)quantile(ns, nr, 0.5), (unsigned long long)quantile(ns, nr, 0.9),
		(unsigned long long)quantile(ns, nr, 0.99), (unsigned long long)quantile(ns, nr, 1.0));
}

int post_run(const struct options *options)
{
	uint64_t *add = allocate(options->nr, sizeof(*add)), *remove = allocate(options->nr, sizeof(*remove));
	struct bench_port ports[BENCH_PORTS_MAX];
	uint16_t nr = session_open(options, 0, ports);
	struct doca_flow_pipe *pipe = make_pipe(&ports[0], 1024);
	struct doca_flow_match match;

	for (uint32_t i = 0; i < options->nr; i++) {
		struct connection absent = connection_absent(i);
		struct doca_flow_pipe_entry *entry;
		uint64_t t0, t1, t2;

		connection_match(&match, &absent, false);
		sleep_until(now_ns() + (uint64_t)options->gap_us * 1000);
		t0 = now_ns();
		entry = entry_post(ports[0].port, 0, pipe, &match, NULL, NULL, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT);
		queue_finish(ports[0].port, 0);
		t1 = now_ns();
		entry_drop(ports[0].port, 0, entry, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT);
		queue_finish(ports[0].port, 0);
		t2 = now_ns();
		add[i] = t1 - t0;
		remove[i] = t2 - t1;
	}
	printf("{\"nr\": %u, ", options->nr);
	print_quantiles("add", add, options->nr);
	printf(", ");
	print_quantiles("remove", remove, options->nr);
	printf("}\n");
	free(add);
	free(remove);
	session_close(ports, nr);
	return 0;
}

// -- loads --------------------------------------------------------------------------------------------------------

static bool stdin_ended(void)
{
	struct pollfd fd = {.fd = 0, .events = POLLIN};
	char byte;

	return poll(&fd, 1, 0) > 0 && fread(&byte, 1, 1, stdin) != 1;
}

static void ready(void)
{
	printf("{\"ready\": true}\n");
	fflush(stdout);
}

int churn_run(const struct options *options)
{
	uint32_t share = options->rate / 1000, slots = share * CHURN_MS;
	struct doca_flow_pipe_entry **ring = allocate(slots, sizeof(*ring));
	struct bench_port ports[BENCH_PORTS_MAX];
	uint16_t nr = session_open(options, 0, ports);
	struct doca_flow_pipe *pipe = make_pipe(&ports[0], 4 * slots);
	struct doca_flow_match match;
	uint64_t next = now_ns(), start = next, at = 0;

	ready();
	while (!stdin_ended()) {
		for (uint32_t i = 0; i < share; i++, at++) {
			struct connection absent = connection_absent((uint32_t)(at % (2 * slots)));

			connection_match(&match, &absent, false);
			if (ring[at % slots])
				entry_drop(ports[0].port, 0, ring[at % slots],
					DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH);
			ring[at % slots] = entry_post(ports[0].port, 0, pipe, &match, NULL, NULL,
				DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH);
		}
		check(doca_flow_entries_process(ports[0].port, 0, 0, 0), "entries_process");
		next += 1000000;
		if (now_ns() > next + 100000000)
			next = now_ns();
		sleep_until(next);
	}
	queue_finish(ports[0].port, 0);
	printf("{\"added\": %llu, \"ns\": %llu}\n", (unsigned long long)at,
		(unsigned long long)(now_ns() - start));
	free(ring);
	session_close(ports, nr);
	return 0;
}

// A service rule of its own for every number.
static void add_rule(const struct bench_port *port, struct doca_flow_pipe *pipe, uint32_t i)
{
	const struct doca_flow_fwd fwd = {.type = DOCA_FLOW_FWD_DROP};
	struct connection absent = connection_absent(i);
	struct doca_flow_match match, mask;
	struct doca_flow_pipe_entry *entry;
	doca_error_t result;

	connection_match(&match, &absent, false);
	connection_shape(&mask, FIELD_TUPLE);
	match.outer.udp.l4_port.src_port = 0;
	mask.outer.udp.l4_port.src_port = 0;
	mask.outer.udp.l4_port.dst_port = match.outer.udp.l4_port.dst_port;
	mask.outer.ip4.src_ip = htonl(0xfffffff0);
	while ((result = doca_flow_pipe_acl_add_entry(0, pipe, &match, &mask, 0, NULL, i % 1000, &fwd,
			DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, NULL, &entry)) == DOCA_ERROR_AGAIN)
		check(doca_flow_entries_process(port->port, 0, 10000, 0), "entries_process");
	check(result, "acl_add_entry");
	progress.pending[0]++;
}

int acl_run(const struct options *options)
{
	struct doca_flow_fwd fwd = {.type = DOCA_FLOW_FWD_DROP};
	struct bench_port ports[BENCH_PORTS_MAX];
	uint16_t nr = session_open(options, 0, ports);
	uint32_t round = 0;

	do {
		struct doca_flow_match match;
		struct pipe_plan plan = {.name = "rules",
			.match = &match,
			.fwd = &fwd,
			.type = DOCA_FLOW_PIPE_ACL,
			.nr_entries = ACL_RULES};
		struct doca_flow_pipe *pipe;

		connection_shape(&match, FIELD_TUPLE);
		pipe = pipe_make(ports[0].port, &plan);
		for (uint32_t i = 0; i < ACL_RULES && !stdin_ended(); i++)
			add_rule(&ports[0], pipe, i << 4);
		queue_finish(ports[0].port, 0);
		if (!round++)
			ready();
		// A build takes its time; the next round would only throw it away.
		for (int i = 0; i < 20 && !stdin_ended(); i++)
			sleep_until(now_ns() + 50000000);
		doca_flow_pipe_destroy(pipe);
	} while (!stdin_ended());
	printf("{\"rounds\": %u}\n", round);
	session_close(ports, nr);
	return 0;
}
