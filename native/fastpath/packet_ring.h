// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Packets between sessions and workers: injected and transmitted frames in; software packets, captures and the wire side
// of ring ports out. Workers never touch a client's memory: everything is copied here.
#pragma once

#include <stdbool.h>

#include "session.h"

// Takes a bounded batch of frames from the session's packet ring. A frame for which there is no buffer or no room stays
// in the ring (packets_blocked). Returns how many were taken.
unsigned int packets_take(struct session *session);

// Hands out what workers and ring ports have for software. Returns how many packets.
unsigned int packets_turn(void);
bool packets_pending(void);

// What a session wants (STEER_OP_RECEIVE, STEER_OP_CAPTURE). -EINVAL, -ENOENT.
int packets_receive(struct session *session, const struct steer_receive *receive, char why[CONFIG_WHY_MAX]);
int packets_capture(struct session *session, const struct steer_capture *capture, char why[CONFIG_WHY_MAX]);

// The session wants nothing any more.
void packets_forget(struct session *session);

// Tells the workers what to copy; after a change of captures or ports.
void packets_refresh_captures(void);
