// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// LPM pipes: one hash probe per distinct prefix length present, the longest first. The key holds the exact-match fields, the
// masked address and the prefix length; as lengths fall, the address is masked further in place.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_hash_crc.h>

#include "exact.h"
#include "flow_cache.h"
#include "rcu.h"

enum {
	LENGTHS = 129,
	LEVELS = 16, // of an address: every two bits of IPv4, every eight of IPv6
	LEVEL_COUNTS_MIN = 1 << 10,
	LEVEL_COUNTS_MAX = 1 << 18,
	LEVEL_COUNTS = 32, // for each entry that there is room for
};

struct length {
	uint8_t bits;
	uint8_t mask[STEER_FIELD_BYTES_MAX];
};

struct lengths {
	uint32_t nr;
	struct length length[]; // longest first
};

struct lpm {
	struct exact *exact;
	struct lengths *lengths; // RCU
	uint16_t key_bytes;      // with the length byte, padded
	uint8_t address;         // where the address lies in the key
	uint8_t bytes;           // of the address
	uint8_t length;          // where the length byte lies
	uint32_t count[LENGTHS]; // entries linked by length
	// By the hash of what an entry matches exactly and the first bits of its address: how many are longer. Different ones
	// may share a count; at its end a count stays.
	uint16_t *longer;
	uint32_t longer_mask;
};

// Cuts a key's address to a level; where its count is.
static uint16_t *level_of(const struct lpm *l, uint8_t *key, unsigned int level)
{
	unsigned int bits = level * l->bytes / 2, whole = bits / 8;

	key[l->length] = (uint8_t)bits;
	if (bits % 8)
		key[l->address + whole++] &= (uint8_t)(0xff00 >> bits % 8);
	memset(key + l->address + whole, 0, l->bytes - whole);
	return &l->longer[rte_hash_crc(key, l->key_bytes, 0) & l->longer_mask];
}

static void count_levels(const struct lpm *l, const uint8_t *of, unsigned int bits, int step)
{
	uint8_t key[STEER_KEY_MAX] __attribute__((aligned(16)));

	memcpy(key, of, sizeof(key));
	for (unsigned int level = LEVELS; level--;) {
		uint16_t *count;

		if (!level || level * l->bytes / 2 >= bits)
			continue;
		count = level_of(l, key, level);
		if (*count != UINT16_MAX)
			fp_write(count, (uint16_t)(*count + step));
	}
}

static int lpm_create(struct pipe *pipe, struct why *why)
{
	struct lpm *l = calloc(1, sizeof(*l));
	unsigned int used = 0;
	uint32_t counts;
	int err;

	pipe->table = l;
	if (!l)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the pipe");
	for (unsigned int i = 0; i < pipe->key.nr_fields; i++) {
		const struct steer_match_field *f = &pipe->fields[i];

		used += field_places[f->field].bytes;
		if (f->kind != STEER_MATCH_PREFIX)
			continue;
		l->address = pipe->key.at[i];
		l->bytes = field_places[f->field].bytes;
		memset(pipe->key.mask + l->address, 0xff, l->bytes);
		pipe->key.mask[l->address] &= field_places[f->field].first_mask;
	}
	if (used + 1 > STEER_KEY_MAX)
		return why_set(why, STEER_WHY_UNSUPPORTED, -E2BIG, "pipe '%s': the match is too long",
			pipe->spec->name);
	l->length = (uint8_t)used;
	l->key_bytes = (uint16_t)((used + 1 + 15) & ~15u);
	l->lengths = calloc(1, sizeof(*l->lengths));
	counts = RTE_MIN(pipe->capacity, (uint32_t)LEVEL_COUNTS_MAX / LEVEL_COUNTS) * LEVEL_COUNTS;
	l->longer_mask = rte_align32pow2(RTE_MAX(counts, (uint32_t)LEVEL_COUNTS_MIN)) - 1;
	l->longer = calloc(l->longer_mask + 1u, sizeof(*l->longer));
	err = l->lengths && l->longer ? exact_create(&l->exact, pipe->capacity, l->key_bytes) : -ENOMEM;
	return err ? why_set(why, STEER_WHY_NO_MEMORY, err, "no memory for a table of %u entries",
			     pipe->capacity)
		   : 0;
}

static void lpm_destroy(struct pipe *pipe)
{
	struct lpm *l = pipe->table;

	if (!l)
		return;
	exact_destroy(l->exact);
	free(l->lengths);
	free(l->longer);
	free(l);
}

// The key of an entry; its prefix length, or -EINVAL when the mask has holes.
static int build(const struct pipe *pipe, const struct entry *e, uint8_t key[STEER_KEY_MAX])
{
	const struct lpm *l = pipe->table;
	const uint8_t *address = entry_key(e) + e->rec->key_bytes - 2 * l->bytes, *mask = address + l->bytes;
	unsigned int bits = 0;

	memcpy(key, pipe->key.constant, STEER_KEY_MAX);
	key_place(&pipe->key, pipe->fields, STEER_MATCH_CHANGEABLE, entry_key(e), key);
	while (bits < l->bytes * 8u && (mask[bits / 8] >> (7 - bits % 8) & 1))
		bits++;
	for (unsigned int i = bits; i < l->bytes * 8u; i++)
		if (mask[i / 8] >> (7 - i % 8) & 1)
			return -EINVAL;
	for (unsigned int i = 0; i < l->bytes; i++)
		key[l->address + i] = address[i] & mask[i];
	key[l->length] = (uint8_t)bits;
	return (int)bits;
}

static int publish_lengths(struct lpm *l, struct why *why)
{
	struct lengths *old = l->lengths, *new = calloc(1, sizeof(*new) + LENGTHS * sizeof(new->length[0]));

	if (!new)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory");
	for (int bits = LENGTHS - 1; bits >= 0; bits--) {
		struct length *length = &new->length[new->nr];

		if (!l->count[bits])
			continue;
		length->bits = (uint8_t)bits;
		for (int i = 0; i < bits; i++)
			length->mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
		new->nr++;
	}
	fp_publish(&l->lengths, new);
	rcu_defer(free, old);
	return 0;
}

static int lpm_link(struct pipe *pipe, struct entry *e, struct why *why)
{
	uint8_t key[STEER_KEY_MAX] __attribute__((aligned(16)));
	struct lpm *l = pipe->table;
	int bits = build(pipe, e, key), err;

	if (bits < 0)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "the mask of a prefix has holes");
	if (!l->count[bits]++) {
		err = publish_lengths(l, why);
		if (err) {
			l->count[bits]--;
			return err;
		}
	}
	count_levels(l, key, (unsigned int)bits, 1);
	err = exact_link(l->exact, key, e);
	if (!err)
		return 0;
	l->count[bits]--;
	count_levels(l, key, (unsigned int)bits, -1);
	if (err == -EEXIST)
		return why_set(
			why, STEER_WHY_DUPLICATE_KEY, err, "an entry with this prefix is there already");
	return why_set(why, STEER_WHY_PIPE_FULL, err, "the table is full");
}

static int lpm_replace(struct pipe *pipe, struct entry *old, struct entry *e, struct why *why)
{
	uint8_t key[STEER_KEY_MAX] __attribute__((aligned(16)));
	struct lpm *l = pipe->table;

	build(pipe, old, key);
	return exact_replace(l->exact, key, old, e);
}

static void lpm_unlink(struct pipe *pipe, struct entry *e)
{
	uint8_t key[STEER_KEY_MAX] __attribute__((aligned(16)));
	struct lpm *l = pipe->table;
	int bits = build(pipe, e, key);

	exact_unlink(l->exact, key, e);
	count_levels(l, key, (unsigned int)bits, -1);
	// Without memory the length stays listed: one probe in vain.
	if (!--l->count[bits])
		publish_lengths(l, NULL);
}

static int lpm_resize(struct pipe *pipe, uint32_t capacity, struct why *why)
{
	struct lpm *l = pipe->table;

	if (exact_resize(l->exact, capacity))
		return why_set(
			why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for a table of %u entries", capacity);
	return 0;
}

static void lpm_lookup(struct walker *w, const struct pipe *pipe, struct packet **packets, unsigned int n)
{
	const struct lpm *l = pipe->table;
	const struct lengths *lengths = fp_read_acquire(&l->lengths);
	unsigned int stride = l->key_bytes, left = n, index[FP_LOOKUP];

	// The key plan may be shorter than the key: clear what it does not write.
	for (unsigned int i = 0; i < n; i++) {
		memset(w->keys + i * stride + stride - 16, 0, 16);
		packets[i]->hit = NULL;
		index[i] = i;
	}
	key_build(&pipe->key, packets, n, w->keys, stride);
	for (uint32_t k = 0; k < lengths->nr && left; k++) {
		const struct length *length = &lengths->length[k];
		unsigned int still = 0;

		for (unsigned int i = 0; i < left; i++) {
			uint8_t *key = w->keys + index[i] * stride;

			for (unsigned int b = 0; b < l->bytes; b++)
				key[l->address + b] &= length->mask[b];
			key[l->length] = length->bits;
			w->key_at[i] = key;
		}
		exact_lookup(l->exact, w->key_at, left, w->found);
		for (unsigned int i = 0; i < left; i++) {
			struct entry *e = entry_visible(w->found[i], w->revision);

			if (e)
				packets[index[i]]->hit = e;
			else
				index[still++] = index[i];
		}
		left = still;
	}
}

// The shortest level that tells which prefix is the longest: no entry is longer and shares it with the packet.
static unsigned int bits_needed(const struct pipe *pipe, const struct packet *p, const struct entry *hit)
{
	const struct lpm *l = pipe->table;
	const struct lengths *lengths = fp_read_acquire(&l->lengths);
	unsigned int bits = hit ? exact_key(l->exact, hit)[l->length] : 0;
	uint8_t key[STEER_KEY_MAX] __attribute__((aligned(16))), own[STEER_FIELD_BYTES_MAX];

	if (!lengths->nr || lengths->length[0].bits <= bits)
		return bits;
	memset(key, 0, sizeof(key));
	key_build(&pipe->key, (struct packet *const *)&p, 1, key, l->key_bytes);
	memcpy(own, key + l->address, l->bytes);
	for (unsigned int level = 1; level < LEVELS; level++) {
		if (level * l->bytes / 2 < bits)
			continue;
		memcpy(key + l->address, own, l->bytes);
		if (!fp_read(level_of(l, key, level)))
			return level * l->bytes / 2;
	}
	return l->bytes * 8u;
}

static void lpm_depends(
	const struct pipe *pipe, const struct packet *p, const struct entry *hit, struct flow_log *log)
{
	for (unsigned int i = 0; i < pipe->key.nr_fields; i++) {
		const struct steer_match_field *f = &pipe->fields[i];
		uint8_t mask[STEER_FIELD_BYTES_MAX] = {0};
		unsigned int bits;

		if (f->kind != STEER_MATCH_PREFIX) {
			flow_need(log, p, f->field, pipe->key.mask + pipe->key.at[i]);
			continue;
		}
		bits = bits_needed(pipe, p, hit);
		for (unsigned int b = 0; b < bits; b++)
			mask[b / 8] |= (uint8_t)(0x80 >> b % 8);
		flow_need(log, p, f->field, mask);
	}
}

static const struct matcher lpm = {
	.type = STEER_PIPE_LPM,
	.name = "lpm",
	.layout = KEY_MERGED,
	.create = lpm_create,
	.destroy = lpm_destroy,
	.link = lpm_link,
	.replace = lpm_replace,
	.unlink = lpm_unlink,
	.resize = lpm_resize,
	.depends = lpm_depends,
	.lookup = lpm_lookup,
};
MATCHER_REGISTER(lpm)
