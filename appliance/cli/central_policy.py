# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield central policy ...`: policy sets of the fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from appliance.cli.central_common import stub, when
from appliance.cli.common import Context, out, pass_context, table


@click.group()
def policy() -> None:
    """Policy sets of the fleet."""


FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
SET = click.option("--set", "name", default="base", show_default=True, help="The policy set.")


@policy.command("list")
@pass_context
def policy_list(context: Context) -> None:
    """The sets: what each speaks of, and whether it has a draft."""
    from appliance.intelligence.v1 import policy_service_pb2 as pb

    with stub("PolicyService") as service:
        found = service.ListPolicySets(pb.ListPolicySetsRequest(), timeout=context.timeout)

    def show() -> Any:
        rows = table("set", "scope", "published", "draft by", title=f"revision {found.revision}")
        for one in found.sets:
            rows.add_row(one.name, escape(one.scope), "yes" if one.source else "no", escape(one.draft_actor))
        return rows

    context.show(found, show)


@policy.command("draft")
@FILE
@SET
@click.option("--scope", help="Selector that one side of each rule must satisfy.")
@pass_context
def policy_draft(context: Context, file: Path, name: str, scope: str | None) -> None:
    """Keep FILE as the draft of a set, and say what a publish would refuse."""
    from appliance.intelligence.v1 import policy_service_pb2 as pb

    request = pb.UpdateDraftRequest(name=name, source=file.read_text(), scope=scope)
    with stub("PolicyService") as service:
        made = service.UpdateDraft(request, timeout=context.timeout)
    context.show(made, lambda: "\n".join(made.problems) or "good")


@policy.command("diff")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@SET
@pass_context
def policy_diff(context: Context, file: Path | None, name: str) -> None:
    """What publishing the draft (or FILE) would change."""
    from appliance.intelligence.v1 import policy_service_pb2 as pb

    request = pb.DiffPolicySetRequest(name=name, source=file.read_text() if file is not None else "")
    with stub("PolicyService") as service:
        made = service.DiffPolicySet(request, timeout=120.0)

    def show() -> Any:
        out.print(escape(made.text))
        rows = table(
            "from", "to", "service", "before", "after", title=f"{made.verdicts_changed} verdicts change"
        )
        for one in made.verdicts:
            rows.add_row(escape(one.source), escape(one.target), one.service, one.before, one.after)
        return rows

    context.show(made, show)


@policy.command("simulate")
@click.argument("source")
@click.argument("target")
@click.argument("service")
@SET
@click.option(
    "--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Instead of the draft."
)
@pass_context
def policy_simulate(
    context: Context, source: str, target: str, service: str, name: str, file: Path | None
) -> None:
    """The verdict on SOURCE to TARGET under the draft."""
    from appliance.intelligence.v1 import policy_service_pb2 as pb

    request = pb.SimulatePolicySetRequest(
        name=name, source=file.read_text() if file is not None else "", to=target, service=service
    )
    setattr(request, "from", source)
    with stub("PolicyService") as made_stub:
        made = made_stub.SimulatePolicySet(request, timeout=120.0)
    context.show(made, lambda: f"{made.action} ({made.band}: {made.rule})")


@policy.command("publish")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@SET
@click.option("--reason", default="")
@click.option("--expected", type=int, help="The revision that you believe to be the newest.")
@pass_context
def policy_publish(context: Context, file: Path | None, name: str, reason: str, expected: int | None) -> None:
    """Publish the draft of a set (or FILE) to the fleet."""
    from appliance.intelligence.v1 import policy_service_pb2 as pb

    request = pb.PublishPolicySetRequest(
        name=name,
        source=file.read_text() if file is not None else "",
        reason=reason,
        expected_revision=expected,
    )
    with stub("PolicyService") as service:
        made = service.PublishPolicySet(request, timeout=120.0)
    context.show(made, lambda: f"revision {made.revision}")


@policy.command("rollback")
@click.argument("revision", type=int, default=0)
@click.option("--reason", required=True)
@pass_context
def policy_rollback(context: Context, revision: int, reason: str) -> None:
    """Publish what an older REVISION said, under a new number."""
    from appliance.intelligence.v1 import policy_service_pb2 as pb

    with stub("PolicyService") as service:
        made = service.RollbackRevision(
            pb.RollbackRevisionRequest(revision=revision, reason=reason), timeout=120.0
        )
    context.show(made, lambda: f"revision {made.revision}")


@policy.command("history")
@pass_context
def policy_history(context: Context) -> None:
    """Revisions, and what became of the newest."""
    from appliance.intelligence.v1 import policy_service_pb2 as pb

    with stub("PolicyService") as service:
        made = service.ListRevisions(pb.ListRevisionsRequest(), timeout=context.timeout)

    def show() -> Any:
        rows = table("revision", "time", "by", "set", "origin", "why", "applied", "pending", "refused")
        for one in made.revisions:
            rows.add_row(
                str(one.number), when(one.time), one.actor, one.set, one.origin, escape(one.reason), str(one.applied),
                str(one.pending), escape("\n".join(one.refused)),
            )  # fmt: skip
        return rows

    context.show(made, show)
