// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#pragma once

#include "flow.h"

// Rules about a pipe's configuration as a whole, before anything is compiled.
doca_error_t pipe_check(const struct doca_flow_pipe_cfg *cfg, const struct doca_flow_fwd *fwd);

// Compiles a configuration into a handle that the fast path does not know yet.
doca_error_t pipe_compile(const struct doca_flow_pipe_cfg *cfg, const struct doca_flow_fwd *fwd,
	const struct doca_flow_fwd *fwd_miss, struct doca_flow_pipe **out);

// The handle as the fast path wants it; the caller frees.
struct steer_pipe_spec *pipe_spec_build(const struct doca_flow_pipe *pipe);
