// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Numbers in frames, at any address: be*, put* in network order, load* as they lie there. For sources only, not for headers.
#pragma once

#include <stdint.h>
#include <string.h>

static inline uint16_t be16(const uint8_t *from)
{
	return (uint16_t)(from[0] << 8 | from[1]);
}

static inline uint32_t be32(const uint8_t *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static inline void put16(uint8_t *to, uint32_t number)
{
	to[0] = (uint8_t)(number >> 8);
	to[1] = (uint8_t)number;
}

static inline void put32(uint8_t *to, uint32_t number)
{
	put16(to, number >> 16);
	put16(to + 2, number);
}

static inline uint16_t load16(const uint8_t *from)
{
	uint16_t number;

	memcpy(&number, from, sizeof(number));
	return number;
}

static inline uint32_t load32(const uint8_t *from)
{
	uint32_t number;

	memcpy(&number, from, sizeof(number));
	return number;
}

static inline uint64_t load64(const uint8_t *from)
{
	uint64_t number;

	memcpy(&number, from, sizeof(number));
	return number;
}

// What of so many bytes lies behind the first ones; at most so much of it.
static inline __attribute__((always_inline)) size_t bytes_behind(size_t bytes, size_t first, size_t most)
{
	size_t rest = bytes > first ? bytes - first : 0;

	return rest < most ? rest : most;
}

// Zeroes a small thing of known size, 64 bytes at a time. Where the compiler is left to it, it takes an instruction for more
// than that (rep stos) which needs longer to begin than all of this.
static inline __attribute__((always_inline)) void bytes_clear(void *at, size_t bytes)
{
	uint8_t *to = at;

	memset(to, 0, bytes_behind(bytes, 0, 64));
	memset(to + 64, 0, bytes_behind(bytes, 64, 64));
	memset(to + 128, 0, bytes_behind(bytes, 128, 64));
	memset(to + 192, 0, bytes_behind(bytes, 192, bytes));
}
