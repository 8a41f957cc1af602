# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield demo factory`: the AI factory behind two appliances that one centre steers.

The set-up is fleet_lab.py, the cast fleet_data.py; each step has a module. What is measured comes from real connections
between namespaces; everything else over gRPC, as any client would get it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.panel import Panel

from appliance.cli.common import err, out, print_json
from appliance.demo import fleet_attacks, fleet_faults, fleet_move, fleet_policy, fleet_scale
from appliance.demo.factory_data import Stream
from appliance.demo.factory_lab import Factory, Try
from appliance.demo.fleet_data import FIRST, Member, reaches
from appliance.demo.fleet_lab import Fleet, Side, only_one, plug_all
from appliance.demo.stage import (
    SETTLE_SECONDS,
    Interrupts,
    Stage,
    conserved,
    drops_of,
    example,
    interruptible,
    invite,
    settled,
    until_interrupted,
)
from appliance.intelligence.simulate import cpu_seconds
from appliance.rpc.client import calls

PICTURE: Final = """\
                         [b]centre[/]      [dim]who is who, what may be opened: signed[/]
[cyan]portal[/]      ─┐          ╱      ╲          ┌─ [cyan]tool[/]
[cyan]agent[/]       ─┤         ╱        ╲         ├─ [cyan]dataset[/]
[cyan]prep[/]        ─┼───── [b]dpu1[/] ─[dim]VXLAN[/]─ [b]dpu2[/] ────┼─ [cyan]training[/]
[cyan]context[/]     ─┤                            ├─ [cyan]soc[/]
[cyan]inference-1[/] ─┘                            └─ [cyan]inference-2[/]  [dim]18 more later[/]

A namespace per workload, real TCP and UDP over IPv4 and IPv6, within an
appliance and through the tunnel between them. Idle rule: a worker without
packets sleeps (idle: adaptive), so that all of it fits on two cores."""

TRY: Final = (
    ("{central} fleet list", "the appliances: revision, lag, health"),
    ("{central} workload list", "who is where, and who said so"),
    ("{dpu1} observe --follow", "flow records of one appliance as they come"),
    ("{central} quarantine agent --reason 'tried it'", "cut a workload off, on both appliances"),
    ("{central} release agent --reason 'enough'", "and let it in again"),
)
NOISE: Final = ("link_control", "no_multicast")
"""Drops of what kernels send by themselves."""


class FleetDemo(Stage):
    """The walk: what steps need, and what they leave for the end."""

    def __init__(self, console: Console, fleet: Fleet, factory: Factory) -> None:
        super().__init__(fleet.sides["dpu1"].client, console)
        self.fleet, self.factory = fleet, factory
        self.centre = fleet.centre
        self.there: dict[str, Member] = dict(FIRST)
        """Workloads that were declared."""

    @property
    def sides(self) -> list[Side]:
        """The appliances."""
        return list(self.fleet.sides.values())

    def tries(self) -> list[Try]:
        """Every pair of those that are there, every service of the target, both IP versions."""
        return [
            Try(source, target, service, version)
            for source in self.there
            for target in self.there
            if source != target
            for service in self.there[target].services
            for version in (4, 6)
        ]

    def wanted(self, tries: list[Try]) -> set[Try]:
        """Those that are meant to be open."""
        return {
            one for one in tries if str(one.service) in reaches(self.there[one.source], self.there[one.target])
        }  # fmt: skip

    def drops(self) -> dict[str, dict[str, int]]:
        """By appliance: drops by reason, all ports; but for what hosts send by themselves (link control)."""
        return {side.name: drops_of(settled(side.client), NOISE) for side in self.sides}

    def drops_once(self, number: int, before: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
        """The same as soon as so many more were dropped, or it is clear that they will not be."""
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            found = self.drops()
            more = sum(sum(drops.values()) for drops in found.values())
            if (
                more - sum(sum(drops.values()) for drops in before.values()) >= number
                or time.monotonic() > end
            ):
                return found
            time.sleep(0.05)

    # -- connections that stay open while something happens

    def streams(self) -> list[Stream]:
        """Within an appliance and through the tunnel, TCP and UDP, IPv4 and IPv6."""
        return fleet_scale.streams()

    def judge_streams(self, *, moved: bool = False) -> None:
        """They end; each brought every number there and back, in order but where a datagram's way became shorter."""
        reports = self.factory.close_streams()
        sent = sum(report["sent"] for report in reports.values())
        lost = sum(report["sent"] - report["received"] for report in reports.values())
        broken = [
            name
            for name, report in reports.items()
            if report["error"] or (report["disordered"] and not moved) or not report["received"]
        ]
        again = sum(report["retransmits"] for report in reports.values())
        self.check(
            f"{len(reports)} connections that were open all the while",
            "all alive, 0 numbers lost",
            f"{len(reports) - len(broken)} alive, {lost} of {sent:,} numbers lost, {again} segments sent again",
            not broken and not lost,
            ", ".join(broken[:3]),
        )


def run(*, quiet: bool, keep: bool, as_json: bool) -> bool:
    """Walk through it; whether everything was as expected."""
    console = Console(quiet=quiet or as_json, highlight=False)
    if os.geteuid() != 0:
        raise click.ClickException("namespaces and taps need root: sudo ./ringfield demo factory")
    with ExitStack() as stack:
        interrupts = stack.enter_context(interruptible())
        try:
            with interrupts.later():
                directory, left = stack.enter_context(only_one())
            if left:
                console.print("took down what a killed demonstration had left", style="dim")
            with calls():
                return _run(directory, console, stack, interrupts, quiet=quiet, keep=keep, as_json=as_json)
        except KeyboardInterrupt:
            err.print("interrupted: cleaning up", style="dim")
            return False
        finally:
            interrupts.over()


def _run(
    directory: Path,
    console: Console,
    stack: ExitStack,
    interrupts: Interrupts,
    *,
    quiet: bool,
    keep: bool,
    as_json: bool,
) -> bool:
    console.print(
        Panel(PICTURE, title="Ringfield: an AI factory on two appliances", border_style="cyan", expand=False)
    )
    started = time.monotonic()
    with console.status("starting a centre, two appliances and ten workloads"), interrupts.later():
        fleet = stack.enter_context(Fleet(directory))
        plug_all(FIRST)
        factory = stack.enter_context(Factory(FIRST))
    pids = ", ".join(
        f"{side.name} {side.process.pid} + data plane {side.fastpath_pid}" for side in fleet.sides.values()
    )
    console.print(
        f"centre (pid {fleet.centre.process.pid}), {pids},"
        f" {len(FIRST)} workloads after {time.monotonic() - started:.1f} s"
    )
    used = idle(side.fastpath_pid for side in fleet.sides.values())
    told = " and ".join(f"{100 * one:.1f} %" for one in used)
    console.print(f"with nothing to do the data planes use {told} of a core", style="dim")
    demo = FleetDemo(console, fleet, factory)
    policy = (example("factory") / "policy.yaml").read_text()
    fleet_policy.walk(demo, policy)
    fleet_scale.walk(demo)
    fleet_move.walk(demo)
    fleet_faults.walk(demo, policy)
    fleet_attacks.walk(demo)
    if quiet and not as_json:
        demo.console = out
    for side in demo.sides:
        demo.checks.append(conserved(settled(side.client), f" at {side.name}"))
    good = demo.judge(everything=quiet)
    seconds = time.monotonic() - started
    demo.console.print(f"[dim]{seconds:.0f} s in all[/]")
    if as_json:
        print_json(demo.summary(good, seconds))
    if keep:
        words = {name: f"./ringfield -t {side.socket}" for name, side in fleet.sides.items()}
        invite(TRY, central=f"./ringfield central --at {fleet.centre.socket}", **words)
        until_interrupted()
    return good


def idle(pids: Iterable[int]) -> list[float]:
    """Of each process: the part of a core that it uses during a second."""
    which = list(pids)
    before, started = [*map(cpu_seconds, which)], time.monotonic()
    time.sleep(1.0)
    passed = time.monotonic() - started
    return [(now - old) / passed for now, old in zip(map(cpu_seconds, which), before, strict=True)]
