// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#pragma once

#include "flow.h"

doca_error_t shared_init(const struct doca_flow_cfg *cfg);
void shared_fini(void);
// Unbinds what is bound to a pipe or port that goes away.
void shared_unbind(const void *object);

// Whether a resource can be referred to: within the reserve, configured and bound.
doca_error_t shared_check(const char *pipe, enum doca_flow_shared_resource_type type, uint32_t id);
doca_error_t shared_get_cfg(const char *pipe, enum doca_flow_shared_resource_type type, uint32_t id,
	struct doca_flow_shared_resource_cfg *cfg);
