# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield run` as a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STOP_SECONDS = 60.0


@contextmanager
def started(
    command: Sequence[str], log: Path, *, end: signal.Signals, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """A command for the length of a block, then `end`; if that is not enough, it is killed and the test fails.
    What it writes to standard error goes to `log`, which is printed when the block fails.
    """
    with log.open("a") as file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True, **options)
    try:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(end)
            process.wait(STOP_SECONDS)
    except BaseException:
        print(log.read_text())
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def appliance(
    file: Path, directory: Path | None = None, *, end: signal.Signals = signal.SIGKILL
) -> Iterator[subprocess.Popen[str]]:
    """The appliance of a configuration, in a runtime directory (by default the file's own), for a block."""
    where = directory or file.parent
    command = [sys.executable, "-m", "appliance", "run", "-c", str(file), "--runtime-dir", str(where)]
    with started(command, where / "run.log", end=end) as process:
        yield process


def wait_ready(process: subprocess.Popen[str]) -> None:
    """Until it says that it serves."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("READY "):
            return
    raise AssertionError(f"ended before READY, status {process.wait()}: see its log")
