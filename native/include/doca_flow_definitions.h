// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Definitions: match and action structures that a program extends with fields of its own. A definition names a field
// by its opcode string ("match.packet.tunnel.psp.dw6", "actions.packet.meta.mark") and says where in the program's
// structure it lies; the structure must begin with the doca_flow_match or doca_flow_actions it extends.

#ifndef DOCA_FLOW_DEFINITIONS_H_
#define DOCA_FLOW_DEFINITIONS_H_

#ifndef RINGFIELD_CDEF
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#endif

#include <doca_compat.h>
#include <doca_error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct doca_flow_definitions_cfg;
struct doca_flow_definitions;

// Before doca_flow_init(), from one thread. Errors: INVALID_VALUE, NO_MEMORY, NOT_SUPPORTED (unknown opcode string).
DOCA_EXPERIMENTAL
doca_error_t doca_flow_definitions_cfg_create(struct doca_flow_definitions_cfg **defs_cfg);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_definitions_cfg_destroy(struct doca_flow_definitions_cfg *defs_cfg);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_definitions_create(
	struct doca_flow_definitions_cfg *defs_cfg, struct doca_flow_definitions **defs);
// Offset and length in bytes.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_definitions_add_field(struct doca_flow_definitions *defs, const char *field_opcode_str,
	uint32_t field_offset, uint32_t field_length);
DOCA_EXPERIMENTAL
void doca_flow_definitions_destroy(struct doca_flow_definitions *defs);

#ifdef __cplusplus
}
#endif

#endif // DOCA_FLOW_DEFINITIONS_H_
