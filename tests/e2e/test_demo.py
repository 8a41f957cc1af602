# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The demonstration of the AI factory as a newcomer runs it: it judges itself, and it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from appliance.demo.factory_data import HOSTS
from tests.support.demo import COMMAND, begun, tried
from tests.support.factory import alone
from tests.support.fastpath import wait_for
from tests.support.netns import ip

pytestmark = pytest.mark.root
NAMES = {host.namespace for host in HOSTS.values()}


def namespaces() -> set[str]:
    return {line.split()[0] for line in ip("netns", "list").splitlines() if line} & NAMES


def under_way() -> bool:
    return len(namespaces()) == len(NAMES)


def directories() -> set[Path]:
    return {path for path in Path(tempfile.gettempdir()).glob("ringfield-demo-*") if path.is_dir()}


def test_it_judges_itself_after_one_that_was_killed_and_stays_to_be_tried() -> None:
    """What a killed demonstration left is taken down; the walk is as expected; `--keep` stays, and the five commands
    that it prints work as they are printed; nothing is left then.
    """
    with alone(), tempfile.TemporaryDirectory() as where, (Path(where) / "told").open("w+") as file:
        before = directories()
        with begun("demo", there=under_way, seconds=1.0):
            pass  # killed
        assert directories() > before
        process = subprocess.Popen(
            [*COMMAND, "--json", "demo", "--keep"], stdout=file, stderr=subprocess.STDOUT,
            env=os.environ | {"COLUMNS": "300"},
        )  # fmt: skip
        try:
            wait_for("the invitation", lambda: "until Ctrl-C" in Path(file.name).read_text(), 250.0)
            said, _, invited = Path(file.name).read_text().partition("\nTry in another shell:\n")
            judged(json.loads(said))
            commands = [line.strip() for line in invited.splitlines()[:-1:2]]
            expected = (
                (0, "revision"),
                (None, ""),
                (1, "is quarantined"),
                (0, "released: agent"),
                (0, "open"),
            )
            for command, (status, words) in zip(commands, expected, strict=True):
                tried(command, words, status)
            process.send_signal(signal.SIGINT)
            assert process.wait(120) == 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        assert not namespaces()
        assert directories() == before


def judged(told: dict[str, Any]) -> None:
    """All four steps were walked, all is as expected, and all that should be shown is."""
    assert told["good"], told["checks"]
    assert all(check["good"] for check in told["checks"])
    assert len(told["checks"]) >= 18
    assert [step.split()[-1] for step in told["steps"]] == [
        "Visibility",
        "Policy",
        "Enforcement",
        "Containment",
    ]
    asked = {(one["source"], one["target"], one["service"], one["version"]) for one in told["matrix"]}
    assert len(asked) == sum(2 * len(host.services) * (len(HOSTS) - 1) for host in HOSTS.values())
    assert {"map", "policy in force", "audit log", "conservation law"} <= {
        one["what"] for one in told["evidence"]
    }


def test_a_wrong_expectation_is_a_failure() -> None:
    """The judge is not asleep: what is expected to work and does not turns the exit status."""
    with alone():
        done = subprocess.run(
            [*COMMAND, "demo", "--expect", "agent>dataset=tcp/2049"], capture_output=True, text=True, check=False,
            timeout=250, env=os.environ | {"COLUMNS": "140"},
        )  # fmt: skip
        assert done.returncode == 1, done.stdout + done.stderr
        assert "1 of " in done.stdout
        assert "agent → dataset tcp/2049" in done.stdout
        assert "Evidence" in done.stdout
        assert not namespaces()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing(how: signal.Signals) -> None:
    with alone():
        before = directories()
        with begun("demo", there=under_way, seconds=1.0) as process:
            process.send_signal(how)
            assert process.wait(120) == 1
        assert not namespaces()
        assert directories() == before
