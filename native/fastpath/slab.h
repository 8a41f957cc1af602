// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Memory for the many small objects that workers read: entries. Taken from pieces of 2 MiB for which huge pages are asked,
// so that a hit among 100,000 entries does not cost a page walk; and far cheaper than malloc() of aligned memory. Pieces are
// kept until the process ends. Control thread only.
#pragma once

#include <stddef.h>

void *slab_alloc(size_t bytes);             // cache aligned, zeroed; NULL without memory
void slab_free(void *object, size_t bytes); // bytes as given to slab_alloc(); NULL is fine
