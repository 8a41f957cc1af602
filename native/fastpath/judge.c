// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The parser's verdicts that cost a look at the payload: lengths and checksums.

#include <netinet/in.h>

#include "bytes.h"
#include "checksum.h"
#include "parse.h"

// Whether the L4 header's own lengths are possible; *bytes = how much its checksum covers.
static bool l4_lengths_ok(const struct packet *p, const struct packet_layer *l, uint32_t *bytes)
{
	const uint8_t *h = p->data + l->l4;
	uint32_t length;

	*bytes = l->l4_len;
	switch (l->l4_proto) {
	case IPPROTO_TCP:
		length = (h[12] >> 4) * 4u;
		return length >= 20 && length <= l->l4_len;
	case IPPROTO_UDP:
		length = be16(h + 4);
		*bytes = length;
		return length >= 8 && length <= l->l4_len;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
	case IPPROTO_ESP:
		return l->l4_len >= 8;
	default:
		return false;
	}
}

static bool l4_checksum_ok(const struct packet *p, unsigned int layer, uint32_t bytes)
{
	const struct packet_layer *l = &p->layer[layer];
	const uint8_t *h = p->data + l->l4;
	const uint8_t *ip = p->data + l->l3;
	bool ip6 = p->meta.layer[layer].l3_type == L3_META_IPV6;
	uint64_t sum = 0;

	switch (l->l4_proto) {
	case IPPROTO_UDP:
		if (!h[6] && !h[7])
			return true;
		break;
	case IPPROTO_TCP:
		break;
	case IPPROTO_ICMPV6:
		if (!ip6)
			return false;
		break;
	case IPPROTO_ICMP:
		return checksum_fold(checksum_frame(p, l->l4, bytes)) == 0xffff;
	default:
		return false;
	}
	sum = ip6 ? checksum_add(0, ip + 8, 32) : checksum_add(0, ip + 12, 8);
	sum += htons(l->l4_proto);
	sum += htonl(bytes) >> 16;
	sum += htonl(bytes) & 0xffff;
	return checksum_fold(sum + checksum_frame(p, l->l4, bytes)) == 0xffff;
}

void packet_judge(struct packet *p)
{
	if (p->judged)
		return;
	p->judged = true;
	for (unsigned int i = 0; i < 2; i++) {
		const struct packet_layer *l = &p->layer[i];
		struct packet_layer_meta *meta = &p->meta.layer[i];
		uint32_t bytes;

		meta->ip4_checksum_ok = 0;
		if (meta->l3_type == L3_META_IPV4) {
			const uint8_t *h = p->data + l->l3;
			uint32_t ihl = (h[0] & 0xfu) * 4;

			meta->ip4_checksum_ok = ihl >= 20 && checksum_fold(checksum_add(0, h, ihl)) == 0xffff;
		}
		meta->l4_ok = l->l4 && meta->l4_type != L4_META_NONE && l4_lengths_ok(p, l, &bytes);
		meta->l4_checksum_ok = meta->l4_ok && !meta->ip_fragmented && l4_checksum_ok(p, i, bytes);
	}
}
