// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Packets per second through a chain of BASIC pipes. Ports 0 and 1 replay connections and their replies; each port has
// its own chain, whose last pipe matches the whole tuple of every connection, counts, and forwards to the other port.
//
// Shape "mixed": the pipes in front look at other things, as real pipelines do (see the table below). Shape "same": all
// pipes hold all connections; the dearest chain there is. Churn: a second thread adds and removes entries, in the last
// pipe ("hit") or in one in front that matches the tuple but holds none of the connections ("miss"); windows with and
// without it alternate.

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { CHURN_BEHIND = 64, CHURN_KEYS = 1 << 16 };

struct stage {
	const char *name;
	uint32_t fields;
	uint32_t from; // in chains at least so long
};

// In order of the packet's way.
static const struct stage stages[] = {
	{"ether", FIELD_ETHER, 4},
	{"mac", FIELD_MAC, 8},
	{"proto", FIELD_PROTO, 8},
	{"to", FIELD_DST, 2},
	{"service", FIELD_DPORT, 4},
	{"source", FIELD_SRC, 8},
	{"pair", FIELD_SRC | FIELD_DST, 8},
	{"flow", FIELD_TUPLE, 1},
};

struct churn {
	const struct options *options;
	struct doca_flow_port *port;
	struct doca_flow_pipe *pipe;
	bool on, quit;
	uint64_t added;
};

// -- pipes --------------------------------------------------------------------------------------------------------

// Fields of the chain's pipes, in order; returns how many.
static unsigned int plan_chain(const struct options *options, bool reverse, uint32_t *fields)
{
	bool same = !strcmp(options->shape, "same");
	unsigned int nr = 0;

	for (uint32_t i = 0; same && i < options->pipes; i++)
		fields[nr++] = FIELD_TUPLE;
	for (size_t i = 0; !same && i < sizeof(stages) / sizeof(*stages); i++) {
		uint32_t these = stages[i].fields;

		if (stages[i].from > options->pipes)
			continue;
		// The service's port is the source port of replies.
		fields[nr++] = reverse && these == FIELD_DPORT ? FIELD_SPORT : these;
	}
	if (nr != options->pipes)
		die("a mixed chain has 1, 2, 4 or 8 pipes, not %u", options->pipes);
	return nr;
}

static void fill(struct doca_flow_port *port, struct doca_flow_pipe *pipe,
	const struct connection *connections, uint32_t nr, bool reverse,
	const struct doca_flow_monitor *monitor)
{
	struct doca_flow_match match;

	for (uint32_t i = 0; i < nr; i++) {
		connection_match(&match, &connections[i], reverse);
		entry_post(port, 0, pipe, &match, NULL, monitor,
			i % 64 == 63 ? DOCA_FLOW_ENTRY_FLAGS_NO_WAIT : DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH);
		if (i % 64 == 63)
			check(doca_flow_entries_process(port, 0, 0, 0), "entries_process");
	}
	queue_finish(port, 0);
}

// From the last pipe to the first, since each forwards to the next. Returns the last.
static struct doca_flow_pipe *make_chain(const struct options *options, const struct bench_port *port,
	uint16_t to, struct doca_flow_pipe **front)
{
	struct doca_flow_fwd fwd = {.type = DOCA_FLOW_FWD_PORT, .port_id = to};
	bool reverse = port->id != 0, miss = !strcmp(options->churn, "miss");
	uint32_t fields[BENCH_PIPES_MAX];
	unsigned int nr = plan_chain(options, reverse, fields);
	struct doca_flow_pipe *pipe = NULL, *last = NULL;
	struct doca_flow_match match;

	for (unsigned int i = nr; i--;) {
		uint32_t used;
		struct connection *connections =
			connection_distinct(options->flows, reverse, fields[i], &used);
		struct pipe_plan plan = {
			.name = i + 1 == nr ? "flow" : "stage",
			.match = &match,
			.fwd = &fwd,
			.nr_entries = used + (i + 1 == nr ? CHURN_KEYS : 0),
			.root = i == 0 && !miss,
			.counters = i + 1 == nr,
		};

		connection_shape(&match, fields[i]);
		pipe = pipe_make(port->port, &plan);
		fill(port->port, pipe, connections, used, reverse, plan.counters ? &counted : NULL);
		free(connections);
		last = last ? last : pipe;
		fwd = (struct doca_flow_fwd){.type = DOCA_FLOW_FWD_PIPE, .next_pipe = pipe};
	}
	*front = last;
	if (miss) {
		struct pipe_plan plan = {.name = "missed",
			.match = &match,
			.fwd = &fwd,
			.miss = &fwd,
			.nr_entries = 2 * CHURN_KEYS,
			.root = true,
			.counters = true};

		connection_shape(&match, FIELD_TUPLE);
		*front = pipe_make(port->port, &plan);
	}
	return last;
}

// -- churn --------------------------------------------------------------------------------------------------------

// Each millisecond its share of adds, and as many removes of what was added CHURN_BEHIND milliseconds ago.
static void *churn_main(void *argument)
{
	struct churn *churn = argument;
	uint32_t share = churn->options->rate / 1000, slots = share * CHURN_BEHIND;
	struct doca_flow_pipe_entry **ring = allocate(slots, sizeof(struct doca_flow_pipe_entry *));
	struct doca_flow_match match;
	uint64_t next = now_ns(), at = 0;

	while (!__atomic_load_n(&churn->quit, __ATOMIC_ACQUIRE)) {
		next += 1000000;
		if (__atomic_load_n(&churn->on, __ATOMIC_ACQUIRE)) {
			for (uint32_t i = 0; i < share; i++, at++) {
				struct connection absent = connection_absent((uint32_t)(at % CHURN_KEYS));

				connection_match(&match, &absent, false);
				if (ring[at % slots])
					entry_drop(churn->port, 1, ring[at % slots],
						DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH);
				ring[at % slots] = entry_post(churn->port, 1, churn->pipe, &match, NULL,
					&counted, DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH);
			}
			__atomic_fetch_add(&churn->added, share, __ATOMIC_RELAXED);
		}
		check(doca_flow_entries_process(churn->port, 1, 0, 0), "entries_process");
		sleep_until(next);
		// What could not be kept up with is left out, not made up for in a rush.
		if (now_ns() > next + 100000000)
			next = now_ns();
	}
	queue_finish(churn->port, 1);
	free(ring);
	return NULL;
}

// -- measurement --------------------------------------------------------------------------------------------------

static void measure(const struct options *options, uint64_t pid, struct churn *churn, uint32_t window)
{
	bool disturb = strcmp(options->churn, "none") && window % 2;
	struct doca_flow_ringfield_stats before, after;
	uint64_t t0, t1, ran, added;

	__atomic_store_n(&churn->on, disturb, __ATOMIC_RELEASE);
	sleep_until(now_ns() + 200000000);
	added = __atomic_load_n(&churn->added, __ATOMIC_RELAXED);
	ran = worker_run_ns(pid);
	check(doca_flow_ringfield_stats_get(&before), "stats");
	t0 = now_ns();
	sleep_until(t0 + (uint64_t)options->window_ms * 1000000);
	check(doca_flow_ringfield_stats_get(&after), "stats");
	t1 = now_ns();
	ran = worker_run_ns(pid) - ran;
	added = __atomic_load_n(&churn->added, __ATOMIC_RELAXED) - added;
	printf("%s{\"churn\": %s, \"ns\": %llu, \"ran_ns\": %llu, \"sent\": %llu, \"dropped\": %llu, "
	       "\"cycles\": %llu, "
	       "\"added\": %llu}",
		window ? ", " : "", disturb ? "true" : "false", (unsigned long long)(t1 - t0),
		(unsigned long long)ran, (unsigned long long)(after.ports.sent.pkts - before.ports.sent.pkts),
		(unsigned long long)(after.ports.dropped.pkts - before.ports.dropped.pkts),
		(unsigned long long)(after.cycles_busy - before.cycles_busy), (unsigned long long)added);
}

int forward_run(const struct options *options)
{
	struct bench_port ports[BENCH_PORTS_MAX];
	struct doca_flow_ringfield_session self;
	struct churn churn = {.options = options};
	struct doca_flow_pipe *front;
	uint16_t nr = session_open(options, 4 * options->flows + 4 * CHURN_KEYS + 1024, ports);
	pthread_t thread;

	if (nr != 2)
		die("forwarding needs two ports");
	make_chain(options, &ports[1], 0, &front);
	make_chain(options, &ports[0], 1, &front);
	churn.port = ports[0].port;
	churn.pipe = front;
	check(doca_flow_ringfield_session_self(&self), "session");
	if (pthread_create(&thread, NULL, churn_main, &churn))
		die("no thread");
	printf("{\"pipes\": %u, \"windows\": [", options->pipes);
	for (uint32_t i = 0; i < options->windows; i++)
		measure(options, self.pid, &churn, i);
	printf("]}\n");
	fflush(stdout);
	// With windows 0 it just forwards, as a load for other measurements.
	while (!options->windows && getchar() != EOF)
		;
	__atomic_store_n(&churn.quit, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	session_close(ports, nr);
	return 0;
}
