# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What the kernel is told of a thread that has much to do and is waited for by nobody."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from typing import Final

_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
"""Number of the system call ``sched_setattr``, by machine."""
_ATTR: Final = struct.Struct("=IIQiIQQQ")
"""``struct sched_attr`` of the first version: size, policy, flags, nice, priority, runtime, deadline, period."""
SLICE_NS: Final = 20_000_000


def give_way() -> None:
    """This thread gets its share of the core in long slices, so that whoever wakes up, with a short one, comes first.
    It keeps its weight: nobody starves it, as a higher nice value would let them.

    Linux since 6.12; elsewhere nothing happens.
    """
    number = _SETATTR.get(platform.machine())
    if number is not None and os.sched_getscheduler(0) == os.SCHED_OTHER:
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        attr = ctypes.create_string_buffer(_ATTR.pack(_ATTR.size, os.SCHED_OTHER, 0, nice, 0, SLICE_NS, 0, 0))
        ctypes.CDLL(None).syscall(number, 0, attr, 0)
