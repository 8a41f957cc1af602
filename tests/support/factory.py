# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The AI factory of examples/factory, running, for tests: appliance, workloads in namespaces, client."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.cli.run import set_up_logging
from appliance.demo.factory_data import HOSTS, Service
from appliance.demo.factory_lab import Factory, Try
from appliance.demo.stage import drops_of
from appliance.rpc.client import Client
from appliance.run.appliance import Appliance
from appliance.run.config import RunConfig, read_config
from appliance.v1 import (
    containment_service_pb2,
    observer_pb2,
    observer_service_pb2,
    policy_pb2,
    policy_service_pb2,
    stats_service_pb2,
)
from tests.support.fastpath import wait_for
from tests.support.log import log_to_stderr
from tests.support.rig import directory
from tests.support.tree import ROOT

FILES = ROOT / "examples" / "factory"
TIMEOUT = 60.0


@contextmanager
def alone() -> Iterator[None]:
    """One test at a time on this machine: the factory's namespaces have fixed names."""
    with (Path(tempfile.gettempdir()) / "ringfield-demo-test.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Rig:
    """The factory at work."""

    def __init__(self, client: Client, factory: Factory, config: RunConfig) -> None:
        self.client, self.factory, self.config = client, factory, config

    # -- what is tried

    def opens(
        self, source: str, target: str, service: str, version: int = 4, *, expected: bool = True
    ) -> bool:
        """Whether a connection opens; ``expected`` ones get patience on a busy machine."""
        one = Try(source, target, Service.parse(service), version)
        return self.factory.measure([one], [one] if expected else [])[one] == "open"

    def reach(self, source: str, *, expected: set[tuple[str, str]] = frozenset()) -> set[tuple[str, str]]:  # type: ignore[assignment]
        """All (target, service) that a workload can open, both IP versions alike."""
        tries = [
            Try(source, target, service, version)
            for target, host in HOSTS.items()
            if target != source
            for service in host.services
            for version in (4, 6)
        ]
        hoped = [one for one in tries if (one.target, str(one.service)) in expected]
        outcomes = self.factory.measure(tries, hoped)
        found = {(one.target, str(one.service), one.version) for one in tries if outcomes[one] == "open"}
        both = {(target, service) for target, service, _ in found}
        assert len(found) == 2 * len(both), f"IPv4 and IPv6 differ: {sorted(found)}"
        return both

    # -- what is asked

    def publish(self, text: str, reason: str = "test") -> int:
        """Publish a policy; its revision."""
        source = policy_pb2.PolicySource(file="test.yaml", yaml=text)
        request = policy_service_pb2.PublishPolicyRequest(source=source, reason=reason)
        return self.client.policy.PublishPolicy(request, timeout=TIMEOUT).revision.number

    def quarantine(self, *names: str, reason: str = "test") -> containment_service_pb2.QuarantineResponse:
        """Cut workloads off."""
        target = containment_service_pb2.ContainmentTarget(workloads=names)
        request = containment_service_pb2.QuarantineRequest(target=target, reason=reason)
        return self.client.containment.Quarantine(request, timeout=TIMEOUT)

    def restrict(
        self, name: str, *, keep: tuple[str, str], reason: str = "test"
    ) -> containment_service_pb2.RestrictResponse:
        """Leave a workload what it is known to do, and a path (to, service)."""
        target = containment_service_pb2.ContainmentTarget(workloads=[name])
        path = containment_service_pb2.KeptPath(target=keep[0], services=[keep[1]])
        request = containment_service_pb2.RestrictRequest(target=target, keep=[path], reason=reason)
        return self.client.containment.Restrict(request, timeout=TIMEOUT)

    def release(self, *names: str) -> None:
        """End it."""
        target = containment_service_pb2.ContainmentTarget(workloads=names)
        request = containment_service_pb2.ReleaseRequest(target=target, reason="test")
        self.client.containment.Release(request, timeout=TIMEOUT)

    def flows(self, text: str) -> list[observer_pb2.Flow]:
        """Records that a filter takes."""
        request = observer_service_pb2.ListFlowsRequest(filter=text, page_size=10000)
        return list(self.client.observer.ListFlows(request, timeout=TIMEOUT).flows)

    def wait_for_flow(self, text: str) -> observer_pb2.Flow:
        """The newest record that a filter takes, as soon as there is one."""
        wait_for(f"a record of {text}", lambda: bool(self.flows(text)))
        return self.flows(text)[-1]

    def edges(self, text: str) -> set[tuple[str, str, str]]:
        """The map: who, to whom, which service."""
        request = observer_service_pb2.GetFlowStatsRequest(filter=text, group_by="workload", limit=10000)
        found = self.client.observer.GetFlowStats(request, timeout=TIMEOUT).edges
        return {(edge.source, edge.destination, f"{edge.protocol}/{edge.port}") for edge in found}

    def drops(self) -> dict[str, int]:
        """Drops by reason, all ports."""
        request = stats_service_pb2.GetStatsRequest()
        return drops_of(self.client.stats.GetStats(request, timeout=TIMEOUT).stats)

    def reset(self) -> None:
        """Nobody is contained, the shipped policy is in force."""
        listed = self.client.containment.ListContainment(
            containment_service_pb2.ListContainmentRequest(), timeout=TIMEOUT
        )
        if names := [one.workload for one in listed.contained]:
            self.release(*names)
        shipped = (FILES / "policy.yaml").read_text()
        running = self.client.policy.GetPolicy(policy_service_pb2.GetPolicyRequest(), timeout=TIMEOUT)
        if running.source.yaml != shipped:
            self.publish(shipped)


@contextmanager
def quiet() -> Iterator[None]:
    """The appliance's log does not mix with what commands print."""
    set_up_logging("text", level="error")
    try:
        yield
    finally:
        log_to_stderr()


@contextmanager
def running() -> Iterator[Rig]:
    """The factory with the shipped policy in force."""
    with alone(), directory() as where, quiet():
        config = read_config(FILES / "factory.yaml", runtime_dir=where)
        with Appliance(config), Factory() as factory, Client(f"unix:{config.grpc.unix}") as client:
            factory.wait_for_addresses()
            yield Rig(client, factory, config)
