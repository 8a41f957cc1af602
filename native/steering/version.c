// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include "ringfield_version.h"

const char *ringfield_version(void)
{
	return RINGFIELD_VERSION;
}
