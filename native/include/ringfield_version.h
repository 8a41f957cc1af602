// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#pragma once

// Version of the Ringfield that the library was built from, e.g. "0.1.0". Never NULL, never freed; any thread.
const char *ringfield_version(void);
