// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Ways that a recorded walk must not cut short: copies, a second visit to connection tracking, metadata taken from a header,
// a port's default miss, headers that change on the way, counters. Each is walked with a flow cache and without; what
// leaves, counts and is told must be the same. And a connection that is opened anew while another one asks for its walks.

#include "ct_bed.h"

#include "flow_cache.h"

enum { TURNS = 40, VISITED = STEER_F_META_U32_7 };

static const struct steer_fwd changeable = {.type = STEER_FWD_CHANGEABLE};

struct outcome {
	unsigned int out[3], software;
	uint64_t copies, dropped;
	struct stats_ct ct;
	uint64_t told[2]; // packets of the zones' connections
	uint64_t counted; // by the way's own counter
};

static struct steer_action sets(uint16_t field, uint8_t value)
{
	return (struct steer_action){.kind = STEER_ACT_SET,
		.field = field,
		.value = {0, 0, 0, value},
		.mask = {255, 255, 255, 255}};
}

// Sends all to one place, with an action.
static uint32_t acting(const char *name, const struct steer_action *a, struct steer_fwd fwd)
{
	struct spec *s = spec_new(name, 0, STEER_PIPE_BASIC, 1);
	uint32_t pipe;
	struct work w;

	s->head.fwd = fwd;
	spec_template(s);
	spec_action(s, *a, 0);
	pipe = spec_create(s, NULL);
	w = work_new(pipe, NULL, 0, NULL, 0);
	work_counter(&w);
	ok(!work_add(&w, NULL), "%s: entry", name);
	return pipe;
}

// A copy leaves by port 2.
static uint32_t mirror(uint32_t next)
{
	struct spec *s = spec_new("mirror", 0, STEER_PIPE_HASH, 2);
	uint32_t pipe;

	s->head.algorithm = STEER_HASH_FLOODING;
	s->head.fwd = changeable;
	spec_match(s, STEER_F_OUTER_IP4_SRC, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	pipe = spec_create(s, NULL);
	for (unsigned int i = 0; i < 2; i++) {
		struct work w = work_new(pipe, NULL, 0, NULL, 0);

		w.head.index = i;
		work_fwd(&w, i ? fwd_port(2) : fwd_pipe(next));
		ok(!work_add(&w, NULL), "branch %u", i);
	}
	return pipe;
}

// --- The ways -------------------------------------------------------------------------------------------------------
// Each makes what is behind connection tracking (before == false), or in front of it, which leads to `next`.

static uint32_t only(bool before, uint32_t next)
{
	return before ? next : pass("out", 0, 0, fwd_port(1), false);
}

static uint32_t copied_before(bool before, uint32_t next)
{
	struct steer_action mark = sets(STEER_F_META_U32_3, 1);

	return before ? mirror(acting("marked", &mark, fwd_pipe(next))) : only(before, next);
}

static uint32_t copied_behind(bool before, uint32_t next)
{
	return before ? next : pass("first", 0, 0, fwd_pipe(mirror(only(before, next))), false);
}

// By the value of a field.
static uint32_t choice(const char *name, uint16_t field)
{
	struct spec *s = spec_new(name, 0, STEER_PIPE_BASIC, 4);

	s->head.fwd = changeable;
	s->head.fwd_miss = fwd_drop;
	spec_match(s, field, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	return spec_create(s, NULL);
}

static void choose(uint32_t pipe, uint32_t value, struct steer_fwd fwd)
{
	uint8_t key[4];
	struct work w;

	put32(key, value);
	w = work_new(pipe, key, 4, NULL, 0);
	work_fwd(&w, fwd);
	ok(!work_add(&w, NULL), "value %u", value);
}

// Behind: the second time out, the first time once more, in another zone.
static uint32_t again;
static uint32_t twice(bool before, uint32_t next)
{
	if (before) {
		struct steer_action zone = sets(STEER_F_META_U32_4, ZONE + 1);
		uint32_t other = acting("other zone", &zone, fwd_pipe(next));
		struct steer_action visited = sets(VISITED, 1);

		choose(again, 0, fwd_pipe(acting("visited", &visited, fwd_pipe(other))));
		return next;
	}
	again = choice("visits", VISITED);
	choose(again, 1, fwd_port(1));
	return again;
}

// The sender's MAC decides by which port it leaves; nothing compares it.
static uint32_t taken_from_mac(bool before, uint32_t next)
{
	struct steer_action copy = {
		.kind = STEER_ACT_COPY, .field = VISITED, .src_field = STEER_F_OUTER_ETH_SRC, .width = 32};
	uint32_t behind;

	if (before)
		return acting("copies", &copy, fwd_pipe(next));
	behind = choice("by MAC", VISITED);
	for (unsigned int i = 0; i < 2; i++)
		choose(behind, i, fwd_port((uint16_t)(i + 1)));
	return behind;
}

// To where the port says, which changes meanwhile.
static uint32_t missed(bool before, uint32_t next)
{
	return before ? next : spec_create(spec_new("missed", 0, STEER_PIPE_BASIC, 1), NULL);
}

// Those whose field is this go one way, others the other.
static uint32_t split(
	const char *name, uint16_t field, uint64_t value, uint32_t these, struct steer_fwd others)
{
	struct spec *s = spec_new(name, 0, STEER_PIPE_BASIC, 1);
	uint32_t pipe;
	struct work w;

	s->head.fwd = fwd_pipe(these);
	s->head.fwd_miss = others;
	spec_match(s, field, STEER_MATCH_CONSTANT, value, UINT64_MAX);
	pipe = spec_create(s, NULL);
	w = work_new(pipe, NULL, 0, NULL, 0);
	ok(!work_add(&w, NULL), "%s: entry", name);
	return pipe;
}

// Every other frame is in a tunnel to where the ones between go inside theirs.
static uint32_t in_tunnel(uint8_t *f, unsigned int turn)
{
	uint32_t outer = turn % 2 ? SERVER : 0x0a090909, inner = turn % 2 ? OTHER : SERVER;
	uint8_t plain[256];
	uint32_t bytes = frame_udp(plain, CLIENT, inner, 1000, 53, 20);

	frame_udp(f, 0x0a080808, outer, 49152, 4789, 8 + bytes);
	memset(f + 42, 0, 8);
	f[42] = 8;
	memcpy(f + 50, plain, bytes);
	return 50 + bytes;
}

// Who is addressed inside decides who goes on.
static uint32_t decapsulated(bool before, uint32_t next)
{
	struct steer_action decap = {.kind = STEER_ACT_DECAP, .flags = STEER_ACT_L2};
	uint32_t on;

	if (!before)
		return only(before, next);
	on = pass("on", 0, 0, fwd_pipe(next), false);
	on = split("address", STEER_F_OUTER_IP4_DST, SERVER, on, fwd_port(2));
	return acting("decap", &decap, fwd_pipe(on));
}

static uint32_t maybe_in_tunnel(uint8_t *f, unsigned int turn)
{
	return turn % 2 ? frame_udp(f, CLIENT, SERVER, 1000, 53, 20) : in_tunnel(f, turn);
}

// What the parser says of inner headers, behind a word that was written.
static uint32_t with_inner(bool before, uint32_t next)
{
	struct steer_action mark = sets(STEER_F_META_U32_0, 1);

	if (!before)
		return only(before, next);
	return acting("marks", &mark, fwd_pipe(split("inner", STEER_F_PM_INNER_L3_OK, 1, next, fwd_port(2))));
}

// More counters than a walk may have: the last entry has one for which there is room, and one for which there is not.
static uint32_t twice_counted;
static uint32_t counted(bool before, uint32_t next)
{
	struct steer_monitor m = {.flags = STEER_MON_COUNTER | STEER_MON_SHARED_COUNTER, .shared_counter = 1};
	struct steer_shared_set set = {.type = STEER_SHARED_COUNTER, .id = 1};
	struct spec *s;
	struct work w;

	if (!before)
		return only(before, next);
	ok(!shared_set(bed.space, &set, NULL), "a shared counter");
	s = spec_new("two counters", 0, STEER_PIPE_BASIC, 1);
	s->head.fwd = fwd_pipe(next);
	next = spec_create(s, NULL);
	w = work_new(next, NULL, 0, NULL, 0);
	w.head.flags |= STEER_ENTRY_MONITOR;
	work_put(&w, &m, sizeof(m));
	ok(!work_add(&w, NULL), "an entry with two counters");
	twice_counted = w.head.entry + 1;
	for (unsigned int i = 1; i < FLOW_COUNTERS; i++)
		next = pass("counts", 0, 0, fwd_pipe(next), false);
	return next;
}

// An action that needs to know its entry.
static uint32_t counting(bool before, uint32_t next)
{
	struct steer_action count = {.kind = STEER_ACT_COUNT, .value = {255, 255, 255, 255}};

	if (!before)
		return only(before, next);
	return pass("first", 0, 0, fwd_pipe(acting("counts", &count, fwd_pipe(next))), false);
}

static uint32_t plain(uint8_t *f, unsigned int turn)
{
	uint32_t bytes = frame_udp(f, CLIENT, SERVER, 1000, 53, 20);

	memset(f + 6, 0, 6);
	f[11] = turn % 3 == 2;
	return bytes;
}

static const struct way {
	const char *name;
	uint32_t (*make)(bool before, uint32_t next);
	uint32_t (*frame)(uint8_t *f, unsigned int turn);
} ways[] = {
	{"nothing special", only, plain},
	{"a copy before connection tracking", copied_before, plain},
	{"a copy behind it", copied_behind, plain},
	{"connection tracking twice", twice, plain},
	{"metadata of a MAC address", taken_from_mac, plain},
	{"a port's default miss", missed, plain},
	{"a tunnel that ends", decapsulated, in_tunnel},
	{"what is inside a tunnel", with_inner, maybe_in_tunnel},
	{"too many counters", counted, plain},
	{"an action that counts", counting, plain},
};

// --- Runs -----------------------------------------------------------------------------------------------------------

static void note_told(struct outcome *o)
{
	static struct steer_flow_record told[64];
	unsigned int n;

	while ((n = lab_records(told, RTE_DIM(told))))
		for (unsigned int i = 0; i < n; i++)
			if (told[i].zone == ZONE || told[i].zone == ZONE + 1)
				o->told[told[i].zone - ZONE] = told[i].packets[0];
}

static void run(const struct way *way, uint32_t entries, struct outcome *o)
{
	struct fp_worker *worker = &fp.workers[0];
	struct steer_ct_cfg cfg = lab_cfg();
	uint32_t allow, ct, behind, root;

	flow_cache_destroy(worker->walker->cache);
	require(!flow_cache_create(&worker->walker->cache, entries), "a cache of %u", entries);
	bed_settle();
	memset(worker->stats, 0, sizeof(*worker->stats));
	memset(o, 0, sizeof(*o));
	for (unsigned int i = 0; i < 3; i++)
		fp.ports[i].root_port = 0;
	behind = way->make(false, 0);
	allow = pass("allow", 0, 0, fwd_pipe(behind), false);
	ct = lab_ct(&cfg, behind, allow, NULL);
	root = lab_root(way->make(true, ct));
	for (unsigned int i = 0; i < TURNS; i++) {
		uint8_t frame[512];
		uint32_t bytes = way->frame(frame, i);

		fp.ports[0].default_miss = i < TURNS / 2 ? STEER_MISS_RSS : STEER_MISS_DROP;
		bed_send(0, frame, bytes);
		if (i % 2)
			lab_poll();
	}
	lab_poll();
	for (uint16_t i = 0; i < 3; i++)
		o->out[i] = count_out(i);
	for (struct rte_mbuf *m; (m = bed_software()); o->software++)
		rte_pktmbuf_free(m);
	lab_wait(20000);
	note_told(o);
	o->copies = worker->stats->copies;
	o->dropped = worker->stats->port[0].dropped.packets;
	o->ct = worker->stats->ct;
	if (twice_counted)
		o->counted = counter_sum(entry_counter(entry_find(bed.space, twice_counted - 1))).packets;
	twice_counted = 0;
	if (entries)
		printf("# %s: %lu hits\n", way->name,
			(unsigned long)(worker->stats->cache.hits + worker->stats->cache.connections));
	ok(!pipe_destroy(bed.space, root, NULL), "the root goes");
	pipe_flush_port(bed.space, 0);
	bed_settle();
	while (ct_control_turn())
		;
}

// One connection has asked for its walks in the context in which another one is opened anew, after the policy has changed.
static void reopened(void)
{
	struct tcp open = {CLIENT, OTHER, 2000, 80, SYN, 1000, 0, 0, 0, 0},
		   reset = {OTHER, CLIENT, 80, 2000, RST | ACK, 0, 1001, 0, 0, 0};
	struct fp_worker *worker = &fp.workers[0];
	struct steer_ct_cfg cfg = lab_cfg();

	flow_cache_destroy(worker->walker->cache);
	require(!flow_cache_create(&worker->walker->cache, 64), "a cache");
	memset(worker->stats, 0, sizeof(*worker->stats));
	lab_build(&cfg);
	lab_allow(53);
	lab_allow(80);
	ok(lab_udp(CLIENT, SERVER, 1000, 53), "one connection");
	ok(lab_tcp(open) && lab_tcp(reset), "another one, which ends");
	ok(lab_udp(CLIENT, SERVER, 1000, 53) && worker->stats->cache.given, "the first one has its walks");
	lab_allow(81);
	ok(lab_tcp(open) && lab_stats()->opened == 3, "the other one is opened anew");
	ok(lab_udp(CLIENT, SERVER, 1000, 53) && !count_out(2), "the first one still goes its own way");
	lab_tear_down();
}

int main(void)
{
	bed_start(3);
	for (unsigned int i = 0; i < RTE_DIM(ways); i++) {
		struct outcome without, with;

		run(&ways[i], 0, &without);
		run(&ways[i], 64, &with);
		for (unsigned int p = 0; p < 3; p++)
			ok(without.out[p] == with.out[p], "%s: by port %u %u and %u", ways[i].name, p,
				without.out[p], with.out[p]);
		ok((without.out[1] || without.software) && without.told[0], "%s: works", ways[i].name);
		ok(without.software == with.software, "%s: to software", ways[i].name);
		ok(without.counted == with.counted, "%s: counted %lu and %lu", ways[i].name,
			(unsigned long)without.counted, (unsigned long)with.counted);
		ok(without.copies == with.copies && without.dropped == with.dropped, "%s: copies, drops",
			ways[i].name);
		ok(!memcmp(without.told, with.told, sizeof(with.told)), "%s: zones %lu %lu and %lu %lu",
			ways[i].name, (unsigned long)without.told[0], (unsigned long)without.told[1],
			(unsigned long)with.told[0], (unsigned long)with.told[1]);
		ok(!memcmp(&without.ct, &with.ct, sizeof(with.ct)), "%s: counters of connections",
			ways[i].name);
	}
	reopened();
	bed_settle();
	bed_stop();
	return tap_done();
}
