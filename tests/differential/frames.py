# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Random frames out of small pools of values, so that random entries often hit them."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from appliance.flow.types import Eth
from tests.differential import packet as pk

MACS = (0x020000000001, 0x020000000002, 0xAABBCCDDEEFF)
IP4S = (0x0A000001, 0x0A000002, 0x0A000101, 0x01020304, 0xC0A80001)
IP6S = (0x20010DB8 << 96 | 1, 0x20010DB8 << 96 | 2, 0xFD << 120 | 0x77)
PORTS = (80, 443, 1234, 1235, 53)
TCIS = (5, 0x2064, 0xE003)
VNIS = (0x100, 0x777, 0xADADAD)
KEYS = (1, 0xDEADBEEF)
TTLS = (1, 64, 255)
DSCPS = (0, 0x28, 0xB8, 0x01, 0x2A, 0x03)
TCP_FLAGS = (0x02, 0x10, 0x12, 0x11, 0x04)
SEQS = (0, 7, 12, 0xFFFFFFFF)
ICMP_TYPES = (0, 8, 128)
IDENTS = (1, 3)


def ip4(
    src: int,
    dst: int,
    proto: int,
    body: bytes,
    ttl: int = 64,
    dscp: int = 0,
    flags: int = 0,
    options: bytes = b"",
) -> bytes:
    """An IPv4 datagram with a right header checksum; ``flags`` is flags_fragment_offset."""
    length = 20 + len(options)
    header = bytes([0x40 | length // 4, dscp]) + (length + len(body)).to_bytes(2, "big") + b"\x12\x34"
    header += (
        flags.to_bytes(2, "big") + bytes([ttl, proto, 0, 0]) + src.to_bytes(4, "big") + dst.to_bytes(4, "big")
    )
    header += options
    return header[:10] + pk.checksum(header).to_bytes(2, "big") + header[12:] + body


def ip6(
    src: int, dst: int, proto: int, body: bytes, hop: int = 64, traffic_class: int = 0, label: int = 0
) -> bytes:
    """An IPv6 datagram without extension headers."""
    word = 6 << 28 | traffic_class << 20 | label
    head = word.to_bytes(4, "big") + len(body).to_bytes(2, "big") + bytes([proto, hop])
    return head + src.to_bytes(16, "big") + dst.to_bytes(16, "big") + body


def with_checksum(segment: bytes, at: int, pseudo: bytes) -> bytes:
    """An L4 segment with the checksum at offset ``at`` filled in."""
    data = pseudo + segment[:at] + b"\0\0" + segment[at + 2 :]
    value = pk.checksum(data) or 0xFFFF
    return segment[:at] + value.to_bytes(2, "big") + segment[at + 2 :]


def tcp(sport: int, dport: int, flags: int, seq: int, body: bytes) -> bytes:
    """A TCP segment without checksum."""
    head = (
        sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + seq.to_bytes(4, "big") + (14).to_bytes(4, "big")
    )
    return head + bytes([0x50, flags]) + b"\x20\0\0\0\0\0" + body


def udp(sport: int, dport: int, body: bytes) -> bytes:
    """A UDP datagram without checksum."""
    return (
        sport.to_bytes(2, "big")
        + dport.to_bytes(2, "big")
        + (8 + len(body)).to_bytes(2, "big")
        + b"\0\0"
        + body
    )


@dataclass(frozen=True, slots=True)
class Datagram:
    """An IP datagram and its ethertype."""

    ethertype: int
    data: bytes


@st.composite
def segments(draw: st.DrawFn, v6: bool) -> tuple[int, bytes, int | None]:
    """Protocol, bytes, offset of the checksum (None: leave it)."""
    body = draw(st.binary(max_size=40))
    sport, dport = draw(st.sampled_from(PORTS)), draw(st.sampled_from(PORTS))
    kind = draw(st.sampled_from(("tcp", "tcp", "udp", "udp", "udp0", "icmp", "sctp", "other")))
    if kind == "tcp":
        flags, seq = draw(st.sampled_from(TCP_FLAGS)), draw(st.sampled_from(SEQS))
        return pk.TCP, tcp(sport, dport, flags, seq, body), 16
    if kind in ("udp", "udp0"):
        return pk.UDP, udp(sport, dport, body), 6 if kind == "udp" else None
    if kind == "icmp":
        head = bytes([draw(st.sampled_from(ICMP_TYPES)), 0, 0, 0]) + draw(st.sampled_from(IDENTS)).to_bytes(
            2, "big"
        )
        return pk.ICMP6 if v6 else pk.ICMP, head + b"\0\x01" + body, 2
    if kind == "sctp":
        return pk.SCTP, sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + bytes(8) + body, None
    return 89, body, None


@st.composite
def datagrams(draw: st.DrawFn) -> Datagram:
    """An IPv4 or IPv6 datagram; sometimes with options, sometimes a fragment, sometimes with a wrong
    checksum.
    """
    v6 = draw(st.booleans())
    proto, segment, at = draw(segments(v6))
    hop, dscp = draw(st.sampled_from(TTLS)), draw(st.sampled_from(DSCPS))
    if v6:
        src, dst = draw(st.sampled_from(IP6S)), draw(st.sampled_from(IP6S))
        pseudo = (
            src.to_bytes(16, "big")
            + dst.to_bytes(16, "big")
            + len(segment).to_bytes(4, "big")
            + bytes([0, 0, 0, proto])
        )
    else:
        src, dst = draw(st.sampled_from(IP4S)), draw(st.sampled_from(IP4S))
        pseudo = (
            src.to_bytes(4, "big")
            + dst.to_bytes(4, "big")
            + bytes([0, proto])
            + len(segment).to_bytes(2, "big")
        )
    if at is not None:
        segment = with_checksum(segment, at, b"" if proto == pk.ICMP else pseudo)
        if draw(st.integers(0, 9)) == 0:
            segment = segment[:at] + b"\x55\xaa" + segment[at + 2 :]
    special = draw(st.sampled_from(("", "", "", "fragment", "later", "options")))
    if v6:
        if special in ("fragment", "later"):
            offset = 0x0001 if special == "fragment" else 0x0101
            segment = bytes([proto, 0]) + offset.to_bytes(2, "big") + b"\0\0\0\x09" + segment
            proto = pk.FRAGMENT
        elif special == "options":
            segment, proto = bytes([proto, 0, 1, 4, 0, 0, 0, 0]) + segment, 60
        return Datagram(
            pk.IPV6, ip6(src, dst, proto, segment, hop, dscp, draw(st.sampled_from((0, 0x55555))))
        )
    flags = {"fragment": 0x2000, "later": 0x2010}.get(special, draw(st.sampled_from((0, 0x4000))))
    options = b"\x94\x04\0\0" if special == "options" else b""
    return Datagram(pk.IPV4, ip4(src, dst, proto, segment, hop, dscp, flags, options))


@st.composite
def plain_frames(draw: st.DrawFn) -> bytes:
    """Ethernet, zero to three tags, and a datagram or something else."""
    eth = Eth(draw(st.sampled_from(MACS)), draw(st.sampled_from(MACS)))
    tags = tuple(draw(st.lists(st.sampled_from(TCIS), max_size=3)) if draw(st.booleans()) else ())
    if draw(st.integers(0, 19)) == 0:
        return pk.ethernet_bytes(eth, tags, 0x0806) + draw(st.binary(max_size=50))
    inside = draw(datagrams())
    return pk.ethernet_bytes(eth, tags, inside.ethertype) + inside.data


@st.composite
def tunnel_frames(draw: st.DrawFn) -> bytes:
    """VXLAN, GENEVE or GRE, over IPv4 or IPv6."""
    kind = draw(st.sampled_from(("vxlan", "geneve", "gre")))
    src, dst = draw(st.sampled_from(IP4S)), draw(st.sampled_from(IP4S))
    vni = draw(st.sampled_from(VNIS)).to_bytes(3, "big")
    inner = draw(plain_frames())
    if kind == "vxlan":
        proto, body = pk.UDP, udp(draw(st.sampled_from(PORTS)), 4789, b"\x08\0\0\0" + vni + b"\0" + inner)
    elif kind == "geneve":
        options = draw(st.sampled_from((b"", b"\x01\x02\x80\x01abcd")))
        head = bytes([len(options) // 4, 0]) + b"\x65\x58" + vni + b"\0" + options
        proto, body = pk.UDP, udp(draw(st.sampled_from(PORTS)), 6081, head + inner)
    else:
        key = draw(st.sampled_from((None, *KEYS)))
        head = b"\x20\0" if key is not None else b"\0\0"
        datagram = draw(datagrams())
        l2 = draw(st.booleans())
        head += (pk.TEB if l2 else datagram.ethertype).to_bytes(2, "big")
        head += key.to_bytes(4, "big") if key is not None else b""
        proto, body = pk.GRE, head + (inner if l2 else datagram.data)
    eth = Eth(draw(st.sampled_from(MACS)), draw(st.sampled_from(MACS)))
    if draw(st.booleans()):
        six = ip6(draw(st.sampled_from(IP6S)), draw(st.sampled_from(IP6S)), proto, body)
        return pk.ethernet_bytes(eth, (), pk.IPV6) + six
    return pk.ethernet_bytes(eth, (), pk.IPV4) + ip4(src, dst, proto, body)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Any frame of at least 14 bytes; now and then cut or padded."""
    frame = draw(st.one_of(plain_frames(), plain_frames(), tunnel_frames()))
    change = draw(st.integers(0, 14))
    if change == 0:
        return frame[: draw(st.integers(14, max(14, len(frame))))]
    if change == 1:
        return frame + bytes(draw(st.integers(1, 12)))
    return frame
