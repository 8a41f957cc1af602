# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Figures: medians of interleaved runs, how far the runs lie apart, ratios between them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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
            "met": self.met,
            "note": self.note,
            "refused": self.refused,
        }


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

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "title": self.title,
            "figures": [figure.as_json() for figure in self.figures],
            "remarks": list(self.remarks),
        }


def median(values: Iterable[float]) -> float:
    """Of values that may be none."""
    kept: Sequence[float] = sorted(values)
    return statistics.median(kept) if kept else 0.0
