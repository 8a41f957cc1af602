# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A file that one process holds for as long as it runs: whoever comes second is told who was first."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import IO

from appliance.errors import InUse


def hold(file: Path, who: str) -> IO[str]:
    """Hold a file until it is closed, with our process id in it. Its directory is made if need be. ``InUse``: another
    process does; ``who`` is what either of them is.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    held = file.open("a+")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        held.seek(0)
        pid = held.read().strip() or "?"
        held.close()
        raise InUse(f"{who} (pid {pid}) runs in {file.parent} already") from None
    held.truncate(0)
    with contextlib.suppress(OSError):  # a full disk: it is held all the same
        os.write(held.fileno(), f"{os.getpid()}\n".encode())
    return held


def locked(path: Path) -> bool:
    """Whether somebody holds a file or directory; nobody does if it is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
