# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Latency that the worker adds between two ring ports at half of its highest rate (P11)."""

from __future__ import annotations

from appliance.bench.figures import Collection, Section
from appliance.bench.programs import Settings, rings

GOAL_P99_US = 20.0


def latency(settings: Settings) -> Section:
    """bench-rings: generator and sink on one core, the worker on the other."""
    found = Collection()
    remarks = [
        "From the generator's enqueue to its dequeue, one packet at a time. The same with a worker that only moves "
        "packets shows the harness's own part. Slices of 10 ms in which either thread lost its core are left out.",
    ]
    for _ in range(settings.runs):
        for pipes in (1, 8):
            answer = rings(settings, pipes=pipes, milliseconds=300 if settings.quick else 1000)
            name = f"{pipes} pipe{'s' if pipes > 1 else ''}"
            found.add(f"{name}: highest rate", "Mpps", answer["highest_rate"] / 1e6)
            for key, what in (("walk", name), ("io", f"{name}, rings only")):
                part = answer[key]
                if not part["packets"]:
                    remarks.append(f"{what}: one run had no undisturbed slice.")
                    continue
                found.add(f"{what}: p50", "us", part["p50_us"], less=True)
                goal = {"goal": GOAL_P99_US, "key": "P11"} if key == "walk" else {}
                found.add(f"{what}: p99", "us", part["p99_us"], less=True, **goal)
                found.add(f"{what}: slices kept", "part", part["kept"] / max(1, part["slices"]))
    return Section(
        "latency", "Latency through rings at half load (P11)", tuple(found.figures()), tuple(remarks)
    )
