// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_mempool.h>

#include "clock.h"
#include "fastpath.h"
#include "stats.h"

enum { BLOCK_ALIGN = 4096, REFRESH_NS = 100 * 1000 * 1000 };

static int segment_fd = -1;
static size_t segment_bytes;
static uint64_t refreshed_ns;

static uint64_t align_block(uint64_t bytes)
{
	return (bytes + BLOCK_ALIGN - 1) & ~(uint64_t)(BLOCK_ALIGN - 1);
}

// Fills in the header's offsets and gives the size of the whole.
static uint64_t lay_out(struct stats_header *header)
{
	uint64_t at = align_block(sizeof(*header));

	for (unsigned int i = 0; i <= header->nr_workers; i++) {
		header->worker_offset[i] = at;
		at += align_block(sizeof(struct stats_worker));
	}
	for (unsigned int i = 0; i < header->nr_workers; i++) {
		header->counter_offset[i] = at;
		at += align_block((uint64_t)header->nr_counters * sizeof(struct stats_counter));
	}
	return at;
}

static void point_into(uint8_t *base)
{
	fp.stats = (struct stats_header *)base;
	for (unsigned int i = 0; i < fp.stats->nr_workers; i++) {
		fp.workers[i].stats = (void *)(base + fp.stats->worker_offset[i]);
		fp.workers[i].counters = (void *)(base + fp.stats->counter_offset[i]);
	}
	fp.control_stats = (void *)(base + fp.stats->worker_offset[fp.stats->nr_workers]);
}

int stats_open(unsigned int nr_workers, uint32_t nr_counters, uint32_t boot_id, char why[CONFIG_WHY_MAX])
{
	struct stats_header header = {
		.magic = STEERING_MAGIC,
		.abi = STEERING_ABI,
		.boot_id = boot_id,
		.nr_workers = nr_workers,
		.nr_counters = nr_counters,
		.nr_drops = STEER_DROP_MAX,
		.tsc_hz = rte_get_tsc_hz(),
	};
	void *mapping = MAP_FAILED;

	header.started_ns = clock_wall_ns();
	header.bytes = segment_bytes = lay_out(&header);
	segment_fd = memfd_create("ringfield-stats", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (segment_fd >= 0 && !ftruncate(segment_fd, (off_t)segment_bytes))
		mapping = mmap(NULL, segment_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, segment_fd, 0);
	// From here on nobody can map it for writing or change its size, whoever holds the descriptor.
	if (mapping == MAP_FAILED ||
		fcntl(segment_fd, F_ADD_SEALS,
			F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)) {
		int status = -errno;

		snprintf(why, CONFIG_WHY_MAX, "cannot make the stats segment of %zu MiB: %s",
			segment_bytes >> 20, strerror(-status));
		return status;
	}
	memcpy(mapping, &header, sizeof(header));
	point_into(mapping);
	return 0;
}

void stats_close(void)
{
	if (fp.stats)
		munmap(fp.stats, segment_bytes);
	fp.stats = NULL;
	if (segment_fd >= 0)
		close(segment_fd);
	segment_fd = -1;
}

int stats_fd(void)
{
	return segment_fd;
}

void stats_turn(uint64_t now_ns)
{
	fp_write(&fp.stats->control_heartbeat_ns, now_ns);
	fp_write(&fp.control_stats->heartbeat, fp.control_stats->heartbeat + 1);
	if (now_ns - refreshed_ns >= REFRESH_NS)
		stats_refresh(now_ns);
}

void stats_refresh(uint64_t now_ns)
{
	refreshed_ns = now_ns;
	if (!fp.pool)
		return;
	fp_write(&fp.stats->mbufs_total, fp.pool->size);
	fp_write(&fp.stats->mbufs_free, rte_mempool_avail_count(fp.pool));
}
