# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A real appliance for tests: fast path on ring ports, gRPC server, client. No root."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.cli import stats as stats_view
from appliance.rpc.client import Client
from appliance.run.appliance import Appliance
from appliance.run.config import RunConfig, config_from
from appliance.run.document import parse_document
from appliance.v1 import (
    entry_pb2,
    entry_service_pb2,
    flow_pb2,
    packet_pb2,
    packet_service_pb2,
    pipe_pb2,
    pipe_service_pb2,
    stats_service_pb2,
)
from tests.support.fastpath import wait_for

TIMEOUT = 30.0

RINGS = """\
mode: switch
fastpath: {hugepages: 'no'}
ports:
  p0: {backend: net_ring, mac: "02:00:00:00:00:10"}
  p1: {backend: net_ring, mac: "02:00:00:00:00:11"}
  p2: {backend: net_ring, mac: "02:00:00:00:00:12"}
"""

ROUTER = (
    RINGS
    + """\
pipes:
  - name: router
    port: p0
    root: true
    nr_entries: 1024
    match: {outer.ipv4.dst_ip: changeable}
    monitor: {counter: true}
    fwd: changeable
    miss: drop
    miss_counter: true
    entries:
      - {match: {outer.ipv4.dst_ip: 10.0.0.1}, fwd: {port: p1}, monitor: {counter: true}, tag: 71}
      - {match: {outer.ipv4.dst_ip: 10.0.0.2}, fwd: drop, monitor: {counter: true}}
"""
)


def config(text: str, directory: Path) -> RunConfig:
    """A configuration in a runtime directory."""
    return config_from(parse_document(text, "test.yaml"), directory / "test.yaml", runtime_dir=directory)


@contextmanager
def directory() -> Iterator[Path]:
    """A runtime directory with a path short enough for sockets."""
    made = Path(tempfile.mkdtemp(prefix="rft-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


class Running:
    """A running appliance and a client of it."""

    def __init__(self, appliance: Appliance, client: Client) -> None:
        self.appliance, self.client = appliance, client

    def inject(self, port: str, *frames: bytes) -> None:
        """Frames as if received; returns when the port has them."""

        def came() -> int:
            stats = self.client.stats.GetStats(stats_service_pb2.GetStatsRequest(), timeout=TIMEOUT).stats
            found = next(item for item in stats.ports if item.port == port)
            return found.received.packets + found.injected.packets

        before = came()
        request = packet_service_pb2.InjectPacketsRequest(port=port, frames=frames)
        self.client.packets.InjectPackets(request, timeout=TIMEOUT)
        wait_for("the frames to come in", lambda: came() >= before + len(frames))

    def counter(self, number: int) -> int:
        """Packets of an entry."""
        request = entry_service_pb2.QueryEntriesRequest(ids=[number])
        return self.client.entries.QueryEntries(request, timeout=TIMEOUT).counters[0].packets

    def add(self, message: entry_pb2.Entry) -> int:
        """Add an entry; its number."""
        request = entry_service_pb2.AddEntryRequest(entry=message)
        return self.client.entries.AddEntry(request, timeout=TIMEOUT).id

    def create(self, message: pipe_pb2.Pipe) -> pipe_pb2.Pipe:
        """Create a pipe."""
        request = pipe_service_pb2.CreatePipeRequest(pipe=message)
        return self.client.pipes.CreatePipe(request, timeout=TIMEOUT).pipe

    def entries(self, pipe: str) -> list[entry_pb2.Entry]:
        """Entries of a pipe."""
        request = entry_service_pb2.ListEntriesRequest(pipe=pipe)
        return [e for page in self.client.entries.ListEntries(request, timeout=TIMEOUT) for e in page.entries]

    @contextmanager
    def wire(self) -> Iterator[list[packet_pb2.Packet]]:
        """What ring ports send inside the block; filled when the block is left."""
        got: list[packet_pb2.Packet] = []
        stream = self.client.packets.ReceivePackets(
            packet_service_pb2.ReceivePacketsRequest(points=[packet_pb2.PACKET_POINT_WIRE]), timeout=TIMEOUT
        )
        next(stream)
        try:
            before = self._sent()
            yield got
            self.settle()
            number = self._sent() - before
            while len(got) < number:
                got.extend(next(stream).packets)
        finally:
            stream.cancel()

    def _sent(self) -> int:
        stats = self.client.stats.GetStats(stats_service_pb2.GetStatsRequest(), timeout=TIMEOUT).stats
        return sum(port.sent.packets for port in stats.ports)

    def settle(self) -> None:
        """Until no packet is on its way."""

        def balanced() -> bool:
            stats = self.client.stats.GetStats(stats_service_pb2.GetStatsRequest(), timeout=TIMEOUT).stats
            return stats_view.conservation(stats) == 0

        wait_for("every packet to have an end", balanced)


@contextmanager
def running(text: str = ROUTER, at: Path | None = None) -> Iterator[Running]:
    """An appliance for the length of a block; packets are conserved at the end."""
    with (
        directory() as made,
        Appliance(config(text, at or made)) as appliance,
        Client(f"unix:{appliance.config.grpc.unix}") as client,
    ):
        found = Running(appliance, client)
        yield found
        if appliance.node.dpu is not None:
            found.settle()


def fields(**given: str) -> list[flow_pb2.Field]:
    """Fields by name, ``__`` for a dot."""
    return [flow_pb2.Field(name=name.replace("__", "."), text=text) for name, text in given.items()]


def match(**given: str) -> flow_pb2.Match:
    """A match by names, ``__`` for a dot."""
    return flow_pb2.Match(fields=fields(**given))


DROP = flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_DROP)
COUNTED = flow_pb2.Monitor(counter=flow_pb2.RESOURCE_TYPE_NON_SHARED)


def to_port(name: str) -> flow_pb2.Fwd:
    """Out of a port."""
    return flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_PORT, port=name)


def to_pipe(name: str) -> flow_pb2.Fwd:
    """To a pipe."""
    return flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_PIPE, pipe=name)
