# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield central ...`: the centre itself, and what one does with it."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from appliance.cli.central_common import place, stub, token_given, when
from appliance.cli.central_fleet import fleet
from appliance.cli.central_policy import policy
from appliance.cli.central_simulate import simulate
from appliance.cli.central_threat import threat
from appliance.cli.central_workload import workload
from appliance.cli.common import Context, failures, out, pass_context, print_json, table

CONFIG = """\
# A Ringfield centre (docs/central.md).
name: {name}
state_dir: state
listen:
  appliances: {host}:7443   # certificates required: appliances, operators who have one
  enrolment: {host}:7444    # tokens: enrolment, operators
  unix: central.sock        # whoever can open it is the administrator
# hosts: [centre.example]   # names and addresses beside those above that the certificate is for
# workloads_dir: workloads  # YAML files with networks and workloads, watched
"""


@click.group()
@click.option("--at", "where", metavar="WHERE", help="Unix socket or HOST:PORT. [env: RINGFIELD_CENTRAL]")
@click.pass_context
def central(context: click.Context, where: str | None) -> None:
    """The centre of a fleet: run it, enrol appliances, publish policy, contain."""
    context.find_root().meta["central"] = where or ""


for command in (simulate, fleet, workload, policy, threat):
    central.add_command(command)


# -- the centre itself


@central.command("init")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--name", default="centre", show_default=True, help="Of the centre; in every certificate.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where it listens.")
def init(directory: Path, name: str, host: str) -> None:
    """Make a centre's directory with a configuration, its authority and its keys."""
    from appliance.intelligence.centre import Centre

    file = directory / "central.yaml"
    if file.exists():
        raise click.ClickException(f"{file} is there already")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with failures():
        centre = Centre(directory / "state", name=name)
        fingerprint = centre.authority.fingerprint
        centre.close()
    file.write_text(CONFIG.format(name=name, host=host))
    out.print(f"{file}: centre [bold]{name}[/], authority {fingerprint[:16]}...")
    out.print(f"Next: [bold]./ringfield central run -c {file}[/]", style="dim")


@central.command("run")
@click.option(
    "-c", "--config", "file", required=True, type=click.Path(path_type=Path), help="docs/central.md."
)
@click.option("--log", "how", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--verbose", is_flag=True, help="Log refused calls too.")
def run(file: Path, how: str, verbose: bool) -> None:
    """Run a centre in the foreground."""
    from appliance.cli.run import SWITCH_SECONDS, set_up_logging
    from appliance.intelligence.context import Door
    from appliance.intelligence.garbage import look_rarely
    from appliance.intelligence.server import CentreServer
    from appliance.run.central import read_centre
    from appliance.run.lock import hold

    async def main(server: CentreServer) -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await server.start()
        garbage = asyncio.create_task(look_rarely())
        certificate, token = server.ports[Door.CERTIFICATE], server.ports[Door.TOKEN]
        print(f"READY {server.config.unix} {certificate} {token}", flush=True)
        await stopped.wait()
        garbage.cancel()
        await server.stop()

    with failures():
        config = read_centre(file)
        set_up_logging(how, "debug" if verbose else "info")
        sys.setswitchinterval(SWITCH_SECONDS)
        with hold(config.state_dir / "centre.lock", "a centre"):
            asyncio.run(main(CentreServer(config)))


# -- who belongs to it


@central.command("token")
@click.argument("name")
@click.option("--ttl", type=float, default=600.0, show_default=True, help="Seconds.")
@click.option(
    "--role",
    type=click.Choice(["viewer", "editor", "responder", "admin", "orchestrator", "sensor"]),
    help="A bearer token for a person or a program instead.",
)
@click.option("--network", "networks", multiple=True, help="Orchestrators: networks that they write.")
@click.option("--label-key", "keys", multiple=True, help="Orchestrators: labels that they set.")
@pass_context
def token(
    context: Context,
    name: str,
    ttl: float,
    role: str | None,
    networks: tuple[str, ...],
    keys: tuple[str, ...],
) -> None:
    """A one-time token with which appliance NAME enrols. It is shown once."""
    from appliance.intelligence.v1 import fleet_service_pb2 as pb

    with stub("FleetService") as fleet:
        if role is None:
            made = fleet.CreateEnrolmentToken(
                pb.CreateEnrolmentTokenRequest(name=name, ttl_seconds=ttl), timeout=context.timeout
            )
        else:
            made = fleet.CreateOperatorToken(
                pb.CreateOperatorTokenRequest(
                    name=name, role=role, ttl_seconds=ttl, networks=networks, label_keys=keys
                ),
                timeout=context.timeout,
            )
    if context.json:
        print_json({"token": made.token})
    else:
        click.echo(made.token)  # in one line, however narrow the terminal


@central.command("certificate")
@click.argument("directory", type=click.Path(path_type=Path))
@pass_context
def certificate(context: Context, directory: Path) -> None:
    """A certificate for the operator whose token RINGFIELD_CENTRAL_TOKEN is; it lasts no longer than the token.

    With RINGFIELD_CENTRAL_CERTIFICATE=DIRECTORY commands use it, at the address where certificates are required.
    """
    from appliance.intelligence.enrol import certify

    with failures():
        made = certify(token_given(), place(), directory)
    out.print(f"{directory}: certificate of [bold]{made.who}[/], until {when(made.not_after)}")


@central.command("revoke")
@click.argument("name")
@click.option("--reason", required=True)
@pass_context
def revoke(context: Context, name: str, reason: str) -> None:
    """Take away all certificates and tokens of NAME (appliance/... or operator/...)."""
    from appliance.intelligence.v1 import fleet_service_pb2 as pb

    with stub("FleetService") as fleet:
        fleet.Revoke(pb.RevokeRequest(name=name, reason=reason), timeout=context.timeout)
    out.print(f"{name} is revoked")


# -- containment, audit


@central.command("quarantine")
@click.argument("names", nargs=-1)
@click.option("--selector", default="")
@click.option("--reason", required=True)
@click.option("--ttl", type=float, default=0.0, help="Seconds; 0: until released.")
@click.option("--keep", multiple=True, metavar="FROM SERVICE", help='Stays open, e.g. "app=ops tcp/22".')
@click.option(
    "--state", type=click.Choice(["watched", "restricted", "quarantined"]), default="quarantined",
    show_default=True, help="Or less than that.",
)  # fmt: skip
@click.option(
    "--still", multiple=True, metavar="FROM TO SERVICE", help="Restricted: stays possible, e.g. app=web app=db tcp/80."
)  # fmt: skip
@pass_context
def quarantine(
    context: Context,
    names: tuple[str, ...],
    selector: str,
    reason: str,
    ttl: float,
    keep: tuple[str, ...],
    state: str,
    still: tuple[str, ...],
) -> None:
    """Cut workloads off, in all of the fleet."""
    from appliance.intelligence.v1 import containment_service_pb2 as pb
    from appliance.intelligence.v1 import statement_pb2

    paths = []
    for one in keep:
        source, _, service = one.rpartition(" ")
        paths.append(statement_pb2.ContainedPath(source=source or "any", services=[service]))
    baseline = []
    for number, one in enumerate(still, 1):
        parts = one.split()
        if len(parts) != 3:
            raise click.BadParameter(f"{one!r} is not FROM TO SERVICE", param_hint="--still")
        baseline.append(
            statement_pb2.BaselineRule(
                name=f"still-{number}", source=parts[0], target=parts[1], services=[parts[2]]
            )
        )
    request = pb.ContainRequest(
        workloads=names, selector=selector, reason=reason, ttl_seconds=ttl, keep=paths, baseline=baseline,
        state=f"WORKLOAD_STATE_{state.upper()}",
    )  # fmt: skip
    with stub("ContainmentService") as service:
        made = service.Contain(request, timeout=context.timeout)
    context.show(made, lambda: f"{len(made.contained)} contained, number {made.number}")


@central.command("release")
@click.argument("names", nargs=-1, required=True)
@click.option("--reason", required=True)
@pass_context
def release(context: Context, names: tuple[str, ...], reason: str) -> None:
    """End the containment of workloads."""
    from appliance.intelligence.v1 import containment_service_pb2 as pb

    with stub("ContainmentService") as service:
        made = service.Release(pb.ReleaseRequest(workloads=names, reason=reason), timeout=context.timeout)
    context.show(made, lambda: f"released, number {made.number}")


@central.command("contained")
@pass_context
def contained(context: Context) -> None:
    """Who is contained, by whom and until when."""
    from appliance.intelligence.v1 import containment_service_pb2 as pb
    from appliance.v1 import workload_pb2

    with stub("ContainmentService") as service:
        found = service.ListContainment(pb.ListContainmentRequest(), timeout=context.timeout)

    def show() -> Any:
        rows = table(
            "workload", "state", "since", "seconds left", "by", "why", "keep", title=f"number {found.number}"
        )
        for one in found.contained:
            state = workload_pb2.WorkloadState.Name(one.state).removeprefix("WORKLOAD_STATE_").lower()
            keep = "\n".join(f"{path.source or 'any'} {' '.join(path.services)}" for path in one.keep)
            rows.add_row(
                escape(one.workload), state, when(one.since), f"{one.seconds_left:.0f}" if one.seconds_left else "-",
                escape(one.actor), escape(one.reason), escape(keep),
            )  # fmt: skip
        return rows

    context.show(found, show)


@central.command("audit")
@click.option("--limit", type=int, default=50, show_default=True)
@click.option("--verify", is_flag=True, help="Whether the log is whole.")
@pass_context
def audit(context: Context, limit: int, verify: bool) -> None:
    """Who changed what at the centre."""
    from appliance.cli.audit import entries_table, show_finding
    from appliance.v1 import audit_service_pb2 as pb

    with stub("AuditService", "appliance.v1") as service:
        if verify:
            found = service.VerifyAuditLog(pb.VerifyAuditLogRequest(), timeout=context.timeout)
        else:
            listed = service.ListAuditEntries(
                pb.ListAuditEntriesRequest(limit=limit), timeout=context.timeout
            )
    if verify:
        show_finding(context, found)
    else:
        context.show(listed, lambda: entries_table(list(listed.entries)))
