# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield can` and `ringfield why`: one sentence with rule and labels, and the smallest rule that would change it.

That rule is not guessed: it is added to the running policy and the same question asked again, before it is named.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NoReturn

import click
from rich.text import Text

from appliance.cli.common import Context, as_dict, out, pass_context, print_json
from appliance.policy.service import Protocol, Span, resolve
from appliance.rpc.client import Client
from appliance.rpc.convert.observer import flow_from
from appliance.rpc.errors import CallError
from appliance.telemetry.text import clock
from appliance.v1 import containment_service_pb2, observer_service_pb2, policy_pb2, policy_service_pb2

PASSES: Final = (policy_pb2.POLICY_ACTION_ALLOW, policy_pb2.POLICY_ACTION_ALERT)
NO: Final = 1
FAILED: Final = 2
"""Exit statuses of `can`: 0 is yes."""
LOOKED_AT: Final = 200
"""Records among which `why` looks for the connection that began last."""
PolicyQuestion = policy_service_pb2.PolicyQuestion
CONTAINED: Final = {"quarantine": "quarantined", "restrict": "restricted"}
"""Rules that containment makes, and the state they stand for."""


class Unanswerable(click.ClickException):
    """A question that cannot be answered: neither yes nor no."""

    exit_code = FAILED


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would turn a verdict round: a rule, or in words what else."""

    rule: policy_pb2.PolicyRule | None
    words: str
    proven: bool = False
    """The question was asked again with it, and the answer is the other one."""


def band_word(band: policy_pb2.PolicyBand) -> str:
    """``override-block``."""
    return policy_pb2.PolicyBand.Name(band).removeprefix("POLICY_BAND_").lower().replace("_", "-")


def selector_of(name: str) -> str:
    """The narrowest selector of one end of a question: a workload's name, else its address."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return f"name={name}"
    return f"cidr={address}/{address.max_prefixlen}"


def end(name: str, labels: str) -> str:
    """``agent (kind=agent, env=prod)``."""
    return f"{name} ({labels})" if labels and labels != f"name={name}" else name


def because(verdict: policy_pb2.PolicyVerdict, revision: int, contained: Sequence[str] = ()) -> str:
    """Which rule, in words. ``contained``: which of the two ends are."""
    of = f"revision {revision}" if revision else "no published policy"
    passes = verdict.action in PASSES
    if verdict.band == policy_pb2.POLICY_BAND_DEFAULT or not verdict.rule:
        verb = "lets it pass" if passes else "blocks it"
        return f"no rule matches, and the default of {of} {verb}"
    if verdict.band == policy_pb2.POLICY_BAND_SYSTEM and verdict.rule in CONTAINED:
        state = (
            "quarantined" if verdict.rule == "quarantine" else "restricted, and this is not in its baseline"
        )
        return f"one of them is {state}"
    verbs = {
        policy_pb2.POLICY_ACTION_ALLOW: "allows it",
        policy_pb2.POLICY_ACTION_ALERT: "allows it and raises an event",
        policy_pb2.POLICY_ACTION_BLOCK: "drops it",
        policy_pb2.POLICY_ACTION_REJECT: "rejects it",
    }
    return (
        f"rule {verdict.rule} ({band_word(verdict.band)}) of {of} {verbs.get(verdict.action, 'decides it')}"
    )


def sentence(
    question: PolicyQuestion, verdict: policy_pb2.PolicyVerdict, revision: int, contained: Sequence[str] = ()
) -> str:
    """The answer."""
    yes = verdict.action in PASSES
    opener, target = end(question.source, verdict.source), end(question.target, verdict.target)
    told = (
        f"{'Yes' if yes else 'No'}: {opener} {'may' if yes else 'may not'} open {question.service} to {target}:"
        f" {because(verdict, revision, contained)}."
    )
    if verdict.peer_rule:
        told += f" The other side's rule is {verdict.peer_rule}."
    if verdict.audit_rule:
        would = "pass" if verdict.audit_action in PASSES else "be blocked"
        told += f" With the audit rule {verdict.audit_rule} enforced it would {would}."
    return told


def remedy_for(question: PolicyQuestion, verdict: policy_pb2.PolicyVerdict) -> Remedy:
    """The smallest rule: exactly these two ends and this service, in the lowest band that wins."""
    passes = verdict.action in PASSES
    band = verdict.band
    if band == policy_pb2.POLICY_BAND_SYSTEM and verdict.rule in CONTAINED:
        return Remedy(
            None,
            "release it (ringfield release NAME --reason ...), or keep a path for this",
        )
    if band == policy_pb2.POLICY_BAND_SYSTEM:
        return Remedy(None, f"no rule goes before the system band: take {verdict.rule} out of keep")
    if passes and band in (policy_pb2.POLICY_BAND_OVERRIDE_ALLOW, policy_pb2.POLICY_BAND_OVERRIDE_ALERT):
        if band == policy_pb2.POLICY_BAND_OVERRIDE_ALLOW:
            return Remedy(
                None, f"no band goes before override-allow: narrow rule {verdict.rule}, or disable it"
            )
        return Remedy(
            None, f"no blocking band goes before override-alert: narrow rule {verdict.rule}, or disable it"
        )
    if passes:
        low = band == policy_pb2.POLICY_BAND_DEFAULT
        wanted = policy_pb2.POLICY_BAND_BLOCK if low else policy_pb2.POLICY_BAND_OVERRIDE_BLOCK
    else:
        high = band == policy_pb2.POLICY_BAND_OVERRIDE_BLOCK
        wanted = policy_pb2.POLICY_BAND_OVERRIDE_ALLOW if high else policy_pb2.POLICY_BAND_ALLOW
    word = "block" if passes else "allow"
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{word}-{question.source}-{question.target}-{question.service}")
    rule = policy_pb2.PolicyRule(
        name=name.strip("-"),
        band=wanted,
        source=selector_of(question.source),
        target=selector_of(question.target),
        services=[question.service],
    )
    return Remedy(rule, "")


def rule_text(rule: policy_pb2.PolicyRule) -> str:
    """A rule as it stands in a policy file."""
    services = ", ".join(rule.services)
    return (
        f"{{name: {rule.name}, band: {band_word(rule.band)}, from: {rule.source!r}, to: {rule.target!r},"
        f" services: [{services}]}}"
    ).replace("'", '"')


class Explainer:
    """Asks the running appliance."""

    def __init__(self, client: Client, timeout: float) -> None:
        self.client, self.timeout = client, timeout
        running = client.policy.GetPolicy(policy_service_pb2.GetPolicyRequest(), timeout=timeout)
        self.revision: int = running.revision.number
        listed = client.containment.ListContainment(
            containment_service_pb2.ListContainmentRequest(), timeout=timeout
        )
        self._contained = {one.workload for one in listed.contained}

    def contained(self, question: PolicyQuestion) -> list[str]:
        """Which of its ends are contained."""
        return [name for name in (question.source, question.target) if name in self._contained]

    def sentence(self, question: PolicyQuestion, verdict: policy_pb2.PolicyVerdict) -> str:
        """The answer in words."""
        return sentence(question, verdict, self.revision, self.contained(question))

    def ask(
        self, question: PolicyQuestion, more: policy_pb2.PolicyRule | None = None
    ) -> policy_pb2.PolicyVerdict:
        """The verdict under what is in force, or with one more rule."""
        request = policy_service_pb2.SimulatePolicyRequest(
            in_force=True, more_rules=[more] if more is not None else [], questions=[question]
        )
        answer = self.client.policy.SimulatePolicy(request, timeout=self.timeout)
        found: policy_pb2.PolicyVerdict = answer.answers[0].verdict
        return found

    def remedy(self, question: PolicyQuestion, verdict: policy_pb2.PolicyVerdict) -> Remedy:
        """What would change it, tried."""
        made = remedy_for(question, verdict)
        if made.rule is None:
            names = " ".join(self.contained(question)) or "NAME"
            return Remedy(None, made.words.replace("NAME", names))
        for rule in _stronger(made.rule):
            try:
                after = self.ask(question, rule)
            except CallError:  # there is no room for it
                return made
            if (after.action in PASSES) != (verdict.action in PASSES):
                return Remedy(rule, "", True)
        return Remedy(None, f"one rule is not enough: see what {verdict.rule} says")


def _stronger(rule: policy_pb2.PolicyRule) -> Iterator[policy_pb2.PolicyRule]:
    """The rule, and then itself in the overriding band: network policies go before the plain ones."""
    yield rule
    over = {
        policy_pb2.POLICY_BAND_ALLOW: policy_pb2.POLICY_BAND_OVERRIDE_ALLOW,
        policy_pb2.POLICY_BAND_BLOCK: policy_pb2.POLICY_BAND_OVERRIDE_BLOCK,
    }
    if rule.band in over:
        higher = policy_pb2.PolicyRule()
        higher.CopyFrom(rule)
        higher.band = over[rule.band]
        yield higher


def show(question: PolicyQuestion, told: str, verdict: policy_pb2.PolicyVerdict, remedy: Remedy) -> None:
    """For people."""
    yes = verdict.action in PASSES
    words = Text(told)
    words.stylize(
        "bold green" if yes else "bold red", 0, told.find(":") if told.startswith(("Yes", "No")) else 0
    )
    out.print(words, soft_wrap=True)
    to = "stop" if yes else "allow"
    if remedy.rule is None:
        out.print(Text(f"To {to} it: {remedy.words}.", style="dim"), soft_wrap=True)
        return
    tried = ", tried" if remedy.proven else ""
    out.print(Text(f"The smallest rule that would {to} it{tried}:", style="dim"), soft_wrap=True)
    out.print(Text(f"  - {rule_text(remedy.rule)}"), soft_wrap=True)


def result(
    question: PolicyQuestion, told: str, verdict: policy_pb2.PolicyVerdict, remedy: Remedy
) -> dict[str, Any]:
    """For programs."""
    return {
        "allowed": verdict.action in PASSES,
        "sentence": told,
        "verdict": as_dict(verdict),
        "question": as_dict(question),
        "change": {
            "rule": rule_text(remedy.rule) if remedy.rule is not None else None,
            "words": remedy.words,
            "tried": remedy.proven,
        },
    }


def refuse(error: CallError) -> NoReturn:
    """Neither yes nor no."""
    raise Unanswerable(error.reason.removeprefix("questions[0]: ")) from None


@click.command()
@click.argument("source")
@click.argument("target")
@click.argument("service")
@pass_context
def can(context: Context, source: str, target: str, service: str) -> None:
    """Whether SOURCE may open SERVICE (tcp/443) to TARGET now, and which rule says so.

    Ends are workloads' names or addresses. Exit status: 0 yes, 1 no, 2 it cannot be answered.
    """
    question = PolicyQuestion(source=source, target=target, service=service)
    try:
        with context.client() as client:
            explainer = Explainer(client, context.timeout)
            verdict = explainer.ask(question)
            remedy = explainer.remedy(question, verdict)
    except CallError as error:
        refuse(error)
    told = explainer.sentence(question, verdict)
    if context.json:
        print_json(result(question, told, verdict, remedy))
    else:
        show(question, told, verdict, remedy)
    raise SystemExit(0 if verdict.action in PASSES else NO)


# --- why ------------------------------------------------------------------------------------------------------------


def filter_of(words: Sequence[str], named: Mapping[str, tuple[str, ...]] = MappingProxyType({})) -> str:
    """What is asked about: a record's number, ``flow=NUMBER``, or SOURCE TARGET SERVICE, as policy writes it or by
    the protocol's number. ``named``: services of the policy.
    """
    if len(words) == 1 and words[0].isdigit():
        return f"record={words[0]}"
    if len(words) == 1 and re.fullmatch(r"flow=\d+", words[0]):
        return words[0]
    if len(words) == 3:
        ends = f"from.{_side(words[0])} to.{_side(words[1])}"
        if words[2].isdigit():
            return f"{ends} protocol={words[2]}"
        try:
            spans = resolve((words[2],), named)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        return " or ".join(f"{ends} {_span(one)}".rstrip() for one in spans)
    raise click.UsageError(
        "give a record's number, flow=NUMBER, or SOURCE TARGET SERVICE (agent dataset tcp/2049)"
    )


def _span(span: Span) -> str:
    if span.protocol is Protocol.ANY:
        return ""
    told = f"protocol={span.protocol.name.lower().replace('icmp6', 'icmpv6')}"
    whole = (span.low, span.high) == (span.protocol.least, span.protocol.most)
    if whole or span.protocol in (Protocol.ICMP, Protocol.ICMP6):
        return told
    return f"{told} to.port={span.low}" + (f"-{span.high}" if span.high > span.low else "")


def _side(name: str) -> str:
    try:
        return f"ip={ipaddress.ip_address(name)}"
    except ValueError:
        return f"workload={name}"


def question_of(flow: dict[str, Any]) -> PolicyQuestion:
    """The question that a record answers."""
    protocol = flow["protocol"]
    service = f"{protocol}/{flow['dst_port']}" if protocol in ("tcp", "udp", "sctp") else protocol
    if protocol.startswith("icmp"):
        service = f"{protocol}/{flow['icmp_type']}"
    return PolicyQuestion(
        source=flow["src_workload"] or flow["src_ip"],
        target=flow["dst_workload"] or flow["dst_ip"],
        service=service,
    )


def _labels(flow: dict[str, Any], side: str) -> str:
    words = list(flow[f"{side}_labels"])
    if flow[f"{side}_state"] not in ("", "normal"):
        words.append(flow[f"{side}_state"])
    return ", ".join(words)


EVENTS: Final = {
    "open": "opened {service} to {target}: {because}",
    "update": "has {service} to {target} open: {because}",
    "close": "had {service} to {target}, which closed ({close}): {because}",
    "deny": "was refused {service} to {target}: {because}",
    "deny_update": "is still refused {service} to {target}: {because}",
}


def then(flow: dict[str, Any]) -> str:
    """Which rule decided when the record was made."""
    of = f"revision {flow['revision']}"
    verbs = {
        "allow": "allowed it",
        "alert": "allowed it and raised an event",
        "drop": "dropped it",
        "reject": "rejected it",
    }
    verb = verbs.get(flow["verdict"], flow["verdict"])
    if flow["reason"] not in ("", "policy"):
        return f"the drop reason is {flow['reason']}"
    if flow["band"] == "system" and flow["rule"] in CONTAINED:
        state = CONTAINED[flow["rule"]]
        who = [flow[f"{side}_workload"] for side in ("src", "dst") if flow[f"{side}_state"] == state]
        return f"{' and '.join(filter(None, who)) or 'one of them'} was {state}"
    if flow["band"] in ("", "default") or not flow["rule"]:
        return f"no rule matched, and the default of {of} {verb}"
    told = f"rule {flow['rule']} ({flow['band']}) of {of} {verb}"
    if flow["audit_rule"]:
        told += f"; the audit rule {flow['audit_rule']} would have said {flow['audit_verdict']}"
    return told


def record_sentence(flow: dict[str, Any]) -> str:
    """What a record says, in one sentence."""
    question = question_of(flow)
    form = EVENTS.get(flow["event"], "spoke {service} to {target}: {because}")
    what = form.format(
        service=question.service,
        target=end(question.target, _labels(flow, "dst")),
        because=then(flow),
        close=flow["close_reason"],
    )
    opener = end(question.source, _labels(flow, "src"))
    return f"Record {flow['record']}, {clock(flow['time_ns'])}: {opener} {what}."


@click.command()
@click.argument("what", nargs=-1, required=True)
@pass_context
def why(context: Context, what: tuple[str, ...]) -> None:
    """Why a connection passed or not: WHAT is a record's number, flow=NUMBER, or SOURCE TARGET SERVICE.

    Tells what the newest such record says, whether it would be so now, and the smallest rule that would change it.
    """
    with context.client() as client:
        named: dict[str, tuple[str, ...]] = {}
        if len(what) == 3:
            running = client.policy.GetPolicy(policy_service_pb2.GetPolicyRequest(), timeout=context.timeout)
            named = {name: tuple(texts.values) for name, texts in running.policy.services.items()}
        request = observer_service_pb2.ListFlowsRequest(
            filter=filter_of(what, named), newest_first=True, page_size=LOOKED_AT
        )
        flows = client.observer.ListFlows(request, timeout=context.timeout).flows
        if not flows:
            raise click.ClickException(
                f"no record of {' '.join(what)}: nothing was tried, or it is too long ago;"
                " `ringfield can` says what would be"
            )
        # A connection that ended just now may be older than a refusal: the newest is the one that began last.
        flow = flow_from(max(flows, key=lambda one: (one.first_ns, one.record)))
        question = question_of(flow)
        told = record_sentence(flow)
        try:
            explainer = Explainer(client, context.timeout)
            verdict = explainer.ask(question)
            remedy = explainer.remedy(question, verdict)
        except CallError as error:
            # The workload may be gone: the record still says what was.
            if context.json:
                print_json({"sentence": told, "record": flow, "now": None, "reason": error.reason})
            else:
                out.print(told, soft_wrap=True, markup=False)
                out.print(
                    Text(f"Today it cannot be asked again: {error.reason}", style="dim"), soft_wrap=True
                )
            return
    if context.json:
        now = explainer.sentence(question, verdict)
        print_json({"record": flow, **result(question, told, verdict, remedy), "now": now})
        return
    passed = flow["verdict"] in ("allow", "alert")
    if passed != (verdict.action in PASSES):
        told += f" Now: {because(verdict, explainer.revision, explainer.contained(question))}."
    show(question, told, verdict, remedy)
