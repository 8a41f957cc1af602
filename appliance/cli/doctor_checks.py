# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What `ringfield doctor` looks at: this machine, this installation, one runtime directory, one configuration.

Every check looks and changes nothing. A finding is good, a warning (it works, with less) or a failure (it will not
work), and says what was found and what to do.
"""

from __future__ import annotations

import ctypes
import importlib.resources
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from cryptography import x509

from appliance.errors import FlowError
from appliance.flow.launch import PID_FILE
from appliance.run.config import RunConfig, read_config
from appliance.run.lock import locked

NETNS: Final = Path("/run/netns")
TUN: Final = Path("/dev/net/tun")
MEMORY_MB: Final = 512
"""Free memory below this is worth a word."""
EXPIRY_DAYS: Final = 30
PACKAGES: Final = ("grpcio", "protobuf", "cffi", "numpy", "cryptography")
STA_UNSYNC: Final = 0x0040
OLDEST_CLOCK: Final = 1735689600.0
"""2025-01-01: a clock before it is wrong."""
LAB: Final = ("rf-*", "ai-*")
"""Namespaces of examples/."""
TEMPORARY: Final = ("ringfield-private-*", "ringfield-demo-*")


class Mark(Enum):
    """How a check ended."""

    GOOD = "good"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    check: str
    mark: Mark
    found: str
    advice: str = ""
    """What to do; empty when it is good."""


def good(check: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(check, Mark.GOOD, found)


def warning(check: str, found: str, advice: str) -> Finding:
    """It works, with less."""
    return Finding(check, Mark.WARNING, found, advice)


def failure(check: str, found: str, advice: str) -> Finding:
    """It will not work."""
    return Finding(check, Mark.FAILURE, found, advice)


# --- the installation -------------------------------------------------------------------------------------------------


def versions() -> Iterator[Finding]:
    """Ringfield, Python, its packages."""
    found = sys.version_info
    say = f"ringfield {version('ringfield')}, Python {platform.python_version()}"
    if found[:2] < (3, 11):
        yield failure("versions", say, "Ringfield needs Python 3.11 or newer: set RINGFIELD_PYTHON")
        return
    names = []
    for package in PACKAGES:
        try:
            names.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            yield failure("versions", f"the Python package {package} is missing", "run ./ringfield --version")
            return
    yield good("versions", f"{say}, {', '.join(names)}")


def fastpath() -> Iterator[Finding]:
    """The fast path's program, which DPDK it runs on."""
    named = os.environ.get("RINGFIELD_FASTPATH")
    with importlib.resources.as_file(importlib.resources.files("appliance") / "bin" / "fastpath") as path:
        program = named or str(path)
        try:
            done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired) as error:
            yield failure("fast path", f"{program}: {error}", "build it: ./ringfield --version")
            return
    said = (done.stdout or done.stderr).strip()
    if done.returncode:
        missing = "a DPDK library is missing: apt-get install libdpdk-dev dpdk" if ".so" in said else ""
        yield failure("fast path", said.splitlines()[-1] if said else "does not start", missing or "build it")
    elif version("ringfield") not in said:
        yield failure("fast path", f"{said}; the rest is {version('ringfield')}", "build again: ./ringfield")
    else:
        yield good("fast path", said)


# --- the machine ------------------------------------------------------------------------------------------------------


def permissions() -> Iterator[Finding]:
    """Root, and what namespaces and taps need."""
    if os.geteuid() != 0:
        yield warning(
            "permissions",
            f"user {os.geteuid()}, not root",
            "taps and namespaces need root; without it: ring ports (demo pipeline --rootless, examples/first.yaml)",
        )
    else:
        yield good("permissions", "root")
    if not TUN.exists():
        yield warning("tun device", f"{TUN} is missing", "for net_tap ports: modprobe tun")
    elif not os.access(TUN, os.R_OK | os.W_OK):
        yield warning("tun device", f"{TUN} may not be opened", "for net_tap ports: run as root")
    elif os.geteuid() == 0 and (why := _tun_opens()):
        yield failure("tun device", why, "modprobe tun; in a container: --device /dev/net/tun")
    else:
        yield good("tun device", str(TUN))
    if shutil.which("ip") is None:
        yield warning("ip command", "missing", "for namespaces: apt-get install iproute2")
    else:
        yield good("ip command", shutil.which("ip") or "")


def _tun_opens() -> str:
    try:
        os.close(os.open(TUN, os.O_RDWR))
    except OSError as error:
        return f"{TUN}: {error.strerror}"
    return ""


def _meminfo() -> dict[str, int]:
    """/proc/meminfo: kB, or numbers."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {line.split(":")[0]: int(line.split(":")[1].split()[0]) for line in lines}


def resources() -> Iterator[Finding]:
    """Cores, memory, hugepages."""
    cores = len(os.sched_getaffinity(0))
    if cores < 2:
        yield warning("cores", "1 core", "worker and control share it (one_core: true): it works, slower")
    else:
        yield good("cores", f"{cores} cores")
    memory = _meminfo()
    free = memory["MemAvailable"] // 1024
    if free < MEMORY_MB:
        yield warning(
            "memory", f"{free} MB available", f"{MEMORY_MB} MB are advised; see fastpath: memory_mb"
        )
    else:
        yield good("memory", f"{free:,} MB available")
    total, unused = memory.get("HugePages_Total", 0), memory.get("HugePages_Free", 0)
    size = memory.get("Hugepagesize", 2048) // 1024
    if not total:
        yield warning(
            "hugepages",
            "none",
            f"it works without, slower with large tables; sysctl vm.nr_hugepages={1024 // max(size, 1)}",
        )
    elif not unused:
        yield warning(
            "hugepages", f"all {total} of {size} MB are taken", "end what holds them, or reserve more"
        )
    else:
        yield good("hugepages", f"{unused} of {total} free, {size} MB each")


class _Timex(ctypes.Structure):
    """The head of ``struct timex``; the rest is only room."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_char * 256),
    ]


def clock() -> Iterator[Finding]:
    """Records, schedules, expiries and certificates live by the clock."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if time.time() < OLDEST_CLOCK:
        yield failure("clock", now, "set the clock: certificates and schedules would be judged wrongly")
        return
    state = _Timex()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.adjtimex(ctypes.byref(state)) >= 0 and state.status & STA_UNSYNC:
        yield warning("clock", f"{now}, not synchronised", "records of several appliances need NTP or PTP")
    else:
        yield good("clock", now)


# --- what runs, and what is left ------------------------------------------------------------------------------------


def fastpath_of(directory: Path) -> int:
    """Process id of the fast path that runs in a runtime directory; 0 when none does."""
    try:
        pid = int((directory / PID_FILE).read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0
    return pid if str(directory).encode() in command else 0


def runtime(directory: Path) -> Iterator[Finding]:
    """The runtime directory: whose it is, who runs in it, what a killed one left."""
    if not directory.exists():
        yield good("runtime directory", f"{directory} does not exist yet")
        return
    about = directory.stat()
    if about.st_uid != os.geteuid() and os.geteuid() != 0:
        yield failure(
            "runtime directory",
            f"{directory} belongs to user {about.st_uid}",
            "use --runtime-dir, or its owner",
        )
        return
    if stat.S_IMODE(about.st_mode) & 0o077:
        yield warning(
            "runtime directory",
            f"{directory} is open to others (mode {stat.S_IMODE(about.st_mode):o})",
            f"whoever reaches the socket commands the appliance: chmod 700 {directory}",
        )
    lock = directory / "appliance.lock"
    running = locked(lock)
    pid = fastpath_of(directory)
    if running:
        yield good("runtime directory", f"{directory}: an appliance runs (pid {lock.read_text().strip()})")
    elif pid:
        yield warning(
            "runtime directory",
            f"{directory}: a fast path (pid {pid}) forwards and enforces, no appliance manages it",
            "start the appliance again with the same configuration: it adopts it without losing a packet",
        )
    elif (directory / "steering.sock").exists() or (directory / PID_FILE).exists():
        yield warning(
            "runtime directory",
            f"{directory}: something was killed here",
            "nothing to do: the next ./ringfield run brings it back, or run --fresh takes it down",
        )
    else:
        yield good("runtime directory", str(directory))


def leftovers() -> Iterator[Finding]:
    """What killed demonstrations and programs left."""
    stale = []
    for pattern in TEMPORARY:
        for directory in Path(tempfile.gettempdir()).glob(pattern):
            lock = directory / "appliance.lock"
            try:
                if directory.is_dir() and not locked(lock if lock.exists() else directory):
                    stale.append(directory)
            except OSError:
                continue
    empty = [space.name for space in _lab_namespaces() if not _pids(space.name)]
    if not stale and not empty:
        yield good("leftovers", "none")
    if stale:
        yield warning(
            "leftovers",
            f"{len(stale)} directories of killed runs, {stale[0]} ...",
            "./ringfield demo takes down what a killed demonstration left; else remove them",
        )
    if empty:
        yield warning(
            "namespaces",
            f"{', '.join(empty)}: of a laboratory, nothing runs in them",
            "if no appliance uses them: " + "; ".join(f"ip netns delete {name}" for name in empty[:3]),
        )


def _lab_namespaces() -> list[Path]:
    return sorted(path for what in LAB for path in NETNS.glob(what)) if NETNS.is_dir() else []


def _pids(namespace: str) -> bool:
    """Whether something runs in a namespace, or an appliance's taps are there (then it is in use)."""
    try:
        done = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, timeout=5)
        links = subprocess.run(
            ["ip", "-n", namespace, "-o", "link"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return True
    return bool(done.stdout.strip()) or len(links.stdout.splitlines()) > 1


# --- a configuration --------------------------------------------------------------------------------------------------


def configuration(file: Path | None) -> Iterator[Finding]:
    """The configuration file, and the certificates that it names."""
    if file is None:
        yield good("configuration", "not asked for (-c FILE)")
        return
    try:
        config = read_config(file)
    except FlowError as error:
        yield failure("configuration", error.reason, "docs/config.md explains every key")
        return
    yield good("configuration", f"{file}: {len(config.ports)} ports")
    yield from certificates(config)


def certificates(config: RunConfig) -> Iterator[Finding]:
    """Certificates of gRPC over TCP: readable, in time, the key kept from others."""
    tcp = config.grpc.tcp
    if tcp is None:
        return
    if tcp.certificate is None:
        yield warning(
            "certificates",
            f"{tcp.address} serves without TLS",
            "give grpc.tcp.certificate, key and client_ca",
        )
        return
    for path in filter(None, (tcp.certificate, tcp.client_ca)):
        yield certificate(path)
    if tcp.client_ca is None:
        yield warning(
            "certificates",
            f"{tcp.address} takes any client: whoever reaches it can change policy",
            "set grpc.tcp.client_ca for mTLS",
        )
    if tcp.key is not None and stat.S_IMODE(tcp.key.stat().st_mode) & 0o077:
        yield warning("certificates", f"{tcp.key} can be read by others", f"chmod 600 {tcp.key}")


def certificate(path: Path) -> Finding:
    """One certificate file."""
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        return failure("certificates", f"{path}: {error}", "it must be a certificate in PEM")
    ends = found.not_valid_after_utc
    days = (ends - datetime.now(UTC)).days
    if found.not_valid_before_utc > datetime.now(UTC):
        return failure(
            "certificates", f"{path} is not valid before {found.not_valid_before_utc}", "see the clock"
        )
    if days < 0:
        return failure("certificates", f"{path} expired on {ends:%Y-%m-%d}", "renew it")
    if days < EXPIRY_DAYS:
        return warning("certificates", f"{path} expires in {days} days", "renew it")
    return good("certificates", f"{path}: {days:,} days left")


def all_checks(directory: Path, file: Path | None) -> list[Finding]:
    """Everything, in the order in which a person would look."""
    found = [*versions(), *fastpath(), *permissions(), *resources(), *clock()]
    return [*found, *runtime(directory), *leftovers(), *configuration(file)]
