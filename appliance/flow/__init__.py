# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Pythonic DOCA Flow.

Values (``Match``, ``Actions``, ``Fwd`` ...) are in ``appliance.flow.types``, which needs no fast path.
"""
