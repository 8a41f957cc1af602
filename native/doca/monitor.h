// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#pragma once

#include "flow.h"

doca_error_t meter_to_wire(const struct doca_flow_resource_meter_cfg *cfg, struct steer_meter *meter);

// A pipe's monitor, checked against what the pipe's type can do.
doca_error_t monitor_compile(const char *pipe, enum doca_flow_pipe_type type,
	const struct doca_flow_monitor *monitor, struct steer_monitor *out);

// What an entry ends up with: the pipe's constants and what the entry brings. *present: the work entry must carry it.
doca_error_t monitor_of_entry(const struct doca_flow_pipe *pipe, const struct doca_flow_monitor *monitor,
	struct steer_monitor *out, bool *present);
