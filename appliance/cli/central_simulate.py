# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield central simulate`: a fleet without data planes, and a centre of its own that is measured."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

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
    "--rounds", type=click.IntRange(1), default=5, show_default=True, help="Label changes of each kind."
)
@pass_context
def simulate(context: Context, number: int, scenario: str, workloads: int, rules: int, rounds: int) -> None:
    """Measure a centre of its own with many appliances that have no data planes.

    Storm: all reconnect within a second. Flapping: every tenth comes and goes. Stalled: 50 never read.
    """
    from appliance.intelligence import simulate as sim

    async def main(unix: Path, ports: list[str], pid: int) -> sim.Figures:
        link, enrolment = (f"127.0.0.1:{port}" for port in ports)
        async with sim.bed(unix, link, enrolment, pid, number) as made:
            return await sim.run(made, scenario, workloads, rules, rounds)

    with tempfile.TemporaryDirectory(prefix="rf-sim-") as directory:
        file = Path(directory) / "central.yaml"
        file.write_text('listen: {appliances: "127.0.0.1:0", enrolment: "127.0.0.1:0"}\n')
        command = [sys.executable, "-m", "appliance", "central", "run", "-c", str(file)]
        with (Path(directory) / "log").open("w") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            words = process.stdout.readline().split() if process.stdout is not None else []
            if words[:1] != ["READY"]:
                raise click.ClickException(
                    f"the centre does not start: {(Path(directory) / 'log').read_text()}"
                )
            found = asyncio.run(main(Path(words[1]), words[2:4], process.pid))
        finally:
            process.terminate()
            process.wait(20)
    if context.json:
        print_json(found.to_dict())
        return
    plain = found.to_dict()
    made = table("what", "value", right=["value"])
    made.add_row("appliances, workloads, rules", f"{found.appliances}, {found.workloads}, {found.rules}")
    made.add_row("enrolled in", f"{found.enrol_seconds:.1f} s")
    made.add_row("publish reaches all in", f"{found.publish_seconds:.2f} s")
    sizes = f"{plain['slice_bytes_p50']:.0f}, {plain['slice_bytes_max']} bytes"
    made.add_row("slice, median and largest", sizes)
    for reach, row in found.fan_out.items():
        told = f"p50 {row['p50'] * 1000:.0f} ms, p99 {row['p99'] * 1000:.0f} ms"
        made.add_row(f"label change, {row['touched']:.0f} touched ({reach})", told)
    if found.recover_seconds:
        made.add_row("all current again in", f"{found.recover_seconds:.2f} s")
    made.add_row("memory of the centre, per appliance", f"{found.kib_per_appliance:.0f} KiB")
    made.add_row(
        "CPU of the centre, of the simulator",
        f"{found.centre_cpu_seconds:.1f} s, {found.own_cpu_seconds:.1f} s",
    )
    made.add_row("refused", str(found.refused))
    out.print(made)
    if found.refused:
        raise SystemExit(1)
