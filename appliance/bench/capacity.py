# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""More connections than the table has room for: what becomes of each, and of those that were there before."""

from __future__ import annotations

import time
from dataclasses import dataclass

from appliance.bench import segment
from appliance.bench.machine import BenchError
from appliance.bench.segment import Segmented
from appliance.flow import PortConfig
from appliance.flow.types import CtFull, CtStats

SECONDS = 120.0
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Offered:
    """What became of ``connections`` distinct ones, each of which sent ``rounds`` packets, round after round."""

    connections: int
    rounds: int
    received: int
    """Packets, as all that follow."""
    sent: int
    dropped: dict[str, int]
    """By reason."""
    stats: CtStats
    """Of connections, when all packets had their end."""


def ports(connections: int, rounds: int = ROUNDS) -> list[PortConfig]:
    """A generator that makes so many, and a port that takes what passes."""
    return segment.generators(f"new={connections},rounds={rounds}", answers=False)


def offer(under: Segmented, connections: int, rounds: int = ROUNDS) -> Offered:
    """Waits until ``ports()`` have made all packets and each has its end."""
    dpu, end = under.dpu, time.monotonic() + SECONDS
    while True:
        counts = dpu.stats().ports
        received = counts["p0"].received.total_pkts
        dropped = dict(counts["p0"].drops)
        sent = counts["pf0vf0"].sent.total_pkts
        if received >= connections * rounds and sent + sum(dropped.values()) >= received:
            return Offered(connections, rounds, received, sent, dropped, dpu.ct_stats())
        if time.monotonic() > end:
            raise BenchError(
                f"{received} of {connections * rounds} packets were made and {sent + sum(dropped.values())} "
                f"had their end after {SECONDS:.0f} s"
            )
        time.sleep(0.01)


def lost_of_old(offered: Offered, capacity: int) -> int:
    """Packets of connections in a table that refuses when full that should have passed and did not: the first
    ``capacity`` ones are in from the first round on, and each of their packets passes.
    """
    return min(capacity, offered.connections) * offered.rounds - offered.sent


def unaccounted(offered: Offered) -> int:
    """Connections that are neither live, nor evicted (or closed otherwise), nor refused: offered - opened - refused
    packets, and opened - live - closed.
    """
    stats = offered.stats
    never = offered.received - offered.sent - stats.refused_full
    return abs(never) + abs(stats.opened - stats.live - stats.closed)


__all__ = ["ROUNDS", "CtFull", "Offered", "lost_of_old", "offer", "ports", "unaccounted"]
