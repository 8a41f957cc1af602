# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A centre and its fleet: label changes, a publish, a storm of reconnections; the simulator is a process of its own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from appliance.bench.figures import Collection, Section
from appliance.bench.machine import BenchError, on_cores
from appliance.bench.programs import Settings
from appliance.intelligence import simulate as sim

GOALS = {"one": 50.0, "hundred": 200.0, "all": 2000.0}
"""Milliseconds until the centre has all answers to a label change, 99th percentile; with 1,000 appliances."""
ROUNDS = {"one": 25, "hundred": 10, "all": 5}
"""Changes to and fro."""
GOAL_PUBLISH_S = 10.0
GOAL_STORM_S = 10.0
GOAL_DELAY_MS = 20.0
GOAL_KIB = 1024.0
PATIENCE_S = 130.0


async def _plan(made: sim.Bed, size: tuple[int, int, int], rounds: dict[str, int]) -> sim.Figures:
    with sim.counted(made) as figures:
        await sim.begin(made, figures, *size[1:])
        await sim.label_changes(made, figures, rounds)
        await sim.storm(made, figures)
    return figures


def measure(size: tuple[int, int, int], rounds: dict[str, int]) -> sim.Figures:
    """Appliances, workloads, rules; changes of each kind. ``BenchError``."""
    try:
        with (
            on_cores(*range(os.cpu_count() or 1)),
            TemporaryDirectory(prefix="rf-sim-") as directory,
            sim.running_centre(Path(directory), size[0]) as (centre, appliances),
        ):
            return asyncio.run(
                sim.measure(centre, appliances, PATIENCE_S, lambda made: _plan(made, size, rounds))
            )
    except sim.SimulationError as error:
        raise BenchError(str(error)) from None


def _add(found: Collection, figures: sim.Figures, *, goals: bool) -> None:
    def add(name: str, unit: str, value: float, goal: float | None = None) -> None:
        found.add(name, unit, value, less=True, goal=goal if goals else None)

    sizes, members = sorted(figures.slice_bytes), sorted(figures.members)
    for reach, one in figures.fan_out.items():
        name = f"label change, {one.touched} touched"
        add(f"{name}: acknowledged by all, median", "ms", 1e3 * sim.share(one.complete, 0.5))
        add(
            f"{name}: acknowledged by all, p99 of {len(one.complete)}",
            "ms",
            1e3 * sim.share(one.complete, 0.99),
            GOALS[reach],
        )
        add(f"{name}: one answer, p99", "ms", 1e3 * sim.share(one.answered, 0.99))
        add(f"{name}: delta", "bytes", one.told_bytes)
    add("full publish: acknowledged by all", "s", figures.publish_seconds, GOAL_PUBLISH_S)
    add("slice: median", "bytes", sizes[len(sizes) // 2])
    add("slice: largest", "bytes", sizes[-1])
    add("slice: workloads and peers, median", "", members[len(members) // 2])
    add("storm: all current again", "s", figures.recover_seconds["storm"], GOAL_STORM_S)
    for phase, seconds in figures.delay_p99.items():
        add(f"event-loop delay, {phase}: p99", "ms", 1e3 * seconds, GOAL_DELAY_MS)
        add(f"event-loop delay, {phase}: largest", "ms", 1e3 * figures.delay_max[phase])
    add("memory of the centre, each appliance", "KiB", figures.kib_per_appliance, GOAL_KIB)
    add("CPU of the centre", "s", figures.centre_cpu_seconds)
    add("CPU of the simulator", "s", figures.own_cpu_seconds)
    add("statements refused", "", figures.refused, 0)


def central(settings: Settings) -> Section:
    """A fleet of 1,000 with 10,000 workloads and 10,000 rules."""
    size = (50, 500, 500) if settings.quick else (1000, 10_000, 10_000)
    rounds = dict.fromkeys(ROUNDS, 2) if settings.quick else ROUNDS
    found = Collection()
    for _ in range(settings.runs):
        _add(found, measure(size, rounds), goals=not settings.quick)
    remarks = (
        f"{size[0]} appliances without data planes, {size[1]} workloads, {size[2]} rules. From the call that changes "
        "something until the centre has the last answer: committed, signed, sent, verified, applied, acknowledged.",
        "Centre and simulator share all cores; the simulator does for all appliances what each would do on a machine "
        "of its own. Storm: all connections end, a label changes for all, all dial within a second.",
    )
    return Section("central", "The centre and its fleet", tuple(found.figures()), remarks)
