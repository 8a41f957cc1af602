# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What changes and accidents cost the connections that they do not concern: lost packets, segments sent again. How
fast a quarantine reaches the one that it does concern (P8).

Things happen to the appliance of ``lab``: policies are published and rolled back, the agent is quarantined and
released, the management plane is killed and started again.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from appliance.bench.figures import Collection, Section
from appliance.bench.lab import BURST, PAUSE, SOURCE_PORTS, Managed, Plan, Traffic, lab, until
from appliance.bench.programs import Settings
from appliance.bench.retransmissions import Connection

EVENTS: Final = ("publish", "rollback", "quarantine", "kill9")
GOAL_QUARANTINE_MS: Final = 5.0
MILLION: Final = 1_000_000
CROWD_RATE: Final = 250_000
QUARANTINES: Final = 20
"""In one run of P8."""
AFTER_SECONDS: Final = 0.1
"""Whatever an event does to packets it has done by then."""


def _plan(settings: Settings, *, taps: bool) -> Plan:
    crowd, rate = (10_000, CROWD_RATE // 5) if settings.quick else (MILLION, CROWD_RATE)
    return Plan(crowd=crowd, rate=rate, taps=taps)


@dataclass(frozen=True, slots=True)
class Cut:
    """One quarantine: milliseconds from the call to what happened then."""

    last: float
    """The agent's last packet that came through was forwarded."""
    stopped: float
    """Its first packet that did not was sent."""
    answered: float


def _quarantine(managed: Managed, traffic: Traffic) -> Cut:
    """One quarantine, and its release."""
    began = time.time_ns()
    managed.quarantine()
    answered = time.time_ns()
    until(lambda: bool(traffic.agent.first_stopped_ns(began)), "a stopped packet")
    time.sleep(AFTER_SECONDS)
    last, stopped = traffic.agent.last_ns, traffic.agent.first_stopped_ns(began)
    managed.release()
    until(lambda: traffic.agent.last_ns > last, "the agent's packets after its release")
    return Cut(*(max(0, at - began) / 1e6 for at in (last, stopped, answered)))


def quarantine(settings: Settings) -> Section:
    """P8: with a million connections live."""
    cuts: list[Cut] = []
    with lab(settings, _plan(settings, taps=False)) as (managed, traffic):
        live = traffic.dpu.ct_stats().live
        for _ in range(settings.runs * (3 if settings.quick else QUARANTINES)):
            cuts.append(_quarantine(managed, traffic))
        lost = traffic.lost(traffic.web) + traffic.crowd_lost()
    found = Collection()
    name = "quarantine call to the agent's last packet forwarded"
    for part in (50, 99):
        goal = {"goal": GOAL_QUARANTINE_MS} if part == 99 else {}
        value = float(np.percentile([cut.last for cut in cuts], part))
        found.add(f"{name}: p{part} of {len(cuts)}", "ms", value, less=True, key="P8", **goal)
    stopped = [cut.stopped for cut in cuts]
    found.add(
        "quarantine call to the agent's first packet stopped: p99",
        "ms",
        float(np.percentile(stopped, 99)),
        less=True,
    )
    found.add(
        "quarantine call answered: p50",
        "ms",
        float(np.percentile([cut.answered for cut in cuts], 50)),
        less=True,
    )
    found.add("packets of others lost meanwhile", "packets", lost, goal=0, less=True, key="P8")
    found.add("connections live", "connections", live, key="P8")
    remarks = (
        f"The agent sends {BURST / PAUSE / 1000:.0f}k/s over {SOURCE_PORTS} connections; a crowd of generator ports "
        "keeps the others live. From before the call by gRPC until the time that the fast path gave the last packet; "
        "the client, the appliance and the fast path's control share one core.",
    )
    return Section("quarantine", "Quarantine (P8)", tuple(found.figures()), remarks)


def _event(found: Collection, event: str, number: int, managed: Managed, traffic: Traffic) -> None:
    if event == "kill9":
        managed.kill()
        time.sleep(0.3)
        managed.start()
    elif event == "quarantine":
        last = _quarantine(managed, traffic).last
        found.add(
            "quarantine: call to last packet forwarded (P8)", "ms", last, goal=GOAL_QUARANTINE_MS, less=True
        )
    elif event == "publish":
        managed.publish(number)
    else:
        managed.rollback()


def disruption(settings: Settings) -> Section:
    """Lost packets per event, over ``settings.runs`` events of each kind."""
    taps = not os.geteuid()
    found = Collection()
    with (
        lab(settings, _plan(settings, taps=taps)) as (managed, traffic),
        contextlib.ExitStack() as stack,
    ):
        tcp = stack.enter_context(Connection()) if taps else None
        live = traffic.dpu.ct_stats().live
        for number in range(settings.runs):
            for event in settings.events:
                before = traffic.lost(traffic.web), traffic.crowd_lost(), tcp.again() if tcp else 0
                began = time.perf_counter()
                _event(found, event, number, managed, traffic)
                spent = time.perf_counter() - began
                time.sleep(AFTER_SECONDS)
                after = traffic.lost(traffic.web), traffic.crowd_lost(), tcp.again() if tcp else 0
                lost, crowd, again = (now - then for now, then in zip(after, before, strict=True))
                found.add(f"{event}: packets lost", "packets", lost, goal=0, less=True)
                found.add(f"{event}: packets of the crowd lost", "packets", crowd, goal=0, less=True)
                if tcp:
                    found.add(f"{event}: TCP segments sent again", "segments", again, goal=0, less=True)
                found.add(f"{event}: seconds", "s", spent, less=True)
        sent, ports = traffic.web.sent, traffic.dpu.stats().ports
        crowd_sent = sum(ports[name].sent.total_pkts for name in ("p4", "p5"))
    return Section(
        "disruption",
        "What events cost those they do not concern",
        tuple(found.figures()),
        _remarks(found, settings, sent, crowd_sent, live, tcp),
    )


def _remarks(
    found: Collection, settings: Settings, sent: int, crowd: int, live: int, tcp: Connection | None
) -> tuple[str, ...]:
    total = {
        what: sum(sum(one.runs) for one in found.figures() if one.name.endswith(what))
        for what in ("packets lost", "packets of the crowd lost", "TCP segments sent again")
    }
    most = 2 * _plan(settings, taps=False).rate / 1000
    remarks = [
        f"{settings.runs} events of each kind. {sent} numbered packets of the allowed stream, "
        f"{BURST / PAUSE / 1000:.0f}k/s at most, {total['packets lost']:.0f} lost in all; {crowd} of the crowd, "
        f"{most:.0f}k/s at most, {total['packets of the crowd lost']:.0f} lost; {live} connections live.",
        f"TCP through taps: {tcp.acked / 1e6:.1f} MB in blocks of 1000 bytes, "
        f"{total['TCP segments sent again']:.0f} segments sent again."
        if tcp
        else "No TCP through taps: they need root.",
    ]
    last = found.figure("quarantine: call to last packet forwarded (P8)").runs
    if last:
        remarks.append(f"Quarantine, slowest of {len(last)}: {max(last):.2f} ms.")
    return tuple(remarks)
