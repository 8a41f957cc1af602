// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What a client sends: pipe specs, work entries, transactions, shared resources, and the trace that walks what they made.
//
// The input is a list of commands: kind (1 byte), length (2 bytes, little endian), so many bytes of payload. A payload is
// handed over in memory of exactly its size. Small pipe numbers in it stand for pipes made before, in their order, so
// that the fuzzer need not guess the fast path's numbers.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_mbuf.h>

#include "fastpath.h"
#include "pipe.h"
#include "rcu.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
const char *__lsan_default_suppressions(void);

enum { PORTS = 2, COUNTERS = 4096, PIPES = 16, REPLY = 1 << 20, COMMANDS = 64 };

static uint8_t reply[REPLY];

struct run {
	struct space *space;
	uint32_t pipes[PIPES];
	uint32_t nr_pipes;
};

// What DPDK keeps until the process ends.
const char *__lsan_default_suppressions(void)
{
	return "leak:librte_\n";
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char options[][16] = {"fuzz", "--no-huge", "-m", "512", "--no-pci", "--no-telemetry",
		"--no-shconf", "-l", "0", "--log-level", "*:critical"};
	enum { OPTIONS = sizeof(options) / sizeof(*options) };
	char *words[OPTIONS + 1] = {NULL};

	for (unsigned int i = 0; i < OPTIONS; i++)
		words[i] = options[i];
	if (rte_eal_init(OPTIONS, words) < 0) {
		fprintf(stderr, "EAL does not start\n");
		exit(1);
	}
	fp.stats = calloc(1, sizeof(struct stats_header));
	fp.control_stats = calloc(1, sizeof(struct stats_worker));
	fp.workers[0].stats = calloc(1, sizeof(struct stats_worker));
	fp.workers[0].counters = calloc(COUNTERS, sizeof(struct stats_counter));
	fp.pool = rte_pktmbuf_pool_create(
		"fuzz", 1023, 0, RTE_ALIGN(sizeof(struct fp_note), RTE_MBUF_PRIV_ALIGN), 4096, 0);
	if (!fp.pool || fp_init(1, COUNTERS)) {
		fprintf(stderr, "no pool, or fp_init fails\n");
		exit(1);
	}
	for (uint16_t i = 0; i < PORTS; i++) {
		struct fp_port *port = &fp.ports[i];

		port->present = port->up = port->started = 1;
		port->mtu = 1500;
		port->doca_port_id = i;
		port->root_port = i;
		port->nr_rss_queues = 1;
		port->miss_counter = STEER_COUNTER_NONE;
	}
	rcu_offline(0);
	return 0;
}

static void rename_pipe(const struct run *run, uint32_t *pipe)
{
	if (*pipe < run->nr_pipes)
		*pipe = run->pipes[*pipe];
}

static void rename_fwd(const struct run *run, struct steer_fwd *fwd)
{
	rename_pipe(run, &fwd->pipe);
}

static void create(struct run *run, uint8_t *payload, size_t size)
{
	struct steer_pipe_spec *spec = (void *)payload;
	uint32_t id = STEER_PIPE_NONE;
	struct why why;

	if (size >= sizeof(*spec)) {
		spec->nr_entries &= 0xfff;
		rename_fwd(run, &spec->fwd);
		rename_fwd(run, &spec->fwd_miss);
	}
	if (!pipe_create(run->space, spec, size, &id, &why) && run->nr_pipes < PIPES)
		run->pipes[run->nr_pipes++] = id;
}

// Fixes up pipe numbers in a work entry: the entry's own, and that of its forward when one follows.
static void rename_entry(const struct run *run, uint8_t *payload, size_t size)
{
	struct steer_entry_add *add = (void *)payload;
	size_t at;

	if (size < sizeof(*add))
		return;
	rename_pipe(run, &add->pipe);
	at = sizeof(*add) + ((add->key_bytes + 7u) & ~7u) + ((add->args_bytes + 7u) & ~7u);
	if (add->flags & STEER_ENTRY_MONITOR)
		at += sizeof(struct steer_monitor);
	if ((add->flags & STEER_ENTRY_FWD) && at + sizeof(struct steer_fwd) <= size)
		rename_fwd(run, (void *)(payload + at));
}

static void trace(const uint8_t *payload, size_t size)
{
	struct steer_trace_request request = {0};
	size_t used = 0;

	if (!size)
		return;
	request.port = payload[0] % (PORTS + 1);
	request.length = (uint32_t)(size - 1);

	int status = trace_run(&request, payload + 1, reply, sizeof(reply), &used);

	if (!status && used > sizeof(reply))
		abort();
}

static void change_pipe(struct run *run, uint8_t kind, const uint8_t *payload, size_t size)
{
	struct steer_pipe_miss miss;
	struct why why;
	uint32_t id;

	if (size < sizeof(id))
		return;
	memcpy(&id, payload, sizeof(id));
	rename_pipe(run, &id);
	if (kind == 0) {
		pipe_destroy(run->space, id, &why);
	} else if (kind == 1 && size >= 2 * sizeof(id)) {
		uint32_t entries;

		memcpy(&entries, payload + sizeof(id), sizeof(entries));
		pipe_resize(run->space, id, entries & 0xffff, &why);
	} else if (kind == 2 && size >= sizeof(miss)) {
		memcpy(&miss, payload, sizeof(miss));
		rename_fwd(run, &miss.fwd);
		pipe_set_miss(run->space, id, &miss.fwd, &why);
	}
}

static void change_shared(struct run *run, const uint8_t *payload, size_t size)
{
	struct steer_shared_info info;
	struct steer_shared_set set;
	struct why why;
	uint32_t words[2];

	if (size >= sizeof(set)) {
		memcpy(&set, payload, sizeof(set));
		shared_set(run->space, &set, &why);
	} else if (size >= sizeof(words)) {
		memcpy(words, payload, sizeof(words));
		shared_get(run->space, words[0], words[1], &info);
		shared_remove(run->space, words[0], words[1], &why);
	}
}

static void transact(struct run *run, const uint8_t *payload, size_t size)
{
	struct steer_txn_reply done;
	struct why why;

	switch (size ? payload[0] % 3 : 0) {
	case 0:
		txn_begin(run->space);
		break;
	case 1:
		txn_commit(run->space, &done, &why);
		break;
	default:
		txn_abort(run->space);
	}
}

static void command(struct run *run, uint8_t kind, uint8_t *payload, size_t size)
{
	struct entry_result result;
	uint32_t id;

	switch (kind % 10) {
	case 0:
		create(run, payload, size);
		break;
	case 1:
	case 2:
		rename_entry(run, payload, size);
		if (kind % 10 == 1)
			entry_add(run->space, (void *)payload, size, &result);
		else
			entry_update(run->space, (void *)payload, size, &result);
		break;
	case 3:
		if (size >= sizeof(id)) {
			memcpy(&id, payload, sizeof(id));
			entry_remove(run->space, id, &result);
		}
		break;
	case 4:
		trace(payload, size);
		break;
	case 5:
		change_shared(run, payload, size);
		break;
	case 6:
		transact(run, payload, size);
		break;
	default:
		change_pipe(run, (uint8_t)(kind % 10 - 7), payload, size);
	}
}

// Whatever was left behind, the space gives it all back.
static void check_empty(void)
{
	for (unsigned int i = 0; i < 1000 && rcu_poll(); i++)
		acl_poll();
	if (rte_mempool_in_use_count(fp.pool)) {
		fprintf(stderr, "%u packet buffers are left\n", rte_mempool_in_use_count(fp.pool));
		abort();
	}
	if (pipe_next(STEER_PIPE_NONE) || counter_used()) {
		fprintf(stderr, "pipes or counters are left: %u counters\n", counter_used());
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct run run = {0};
	size_t at = 0;

	if (space_create(1, &run.space))
		abort();
	for (unsigned int n = 0; n < COMMANDS && at + 3 <= size; n++) {
		uint8_t kind = input[at];
		size_t length = (size_t)(input[at + 1] | input[at + 2] << 8);
		uint8_t *payload;

		at += 3;
		length = length < size - at ? length : size - at;
		payload = malloc(length ? length : 1);
		if (!payload)
			abort();
		memcpy(payload, input + at, length);
		command(&run, kind, payload, length);
		free(payload);
		at += length;
		rcu_poll();
		acl_poll();
	}
	space_destroy(run.space);
	check_empty();
	return 0;
}
