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
