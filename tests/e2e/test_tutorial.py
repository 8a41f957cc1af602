# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The tutorials of README.md, run as they stand there: every command of their sh blocks, in order."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import process
from tests.support.factory import alone
from tests.support.tree import ROOT


def commands(title: str) -> list[str]:
    section = (ROOT / "README.md").read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


# What a reader must see after a command that holds the words on the left.
SEEN = {
    "Five minutes": {
        "status": "revision 1 by appliance",
        "workload list": "training",
        "ai-prep timeout 20": "open",
        "ai-agent timeout 1": "closed",
        "why agent": "was refused tcp/2049 to dataset",
        "--last 5": "deny",
        "observe map": "prep",
        "policy diff": "preprocessing-reads-its-dataset",
        "policy publish": "revision 2",
        "can agent dataset": "Yes: agent",
        "policy rollback": "revision 3",
        "quarantine": "prep",
        "ai-prep timeout 1": "closed",
        "release": "prep",
        "audit show": "containment.quarantine",
        "audit verify": "",
        "adopt mine --kind": "mine is behind the appliance",
        "can mine tool": "Yes: mine",
        "--undo": "mine is out",
    },
    "Five minutes with a pipeline of your own": {
        "pipe show": "services (basic, root, on p0; 1 of",
        'dport=443)"': "SENT to p1",
        'dport=22)"': "DROPPED (pipe)",
        "entry add": "",
        "--count 3": "3 of 3 accepted at p0",
        "stats": "every packet accounted for",
        "--json": '"10.0.0.2"',
        "mermaid": "services",
        "first.py": "1 packet to HTTPS",
    },
}


@contextmanager
def serving(command: str, log: Path, environment: dict[str, str]) -> Iterator[None]:
    """What a command that ends in & starts, until the block ends."""
    words = ["bash", "-c", "exec " + command.removesuffix(" &")]
    with process.started(words, log, end=signal.SIGINT, cwd=ROOT, env=environment) as started:
        process.wait_ready(started)
        yield
    assert started.returncode in (0, 130, -signal.SIGINT), log.read_text()


def walk(title: str, directory: Path) -> None:
    """All commands of a tutorial; each must end well and show what it promises."""
    first, *rest = commands(title)
    assert first.endswith(" &")
    assert len(rest) >= len(SEEN[title])
    environment = os.environ | {"XDG_RUNTIME_DIR": str(directory), "NO_COLOR": "1", "COLUMNS": "160"}
    said: dict[str, str] = {}
    with serving(first, directory / "run.log", environment):
        for command in rest:
            quiet = subprocess.DEVNULL if command.endswith("&") else subprocess.PIPE
            done = subprocess.run(
                ["bash", "-c", command], cwd=ROOT, env=environment, text=True, timeout=150,
                stdout=quiet, stderr=quiet,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            said[command] = done.stdout or ""
    for words, expected in SEEN[title].items():
        outputs = [output for command, output in said.items() if words in command]
        assert any(expected in output for output in outputs), (words, outputs)
    assert not list(directory.glob("ringfield/*.sock")), "sockets are left"


def test_five_minutes_with_a_pipeline(tmp_path: Path) -> None:
    walk("Five minutes with a pipeline of your own", tmp_path)


@pytest.mark.root
def test_five_minutes(tmp_path: Path) -> None:
    with alone():
        try:
            walk("Five minutes", tmp_path)
        finally:
            subprocess.run(["ip", "netns", "delete", "mine"], check=False, capture_output=True)
            Path("/tmp/draft.yaml").unlink(missing_ok=True)  # noqa: S108
