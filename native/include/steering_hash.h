// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Hashes that both ends compute: a client says in advance where a packet will go (doca_flow_pipe_calc_hash), the fast path
// sends it there.
//
// Hash pipes: steering_hash() over the masked values of the pipe's match fields, in the order of the spec, each in its own
// number of bytes, nothing between them; entry index = hash & (nr_entries - 1). IDENTITY: the last four of those bytes
// as a big-endian number & (nr_entries - 1).
// RSS: steering_toeplitz() over the fields asked for (rss_outer bits; 0 or AUTO = addresses, then ports): source address,
// destination address, source port, destination port, ESP SPI, those that the packet has; queue = table[hash & 127], the
// table filled with the queues in turn. Symmetric: addresses and ports are each sorted before.

#pragma once

#include <stddef.h>
#include <stdint.h>

// CRC32C (Castagnoli, reflected), start 0xffffffff, no final inversion.
static inline uint32_t steering_hash(const void *data, size_t bytes)
{
	const uint8_t *b = (const uint8_t *)data;
	uint32_t crc = 0xffffffffu;

	while (bytes--) {
		crc ^= *b++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1u)));
	}
	return crc;
}

// Toeplitz hash of up to 36 bytes with a key of 40.
static inline uint32_t steering_toeplitz(const uint8_t key[40], const uint8_t *data, size_t bytes)
{
	uint32_t window = (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | (uint32_t)key[2] << 8 | key[3];
	uint32_t hash = 0;

	for (size_t i = 0; i < bytes && i < 36; i++) {
		for (int bit = 7; bit >= 0; bit--) {
			hash ^= window & (0u - (uint32_t)(data[i] >> bit & 1));
			window = window << 1 | (key[i + 4] >> bit & 1);
		}
	}
	return hash;
}
