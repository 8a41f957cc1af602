# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield workload ...`"""

from __future__ import annotations

from collections.abc import Iterator

import click
import grpc
from rich.markup import escape
from rich.table import Table

from appliance.cli.common import Context, fields_option, names_from, out, pass_context, table
from appliance.rpc.client import Client
from appliance.rpc.errors import CallError
from appliance.v1 import workload_pb2, workload_service_pb2

STATES = {
    workload_pb2.WORKLOAD_STATE_NORMAL: "normal",
    workload_pb2.WORKLOAD_STATE_WATCHED: "[yellow]watched[/]",
    workload_pb2.WORKLOAD_STATE_RESTRICTED: "[yellow]restricted[/]",
    workload_pb2.WORKLOAD_STATE_QUARANTINED: "[red]quarantined[/]",
}


def _names(client: Client, timeout: float) -> list[str]:
    response = client.workloads.ListWorkloads(workload_service_pb2.ListWorkloadsRequest(), timeout=timeout)
    return [one.name for one in response.workloads]


complete_workload = names_from(_names)


def workloads_table(workloads: list[workload_pb2.Workload]) -> Table:
    """Workloads, one a line."""
    made = table("workload", "kind", "labels", "state", "where", "ready")
    for one in workloads:
        labels = ", ".join(f"{key}={value}" for key, value in sorted(one.spec.labels.items()))
        where = "\n".join(
            f"{place.network} {place.port} {place.mac} {' '.join([*place.addresses, *place.prefixes])}"
            for place in one.spec.interfaces
        )
        ready = "[green]yes[/]" if one.status.ready else f"[yellow]{escape(one.status.reason)}[/]"
        state = STATES.get(one.status.state, "?")
        made.add_row(
            f"[bold]{escape(one.name)}[/]", one.spec.kind, escape(labels), state, where or "-", ready
        )
    return made


@click.group()
def workload() -> None:
    """Workloads: list, add, label, remove."""


@workload.command("list")
@click.argument("selector", default="")
@pass_context
def list_workloads(context: Context, selector: str) -> None:
    """All workloads, or those that SELECTOR means ("app=web, env in (prod, dev)")."""
    request = workload_service_pb2.ListWorkloadsRequest(selector=selector)
    with context.client() as client:
        response = client.workloads.ListWorkloads(request, timeout=context.timeout)
    context.show(response, lambda: workloads_table(list(response.workloads)))


@workload.command("show")
@click.argument("name", shell_complete=complete_workload)
@pass_context
def show_workload(context: Context, name: str) -> None:
    """One workload with its identities."""
    with context.client() as client:
        response = client.workloads.GetWorkload(
            workload_service_pb2.GetWorkloadRequest(name=name), timeout=context.timeout
        )

    def show() -> Table:
        made = workloads_table([response.workload])
        numbers = ", ".join(map(str, response.workload.status.identities)) or "none"
        made.caption = f"identities: {numbers}"
        return made

    context.show(response, show)


@workload.command("add")
@click.argument("name")
@click.option("--port", required=True, help="Port that it is plugged in at.")
@click.option("--mac", required=True)
@click.option("--address", "addresses", multiple=True, help="IPv4 or IPv6; may be repeated.")
@click.option("--prefix", "prefixes", multiple=True, help="For a router or a generator.")
@click.option("--network", required=True)
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE")
@click.option("--kind", default="generic", show_default=True)
@click.option("-m", "--reason", default="", help="Why; for the audit log.")
@pass_context
def add_workload(
    context: Context,
    name: str,
    port: str,
    mac: str,
    addresses: tuple[str, ...],
    prefixes: tuple[str, ...],
    network: str,
    labels: tuple[str, ...],
    kind: str,
    reason: str,
) -> None:
    """Add a workload; returns when its port admits it."""
    place = workload_pb2.WorkloadInterface(
        network=network, port=port, mac=mac, addresses=addresses, prefixes=prefixes
    )
    spec = workload_pb2.WorkloadSpec(labels=fields_option(labels), kind=kind, interfaces=[place])
    request = workload_service_pb2.CreateWorkloadRequest(
        workload=workload_pb2.Workload(name=name, spec=spec), reason=reason
    )
    with context.client() as client:
        response = client.workloads.CreateWorkload(request, timeout=context.timeout)
    context.show(response, lambda: workloads_table([response.workload]))


@workload.command("label")
@click.argument("name", shell_complete=complete_workload)
@click.argument("labels", nargs=-1, required=True, metavar="KEY=VALUE|KEY- ...")
@click.option("-m", "--reason", default="", help="Why; for the audit log.")
@pass_context
def label_workload(context: Context, name: str, labels: tuple[str, ...], reason: str) -> None:
    """Set labels (KEY=VALUE) and take them away (KEY-)."""
    gone = [text.removesuffix("-") for text in labels if text.endswith("-") and "=" not in text]
    given = fields_option([text for text in labels if not (text.endswith("-") and "=" not in text)])
    request = workload_service_pb2.SetLabelsRequest(name=name, labels=given, remove=gone, reason=reason)
    with context.client() as client:
        response = client.workloads.SetLabels(request, timeout=context.timeout)
    context.show(response, lambda: workloads_table([response.workload]))


@workload.command("remove")
@click.argument("name", shell_complete=complete_workload)
@click.option("-m", "--reason", default="", help="Why; for the audit log.")
@pass_context
def remove_workload(context: Context, name: str, reason: str) -> None:
    """Remove a workload: nothing of it is admitted any more."""
    request = workload_service_pb2.DeleteWorkloadRequest(name=name, reason=reason)
    with context.client() as client:
        client.workloads.DeleteWorkload(request, timeout=context.timeout)
    if not context.json:
        out.print(f"workload {escape(name)} is gone")


def _not_ready(context: Context, names: tuple[str, ...]) -> Iterator[str]:
    with context.client() as client:
        listed = client.workloads.ListWorkloads(
            workload_service_pb2.ListWorkloadsRequest(), timeout=context.timeout
        )
    known = {one.name: one.status for one in listed.workloads}
    for name in names:
        if name not in known:
            yield f"{name} (there is no such workload)"
        elif not known[name].ready:
            yield f"{name} ({known[name].reason or 'no reason is told'})"


@workload.command("wait")
@click.argument("names", nargs=-1, required=True, shell_complete=complete_workload)
@pass_context
def wait_ready(context: Context, names: tuple[str, ...]) -> None:
    """Wait until all of NAMES are ready, no longer than --timeout."""
    request = workload_service_pb2.WaitReadyRequest(names=names)
    try:
        with context.client() as client:
            response = client.workloads.WaitReady(request, timeout=context.timeout)
    except CallError as error:
        if error.status is not grpc.StatusCode.DEADLINE_EXCEEDED:
            raise
        late = "; ".join(_not_ready(context, names)) or "they are now"
        raise click.ClickException(f"not ready after {context.timeout:g} s: {late}") from None
    context.show(response, lambda: workloads_table(list(response.workloads)))
