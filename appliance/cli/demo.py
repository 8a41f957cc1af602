# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield demo`: one DPU, three workloads, one pipeline; what connects, what does not, and why.

The set-up is examples/demo.yaml. Everything shown comes over gRPC, as any client would get it.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from appliance.cli import stats as stats_view
from appliance.cli.common import DEADLINE_SECONDS, err, out, print_json, table
from appliance.cli.pipe import pipes_table
from appliance.cli.port import ports_table
from appliance.cli.trace import trace_tree
from appliance.rpc.client import Client, calls
from appliance.run import frames
from appliance.run.config import RunConfig, read_config
from appliance.run.frames import Host
from appliance.v1 import (
    entry_service_pb2,
    packet_pb2,
    packet_service_pb2,
    pipe_service_pb2,
    port_service_pb2,
    stats_pb2,
    stats_service_pb2,
    trace_pb2,
    trace_service_pb2,
)

PREFIX: Final = "ringfield-demo-"
PREP: Final = Host("02:00:00:00:00:01", "10.77.0.1")
DATA: Final = Host("02:00:00:00:00:02", "10.77.0.2")
TRAIN: Final = Host("02:00:00:00:00:03", "10.77.0.3")
SPINE: Final = Host("02:00:00:00:00:fe", "192.0.2.254")
VTEP: Final = Host("02:00:00:00:01:02", "192.0.2.2")
VNI: Final = 100

METER_RATE: Final = 50
METER_BURST: Final = 25
DATAGRAMS: Final = 200
SEND_SECONDS: Final = 0.5
BLOCKED_SECONDS: Final = 0.8
SETTLE_SECONDS: Final = 3.0

PICTURE: Final = """\
[b]rf-prep[/]   10.77.0.1 ─ [cyan]pf0vf0[/] ─┐
                              ├─ [b]DPU[/] ─ [cyan]p0[/] ─ [b]rf-spine[/], a Linux router
[b]rf-data[/]   10.77.0.2 ─ [cyan]pf0vf1[/] ─┤               that sees only [magenta]VXLAN 100[/]
                              │
[b]rf-train[/]  10.77.0.3 ─ [cyan]pf0vf2[/] ─┘

[green]allowed[/]  prep → data:80 TCP       prep → train:8080 TCP, through VXLAN
[yellow]limited[/]  prep → data:9000 UDP     50 packets/s, burst 25
[red]dropped[/]  everything else"""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the judgement."""

    what: str
    expected: str
    measured: str
    good: bool
    note: str = ""


class Demo:
    """What both kinds of demonstration share: a running appliance, a client, a console, a judgement."""

    def __init__(self, client: Client, console: Console) -> None:
        self.client = client
        self.console = console
        self.checks: list[Check] = []

    def section(self, title: str) -> None:
        """A heading."""
        self.console.print()
        self.console.print(Rule(Text(title, style="bold"), align="left", style="dim"))

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

    def stats(self) -> stats_pb2.Stats:
        """A snapshot."""
        request = stats_service_pb2.GetStatsRequest(include_pipes=True)
        return self.client.stats.GetStats(request, timeout=DEADLINE_SECONDS).stats

    def show_counters(self) -> None:
        """What was counted, and that nothing is missing."""
        stats = self.stats()
        end = time.monotonic() + SETTLE_SECONDS
        while stats_view.conservation(stats) and time.monotonic() < end:
            time.sleep(0.05)
            stats = self.stats()
        self.section("Live counters   (ringfield stats)")
        self.console.print(stats_view.ports_table(stats))
        self.console.print()
        self.console.print(stats_view.pipes_table(stats))
        self.console.print()
        self.console.print(stats_view.drops_table(stats))
        self.console.print()
        self.console.print(stats_view.balance_text(stats))
        missing = stats_view.conservation(stats)
        packets = sum(port.received.packets + port.injected.packets for port in stats.ports)
        self.checks.append(
            Check(
                "every packet is accounted for",
                "0 missing",
                f"{missing:+d} of {packets:,}" if missing else f"0 missing of {packets:,}",
                not missing,
            )
        )

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

    def judge(self) -> bool:
        """The table of expected against measured; whether all is as expected."""
        self.section("Judgement")
        wide = self.console.width >= 100
        made = table("", "what", "expected", "measured", *([""] if wide else []))
        for check in self.checks:
            mark = "[green]✔[/]" if check.good else "[bold red]✘[/]"
            style = "" if check.good else "bold red"
            cells: list[str | Text] = [mark, check.what, check.expected, Text(check.measured, style=style)]
            made.add_row(*cells, *([f"[dim]{check.note}[/]"] if wide else []))
        self.console.print(made)
        good = all(check.good for check in self.checks)
        number = len(self.checks)
        self.console.print()
        self.console.print(
            f"[bold green]All {number} as expected.[/]"
            if good
            else f"[bold red]{sum(not c.good for c in self.checks)} of {number} not as expected.[/]"
        )
        return good


# --- with real workloads ----------------------------------------------------------------------------------------


def with_namespaces(demo: Demo, stack: ExitStack) -> None:
    """Real servers and clients in three namespaces."""
    from appliance.run.workload import Workload

    prep, data, train = (stack.enter_context(Workload(name)) for name in ("rf-prep", "rf-data", "rf-train"))
    for workload, port, name in (
        (data, 80, "dataset"),
        (data, 22, "dataset's ssh"),
        (train, 8080, "training service"),
        (train, 22, "training's ssh"),
        (prep, 80, "prep's own server"),
    ):
        answer = workload.do("serve_tcp", port=port, name=name)
        if not answer["ok"]:
            raise click.ClickException(f"cannot serve port {port} in {workload.namespace}: {answer['why']}")
    data.do("serve_udp", port=9000)

    demo.section("Traffic   (real servers and clients in the namespaces)")
    allowed: list[tuple[str, Any]] = [
        ("prep → data:80 TCP", prep.call("get", host=DATA.address, port=80, size=1_000_000, timeout=5.0)),
        (
            "prep → train:8080 TCP, through VXLAN",
            prep.call("get", host=TRAIN.address, port=8080, size=1_000_000, timeout=5.0),
        ),
    ]
    for what, future in allowed:
        answer = future.result()
        if answer["ok"]:
            rate = 8 * answer["bytes"] / max(answer["seconds"], 1e-6) / 1e6
            measured = f"in {answer['connect_ms']:.1f} ms, then {rate:,.0f} Mbit/s"
        else:
            measured = answer.get("why", "wrong answer")
        demo.checks.append(Check(what, "connects", measured, answer["ok"], answer.get("name", "")))
    blocked: list[tuple[str, Any, str]] = [
        ("prep → data:22 TCP", _try(prep, DATA, 22), "no entry for it"),
        ("prep → train:22 TCP", _try(prep, TRAIN, 22), "no entry for it"),
        ("data → prep:80 TCP", _try(data, PREP, 80), "it may answer, not call"),
        ("data → train:8080 TCP", _try(data, TRAIN, 8080), "no entry for it"),
        ("train → data:80 TCP", _try(train, DATA, 80), "no entry for it"),
        (
            "data → prep:80 TCP from port 80",
            data.call("get", host=PREP.address, port=80, source_port=80, timeout=BLOCKED_SECONDS),
            "a SYN is no answer",
        ),
    ]
    for what, future, note in blocked:
        answer = future.result()
        measured = "CONNECTS" if answer["ok"] else answer["why"]
        demo.checks.append(Check(what, "no answer", measured, measured == "no answer", note))
    seconds = prep.do("send_udp", host=DATA.address, port=9000, count=DATAGRAMS, seconds=SEND_SECONDS)[
        "seconds"
    ]
    time.sleep(0.1)
    demo.meter_check(data.do("count_udp", port=9000)["count"], seconds)
    before = data.do("count_udp", port=9000)["count"]
    train.do("send_udp", host=DATA.address, port=9000, count=10, seconds=0.05)
    time.sleep(0.1)
    more = data.do("count_udp", port=9000)["count"] - before
    demo.checks.append(Check("train → data:9000 UDP", "0 of 10 arrive", f"{more} of 10 arrive", more == 0))
    there, back = demo.entry_hits("to_spine"), demo.entry_hits("from_spine")
    demo.checks.append(
        Check(
            "the spine carried VXLAN",
            "as many in as out",
            f"{there:,} packets out, {back:,} in",
            0 < there == back,
            f"VNI {VNI}",
        )
    )
    demo.console.print(f"{len(demo.checks)} probes done")


def _try(source: Any, target: Host, port: int) -> Any:
    return source.call("get", host=target.address, port=port, timeout=BLOCKED_SECONDS)


# --- without root -----------------------------------------------------------------------------------------------


class Wire:
    """What ring ports send, collected from a stream."""

    def __init__(self, client: Client) -> None:
        request = packet_service_pb2.ReceivePacketsRequest(points=[packet_pb2.PACKET_POINT_WIRE])
        self.client = client
        self._responses: Any = client.packets.ReceivePackets(request)
        next(self._responses)
        self._iterator: Iterator[Any] = iter(self._responses)

    def send(self, port: str, *given: bytes) -> None:
        """Frames as if received on a port."""
        request = packet_service_pb2.InjectPacketsRequest(port=port, frames=given)
        self.client.packets.InjectPackets(request, timeout=DEADLINE_SECONDS)

    def close(self) -> None:
        """End the stream."""
        self._responses.cancel()


def settled(demo: Demo) -> stats_pb2.Stats:
    """A snapshot in which no packet is on its way: every one that came in has an end."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        stats = demo.stats()
        if not stats_view.conservation(stats) or time.monotonic() > end:
            return stats
        time.sleep(0.01)


def with_rings(demo: Demo, stack: ExitStack) -> None:
    """The same pipeline on ring ports, judged by injected packets."""
    collected: dict[str, list[bytes]] = {}
    collector = stack.enter_context(_collect(demo.client, collected))

    def one(what: str, port: str, frame: bytes, expected: str, note: str = "") -> bytes | None:
        """Inject a frame, see where it comes out, compare; the frame that came out."""
        for seen in collected.values():
            seen.clear()
        request = packet_service_pb2.InjectPacketsRequest(port=port, frames=[frame])
        demo.client.packets.InjectPackets(request, timeout=DEADLINE_SECONDS)
        collector(expected != "drop")
        where = [name for name, seen in collected.items() for _ in seen]
        measured = ", ".join(where) or "drop"
        demo.checks.append(Check(what, expected, measured, measured == expected, note))
        return collected[expected][0] if expected in where else None

    demo.section("Traffic   (injected packets, no root needed)")
    one("prep → data:80 SYN", "pf0vf0", frames.tcp(PREP, DATA, 40000, 80), "pf0vf1")
    one(
        "data:80 → prep SYN ACK",
        "pf0vf1",
        frames.tcp(DATA, PREP, 80, 40000, frames.SYN | frames.ACK),
        "pf0vf0",
    )
    inner = frames.tcp(PREP, TRAIN, 40000, 8080)
    tunnelled = one("prep → train:8080 SYN", "pf0vf0", inner, "p0", "into the tunnel")
    found = frames.vxlan(tunnelled) if tunnelled is not None else None
    demo.checks.append(
        Check(
            "it is VXLAN with the frame inside",
            f"VNI {VNI}, unchanged",
            f"VNI {found[0]}, {'unchanged' if found[1] == inner else 'changed'}" if found else "not VXLAN",
            found == (VNI, inner),
        )
    )
    if tunnelled is not None:
        came = one(
            "spine → train:8080 SYN",
            "p0",
            frames.routed(tunnelled, SPINE, VTEP),
            "pf0vf2",
            "out of the tunnel",
        )
        demo.checks.append(
            Check(
                "the frame came through",
                "unchanged",
                "unchanged" if came == inner else "changed",
                came == inner,
            )
        )
    one("prep → data:22 SYN", "pf0vf0", frames.tcp(PREP, DATA, 40000, 22), "drop", "no entry for it")
    one(
        "data → prep:80 SYN",
        "pf0vf1",
        frames.tcp(DATA, PREP, 40000, 80),
        "drop",
        "it may answer, not call",
    )
    one("data:80 → prep SYN", "pf0vf1", frames.tcp(DATA, PREP, 80, 80), "drop", "looks like an answer")
    one("data → train:8080 SYN", "pf0vf1", frames.tcp(DATA, TRAIN, 40000, 8080), "drop")
    one(
        "train says it is prep",
        "pf0vf2",
        frames.tcp(PREP, DATA, 40000, 80),
        "drop",
        "wrong port for this address",
    )
    one("train → data:9000 UDP", "pf0vf2", frames.udp(TRAIN, DATA, 40000, 9000), "drop")

    for seen in collected.values():
        seen.clear()
    started = time.monotonic()
    burst = [frames.udp(PREP, DATA, 40000, 9000, b"telemetry %d" % number) for number in range(DATAGRAMS)]
    request = packet_service_pb2.InjectPacketsRequest(port="pf0vf0", frames=burst)
    demo.client.packets.InjectPackets(request, timeout=DEADLINE_SECONDS)
    settled(demo)
    seconds = time.monotonic() - started
    collector(False)
    demo.meter_check(len(collected.get("pf0vf1", [])), seconds)
    demo.console.print(f"{len(demo.checks)} probes done")


@contextmanager
def _collect(client: Client, collected: dict[str, list[bytes]]) -> Iterator[Callable[[bool], None]]:
    """Fill ``collected`` with what ring ports send; the function waits until it came, or surely did not."""
    ports = client.ports.ListPorts(port_service_pb2.ListPortsRequest(), timeout=DEADLINE_SECONDS).ports
    collected.update({port.name: [] for port in ports})
    wire = Wire(client)
    arrived = threading.Condition()

    def read() -> None:
        try:
            for response in wire._iterator:
                with arrived:
                    for packet in response.packets:
                        collected[packet.port].append(packet.frame)
                    arrived.notify_all()
        except Exception:  # the stream was cancelled: the demonstration is over
            return

    def wait(something: bool) -> None:
        with arrived:
            if something:
                arrived.wait_for(lambda: any(collected.values()), SETTLE_SECONDS)
            arrived.wait(0.15)

    thread = threading.Thread(target=read, name="wire", daemon=True)
    thread.start()
    try:
        yield wait
    finally:
        wire.close()
        thread.join(2)


@contextmanager
def live_counters(demo: Demo) -> Iterator[None]:
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
                view.update(stats_view.rates(response.stats, before or response.stats), refresh=True)
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


# --- the command ------------------------------------------------------------------------------------------------


def demo_file() -> Path:
    """examples/demo.yaml: in the source tree, or installed with the package."""
    here = Path(__file__).resolve().parents[2] / "examples" / "demo.yaml"
    if here.is_file():
        return here
    with importlib.resources.as_file(importlib.resources.files("appliance.run") / "demo.yaml") as path:
        return path


def rootless(config: RunConfig) -> RunConfig:
    """The same pipeline on ring ports."""

    def ring(options: Mapping[str, str]) -> dict[str, str]:
        return {
            "backend": "net_ring",
            **{key: value for key, value in options.items() if key in ("mac", "mtu")},
        }

    ports = tuple(dataclasses.replace(port, options=ring(port.options)) for port in config.ports)
    return dataclasses.replace(config, ports=ports, namespaces=())


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that everything is cleaned up."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.command()
@click.option(
    "--rootless", "no_root", is_flag=True, help="On ring ports with injected packets: no root, no taps."
)
@click.option("--quiet", is_flag=True, help="Only the judgement.")
@click.option("--keep", is_flag=True, help="Leave it running until Ctrl-C, to play with.")
@click.pass_obj
def demo(context: Any, no_root: bool, quiet: bool, keep: bool) -> None:
    """Three workloads, one DPU, one pipeline: what connects, what does not, and why."""
    as_json = bool(context and context.json)
    console = Console(quiet=quiet or as_json, highlight=False)
    if not no_root and os.geteuid() != 0:
        raise click.ClickException(
            "namespaces and taps need root: sudo ./ringfield demo, or ./ringfield demo --rootless for injected packets"
        )
    config = read_config(demo_file())
    with ExitStack() as stack:
        stack.enter_context(interruptible())
        directory = Path(tempfile.mkdtemp(prefix=PREFIX))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        grpc = dataclasses.replace(config.grpc, unix=directory / "ringfield.sock")
        config = dataclasses.replace(config, runtime_dir=directory, grpc=grpc)
        if no_root:
            config = rootless(config)
        good = _run(config, console, stack, no_root=no_root, keep=keep, as_json=as_json, quiet=quiet)
    raise SystemExit(0 if good else 1)


def _run(
    config: RunConfig,
    console: Console,
    stack: ExitStack,
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
        with console.status("starting the fast path"):
            appliance = stack.enter_context(Appliance(config))
        console.print(
            f"fast path (pid {appliance.fastpath_pid}), 4 ports and {len(config.pipes)} pipes"
            f" in force after {time.monotonic() - started:.1f} s"
        )
        target = f"unix:{config.grpc.unix}"
        with calls(target), Client(target) as client, ExitStack() as inner:
            running = Demo(client, console)
            running.section("Ports   (ringfield port list)")
            running.show_ports()
            running.show_traces()
            with live_counters(running):
                (with_rings if no_root else with_namespaces)(running, inner)
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
