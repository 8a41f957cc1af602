# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Policies: how long one takes to compile and to install, and one label change to be enforced (P9), over size."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from appliance.bench.factory import Factory, inventory, policy
from appliance.bench.figures import Collection, Section
from appliance.bench.machine import BenchError, memory_mib
from appliance.bench.programs import Settings, fastpath
from appliance.flow import Dpu, FastpathProcess, PortConfig, Reserves
from appliance.policy import compiler
from appliance.policy.flip import places, relabel
from appliance.policy.model import Inventory, PolicySet
from appliance.policy.program import Program
from appliance.policy.reconciler import Reconciler
from appliance.run.collector import settle

SIZES = (10, 100, 1000, 10_000)
PORTS = 30
GOAL_INSTALL_S = 3.0
GOAL_CHANGE_MS = 20.0
CHANGES = 200


def _factory(size: int, any_share: float = 0.01) -> Factory:
    return Factory(workloads=size, label_sets=max(2, size // 5), rules=size, ports=PORTS, any_share=any_share)


@contextmanager
def _attached(settings: Settings) -> Iterator[tuple[FastpathProcess, Dpu]]:
    """A fast path with as many ports as the factory has; no packets."""
    names = ["p0", *(f"pf0vf{i}" for i in range(PORTS))]
    ports = [
        PortConfig(
            name=name,
            backend="net_null",
            args="no-rx=1",
            pci="0000:03:00.0",
            ibdev="mlx5_0" if name == "p0" else "",
            representor="" if name == "p0" else name,
        )
        for name in names
    ]
    with (
        fastpath(settings, ports, spin=False, huge=False) as process,
        Dpu.attach(
            process.runtime_dir, mode="switch", session="bench", reserves=Reserves(counters=1 << 19)
        ) as dpu,
    ):
        for number, name in enumerate(names):
            dpu.port_start(name, number)
        yield process, dpu


def _relabelled(before: Inventory, which: int) -> Inventory:
    """One workload has the labels and the kind of its neighbour."""
    workloads = list(before.workloads)
    other = workloads[(which + 1) % len(workloads)]
    workloads[which] = dataclasses.replace(workloads[which], labels=other.labels, kind=other.kind)
    return dataclasses.replace(before, workloads=tuple(workloads))


def _changes(
    found: Collection, dpu: Dpu, reconciler: Reconciler, rules: PolicySet, now: Inventory, program: Program
) -> None:
    """Label changes one after the other."""
    spent, at = [], places(program)
    for i in range(CHANGES):
        which = i * 37 % len(now.workloads)
        before, now = now, _relabelled(now, which)
        began = time.perf_counter()
        quick = relabel(program, at, before.workloads[which : which + 1], now.workloads[which : which + 1])
        if quick is None:
            program = compiler.compile(rules, now, numbers=program.numbers, previous=program)
            reconciler.apply(dpu, program, 2 + i)
            at = places(program)
        else:
            program, rows, concerned = quick
            reconciler.update(dpu, program, rows, 2 + i, concerned)
        spent.append(1e3 * (time.perf_counter() - began))
    size = len(now.workloads)
    name = f"{size} workloads and rules: one label change"
    goal = {"goal": GOAL_CHANGE_MS} if size == SIZES[-1] else {}
    p50, p99 = np.percentile(spent, [50, 99])
    found.add(f"{name}, median", "ms", float(p50), less=True, key="P9")
    found.add(f"{name}, p99 of {CHANGES}", "ms", float(p99), less=True, key="P9", **goal)
    found.add(f"{name}, slowest of {CHANGES}", "ms", max(spent), less=True)


def weigh(size: int) -> float:
    """MiB that a process grows by at most while it compiles; said by a process that does nothing else."""
    code = (
        "import sys; from pathlib import Path\n"
        "from appliance.bench.policies import _factory, compiler, inventory, policy\n"
        "def kib(what): return int(Path('/proc/self/status').read_text().split(what + ':')[1].split()[0])\n"
        "things, rules = (make(_factory(int(sys.argv[1]))) for make in (inventory, policy))\n"
        "before = kib('VmRSS'); program = compiler.compile(rules, things)\n"
        "print((kib('VmHWM') - before) / 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(size)], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise BenchError(f"compiling {size} rules: {done.stderr.strip().splitlines()[-1:]}")
    return float(done.stdout)


def _one(found: Collection, settings: Settings, size: int) -> None:
    factory = _factory(size)
    things, rules = inventory(factory), policy(factory)
    name = f"{size} workloads and rules"
    began = time.perf_counter()
    program = compiler.compile(rules, things)
    compiled = time.perf_counter() - began
    with _attached(settings) as (process, dpu):
        reconciler = Reconciler()
        reconciler.adopt(dpu, dpu.port("p0"))
        before = memory_mib(process.pid)[0]
        began = time.perf_counter()
        reconciler.apply(dpu, program, 1)
        installed = time.perf_counter() - began
        grown = memory_mib(process.pid)[0] - before
        settle()  # as an appliance does behind a slow compile
        found.add(f"{name}: compile", "s", compiled, less=True, key="compile")
        found.add(f"{name}: install", "s", installed, less=True)
        goal = {"goal": GOAL_INSTALL_S} if size == SIZES[-1] else {}
        found.add(f"{name}: compile and install", "s", compiled + installed, less=True, key="P9", **goal)
        found.add(f"{name}: memory, compiling", "MiB", weigh(size), less=True, key="compile")
        found.add(f"{name}: memory, installed", "MiB", grown, less=True, key="compile")
        found.add(f"{name}: pairs before, thousand", "pairs", program.sizes.pairs_before / 1e3, less=True)
        found.add(f"{name}: pair rows, thousand", "rows", program.sizes.pairs / 1e3, less=True)
        found.add(f"{name}: rows of all tables, thousand", "rows", program.sizes.total_rows / 1e3, less=True)
        _changes(found, dpu, reconciler, rules, things, program)


def policies(settings: Settings) -> Section:
    """Over 10 to 10,000 workloads and as many rules."""
    found = Collection()
    for _ in range(settings.runs):
        for size in SIZES[:2] if settings.quick else SIZES:
            _one(found, settings, size)
    if not settings.quick:
        factory = _factory(SIZES[-1], any_share=0.02)
        began = time.perf_counter()
        compiler.compile(policy(factory), inventory(factory))
        found.add(
            "10000 workloads and rules, 2 % from any: compile", "s", time.perf_counter() - began, less=True
        )
    remarks = (
        "Label sets are a fifth of the workloads, a rule selects about 5 of them on either side, 1 % of the rules are "
        "from any. A label change gives one workload the labels of its neighbour; compiled, posted and visible.",
        "Memory: what a process that compiles it grows by at most, and the fast path that has it, whose connection "
        "table is not yet touched.",
    )
    return Section("policy", "Policies: compile, install, change (P9)", tuple(found.figures()), remarks)
