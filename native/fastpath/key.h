// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Keys: a list of fields compiled to a few copies out of the packet, with one mask over the whole.
#pragma once

#include "fields.h"

enum key_layout {
	// Fields sorted by place, so that neighbours become one copy; padded with zeros to 16 bytes.
	KEY_MERGED = 0,
	// Likewise, but whole words first, then fields of even size, then odd ones: ports never straddle a word.
	KEY_ALIGNED,
	// As listed, unpadded: calc_hash of the client must build the same.
	KEY_IN_ORDER,
};

struct key_op {
	uint8_t region;
	uint8_t offset;
	uint8_t at;   // in the key
	uint8_t size; // 1, 2, 4, 8, 16; 0: a value that stands four bits left of a byte boundary
};

struct key_plan {
	uint16_t bytes; // of the key as used (padded)
	uint8_t nr_ops;
	uint8_t nr_fields;
	uint8_t needs;                     // enum field_needs, of all fields
	uint8_t at[STEER_MATCH_FIELD_MAX]; // where each listed field lies
	struct key_op ops[STEER_MATCH_FIELD_MAX * 3];
	uint8_t mask[STEER_KEY_MAX] __attribute__((aligned(16)));
	uint8_t constant[STEER_KEY_MAX] __attribute__((aligned(16))); // masked constants, zero elsewhere
};

// Compiles n fields; those of kind CONSTANT get their values into plan->constant. -EINVAL unknown field, -E2BIG too long.
int key_compile(struct key_plan *plan, const struct steer_match_field *fields, unsigned int n,
	enum key_layout layout);

// Whatever the fields need done before a packet is read (parse again, judge, draw a random number).
void key_prepare(const struct key_plan *plan, struct packet *p, uint16_t random);

// Builds masked keys of n packets, `stride` bytes apart (multiple of 16). plan->bytes bytes each.
void key_build(const struct key_plan *plan, struct packet *const *packets, unsigned int n, uint8_t *keys,
	unsigned int stride);

// Puts an entry's packed values (of the fields of `kind`, in list order) into a key that already holds plan->constant.
void key_place(const struct key_plan *plan, const struct steer_match_field *fields, uint8_t kind,
	const uint8_t *packed, uint8_t *key);
