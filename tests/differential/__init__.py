# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The reference interpreter, and the comparison of the fast path with it."""
