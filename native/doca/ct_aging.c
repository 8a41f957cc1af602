// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Ageing of connections: a thread that looks at their counters every aging_query_delay seconds, finds which moved and which
// have been idle for too long, and leaves both for the queues' threads. A plug-in may decide the latter instead.

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ct.h"
#include "query.h"

// A plug-in's counter: a name for what a direction of a connection counts.
struct plugin_counter {
	uint32_t conn; // ageing id + 1, 0 = none
	uint8_t sides; // bits by enum ct_side
	bool inuse;
};

static struct {
	bool running; // the thread
	bool stop;
	pthread_t thread;
	pthread_cond_t wake;
	uint64_t start_s;
	struct doca_flow_ct_aging_ctx ctx;
	struct plugin_counter *counters;
	pthread_mutex_t lock; // of the events
	struct doca_flow_ct_aging_conn_event *events;
	uint32_t nr_events, room_events;
} aging = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t monotonic_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

bool ct_aging_on(void)
{
	return !ct_has(DOCA_FLOW_CT_FLAG_NO_AGING | DOCA_FLOW_CT_FLAG_NO_COUNTER);
}

uint32_t ct_aging_stride(void)
{
	return ct.conns_per_pipe ? ct.conns_per_pipe : STEER_ENTRY_ID_MAX / CT_SIDES / CT_PIPES_MAX;
}

uint32_t ct_aging_id(const struct ct_conn *conn)
{
	return conn->ct->slot * ct_aging_stride() + conn->index;
}

// --- looking

bool ct_conn_look(struct ct_conn *conn, const struct doca_flow_resource_query data[CT_SIDES])
{
	uint64_t seen = data[CT_ORIGIN].counter.total_pkts;

	if (!(conn->flags & DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_SHARED))
		seen += data[CT_REPLY].counter.total_pkts;
	if (seen == conn->seen)
		return false;
	conn->seen = seen;
	conn->last_hit_s = (uint64_t)time(NULL);
	conn->idle_since_s = monotonic_s();
	conn->aged = false;
	if (conn->aged_listed)
		TAILQ_REMOVE(&conn->ct->aged[conn->queue], conn, by_aged);
	conn->aged_listed = false;
	return true;
}

static void set_aged(struct ct_conn *conn)
{
	conn->aged = true;
	if (!conn->aged_listed)
		TAILQ_INSERT_TAIL(&conn->ct->aged[conn->queue], conn, by_aged);
	conn->aged_listed = true;
}

static void look_at(struct ct_conn *conn, uint64_t now_s)
{
	struct doca_flow_resource_query data[CT_SIDES];
	bool moved;

	if (conn->state != CT_ALIVE)
		return;
	ct_conn_read(conn, data);
	moved = ct_conn_look(conn, data);
	if (moved && ct.cfg.stats_cb && conn->flags & DOCA_FLOW_CT_ENTRY_FLAGS_STATS_UPDATES &&
		!conn->changed_listed) {
		TAILQ_INSERT_TAIL(&conn->ct->changed[conn->queue], conn, by_changed);
		conn->changed_listed = true;
	}
	if (ct_aging_on() && !ct.cfg.has_plugin && conn->timeout_s && !conn->aged &&
		now_s - conn->idle_since_s >= conn->timeout_s)
		set_aged(conn);
}

// The pipe cannot go meanwhile: ct.lock is held. Its own lock is given up after each chunk.
static void sweep(struct ct_pipe *p)
{
	uint64_t now_s = monotonic_s();

	for (uint32_t chunk = 0; chunk < p->nr_chunks; chunk++) {
		pthread_mutex_lock(&p->lock);
		for (uint32_t i = 0; p->chunks[chunk] && i < CT_CHUNK; i++)
			look_at(ct_conn_at(p, chunk * CT_CHUNK + i), now_s);
		pthread_mutex_unlock(&p->lock);
	}
}

// --- the plug-in's side

static union doca_flow_ct_aging_conn info_of(const struct ct_conn *conn)
{
	const struct ct_way *way = &conn->way[conn->way[CT_ORIGIN].entry ? CT_ORIGIN : CT_REPLY];
	bool timed = conn->timeout_s, shared = conn->flags & DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_SHARED;
	uint8_t protocol = way->six ? way->match.ipv6.next_proto : way->match.ipv4.next_proto;
	union doca_flow_ct_aging_conn info = {.v = 0};

	info.valid = conn->state == CT_ALIVE;
	info.ctr_origin = conn->way[CT_ORIGIN].entry &&
			  (timed || shared || conn->flags & DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_ORIGIN);
	info.ctr_reply = conn->way[CT_REPLY].entry &&
			 (timed || shared || conn->flags & DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_REPLY);
	info.ctr_shared = shared;
	info.is_tcp = protocol == DOCA_FLOW_PROTO_TCP;
	info.conn_version = conn->version;
	info.timeout = conn->timeout_s < UINT16_MAX ? (uint16_t)conn->timeout_s : UINT16_MAX;
	return info;
}

void ct_aging_note(struct ct_conn *conn)
{
	struct doca_flow_ct_aging_conn_event *event;
	bool alive = conn->state == CT_ALIVE;

	if (!ct.cfg.has_plugin || (!alive && !conn->synced))
		return;
	pthread_mutex_lock(&aging.lock);
	if (aging.nr_events == aging.room_events) {
		uint32_t room = aging.room_events ? aging.room_events * 2 : 256;

		event = realloc(aging.events, room * sizeof(*event));
		if (event) {
			aging.events = event;
			aging.room_events = room;
		}
	}
	if (aging.nr_events < aging.room_events) {
		event = &aging.events[aging.nr_events++];
		event->op = !alive         ? DOCA_FLOW_ENTRY_OP_DEL
			    : conn->synced ? DOCA_FLOW_ENTRY_OP_UPD
					   : DOCA_FLOW_ENTRY_OP_ADD;
		event->aging_conn_id = ct_aging_id(conn);
		event->conn = info_of(conn);
		conn->synced = alive;
	}
	pthread_mutex_unlock(&aging.lock);
}

static void run_plugin(void)
{
	struct doca_flow_ct_aging_conn_event *events;
	uint32_t nr;

	pthread_mutex_lock(&aging.lock);
	events = aging.events;
	nr = aging.nr_events;
	aging.events = NULL;
	aging.nr_events = aging.room_events = 0;
	pthread_mutex_unlock(&aging.lock);
	if (nr)
		ct.cfg.plugin.conn_sync_cb(&aging.ctx, events, nr);
	free(events);
	ct.cfg.plugin.aging_timer_cb(&aging.ctx, monotonic_s() - aging.start_s);
}

static doca_error_t check_plugin(
	const char *function, const struct doca_flow_ct_aging_ctx *ctx, const void *list)
{
	if (ctx != &aging.ctx || !list)
		return refuse_argument(function, "ctx", "is not a plug-in's context, or the list is NULL");
	if (!aging.running || !pthread_equal(pthread_self(), aging.thread))
		return refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "ct-aging"),
			"%s() is for the plug-in's timer callback", function);
	return DOCA_SUCCESS;
}

static doca_error_t check_counter(const char *function, uint32_t id)
{
	return id < aging.ctx.n_total_counters
		       ? DOCA_SUCCESS
		       : refuse_argument(function, "ctr_id", "there is no counter %u", id);
}

doca_error_t doca_flow_ct_aging_counter_state_get(
	struct doca_flow_ct_aging_ctx *ctx, struct doca_flow_ct_aging_counter_state *ctrs, uint32_t n)
{
	doca_error_t result = check_plugin(__func__, ctx, ctrs);

	for (uint32_t i = 0; i < n && result == DOCA_SUCCESS; i++) {
		result = check_counter(__func__, ctrs[i].ctr_id);
		if (result == DOCA_SUCCESS)
			ctrs[i].inuse = aging.counters[ctrs[i].ctr_id].inuse;
	}
	return result;
}

doca_error_t doca_flow_ct_aging_counter_state_set(
	struct doca_flow_ct_aging_ctx *ctx, struct doca_flow_ct_aging_counter_state *ctrs, uint32_t n)
{
	doca_error_t result = check_plugin(__func__, ctx, ctrs);

	for (uint32_t i = 0; i < n && result == DOCA_SUCCESS; i++)
		result = check_counter(__func__, ctrs[i].ctr_id);
	for (uint32_t i = 0; i < n && result == DOCA_SUCCESS; i++) {
		struct plugin_counter *counter = &aging.counters[ctrs[i].ctr_id];

		counter->inuse = ctrs[i].inuse;
		if (!counter->inuse)
			counter->conn = counter->sides = 0;
	}
	return result;
}

// The live connection with this number, its pipe's lock held, or NULL. ct.lock is held.
static struct ct_conn *conn_lock(uint32_t id)
{
	struct ct_pipe *p = id / ct_aging_stride() < CT_PIPES_MAX ? ct.pipes[id / ct_aging_stride()] : NULL;
	struct ct_conn *conn;

	if (!p)
		return NULL;
	pthread_mutex_lock(&p->lock);
	conn = ct_conn_at(p, id % ct_aging_stride());
	if (conn && conn->state == CT_ALIVE)
		return conn;
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void query_counter(struct doca_flow_ct_aging_counter *to)
{
	const struct plugin_counter *counter = &aging.counters[to->ctr_id];
	struct doca_flow_resource_query data[CT_SIDES];
	struct ct_conn *conn;

	*to = (struct doca_flow_ct_aging_counter){.ctr_id = to->ctr_id};
	pthread_mutex_lock(&ct.lock);
	conn = counter->conn ? conn_lock(counter->conn - 1) : NULL;
	if (conn) {
		ct_conn_read(conn, data);
		ct_conn_look(conn, data);
		for (int side = 0; side < CT_SIDES; side++) {
			if (!(counter->sides & 1u << side))
				continue;
			to->total_pkts += data[side].counter.total_pkts;
			to->total_bytes += data[side].counter.total_bytes;
			// Both sides of a shared counter have the sum already.
			if (conn->flags & DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_SHARED)
				break;
		}
		to->last_hit_s = (uint16_t)(conn->idle_since_s - aging.start_s);
		pthread_mutex_unlock(&conn->ct->lock);
	}
	pthread_mutex_unlock(&ct.lock);
}

doca_error_t doca_flow_ct_aging_counter_query(
	struct doca_flow_ct_aging_ctx *ctx, struct doca_flow_ct_aging_counter *ctrs, uint32_t n)
{
	doca_error_t result = check_plugin(__func__, ctx, ctrs);

	for (uint32_t i = 0; i < n && result == DOCA_SUCCESS; i++) {
		result = check_counter(__func__, ctrs[i].ctr_id);
		if (result == DOCA_SUCCESS)
			query_counter(&ctrs[i]);
	}
	return result;
}

static void bind_counter(const char *function, uint32_t id, uint32_t conn, enum ct_side side)
{
	struct plugin_counter *counter;

	if (id == CT_NONE || check_counter(function, id) != DOCA_SUCCESS)
		return;
	counter = &aging.counters[id];
	if (counter->conn != conn + 1)
		counter->sides = 0;
	counter->conn = conn + 1;
	counter->sides |= (uint8_t)(1u << side);
	counter->inuse = true;
}

void doca_flow_ct_aging_conn_update(
	struct doca_flow_ct_aging_ctx *ctx, struct doca_flow_ct_aging_conn_update_info *info, uint32_t n)
{
	if (check_plugin(__func__, ctx, info) != DOCA_SUCCESS)
		return;
	for (uint32_t i = 0; i < n; i++) {
		bind_counter(__func__, info[i].ctr_origin_id, info[i].aging_conn_id, CT_ORIGIN);
		bind_counter(__func__, info[i].ctr_reply_id, info[i].aging_conn_id, CT_REPLY);
	}
}

void doca_flow_ct_aging_conn_timeout(struct doca_flow_ct_aging_ctx *ctx, uint32_t *aging_conn_ids, uint32_t n)
{
	if (check_plugin(__func__, ctx, aging_conn_ids) != DOCA_SUCCESS)
		return;
	for (uint32_t i = 0; i < n; i++) {
		struct ct_conn *conn;

		pthread_mutex_lock(&ct.lock);
		conn = conn_lock(aging_conn_ids[i]);
		if (conn) {
			if (!conn->aged)
				set_aged(conn);
			pthread_mutex_unlock(&conn->ct->lock);
		}
		pthread_mutex_unlock(&ct.lock);
	}
}

// --- the thread

static void *aging_main(void *unused)
{
	struct timespec next;

	(void)unused;
	clock_gettime(CLOCK_MONOTONIC, &next);
	pthread_mutex_lock(&ct.lock);
	while (!aging.stop) {
		next.tv_sec += ct.cfg.aging_delay_s ? ct.cfg.aging_delay_s : 1;
		while (!aging.stop && pthread_cond_timedwait(&aging.wake, &ct.lock, &next) != ETIMEDOUT)
			;
		if (aging.stop)
			break;
		for (unsigned int i = 0; i < CT_PIPES_MAX; i++)
			if (ct.pipes[i])
				sweep(ct.pipes[i]);
		pthread_mutex_unlock(&ct.lock);
		if (ct.cfg.has_plugin)
			run_plugin();
		pthread_mutex_lock(&ct.lock);
	}
	pthread_mutex_unlock(&ct.lock);
	return NULL;
}

static doca_error_t start_plugin(void)
{
	doca_error_t result;

	aging.ctx = (struct doca_flow_ct_aging_ctx){
		.n_total_conns = ct_aging_stride() * CT_PIPES_MAX,
		.n_total_counters = ct_aging_stride() * CT_PIPES_MAX * CT_SIDES,
	};
	aging.counters = calloc(aging.ctx.n_total_counters, sizeof(*aging.counters));
	if (!aging.counters)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
	result = ct.cfg.plugin.aging_init_cb(&aging.ctx);
	if (result != DOCA_SUCCESS) {
		free(aging.counters);
		aging.counters = NULL;
		return refuse(result, AT(.field = "aging_plugin_ops", .rule = "ct-aging"),
			"the plug-in's aging_init_cb failed");
	}
	return DOCA_SUCCESS;
}

static void stop_plugin(void)
{
	if (!ct.cfg.has_plugin)
		return;
	ct.cfg.plugin.aging_shutdown_cb(&aging.ctx);
	free(aging.counters);
	free(aging.events);
	aging.counters = NULL;
	aging.events = NULL;
	aging.nr_events = aging.room_events = 0;
}

// A core that this machine has not is no reason to do without ageing.
static void pin(void)
{
	cpu_set_t cpus;

	if (!ct.cfg.has_aging_core || ct.cfg.aging_core >= CPU_SETSIZE)
		return;
	CPU_ZERO(&cpus);
	CPU_SET(ct.cfg.aging_core, &cpus);
	(void)pthread_setaffinity_np(aging.thread, sizeof(cpus), &cpus);
}

doca_error_t ct_aging_start(void)
{
	pthread_condattr_t attr;
	doca_error_t result = DOCA_SUCCESS;

	if (ct_has(DOCA_FLOW_CT_FLAG_NO_COUNTER) || (!ct_aging_on() && !ct.cfg.stats_cb))
		return DOCA_SUCCESS;
	if (!steering_stats(flow.client))
		return refuse_steering(-errno, NULL, "mapping the statistics");
	aging.start_s = monotonic_s();
	if (ct.cfg.has_plugin)
		result = start_plugin();
	if (result != DOCA_SUCCESS)
		return result;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&aging.wake, &attr);
	pthread_condattr_destroy(&attr);
	aging.stop = false;
	pthread_mutex_lock(&ct.lock); // the thread begins when `thread` is known
	aging.running = !pthread_create(&aging.thread, NULL, aging_main, NULL);
	if (aging.running)
		pin();
	pthread_mutex_unlock(&ct.lock);
	if (aging.running)
		return DOCA_SUCCESS;
	stop_plugin();
	pthread_cond_destroy(&aging.wake);
	return refuse(DOCA_ERROR_OPERATING_SYSTEM, AT(.rule = "ct-aging"), "no thread for ageing");
}

void ct_aging_stop(void)
{
	if (!aging.running)
		return;
	pthread_mutex_lock(&ct.lock);
	aging.stop = true;
	pthread_cond_signal(&aging.wake);
	pthread_mutex_unlock(&ct.lock);
	pthread_join(aging.thread, NULL);
	aging.running = false;
	pthread_cond_destroy(&aging.wake);
	stop_plugin();
}

// --- what the queues' threads take over

// The first connection of a list, taken off it; *data: its counters.
static struct ct_conn *take_aged(struct ct_pipe *p, uint16_t queue)
{
	struct ct_conn *conn;

	pthread_mutex_lock(&p->lock);
	conn = TAILQ_FIRST(&p->aged[queue]);
	if (conn) {
		TAILQ_REMOVE(&p->aged[queue], conn, by_aged);
		conn->aged_listed = false;
		// Somebody else is at it.
		if (conn->state != CT_ALIVE || conn->pending)
			conn->aged = false;
	}
	pthread_mutex_unlock(&p->lock);
	return conn;
}

static bool out_of_quota(uint64_t start_us, uint64_t quota_us)
{
	struct timespec now;

	if (!quota_us)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 - start_us >= quota_us;
}

int ct_aging_handle(struct doca_flow_port *port, uint16_t queue, uint64_t quota_us, uint64_t max)
{
	struct timespec now;
	uint64_t start_us;
	int told = 0;

	clock_gettime(CLOCK_MONOTONIC, &now);
	start_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	for (unsigned int i = 0; i < CT_PIPES_MAX; i++) {
		struct ct_conn *conn;
		struct ct_pipe *p;

		while ((!max || (uint64_t)told < max) && !out_of_quota(start_us, quota_us) &&
			(p = ct_pipe_in(i, port)) && (conn = take_aged(p, queue))) {
			if (!conn->aged)
				continue;
			told++;
			if (flow.cfg.entry_cb)
				flow.cfg.entry_cb(&conn->handle, queue, DOCA_FLOW_ENTRY_STATUS_SUCCESS,
					DOCA_FLOW_ENTRY_OP_AGED, conn->handle.user_ctx);
		}
	}
	return told ? told : -1;
}

// The first connection whose counters moved, taken off the list with what they are; NULL = none.
static struct ct_conn *take_changed(
	struct ct_pipe *p, uint16_t queue, struct doca_flow_resource_query data[CT_SIDES])
{
	struct ct_conn *conn;

	pthread_mutex_lock(&p->lock);
	conn = TAILQ_FIRST(&p->changed[queue]);
	if (conn) {
		TAILQ_REMOVE(&p->changed[queue], conn, by_changed);
		conn->changed_listed = false;
		ct_conn_read(conn, data);
	}
	pthread_mutex_unlock(&p->lock);
	return conn;
}

void ct_stats_updates(struct doca_flow_port *port, uint16_t queue)
{
	for (unsigned int i = 0; ct.cfg.stats_cb && i < CT_PIPES_MAX; i++) {
		struct doca_flow_resource_query data[CT_SIDES];
		struct ct_conn *conn;
		struct ct_pipe *p;

		while ((p = ct_pipe_in(i, port)) && (conn = take_changed(p, queue, data)))
			ct.cfg.stats_cb(p->pipe, ct.cfg.priv_bytes ? conn->priv : NULL, &data[CT_ORIGIN],
				&data[CT_REPLY]);
	}
}
