# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Requests that say nothing sensible: refused, the field is named, and nothing is another afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from appliance.intelligence.v1 import inventory_service_pb2, policy_service_pb2
from tests.support.central import POLICY, TIMEOUT, WORKLOADS, Centre, centre
from tests.support.rig import directory

NAN: Final = float("nan")
PLACE: Final = {
    "network": "lab", "port": "p1", "mac": "02:00:00:00:00:77", "addresses": ["10.0.0.77"], "appliance": "dpu1",
}  # fmt: skip


def one(**place: Any) -> dict[str, Any]:
    return {"workloads": [{"name": "new", "spec": {"interfaces": [PLACE | place]}}]}


def rule(**more: str) -> str:
    given = {"name": "r", "band": "allow", "from": "app=web", "to": "app=db", "services": "[tcp/1]"} | more
    return "rules: [{" + ", ".join(f"{key}: {value}" for key, value in given.items()) + "}]"


def published(text: str) -> dict[str, Any]:
    return {"name": "base", "source": text, "reason": "a test"}


QUARANTINED: Final = "WORKLOAD_STATE_QUARANTINED"


def contain(**more: Any) -> dict[str, Any]:
    return {"workloads": ["web"], "state": QUARANTINED, "reason": "x"} | more


def new(**spec: Any) -> dict[str, Any]:
    return {"workloads": [{"name": "a", "spec": spec}]}


def network(**more: Any) -> dict[str, Any]:
    return {"networks": [{"name": "n"} | more]}


def criterion(**more: Any) -> dict[str, Any]:
    return {"criteria": [{"name": "c", "labels": {"a": "b"}} | more]}


CASES: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("Fleet/CreateEnrolmentToken", {}, "name: "),
    ("Fleet/CreateEnrolmentToken", {"name": "a b"}, "name: 'a b'"),
    ("Fleet/CreateEnrolmentToken", {"name": "x", "ttl_seconds": -1}, "ttl_seconds: "),
    ("Fleet/CreateEnrolmentToken", {"name": "x", "ttl_seconds": NAN}, "ttl_seconds: "),
    ("Fleet/CreateOperatorToken", {"name": "x", "role": "king"}, "role: 'king'"),
    ("Fleet/CreateOperatorToken", {"name": "x", "role": "viewer", "networks": ["lab"]}, "networks, label_keys: "),
    ("Fleet/Revoke", {"name": "appliance/x"}, "reason: "),
    ("Fleet/Revoke", {"name": "x", "reason": "y"}, "there is no 'x'"),
    ("Fleet/RaiseGeneration", {}, "reason: "),
    ("Fleet/RotateStatementKey", {"reason": " "}, "reason: "),
    ("Inventory/ListWorkloads", {"selector": "app=("}, "selector"),
    ("Inventory/ApplyWorkloads", {"workloads": [{}]}, "workloads[0].name: "),
    ("Inventory/ApplyWorkloads", {"workloads": [{"name": "a b"}]}, "workload.name: 'a b'"),
    ("Inventory/ApplyWorkloads", new(kind="king"), "kind: there is no kind"),
    ("Inventory/ApplyWorkloads", new(risk=101), "risk: 101"),
    ("Inventory/ApplyWorkloads", new(labels={"a": "b c"}), "labels: 'b c'"),
    ("Inventory/ApplyWorkloads", new(labels={"kind": "x"}), "'kind' is reserved"),
    ("Inventory/ApplyWorkloads", new(labels={"state": "x"}), "'state' is reserved"),
    ("Inventory/ApplyWorkloads", {"workloads": [{"name": "a"}, {"name": "a"}]}, "workload a: it comes twice"),
    ("Inventory/ApplyWorkloads", one(network=""), "workloads[0].spec.interfaces[0].network: "),
    ("Inventory/ApplyWorkloads", one(network="nowhere"), "nowhere"),
    ("Inventory/ApplyWorkloads", one(port=""), "workloads[0].spec.interfaces[0].port: "),
    ("Inventory/ApplyWorkloads", one(mac=""), "workloads[0].spec.interfaces[0].mac: "),
    ("Inventory/ApplyWorkloads", one(mac="zz"), "workloads[0].spec.interfaces[0].mac: "),
    ("Inventory/ApplyWorkloads", one(addresses=["10.0.0"]), "workloads[0].spec.interfaces[0].addresses: "),
    ("Inventory/ApplyWorkloads", one(addresses=[]), "workloads[0].spec.interfaces[0].addresses: "),
    ("Inventory/ApplyWorkloads", one(prefixes=["10.0.0.1/24"]), "workloads[0].spec.interfaces[0].prefixes: "),
    ("Inventory/ApplyWorkloads", {"remove": ["ghost"]}, "there is no workload 'ghost'"),
    ("Inventory/SetLabels", {"name": "ghost", "labels": {"a": "b"}}, "there is no workload 'ghost'"),
    ("Inventory/SetLabels", {"name": "web", "labels": {"kind": "b"}}, "'kind' is reserved"),
    ("Inventory/SetLabels", {"name": "web", "remove": ["nothing"]}, "no label 'nothing'"),
    ("Inventory/MoveWorkload", {"name": "web"}, "interfaces: "),
    ("Inventory/MoveWorkload", {"name": "ghost", "interfaces": [PLACE]}, "there is no workload 'ghost'"),
    ("Inventory/MoveWorkload", {"name": "web", "interfaces": [PLACE], "timeout_seconds": NAN}, "timeout_seconds: "),
    ("Inventory/MoveWorkload", {"name": "web", "interfaces": [PLACE], "timeout_seconds": -1}, "timeout_seconds: "),
    ("Inventory/WaitReady", {}, "names: "),
    ("Inventory/ApplyNetworks", {"networks": [{}]}, "networks[0].name: "),
    ("Inventory/ApplyNetworks", network(vlan=5000), "network n: vlan: "),
    ("Inventory/ApplyNetworks", network(vni=1 << 24), "network n: vni: "),
    ("Inventory/ApplyNetworks", network(prefixes=["x"]), "network n: prefixes: "),
    ("Inventory/ApplyNetworks", network(gateways=["x"]), "network n: gateways: "),
    ("Inventory/ApplyNetworks", network(gateway_mac="x"), "network n: gateway_mac"),
    ("Inventory/ReplaceCriteria", criterion(name_pattern="("), "name_pattern: "),
    ("Inventory/ReplaceCriteria", criterion(selector="("), "selector: "),
    ("Inventory/ReplaceCriteria", {"criteria": [{"name": "c"}]}, "labels: "),
    ("Inventory/ReplaceCriteria", {"criteria": [{"labels": {"a": "b"}}]}, "name: "),
    ("Inventory/ReplaceCriteria", {"criteria": [{"name": "c", "labels": {"a": "b c"}}]}, "'b c'"),
    ("Policy/UpdateDraft", {"name": "a b", "source": ""}, "name: 'a b'"),
    ("Policy/UpdateDraft", {"name": "x", "source": rule(), "scope": "app=("}, "scope: "),
    ("Policy/PublishPolicySet", {"name": "x"}, "set x has no draft"),
    ("Policy/PublishPolicySet", {"name": "", "source": rule()}, "name: ''"),
    ("Policy/PublishPolicySet", published("rules: ["), "base:"),
    ("Policy/PublishPolicySet", published("rulez: []"), "rulez: there is no such key"),
    ("Policy/PublishPolicySet", published(rule(band="open")), "rule r: band: "),
    ("Policy/PublishPolicySet", published(rule(services="[tcp/99999]")), "rule r: services"),
    ("Policy/PublishPolicySet", published(rule(to="app=(")), "rule r: to: "),
    ("Policy/PublishPolicySet", published(rule(to="app=ghost")), "rule r: to: no workload has app=ghost"),
    ("Policy/PublishPolicySet", published("[" * 100 + "]" * 100), "nested deeper"),
    ("Policy/DiffPolicySet", {"name": "base", "source": "rules: ["}, "base:"),
    ("Policy/SimulatePolicySet", {"name": "base", "from": "web", "to": "db", "service": "tcp/x"}, "tcp/x"),
    ("Policy/SimulatePolicySet", {"name": "base", "from": "ghost", "to": "db", "service": "tcp/1"}, "ghost"),
    ("Policy/RollbackRevision", {"revision": 99, "reason": "x"}, "there is no revision 99"),
    ("Containment/Contain", {"workloads": ["web"], "reason": "x"}, "state: "),
    ("Containment/Contain", {"workloads": ["web"], "state": QUARANTINED}, "reason: "),
    ("Containment/Contain", {"state": QUARANTINED, "reason": "x"}, "workloads: "),
    ("Containment/Contain", {"workloads": ["ghost"], "state": QUARANTINED, "reason": "x"}, "'ghost'"),
    ("Containment/Contain", {"selector": "app=(", "state": QUARANTINED, "reason": "x"}, "selector"),
    ("Containment/Contain", contain(ttl_seconds=-1), "ttl"),
    ("Containment/Contain", contain(ttl_seconds=NAN), "ttl"),
    ("Containment/Contain", contain(keep=[{"source": "("}]), "keep"),
    ("Containment/Contain", contain(keep=[{"source": "app=db", "services": ["tcp/x"]}]), "keep[0]: services: "),
    ("Containment/Contain", contain(baseline=[{"source": "("}]), "baseline"),
    ("Containment/Contain", contain(baseline=[{"services": ["tcp/x"]}]), "baseline[0]: services: "),
    ("Containment/Release", {"reason": "x"}, "workloads: "),
    ("Containment/Release", {"workloads": ["web"], "reason": "x"}, "'web' is not contained"),
    ("Threat/ReportThreat", {}, "threat.severity: "),
    ("Threat/ReportThreat", {"threat": {"severity": 9}}, "threat.severity: "),
    ("Threat/ReportThreat", {"threat": {"severity": 1}}, "threat.key: "),
    ("Enrolment/Enrol", {}, "token: "),
    ("Enrolment/RenewCertificate", {"signing_request": b"x"}, "certificates"),
]  # fmt: skip


@pytest.fixture(scope="module")
def lab() -> Iterator[Centre]:
    with directory() as where, centre(where / "c") as made:
        made.apply(WORKLOADS)
        made.publish(POLICY)
        yield made


def state(made: Centre) -> tuple[int, int]:
    listed = made.inventory.ListWorkloads(inventory_service_pb2.ListWorkloadsRequest(), timeout=TIMEOUT)
    history = made.policy.ListRevisions(policy_service_pb2.ListRevisionsRequest(), timeout=TIMEOUT)
    return listed.version, history.revisions[0].number


@pytest.mark.parametrize(("call", "given", "words"), CASES)
def test_what_is_wrong_is_named(lab: Centre, call: str, given: dict[str, Any], words: str) -> None:
    service, _, method = call.partition("/")
    base = f"appliance.intelligence.v1.{service.lower()}_service_pb2"
    stub = getattr(import_module(f"{base}_grpc"), f"{service}ServiceStub")(lab.channel)
    request = getattr(import_module(base), f"{method}Request")(**given)
    before = state(lab)
    with pytest.raises(grpc.RpcError) as caught:
        getattr(stub, method)(request, timeout=TIMEOUT)
    assert words in str(caught.value.details())
    assert caught.value.code() not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), (
        caught.value.details()
    )
    assert state(lab) == before


def test_a_broken_draft_is_kept_and_told(lab: Centre, tmp_path: Path) -> None:
    request = policy_service_pb2.UpdateDraftRequest(name="base", source=rule(band="open"))
    answer = lab.policy.UpdateDraft(request, timeout=TIMEOUT)
    assert "rule r: band: " in answer.problems[0]
