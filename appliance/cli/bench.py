# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield bench`: today's figures of this machine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import click

from appliance.bench import disruption, hostile
from appliance.bench.machine import BenchError
from appliance.bench.report import as_json, describe_settings, section_table
from appliance.bench.report import one_table as table_of
from appliance.bench.suite import GROUPS, KEYS, PARTS, Suite, chosen, run_parts
from appliance.cli.common import Context, err, out, pass_context, print_json


def _words(text: str | None, known: Iterable[str], what: str) -> tuple[str, ...]:
    """A list with commas, of known words."""
    given = tuple(word for word in (text or "").split(",") if word)
    known = tuple(known)
    if unknown := [word for word in given if word not in known]:
        raise click.UsageError(f"no {what} {unknown[0]!r}; there are {', '.join(known)}")
    return given


@click.command(
    epilog=f"Parts: {', '.join(PARTS)}. segmentation is {', '.join(GROUPS['segmentation'])}, in one table."
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
    as_json_here: bool,
) -> None:
    """Measure this machine: one PART, `segmentation`, or all.

    Takes the first two cores that it may use, and 2 GB of hugepages for as long as it runs, if it can.
    """
    wants_json = context.json or as_json_here
    keys = _words(only, KEYS, "figure")
    if keys and part != "segmentation":
        raise click.UsageError("--only goes with segmentation")
    names = chosen(part, keys)
    happening = _words(events, disruption.EVENTS, "event") or disruption.EVENTS
    try:
        with run_parts(
            names,
            runs or (1 if quick else 3),
            quick=quick,
            huge=not no_huge,
            events=happening,
            floods=_words(floods, hostile.FLOODS, "flood"),
        ) as suite:
            _show(suite, wants_json, one_table=part == "segmentation", keys=keys)
    except BenchError as error:
        raise click.ClickException(str(error)) from None
    if wants_json:
        print_json(as_json(suite, keys))
    if suite.failed:
        raise SystemExit(1)


def _show(suite: Suite, wants_json: bool, *, one_table: bool, keys: Sequence[str]) -> None:
    """Run the parts and show each, or all in one table at the end."""
    if not wants_json:
        out.print(describe_settings(suite))
    began = time.monotonic()
    for section in suite.sections(err.print):
        if not wants_json and not one_table:
            out.print(section_table(section))
        elif one_table:
            err.print(f"{section.name}: measured, {time.monotonic() - began:.0f} s so far")
    if one_table and not wants_json:
        out.print(table_of(suite.table(keys), "Stateful segmentation"))
        for section in suite.done:
            for remark in section.remarks:
                out.print(f"  {section.name}: {remark}")
