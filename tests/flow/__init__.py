# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""appliance.flow on a private fast path with ring ports; neither root nor hugepages."""
