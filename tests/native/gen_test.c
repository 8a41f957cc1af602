// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The generator: what its arguments may say; that each connection comes as often as it should, answers after openings;
// addresses, MACs and checksums of its frames; its rate, by a clock of our own.

#include "fp_support.h"
#include "gen.h"

enum { HZ = 1000000000, TUPLES = 1 << 20 };

struct seen {
	uint64_t key[TUPLES];
	uint32_t count[TUPLES];
	uint32_t distinct;
};
static struct seen seen, answered;
static uint64_t clock_now = 1;

static struct gen *make(const char *text, struct gen *forward, uint16_t queues)
{
	char why[CONFIG_WHY_MAX] = "";
	struct gen_spec spec;
	struct gen *gen = NULL;

	require(!gen_parse(text, &spec, why), "\"%s\" is read%s", text, why);
	require(!gen_create(&spec, forward, queues, HZ, &gen, why), "and made%s", why);
	return gen;
}

static void refused(const char *text, const char *word)
{
	char why[CONFIG_WHY_MAX] = "";
	struct gen_spec spec;

	ok(gen_parse(text, &spec, why) && strstr(why, word), "\"%s\" is refused: %s", text, why);
}

static uint64_t key_of(const uint8_t *f, bool reply)
{
	uint64_t src = get32(f + 26), dst = get32(f + 30), sport = get16(f + 34), dport = get16(f + 36);

	if (reply)
		return (dst & 0xffff) << 48 | (src & 0xffff) << 32 | dport << 16 | sport;
	return (src & 0xffff) << 48 | (dst & 0xffff) << 32 | sport << 16 | dport;
}

// How often a tuple was seen before.
static uint32_t note(struct seen *s, uint64_t key)
{
	uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15 >> 44);

	while (s->count[at] && s->key[at] != key)
		at = (at + 1) % TUPLES;
	s->distinct += !s->count[at];
	s->key[at] = key;
	return s->count[at]++;
}

static uint32_t times(const struct seen *s, uint64_t key)
{
	uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15 >> 44);

	while (s->count[at] && s->key[at] != key)
		at = (at + 1) % TUPLES;
	return s->count[at];
}

static bool sums_good(const uint8_t *f)
{
	unsigned int length = get16(f + 16);
	uint32_t sum = plain_sum(0, f + 26, 8) + f[23] + length - 20;

	return plain_fold(plain_sum(0, f + 14, 20)) == 0xffff &&
	       plain_fold(plain_sum(sum, f + 34, length - 20)) == 0xffff;
}

// Takes up to `most` packets in bursts of 32, until none come. Every frame is looked at by `look`.
static uint32_t take(struct gen *gen, uint16_t queue, uint32_t most, bool (*look)(const struct rte_mbuf *m))
{
	struct rte_mbuf *burst[32];
	uint32_t taken = 0, bad = 0;
	uint16_t n;

	while (taken < most &&
		(n = gen_fill(gen, queue, fp.pool, clock_now, burst, (uint16_t)RTE_MIN(32u, most - taken)))) {
		for (uint16_t i = 0; i < n; i++) {
			bad += !look(burst[i]);
			rte_pktmbuf_free(burst[i]);
		}
		taken += n;
	}
	ok(!bad, "%u frames are as they should be", taken);
	return taken;
}

static bool look_opener(const struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);

	note(&seen, key_of(f, false));
	// 64 MACs over a /16, 16 over a /20.
	return m->pkt_len == 60 && m->data_len == 60 && get16(f + 26) == 0x0a40 && f[5] == (f[32] & 15) &&
	       f[11] == f[28] >> 2 && f[4] == 2 && f[10] == 1 && f[32] >> 4 == 0 && get16(f + 30) == 0x0a80 &&
	       sums_good(f);
}

static bool look_answer(const struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
	uint64_t key = key_of(f, true);

	note(&answered, key);
	return times(&seen, key) >= 1 && f[5] == f[32] >> 2 && f[11] == (f[28] & 15) && f[4] == 1 &&
	       f[10] == 2 && sums_good(f);
}

static bool look_default(const struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);

	note(&seen, key_of(f, false));
	return f[5] == 2 && f[11] == 1 && sums_good(f);
}

static void forget(void)
{
	memset(&seen, 0, sizeof(seen));
	memset(&answered, 0, sizeof(answered));
}

#define SIDES "src=10.64.0.0/16,dst=10.128.0.0/20,smac=02:00:00:00:01:00/64,dmac=02:00:00:00:02:00/16"

static void test_flows(void)
{
	enum { FLOWS = 100000 };
	struct gen *gen = make("flows=100000," SIDES, NULL, 1), *reply = make("reply=x", gen, 1);
	uint32_t twice = 0, macs = 0;

	ok(gen_replies(reply) && !gen_replies(gen), "one replies");
	ok(take(reply, 0, 100, look_answer) == 0, "no answer before an opening");
	take(gen, 0, FLOWS, look_opener);
	ok(seen.distinct == FLOWS, "each connection comes once in a round (%u)", seen.distinct);
	take(reply, 0, 100, look_answer);
	take(gen, 0, FLOWS, look_opener);
	for (uint32_t i = 0; i < TUPLES; i++) {
		twice += seen.count[i] == 2;
		macs |= seen.count[i] ? 1u << (seen.key[i] >> 58) % 32 : 0;
	}
	ok(seen.distinct == FLOWS && twice == FLOWS, "and twice in two");
	ok(macs == UINT32_MAX, "all stations take part");
	take(reply, 0, FLOWS - answered.distinct, look_answer);
	ok(answered.distinct == FLOWS, "each is answered (%u)", answered.distinct);
	gen_release(gen);
	ok(take(reply, 0, 32, look_answer) == 32, "answers go on when the opener is gone");
	gen_release(reply);
	forget();
}

static void test_few(void)
{
	struct gen *gen = make("flows=1," SIDES, NULL, 1);

	take(gen, 0, 100, look_opener);
	ok(seen.distinct == 1, "one connection is one");
	gen_release(gen);
	forget();
}

static void test_new(void)
{
	enum { NEW = 70001, QUEUES = 3 };
	struct gen *gen = make("new=70001," SIDES, NULL, QUEUES), *reply = make("reply=x", gen, QUEUES);
	uint32_t total = 0, answers = 0;

	for (uint16_t q = 0; q < QUEUES; q++) {
		ok(take(reply, q, 100, look_answer) == 0, "nothing to answer yet");
		total += take(gen, q, 5000, look_opener);
		answers += take(reply, q, NEW, look_answer);
		ok(answers > 1000 * (q + 1u) && answers < total, "answers stay behind (%u)", answers);
		total += take(gen, q, NEW, look_opener);
		answers += take(reply, q, NEW, look_answer);
	}
	ok(total == NEW && seen.distinct == NEW, "so many connections, each once (%u)", seen.distinct);
	ok(answers == NEW && answered.distinct == NEW, "and an answer to each (%u)", answered.distinct);
	gen_release(reply);
	gen_release(gen);
	forget();

	gen = make("new=5000,rounds=3," SIDES, NULL, 2);
	total = take(gen, 0, 20000, look_opener) + take(gen, 1, 20000, look_opener);
	for (uint32_t i = answers = 0; i < TUPLES; i++)
		answers += seen.count[i] == 3;
	ok(total == 15000 && answers == 5000, "three rounds: each three times (%u, %u)", total, answers);
	gen_release(gen);
	forget();

	gen = make("new=0,src=10.0.0.1/32,dst=10.0.0.2/32,dport=80", NULL, 1);
	ok(take(gen, 0, 100000, look_default) == 100000 && seen.distinct == 32768,
		"what has no more begins again (%u)", seen.distinct);
	gen_release(gen);
	forget();

	gen = make("new=0", NULL, 1);
	ok(take(gen, 0, 200000, look_default) == 200000, "without end");
	ok(seen.distinct == 200000, "every one new (%u)", seen.distinct);
	gen_release(gen);
	forget();
}

static bool look_any(const struct rte_mbuf *m)
{
	return m->pkt_len == 60;
}

static void test_rate(void)
{
	struct gen *gen = make("rate=1000000", NULL, 1);
	uint32_t taken = 0;

	clock_now = 1;
	take(gen, 0, 32, look_any);
	for (unsigned int i = 0; i < 1000; i++) {
		struct rte_mbuf *burst[64];
		uint16_t n;

		clock_now += 10000 + i % 7; // ns
		n = gen_fill(gen, 0, fp.pool, clock_now, burst, 64);
		taken += n;
		rte_pktmbuf_free_bulk(burst, n);
	}
	ok(taken >= 9990 && taken <= 10010, "a million a second in 10 ms (%u)", taken);
	clock_now += UINT64_C(60) * HZ;
	taken = take(gen, 0, 1 << 20, look_any);
	ok(taken >= 9990 && taken <= 10010, "what a minute's sleep missed is not made up for (%u)", taken);
	gen_release(gen);
}

static uint32_t sizes_seen[GEN_FRAME_MAX + 1];

static bool look_size(const struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);

	if (m->pkt_len > GEN_FRAME_MAX || m->data_len != m->pkt_len)
		return false;
	sizes_seen[m->pkt_len]++;
	note(&seen, key_of(f, false));
	return get16(f + 16) == m->pkt_len - 14u && get16(f + 38) == m->pkt_len - 34u && !get16(f + 40) &&
	       plain_fold(plain_sum(0, f + 14, 20)) == 0xffff;
}

static void test_sizes(void)
{
	struct gen *gen = make("size=imix,flows=4096", NULL, 1);

	take(gen, 0, 12000, look_size);
	ok(sizes_seen[60] == 7000 && sizes_seen[590] == 4000 && sizes_seen[1514] == 1000, "seven, four, one");
	ok(seen.distinct == 4096, "of every connection (%u)", seen.distinct);
	gen_release(gen);
	forget();
	gen = make("size=1514", NULL, 1);
	ok(take(gen, 0, 2000, look_size) == 2000 && sizes_seen[1514] == 3000, "all of them large");
	gen_release(gen);
	forget();
	gen = make("size=60", NULL, 1);
	take(gen, 0, 100, look_default);
	gen_release(gen);
	forget();
}

static uint32_t kinds_seen;

static bool look_syn(const struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);

	return m->pkt_len == 60 && f[23] == 6 && f[47] == 2 && get16(f + 16) == 40 && sums_good(f);
}

static bool look_fragment(const struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
	unsigned int field = get16(f + 20);

	kinds_seen |= 1u << (field & 7);
	return field & 0x2000 && field & 0x1fff && plain_fold(plain_sum(0, f + 14, 20)) == 0xffff;
}

static bool look_overlap(const struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);

	kinds_seen |= 1u << get16(f + 18);
	return (get16(f + 20) & ~7u) == 0x2000 && (get16(f + 16) - 20) % 8 == 0 &&
	       plain_fold(plain_sum(0, f + 14, 20)) == 0xffff;
}

static bool look_short(const struct rte_mbuf *m)
{
	kinds_seen |= 1u << (m->pkt_len - 15);
	return m->pkt_len == m->data_len && m->pkt_len >= 15 && m->pkt_len < 47;
}

static void test_kinds(void)
{
	struct gen *gen = make("kind=syn,new=1000,dport=80", NULL, 1);
	char why[CONFIG_WHY_MAX] = "";
	struct gen *other;

	ok(take(gen, 0, 5000, look_syn) == 1000, "SYN segments");
	ok(gen_create(&(struct gen_spec){0}, gen, 1, HZ, &other, why) == -EINVAL && why[0],
		"nobody replies to them: %s", why);
	gen_release(gen);
	gen = make("kind=fragment,new=0", NULL, 1);
	take(gen, 0, 5000, look_fragment);
	ok(kinds_seen == 255, "fragments of all places");
	gen_release(gen);
	kinds_seen = 0;
	gen = make("kind=overlap,new=0,src=10.0.0.1/32,dst=10.0.0.2/32", NULL, 1);
	take(gen, 0, 5000, look_overlap);
	ok(kinds_seen == 255, "of eight datagrams");
	gen_release(gen);
	kinds_seen = 0;
	gen = make("kind=short,flows=4096", NULL, 1);
	take(gen, 0, 5000, look_short);
	ok(kinds_seen == UINT32_MAX, "frames of every length from 15 to 46");
	gen_release(gen);
}

static void test_words(void)
{
	refused("flows=0", "from 1 to 4194304");
	refused("flows=4194305", "flows");
	refused("flows=many", "many");
	refused("new=-1", "new");
	refused("rate=100000001", "rate");
	refused("rounds=0", "rounds");
	refused("size=59", "from 60 to 1514");
	refused("size=big", "big");
	refused("size=imix,kind=syn", "kind=udp");
	refused("kind=icmp", "icmp");
	refused("src=10.0.0.0/8", "16 to 32");
	refused("src=10.0.0.1/24", "beyond its length");
	refused("dst=::1", "IPv4");
	refused("smac=01:00:00:00:00:01", "one station");
	refused("smac=02:00:00:00:00:01/3", "power of two");
	refused("dmac=02:00:00:00:00:f0/32", "power of two");
	refused("src=10.0.0.0/31,smac=02:00:00:00:00:00/4", "smac");
	refused("dport=1+2+3", "1, 2, 4 or 8");
	refused("dport=1+2+3+4+5+6+7+8+9", "more than 8");
	refused("dport=65536", "dport");
	refused("src=10.0.0.1/32,dst=10.0.0.2/32,dport=80,flows=40000", "32768");
	refused("loud", "key=value");
	refused("loud=1", "loud");
}

int main(void)
{
	bed_start(1);
	test_words();
	test_flows();
	test_few();
	test_new();
	test_rate();
	test_sizes();
	test_kinds();
	bed_stop();
	return tap_done();
}
