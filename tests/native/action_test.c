// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Every action's bytes, checksums included.

#include "fp_support.h"

#include "frames.h"

enum { ROOM = 8192 };

static uint8_t in[ROOM], out[ROOM], want[ROOM];

// One packet through one entry with these actions; bytes that came out of port 1, 0 = dropped.
static uint32_t transform(const struct steer_action *actions, unsigned int n, const void *data,
	uint32_t data_bytes, const void *args, uint16_t args_bytes, uint32_t bytes)
{
	struct spec *s = spec_new("actions", 0, STEER_PIPE_BASIC, 1);
	uint32_t pipe, got;
	struct work w;

	s->head.flags = STEER_PIPE_ROOT;
	s->head.fwd = fwd_port(1);
	spec_template(s);
	for (unsigned int i = 0; i < n; i++) {
		struct steer_action a = actions[i];

		spec_action(s, a,
			a.kind == STEER_ACT_SET || a.kind == STEER_ACT_ADD ? field_places[a.field].bytes
			: a.data_length                                    ? a.data_length
									   : 4);
	}
	if (data_bytes)
		spec_data(s, data, data_bytes);
	pipe = spec_create(s, NULL);
	if (!pipe) {
		ok(false, "pipe with actions");
		return 0;
	}
	w = work_new(pipe, NULL, 0, args, args_bytes);
	if (work_add(&w, NULL))
		ok(false, "entry with actions");
	bed_send(0, in, bytes);
	worker_poll(&fp.workers[0]);
	got = bed_receive(1, out, ROOM);
	pipe_destroy(bed.space, pipe, NULL);
	bed_settle();
	return got;
}

static uint32_t apply(struct steer_action a, uint32_t bytes)
{
	return transform(&a, 1, NULL, 0, NULL, 0, bytes);
}

static struct steer_action set(uint16_t field, uint64_t value, uint64_t mask)
{
	struct steer_match_field f = match_field(field, 0, value, mask);
	struct steer_action a = {.kind = STEER_ACT_SET, .field = field};

	memcpy(a.value, f.value, sizeof(a.value));
	memcpy(a.mask, f.mask, sizeof(a.mask));
	return a;
}

// --- Frames of all kinds ------------------------------------------------------------------------------------------

static uint32_t icmp4(uint8_t *f)
{
	put_eth(f, 0x0800);
	put_ip4(f + 14, 1, 2, 1, 24);
	memset(f + 34, 0, 8);
	f[34] = 8;
	put16(f + 38, 0x1111);
	put_payload(f + 42, 16);
	l4_fill(f + 14, f + 34, 1, 24);
	return 58;
}

static uint32_t icmp6(uint8_t *f)
{
	put_eth(f, 0x86dd);
	put_ip6(f + 14, 1, 2, 58, 24);
	memset(f + 54, 0, 8);
	f[54] = 128;
	put16(f + 58, 0x1111);
	put_payload(f + 62, 16);
	l4_fill(f + 14, f + 54, 58, 24);
	return 78;
}

static uint32_t udp6(uint8_t *f)
{
	put_eth(f, 0x86dd);
	put_ip6(f + 14, 1, 2, 17, 8 + 13);
	return 54 + put_udp(f + 14, f + 54, 100, 200, 13);
}

// A whole frame inside VXLAN, outer UDP with a checksum.
static uint32_t vxlan(uint8_t *f, const uint8_t *inner, uint32_t bytes)
{
	put_eth(f, 0x0800);
	put_ip4(f + 14, 0x0a000001, 0x0a000002, 17, 16 + bytes);
	put_udp(f + 14, f + 34, 5000, 4789, 8 + bytes);
	memset(f + 42, 0, 8);
	f[42] = 8;
	f[48] = 77;
	memcpy(f + 50, inner, bytes);
	l4_fill(f + 14, f + 34, 17, 16 + bytes);
	return 50 + bytes;
}

static uint32_t build(unsigned int kind, uint8_t *f)
{
	uint8_t inner[ROOM];
	uint32_t bytes;

	switch (kind) {
	case 0:
		return frame_tcp(f, 0x01020304, 0x05060708, 1000, 2000, 21);
	case 1:
		return frame_udp(f, 0x01020304, 0x05060708, 1000, 2000, 22);
	case 2:
		return frame_tcp6(f, 1, 2, 1000, 2000, 23);
	case 3:
		return udp6(f);
	case 4:
		return icmp4(f);
	case 5:
		return icmp6(f);
	case 6:
		bytes = frame_tcp(inner, 0x01020304, 0x05060708, 1000, 2000, 21);
		return vxlan(f, inner, bytes);
	case 7:
		bytes = udp6(inner);
		return vxlan(f, inner, bytes);
	default:
		bytes = icmp6(inner);
		return vxlan(f, inner, bytes);
	}
}
enum { KINDS = 9 };

// Whether every checksum of the frame is right, tunnel and all.
static bool sums_right(const uint8_t *f, uint32_t bytes)
{
	const uint8_t *ip = f + 14, *l4;
	unsigned int proto, type = get16(f + 12);
	uint32_t length;

	if (type == 0x8100)
		return sums_right(f + 4, bytes - 4) || get16(f + 16) == 0x8100;
	if (type == 0x0800) {
		if (plain_fold(plain_sum(0, ip, (ip[0] & 15u) * 4)) != 0xffff)
			return false;
		l4 = ip + (ip[0] & 15) * 4;
		length = get16(ip + 2) - (ip[0] & 15u) * 4;
		proto = ip[9];
	} else if (type == 0x86dd) {
		l4 = ip + 40;
		length = get16(ip + 4);
		proto = ip[6];
	} else {
		return true;
	}
	if (proto != 6 && proto != 17 && proto != 1 && proto != 58)
		return true;
	if (proto == 17 && !get16(l4 + 6))
		return get16(l4 + 2) != 4789 || sums_right(l4 + 16, length - 16);
	if (l4_sum(ip, l4, proto, length) != 0xffff)
		return false;
	return proto != 17 || get16(l4 + 2) != 4789 || sums_right(l4 + 16, length - 16);
}

static void test_sets(void)
{
	unsigned int wrong = 0, tried = 0, unread = 0;
	uint64_t seed = 7;

	for (unsigned int field = STEER_F_OUTER_ETH_DST; field < STEER_F_MAX; field++) {
		// Fields that say how long or what a header is change the meaning of the rest.
		switch (field) {
		case STEER_F_OUTER_ETH_TYPE:
		case STEER_F_INNER_ETH_TYPE:
		case STEER_F_OUTER_IP4_VERSION_IHL:
		case STEER_F_INNER_IP4_VERSION_IHL:
		case STEER_F_OUTER_IP4_TOTAL_LEN:
		case STEER_F_INNER_IP4_TOTAL_LEN:
		case STEER_F_OUTER_IP4_PROTO:
		case STEER_F_INNER_IP4_PROTO:
		case STEER_F_OUTER_IP4_FLAGS_FRAG:
		case STEER_F_INNER_IP4_FLAGS_FRAG:
		case STEER_F_OUTER_IP6_PAYLOAD_LEN:
		case STEER_F_INNER_IP6_PAYLOAD_LEN:
		case STEER_F_OUTER_IP6_NEXT_PROTO:
		case STEER_F_INNER_IP6_NEXT_PROTO:
		case STEER_F_OUTER_L4_DST_PORT:
		case STEER_F_META_MARK: // not of the frame
			continue;
		}
		if (field_places[field].needs & FIELD_READ_ONLY)
			continue;
		for (unsigned int kind = 0; kind < KINDS; kind++) {
			uint32_t bytes = build(kind, in), got;
			struct packet *p = calloc(1, sizeof(*p));
			uint8_t value[16];
			struct steer_action a;

			seed = seed * 6364136223846793005u + 1442695040888963407u;
			a = set((uint16_t)field, seed >> 8, seed & 1 ? UINT64_MAX : seed >> 3);
			got = apply(a, bytes);
			packet_init(p);
			packet_load(p, out, got, got);
			packet_parse(p);
			tried++;
			if (got != bytes || !sums_right(out, got)) {
				printf("# field %s in frame %u\n", field_name(field), kind);
				wrong++;
			}
			if (field_present(p, field)) {
				unsigned int n = field_read(p, field, value);

				for (unsigned int i = 0; i < n; i++) {
					uint8_t mask =
						i ? a.mask[i] : a.mask[i] & field_places[field].first_mask;

					unread += (value[i] & mask) != (a.value[i] & mask);
				}
			} else if (memcmp(in, out, bytes)) {
				wrong++;
			}
			free(p);
		}
	}
	ok(wrong == 0, "set: checksums stay right, absent fields untouched: %u wrong of %u", wrong, tried);
	ok(unread == 0, "set: values read back");
}

static void test_udp_without_checksum(void)
{
	uint32_t bytes = build(1, in);

	put16(in + 40, 0);
	ok(apply(set(STEER_F_OUTER_IP4_SRC, 0x0a0b0c0d, UINT64_MAX), bytes) == bytes &&
			get16(out + 40) == 0 && get32(out + 26) == 0x0a0b0c0d,
		"UDP without checksum stays so");
}

static void test_add_copy(void)
{
	uint32_t bytes = build(0, in);
	struct steer_action a = {.kind = STEER_ACT_ADD, .field = STEER_F_OUTER_IP4_TTL, .value = {0xff}};

	ok(apply(a, bytes) == bytes && out[22] == 63 && sums_right(out, bytes), "add: TTL - 1");
	a = (struct steer_action){.kind = STEER_ACT_ADD_FIELD,
		.field = STEER_F_OUTER_TCP_ACK,
		.src_field = STEER_F_OUTER_TCP_SEQ,
		.width = 32};
	put32(in + 42, 14);
	l4_fill(in + 14, in + 34, 6, 41);
	ok(apply(a, bytes) == bytes && get32(out + 42) == 1014 && sums_right(out, bytes),
		"add field: ack += seq");
	a = (struct steer_action){.kind = STEER_ACT_COPY,
		.field = STEER_F_OUTER_IP4_ID,
		.src_field = STEER_F_OUTER_IP4_SRC,
		.dst_bit = 4,
		.src_bit = 8,
		.width = 8};
	ok(apply(a, bytes) == bytes && get16(out + 18) == ((0x1234 & ~0xff0) | 0x03 << 4) &&
			sums_right(out, bytes),
		"copy: eight bits between fields");
	bytes = build(2, in);
	a = (struct steer_action){.kind = STEER_ACT_COPY,
		.field = STEER_F_OUTER_IP6_DST,
		.src_field = STEER_F_OUTER_IP6_SRC,
		.width = 128};
	ok(apply(a, bytes) == bytes && !memcmp(out + 22, out + 38, 16) && sums_right(out, bytes),
		"copy: 128 bits");
	a = (struct steer_action){.kind = STEER_ACT_COPY,
		.field = STEER_F_OUTER_IP4_ID,
		.src_field = STEER_F_OUTER_TCP_SEQ,
		.width = 16};
	ok(apply(a, bytes) == bytes && !memcmp(in, out, bytes), "copy to an absent field does nothing");
	// Metadata is a field like others: through two actions into the packet.
	bytes = build(0, in);
	ok(transform((struct steer_action[]){set(STEER_F_META_U32_3, 0xaabbccdd, UINT64_MAX),
			     {.kind = STEER_ACT_COPY,
				     .field = STEER_F_OUTER_IP4_DST,
				     .src_field = STEER_F_META_U32_3,
				     .width = 32}},
		   2, NULL, 0, NULL, 0, bytes) == bytes &&
			get32(out + 30) == 0xaabbccdd && sums_right(out, bytes),
		"copy from metadata");
}

// A field that says what follows: the next action and the next pipe see the packet as it is then.
static void test_shape(void)
{
	uint8_t inner[256];
	uint32_t bytes, n = frame_tcp(inner, 1, 2, 3, 4, 5);
	struct steer_action to_plain[2] = {
		set(STEER_F_OUTER_L4_DST_PORT, 9, UINT64_MAX), set(STEER_F_INNER_IP4_TTL, 1, UINT64_MAX)};
	struct steer_action and_back[3] = {
		to_plain[0], set(STEER_F_OUTER_L4_DST_PORT, 4789, UINT64_MAX), to_plain[1]};

	bytes = vxlan(in, inner, n);
	ok(transform(to_plain, 2, NULL, 0, NULL, 0, bytes) == bytes && out[50 + 22] == 64 &&
			sums_right(out, bytes),
		"no tunnel, no inner header");
	ok(transform(and_back, 3, NULL, 0, NULL, 0, bytes) == bytes && out[50 + 22] == 1 &&
			sums_right(out, bytes),
		"a tunnel again");
}

static void test_arguments(void)
{
	static const uint8_t args[8] = {9, 8, 7, 6, 0, 0, 0, 0};
	struct steer_action a = set(STEER_F_OUTER_IP4_DST, 0, UINT64_MAX);
	uint32_t bytes = build(0, in);

	a.flags = STEER_ACT_CHANGEABLE;
	ok(transform(&a, 1, NULL, 0, args, 4, bytes) == bytes && get32(out + 30) == 0x09080706 &&
			sums_right(out, bytes),
		"the entry brings the value");
}

static void test_vlan(void)
{
	struct steer_action push = {.kind = STEER_ACT_PUSH_VLAN, .value = {0x81, 0x00, 0x20, 0x64}};
	struct steer_action pop = {.kind = STEER_ACT_POP_VLAN};
	uint32_t bytes = build(0, in);
	struct steer_action both[3];

	memcpy(want, in, 12);
	memcpy(want + 12, push.value, 4);
	memcpy(want + 16, in + 12, bytes - 12);
	ok(apply(push, bytes) == bytes + 4 && !memcmp(out, want, bytes + 4), "push");
	ok(apply(pop, bytes) == bytes && !memcmp(out, in, bytes), "pop without a tag does nothing");
	both[0] = push;
	both[1] = set(STEER_F_OUTER_VLAN0_TCI, 0x0abc, 0x0fff);
	both[2] = set(STEER_F_OUTER_IP4_TTL, 9, UINT64_MAX);
	ok(transform(both, 3, NULL, 0, NULL, 0, bytes) == bytes + 4 && get16(out + 14) == 0x2abc &&
			out[26] == 9 && sums_right(out, bytes + 4),
		"fields behind a new tag");
	memcpy(in, want, bytes + 4);
	ok(apply(pop, bytes + 4) == bytes, "pop");
	build(0, in);
	ok(!memcmp(out, in, bytes), "pop undoes push");
}

static uint32_t vxlan_header(uint8_t *h)
{
	put_eth(h, 0x0800);
	memset(h + 14, 0, 36);
	h[14] = 0x45;
	put16(h + 20, 0x4000);
	h[22] = 17;
	put32(h + 26, 0x0b151f29);
	put32(h + 30, 0x51515151);
	put16(h + 36, 4789);
	h[42] = 8;
	h[46] = 0xad;
	h[47] = 0xad;
	h[48] = 0xad;
	return 50;
}

static void test_vxlan(void)
{
	uint8_t header[64];
	uint32_t n = vxlan_header(header), bytes = build(0, in);
	struct steer_action encap = {.kind = STEER_ACT_ENCAP,
		.flags = STEER_ACT_L2,
		.tunnel = STEER_TUN_VXLAN,
		.data_length = (uint16_t)n};
	struct steer_action decap = {.kind = STEER_ACT_DECAP, .flags = STEER_ACT_L2};

	ok(transform(&encap, 1, header, n, NULL, 0, bytes) == bytes + n && !memcmp(out + n, in, bytes),
		"encap: inside as it was");
	ok(get16(out + 16) == bytes + 36 && get16(out + 38) == bytes + 16 && out[23] == 17 && out[22] == 17 &&
			get16(out + 40) == 0 && get16(out + 18) == 0 && sums_right(out, bytes + n),
		"encap: lengths, protocol and checksum filled in, the rest as given");
	memcpy(want, out, bytes + n);
	// Padding behind the IP packet, of up to three segments.
	static const uint32_t padding[] = {0, 7, 2300, 4700};

	for (unsigned int i = 0; i < RTE_DIM(padding); i++) {
		memcpy(in, want, bytes + n);
		memset(in + bytes + n, 0xee, padding[i]);
		ok(transform(&decap, 1, NULL, 0, NULL, 0, bytes + n + padding[i]) == bytes,
			"decap cuts %u bytes of padding", padding[i]);
		build(0, in);
		ok(!memcmp(out, in, bytes), "decap undoes encap");
	}
	ok(transform(&decap, 1, NULL, 0, NULL, 0, bytes) == 0 && bed_drops(0, STEER_DROP_ACTION_FAILED) == 1,
		"decap of no tunnel fails");
	// Arguments of the entry.
	encap.flags |= STEER_ACT_CHANGEABLE;
	ok(transform(&encap, 1, NULL, 0, header, (uint16_t)n, bytes) == bytes + n &&
			get32(out + 30) == 0x51515151,
		"encap: header from the entry");
	// Two in a row: head room ends, tail room is used.
	encap.flags = STEER_ACT_L2;
	struct steer_action many[6] = {encap, encap, encap, encap, encap, encap};

	ok(transform(many, 6, header, n, NULL, 0, bytes) == bytes + 6 * n && sums_right(out, bytes + 6 * n),
		"six tunnels");
}

static void test_l3_tunnels(void)
{
	uint8_t header[64], eth[14];
	uint32_t bytes = build(2, in), n = 14 + 20 + 4;
	struct steer_action encap = {
		.kind = STEER_ACT_ENCAP, .tunnel = STEER_TUN_GRE, .data_length = (uint16_t)n};
	struct steer_action decap = {.kind = STEER_ACT_DECAP, .data_length = 14};

	memset(header, 0, sizeof(header));
	put_eth(header, 0x0800);
	header[22] = 64;
	put32(header + 26, 1);
	put32(header + 30, 2);
	ok(transform(&encap, 1, header, n, NULL, 0, bytes) == bytes - 14 + n && out[14] == 0x45 &&
			out[23] == 47 && get16(out + 36) == 0x86dd && !memcmp(out + n, in + 14, bytes - 14) &&
			sums_right(out, bytes - 14 + n),
		"GRE: protocols follow the packet inside");
	memcpy(in, out, bytes - 14 + n);
	memset(eth, 0xaa, 12);
	put16(eth + 12, 0);
	ok(transform(&decap, 1, eth, 14, NULL, 0, bytes - 14 + n) == bytes && !memcmp(out, eth, 12) &&
			get16(out + 12) == 0x86dd,
		"decap puts the Ethernet header in front, its type follows the packet");
	build(2, in);
	ok(!memcmp(in + 14, out + 14, bytes - 14), "and the packet is what it was");
	// IPv4 in IPv6.
	bytes = build(0, in);
	n = 14 + 40;
	encap = (struct steer_action){
		.kind = STEER_ACT_ENCAP, .tunnel = STEER_TUN_IP_IN_IP, .data_length = (uint16_t)n};
	memset(header, 0, sizeof(header));
	put_eth(header, 0x86dd);
	ok(transform(&encap, 1, header, n, NULL, 0, bytes) == bytes - 14 + n && out[14] >> 4 == 6 &&
			out[20] == 4 && get16(out + 18) == bytes - 14,
		"IP in IP: version, next header, length");
	memcpy(in, out, bytes - 14 + n);
	ok(transform(&decap, 1, eth, 14, NULL, 0, bytes - 14 + n) == bytes && get16(out + 12) == 0x0800,
		"and back");
}

static void test_nat64(void)
{
	struct steer_action six = {.kind = STEER_ACT_NAT64, .value = {4}},
			    four = {.kind = STEER_ACT_NAT64, .value = {6}};
	static const unsigned int kinds[] = {0, 1, 4};

	for (unsigned int i = 0; i < RTE_DIM(kinds); i++) {
		uint32_t bytes = build(kinds[i], in);

		ok(apply(six, bytes) == bytes + 20 && get16(out + 12) == 0x86dd &&
				get32(out + 22) == 0x0064ff9b && get32(out + 34) == get32(in + 26) &&
				sums_right(out, bytes + 20),
			"nat64 of frame %u", kinds[i]);
		memcpy(want, in, bytes);
		memcpy(in, out, bytes + 20);
		ok(apply(four, bytes + 20) == bytes && sums_right(out, bytes) &&
				!memcmp(out + 26, want + 26, bytes - 26),
			"and back");
	}
	uint32_t bytes = build(1, in);

	put16(in + 40, 0);
	ok(apply(six, bytes) == bytes + 20 && get16(out + 60) && sums_right(out, bytes + 20),
		"UDP gets a checksum");
	bytes = build(2, in);
	ok(apply(four, bytes) == 0, "addresses outside the prefix fail");
	// As much of options as the other header is longer: nothing moves, and later actions see the new header all the same.
	struct steer_action both[] = {six, set(STEER_F_OUTER_IP6_HOP_LIMIT, 9, UINT64_MAX)};

	bytes = build(1, in);
	memmove(in + 54, in + 34, bytes - 34);
	memset(in + 34, 1, 20);
	in[14] = 0x4a;
	put16(in + 16, bytes + 20 - 14);
	ip4_checksum(in + 14);
	ok(transform(both, 2, NULL, 0, NULL, 0, bytes + 20) == bytes + 20 && out[14] == 0x60 &&
			out[21] == 9 && sums_right(out, bytes + 20),
		"options make room for the longer header");
}

// What no program may hold.
static void test_impossible(void)
{
	struct steer_action copy = {.kind = STEER_ACT_COPY,
		.field = STEER_F_OUTER_IP4_TTL,
		.src_field = STEER_F_OUTER_IP4_DST,
		.dst_bit = 200, // and 200 + 100 is 44 in eight bits
		.width = 100};
	struct steer_shared_set decap = {.type = STEER_SHARED_DECAP, .id = 9, .data_length = 13};
	struct spec *s = spec_new("bad", 0, STEER_PIPE_BASIC, 1);
	struct why why = {0};
	int err = 0;

	spec_template(s);
	spec_action(s, copy, 0);
	ok(!spec_create(s, &err) && err == -EINVAL, "a copy to beyond its field");
	copy.width = 0;
	s = spec_new("bad", 0, STEER_PIPE_BASIC, 1);
	spec_template(s);
	spec_action(s, copy, 0);
	ok(!spec_create(s, &err) && err == -EINVAL, "of no width, too");
	ok(shared_set(bed.space, &decap, &why) == -EINVAL, "an L3 decap without an Ethernet header: %s",
		why.text);
}

static void test_shared(void)
{
	struct steer_shared_set set_encap = {
		.type = STEER_SHARED_ENCAP, .id = 7, .flags = STEER_ACT_L2, .tunnel = STEER_TUN_VXLAN};
	struct steer_action a = {.kind = STEER_ACT_SHARED_ENCAP, .value = {7, 0, 0, 0}};
	struct steer_shared_info info;
	uint32_t bytes = build(0, in);
	struct spec *s;
	int err;

	set_encap.data_length = (uint16_t)vxlan_header(set_encap.data);
	ok(!shared_set(bed.space, &set_encap, NULL), "shared encap");
	ok(apply(a, bytes) == bytes + 50 && sums_right(out, bytes + 50), "shared encap runs");
	a.value[0] = 8;
	s = spec_new("bad", 0, STEER_PIPE_BASIC, 1);
	s->head.fwd = fwd_drop;
	spec_template(s);
	spec_action(s, a, 4);
	uint32_t pipe = spec_create(s, &err);
	struct work w = work_new(pipe, NULL, 0, NULL, 0);

	ok(work_add(&w, NULL) == -ENOENT, "an entry cannot name what is not there");
	ok(!shared_get(bed.space, STEER_SHARED_ENCAP, 7, &info) && info.references == 0,
		"no references are left");
	ok(!shared_remove(bed.space, STEER_SHARED_ENCAP, 7, NULL), "removed");
	pipe_destroy(bed.space, pipe, NULL);
}

int main(void)
{
	bed_start(2);
	test_sets();
	test_udp_without_checksum();
	test_add_copy();
	test_shape();
	test_arguments();
	test_vlan();
	test_vxlan();
	test_l3_tunnels();
	test_nat64();
	test_shared();
	test_impossible();
	bed_conserves(0);
	bed_stop();
	return tap_done();
}
