// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// A submission ring in any state that a client can leave it in: the decoder never reads outside it, ends, and what it
// passes on has parts that add up.
//
// The input: size of the ring as a power of two (1 byte), cursors tail and head (4 bytes each, little endian), then the
// ring's bytes.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

enum { HEADER = 9, LEAST = 6, MOST = 15 };

static void check(const struct work_entry *entry)
{
	const struct steer_entry_add *add = &entry->add;

	if (entry->rec.length > sizeof(entry->bytes) || entry->rec.length < sizeof(entry->rec))
		abort();
	work_user_data(entry);
	work_entry_id(entry);
	if (work_check(entry) != STEER_WHY_NONE)
		return;
	if (entry->rec.kind == STEER_REC_ENTRY_REMOVE)
		return;
	if (entry->rec.kind != STEER_REC_ENTRY_ADD && entry->rec.kind != STEER_REC_ENTRY_UPDATE)
		abort();
	if (sizeof(*add) + add->key_bytes + add->args_bytes > entry->rec.length ||
		add->entry >= STEER_ENTRY_ID_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static struct work_entry entry;
	struct steer_ring shared = {0};
	struct ring_consumer ring;
	uint32_t tail, head;
	uint64_t bytes;
	uint8_t *data;

	if (size < HEADER)
		return -1;
	bytes = 1ull << (LEAST + input[0] % (MOST - LEAST + 1));
	memcpy(&tail, input + 1, sizeof(tail));
	memcpy(&head, input + 5, sizeof(head));
	size -= HEADER;
	data = aligned_alloc(64, bytes);
	if (!data)
		abort();
	memset(data, 0, bytes);
	memcpy(data, input + HEADER, size < bytes ? size : bytes);

	ring_consumer_init(&ring, &shared, data, bytes);
	// Our own cursor is always a multiple of the alignment; the client's is whatever it likes.
	ring.head = ring.tail = head & ~(uint32_t)(STEER_RECORD_ALIGN - 1);
	shared.tail = tail;
	for (uint64_t taken = 0; work_take(&ring, &entry) == 1; taken++) {
		if (taken > bytes / STEER_RECORD_ALIGN)
			abort(); // more records than the ring can hold
		check(&entry);
	}
	free(data);
	return 0;
}
