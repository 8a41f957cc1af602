# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Stateful segmentation: throughput of established connections (P1), new connections (P5), and both while every
connection is judged again.

As everywhere here, rates are per second of the worker's time on its core.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from appliance.bench import segment, traffic
from appliance.bench.figures import Collection, Figure, Section, ratio
from appliance.bench.forward import peer
from appliance.bench.machine import BenchError, thread_run_ns
from appliance.bench.programs import Settings, buffers, fastpath, has_testpmd
from appliance.bench.segment import Segmented

RULES = (10, 1000, 10_000)
NEW_FLOWS = 262_144
GOAL_IO = 0.5
GOAL_NEW = 3.0
JUDGE_SECONDS = 0.25
"""Between two orders to judge every connection again."""


@dataclass(frozen=True, slots=True)
class Look:
    """Counts at one moment."""

    ran_ns: int
    sent: int
    received: int
    opened: int


def look(under: Segmented) -> Look:
    """Now."""
    ports = under.dpu.stats().ports.values()
    sent, received = sum(p.sent.total_pkts for p in ports), sum(p.received.total_pkts for p in ports)
    return Look(thread_run_ns(under.process.pid), sent, received, under.dpu.ct_stats().opened)


def _window(under: Segmented, seconds: float) -> float:
    """Millions of packets forwarded per second of the worker's time."""
    before = look(under)
    time.sleep(seconds)
    after = look(under)
    if after.ran_ns <= before.ran_ns:
        raise BenchError("the worker did not run")
    lost = (after.received - before.received) - (after.sent - before.sent)
    if lost > 4096:  # what is in the worker's hands between two looks, and no more
        raise BenchError(f"{lost} packets were not forwarded while forwarding was measured")
    return 1e3 * (after.sent - before.sent) / (after.ran_ns - before.ran_ns)


def _settle(under: Segmented, flows: int) -> None:
    """Waits until every connection is open and no denial is remembered from before its opening."""
    end = time.monotonic() + 20.0
    while under.dpu.ct_stats().opened < flows:
        if time.monotonic() > end:
            raise BenchError(f"{under.dpu.ct_stats().opened} of {flows} connections were opened")
        time.sleep(0.02)
    time.sleep(0.1)


@contextmanager
def judged_again(under: Segmented) -> Iterator[None]:
    """Meanwhile all connections are judged again, every ``JUDGE_SECONDS``."""
    stop = threading.Event()

    def move() -> None:
        revision = 2
        while not stop.wait(JUDGE_SECONDS):
            under.dpu.ct_epoch(revision)
            revision += 1

    thread = threading.Thread(target=move, name="epochs")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _established(found: Collection, settings: Settings, flows: int, rules: int, again: bool) -> None:
    """One run: a fresh fast path, all connections opened, a window; then one in which they are judged again."""
    pair = traffic.write_pair(settings.scratch, flows, workloads=True)
    seconds = settings.window_ms / 1000
    with (
        fastpath(settings, segment.ports(pair), mbufs=buffers(flows)) as process,
        segment.segmented(process, rules=rules) as under,
    ):
        _settle(under, flows)
        name = f"{flows} connections, {rules} rules"
        found.add(name, "Mpps", _window(under, seconds))
        if again:
            with judged_again(under):
                found.add(f"{name}, all judged again 4 times a second", "Mpps", _window(under, seconds))
        if under.lost:
            found.add(f"{name}: records lost", "records", under.lost, less=True)


def established(settings: Settings) -> Section:
    """P1, over connections and rules, with testpmd beside it."""
    found = Collection()
    most = settings.flows[-1]
    for _ in range(settings.runs):
        for flows in settings.flows:
            if has_testpmd():
                peer(found, settings, flows, "io")
            _established(found, settings, flows, 1000, flows == most)
        if not settings.quick:
            for rules in (rules for rules in RULES if rules != 1000):
                _established(found, settings, most, rules, False)
    figures = found.figures()
    for flows in settings.flows:
        ours = found.figure(f"{flows} connections, 1000 rules")
        if has_testpmd():
            goal = GOAL_IO if flows == most else None
            io = found.figure(f"{flows} connections: testpmd io")
            figures.append(ratio(f"{flows} connections: segmentation / testpmd io (P1)", ours, io, goal))
    again = found.figure(f"{most} connections, 1000 rules, all judged again 4 times a second")
    figures.append(
        ratio("judged again / undisturbed", again, found.figure(f"{most} connections, 1000 rules"))
    )
    remarks = (
        "Source binding by prefix, connection tracking, identities, 1,000 rules behind it, flow records taken by "
        "Python meanwhile; no flow cache yet: an established packet walks the pipes before and behind CT.",
    )
    return Section("segmentation", "Stateful segmentation, one worker core (P1)", tuple(figures), remarks)


def _opening(settings: Settings, rules: int) -> float:
    """Millions of connections opened per second of the worker's time, from the first tenth to the last."""
    flows = NEW_FLOWS >> 4 if settings.quick else NEW_FLOWS
    pair = traffic.write_pair(settings.scratch, flows, workloads=True)
    looks: list[Look] = []
    # Only the openers' side plays: what replies say before their opening would be denials.
    with (
        fastpath(settings, segment.ports((pair[0], None)), mbufs=buffers(flows)) as process,
        segment.segmented(process, rules=rules, on_start=lambda under: looks.append(look(under))) as under,
    ):
        end = time.monotonic() + 20.0
        while looks[-1].opened < flows:
            if time.monotonic() > end:
                raise BenchError(f"{looks[-1].opened} of {flows} connections were opened")
            looks.append(look(under))
            time.sleep(0.001)
    middle = [one for one in looks if flows // 10 <= one.opened <= flows * 9 // 10]
    if len(middle) < 2:  # faster than they could be watched: the first looks and the last ones count too
        middle = looks
    first, last = middle[0], middle[-1]
    if last.ran_ns <= first.ran_ns:
        raise BenchError("connections opened faster than they could be watched")
    return 1e3 * (last.opened - first.opened) / (last.ran_ns - first.ran_ns)


def opening(settings: Settings) -> Section:
    """P5: a packet of a new connection every time."""
    found = Collection()
    for _ in range(settings.runs):
        for rules in RULES[1:2] if settings.quick else RULES:
            goal = {"goal": GOAL_NEW} if rules == 1000 else {}
            found.add(f"{rules} rules: new connections", "M/s", _opening(settings, rules), **goal)
    figures: list[Figure] = found.figures()
    remarks = (f"{NEW_FLOWS} UDP connections, each opened by one 60-byte packet, all with records.",)
    return Section("connections", "New connections, one worker core (P5)", tuple(figures), remarks)
