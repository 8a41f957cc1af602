# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The machine: what it is, how busy it is with other things, its hugepages, our priority and cores."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any, AnyStr

PAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
AUTOGROUP = Path("/proc/self/autogroup")
BUSY = 0.15
"""Of a core that other processes took while nothing ran here: more, and the machine is not ours."""


class BenchError(Exception):
    """A part of the bench that cannot be done, in a sentence."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core does what."""

    control: int
    worker: int
    all: tuple[int, ...] = ()
    """Every one that may be used."""

    @property
    def lcores(self) -> str:
        """As DPDK's --lcores."""
        return f"0@{self.control},1@{self.worker}"


def pick_cores() -> Cores:
    """Everything on the first core that we may use, the worker on the second."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise BenchError("the bench needs two cores: one for the worker, one for everything else")
    return Cores(allowed[0], allowed[1], tuple(allowed))


@contextmanager
def on_cores(*cores: int) -> Iterator[None]:
    """Run this process, and what it starts meanwhile, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds() -> tuple[float, float]:
    """(busy, stolen by the hypervisor) of all cores since the start of the machine."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _, _, irq, soft, steal = (int(word) for word in words[:8])
    ticks = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + soft) / ticks, steal / ticks


def others_load(seconds: float = 0.5) -> float:
    """Cores' worth of work that the machine does while this process sleeps."""
    busy, started = cpu_seconds()[0], time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds()[0] - busy) / (time.monotonic() - started)


@dataclass(frozen=True, slots=True)
class Used:
    """Processor time until a moment, in seconds."""

    moment: float
    everybody: float
    """All programs of the machine, and what the hypervisor gave to others."""
    ours: float
    """This process, and what it has started and waited for."""


def used() -> Used:
    """Until now."""
    times = os.times()
    return Used(time.monotonic(), sum(cpu_seconds()), sum(times[:4]))


def others_since(before: Used) -> float:
    """Cores' worth of work that neither this process nor what it started, and waited for, has done since then."""
    now = used()
    passed = max(now.moment - before.moment, 1e-3)
    return max(0.0, (now.everybody - before.everybody - (now.ours - before.ours)) / passed)


def describe() -> dict[str, Any]:
    """For the report's head."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "dpdk": _dpdk_version(),
        "load_average": list(os.getloadavg()),
        "others_cores": round(others_load(), 2),
    }


def _dpdk_version() -> str:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            ["pkg-config", "--modversion", "libdpdk"], capture_output=True, text=True, check=True
        ).stdout.strip()
    return "unknown"


def thread_run_ns(pid: int, word: str = "worker") -> int:
    """Nanoseconds that the threads of a process with this word in their name have run."""
    return _schedstat(pid, word)[0]


def thread_wait_ns(pid: int, word: str = "worker") -> int:
    """Nanoseconds that they could have run, and waited for a core."""
    return _schedstat(pid, word)[1]


def _schedstat(pid: int, word: str) -> tuple[int, int]:
    ran = waited = 0
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError, ValueError):
            if word in (task / "comm").read_text():
                numbers = (task / "schedstat").read_text().split()
                ran, waited = ran + int(numbers[0]), waited + int(numbers[1])
    return ran, waited


def memory_mib(pid: int) -> tuple[float, float]:
    """(resident, of it hugepages) of a process, in MiB."""
    resident = huge = 0
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "VmRSS":
            resident = int(rest.split()[0])
        elif name == "HugetlbPages":
            huge = int(rest.split()[0])
    return (resident + huge) / 1024, huge / 1024


def opened(stream: IO[AnyStr] | None) -> IO[AnyStr]:
    """A child's stream that was asked for as a pipe."""
    if stream is None:
        raise BenchError("a child process has no pipe")
    return stream


class Hugepages:
    """Reserves 2 MiB pages for as long as it is open; gives back exactly what it took, however we end.

    The giving back is done by a helper process that waits for this one to let go of a pipe.
    """

    def __init__(self, mebibytes: int) -> None:
        self.wanted = mebibytes // 2
        self.have = False
        """Whether there is enough free now."""
        self.taken = 0
        self._guard: subprocess.Popen[bytes] | None = None

    @staticmethod
    def _read(name: str) -> int:
        return int((PAGES / name).read_text())

    def __enter__(self) -> Hugepages:
        with contextlib.suppress(OSError):
            missing = self.wanted - self._read("free_hugepages")
            if missing > 0 and os.access(PAGES / "nr_hugepages", os.W_OK):
                self._take(missing)
            self.have = self._read("free_hugepages") >= self.wanted
            if not self.have:
                self._give_back()
        return self

    def _take(self, pages: int) -> None:
        before = self._read("nr_hugepages")
        # Started before anything is taken; it learns how much when we know. Not in our session: a
        # terminal's interrupt must not reach it.
        self._guard = subprocess.Popen(
            ["sh", "-c", 'n=0; while read -r line; do n=$line; done; [ "$n" -gt 0 ] || exit 0; '
             'now=$(cat "$0"); left=$((now - n)); [ "$left" -ge 0 ] || left=0; echo "$left" > "$0"',
             str(PAGES / "nr_hugepages")],
            stdin=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        (PAGES / "nr_hugepages").write_text(str(before + pages))
        self.taken = self._read("nr_hugepages") - before
        stdin = opened(self._guard.stdin)
        stdin.write(f"{self.taken}\n".encode())
        stdin.flush()

    def _give_back(self) -> None:
        if self._guard is not None:
            opened(self._guard.stdin).close()
            self._guard.wait()
        self._guard, self.taken = None, 0

    def __exit__(self, *_: object) -> None:
        self._give_back()


@contextmanager
def preferred() -> Iterator[bool]:
    """Give the programs of this session precedence over the rest of the machine, where the kernel lets us.

    Yields whether it did. Put back at the end. Who starts the bench with ``nice`` wants the opposite, and gets that.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) > 0:
        yield False
        return
    before = ""
    with contextlib.suppress(OSError, IndexError):
        before = AUTOGROUP.read_text().split("nice")[1].strip()
        AUTOGROUP.write_text("-20")
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    raised = False
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        raised = True
    try:
        yield raised
    finally:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, nice)
            if before:
                AUTOGROUP.write_text(before)


def _interrupted(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextmanager
def orderly_end() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind as Ctrl-C does, so that nothing is left behind."""
    before = {number: signal.signal(number, _interrupted) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
