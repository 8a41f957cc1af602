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
        now = self._monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
