# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The programs that the bench runs: the fast path, bench-flow and bench-rings beside it, testpmd if installed."""

from __future__ import annotations

import contextlib
import importlib.resources
import json
import math
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.bench import traffic
from appliance.bench.machine import BenchError, Cores, opened, thread_run_ns
from appliance.flow import FastpathProcess, PortConfig

MEMORY_MIB = 1200
RESERVE_MIB = 2000
"""Other programs may take some of the pages."""
SPARE_BUFFERS = 32768
TESTPMD = "dpdk-testpmd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a whole bench has in common."""

    cores: Cores
    huge: bool
    runs: int
    quick: bool
    scratch: Path
    """A directory for traffic files, removed at the end."""
    events: tuple[str, ...] = ()
    """What the part ``disruption`` does to the appliance."""
    floods: tuple[str, ...] = ()
    """What the part ``hostile`` sends; empty: everything."""
    axes: tuple[str, ...] = ()
    """What the part ``sizes`` goes over; empty: everything."""
    until: float = math.inf
    """time.monotonic() after which a part of many points measures no further one."""

    @property
    def window_ms(self) -> int:
        """Length of one measurement of forwarding."""
        return 200 if self.quick else 1000

    @property
    def flows(self) -> tuple[int, ...]:
        """Numbers of connections measured."""
        return (1024,) if self.quick else (1024, 32768)


def program(name: str) -> str:
    """Path of a program that was installed with the package."""
    path = importlib.resources.files("appliance") / "bin" / name
    if not path.is_file():
        # In a tree, links point to what the build directory has.
        fastpath = Path(str(importlib.resources.files("appliance") / "bin" / "fastpath")).resolve()
        path = fastpath.parent.parent / "bench" / name
    if not path.is_file():
        raise BenchError(f"{name} is not installed with this package")
    return str(path)


def replay(flows: int, scratch: Path) -> list[PortConfig]:
    """Two ports that replay connections and their replies without end, and drop what they send."""
    names = ("p0", "p1")
    return [
        PortConfig(name=name, backend="net_pcap", args=f"rx_pcap={path},infinite_rx=1")
        for name, path in zip(names, traffic.write_pair(scratch, flows), strict=True)
    ]


def buffers(flows: int) -> int:
    """Packet buffers for replaying so many connections on two ports."""
    return 2 * max(16384, 2 * flows) + SPARE_BUFFERS


@contextmanager
def fastpath(
    settings: Settings,
    ports: Sequence[PortConfig],
    *,
    mbufs: int = SPARE_BUFFERS,
    spin: bool = True,
    huge: bool = True,
    cache: int | None = None,
    workers: Sequence[int] = (),
) -> Iterator[FastpathProcess]:
    """A fast path with its worker on a core of its own; without ``huge`` in ordinary memory in any case. ``cache``:
    walks that the flow cache has room for, if not as many as usual; ``workers``: a core for each, if not just one.
    """
    huge = huge and settings.huge
    options: dict[str, object] = {
        "lcores": settings.cores.lcores,
        "idle": "spin" if spin else "adaptive",
        "huge": "yes" if huge else "no",
        "mbufs": mbufs,
        "counters": 1 << 20,
    }
    if workers:
        cores = ",".join(f"{1 + i}@{core}" for i, core in enumerate(workers))
        options["lcores"] = f"0@{settings.cores.control},{cores}"
    if cache is not None:
        options["cache"] = cache
    if huge:
        options["memory_mb"] = MEMORY_MIB
    process = FastpathProcess(ports, options)
    try:
        yield process
    finally:
        process.stop()


def _arguments(what: str, process: FastpathProcess, options: dict[str, object]) -> list[str]:
    words = [program("bench-flow"), what, "--runtime-dir", str(process.runtime_dir)]
    for key, value in options.items():
        words += [f"--{key.replace('_', '-')}", str(value)]
    return words


def _failed(name: str, status: int, words: str) -> BenchError:
    last = words.strip().splitlines()[-1:] or ["it said nothing"]
    return BenchError(f"{name} ended with {status}: {last[0]}")


def run_json(command: Sequence[str], seconds: float = 120.0, **variables: str) -> dict[str, Any]:
    """Run a program to its end and read its JSON."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL,
        env=os.environ | variables,
    )  # fmt: skip
    if done.returncode:
        raise _failed(Path(command[0]).name, done.returncode, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def flow(what: str, process: FastpathProcess, **options: object) -> dict[str, Any]:
    """One measurement by bench-flow."""
    return run_json(_arguments(what, process, options))


@contextmanager
def load(what: str, process: FastpathProcess, **options: object) -> Iterator[None]:
    """bench-flow as a load, from when it is ready until the end of the block."""
    child = subprocess.Popen(
        _arguments(what, process, options),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        if not opened(child.stdout).readline():
            raise _failed(f"bench-flow {what}", child.wait(), child.communicate()[1])
        yield
        opened(child.stdin).close()
        child.stdin = None
        words = child.communicate(timeout=60)[1]
        if child.returncode:
            raise _failed(f"bench-flow {what}", child.returncode, words)
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


def rings(settings: Settings, **options: object) -> dict[str, Any]:
    """One measurement by bench-rings."""
    words = [program("bench-rings"), "--cores", settings.cores.lcores]
    words += ["--memory", "huge" if settings.huge else "no-huge"]
    for key, value in options.items():
        words += [f"--{key}"] if value is True else [f"--{key}", str(value)]
    # DPDK leaves a directory where this says.
    with tempfile.TemporaryDirectory(prefix="ringfield-bench-") as directory:
        return run_json(words, RUNTIME_DIRECTORY=directory)


def generator_io(settings: Settings, arguments: str) -> float:
    """Millions of packets that a pair of generator ports makes per second of the worker's time when nobody looks at
    them. ``arguments``: of the opener.
    """
    words = [program("bench-gen"), "--core", str(settings.cores.worker), "--args", arguments]
    words += ["--memory", "huge" if settings.huge else "no-huge", "--milliseconds", str(settings.window_ms)]
    with tempfile.TemporaryDirectory(prefix="ringfield-bench-") as directory:
        found = run_json(words, RUNTIME_DIRECTORY=directory)
    return 1e3 * float(found["sent"]) / float(found["ran_ns"])


# -- testpmd ------------------------------------------------------------------------------------------------------


def has_testpmd() -> bool:
    """Whether the peer is installed (Debian package dpdk-dev)."""
    return shutil.which(TESTPMD) is not None


def _testpmd_command(settings: Settings, mode: str, pair: Sequence[Path], mbufs: int) -> list[str]:
    memory = ["--in-memory"] if settings.huge else ["--no-huge", "--no-shconf"]
    vdevs = [f"--vdev=net_pcap{i},rx_pcap={path},infinite_rx=1" for i, path in enumerate(pair)]
    return [
        TESTPMD, "--lcores", settings.cores.lcores, "-n", "1", "--no-pci", "--no-telemetry", *memory,
        "-m", str(MEMORY_MIB), *vdevs, "--", "--nb-cores=1", f"--forward-mode={mode}", "--auto-start",
        "--stats-period=1", f"--total-num-mbufs={mbufs}",
    ]  # fmt: skip


def testpmd(settings: Settings, mode: str, flows: int) -> tuple[float, float]:
    """Packets per second that testpmd sends on both ports, and the part of its core that the worker had."""
    pair = traffic.write_pair(settings.scratch, flows)
    samples = 2 if settings.quick else 3
    with tempfile.TemporaryDirectory(prefix="ringfield-bench-") as directory:
        child = subprocess.Popen(
            _testpmd_command(settings, mode, pair, buffers(flows)),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=os.environ | {"RUNTIME_DIRECTORY": directory},
        )  # fmt: skip
        try:
            return _watch_testpmd(child, samples)
        finally:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(5)
            child.kill()
            child.communicate()


def _watch_testpmd(child: subprocess.Popen[str], samples: int) -> tuple[float, float]:
    """Sums of both ports' sent packets against time, from the second report on."""
    sent: dict[int, int] = {}
    port, reports, words = 0, 0, ""
    start = (0.0, 0, 0)
    for line in opened(child.stdout):
        words = line if line.strip() else words
        if found := re.search(r"NIC statistics for port (\d+)", line):
            port = int(found[1])
        elif found := re.search(r"TX-packets: (\d+)", line):
            sent[port] = int(found[1])
            if port == 1:
                reports += 1
                now = (time.monotonic(), sum(sent.values()), thread_run_ns(child.pid))
                if reports == 2:
                    start = now
                elif reports == 2 + samples:
                    seconds = now[0] - start[0]
                    return (now[1] - start[1]) / seconds, (now[2] - start[2]) / 1e9 / seconds
    raise _failed(TESTPMD, child.wait(), words)
