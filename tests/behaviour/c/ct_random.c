// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Random operations on connections against a model of a few lines: after each, one packet of every tuple must hit or miss
// as the model says, with the metadata that it says. The seed is printed; SEED in the environment repeats a run.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ct_rig.h"

enum { TUPLES = 6, STEPS = 60, ACTIONS = 2, SIDES = 2 };

// One tuple and its reverse; a connection has one tuple, in one or both directions.
static struct {
	struct rig_frame frame[SIDES];
	struct doca_flow_ct_match match[SIDES];
	uint32_t six; // IPv6 flags
	// The model.
	struct doca_flow_pipe_entry *entry;
	bool known[SIDES];
	uint32_t meta[SIDES];
} tuples[TUPLES];

static struct doca_flow_pipe *ct;
static uint32_t handles[ACTIONS], values[ACTIONS];
static int shared_of[TUPLES][SIDES]; // action + 1, 0 = none or inline
static struct rig_status status;

static unsigned int below(unsigned int n)
{
	return (unsigned int)rand() % n;
}

static void make_tuples(void)
{
	for (unsigned int i = 0; i < TUPLES; i++) {
		bool tcp = i & 1;
		uint16_t a = (uint16_t)(1000 + i / 2), b = 80;

		if (i < 4) {
			tuples[i].frame[0] = rig_frame4(tcp, IP(1, 1, 1, 1), IP(2, 2, 2, 2), a, b, 20 + i);
			tuples[i].frame[1] = rig_frame4(tcp, IP(2, 2, 2, 2), IP(1, 1, 1, 1), b, a, 20 + i);
			tuples[i].match[0] = ct_match4(tcp, IP(1, 1, 1, 1), IP(2, 2, 2, 2), a, b);
			tuples[i].match[1] = ct_match4(tcp, IP(2, 2, 2, 2), IP(1, 1, 1, 1), b, a);
			continue;
		}
		tuples[i].frame[0] = ct_frame6(tcp, 1, 2, a, b, 20 + i);
		tuples[i].frame[1] = ct_frame6(tcp, 2, 1, b, a, 20 + i);
		tuples[i].match[0] = ct_match6(tcp, 1, 2, a, b);
		tuples[i].match[1] = ct_match6(tcp, 2, 1, b, a);
		tuples[i].six = DOCA_FLOW_CT_ENTRY_FLAGS_IPV6_ORIGIN | DOCA_FLOW_CT_ENTRY_FLAGS_IPV6_REPLY;
	}
}

// A random action, and what the model expects of it.
static struct doca_flow_ct_actions random_action(int *shared, uint32_t *meta)
{
	struct doca_flow_ct_actions action = {.resource_type = DOCA_FLOW_RESOURCE_TYPE_NONE};

	*shared = 0;
	*meta = 0;
	switch (below(3)) {
	case 0:
		*shared = (int)below(ACTIONS) + 1;
		*meta = values[*shared - 1];
		action.resource_type = DOCA_FLOW_RESOURCE_TYPE_SHARED;
		action.action_handle = handles[*shared - 1];
		break;
	case 1:
		*meta = 1 + below(1000);
		action.resource_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED;
		action.data.meta.flow.pkt_meta = DOCA_HTOBE32(*meta);
		break;
	default:
		break;
	}
	return action;
}

static const uint32_t dirs[SIDES] = {DOCA_FLOW_CT_ENTRY_FLAGS_DIR_ORIGIN, DOCA_FLOW_CT_ENTRY_FLAGS_DIR_REPLY};

static void step_add(unsigned int i)
{
	struct doca_flow_ct_actions action[SIDES];
	uint32_t flags = tuples[i].entry || below(3) ? (uint32_t)CT_BOTH : dirs[below(SIDES)], meta[SIDES];
	int before = status.added, failed = status.failed, shared[SIDES];
	bool fails = false;
	struct doca_flow_pipe_entry *entry;

	for (int side = 0; side < SIDES; side++) {
		action[side] = random_action(&shared[side], &meta[side]);
		fails |= flags & dirs[side] && tuples[i].known[side];
	}
	must(doca_flow_ct_entry_prepare(
		CT_QUEUE, ct, CT_ALLOC | tuples[i].six, &tuples[i].match[0], 0, NULL, 0, &entry, NULL));
	must(doca_flow_ct_add_entry(CT_QUEUE, ct, flags | tuples[i].six | CT_NOW, &tuples[i].match[0],
		below(2) ? &tuples[i].match[1] : NULL, &action[0], &action[1], 0, 0, 0, &status, entry));
	if (!ct_process(rig.port[0], &status.added, before + 1) || (status.failed != failed) != fails)
		require(false, "tuple %u: an add that %s", i, fails ? "had to fail" : "had to succeed");
	if (fails)
		return;
	tuples[i].entry = entry;
	for (int side = 0; side < SIDES; side++) {
		tuples[i].known[side] = flags & dirs[side];
		tuples[i].meta[side] = meta[side];
		shared_of[i][side] = shared[side];
	}
}

static void step_change(unsigned int i)
{
	unsigned int side = below(SIDES);
	struct doca_flow_ct_actions action;
	int before = status.updated, added = status.added, shared;
	uint32_t meta;

	action = random_action(&shared, &meta);
	if (!tuples[i].known[side]) {
		must(doca_flow_ct_entry_add_dir(CT_QUEUE, ct, dirs[side] | tuples[i].six | CT_NOW,
			&tuples[i].match[side], &action, 0, tuples[i].entry));
		if (!ct_process(rig.port[0], &status.added, added + 1))
			require(false, "a direction more");
	} else {
		must(doca_flow_ct_update_entry(CT_QUEUE, ct, CT_NOW, tuples[i].entry, side ? NULL : &action,
			side ? &action : NULL, 0, 0, 0));
		if (!ct_process(rig.port[0], &status.updated, before + 1))
			require(false, "an update");
	}
	tuples[i].known[side] = true;
	tuples[i].meta[side] = meta;
	shared_of[i][side] = shared;
}

static void step_remove(unsigned int i)
{
	int before = status.deleted;

	must(doca_flow_ct_rm_entry(CT_QUEUE, ct, CT_NOW, tuples[i].entry));
	if (!ct_process(rig.port[0], &status.deleted, before + 1))
		require(false, "a removal");
	tuples[i].entry = NULL;
	tuples[i].known[0] = tuples[i].known[1] = false;
}

static void step_shared(void)
{
	struct doca_flow_ct_actions action = {.resource_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	unsigned int a = below(ACTIONS);

	values[a] = 2000 + below(1000);
	action.data.meta.flow.pkt_meta = DOCA_HTOBE32(values[a]);
	must(doca_flow_ct_actions_update_shared(CT_QUEUE + below(2), ct, &action, 1, &handles[a]));
	for (unsigned int i = 0; i < TUPLES; i++)
		for (int side = 0; side < SIDES; side++)
			if (shared_of[i][side] == (int)a + 1)
				tuples[i].meta[side] = values[a];
}

static bool as_the_model_says(void)
{
	bool good = true;
	uint32_t meta;

	for (unsigned int i = 0; i < TUPLES; i++)
		for (int side = 0; side < SIDES; side++)
			rig_send(0, &tuples[i].frame[side]);
	rig_settle();
	for (unsigned int i = 0; i < TUPLES; i++)
		for (int side = 0; side < SIDES; side++) {
			const struct rig_frame *f = &tuples[i].frame[side];
			bool hit = rig_take(DOCA_FLOW_RINGFIELD_PACKET_RSS, 0, f, &meta, NULL);

			if (!tuples[i].known[side])
				good &= !hit && rig_take(DOCA_FLOW_RINGFIELD_PACKET_WIRE, 1, f, NULL, NULL);
			else
				good &= hit && meta == tuples[i].meta[side];
		}
	return rig_nothing_else() && good;
}

int main(void)
{
	const struct rig_options rig_options = {.mode = "switch,hws", .nr_ports = 2};
	const struct ct_options options = {.flags = DOCA_FLOW_CT_FLAG_NO_AGING,
		.user_actions = ACTIONS + TUPLES * SIDES,
		.modify = {{.flow = {.pkt_meta = UINT32_MAX}}, {.flow = {.pkt_meta = UINT32_MAX}}}};
	struct doca_flow_ct_actions action = {.resource_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
	unsigned int seed = getenv("SEED") ? (unsigned int)atoi(getenv("SEED")) : (unsigned int)time(NULL);
	int steps = 0;

	ct_rig_start(&rig_options, &options);
	ct = ct_pipe(rig.port[0], ct_any(rig.port[0], "RSS", ct_fwd_rss(), NULL),
		ct_any(rig.port[0], "OUT", rig_fwd_port(1), NULL));
	ct_root(rig.port[0], ct);
	srand(seed);
	make_tuples();
	for (unsigned int a = 0; a < ACTIONS; a++) {
		values[a] = 2000 + a;
		action.data.meta.flow.pkt_meta = DOCA_HTOBE32(values[a]);
		success(doca_flow_ct_actions_add_shared(CT_QUEUE, ct, &action, 1, &handles[a]));
	}
	for (; steps < STEPS && as_the_model_says(); steps++) {
		unsigned int i = below(TUPLES);

		if (!below(8))
			step_shared();
		else if (!tuples[i].entry || !below(6))
			step_add(i);
		else if (below(3))
			step_change(i);
		else
			step_remove(i);
	}
	ok(steps == STEPS, "%d steps of %d, seed %u", steps, STEPS, seed);
	ct_rig_stop();
	return tap_done();
}
