# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Records as JSON lines, to a file that is rotated by size or to standard output.

A sink is a reader like any other, in a thread of its own: when the disk is slow it loses records, writes down how many
(``{"lost": {"stream": 12}}``), and slows nobody. A file that cannot be written is tried again with the next records.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

import numpy as np
import structlog

from appliance.errors import BadConfig
from appliance.telemetry import render
from appliance.telemetry.filters import Filter, compiled
from appliance.telemetry.hub import Telemetry

log = structlog.get_logger(__name__)

PIECE: Final = 512
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


class JsonLines:
    """Writes what comes until ``close`` or the end of its block; what has come by then is written still."""

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
        self._telemetry = telemetry
        self._target = _Stdout() if path is None else RotatedFile(path, max_bytes, files)
        try:
            self._target.write(b"")
        except OSError as error:
            raise BadConfig(f"records cannot be written to {path}: {error.strerror}") from None
        self._reader = telemetry.follow(compiled(filters), lag=lag)
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        bad, stop = False, 0
        while True:
            stop = stop or (self._telemetry.store.next if self._reader.closed else 0)
            taken = self._reader.take(1.0)
            if taken.lost:
                bad = self._write(encoded([{"lost": taken.lost}]), 0, bad)
            for at in range(0, len(taken.rows), PIECE):
                piece = taken.rows.take(np.arange(at, min(at + PIECE, len(taken.rows))))
                with self._telemetry.converting:
                    data = encoded(render.records(piece))
                bad = self._write(data, len(piece), bad)
            if stop and self._reader.position >= stop:
                return

    def _write(self, data: bytes, count: int, bad: bool) -> bool:
        try:
            self._target.write(data)
        except (OSError, ValueError) as error:
            self.failed += count
            self._target.close()
            if not bad:
                log.error(
                    "records cannot be written",
                    to=str(getattr(self._target, "path", "stdout")),
                    why=str(error),
                )
            return True
        self.written += count
        if bad:
            log.info("records are written again", lost=self.failed)
        return False

    def close(self) -> None:
        """Write what has come, and end."""
        self._reader.close()
        self._thread.join()
        self._target.close()

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
