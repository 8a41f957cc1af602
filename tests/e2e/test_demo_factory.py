# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The demonstration with two appliances as a newcomer runs it: it judges itself, and it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.demo import COMMAND, begun, tried
from tests.support.factory import alone
from tests.support.fastpath import wait_for
from tests.support.netns import ip

pytestmark = pytest.mark.root


def left() -> set[str]:
    """Namespaces and directories of a demonstration with two appliances."""
    listed = {line.split()[0] for line in ip("netns", "list").splitlines() if line}
    found = {name for name in listed if name.startswith("fleet-")}
    return found | {str(path) for path in Path(tempfile.gettempdir()).glob("ringfield-fleet-*")}


def under_way() -> bool:
    return len(left()) > 10


def test_it_judges_itself_after_one_that_was_killed_and_stays_to_be_tried() -> None:
    """What a killed demonstration left is taken down; the walk is as expected; the five commands that it invites to
    work as they are printed; nothing is left then.
    """
    with alone():
        with begun("demo", "factory", there=under_way, seconds=2.0):
            pass  # killed
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
                commands = [line.strip() for line in invited.splitlines()[:-1:2]]
                expected = ("connected", "inference-20", "", "1 contained", "released")
                for command, words in zip(commands, expected, strict=True):
                    tried(command, words)
                process.send_signal(signal.SIGINT)
                assert process.wait(120) == 0
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


def test_interrupted_it_leaves_nothing() -> None:
    """By SIGTERM; `demo` shows that SIGINT is taken alike."""
    with alone():
        with begun("demo", "factory", there=under_way, seconds=2.0) as process:
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 1
        assert not left()
