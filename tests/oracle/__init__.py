# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Policy judged by brute force, and compared with what the compiler made of it."""
