# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield enrol`, `ringfield detach`: an appliance begins to obey a centre, or stops."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.common import Context, failures, out, pass_context


@click.command()
@click.argument("token")
@click.option("--centre", required=True, metavar="HOST:PORT", help="The centre's enrolment listener.")
@click.option(
    "-c", "--config", "file", type=click.Path(path_type=Path), help="The appliance's configuration."
)
@click.option("--state-dir", type=click.Path(path_type=Path), help="Instead: where it keeps its membership.")
def enrol(token: str, centre: str, file: Path | None, state_dir: Path | None) -> None:
    """Make this appliance obey a centre. TOKEN is from `ringfield central token NAME`.

    A running appliance takes it up within a second; it goes on with its own policy until the centre has published one.
    """
    from appliance.intelligence.enrol import enrol as do_enrol
    from appliance.run.config import read_config

    with failures():
        if state_dir is None:
            if file is None:
                raise click.UsageError("give the appliance's configuration (-c), or --state-dir")
            config = read_config(file)
            if config.central is None:
                raise click.ClickException(f"{file} has no section 'central:', so nobody would obey")
            state_dir = config.central.state_dir
        made = do_enrol(token, centre, state_dir)
    out.print(f"[bold]{made.name}[/] obeys centre [bold]{made.centre}[/] at {made.address}")


@click.command()
@click.option("--reason", required=True, help="Goes into the audit log, here and at the centre.")
@pass_context
def detach(context: Context, reason: str) -> None:
    """Break the glass: what is in force stays, and is this appliance's own from here on."""
    from appliance.v1 import centre_service_pb2

    with context.client() as client:
        client.centre.Detach(centre_service_pb2.DetachRequest(reason=reason), timeout=context.timeout)
    out.print("detached: local policy and workloads can be changed again")
