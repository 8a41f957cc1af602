# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""So many a second, and so many at once."""

from __future__ import annotations

import time
from collections.abc import Callable


class Bucket:
    """What somebody may do still. One thread at a time."""

    def __init__(
        self, per_second: float, burst: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second, self._burst, self._monotonic = per_second, burst, monotonic
        self._left, self._at = burst, monotonic()

    def take(self) -> bool:
        """One more; whether there was room for it."""
        self._fill()
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def owe(self, room: float) -> float:
        """One more, which cannot be refused any more: what there is too little of is owed. 0: there is room for another
        one; else the seconds until there is for so many.
        """
        self._fill()
        self._left -= 1.0
        return 0.0 if self._left >= 1.0 else self.wait(room)

    def wait(self, room: float) -> float:
        """Seconds until there is room for so many; 0: there is."""
        self._fill()
        return max(0.0, min(room, self._burst) - self._left) / self._per_second

    def _fill(self) -> None:
        now = self._monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
