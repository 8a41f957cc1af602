# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Step 1: everything passes and is recorded; who talks to whom."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from appliance.cli.common import DEADLINE_SECONDS, table
from appliance.demo.factory_data import HABITS, REACHES, Service
from appliance.demo.factory_lab import Try
from appliance.telemetry.text import octets
from appliance.v1 import observer_pb2, observer_service_pb2

if TYPE_CHECKING:
    from appliance.demo.factory import FactoryDemo

ROUNDS: Final = 2
SHOWN: Final = 14
MAP_SECONDS: Final = 5.0
Edge = tuple[str, str, str]


def talk() -> list[Try]:
    """What the workloads do on an ordinary day, over both IP versions."""
    edges = [(*pair, Service.parse(text)) for pair, services in REACHES.items() for text in sorted(services)]
    return [
        Try(source, target, service, version)
        for source, target, service in (*edges, *HABITS)
        for version in (4, 6)
    ]


def edge_of(edge: observer_pb2.FlowEdge) -> Edge:
    """Who, to whom, which service."""
    return edge.source, edge.destination, f"{edge.protocol}/{edge.port}"


def get_map(demo: FactoryDemo) -> observer_service_pb2.GetFlowStatsResponse:
    """The map by workload, services told apart; TCP and UDP alone, as nothing else is of interest here."""
    request = observer_service_pb2.GetFlowStatsRequest(
        filter="protocol=tcp,udp", group_by="workload", limit=10000
    )
    return demo.client.observer.GetFlowStats(request, timeout=DEADLINE_SECONDS)


def show_map(demo: FactoryDemo, found: observer_service_pb2.GetFlowStatsResponse) -> None:
    """Edges as people read them."""
    made = table(
        "who",
        "opens",
        "to whom",
        "connections",
        "bytes there",
        "and back",
        right=["connections", "bytes there", "and back"],
    )
    for edge in found.edges[:SHOWN]:
        made.add_row(
            f"[bold]{edge.source}[/]",
            f"{edge.protocol}/{edge.port}",
            f"[bold]{edge.destination}[/]",
            str(edge.connections),
            octets(edge.initiator_bytes),
            octets(edge.responder_bytes),
        )
    demo.console.print(made)
    if len(found.edges) > SHOWN:
        demo.console.print(f"[dim]and {len(found.edges) - SHOWN} more[/]")


def check_boot(demo: FactoryDemo) -> None:
    """What healthy hosts send when their links come up is no spoofing."""
    drops = demo.drops()
    unauthenticated = drops.get("unauthenticated", 0)
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(drops.items())) or "nothing dropped"
    demo.check(
        "links came up, addresses were probed",
        "0 unauthenticated",
        f"{unauthenticated} unauthenticated",
        not unauthenticated,
    )
    demo.console.print(f"  [dim]all drops so far: {told}[/]")
    demo.note("unauthenticated drops of healthy hosts", str(unauthenticated), "ringfield stats")


def walk(demo: FactoryDemo) -> None:
    """The step."""
    with demo.step("1  Visibility", "ringfield observe map"):
        check_boot(demo)
        tries = talk()
        opened = 0
        for _ in range(ROUNDS):
            outcomes = demo.factory.measure(tries, tries)
            opened += sum(outcome == "open" for outcome in outcomes.values())
        demo.check(
            "default alert: nothing is blocked yet",
            f"{ROUNDS * len(tries)} connections",
            f"{opened} connections",
            opened == ROUNDS * len(tries),
        )
        wanted = {(one.source, one.target, str(one.service)) for one in tries}
        end = time.monotonic() + MAP_SECONDS
        while True:
            found = get_map(demo)
            seen = {edge_of(edge) for edge in found.edges}
            counted = sum(edge.connections for edge in found.edges)
            if (seen >= wanted and counted >= opened) or time.monotonic() > end:
                break
            time.sleep(0.1)
        show_map(demo, found)
        demo.check(
            "the map is what happened",
            f"{len(wanted)} edges, {opened} connections",
            f"{len(seen)} edges, {counted} connections",
            seen == wanted and counted == opened,
        )
        demo.note("map", f"{len(seen)} edges, {counted} connections", "ringfield observe map")
