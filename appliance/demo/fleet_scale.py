# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Step 4: the model scales from 2 replicas to 20, on both appliances; no rule changes, nobody loses anything."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from appliance.demo.factory_data import Service, Stream
from appliance.demo.factory_lab import Try
from appliance.demo.fleet_data import LATER, REPLICA, REPLICAS
from appliance.demo.fleet_lab import plug_all

if TYPE_CHECKING:
    from appliance.demo.fleet import FleetDemo

MODEL: Final = Service("tcp", 8000)
MEMORY: Final = (Service("tcp", 6379), Service("udp", 6380))


def walk(demo: FleetDemo) -> None:
    """The step."""
    with demo.step(
        "4  Scale from 2 replicas to 20",
        "ringfield central workload apply, ringfield central workload wait-ready",
    ):
        plug_all(LATER)
        demo.factory.add(LATER)
        demo.factory.open_streams(demo.streams())
        before = demo.centre.appliances()
        unknown = demo.factory.try_all(_calls(LATER), timeout=0.5)
        opened = sum(outcome == "open" for outcome in unknown.values())
        demo.check(
            f"{len(LATER)} replicas run, and nobody has declared them",
            "0 reached",
            f"{opened} reached",
            not opened,
        )
        started = time.monotonic()
        demo.centre.declare(LATER.values())
        demo.centre.wait_ready(*LATER)
        ready = time.monotonic() - started
        demo.there |= LATER
        calls, memory = _calls(REPLICA), _memory()
        research = _research()
        outcomes = demo.factory.measure([*calls, *memory, *research], [*calls, *memory])
        good = sum(outcomes[one] == "open" for one in calls)
        demo.check(
            "declared, ready on both appliances",
            f"{REPLICAS} of {REPLICAS} replicas answer the portal and the agent",
            f"ready after {1000 * ready:.0f} ms, {_whole(outcomes, calls)} of {REPLICAS} answer",
            good == len(calls),
        )
        good = sum(outcomes[one] == "open" for one in memory)
        demo.check(
            "each replica reaches the context memory",
            f"{len(memory)} tries over TCP and UDP, IPv4 and IPv6, get through",
            f"{good} get through",
            good == len(memory),
        )
        opened = sum(outcomes[one] == "open" for one in research)
        demo.check(
            "research reaches none of them",
            f"0 of {len(research)}",
            f"{opened} of {len(research)}",
            not opened,
        )
        demo.judge_streams()
        after = demo.centre.current()
        demo.check(
            "the policy is the same",
            f"revision {before['dpu1'].revision}",
            f"revision {after['dpu1'].revision} on dpu1, {after['dpu2'].revision} on dpu2",
            {one.revision for one in after.values()} == {before["dpu1"].revision},
        )


def streams() -> list[Stream]:
    """Connections that are open while something happens: on one appliance, and through the tunnel."""
    tcp, udp = MEMORY
    return [
        Stream("portal", "inference-1", MODEL, 4),
        Stream("portal", "inference-2", MODEL, 6),
        *(
            Stream(replica, "context", service, version)
            for replica in ("inference-1", "inference-2")
            for service in (tcp, udp)
            for version in (4, 6)
        ),
        Stream("prep", "dataset", Service("tcp", 2049), 6),
        Stream("soc", "portal", Service("tcp", 22), 4),
    ]


def _calls(replicas: Iterable[str]) -> list[Try]:
    return [
        Try(source, target, MODEL, version)
        for source in ("portal", "agent")
        for target in replicas
        for version in (4, 6)
    ]


def _memory() -> list[Try]:
    return [
        Try(source, "context", service, version)
        for source in REPLICA
        for service in MEMORY
        for version in (4, 6)
    ]


def _research() -> list[Try]:
    return [
        Try(source, target, MODEL, version)
        for source in ("prep", "training")
        for target in REPLICA
        for version in (4, 6)
    ]


def _whole(outcomes: dict[Try, str], calls: list[Try]) -> int:
    """Replicas that every one of these calls reached."""
    failed = {one.target for one in calls if outcomes[one] != "open"}
    return REPLICAS - len(failed)
