// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Actions: from DOCA's structures to the action lists and arguments of the wire.
#pragma once

#include "flow.h"

// Compiles one action template. For entries that bring everything with them (control pipes), per_entry takes all-ones
// values as values.
doca_error_t actions_compile(
	struct action_template *template, const char *pipe, const struct actions_cfg *cfg, bool per_entry);
void actions_release(struct action_template *template);

// Packs the arguments that an entry brings: template->args_bytes. actions may be NULL if that is zero.
doca_error_t actions_args(const char *pipe, const struct action_template *template,
	const struct doca_flow_actions *actions, uint8_t *args);

// Whether a shared encapsulation or decapsulation comes with the entry.
bool actions_shared_changeable(const struct action_template *template);

// Header bytes of an encapsulation; *tunnel = enum steer_tunnel.
doca_error_t encap_build(const char *pipe, const struct doca_flow_resource_encap_cfg *cfg, uint8_t *data,
	uint16_t *bytes, uint8_t *tunnel);
// cfg with what the entry brings for its all-ones members.
void encap_merge(struct doca_flow_resource_encap_cfg *cfg, const struct doca_flow_resource_encap_cfg *entry);
bool encap_changeable(const struct doca_flow_resource_encap_cfg *cfg);

// Layer 2 header that a decapsulation puts in front.
void decap_build(const struct doca_flow_resource_decap_cfg *cfg, uint8_t *data, uint16_t *bytes);
void decap_merge(struct doca_flow_resource_decap_cfg *cfg, const struct doca_flow_resource_decap_cfg *entry);
bool decap_changeable(const struct doca_flow_resource_decap_cfg *cfg);
