# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Records as JSON lines, to a file that is rotated by size or to standard output.

A sink is a reader like any other, in a thread of its own: when the disk is slow it loses records, writes down how many
(``{"lost": {"stream": 12}}``), and slows nobody. A file that cannot be written is tried again with the next records.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import structlog

from appliance.errors import BadConfig
from appliance.telemetry import render
from appliance.telemetry.filters import Filter
from appliance.telemetry.follower import Follower
from appliance.telemetry.hub import Telemetry
from appliance.telemetry.store import Rows

log = structlog.get_logger(__name__)

MAX_BYTES: Final = 64 << 20
FILES: Final = 4
_ENCODE: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def encoded(records: Sequence[Mapping[str, Any]]) -> bytes:
    """A line each."""
    return "".join([_ENCODE(one) + "\n" for one in records]).encode()


class RotatedFile:
    """A file that is appended to. Beyond ``max_bytes`` it becomes ``NAME.1``, that ``NAME.2``; ``files`` in all."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES, files: int = FILES) -> None:
        self.path, self._max_bytes, self._files = path, max_bytes, max(1, files)
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        """Append; raises ``OSError``."""
        if self._file is None:
            self._file = self.path.open("ab", buffering=0)
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
        if self._file.tell() >= self._max_bytes:
            self._rotate()

    def _rotate(self) -> None:
        self.close()
        names = [self.path, *(self.path.with_name(f"{self.path.name}.{n}") for n in range(1, self._files))]
        if len(names) == 1:
            self.path.unlink(missing_ok=True)
        for old, new in zip(names[-2::-1], names[:0:-1], strict=True):
            if old.exists():
                old.replace(new)

    def close(self) -> None:
        """Of the file only; the next write opens it again."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


class _Stdout:
    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def close(self) -> None:
        """It stays open."""


class JsonLines(Follower[bytes]):
    """Writes what comes."""

    def __init__(
        self,
        telemetry: Telemetry,
        path: Path | None = None,
        *,
        filters: Sequence[Filter] = (),
        max_bytes: int = MAX_BYTES,
        files: int = FILES,
        lag: int = 1 << 16,
    ) -> None:
        """``path`` None is standard output. ``BadConfig``: the file cannot be opened."""
        self.written = 0
        self.failed = 0
        """Records that could not be written."""
        self._bad = False
        """The last write failed."""
        self._target = _Stdout() if path is None else RotatedFile(path, max_bytes, files)
        try:
            self._target.write(b"")
        except OSError as error:
            raise BadConfig(f"records cannot be written to {path}: {error.strerror}") from None
        super().__init__(telemetry, "records", filters, lag)

    def _begin(self, lost: Mapping[str, int]) -> None:
        if lost:
            self._pass_on(encoded([{"lost": lost}]), 0)

    def _convert(self, piece: Rows) -> bytes:
        return encoded(render.records(piece))

    def _pass_on(self, made: bytes, count: int) -> None:
        try:
            self._target.write(made)
        except (OSError, ValueError) as error:
            self.failed += count
            self._target.close()
            if not self._bad:
                log.error(
                    "records cannot be written",
                    to=str(getattr(self._target, "path", "stdout")),
                    why=str(error),
                )
            self._bad = True
            return
        self.written += count
        if self._bad:
            log.info("records are written again", lost=self.failed)
        self._bad = False

    def _release(self) -> None:
        self._target.close()
