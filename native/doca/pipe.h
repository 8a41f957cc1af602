// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#pragma once

#include "flow.h"

// Destroys all pipes of a port in the fast path, too. flow.lock is held.
doca_error_t pipe_destroy_all(struct doca_flow_port *port);
// Frees all memory of a handle that is not linked.
void pipe_free(struct doca_flow_pipe *pipe);
