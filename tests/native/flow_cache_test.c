// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// With a flow cache and without: the same packets, the same changes of tables between the bursts and, in transactions, in
// the middle of one, and every frame, counter, drop reason and record must be the same. Caches of one, two and eight walks
// are full all the time.

#include "ct_bed.h"

#include "ct_private.h"
#include "flow_cache.h"

enum { STEPS = 12000, HOSTS = 6, NONE = UINT32_MAX, ROWS = 64, TTL = 64 };

static uint64_t state, digest, digests[STEPS], hits, known, stale, evicted;

static uint32_t any(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 20) % n;
}

static void note(const void *data, size_t bytes)
{
	const uint8_t *b = data;

	for (size_t i = 0; i < bytes; i++)
		digest = (digest ^ b[i]) * 0x100000001b3;
}

static void note_number(uint64_t n)
{
	note(&n, sizeof(n));
}

// --- The program ----------------------------------------------------------------------------------------------------
// root -> bind -> prefix -> ct -> exact -> behind -> hops -> route; egress of port 2. A row is an entry that comes and goes.

enum { ROOT, BIND, PREFIX, EXACT, BEHIND, HOPS, ROUTE, EGRESS, SRC, DST, SERVICE, PIPES };
static uint32_t pipes[PIPES], ct_pipe, rows[ROWS], nr_rows;
static struct row {
	uint32_t pipe;
	uint8_t key[32];
	uint16_t key_bytes;
	uint8_t args[16];
	uint16_t args_bytes;
	struct steer_fwd fwd;
	uint64_t tag;
	bool counted, steady;
} table[ROWS];

static struct spec *pipe_new(const char *name, uint8_t type, uint32_t miss)
{
	struct spec *s = spec_new(name, 0, type, 64);

	s->head.flags = STEER_PIPE_MISS_COUNTER;
	s->head.fwd_miss = miss ? fwd_pipe(miss) : fwd_drop;
	return s;
}

static void sets(struct spec *s, unsigned int word)
{
	struct steer_action a = {.kind = STEER_ACT_SET,
		.field = (uint16_t)(STEER_F_META_U32_0 + word),
		.flags = STEER_ACT_CHANGEABLE,
		.mask = {255, 255, 255, 255}};

	spec_template(s);
	spec_action(s, a, 4);
}

static uint32_t simple(const char *name, uint16_t field, uint32_t miss, int word)
{
	struct spec *s = pipe_new(name, STEER_PIPE_BASIC, miss);

	spec_match(s, field, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	if (word >= 0)
		sets(s, (unsigned int)word);
	return spec_create(s, NULL);
}

static void build_pipes(void)
{
	struct steer_action ttl = {.kind = STEER_ACT_ADD, .field = STEER_F_OUTER_IP4_TTL, .value = {255}};
	struct steer_action mac = {.kind = STEER_ACT_SET,
		.field = STEER_F_OUTER_ETH_SRC,
		.value = {2, 9, 9, 9, 9, 9},
		.mask = {255, 255, 255, 255, 255, 255}};
	struct steer_ct_cfg cfg = lab_cfg();
	struct spec *s;

	for (unsigned int i = 0; i < STEER_CT_TIMER_MAX; i++)
		cfg.timeout_ms[i] = 24 * 3600 * 1000;
	cfg.record_interval_ms = 3600 * 1000;
	cfg.capacity = 4000;
	cfg.denied_capacity = 32;
	s = pipe_new("egress", STEER_PIPE_BASIC, 0);
	s->head.flags |= STEER_PIPE_ROOT;
	s->head.domain = STEER_DOMAIN_EGRESS;
	s->head.fwd_miss = fwd_port(2);
	spec_match(s, STEER_F_OUTER_IP4_TTL, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	for (unsigned int i = 0; i < 3; i++)
		fp.ports[i].root_port = 0;
	s->head.port = 0;
	pipes[EGRESS] = spec_create(s, NULL);
	s = pipe_new("route", STEER_PIPE_BASIC, 0);
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	spec_template(s);
	spec_action(s, ttl, 0);
	spec_action(s, mac, 0);
	pipes[ROUTE] = spec_create(s, NULL);
	pipes[HOPS] = simple("hops", STEER_F_OUTER_IP4_TTL, pipes[ROUTE], -1);
	s = pipe_new("behind", STEER_PIPE_LPM, 0);
	spec_match(s, STEER_F_META_U32_4, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_PREFIX, 0, UINT64_MAX);
	pipes[BEHIND] = spec_create(s, NULL);
	s = pipe_new("exact", STEER_PIPE_BASIC, pipes[BEHIND]);
	spec_match(s, STEER_F_META_U32_4, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	spec_match(s, STEER_F_OUTER_ETH_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	pipes[EXACT] = spec_create(s, NULL);
	pipes[SERVICE] = simple("service", STEER_F_OUTER_L4_DST_PORT, 0, -1);
	pipes[DST] = simple("dst", STEER_F_OUTER_IP4_DST, 0, 6);
	pipes[SRC] = simple("src", STEER_F_OUTER_IP4_SRC, 0, 5);
	ct_pipe = lab_ct(&cfg, pipes[EXACT], pipes[SRC], NULL);
	s = pipe_new("prefix", STEER_PIPE_LPM, 0);
	spec_match(s, STEER_F_OUTER_ETH_SRC, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	spec_match(s, STEER_F_OUTER_IP4_SRC, STEER_MATCH_PREFIX, 0, UINT64_MAX);
	sets(s, 4);
	pipes[PREFIX] = spec_create(s, NULL);
	s = pipe_new("bind", STEER_PIPE_BASIC, pipes[PREFIX]);
	spec_match(s, STEER_F_OUTER_VLAN0_TCI, STEER_MATCH_CHANGEABLE, 0, 0xfff);
	spec_match(s, STEER_F_OUTER_ETH_SRC, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	spec_match(s, STEER_F_OUTER_IP4_SRC, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	sets(s, 4);
	pipes[BIND] = spec_create(s, NULL);
	s = pipe_new("root", STEER_PIPE_BASIC, 0);
	s->head.flags |= STEER_PIPE_ROOT;
	spec_match(s, STEER_F_PM_PORT_ID, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	spec_match(s, STEER_F_OUTER_ETH_TYPE, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	spec_match(s, STEER_F_OUTER_ETH_DST, STEER_MATCH_CHANGEABLE, 0, (uint64_t)1 << 40);
	pipes[ROOT] = spec_create(s, NULL);
	for (unsigned int i = 0; i < PIPES; i++)
		require(pipes[i], "pipe %u", i);
}

static struct row *row(unsigned int pipe, struct steer_fwd fwd)
{
	table[nr_rows] = (struct row){.pipe = pipe, .fwd = fwd};
	rows[nr_rows] = NONE;
	return &table[nr_rows++];
}

static void key_add(struct row *r, const void *data, unsigned int bytes)
{
	memcpy(r->key + r->key_bytes, data, bytes);
	r->key_bytes = (uint16_t)(r->key_bytes + bytes);
}

static void key_number(struct row *r, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		r->key[r->key_bytes++] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static void arg_number(struct row *r, uint32_t value)
{
	put32(r->args, value);
	r->args_bytes = 4;
}

static void mac_of(uint8_t mac[6], uint32_t host, unsigned int variant)
{
	memcpy(mac, (uint8_t[]){2, 0, 0, 0, (uint8_t)variant, (uint8_t)host}, 6);
}

static int put(unsigned int i)
{
	struct row *r = &table[i];
	struct work w = work_new(pipes[r->pipe], r->key, r->key_bytes, r->args, r->args_bytes);
	struct entry_result result;
	int err;

	w.head.tag = r->tag;
	if (r->counted)
		work_counter(&w);
	work_fwd(&w, r->fwd);
	err = work_add(&w, &result);
	rows[i] = err ? NONE : w.head.entry;
	return err;
}

static void build_rows(void)
{
	uint8_t mac[6];
	struct row *r;

	nr_rows = 0;
	for (unsigned int i = 0; i < 3; i++) {
		r = row(ROOT, fwd_pipe(pipes[BIND]));
		key_number(r, i, 2);
		key_number(r, 0x0800, 2);
		key_number(r, 0, 6);
		r->counted = true;
		r->steady = i;
	}
	for (unsigned int i = 0; i < HOSTS; i++) {
		mac_of(mac, i, 0);
		if (i % 2) {
			r = row(BIND, fwd_pipe(ct_pipe));
			key_number(r, i == 3 ? 5 : 0, 2);
			key_add(r, mac, 6);
			key_number(r, CLIENT + i, 4);
			arg_number(r, ZONE + (i == 5));
		}
		r = row(PREFIX, fwd_pipe(ct_pipe));
		key_add(r, mac, 6);
		key_number(r, CLIENT & ~7u, 4);
		key_number(r, ~7u, 4);
		arg_number(r, ZONE);
		r->counted = i % 3;
		r->tag = i;
		r = row(SRC, fwd_pipe(pipes[DST]));
		key_number(r, CLIENT + i, 4);
		arg_number(r, lab_identity(CLIENT + i));
		r->steady = true;
		r = row(DST, fwd_pipe(pipes[SERVICE]));
		key_number(r, CLIENT + i, 4);
		arg_number(r, lab_identity(CLIENT + i));
		r->steady = true;
		if (i < 4) {
			r = row(EXACT, fwd_port((uint16_t)(i % 3)));
			key_number(r, ZONE, 4);
			key_add(r, mac, 6);
			key_number(r, CLIENT + i, 4);
			r->counted = i & 1;
		}
		r = row(ROUTE, fwd_port((uint16_t)(i % 2 ? 2 : 0)));
		key_number(r, CLIENT + i, 4);
		r->counted = true;
	}
	r = row(BEHIND, fwd_port(1));
	key_number(r, ZONE, 4);
	key_number(r, CLIENT & ~7u, 4);
	key_number(r, ~7u, 4);
	r->counted = true;
	r = row(BEHIND, fwd_pipe(pipes[HOPS]));
	key_number(r, ZONE, 4);
	key_number(r, (CLIENT + 3) & ~3u, 4);
	key_number(r, ~3u, 4);
	r->tag = 77;
	r = row(BEHIND, fwd_pipe(pipes[HOPS]));
	key_number(r, ZONE + 1, 4);
	key_number(r, 0, 4);
	key_number(r, 0, 4);
	r = row(HOPS, fwd_drop);
	key_number(r, 1, 1);
	r = row(EGRESS, fwd_port(2));
	key_number(r, TTL - 1, 1);
	r->counted = true;
	for (unsigned int i = 0; i < 3; i++) {
		r = row(SERVICE, i == 2 ? fwd_drop : fwd_pipe(pipes[EXACT]));
		key_number(r, 50 + i, 2);
		r->tag = 500 + i;
		r->counted = true;
	}
	require(nr_rows <= ROWS, "rows");
	for (unsigned int i = 0; i < nr_rows; i++)
		require(!put(i), "row %u", i);
}

// --- What happens ---------------------------------------------------------------------------------------------------

// The port is the sender's, mostly.
static uint32_t make(uint8_t *f, uint16_t *port)
{
	uint32_t a = any(HOSTS), b = any(HOSTS);
	unsigned int sport = 1000 + any(2), dport = 50 + any(3);
	struct tcp t = {
		CLIENT + a, CLIENT + b, sport, dport, ACK, 1000 + any(20), 2000 + any(20), 0, any(20), 0};
	uint32_t bytes;

	if (any(2)) {
		t.sport = dport;
		t.dport = sport;
	}
	if (!any(30))
		t.flags = (uint8_t[]){SYN, SYN | ACK, FIN | ACK, RST}[any(4)];
	bytes = any(4) ? frame_udp(f, t.src, t.dst, t.sport, t.dport, any(20)) : lab_tcp_frame(f, &t);
	*port = (uint16_t)(any(10) ? a % 3 : any(3));
	mac_of(f, b, !any(20));
	mac_of(f + 6, a, !any(20));
	f[0] |= !any(30);
	if (!any(3)) { // time to live; the checksum of the header follows
		f[22] = (uint8_t)(any(3) + 1);
		ip4_checksum(f + 14);
	}
	if (a == 3 ? any(5) : !any(20)) {
		memmove(f + 18, f + 14, bytes - 14);
		put16(f + 12, 0x8100);
		put16(f + 14, any(2) << 13 | 5);
		put16(f + 16, 0x0800);
		bytes += 4;
	}
	return bytes;
}

static void flip(unsigned int i)
{
	struct entry_result result;

	if (table[i].steady)
		return;
	if (rows[i] == NONE) {
		put(i);
		return;
	}
	entry_remove(bed.space, rows[i], &result);
	rows[i] = NONE;
}

static void reverse_miss(unsigned int pipe, uint32_t other)
{
	struct steer_fwd fwd = any(4) ? fwd_pipe(other) : fwd_drop;

	note_number((uint64_t)pipe_set_miss(bed.space, pipes[pipe], &fwd, NULL));
}

static void change(uint64_t *revision, bool at_once)
{
	struct steer_ct_epoch epoch = {.flags = any(2), .nr_identities = any(3)};
	uint32_t identities[2] = {lab_identity(CLIENT + any(HOSTS)), lab_identity(CLIENT + any(HOSTS))};
	struct steer_txn_reply reply;
	bool undone = false;
	uint32_t before[ROWS];

	memcpy(before, rows, sizeof(before));
	if (at_once)
		txn_begin(bed.space);
	// Mostly what is missing comes back.
	if (any(4))
		for (unsigned int i = 0; i < nr_rows; i++)
			if (rows[i] == NONE)
				flip(i);
	if (any(2))
		for (unsigned int n = any(3) + 1; n; n--)
			flip(any(nr_rows));
	if (!any(4))
		reverse_miss(BIND, pipes[PREFIX]);
	if (!any(4))
		reverse_miss(EXACT, pipes[BEHIND]);
	if (at_once && any(4))
		undone = txn_commit(bed.space, &reply, NULL);
	else if (at_once)
		undone = !txn_abort(bed.space);
	if (undone)
		memcpy(rows, before, sizeof(before));
	note_number(undone);
	if (any(2)) {
		epoch.revision = ++*revision;
		note_number((uint64_t)ct_epoch(1, &epoch, identities, NULL));
	}
}

// The next packet that is routed finds that everything changes, while its burst goes on: one transaction, which no packet
// of the burst may feel.
static struct {
	action_run routed; // what the action does
	uint64_t *policy;  // revision; NULL: nothing is to change
	unsigned int done; // changes that came into force while their burst went on
} amid;

static enum steer_drop change_amid(
	struct walker *w, struct packet *p, const struct action *a, const uint8_t *value)
{
	uint64_t *policy = amid.policy;

	if (policy) {
		amid.policy = NULL;
		change(policy, true);
		amid.done += w->revision < fp.revision;
	}
	return amid.routed(w, p, a, value);
}

static void note_all(void)
{
	static struct steer_flow_record told[512];
	const struct stats_worker *s = fp.workers[0].stats;
	struct steer_pipe_info info;
	uint8_t out[2048];
	unsigned int n;

	for (uint16_t i = 0; i < 3; i++) {
		for (uint32_t bytes; (bytes = bed_receive(i, out, sizeof(out)));)
			note(out, bytes);
		note(&s->port[i], sizeof(s->port[i]));
	}
	note(&s->ct, sizeof(s->ct));
	while ((n = ct_take_records(told, RTE_DIM(told))))
		for (unsigned int i = 0; i < n; i++) {
			told[i].first_ns = told[i].last_ns = 0;
			note(&told[i], sizeof(told[i]));
		}
	for (unsigned int i = 0; i < PIPES; i++) {
		struct stats_counter c;

		pipe_info(pipe_find(pipes[i]), &info);
		c = counter_sum(info.hit_counter);
		note(&c, sizeof(c));
		c = counter_sum(info.miss_counter);
		note(&c, sizeof(c));
	}
	for (unsigned int i = 0; i < nr_rows; i++)
		if (rows[i] != NONE && table[i].counted) {
			struct stats_counter c = counter_sum(entry_counter(entry_find(bed.space, rows[i])));

			note(&c, sizeof(c));
		}
}

// --- Runs -----------------------------------------------------------------------------------------------------------

static void run(uint32_t entries)
{
	struct fp_worker *worker = &fp.workers[0];
	struct action *routed;
	uint64_t revision = 1;
	unsigned int i;

	flow_cache_destroy(worker->walker->cache);
	require(!flow_cache_create(&worker->walker->cache, entries), "a cache of %u", entries);
	memset(worker->stats, 0, sizeof(*worker->stats));
	state = 4711;
	digest = 0xcbf29ce484222325;
	// Connections are visited as time goes by, which is the same for all runs: a step is a millisecond.
	ct_clock_skew_ms = 0;
	build_pipes();
	ct_present->tsc_scale = 0;
	routed = &pipe_find(pipes[ROUTE])->templates[0]->actions[0];
	amid.routed = routed->run;
	amid.done = 0;
	routed->run = change_amid;
	build_rows();
	for (i = 0; i < STEPS; i++, ct_clock_skew_ms++) {
		uint8_t frame[512];
		uint16_t port;

		for (unsigned int n = any(40); n; n--) {
			uint32_t bytes = make(frame, &port);

			bed_send(port, frame, bytes);
		}
		if (!any(i < STEPS / 2 ? 200 : 20))
			amid.policy = &revision;
		lab_poll();
		amid.policy = NULL;
		if (!any(i < STEPS / 2 ? 200 : 20))
			change(&revision, any(2));
		note_all();
		rcu_poll();
		if (!entries)
			digests[i] = digest;
		else if (digests[i] != digest)
			break;
	}
	ok(i == STEPS, "a cache of %u: as without, to step %u", entries, i);
	hits = worker->stats->cache.hits;
	known = worker->stats->cache.connections;
	stale = worker->stats->cache.changed;
	evicted = worker->stats->cache.evicted;
	ok(amid.done > 100, "tables changed in the middle of %u bursts", amid.done);
	printf("# %lu hits, %lu of connections, %lu misses, %lu stale, %lu evicted\n", (unsigned long)hits,
		(unsigned long)known, (unsigned long)worker->stats->cache.misses, (unsigned long)stale,
		(unsigned long)evicted);
	if (!entries)
		ok(worker->stats->ct.opened > 100 && worker->stats->ct.rejudged_denied &&
				worker->stats->port[2].sent.packets > 1000,
			"all kinds of things happened");
	ok(!pipe_destroy(bed.space, pipes[ROOT], NULL) && !pipe_destroy(bed.space, pipes[EGRESS], NULL),
		"roots go");
	pipe_flush_port(bed.space, 0);
	bed_settle();
	while (ct_control_turn())
		;
	for (uint16_t p = 0; p < 3; p++)
		lab_out(p);
}

int main(void)
{
	bed_start(3);
	run(0);
	run(4096);
	ok(hits > 50000 && known > 10000 && stale, "walks are repeated, and not when something changed");
	run(8);
	ok(hits > 100 && evicted, "a small cache gives up walks for others");
	run(2);
	run(1);
	bed_settle();
	bed_stop();
	return tap_done();
}
