// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Work entries: from a session's submission rings through the decoder to the tables, completions back.
#pragma once

#include "decode.h"
#include "session.h"

// Handles a bounded batch of one queue. Returns how many work entries. Ends the session when the ring is impossible.
unsigned int queue_turn(struct session *session, unsigned int index);

// Tells of an aged entry on a completion ring. False when the ring has no room: try again later.
bool queue_notify_aged(
	struct session *session, unsigned int index, uint32_t entry, uint64_t user_data, uint32_t counter);
