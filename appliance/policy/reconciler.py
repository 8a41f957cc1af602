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

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from appliance.errors import FlowError, Full, InvalidValue
from appliance.flow import Dpu, Pipe, Port
from appliance.flow.rows import add_rows, adopt_rows, remove_rows, update_rows
from appliance.flow.types import Fwd, FwdPipe, FwdPort, PipeSpec, PipeType, pipe_name
from appliance.policy.program import Program, Table, fit

log = structlog.get_logger(__name__)

PREFIX: Final = "seg/"
ADDRESSES: Final = ("seg/src4", "seg/src6", "seg/dst4", "seg/dst6")
"""Tables that give an address its identity (their one argument)."""
CLASSES: Final = ("seg/src_class", "seg/dst_class")
"""Tables that give an identity (their one key) its class."""
POLICY: Final = frozenset(
    PREFIX + name
    for name in (
        "new", "src4", "src6", "dst4", "dst6", "src_class", "dst_class", "pair", "pair_wn", "pair_nw", "pair_ww",
        "service", "icmp", "ports", "range", "list", "default",
    )
)  # fmt: skip
"""The tables that verdicts depend on: what a connection's first packet walks."""
GROWING: Final = (PipeType.BASIC, PipeType.CT)
"""Pipes that get more room in place, or need none."""
MANY: Final = 4096
"""More concerned identities than this are everybody."""

Bytes = NDArray[np.bytes_]
Index = NDArray[np.int64]


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


@dataclass(slots=True)
class _Rows:
    """Rows in the layout of a pipe. ``ids`` tell them apart."""

    keys: NDArray[np.void]
    masks: NDArray[np.void] | None
    priorities: NDArray[np.uint32] | None
    args: NDArray[np.void] | None
    tags: NDArray[np.uint64]
    fwds: Bytes
    """As the fast path tells it; empty: the pipe's."""
    ids: Bytes = field(default_factory=lambda: np.zeros(0, "S1"))

    def __post_init__(self) -> None:
        parts = [_raw(self.keys)]
        if self.masks is not None:
            parts.append(_raw(self.masks))
        if self.priorities is not None:
            parts.append(_raw(np.ascontiguousarray(self.priorities, ">u4")))
        whole = np.ascontiguousarray(np.concatenate(parts, axis=1))
        width = max(1, whole.shape[1])
        self.ids = (
            np.frombuffer(whole.tobytes(), f"S{width}") if whole.shape[1] else np.zeros(len(self.tags), "S1")
        )

    def __len__(self) -> int:
        return len(self.tags)

    def take(self, index: Index) -> _Rows:
        """Some of them."""
        return _Rows(
            self.keys[index],
            None if self.masks is None else self.masks[index],
            None if self.priorities is None else self.priorities[index],
            None if self.args is None else self.args[index],
            self.tags[index],
            self.fwds[index],
        )


@dataclass(slots=True)
class _Live:
    """A table as the fast path has it."""

    name: str
    pipe: Pipe
    digest: str
    """Of the pipe's specification."""
    rows: _Rows
    handles: NDArray[np.uintp]
    capacity: int
    miss: str
    table: Table | None = None
    """What was applied last, to know it again when the compiler did not touch it."""


@dataclass(slots=True)
class _Step:
    """What happens to one table."""

    table: Table
    spec: PipeSpec
    digest: str
    live: _Live | None
    """None: the pipe is created."""
    wanted: _Rows | None = None
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


class Reconciler:
    """What the fast path holds of the segmentation program, and how to change it."""

    def __init__(self) -> None:
        self._live: dict[str, _Live] = {}
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
            masked = pipe.spec.type in (PipeType.LPM, PipeType.ACL)
            rows = _Rows(
                found.keys,
                found.masks if masked else None,
                found.priorities if pipe.spec.type is PipeType.ACL else None,
                found.args if found.args.dtype.names else None,
                found.tags,
                found.fwds.astype("S48"),
            )
            info = pipe.info()
            self._live[name] = _Live(
                name,
                pipe,
                label.removeprefix("seg "),
                rows,
                found.handles,
                int(info.capacity),
                info.fwd_miss_text,
            )
        self._in_step = True
        if (
            left
        ):  # a switch that was cut short cannot be: transactions are whole. A leftover is somebody's doing.
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
        concerned = None if judge_all else _concerned(steps, gone, self._live)
        post = [step for step in steps if _posts(step)]
        for step in post:
            if step.live is not None:
                _grow(step.live, step.table)
        made: dict[str, _Live] = {}
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

    def _plan(self, program: Program, port: Port) -> tuple[list[_Step], dict[str, str]]:
        """What has to be done to each table, in the program's order: what is forwarded to comes first. And the names of
        the pipes by table.
        """
        names: dict[str, str] = {}
        steps: list[_Step] = []
        for table in program.tables:
            live = self._live.get(table.name)
            names[table.name] = live.pipe.name if live is not None else self._fresh(table.name, port)
            spec = _translated(table.spec, names)
            digest = digest_of(spec, table.name)
            if live is not None and (live.digest != digest or not _fits(live, table)):
                live = None
                names[table.name] = self._fresh(table.name, port)
                spec = _translated(table.spec, names)
            step = _Step(table, replace(spec, name=names[table.name]), digest, live)
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

    def _compare(self, step: _Step, live: _Live, names: dict[str, str], port: Port) -> None:
        miss = _miss_text(step.spec.fwd_miss, port)
        if miss != live.miss:
            step.miss = miss
        table = step.table
        if table.spec.type is PipeType.CT:
            return
        if live.table is not None and not _forwards_moved(table, names) and table.same(live.table):
            step.kept = step.kept_live = np.arange(len(live.handles))
            return
        wanted = _rows_of(table, live.pipe, names, port)
        step.wanted = wanted
        _, mine, theirs = np.intersect1d(wanted.ids, live.rows.ids, assume_unique=True, return_indices=True)
        new = np.ones(len(wanted), np.bool_)
        new[mine] = False
        old = np.ones(len(live.rows), np.bool_)
        old[theirs] = False
        retag = wanted.tags[mine] != live.rows.tags[theirs]
        change = wanted.fwds[mine] != live.rows.fwds[theirs]
        if wanted.args is not None and live.rows.args is not None:
            change |= (_raw(wanted.args[mine]) != _raw(live.rows.args[theirs])).any(axis=1)
        new[mine[retag]] = True
        old[theirs[retag]] = True
        change &= ~retag
        step.removed, step.added = np.flatnonzero(old), np.flatnonzero(new)
        step.updated, step.updated_live = mine[change], theirs[change]
        same = ~change & ~retag
        step.kept, step.kept_live = mine[same], theirs[same]

    def _post(
        self,
        port: Port,
        steps: Sequence[_Step],
        gone: Sequence[_Live],
        made: dict[str, _Live],
        names: dict[str, str],
    ) -> None:
        for step in steps:
            name = step.table.name
            if step.live is None:
                if step.spec.is_root:  # a port has one at a time, and the program's comes last
                    _destroy([live for live in gone if live.pipe.spec.is_root])
                made[name] = _create(port, step, names)
            else:
                made[name] = _change(port, step, step.live, names)
        _destroy([live for live in gone if live.name not in made or not live.pipe.spec.is_root])


def is_ours(name: str) -> bool:
    """Whether a pipe of this name belongs to the segmentation program."""
    return name.startswith(PREFIX)


# --- posting ----------------------------------------------------------------------------------------------------------


def _posts(step: _Step) -> bool:
    return bool(
        step.live is None or step.miss is not None
        or len(step.removed) or len(step.added) or len(step.updated)
    )  # fmt: skip


def _destroy(gone: Sequence[_Live]) -> None:
    """Destroy pipes, what forwards before what is forwarded to. Their entries are removed first: the numbers of
    entries that go with a pipe are free in the library at once, in the fast path when the transaction ends.
    """
    for live in reversed(gone):
        if len(live.handles):
            remove_rows(live.pipe, live.handles)
        live.pipe.destroy()


def _create(port: Port, step: _Step, names: dict[str, str]) -> _Live:
    table = step.table
    spec = replace(step.spec, label=f"seg {step.digest}")
    if spec.type is not PipeType.CT:
        spec = replace(spec, nr_entries=_room(table), is_resizable=spec.type is PipeType.BASIC)
    pipe = port.pipe_create(spec)
    handles = np.zeros(0, np.uintp)
    rows = _no_rows() if spec.type is PipeType.CT else _rows_of(table, pipe, names, port)
    if len(rows):
        handles = add_rows(
            pipe, rows.keys, masks=rows.masks, args=rows.args, priorities=rows.priorities, tags=rows.tags,
            monitor=table.spec.monitor, fwd=_fwds(table, names), fwd_of_row=_fwd_of_row(table, None),
        )  # fmt: skip
    miss = _miss_text(spec.fwd_miss, port)
    return _Live(table.name, pipe, step.digest, rows, handles, spec.nr_entries, miss, table)


def _fwds(table: Table, names: dict[str, str]) -> list[Fwd]:
    return [_translate(fwd, names) or fwd for fwd in table.fwds]


def _change(port: Port, step: _Step, live: _Live, names: dict[str, str]) -> _Live:
    pipe, table = live.pipe, step.table
    if step.miss is not None:
        pipe.update_miss(step.spec.fwd_miss)
        live.miss = step.miss
    wanted = step.wanted
    if wanted is None:
        return live
    fwds = _fwds(table, names)
    if len(step.removed):
        remove_rows(pipe, live.handles[step.removed])
    if len(step.updated):
        some = wanted.take(step.updated)
        update_rows(
            pipe, live.handles[step.updated_live], args=some.args, monitor=table.spec.monitor, fwd=fwds,
            fwd_of_row=_fwd_of_row(table, step.updated),
        )  # fmt: skip
    handles = np.zeros(len(wanted), np.uintp)
    handles[step.kept] = live.handles[step.kept_live]
    handles[step.updated] = live.handles[step.updated_live]
    if len(step.added):
        some = wanted.take(step.added)
        handles[step.added] = add_rows(
            pipe, some.keys, masks=some.masks, args=some.args, priorities=some.priorities, tags=some.tags,
            monitor=table.spec.monitor, fwd=fwds, fwd_of_row=_fwd_of_row(table, step.added),
        )  # fmt: skip
    return replace(live, rows=wanted, handles=handles, table=None)


def _fwd_of_row(table: Table, index: Index | None) -> NDArray[np.uint32] | None:
    if table.fwd_of_row is None:
        return None
    given = table.fwd_of_row if index is None else table.fwd_of_row[index]
    return np.ascontiguousarray(given, np.uint32)


# --- comparing --------------------------------------------------------------------------------------------------------


def _raw(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """Rows as bytes, one line each."""
    packed = np.ascontiguousarray(rows)
    if not packed.dtype.itemsize:
        return np.zeros((len(packed), 0), np.uint8)
    return packed.view(np.uint8).reshape(len(packed), packed.dtype.itemsize)


def _no_rows() -> _Rows:
    nothing = np.zeros(0, np.dtype([]))
    return _Rows(nothing, None, None, None, np.zeros(0, np.uint64), np.zeros(0, "S48"))


def _rows_of(table: Table, pipe: Pipe, names: dict[str, str], port: Port) -> _Rows:
    """A table's rows in the layout of its pipe."""
    key = pipe.key_dtype
    args = pipe.args_dtype()
    texts = np.array([_fwd_text(_translate(fwd, names), port) for fwd in table.fwds] or [""], "S48")
    which = table.fwd_of_row if table.fwd_of_row is not None else np.zeros(len(table.keys), np.uint32)
    return _Rows(
        fit(table.keys, key),
        None if table.masks is None else fit(table.masks, key),
        table.priorities,
        None if table.args is None else fit(table.args, args),
        table.tags,
        texts[which],
    )


def _translate(fwd: Fwd | None, names: dict[str, str]) -> Fwd | None:
    """A forward with the pipe's name as the fast path has it."""
    if isinstance(fwd, FwdPipe) and fwd.pipe is not None:
        return FwdPipe(names[pipe_name(fwd.pipe)])
    return fwd


def _translated(spec: PipeSpec, names: dict[str, str]) -> PipeSpec:
    return replace(spec, fwd=_translate(spec.fwd, names), fwd_miss=_translate(spec.fwd_miss, names))


def _forwards_moved(table: Table, names: dict[str, str]) -> bool:
    """Whether a pipe that rows forward to has another name than the table says."""
    return any(
        isinstance(fwd, FwdPipe)
        and fwd.pipe is not None
        and names[pipe_name(fwd.pipe)] != pipe_name(fwd.pipe)
        for fwd in table.fwds
    )


def _fwd_text(fwd: Fwd | None, port: Port) -> str:
    """A forward as the fast path tells it."""
    if fwd is None:
        return ""
    if isinstance(fwd, FwdPort):
        started = port.dpu.ports.get(fwd.port_id)
        return f"port {started.name[:40]}" if started is not None else f"port #{fwd.port_id}"
    if isinstance(fwd, FwdPipe):
        return f"pipe {pipe_name(fwd.pipe)[:40]}" if fwd.pipe is not None else "pipe"
    reason = getattr(fwd, "reason", "")
    return f"{fwd.type.name.lower()} {reason}".strip()


def _miss_text(fwd: Fwd | None, port: Port) -> str:
    return _fwd_text(fwd, port) or "none"


def digest_of(spec: PipeSpec, name: str) -> str:
    """What tells one pipe from another of the same name: all of its specification but room, label and miss. Of a CT
    pipe, what cannot be changed in operation does not count either: it would end every connection.
    """
    plain = replace(spec, name=name, nr_entries=0, fwd_miss=None, label="")
    if spec.type is PipeType.CT:
        plain = PipeSpec(name=name, type=PipeType.CT, fwd=spec.fwd)
    return hashlib.sha256(repr(plain).encode()).hexdigest()[:16]


def _room(table: Table) -> int:
    """Entries to reserve: rows may double before a pipe must grow."""
    wanted = max(table.spec.nr_entries, 2 * len(table) + 256)
    return 1 << (wanted - 1).bit_length()


def _needed(live: _Live, table: Table) -> int:
    """Room for old and new rows side by side, as in the worst transaction."""
    return len(table) + min(len(table), len(live.handles))


def _fits(live: _Live, table: Table) -> bool:
    """Whether a pipe has the room, or can be given it."""
    return live.pipe.spec.type in GROWING or _needed(live, table) <= live.capacity


def _grow(live: _Live, table: Table) -> None:
    """Give a pipe more room; no packet notices."""
    needed = _needed(live, table)
    while live.pipe.spec.type is PipeType.BASIC and live.capacity < needed:
        grown = live.pipe.resize()
        if grown <= live.capacity:
            raise Full(f"pipe {live.pipe.name} holds {live.capacity} entries and cannot grow to {needed}")
        live.capacity = grown


# --- who is concerned -------------------------------------------------------------------------------------------------


def _concerned(
    steps: Iterable[_Step], gone: Iterable[_Live], live: dict[str, _Live]
) -> frozenset[int] | None:
    """Identities whose connections may get another verdict, or the same from another rule; None: all may.

    Connections remember the identities that they were judged with, so it is the old ones that count.
    """
    found: set[int] = set()
    created = {step.table.name for step in steps if step.live is None}
    for one in gone:
        if one.name not in created and one.name in POLICY:
            return None
    for step in steps:
        name = step.table.name
        if name not in POLICY or not _posts(step):
            continue
        before = live.get(name)
        if name in ADDRESSES:
            some = _addresses_concerned(step, before)
        elif name in CLASSES and step.live is not None:
            some = _classes_concerned(step, step.live)
        else:
            return None
        found |= some
        if len(found) > MANY:
            return None
    return frozenset(found)


def _values(rows: NDArray[np.void] | None, name: str = "") -> NDArray[np.uint32]:
    """One column as numbers; the only one when no name is given."""
    if rows is None or not rows.dtype.names:
        return np.zeros(0, np.uint32)
    return rows[name or rows.dtype.names[0]].astype(np.uint32)


def _addresses_concerned(step: _Step, before: _Live | None) -> set[int]:
    if before is None:  # first table of its kind: nobody had an identity from it
        return set()
    old = _values(before.rows.args)
    if step.live is None or step.wanted is None:
        return set(old.tolist())
    found = set(old[step.removed].tolist()) | set(old[step.updated_live].tolist())
    if len(step.added) > 1000:
        return set(old.tolist())
    for row in step.added.tolist():
        found |= _covering(before.rows, old, step.wanted, row)
    return found


def _covering(old: _Rows, identities: NDArray[np.uint32], new: _Rows, row: int) -> set[int]:
    """The identity that an address had before it got a row of its own: that of the longest prefix around it."""
    if old.masks is None or new.masks is None or not len(old):
        return set()
    keys, masks, key = _raw(old.keys), _raw(old.masks), _raw(new.keys)[row]
    around = np.flatnonzero(((key & masks) == keys).all(axis=1))
    if not len(around):
        return set()
    bits = np.unpackbits(masks[around], axis=1).sum(axis=1)
    return {int(identities[around[int(np.argmax(bits))]])}


def _classes_concerned(step: _Step, live: _Live) -> set[int]:
    old = _values(live.rows.keys)
    found = set(old[step.removed].tolist()) | set(old[step.updated_live].tolist())
    if step.wanted is not None:
        found |= set(_values(step.wanted.keys)[step.added].tolist())
    return found
