// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Rows: an entry's key, mask and arguments as packed bytes, one column per field; what numpy arrays are made of.
#pragma once

#include "flow.h"

// Bytes of a key row; 0 for pipes without rows.
uint32_t rows_key_bytes(const struct doca_flow_pipe *pipe);

// The wire's key of a row. mask is needed by LPM and ACL only; NULL: full addresses, single ports.
doca_error_t rows_to_key(
	const struct doca_flow_pipe *pipe, const uint8_t *row, const uint8_t *mask, uint8_t *key);
// And back.
void rows_from_key(const struct doca_flow_pipe *pipe, const uint8_t *key, uint8_t *row, uint8_t *mask);

bool rows_have_masks(const struct doca_flow_pipe *pipe);
