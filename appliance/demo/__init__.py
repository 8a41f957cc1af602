# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Demonstrations: a laboratory on one machine, real traffic, what was expected against what was measured."""
