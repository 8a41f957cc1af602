# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The last records, in memory: a ring of columns that one thread writes and any number read.

Nobody locks. The writer moves ``oldest`` forward before it overwrites and ``next`` after it has written; a reader
copies what it wants and then throws away what ``oldest`` has passed meanwhile. A reader that follows has a position and
nothing else: when it is too slow it loses records, learns how many, and costs the writer nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from appliance.flow.types import FlowClose
from appliance.telemetry import schema
from appliance.telemetry.names import U8, U64, Names, mix

CHUNK: Final = 16384
"""Records that are written, or looked at, in one step."""

Mask = NDArray[np.bool_]

LOST_PLACES: Final = ("worker", "ring", "store", "stream")
"""Where records can be lost: on the way from a worker to the control thread; in the ring to this process; in the store,
overwritten by newer ones; in a stream whose reader was too slow.
"""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some records: their numbers, and their columns as stored (views or copies)."""

    names: Names
    appliance: str
    records: U64
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def take(self, which: NDArray[Any]) -> Rows:
        """A copy of some, by mask or by position."""
        return Rows(
            self.names,
            self.appliance,
            self.records[which],
            {name: column[which] for name, column in self.columns.items()},
        )


class _Meanings:
    """What follows from codes, as arrays: grown when the tables of names have grown."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.sides: U8 = np.zeros(0, np.uint8)
        """By workload code: 1 local, 2 known elsewhere, 0 nobody."""
        self.verdicts: U8 = np.zeros(0, np.uint8)
        self.quarantine: Mask = np.zeros(0, np.bool_)

    def grow(self) -> None:
        """After the tables have."""
        workloads, verdicts = self._names.workloads, self._names.verdicts
        if len(self.sides) < (size := len(workloads)):
            more = [1 if one.local else 2 for one in workloads[len(self.sides) : size]]
            if not len(self.sides):
                more[0] = 0
            self.sides = np.append(self.sides, np.array(more, np.uint8))
        if len(self.verdicts) < (size := len(verdicts)):
            fresh = verdicts[len(self.verdicts) : size]
            numbers = [
                schema.VERDICTS.index(one.verdict) if one.verdict in schema.VERDICTS else 0 for one in fresh
            ]
            self.verdicts = np.append(self.verdicts, np.array(numbers, np.uint8))
            quarantine = [(one.band, one.rule) == schema.QUARANTINE for one in fresh]
            self.quarantine = np.append(self.quarantine, np.array(quarantine, np.bool_))


def _by_sides(meaning: Callable[[int, int], int]) -> U8:
    """A table by source side * 4 + destination side."""
    return np.array([meaning(at >> 2, at & 3) for at in range(16)], np.uint8)


DIRECTION_OF: Final = _by_sides(lambda source, destination: (source == 1) | (destination == 1) << 1)
REPORTER_OF: Final = _by_sides(
    lambda source, destination: {(1, 2): 1, (2, 1): 2}.get((source, destination), 3)
)


class FlowStore:
    """A bounded history of flow records. ``capacity`` in records; each takes ``schema.RECORD_BYTES``."""

    def __init__(
        self,
        names: Names,
        capacity: int,
        *,
        appliance: str = "",
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        if capacity < 1:
            raise ValueError("a store of records needs room for at least one")
        self.names, self.capacity, self.appliance = names, capacity, appliance
        self.lost: dict[str, int] = dict.fromkeys(LOST_PLACES, 0)
        """Records lost before they came here, by place; ``store``: those that made room for newer ones."""
        self._clock = clock
        self._meanings = _Meanings(names)
        self._columns: dict[str, NDArray[Any]] = {
            name: np.zeros((capacity, *shape), kind) for name, kind, shape in schema.STORED
        }
        self._oldest = 1
        self._next = 1
        self._grown = threading.Condition()
        self.on_written: Callable[[Rows], None] | None = None
        """Called by the writer with each piece that it has written (views, valid during the call)."""
        self.closed = False

    # -- writing: one thread

    def append(self, batch: NDArray[np.void]) -> None:
        """Take records as they came from the fast path (``FLOW_RECORD``)."""
        now = self._clock()
        step = max(1, min(CHUNK, self.capacity // 2))
        for start in range(0, len(batch), step):
            self._write(batch[start : start + step], now)
        self.wake()

    def report_lost(self, place: str, count: int) -> None:
        """Records that were lost on their way here."""
        self.lost[place] += count

    def _write(self, batch: NDArray[np.void], now: int) -> None:
        added = self._complete(batch, now)
        count = len(batch)
        at = (self._next - 1) % self.capacity
        head = min(count, self.capacity - at)
        oldest = self._next + count - self.capacity
        if oldest > self._oldest:
            self.lost["store"] += oldest - self._oldest
            self._oldest = oldest
        values_of = {name: added[name] if name in added else batch[name] for name in self._columns}
        for name, column in self._columns.items():
            values = values_of[name]
            column[at : at + head] = values[:head]
            if head < count:
                column[: count - head] = values[head:]
        records = np.arange(self._next, self._next + count, dtype=np.uint64)
        self._next += count
        if self.on_written is not None:
            self.on_written(Rows(self.names, self.appliance, records, values_of))

    def _complete(self, batch: NDArray[np.void], now: int) -> dict[str, NDArray[Any]]:
        names, meanings = self.names, self._meanings
        zones, versions = batch["zone"], batch["ip_version"]
        source = names.workload_codes(zones, versions, batch["src_ip"])
        destination = names.workload_codes(zones, versions, batch["dst_ip"])
        judged = names.verdict_codes(batch["tag"])
        meanings.grow()
        event, close = batch["event"], batch["close"]
        cut = (event == schema.CLOSE) & (close == FlowClose.POLICY)
        denied = cut | (event >= schema.DENY)
        meant = meanings.verdicts[judged]
        verdict = np.where(
            denied,
            np.where(meant == schema.REJECT, schema.REJECT, schema.DROP),
            np.where(meant == schema.ALERT, schema.ALERT, schema.ALLOW),
        )
        sides = meanings.sides[source] * np.uint8(4) + meanings.sides[destination]
        return {
            "time_ns": np.full(len(batch), now, np.int64),
            "connection": connection_ids(batch),
            "src_workload": source,
            "dst_workload": destination,
            "src_labels": names.identity_codes(batch["src_identity"]),
            "dst_labels": names.identity_codes(batch["dst_identity"]),
            "judged": judged,
            "verdict": verdict,
            "drop": np.where(denied, batch["drop"], 0),
            "close": np.where(cut & meanings.quarantine[judged], schema.CLOSE_QUARANTINE, close),
            "direction": DIRECTION_OF[sides],
            "reporter": REPORTER_OF[sides],
        }

    # -- reading: any thread

    @property
    def oldest(self) -> int:
        """Number of the oldest record that is still there."""
        return self._oldest

    @property
    def next(self) -> int:
        """Number that the next record will get."""
        return self._next

    def __len__(self) -> int:
        return self._next - self._oldest

    def _view(self, start: int, stop: int) -> Rows:
        """Records that lie in one piece; the caller has to mind ``oldest``."""
        at = (start - 1) % self.capacity
        end = at + stop - start
        if end <= self.capacity:
            columns = {name: column[at:end] for name, column in self._columns.items()}
        else:
            columns = {
                name: np.concatenate((column[at:], column[: end - self.capacity]))
                for name, column in self._columns.items()
            }
        return Rows(self.names, self.appliance, np.arange(start, stop, dtype=np.uint64), columns)

    def read(self, start: int, stop: int, select: Callable[[Rows], Mask] | None = None) -> tuple[Rows, int]:
        """A copy of the records from ``start`` up to ``stop`` that ``select`` takes, at most ``CHUNK`` looked at, and
        how many of the range were overwritten already.
        """
        begin = max(start, self._oldest)
        end = max(begin, min(stop, self._next, begin + CHUNK))
        view = self._view(begin, end)
        which = np.flatnonzero(select(view)) if select is not None else np.arange(len(view))
        rows = view.take(which)
        now = self._oldest
        if now > begin:  # overwritten while it was copied
            rows = rows.take(rows.records >= now)
        return rows, max(0, min(now, stop) - start)

    def scan(
        self,
        select: Callable[[Rows], Mask] | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
        backwards: bool = False,
    ) -> Iterator[Rows]:
        """Pieces of the history, oldest first or newest first (each piece in its order)."""
        first, last = max(start, self._oldest), self._next if stop is None else min(stop, self._next)
        if backwards:
            while last > max(first, self._oldest):
                begin = max(first, last - CHUNK)
                yield self.read(begin, last, select)[0]
                last = begin
            return
        while first < last:
            yield self.read(first, min(last, first + CHUNK), select)[0]
            first += CHUNK

    def first_since(self, time_ns: int) -> int:
        """Number of the first record that came at this time or later."""
        low, high = self._oldest, self._next
        times = self._columns["time_ns"]
        while low < high:
            middle = (low + high) // 2
            if times[(middle - 1) % self.capacity] < time_ns:
                low = middle + 1
            else:
                high = middle
        return low

    def wait(self, position: int, timeout: float, stop: Callable[[], bool] | None = None) -> bool:
        """Until there is a record at ``position``; False when there is none in time."""
        with self._grown:
            self._grown.wait_for(
                lambda: self._next > position or self.closed or (stop is not None and stop()), timeout
            )
            return self._next > position

    def wake(self) -> None:
        """Make waiting readers look again."""
        with self._grown:
            self._grown.notify_all()

    def close(self) -> None:
        """No more records will come: readers that wait are let go."""
        self.closed = True
        self.wake()


def connection_ids(batch: NDArray[np.void]) -> U64:
    """Hash of zone, protocol, addresses and ports, the opener's first."""
    source = np.ascontiguousarray(batch["src_ip"]).view(np.uint64)
    destination = np.ascontiguousarray(batch["dst_ip"]).view(np.uint64)
    tail = batch["zone"].astype(np.uint64) << np.uint64(8) | batch["protocol"]
    ports = batch["src_port"].astype(np.uint64) << np.uint64(16) | batch["dst_port"]
    return mix(
        mix(source[:, 0], source[:, 1], destination[:, 0]), destination[:, 1], tail << np.uint64(24) ^ ports
    )


@dataclass(frozen=True, slots=True)
class Taken:
    """What a reader got: records, and what it did not get since the last time, by place."""

    rows: Rows
    lost: Mapping[str, int]
    position: int
    """Up to here (exclusive) everything was looked at."""


class Reader:
    """Follows a store. ``lag``: how many records it may be behind before it skips ahead."""

    def __init__(
        self,
        store: FlowStore,
        select: Callable[[Rows], Mask] | None = None,
        *,
        start: int | None = None,
        lag: int = 1 << 16,
    ) -> None:
        """``start``: number of the first record wanted; None for those that are still to come."""
        self._store, self._select, self._lag = store, select, max(1, lag)
        self.position = store.next if start is None else max(start, 1)
        self._lost = dict(store.lost)
        self._closed = False
        self._caught_up = start is None
        self.lost = 0
        """Records that this reader was too slow for, in all."""

    def wait(self, timeout: float) -> None:
        """Until there is something to take, or the end."""
        self._store.wait(self.position, timeout, lambda: self._closed)

    def take(self, timeout: float) -> Taken:
        """What came since, up to ``CHUNK`` looked at; waits for something to come."""
        store = self._store
        if timeout:
            self.wait(timeout)
        missed = 0
        behind = store.next - self.position
        if behind <= CHUNK:
            self._caught_up = True
        if self._caught_up and behind > self._lag:
            missed = behind - self._lag
            self.position += missed
        end = max(self.position, min(self.position + CHUNK, store.next))
        rows, overwritten = store.read(self.position, end, self._select)
        self.position = end
        missed += overwritten
        self.lost += missed
        lost = {place: store.lost[place] - self._lost[place] for place in ("worker", "ring")}
        for place in lost:
            self._lost[place] += lost[place]
        lost["stream"] = missed
        return Taken(rows, {place: count for place, count in lost.items() if count}, self.position)

    def close(self) -> None:
        """Let a waiting ``take`` go."""
        self._closed = True
        self._store.wake()

    @property
    def closed(self) -> bool:
        """Whether there is nothing more to take."""
        return self._closed or self._store.closed


def gather(pieces: Sequence[Rows]) -> Rows:
    """Pieces as one; at least one piece."""
    first = pieces[0]
    if len(pieces) == 1:
        return first
    return Rows(
        first.names,
        first.appliance,
        np.concatenate([piece.records for piece in pieces]),
        {name: np.concatenate([piece[name] for piece in pieces]) for name in first.columns},
    )
