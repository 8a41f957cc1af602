// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Events to sessions (enum steer_event_kind). What does not fit into a session's ring is counted there as lost.
#pragma once

#include <stdint.h>

// To every session. text may be NULL.
void events_send(uint32_t kind, uint16_t port, uint64_t value, const char *text);

// To one.
void events_send_to(uint32_t session, uint32_t kind, uint16_t port, uint64_t value, const char *text);
