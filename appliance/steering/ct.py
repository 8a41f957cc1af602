# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Autonomous connection tracking: policy epoch, adoption, lists, records, statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance._ringfield import ffi, lib
from appliance.errors import NotFound
from appliance.steering.native import Cdata, check, plain
from appliance.steering.records import FLOW_RECORD

_RECORD = "struct doca_flow_ringfield_flow_record"
_TIMERS = "timeout_ms"


def _verify() -> None:
    """The dtype is C's struct, member for member."""
    given: Any = FLOW_RECORD.fields
    for name, member in ffi.typeof(_RECORD).fields:
        if name == "reserved" or name.startswith("pad"):
            continue
        form, offset = given[name][:2]
        if offset != member.offset or form.itemsize != ffi.sizeof(member.type):
            raise ImportError(f"FLOW_RECORD.{name} is not where the library has it")
    if FLOW_RECORD.itemsize != ffi.sizeof(_RECORD):
        raise ImportError("FLOW_RECORD has not the size of the library's record")


_verify()


def config(members: Mapping[str, int], timeouts_ms: Sequence[int]) -> Cdata:
    """``struct doca_flow_ringfield_ct``."""
    made = ffi.new("struct doca_flow_ringfield_ct *")
    for name, number in members.items():
        setattr(made, name, number)
    for i, timeout in enumerate(timeouts_ms):
        made.timeout_ms[i] = timeout
    return made


def pipe_config(pipe: Cdata) -> dict[str, Any] | None:
    """The configuration of a CT pipe; None: it is no autonomous one."""
    out = ffi.new("struct doca_flow_ringfield_ct *")
    try:
        check(lib.doca_flow_ringfield_pipe_ct(pipe, out))
    except NotFound:
        return None
    return dict(plain(out))


def epoch(revision: int, identities: Sequence[int] | None) -> None:
    """The policy has changed: for all connections, or for those of some identities."""
    if identities is None:
        check(lib.doca_flow_ringfield_ct_epoch(revision, True, ffi.NULL, 0))
        return
    array = np.ascontiguousarray(identities, dtype=np.uint32)
    check(
        lib.doca_flow_ringfield_ct_epoch(
            revision, False, ffi.from_buffer("uint32_t[]", array) if len(array) else ffi.NULL, len(array)
        )
    )


def adopt(address: bytes, zone: int, window_ms: int) -> None:
    """Open a window in which out-of-state TCP of an address (4 or 16 bytes; empty: all) may be adopted."""
    made = ffi.new("struct doca_flow_ringfield_ct_adopt *")
    ffi.buffer(made.address)[0 : len(address)] = address
    made.zone, made.window_ms = zone, window_ms
    made.version = {0: 0, 4: 4, 16: 6}[len(address)]
    check(lib.doca_flow_ringfield_ct_adopt(made))


def listed(cursor: int, most: int) -> tuple[NDArray[np.void], int]:
    """Some connections, and the cursor to go on with (0 at the end)."""
    rows = np.zeros(most, dtype=FLOW_RECORD)
    at, number = ffi.new("uint64_t *", cursor), ffi.new("uint32_t *")
    check(lib.doca_flow_ringfield_ct_list(at, ffi.from_buffer(f"{_RECORD}[]", rows), most, number))
    return rows[: number[0]], int(at[0])


class Records:
    """Takes flow records. One thread at a time."""

    def __init__(self, room: int) -> None:
        self._rows = np.zeros(room, dtype=FLOW_RECORD)
        self._bytes = self._rows.view(np.uint8).reshape(room, FLOW_RECORD.itemsize)
        self._place = ffi.from_buffer(f"{_RECORD}[]", self._rows)
        self._number, self._lost = ffi.new("uint32_t *"), ffi.new("uint64_t *")

    def take(self, timeout_us: int) -> tuple[NDArray[np.void], int]:
        """What has arrived, waiting for the first one; and how many were lost since the session began."""
        check(
            lib.doca_flow_ringfield_flow_records(
                self._place, len(self._rows), timeout_us, self._number, self._lost
            )
        )
        # As bytes: numpy copies a record with gaps one member at a time.
        taken = self._bytes[: self._number[0]].copy()
        return taken.view(FLOW_RECORD).reshape(len(taken)), int(self._lost[0])


def stats() -> dict[str, int]:
    """``struct doca_flow_ringfield_ct_stats``; no call to the fast path."""
    out = ffi.new("struct doca_flow_ringfield_ct_stats *")
    check(lib.doca_flow_ringfield_ct_stats_get(out))
    return dict(plain(out))
