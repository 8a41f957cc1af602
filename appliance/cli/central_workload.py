# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield central workload ...`: workloads of the fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from appliance.cli.central_common import stub
from appliance.cli.common import Context, failures, fields_option, pass_context, table


@click.group()
def workload() -> None:
    """Workloads of the fleet."""


@workload.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--reason", default="")
@pass_context
def workload_apply(context: Context, file: Path, reason: str) -> None:
    """Add or replace the networks and workloads of a YAML file."""
    from appliance.intelligence import wire
    from appliance.intelligence.directory import read_file
    from appliance.intelligence.v1 import inventory_service_pb2 as pb
    from appliance.rpc.convert.workload import spec_to
    from appliance.v1 import workload_pb2

    with failures():
        networks, workloads = read_file(file.read_text(), str(file))
    with stub("InventoryService") as service:
        if networks:
            service.ApplyNetworks(
                pb.ApplyNetworksRequest(networks=[wire.network_to(one) for one in networks]),
                timeout=context.timeout,
            )
        made = service.ApplyWorkloads(
            pb.ApplyWorkloadsRequest(
                workloads=[workload_pb2.Workload(name=one.name, spec=spec_to(one)) for one in workloads],
                reason=reason,
            ),
            timeout=context.timeout,
        )
    context.show(made, lambda: f"{len(made.changed)} changed, version {made.version}")


@workload.command("networks")
@pass_context
def workload_networks(context: Context) -> None:
    """The networks."""
    from appliance.intelligence.v1 import inventory_service_pb2 as pb

    with stub("InventoryService") as service:
        found = service.ListNetworks(pb.ListNetworksRequest(), timeout=context.timeout)

    def show() -> Any:
        rows = table("network", "vlan", "vni", "prefixes", "gateways", right=["vlan", "vni"])
        for one in found.networks:
            rows.add_row(
                one.name, str(one.vlan), str(one.vni), " ".join(one.prefixes), " ".join(one.gateways)
            )
        return rows

    context.show(found, show)


@workload.command("criteria")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@pass_context
def workload_criteria(context: Context, file: Path | None) -> None:
    """The rules that set labels; with FILE, all of them are replaced by its own."""
    from appliance.intelligence.directory import read_criteria
    from appliance.intelligence.v1 import inventory_service_pb2 as pb

    with stub("InventoryService") as service:
        if file is not None:
            with failures():
                given = read_criteria(file.read_text(), str(file))
            messages = [
                pb.Criterion(
                    name=one.name, name_pattern=one.name_pattern, selector=one.selector, labels=one.labels
                )
                for one in given
            ]
            made = service.ReplaceCriteria(
                pb.ReplaceCriteriaRequest(criteria=messages), timeout=context.timeout
            )
            context.show(made, lambda: f"{len(made.changed)} workloads have other labels")
            return
        found = service.ListCriteria(pb.ListCriteriaRequest(), timeout=context.timeout)

    def show() -> Any:
        rows = table("criterion", "name pattern", "selector", "labels")
        for one in found.criteria:
            labels = " ".join(f"{key}={value}" for key, value in sorted(one.labels.items()))
            rows.add_row(one.name, escape(one.name_pattern), escape(one.selector), escape(labels))
        return rows

    context.show(found, show)


@workload.command("list")
@click.argument("selector", required=False, default="")
@pass_context
def workload_list(context: Context, selector: str) -> None:
    """Who there is, where, and who said so."""
    from appliance.intelligence.v1 import inventory_service_pb2 as pb

    with stub("InventoryService") as service:
        found = service.ListWorkloads(pb.ListWorkloadsRequest(selector=selector), timeout=context.timeout)

    def show() -> Any:
        made = table("workload", "kind", "labels (by)", "where", "declared by", "ready")
        for one in found.workloads:
            spec = one.workload.spec
            labels = "\n".join(
                f"{label.key}={label.value} [dim]({escape(label.by)})[/]" for label in one.labels
            )
            places = "\n".join(
                f"{i.appliance or '-'} {i.port} {' '.join((*i.addresses, *i.prefixes))}"
                for i in spec.interfaces
            )
            ready = "[green]yes[/]" if one.ready else f"[yellow]{escape(one.reason)}[/]"
            made.add_row(
                f"[bold]{escape(one.workload.name)}[/]", spec.kind, labels, places, one.source, ready
            )
        return made

    context.show(found, show)


@workload.command("remove")
@click.argument("names", nargs=-1, required=True)
@click.option("--reason", default="")
@pass_context
def workload_remove(context: Context, names: tuple[str, ...], reason: str) -> None:
    """Forget workloads."""
    from appliance.intelligence.v1 import inventory_service_pb2 as pb

    with stub("InventoryService") as service:
        made = service.ApplyWorkloads(
            pb.ApplyWorkloadsRequest(remove=names, reason=reason), timeout=context.timeout
        )
    context.show(made, lambda: f"{len(made.changed)} removed")


@workload.command("label")
@click.argument("name")
@click.argument("labels", nargs=-1)
@click.option("--remove", multiple=True, help="Key to take away.")
@click.option("--reason", default="")
@pass_context
def workload_label(
    context: Context, name: str, labels: tuple[str, ...], remove: tuple[str, ...], reason: str
) -> None:
    """Set labels (KEY=VALUE) of a workload."""
    from appliance.intelligence.v1 import inventory_service_pb2 as pb

    request = pb.SetLabelsRequest(name=name, labels=fields_option(labels), remove=remove, reason=reason)
    with stub("InventoryService") as service:
        made = service.SetLabels(request, timeout=context.timeout)
    context.show(
        made,
        lambda: " ".join(f"{one.key}={one.value} ({one.by})" for one in made.workload.labels) or "no labels",
    )


@workload.command("move")
@click.argument("name")
@click.option("--appliance", required=True)
@click.option("--port", required=True)
@click.option("--mac", help="Another one; else the workload keeps its own.")
@click.option(
    "--wait", "seconds", type=float, default=10.0, show_default=True, help="For all slices, seconds."
)
@click.option(
    "--overlap", type=float, default=1.0, show_default=True,
    help="How long it may send from both, when packets go to the new place already, seconds.",
)  # fmt: skip
@click.option("--reason", default="")
@pass_context
def workload_move(
    context: Context,
    name: str,
    appliance: str,
    port: str,
    mac: str | None,
    seconds: float,
    overlap: float,
    reason: str,
) -> None:
    """Plug a workload in elsewhere: known everywhere before the old place is given up."""
    from appliance.intelligence.v1 import inventory_service_pb2 as pb
    from appliance.v1 import workload_pb2

    with stub("InventoryService") as service:
        listed = service.ListWorkloads(
            pb.ListWorkloadsRequest(selector=f"name={name}"), timeout=context.timeout
        )
        if not listed.workloads or not listed.workloads[0].workload.spec.interfaces:
            raise click.ClickException(f"there is no workload {name!r} that is plugged in")
        old = listed.workloads[0].workload.spec.interfaces[0]
        interface = workload_pb2.WorkloadInterface()
        interface.CopyFrom(old)
        interface.appliance, interface.port, interface.mac = appliance, port, mac or old.mac
        made = service.MoveWorkload(
            pb.MoveWorkloadRequest(
                name=name,
                interfaces=[interface],
                timeout_seconds=seconds,
                reason=reason,
                overlap_seconds=overlap,
            ),
            timeout=2 * seconds + overlap + context.timeout,
        )
    context.show(
        made, lambda: f"{name} is at {appliance} {port}; ready after {made.ready_seconds * 1000:.0f} ms"
    )


@workload.command("wait-ready")
@click.argument("names", nargs=-1, required=True)
@click.option("--wait", "seconds", type=float, default=30.0, show_default=True, help="Seconds.")
@pass_context
def workload_wait_ready(context: Context, names: tuple[str, ...], seconds: float) -> None:
    """Return when workloads are bound in every slice that needs them."""
    from appliance.intelligence.v1 import inventory_service_pb2 as pb

    with stub("InventoryService") as service:
        made = service.WaitReady(pb.WaitReadyRequest(names=names), timeout=seconds)
    context.show(made, lambda: f"{len(made.workloads)} ready")
