// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#pragma once

#include "flow.h"

// Zero for STEER_COUNTER_NONE.
doca_error_t query_slot(uint32_t slot, struct doca_flow_resource_query *data);
