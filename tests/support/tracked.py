# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A segmentation program in small on ring ports, around an autonomous CT pipe; its records go to a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from typing import Any

from appliance.flow import Dpu, Entry, Pipe
from appliance.flow.types import (
    Actions,
    CtConfig,
    CtTimeouts,
    Fwd,
    FwdChangeable,
    FwdDrop,
    FwdPipe,
    FwdPort,
    Match,
    PipeSpec,
    PipeType,
)
from appliance.run.frames import ACK, SYN, Host, tcp
from appliance.telemetry import Telemetry, render
from tests.support.fastpath import wait_for
from tests.support.flows import ZONE

FIN, RST, PSH = 0x01, 0x04, 0x08
CLIENT = Host("02:00:00:00:00:01", "10.0.0.1")
SERVER = Host("02:00:00:00:00:02", "10.0.0.2")
IDENTITIES = {CLIENT.address: 16 << 2, SERVER.address: 17 << 2}
PORTS = {CLIENT.address: ("pf0vf0", 1), SERVER.address: ("pf0vf1", 2)}
SRC, DST, SERVICE = "outer.ipv4.src_ip", "outer.ipv4.dst_ip", "outer.transport.dst_port"


class Tracked:
    """Ports p0, pf0vf0 (CLIENT), pf0vf1 (SERVER), and what the policy says by target port."""

    def __init__(self, dpu: Dpu, telemetry: Telemetry, default_tag: int) -> None:
        self.dpu, self.telemetry = dpu, telemetry
        self.rules: dict[int, Entry] = {}
        port = dpu.port_start("p0", 0)
        for name, number in PORTS.values():
            dpu.port_start(name, number)
        self._pipes: list[Pipe] = []

        def pipe(name: str, **members: Any) -> Pipe:
            made = port.pipe_create(PipeSpec(name=name, nr_entries=64, **members))
            self._pipes.append(made)
            return made

        def by(field: str) -> Match:
            return Match.from_flat({field: 0xFFFFFFFF if field != SERVICE else 0xFFFF})

        def setting(word: int) -> tuple[Actions, ...]:
            return (Actions.from_flat({f"meta.u32[{word}]": 0xFFFFFFFF}),)

        drop = FwdDrop()
        forward = pipe("forward", match=by(DST), fwd=FwdChangeable(), fwd_miss=drop)
        default = pipe("default", match=by(DST), fwd=drop, fwd_miss=drop)
        self._service = pipe("service", match=by(SERVICE), fwd=FwdChangeable(), fwd_miss=FwdPipe("default"))
        target = pipe("dst", match=by(DST), actions=setting(6), fwd=FwdPipe("service"), fwd_miss=drop)
        source = pipe("src", match=by(SRC), actions=setting(5), fwd=FwdPipe("dst"), fwd_miss=drop)
        pipe(
            "ct",
            type=PipeType.CT,
            ct=CtConfig(
                capacity=4096,
                denied_capacity=1024,
                timeouts=CtTimeouts(udp=0.5, tcp_close=0.2),
                record_interval=1.0,
                revision=1,
            ),
            fwd=FwdPipe("forward"),
            fwd_miss=FwdPipe("src"),
        )
        ether = Match.from_flat({"outer.eth.type": 0xFFFF})
        root = pipe("root", is_root=True, match=ether, actions=setting(4), fwd=FwdPipe("ct"), fwd_miss=drop)
        for address, identity in IDENTITIES.items():
            number = int(IPv4Address(address))
            forward.add(match=Match.from_flat({DST: number}), fwd=FwdPort(PORTS[address][1]))
            default.add(match=Match.from_flat({DST: number}), tag=default_tag)
            for words, field, word in ((target, DST, 6), (source, SRC, 5)):
                given = Actions.from_flat({f"meta.u32[{word}]": identity})
                words.add(match=Match.from_flat({field: number}), actions=given)
        root.add(
            match=Match.from_flat({"outer.eth.type": 0x0800}),
            actions=Actions.from_flat({"meta.u32[4]": ZONE}),
        )

    def rule(self, port: int, tag: int, *, allow: bool = True, fwd: Fwd | None = None) -> None:
        """What happens to connections to a port; replaces what was."""
        to = fwd or (FwdPipe("forward") if allow else FwdDrop(reason="policy"))
        if (old := self.rules.pop(port, None)) is not None:
            old.remove()
        self.rules[port] = self._service.add(match=Match.from_flat({SERVICE: port}), fwd=to, tag=tag)

    def destroy(self) -> None:
        """Every pipe goes."""
        while self._pipes:
            self._pipes.pop().destroy()

    def send(self, *frames: bytes) -> None:
        """From whom they say they are; each has gone through when this returns."""
        for frame in frames:
            address = str(IPv4Address(frame[26:30]))
            self._send(PORTS[address][0], frame)

    def _send(self, port: str, frame: bytes) -> None:
        came, _ = self._passed()
        self.dpu.inject(port, frame)

        def through() -> bool:
            now, under_way = self._passed()
            return now > came and not under_way

        wait_for("the frame to go through", through)

    def _passed(self) -> tuple[int, int]:
        """Packets that came in, and how many have no end yet, an answer to a refused one among them."""
        stats = self.dpu.stats()
        ports = stats.ports.values()
        came = sum(port.received.total_pkts + port.injected.total_pkts for port in ports)
        gone = sum(
            port.sent.total_pkts
            - port.transmitted.total_pkts
            + port.software.total_pkts
            + port.dropped.total_pkts
            for port in ports
        )
        return came, came + stats.generated + stats.copies - gone

    def pump(self) -> None:
        """Take what records there are."""
        self.telemetry.append(*self.dpu.flow_records(0.01))
        self.telemetry.report_lost("worker", self.dpu.ct_stats().records_lost)

    def records(self) -> list[dict[str, Any]]:
        """All that there are by now."""
        self.pump()
        return [one for piece in self.telemetry.store.scan() for one in render.records(piece)]

    def wait_record(self, what: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first record that fits; waits for it."""
        wait_for(what, lambda: any(map(wanted, self.records())))
        return next(one for one in self.records() if wanted(one))

    def handshake(self, source_port: int, port: int) -> None:
        """CLIENT connects to SERVER."""
        self.send(
            tcp(CLIENT, SERVER, source_port, port, SYN, seq=100),
            tcp(SERVER, CLIENT, port, source_port, SYN | ACK, seq=500, ack=101),
            tcp(CLIENT, SERVER, source_port, port, ACK, seq=101, ack=501),
        )


@contextmanager
def tracked(telemetry: Telemetry, default_tag: int = 0) -> Iterator[Tracked]:
    """The rig for the length of a block."""
    with Dpu.launch(ports=3, mode="switch", flow_ring_bytes=1 << 20) as dpu:
        yield Tracked(dpu, telemetry, default_tag)
