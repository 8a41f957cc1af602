// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Connections as objects: where they live, the filter of recent ones, what can be asked of them, iteration.

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ct.h"
#include "query.h"
#include "steering_hash.h"

// --- the pool

struct ct_conn *ct_conn_at(const struct ct_pipe *p, uint32_t index)
{
	struct ct_conn *chunk = index / CT_CHUNK < p->nr_chunks ? p->chunks[index / CT_CHUNK] : NULL;

	return chunk ? (struct ct_conn *)((uint8_t *)chunk + index % CT_CHUNK * p->conn_bytes) : NULL;
}

static bool grow(struct ct_pipe *p)
{
	uint32_t chunk = 0, first;

	while (chunk < p->nr_chunks && p->chunks[chunk])
		chunk++;
	if (chunk == p->nr_chunks)
		return false;
	p->chunks[chunk] = calloc(CT_CHUNK, p->conn_bytes);
	if (!p->chunks[chunk])
		return false;
	first = chunk * CT_CHUNK;
	for (uint32_t i = CT_CHUNK; i-- > 0;) { // so that they are used in ascending order
		struct ct_conn *conn = ct_conn_at(p, first + i);

		conn->ct = p;
		conn->index = first + i;
		conn->next_free = p->first_free;
		p->first_free = first + i;
	}
	return true;
}

struct ct_conn *ct_conn_alloc(struct ct_pipe *p)
{
	struct ct_conn *conn;
	struct ct_pipe *owner;
	uint32_t index;
	uint16_t version;

	if (p->used_total >= p->max_total || (p->first_free == CT_NONE && !grow(p)))
		return NULL;
	index = p->first_free;
	conn = ct_conn_at(p, index);
	p->first_free = conn->next_free;
	p->used_total++;
	version = (uint16_t)(conn->version + 1);
	owner = conn->ct;
	memset(conn, 0, p->conn_bytes);
	conn->ct = owner;
	conn->index = index;
	conn->version = version;
	conn->state = CT_PREPARED;
	conn->way[CT_ORIGIN].shared = conn->way[CT_REPLY].shared = CT_NONE;
	conn->handle.pipe = p->pipe;
	conn->handle.counter = conn->handle.shared_counter = STEER_COUNTER_NONE;
	conn->handle.state = ENTRY_ALIVE;
	conn->handle.status = DOCA_FLOW_ENTRY_STATUS_IN_PROCESS;
	conn->handle.port = p->pipe->port->index;
	return conn;
}

// Gives back what the connection holds of limits, and its slot. The handle stays readable.
void ct_conn_free(struct ct_conn *conn)
{
	struct ct_pipe *p = conn->ct;
	unsigned int queue = conn->queue;

	ct_filter_forget(conn);
	if (conn->aged_listed)
		TAILQ_REMOVE(&p->aged[queue], conn, by_aged);
	if (conn->changed_listed)
		TAILQ_REMOVE(&p->changed[queue], conn, by_changed);
	conn->aged_listed = conn->changed_listed = false;
	if (conn->state != CT_PREPARED)
		ct_zone_give(p, conn->zone);
	for (int i = 0; i < 2; i++)
		p->used[i] -= conn->counts[i];
	for (int side = 0; side < CT_SIDES; side++) {
		p->used_actions -= conn->inline_actions[side];
		free(conn->way[side].args);
		conn->way[side].args = NULL;
	}
	p->used_asymmetric -= conn->asymmetric;
	p->used_total--;
	conn->state = CT_FREE;
	conn->handle.state = ENTRY_FREE;
	conn->next_free = p->first_free;
	p->first_free = conn->index;
}

// --- zones

static struct ct_zone *zone_slot(struct ct_pipe *p, uint32_t zone)
{
	uint32_t at = steering_hash(&zone, sizeof(zone)) & (p->zone_slots - 1);

	while (p->zones[at].used && p->zones[at].zone != zone)
		at = (at + 1) & (p->zone_slots - 1);
	return &p->zones[at];
}

bool ct_zone_take(struct ct_pipe *p, uint32_t zone)
{
	struct ct_zone *slot;

	if (!p->zones)
		return true;
	slot = zone_slot(p, zone);
	if (slot->used == ct.cfg.zone_max)
		return false;
	slot->zone = zone;
	slot->used++;
	return true;
}

void ct_zone_give(struct ct_pipe *p, uint32_t zone)
{
	struct ct_zone *slot = p->zones ? zone_slot(p, zone) : NULL;
	uint32_t hole, at;

	if (!slot || --slot->used)
		return;
	// Close the gap: what follows may have been put further on because of this one.
	hole = (uint32_t)(slot - p->zones);
	for (at = (hole + 1) & (p->zone_slots - 1); p->zones[at].used; at = (at + 1) & (p->zone_slots - 1)) {
		struct ct_zone moved = p->zones[at];

		p->zones[at].used = 0;
		*zone_slot(p, moved.zone) = moved;
	}
}

// --- keys and the filter of recent connections

void ct_key(enum ct_side side, const struct doca_flow_ct_match *match, bool six, struct steer_ct_key *key)
{
	const struct doca_flow_header_l4_port *ports = six ? &match->ipv6.l4_port : &match->ipv4.l4_port;

	memset(key, 0, sizeof(*key));
	key->zone = (six ? match->ipv6.metadata : match->ipv4.metadata) & ct.cfg.side[side].zone_mask;
	key->src_port = ports->src_port;
	key->dst_port = ports->dst_port;
	key->protocol = six ? match->ipv6.next_proto : match->ipv4.next_proto;
	key->version = six ? 6 : 4;
	key->direction = ct.split ? (uint8_t)side : 0;
	if (six) {
		memcpy(key->address, match->ipv6.src_ip, 16);
		memcpy(key->address + 16, match->ipv6.dst_ip, 16);
	} else {
		memcpy(key->address, &match->ipv4.src_ip, 4);
		memcpy(key->address + 4, &match->ipv4.dst_ip, 4);
	}
}

static struct ct_conn **filter_slot(struct ct_pipe *p, uint16_t queue, const struct steer_ct_key *key)
{
	struct ct_conn **slots = p->filters[queue - flow.cfg.pipe_queues].slots;

	return slots ? &slots[steering_hash(key, sizeof(*key)) % ct.cfg.dup_filter] : NULL;
}

static const uint32_t filter_flags[CT_SIDES] = {
	DOCA_FLOW_CT_ENTRY_FLAGS_DUP_FILTER_ORIGIN, DOCA_FLOW_CT_ENTRY_FLAGS_DUP_FILTER_REPLY};

static bool filtered(uint32_t flags, enum ct_side side, const struct steer_ct_key *key)
{
	return flags & filter_flags[side] &&
	       (!ct_has(DOCA_FLOW_CT_FLAG_DUP_FILTER_UDP_ONLY) || key->protocol == DOCA_FLOW_PROTO_UDP);
}

void ct_filter_forget(const struct ct_conn *conn)
{
	if (!ct.cfg.dup_filter)
		return;
	for (int side = 0; side < CT_SIDES; side++) {
		struct steer_ct_key key;
		struct ct_conn **slot;

		ct_key(side, &conn->way[side].match, conn->way[side].six, &key);
		slot = filter_slot(conn->ct, conn->queue, &key);
		if (slot && *slot == conn)
			*slot = NULL;
	}
}

void ct_filter_note(struct ct_conn *conn)
{
	if (!ct.cfg.dup_filter)
		return;
	for (int side = 0; side < CT_SIDES; side++) {
		struct steer_ct_key key;
		struct ct_conn **slot;

		ct_key(side, &conn->way[side].match, conn->way[side].six, &key);
		slot = filtered(conn->flags, side, &key) ? filter_slot(conn->ct, conn->queue, &key) : NULL;
		if (slot)
			*slot = conn;
	}
}

// A recent connection that has the key in either direction.
static struct ct_conn *filter_find(struct ct_pipe *p, uint16_t queue, const struct steer_ct_key *key)
{
	struct ct_conn **slot = filter_slot(p, queue, key);
	struct steer_ct_key mine;

	if (!slot || !*slot || (*slot)->state == CT_REMOVING)
		return NULL;
	for (int side = 0; side < CT_SIDES; side++) {
		ct_key(side, &(*slot)->way[side].match, (*slot)->way[side].six, &mine);
		if (!memcmp(&mine, key, sizeof(mine)))
			return *slot;
	}
	return NULL;
}

// --- prepare

void ct_reverse(const struct doca_flow_ct_match *origin, bool six, struct doca_flow_ct_match *reply)
{
	uint32_t mask = DOCA_BETOH32(ct.cfg.side[CT_ORIGIN].zone_mask);
	doca_be32_t zone = six ? origin->ipv6.metadata : origin->ipv4.metadata;

	if (ct.cfg.side[CT_REPLY].zone_mask != ct.cfg.side[CT_ORIGIN].zone_mask)
		zone = mask ? ct_zone_place(CT_REPLY, (DOCA_BETOH32(zone) & mask) >> __builtin_ctz(mask)) : 0;
	*reply = *origin;
	if (six) {
		reply->ipv6.l4_port.src_port = origin->ipv6.l4_port.dst_port;
		reply->ipv6.l4_port.dst_port = origin->ipv6.l4_port.src_port;
		memcpy(reply->ipv6.src_ip, origin->ipv6.dst_ip, 16);
		memcpy(reply->ipv6.dst_ip, origin->ipv6.src_ip, 16);
		reply->ipv6.metadata = zone;
	} else {
		reply->ipv4.l4_port.src_port = origin->ipv4.l4_port.dst_port;
		reply->ipv4.l4_port.dst_port = origin->ipv4.l4_port.src_port;
		reply->ipv4.src_ip = origin->ipv4.dst_ip;
		reply->ipv4.dst_ip = origin->ipv4.src_ip;
		reply->ipv4.metadata = zone;
	}
}

doca_error_t doca_flow_ct_entry_prepare(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
	struct doca_flow_ct_match *match_origin, uint32_t hash_origin, struct doca_flow_ct_match *match_reply,
	uint32_t hash_reply, struct doca_flow_pipe_entry **entry, bool *conn_found)
{
	const bool six[CT_SIDES] = {
		flags & DOCA_FLOW_CT_ENTRY_FLAGS_IPV6_ORIGIN, flags & DOCA_FLOW_CT_ENTRY_FLAGS_IPV6_REPLY};
	doca_error_t result = ct_check(__func__, queue, pipe, false);
	struct doca_flow_ct_match match[CT_SIDES];
	struct ct_conn *conn = NULL;
	bool found = false;

	if (result != DOCA_SUCCESS)
		return result;
	if (!match_origin || !entry)
		return refuse_argument(__func__, "match_origin", "an argument is NULL");
	match[CT_ORIGIN] = *match_origin;
	if (match_reply)
		match[CT_REPLY] = *match_reply;
	else
		ct_reverse(match_origin, six[CT_ORIGIN], &match[CT_REPLY]);
	pthread_mutex_lock(&pipe->conns->lock);
	for (int side = 0; side < CT_SIDES && !found; side++) {
		struct steer_ct_key key;

		ct_key(side, &match[side], match_reply ? six[side] : six[CT_ORIGIN], &key);
		if (filtered(flags, side, &key))
			conn = filter_find(pipe->conns, queue, &key);
		found = conn != NULL;
	}
	if (!conn && flags & DOCA_FLOW_CT_ENTRY_FLAGS_ALLOC_ON_MISS) {
		conn = ct_conn_alloc(pipe->conns);
		if (!conn)
			result = refuse(DOCA_ERROR_FULL, AT(.pipe = pipe->name, .rule = "ct-connections"),
				"all %u connections are in use, or memory is", pipe->conns->max_total);
	}
	if (conn && !found) {
		conn->queue = conn->handle.queue = queue;
		conn->flags = flags & (filter_flags[CT_ORIGIN] | filter_flags[CT_REPLY]);
		for (int side = 0; side < CT_SIDES; side++) {
			conn->way[side].match = match[side];
			conn->way[side].six = match_reply ? six[side] : six[CT_ORIGIN];
		}
		conn->way[CT_ORIGIN].hash = hash_origin;
		conn->way[CT_REPLY].hash = hash_reply;
		ct_filter_note(conn);
	}
	pthread_mutex_unlock(&pipe->conns->lock);
	if (result != DOCA_SUCCESS)
		return result;
	*entry = conn ? &conn->handle : NULL;
	if (conn_found)
		*conn_found = found;
	return DOCA_SUCCESS;
}

doca_error_t ct_conn_of(const char *function, uint16_t queue, struct doca_flow_pipe *pipe,
	struct doca_flow_pipe_entry *entry, struct ct_conn **conn)
{
	doca_error_t result = ct_check(function, queue, pipe, false);

	if (result != DOCA_SUCCESS)
		return result;
	if (!entry)
		return refuse_argument(function, "entry", "is NULL");
	*conn = (struct ct_conn *)entry;
	if ((*conn)->ct != pipe->conns)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "entry", .rule = "entry-pipe"),
			"%s(): the entry is no connection of this pipe", function);
	return DOCA_SUCCESS;
}

doca_error_t ct_refuse_state(const char *function, const struct ct_conn *conn)
{
	const char *pipe = conn->ct->pipe->name;

	if (conn->state == CT_FREE)
		return refuse(DOCA_ERROR_NOT_FOUND, AT(.pipe = pipe, .field = "entry", .rule = "ct-state"),
			"%s(): the connection is gone", function);
	if (conn->pending)
		return refuse(DOCA_ERROR_IN_PROGRESS, AT(.pipe = pipe, .field = "entry", .rule = "ct-state"),
			"%s(): the connection is being changed; doca_flow_ct_entries_process() comes first",
			function);
	return refuse(DOCA_ERROR_BAD_STATE, AT(.pipe = pipe, .field = "entry", .rule = "ct-state"),
		conn->state == CT_PREPARED   ? "%s(): the connection is prepared, not added"
		: conn->state == CT_REMOVING ? "%s(): the connection is removed"
					     : "%s(): the connection was added already",
		function);
}

doca_error_t doca_flow_ct_entry_prepare_rollback(
	uint16_t queue, struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry)
{
	struct ct_conn *conn;
	doca_error_t result = ct_conn_of(__func__, queue, pipe, entry, &conn);

	if (result != DOCA_SUCCESS)
		return result;
	pthread_mutex_lock(&pipe->conns->lock);
	if (conn->state == CT_PREPARED)
		ct_conn_free(conn);
	else
		result = ct_refuse_state(__func__, conn);
	pthread_mutex_unlock(&pipe->conns->lock);
	return result;
}

// --- questions

void ct_conn_read(const struct ct_conn *conn, struct doca_flow_resource_query data[CT_SIDES])
{
	struct doca_flow_resource_query *o = &data[CT_ORIGIN], *r = &data[CT_REPLY];

	memset(data, 0, CT_SIDES * sizeof(*data));
	for (int side = 0; side < CT_SIDES; side++) {
		if (conn->final)
			data[side] = conn->last[side];
		else if (conn->way[side].entry)
			(void)query_slot(conn->way[side].entry->counter, &data[side]);
	}
	if (conn->final || !(conn->flags & DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_SHARED))
		return;
	o->counter.total_pkts += r->counter.total_pkts;
	o->counter.total_bytes += r->counter.total_bytes;
	*r = *o;
}

doca_error_t doca_flow_ct_query_entry(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
	struct doca_flow_pipe_entry *entry, struct doca_flow_resource_query *origin_data,
	struct doca_flow_resource_query *reply_data, uint64_t *last_hit_s)
{
	struct doca_flow_resource_query data[CT_SIDES];
	struct ct_conn *conn;
	doca_error_t result = ct_conn_of(__func__, queue, pipe, entry, &conn);

	(void)flags;
	if (result != DOCA_SUCCESS)
		return result;
	pthread_mutex_lock(&pipe->conns->lock);
	if (conn->state == CT_ALIVE || conn->state == CT_REMOVING) {
		ct_conn_read(conn, data);
		ct_conn_look(conn, data);
		if (origin_data)
			*origin_data = data[CT_ORIGIN];
		if (reply_data)
			*reply_data = data[CT_REPLY];
		if (last_hit_s)
			*last_hit_s = conn->last_hit_s;
	} else {
		result = ct_refuse_state(__func__, conn);
	}
	pthread_mutex_unlock(&pipe->conns->lock);
	return result;
}

doca_error_t doca_flow_ct_get_entry(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
	struct doca_flow_pipe_entry *entry, struct doca_flow_ct_match *match_origin,
	struct doca_flow_ct_match *match_reply, uint64_t *entry_flags, uint32_t *hash_origin,
	uint32_t *hash_reply)
{
	const uint32_t once = DOCA_FLOW_CT_ENTRY_FLAGS_NO_WAIT | DOCA_FLOW_CT_ENTRY_FLAGS_ALLOC_ON_MISS |
			      filter_flags[CT_ORIGIN] | filter_flags[CT_REPLY];
	struct ct_conn *conn;
	doca_error_t result = ct_conn_of(__func__, queue, pipe, entry, &conn);

	(void)flags;
	if (result != DOCA_SUCCESS)
		return result;
	pthread_mutex_lock(&pipe->conns->lock);
	if (conn->state == CT_FREE)
		result = ct_refuse_state(__func__, conn);
	if (result == DOCA_SUCCESS && match_origin)
		*match_origin = conn->way[CT_ORIGIN].match;
	if (result == DOCA_SUCCESS && match_reply)
		*match_reply = conn->way[CT_REPLY].match;
	if (result == DOCA_SUCCESS && entry_flags)
		*entry_flags = conn->flags & ~once;
	if (result == DOCA_SUCCESS && hash_origin)
		*hash_origin = conn->way[CT_ORIGIN].hash;
	if (result == DOCA_SUCCESS && hash_reply)
		*hash_reply = conn->way[CT_REPLY].hash;
	pthread_mutex_unlock(&pipe->conns->lock);
	return result;
}

void *doca_flow_ct_entry_get_priv_data(
	uint16_t queue, struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry)
{
	struct ct_conn *conn;

	if (ct_conn_of(__func__, queue, pipe, entry, &conn) != DOCA_SUCCESS || conn->state == CT_FREE ||
		!ct.cfg.priv_bytes)
		return NULL;
	return conn->priv;
}

uint32_t doca_flow_ct_entry_get_conn_id(
	uint16_t queue, struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry)
{
	struct ct_conn *conn;

	if (ct_conn_of(__func__, queue, pipe, entry, &conn) != DOCA_SUCCESS || conn->state == CT_FREE)
		return CT_NONE;
	return conn->index;
}

uint32_t doca_flow_ct_entry_get_aging_conn_id(
	uint16_t queue, struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry)
{
	struct ct_conn *conn;

	if (ct_conn_of(__func__, queue, pipe, entry, &conn) != DOCA_SUCCESS || conn->state == CT_FREE)
		return CT_NONE;
	return ct_aging_id(conn);
}

static doca_error_t by_index(
	struct doca_flow_pipe *pipe, uint32_t index, struct doca_flow_pipe_entry **entry, void **priv_data)
{
	doca_error_t result = DOCA_SUCCESS;
	struct ct_conn *conn;

	pthread_mutex_lock(&pipe->conns->lock);
	conn = ct_conn_at(pipe->conns, index);
	if (!conn || conn->state == CT_FREE) {
		result = refuse(DOCA_ERROR_NOT_FOUND,
			AT(.pipe = pipe->name, .field = "conn_id", .rule = "ct-state"),
			"there is no connection with this number");
	} else {
		if (entry)
			*entry = &conn->handle;
		if (priv_data)
			*priv_data = ct.cfg.priv_bytes ? conn->priv : NULL;
	}
	pthread_mutex_unlock(&pipe->conns->lock);
	return result;
}

doca_error_t doca_flow_ct_entry_get_by_id(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t conn_id,
	struct doca_flow_pipe_entry **entry, void **priv_data)
{
	doca_error_t result = ct_check(__func__, queue, pipe, false);

	return result == DOCA_SUCCESS ? by_index(pipe, conn_id, entry, priv_data) : result;
}

doca_error_t doca_flow_ct_entry_get_by_aging_conn_id(struct doca_flow_pipe *pipe, uint32_t aging_conn_id,
	struct doca_flow_pipe_entry **entry, void **priv_data)
{
	doca_error_t result = ct_check(__func__, flow.cfg.pipe_queues, pipe, false);

	if (result != DOCA_SUCCESS)
		return result;
	return by_index(pipe, aging_conn_id - pipe->conns->slot * ct_aging_stride(), entry, priv_data);
}

// --- iteration

doca_error_t doca_flow_ct_pipe_iterate(
	struct doca_flow_pipe *pipe, doca_flow_ct_pipe_iterate_cb iterate_cb, void *iterate_usr_ctx)
{
	doca_error_t result = ct_check(__func__, flow.cfg.pipe_queues, pipe, false);

	if (result != DOCA_SUCCESS)
		return result;
	if (!iterate_cb)
		return refuse_argument(__func__, "iterate_cb", "is NULL");
	if (!ct_has(DOCA_FLOW_CT_FLAG_ITERATOR))
		return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.pipe = pipe->name, .rule = "ct-iterator"),
			"iteration takes DOCA_FLOW_CT_FLAG_ITERATOR");
	pthread_mutex_lock(&pipe->conns->lock);
	pipe->conns->iterate_cb = iterate_cb;
	pipe->conns->iterate_ctx = iterate_usr_ctx;
	for (unsigned int q = 0; q < ct.cfg.queues; q++)
		pipe->conns->iterate_at[q] = 0;
	pthread_mutex_unlock(&pipe->conns->lock);
	return DOCA_SUCCESS;
}

// The next live connection of the queue, or NULL when its iteration is over.
static struct ct_conn *iterate_next(struct ct_pipe *p, uint16_t queue)
{
	uint32_t *at = &p->iterate_at[queue - flow.cfg.pipe_queues];
	struct ct_conn *conn = NULL;

	pthread_mutex_lock(&p->lock);
	while (*at != CT_NONE && !conn) {
		if (*at >= p->nr_chunks * CT_CHUNK) {
			*at = CT_NONE;
			break;
		}
		conn = ct_conn_at(p, (*at)++);
		if (conn && (conn->state != CT_ALIVE || conn->queue != queue))
			conn = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	return conn;
}

void ct_conn_iterate(struct doca_flow_port *port, uint16_t queue, uint32_t max)
{
	for (unsigned int i = 0; i < CT_PIPES_MAX; i++) {
		struct ct_conn *conn;
		struct ct_pipe *p;

		for (; max && (p = ct_pipe_in(i, port)) && (conn = iterate_next(p, queue)); max--)
			p->iterate_cb(queue, p->pipe, &conn->handle, p->iterate_ctx);
	}
}
