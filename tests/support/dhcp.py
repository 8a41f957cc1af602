# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The client's and the server's part of DHCP, spoken by scapy."""

from __future__ import annotations

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

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
