# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield port ...`"""

from __future__ import annotations

import click
from rich.table import Table

from appliance.cli.common import Context, complete_port, number, out, pass_context, table
from appliance.v1 import port_pb2, port_service_pb2, stats_service_pb2

MISSES = {
    "drop": port_pb2.DEFAULT_MISS_DROP,
    "rss": port_pb2.DEFAULT_MISS_RSS,
    "kernel": port_pb2.DEFAULT_MISS_KERNEL,
}


def ports_table(ports: list[port_pb2.Port], received: dict[str, int], sent: dict[str, int]) -> Table:
    """Ports with their packets."""
    owners = {port.owner for port in ports}
    netns = any(port.netns for port in ports)
    right = ["id", "mtu", "received", "sent"]
    names = ["port", "id", "backend", "state", "mac", "mtu"]
    names += ["netns"] if netns else []
    names += ["owner"] if len(owners) > 1 else []
    made = table(*names, "received", "sent", right=right)
    made.columns[names.index("mac")].no_wrap = True
    for port in ports:
        cells = [
            f"[bold]{port.name}[/]",
            str(port.port_id) if port.started else "-",
            port.backend,
            "[green]up[/]" if port.up else "[red]down[/]",
            port.mac,
            str(port.mtu),
        ]
        cells += [port.netns] if netns else []
        cells += [port.owner or "-"] if len(owners) > 1 else []
        made.add_row(*cells, number(received.get(port.name, 0)), number(sent.get(port.name, 0)))
    return made


@click.group()
def port() -> None:
    """Ports of the DPU."""


@port.command("list")
@pass_context
def list_ports(context: Context) -> None:
    """All ports."""
    with context.client() as client:
        response = client.ports.ListPorts(port_service_pb2.ListPortsRequest(), timeout=context.timeout)
        stats = client.stats.GetStats(stats_service_pb2.GetStatsRequest(), timeout=context.timeout).stats
    received = {item.port: item.received.packets + item.injected.packets for item in stats.ports}
    sent = {item.port: item.sent.packets for item in stats.ports}
    context.show(response, lambda: ports_table(list(response.ports), received, sent))


@port.command("add")
@click.argument("name")
@click.option(
    "--backend",
    required=True,
    help="net_tap, net_ring, net_pcap, net_af_packet, net_memif, net_null, gen or pci.",
)
@click.option("--args", default="", help="Device arguments, separated by commas.")
@click.option("--netns", default="", help="Namespace of a tap.")
@click.option("--mac", default="", help="MAC address.")
@click.option("--mtu", type=click.IntRange(68, 9600), default=1500, show_default=True)
@click.option("--port-id", type=click.IntRange(0, 65534), help="Logical id; without it the lowest free one.")
@pass_context
def add_port(
    context: Context, name: str, backend: str, args: str, netns: str, mac: str, mtu: int, port_id: int | None
) -> None:
    """Open a device and start it as port NAME."""
    request = port_service_pb2.AddPortRequest(
        port=port_pb2.Port(
            name=name, backend=backend, args=args, netns=netns, mac=mac, mtu=mtu, port_id=port_id
        )
    )
    with context.client() as client:
        response = client.ports.AddPort(request, timeout=context.timeout)
    context.show(response, lambda: ports_table([response.port], {}, {}))


@port.command("remove")
@click.argument("name", shell_complete=complete_port)
@pass_context
def remove_port(context: Context, name: str) -> None:
    """Stop a port, its pipes with it, and close its device."""
    with context.client() as client:
        client.ports.RemovePort(port_service_pb2.RemovePortRequest(name=name), timeout=context.timeout)
    out.print(f"port {name} is gone") if not context.json else None


@port.command("miss")
@click.argument("name", shell_complete=complete_port)
@click.argument("where", type=click.Choice(list(MISSES)))
@pass_context
def set_miss(context: Context, name: str, where: str) -> None:
    """Where packets go that no pipe decides about."""
    request = port_service_pb2.SetDefaultMissRequest(name=name, default_miss=MISSES[where])
    with context.client() as client:
        client.ports.SetDefaultMiss(request, timeout=context.timeout)
