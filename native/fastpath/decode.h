// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The decoder of work entries: from a client's ring into private memory, every bound checked. No DPDK in here, so that a
// fuzzer can run it alone.
#pragma once

#include "ring.h"
#include "steering_wire.h"

// One work entry in private memory.
struct work_entry {
	union {
		struct steer_record rec;
		struct steer_entry_add add;
		struct steer_entry_remove remove;
		uint8_t bytes[STEER_RECORD_MAX];
	};
};

// Copies the next record out and steps over it (the caller releases). 1: there is one, entry->rec is true (also about its
// length); 0: the ring is empty; -EBADMSG: the ring is in an impossible state.
int work_take(struct ring_consumer *ring, struct work_entry *entry);

// Checks that the record's parts add up to its length and that its counts are within bounds. What the parts say is the
// tables' business. 0 or why it is refused.
enum steer_reason work_check(const struct work_entry *entry);

// The client's cookie and the id of whatever kind of record it is, for the completion; zero when it has none.
uint64_t work_user_data(const struct work_entry *entry);
uint32_t work_entry_id(const struct work_entry *entry);
