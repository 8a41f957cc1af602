# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Segmentation policy: the model, its compiler to DOCA Flow pipes, and what is asked of it."""
