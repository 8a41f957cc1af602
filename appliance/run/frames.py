# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Frames made by hand, for demonstrations and probes that must not need scapy."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

SYN: Final = 0x02
ACK: Final = 0x10
TCP: Final = 6
UDP: Final = 17


@dataclass(frozen=True, slots=True)
class Host:
    """Where a frame comes from or goes to."""

    mac: str
    address: str


def checksum(data: bytes) -> int:
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _ethernet(source: Host, destination: Host, payload: bytes) -> bytes:
    macs = bytes.fromhex(destination.mac.replace(":", "")) + bytes.fromhex(source.mac.replace(":", ""))
    return macs + b"\x08\x00" + payload


def _ip4(source: Host, destination: Host, protocol: int, payload: bytes, ttl: int = 64) -> bytes:
    addresses = IPv4Address(source.address).packed + IPv4Address(destination.address).packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0x4000, ttl, protocol, 0) + addresses
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def _pseudo(source: Host, destination: Host, protocol: int, length: int) -> bytes:
    addresses = IPv4Address(source.address).packed + IPv4Address(destination.address).packed
    return addresses + struct.pack("!BBH", 0, protocol, length)


def tcp(
    source: Host,
    destination: Host,
    source_port: int,
    port: int,
    flags: int = SYN,
    data: bytes = b"",
    *,
    seq: int = 1,
    ack: int = 0,
) -> bytes:
    """A TCP segment in IPv4."""
    head = struct.pack("!HHIIBBHHH", source_port, port, seq, ack, 0x50, flags, 8192, 0, 0)
    total = checksum(_pseudo(source, destination, TCP, len(head) + len(data)) + head + data)
    segment = head[:16] + struct.pack("!H", total) + head[18:] + data
    return _ethernet(source, destination, _ip4(source, destination, TCP, segment))


def udp(source: Host, destination: Host, source_port: int, port: int, data: bytes = b"") -> bytes:
    """A UDP datagram in IPv4."""
    head = struct.pack("!HHHH", source_port, port, 8 + len(data), 0)
    total = checksum(_pseudo(source, destination, UDP, len(head) + len(data)) + head + data) or 0xFFFF
    return _ethernet(
        source, destination, _ip4(source, destination, UDP, head[:6] + struct.pack("!H", total) + data)
    )


def routed(frame: bytes, source: Host, destination: Host) -> bytes:
    """An IPv4 frame as a router sends it on: new MACs, a time to live less by one."""
    head = bytearray(frame[14:34])
    head[8] -= 1
    head[10:12] = b"\0\0"
    head[10:12] = struct.pack("!H", checksum(bytes(head)))
    return _ethernet(source, destination, bytes(head) + frame[34:])


def tunnelled(frame: bytes, source: Host, destination: Host, vni: int) -> bytes:
    """A frame in VXLAN between two tunnel ends."""
    return udp(source, destination, 49152, 4789, struct.pack("!II", 0x08000000, vni << 8) + frame)


def vxlan(frame: bytes) -> tuple[int, bytes] | None:
    """VNI and inner frame of a VXLAN frame over IPv4; None when it is none."""
    ip_length = (frame[14] & 15) * 4 if len(frame) > 14 else 0
    udp_at = 14 + ip_length
    if len(frame) < udp_at + 16 or frame[12:14] != b"\x08\x00" or frame[23] != UDP:
        return None
    if frame[udp_at + 2 : udp_at + 4] != b"\x12\xb5":
        return None
    return int.from_bytes(frame[udp_at + 12 : udp_at + 15], "big"), frame[udp_at + 16 :]
