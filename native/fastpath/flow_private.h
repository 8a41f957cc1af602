// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What flow_cache.c and flow_log.c share.
#pragma once

#include <rte_hash_crc.h>

#include "flow_cache.h"

enum { FLOW_AVERAGE = 8 * FLOW_WORTH }; // of a new start: in doubt it is worth while

static inline uint32_t flow_hash(const uint8_t *key, unsigned int bytes, uint16_t mask_id)
{
	return rte_hash_crc(key, bytes, mask_id * 0x9e3779b1u);
}

// Nothing is looked up there for a while.
void flow_leave(struct walker *w, struct flow_start *s, uint64_t ms);
// Whether there is room for one more.
bool flow_may_record(const struct flow_cache *c);
// The walk with this key, the rest of it to be filled in; NULL: no place. bytes: a multiple of 16.
struct flow_walk *flow_place(struct walker *w, uint16_t mask_id, const uint8_t *key, unsigned int bytes);
// The number of these pipes in a row; -1: no place.
int flow_path_of(struct flow_cache *c, const struct flow_hop *hop, unsigned int nr);
