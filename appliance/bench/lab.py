# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A whole appliance under traffic, for what happens to it: a process of its own that may be killed, the worker on its
own core.

On ring ports ``web`` and ``agent`` each send a stream of numbered datagrams to ``db``, past the appliance's management
plane; both are taken on the other side. On generator ports a ``crowd`` has any number of connections to a ``shop``. On
taps, with root, two namespaces have a TCP connection.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from appliance.bench.caller import timed
from appliance.bench.machine import BenchError, thread_wait_ns
from appliance.bench.programs import Settings
from appliance.bench.served import Served
from appliance.flow import Dpu
from appliance.flow.launch import PID_FILE
from appliance.flow.results import PacketKind
from appliance.run import frames
from appliance.run.frames import Host
from appliance.run.lab import remove
from appliance.v1 import policy_pb2, policy_service_pb2

CONFIG: Final = """\
fastpath: {{hugepages: {huge}, lcores: "{lcores}", mbufs: 65536}}
linger: false
ports:
  p0: {{backend: net_ring}}
  p1: {{backend: net_ring}}
  p2: {{backend: net_ring}}
  p3: {agent_port}
{more_ports}
segmentation:
  networks: {{lab: {{prefixes: [10.0.0.0/8], gateways: [10.0.255.254]}}}}
  policy: policy.yaml
  connections:
    capacity: {capacity}
    timeouts: {{udp: 3600}}
    per_identity: {{{per_identity}}}
  workloads:
    web: {{port: p1, mac: "02:00:00:00:00:01", addresses: 10.0.0.1, labels: {{app: web}}}}
    db: {{port: p2, mac: "02:00:00:00:00:02", addresses: 10.0.0.2, labels: {{app: db}}, kind: dataset}}
    agent: {{{agent}, labels: {{app: agent}}, kind: agent}}
{more_workloads}
"""
RING_PLACE: Final = 'port: p3, mac: "02:00:00:00:00:03", addresses: 10.0.0.3'
GEN_PLACE: Final = 'port: p8, mac: "02:00:00:00:03:00", prefixes: 10.65.0.0/24'
CROWD_PORTS: Final = """\
  p4: {{backend: gen, args: "{opener},rate={rate},src=10.64.0.0/16,dst=10.128.0.0/20,dport=443+8080+5432+6379,\
smac=02:00:00:00:01:00,dmac=02:00:00:00:02:00"}}
  p5: {{backend: gen, args: "reply=p4,rate={rate}"}}
"""
AGENT_PORT: Final = """\
  p8: {{backend: gen, args: "flows=1024,rate={rate},src=10.65.0.0/24,dst=10.128.0.0/20,dport=8443,\
smac=02:00:00:00:03:00,dmac=02:00:00:00:02:00"}}
"""
CROWD_WORKLOADS: Final = """\
    crowd: {port: p4, mac: "02:00:00:00:01:00", prefixes: 10.64.0.0/16, labels: {app: crowd}}
    shop: {port: p5, mac: "02:00:00:00:02:00", prefixes: 10.128.0.0/20, labels: {app: shop}}
"""
TAPS: Final = ("rfb-one", "rfb-two")
TAP_PORTS: Final = """\
  p6: {backend: net_tap, netns: rfb-one, mac: "02:00:00:00:00:06"}
  p7: {backend: net_tap, netns: rfb-two, mac: "02:00:00:00:00:07"}
namespaces:
  rfb-one:
    port: p6
    addresses: [10.88.0.1/24]
    neighbours: [{address: 10.88.0.2, mac: "02:00:00:00:00:07"}]
  rfb-two:
    port: p7
    addresses: [10.88.0.2/24]
    neighbours: [{address: 10.88.0.1, mac: "02:00:00:00:00:06"}]
"""
TAP_WORKLOADS: Final = """\
    one: {port: p6, mac: "02:00:00:00:00:06", addresses: 10.88.0.1, labels: {app: one}}
    two: {port: p7, mac: "02:00:00:00:00:07", addresses: 10.88.0.2, labels: {app: two}}
"""
POLICY: Final = """\
rules:
  - {name: web-to-db, band: allow, from: app=web, to: app=db, services: [udp/1-65535]}
  - {name: agent-to-db, band: allow, from: app=agent, to: app=db, services: [udp/9001, tcp/9100-9199]}
"""
AGENT_RULE: Final = (
    "  - {name: agent-to-shop, band: allow, from: app=agent, to: app=shop, services: [udp/8443]}\n"
)
CROWD_RULE: Final = """\
  - {name: crowd, band: allow, from: app=crowd, to: app=shop, services: [udp/443, udp/8080, udp/5432, udp/6379]}
"""
TAP_RULE: Final = "  - {name: taps, band: allow, from: app=one, to: app=two, services: [tcp/5001]}\n"
OTHER_RULE: Final = "  - {name: more, band: allow, from: app=db, to: app=web, services: [tcp/80-%d]}\n"
WEB, DB = Host("02:00:00:00:00:01", "10.0.0.1"), Host("02:00:00:00:00:02", "10.0.0.2")
AGENT = Host("02:00:00:00:00:03", "10.0.0.3")
BURST, PAUSE = 8, 0.001
"""Frames of each stream at a time, and seconds between."""
SOURCE_PORTS = 1000
"""Each stream is that many connections, by turns."""
CALL_SECONDS: Final = 30.0
READY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a laboratory has besides ``web``, ``db`` and ``agent``."""

    crowd: int = 0
    """Connections from the crowd to the shop."""
    rounds: int = 0
    """How many packets each of them gets in either direction; 0: without end."""
    rate: int = 0
    """Packets a second of the crowd, and as many of the shop."""
    agent_rate: int = 0
    """Packets a second that the agent sends to the shop from a generator, besides its stream."""
    flood: str = ""
    """Arguments of a generator at the agent's port; empty: a ring for its stream."""
    taps: bool = False
    capacity: int = 1_200_000
    per_identity: str = ""

    def config(self, settings: Settings) -> str:
        """The appliance's configuration file."""
        opener = f"new={self.crowd},rounds={self.rounds}" if self.rounds else f"flows={self.crowd}"
        ports = CROWD_PORTS.format(opener=opener, rate=self.rate) if self.crowd else ""
        places = RING_PLACE
        if self.agent_rate:
            ports += AGENT_PORT.format(rate=self.agent_rate)
            places = f"interfaces: [{{{RING_PLACE}}}, {{{GEN_PLACE}}}]"
        return CONFIG.format(
            huge="auto" if settings.huge else "no",
            lcores=settings.cores.lcores,
            agent_port=f'{{backend: gen, args: "{self.flood}"}}' if self.flood else "{backend: net_ring}",
            agent=places,
            more_ports=ports + (TAP_PORTS if self.taps else ""),
            capacity=self.capacity,
            per_identity=self.per_identity,
            more_workloads=(CROWD_WORKLOADS if self.crowd else "") + (TAP_WORKLOADS if self.taps else ""),
        )

    @property
    def policy(self) -> str:
        """The policy at its start."""
        more = {CROWD_RULE: self.crowd, AGENT_RULE: self.agent_rate, TAP_RULE: self.taps}
        return POLICY + "".join(rule for rule, wanted in more.items() if wanted)


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
            frames.udp(
                self.source, DB, 7000 + i % SOURCE_PORTS, self.service, i.to_bytes(8, "big") + bytes(10)
            )
            for i in range(first, first + number)
        ]


class Traffic:
    """Both streams, sent and taken by threads of this process through a session of its own."""

    def __init__(self, runtime_dir: Path) -> None:
        self._runtime_dir = runtime_dir
        self.dpu = Dpu.attach(runtime_dir, session="bench-load", mode="switch")
        self.web = Stream("p1", WEB, 9000)
        self.agent = Stream("p3", AGENT, 9001)
        self._cut = threading.Event()
        self._cut_ns = self._cut_after_ns = 0
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
                if packet.kind is PacketKind.CAPTURE_DROP:
                    if packet.timestamp_ns >= self._cut_after_ns and not self._cut.is_set():
                        self._cut_ns = packet.timestamp_ns
                        self._cut.set()
                    continue
                stream = self._by_service.get(packet.frame[36:38])
                if stream is not None:
                    stream.got.append(int.from_bytes(packet.frame[42:50], "big"))
                    stream.last_ns = packet.timestamp_ns

    def lost(self, stream: Stream) -> int:
        """Packets of a stream that nothing should have stopped, sent and not come. Waits for the last."""
        end = time.monotonic() + 2.0
        wanted = stream.sent
        while len(stream.got) < wanted and time.monotonic() < end:
            time.sleep(0.01)
        return int(wanted - np.count_nonzero(np.unique(np.array(stream.got, np.int64)) < wanted))

    def worker_waited_ns(self) -> int:
        """How long the worker has waited for its core so far, which others had."""
        return thread_wait_ns(int((self._runtime_dir / PID_FILE).read_text()))

    def agent_counts(self) -> tuple[int, int]:
        """Packets of the agent's generator that were made, and that were forwarded."""
        port = self.dpu.stats().ports["p8"]
        return port.received.total_pkts, port.received.total_pkts - port.dropped.total_pkts

    @contextmanager
    def agent_watched(self) -> Iterator[Callable[[], int]]:
        """What it yields waits for the first packet of the agent's generator that is dropped meanwhile, and gives the
        moment at which the worker's turn with it began, as ``time.time_ns``.
        """
        self._cut.clear()
        self._cut_after_ns = time.time_ns()
        self.dpu.capture(("drop",), "p8", snap=64)

        def first() -> int:
            if not self._cut.wait(CALL_SECONDS):
                raise BenchError("no packet of the agent was dropped")
            return self._cut_ns

        try:
            yield first
        finally:
            self.dpu.capture_stop()

    def dropped(self, *names: str) -> int:
        """Packets that came in by these ports and were dropped for whatever reason."""
        ports = self.dpu.stats().ports
        return sum(ports[name].dropped.total_pkts for name in names if name in ports)

    def crowd_lost(self) -> int:
        """Packets of the crowd and the shop that were dropped."""
        return self.dropped("p4", "p5")

    def close(self) -> None:
        """End both threads and the session."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.dpu.close()


class Managed(Served):
    """The appliance's process, and what may happen to it."""

    def __init__(self, directory: Path, settings: Settings, plan: Plan) -> None:
        super().__init__(directory, plan.config(settings), plan.policy)
        self.plan = plan

    def close(self) -> None:
        """Take everything down."""
        super().close()
        if self.plan.taps:
            for name in TAPS:
                remove(name)

    # -- events

    def publish(self, number: int) -> None:
        """A policy that differs in a rule that no traffic meets."""
        text = self.plan.policy + OTHER_RULE % (1000 + number)
        source = policy_pb2.PolicySource(file="bench.yaml", yaml=text)
        request = policy_service_pb2.PublishPolicyRequest(source=source, reason="bench")
        self.client.policy.PublishPolicy(request, timeout=CALL_SECONDS)

    def rollback(self) -> None:
        """Back to the one before."""
        request = policy_service_pb2.RollbackPolicyRequest(reason="bench")
        self.client.policy.RollbackPolicy(request, timeout=CALL_SECONDS)

    def call(self, what: str) -> tuple[int, int]:
        """``quarantine`` or ``release`` of the agent: when it was called, and when it was answered."""
        return timed(self.client, what, "agent")


def until(done: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise BenchError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.005)


@contextmanager
def lab(settings: Settings, plan: Plan) -> Iterator[tuple[Managed, Traffic]]:
    """A running appliance, its streams coming through, and all connections of its crowd open."""
    if plan.taps and os.geteuid():
        raise BenchError("taps and namespaces need root")
    directory = settings.scratch / f"lab-{time.monotonic_ns()}"
    with Managed(directory, settings, plan) as managed:
        traffic = Traffic(directory)
        try:
            traffic.agent.stopped = bool(plan.flood)
            until(
                lambda: bool(traffic.web.got and (plan.flood or traffic.agent.got)),
                "the streams to come through",
            )
            if not plan.rounds:
                until(lambda: traffic.dpu.ct_stats().live >= plan.crowd, f"{plan.crowd} connections")
            yield managed, traffic
        finally:
            traffic.close()
