// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <stdio.h>

#include <rte_version.h>

#include "version.h"

const char *fastpath_version(void)
{
	static _Thread_local char text[96];

	snprintf(text, sizeof(text), "fastpath " RINGFIELD_VERSION " (%s)", rte_version());
	return text;
}
