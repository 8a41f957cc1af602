# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A reader in a thread of its own, for whoever passes records on: to a file, to a collector."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import numpy as np

from appliance.telemetry.filters import Filter, compiled
from appliance.telemetry.hub import Telemetry
from appliance.telemetry.store import Rows

PIECE: Final = 512
"""Records that are converted at a time."""
Made = TypeVar("Made")


class Follower(ABC, Generic[Made]):
    """Passes on what comes until ``close`` or the end of its block; what has come by then is passed on still. When it
    is slow it loses records and slows nobody.

    The methods with an underscore are called by the thread, which runs when ``__init__`` returns: call it last.
    """

    def __init__(self, telemetry: Telemetry, name: str, filters: Sequence[Filter], lag: int) -> None:
        """``name`` is the thread's; ``lag``: how many records it may be behind before it skips ahead."""
        self._telemetry = telemetry
        self._reader = telemetry.follow(compiled(filters), lag=lag)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @abstractmethod
    def _begin(self, lost: Mapping[str, int]) -> None:
        """Called about every second at least, before the records that have come: what did not come, by place."""

    @abstractmethod
    def _convert(self, piece: Rows) -> Made:
        """Records as they go out. In a block of ``Telemetry.converting``."""

    @abstractmethod
    def _pass_on(self, made: Made, count: int) -> None:
        """So many converted records. May take its time; raises nothing."""

    @abstractmethod
    def _release(self) -> None:
        """Free what it writes to; the thread has ended."""

    def _run(self) -> None:
        stop = 0
        while True:
            stop = stop or (self._telemetry.store.next if self._reader.closed else 0)
            taken = self._reader.take(1.0)
            self._begin(taken.lost)
            for at in range(0, len(taken.rows), PIECE):
                piece = taken.rows.take(np.arange(at, min(at + PIECE, len(taken.rows))))
                with self._telemetry.converting():
                    made = self._convert(piece)
                self._pass_on(made, len(piece))
            if stop and self._reader.position >= stop:
                return

    def close(self) -> None:
        """Pass on what has come, and end."""
        self._reader.close()
        self._thread.join()
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
