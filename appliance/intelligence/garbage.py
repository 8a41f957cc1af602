# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""When a centre looks for cycles of garbage. Whoever looks stops every thread: for 0.4 s at 1,000 slices, and for 20 ms
already at the few, but large, tables that a label change makes. By itself it comes in the midst of that change.

Nearly everything here dies without it. So what was made is taken to live, and all of it is looked at once an hour, or
when so much was made and has not died that cycles of it could fill the memory. Few objects may hold much (messages,
say): so the memory itself counts, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import time
from pathlib import Path
from typing import Final

STEP_SECONDS: Final = 1.0
FEW: Final = 700
"""Objects that are not worth a step."""
MANY: Final = 4_000_000
"""More objects than after the last look; some 400 MB. All appliances dialling anew make a million."""
MUCH: Final = min(2 << 30, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4)
"""More bytes than after the last look. A publish to 1,000 appliances takes above 512 MiB, and must not wait for one."""
LOOK_SECONDS: Final = 3600.0


async def look_rarely() -> None:
    """For ever; nothing is looked at by itself until this ends, for whatever reason."""
    gc.disable()
    try:
        made, looked, left = _look()
        while True:
            await asyncio.sleep(STEP_SECONDS)
            young = gc.get_count()[0]
            late = time.monotonic() - looked > LOOK_SECONDS
            if late or made + young > MANY or _memory() > left + MUCH:
                made, looked, left = _look()
            elif young > FEW:
                made += young
                gc.freeze()
    finally:
        gc.enable()


def _look() -> tuple[int, float, int]:
    """Nothing was made since; when that was, and the bytes that are in use still."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    with contextlib.suppress(
        AttributeError
    ):  # of glibc alone: what is free is given back, and does not count
        ctypes.CDLL(None).malloc_trim(0)
    return 0, time.monotonic(), _memory()


def _memory() -> int:
    """Bytes that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
