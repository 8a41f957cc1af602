# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield stats`."""

from __future__ import annotations

import click
from rich.console import Group
from rich.table import Table
from rich.text import Text

from appliance.cli.common import Context, amount, number, pass_context, table
from appliance.v1 import stats_pb2, stats_service_pb2


def conservation(stats: stats_pb2.Stats) -> int:
    """What the conservation law misses, in packets; 0 when every packet is accounted for."""
    made = sum(p.received.packets + p.injected.packets for p in stats.ports) + stats.copies + stats.generated
    gone = sum(
        p.sent.packets - p.transmitted.packets + p.software.packets + p.dropped.packets for p in stats.ports
    )
    return int(made - gone - stats.held)


def ports_table(stats: stats_pb2.Stats) -> Table:
    """Packets and bytes by port."""
    columns = ["received", "injected", "sent", "to software", "dropped"]
    made = table("port", *columns, right=columns)
    for port in stats.ports:
        cells = (port.received, port.injected, port.sent, port.software, port.dropped)
        made.add_row(f"[bold]{port.port}[/]", *(amount(cell.packets, cell.bytes) for cell in cells))
    return made


def drops_table(stats: stats_pb2.Stats) -> Table:
    """Drops by reason and incoming port."""
    made = table("dropped because", "came in at", "packets", right=["packets"])
    for port in stats.ports:
        for drop in port.drops:
            made.add_row(f"[red]{drop.reason}[/]", port.port, number(drop.packets))
    return made


def pipes_table(stats: stats_pb2.Stats) -> Table:
    """Hits and misses by pipe."""
    made = table("pipe", "entries", "hits", "misses", right=["entries", "hits", "misses"])
    for pipe in stats.pipes:
        made.add_row(
            f"[bold]{pipe.pipe}[/]",
            f"{number(pipe.entries)}/{number(pipe.capacity)}",
            amount(pipe.hits.packets, pipe.hits.bytes),
            amount(pipe.misses.packets, pipe.misses.bytes),
        )
    return made


def balance_text(stats: stats_pb2.Stats) -> Text:
    """The conservation law, and packet buffers."""
    missing = conservation(stats)
    law = (
        Text("every packet accounted for", style="green")
        if not missing
        else Text(f"{missing:+,} packets in flight or unaccounted", style="yellow")
    )
    return law.append(
        f"   buffers {number(stats.mbufs_free)} of {number(stats.mbufs_total)} free   revision {stats.revision}",
        style="dim",
    )


@click.command()
@click.option("--pipes/--no-pipes", default=True, show_default=True, help="With hits and misses of pipes.")
@pass_context
def stats(context: Context, pipes: bool) -> None:
    """Counters of ports, pipes and drops, once."""
    request = stats_service_pb2.GetStatsRequest(include_pipes=pipes)
    with context.client() as client:
        response = client.stats.GetStats(request, timeout=context.timeout)

    def shown() -> Group:
        parts: list[object] = [ports_table(response.stats), ""]
        if any(port.drops for port in response.stats.ports):
            parts += [drops_table(response.stats), ""]
        if response.stats.pipes:
            parts += [pipes_table(response.stats), ""]
        return Group(*parts, balance_text(response.stats))  # type: ignore[arg-type]

    context.show(response, shown)
