# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A real fast path for one test, and the checks that every test ends with.

`Fastpath` starts native/fastpath with a config of its own in a private runtime directory, waits for READY, and at
the end asserts: exit status 0, packets conserved, packet buffers all back, nothing left behind. When the test failed
it prints counters and the last lines of the log instead.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.accounts import STEERING, Account, port_names
from tests.support.netns import Netns
from tests.support.tree import BUILD
from tests.support.waiting import wait_for
from tests.support.wire import Stats, Wire

__all__ = ["EXECUTABLE", "Fastpath", "descriptors", "refused", "running", "wait_for"]

EXECUTABLE = BUILD / "native" / "fastpath" / "fastpath"
START_SECONDS = 30.0
STOP_SECONDS = 60.0

Options = Mapping[str, object]


def descriptors(pid: int) -> int:
    """How many file descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def config_text(ports: Mapping[str, Options], options: Options) -> str:
    """The fast path's config file: general options, then one section per port."""
    lines = [f"{key} = {value}" for key, value in options.items()]
    for name, port in ports.items():
        lines += ["", f"[port {name}]", *(f"{key} = {value}" for key, value in port.items())]
    return "\n".join(lines) + "\n"


def refused(
    directory: Path, config: str, *arguments: str, executable: Path = EXECUTABLE, **options: Any
) -> str:
    """Start a fast path that must not start: exit status 1 or 2 (bad options), one sentence on stderr, returned."""
    file = directory / "refused.conf"
    file.write_text(config)
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [executable, "--runtime-dir", directory, "--config", file, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        **options,
    )
    assert done.returncode in (1, 2), f"exit status {done.returncode}\n{done.stderr}"
    assert "READY" not in done.stdout
    lines = [line for line in done.stderr.strip().splitlines() if "no hugepages" not in line]  # a mere notice
    assert len(lines) == 1, f"one clear sentence, not:\n{done.stderr}"
    return lines[0]


class Fastpath:
    """One fast path process. Use `running()` or the fixture `fastpath`, which also do the checks of the end."""

    def __init__(
        self,
        ports: Mapping[str, Options],
        options: Options | None = None,
        *,
        netns: Netns | None = None,
        directory: Path | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        """Start it, wait for READY. `directory`: a runtime directory that outlives this process (restarts)."""
        self.directory = directory or Path(tempfile.mkdtemp(prefix="rft-"))
        self._own_directory = directory is None
        self.socket = self.directory / STEERING
        self.log = self.directory / "fastpath.log"
        self.ports = dict(ports)
        self.account: Account | None = None
        self.killed = False
        config = self.directory / "fastpath.conf"
        # Without hugepages unless asked for: they are shared with whatever else runs on this machine.
        config.write_text(config_text(ports, {"huge": "no", **(options or {})}))
        command = [str(EXECUTABLE), "--runtime-dir", str(self.directory), "--config", str(config), *arguments]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                netns.command(*command) if netns else command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        try:
            self._wait_ready()
            self.account = Account(self.socket)
        except BaseException:
            self.kill()
            print(self.log_tail())
            self.close()
            raise

    def _wait_ready(self) -> None:
        assert self.process.stdout is not None
        end = time.monotonic() + START_SECONDS
        text = b""
        with self.log.open("ab") as log:
            while b"READY " not in text or not text.endswith(b"\n"):
                ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
                chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b""
                if not ready:
                    raise TimeoutError(f"the fast path is not READY after {START_SECONDS:g} s")
                if not chunk:
                    raise RuntimeError(f"the fast path ended before READY, status {self.process.wait()}")
                log.write(chunk)
                text += chunk
        assert f"READY {self.socket}".encode() in text

    @property
    def pid(self) -> int:
        """Process id of the fast path."""
        return self.process.pid

    def wire(self, *, owner: bool = False) -> Wire:
        """A new connection that has said hello, as a reader or as a session that may own ports."""
        connection = Wire(self.socket)
        try:
            owning: dict[str, Any] = {"flags": 0, "nr_queues": 1, "queue_depth": 64} if owner else {}
            connection.hello(**owning)
        except BaseException:
            connection.close()
            raise
        return connection

    def port_names(self) -> list[str]:
        """Ports by index, as the fast path lists them now."""
        with self.wire() as wire:
            return port_names(wire)

    def counters(self) -> dict[str, dict[str, int]]:
        """Packet counters by port name."""
        assert self.account is not None
        return self.account.counters()

    def imbalance(self) -> int:
        """What the conservation law misses, in packets; 0 when it holds."""
        assert self.account is not None
        return self.account.imbalance()

    def check_conserved(self) -> None:
        """The checks of the end, now: packets conserved, buffers back."""
        assert self.account is not None
        self.account.check()

    @property
    def stats(self) -> Stats | None:
        """Its counters; None when it is closed."""
        return self.account.stats if self.account is not None else None

    def dump(self) -> str:
        """Counters that are not zero, for a person who looks for what went wrong."""
        return "no counters" if self.account is None else self.account.dump()

    def log_tail(self, lines: int = 40) -> str:
        """The last lines that the fast path wrote."""
        last = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(["-- fast path's last lines --", *last])

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and wait; its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL, as in a crash; the checks of the end no longer ask for an orderly one."""
        self.killed = True
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """Free what is left of it here; the process must have ended."""
        if self.process.stdout is not None:
            self.process.stdout.close()
        if self.account is not None:
            self.account.close()
            self.account = None
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def finish(self) -> None:
        """The checks that a test ends with, then the end of the process."""
        if self.killed:
            return
        if self.process.poll() is None:
            self.check_conserved()
        status = self.stop()
        assert status == 0, f"exit status {status}\n{self.log_tail()}"
        assert not self.socket.exists(), "the steering socket is left"


@contextmanager
def running(
    ports: Mapping[str, Options],
    options: Options | None = None,
    *,
    netns: Netns | None = None,
    directory: Path | None = None,
    arguments: Sequence[str] = (),
) -> Iterator[Fastpath]:
    """A fast path for the length of a block, with the checks of the end when the block did not fail."""
    fastpath = Fastpath(ports, options, netns=netns, directory=directory, arguments=arguments)
    try:
        yield fastpath
        fastpath.finish()
        if netns is not None:
            assert not [link for link in netns.links() if link in fastpath.ports], "a tap is left"
    except BaseException:
        print(fastpath.dump())
        print(fastpath.log_tail())
        raise
    finally:
        if fastpath.process.poll() is None:
            fastpath.kill()
        fastpath.close()
