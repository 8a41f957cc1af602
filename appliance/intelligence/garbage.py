# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""When a centre looks for cycles of garbage. Whoever looks stops every thread: for 0.4 s at 1,000 slices, and for 20 ms
already at the few, but large, tables that a label change makes. By itself it comes in the midst of that change.

Nearly everything here dies without it. So what was made is taken to live, and all of it is looked at once an hour, or
when so much was made and has not died that cycles of it could fill the memory.
"""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Final

STEP_SECONDS: Final = 1.0
FEW: Final = 700
"""Objects that are not worth a step."""
MANY: Final = 1_000_000
"""More objects than after the last look; some 100 MB."""
LOOK_SECONDS: Final = 3600.0


async def look_rarely() -> None:
    """For ever; nothing is looked at by itself any more. ``gc.enable`` undoes it."""
    gc.disable()
    made, looked = _look()
    while True:
        await asyncio.sleep(STEP_SECONDS)
        young = gc.get_count()[0]
        if made + young > MANY or time.monotonic() - looked > LOOK_SECONDS:
            made, looked = _look()
        elif young > FEW:
            made += young
            gc.freeze()


def _look() -> tuple[int, float]:
    """Nothing was made since, and when that was."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    return 0, time.monotonic()
