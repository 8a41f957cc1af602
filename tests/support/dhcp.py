# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The client's and the server's part of DHCP, spoken by scapy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from appliance.v1 import packet_pb2, packet_service_pb2, stats_service_pb2
from tests.support.rig import TIMEOUT, Running
from tests.support.segmentation import WEB

GATEWAY = "10.0.0.254"
NOWHERE = ".".join("0000")


def client(
    kind: str, *options: tuple[str, object], mac: str = WEB.mac, source: str = NOWHERE, target: str = "255.255.255.255",
    to: str = "ff:ff:ff:ff:ff:ff", xid: int = 7, **bootp: object,
) -> bytes:  # fmt: skip
    """A client's message as a frame."""
    body = BOOTP(chaddr=bytes.fromhex(mac.replace(":", "")), xid=xid, **bootp)
    asked = DHCP(options=[("message-type", kind), *options, "end"])
    return bytes(Ether(src=mac, dst=to) / IP(src=source, dst=target) / UDP(sport=68, dport=67) / body / asked)


def options(packet: Packet) -> dict[str, object]:
    return {
        one[0]: one[1] if len(one) == 2 else one[1:] for one in packet[DHCP].options if isinstance(one, tuple)
    }


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
