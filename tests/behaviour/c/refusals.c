// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The negative table: what DOCA Flow refuses, one line a rule, with the code and a sentence that names the pipe and the
// field. Every refusal must leave the pipeline as it was: at the end a valid pipe still forwards.
#include "refusals.h"

static const struct doca_flow_monitor counted = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};

// Section 2: matches.
static void matches(void)
{
	struct draft valid;

	draft_valid(&valid);
	ok(draft_create(&valid) == DOCA_SUCCESS, "the draft itself is valid");
	PIPE(INVALID_VALUE, "l3_type", NULL, memset(&d.match.outer.l3_type, 0xff, 4));
	PIPE(INVALID_VALUE, "l4_type_ext", NULL, memset(&d.match.outer.l4_type_ext, 0xff, 4));
	PIPE(INVALID_VALUE, "tun.type", NULL, memset(&d.match.tun.type, 0xff, 4));
	PIPE(INVALID_VALUE, "inner.l3_type", NULL, memset(&d.match.inner.l3_type, 0xff, 4));
	PIPE(INVALID_VALUE, "meta", "mask", d.match.meta.u32[0] = UINT32_MAX);
	PIPE(INVALID_VALUE, "pkt_meta", "mask", d.match.meta.pkt_meta = 7);
}

// Section 3: types, roots, misses, forwards.
static void pipes(void)
{
	struct doca_flow_fwd rss = {
		.type = DOCA_FLOW_FWD_RSS, .rss_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	uint16_t queue = 0;

	rss.rss.queues_array = &queue;
	rss.rss.nr_queues = 1;
	PIPE(INVALID_VALUE, "fwd_miss", "invalid fwd_miss type 2", d.p.fwd_miss = rig_fwd_port(1));
	PIPE(INVALID_VALUE, "fwd_miss", "invalid fwd_miss type 1", d.p.fwd_miss = rss);
	PIPE(INVALID_VALUE, "fwd", NULL, d.p.fwd.type = 77);
	PIPE(INVALID_VALUE, "fwd", "port", d.p.fwd.port_id = 55);
	PIPE(INVALID_VALUE, "fwd", "are not hairpin peers", d.p.fwd.port_id = 2);
	PIPE(INVALID_VALUE, "fwd", NULL, d.p.fwd = rss, d.p.fwd.rss.nr_queues = 0);
	PIPE(INVALID_VALUE, "fwd", NULL, d.p.fwd.type = DOCA_FLOW_FWD_TARGET, d.p.fwd.target = NULL);
	PIPE(INVALID_VALUE, "fwd", NULL, d.p.domain = DOCA_FLOW_PIPE_DOMAIN_EGRESS, d.p.fwd.port_id = 1);
	PIPE(NOT_SUPPORTED, "domain", NULL, d.p.domain = DOCA_FLOW_PIPE_DOMAIN_SECURE_INGRESS);
	PIPE(NOT_SUPPORTED, "domain", NULL, d.p.domain = DOCA_FLOW_PIPE_DOMAIN_SECURE_EGRESS,
		d.p.fwd.port_id = 0);
	PIPE(BAD_STATE, NULL, NULL, d.p.type = DOCA_FLOW_PIPE_CT);

	PIPE(INVALID_VALUE, "root", NULL, d.p.type = DOCA_FLOW_PIPE_LPM, d.p.is_root = true,
		d.match = (struct doca_flow_match){0}, d.match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4,
		d.match.outer.ip4.src_ip = UINT32_MAX);
	PIPE(INVALID_VALUE, "root", NULL, d.p.type = DOCA_FLOW_PIPE_ACL, d.p.is_root = true);
	PIPE(INVALID_VALUE, "nr_entries", "power of two", d.p.type = DOCA_FLOW_PIPE_HASH, d.p.nr_entries = 3,
		d.mask.outer.ip4.dst_ip = UINT32_MAX, d.mask.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4,
		d.p.match = NULL, d.p.match_mask = &d.mask, d.p.fwd_miss.type = 0);
	PIPE(INVALID_VALUE, NULL, "address", d.p.type = DOCA_FLOW_PIPE_LPM,
		d.match = (struct doca_flow_match){0}, d.match.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP,
		d.match.outer.tcp.l4_port.dst_port = UINT16_MAX);
	PIPE(INVALID_VALUE, "dst_ip", "address", d.p.type = DOCA_FLOW_PIPE_LPM);
	PIPE(INVALID_VALUE, "nr_entries", NULL, d.p.nr_entries = 0, d.p.type = DOCA_FLOW_PIPE_HASH,
		d.p.match = NULL, d.mask.outer.ip4.dst_ip = UINT32_MAX,
		d.mask.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4, d.p.match_mask = &d.mask, d.p.nr_entries = 12,
		d.p.fwd_miss.type = 0);
}

// Section 4: actions.
static void actions(void)
{
	PIPE(INVALID_VALUE, "outer.no.such", NULL, d.p.actions = &d.actions, d.p.descs = &d.descs,
		d.desc.field_op.src.field_string = "outer.no.such");
	PIPE(INVALID_VALUE, "outer.ipv4.ttl", NULL, d.p.actions = &d.actions, d.p.descs = &d.descs,
		d.desc.field_op.dst.field_string = "outer.ipv4.ttl");
	PIPE(INVALID_VALUE, "outer.ipv4.src_ip", NULL, d.p.actions = &d.actions, d.p.descs = &d.descs,
		d.desc.field_op.src.bit_offset = 16);
	PIPE(INVALID_VALUE, "parser_meta", "copied from", d.p.actions = &d.actions, d.p.descs = &d.descs,
		d.desc.field_op.dst.field_string = "parser_meta.random.value", d.desc.field_op.width = 16);
	PIPE(INVALID_VALUE, NULL, NULL, d.p.actions = &d.actions, d.p.descs = &d.descs, d.desc.type = 9);
	PIPE(INVALID_VALUE, "outer.ipv4.dst_ip", NULL, d.p.actions = &d.actions, d.p.descs = &d.descs,
		d.desc.type = DOCA_FLOW_ACTION_ADD, d.desc.field_op.src.field_string = NULL);
	PIPE(NOT_SUPPORTED, "crypto", NULL, d.p.actions = &d.actions,
		d.actions.crypto.action_type = DOCA_FLOW_CRYPTO_ACTION_ENCRYPT);
	PIPE(INVALID_VALUE, "encap", NULL, d.p.actions = &d.actions,
		d.actions.encap_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED,
		d.actions.encap_cfg.encap.tun.type = DOCA_FLOW_TUN_VXLAN);
	PIPE(NOT_SUPPORTED, "tun.type", NULL, d.p.actions = &d.actions,
		d.actions.encap_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED,
		d.actions.encap_cfg.encap.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4,
		d.actions.encap_cfg.encap.tun.type = DOCA_FLOW_TUN_PSP);
	PIPE(INVALID_VALUE, "encap", "reserve", d.p.actions = &d.actions,
		d.actions.encap_type = DOCA_FLOW_RESOURCE_TYPE_SHARED, d.actions.shared_encap_id = 99);
	PIPE(INVALID_VALUE, "encap", "no configuration", d.p.actions = &d.actions,
		d.actions.encap_type = DOCA_FLOW_RESOURCE_TYPE_SHARED, d.actions.shared_encap_id = 0);
	// A changeable shared encapsulation and a changeable forward need two pipes.
	PIPE(INVALID_VALUE, "encap", "fwd", d.p.actions = &d.actions,
		d.actions.encap_type = DOCA_FLOW_RESOURCE_TYPE_SHARED, d.actions.shared_encap_id = UINT32_MAX,
		d.p.fwd = (struct doca_flow_fwd){.type = DOCA_FLOW_FWD_CHANGEABLE});
}

// Section 5: monitors.
static void monitors(void)
{
	PIPE(INVALID_VALUE, "meter", NULL, d.p.monitor = &d.monitor,
		d.monitor.meter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED);
	PIPE(INVALID_VALUE, "monitor", NULL, d.p.monitor = &d.monitor, d.monitor.counter_type = 9);
	PIPE(INVALID_VALUE, "meter", "reserve", d.p.monitor = &d.monitor,
		d.monitor.meter_type = DOCA_FLOW_RESOURCE_TYPE_SHARED,
		d.monitor.shared_meter.shared_meter_id = 99);
	PIPE(INVALID_VALUE, "meter", "no configuration", d.p.monitor = &d.monitor,
		d.monitor.meter_type = DOCA_FLOW_RESOURCE_TYPE_SHARED,
		d.monitor.shared_meter.shared_meter_id = 1);
	PIPE(INVALID_VALUE, "counter", "reserve", d.p.monitor = &d.monitor,
		d.monitor.counter_type = DOCA_FLOW_RESOURCE_TYPE_SHARED,
		d.monitor.shared_counter.shared_counter_id = 99);
	PIPE(NOT_SUPPORTED, "meter", "LPM and ACL", d.p.type = DOCA_FLOW_PIPE_ACL, d.p.monitor = &d.monitor,
		d.monitor.meter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED, d.monitor.non_shared_meter.cir = 1,
		d.monitor.non_shared_meter.cbs = 1);
	PIPE(NOT_SUPPORTED, "counter", "LPM and ACL", d.p.type = DOCA_FLOW_PIPE_ACL, d.p.monitor = &d.monitor,
		d.monitor.counter_type = DOCA_FLOW_RESOURCE_TYPE_SHARED,
		d.monitor.shared_counter.shared_counter_id = UINT32_MAX);
}

// -- setters ----------------------------------------------------------------------------------------------------------

static void setters(void)
{
	struct doca_flow_cfg *cfg;
	struct doca_flow_port_cfg *port_cfg;
	struct doca_flow_pipe_cfg *pipe_cfg;
	struct doca_flow_actions none = {0}, *one = &none;

	success(doca_flow_cfg_create(&cfg));
	CALL(INVALID_VALUE, "cfg", doca_flow_cfg_create(NULL));
	CALL(INVALID_VALUE, "queue", doca_flow_cfg_set_pipe_queues(cfg, 0));
	CALL(INVALID_VALUE, "queue_depth", doca_flow_cfg_set_queue_depth(cfg, 0));
	CALL(INVALID_VALUE, "mode_args", doca_flow_cfg_set_mode_args(cfg, NULL));
	CALL(INVALID_VALUE, NULL, doca_flow_cfg_set_nr_shared_resource(cfg, 1, 77));
	CALL(NOT_SUPPORTED, NULL,
		doca_flow_cfg_set_nr_shared_resource(cfg, 1, DOCA_FLOW_SHARED_RESOURCE_PSP));
	CALL(BAD_STATE, NULL, doca_flow_init(cfg)); // once per process
	success(doca_flow_cfg_destroy(cfg));

	success(doca_flow_port_cfg_create(&port_cfg));
	CALL(INVALID_VALUE, "size", doca_flow_port_cfg_set_actions_mem_size(port_cfg, 100));
	CALL(INVALID_VALUE, "size", doca_flow_port_cfg_set_actions_mem_size(port_cfg, 32));
	success(doca_flow_port_cfg_destroy(port_cfg));

	CALL(INVALID_VALUE, "port", doca_flow_pipe_cfg_create(&pipe_cfg, NULL));
	success(doca_flow_pipe_cfg_create(&pipe_cfg, rig.port[0]));
	CALL(INVALID_VALUE, "nr_actions", doca_flow_pipe_cfg_set_actions(pipe_cfg, &one, NULL, NULL, 0));
	CALL(INVALID_VALUE, "threshold", doca_flow_pipe_cfg_set_congestion_level_threshold(pipe_cfg, 0));
	CALL(INVALID_VALUE, "threshold", doca_flow_pipe_cfg_set_congestion_level_threshold(pipe_cfg, 101));
	CALL(INVALID_VALUE, "nr_entries", doca_flow_pipe_cfg_set_nr_entries(pipe_cfg, 0));
	CALL(INVALID_VALUE, "name", doca_flow_pipe_cfg_set_name(pipe_cfg, NULL));
	CALL(INVALID_VALUE, "type", doca_flow_pipe_cfg_set_type(pipe_cfg, 77));
	CALL(INVALID_VALUE, "domain", doca_flow_pipe_cfg_set_domain(pipe_cfg, 77));
	CALL(INVALID_VALUE, "queue", doca_flow_pipe_cfg_set_excluded_queue(pipe_cfg, 77));
	success(doca_flow_pipe_cfg_set_domain(pipe_cfg, DOCA_FLOW_PIPE_DOMAIN_DEFAULT));
	CALL(ALREADY_EXIST, "domain", doca_flow_pipe_cfg_set_domain(pipe_cfg, DOCA_FLOW_PIPE_DOMAIN_EGRESS));
	success(doca_flow_pipe_cfg_destroy(pipe_cfg));
}

// -- ports ------------------------------------------------------------------------------------------------------------

static void ports(void)
{
	struct doca_flow_port *port = NULL;
	struct doca_flow_port_cfg *cfg;

	success(doca_flow_port_cfg_create(&cfg));
	success(doca_flow_port_cfg_set_dev(cfg, rig.dev[0]));
	refused("a port without id", doca_flow_port_start(cfg, &port), DOCA_ERROR_INVALID_VALUE, NULL, NULL,
		"port ID is mandatory");
	success(doca_flow_port_cfg_destroy(cfg));
	success(doca_flow_port_cfg_create(&cfg));
	success(doca_flow_port_cfg_set_port_id(cfg, 9));
	refused("a port without device", doca_flow_port_start(cfg, &port), DOCA_ERROR_INVALID_VALUE, NULL,
		NULL, "either doca_dev or doca_dev_rep must be provided");
	success(doca_flow_port_cfg_set_dev(cfg, rig.dev[0]));
	refused("a device that is started", doca_flow_port_start(cfg, &port), DOCA_ERROR_IN_USE, NULL, NULL,
		NULL);
	success(doca_flow_port_cfg_destroy(cfg));
	success(doca_flow_ringfield_dev_open("p3", &rig.dev[3]));
	success(doca_flow_port_cfg_create(&cfg));
	success(doca_flow_port_cfg_set_dev(cfg, rig.dev[3]));
	success(doca_flow_port_cfg_set_port_id(cfg, 0));
	refused("an id that is taken", doca_flow_port_start(cfg, &port), DOCA_ERROR_ALREADY_EXIST, NULL,
		"port_id", NULL);
	success(doca_flow_port_cfg_destroy(cfg));
	CALL(INVALID_VALUE, "pair", doca_flow_port_pair(rig.port[0], rig.port[0]));
	CALL(INVALID_VALUE, "pair_port", doca_flow_port_pair(rig.port[0], NULL));
	CALL(INVALID_VALUE, "default_miss", doca_flow_port_update_default_miss(rig.port[0], 9, false));
	CALL(INVALID_VALUE, "data", doca_flow_port_query_default_miss(rig.port[0], NULL));
}

// -- entries ----------------------------------------------------------------------------------------------------------

static void basic_entries(void)
{
	struct doca_flow_match key = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1, 80);
	struct doca_flow_actions ttl = {.outer = {.l3_type = DOCA_FLOW_L3_TYPE_IP4, .ip4.ttl = UINT8_MAX}};
	struct doca_flow_fwd to = rig_fwd_port(1), far = rig_fwd_port(2), drop = rig_fwd_drop();
	struct doca_flow_pipe *basic, *control, *resizable;
	struct doca_flow_pipe_entry *e, *kept[PIPE_ENTRIES];
	const uint32_t both = DOCA_FLOW_ENTRY_FLAGS_NO_WAIT | DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH;
	struct draft d;

	draft_valid(&d);
	d.p.name = "BASIC";
	d.p.actions = &ttl;
	d.p.monitor = &counted;
	d.p.fwd = rig_fwd_port(UINT16_MAX);
	basic = rig_pipe(rig.port[0], &d.p);
	ttl.outer.ip4.ttl = 9;
	ENTRY(INVALID_VALUE, NULL, "pipe",
		doca_flow_pipe_basic_add_entry(0, NULL, &key, 0, &ttl, NULL, &to, 0, NULL, &e));
	ENTRY(INVALID_VALUE, "BASIC", "queue",
		doca_flow_pipe_basic_add_entry(5, basic, &key, 0, &ttl, NULL, &to, 0, NULL, &e));
	ENTRY(INVALID_VALUE, "BASIC", "flags",
		doca_flow_pipe_basic_add_entry(0, basic, &key, 0, &ttl, NULL, &to, both, NULL, &e));
	ENTRY(INVALID_VALUE, "BASIC", "action_idx",
		doca_flow_pipe_basic_add_entry(0, basic, &key, 3, &ttl, NULL, &to, 0, NULL, &e));
	ENTRY(INVALID_VALUE, "BASIC", "match",
		doca_flow_pipe_basic_add_entry(0, basic, NULL, 0, &ttl, NULL, &to, 0, NULL, &e));
	ENTRY(INVALID_VALUE, "BASIC", "actions",
		doca_flow_pipe_basic_add_entry(0, basic, &key, 0, NULL, NULL, &to, 0, NULL, &e));
	ENTRY(INVALID_VALUE, "BASIC", "fwd",
		doca_flow_pipe_basic_add_entry(0, basic, &key, 0, &ttl, NULL, NULL, 0, NULL, &e));
	ENTRY(INVALID_VALUE, "BASIC", "fwd",
		doca_flow_pipe_basic_add_entry(0, basic, &key, 0, &ttl, NULL, &drop, 0, NULL, &e));
	ENTRY(INVALID_VALUE, "BASIC", "hairpin",
		doca_flow_pipe_basic_add_entry(0, basic, &key, 0, &ttl, NULL, &far, 0, NULL, &e));
	ENTRY(INVALID_VALUE, "BASIC", "pipe-type",
		doca_flow_pipe_control_add_entry(
			0, basic, &key, NULL, NULL, NULL, NULL, NULL, NULL, 0, &to, NULL, &e));
	for (uint16_t i = 0; i < PIPE_ENTRIES; i++) {
		key.outer.tcp.l4_port.src_port = DOCA_HTOBE16(i);
		kept[i] = rig_add(rig.port[0], basic, &key, &ttl, &counted, &to);
	}
	key.outer.tcp.l4_port.src_port = DOCA_HTOBE16(99);
	ENTRY(FULL, "BASIC", "nr_entries",
		doca_flow_pipe_basic_add_entry(0, basic, &key, 0, &ttl, NULL, &to, 0, NULL, &e));
	ENTRY(INVALID_VALUE, NULL, "resizable", doca_flow_pipe_resize(basic, 50, NULL, NULL));
	CALL(INVALID_VALUE, "fwd_miss", doca_flow_pipe_update_miss(basic, &to));
	ENTRY(NOT_SUPPORTED, "BASIC", "hash", doca_flow_pipe_calc_hash(basic, &key, &(uint32_t){0}));

	draft_valid(&d);
	d.p.name = "OTHER";
	d.p.nr_entries = 0;
	d.p.is_resizable = true;
	resizable = rig_pipe(rig.port[0], &d.p);
	ENTRY(INVALID_VALUE, "OTHER", "entry",
		doca_flow_pipe_basic_update_entry(0, resizable, 0, NULL, NULL, NULL, 0, kept[0]));
	ENTRY(INVALID_VALUE, NULL, "congestion", doca_flow_pipe_resize(resizable, 101, NULL, NULL));

	d.p = (struct rig_pipe){.name = "CONTROL", .type = DOCA_FLOW_PIPE_CONTROL};
	control = rig_pipe(rig.port[0], &d.p);
	ENTRY(INVALID_VALUE, "CONTROL", "priority",
		doca_flow_pipe_control_add_entry(
			0, control, &key, NULL, NULL, NULL, NULL, NULL, NULL, 8, &to, NULL, &e));
	ENTRY(INVALID_VALUE, "CONTROL", "fwd",
		doca_flow_pipe_control_add_entry(
			0, control, &key, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, &e));
	e = rig_add_control(rig.port[0], control, 0, &key, NULL, &to);
	// Control entries cannot be updated.
	ENTRY(INVALID_VALUE, "CONTROL", NULL,
		doca_flow_pipe_basic_update_entry(0, control, 0, NULL, NULL, &drop, 0, e));

	success(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, kept[0]));
	for (int i = 0; i < 100; i++)
		success(doca_flow_entries_process(rig.port[0], 0, 1000, 0));
	ENTRY(INVALID_VALUE, NULL, "entry", doca_flow_pipe_remove_entry(0, 0, NULL));
	ENTRY(INVALID_VALUE, NULL, "entry",
		doca_flow_resource_query_entry(NULL, &(struct doca_flow_resource_query){0}));
	doca_flow_port_pipes_flush(rig.port[0]);
}

// Conditions belong to control pipes and name fields.
static void conditions(void)
{
	struct doca_flow_match match = {0};
	struct doca_flow_match_condition condition = {.operation = DOCA_FLOW_COMPARE_LT};
	struct rig_pipe p = {.name = "CONDITIONS", .type = DOCA_FLOW_PIPE_CONTROL};
	struct doca_flow_pipe *pipe = rig_pipe(rig.port[0], &p);
	struct doca_flow_fwd drop = rig_fwd_drop();
	struct doca_flow_pipe_entry *e;

	condition.field_op.a.field_string = "outer.tcp.no_such";
	condition.field_op.width = 32;
	ENTRY(INVALID_VALUE, "CONDITIONS", "outer.tcp.no_such",
		doca_flow_pipe_control_add_entry(
			0, pipe, &match, NULL, &condition, NULL, NULL, NULL, NULL, 0, &drop, NULL, &e));
	condition.field_op.a.field_string = "outer.tcp.seq_num";
	condition.field_op.width = 33;
	ENTRY(INVALID_VALUE, "CONDITIONS", "outer.tcp.seq_num",
		doca_flow_pipe_control_add_entry(
			0, pipe, &match, NULL, &condition, NULL, NULL, NULL, NULL, 0, &drop, NULL, &e));
	condition.field_op.width = 32;
	condition.operation = 9;
	ENTRY(INVALID_VALUE, "CONDITIONS", "operation",
		doca_flow_pipe_control_add_entry(
			0, pipe, &match, NULL, &condition, NULL, NULL, NULL, NULL, 0, &drop, NULL, &e));
	doca_flow_port_pipes_flush(rig.port[0]);
}

static void table_entries(void)
{
	struct doca_flow_match key = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1000, 80), mask = {0},
			       address = {0};
	struct doca_flow_fwd to = rig_fwd_port(1), drop = rig_fwd_drop();
	struct doca_flow_pipe *lpm, *acl, *hash, *flood;
	struct rig_status status = {0};
	struct doca_flow_pipe_entry *e;
	struct draft d;

	draft_valid(&d);
	d.p.name = "LPM";
	d.p.type = DOCA_FLOW_PIPE_LPM;
	address.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	address.outer.ip4.src_ip = UINT32_MAX;
	d.match = address;
	lpm = rig_pipe(rig.port[0], &d.p);
	mask = address;
	mask.outer.ip4.src_ip = IP(255, 0, 255, 0);
	ENTRY(INVALID_VALUE, "LPM", "src_ip",
		doca_flow_pipe_lpm_add_entry(0, lpm, &key, &mask, 0, NULL, NULL, NULL, 0, NULL, &e));
	ENTRY(INVALID_VALUE, "LPM", "pipe-type",
		doca_flow_pipe_basic_add_entry(0, lpm, &key, 0, NULL, NULL, NULL, 0, NULL, &e));

	draft_valid(&d);
	d.p.name = "ACL";
	d.p.type = DOCA_FLOW_PIPE_ACL;
	acl = rig_pipe(rig.port[0], &d.p);
	mask = (struct doca_flow_match){0};
	mask.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP;
	mask.outer.tcp.l4_port.src_port = DOCA_HTOBE16(999); // below the value
	ENTRY(INVALID_VALUE, "ACL", "src_port",
		doca_flow_pipe_acl_add_entry(0, acl, &key, &mask, 0, NULL, 0, NULL, 0, NULL, &e));
	mask.outer.tcp.l4_port.src_port = 0;
	ENTRY(INVALID_VALUE, "ACL", "priority",
		doca_flow_pipe_acl_add_entry(0, acl, &key, &mask, 0, NULL, 1025, NULL, 0, NULL, &e));

	draft_valid(&d);
	d.p = (struct rig_pipe){
		.name = "HASH", .type = DOCA_FLOW_PIPE_HASH, .nr_entries = 4, .match_mask = &d.mask};
	d.p.fwd = (struct doca_flow_fwd){.type = DOCA_FLOW_FWD_CHANGEABLE};
	d.mask = address;
	hash = rig_pipe(rig.port[0], &d.p);
	ENTRY(INVALID_VALUE, "HASH", "index",
		doca_flow_pipe_hash_add_entry(0, hash, 4, 0, NULL, NULL, &to, 0, NULL, &e));
	success(doca_flow_pipe_hash_add_entry(0, hash, 1, 0, NULL, NULL, &to, 0, &status, &e));
	require(rig_process(rig.port[0], &status.added, 1) && !status.failed, "a hash entry");
	// An index is taken once: refused at the call or in the completion.
	if (doca_flow_pipe_hash_add_entry(0, hash, 1, 0, NULL, NULL, &to, 0, &status, &e) == DOCA_SUCCESS)
		ok(rig_process(rig.port[0], &status.added, 2) && status.failed == 1,
			"an index is taken once");
	else
		ok(true, "an index is taken once");

	// Flooding: one forward type for all.
	d.p.name = "FLOOD";
	d.p.algorithm = DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_FLOODING;
	flood = rig_pipe(rig.port[0], &d.p);
	status = (struct rig_status){0};
	success(doca_flow_pipe_hash_add_entry(0, flood, 0, 0, NULL, NULL, &to, 0, &status, &e));
	require(rig_process(rig.port[0], &status.added, 1) && !status.failed, "a flooding entry");
	ENTRY(INVALID_VALUE, "FLOOD", "fwd",
		doca_flow_pipe_hash_add_entry(0, flood, 1, 0, NULL, NULL, &drop, 0, NULL, &e));
	doca_flow_port_pipes_flush(rig.port[0]);
}

static void ordered_lists(void)
{
	struct doca_flow_actions set = {.outer = {.l3_type = DOCA_FLOW_L3_TYPE_IP4, .ip4.ttl = 9}};
	struct doca_flow_ordered_list_element element = {
		.type = DOCA_FLOW_ORDERED_LIST_ELEMENT_ACTIONS, .actions = &set};
	struct doca_flow_ordered_list list = {.idx = 1, .size = 1, .elements = &element};
	struct doca_flow_ordered_list *lists[] = {&list};
	struct doca_flow_fwd to = rig_fwd_port(1);
	struct doca_flow_pipe_cfg *cfg;
	struct doca_flow_pipe *pipe;
	struct doca_flow_pipe_entry *e;

	success(doca_flow_pipe_cfg_create(&cfg, rig.port[0]));
	success(doca_flow_pipe_cfg_set_name(cfg, "LIST"));
	success(doca_flow_pipe_cfg_set_type(cfg, DOCA_FLOW_PIPE_ORDERED_LIST));
	success(doca_flow_pipe_cfg_set_nr_entries(cfg, 4));
	CALL(INVALID_VALUE, "ordered_lists", doca_flow_pipe_cfg_set_ordered_lists(cfg, lists, 1));
	element.type = DOCA_FLOW_ORDERED_LIST_ELEMENT_CRYPTO;
	list.idx = 0;
	refused("a crypto element", doca_flow_pipe_cfg_set_ordered_lists(cfg, lists, 1),
		DOCA_ERROR_NOT_SUPPORTED, NULL, NULL, NULL);
	element.type = DOCA_FLOW_ORDERED_LIST_ELEMENT_ACTIONS;
	success(doca_flow_pipe_cfg_set_ordered_lists(cfg, lists, 1));
	success(doca_flow_pipe_cfg_set_is_root(cfg, true));
	refused("an ordered list as root", doca_flow_pipe_create(cfg, &to, NULL, &pipe),
		DOCA_ERROR_INVALID_VALUE, "LIST", "root", NULL);
	success(doca_flow_pipe_cfg_set_is_root(cfg, false));
	success(doca_flow_pipe_create(cfg, &to, NULL, &pipe));
	success(doca_flow_pipe_cfg_destroy(cfg));
	list.idx = 5;
	ENTRY(INVALID_VALUE, "LIST", "idx",
		doca_flow_pipe_ordered_list_add_entry(0, pipe, 0, &list, &to, 0, NULL, &e));
	list.idx = 0;
	ENTRY(INVALID_VALUE, "LIST", "idx",
		doca_flow_pipe_ordered_list_add_entry(0, pipe, 4, &list, &to, 0, NULL, &e));
	doca_flow_port_pipes_flush(rig.port[0]);
}

// One root per port and domain; what is forwarded to cannot go.
// In vnf mode a packet on its way out of a port does not come in again; a switch may (test_tables.py).
static void no_way_back(void)
{
	struct doca_flow_pipe *ingress;
	struct draft first;

	draft_valid(&first);
	first.p.name = "INGRESS";
	ingress = rig_pipe(rig.port[0], &first.p);
	PIPE(INVALID_VALUE, "fwd", "does not lead back to pipe INGRESS", d.p.fwd = rig_fwd_pipe(ingress),
		d.p.domain = DOCA_FLOW_PIPE_DOMAIN_EGRESS);
	PIPE(INVALID_VALUE, "fwd_miss", "does not lead back to pipe INGRESS", d.p.fwd = rig_fwd_drop(),
		d.p.fwd_miss = rig_fwd_pipe(ingress), d.p.domain = DOCA_FLOW_PIPE_DOMAIN_EGRESS);
	doca_flow_pipe_destroy(ingress);
}

// A pipe that another one forwards to is not destroyed; the call returns nothing, the last error tells.
static void in_use(void)
{
	struct rig_frame f = rig_frame4(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80, 20);
	struct doca_flow_ringfield_error error;
	struct doca_flow_resource_query query;
	struct doca_flow_pipe *last, *root;
	struct rig_pipe p = {.name = "LAST"};

	p.fwd = rig_fwd_port(1);
	last = rig_pipe(rig.port[0], &p);
	rig_add(rig.port[0], last, NULL, NULL, NULL, NULL);
	p = (struct rig_pipe){.name = "FIRST", .is_root = true};
	p.fwd = rig_fwd_pipe(last);
	root = rig_pipe(rig.port[0], &p);
	rig_add(rig.port[0], root, NULL, NULL, NULL, NULL);
	doca_flow_pipe_destroy(last);
	doca_flow_ringfield_last_error_get(&error);
	ok(error.code == DOCA_ERROR_IN_USE && !strcmp(error.pipe, "LAST") &&
			!strcmp(error.rule, "pipe-in-use") && strstr(error.reason, "forwards lead to it"),
		"says why: %s", doca_flow_ringfield_last_error());
	rig_send(0, &f);
	rig_settle();
	rig_wire(1, &f);
	rig_done();
	refused("query_pipe_miss", doca_flow_resource_query_pipe_miss(last, &query), DOCA_ERROR_INVALID_VALUE,
		"LAST", "miss_counter", "without a miss counter");
	doca_flow_pipe_destroy(root);
	doca_flow_pipe_destroy(last);
	rig_send(0, &f);
	rig_settle();
	ok(rig_drops("no_pipeline") == 1, "in the right order both go");
	rig_done();
}

static void roots(void)
{
	struct draft first, e;
	struct doca_flow_pipe *pipe;

	draft_valid(&first);
	first.p.name = "ROOT";
	first.p.is_root = true;
	pipe = rig_pipe(rig.port[0], &first.p);
	PIPE(ALREADY_EXIST, "root", NULL, d.p.is_root = true);
	draft_valid(&e);
	e.p.is_root = true;
	e.p.domain = DOCA_FLOW_PIPE_DOMAIN_EGRESS;
	e.p.fwd = rig_fwd_port(0);
	ok(draft_create(&e) == DOCA_SUCCESS, "the other domain has a root of its own");
	doca_flow_pipe_destroy(pipe);
	ok(draft_create(&first) == DOCA_SUCCESS, "when the root is gone there may be another");
}

// Reserves are real: counters and meters run out, and come back.
static void reserves(void)
{
	const struct doca_flow_monitor meter = {.meter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED,
		.non_shared_meter = {.cir = 1000, .cbs = 1000}};
	struct doca_flow_match key = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1, 80);
	struct doca_flow_pipe *pipe, *metered;
	struct doca_flow_pipe_entry *e;
	struct draft mine;
	int added = 0;

	draft_valid(&mine);
	mine.p.name = "COUNTED";
	mine.p.monitor = &counted;
	mine.p.nr_entries = 64;
	pipe = rig_pipe(rig.port[0], &mine.p);
	for (; added < 8; added++) {
		key.outer.tcp.l4_port.src_port = DOCA_HTOBE16(100 + added);
		rig_add(rig.port[0], pipe, &key, NULL, &counted, NULL);
	}
	key.outer.tcp.l4_port.src_port = DOCA_HTOBE16(99);
	ENTRY(NO_MEMORY, "COUNTED", "counter",
		doca_flow_pipe_basic_add_entry(0, pipe, &key, 0, NULL, &counted, NULL, 0, NULL, &e));
	PIPE(NO_MEMORY, "counter", NULL, d.p.miss_counter = true);
	draft_valid(&mine);
	mine.p.name = "METERED";
	mine.p.monitor = &meter;
	metered = rig_pipe(rig.port[0], &mine.p);
	for (uint16_t i = 0; i < 2; i++) {
		key.outer.tcp.l4_port.src_port = DOCA_HTOBE16(i);
		rig_add(rig.port[0], metered, &key, NULL, &meter, NULL);
	}
	key.outer.tcp.l4_port.src_port = DOCA_HTOBE16(99);
	ENTRY(NO_MEMORY, "METERED", "meter",
		doca_flow_pipe_basic_add_entry(0, metered, &key, 0, NULL, &meter, NULL, 0, NULL, &e));
	doca_flow_port_pipes_flush(rig.port[0]);
	draft_valid(&mine);
	mine.p.miss_counter = true;
	ok(draft_create(&mine) == DOCA_SUCCESS, "after the flush there are counters again");
}

static void shared_resources(void)
{
	struct doca_flow_shared_resource_cfg cfg = {.meter_cfg = {.cir = 0, .cbs = 0}};
	struct doca_flow_resource_query q;
	uint32_t id = 0, far = 99;

	CALL(INVALID_VALUE, "meter",
		doca_flow_shared_resource_set_cfg(DOCA_FLOW_SHARED_RESOURCE_METER, 99, &cfg));
	CALL(INVALID_VALUE, "cir",
		doca_flow_shared_resource_set_cfg(DOCA_FLOW_SHARED_RESOURCE_METER, 0, &cfg));
	cfg.meter_cfg = (struct doca_flow_resource_meter_cfg){.cir = 1000,
		.cbs = 1000,
		.alg = DOCA_FLOW_METER_ALGORITHM_TYPE_RFC2698,
		.rfc2698 = {.pir = 10, .pbs = 1000}};
	CALL(INVALID_VALUE, "pir",
		doca_flow_shared_resource_set_cfg(DOCA_FLOW_SHARED_RESOURCE_METER, 0, &cfg));
	cfg.meter_cfg.alg = 9;
	CALL(INVALID_VALUE, "alg",
		doca_flow_shared_resource_set_cfg(DOCA_FLOW_SHARED_RESOURCE_METER, 0, &cfg));
	CALL(NOT_SUPPORTED, NULL,
		doca_flow_shared_resource_set_cfg(DOCA_FLOW_SHARED_RESOURCE_IPSEC_SA, 0, &cfg));
	CALL(INVALID_VALUE, "counter",
		doca_flow_shared_resources_bind(DOCA_FLOW_SHARED_RESOURCE_COUNTER, &far, 1, NULL));
	CALL(INVALID_VALUE, "counter",
		doca_flow_shared_resources_query(DOCA_FLOW_SHARED_RESOURCE_COUNTER, &far, &q, 1));
	CALL(NOT_SUPPORTED, NULL,
		doca_flow_shared_resources_query(DOCA_FLOW_SHARED_RESOURCE_METER, &id, &q, 1));
	CALL(BAD_STATE, "port resource mode",
		doca_flow_port_shared_resource_get(rig.port[0], DOCA_FLOW_SHARED_RESOURCE_COUNTER, &id));
}

// Configured, not bound: the step that programs forget.
static void unbound(void)
{
	struct doca_flow_shared_resource_cfg cfg = {0};

	success(doca_flow_shared_resource_set_cfg(DOCA_FLOW_SHARED_RESOURCE_COUNTER, 1, &cfg));
	PIPE(INVALID_VALUE, "counter", "not bound", d.p.monitor = &d.monitor,
		d.monitor.counter_type = DOCA_FLOW_RESOURCE_TYPE_SHARED,
		d.monitor.shared_counter.shared_counter_id = 1);
}

static int warnings;
static struct doca_flow_ringfield_error warning;

static void on_warning(const struct doca_flow_ringfield_error *what, void *user_ctx)
{
	warnings += user_ctx == &warnings;
	warning = *what;
}

// Of entries: a value for a field that the pipe holds constant; the query of a counter that nobody asked for.
static void lint_entries(void)
{
	struct doca_flow_match key = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1, 80);
	struct doca_flow_resource_query q;
	struct doca_flow_pipe_entry *e;
	struct doca_flow_pipe *pipe;
	struct draft mine;

	draft_valid(&mine);
	mine.p.name = "CONSTANT";
	mine.match.outer.tcp.l4_port.dst_port = DOCA_HTOBE16(443);
	pipe = rig_pipe(rig.port[0], &mine.p);
	ENTRY(INVALID_VALUE, "CONSTANT", "constant-differs",
		doca_flow_pipe_basic_add_entry(0, pipe, &key, 0, NULL, NULL, NULL, 0, NULL, &e));
	key.outer.tcp.l4_port.dst_port = 0;
	e = rig_add(rig.port[0], pipe, &key, NULL, NULL, NULL);
	ENTRY(INVALID_VALUE, "CONSTANT", "counter-unbound", doca_flow_resource_query_entry(e, &q));
	doca_flow_pipe_destroy(pipe);
}

// The silent traps: legal, so that programs run as on a card, but told; a program may ask to have them refused.
static void lint(void)
{
	struct draft trap;

	success(doca_flow_ringfield_lint_set(DOCA_FLOW_RINGFIELD_LINT_REFUSE, NULL, NULL));
	PIPE(INVALID_VALUE, "encap_type", "nothing is encapsulated", d.p.actions = &d.actions,
		d.actions.encap_cfg.encap.tun.type = DOCA_FLOW_TUN_VXLAN);
	PIPE(INVALID_VALUE, "src_ip", "selector", d.match.outer.l3_type = 0);
	PIPE(INVALID_VALUE, "ttl", "not written", d.p.actions = &d.actions,
		d.p.actions_mask = &d.actions_mask, d.actions.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4,
		d.actions.outer.ip4.ttl = 9);
	PIPE(INVALID_VALUE, "congestion", "resizable", d.p.congestion = 50);
	PIPE(INVALID_VALUE, "fwd", "control-fwd", d.p.type = DOCA_FLOW_PIPE_CONTROL, d.p.match = NULL,
		d.p.fwd_miss.type = 0);
	lint_entries();
	success(doca_flow_ringfield_lint_set(DOCA_FLOW_RINGFIELD_LINT_WARN, on_warning, &warnings));
	draft_valid(&trap);
	trap.match.outer.l3_type = 0;
	ok(draft_create(&trap) == DOCA_SUCCESS && warnings > 0, "otherwise it is a warning");
	ok(warning.code == DOCA_SUCCESS && !strcmp(warning.pipe, "DRAFT") && strstr(warning.field, "src_ip"),
		"that names pipe and field: %s, %s: %s", warning.pipe, warning.field, warning.reason);
	success(doca_flow_ringfield_lint_set(DOCA_FLOW_RINGFIELD_LINT_WARN, NULL, NULL));
}

static void before_init(void)
{
	const struct rig_options wrong = {.mode = "hovercraft"};
	struct doca_flow_port_cfg *cfg;
	struct doca_flow_port *port;

	success(doca_flow_port_cfg_create(&cfg));
	success(doca_flow_port_cfg_set_port_id(cfg, 0));
	refused("a port before doca_flow_init()", doca_flow_port_start(cfg, &port), DOCA_ERROR_BAD_STATE,
		NULL, NULL, NULL);
	success(doca_flow_port_cfg_destroy(cfg));
	refused("an unknown mode", rig_init(&wrong), DOCA_ERROR_NOT_SUPPORTED, NULL, "hovercraft", NULL);
	ok(doca_flow_port_switch_get(NULL) == NULL, "no switch port before init");
}

int main(void)
{
	struct rig_options options = {.mode = "vnf,hws", .nr_ports = 3, .nr_counters = 8, .nr_meters = 2};
	struct doca_flow_match template;
	struct rig_pipe p = {.name = "STILL", .is_root = true};
	struct rig_frame f = rig_frame4(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80, 20);

	before_init();
	options.nr_shared[DOCA_FLOW_SHARED_RESOURCE_COUNTER] = 4;
	options.nr_shared[DOCA_FLOW_SHARED_RESOURCE_METER] = 4;
	options.nr_shared[DOCA_FLOW_SHARED_RESOURCE_ENCAP] = 4;
	rig_start(&options);
	setters();
	ports();
	matches();
	pipes();
	actions();
	monitors();
	basic_entries();
	conditions();
	table_entries();
	ordered_lists();
	roots();
	no_way_back();
	in_use();
	reserves();
	shared_resources();
	unbound();
	lint();

	template = rig_tuple_match(true);
	p.match = &template;
	p.fwd = rig_fwd_port(1);
	p.fwd_miss = rig_fwd_drop();
	template.outer.ip4.src_ip = 0;
	{
		struct doca_flow_match key = rig_tuple(true, 0, IP(8, 8, 8, 8), 1234, 80);

		rig_add(rig.port[0], rig_pipe(rig.port[0], &p), &key, NULL, NULL, NULL);
	}
	rig_send(0, &f);
	rig_settle();
	rig_wire(1, &f);
	rig_done();
	rig_stop();
	return tap_done();
}
