// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "complete.h"
#include "entry.h"
#include "reserve.h"
#include "txn.h"

enum {
	CHUNK = 1024,
	CHUNKS = STEER_ENTRY_ID_MAX / CHUNK,
	BATCH = 64,       // numbers taken from the common store at a time
	CACHE_MAX = 8192, // numbers that a queue keeps
};

// Free numbers of one queue, used by the thread of that queue only.
struct id_cache {
	uint32_t *ids;
	uint32_t nr;
	uint32_t room;
};

static struct {
	struct doca_flow_pipe_entry *chunks[CHUNKS];
	uint32_t end; // atomic
	struct id_cache caches[STEER_QUEUE_MAX];
	pthread_mutex_t lock; // of the common store and of growing
	struct id_cache common;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static __thread uint64_t thread_tag;

void doca_flow_ringfield_set_tag(uint64_t tag)
{
	thread_tag = tag;
}

uint64_t entry_next_tag(void)
{
	return thread_tag;
}

// --- numbers

void entries_init(uint32_t first)
{
	table.end = (first + BATCH - 1) / BATCH * BATCH;
}

void entries_fini(void)
{
	for (unsigned int i = 0; i < CHUNKS; i++) {
		free(table.chunks[i]);
		table.chunks[i] = NULL;
	}
	for (unsigned int i = 0; i < STEER_QUEUE_MAX; i++) {
		free(table.caches[i].ids);
		memset(&table.caches[i], 0, sizeof(table.caches[i]));
	}
	free(table.common.ids);
	memset(&table.common, 0, sizeof(table.common));
	table.end = 0;
}

struct doca_flow_pipe_entry *entry_by_id(uint32_t id)
{
	struct doca_flow_pipe_entry *chunk;

	if (id >= STEER_ENTRY_ID_MAX)
		return NULL;
	chunk = __atomic_load_n(&table.chunks[id / CHUNK], __ATOMIC_ACQUIRE);
	return chunk ? &chunk[id % CHUNK] : NULL;
}

uint32_t entries_end(void)
{
	return __atomic_load_n(&table.end, __ATOMIC_ACQUIRE);
}

static bool cache_push(struct id_cache *cache, uint32_t id)
{
	if (cache->nr == cache->room) {
		uint32_t room = cache->room ? cache->room * 2 : 256;
		uint32_t *ids = realloc(cache->ids, room * sizeof(*ids));

		if (!ids)
			return false;
		cache->ids = ids;
		cache->room = room;
	}
	cache->ids[cache->nr++] = id;
	return true;
}

// Makes the chunk that holds number id; the table's lock is held.
static bool chunk_ensure(uint32_t id)
{
	uint32_t at = id / CHUNK;
	struct doca_flow_pipe_entry *chunk;

	if (table.chunks[at])
		return true;
	chunk = calloc(CHUNK, sizeof(*chunk));
	if (!chunk)
		return false;
	for (uint32_t i = 0; i < CHUNK; i++)
		chunk[i].id = at * CHUNK + i;
	__atomic_store_n(&table.chunks[at], chunk, __ATOMIC_RELEASE);
	return true;
}

static bool cache_refill(struct id_cache *cache)
{
	pthread_mutex_lock(&table.lock);
	for (unsigned int i = 0; i < BATCH && table.common.nr; i++)
		if (cache_push(cache, table.common.ids[table.common.nr - 1]))
			table.common.nr--;
	if (!cache->nr && table.end + BATCH <= STEER_ENTRY_ID_MAX && chunk_ensure(table.end)) {
		for (uint32_t i = BATCH; i-- > 0;) // so that they are used in ascending order
			(void)cache_push(cache, table.end + i);
		__atomic_store_n(&table.end, table.end + BATCH, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&table.lock);
	return cache->nr;
}

static struct doca_flow_pipe_entry *entry_alloc(uint16_t queue)
{
	struct id_cache *cache = &table.caches[queue];
	struct doca_flow_pipe_entry *entry;
	uint32_t id, generation;

	if (!cache->nr && !cache_refill(cache))
		return NULL;
	id = cache->ids[--cache->nr];
	entry = entry_by_id(id);
	generation = entry->generation + 1;
	memset(entry, 0, sizeof(*entry));
	entry->id = id;
	entry->generation = generation;
	entry->counter = entry->shared_counter = STEER_COUNTER_NONE;
	return entry;
}

static void id_release(uint32_t id, uint16_t queue)
{
	struct id_cache *cache = &table.caches[queue];

	if (!cache_push(cache, id))
		return; // out of memory: the number is lost until the process ends
	if (cache->nr < CACHE_MAX)
		return;
	pthread_mutex_lock(&table.lock);
	while (cache->nr > CACHE_MAX / 2 && cache_push(&table.common, cache->ids[cache->nr - 1]))
		cache->nr--;
	pthread_mutex_unlock(&table.lock);
}

// --- checks

static const char *const type_names[] = {"BASIC", "CONTROL", "LPM", "CT", "ACL", "ORDERED_LIST", "HASH"};

doca_error_t entry_check(const char *function, uint16_t queue, const struct doca_flow_pipe *pipe,
	enum doca_flow_pipe_type type, uint32_t flags)
{
	const uint32_t both = DOCA_FLOW_ENTRY_FLAGS_NO_WAIT | DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH;
	doca_error_t result = flow_check_state(function);

	if (result != DOCA_SUCCESS)
		return result;
	if (!pipe)
		return refuse_argument(function, "pipe", "is NULL");
	if (pipe->type != type)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "pipe", .rule = "pipe-type"),
			"%s() is for %s pipes, this one is %s", function, type_names[type],
			type_names[pipe->type]);
	if (queue >= flow.cfg.pipe_queues)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "pipe_queue", .rule = "queue-number"),
			"there are queues 0 to %u, not %u", flow.cfg.pipe_queues - 1u, queue);
	if (pipe->excluded_queues & 1u << queue)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "pipe_queue", .rule = "queue-excluded"),
			"queue %u is excluded from this pipe", queue);
	if (flags & ~both || flags == both)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "flags", .rule = "entry-flags"),
			"0x%x: NO_WAIT or WAIT_FOR_BATCH, not both, nothing else", flags);
	return DOCA_SUCCESS;
}

doca_error_t entry_check_alive(
	const char *function, const struct doca_flow_pipe_entry *entry, const struct doca_flow_pipe *pipe)
{
	doca_error_t result = flow_check_state(function);

	if (result != DOCA_SUCCESS)
		return result;
	if (!entry)
		return refuse_argument(function, "entry", "is NULL");
	if (entry->state != ENTRY_ALIVE)
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "entry", .rule = "entry-alive"),
			"%s(): the entry was removed, failed, or its pipe is gone", function);
	if (pipe && entry->pipe != pipe)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "entry", .rule = "entry-pipe"),
			"the entry belongs to pipe %s", entry->pipe->name);
	return DOCA_SUCCESS;
}

static doca_error_t check_depth(const struct doca_flow_pipe *pipe, uint16_t queue)
{
	if (pipe->port->queues[queue].in_flight < flow_queue_depth(queue))
		return flow_check_connected();
	return refuse(DOCA_ERROR_AGAIN, AT(.pipe = pipe->name, .field = "pipe_queue", .rule = "queue-depth"),
		"queue %u holds %u operations; doca_flow_entries_process() makes room", queue,
		flow_queue_depth(queue));
}

static doca_error_t post_failed(const struct doca_flow_pipe *pipe, int status)
{
	return refuse_steering(status, AT(.pipe = pipe->name, .rule = "queue"), "posting an entry");
}

// --- posting

static uint32_t pad8(uint32_t bytes)
{
	return (bytes + 7) & ~7u;
}

static uint8_t *put_padded(uint8_t *to, const void *from, uint32_t bytes)
{
	if (bytes)
		memcpy(to, from, bytes);
	memset(to + bytes, 0, pad8(bytes) - bytes);
	return to + pad8(bytes);
}

static uint64_t user_data(const struct doca_flow_pipe_entry *entry)
{
	return (uint64_t)entry->generation << 32 | (uint32_t)entry->pipe->port->start << 16 | entry->port;
}

// Writes the work entry into the queue. The entry's number and generation are set.
static doca_error_t post(const struct entry_request *request, const struct doca_flow_pipe_entry *entry)
{
	uint32_t length = sizeof(struct steer_entry_add) + pad8(request->key_bytes) +
			  pad8(request->args_bytes) +
			  (request->has_monitor ? sizeof(struct steer_monitor) : 0) +
			  (request->has_fwd ? sizeof(struct steer_fwd) : 0) + pad8(request->body_bytes);
	struct steer_entry_add *record;
	void *place;
	uint8_t *to;
	int status = steering_reserve(flow.client, request->queue, length, &place);

	if (status < 0)
		return post_failed(request->pipe, status);
	record = place;
	memset(record, 0, sizeof(*record));
	record->rec.length = length;
	record->rec.kind = request->op;
	record->pipe = request->pipe->number;
	record->entry = entry->id;
	record->user_data = user_data(entry);
	record->tag = request->tag;
	record->priority = request->priority;
	record->index = request->index;
	record->flags = (uint16_t)((request->has_monitor ? STEER_ENTRY_MONITOR : 0) |
				   (request->has_fwd ? STEER_ENTRY_FWD : 0) |
				   (request->body_bytes ? STEER_ENTRY_BODY : 0));
	record->key_bytes = (uint16_t)request->key_bytes;
	record->args_bytes = (uint16_t)request->args_bytes;
	record->action_idx = request->action_idx;
	to = put_padded((uint8_t *)(record + 1), request->key, request->key_bytes);
	to = put_padded(to, request->args, request->args_bytes);
	if (request->has_monitor)
		to = put_padded(to, &request->monitor, sizeof(request->monitor));
	if (request->has_fwd)
		to = put_padded(to, &request->fwd, sizeof(request->fwd));
	put_padded(to, request->body, request->body_bytes);
	steering_commit(flow.client, request->queue, length);
	return DOCA_SUCCESS;
}

static void posted(struct doca_flow_pipe_entry *entry, uint16_t queue, uint32_t flags)
{
	entry->pipe->port->queues[queue].in_flight++;
	entry->in_flight++;
	entry->status = DOCA_FLOW_ENTRY_STATUS_IN_PROCESS;
	if (!(flags & DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH))
		steering_push(flow.client, queue);
}

// Programs expect to be told inside the add that takes the pipe to its threshold, once until it was resized.
static void check_congestion(struct doca_flow_pipe *pipe)
{
	uint32_t used = __atomic_load_n(&pipe->used, __ATOMIC_RELAXED);
	bool above = (uint64_t)used * 100 >= (uint64_t)pipe->nr_entries * pipe->congestion_percent;

	if (!pipe->is_resizable || !pipe->congestion_percent)
		return;
	if (!above)
		__atomic_store_n(&pipe->congested, false, __ATOMIC_RELAXED);
	else if (!__atomic_exchange_n(&pipe->congested, true, __ATOMIC_RELAXED) && flow.cfg.pipe_cb)
		flow.cfg.pipe_cb(pipe, DOCA_FLOW_PIPE_STATUS_SUCCESS, DOCA_FLOW_PIPE_OP_CONGESTION_REACHED,
			pipe->user_ctx);
}

doca_error_t entry_add(const struct entry_request *request, struct doca_flow_pipe_entry **out)
{
	struct doca_flow_pipe *pipe = request->pipe;
	// Of a control pipe's entries DOCA has no flags: they are there when the call returns, and no queue counts them.
	bool immediate = pipe->type == DOCA_FLOW_PIPE_CONTROL;
	struct doca_flow_pipe_entry *entry;
	doca_error_t result = immediate ? flow_check_connected() : check_depth(pipe, request->queue);

	if (result != DOCA_SUCCESS)
		return result;
	if (!reserve_take(&pipe->used, __atomic_load_n(&pipe->nr_entries, __ATOMIC_RELAXED)))
		return refuse(DOCA_ERROR_FULL,
			AT(.pipe = pipe->name, .field = "nr_entries", .rule = "pipe-full"),
			"the pipe has its %u entries", pipe->nr_entries);
	entry = entry_alloc(request->queue);
	if (!entry) {
		reserve_give(&pipe->used);
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = pipe->name, .rule = "entry-numbers"),
			"out of memory or of entry numbers (%d in a session)", STEER_ENTRY_ID_MAX);
	}
	entry_pipe_set(entry, pipe);
	entry->port = pipe->port->index;
	entry->user_ctx = request->user_ctx;
	entry->queue = request->queue;
	entry->action_idx = request->action_idx;
	entry->quiet = request->quiet;
	entry->tag = request->tag;
	entry->priority = request->priority;
	entry->index = request->index;
	entry->in_txn = txn_number();
	entry->by_bulk = request->quiet;
	result = reserves_take(entry, pipe, &request->monitor, request->args_bytes);
	if (result == DOCA_SUCCESS)
		result = post(request, entry);
	while (result == DOCA_ERROR_AGAIN && immediate && complete_make_room(request->queue))
		result = post(request, entry);
	if (result != DOCA_SUCCESS) {
		reserves_give(entry, pipe);
		reserve_give(&pipe->used);
		id_release(entry->id, request->queue);
		return result;
	}
	entry->state = ENTRY_ALIVE;
	posted(entry, request->queue, request->flags);
	if (out)
		*out = entry;
	check_congestion(pipe);
	if (immediate)
		result = complete_await(entry, request->queue);
	if (result != DOCA_SUCCESS && out)
		*out = NULL;
	return result;
}

doca_error_t entry_update(const struct entry_request *request, struct doca_flow_pipe_entry *entry)
{
	doca_error_t result = check_depth(request->pipe, request->queue);

	if (result == DOCA_SUCCESS)
		result = reserves_take(entry, request->pipe, &request->monitor, request->args_bytes);
	if (result == DOCA_SUCCESS)
		result = post(request, entry);
	if (result != DOCA_SUCCESS)
		return result;
	entry->action_idx = request->action_idx;
	entry->quiet = request->quiet;
	posted(entry, request->queue, request->flags);
	return DOCA_SUCCESS;
}

doca_error_t entry_remove(uint16_t queue, uint32_t flags, struct doca_flow_pipe_entry *entry)
{
	struct steer_entry_remove record = {
		.rec = {.length = sizeof(record), .kind = STEER_REC_ENTRY_REMOVE},
		.entry = entry->id,
		.user_data = user_data(entry),
	};
	doca_error_t result = check_depth(entry->pipe, queue);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	status = steering_post(flow.client, queue, &record.rec);
	if (status < 0)
		return post_failed(entry->pipe, status);
	posted(entry, queue, flags);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_remove_entry(
	uint16_t pipe_queue, uint32_t flags, struct doca_flow_pipe_entry *entry)
{
	doca_error_t result = entry_check_alive(__func__, entry, NULL);

	if (result == DOCA_SUCCESS)
		result = entry_check(__func__, pipe_queue, entry->pipe, entry->pipe->type, flags);
	if (result == DOCA_SUCCESS && entry->pipe->type == DOCA_FLOW_PIPE_CT)
		result = refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.pipe = entry->pipe->name, .rule = "pipe-type"),
			"connections are removed by doca_flow_ct_rm_entry()");
	if (result != DOCA_SUCCESS)
		return result;
	entry->quiet = false;
	return entry_remove(pipe_queue, flags, entry);
}

enum doca_flow_entry_status doca_flow_pipe_entry_get_status(struct doca_flow_pipe_entry *entry)
{
	return entry ? (enum doca_flow_entry_status)entry->status : DOCA_FLOW_ENTRY_STATUS_ERROR;
}

// --- ends

void entry_release(struct doca_flow_pipe_entry *entry, uint16_t queue)
{
	if (entry->pipe) {
		reserves_give(entry, entry->pipe);
		reserve_give(&entry->pipe->used);
	}
	entry_pipe_set(entry, NULL);
	entry->state = ENTRY_FREE;
	id_release(entry->id, queue);
}

void entries_drop_pipe(struct doca_flow_pipe *pipe)
{
	for (uint32_t id = 0, end = entries_end(); id < end; id++) {
		struct doca_flow_pipe_entry *entry = entry_by_id(id);

		if (!entry || entry_pipe(entry) != pipe)
			continue;
		reserves_give(entry, pipe);
		entry_pipe_set(entry, NULL);
		entry->state = ENTRY_ZOMBIE;
		if (!entry->in_flight) {
			entry->state = ENTRY_FREE;
			// Not into a queue's store: those belong to other threads.
			pthread_mutex_lock(&table.lock);
			(void)cache_push(&table.common, id);
			pthread_mutex_unlock(&table.lock);
		}
	}
}

doca_error_t entry_adopt(struct doca_flow_pipe *pipe, uint16_t queue, uint32_t id, uint32_t counter,
	const struct steer_entry_add *record, struct doca_flow_pipe_entry **out)
{
	struct doca_flow_pipe_entry *entry;
	bool there;

	pthread_mutex_lock(&table.lock);
	there = id < STEER_ENTRY_ID_MAX && chunk_ensure(id);
	pthread_mutex_unlock(&table.lock);
	entry = entry_by_id(id);
	if (!there || !entry)
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.pipe = pipe->name), "out of memory");
	entry->generation = (uint32_t)(record->user_data >> 32);
	entry_pipe_set(entry, pipe);
	entry->port = pipe->port->index;
	entry->user_ctx = NULL;
	entry->counter = counter;
	entry->shared_counter = STEER_COUNTER_NONE;
	entry->queue = queue;
	entry->state = ENTRY_ALIVE;
	entry->status = DOCA_FLOW_ENTRY_STATUS_SUCCESS;
	entry->action_idx = record->action_idx;
	entry->tag = record->tag;
	entry->priority = record->priority;
	entry->index = record->index;
	reserves_adopt(entry, pipe, counter != STEER_COUNTER_NONE, record->args_bytes);
	__atomic_add_fetch(&pipe->used, 1, __ATOMIC_RELAXED);
	*out = entry;
	return DOCA_SUCCESS;
}
