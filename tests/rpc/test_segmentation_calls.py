# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Calls of the segmentation services, and their refusals, on one real appliance that each test leaves as it was."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from appliance.v1 import (
    containment_service_pb2,
    pipe_pb2,
    policy_pb2,
    policy_service_pb2,
    workload_pb2,
    workload_service_pb2,
)
from tests.support.fastpath import wait_for
from tests.support.rig import TIMEOUT, Running
from tests.support.segmentation import (
    DB,
    OPS,
    POLICY,
    WEB,
    entries,
    interface,
    passes,
    publish,
    quarantine,
    refused,
    release,
    running,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    """One appliance for tests that leave it as they found it."""
    with running() as rig:
        yield rig


def test_a_policy_of_the_configuration_is_in_force(shared: Running) -> None:
    assert passes(shared, WEB, DB, 5432)
    assert not passes(shared, WEB, DB, 22)
    assert not passes(shared, DB, WEB, 5432)
    assert passes(shared, OPS, WEB, 22)
    policy = shared.client.policy.GetPolicy(policy_service_pb2.GetPolicyRequest(), timeout=TIMEOUT)
    assert policy.revision.origin == "config"
    assert [rule.name for rule in policy.policy.rules] == ["web-to-db", "ops-to-all"]
    assert policy.revision.appliances[0].state == policy_pb2.REVISION_STATE_APPLIED
    assert policy.source.yaml == POLICY


def test_refusals_leave_the_running_policy(shared: Running) -> None:
    before = len(entries(shared))
    number = shared.client.policy.GetPolicy(
        policy_service_pb2.GetPolicyRequest(), timeout=TIMEOUT
    ).revision.number
    bad = "rules:\n  - {name: a, band: allow, from: app=web, to: app=db, services: [tcp/90-80]}\n"
    error = refused(lambda: publish(shared, bad), "new.yaml:2", "rule a")
    assert error.status is grpc.StatusCode.INVALID_ARGUMENT
    assert error.refusal is not None
    assert (error.refusal.problems[0].place, error.refusal.problems[0].field) == ("new.yaml:2", "services")
    refused(lambda: publish(shared, "rules:\n - {name: a, band: allow, from: app=nobody, to: any, services: any}\n"),
            "nobody")  # fmt: skip
    refused(lambda: publish(shared, POLICY, expected_revision=number + 1), "is running")
    refused(lambda: publish(shared, POLICY, number=number), "used already")
    refused(lambda: publish(shared, "rules: ["), "not YAML")
    refused(lambda: publish(shared, POLICY, canary="app=web"), "canary")
    assert passes(shared, WEB, DB, 5432)
    now = shared.client.policy.GetPolicy(
        policy_service_pb2.GetPolicyRequest(), timeout=TIMEOUT
    ).revision.number
    assert now == number
    added = entries(shared)[before:]
    assert len(added) == 6
    assert all(entry.refused and entry.refusal for entry in added)


def test_drafts(shared: Running) -> None:
    client = shared.client.policy
    first = client.GetDraft(policy_service_pb2.GetDraftRequest(), timeout=TIMEOUT)
    assert first.is_running
    assert first.source.yaml == POLICY
    source = policy_pb2.PolicySource(file="draft.yaml", yaml=POLICY.replace("tcp/5432", "tcp/3306"))
    kept = client.UpdateDraft(
        policy_service_pb2.UpdateDraftRequest(source=source, expected_digest=""), timeout=TIMEOUT
    )
    assert not kept.problems
    refused(
        lambda: client.UpdateDraft(
            policy_service_pb2.UpdateDraftRequest(source=source, expected_digest="other"), timeout=TIMEOUT
        ),
        "was changed by local",
    )
    sizes = client.ValidatePolicy(policy_service_pb2.ValidatePolicyRequest(), timeout=TIMEOUT)
    assert (sizes.sizes.workloads, sizes.sizes.rules) == (3, 2)
    diff = client.DiffPolicy(policy_service_pb2.DiffPolicyRequest(), timeout=TIMEOUT)
    assert list(diff.changed) == ["web-to-db"]
    assert "+  - {name: web-to-db" in diff.text
    changed = {(one.source, one.target, one.service, one.after.rule) for one in diff.verdicts}
    assert ("app=web", "kind=dataset, app=db", "tcp/3306", "web-to-db") in changed
    answer = client.SimulatePolicy(
        policy_service_pb2.SimulatePolicyRequest(
            questions=[
                policy_service_pb2.PolicyQuestion(source="web", target="db", service="tcp/3306"),
                policy_service_pb2.PolicyQuestion(source="web", target="db", service="tcp/5432"),
            ]
        ),
        timeout=TIMEOUT,
    )
    assert [one.verdict.rule for one in answer.answers] == ["web-to-db", "default"]
    bad = policy_pb2.PolicySource(file="draft.yaml", yaml="rules:\n - {name: x}\n")
    problems = client.UpdateDraft(policy_service_pb2.UpdateDraftRequest(source=bad), timeout=TIMEOUT).problems
    assert problems[0].place == "draft.yaml:2"
    shared.appliance.segmentation.control.store.drop_draft()  # type: ignore[union-attr]


def test_a_policy_as_messages(shared: Running) -> None:
    policy = policy_pb2.PolicySet(
        rules=[
            policy_pb2.PolicyRule(
                name="a",
                band=policy_pb2.POLICY_BAND_ALLOW,
                source="app=web",
                target="app=db",
                services=["tcp/1"],
            )
        ]
    )
    source = policy_pb2.PolicySource(policy=policy)
    done = shared.client.policy.ValidatePolicy(
        policy_service_pb2.ValidatePolicyRequest(source=source), timeout=TIMEOUT
    )
    assert done.sizes.rules == 1
    policy.rules[0].band = policy_pb2.POLICY_BAND_UNSPECIFIED
    error = refused(
        lambda: shared.client.policy.ValidatePolicy(
            policy_service_pb2.ValidatePolicyRequest(source=policy_pb2.PolicySource(policy=policy)),
            timeout=TIMEOUT,
        )
    )
    assert error.detail is not None
    assert error.detail.field == "policy.rules[0].band"


def test_workloads_that_are_refused(shared: Running) -> None:
    def create(name: str, *interfaces: workload_pb2.WorkloadInterface, **spec: str) -> None:
        made = workload_pb2.WorkloadSpec(interfaces=interfaces, **spec)  # type: ignore[arg-type]
        shared.client.workloads.CreateWorkload(
            workload_service_pb2.CreateWorkloadRequest(workload=workload_pb2.Workload(name=name, spec=made)),
            timeout=TIMEOUT,
        )

    free = interface("p3", "02:00:00:00:00:09", "10.0.0.9")
    refused(lambda: create("web", free), "'web' already")
    error = refused(lambda: create("x", interface("p3", "02:00:00:00:00:09", "10.0.0.1")), "bound twice")
    assert "web" in error.reason
    assert "x" in error.reason
    refused(lambda: create("x", interface("p3", "02:00:00:00:00:01", "10.0.0.9")), "bound twice", "web")
    refused(lambda: create("x", interface("p9", "02:00:00:00:00:09", "10.0.0.9")), "p9")
    refused(lambda: create("x", free, kind="toaster"), "toaster")
    refused(lambda: create("", free), "name")
    refused(lambda: create("x", interface("p3", "zz", "10.0.0.9")), "mac")
    listed = shared.client.workloads.ListWorkloads(
        workload_service_pb2.ListWorkloadsRequest(), timeout=TIMEOUT
    )
    assert [one.name for one in listed.workloads] == ["db", "ops", "web"]


def test_quarantine_and_release(shared: Running) -> None:
    done = quarantine(shared, "web")
    assert (done.before.direct, done.after.direct) == (1, 0)
    assert done.before.kinds == {"dataset": 1}
    assert not passes(shared, WEB, DB, 5432)
    assert not passes(shared, OPS, WEB, 22)
    assert passes(shared, OPS, DB, 22)
    web = shared.client.workloads.GetWorkload(
        workload_service_pb2.GetWorkloadRequest(name="web"), timeout=TIMEOUT
    ).workload
    assert web.status.state == workload_pb2.WORKLOAD_STATE_QUARANTINED
    assert all(number & 3 == 3 for number in web.status.identities)
    assert release(shared, selector="app=web") == ["web"]
    assert passes(shared, WEB, DB, 5432)
    written = entries(shared)
    assert [entry.action for entry in written[-2:]] == ["containment.quarantine", "containment.release"]
    assert written[-2].before["web"] == "normal"


def test_paths_that_are_kept(shared: Running) -> None:
    keep = containment_service_pb2.KeptPath(source="app=ops", services=["tcp/22"])
    quarantine(shared, "web", keep=[keep])
    try:
        assert passes(shared, OPS, WEB, 22)
        assert not passes(shared, WEB, DB, 5432)
    finally:
        release(shared, "web")
    assert passes(shared, WEB, DB, 5432)


def test_a_quarantine_ends_when_its_time_is_up(shared: Running) -> None:
    done = quarantine(shared, "web", ttl_seconds=0.5)
    assert 0 < done.contained[0].seconds_left <= 0.5
    assert not passes(shared, WEB, DB, 5432)
    wait_for("the end of the quarantine", lambda: passes(shared, WEB, DB, 5432))
    last = entries(shared)[-1]
    assert (last.action, last.actor, last.reason) == ("containment.release", "appliance", "its time is up")


def test_restrict_without_a_baseline_leaves_nothing(shared: Running) -> None:
    target = containment_service_pb2.ContainmentTarget(workloads=["web"])
    shared.client.containment.Restrict(
        containment_service_pb2.RestrictRequest(target=target, reason="looks odd"), timeout=TIMEOUT
    )
    assert not passes(shared, WEB, DB, 5432)
    release(shared, "web")
    assert passes(shared, WEB, DB, 5432)


def test_containment_that_is_refused(shared: Running) -> None:
    client = shared.client.containment
    target = containment_service_pb2.ContainmentTarget(workloads=["web"])
    refused(lambda: quarantine(shared, "nobody"), "no workload 'nobody'")
    refused(
        lambda: client.Quarantine(containment_service_pb2.QuarantineRequest(target=target), timeout=TIMEOUT),
        "reason",
    )
    refused(lambda: quarantine(shared, "web", ttl_seconds=-1), "ttl_seconds")
    refused(lambda: quarantine(shared, "web", keep=[containment_service_pb2.KeptPath()]), "keep[0]")
    refused(
        lambda: client.Quarantine(
            containment_service_pb2.QuarantineRequest(
                target=containment_service_pb2.ContainmentTarget(selector="app=nobody"), reason="x"
            ),
            timeout=TIMEOUT,
        ),
        "means no workload",
    )
    refused(lambda: release(shared, "web"), "not contained")
    assert passes(shared, WEB, DB, 5432)
    radius = client.GetBlastRadius(
        containment_service_pb2.GetBlastRadiusRequest(workload="ops"), timeout=TIMEOUT
    )
    # db and web by tcp/22, and from web db by tcp/5432.
    assert (radius.now.direct, radius.now.transitive, radius.quarantined.direct) == (2, 3, 0)


def test_names_of_the_program_are_refused_to_others(shared: Running) -> None:
    refused(lambda: shared.create(pipe_pb2.Pipe(name="seg/mine", port="p0")), "segmentation program")


def test_refusals_that_come_early_are_in_the_audit_log(shared: Running) -> None:
    before = len(entries(shared))
    refused(lambda: quarantine(shared, "nobody"), "nobody")
    refused(lambda: release(shared, selector="app=nobody"), "no workload")
    refused(lambda: publish(shared, POLICY, confirm_seconds=1e9), "confirm_seconds")
    refused(
        lambda: shared.client.workloads.SetLabels(
            workload_service_pb2.SetLabelsRequest(name="web"), timeout=TIMEOUT
        ),
        "labels",
    )
    added = entries(shared)[before:]
    assert [(one.action, one.target) for one in added] == [
        ("containment.quarantine", "nobody"),
        ("containment.release", "app=nobody"),
        ("policy.publish", "new.yaml"),
        ("workload.label", "web"),
    ]
    assert all(one.refused and one.refusal for one in added)


def test_a_quarantine_that_ends_with_its_workload_is_in_the_audit_log(shared: Running) -> None:
    spec = workload_pb2.WorkloadSpec(interfaces=[interface("p3", "02:00:00:00:00:29", "10.0.0.29")])
    made = workload_pb2.Workload(name="short", spec=spec)
    shared.client.workloads.CreateWorkload(
        workload_service_pb2.CreateWorkloadRequest(workload=made), timeout=TIMEOUT
    )
    quarantine(shared, "short")
    shared.client.workloads.DeleteWorkload(
        workload_service_pb2.DeleteWorkloadRequest(name="short", reason="gone"), timeout=TIMEOUT
    )
    last = entries(shared)[-2:]
    assert [(one.action, one.target) for one in last] == [
        ("workload.delete", "short"),
        ("containment.release", "short"),
    ]
