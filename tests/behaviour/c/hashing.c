// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Sample flow_hash_pipe: doca_flow_pipe_calc_hash() says beforehand which entry a packet will take, for several masks and
// sizes.
#include "rig.h"

static const struct doca_flow_monitor counted = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};

// nr entries over the destination address and, if wanted, the ports; each packet must take the entry that was foretold.
static void foretold(uint32_t nr, bool ports)
{
	struct doca_flow_match mask = {0}, all = {.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4};
	struct rig_pipe p = {.name = "HASH",
		.type = DOCA_FLOW_PIPE_HASH,
		.nr_entries = nr,
		.match_mask = &mask,
		.monitor = &counted};
	uint64_t expected[16] = {0}, seen = 0, bytes = 0;
	struct doca_flow_pipe_entry *entries[16];
	struct doca_flow_pipe *hash, *root;
	struct rig_status status = {0};
	int wrong = 0;

	mask.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	mask.outer.ip4.dst_ip = UINT32_MAX;
	if (ports) {
		mask.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP;
		mask.outer.tcp.l4_port.src_port = UINT16_MAX;
	}
	p.fwd = rig_fwd_port(UINT16_MAX);
	hash = rig_pipe(rig.port[0], &p);
	for (uint32_t i = 0; i < nr; i++) {
		struct doca_flow_fwd fwd = rig_fwd_port((uint16_t)(i % 2));

		success(doca_flow_pipe_hash_add_entry(0, hash, i, 0, NULL, &counted, &fwd,
			i + 1 < nr ? DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH : DOCA_FLOW_ENTRY_FLAGS_NO_WAIT,
			&status, &entries[i]));
	}
	require(rig_process(rig.port[0], &status.added, (int)nr) && !status.failed, "%u hash entries", nr);
	p = (struct rig_pipe){.name = "ROOT", .is_root = true, .match = &all};
	p.fwd = (struct doca_flow_fwd){.type = DOCA_FLOW_FWD_HASH_PIPE,
		.hash_pipe = {.pipe = hash, .algorithm = DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_HASH}};
	p.fwd_miss = rig_fwd_drop();
	root = rig_pipe(rig.port[0], &p);
	rig_add(rig.port[0], root, NULL, NULL, NULL, NULL);
	for (uint16_t i = 0; i < 64; i++) {
		uint16_t sport = ports ? (uint16_t)(1000 + i) : 1234;
		doca_be32_t dst = ports ? IP(8, 8, 8, 8) : IP(8, 8, i, 8);
		struct doca_flow_match packet = rig_tuple(true, IP(1, 2, 3, 4), dst, sport, 80);
		struct rig_frame f = rig_frame4(true, IP(1, 2, 3, 4), dst, sport, 80, 20);
		uint32_t value = 0;

		success(doca_flow_pipe_calc_hash(hash, &packet, &value));
		expected[value % nr]++;
		rig_send(0, &f);
		rig_settle();
		wrong += !rig_take(
			DOCA_FLOW_RINGFIELD_PACKET_WIRE, (uint16_t)(value % nr % 2), &f, NULL, NULL);
	}
	ok(wrong == 0, "%u entries%s: every packet took the entry foretold", nr, ports ? " by port" : "");
	for (uint32_t i = 0; i < nr; i++) {
		ok(rig_hits(entries[i]) == expected[i], "entry %u: %llu packets, %llu foretold", i,
			(unsigned long long)rig_hits(entries[i]), (unsigned long long)expected[i]);
		ok(expected[i] > 0, "entry %u is used", i);
		seen += rig_hits(entries[i]);
		bytes += rig_bytes(entries[i]);
	}
	ok(seen == 64 && bytes == 64 * 74, "all are counted once");
	rig_done();
	doca_flow_port_pipes_flush(rig.port[0]);
}

// An index without an entry drops, by its own reason.
static void hole(void)
{
	struct doca_flow_match mask = {0};
	struct rig_pipe p = {
		.name = "HOLE", .type = DOCA_FLOW_PIPE_HASH, .nr_entries = 2, .match_mask = &mask};
	struct doca_flow_pipe *hash;
	struct rig_status status = {0};
	struct doca_flow_pipe_entry *entry;
	struct doca_flow_fwd fwd = rig_fwd_port(1);
	struct rig_frame f = rig_frame4(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80, 20);
	struct doca_flow_match packet = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80);
	uint32_t value;

	mask.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	mask.outer.ip4.dst_ip = UINT32_MAX;
	p.fwd = rig_fwd_port(UINT16_MAX);
	hash = rig_pipe(rig.port[0], &p);
	success(doca_flow_pipe_calc_hash(hash, &packet, &value));
	success(doca_flow_pipe_hash_add_entry(
		0, hash, (value + 1) % 2, 0, NULL, NULL, &fwd, 0, &status, &entry));
	require(rig_process(rig.port[0], &status.added, 1), "one of two entries");
	p = (struct rig_pipe){.name = "ROOT", .is_root = true};
	p.fwd = rig_fwd_pipe(hash);
	rig_add(rig.port[0], rig_pipe(rig.port[0], &p), NULL, NULL, NULL, NULL);
	rig_send(0, &f);
	rig_settle();
	rig_done();
	ok(rig_drops("hash_empty") == 1, "an index without an entry drops by its own reason");
	doca_flow_port_pipes_flush(rig.port[0]);
}

// The chip's entropy is not published; our encapsulations use the source port that they are given.
static void entropy(void)
{
	struct doca_flow_entropy_format header = {.l3_type = DOCA_FLOW_L3_TYPE_IP4};
	uint16_t value = 0;

	ok(doca_flow_port_calc_entropy(rig.port[0], &header, &value) == DOCA_ERROR_NOT_SUPPORTED,
		"entropy says that it is not there");
}

int main(void)
{
	const struct rig_options options = {.mode = "vnf,hws", .nr_ports = 2};

	rig_start(&options);
	foretold(2, false);
	foretold(8, false);
	foretold(16, true);
	hole();
	entropy();
	rig_stop();
	return tap_done();
}
