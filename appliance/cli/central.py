# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield central ...`: the centre itself, and what one does with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import grpc
from rich.markup import escape

from appliance.cli.common import Context, failures, out, pass_context, print_json, table
from appliance.intelligence.authority import SERVER_NAME, parse_token
from appliance.rpc.errors import call_error
from appliance.run.config import default_runtime_dir

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
STATES = {"connected": "green", "lost": "red", "never": "dim", "revoked": "red", "detached": "yellow"}


@dataclass(slots=True)
class At:
    """Where the centre is, and as whom."""

    address: str
    token: str
    authority: bytes

    def channel(self) -> grpc.Channel:
        """To the centre."""
        if self.address.startswith("unix:"):
            return grpc.insecure_channel(self.address)
        if not self.token:
            raise click.ClickException(f"{self.address} is TCP: give a token (RINGFIELD_CENTRAL_TOKEN)")
        from appliance.intelligence.enrol import trusted_authority

        with failures():
            authority = trusted_authority(self.address, parse_token(self.token).fingerprint)
        credentials = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(authority), grpc.access_token_call_credentials(self.token)
        )
        return grpc.secure_channel(
            self.address, credentials, [("grpc.ssl_target_name_override", SERVER_NAME)]
        )


def at(context: Context) -> At:
    """Of this run of the command."""
    where = click.get_current_context().find_root().meta.get("central", "")
    address = where or os.environ.get("RINGFIELD_CENTRAL") or f"unix:{default_runtime_dir() / 'central.sock'}"
    if address.startswith("/"):
        address = f"unix:{address}"
    return At(address, os.environ.get("RINGFIELD_CENTRAL_TOKEN", ""), b"")


@contextlib.contextmanager
def stub(context: Context, service: str, package: str = "appliance.intelligence.v1") -> Iterator[Any]:
    """A service of the centre; refusals become messages."""
    from importlib import import_module

    word = service.removesuffix("Service").lower()
    module = import_module(f"{package}.{word}_service_pb2_grpc")
    where = at(context)
    with where.channel() as channel:
        try:
            yield getattr(module, f"{service}Stub")(channel)
        except grpc.RpcError as error:
            raise call_error(error) from None


@click.group()
@click.option("--at", "where", metavar="WHERE", help="Unix socket or HOST:PORT. [env: RINGFIELD_CENTRAL]")
@click.pass_context
def central(context: click.Context, where: str | None) -> None:
    """The centre of a fleet: run it, enrol appliances, publish policy, contain."""
    context.find_root().meta["central"] = where or ""


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
    from appliance.intelligence.server import CentreServer
    from appliance.run.central import read_centre

    async def main(server: CentreServer) -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await server.start()
        certificate, token = server.ports[Door.CERTIFICATE], server.ports[Door.TOKEN]
        print(f"READY {server.config.unix} {certificate} {token}", flush=True)
        await stopped.wait()
        await server.stop()

    with failures():
        config = read_centre(file)
        set_up_logging(how, "debug" if verbose else "info")
        sys.setswitchinterval(SWITCH_SECONDS)
        asyncio.run(main(CentreServer(config)))


@central.command("simulate")
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
    import subprocess
    import tempfile

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

    with stub(context, "FleetService") as fleet:
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


@central.command("revoke")
@click.argument("name")
@click.option("--reason", required=True)
@pass_context
def revoke(context: Context, name: str, reason: str) -> None:
    """Take away all certificates and tokens of NAME (appliance/... or operator/...)."""
    from appliance.intelligence.v1 import fleet_service_pb2 as pb

    with stub(context, "FleetService") as fleet:
        fleet.Revoke(pb.RevokeRequest(name=name, reason=reason), timeout=context.timeout)
    out.print(f"{name} is revoked")


@central.group()
def fleet() -> None:
    """The appliances."""


@fleet.command("list")
@pass_context
def fleet_list(context: Context) -> None:
    """What each appliance runs, how far behind it is, how it is."""
    from appliance.intelligence.v1 import fleet_service_pb2 as pb

    with stub(context, "FleetService") as service:
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

    with stub(context, "FleetService") as service:
        found = service.ListAlarms(pb.ListAlarmsRequest(limit=limit), timeout=context.timeout)

    def show() -> Any:
        made = table("time", "kind", "appliance", "what")
        for one in found.alarms:
            made.add_row(when(one.time), one.kind, escape(one.appliance), escape(one.text))
        return made

    context.show(found, show)


def when(seconds: float) -> str:
    """A time for people."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


@fleet.command("raise-generation")
@click.option("--reason", required=True)
@pass_context
def raise_generation(context: Context, reason: str) -> None:
    """After the centre was restored from a backup: appliances obey it again."""
    from appliance.intelligence.v1 import fleet_service_pb2 as pb

    with stub(context, "FleetService") as service:
        made = service.RaiseGeneration(pb.RaiseGenerationRequest(reason=reason), timeout=context.timeout)
    context.show(made, lambda: f"generation {made.generation}")


@fleet.command("rotate-key")
@click.option("--reason", required=True)
@pass_context
def rotate_key(context: Context, reason: str) -> None:
    """Sign with a new key from here on."""
    from appliance.intelligence.v1 import fleet_service_pb2 as pb

    with stub(context, "FleetService") as service:
        made = service.RotateStatementKey(
            pb.RotateStatementKeyRequest(reason=reason), timeout=context.timeout
        )
    out.print(f"statements are signed with {made.public_key.hex()[:16]}...")


# -- inventory


@central.group()
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
    with stub(context, "InventoryService") as service:
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


@workload.command("list")
@click.argument("selector", required=False, default="")
@pass_context
def workload_list(context: Context, selector: str) -> None:
    """Who there is, where, and who said so."""
    from appliance.intelligence.v1 import inventory_service_pb2 as pb

    with stub(context, "InventoryService") as service:
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

    with stub(context, "InventoryService") as service:
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
    from appliance.cli.common import fields_option
    from appliance.intelligence.v1 import inventory_service_pb2 as pb

    request = pb.SetLabelsRequest(name=name, labels=fields_option(labels), remove=remove, reason=reason)
    with stub(context, "InventoryService") as service:
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
@click.option("--reason", default="")
@pass_context
def workload_move(
    context: Context, name: str, appliance: str, port: str, mac: str | None, seconds: float, reason: str
) -> None:
    """Plug a workload in elsewhere: known everywhere before the old place is given up."""
    from appliance.intelligence.v1 import inventory_service_pb2 as pb
    from appliance.v1 import workload_pb2

    with stub(context, "InventoryService") as service:
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
            pb.MoveWorkloadRequest(name=name, interfaces=[interface], timeout_seconds=seconds, reason=reason),
            timeout=seconds + context.timeout,
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

    with stub(context, "InventoryService") as service:
        made = service.WaitReady(pb.WaitReadyRequest(names=names), timeout=seconds)
    context.show(made, lambda: f"{len(made.workloads)} ready")


# -- policy


@central.group()
def policy() -> None:
    """Policy sets of the fleet."""


FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
SET = click.option("--set", "name", default="base", show_default=True, help="The policy set.")


@policy.command("draft")
@FILE
@SET
@click.option("--scope", help="Selector that one side of each rule must satisfy.")
@pass_context
def policy_draft(context: Context, file: Path, name: str, scope: str | None) -> None:
    """Keep FILE as the draft of a set, and say what a publish would refuse."""
    from appliance.intelligence.v1 import policy_service_pb2 as pb

    request = pb.UpdateDraftRequest(name=name, source=file.read_text(), scope=scope)
    with stub(context, "PolicyService") as service:
        made = service.UpdateDraft(request, timeout=context.timeout)
    context.show(made, lambda: "\n".join(made.problems) or "good")


@policy.command("diff")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@SET
@pass_context
def policy_diff(context: Context, file: Path | None, name: str) -> None:
    """What publishing the draft (or FILE) would change."""
    from appliance.intelligence.v1 import policy_service_pb2 as pb

    request = pb.DiffPolicySetRequest(name=name, source=file.read_text() if file is not None else "")
    with stub(context, "PolicyService") as service:
        made = service.DiffPolicySet(request, timeout=120.0)

    def show() -> Any:
        out.print(escape(made.text))
        rows = table(
            "from", "to", "service", "before", "after", title=f"{made.verdicts_changed} verdicts change"
        )
        for one in made.verdicts:
            rows.add_row(escape(one.source), escape(one.target), one.service, one.before, one.after)
        return rows

    context.show(made, show)


@policy.command("simulate")
@click.argument("source")
@click.argument("target")
@click.argument("service")
@SET
@click.option(
    "--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Instead of the draft."
)
@pass_context
def policy_simulate(
    context: Context, source: str, target: str, service: str, name: str, file: Path | None
) -> None:
    """The verdict on SOURCE to TARGET under the draft."""
    from appliance.intelligence.v1 import policy_service_pb2 as pb

    request = pb.SimulatePolicySetRequest(
        name=name, source=file.read_text() if file is not None else "", to=target, service=service
    )
    setattr(request, "from", source)
    with stub(context, "PolicyService") as made_stub:
        made = made_stub.SimulatePolicySet(request, timeout=120.0)
    context.show(made, lambda: f"{made.action} ({made.band}: {made.rule})")


@policy.command("publish")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@SET
@click.option("--reason", default="")
@click.option("--expected", type=int, help="The revision that you believe to be the newest.")
@pass_context
def policy_publish(context: Context, file: Path | None, name: str, reason: str, expected: int | None) -> None:
    """Publish the draft of a set (or FILE) to the fleet."""
    from appliance.intelligence.v1 import policy_service_pb2 as pb

    request = pb.PublishPolicySetRequest(
        name=name,
        source=file.read_text() if file is not None else "",
        reason=reason,
        expected_revision=expected,
    )
    with stub(context, "PolicyService") as service:
        made = service.PublishPolicySet(request, timeout=120.0)
    context.show(made, lambda: f"revision {made.revision}")


@policy.command("rollback")
@click.argument("revision", type=int, default=0)
@click.option("--reason", required=True)
@pass_context
def policy_rollback(context: Context, revision: int, reason: str) -> None:
    """Publish what an older REVISION said, under a new number."""
    from appliance.intelligence.v1 import policy_service_pb2 as pb

    with stub(context, "PolicyService") as service:
        made = service.RollbackRevision(
            pb.RollbackRevisionRequest(revision=revision, reason=reason), timeout=120.0
        )
    context.show(made, lambda: f"revision {made.revision}")


@policy.command("history")
@pass_context
def policy_history(context: Context) -> None:
    """Revisions, and what became of the newest."""
    from appliance.intelligence.v1 import policy_service_pb2 as pb

    with stub(context, "PolicyService") as service:
        made = service.ListRevisions(pb.ListRevisionsRequest(), timeout=context.timeout)

    def show() -> Any:
        rows = table("revision", "time", "by", "set", "origin", "why", "applied", "pending", "refused")
        for one in made.revisions:
            rows.add_row(
                str(one.number), when(one.time), one.actor, one.set, one.origin, escape(one.reason), str(one.applied),
                str(one.pending), escape("\n".join(one.refused)),
            )  # fmt: skip
        return rows

    context.show(made, show)


# -- containment, audit


@central.command("quarantine")
@click.argument("names", nargs=-1)
@click.option("--selector", default="")
@click.option("--reason", required=True)
@click.option("--ttl", type=float, default=0.0, help="Seconds; 0: until released.")
@click.option("--keep", multiple=True, metavar="FROM SERVICE", help='Stays open, e.g. "app=ops tcp/22".')
@pass_context
def quarantine(
    context: Context, names: tuple[str, ...], selector: str, reason: str, ttl: float, keep: tuple[str, ...]
) -> None:
    """Cut workloads off, in all of the fleet."""
    from appliance.intelligence.v1 import containment_service_pb2 as pb
    from appliance.intelligence.v1 import statement_pb2
    from appliance.v1 import workload_pb2

    paths = []
    for one in keep:
        source, _, service = one.rpartition(" ")
        paths.append(statement_pb2.ContainedPath(source=source or "any", services=[service]))
    request = pb.ContainRequest(
        workloads=names, selector=selector, reason=reason, ttl_seconds=ttl, keep=paths,
        state=workload_pb2.WORKLOAD_STATE_QUARANTINED,
    )  # fmt: skip
    with stub(context, "ContainmentService") as service:
        made = service.Contain(request, timeout=context.timeout)
    context.show(made, lambda: f"{len(made.contained)} contained, number {made.number}")


@central.command("release")
@click.argument("names", nargs=-1, required=True)
@click.option("--reason", required=True)
@pass_context
def release(context: Context, names: tuple[str, ...], reason: str) -> None:
    """End the containment of workloads."""
    from appliance.intelligence.v1 import containment_service_pb2 as pb

    with stub(context, "ContainmentService") as service:
        made = service.Release(pb.ReleaseRequest(workloads=names, reason=reason), timeout=context.timeout)
    context.show(made, lambda: f"released, number {made.number}")


@central.command("audit")
@click.option("--limit", type=int, default=50, show_default=True)
@click.option("--verify", is_flag=True, help="Whether the log is whole.")
@pass_context
def audit(context: Context, limit: int, verify: bool) -> None:
    """Who changed what at the centre."""
    from appliance.cli.audit import entries_table, show_finding
    from appliance.v1 import audit_service_pb2 as pb

    with stub(context, "AuditService", "appliance.v1") as service:
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
