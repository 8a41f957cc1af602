# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Many connections, from generator ports: a million established ones against the generator's own ceiling (P2), the same
while all are judged again, new ones (P5), what a million take of memory (P10) and what becomes of more than fit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from appliance.bench import capacity, segment
from appliance.bench.figures import Collection, Section, ratio
from appliance.bench.machine import BenchError, memory_mib
from appliance.bench.programs import Settings, fastpath, generator_io
from appliance.bench.watch import Look, judged_again, look, settle, window
from appliance.flow.types import CtFull
from appliance.policy.program import Program

MILLION = 1_000_000
SIZES = (1024, 32_768, MILLION)
RULES = (10, 1000, 10_000)
BUFFERS = 16_384
JUDGE_SECONDS = 1.0
"""Between two orders to judge every connection again: each has a packet in between."""
GOAL_IO = 0.4
GOAL_NEW = 3.0
GOAL_MIB = 400.0
GOAL_JUDGED = 0.5


def _million(settings: Settings) -> int:
    return MILLION >> 4 if settings.quick else MILLION


def _sized(found: Collection, settings: Settings, flows: int, most: int) -> None:
    """One run at one size: the generator alone; ours; ours while all are judged again."""
    seconds = settings.window_ms / 1000
    io = generator_io(settings, f"flows={flows},{segment.SIDES}")
    found.add(f"{flows} connections: the generator's own io", "Mpps", io)
    with (
        fastpath(settings, segment.generators(f"flows={flows}"), mbufs=BUFFERS) as process,
        segment.segmented(process, rules=1000, timeouts=segment.LONG) as under,
    ):
        settle(under, flows)
        name = f"{flows} connections, 1000 rules"
        found.add(name, "Mpps", window(under, seconds), key="P2" if flows == most else "")
        if flows != most:
            return
        with judged_again(under, JUDGE_SECONDS):
            before, began = look(under), time.monotonic()
            rate = window(under, max(seconds, 2 * JUDGE_SECONDS))
            after, passed = look(under), time.monotonic() - began
        found.add(f"{name}, all judged again every second", "Mpps", rate, key="judged")
        found.add(
            f"{name}: connections judged again",
            "thousand/s",
            (after.rejudged - before.rejudged) / passed / 1e3,
            key="judged",
        )


def million(settings: Settings) -> Section:
    """P2 over sizes; a million connections judged again."""
    found = Collection()
    most = _million(settings)
    sizes = (most,) if settings.quick else SIZES
    for _ in range(settings.runs):
        for flows in sizes:
            _sized(found, settings, flows, most)
    figures = found.figures()
    for flows in sizes:
        ours, io = (
            found.figure(f"{flows} connections{what}")
            for what in (", 1000 rules", ": the generator's own io")
        )
        last = flows == most
        figures.append(
            ratio(
                f"{flows} connections: segmentation / the generator's own io",
                ours,
                io,
                GOAL_IO if last else None,
                "P2" if last else "",
            )
        )
    again = found.figure(f"{most} connections, 1000 rules, all judged again every second")
    undisturbed = found.figure(f"{most} connections, 1000 rules")
    figures.append(ratio(f"{most} connections: judged again / undisturbed", again, undisturbed, key="judged"))
    remarks = (
        "Generator ports, both directions; 64 clients and 16 servers bound by prefix, records on. The generator's own "
        "io: the same ports when nobody looks at their packets.",
    )
    return Section("million", "A million connections, one worker core (P2)", tuple(figures), remarks)


def opened_over_time(
    settings: Settings, rules: int, flows: int, program: Program | None = None
) -> list[Look]:
    """Looks at a table from empty until so many connections, each with a packet of its own, are in."""
    looks: list[Look] = []
    # Only openers play: a packet of a new connection every time.
    with (
        fastpath(settings, segment.generators(f"new={flows}", answers=False), mbufs=BUFFERS) as process,
        segment.segmented(
            process, rules=rules, program=program, on_start=lambda under: looks.append(look(under))
        ) as under,
    ):
        end = time.monotonic() + 60.0
        while looks[-1].opened < flows:
            if time.monotonic() > end:
                raise BenchError(f"{looks[-1].opened} of {flows} connections were opened")
            looks.append(look(under))
            time.sleep(0.001)
    return looks


def opening_rate(looks: Sequence[Look], flows: int) -> float:
    """Millions of connections opened per second of the worker's time, from the first tenth to the last."""
    middle = [one for one in looks if flows // 10 <= one.opened <= flows * 9 // 10]
    if len(middle) < 2:  # faster than they could be watched: the first looks and the last ones count too
        middle = list(looks)
    first, last = middle[0], middle[-1]
    if last.ran_ns <= first.ran_ns:
        raise BenchError("connections opened faster than they could be watched")
    return 1e3 * (last.opened - first.opened) / (last.ran_ns - first.ran_ns)


def opening(settings: Settings) -> Section:
    """P5, over rules."""
    found = Collection()
    for _ in range(settings.runs):
        for rules in RULES[1:2] if settings.quick else RULES:
            goal = {"goal": GOAL_NEW} if rules == 1000 else {}
            flows = _million(settings)
            rate = opening_rate(opened_over_time(settings, rules, flows), flows)
            found.add(f"{rules} rules: new connections", "M/s", rate, key="P5", **goal)
    remarks = (
        f"{_million(settings)} UDP connections from a generator port, each opened by one 60-byte packet, into an empty "
        "table, all with records that Python takes.",
    )
    return Section("connections", "New connections, one worker core (P5)", tuple(found.figures()), remarks)


def _offered(found: Collection, settings: Settings, full: CtFull) -> None:
    """A fifth more than fit. In ordinary memory: hugepages are taken whole at the start and say nothing."""
    room = _million(settings)
    offered = room * 6 // 5
    rounds = capacity.ROUNDS if full == CtFull.REFUSE else 1
    word = full.name.lower()
    with (
        fastpath(settings, capacity.ports(offered, rounds), mbufs=BUFFERS, huge=False) as process,
    ):
        before = memory_mib(process.pid)[0]
        with segment.segmented(process, rules=1000, capacity=room, full=full, timeouts=segment.LONG) as under:
            had = capacity.offer(under, offered, rounds)
            grown = memory_mib(process.pid)[0] - before
    name = f"{offered} offered to {room}, {word}"
    if full == CtFull.REFUSE:
        found.add(
            f"memory of {room} connections and 1000 rules",
            "MiB",
            grown,
            goal=GOAL_MIB * room / MILLION,
            less=True,
            key="P10",
        )
        lost = capacity.lost_of_old(had, room)
        found.add(f"{name}: packets of old ones lost", "packets", lost, goal=0, less=True, key="full")
    found.add(f"{name}: opened", "connections", had.stats.opened)
    found.add(f"{name}: live", "connections", had.stats.live, key="full")
    found.add(f"{name}: evicted", "connections", had.stats.evicted, key="full")
    found.add(f"{name}: refused, a round", "connections", had.stats.refused_full / rounds, key="full")
    found.add(
        f"{name}: not accounted for",
        "connections",
        capacity.unaccounted(had),
        goal=0,
        less=True,
        key="full",
    )


def full_table(settings: Settings) -> Section:
    """P10, and more connections than fit."""
    found = Collection()
    for full in (CtFull.REFUSE, CtFull.EVICT):
        _offered(found, settings, full)
    remarks = (
        "Counted, not timed: one run. Memory is what the fast path's resident memory grew by from its start, "
        "segmentation program included, in ordinary memory.",
        f"refuse: each connection sends {capacity.ROUNDS} packets, round after round; those of the ones that found "
        "room must all pass.",
    )
    return Section("full", "A full table, and its memory (P10)", tuple(found.figures()), remarks)
