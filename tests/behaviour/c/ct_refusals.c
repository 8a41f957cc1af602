// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What connection tracking refuses, call by call: the code, and that nothing of what was refused is left.
#include <stdio.h>

#include "ct_rig.h"

static const struct rig_options rig_options = {.mode = "switch,hws", .nr_ports = 2};
static struct doca_flow_ct_match tuple;

// -- configuration and order ------------------------------------------------------------------------------------------

static void configuration(void)
{
	struct doca_flow_meta two = {.pkt_meta = 1, .u32 = {1}}, none = {0};
	struct doca_flow_ct_meta nothing = {0};
	struct doca_flow_ct_aging_ops ops = {0};
	struct doca_flow_ct_cfg *cfg;

	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_create(NULL));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_destroy(NULL));
	success(doca_flow_ct_cfg_create(&cfg));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_set_flags(cfg, 1u << 9));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_set_queues(cfg, 0));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_set_queues(cfg, 32));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_set_queue_depth(cfg, 1));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_set_ctrl_queues(cfg, 32));
	refused(DOCA_ERROR_TOO_BIG, doca_flow_ct_cfg_set_connections(cfg, 1u << 23, 1, 0));
	refused(DOCA_ERROR_TOO_BIG, doca_flow_ct_cfg_set_connections(cfg, 0, 0, UINT32_MAX));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_set_max_connections_per_zone(cfg, 0));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_set_entry_private_data_size(cfg, 65537));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_set_dup_filter_size(cfg, UINT32_MAX));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_set_aging_plugin_ops(cfg, NULL));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_set_aging_plugin_ops(cfg, &ops));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_set_direction(cfg, false, false, NULL, &nothing));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_set_direction(cfg, false, false, &none, NULL));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cfg_set_direction(cfg, false, false, &two, &nothing));
	refused(DOCA_ERROR_BAD_STATE, doca_flow_ct_init(cfg));
	success(doca_flow_ct_cfg_destroy(cfg));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_cap_is_dev_supported(NULL));
	ok(doca_flow_ct_meta_get_zone_offset(false) == UINT32_MAX, "without zones there is no offset");
}

static void order(void)
{
	const struct ct_options plain = {0}, differ = {.inner = {false, true}}, queues = {.queues = 31},
				marked = {.modify = {{.mark = DOCA_HTOBE32(1)}}},
				idle = {.flags = DOCA_FLOW_CT_FLAG_NO_AGING,
					.plugin = &(struct doca_flow_ct_aging_ops){
						(void *)1, (void *)1, (void *)1, (void *)1}};
	struct rig_pipe p = {.name = "CT", .type = DOCA_FLOW_PIPE_CT};
	struct doca_flow_pipe *pipe;
	struct doca_flow_fwd fwd;
	uint32_t handle;

	success(rig_init(&rig_options));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_init(NULL));
	refused(DOCA_ERROR_INVALID_VALUE, ct_rig_init(&differ));
	refused(DOCA_ERROR_TOO_BIG, ct_rig_init(&queues));
	refused(DOCA_ERROR_INVALID_VALUE, ct_rig_init(&marked));
	refused(DOCA_ERROR_INVALID_VALUE, ct_rig_init(&idle));
	rig_start_ports(&rig_options);
	refused(DOCA_ERROR_BAD_STATE, ct_rig_init(&plain));
	pipe = ct_any(rig.port[0], "ANY", rig_fwd_drop(), NULL);
	fwd = p.fwd = p.fwd_miss = rig_fwd_pipe(pipe);
	refused(DOCA_ERROR_BAD_STATE, rig_pipe_try(rig.port[0], &p, &pipe));
	refused(DOCA_ERROR_BAD_STATE, doca_flow_ct_fwd_register(rig.port[0], 1, &fwd, &handle));
	refused(DOCA_ERROR_BAD_STATE, doca_flow_ct_entries_process(rig.port[0], CT_QUEUE, 0, 0, NULL));
	refused(DOCA_ERROR_BAD_STATE,
		doca_flow_ct_entry_prepare(CT_QUEUE, pipe, CT_ALLOC, &tuple, 0, NULL, 0, NULL, NULL));
	doca_flow_ct_destroy(); // of nothing
	rig_stop();
	success(rig_init(&rig_options));
	success(ct_rig_init(&plain));
	refused(DOCA_ERROR_BAD_STATE, ct_rig_init(&plain));
	doca_flow_ct_destroy();
	success(ct_rig_init(&plain)); // again
	rig_start_ports(&rig_options);
	rig_stop();
}

// -- pipes ------------------------------------------------------------------------------------------------------------

static void pipes(void)
{
	const struct ct_options plain = {0};
	const struct doca_flow_monitor counted = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	const struct doca_flow_match address = {
		.outer = {.l3_type = DOCA_FLOW_L3_TYPE_IP4, .ip4 = {.src_ip = UINT32_MAX}}};
	struct doca_flow_actions push = {.pop_vlan = true};
	struct doca_flow_pipe *any, *pipe;
	struct rig_pipe good, p;

	ct_rig_start(&rig_options, &plain);
	any = ct_any(rig.port[0], "ANY", rig_fwd_drop(), NULL);
	good = (struct rig_pipe){.name = "CT",
		.type = DOCA_FLOW_PIPE_CT,
		.fwd = rig_fwd_pipe(any),
		.fwd_miss = rig_fwd_pipe(any)};
#define PIPE(code, ...)                                                           \
	do {                                                                      \
		p = good;                                                         \
		__VA_ARGS__;                                                      \
		printf("# %s\n", #__VA_ARGS__);                                   \
		refused(DOCA_ERROR_##code, rig_pipe_try(rig.port[0], &p, &pipe)); \
	} while (0)
	PIPE(INVALID_VALUE, p.fwd = (struct doca_flow_fwd){0});
	PIPE(INVALID_VALUE, p.fwd = rig_fwd_port(1));
	PIPE(INVALID_VALUE, p.fwd = rig_fwd_pipe(NULL));
	PIPE(INVALID_VALUE, p.fwd_miss = (struct doca_flow_fwd){0});
	PIPE(INVALID_VALUE, p.fwd_miss = rig_fwd_drop());
	PIPE(INVALID_VALUE, p.is_root = true);
	PIPE(INVALID_VALUE, p.is_resizable = true);
	PIPE(INVALID_VALUE, p.monitor = &counted);
	PIPE(INVALID_VALUE, p.match = &address);
	PIPE(NOT_SUPPORTED, p.actions = &push);
#undef PIPE
	success(rig_pipe_try(rig.port[0], &good, &pipe));
	refused(DOCA_ERROR_INVALID_VALUE,
		doca_flow_pipe_basic_add_entry(0, pipe, NULL, 0, NULL, NULL, NULL, 0, NULL, NULL));
	rig_stop();
}

// -- connections ------------------------------------------------------------------------------------------------------

static struct doca_flow_pipe *ct, *any;

static struct doca_flow_pipe_entry *prepared(void)
{
	struct doca_flow_pipe_entry *entry;

	must(doca_flow_ct_entry_prepare(CT_QUEUE, ct, CT_ALLOC, &tuple, 0, NULL, 0, &entry, NULL));
	return entry;
}

static doca_error_t add(uint16_t queue, uint32_t flags, struct doca_flow_ct_match *match,
	const struct doca_flow_ct_actions *action, uint32_t handle)
{
	struct doca_flow_pipe_entry *entry = prepared();
	doca_error_t result = doca_flow_ct_add_entry(
		queue, ct, flags, match, NULL, action, NULL, handle, 0, 0, NULL, entry);

	if (result != DOCA_SUCCESS)
		must(doca_flow_ct_entry_prepare_rollback(CT_QUEUE, ct, entry));
	return result;
}

static void arguments(void)
{
	const struct ct_options options = {.flags = DOCA_FLOW_CT_FLAG_NO_AGING | DOCA_FLOW_CT_FLAG_NO_COUNTER,
		.ipv4 = 4,
		.ipv6 = 1,
		.user_actions = 1,
		.queue_depth = 8};
	struct doca_flow_ct_match icmp = tuple, same = tuple;
	struct doca_flow_ct_actions own = {.resource_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED},
				    shared = {.resource_type = DOCA_FLOW_RESOURCE_TYPE_SHARED};
	struct doca_flow_pipe_entry *entry, *held[4];
	struct doca_flow_ringfield_bulk bulk = {.entries = &entry, .nr = 1};
	uint32_t handle = 0, room;

	ct_rig_start(&rig_options, &options);
	any = ct_any(rig.port[0], "ANY", rig_fwd_drop(), NULL);
	bulk.pipe = ct = ct_pipe(rig.port[0], any, any);
	icmp.ipv4.next_proto = 1;
	same.ipv4.dst_ip = same.ipv4.src_ip;
	same.ipv4.l4_port.dst_port = same.ipv4.l4_port.src_port;
	refused(DOCA_ERROR_INVALID_VALUE,
		doca_flow_ct_entry_prepare(CT_QUEUE, NULL, CT_ALLOC, &tuple, 0, NULL, 0, &entry, NULL));
	refused(DOCA_ERROR_INVALID_VALUE,
		doca_flow_ct_entry_prepare(CT_QUEUE, any, CT_ALLOC, &tuple, 0, NULL, 0, &entry, NULL));
	refused(DOCA_ERROR_INVALID_VALUE,
		doca_flow_ct_entry_prepare(0, ct, CT_ALLOC, &tuple, 0, NULL, 0, &entry, NULL));
	refused(DOCA_ERROR_INVALID_VALUE,
		doca_flow_ct_entry_prepare(CT_QUEUE + 1, ct, CT_ALLOC, &tuple, 0, NULL, 0, &entry, NULL));
	refused(DOCA_ERROR_INVALID_VALUE,
		doca_flow_ct_entry_prepare(CT_QUEUE, ct, CT_ALLOC, NULL, 0, NULL, 0, &entry, NULL));
	refused(DOCA_ERROR_INVALID_VALUE,
		doca_flow_ct_entry_prepare(CT_QUEUE, ct, CT_ALLOC, &tuple, 0, NULL, 0, NULL, NULL));
	refused(DOCA_ERROR_INVALID_VALUE, add(CT_QUEUE + 1, CT_BOTH | CT_NOW, &tuple, NULL, 0));
	refused(DOCA_ERROR_INVALID_VALUE, add(CT_QUEUE, CT_NOW, &tuple, NULL, 0));
	refused(DOCA_ERROR_INVALID_VALUE, add(CT_QUEUE, CT_BOTH | 1u << 13, &tuple, NULL, 0));
	refused(DOCA_ERROR_INVALID_VALUE, add(CT_QUEUE, CT_BOTH | CT_COUNTED, &tuple, NULL, 0));
	refused(DOCA_ERROR_INVALID_VALUE, add(CT_QUEUE, CT_BOTH, NULL, NULL, 0));
	refused(DOCA_ERROR_INVALID_VALUE, add(CT_QUEUE, CT_BOTH, &icmp, NULL, 0));
	refused(DOCA_ERROR_INVALID_VALUE, add(CT_QUEUE, CT_BOTH, &same, NULL, 0));
	refused(DOCA_ERROR_INVALID_VALUE, add(CT_QUEUE, CT_BOTH, &tuple, NULL, 1));
	refused(DOCA_ERROR_INVALID_VALUE, add(CT_QUEUE, CT_BOTH, &tuple, &shared, 0));
	refused(DOCA_ERROR_INVALID_VALUE,
		add(CT_QUEUE, CT_BOTH, &tuple, &own, 0)); // the pipe has no template
	refused(DOCA_ERROR_NOT_SUPPORTED, doca_flow_ringfield_bulk_add(&bulk));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_actions_add_shared(CT_QUEUE, ct, &own, 1, &handle));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_actions_add_shared(CT_QUEUE, ct, NULL, 1, &handle));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_actions_rm_shared(CT_QUEUE, ct, &handle, 1));
	refused(DOCA_ERROR_NOT_SUPPORTED,
		doca_flow_ct_pipe_iterate(ct, (doca_flow_ct_pipe_iterate_cb)1, NULL));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_entries_process(NULL, CT_QUEUE, 0, 0, NULL));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_entries_process(rig.port[0], 0, 0, 0, NULL));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_entries_process(rig.port[0], 3, 0, 0, NULL));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_entries_process(rig.port[0], CT_QUEUE, 9, 0, NULL));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_entries_process(rig.port[0], CT_QUEUE, 8, 7, NULL));
	success(doca_flow_ct_entries_process(rig.port[0], CT_QUEUE, 8, 8, &room));
	ok(room == 8, "nothing that was refused is in the queue");

	// All connections are still there to have.
	for (int i = 0; i < 4; i++)
		held[i] = prepared();
	entry = prepared(); // of IPv6, for all the pipe knows
	refused(DOCA_ERROR_FULL,
		doca_flow_ct_entry_prepare(CT_QUEUE, ct, CT_ALLOC, &tuple, 0, NULL, 0, &held[3], NULL));
	success(doca_flow_ct_entry_prepare_rollback(CT_QUEUE, ct, entry));
	refused(DOCA_ERROR_NOT_FOUND, doca_flow_ct_entry_prepare_rollback(CT_QUEUE, ct, entry));
	for (int i = 0; i < 4; i++)
		success(doca_flow_ct_entry_prepare_rollback(CT_QUEUE, ct, held[i]));
	ct_rig_stop();
}

static void states(void)
{
	const struct ct_options options = {
		.flags = DOCA_FLOW_CT_FLAG_NO_AGING, .ipv4 = 6, .ipv6 = 1, .queue_depth = 4};
	struct doca_flow_ct_match six = ct_match6(false, 1, 2, 3, 4), next = tuple;
	struct doca_flow_pipe_entry *entry, *basic, *other;
	struct rig_status status = {0}, failing = {0};
	uint32_t six_flags = CT_BOTH | DOCA_FLOW_CT_ENTRY_FLAGS_IPV6_ORIGIN;
	struct doca_flow_resource_query query;
	uint32_t room;

	ct_rig_start(&rig_options, &options);
	any = ct_any(rig.port[0], "ANY", rig_fwd_drop(), &basic);
	ct = ct_pipe(rig.port[0], any, any);
	ct_root(rig.port[0], ct);
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_rm_entry(CT_QUEUE, ct, CT_NOW, NULL));
	entry = prepared();
	refused(DOCA_ERROR_BAD_STATE, doca_flow_ct_rm_entry(CT_QUEUE, ct, CT_NOW, entry));
	refused(DOCA_ERROR_BAD_STATE,
		doca_flow_ct_update_entry(CT_QUEUE, ct, CT_NOW, entry, NULL, NULL, 0, 0, 0));
	refused(DOCA_ERROR_BAD_STATE, doca_flow_ct_query_entry(CT_QUEUE, ct, 0, entry, NULL, NULL, NULL));
	refused(DOCA_ERROR_BAD_STATE, doca_flow_ct_entry_add_dir(CT_QUEUE, ct,
					      DOCA_FLOW_CT_ENTRY_FLAGS_DIR_REPLY, &tuple, NULL, 0, entry));
	success(doca_flow_ct_add_entry(
		CT_QUEUE, ct, CT_BOTH, &tuple, NULL, NULL, NULL, 0, 0, 0, &status, entry)); // not pushed
	refused(DOCA_ERROR_IN_PROGRESS, doca_flow_ct_rm_entry(CT_QUEUE, ct, CT_NOW, entry));
	refused(DOCA_ERROR_IN_PROGRESS, doca_flow_ct_add_entry(CT_QUEUE, ct, CT_BOTH, &tuple, NULL, NULL,
						NULL, 0, 0, 0, &status, entry));
	refused(DOCA_ERROR_IN_PROGRESS, doca_flow_ct_entry_prepare_rollback(CT_QUEUE, ct, entry));
	next.ipv4.l4_port.src_port++;
	success(doca_flow_ct_entry_prepare(CT_QUEUE, ct, CT_ALLOC, &next, 0, NULL, 0, &other, NULL));
	success(doca_flow_ct_add_entry(
		CT_QUEUE, ct, CT_BOTH, &next, NULL, NULL, NULL, 0, 0, 0, &status, other));
	entry = prepared(); // the queue holds four operations by now
	refused(DOCA_ERROR_AGAIN, doca_flow_ct_add_entry(CT_QUEUE, ct, CT_BOTH, &tuple, NULL, NULL, NULL, 0,
					  0, 0, &failing, entry));
	success(doca_flow_ct_entries_process(rig.port[0], CT_QUEUE, 4, 0, &room));
	ok(room == 4 && status.added == 2, "room when they are done");
	success(doca_flow_ct_add_entry(
		CT_QUEUE, ct, CT_BOTH | CT_NOW, &tuple, NULL, NULL, NULL, 0, 0, 0, &failing, entry));
	ok(ct_process(rig.port[0], &failing.added, 1) && failing.failed == 1, "a tuple that is there fails");
	refused(DOCA_ERROR_BAD_STATE, doca_flow_ct_add_entry(CT_QUEUE, ct, CT_BOTH, &next, NULL, NULL, NULL,
					      0, 0, 0, &status, other));
	refused(DOCA_ERROR_INVALID_VALUE,
		doca_flow_ct_entry_add_dir(CT_QUEUE, ct, CT_BOTH, &tuple, NULL, 0, other));
	refused(DOCA_ERROR_NOT_SUPPORTED, doca_flow_pipe_remove_entry(0, 0, other));
	refused(DOCA_ERROR_NOT_SUPPORTED, doca_flow_resource_query_entry(other, &query));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_rm_entry(CT_QUEUE, any, CT_NOW, basic));
	refused(DOCA_ERROR_INVALID_VALUE, doca_flow_ct_rm_entry(CT_QUEUE, ct, CT_NOW, basic));

	// One connection of IPv6 was reserved.
	success(doca_flow_ct_entry_prepare(
		CT_QUEUE, ct, CT_ALLOC | six_flags, &six, 0, NULL, 0, &entry, NULL));
	success(doca_flow_ct_add_entry(
		CT_QUEUE, ct, six_flags | CT_NOW, &six, NULL, NULL, NULL, 0, 0, 0, &status, entry));
	require(ct_process(rig.port[0], &status.added, 3), "IPv6");
	six.ipv6.l4_port.src_port++;
	entry = prepared();
	refused(DOCA_ERROR_FULL, doca_flow_ct_add_entry(CT_QUEUE, ct, six_flags | CT_NOW, &six, NULL, NULL,
					 NULL, 0, 0, 0, &status, entry));
	ct_rig_stop();
}

int main(void)
{
	tuple = ct_match4(false, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 1, 2);
	configuration();
	order();
	pipes();
	arguments();
	states();
	return tap_done();
}
