# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""When a centre looks for cycles of garbage. A whole look at 1,000 slices stops every thread for 0.4 s, and by itself
it comes in the midst of a publish. Nearly everything here dies without it.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

YOUNG: Final = 2000, 5
"""Objects before the youngest are looked at, and such looks before the next generation is: some ms at most."""
NEVER: Final = 1 << 30
LOOK_SECONDS: Final = 3600.0


async def look_rarely() -> None:
    """For ever: what there is at the start is left alone, all else is looked at once an hour."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*YOUNG, NEVER)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        gc.collect()
