# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Demonstrations as processes: ended on their way, and what they invite to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.fastpath import wait_for
from tests.support.tree import ROOT

COMMAND = [sys.executable, "-m", "appliance"]


@contextmanager
def begun(*words: str, there: Callable[[], bool], seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """`ringfield WORDS` so many seconds after its namespaces are ``there``; killed (-9) if it outlives the block."""
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for("the namespaces", there, 150.0)
        time.sleep(seconds)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def tried(command: str, words: str, status: int | None = 0) -> None:
    """A command does what its invitation says, as it is printed; one that follows is interrupted once it speaks."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}" if "--follow" in command else command], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=os.environ | {"COLUMNS": "160"},
    )  # fmt: skip
    told = ""
    try:
        if "--follow" in command:
            assert process.stdout is not None
            told = process.stdout.readline()
            process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=150)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert "--follow" in command or process.returncode == status, f"{command}: {rest}{errors}"
    assert words in told + rest, f"{command}: {told}{rest}{errors}"
    assert "Error" not in errors, f"{command}: {errors}"
