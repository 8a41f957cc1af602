# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What changes and accidents cost the connections that they do not concern (lost packets), and how fast a quarantine
reaches the one that it does (P8).

A whole appliance on ring ports. ``web`` and ``agent`` each send a stream of numbered datagrams to ``db``, past the
appliance's management plane; both are taken on the other side. Then things happen to the appliance: policies are
published and rolled back, the agent is quarantined and released, the management plane is killed and started again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from appliance.bench.figures import Collection, Section
from appliance.bench.machine import BenchError
from appliance.bench.programs import Settings
from appliance.bench.served import Served
from appliance.flow import Dpu
from appliance.run import frames
from appliance.run.frames import Host
from appliance.v1 import containment_service_pb2, policy_pb2, policy_service_pb2

CONFIG: Final = """\
fastpath: {hugepages: auto}
linger: false
ports:
  p0: {backend: net_ring}
  p1: {backend: net_ring}
  p2: {backend: net_ring}
  p3: {backend: net_ring}
segmentation:
  networks: {lab: {prefixes: [10.0.0.0/16], gateways: [10.0.255.254]}}
  policy: policy.yaml
  connections: {capacity: 1200000, timeouts: {udp: 3600}, per_identity: {half_open: 1000}}
  workloads:
    web: {port: p1, mac: "02:00:00:00:00:01", addresses: 10.0.0.1, labels: {app: web}}
    db: {port: p2, mac: "02:00:00:00:00:02", addresses: 10.0.0.2, labels: {app: db}, kind: dataset}
    agent: {port: p3, mac: "02:00:00:00:00:03", addresses: 10.0.0.3, labels: {app: agent}, kind: agent}
"""
POLICY: Final = """\
rules:
  - {name: web-to-db, band: allow, from: app=web, to: app=db, services: [udp/1-65535]}
  - {name: agent-to-db, band: allow, from: app=agent, to: app=db, services: [udp/9001, tcp/9100-9199]}
"""
OTHER: Final = POLICY + "  - {name: more, band: allow, from: app=db, to: app=web, services: [tcp/80-%d]}\n"
WEB, DB = Host("02:00:00:00:00:01", "10.0.0.1"), Host("02:00:00:00:00:02", "10.0.0.2")
AGENT = Host("02:00:00:00:00:03", "10.0.0.3")
EVENTS: Final = ("publish", "rollback", "quarantine", "kill9")
GOAL_QUARANTINE_MS: Final = 5.0
BURST, PAUSE = 8, 0.001
"""Frames of each stream at a time, and seconds between."""
CALL_SECONDS: Final = 30.0
READY_SECONDS: Final = 30.0


@dataclass(slots=True)
class Stream:
    """Numbered datagrams from one workload."""

    port: str
    source: Host
    service: int
    sent: int = 0
    got: list[int] = field(default_factory=list)
    last_ns: int = 0
    """When the fast path handed over the latest one."""
    stopped: bool = False
    """Nothing more is sent."""

    def next(self, number: int) -> list[bytes]:
        """The next frames."""
        first, self.sent = self.sent, self.sent + number
        return [
            frames.udp(self.source, DB, 7000, self.service, (first + i).to_bytes(8, "big") + bytes(10))
            for i in range(number)
        ]


class Traffic:
    """Both streams, sent and taken by threads of this process through a session of its own."""

    def __init__(self, runtime_dir: Path) -> None:
        self.dpu = Dpu.attach(runtime_dir, session="bench-load", mode="switch")
        self.web = Stream("p1", WEB, 9000)
        self.agent = Stream("p3", AGENT, 9001)
        self._by_service = {stream.service.to_bytes(2, "big"): stream for stream in (self.web, self.agent)}
        self._stop = threading.Event()
        self.dpu.receive(software=False, port="p2")
        self._threads = [threading.Thread(target=run, name="bench") for run in (self._send, self._take)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        while not self._stop.wait(PAUSE):
            for stream in (self.web, self.agent):
                if not stream.stopped:
                    self.dpu.inject(stream.port, stream.next(BURST))

    def _take(self) -> None:
        while not self._stop.is_set():
            for packet in self.dpu.packets(timeout=0.05):
                stream = self._by_service.get(packet.frame[36:38])
                if stream is not None:
                    stream.got.append(int.from_bytes(packet.frame[42:50], "big"))
                    stream.last_ns = packet.timestamp_ns

    def open_connections(self, number: int) -> None:
        """Opens so many connections from the web to the database and forgets about them."""
        made: list[bytes] = []
        plain = bytearray(frames.udp(WEB, DB, 1, 1, bytes(18)))
        plain[40:42] = b"\0\0"  # no checksum: ports change
        for i in range(number):
            plain[34:36] = (1024 + i % 60000).to_bytes(2, "big")
            plain[36:38] = (10000 + i // 60000).to_bytes(2, "big")
            made.append(bytes(plain))
            if len(made) == 4096:
                self.dpu.inject("p1", made)
                made = []
        self.dpu.inject("p1", made)

    def lost(self, stream: Stream) -> int:
        """Packets of a stream that nothing should have stopped, sent and not come. Waits for the last."""
        end = time.monotonic() + 2.0
        wanted = stream.sent
        while len(stream.got) < wanted and time.monotonic() < end:
            time.sleep(0.01)
        return int(wanted - np.count_nonzero(np.unique(np.array(stream.got, np.int64)) < wanted))

    def close(self) -> None:
        """End both threads and the session."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.dpu.close()


class Managed(Served):
    """The appliance, and what can happen to it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, CONFIG, POLICY)

    def publish(self, number: int) -> None:
        """A policy that differs in a rule that no traffic meets."""
        source = policy_pb2.PolicySource(file="bench.yaml", yaml=OTHER % (1000 + number))
        request = policy_service_pb2.PublishPolicyRequest(source=source, reason="bench")
        self.client.policy.PublishPolicy(request, timeout=CALL_SECONDS)

    def rollback(self, number: int) -> None:
        """Back to the one before."""
        request = policy_service_pb2.RollbackPolicyRequest(reason="bench")
        self.client.policy.RollbackPolicy(request, timeout=CALL_SECONDS)

    def quarantine(self) -> None:
        """The agent."""
        target = containment_service_pb2.ContainmentTarget(workloads=["agent"])
        request = containment_service_pb2.QuarantineRequest(target=target, reason="bench")
        self.client.containment.Quarantine(request, timeout=CALL_SECONDS)

    def release(self) -> None:
        """The agent."""
        target = containment_service_pb2.ContainmentTarget(workloads=["agent"])
        request = containment_service_pb2.ReleaseRequest(target=target, reason="bench")
        self.client.containment.Release(request, timeout=CALL_SECONDS)


@contextmanager
def lab(settings: Settings, connections: int) -> Iterator[tuple[Managed, Traffic]]:
    """A running appliance, its two streams, and so many connections more."""
    with Managed(settings.scratch / "lab") as managed:
        traffic = Traffic(managed.directory)
        try:
            _until(lambda: bool(traffic.web.got and traffic.agent.got), "both streams to come through")
            traffic.open_connections(connections)
            _until(lambda: traffic.dpu.ct_stats().live >= connections, f"{connections} connections")
            yield managed, traffic
        finally:
            traffic.close()


def _until(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + READY_SECONDS
    while not done():
        if time.monotonic() > end:
            raise BenchError(f"waited {READY_SECONDS:.0f} s for {what}")
        time.sleep(0.005)


def _quarantine(found: Collection, managed: Managed, traffic: Traffic) -> None:
    """One quarantine: from the call to the agent's last packet that came through, then its release."""
    began = time.time_ns()
    managed.quarantine()
    answered = time.time_ns()
    time.sleep(0.1)  # what was forwarded has come by now
    found.add("quarantine: call to last packet forwarded (P8)", "ms", max(0, traffic.agent.last_ns - began) / 1e6,
              goal=GOAL_QUARANTINE_MS, less=True)  # fmt: skip
    found.add("quarantine: call answered", "ms", (answered - began) / 1e6, less=True)
    before = traffic.agent.last_ns
    managed.release()
    _until(lambda: traffic.agent.last_ns > before, "the agent's packets after its release")


def disruption(settings: Settings) -> Section:
    """Lost packets per event, over ``settings.runs`` events of each kind."""
    connections = 10_000 if settings.quick else 1_000_000
    found = Collection()
    with lab(settings, connections) as (managed, traffic):
        live = traffic.dpu.ct_stats().live
        for number in range(settings.runs):
            for event in settings.events:
                before = traffic.lost(traffic.web)
                began = time.perf_counter()
                if event == "kill9":
                    managed.kill()
                    time.sleep(0.3)
                    managed.start()
                elif event == "quarantine":
                    _quarantine(found, managed, traffic)
                elif event == "publish":
                    managed.publish(number)
                else:
                    managed.rollback(number)
                spent = time.perf_counter() - began
                time.sleep(0.1)  # whatever it would do to packets has been done to some
                found.add(f"{event}: packets lost", "packets", traffic.lost(traffic.web) - before, less=True)
                found.add(f"{event}: seconds", "s", spent, less=True)
        sent = traffic.web.sent
    figures = [figure for figure in found.figures() if "packets lost" in figure.name]
    worst = {figure.name: max(figure.runs) for figure in figures}
    remarks = [
        f"{sent} packets of the allowed stream, {2 * BURST / PAUSE / 1000:.0f}k/s offered with the agent's; "
        f"{live} connections live.",
        "Most packets lost in one event: " + ", ".join(f"{name.split(':')[0]} {n:.0f}" for name, n in worst.items()),
    ]  # fmt: skip
    last = found.figure("quarantine: call to last packet forwarded (P8)").runs
    if last:
        remarks.append(
            f"Quarantine, slowest of {len(last)}: {max(last):.2f} ms (goal for the 99th percentile: 5 ms)."
        )
    return Section(
        "disruption", "What events cost those they do not concern", tuple(found.figures()), tuple(remarks)
    )
