# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What ``Dpu``, ``Port``, ``Pipe`` and ``Entry`` share: queue locks, the registry of entries, and the way
completions take.

The library calls back inside ``entries_process``; the callbacks (in C) write a list. Whoever processes a
queue takes the list and tells each entry what happened to it. One thread at a time may use a queue, which
the queue's lock ensures.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from appliance.errors import FlowError, TimedOut, error_from_code
from appliance.flow.types import EntryOp, EntryStatus
from appliance.steering import session
from appliance.steering.native import Cdata

WAIT_SECONDS = 10.0
SLICE_US = 20_000


class Listener(Protocol):
    """An object that completions concern."""

    def completed(self, status: EntryStatus, op: EntryOp, error: FlowError | None) -> None:
        """An operation ended, or (AGED) the entry's time is up."""


class Engine:
    """One per session."""

    def __init__(self, queues: int) -> None:
        self.nr_queues = queues
        self._queues = [threading.RLock() for _ in range(queues)]
        self._lock = threading.RLock()
        self._listeners: dict[int, Listener] = {}
        self.unknown: Callable[[int], Listener | None] = lambda number: None
        self.pipe_notices: dict[int, deque[int]] = {}
        self.resizes: dict[int, int] = {}
        self.warnings: deque[str] = deque(maxlen=1000)
        self._undo: list[Callable[[], None]] | None = None
        self.transactions = 0
        """How many have begun."""

    # -- transactions ----------------------------------------------------------------------------------------------

    @property
    def in_transaction(self) -> int:
        """The number of the open transaction, 0 when none is."""
        return 0 if self._undo is None else self.transactions

    def begin(self) -> None:
        """A transaction is open: from now on ``on_abort`` is kept."""
        with self._lock:
            self.transactions += 1
            self._undo = []

    def on_abort(self, undo: Callable[[], None]) -> None:
        """What puts an object right if the open transaction is aborted; nothing to do when none is open."""
        with self._lock:
            if self._undo is not None:
                self._undo.append(undo)

    def end(self, *, committed: bool) -> None:
        """The transaction has ended; all its completions have been told."""
        with self._lock:
            undo, self._undo = self._undo or [], None
            if not committed:
                for step in reversed(undo):
                    step()

    # -- queues and completions ------------------------------------------------------------------------------------

    def queue(self, number: int) -> threading.RLock:
        """The lock of a pipe queue."""
        if not 0 <= number < self.nr_queues:
            raise ValueError(f"queue {number}: this session has queues 0 to {self.nr_queues - 1}")
        return self._queues[number]

    def register(self, number: int, listener: Listener) -> None:
        """From now on this object hears of the entry."""
        with self._lock:
            self._listeners[number] = listener

    def forget(self, number: int) -> None:
        """The entry is gone."""
        with self._lock:
            self._listeners.pop(number, None)

    def process(self, port: Cdata, queue: int, timeout_us: int, most: int) -> int:
        """Process a queue and tell everybody; returns how many completions were told, of any queue."""
        with self.queue(queue):
            session.process(port, queue, timeout_us, most)
        return self.dispatch()

    def dispatch(self) -> int:
        """Tell what callbacks have written down."""
        told = 0
        with self._lock:
            for kind, number, detail, status, op, code, reason in session.notices():
                if kind == session.NOTICE_ENTRY:
                    told += 1
                    listener = self._listeners.get(number) or self.unknown(number)
                    if listener is not None:
                        error = error_from_code(code, reason) if code else None
                        listener.completed(EntryStatus(status), EntryOp(op), error)
                elif kind == session.NOTICE_PIPE:
                    self.pipe_notices.setdefault(number, deque(maxlen=64)).append(op)
                elif kind == session.NOTICE_RESIZE:
                    self.resizes[number] = detail
                elif kind == session.NOTICE_LINT:
                    self.warnings.append(reason)
        return told

    def until(self, done: Callable[[], bool], port: Cdata, queue: int, what: str) -> None:
        """Process a queue until something is true."""
        end = time.monotonic() + WAIT_SECONDS
        while not done():
            if time.monotonic() > end:
                raise TimedOut(f"{what}: the fast path did not answer within {WAIT_SECONDS:g} s")
            self.process(port, queue, SLICE_US, 1)
