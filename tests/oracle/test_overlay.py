# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Two appliances and the tunnels between them: two fast paths, frames carried from one's uplink to the other's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from appliance.policy.compiler import compile as compile_policy
from appliance.policy.enforcement import bound_anew
from appliance.policy.model import Interface, Inventory, Network, Overlay, Uplink, Vtep, Workload, vtep_mac
from appliance.policy.overlay import check_vtep, reaching
from appliance.policy.refusal import Refused
from tests.oracle import packets as pc
from tests.oracle.sides import (
    NETWORKS,
    PLACES,
    POLICY,
    VNI,
    VTEPS,
    Side,
    answered,
    inside,
    inventory,
    sides,
    tunnelled,
)


@pytest.fixture(scope="module")
def fleet() -> Iterator[dict[str, Side]]:
    with sides() as made:
        yield made


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
    "with a VLAN tag inside": (
        tunnelled(ASKED[:12] + b"\x81\0\0\5" + ASKED[12:], VTEPS["east"], VTEPS["west"]),
        "tunnel_vlan",
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


def test_a_tag_without_a_vlan_does_not_enter_the_tunnel(fleet: dict[str, Side]) -> None:
    """A priority alone: the frame arrives without it."""
    asked = pc.question(DB, WEB, "10.0.0.10", "10.0.0.20", 6, 443, sport=40005)
    port, outer = fleet["east"].passes("pf0vf0", asked[:12] + b"\x81\0\xa0\0" + asked[12:])
    assert (port, inside(outer)) == ("p0", asked)


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
    "an underlay of two versions": (
        lambda one: replace(one, overlay=replace(one.overlay, address="fd00::1")),
        "192.0.2.2 and fd00::1 are of two IP versions",
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


@pytest.mark.parametrize(
    "address", ["255.255.255.255", "240.0.0.1", "2001:db8::9%x", "127.0.0.1", "::", "ff02::1"]
)
def test_addresses_that_no_tunnel_can_end_at(address: str) -> None:
    """Neither told nor configured."""
    with pytest.raises(ValueError, match="not the address of one station"):
        check_vtep(address)
    made = inventory("east")
    assert made.overlay is not None
    for wrong in (
        replace(made.overlay, address=address),
        replace(made.overlay, peers={"west": Vtep(address=address)}),
    ):
        with pytest.raises(Refused, match="not the address of one station"):
            compile_policy(POLICY, replace(made, overlay=wrong))


@pytest.mark.parametrize("claimed", ["10.0.0.10", "10.77.0.1", "169.254.7.7", "10.0.0.1"])
def test_who_claims_an_address_that_is_in_use_harms_nobody_else(claimed: str) -> None:
    """A workload's, one's outside of the network's prefixes, a link's own, a gateway's: the rest is in force."""
    made = inventory("east")
    assert made.overlay is not None
    outside = Interface(network="red", port="pf0vf2", mac="02:00:00:00:00:05", addresses=("10.77.0.1",))
    uplink = Uplink(port="p0", next_hop_mac=vtep_mac(claimed))
    made = replace(
        made,
        networks=(replace(NETWORKS[0], uplink=uplink),),
        workloads=(*made.workloads, Workload(name="out", interfaces=(outside,))),
        overlay=reaching(made.overlay, {"thief": Vtep(address=claimed, next_hop_mac=vtep_mac(claimed))}),
    )
    compile_policy(POLICY, made)


def test_whom_a_centre_names_is_believed_within_bounds() -> None:
    """In the underlay's prefixes, where they are configured, and not with an address that another has."""
    told = {"x": Vtep(address="192.0.2.9"), "y": Vtep(address="8.8.8.8"), "z": Vtep(address="2001:db8::1")}
    plain = inventory("east").overlay
    assert plain is not None
    fenced = replace(plain, prefixes=("192.0.2.0/24",))

    def names(overlay: Overlay, vteps: dict[str, Vtep]) -> dict[str, str]:
        made = reaching(overlay, vteps)
        assert made is not None
        return {name: one.address for name, one in made.peers.items()}

    west = VTEPS["west"]
    assert names(plain, told) == {"west": west, "x": "192.0.2.9", "y": "8.8.8.8"}
    assert names(fenced, told) == {"west": west, "x": "192.0.2.9"}
    assert names(plain, {"x": Vtep(address=west)}) == {"west": west}
    assert names(plain, {"x": Vtep(address=VTEPS["east"])}) == {"west": west}
    assert names(plain, {"west": Vtep(address="192.0.2.7")}) == {"west": "192.0.2.7"}


def test_only_who_comes_or_goes_here_is_adopted_here() -> None:
    """Peers behind other appliances are not, wherever they are."""
    few = inventory("east")
    none = compile_policy(POLICY, replace(few, workloads=()))
    east, west = (compile_policy(POLICY, inventory(side)) for side in ("east", "west"))
    assert {address for address, _ in bound_anew(none, east)} == {"10.0.0.10", "fd00::10", "10.0.0.11"}
    assert bound_anew(east, east) == []
    # All change places.
    assert len(bound_anew(east, west)) == 6


@pytest.mark.parametrize("what", WRONG)
def test_wrong_overlays_are_refused(what: str) -> None:
    """Each names what and where."""
    change, why = WRONG[what]
    with pytest.raises(Refused, match=re.escape(why)):
        compile_policy(POLICY, change(inventory("east")))
