# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Ringfield's management plane: everything above the fast path and libdoca_flow."""
