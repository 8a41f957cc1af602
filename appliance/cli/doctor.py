# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield doctor`: will it run here, and if not, what to do."""

from __future__ import annotations

import dataclasses
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click
from rich.markup import escape

from appliance.cli.common import Context, out, pass_context, print_json, table
from appliance.cli.doctor_checks import Finding, Mark, all_checks, failure, good, warning
from appliance.cli.support_bundle import runtime_directory
from appliance.rpc.client import Client, calls
from appliance.rpc.errors import CallError
from appliance.v1 import system_service_pb2

MARKS: Final = {Mark.GOOD: "[green]✔[/]", Mark.WARNING: "[yellow]![/]", Mark.FAILURE: "[bold red]✘[/]"}
ASK_SECONDS: Final = 2.0


def answers(context: Context, directory: Path) -> list[Finding]:
    """The appliance that the command would talk to."""
    path = Path(context.target.removeprefix("unix:"))
    if context.target.startswith("unix:") and not path.exists():
        return [good("appliance", f"none at {context.target} (start one: ./ringfield run -c FILE)")]
    try:
        with (
            calls(context.target),
            Client(context.target, tls=context.tls, insecure=context.insecure) as client,
        ):
            served = client.system.GetVersion(
                system_service_pb2.GetVersionRequest(), timeout=ASK_SECONDS
            ).version
            status = client.system.GetStatus(system_service_pb2.GetStatusRequest(), timeout=ASK_SECONDS)
    except CallError as error:
        return [
            failure(
                "appliance",
                error.reason,
                f"is one running there? its log, and {directory}/fastpath.log, say why not",
            )
        ]
    found = []
    if served != version("ringfield"):
        found.append(
            warning(
                "appliance", f"it is {served}, this command {version('ringfield')}", "use the same version"
            )
        )
    if status.state != system_service_pb2.FASTPATH_STATE_SERVING:
        found.append(
            failure(
                "appliance",
                f"its fast path is being brought back: {status.last_error}",
                f"see {status.runtime_dir}/fastpath.log; nothing is forwarded until it is back",
            )
        )
    elif status.restarts:
        found.append(
            warning(
                "appliance",
                f"its fast path was started again {status.restarts} times; last: {status.last_error}",
                f"see {status.runtime_dir}/fastpath.log, and send a support-bundle",
            )
        )
    return found or [good("appliance", f"{context.target} serves")]


@click.command()
@click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help="Check this configuration and its certificates.",
)
@click.option("--runtime-dir", type=click.Path(path_type=Path), help="Where the appliance runs.")
@pass_context
def doctor(context: Context, file: Path | None, runtime_dir: Path | None) -> None:
    """Check this machine, this installation and what runs; say what to do. Exit status 1 when something fails."""
    directory = runtime_dir or runtime_directory(context)
    findings = [*all_checks(directory, file), *answers(context, directory)]
    failures = sum(finding.mark is Mark.FAILURE for finding in findings)
    warnings = sum(finding.mark is Mark.WARNING for finding in findings)
    if context.json:
        rows = [dataclasses.asdict(finding) | {"mark": finding.mark.value} for finding in findings]
        print_json({"good": not failures, "findings": rows})
        raise SystemExit(1 if failures else 0)
    made = table("", "check", "found")
    for finding in findings:
        advice = f"\n[bold]→ {escape(finding.advice)}[/]" if finding.advice else ""
        made.add_row(MARKS[finding.mark], finding.check, f"{escape(finding.found)}{advice}")
    out.print(made)
    out.print()
    if failures:
        out.print(f"[bold red]{failures} failed[/], {warnings} warnings: do what the arrows say.")
    elif warnings:
        out.print(f"[green]It will work[/]; {warnings} warning{'s' if warnings != 1 else ''}.")
    else:
        out.print("[bold green]Everything is well.[/]")
    raise SystemExit(1 if failures else 0)
