// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Configuration objects of the library, of ports and of tuning. Setters store; contradictions between settings are found
// where the object is used.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"

#define NEED(argument)                                                          \
	do {                                                                    \
		if (!(argument))                                                \
			return refuse_argument(__func__, #argument, "is NULL"); \
	} while (0)

static doca_error_t create(void **object, size_t bytes, const char *function)
{
	if (!object)
		return refuse_argument(function, "cfg", "is NULL");
	*object = calloc(1, bytes);
	return *object ? DOCA_SUCCESS : refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", function);
}

static doca_error_t copy_text(
	char *to, size_t bytes, const char *from, const char *function, const char *argument)
{
	if (!from)
		return refuse_argument(function, argument, "is NULL");
	if (strlen(from) >= bytes)
		return refuse_argument(function, argument, "longer than %zu bytes", bytes - 1);
	memcpy(to, from, strlen(from) + 1);
	return DOCA_SUCCESS;
}

// --- library

doca_error_t doca_flow_cfg_create(struct doca_flow_cfg **cfg)
{
	doca_error_t result = create((void **)cfg, sizeof(**cfg), __func__);

	if (result == DOCA_SUCCESS) {
		(*cfg)->pipe_queues = 1;
		(*cfg)->queue_depth = FLOW_DEFAULT_DEPTH;
	}
	return result;
}

doca_error_t doca_flow_cfg_destroy(struct doca_flow_cfg *cfg)
{
	NEED(cfg);
	free(cfg);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_cfg_set_pipe_queues(struct doca_flow_cfg *cfg, uint16_t pipe_queues)
{
	NEED(cfg);
	if (!pipe_queues || pipe_queues > STEER_QUEUE_MAX)
		return refuse_argument(
			__func__, "pipe_queues", "%u is not in 1 .. %d", pipe_queues, STEER_QUEUE_MAX);
	cfg->pipe_queues = pipe_queues;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_cfg_set_queue_depth(struct doca_flow_cfg *cfg, uint32_t queue_depth)
{
	NEED(cfg);
	if (!queue_depth || queue_depth > 1u << 20)
		return refuse_argument(__func__, "queue_depth", "%u is not in 1 .. 2^20", queue_depth);
	cfg->queue_depth = queue_depth;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_cfg_set_mode_args(struct doca_flow_cfg *cfg, const char *mode_args)
{
	NEED(cfg);
	return copy_text(cfg->mode_args, sizeof(cfg->mode_args), mode_args, __func__, "mode_args");
}

doca_error_t doca_flow_cfg_set_nr_counters(struct doca_flow_cfg *cfg, uint32_t nr_counters)
{
	NEED(cfg);
	cfg->nr_counters = nr_counters;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_cfg_set_nr_meters(struct doca_flow_cfg *cfg, uint32_t nr_meters)
{
	NEED(cfg);
	cfg->nr_meters = nr_meters;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_cfg_set_nr_acl_collisions(struct doca_flow_cfg *cfg, uint8_t nr_acl_collisions)
{
	NEED(cfg);
	// How many colliding entries an ACL pipe can hold at least: here any number, up to nr_entries.
	(void)nr_acl_collisions;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_cfg_set_nr_shared_resource(
	struct doca_flow_cfg *cfg, uint32_t nr_shared_resource, enum doca_flow_shared_resource_type type)
{
	NEED(cfg);
	if ((unsigned int)type >= FLOW_SHARED_TYPES)
		return refuse_argument(
			__func__, "type", "%u is no kind of shared resource", (unsigned int)type);
	if (nr_shared_resource &&
		(type == DOCA_FLOW_SHARED_RESOURCE_PSP || type == DOCA_FLOW_SHARED_RESOURCE_IPSEC_SA))
		return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "type", .rule = "shared-kind"),
			"Ringfield has no IPsec and no PSP");
	cfg->nr_shared[type] = nr_shared_resource;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_cfg_set_resource_mode(
	struct doca_flow_cfg *cfg, const enum doca_flow_resource_mode mode)
{
	NEED(cfg);
	if ((unsigned int)mode > DOCA_FLOW_RESOURCE_MODE_PORT)
		return refuse_argument(__func__, "mode", "%u is no resource mode", (unsigned int)mode);
	cfg->resource_mode = mode;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_cfg_set_cb_pipe_process(struct doca_flow_cfg *cfg, doca_flow_pipe_process_cb cb)
{
	NEED(cfg);
	cfg->pipe_cb = cb;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_cfg_set_cb_entry_process(struct doca_flow_cfg *cfg, doca_flow_entry_process_cb cb)
{
	NEED(cfg);
	cfg->entry_cb = cb;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_cfg_set_cb_shared_resource_unbind(
	struct doca_flow_cfg *cfg, doca_flow_shared_resource_unbind_cb cb)
{
	NEED(cfg);
	cfg->unbind_cb = cb;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_cfg_set_rss_key(
	struct doca_flow_cfg *cfg, const uint8_t *rss_key, uint32_t rss_key_len)
{
	NEED(cfg);
	NEED(rss_key);
	if (rss_key_len != sizeof(cfg->rss_key))
		return refuse_argument(__func__, "rss_key_len", "%u: a Toeplitz key has %zu bytes",
			rss_key_len, sizeof(cfg->rss_key));
	memcpy(cfg->rss_key, rss_key, rss_key_len);
	cfg->has_rss_key = true;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_cfg_set_definitions(
	struct doca_flow_cfg *cfg, const struct doca_flow_definitions *defs)
{
	NEED(cfg);
	NEED(defs);
	return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "definitions", .rule = "definitions"),
		"fields of a program's own are not part of Ringfield: matches and actions have those of "
		"doca_flow.h");
}

doca_error_t doca_flow_cfg_set_tune_cfg(struct doca_flow_cfg *cfg, struct doca_flow_tune_cfg *tune_cfg)
{
	NEED(cfg);
	NEED(tune_cfg);
	if (tune_cfg->profile != DOCA_FLOW_TUNE_PROFILE_NONE)
		return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "profile", .rule = "tune-server"),
			"there is no Flow Tune server; statistics, pipelines and traces are always to be had "
			"(doca_flow_ringfield.h, ringfield pipe show)");
	return DOCA_SUCCESS;
}

// --- tuning

doca_error_t doca_flow_tune_cfg_create(struct doca_flow_tune_cfg **tune_cfg)
{
	return create((void **)tune_cfg, sizeof(**tune_cfg), __func__);
}

doca_error_t doca_flow_tune_cfg_destroy(struct doca_flow_tune_cfg *tune_cfg)
{
	NEED(tune_cfg);
	free(tune_cfg);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_tune_cfg_set_profile(
	struct doca_flow_tune_cfg *tune_cfg, enum doca_flow_tune_profile profile)
{
	NEED(tune_cfg);
	if (profile != DOCA_FLOW_TUNE_PROFILE_NONE && profile != DOCA_FLOW_TUNE_PROFILE_PIPELINE &&
		profile != DOCA_FLOW_TUNE_PROFILE_FULL)
		return refuse_argument(__func__, "profile", "%u is no profile", (unsigned int)profile);
	tune_cfg->profile = profile;
	return DOCA_SUCCESS;
}

// --- ports

doca_error_t doca_flow_port_cfg_create(struct doca_flow_port_cfg **cfg)
{
	return create((void **)cfg, sizeof(**cfg), __func__);
}

doca_error_t doca_flow_port_cfg_destroy(struct doca_flow_port_cfg *cfg)
{
	NEED(cfg);
	free(cfg);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_port_cfg_set_port_id(struct doca_flow_port_cfg *cfg, uint16_t port_id)
{
	NEED(cfg);
	if (port_id == UINT16_MAX)
		return refuse_argument(
			__func__, "port_id", "0xffff means \"comes with the entry\" in matches");
	cfg->id = port_id;
	cfg->has_id = true;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_port_cfg_set_dev(struct doca_flow_port_cfg *cfg, struct doca_dev *dev)
{
	NEED(cfg);
	NEED(dev);
	cfg->dev = dev;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_port_cfg_set_dev_rep(struct doca_flow_port_cfg *cfg, struct doca_dev_rep *dev)
{
	NEED(cfg);
	NEED(dev);
	cfg->rep = dev;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_port_cfg_set_devargs(struct doca_flow_port_cfg *cfg, const char *devargs)
{
	char text[256], *rest = text, *word;
	doca_error_t result;

	NEED(cfg);
	result = copy_text(text, sizeof(text), devargs, __func__, "devargs");
	// What programs for a card say of its steering, and is so here: no window of threads, steering by "hardware".
	while (result == DOCA_SUCCESS && (word = strsep(&rest, ","))) {
		if (*word && strcmp(word, "th_win_us=0") && strcmp(word, "dv_flow_en=2"))
			result = refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "devargs", .rule = "devargs"),
				"\"%s\" is not one of th_win_us=0, dv_flow_en=2", word);
	}
	return result;
}

doca_error_t doca_flow_port_cfg_set_priv_data_size(struct doca_flow_port_cfg *cfg, uint16_t priv_data_size)
{
	NEED(cfg);
	cfg->priv_bytes = priv_data_size;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_port_cfg_set_actions_mem_size(struct doca_flow_port_cfg *cfg, uint32_t size)
{
	NEED(cfg);
	if (size && (size < 64 || size & (size - 1)))
		return refuse_argument(__func__, "size", "%u is not a power of two of at least 64", size);
	cfg->actions_mem_size = size;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_port_cfg_set_nr_resources(
	struct doca_flow_port_cfg *cfg, enum doca_flow_resource resource, uint32_t nr_resources)
{
	NEED(cfg);
	if ((unsigned int)resource >= FLOW_RESOURCES)
		return refuse_argument(
			__func__, "resource", "%u is no kind of resource", (unsigned int)resource);
	if (nr_resources && (resource == DOCA_FLOW_RESOURCE_PSP || resource == DOCA_FLOW_RESOURCE_IPSEC_SA))
		return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "resource", .rule = "shared-kind"),
			"Ringfield has no IPsec and no PSP");
	cfg->nr_resources[resource] = nr_resources;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_port_cfg_set_ipsec_sn_offload_disable(struct doca_flow_port_cfg *cfg)
{
	NEED(cfg);
	return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "ipsec_sn_offload", .rule = "crypto"),
		"Ringfield has no IPsec, and nothing is offloaded");
}

doca_error_t doca_flow_port_cfg_set_operation_state(
	struct doca_flow_port_cfg *cfg, enum doca_flow_port_operation_state state)
{
	NEED(cfg);
	if ((unsigned int)state > DOCA_FLOW_PORT_OPERATION_STATE_UNCONNECTED)
		return refuse_argument(__func__, "state", "%u is no operation state", (unsigned int)state);
	if (state != DOCA_FLOW_PORT_OPERATION_STATE_ACTIVE)
		return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "state", .rule = "operation-state"),
			"a port of the fast path has one instance, which is active");
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_port_cfg_set_service_threads_core(struct doca_flow_port_cfg *cfg, uint32_t core)
{
	NEED(cfg);
	(void)core;
	return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "core", .rule = "service-threads"),
		"there are no service threads to place: the fast path's workers count");
}

doca_error_t doca_flow_port_cfg_set_service_threads_cycle(struct doca_flow_port_cfg *cfg, uint32_t cycle_ms)
{
	NEED(cfg);
	// How old a counter may be that a query gives: here none is older than the query.
	if (!cycle_ms)
		return refuse_argument(__func__, "cycle_ms", "is 0");
	return DOCA_SUCCESS;
}
