// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// bench-rings: latency that the fast path's worker adds between two ring ports. The worker is the real one, with real pipes,
// on a core of its own; the process's main thread is both generator and sink, so that one clock stamps both ends. It finds
// the rate that the worker sustains, then sends at half of it (or another part), in steps of one packet, and takes the time from enqueue to
// dequeue of every packet. The same with a worker that only moves packets from ring to ring gives the harness's own part.
//
// Prints JSON. Links the fast path's objects; nothing here runs in a fast path.

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include "fastpath.h"
#include "pipe.h"
#include "rcu.h"
#include "walk.h"

enum {
	RING = 4096,
	WINDOW = 512, // packets in flight when looking for the highest rate
	BURST = 32,
	FRAME = 60,
	STAMP_AT = 42, // in the UDP payload
	FLOWS = 4096,
	BUCKETS = 1 << 16,
	BUCKET_SHIFT = 4, // cycles per bucket, as a power of two
	SESSION = 1,
	SLICE_MS = 10,
};

struct histogram {
	uint64_t nr, max;
	uint64_t bucket[BUCKETS];
};

struct bench {
	unsigned int pipes, milliseconds;
	unsigned int load; // percent of the highest rate
	bool walk;
	const char *cores, *memory;
	struct rte_ring *in, *out; // to and from the worker's ports
	uint8_t frames[FLOWS][FRAME];
	uint64_t sent, received, next_flow, add_cycles;
	struct histogram latency; // of the present slice
	struct histogram total;   // of the slices kept
	unsigned int slices, kept;
	uint64_t lost;
	volatile pid_t worker_tid;
};
static struct bench bench = {
	.pipes = 1, .milliseconds = 1000, .load = 50, .cores = "0@0,1@1", .memory = "no-huge"};
static volatile bool io_quit;

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("bench-rings: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

// -- the worker's surroundings ------------------------------------------------------------------------------------------

static void *zeroed(size_t bytes)
{
	void *memory = NULL;

	if (posix_memalign(&memory, 64, bytes))
		fail("no memory");
	memset(memory, 0, bytes);
	return memory;
}

static void start_eal(void)
{
	static char name[] = "bench-rings", lcores[] = "--lcores", cores[64], pci[] = "--no-pci",
		    telemetry[] = "--no-telemetry", megabytes[] = "-m", memory[] = "512",
		    huge_pages[] = "--in-memory", no_pages[] = "--no-huge", no_files[] = "--no-shconf";
	char *huge[] = {name, lcores, cores, pci, telemetry, megabytes, memory, huge_pages, NULL};
	char *plain[] = {name, lcores, cores, pci, telemetry, megabytes, memory, no_pages, no_files, NULL};
	bool no_huge = !strcmp(bench.memory, "no-huge");

	snprintf(cores, sizeof(cores), "%s", bench.cores);
	rte_log_set_global_level(RTE_LOG_ERR);
	if (rte_eal_init(no_huge ? (int)RTE_DIM(plain) - 1 : (int)RTE_DIM(huge) - 1, no_huge ? plain : huge) <
		0)
		fail("DPDK does not start: %s", rte_strerror(rte_errno));
}

static uint16_t make_port(uint16_t index, struct rte_ring *rx, struct rte_ring *tx)
{
	struct fp_port *port = &fp.ports[index];
	struct rte_eth_conf conf;
	char name[16];
	int dev;

	memset(&conf, 0, sizeof(conf));
	snprintf(name, sizeof(name), "bench%u", index);
	dev = rte_eth_from_rings(name, &rx, 1, &tx, 1, 0);
	if (dev < 0 || rte_eth_dev_configure((uint16_t)dev, 1, 1, &conf) ||
		rte_eth_rx_queue_setup((uint16_t)dev, 0, RING, 0, NULL, fp.pool) ||
		rte_eth_tx_queue_setup((uint16_t)dev, 0, RING, 0, NULL) || rte_eth_dev_start((uint16_t)dev))
		fail("no ring port: %s", rte_strerror(rte_errno));
	port->dev = (uint16_t)dev;
	port->mtu = 1500;
	port->root_port = index;
	port->nr_tx = 1;
	port->miss_counter = STEER_COUNTER_NONE;
	port->present = port->started = port->up = 1;
	return (uint16_t)dev;
}

static struct rte_ring *make_ring(const char *name)
{
	struct rte_ring *ring = rte_ring_create(name, RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);

	if (!ring)
		fail("no ring");
	return ring;
}

static void start_fastpath(void)
{
	enum { COUNTERS = FP_DEPTH_MAX * FLOWS };
	struct fp_worker *worker = &fp.workers[0];
	struct fp_rx rx = {.port = 0, .queue = 0, .fd = -1};

	fp.tsc_hz = rte_get_tsc_hz();
	fp.stats = zeroed(sizeof(*fp.stats));
	fp.control_stats = zeroed(sizeof(*fp.control_stats));
	fp.nr_workers = 1;
	fp.control_doorbell = eventfd(0, EFD_NONBLOCK);
	*worker = (struct fp_worker){.lcore = (uint16_t)rte_get_next_lcore(-1u, 1, 0), .idle = FP_IDLE_SPIN};
	worker->stats = zeroed(sizeof(*worker->stats));
	worker->counters = zeroed(COUNTERS * sizeof(*worker->counters));
	fp.pool = rte_pktmbuf_pool_create(
		"packets", 16384, 256, FP_NOTE_BYTES, FP_HEADROOM + 2048, SOCKET_ID_ANY);
	if (!fp.pool || fp_init(1, COUNTERS) || worker_init(worker))
		fail("the worker's memory cannot be had");
	bench.in = make_ring("in");
	bench.out = make_ring("out");
	rx.dev = make_port(0, bench.in, make_ring("unused out"));
	make_port(1, make_ring("unused in"), bench.out);
	if (worker_set_rx(worker, &rx, 1))
		fail("no rx list");
}

// -- pipes --------------------------------------------------------------------------------------------------------------

static const uint16_t tuple[] = {STEER_F_OUTER_IP4_PROTO, STEER_F_OUTER_IP4_SRC, STEER_F_OUTER_IP4_DST,
	STEER_F_OUTER_L4_SRC_PORT, STEER_F_OUTER_L4_DST_PORT};
static const uint8_t tuple_at[] = {23, 26, 30, 34, 36}; // in our frames
static const uint8_t tuple_bytes[] = {1, 4, 4, 2, 2};
enum { TUPLE = RTE_DIM(tuple), KEY = 13, KEY_PADDED = 16 };

static uint32_t make_pipe(struct space *space, bool root, const struct steer_fwd *fwd)
{
	struct {
		struct steer_pipe_spec spec;
		struct steer_match_field match[TUPLE];
	} full;
	struct why why = {.text = ""};
	uint32_t id;

	memset(&full, 0, sizeof(full));
	full.spec.bytes = sizeof(full);
	full.spec.type = STEER_PIPE_BASIC;
	full.spec.flags = root ? STEER_PIPE_ROOT : 0;
	full.spec.nr_entries = FLOWS;
	full.spec.nr_match = TUPLE;
	full.spec.key_bytes = KEY;
	full.spec.fwd = *fwd;
	full.spec.fwd_miss.type = STEER_FWD_DROP;
	full.spec.monitor.flags = STEER_MON_COUNTER;
	for (unsigned int i = 0; i < TUPLE; i++) {
		full.match[i].field = tuple[i];
		full.match[i].kind = STEER_MATCH_CHANGEABLE;
		memset(full.match[i].mask, 0xff, tuple_bytes[i]);
	}
	if (pipe_create(space, &full.spec, sizeof(full), &id, &why))
		fail("pipe_create: %s", why.text);
	return id;
}

static void add_entries(struct space *space, uint32_t pipe, uint32_t first_id)
{
	struct {
		struct steer_entry_add add;
		uint8_t key[KEY_PADDED];
		struct steer_monitor monitor;
	} full;
	struct entry_result result;

	for (uint32_t i = 0; i < FLOWS; i++) {
		uint8_t *key = full.key;
		uint64_t start;

		memset(&full, 0, sizeof(full));
		full.add.rec = (struct steer_record){.length = sizeof(full), .kind = STEER_REC_ENTRY_ADD};
		full.add.pipe = pipe;
		full.add.entry = first_id + i;
		full.add.key_bytes = KEY;
		full.add.flags = STEER_ENTRY_MONITOR;
		full.monitor.flags = STEER_MON_COUNTER;
		for (unsigned int f = 0; f < TUPLE; f++) {
			memcpy(key, bench.frames[i] + tuple_at[f], tuple_bytes[f]);
			key += tuple_bytes[f];
		}
		start = rte_rdtsc();
		if (entry_add(space, &full.add, sizeof(full), &result))
			fail("entry_add: %s", result.why.text);
		bench.add_cycles += rte_rdtsc() - start;
	}
}

static void make_frames(void)
{
	static const uint8_t start[] = {
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17};

	for (uint32_t i = 0; i < FLOWS; i++) {
		uint8_t *frame = bench.frames[i];
		uint32_t src = htonl(0x0a000000 | (i + 1)), dst = htonl(0x0a800001), sum = 0;
		uint16_t sport = htons((uint16_t)(1024 + i)), dport = htons(443), length = htons(26), folded;

		memcpy(frame, start, sizeof(start));
		memcpy(frame + 26, &src, 4);
		memcpy(frame + 30, &dst, 4);
		memcpy(frame + 34, &sport, 2);
		memcpy(frame + 36, &dport, 2);
		memcpy(frame + 38, &length, 2);
		for (unsigned int at = 14; at < 34; at += 2)
			sum += (uint32_t)(frame[at] << 8 | frame[at + 1]);
		folded = htons((uint16_t) ~((sum & 0xffff) + (sum >> 16)));
		memcpy(frame + 24, &folded, 2);
	}
}

static struct space *make_chain(void)
{
	struct steer_fwd fwd = {.type = STEER_FWD_PORT, .port = 1};
	struct space *space;

	if (space_create(SESSION, &space))
		fail("no space");
	for (unsigned int i = bench.pipes; i--;) {
		uint32_t pipe = make_pipe(space, i == 0, &fwd);

		add_entries(space, pipe, i * FLOWS);
		fwd = (struct steer_fwd){.type = STEER_FWD_PIPE, .pipe = pipe};
	}
	return space;
}

// -- generator and sink -------------------------------------------------------------------------------------------------

static unsigned int send_packets(unsigned int nr)
{
	struct rte_mbuf *packets[BURST];
	unsigned int done;
	uint64_t now;

	if (rte_pktmbuf_alloc_bulk(fp.pool, packets, nr))
		return 0;
	for (unsigned int i = 0; i < nr; i++) {
		rte_pktmbuf_append(packets[i], FRAME);
		memcpy(rte_pktmbuf_mtod(packets[i], void *), bench.frames[bench.next_flow++ % FLOWS], FRAME);
	}
	now = rte_rdtsc();
	for (unsigned int i = 0; i < nr; i++)
		memcpy(rte_pktmbuf_mtod_offset(packets[i], void *, STAMP_AT), &now, sizeof(now));
	done = rte_ring_enqueue_burst(bench.in, (void **)packets, nr, NULL);
	if (done < nr)
		rte_pktmbuf_free_bulk(packets + done, nr - done);
	bench.sent += done;
	return done;
}

static void receive_packets(void)
{
	struct rte_mbuf *packets[BURST];
	unsigned int nr = rte_ring_dequeue_burst(bench.out, (void **)packets, BURST, NULL);
	uint64_t now = rte_rdtsc();

	for (unsigned int i = 0; i < nr; i++) {
		uint64_t stamp, took;

		memcpy(&stamp, rte_pktmbuf_mtod_offset(packets[i], void *, STAMP_AT), sizeof(stamp));
		took = now - stamp;
		bench.latency.nr++;
		bench.latency.max = RTE_MAX(bench.latency.max, took);
		bench.latency.bucket[RTE_MIN(took >> BUCKET_SHIFT, (uint64_t)BUCKETS - 1)]++;
	}
	rte_pktmbuf_free_bulk(packets, nr);
	bench.received += nr;
}

static void start_measurement(void)
{
	uint64_t end = rte_rdtsc() + fp.tsc_hz / 5000;

	// What is still on its way does not belong to it.
	while (rte_rdtsc() < end)
		receive_packets();
	bench.sent = bench.received = 0;
	memset(&bench.latency, 0, sizeof(bench.latency));
}

// Packets per second with always WINDOW packets on their way.
static double highest_rate(uint64_t cycles)
{
	uint64_t start, now;

	start_measurement();
	start = now = rte_rdtsc();
	while (now - start < cycles) {
		if (bench.sent - bench.received + BURST <= WINDOW)
			send_packets(BURST);
		receive_packets();
		now = rte_rdtsc();
	}
	return (double)bench.received * (double)fp.tsc_hz / (double)(now - start);
}

// Switches and waiting of both threads so far: when it grows, one of them lost its core.
static uint64_t disturbances(void)
{
	char path[64], text[128];
	uint64_t sum = 0;

	for (unsigned int i = 0; i < 2; i++) {
		unsigned long long ran, waited;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat",
			(int)(i ? bench.worker_tid : gettid()));
		file = fopen(path, "re");
		if (file && fgets(text, sizeof(text), file) && sscanf(text, "%llu %llu", &ran, &waited) == 2)
			sum += waited;
		if (file)
			fclose(file);
	}
	return sum;
}

// A slice of the paced measurement ends: its packets are counted if nobody took a core meanwhile.
static void end_slice(uint64_t *before)
{
	uint64_t now = disturbances();

	bench.slices++;
	if (now == *before) {
		bench.kept++;
		bench.total.nr += bench.latency.nr;
		bench.total.max = RTE_MAX(bench.total.max, bench.latency.max);
		for (unsigned int i = 0; i < BUCKETS; i++)
			bench.total.bucket[i] += bench.latency.bucket[i];
	}
	memset(&bench.latency, 0, sizeof(bench.latency));
	*before = disturbances();
}

// One packet at a time. What the generator missed, because it did not have its core, is left out.
static void paced(uint64_t cycles, double rate)
{
	double gap = (double)fp.tsc_hz / rate, due;
	uint64_t slice = fp.tsc_hz / 1000 * SLICE_MS, start = rte_rdtsc(), before;

	memset(&bench.total, 0, sizeof(bench.total));
	bench.slices = bench.kept = bench.lost = 0;
	while (rte_rdtsc() - start < cycles) {
		uint64_t begin, now;

		start_measurement();
		before = disturbances();
		begin = now = rte_rdtsc();
		due = (double)begin;
		while (now - begin < slice) {
			if ((double)now >= due) {
				send_packets(1);
				due += gap;
				if ((double)now - due > 64 * gap)
					due = (double)now;
			}
			receive_packets();
			now = rte_rdtsc();
		}
		while (bench.received < bench.sent && rte_rdtsc() - now < fp.tsc_hz / 10)
			receive_packets();
		bench.lost += bench.sent - bench.received;
		end_slice(&before);
	}
}

static double quantile_us(double fraction)
{
	uint64_t left = (uint64_t)((double)bench.total.nr * fraction);

	for (unsigned int i = 0; i < BUCKETS; i++) {
		if (bench.total.bucket[i] > left)
			return ((double)(i << BUCKET_SHIFT) + (1 << BUCKET_SHIFT) / 2) * 1e6 /
			       (double)fp.tsc_hz;
		left -= bench.total.bucket[i];
	}
	return (double)bench.total.max * 1e6 / (double)fp.tsc_hz;
}

// A worker that looks at nothing.
static int io_main(void *argument)
{
	struct rte_mbuf *packets[BURST];

	bench.worker_tid = gettid();

	while (!io_quit) {
		uint16_t nr = rte_eth_rx_burst(fp.ports[0].dev, 0, packets, BURST), sent;

		sent = nr ? rte_eth_tx_burst(fp.ports[1].dev, 0, packets, nr) : 0;
		rte_pktmbuf_free_bulk(packets + sent, (unsigned int)(nr - sent));
	}
	return 0;
}

static int walk_main(void *argument)
{
	bench.worker_tid = gettid();
	return worker_main(argument);
}

static void print_latency(const char *name, double rate)
{
	printf("\"%s\": {\"rate\": %.0f, \"packets\": %llu, \"lost\": %llu, \"slices\": %u, \"kept\": %u, "
	       "\"p50_us\": %.3f, \"p90_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": %.3f}",
		name, rate, (unsigned long long)bench.total.nr, (unsigned long long)bench.lost, bench.slices,
		bench.kept, quantile_us(0.5), quantile_us(0.9), quantile_us(0.99), quantile_us(0.999),
		(double)bench.total.max * 1e6 / (double)fp.tsc_hz);
}

static void measure(void)
{
	struct fp_worker *worker = &fp.workers[0];
	uint64_t cycles = fp.tsc_hz / 1000 * bench.milliseconds, busy, packets;
	double rate;

	rte_eal_remote_launch(walk_main, worker, worker->lcore);
	highest_rate(cycles / 4);
	busy = fp_read(&worker->stats->cycles_busy);
	packets = fp_read(&worker->stats->port[0].received.packets);
	rate = highest_rate(cycles / 2);
	busy = fp_read(&worker->stats->cycles_busy) - busy;
	packets = fp_read(&worker->stats->port[0].received.packets) - packets;
	paced(cycles, rate * bench.load / 100);
	printf("{\"pipes\": %u, \"highest_rate\": %.0f, \"cycles_per_packet\": %.1f, \"tsc_hz\": %llu, ",
		bench.pipes, rate, packets ? (double)busy / (double)packets : 0,
		(unsigned long long)fp.tsc_hz);
	print_latency("walk", rate * bench.load / 100);
	fp_publish(&worker->quit, 1);
	rte_eal_wait_lcore(worker->lcore);
	rte_eal_remote_launch(io_main, NULL, worker->lcore);
	paced(cycles, rate * bench.load / 100);
	io_quit = true;
	rte_eal_wait_lcore(worker->lcore);
	printf(", ");
	print_latency("io", rate * bench.load / 100);
	printf("}\n");
}

// -- the walk alone: no ring, no other thread, packets that are in the cache or not as they come -------------------------

static void measure_walk(void)
{
	struct walker *w = fp.workers[0].walker;
	struct rte_mbuf *mbufs[FLOWS];
	struct packet *packets[BURST];
	uint64_t cycles = fp.tsc_hz / 1000 * bench.milliseconds, best = UINT64_MAX, walked = 0, start, end;

	if (rte_pktmbuf_alloc_bulk(fp.pool, mbufs, FLOWS))
		fail("no packets");
	for (unsigned int i = 0; i < FLOWS; i++)
		memcpy(rte_pktmbuf_append(mbufs[i], FRAME), bench.frames[i * 1103u % FLOWS], FRAME);
	end = rte_rdtsc() + cycles;
	do {
		// The best of many short rounds is one that nobody interrupted.
		start = rte_rdtsc();
		for (unsigned int at = 0; at < FLOWS; at += BURST) {
			walk_begin(w, start);
			for (unsigned int i = 0; i < BURST; i++)
				rte_prefetch0(rte_pktmbuf_mtod(mbufs[at + i], void *));
			walk_enter_burst(w, packets, mbufs + at, BURST, 0);
			walk_run(w, packets, BURST);
			for (unsigned int i = 0; i < BURST; i++) {
				walked += packets[i]->verdict == PACKET_SEND;
				walker_put(w, packets[i]);
			}
		}
		best = RTE_MIN(best, rte_rdtsc() - start);
	} while (rte_rdtsc() < end);
	printf("{\"pipes\": %u, \"walked\": %llu, \"cycles_per_packet\": %.1f, "
	       "\"cycles_per_add\": %.1f}\n",
		bench.pipes, (unsigned long long)walked, (double)best / FLOWS,
		(double)bench.add_cycles / (FLOWS * bench.pipes));
	rte_pktmbuf_free_bulk(mbufs, FLOWS);
}

static void parse(int argc, char **argv)
{
	static const struct option names[] = {{"pipes", required_argument, NULL, 'p'},
		{"milliseconds", required_argument, NULL, 't'}, {"load", required_argument, NULL, 'l'},
		{"cores", required_argument, NULL, 'c'}, {"walk", no_argument, NULL, 'w'},
		{"memory", required_argument, NULL, 'm'}, {"cache", required_argument, NULL, 'k'}, {0}};
	int which;

	while ((which = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		if (which == 'p')
			bench.pipes = (unsigned int)atoi(optarg);
		else if (which == 't')
			bench.milliseconds = (unsigned int)atoi(optarg);
		else if (which == 'l')
			bench.load = (unsigned int)atoi(optarg);
		else if (which == 'w')
			bench.walk = true;
		else if (which == 'c')
			bench.cores = optarg;
		else if (which == 'm')
			bench.memory = optarg;
		else if (which == 'k')
			fp.cache = (uint32_t)atoi(optarg);
		else
			fail("usage: bench-rings [--walk] [--pipes N] [--milliseconds N] [--load PERCENT] "
			     "[--cores 0@0,1@1] "
			     "[--memory huge|no-huge] [--cache WALKS]");
	}
	if (bench.pipes < 1 || bench.pipes > FP_DEPTH_MAX || bench.milliseconds < 10 || bench.load < 1 ||
		bench.load > 100)
		fail("1 to %d pipes, 10 milliseconds or more, a load of 1 to 100 percent", FP_DEPTH_MAX);
}

int main(int argc, char **argv)
{
	struct space *space;

	fp.cache = 8192; // as a fast path has that is not told otherwise
	parse(argc, argv);
	start_eal();
	make_frames();
	start_fastpath();
	space = make_chain();
	if (bench.walk)
		measure_walk();
	else
		measure();
	space_destroy(space);
	worker_fini(&fp.workers[0]);
	fp_fini();
	rte_eal_cleanup();
	return 0;
}
