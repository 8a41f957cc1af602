// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Buckets of tables keep 16 bits of each key's hash: one comparison tells which slots are worth a look.
#pragma once

#include <stdint.h>

#if defined(RINGFIELD_SIMD) && defined(__SSE2__)
#include <emmintrin.h>
#elif defined(RINGFIELD_SIMD) && defined(__ARM_NEON)
#include <arm_neon.h>
#endif

enum { TAGS = 8 };

// Which of eight tags it is, as bits; for any machine, one by one. Tags may change meanwhile.
static inline unsigned int tags_matching_portable(const uint16_t *tags, uint16_t tag)
{
	unsigned int bits = 0;

	for (unsigned int i = 0; i < TAGS; i++)
		bits |= (unsigned int)(__atomic_load_n(&tags[i], __ATOMIC_RELAXED) == tag) << i;
	return bits;
}

// The same at once, where there are instructions for it. tags: aligned to 16 bytes.
static inline unsigned int tags_matching(const uint16_t *tags, uint16_t tag)
{
#if defined(RINGFIELD_SIMD) && defined(__SSE2__)
	__m128i same = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)tags), _mm_set1_epi16((short)tag));

	return (unsigned int)_mm_movemask_epi8(_mm_packs_epi16(same, _mm_setzero_si128()));
#elif defined(RINGFIELD_SIMD) && defined(__ARM_NEON)
	static const uint16_t bit[TAGS] = {1, 2, 4, 8, 16, 32, 64, 128};

	return vaddvq_u16(vandq_u16(vceqq_u16(vld1q_u16(tags), vdupq_n_u16(tag)), vld1q_u16(bit)));
#else
	return tags_matching_portable(tags, tag);
#endif
}
