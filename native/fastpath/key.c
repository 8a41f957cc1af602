// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_vect.h>

#include "key.h"

struct sortable {
	unsigned int index;
	unsigned int place; // region and offset in one number
};

static unsigned int size_class(unsigned int bytes)
{
	return bytes % 4 == 0 ? 0 : bytes % 2 == 0 ? 1 : 2;
}

static int by_place(const void *a, const void *b)
{
	const struct sortable *x = a, *y = b;

	return x->place < y->place ? -1 : x->place > y->place;
}

// Cuts one stretch of bytes into copies of powers of two.
static int add_ops(
	struct key_plan *plan, unsigned int region, unsigned int offset, unsigned int at, unsigned int bytes)
{
	while (bytes) {
		unsigned int size = bytes >= 16 ? 16 : bytes >= 8 ? 8 : bytes >= 4 ? 4 : bytes >= 2 ? 2 : 1;

		if (plan->nr_ops == sizeof(plan->ops) / sizeof(plan->ops[0]))
			return -E2BIG;
		plan->ops[plan->nr_ops++] = (struct key_op){.region = (uint8_t)region,
			.offset = (uint8_t)offset,
			.at = (uint8_t)at,
			.size = (uint8_t)size};
		offset += size;
		at += size;
		bytes -= size;
	}
	return 0;
}

static void set_masks(struct key_plan *plan, const struct steer_match_field *f, unsigned int at)
{
	const struct field_place *place = &field_places[f->field];

	for (unsigned int i = 0; i < place->bytes; i++) {
		uint8_t mask = i ? f->mask[i] : f->mask[i] & place->first_mask;

		plan->mask[at + i] = mask;
		if (f->kind == STEER_MATCH_CONSTANT)
			plan->constant[at + i] = f->value[i] & mask;
	}
}

int key_compile(
	struct key_plan *plan, const struct steer_match_field *fields, unsigned int n, enum key_layout layout)
{
	struct sortable order[STEER_MATCH_FIELD_MAX];
	unsigned int used = 0, start = 0, length = 0, from = 0, region = REGION_MAX;
	int err = 0;

	memset(plan, 0, sizeof(*plan));
	if (n > STEER_MATCH_FIELD_MAX)
		return -E2BIG;
	for (unsigned int i = 0; i < n; i++) {
		if (!field_valid(fields[i].field))
			return -EINVAL;
		order[i].index = i;
		order[i].place =
			field_places[fields[i].field].region << 8 | field_places[fields[i].field].offset;
		if (layout == KEY_ALIGNED)
			order[i].place |= size_class(field_places[fields[i].field].bytes) << 16;
		plan->needs |= field_places[fields[i].field].needs & (FIELD_NEEDS_JUDGE | FIELD_NEEDS_RANDOM);
	}
	if (layout != KEY_IN_ORDER)
		qsort(order, n, sizeof(order[0]), by_place);
	// `length` bytes at key `start`, packet `region`/`from`, wait to be cut into copies.
	for (unsigned int i = 0; i < n && !err; i++) {
		const struct field_place *place = &field_places[fields[order[i].index].field];

		if (used + place->bytes > STEER_KEY_MAX)
			return -E2BIG;
		plan->at[order[i].index] = (uint8_t)used;
		set_masks(plan, &fields[order[i].index], used);
		if (place->shift) {
			err = add_ops(plan, region, from, start, length);
			length = 0;
			region = REGION_MAX;
			if (plan->nr_ops == sizeof(plan->ops) / sizeof(plan->ops[0]))
				return -E2BIG;
			plan->ops[plan->nr_ops++] = (struct key_op){.region = place->region,
				.offset = place->offset,
				.at = (uint8_t)used,
				.size = 0};
		} else if (length && place->region == region && place->offset == from + length) {
			length += place->bytes;
		} else {
			err = add_ops(plan, region, from, start, length);
			region = place->region;
			from = place->offset;
			start = used;
			length = place->bytes;
		}
		used += place->bytes;
	}
	if (!err)
		err = add_ops(plan, region, from, start, length);
	plan->nr_fields = (uint8_t)n;
	plan->bytes = (uint16_t)(layout != KEY_IN_ORDER ? (used + 15) & ~15u : used);
	return err;
}

void key_prepare(const struct key_plan *plan, struct packet *p, uint16_t random)
{
	packet_refresh(p);
	if (plan->needs & FIELD_NEEDS_RANDOM)
		p->meta.random = random;
	if (plan->needs & FIELD_NEEDS_JUDGE)
		packet_judge(p);
}

#define COPY_ALL(SIZE)                       \
	for (unsigned int i = 0; i < n; i++) \
	memcpy(keys + (size_t)i * stride + op->at, packets[i]->base[op->region] + op->offset, SIZE)

void key_build(const struct key_plan *plan, struct packet *const *packets, unsigned int n, uint8_t *keys,
	unsigned int stride)
{
	unsigned int padded = (plan->bytes + 15) & ~15u;

	for (const struct key_op *op = plan->ops; op < plan->ops + plan->nr_ops; op++) {
		switch (op->size) {
		case 1:
			COPY_ALL(1);
			break;
		case 2:
			COPY_ALL(2);
			break;
		case 4:
			COPY_ALL(4);
			break;
		case 8:
			COPY_ALL(8);
			break;
		case 16:
			COPY_ALL(16);
			break;
		default:
			for (unsigned int i = 0; i < n; i++) {
				const uint8_t *b = packets[i]->base[op->region] + op->offset;

				keys[(size_t)i * stride + op->at] = (uint8_t)(b[0] << 4 | b[1] >> 4);
			}
		}
	}
	// Padding was not written above; its mask is zero.
	for (unsigned int at = 0; at < padded; at += 16) {
		const xmm_t mask = *(const xmm_t *)(plan->mask + at);

		for (unsigned int i = 0; i < n; i++) {
			xmm_t *key = (xmm_t *)(keys + (size_t)i * stride + at);

			*key &= mask;
		}
	}
}

// to = from & mask for a field of `bytes` bytes; almost all have 1, 2 or 4.
static inline void copy_masked(uint8_t *to, const uint8_t *from, const uint8_t *mask, unsigned int bytes)
{
	uint32_t word, bits;
	uint16_t half, half_bits;

	switch (bytes) {
	case 2:
		memcpy(&half, from, 2);
		memcpy(&half_bits, mask, 2);
		half &= half_bits;
		memcpy(to, &half, 2);
		break;
	case 4:
		memcpy(&word, from, 4);
		memcpy(&bits, mask, 4);
		word &= bits;
		memcpy(to, &word, 4);
		break;
	default:
		for (unsigned int b = 0; b < bytes; b++)
			to[b] = from[b] & mask[b];
	}
}

void key_place(const struct key_plan *plan, const struct steer_match_field *fields, uint8_t kind,
	const uint8_t *packed, uint8_t *key)
{
	for (unsigned int i = 0; i < plan->nr_fields; i++) {
		unsigned int bytes = field_places[fields[i].field].bytes;

		if (fields[i].kind != kind)
			continue;
		copy_masked(key + plan->at[i], packed, plan->mask + plan->at[i], bytes);
		packed += bytes;
	}
}
