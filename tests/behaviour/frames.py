# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Frames for the behaviour tests. Addresses are always given, so that scapy asks the machine for nothing."""

import logging
import struct
from typing import Any

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.l2 import ARP, Dot1Q, Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402

SRC_MAC = "02:00:00:00:0a:01"
DST_MAC = "02:00:00:00:0b:02"
INNER_SRC_MAC = "02:00:00:00:0c:03"
INNER_DST_MAC = "02:00:00:00:0d:04"
OPTIONS = [IPOption(b"\x01\x01\x01\x00")]
"""Four bytes of IPv4 options: three times no operation, then the end."""

__all__ = ["ARP", "ICMP", "IP", "TCP", "UDP", "Dot1Q", "Ether", "IPv6", "Raw"]


def eth(payload: Any, src: str = SRC_MAC, dst: str = DST_MAC, **fields: Any) -> Any:
    """`payload` behind an Ethernet header."""
    return Ether(src=src, dst=dst, **fields) / payload


def tcp(
    src: str = "1.2.3.4",
    dst: str = "8.8.8.8",
    sport: int = 1234,
    dport: int = 80,
    load: bytes = b"ringfield tcp",
    **ip: Any,
) -> bytes:
    """An IPv4 TCP frame."""
    return bytes(eth(IP(src=src, dst=dst, **ip) / TCP(sport=sport, dport=dport) / Raw(load)))


def udp(
    src: str = "1.2.3.4",
    dst: str = "8.8.8.8",
    sport: int = 1234,
    dport: int = 80,
    load: bytes = b"ringfield udp",
    **ip: Any,
) -> bytes:
    """An IPv4 UDP frame."""
    return bytes(eth(IP(src=src, dst=dst, **ip) / UDP(sport=sport, dport=dport) / Raw(load)))


def icmp(src: str = "1.2.3.4", dst: str = "8.8.8.8", **fields: Any) -> bytes:
    """An IPv4 ICMP frame, echo request unless told otherwise."""
    return bytes(eth(IP(src=src, dst=dst) / ICMP(**fields) / Raw(b"ringfield icmp")))


def tcp6(
    src: str = "2001:db8::1", dst: str = "2001:db8::2", sport: int = 1234, dport: int = 80, **ip: Any
) -> bytes:
    """An IPv6 TCP frame."""
    return bytes(eth(IPv6(src=src, dst=dst, **ip) / TCP(sport=sport, dport=dport) / Raw(b"ringfield tcp6")))


def udp6(
    src: str = "2001:db8::1", dst: str = "2001:db8::2", sport: int = 1234, dport: int = 80, **ip: Any
) -> bytes:
    """An IPv6 UDP frame."""
    return bytes(eth(IPv6(src=src, dst=dst, **ip) / UDP(sport=sport, dport=dport) / Raw(b"ringfield udp6")))


def esp(spi: int, seq: int, src: str = "1.2.3.4", dst: str = "8.8.8.8") -> bytes:
    """An IPv4 ESP frame with a payload that nobody can decrypt."""
    return bytes(eth(IP(src=src, dst=dst, proto=50) / Raw(struct.pack("!II", spi, seq) + b"\xa5" * 40)))


def vxlan(
    inner: bytes,
    vni: int,
    *,
    flags: int = 8,
    reserved1: int = 0,
    reserved2: int = 0,
    dport: int = 4789,
    sport: int = 5000,
    src: str = "100.0.0.1",
    dst: str = "100.0.0.2",
    chksum: int | None = 0,
    vlan: int | None = None,
    **ip: Any,
) -> bytes:
    """`inner` (a frame, or a packet for GPE) behind IPv4, UDP and a VXLAN header."""
    header = struct.pack("!BBHI", flags, reserved1 >> 16, reserved1 & 0xFFFF, vni << 8 | reserved2)
    packet = IP(src=src, dst=dst, **ip) / UDP(sport=sport, dport=dport, chksum=chksum) / Raw(header + inner)
    return bytes(eth(packet if vlan is None else Dot1Q(vlan=vlan) / packet))


def gre(
    inner: bytes, protocol: int, key: int | None = None, src: str = "100.0.0.1", dst: str = "100.0.0.2"
) -> bytes:
    """`inner` behind IPv4 and a GRE header, with a key if one is given."""
    header = struct.pack("!HH", 0x2000 if key is not None else 0, protocol)
    if key is not None:
        header += struct.pack("!I", key)
    return bytes(eth(IP(src=src, dst=dst, proto=47) / Raw(header + inner)))


def geneve(
    inner: bytes, vni: int, protocol: int = 0x6558, src: str = "100.0.0.1", dst: str = "100.0.0.2"
) -> bytes:
    """`inner` behind IPv4, UDP and a GENEVE header without options."""
    header = struct.pack("!BBHI", 0, 0, protocol, vni << 8)
    return bytes(eth(IP(src=src, dst=dst) / UDP(sport=5000, dport=6081, chksum=0) / Raw(header + inner)))


def l3(frame: bytes) -> bytes:
    """What a frame carries behind its (untagged) Ethernet header."""
    return frame[14:]
