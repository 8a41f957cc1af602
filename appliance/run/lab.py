# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Network namespaces for a laboratory on one machine: made before the fast path starts, set up once its taps are there,
removed at the end. Real deployments have workloads of their own and leave the section out.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from appliance.errors import AlreadyExists, InitializationFailed, NotPermitted
from appliance.run.config import Namespace, PortConfig, RunConfig

log = structlog.get_logger(__name__)

NETNS: Final = Path("/run/netns")
LINK_SECONDS: Final = 5.0


def ip(*arguments: str) -> str:
    """Run ``ip``; its output. Raises with what it said."""
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise InitializationFailed("the command ip is missing (Debian package iproute2)") from None
    if done.returncode:
        raise InitializationFailed(f"ip {' '.join(arguments)}: {done.stderr.strip() or 'failed'}")
    return done.stdout


def remove(name: str) -> None:
    """Delete a namespace and end what runs in it. Harmless when it is gone."""
    if not (NETNS / name).exists():
        return
    for pid in ip("netns", "pids", name).split():
        if int(pid) != os.getpid():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
    ip("netns", "delete", name)


def remove_taps(ports: Sequence[PortConfig]) -> None:
    """Delete the taps that outlive a fast path, so that its next start finds their addresses. Harmless when gone."""
    for port in ports:
        if port.options.get("persist") != "yes":
            continue
        given = [
            word.removeprefix("iface=")
            for word in port.options.get("args", "").split(",")
            if "iface=" in word
        ]
        command = ["ip", "link", "delete", given[0] if given else port.name]
        if port.netns:
            path = port.netns if port.netns.startswith("/") else str(NETNS / port.netns)
            command = ["nsenter", f"--net={path}", *command]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            log.debug("no tap to remove", port=port.name, reason=done.stderr.strip())


class Lab:
    """The namespaces of a configuration. ``owned`` are those that this lab made, and removes."""

    def __init__(self, config: RunConfig, *, adopt: bool = False) -> None:
        """``adopt``: namespaces that are there already belong to an appliance that died; they are ours."""
        self.namespaces = config.namespaces
        self.owned: list[str] = []
        if not self.namespaces:
            return
        if os.geteuid() != 0:
            raise NotPermitted("namespaces and taps need root: run with sudo, or use net_ring ports")
        there = [space.name for space in self.namespaces if (NETNS / space.name).exists()]
        if there and not adopt:
            raise AlreadyExists(
                f"namespace {there[0]} exists already; if nothing uses it: ip netns delete {there[0]}"
            )
        try:
            for space in self.namespaces:
                self.owned.append(space.name)  # before it is made: an interrupt may come between
                if space.name not in there:
                    self._add(space.name)
                ip("-n", space.name, "link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise

    def _add(self, name: str) -> None:
        try:
            ip("netns", "add", name)
        except InitializationFailed:
            self.owned.remove(name)  # whoever made it meanwhile has it
            raise

    def set_up(self) -> None:
        """Addresses, neighbours, routes: when the taps are there. Repeating it changes nothing."""
        for space in self.namespaces:
            self._wait_for_link(space)
            # Each key once: IPv6 that goes off and on again loses its addresses.
            settings = {"net.ipv6.conf.all.disable_ipv6": "1"} | dict(space.sysctl)
            set_sysctl(space.name, list(settings.items()))
            for address in space.addresses:
                ip("-n", space.name, "address", "replace", address, "dev", space.port)
            ip("-n", space.name, "link", "set", space.port, "up")
            for address, mac in space.neighbours:
                ip("-n", space.name, "neighbour", "replace", address, "lladdr", mac, "dev", space.port)
            for destination, gateway in space.routes:
                ip("-n", space.name, "route", "replace", destination, "via", gateway)

    def _wait_for_link(self, space: Namespace) -> None:
        end = time.monotonic() + LINK_SECONDS
        while True:
            try:
                ip("-n", space.name, "link", "show", space.port)
            except InitializationFailed:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
            else:
                return

    def close(self) -> None:
        """Remove what this lab made."""
        for name in self.owned:
            try:
                remove(name)
            except InitializationFailed as error:
                log.warning("a namespace is left", namespace=name, reason=error.reason)
        self.owned.clear()


def set_sysctl(name: str, settings: Sequence[tuple[str, str]]) -> None:
    """Set kernel parameters inside a namespace."""
    for key, value in settings:
        path = "/proc/sys/" + key.replace(".", "/")
        done = subprocess.run(
            ["ip", "netns", "exec", name, "tee", path],
            input=value,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode and not key.endswith(".disable_ipv6"):  # kernels without IPv6 lack it
            raise InitializationFailed(f"namespace {name}: cannot set {key}: {done.stderr.strip()}")


def get_sysctl(name: str, key: str) -> str:
    """A kernel parameter inside a namespace; empty when the kernel has none of that name."""
    path = "/proc/sys/" + key.replace(".", "/")
    command = ["ip", "netns", "exec", name, "cat", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()
