// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Samples flow_ct_tcp_ipv4_ipv6, flow_ct_2_ports, flow_ct_iterator, and what is about numbers: zones, limits, identifiers,
// recent connections, registered forwards, one direction after the other.
#include <stdlib.h>
#include <time.h>

#include "ct_rig.h"

enum { SESSIONS = 25000, ITERATED = 1000 };

static const struct rig_options rig_options = {.mode = "switch,hws", .nr_ports = 2};
static struct doca_flow_pipe *rss, *out;

static struct doca_flow_pipe *pipeline(void)
{
	struct doca_flow_pipe *ct;

	rss = ct_any(rig.port[0], "RSS", ct_fwd_rss(), NULL);
	out = ct_any(rig.port[0], "OUT", rig_fwd_port(1), NULL);
	ct = ct_pipe(rig.port[0], out, rss);
	ct_root(rig.port[0], ct);
	return ct;
}

// IPv4 one way, IPv6 the other way.
static void mixed(void)
{
	const struct ct_options options = {
		.flags = DOCA_FLOW_CT_FLAG_NO_AGING, .ipv4 = SESSIONS, .ipv6 = SESSIONS};
	const uint32_t flags = CT_BOTH | DOCA_FLOW_CT_ENTRY_FLAGS_IPV6_REPLY;
	struct doca_flow_pipe_entry **entries = calloc(SESSIONS, sizeof(struct doca_flow_pipe_entry *));
	struct rig_frame origin = rig_frame4(true, IP(10, 0, 0, 1), IP(10, 0, 0, 2), 7, 443, 20),
			 reply = ct_frame6(true, 2, 1, 443, 7, 20),
			 reply4 = rig_frame4(true, IP(10, 0, 0, 2), IP(10, 0, 0, 1), 443, 7, 20);
	struct rig_status status = {0};
	struct doca_flow_pipe *ct;

	ct_rig_start(&rig_options, &options);
	ct = pipeline();
	for (int i = 0; i < SESSIONS; i++) {
		struct doca_flow_ct_match o = ct_match4(
						  true, IP(10, 0, 0, 1), IP(10, 0, 0, 2), (uint16_t)i, 443),
					  r = ct_match6(true, 2, 1, 443, (uint16_t)i);

		must(doca_flow_ct_entries_process(rig.port[0], CT_QUEUE, 2, 0, NULL));
		must(doca_flow_ct_entry_prepare(
			CT_QUEUE, ct, CT_ALLOC | flags, &o, 0, &r, 0, &entries[i], NULL));
		must(doca_flow_ct_add_entry(CT_QUEUE, ct, flags | (i % 32 == 31 ? (uint32_t)CT_NOW : 0), &o,
			&r, NULL, NULL, 0, 0, 0, &status, entries[i]));
	}
	ok(ct_process(rig.port[0], &status.added, SESSIONS) && !status.failed, "created %d", status.added);
	rig_send(0, &origin);
	rig_send(0, &reply);
	rig_send(0, &reply4);
	rig_settle();
	rig_wire(1, &origin);
	rig_wire(1, &reply);
	ct_soft(0, &reply4);
	rig_done();
	for (int i = 0; i < SESSIONS; i++) {
		must(doca_flow_ct_entries_process(rig.port[0], CT_QUEUE, 2, 0, NULL));
		must(doca_flow_ct_rm_entry(CT_QUEUE, ct, i % 32 == 31 ? (uint32_t)CT_NOW : 0, entries[i]));
	}
	ok(ct_process(rig.port[0], &status.deleted, SESSIONS) && !status.failed, "ended %d", status.deleted);
	rig_send(0, &origin);
	rig_settle();
	ct_soft(0, &origin);
	rig_done();
	ct_rig_stop();
	free(entries);
}

struct copy {
	struct doca_flow_pipe *to;
	struct rig_status status;
	uint32_t now, total;
	uint32_t wrong;
};

static void copy_one(uint16_t queue, struct doca_flow_pipe *pipe, struct doca_flow_pipe_entry *entry,
	void *iterate_usr_ctx)
{
	struct copy *copy = iterate_usr_ctx;
	struct doca_flow_ct_match o, r;
	struct doca_flow_pipe_entry *new;
	uint32_t hash_o, hash_r;
	uint64_t flags;

	must(doca_flow_ct_get_entry(queue, pipe, 0, entry, &o, &r, &flags, &hash_o, &hash_r));
	copy->wrong += flags != CT_BOTH || hash_r != hash_o + 1;
	must(doca_flow_ct_entry_prepare(queue, copy->to, CT_ALLOC, &o, hash_o, &r, hash_r, &new, NULL));
	must(doca_flow_ct_add_entry(
		queue, copy->to, (uint32_t)flags, &o, &r, NULL, NULL, 0, 0, 0, &copy->status, new));
	copy->now++;
	copy->total++;
}

static void copy_all(struct doca_flow_pipe *from, struct doca_flow_pipe *to)
{
	struct copy copy = {.to = to};
	uint32_t room;

	success(doca_flow_ct_pipe_iterate(from, copy_one, &copy));
	do {
		copy.now = 0;
		success(doca_flow_ct_entries_process(rig.port[1], CT_QUEUE, 64, 0, NULL));
		success(doca_flow_ct_entries_process(rig.port[0], CT_QUEUE, 0, 32, NULL));
	} while (copy.now == 32);
	success(doca_flow_ct_entries_process(rig.port[1], CT_QUEUE, 512, 0, &room));
	ok(copy.total == ITERATED && room == 512, "iterated %u", copy.total);
	ok(copy.status.added == ITERATED && !copy.status.failed && !copy.wrong, "and copied as they are");
}

// Two switches: what one knows is nothing to the other.
static void two_switches(void)
{
	static const char *const names[] = {"p0", "p1"};
	const struct rig_options two = {.mode = "switch,hws", .nr_ports = 2, .names = names};
	const struct ct_options options = {
		.flags = DOCA_FLOW_CT_FLAG_NO_AGING | DOCA_FLOW_CT_FLAG_ITERATOR, .ipv4 = ITERATED};
	struct doca_flow_pipe_entry *hits[2], *misses[2], *entry;
	struct doca_flow_pipe *ct[2];
	struct rig_status status = {0};
	uint64_t hit, miss;

	ct_rig_start(&two, &options);
	for (uint16_t s = 0; s < 2; s++) {
		struct doca_flow_pipe *hit_pipe = ct_any(rig.port[s], "HIT", rig_fwd_port(s), &hits[s]);

		ct[s] = ct_pipe(
			rig.port[s], hit_pipe, ct_any(rig.port[s], "MISS", rig_fwd_drop(), &misses[s]));
		ct_root(rig.port[s], ct[s]);
	}
	// A thousand on the first one, copied to the second.
	for (uint32_t i = 0; i < ITERATED; i++) {
		struct doca_flow_ct_match o = ct_match4(false, DOCA_HTOBE32(i), IP(1, 1, 1, 1), 1, 1);

		must(doca_flow_ct_entries_process(rig.port[0], CT_QUEUE, 2, 0, NULL));
		must(doca_flow_ct_entry_prepare(CT_QUEUE, ct[0], CT_ALLOC, &o, i, NULL, i + 1, &entry, NULL));
		must(doca_flow_ct_add_entry(
			CT_QUEUE, ct[0], CT_BOTH | CT_NOW, &o, NULL, NULL, NULL, 0, 0, 0, &status, entry));
	}
	require(ct_process(rig.port[0], &status.added, ITERATED) && !status.failed, "a thousand connections");
	for (uint16_t s = 0; s < 2; s++)
		for (uint32_t i = 0; i < 1024; i += 128) {
			struct rig_frame f = rig_frame4(false, DOCA_HTOBE32(i), IP(1, 1, 1, 1), 1, 1, 20);

			rig_send(s, &f);
		}
	rig_settle();
	ok(rig_hits(hits[0]) == 8 && rig_hits(misses[0]) == 0, "the first switch knows them");
	ok(rig_hits(hits[1]) == 0 && rig_hits(misses[1]) == 8, "the second one does not");
	ok(rig_seen(DOCA_FLOW_RINGFIELD_PACKET_WIRE, 0) == 8, "and they left by their own port");
	rig_forget();
	copy_all(ct[0], ct[1]);
	hit = rig_hits(hits[1]);
	miss = rig_hits(misses[1]);
	for (uint32_t i = 0; i < 1024; i++) {
		struct rig_frame f = rig_frame4(false, DOCA_HTOBE32(i), IP(1, 1, 1, 1), 1, 1, 20);

		rig_send(1, &f);
	}
	rig_settle();
	ok(rig_hits(hits[1]) - hit == ITERATED, "hits %llu", (unsigned long long)(rig_hits(hits[1]) - hit));
	ok(rig_hits(misses[1]) - miss == 1024 - ITERATED, "misses");
	ok(rig_seen(DOCA_FLOW_RINGFIELD_PACKET_WIRE, 1) == ITERATED, "what hit left");
	rig_forget();
	ct_rig_stop();
}

// The same tuple in two zones, and how many connections a zone has.
static void zones(void)
{
	const struct ct_options options = {.flags = DOCA_FLOW_CT_FLAG_NO_AGING,
		.ipv4 = 16,
		.zone_max = 2,
		.zone = {{.u32[4] = DOCA_HTOBE32(0xfff00)}, {.u32[4] = DOCA_HTOBE32(0xfff00)}}};
	struct doca_flow_actions set = {0}, mask = {0};
	struct doca_flow_match ports = {0};
	struct rig_pipe p = {
		.name = "ROOT", .is_root = true, .match = &ports, .actions = &set, .actions_mask = &mask};
	struct doca_flow_ct_match match = ct_match4(false, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 1, 2), other;
	struct rig_frame frame = rig_frame4(false, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 1, 2, 20);
	struct doca_flow_pipe *ct, *root;
	struct doca_flow_pipe_entry *entry, *first;
	struct rig_status status = {0};

	ct_rig_start(&rig_options, &options);
	ok(doca_flow_ct_meta_get_zone_offset(false) == 5 * 32 + 8, "where the zone is in the metadata");
	rss = ct_any(rig.port[0], "RSS", ct_fwd_rss(), NULL);
	out = ct_any(rig.port[0], "OUT", rig_fwd_port(1), NULL);
	ct = ct_pipe(rig.port[0], out, rss);
	// Zone 3 for what comes in on port 0, zone 4 on port 1.
	ports.parser_meta.port_id = UINT16_MAX;
	doca_flow_ct_meta_mask_prepare(&mask.meta, false);
	ok(mask.meta.u32[4] == DOCA_HTOBE32(0xfff00), "the mask of a zone");
	set.meta.u32[4] = UINT32_MAX;
	p.fwd = rig_fwd_pipe(ct);
	root = rig_pipe(rig.port[0], &p);
	for (uint16_t i = 0; i < 2; i++) {
		const struct doca_flow_match key = {.parser_meta.port_id = i};

		memset(&set, 0, sizeof(set));
		doca_flow_ct_meta_prepare(&set.meta, 3u + i, false);
		ok(set.meta.u32[4] == DOCA_HTOBE32((3u + i) << 8), "the zone at its place");
		rig_add(rig.port[0], root, &key, &set, NULL, NULL);
	}
	match.ipv4.metadata = DOCA_HTOBE32(3 << 8);
	first = ct_add(ct, CT_BOTH, &match, NULL, NULL, NULL, 0, &status);
	rig_send(0, &frame);
	rig_send(1, &frame);
	rig_settle();
	rig_wire(1, &frame);
	ct_soft(1, &frame);
	rig_done();
	match.ipv4.metadata = DOCA_HTOBE32(4 << 8 | 0x55); // bits beside the zone do not count
	ct_add(ct, CT_BOTH, &match, NULL, NULL, NULL, 0, &status);
	rig_send(1, &frame);
	rig_settle();
	rig_wire(1, &frame);
	rig_done();
	other = ct_match4(false, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 1, 3);
	other.ipv4.metadata = DOCA_HTOBE32(3 << 8);
	ct_add(ct, CT_BOTH, &other, NULL, NULL, NULL, 0, &status);
	other.ipv4.l4_port.src_port++;
	success(doca_flow_ct_entry_prepare(CT_QUEUE, ct, CT_ALLOC, &other, 0, NULL, 0, &entry, NULL));
	refused(DOCA_ERROR_FULL, doca_flow_ct_add_entry(CT_QUEUE, ct, CT_BOTH | CT_NOW, &other, NULL, NULL,
					 NULL, 0, 0, 0, &status, entry));
	ct_remove(ct, first, &status);
	success(doca_flow_ct_add_entry(
		CT_QUEUE, ct, CT_BOTH | CT_NOW, &other, NULL, NULL, NULL, 0, 0, 0, &status, entry));
	ok(ct_process(rig.port[0], &status.added, 4) && !status.failed, "room again when one is gone");
	ct_rig_stop();
}

// A zone word of its own for each direction.
static void split_zones(void)
{
	const struct ct_options options = {
		.flags = DOCA_FLOW_CT_FLAG_NO_AGING | DOCA_FLOW_CT_FLAG_ASYMMETRIC_TUNNEL,
		.zone = {{.u32[4] = DOCA_HTOBE32(0xff)}, {.pkt_meta = DOCA_HTOBE32(0xff000000)}}};
	struct doca_flow_ct_match match = ct_match4(false, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 1, 2), reply;
	struct doca_flow_meta meta = {0};
	struct doca_flow_pipe_entry *entry;
	struct rig_status status = {0};
	struct doca_flow_pipe *ct;

	ct_rig_start(&rig_options, &options);
	ct = pipeline();
	doca_flow_ct_meta_set_match_zone(&meta, 9, true);
	ok(meta.pkt_meta == DOCA_HTOBE32(9u << 24) && !meta.u32[4], "reply's zone has a place of its own");
	ok(doca_flow_ct_meta_get_zone_offset(true) == 24, "and says where");
	match.ipv4.metadata = DOCA_HTOBE32(9);
	entry = ct_add(ct, CT_BOTH, &match, NULL, NULL, NULL, 0, &status);
	success(doca_flow_ct_get_entry(CT_QUEUE, ct, 0, entry, NULL, &reply, NULL, NULL, NULL));
	ok(reply.ipv4.metadata == DOCA_HTOBE32(9u << 24) && reply.ipv4.src_ip == IP(2, 2, 2, 2),
		"a reply by default is in the same zone");
	ct_rig_stop();
}

// Recent connections are found again, from either side, until they are gone.
static void recent(void)
{
	const struct ct_options options = {
		.flags = DOCA_FLOW_CT_FLAG_NO_AGING, .dup_filter = 512, .priv_bytes = 8};
	struct doca_flow_ct_match match = ct_match4(false, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 1, 2),
				  back = ct_match4(false, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 2, 1),
				  other = ct_match4(false, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 1, 3);
	struct doca_flow_pipe_entry *entry, *again;
	struct rig_status status = {0};
	struct doca_flow_pipe *ct;
	uint32_t id;
	bool found;
	void *priv;

	ct_rig_start(&rig_options, &options);
	ct = pipeline();
	entry = ct_add(ct, CT_BOTH | CT_FILTER, &match, NULL, NULL, NULL, 0, &status);
	success(doca_flow_ct_entry_prepare(
		CT_QUEUE, ct, CT_ALLOC | CT_FILTER, &match, 0, NULL, 0, &again, &found));
	ok(found && again == entry, "found");
	success(doca_flow_ct_entry_prepare(
		CT_QUEUE, ct, CT_ALLOC | CT_FILTER, &back, 0, NULL, 0, &again, &found));
	ok(found && again == entry, "found by its reply");
	success(doca_flow_ct_entry_prepare(CT_QUEUE, ct, CT_FILTER, &other, 0, NULL, 0, &again, &found));
	ok(!found && !again, "another one is not, and none is made without ALLOC_ON_MISS");
	id = doca_flow_ct_entry_get_conn_id(CT_QUEUE, ct, entry);
	success(doca_flow_ct_entry_get_by_id(CT_QUEUE, ct, id, &again, &priv));
	ok(again == entry && priv == doca_flow_ct_entry_get_priv_data(CT_QUEUE, ct, entry) && priv,
		"its number leads to it and to its private data");
	refused(DOCA_ERROR_NOT_FOUND, doca_flow_ct_entry_get_by_id(CT_QUEUE, ct, 100000, &again, &priv));

	// The filter was not asked: the table refuses, and nothing of it is left.
	success(doca_flow_ct_entry_prepare(CT_QUEUE, ct, CT_ALLOC, &back, 0, NULL, 0, &again, &found));
	ok(!found, "not asked for");
	success(doca_flow_ct_add_entry(
		CT_QUEUE, ct, CT_BOTH | CT_NOW, &back, NULL, NULL, NULL, 0, 0, 0, &status, again));
	ok(ct_process(rig.port[0], &status.added, 2) && status.failed == 1, "a known tuple fails");
	refused(DOCA_ERROR_NOT_FOUND, doca_flow_ct_rm_entry(CT_QUEUE, ct, CT_NOW, again));
	status.failed = 0;
	ct_remove(ct, entry, &status);
	refused(DOCA_ERROR_NOT_FOUND, doca_flow_ct_rm_entry(CT_QUEUE, ct, CT_NOW, entry));
	refused(DOCA_ERROR_NOT_FOUND, doca_flow_ct_entry_get_by_id(CT_QUEUE, ct, id, &again, &priv));
	ok(!doca_flow_ct_entry_get_priv_data(CT_QUEUE, ct, entry) &&
			doca_flow_ct_entry_get_conn_id(CT_QUEUE, ct, entry) == UINT32_MAX,
		"what is gone has nothing");
	success(doca_flow_ct_entry_prepare(
		CT_QUEUE, ct, CT_ALLOC | CT_FILTER, &match, 0, NULL, 0, &again, &found));
	ok(!found, "what is gone is not found");
	ct_rig_stop();
}

// Each direction to a pipe of its own; the second direction comes later.
static void forwards(void)
{
	const struct ct_options options = {.flags = DOCA_FLOW_CT_FLAG_NO_AGING, .asymmetric = 4};
	struct doca_flow_ct_match match = ct_match4(true, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 1, 2),
				  back = ct_match4(true, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 2, 1);
	struct rig_frame origin = rig_frame4(true, IP(1, 1, 1, 1), IP(2, 2, 2, 2), 1, 2, 20),
			 reply = rig_frame4(true, IP(2, 2, 2, 2), IP(1, 1, 1, 1), 2, 1, 20);
	struct doca_flow_pipe_entry *entry, *a, *b, *own;
	struct doca_flow_pipe *pipe_a, *pipe_b, *ct;
	struct doca_flow_fwd fwd[2], drop = rig_fwd_drop();
	struct rig_status status = {0};
	uint32_t handle[2];

	ct_rig_start(&rig_options, &options);
	pipe_a = ct_any(rig.port[0], "A", rig_fwd_port(1), &a);
	pipe_b = ct_any(rig.port[0], "B", rig_fwd_port(1), &b);
	rss = ct_any(rig.port[0], "RSS", ct_fwd_rss(), NULL);
	out = ct_any(rig.port[0], "OUT", rig_fwd_port(1), &own);
	fwd[0] = rig_fwd_pipe(pipe_a);
	fwd[1] = rig_fwd_pipe(pipe_b);
	success(doca_flow_ct_fwd_register(rig.port[0], 2, fwd, handle));
	refused(DOCA_ERROR_NOT_SUPPORTED, doca_flow_ct_fwd_register(rig.port[0], 1, &drop, handle));
	ct = ct_pipe(rig.port[0], out, rss);
	ct_root(rig.port[0], ct);
	refused(DOCA_ERROR_BAD_STATE, doca_flow_ct_fwd_register(rig.port[0], 2, fwd, handle));
	success(doca_flow_ct_entry_prepare(CT_QUEUE, ct, CT_ALLOC, &match, 0, NULL, 0, &entry, NULL));
	refused(DOCA_ERROR_INVALID_VALUE,
		doca_flow_ct_add_entry(CT_QUEUE, ct, DOCA_FLOW_CT_ENTRY_FLAGS_DIR_ORIGIN | CT_NOW, &match,
			NULL, NULL, NULL, 77, 0, 0, &status, entry));
	success(doca_flow_ct_add_entry(CT_QUEUE, ct,
		DOCA_FLOW_CT_ENTRY_FLAGS_DIR_ORIGIN | DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_ORIGIN | CT_NOW,
		&match, NULL, NULL, NULL, handle[0], 0, 0, &status, entry));
	refused(DOCA_ERROR_IN_PROGRESS,
		doca_flow_ct_entry_add_dir(CT_QUEUE, ct, DOCA_FLOW_CT_ENTRY_FLAGS_DIR_REPLY | CT_NOW, &back,
			NULL, handle[1], entry));
	require(ct_process(rig.port[0], &status.added, 1), "origin added");
	rig_send(0, &origin);
	rig_send(0, &reply);
	rig_settle();
	rig_wire(1, &origin);
	ct_soft(0, &reply);
	refused(DOCA_ERROR_ALREADY_EXIST,
		doca_flow_ct_entry_add_dir(
			CT_QUEUE, ct, DOCA_FLOW_CT_ENTRY_FLAGS_DIR_ORIGIN | CT_NOW, &match, NULL, 0, entry));
	success(doca_flow_ct_entry_add_dir(CT_QUEUE, ct,
		DOCA_FLOW_CT_ENTRY_FLAGS_DIR_REPLY | DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_REPLY | CT_NOW, &back,
		NULL, handle[1], entry));
	require(ct_process(rig.port[0], &status.added, 2) && !status.failed, "reply added");
	rig_send(0, &origin);
	rig_send(0, &reply);
	rig_settle();
	rig_wire(1, &origin);
	rig_wire(1, &reply);
	rig_done();
	ok(rig_hits(a) == 2 && rig_hits(b) == 1 && !rig_hits(own), "each went its way");
	ct_counts(ct, entry, 2, 1);
	success(doca_flow_ct_update_entry(
		CT_QUEUE, ct, CT_NOW | CT_BOTH, entry, NULL, NULL, 0, handle[0], 0));
	require(ct_process(rig.port[0], &status.updated, 1), "updated");
	rig_send(0, &origin);
	rig_send(0, &reply);
	rig_settle();
	rig_wire(1, &origin);
	rig_wire(1, &reply);
	rig_done();
	ok(rig_hits(own) == 1 && rig_hits(a) == 3 && rig_hits(b) == 1, "an update changes the ways");
	ct_counts(ct, entry, 3, 2);
	ct_rig_stop();
}

int main(void)
{
	mixed();
	two_switches();
	zones();
	split_zones();
	recent();
	forwards();
	return tap_done();
}
