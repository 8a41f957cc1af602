# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What tunnels do with fragments and congestion marks, over IPv4 and over IPv6."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

import pytest

from appliance.policy.model import vtep_mac
from tests.differential import packet as pk
from tests.differential.frames import ip4, ip6, udp
from tests.oracle import packets as pc
from tests.oracle.sides import PLACES, ROUTER, VTEPS, VTEPS6, Side, answered, inside, sides, tunnelled

WEB, DB = PLACES["web"][2], PLACES["db"][2]


@dataclass(frozen=True)
class Fleet:
    east: Side
    west: Side
    vteps: dict[str, str]

    @property
    def overhead(self) -> int:
        return 70 if ":" in self.vteps["east"] else 50


@pytest.fixture(scope="module", params=["over IPv4", "over IPv6"])
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    vteps = VTEPS if request.param == "over IPv4" else VTEPS6
    with sides(vteps) as made:
        yield Fleet(made["east"], made["west"], vteps)


def carried(fleet: Fleet, frame: bytes, source: str = "east") -> bytes:
    """What arrives at the other appliance: routers in between set MACs, and nothing else that matters."""
    target = "west" if source == "east" else "east"
    macs = (vtep_mac(fleet.vteps[target]), ROUTER if fleet.overhead == 70 else vtep_mac(fleet.vteps[source]))
    return pc.mac(macs[0]) + pc.mac(macs[1]) + frame[12:]


@pytest.mark.parametrize(("source", "target"), [("10.0.0.10", "10.0.0.20"), ("fd00::10", "fd00::20")])
def test_there_and_back(fleet: Fleet, source: str, target: str) -> None:
    """A handshake; and what is too big is told the right size."""
    asked = pc.question(DB, WEB, source, target, 6, 443, sport=43000)
    port, outer = fleet.east.passes("pf0vf0", asked)
    assert port == "p0"
    assert outer[:12] == pc.mac(ROUTER if fleet.overhead == 70 else vtep_mac(fleet.vteps["west"])) + pc.mac(
        vtep_mac(fleet.vteps["east"])
    )
    assert (len(outer) - len(inside(outer)), inside(outer)) == (fleet.overhead, asked)
    assert fleet.west.passes("p0", carried(fleet, outer)) == ("pf0vf0", asked)
    _, outer = fleet.west.passes("pf0vf0", answered(WEB, DB, target, source, 43000))
    assert fleet.east.passes("p0", carried(fleet, outer, "west"))[0] == "pf0vf0"
    big = asked[:14] + pc.datagram(
        source, target, 6, asked[14 + (20 if "." in source else 40) :][:20] + bytes(1440)
    )
    out, drops = fleet.east.send("pf0vf0", big)
    assert (drops, [port for port, _ in out]) == ({"mtu": 1}, ["pf0vf0"])
    at = 14 + (26 if "." in source else 46)
    assert int.from_bytes(out[0][1][at : at + 2], "big") == 1500 - fleet.overhead


def test_forged_ends_are_refused(fleet: Fleet) -> None:
    """By who is no peer, and by a peer that does not own the sender."""
    asked = pc.question(DB, WEB, "10.0.0.10", "10.0.0.20", 6, 443)
    stranger = "192.0.2.9" if fleet.overhead == 50 else "fd00:9::9"
    assert fleet.west.drops("p0", tunnelled(asked, stranger, fleet.vteps["west"])) == "unauthenticated"
    own = pc.question(DB, WEB, "10.0.1.20", "10.0.0.20", 6, 443)
    assert (
        fleet.west.drops("p0", tunnelled(own, fleet.vteps["east"], fleet.vteps["west"])) == "tunnel_spoofed"
    )


def test_the_next_hop_may_ask_for_the_tunnel_end(fleet: Fleet) -> None:
    """By ARP or neighbour discovery, whichever the underlay has."""
    west = fleet.vteps["west"]
    if fleet.overhead == 50:
        frame = pc.arp(vtep_mac(fleet.vteps["east"]), fleet.vteps["east"], west)
    else:
        frame = pc.solicitation(ROUTER, "fd00:1::fe", west)
    out, _ = fleet.west.send("p0", frame)
    assert [(port, answer[6:12]) for port, answer in out] == [("p0", pc.mac(vtep_mac(west)))]
    stranger = frame[:6] + pc.mac("02:00:00:00:00:99") + frame[12:]
    assert fleet.west.drops("p0", stranger) == "unauthenticated"


def fragments(source: str, target: str, sport: int, ident: int) -> list[bytes]:
    """A datagram of UDP in three pieces, as frames from web to db."""
    segment = udp(sport, 53, bytes(range(256)) * 4)
    pieces = [segment[:400], segment[400:800], segment[800:]]
    made = []
    for number, piece in enumerate(pieces):
        at, more = number * 400 // 8, number < 2
        if "." in source:
            packet = ip4(int(ip_address(source)), int(ip_address(target)), 17, piece, flags=more << 13 | at)
            packet = packet[:4] + ident.to_bytes(2, "big") + packet[6:10] + b"\0\0" + packet[12:]
            packet = packet[:10] + pk.checksum(packet[:20]).to_bytes(2, "big") + packet[12:]
        else:
            head = bytes([17, 0]) + (at << 3 | more).to_bytes(2, "big") + ident.to_bytes(4, "big")
            packet = ip6(int(ip_address(source)), int(ip_address(target)), 44, head + piece)
        made.append(pc.ethernet(DB, WEB, 0x0800 if "." in source else 0x86DD, packet))
    return made


ORDERS: list[tuple[int, ...]] = [(0, 1, 2), (2, 1, 0), (1, 0, 2)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("source", "target"), [("10.0.0.10", "10.0.0.20"), ("fd00::10", "fd00::20")])
def test_fragments_arrive(fleet: Fleet, source: str, target: str, order: tuple[int, ...]) -> None:
    """All of them, unchanged, whatever came first; the verdict is the datagram's at both ends."""
    index = ORDERS.index(order)
    for sport, passes in ((44000 + index, True), (45000 + index, False)):
        pieces = fragments(source, target, sport, sport)
        if not passes:  # another service: denied by its first fragment, and all of it
            pieces = [one.replace((53).to_bytes(2, "big"), (54).to_bytes(2, "big"), 1) for one in pieces]
        sent = [tunnelled(pieces[n], fleet.vteps["east"], fleet.vteps["west"]) for n in order]
        out, drops = fleet.west.send_all("p0", sent)
        if passes:
            assert (sorted(frame for _, frame in out), drops) == (sorted(pieces), {})
        else:
            assert (out, drops) == ([], {"policy": 3})


MARKS = [
    (0, 0, 0),
    (2, 2, 2),
    (2, 1, 1),
    (1, 1, 1),
    (1, 2, 1),
    (2, 3, 3),
    (1, 3, 3),
    (3, 0, 3),
    (3, 3, 3),
    (0, 2, 0),
]
"""Inner, outer, and inner afterwards (RFC 6040, figure 4)."""


def marked(source: str, target: str, ecn: int, sport: int) -> bytes:
    segment = pc.segment(6, 443, sport)
    old = "." in source
    made = (ip4 if old else ip6)(int(ip_address(source)), int(ip_address(target)), 6, segment, 64, ecn)
    return pc.ethernet(DB, WEB, 0x0800 if old else 0x86DD, made)


def ecn_of(frame: bytes) -> int:
    if frame[12:14] == b"\x08\x00":
        assert pk.checksum(frame[14:34]) == 0
        return frame[15] & 3
    return frame[15] >> 4 & 3


@pytest.mark.parametrize(("source", "target"), [("10.0.0.10", "10.0.0.20"), ("fd00::10", "fd00::20")])
def test_congestion_is_told_on(fleet: Fleet, source: str, target: str) -> None:
    """A tunnel takes a packet's ECN with it, and its own mark into the packet at its end."""
    for number, (inner, outer, after) in enumerate(MARKS):
        sport = 46000 + number
        frame = marked(source, target, inner, sport)
        assert ecn_of(fleet.east.passes("pf0vf0", frame)[1]) == inner
        into = tunnelled(frame, fleet.vteps["east"], fleet.vteps["west"], ecn=outer)
        assert ecn_of(fleet.west.passes("p0", into)[1]) == after
    frame = marked(source, target, 0, 46100)
    lost = tunnelled(frame, fleet.vteps["east"], fleet.vteps["west"], ecn=3)
    assert fleet.west.drops("p0", lost) == "tunnel_ecn"
