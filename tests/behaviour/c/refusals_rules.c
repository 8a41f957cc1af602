// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The negative table, continued: what is too big, what a forward or a type of pipe cannot have, what comes at the wrong
// time. One line a rule; tests/behaviour/test_programs.py checks that no rule of the library is left out.
#include <doca_flow_custom_header.h>
#include <doca_flow_definitions.h>

#include "refusals.h"

static const struct doca_flow_match one_address = {
	.outer = {.l3_type = DOCA_FLOW_L3_TYPE_IP4, .ip4.src_ip = UINT32_MAX}};

// -- modes, before any port is there ----------------------------------------------------------------------------------

static void modes(void)
{
	struct rig_options wrong = {.mode = "vnf,switch"}, many = {.mode = "vnf,hws"};

	refused("both modes", rig_init(&wrong), DOCA_ERROR_INVALID_VALUE, NULL, "mode_args",
		"exclude each other");
	wrong.mode = "remote-vnf";
	refused("a mode that is gone", rig_init(&wrong), DOCA_ERROR_NOT_SUPPORTED, NULL, "mode_args",
		"remote-vnf");
	many.nr_shared[DOCA_FLOW_SHARED_RESOURCE_COUNTER] = 65536;
	refused("shared resources", rig_init(&many), DOCA_ERROR_TOO_BIG, NULL, "nr_shared_resource", "65535");
}

// -- too big ----------------------------------------------------------------------------------------------------------

enum { TEMPLATES = 33, DESCS = 49 };

static void too_big(void)
{
	static struct doca_flow_actions empty;
	static struct doca_flow_actions *templates[TEMPLATES];
	static struct doca_flow_action_desc desc[DESCS];
	static struct doca_flow_action_descs descs = {.desc_array = desc, .nb_action_desc = DESCS};
	static struct doca_flow_action_descs *descs_of[TEMPLATES];
	uint16_t queues[65] = {0};
	struct doca_flow_pipe_cfg *cfg;
	struct doca_flow_pipe *pipe;
	struct doca_flow_fwd drop = rig_fwd_drop();

	PIPE(TOO_BIG, "fwd", "64", d.p.fwd.type = DOCA_FLOW_FWD_RSS,
		d.p.fwd.rss_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED, d.p.fwd.rss.queues_array = queues,
		d.p.fwd.rss.nr_queues = 65);
	// Two pairs of IPv6 addresses, of MAC addresses, ports and all of the metadata are more than a key's 128 bytes.
	PIPE(TOO_BIG, NULL, "128 bytes", memset(&d.match, 0, sizeof(d.match)), d.p.match_mask = &d.mask,
		memset(&d.match.meta, 0xff, sizeof(d.match.meta)),
		memset(&d.match.outer.eth, 0xff, sizeof(d.match.outer.eth)),
		memset(&d.match.inner.eth, 0xff, sizeof(d.match.inner.eth)),
		d.match.outer.l3_type = d.match.inner.l3_type = DOCA_FLOW_L3_TYPE_IP6,
		memset(&d.match.outer.ip6.src_ip, 0xff, 16), memset(&d.match.outer.ip6.dst_ip, 0xff, 16),
		memset(&d.match.inner.ip6.src_ip, 0xff, 16), memset(&d.match.inner.ip6.dst_ip, 0xff, 16),
		d.mask = d.match);
	PIPE(TOO_BIG, "encap", "128 bytes", d.p.actions = &d.actions,
		d.actions.encap_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED, d.actions.encap_cfg.is_l2 = true,
		d.actions.encap_cfg.encap.outer.l3_type = DOCA_FLOW_L3_TYPE_IP6,
		d.actions.encap_cfg.encap.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_UDP,
		d.actions.encap_cfg.encap.tun.type = DOCA_FLOW_TUN_GENEVE,
		d.actions.encap_cfg.encap.tun.geneve.ver_opt_len = 63);

	success(doca_flow_pipe_cfg_create(&cfg, rig.port[0]));
	success(doca_flow_pipe_cfg_set_name(cfg, "MANY"));
	for (int i = 0; i < TEMPLATES; i++)
		templates[i] = &empty, descs_of[i] = &descs;
	for (int i = 0; i < DESCS; i++) {
		desc[i].type = DOCA_FLOW_ACTION_COPY;
		desc[i].field_op.src.field_string = "outer.ipv4.src_ip";
		desc[i].field_op.dst.field_string = "outer.ipv4.dst_ip";
		desc[i].field_op.width = 32;
	}
	CALL(TOO_BIG, "nr_actions", doca_flow_pipe_cfg_set_actions(cfg, templates, NULL, NULL, TEMPLATES));
	success(doca_flow_pipe_cfg_set_actions(cfg, templates, NULL, descs_of, 1));
	refused("49 actions", doca_flow_pipe_create(cfg, &drop, NULL, &pipe), DOCA_ERROR_TOO_BIG, "MANY",
		"action-count", NULL);
	descs.nb_action_desc = DESCS - 1;
	success(doca_flow_pipe_cfg_set_actions(cfg, templates, NULL, descs_of, TEMPLATES - 1));
	refused("32 templates of 48", doca_flow_pipe_create(cfg, &drop, NULL, &pipe), DOCA_ERROR_TOO_BIG,
		"MANY", "pipe-size", NULL);
	success(doca_flow_pipe_cfg_destroy(cfg));
}

// -- what a type of pipe cannot have ----------------------------------------------------------------------------------

static void types(void)
{
	struct doca_flow_ordered_list list = {0}, *lists[] = {&list};
	struct doca_flow_monitor meter = {.meter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	struct doca_flow_ordered_list_element element = {
		.type = DOCA_FLOW_ORDERED_LIST_ELEMENT_MONITOR, .monitor = &meter};
	struct doca_flow_match match = rig_tuple_match(true);
	struct doca_flow_actions actions = {0}, *one = &actions;
	struct doca_flow_fwd to = rig_fwd_port(1);
	struct doca_flow_pipe_cfg *cfg;
	struct doca_flow_pipe *pipe;
	struct doca_flow_pipe_entry *entry;

	PIPE(INVALID_VALUE, "is_resizable", "resized", d.p.type = DOCA_FLOW_PIPE_LPM, d.match = one_address,
		d.p.is_resizable = true);
	PIPE(INVALID_VALUE, "is_resizable", "resized", d.p.type = DOCA_FLOW_PIPE_ACL,
		d.p.is_resizable = true);
	PIPE(INVALID_VALUE, "is_resizable", "resized", d.p.type = DOCA_FLOW_PIPE_HASH, d.mask = one_address,
		d.p.match = NULL, d.p.match_mask = &d.mask, d.p.is_resizable = true);
	PIPE(INVALID_VALUE, "hash_map_algorithm", "hash pipes",
		d.p.algorithm = DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_RANDOM);
	PIPE(NOT_SUPPORTED, "hash_map_algorithm", "SELECT_ENABLED", d.p.type = DOCA_FLOW_PIPE_HASH,
		d.mask = one_address, d.p.match = NULL, d.p.match_mask = &d.mask,
		d.p.algorithm = DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_SELECT_ENABLED);
	PIPE(INVALID_VALUE, "match_mask", "hash", d.p.type = DOCA_FLOW_PIPE_HASH, d.p.match = NULL);
	PIPE(INVALID_VALUE, "match_mask", "match mask", d.p.type = DOCA_FLOW_PIPE_HASH);
	PIPE(NOT_SUPPORTED, "meter", "LPM and ACL", d.p.type = DOCA_FLOW_PIPE_LPM, d.match = one_address,
		d.p.monitor = &d.monitor, d.monitor.meter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED,
		d.monitor.non_shared_meter.cir = 1, d.monitor.non_shared_meter.cbs = 1);
	PIPE(NOT_SUPPORTED, "counter", "LPM and ACL", d.p.type = DOCA_FLOW_PIPE_LPM, d.match = one_address,
		d.p.monitor = &d.monitor, d.monitor.counter_type = DOCA_FLOW_RESOURCE_TYPE_SHARED,
		d.monitor.shared_counter.shared_counter_id = UINT32_MAX);

	success(doca_flow_pipe_cfg_create(&cfg, rig.port[0]));
	success(doca_flow_pipe_cfg_set_name(cfg, "LIST"));
	success(doca_flow_pipe_cfg_set_nr_entries(cfg, PIPE_ENTRIES));
	success(doca_flow_pipe_cfg_set_type(cfg, DOCA_FLOW_PIPE_ORDERED_LIST));
	refused("an ordered list pipe without lists", doca_flow_pipe_create(cfg, &to, NULL, &pipe),
		DOCA_ERROR_INVALID_VALUE, "LIST", "ordered_lists", "list-type");
	CALL(INVALID_VALUE, "ordered_lists", doca_flow_pipe_cfg_set_ordered_lists(cfg, lists, 1));
	list.size = 1;
	list.elements = &element;
	success(doca_flow_pipe_cfg_set_ordered_lists(cfg, lists, 1));
	success(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
	refused("an ordered list pipe with a match", doca_flow_pipe_create(cfg, &to, NULL, &pipe),
		DOCA_ERROR_INVALID_VALUE, "LIST", "match", "list-match");
	success(doca_flow_pipe_cfg_destroy(cfg));
	success(doca_flow_pipe_cfg_create(&cfg, rig.port[0]));
	success(doca_flow_pipe_cfg_set_name(cfg, "LIST"));
	success(doca_flow_pipe_cfg_set_nr_entries(cfg, PIPE_ENTRIES));
	success(doca_flow_pipe_cfg_set_ordered_lists(cfg, lists, 1));
	refused("ordered lists of a basic pipe", doca_flow_pipe_create(cfg, &to, NULL, &pipe),
		DOCA_ERROR_INVALID_VALUE, "LIST", "ordered_lists", "list-type");
	success(doca_flow_pipe_cfg_set_type(cfg, DOCA_FLOW_PIPE_ORDERED_LIST));
	success(doca_flow_pipe_cfg_set_is_resizable(cfg, true));
	refused("an ordered list pipe that grows", doca_flow_pipe_create(cfg, &to, NULL, &pipe),
		DOCA_ERROR_INVALID_VALUE, "LIST", "is_resizable", NULL);
	success(doca_flow_pipe_cfg_set_is_resizable(cfg, false));
	success(doca_flow_pipe_cfg_set_actions(cfg, &one, NULL, NULL, 1));
	refused("actions of an ordered list pipe", doca_flow_pipe_create(cfg, &to, NULL, &pipe),
		DOCA_ERROR_INVALID_VALUE, "LIST", "actions", "list-actions");
	success(doca_flow_pipe_cfg_destroy(cfg));
	success(doca_flow_pipe_cfg_create(&cfg, rig.port[0]));
	success(doca_flow_pipe_cfg_set_name(cfg, "LIST"));
	success(doca_flow_pipe_cfg_set_nr_entries(cfg, PIPE_ENTRIES));
	success(doca_flow_pipe_cfg_set_type(cfg, DOCA_FLOW_PIPE_ORDERED_LIST));
	success(doca_flow_pipe_cfg_set_ordered_lists(cfg, lists, 1));
	success(doca_flow_pipe_create(cfg, &to, NULL, &pipe));
	success(doca_flow_pipe_cfg_destroy(cfg));
	ENTRY(NOT_SUPPORTED, "LIST", "list-meter",
		doca_flow_pipe_ordered_list_add_entry(0, pipe, 0, &list, &to, 0, NULL, &entry));
	list.size = 2;
	ENTRY(INVALID_VALUE, "LIST", "list-elements",
		doca_flow_pipe_ordered_list_add_entry(0, pipe, 0, &list, &to, 0, NULL, &entry));
	doca_flow_port_pipes_flush(rig.port[0]);
}

// -- matches, actions, monitors ---------------------------------------------------------------------------------------

static void fields(void)
{
	struct rig_pipe p = {.name = "CONDITION", .type = DOCA_FLOW_PIPE_CONTROL};
	struct doca_flow_match_condition condition = {.operation = DOCA_FLOW_COMPARE_LT};
	struct doca_flow_fwd drop = rig_fwd_drop();
	struct doca_flow_monitor meter = {.meter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	struct doca_flow_pipe *pipe, *open;
	struct doca_flow_pipe_entry *entry;
	struct draft mine;

	PIPE(INVALID_VALUE, "l3_type", "selector-unknown", d.match.outer.l3_type = 9);
	PIPE(NOT_SUPPORTED, "ipsec", "cannot match", d.p.match_mask = &d.mask,
		d.match.parser_meta.ipsec_syndrome = 1, d.mask.parser_meta.ipsec_syndrome = UINT8_MAX);
	PIPE(NOT_SUPPORTED, "push", "VLAN", d.p.actions = &d.actions, d.actions.has_push = true,
		d.actions.push.type = 7);
	PIPE(INVALID_VALUE, "dst_ip", "desc-width", d.p.actions = &d.actions, d.p.descs = &d.descs,
		d.desc.field_op.width = 33);
	PIPE(INVALID_VALUE, "fwd", "hash function", d.p.fwd.type = DOCA_FLOW_FWD_RSS,
		d.p.fwd.rss_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED,
		d.p.fwd.rss.queues_array = &(uint16_t){0}, d.p.fwd.rss.nr_queues = 1,
		d.p.fwd.rss.rss_hash_func = 7);

	// The immediate value of a condition comes from the match.
	pipe = rig_pipe(rig.port[0], &p);
	condition.field_op.a.field_string = "outer.tcp.seq_num";
	condition.field_op.width = 32;
	ENTRY(INVALID_VALUE, "CONDITION", "condition-value",
		doca_flow_pipe_control_add_entry(
			0, pipe, NULL, NULL, &condition, NULL, NULL, NULL, NULL, 0, &drop, NULL, &entry));
	condition.field_op.a.field_string = NULL;
	ENTRY(INVALID_VALUE, "CONDITION", "condition-field",
		doca_flow_pipe_control_add_entry(
			0, pipe, NULL, NULL, &condition, NULL, NULL, NULL, NULL, 0, &drop, NULL, &entry));

	// What a pipe leaves to its entries they must give.
	draft_valid(&mine);
	mine.p.name = "OPEN_METER";
	mine.p.monitor = &mine.monitor;
	mine.monitor.meter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED;
	mine.monitor.non_shared_meter.cir = mine.monitor.non_shared_meter.cbs = UINT64_MAX;
	open = rig_pipe(rig.port[0], &mine.p);
	mine.match = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1, 80);
	ENTRY(INVALID_VALUE, "OPEN_METER", "monitor-missing",
		doca_flow_pipe_basic_add_entry(0, open, &mine.match, 0, NULL, NULL, NULL, 0, NULL, &entry));
	ENTRY(INVALID_VALUE, "OPEN_METER", "meter-rates",
		doca_flow_pipe_basic_add_entry(0, open, &mine.match, 0, NULL, &meter, NULL, 0, NULL, &entry));
	draft_valid(&mine);
	mine.p.name = "OPEN_COUNTER";
	mine.p.monitor = &mine.monitor;
	mine.monitor.counter_type = DOCA_FLOW_RESOURCE_TYPE_SHARED;
	mine.monitor.shared_counter.shared_counter_id = UINT32_MAX;
	open = rig_pipe(rig.port[0], &mine.p);
	mine.match = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1, 80);
	ENTRY(INVALID_VALUE, "OPEN_COUNTER", "monitor-missing",
		doca_flow_pipe_basic_add_entry(0, open, &mine.match, 0, NULL, NULL, NULL, 0, NULL, &entry));
	doca_flow_port_pipes_flush(rig.port[0]);
}

// -- forwards ---------------------------------------------------------------------------------------------------------

static void forwards(void)
{
	struct draft next, open;
	struct doca_flow_fwd to = rig_fwd_port(1), nowhere = rig_fwd_pipe(NULL), hash = {0};
	struct doca_flow_match key = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1, 80);
	struct doca_flow_pipe *basic, *hashed, *leads;
	struct doca_flow_pipe_entry *entry;

	draft_valid(&next);
	next.p.name = "BASIC";
	basic = rig_pipe(rig.port[0], &next.p);
	draft_valid(&next);
	next.mask = one_address;
	next.p = (struct rig_pipe){.name = "HASH",
		.type = DOCA_FLOW_PIPE_HASH,
		.nr_entries = PIPE_ENTRIES,
		.match_mask = &next.mask,
		.fwd = to};
	hashed = rig_pipe(rig.port[0], &next.p);

	PIPE(INVALID_VALUE, "fwd", "not a hash pipe", d.p.fwd.type = DOCA_FLOW_FWD_HASH_PIPE,
		d.p.fwd.hash_pipe.pipe = basic);
	PIPE(INVALID_VALUE, "fwd", "not a hash pipe", d.p.fwd.type = DOCA_FLOW_FWD_HASH_PIPE,
		d.p.fwd.hash_pipe.pipe = NULL);
	PIPE(NOT_SUPPORTED, "fwd", "more than one", d.p.fwd.type = DOCA_FLOW_FWD_HASH_PIPE,
		d.p.fwd.hash_pipe.pipe = hashed,
		d.p.fwd.hash_pipe.algorithm =
			DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_HASH | DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_RANDOM);
	PIPE(INVALID_VALUE, "fwd", "not an ordered list pipe", d.p.fwd.type = DOCA_FLOW_FWD_ORDERED_LIST_PIPE,
		d.p.fwd.ordered_list_pipe.pipe = basic);
	PIPE(INVALID_VALUE, "fwd", "not an ordered list pipe", d.p.fwd.type = DOCA_FLOW_FWD_ORDERED_LIST_PIPE,
		d.p.fwd.ordered_list_pipe.pipe = NULL);
	PIPE(INVALID_VALUE, "fwd_miss", "NULL", d.p.fwd_miss = nowhere);
	PIPE(INVALID_VALUE, "fwd_miss", "invalid fwd_miss type 6",
		d.p.fwd_miss.type = DOCA_FLOW_FWD_ORDERED_LIST_PIPE);
	PIPE(INVALID_VALUE, "fwd_miss", "invalid fwd_miss type 7",
		d.p.fwd_miss.type = DOCA_FLOW_FWD_HASH_PIPE, d.p.fwd_miss.hash_pipe.pipe = hashed);
	PIPE(INVALID_VALUE, "fwd_miss", "invalid fwd_miss type 100",
		d.p.fwd_miss.type = DOCA_FLOW_FWD_CHANGEABLE);
	PIPE(INVALID_VALUE, "fwd", "drop-reason",
		d.p.fwd.type = (enum doca_flow_fwd_type)DOCA_FLOW_RINGFIELD_FWD_DROP,
		d.p.fwd.port_id = 60000);

	draft_valid(&open);
	open.p.name = "OPEN";
	open.p.fwd = (struct doca_flow_fwd){.type = DOCA_FLOW_FWD_CHANGEABLE};
	leads = rig_pipe(rig.port[0], &open.p);
	ENTRY(INVALID_VALUE, "OPEN", "fwd-pipe",
		doca_flow_pipe_basic_add_entry(0, leads, &key, 0, NULL, NULL, &nowhere, 0, NULL, &entry));
	hash.type = DOCA_FLOW_FWD_HASH_PIPE;
	hash.hash_pipe.pipe = basic;
	ENTRY(INVALID_VALUE, "OPEN", "fwd-hash",
		doca_flow_pipe_basic_add_entry(0, leads, &key, 0, NULL, NULL, &hash, 0, NULL, &entry));
	hash.type = DOCA_FLOW_FWD_CHANGEABLE;
	ENTRY(INVALID_VALUE, "OPEN", "fwd-changeable",
		doca_flow_pipe_basic_add_entry(0, leads, &key, 0, NULL, NULL, &hash, 0, NULL, &entry));
	// Entries of a hash pipe stay until they are removed.
	success(doca_flow_pipe_hash_add_entry(0, hashed, 0, 0, NULL, NULL, NULL, 0, NULL, &entry));
	success(doca_flow_entries_process(rig.port[0], 0, 10000, 0));
	ENTRY(INVALID_VALUE, "HASH", "pipe-type",
		doca_flow_pipe_basic_update_entry(0, hashed, 0, NULL, NULL, &to, 0, entry));
	doca_flow_port_pipes_flush(rig.port[0]);
}

// -- at the wrong time, or not at all ---------------------------------------------------------------------------------

static void order(void)
{
	const uint16_t none[] = {1};
	struct doca_flow_match key = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1, 80);
	struct doca_flow_resource_query q;
	struct doca_flow_target *target;
	struct doca_flow_pipe *pipe;
	struct doca_flow_pipe_entry *entry;
	struct doca_flow_shared_resource_cfg cfg = {0};
	struct doca_flow_header_mpls label;
	uint32_t id = 0;
	struct draft d;

	draft_valid(&d);
	d.p.name = "GROWS";
	d.p.is_resizable = true;
	d.p.congestion = 50;
	d.p.excluded_queues = none;
	d.p.nr_excluded = 1;
	pipe = rig_pipe(rig.port[0], &d.p);
	ENTRY(INVALID_VALUE, "GROWS", "queue-excluded",
		doca_flow_pipe_basic_add_entry(1, pipe, &key, 0, NULL, NULL, NULL, 0, NULL, &entry));
	success(doca_flow_pipe_resize(pipe, 50, NULL, NULL));
	ENTRY(IN_PROGRESS, "GROWS", "resize-once", doca_flow_pipe_resize(pipe, 50, NULL, NULL));
	success(doca_flow_entries_process(rig.port[0], 0, 10000, 0));
	doca_flow_port_pipes_flush(rig.port[0]);

	CALL(BAD_STATE, "default-miss-counter", doca_flow_port_query_default_miss(rig.port[0], &q));
	CALL(INVALID_VALUE, "port", doca_flow_entries_process(NULL, 0, 0, 0));
	CALL(INVALID_VALUE, "queue-number", doca_flow_entries_process(rig.port[0], 9, 0, 0));
	CALL(INVALID_VALUE, "pair-once", doca_flow_port_pair(rig.port[0], rig.port[2]));
	CALL(NOT_SUPPORTED, "operation-state",
		doca_flow_port_operation_state_modify(rig.port[0], DOCA_FLOW_PORT_OPERATION_STATE_STANDBY));
	CALL(INVALID_VALUE, "state", doca_flow_port_operation_state_modify(rig.port[0], 9));
	success(doca_flow_port_operation_state_modify(rig.port[0], DOCA_FLOW_PORT_OPERATION_STATE_ACTIVE));
	CALL(NOT_SUPPORTED, "fwd-target", doca_flow_get_target(7, &target));
	CALL(INVALID_VALUE, "label", doca_flow_mpls_label_encode(1 << 20, 0, 0, false, &label));
	CALL(INVALID_VALUE, "traffic_class", doca_flow_mpls_label_encode(1, 8, 0, false, &label));
	CALL(NOT_SUPPORTED, NULL, doca_flow_port_calc_entropy(rig.port[0], NULL, NULL));
	CALL(NOT_SUPPORTED, NULL, doca_flow_parser_geneve_opt_create(rig.port[0], NULL, 0, NULL));
	CALL(NOT_SUPPORTED, NULL, doca_flow_definitions_cfg_create(NULL));
	CALL(NOT_SUPPORTED, NULL, doca_flow_custom_header_create(NULL));
	CALL(NOT_SUPPORTED, NULL, doca_flow_crypto_psp_master_key_rotate(rig.port[0]));

	success(doca_flow_shared_resource_set_cfg(DOCA_FLOW_SHARED_RESOURCE_COUNTER, id, &cfg));
	success(doca_flow_shared_resources_bind(DOCA_FLOW_SHARED_RESOURCE_COUNTER, &id, 1, rig.port[0]));
	CALL(ALREADY_EXIST, "shared-bound",
		doca_flow_shared_resources_bind(DOCA_FLOW_SHARED_RESOURCE_COUNTER, &id, 1, rig.port[1]));
	cfg.rss_cfg.nr_queues = 0;
	CALL(INVALID_VALUE, "rss-queues",
		doca_flow_shared_resource_set_cfg(DOCA_FLOW_SHARED_RESOURCE_RSS, 0, &cfg));
	CALL(IN_USE, "device", doca_dev_close(rig.dev[0]));
	CALL(INVALID_VALUE, "pipe", doca_flow_ringfield_pipe_destroy(NULL));
}

int main(void)
{
	struct rig_options options = {.mode = "vnf,hws", .nr_ports = 3, .queues = 2, .nr_meters = 2};

	modes();
	options.nr_shared[DOCA_FLOW_SHARED_RESOURCE_COUNTER] = 2;
	options.nr_shared[DOCA_FLOW_SHARED_RESOURCE_RSS] = 1;
	rig_start(&options);
	too_big();
	types();
	fields();
	forwards();
	order();
	rig_stop();
	return tap_done();
}
