// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The fast path's process: options, start-up and orderly end.

#include <stdio.h>
#include <string.h>

#include "version.h"

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts(fastpath_version());
		return 0;
	}
	fprintf(stderr, "usage: fastpath --version\n");
	return 2;
}
