# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The factory behind two appliances that a centre steers, for tests: the laboratory of `ringfield demo factory`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from appliance.demo.factory_data import Service, Stream
from appliance.demo.factory_lab import Factory, Try
from appliance.demo.fleet import FleetDemo
from appliance.demo.fleet_data import FIRST, Member
from appliance.demo.fleet_lab import Fleet, only_one, plug_all
from appliance.intelligence.v1 import (
    containment_service_pb2,
    containment_service_pb2_grpc,
    threat_service_pb2,
    threat_service_pb2_grpc,
)
from appliance.v1 import observer_pb2, observer_service_pb2, workload_pb2
from tests.support.factory import FILES, TIMEOUT, alone
from tests.support.fastpath import wait_for

POLICY = (FILES / "policy.yaml").read_text()


class Rig(FleetDemo):
    """The fleet at work, with what tests ask of it."""

    def __init__(self, fleet: Fleet, factory: Factory) -> None:
        super().__init__(Console(quiet=True), fleet, factory)
        self.containment = containment_service_pb2_grpc.ContainmentServiceStub(self.centre.channel)
        self.threats = threat_service_pb2_grpc.ThreatServiceStub(self.centre.channel)

    # -- what is tried

    def opens(
        self, source: str, target: str, service: str, version: int = 4, *, expected: bool = True
    ) -> bool:
        """Whether a connection opens; ``expected`` ones get patience on a busy machine."""
        one = Try(source, target, Service.parse(service), version)
        return self.factory.measure([one], [one] if expected else [])[one] == "open"

    def reached(self, sources: Iterable[str], targets: Iterable[str]) -> tuple[set[Try], set[Try]]:
        """What is open from some to some, over both IP versions, and what is meant to be."""
        tries = [one for one in self.tries() if one.source in sources and one.target in targets]
        wanted = self.wanted(tries)
        outcomes = self.factory.measure(tries, wanted)
        return {one for one in tries if outcomes[one] == "open"}, wanted

    def alive(self, *streams: Stream) -> None:
        """All of these move on."""
        before = {name: report["received"] for name, report in self.factory.report_streams().items()}

        def moved() -> bool:
            now = self.factory.report_streams()
            return all(now[one.name]["received"] > before[one.name] + 2 for one in streams)

        wait_for("the connections to move on", moved)

    # -- what is done

    def contain(self, *names: str, reason: str = "test") -> None:
        """Quarantine in all of the fleet; returns when both appliances have it."""
        request = containment_service_pb2.ContainRequest(
            workloads=names, state=workload_pb2.WORKLOAD_STATE_QUARANTINED, reason=reason
        )
        self._contained(self.containment.Contain(request, timeout=TIMEOUT).number)

    def release(self, *names: str) -> None:
        """And let in again."""
        request = containment_service_pb2.ReleaseRequest(workloads=names, reason="test")
        self._contained(self.containment.Release(request, timeout=TIMEOUT).number)

    def _contained(self, number: int) -> None:
        wait_for(
            "containment",
            lambda: all(one.containment_number >= number for one in self.centre.appliances().values()),
        )

    def reset(self) -> None:
        """Nobody is contained, the shipped policy is in force, no connection is open."""
        self.factory.close_streams()
        listed = self.containment.ListContainment(
            containment_service_pb2.ListContainmentRequest(), timeout=TIMEOUT
        )
        if names := [one.workload for one in listed.contained]:
            self.release(*names)
        self.centre.publish(POLICY, "test")
        self.centre.current()

    def report(self, workload: str, category: str) -> None:
        """As a sensor does."""
        threat = threat_service_pb2.Threat(
            key=f"{workload}/{category}/{time.monotonic_ns()}", observed=time.time(), workload=workload,
            category=category, severity=threat_service_pb2.THREAT_SEVERITY_HIGH,
        )  # fmt: skip
        self.threats.ReportThreat(threat_service_pb2.ReportThreatRequest(threat=threat), timeout=TIMEOUT)

    # -- what is told

    def reported(self, category: str) -> set[str]:
        """Workloads that sensors have told of."""
        found = self.threats.ListThreats(threat_service_pb2.ListThreatsRequest(), timeout=TIMEOUT)
        return {one.threat.workload for one in found.reports if one.threat.category == category}

    def dropped(self, appliance: str, reason: str) -> int:
        """Packets that an appliance dropped for one reason."""
        return self.drops()[appliance].get(reason, 0)

    def flows(self, appliance: str, text: str) -> list[observer_pb2.Flow]:
        """Records of an appliance that a filter takes."""
        request = observer_service_pb2.ListFlowsRequest(filter=text, page_size=10000)
        client = self.fleet.sides[appliance].client
        return list(client.observer.ListFlows(request, timeout=TIMEOUT).flows)

    def wait_for_flow(self, appliance: str, text: str) -> observer_pb2.Flow:
        """The newest record of an appliance that a filter takes, as soon as there is one."""
        wait_for(f"a record of {text} at {appliance}", lambda: bool(self.flows(appliance, text)))
        return self.flows(appliance, text)[-1]


def judged(reports: dict[str, dict[str, Any]], *streams: Stream, moved: bool = False) -> None:
    """At their end: nothing lost, nothing out of order but where a datagram's way became shorter."""
    for stream in streams:
        report = reports[stream.name]
        assert report["received"] == report["sent"] > 0, (stream.name, report)
        assert moved or not report["disordered"], (stream.name, report)
        assert not report["error"], (stream.name, report)


@contextmanager
def running(members: dict[str, Member] = FIRST) -> Iterator[Rig]:
    """Both appliances enrolled and current, the shipped policy in force, these workloads there."""
    with alone(), only_one() as (directory, _), Fleet(directory) as fleet:
        plug_all(members)
        with Factory(members) as factory:
            rig = Rig(fleet, factory)
            rig.there = dict(members)
            for side in rig.sides:
                rig.centre.admit(side.name, side.directory / "central")
            rig.centre.network()
            rig.centre.declare(members.values())
            rig.centre.publish(POLICY, "test")
            rig.centre.current()
            yield rig
