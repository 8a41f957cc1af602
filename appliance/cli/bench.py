# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield bench`: today's figures of this machine."""

from __future__ import annotations

import click

from appliance.bench import disruption
from appliance.bench.machine import BenchError
from appliance.bench.report import as_json, describe_settings, section_table
from appliance.bench.suite import PARTS, run_parts
from appliance.cli.common import Context, err, out, pass_context, print_json


@click.command(epilog=f"Parts: {', '.join(PARTS)}.")
@click.argument("part", type=click.Choice(["all", *PARTS]), default="all", metavar="[PART]")
@click.option("-n", "runs", type=click.IntRange(1, 99), help="Runs, medians of which are shown. [default: 3]")
@click.option("--quick", is_flag=True, help="One short run of everything: shows that it works, says little.")
@click.option("--no-huge", is_flag=True, help="Ordinary memory, even if hugepages can be had.")
@click.option(
    "--events",
    metavar="LIST",
    help=f"disruption: which, of {','.join(disruption.EVENTS)}. [default: all]",
)
@click.option("--json", "as_json_here", is_flag=True, help="For programs.")
@pass_context
def bench(
    context: Context,
    part: str,
    runs: int | None,
    quick: bool,
    no_huge: bool,
    events: str | None,
    as_json_here: bool,
) -> None:
    """Measure this machine: one PART, or all.

    Takes the first two cores that it may use, and 2 GB of hugepages for as long as it runs, if it can.
    """
    wants_json = context.json or as_json_here
    names = list(PARTS) if part == "all" else [part]
    chosen = tuple(events.split(",")) if events else disruption.EVENTS
    if unknown := [event for event in chosen if event not in disruption.EVENTS]:
        raise click.UsageError(f"no event {unknown[0]!r}; there are {', '.join(disruption.EVENTS)}")
    try:
        with run_parts(
            names, runs or (1 if quick else 3), quick=quick, huge=not no_huge, events=chosen
        ) as suite:
            if not wants_json:
                out.print(describe_settings(suite))
            for section in suite.sections(err.print):
                if not wants_json:
                    out.print(section_table(section))
    except BenchError as error:
        raise click.ClickException(str(error)) from None
    if wants_json:
        print_json(as_json(suite))
    if suite.failed:
        raise SystemExit(1)
