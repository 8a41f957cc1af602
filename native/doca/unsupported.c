// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// What the headers declare and Ringfield does not do. Each call says so and returns NOT_SUPPORTED.

#include <doca_log.h>
#include <doca_dev.h>
#include <doca_flow.h>
#include <doca_flow_ct.h>
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

doca_error_t doca_flow_ct_cfg_create(struct doca_flow_ct_cfg **cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_destroy(struct doca_flow_ct_cfg *cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_flags(struct doca_flow_ct_cfg *cfg, uint32_t flags)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_queues(struct doca_flow_ct_cfg *cfg, uint32_t n_queues)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_queue_depth(struct doca_flow_ct_cfg *cfg, uint32_t queue_depth)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_ctrl_queues(struct doca_flow_ct_cfg *cfg, uint32_t n_ctrl_queues)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_user_actions(struct doca_flow_ct_cfg *cfg, uint32_t n_user_actions)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_connections(
	struct doca_flow_ct_cfg *cfg, uint32_t n_ipv4, uint32_t n_ipv6, uint32_t n_total)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_max_connections_per_zone(
	struct doca_flow_ct_cfg *cfg, uint32_t max_connections_per_zone)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_counter_asymmetric(
	struct doca_flow_ct_cfg *cfg, uint32_t n_counter_asymmetric)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_entry_private_data_size(
	struct doca_flow_ct_cfg *cfg, uint32_t entry_priv_data_size)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_entry_finalize_cb(
	struct doca_flow_ct_cfg *cfg, doca_flow_ct_entry_finalize_cb entry_finalize_cb)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_status_update_cb(
	struct doca_flow_ct_cfg *cfg, doca_flow_ct_stats_update_cb stats_update_cb)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_aging_core(struct doca_flow_ct_cfg *cfg, uint32_t aging_core)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_aging_query_delay(
	struct doca_flow_ct_cfg *cfg, uint32_t aging_query_delay_s)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_aging_plugin_ops(
	struct doca_flow_ct_cfg *cfg, struct doca_flow_ct_aging_ops *aging_ops)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_dup_filter_size(struct doca_flow_ct_cfg *cfg, uint32_t dup_filter_sz)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_cfg_set_direction(struct doca_flow_ct_cfg *cfg, bool direction, bool match_inner,
	struct doca_flow_meta *zone_match_mask, struct doca_flow_ct_meta *meta_modify_mask)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_init(const struct doca_flow_ct_cfg *cfg)
{
	return unsupported(__func__);
}

void doca_flow_ct_destroy(void)
{
	(void)unsupported(__func__);
}

doca_error_t doca_flow_ct_cap_is_dev_supported(const struct doca_devinfo *devinfo)
{
	return unsupported(__func__);
}

void doca_flow_ct_meta_prepare(struct doca_flow_meta *meta, uint32_t zone, bool is_reply)
{
	(void)unsupported(__func__);
}

void doca_flow_ct_meta_mask_prepare(struct doca_flow_meta *meta, bool is_reply)
{
	(void)unsupported(__func__);
}

void doca_flow_ct_meta_set_match_zone(struct doca_flow_meta *meta, uint32_t zone, bool is_reply)
{
	(void)unsupported(__func__);
}

uint32_t doca_flow_ct_meta_get_zone_offset(bool is_reply)
{
	(void)unsupported(__func__);
	return UINT32_MAX;
}

doca_error_t doca_flow_ct_aging_counter_state_get(
	struct doca_flow_ct_aging_ctx *ctx, struct doca_flow_ct_aging_counter_state *ctrs, uint32_t n)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_aging_counter_state_set(
	struct doca_flow_ct_aging_ctx *ctx, struct doca_flow_ct_aging_counter_state *ctrs, uint32_t n)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_aging_counter_query(
	struct doca_flow_ct_aging_ctx *ctx, struct doca_flow_ct_aging_counter *ctrs, uint32_t n)
{
	return unsupported(__func__);
}

void doca_flow_ct_aging_conn_update(
	struct doca_flow_ct_aging_ctx *ctx, struct doca_flow_ct_aging_conn_update_info *info, uint32_t n)
{
	(void)unsupported(__func__);
}

void doca_flow_ct_aging_conn_timeout(struct doca_flow_ct_aging_ctx *ctx, uint32_t *aging_conn_ids, uint32_t n)
{
	(void)unsupported(__func__);
}

doca_error_t doca_flow_ct_entries_process(struct doca_flow_port *port, uint16_t pipe_queue, uint32_t min_room,
	uint32_t max_processed_entries, uint32_t *queue_room)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_entry_prepare(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
	struct doca_flow_ct_match *match_origin, uint32_t hash_origin, struct doca_flow_ct_match *match_reply,
	uint32_t hash_reply, struct doca_flow_pipe_entry **entry, bool *conn_found)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_entry_prepare_rollback(
	uint16_t queue, struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_add_entry(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
	struct doca_flow_ct_match *match_origin, struct doca_flow_ct_match *match_reply,
	const struct doca_flow_ct_actions *actions_origin, const struct doca_flow_ct_actions *actions_reply,
	uint32_t fwd_handle_origin, uint32_t fwd_handle_reply, uint32_t timeout_s, void *usr_ctx,
	struct doca_flow_pipe_entry *entry)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_entry_add_dir(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
	struct doca_flow_ct_match *match, const struct doca_flow_ct_actions *actions, uint32_t fwd_handle,
	struct doca_flow_pipe_entry *entry)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_update_entry(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
	struct doca_flow_pipe_entry *entry, const struct doca_flow_ct_actions *actions_origin,
	const struct doca_flow_ct_actions *actions_reply, uint32_t fwd_handle_origin,
	uint32_t fwd_handle_reply, uint32_t timeout_s)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_rm_entry(
	uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags, struct doca_flow_pipe_entry *entry)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_get_entry(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
	struct doca_flow_pipe_entry *entry, struct doca_flow_ct_match *match_origin,
	struct doca_flow_ct_match *match_reply, uint64_t *entry_flags, uint32_t *hash_origin,
	uint32_t *hash_reply)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_query_entry(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
	struct doca_flow_pipe_entry *entry, struct doca_flow_resource_query *origin_data,
	struct doca_flow_resource_query *reply_data, uint64_t *last_hit_s)
{
	return unsupported(__func__);
}

void *doca_flow_ct_entry_get_priv_data(
	uint16_t queue, struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry)
{
	(void)unsupported(__func__);
	return NULL;
}

uint32_t doca_flow_ct_entry_get_conn_id(
	uint16_t queue, struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry)
{
	(void)unsupported(__func__);
	return UINT32_MAX;
}

uint32_t doca_flow_ct_entry_get_aging_conn_id(
	uint16_t queue, struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry)
{
	(void)unsupported(__func__);
	return UINT32_MAX;
}

doca_error_t doca_flow_ct_entry_get_by_id(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t conn_id,
	struct doca_flow_pipe_entry **entry, void **priv_data)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_entry_get_by_aging_conn_id(struct doca_flow_pipe *pipe, uint32_t aging_conn_id,
	struct doca_flow_pipe_entry **entry, void **priv_data)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_actions_add_shared(uint16_t ctrl_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_ct_actions actions[], uint32_t nb_actions, uint32_t actions_handles[])
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_actions_update_shared(uint16_t ctrl_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_ct_actions actions[], uint32_t nb_actions, uint32_t actions_handles[])
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_actions_rm_shared(
	uint16_t ctrl_queue, struct doca_flow_pipe *pipe, uint32_t actions_handles[], uint32_t nb_actions)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_fwd_register(
	struct doca_flow_port *port, uint32_t fwd_count, struct doca_flow_fwd fwd[], uint32_t fwd_handle[])
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ct_pipe_iterate(
	struct doca_flow_pipe *pipe, doca_flow_ct_pipe_iterate_cb iterate_cb, void *iterate_usr_ctx)
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
