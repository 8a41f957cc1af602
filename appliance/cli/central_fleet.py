# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield central fleet ...`: the appliances of a fleet."""

from __future__ import annotations

from typing import Any

import click
from rich.markup import escape

from appliance.cli.central_common import stub, when
from appliance.cli.common import Context, out, pass_context, table

STATES = {"connected": "green", "lost": "red", "never": "dim", "revoked": "red", "detached": "yellow"}


@click.group()
def fleet() -> None:
    """The appliances."""


@fleet.command("list")
@pass_context
def fleet_list(context: Context) -> None:
    """What each appliance runs, how far behind it is, how it is."""
    from appliance.intelligence.v1 import fleet_service_pb2 as pb

    with stub("FleetService") as service:
        found = service.ListAppliances(pb.ListAppliancesRequest(), timeout=context.timeout)

    def show() -> Any:
        made = table(
            "appliance", "state", "revision", "current", "lag", "applied in", "clock", "own", "peers", "health",
            right=["revision", "lag", "applied in", "clock", "own", "peers"],
        )  # fmt: skip
        for one in found.appliances:
            made.add_row(
                f"[bold]{escape(one.name)}[/]", f"[{STATES.get(one.state, 'white')}]{one.state}[/]", str(one.revision),
                "yes" if one.current else "[yellow]no[/]", f"{one.lag_seconds:.1f} s" if one.lag_seconds else "-",
                f"{one.apply_seconds * 1000:.0f} ms" if one.apply_seconds else "-",
                f"{one.clock_offset_seconds:+.3f} s", str(one.workloads), str(one.peers),
                escape(one.refusal or one.health),
            )  # fmt: skip
        return made

    context.show(found, show)


@fleet.command("alarms")
@click.option("--limit", type=int, default=50, show_default=True)
@pass_context
def fleet_alarms(context: Context, limit: int) -> None:
    """What the centre noticed, the newest first."""
    from appliance.intelligence.v1 import fleet_service_pb2 as pb

    with stub("FleetService") as service:
        found = service.ListAlarms(pb.ListAlarmsRequest(limit=limit), timeout=context.timeout)

    def show() -> Any:
        made = table("time", "kind", "appliance", "what")
        for one in found.alarms:
            made.add_row(when(one.time), one.kind, escape(one.appliance), escape(one.text))
        return made

    context.show(found, show)


@fleet.command("load")
@click.option(
    "--seconds", type=click.FloatRange(0, 60), default=10.0, show_default=True,
    help="Of which last seconds the delay is told.",
)  # fmt: skip
@pass_context
def fleet_load(context: Context, seconds: float) -> None:
    """How busy the centre is: its streams, and how late its event loop comes to things."""
    from appliance.intelligence.v1 import fleet_service_pb2 as pb

    with stub("FleetService") as service:
        found = service.GetLoad(pb.GetLoadRequest(seconds=seconds), timeout=context.timeout)

    def show() -> Any:
        made = table("streams", "behind", "delay p50", "p99", "largest", right=["streams", "behind"])
        delays = (found.delay_p50, found.delay_p99, found.delay_max)
        told = (f"{one * 1000:.1f} ms" if seconds else "-" for one in delays)
        made.add_row(str(found.streams), str(found.behind), *told)
        return made

    context.show(found, show)


@fleet.command("raise-generation")
@click.option("--reason", required=True)
@pass_context
def raise_generation(context: Context, reason: str) -> None:
    """After the centre was restored from a backup: appliances obey it again."""
    from appliance.intelligence.v1 import fleet_service_pb2 as pb

    with stub("FleetService") as service:
        made = service.RaiseGeneration(pb.RaiseGenerationRequest(reason=reason), timeout=context.timeout)
    context.show(made, lambda: f"generation {made.generation}")


@fleet.command("rotate-key")
@click.option("--reason", required=True)
@pass_context
def rotate_key(context: Context, reason: str) -> None:
    """Sign with a new key from here on."""
    from appliance.intelligence.v1 import fleet_service_pb2 as pb

    with stub("FleetService") as service:
        made = service.RotateStatementKey(
            pb.RotateStatementKeyRequest(reason=reason), timeout=context.timeout
        )
    out.print(f"statements are signed with {made.public_key.hex()[:16]}...")
