// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What stands in front of the pipes and behind their drops, on arbitrary frames: fragments, ICMP errors, answers to
// neighbours, refusals. No access outside the frames; no fragment lost or given back twice; what is answered and refused
// has right checksums, whatever it answers.
//
// The input is a list of frames: port and time (1 byte: 2 bits, 6 bits), length (2 bytes, little endian), so many bytes.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_mbuf.h>

#include "answer.h"
#include "ct.h"
#include "frag.h"
#include "parse.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
const char *__lsan_default_suppressions(void);

enum { FRAMES = 64, MOST_HELD = 32, MBUFS = 255, HZ = 8 };

static struct rte_mempool *pool;
static struct frag_table *table; // empty between inputs

// What DPDK keeps until the process ends.
const char *__lsan_default_suppressions(void)
{
	return "leak:librte_\n";
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char options[][16] = {"fuzz", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry",
		"--no-shconf", "-l", "0", "--log-level", "*:critical"};
	enum { OPTIONS = sizeof(options) / sizeof(*options) };
	char *words[OPTIONS + 1] = {NULL};

	for (unsigned int i = 0; i < OPTIONS; i++)
		words[i] = options[i];
	if (rte_eal_init(OPTIONS, words) < 0) {
		fprintf(stderr, "EAL does not start\n");
		exit(1);
	}
	pool = rte_pktmbuf_pool_create("fuzz", MBUFS, 0, 64, 2048 + RTE_PKTMBUF_HEADROOM, 0);
	table = frag_table_create(HZ);
	if (!pool || !table)
		abort();
	return 0;
}

// What the fast path itself says must be right.
static void check_own(struct rte_mbuf *m)
{
	struct packet p;

	packet_init(&p);
	p.m = m;
	packet_load(&p, rte_pktmbuf_mtod(m, void *), m->data_len, m->pkt_len);
	if (packet_parse(&p))
		abort();
	packet_judge(&p);
	if (p.meta.layer[0].l3_type == L3_META_NONE)
		return;
	if (!p.meta.layer[0].l3_ok || !p.meta.layer[0].l4_checksum_ok ||
		(p.meta.layer[0].l3_type == L3_META_IPV4 && !p.meta.layer[0].ip4_checksum_ok))
		abort();
}

static void speak(struct packet *p)
{
	struct rte_mbuf *refusal;
	struct ct_tuple tuple;

	if (p->data[5] & 1)
		p->reason = STEER_DROP_MTU;
	refusal = reject_build(p, pool, 1400);
	if (icmp_error_quotes(p, 0, &tuple) && (refusal || !icmp_error_is(p, 0)))
		abort();
	if (refusal) {
		// An answer is as long as its question was, and may lie in several pieces; a refusal is short.
		if (refusal->data_len != refusal->pkt_len)
			abort();
		check_own(refusal);
		rte_pktmbuf_free(refusal);
	}
	p->data[6] ^= 2; // as if an action had set the address that is told
	if (answer_neighbour(p)) {
		if (p->verdict != PACKET_WALKING)
			abort();
		return;
	}
	if (p->verdict != PACKET_SEND || p->out_port != p->in_port)
		abort();
	check_own(p->m);
}

static void take_back(struct frag_table *t, unsigned int *held)
{
	struct frag_back back;

	while (frag_back(t, &back)) {
		rte_pktmbuf_free(back.held);
		(*held)--;
	}
	if (*held != frag_held(t) || *held > MOST_HELD || frag_datagrams(t) > FRAG_SLOTS)
		abort();
}

static void one(struct frag_table *t, uint16_t port, uint64_t now, const uint8_t *frame, uint32_t length,
	unsigned int *held)
{
	struct rte_mbuf *m = frame_to_mbuf(pool, frame, length);
	struct packet p;

	if (!m)
		abort();
	packet_init(&p);
	p.m = m;
	p.in_port = port;
	packet_load(&p, rte_pktmbuf_mtod(m, void *), m->data_len, m->pkt_len);
	if (packet_parse(&p)) {
		rte_pktmbuf_free(m);
		return;
	}
	if (p.meta.layer[0].ip_fragmented && frag_judge(t, &p, m, MOST_HELD, now) == FRAG_HELD) {
		(*held)++;
		return;
	}
	if (p.verdict == PACKET_WALKING)
		speak(&p);
	rte_pktmbuf_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static uint64_t now;
	struct frag_table *t = table;
	unsigned int held = 0;

	for (unsigned int i = 0; i < FRAMES && size >= 3; i++) {
		uint32_t length = input[1] | (uint32_t)input[2] << 8;
		uint16_t port = input[0] & 3;

		now += input[0] >> 2;
		input += 3;
		size -= 3;
		length = length < size ? length : (uint32_t)size;
		if (length)
			one(t, port, now, input, length, &held);
		input += length;
		size -= length;
		frag_sweep(t, now);
		take_back(t, &held);
	}
	frag_flush(t);
	take_back(t, &held);
	if (held || rte_mempool_in_use_count(pool))
		abort();
	return 0;
}
