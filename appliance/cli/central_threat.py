# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield central threat ...`: what sensors report."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import click
from rich.markup import escape

from appliance.cli.central_common import stub, when
from appliance.cli.common import Context, pass_context, table

SEVERITIES = ("low", "medium", "high", "critical")


@click.group()
def threat() -> None:
    """What sensors report: AI firewalls, host sensors."""


@threat.command("report")
@click.option("--workload", default="", help="Whom it is about.")
@click.option("--connection", default="", help="Or a connection's id, as flow records have it.")
@click.option("--address", default="", help="Or an address alone, with --network.")
@click.option("--network", default="")
@click.option("--category", required=True, help="In one word, e.g. prompt-injection.")
@click.option("--severity", type=click.Choice(SEVERITIES), required=True)
@click.option("--evidence", default="", help="What was seen.")
@click.option("--observed", type=float, help="Seconds since the epoch; else now.")
@click.option("--key", help="Unique: a report with the same key counts once.")
@pass_context
def threat_report(
    context: Context,
    workload: str,
    connection: str,
    address: str,
    network: str,
    category: str,
    severity: str,
    evidence: str,
    observed: float | None,
    key: str | None,
) -> None:
    """Report a threat, as a sensor does."""
    from appliance.intelligence.v1 import threat_service_pb2 as pb

    made = pb.Threat(
        key=key or uuid4().hex, observed=time.time() if observed is None else observed, workload=workload,
        connection_id=connection, address=address, network=network, category=category, evidence=evidence,
        severity=f"THREAT_SEVERITY_{severity.upper()}",
    )  # fmt: skip
    with stub("ThreatService") as service:
        answer = service.ReportThreat(pb.ReportThreatRequest(threat=made), timeout=context.timeout)
    context.show(answer, lambda: "known already" if answer.known else "reported")


@threat.command("list")
@click.argument("workload", required=False, default="")
@click.option("--limit", type=int, default=50, show_default=True)
@pass_context
def threat_list(context: Context, workload: str, limit: int) -> None:
    """What was reported, of one WORKLOAD or of all, the newest first."""
    from appliance.intelligence.v1 import threat_service_pb2 as pb
    from appliance.v1 import workload_pb2

    with stub("ThreatService") as service:
        found = service.ListThreats(
            pb.ListThreatsRequest(workload=workload, limit=limit), timeout=context.timeout
        )

    def show() -> Any:
        rows = table(
            "seen",
            "about",
            "category",
            "severity",
            "weight",
            "at most",
            "sensor",
            "evidence",
            right=["weight"],
        )
        for one in found.reports:
            said = one.threat
            severity = pb.ThreatSeverity.Name(said.severity).removeprefix("THREAT_SEVERITY_").lower()
            most = workload_pb2.WorkloadState.Name(one.at_most).removeprefix("WORKLOAD_STATE_").lower()
            rows.add_row(
                when(said.observed), escape(said.workload or said.connection_id or f"{said.network} {said.address}"),
                said.category, severity, f"{one.weight:.2f}", most, one.sensor, escape(said.evidence),
            )  # fmt: skip
        return rows

    context.show(found, show)
