# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What the appliance has promised: ports, shared resources, pipes and entries, in memory and on disk.

The file is a sequence of records, each preceded by its length. Changes are appended; an add after the fast path
accepted it and before the caller hears of it, a removal before the fast path is asked. So an appliance that was killed
in between finds at worst an entry too many in the fast path, and takes it out. The file is written anew when it has
grown to twice its content. It survives the death of the process, not of the machine: the fast path would be gone as
well.

Nothing here talks to a fast path, and values stay protobuf messages.
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from appliance.errors import NotFound
from appliance.v1 import entry_pb2, flow_pb2, pipe_pb2, port_pb2, shared_resource_pb2, state_pb2

FORMAT: Final = 1
REWRITE_BYTES: Final = 1 << 20
ENTRIES_PER_RECORD: Final = 1000

Flags = npt.NDArray[np.bool_]


@dataclass(slots=True)
class EntryState:
    """An entry that was added as a message."""

    message: entry_pb2.Entry
    declared: bool = False

    @property
    def pipe(self) -> str:
        """Name of its pipe."""
        return self.message.pipe


@dataclass(slots=True)
class ColumnsState:
    """Entries that were added as columns; item n is entry ``first + n``, in force while ``alive[n]``."""

    columns: entry_pb2.EntryColumns
    first: int
    alive: Flags

    @property
    def live(self) -> int:
        """Entries in force."""
        return int(np.count_nonzero(self.alive))

    def tag(self, item: int) -> int:
        """Tag of one item."""
        return int.from_bytes(self.columns.tags[8 * item : 8 * item + 8], "little")


@dataclass(slots=True)
class PipeState:
    """A pipe, with what was changed since its creation."""

    message: pipe_pb2.Pipe
    declared: bool = False
    miss_changed: bool = False
    miss: flow_pb2.Fwd | None = None
    entries: dict[int, EntryState] = field(default_factory=dict)
    columns: list[ColumnsState] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name."""
        return self.message.name

    @property
    def nr_live(self) -> int:
        """Entries in force."""
        return len(self.entries) + sum(batch.live for batch in self.columns)

    def refers_to(self, name: str) -> str:
        """What of this pipe forwards to a pipe of that name; empty when nothing does."""
        if self.message.fwd.pipe == name:
            return "the forward"
        miss = self.miss if self.miss_changed else self.message.fwd_miss
        if miss is not None and miss.pipe == name:
            return "the miss"
        for number, entry in self.entries.items():
            if entry.message.fwd.pipe == name:
                return f"entry {number}"
        for batch in self.columns:
            given = [batch.columns.fwd, *batch.columns.fwd_table]
            if any(fwd.pipe == name for fwd in given) and batch.live:
                return f"one of the entries from {batch.first} on"
        return ""

    def numbers(self) -> list[int]:
        """Numbers of all entries in force, ascending."""
        found = list(self.entries)
        for batch in self.columns:
            found += (np.flatnonzero(batch.alive) + batch.first).tolist()
        return sorted(found)


class State:
    """Everything that is promised. ``apply`` is the one way to change it."""

    def __init__(self) -> None:
        self.config_digest = b""
        self.boot_id = 0
        self.next_entry_id = 1
        self.ports: dict[str, port_pb2.Port] = {}
        self.ports_removed: set[str] = set()
        self.default_misses: dict[str, port_pb2.DefaultMiss] = {}
        self.resources: dict[tuple[str, int], shared_resource_pb2.SharedResource] = {}
        self.pipes: dict[str, PipeState] = {}
        self._entries: dict[int, EntryState] = {}
        self._batches: list[ColumnsState] = []  # ordered by first

    # -- looking

    def pipe(self, name: str) -> PipeState:
        """A pipe; ``NotFound`` names what there is."""
        found = self.pipes.get(name)
        if found is None:
            known = ", ".join(list(self.pipes)[:8]) or "none"
            raise NotFound(f"there is no pipe {name!r} (pipes: {known})")
        return found

    def find(self, number: int) -> tuple[PipeState, EntryState | tuple[ColumnsState, int]]:
        """Pipe and state of an entry in force; ``NotFound`` otherwise."""
        entry = self._entries.get(number)
        if entry is not None:
            return self.pipes[entry.pipe], entry
        at = bisect.bisect_right(self._batches, number, key=lambda batch: batch.first) - 1
        if at >= 0:
            batch = self._batches[at]
            item = number - batch.first
            if item < len(batch.alive) and batch.alive[item]:
                return self.pipes[batch.columns.pipe], (batch, item)
        raise NotFound(f"there is no entry {number}")

    def message(self, number: int) -> entry_pb2.Entry:
        """An entry as it was added or last updated. Not to be changed."""
        state = self.find(number)[1]
        return state.message if isinstance(state, EntryState) else entry_of(*state)

    @property
    def nr_entries(self) -> int:
        """Entries in force, of all pipes."""
        return len(self._entries) + sum(batch.live for batch in self._batches)

    # -- changing

    def apply(self, record: state_pb2.StateRecord) -> None:
        """Take one record in."""
        kind = record.WhichOneof("record")
        match kind:
            case "header":
                self.config_digest = record.header.config_digest
                self.boot_id = record.header.boot_id
                self.next_entry_id = max(self.next_entry_id, record.header.next_entry_id)
            case "port":
                self.ports[record.port.name] = record.port
                self.ports_removed.discard(record.port.name)
            case "port_removed":
                self.ports.pop(record.port_removed, None)
                self.ports_removed.add(record.port_removed)
                for name in [
                    name for name, pipe in self.pipes.items() if pipe.message.port == record.port_removed
                ]:
                    self._destroy(name)
            case "default_miss":
                self.default_misses[record.default_miss.name] = record.default_miss.default_miss
            case "resource":
                self.resources[record.resource.WhichOneof("resource") or "", record.resource.id] = (
                    record.resource
                )
            case "pipe":
                self.pipes[record.pipe.pipe.name] = PipeState(record.pipe.pipe, record.pipe.declared)
            case "pipe_destroyed":
                self._destroy(record.pipe_destroyed)
            case "miss":
                pipe = self.pipe(record.miss.pipe)
                pipe.miss_changed = True
                pipe.miss = record.miss.fwd_miss if record.miss.HasField("fwd_miss") else None
            case "resized":
                self.pipe(record.resized.name).message.nr_entries = record.resized.nr_entries
            case "entries":
                self._added(record.entries)
            case "columns":
                self._columns(record.columns)
            case "updated":
                self._updated(record.updated.entries)
            case "removed":
                self._removed(np.frombuffer(record.removed, "<u8"))
            case _:
                raise ValueError("an empty record")

    def _destroy(self, name: str) -> None:
        pipe = self.pipes.pop(name, None)
        if pipe is None:
            return
        for number in pipe.entries:
            del self._entries[number]
        gone = {id(batch) for batch in pipe.columns}
        self._batches = [batch for batch in self._batches if id(batch) not in gone]

    def _added(self, entries: state_pb2.StateEntries) -> None:
        for message in entries.entries:
            state = EntryState(message, entries.declared)
            self.pipe(message.pipe).entries[message.id] = state
            self._entries[message.id] = state
            self.next_entry_id = max(self.next_entry_id, message.id + 1)

    def _columns(self, columns: state_pb2.StateColumns) -> None:
        count = columns.columns.count
        alive = np.ones(count, np.bool_)
        if columns.alive:
            alive = np.unpackbits(np.frombuffer(columns.alive, np.uint8), count=count).astype(np.bool_)
        batch = ColumnsState(columns.columns, columns.first_entry_id, alive)
        self.pipe(columns.columns.pipe).columns.append(batch)
        bisect.insort(self._batches, batch, key=lambda other: other.first)
        self.next_entry_id = max(self.next_entry_id, batch.first + count)

    def merged(self, update: entry_pb2.Entry) -> entry_pb2.Entry:
        """An entry with what an update gives in place of what it had."""
        message = entry_pb2.Entry.FromString(self.message(update.id).SerializeToString())
        for name in ("actions", "monitor", "fwd"):
            if update.HasField(name):
                getattr(message, name).CopyFrom(getattr(update, name))
        message.action_index = update.action_index
        return message

    def _updated(self, entries: Iterable[entry_pb2.Entry]) -> None:
        for update in entries:
            message = self.merged(update)
            pipe, state = self.find(update.id)
            declared = isinstance(state, EntryState) and state.declared
            if not isinstance(state, EntryState):
                state[0].alive[state[1]] = False
            changed = EntryState(message, declared)
            pipe.entries[update.id] = changed
            self._entries[update.id] = changed

    def _removed(self, numbers: npt.NDArray[np.uint64]) -> None:
        rest = []
        for number in numbers.tolist():
            entry = self._entries.pop(number, None)
            if entry is not None:
                del self.pipes[entry.pipe].entries[number]
            else:
                rest.append(number)
        if not rest:
            return
        left = np.array(rest, np.uint64)
        for batch in self._batches:
            inside = left[(left >= batch.first) & (left < batch.first + len(batch.alive))]
            if len(inside):
                batch.alive[(inside - np.uint64(batch.first)).astype(np.int64)] = False
        dead = {id(batch) for batch in self._batches if not batch.live}
        if dead:
            self._batches = [batch for batch in self._batches if id(batch) not in dead]
            for pipe in self.pipes.values():
                pipe.columns = [batch for batch in pipe.columns if id(batch) not in dead]

    # -- as records

    def records(self) -> Iterator[state_pb2.StateRecord]:
        """The shortest sequence that makes this state."""
        record = state_pb2.StateRecord
        yield record(
            header=state_pb2.StateHeader(
                format=FORMAT,
                config_digest=self.config_digest,
                boot_id=self.boot_id,
                next_entry_id=self.next_entry_id,
            )
        )
        for port in self.ports.values():
            yield record(port=port)
        for name in sorted(self.ports_removed):
            yield record(port_removed=name)
        for name, miss in self.default_misses.items():
            yield record(default_miss=port_pb2.Port(name=name, default_miss=miss))
        for resource in self.resources.values():
            yield record(resource=resource)
        for pipe in self.pipes.values():
            yield record(pipe=state_pb2.StatePipe(pipe=pipe.message, declared=pipe.declared))
        for pipe in self.pipes.values():
            if pipe.miss_changed:
                yield record(miss=state_pb2.StateMiss(pipe=pipe.name, fwd_miss=pipe.miss))
            for declared in (True, False):
                entries = [entry for entry in pipe.entries.values() if entry.declared is declared]
                for start in range(0, len(entries), ENTRIES_PER_RECORD):
                    part = entries[start : start + ENTRIES_PER_RECORD]
                    yield record(
                        entries=state_pb2.StateEntries(
                            entries=[entry.message for entry in part], declared=declared
                        )
                    )
            for batch in pipe.columns:
                yield record(
                    columns=state_pb2.StateColumns(
                        columns=batch.columns,
                        first_entry_id=batch.first,
                        alive=b"" if batch.alive.all() else np.packbits(batch.alive).tobytes(),
                    )
                )


def entry_of(batch: ColumnsState, item: int) -> entry_pb2.Entry:
    """One item of a columns batch as a message."""
    columns = batch.columns
    message = entry_pb2.Entry(
        id=batch.first + item, pipe=columns.pipe, action_index=columns.action_index, tag=batch.tag(item)
    )
    for name, group in (("match", columns.match), ("actions", columns.actions)):
        for column in group:
            size = len(column.values) // columns.count
            value = column.values[item * size : (item + 1) * size]
            getattr(message, name).fields.add(name=column.name, value=value)
    if columns.fwd_table:
        message.fwd.CopyFrom(columns.fwd_table[columns.fwd_index[item]])
    elif columns.HasField("fwd"):
        message.fwd.CopyFrom(columns.fwd)
    if columns.HasField("monitor"):
        message.monitor.CopyFrom(columns.monitor)
    return message


# --- on disk ----------------------------------------------------------------------------------------------------


def _pack(record: state_pb2.StateRecord) -> bytes:
    data = record.SerializeToString()
    return len(data).to_bytes(4, "little") + data


def read_state(path: Path) -> State | None:
    """The state in a file, None when there is no usable one. A torn last record is dropped: nobody was told of it."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    state = State()
    at = 0
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        if at + 4 + length > len(data):
            break
        record = state_pb2.StateRecord.FromString(data[at + 4 : at + 4 + length])
        if at == 0 and (record.WhichOneof("record") != "header" or record.header.format != FORMAT):
            return None
        state.apply(record)
        at += 4 + length
    return state if at else None


class Journal:
    """A state and the file that follows it. One process writes it."""

    def __init__(self, path: Path, state: State) -> None:
        self.path, self.state = path, state
        self._file: IO[bytes] | None = None
        self._written = 0
        self._content = 0
        self.rewrite()

    def write(self, record: state_pb2.StateRecord) -> None:
        """Take a record in, on disk first."""
        data = _pack(record)
        if self._file is None:
            raise ValueError("the journal is closed")
        self._file.write(data)
        self.state.apply(record)
        self._written += len(data)
        if self._written > 2 * self._content + REWRITE_BYTES:
            self.rewrite()

    def rewrite(self) -> None:
        """Write the state as it is now into a new file."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        file = os.fdopen(handle, "wb", buffering=0)
        total = 0
        try:
            for record in self.state.records():
                data = _pack(record)
                file.write(data)
                total += len(data)
            new.replace(self.path)
        except BaseException:
            file.close()
            raise
        if self._file is not None:
            self._file.close()
        self._file = file
        self._written, self._content = 0, total

    def close(self) -> None:
        """The file stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def forget(self) -> None:
        """An orderly end: nothing is promised any more."""
        self.close()
        self.path.unlink(missing_ok=True)
