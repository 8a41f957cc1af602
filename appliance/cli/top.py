# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield top`: what the appliance does right now, in 80 columns."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from appliance.cli.common import Context, number, out, pass_context, print_json, table
from appliance.cli.stats import conservation, hit_rate
from appliance.rpc.client import Client
from appliance.v1 import observer_pb2, observer_service_pb2, stats_pb2, stats_service_pb2

RECORDS_SECONDS: Final = 12.0
"""Records of so long are looked at for identities: a live connection tells of itself every 10 s, if
not set otherwise."""
LOOK_SECONDS: Final = 3.0
"""Between two such looks: they cost the appliance something."""
WIDTH: Final = 28
"""Of names; the rest of 80 columns is for figures."""
BAR: Final = 78
COLOURS: Final = ("blue", "cyan", "green", "yellow", "magenta", "red", "white")
DENIED: Final = (observer_pb2.FLOW_VERDICT_DROP, observer_pb2.FLOW_VERDICT_REJECT)


@dataclass(frozen=True, slots=True)
class PortRate:
    """Of one port, per second."""

    port: str
    packets_in: float
    bits_in: float
    packets_out: float
    bits_out: float
    dropped: float


@dataclass(frozen=True, slots=True)
class PipeRate:
    """Of one pipe, packets per second."""

    pipe: str
    entries: int
    hits: float
    misses: float


@dataclass(frozen=True, slots=True)
class Busy:
    """An identity in the records of the last seconds: connections that it has or had, denials, and what those
    connections moved in their whole lives, both directions.
    """

    identity: str
    connections: int
    denied: int
    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class View:
    """What happened between two snapshots; rates are per second."""

    seconds: float
    uptime_s: float
    workers: int
    busy: float
    """Share of the workers' cycles that handled packets, 0 to 1."""
    packets: float
    dropped: float
    cycles_per_packet: float | None
    stages: dict[str, float]
    """Cycles per packet by stage, of the turns that were watched; empty without any."""
    cache_hits: float | None
    """Share of the look-ups in the flow cache that found a walk, 0 to 1; None without any."""
    live: int
    opened: float
    closed: float
    denied: float
    entries: int
    buffers_free: int
    buffers: int
    unaccounted: int
    """What the conservation law misses, in packets: those in flight."""
    revision: int
    ports: tuple[PortRate, ...]
    pipes: tuple[PipeRate, ...]
    """The busiest first."""
    identities: tuple[Busy, ...] = ()
    """The busiest first."""


def handled(stats: stats_pb2.Stats) -> int:
    """Packets that the workers have taken."""
    return sum(
        port.received.packets + port.injected.packets + port.transmitted.packets for port in stats.ports
    )


def _share(now: stats_pb2.Stats, before: stats_pb2.Stats) -> float:
    """Of the workers' cycles between two snapshots; since the start, should they not tell."""
    if not now.busy or not before.busy:
        return now.busy
    total = now.cycles_busy / now.busy - before.cycles_busy / before.busy
    return min(1.0, (now.cycles_busy - before.cycles_busy) / total) if total > 0 else now.busy


def _stages(now: stats_pb2.Stats, before: stats_pb2.Stats) -> dict[str, float]:
    packets = now.stages.packets - before.stages.packets
    earlier = {one.stage: one.cycles for one in before.stages.cycles}
    if packets <= 0:
        return {}
    return {one.stage: (one.cycles - earlier.get(one.stage, 0)) / packets for one in now.stages.cycles}


def _cache_hits(now: stats_pb2.Stats, before: stats_pb2.Stats) -> float | None:
    grown = []
    for one, was in zip(now.caches, before.caches, strict=False):
        counts = {name: getattr(one, name) - getattr(was, name) for name in ("hits", "misses", "connections")}
        if min(counts.values()) < 0:
            return None
        grown.append(stats_pb2.CacheStats(**counts))
    return hit_rate(grown)


def _ports(now: stats_pb2.Stats, before: stats_pb2.Stats, seconds: float) -> Iterator[PortRate]:
    earlier = {port.port: port for port in before.ports}
    for port in now.ports:
        was = earlier.get(port.port, stats_pb2.PortStats())
        came = port.received.packets + port.injected.packets - was.received.packets - was.injected.packets
        size = port.received.bytes + port.injected.bytes - was.received.bytes - was.injected.bytes
        yield PortRate(
            port.port,
            came / seconds,
            8 * size / seconds,
            (port.sent.packets - was.sent.packets) / seconds,
            8 * (port.sent.bytes - was.sent.bytes) / seconds,
            (port.dropped.packets - was.dropped.packets) / seconds,
        )


def _pipes(now: stats_pb2.Stats, before: stats_pb2.Stats, seconds: float) -> list[PipeRate]:
    earlier = {pipe.pipe: pipe for pipe in before.pipes}
    rates = []
    for pipe in now.pipes:
        was = earlier.get(pipe.pipe, stats_pb2.PipeStats())
        hits, misses = pipe.hits.packets - was.hits.packets, pipe.misses.packets - was.misses.packets
        rates.append(PipeRate(pipe.pipe, pipe.entries, hits / seconds, misses / seconds))
    return sorted(rates, key=lambda one: -(one.hits + one.misses))


def identities(edges: Iterable[observer_pb2.FlowEdge]) -> tuple[Busy, ...]:
    """Both ends of every edge, added up, those with most bytes first."""
    sums: dict[str, list[int]] = {}
    for edge in edges:
        denied = edge.verdict in DENIED
        for name in {edge.source, edge.destination}:
            row = sums.setdefault(name, [0, 0, 0, 0])
            row[1 if denied else 0] += edge.connections
            row[2] += edge.initiator_packets + edge.responder_packets
            row[3] += edge.initiator_bytes + edge.responder_bytes
    made = [Busy(name, *row) for name, row in sums.items()]
    return tuple(sorted(made, key=lambda one: (-one.bytes, -one.connections - one.denied, one.identity)))


def view(now: stats_pb2.Stats, before: stats_pb2.Stats, busiest: Sequence[Busy] = ()) -> View:
    """What happened between two snapshots."""
    seconds = max((now.timestamp_ns - before.timestamp_ns) / 1e9, 1e-3)
    packets = handled(now) - handled(before)
    ports = tuple(_ports(now, before, seconds))
    ct, was = now.connections, before.connections
    return View(
        seconds=seconds,
        uptime_s=now.uptime_s,
        workers=now.workers,
        busy=_share(now, before),
        packets=packets / seconds,
        dropped=sum(port.dropped for port in ports),
        cycles_per_packet=(now.cycles_busy - before.cycles_busy) / packets if packets > 0 else None,
        stages=_stages(now, before),
        cache_hits=_cache_hits(now, before),
        live=ct.live,
        opened=(ct.opened - was.opened) / seconds,
        closed=(ct.closed - was.closed) / seconds,
        denied=(ct.denied_packets - was.denied_packets) / seconds,
        entries=now.entries,
        buffers_free=now.mbufs_free,
        buffers=now.mbufs_total,
        unaccounted=conservation(now),
        revision=now.revision,
        ports=ports,
        pipes=tuple(_pipes(now, before, seconds)),
        identities=tuple(busiest),
    )


# -- the screen


def short(value: float) -> str:
    """Four digits at most: 0, 12, 1,234, 12.3 k, 4.56 M."""
    if value < 9999.5:
        return f"{value:,.0f}"
    for unit in ("k", "M", "G"):
        value /= 1000
        if value < 999.5 or unit == "G":
            return f"{value:.3g} {unit}" if value < 99.95 else f"{value:.0f} {unit}"
    raise AssertionError


def _cut(name: str, width: int = WIDTH) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"


def _bar(stages: dict[str, float]) -> Text:
    """Each stage as long as its part of the time."""
    total = sum(stages.values())
    made = Text()
    for cycles, colour in zip(stages.values(), itertools.cycle(COLOURS), strict=False):
        made.append("█" * (round(BAR * cycles / total) if total else 0), style=colour)
    return made


def _head(now: View) -> list[Text]:
    up = int(now.uptime_s)
    lines = [
        Text.assemble(
            ("ringfield top", "bold"),
            f"   up {up // 3600}:{up // 60 % 60:02d}:{up % 60:02d}"
            f"   {now.workers} worker{'s' if now.workers != 1 else ''} {now.busy:.0%} busy"
            f"   {now.entries:,} entries   revision {now.revision}",
        ),
        Text.assemble(
            f"{short(now.packets)} packets/s   ",
            (f"{short(now.dropped)} dropped/s", "red" if now.dropped else ""),
            f"   {'-' if now.cycles_per_packet is None else short(now.cycles_per_packet)} cycles/packet"
            f"   buffers {short(now.buffers_free)}/{short(now.buffers)} free",
        ),
        Text.assemble(
            f"{now.live:,} connections   +{short(now.opened)}/s  -{short(now.closed)}/s   ",
            (f"{short(now.denied)} packets/s denied", "red" if now.denied else ""),
            "" if now.cache_hits is None else f"   cache {now.cache_hits:.0%}",
            (f"   {now.unaccounted:+,} in flight", "yellow") if now.unaccounted else "",
        ),
    ]
    if now.stages:
        legend = Text()
        for (name, cycles), colour in zip(now.stages.items(), itertools.cycle(COLOURS), strict=False):
            legend.append(f"{name} {short(cycles)}  ", style=colour)
        lines += [legend, _bar(now.stages)]
    return lines


def _ports_table(now: View) -> Table:
    columns = ["in/s", "in bit/s", "out/s", "out bit/s", "dropped/s"]
    made = table("port", *columns, right=columns)
    for port in now.ports:
        made.add_row(
            Text(_cut(port.port), style="bold"),
            *map(short, (port.packets_in, port.bits_in, port.packets_out, port.bits_out)),
            Text(short(port.dropped), style="red" if port.dropped else ""),
        )
    return made


def screen(now: View, rows: int = 8) -> Group:
    """Everything, for 80 columns; ``rows``: of pipes, and of identities."""
    parts: list[object] = [*_head(now), "", _ports_table(now)]
    if now.pipes:
        pipes = table(
            "busiest pipes", "entries", "hits/s", "misses/s", right=["entries", "hits/s", "misses/s"]
        )
        for pipe in now.pipes[:rows]:
            cells = number(pipe.entries), short(pipe.hits), short(pipe.misses)
            pipes.add_row(Text(_cut(pipe.pipe), style="bold"), *cells)
        parts += ["", pipes]
    if now.identities:
        columns = ["connections", "denied", "packets", "bytes"]
        busiest = table("busiest identities", *columns, right=columns)
        for one in now.identities[:rows]:
            counts = number(one.connections), number(one.denied), short(one.packets), short(one.bytes)
            busiest.add_row(Text(_cut(one.identity), style="bold"), *counts)
        parts += ["", busiest, Text("in flow records of the last seconds; whole connections", style="dim")]
    return Group(*parts)  # type: ignore[arg-type]


# -- the command


class _Identities:
    """Asks who is busy, not more often than every few seconds."""

    def __init__(self, client: Client, timeout: float) -> None:
        self._client, self._timeout = client, timeout
        self._due = 0.0
        self._found: tuple[Busy, ...] = ()

    def __call__(self) -> tuple[Busy, ...]:
        if time.monotonic() >= self._due:
            request = observer_service_pb2.GetFlowStatsRequest(
                since_ns=time.time_ns() - int(RECORDS_SECONDS * 1e9),
                group_by="identity",
                without_services=True,
            )
            answer = self._client.observer.GetFlowStats(request, timeout=self._timeout)
            self._found = identities(answer.edges)
            self._due = time.monotonic() + LOOK_SECONDS
        return self._found


def _views(client: Client, context: Context, interval: float, *, with_identities: bool) -> Iterator[View]:
    request = stats_service_pb2.WatchStatsRequest(interval_ms=int(interval * 1000), include_pipes=True)
    busiest = _Identities(client, context.timeout) if with_identities else tuple
    snapshots = client.stats.WatchStats(request)
    try:
        before: stats_pb2.Stats | None = None
        for response in snapshots:
            if before is not None:
                yield view(response.stats, before, busiest())
            before = response.stats
    finally:
        snapshots.cancel()


@click.command()
@click.option("--interval", type=click.FloatRange(0.1, 60), default=1.0, show_default=True, help="Seconds.")
@click.option("--count", type=click.IntRange(0), default=0, help="Screens to show; 0: until interrupted.")
@click.option("--once", is_flag=True, help="One screen, after one interval: for scripts.")
@click.option("--rows", type=click.IntRange(0, 1000), default=8, show_default=True, help="Pipes; identities.")
@click.option(
    "--identities/--no-identities", "who", default=True, help="Look at flow records.  [default: yes]"
)
@click.option(
    "--json", "as_json", is_flag=True, help="For programs: an object, or without --once one a line."
)
@pass_context
def top(
    context: Context, interval: float, count: int, once: bool, rows: int, who: bool, as_json: bool
) -> None:
    """Rates, where the cycles go, the busiest pipes and identities, live."""
    count = 1 if once else count
    for_programs = as_json or context.json
    try:
        with context.client() as client:
            views = _views(client, context, interval, with_identities=who)
            shown = itertools.islice(views, count or None)
            if for_programs:
                for one in shown:
                    if once:
                        print_json(asdict(one))
                    else:
                        sys.stdout.write(json.dumps(asdict(one)) + "\n")
                        sys.stdout.flush()
            elif once:
                for one in shown:
                    out.print(screen(one, rows))
            else:
                with Live(console=out, auto_refresh=False, screen=out.is_terminal and not count) as live:
                    for one in shown:
                        live.update(screen(one, rows), refresh=True)
    except KeyboardInterrupt:
        return
