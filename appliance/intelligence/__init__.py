# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Central intelligence: one service that holds identities and policy for a fleet, and each appliance's end of it."""
