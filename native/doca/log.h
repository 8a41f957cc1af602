// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#pragma once

#include <doca_log.h>

// One line from the library itself, to the SDK backends. Any thread.
void log_sdk(enum doca_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
