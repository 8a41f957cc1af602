# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Pipes and their entries: add, process, status, query, one by one or many thousands in a call."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from appliance.errors import Again, BadState, FlowError, NotFound, NotSupported, error_from_code
from appliance.flow import convert
from appliance.flow.engine import Engine
from appliance.flow.results import PipeInfo
from appliance.flow.types import (
    Counter,
    EntryFlags,
    EntryOp,
    EntrySpec,
    EntryStatus,
    Fwd,
    Match,
    Monitor,
    PipeRef,
    PipeSpec,
)
from appliance.steering import pipes
from appliance.steering.native import Cdata, address, last_error

if TYPE_CHECKING:
    from appliance.flow.port import Port

_RESIZED = 1  # enum doca_flow_pipe_op


class Entry:
    """An entry of a pipe (``doca_flow_pipe_entry``).

    After a failed add, or once it is removed, an entry is dead: only ``status``, ``error`` and ``spec``
    remain.
    """

    def __init__(self, pipe: Pipe, made: Cdata, spec: EntrySpec, queue: int, *, live: bool = False) -> None:
        self.pipe = pipe
        self.spec = spec
        self.queue = queue
        self.key: Mapping[str, int] = {}
        """Of adopted entries: the row they were added with."""
        self._handle: Cdata | None = made
        self._address = address(made)
        self._id: int | None = None
        self._status = EntryStatus.SUCCESS if live else EntryStatus.IN_PROCESS
        self._error: FlowError | None = None
        self._busy = not live
        self._engine: Engine = pipe.engine
        self._engine.register(self._address, self)

    @property
    def status(self) -> EntryStatus:
        """Of the last operation, as far as its queue has been processed."""
        return self._status

    @property
    def error(self) -> FlowError | None:
        """Why the status is ERROR."""
        return self._error

    @property
    def alive(self) -> bool:
        """Whether it can be queried, updated and removed."""
        return self._handle is not None

    @property
    def id(self) -> int:
        """The fast path's number of this entry, unique in the session; traces show it."""
        if self._id is None:
            self._id = int(pipes.entry_info(self._live())["number"])
        return self._id

    def _live(self) -> Cdata:
        if self._handle is None:
            raise BadState(f"this entry of pipe {self.pipe.name} is gone", None)
        return self._handle

    def completed(self, status: EntryStatus, op: EntryOp, error: FlowError | None) -> None:
        """From the engine: an operation ended."""
        if op is EntryOp.AGED:
            self.pipe.port.aged.append(self)
            return
        self._busy, self._status, self._error = False, status, error
        handle = self._handle
        if op is EntryOp.ADD and status is EntryStatus.ERROR:
            self._die()
        elif op is EntryOp.DEL and status is EntryStatus.SUCCESS and handle is not None:
            self._die()
            self._engine.on_abort(lambda: self._revive(handle))

    def _die(self) -> None:
        self._engine.forget(self._address)
        self._handle = None
        self.pipe.lost(self)

    def _revive(self, handle: Cdata) -> None:
        self._handle, self._status, self._error, self._busy = handle, EntryStatus.SUCCESS, None, False
        self._engine.register(self._address, self)
        self.pipe.found(self)

    def _withdraw(self) -> None:
        """The transaction that added it was aborted."""
        if self._handle is not None:
            self._die()
            self._busy, self._status = False, EntryStatus.ERROR
            self._error = BadState("the transaction that added it was aborted")

    def wait(self) -> Entry:
        """Process this entry's queue until its operation has ended; raises its error."""
        if self._busy:
            self._engine.until(
                lambda: not self._busy, self.pipe.port.handle, self.queue, f"pipe {self.pipe.name}"
            )
        if self._error is not None:
            raise self._error
        return self

    def query(self) -> Counter:
        """Packets and bytes that hit, exact at this moment; zero without a counter."""
        return Counter(*pipes.entry_query(self._live()))

    def update(
        self,
        entry: EntrySpec | None = None,
        *,
        wait: bool = True,
        flags: EntryFlags = EntryFlags.NO_WAIT,
        **members: Any,
    ) -> None:
        """New ``action_idx, actions, monitor, fwd``; what is not given stays as it was. The match cannot
        change.

        A packet sees the old or the new entry, never neither (``doca_flow_pipe_*_update_entry``).
        """
        spec = replace(entry or self.spec, **members)
        parts = convert.entry_parts(spec, self.pipe.port.resolve)

        def post() -> None:
            pipes.entry_update(self.pipe.spec.type, self.queue, self.pipe.handle, self._live(), parts, flags)

        before = self.spec
        self.pipe.post(post, self.queue, wait)
        self._posted(spec)
        self._engine.on_abort(lambda: setattr(self, "spec", before))
        if wait:
            self.wait()

    def _posted(self, spec: EntrySpec) -> None:
        self._busy, self._status, self._error, self.spec = True, EntryStatus.IN_PROCESS, None, spec

    def remove(self, *, wait: bool = True, flags: EntryFlags = EntryFlags.NO_WAIT) -> None:
        """``doca_flow_pipe_remove_entry``."""
        self.pipe.post(lambda: pipes.entry_remove(self.queue, self._live(), flags), self.queue, wait)
        if self._handle is not None:
            self._posted(self.spec)
        if wait:
            self.wait()

    def __repr__(self) -> str:
        return f"<Entry of {self.pipe.name}, {self._status.name}>"


class Entries(Sequence[Entry]):
    """Entries that were added by one bulk call. ``results`` holds a ``doca_error_t`` for each row, 0 for
    success.

    Indexing makes an ``Entry``; rows that failed raise their error.
    """

    def __init__(self, pipe: Pipe, bulk: pipes.Bulk, code: int, reason: str) -> None:
        self.pipe = pipe
        self.queue = bulk.queue
        self.handles = bulk.entries
        self._tags = bulk.tags
        self.results: NDArray[np.int32] = bulk.results
        self.error: FlowError | None = error_from_code(code, reason) if code else None
        """The first error, with its sentence."""
        self._entries: dict[int, Entry] = {}

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError(row)
        if self.results[row]:
            raise error_from_code(int(self.results[row]))
        if row not in self._entries:
            spec = EntrySpec() if self._tags is None else EntrySpec(tag=int(self._tags[row]))
            self._entries[row] = Entry(self.pipe, self.handles[row], spec, self.queue, live=True)
        return self._entries[row]

    @property
    def succeeded(self) -> int:
        """How many rows succeeded."""
        return int((self.results == 0).sum())

    def raise_for_error(self) -> Entries:
        """Raise the first error, if there was one."""
        if self.error is not None:
            raise self.error
        return self

    def find(self, number: int) -> Entry | None:
        """The entry whose handle has this address."""
        for row in np.nonzero(self.results == 0)[0]:
            if address(self.handles[int(row)]) == number:
                found: Entry = self[int(row)]
                return found
        return None

    def update(
        self,
        args: NDArray[np.void] | None = None,
        *,
        action_idx: int = 0,
        monitor: Monitor | None = None,
        fwd: Fwd | Sequence[Fwd] | None = None,
        fwd_of_row: NDArray[np.uint32] | None = None,
    ) -> Entries:
        """New actions, monitor and forward for all, in one call; ``results`` are the updates' then."""
        self.pipe.check_args(args, len(self), action_idx)
        if fwd_of_row is not None and len(fwd_of_row) != len(self):
            raise ValueError(f"fwd_of_row: {len(fwd_of_row)} rows for {len(self)} entries")
        bulk = self._bulk(
            action_idx=action_idx, args=args, monitor=convert.monitor_parts(monitor), fwd_of_row=fwd_of_row
        )
        bulk.fwds = self.pipe.fwds(fwd)
        self._run(bulk, "update")
        return self

    def remove(self) -> Entries:
        """Remove all in one call."""
        single = [(entry, entry._handle) for entry in self._entries.values() if entry._handle is not None]
        for entry, _ in single:
            entry.pipe.engine.forget(entry._address)
            entry._handle = None
        self._run(self._bulk(), "remove")
        if self.succeeded == len(self):
            self.pipe.batches.remove(self)

        def revive() -> None:
            if self not in self.pipe.batches:
                self.pipe.batches.append(self)
            for entry, handle in single:
                entry._revive(handle)

        self.pipe.engine.on_abort(revive)
        return self

    def _withdraw(self) -> None:
        """The transaction that added them was aborted."""
        for entry in self._entries.values():
            entry._withdraw()
        self.results[:] = BadState.default_code
        self.error = BadState("the transaction that added them was aborted")
        if self in self.pipe.batches:
            self.pipe.batches.remove(self)

    def _bulk(self, **members: Any) -> pipes.Bulk:
        if len(self.results) and self.results.any():
            raise BadState("some of these entries failed: use those that succeeded one by one")
        return pipes.Bulk(self.pipe.handle, len(self), self.queue, entries=self.handles, **members)

    def _run(self, bulk: pipes.Bulk, operation: str) -> None:
        code, reason = self.pipe.run(bulk, operation)
        self.results = bulk.results
        self.error = error_from_code(code, reason) if code else None


class Pipe:
    """A pipe (``doca_flow_pipe``). As a context manager it is destroyed at the end."""

    def __init__(self, port: Port, made: Cdata, spec: PipeSpec) -> None:
        self.port = port
        self.spec = spec
        self.engine: Engine = port.engine
        self.batches: list[Entries] = []
        self._handle: Cdata | None = made
        self._entries: dict[int, Entry] = {}
        self._made_in = self.engine.in_transaction

    @property
    def name(self) -> str:
        """Its name, unique on its port."""
        return self.spec.name

    @property
    def handle(self) -> Cdata:
        """For ``appliance.steering``."""
        if self._handle is None:
            raise BadState(f"pipe {self.name} is destroyed")
        return self._handle

    # -- entries ---------------------------------------------------------------------------------------------------

    def add(
        self,
        entry: EntrySpec | None = None,
        *,
        queue: int = 0,
        wait: bool = True,
        flags: EntryFlags = EntryFlags.NO_WAIT,
        **members: Any,
    ) -> Entry:
        """Add an entry; ``members`` are those of ``EntrySpec``, for short.

        With ``wait`` the call returns when packets see the entry, or raises what went wrong. Without, the
        entry is IN_PROCESS until ``Port.process`` has been called for its queue; WAIT_FOR_BATCH holds it
        back until a NO_WAIT or ``process`` follows. ``Again``: the queue is full, process it. Entries of
        control pipes are complete in any case.
        """
        spec = replace(entry or EntrySpec(), **members)
        parts = convert.entry_parts(spec, self.port.resolve)
        made: list[Cdata] = []

        def post() -> None:
            made.append(pipes.entry_add(self.spec.type, queue, self.handle, parts, flags))

        with self.engine.queue(queue):
            self.post(post, queue, wait)
            # Those of control pipes are complete already, and the notice of it may have been told to nobody.
            live = pipes.entry_status(made[0]) == EntryStatus.SUCCESS
            added = Entry(self, made[0], spec, queue, live=live)
        self._entries[address(made[0])] = added
        self.engine.on_abort(added._withdraw)
        if live:
            self.engine.dispatch()
        return added.wait() if wait else added

    def post(self, call: Any, queue: int, wait: bool) -> None:
        """Run a posting call; when the queue is full and we may wait, process it and try again."""
        with self.engine.queue(queue):
            while True:
                try:
                    call()
                    return
                except Again:
                    if not wait or not self.engine.process(self.port.handle, queue, 1_000_000, 1):
                        raise

    def lost(self, entry: Entry) -> None:
        """From an entry: it is dead."""
        self._entries.pop(entry._address, None)

    def found(self, entry: Entry) -> None:
        """From an entry: it is there again."""
        if not any(entry in batch._entries.values() for batch in self.batches):
            self._entries[entry._address] = entry

    @property
    def entries(self) -> list[Entry]:
        """Live entries that this process added or adopted, bulk rows included."""
        alone = [
            entry for entry in self._entries.values() if entry.alive and entry.status is not EntryStatus.ERROR
        ]
        rows = [batch[int(row)] for batch in self.batches for row in np.nonzero(batch.results == 0)[0]]
        return alone + [entry for entry in rows if entry.alive]

    def entry(self, number: int) -> Entry:
        """A live entry by its ``id``."""
        for entry in self.entries:
            if entry.id == number:
                return entry
        raise NotFound(f"pipe {self.name} has no entry {number}")

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    # -- many entries ----------------------------------------------------------------------------------------------

    @property
    def key_dtype(self) -> np.dtype[np.void]:
        """Rows of ``add_rows``: the changeable match fields by field string, in network order.

        Fields of odd width (MAC and IPv6 addresses, VNIs) are arrays of bytes. In LPM and ACL pipes masks
        have the same layout. Control and ordered list pipes have no rows (``NotSupported``).
        """
        return pipes.row_dtype(self.handle, False, 0)

    def args_dtype(self, action_idx: int = 0) -> np.dtype[np.void]:
        """Rows of action arguments: the changeable fields of one template."""
        return pipes.row_dtype(self.handle, True, action_idx)

    def fwds(self, fwd: Fwd | Sequence[Fwd] | None) -> list[pipes.FwdParts]:
        """Forwards for a bulk call."""
        given = [] if fwd is None else [fwd] if isinstance(fwd, Fwd) else list(fwd)
        parts = [convert.fwd_parts(one, self.port.resolve) for one in given]
        return [one for one in parts if one is not None]

    def check_args(self, args: NDArray[np.void] | None, number: int, action_idx: int) -> None:
        """``ValueError`` unless there are this many rows of arguments (or none), as the template has them."""
        if args is None:
            return
        wanted = self.args_dtype(action_idx)
        if args.dtype != wanted:
            raise ValueError(f"args: rows of pipe {self.name} have the dtype {wanted}, not {args.dtype}")
        if len(args) != number:
            raise ValueError(f"args: {len(args)} rows for {number} entries")

    def add_rows(
        self,
        keys: NDArray[np.void],
        *,
        masks: NDArray[np.void] | None = None,
        args: NDArray[np.void] | None = None,
        action_idx: int = 0,
        priorities: NDArray[np.uint32] | None = None,
        tags: NDArray[np.uint64] | None = None,
        monitor: Monitor | None = None,
        fwd: Fwd | Sequence[Fwd] | None = None,
        fwd_of_row: NDArray[np.uint32] | None = None,
        queue: int = 0,
        timeout: float = 60.0,
    ) -> Entries:
        """Add one entry per row in a single call, which returns when all are complete.

        ``keys`` and ``masks`` have ``key_dtype``, ``args`` has ``args_dtype(action_idx)``. One ``monitor``
        for all. ``fwd`` is one for all, or a list that ``fwd_of_row`` picks from. No error is raised for
        rows: look at ``results`` or call ``raise_for_error``.
        """
        wanted = self.key_dtype
        for name, rows in (("keys", keys), ("masks", masks)):
            if rows is not None and rows.dtype != wanted:
                raise ValueError(
                    f"{name}: rows of pipe {self.name} have the dtype {wanted}, not {rows.dtype}"
                )
        for name, column in (("masks", masks), ("priorities", priorities), ("tags", tags),
                             ("fwd_of_row", fwd_of_row)):  # fmt: skip
            if column is not None and len(column) != len(keys):
                raise ValueError(f"{name}: {len(column)} rows for {len(keys)} keys")
        self.check_args(args, len(keys), action_idx)
        bulk = pipes.Bulk(
            self.handle, len(keys), queue, action_idx, keys, masks, args, priorities, tags,
            convert.monitor_parts(monitor), self.fwds(fwd), fwd_of_row, int(timeout * 1e6),
        )  # fmt: skip
        code, reason = self.run(bulk, "add")
        added = Entries(self, bulk, code, reason)
        if added.succeeded:
            self.batches.append(added)
            self.engine.on_abort(added._withdraw)
        return added

    def run(self, bulk: pipes.Bulk, operation: str) -> tuple[int, str]:
        """Run a bulk call; its first error's code and sentence."""
        with self.engine.queue(bulk.queue):
            code = bulk.run(operation)
            reason = last_error() if code else ""
        self.engine.dispatch()
        return code, reason

    # -- the pipe itself -------------------------------------------------------------------------------------------

    def info(self) -> PipeInfo:
        """As the fast path lists it: room, use, forwards as text, miss counter."""
        return convert.pipe_info(pipes.pipe_info(self.handle), self.port.name)

    def query_miss(self) -> Counter:
        """Packets that missed (``doca_flow_resource_query_pipe_miss``). ``InvalidValue`` without ``miss_counter``."""
        return Counter(*pipes.pipe_query_miss(self.handle))

    def update_miss(self, fwd: Fwd | None) -> None:
        """Exchange ``fwd_miss`` while packets pass (``doca_flow_pipe_update_miss``); None: the port's default."""
        pipes.pipe_update_miss(self.handle, convert.fwd_parts(fwd or Fwd(), self.port.resolve))
        before = self.spec
        self.spec = replace(self.spec, fwd_miss=fwd)
        self.engine.on_abort(lambda: setattr(self, "spec", before))

    def resize(self, congestion_level_threshold: int = 80) -> int:
        """Make a resizable pipe larger and return its new number of entries (``doca_flow_pipe_resize``)."""
        number = address(self.handle)
        notices = self.engine.pipe_notices.setdefault(number, deque(maxlen=64))
        notices.clear()
        pipes.pipe_resize(self.handle, congestion_level_threshold)
        queues = [q for q in range(self.engine.nr_queues) if q not in self.spec.excluded_queues]
        for queue in (*queues[1:], *queues[:1]):
            self.engine.process(self.port.handle, queue, 0, 0)
        self.engine.until(
            lambda: _RESIZED in notices, self.port.handle, queues[0], f"pipe {self.name}: resize"
        )
        return self.info().capacity

    def calc_hash(self, match: Match) -> int:
        """The hash that a hash pipe computes for a packet with these values (``doca_flow_pipe_calc_hash``)."""
        return pipes.pipe_calc_hash(self.handle, convert.match_values(match) or [])

    def dump(self) -> str:
        """The template as text, without entries (``doca_flow_pipe_dump``)."""
        with tempfile.TemporaryFile("w+b") as stream:
            pipes.pipe_dump(self.handle, stream)
            stream.seek(0)
            return stream.read().decode(errors="replace")

    def adopt_entries(self, queue: int = 0) -> list[Entry]:
        """Of an adopted pipe: its entries, with the rows they were added with in ``Entry.key``."""
        try:
            key, args = self.key_dtype, self.args_dtype()
        except NotSupported:  # control and ordered list pipes have no rows
            key = args = np.dtype([])
        found = []
        for made, info, row, _, _ in pipes.adopt_entries(self.handle, queue, key.itemsize, args.itemsize):
            spec = EntrySpec(
                action_idx=info["action_idx"], priority=info["priority"], index=info["index"], tag=info["tag"]
            )
            entry = Entry(self, made, spec, queue, live=True)
            entry._id = info["number"]
            entry.key = _numbers(row, key)
            self._entries[address(made)] = entry
            found.append(entry)
        return found

    def destroy(self) -> None:
        """Destroy it with all its entries (``doca_flow_pipe_destroy``).

        ``InUse``: other pipes forward to it; it stays as it was.
        """
        if self._handle is None:
            return
        pipes.pipe_destroy(self._handle)
        self.abandon()
        self.port.forget(self)
        self.engine.dispatch()

    def abandon(self, *, final: bool = False) -> None:
        """From the port: the handles are no longer valid; ``final``: not even if a transaction is aborted."""
        made, entries, batches = self._handle, dict(self._entries), list(self.batches)
        handles = [(entry, entry._handle) for entry in entries.values() if entry._handle is not None]
        for entry in entries.values():
            entry._handle = None
            self.engine.forget(entry._address)
        self._entries.clear()
        self.batches.clear()
        self._handle = None

        def revive() -> None:
            self._handle = made
            self.batches[:] = batches
            self.port.remember(self)
            for entry, handle in handles:
                entry._revive(handle)

        if (
            made is not None
            and not final
            and not (self._made_in and self._made_in == self.engine.in_transaction)
        ):
            self.engine.on_abort(revive)

    def withdraw(self) -> None:
        """From the port: the transaction that made it was aborted."""
        if self._handle is not None:
            made = self._handle
            self.abandon()
            self.port.forget(self)
            pipes.pipe_destroy(made)

    def __enter__(self) -> Pipe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.destroy()

    def __repr__(self) -> str:
        return f"<Pipe {self.name} of port {self.port.id}>"


def _numbers(row: bytes, dtype: np.dtype[np.void]) -> dict[str, int]:
    fields: Any = dtype.fields or {}
    return {
        name: int.from_bytes(row[offset : offset + part.itemsize], "big")
        for name, (part, offset, *_) in fields.items()
    }


def pipe_handle(reference: PipeRef, known: Mapping[str, Pipe]) -> Cdata:
    """The handle of a pipe that a forward names."""
    if isinstance(reference, Pipe):
        return reference.handle
    name = reference if isinstance(reference, str) else reference.name
    if name not in known:
        raise NotFound(f"there is no pipe {name!r} on this port")
    return known[name].handle
