// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Matchers against a plain model: random entries come, change and go; every packet must hit the entry that the model says.

#include "fp_support.h"

#include "frames.h"

#include <unistd.h>

enum { MODEL_ENTRIES = 512, MODEL_PACKETS = 256 };

struct tuple {
	uint32_t src, dst;
	uint16_t sport, dport;
	bool tcp;
};

struct rule {
	bool live;
	uint32_t id, counter, priority, order;
	struct tuple value, mask; // ports: lowest and highest for ACL
	uint8_t bits;             // LPM
	uint64_t expected;
};

static struct rule rules[MODEL_ENTRIES];
static uint32_t orders;
static uint64_t seed = 88172645463325252u;

static uint32_t dice(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 20) % n;
}

static struct tuple random_tuple(void)
{
	return (struct tuple){.src = 0x0a000000 + dice(4) * 256 + dice(8),
		.dst = 0x0b000000 + dice(4) * 256 + dice(8),
		.sport = (uint16_t)(1 + dice(8)),
		.dport = (uint16_t)(1 + dice(8)),
		.tcp = dice(2)};
}

// --- One kind of pipe each ------------------------------------------------------------------------------------------

struct kind {
	const char *name;
	uint8_t type;
	void (*match)(struct spec *s);
	void (*draw)(struct rule *r);
	uint16_t (*key)(const struct rule *r, uint8_t *key);
	void (*body)(const struct rule *r, struct work *w);
	bool (*holds)(const struct rule *r, const struct tuple *t);
	bool (*same_key)(const struct rule *a, const struct rule *b);
	bool (*better)(const struct rule *a, const struct rule *b);
	bool update;
};

static void basic_match(struct spec *s)
{
	spec_match(s, STEER_F_OUTER_L4_DST_PORT, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	spec_match(s, STEER_F_OUTER_IP4_SRC, STEER_MATCH_CHANGEABLE, 0, 0xffffff03);
	spec_match(s, STEER_F_PM_OUTER_L4_TYPE, STEER_MATCH_CONSTANT, L4_META_TCP, 0xff);
	spec_match(s, STEER_F_OUTER_L4_SRC_PORT, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
}

static void basic_draw(struct rule *r)
{
	r->value = random_tuple();
}

static uint16_t basic_key(const struct rule *r, uint8_t *key)
{
	put16(key, r->value.dport);
	put32(key + 2, r->value.src);
	put16(key + 6, r->value.sport);
	return 8;
}

static bool basic_holds(const struct rule *r, const struct tuple *t)
{
	return t->tcp && ((t->src ^ r->value.src) & 0xffffff03) == 0 && t->sport == r->value.sport &&
	       t->dport == r->value.dport;
}

static bool basic_same(const struct rule *a, const struct rule *b)
{
	struct tuple t = b->value;

	t.tcp = true;
	return basic_holds(a, &t);
}

static bool never_better(const struct rule *a, const struct rule *b)
{
	return false;
}

static void lpm_match(struct spec *s)
{
	spec_match(s, STEER_F_OUTER_L4_DST_PORT, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_PREFIX, 0, UINT64_MAX);
}

static uint32_t prefix_mask(unsigned int bits)
{
	return bits ? 0xffffffffu << (32 - bits) : 0;
}

static void lpm_draw(struct rule *r)
{
	static const uint8_t lengths[] = {0, 8, 16, 22, 24, 30, 32};

	r->value = random_tuple();
	r->bits = lengths[dice(7)];
}

static uint16_t lpm_key(const struct rule *r, uint8_t *key)
{
	put16(key, r->value.dport);
	put32(key + 2, r->value.dst);
	put32(key + 6, prefix_mask(r->bits));
	return 10;
}

static bool lpm_holds(const struct rule *r, const struct tuple *t)
{
	return t->dport == r->value.dport && ((t->dst ^ r->value.dst) & prefix_mask(r->bits)) == 0;
}

static bool lpm_same(const struct rule *a, const struct rule *b)
{
	return a->bits == b->bits && lpm_holds(a, &b->value);
}

static bool lpm_better(const struct rule *a, const struct rule *b)
{
	return a->bits > b->bits;
}

static void acl_match(struct spec *s)
{
	spec_match(s, STEER_F_OUTER_IP4_SRC, STEER_MATCH_ACL, 0, UINT64_MAX);
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_ACL, 0, UINT64_MAX);
	spec_match(s, STEER_F_PM_OUTER_L4_TYPE, STEER_MATCH_ACL, 0, UINT64_MAX);
	spec_match(s, STEER_F_OUTER_L4_SRC_PORT, STEER_MATCH_ACL, 0, UINT64_MAX);
	spec_match(s, STEER_F_OUTER_L4_DST_PORT, STEER_MATCH_ACL, 0, UINT64_MAX);
}

static void acl_draw(struct rule *r)
{
	r->value = random_tuple();
	r->mask.src = dice(3) ? prefix_mask(16 + dice(17)) : dice(2) ? 0xff0000ff : 0;
	r->mask.dst = dice(3) ? prefix_mask(16 + dice(17)) : 0;
	r->mask.tcp = dice(2);
	r->value.sport = (uint16_t)dice(6);
	r->mask.sport = (uint16_t)(r->value.sport + dice(6));
	r->value.dport = (uint16_t)(dice(2) ? dice(6) : 0);
	r->mask.dport = r->value.dport ? (uint16_t)(r->value.dport + dice(4)) : 65535;
	r->priority = dice(5);
}

static uint16_t acl_key(const struct rule *r, uint8_t *key)
{
	put32(key, r->value.src);
	put32(key + 4, r->mask.src);
	put32(key + 8, r->value.dst);
	put32(key + 12, r->mask.dst);
	key[16] = r->value.tcp ? L4_META_TCP : L4_META_UDP;
	key[17] = r->mask.tcp ? 0xff : 0;
	put16(key + 18, r->value.sport);
	put16(key + 20, r->mask.sport);
	put16(key + 22, r->value.dport);
	put16(key + 24, r->mask.dport);
	return 26;
}

static bool acl_holds(const struct rule *r, const struct tuple *t)
{
	return ((t->src ^ r->value.src) & r->mask.src) == 0 && ((t->dst ^ r->value.dst) & r->mask.dst) == 0 &&
	       (!r->mask.tcp || t->tcp == r->value.tcp) && t->sport >= r->value.sport &&
	       t->sport <= r->mask.sport && t->dport >= r->value.dport && t->dport <= r->mask.dport;
}

static bool never_same(const struct rule *a, const struct rule *b)
{
	return false;
}

static bool acl_better(const struct rule *a, const struct rule *b)
{
	return a->priority != b->priority ? a->priority < b->priority : a->order > b->order;
}

static void control_match(struct spec *s)
{
}

static void control_draw(struct rule *r)
{
	acl_draw(r);
	r->value.sport = (uint16_t)(1 + dice(8));
	r->value.dport = (uint16_t)(1 + dice(8));
	r->mask.dport = dice(2) ? 0xffff : 0;
}

static uint16_t no_key(const struct rule *r, uint8_t *key)
{
	return 0;
}

// Masked address and port, and "source port above a number".
static void control_body(const struct rule *r, struct work *w)
{
	struct steer_entry_body body = {.nr_match = 3, .nr_conditions = 1};
	struct steer_match_field fields[3] = {
		match_field(STEER_F_OUTER_IP4_SRC, STEER_MATCH_CONSTANT, r->value.src, r->mask.src),
		match_field(STEER_F_OUTER_IP4_DST, STEER_MATCH_CONSTANT, r->value.dst, r->mask.dst),
		match_field(STEER_F_OUTER_L4_DST_PORT, STEER_MATCH_CONSTANT, r->value.dport, r->mask.dport),
	};
	struct steer_condition condition = {.op = STEER_COND_GT,
		.field_a = STEER_F_OUTER_L4_SRC_PORT,
		.width = 16,
		.immediate = r->value.sport};

	w->head.flags |= STEER_ENTRY_BODY;
	work_put(w, &body, sizeof(body));
	work_put(w, fields, sizeof(fields));
	work_put(w, &condition, sizeof(condition));
}

static bool control_holds(const struct rule *r, const struct tuple *t)
{
	return ((t->src ^ r->value.src) & r->mask.src) == 0 && ((t->dst ^ r->value.dst) & r->mask.dst) == 0 &&
	       ((t->dport ^ r->value.dport) & r->mask.dport) == 0 && t->sport > r->value.sport;
}

static const struct kind kinds[] = {
	{"basic", STEER_PIPE_BASIC, basic_match, basic_draw, basic_key, NULL, basic_holds, basic_same,
		never_better, true},
	{"lpm", STEER_PIPE_LPM, lpm_match, lpm_draw, lpm_key, NULL, lpm_holds, lpm_same, lpm_better, true},
	{"acl", STEER_PIPE_ACL, acl_match, acl_draw, acl_key, NULL, acl_holds, never_same, acl_better, true},
	{"control", STEER_PIPE_CONTROL, control_match, control_draw, no_key, control_body, control_holds,
		never_same, acl_better, false},
};

// --- The run --------------------------------------------------------------------------------------------------------

static void random_change(const struct kind *k, uint32_t pipe, unsigned int room)
{
	struct rule *r = &rules[dice(room)];
	struct entry_result result;
	uint8_t key[64];
	struct work w;
	int err, expected = 0;

	if (r->live && k->update && dice(3) == 0) {
		w = work_new(pipe, NULL, 0, NULL, 0);
		w.head.entry = r->id;
		work_counter(&w);
		work_fwd(&w, fwd_drop);
		err = entry_update(bed.space, &w.head, sizeof(w.head) + w.used, &result);
		if (err || result.counter != r->counter)
			ok(false, "%s: update %d", k->name, err);
		return;
	}
	if (r->live) {
		entry_remove(bed.space, r->id, &result);
		r->live = false;
		return;
	}
	k->draw(r);
	for (unsigned int i = 0; i < room; i++)
		if (rules[i].live && k->same_key(&rules[i], r))
			expected = -EEXIST;
	w = work_new(pipe, key, k->key(r, key), NULL, 0);
	w.head.priority = r->priority;
	work_counter(&w);
	work_fwd(&w, fwd_drop);
	if (k->body)
		k->body(r, &w);
	err = work_add(&w, &result);
	if (err != expected)
		ok(false, "%s: add gives %d, not %d: %s", k->name, err, expected, result.why.text);
	if (err)
		return;
	r->live = true;
	r->id = w.head.entry;
	r->counter = result.counter;
	r->order = orders++;
}

static uint64_t judge(const struct kind *k, unsigned int room, const struct tuple *t)
{
	struct rule *best = NULL;

	for (unsigned int i = 0; i < room; i++)
		if (rules[i].live && k->holds(&rules[i], t) && (!best || k->better(&rules[i], best)))
			best = &rules[i];
	if (best)
		best->expected++;
	return !best;
}

static unsigned int check(const struct kind *k, unsigned int room, uint32_t miss_counter)
{
	uint64_t before_miss = counter_sum(miss_counter).packets, misses = 0;
	unsigned int wrong = 0;
	uint8_t frame[128];

	for (unsigned int i = 0; i < room; i++)
		rules[i].expected = rules[i].live ? counter_sum(rules[i].counter).packets : 0;
	for (unsigned int i = 0; i < MODEL_PACKETS; i++) {
		struct tuple t = random_tuple();
		uint32_t bytes = t.tcp ? frame_tcp(frame, t.src, t.dst, t.sport, t.dport, 6)
				       : frame_udp(frame, t.src, t.dst, t.sport, t.dport, 6);

		misses += judge(k, room, &t);
		bed_send(0, frame, bytes);
	}
	while (worker_poll(&fp.workers[0]))
		;
	for (unsigned int i = 0; i < room; i++)
		wrong += rules[i].live && counter_sum(rules[i].counter).packets != rules[i].expected;
	wrong += counter_sum(miss_counter).packets - before_miss != misses;
	return wrong;
}

static void run(const struct kind *k, unsigned int room, unsigned int rounds)
{
	struct spec *s = spec_new(k->name, 0, k->type, room);
	struct spec *front = spec_new("front", 0, STEER_PIPE_BASIC, 1);
	struct steer_pipe_info info;
	struct work w;
	uint32_t pipe, root;
	unsigned int wrong = 0;

	memset(rules, 0, sizeof(rules));
	s->head.flags = STEER_PIPE_MISS_COUNTER;
	s->head.fwd_miss = fwd_drop;
	k->match(s);
	pipe = spec_create(s, NULL);
	require(pipe, "%s: pipe", k->name);
	front->head.flags = STEER_PIPE_ROOT;
	front->head.fwd = fwd_pipe(pipe);
	root = spec_create(front, NULL);
	w = work_new(root, NULL, 0, NULL, 0);
	require(!work_add(&w, NULL), "%s: front entry", k->name);
	pipe_info(pipe_find(pipe), &info);
	for (unsigned int i = 0; i < rounds; i++) {
		for (unsigned int n = i ? dice(room / 4) : room * 2; n; n--)
			random_change(k, pipe, room);
		wrong += check(k, room, info.miss_counter);
		if (dice(3) == 0) {
			usleep(k->type == STEER_PIPE_ACL ? 20000 : 0); // lets the builder finish now and then
			bed_settle();
			wrong += check(k, room, info.miss_counter);
		}
	}
	ok(wrong == 0, "%s: %u entries, %u rounds, every packet hits what the model says (%u wrong)", k->name,
		room, rounds, wrong);
	ok(pipe_destroy(bed.space, pipe, NULL) == -EBUSY, "%s: in use", k->name);
	ok(!pipe_destroy(bed.space, root, NULL) && !pipe_destroy(bed.space, pipe, NULL), "%s: destroyed",
		k->name);
	bed_settle();
}

// A trie with holes is searched rule by rule where they are: it does not stay, however few rules are left.
static void test_acl_shrinks(void)
{
	struct spec *s = spec_new("acl", 0, STEER_PIPE_ACL, 200);
	struct entry_result result;
	struct acl_numbers numbers = {0};
	uint32_t pipe, first = bed.next_entry;
	struct rule r;
	uint8_t key[64];

	s->head.fwd = fwd_drop;
	acl_match(s);
	pipe = spec_create(s, NULL);
	for (unsigned int i = 0; i < 100; i++) {
		struct work w;

		acl_draw(&r);
		w = work_new(pipe, key, acl_key(&r, key), NULL, 0);
		w.head.priority = r.priority;
		ok(!work_add(&w, &result), "rule %u", i);
	}
	for (unsigned int i = 0; i < 1000 && numbers.trie < 100; i++) {
		usleep(1000);
		bed_settle();
		numbers = acl_numbers(pipe_find(pipe));
	}
	ok(numbers.trie == 100 && !numbers.holes, "100 rules make a trie");
	for (unsigned int i = 0; i < 90; i++)
		entry_remove(bed.space, first + i, &result);
	for (unsigned int i = 0; i < 1000 && (numbers.trie || numbers.holes); i++) {
		usleep(1000);
		bed_settle();
		numbers = acl_numbers(pipe_find(pipe));
	}
	ok(!numbers.trie && !numbers.holes && numbers.overlay == 10,
		"10 of them do not: %u, %u holes, %u beside", numbers.trie, numbers.holes, numbers.overlay);
	entry_remove(bed.space, first + 95, &result);
	ok(!pipe_destroy(bed.space, pipe, NULL), "destroyed");
	bed_settle();
}

static void test_resize(void)
{
	struct spec *s = spec_new("grows", 0, STEER_PIPE_BASIC, 8);
	struct entry_result result;
	uint8_t key[4];
	uint32_t pipe, first = bed.next_entry, added = 0;

	s->head.flags = STEER_PIPE_ROOT | STEER_PIPE_RESIZABLE;
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	s->head.fwd = fwd_port(1);
	pipe = spec_create(s, NULL);
	for (unsigned int i = 0; i < 9; i++) {
		struct work w;

		put32(key, 0x0b000000 + i);
		w = work_new(pipe, key, 4, NULL, 0);
		added += !work_add(&w, &result);
	}
	ok(added == 8 && result.why.reason == STEER_WHY_PIPE_FULL, "full at 8: %u", added);
	ok(pipe_resize(bed.space, pipe, 4, NULL) == -ENOSPC, "does not shrink below its entries");
	ok(!pipe_resize(bed.space, pipe, 4096, NULL), "grows");
	for (unsigned int i = 8; i < 4096; i++) {
		struct work w;

		put32(key, 0x0b000000 + i);
		w = work_new(pipe, key, 4, NULL, 0);
		added += !work_add(&w, &result);
	}
	ok(added == 4096, "holds 4096: %u", added);
	for (unsigned int i = 0; i < 4096; i += 97) {
		uint8_t frame[128];

		bed_send(0, frame, frame_udp(frame, 1, 0x0b000000 + i, 1, 2, 10));
	}
	while (worker_poll(&fp.workers[0]))
		;
	added = 0;
	for (uint8_t out[128]; bed_receive(1, out, sizeof(out));)
		added++;
	ok(added == 43, "old and new entries are found: %u of 43", added);
	// Churn far beyond the capacity: slots of removed keys come back.
	added = 0;
	for (unsigned int i = 0; i < 20000; i++) {
		struct work w;

		put32(key, 0x0c000000 + i);
		entry_remove(bed.space, first + 8 + i % 4000 + (i % 4000 == 0), &result);
		w = work_new(pipe, key, 4, NULL, 0);
		w.head.entry = first + 8 + i % 4000 + (i % 4000 == 0);
		bed.next_entry--;
		added += !work_add(&w, &result);
		if (i % 64 == 0)
			bed_settle();
	}
	ok(added == 20000, "20000 replacements: %u", added);
	pipe_destroy(bed.space, pipe, NULL);
}

int main(void)
{
	bed_start(2);
	for (unsigned int i = 0; i < RTE_DIM(kinds); i++) {
		run(&kinds[i], 16, 40);
		run(&kinds[i], 200, 40);
	}
	test_resize();
	test_acl_shrinks();
	bed_conserves(0);
	bed_stop();
	return tap_done();
}
