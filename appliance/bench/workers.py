# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Two workers against one (P12): replayed traffic whose packets come to their connection's worker at once (split), or
to either one, which hands half of them over (unsplit).
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appliance.bench import segment, traffic
from appliance.bench.figures import Collection, Figure, Section, ratio
from appliance.bench.machine import BenchError
from appliance.bench.programs import Settings, buffers, fastpath
from appliance.bench.watch import look, settle
from appliance.flow import PortConfig

GOAL = 1.9
CORES = 3
"""Two for workers, one for everything else: fewer, and nothing is claimed."""
WORKERS = 2


def _spread(h: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for _ in range(2):
        h = (h ^ h >> np.uint64(32)) * np.uint64(0xD6E8FEB86659FD93)
    return h ^ h >> np.uint64(32)


def owners(frames: NDArray[np.uint8], workers: int) -> NDArray[np.int64]:
    """Which worker owns each frame's connection, as native/fastpath/ct_owner.c has it for IPv4."""
    constant = _spread(np.array([0x9E3779B97F4A7C15], np.uint64))
    ends = [
        _spread(np.ascontiguousarray(frames[:, at : at + 4]).view("<u4")[:, 0].astype(np.uint64)) ^ constant
        for at in (26, 30)
    ]
    hashed = _spread(ends[0] + ends[1])
    return ((hashed >> np.uint64(32)) * np.uint64(workers) >> np.uint64(32)).astype(np.int64)


def _ports(settings: Settings, flows: int, workers: int, *, split: bool) -> list[PortConfig]:
    """Two ports with a queue, and a file to replay, for each worker."""
    rows: list[list[Path]] = []
    for reverse in (False, True):
        frames = traffic.frames(flows, reverse, workloads=True)
        owner = owners(frames, workers) if split else np.arange(flows) % workers
        rows.append([])
        for worker in range(workers):
            path = settings.scratch / f"workers-{flows}-{workers}-{split}-{reverse}-{worker}.pcap"
            traffic.write_frames(path, frames[owner == worker], max(16384, 2 * flows) // workers)
            rows[-1].append(path)
    made = segment.ports((rows[0][0], rows[1][0]))
    return [
        replace(port, args=",".join([*(f"rx_pcap={path}" for path in paths), "infinite_rx=1"]))
        for port, paths in zip(made, rows, strict=True)
    ]


def _rate(
    found: Collection, settings: Settings, flows: int, cores: tuple[int, ...], *, split: bool
) -> Figure:
    """Packets forwarded per second by the clock, all workers together."""
    workers = len(cores)
    name = f"{workers} worker{'s' if workers > 1 else ''}"
    name += "" if workers == 1 else ", split" if split else ", unsplit"
    with (
        fastpath(
            settings, _ports(settings, flows, workers, split=split), mbufs=2 * buffers(flows), workers=cores
        ) as process,
        segment.segmented(process, rules=1000) as under,
    ):
        settle(under, flows)
        before, began = look(under), time.monotonic()
        time.sleep(settings.window_ms / 1000)
        after, passed = look(under), time.monotonic() - began
        over = under.dpu.ct_stats().handed_over
    if after.sent <= before.sent:
        raise BenchError(f"{name}: nothing was forwarded")
    found.add(name, "Mpps", (after.sent - before.sent) / passed / 1e6, key="P12")
    found.add(f"{name}: packets handed over, of those sent", "part", over / max(1, after.sent))
    return found.figure(name)


def workers(settings: Settings) -> Section:
    """P12; below three cores what can be seen, and no goal."""
    found = Collection()
    flows = settings.flows[-1]
    enough = len(settings.cores.all) >= CORES
    cores = settings.cores.all[-WORKERS:]
    for _ in range(settings.runs):
        one = _rate(found, settings, flows, cores[-1:], split=True)
        two = [_rate(found, settings, flows, cores, split=split) for split in (True, False)]
    figures = found.figures()
    claim = "" if enough else ": not claimed on 2 cores"
    for figure in two:
        figures.append(
            ratio(
                f"{figure.name} / 1 worker{claim}",
                figure,
                one,
                GOAL if enough and figure is two[0] else None,
                "P12",
            )
        )
    remarks = (
        f"{flows} established connections replayed, 1,000 rules, packets per second by the clock. Split: each worker's "
        "queue has the packets of the connections that it owns; unsplit: every other connection, so that half of the "
        "packets are handed over.",
        *(
            ("On 2 cores the second worker shares its core with everything else: P12 is not claimed.",)
            if claim
            else ()
        ),
    )
    return Section("workers", "Two workers against one (P12)", tuple(figures), remarks)
