# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Two appliances and the tunnels between them: two fast paths, frames carried from one's uplink to the other's."""

from __future__ import annotations

import atexit
import multiprocessing
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from appliance.policy.compiler import compile as compile_policy
from appliance.policy.model import (
    Band,
    Interface,
    Inventory,
    Network,
    Overlay,
    PolicySet,
    Rule,
    Vtep,
    Workload,
    vtep_mac,
)
from appliance.policy.refusal import Refused
from appliance.policy.selector import parse_selector
from tests.differential.frames import udp
from tests.oracle import packets as pc
from tests.oracle.factories import PORTS
from tests.oracle.fastpath import SECONDS, Segmented, segmented

VTEPS = {"east": "192.0.2.1", "west": "192.0.2.2"}
VNI = 5001
NETWORKS = (
    Network(
        name="red",
        vni=VNI,
        prefixes=("10.0.0.0/24", "10.0.1.0/24", "fd00::/64"),
        gateways=("10.0.0.1", "10.0.1.1"),
    ),
)
PLACES = {
    "web": ("east", "pf0vf0", "02:00:00:00:00:01", ("10.0.0.10", "fd00::10")),
    "agent": ("east", "pf0vf1", "02:00:00:00:00:02", ("10.0.0.11",)),
    "db": ("west", "pf0vf0", "02:00:00:00:00:03", ("10.0.0.20", "fd00::20")),
    "far": ("west", "pf0vf1", "02:00:00:00:00:04", ("10.0.1.20",)),
}
POLICY = PolicySet(
    rules=(
        Rule(
            name="web-db",
            band=Band.ALLOW,
            source=parse_selector("app=web"),
            target=parse_selector("app in (db, far, agent)"),
            services=("tcp/443", "icmp", "icmp6"),
        ),
        Rule(
            name="db-all",
            band=Band.ALLOW,
            source=parse_selector("app=db"),
            target=parse_selector("app in (web, far)"),
            services=("tcp/443",),
        ),
        Rule(
            name="far-db",
            band=Band.ALLOW,
            source=parse_selector("app=far"),
            target=parse_selector("app=db"),
            services=("tcp/443",),
        ),
    )
)


def inventory(side: str) -> Inventory:
    """The same fleet as one of the two sees it."""
    workloads = tuple(
        Workload(
            name=name,
            labels={"app": name},
            interfaces=(
                Interface(
                    network="red",
                    port=port,
                    mac=mac,
                    addresses=addresses,
                    appliance="" if where == side else where,
                ),
            ),
        )
        for name, (where, port, mac, addresses) in PLACES.items()
    )
    overlay = Overlay(
        port="p0",
        address=VTEPS[side],
        peers={name: Vtep(address=vtep) for name, vtep in VTEPS.items() if name != side},
    )
    return Inventory(networks=NETWORKS, workloads=workloads, ports=PORTS, overlay=overlay)


_HERE: dict[str, Segmented] = {}


def _start(side: str) -> None:
    stack = ExitStack()
    atexit.register(stack.close)
    _HERE["side"] = made = stack.enter_context(segmented())
    made.load(compile_policy(POLICY, inventory(side)))


def _ended() -> tuple[Counter[str], int, int]:
    """Packets that had an end (by kind or drop reason), those that came in, and those held."""
    stats = _HERE["side"].dpu.stats()
    ends: Counter[str] = Counter()
    for port in stats.ports.values():
        ends.update({"sent": port.sent.total_pkts, "software": port.software.total_pkts})
        ends.update(port.drops)
    return ends, stats.generated, stats.held


def _send(port: str, frame: bytes) -> tuple[list[tuple[str, bytes]], dict[str, int]]:
    """Out of which port comes what, and the drops by reason, when a frame comes in."""
    dpu = _HERE["side"].dpu
    before, made, _ = _ended()
    dpu.inject(port, frame)
    while True:
        ends, generated, held = _ended()
        new = ends - before
        if new.total() == 1 + generated - made and not held:
            break
        time.sleep(0.001)
    out: list[tuple[str, bytes]] = []
    while len(out) < new["sent"] + new["software"]:
        out += [(packet.port, packet.frame) for packet in dpu.packets(0.1)]
    return out, {name: n for name, n in new.items() if name not in ("sent", "software")}


class Side:
    """An appliance in a process of its own: a process has one session."""

    def __init__(self, name: str, pool: ProcessPoolExecutor) -> None:
        self._pool = pool
        self._do(_start, name)

    def _do(self, call: Callable[..., Any], *args: Any) -> Any:
        return self._pool.submit(call, *args).result(SECONDS)

    def send(self, port: str, frame: bytes) -> tuple[list[tuple[str, bytes]], dict[str, int]]:
        """What comes out, and what is dropped why."""
        found: tuple[list[tuple[str, bytes]], dict[str, int]] = self._do(_send, port, frame)
        return found

    def load(self, made: Inventory) -> None:
        """Another inventory is in force."""
        self._do(_load, made)

    def passes(self, port: str, frame: bytes) -> tuple[str, bytes]:
        """It comes out of one port, and nothing else does."""
        out, drops = self.send(port, frame)
        assert (len(out), drops) == (1, {}), out
        return out[0]

    def drops(self, port: str, frame: bytes) -> str:
        """It is dropped; why."""
        out, drops = self.send(port, frame)
        assert (out, sum(drops.values())) == ([], 1), drops
        return next(iter(drops))


@pytest.fixture(scope="module")
def fleet() -> Iterator[dict[str, Side]]:
    with ExitStack() as stack:
        spawn = multiprocessing.get_context("spawn")
        yield {
            name: Side(name, stack.enter_context(ProcessPoolExecutor(1, mp_context=spawn))) for name in VTEPS
        }


def _load(made: Inventory) -> None:
    _HERE["side"].load(compile_policy(POLICY, made))


def tunnelled(frame: bytes, source: str, target: str, vni: int = VNI) -> bytes:
    """A frame as a VTEP sends it."""
    vxlan = bytes([8, 0, 0, 0]) + vni.to_bytes(3, "big") + b"\0"
    body = pc.datagram(source, target, 17, udp(49152, 4789, vxlan + frame))
    return pc.ethernet(vtep_mac(target), vtep_mac(source), 0x0800, body)


def answered(dst_mac: str, src_mac: str, source: str, target: str) -> bytes:
    """The second segment of the handshake that ``packets.question`` begins on port 443."""
    head = (
        (443).to_bytes(2, "big")
        + (40000).to_bytes(2, "big")
        + (9).to_bytes(4, "big")
        + (2).to_bytes(4, "big")
    )
    body = head + bytes([0x50, 0x12]) + b"\x20\0\0\0\0\0"
    kind = 0x0800 if "." in source else 0x86DD
    return pc.ethernet(dst_mac, src_mac, kind, pc.datagram(source, target, 6, body))


def inside(frame: bytes) -> bytes:
    """What a frame between VTEPs carries: behind Ethernet, IPv4, UDP and VXLAN."""
    assert (frame[12:14], frame[36:38]) == (b"\x08\x00", (4789).to_bytes(2, "big"))
    return frame[50:]


@pytest.mark.parametrize(("source", "target"), [("10.0.0.10", "10.0.0.20"), ("fd00::10", "fd00::20")])
def test_a_connection_goes_there_and_back(fleet: dict[str, Side], source: str, target: str) -> None:
    """Both sides judge the opener, replies follow, and the frame that arrives is the one that was sent."""
    east, west = fleet["east"], fleet["west"]
    web, db = PLACES["web"][2], PLACES["db"][2]
    asked = pc.question(db, web, source, target, 6, 443)
    port, outer = east.passes("pf0vf0", asked)
    assert port == "p0"
    assert outer[:12] == pc.mac(vtep_mac(VTEPS["west"])) + pc.mac(vtep_mac(VTEPS["east"]))
    assert inside(outer)[: len(asked)] == asked
    port, arrived = west.passes("p0", outer)
    assert (port, arrived[: len(asked)]) == ("pf0vf0", asked)
    reply = answered(web, db, target, source)
    port, outer = west.passes("pf0vf0", reply)
    assert port == "p0"
    port, arrived = east.passes("p0", outer)
    assert (port, arrived[: len(reply)]) == ("pf0vf0", reply)


def test_subnets_are_routed_across(fleet: dict[str, Side]) -> None:
    """By way of the gateway's MAC: the hop limit falls by one in all, and the frame arrives with the target's MAC."""
    gateway = NETWORKS[0].gateway_mac
    asked = pc.question(gateway, PLACES["web"][2], "10.0.0.10", "10.0.1.20", 6, 443, sport=40001)
    port, outer = fleet["east"].passes("pf0vf0", asked)
    assert port == "p0"
    port, arrived = fleet["west"].passes("p0", outer)
    assert port == "pf0vf1"
    assert arrived[:12] == pc.mac(PLACES["far"][2]) + pc.mac(gateway)
    assert arrived[22] == asked[22] - 1


def test_both_sides_judge(fleet: dict[str, Side]) -> None:
    """What the opener's appliance denies does not leave it; what the target's denies does not arrive."""
    db, agent = PLACES["db"][2], PLACES["agent"][2]
    asked = pc.question(db, agent, "10.0.0.11", "10.0.0.20", 6, 443, sport=40002)
    assert fleet["east"].drops("pf0vf1", asked) == "policy"
    forged = tunnelled(asked, VTEPS["east"], VTEPS["west"])
    assert fleet["west"].drops("p0", forged) == "policy"


WEB, DB = PLACES["web"][2], PLACES["db"][2]
ASKED = pc.question(DB, WEB, "10.0.0.10", "10.0.0.20", 6, 443, sport=40003)
SPOOFED = {
    "from another VTEP": (tunnelled(ASKED, "192.0.2.9", VTEPS["west"]), "unauthenticated"),
    "in another network": (tunnelled(ASKED, VTEPS["east"], VTEPS["west"], VNI + 1), "tunnel_spoofed"),
    "to another VTEP": (tunnelled(ASKED, VTEPS["east"], "192.0.2.9"), "tunnel_spoofed"),
    "by a sender that is here": (
        tunnelled(pc.question(DB, WEB, "10.0.1.20", "10.0.0.20", 6, 443), VTEPS["east"], VTEPS["west"]),
        "tunnel_spoofed",
    ),
    "by nobody known": (
        tunnelled(pc.question(DB, WEB, "10.0.0.77", "10.0.0.20", 6, 443), VTEPS["east"], VTEPS["west"]),
        "tunnel_spoofed",
    ),
    "by nobody known, IPv6": (
        tunnelled(pc.question(DB, WEB, "fd00::77", "fd00::20", 6, 443), VTEPS["east"], VTEPS["west"]),
        "tunnel_spoofed",
    ),
    "not IP inside": (
        tunnelled(pc.arp(WEB, "10.0.0.10", "10.0.0.20"), VTEPS["east"], VTEPS["west"]),
        "tunnel_spoofed",
    ),
    "without a tunnel": (ASKED, "unauthenticated"),
    "onward to another appliance": (
        tunnelled(
            pc.question(PLACES["agent"][2], WEB, "10.0.0.10", "10.0.0.11", 6, 443),
            VTEPS["east"],
            VTEPS["west"],
        ),
        "no_route",
    ),
}


@pytest.mark.parametrize("what", SPOOFED)
def test_what_a_tunnel_does_not_let_in(fleet: dict[str, Side], what: str) -> None:
    """Senders that the VTEP does not own, tunnels that do not exist."""
    frame, why = SPOOFED[what]
    assert fleet["west"].drops("p0", frame) == why


def test_a_workload_that_moves_is_in_both_places(fleet: dict[str, Side]) -> None:
    """db goes from west to east. While it is in both, packets to it go to the first, whatever comes for it out of a
    tunnel ends where it is, and it may send from either.
    """
    db, (_, _, far, _) = PLACES["db"][2], PLACES["far"]
    places = {
        "west": Interface(network="red", port="pf0vf0", mac=db, addresses=("10.0.0.20",), appliance="west"),
        "east": Interface(network="red", port="pf0vf2", mac=db, addresses=("10.0.0.20",), appliance="east"),
    }

    def at(side: str, *order: str) -> Inventory:
        made = inventory(side)
        here = tuple(
            replace(places[one], appliance="" if one == side else one, port=places[one].port) for one in order
        )
        return replace(
            made,
            workloads=tuple(
                replace(one, interfaces=here) if one.name == "db" else one for one in made.workloads
            ),
        )

    numbers = iter(range(41000, 42000))

    def ask(source: str, target: str, macs: tuple[str, str]) -> bytes:
        return pc.question(macs[1], macs[0], source, target, 6, 443, sport=next(numbers))

    web_db = ("10.0.0.10", "10.0.0.20", (WEB, db))
    db_web = ("10.0.0.20", "10.0.0.10", (db, WEB))
    far_db = ("10.0.1.20", "10.0.0.20", (far, db))
    east, west = fleet["east"], fleet["west"]
    try:
        for order in (("west", "east"), ("east", "west")):
            for name, side in fleet.items():
                side.load(at(name, *order))
            first = order[0]
            # To it.
            assert east.passes("pf0vf0", ask(*web_db))[0] == ("p0" if first == "west" else "pf0vf2")
            assert west.passes("pf0vf1", ask(*far_db))[0] == ("p0" if first == "east" else "pf0vf0")
            out = tunnelled(ask(*web_db), VTEPS["east"], VTEPS["west"])
            assert west.passes("p0", out)[0] == "pf0vf0"
            out = tunnelled(ask(*far_db), VTEPS["west"], VTEPS["east"])
            assert east.passes("p0", out)[0] == "pf0vf2"
            # From it.
            assert east.passes("pf0vf2", ask(*db_web))[0] == "pf0vf0"
            assert west.passes("pf0vf0", ask(*db_web))[0] == "p0"
            assert east.passes("p0", tunnelled(ask(*db_web), VTEPS["west"], VTEPS["east"]))[0] == "pf0vf0"
        for name, side in fleet.items():
            side.load(at(name, "east"))
        assert west.drops("p0", tunnelled(ask(*web_db), VTEPS["east"], VTEPS["west"])) == "no_route"
        assert west.drops("pf0vf0", ask(*db_web)) == "unauthenticated"
        forged = tunnelled(ask(*db_web), VTEPS["west"], VTEPS["east"])
        assert east.drops("p0", forged) == "tunnel_spoofed"
    finally:
        for name, side in fleet.items():
            side.load(inventory(name))


def test_a_workload_reaches_no_tunnel_end(fleet: dict[str, Side]) -> None:
    """It cannot make tunnels of its own: neither by the gateway nor by a MAC of the underlay."""
    frame = tunnelled(ASKED, "10.0.0.10", VTEPS["west"])
    for mac in (NETWORKS[0].gateway_mac, vtep_mac(VTEPS["west"]), vtep_mac(VTEPS["east"])):
        out = pc.mac(mac) + pc.mac(WEB) + frame[12:]
        assert fleet["east"].drops("pf0vf0", out) in ("policy", "no_route")


def test_the_next_hop_may_ask_for_the_tunnel_end(fleet: dict[str, Side]) -> None:
    """ARP for the VTEP is answered to who carries its packets, and to nobody else."""
    west, east = VTEPS["west"], VTEPS["east"]
    out, _ = fleet["west"].send("p0", pc.arp(vtep_mac(east), east, west))
    assert [(port, frame[:12]) for port, frame in out] == [
        ("p0", pc.mac(vtep_mac(east)) + pc.mac(vtep_mac(west)))
    ]
    assert fleet["west"].drops("p0", pc.arp("02:00:00:00:00:99", "192.0.2.7", west)) == "unauthenticated"


WRONG: dict[str, tuple[Callable[[Any], Inventory], str]] = {
    "no such port": (lambda one: replace(one, overlay=replace(one.overlay, port="p7")), "no port 'p7'"),
    "IPv6 underlay": (
        lambda one: replace(one, overlay=replace(one.overlay, address="fd00::1")),
        "tunnels run over IPv4",
    ),
    "the peer's address": (
        lambda one: replace(one, overlay=replace(one.overlay, address=VTEPS["west"])),
        "192.0.2.2 is this appliance's already",
    ),
    "a workload on its port": (
        lambda one: replace(one, overlay=replace(one.overlay, port="pf0vf0")),
        "port pf0vf0 is the overlay's",
    ),
    "a VLAN, too": (
        lambda one: replace(one, networks=(replace(NETWORKS[0], vlan=5),)),
        "tunnels carry no VLAN tags",
    ),
    "a VNI twice": (
        lambda one: replace(
            one, networks=(*NETWORKS, Network(name="blue", vni=VNI, prefixes=("10.9.0.0/24",)))
        ),
        "VNI 5001 is network red's already",
    ),
    "a VNI too large": (
        lambda one: replace(one, networks=(replace(NETWORKS[0], vni=1 << 24),)),
        "16777216 is not between",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_overlays_are_refused(what: str) -> None:
    """Each names what and where."""
    change, why = WRONG[what]
    with pytest.raises(Refused, match=re.escape(why)):
        compile_policy(POLICY, change(inventory("east")))
