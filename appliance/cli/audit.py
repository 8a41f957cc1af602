# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield audit ...`"""

from __future__ import annotations

from pathlib import Path

import click
from google.protobuf import json_format
from rich.markup import escape
from rich.table import Table

from appliance.cli.common import Context, pass_context, print_json, table
from appliance.cli.policy import when
from appliance.policy import audit as log
from appliance.rpc.convert.audit import finding_to
from appliance.v1 import audit_service_pb2


@click.group()
def audit() -> None:
    """The audit log: who changed what, and whether the log is whole."""


@audit.command("verify")
@click.option(
    "--dir", "directory", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Check the files here (the appliance's state_dir) without asking an appliance.",
)  # fmt: skip
@pass_context
def verify(context: Context, directory: Path | None) -> None:
    """Whether the log is as it was written; names the first bad entry. Status 1: it is not."""
    if directory is not None:
        response = finding_to(log.verify(directory))
    else:
        with context.client() as client:
            response = client.audit.VerifyAuditLog(
                audit_service_pb2.VerifyAuditLogRequest(), timeout=context.timeout
            )
    show_finding(context, response)


@audit.command("show")
@click.option("-n", "--last", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Entries.")
@click.option("--details", is_flag=True, help="What was before and after, as JSON.")
@pass_context
def show(context: Context, last: int, details: bool) -> None:
    """The last entries."""
    with context.client() as client:
        response = client.audit.ListAuditEntries(
            audit_service_pb2.ListAuditEntriesRequest(limit=last), timeout=context.timeout
        )
    if details and not context.json:
        print_json(
            [json_format.MessageToDict(one, preserving_proto_field_name=True) for one in response.entries]
        )
        return
    context.show(response, lambda: entries_table(list(response.entries)))


def show_finding(context: Context, found: audit_service_pb2.VerifyAuditLogResponse) -> None:
    """What a check found; ends the command with status 1 when the log is not whole."""

    def text() -> str:
        if not found.good:
            before = f"({found.good_entries} entries before it are good)"
            return f"[red]{found.fault}[/]: {escape(found.text)} {before}"
        late = found.good_entries - found.signed_entries
        more = f"; the last {late} will be signed within a minute" if late else ""
        return f"[green]good[/]: {found.good_entries} entries{more}"

    context.show(found, text)
    if not found.good:
        raise SystemExit(1)


def entries_table(entries: list[audit_service_pb2.AuditEntry]) -> Table:
    """Entries, one a line."""
    made = table("", "time", "who", "by", "what", "to", "outcome", "revision", right=["", "revision"])
    for one in entries:
        outcome = f"[red]refused[/]: {escape(one.refusal)}" if one.refused else escape(one.reason) or "done"
        made.add_row(
            str(one.number), when(one.time), escape(one.actor), escape(one.credential), one.action,
            escape(one.target), outcome, str(one.revision or "-"),
        )  # fmt: skip
    return made
