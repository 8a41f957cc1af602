# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield central simulate`: a fleet without data planes, and a centre of its own that is measured."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import click

from appliance.cli.common import Context, out, pass_context, print_json, table


@click.command("simulate")
@click.option("--appliances", "number", type=click.IntRange(1, 5000), default=100, show_default=True)
@click.option(
    "--scenario",
    type=click.Choice(["steady", "storm", "flapping", "stalled"]),
    default="steady",
    show_default=True,
)
@click.option("--workloads", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--rules", type=click.IntRange(0), default=100, show_default=True)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Label changes of each kind, to and fro.",
)
@click.option(
    "--limit", type=click.FloatRange(1), default=300.0, show_default=True, help="Seconds for all of it."
)
@pass_context
def simulate(
    context: Context, number: int, scenario: str, workloads: int, rules: int, rounds: int, limit: float
) -> None:
    """Measure a centre of its own with many appliances that have no data planes.

    Storm: all reconnect within a second. Flapping: every tenth comes and goes. Stalled: 50 never read.
    """
    from appliance.intelligence import simulate as sim

    async def plan(made: sim.Bed) -> sim.Figures:
        return await sim.run(made, scenario, workloads, rules, rounds)

    try:
        with (
            tempfile.TemporaryDirectory(prefix="rf-sim-") as directory,
            sim.running_centre(Path(directory), number) as (centre, appliances),
        ):
            found = asyncio.run(sim.measure(centre, appliances, limit, plan))
    except sim.SimulationError as error:
        raise click.ClickException(str(error)) from None
    if context.json:
        print_json(found.to_dict())
    else:
        out.print(_shown(found.to_dict()))
    if found.refused:
        raise SystemExit(1)


def _shown(found: dict[str, Any]) -> Any:
    made = table("what", "value", right=["value"])
    made.add_row(
        "appliances, workloads, rules", f"{found['appliances']}, {found['workloads']}, {found['rules']}"
    )
    made.add_row("all are connected in", f"{found['connect_seconds']:.2f} s")
    made.add_row("publish reaches all in", f"{found['publish_seconds']:.2f} s")
    for name, what in (("slice_bytes", "slice, bytes"), ("members", "slice, workloads and peers")):
        made.add_row(f"{what}: median, largest", f"{found[f'{name}_p50']:.0f}, {found[f'{name}_max']}")
    for reach, row in found["fan_out"].items():
        made.add_row(
            f"label change, {row['touched']} touched ({reach}), {row['told_bytes']:.0f} bytes each: an answer",
            f"p50 {row['p50'] * 1000:.0f} ms, p99 {row['p99'] * 1000:.0f} ms",
        )
        made.add_row(
            f"... until the centre has all, of {row['changes']}",
            f"p50 {row['all_p50'] * 1000:.0f} ms, p99 {row['all_p99'] * 1000:.0f} ms",
        )
    for scenario, seconds in found["recover_seconds"].items():
        made.add_row(f"{scenario}: all current again in", f"{seconds:.2f} s")
    for phase, seconds in found["delay_p99"].items():
        told = f"p99 {seconds * 1000:.1f} ms, largest {found['delay_max'][phase] * 1000:.0f} ms"
        made.add_row(f"event-loop delay of the centre, {phase}", told)
    made.add_row("memory of the centre, per appliance", f"{found['kib_per_appliance']:.0f} KiB")
    made.add_row(
        "CPU of the centre, of the simulator",
        f"{found['centre_cpu_seconds']:.1f} s, {found['own_cpu_seconds']:.1f} s",
    )
    made.add_row("refused", str(found["refused"]))
    return made
