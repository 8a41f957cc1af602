# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What the centre knows of each appliance's link: what it was told, what it said, what is wrong with it.

The event loop's thread alone changes records; others read. Any thread may raise an alarm. Alarms are in the store, too:
who raises one does not wait for the disk, ``settle`` does.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final

import structlog

from appliance.intelligence.slices import Slice
from appliance.intelligence.store import Store

log = structlog.get_logger(__name__)

ALARMS: Final = "alarm/"
"""Of keys in the store."""
MAX_ALARMS: Final = 1000
MAX_OF_ONE: Final = 20
"""Alarms of one kind and one appliance."""
LOST_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that somebody should look at."""

    time: float
    kind: str
    appliance: str
    text: str
    number: int = 0
    """Grows; tells alarms apart in the store."""

    @property
    def key(self) -> str:
        """In the store."""
        return f"{ALARMS}{self.number:012d}"

    def to_bytes(self) -> bytes:
        """For the store."""
        return json.dumps(asdict(self)).encode()


@dataclass(slots=True)
class Record:
    """One appliance."""

    name: str
    connected: bool = False
    version: str = ""
    generation: int = 0
    number: int = 0
    digest: bytes = b""
    """Of the slice that it acknowledged."""
    slice: Slice | None = None
    """The slice with that digest, when it is known."""
    containment: tuple[int, int] = (0, 0)
    """Generation and number of the containment that it acknowledged."""
    heard: float = 0.0
    """Monotonic; 0: never."""
    offset: float = 0.0
    """Its clock minus the centre's, seconds."""
    skewed: bool = False
    apply_seconds: float = 0.0
    behind_since: float = 0.0
    """Monotonic; 0: it is current."""
    refusal: str = ""
    fault: str = ""
    drift: bool = False
    detached: str = ""
    uplink: str = ""
    enforced: bool = True


@dataclass
class Book:
    """All of them."""

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    store: Store | None = None
    """Where alarms are kept."""
    raised: Callable[[], object] = lambda: None
    """Told that there is something for ``settle``; once until it is called."""
    records: dict[str, Record] = field(default_factory=dict)
    alarms: deque[Alarm] = field(default_factory=deque)
    """The newest first."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Of the alarms: the watched directory tells some from the core's thread."""
    _new: dict[str, Alarm] = field(default_factory=dict)
    """Not in the store yet, by key."""
    _gone: list[str] = field(default_factory=list)
    """Keys that are in the store still."""
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.store is not None:
            kept = [Alarm(**json.loads(item.value)) for item in self.store.range(ALARMS)]
            self.alarms.extend(reversed(kept))
        self._last = self.alarms[0].number if self.alarms else 0

    def of(self, name: str) -> Record:
        """An appliance's record, made at its first mention."""
        known = self.records.get(name)
        if known is None:
            known = self.records[name] = Record(name)
        return known

    def alarm(self, kind: str, appliance: str, text: str) -> None:
        """Note something; the same again within a minute, with nothing of its kind in between, is told once."""
        now = self.clock()
        with self._lock:
            mine = [one for one in self.alarms if (one.kind, one.appliance) == (kind, appliance)]
            if mine and mine[0].text == text and now - mine[0].time < 60:
                return
            if len(mine) >= MAX_OF_ONE:  # nobody pushes out what others tell
                self._forget(mine[-1])
            elif len(self.alarms) >= MAX_ALARMS:
                self._forget(self.alarms[-1])
            self._last += 1
            made = Alarm(now, kind, appliance, text, self._last)
            self.alarms.appendleft(made)
            first = not self._new and not self._gone
            self._new[made.key] = made
        log.warning("alarm", kind=kind, appliance=appliance, text=text)
        if first:
            self.raised()

    def _forget(self, one: Alarm) -> None:
        self.alarms.remove(one)
        if self._new.pop(one.key, None) is None:
            self._gone.append(one.key)

    def settle(self) -> None:
        """Write down what was raised since. ``FlowError``: it cannot be written; the next call tries again."""
        with self._writing:
            with self._lock:
                new, gone = dict(self._new), list(self._gone)
            if self.store is None or not (new or gone):
                return
            self.store.commit({key: one.to_bytes() for key, one in new.items()}, gone)
            with self._lock:
                # One that was raised and has gone meanwhile is in the store now.
                self._gone = self._gone[len(gone) :] + [key for key in new if key not in self._new]
                self._new = {key: one for key, one in self._new.items() if key not in new}
                more = bool(self._new or self._gone)
        if more:
            self.raised()

    def health(self, record: Record) -> str:
        """``ok``, or what is wrong."""
        if record.detached:
            return f"detached: {record.detached}"
        if record.drift:
            return "drift: the fast path does not hold the program"
        if record.fault:
            return record.fault
        if not record.enforced:
            return "no fast path"
        if record.refusal:
            return "refuses"
        if record.skewed:
            return f"its clock differs by {record.offset:+.1f} s"
        return "ok"
