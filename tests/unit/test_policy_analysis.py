# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What is said about rules, about flows under a draft, and about who reaches whom."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address

import numpy as np
import pytest

from appliance.policy import compiler
from appliance.policy.analysis import analyze
from appliance.policy.blast import blast_radius
from appliance.policy.evaluate import Service, ask, evaluator_of, truth_table
from appliance.policy.inner import next_change
from appliance.policy.model import (
    NO_CONTAINMENT,
    Action,
    Band,
    Interface,
    Inventory,
    Mode,
    Network,
    PolicySet,
    Rule,
    Schedule,
    State,
    Window,
    Workload,
)
from appliance.policy.refusal import Refused
from appliance.policy.selector import parse_selector
from appliance.policy.simulate import Flows, what_if

KINDS = ("agent", "tool", "inference", "dataset")
INVENTORY = Inventory(
    networks=(Network(name="n", prefixes=("10.0.0.0/24",)),),
    workloads=tuple(
        Workload(
            name=f"{kind}-{i}",
            kind=kind,
            interfaces=(
                Interface(
                    network="n", port="p", mac=f"02:00:00:00:0{i}:{k:02}", addresses=(f"10.0.0.{10 * k + i}",)
                ),
            ),
        )
        for k, kind in enumerate(KINDS, 1)
        for i in (1, 2)
    ),
    ports={"p": 1},
)


def rule(name: str, band: Band, source: str, target: str, *services: str, mode: Mode = Mode.ENFORCE) -> Rule:
    return Rule(
        name=name,
        band=band,
        source=parse_selector(source),
        target=parse_selector(target),
        services=services,
        mode=mode,
    )


POLICY = PolicySet(
    rules=(
        rule("a-t", Band.ALLOW, "kind=agent", "kind=tool", "tcp/443"),
        rule("t-i", Band.ALLOW, "kind=tool", "kind=inference", "tcp/8000"),
        rule("i-d", Band.ALLOW, "kind=inference", "kind=dataset", "tcp/5432"),
    )
)


def test_findings_name_kind_rule_and_other() -> None:
    more = (
        rule("again", Band.ALLOW, "name=agent-1", "kind=tool", "tcp/443"),
        rule("ghost", Band.ALLOW, "app=ghost", "any", "any"),
        rule("half", Band.BLOCK, "kind=agent", "any", "tcp/400-500"),
        rule("wide", Band.ALERT, "kind in (agent, tool, inference)", "any", "tcp"),
    )
    policy = replace(POLICY, rules=(*POLICY.rules, *more))
    found = {(one.kind, one.rule, one.other) for one in analyze(policy, compiler.compile(policy, INVENTORY))}
    assert ("unused", "ghost", "") in found
    assert ("shadowed", "again", "a-t") in found
    assert ("over-broad", "wide", "") in found
    assert {one for one in found if one[0] == "contradicting"} == set() or (
        "contradicting",
        "half",
        "a-t",
    ) in found


def test_block_that_an_allow_hides_in_part_is_contradicting() -> None:
    policy = replace(
        POLICY, rules=(*POLICY.rules, rule("half", Band.BLOCK, "kind=agent", "any", "tcp/400-500"))
    )
    found = analyze(policy, compiler.compile(policy, INVENTORY))
    assert [(one.kind, one.rule, one.other) for one in found] == [("contradicting", "half", "a-t")]


def test_blast_radius_counts_services_of_workloads_at_once_and_in_the_end() -> None:
    program = compiler.compile(POLICY, INVENTORY)
    found = blast_radius(program, INVENTORY, POLICY, ["agent-1"])
    assert (found.direct, found.transitive, dict(found.kinds)) == (
        2,
        6,
        {"dataset": 2, "inference": 2, "tool": 2},
    )
    quarantine = replace(NO_CONTAINMENT, states={"agent-1": State.QUARANTINED})
    after = compiler.compile(POLICY, INVENTORY, quarantine)
    assert blast_radius(after, INVENTORY, POLICY, ["agent-1"]).transitive == 0


def flows(*seen: tuple[str, str, int]) -> Flows:
    def column(end: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
        made = np.zeros((len(seen), 16), np.uint8)
        for row, one in zip(made, seen, strict=True):
            row[:4] = list(ip_address(one[end]).packed)
        return made

    number = len(seen)
    return Flows(
        np.ones(number, np.uint32), np.full(number, 4, np.uint8), column(0), column(1), np.full(number, 6, np.uint8),
        np.array([one[2] for one in seen], np.uint16),
    )  # fmt: skip


def test_what_if_tells_the_flows_that_would_end() -> None:
    before = compiler.compile(POLICY, INVENTORY)
    draft = replace(POLICY, rules=POLICY.rules[1:])
    after = compiler.compile(draft, INVENTORY, numbers=before.numbers, previous=before)
    seen = flows(
        ("10.0.0.11", "10.0.0.21", 443), ("10.0.0.12", "10.0.0.22", 443), ("10.0.0.21", "10.0.0.31", 8000)
    )
    changes, which = what_if(before, after, seen)
    assert which.tolist() == [0, 1]
    assert [(one.count, one.before.rule, one.after.rule, one.passes_differ) for one in changes] == [
        (2, "a-t", "default", True)
    ]


def test_one_question_is_answered_in_a_sentence() -> None:
    program = compiler.compile(POLICY, INVENTORY)
    yes = ask(program, INVENTORY, "agent-1", "tool-2", "https")
    assert (yes.verdict.action, yes.verdict.rule) == (Action.ALLOW, "a-t")
    assert str(yes) == "agent-1 (agent) may reach tool-2 (tool) on tcp/443: rule a-t of band allow"
    no = ask(program, INVENTORY, "agent-1", "8.8.8.8", "tcp/443")
    assert "may not reach 8.8.8.8 (world) on tcp/443: the default" in str(no)
    table = truth_table(program, [Service(6, 443)])
    assert table.tags.shape == (len(table.identities), len(table.identities), 1)
    with pytest.raises(ValueError, match="name fewer services"):
        truth_table(program, [Service(6, port) for port in range(1000)], most=1000)
    assert evaluator_of(program) is evaluator_of(program)


def test_audit_rules_are_recorded_and_decide_nothing() -> None:
    audit = rule("try", Band.OVERRIDE_BLOCK, "kind=agent", "any", "any", mode=Mode.AUDIT)
    policy = replace(POLICY, rules=(*POLICY.rules, audit))
    program = compiler.compile(policy, INVENTORY)
    for target, service, action, by in (
        ("tool-1", "https", Action.ALLOW, "a-t"),
        ("dataset-1", "ssh", Action.BLOCK, "default"),
    ):
        verdict = ask(program, INVENTORY, "agent-1", target, service).verdict
        assert (verdict.action, verdict.rule) == (action, by)
        assert (verdict.audit_action, verdict.audit_band, verdict.audit_rule) == (
            Action.BLOCK, Band.OVERRIDE_BLOCK, "try",
        )  # fmt: skip
    assert ask(program, INVENTORY, "tool-1", "inference-1", "tcp/8000").verdict.audit_action is None


def test_schedules_begin_and_end() -> None:
    shift = Schedule(
        windows=(Window(days=(0,), start=480, end=1080),), expires=datetime(2027, 1, 1, tzinfo=UTC)
    )
    policy = PolicySet(rules=(replace(POLICY.rules[0], schedule=shift),))
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    for hour, passes in ((7, False), (8, True), (17, True), (18, False)):
        program = compiler.compile(policy, INVENTORY, at=monday.replace(hour=hour))
        assert ask(program, INVENTORY, "agent-1", "tool-1", "https").verdict.passes is passes
    assert next_change(policy, monday) == monday.replace(hour=8)
    assert next_change(policy, monday.replace(hour=8)) == monday.replace(hour=18)
    late = compiler.compile(policy, INVENTORY, at=datetime(2027, 1, 4, 9, tzinfo=UTC))
    assert not ask(late, INVENTORY, "agent-1", "tool-1", "https").verdict.passes


def test_a_policy_beyond_the_budget_is_refused_in_words() -> None:
    with pytest.raises(
        Refused, match=r"rule .*: (from|to): the policy needs up to \d+ rows .* room for 3; .*a-t"
    ):
        compiler.compile(POLICY, INVENTORY, options=compiler.Options(budget=3))
    needed = compiler.compile(POLICY, INVENTORY).sizes.total_rows
    compiler.compile(POLICY, INVENTORY, options=compiler.Options(room=needed))
    with pytest.raises(
        Refused, match=rf"rule .*: (from|to): the policy needs {needed} rows .* room for {needed - 1}"
    ):
        compiler.compile(POLICY, INVENTORY, options=compiler.Options(room=needed - 1))


def test_a_workload_bound_twice_is_refused_naming_both() -> None:
    first, second = INVENTORY.workloads[:2]
    interface = replace(second.interfaces[0], addresses=first.interfaces[0].addresses)
    twice = replace(INVENTORY, workloads=(first, replace(second, interfaces=(interface,))))
    with pytest.raises(Refused, match=r"workload agent-2: interfaces\[0\]: .* to agent-1 and to agent-2"):
        compiler.compile(POLICY, twice)
