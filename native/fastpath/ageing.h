// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Ageing: entries with a time-out whose counter has not moved for that long are reported once, on the completion ring of
// the queue that added them. They are not removed: that is the client's decision. The sweep is incremental.
#pragma once

#include <stdbool.h>

void ageing_turn(void);

// True while a round is on, so that the next step is due soon.
bool ageing_waiting(void);
