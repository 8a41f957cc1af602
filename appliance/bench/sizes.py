# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Cost over size: what a packet, a connection and a rule cost as work grows, and where the cycles go.

One axis after the other, each over all of its sizes in every run; what the time does not suffice for is left out and
told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from appliance.bench import segment
from appliance.bench.connections import BUFFERS, opened_over_time, opening_rate
from appliance.bench.figures import Curve, Points, Section, size_text
from appliance.bench.forward import CHAINS, OFF, Cache, caches
from appliance.bench.machine import BenchError, memory_mib
from appliance.bench.programs import Settings, buffers, fastpath, generator_io, load, replay, rings
from appliance.bench.watch import Look, Watch, seen, settle, stages, window
from appliance.errors import FlowError
from appliance.flow import Dpu

FCS = 4
IMIX = "IMIX"
FLOWS = 32_768
TENTHS = 10


@dataclass(slots=True)
class _Run:
    """What all axes have in common."""

    settings: Settings
    left_out: int = 0
    stages: Points = field(default_factory=Points)

    def sizes(self, sizes: Iterable[int], quick: Iterable[int]) -> Iterator[tuple[int, bool]]:
        """Each size in each run, and whether it is the first run; until time is over."""
        chosen = tuple(quick if self.settings.quick else sizes)
        for run in range(self.settings.runs):
            for size in chosen:
                if time.monotonic() >= self.settings.until:
                    self.left_out += 1
                else:
                    yield size, run == 0

    def where(self, what: str, found: dict[str, float]) -> None:
        """Cycles per packet by stage of something that was measured."""
        for stage, cycles in found.items():
            self.stages.add(stage, what, "cycles/packet", cycles, less=True)

    @property
    def seconds(self) -> float:
        """Of one window."""
        return self.settings.window_ms / 1000


def _established(run: _Run, opener: str, flows: int, rules: int = 1000) -> tuple[float, dict[str, float]]:
    """Mpps of established connections on generator ports, and the stages' cycles."""
    with (
        fastpath(run.settings, segment.generators(opener), mbufs=BUFFERS) as process,
        segment.segmented(
            process, rules=rules, capacity=max(1 << 16, 1 << (flows - 1).bit_length()), timeouts=segment.LONG
        ) as under,
    ):
        settle(under, flows)
        return seen(under, run.seconds)


def _connections(run: _Run) -> Iterator[Curve]:
    points = Points()
    for flows, _ in run.sizes((1, 32, 1024, FLOWS, 1 << 18, 1_000_000, 4_000_000), (1, 1024, 1 << 18)):
        io = generator_io(run.settings, f"flows={flows},{segment.SIDES}")
        points.add("the generator's own io", flows, "Mpps", io)
        rate, took = _established(run, f"flows={flows}", flows)
        points.add("segmentation, 1,000 rules", flows, "Mpps", rate)
        run.where(f"{size_text(flows)} connection{'s' if flows > 1 else ''}", took)
    yield points.curve("connections", "Established connections, packets a second of a core", "connections")


def _rules(run: _Run) -> Iterator[Curve]:
    rates, took, room = Points(), Points(), Points()
    for rules, first in run.sizes((1, 10, 100, 1000, 10_000, 100_000), (1, 1000)):
        if rules > 10_000 and not first:
            continue  # most of its time is the compiler's
        began = time.perf_counter()
        program = segment.compiled(rules)
        took.add("compile", rules, "s", time.perf_counter() - began, less=True)
        with fastpath(
            run.settings, segment.generators(f"flows={FLOWS}"), mbufs=BUFFERS, huge=False
        ) as process:
            before, began = memory_mib(process.pid)[0], time.perf_counter()
            with segment.segmented(process, rules=rules, program=program) as under:
                took.add("install", rules, "s", time.perf_counter() - began, less=True)
                settle(under, FLOWS)
                rates.add("established packets", rules, "M/s", window(under, run.seconds))
                room.add("fast path", rules, "MiB", memory_mib(process.pid)[0] - before, less=True)
        flows = 1 << 17 if run.settings.quick else 1 << 19
        looks = opened_over_time(run.settings, rules, flows, program=program)
        rates.add("new connections", rules, "M/s", opening_rate(looks, flows))
    yield rates.curve("rules", f"Packets of {FLOWS:,} connections, and new ones, a second of a core", "rules")
    yield took.curve("rules-time", "From a policy to packets judged by it", "rules")
    yield room.curve("rules-memory", f"What rules and {FLOWS:,} connections add to the fast path", "rules")


def _chain(run: _Run, flows: int, pipes: int, cache: Cache, shape: str) -> tuple[float, dict[str, float]]:
    """Mpps through a chain of pipes, and the stages' cycles."""
    ports = replay(flows, run.settings.scratch)
    with (
        fastpath(run.settings, ports, mbufs=buffers(flows), cache=cache.walks) as process,
        Dpu.attach(process.runtime_dir, session="bench-look") as dpu,
        load("forward", process, ports="p0,p1", pipes=pipes, flows=flows, shape=shape, windows=0),
    ):
        time.sleep(run.seconds / 4)
        return seen(Watch(dpu, process), run.seconds)


def _pipes(run: _Run) -> Iterator[Curve]:
    points = Points()
    flows = 1024
    for cache in caches(flows):
        name = cache.name or "cache on"
        for pipes, _ in run.sizes(CHAINS, (1, 8)):
            rate, took = _chain(run, flows, pipes, cache, "mixed")
            points.add(name, pipes, "Mpps", rate)
            if pipes in (1, 8):
                run.where(f"{pipes} pipe{'s' if pipes > 1 else ''}, {name}", took)
        for pipes, _ in run.sizes(range(1, 9), ()) if cache.name == OFF else ():
            points.add(f"full pipes, {OFF}", pipes, "Mpps", _chain(run, flows, pipes, cache, "same")[0])
    yield points.curve(
        "pipes", f"A chain of pipes, {flows:,} connections replayed, packets a second of a core", "pipes"
    )


def _frames(run: _Run) -> Iterator[Curve]:
    packets, bits = Points(), Points()
    for size, _ in run.sizes((64, 128, 256, 512, 1024, 1280, 1518, 0), (64, 1518, 0)):
        at = size or IMIX
        opener = f"flows=1024,size={size - FCS if size else 'imix'}"
        mean = size or (7 * 64 + 4 * 594 + 1518) / 12
        io = generator_io(run.settings, f"{opener},{segment.SIDES}")
        rate, _took = _established(run, opener, 1024)
        packets.add("the generator's own io", at, "Mpps", io)
        packets.add("segmentation, 1,000 rules", at, "Mpps", rate)
        bits.add("segmentation, 1,000 rules", at, "Gbit/s", rate * mean * 8 / 1e3)
    yield packets.curve(
        "frames", "Frame sizes, 1,024 connections, packets a second of a core", "bytes with FCS"
    )
    yield bits.curve(
        "frames-bits", "Frame sizes, 1,024 connections, bits a second of a core", "bytes with FCS"
    )


def _tenths(looks: list[Look], flows: int) -> Iterator[tuple[int, float]]:
    """Per cent of the table at the middle of each tenth, and the rate meanwhile."""
    for tenth in range(TENTHS):
        inside = [one for one in looks if flows * tenth <= one.opened * TENTHS <= flows * (tenth + 1)]
        if len(inside) > 1 and inside[-1].ran_ns > inside[0].ran_ns:
            rate = 1e3 * (inside[-1].opened - inside[0].opened) / (inside[-1].ran_ns - inside[0].ran_ns)
            yield 100 * tenth // TENTHS + 50 // TENTHS, rate


def _fill(run: _Run) -> Iterator[Curve]:
    points = Points()
    for flows, _ in run.sizes((1 << 20,), (1 << 18,)):
        looks = opened_over_time(run.settings, 1000, flows)
        for at, rate in _tenths(looks, flows):
            points.add("1,000 rules", at, "M/s", rate)
        run.where("new connections", stages(looks[0], looks[-1]))
    yield points.curve("fill", "New connections a second of a core while a table fills", "% of the table")


def _latency(run: _Run) -> Iterator[Curve]:
    points = Points()
    for pipes in (1, 8):
        for percent, _ in run.sizes((10, 50, 90), (50,)):
            answer = rings(
                run.settings, pipes=pipes, load=percent, milliseconds=200 if run.settings.quick else 1000
            )
            for key, who in (("walk", f"{pipes} pipe{'s' if pipes > 1 else ''}"), ("io", "rings only")):
                if (key == "io" and pipes > 1) or not answer[key]["packets"]:
                    continue
                for part, name in (("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("p999", "p99.9")):
                    points.add(f"{who}: {name}", percent, "us", answer[key][f"{part}_us"], less=True)
    yield points.curve("latency", "Latency through rings, microseconds", "% of the highest rate")


AXES: dict[str, Callable[[_Run], Iterator[Curve]]] = {
    "connections": _connections,
    "rules": _rules,
    "pipes": _pipes,
    "frames": _frames,
    "fill": _fill,
    "latency": _latency,
}


def sizes(settings: Settings) -> Section:
    """All axes, and the stages' cycles of what they measured."""
    run = _Run(settings)
    curves: list[Curve] = []
    remarks = [
        "Rates are per second of the worker's time. Established and new connections: generator ports, 64 clients and "
        "16 servers bound by prefix, records on. Pipes: replayed traffic, as part forward has it. Generators do not "
        "write the payload of larger frames, and the fast path does not read it.",
    ]
    for name in settings.axes or AXES:
        try:
            curves += [curve for curve in AXES[name](run) if curve.lines]
        except (BenchError, FlowError) as error:
            remarks.append(f"{name}: {error.reason if isinstance(error, FlowError) else error}")
    if run.stages.lines:
        title = "Where the cycles of a packet go"
        curves.append(run.stages.curve("stages", title, "", stacked=True))
    if run.left_out:
        remarks.append(f"{run.left_out} measurements were left out: the time was over.")
    if not curves:
        raise BenchError("; ".join(remarks[1:]) or "nothing was measured")
    return Section("sizes", "Cost over size, one worker core", (), tuple(remarks), tuple(curves))
