// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// What a pipe of each type may have: one table, and the few rules that are not of that shape.

#include "pipe_create.h"

struct type_rules {
	const char *name;
	bool supported;
	bool root;
	bool match;   // a pipe-level match
	bool actions; // action templates
	bool resizable;
	bool lists;
	bool power_of_two; // of entries
};

static const struct type_rules types[] = {
	[DOCA_FLOW_PIPE_BASIC] = {"BASIC", true, true, true, true, true, false, false},
	[DOCA_FLOW_PIPE_CONTROL] = {"CONTROL", true, true, true, true, true, false, false},
	[DOCA_FLOW_PIPE_LPM] = {"LPM", true, false, true, true, false, false, false},
	[DOCA_FLOW_PIPE_CT] = {"CT", true, false, true, true, false, false, false},
	[DOCA_FLOW_PIPE_ACL] = {"ACL", true, false, true, true, false, false, false},
	[DOCA_FLOW_PIPE_ORDERED_LIST] = {"ORDERED_LIST", true, false, false, false, false, true, false},
	[DOCA_FLOW_PIPE_HASH] = {"HASH", true, true, true, true, false, false, true},
};

static doca_error_t broken(
	const struct doca_flow_pipe_cfg *cfg, const char *field, const char *rule, const char *what)
{
	return refuse(DOCA_ERROR_INVALID_VALUE, AT(.pipe = cfg->name, .field = field, .rule = rule),
		"%s pipe: %s", types[cfg->type].name, what);
}

static doca_error_t check_port(const struct doca_flow_pipe_cfg *cfg)
{
	struct doca_flow_port *port;
	bool known = false;

	TAILQ_FOREACH (port, &flow.ports, link) {
		known |= port == cfg->port;
	}
	if (!known)
		return broken(cfg, "port", "port-started", "its port is not started");
	if (cfg->port->manager != cfg->port)
		return broken(cfg, "port", "switch-port",
			"in switch mode pipes are made on the switch port (doca_flow_port_switch_get), not "
			"on representors");
	return DOCA_SUCCESS;
}

static doca_error_t check_hash(const struct doca_flow_pipe_cfg *cfg)
{
	uint32_t flags = cfg->hash_algorithms;

	if (flags & DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_SELECT_ENABLED)
		return refuse(DOCA_ERROR_NOT_SUPPORTED,
			AT(.pipe = cfg->name, .field = "hash_map_algorithm", .rule = "hash-algorithm"),
			"SELECT_ENABLED is not part of Ringfield");
	if ((!flags || flags & (DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_HASH |
				       DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_IDENTITY)) &&
		!cfg->has_match)
		return broken(cfg, "match_mask", "hash-input", "a hash needs fields: give a match mask");
	if (cfg->has_match && !cfg->has_mask)
		return broken(cfg, "match_mask", "hash-input",
			"the fields that are hashed are those of the match mask");
	return DOCA_SUCCESS;
}

static doca_error_t check_actions(const struct doca_flow_pipe_cfg *cfg)
{
	const struct type_rules *rules = &types[cfg->type];

	if (cfg->nr_actions && !rules->actions)
		return broken(cfg, "actions", "list-actions", "its actions are in its ordered lists");
	if (cfg->nr_lists && !rules->lists)
		return broken(cfg, "ordered_lists", "list-type", "it has no ordered lists");
	if (rules->lists && !cfg->nr_lists)
		return broken(cfg, "ordered_lists", "list-type", "it needs ordered lists");
	return DOCA_SUCCESS;
}

static bool ct_meta_ok(uint8_t u32)
{
	return u32 < DOCA_FLOW_META_SCRATCH_PAD_MAX || u32 == DOCA_FLOW_RINGFIELD_CT_META_NONE;
}

static doca_error_t check_ct(const struct doca_flow_pipe_cfg *cfg)
{
	const struct doca_flow_ringfield_ct *ct = &cfg->ct;

	if (cfg->type != DOCA_FLOW_PIPE_CT)
		return broken(cfg, "type", "ct-type", "doca_flow_ringfield_pipe_cfg_set_ct() makes it CT");
	if (cfg->is_root || cfg->has_match || cfg->nr_actions || cfg->has_monitor || cfg->is_resizable ||
		cfg->domain != DOCA_FLOW_PIPE_DOMAIN_DEFAULT)
		return broken(cfg, "ct", "ct-plain",
			"an autonomous one is in the default domain, not root, and has no match, actions or "
			"monitor");
	if (ct->flags & ~(uint32_t)DOCA_FLOW_RINGFIELD_CT_PASS_INVALID)
		return broken(cfg, "ct.flags", "ct-flags", "unknown flags");
	if (!ct->capacity)
		return broken(cfg, "ct.capacity", "ct-capacity", "there is room for no connection");
	if (ct->full > DOCA_FLOW_RINGFIELD_CT_FULL_UNTRACKED)
		return broken(cfg, "ct.full", "ct-full", "there is no such policy for a full table");
	if (!ct_meta_ok(ct->zone_u32) || !ct_meta_ok(ct->src_u32) || !ct_meta_ok(ct->dst_u32) ||
		!ct_meta_ok(ct->router_u32))
		return broken(cfg, "ct.zone_u32", "ct-meta", "there is no such word in meta.u32[]");
	return DOCA_SUCCESS;
}

doca_error_t pipe_check(const struct doca_flow_pipe_cfg *cfg, const struct doca_flow_fwd *fwd)
{
	const struct type_rules *rules = &types[cfg->type];
	doca_error_t result;

	if (flow.reader)
		return refuse(DOCA_ERROR_NOT_PERMITTED, AT(.pipe = cfg->name, .rule = "reader"),
			"a reader session owns no pipes");
	result = check_port(cfg);
	if (result != DOCA_SUCCESS)
		return result;
	if (!rules->supported && !cfg->has_ct)
		return refuse(DOCA_ERROR_NOT_SUPPORTED,
			AT(.pipe = cfg->name, .field = "type", .rule = "pipe-type"),
			"%s pipes are not part of this version of Ringfield", rules->name);
	if (cfg->domain == DOCA_FLOW_PIPE_DOMAIN_SECURE_INGRESS ||
		cfg->domain == DOCA_FLOW_PIPE_DOMAIN_SECURE_EGRESS)
		return refuse(DOCA_ERROR_NOT_SUPPORTED,
			AT(.pipe = cfg->name, .field = "domain", .rule = "crypto"),
			"the secure domains are for IPsec and PSP, which Ringfield has not");
	if (cfg->is_root && !rules->root)
		return broken(cfg, "is_root", "root-type",
			"it cannot be root: put a basic or control pipe before it");
	if (cfg->has_match && !rules->match)
		return broken(
			cfg, "match", "list-match", "it matches nothing, its entries are reached by index");
	if (cfg->is_resizable && !rules->resizable)
		return broken(
			cfg, "is_resizable", "resize-type", "only basic and control pipes can be resized");
	if (cfg->hash_algorithms && cfg->type != DOCA_FLOW_PIPE_HASH)
		return broken(cfg, "hash_map_algorithm", "hash-algorithm", "only hash pipes have one");
	if (rules->power_of_two && cfg->hash_algorithms != DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_FLOODING &&
		cfg->nr_entries & (cfg->nr_entries - 1))
		return broken(cfg, "nr_entries", "hash-size", "the number of entries must be a power of two");
	result = cfg->has_ct ? check_ct(cfg) : DOCA_SUCCESS;
	if (result == DOCA_SUCCESS)
		result = check_actions(cfg);
	if (result == DOCA_SUCCESS && cfg->type == DOCA_FLOW_PIPE_HASH)
		result = check_hash(cfg);
	if (result == DOCA_SUCCESS && cfg->congestion_percent && !cfg->is_resizable)
		result = lint(
			AT(.pipe = cfg->name, .field = "congestion_level_threshold", .rule = "resize-type"),
			"a threshold without is_resizable is never reported");
	if (result == DOCA_SUCCESS && cfg->type == DOCA_FLOW_PIPE_CONTROL && fwd &&
		fwd->type != DOCA_FLOW_FWD_NONE)
		result = lint(AT(.pipe = cfg->name, .field = "fwd", .rule = "control-fwd"),
			"entries of a control pipe bring their own fwd; the pipe's is for those that bring "
			"none");
	return result;
}
