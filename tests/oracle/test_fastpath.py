# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Compiled programs on the real fast path: verdicts against brute force, and what hosts ask of their link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from appliance.flow.results import Verdict as End
from appliance.policy import compiler
from appliance.policy.model import (
    NO_CONTAINMENT,
    Band,
    Containment,
    Default,
    Interface,
    Inventory,
    Network,
    PolicySet,
    Rule,
    State,
    Uplink,
    Workload,
)
from appliance.policy.program import Program
from appliance.policy.refusal import Refused
from tests.oracle import factories as fa
from tests.oracle import packets as pc
from tests.oracle.brute import Brute
from tests.oracle.fastpath import Segmented, segmented
from tests.oracle.test_compiled import RELAXED, as_judgement
from tests.support.judged import icmp


@pytest.fixture(scope="module")
def fast() -> Iterator[Segmented]:
    with segmented() as made:
        yield made


def ends(inventory: Inventory) -> list[tuple[Workload, Interface, Network]]:
    networks = {one.name: one for one in inventory.networks}
    return [(w, i, networks[i.network]) for w in inventory.workloads for i in w.interfaces]


def asks(
    fast: Segmented, policy: PolicySet, inventory: Inventory, containment: Containment, program: Program,
    picks: list[tuple[int, int, int]],
) -> None:  # fmt: skip
    """First packets of some connections: verdict and provenance are the oracle's, and what passes arrives."""
    brute, seats = Brute(policy, inventory, containment), ends(inventory)
    for first, second, third in picks:
        _, a, network = seats[first % len(seats)]
        source = a.addresses[0]
        six = ":" in source
        peers = [i for _, i, n in seats if n is network and (":" in i.addresses[0]) is six and i is not a]
        services: Any = fa.QUESTIONS6 if six else fa.QUESTIONS
        protocol, port = services[third % len(services)]
        if not peers or (second % 7 == 0 and network.gateways):
            pool = fa.STRANGERS6 if six else fa.STRANGERS
            b, target, dst = None, pool[second % len(pool)], network.gateway_mac
        else:
            b = peers[second % len(peers)]
            target, dst = b.addresses[0], b.mac
        frame = pc.question(dst, a.mac, source, target, protocol, port, network.vlan)
        outcome, tag, trace = fast.ask(a.port, frame)
        expected = brute.judge(network.name, source, target, protocol, port)
        said = f"{network.name}: {source} -> {target} {protocol}/{port}\n{trace}"
        if (protocol, port) in ICMP_ERRORS:
            assert outcome.reason == "ct_untrackable", said
            continue
        assert tag in program.verdicts, said
        assert as_judgement(program.verdicts[tag]) == expected, said
        if not expected.action.passes:
            assert (outcome.verdict, outcome.reason) == (End.DROP, "policy"), said
        elif b is not None:
            assert (outcome.verdict, outcome.port) == (End.PORT, b.port), said
        else:
            assert outcome.reason != "policy", said


ICMP_ERRORS = ((1, 3), (58, 3))
"""They follow a connection, or they are nothing."""
PICKS = st.lists(st.tuples(*[st.integers(0, 1000)] * 3), min_size=15, max_size=15)


@given(data=st.data())
@settings(RELAXED, max_examples=10, phases=(Phase.explicit, Phase.generate))
def test_the_fast_path_says_what_brute_force_says(fast: Segmented, data: st.DataObject) -> None:
    inventory, policy = data.draw(fa.inventories()), data.draw(fa.policies())
    containment = data.draw(fa.containments(inventory))
    program = compiler.compile(policy, inventory, containment)
    fast.load(program)
    asks(fast, policy, inventory, containment, program, data.draw(PICKS))
    # A label change, a quarantine, another policy: each as a difference to what is there.
    number = data.draw(st.integers(0, len(inventory.workloads) - 1))
    changed = list(inventory.workloads)
    changed[number] = replace(changed[number], labels=data.draw(fa.workload_labels()))
    inventory = replace(inventory, workloads=tuple(changed))
    states = {**containment.states, changed[number - 1].name: State.QUARANTINED}
    containment = replace(containment, states=states)
    policies = (policy, data.draw(fa.policies()))
    for one in policies:
        program = compiler.compile(one, inventory, containment, numbers=program.numbers, previous=program)
        fast.load(program)
        asks(fast, one, inventory, containment, program, data.draw(PICKS))


# --- link control -----------------------------------------------------------------------------------------------------

A, B, C = "02:00:00:00:01:01", "02:00:00:00:01:02", "02:00:00:00:01:03"
HOP, GATEWAY = "02:00:00:00:02:01", "02:52:46:00:00:01"
LL_A = "fe80::1"
NOBODY = str(IPv4Address(0))


def _seat(name: str, port: str, mac: str, *addresses: str, prefixes: tuple[str, ...] = ()) -> Workload:
    interface = Interface(network="n", port=port, mac=mac, addresses=addresses, prefixes=prefixes)
    return Workload(name=name, interfaces=(interface,))


SMALL = Inventory(
    networks=(
        Network(
            name="n", prefixes=("10.0.0.0/24", "10.0.1.0/24", "fd00::/64"), gateways=("10.0.0.1", "fd00::1"),
            uplink=Uplink(port="p0", next_hop_mac=HOP),
        ),
    ),
    workloads=(
        _seat("a", "pf0vf0", A, "10.0.0.10", "fd00::10"),
        _seat("b", "pf0vf1", B, "10.0.1.11", "fd00::11"),
        _seat("r", "pf0vf2", C, "10.0.0.12", prefixes=("10.7.0.0/16",)),
    ),
    ports=fa.PORTS,
)  # fmt: skip
OPEN = compiler.compile(PolicySet(default=Default.ALLOW), SMALL)
ALL_HOSTS6, MDNS4 = "33:33:00:00:00:01", "01:00:5e:00:00:fb"

BOOT = {
    "dad": pc.solicitation(A, "::", "fe80::1"),
    "dad of a bound address": pc.solicitation(A, "::", "fd00::10"),
    "mld from ::": pc.icmp6(A, "::", "ff02::16", 143, bytes(20), "33:33:00:00:00:16"),
    "mld": pc.icmp6(A, LL_A, "ff02::16", 143, bytes(20), "33:33:00:00:00:16"),
    "router solicitation": pc.icmp6(A, LL_A, "ff02::2", 133, bytes(4), "33:33:00:00:00:02"),
    "router solicitation from ::": pc.icmp6(A, "::", "ff02::2", 133, bytes(4), "33:33:00:00:00:02"),
    "unsolicited advertisement": pc.icmp6(A, LL_A, "ff02::1", 136, bytes(20)),
    "igmp": pc.ethernet("01:00:5e:00:00:16", A, 0x0800, pc.datagram("10.0.0.10", "224.0.0.22", 2, bytes(16), 1)),
    "igmp of nobody": pc.ethernet(
        "01:00:5e:00:00:16", A, 0x0800, pc.datagram(NOBODY, "224.0.0.22", 2, bytes(16), 1)
    ),
    "mdns": pc.udp4(A, MDNS4, "10.0.0.10", "224.0.0.251", 5353, 5353),
    "mdns6": pc.udp6(A, "33:33:00:00:00:fb", LL_A, "ff02::fb", 5353, 5353),
    "dhcp": pc.udp4(A, pc.BROADCAST, NOBODY, "255.255.255.255", 68, 67),
    "dhcpv6": pc.udp6(A, "33:33:00:01:00:02", LL_A, "ff02::1:2", 546, 547),
    "link-local": pc.udp6(A, B.replace("02:", "33:", 1), LL_A, "ff02::c", 1900, 1900),
    "link-local unicast": pc.udp6(A, B, LL_A, "fe80::2", 1000, 2000),
    "autoconfigured": pc.udp4(A, pc.BROADCAST, "169.254.7.7", "169.254.255.255", 137, 137),
    "lldp": pc.ethernet("01:80:c2:00:00:0e", A, 0x88CC, bytes(40)),
    "stp": pc.ethernet("01:80:c2:00:00:00", A, 38, bytes.fromhex("424203") + bytes(35)),
    "arp probe of its own": pc.arp(A, NOBODY, "10.0.0.10"),
    "gratuitous arp": pc.arp(A, "10.0.0.10", "10.0.0.10"),
    "arp for nobody": pc.arp(A, "10.0.0.10", "10.0.0.99"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOOT)
def test_what_a_healthy_host_sends_at_boot_is_link_control(fast: Segmented, name: str) -> None:
    fast.load(OPEN)
    outcome, _, trace = fast.ask("pf0vf0", BOOT[name])
    assert outcome.reason == "link_control", str(trace)


ROGUE = {
    "router advertisement": pc.icmp6(A, LL_A, "ff02::1", 134, bytes(12)),
    "router advertisement to one": pc.icmp6(A, LL_A, "fd00::11", 134, bytes(12), B),
    "redirect": pc.icmp6(A, LL_A, "fd00::11", 137, bytes(36), B),
    "dhcp offer": pc.udp4(A, pc.BROADCAST, "10.0.0.10", "255.255.255.255", 67, 68),
    "dhcp offer to one": pc.udp4(A, B, "10.0.0.10", "10.0.1.11", 67, 68),
    "dhcpv6 reply": pc.udp6(A, ALL_HOSTS6, LL_A, "ff02::1", 547, 546),
    "dhcpv6 reply to one": pc.udp6(A, B, "fd00::10", "fd00::11", 547, 546),
}
SPOOFED = {
    "address": pc.udp4(A, B, "10.0.0.77", "10.0.1.11", 1, 2),
    "neighbour's address": pc.udp4(A, B, "10.0.1.11", "10.0.1.11", 1, 2),
    "mac": pc.udp4(C, B, "10.0.0.10", "10.0.1.11", 1, 2),
    "both": pc.udp4(B, C, "10.0.1.11", "10.0.0.12", 1, 2),
    "ipv6": pc.udp6(A, B, "fd00::77", "fd00::11", 1, 2),
    "vlan": pc.question(B, A, "10.0.0.10", "10.0.1.11", 6, 80, 9),
    "arp sender": pc.arp(A, "10.0.1.11", "10.0.0.1"),
    "arp hardware address": pc.arp(A, "10.0.0.10", "10.0.0.1", sha=B),
    "arp reply for another": pc.arp(A, "10.0.0.1", "10.0.1.11", op=2, dst=B),
    "neighbour solicitation": pc.solicitation(A, "fd00::11", "fd00::1"),
    "multicast": pc.udp4(A, MDNS4, "10.0.0.66", "224.0.0.251", 5353, 5353),
    "the world": pc.udp4(A, B, "8.8.8.8", "10.0.1.11", 53, 2),
}
OTHER_DROPS = {
    "no_multicast": [
        pc.udp4(A, pc.BROADCAST, "10.0.0.10", "10.0.0.255", 9, 9),
        pc.udp4(A, "01:00:5e:01:02:03", "10.0.0.10", "239.1.2.3", 9, 9),
        pc.udp6(A, "33:33:00:00:00:0c", "fd00::10", "ff02::c", 1900, 1900),
        pc.ethernet("01:00:0c:cc:cc:cc", A, 0x2000, bytes(46)),
    ],
    "ct_untrackable": [pc.ethernet(B, A, 0x88B5, bytes(46))],
    "no_route": [
        pc.udp4(A, GATEWAY, "10.0.0.10", "10.0.0.99", 1, 2),
        pc.udp4(A, B, "10.0.0.10", "10.0.0.12", 1, 2),  # the right address behind the wrong MAC
    ],
    "ttl": [pc.ethernet(GATEWAY, A, 0x0800, pc.datagram("10.0.0.10", "10.0.1.11", 6, pc.segment(6, 80), 1))],
}


def test_control_messages_of_routers_and_servers_are_rogue(fast: Segmented) -> None:
    fast.load(OPEN)
    found = {name: fast.ask("pf0vf0", frame) for name, frame in ROGUE.items()}
    assert {n: o.reason for n, (o, _, _) in found.items()} == dict.fromkeys(ROGUE, "rogue_control"), found


def test_spoofed_senders_are_unauthenticated(fast: Segmented) -> None:
    fast.load(OPEN)
    found = {name: fast.ask("pf0vf0", frame) for name, frame in SPOOFED.items()}
    assert {n: o.reason for n, (o, _, _) in found.items()} == dict.fromkeys(SPOOFED, "unauthenticated")


def test_other_drops_have_their_names(fast: Segmented) -> None:
    fast.load(OPEN)
    for reason, frames in OTHER_DROPS.items():
        for frame in frames:
            outcome, _, trace = fast.ask("pf0vf0", frame)
            assert outcome.reason == reason, str(trace)


def test_the_appliance_answers_for_whom_it_knows(fast: Segmented) -> None:
    fast.load(OPEN)
    for target, owner in (("10.0.1.11", B), ("10.0.0.1", GATEWAY)):
        outcome, _, trace = fast.ask("pf0vf0", pc.arp(A, "10.0.0.10", target))
        assert (outcome.verdict, outcome.port) == (End.PORT, "pf0vf0"), str(trace)
        assert outcome.frame[6:12] == outcome.frame[22:28] == pc.mac(owner)
    for target, owner in (("fd00::11", B), ("fd00::1", GATEWAY)):
        for source in ("fd00::10", LL_A):
            outcome, _, trace = fast.ask("pf0vf0", pc.solicitation(A, source, target))
            assert (outcome.verdict, outcome.port) == (End.PORT, "pf0vf0"), str(trace)
            assert outcome.frame[6:12] == pc.mac(owner)


def test_packets_leave_where_their_target_is(fast: Segmented) -> None:
    fast.load(OPEN)
    ways = [
        ("pf0vf0", pc.udp4(A, C, "10.0.0.10", "10.0.0.12", 1, 2), "pf0vf2", C, 64),
        ("pf0vf0", pc.udp4(A, C, "10.0.0.10", "10.7.1.2", 1, 2), "pf0vf2", C, 64),
        ("pf0vf0", pc.udp4(A, GATEWAY, "10.0.0.10", "10.0.1.11", 1, 2), "pf0vf1", B, 63),
        ("pf0vf0", pc.udp4(A, GATEWAY, "10.0.0.10", "8.8.8.8", 1, 2), "p0", HOP, 63),
        ("pf0vf2", pc.udp4(C, A, "10.7.9.9", "10.0.0.10", 1, 2), "pf0vf0", A, 64),
        ("p0", pc.udp4(HOP, GATEWAY, "8.8.8.8", "10.0.0.10", 1, 2), "pf0vf0", A, 63),
    ]
    for port, frame, where, mac, ttl in ways:
        outcome, _, trace = fast.ask(port, frame)
        assert (outcome.verdict, outcome.port) == (End.PORT, where), str(trace)
        assert (outcome.frame[:6], outcome.frame[22]) == (pc.mac(mac), ttl), str(trace)
    outcome, _, _ = fast.ask("p0", pc.udp4(HOP, GATEWAY, "10.0.1.11", "10.0.0.10", 1, 2))
    assert outcome.reason == "unauthenticated", "the uplink must not speak for the fabric"


@pytest.mark.parametrize("target", ["169.254.169.254", "224.0.0.1", "255.255.255.255", "127.0.0.1"])
def test_what_stays_on_the_link_does_not_leave_by_the_uplink(fast: Segmented, target: str) -> None:
    fast.load(OPEN)
    for mac in (GATEWAY, HOP):
        outcome, _, trace = fast.ask("pf0vf0", pc.udp4(A, mac, "10.0.0.10", target, 1, 2))
        assert outcome.reason == "no_multicast", str(trace)


def test_what_stays_on_the_link_stays_in_ipv6_too(fast: Segmented) -> None:
    fast.load(OPEN)
    for target in ("ff0e::1", "::1", "fe80::77"):
        for mac in (GATEWAY, HOP):
            outcome, _, trace = fast.ask("pf0vf0", pc.udp6(A, mac, "fd00::10", target, 1, 2))
            assert outcome.reason == "no_multicast", str(trace)


def test_a_wide_binding_does_not_speak_for_what_is_bound_elsewhere(fast: Segmented) -> None:
    """A router's prefix holds another workload's address and prefix; the uplink's world holds both of a third."""
    d, e = "02:00:00:00:01:04", "02:00:00:00:01:05"
    inventory = replace(
        SMALL,
        workloads=(
            *SMALL.workloads,
            _seat("d", "pf0vf0", d, "10.7.5.5", "172.16.0.1", prefixes=("fd07:1::/64",)),
            _seat("e", "pf0vf1", e, "10.0.0.20", prefixes=("10.7.9.0/24", "fd07::/16")),
        ),
    )
    fast.load(compiler.compile(PolicySet(default=Default.ALLOW), inventory))
    ways = {
        ("pf0vf2", C, "10.7.5.4"): "",
        ("pf0vf2", C, "10.7.5.5"): "unauthenticated",
        ("pf0vf2", C, "10.7.9.1"): "unauthenticated",
        ("pf0vf2", C, "10.7.10.1"): "",
        ("pf0vf0", d, "10.7.5.5"): "",
        ("pf0vf1", e, "10.7.9.1"): "",
        ("p0", HOP, "8.8.8.8"): "",
        ("p0", HOP, "172.16.0.1"): "unauthenticated",
        ("p0", HOP, "10.7.9.1"): "unauthenticated",
    }
    for (port, sender, source), reason in ways.items():
        outcome, _, trace = fast.ask(port, pc.udp4(sender, A, source, "10.0.0.10", 1, 2))
        assert outcome.reason == reason, f"{port} {source}: {trace}"
    for (port, sender, source), reason in {
        ("pf0vf1", e, "fd07:2::1"): "",
        ("pf0vf1", e, "fd07:1::1"): "unauthenticated",
        ("pf0vf0", d, "fd07:1::1"): "",
        ("p0", HOP, "fd07:2::1"): "unauthenticated",
    }.items():
        outcome, _, trace = fast.ask(port, pc.udp6(sender, A, source, "fd00::10", 1, 2))
        assert outcome.reason == reason, f"{port} {source}: {trace}"


@pytest.mark.parametrize(
    ("seat", "words"),
    [
        (
            _seat("d", "pf0vf0", "02:00:00:00:01:04", prefixes=("10.7.0.0/16",)),
            "a prefix of it is bound twice",
        ),
        (_seat("d", "pf0vf0", GATEWAY, "10.0.0.77"), "is the gateway's"),
    ],
)
def test_bindings_that_contradict_others_are_refused(seat: Workload, words: str) -> None:
    with pytest.raises(Refused, match=words):
        compiler.compile(PolicySet(), replace(SMALL, workloads=(*SMALL.workloads, seat)))


def test_a_quarantined_workload_keeps_its_forensic_path(fast: Segmented) -> None:
    keep = Rule(name="forensics", band=Band.SYSTEM, services=("ssh",))
    policy = PolicySet(default=Default.ALLOW, keep=(keep,))
    before = compiler.compile(policy, SMALL)
    after = compiler.compile(
        policy,
        SMALL,
        replace(NO_CONTAINMENT, states={"b": State.QUARANTINED}),
        numbers=before.numbers,
        previous=before,
    )
    for program, port, passes in (
        (before, 443, True),
        (after, 443, False),
        (before, 22, True),
        (after, 22, True),
    ):
        fast.load(program)
        outcome, tag, trace = fast.ask("pf0vf0", pc.question(GATEWAY, A, "10.0.0.10", "10.0.1.11", 6, port))
        assert (outcome.verdict is End.PORT) is passes, str(trace)
        if program is after:
            assert program.verdicts[tag].rule == ("forensics" if passes else "quarantine")


def test_icmp_errors_are_believed_from_who_may_send_them(fast: Segmented) -> None:
    """About connections from ``a``: from their target, or from a router that the quoted packet went to."""
    shares = _seat("q", "pf0vf1", "02:00:00:00:01:04", "10.0.1.12")  # a port with b
    inventory = replace(SMALL, workloads=(*SMALL.workloads, shares))
    policy = PolicySet(default=Default.ALLOW)
    program = compiler.compile(policy, inventory)
    fast.load(program)
    fast.drain()
    opened = {
        "b": pc.udp4(A, GATEWAY, "10.0.0.10", "10.0.1.11", 3001, 53),
        "behind r": pc.udp4(A, C, "10.0.0.10", "10.7.1.1", 3002, 53),
        "outside": pc.udp4(A, GATEWAY, "10.0.0.10", "8.8.8.8", 3003, 53),
    }
    for frame in opened.values():
        fast.dpu.inject("pf0vf0", frame)
    fast.outcome({3001, 3002, 3003})

    def error(about: str, port: str, sender: str, source: str) -> str:
        quoted = opened[about][14:42]
        frame = pc.ethernet(GATEWAY, sender, 0x0800, icmp(source, "10.0.0.10", 3, 1, bytes(4), quoted))
        outcome, _, _ = fast.ask(port, frame)
        return outcome.reason

    q = shares.interfaces[0].mac
    assert error("b", "pf0vf1", B, "10.0.1.11") == ""
    assert error("b", "pf0vf1", q, "10.0.1.12") == "ct_untrackable", "who shares the port is no router"
    assert error("b", "pf0vf2", C, "10.7.9.9") == "ct_untrackable", "the packet did not go to that router"
    assert error("behind r", "pf0vf2", C, "10.7.9.9") == ""
    assert error("behind r", "pf0vf2", C, "10.0.0.12") == "", "a router may use its own address"
    assert error("behind r", "pf0vf1", B, "10.0.1.11") == "ct_untrackable"
    assert error("outside", "p0", HOP, "192.0.2.1") == "", "a router on the way"
    assert error("outside", "p0", HOP, "10.0.1.11") == "unauthenticated"
    assert error("outside", "pf0vf1", B, "10.0.1.11") == "ct_untrackable"
    contained = replace(NO_CONTAINMENT, states={"b": State.QUARANTINED})
    fast.load(compiler.compile(policy, inventory, contained, numbers=program.numbers, previous=program))
    assert error("b", "pf0vf1", B, "10.0.1.11") == "policy", "a quarantined target is not heard any more"
    assert error("behind r", "pf0vf1", B, "10.0.1.11") == "ct_untrackable"
    assert error("outside", "p0", HOP, "192.0.2.1") == "", "others lose nothing"


def test_tags_of_other_kinds_are_not_those_of_a_binding(fast: Segmented) -> None:
    """A frame with a priority but no VLAN is untagged (802.1Q); a provider's tag is not a VLAN of ours (802.1ad)."""
    d = "02:00:00:00:01:04"
    tagged = Network(name="t", vlan=7, prefixes=("10.5.0.0/24",))
    seats = [
        Workload(name=name, interfaces=(Interface(network="t", port=port, mac=mac, addresses=(address,)),))
        for name, port, mac, address in (("d", "pf0vf0", d, "10.5.0.1"), ("e", "pf0vf1", HOP, "10.5.0.2"))
    ]
    inventory = replace(SMALL, networks=(*SMALL.networks, tagged), workloads=(*SMALL.workloads, *seats))
    fast.load(compiler.compile(PolicySet(default=Default.ALLOW), inventory))

    def reason(sender: str, to: str, source: str, target: str, tag: str) -> str:
        frame = pc.udp4(sender, to, source, target, 1, 2)
        outcome, _, _ = fast.ask("pf0vf0", frame[:12] + bytes.fromhex(tag) + frame[12:])
        return outcome.reason

    untagged, seven = (A, C, "10.0.0.10", "10.0.0.12"), (d, HOP, "10.5.0.1", "10.5.0.2")
    assert reason(*untagged, "") == ""
    assert reason(*untagged, "8100a000") == "", "a priority is no VLAN"
    assert reason(*untagged, "81000007") == "unauthenticated"
    assert reason(*seven, "81006007") == ""
    for kind in ("88a8", "9100"):
        assert reason(*untagged, f"{kind}0000") == "ct_untrackable"
        assert reason(*seven, f"{kind}0007") == "ct_untrackable"
    assert reason(*seven, "8100000781000007") == "ct_untrackable"
