# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What the bench found, for people and for programs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.table import Table

from appliance.bench.figures import Figure, Section
from appliance.bench.suite import Suite


def _amount(value: float) -> str:
    if value >= 10000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _goal(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    sign = "<=" if figure.less else ">="
    verdict = {None: "", True: " met", False: " missed"}[figure.met]
    return f"{sign} {_amount(figure.goal)}{verdict}"


def _row(figure: Figure) -> tuple[str, str, str, str, str]:
    value = figure.value
    shown = "-" if value is None else _amount(value)
    spread = f"{figure.spread:.0%}" + (" noisy" if figure.noisy else "") if len(figure.runs) > 1 else ""
    note = f"not compared: {figure.refused}" if figure.refused else _goal(figure)
    return figure.name, shown, figure.unit, spread, note


def section_table(section: Section) -> Group:
    """One part, as a table with its remarks."""
    table = Table(
        title=section.title,
        title_justify="left",
        title_style="bold",
        header_style="bold cyan",
        box=None,
        pad_edge=False,
    )
    table.add_column("figure", overflow="fold")
    for name in ("median", "unit", "spread", "goal"):
        table.add_column(name, justify="right" if name in ("median", "spread") else "left")
    for figure in section.figures:
        table.add_row(*_row(figure))
    return Group(table, *(f"  {remark}" for remark in section.remarks), "")


def one_table(figures: Sequence[Figure], title: str) -> Table:
    """Figures of many parts, by their key."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold cyan",
        box=None,
        pad_edge=False,
    )
    table.add_column("", no_wrap=True)
    table.add_column("figure", overflow="fold")
    for name in ("median", "unit", "spread", "goal"):
        table.add_column(name, justify="right" if name in ("median", "spread") else "left")
    before = ""
    for figure in figures:
        table.add_row("" if figure.key == before else figure.key, *_row(figure))
        before = figure.key
    return table


def describe_settings(suite: Suite) -> str:
    """The head of a report."""
    machine, settings = suite.machine, suite.settings
    load = ", ".join(f"{part:.2f}" for part in machine["load_average"])
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_mib']:,} MiB, Linux {machine['kernel']}, "
        f"DPDK {machine['dpdk']}",
        f"load average {load}; worker on core {settings.cores.worker}, everything else on core "
        f"{settings.cores.control}; {'hugepages' if settings.huge else 'ordinary memory'}; medians of {settings.runs} "
        "interleaved runs, spread = distance of the outermost ones",
        *(f"notice: {notice}" for notice in suite.notices),
    ]
    return "\n".join(lines) + "\n"


def as_json(suite: Suite, keys: Sequence[str] = ()) -> dict[str, Any]:
    """All of it; ``table`` is what ``one_table`` shows."""
    settings = suite.settings
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": suite.machine,
        "settings": {
            "control_core": settings.cores.control,
            "worker_core": settings.cores.worker,
            "hugepages": settings.huge,
            "runs": settings.runs,
            "quick": settings.quick,
        },
        "notices": suite.notices,
        "table": [figure.as_json() for figure in suite.table(keys)],
        "sections": [section.as_json() for section in suite.done],
        "failed": suite.failed,
    }
