# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""All parts in order, with what they need around them."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc

from appliance.bench import (
    central,
    connections,
    disruption,
    entries,
    forward,
    hostile,
    latency,
    policies,
    protection,
    records,
    segmentation,
    sizes,
    start,
    workers,
)
from appliance.bench.figures import Figure, Section, guarded
from appliance.bench.machine import (
    BUSY,
    BenchError,
    Hugepages,
    describe,
    orderly_end,
    others_since,
    pick_cores,
    preferred,
    used,
)
from appliance.bench.programs import RESERVE_MIB, Settings
from appliance.errors import FlowError

PARTS: dict[str, Callable[[Settings], Section]] = {
    "forward": forward.chains,
    "churn": forward.churn,
    "entries": entries.rates,
    "posts": entries.posts,
    "latency": latency.latency,
    "start": start.start,
    "established": segmentation.established,
    "million": connections.million,
    "connections": connections.opening,
    "full": connections.full_table,
    "policy": policies.policies,
    "disruption": disruption.disruption,
    "hostile": hostile.hostile,
    "protection": protection.protection,
    "records": records.records,
    "quarantine": disruption.quarantine,
    "workers": workers.workers,
    "sizes": sizes.sizes,
    "central": central.central,
}


SEGMENTATION: dict[str, str] = {
    "P1": "established",
    "P2": "million",
    "judged": "million",
    "P5": "connections",
    "P8": "quarantine",
    "P9": "policy",
    "compile": "policy",
    "P10": "full",
    "full": "full",
    "P13": "records",
    "P14": "protection",
}
"""What ``bench segmentation`` tells in one table, by ``Figure.key``, and the part that measures it."""

PIPELINES: dict[str, str] = {
    "P3": "forward",
    "P4": "churn",
    "P6": "entries",
    "P7": "posts",
    "P11": "latency",
    "P12": "workers",
}
"""The other goals, as ``bench report`` tells them."""

KEYS: dict[str, str] = {**SEGMENTATION, **PIPELINES}
ORDER: tuple[str, ...] = (
    *sorted((key for key in KEYS if key[1:].isdecimal()), key=lambda key: int(key[1:])),
    *(key for key in KEYS if not key[1:].isdecimal()),
)
"""Of the one table."""

GROUPS: dict[str, tuple[str, ...]] = {
    "segmentation": tuple(dict.fromkeys(SEGMENTATION.values())),
    "report": (*dict.fromkeys(KEYS.values()), "start", "disruption", "hostile"),
    "all": tuple(PARTS),
}
NOISE = 0.5
"""Cores: what others may take meanwhile, if not told otherwise."""
UNGUARDED = {"disruption"}
"""What it kills leaves processes that nobody waits for: their work cannot be told from that of others."""
REPORT_RUNS: dict[str, int] = {"disruption": 20, "hostile": 1}
"""In a report: events of each kind; rounds of floods. The other parts have as many as asked for."""


def chosen(name: str, keys: Sequence[str] = ()) -> tuple[str, ...]:
    """The parts that a part's or group's name means; with ``keys`` those of them that measure one of these."""
    parts = GROUPS.get(name, (name,))
    wanted = {KEYS[key] for key in keys}
    return tuple(part for part in parts if part in wanted) if keys else parts


@dataclass(slots=True)
class Suite:
    """One call of the bench."""

    names: Sequence[str]
    settings: Settings
    machine: dict[str, Any]
    notices: list[str]
    runs: Mapping[str, int] = field(default_factory=dict)
    """Of parts that have a number of their own."""
    minutes: float = 0.0
    """After which no further part is begun, and one of many points measures no further one; 0: without a limit."""
    noise: float = NOISE
    """Cores that other programs may use while something is compared."""
    done: list[Section] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def table(self, keys: Sequence[str] = ()) -> list[Figure]:
        """Figures of the one table, in its order; ``keys``: only these."""
        figures = [figure for section in self.done for figure in section.figures]
        return [figure for key in keys or ORDER for figure in figures if figure.key == key]

    def sections(self, say: Callable[[str], object]) -> Iterator[Section]:
        """Run the parts. One that cannot be done is told and left out."""
        until = time.monotonic() + 60 * self.minutes if self.minutes else math.inf
        for name in self.names:
            if time.monotonic() > until:
                self.failed[name] = f"not begun: {self.minutes:g} minutes were over"
                say(f"{name}: {self.failed[name]}")
                continue
            try:
                runs = self.runs.get(name, self.settings.runs)
                before = used()
                section = PARTS[name](replace(self.settings, runs=runs, until=until))
                if name not in UNGUARDED:
                    section = guarded(section, others_since(before), self.noise)
            except (BenchError, FlowError, OSError, subprocess.SubprocessError, grpc.RpcError) as error:
                reason = error.reason if isinstance(error, FlowError) else str(error)
                self.failed[name] = reason
                say(f"{name}: {reason}")
                continue
            self.done.append(section)
            yield section


@contextmanager
def run_parts(
    names: Sequence[str],
    runs: int,
    *,
    quick: bool,
    huge: bool,
    events: tuple[str, ...] = disruption.EVENTS,
    floods: tuple[str, ...] = (),
    axes: tuple[str, ...] = (),
) -> Iterator[Suite]:
    """What the parts need: cores, hugepages, precedence, a directory. All is given back at the end."""
    cores = pick_cores()
    notices = []
    machine = describe()
    if machine["others_cores"] > BUSY:
        notices.append(
            f"other programs use {machine['others_cores']:.1f} cores of this machine: figures will be low and "
            "lie apart"
        )
    affinity = os.sched_getaffinity(0)
    with contextlib.ExitStack() as stack:
        stack.enter_context(orderly_end())
        pages = stack.enter_context(Hugepages(RESERVE_MIB if huge else 0))
        if not (huge and pages.have):
            notices.append(
                "no hugepages"
                + (f" ({RESERVE_MIB} MiB wanted; root can reserve them)" if huge else "")
                + ": packets and tables are in ordinary memory, which costs speed"
            )
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="ringfield-bench-"))
        machine["precedence"] = stack.enter_context(preferred())
        os.sched_setaffinity(0, {cores.control})
        stack.callback(os.sched_setaffinity, 0, affinity)
        settings = Settings(
            cores=cores,
            huge=huge and pages.have,
            runs=runs,
            quick=quick,
            scratch=Path(scratch),
            events=events,
            floods=floods,
            axes=axes,
        )
        yield Suite(names, settings, machine, notices)
