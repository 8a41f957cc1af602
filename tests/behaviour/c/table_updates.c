// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// doca_flow_pipe_lpm_update_entry() and doca_flow_pipe_acl_update_entry(): the match stays, actions and forward change, the
// counter goes on; and what the two calls refuse.
#include "rig.h"

static const struct doca_flow_monitor counted = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
static struct rig_frame f, other;

#define REFUSED(expected, pipe_, words, call)                                                               \
	do {                                                                                                \
		doca_error_t code_ = (call);                                                                \
		struct doca_flow_ringfield_error error_;                                                    \
		doca_flow_ringfield_last_error_get(&error_);                                                \
		ok(code_ == (expected) && error_.code == code_ && !strcmp(error_.pipe, pipe_) &&            \
				strstr(doca_flow_ringfield_last_error(), words),                            \
			"%s: %s: %s", #call, doca_error_get_name(code_), doca_flow_ringfield_last_error()); \
	} while (0)

static struct rig_frame with_ttl(const struct rig_frame *frame, uint8_t ttl)
{
	struct rig_frame made = *frame;

	made.bytes[22] = ttl;
	rig_frame_checksums(&made);
	return made;
}

static void wait_for(const int *count, int n)
{
	require(rig_process(rig.port[0], count, n), "a completion");
}

// A table pipe behind a root, whose entries bring a TTL and a forward.
static struct doca_flow_pipe *table(
	enum doca_flow_pipe_type type, const struct doca_flow_match *match, struct doca_flow_actions *actions)
{
	struct rig_pipe p = {.name = type == DOCA_FLOW_PIPE_LPM ? "LPM" : "ACL",
		.type = type,
		.match = match,
		.actions = actions,
		.nr_entries = 16,
		.monitor = &counted};
	struct rig_pipe root = {.name = "ROOT", .is_root = true};
	struct doca_flow_pipe *pipe;

	p.fwd = (struct doca_flow_fwd){.type = DOCA_FLOW_FWD_CHANGEABLE};
	p.fwd_miss = rig_fwd_drop();
	pipe = rig_pipe(rig.port[0], &p);
	root.fwd = rig_fwd_pipe(pipe);
	rig_add(rig.port[0], rig_pipe(rig.port[0], &root), NULL, NULL, NULL, NULL);
	return pipe;
}

// The frame goes through as it is made with the TTL, the other one never does.
static void leaves(uint8_t ttl)
{
	struct rig_frame expected = with_ttl(&f, ttl);

	rig_send(0, &f);
	rig_send(0, &other);
	rig_settle();
	rig_wire(1, &expected);
	rig_done();
}

static void lpm(void)
{
	struct doca_flow_match match = {0}, mask = {0}, key;
	struct doca_flow_actions ttl = {.outer = {.l3_type = DOCA_FLOW_L3_TYPE_IP4, .ip4.ttl = UINT8_MAX}};
	struct doca_flow_fwd to = rig_fwd_port(1), drop = rig_fwd_drop();
	struct rig_status status = {0};
	struct doca_flow_pipe_entry *entry;
	struct doca_flow_pipe *pipe;

	match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	match.outer.ip4.src_ip = UINT32_MAX;
	pipe = table(DOCA_FLOW_PIPE_LPM, &match, &ttl);
	key = match;
	key.outer.ip4.src_ip = IP(1, 2, 0, 0);
	mask = match;
	mask.outer.ip4.src_ip = IP(255, 255, 0, 0);
	ttl.outer.ip4.ttl = 11;
	success(doca_flow_pipe_lpm_add_entry(
		0, pipe, &key, &mask, 0, &ttl, NULL, &to, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, &status, &entry));
	wait_for(&status.added, 1);
	leaves(11);
	ttl.outer.ip4.ttl = 22;
	success(doca_flow_pipe_lpm_update_entry(
		0, pipe, 0, &ttl, NULL, &to, DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, entry));
	ok(doca_flow_pipe_entry_get_status(entry) == DOCA_FLOW_ENTRY_STATUS_IN_PROCESS, "buffered");
	wait_for(&status.updated, 1);
	leaves(22);
	ok(rig_hits(entry) == 2, "the counter went on: %llu", (unsigned long long)rig_hits(entry));
	success(doca_flow_pipe_lpm_update_entry(0, pipe, 0, &ttl, NULL, &drop, 0, entry));
	wait_for(&status.updated, 2);
	rig_send(0, &f);
	rig_settle();
	rig_done();
	ok(rig_hits(entry) == 3, "an updated forward drops");
	REFUSED(DOCA_ERROR_INVALID_VALUE, "LPM", "action_idx",
		doca_flow_pipe_lpm_update_entry(0, pipe, 1, &ttl, NULL, &to, 0, entry));
	REFUSED(DOCA_ERROR_INVALID_VALUE, "LPM", "actions",
		doca_flow_pipe_lpm_update_entry(0, pipe, 0, NULL, NULL, &to, 0, entry));
	REFUSED(DOCA_ERROR_INVALID_VALUE, "LPM", "fwd",
		doca_flow_pipe_lpm_update_entry(0, pipe, 0, &ttl, NULL, NULL, 0, entry));
	REFUSED(DOCA_ERROR_INVALID_VALUE, "LPM", "queue",
		doca_flow_pipe_lpm_update_entry(7, pipe, 0, &ttl, NULL, &to, 0, entry));
	REFUSED(DOCA_ERROR_INVALID_VALUE, "LPM", "ACL",
		doca_flow_pipe_acl_update_entry(0, pipe, 0, &ttl, &to, 0, entry));
	REFUSED(DOCA_ERROR_INVALID_VALUE, "LPM", "BASIC",
		doca_flow_pipe_basic_update_entry(0, pipe, 0, &ttl, NULL, &to, 0, entry));
	success(doca_flow_pipe_remove_entry(0, 0, entry));
	wait_for(&status.deleted, 1);
	REFUSED(DOCA_ERROR_INVALID_VALUE, "", "removed",
		doca_flow_pipe_lpm_update_entry(0, pipe, 0, &ttl, NULL, &to, 0, entry));
	doca_flow_port_pipes_flush(rig.port[0]);
}

static void acl(void)
{
	struct doca_flow_match match = rig_tuple_match(true), mask = {0}, key;
	struct doca_flow_actions ttl = {.outer = {.l3_type = DOCA_FLOW_L3_TYPE_IP4, .ip4.ttl = UINT8_MAX}};
	struct doca_flow_fwd to = rig_fwd_port(1), drop = rig_fwd_drop();
	struct rig_status status = {0};
	struct doca_flow_pipe_entry *range, *wide;
	struct doca_flow_pipe *pipe = table(DOCA_FLOW_PIPE_ACL, &match, &ttl);

	mask.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	mask.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP;
	mask.outer.ip4.src_ip = IP(255, 255, 255, 0);
	mask.outer.tcp.l4_port.dst_port = DOCA_HTOBE16(3000);
	key = rig_tuple(true, IP(1, 2, 3, 0), 0, 0, 80);
	ttl.outer.ip4.ttl = 11;
	success(doca_flow_pipe_acl_add_entry(0, pipe, &key, &mask, 0, &ttl, 10, &to,
		DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, &status, &range));
	key = rig_tuple(true, IP(1, 2, 0, 0), 0, 0, 0);
	mask.outer.ip4.src_ip = IP(255, 255, 0, 0);
	mask.outer.tcp.l4_port.dst_port = 0;
	success(doca_flow_pipe_acl_add_entry(
		0, pipe, &key, &mask, 0, &ttl, 20, &drop, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, &status, &wide));
	wait_for(&status.added, 2);
	leaves(11);
	ttl.outer.ip4.ttl = 33;
	success(doca_flow_pipe_acl_update_entry(0, pipe, 0, &ttl, &to, 0, range));
	wait_for(&status.updated, 1);
	leaves(33);
	ok(rig_hits(range) == 2, "the counter went on: %llu", (unsigned long long)rig_hits(range));
	success(doca_flow_pipe_acl_update_entry(0, pipe, 0, &ttl, &drop, 0, range));
	wait_for(&status.updated, 2);
	rig_send(0, &f);
	rig_settle();
	rig_done();
	ok(rig_hits(range) == 3 && rig_hits(wide) == 0, "it drops, with its priority as before");
	REFUSED(DOCA_ERROR_INVALID_VALUE, "ACL", "action_idx",
		doca_flow_pipe_acl_update_entry(0, pipe, 5, &ttl, &to, 0, range));
	REFUSED(DOCA_ERROR_INVALID_VALUE, "ACL", "flags",
		doca_flow_pipe_acl_update_entry(0, pipe, 0, &ttl, &to,
			DOCA_FLOW_ENTRY_FLAGS_NO_WAIT | DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, range));
	REFUSED(DOCA_ERROR_INVALID_VALUE, "ACL", "LPM",
		doca_flow_pipe_lpm_update_entry(0, pipe, 0, &ttl, NULL, &to, 0, range));
	doca_flow_port_pipes_flush(rig.port[0]);
}

int main(void)
{
	const struct rig_options options = {.mode = "vnf,hws", .nr_ports = 2};

	f = rig_frame4(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80, 20);
	other = rig_frame4(true, IP(9, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80, 20);
	rig_start(&options);
	lpm();
	acl();
	rig_stop();
	return tap_done();
}
