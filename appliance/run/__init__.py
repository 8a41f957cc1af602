# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Running an appliance: configuration file, supervisor of the fast path, laboratory namespaces."""
