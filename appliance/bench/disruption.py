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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from appliance.bench.caller import Caller
from appliance.bench.figures import Collection, Section
from appliance.bench.lab import BURST, PAUSE, Managed, Plan, Traffic, lab, until
from appliance.bench.machine import BenchError
from appliance.bench.programs import Settings
from appliance.bench.retransmissions import Connection, Counts

EVENTS: Final = ("publish", "rollback", "quarantine", "kill9")
GOAL_QUARANTINE_MS: Final = 5.0
MILLION: Final = 1_000_000
CROWD_RATE: Final = 250_000
AGENT_RATE: Final = 50_000
QUARANTINES: Final = 20
"""In one run of P8."""
QUIET_SECONDS: Final = 0.5
IN_HAND: Final = 64
"""Packets that the worker may have counted as received and not yet as dropped at one look."""
WAITED_MS: Final = 0.2
MOST_DISTURBED: Final = 3
"""Quarantines that are made at most for each that is wanted."""
AFTER_SECONDS: Final = 0.1
"""Whatever an event does to packets it has done by then."""


def _plan(settings: Settings, *, taps: bool) -> Plan:
    crowd, rate = (10_000, CROWD_RATE // 5) if settings.quick else (MILLION, CROWD_RATE)
    return Plan(crowd=crowd, rate=rate, agent_rate=AGENT_RATE, taps=taps)


@dataclass(frozen=True, slots=True)
class Cut:
    """One quarantine: milliseconds from the call to what happened then."""

    dropped: float
    """The first packet of the agent's generator was dropped, by the worker's clock; none was forwarded after."""
    answered: float
    waited: float
    """The worker, for its core, which others had."""


Call = Callable[[str], tuple[int, int]]
"""``quarantine`` or ``release`` of the agent; when it was called and when it was answered, as ``time.time_ns``."""


def _quarantine(call: Call, traffic: Traffic) -> Cut:
    """One quarantine, and its release. ``BenchError``: a packet was forwarded after the answer."""
    time.sleep(AFTER_SECONDS)
    with traffic.agent_watched() as first_dropped:
        waited = traffic.worker_waited_ns()
        called, answered = call("quarantine")
        dropped = first_dropped()
        waited = traffic.worker_waited_ns() - waited
    if dropped < called and waited < 1e6 * WAITED_MS:  # a turn that lost its core began when it says
        raise BenchError("a packet of the agent was dropped before it was quarantined")
    forwarded = traffic.agent_counts()[1]
    time.sleep(AFTER_SECONDS)
    if traffic.agent_counts()[1] - forwarded > IN_HAND:
        raise BenchError("packets of the agent were forwarded after its quarantine")
    call("release")
    until(lambda: traffic.agent_counts()[1] > forwarded + IN_HAND, "the agent's packets after its release")
    return Cut((dropped - called) / 1e6, (answered - called) / 1e6, waited / 1e6)


def quarantine(settings: Settings) -> Section:
    """P8: with a million connections live."""
    cuts: list[Cut] = []
    disturbed = 0
    with (
        lab(settings, _plan(settings, taps=False)) as (managed, traffic),
        Caller(managed.directory / "ringfield.sock", "agent") as caller,
    ):
        live = traffic.dpu.ct_stats().live
        # The streams are made and taken in Python, on the core that the appliance has: the generators are enough.
        lost = traffic.lost(traffic.web)
        traffic.web.stopped = traffic.agent.stopped = True
        wanted = settings.runs * (3 if settings.quick else QUARANTINES)
        while len(cuts) < wanted and len(cuts) + disturbed < MOST_DISTURBED * wanted:
            cut = _quarantine(caller.call, traffic)
            if cut.waited > WAITED_MS:
                disturbed += 1
            else:
                cuts.append(cut)
        lost += traffic.crowd_lost()
    if not cuts:
        raise BenchError("the worker never had its core for itself while a quarantine came into force")
    found = Collection()
    for part in (50, 99):
        goal = {"goal": GOAL_QUARANTINE_MS} if part == 99 else {}
        value = float(np.percentile([cut.dropped for cut in cuts], part))
        name = f"quarantine call to the agent's last packet forwarded: p{part} of {len(cuts)}"
        found.add(name, "ms", value, less=True, key="P8", **goal)
    answers = [cut.answered for cut in cuts]
    found.add("quarantine call answered: p50", "ms", float(np.percentile(answers, 50)), less=True)
    found.add("packets of others lost meanwhile", "packets", lost, goal=0, less=True, key="P8")
    found.add("connections live", "connections", live, key="P8")
    found.add("quarantines left out: the worker waited for its core", "quarantines", disturbed, less=True)
    remarks = (
        f"The agent has a generator port, {AGENT_RATE} packets a second. The first of them that is dropped is "
        "captured, and says when by the worker's clock; none is forwarded after the answer. Left out are those during "
        f"which the worker waited more than {WAITED_MS:g} ms for its core because others had it. A crowd of generator "
        "ports keeps the others live. The call is made by a process that does nothing else, connected before; it, "
        "the appliance and the fast path's control share one core.",
    )
    return Section("quarantine", "Quarantine (P8)", tuple(found.figures()), remarks)


def _event(found: Collection, event: str, number: int, managed: Managed, traffic: Traffic) -> None:
    if event == "kill9":
        managed.kill()
        time.sleep(0.3)
        managed.start()
    elif event == "quarantine":
        last = _quarantine(managed.call, traffic).dropped
        found.add(
            "quarantine: call to last packet forwarded (P8)", "ms", last, goal=GOAL_QUARANTINE_MS, less=True
        )
    elif event == "publish":
        managed.publish(number)
    else:
        managed.rollback()


@dataclass(frozen=True, slots=True)
class Losses:
    """Since the beginning."""

    stream: int
    crowd: int
    tcp_dropped: int
    again: int
    needless: int

    @classmethod
    def now(cls, traffic: Traffic, tcp: Connection | None) -> Losses:
        """Waits for the stream's last packet."""
        counts = tcp.look() if tcp else Counts(0, 0, 0)
        lost, crowd, dropped = traffic.lost(traffic.web), traffic.crowd_lost(), traffic.dropped("p6", "p7")
        return cls(lost, crowd, dropped, counts.again, counts.needless)

    def add(self, found: Collection, name: str, before: Losses, *, tcp: bool) -> None:
        """What was lost since then."""
        found.add(f"{name}: packets lost", "packets", self.stream - before.stream, goal=0, less=True)
        found.add(
            f"{name}: packets of the crowd lost", "packets", self.crowd - before.crowd, goal=0, less=True
        )
        if tcp:
            dropped = self.tcp_dropped - before.tcp_dropped
            again, needless = self.again - before.again, self.needless - before.needless
            found.add(f"{name}: packets of TCP dropped", "packets", dropped, goal=0, less=True)
            found.add(f"{name}: TCP segments sent again", "segments", again, less=True)
            found.add(f"{name}: of these lost, not late", "segments", again - needless, goal=0, less=True)


def disruption(settings: Settings) -> Section:
    """Lost packets per event, over ``settings.runs`` events of each kind; and over as long without one."""
    taps = not os.geteuid()
    found = Collection()
    with (
        lab(settings, _plan(settings, taps=taps)) as (managed, traffic),
        contextlib.ExitStack() as stack,
    ):
        tcp = stack.enter_context(Connection()) if taps else None
        live = traffic.dpu.ct_stats().live
        for number in range(settings.runs):
            for event in ("nothing", *settings.events):
                before = Losses.now(traffic, tcp)
                began = time.perf_counter()
                if event == "nothing":
                    time.sleep(QUIET_SECONDS)
                else:
                    _event(found, event, number, managed, traffic)
                spent = time.perf_counter() - began
                time.sleep(AFTER_SECONDS)
                Losses.now(traffic, tcp).add(found, event, before, tcp=taps)
                found.add(f"{event}: seconds", "s", spent, less=True)
        sent, ports = traffic.web.sent, traffic.dpu.stats().ports
        crowd_sent = sum(ports[name].sent.total_pkts for name in ("p4", "p5"))
        acked = tcp.look().acked if tcp else 0
    return Section(
        "disruption",
        "What events cost those they do not concern",
        tuple(found.figures()),
        _remarks(found, settings, sent, crowd_sent, live, acked),
    )


def _remarks(
    found: Collection, settings: Settings, sent: int, crowd: int, live: int, acked: int
) -> tuple[str, ...]:
    def total(what: str) -> str:
        return f"{sum(sum(one.runs) for one in found.figures() if one.name.endswith(': ' + what)):.0f}"

    most = 2 * _plan(settings, taps=False).rate / 1000
    remarks = [
        f"{settings.runs} events of each kind, and as often nothing for {QUIET_SECONDS:g} s. "
        f"{sent} numbered packets of the allowed stream, {BURST / PAUSE / 1000:.0f}k/s at most, "
        f"{total('packets lost')} lost in all; {crowd} of the crowd, {most:.0f}k/s at most, "
        f"{total('packets of the crowd lost')} lost; {live} connections live.",
        f"TCP through taps: {acked / 1e6:.1f} MB in blocks of 1000 bytes; packets dropped "
        f"{total('packets of TCP dropped')}, segments sent again {total('TCP segments sent again')}, of these "
        f"{total('of these lost, not late')} lost and not merely late. A kernel that waits for its turn on "
        "a busy machine sends again by itself: compare with nothing."
        if acked
        else "No TCP through taps: they need root.",
    ]
    last = found.figure("quarantine: call to last packet forwarded (P8)").runs
    if last:
        remarks.append(f"Quarantine, slowest of {len(last)}: {max(last):.2f} ms.")
    return tuple(remarks)
