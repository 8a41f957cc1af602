// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#pragma once

#include "flow.h"

// doca_flow_entries_process() without its checks.
doca_error_t complete_process(struct doca_flow_port *port, uint16_t queue, uint64_t timeout_us, uint32_t max);

// Takes one result of a work entry: status, callback, release.
void complete_one(struct doca_flow_port *port, uint16_t queue, const struct steer_completion *completion);

// Throws waiting results away and frees them.
void complete_forget(struct port_queue *queues, uint16_t nr);
