# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Looks at a fast path while it forwards: rates per second of the worker's time, between two moments."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from appliance.bench.machine import BenchError, thread_run_ns
from appliance.bench.segment import Segmented

SETTLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Look:
    """Counts at one moment."""

    ran_ns: int
    sent: int
    received: int
    opened: int
    rejudged: int

    @property
    def ran_s(self) -> float:
        """The worker's time in seconds."""
        return self.ran_ns / 1e9


def look(under: Segmented) -> Look:
    """Now."""
    ports = under.dpu.stats().ports.values()
    sent, received = sum(p.sent.total_pkts for p in ports), sum(p.received.total_pkts for p in ports)
    ct = under.dpu.ct_stats()
    return Look(thread_run_ns(under.process.pid), sent, received, ct.opened, ct.rejudged)


def window(under: Segmented, seconds: float) -> float:
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


def settle(under: Segmented, flows: int) -> None:
    """Waits until every connection is open and no denial is remembered from before its opening."""
    end = time.monotonic() + SETTLE_SECONDS
    while under.dpu.ct_stats().opened < flows:
        if time.monotonic() > end:
            raise BenchError(f"{under.dpu.ct_stats().opened} of {flows} connections were opened")
        time.sleep(0.02)
    time.sleep(0.1)


@contextmanager
def judged_again(under: Segmented, every: float) -> Iterator[None]:
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
