# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Policies as text: read, written, refused."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from appliance.policy.check import check
from appliance.policy.model import Band, Interface, Inventory, Network, PolicySet, Workload
from appliance.policy.reading import from_dict, read_policy, to_dict, write_policy
from appliance.policy.refusal import Refused
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
