// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <rte_mbuf.h>

#include "checksum.h"

// One piece of a sum; `odd` says that it starts at an odd position of the summed range.
static uint64_t piece(const uint8_t *data, uint32_t bytes, bool odd)
{
	uint16_t folded = checksum_fold(checksum_add(0, data, bytes));

	return odd ? (uint16_t)(folded << 8 | folded >> 8) : folded;
}

uint64_t checksum_frame(const struct packet *p, uint32_t offset, uint32_t bytes)
{
	const struct rte_mbuf *seg = p->m;
	uint32_t done = 0, take;
	uint64_t sum = 0;

	if (offset + bytes <= p->seg_len)
		return checksum_add(0, p->data + offset, bytes);
	for (; seg && done < bytes; seg = seg->next) {
		uint32_t len = rte_pktmbuf_data_len(seg);

		if (offset >= len) {
			offset -= len;
			continue;
		}
		take = len - offset < bytes - done ? len - offset : bytes - done;
		sum += piece(rte_pktmbuf_mtod_offset(seg, const uint8_t *, offset), take, done & 1);
		done += take;
		offset = 0;
	}
	return sum;
}
