// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Queue numbers for packets to software: Toeplitz hash over the fields asked for, through a table, no division.
#pragma once

#include "table.h"

uint16_t rss_queue(const struct packet *p, const struct fwd_rss *rss);
// Default miss: spread over queues 0 .. nr - 1 by addresses and ports.
uint16_t rss_default_queue(const struct packet *p, uint16_t nr);
int rss_compile(const struct steer_fwd *wire, struct fwd_rss **out, struct why *why);
