# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Figures: medians of interleaved runs, how far the runs lie apart, ratios between them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

NOISY = 0.25
"""Runs that lie further apart than this part of their median say too little to be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number, as measured in each run. ``goal``: what it is to reach; ``less``: less is better; ``key``: P1 and so
    on for the figures that stand in the one table of segmentation.
    """

    name: str
    unit: str
    runs: tuple[float, ...] = ()
    goal: float | None = None
    less: bool = False
    note: str = ""
    key: str = ""
    refused: str = ""
    """Why there is no value."""

    @property
    def value(self) -> float | None:
        """The median."""
        return statistics.median(self.runs) if self.runs and not self.refused else None

    @property
    def spread(self) -> float:
        """Distance of the outermost runs, as a part of the median."""
        middle = statistics.median(self.runs) if self.runs else 0.0
        return (max(self.runs) - min(self.runs)) / middle if middle else 0.0

    @property
    def noisy(self) -> bool:
        """Too far apart to be compared."""
        return self.spread > NOISY

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without a goal or a value."""
        if self.goal is None or self.value is None:
            return None
        return self.value <= self.goal if self.less else self.value >= self.goal

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "key": self.key,
            "name": self.name,
            "unit": self.unit,
            "value": self.value,
            "runs": list(self.runs),
            "spread": round(self.spread, 4),
            "noisy": self.noisy,
            "goal": self.goal,
            "less": self.less,
            "met": self.met,
            "note": self.note,
            "refused": self.refused,
        }


def figure_from(told: Mapping[str, Any]) -> Figure:
    """What ``Figure.as_json`` told."""
    names = "key", "name", "unit", "goal", "note", "refused"
    return Figure(
        **{name: told[name] for name in names}, runs=tuple(told["runs"]), less=bool(told.get("less"))
    )


def ratio(name: str, one: Figure, other: Figure, goal: float | None = None, key: str = "") -> Figure:
    """How much of ``other`` ``one`` is, run by run; refused when either is too noisy."""
    for figure in (one, other):
        if not figure.runs:
            return Figure(name=name, unit="ratio", goal=goal, key=key, refused=f"no figure for {figure.name}")
        if figure.noisy:
            why = f"{figure.name}: runs lie {figure.spread:.0%} apart"
            return Figure(name=name, unit="ratio", goal=goal, key=key, refused=why)
    runs = tuple(a / b for a, b in zip(one.runs, other.runs, strict=False) if b)
    return Figure(name=name, unit="ratio", runs=runs, goal=goal, key=key)


@dataclass(slots=True)
class Collection:
    """Runs of many figures as they come in; figures keep the order of their first run."""

    runs: dict[str, list[float]] = field(default_factory=dict)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, unit: str, value: float, **about: Any) -> None:
        """One run's value. ``about``: goal, less, key, note of the figure."""
        self.runs.setdefault(name, []).append(value)
        self.about[name] = {"unit": unit, **about}

    def figure(self, name: str) -> Figure:
        """One figure, without runs if there were none."""
        about = self.about.get(name, {"unit": ""})
        return Figure(name=name, runs=tuple(self.runs.get(name, ())), **about)

    def figures(self) -> list[Figure]:
        """All of them."""
        return [self.figure(name) for name in self.runs]


@dataclass(frozen=True, slots=True)
class Section:
    """What one part of the bench found."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    remarks: tuple[str, ...] = ()
    curves: tuple[Curve, ...] = ()
    others_cores: float = 0.0
    """What other programs took of the machine meanwhile, in cores."""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "title": self.title,
            "figures": [figure.as_json() for figure in self.figures],
            "remarks": list(self.remarks),
            "curves": [curve.as_json() for curve in self.curves],
            "others_cores": round(self.others_cores, 2),
        }


def guarded(section: Section, others_cores: float, most: float) -> Section:
    """The section with what other programs took meanwhile; beyond ``most`` cores nothing in it is compared: its ratios
    keep their runs and lose their value. A rate per second of a core says little of one whose caches and sibling
    threads others have used.
    """
    if others_cores <= most:
        return replace(section, others_cores=others_cores)
    why = f"other programs used {others_cores:.1f} cores meanwhile"
    figures = tuple(
        replace(one, refused=one.refused or why) if one.unit == "ratio" else one for one in section.figures
    )
    remark = f"NOT QUIET: {why} (most for a comparison: {most:g}); figures are low and lie apart."
    return replace(section, figures=figures, others_cores=others_cores, remarks=(*section.remarks, remark))


def median(values: Iterable[float]) -> float:
    """Of values that may be none."""
    kept: Sequence[float] = sorted(values)
    return statistics.median(kept) if kept else 0.0


# -- over a size


@dataclass(frozen=True, slots=True)
class Curve:
    """Figures over a size: ``lines`` by name, of each the figure at every size that was measured. ``stacked``: the
    lines are parts of a whole, and sizes are names.
    """

    name: str
    title: str
    axis: str
    lines: Mapping[str, Mapping[float | str, Figure]]
    stacked: bool = False

    @property
    def sizes(self) -> list[float | str]:
        """All of them, in order."""
        found = dict.fromkeys(size for line in self.lines.values() for size in line)
        names = [size for size in found if isinstance(size, str)]
        return [*sorted(size for size in found if not isinstance(size, str)), *names]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "title": self.title,
            "axis": self.axis,
            "stacked": self.stacked,
            "lines": [
                {"name": name, "points": [{"at": at, **one.as_json()} for at, one in line.items()]}
                for name, line in self.lines.items()
            ],
        }


@dataclass(slots=True)
class Points:
    """Runs of figures over sizes as they come in."""

    lines: dict[str, Collection] = field(default_factory=dict)

    def add(self, line: str, size: float | str, unit: str, value: float, **about: Any) -> None:
        """One run's value at one size."""
        self.lines.setdefault(line, Collection()).add(size_text(size), unit, value, size=size, **about)

    def curve(self, name: str, title: str, axis: str, *, stacked: bool = False) -> Curve:
        """All lines."""
        lines: dict[str, dict[float | str, Figure]] = {}
        for line, found in self.lines.items():
            points = lines.setdefault(line, {})
            for key in found.runs:
                about = dict(found.about[key])
                size = about.pop("size")
                points[size] = Figure(name=f"{line} at {key}", runs=tuple(found.runs[key]), **about)
        return Curve(name, title, axis, lines, stacked)


def size_text(size: float | str) -> str:
    """As people read it."""
    return size if isinstance(size, str) else f"{size:,g}" if size < 1e6 else f"{size:,.0f}"


def section_from(told: Mapping[str, Any]) -> Section:
    """What ``Section.as_json`` told."""
    return Section(
        told["name"],
        told["title"],
        tuple(map(figure_from, told["figures"])),
        tuple(told["remarks"]),
        tuple(map(_curve_from, told["curves"])),
        told["others_cores"],
    )


def joined(older: Section, newer: Section) -> Section:
    """Both measured the same part, or pieces of it: what the newer one has counts."""
    figures = {figure.name: figure for figure in (*older.figures, *newer.figures)}
    curves = {curve.name: curve for curve in older.curves}
    for curve in newer.curves:
        before = curves.get(curve.name)
        lines = {name: dict(line) for name, line in before.lines.items()} if before else {}
        for name, line in curve.lines.items():
            lines.setdefault(name, {}).update(line)
        curves[curve.name] = replace(curve, lines=lines)
    return replace(
        newer,
        figures=tuple(figures.values()),
        curves=tuple(curves.values()),
        remarks=tuple(dict.fromkeys((*older.remarks, *newer.remarks))),
        others_cores=max(older.others_cores, newer.others_cores),
    )


def _curve_from(told: Mapping[str, Any]) -> Curve:
    lines = {
        line["name"]: {point["at"]: figure_from(point) for point in line["points"]} for line in told["lines"]
    }
    return Curve(told["name"], told["title"], told["axis"], lines, told["stacked"])
