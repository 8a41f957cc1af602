// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What the fast path tells people, on stderr, one line each. Control thread only; workers never log.
#pragma once

// "fastpath: sentence\n"
void notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
