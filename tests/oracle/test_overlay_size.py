# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Packets that do not fit through a tunnel are answered, and answers to what came out of a tunnel go back into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from appliance.policy.model import Band, Rule, vtep_mac
from appliance.policy.selector import parse_selector
from tests.differential import packet as pk
from tests.oracle import packets as pc
from tests.oracle.sides import (
    NETWORKS,
    PLACES,
    POLICY,
    VTEPS,
    Side,
    answered,
    inside,
    inventory,
    sides,
    tunnelled,
)

WEB, DB, FAR = PLACES["web"][2], PLACES["db"][2], PLACES["far"][2]
GATEWAY = NETWORKS[0].gateway_mac
FITS = 1500 - 50
DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000


@pytest.fixture(scope="module")
def fleet() -> Iterator[dict[str, Side]]:
    with sides() as made:
        yield made


def echo(
    length: int,
    source: str,
    target: str,
    macs: tuple[str, str],
    *,
    ident: int = 7,
    flags: int = DONT_FRAGMENT,
) -> bytes:
    """An echo request whose IP packet has ``length`` bytes."""
    old = ip_address(source).version == 4
    body = pc.segment(1 if old else 58, 8 if old else 128, ident)
    packet = pc.datagram(source, target, 1 if old else 58, body.ljust(length - (20 if old else 40), b"x"))
    if old:
        head = packet[:6] + flags.to_bytes(2, "big") + packet[8:10] + b"\0\0" + packet[12:20]
        packet = head[:10] + pk.checksum(head).to_bytes(2, "big") + head[12:] + packet[20:]
    return pc.ethernet(macs[1], macs[0], 0x0800 if old else 0x86DD, packet)


def told(answer: bytes) -> tuple[str, str, int, bytes]:
    """Who says to whom which MTU, about what: of a right ICMP or ICMPv6 message."""
    packet = answer[14:]
    if answer[12:14] == b"\x08\x00":
        source, target, body = packet[12:16], packet[16:20], packet[20:]
        assert (packet[9], body[:2], pk.checksum(packet[:20]), pk.checksum(body)) == (1, b"\x03\x04", 0, 0)
        mtu = int.from_bytes(body[6:8], "big")
    else:
        source, target, body = packet[8:24], packet[24:40], packet[40:]
        pseudo = source + target + len(body).to_bytes(4, "big") + bytes([0, 0, 0, 58])
        assert (packet[6], body[:2], pk.checksum(pseudo + body)) == (58, b"\x02\x00", 0)
        mtu = int.from_bytes(body[4:8], "big")
    return str(ip_address(source)), str(ip_address(target)), mtu, body[8:]


ENDS = [("10.0.0.10", "10.0.0.20"), ("fd00::10", "fd00::20")]


@pytest.mark.parametrize(("source", "target"), ENDS)
def test_what_is_too_big_is_told(fleet: dict[str, Side], source: str, target: str) -> None:
    """To the byte, with the MTU, by the target's address as from its MAC."""
    east = fleet["east"]
    fits = echo(FITS, source, target, (WEB, DB))
    port, outer = east.passes("pf0vf0", fits)
    assert (port, len(outer) - 14, inside(outer)) == ("p0", 1500, fits)
    big = echo(FITS + 1, source, target, (WEB, DB))
    out, drops = east.send("pf0vf0", big)
    assert drops == {"mtu": 1}
    assert [(port, answer[:12]) for port, answer in out] == [("pf0vf0", pc.mac(WEB) + pc.mac(DB))]
    said = told(out[0][1])
    assert said[:3] == (target, source, FITS)
    assert said[3] == big[14 : 14 + len(said[3])]


@pytest.mark.parametrize("flags", [0, MORE_FRAGMENTS])
def test_what_might_be_fragmented_is_told_too(fleet: dict[str, Side], flags: int) -> None:
    """Nothing is fragmented on the way; a first fragment is answered, a later one is not."""
    big = echo(1500, *ENDS[0], (WEB, DB), ident=8 + flags, flags=flags)
    out, drops = fleet["east"].send("pf0vf0", big)
    assert (drops, told(out[0][1])[2]) == ({"mtu": 1}, FITS)
    if flags:
        later = echo(1500, *ENDS[0], (WEB, DB), ident=8 + flags, flags=(1500 - 20) // 8)
        assert fleet["east"].drops("pf0vf0", later) == "mtu"


def test_what_was_routed_is_told_by_way_of_the_gateway(fleet: dict[str, Side]) -> None:
    """To the sender's MAC, which the packet has lost on its way, from the MAC that it was sent to."""
    big = echo(1500, "10.0.0.10", "10.0.1.20", (WEB, GATEWAY))
    out, drops = fleet["east"].send("pf0vf0", big)
    assert drops == {"mtu": 1}
    assert [(port, answer[:12]) for port, answer in out] == [("pf0vf0", pc.mac(WEB) + pc.mac(GATEWAY))]
    assert told(out[0][1])[:3] == ("10.0.1.20", "10.0.0.10", FITS)


def segment(length: int, flags: int = 0x10) -> bytes:
    """A segment of an established connection, in an IP packet of so many bytes."""
    head = (
        (40900).to_bytes(2, "big")
        + (443).to_bytes(2, "big")
        + (2).to_bytes(4, "big")
        + (10).to_bytes(4, "big")
    )
    body = (head + bytes([0x50, flags]) + b"\x20\0\0\0\0\0").ljust(length - 20, b"x")
    return pc.ethernet(DB, WEB, 0x0800, pc.datagram("10.0.0.10", "10.0.0.20", 6, body))


def test_a_recorded_walk_repeats_no_size(fleet: dict[str, Side]) -> None:
    """However many segments have gone the same way: one that is too big is told, the next one passes."""
    east, west = fleet["east"], fleet["west"]
    syn = pc.question(DB, WEB, "10.0.0.10", "10.0.0.20", 6, 443, sport=40900)
    west.passes("p0", east.passes("pf0vf0", syn)[1])
    reply = answered(WEB, DB, "10.0.0.20", "10.0.0.10", 40900)
    east.passes("p0", west.passes("pf0vf0", reply)[1])
    for length in (60, 60, 60, FITS, FITS + 1, 60, 1500, FITS):
        out, drops = east.send("pf0vf0", segment(length))
        if length <= FITS:
            assert ([port for port, _ in out], drops) == (["p0"], {})
        else:
            assert ([port for port, _ in out], drops) == (["pf0vf0"], {"mtu": 1})
            assert told(out[0][1])[2] == FITS


def test_a_refusal_goes_back_into_the_tunnel(fleet: dict[str, Side]) -> None:
    """What the target's appliance rejects is told by the target, to the opener behind the other appliance."""
    east, west = fleet["east"], fleet["west"]
    allowed = Rule(
        name="udp", band=Band.ALLOW, target=parse_selector("app=db"), services=("udp/54", "tcp/54")
    )
    refused = replace(allowed, band=Band.BLOCK, reject=True)
    try:
        for side, rule in ((east, allowed), (west, refused)):
            name = "east" if side is east else "west"
            side.load(inventory(name), replace(POLICY, rules=(*POLICY.rules, rule)))
        for protocol, sport in ((17, 42000), (6, 42001)):
            asked = pc.question(DB, WEB, "10.0.0.10", "10.0.0.20", protocol, 54, sport=sport)
            _, outer = east.passes("pf0vf0", asked)
            # Other senders give the tunnel's UDP a checksum.
            pseudo = outer[26:34] + bytes([0, 17]) + outer[38:40]
            outer = outer[:40] + pk.checksum(pseudo + outer[34:]).to_bytes(2, "big") + outer[42:]
            out, drops = west.send("p0", outer)
            assert ([port for port, _ in out], drops) == (["p0"], {"policy": 1})
            back = out[0][1]
            assert back[40:42] == b"\0\0"
            assert back[:12] == pc.mac(vtep_mac(VTEPS["east"])) + pc.mac(vtep_mac(VTEPS["west"]))
            assert (pk.checksum(back[14:34]), int.from_bytes(back[16:18], "big")) == (0, len(back) - 14)
            assert inside(back)[:12] == pc.mac(WEB) + pc.mac(DB)
            port, arrived = east.passes("p0", back)
            assert (port, arrived) == ("pf0vf0", inside(back))
            assert arrived[26:34] == ip_address("10.0.0.20").packed + ip_address("10.0.0.10").packed
    finally:
        for name, side in fleet.items():
            side.load(inventory(name))


def test_what_a_tunnel_would_not_let_in_is_not_told_to_anybody(fleet: dict[str, Side]) -> None:
    """A forged packet makes no answer."""
    asked = pc.question(DB, WEB, "10.0.0.77", "10.0.0.20", 6, 443)
    out, drops = fleet["west"].send("p0", tunnelled(asked, VTEPS["east"], VTEPS["west"]))
    assert (out, drops) == ([], {"tunnel_spoofed": 1})
