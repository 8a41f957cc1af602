// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// How long a connection lives without packets where its configuration does not say, in seconds: X(timer, seconds), for
// STEER_CT_TIMER_* and DOCA_FLOW_RINGFIELD_CT_TIMER_* alike.

#pragma once

#define CT_TIMER_DEFAULTS(X)     \
	X(TCP_ESTABLISHED, 3600) \
	X(TCP_SETUP, 30)         \
	X(TCP_HALF_CLOSED, 120)  \
	X(TCP_CLOSE, 1)          \
	X(UDP, 30)               \
	X(ICMP, 6)               \
	X(OTHER, 30)             \
	X(DENIED_TCP, 90)        \
	X(DENIED_OTHER, 60)
