# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield policy ...`"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click
from google.protobuf.timestamp_pb2 import Timestamp
from rich.markup import escape
from rich.table import Table

from appliance.cli.common import Context, err, number, out, pass_context, print_json, table
from appliance.errors import FlowError
from appliance.rpc.client import Client
from appliance.rpc.errors import CallError
from appliance.run.document import Node, parse_document
from appliance.v1 import policy_pb2, policy_service_pb2

WORDS = {
    policy_pb2.POLICY_ACTION_ALLOW: "allow",
    policy_pb2.POLICY_ACTION_ALERT: "alert",
    policy_pb2.POLICY_ACTION_BLOCK: "block",
    policy_pb2.POLICY_ACTION_REJECT: "reject",
}
COLOURS = {"allow": "green", "alert": "yellow", "block": "red", "reject": "red"}
STATES = {
    policy_pb2.REVISION_STATE_PENDING: "[yellow]pending[/]",
    policy_pb2.REVISION_STATE_APPLIED: "[green]applied[/]",
    policy_pb2.REVISION_STATE_REFUSED: "[red]refused[/]",
    policy_pb2.REVISION_STATE_SUPERSEDED: "superseded",
}
PUBLISH_SECONDS = 120.0


def source_of(file: str | None) -> policy_pb2.PolicySource | None:
    """The policy in a file (``-``: standard input); None for the draft."""
    if file is None:
        return None
    if file == "-":
        return policy_pb2.PolicySource(file="stdin", yaml=sys.stdin.read())
    try:
        return policy_pb2.PolicySource(file=file, yaml=Path(file).read_text())
    except OSError as error:
        raise click.ClickException(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise click.ClickException(f"{file} is not UTF-8 text") from None


@contextmanager
def refusals() -> Iterator[None]:
    """A refusal of a policy ends the command with a line per problem."""
    try:
        yield
    except CallError as error:
        if error.refusal is None:
            raise
        for problem in error.refusal.problems:
            what = ": ".join(part for part in (problem.place, problem.item, problem.field) if part)
            err.print(f"[red]{escape(what)}[/]: {escape(problem.reason)}", soft_wrap=True)
        count = len(error.refusal.problems)
        raise click.ClickException(f"refused, {count} problem{'s' if count != 1 else ''}") from None


@contextmanager
def client_of(context: Context) -> Iterator[Client]:
    """A client whose refusals are told problem by problem."""
    with refusals(), context.client() as client:
        yield client


def when(stamp: Timestamp) -> str:
    """A time for people."""
    return datetime.fromtimestamp(stamp.seconds).strftime("%Y-%m-%d %H:%M:%S")


def verdict_text(verdict: policy_pb2.PolicyVerdict) -> str:
    """``allow (allow: web-to-db)``."""
    word = WORDS.get(verdict.action, "?")
    text = f"[{COLOURS.get(word, 'white')}]{word}[/] {escape(verdict.rule)}"
    if verdict.audit_rule:
        text += f" [dim](audit: {WORDS.get(verdict.audit_action, '?')} {escape(verdict.audit_rule)})[/]"
    return text


def revision_line(revision: policy_pb2.PolicyRevision) -> str:
    """What became of a revision."""
    parts = []
    for one in revision.appliances:
        took = f" in {one.seconds * 1000:.0f} ms" if one.seconds else ""
        parts.append(
            f"{one.appliance} {STATES.get(one.state, '?')}{took}{f': {one.reason}' if one.reason else ''}"
        )
    text = f"revision {revision.number}: " + ", ".join(parts)
    if revision.confirm_seconds:
        left = f"[yellow]goes back in {revision.confirm_seconds:.0f} s[/]"
        text += f"\n{left} unless: ringfield policy confirm {revision.number}"
    return text


def sizes_table(sizes: policy_pb2.PolicySizes, capacity: dict[str, int]) -> Table:
    """How large a policy is, against the room there is."""
    made = table("table", "rows", "room", right=["rows", "room"])
    for name, rows in sorted(sizes.rows.items()):
        if rows:
            made.add_row(name, number(rows), number(capacity.get(name, 0)))
    return made


@click.group()
def policy() -> None:
    """Policy: check, compare, publish, go back."""


FILE = click.argument("file", required=False)


@policy.command("validate")
@FILE
@pass_context
def validate(context: Context, file: str | None) -> None:
    """Check FILE (without: the draft) and say how large it would be. Nothing is changed."""
    request = policy_service_pb2.ValidatePolicyRequest(source=source_of(file))
    with client_of(context) as client:
        response = client.policy.ValidatePolicy(request, timeout=context.timeout)

    def show() -> Table:
        sizes = response.sizes
        out.print(
            f"[green]good[/]: {sizes.rules} rules, {sizes.workloads} workloads, {sizes.identities} identities, "
            f"{number(sizes.pairs)} pairs of classes (from {number(sizes.pairs_before)} of identities), "
            f"compiled in {sizes.compile_seconds * 1000:.0f} ms\n"
            f"{number(response.rows)} rows of {number(response.room)} that there is room for; the running policy has "
            f"{number(response.in_use)}\n"
        )
        return sizes_table(sizes, dict(response.capacity))

    context.show(response, show)


@policy.command("diff")
@FILE
@click.option("--revision", type=int, default=0, help="Compare with this one instead of the running one.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Verdicts shown."
)
@pass_context
def diff(context: Context, file: str | None, revision: int, limit: int) -> None:
    """What FILE (without: the draft) would change: text and verdicts."""
    request = policy_service_pb2.DiffPolicyRequest(source=source_of(file), revision=revision, limit=limit)
    with client_of(context) as client:
        response = client.policy.DiffPolicy(request, timeout=context.timeout)

    def show() -> Table:
        for line in response.text.splitlines():
            colour = "green" if line.startswith("+") else "red" if line.startswith("-") else "dim"
            out.print(f"[{colour}]{escape(line)}[/]", soft_wrap=True)
        changed = response.verdicts_changed
        out.print(f"\n{number(changed)} verdict{'s change' if changed != 1 else ' changes'}", style="bold")
        made = table("from", "to", "service", "now", "then")
        for one in response.verdicts:
            made.add_row(
                escape(one.source),
                escape(one.target),
                one.service,
                verdict_text(one.before),
                verdict_text(one.after),
            )
        return made

    context.show(response, show)


@policy.command("draft")
@FILE
@pass_context
def draft(context: Context, file: str | None) -> None:
    """Keep FILE as the draft; without FILE print the draft."""
    source = source_of(file)
    with client_of(context) as client:
        if source is None:
            response = client.policy.GetDraft(policy_service_pb2.GetDraftRequest(), timeout=context.timeout)
            if context.json:
                context.show(response, str)
                return
            if response.is_running:
                err.print("there is no draft; what is running:", style="dim")
            write_source(response.source)
            return
        kept = client.policy.UpdateDraft(
            policy_service_pb2.UpdateDraftRequest(source=source), timeout=context.timeout
        )
    for problem in kept.problems:
        what = ": ".join(part for part in (problem.place, problem.item, problem.field) if part)
        err.print(f"[yellow]{escape(what)}[/]: {escape(problem.reason)}", soft_wrap=True)
    context.show(
        kept, lambda: "the draft is kept" + (", but could not be published" if kept.problems else "")
    )


@policy.command("publish")
@FILE
@click.option("-m", "--reason", default="", help="Why; for the audit log.")
@click.option("--expected", type=int, help="Refuse unless this revision is running.")
@click.option("--number", "revision", type=int, default=0, help="Number of the new revision.")
@click.option("--confirm", metavar="SECONDS", default="0", help="Go back unless confirmed in time, e.g. 60s.")
@click.option(
    "--canary", metavar="SELECTOR", default="", help="Until it is confirmed only for these workloads."
)
@click.option("--force", is_flag=True, help="Though it would cut DNS, or what the configuration protects.")
@pass_context
def publish(
    context: Context,
    file: str | None,
    reason: str,
    expected: int | None,
    revision: int,
    confirm: str,
    canary: str,
    force: bool,
) -> None:
    """Bring FILE (without: the draft) into force; returns when packets are judged by it."""
    request = policy_service_pb2.PublishPolicyRequest(
        source=source_of(file), reason=reason, expected_revision=expected, number=revision,
        confirm_seconds=seconds(confirm), canary=canary, force=force,
    )  # fmt: skip
    with client_of(context) as client:
        response = client.policy.PublishPolicy(request, timeout=max(context.timeout, PUBLISH_SECONDS))
    context.show(response, lambda: revision_line(response.revision))


def seconds(text: str) -> float:
    """``60``, ``60s``, ``5m``, ``2h``, ``1d`` as seconds."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    plain = text.strip()
    try:
        if plain and plain[-1] in units:
            return float(plain[:-1]) * units[plain[-1]]
        return float(plain)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time: write 60s, 5m, 2h or 1d") from None


@policy.command("confirm")
@click.argument("revision", type=int)
@pass_context
def confirm(context: Context, revision: int) -> None:
    """Keep a revision that was published with --confirm."""
    request = policy_service_pb2.ConfirmPolicyRequest(number=revision)
    with client_of(context) as client:
        response = client.policy.ConfirmPolicy(request, timeout=max(context.timeout, PUBLISH_SECONDS))
    context.show(response, lambda: revision_line(response.revision))


@policy.command("rollback")
@click.argument("revision", type=int, default=0)
@click.option("-m", "--reason", default="", help="Why; for the audit log.")
@click.option("--expected", type=int, help="Refuse unless this revision is running.")
@pass_context
def rollback(context: Context, revision: int, reason: str, expected: int | None) -> None:
    """Bring the content of REVISION (without: the one before the running one) into force under a new number."""
    request = policy_service_pb2.RollbackPolicyRequest(to=revision, reason=reason, expected_revision=expected)
    with client_of(context) as client:
        response = client.policy.RollbackPolicy(request, timeout=max(context.timeout, PUBLISH_SECONDS))
    context.show(response, lambda: revision_line(response.revision))


@policy.command("show")
@click.argument("revision", type=int, default=0)
@click.option("--history", is_flag=True, help="All revisions, one a line.")
@pass_context
def show_policy(context: Context, revision: int, history: bool) -> None:
    """The running policy, or REVISION, as it was written."""
    with client_of(context) as client:
        if history:
            listed = client.policy.ListRevisions(
                policy_service_pb2.ListRevisionsRequest(), timeout=context.timeout
            )
            context.show(listed, lambda: history_table(list(listed.revisions)))
            return
        response = client.policy.GetPolicy(
            policy_service_pb2.GetPolicyRequest(revision=revision), timeout=context.timeout
        )
    if context.json:
        context.show(response, str)
        return
    if response.HasField("revision"):
        head = response.revision
        who = f"by {escape(head.actor)} ({escape(head.credential)}), {signature_text(head)}"
        err.print(f"{revision_line(head)}; {when(head.time)} {who} {escape(head.reason)}")
    else:
        err.print("no policy was published; the default:", style="dim")
    write_source(response.source)


def write_source(source: policy_pb2.PolicySource) -> None:
    """A policy as it was written, however narrow the terminal: it may go to a file."""
    sys.stdout.write(source.yaml.rstrip("\n") + "\n")


def history_table(revisions: list[policy_pb2.PolicyRevision]) -> Table:
    """Revisions, one a line."""
    made = table("revision", "time", "who", "what", "signature", "state", "why", right=["revision"])
    for one in revisions:
        what = one.origin + (f" of {one.of}" if one.of else "")
        states = ", ".join(
            STATES.get(item.state, "?") + (f": {item.reason}" if item.reason else "")
            for item in one.appliances
        )
        signature = "[red]bad[/]" if one.signature_fault else "good"
        made.add_row(
            str(one.number), when(one.time), escape(one.actor), what, signature, states, escape(one.reason)
        )
    return made


def signature_text(revision: policy_pb2.PolicyRevision) -> str:
    """Whether a revision is what was published."""
    fault = revision.signature_fault
    return f"[red]{escape(fault)}[/]" if fault else "signature good"


@policy.command("simulate")
@click.argument("question", nargs=-1)
@click.option("-f", "--file", help="Under this policy; without: the draft, else the running one.")
@click.option("--service", "services", multiple=True, help="Truth table: these services instead of all.")
@click.option(
    "--flows", metavar="TIME", help="What if: flows of the last TIME (1h) whose verdict would change."
)
@pass_context
def simulate(
    context: Context,
    question: tuple[str, ...],
    file: str | None,
    services: tuple[str, ...],
    flows: str | None,
) -> None:
    """Verdicts without packets: FROM TO SERVICE; without a question a truth table of all identities."""
    if question and len(question) != 3:
        raise click.UsageError("a question is FROM TO SERVICE, for example: web db tcp/5432")
    asked = [policy_service_pb2.PolicyQuestion(source=question[0], target=question[1], service=question[2])] if (
        question
    ) else []  # fmt: skip
    request = policy_service_pb2.SimulatePolicyRequest(
        source=source_of(file),
        questions=asked,
        services=services,
        flows_seconds=seconds(flows) if flows else 0.0,
    )
    with client_of(context) as client:
        response = client.policy.SimulatePolicy(request, timeout=max(context.timeout, 60.0))

    def show() -> Table:
        changed = bool(flows)
        made = table(
            *(
                ["from", "to", "service", "now", "then", "flows"]
                if changed
                else ["from", "to", "service", "verdict"]
            )
        )
        for one in response.answers:
            ends = (escape(one.question.source), escape(one.question.target), one.question.service)
            if changed:
                made.add_row(*ends, verdict_text(one.before), verdict_text(one.verdict), number(one.count))
            else:
                made.add_row(*ends, verdict_text(one.verdict))
        return made

    context.show(response, show)


@policy.command("recommend")
@click.option(
    "--flows", metavar="TIME", help="From the flows of the last TIME (1h); without: all that are kept."
)
@click.option("--label", "labels", multiple=True, help="Rules may speak of these labels only.")
@pass_context
def recommend(context: Context, flows: str | None, labels: tuple[str, ...]) -> None:
    """Rules that cover the flows that were seen, as YAML to be read and published."""
    request = policy_service_pb2.RecommendPolicyRequest(
        flows_seconds=seconds(flows) if flows else 0.0, labels=labels
    )
    with client_of(context) as client:
        response = client.policy.RecommendPolicy(request, timeout=max(context.timeout, 60.0))
    if context.json:
        context.show(response, str)
        return
    for rule in response.rules:
        err.print(
            f"{escape(rule.rule.name)}: {number(rule.flows)} flows, {number(rule.pairs_seen)} pairs seen, "
            f"{number(rule.pairs_extra)} more permitted",
            style="dim",
        )
    sys.stdout.write(response.yaml)


@policy.command("analyze")
@FILE
@pass_context
def analyze(context: Context, file: str | None) -> None:
    """Rules of FILE (without: the draft, else the running policy) that are worth a look."""
    request = policy_service_pb2.AnalyzePolicyRequest(source=source_of(file))
    with client_of(context) as client:
        response = client.policy.AnalyzePolicy(request, timeout=max(context.timeout, 60.0))

    def show() -> Table:
        made = table("what", "rule", "other", "")
        for one in response.findings:
            made.add_row(one.kind, escape(one.rule), escape(one.other), escape(one.text))
        return made

    context.show(response, show if response.findings else lambda: "no rule is worth a look")


def _expectation(node: Node) -> tuple[policy_service_pb2.PolicyQuestion, str, str]:
    question = policy_service_pb2.PolicyQuestion(
        source=node.text("from"), target=node.text("to"), service=node.text("service")
    )
    wanted = node.need("verdict").as_choice("allow", "alert", "block", "reject", "pass", "deny")
    node.done()
    return question, wanted, f"{node.file}:{node.line}"


def _expectations(file: str) -> list[tuple[policy_service_pb2.PolicyQuestion, str, str]]:
    """Question, verdict and place of each."""
    source = source_of(file)
    if source is None:
        raise click.UsageError("EXPECTATIONS is required")
    root = parse_document(source.yaml, source.file)
    given = root.get("expectations") if root.is_mapping else None
    wanted = [_expectation(node) for node in (given or root).items()]
    if not wanted:  # no question is a question about everything
        root.fail("there is no expectation")
    return wanted


class _NotTried(click.ClickException):
    """Expectations that cannot be tried are not the same as some that are not met."""

    exit_code = 2


def _with_place(error: CallError, places: Sequence[str]) -> str:
    """What is wrong with a question, by where the file has it."""
    found = re.fullmatch(r"questions\[(\d+)\]", error.detail.field if error.detail else "")
    if found is None or int(found[1]) >= len(places):
        return error.reason
    return f"{places[int(found[1])]}: {error.reason.removeprefix(f'{found[0]}: ')}"


@policy.command("test")
@click.argument("expectations")
@click.option("-f", "--file", help="Under this policy; without: the draft, else the running one.")
@pass_context
def test(context: Context, expectations: str, file: str | None) -> None:
    """Check a policy against EXPECTATIONS: a YAML list of from, to, service, verdict.

    Verdicts: allow, alert, block, reject, or pass and deny for either kind. Exit status: 0 all as expected, 1 some are
    not, 2 they cannot be tried.
    """
    try:
        wanted = _expectations(expectations)
        request = policy_service_pb2.SimulatePolicyRequest(
            source=source_of(file), questions=[question for question, _, _ in wanted]
        )
        with client_of(context) as client:
            answers = client.policy.SimulatePolicy(request, timeout=max(context.timeout, 60.0)).answers
    except CallError as error:
        raise _NotTried(_with_place(error, [place for _, _, place in wanted])) from None
    except FlowError as error:
        raise _NotTried(error.reason) from None
    except click.ClickException as error:
        raise _NotTried(error.message) from None
    found = []
    made = table("from", "to", "service", "expected", "verdict", "")
    for (question, expected, place), answer in zip(wanted, answers, strict=True):
        got = WORDS.get(answer.verdict.action, "?")
        passed = got in {"pass": ("allow", "alert"), "deny": ("block", "reject")}.get(expected, (expected,))
        found.append(
            {
                "from": question.source, "to": question.target, "service": question.service, "expected": expected,
                "verdict": got, "rule": answer.verdict.rule, "passed": passed, "place": place,
            }
        )  # fmt: skip
        made.add_row(
            escape(question.source), escape(question.target), question.service, expected,
            verdict_text(answer.verdict), "" if passed else f"[red]{escape(place)}[/]",
        )  # fmt: skip
    wrong = sum(not one["passed"] for one in found)
    if context.json:
        print_json({"expectations": found, "wrong": wrong})
    else:
        out.print(made)
        out.print(f"{len(wanted) - wrong} of {len(wanted)} as expected")
    if wrong:
        raise SystemExit(1)
