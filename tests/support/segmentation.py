# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A real appliance that enforces a policy between three workloads, for tests. No root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.rpc.client import Client, calls
from appliance.rpc.errors import CallError
from appliance.run import frames
from appliance.run.appliance import Appliance
from appliance.run.frames import Host
from appliance.v1 import (
    audit_service_pb2,
    containment_service_pb2,
    policy_pb2,
    policy_service_pb2,
    trace_pb2,
    trace_service_pb2,
    workload_pb2,
)
from tests.support.rig import TIMEOUT, Running, config, directory

CONFIG = """\
fastpath: {hugepages: 'no'}
ports:
  p0: {backend: net_ring}
  p1: {backend: net_ring}
  p2: {backend: net_ring}
  p3: {backend: net_ring}
segmentation:
  networks: {lab: {prefixes: [10.0.0.0/24], gateways: [10.0.0.254]}}
  policy: policy.yaml
  workloads:
    web: {port: p1, mac: "02:00:00:00:00:01", addresses: 10.0.0.1, labels: {app: web}}
    db: {port: p2, mac: "02:00:00:00:00:02", addresses: 10.0.0.2, labels: {app: db}, kind: dataset}
    ops: {port: p3, mac: "02:00:00:00:00:03", addresses: 10.0.0.3, labels: {app: ops}}
"""
POLICY = """\
rules:
  - {name: web-to-db, band: allow, from: app=web, to: app=db, services: [tcp/5432]}
  - {name: ops-to-all, band: allow, from: app=ops, to: any, services: [tcp/22]}
"""
WEB = Host("02:00:00:00:00:01", "10.0.0.1")
DB = Host("02:00:00:00:00:02", "10.0.0.2")
OPS = Host("02:00:00:00:00:03", "10.0.0.3")
PORT_OF = {WEB: "p1", DB: "p2", OPS: "p3"}


@contextmanager
def running(policy: str = POLICY, at: Path | None = None, *, settings: str = CONFIG) -> Iterator[Running]:
    """An appliance with three workloads and a policy."""
    with directory() as made:
        where = at or made
        (where / "policy.yaml").write_text(policy)
        with (
            Appliance(config(settings, where)) as appliance,
            Client(f"unix:{appliance.config.grpc.unix}") as client,
        ):
            yield Running(appliance, client)


def passes(rig: Running, source: Host, target: Host, port: int) -> bool:
    """Whether a first packet gets through now."""
    frame = frames.tcp(source, target, 40000, port, frames.SYN)
    request = trace_service_pb2.TracePacketRequest(port=PORT_OF[source], frame=frame)
    outcome = rig.client.trace.TracePacket(request, timeout=TIMEOUT).trace.outcomes[0]
    return outcome.verdict == trace_pb2.VERDICT_PORT and outcome.port == PORT_OF[target]


def publish(rig: Running, policy: str, **more: object) -> policy_pb2.PolicyRevision:
    request = policy_service_pb2.PublishPolicyRequest(
        source=policy_pb2.PolicySource(file="new.yaml", yaml=policy),
        **more,  # type: ignore[arg-type]
    )
    return rig.client.policy.PublishPolicy(request, timeout=TIMEOUT).revision


def refused(call: object, *words: str) -> CallError:
    """What a call is refused with."""
    with pytest.raises(CallError) as caught, calls():
        call()  # type: ignore[operator]
    for word in words:
        assert word in caught.value.reason
    return caught.value


def entries(rig: Running) -> list[audit_service_pb2.AuditEntry]:
    request = audit_service_pb2.ListAuditEntriesRequest(limit=1000)
    return list(rig.client.audit.ListAuditEntries(request, timeout=TIMEOUT).entries)


def interface(port: str, mac: str, address: str) -> workload_pb2.WorkloadInterface:
    return workload_pb2.WorkloadInterface(network="lab", port=port, mac=mac, addresses=[address])


def quarantine(rig: Running, *names: str, **more: object) -> containment_service_pb2.QuarantineResponse:
    target = containment_service_pb2.ContainmentTarget(workloads=names)
    request = containment_service_pb2.QuarantineRequest(target=target, reason="a test", **more)  # type: ignore[arg-type]
    return rig.client.containment.Quarantine(request, timeout=TIMEOUT)


def release(rig: Running, *names: str, selector: str = "") -> list[str]:
    target = containment_service_pb2.ContainmentTarget(workloads=names, selector=selector)
    request = containment_service_pb2.ReleaseRequest(target=target, reason="the test is over")
    return list(rig.client.containment.Release(request, timeout=TIMEOUT).released)
