# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The centre's ThreatService: what sensors report, and what was reported."""

from __future__ import annotations

import time
from typing import Any, Final

from appliance.errors import FlowError
from appliance.intelligence.context import CALLER
from appliance.intelligence.services import Service
from appliance.intelligence.threats import Report, Severity, Threat, check
from appliance.intelligence.v1 import threat_service_pb2 as threat_pb
from appliance.rpc.convert.base import BadField
from appliance.rpc.convert.workload import STATES

MAX_REPORTS: Final = 10_000
"""In one answer."""


def threat_from(message: threat_pb.Threat) -> Threat:
    """What a sensor says. ``BadField``."""
    if message.severity not in [int(one) for one in Severity]:
        raise BadField("threat.severity", "low, medium, high or critical is required")
    return Threat(
        key=message.key, observed=message.observed, category=message.category,
        severity=Severity(message.severity), workload=message.workload, connection=message.connection_id,
        address=message.address, network=message.network, evidence=message.evidence,
    )  # fmt: skip


def report_to(one: Report, now: float) -> threat_pb.ThreatReport:
    """A report for who asks."""
    said = one.threat
    return threat_pb.ThreatReport(
        threat=threat_pb.Threat(
            key=said.key, observed=said.observed, category=said.category, workload=said.workload,
            connection_id=said.connection, address=said.address, network=said.network, evidence=said.evidence,
            severity=f"THREAT_SEVERITY_{said.severity.name}",
        ),
        sensor=one.sensor, received=one.received, weight=one.weight(now), at_most=STATES[said.at_most],
    )  # fmt: skip


class ThreatService(Service):
    """Threats."""

    async def ReportThreat(  # noqa: N802
        self, request: threat_pb.ReportThreatRequest, context: Any
    ) -> threat_pb.ReportThreatResponse:
        """Check it, keep it, write it down."""
        caller, centre = CALLER.get(), self._centre
        try:
            centre.threats.admit(caller.who)
        except FlowError as error:  # not one line in the audit log for each that is too many
            self._link.book.alarm("flood", caller.who, error.reason)
            raise

        def report() -> bool:
            said = request.threat
            target = said.workload or said.connection_id or said.address
            with centre.audit.refusals(caller.actor, "threat.report", target[:100]):
                threat = threat_from(said)
                check(threat, time.time(), centre.networks, centre.workloads)
                fresh = centre.threats.add(caller.who, threat)
            if fresh:
                centre.note(
                    caller.actor, "threat.report", target,
                    after={"key": threat.key, "category": threat.category, "severity": threat.severity.name.lower()},
                )  # fmt: skip
            return fresh

        return threat_pb.ReportThreatResponse(known=not await self._link.core(report))

    async def ListThreats(  # noqa: N802
        self, request: threat_pb.ListThreatsRequest, context: Any
    ) -> threat_pb.ListThreatsResponse:
        """The newest first."""
        found = self._centre.threats.all(request.workload, min(request.limit or 100, MAX_REPORTS))
        now = time.time()
        return threat_pb.ListThreatsResponse(reports=[report_to(one, now) for one in found])
