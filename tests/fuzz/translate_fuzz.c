// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// DOCA's structures, filled with anything, into the fields, keys and action lists of the wire. The input is a pipe type and
// patches of a block of structures: 2 bytes where, 1 byte how many, then the bytes.

#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "match.h"

static const char *const strings[] = {"meta.data", "outer.ipv4.ttl", "outer.ipv4.src_ip", "outer.eth.dst_mac",
	"outer.tcp.flags", "tunnel.vxlan.vni", "inner.transport.dst_port", "parser_meta.random", "nonsense"};

struct block {
	struct doca_flow_match match, mask, entry, entry_mask;
	struct doca_flow_actions entry_actions;
	struct actions_cfg cfg;
	struct {
		uint8_t src, dst, type, pad;
		uint16_t src_bit, dst_bit, width;
	} descs[4];
	uint8_t has_mask, has_entry_mask, per_entry;
};

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_match(enum doca_flow_pipe_type type, const struct block *b)
{
	struct doca_flow_pipe pipe = {.name = "FUZZ"};
	const struct doca_flow_match *entry_mask = b->has_entry_mask ? &b->entry_mask : NULL;
	struct steer_match_field *wire;
	uint8_t *key;

	if (match_compile(&pipe.match, "FUZZ", type, &b->match, b->has_mask ? &b->mask : NULL) !=
		DOCA_SUCCESS)
		return;
	check(pipe.match.nr_fields <= STEER_MATCH_FIELD_MAX &&
		pipe.match.exact_bytes <= pipe.match.key_bytes);
	for (unsigned int i = 0; i < pipe.match.nr_fields; i++) {
		const struct match_field *field = &pipe.match.fields[i];

		check(field->field > STEER_F_NONE && field->field < STEER_F_MAX);
		for (unsigned int k = 0; k < STEER_FIELD_BYTES_MAX; k++)
			check(!(field->value[k] & ~field->mask[k]));
	}
	// Exactly as large as they say, so that the sanitizer sees a step beyond.
	wire = malloc(pipe.match.nr_fields * sizeof(*wire));
	match_to_wire(&pipe.match, wire);
	free(wire);
	key = malloc(pipe.match.key_bytes);
	if (type == DOCA_FLOW_PIPE_LPM)
		match_key_lpm(&pipe, &b->entry, entry_mask, key);
	else if (type == DOCA_FLOW_PIPE_ACL)
		match_key_acl(&pipe, &b->entry, &b->entry_mask, key);
	else
		match_key(&pipe, &b->entry, key);
	free(key);
}

static void check_actions(struct block *b)
{
	static struct action_template template;
	struct doca_flow_action_desc descs[4] = {0};
	uint8_t *args;

	b->cfg.nr_descs &= 3;
	b->cfg.has_actions = b->cfg.has_mask = true;
	b->cfg.has_mask = b->has_mask & 1;
	b->cfg.descs = descs;
	for (unsigned int i = 0; i < b->cfg.nr_descs; i++) {
		descs[i].type = b->descs[i].type;
		descs[i].field_op.src.field_string =
			b->descs[i].src ? strings[b->descs[i].src % (sizeof(strings) / sizeof(strings[0]))]
					: NULL;
		descs[i].field_op.dst.field_string =
			strings[b->descs[i].dst % (sizeof(strings) / sizeof(strings[0]))];
		descs[i].field_op.src.bit_offset = b->descs[i].src_bit;
		descs[i].field_op.dst.bit_offset = b->descs[i].dst_bit;
		descs[i].field_op.width = b->descs[i].width;
	}
	if (actions_compile(&template, "FUZZ", &b->cfg, b->per_entry & 1) != DOCA_SUCCESS)
		return;
	check(template.nr_actions <= STEER_ACTION_MAX && template.data_bytes <= sizeof(template.data));
	check(!(b->per_entry & 1) || !template.nr_args);
	args = malloc(template.args_bytes);
	actions_args("FUZZ", &template, &b->entry_actions, args);
	free(args);
	actions_release(&template);
}

// A program's bool is 0 or 1.
static void tidy(bool *flag)
{
	*(uint8_t *)flag &= 1;
}

static void tidy_actions(struct doca_flow_actions *actions)
{
	tidy(&actions->pop_vlan);
	tidy(&actions->has_push);
	tidy(&actions->has_crypto_encap);
	if (actions->decap_type != DOCA_FLOW_RESOURCE_TYPE_SHARED)
		tidy(&actions->decap_cfg.is_l2);
	if (actions->encap_type != DOCA_FLOW_RESOURCE_TYPE_SHARED)
		tidy(&actions->encap_cfg.is_l2);
	if (actions->encap_cfg.encap.tun.type == DOCA_FLOW_TUN_GRE)
		tidy(&actions->encap_cfg.encap.tun.key_present);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
	static struct block block;
	enum doca_flow_pipe_type type =
		bytes ? (enum doca_flow_pipe_type)(input[0] % 8) : DOCA_FLOW_PIPE_BASIC;

	memset(&block, 0, sizeof(block));
	for (size_t at = 1; at + 3 <= bytes;) {
		size_t where = (size_t)(input[at] | input[at + 1] << 8) % sizeof(block), nr = input[at + 2];

		at += 3;
		nr = nr < bytes - at ? nr : bytes - at;
		nr = nr < sizeof(block) - where ? nr : sizeof(block) - where;
		memcpy((uint8_t *)&block + where, input + at, nr);
		at += nr;
	}
	block.cfg.descs = NULL;
	tidy_actions(&block.cfg.actions);
	tidy_actions(&block.entry_actions);
	check_match(type, &block);
	check_actions(&block);
	return 0;
}
