# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What the centre knows of each appliance's link: what it was told, what it said, what is wrong with it.

The event loop's thread alone changes records; others read. Any thread may raise an alarm.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from appliance.intelligence.slices import Slice

log = structlog.get_logger(__name__)

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
    records: dict[str, Record] = field(default_factory=dict)
    alarms: deque[Alarm] = field(default_factory=lambda: deque(maxlen=MAX_ALARMS))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Of the alarms: the watched directory tells some from the core's thread."""

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
                self.alarms.remove(mine[-1])
            self.alarms.appendleft(Alarm(now, kind, appliance, text))
        log.warning("alarm", kind=kind, appliance=appliance, text=text)

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
