// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#pragma once

#include "flow.h"

// What a forward belongs to, for the reasons of refusals.
struct fwd_at {
	const struct doca_flow_port *port;
	const char *pipe;
	const char *role; // "fwd", "fwd_miss", "entry's fwd"
	bool egress;      // in the egress domain
};

// Translates a forward. open (NULL: nothing may be left open) tells what is left to entries.
doca_error_t fwd_to_wire(
	const struct fwd_at *at, const struct doca_flow_fwd *fwd, struct steer_fwd *out, enum fwd_open *open);

// A miss: PIPE, DROP, TARGET; NULL and NONE mean the port's default miss.
doca_error_t fwd_miss_to_wire(
	const struct fwd_at *at, const struct doca_flow_fwd *fwd, struct steer_fwd *out);

// The forward of an entry: *present says whether the work entry must carry it.
doca_error_t fwd_of_entry(const struct doca_flow_pipe *pipe, const struct doca_flow_fwd *fwd,
	struct steer_fwd *out, bool *present);

// "port p1", "pipe ACL", "drop" ...
const char *fwd_text(const struct steer_fwd *fwd, char *text, size_t bytes);
