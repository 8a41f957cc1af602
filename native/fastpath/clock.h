// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The system's clocks, in nanoseconds. On the data path once a turn at most: worker.c reads what a turn's packets get.
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t which)
{
	struct timespec now;

	clock_gettime(which, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// Since 1970.
static inline uint64_t clock_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

static inline uint64_t clock_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}
