# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield status`: one screen that says what is in force, how it goes, what is wrong and what to do."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import click
import grpc
from rich.table import Table
from rich.text import Text

from appliance.cli.common import Context, as_dict, number, out, pass_context, print_json, table
from appliance.cli.stats import conservation
from appliance.rpc.client import Client, calls
from appliance.rpc.errors import CallError
from appliance.v1 import (
    audit_service_pb2,
    containment_service_pb2,
    policy_pb2,
    policy_service_pb2,
    port_pb2,
    port_service_pb2,
    stats_pb2,
    stats_service_pb2,
    system_service_pb2,
    workload_pb2,
    workload_service_pb2,
)

SETTLE_SECONDS: Final = 0.5
LOW_BUFFERS: Final = 0.05
WRONG: Final = "wrong"
LOOK: Final = "look"
HARMLESS: Final = ("policy", "pipe", "link_control", "no_multicast", "default_miss")
"""Drops that are the appliance doing its work."""
ADVICE: Final = {
    "unauthenticated": "the host behind that port uses addresses that are not bound to it: is its workload declared"
    " with the right MAC and addresses (ringfield workload list), or has it been taken over?",
    "rogue_control": "a workload acts as a router or DHCP server: look at it, quarantine it",
    "tunnel_spoofed": "somebody on the underlay forges a VTEP: look at the underlay",
    "tunnel_vlan": "another appliance, or somebody in its place, sends VLAN tags through tunnels: look at it",
    "tunnel_ecn": "the underlay is congested, and marks packets of hosts that do not know ECN",
    "no_route": "they are sent to addresses of nobody known: a workload that is missing, or a scan",
    "ct_full": "the connection table is full: raise segmentation.connections.capacity, or choose when_full: evict",
    "ct_limit": "a limit for all connections is reached: somebody floods, or the limit is too low",
    "ct_identity_limit": "a workload opens more connections than its limit: it floods, or the limit is too low",
    "ct_invalid": "TCP out of state: an asymmetric path, or somebody injects segments",
    "malformed": "broken or hostile packets come in at that port: ringfield capture shows them",
    "no_mbuf": "packet buffers run out: raise fastpath.mbufs",
    "tx_full": "a receiver is slower than what is sent to it",
    "software_full": "whoever receives packets in software is too slow",
    "port_down": "a port is down: is its namespace or device still there?",
    "no_pipeline": "a port is not started, or nothing is in force",
    "fragment_overlap": "overlapping fragments are an attack on reassembly: look at that workload",
    "mtu": "packets are larger than the way out, and their senders do not listen to ICMP: lower the workloads' MTU",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be, and what to do."""

    level: str
    """``wrong``, or ``look``: worth a look."""
    text: str
    advice: str = ""


@dataclass(slots=True)
class Snapshot:
    """What the appliance says. What it has no service for stays None."""

    version: str
    system: system_service_pb2.GetStatusResponse
    ports: list[port_pb2.Port]
    stats: stats_pb2.Stats
    policy: policy_service_pb2.GetPolicyResponse | None = None
    workloads: list[workload_pb2.Workload] = field(default_factory=list)
    contained: list[containment_service_pb2.Contained] = field(default_factory=list)
    audit: audit_service_pb2.VerifyAuditLogResponse | None = None


def take(client: Client, target: str, timeout: float) -> Snapshot:
    """Ask for everything."""
    version = client.system.GetVersion(system_service_pb2.GetVersionRequest(), timeout=timeout).version
    system = client.system.GetStatus(system_service_pb2.GetStatusRequest(), timeout=timeout)
    if system.state != system_service_pb2.FASTPATH_STATE_SERVING:
        return Snapshot(version, system, [], stats_pb2.Stats())
    ports = client.ports.ListPorts(port_service_pb2.ListPortsRequest(), timeout=timeout).ports
    found = Snapshot(version, system, list(ports), _settled(client, timeout))
    try:
        with calls(target):
            found.policy = client.policy.GetPolicy(policy_service_pb2.GetPolicyRequest(), timeout=timeout)
            found.workloads = list(
                client.workloads.ListWorkloads(
                    workload_service_pb2.ListWorkloadsRequest(), timeout=timeout
                ).workloads
            )
            found.contained = list(
                client.containment.ListContainment(
                    containment_service_pb2.ListContainmentRequest(), timeout=timeout
                ).contained
            )
            found.audit = client.audit.VerifyAuditLog(
                audit_service_pb2.VerifyAuditLogRequest(), timeout=timeout
            )
    except CallError as error:
        if error.status is not grpc.StatusCode.UNIMPLEMENTED:
            raise
    return found


def _settled(client: Client, timeout: float) -> stats_pb2.Stats:
    """A snapshot without packets on their way, if one comes soon."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        stats = client.stats.GetStats(stats_service_pb2.GetStatsRequest(), timeout=timeout).stats
        if not conservation(stats) or time.monotonic() > end:
            return stats
        time.sleep(0.02)


# --- what is wrong ----------------------------------------------------------------------------------------------------


def problems(found: Snapshot) -> list[Problem]:
    """Worst first."""
    every = [*_system(found), *_ports(found), *_drops(found), *_segmentation(found)]
    return sorted(every, key=lambda one: one.level != WRONG)


def _system(found: Snapshot) -> Iterator[Problem]:
    system, stats = found.system, found.stats
    log = f"{system.runtime_dir}/fastpath.log"
    if system.state != system_service_pb2.FASTPATH_STATE_SERVING:
        yield Problem(
            WRONG,
            f"the fast path is being brought back: {system.last_error or 'no reason is known'}",
            f"nothing is forwarded until it is back; {log} has its last words",
        )
        return
    if system.restarts:
        yield Problem(
            LOOK,
            f"the fast path was started again {system.restarts} times; last: {system.last_error}",
            f"read {log}, make a ringfield support-bundle",
        )
    if stats.mbufs_total and stats.mbufs_free < LOW_BUFFERS * stats.mbufs_total:
        yield Problem(
            WRONG,
            f"only {stats.mbufs_free:,} of {stats.mbufs_total:,} packet buffers are free",
            ADVICE["no_mbuf"],
        )
    if stats.connections.records_lost:
        yield Problem(
            LOOK,
            f"{stats.connections.records_lost:,} flow records were lost in the fast path",
            "more connections per second than records can be taken: enforcement is not concerned",
        )


def _ports(found: Snapshot) -> Iterator[Problem]:
    for port in found.ports:
        if not port.up:
            where = f" in {port.netns}" if port.netns else ""
            yield Problem(WRONG, f"port {port.name} ({port.backend}{where}) is down", ADVICE["port_down"])
        elif not port.started:
            yield Problem(LOOK, f"port {port.name} is not started", ADVICE["no_pipeline"])


def _drops(found: Snapshot) -> Iterator[Problem]:
    """One problem for each reason, with the ports concerned."""
    behind = plugged(found.workloads)
    started = bool(found.ports) and all(port.started for port in found.ports)
    by_reason: dict[str, list[tuple[int, str]]] = {}
    for port in found.stats.ports:
        for drop in port.drops:
            # What came before the pipeline was in force is no problem of now.
            if drop.reason not in HARMLESS and not (drop.reason == "no_pipeline" and started):
                who = f" ({behind[port.port]})" if port.port in behind else ""
                by_reason.setdefault(drop.reason, []).append((drop.packets, f"{port.port}{who}"))
    for reason, places in by_reason.items():
        places.sort(reverse=True)
        where = ", ".join(place for _, place in places[:3]) + (" ..." if len(places) > 3 else "")
        packets = sum(count for count, _ in places)
        advice = ADVICE.get(reason, "ringfield capture shows them")
        yield Problem(LOOK, f"{packets:,} packets dropped as {reason} at {where}", advice)


def plugged(workloads: Iterable[workload_pb2.Workload]) -> dict[str, str]:
    """Names of workloads by port."""
    found: dict[str, list[str]] = {}
    for workload in workloads:
        for interface in workload.spec.interfaces:
            found.setdefault(interface.port, []).append(workload.name)
    return {port: ", ".join(names[:3]) + (" ..." if len(names) > 3 else "") for port, names in found.items()}


def _segmentation(found: Snapshot) -> Iterator[Problem]:
    if found.policy is None:
        return
    policy, revision = found.policy.policy, found.policy.revision
    if found.policy.fault:
        yield Problem(WRONG, found.policy.fault, "ringfield policy show --history; then publish a good one")
    if not revision.number:
        yield Problem(
            LOOK, "no policy was published: the default alone decides", "ringfield policy publish FILE"
        )
    elif revision.confirm_seconds:
        yield Problem(
            LOOK,
            f"revision {revision.number} is rolled back in {revision.confirm_seconds:.0f} s unless confirmed",
            f"ringfield policy confirm {revision.number}",
        )
    if policy.default_action in (policy_pb2.POLICY_ACTION_ALLOW, policy_pb2.POLICY_ACTION_ALERT):
        yield Problem(
            LOOK,
            f"default {action(policy.default_action)}: what no rule speaks of passes",
            "ringfield policy recommend makes rules of what was seen; then publish default: block",
        )
    for applied in revision.appliances:
        if applied.state != policy_pb2.REVISION_STATE_APPLIED:
            yield Problem(
                WRONG, f"revision {revision.number} is not in force: {applied.reason or 'still pending'}", ""
            )
    for workload in found.workloads:
        if workload.spec.interfaces and not workload.status.ready:
            yield Problem(
                WRONG,
                f"workload {workload.name} is not ready: {workload.status.reason}",
                "ringfield workload list",
            )
    if found.audit is not None and not found.audit.good:
        yield Problem(
            WRONG, f"the audit log is not as it was written: {found.audit.text}", "ringfield audit verify"
        )


def action(number_: policy_pb2.PolicyAction) -> str:
    """``block``; not said means block."""
    word = policy_pb2.PolicyAction.Name(number_).removeprefix("POLICY_ACTION_").lower()
    return "block" if word == "unspecified" else word


# --- the screen -------------------------------------------------------------------------------------------------------


def ago(seconds: float) -> str:
    """3 min, 2 h."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def head(found: Snapshot, target: str) -> Table:
    """What runs, what is in force."""
    system, stats = found.system, found.stats
    serving = system.state == system_service_pb2.FASTPATH_STATE_SERVING
    made = table("", "")
    made.show_header = False
    made.add_row("appliance", f"ringfield {found.version} at {target}")
    told = f"[green]serving[/], pid {system.fastpath_pid}, up {ago(stats.uptime_s)}, {stats.busy:.0%} busy"
    if system.restarts:
        told += f", [yellow]started again {system.restarts} times[/]"
    made.add_row("fast path", told if serving else "[bold red]recovering[/]: nothing is forwarded")
    made.add_row("runtime dir", system.runtime_dir)
    if found.policy is None:
        made.add_row("pipeline", f"{system.pipes} pipes, {system.entries:,} entries")
        return made
    policy, revision = found.policy.policy, found.policy.revision
    default = action(policy.default_action)
    colour = "green" if default == "block" else "yellow"
    told = f"revision {revision.number}" if revision.number else "none published"
    if revision.number:
        told += f" by {revision.actor} {ago(max(0.0, time.time() - revision.time.seconds))} ago"
    made.add_row("policy", f"{told}, {len(policy.rules)} rules, default [{colour}]{default}[/]")
    ready = sum(workload.status.ready for workload in found.workloads)
    made.add_row("workloads", f"{len(found.workloads)}, {ready} ready")
    made.add_row("contained", contained_text(found.contained))
    made.add_row("connections", connections_text(stats.connections))
    return made


def contained_text(contained: Iterable[containment_service_pb2.Contained]) -> str:
    """Who is cut off or restricted."""
    words = []
    for one in contained:
        state = workload_pb2.WorkloadState.Name(one.state).removeprefix("WORKLOAD_STATE_").lower()
        words.append(f"[magenta]{one.workload}[/] {state}: {one.reason}")
    return "; ".join(words) or "nobody"


def connections_text(connections: stats_pb2.CtStats) -> str:
    """Live ones, and what became of others."""
    told = f"{connections.live:,} live, {connections.opened:,} opened, {connections.denied_packets:,} packets denied"
    if connections.half_open:
        told += f", {connections.half_open:,} half open"
    if connections.refused_full or connections.refused_limit:
        told += f", [yellow]{connections.refused_full + connections.refused_limit:,} refused[/]"
    return told


def ports_table(found: Snapshot) -> Table:
    """Ports, who is behind them, what passed and what did not."""
    counted = {port.port: port for port in found.stats.ports}
    behind = plugged(found.workloads)
    names = ["port", "", *(["workload"] if behind else []), "received", "sent", "dropped", "because"]
    made = table(*names, right=["received", "sent", "dropped"])
    for port in found.ports:
        stats = counted.get(port.name, stats_pb2.PortStats())
        drops = sorted(stats.drops, key=lambda drop: -drop.packets)
        because = ", ".join(f"{drop.reason} {drop.packets:,}" for drop in drops[:4])
        made.add_row(
            f"[bold]{port.name}[/]",
            "[green]up[/]" if port.up else "[bold red]down[/]",
            *([behind.get(port.name, "")] if behind else []),
            number(stats.received.packets + stats.injected.packets),
            number(stats.sent.packets),
            number(stats.dropped.packets),
            because,
        )
    return made


def show(found: Snapshot, target: str) -> None:
    """The screen."""
    out.print(head(found, target))
    if found.ports:
        out.print()
        out.print(ports_table(found))
    out.print()
    wrong = problems(found)
    if not wrong:
        out.print("[bold green]Nothing is wrong.[/]")
    for problem in wrong:
        mark = "[bold red]✘[/]" if problem.level == WRONG else "[yellow]![/]"
        out.print(f"{mark} ", Text(problem.text), sep="")
        if problem.advice:
            out.print(Text(f"  → {problem.advice}", style="bold"))
    missing = conservation(found.stats)
    if missing:
        out.print(f"[dim]{missing:+,} packets are on their way[/]")


@click.command()
@pass_context
def status(context: Context) -> None:
    """One screen: ports, policy, connections, drops, what is wrong and what to do. Exit status 1 when something is."""
    with context.client() as client:
        found = take(client, context.target, context.timeout)
    wrong = problems(found)
    if context.json:
        print_json(as_json(found, wrong))
    else:
        show(found, context.target)
    raise SystemExit(1 if any(problem.level == WRONG for problem in wrong) else 0)


def as_json(found: Snapshot, wrong: list[Problem]) -> dict[str, Any]:
    """For programs."""
    made: dict[str, Any] = {"version": found.version, **as_dict(found.system)}
    made["ports"] = [as_dict(port) for port in found.ports]
    made["stats"] = as_dict(found.stats)
    if found.policy is not None:
        made["policy"] = {
            "revision": as_dict(found.policy.revision),
            "default": action(found.policy.policy.default_action),
            "rules": len(found.policy.policy.rules),
        }
        made["workloads"] = [as_dict(workload) for workload in found.workloads]
        made["contained"] = [as_dict(one) for one in found.contained]
    made["problems"] = [asdict(problem) for problem in wrong]
    return made
