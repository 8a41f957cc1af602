// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The parser and the extraction of fields and keys, on plain memory. Frames are cut at every length and garbled at random:
// run it with the address sanitizer.

#include <stdlib.h>

#include "frames.h"
#include "key.h"
#include "tap.h"

static struct packet *p;

// A copy that ends exactly where the frame does.
static int parse(const uint8_t *frame, uint32_t bytes)
{
	static uint8_t *memory;

	free(memory);
	memory = malloc(bytes ? bytes : 1);
	memcpy(memory, frame, bytes);
	packet_meta_reset(p, 3);
	packet_load(p, memory, bytes, bytes);
	return packet_parse(p);
}

static uint64_t value(unsigned int field)
{
	uint8_t b[STEER_FIELD_BYTES_MAX];
	unsigned int n = field_read(p, field, b);

	return bits_get(b, n, 0, n > 8 ? 64 : n * 8);
}

static void test_plain(void)
{
	uint8_t f[256];
	uint32_t bytes = frame_tcp(f, 0x01020304, 0x05060708, 1000, 2000, 8);

	ok(!parse(f, bytes), "TCP over IPv4");
	ok(value(STEER_F_OUTER_ETH_TYPE) == 0x0800 && value(STEER_F_OUTER_ETH_SRC) == 0x020000000002,
		"Ethernet");
	ok(value(STEER_F_OUTER_IP4_SRC) == 0x01020304 && value(STEER_F_OUTER_IP4_TTL) == 64 &&
			value(STEER_F_OUTER_IP4_VERSION_IHL) == 0x45 && value(STEER_F_OUTER_IP4_PROTO) == 6,
		"IPv4");
	ok(value(STEER_F_OUTER_L4_SRC_PORT) == 1000 && value(STEER_F_OUTER_TCP_SEQ) == 1000 &&
			value(STEER_F_OUTER_TCP_FLAGS) == 0x10 &&
			value(STEER_F_OUTER_TCP_DATA_OFFSET) == 0x50,
		"TCP");
	ok(value(STEER_F_OUTER_IP6_SRC) == 0 && value(STEER_F_INNER_IP4_SRC) == 0 &&
			value(STEER_F_OUTER_ICMP_TYPE) == 0,
		"absent headers read as zero");
	ok(value(STEER_F_PM_OUTER_L3_TYPE) == L3_META_IPV4 &&
			value(STEER_F_PM_OUTER_L4_TYPE) == L4_META_TCP &&
			value(STEER_F_PM_OUTER_L3_OK) == 1 && value(STEER_F_PM_PORT_ID) == 3 &&
			value(STEER_F_PM_METER_COLOR) == METER_GREEN &&
			value(STEER_F_PM_OUTER_IP_FRAGMENTED) == 0,
		"parser metadata");
	packet_judge(p);
	ok(value(STEER_F_PM_OUTER_IP4_CHECKSUM_OK) == 1 && value(STEER_F_PM_OUTER_L4_OK) == 1 &&
			value(STEER_F_PM_OUTER_L4_CHECKSUM_OK) == 1,
		"checksums are right");
	f[bytes - 1] ^= 1;
	f[24] ^= 1;
	parse(f, bytes);
	packet_judge(p);
	ok(value(STEER_F_PM_OUTER_IP4_CHECKSUM_OK) == 0 && value(STEER_F_PM_OUTER_L4_OK) == 1 &&
			value(STEER_F_PM_OUTER_L4_CHECKSUM_OK) == 0,
		"checksums are wrong");
}

static void test_six(void)
{
	uint8_t f[256], e[256];
	uint32_t bytes = frame_tcp6(f, 1, 2, 1000, 2000, 8);

	put32(f + 14, 0x6abcdef1);
	ok(!parse(f, bytes) && value(STEER_F_OUTER_IP6_TRAFFIC_CLASS) == 0xab &&
			value(STEER_F_OUTER_IP6_FLOW_LABEL) == 0xcdef1,
		"IPv6: traffic class and flow label");
	// Hop-by-hop and destination options before TCP.
	memcpy(e, f, 54);
	memset(e + 54, 0, 24);
	e[20] = 0;
	e[54] = 60;
	e[62] = 6;
	e[63] = 1;
	memcpy(e + 78, f + 54, bytes - 54);
	put16(e + 18, get16(f + 18) + 24);
	ok(!parse(e, bytes + 24) && value(STEER_F_OUTER_L4_DST_PORT) == 2000 &&
			value(STEER_F_OUTER_IP6_NEXT_PROTO) == 0 &&
			value(STEER_F_PM_OUTER_L4_TYPE) == L4_META_TCP,
		"extension headers");
	packet_judge(p);
	ok(value(STEER_F_PM_OUTER_L4_CHECKSUM_OK) == 1, "checksum behind extension headers");
	// A later fragment.
	memcpy(e, f, 54);
	e[20] = 44;
	memset(e + 54, 0, 8);
	e[54] = 6;
	put16(e + 56, 0x0040);
	memcpy(e + 62, f + 54, bytes - 54);
	put16(e + 18, get16(f + 18) + 8);
	ok(!parse(e, bytes + 8) && value(STEER_F_OUTER_L4_DST_PORT) == 0 &&
			value(STEER_F_PM_OUTER_IP_FRAGMENTED) == 1,
		"a later fragment has no ports");
	// A fragment header within another one's: the outer one says what it is.
	memmove(e + 70, e + 62, bytes - 54);
	e[54] = 44;
	put16(e + 56, 0x0001);
	memset(e + 62, 0, 8);
	e[62] = 6;
	put16(e + 18, get16(e + 18) + 8);
	ok(!parse(e, bytes + 16) && value(STEER_F_OUTER_L4_DST_PORT) == 0 &&
			value(STEER_F_PM_OUTER_IP_FRAGMENTED) == 1,
		"fragments in fragments have none");
}

static void test_lengths(void)
{
	uint8_t f[256];
	uint32_t bytes = frame_udp(f, 1, 2, 3, 4, 20);

	put16(f + 16, 10);
	ok(!parse(f, bytes) && value(STEER_F_PM_OUTER_L3_TYPE) == L3_META_IPV4 &&
			value(STEER_F_PM_OUTER_L3_OK) == 0,
		"IPv4 length 10: l3 not ok, goes on");
	frame_udp(f, 1, 2, 3, 4, 20);
	put16(f + 16, 9999);
	ok(!parse(f, bytes) && value(STEER_F_PM_OUTER_L3_OK) == 0 && value(STEER_F_OUTER_L4_DST_PORT) == 4,
		"IPv4 length beyond the frame");
	frame_udp(f, 1, 2, 3, 4, 20);
	put16(f + 38, 4);
	parse(f, bytes);
	packet_judge(p);
	ok(value(STEER_F_PM_OUTER_L3_OK) == 1 && value(STEER_F_PM_OUTER_L4_OK) == 0,
		"UDP length 4: l4 not ok");
	bytes = frame_tcp(f, 1, 2, 3, 4, 20);
	f[46] = 0x20;
	parse(f, bytes);
	packet_judge(p);
	ok(value(STEER_F_PM_OUTER_L4_OK) == 0, "TCP offset 2: l4 not ok");
	f[14] = 0x44;
	ok(!parse(f, bytes) && value(STEER_F_PM_OUTER_L3_OK) == 0 && value(STEER_F_OUTER_L4_DST_PORT) == 0,
		"header length 16");
	f[14] = 0x4f;
	ok(parse(f, 60) < 0, "options beyond the frame: malformed");
	ok(parse(f, 13) < 0 && parse(f, 33) < 0 && parse(f, 0) < 0, "cut headers are malformed");
	put_eth(f, 0x8100);
	ok(parse(f, 17) < 0 && !parse(f, 18), "a cut tag is malformed");
	put_eth(f, 0x0806);
	ok(!parse(f, 42) && value(STEER_F_PM_OUTER_L3_TYPE) == L3_META_NONE &&
			value(STEER_F_OUTER_ETH_TYPE) == 0x0806,
		"ARP");
}

static uint32_t wrap_udp(uint8_t *f, unsigned int port, const uint8_t *header, uint32_t n,
	const uint8_t *inner, uint32_t bytes)
{
	put_eth(f, 0x0800);
	put_ip4(f + 14, 1, 2, 17, 8 + n + bytes);
	put_udp(f + 14, f + 34, 5000, port, n + bytes);
	memcpy(f + 42, header, n);
	memcpy(f + 42 + n, inner, bytes);
	l4_fill(f + 14, f + 34, 17, 8 + n + bytes);
	return 42 + n + bytes;
}

static void test_tunnels(void)
{
	static const uint8_t vx[8] = {0x08, 1, 2, 3, 0x12, 0x34, 0x56, 9};
	static const uint8_t gpe[8] = {0x0c, 0, 0, 1, 0, 0, 5, 0};
	static const uint8_t geneve[16] = {2, 0x80, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 1, 9, 9, 9, 9};
	static const uint8_t gtp[16] = {0x34, 255, 0, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0x85, 1, 0, 1, 0};
	static const uint8_t mpls[8] = {0, 1, 0x10, 64, 0, 2, 0x21, 64};
	uint8_t inner[256], f[512];
	uint32_t bytes = frame_tcp(inner, 0x0a000001, 0x0a000002, 11, 22, 5), n;

	n = wrap_udp(f, 4789, vx, 8, inner, bytes);
	ok(!parse(f, n) && value(STEER_F_TUN_VXLAN_VNI) == 0x123456 && value(STEER_F_TUN_VXLAN_FLAGS) == 8 &&
			value(STEER_F_TUN_VXLAN_RSVD1) == 0x010203 && value(STEER_F_TUN_VXLAN_RSVD2) == 9 &&
			value(STEER_F_INNER_IP4_DST) == 0x0a000002 &&
			value(STEER_F_INNER_L4_DST_PORT) == 22 && value(STEER_F_INNER_ETH_TYPE) == 0x0800,
		"VXLAN");
	packet_judge(p);
	ok(value(STEER_F_PM_INNER_L4_CHECKSUM_OK) == 1 && value(STEER_F_PM_OUTER_L4_CHECKSUM_OK) == 1,
		"both checksums");
	n = wrap_udp(f, 4790, gpe, 8, inner + 14, bytes - 14);
	ok(!parse(f, n) && p->tunnel == STEER_TUN_VXLAN_GPE && value(STEER_F_INNER_IP4_DST) == 0x0a000002 &&
			value(STEER_F_INNER_ETH_TYPE) == 0,
		"VXLAN-GPE with IPv4");
	n = wrap_udp(f, 6081, geneve, 16, inner, bytes);
	ok(!parse(f, n) && value(STEER_F_TUN_GENEVE_VNI) == 7 && value(STEER_F_TUN_GENEVE_O_C) == 0x80 &&
			value(STEER_F_INNER_L4_SRC_PORT) == 11,
		"GENEVE with options");
	n = wrap_udp(f, 2152, gtp, 16, inner + 14, bytes - 14);
	ok(!parse(f, n) && value(STEER_F_TUN_GTP_TEID) == 0xdeadbeef &&
			value(STEER_F_INNER_L4_SRC_PORT) == 11,
		"GTP-U with an extension header");
	n = wrap_udp(f, 6635, mpls, 8, inner, bytes);
	ok(!parse(f, n) && value(STEER_F_TUN_MPLS_1) == 0x00022140 && value(STEER_F_TUN_MPLS_2) == 0 &&
			value(STEER_F_INNER_L4_SRC_PORT) == 11,
		"MPLS over UDP");
	put_eth(f, 0x0800);
	put_ip4(f + 14, 1, 2, 47, 8 + bytes);
	put32(f + 34, 0x20006558);
	put32(f + 38, 0x00abcd07);
	memcpy(f + 42, inner, bytes);
	ok(!parse(f, 42 + bytes) && value(STEER_F_TUN_GRE_KEY) == 0x00abcd07 &&
			value(STEER_F_TUN_NVGRE_VS_ID) == 0x00abcd && value(STEER_F_TUN_NVGRE_FLOW_ID) == 7 &&
			value(STEER_F_TUN_GRE_KEY_PRESENT) == 1 &&
			value(STEER_F_TUN_GRE_PROTOCOL) == 0x6558 && value(STEER_F_INNER_L4_SRC_PORT) == 11,
		"NVGRE");
	put_ip4(f + 14, 1, 2, 4, bytes - 14);
	memcpy(f + 34, inner + 14, bytes - 14);
	ok(!parse(f, 20 + bytes) && p->tunnel == STEER_TUN_IP_IN_IP &&
			value(STEER_F_INNER_IP4_DST) == 0x0a000002,
		"IP in IP");
	put_ip4(f + 14, 1, 2, 50, 8);
	put32(f + 34, 77);
	put32(f + 38, 3);
	ok(!parse(f, 42) && value(STEER_F_TUN_ESP_SPI) == 77 && value(STEER_F_TUN_ESP_SN) == 3 &&
			value(STEER_F_PM_OUTER_L4_TYPE) == L4_META_ESP,
		"ESP");
	frame_tcp(f, 1, 2, 3, 4, 0);
	ok(!parse(f, 54) && value(STEER_F_TUN_ESP_SPI) == 0 && value(STEER_F_INNER_IP4_DST) == 0 &&
			!p->tunnel,
		"nothing is left from the packet before");
}

static void test_vlans(void)
{
	uint8_t inner[256], f[256];
	uint32_t bytes = frame_udp(inner, 1, 2, 3, 4, 8);

	memcpy(f, inner, 12);
	put32(f + 12, 0x88a80064);
	put32(f + 16, 0x8100000a);
	memcpy(f + 20, inner + 12, bytes - 12);
	ok(!parse(f, bytes + 8) && value(STEER_F_OUTER_VLAN0_TCI) == 0x64 &&
			value(STEER_F_OUTER_VLAN1_TCI) == 10 && value(STEER_F_OUTER_ETH_TYPE) == 0x0800 &&
			value(STEER_F_PM_OUTER_L2_TYPE) == L2_META_MULTI_VLAN &&
			value(STEER_F_OUTER_L4_DST_PORT) == 4,
		"QinQ");
	memcpy(f + 16, inner + 12, bytes - 12);
	put32(f + 12, 0x81000000);
	ok(!parse(f, bytes + 4) && value(STEER_F_PM_OUTER_L2_TYPE) == L2_META_SINGLE_VLAN, "a tag of 802.1Q");
	put16(f + 12, 0x88a8);
	ok(!parse(f, bytes + 4) && value(STEER_F_PM_OUTER_L2_TYPE) == L2_META_CUSTOM_VLAN &&
			value(STEER_F_OUTER_L4_DST_PORT) == 4,
		"a provider's alone is another kind");
}

// Everything that reads a packet must stay within it.
static void read_all(void)
{
	uint8_t b[STEER_FIELD_BYTES_MAX];

	packet_judge(p);
	for (unsigned int i = 1; i < STEER_F_MAX; i++)
		field_read(p, i, b);
}

static void test_hostile(void)
{
	static const uint8_t vx[8] = {0x08, 0, 0, 0, 0, 0, 1, 0};
	uint8_t inner[256], f[512], g[512];
	uint64_t seed = 99;
	unsigned int runs = 0;

	for (unsigned int kind = 0; kind < 5; kind++) {
		static const unsigned int ports[] = {4789, 4790, 6081, 2152, 6635};
		uint32_t bytes = frame_tcp6(inner, 1, 2, 3, 4, 9),
			 n = wrap_udp(f, ports[kind], vx, 8, inner, bytes);

		for (uint32_t cut = 0; cut <= n; cut++, runs++)
			if (!parse(f, cut))
				read_all();
		for (unsigned int i = 0; i < 20000; i++, runs++) {
			memcpy(g, f, n);
			for (unsigned int k = 0; k < 4; k++) {
				seed = seed * 6364136223846793005u + 1442695040888963407u;
				g[(seed >> 33) % n] = (uint8_t)(seed >> 20);
			}
			if (!parse(g, (uint32_t)(seed >> 40) % n + 1))
				read_all();
		}
	}
	ok(true, "%u cut and garbled frames", runs);
}

static void test_keys(void)
{
	uint8_t f[256], keys[STEER_KEY_MAX] __attribute__((aligned(16)));
	struct steer_match_field fields[5] = {
		{.field = STEER_F_OUTER_L4_DST_PORT, .kind = STEER_MATCH_CHANGEABLE, .mask = {0xff, 0xff}},
		{.field = STEER_F_OUTER_IP4_DST,
			.kind = STEER_MATCH_CHANGEABLE,
			.mask = {0xff, 0xff, 0xff, 0}},
		{.field = STEER_F_OUTER_IP4_PROTO,
			.kind = STEER_MATCH_CONSTANT,
			.value = {6},
			.mask = {0xff}},
		{.field = STEER_F_OUTER_IP4_SRC,
			.kind = STEER_MATCH_CHANGEABLE,
			.mask = {0xff, 0xff, 0xff, 0xff}},
		{.field = STEER_F_OUTER_L4_SRC_PORT, .kind = STEER_MATCH_CHANGEABLE, .mask = {0xff, 0xff}},
	};
	static const uint8_t packed[12] = {0x07, 0xd0, 5, 6, 7, 99, 1, 2, 3, 4, 0x03, 0xe8};
	static const uint8_t in_order[13] = {0x07, 0xd0, 5, 6, 7, 0, 6, 1, 2, 3, 4, 0x03, 0xe8};
	struct key_plan plan;
	struct packet *one = p;
	uint8_t placed[STEER_KEY_MAX];

	parse(f, frame_tcp(f, 0x01020304, 0x05060708, 1000, 2000, 0));
	ok(!key_compile(&plan, fields, 5, KEY_MERGED) && plan.bytes == 16 && plan.nr_ops == 3,
		"5-tuple: 16 bytes, %u copies", plan.nr_ops);
	memset(keys, 0xee, sizeof(keys));
	key_build(&plan, &one, 1, keys, 16);
	memcpy(placed, plan.constant, sizeof(placed));
	key_place(&plan, fields, STEER_MATCH_CHANGEABLE, packed, placed);
	ok(!memcmp(keys, placed, plan.bytes), "the packet's key is the entry's");
	ok(!key_compile(&plan, fields, 5, KEY_IN_ORDER) && plan.bytes == 13, "in order: 13 bytes");
	memset(keys, 0xee, sizeof(keys));
	key_build(&plan, &one, 1, keys, 16);
	ok(!memcmp(keys, in_order, 13), "in order: as listed");
	fields[0].field = STEER_F_MAX;
	ok(key_compile(&plan, fields, 5, KEY_MERGED) < 0, "unknown field");
	for (unsigned int i = 0; i < 5; i++)
		fields[i].field = STEER_F_OUTER_IP6_SRC;
	ok(!key_compile(&plan, fields, 5, KEY_MERGED), "five addresses fit");
}

static void test_bits(void)
{
	uint8_t b[4] = {0x12, 0x34, 0x56, 0x78};

	ok(bits_get(b, 4, 0, 8) == 0x78 && bits_get(b, 4, 4, 12) == 0x567 &&
			bits_get(b, 4, 0, 32) == 0x12345678,
		"get");
	bits_put(b, 4, 4, 12, 0xabc);
	ok(get32(b) == 0x1234abc8, "put");
}

int main(void)
{
	p = malloc(sizeof(*p));
	packet_init(p);
	test_plain();
	test_six();
	test_lengths();
	test_tunnels();
	test_vlans();
	test_keys();
	test_bits();
	test_hostile();
	free(p);
	return tap_done();
}
