// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// bench-gen: how fast a pair of generator ports is when nobody looks at their packets. One thread takes bursts of openings and
// answers by turns and sends each on the other port, as testpmd's io does: the ceiling for whatever is measured with
// generator ports at that number of connections.
//
// Prints JSON. Links the fast path's objects; nothing here runs in a fast path.

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_bus_vdev.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>

#include "fastpath.h"
#include "gen.h"

enum { BUFFERS = 32768, CHECK = 1024 };

static struct rte_mempool *pool;

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "bench-gen: %s: %s\n", what, why);
	exit(1);
}

static void start_eal(const char *core, bool huge)
{
	static char name[] = "bench-gen", lcores[] = "--lcores", cores[64], pci[] = "--no-pci",
		    telemetry[] = "--no-telemetry", megabytes[] = "-m", memory[] = "256",
		    huge_pages[] = "--in-memory", no_pages[] = "--no-huge", no_files[] = "--no-shconf";
	char *with[] = {name, lcores, cores, pci, telemetry, megabytes, memory, huge_pages, NULL};
	char *without[] = {name, lcores, cores, pci, telemetry, megabytes, memory, no_pages, no_files, NULL};

	snprintf(cores, sizeof(cores), "0@%.32s", core);
	rte_log_set_global_level(RTE_LOG_ERR);
	if (rte_eal_init(huge ? (int)RTE_DIM(with) - 1 : (int)RTE_DIM(without) - 1, huge ? with : without) <
		0)
		fail("DPDK does not start", rte_strerror(rte_errno));
	pool = rte_pktmbuf_pool_create(
		"pool", BUFFERS - 1, 256, FP_NOTE_BYTES, 2048 + FP_HEADROOM, SOCKET_ID_ANY);
	if (!pool)
		fail("no packet buffers", rte_strerror(rte_errno));
}

static uint16_t fill(
	uint16_t dev, uint16_t queue, struct rte_mbuf **packets, uint16_t nr, uint16_t max, void *gen)
{
	(void)dev;
	return (uint16_t)(nr + gen_fill(gen, queue, pool, rte_rdtsc(), packets + nr, (uint16_t)(max - nr)));
}

static uint16_t make_port(unsigned int index, const char *arguments, struct gen *forward, struct gen **gen)
{
	const struct rte_eth_conf conf = {0};
	char name[32], why[CONFIG_WHY_MAX];
	struct gen_spec spec;
	uint16_t dev = 0;

	if (gen_parse(arguments, &spec, why) || gen_create(&spec, forward, 1, rte_get_tsc_hz(), gen, why))
		fail("a generator", why);
	snprintf(name, sizeof(name), "net_null_gen_%u", index);
	if (rte_vdev_init(name, "no-rx=1") || rte_eth_dev_get_port_by_name(name, &dev) ||
		rte_eth_dev_configure(dev, 1, 1, &conf) ||
		rte_eth_rx_queue_setup(dev, 0, 512, SOCKET_ID_ANY, NULL, pool) ||
		rte_eth_tx_queue_setup(dev, 0, 512, SOCKET_ID_ANY, NULL) || rte_eth_dev_start(dev) ||
		!rte_eth_add_rx_callback(dev, 0, fill, *gen))
		fail("a port", rte_strerror(rte_errno));
	return dev;
}

// Of this thread: what others do on a shared core does not count.
static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// Packets sent in so many nanoseconds.
static uint64_t forward(const uint16_t dev[2], uint64_t ns, uint64_t *ran)
{
	struct rte_mbuf *burst[FP_BURST];
	uint64_t sent = 0, begin = cpu_ns();

	do {
		for (unsigned int turn = 0; turn < CHECK; turn++) {
			unsigned int in = turn & 1;
			uint16_t n = rte_eth_rx_burst(dev[in], 0, burst, FP_BURST);

			if (n)
				sent += rte_eth_tx_burst(dev[!in], 0, burst, n);
		}
		*ran = cpu_ns() - begin;
	} while (*ran < ns);
	return sent;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"core", required_argument, NULL, 'c'},
		{"memory", required_argument, NULL, 'm'}, {"args", required_argument, NULL, 'a'},
		{"milliseconds", required_argument, NULL, 't'}, {0}};
	const char *core = "0", *memory = "no-huge", *arguments = "";
	uint64_t milliseconds = 1000, ran, sent;
	struct gen *gens[2];
	uint16_t dev[2];
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'c')
			core = optarg;
		else if (option == 'm')
			memory = optarg;
		else if (option == 'a')
			arguments = optarg;
		else if (option == 't')
			milliseconds = strtoull(optarg, NULL, 10);
		else
			return 2;
	}
	start_eal(core, strcmp(memory, "no-huge") != 0);
	dev[0] = make_port(0, arguments, NULL, &gens[0]);
	dev[1] = make_port(1, "", gens[0], &gens[1]);
	forward(dev, 200000000, &ran); // answers begin when all were opened once
	sent = forward(dev, milliseconds * 1000000, &ran);
	printf("{\"sent\": %llu, \"ran_ns\": %llu}\n", (unsigned long long)sent, (unsigned long long)ran);
	return 0;
}
