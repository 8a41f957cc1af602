// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The least that a C test needs: each ok() is one test point, main ends with return tap_done().
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int tap_count, tap_failures;

// Records a test point and says where it failed; the test goes on. Gives back the condition.
__attribute__((format(printf, 4, 5), unused)) static bool tap_ok(
	bool good, const char *file, int line, const char *format, ...)
{
	va_list args;

	tap_count++;
	tap_failures += !good;
	printf("%sok %d - ", good ? "" : "not ", tap_count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	if (!good)
		printf("# at %s:%d\n", file, line);
	fflush(stdout);
	return good;
}

#define ok(condition, ...) tap_ok((condition), __FILE__, __LINE__, __VA_ARGS__)

// Ends the test at once when going on makes no sense.
#define require(condition, ...)                    \
	do {                                       \
		if (!ok(condition, __VA_ARGS__)) { \
			printf("Bail out!\n");     \
			exit(1);                   \
		}                                  \
	} while (0)

// Skips the whole test, with the reason.
#define skip_all(reason)                            \
	do {                                        \
		printf("1..0 # SKIP %s\n", reason); \
		exit(0);                            \
	} while (0)

// Prints the plan; the exit status of main.
__attribute__((unused)) static int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failures != 0;
}
