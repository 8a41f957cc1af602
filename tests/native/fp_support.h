// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// A fast path without its control code: EAL without hugepages, one worker run by hand, ports made of rings.
#pragma once

#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#include "fields.h"
#include "frames.h"
#include "pipe.h"
#include "rcu.h"
#include "tap.h"

enum { BED_COUNTERS = 65536, BED_RING = 4096 };

struct bed {
	struct rte_ring *rx[STEER_PORT_MAX];
	struct rte_ring *tx[STEER_PORT_MAX];
	struct space *space;
	uint32_t next_entry;
};

static struct bed bed;
static unsigned int bed_workers = 1; // more: before bed_start(), who then runs them as threads

__attribute__((unused)) static void bed_ports(unsigned int n)
{
	struct fp_rx rx[STEER_PORT_MAX];
	struct rte_ring *tx[STEER_WORKER_MAX];

	for (unsigned int i = 0; i < n; i++) {
		struct fp_port *port = &fp.ports[i];
		char name[32];

		snprintf(name, sizeof(name), "rx%u", i);
		bed.rx[i] = rte_ring_create(name, BED_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "tx%u", i);
		bed.tx[i] = rte_ring_create(name, BED_RING, SOCKET_ID_ANY,
			(bed_workers == 1 ? RING_F_SP_ENQ : 0) | RING_F_SC_DEQ);
		for (unsigned int q = 0; q < bed_workers; q++)
			tx[q] = bed.tx[i];
		snprintf(name, sizeof(name), "port%u", i);
		port->dev = (uint16_t)rte_eth_from_rings(name, &bed.rx[i], 1, tx, bed_workers, SOCKET_ID_ANY);
		rte_eth_dev_configure(port->dev, 1, (uint16_t)bed_workers, &(struct rte_eth_conf){0});
		rte_eth_rx_queue_setup(port->dev, 0, 64, SOCKET_ID_ANY, NULL, fp.pool);
		for (unsigned int q = 0; q < bed_workers; q++)
			rte_eth_tx_queue_setup(port->dev, (uint16_t)q, 64, SOCKET_ID_ANY, NULL);
		require(rte_eth_dev_start(port->dev) == 0, "ring port %u", i);
		port->present = port->up = port->started = port->silent = 1;
		port->mtu = 1500;
		port->doca_port_id = (uint16_t)i;
		port->root_port = (uint16_t)i;
		port->nr_rss_queues = 1;
		port->nr_tx = (uint16_t)bed_workers;
		rx[i] = (struct fp_rx){.port = (uint16_t)i, .dev = port->dev, .fd = -1};
	}
	worker_set_rx(&fp.workers[0], rx, (uint16_t)n);
}

// EAL, fast path with one nested worker, n ring ports, one space.
__attribute__((unused)) static void bed_start(unsigned int ports)
{
	const char *const argv[] = {"test", "--no-huge", "-m", "192", "--no-pci", "--no-telemetry",
		"--no-shconf", "-l", "0", "--log-level", "error"};
	char *copy[RTE_DIM(argv)];

	for (unsigned int i = 0; i < RTE_DIM(argv); i++)
		copy[i] = (char *)(uintptr_t)argv[i];
	require(rte_eal_init((int)RTE_DIM(argv), copy) >= 0, "EAL");
	fp.pool = rte_pktmbuf_pool_create("pool", 8191, 64, FP_NOTE_BYTES, 2048 + FP_HEADROOM, SOCKET_ID_ANY);
	require(fp.pool, "mbufs");
	fp.stats = calloc(1, sizeof(*fp.stats));
	fp.control_stats = calloc(1, sizeof(*fp.control_stats));
	for (unsigned int i = 0; i < bed_workers; i++) {
		struct fp_worker *w = &fp.workers[i];

		w->stats = calloc(1, sizeof(*w->stats));
		w->counters = calloc(BED_COUNTERS, sizeof(*w->counters));
	}
	fp.cache = (uint32_t)atoi(getenv("FLOW_CACHE") ? getenv("FLOW_CACHE") : "1024");
	require(!fp_init((uint16_t)bed_workers, BED_COUNTERS), "fast path");
	for (unsigned int i = 0; i < bed_workers; i++) {
		fp.workers[i].index = (uint16_t)i;
		fp.workers[i].nested = bed_workers == 1;
		require(!worker_init(&fp.workers[i]), "worker");
	}
	bed_ports(ports);
	require(!space_create(1, &bed.space), "space");
}

__attribute__((unused)) static void bed_settle(void)
{
	for (unsigned int i = 0; i < 64; i++) {
		worker_poll(&fp.workers[0]);
		acl_poll();
		if (!rcu_poll() && i > 4)
			break;
	}
}

__attribute__((unused)) static void bed_stop(void)
{
	unsigned int total = rte_mempool_avail_count(fp.pool) + rte_mempool_in_use_count(fp.pool);

	space_destroy(bed.space);
	bed_settle();
	ok(rcu_poll() == 0, "nothing waits for a grace period");
	ok(counter_used() == 0, "all counters came back (%u)", counter_used());
	ok(rte_mempool_avail_count(fp.pool) == total, "all mbufs came back (%u of %u)",
		rte_mempool_avail_count(fp.pool), total);
	for (unsigned int i = 0; i < bed_workers; i++)
		worker_fini(&fp.workers[i]);
	fp_fini();
	free(fp.stats);
	free(fp.control_stats);
	for (unsigned int i = 0; i < bed_workers; i++) {
		free(fp.workers[i].stats);
		free(fp.workers[i].counters);
	}
	rte_eal_cleanup();
}

// --- Specs --------------------------------------------------------------------------------------------------------

struct spec {
	struct steer_pipe_spec head;
	uint8_t body[32768];
	size_t used;
	uint16_t *nr_actions; // of the template under construction
	uint16_t *args;
};

__attribute__((unused)) static struct spec *spec_new(
	const char *name, uint16_t port, uint8_t type, uint32_t entries)
{
	struct spec *s = calloc(1, sizeof(*s));

	s->head.port = port;
	s->head.type = type;
	s->head.nr_entries = entries;
	snprintf(s->head.name, sizeof(s->head.name), "%s", name);
	s->head.fwd.type = STEER_FWD_CHANGEABLE;
	s->head.fwd_miss.type = STEER_FWD_NONE;
	return s;
}

__attribute__((unused)) static struct steer_match_field match_field(
	uint16_t field, uint8_t kind, uint64_t value, uint64_t mask)
{
	struct steer_match_field f = {.field = field, .kind = kind};
	unsigned int bytes = field_places[field].bytes;

	for (unsigned int i = 0; i < bytes && i < 8; i++) {
		f.value[bytes - 1 - i] = (uint8_t)(value >> (8 * i));
		f.mask[bytes - 1 - i] = (uint8_t)(mask >> (8 * i));
	}
	if (mask == UINT64_MAX)
		memset(f.mask, 0xff, bytes);
	return f;
}

__attribute__((unused)) static void spec_match(
	struct spec *s, uint16_t field, uint8_t kind, uint64_t value, uint64_t mask)
{
	struct steer_match_field f = match_field(field, kind, value, mask);
	unsigned int bytes = field_places[field].bytes;

	memcpy(s->body + s->used, &f, sizeof(f));
	s->used += sizeof(f);
	s->head.nr_match++;
	if (s->head.type == STEER_PIPE_HASH)
		return;
	if (kind == STEER_MATCH_CHANGEABLE)
		s->head.key_bytes += bytes;
	else if (kind != STEER_MATCH_CONSTANT)
		s->head.key_bytes += 2 * bytes;
}

__attribute__((unused)) static void spec_template(struct spec *s)
{
	struct steer_template *t = (struct steer_template *)(s->body + s->used);

	s->nr_actions = &t->nr_actions;
	s->args = &t->args_bytes;
	s->used += sizeof(*t);
	s->head.nr_templates++;
}

// A changeable action takes the next bytes of the entry's arguments.
__attribute__((unused)) static void spec_action(struct spec *s, struct steer_action a, unsigned int arg_bytes)
{
	if (a.flags & STEER_ACT_CHANGEABLE) {
		a.arg_offset = *s->args;
		*s->args = (uint16_t)(*s->args + arg_bytes);
	}
	memcpy(s->body + s->used, &a, sizeof(a));
	s->used += sizeof(a);
	++*s->nr_actions;
}

// After the last template.
__attribute__((unused)) static void spec_data(struct spec *s, const void *data, uint32_t bytes)
{
	memcpy(s->body + s->used, data, bytes);
	s->used += RTE_ALIGN_CEIL(bytes, 8u);
	s->head.data_bytes = bytes;
}

// Creates the pipe and frees the spec. Returns its id, or 0 and *err.
__attribute__((unused)) static uint32_t spec_create(struct spec *s, int *err)
{
	struct why why = {0};
	uint32_t id = 0;
	int result;

	s->head.bytes = (uint32_t)(sizeof(s->head) + s->used);
	result = pipe_create(bed.space, &s->head, s->head.bytes, &id, &why);
	if (result && !err)
		printf("# %s: %s\n", s->head.name, why.text);
	if (err)
		*err = result;
	free(s);
	return result ? 0 : id;
}

// --- Entries ------------------------------------------------------------------------------------------------------

struct work {
	struct steer_entry_add head;
	uint8_t body[8192];
	size_t used;
};

__attribute__((unused)) static void work_put(struct work *w, const void *data, size_t bytes)
{
	memcpy(w->body + w->used, data, bytes);
	w->used += RTE_ALIGN_CEIL(bytes, (size_t)8);
}

__attribute__((unused)) static struct work work_new(
	uint32_t pipe, const void *key, uint16_t key_bytes, const void *args, uint16_t args_bytes)
{
	struct work w = {0};

	w.head.pipe = pipe;
	w.head.entry = bed.next_entry++;
	w.head.key_bytes = key_bytes;
	w.head.args_bytes = args_bytes;
	if (key_bytes)
		work_put(&w, key, key_bytes);
	if (args_bytes)
		work_put(&w, args, args_bytes);
	return w;
}

__attribute__((unused)) static void work_counter(struct work *w)
{
	struct steer_monitor m = {.flags = STEER_MON_COUNTER};

	w->head.flags |= STEER_ENTRY_MONITOR;
	work_put(w, &m, sizeof(m));
}

__attribute__((unused)) static void work_fwd(struct work *w, struct steer_fwd fwd)
{
	w->head.flags |= STEER_ENTRY_FWD;
	work_put(w, &fwd, sizeof(fwd));
}

__attribute__((unused)) static int work_add(struct work *w, struct entry_result *result)
{
	struct entry_result mine;
	int err = entry_add(bed.space, &w->head, sizeof(w->head) + w->used, result ? result : &mine);

	return err;
}

static const struct steer_fwd fwd_drop = {.type = STEER_FWD_DROP};
__attribute__((unused)) static struct steer_fwd fwd_port(uint16_t port)
{
	return (struct steer_fwd){.type = STEER_FWD_PORT, .port = port};
}
__attribute__((unused)) static struct steer_fwd fwd_pipe(uint32_t pipe)
{
	return (struct steer_fwd){.type = STEER_FWD_PIPE, .pipe = pipe};
}

// --- Packets ------------------------------------------------------------------------------------------------------

struct rte_mbuf *frame_to_mbuf(struct rte_mempool *pool, const void *frame, uint32_t length);

__attribute__((unused)) static void bed_send(uint16_t port, const void *frame, uint32_t bytes)
{
	struct rte_mbuf *m = frame_to_mbuf(fp.pool, frame, bytes);

	if (rte_ring_enqueue(bed.rx[port], m))
		rte_pktmbuf_free(m);
}

// Next frame that left by a port; 0 when there is none.
__attribute__((unused)) static uint32_t bed_receive(uint16_t port, void *frame, uint32_t room)
{
	struct rte_mbuf *m = NULL;
	uint32_t bytes;
	const void *data;

	if (rte_ring_dequeue(bed.tx[port], (void **)&m))
		return 0;
	bytes = rte_pktmbuf_pkt_len(m) < room ? rte_pktmbuf_pkt_len(m) : room;
	data = rte_pktmbuf_read(m, 0, bytes, frame);
	if (data && data != frame)
		memcpy(frame, data, bytes);
	rte_pktmbuf_free(m);
	return bytes;
}

__attribute__((unused)) static struct rte_mbuf *bed_software(void)
{
	struct rte_mbuf *m = NULL;

	return rte_ring_dequeue(fp.workers[0].to_software, (void **)&m) ? NULL : m;
}

__attribute__((unused)) static uint64_t bed_drops(uint16_t port, enum steer_drop reason)
{
	return fp.workers[0].stats->port[port].drops[reason];
}

// received + injected + transmitted + copies = sent + dropped + software (counted here by the caller)
__attribute__((unused)) static void bed_conserves(uint64_t software)
{
	uint64_t in = 0, out = software;

	for (unsigned int w = 0; w < bed_workers; w++) {
		const struct stats_worker *s = fp.workers[w].stats;

		in += s->copies + s->generated;
		for (unsigned int i = 0; i < STEER_PORT_MAX; i++) {
			in += s->port[i].received.packets + s->port[i].injected.packets +
			      s->port[i].transmitted.packets;
			out += s->port[i].sent.packets + s->port[i].dropped.packets;
		}
	}
	ok(in == out, "conservation: %lu in, %lu out", (unsigned long)in, (unsigned long)out);
}

// --- Small pipelines ------------------------------------------------------------------------------------------------

// A pipe without match and its one entry.
__attribute__((unused)) static uint32_t pass(
	const char *name, uint16_t port, uint8_t domain, struct steer_fwd fwd, bool root)
{
	struct spec *s = spec_new(name, port, STEER_PIPE_BASIC, 1);
	uint32_t pipe;
	struct work w;

	s->head.flags = root ? STEER_PIPE_ROOT : 0;
	s->head.domain = domain;
	s->head.fwd = fwd;
	pipe = spec_create(s, NULL);
	if (!pipe)
		return 0;
	w = work_new(pipe, NULL, 0, NULL, 0);
	work_counter(&w);
	ok(!work_add(&w, NULL), "%s: entry", name);
	return pipe;
}

__attribute__((unused)) static unsigned int count_out(uint16_t port)
{
	unsigned int n = 0;

	for (uint8_t out[2048]; bed_receive(port, out, sizeof(out));)
		n++;
	return n;
}

__attribute__((unused)) static void send_udp(uint16_t port, uint32_t dst, unsigned int sport)
{
	uint8_t frame[256];

	bed_send(port, frame, frame_udp(frame, 0x01020304, dst, sport, 53, 20));
}

__attribute__((unused)) static void poll_all(void)
{
	while (worker_poll(&fp.workers[0]))
		;
}

__attribute__((unused)) static void destroy(uint32_t pipe)
{
	ok(!pipe_destroy(bed.space, pipe, NULL), "pipe %u destroyed", pipe);
}
