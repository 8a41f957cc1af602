# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Frames that ask a question, and frames that hosts send by themselves."""

from __future__ import annotations

from ipaddress import ip_address

from tests.differential import packet as pk
from tests.differential.frames import ip4, ip6, tcp, udp

BROADCAST = "ff:ff:ff:ff:ff:ff"


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ethernet(dst: str, src: str, kind: int, body: bytes, vlan: int = 0) -> bytes:
    """A frame of at least 60 bytes."""
    tag = b"\x81\x00" + vlan.to_bytes(2, "big") if vlan else b""
    return (mac(dst) + mac(src) + tag + kind.to_bytes(2, "big") + body).ljust(60, b"\0")


def segment(protocol: int, port: int, sport: int = 40000) -> bytes:
    """The transport part of a first packet; ``port`` is the ICMP type of ICMP."""
    if protocol == 6:
        return tcp(sport, port, 0x02, 1, b"")
    if protocol == 17:
        return udp(sport, port, b"question")
    if protocol == 132:
        return sport.to_bytes(2, "big") + port.to_bytes(2, "big") + bytes(8)
    if protocol in (1, 58):
        return bytes([port, 0, 0, 0, *sport.to_bytes(2, "big"), 0, 1])
    return bytes(16)


def datagram(source: str, target: str, protocol: int, body: bytes, ttl: int = 64) -> bytes:
    """An IP datagram."""
    a, b = ip_address(source), ip_address(target)
    if a.version == 4:
        return ip4(int(a), int(b), protocol, body, ttl=ttl)
    if protocol == 58:
        pseudo = a.packed + b.packed + len(body).to_bytes(4, "big") + bytes([0, 0, 0, 58])
        body = body[:2] + pk.checksum(pseudo + body).to_bytes(2, "big") + body[4:]
    return ip6(int(a), int(b), protocol, body, hop=255 if protocol == 58 else ttl)


def question(
    dst_mac: str,
    src_mac: str,
    source: str,
    target: str,
    protocol: int,
    port: int,
    vlan: int = 0,
    sport: int = 40000,
) -> bytes:
    """The first packet of a connection."""
    kind = 0x0800 if ip_address(source).version == 4 else 0x86DD
    return ethernet(
        dst_mac, src_mac, kind, datagram(source, target, protocol, segment(protocol, port, sport)), vlan
    )


def arp(src_mac: str, spa: str, tpa: str, op: int = 1, sha: str = "", dst: str = BROADCAST) -> bytes:
    """An ARP packet."""
    body = bytes.fromhex("0001080006040001")[:6] + op.to_bytes(2, "big")
    body += mac(sha or src_mac) + ip_address(spa).packed + bytes(6) + ip_address(tpa).packed
    return ethernet(dst, src_mac, 0x0806, body)


def icmp6(
    src_mac: str, source: str, target: str, kind: int, body: bytes, dst: str = "33:33:00:00:00:01"
) -> bytes:
    """An ICMPv6 message."""
    return ethernet(dst, src_mac, 0x86DD, datagram(source, target, 58, bytes([kind, 0, 0, 0]) + body))


def solicitation(src_mac: str, source: str, target: str, dst: str = "33:33:ff:00:00:01") -> bytes:
    """A neighbour solicitation (from ``::`` it is DAD)."""
    option = b"" if source == "::" else bytes([1, 1]) + mac(src_mac)
    body = bytes(4) + ip_address(target).packed + option
    return icmp6(src_mac, source, "ff02::1:ff00:1", 135, body, dst)


def udp4(src_mac: str, dst_mac: str, source: str, target: str, sport: int, dport: int) -> bytes:
    """A UDP datagram over IPv4."""
    return ethernet(dst_mac, src_mac, 0x0800, datagram(source, target, 17, udp(sport, dport, b"x" * 20)))


def udp6(src_mac: str, dst_mac: str, source: str, target: str, sport: int, dport: int) -> bytes:
    """A UDP datagram over IPv6."""
    return ethernet(dst_mac, src_mac, 0x86DD, datagram(source, target, 17, udp(sport, dport, b"x" * 20)))
