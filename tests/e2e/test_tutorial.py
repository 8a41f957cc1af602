# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The five minutes of README.md, run as they stand there: every command of its sh blocks, in order."""

import os
import re
import signal
import subprocess
from pathlib import Path

from tests.support.tree import ROOT


def commands() -> list[str]:
    section = (ROOT / "README.md").read_text().split("\n## Five minutes\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


# What a reader must see after a command that holds the words on the left.
SEEN = {
    "pipe show": "services (basic, root, on p0; 1 of",
    'dport=443)"': "SENT to p1",
    'dport=22)"': "DROPPED (pipe)",
    "entry add": "",
    "--count 3": "3 of 3 accepted at p0",
    "stats": "every packet accounted for",
    "--json": '"10.0.0.2"',
    "mermaid": "services",
    "first.py": "1 packet to HTTPS",
}


def test_five_minutes(tmp_path: Path) -> None:
    first, *rest = commands()
    assert first.endswith(" &")
    assert len(rest) >= len(SEEN)
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path), "NO_COLOR": "1", "COLUMNS": "120"}
    serving = subprocess.Popen(
        ["bash", "-c", "exec " + first.removesuffix(" &")],
        cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    said: dict[str, str] = {}
    try:
        assert serving.stdout is not None
        lines = []
        for line in serving.stdout:
            lines.append(line)
            if line.startswith("READY "):
                break
        assert "READY " in lines[-1], "".join(lines)
        for command in rest:
            done = subprocess.run(
                ["bash", "-c", command], cwd=ROOT, env=environment, text=True, capture_output=True, timeout=60
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            said[command] = done.stdout
    finally:
        serving.send_signal(signal.SIGINT)
        tail = serving.communicate(timeout=20)[0]
    assert serving.returncode in (0, 130, -signal.SIGINT), tail
    for words, expected in SEEN.items():
        outputs = [output for command, output in said.items() if words in command]
        assert any(expected in output for output in outputs), (words, outputs)
    sent = next(output for command, output in said.items() if command.endswith("stats"))
    assert "5" in sent
    assert "dropped because" in sent
    assert not list(tmp_path.glob("ringfield/*.sock")), "sockets are left"
