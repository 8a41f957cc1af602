# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield stats`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

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


CACHE_ROWS: Final = {
    "room": "walks that there is room for",
    "walks": "held now",
    "hits": "look-ups that found one",
    "misses": "look-ups that found none",
    "connections": "packets whose connection knew its walk",
    "recorded": "walks recorded",
    "given": "connections that were given walks",
    "changed": "invalid: a pipe on the way has changed",
    "evicted": "invalid: given up for others",
    "widened": "times that some were invalid: others depend on more",
    "emptied": "times that all were given up",
    "forgotten": "times that connections lost theirs",
    "refused": "not recorded: the cache is full",
    "idle": "times that a start was left alone for a while",
}


def hit_rate(caches: Iterable[stats_pb2.CacheStats]) -> float | None:
    """Share of the look-ups that found a walk, of connections' own too; None without any."""
    found = looked = 0
    for one in caches:
        found += one.hits + one.connections
        looked += one.hits + one.connections + one.misses
    return found / looked if looked else None


def cache_table(caches: Sequence[stats_pb2.CacheStats]) -> Table:
    """A column for each worker."""
    columns = [f"worker {worker}" for worker in range(len(caches))]
    made = table("recorded walks", *columns, right=columns)
    for name, text in CACHE_ROWS.items():
        made.add_row(text, *(number(getattr(one, name)) for one in caches))
    rates = [hit_rate((one,)) for one in caches]
    made.add_row("[bold]hit rate[/]", *("-" if rate is None else f"[bold]{rate:.1%}[/]" for rate in rates))
    return made


@click.group(invoke_without_command=True)
@click.option("--pipes/--no-pipes", default=True, show_default=True, help="With hits and misses of pipes.")
@click.pass_context
def stats(click_context: click.Context, pipes: bool) -> None:
    """Counters of ports, pipes and drops, once."""
    if click_context.invoked_subcommand is not None:
        return
    context = click_context.ensure_object(Context)
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


@stats.command("cache")
@pass_context
def stats_cache(context: Context) -> None:
    """The flow cache of each worker: hits, misses, why walks became invalid, room."""
    with context.client() as client:
        response = client.stats.GetStats(stats_service_pb2.GetStatsRequest(), timeout=context.timeout)
    shown = stats_pb2.Stats(
        timestamp_ns=response.stats.timestamp_ns,
        uptime_s=response.stats.uptime_s,
        workers=response.stats.workers,
        caches=response.stats.caches,
    )
    context.show(shown, lambda: cache_table(shown.caches))
