# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield stats` and `ringfield top`."""

from __future__ import annotations

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from appliance.cli.common import Context, amount, number, out, pass_context, table
from appliance.telemetry.text import octets
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


def handled(stats: stats_pb2.Stats) -> int:
    """Packets that the workers have taken."""
    return sum(
        port.received.packets + port.injected.packets + port.transmitted.packets for port in stats.ports
    )


def cycles(now: stats_pb2.Stats, before: stats_pb2.Stats) -> str:
    """What a packet cost between two snapshots: cycles of the turns that had packets, all they did included."""
    packets = handled(now) - handled(before)
    return f"{(now.cycles_busy - before.cycles_busy) / packets:,.0f}" if packets > 0 else "-"


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


def rates(now: stats_pb2.Stats, before: stats_pb2.Stats) -> Group:
    """What happened between two snapshots, per second."""
    seconds = max((now.timestamp_ns - before.timestamp_ns) / 1e9, 1e-3)
    earlier = {port.port: port for port in before.ports}
    columns = ["in/s", "in bit/s", "out/s", "out bit/s", "dropped/s"]
    ports = table("port", *columns, right=columns)
    for port in now.ports:
        then = earlier.get(port.port, stats_pb2.PortStats())
        came = port.received.packets + port.injected.packets - then.received.packets - then.injected.packets
        size = port.received.bytes + port.injected.bytes - then.received.bytes - then.injected.bytes
        dropped = (port.dropped.packets - then.dropped.packets) / seconds
        ports.add_row(
            f"[bold]{port.port}[/]",
            f"{came / seconds:,.0f}",
            octets(8 * size / seconds).replace("B", "bit"),
            f"{(port.sent.packets - then.sent.packets) / seconds:,.0f}",
            octets(8 * (port.sent.bytes - then.sent.bytes) / seconds).replace("B", "bit"),
            f"[red]{dropped:,.0f}[/]" if dropped else "0",
        )
    earlier_pipes = {pipe.pipe: pipe for pipe in before.pipes}
    pipes = table("pipe", "entries", "hits/s", "misses/s", right=["entries", "hits/s", "misses/s"])
    for pipe in now.pipes:
        was = earlier_pipes.get(pipe.pipe, stats_pb2.PipeStats())
        pipes.add_row(
            f"[bold]{pipe.pipe}[/]",
            number(pipe.entries),
            f"{(pipe.hits.packets - was.hits.packets) / seconds:,.0f}",
            f"{(pipe.misses.packets - was.misses.packets) / seconds:,.0f}",
        )
    busy = f"workers {now.workers}, {100 * now.busy:.0f} % busy, {cycles(now, before)} cycles/packet"
    words = f"   up {now.uptime_s:,.0f} s   {busy}   entries {number(now.entries)}"
    head = Text.assemble(("ringfield top", "bold"), words)
    return Group(head, "", ports, "", pipes, "", balance_text(now))


@click.command()
@click.option("--interval", type=click.FloatRange(0.1, 60), default=1.0, show_default=True, help="Seconds.")
@click.option("--count", type=click.IntRange(0), default=0, help="Snapshots to show; 0: until interrupted.")
@pass_context
def top(context: Context, interval: float, count: int) -> None:
    """Rates of ports and pipes, live."""
    request = stats_service_pb2.WatchStatsRequest(interval_ms=int(interval * 1000), include_pipes=True)
    with (
        context.client() as client,
        Live(console=out, auto_refresh=False, screen=out.is_terminal and not count) as live,
    ):
        before: stats_pb2.Stats | None = None
        try:
            for index, response in enumerate(client.stats.WatchStats(request)):
                live.update(rates(response.stats, before or response.stats), refresh=True)
                before = response.stats
                if count and index + 1 >= count:
                    break
        except KeyboardInterrupt:
            return
