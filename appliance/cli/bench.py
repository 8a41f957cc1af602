# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield bench`: today's figures of this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from appliance.bench import disruption, hostile
from appliance.bench.machine import BenchError
from appliance.bench.report import as_json, describe_settings, section_table
from appliance.bench.report import one_table as table_of
from appliance.bench.suite import GROUPS, KEYS, PARTS, REPORT_RUNS, Suite, chosen, run_parts
from appliance.cli.common import Context, err, out, pass_context, print_json


def _words(text: str | None, known: Iterable[str], what: str) -> tuple[str, ...]:
    """A list with commas, of known words."""
    given = tuple(word for word in (text or "").split(",") if word)
    known = tuple(known)
    if unknown := [word for word in given if word not in known]:
        raise click.UsageError(f"no {what} {unknown[0]!r}; there are {', '.join(known)}")
    return given


@click.command(
    epilog=f"Parts: {', '.join(PARTS)}. segmentation: {', '.join(GROUPS['segmentation'])}, in one table. report: that, "
    "20 disruptions of each kind, every flood once."
)
@click.argument("part", type=click.Choice([*GROUPS, *PARTS]), default="all", metavar="[PART]")
@click.option("-n", "runs", type=click.IntRange(1, 99), help="Runs, medians of which are shown. [default: 3]")
@click.option("--quick", is_flag=True, help="One short run of everything: shows that it works, says little.")
@click.option("--no-huge", is_flag=True, help="Ordinary memory, even if hugepages can be had.")
@click.option("--only", metavar="LIST", help=f"segmentation: which, of {','.join(KEYS)}. [default: all]")
@click.option(
    "--events",
    metavar="LIST",
    help=f"disruption: which, of {','.join(disruption.EVENTS)}. [default: all]",
)
@click.option(
    "--floods", metavar="LIST", help=f"hostile: which, of {','.join(hostile.FLOODS)}. [default: all]"
)
@click.option("--minutes", type=click.FloatRange(0), default=0, help="Begin no further part after so many.")
@click.option("--save", type=click.Path(dir_okay=False, writable=True), help="A file for the JSON as well.")
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
    minutes: float,
    save: str | None,
    as_json_here: bool,
) -> None:
    """Measure this machine: one PART, `segmentation`, `report`, or all.

    Takes the first two cores that it may use, and 2 GB of hugepages for as long as it runs, if it can.
    """
    wants_json = context.json or as_json_here
    keys = _words(only, KEYS, "figure")
    if keys and part != "segmentation":
        raise click.UsageError("--only goes with segmentation")
    happening = _words(events, disruption.EVENTS, "event") or disruption.EVENTS
    try:
        with run_parts(
            chosen(part, keys),
            runs or (1 if quick else 3),
            quick=quick,
            huge=not no_huge,
            events=happening,
            floods=_words(floods, hostile.FLOODS, "flood"),
        ) as suite:
            suite.minutes = minutes
            suite.runs = REPORT_RUNS if part == "report" and not quick else {}
            _run(suite, keys, wants_json=wants_json, one_table=part in ("segmentation", "report"))
    except BenchError as error:
        raise click.ClickException(str(error)) from None
    if save:
        Path(save).write_text(json.dumps(as_json(suite, keys), indent=1) + "\n")
    if wants_json:
        print_json(as_json(suite, keys))
    if suite.failed:
        raise SystemExit(1)


def _run(suite: Suite, keys: Sequence[str], *, wants_json: bool, one_table: bool) -> None:
    """Run the parts and show each as it comes, or those of segmentation in one table at the end."""
    if not wants_json:
        out.print(describe_settings(suite))
    began = time.monotonic()
    for section in suite.sections(err.print):
        if one_table:
            err.print(f"{section.name}: measured, {time.monotonic() - began:.0f} s so far")
        elif not wants_json:
            out.print(section_table(section))
    if one_table and not wants_json:
        _show(suite, keys)


def _show(suite: Suite, keys: Sequence[str]) -> None:
    """The one table with its remarks, then what is beside it."""
    out.print(table_of(suite.table(keys), "Stateful segmentation"))
    for section in suite.done:
        if section.name in GROUPS["segmentation"]:
            for remark in section.remarks:
                out.print(f"  {section.name}: {remark}")
    out.print("")
    for section in suite.done:
        if section.name not in GROUPS["segmentation"]:
            out.print(section_table(section))
