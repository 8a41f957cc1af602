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
from typing import Any

import pytest

from tests.support.factory import alone
from tests.support.fastpath import wait_for
from tests.support.netns import ip
from tests.support.tree import ROOT

pytestmark = pytest.mark.root
COMMAND = [sys.executable, "-m", "appliance"]


def left() -> set[str]:
    """Namespaces and directories of a demonstration with two appliances."""
    listed = {line.split()[0] for line in ip("netns", "list").splitlines() if line}
    found = {name for name in listed if name.startswith("fleet-")}
    return found | {str(path) for path in Path(tempfile.gettempdir()).glob("ringfield-fleet-*")}


def test_it_judges_itself_after_one_that_was_killed_and_stays_to_be_tried() -> None:
    """What a killed demonstration left is taken down; the walk is as expected; the five commands that it invites to
    work as they are printed; nothing is left then.
    """
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
        with tempfile.TemporaryDirectory() as where, (Path(where) / "told").open("w+") as told:
            process = subprocess.Popen(
                [*COMMAND, "--json", "demo", "factory", "--keep"], stdout=told, stderr=subprocess.STDOUT,
                env=os.environ | {"COLUMNS": "300"},
            )  # fmt: skip
            try:
                wait_for("the invitation", lambda: "until Ctrl-C" in Path(told.name).read_text(), 250.0)
                said, _, invited = Path(told.name).read_text().partition("\nTry in another shell:\n")
                judged(json.loads(said))
                tried([line.strip() for line in invited.splitlines()[:-1:2]])
                process.send_signal(signal.SIGINT)
                assert process.wait(60) == 0
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        assert not left()


def judged(told: dict[str, Any]) -> None:
    """All as expected, and all that the mission asks of two appliances is there."""
    assert told["good"]
    assert all(check["good"] for check in told["checks"]), told["checks"]
    assert len(told["checks"]) >= 32
    assert [step.split()[0] for step in told["steps"]] == [str(number) for number in range(1, 8)]


def tried(commands: list[str]) -> None:
    """What it invites to, as it is printed."""
    expected = ("connected", "inference-20", "", "1 contained", "released")
    for command, words in zip(commands, expected, strict=True):
        forever = "--follow" in command
        done = subprocess.run(
            ["timeout", "-s", "INT", "3" if forever else "60", "bash", "-c", command], cwd=ROOT, text=True,
            capture_output=True, check=False, stdin=subprocess.DEVNULL, env=os.environ | {"COLUMNS": "160"},
        )  # fmt: skip
        assert forever or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        assert words in done.stdout, f"{command}: {done.stdout}{done.stderr}"


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
