// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#pragma once

#include "flow.h"

// All pipes that match the query, in one block that the caller frees.
doca_error_t list_pipes(uint32_t session, uint16_t port, struct steer_pipe_info **infos, unsigned int *nr);

// Walks a pipe's entries by ascending number above after (STEER_ENTRY_NONE: all), until visit returns false.
doca_error_t list_entries(uint32_t pipe, uint32_t after, uint32_t max,
	bool (*visit)(
		const struct steer_entry_info *info, const struct steer_entry_add *record, void *context),
	void *context);
