# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Segmentation programs in the reference interpreter. Connections are not modelled: every packet is a first one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.flow.types import Actions, EntrySpec, Fwd, FwdPipe, Match, PipeType, pipe_name
from appliance.policy.program import Program, Table
from tests.differential.reference import Entry, Packet, Pipe, Reference, Result


def _flat(row: Any, names: tuple[str, ...]) -> dict[str, int]:
    """One row as numbers by field."""
    found = {}
    for name in names:
        value = row[name]
        found[name] = int.from_bytes(value.tobytes(), "big") if isinstance(value, np.ndarray) else int(value)
    return found


def entries(table: Table) -> Iterator[EntrySpec]:
    """The rows of a table, one by one."""
    keys: tuple[str, ...] = table.keys.dtype.names or ()

    def match(rows: NDArray[np.void] | None, row: int) -> Match | None:
        return None if rows is None else Match.from_flat(_flat(rows[row], keys))

    for row in range(len(table)):
        fwd = None
        if table.fwds:
            fwd = table.fwds[0 if table.fwd_of_row is None else int(table.fwd_of_row[row])]
        args = (
            None
            if table.args is None
            else Actions.from_flat(_flat(table.args[row], table.args.dtype.names or ()))
        )
        yield EntrySpec(
            match=match(table.keys, row) or Match(), match_mask=match(table.masks, row), actions=args, fwd=fwd,
            tag=int(table.tags[row]),
        )  # fmt: skip


class Interpreter(Reference):
    """A reference that holds a program, and tells the tag that decided and whether policy let the packet pass."""

    def __init__(self, program: Program, ports: list[int]) -> None:
        super().__init__()
        for number in ports:
            self.port_start(number, 0)
        for table in program.tables:
            self.pipe_create(0, table.spec)
            for spec in entries(table):
                self.entry_add(table.name, spec)
        self.tag, self.passed = 0, False

    def judge(self, port: int, frame: bytes) -> tuple[int, bool, Result]:
        """Tag, whether policy lets it pass, and where the packet ended."""
        self.tag, self.passed = 0, False
        (result,) = self.process(port, frame)
        return self.tag, self.passed, result

    def _walk(self, packet: Packet, pipe: Pipe) -> Iterator[Result]:
        if pipe.spec.type is PipeType.CT:
            yield from self._forward(packet, pipe.spec.fwd_miss)
        else:
            yield from super()._walk(packet, pipe)

    def _execute(self, packet: Packet, pipe: Pipe, entry: Entry) -> Iterator[Result]:
        self.tag = entry.spec.tag or self.tag
        yield from super()._execute(packet, pipe, entry)

    def _forward(self, packet: Packet, fwd: Fwd | None) -> Iterator[Result]:
        if isinstance(fwd, FwdPipe) and fwd.pipe is not None and pipe_name(fwd.pipe) == "seg/forward":
            self.passed = True
        yield from super()._forward(packet, fwd)
