# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A file that grows by whole lines: a write that fails in the middle leaves nothing that the next one would join."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

_MODE: Final = 0o600


class LineFile:
    """The open file. The caller sees to it that one thread writes at a time."""

    def __init__(self, path: Path) -> None:
        """Opens or begins it. ``torn``: the beginning of a last line that was never finished; it is taken off."""
        self.torn = _mend(path)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
        self._file = os.fdopen(handle, "ab", buffering=0)
        self._size = os.fstat(handle).st_size
        self._left_over = False
        """The file is longer than ``_size``: part of a line that could not be taken back yet."""

    def append(self, line: bytes) -> None:
        """Write a line, whose end included. ``OSError``: nothing of it is there, or will be."""
        self._take_back()
        written = self._file.write(line)
        if written != len(line):
            self._left_over = True
            with contextlib.suppress(OSError):  # else before the next line
                self._take_back()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written

    def _take_back(self) -> None:
        if self._left_over:
            os.ftruncate(self._file.fileno(), self._size)
            self._left_over = False

    def flush(self) -> None:
        """What was written survives the death of the machine."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """End."""
        self._file.close()


def _mend(path: Path) -> bytes:
    """Take off a last line without its end; what was taken."""
    try:
        with path.open("r+b") as file:
            data = file.read()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                file.truncate(whole)
            return data[whole:]
    except FileNotFoundError:
        return b""
