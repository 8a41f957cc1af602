// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The process-wide state and the counter slots.

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_cycles.h>

#include "acl_trie.h"
#include "fastpath.h"
#include "rcu.h"
#include "table.h"

enum { LARGE = 2 << 20 }; // a page, where the system has large ones

struct fp fp;

// Free slots, a stack: the hottest slot is given out first.
static uint32_t *slots;
static uint32_t nr_slots;
static uint32_t returning; // freed, until after grace
static uint32_t unclaimed; // reserved and not yet given out

// A key that is widely used as the default, so that hashes come out as people know them.
static const uint8_t default_rss_key[40] = {0x2c, 0xc6, 0x81, 0xd1, 0x5b, 0xdb, 0xf4, 0xf7, 0xfc, 0xa2, 0x83,
	0x19, 0xdb, 0x1a, 0x3e, 0x94, 0x6b, 0x9e, 0x38, 0xd9, 0x2c, 0x9c, 0x03, 0xd1, 0xad, 0x99, 0x44, 0xa7,
	0xd9, 0x56, 0x3d, 0x59, 0x06, 0x3c, 0x25, 0xf3, 0xfc, 0x1f, 0xdc, 0x2a};

int fp_init(uint16_t nr_workers, uint32_t nr_counters)
{
	fp.nr_workers = nr_workers;
	fp.nr_ports_max = STEER_PORT_MAX;
	fp.nr_counters = nr_counters;
	if (!fp.tsc_hz)
		fp.tsc_hz = rte_get_tsc_hz();
	memcpy(fp.rss_key, default_rss_key, sizeof(fp.rss_key));
	for (unsigned int i = 0; i < STEER_PORT_MAX; i++) {
		fp.ports[i].miss_counter = STEER_COUNTER_NONE;
		memcpy(fp.ports[i].rss_key, fp.rss_key, sizeof(fp.rss_key));
	}
	slots = malloc(nr_counters * sizeof(slots[0]) + 1);
	if (!slots)
		return -ENOMEM;
	for (nr_slots = 0; nr_slots < nr_counters; nr_slots++)
		slots[nr_slots] = nr_counters - 1 - nr_slots;
	return rcu_init(nr_workers);
}

void fp_fini(void)
{
	rcu_fini();
	acl_trie_stop();
	free(slots);
	slots = NULL;
	nr_slots = unclaimed = returning = 0;
}

uint32_t counter_alloc(void)
{
	return nr_slots > unclaimed ? slots[--nr_slots] : STEER_COUNTER_NONE;
}

uint32_t counter_claim(void)
{
	if (!nr_slots || !unclaimed)
		return STEER_COUNTER_NONE;
	unclaimed--;
	return slots[--nr_slots];
}

uint32_t counter_unreserved(void)
{
	uint32_t free_ones = nr_slots + returning;

	return free_ones > unclaimed ? free_ones - unclaimed : 0;
}

void counter_reserve(int32_t change)
{
	unclaimed = (uint32_t)((int64_t)unclaimed + change);
}

static void slot_put(void *arg, uintptr_t slot)
{
	for (unsigned int i = 0; i < fp.nr_workers; i++) {
		fp_write(&fp.workers[i].counters[slot].packets, 0);
		fp_write(&fp.workers[i].counters[slot].bytes, 0);
	}
	slots[nr_slots++] = (uint32_t)slot;
	returning--;
}

void counter_free(uint32_t slot)
{
	if (slot == STEER_COUNTER_NONE)
		return;
	returning++;
	rcu_defer_pair(slot_put, NULL, slot);
}

struct stats_counter counter_sum(uint32_t slot)
{
	struct stats_counter sum = {0};

	if (slot >= fp.nr_counters)
		return sum;
	for (unsigned int i = 0; i < fp.nr_workers; i++) {
		sum.packets += fp_read(&fp.workers[i].counters[slot].packets);
		sum.bytes += fp_read(&fp.workers[i].counters[slot].bytes);
	}
	return sum;
}

uint32_t counter_used(void)
{
	return fp.nr_counters - nr_slots;
}

int why_set(struct why *why, enum steer_reason reason, int err, const char *format, ...)
{
	va_list args;

	if (!why)
		return err;
	why->reason = reason;
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return err;
}

void *table_alloc(size_t bytes)
{
	size_t align = bytes >= LARGE ? LARGE : RTE_CACHE_LINE_SIZE, size = RTE_ALIGN_CEIL(bytes, align);
	void *memory = aligned_alloc(align, size);

	if (memory && align == LARGE)
		madvise(memory, size, MADV_HUGEPAGE);
	if (memory)
		memset(memory, 0, size);
	return memory;
}
