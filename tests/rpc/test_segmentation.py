# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Segmentation over gRPC on real appliances: publish, roll back, confirm, canary, restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from appliance.errors import FlowError
from appliance.policy import audit
from appliance.run.appliance import Appliance
from appliance.run.document import ConfigError
from appliance.run.frames import Host
from appliance.v1 import (
    audit_service_pb2,
    policy_pb2,
    policy_service_pb2,
    workload_pb2,
    workload_service_pb2,
)
from tests.support.fastpath import wait_for
from tests.support.rig import TIMEOUT, config, directory
from tests.support.segmentation import (
    CONFIG,
    DB,
    OPS,
    POLICY,
    PORT_OF,
    WEB,
    entries,
    interface,
    passes,
    publish,
    quarantine,
    refused,
    running,
)


def test_publish_and_roll_back() -> None:
    with running() as rig:
        other = POLICY.replace("tcp/5432", "tcp/3306")
        revision = publish(rig, other, reason="another database", expected_revision=1)
        assert (revision.number, revision.actor, revision.credential) == (2, "local", "unix")
        assert revision.appliances[0].seconds > 0
        assert passes(rig, WEB, DB, 3306)
        assert not passes(rig, WEB, DB, 5432)
        back = rig.client.policy.RollbackPolicy(
            policy_service_pb2.RollbackPolicyRequest(reason="it was wrong"), timeout=TIMEOUT
        ).revision
        assert (back.number, back.of, back.origin) == (3, 1, "rollback")
        assert passes(rig, WEB, DB, 5432)
        listed = rig.client.policy.ListRevisions(policy_service_pb2.ListRevisionsRequest(), timeout=TIMEOUT)
        assert [(one.number, one.appliances[0].state) for one in listed.revisions] == [
            (3, policy_pb2.REVISION_STATE_APPLIED),
            (2, policy_pb2.REVISION_STATE_SUPERSEDED),
            (1, policy_pb2.REVISION_STATE_SUPERSEDED),
        ]
        written = [entry for entry in entries(rig) if entry.action.startswith("policy.")]
        assert [entry.revision for entry in written] == [1, 2, 3]
        assert (written[1].reason, written[1].actor) == ("another database", "local")
        check = rig.client.audit.VerifyAuditLog(audit_service_pb2.VerifyAuditLogRequest(), timeout=TIMEOUT)
        assert check.good
        assert check.signed_entries == check.good_entries  # a publish signs


def test_a_publish_that_would_cut_dns_is_refused_unless_forced() -> None:
    policy = POLICY + "  - {name: dns, band: allow, from: any, to: app=dns, services: dns}\n"
    with running() as rig:
        rig.client.workloads.SetLabels(
            workload_service_pb2.SetLabelsRequest(name="ops", labels={"app": "dns"}), timeout=TIMEOUT
        )
        publish(rig, policy.replace("app=ops", "app=dns"))
        assert passes(rig, WEB, OPS, 53)
        without = POLICY.replace("app=ops", "app=dns")
        error = refused(lambda: publish(rig, without), "would cut DNS", "unless forced")
        assert error.status is grpc.StatusCode.FAILED_PRECONDITION
        assert passes(rig, WEB, OPS, 53)
        publish(rig, without, force=True)
        assert not passes(rig, WEB, OPS, 53)


def test_a_publish_that_nobody_confirms_is_rolled_back() -> None:
    with running() as rig:
        other = POLICY.replace("tcp/5432", "tcp/3306")
        revision = publish(rig, other, confirm_seconds=0.4)
        assert passes(rig, WEB, DB, 3306)
        assert 0 < revision.confirm_seconds <= 0.4
        wait_for("the roll back", lambda: passes(rig, WEB, DB, 5432))
        now = rig.client.policy.GetPolicy(policy_service_pb2.GetPolicyRequest(), timeout=TIMEOUT).revision
        assert (now.number, now.origin, now.of, now.actor) == (3, "unconfirmed", 1, "appliance")
        kept = publish(rig, other, confirm_seconds=60)
        refused(lambda: publish(rig, POLICY), "waits to be confirmed")
        rig.client.policy.ConfirmPolicy(
            policy_service_pb2.ConfirmPolicyRequest(number=kept.number), timeout=TIMEOUT
        )
        assert passes(rig, WEB, DB, 3306)
        publish(rig, POLICY)


def test_a_canary_gets_the_new_policy_first() -> None:
    with running() as rig:
        other = POLICY.replace("tcp/22", "tcp/2222")
        revision = publish(rig, other, confirm_seconds=60, canary="app=db")
        assert revision.canary == "app=db"
        assert passes(rig, OPS, DB, 2222)
        assert not passes(rig, OPS, DB, 22)
        assert passes(rig, OPS, WEB, 22)
        assert not passes(rig, OPS, WEB, 2222)
        rig.client.policy.ConfirmPolicy(
            policy_service_pb2.ConfirmPolicyRequest(number=revision.number), timeout=TIMEOUT
        )
        assert passes(rig, OPS, WEB, 2222)
        assert not passes(rig, OPS, WEB, 22)


def test_workloads() -> None:
    with running() as rig:
        client = rig.client.workloads
        new = Host("02:00:00:00:00:04", "10.0.0.4")
        PORT_OF[new] = "p3"
        assert not passes(rig, new, DB, 5432)
        spec = workload_pb2.WorkloadSpec(
            labels={"app": "web"}, interfaces=[interface("p3", new.mac, new.address)]
        )
        made = client.CreateWorkload(
            workload_service_pb2.CreateWorkloadRequest(
                workload=workload_pb2.Workload(name="web-2", spec=spec)
            ),
            timeout=TIMEOUT,
        ).workload
        assert made.status.ready
        assert made.status.state == workload_pb2.WORKLOAD_STATE_NORMAL
        assert passes(rig, new, DB, 5432)
        ready = client.WaitReady(workload_service_pb2.WaitReadyRequest(names=["web-2"]), timeout=TIMEOUT)
        assert ready.workloads[0].name == "web-2"
        # Replicas share an identity.
        web = client.GetWorkload(
            workload_service_pb2.GetWorkloadRequest(name="web"), timeout=TIMEOUT
        ).workload
        assert web.status.identities == made.status.identities
        client.SetLabels(
            workload_service_pb2.SetLabelsRequest(name="web-2", labels={"app": "other"}), timeout=TIMEOUT
        )
        assert not passes(rig, new, DB, 5432)
        assert passes(rig, WEB, DB, 5432)
        listed = client.ListWorkloads(
            workload_service_pb2.ListWorkloadsRequest(selector="app in (web, other)"), timeout=TIMEOUT
        )
        assert [one.name for one in listed.workloads] == ["web", "web-2"]
        client.DeleteWorkload(workload_service_pb2.DeleteWorkloadRequest(name="web-2"), timeout=TIMEOUT)
        refused(
            lambda: client.WaitReady(workload_service_pb2.WaitReadyRequest(names=["web-2"]), timeout=0.2),
        )
        actions = [entry.action for entry in entries(rig) if entry.action.startswith("workload.")]
        assert actions == ["workload.declare", "workload.create", "workload.label", "workload.delete"]


def test_everything_is_there_after_a_restart() -> None:
    with directory() as where:
        with running(at=where) as rig:
            publish(rig, POLICY.replace("tcp/5432", "tcp/3306"))
            quarantine(rig, "ops")
            spec = workload_pb2.WorkloadSpec(interfaces=[interface("p3", "02:00:00:00:00:07", "10.0.0.7")])
            rig.client.workloads.CreateWorkload(
                workload_service_pb2.CreateWorkloadRequest(
                    workload=workload_pb2.Workload(name="late", spec=spec)
                ),
                timeout=TIMEOUT,
            )
        with running(at=where) as rig:
            assert passes(rig, WEB, DB, 3306)
            assert not passes(rig, OPS, DB, 22)
            listed = rig.client.workloads.ListWorkloads(
                workload_service_pb2.ListWorkloadsRequest(), timeout=TIMEOUT
            )
            assert [one.name for one in listed.workloads] == ["db", "late", "ops", "web"]
            revision = rig.client.policy.GetPolicy(
                policy_service_pb2.GetPolicyRequest(), timeout=TIMEOUT
            ).revision
            assert revision.number == 2
        with running(POLICY.replace("5432", "1521"), at=where) as rig:  # a changed file is published
            assert passes(rig, WEB, DB, 1521)
        assert audit.verify(where / "segmentation").ok


def test_a_rule_expires_by_itself() -> None:
    with running() as rig:
        moment = datetime.now(UTC) + timedelta(seconds=1.5)
        expiring = POLICY.replace(
            "name: ops-to-all,", f"name: ops-to-all, schedule: {{expires: '{moment.isoformat()}'}},"
        )
        publish(rig, expiring)
        assert passes(rig, OPS, DB, 22)
        wait_for("the expiry", lambda: not passes(rig, OPS, DB, 22))
        assert datetime.now(UTC) >= moment
        assert passes(rig, WEB, DB, 5432)
        wait_for("the entry", lambda: entries(rig)[-1].action == "policy.schedule")
        assert "late_seconds" in entries(rig)[-1].after.fields


@pytest.mark.parametrize(
    ("before", "after", "field", "words"),
    [
        ("fastpath:", "mode: vnf\nfastpath:", "mode", "needs mode: switch"),
        (
            "segmentation:",
            "pipes: [{name: x, port: p0, root: true, fwd: drop}]\nsegmentation:",
            "pipes",
            "not both",
        ),
        ("port: p1", "port: p9", "workloads.web.port", "no port 'p9'"),
        ("10.0.0.254", "10.9.0.254", "gateways", "none of the network's prefixes"),
        ("addresses: 10.0.0.1,", "", "workloads.web", "would admit nothing"),
        ("kind: dataset", "kind: toaster", "workloads.db.kind", "is not one of"),
        ("policy: policy.yaml", "policy: none.yaml", "policy", "cannot read"),
        ("policy: policy.yaml", "connections: {capacity: 0}", "connections.capacity", "not between"),
        ("policy: policy.yaml", "connections: {capacity: 16777217}", "connections.capacity", "not between"),
        ("policy: policy.yaml", "connections: {denied_capacity: 16777217}", "denied_capacity", "not between"),
        ("policy: policy.yaml", "connections: {timeouts: {udp: -1}}", "timeouts.udp", "seconds"),
        (
            "policy: policy.yaml",
            "connections: {timeouts: {tcp_established: 604801}}",
            "tcp_established",
            "seconds",
        ),
        ("policy: policy.yaml", "default: reject", "default", "is not one of"),
        ("policy: policy.yaml", "polcy: policy.yaml", "polcy", "no such key"),
    ],
)
def test_configurations_that_are_refused(
    before: str, after: str, field: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    assert before in CONFIG
    with pytest.raises(ConfigError, match=words) as caught:
        config(CONFIG.replace(before, after, 1), tmp_path)
    assert field in caught.value.field
    assert caught.value.line > 0


def test_a_configuration_that_binds_twice_does_not_start() -> None:
    with directory() as where:
        (where / "policy.yaml").write_text(POLICY)
        twice = CONFIG.replace("10.0.0.2,", "10.0.0.1,")
        with pytest.raises(FlowError, match="bound twice: to db and to web"):
            Appliance(config(twice, where))
        (where / "policy.yaml").write_text("rules: [{name: a}]\n")
        with pytest.raises(FlowError, match=r"policy\.yaml:1: rule a"):
            Appliance(config(CONFIG, where))
        assert not list(where.glob("*.sock"))
