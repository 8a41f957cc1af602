# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Entries of one pipe as rows of arrays, for whoever keeps large tables of his own.

``Pipe.add_rows`` makes an object per batch and, on demand, per entry. Here an entry is a number in an array (its
handle), so that any subset can be updated and removed in one call. Handles are valid until the entry is removed, its
pipe is gone, or a transaction that removed the entry failed: then attach anew, which disturbs no packet.

"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.errors import NotSupported, error_from_code
from appliance.flow import convert
from appliance.flow.pipe import Pipe
from appliance.flow.types import Fwd, Monitor
from appliance.steering import pipes

Handles = NDArray[np.uintp]


@dataclass(frozen=True, slots=True)
class AdoptedRows:
    """What an adopted pipe holds, one item per entry. Rows have the pipe's dtypes; ``args`` those of template 0."""

    handles: Handles
    keys: NDArray[np.void]
    masks: NDArray[np.void]
    args: NDArray[np.void]
    action_idx: NDArray[np.uint8]
    priorities: NDArray[np.uint32]
    tags: NDArray[np.uint64]
    fwds: NDArray[np.bytes_]
    """As text (``port p1``, ``pipe web``, ``drop``); empty: the pipe's."""


def _raise(code: int, reason: str) -> None:
    if code:
        raise error_from_code(code, reason)


def add_rows(
    pipe: Pipe,
    keys: NDArray[np.void],
    *,
    masks: NDArray[np.void] | None = None,
    args: NDArray[np.void] | None = None,
    action_idx: int = 0,
    priorities: NDArray[np.uint32] | None = None,
    tags: NDArray[np.uint64] | None = None,
    monitor: Monitor | None = None,
    fwd: Sequence[Fwd] = (),
    fwd_of_row: NDArray[np.uint32] | None = None,
    queue: int = 0,
) -> Handles:
    """Add one entry per row; their handles. Raises the first error; inside a transaction nothing is changed then."""
    bulk = pipes.Bulk(
        pipe.handle, len(keys), queue, action_idx, keys, masks, args, priorities, tags,
        convert.monitor_parts(monitor), pipe.fwds(fwd), fwd_of_row,
    )  # fmt: skip
    _raise(*pipe.run(bulk, "add"))
    return pipes.handle_numbers(bulk.entries, len(keys))


def update_rows(
    pipe: Pipe,
    handles: Handles,
    *,
    args: NDArray[np.void] | None = None,
    action_idx: int = 0,
    monitor: Monitor | None = None,
    fwd: Sequence[Fwd] = (),
    fwd_of_row: NDArray[np.uint32] | None = None,
    queue: int = 0,
) -> None:
    """New arguments and forwards for these entries; keys and tags stay. Raises the first error."""
    bulk = pipes.Bulk(
        pipe.handle, len(handles), queue, action_idx, args=args, monitor=convert.monitor_parts(monitor),
        fwds=pipe.fwds(fwd), fwd_of_row=fwd_of_row, entries=np.array(handles, np.uintp),
    )  # fmt: skip
    _raise(*pipe.run(bulk, "update"))


def remove_rows(pipe: Pipe, handles: Handles, *, queue: int = 0) -> None:
    """Remove these entries. Raises the first error."""
    bulk = pipes.Bulk(pipe.handle, len(handles), queue, entries=np.array(handles, np.uintp))
    _raise(*pipe.run(bulk, "remove"))


def adopt_rows(pipe: Pipe, queue: int = 0) -> AdoptedRows:
    """Of an adopted pipe: its entries. Once per pipe, instead of ``Pipe.adopt_entries``."""
    key, args = _dtypes(pipe)
    return _made(pipes.adopt_rows(pipe.handle, queue, key.itemsize, args.itemsize), key, args)


def look_rows(pipe: Pipe, after: int = -1) -> tuple[AdoptedRows, int]:
    """Up to 4096 entries of a pipe as the fast path holds them now, numbered above ``after`` (-1: from the first), and
    the number of the last. No handles; no entries: there are no more.
    """
    key, args = _dtypes(pipe)
    raw = pipes.look_rows(pipe.handle, key.itemsize, args.itemsize, after)
    return _made(raw, key, args), int(raw.infos["number"][-1]) if len(raw.infos) else after


def _dtypes(pipe: Pipe) -> tuple[np.dtype[np.void], np.dtype[np.void]]:
    try:
        return pipe.key_dtype, pipe.args_dtype()
    except NotSupported:  # control and ordered list pipes have no rows
        return np.dtype([]), np.dtype([])


def _made(raw: pipes.AdoptedRows, key: np.dtype[np.void], args: np.dtype[np.void]) -> AdoptedRows:
    def rows(data: NDArray[np.uint8], dtype: np.dtype[np.void]) -> NDArray[np.void]:
        if not dtype.itemsize:
            return np.zeros(len(data), dtype)
        return np.ascontiguousarray(data).view(dtype).reshape(len(data))

    return AdoptedRows(
        raw.handles,
        rows(raw.keys, key),
        rows(raw.masks, key),
        rows(raw.args, args),
        raw.infos["action_idx"],
        raw.infos["priority"],
        raw.infos["tag"],
        raw.infos["fwd"],
    )
