# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The demonstration as a newcomer runs it, the same set-up served from its file, and a fast path that dies under it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.rpc.client import Client
from appliance.run.appliance import Appliance
from appliance.run.config import read_config
from appliance.run.workload import Workload
from appliance.v1 import system_service_pb2
from tests.support.fastpath import wait_for
from tests.support.netns import ip
from tests.support.rig import directory
from tests.support.tree import ROOT

COMMAND = [sys.executable, "-m", "appliance"]
NAMES = {"rf-prep", "rf-data", "rf-train", "rf-spine"}
DEMO = ROOT / "examples" / "demo.yaml"


@contextmanager
def alone() -> Iterator[None]:
    """One test at a time on this machine: the demonstration's namespaces have fixed names."""
    with (Path(tempfile.gettempdir()) / "ringfield-demo-test.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def namespaces() -> set[str]:
    return {line.split()[0] for line in ip("netns", "list").splitlines() if line} & NAMES


def left_over(before: set[Path]) -> list[Path]:
    return sorted(set(Path(tempfile.gettempdir()).glob("ringfield-demo-*")) - before - {_lock()})


def _lock() -> Path:
    return Path(tempfile.gettempdir()) / "ringfield-demo-test.lock"


def demo(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"COLUMNS": "120"} | variables,
    )


@pytest.mark.parametrize(
    "command", [("demo", "pipeline", "--rootless"), ("demo", "--rootless")], ids=" ".join
)
def test_the_rootless_demonstration(command: tuple[str, ...]) -> None:
    with directory() as where:  # others may run demonstrations of their own meanwhile
        done = demo(*command, TMPDIR=str(where))
        assert done.returncode == 0, done.stdout + done.stderr
        for words in ("All 14 as expected", "tcp_services", "DROPPED (pipe)", "every packet accounted for"):
            assert words in done.stdout
        assert not list(where.iterdir())


@pytest.mark.root
def test_the_demonstration() -> None:
    with alone():
        before = set(Path(tempfile.gettempdir()).glob("ringfield-demo-*"))
        done = demo("--json", "demo", "pipeline")
        assert done.returncode == 0, done.stdout + done.stderr
        judged = json.loads(done.stdout)
        assert judged["good"]
        assert len(judged["checks"]) == 12
        assert not namespaces()
        assert not left_over(before)


@pytest.mark.root
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demonstration_leaves_nothing(how: signal.Signals) -> None:
    with alone():
        before = set(Path(tempfile.gettempdir()).glob("ringfield-demo-*"))
        process = subprocess.Popen(
            [*COMMAND, "demo", "pipeline"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for("the namespaces", namespaces, 30.0)
            time.sleep(0.4)
            process.send_signal(how)
            assert process.wait(30) != 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        assert not namespaces()
        assert not left_over(before)


@pytest.mark.root
def test_a_killed_demonstration_is_taken_down_by_the_next() -> None:
    with alone():
        process = subprocess.Popen(
            [*COMMAND, "demo", "pipeline", "--keep"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for("the namespaces", lambda: len(namespaces()) == 4, 30.0)
        time.sleep(2.0)
        process.kill()
        process.wait()
        done = demo("demo", "pipeline")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "took down what a killed demonstration had left" in done.stdout
        assert not namespaces()


@pytest.mark.root
def test_workloads_survive_a_killed_fast_path() -> None:
    """Addresses, routes and a TCP connection that was open outlive the death of the fast path."""
    with alone(), directory() as where:
        config = read_config(DEMO, runtime_dir=where)
        with Appliance(config) as appliance, Workload("rf-prep") as prep, Workload("rf-data") as data:
            assert data.do("serve_tcp", port=80, name="dataset")["ok"]
            assert prep.do("get", host="10.77.0.2", port=80, size=1000, timeout=5.0)["ok"]
            assert not prep.do("get", host="10.77.0.2", port=22, timeout=0.3)["ok"]
            before = ip("-n", "rf-prep", "-o", "address", "show", "dev", "pf0vf0")
            # Slow enough to be under way when the fast path dies: TCP itself brings the rest after it came back.
            slow = prep.call("get", host="10.77.0.2", port=80, size=60_000_000, timeout=40.0)
            time.sleep(0.3)
            os.kill(appliance.fastpath_pid, signal.SIGKILL)
            wait_for("notice", lambda: appliance.node.dpu is None or appliance.restarts)
            wait_for("recovery", lambda: appliance.restarts == 1)
            assert ip("-n", "rf-prep", "-o", "address", "show", "dev", "pf0vf0") == before
            assert prep.do("get", host="10.77.0.2", port=80, size=1000, timeout=5.0)["ok"]
            assert not prep.do("get", host="10.77.0.2", port=22, timeout=0.3)["ok"]
            answer = slow.result(timeout=60)
            assert answer["ok"], answer
            with Client(f"unix:{config.grpc.unix}") as client:
                status = client.system.GetStatus(system_service_pb2.GetStatusRequest(), timeout=10)
                assert status.restarts == 1
        assert not namespaces()
