# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Tables as the fast path has them, what is to happen to each, and posting it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.errors import Full
from appliance.flow import Pipe, Port
from appliance.flow.rows import add_rows, remove_rows, update_rows
from appliance.flow.types import PipeSpec, PipeType
from appliance.policy.program import Table
from appliance.policy.reconciler.rows import Index, Rows, fwd_of_row, fwds_of, miss_text, no_rows, rows_of

GROWING: Final = (PipeType.BASIC, PipeType.CT)
"""Pipes that get more room in place, or need none."""


@dataclass(slots=True)
class Live:
    """A table as the fast path has it."""

    name: str
    pipe: Pipe
    digest: str
    """Of the pipe's specification."""
    rows: Rows
    handles: NDArray[np.uintp]
    capacity: int
    miss: str
    table: Table | None = None
    """What was applied last, to know it again when the compiler did not touch it."""


@dataclass(slots=True)
class Step:
    """What happens to one table."""

    table: Table
    spec: PipeSpec
    digest: str
    live: Live | None
    """None: the pipe is created."""
    wanted: Rows | None = None
    removed: Index = field(default_factory=lambda: np.zeros(0, np.int64))
    """Rows of ``live`` that go, those that come back with another tag included."""
    added: Index = field(default_factory=lambda: np.zeros(0, np.int64))
    """Rows of ``wanted``."""
    updated: Index = field(default_factory=lambda: np.zeros(0, np.int64))
    """Rows of ``wanted`` ..."""
    updated_live: Index = field(default_factory=lambda: np.zeros(0, np.int64))
    """... and which rows of ``live`` they are."""
    kept: Index = field(default_factory=lambda: np.zeros(0, np.int64))
    kept_live: Index = field(default_factory=lambda: np.zeros(0, np.int64))
    miss: str | None = None
    """A new miss; None: it stays."""


def digest_of(spec: PipeSpec, name: str) -> str:
    """What tells one pipe from another of the same name: all of its specification but room, label and miss. Of a CT
    pipe, what cannot be changed in operation does not count either: it would end every connection.
    """
    plain = replace(spec, name=name, nr_entries=0, fwd_miss=None, label="")
    if spec.type is PipeType.CT:
        plain = PipeSpec(name=name, type=PipeType.CT, fwd=spec.fwd)
    return hashlib.sha256(repr(plain).encode()).hexdigest()[:16]


def posts(step: Step) -> bool:
    """Whether there is anything to post for a table."""
    return bool(
        step.live is None or step.miss is not None
        or len(step.removed) or len(step.added) or len(step.updated)
    )  # fmt: skip


def create(port: Port, step: Step, names: dict[str, str]) -> Live:
    """Post a table's pipe with its rows; ``names`` of pipes by table."""
    table = step.table
    spec = replace(step.spec, label=f"seg {step.digest}")
    if spec.type is not PipeType.CT:
        spec = replace(spec, nr_entries=_room(table), is_resizable=spec.type is PipeType.BASIC)
    pipe = port.pipe_create(spec)
    handles = np.zeros(0, np.uintp)
    rows = no_rows() if spec.type is PipeType.CT else rows_of(table, pipe, names, port)
    if len(rows):
        handles = add_rows(
            pipe, rows.keys, masks=rows.masks, args=rows.args, priorities=rows.priorities, tags=rows.tags,
            monitor=table.spec.monitor, fwd=fwds_of(table, names), fwd_of_row=fwd_of_row(table, None),
        )  # fmt: skip
    miss = miss_text(spec.fwd_miss, port)
    return Live(table.name, pipe, step.digest, rows, handles, spec.nr_entries, miss, table)


def change(step: Step, live: Live, names: dict[str, str]) -> Live:
    """Post what differs; the table as it is afterwards."""
    pipe, table = live.pipe, step.table
    if step.miss is not None:
        pipe.update_miss(step.spec.fwd_miss)
        live.miss = step.miss
    wanted = step.wanted
    if wanted is None:
        return live
    fwds = fwds_of(table, names)
    if len(step.removed):
        remove_rows(pipe, live.handles[step.removed])
    if len(step.updated):
        some = wanted.take(step.updated)
        update_rows(
            pipe, live.handles[step.updated_live], args=some.args, monitor=table.spec.monitor, fwd=fwds,
            fwd_of_row=fwd_of_row(table, step.updated),
        )  # fmt: skip
    handles = np.zeros(len(wanted), np.uintp)
    handles[step.kept] = live.handles[step.kept_live]
    handles[step.updated] = live.handles[step.updated_live]
    if len(step.added):
        some = wanted.take(step.added)
        handles[step.added] = add_rows(
            pipe, some.keys, masks=some.masks, args=some.args, priorities=some.priorities, tags=some.tags,
            monitor=table.spec.monitor, fwd=fwds, fwd_of_row=fwd_of_row(table, step.added),
        )  # fmt: skip
    return replace(live, rows=wanted, handles=handles, table=None)


def destroy(gone: Sequence[Live]) -> None:
    """Destroy pipes, what forwards before what is forwarded to. Their entries are removed first: the numbers of
    entries that go with a pipe are free in the library at once, in the fast path when the transaction ends.
    """
    for live in reversed(gone):
        if len(live.handles):
            remove_rows(live.pipe, live.handles)
        live.pipe.destroy()


def _room(table: Table) -> int:
    """Entries to reserve: rows may double before a pipe must grow."""
    wanted = max(table.spec.nr_entries, 2 * len(table) + 256)
    return 1 << (wanted - 1).bit_length()


def _needed(live: Live, table: Table) -> int:
    """Room for old and new rows side by side, as in the worst transaction."""
    return len(table) + min(len(table), len(live.handles))


def fits(live: Live, table: Table) -> bool:
    """Whether a pipe has the room, or can be given it."""
    return live.pipe.spec.type in GROWING or _needed(live, table) <= live.capacity


def grow(live: Live, table: Table) -> None:
    """Give a pipe more room; no packet notices."""
    needed = _needed(live, table)
    while live.pipe.spec.type is PipeType.BASIC and live.capacity < needed:
        grown = live.pipe.resize()
        if grown <= live.capacity:
            raise Full(f"pipe {live.pipe.name} holds {live.capacity} entries and cannot grow to {needed}")
        live.capacity = grown
