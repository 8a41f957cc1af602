# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""libdoca_flow from Python: the only package that touches ``ffi`` and ``lib``.

It knows the C API and nothing of dataclasses: values come in as numbers, bytes and lists of assignments (C
member path, kind, number), handles go out as opaque objects. ``native`` has the module and the errors,
``structs`` fills C structs, ``session`` attaches and has ports, packets, traces and statistics, ``pipes``
has pipes and entries. The library is global to the process, and so is what this package does.
"""
