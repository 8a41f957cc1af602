// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// What the headers declare and Ringfield does not do. Each call says so and returns NOT_SUPPORTED.

#include <doca_log.h>
#include <doca_dev.h>
#include <doca_flow.h>
#include <doca_flow_definitions.h>
#include <doca_flow_custom_header.h>
#include <doca_flow_custom_header_graph.h>
#include <doca_flow_ringfield.h>

#include "error.h"

doca_error_t doca_flow_crypto_psp_master_key_rotate(struct doca_flow_port *port)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_crypto_psp_spi_key_bulk_alloc(struct doca_flow_port *port,
	enum doca_flow_crypto_key_type key_type, uint32_t nr_spi_keys,
	struct doca_flow_crypto_psp_spi_key_bulk **spi_key_bulk)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_crypto_psp_spi_key_bulk_generate(
	struct doca_flow_crypto_psp_spi_key_bulk *spi_key_bulk)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_crypto_psp_spi_key_bulk_get(struct doca_flow_crypto_psp_spi_key_bulk *spi_key_bulk,
	uint32_t spi_key_idx, uint32_t *spi, uint32_t *key)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_crypto_psp_spi_key_wipe(
	struct doca_flow_crypto_psp_spi_key_bulk *spi_key_bulk, uint32_t spi_key_idx)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_crypto_psp_spi_key_bulk_clear(struct doca_flow_crypto_psp_spi_key_bulk *spi_key_bulk)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_crypto_psp_spi_key_bulk_free(struct doca_flow_crypto_psp_spi_key_bulk *spi_key_bulk)
{
	return unsupported(__func__);
}

int doca_flow_crypto_ipsec_resource_handle(
	struct doca_flow_port *port, uint64_t quota, uint32_t max_processed_resources)
{
	(void)unsupported(__func__);
	return -1;
}

doca_error_t doca_flow_crypto_ipsec_update_sn(uint32_t shared_res_id, uint64_t sequence_number)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_crypto_ipsec_update_sn(
	struct doca_flow_port *port, uint32_t shared_res_id, uint64_t sequence_number)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_calc_entropy(
	struct doca_flow_port *port, struct doca_flow_entropy_format *header, uint16_t *entropy)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_parser_geneve_opt_create(const struct doca_flow_port *port,
	const struct doca_flow_parser_geneve_opt_cfg tlv_list[], uint8_t nb_options,
	struct doca_flow_parser **parser)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_parser_geneve_opt_destroy(struct doca_flow_parser *parser)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_definitions_cfg_create(struct doca_flow_definitions_cfg **defs_cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_definitions_cfg_destroy(struct doca_flow_definitions_cfg *defs_cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_definitions_create(
	struct doca_flow_definitions_cfg *defs_cfg, struct doca_flow_definitions **defs)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_definitions_add_field(struct doca_flow_definitions *defs, const char *field_opcode_str,
	uint32_t field_offset, uint32_t field_length)
{
	return unsupported(__func__);
}

void doca_flow_definitions_destroy(struct doca_flow_definitions *defs)
{
	(void)unsupported(__func__);
}

doca_error_t doca_flow_custom_header_create(struct doca_flow_custom_header **custom_header)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_destroy(struct doca_flow_custom_header *custom_header)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_next_hdr_set_offset(
	struct doca_flow_custom_header *custom_header, uint32_t bit_offset)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_next_hdr_set_length(
	struct doca_flow_custom_header *custom_header, uint32_t bit_length)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_length_field_set_fixed_length(
	struct doca_flow_custom_header *custom_header, uint32_t fixed_length)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_length_field_set_offset(
	struct doca_flow_custom_header *custom_header, uint32_t bit_offset)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_length_field_set_length(
	struct doca_flow_custom_header *custom_header, uint32_t bit_length)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_length_field_set_multiplier(
	struct doca_flow_custom_header *custom_header, uint32_t multiplier)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_tlv_options_set_fixed_length(
	struct doca_flow_custom_header *custom_header, uint32_t fixed_length)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_tlv_options_set_offset(
	struct doca_flow_custom_header *custom_header, uint32_t bit_offset)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_tlv_options_type_set_offset(
	struct doca_flow_custom_header *custom_header, uint32_t bit_offset)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_tlv_options_type_set_length(
	struct doca_flow_custom_header *custom_header, uint32_t bit_length)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_tlv_options_length_set_offset(
	struct doca_flow_custom_header *custom_header, uint32_t bit_offset)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_tlv_options_length_set_length(
	struct doca_flow_custom_header *custom_header, uint32_t bit_length)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_tlv_options_length_set_multiplier(
	struct doca_flow_custom_header *custom_header, uint32_t multiplier)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_sampler_create(
	struct doca_flow_custom_header *custom_header, struct doca_flow_custom_header_sampler **sampler)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_sampler_destroy(struct doca_flow_custom_header_sampler *sampler)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_sampler_set_offset(
	struct doca_flow_custom_header_sampler *sampler, uint32_t bit_offset)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_sampler_set_length(
	struct doca_flow_custom_header_sampler *sampler, uint32_t bit_length)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_sampler_enable_is_options(
	struct doca_flow_custom_header_sampler *sampler, uint32_t option_type)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_sampler_set_tunnel_mode(struct doca_flow_custom_header_sampler *sampler,
	enum doca_flow_custom_header_sampler_tunnel_mode tunnel_mode)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_sampler_get_match_definition(
	struct doca_flow_custom_header_sampler *sampler, const char **opcode_str)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_sampler_get_action_definition(
	struct doca_flow_custom_header_sampler *sampler, const char **opcode_str)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_sampler_get_valid_bit_definition(
	struct doca_flow_custom_header_sampler *sampler, const char **opcode_str)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_graph_create(struct doca_flow_custom_header_graph **graph)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_graph_bind(
	struct doca_flow_custom_header_graph *graph, struct doca_dev *dev)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_graph_unbind(struct doca_flow_custom_header_graph *graph)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_graph_destroy(struct doca_flow_custom_header_graph *graph)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_graph_arc_create(
	struct doca_flow_custom_header_graph *graph, struct doca_flow_custom_header_graph_arc **arc)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_graph_arc_destroy(struct doca_flow_custom_header_graph_arc *arc)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_graph_arc_set_src(struct doca_flow_custom_header_graph_arc *arc,
	enum doca_flow_custom_header_graph_node_type node_type, uint32_t field_data,
	struct doca_flow_custom_header *custom_header)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_graph_arc_set_dst(struct doca_flow_custom_header_graph_arc *arc,
	enum doca_flow_custom_header_graph_node_type node_type, struct doca_flow_custom_header *custom_header)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_custom_header_graph_arc_set_transition(
	struct doca_flow_custom_header_graph_arc *arc, bool start_tunnel)
{
	return unsupported(__func__);
}
