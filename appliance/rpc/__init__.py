# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""gRPC: thin servicers over ``appliance.flow``, and the client that the command line uses."""
