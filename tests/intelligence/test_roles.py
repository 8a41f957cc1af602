# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Every call by every role, over the real doors: who gets in, who is refused, and that refusals are written down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import grpc
import pytest

from appliance.errors import NotPermitted
from appliance.intelligence import access, context, enrol
from appliance.intelligence.access import Caller, Role
from appliance.intelligence.bucket import Bucket
from appliance.intelligence.centre import Centre as Core
from appliance.intelligence.trust import Unauthenticated
from appliance.v1 import audit_service_pb2
from tests.intelligence.test_centre import centre as core  # noqa: F401 - a fixture
from tests.intelligence.test_receiver import workload
from tests.intelligence.test_security import enrolled
from tests.support.central import POLICY, TIMEOUT, WORKLOADS, Centre, centre
from tests.support.rig import directory

ROLES: Final = ("viewer", "editor", "responder", "admin", "orchestrator", "sensor", "appliance", "nobody")
# v e r a o s A n: who may, in the order of ROLES.
TABLE: Final = """
FleetService/ListAppliances           v e r a . . . .
FleetService/ListAlarms               v e r a . . . .
FleetService/GetLoad                  v e r a . . . .
FleetService/CreateEnrolmentToken     . . . a . . . .
FleetService/CreateOperatorToken      . . . a . . . .
FleetService/Revoke                   . . . a . . . .
FleetService/RaiseGeneration          . . . a . . . .
FleetService/RotateStatementKey       . . . a . . . .
InventoryService/ListWorkloads        v e r a o . . .
InventoryService/WaitReady            v e r a o . . .
InventoryService/ListNetworks         v e r a o . . .
InventoryService/ListCriteria         v e r a . . . .
InventoryService/ApplyWorkloads       . e . a o . . .
InventoryService/SetLabels            . e . a o . . .
InventoryService/MoveWorkload         . e . a o . . .
InventoryService/ApplyNetworks        . e . a . . . .
InventoryService/ReplaceCriteria      . e . a . . . .
PolicyService/ListPolicySets          v e r a . . . .
PolicyService/DiffPolicySet           v e r a . . . .
PolicyService/SimulatePolicySet       v e r a . . . .
PolicyService/ListRevisions           v e r a . . . .
PolicyService/UpdateDraft             . e . a . . . .
PolicyService/PublishPolicySet        . e . a . . . .
PolicyService/RollbackRevision        . e . a . . . .
ContainmentService/ListContainment    v e r a . . . .
ContainmentService/Contain            . . r a . . . .
ContainmentService/Release            . . r a . . . .
ThreatService/ListThreats             v e r a . . . .
ThreatService/ReportThreat            . . . a . s . .
AuditService/ListAuditEntries         v e r a . . . .
AuditService/VerifyAuditLog           v e r a . . . .
LinkService/Connect                   . . . . . . A .
EnrolmentService/RenewCertificate     v e r a o s A .
EnrolmentService/GetAuthority         v e r a o s A n
EnrolmentService/Enrol                v e r a o s A n
"""
EXPECTED: Final = {
    line.split()[0]: {role for role, mark in zip(ROLES, line.split()[1:], strict=True) if mark != "."}
    for line in TABLE.strip().splitlines()
}


@pytest.fixture(scope="module")
def lab() -> Iterator[tuple[Centre, Path]]:
    with directory() as where, centre(where / "c") as made:
        made.apply(WORKLOADS)
        made.publish(POLICY)
        yield made, where


def answer(channel: grpc.Channel, method: str) -> tuple[grpc.StatusCode, str]:
    """What becomes of an empty request."""
    package = "appliance.v1" if method.startswith("AuditService") else "appliance.intelligence.v1"
    path = f"/{package}.{method}"
    try:
        if method == "LinkService/Connect":
            call: Any = channel.stream_stream(path)
            list(call(iter([]), timeout=TIMEOUT))
        else:
            call = channel.unary_unary(path)
            call(b"", timeout=TIMEOUT)
    except grpc.RpcError as error:
        failed: Any = error
        return failed.code(), failed.details()
    return grpc.StatusCode.OK, ""


def test_every_call_by_every_role(lab: tuple[Centre, Path]) -> None:
    assert EXPECTED.keys() == access.ALLOWED.keys() | access.OPEN
    made, where = lab
    with ExitStack() as stack:
        channels = {
            role: stack.enter_context(enrol.token_channel(made.operator(f"{role}-1", role), made.enrolment))
            for role in ROLES[:-2]
        }
        home = enrolled(made, where, "dpu1")
        channels["appliance"] = stack.enter_context(
            grpc.secure_channel(f"127.0.0.1:{made.ports[0]}", enrol.credentials(home), enrol.OPTIONS)
        )
        channels["nobody"] = stack.enter_context(
            grpc.secure_channel(
                made.enrolment, grpc.ssl_channel_credentials((home / enrol.AUTHORITY).read_bytes()), enrol.OPTIONS
            )
        )  # fmt: skip
        denied = set()
        for method, roles in EXPECTED.items():
            for role, channel in channels.items():
                status, why = answer(channel, method)
                got_in = status is not grpc.StatusCode.PERMISSION_DENIED and "authorization" not in why
                assert got_in == (role in roles), f"{role} {method}: {status} {why}"
                if not got_in:
                    denied.add((role, method))
                    if role == "nobody":
                        assert status is grpc.StatusCode.UNAUTHENTICATED
                    else:
                        assert "is for:" in why
    log = made.audit.ListAuditEntries(audit_service_pb2.ListAuditEntriesRequest(limit=1000), timeout=TIMEOUT)
    written = {
        (one.actor.rpartition("/")[2].removesuffix("-1"), one.action.removeprefix("call."))
        for one in log.entries
        if one.refused
    }
    names = {"appliance": "dpu1", "nobody": "unknown"}
    assert {(names.get(role, role), method) for role, method in denied} <= written


def test_nobody_fills_the_log_by_being_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(context, "Bucket", lambda rate, burst: Bucket(rate, burst, lambda: now[0]))
    made = Core(tmp_path, name="lab")
    keeper = context.Doorkeeper(made, context.Door.TOKEN)
    stranger = SimpleNamespace(invocation_metadata=lambda: (), peer=lambda: "ipv4:10.0.0.1:1")

    def refused() -> list[str]:
        with pytest.raises(Unauthenticated, match="a bearer token is needed"):
            keeper._admit(stranger, "FleetService/Revoke")
        return [one.action for one in made.audit.entries()]

    for _ in range(int(context.REFUSALS_AT_ONCE) + 30):
        refused()
    assert len(refused()) == context.REFUSALS_AT_ONCE
    now[0] = 1.0
    assert refused()[-2:] == ["call.flood", "call.FleetService/Revoke"]
    assert made.audit.entries(last=2)[0].refusal.startswith("31 more calls were refused")
    for _ in range(30):
        refused()
    now[0] = 2.0
    keeper.settle()  # though nobody else comes
    assert made.audit.entries(last=1)[0].action == "call.flood"
    now[0] = 3.0
    count = made.audit.count
    keeper.settle()
    assert made.audit.count == count
    made.close()


def test_an_operator_with_a_certificate(lab: tuple[Centre, Path]) -> None:
    made, where = lab
    home = where / "alice"
    found = enrol.certify(made.operator("alice", "viewer", ttl_seconds=3600), made.enrolment, home)
    assert (found.who, (home / enrol.KEY).stat().st_mode & 0o777) == ("operator/alice", 0o600)
    assert found.not_after < enrol.certificate_of(where / "dpu1").not_after
    at = f"127.0.0.1:{made.ports[0]}"
    with grpc.secure_channel(at, enrol.credentials(home), enrol.OPTIONS) as channel:
        assert answer(channel, "FleetService/ListAppliances")[0] is grpc.StatusCode.OK
        assert answer(channel, "FleetService/Revoke")[0] is grpc.StatusCode.PERMISSION_DENIED
        assert answer(channel, "LinkService/Connect")[0] is grpc.StatusCode.PERMISSION_DENIED
        made.operator("alice", "viewer")  # another token: what was given on the one before counts no more
        status, why = answer(channel, "FleetService/ListAppliances")
        assert status is grpc.StatusCode.UNAUTHENTICATED
        assert "not one of those that count" in why
    with grpc.secure_channel(made.enrolment, enrol.credentials(where / "dpu1"), enrol.OPTIONS) as channel:
        assert answer(channel, "FleetService/ListAppliances")[0] is grpc.StatusCode.UNAUTHENTICATED


def test_an_orchestrator_leaves_what_is_not_its_own(core: Any) -> None:  # noqa: F811
    bound = Caller(
        "operator/k8s", Role.ORCHESTRATOR, "token:1", None, frozenset({"lab"}), frozenset({"pod", "app"})
    )
    core.apply_workloads([workload(5, "dpu1", "web")], [], bound)
    core.set_labels("w5", {"tier": "gold"}, [], access.LOCAL)
    core.apply_workloads([workload(5, "dpu2", "db")], [], bound)  # it knows nothing of the tier
    assert dict(core.workloads["w5"].labels) == {"app": "db", "tier": "gold"}
    assert core.by["w5"] == {"app": "operator/k8s", "tier": "local"}
    elsewhere = Caller("operator/k8s", Role.ORCHESTRATOR, "token:1", None, frozenset(), frozenset({"app"}))
    refused: list[tuple[Caller, Any, str]] = [
        (bound, lambda who: core.set_labels("w5", {"tier": "lead"}, [], who), "label key 'tier' is none of"),
        (bound, lambda who: core.set_labels("w5", {}, ["tier"], who), "label key 'tier' is none of"),
        (bound, lambda who: core.set_labels("w1", {"app": "x"}, [], who), "local declared it"),
        (bound, lambda who: core.apply_workloads([], ["w1"], who), "local declared it"),
        (elsewhere, lambda who: core.set_labels("w5", {"app": "x"}, [], who), "network lab is none of"),
        (elsewhere, lambda who: core.apply_workloads([], ["w5"], who), "network lab is none of"),
    ]
    for who, call, words in refused:
        with pytest.raises(NotPermitted, match=words):
            call(who)
        assert words in core.audit.entries(last=1)[0].refusal
