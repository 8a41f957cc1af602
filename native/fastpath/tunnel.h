// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Headers of tunnels, beyond what actions do with them.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Makes of the header of a frame that came out of an L2 tunnel the header of an answer, which goes back into it: MACs and IP
// addresses change places, lengths and checksum are those of a frame of frame_len bytes, the header's `length` included.
// False: it is no such header, and may be spoilt.
bool tunnel_back(uint8_t *header, uint32_t length, uint32_t frame_len);
