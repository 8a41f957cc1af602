# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What the bench found, for people and for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table

from appliance.bench.figures import Curve, Figure, Section, joined, section_from, size_text
from appliance.bench.machine import BenchError
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
    """One part, as a table with its remarks; then a table for each of its curves."""
    parts: list[Table | Group | str] = []
    if section.figures or not section.curves:
        table = _table(section.title)
        table.add_column("figure", overflow="fold")
        for name in ("median", "unit", "spread", "goal"):
            table.add_column(name, justify="right" if name in ("median", "spread") else "left")
        for figure in section.figures:
            table.add_row(*_row(figure))
        parts.append(table)
    for curve in section.curves:
        parts += [curve_table(curve), ""]
    return Group(*parts, *(f"  {remark}" for remark in section.remarks), "")


def _table(title: str) -> Table:
    return Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        header_style="bold cyan",
        box=None,
        pad_edge=False,
    )


def curve_table(curve: Curve) -> Group:
    """A row for each size, a column for each line; of a stacked one, their sum too."""
    units = {figure.unit for line in curve.lines.values() for figure in line.values()}
    table = _table("")
    table.add_column(curve.axis, no_wrap=True)
    for name in (*curve.lines, *(["all"] if curve.stacked else [])):
        table.add_column(name, justify="right")
    for size in curve.sizes:
        found = [line.get(size) for line in curve.lines.values()]
        cells = [_cell(figure) for figure in found]
        if curve.stacked:
            cells.append(f"[bold]{_amount(sum(one.value or 0.0 for one in found if one is not None))}[/]")
        table.add_row(size_text(size), *cells)
    # Above the table, not of it: a title is broken where its table ends.
    return Group(f"[bold]{curve.title}, {' and '.join(sorted(units))}[/]", table)


def _cell(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return "-"
    return _amount(figure.value) + (f" [yellow]±{figure.spread / 2:.0%}[/]" if figure.noisy else "")


def one_table(figures: Sequence[Figure], title: str) -> Table:
    """Figures of many parts, by their key."""
    table = _table(title)
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
        f"nothing is compared while other programs use more than {suite.noise:g} cores",
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
            "noise_cores": suite.noise,
        },
        "notices": suite.notices,
        "table": [figure.as_json() for figure in suite.table(keys)],
        "sections": [section.as_json() for section in suite.done],
        "failed": suite.failed,
    }


@dataclass(frozen=True, slots=True)
class Saved:
    """Runs of before, put together: of a figure that several have, the newest."""

    sections: tuple[Section, ...]
    heads: tuple[str, ...]
    """When and where, and which parts."""

    def table(self, order: Sequence[str]) -> list[Figure]:
        """Figures of the one table, in this order of keys."""
        figures = [figure for section in self.sections for figure in section.figures]
        return [figure for key in order for figure in figures if figure.key == key]


def saved(paths: Sequence[str]) -> Saved:
    """What ``--save`` and ``--json`` wrote. BenchError: a file that is none of these."""
    told = []
    for path in paths:
        try:
            one = json.loads(Path(path).read_text())
            told.append((one["time"], one, [section_from(section) for section in one["sections"]]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BenchError(f"{path} is not what `ringfield bench --save` writes: {error}") from None
    told.sort(key=lambda one: one[0])
    newest: dict[str, Section] = {}
    for _, _, sections in told:
        for section in sections:
            before = newest.get(section.name)
            newest[section.name] = joined(before, section) if before else section
    heads = []
    for when, one, sections in told:
        machine, settings = one["machine"], one["settings"]
        heads.append(
            f"{when}: {', '.join(section.name for section in sections)}; {machine['cpu']}, {machine['cores']} cores, "
            f"load average {machine['load_average'][0]:.1f}, {settings['runs']} runs"
        )
    return Saved(tuple(newest.values()), tuple(heads))
