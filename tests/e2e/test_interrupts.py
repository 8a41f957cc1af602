# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Commands that are interrupted, at whatever moment, leave no process, namespace, tap, socket or directory."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.test_demo_pipeline import alone, namespaces
from tests.support.fastpath import wait_for
from tests.support.netns import ip
from tests.support.rig import directory
from tests.support.tree import ROOT

RUN = [sys.executable, "-m", "appliance"]
TAPS = ("rf-", "ai-", "fleet-")
COMMANDS = {
    "run": ["run", "-c", str(ROOT / "examples/first.yaml"), "--runtime-dir", "{}/run"],
    "run-taps": ["run", "-c", str(ROOT / "examples/demo.yaml"), "--runtime-dir", "{}/run"],
    "bench": ["bench", "start", "--quick", "--no-huge"],
    "demo-rootless": ["demo", "--rootless"],
    "demo-pipeline": ["demo", "pipeline"],
    "demo": ["demo"],
    "demo-factory": ["demo", "factory"],
}
NEED_ROOT = {"run-taps", "demo-pipeline", "demo", "demo-factory"}
# Of each command; the seed decides when, and by which signal.
MOMENTS = 2


def processes(mark: str) -> list[str]:
    """Command lines of processes, other than our own, that were started with the mark in their environment."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (one / "environ").read_bytes() and int(one.name) != os.getpid():
                found.append(f"{one.name}: " + (one / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it ended meanwhile
    return found


def left_namespaces() -> set[str]:
    listed = {line.split()[0] for line in ip("netns", "list").splitlines() if line}
    return {name for name in listed if name.startswith(TAPS)}


def interrupt(command: str, how: signal.Signals, after: float, where: Path) -> str:
    """Start a command, interrupt it some seconds later, wait for its end; what it said."""
    words = [word.format(where) for word in COMMANDS[command]]
    with (where.parent / f"{where.name}.log").open("w+") as log:
        process = subprocess.Popen(
            [*RUN, *words],
            stdout=log,
            stderr=log,
            env=os.environ | {"TMPDIR": str(where)},
            start_new_session=True,
        )
        try:
            try:
                process.wait(after)
            except subprocess.TimeoutExpired:
                process.send_signal(how)
            process.wait(120)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        log.seek(0)
        return log.read()


def check(command: str, seed: int, most: float) -> None:
    """Interrupt it at a moment that the seed decides."""
    chance = random.Random(seed)
    after = chance.uniform(0.05, most)
    how = chance.choice([signal.SIGINT, signal.SIGTERM])
    with directory() as root, alone():
        where = root / "tmp"
        where.mkdir()
        before = left_namespaces()
        said = interrupt(command, how, after, where)
        told = f"{command}, {how.name} after {after:.3f} s (seed {seed}):\n{said}"
        wait_for(f"its children to end: {processes(str(where))}\n{told}", lambda: not processes(str(where)))
        assert left_namespaces() == before, told
        # Before Python has read its first module there is nobody who could do otherwise.
        assert "Traceback" not in said or "site module" in said, told
        assert not [path for path in where.iterdir() if path.name != "run"], told
        assert not [path for path in where.rglob("*") if path.is_socket()], told
    assert not namespaces()


@pytest.mark.parametrize("seed", range(MOMENTS))
@pytest.mark.parametrize("command", COMMANDS)
def test_an_interrupt_at_any_moment_leaves_nothing(command: str, seed: int) -> None:
    if command in NEED_ROOT and os.geteuid():
        pytest.skip("needs root: namespaces and taps")
    check(command, seed, 3.0)


@pytest.mark.soak
@pytest.mark.parametrize("command", COMMANDS)
def test_many_interrupts(command: str) -> None:
    if command in NEED_ROOT and os.geteuid():
        pytest.skip("needs root: namespaces and taps")
    begun = time.monotonic()
    for seed in range(1000, 1040):
        if time.monotonic() - begun > 240:
            break
        check(command, seed, 12.0 if command in ("demo", "demo-factory") else 4.0)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_tests_clean_up(how: signal.Signals) -> None:
    """Ctrl-C reaches everybody in the terminal, SIGTERM who started the tests: pytest ends its fast paths anyway."""
    with directory() as root:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "devtools/run_tests.py"), "-q", "tests/rpc/test_segmentation.py"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"TMPDIR": str(root)},
            start_new_session=True,
        )
        try:
            wait_for("a fast path", lambda: any("--runtime-dir" in one for one in processes(str(root))))
            if how is signal.SIGINT:
                os.killpg(process.pid, how)
            else:
                process.send_signal(how)
            assert process.wait(120)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        wait_for("its children to end", lambda: not processes(str(root)))
