# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The demonstration with two appliances as a newcomer runs it: it judges itself, and it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.support.factory import alone
from tests.support.fastpath import wait_for
from tests.support.netns import ip

pytestmark = pytest.mark.root
COMMAND = [sys.executable, "-m", "appliance"]


def left() -> set[str]:
    """Namespaces and directories of a demonstration with two appliances."""
    listed = {line.split()[0] for line in ip("netns", "list").splitlines() if line}
    found = {name for name in listed if name.startswith("fleet-")}
    return found | {str(path) for path in Path(tempfile.gettempdir()).glob("ringfield-fleet-*")}


def test_it_judges_itself_after_one_that_was_killed() -> None:
    """What a killed demonstration left is taken down; the walk is as expected; nothing is left then."""
    with alone():
        with subprocess.Popen(
            [*COMMAND, "demo", "factory"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as killed:
            try:
                wait_for("the namespaces", lambda: len(left()) > 10, 60.0)
                time.sleep(2.0)
            finally:
                killed.kill()
        assert left()
        done = subprocess.run(
            [*COMMAND, "--json", "demo", "factory"], capture_output=True, text=True, check=False, timeout=250,
            env=os.environ | {"COLUMNS": "140"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout)
        assert told["good"]
        assert all(check["good"] for check in told["checks"])
        assert len(told["checks"]) >= 7
        assert not left()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing(how: signal.Signals) -> None:
    with alone():
        process = subprocess.Popen(
            [*COMMAND, "demo", "factory"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for("the namespaces", lambda: len(left()) > 10, 60.0)
            time.sleep(2.0)
            process.send_signal(how)
            assert process.wait(60) == 1
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        assert not left()
