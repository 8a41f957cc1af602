# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Answers in words, and the smallest rule that would change them; what `status` calls wrong."""

from typing import Any

import click
import pytest

from appliance.cli.explain import (
    PolicyQuestion,
    because,
    filter_of,
    record_sentence,
    remedy_for,
    rule_text,
    sentence,
)
from appliance.cli.status import LOOK, WRONG, Snapshot, problems
from appliance.telemetry import schema
from appliance.telemetry.filters import parse
from appliance.v1 import (
    policy_pb2,
    policy_service_pb2,
    port_pb2,
    stats_pb2,
    system_service_pb2,
    workload_pb2,
)

QUESTION = PolicyQuestion(source="agent", target="dataset", service="tcp/2049")


def verdict(action: str, band: str, rule: str = "", **more: Any) -> policy_pb2.PolicyVerdict:
    return policy_pb2.PolicyVerdict(
        action=f"POLICY_ACTION_{action}",
        band=f"POLICY_BAND_{band}",
        rule=rule,
        **more,
    )


def test_a_denial_names_labels_and_default() -> None:
    told = sentence(QUESTION, verdict("BLOCK", "DEFAULT", source="kind=agent", target="kind=dataset"), 7)
    assert told == (
        "No: agent (kind=agent) may not open tcp/2049 to dataset (kind=dataset): no rule matches, and the default of"
        " revision 7 blocks it."
    )


def test_an_alert_and_an_audit_rule_are_told() -> None:
    audited = verdict(
        "ALERT", "ALERT", "look", audit_rule="later", audit_action=policy_pb2.POLICY_ACTION_BLOCK
    )
    told = sentence(QUESTION, audited, 2)
    assert told.startswith(
        "Yes: agent may open tcp/2049 to dataset: rule look (alert) of revision 2 allows it and"
    )
    assert told.endswith("With the audit rule later enforced it would be blocked.")


def test_containment_is_not_a_rule() -> None:
    assert "quarantined" in because(verdict("BLOCK", "SYSTEM", "quarantine"), 3)


@pytest.mark.parametrize(
    ("given", "band"),
    [
        (verdict("BLOCK", "DEFAULT"), "allow"),
        (verdict("BLOCK", "BLOCK", "no"), "allow"),
        (verdict("REJECT", "OVERRIDE_BLOCK", "never"), "override-allow"),
        (verdict("ALLOW", "DEFAULT"), "block"),
        (verdict("ALLOW", "ALLOW", "yes"), "override-block"),
        (verdict("ALERT", "ALERT", "yes"), "override-block"),
    ],
)
def test_the_smallest_rule_takes_the_lowest_band_that_wins(
    given: policy_pb2.PolicyVerdict, band: str
) -> None:
    rule = remedy_for(QUESTION, given).rule
    assert rule is not None
    text = rule_text(rule)
    assert f"band: {band}, " in text
    assert 'from: "name=agent", to: "name=dataset", services: [tcp/2049]' in text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (verdict("ALLOW", "OVERRIDE_ALLOW", "always"), "narrow rule always"),
        (verdict("ALERT", "OVERRIDE_ALERT", "always"), "narrow rule always"),
        (verdict("ALLOW", "SYSTEM", "dig"), "take dig out of keep"),
        (verdict("BLOCK", "SYSTEM", "quarantine"), "ringfield release"),
    ],
)
def test_where_no_rule_helps_something_else_is_named(given: policy_pb2.PolicyVerdict, words: str) -> None:
    remedy = remedy_for(QUESTION, given)
    assert remedy.rule is None
    assert words in remedy.words


def test_addresses_become_prefixes() -> None:
    question = PolicyQuestion(source="10.1.2.3", target="fd00::1", service="tcp/1")
    rule = remedy_for(question, verdict("BLOCK", "DEFAULT")).rule
    assert rule is not None
    assert (rule.source, rule.target) == ("cidr=10.1.2.3/32", "cidr=fd00::1/128")


def record(**given: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        column.name: {"number": 0, "text": "", "labels": []}[column.kind] for column in schema.COLUMNS
    }
    ends = {
        "src_workload": "agent",
        "dst_workload": "dataset",
        "src_labels": ["app=x"],
        "src_state": "normal",
    }
    return plain | ends | {"protocol": "tcp", "dst_port": 2049, "record": 12, "revision": 3} | given


def test_a_record_in_words() -> None:
    told = record_sentence(
        record(event="deny", verdict="drop", reason="policy", band="block", rule="no-data")
    )
    assert told.startswith("Record 12, ")
    assert (
        "agent (app=x) was refused tcp/2049 to dataset: rule no-data (block) of revision 3 dropped it."
        in told
    )
    told = record_sentence(
        record(event="close", verdict="allow", band="system", rule="quarantine", close_reason="quarantine")
    )
    assert "which closed (quarantine): one of them was quarantined." in told


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["17"], "record=17"),
        (["flow=72057594037927936"], "flow=72057594037927936"),
        (["a", "10.0.0.2", "tcp/443"], "from.workload=a to.ip=10.0.0.2 protocol=tcp to.port=443"),
        (["a", "b", "icmp"], "from.workload=a to.workload=b protocol=icmp"),
        (["a", "b", "any"], "from.workload=a to.workload=b"),
        (["a", "b", "47"], "from.workload=a to.workload=b protocol=47"),
        (["a", "b", "icmp6/128"], "from.workload=a to.workload=b protocol=icmpv6"),
        (["a", "b", "ssh"], "from.workload=a to.workload=b protocol=tcp to.port=22"),
        (
            ["a", "b", "own"],
            "from.workload=a to.workload=b protocol=tcp to.port=7-9 or from.workload=a to.workload=b protocol=udp",
        ),
    ],
)
def test_what_why_looks_for(words: list[str], text: str) -> None:
    wanted = filter_of(words, {"own": ("tcp/7-9", "udp")})
    assert wanted == text
    assert parse(wanted), "it is a filter"


def test_why_refuses_what_is_no_service() -> None:
    with pytest.raises(click.UsageError, match="there is no service 'tpc/1'"):
        filter_of(["a", "b", "tpc/1"])


# --- status -----------------------------------------------------------------------------------------------------------


def snapshot(**given: Any) -> Snapshot:
    serving = system_service_pb2.GetStatusResponse(state=system_service_pb2.FASTPATH_STATE_SERVING)
    return Snapshot(
        "1",
        given.pop("system", serving),
        given.pop("ports", []),
        given.pop("stats", stats_pb2.Stats()),
        **given,
    )


def test_nothing_is_wrong() -> None:
    assert problems(snapshot()) == []


def test_a_lost_fast_path_comes_first_and_alone_is_enough() -> None:
    lost = system_service_pb2.GetStatusResponse(
        state=system_service_pb2.FASTPATH_STATE_RECOVERING, last_error="it ended", runtime_dir="/r"
    )
    (found,) = problems(snapshot(system=lost))
    assert found.level == WRONG
    assert "it ended" in found.text
    assert "/r/fastpath.log" in found.advice


def test_drops_name_port_and_workload_and_harmless_ones_are_no_problem() -> None:
    drops = [
        stats_pb2.DropCount(reason="unauthenticated", packets=5),
        stats_pb2.DropCount(reason="policy", packets=9),
    ]
    stats = stats_pb2.Stats(ports=[stats_pb2.PortStats(port="pf0vf1", drops=drops)])
    interface = workload_pb2.WorkloadInterface(port="pf0vf1")
    spec = workload_pb2.WorkloadSpec(interfaces=[interface])
    status = workload_pb2.WorkloadStatus(ready=True)
    workloads = [workload_pb2.Workload(name="agent", spec=spec, status=status)]
    (found,) = problems(snapshot(stats=stats, workloads=workloads))
    assert found.level == LOOK
    assert found.text == "5 packets dropped as unauthenticated at pf0vf1 (agent)"
    assert found.advice


def test_a_port_that_is_down_is_wrong() -> None:
    (found,) = problems(
        snapshot(ports=[port_pb2.Port(name="p0", backend="net_tap", netns="web", started=True)])
    )
    assert found.level == WRONG
    assert "p0 (net_tap in web) is down" in found.text


def test_an_open_default_and_a_revision_to_confirm_are_worth_a_look() -> None:
    policy = policy_service_pb2.GetPolicyResponse(
        policy=policy_pb2.PolicySet(default_action=policy_pb2.POLICY_ACTION_ALERT),
        revision=policy_pb2.PolicyRevision(number=4, confirm_seconds=30),
    )
    found = problems(snapshot(policy=policy))
    assert [one.level for one in found] == [LOOK, LOOK]
    assert "revision 4 is rolled back in 30 s unless confirmed" in found[0].text
    assert "default alert" in found[1].text
