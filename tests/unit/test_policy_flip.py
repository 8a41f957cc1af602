# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Changes of workloads without a compile: the same rows as a compile gives, or none."""

from dataclasses import replace

import numpy as np
import pytest

from appliance.bench.factory import Factory, inventory, policy
from appliance.policy.compiler import compile as compile_policy
from appliance.policy.flip import flip, number_at, places, relabel
from appliance.policy.model import Band, Containment, Inventory, Rule, State
from appliance.policy.program import Program, state_of
from appliance.policy.selector import parse_selector

FACTORY = Factory(workloads=60, label_sets=12, rules=40, ports=4)
MAPS = ("seg/src4", "seg/dst4", "seg/src6", "seg/dst6")


def same_addresses(one: Program, other: Program) -> None:
    """Both give every address the same identity: base numbers may differ, what they stand for may not."""
    for name in MAPS:
        a, b = one.table(name), other.table(name)
        assert np.array_equal(a.keys, b.keys)
        assert a.args is not None
        assert b.args is not None
        for left, right in zip(a.args.tolist(), b.args.tolist(), strict=True):
            assert state_of(left[0]) is state_of(right[0])
            mine, theirs = one.identities[left[0] >> 2], other.identities[right[0] >> 2]
            assert replace(mine, base=0) == replace(theirs, base=0)


def changed(before: Inventory, which: int, **values: object) -> Inventory:
    workloads = list(before.workloads)
    workloads[which] = replace(workloads[which], **values)  # type: ignore[arg-type]
    return replace(before, workloads=tuple(workloads))


@pytest.fixture(scope="module")
def things() -> Inventory:
    return inventory(FACTORY)


@pytest.fixture(scope="module")
def program(things: Inventory) -> Program:
    return compile_policy(policy(FACTORY), things)


def test_labels_that_another_workload_has_need_no_compile(things: Inventory, program: Program) -> None:
    other = things.workloads[7]
    after = changed(things, 20, labels=other.labels, kind=other.kind)
    found = relabel(program, places(program), things.workloads[20:21], after.workloads[20:21])
    assert found is not None
    quick, rows, concerned = found
    same_addresses(quick, compile_policy(policy(FACTORY), after, numbers=program.numbers))
    assert {name: len(index) for name, index in rows.items()} == {"seg/src4": 1, "seg/dst4": 1}
    assert len(concerned) == 1
    assert quick.bindings[20].identity != program.bindings[20].identity
    same_addresses(program, compile_policy(policy(FACTORY), things))  # what was given is as it was


def test_what_takes_a_compile_is_told(things: Inventory, program: Program) -> None:
    at, old = places(program), things.workloads[20:21]
    for after in (
        changed(things, 20, labels={"set": "never-seen"}),
        changed(things, 20, interfaces=things.workloads[21].interfaces),
        changed(things, 20, state=State.WATCHED),
    ):
        assert relabel(program, at, old, after.workloads[20:21]) is None


def test_states(things: Inventory, program: Program) -> None:
    name = things.workloads[3].name
    quick, rows, concerned = flip(program, places(program), {name: State.QUARANTINED})
    assert rows
    assert concerned == {program.bindings[3].identity}
    same_addresses(quick, compile_policy(policy(FACTORY), changed(things, 3, state=State.QUARANTINED)))
    assert flip(quick, places(quick), {name: State.QUARANTINED})[1:] == ({}, frozenset())


def test_states_of_prefixes(things: Inventory) -> None:
    """A prefix that a CIDR object cuts in two, another of IPv6, an address beside them; all of one workload."""
    router = things.workloads[3]
    spread = replace(
        router.interfaces[0], addresses=(), prefixes=("10.77.0.0/16", "fd77::/32", "10.78.0.1/32")
    )
    before = changed(things, 3, interfaces=(*router.interfaces, spread))
    cut = parse_selector("cidr=10.77.8.0/24")
    rules = policy(FACTORY)
    rules = replace(
        rules, rules=(*rules.rules, Rule(name="cut", band=Band.ALLOW, source=cut, services=("tcp/1",)))
    )
    program = compile_policy(rules, before)
    quick, rows, concerned = flip(program, places(program), {router.name: State.QUARANTINED})
    contained = compile_policy(
        rules, before, Containment(states={router.name: State.QUARANTINED}), numbers=program.numbers
    )
    same_addresses(quick, contained)
    assert quick.bindings == contained.bindings
    assert {name: len(index) for name, index in rows.items()} == {
        "seg/src4": 4, "seg/dst4": 4, "seg/src6": 1, "seg/dst6": 1,
    }  # fmt: skip
    mine = [program.bindings[3].identity, *(number_at(program, one) for one in program.ranges[router.name])]
    assert concerned == set(mine)
    again, back, _ = flip(quick, places(quick), {router.name: State.NORMAL})
    assert back.keys() == rows.keys()
    same_addresses(again, program)
