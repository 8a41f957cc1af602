# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What allowed connections keep of their goodput while a host beside them is hostile.

The laboratory of ``lab``, anew for each flood: at the agent's port stands a generator that sends one, at a rate that is
stated and measured. Beside it a crowd's connections to a shop, from generators too. All of it ends by itself, so that
every packet's end can be counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from appliance.bench.figures import Collection, Section
from appliance.bench.lab import Managed, Plan, Traffic, lab, until
from appliance.bench.machine import BenchError, memory_mib
from appliance.bench.programs import Settings
from appliance.v1 import system_service_pb2

GOAL: Final = 0.8
FLOOD_RATE: Final = 1_000_000
CROWD: Final = 4096
CROWD_RATE: Final = 200_000
"""Of the crowd, and of the shop as well."""
LIMITS: Final = "connections: 20000, half_open: 1000"
"""Per identity."""
CAPACITY: Final = 100_000
START_SECONDS: Final = 1.0
"""That floods last besides what is measured."""
CALL_SECONDS: Final = 10.0
END_SECONDS: Final = 60.0
AGENT: Final = "src=10.0.0.3/32,smac=02:00:00:00:00:03,dst=10.0.0.2/32,dmac=02:00:00:00:00:02"
DISTINCT: Final = 32_768
"""Connections of a flood to one port: as many as there are source ports."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A flood: what the agent's generator sends, and the drop reason that must name it."""

    arguments: str
    reason: str


FLOODS: Final[dict[str, Kind]] = {
    "half-open": Kind(f"kind=syn,{AGENT},dport=9100", "ct_identity_limit"),
    "full-table": Kind(f"kind=udp,{AGENT},dport=9001", "ct_identity_limit"),
    "denied": Kind(f"kind=syn,{AGENT},dport=22", "policy"),
    "spoofed": Kind(f"{AGENT.replace('10.0.0.3/32', '10.0.128.0/18')},dport=9001", "unauthenticated"),
    "fragments": Kind(f"kind=fragment,{AGENT},dport=9001", "fragment_lost"),
    "overlaps": Kind(f"kind=overlap,{AGENT},dport=9001", "fragment_overlap"),
    "truncated": Kind(f"kind=short,{AGENT},dport=9001", "malformed"),
}


def _plan(kind: Kind | None, seconds: float, rate: int) -> Plan:
    """A laboratory whose flood and crowd last so long; no flood: the quiet one to compare with."""

    def lasting(rate: int, number: int) -> int:
        return max(1, int(rate * (seconds + START_SECONDS) / number))

    flood = f"new={DISTINCT},rounds={lasting(rate, DISTINCT)},rate={rate},{kind.arguments}" if kind else ""
    return Plan(
        crowd=CROWD,
        rounds=lasting(CROWD_RATE, CROWD),
        rate=CROWD_RATE,
        flood=flood,
        capacity=CAPACITY,
        per_identity=LIMITS,
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """Counts at one moment."""

    at: float
    delivered: int
    """Of the crowd and the shop."""
    flooded: int


def _look(traffic: Traffic) -> Seen:
    ports = traffic.dpu.stats().ports
    return Seen(
        time.monotonic(),
        ports["p4"].sent.total_pkts + ports["p5"].sent.total_pkts,
        ports["p3"].received.total_pkts,
    )


def _pid(managed: Managed) -> int:
    request = system_service_pb2.GetStatusRequest()
    return managed.client.system.GetStatus(request, timeout=CALL_SECONDS).fastpath_pid


def _imbalance(traffic: Traffic) -> int:
    """Packets that came in, or were made to answer others, and have no end; when nothing is under way."""
    stats = traffic.dpu.stats()
    tracking = traffic.dpu.ct_stats()
    total = tracking.generated - tracking.fragments
    for port in stats.ports.values():
        total += port.received.total_pkts + port.injected.total_pkts
        total -= port.sent.total_pkts + port.dropped.total_pkts + port.software.total_pkts
    return total


def _quiet(traffic: Traffic) -> None:
    """Waits until all generators have ended and the streams are stopped."""
    traffic.web.stopped = True
    before = -1

    def still() -> bool:
        nonlocal before
        now = sum(port.received.total_pkts for port in traffic.dpu.stats().ports.values())
        same, before = now == before, now
        if not same:
            time.sleep(0.3)
        return same

    until(still, "the floods to end", END_SECONDS)


@dataclass(frozen=True, slots=True)
class Run:
    """What one laboratory gave."""

    delivered: float
    """Packets a second of the crowd and the shop."""
    offered: float
    """Packets a second of the flood."""
    lost: int
    """Packets of the crowd and the shop that were dropped, from the beginning to the end."""
    grown: float
    """MiB that the fast path grew by."""
    drops: dict[str, int]
    """Of the flood, by reason."""
    imbalance: int
    """Packets without an end."""


def _run(settings: Settings, kind: Kind | None, rate: int) -> Run:
    seconds = 3 * settings.window_ms / 1000
    with lab(settings, _plan(kind, seconds, rate)) as (managed, traffic):
        traffic.agent.stopped = True
        pid = _pid(managed)
        memory = memory_mib(pid)[0]
        first = _look(traffic)
        time.sleep(seconds / 2)
        last = _look(traffic)
        if last.delivered == first.delivered or (kind and last.flooded == first.flooded):
            raise BenchError("the flood or the crowd ended before it could be measured")
        _quiet(traffic)
        spent = last.at - first.at
        return Run(
            (last.delivered - first.delivered) / spent,
            (last.flooded - first.flooded) / spent,
            traffic.crowd_lost(),
            memory_mib(pid)[0] - memory,
            {reason: n for reason, n in traffic.dpu.stats().ports["p3"].drops.items() if n},
            _imbalance(traffic),
        )


def hostile(settings: Settings) -> Section:
    """Floods one after the other, each against a quiet run."""
    found = Collection()
    rate = FLOOD_RATE // 5 if settings.quick else FLOOD_RATE
    told: dict[str, str] = {}
    for _ in range(settings.runs):
        quiet = _run(settings, None, rate).delivered
        found.add("quiet: allowed packets delivered", "thousand/s", quiet / 1e3)
        for name in settings.floods or FLOODS:
            kind = FLOODS[name]
            run = _run(settings, kind, rate)
            found.add(f"{name}: goodput of the allowed / quiet", "part", run.delivered / quiet, goal=GOAL)
            found.add(f"{name}: flood", "thousand/s", run.offered / 1e3)
            found.add(f"{name}: packets of the allowed lost", "packets", run.lost, goal=0, less=True)
            found.add(f"{name}: memory grown by", "MiB", run.grown, less=True)
            found.add(f"{name}: dropped as {kind.reason}", "packets", run.drops.get(kind.reason, 0))
            found.add(f"{name}: packets without an end", "packets", run.imbalance, goal=0, less=True)
            words = ", ".join(f"{reason} {number}" for reason, number in run.drops.items())
            told[name] = f"{name}: dropped as {words or 'nothing'}"
    remarks = (
        f"A flood of {rate} packets a second at one port; {CROWD} connections of somebody else beside it, "
        f"{2 * CROWD_RATE} packets a second; a table of {CAPACITY}, per identity {LIMITS}.",
        *told.values(),
    )
    return Section("hostile", "Goodput beside a hostile host", tuple(found.figures()), remarks)
