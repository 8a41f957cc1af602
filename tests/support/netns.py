# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Network namespaces that never outlive their test."""

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PREFIX = "rft"  # name: rft-<pid of the test run>-<random>-<what>
RUN = Path("/run/netns")


def ip(*arguments: str) -> str:
    """Run `ip`; its output. Raises with what it said."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


class Netns:
    """A namespace with its loopback up. Made by the `netns` fixture, or by `namespace()`."""

    def __init__(self, what: str = "ns") -> None:
        self.name = f"{PREFIX}-{os.getpid()}-{secrets.token_hex(3)}-{what}"
        ip("netns", "add", self.name)
        try:
            self.ip("link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise

    def ip(self, *arguments: str) -> str:
        """`ip` inside the namespace."""
        return ip("-n", self.name, *arguments)

    def command(self, *command: str) -> list[str]:
        """The command line that runs a command in here."""
        return ["ip", "netns", "exec", self.name, *command]

    def run(self, *command: str, timeout: float = 30.0, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run to the end; status and output are the caller's to judge."""
        return subprocess.run(
            self.command(*command), capture_output=True, text=True, timeout=timeout, check=False, **options
        )

    def popen(self, *command: str, **options: Any) -> "subprocess.Popen[str]":
        """Start a process in here; it dies with the namespace at the latest."""
        return subprocess.Popen(self.command(*command), text=True, **options)

    def links(self) -> list[str]:
        """Names of the interfaces beside the loopback."""
        names = [line.split(": ")[1].split("@")[0] for line in self.ip("-o", "link", "show").splitlines()]
        return [name for name in names if name != "lo"]

    def address(self, link: str, *addresses: str) -> None:
        """Give an interface addresses (with prefix length) and bring it up; IPv6 without duplicate detection."""
        for address in addresses:
            self.ip("address", "add", address, "dev", link, *(["nodad"] if ":" in address else []))
        self.ip("link", "set", link, "up")

    def close(self) -> None:
        """End what runs in here, then delete the namespace. Harmless when it is gone."""
        remove(self.name)


def remove(name: str) -> None:
    """Delete a namespace of ours and the processes in it."""
    if not (RUN / name).exists():
        return
    for pid in ip("netns", "pids", name).split():
        if int(pid) != os.getpid():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
    ip("netns", "delete", name)


def sweep() -> None:
    """Remove what killed test runs left: namespaces whose name carries a pid that is no more."""
    for path in RUN.glob(f"{PREFIX}-*") if RUN.is_dir() else []:
        pid = path.name.split("-")[1]
        if not Path(f"/proc/{pid}").exists():
            remove(path.name)


@contextmanager
def namespace(what: str = "ns") -> Iterator[Netns]:
    """A namespace for the length of a block."""
    made = Netns(what)
    try:
        yield made
    finally:
        made.close()
