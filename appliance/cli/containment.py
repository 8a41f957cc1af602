# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield quarantine`, `ringfield restrict`, `ringfield release`, `ringfield contained`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from appliance.cli.common import Context, number, out, pass_context, table
from appliance.cli.policy import seconds, when
from appliance.cli.workload import STATES, complete_workload
from appliance.v1 import containment_service_pb2


def kept(text: str) -> containment_service_pb2.KeptPath:
    """``from app=forensics tcp/22,tcp/443`` or ``to app=log udp/514``."""
    side, _, rest = text.strip().partition(" ")
    selector, _, services = rest.rpartition(" ")
    if side not in ("from", "to") or not selector:
        raise click.BadParameter(f"{text!r} is not 'from SELECTOR SERVICES' or 'to SELECTOR SERVICES'")
    made = containment_service_pb2.KeptPath(services=services.split(","))
    if side == "from":
        made.source = selector
    else:
        made.target = selector
    return made


def target_of(names: Iterable[str], selector: str) -> containment_service_pb2.ContainmentTarget:
    """Whom a command means."""
    return containment_service_pb2.ContainmentTarget(workloads=list(names), selector=selector)


def contained_table(contained: Iterable[containment_service_pb2.Contained]) -> Table:
    """Who is contained."""
    made = table("workload", "state", "since", "left", "who", "why", "kept open")
    for one in contained:
        keep = "\n".join(
            f"{'from ' + path.source if path.source else 'to ' + path.target} {', '.join(path.services)}"
            for path in one.keep
        )
        left = f"{one.seconds_left:.0f} s" if one.seconds_left else "until released"
        state = STATES.get(one.state, "?") + (", reset" if one.reset else "")
        made.add_row(
            f"[bold]{escape(one.workload)}[/]", state, when(one.since), left,
            escape(one.actor), escape(one.reason), escape(keep) or "-",
        )  # fmt: skip
    return made


def _radius(blast: containment_service_pb2.BlastRadius) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(blast.kinds.items()))
    return f"{number(blast.direct)} services at once, {number(blast.transitive)} in the end ({kinds or 'nobody'})"


def _show(
    response: containment_service_pb2.QuarantineResponse | containment_service_pb2.RestrictResponse,
) -> Table:
    out.print(f"in force after {response.seconds * 1000:.1f} ms")
    if response.HasField("before"):
        out.print(f"reached before: {_radius(response.before)}")
        out.print(f"reaches now:    {_radius(response.after)}")
    return contained_table(response.contained)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed([
        click.argument("names", nargs=-1, shell_complete=complete_workload),
        click.option("-l", "--selector", default="", help="Those that this selector means."),
        click.option("-m", "--reason", required=True, help="Why; for the audit log."),
        click.option("--ttl", metavar="TIME", default="0", help="Released by itself after TIME (30m); 0: never."),
        click.option("--keep", "keep", multiple=True, metavar="'from|to SELECTOR SERVICES'",
                     help="A path that stays open, e.g. 'from app=forensics tcp/22'."),
    ]):  # fmt: skip
        command = option(command)
    return command


@click.command()
@_options
@click.option("--reset", is_flag=True, help="Answer their peers (TCP RST) instead of leaving them waiting.")
@pass_context
def quarantine(
    context: Context,
    names: tuple[str, ...],
    selector: str,
    reason: str,
    ttl: str,
    keep: tuple[str, ...],
    reset: bool,
) -> None:
    """Cut workloads off; their open connections end at their next packet."""
    request = containment_service_pb2.QuarantineRequest(
        target=target_of(names, selector), reason=reason, ttl_seconds=seconds(ttl), keep=map(kept, keep),
        reset=reset,
    )  # fmt: skip
    with context.client() as client:
        response = client.containment.Quarantine(request, timeout=context.timeout)
    context.show(response, lambda: _show(response))


@click.command()
@_options
@pass_context
def restrict(
    context: Context, names: tuple[str, ...], selector: str, reason: str, ttl: str, keep: tuple[str, ...]
) -> None:
    """Leave workloads only connections of kinds that they are known to have."""
    request = containment_service_pb2.RestrictRequest(
        target=target_of(names, selector), reason=reason, ttl_seconds=seconds(ttl), keep=map(kept, keep)
    )
    with context.client() as client:
        response = client.containment.Restrict(request, timeout=context.timeout)
    context.show(response, lambda: _show(response))


@click.command()
@click.argument("names", nargs=-1, shell_complete=complete_workload)
@click.option("-l", "--selector", default="", help="Those that this selector means.")
@click.option("-m", "--reason", required=True, help="Why; for the audit log.")
@pass_context
def release(context: Context, names: tuple[str, ...], selector: str, reason: str) -> None:
    """End quarantine or restriction."""
    request = containment_service_pb2.ReleaseRequest(target=target_of(names, selector), reason=reason)
    with context.client() as client:
        response = client.containment.Release(request, timeout=context.timeout)
    context.show(response, lambda: f"released: {escape(', '.join(response.released))}")


@click.command()
@pass_context
def contained(context: Context) -> None:
    """Who is contained, since when and why."""
    with context.client() as client:
        response = client.containment.ListContainment(
            containment_service_pb2.ListContainmentRequest(), timeout=context.timeout
        )
    context.show(response, lambda: contained_table(response.contained))
