// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Matches: from DOCA's structures to the fields, masks and keys of the wire.
#pragma once

#include "flow.h"

// Whether value, in wire form, has all bits of the field set: DOCA's "comes with the entry".
bool match_all_ones(uint16_t field, const uint8_t *value);

// Compiles a pipe's match. mask NULL: implicit rules.
doca_error_t match_compile(struct match_template *template, const char *pipe, enum doca_flow_pipe_type type,
	const struct doca_flow_match *match, const struct doca_flow_match *mask);

// The fields as the wire wants them.
void match_to_wire(const struct match_template *template, struct steer_match_field *fields);

// Packs the key of an entry of a BASIC pipe, or the exact part of LPM: template->key_bytes, or exact_bytes.
doca_error_t match_key(const struct doca_flow_pipe *pipe, const struct doca_flow_match *match, uint8_t *key);

// LPM: exact part, address, mask. ACL: value and mask of each ACL field.
doca_error_t match_key_lpm(const struct doca_flow_pipe *pipe, const struct doca_flow_match *match,
	const struct doca_flow_match *mask, uint8_t *key);
doca_error_t match_key_acl(const struct doca_flow_pipe *pipe, const struct doca_flow_match *match,
	const struct doca_flow_match *mask, uint8_t *key);

// The value that a match structure gives for a wire field; false if the structure has no such member or its selector is
// not set.
bool match_value_of(const struct doca_flow_match *match, uint16_t field, uint8_t *value);
