# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The probes of the pipeline demonstration: with real workloads in namespaces, or with injected packets on rings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.common import DEADLINE_SECONDS
from appliance.demo.pipeline_hosts import (
    BLOCKED_SECONDS,
    DATA,
    DATAGRAMS,
    PREP,
    SEND_SECONDS,
    SPINE,
    TRAIN,
    VNI,
    VTEP,
)
from appliance.demo.stage import SETTLE_SECONDS, Check
from appliance.rpc.client import Client
from appliance.run import frames
from appliance.run.frames import Host
from appliance.v1 import packet_pb2, packet_service_pb2, port_service_pb2

if TYPE_CHECKING:
    from appliance.demo.pipeline import PipelineDemo
    from appliance.run.workload import Workload


def with_namespaces(demo: PipelineDemo, stack: ExitStack) -> None:
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
    _allowed(demo, prep)
    _blocked(demo, prep, data, train)
    _datagrams(demo, prep, data, train)
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


def _allowed(demo: PipelineDemo, prep: Workload) -> None:
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


def _blocked(demo: PipelineDemo, prep: Workload, data: Workload, train: Workload) -> None:
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


def _datagrams(demo: PipelineDemo, prep: Workload, data: Workload, train: Workload) -> None:
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


def _try(source: Any, target: Host, port: int) -> Any:
    return source.call("get", host=target.address, port=port, timeout=BLOCKED_SECONDS)


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


class _Rings:
    """Injects frames, and looks where they come out."""

    def __init__(self, demo: PipelineDemo, stack: ExitStack) -> None:
        self.demo = demo
        self._collected: dict[str, list[bytes]] = {}
        self._wait = stack.enter_context(_collect(demo.client, self._collected))

    def _inject(self, port: str, given: list[bytes]) -> None:
        for seen in self._collected.values():
            seen.clear()
        request = packet_service_pb2.InjectPacketsRequest(port=port, frames=given)
        self.demo.client.packets.InjectPackets(request, timeout=DEADLINE_SECONDS)

    def check(self, what: str, expected: str, measured: str, good: bool, note: str = "") -> None:
        """A line of the result."""
        self.demo.checks.append(Check(what, expected, measured, good, note))

    def one(self, what: str, port: str, frame: bytes, expected: str, note: str = "") -> bytes | None:
        """Inject a frame, see where it comes out, compare; the frame that came out."""
        self._inject(port, [frame])
        self._wait(expected != "drop")
        where = [name for name, seen in self._collected.items() for _ in seen]
        measured = ", ".join(where) or "drop"
        self.check(what, expected, measured, measured == expected, note)
        return self._collected[expected][0] if expected in where else None

    def burst(self, port: str, given: list[bytes], out: str) -> tuple[int, float]:
        """Inject many; how many came out of a port, and in how many seconds."""
        started = time.monotonic()
        self._inject(port, given)
        self.demo.settled()
        seconds = time.monotonic() - started
        self._wait(False)
        return len(self._collected.get(out, [])), seconds


def with_rings(demo: PipelineDemo, stack: ExitStack) -> None:
    """The same pipeline on ring ports, judged by injected packets."""
    rings = _Rings(demo, stack)
    demo.section("Traffic   (injected packets, no root needed)")
    rings.one("prep → data:80 SYN", "pf0vf0", frames.tcp(PREP, DATA, 40000, 80), "pf0vf1")
    rings.one(
        "data:80 → prep SYN ACK",
        "pf0vf1",
        frames.tcp(DATA, PREP, 80, 40000, frames.SYN | frames.ACK),
        "pf0vf0",
    )
    _tunnelled(rings)
    rings.one("prep → data:22 SYN", "pf0vf0", frames.tcp(PREP, DATA, 40000, 22), "drop", "no entry for it")
    rings.one(
        "data → prep:80 SYN",
        "pf0vf1",
        frames.tcp(DATA, PREP, 40000, 80),
        "drop",
        "it may answer, not call",
    )
    rings.one("data:80 → prep SYN", "pf0vf1", frames.tcp(DATA, PREP, 80, 80), "drop", "looks like an answer")
    rings.one("data → train:8080 SYN", "pf0vf1", frames.tcp(DATA, TRAIN, 40000, 8080), "drop")
    rings.one(
        "train says it is prep",
        "pf0vf2",
        frames.tcp(PREP, DATA, 40000, 80),
        "drop",
        "wrong port for this address",
    )
    rings.one("train → data:9000 UDP", "pf0vf2", frames.udp(TRAIN, DATA, 40000, 9000), "drop")
    many = [frames.udp(PREP, DATA, 40000, 9000, b"telemetry %d" % number) for number in range(DATAGRAMS)]
    demo.meter_check(*rings.burst("pf0vf0", many, "pf0vf1"))
    demo.console.print(f"{len(demo.checks)} probes done")


def _tunnelled(rings: _Rings) -> None:
    """Into the tunnel, to the spine and back."""
    inner = frames.tcp(PREP, TRAIN, 40000, 8080)
    tunnelled = rings.one("prep → train:8080 SYN", "pf0vf0", inner, "p0", "into the tunnel")
    found = frames.vxlan(tunnelled) if tunnelled is not None else None
    rings.check(
        "it is VXLAN with the frame inside",
        f"VNI {VNI}, unchanged",
        f"VNI {found[0]}, {'unchanged' if found[1] == inner else 'changed'}" if found else "not VXLAN",
        found == (VNI, inner),
    )
    if tunnelled is not None:
        came = rings.one(
            "spine → train:8080 SYN",
            "p0",
            frames.routed(tunnelled, SPINE, VTEP),
            "pf0vf2",
            "out of the tunnel",
        )
        rings.check(
            "the frame came through",
            "unchanged",
            "unchanged" if came == inner else "changed",
            came == inner,
        )


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
