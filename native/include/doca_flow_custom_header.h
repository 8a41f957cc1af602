// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Custom headers: headers that the parser learns at run time. Declared so that programs compile; every call returns
// NOT_SUPPORTED, for Ringfield's parser is fixed. Offsets and lengths are in bits.

#ifndef DOCA_FLOW_CUSTOM_HEADER_H_
#define DOCA_FLOW_CUSTOM_HEADER_H_

#ifndef RINGFIELD_CDEF
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#endif

#include <doca_compat.h>
#include <doca_error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct doca_flow_custom_header;
struct doca_flow_custom_header_sampler;

enum doca_flow_custom_header_sampler_tunnel_mode {
	DOCA_FLOW_CUSTOM_HEADER_SAMPLER_TUNNEL_MODE_OUTER,
	DOCA_FLOW_CUSTOM_HEADER_SAMPLER_TUNNEL_MODE_INNER,
	DOCA_FLOW_CUSTOM_HEADER_SAMPLER_TUNNEL_MODE_FIRST,
};

DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_create(struct doca_flow_custom_header **custom_header);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_destroy(struct doca_flow_custom_header *custom_header);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_next_hdr_set_offset(
	struct doca_flow_custom_header *custom_header, uint32_t bit_offset);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_next_hdr_set_length(
	struct doca_flow_custom_header *custom_header, uint32_t bit_length);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_length_field_set_fixed_length(
	struct doca_flow_custom_header *custom_header, uint32_t fixed_length);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_length_field_set_offset(
	struct doca_flow_custom_header *custom_header, uint32_t bit_offset);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_length_field_set_length(
	struct doca_flow_custom_header *custom_header, uint32_t bit_length);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_length_field_set_multiplier(
	struct doca_flow_custom_header *custom_header, uint32_t multiplier);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_tlv_options_set_fixed_length(
	struct doca_flow_custom_header *custom_header, uint32_t fixed_length);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_tlv_options_set_offset(
	struct doca_flow_custom_header *custom_header, uint32_t bit_offset);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_tlv_options_type_set_offset(
	struct doca_flow_custom_header *custom_header, uint32_t bit_offset);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_tlv_options_type_set_length(
	struct doca_flow_custom_header *custom_header, uint32_t bit_length);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_tlv_options_length_set_offset(
	struct doca_flow_custom_header *custom_header, uint32_t bit_offset);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_tlv_options_length_set_length(
	struct doca_flow_custom_header *custom_header, uint32_t bit_length);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_tlv_options_length_set_multiplier(
	struct doca_flow_custom_header *custom_header, uint32_t multiplier);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_sampler_create(
	struct doca_flow_custom_header *custom_header, struct doca_flow_custom_header_sampler **sampler);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_sampler_destroy(struct doca_flow_custom_header_sampler *sampler);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_sampler_set_offset(
	struct doca_flow_custom_header_sampler *sampler, uint32_t bit_offset);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_sampler_set_length(
	struct doca_flow_custom_header_sampler *sampler, uint32_t bit_length);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_sampler_enable_is_options(
	struct doca_flow_custom_header_sampler *sampler, uint32_t option_type);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_sampler_set_tunnel_mode(struct doca_flow_custom_header_sampler *sampler,
	enum doca_flow_custom_header_sampler_tunnel_mode tunnel_mode);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_sampler_get_match_definition(
	struct doca_flow_custom_header_sampler *sampler, const char **opcode_str);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_sampler_get_action_definition(
	struct doca_flow_custom_header_sampler *sampler, const char **opcode_str);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_custom_header_sampler_get_valid_bit_definition(
	struct doca_flow_custom_header_sampler *sampler, const char **opcode_str);

#ifdef __cplusplus
}
#endif

#endif // DOCA_FLOW_CUSTOM_HEADER_H_
