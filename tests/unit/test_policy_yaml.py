# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Policies as text: read, written, refused."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.policy.check import check
from appliance.policy.model import (
    Band,
    Interface,
    Inventory,
    Network,
    PolicySet,
    Schedule,
    Window,
    Workload,
)
from appliance.policy.reading import from_dict, read_policy, to_dict, write_policy
from appliance.policy.refusal import Refused
from appliance.rpc.convert import policy as convert
from appliance.rpc.convert.base import BadField
from appliance.v1 import policy_pb2
from tests.oracle import factories as fa

GOOD = """\
name: factory
default: block
labels: {app: [later]}
groups:
  front: [app=web, kind=agent]
services:
  vectors: [tcp/6333, tcp/6334]
rules:
  - name: agents-to-tools
    band: allow
    from: kind=agent, env!=dev
    to: [kind=tool, "cidr=10.0.0.0/8 except 10.1.0.0/16"]
    services: [https, vectors, tcp/8000-8100]
    priority: 7
    log: true
    schedule:
      windows: [{days: [mon, fri], from: "08:00", to: "18:30"}]
      expires: 2027-01-01T00:00:00Z
  - {name: no-ssh, band: override-block, from: any, to: group=front, services: [ssh], reject: true, mode: audit}
keep:
  - {name: forensics, from: name=w0, to: any, services: [ssh]}
network_policies:
  - {name: db, subjects: app=db, sides: [ingress], allows: [{peers: app=web, services: [tcp/5432]}]}
"""
INVENTORY = Inventory(
    networks=(Network(name="n", prefixes=("10.0.0.0/16",)),),
    workloads=tuple(
        Workload(
            name=f"w{i}",
            labels={"app": app, "env": "prod"},
            interfaces=(
                Interface(network="n", port="p", mac=f"02:00:00:00:00:0{i}", addresses=(f"10.0.0.{i + 1}",)),
            ),
        )
        for i, app in enumerate(("web", "db"), 1)
    ),
    ports={"p": 1},
)


def test_it_comes_back_as_it_was_written() -> None:
    policy = read_policy(GOOD)
    assert read_policy(write_policy(policy)) == policy
    assert from_dict(to_dict(policy)) == policy
    assert [rule.name for rule in policy.rules] == ["agents-to-tools", "no-ssh"]


@given(policy=fa.policies())
@settings(max_examples=30, deadline=None)
def test_every_policy_has_a_text(policy: PolicySet) -> None:
    allowed = [rule for rule in policy.rules if rule.band is not Band.SYSTEM]  # not written by hand
    kept = PolicySet(
        name=policy.name, default=policy.default, rules=tuple(allowed), keep=policy.keep, groups=policy.groups,
        services=policy.services, side_policies=policy.side_policies,
    )  # fmt: skip
    if not check(kept):
        assert read_policy(write_policy(kept)) == kept


SCHEDULES = st.builds(
    Schedule,
    windows=st.lists(
        st.builds(
            Window,
            days=st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
            start=st.integers(0, 700),
            end=st.integers(701, 1440),
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
    begins=st.none() | st.just(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    expires=st.none() | st.just(datetime(2027, 1, 1, tzinfo=UTC)),
)


@given(policy=fa.policies(), schedule=st.none() | SCHEDULES)
@settings(max_examples=60, deadline=None)
def test_both_forms_of_a_policy_are_the_same(policy: PolicySet, schedule: Schedule | None) -> None:
    """Messages say what YAML says, two-sided policies included: either way the same policy comes back."""
    rules = [rule for rule in policy.rules if rule.band is not Band.SYSTEM]
    given = replace(policy, rules=tuple(replace(rule, schedule=schedule, comment="why") for rule in rules))
    wire = policy_pb2.PolicySet.FromString(convert.policy_to(given).SerializeToString())
    taken = convert.policy_from(wire)
    assert taken == given
    if not check(given):
        assert read_policy(write_policy(taken)) == given


INGRESS = policy_pb2.POLICY_SIDE_INGRESS


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (policy_pb2.NetworkPolicy(subjects="app=a", sides=[INGRESS]), "name"),
        (policy_pb2.NetworkPolicy(name="n", sides=[INGRESS]), "subjects"),
        (policy_pb2.NetworkPolicy(name="n", subjects="app=a"), "sides"),
        (
            policy_pb2.NetworkPolicy(name="n", subjects="app=a", sides=[policy_pb2.POLICY_SIDE_UNSPECIFIED]),
            "sides",
        ),
        (policy_pb2.NetworkPolicy(name="n", subjects="a b", sides=[INGRESS]), "subjects"),
        (
            policy_pb2.NetworkPolicy(
                name="n", subjects="app=a", sides=[INGRESS], allows=[policy_pb2.PolicySideAllow(peers="a b")]
            ),
            "allows[0].peers",
        ),
    ],
)
def test_bad_messages_of_two_sided_policies_name_the_field(
    message: policy_pb2.NetworkPolicy, field: str
) -> None:
    with pytest.raises(BadField) as caught:
        convert.policy_from(policy_pb2.PolicySet(network_policies=[message]))
    assert caught.value.field == f"policy.network_policies[0].{field}"


RULE = {"name": "r", "band": "allow", "from": "any", "to": "any", "services": ["any"]}


def _text(change: dict[str, Any], **top: Any) -> str:
    """A good rule in line 1 or so, and one with a change (None: without that key)."""
    rule = {key: value for key, value in {**RULE, **change}.items() if value is not None}
    return yaml.safe_dump({**top, "rules": [{**RULE, "name": "fine"}, rule]}, sort_keys=False)


SCHEDULE = {"windows": [{"from": "18:00", "to": "08:00"}]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_text({"from": "app=a, app=b"}), ["p.yaml:10", "rule r", "from", "app"]),
        (_text({"from": "app=a, !app"}), ["rule r", "from"]),
        (_text({"from": "entity=world, app=a"}), ["rule r", "from"]),
        (_text({"to": "cidr=10.0.0.0/8, cidr=11.0.0.0/8"}), ["rule r", "to", "10.0.0.0/8"]),
        (_text({"services": ["tcp/90-80"]}), ["p.yaml:", "rule r", "services", "backwards"]),
        (_text({"services": []}), ["rule r", "services"]),
        (_text({"services": ["htps"]}), ["rule r", "services", "htps"]),
        (_text({"services": ["tcp/http"]}), ["rule r", "services", "tcp/http"]),
        (_text({"services": ["tcp/70000"]}), ["rule r", "services", "65535"]),
        (_text({"from": None}), ["p.yaml:8", "rule r", "from"]),
        (_text({"from": ""}), ["rule r", "from"]),
        (_text({"from": "group=x"}), ["rule r", "from", "'x'"]),
        (_text({"from": "app=nosuch"}), ["rule r", "from", "nosuch"]),
        (_text({"from": "colour=red"}), ["rule r", "from", "colour"]),
        (_text({"from": "name=w9"}), ["rule r", "from", "w9"]),
        (_text({"from": "kind=agnt"}), ["rule r", "from", "agnt"]),
        (_text({"from": "10.0.0.0/8"}), ["rule r", "from"]),
        (_text({"from": "cidr=10.0.0.0/8 except 11.0.0.0/16"}), ["rule r", "inside"]),
        (_text({"band": "alow"}), ["p.yaml:9", "rule r", "band", "alow"]),
        (_text({"band": "system"}), ["rule r", "band"]),
        (_text({"reject": True}), ["rule r", "reject"]),
        (_text({"colour": "red"}), ["rule r", "colour"]),
        (_text({"name": "fine"}), ["p.yaml:8", "rule fine", "name", "two"]),
        (_text({"schedule": SCHEDULE}), ["rule r", "schedule"]),
        (_text({}, groups={"a": "group=b", "b": "group=a"}), ["p.yaml:2", "group a", "itself"]),
        (_text({}, services={"a": ["b"], "b": ["a"]}), ["service a", "itself"]),
        ("rules: [", ["p.yaml:"]),
        ("default: maybe\n", ["p.yaml:1", "default"]),
    ],
)
def test_bad_policies_are_refused_whole(text: str, words: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        read_policy(text, "p.yaml", INVENTORY)
    for word in words:
        assert word in str(refused.value)


def test_all_problems_are_told_at_once() -> None:
    wrong = {**RULE, "name": "q", "from": "app=a, app=b", "services": ["tcp/9-8"]}
    text = yaml.safe_dump({"rules": [{**RULE, "band": "alow"}, wrong]})
    with pytest.raises(Refused) as refused:
        read_policy(text, "p.yaml")
    assert len(refused.value.problems) == 3
