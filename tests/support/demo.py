# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Demonstrations as processes: ended on their way, and what they invite to."""

from __future__ import annotations

import os
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
        wait_for("the namespaces", there, 60.0)
        time.sleep(seconds)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def tried(command: str, words: str, status: int | None = 0) -> None:
    """A command does what its invitation says, as it is printed; one that follows is ended after a while."""
    forever = "--follow" in command
    done = subprocess.run(
        ["timeout", "-s", "INT", "4" if forever else "60", "bash", "-c", command], cwd=ROOT, text=True,
        capture_output=True, check=False, stdin=subprocess.DEVNULL, env=os.environ | {"COLUMNS": "160"},
    )  # fmt: skip
    assert forever or done.returncode == status, f"{command}: {done.stdout}{done.stderr}"
    assert words in done.stdout, f"{command}: {done.stdout}{done.stderr}"
    assert "Error" not in done.stderr, f"{command}: {done.stderr}"
