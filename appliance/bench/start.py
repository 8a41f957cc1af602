# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Start to first packet, and memory (P10)."""

from __future__ import annotations

import time

from appliance.bench.figures import Collection, Section
from appliance.bench.machine import memory_mib
from appliance.bench.programs import Settings, buffers, fastpath, flow, load, replay

GOAL_START = 1.5
ENTRIES_FLOWS = 32768


def start(settings: Settings) -> Section:
    """From the call that starts the fast path until it has sent a packet through a pipe."""
    found = Collection()
    flows = 1024
    ports = replay(flows, settings.scratch)
    for _ in range(settings.runs):
        begun = time.monotonic_ns()
        with fastpath(settings, ports, mbufs=buffers(flows), spin=False) as process:
            found.add("start to READY", "s", (time.monotonic_ns() - begun) / 1e9, less=True)
            first = flow("first", process, ports="p0,p1")["first_ns"]
            found.add(
                "start to first packet forwarded (P10)",
                "s",
                (first - begun) / 1e9,
                goal=GOAL_START,
                key="P10",
                less=True,
            )
            resident, huge = memory_mib(process.pid)
            found.add("memory after start", "MiB", resident, less=True)
            found.add("memory after start, of it hugepages", "MiB", huge, less=True)
    if not settings.quick:
        flows = ENTRIES_FLOWS
        with fastpath(settings, replay(flows, settings.scratch), mbufs=buffers(flows)) as process:
            before = memory_mib(process.pid)[0]
            with load("forward", process, ports="p0,p1", flows=flows, pipes=8, shape="same", windows=0):
                grown = memory_mib(process.pid)[0] - before
        found.add("memory per entry", "bytes", grown * (1 << 20) / (16 * flows), less=True)
    remarks = (
        "First packet: start, EAL, two net_pcap ports with 16,384 frames each, a program that attaches, makes one "
        "pipe with one entry, and sees the sent counter of the other port move.",
        "Memory per entry: what 524,288 entries in 16 pipes add, room reserved for more included.",
    )
    return Section("start", "Start and memory", tuple(found.figures()), remarks)
