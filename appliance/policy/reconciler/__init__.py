# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Brings the fast path to a compiled program, by posting only what differs."""

from appliance.policy.layout import PREFIX
from appliance.policy.reconciler.reconciler import Applied, OutOfStep, Reconciler, is_ours

__all__ = ["PREFIX", "Applied", "OutOfStep", "Reconciler", "is_ours"]
