// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The configuration of autonomous CT pipes, between the public header and the wire.
#pragma once

#include "flow.h"

// Default timers where the program gave none.
void ct_defaults(struct doca_flow_ringfield_ct *ct);
void ct_to_wire(const struct doca_flow_ringfield_ct *ct, struct steer_ct_cfg *wire);
void ct_from_wire(struct doca_flow_ringfield_ct *ct, const struct steer_ct_cfg *wire);
