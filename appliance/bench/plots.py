# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Curves as plots, PNG and SVG, by Matplotlib: an extra (``ringfield[plots]``) that nothing else needs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from appliance.bench.figures import Curve, size_text
from appliance.bench.machine import BenchError

LIBRARY: Final = "matplotlib>=3.8"
FORMATS: Final = ("png", "svg")
INCHES: Final = (7.2, 4.0)
INSTALL_SECONDS: Final = 300.0
WIDE: Final = 50.0
"""What is further apart gets a logarithmic axis."""
SETTINGS: Final = {
    "svg.hashsalt": "ringfield",  # the same bytes for the same figures
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def has_library() -> bool:
    """Whether plots can be drawn."""
    return importlib.util.find_spec("matplotlib") is not None


def want_library(say: Callable[[str], object]) -> None:
    """Before anything is measured: gets Matplotlib if it is missing. BenchError when that cannot be done."""
    if has_library():
        return
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", LIBRARY]
    say(f"plots need Matplotlib, which is not here: {' '.join(command[1:])}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    importlib.invalidate_caches()
    if not has_library():
        raise BenchError(f"no plots without Matplotlib; install {LIBRARY!r} and try again ({reason})")


def _lines(axes: Any, curve: Curve) -> None:
    sizes = curve.sizes
    names = any(isinstance(size, str) for size in sizes)
    places = {size: index if names else size for index, size in enumerate(sizes)}
    for name, line in curve.lines.items():
        known = [size for size in sizes if size in line and line[size].value is not None]
        values = [line[size].value for size in known]
        reach = [
            [
                abs(value - end(line[size].runs))
                for value, size in zip(values, known, strict=True)
                if value is not None
            ]
            for end in (min, max)
        ]
        axes.errorbar([places[size] for size in known], values, yerr=reach, label=name, marker="o", capsize=3)
    numbers = [size for size in sizes if not isinstance(size, str)]
    if not names and numbers and min(numbers) > 0 and max(numbers) / min(numbers) > WIDE:
        axes.set_xscale("log")
    axes.set_xticks(list(places.values()), [size_text(size) for size in sizes], rotation=20)
    axes.minorticks_off()
    shown = [figure.value for line in curve.lines.values() for figure in line.values() if figure.value]
    if shown and max(shown) / min(shown) > WIDE:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)


def _stacks(axes: Any, curve: Curve) -> None:
    sizes = curve.sizes
    reached = [0.0] * len(sizes)
    for name, line in curve.lines.items():
        parts = [(line[size].value or 0.0) if size in line else 0.0 for size in sizes]
        axes.barh([size_text(size) for size in sizes], parts, left=reached, label=name)
        reached = [before + part for before, part in zip(reached, parts, strict=True)]
    axes.invert_yaxis()


def draw(curve: Curve, directory: Path) -> list[Path]:
    """One plot, in every format; the files."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    unit = next((figure.unit for line in curve.lines.values() for figure in line.values()), "")
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.add_subplot()
        (_stacks if curve.stacked else _lines)(axes, curve)
        axes.set_title(curve.title, fontsize=10, loc="left")
        (axes.set_xlabel if curve.stacked else axes.set_ylabel)(unit)
        if not curve.stacked:
            axes.set_xlabel(curve.axis)
        axes.legend(fontsize=7, frameon=False)
        made = []
        for form in FORMATS:
            made.append(directory / f"{curve.name}.{form}")
            about = {"metadata": {"Date": None}} if form == "svg" else {"dpi": 120}
            figure.savefig(made[-1], **about)
    return made


def draw_all(curves: Sequence[Curve], directory: Path) -> list[Path]:
    """All of them into a directory, which is made if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    return [path for curve in curves for path in draw(curve, directory)]
