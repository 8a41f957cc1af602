# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Looks at a fast path while it forwards: rates per second of the worker's time, and cycles per packet by stage,
between two moments.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from appliance.bench.machine import BenchError, thread_run_ns
from appliance.flow import Dpu, FastpathProcess
from appliance.flow.results import Stages

SETTLE_SECONDS = 60.0
ROUNDS, ROUNDS_SECONDS = 3, 20.0
"""Packets of each connection and direction before anything is measured, and how long they are waited for."""


class Watched(Protocol):
    """A fast path and a session of ours that looks at it."""

    @property
    def dpu(self) -> Dpu: ...
    @property
    def process(self) -> FastpathProcess: ...


@dataclass(frozen=True, slots=True)
class Watch:
    """One of them."""

    dpu: Dpu
    process: FastpathProcess


@dataclass(frozen=True, slots=True)
class Look:
    """Counts at one moment."""

    ran_ns: int
    sent: int
    received: int
    opened: int
    rejudged: int
    stages: Stages

    @property
    def ran_s(self) -> float:
        """The worker's time in seconds."""
        return self.ran_ns / 1e9


def look(under: Watched) -> Look:
    """Now."""
    ports = under.dpu.stats().ports.values()
    sent, received = sum(p.sent.total_pkts for p in ports), sum(p.received.total_pkts for p in ports)
    ct = under.dpu.ct_stats()
    return Look(thread_run_ns(under.process.pid), sent, received, ct.opened, ct.rejudged, under.dpu.stages())


def stages(before: Look, after: Look) -> dict[str, float]:
    """Cycles per packet by stage, of the turns that were watched; empty without any."""
    packets = after.stages.packets - before.stages.packets
    if packets <= 0:
        return {}
    return {name: (took - before.stages.cycles[name]) / packets for name, took in after.stages.cycles.items()}


def window(under: Watched, seconds: float) -> float:
    """Millions of packets forwarded per second of the worker's time."""
    return seen(under, seconds)[0]


def seen(under: Watched, seconds: float) -> tuple[float, dict[str, float]]:
    """Millions of packets forwarded per second of the worker's time; cycles per packet by stage."""
    before = look(under)
    time.sleep(seconds)
    after = look(under)
    if after.ran_ns <= before.ran_ns:
        raise BenchError("the worker did not run")
    lost = (after.received - before.received) - (after.sent - before.sent)
    if lost > 4096:  # what is in the worker's hands between two looks, and no more
        raise BenchError(f"{lost} packets were not forwarded while forwarding was measured")
    return 1e3 * (after.sent - before.sent) / (after.ran_ns - before.ran_ns), stages(before, after)


def settle(under: Watched, flows: int) -> None:
    """Waits until every connection is open, no denial is remembered from before its opening, and each has had packets
    in both directions since, so that what can be remembered of it is.
    """
    end = time.monotonic() + SETTLE_SECONDS
    while under.dpu.ct_stats().opened < flows:
        if time.monotonic() > end:
            raise BenchError(f"{under.dpu.ct_stats().opened} of {flows} connections were opened")
        time.sleep(0.02)
    time.sleep(0.1)
    opened, end = look(under).sent, time.monotonic() + ROUNDS_SECONDS
    while look(under).sent < opened + 2 * ROUNDS * flows and time.monotonic() < end:
        time.sleep(0.02)


@contextmanager
def judged_again(under: Watched, every: float) -> Iterator[None]:
    """Meanwhile all connections are judged again, every so many seconds."""
    stop = threading.Event()

    def move() -> None:
        revision = 2
        under.dpu.ct_epoch(revision)
        while not stop.wait(every):
            revision += 1
            under.dpu.ct_epoch(revision)

    thread = threading.Thread(target=move, name="epochs")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
