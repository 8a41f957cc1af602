# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield demo pipeline`: one DPU, three workloads, one pipeline; what connects, what does not, and why.

The set-up is examples/demo.yaml. Everything shown comes over gRPC, as any client would get it.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import click
from rich.console import Console
from rich.live import Live
from rich.panel import Panel

from appliance.cli import stats as stats_view
from appliance.cli import top
from appliance.cli.common import DEADLINE_SECONDS, err, out, print_json
from appliance.cli.pipe import pipes_table
from appliance.cli.port import ports_table
from appliance.cli.trace import trace_tree
from appliance.demo import pipeline_probes
from appliance.demo.pipeline_hosts import DATA, DATAGRAMS, METER_BURST, METER_RATE, PREP, TRAIN
from appliance.demo.stage import PREFIX, Check, Interrupts, Stage, example, interruptible, runtime_directory
from appliance.rpc.client import Client, calls
from appliance.run import frames
from appliance.run.config import RunConfig, read_config
from appliance.v1 import (
    entry_service_pb2,
    pipe_service_pb2,
    port_service_pb2,
    stats_pb2,
    stats_service_pb2,
    trace_pb2,
    trace_service_pb2,
)

PICTURE: Final = """\
[b]rf-prep[/]   10.77.0.1 ─ [cyan]pf0vf0[/] ─┐
                              ├─ [b]DPU[/] ─ [cyan]p0[/] ─ [b]rf-spine[/], a Linux router
[b]rf-data[/]   10.77.0.2 ─ [cyan]pf0vf1[/] ─┤               that sees only [magenta]VXLAN 100[/]
                              │
[b]rf-train[/]  10.77.0.3 ─ [cyan]pf0vf2[/] ─┘

[green]allowed[/]  prep → data:80 TCP       prep → train:8080 TCP, through VXLAN
[yellow]limited[/]  prep → data:9000 UDP     50 packets/s, burst 25
[red]dropped[/]  everything else"""


class PipelineDemo(Stage):
    """The pipeline demonstration, whichever way packets come."""

    def show_ports(self) -> None:
        """Ports and pipes, as `ringfield port list` and `ringfield pipe list` show them."""
        ports = self.client.ports.ListPorts(
            port_service_pb2.ListPortsRequest(), timeout=DEADLINE_SECONDS
        ).ports
        self.console.print(ports_table(list(ports), {}, {}))
        self.section("Pipeline   (ringfield pipe list)")
        pipes = self.client.pipes.ListPipes(
            pipe_service_pb2.ListPipesRequest(), timeout=DEADLINE_SECONDS
        ).pipes
        self.console.print(pipes_table(list(pipes)))

    def trace(self, port: str, frame: bytes) -> trace_pb2.Trace:
        """Where a frame would go."""
        request = trace_service_pb2.TracePacketRequest(port=port, frame=frame)
        return self.client.trace.TracePacket(request, timeout=DEADLINE_SECONDS).trace

    def show_traces(self) -> None:
        """Three packets on their way."""
        self.section("Where did my packet go, and why?   (ringfield trace)")
        for words, frame in (
            ("prep opens a connection to the dataset", frames.tcp(PREP, DATA, 40000, 80)),
            ("prep opens a connection to the training service", frames.tcp(PREP, TRAIN, 40000, 8080)),
            ("prep tries SSH to the dataset", frames.tcp(PREP, DATA, 40000, 22)),
        ):
            self.console.print(f"[italic]{words}[/]")
            self.console.print(trace_tree(self.trace("pf0vf0", frame), "pf0vf0", frame))
            self.console.print()

    def show_counters(self) -> None:
        """What was counted, and that nothing is missing."""
        stats = self.check_conservation()
        self.section("Live counters   (ringfield stats)")
        self.console.print(stats_view.ports_table(stats))
        self.console.print()
        self.console.print(stats_view.pipes_table(stats))
        self.console.print()
        self.console.print(stats_view.drops_table(stats))
        self.console.print()
        self.console.print(stats_view.balance_text(stats))

    def entry_hits(self, pipe: str) -> int:
        """Packets that hit the entries of a pipe."""
        request = entry_service_pb2.QueryEntriesRequest(pipe=pipe)
        answer = self.client.entries.QueryEntries(request, timeout=DEADLINE_SECONDS)
        return sum(counter.packets for counter in answer.counters)

    def meter_check(self, arrived: int, seconds: float) -> None:
        """Whether the meter let through what it should: its burst and its rate, within a tenth and a few packets."""
        ideal = min(DATAGRAMS, METER_BURST + METER_RATE * seconds)
        good = METER_BURST <= arrived <= 1.1 * ideal + 3
        self.checks.append(
            Check(
                f"prep → data:9000 UDP, {DATAGRAMS} datagrams in {seconds:.1f} s",
                f"about {ideal:.0f} arrive",
                f"{arrived} arrive",
                good,
                "meter",
            )
        )


@contextmanager
def live_counters(demo: PipelineDemo) -> Iterator[None]:
    """On a terminal: rates of ports and pipes while the block runs, as `ringfield top` shows them."""
    if not demo.console.is_terminal or demo.console.quiet:
        yield
        return
    request = stats_service_pb2.WatchStatsRequest(interval_ms=200, include_pipes=True)
    responses: Any = demo.client.stats.WatchStats(request)

    def show(view: Live) -> None:
        before: stats_pb2.Stats | None = None
        try:
            for response in responses:
                view.update(top.screen(top.view(response.stats, before or response.stats)), refresh=True)
                before = response.stats
        except Exception:  # the stream was cancelled: the block is over
            return

    with Live(console=demo.console, auto_refresh=False, transient=True) as view:
        thread = threading.Thread(target=show, args=(view,), name="live", daemon=True)
        thread.start()
        try:
            yield
        finally:
            responses.cancel()
            thread.join(2)


def rootless(config: RunConfig) -> RunConfig:
    """The same pipeline on ring ports."""

    def ring(options: Mapping[str, str]) -> dict[str, str]:
        return {
            "backend": "net_ring",
            **{key: value for key, value in options.items() if key in ("mac", "mtu")},
        }

    ports = tuple(dataclasses.replace(port, options=ring(port.options)) for port in config.ports)
    return dataclasses.replace(config, ports=ports, namespaces=())


def run(*, no_root: bool, quiet: bool, keep: bool, as_json: bool) -> bool:
    """Show it; whether everything was as expected. ``no_root``: on ring ports, with injected packets."""
    console = Console(quiet=quiet or as_json, highlight=False)
    if not no_root and os.geteuid() != 0:
        raise click.ClickException(
            "namespaces and taps need root: sudo ./ringfield demo pipeline, or ./ringfield demo pipeline --rootless"
            " for injected packets"
        )
    config = read_config(example("demo.yaml"))
    with ExitStack() as stack:
        interrupts = stack.enter_context(interruptible())
        directory = stack.enter_context(runtime_directory())
        grpc = dataclasses.replace(config.grpc, unix=directory / "ringfield.sock")
        config = dataclasses.replace(config, runtime_dir=directory, grpc=grpc)
        if no_root:
            config = rootless(config)
        try:
            return _run(
                config, console, stack, interrupts, no_root=no_root, keep=keep, as_json=as_json, quiet=quiet
            )
        finally:
            interrupts.over()


def _run(
    config: RunConfig,
    console: Console,
    stack: ExitStack,
    interrupts: Interrupts,
    *,
    no_root: bool,
    keep: bool,
    as_json: bool,
    quiet: bool,
) -> bool:
    from appliance.cli.run import set_up_logging
    from appliance.run.appliance import Appliance, sweep

    set_up_logging("text", level="error")
    console.print(
        Panel(PICTURE, title="Ringfield: a BlueField DPU in software", border_style="cyan", expand=False)
    )
    try:
        if not no_root and sweep(f"{PREFIX}*", [space.name for space in config.namespaces]):
            console.print("took down what a killed demonstration had left", style="dim")
        started = time.monotonic()
        with console.status("starting the fast path"), interrupts.later():
            appliance = stack.enter_context(Appliance(config))
        console.print(
            f"fast path (pid {appliance.fastpath_pid}), 4 ports and {len(config.pipes)} pipes"
            f" in force after {time.monotonic() - started:.1f} s"
        )
        target = f"unix:{config.grpc.unix}"
        with calls(target), Client(target) as client, ExitStack() as inner:
            running = PipelineDemo(client, console)
            running.section("Ports   (ringfield port list)")
            running.show_ports()
            running.show_traces()
            with live_counters(running):
                (pipeline_probes.with_rings if no_root else pipeline_probes.with_namespaces)(running, inner)
            running.show_counters()
            if quiet and not as_json:
                running.console = out
            good = running.judge()
            if as_json:
                print_json({"good": good, "checks": [dataclasses.asdict(check) for check in running.checks]})
            if keep:
                out.print(f"Running until Ctrl-C: ./ringfield --target {config.grpc.unix} pipe show")
                signal.pause()
            return good
    except KeyboardInterrupt:
        err.print("interrupted: cleaning up", style="dim")
        return keep
