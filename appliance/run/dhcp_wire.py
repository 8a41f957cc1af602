# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""DHCP for IPv4 as it is on the wire (RFC 2131, 2132), and the UDP datagrams that carry it. Values and bytes only."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Final

from appliance.run import frames
from appliance.run.frames import Host

SERVER_PORT: Final = 67
CLIENT_PORT: Final = 68
REQUEST_OP: Final = 1
REPLY_OP: Final = 2
COOKIE: Final = b"\x63\x82\x53\x63"
FIXED: Final = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s")
LEAST_BYTES: Final = 300
"""Of a message: shorter ones are dropped by old clients (RFC 1542)."""
MAX_HOPS: Final = 16
BROADCAST_FLAG: Final = 0x8000
NOWHERE: Final = IPv4Address(0)
EVERYBODY: Final = "255.255.255.255"

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
"""Message types."""
MASK, ROUTER, DNS, HOSTNAME, DOMAIN, MTU, NTP = 1, 3, 6, 12, 15, 26, 42
REQUESTED, LEASE, TYPE, SERVER_ID, RENEW, REBIND, CLIENT_ID, PAD, END = 50, 51, 53, 54, 58, 59, 61, 0, 255
"""Options."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """A UDP datagram as it came."""

    source: Host
    target: Host
    vlan: int
    source_port: int
    port: int
    data: bytes


def _mac(data: bytes) -> str:
    return data.hex(":")


def parse_datagram(frame: bytes) -> Datagram | None:
    """A whole UDP datagram in IPv4, under at most one VLAN tag; None: it is something else."""
    at, vlan = 12, 0
    if frame[at : at + 2] == b"\x81\x00":
        vlan = int.from_bytes(frame[at + 2 : at + 4]) & 0xFFF
        at += 4
    ip = frame[at + 2 :]
    if frame[at : at + 2] != b"\x08\x00" or len(ip) < 20 or ip[0] >> 4 != 4 or ip[9] != frames.UDP:
        return None
    head, total = (ip[0] & 15) * 4, int.from_bytes(ip[2:4])
    if head < 20 or not head + 8 <= total <= len(ip) or int.from_bytes(ip[6:8]) & 0x3FFF:
        return None  # a fragment, or cut short
    udp = ip[head:total]
    length = int.from_bytes(udp[4:6])
    if not 8 <= length <= len(udp):
        return None
    source = Host(_mac(frame[6:12]), str(IPv4Address(ip[12:16])))
    target = Host(_mac(frame[0:6]), str(IPv4Address(ip[16:20])))
    return Datagram(source, target, vlan, int.from_bytes(udp[0:2]), int.from_bytes(udp[2:4]), udp[8:length])


def build_datagram(made: Datagram) -> bytes:
    """The frame."""
    frame = frames.udp(made.source, made.target, made.source_port, made.port, made.data)
    return frame[:12] + (struct.pack("!HH", 0x8100, made.vlan) if made.vlan else b"") + frame[12:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A DHCP message for Ethernet."""

    op: int
    xid: int
    mac: str
    """Of the client (``chaddr``)."""
    flags: int = 0
    secs: int = 0
    hops: int = 0
    client: IPv4Address = NOWHERE
    """``ciaddr``: what the client uses already."""
    given: IPv4Address = NOWHERE
    """``yiaddr``."""
    next_server: IPv4Address = NOWHERE
    relay: IPv4Address = NOWHERE
    """``giaddr``."""
    options: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def type(self) -> int:
        """DISCOVER and so on; 0 where there is none (BOOTP)."""
        return self.options.get(TYPE, b"\0")[0]

    def address(self, option: int) -> IPv4Address | None:
        """An option that is one address."""
        data = self.options.get(option, b"")
        return IPv4Address(data) if len(data) == 4 else None


def parse_message(data: bytes) -> Message | None:
    """None: it is none, or none for Ethernet, or cut short."""
    if len(data) < FIXED.size + len(COOKIE) or data[FIXED.size : FIXED.size + 4] != COOKIE:
        return None
    op, kind, length, hops, xid, secs, flags, client, given, following, relay, mac, _, _ = FIXED.unpack_from(
        data
    )
    if op not in (REQUEST_OP, REPLY_OP) or kind != 1 or length != 6:
        return None
    options = _options(data[FIXED.size + 4 :])
    if options is None or any(len(options.get(one, b"\0")) != 1 for one in (TYPE,)):
        return None
    return Message(
        op=op, xid=xid, mac=_mac(mac[:6]), flags=flags, secs=secs, hops=hops, client=IPv4Address(client),
        given=IPv4Address(given), next_server=IPv4Address(following), relay=IPv4Address(relay), options=options,
    )  # fmt: skip


def _options(data: bytes) -> dict[int, bytes] | None:
    """By number; parts of one option are joined (RFC 3396). None: cut short."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != END:
        if data[at] == PAD:
            at += 1
            continue
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            return None
        found[data[at]] = found.get(data[at], b"") + data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found


def build_message(message: Message) -> bytes:
    """The payload of a datagram."""
    fixed = FIXED.pack(
        message.op, 1, 6, message.hops, message.xid, message.secs, message.flags, message.client.packed,
        message.given.packed, message.next_server.packed, message.relay.packed,
        bytes.fromhex(message.mac.replace(":", "")), b"", b"",
    )  # fmt: skip
    options = b"".join(bytes([number, len(data)]) + data for number, data in message.options.items() if data)
    return (fixed + COOKIE + options + bytes([END])).ljust(LEAST_BYTES, b"\0")


def relayed(data: bytes, gateway: str) -> bytes:
    """A client's message as a relay hands it to the server, ``parse_message`` having taken it."""
    return data[:3] + bytes([data[3] + 1]) + data[4:24] + IPv4Address(gateway).packed + data[28:]


def addresses(given: Iterable[str]) -> bytes:
    """Several addresses as one option."""
    return b"".join(IPv4Address(one).packed for one in given)


def number(value: int) -> bytes:
    """Seconds as an option."""
    return struct.pack("!I", value)
