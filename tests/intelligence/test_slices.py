# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Slices: the same verdicts as the whole inventory gives, deltas that lead to the same place, the wire's bounds."""

from __future__ import annotations

import zlib
from dataclasses import replace
from ipaddress import ip_address

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from appliance.intelligence import matter, relevance, wire
from appliance.intelligence.relevance import Fleet, Slicer
from appliance.intelligence.slices import (
    FleetContainment,
    Peer,
    Place,
    Policy,
    Slice,
    delta,
    own_at,
    patched,
    peer_at,
)
from appliance.intelligence.v1 import statement_pb2
from appliance.policy import compiler
from appliance.policy.evaluate import Evaluator
from appliance.policy.model import (
    Band,
    Containment,
    Default,
    Interface,
    Inventory,
    Network,
    PolicySet,
    Rule,
    Side,
    SidePolicy,
    State,
    Vtep,
    Workload,
)
from appliance.policy.program import Program
from appliance.policy.selector import parse_selector
from appliance.rpc.convert.base import BadField
from tests.oracle import factories as fa

Ids = NDArray[np.int64]

RELAXED = settings(
    deadline=None,
    phases=(
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ),  # what fails is told at once: shrinking takes minutes
    max_examples=12,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
APPLIANCES = ("a", "b", "c", "")


@st.composite
def fleets(draw: st.DrawFn) -> tuple[Inventory, PolicySet, Containment]:
    """An inventory that is spread over appliances, a policy, containment."""
    inventory = draw(fa.inventories())
    spread = tuple(
        replace(
            one,
            interfaces=tuple(
                replace(part, appliance=draw(st.sampled_from(APPLIANCES))) for part in one.interfaces
            ),
        )
        for one in inventory.workloads
    )
    return replace(inventory, workloads=spread), draw(fa.policies()), draw(fa.containments(inventory))


def fleet(inventory: Inventory, policy: PolicySet, containment: Containment) -> Fleet:
    workloads = {one.name: one for one in inventory.workloads}
    return Fleet(inventory.networks, workloads, 1, Policy("text"), policy, containment)


def elsewhere(workload: Workload) -> Workload:
    parts = tuple(replace(one, appliance=one.appliance or "-") for one in workload.interfaces)
    return replace(workload, interfaces=parts)


def local(
    one: Slice, appliance: str, policy: PolicySet, containment: Containment, contained: list[Workload]
) -> Program:
    """What an appliance makes of its slice; who is contained comes beside it."""
    workloads = [own_at(own, appliance) for own in one.own.values()]
    workloads += [peer_at(peer) for peer in one.peers.values()]
    known = {workload.name for workload in workloads}
    workloads += [workload for workload in contained if workload.name not in known]
    workloads.sort(key=lambda workload: workload.name)
    inventory = Inventory(networks=one.networks, workloads=tuple(workloads), ports=fa.PORTS)
    return compiler.compile(policy, inventory, containment)


def addresses(inventory: Inventory, network: str, version: int) -> tuple[str, ...]:
    bound = {
        text
        for one in inventory.workloads
        for part in one.interfaces
        if part.network == network
        for text in part.addresses
    }
    strangers = fa.STRANGERS if version == 4 else fa.STRANGERS6
    return tuple(sorted({text for text in bound if (":" in text) == (version == 6)} | set(strangers)))


def identities(
    evaluator: Evaluator, program: Program, network: str, version: int, pool: tuple[str, ...]
) -> Ids:
    zone = np.full(len(pool), program.numbers.zones[network])
    if version == 4:
        column = np.array([int(ip_address(one)) for one in pool], np.uint64)
    else:
        column = np.array([list(ip_address(one).packed) for one in pool], np.uint8)
    found: Ids = evaluator.identities(zone, version, column).astype(np.int64)
    return found


def agree(whole: Program, part: Program, inventory: Inventory, mine: set[str]) -> None:
    """Everything that has an own workload at one end."""
    left, right = Evaluator(whole), Evaluator(part)
    for network in inventory.networks:
        for version, services in ((4, fa.QUESTIONS), (6, fa.QUESTIONS6)):
            pool = addresses(inventory, network.name, version)
            own = [
                index
                for index, text in enumerate(pool)
                if any(
                    text in interface.addresses and interface.network == network.name
                    for one in inventory.workloads
                    if one.name in mine
                    for interface in one.interfaces
                )
            ]
            if not own:
                continue
            protocol, port = np.array(services).T
            tags = []
            for evaluator, program in ((left, whole), (right, part)):
                ids = identities(evaluator, program, network.name, version, pool)
                tags.append(evaluator.tags(ids[:, None, None], ids[None, :, None], protocol, port))
            expected, found = coded(whole, tags[0]), coded(part, tags[1])
            differ = np.argwhere(expected != found)
            for source, target, asked in differ.tolist():
                if source in own or target in own:
                    where = f"{pool[source]} -> {pool[target]} {services[asked]}"
                    was, now = (
                        program.verdicts[int(tag[source, target, asked])]
                        for program, tag in ((whole, tags[0]), (part, tags[1]))
                    )
                    raise AssertionError(f"{network.name}: {where}: {was} became {now}")


def coded(program: Program, tags: NDArray[np.uint64]) -> Ids:
    """What verdicts say, as numbers."""
    known, index = np.unique(tags, return_inverse=True)
    numbers = [
        int(one.action) | (-1 if one.audit_action is None else int(one.audit_action)) << 4 | one.alert << 2
        for one in (program.verdicts[int(tag)] for tag in known)
    ]
    made: Ids = np.array(numbers, np.int64)[index].reshape(tags.shape)
    return made


@pytest.mark.parametrize("default", list(Default))
@given(data=fleets())
@settings(RELAXED, max_examples=6)
def test_a_slice_gives_the_verdicts_of_the_whole_inventory(
    default: Default, data: tuple[Inventory, PolicySet, Containment]
) -> None:
    inventory, policy, containment = data
    policy = replace(policy, default=default)
    slicer = Slicer(fleet(inventory, policy, containment))
    everybody = [elsewhere(one) for one in inventory.workloads]
    whole = compiler.compile(policy, replace(inventory, workloads=tuple(everybody), ports={}), containment)
    for appliance in APPLIANCES[:-1]:
        made = slicer.slice(appliance)
        contained = [
            peer_at(peer)
            for name, state in containment.states.items()
            if state is not State.NORMAL and (peer := slicer.peer(name)) is not None
        ]
        program = local(made, appliance, policy, containment, contained)
        agree(whole, program, inventory, set(made.own))


@given(data=fleets(), default=st.sampled_from(list(Default)), more=st.data())
@RELAXED
def test_a_changed_fleet_gives_the_same_slices_as_a_new_one(
    data: tuple[Inventory, PolicySet, Containment], default: Default, more: st.DataObject
) -> None:
    """What is taken over from before a change is what would be made anew; deltas lead there."""
    inventory, policy, containment = data
    policy = replace(policy, default=default)
    ends = st.dictionaries(
        st.sampled_from(APPLIANCES[:-1]),
        st.sampled_from([Vtep(address="192.0.2.1"), Vtep(address="fd00:2::1")]),
    )
    before = replace(fleet(inventory, policy, containment), vteps=more.draw(ends))
    slicer = Slicer(before)
    old = {appliance: slicer.slice(appliance) for appliance in APPLIANCES[:-1]}
    workloads = dict(before.workloads)
    name = more.draw(st.sampled_from(sorted(workloads)))
    if more.draw(st.booleans()):
        workloads[name] = replace(workloads[name], labels=more.draw(fa.workload_labels()))
    elif more.draw(st.booleans()):
        parts = workloads[name].interfaces
        appliance = more.draw(st.sampled_from(APPLIANCES))
        workloads[name] = replace(
            workloads[name], interfaces=tuple(replace(one, appliance=appliance) for one in parts)
        )
    else:
        del workloads[name]
    after = replace(before, workloads=workloads, vteps=more.draw(ends))
    changed, touched = slicer.next(after)
    fresh = Slicer(after)
    for appliance in APPLIANCES[:-1]:
        wanted = fresh.slice(appliance)
        assert changed.slice(appliance).digest == wanted.digest
        if touched is not None and appliance not in touched:
            assert old[appliance].digest == wanted.digest
        change = delta(old[appliance], wanted)
        message = wire.delta_to(change, FleetContainment(0, {}))
        read, _ = wire.delta_from(
            statement_pb2.SliceDelta.FromString(message.SerializeToString()), change.base, change.result
        )
        assert patched(old[appliance], read).digest == wanted.digest
        snapshot = wire.slice_to(wanted, FleetContainment(0, {})).SerializeToString()
        assert wire.slice_from(statement_pb2.Slice.FromString(snapshot))[0].digest == wanted.digest


@given(data=fleets(), default=st.sampled_from(list(Default)), more=st.data())
@RELAXED
def test_slices_that_are_not_asked_for_after_each_change_are_the_same_in_the_end(
    data: tuple[Inventory, PolicySet, Containment], default: Default, more: st.DataObject
) -> None:
    """Slices are brought up to date over several changes at once; who was told of none has the same still."""
    inventory, policy, containment = data
    now = fleet(inventory, replace(policy, default=default), containment)
    vni = more.draw(st.sampled_from((0, 7)))
    now = replace(now, networks=tuple(replace(one, vni=vni) for one in now.networks))
    slicer = Slicer(now)
    held = {appliance: slicer.slice(appliance) for appliance in APPLIANCES[:-1]}
    stale: set[str] = set()
    for _ in range(4):
        workloads = dict(now.workloads)
        name = more.draw(st.sampled_from(sorted(workloads)))
        labels = more.draw(fa.workload_labels())
        if more.draw(st.booleans()):  # nobody has had that set of labels
            labels = {**labels, "app": "web", "fresh": more.draw(st.sampled_from("xyz"))}
        workloads[name] = replace(workloads[name], labels=labels)
        now = replace(now, workloads=workloads)
        slicer, touched = slicer.next(now)
        stale |= set(APPLIANCES) if touched is None else touched
        fresh = Slicer(now)
        for appliance in APPLIANCES[:-1]:
            wanted = fresh.slice(appliance)
            if appliance not in stale:
                assert held[appliance].digest == wanted.digest
            for other in workloads:
                expected, found = (
                    wanted.own.get(other) or wanted.peers.get(other),
                    slicer.member(appliance, other),
                )
                assert (found and found.digest) == (expected and expected.digest)
            if more.draw(st.booleans()):
                held[appliance] = slicer.slice(appliance)
                stale.discard(appliance)
                assert held[appliance].digest == wanted.digest


def some_peers() -> statement_pb2.PeerTable:
    peer = Peer(
        "w", "generic", "dc", (("app", "web"),), (Place("red", 4, 0x0A000001, 32, 0x020000000001, "b"),)
    )
    return wire.peers_to({"w": peer})


@pytest.mark.parametrize(
    ("address", "mac"),
    [("", ""), ("::", ""), ("224.0.0.1", ""), ("192.0.2.1", "x"), ("192.0.2.1", "01:00:00:00:00:01")],
)
def test_ends_of_tunnels_that_cannot_be_are_refused(address: str, mac: str) -> None:
    message = statement_pb2.SliceVteps(
        vteps=[statement_pb2.SliceVtep(appliance="a", address=address, mac=mac)]
    )
    with pytest.raises(BadField, match=r"vteps\[0\]"):
        wire.vteps_from(message)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rows", b"\0" * 31),
        ("identity_of", b"\0" * 8),
        ("identity_of", b"\xff" * 4),
        ("networks", []),
        ("owners", []),
        ("names", ["w", "w"]),
        ("names", [""]),
        ("identities", []),
    ],
)
def test_peers_that_contradict_themselves_are_refused(field: str, value: object) -> None:
    table = some_peers()
    assert wire.peers_from(table)["w"].places[0].length == 32
    table.ClearField(field)
    if isinstance(value, bytes):
        setattr(table, field, value)
    else:
        getattr(table, field).extend(value)
    with pytest.raises(BadField, match="peers"):
        wire.peers_from(table)


def test_a_policy_that_unpacks_to_more_than_there_is_room_for_is_refused() -> None:
    with pytest.raises(BadField, match="MiB"):
        wire.policy_from(zlib.compress(b"\0" * (wire.MAX_POLICY + 1)))
    with pytest.raises(BadField, match="cannot be read"):
        wire.policy_from(b"no zlib")


def test_a_workload_that_a_two_sided_policy_isolates_is_no_stranger() -> None:
    """Subjects are workloads, also where they are selected by address: a stranger there is isolated by nobody."""
    places = {"here": "a", "there": "c"}
    inventory = Inventory(
        networks=(fa.NETWORKS[0],),
        workloads=tuple(
            Workload(
                name=name,
                interfaces=(
                    Interface(
                        network="red",
                        port="pf0vf0",
                        mac=f"02:00:00:00:00:0{index}",
                        addresses=(f"10.0.1.1{index}",),
                        appliance=appliance,
                    ),
                ),
            )
            for index, (name, appliance) in enumerate(places.items())
        ),
        ports=fa.PORTS,
    )
    isolates = SidePolicy(name="out", subjects=parse_selector("cidr=10.0.0.0/8"), sides=(Side.EGRESS,))
    policy = PolicySet(default=Default.ALLOW, side_policies=(isolates,))
    made = Slicer(fleet(inventory, policy, Containment())).slice("a")
    assert set(made.peers) == {"there"}


ANY_TO_ANY = Rule(
    name="all", band=Band.ALLOW, source=parse_selector("any"), target=parse_selector("any"), services=("any",)
)


@pytest.mark.parametrize(
    ("vni", "policy", "known"),
    [
        (7, PolicySet(rules=(ANY_TO_ANY,)), {"db"}),
        (7, PolicySet(rules=(), default=Default.ALERT), {"db"}),
        (7, PolicySet(rules=()), set()),
        (0, PolicySet(rules=(ANY_TO_ANY,)), set()),
    ],
)
def test_who_is_reached_through_a_tunnel_is_known_although_strangers_may_be_reached_too(
    vni: int, policy: PolicySet, known: set[str]
) -> None:
    networks = (Network(name="lab", vni=vni, prefixes=("10.0.0.0/24",)),)
    inventory = Inventory(networks=networks, workloads=three())
    assert set(Slicer(fleet(inventory, policy, Containment())).slice("a").peers) == known


def test_sets_of_labels_that_nobody_has_any_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's number as a label, say: what a slicer knows stays as large as the fleet is."""
    monkeypatch.setattr(relevance, "LEFT", 20)
    monkeypatch.setattr(matter, "KEPT", 4)
    networks = (Network(name="lab", prefixes=("10.0.0.0/24",)),)
    now = fleet(
        Inventory(networks=networks, workloads=three()), PolicySet(rules=(ANY_TO_ANY,)), Containment()
    )
    slicer, known, anew = Slicer(now), 0, 0
    for job in range(100):
        changed = replace(now.workloads["db"], labels={"app": "db", "job": str(job)})
        now = replace(now, workloads={**now.workloads, "db": changed})
        slicer, touched = slicer.next(now)
        anew += touched is None
        known = max(known, len(slicer._identities))
        assert len(slicer._index._ends) <= 4
        assert slicer.slice("b").digest == Slicer(now).slice("b").digest
    assert known <= 3 * 3 + 20
    assert 0 < anew < 10


def three() -> tuple[Workload, ...]:
    return tuple(
        Workload(
            name=name,
            labels={"app": name},
            interfaces=(
                Interface(
                    network="lab", port="p1", mac=f"02:00:00:00:00:0{number}", addresses=(f"10.0.0.{number}",),
                    appliance=appliance,
                ),
            ),
        )
        for number, (name, appliance) in enumerate((("web", "a"), ("db", "b"), ("cloud", "")), 1)
    )  # fmt: skip
