// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rss.h"
#include "steering_hash.h"

// DOCA_FLOW_RSS_* bits.
enum {
	RSS_IPV4 = 1 << 0,
	RSS_IPV6 = 1 << 1,
	RSS_UDP = 1 << 2,
	RSS_TCP = 1 << 3,
	RSS_ESP = 1 << 4,
	RSS_IPV4_SRC = 1 << 5,
	RSS_IPV4_DST = 1 << 6,
	RSS_IPV6_SRC = 1 << 7,
	RSS_IPV6_DST = 1 << 8,
	RSS_UDP_SRC = 1 << 9,
	RSS_UDP_DST = 1 << 10,
	RSS_TCP_SRC = 1 << 11,
	RSS_TCP_DST = 1 << 12,
	RSS_AUTO = 1 << 30,
	RSS_DEFAULT = RSS_IPV4 | RSS_IPV6 | RSS_UDP | RSS_TCP,
};

// Appends source and destination of `size` bytes each, of which one or both are wanted.
static unsigned int pair(uint8_t *out, const uint8_t *src, const uint8_t *dst, unsigned int size,
	bool want_src, bool want_dst, bool symmetric)
{
	unsigned int n = 0;

	if (symmetric && want_src && want_dst && memcmp(src, dst, size) > 0) {
		const uint8_t *swap = src;

		src = dst;
		dst = swap;
	}
	if (want_src) {
		memcpy(out, src, size);
		n = size;
	}
	if (want_dst) {
		memcpy(out + n, dst, size);
		n += size;
	}
	return n;
}

struct rss_key {
	uint32_t word[STEER_RSS_KEY_BYTES / 4];
};

static struct rss_key key_of(const struct packet *p)
{
	const struct fp_port *port = &fp.ports[p->in_port];
	struct rss_key key;

	for (unsigned int i = 0; i < STEER_RSS_KEY_BYTES / 4; i++)
		key.word[i] = fp_read(&port->rss_key[i]);
	return key;
}

static uint32_t hash_layer(
	const struct packet *p, const struct rss_key *key, unsigned int layer, uint32_t bits, bool symmetric)
{
	uint8_t *const *base = &p->base[layer * REGION_LAYER];
	const struct packet_layer_meta *meta = &p->meta.layer[layer];
	uint8_t data[40];
	unsigned int n = 0;

	if (meta->l3_type == L3_META_IPV4) {
		bool both = bits & RSS_IPV4;

		n += pair(data, base[REGION_IP4] + 12, base[REGION_IP4] + 16, 4,
			both || (bits & RSS_IPV4_SRC), both || (bits & RSS_IPV4_DST), symmetric);
	} else if (meta->l3_type == L3_META_IPV6) {
		bool both = bits & RSS_IPV6;

		n += pair(data, base[REGION_IP6] + 8, base[REGION_IP6] + 24, 16,
			both || (bits & RSS_IPV6_SRC), both || (bits & RSS_IPV6_DST), symmetric);
	}
	if (p->layer[layer].l4 && meta->l4_type == L4_META_TCP)
		n += pair(data + n, base[REGION_L4], base[REGION_L4] + 2, 2, bits & (RSS_TCP | RSS_TCP_SRC),
			bits & (RSS_TCP | RSS_TCP_DST), symmetric);
	else if (p->layer[layer].l4 && meta->l4_type == L4_META_UDP)
		n += pair(data + n, base[REGION_L4], base[REGION_L4] + 2, 2, bits & (RSS_UDP | RSS_UDP_SRC),
			bits & (RSS_UDP | RSS_UDP_DST), symmetric);
	else if ((bits & RSS_ESP) && !layer && packet_has(p, REGION_ESP) && n + 4 <= 36) {
		memcpy(data + n, p->base[REGION_ESP], 4);
		n += 4;
	}
	return steering_toeplitz((const uint8_t *)key->word, data, n);
}

uint16_t rss_queue(const struct packet *p, const struct fwd_rss *rss)
{
	const struct rss_key key = key_of(p);
	uint32_t hash = 0;

	if (rss->outer || !rss->inner)
		hash ^= hash_layer(p, &key, 0, rss->outer ? rss->outer : RSS_DEFAULT, rss->symmetric);
	if (rss->inner)
		hash ^= hash_layer(p, &key, 1, rss->inner, rss->symmetric);
	return rss->table[hash % RSS_TABLE];
}

uint16_t rss_default_queue(const struct packet *p, uint16_t nr)
{
	struct rss_key key;
	uint32_t hash;

	if (nr < 2)
		return 0;
	key = key_of(p);
	hash = hash_layer(p, &key, 0, RSS_DEFAULT, false);
	return (uint16_t)((uint64_t)hash * nr >> 32);
}

int rss_compile(const struct steer_fwd *wire, struct fwd_rss **out, struct why *why)
{
	uint16_t nr = wire->nr_queues ? wire->nr_queues : 1;
	uint16_t queues[64];
	struct fwd_rss *rss;

	if (nr > 64)
		return why_set(why, STEER_WHY_BAD_FWD, -EINVAL, "RSS to %u queues, at most 64", nr);
	if (wire->rss_function > 1)
		return why_set(why, STEER_WHY_BAD_FWD, -EINVAL, "RSS with unknown hash function %u",
			wire->rss_function);
	rss = calloc(1, sizeof(*rss));
	if (!rss)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory");
	memcpy(queues, wire->queues, sizeof(queues));
	rss->outer = wire->rss_outer & RSS_AUTO ? RSS_DEFAULT : wire->rss_outer;
	rss->inner = wire->rss_inner & RSS_AUTO ? RSS_DEFAULT : wire->rss_inner;
	rss->symmetric = wire->rss_function == 1;
	for (unsigned int i = 0; i < RSS_TABLE; i++)
		rss->table[i] = queues[i % nr];
	*out = rss;
	return 0;
}
