// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The stats segment (stats_wire.h): a sealed memfd that every client may map read-only.
#pragma once

#include <stdint.h>

#include "config.h"

// Makes and maps the segment and points fp.stats, fp.control_stats and the workers' blocks into it.
int stats_open(unsigned int nr_workers, uint32_t nr_counters, uint32_t boot_id, char why[CONFIG_WHY_MAX]);
void stats_close(void);

// For SCM_RIGHTS; stays ours.
int stats_fd(void);

// Heartbeat, and what only the control thread knows; cheap enough for every turn of its loop.
void stats_turn(uint64_t now_ns);

// Counts free packet buffers when due (every 100 ms, or at once when force).
void stats_refresh(uint64_t now_ns);
