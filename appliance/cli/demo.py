# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield demo`: see it work on this machine, judged by itself."""

from __future__ import annotations

from typing import Any

import click

from appliance.cli.common import err


@click.group(invoke_without_command=True)
@click.option(
    "--rootless",
    "no_root",
    is_flag=True,
    help="Without root: `demo pipeline --rootless`, on rings in memory.",
)
@click.option("--quiet", is_flag=True, help="Only the judgement.")
@click.option("--keep", is_flag=True, help="Leave it running until Ctrl-C, to play with.")
@click.option(
    "--expect",
    multiple=True,
    hidden=True,
    metavar="SOURCE>TARGET=SERVICE",
    help="Expect this to work as well.",
)
@click.pass_context
def demo(context: click.Context, no_root: bool, quiet: bool, keep: bool, expect: tuple[str, ...]) -> None:
    """An AI factory on this machine, real traffic: visibility, policy, enforcement, containment, each measured.

    `demo factory` is the same factory on two appliances that a centre steers; `demo pipeline`, a DOCA Flow pipeline of
    your own.
    """
    if context.invoked_subcommand is not None:
        if no_root:
            raise click.UsageError("--rootless goes behind the name: demo pipeline --rootless")
        return
    as_json = bool(context.obj and context.obj.json)
    if no_root:
        if expect:
            raise click.UsageError("--expect is for the factory, which needs root")
        # The factory lives in namespaces, which need root.
        err.print("This is `demo pipeline --rootless`; the AI factory of `demo` needs root.", style="dim")
        context.invoke(pipeline, no_root=True, quiet=quiet, keep=keep)
    from appliance.demo.factory import run

    good = run(quiet=quiet, keep=keep, as_json=as_json, more=expect)
    raise SystemExit(0 if good else 1)


@demo.command()
@click.option("--quiet", is_flag=True, help="Only the judgement.")
@click.option("--keep", is_flag=True, help="Leave it running until Ctrl-C, to play with.")
@click.pass_obj
def factory(context: Any, quiet: bool, keep: bool) -> None:
    """One centre, two appliances: publish, scale out, move, lose the centre, be attacked; each measured."""
    from appliance.demo.fleet import run

    good = run(quiet=quiet, keep=keep, as_json=bool(context and context.json))
    raise SystemExit(0 if good else 1)


@demo.command()
@click.option(
    "--rootless", "no_root", is_flag=True, help="On ring ports with injected packets: no root, no taps."
)
@click.option("--quiet", is_flag=True, help="Only the judgement.")
@click.option("--keep", is_flag=True, help="Leave it running until Ctrl-C, to play with.")
@click.pass_obj
def pipeline(context: Any, no_root: bool, quiet: bool, keep: bool) -> None:
    """Three workloads, one DPU, one pipeline: what connects, what does not, and why."""
    from appliance.demo.pipeline import run

    good = run(no_root=no_root, quiet=quiet, keep=keep, as_json=bool(context and context.json))
    raise SystemExit(0 if good else 1)
