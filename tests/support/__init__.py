# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What tests share: the tree, namespaces, a fast path of their own."""
