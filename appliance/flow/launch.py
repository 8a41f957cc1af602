# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Start and end a fast path process: its config file, its runtime directory, its log.

Nothing here touches the library; whoever has a process attaches to its ``runtime_dir``.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.resources
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.errors import InitializationFailed, TimedOut

START_SECONDS = 30.0
STOP_SECONDS = 10.0
PID_FILE = "fastpath.pid"
"""In the runtime directory."""
_PREFIX = "ringfield-private-"
_STALE_SECONDS = 60.0  # a directory may be younger than the lock on it


@dataclass(frozen=True, slots=True, kw_only=True)
class PortConfig:
    """A port of the fast path, as its config file describes it; empty members are left to the fast path.

    ``backend`` is net_ring, net_tap, net_pcap, net_af_packet, net_memif, net_null, gen or pci; ``args`` are
    its device arguments; ``mtu`` in bytes. ``pci``, ``ibdev`` and ``representor`` place the port in the
    emulated device tree.
    """

    name: str
    backend: str = "net_ring"
    args: str = ""
    netns: str = ""
    mac: str = ""
    pci: str = ""
    ibdev: str = ""
    representor: str = ""
    mtu: int = 0
    persist: bool = False


def default_ports(number: int, switch: bool) -> list[PortConfig]:
    """Ring ports: uplinks p0, p1 ... of one card; in switch mode p0 and its representors pf0vf0, pf0vf1 ..."""
    if not switch:
        return [PortConfig(name=f"p{i}", pci=f"0000:03:00.{i}", ibdev=f"mlx5_{i}") for i in range(number)]
    uplink = PortConfig(name="p0", pci="0000:03:00.0", ibdev="mlx5_0")
    names = [f"pf0vf{i}" for i in range(number - 1)]
    return [uplink, *(PortConfig(name=name, pci=uplink.pci, representor=name) for name in names)]


def config_text(ports: Sequence[PortConfig], options: Mapping[str, object]) -> str:
    """The fast path's config file."""
    lines = [f"{key} = {value}" for key, value in options.items()]
    for port in ports:
        lines += ["", f"[port {port.name}]"]
        for key, value in asdict(port).items():
            if key != "name" and value:
                lines.append(f"{key} = {'yes' if value is True else value}")
    return "\n".join(lines) + "\n"


def _sweep() -> None:
    """Remove private runtime directories whose owners were killed. A fast path that lives holds a lock on its own."""
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            about = directory.stat()
            if about.st_uid != os.getuid() or time.time() - about.st_mtime < _STALE_SECONDS:
                continue
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(descriptor)


class FastpathProcess:
    """A running fast path. ``runtime_dir`` is made and removed with it unless one is given.

    The process ends with this one, also when this one is killed, unless ``survive`` is set.
    """

    def __init__(
        self,
        ports: Sequence[PortConfig],
        options: Mapping[str, object] | None = None,
        *,
        runtime_dir: Path | None = None,
        survive: bool = False,
    ) -> None:
        """Start and wait until it serves; raises ``InitializationFailed`` with its last words."""
        self._temporary = runtime_dir is None
        if self._temporary:
            _sweep()
        self.runtime_dir = runtime_dir or Path(tempfile.mkdtemp(prefix=_PREFIX))
        self.runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log = self.runtime_dir / "fastpath.log"
        config = self.runtime_dir / "fastpath.conf"
        config.write_text(config_text(ports, options or {}))
        self._executable = contextlib.ExitStack()
        # Another build of it, with sanitizers for example, is named by the environment.
        program = os.environ.get("RINGFIELD_FASTPATH") or self._executable.enter_context(
            importlib.resources.as_file(importlib.resources.files("appliance") / "bin" / "fastpath")
        )
        command = [str(program), "--runtime-dir", str(self.runtime_dir), "--config", str(config)]
        if not survive and shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "TERM", *command]
        self._started = threading.Event()
        self._failed: OSError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        # A parent-death signal comes when the thread that started the process ends: this one waits for the process.
        self._thread = threading.Thread(
            target=self._run, args=(command, survive), name="fastpath", daemon=True
        )
        self._thread.start()
        self._started.wait()
        try:
            self._wait_ready()
        except BaseException:
            self.stop(kill=True)
            raise

    def _run(self, command: list[str], survive: bool) -> None:
        try:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=survive,
                )
            # At once: whoever is killed before it serves must not leave one that nobody finds.
            (self.runtime_dir / PID_FILE).write_text(f"{self._process.pid}\n")
        except OSError as error:
            self._failed = error
        finally:
            self._started.set()
        if self._process is not None:
            self._process.wait()

    def _wait_ready(self) -> None:
        if self._process is None or self._process.stdout is None:
            raise InitializationFailed(f"the fast path cannot be started: {self._failed}")
        end, said = time.monotonic() + START_SECONDS, b""
        while not (said.endswith(b"\n") and b"READY " in said):
            left = end - time.monotonic()
            if left <= 0:
                raise TimedOut(f"the fast path is not ready after {START_SECONDS:g} s; see {self.log}")
            if select.select([self._process.stdout], [], [], left)[0]:
                chunk = os.read(self._process.stdout.fileno(), 4096)
                if not chunk:
                    raise InitializationFailed(f"the fast path ended at once: {self.last_words()}")
                said += chunk

    def last_words(self) -> str:
        """The end of its log, in one line."""
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return "it left no log"
        return " | ".join(lines[-3:]) or "it said nothing"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self, *, kill: bool = False) -> int | None:
        """End it (SIGTERM, and SIGKILL if it does not go), remove what was made for it; its exit status."""
        process, status = self._process, None
        if process is not None:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                status = process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
            self._thread.join()
            if process.stdout is not None:
                process.stdout.close()
        self._executable.close()
        if self._temporary:
            shutil.rmtree(self.runtime_dir, ignore_errors=True)
        return status
