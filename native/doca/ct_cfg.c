// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Connection tracking as a whole: its configuration, init and destroy, and zones.

#include <stdlib.h>
#include <string.h>

#include "ct.h"

struct ct ct = {.lock = PTHREAD_MUTEX_INITIALIZER};

// --- configuration

#define NEED(argument)                                                          \
	do {                                                                    \
		if (!(argument))                                                \
			return refuse_argument(__func__, #argument, "is NULL"); \
	} while (0)

doca_error_t doca_flow_ct_cfg_create(struct doca_flow_ct_cfg **cfg)
{
	NEED(cfg);
	*cfg = calloc(1, sizeof(**cfg));
	if (!*cfg)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
	(*cfg)->queues = 1;
	(*cfg)->queue_depth = CT_DEFAULT_DEPTH;
	(*cfg)->zone_max = CT_DEFAULT_ZONE_MAX;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_destroy(struct doca_flow_ct_cfg *cfg)
{
	NEED(cfg);
	free(cfg);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_flags(struct doca_flow_ct_cfg *cfg, uint32_t flags)
{
	const uint32_t known = DOCA_FLOW_CT_FLAG_REPLY_WIRE * 2 - 1;

	NEED(cfg);
	if (flags & ~known)
		return refuse_argument(__func__, "flags", "0x%x has unknown bits", flags);
	cfg->flags = flags;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_queues(struct doca_flow_ct_cfg *cfg, uint32_t n_queues)
{
	NEED(cfg);
	if (!n_queues || n_queues >= STEER_QUEUE_MAX)
		return refuse_argument(
			__func__, "n_queues", "%u is not in 1 .. %d", n_queues, STEER_QUEUE_MAX - 1);
	cfg->queues = n_queues;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_queue_depth(struct doca_flow_ct_cfg *cfg, uint32_t queue_depth)
{
	NEED(cfg);
	if (queue_depth < CT_SIDES || queue_depth > 1u << 20)
		return refuse_argument(__func__, "queue_depth", "%u is not in 2 .. 2^20", queue_depth);
	cfg->queue_depth = queue_depth;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_ctrl_queues(struct doca_flow_ct_cfg *cfg, uint32_t n_ctrl_queues)
{
	NEED(cfg);
	if (n_ctrl_queues >= STEER_QUEUE_MAX)
		return refuse_argument(
			__func__, "n_ctrl_queues", "%u is not below %d", n_ctrl_queues, STEER_QUEUE_MAX);
	cfg->ctrl_queues = n_ctrl_queues;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_user_actions(struct doca_flow_ct_cfg *cfg, uint32_t n_user_actions)
{
	NEED(cfg);
	cfg->user_actions = n_user_actions;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_connections(
	struct doca_flow_ct_cfg *cfg, uint32_t n_ipv4, uint32_t n_ipv6, uint32_t n_total)
{
	uint64_t sum = (uint64_t)n_ipv4 + n_ipv6;

	NEED(cfg);
	if (sum > STEER_ENTRY_ID_MAX / CT_SIDES || n_total > STEER_ENTRY_ID_MAX / CT_SIDES)
		return refuse(DOCA_ERROR_TOO_BIG, AT(.field = "connections", .rule = "ct-connections"),
			"%s: at most %d connections are possible", __func__, STEER_ENTRY_ID_MAX / CT_SIDES);
	cfg->max_ipv4 = n_ipv4;
	cfg->max_ipv6 = n_ipv6;
	cfg->max_total = n_total;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_max_connections_per_zone(
	struct doca_flow_ct_cfg *cfg, uint32_t max_connections_per_zone)
{
	NEED(cfg);
	if (!max_connections_per_zone)
		return refuse_argument(__func__, "max_connections_per_zone", "is 0");
	cfg->zone_max = max_connections_per_zone;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_counter_asymmetric(
	struct doca_flow_ct_cfg *cfg, uint32_t n_counter_asymmetric)
{
	NEED(cfg);
	cfg->asymmetric = n_counter_asymmetric;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_entry_private_data_size(
	struct doca_flow_ct_cfg *cfg, uint32_t entry_priv_data_size)
{
	NEED(cfg);
	if (entry_priv_data_size > 1u << 16)
		return refuse_argument(__func__, "entry_priv_data_size", "%u is more than 65536 bytes",
			entry_priv_data_size);
	cfg->priv_bytes = entry_priv_data_size;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_entry_finalize_cb(
	struct doca_flow_ct_cfg *cfg, doca_flow_ct_entry_finalize_cb entry_finalize_cb)
{
	NEED(cfg);
	cfg->finalize_cb = entry_finalize_cb;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_status_update_cb(
	struct doca_flow_ct_cfg *cfg, doca_flow_ct_stats_update_cb stats_update_cb)
{
	NEED(cfg);
	cfg->stats_cb = stats_update_cb;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_aging_core(struct doca_flow_ct_cfg *cfg, uint32_t aging_core)
{
	NEED(cfg);
	cfg->has_aging_core = true;
	cfg->aging_core = aging_core;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_aging_query_delay(
	struct doca_flow_ct_cfg *cfg, uint32_t aging_query_delay_s)
{
	NEED(cfg);
	cfg->aging_delay_s = aging_query_delay_s;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_aging_plugin_ops(
	struct doca_flow_ct_cfg *cfg, struct doca_flow_ct_aging_ops *aging_ops)
{
	NEED(cfg);
	NEED(aging_ops);
	if (!aging_ops->aging_init_cb || !aging_ops->aging_shutdown_cb || !aging_ops->conn_sync_cb ||
		!aging_ops->aging_timer_cb)
		return refuse_argument(__func__, "aging_ops", "a plug-in has all four callbacks");
	cfg->has_plugin = true;
	cfg->plugin = *aging_ops;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_dup_filter_size(struct doca_flow_ct_cfg *cfg, uint32_t dup_filter_sz)
{
	NEED(cfg);
	if (dup_filter_sz > 1u << 24)
		return refuse_argument(__func__, "dup_filter_sz", "%u is more than 2^24", dup_filter_sz);
	cfg->dup_filter = dup_filter_sz;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_cfg_set_direction(struct doca_flow_ct_cfg *cfg, bool direction, bool match_inner,
	struct doca_flow_meta *zone_match_mask, struct doca_flow_ct_meta *meta_modify_mask)
{
	struct ct_side_cfg side = {.inner = match_inner};
	doca_be32_t words[1 + DOCA_FLOW_META_SCRATCH_PAD_MAX];

	_Static_assert(sizeof(words) == sizeof(*zone_match_mask), "words of metadata");
	_Static_assert(STEER_F_META_U32_9 - STEER_F_META_PKT == DOCA_FLOW_META_SCRATCH_PAD_MAX,
		"fields of metadata in order");
	NEED(cfg);
	NEED(zone_match_mask);
	NEED(meta_modify_mask);
	memcpy(words, zone_match_mask, sizeof(words));
	for (uint16_t i = 0; i <= DOCA_FLOW_META_SCRATCH_PAD_MAX; i++) {
		if (!words[i])
			continue;
		if (side.zone_mask)
			return refuse_argument(
				__func__, "zone_match_mask", "the zone is in one word of metadata only");
		side.zone_mask = words[i];
		side.zone_field = (uint16_t)(STEER_F_META_PKT + i);
	}
	side.modify = *meta_modify_mask;
	// Whether there is a mark; it is always whole. Programs give this mask in either byte order.
	if (side.modify.mark)
		side.modify.mark = DOCA_HTOBE32(0xffffff);
	cfg->side[direction ? CT_REPLY : CT_ORIGIN] = side;
	return DOCA_SUCCESS;
}

// --- init

static bool sides_differ(const struct doca_flow_ct_cfg *cfg)
{
	const struct ct_side_cfg *o = &cfg->side[CT_ORIGIN], *r = &cfg->side[CT_REPLY];

	return o->inner != r->inner || o->zone_field != r->zone_field || o->zone_mask != r->zone_mask;
}

static doca_error_t check_cfg(const struct doca_flow_ct_cfg *cfg)
{
	const uint32_t wire[CT_SIDES] = {DOCA_FLOW_CT_FLAG_ORIGIN_WIRE, DOCA_FLOW_CT_FLAG_REPLY_WIRE};

	if (cfg->queues + cfg->ctrl_queues + flow.cfg.pipe_queues > STEER_QUEUE_MAX)
		return refuse(DOCA_ERROR_TOO_BIG, AT(.field = "queues", .rule = "ct-queues"),
			"%u pipe queues, %u CT queues and %u control queues are more than %d",
			flow.cfg.pipe_queues, cfg->queues, cfg->ctrl_queues, STEER_QUEUE_MAX);
	if (sides_differ(cfg) && !(cfg->flags & DOCA_FLOW_CT_FLAG_ASYMMETRIC_TUNNEL))
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "direction", .rule = "ct-asymmetric"),
			"origin and reply look at different headers or zones: that takes "
			"DOCA_FLOW_CT_FLAG_ASYMMETRIC_TUNNEL");
	for (int side = 0; side < CT_SIDES; side++)
		if (cfg->side[side].modify.mark && !(cfg->flags & wire[side] && flow.expert))
			return refuse(DOCA_ERROR_INVALID_VALUE,
				AT(.field = "meta_modify_mask.mark", .rule = "ct-mark"),
				"a mark takes the direction's WIRE flag and expert mode");
	if (cfg->has_plugin && cfg->flags & (DOCA_FLOW_CT_FLAG_NO_AGING | DOCA_FLOW_CT_FLAG_NO_COUNTER))
		return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = "aging_plugin_ops", .rule = "ct-aging"),
			"an ageing plug-in without ageing or counters has nothing to do");
	return DOCA_SUCCESS;
}

static doca_error_t check_order(void)
{
	if (ct.initialised)
		return refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "init-once"),
			"connection tracking is initialised already");
	if (!TAILQ_EMPTY(&flow.ports))
		return refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "init-order"),
			"doca_flow_ct_init() comes before the first doca_flow_port_start()");
	if (flow.reader)
		return refuse(DOCA_ERROR_NOT_PERMITTED, AT(.rule = "reader"),
			"a reader session has no connections");
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_init(const struct doca_flow_ct_cfg *cfg)
{
	doca_error_t result = flow_check_state(__func__);

	if (result != DOCA_SUCCESS)
		return result;
	NEED(cfg);
	flow_lock();
	result = check_order();
	if (result == DOCA_SUCCESS)
		result = check_cfg(cfg);
	if (result == DOCA_SUCCESS)
		result = flow_add_queues((uint16_t)(cfg->queues + cfg->ctrl_queues), cfg->queue_depth);
	if (result == DOCA_SUCCESS) {
		ct.cfg = *cfg;
		ct.split = sides_differ(cfg);
		ct.conns_per_pipe = cfg->max_total ? cfg->max_total : cfg->max_ipv4 + cfg->max_ipv6;
		ct.initialised = true;
		result = ct_aging_start();
		ct.initialised = result == DOCA_SUCCESS;
	}
	flow_unlock();
	return result;
}

void doca_flow_ct_destroy(void)
{
	// Not under the lock: the ageing thread's callbacks may call the library.
	if (!ct.initialised)
		return;
	ct_aging_stop();
	flow_lock();
	ct.initialised = false;
	flow_unlock();
}

doca_error_t doca_flow_ct_cap_is_dev_supported(const struct doca_devinfo *devinfo)
{
	NEED(devinfo);
	return DOCA_SUCCESS;
}

doca_error_t ct_check(const char *function, uint16_t queue, const struct doca_flow_pipe *pipe, bool ctrl)
{
	doca_error_t result = flow_check_state(function);
	unsigned int first = flow.cfg.pipe_queues;
	unsigned int end = first + ct.cfg.queues + (ctrl ? ct.cfg.ctrl_queues : 0);

	if (result != DOCA_SUCCESS)
		return result;
	if (!ct.initialised)
		return refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "init-order"),
			"%s() comes after doca_flow_ct_init()", function);
	if (!pipe)
		return refuse_argument(function, "pipe", "is NULL");
	if (!pipe->conns)
		return refuse(
			pipe->type == DOCA_FLOW_PIPE_CT ? DOCA_ERROR_BAD_STATE : DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "pipe", .rule = "pipe-type"),
			"%s() is for managed CT pipes that this program made", function);
	if (queue < first || queue >= end)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe->name, .field = "queue", .rule = "ct-queues"),
			"CT queues are %u to %u, not %u: they follow the pipe queues", first, end - 1, queue);
	return DOCA_SUCCESS;
}

// --- zones

doca_be32_t ct_zone_place(enum ct_side side, uint32_t zone)
{
	uint32_t mask = DOCA_BETOH32(ct.cfg.side[side].zone_mask);

	return mask ? DOCA_HTOBE32(zone << __builtin_ctz(mask) & mask) : 0;
}

static doca_be32_t *zone_word(struct doca_flow_meta *meta, enum ct_side side)
{
	uint16_t field = ct.cfg.side[side].zone_field;

	if (field == STEER_F_NONE)
		return NULL;
	return field == STEER_F_META_PKT ? &meta->pkt_meta : &meta->u32[field - STEER_F_META_U32_0];
}

static enum ct_side side_of(bool is_reply)
{
	return is_reply && ct.split ? CT_REPLY : CT_ORIGIN;
}

void doca_flow_ct_meta_set_match_zone(struct doca_flow_meta *meta, uint32_t zone, bool is_reply)
{
	enum ct_side side = side_of(is_reply);
	doca_be32_t *word = meta ? zone_word(meta, side) : NULL;

	if (!word) {
		refuse(DOCA_ERROR_BAD_STATE, AT(.field = "zone", .rule = "ct-zone"),
			"%s(): no zone mask was configured, or meta is NULL", __func__);
		return;
	}
	*word = (*word & ~ct.cfg.side[side].zone_mask) | ct_zone_place(side, zone);
}

void doca_flow_ct_meta_prepare(struct doca_flow_meta *meta, uint32_t zone, bool is_reply)
{
	doca_flow_ct_meta_set_match_zone(meta, zone, is_reply);
}

void doca_flow_ct_meta_mask_prepare(struct doca_flow_meta *meta, bool is_reply)
{
	doca_flow_ct_meta_set_match_zone(meta, UINT32_MAX, is_reply);
}

uint32_t doca_flow_ct_meta_get_zone_offset(bool is_reply)
{
	const struct ct_side_cfg *side = &ct.cfg.side[side_of(is_reply)];

	if (!side->zone_mask)
		return UINT32_MAX;
	return (side->zone_field - STEER_F_META_PKT) * 32u +
	       (uint32_t)__builtin_ctz(DOCA_BETOH32(side->zone_mask));
}
