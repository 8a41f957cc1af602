// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <string.h>

#include "ringfield_version.h"
#include "tap.h"

int main(void)
{
	ok(!strcmp(ringfield_version(), RINGFIELD_VERSION),
		"the library tells the version it was built from");
	return tap_done();
}
