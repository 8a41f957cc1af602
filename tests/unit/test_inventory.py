# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Workloads as versions, containment and its time, canaries: without a fast path."""

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import AlreadyExists, BadState, FlowError, InvalidValue, NotFound
from appliance.policy.canary import mixed
from appliance.policy.containment import ContainmentBook, KeptPath, check_keep
from appliance.policy.inventory import Workloads, from_dict, to_dict
from appliance.policy.model import Band, Default, Interface, Network, PolicySet, Rule, State, Workload
from appliance.policy.selecting import matches, means
from appliance.policy.selector import parse_selector
from appliance.policy.store import Store

LAB = Network(name="lab", prefixes=("10.0.0.0/24",))


def workload(name: str, last: int, **labels: str) -> Workload:
    place = Interface(
        network="lab", port="p1", mac=f"02:00:00:00:00:{last:02x}", addresses=(f"10.0.0.{last}",)
    )
    return Workload(name=name, labels=labels, interfaces=(place,))


WEB, DB = workload("web", 1, app="web"), workload("db", 2, app="db", env="prod")


def registry(directory: Path) -> Workloads:
    return Workloads(Store(directory), [LAB], {"p1": 1})


def test_changes_are_versions_and_come_back(tmp_path: Path) -> None:
    made = registry(tmp_path)
    before = made.create(WEB)
    after = made.create(DB)
    assert [one.name for one in before.workloads] == ["web"]
    assert [one.name for one in after.workloads] == ["db", "web"]
    made.relabel("db", {"env": "dev", "tier": "1"}, ["app"])
    assert made.version == 3
    again = registry(tmp_path)
    assert again.version == 3
    assert again.get("db").labels == {"env": "dev", "tier": "1"}
    again.restore(after, frozenset())
    assert registry(tmp_path).get("db") == DB


def test_what_comes_back_is_declared_as_before(tmp_path: Path) -> None:
    made = registry(tmp_path)
    before = made.declare([WEB, DB])
    declared = made.declared
    made.remove("db")
    made.restore(before, declared)
    assert (made.is_declared("web"), made.is_declared("db")) == (True, True)
    made.declare([WEB])
    assert [one.name for one in made.all()] == ["web"]


def test_what_is_refused_changes_nothing(tmp_path: Path) -> None:
    made = registry(tmp_path)
    made.create(WEB)
    cases: list[tuple[type[FlowError], str, Workload]] = [
        (AlreadyExists, "'web' already", WEB),
        (FlowError, "bound twice: to .* and to", replace(workload("other", 9), interfaces=WEB.interfaces)),
        (InvalidValue, "kind", replace(DB, kind="toaster")),
        (InvalidValue, "label", replace(DB, labels={"a b": "c"})),
        (InvalidValue, "name", replace(DB, name="-x")),
        (InvalidValue, "risk", replace(DB, risk=101)),
    ]
    for error, words, wrong in cases:
        with pytest.raises(error, match=words):
            made.create(wrong)
    with pytest.raises(NotFound, match="workloads: web"):
        made.remove("nobody")
    with pytest.raises(NotFound, match="no label 'x'"):
        made.relabel("web", {}, ["x"])
    with pytest.raises(BadState, match="version 1, not 0"):
        made.update(WEB, expected=0)
    assert made.version == 1


def test_a_declaration_replaces_its_own(tmp_path: Path) -> None:
    made = registry(tmp_path)
    made.declare([WEB, DB])
    made.create(workload("called", 3))
    assert made.is_declared("web")
    made.declare([replace(DB, labels={"app": "other"})])
    assert [one.name for one in made.all()] == ["called", "db"]
    assert registry(tmp_path).is_declared("db")


def test_a_workload_as_plain_types() -> None:
    given = replace(DB, state=State.WATCHED, risk=7, kind="dataset")
    assert from_dict(to_dict(given)) == given


def test_selectors_mean_workloads() -> None:
    def found(text: str) -> list[str]:
        return [one.name for one in matches(text, [WEB, DB], {"db": State.QUARANTINED})]

    assert found("app=web") == ["web"]
    assert found("env") == ["db"]
    assert found("!env") == ["web"]
    assert found("app in (web, db), env!=prod") == ["web"]
    assert found("state=quarantined | name=web") == ["web", "db"]
    assert found("cidr=10.0.0.0/24 except 10.0.0.2/32") == ["web"]
    assert found("entity=world") == []
    with pytest.raises(InvalidValue, match="groups"):
        found("group=x")


def test_time_to_live_runs_only_while_somebody_watches(tmp_path: Path) -> None:
    now = [100.0]
    book = ContainmentBook(Store(tmp_path), monotonic=lambda: now[0])
    book.contain([WEB], State.QUARANTINED, reason="scan", actor="local", ttl=60.0)
    now[0] += 50
    assert book.due() == []
    now[0] = 7.0  # another process, another clock
    book = ContainmentBook(Store(tmp_path), monotonic=lambda: now[0])
    assert book.all()[0].left == pytest.approx(10.0)
    now[0] += 11
    assert book.due() == ["web"]
    book.release(["web"])
    assert book.states == {}
    with pytest.raises(NotFound, match="not contained"):
        book.release(["web"])


def test_kept_paths_have_the_contained_workload_at_one_end(tmp_path: Path) -> None:
    book = ContainmentBook(Store(tmp_path))
    keep = [KeptPath(source="app=ops", services=("tcp/22",)), KeptPath(target="app=log")]
    book.contain([WEB], State.QUARANTINED, reason="x", actor="a", keep=keep)
    rules = book.model().keep
    assert [(str(rule.source), str(rule.target)) for rule in rules] == [
        ("app=ops", "name=web"),
        ("name=web", "app=log"),
    ]
    assert ContainmentBook(Store(tmp_path)).model().keep == rules
    for wrong in (KeptPath(), KeptPath("app=a", "app=b"), KeptPath("app=a b c=")):
        with pytest.raises(InvalidValue, match=r"keep\[0\]"):
            check_keep([wrong])


def rule(name: str, service: str, **more: object) -> Rule:
    return Rule(name=name, band=Band.ALLOW, services=(service,), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("canary", ["app=web", "app=db, env=prod", "app=nobody | env", "!env"])
def test_a_canary_is_the_new_policy_at_its_ends_alone(canary: str) -> None:
    same, old, new = rule("same", "tcp/1"), rule("changed", "tcp/2"), rule("changed", "tcp/3")
    made = mixed(PolicySet(rules=(same, old)), PolicySet(rules=(same, new)), canary)
    assert same in made.rules
    for source in (WEB, DB):
        for target in (WEB, DB):
            some = parse_selector(canary)
            first = any(means(some, one, State.NORMAL) for one in (source, target))
            services = {
                one.services[0]
                for one in made.rules
                if means(one.source, source, State.NORMAL) and means(one.target, target, State.NORMAL)
            }
            assert services == {"tcp/1", "tcp/3" if first else "tcp/2"}


@pytest.mark.parametrize(
    ("old", "new", "canary", "words"),
    [
        (PolicySet(), PolicySet(), "any", "must speak of workloads"),
        (PolicySet(), PolicySet(), "cidr=10.0.0.0/8", "must speak of workloads"),
        (PolicySet(), PolicySet(), "app=", "canary"),
        (PolicySet(), PolicySet(default=Default.ALLOW), "app=web", "default"),
        (
            PolicySet(groups={"g": parse_selector("app=a")}),
            PolicySet(groups={"g": parse_selector("app=b")}),
            "app=web",
            "group 'g'",
        ),
    ],
)
def test_canaries_that_are_refused(old: PolicySet, new: PolicySet, canary: str, words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        mixed(old, new, canary)
