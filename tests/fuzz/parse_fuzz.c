// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The packet parser and the field table on arbitrary frames: no read or write outside the frame, and a packet whose
// checksums are right still has them right after any of the fields that programs rewrite has been written.
//
// The input is the frame. When its last byte is odd only a part of it is in the first segment, as with a chained mbuf.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

// Fields that change neither where headers are nor what they are.
static const uint16_t rewritable[] = {
	STEER_F_OUTER_ETH_DST,
	STEER_F_OUTER_ETH_SRC,
	STEER_F_OUTER_VLAN0_TCI,
	STEER_F_OUTER_IP4_DSCP_ECN,
	STEER_F_OUTER_IP4_ID,
	STEER_F_OUTER_IP4_TTL,
	STEER_F_OUTER_IP4_SRC,
	STEER_F_OUTER_IP4_DST,
	STEER_F_OUTER_IP6_TRAFFIC_CLASS,
	STEER_F_OUTER_IP6_FLOW_LABEL,
	STEER_F_OUTER_IP6_HOP_LIMIT,
	STEER_F_OUTER_IP6_SRC,
	STEER_F_OUTER_IP6_DST,
	STEER_F_OUTER_L4_SRC_PORT,
	STEER_F_OUTER_TCP_SEQ,
	STEER_F_OUTER_TCP_ACK,
	STEER_F_OUTER_TCP_FLAGS,
	STEER_F_OUTER_ICMP_CODE,
	STEER_F_INNER_IP4_SRC,
	STEER_F_INNER_IP4_DST,
	STEER_F_INNER_IP4_TTL,
	STEER_F_INNER_IP6_SRC,
	STEER_F_INNER_IP6_DST,
	STEER_F_INNER_L4_SRC_PORT,
	STEER_F_INNER_TCP_SEQ,
	STEER_F_OUTER_ARP_SPA,
	STEER_F_OUTER_ARP_THA,
	STEER_F_OUTER_ND_TARGET,
	STEER_F_OUTER_ND_LLADDR,
};

static void die(const char *what, unsigned int field)
{
	fprintf(stderr, "%s: %s\n", what, field_name(field));
	abort();
}

// Every region that is present lies in the first segment.
static void check_regions(const struct packet *p)
{
	for (unsigned int region = 0; region < REGION_META; region++) {
		const uint8_t *base = p->base[region];

		if (packet_has(p, region) && (base < p->data || base > p->data + p->seg_len))
			abort();
	}
}

static void check_rewrite(struct packet *p, uint8_t seed)
{
	static const uint8_t mask[STEER_FIELD_BYTES_MAX] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct packet_layer_meta before[2];
	uint8_t value[STEER_FIELD_BYTES_MAX];

	for (unsigned int i = 0; i < sizeof(rewritable) / sizeof(*rewritable); i++) {
		packet_judge(p);
		memcpy(before, p->meta.layer, sizeof(before));
		for (unsigned int b = 0; b < sizeof(value); b++)
			value[b] = (uint8_t)(seed * 31 + b * 7 + i);
		field_write(p, rewritable[i], value, mask);
		if (packet_parse(p))
			die("not parseable after a write", rewritable[i]);
		packet_judge(p);
		for (unsigned int layer = 0; layer < 2; layer++) {
			const struct packet_layer_meta *now = &p->meta.layer[layer];

			if (now->l3_type != before[layer].l3_type || now->l4_type != before[layer].l4_type)
				die("headers changed by writing", rewritable[i]);
			if (now->ip4_checksum_ok < before[layer].ip4_checksum_ok)
				die("IPv4 checksum broken by writing", rewritable[i]);
			if (now->l4_checksum_ok < before[layer].l4_checksum_ok)
				die("L4 checksum broken by writing", rewritable[i]);
		}
	}
}

// The short cut for plain packets must leave what the general parser leaves.
static void check_short_cut(const struct packet *p)
{
	static struct packet general;

	packet_init(&general);
	packet_load(&general, p->data, p->seg_len, p->frame_len);
	packet_meta_reset(&general, 1);
	if (packet_parse_general(&general) || memcmp(&general.layer, &p->layer, sizeof(p->layer)) ||
		memcmp(&general.meta, &p->meta, sizeof(p->meta)) ||
		memcmp(general.base, p->base, REGION_META * sizeof(p->base[0])) ||
		general.tunnel != p->tunnel || general.tunnel_end != p->tunnel_end ||
		general.inner_set != p->inner_set)
		abort();
}

// Whatever it does to the packet's meaning, writing any field stays inside the frame.
static void write_everything(struct packet *p, uint8_t seed)
{
	uint8_t value[STEER_FIELD_BYTES_MAX], mask[STEER_FIELD_BYTES_MAX];

	memset(value, seed, sizeof(value));
	for (unsigned int b = 0; b < sizeof(mask); b++)
		mask[b] = (uint8_t)(seed >> (b & 7));
	for (unsigned int field = STEER_F_NONE + 1; field < STEER_F_MAX; field++) {
		if (field_places[field].needs & FIELD_READ_ONLY)
			continue;
		field_write(p, field, value, mask);
		if (packet_parse(p))
			return;
		check_regions(p);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	uint8_t value[STEER_FIELD_BYTES_MAX];
	struct packet p;

	if (!size || size > 9216)
		return -1;

	uint8_t last = input[size - 1];
	uint32_t segment = last & 1 ? (uint32_t)(size * last / 256) : (uint32_t)size;
	// Exactly as large as the segment, so that the sanitizer sees one byte too many.
	uint8_t *frame = malloc(segment ? segment : 1);

	if (!frame)
		abort();
	memcpy(frame, input, segment);
	packet_init(&p);
	packet_load(&p, frame, segment, (uint32_t)size);
	packet_meta_reset(&p, 1);
	if (!packet_parse(&p)) {
		check_regions(&p);
		check_short_cut(&p);
		packet_judge(&p);
		for (unsigned int field = STEER_F_NONE + 1; field < STEER_F_MAX; field++)
			field_read(&p, field, value);
		if (segment == size)
			check_rewrite(&p, last);
		write_everything(&p, last);
	}
	free(frame);
	return 0;
}
