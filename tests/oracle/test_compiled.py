# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Compiled programs against brute force: every address to every other, on services that sit on the edges of rules."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from appliance.bench import factory
from appliance.policy import compiler, pairs
from appliance.policy.evaluate import Evaluator
from appliance.policy.model import (
    NO_CONTAINMENT,
    Band,
    Containment,
    Interface,
    Inventory,
    Network,
    PolicySet,
    Rule,
    State,
    Workload,
)
from appliance.policy.program import Program, Verdict
from tests.oracle import factories as fa
from tests.oracle.brute import Brute, Judgement

RELAXED = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def as_judgement(verdict: Verdict) -> Judgement:
    """A verdict in the oracle's words."""
    audit = None
    if verdict.audit_action is not None and verdict.audit_band is not None:
        audit = (verdict.audit_action, verdict.audit_band, verdict.audit_rule)
    return Judgement(
        verdict.action, verdict.band, verdict.rule, verdict.log, verdict.alert, verdict.peer_rule, audit
    )


def agree(
    policy: PolicySet, inventory: Inventory, containment: Containment, program: Program, least: int = 6
) -> None:
    """The workloads' addresses and some others to each other, on all services of the pools."""
    bound = {text for one in inventory.workloads for part in one.interfaces for text in part.addresses}
    evaluator, brute = Evaluator(program), Brute(policy, inventory, containment)
    for network in inventory.networks:
        zone = program.numbers.zones[network.name]
        for version, pool, services in (
            (4, (*fa.HOSTS, *fa.STRANGERS), fa.QUESTIONS),
            (6, (*fa.HOSTS6, *fa.STRANGERS6), fa.QUESTIONS6),
        ):
            others = (*fa.STRANGERS[:least], *fa.STRANGERS6)
            pool = tuple(one for one in pool if one in bound or one in others)
            if version == 4:
                column = np.array([int(ip_address(one)) for one in pool], np.uint64)
            else:
                column = np.array([list(ip_address(one).packed) for one in pool], np.uint8)
            ids = evaluator.identities(np.full(len(pool), zone), version, column).astype(np.int64)
            protocol, port = np.array(services).T
            tags = evaluator.tags(ids[:, None, None], ids[None, :, None], protocol, port)
            for i, source in enumerate(pool):
                for j, target in enumerate(pool):
                    for k, (one, number) in enumerate(services):
                        expected = brute.judge(network.name, source, target, one, number)
                        found = as_judgement(program.verdicts[int(tags[i, j, k])])
                        assert found == expected, f"{network.name}: {source} -> {target} {one}/{number}"


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even small selectors are wide, unless a test says otherwise: so all four pair tables are used."""
    monkeypatch.setattr(pairs, "WIDE_SHARE", 1000)


@given(data=st.data())
@settings(RELAXED, max_examples=25)
def test_compiled_policy_agrees_with_brute_force(data: st.DataObject) -> None:
    inventory = data.draw(fa.inventories())
    policy = data.draw(fa.policies())
    containment = data.draw(fa.containments(inventory))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "WIDE_LEAST", data.draw(st.sampled_from((0, 1, 3, 64))))
        program = compiler.compile(policy, inventory, containment)
    agree(policy, inventory, containment, program)


def test_a_port_where_a_range_begins_is_not_the_range() -> None:
    place = Interface(network="red", port="pf0vf0", mac="02:00:00:00:01:00", addresses=("10.0.0.10",))
    inventory = Inventory(
        networks=(Network(name="red", prefixes=("10.0.0.0/16",)),),
        workloads=(Workload(name="w0", interfaces=(place,)),),
        ports={"p0": 0, "pf0vf0": 1},
    )
    policy = PolicySet(
        rules=(
            Rule(name="one", band=Band.ALLOW, services=("tcp/80",)),
            Rule(name="range", band=Band.BLOCK, services=("tcp/80-443",)),
        )
    )
    program = compiler.compile(policy, inventory)
    agree(policy, inventory, NO_CONTAINMENT, program)
    evaluator = Evaluator(program)
    ids = evaluator.identities(np.ones(1, np.int64), 4, np.array([0x0A00000A], np.uint64)).astype(np.int64)
    tags = evaluator.tags(ids, ids, np.full(3, 6), np.array([80, 81, 443]))
    assert [program.verdicts[int(tag)].rule for tag in tags] == ["one", "range", "range"]


ADDRESS_TABLES = {"seg/src4", "seg/dst4", "seg/src6", "seg/dst6"}


class Sequence(RuleBasedStateMachine):
    """Publish, label changes, quarantine, roll back: after each step the program still says what brute force says."""

    @initialize(inventory=fa.inventories(), policy=fa.policies())
    def begin(self, inventory: Inventory, policy: PolicySet) -> None:
        self.inventory, self.policy, self.containment = inventory, policy, NO_CONTAINMENT
        self.published = [policy]
        self.program = compiler.compile(policy, inventory)

    def renew(self) -> Program:
        """Compile what is there now, on the numbers of before; returns the program before."""
        before, self.program = self.program, compiler.compile(
            self.policy, self.inventory, self.containment, numbers=self.program.numbers, previous=self.program
        )  # fmt: skip
        for base, identity in self.program.identities.items():
            assert before.identities.get(base, identity) == identity, "a number stands for something else now"
        for tag in self.program.verdicts.keys() & before.verdicts.keys():
            assert self.program.verdicts[tag] == before.verdicts[tag]
        return before

    @rule(policy=fa.policies())
    def publish(self, policy: PolicySet) -> None:
        self.policy = policy
        self.published.append(policy)
        self.renew()

    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        self.policy = data.draw(st.sampled_from(self.published))
        self.renew()

    @rule(data=st.data(), labels=fa.workload_labels())
    def change_labels(self, data: st.DataObject, labels: dict[str, str]) -> None:
        number = data.draw(st.integers(0, len(self.inventory.workloads) - 1))
        workloads = list(self.inventory.workloads)
        workloads[number] = replace(workloads[number], labels=labels)
        self.inventory = replace(self.inventory, workloads=tuple(workloads))
        before = self.renew()
        if before.identities.keys() == self.program.identities.keys():
            self.only_addresses_differ(before)

    @rule(data=st.data(), state=st.sampled_from(list(State)))
    def contain(self, data: st.DataObject, state: State) -> None:
        name = data.draw(st.sampled_from([one.name for one in self.inventory.workloads]))
        self.containment = replace(self.containment, states={**self.containment.states, name: state})
        self.only_addresses_differ(self.renew())

    def only_addresses_differ(self, before: Program) -> None:
        """Nothing but map entries changed."""
        for old, new in zip(before.tables, self.program.tables, strict=True):
            assert old.name in ADDRESS_TABLES or old.same(new), old.name

    @rule()
    def again(self) -> None:
        before = self.renew()
        assert all(old.same(new) for old, new in zip(before.tables, self.program.tables, strict=True))
        assert before.numbers == self.program.numbers

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "program"):
            agree(self.policy, self.inventory, self.containment, self.program, least=2)


TestSequence = Sequence.TestCase
TestSequence.settings = settings(RELAXED, max_examples=5, stateful_step_count=6)


def test_an_unrelated_edit_leaves_other_rows_alone() -> None:
    inventory = factory.inventory(factory.Factory(workloads=300, label_sets=100, ports=3))
    small = factory.Factory(workloads=300, label_sets=100, rules=200, ports=3)
    policy = factory.policy(small)
    before = compiler.compile(policy, inventory)
    changed = replace(policy.rules[7], services=("tcp/4711",))
    after = compiler.compile(
        replace(policy, rules=(*policy.rules[:7], changed, *policy.rules[8:])), inventory,
        numbers=before.numbers, previous=before,
    )  # fmt: skip
    for old, new in zip(before.tables, after.tables, strict=True):
        rows = [
            {(one.tobytes(), tag) for one, tag in zip(table.keys, table.tags, strict=True)}
            for table in (old, new)
        ]
        gone = len(rows[0] - rows[1])
        assert gone <= len(rows[0]) // 8, f"{old.name}: {gone} of {len(rows[0])} rows went"
