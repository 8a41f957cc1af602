// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The decoder of work entries on a submission ring that a client filled with anything. The input: 8 bytes of cursor, then
// the ring from its start.

#include <stdlib.h>

#include "decode.h"

enum { RING = 8192 };

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
	static struct work_entry work;
	struct steer_ring shared = {.size = RING};
	struct ring_consumer ring;
	uint8_t *data;

	if (bytes < 8)
		return 0;
	// Exactly the ring's size on the heap, so that the sanitizer sees a step beyond it.
	data = aligned_alloc(64, RING);
	memset(data, 0, RING);
	memcpy(&shared.tail, input, 8);
	memcpy(data, input + 8, bytes - 8 < RING ? bytes - 8 : RING);
	ring_consumer_init(&ring, &shared, data, RING);
	for (unsigned int i = 0; i < 1000; i++) {
		if (work_take(&ring, &work) <= 0)
			break;
		if (!work_check(&work) && (work.rec.length < 8 || work.rec.length > STEER_RECORD_MAX))
			abort();
		(void)work_user_data(&work);
		(void)work_entry_id(&work);
		ring_release(&ring);
	}
	free(data);
	return 0;
}
