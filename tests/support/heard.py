# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What a running appliance sends and drops, for tests that speak with scapy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scapy.layers.l2 import Ether
from scapy.packet import Packet

from appliance.v1 import packet_pb2, packet_service_pb2, stats_service_pb2
from tests.support.rig import TIMEOUT, Running


@contextmanager
def heard(rig: Running, port: str) -> Iterator[Iterator[Packet]]:
    """What leaves a port inside the block, one by one."""
    stream = rig.client.packets.ReceivePackets(
        packet_service_pb2.ReceivePacketsRequest(ports=[port], points=[packet_pb2.PACKET_POINT_WIRE]),
        timeout=TIMEOUT,
    )
    next(stream)

    def each() -> Iterator[Packet]:
        for response in stream:
            for packet in response.packets:
                yield Ether(packet.frame)

    try:
        yield each()
    finally:
        stream.cancel()


def ask(rig: Running, frame: bytes, port: str = "p1", answer_at: str = "p1") -> Packet:
    """The one packet that follows."""
    with heard(rig, answer_at) as packets:
        rig.inject(port, frame)
        return next(packets)


def drops(rig: Running) -> dict[str, int]:
    found: dict[str, int] = {}
    for port in rig.client.stats.GetStats(stats_service_pb2.GetStatsRequest(), timeout=TIMEOUT).stats.ports:
        for drop in port.drops:
            found[drop.reason] = found.get(drop.reason, 0) + drop.packets
    return found
