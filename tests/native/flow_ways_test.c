// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Ways that a recorded walk must not cut short: copies, a second visit to connection tracking, metadata taken from a header,
// a port's default miss. Each is walked with a flow cache and without; what leaves, counts and is told must be the same.

#include "ct_bed.h"

#include "flow_cache.h"

enum { TURNS = 40, VISITED = STEER_F_META_U32_7 };

static const struct steer_fwd changeable = {.type = STEER_FWD_CHANGEABLE};

struct outcome {
	unsigned int out[3], software;
	uint64_t copies, dropped;
	struct stats_ct ct;
	uint64_t told[2]; // packets of the zones' connections
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

static const struct way {
	const char *name;
	uint32_t (*make)(bool before, uint32_t next);
} ways[] = {
	{"nothing special", only},
	{"a copy before connection tracking", copied_before},
	{"a copy behind it", copied_behind},
	{"connection tracking twice", twice},
	{"metadata of a MAC address", taken_from_mac},
	{"a port's default miss", missed},
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
		uint8_t frame[256];
		uint32_t bytes = frame_udp(frame, CLIENT, SERVER, 1000, 53, 20);

		memset(frame + 6, 0, 6);
		frame[11] = i % 3 == 2;
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
	if (entries)
		printf("# %s: %lu hits\n", way->name,
			(unsigned long)(worker->stats->cache.hits + worker->stats->cache.connections));
	ok(!pipe_destroy(bed.space, root, NULL), "the root goes");
	pipe_flush_port(bed.space, 0);
	bed_settle();
	while (ct_control_turn())
		;
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
		ok(without.copies == with.copies && without.dropped == with.dropped, "%s: copies, drops",
			ways[i].name);
		ok(!memcmp(without.told, with.told, sizeof(with.told)), "%s: zones %lu %lu and %lu %lu",
			ways[i].name, (unsigned long)without.told[0], (unsigned long)without.told[1],
			(unsigned long)with.told[0], (unsigned long)with.told[1]);
		ok(!memcmp(&without.ct, &with.ct, sizeof(with.ct)), "%s: counters of connections",
			ways[i].name);
	}
	bed_settle();
	bed_stop();
	return tap_done();
}
