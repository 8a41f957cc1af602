# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Connection tracking judged by an outside judge: the kernel's, on the same packets.

Every scenario says what passes. The kernel must agree (when this machine's can be asked), but for the steps whose
difference is deliberate: they carry a number, under which docs/conntrack-differences.md says why.
"""

from __future__ import annotations

import platform
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from tests.support.judged import (
    A4,
    A6,
    ACK,
    B4,
    B6,
    FIN,
    FRAGMENT,
    MARKER,
    PSH,
    RST,
    SYN,
    UDP,
    URG,
    Firewall,
    Kernel,
    Ringfield,
    delivered,
    icmp,
    ip,
    ringfield,
    tcp,
    transport,
    udp,
    udp_payload,
)
from tests.support.netns import Netns
from tests.support.tree import ROOT

OF_NEW_KERNELS = {"old-segments"}  # older ones do as Ringfield does
DOCS = ROOT / "docs" / "conntrack-differences.md"


@dataclass(frozen=True)
class Step:
    """A packet from a side, and whether it passes; ``differs``: the kernel says the opposite, that is why."""

    side: str
    packet: bytes
    passes: bool
    what: str
    differs: str = ""


@dataclass(frozen=True)
class Datagram:
    """Fragments from a side, and whether a whole payload of ``total`` bytes is delivered."""

    side: str
    fragments: tuple[bytes, ...]
    total: int
    passes: bool
    what: str
    differs: str = ""


Scenario = list[Step | Datagram]
SCENARIOS: dict[str, Callable[[], Scenario]] = {}


def scenario(build: Callable[[], Scenario]) -> Callable[[], Scenario]:
    """Adds it to the list, under its function's name."""
    SCENARIOS[build.__name__] = build
    return build


class Conn:
    """Segments of one connection: A's numbers begin at 1000, B's at 5000."""

    def __init__(self, sport: int, a: str = A4, b: str = B4, dport: int = 80) -> None:
        self.ends = (a, b, sport, dport)

    def a(self, flags: int, seq: int, ack: int = 0, data: bytes = b"", window: int = 8192) -> bytes:
        """From A."""
        a, b, sport, dport = self.ends
        return tcp(a, b, sport, dport, flags, seq, ack, data, window)

    def b(self, flags: int, seq: int, ack: int = 0, data: bytes = b"", window: int = 8192) -> bytes:
        """From B."""
        a, b, sport, dport = self.ends
        return tcp(b, a, dport, sport, flags, seq, ack, data, window)

    def open(self) -> Scenario:
        """The handshake."""
        return [
            Step("A", self.a(SYN, 1000), True, "SYN"),
            Step("B", self.b(SYN | ACK, 5000, 1001), True, "SYN ACK"),
            Step("A", self.a(ACK, 1001, 5001), True, "ACK"),
        ]

    def close(self) -> Scenario:
        """Both ends say FIN, A first."""
        return [
            Step("A", self.a(FIN | ACK, 1001, 5001), True, "FIN"),
            Step("B", self.b(FIN | ACK, 5001, 1002), True, "FIN back"),
            Step("A", self.a(ACK, 1002, 5002), True, "last ACK"),
        ]


@scenario
def whole_connection() -> Scenario:
    c = Conn(1)
    return [
        *c.open(),
        Step("A", c.a(ACK | PSH, 1001, 5001, b"x" * 100), True, "request"),
        Step("B", c.b(ACK, 5001, 1101), True, "its ACK"),
        Step("B", c.b(ACK | PSH, 5001, 1101, b"y" * 1000), True, "response"),
        Step("A", c.a(ACK | FIN, 1101, 6001), True, "FIN"),
        Step("B", c.b(ACK | FIN, 6001, 1102), True, "FIN back"),
        Step("A", c.a(ACK, 1102, 6002), True, "last ACK"),
    ]


@scenario
def strangers() -> Scenario:
    kinds = {
        "SYN ACK": SYN | ACK, "ACK": ACK, "RST": RST, "RST ACK": RST | ACK, "FIN ACK": FIN | ACK, "data": PSH | ACK,
    }  # fmt: skip
    steps: Scenario = [Step("B", Conn(10, dport=80).b(SYN, 5000), False, "SYN from B")]
    for i, (name, flags) in enumerate(kinds.items()):
        steps.append(Step("A", Conn(20 + i).a(flags, 1000, 5000), False, f"{name} from A"))
        steps.append(Step("B", Conn(30 + i).b(flags, 5000, 1000), False, f"{name} from B"))
    steps.append(Step("A", Conn(40, dport=81).a(SYN, 1000), False, "SYN to another port"))
    return steps


@scenario
def impossible_flags() -> Scenario:
    kinds = {
        "none": 0, "SYN FIN": SYN | FIN, "SYN RST": SYN | RST, "FIN alone": FIN, "all": FIN | PSH | URG,
        "FIN RST": FIN | RST | ACK,
    }  # fmt: skip
    steps: Scenario = [
        Step("A", Conn(50 + i).a(flags, 1000), False, f"{name} opens nothing")
        for i, (name, flags) in enumerate(kinds.items())
    ]
    c = Conn(60)
    steps += c.open()
    steps += [
        Step("A", c.a(flags, 1001, 5001), False, f"{name} in a connection") for name, flags in kinds.items()
    ]
    steps.append(Step("A", c.a(ACK | PSH, 1001, 5001, b"x"), True, "which lives on"))
    return steps


@scenario
def simultaneous_open() -> Scenario:
    c = Conn(70)
    return [
        Step("A", c.a(SYN, 1000), True, "SYN"),
        Step("B", c.b(SYN, 5000), True, "SYN across"),
        Step("A", c.a(SYN | ACK, 1000, 5001), True, "SYN ACK"),
        Step("B", c.b(SYN | ACK, 5000, 1001), True, "SYN ACK across"),
        Step("A", c.a(ACK, 1001, 5001), True, "ACK"),
        Step("B", c.b(ACK | PSH, 5001, 1001, b"y" * 10), True, "data"),
        Step("A", c.a(ACK | PSH, 1001, 5011, b"x" * 10), True, "data back"),
    ]


@scenario
def retransmissions() -> Scenario:
    c = Conn(80)
    return [
        Step("A", c.a(SYN, 1000), True, "SYN"),
        Step("A", c.a(SYN, 1000), True, "SYN again"),
        Step("B", c.b(SYN | ACK, 5000, 1001), True, "SYN ACK"),
        Step("A", c.a(SYN, 1000), True, "SYN again, late"),
        Step("B", c.b(SYN | ACK, 5000, 1001), True, "SYN ACK again"),
        Step("A", c.a(ACK, 1001, 5001), True, "ACK"),
        Step("B", c.b(SYN | ACK, 5000, 1001), True, "SYN ACK again, late"),
        Step("A", c.a(ACK, 1001, 5001), True, "ACK again"),
        Step("A", c.a(ACK | PSH, 1001, 5001, b"x" * 100), True, "data"),
        Step("A", c.a(ACK | PSH, 1001, 5001, b"x" * 100), True, "data again"),
        Step("B", c.b(ACK, 5001, 1101), True, "ACK"),
        Step("A", c.a(ACK | PSH, 1001, 5001, b"x" * 100), True, "data again, late"),
    ]


@scenario
def wrong_syn_ack() -> Scenario:
    c = Conn(90)
    return [
        Step("A", c.a(SYN, 1000), True, "SYN"),
        Step("B", c.b(SYN | ACK, 5000, 77777), False, "SYN ACK of something else"),
        Step("B", c.b(SYN | ACK, 5000, 1001), True, "SYN ACK"),
        Step("A", c.a(ACK, 1001, 5001), True, "ACK"),
    ]


@scenario
def refused() -> Scenario:
    c, d = Conn(100), Conn(101)
    return [
        Step("A", c.a(SYN, 1000), True, "SYN"),
        Step("B", c.b(RST | ACK, 0, 1001), True, "refused"),
        Step("A", c.a(SYN, 9000), True, "another try"),
        Step("B", c.b(RST | ACK, 0, 9001), True, "refused again"),
        Step("A", d.a(SYN, 1000), True, "SYN"),
        Step("B", d.b(RST | ACK, 0, 77777), False, "refusal of something else"),
        Step("B", d.b(SYN | ACK, 5000, 1001), True, "SYN ACK"),
    ]


@scenario
def reset() -> Scenario:
    c = Conn(110)
    return [
        *c.open(),
        Step("B", c.b(RST, 5001), True, "RST"),
        Step("A", c.a(ACK | PSH, 1001, 5001, b"x"), True, "data that was on its way"),
        Step("B", c.b(ACK | PSH, 5001, 1001, b"y"), True, "and back"),
        Step("A", c.a(SYN, 90000), True, "a new SYN"),
        Step("B", c.b(SYN | ACK, 50000, 90001), True, "its SYN ACK"),
        Step("A", c.a(ACK, 90001, 50001), True, "its ACK"),
    ]


@scenario
def reset_out_of_window() -> Scenario:
    c = Conn(120)
    return [
        *c.open(),
        Step("B", c.b(RST, 5001 + 1000000), False, "RST far ahead"),
        Step("B", c.b(RST, 5001 - 1000000), False, "RST far behind"),
        Step("A", c.a(ACK | PSH, 1001, 5001, b"x" * 10), True, "the connection lives"),
        Step("B", c.b(ACK, 5001, 1011), True, "both ways"),
    ]


@scenario
def half_close() -> Scenario:
    c = Conn(130)
    return [
        *c.open(),
        Step("A", c.a(FIN | ACK, 1001, 5001), True, "A says no more"),
        Step("B", c.b(ACK, 5001, 1002), True, "ACK"),
        Step("B", c.b(ACK | PSH, 5001, 1002, b"y" * 1000), True, "B goes on"),
        Step("A", c.a(ACK, 1002, 6001), True, "ACK"),
        Step("B", c.b(ACK | PSH, 6001, 1002, b"y" * 1000), True, "and on"),
        Step("B", c.b(FIN | ACK, 7001, 1002), True, "FIN"),
        Step("A", c.a(ACK, 1002, 7002), True, "last ACK"),
    ]


@scenario
def out_of_window() -> Scenario:
    c = Conn(140)
    return [
        *c.open(),
        Step("A", c.a(ACK | PSH, 1001 + 1000000, 5001, b"x"), False, "far ahead"),
        Step("B", c.b(ACK | PSH, 5001 + 1000000, 1001, b"y"), False, "far ahead, back"),
        Step("A", c.a(ACK | PSH, 1001 - 1000000, 5001, b"x"), False, "far behind", "old-segments"),
        Step("B", c.b(ACK, 5001, 1001 + 1000000), False, "acknowledges what was not sent"),
        Step("A", c.a(ACK, 1001, 5001 - 1000000), False, "acknowledges the past", "old-segments"),
        Step("A", c.a(ACK | PSH, 1001, 5001, b"x" * 100), True, "in the window"),
        Step("B", c.b(ACK | PSH, 5001, 1101, b"y" * 100), True, "in the window, back"),
    ]


@scenario
def reused_after_fin() -> Scenario:
    c = Conn(150)
    return [
        *c.open(),
        *c.close(),
        Step("A", c.a(SYN, 900000), True, "a new SYN"),
        Step("B", c.b(SYN | ACK, 950000, 900001), True, "SYN ACK"),
        Step("A", c.a(ACK, 900001, 950001), True, "ACK"),
        Step("A", c.a(ACK | PSH, 900001, 950001, b"x"), True, "data"),
        Step("B", c.b(ACK | PSH, 5002, 1002, b"y"), False, "data of the old one", "old-segments"),
    ]


@scenario
def reused_from_the_other_side() -> Scenario:
    c = Conn(160)
    return [*c.open(), *c.close(), Step("B", c.b(SYN, 900000), False, "B opens the closed tuple")]


@scenario
def after_the_end() -> Scenario:
    c = Conn(165)
    return [
        *c.open(),
        *c.close(),
        Step("A", c.a(ACK, 1002, 5002), True, "last ACK again"),
        Step("B", c.b(FIN | ACK, 5001, 1002), True, "FIN again"),
        Step("A", c.a(ACK, 1002, 5002), True, "and its ACK"),
    ]


@scenario
def syn_in_a_connection() -> Scenario:
    c = Conn(170)
    return [
        *c.open(),
        Step("A", c.a(SYN, 700000), True, "SYN, which may be of a host that restarted"),
        Step("B", c.b(ACK, 5001, 1001), True, "challenge ACK"),
        Step("A", c.a(RST, 1001), True, "RST that answers it"),
    ]


@scenario
def modern_syns() -> Scenario:
    c, d = Conn(180), Conn(181)
    congestion = 0xC0  # ECE, CWR
    return [
        Step("A", c.a(SYN | congestion, 1000), True, "SYN that offers ECN"),
        Step("B", c.b(SYN | ACK | 0x40, 5000, 1001), True, "SYN ACK that takes it"),
        Step("A", c.a(ACK, 1001, 5001), True, "ACK"),
        Step("A", d.a(SYN, 1000, data=b"x" * 100), True, "SYN with data"),
        Step("B", d.b(SYN | ACK, 5000, 1101), True, "SYN ACK of all"),
        Step("B", d.b(ACK | PSH, 5001, 1101, b"y" * 100), True, "data before the ACK"),
        Step("A", d.a(ACK, 1101, 5101), True, "ACK"),
    ]


@scenario
def probes() -> Scenario:
    c = Conn(185)
    return [
        *c.open(),
        Step("A", c.a(ACK, 1000, 5001), True, "keepalive without data"),
        Step("B", c.b(ACK, 5001, 1001), True, "its answer"),
        Step("A", c.a(ACK, 1000, 5001, b"x"), True, "keepalive with a byte"),
        Step("B", c.b(ACK, 5001, 1001, window=0), True, "B is full"),
        Step("A", c.a(ACK, 1001, 5001, b"x"), True, "window probe"),
        Step("B", c.b(ACK, 5001, 1001, window=0), True, "still full"),
        Step("B", c.b(ACK, 5001, 1001), True, "no more"),
        Step("A", c.a(ACK | PSH, 1001, 5001, b"x" * 1000), True, "data"),
    ]


@scenario
def window_scaling() -> Scenario:
    scale, steps = bytes([1, 3, 3, 7]), Scenario()
    for sport, offered in ((190, scale), (191, b"")):
        ends = (A4, B4, sport, 80)
        back = (B4, A4, 80, sport)
        steps += [
            Step("A", tcp(*ends, SYN, 1000, options=scale), True, "SYN that offers scaling"),
            Step("B", tcp(*back, SYN | ACK, 5000, 1001, options=offered), True, "SYN ACK"),
            Step("A", tcp(*ends, ACK, 1001, 5001), True, "ACK"),
            Step("B", tcp(*back, ACK, 305001, 1001, b"y"), bool(offered), "300 kB ahead"),
        ]
    return steps


@scenario
def udp_replies() -> Scenario:
    return [
        Step("A", udp(A4, B4, 200, 53), True, "query"),
        Step("B", udp(B4, A4, 53, 200), True, "reply"),
        Step("B", udp(B4, A4, 53, 200), True, "another"),
        Step("B", udp(B4, A4, 53, 201), False, "to another port"),
        Step("B", udp(B4, A4, 54, 200), False, "from another port"),
        Step("A", udp(A4, B4, 200, 54), False, "to a port that is not allowed"),
        Step("A", udp(A4, B4, 202, 53, b""), True, "an empty datagram"),
        Step("A", udp(A6, B6, 200, 53), True, "IPv6 query"),
        Step("B", udp(B6, A6, 53, 200), True, "IPv6 reply"),
        Step("B", udp(B6, A6, 53, 201), False, "IPv6 to another port"),
    ]


def echo(a: str, b: str, kind: int, ident: int, data: bytes = b"ping") -> bytes:
    return icmp(a, b, kind, 0, struct.pack(">HH", ident, 1), data)


@scenario
def pings() -> Scenario:
    return [
        Step("A", echo(A4, B4, 8, 300), True, "request"),
        Step("B", echo(B4, A4, 0, 300), True, "reply"),
        Step("B", echo(B4, A4, 0, 301), False, "reply to nothing"),
        Step("B", echo(B4, A4, 8, 300), False, "B asks with the same number"),
        Step("A", echo(A4, B4, 13, 302, bytes(12)), False, "timestamp request"),
        Step("B", echo(B4, A4, 14, 303, bytes(12)), False, "timestamp reply"),
        Step("A", echo(A6, B6, 128, 300), True, "IPv6 request"),
        Step("B", echo(B6, A6, 129, 300), True, "IPv6 reply"),
        Step("B", echo(B6, A6, 129, 301), False, "IPv6 reply to nothing"),
    ]


@scenario
def related_errors() -> Scenario:
    query, other = udp(A4, B4, 400, 53), udp(A4, B4, 401, 53)
    reply, c = udp(B4, A4, 53, 400), Conn(402)
    router = "10.2.0.77"
    unreachable = icmp(B4, A4, 3, 3, bytes(4), query[:28])
    steps: Scenario = [
        Step("A", query, True, "query"),
        Step("B", unreachable, True, "port unreachable"),
        Step("B", icmp(router, A4, 11, 0, bytes(4), query[:28]), True, "time exceeded from a router"),
        Step(
            "B", icmp(router, A4, 3, 4, struct.pack(">HH", 0, 1400), query[:28]), True, "fragmentation needed"
        ),
        Step("B", icmp(router, A4, 12, 0, bytes(4), query[:28]), True, "parameter problem"),
        Step("B", icmp(B4, A4, 3, 3, bytes(4), other[:28]), False, "about nothing"),
        Step("B", icmp(B4, "10.1.0.99", 3, 3, bytes(4), query[:28]), False, "to somebody else"),
        Step("B", unreachable[:22] + b"\xff\xff" + unreachable[24:], False, "with a wrong checksum"),
        Step("B", icmp(B4, A4, 3, 3, bytes(4), query[:20]), False, "that quotes too little"),
        Step("B", reply, True, "the reply"),
        Step("A", icmp(A4, B4, 3, 3, bytes(4), reply[:28]), True, "A refuses the reply"),
        *c.open(),
        Step(
            "B", icmp(router, A4, 3, 1, bytes(4), c.a(ACK, 1001, 5001)[:28]), True, "about a TCP connection"
        ),
        Step("B", icmp(router, A4, 3, 1, bytes(4), Conn(403).a(ACK, 1, 1)[:28]), False, "about none"),
        Step("A", udp(A6, B6, 400, 53), True, "IPv6 query"),
        Step("B", icmp(B6, A6, 1, 4, bytes(4), udp(A6, B6, 400, 53)), True, "IPv6 port unreachable"),
        Step("B", icmp("fd02::77", A6, 2, 0, struct.pack(">I", 1280), udp(A6, B6, 400, 53)), True, "too big"),
        Step("B", icmp(B6, A6, 1, 4, bytes(4), udp(A6, B6, 401, 53)), False, "IPv6 about nothing"),
    ]
    return steps


@scenario
def ip6_connection() -> Scenario:
    c = Conn(410, A6, B6)
    return [
        *c.open(),
        Step("A", c.a(ACK | PSH, 1001, 5001, b"x" * 100), True, "data"),
        Step("B", c.b(ACK | PSH, 5001 + 1000000, 1101, b"y"), False, "far ahead"),
        Step("B", Conn(411, A6, B6).b(SYN, 5000), False, "SYN from B"),
        *[
            Step(step.side, step.packet, step.passes, step.what)
            for step in (
                Step("A", c.a(FIN | ACK, 1101, 5001), True, "FIN"),
                Step("B", c.b(FIN | ACK, 5001, 1102), True, "FIN back"),
                Step("A", c.a(ACK, 1102, 5002), True, "last ACK"),
            )
        ],
    ]


@scenario
def wrong_checksums() -> Scenario:
    c = Conn(420)
    data = c.a(ACK | PSH, 1001, 5001, b"x" * 10)
    query = udp(A4, B4, 421, 53)
    return [
        *c.open(),
        Step("A", data[:36] + b"\xde\xad" + data[38:], True, "TCP", "checksums"),
        Step("A", query[:26] + b"\xde\xad" + query[28:], True, "UDP", "checksums"),
    ]


def pieces(
    payload: bytes, *cuts: int, ident: int, protocol: int = UDP, ends: tuple[str, str] = (A4, B4)
) -> list[bytes]:
    """Fragments of a payload that is cut at these bytes, in order."""
    edges, made = [0, *cuts, len(payload)], []
    for at, end in pairwise(edges):
        more = end < len(payload)
        if ":" in ends[0]:
            head = struct.pack(">BBHI", UDP, 0, at | more, ident)
            made.append(ip(*ends, FRAGMENT, head + payload[at:end]))
        else:
            made.append(ip(*ends, UDP, payload[at:end], ident, (0x2000 if more else 0) | at // 8))
    return made


@scenario
def fragments() -> Scenario:
    steps: Scenario = []

    def datagram(what: str, order: tuple[int, ...], passes: bool, dport: int = 53, six: bool = False) -> None:
        number = 500 + len(steps)
        ends = (A6, B6) if six else (A4, B4)
        payload = udp_payload(*ends, number, dport, bytes(range(256)) * 12)
        parts = pieces(payload, 1000, 2000, 2504, ident=number, ends=ends)
        steps.append(Datagram("A", tuple(parts[i] for i in order), len(payload), passes, what))

    for six in (False, True):
        name = "IPv6 " if six else ""
        datagram(f"{name}in order", (0, 1, 2, 3), True, six=six)
        datagram(f"{name}backwards", (3, 2, 1, 0), True, six=six)
        datagram(f"{name}last one first", (3, 0, 1, 2), True, six=six)
        datagram(f"{name}middle ones first", (2, 1, 0, 3), True, six=six)
        datagram(f"{name}one twice", (0, 1, 1, 2, 3), True, six=six)
        datagram(f"{name}first one twice", (0, 0, 1, 2, 3), True, six=six)
        datagram(f"{name}without the first", (1, 2, 3), False, six=six)
        datagram(f"{name}without the last", (0, 1, 2), False, six=six)
        datagram(f"{name}to a port that is not allowed", (0, 1, 2, 3), False, dport=54, six=six)
    return steps


@scenario
def fragment_overlaps() -> Scenario:
    def overlap(number: int, what: str, begin: int, end: int, order: tuple[int, ...]) -> Datagram:
        payload = udp_payload(A4, B4, number, 53, bytes(2000))
        parts = pieces(payload, 800, 1600, ident=number)
        evil = ip(A4, B4, UDP, bytes([0xEE]) * (end - begin), number, 0x2000 | begin // 8)
        parts.append(evil)
        return Datagram("A", tuple(parts[i] for i in order), len(payload), False, what)

    return [
        overlap(600, "the second begins in the first", 792, 1600, (0, 3, 2)),
        overlap(601, "across two", 792, 808, (0, 1, 3)),
        overlap(602, "over the next one's begin", 1592, 1608, (0, 1, 3, 2)),
        overlap(603, "held ones", 792, 808, (1, 3, 0, 2)),
    ]


@scenario
def fragmented_replies() -> Scenario:
    payload = udp_payload(B4, A4, 53, 700, bytes(2000))
    parts = pieces(payload, 1480, ident=9, ends=(B4, A4))
    stray = udp_payload(B4, A4, 53, 701, bytes(2000))
    return [
        Step("A", udp(A4, B4, 700, 53), True, "query"),
        Datagram("B", tuple(parts), len(payload), True, "its reply in two"),
        Datagram("B", tuple(reversed(parts)), len(payload), True, "backwards"),
        Datagram("B", tuple(pieces(stray, 1480, ident=10, ends=(B4, A4))), len(stray), False, "no reply"),
    ]


# -- the judges --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ours() -> Iterator[Ringfield]:
    with ringfield() as made:
        yield made


def verdicts(firewall: Firewall, steps: Scenario) -> list[bool]:
    """What passes."""
    found = []
    for step in steps:
        if isinstance(step, Step):
            out = [transport(packet) for packet in firewall.send(step.side, step.packet)]
            found.append(transport(step.packet) in out)
        else:
            ends = (A4, B4) if step.side == "A" else (B4, A4)
            behind = udp(*ends, MARKER, MARKER, b"what was held may come behind what followed")
            pieces_out = [
                packet for one in (*step.fragments, behind) for packet in firewall.send(step.side, one)
            ]
            found.append(delivered(pieces_out, step.total))
    return found


def wrong(steps: Scenario, found: list[bool], wanted: list[bool]) -> list[str]:
    """The steps that went otherwise, in words."""
    return [
        f"{number}: {step.what} {'passed' if is_ else 'was dropped'}"
        for number, (step, is_, must) in enumerate(zip(steps, found, wanted, strict=True))
        if is_ != must
    ]


@pytest.mark.parametrize("name", SCENARIOS)
def test_ringfield(ours: Ringfield, name: str) -> None:
    steps = SCENARIOS[name]()
    assert not wrong(steps, verdicts(ours, steps), [step.passes for step in steps])


def kernel_version() -> tuple[int, ...]:
    """Of the kernel that is asked."""
    return tuple(map(int, re.findall(r"\d+", platform.release())[:2]))


@pytest.mark.root
def test_the_kernel_agrees(netns: Callable[[str], Netns]) -> None:
    try:
        kernel = Kernel(netns("judge"))
    except OSError as error:
        pytest.skip(f"this kernel has no nftables with connection tracking: {error}")
    try:
        said = []
        for name, build in SCENARIOS.items():
            steps = build()
            found = verdicts(kernel, steps)
            wanted = [step.passes != bool(step.differs) for step in steps]
            for number, step in enumerate(steps):
                if step.differs in OF_NEW_KERNELS and kernel_version() < (6, 2):
                    wanted[number] = found[number]
            said += [f"{name} {one}" for one in wrong(steps, found, wanted)]
        assert not said, "\n".join(said)
    finally:
        kernel.close()


def test_every_difference_is_documented() -> None:
    used = {step.differs for build in SCENARIOS.values() for step in build() if step.differs}
    documented = set(re.findall(r"^## .*\(`([a-z-]+)`\)$", DOCS.read_text(), re.MULTILINE))
    assert used <= documented
