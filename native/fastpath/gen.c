// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The order in which connections are visited is a congruential sequence of full period over the next power of two (numbers
// beyond the last connection are passed over), its bits stirred by one shift: a permutation without a table and without a
// division. A number becomes a tuple by cutting it into bits, so that different numbers are different tuples.

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "checksum.h"
#include "gen.h"

enum {
	FRAME = GEN_FRAME_MIN,
	ROOM = 64, // copied at once
	ETHER = 14,
	L4 = 34,
	PORT_BITS = 15,
	FIRST_PORT = 1024,
	REPLY_LAG = 1024, // packets of a queue that an answer stays behind its opening
	RATE_MAX = 100000000,
	ROUNDS_MAX = 1000000,
	CREDIT_PER_SECOND = 100, // a queue makes up for what it missed in a hundredth of a second, no more
};

static const uint32_t STEP = 0x915f77f5, ADDEND = 0x6a09e667; // full period: STEP % 4 is 1, ADDEND odd
static const uint32_t STIR = 0x9e3779b1;

// The simple IMIX: seven, four, one; dealt so that no run is long.
static const uint16_t MIX[] = {60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 590, 60};

struct gen_queue {
	// The sequence: state, and what takes it to this queue's next place.
	uint32_t at, multiply, add;
	uint32_t turn;                    // in gen->size
	uint64_t steps;                   // done; read by the replier's worker
	uint64_t end;                     // steps of one round
	uint64_t last;                    // cycles
	uint64_t credit, per_cycle, most; // packets and cycles, scaled by 2^32
} __rte_cache_aligned;

struct gen {
	struct gen_spec spec;
	struct gen *forward; // replied to
	unsigned int users;
	uint16_t nr_queues;
	bool limited;
	uint32_t mask;
	uint8_t shift;
	uint8_t frame[ROOM] __rte_cache_aligned;
	uint64_t ip_sum, l4_sum; // of what does not change in them
	// Lengths of frames, by turns; none: all are FRAME. Their payload is whatever the buffer held.
	uint16_t nr_sizes;
	uint16_t size[RTE_DIM(MIX)];
	struct gen_queue queue[];
};

// -- what to make -----------------------------------------------------------------------------------------------------

static int parse_number(const char *key, const char *text, uint64_t least, uint64_t most, uint64_t *number,
	char why[CONFIG_WHY_MAX])
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || *number < least || *number > most)
		return config_refuse(why, "%s must be a number from %llu to %llu, not \"%.32s\"", key,
			(unsigned long long)least, (unsigned long long)most, text);
	return 0;
}

// 10.0.0.0/16
static int parse_prefix(const char *key, char *text, struct gen_side *side, char why[CONFIG_WHY_MAX])
{
	char *slash = strchr(text, '/');
	struct in_addr address;
	uint64_t length;

	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, text, &address) != 1)
		return config_refuse(why, "%s must be an IPv4 prefix, not \"%.32s\"", key, text);
	if (parse_number(key, slash ? slash + 1 : "32", 16, 32, &length, why))
		return config_refuse(why, "the length of %s's prefix must be from 16 to 32", key);
	side->bits = (uint8_t)(32 - length);
	side->base = ntohl(address.s_addr);
	if (side->base & ((1u << side->bits) - 1))
		return config_refuse(
			why, "%s %s/%u has bits beyond its length", key, text, (unsigned int)length);
	return 0;
}

// 02:00:00:00:01:00 or, for 64 of them, 02:00:00:00:01:00/64
static int parse_macs(const char *key, char *text, struct gen_side *side, char why[CONFIG_WHY_MAX])
{
	char *slash = strchr(text, '/');
	uint64_t count;

	if (slash)
		*slash = '\0';
	if (!config_parse_mac(text, side->mac) || side->mac[0] & 1)
		return config_refuse(
			why, "%s must be a MAC address of one station, not \"%.32s\"", key, text);
	if (parse_number(key, slash ? slash + 1 : "1", 1, 256, &count, why))
		return -EINVAL;
	if (count & (count - 1) || side->mac[5] + count > 256)
		return config_refuse(why,
			"%s %s/%u: a power of two that the last byte has room for is needed", key, text,
			(unsigned int)count);
	side->macs = (uint16_t)count;
	return 0;
}

// 443+8080
static int parse_services(char *text, struct gen_spec *spec, char why[CONFIG_WHY_MAX])
{
	unsigned int nr = 0;
	uint64_t port;
	char *rest;

	for (char *word = strtok_r(text, "+", &rest); word; word = strtok_r(NULL, "+", &rest)) {
		if (nr == GEN_SERVICES)
			return config_refuse(why, "dport has more than %u ports", (unsigned int)GEN_SERVICES);
		if (parse_number("dport", word, 0, 65535, &port, why))
			return -EINVAL;
		spec->service[nr++] = (uint16_t)port;
	}
	if (!nr || nr & (nr - 1))
		return config_refuse(why, "dport must have 1, 2, 4 or 8 ports, as 443+8080, not %u", nr);
	spec->service_bits = (uint8_t)__builtin_ctz(nr);
	return 0;
}

static int parse_kind(const char *text, struct gen_spec *spec, char why[CONFIG_WHY_MAX])
{
	static const char *const kinds[] = {"udp", "syn", "fragment", "overlap", "short"};

	for (unsigned int i = 0; i < RTE_DIM(kinds); i++)
		if (!strcmp(text, kinds[i])) {
			spec->kind = (enum gen_kind)i;
			return 0;
		}
	return config_refuse(why, "kind must be udp, syn, fragment, overlap or short, not \"%.32s\"", text);
}

static int parse_size(const char *text, struct gen_spec *spec, char why[CONFIG_WHY_MAX])
{
	uint64_t number = 0;

	if (strcmp(text, "imix") && parse_number("size", text, GEN_FRAME_MIN, GEN_FRAME_MAX, &number, why))
		return -EINVAL;
	spec->size = (uint16_t)number;
	return 0;
}

static int parse_pair(const char *key, char *value, struct gen_spec *spec, char why[CONFIG_WHY_MAX])
{
	uint64_t number;
	int status;

	if (!strcmp(key, "flows") || !strcmp(key, "new")) {
		spec->once = key[0] == 'n';
		status = parse_number(
			key, value, !spec->once, spec->once ? UINT32_MAX : GEN_FLOWS_MAX, &spec->flows, why);
		if (!status && !spec->flows) {
			spec->flows = UINT64_C(1) << 32;
			spec->endless = true;
		}
		return status;
	}
	if (!strcmp(key, "rate")) {
		status = parse_number(key, value, 0, RATE_MAX, &number, why);
		spec->rate = status ? 0 : (uint32_t)number;
		return status;
	}
	if (!strcmp(key, "rounds")) {
		status = parse_number(key, value, 1, ROUNDS_MAX, &number, why);
		spec->rounds = status ? 0 : (uint32_t)number;
		return status;
	}
	if (!strcmp(key, "size"))
		return parse_size(value, spec, why);
	if (!strcmp(key, "kind"))
		return parse_kind(value, spec, why);
	if (!strcmp(key, "src") || !strcmp(key, "dst"))
		return parse_prefix(key, value, &spec->side[key[0] == 'd'], why);
	if (!strcmp(key, "smac") || !strcmp(key, "dmac"))
		return parse_macs(key, value, &spec->side[key[0] == 'd'], why);
	if (!strcmp(key, "dport"))
		return parse_services(value, spec, why);
	if (!strcmp(key, "reply") && strlen(value) < sizeof(spec->reply)) {
		snprintf(spec->reply, sizeof(spec->reply), "%s", value);
		return 0;
	}
	return config_refuse(why,
		"there is no argument \"%.32s\" (there are flows, new, rounds, rate, kind, size, src, dst, "
		"smac, dmac, dport, reply)",
		key);
}

static int check(struct gen_spec *spec, char why[CONFIG_WHY_MAX])
{
	unsigned int bits = spec->service_bits + PORT_BITS;

	for (unsigned int i = 0; i < 2; i++) {
		struct gen_side *side = &spec->side[i];
		unsigned int macs = (unsigned int)__builtin_ctz(side->macs);

		if (macs > side->bits)
			return config_refuse(
				why, "%s has more addresses than %s", i ? "dmac" : "smac", i ? "dst" : "src");
		side->to_mac = (uint8_t)(side->bits - macs);
		bits += side->bits;
	}
	if (spec->size != FRAME && spec->kind != GEN_UDP)
		return config_refuse(why, "size goes with kind=udp");
	// What is without end may come back to its beginning earlier than after 2^32 packets.
	if (spec->endless && bits < 32)
		spec->flows = UINT64_C(1) << bits;
	if (bits < 32 && spec->flows > UINT64_C(1) << bits)
		return config_refuse(
			why, "src, dst and dport have room for %llu connections only", 1ull << bits);
	return 0;
}

int gen_parse(const char *text, struct gen_spec *spec, char why[CONFIG_WHY_MAX])
{
	char copy[256], *rest;

	*spec = (struct gen_spec){
		.flows = 1024,
		.rounds = 1,
		.size = FRAME,
		.side = {{.base = 0x0a000000, .bits = 16, .mac = {2, 0, 0, 0, 0, 1}, .macs = 1},
			{.base = 0x0a800000, .bits = 12, .mac = {2, 0, 0, 0, 0, 2}, .macs = 1}},
		.service = {443, 8080, 5432, 6379},
		.service_bits = 2,
	};
	if (strlen(text) >= sizeof(copy))
		return config_refuse(why, "the arguments are longer than %zu characters", sizeof(copy) - 1);
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *key = strtok_r(copy, ",", &rest); key; key = strtok_r(NULL, ",", &rest)) {
		char *value = strchr(key, '=');

		if (!value)
			return config_refuse(why, "\"%.32s\" is not key=value", key);
		*value = '\0';
		if (parse_pair(key, value + 1, spec, why))
			return -EINVAL;
	}
	return check(spec, why);
}

// -- the preloaded frame ----------------------------------------------------------------------------------------------

// What changes is 0 in it; the sums are of the rest.
static void preload(struct gen *gen)
{
	bool tcp = gen->spec.kind == GEN_SYN, piece = gen->spec.kind == GEN_OVERLAP;
	// Fragments but the last one have a multiple of eight bytes.
	unsigned int length = tcp ? 40 : piece || gen->spec.kind == GEN_FRAGMENT ? 44 : FRAME - ETHER;
	uint8_t *f = gen->frame, *ip = f + ETHER, *l4 = f + L4, pseudo[4] = {0, tcp ? 6 : 17};

	for (unsigned int i = 0; !gen->spec.size && i < RTE_DIM(MIX); i++)
		gen->size[gen->nr_sizes++] = MIX[i];
	if (gen->spec.size > FRAME)
		gen->size[gen->nr_sizes++] = gen->spec.size;
	if (gen->nr_sizes)
		length = 0;
	memcpy(f, gen->spec.side[!gen->forward].mac, 6);
	memcpy(f + 6, gen->spec.side[!!gen->forward].mac, 6);
	put16(f + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, length);
	ip[8] = 64;
	ip[9] = pseudo[1];
	if (gen->nr_sizes) {
		gen->ip_sum = checksum_add(0, ip, 20);
		return;
	}
	put16(pseudo + 2, length - 20);
	if (tcp) {
		l4[12] = 5 << 4;
		l4[13] = 2;
		put16(l4 + 14, 65535);
	} else {
		put16(l4 + 4, length - 20);
	}
	gen->ip_sum = checksum_add(0, ip, 20);
	gen->l4_sum = checksum_add(checksum_add(0, l4, length - 20), pseudo, 4);
}

// -- life -------------------------------------------------------------------------------------------------------------

static void start_queue(struct gen *gen, uint16_t number, uint64_t tsc_hz)
{
	struct gen_queue *q = &gen->queue[number];
	uint32_t stride = gen->spec.once ? gen->nr_queues : 1;
	uint64_t places = (uint64_t)gen->mask + 1;

	q->multiply = 1;
	for (uint32_t i = 0; i < stride; i++) {
		q->add = q->add * STEP + ADDEND;
		q->multiply *= STEP;
	}
	// Connections that are visited once are dealt out to the queues; of the others each queue visits all, from
	// somewhere else. Answers to the former keep their order, those to the latter have one of their own.
	q->at = gen->spec.once ? 0 : (number + (gen->forward ? 77u : 0u)) * STIR;
	for (uint32_t i = 0; gen->spec.once && i < number; i++)
		q->at = q->at * STEP + ADDEND;
	q->at &= gen->mask;
	// Of several rounds each goes on where the one before ended.
	q->end = gen->spec.once ? (places * gen->spec.rounds + stride - 1 - number) / stride : places;
	q->per_cycle = ((uint64_t)gen->spec.rate << 32) / gen->nr_queues / tsc_hz;
	q->most = tsc_hz / CREDIT_PER_SECOND * q->per_cycle + (UINT64_C(1) << 32);
}

int gen_create(const struct gen_spec *spec, struct gen *forward, uint16_t nr_queues, uint64_t tsc_hz,
	struct gen **made, char why[CONFIG_WHY_MAX])
{
	size_t bytes = sizeof(struct gen) + nr_queues * sizeof(struct gen_queue);
	struct gen *gen = NULL;
	unsigned int bits = 0;

	if (forward && (forward->forward || forward->spec.kind != GEN_UDP || forward->nr_queues != nr_queues))
		return config_refuse(why, "only what opens UDP connections can be replied to");
	if (posix_memalign((void **)&gen, RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(bytes, RTE_CACHE_LINE_SIZE))) {
		config_refuse(why, "no memory");
		return -ENOMEM;
	}
	memset(gen, 0, bytes);
	gen->spec = forward ? forward->spec : *spec;
	gen->spec.rate = spec->rate;
	gen->limited = spec->rate;
	gen->forward = forward;
	gen->users = 1;
	gen->nr_queues = nr_queues;
	if (forward)
		forward->users++;
	while (UINT64_C(1) << bits < gen->spec.flows)
		bits++;
	gen->mask = (uint32_t)((UINT64_C(1) << bits) - 1);
	gen->shift = (uint8_t)(bits > 2 ? bits / 2 : 1);
	preload(gen);
	for (uint16_t i = 0; i < nr_queues; i++)
		start_queue(gen, i, tsc_hz);
	*made = gen;
	return 0;
}

void gen_release(struct gen *gen)
{
	while (gen && !--gen->users) {
		struct gen *forward = gen->forward;

		free(gen);
		gen = forward;
	}
}

bool gen_replies(const struct gen *gen)
{
	return gen->forward;
}

// -- packets ----------------------------------------------------------------------------------------------------------

// The sequence's next number that is a connection. The caller has looked that there is one: of a power of two of numbers
// more than half are.
static inline uint32_t next_number(const struct gen *gen, struct gen_queue *q, uint64_t *steps)
{
	uint32_t x;

	do {
		x = q->at ^ q->at >> gen->shift;
		q->at = (q->at * q->multiply + q->add) & gen->mask;
		++*steps;
	} while (unlikely(x >= gen->spec.flows));
	return x;
}

static inline uint32_t address(const struct gen_side *side, uint32_t number, uint8_t *mac)
{
	*mac = (uint8_t)(side->mac[5] + (number >> side->to_mac));
	return side->base | number;
}

static inline void store16(uint8_t *at, uint16_t value)
{
	memcpy(at, &value, 2);
}

static inline void store32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, 4);
}

// Lengths into the headers of a frame of another size, without a UDP checksum. Returns what the IP header's sum grows by.
static inline uint32_t put_size(const struct gen *gen, struct gen_queue *q, uint8_t *f, uint16_t *length)
{
	uint16_t ip;

	*length = gen->size[q->turn++];
	if (q->turn == gen->nr_sizes)
		q->turn = 0;
	ip = htons((uint16_t)(*length - ETHER));
	store16(f + ETHER + 2, ip);
	store16(f + L4 + 4, htons((uint16_t)(*length - L4)));
	return ip;
}

// The bytes of connection x's packet; returns their number.
static inline uint16_t put_packet(const struct gen *gen, struct gen_queue *q, uint8_t *f, uint32_t x)
{
	const struct gen_spec *spec = &gen->spec;
	const struct gen_side *one = &spec->side[0], *two = &spec->side[1];
	uint32_t low = x & ((1u << one->bits) - 1), rest = x >> one->bits ^ low * STIR;
	// Odd: every number comes once, and neighbours are far apart.
	uint32_t number[2] = {low * 0x9e37u & ((1u << one->bits) - 1), rest & ((1u << two->bits) - 1)};
	unsigned int from = gen->forward != NULL, to = !from;
	uint32_t ip[2], ports, words;
	uint16_t port[2], length = FRAME, check;
	uint64_t sum, size = 0;

	rest >>= two->bits;
	port[0] = (uint16_t)(FIRST_PORT + (rest >> spec->service_bits & ((1u << PORT_BITS) - 1)));
	port[1] = spec->service[rest & ((1u << spec->service_bits) - 1)];
	memcpy(f, gen->frame, ROOM);
	ip[from] = htonl(address(&spec->side[from], number[from], f + 11));
	ip[to] = htonl(address(&spec->side[to], number[to], f + 5));
	ports = (uint32_t)htons(port[from]) | (uint32_t)htons(port[to]) << 16;
	store32(f + 26, ip[from]);
	store32(f + 30, ip[to]);
	store32(f + L4, ports);
	sum = (uint64_t)ip[from] + ip[to];
	words = 0; // of the IP header besides
	switch (spec->kind) {
	case GEN_UDP:
		if (gen->nr_sizes) {
			size = put_size(gen, q, f, &length);
			break;
		}
		check = (uint16_t)~checksum_fold(gen->l4_sum + sum + ports);
		store16(f + L4 + 6, check ? check : 0xffff);
		break;
	case GEN_SYN:
		store32(f + L4 + 4, x * STIR);
		store16(f + L4 + 16, (uint16_t)~checksum_fold(gen->l4_sum + sum + ports + x * STIR));
		break;
	case GEN_FRAGMENT:
		words = htons((uint16_t)x) | (uint32_t)htons((uint16_t)(0x2001 + (x >> 16 & 1023))) << 16;
		break;
	case GEN_OVERLAP:
		words = htons((uint16_t)(x & 7)) | (uint32_t)htons((uint16_t)(0x2000 + (x >> 3 & 7))) << 16;
		break;
	case GEN_SHORT:
		length = (uint16_t)(ETHER + 1 + (x & 31));
		break;
	}
	store32(f + ETHER + 4, words);
	store16(f + ETHER + 10, (uint16_t)~checksum_fold(gen->ip_sum + sum + size + words));
	return length;
}

// How many packets the rate leaves a queue now.
static inline uint16_t allowed(struct gen_queue *q, uint64_t now, uint16_t max)
{
	uint64_t passed = q->last ? now - q->last : 0;

	q->last = now;
	// So that the product fits, whatever was slept.
	if (passed > UINT32_MAX || passed * q->per_cycle > q->most)
		q->credit = q->most;
	else
		q->credit = RTE_MIN(q->credit + passed * q->per_cycle, q->most);
	return (uint16_t)RTE_MIN(q->credit >> 32, (uint64_t)max);
}

// Steps that a queue may do now; UINT64_MAX: without a bound.
static inline uint64_t bound(const struct gen *gen, uint16_t queue)
{
	const struct gen_queue *q = &gen->queue[queue];
	uint64_t opened;

	if (!gen->forward)
		return gen->spec.once && !gen->spec.endless ? q->end : UINT64_MAX;
	opened = __atomic_load_n(&gen->forward->queue[queue].steps, __ATOMIC_ACQUIRE);
	if (gen->spec.once)
		return opened == q->end ? opened : opened > REPLY_LAG ? opened - REPLY_LAG : 0;
	return opened >= q->end + REPLY_LAG ? UINT64_MAX : 0;
}

uint16_t gen_fill(struct gen *gen, uint16_t queue, struct rte_mempool *pool, uint64_t now,
	struct rte_mbuf **packets, uint16_t max)
{
	struct gen_queue *q = &gen->queue[queue];
	uint64_t steps = q->steps, end = bound(gen, queue);
	uint16_t n = RTE_MIN(max, (uint16_t)GEN_BURST_MAX), made = 0;

	if (gen->limited)
		n = allowed(q, now, n);
	if (!n || steps >= end || rte_pktmbuf_alloc_bulk(pool, packets, n))
		return 0;
	while (made < n && steps < end) {
		struct rte_mbuf *m = packets[made];
		uint32_t at = q->at;
		uint64_t before = steps;
		uint32_t x = next_number(gen, q, &steps);

		if (unlikely(steps > end)) {
			// What was left were numbers beyond the last connection.
			q->at = at;
			steps = gen->forward ? before : end;
			break;
		}
		m->data_len = put_packet(gen, q, rte_pktmbuf_mtod(m, uint8_t *), x);
		m->pkt_len = m->data_len;
		made++;
	}
	for (uint16_t i = made; i < n; i++)
		rte_pktmbuf_free(packets[i]);
	if (gen->limited)
		q->credit -= (uint64_t)made << 32;
	__atomic_store_n(&q->steps, steps, __ATOMIC_RELEASE);
	return made;
}
