# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The program as the fast path tells of it, against the one that it was given: a digest of each.

Of every table, each time: that its pipe is there, what it was built from, how many rows it holds, where misses go. Rows
are read back one after the other, some thousands each time, and begun anew at the end: key, mask, priority, arguments,
forward and tag. A row that is another one shows until its table was read again and found good.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.errors import FlowError
from appliance.flow import Dpu, Pipe
from appliance.flow.rows import AdoptedRows, look_rows
from appliance.flow.types import PipeType
from appliance.policy.program import Program
from appliance.policy.reconciler import Reconciler
from appliance.policy.reconciler.rows import Bytes, Index, Rows, miss_text, raw, rows_read, translated

ROWS: Final = 8192
"""That are read each time, or a few more."""


class ReadBack:
    """See the module. One thread."""

    def __init__(self) -> None:
        self._table, self._after, self._good = "", -1, True
        """Where reading goes on, and whether the table was good so far."""
        self._sorted: dict[str, tuple[Rows, Bytes, Index]] = {}
        """By table: rows as they were given, their ids in order, and which row each is."""
        self._wrong: dict[str, tuple[Rows, str]] = {}
        """By table: what it should hold, and what is wrong."""

    def digests(self, reconciler: Reconciler, dpu: Dpu, program: Program) -> tuple[bytes, bytes]:
        """SHA-256 over all tables: as the program has them, and as the fast path does."""
        names = reconciler.pipes
        port = next(iter(dpu.ports.values()))
        expected: list[object] = []
        found: list[object] = []
        for table in program.tables:
            pipe = port.pipes.get(names.get(table.name, ""))
            if pipe is None:
                expected.append(table.name)
                continue
            miss = miss_text(translated(table.spec, names).fwd_miss, port)
            counted = table.spec.type is not PipeType.CT  # of a CT pipe it would be connections
            expected.append([table.name, pipe.name, pipe.spec.label, miss, len(table) if counted else 0])
            try:
                info = pipe.info()
            except FlowError as error:
                found.append([table.name, error.reason])
                continue
            found.append([table.name, info.name, info.label, info.fwd_miss_text, info.used if counted else 0])
        found += self._rows({name: one for name, one in reconciler.given.items() if len(one[1])})
        return _digest(expected), _digest(found)

    def _rows(self, given: dict[str, tuple[Pipe, Rows]]) -> list[str]:
        """Read on; what is wrong with rows that were read, as far as it was not mended since."""
        names, left, begun = sorted(given), ROWS, 0
        while names and left > 0 and begun <= len(names):
            if self._table not in given:
                self._next(names)
                begun += 1
            name = self._table
            pipe, rows = given[name]
            try:
                seen, self._after = look_rows(pipe, self._after)
            except FlowError as error:
                self._wrong[name], self._good = (rows, f"{name}: {error.reason}"), False
                self._next(names)
                begun += 1
                continue
            count = len(seen.tags)
            if count and (why := self._differs(name, rows, pipe, seen)):
                self._wrong[name], self._good = (rows, f"{name}: {why}"), False
            if not count:
                if self._good:
                    self._wrong.pop(name, None)
                self._next(names)
                begun += 1
            left -= count
        self._wrong = {
            name: one for name, one in self._wrong.items() if name in given and given[name][1] is one[0]
        }
        return [why for _, why in self._wrong.values()]

    def _next(self, names: list[str]) -> None:
        later = [name for name in names if name > self._table]
        self._table, self._after, self._good = (later or names)[0], -1, True

    def _differs(self, name: str, rows: Rows, pipe: Pipe, seen: AdoptedRows) -> str:
        """What is wrong with rows; empty: nothing."""
        known = self._sorted.get(name)
        if known is None or known[0] is not rows:
            ids = rows.ids
            order = np.argsort(ids, kind="stable")
            known = self._sorted[name] = rows, ids[order], order
        _, ids, order = known
        there = rows_read(pipe, seen)
        at = np.minimum(np.searchsorted(ids, there.ids), len(ids) - 1)
        if not (good := ids[at] == there.ids).all():
            return f"{int((~good).sum())} rows were never given"
        mine = order[at]
        good = (rows.tags[mine] == there.tags) & (rows.fwds[mine] == there.fwds)
        if rows.args is not None and there.args is not None:
            same: NDArray[np.bool_] = (raw(rows.args[mine]) == raw(there.args)).all(axis=1)
            good &= same
        return "" if good.all() else f"{int((~good).sum())} rows do something else"


def _digest(value: object) -> bytes:
    return hashlib.sha256(json.dumps(value).encode()).digest()
