# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Brings the fast path to a compiled program, by posting only what differs.

Pipes of the program are named ``seg/...`` in the fast path, with ``~2`` and so on behind the name of one that had to
be built anew beside its predecessor. What a pipe was built from is told by a digest in its label, so that an appliance
that was killed finds out what it had posted from the fast path alone. Everything is posted in one transaction: a packet
is judged by the old program or by the new one. Behind it, connections are told to be judged again: those of the
identities concerned, all of them, or none.

One thread at a time; nothing here waits for anybody but the fast path.
"""

# ruff: noqa: N818 - errors are named after what is wrong

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog

from appliance.errors import FlowError, InvalidValue
from appliance.flow import Dpu, Pipe, Port
from appliance.flow.rows import adopt_rows, update_rows
from appliance.flow.types import PipeType
from appliance.policy.layout import PREFIX
from appliance.policy.program import Program, fit
from appliance.policy.reconciler.concerned import concerned_by
from appliance.policy.reconciler.rows import (
    Index,
    Rows,
    forwards_moved,
    miss_text,
    raw,
    rows_of,
    rows_read,
    translated,
)
from appliance.policy.reconciler.tables import (
    Live,
    Step,
    change,
    create,
    destroy,
    digest_of,
    fits,
    grow,
    posts,
)

log = structlog.get_logger(__name__)


class OutOfStep(FlowError):
    """A transaction failed; what this process knows of the fast path is no longer right. Attach anew and ``adopt``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What ``apply`` did."""

    rows_added: int = 0
    rows_updated: int = 0
    rows_removed: int = 0
    pipes_created: int = 0
    pipes_destroyed: int = 0
    concerned: frozenset[int] | None = frozenset()
    """Identities whose connections are judged again; None: all."""
    seconds: float = 0.0

    @property
    def changed(self) -> bool:
        """Whether anything was posted."""
        return bool(self.rows_added or self.rows_updated or self.rows_removed or self.pipes_created)


class Reconciler:
    """What the fast path holds of the segmentation program, and how to change it."""

    def __init__(self) -> None:
        self._live: dict[str, Live] = {}
        self._port: Port | None = None
        self._in_step = False

    # -- what is there

    @property
    def tables(self) -> dict[str, int]:
        """Rows in the fast path by table."""
        return {name: len(live.handles) for name, live in self._live.items()}

    @property
    def pipes(self) -> dict[str, str]:
        """Name of the pipe of each table."""
        return {name: live.pipe.name for name, live in self._live.items()}

    @property
    def given(self) -> dict[str, tuple[Pipe, Rows]]:
        """Pipe of each table, and the rows that it was given; connection tracking has none."""
        return {
            name: (live.pipe, live.rows)
            for name, live in self._live.items()
            if live.pipe.spec.type is not PipeType.CT
        }

    def adopt(self, dpu: Dpu, port: Port) -> bool:
        """Take over what an earlier appliance left on the port; whether there was anything.

        ``Port.adopt`` must have been called when the session was resumed. To be called after each attach.
        """
        self._live, self._port = {}, port
        left: list[Pipe] = []
        for pipe in [pipe for name, pipe in port.pipes.items() if is_ours(name)]:
            name, label = pipe.name.partition("~")[0], pipe.spec.label
            if name in self._live or not label.startswith("seg "):
                left.append(pipe)
                continue
            found = adopt_rows(pipe)
            rows = rows_read(pipe, found)
            info = pipe.info()
            self._live[name] = Live(
                name,
                pipe,
                label.removeprefix("seg "),
                rows,
                found.handles,
                int(info.capacity),
                info.fwd_miss_text,
            )
        self._in_step = True
        if left:
            # Transactions are whole, so that no change that was cut short left it: it is somebody's doing.
            log.warning("pipes that are not the appliance's are removed", pipes=[pipe.name for pipe in left])
            with dpu.transaction():
                for pipe in reversed(left):
                    pipe.destroy()
        return bool(self._live)

    def forget(self) -> None:
        """The fast path is gone."""
        self._live, self._port, self._in_step = {}, None, False

    # -- bringing it to a program

    def apply(self, dpu: Dpu, program: Program, revision: int, *, judge_all: bool = False) -> Applied:
        """Make the fast path hold a program; returns when packets see it.

        ``revision`` goes into the records of connections. ``judge_all``: every connection is judged again, whatever
        the difference says. ``OutOfStep``: nothing has changed for packets, but attach anew before the next call.
        """
        if self._port is None or not self._in_step:
            raise OutOfStep("the segmentation program is not known to this process: attach anew")
        started = time.monotonic()
        port = self._port
        steps, names = self._plan(program, port)
        gone = [live for name, live in self._live.items() if name not in names]
        gone += [
            self._live[step.table.name]
            for step in steps
            if step.live is None and step.table.name in self._live
        ]
        concerned = None if judge_all else concerned_by(steps, gone, self._live)
        post = [step for step in steps if posts(step)]
        for step in post:
            if step.live is not None:
                grow(step.live, step.table)
        made: dict[str, Live] = {}
        if post or gone:
            try:
                with dpu.transaction():
                    self._post(port, post, gone, made, names)
            except FlowError as error:
                self._in_step = False
                raise OutOfStep(f"the fast path refused the program: {error.reason}", error.code) from error
        for live in gone:
            self._live.pop(live.name, None)
        self._live |= made
        for step in steps:
            live = self._live[step.table.name]
            if step.wanted is not None and live.rows is not step.wanted:  # equal, in the fast path's order
                handles = np.zeros(len(step.wanted), np.uintp)
                handles[step.kept] = live.handles[step.kept_live]
                live.rows, live.handles = step.wanted, handles
            live.table = step.table
        if any(table.spec.type is PipeType.CT for table in program.tables):
            # Also when nothing has changed: records carry the revision.
            self._judge_again(dpu, revision, concerned)
        return Applied(
            rows_added=sum(len(step.table) if step.live is None else len(step.added) for step in post),
            rows_updated=sum(len(step.updated) for step in post),
            rows_removed=sum(len(step.removed) for step in post),
            pipes_created=sum(step.live is None for step in post),
            pipes_destroyed=len(gone),
            concerned=concerned,
            seconds=time.monotonic() - started,
        )

    def update(
        self, dpu: Dpu, program: Program, rows: Mapping[str, Index], revision: int, concerned: Iterable[int]
    ) -> Applied:
        """The quick way: the program differs from the one applied last in the arguments of these rows alone.

        Connections of the identities ``concerned`` are judged again. Errors as of ``apply``.
        """
        if not self._in_step:
            raise OutOfStep("the segmentation program is not known to this process: attach anew")
        started = time.monotonic()
        updated = 0
        try:
            with dpu.transaction():
                for name, index in rows.items():
                    live, table = self._live[name], program.table(name)
                    if table.args is None or live.rows.args is None or len(table) != len(live.handles):
                        raise InvalidValue(f"table {name} is not the one that was applied")
                    live.rows.args[index] = fit(table.args[index], live.rows.args.dtype)
                    update_rows(
                        live.pipe, live.handles[index], args=live.rows.args[index], monitor=table.spec.monitor
                    )
                    updated += len(index)
        except FlowError as error:
            self._in_step = False
            raise OutOfStep(f"the fast path refused the change: {error.reason}", error.code) from error
        judged = frozenset(concerned)
        self._judge_again(dpu, revision, judged)
        for table in program.tables:
            self._live[table.name].table = table
        return Applied(rows_updated=updated, concerned=judged, seconds=time.monotonic() - started)

    def _judge_again(self, dpu: Dpu, revision: int, concerned: frozenset[int] | None) -> None:
        """What was committed counts for open connections from here on. If that cannot be told, an attachment anew
        tells it to all of them.
        """
        try:
            dpu.ct_epoch(revision, None if concerned is None else sorted(concerned))
        except FlowError as error:
            self._in_step = False
            raise OutOfStep(
                f"open connections were not told of the change: {error.reason}", error.code
            ) from error

    def _plan(self, program: Program, port: Port) -> tuple[list[Step], dict[str, str]]:
        """What has to be done to each table, in the program's order: what is forwarded to comes first. And the names of
        the pipes by table.
        """
        names: dict[str, str] = {}
        steps: list[Step] = []
        for table in program.tables:
            live = self._live.get(table.name)
            names[table.name] = live.pipe.name if live is not None else self._fresh(table.name, port)
            spec = translated(table.spec, names)
            digest = digest_of(spec, table.name)
            if live is not None and (live.digest != digest or not fits(live, table)):
                live = None
                names[table.name] = self._fresh(table.name, port)
                spec = translated(table.spec, names)
            step = Step(table, replace(spec, name=names[table.name]), digest, live)
            if live is not None:
                self._compare(step, live, names, port)
            steps.append(step)
        return steps, names

    def _fresh(self, name: str, port: Port) -> str:
        """A name that no pipe of the port has."""
        number = 1
        made = name
        while made in port.pipes:
            number += 1
            made = f"{name}~{number}"
        return made

    def _compare(self, step: Step, live: Live, names: dict[str, str], port: Port) -> None:
        miss = miss_text(step.spec.fwd_miss, port)
        if miss != live.miss:
            step.miss = miss
        table = step.table
        if table.spec.type is PipeType.CT:
            return
        if live.table is not None and not forwards_moved(table, names) and table.same(live.table):
            step.kept = step.kept_live = np.arange(len(live.handles))
            return
        wanted = rows_of(table, live.pipe, names, port)
        step.wanted = wanted
        _, mine, theirs = np.intersect1d(wanted.ids, live.rows.ids, assume_unique=True, return_indices=True)
        new = np.ones(len(wanted), np.bool_)
        new[mine] = False
        old = np.ones(len(live.rows), np.bool_)
        old[theirs] = False
        retag = wanted.tags[mine] != live.rows.tags[theirs]
        differs = wanted.fwds[mine] != live.rows.fwds[theirs]
        if wanted.args is not None and live.rows.args is not None:
            differs |= (raw(wanted.args[mine]) != raw(live.rows.args[theirs])).any(axis=1)
        new[mine[retag]] = True
        old[theirs[retag]] = True
        differs &= ~retag
        step.removed, step.added = np.flatnonzero(old), np.flatnonzero(new)
        step.updated, step.updated_live = mine[differs], theirs[differs]
        same = ~differs & ~retag
        step.kept, step.kept_live = mine[same], theirs[same]

    def _post(
        self,
        port: Port,
        steps: Sequence[Step],
        gone: Sequence[Live],
        made: dict[str, Live],
        names: dict[str, str],
    ) -> None:
        for step in steps:
            name = step.table.name
            if step.live is None:
                if step.spec.is_root:  # a port has one at a time, and the program's comes last
                    destroy([live for live in gone if live.pipe.spec.is_root])
                made[name] = create(port, step, names)
            else:
                made[name] = change(step, step.live, names)
        destroy([live for live in gone if live.name not in made or not live.pipe.spec.is_root])


def is_ours(name: str) -> bool:
    """Whether a pipe of this name belongs to the segmentation program."""
    return name.startswith(PREFIX)
