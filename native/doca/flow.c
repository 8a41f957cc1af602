// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// The library as a whole: where the fast path is, init and destroy.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "complete.h"
#include <doca_flow_ct.h>

#include "entry.h"
#include "flow.h"
#include "listing.h"
#include "shared.h"
#include "txn.h"

// Recursive: callbacks run under it in a few places, and may call DOCA.
struct flow flow = {
	.lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP, .ports = TAILQ_HEAD_INITIALIZER(flow.ports)};

static struct {
	char runtime_dir[4096 - 64];
	char session[STEER_NAME_MAX];
	uint32_t flags;
	uint32_t timeout_ms;
	uint32_t packet_ring_bytes;
	uint32_t flow_ring_bytes;
} attach;

doca_error_t flow_check_state(const char *function)
{
	if (!flow.initialised)
		return refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "init-order"),
			"%s() comes after doca_flow_init()", function);
	return DOCA_SUCCESS;
}

// --- attaching

doca_error_t doca_flow_ringfield_set_attach(const struct doca_flow_ringfield_attach *settings)
{
	const uint32_t known = DOCA_FLOW_RINGFIELD_DURABLE | DOCA_FLOW_RINGFIELD_READER;

	if (flow.initialised)
		return refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "init-order"),
			"%s() comes before doca_flow_init()", __func__);
	if (!settings) {
		flow_lock();
		memset(&attach, 0, sizeof(attach));
		flow_unlock();
		return DOCA_SUCCESS;
	}
	if (settings->runtime_dir && strlen(settings->runtime_dir) >= sizeof(attach.runtime_dir))
		return refuse_argument(__func__, "runtime_dir", "too long");
	if (settings->session && strlen(settings->session) >= sizeof(attach.session))
		return refuse_argument(
			__func__, "session", "longer than %zu bytes", sizeof(attach.session) - 1);
	if (settings->flags & ~known || settings->flags == known)
		return refuse_argument(__func__, "flags", "0x%x is not one of the flags", settings->flags);
	if (settings->flags & DOCA_FLOW_RINGFIELD_DURABLE && !(settings->session && *settings->session))
		return refuse_argument(__func__, "session", "a durable session needs a name");
	flow_lock();
	snprintf(attach.runtime_dir, sizeof(attach.runtime_dir), "%s",
		settings->runtime_dir ? settings->runtime_dir : "");
	snprintf(attach.session, sizeof(attach.session), "%s", settings->session ? settings->session : "");
	attach.flags = settings->flags;
	attach.timeout_ms = settings->timeout_ms;
	attach.packet_ring_bytes = settings->packet_ring_bytes;
	attach.flow_ring_bytes = settings->flow_ring_bytes;
	flow_unlock();
	return DOCA_SUCCESS;
}

// The same places, in the same order, as the appliance.
static void socket_path(char *path, size_t bytes)
{
	const char *dir = attach.runtime_dir, *base;

	if (!*dir)
		dir = getenv("RINGFIELD_RUNTIME_DIR");
	if (dir && *dir)
		snprintf(path, bytes, "%s/steering.sock", dir);
	else if ((base = getenv("XDG_RUNTIME_DIR")) && *base)
		snprintf(path, bytes, "%s/ringfield/steering.sock", base);
	else if (!geteuid())
		snprintf(path, bytes, "/run/ringfield/steering.sock");
	else
		snprintf(path, bytes, "/tmp/ringfield-%u/steering.sock", geteuid());
}

static void session_name(char *name, size_t bytes)
{
	const char *given = attach.session;

	if (!*given)
		given = getenv("RINGFIELD_SESSION");
	if (given && *given)
		snprintf(name, bytes, "%s", given);
	else
		snprintf(name, bytes, "%.40s-%d", program_invocation_short_name, (int)getpid());
}

// Work entries in flight that a queue's rings must hold: the depth counts per port, all ports share the rings.
static uint32_t ring_depth(const struct doca_flow_cfg *cfg)
{
	uint64_t depth = (uint64_t)cfg->queue_depth * 8;

	return depth < 1024 ? 1024 : depth > 16384 ? 16384 : (uint32_t)depth;
}

doca_error_t flow_connect(uint32_t flags, const struct doca_flow_cfg *cfg, struct steering_client **client)
{
	char path[4096], name[STEER_NAME_MAX], why[STEERING_WHY_MAX];
	struct steering_options options = {
		.path = path,
		.name = name,
		.flags = flags,
		.timeout_ms = attach.timeout_ms,
		.packet_ring_bytes = attach.packet_ring_bytes,
	};
	int status;

	socket_path(path, sizeof(path));
	session_name(name, sizeof(name));
	if (cfg && !(flags & STEER_SESSION_READER)) {
		options.nr_queues = cfg->pipe_queues;
		options.queue_depth = ring_depth(cfg);
		options.flow_ring_bytes = attach.flow_ring_bytes;
		// Counters of shared resources and of default misses come on top of the program's own.
		if (cfg->resource_mode == DOCA_FLOW_RESOURCE_MODE_SYSTEM && cfg->nr_counters) {
			options.nr_counters = cfg->nr_counters +
					      cfg->nr_shared[DOCA_FLOW_SHARED_RESOURCE_COUNTER] +
					      STEER_PORT_MAX;
			options.nr_meters = cfg->nr_meters + cfg->nr_shared[DOCA_FLOW_SHARED_RESOURCE_METER];
		}
	}
	status = steering_connect(&options, client, why, sizeof(why));
	if (status == -ENOENT || status == -ECONNREFUSED)
		return refuse(DOCA_ERROR_NOT_CONNECTED, AT(.rule = "attach"), "%s", why);
	if (status < 0)
		return refuse(error_from_errno(status), AT(.rule = "attach"), "%s", why);
	return DOCA_SUCCESS;
}

doca_error_t flow_reader_get(struct steering_client **client)
{
	if (flow.client) {
		*client = flow.client;
		return DOCA_SUCCESS;
	}
	return flow_connect(STEER_SESSION_READER, NULL, client);
}

void flow_reader_put(struct steering_client *client)
{
	if (client != flow.client)
		steering_close(client);
}

doca_error_t flow_port_infos(
	struct steering_client *client, struct steer_port_info **ports, unsigned int *nr_ports)
{
	uint32_t length;
	int status;

	*ports = calloc(STEER_PORT_MAX, sizeof(**ports));
	if (!*ports)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
	status = steering_call(
		client, STEER_OP_PORT_LIST, NULL, 0, *ports, STEER_PORT_MAX * sizeof(**ports), &length);
	if (status < 0) {
		free(*ports);
		*ports = NULL;
		return refuse_steering(status, NULL, "listing ports");
	}
	*nr_ports = length / sizeof(**ports);
	return DOCA_SUCCESS;
}

// --- init

static bool shared_in_use(void)
{
	for (unsigned int type = 0; type < FLOW_SHARED_TYPES; type++)
		for (uint32_t id = 0; id < flow.nr_shared[type]; id++)
			if (flow.shared[type][id].configured)
				return true;
	return false;
}

// The rings of a session are made when it begins, and nothing depends on it yet.
doca_error_t flow_add_queues(uint16_t nr, uint32_t depth)
{
	struct doca_flow_cfg cfg = flow.cfg;
	doca_error_t result;

	if (shared_in_use())
		return refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "init-order"),
			"shared resources are configured after connection tracking is initialised");
	cfg.pipe_queues = (uint16_t)(cfg.pipe_queues + nr);
	cfg.queue_depth = depth > cfg.queue_depth ? depth : cfg.queue_depth;
	steering_close(flow.client);
	flow.client = NULL;
	result = flow_connect(attach.flags, &cfg, &flow.client);
	if (result != DOCA_SUCCESS) {
		// Without a session there is nothing to go on with.
		entries_fini();
		shared_fini();
		flow.initialised = false;
		return result;
	}
	flow.ct_queues = nr;
	flow.ct_depth = depth;
	return DOCA_SUCCESS;
}

static const char *const modifiers[] = {
	"hws", "isolated", "expert", "disable_switch_rss", "cpds", "swe", "doca_vnf"};

static doca_error_t parse_mode(const struct doca_flow_cfg *cfg)
{
	char text[sizeof(cfg->mode_args)], *rest = text, *word;
	bool vnf = false, is_switch = false;

	memcpy(text, cfg->mode_args, sizeof(text));
	flow.expert = false;
	while ((word = strsep(&rest, ","))) {
		bool known = !*word;

		for (unsigned int i = 0; i < sizeof(modifiers) / sizeof(modifiers[0]); i++)
			known |= !strcmp(word, modifiers[i]);
		vnf |= !strcmp(word, "vnf");
		is_switch |= !strcmp(word, "switch");
		flow.expert |= !strcmp(word, "expert");
		if (!strcmp(word, "remote-vnf"))
			return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "mode_args", .rule = "mode"),
				"remote-vnf mode is gone from DOCA Flow, too");
		if (!known && strcmp(word, "vnf") && strcmp(word, "switch"))
			return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "mode_args", .rule = "mode"),
				"unknown word \"%s\"", word);
	}
	if (vnf && is_switch)
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "mode_args", .rule = "mode"),
			"vnf and switch exclude each other");
	flow.switch_mode = is_switch;
	return DOCA_SUCCESS;
}

static doca_error_t check_shared(const struct doca_flow_cfg *cfg)
{
	for (unsigned int type = 0; type < FLOW_SHARED_TYPES; type++) {
		if (cfg->nr_shared[type] > UINT16_MAX)
			return refuse(DOCA_ERROR_TOO_BIG,
				AT(.field = "nr_shared_resource", .rule = "shared-reserve"),
				"%u shared resources of kind %u, at most 65535 are possible",
				cfg->nr_shared[type], type);
	}
	return DOCA_SUCCESS;
}

static bool note_number(
	const struct steer_entry_info *info, const struct steer_entry_add *record, void *context)
{
	uint32_t *first = context;

	(void)record;
	if (info->entry >= *first)
		*first = info->entry + 1;
	return true;
}

// A resumed session has entries, whose numbers must not be given out again.
static doca_error_t init_entries(void)
{
	const struct steer_hello_reply *hello = steering_session(flow.client);
	struct steer_pipe_info *pipes = NULL;
	unsigned int nr = 0;
	uint32_t first = 0;
	doca_error_t result = DOCA_SUCCESS;

	if (hello->resumed)
		result = list_pipes(hello->session, STEER_PORT_NONE, &pipes, &nr);
	for (unsigned int i = 0; i < nr && result == DOCA_SUCCESS; i++)
		result = list_entries(pipes[i].pipe, STEER_ENTRY_NONE, 0, note_number, &first);
	free(pipes);
	if (result == DOCA_SUCCESS)
		entries_init(first);
	return result;
}

doca_error_t flow_check_connected(void)
{
	if (!__atomic_load_n(&flow.lost, __ATOMIC_RELAXED))
		return DOCA_SUCCESS;
	return refuse(DOCA_ERROR_NOT_CONNECTED, AT(.rule = "attach"),
		"the fast path is gone; doca_flow_destroy() and doca_flow_init() attach again");
}

doca_error_t doca_flow_init(struct doca_flow_cfg *cfg)
{
	doca_error_t result;

	if (!cfg)
		return refuse_argument(__func__, "cfg", "is NULL");
	flow_lock();
	if (flow.initialised)
		result = refuse(
			DOCA_ERROR_BAD_STATE, AT(.rule = "init-once"), "DOCA Flow is initialised already");
	else
		result = parse_mode(cfg);
	if (result == DOCA_SUCCESS)
		result = check_shared(cfg);
	if (result == DOCA_SUCCESS)
		result = flow_connect(attach.flags, cfg, &flow.client);
	if (result == DOCA_SUCCESS) {
		flow.cfg = *cfg;
		flow.ct_queues = 0;
		flow.reader = attach.flags & DOCA_FLOW_RINGFIELD_READER;
		flow.counters_used = flow.meters_used = 0;
		result = shared_init(cfg);
		if (result == DOCA_SUCCESS)
			result = init_entries();
		flow.lost = false;
		flow.initialised = result == DOCA_SUCCESS;
		if (result != DOCA_SUCCESS) {
			shared_fini();
			steering_close(flow.client);
			flow.client = NULL;
		}
	}
	flow_unlock();
	return result;
}

void doca_flow_destroy(void)
{
	struct doca_flow_port *port;

	doca_flow_ct_destroy();
	flow_lock();
	if (flow.initialised) {
		// In a durable session the fast path keeps everything; only the handles go. An ephemeral session's end
		// takes its ports and pipes along.
		while ((port = TAILQ_LAST(&flow.ports, port_list)))
			port_forget(port);
		steering_close(flow.client);
		flow.client = NULL;
		entries_fini();
		complete_fini();
		packets_fini();
		txn_fini();
		shared_fini();
		flow.initialised = false;
	}
	flow_unlock();
}

// --- this session and others

static void session_from_wire(struct doca_flow_ringfield_session *to, const struct steer_session_info *from)
{
	memset(to, 0, sizeof(*to));
	snprintf(to->name, sizeof(to->name), "%.*s", STEER_NAME_MAX - 1, from->name);
	to->session = from->session;
	to->flags = from->flags;
	to->attached = from->attached;
	to->nr_pipes = from->nr_pipes;
	to->nr_entries = from->nr_entries;
	to->pid = from->client_pid;
}

static doca_error_t session_infos(
	struct steering_client *client, struct steer_session_info **sessions, unsigned int *nr)
{
	uint32_t length;
	int status;

	*sessions = malloc(STEER_MSG_MAX);
	if (!*sessions)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
	status = steering_call(client, STEER_OP_SESSION_LIST, NULL, 0, *sessions, STEER_MSG_MAX, &length);
	if (status < 0) {
		free(*sessions);
		return refuse_steering(status, NULL, "listing sessions");
	}
	*nr = length / sizeof(**sessions);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ringfield_session_list(
	struct doca_flow_ringfield_session *sessions, uint32_t max, uint32_t *nr)
{
	struct steer_session_info *infos;
	unsigned int nr_infos;
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (!nr || (max && !sessions))
		return refuse_argument(__func__, "sessions", "an argument is NULL");
	result = session_infos(flow.client, &infos, &nr_infos);
	if (result != DOCA_SUCCESS)
		return result;
	for (unsigned int i = 0; i < nr_infos && i < max; i++)
		session_from_wire(&sessions[i], &infos[i]);
	*nr = nr_infos;
	free(infos);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ringfield_session_self(struct doca_flow_ringfield_session *self)
{
	const struct steer_hello_reply *hello;
	struct steer_session_info *infos;
	unsigned int nr_infos;
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	if (!self)
		return refuse_argument(__func__, "self", "is NULL");
	hello = steering_session(flow.client);
	memset(self, 0, sizeof(*self));
	result = session_infos(flow.client, &infos, &nr_infos);
	if (result != DOCA_SUCCESS)
		return result;
	for (unsigned int i = 0; i < nr_infos; i++)
		if (infos[i].session == hello->session)
			session_from_wire(self, &infos[i]);
	free(infos);
	self->session = hello->session;
	self->attached = true;
	self->resumed = hello->resumed;
	self->nr_workers = (uint16_t)hello->nr_workers;
	self->boot_id = hello->boot_id;
	self->pid = hello->pid;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ringfield_session_drop(const char *name)
{
	struct steer_session_ref ref = {{0}};
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	if (!name || strlen(name) >= sizeof(ref.name))
		return refuse_argument(__func__, "name", "is NULL or too long");
	memcpy(ref.name, name, strlen(name));
	status = steering_call_exact(flow.client, STEER_OP_SESSION_DROP, &ref, sizeof(ref), NULL, 0);
	return status < 0 ? refuse_steering(status, NULL, "dropping a session") : DOCA_SUCCESS;
}

bool doca_flow_ringfield_alive(void)
{
	return flow.client && steering_alive(flow.client);
}

doca_error_t doca_flow_ringfield_shutdown(void)
{
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	status = steering_call_exact(flow.client, STEER_OP_SHUTDOWN, NULL, 0, NULL, 0);
	return status < 0 ? refuse_steering(status, NULL, "shutting the fast path down") : DOCA_SUCCESS;
}
