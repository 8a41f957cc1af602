# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Rows of a table in the layout of its pipe, and forwards as the fast path tells them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.flow import Pipe, Port
from appliance.flow.rows import AdoptedRows
from appliance.flow.types import Fwd, FwdPipe, FwdPort, FwdRss, PipeSpec, PipeType, pipe_name
from appliance.policy.program import Table, fit

Bytes = NDArray[np.bytes_]
Index = NDArray[np.int64]


@dataclass(slots=True)
class Rows:
    """Rows in the layout of a pipe."""

    keys: NDArray[np.void]
    masks: NDArray[np.void] | None
    priorities: NDArray[np.uint32] | None
    args: NDArray[np.void] | None
    tags: NDArray[np.uint64]
    fwds: Bytes
    """As the fast path tells it; empty: the pipe's."""

    def __len__(self) -> int:
        return len(self.tags)

    @property
    def ids(self) -> Bytes:
        """What tells rows apart: key, mask and priority in one."""
        parts = [raw(self.keys)]
        if self.masks is not None:
            parts.append(raw(self.masks))
        if self.priorities is not None:
            parts.append(raw(np.ascontiguousarray(self.priorities, ">u4")))
        return lines(np.concatenate(parts, axis=1))

    def take(self, index: Index) -> Rows:
        """Some of them."""
        return Rows(
            self.keys[index],
            None if self.masks is None else self.masks[index],
            None if self.priorities is None else self.priorities[index],
            None if self.args is None else self.args[index],
            self.tags[index],
            self.fwds[index],
        )


def raw(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """Rows as bytes, one line each."""
    packed = np.ascontiguousarray(rows)
    if not packed.dtype.itemsize:
        return np.zeros((len(packed), 0), np.uint8)
    return packed.view(np.uint8).reshape(len(packed), packed.dtype.itemsize)


def lines(whole: NDArray[np.uint8]) -> Bytes:
    """Lines of bytes as values that can be compared and sorted."""
    count, width = whole.shape
    return np.frombuffer(whole.tobytes(), f"S{width}") if width else np.zeros(count, "S1")


def rows_read(pipe: Pipe, found: AdoptedRows) -> Rows:
    """Rows as the fast path holds them."""
    masked = pipe.spec.type in (PipeType.LPM, PipeType.ACL)
    return Rows(
        found.keys,
        found.masks if masked else None,
        found.priorities if pipe.spec.type is PipeType.ACL else None,
        found.args if found.args.dtype.names else None,
        found.tags,
        found.fwds.astype("S48"),
    )


def no_rows() -> Rows:
    nothing = np.zeros(0, np.dtype([]))
    return Rows(nothing, None, None, None, np.zeros(0, np.uint64), np.zeros(0, "S48"))


def rows_of(table: Table, pipe: Pipe, names: dict[str, str], port: Port) -> Rows:
    """A table's rows in the layout of its pipe."""
    key = pipe.key_dtype
    args = pipe.args_dtype()
    texts = np.array([_fwd_text(translate(fwd, names), port) for fwd in table.fwds] or [""], "S48")
    which = table.fwd_of_row if table.fwd_of_row is not None else np.zeros(len(table.keys), np.uint32)
    return Rows(
        fit(table.keys, key),
        None if table.masks is None else fit(table.masks, key),
        table.priorities,
        None if table.args is None else fit(table.args, args),
        table.tags,
        texts[which],
    )


def translate(fwd: Fwd | None, names: dict[str, str]) -> Fwd | None:
    """A forward with the pipe's name as the fast path has it."""
    if isinstance(fwd, FwdPipe) and fwd.pipe is not None:
        return FwdPipe(names[pipe_name(fwd.pipe)])
    return fwd


def translated(spec: PipeSpec, names: dict[str, str]) -> PipeSpec:
    return replace(spec, fwd=translate(spec.fwd, names), fwd_miss=translate(spec.fwd_miss, names))


def forwards_moved(table: Table, names: dict[str, str]) -> bool:
    """Whether a pipe that rows forward to has another name than the table says."""
    return any(
        isinstance(fwd, FwdPipe)
        and fwd.pipe is not None
        and names[pipe_name(fwd.pipe)] != pipe_name(fwd.pipe)
        for fwd in table.fwds
    )


def fwds_of(table: Table, names: dict[str, str]) -> list[Fwd]:
    return [translate(fwd, names) or fwd for fwd in table.fwds]


def fwd_of_row(table: Table, index: Index | None) -> NDArray[np.uint32] | None:
    if table.fwd_of_row is None:
        return None
    given = table.fwd_of_row if index is None else table.fwd_of_row[index]
    return np.ascontiguousarray(given, np.uint32)


def _fwd_text(fwd: Fwd | None, port: Port) -> str:
    """A forward as the fast path tells it."""
    if fwd is None:
        return ""
    if isinstance(fwd, FwdPort):
        started = port.dpu.ports.get(fwd.port_id)
        return f"port {started.name[:40]}" if started is not None else f"port #{fwd.port_id}"
    if isinstance(fwd, FwdPipe):
        return f"pipe {pipe_name(fwd.pipe)[:40]}" if fwd.pipe is not None else "pipe"
    if isinstance(fwd, FwdRss):
        return f"rss {len(fwd.queues)} queues"
    reason = getattr(fwd, "reason", "")
    return f"{fwd.type.name.lower()} {reason}".strip()


def miss_text(fwd: Fwd | None, port: Port) -> str:
    return _fwd_text(fwd, port) or "none"
