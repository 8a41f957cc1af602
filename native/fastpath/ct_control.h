// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The control side of connection tracking.
#pragma once

#include "ct_private.h"

// Takes over a CT pipe's memory that no worker sees any more: its connections' last records are told, then it is freed.
void ct_bury(struct ct *ct);
void ct_free(struct ct *ct);
