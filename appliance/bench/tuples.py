# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Distinct connections for entries, as ``connection_absent`` of native/bench/traffic.c makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.flow.types import CHANGEABLE, Actions, FwdDrop, HeaderFormat, Ip4, Match, Meta, PipeSpec, Udp

DESTINATION, SERVICE, UDP = 0x0B800001, 443, 17


def columns(count: int) -> dict[str, NDArray[Any]]:
    """By field string, in host order."""
    i = np.arange(count, dtype=np.uint32)
    return {
        "outer.ipv4.next_proto": np.full(count, UDP, np.uint8),
        "outer.ipv4.src_ip": 0x0B000000 | i >> 4,
        "outer.ipv4.dst_ip": np.full(count, DESTINATION, np.uint32),
        "outer.udp.src_port": (1024 + (i & 15)).astype(np.uint16),
        "outer.udp.dst_port": np.full(count, SERVICE, np.uint16),
    }


def rows(dtype: np.dtype[np.void], count: int) -> NDArray[np.void]:
    """As rows of ``Pipe.add_rows``."""
    filled: NDArray[np.void] = np.zeros(count, dtype)
    for name, values in columns(count).items():
        place = name if name in (dtype.names or ()) else name.replace(".udp.", ".transport.")
        filled[place] = values
    return filled


def match(src_ip: int = CHANGEABLE, src_port: int = CHANGEABLE, *, changeable: bool = False) -> Match:
    """One of them, or (changeable) the match of a pipe that holds them."""
    return Match(
        outer=HeaderFormat(
            ip4=Ip4(
                next_proto=CHANGEABLE if changeable else UDP,
                src_ip=src_ip,
                dst_ip=CHANGEABLE if changeable else DESTINATION,
            ),
            udp=Udp(src_port=src_port, dst_port=CHANGEABLE if changeable else SERVICE),
        )
    )


def pipe_spec(name: str, count: int) -> PipeSpec:
    """A 5-tuple pipe whose entries set pkt_meta."""
    return PipeSpec(
        name=name,
        is_root=True,
        nr_entries=count,
        match=match(changeable=True),
        actions=(Actions(meta=Meta(pkt_meta=CHANGEABLE)),),
        fwd=FwdDrop(),
    )
