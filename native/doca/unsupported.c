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

doca_error_t doca_devinfo_create_list(struct doca_devinfo ***dev_list, uint32_t *nb_devs)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_destroy_list(struct doca_devinfo **dev_list)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_create_list(
	struct doca_dev *dev, int filter, struct doca_devinfo_rep ***dev_list_rep, uint32_t *nb_devs_rep)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_destroy_list(struct doca_devinfo_rep **dev_list_rep)
{
	return unsupported(__func__);
}

doca_error_t doca_dev_open(struct doca_devinfo *devinfo, struct doca_dev **dev)
{
	return unsupported(__func__);
}

doca_error_t doca_dev_close(struct doca_dev *dev)
{
	return unsupported(__func__);
}

doca_error_t doca_dev_accelerate_resource_reclaim(struct doca_dev *dev)
{
	return unsupported(__func__);
}

doca_error_t doca_dev_rep_open(struct doca_devinfo_rep *devinfo, struct doca_dev_rep **dev_rep)
{
	return unsupported(__func__);
}

doca_error_t doca_dev_rep_close(struct doca_dev_rep *dev)
{
	return unsupported(__func__);
}

struct doca_devinfo *doca_dev_as_devinfo(const struct doca_dev *dev)
{
	(void)unsupported(__func__);
	return NULL;
}

struct doca_devinfo_rep *doca_dev_rep_as_devinfo(struct doca_dev_rep *dev_rep)
{
	(void)unsupported(__func__);
	return NULL;
}

doca_error_t doca_devinfo_get_pci_addr_str(const struct doca_devinfo *devinfo, char *pci_addr_str)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_is_equal_pci_addr(
	const struct doca_devinfo *devinfo, const char *pci_addr_str, uint8_t *is_equal)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_get_pci_func_type(
	const struct doca_devinfo *devinfo, enum doca_pci_func_type *pci_func_type)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_get_sf_index(const struct doca_devinfo *devinfo, uint32_t *sf_index)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_get_ipv4_addr(const struct doca_devinfo *devinfo, uint8_t *ipv4_addr, uint32_t size)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_get_ipv6_addr(const struct doca_devinfo *devinfo, uint8_t *ipv6_addr, uint32_t size)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_get_mac_addr(const struct doca_devinfo *devinfo, uint8_t *mac_addr, uint32_t size)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_get_iface_name(const struct doca_devinfo *devinfo, char *iface_name, uint32_t size)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_get_ibdev_name(const struct doca_devinfo *devinfo, char *ibdev_name, uint32_t size)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_get_lid(const struct doca_devinfo *devinfo, uint16_t *lid)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_get_active_rate(const struct doca_devinfo *devinfo, uint64_t *active_rate)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_get_vhca_id(const struct doca_devinfo *devinfo, uint16_t *vhca_id)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_cap_is_hotplug_manager_supported(
	const struct doca_devinfo *devinfo, uint8_t *is_hotplug_manager)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_cap_is_notification_moderation_supported(
	const struct doca_devinfo *devinfo, uint8_t *is_notification_moderation_supported)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_cap_is_accelerate_resource_reclaim_supported(
	const struct doca_devinfo *devinfo, uint8_t *is_accelerate_resource_reclaim)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_cap_is_filter_all_supported(
	const struct doca_devinfo *devinfo, uint8_t *filter_all_supported)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_cap_is_filter_net_supported(
	const struct doca_devinfo *devinfo, uint8_t *filter_net_supported)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_cap_is_filter_emulated_supported(
	const struct doca_devinfo *devinfo, uint8_t *filter_emulated_supported)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_get_vuid(
	const struct doca_devinfo_rep *devinfo_rep, char *rep_vuid, uint32_t size)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_get_pci_addr_str(const struct doca_devinfo_rep *devinfo_rep, char *pci_addr_str)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_get_pci_func_type(
	const struct doca_devinfo_rep *devinfo_rep, enum doca_pci_func_type *pci_func_type)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_get_is_hotplug(const struct doca_devinfo_rep *devinfo_rep, uint8_t *is_hotplug)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_get_iface_name(
	const struct doca_devinfo_rep *devinfo_rep, char *iface_name, uint32_t size)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_get_vhca_id(const struct doca_devinfo_rep *devinfo_rep, uint16_t *vhca_id)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_get_host_index(const struct doca_devinfo_rep *devinfo_rep, uint32_t *host_index)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_get_pf_index(const struct doca_devinfo_rep *devinfo_rep, uint32_t *pf_index)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_get_vf_index(const struct doca_devinfo_rep *devinfo_rep, uint32_t *vf_index)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_get_sf_index(const struct doca_devinfo_rep *devinfo_rep, uint32_t *sf_index)
{
	return unsupported(__func__);
}

doca_error_t doca_devinfo_rep_is_equal_pci_addr(
	const struct doca_devinfo_rep *devinfo_rep, const char *pci_addr_str, uint8_t *is_equal)
{
	return unsupported(__func__);
}

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

doca_error_t doca_flow_cfg_create(struct doca_flow_cfg **cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_destroy(struct doca_flow_cfg *cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_set_pipe_queues(struct doca_flow_cfg *cfg, uint16_t pipe_queues)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_set_queue_depth(struct doca_flow_cfg *cfg, uint32_t queue_depth)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_set_mode_args(struct doca_flow_cfg *cfg, const char *mode_args)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_set_nr_counters(struct doca_flow_cfg *cfg, uint32_t nr_counters)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_set_nr_meters(struct doca_flow_cfg *cfg, uint32_t nr_meters)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_set_nr_shared_resource(
	struct doca_flow_cfg *cfg, uint32_t nr_shared_resource, enum doca_flow_shared_resource_type type)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_set_nr_acl_collisions(struct doca_flow_cfg *cfg, uint8_t nr_acl_collisions)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_set_resource_mode(
	struct doca_flow_cfg *cfg, const enum doca_flow_resource_mode mode)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_set_cb_pipe_process(struct doca_flow_cfg *cfg, doca_flow_pipe_process_cb cb)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_set_cb_entry_process(struct doca_flow_cfg *cfg, doca_flow_entry_process_cb cb)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_set_cb_shared_resource_unbind(
	struct doca_flow_cfg *cfg, doca_flow_shared_resource_unbind_cb cb)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_set_rss_key(
	struct doca_flow_cfg *cfg, const uint8_t *rss_key, uint32_t rss_key_len)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_set_definitions(
	struct doca_flow_cfg *cfg, const struct doca_flow_definitions *defs)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_cfg_set_tune_cfg(struct doca_flow_cfg *cfg, struct doca_flow_tune_cfg *tune_cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_tune_cfg_create(struct doca_flow_tune_cfg **tune_cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_tune_cfg_destroy(struct doca_flow_tune_cfg *tune_cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_tune_cfg_set_profile(
	struct doca_flow_tune_cfg *tune_cfg, enum doca_flow_tune_profile profile)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_init(struct doca_flow_cfg *cfg)
{
	return unsupported(__func__);
}

void doca_flow_destroy(void)
{
	(void)unsupported(__func__);
}

doca_error_t doca_flow_port_cfg_create(struct doca_flow_port_cfg **cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_cfg_destroy(struct doca_flow_port_cfg *cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_cfg_set_port_id(struct doca_flow_port_cfg *cfg, uint16_t port_id)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_cfg_set_dev(struct doca_flow_port_cfg *cfg, struct doca_dev *dev)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_cfg_set_dev_rep(struct doca_flow_port_cfg *cfg, struct doca_dev_rep *dev)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_cfg_set_devargs(struct doca_flow_port_cfg *cfg, const char *devargs)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_cfg_set_priv_data_size(struct doca_flow_port_cfg *cfg, uint16_t priv_data_size)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_cfg_set_actions_mem_size(struct doca_flow_port_cfg *cfg, uint32_t size)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_cfg_set_nr_resources(
	struct doca_flow_port_cfg *cfg, enum doca_flow_resource resource, uint32_t nr_resources)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_cfg_set_ipsec_sn_offload_disable(struct doca_flow_port_cfg *cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_cfg_set_operation_state(
	struct doca_flow_port_cfg *cfg, enum doca_flow_port_operation_state state)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_cfg_set_service_threads_core(struct doca_flow_port_cfg *cfg, uint32_t core)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_cfg_set_service_threads_cycle(struct doca_flow_port_cfg *cfg, uint32_t cycle_ms)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_start(const struct doca_flow_port_cfg *cfg, struct doca_flow_port **port)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_stop(struct doca_flow_port *port)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_pair(struct doca_flow_port *port, struct doca_flow_port *pair_port)
{
	return unsupported(__func__);
}

uint8_t *doca_flow_port_priv_data(struct doca_flow_port *port)
{
	(void)unsupported(__func__);
	return NULL;
}

struct doca_flow_port *doca_flow_port_switch_get(const struct doca_flow_port *port)
{
	(void)unsupported(__func__);
	return NULL;
}

doca_error_t doca_flow_port_operation_state_modify(
	struct doca_flow_port *port, enum doca_flow_port_operation_state state)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_update_default_miss(
	struct doca_flow_port *port, enum doca_flow_port_default_miss_type default_miss, bool counter_en)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_query_default_miss(
	struct doca_flow_port *port, struct doca_flow_resource_query *data)
{
	return unsupported(__func__);
}

void doca_flow_port_pipes_flush(struct doca_flow_port *port)
{
	(void)unsupported(__func__);
}

doca_error_t doca_flow_port_calc_entropy(
	struct doca_flow_port *port, struct doca_flow_entropy_format *header, uint16_t *entropy)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_shared_resource_set_cfg(
	enum doca_flow_shared_resource_type type, uint32_t id, struct doca_flow_shared_resource_cfg *cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_shared_resources_bind(enum doca_flow_shared_resource_type type, uint32_t *res_array,
	uint32_t res_array_len, void *bindable_obj)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_shared_resources_query(enum doca_flow_shared_resource_type type, uint32_t *res_array,
	struct doca_flow_resource_query *data_array, uint32_t array_len)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_shared_resource_get(
	struct doca_flow_port *port, enum doca_flow_shared_resource_type type, uint32_t *shared_resource_id)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_shared_resource_put(
	struct doca_flow_port *port, enum doca_flow_shared_resource_type type, uint32_t shared_resource_id)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_shared_resource_set_cfg(struct doca_flow_port *port,
	enum doca_flow_shared_resource_type type, uint32_t shared_resource_id,
	struct doca_flow_shared_resource_cfg *cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_port_shared_resources_query(struct doca_flow_port *port,
	enum doca_flow_shared_resource_type type, uint32_t *res_array,
	struct doca_flow_resource_query *data_array, uint32_t array_len)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_create(struct doca_flow_pipe_cfg **cfg, struct doca_flow_port *port)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_destroy(struct doca_flow_pipe_cfg *cfg)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_match(struct doca_flow_pipe_cfg *cfg, const struct doca_flow_match *match,
	const struct doca_flow_match *match_mask)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_actions(struct doca_flow_pipe_cfg *cfg,
	struct doca_flow_actions *const *actions, struct doca_flow_actions *const *actions_masks,
	struct doca_flow_action_descs *const *action_descs, size_t nr_actions)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_monitor(
	struct doca_flow_pipe_cfg *cfg, const struct doca_flow_monitor *monitor)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_ordered_lists(struct doca_flow_pipe_cfg *cfg,
	struct doca_flow_ordered_list *const *ordered_lists, size_t nr_ordered_lists)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_name(struct doca_flow_pipe_cfg *cfg, const char *name)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_label(struct doca_flow_pipe_cfg *cfg, const char *label)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_type(struct doca_flow_pipe_cfg *cfg, enum doca_flow_pipe_type type)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_domain(struct doca_flow_pipe_cfg *cfg, enum doca_flow_pipe_domain domain)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_is_root(struct doca_flow_pipe_cfg *cfg, bool is_root)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_nr_entries(struct doca_flow_pipe_cfg *cfg, uint32_t nr_entries)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_is_resizable(struct doca_flow_pipe_cfg *cfg, bool is_resizable)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_excluded_queue(struct doca_flow_pipe_cfg *cfg, uint16_t pipe_queue)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_miss_counter(struct doca_flow_pipe_cfg *cfg, bool miss_counter)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_congestion_level_threshold(
	struct doca_flow_pipe_cfg *cfg, uint8_t congestion_level_threshold)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_user_ctx(struct doca_flow_pipe_cfg *cfg, void *user_ctx)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_cfg_set_hash_map_algorithm(
	struct doca_flow_pipe_cfg *cfg, uint32_t algorithm_flags)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_create(const struct doca_flow_pipe_cfg *cfg, const struct doca_flow_fwd *fwd,
	const struct doca_flow_fwd *fwd_miss, struct doca_flow_pipe **pipe)
{
	return unsupported(__func__);
}

void doca_flow_pipe_destroy(struct doca_flow_pipe *pipe)
{
	(void)unsupported(__func__);
}

doca_error_t doca_flow_pipe_update_miss(struct doca_flow_pipe *pipe, const struct doca_flow_fwd *fwd_miss)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_resize(struct doca_flow_pipe *pipe, uint8_t new_congestion_level,
	doca_flow_pipe_resize_nr_entries_changed_cb nr_entries_changed_cb,
	doca_flow_pipe_resize_entry_relocate_cb entry_relocation_cb)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_calc_hash(
	struct doca_flow_pipe *pipe, const struct doca_flow_match *match, uint32_t *hash)
{
	return unsupported(__func__);
}

void doca_flow_pipe_dump(struct doca_flow_pipe *pipe, FILE *f)
{
	(void)unsupported(__func__);
}

doca_error_t doca_flow_pipe_basic_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, uint8_t action_idx, const struct doca_flow_actions *actions,
	const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd, uint32_t flags,
	void *usr_ctx, struct doca_flow_pipe_entry **entry)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_basic_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint8_t action_idx, const struct doca_flow_actions *actions, const struct doca_flow_monitor *monitor,
	const struct doca_flow_fwd *fwd, uint32_t flags, struct doca_flow_pipe_entry *entry)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_control_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, const struct doca_flow_match *match_mask,
	const struct doca_flow_match_condition *condition, const struct doca_flow_actions *actions,
	const struct doca_flow_actions *actions_mask, const struct doca_flow_action_descs *action_descs,
	const struct doca_flow_monitor *monitor, uint32_t priority, const struct doca_flow_fwd *fwd,
	void *usr_ctx, struct doca_flow_pipe_entry **entry)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_lpm_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, const struct doca_flow_match *match_mask, uint8_t action_idx,
	const struct doca_flow_actions *actions, const struct doca_flow_monitor *monitor,
	const struct doca_flow_fwd *fwd, uint32_t flags, void *usr_ctx, struct doca_flow_pipe_entry **entry)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_lpm_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint8_t action_idx, const struct doca_flow_actions *actions, const struct doca_flow_monitor *monitor,
	const struct doca_flow_fwd *fwd, uint32_t flags, struct doca_flow_pipe_entry *entry)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_acl_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, const struct doca_flow_match *match_mask, uint8_t action_idx,
	const struct doca_flow_actions *actions, const uint32_t priority, const struct doca_flow_fwd *fwd,
	uint32_t flags, void *usr_ctx, struct doca_flow_pipe_entry **entry)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_acl_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint8_t action_idx, const struct doca_flow_actions *actions, const struct doca_flow_fwd *fwd,
	uint32_t flags, struct doca_flow_pipe_entry *entry)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_ordered_list_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint32_t idx, const struct doca_flow_ordered_list *ordered_list, const struct doca_flow_fwd *fwd,
	uint32_t flags, void *user_ctx, struct doca_flow_pipe_entry **entry)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_hash_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint32_t entry_index, uint8_t action_idx, const struct doca_flow_actions *actions,
	const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd, uint32_t flags,
	void *usr_ctx, struct doca_flow_pipe_entry **entry)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_pipe_remove_entry(
	uint16_t pipe_queue, uint32_t flags, struct doca_flow_pipe_entry *entry)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_entries_process(
	struct doca_flow_port *port, uint16_t pipe_queue, uint64_t timeout, uint32_t max_processed_entries)
{
	return unsupported(__func__);
}

enum doca_flow_entry_status doca_flow_pipe_entry_get_status(struct doca_flow_pipe_entry *entry)
{
	(void)unsupported(__func__);
	return 0;
}

int doca_flow_aging_handle(struct doca_flow_port *port, uint16_t queue, uint64_t quota, uint64_t max_entries)
{
	(void)unsupported(__func__);
	return -1;
}

doca_error_t doca_flow_resource_query_entry(
	struct doca_flow_pipe_entry *entry, struct doca_flow_resource_query *data)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_resource_query_pipe_miss(
	struct doca_flow_pipe *pipe, struct doca_flow_resource_query *data)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_get_target(enum doca_flow_target_type type, struct doca_flow_target **target)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_mpls_label_encode(uint32_t label, uint8_t traffic_class, uint8_t ttl,
	bool bottom_of_stack, struct doca_flow_header_mpls *mpls)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_mpls_label_decode(const struct doca_flow_header_mpls *mpls, uint32_t *label,
	uint8_t *traffic_class, uint8_t *ttl, bool *bottom_of_stack)
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

doca_error_t doca_flow_ringfield_set_attach(const struct doca_flow_ringfield_attach *attach)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_session_self(struct doca_flow_ringfield_session *self)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_session_list(
	struct doca_flow_ringfield_session *sessions, uint32_t max, uint32_t *nr)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_session_drop(const char *name)
{
	return unsupported(__func__);
}

bool doca_flow_ringfield_alive(void)
{
	(void)unsupported(__func__);
	return false;
}

doca_error_t doca_flow_ringfield_shutdown(void)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_entry_error(
	const struct doca_flow_pipe_entry *entry, struct doca_flow_ringfield_error *error)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_port_list(struct doca_flow_ringfield_port *ports, uint32_t max, uint32_t *nr)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_port_add(
	const struct doca_flow_ringfield_port_config *config, struct doca_flow_ringfield_port *port)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_port_remove(uint16_t port)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_port_index(const struct doca_flow_port *port, uint16_t *index)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_dev_open(const char *port_name, struct doca_dev **dev)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_dev_rep_open(const char *port_name, struct doca_dev_rep **dev_rep)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_txn_begin(void)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_txn_commit(uint64_t *revision)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_txn_abort(void)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_inject(uint16_t port, doca_be32_t pkt_meta, const uint8_t *frames,
	const uint32_t *lengths, uint32_t nr, uint32_t *done)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_transmit(
	uint16_t port, const uint8_t *frames, const uint32_t *lengths, uint32_t nr, uint32_t *done)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_receive_set(uint32_t flags, uint16_t port)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_receive(struct doca_flow_ringfield_packet *packets, uint32_t max,
	uint8_t *buffer, uint32_t buffer_bytes, uint64_t timeout_us, uint32_t *nr)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_capture(uint32_t points, uint16_t port, uint16_t snap, uint64_t drops)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_trace_frame(uint16_t port, doca_be32_t pkt_meta, const uint8_t *frame,
	uint32_t length, struct doca_flow_ringfield_trace *trace)
{
	return unsupported(__func__);
}

void doca_flow_ringfield_set_tag(uint64_t tag)
{
	(void)unsupported(__func__);
}

doca_error_t doca_flow_ringfield_pipe_columns(const struct doca_flow_pipe *pipe,
	enum doca_flow_ringfield_row_part part, uint8_t action_idx,
	struct doca_flow_ringfield_column *columns, uint32_t max, uint32_t *nr, uint32_t *row_bytes)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_bulk_add(struct doca_flow_ringfield_bulk *bulk)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_bulk_update(struct doca_flow_ringfield_bulk *bulk)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_bulk_remove(struct doca_flow_ringfield_bulk *bulk)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_pipe_list(
	bool own, struct doca_flow_ringfield_pipe *pipes, uint32_t max, uint32_t *nr)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_pipe_info(
	const struct doca_flow_pipe *pipe, struct doca_flow_ringfield_pipe *info)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_entry_info(
	const struct doca_flow_pipe_entry *entry, struct doca_flow_ringfield_entry *info)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_adopt_pipes(
	struct doca_flow_port *port, struct doca_flow_pipe **pipes, uint32_t max, uint32_t *nr)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_adopt_entries(struct doca_flow_ringfield_adopt *adopt)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_stats_get(struct doca_flow_ringfield_stats *stats)
{
	return unsupported(__func__);
}

doca_error_t doca_flow_ringfield_port_stats_get(uint16_t port, struct doca_flow_ringfield_port_stats *stats)
{
	return unsupported(__func__);
}

const char *doca_flow_ringfield_drop_name(uint32_t drop)
{
	(void)unsupported(__func__);
	return NULL;
}

const char *doca_flow_ringfield_drop_text(uint32_t drop)
{
	(void)unsupported(__func__);
	return NULL;
}

doca_error_t doca_flow_ringfield_events(
	struct doca_flow_ringfield_event *events, uint32_t max, uint64_t timeout_us, uint32_t *nr)
{
	return unsupported(__func__);
}
