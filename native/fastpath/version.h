// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#pragma once

// "fastpath 0.1.0 (DPDK 22.11.11)"; static storage, any thread.
const char *fastpath_version(void);
