// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "notice.h"

void notice(const char *format, ...)
{
	char line[1024] = "fastpath: ";
	size_t used = strlen(line);
	va_list args;

	va_start(args, format);
	vsnprintf(line + used, sizeof(line) - used - 1, format, args);
	va_end(args);
	used = strlen(line);
	line[used++] = '\n';
	// One write, so that lines of several processes on one log do not mix.
	ssize_t written = write(STDERR_FILENO, line, used);

	(void)written;
}
