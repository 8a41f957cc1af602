// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Internet checksums: whole sums and incremental updates (RFC 1624). Sums are of 16 bit words as they lie in memory, so no
// byte swapping is needed anywhere.
#pragma once

#include <stdint.h>
#include <string.h>

#include "packet.h"

// Adds `bytes` bytes; an odd last byte counts as if a zero followed it.
static inline uint64_t checksum_add(uint64_t sum, const void *data, uint32_t bytes)
{
	const uint8_t *b = data;
	uint32_t word;
	uint16_t half;

	for (; bytes >= 4; bytes -= 4, b += 4) {
		memcpy(&word, b, 4);
		sum += word;
	}
	if (bytes & 2) {
		memcpy(&half, b, 2);
		sum += half;
		b += 2;
	}
	if (bytes & 1) {
		half = 0;
		memcpy(&half, b, 1);
		sum += half;
	}
	return sum;
}

static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

// Sum of `bytes` bytes of the frame from offset on, over segments.
uint64_t checksum_frame(const struct packet *p, uint32_t offset, uint32_t bytes);

// The checksum field `old` after covered bytes changed by delta = sum(new words) + sum(~old words).
static inline uint16_t checksum_update(uint16_t old, uint64_t delta)
{
	return (uint16_t)~checksum_fold((uint16_t)~old + delta);
}
