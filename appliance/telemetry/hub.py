# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The one object that takes records in: it stores them and keeps count of verdicts and events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.telemetry import schema
from appliance.telemetry.names import U64, Names, Verdict
from appliance.telemetry.store import FlowStore, Mask, Reader, Rows

CAPACITY: Final = 1 << 18
"""Records that are kept when nobody says otherwise: about 60 MB."""
_STEP: Final = 1024
"""Records that are taken before looking whether somebody is in a hurry: most of a millisecond."""
_ASIDE_SECONDS: Final = 0.02
"""How long a step waits for those who are. The ring has room for ten times as long."""
_EVENTS: Final = 8
_VERDICTS: Final = 8


class Telemetry:
    """Records of one appliance. ``append`` and ``report_lost`` are for the one thread that reads the fast path's ring;
    everything else may be called from anywhere.
    """

    def __init__(
        self,
        names: Names,
        capacity: int = CAPACITY,
        *,
        appliance: str = "",
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """``capacity`` in records; ``appliance``: the name that records carry."""
        self.names = names
        self.store = FlowStore(names, capacity, appliance=appliance, clock=clock)
        self.store.on_written = self._count
        self._events: U64 = np.zeros(_EVENTS, np.uint64)
        self._judged: U64 = np.zeros(_VERDICTS, np.uint64)
        self._converting = threading.Lock()
        self._hurried = 0
        self._count_hurried = threading.Lock()
        self._calm = threading.Event()
        self._totals: dict[str, int] = {}
        self.policy_revision: int | None = None
        """In force; for metrics, set by who publishes."""
        self.newest_ns = 0
        """When the newest record came; 0: none did."""

    def append(self, batch: NDArray[np.void], lost: int = 0) -> None:
        """Take what ``Dpu.flow_records`` gives: a batch of ``FLOW_RECORD`` (copied; may be empty), and how many records
        the ring to this process had no room for *since the session began*; what is new of them is counted here.
        """
        self.report_lost("ring", lost)
        for start in range(0, len(batch), _STEP):
            self._stand_aside()
            self.store.append(batch[start : start + _STEP])

    @contextmanager
    def urgent(self) -> Iterator[None]:
        """Leaves the interpreter to the caller for a moment: whoever deals with records waits before the next step."""
        with self._count_hurried:
            self._hurried += 1
            self._calm.clear()
        try:
            yield
        finally:
            with self._count_hurried:
                self._hurried -= 1
                if not self._hurried:
                    self._calm.set()

    def _stand_aside(self) -> None:
        if self._hurried:
            self._calm.wait(_ASIDE_SECONDS)

    @contextmanager
    def converting(self) -> Iterator[None]:
        """For making records into objects, a few hundred at a time: however many read, at most one thread competes with
        the one that appends for the interpreter.
        """
        with self._converting:
            self._stand_aside()
            yield

    def report_lost(self, place: str, total: int) -> None:
        """Records lost on the way, since the session began: ``ring``; ``worker`` for those that found no room between
        a worker and the control thread (``CtStats.records_lost``).
        """
        before = self._totals.get(place, 0)
        if total != before:
            self._totals[place] = total
            self.store.report_lost(place, total - before if total > before else total)

    def _count(self, rows: Rows) -> None:
        event = rows["event"]
        self.newest_ns = int(rows["time_ns"][-1])
        self._events += np.bincount(event, minlength=_EVENTS)[:_EVENTS].astype(np.uint64)
        first = (event == schema.OPEN) | (event == schema.DENY)
        numbers = rows["judged"][first].astype(np.int64) * _VERDICTS + rows["verdict"][first]
        counted = np.bincount(numbers).astype(np.uint64)
        if len(counted) > len(self._judged):
            grown = np.zeros(len(counted), np.uint64)
            grown[: len(self._judged)] = self._judged
            self._judged = grown
        self._judged[: len(counted)] += counted

    def events(self) -> dict[str, int]:
        """Records taken so far, by event."""
        return {name: int(self._events[number]) for number, name in enumerate(schema.EVENTS) if name}

    def verdicts(self) -> list[tuple[int, Verdict, str, int]]:
        """Connections and denials judged so far: code of the provenance, the provenance, the verdict, how many."""
        counted = self._judged
        return [
            (
                number // _VERDICTS,
                self.names.verdicts[number // _VERDICTS],
                schema.VERDICTS[number % _VERDICTS],
                int(counted[number]),
            )
            for number in np.flatnonzero(counted).tolist()
        ]

    def follow(
        self, select: Callable[[Rows], Mask] | None = None, *, start: int | None = None, lag: int = 1 << 16
    ) -> Reader:
        """A reader of what comes, see ``Reader``."""
        return Reader(self.store, select, start=start, lag=lag)

    def close(self) -> None:
        """Let readers go; nothing may be appended after."""
        self.store.close()
