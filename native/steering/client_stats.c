// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Reading the stats segment: mapped once, then plain loads. The sums are exact as soon as the workers have stored.

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client_private.h"

static bool block_fits(const struct stats_header *stats, uint64_t offset, uint64_t bytes)
{
	return offset >= sizeof(*stats) && !(offset & 7) && offset <= stats->bytes &&
	       bytes <= stats->bytes - offset;
}

static bool well_formed(const struct stats_header *stats, uint64_t bytes)
{
	if (stats->magic != STEERING_MAGIC || stats->abi != STEERING_ABI || stats->bytes > bytes ||
		stats->nr_workers > STEER_WORKER_MAX)
		return false;
	for (unsigned int i = 0; i <= stats->nr_workers; i++)
		if (!block_fits(stats, stats->worker_offset[i], sizeof(struct stats_worker)))
			return false;
	for (unsigned int i = 0; i < stats->nr_workers; i++)
		if (!block_fits(stats, stats->counter_offset[i],
			    (uint64_t)stats->nr_counters * sizeof(struct stats_counter)))
			return false;
	return true;
}

static int map_stats(struct steering_client *client)
{
	unsigned int got = 0;
	struct stat stat;
	void *mapping;
	int fd = -1, status;

	pthread_mutex_lock(&client->call_lock);
	status = client_exchange(client, STEER_OP_STATS, NULL, 0, NULL, 0, NULL, &fd, 1, &got);
	pthread_mutex_unlock(&client->call_lock);
	if (status)
		return status;
	if (got != 1)
		return client_fail(-EPROTO, "the fast path at %s gave no stats segment", client->path);
	if (fstat(fd, &stat) || (size_t)stat.st_size < sizeof(struct stats_header)) {
		close(fd);
		return client_fail(
			-EPROTO, "the fast path at %s gave a stats segment that is too small", client->path);
	}
	mapping = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (mapping == MAP_FAILED)
		return client_fail(-errno, "cannot map the stats segment: %m");
	if (!well_formed(mapping, (uint64_t)stat.st_size)) {
		munmap(mapping, (size_t)stat.st_size);
		return client_fail(
			-EPROTO, "the fast path at %s gave a malformed stats segment", client->path);
	}
	client->stats_bytes = (size_t)stat.st_size;
	__atomic_store_n(&client->stats, mapping, __ATOMIC_RELEASE);
	return 0;
}

const struct stats_header *steering_stats(struct steering_client *client)
{
	const struct stats_header *stats = __atomic_load_n(&client->stats, __ATOMIC_ACQUIRE);

	if (stats)
		return stats;
	pthread_mutex_lock(&client->stats_lock);
	int status = client->stats ? 0 : map_stats(client);

	pthread_mutex_unlock(&client->stats_lock);
	if (status) {
		errno = -status;
		return NULL;
	}
	return client->stats;
}

void client_stats_close(struct steering_client *client)
{
	if (client->stats)
		munmap((void *)(uintptr_t)client->stats, client->stats_bytes);
	client->stats = NULL;
}

static const struct stats_worker *worker_block(const struct stats_header *stats, unsigned int worker)
{
	return (const void *)((const uint8_t *)stats + stats->worker_offset[worker]);
}

// Adds count 64-bit words, each loaded once.
static void add_words(void *sum, const void *block, size_t bytes)
{
	uint64_t *to = sum;
	const uint64_t *from = block;

	for (size_t i = 0; i < bytes / sizeof(*to); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static const struct stats_header *stats_of(struct steering_client *client)
{
	const struct stats_header *stats = __atomic_load_n(&client->stats, __ATOMIC_ACQUIRE);

	if (!stats)
		client_fail(-ENODATA, "the stats segment is not mapped");
	return stats;
}

int steering_stats_counter(struct steering_client *client, uint32_t slot, struct stats_counter *sum)
{
	const struct stats_header *stats = stats_of(client);

	*sum = (struct stats_counter){0};
	if (!stats)
		return -ENODATA;
	if (slot >= stats->nr_counters)
		return client_fail(-EINVAL, "counter slot %u is not one of %u", slot, stats->nr_counters);
	for (unsigned int i = 0; i < stats->nr_workers; i++) {
		const uint8_t *counters = (const uint8_t *)stats + stats->counter_offset[i];

		add_words(sum, counters + (size_t)slot * sizeof(*sum), sizeof(*sum));
	}
	return 0;
}

int steering_stats_port(struct steering_client *client, uint16_t port, struct stats_port *sum)
{
	const struct stats_header *stats = stats_of(client);

	*sum = (struct stats_port){0};
	if (!stats)
		return -ENODATA;
	if (port >= STEER_PORT_MAX)
		return client_fail(-EINVAL, "port %u is not below %u", port, (unsigned int)STEER_PORT_MAX);
	for (unsigned int i = 0; i <= stats->nr_workers; i++)
		add_words(sum, &worker_block(stats, i)->port[port], sizeof(*sum));
	return 0;
}

int steering_stats_stages(struct steering_client *client, struct stats_stages *sum)
{
	const struct stats_header *stats = stats_of(client);

	*sum = (struct stats_stages){0};
	if (!stats)
		return -ENODATA;
	for (unsigned int i = 0; i < stats->nr_workers; i++)
		add_words(sum, &worker_block(stats, i)->stages, sizeof(*sum));
	return 0;
}

int steering_stats_cache(struct steering_client *client, unsigned int worker, struct stats_cache *out)
{
	const struct stats_header *stats = stats_of(client);

	*out = (struct stats_cache){0};
	if (!stats)
		return -ENODATA;
	if (worker >= stats->nr_workers)
		return client_fail(-EINVAL, "worker %u is not one of %u", worker, stats->nr_workers);
	add_words(out, &worker_block(stats, worker)->cache, sizeof(*out));
	return 0;
}

int steering_stats_total(struct steering_client *client, struct stats_worker *sum)
{
	const struct stats_header *stats = stats_of(client);
	uint64_t tsc = UINT64_MAX, revision = UINT64_MAX;

	memset(sum, 0, sizeof(*sum));
	if (!stats)
		return -ENODATA;
	for (unsigned int i = 0; i <= stats->nr_workers; i++) {
		const struct stats_worker *block = worker_block(stats, i);

		add_words(sum, block, sizeof(*sum));
		if (i < stats->nr_workers && block->tsc < tsc)
			tsc = block->tsc;
		if (i < stats->nr_workers && block->revision < revision)
			revision = block->revision;
	}
	sum->tsc = tsc;
	sum->revision = revision;
	return 0;
}
