# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""How late an event loop comes to what is due: what every appliance and every operator waits for at least."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

STEP_SECONDS: Final = 0.02
KEPT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Delay:
    """Seconds."""

    p50: float = 0.0
    p99: float = 0.0
    largest: float = 0.0


class DelayMeter:
    """Asks the loop to come back, again and again. The loop's thread."""

    def __init__(self) -> None:
        self._found: deque[tuple[float, float]] = deque(maxlen=int(KEPT_SECONDS / STEP_SECONDS))
        """When it was due, and how late it was."""

    async def run(self) -> None:
        """For ever."""
        while True:
            due = time.monotonic() + STEP_SECONDS
            await asyncio.sleep(STEP_SECONDS)
            self._found.append((due, max(0.0, time.monotonic() - due)))

    def over(self, seconds: float) -> Delay:
        """Of the last so many seconds, as far as they are remembered. A moment without a loop counts for as many
        samples as it swallowed.
        """
        since = time.monotonic() - seconds
        late = sorted(
            late - n * STEP_SECONDS
            for due, late in self._found
            if due >= since
            for n in range(1 + int(late / STEP_SECONDS))
        )
        if not late:
            return Delay()
        return Delay(late[len(late) // 2], late[int(len(late) * 0.99)], late[-1])
