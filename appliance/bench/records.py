# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Flow records from the fast path to the store of one appliance (P13): how many a second without loss, what that costs,
how soon a connection's first and last record are there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.bench import segment, traffic
from appliance.bench.figures import Collection, Section
from appliance.bench.machine import BenchError
from appliance.bench.programs import Settings, buffers, fastpath
from appliance.bench.segment import Segmented
from appliance.flow import PortConfig
from appliance.flow.types import FLOW_RECORD, FlowEvent
from appliance.policy.program import Program
from appliance.telemetry import Binding, Identity, NameBook, Telemetry, Verdict, Workload, labels
from appliance.telemetry.filters import compiled, parse

GOAL_RATE = 200_000
GOAL_MS = 200.0
FLOWS = 65_536
INTERVALS = (0.27, 0.16, 0.08)
"""Seconds until a connection's next packet makes another record: somewhat below, above and far above the goal."""
BATCH = 1024


def names(program: Program) -> NameBook:
    """What an appliance would know."""
    book = NameBook()
    for one in segment.inventory().workloads:
        places = [
            Binding.of(program.numbers.zones[plug.network], prefix)
            for plug in one.interfaces
            for prefix in plug.prefixes
        ]
        book.set_workload(Workload(one.name, one.kind, labels(one.labels)), places)
    book.set_identities(
        {base: Identity(labels(one.labels), one.kind, one.name) for base, one in program.identities.items()}
    )
    book.set_verdicts(
        {tag: Verdict("allow", one.band.text, one.rule, one.rule) for tag, one in program.verdicts.items()}
    )
    return book


@dataclass(slots=True)
class Taker:
    """Puts what comes into a store, and looks at what that costs."""

    telemetry: Telemetry
    cpu_s: float = 0.0
    """Of the thread that does it."""
    ages: list[tuple[NDArray[np.uint8], NDArray[np.int64]]] = field(default_factory=list)
    """Events of a batch, and how long ago (ns) their last packet was."""
    keep_ages: bool = False

    def __call__(self, batch: NDArray[np.void], lost: int) -> None:
        begun = time.thread_time()
        self.telemetry.append(batch, lost)
        self.cpu_s += time.thread_time() - begun
        if self.keep_ages and len(batch):
            self.ages.append((batch["event"].copy(), time.time_ns() - batch["last_ns"].astype(np.int64)))


def _alone(settings: Settings, found: Collection) -> None:
    """The store by itself: batches of a thousand, names of all kinds."""
    program = segment.compiled(1000)
    book = names(program)
    batch = np.zeros(BATCH, FLOW_RECORD)
    random = np.random.default_rng(1)
    for side, base in (("src_ip", 0x0A000000), ("dst_ip", 0x0A800000)):
        numbers = (base + random.integers(0, 1 << 12, BATCH)).astype(">u4")
        batch[side][:, :4] = numbers.view(np.uint8).reshape(-1, 4)
    batch["zone"], batch["ip_version"], batch["protocol"] = 1, 4, 17
    batch["event"] = random.integers(1, 6, BATCH)
    batch["tag"] = random.choice(list(program.verdicts), BATCH)
    batch["src_identity"] = batch["dst_identity"] = random.choice(
        [base << 2 for base in program.identities], BATCH
    )
    telemetry = Telemetry(book)
    rounds = 40 if settings.quick else 1000
    begun = time.thread_time()
    for _ in range(rounds):
        telemetry.append(batch)
    seconds = time.thread_time() - begun
    found.add("the store alone: one record", "ns", seconds / rounds / BATCH * 1e9, less=True)
    found.add(
        "the store alone: of a core at 200,000 records a second", "part", seconds / rounds / BATCH * GOAL_RATE
    )
    test = compiled(parse("from.label=app=client-1 verdict=allow ip=10.128.0.0/16"))
    begun = time.thread_time()
    pieces = list(telemetry.store.scan(test))
    seconds = time.thread_time() - begun
    found.add(
        "the store alone: filters over its history", "M records/s", len(telemetry.store) / seconds / 1e6
    )
    del pieces


def _stream(settings: Settings, found: Collection, interval: float) -> None:
    """Established connections that say where they are every so often."""
    flows = FLOWS >> 4 if settings.quick else FLOWS
    interval = interval / 16 if settings.quick else interval
    pair = traffic.write_pair(settings.scratch, flows, workloads=True)
    taker = Taker(Telemetry(names(segment.compiled(1000))))
    with (
        fastpath(settings, segment.ports(pair), mbufs=buffers(flows)) as process,
        segment.segmented(process, rules=1000, record_interval=interval, on_records=taker) as under,
    ):
        _wait(lambda: under.dpu.ct_stats().opened >= flows, "connections to be opened")
        time.sleep(2 * interval)
        before, begun = _look(under, taker), time.monotonic()
        time.sleep(max(3 * interval, settings.window_ms / 1000))
        after, seconds = _look(under, taker), time.monotonic() - begun
    stored, cpu, made, worker, ring = (now - then for now, then in zip(after, before, strict=True))
    name = f"{flows:,} connections, a record each {1000 * interval:.0f} ms"
    found.add(f"{name}: made by the worker", "records/s", (made + worker) / seconds)
    found.add(f"{name}: stored (P13)", "records/s", stored / seconds, goal=GOAL_RATE, key="P13")
    found.add(f"{name}: lost, and counted", "records", worker + ring, less=True, key="P13")
    found.add(f"{name}: of a core, by the store", "part", cpu / seconds, less=True)


def _look(under: Segmented, taker: Taker) -> tuple[float, ...]:
    stats, store = under.dpu.ct_stats(), taker.telemetry.store
    return store.next, taker.cpu_s, stats.records, stats.records_lost, store.lost["ring"]


def _wait(ready: Any, what: str) -> None:
    end = time.monotonic() + 20.0
    while not ready():
        if time.monotonic() > end:
            raise BenchError(f"waiting for {what} took longer than 20 s")
        time.sleep(0.01)


def _soon(settings: Settings, found: Collection) -> None:
    """A new connection every few milliseconds, that ends soon: the age of its records when they are stored."""
    number = 50 if settings.quick else 400
    ports = [
        PortConfig(
            name=one.name, pci=one.pci, ibdev=one.ibdev, representor=one.representor, backend="net_ring"
        )
        for one in segment.ports((settings.scratch, None))
    ]
    taker = Taker(Telemetry(names(segment.compiled(1000))), keep_ages=True)
    frames = [row.tobytes() for row in traffic.frames(1024, reverse=False, workloads=True)[:number]]
    with (
        fastpath(settings, ports, mbufs=8192, spin=False) as process,
        segment.segmented(process, rules=1000, on_records=taker, timeouts=segment.SHORT) as under,
    ):
        for frame in frames:
            under.dpu.inject("p0", [frame])
            time.sleep(0.005)
        _wait(lambda: taker.telemetry.events()["close"] >= number, "connections to end")
    for event, what, off in ((FlowEvent.OPEN, "first", 0.0), (FlowEvent.CLOSE, "closing", segment.SHORT.udp)):
        ages = np.concatenate([age[events == event] for events, age in taker.ages]) / 1e6 - off * 1e3
        name = f"{what} record: %s until it is stored"
        found.add(name % "p50", "ms", float(np.percentile(ages, 50)), less=True)
        found.add(name % "p99", "ms", float(np.percentile(ages, 99)), less=True, goal=GOAL_MS)


def records(settings: Settings) -> Section:
    """P13."""
    found = Collection()
    for _ in range(settings.runs):
        _alone(settings, found)
        for interval in INTERVALS[: 1 if settings.quick else None]:
            _stream(settings, found, interval)
        _soon(settings, found)
    remarks = (
        "The store, with names, labels and rules of each record, in a thread of Python on the core of everything but "
        "the worker; 65,536 established connections at the worker's full rate make the records.",
        "A closing record's age is counted from the end of its connection's time-out (UDP).",
    )
    return Section("records", "Flow records from fast path to store (P13)", tuple(found.figures()), remarks)
