# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The end: what proves it, and where to find it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.cli.common import DEADLINE_SECONDS, table
from appliance.demo.stage import Check
from appliance.v1 import audit_service_pb2

if TYPE_CHECKING:
    from appliance.demo.factory import FactoryDemo


def audit(demo: FactoryDemo) -> None:
    """Who did what is in the audit log, and the log is whole."""
    entries = demo.client.audit.ListAuditEntries(
        audit_service_pb2.ListAuditEntriesRequest(limit=100), timeout=DEADLINE_SECONDS
    ).entries
    for action in ("policy.publish", "containment.quarantine"):
        found = [entry for entry in entries if entry.action == action and not entry.refused]
        demo.checks.append(
            Check(
                f"audit log: {action}",
                "an entry",
                f"entry {found[-1].number} by {found[-1].actor}" if found else "none",
                bool(found),
            )
        )
        if found:
            demo.note(
                f"audit: {action}",
                f"entry {found[-1].number} by {found[-1].actor}: {found[-1].reason}",
                "ringfield audit show",
            )
    checked = demo.client.audit.VerifyAuditLog(
        audit_service_pb2.VerifyAuditLogRequest(), timeout=DEADLINE_SECONDS
    )
    demo.checks.append(
        Check("audit log is whole", "good", "good" if checked.good else checked.text, checked.good)
    )
    demo.note(
        "audit log",
        f"{checked.good_entries} entries good, {checked.signed_entries} signed",
        "ringfield audit verify",
    )


def walk(demo: FactoryDemo, *, everything: bool) -> bool:
    """The table of evidence and the judgement; whether all is as expected."""
    audit(demo)
    stats = demo.check_conservation()
    packets = sum(port.received.packets + port.injected.packets for port in stats.ports)
    demo.note(
        "conservation law",
        f"{packets:,} packets in, every one accounted for"
        if demo.checks[-1].good
        else demo.checks[-1].measured,
        "ringfield stats",
    )
    drops: dict[str, int] = {}
    for port in stats.ports:
        for drop in port.drops:
            drops[drop.reason] = drops.get(drop.reason, 0) + drop.packets
    demo.note(
        "drops by reason",
        ", ".join(f"{reason} {count:,}" for reason, count in sorted(drops.items())),
        "ringfield status",
    )
    demo.section("Evidence")
    made = table("", "", "find it again")
    made.show_header = False
    for what, figure, where in demo.evidence:
        made.add_row(f"[bold]{what}[/]", figure, f"[dim]{where}[/]")
    demo.console.print(made)
    return demo.judge(everything=everything)
