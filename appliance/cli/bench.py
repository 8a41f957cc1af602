# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield bench`: today's figures of this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from appliance.bench import disruption, hostile, plots
from appliance.bench.figures import Section
from appliance.bench.machine import BenchError
from appliance.bench.report import as_json, describe_settings, saved, section_table
from appliance.bench.report import one_table as table_of
from appliance.bench.sizes import AXES
from appliance.bench.suite import (
    GROUPS,
    KEYS,
    NOISE,
    ORDER,
    PARTS,
    REPORT_RUNS,
    SEGMENTATION,
    Suite,
    chosen,
    run_parts,
)
from appliance.cli.common import Context, err, out, pass_context, print_json

TITLES = {"segmentation": "Stateful segmentation", "report": "What Ringfield is to reach, and reaches"}
"""Groups that are told in one table."""


def _words(text: str | None, known: Iterable[str], what: str) -> tuple[str, ...]:
    """A list with commas, of known words."""
    given = tuple(word for word in (text or "").split(",") if word)
    known = tuple(known)
    if unknown := [word for word in given if word not in known]:
        raise click.UsageError(f"no {what} {unknown[0]!r}; there are {', '.join(known)}")
    return given


@click.command(
    epilog=f"Parts: {', '.join(PARTS)}. segmentation: {', '.join(GROUPS['segmentation'])}, in one table. report: P1 to "
    "P14 in one table, 20 disruptions of each kind, every flood once. sizes: cost over size."
)
@click.argument("part", type=click.Choice([*GROUPS, *PARTS]), default="all", metavar="[PART]")
@click.option("-n", "runs", type=click.IntRange(1, 99), help="Runs, medians of which are shown. [default: 3]")
@click.option("--quick", is_flag=True, help="One short run of everything: shows that it works, says little.")
@click.option("--no-huge", is_flag=True, help="Ordinary memory, even if hugepages can be had.")
@click.option(
    "--only", metavar="LIST", help=f"segmentation, report: which, of {','.join(ORDER)}. [default: all]"
)
@click.option(
    "--events",
    metavar="LIST",
    help=f"disruption: which, of {','.join(disruption.EVENTS)}. [default: all]",
)
@click.option(
    "--floods", metavar="LIST", help=f"hostile: which, of {','.join(hostile.FLOODS)}. [default: all]"
)
@click.option("--axes", metavar="LIST", help=f"sizes: which, of {','.join(AXES)}. [default: all]")
@click.option("--plots", "to_plots", type=click.Path(file_okay=False), help="sizes: a directory for plots.")
@click.option("--minutes", type=click.FloatRange(0), default=0, help="Begin nothing further after so many.")
@click.option(
    "--noise",
    type=click.FloatRange(0),
    default=NOISE,
    show_default=True,
    help="Compare nothing while other programs use more cores than that.",
)
@click.option("--save", type=click.Path(dir_okay=False, writable=True), help="A file for the JSON as well.")
@click.option(
    "--from",
    "saved_files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="Measure nothing: show what --save wrote before; several are put together.",
)
@click.option("--json", "as_json_here", is_flag=True, help="For programs.")
@pass_context
def bench(
    context: Context,
    part: str,
    runs: int | None,
    quick: bool,
    no_huge: bool,
    only: str | None,
    events: str | None,
    floods: str | None,
    axes: str | None,
    to_plots: str | None,
    minutes: float,
    noise: float,
    save: str | None,
    saved_files: tuple[str, ...],
    as_json_here: bool,
) -> None:
    """Measure this machine: one PART, `segmentation`, `sizes`, `report`, or all.

    Takes the first two cores that it may use, and 2 GB of hugepages for as long as it runs, if it can.
    """
    wants_json = context.json or as_json_here
    keys = _words(only, KEYS, "figure")
    if keys and part not in TITLES:
        raise click.UsageError("--only goes with segmentation and report")
    if part == "segmentation" and (odd := [key for key in keys if key not in SEGMENTATION]):
        raise click.UsageError(f"{odd[0]} is not of segmentation; report has it")
    happening = _words(events, disruption.EVENTS, "event") or disruption.EVENTS
    try:
        if to_plots:
            plots.want_library(err.print)
        if saved_files:
            _show_saved(part, saved_files, keys, to_plots, wants_json=wants_json)
            return
        with run_parts(
            chosen(part, keys),
            runs or (1 if quick else 3),
            quick=quick,
            huge=not no_huge,
            events=happening,
            floods=_words(floods, hostile.FLOODS, "flood"),
            axes=_words(axes, AXES, "axis"),
        ) as suite:
            suite.minutes, suite.noise = minutes, noise
            suite.runs = REPORT_RUNS if part == "report" and not quick else {}
            _run(suite, keys, wants_json=wants_json, title=TITLES.get(part))
    except BenchError as error:
        raise click.ClickException(str(error)) from None
    if save:
        Path(save).write_text(json.dumps(as_json(suite, keys), indent=1) + "\n")
    if wants_json:
        print_json(as_json(suite, keys))
    _plot(suite.done, to_plots)
    if suite.failed:
        raise SystemExit(1)


def _run(suite: Suite, keys: Sequence[str], *, wants_json: bool, title: str | None) -> None:
    """Run the parts and show each as it comes, or those with a title in one table at the end."""
    if not wants_json:
        out.print(describe_settings(suite))
    began = time.monotonic()
    for section in suite.sections(err.print):
        if title:
            err.print(f"{section.name}: measured, {time.monotonic() - began:.0f} s so far")
        elif not wants_json:
            out.print(section_table(section))
    if title and not wants_json:
        out.print(table_of(suite.table(keys), title))
        _show_beside(suite.done)


def _show_beside(sections: Sequence[Section]) -> None:
    """Below the one table: remarks of who is in it, and those that are not."""
    told = set(KEYS.values())
    for section in sections:
        for remark in section.remarks if section.name in told else ():
            out.print(f"  {section.name}: {remark}")
    out.print("")
    for section in sections:
        if section.name not in told:
            out.print(section_table(section))


def _show_saved(
    part: str, files: Sequence[str], keys: Sequence[str], to_plots: str | None, *, wants_json: bool
) -> None:
    """Runs of before, as this part would have shown them."""
    found = saved(files)
    wanted = set(chosen(part, keys))
    sections = [section for section in found.sections if section.name in wanted]
    if wants_json:
        table = [figure.as_json() for figure in found.table(keys or ORDER)]
        print_json({"table": table, "sections": [section.as_json() for section in sections]})
    else:
        for head in found.heads:
            out.print(head, style="dim")
        out.print("")
        if part in TITLES:
            out.print(table_of(found.table(keys or ORDER), TITLES[part]))
            _show_beside(sections)
        else:
            for section in sections:
                out.print(section_table(section))
    _plot(sections, to_plots)


def _plot(sections: Sequence[Section], directory: str | None) -> None:
    """Every curve, if asked for."""
    if directory:
        made = plots.draw_all([curve for section in sections for curve in section.curves], Path(directory))
        err.print(f"{len(made)} plots in {directory}")
