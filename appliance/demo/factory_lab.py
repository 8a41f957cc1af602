# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The workloads of the factory as processes: servers, tries, long-lived connections. Knows no policy."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from appliance.demo.factory_data import HOSTS, STREAM_RATE, Host, Service, Stream
from appliance.errors import InitializationFailed
from appliance.run.lab import ip
from appliance.run.workload import Workload

ADDRESS_SECONDS: Final = 10.0
"""How long duplicate address detection may take."""
TRY_SECONDS: Final = 1.0
"""A try that gets no answer for so long failed."""
PATIENCE_SECONDS: Final = 5.0
"""A second try of what should be open: the machine may be busy."""


@dataclass(frozen=True, slots=True, order=True)
class Try:
    """One try: who, to whom, which service, over which IP version."""

    source: str
    target: str
    service: Service
    version: int


class Factory:
    """Agents in all namespaces, with their servers. Ends them with its block."""

    def __init__(self, hosts: Mapping[str, Host] = HOSTS) -> None:
        self.hosts = hosts
        self.workloads: dict[str, Workload] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Factory:
        try:
            self._start(self.hosts)
        except BaseException:
            self._stack.close()
            raise
        return self

    def add(self, hosts: Mapping[str, Host]) -> None:
        """More of them."""
        self.hosts = {**self.hosts, **hosts}
        self._start(hosts)

    def _start(self, hosts: Mapping[str, Host]) -> None:
        with ThreadPoolExecutor(len(hosts)) as pool:
            started = {name: pool.submit(Workload, host.namespace) for name, host in hosts.items()}
        failed = [future.exception() for future in started.values() if future.exception()]
        for name, future in started.items():
            if not future.exception():
                self.workloads[name] = self._stack.enter_context(future.result())
        if failed and failed[0] is not None:
            raise failed[0]
        self._serve(hosts)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _serve(self, hosts: Mapping[str, Host]) -> None:
        waiting: list[tuple[str, Service, Future[dict[str, Any]]]] = []
        for name, host in hosts.items():
            for service in host.services:
                if service.protocol == "tcp":
                    call = self.workloads[name].call("serve_tcp", port=service.port, name=name, ipv6=True)
                else:
                    call = self.workloads[name].call("serve_udp", port=service.port, echo=True, ipv6=True)
                waiting.append((name, service, call))
        for name, service, call in waiting:
            answer = call.result(timeout=10)
            if not answer["ok"]:
                raise InitializationFailed(f"{name} cannot serve {service}: {answer['why']}")

    def wait_for_addresses(self) -> None:
        """Until every IPv6 address may be used (duplicate address detection is over)."""
        end = time.monotonic() + ADDRESS_SECONDS
        waiting = [host.namespace for host in self.hosts.values()]
        while waiting:
            waiting = [
                name for name in waiting if ip("-n", name, "-6", "address", "show", "tentative").strip()
            ]
            if waiting and time.monotonic() > end:
                raise InitializationFailed(f"IPv6 addresses stay tentative in {', '.join(waiting)}")
            if waiting:
                time.sleep(0.1)

    # -- tries

    def try_all(self, tries: Iterable[Try], timeout: float = TRY_SECONDS) -> dict[Try, str]:
        """Every try, those of all workloads side by side: ``open``, or why not."""
        by_source: dict[str, list[Try]] = {}
        for one in tries:
            by_source.setdefault(one.source, []).append(one)
        calls = {
            source: self.workloads[source].call(
                "probe",
                targets=[
                    [one.service.protocol, self._address(one.target, one.version), one.service.port]
                    for one in wanted
                ],
                timeout=timeout,
            )
            for source, wanted in by_source.items()
        }
        found: dict[Try, str] = {}
        for source, wanted in by_source.items():
            answer = calls[source].result(timeout=60)
            if not answer["ok"]:
                raise InitializationFailed(f"{source} cannot try: {answer['why']}")
            found.update(zip(wanted, answer["outcomes"], strict=True))
        return found

    def measure(self, tries: Iterable[Try], expected: Iterable[Try]) -> dict[Try, str]:
        """``try_all``; what is expected to be open and is not gets a second, patient try."""
        found = self.try_all(tries)
        again = [one for one in expected if found.get(one, "open") != "open"]
        return found | self.try_all(again, PATIENCE_SECONDS) if again else found

    def _address(self, name: str, version: int) -> str:
        host = self.hosts[name]
        return host.address4 if version == 4 else host.address6

    # -- long-lived connections

    def open_streams(self, streams: Iterable[Stream], rate: float = STREAM_RATE) -> None:
        """Start them all, each with so many numbers a second."""
        calls = [
            (
                stream,
                self.workloads[stream.source].call(
                    "open_stream",
                    stream=stream.name,
                    protocol=stream.service.protocol,
                    host=self._address(stream.target, stream.version),
                    port=stream.service.port,
                    rate=rate,
                ),
            )
            for stream in streams
        ]
        for stream, call in calls:
            answer = call.result(timeout=20)
            if not answer["ok"]:
                raise InitializationFailed(f"the connection {stream.name} does not open: {answer['why']}")

    def _streams(self, operation: str, **arguments: object) -> dict[str, dict[str, Any]]:
        calls = [workload.call(operation, **arguments) for workload in self.workloads.values()]
        found: dict[str, dict[str, Any]] = {}
        for call in calls:
            answer = call.result(timeout=30)
            found.update(answer.get("streams", {}))
        return found

    def report_streams(self) -> dict[str, dict[str, Any]]:
        """Every stream by name, as it stands."""
        return self._streams("report_streams")

    def close_streams(self) -> dict[str, dict[str, Any]]:
        """End them; what each says at its end."""
        return self._streams("close_streams")

    def flood(self, source: str, frames: Iterable[bytes], count: int, seconds: float) -> None:
        """Frames as they stand out of a workload's interface, past its kernel."""
        hexed = [frame.hex() for frame in frames]
        host = self.hosts[source]
        answer = self.workloads[source].do(
            "send_frames", interface=host.port, frames=hexed, count=count, seconds=seconds
        )
        if not answer["ok"]:
            raise InitializationFailed(f"{source} cannot send: {answer['why']}")


def mac_of(host: Host) -> str:
    """The MAC of a workload's interface."""
    done = subprocess.run(
        ["ip", "netns", "exec", host.namespace, "cat", f"/sys/class/net/{host.port}/address"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
