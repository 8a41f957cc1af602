# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Step 1: two appliances enrol, a policy is published once, and both enforce it, also through the tunnel."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from appliance.cli.common import table
from appliance.demo.factory_lab import Try
from appliance.demo.fleet_data import FIRST
from appliance.demo.fleet_lab import Side
from appliance.demo.stage import settled

if TYPE_CHECKING:
    from appliance.demo.fleet import FleetDemo


def walk(demo: FleetDemo, policy: str) -> None:
    """The step."""
    with demo.step("1  Enrol", "ringfield central token dpu1, ringfield enrol TOKEN"):
        enrol(demo)
    with demo.step("2  Publish", "ringfield central policy publish, ringfield central fleet list"):
        publish(demo, policy)
    with demo.step("3  Enforce on both sides of the tunnel", "ringfield observe, ringfield stats"):
        enforce(demo)


def enrol(demo: FleetDemo) -> None:
    """By one-time tokens; until something is published nobody reaches anybody."""
    for side in demo.sides:
        demo.centre.admit(side.name, side.directory / "central")
    tries = demo.tries()
    opened = sum(outcome == "open" for outcome in demo.factory.try_all(tries, timeout=0.5).values())
    demo.check(
        "before anything is published",
        f"0 of {len(tries)} tries get through",
        f"{opened} of {len(tries)} get through",
        not opened,
    )


def publish(demo: FleetDemo, policy: str) -> None:
    """One revision for the fleet."""
    demo.centre.network()
    demo.centre.declare(FIRST.values())
    started = time.monotonic()
    revision = demo.centre.publish(policy, "the first")
    found = demo.centre.current()
    seconds = time.monotonic() - started
    made = table(
        "appliance", "state", "revision", "own", "peers", "applied in",
        right=["revision", "own", "peers", "applied in"],
    )  # fmt: skip
    for name, one in found.items():
        made.add_row(
            f"[bold]{name}[/]", one.state, str(one.revision), str(one.workloads), str(one.peers),
            f"{1000 * one.apply_seconds:.0f} ms",
        )  # fmt: skip
    demo.console.print(made)
    demo.check(
        "revision in force, signed by the centre",
        f"{revision} on both, read back from both data planes",
        ", ".join(f"{one.revision} on {name}" for name, one in found.items()) + f" after {seconds:.2f} s",
        all(one.revision == revision and one.health == "ok" for one in found.values()),
    )


def enforce(demo: FleetDemo) -> None:
    """Every pair and service, against a table that knows no policy file."""
    before = {side.name: tunnelled(side) for side in demo.sides}
    tries = demo.tries()
    wanted = demo.wanted(tries)
    far = {one for one in wanted if demo.there[one.source].appliance != demo.there[one.target].appliance}
    outcomes = demo.factory.measure(tries, wanted)
    reached = {one for one, outcome in outcomes.items() if outcome == "open"}
    demo.check(
        "what must work, works",
        f"{len(wanted)} reached, {len(far)} of them through the tunnel",
        f"{len(wanted & reached)} reached, {len(far & reached)} through the tunnel",
        wanted <= reached,
        some(wanted - reached),
    )
    demo.check(
        "what must not, does not",
        f"{len(tries) - len(wanted)} refused",
        f"{len(tries) - len(reached | wanted)} refused",
        reached <= wanted,
        some(reached - wanted),
    )
    sent = {side.name: tunnelled(side)[0] - before[side.name][0] for side in demo.sides}
    came = {side.name: tunnelled(side)[1] - before[side.name][1] for side in demo.sides}
    good = all(sent.values()) and sent["dpu1"] == came["dpu2"] and sent["dpu2"] == came["dpu1"]
    demo.check(
        "packets in the tunnel",
        "as many come in as go out",
        f"dpu1 → dpu2 {sent['dpu1']} out, {came['dpu2']} in; dpu2 → dpu1 {sent['dpu2']} out, {came['dpu1']} in",
        good,
    )


def tunnelled(side: Side) -> tuple[int, int]:
    """Packets that an appliance sent into the underlay, and that came from there."""
    port = next(port for port in settled(side.client).ports if port.port == "p0")
    return port.sent.packets, port.received.packets


def some(tries: Iterable[Try]) -> str:
    """A few of them, for people."""
    return ", ".join(f"{one.source} → {one.target} {one.service}" for one in sorted(tries)[:3])
