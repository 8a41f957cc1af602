# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Flow records as numpy sees them. Needs no native module; ``appliance.steering.ct`` compares it with C's."""

from __future__ import annotations

from typing import Final

import numpy as np

_FIELDS: Final[tuple[tuple[str, str, int], ...]] = (
    ("id", "=u8", 8),
    ("first_ns", "=u8", 16),
    ("last_ns", "=u8", 24),
    ("packets", "(2,)=u8", 32),
    ("bytes", "(2,)=u8", 48),
    ("tag", "=u8", 64),
    ("revision", "=u8", 72),
    ("src_ip", "(16,)u1", 80),
    ("dst_ip", "(16,)u1", 96),
    ("zone", "=u4", 112),
    ("src_identity", "=u4", 116),
    ("dst_identity", "=u4", 120),
    ("src_port", "=u2", 124),
    ("dst_port", "=u2", 126),
    ("src_mac", "(6,)u1", 128),
    ("dst_mac", "(6,)u1", 134),
    ("in_port", "=u2", 140),
    ("out_port", "=u2", 142),
    ("vlan", "=u2", 144),
    ("ip_version", "u1", 146),
    ("protocol", "u1", 147),
    ("icmp_type", "u1", 148),
    ("icmp_code", "u1", 149),
    ("tcp_flags", "(2,)u1", 150),
    ("tcp_state", "u1", 152),
    ("event", "u1", 153),
    ("create", "u1", 154),
    ("close", "u1", 155),
    ("drop", "u1", 156),
    ("frames", "=u4", 160),
    ("boot", "=u4", 164),
)

FLOW_RECORD: Final[np.dtype[np.void]] = np.dtype(
    {
        "names": [name for name, _, _ in _FIELDS],
        "formats": [form for _, form, _ in _FIELDS],
        "offsets": [offset for _, _, offset in _FIELDS],
        "itemsize": 168,
    }
)
"""``struct doca_flow_ringfield_flow_record``: one change of one connection. Source is who opened it; addresses
are bytes in network order, IPv4 in the first four; ``packets`` and ``bytes`` are the opener's and the
responder's, since the opening; times in ns since the epoch; ports of the fast path (``in_port``,
``out_port``) by index, 65535 for none. ``event``, ``create``, ``close``, ``tcp_state`` are numbers of the
enums in ``appliance.flow.types``; ``drop`` is the number of a drop reason.
"""
