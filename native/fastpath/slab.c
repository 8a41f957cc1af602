// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "slab.h"
#include "table.h"

enum { LINE = 64, CLASSES = 32, PIECE = 2 << 20 };

// An object that is free; the first word is all that is used of it.
struct unused {
	struct unused *next;
};

static struct unused *unused[CLASSES + 1]; // by number of cache lines
static unsigned char *piece;
static size_t left;

// The sanitizer watches single objects only when malloc() gave them.
#ifdef __SANITIZE_ADDRESS__
static const size_t largest;
#else
static const size_t largest = CLASSES * LINE;
#endif

static void *carve(size_t size)
{
	void *object;

	if (left < size) {
		// What is left of the old piece, less than 2 KiB, is given up.
		piece = aligned_alloc(PIECE, PIECE);
		left = piece ? PIECE : 0;
		if (!piece)
			return NULL;
		madvise(piece, PIECE, MADV_HUGEPAGE);
	}
	object = piece;
	piece += size;
	left -= size;
	return object;
}

void *slab_alloc(size_t bytes)
{
	size_t size = RTE_ALIGN_CEIL(bytes, (size_t)LINE);
	struct unused **list = &unused[size / LINE <= CLASSES ? size / LINE : 0];
	void *object = *list;

	if (size > largest)
		return table_alloc(bytes);
	if (object)
		*list = (*list)->next;
	else
		object = carve(size);
	if (object)
		memset(object, 0, size);
	return object;
}

void slab_free(void *object, size_t bytes)
{
	size_t size = RTE_ALIGN_CEIL(bytes, (size_t)LINE);

	if (!object)
		return;
	if (size > largest) {
		free(object);
		return;
	}
	*(struct unused *)object = (struct unused){.next = unused[size / LINE]};
	unused[size / LINE] = object;
}
