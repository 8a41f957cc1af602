# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Step 5: a workload moves from one appliance to the other with its connections open; every packet is counted.

What an orchestrator does: the new place is made known beside the old; when it is `ready` everywhere, packets to the
workload go there; then the workload sends from there, and the old place is given up.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from appliance.demo.factory_data import Service
from appliance.demo.factory_lab import Try
from appliance.demo.fleet_data import MOVED, NEW_PLACE, Place
from appliance.demo.fleet_lab import plug, send_by, unplug
from appliance.demo.fleet_scale import MEMORY

if TYPE_CHECKING:
    from appliance.demo.fleet import FleetDemo

RATE: Final = 200.0
"""Numbers per second in each connection."""
AROUND_SECONDS: Final = 0.5
"""Connections run for so long before and after each part of the move."""
FORBIDDEN: Final = Service("udp", 9999)
"""Served by the workload, allowed by no rule."""
INTRUDERS: Final = ("agent", "dataset")
"""One on each side, who try all the while."""


def walk(demo: FleetDemo) -> None:
    """The step."""
    with demo.step(
        f"5  Move {MOVED.name} to {NEW_PLACE.appliance}, with its connections open",
        f"ringfield central workload apply, ringfield central workload wait-ready {MOVED.name}",
    ):
        old = MOVED.place
        demo.factory.workloads[MOVED.name].do("serve_udp", port=FORBIDDEN.port, ipv6=True)
        demo.factory.open_streams(demo.streams(), RATE)
        before = demo.drops()
        tries = intrude(demo)
        ready = move(demo, old, NEW_PLACE)
        demo.check(
            "the new place beside the old",
            "ready on both appliances, then the only one",
            f"ready after {1000 * ready:.0f} ms, then at {place(demo)}",
            place(demo) == f"{NEW_PLACE.appliance} {NEW_PLACE.port}",
        )
        judge(demo, tries, before)
        new = [
            Try(replica, MOVED.name, service, 4)
            for replica in ("inference-1", "inference-2")
            for service in MEMORY
        ]
        outcomes = demo.factory.measure(new, new)
        opened = sum(outcome == "open" for outcome in outcomes.values())
        demo.check(
            f"new connections to {MOVED.name}", f"{len(new)} open", f"{opened} open", opened == len(new)
        )


def move(demo: FleetDemo, old: Place, new: Place) -> float:
    """Make, switch, break; how many seconds it took until the new place was ready everywhere."""
    time.sleep(AROUND_SECONDS)
    started = time.monotonic()
    demo.centre.put(MOVED, old, new)  # packets to it still go to the old place
    demo.centre.wait_ready(MOVED.name)
    ready = time.monotonic() - started
    plug(MOVED, new.port)
    demo.centre.put(MOVED, new, old)  # now to the new one
    demo.centre.wait_ready(MOVED.name)
    time.sleep(AROUND_SECONDS)
    send_by(MOVED, new.port)
    time.sleep(AROUND_SECONDS)
    unplug(MOVED, old.port)
    demo.centre.put(MOVED, new)
    demo.centre.wait_ready(MOVED.name)
    time.sleep(AROUND_SECONDS)
    return ready


def intrude(demo: FleetDemo) -> list[Future[dict[str, Any]]]:
    """Datagrams that no rule allows, at a fixed rate until after the move."""
    seconds = 6 * AROUND_SECONDS
    return [
        demo.factory.workloads[name].call(
            "send_udp", host=MOVED.address4, port=FORBIDDEN.port, count=int(RATE * seconds), seconds=seconds
        )
        for name in INTRUDERS
    ]


def judge(demo: FleetDemo, tries: list[Future[dict[str, Any]]], before: dict[str, dict[str, int]]) -> None:
    """Nothing passed that should not, nothing was dropped that should pass, connections are alive."""
    for one in tries:
        one.result(60)
    sent = len(INTRUDERS) * int(RATE * 6 * AROUND_SECONDS)
    came = demo.factory.workloads[MOVED.name].do("count_udp", port=FORBIDDEN.port)["count"]
    demo.check(
        "datagrams that no rule allows, before, during and after",
        f"0 of {sent:,} passed",
        f"{came} of {sent:,} passed",
        not came,
    )
    demo.judge_streams(moved=True)
    denied, wrong = dropped(before, demo.drops())
    demo.check(
        "packets that an appliance dropped",
        f"{sent:,} by policy, no other",
        f"{denied:,} by policy, {', '.join(wrong) or 'no other'}",
        denied == sent and not wrong,
    )


# What kernels say unasked (joined and left groups) where nobody is bound yet, or any more. Numbers tell of all else.
CHATTER = 8


def dropped(before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]) -> tuple[int, list[str]]:
    """How many were dropped by policy between two looks, and what else was: reasons with counts. A few unauthenticated
    packets are no surprise.
    """
    denied, others = 0, []
    for name, drops in after.items():
        for reason, count in drops.items():
            more = count - before[name].get(reason, 0)
            if reason == "policy":
                denied += more
            elif more > (CHATTER if reason == "unauthenticated" else 0):
                others.append(f"{more} {reason} at {name}")
    return denied, others


def place(demo: FleetDemo) -> str:
    """Where the workload is, as the centre says."""
    return ", ".join(f"{one.appliance} {one.port}" for one in demo.centre.places(MOVED.name))
