// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#pragma once

#include <stdbool.h>

#include <doca_flow.h>

bool helpers_is_kernel(const struct doca_flow_target *target);
