# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The command line. It composes the other packages and holds no logic of its own."""
