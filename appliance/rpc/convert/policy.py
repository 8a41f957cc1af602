# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Policies, verdicts and revisions: messages and values of ``appliance.policy``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from appliance.policy.model import (
    Action,
    Band,
    Default,
    Mode,
    PolicySet,
    Rule,
    Schedule,
    Side,
    SideAllow,
    SidePolicy,
    Window,
)
from appliance.policy.program import Identity, Sizes, Verdict
from appliance.policy.refusal import Problem
from appliance.policy.selector import Selector, parse_selector
from appliance.policy.store import Revision
from appliance.rpc.convert.base import BadField, at, enum_from
from appliance.rpc.convert.workload import timestamp
from appliance.v1 import policy_pb2

BANDS: Final = {
    policy_pb2.POLICY_BAND_SYSTEM: Band.SYSTEM,
    policy_pb2.POLICY_BAND_OVERRIDE_ALLOW: Band.OVERRIDE_ALLOW,
    policy_pb2.POLICY_BAND_OVERRIDE_ALERT: Band.OVERRIDE_ALERT,
    policy_pb2.POLICY_BAND_OVERRIDE_BLOCK: Band.OVERRIDE_BLOCK,
    policy_pb2.POLICY_BAND_ALLOW: Band.ALLOW,
    policy_pb2.POLICY_BAND_ALERT: Band.ALERT,
    policy_pb2.POLICY_BAND_BLOCK: Band.BLOCK,
    policy_pb2.POLICY_BAND_DEFAULT: Band.DEFAULT,
}
ACTIONS: Final = {
    policy_pb2.POLICY_ACTION_ALLOW: Action.ALLOW,
    policy_pb2.POLICY_ACTION_ALERT: Action.ALERT,
    policy_pb2.POLICY_ACTION_BLOCK: Action.BLOCK,
    policy_pb2.POLICY_ACTION_REJECT: Action.REJECT,
}
SIDES: Final = {
    policy_pb2.POLICY_SIDE_INGRESS: Side.INGRESS,
    policy_pb2.POLICY_SIDE_EGRESS: Side.EGRESS,
}
STATES: Final = {
    "pending": policy_pb2.REVISION_STATE_PENDING,
    "applied": policy_pb2.REVISION_STATE_APPLIED,
    "refused": policy_pb2.REVISION_STATE_REFUSED,
    "superseded": policy_pb2.REVISION_STATE_SUPERSEDED,
}
_BAND_TO: Final = {band: number for number, band in BANDS.items()}
_ACTION_TO: Final = {action: number for number, action in ACTIONS.items()}
_SIDE_TO: Final = {side: number for number, side in SIDES.items()}
DAY: Final = 1440


# --- policies ---------------------------------------------------------------------------------------------------------


def _moment(message: Timestamp) -> datetime:
    return message.ToDatetime(UTC)


def _selector(text: str, path: str) -> Selector:
    with at(path):
        return parse_selector(text or "any")


def schedule_from(message: policy_pb2.PolicySchedule, path: str) -> Schedule:
    """A schedule."""
    windows = []
    for index, one in enumerate(message.windows):
        start, end = one.start_minute, one.end_minute or DAY
        if not 0 <= start < end <= DAY:
            raise BadField(f"{path}.windows[{index}]", f"from minute {start} to {end} is no part of a day")
        if any(day > 6 for day in one.days):
            raise BadField(f"{path}.windows[{index}].days", "0 is Monday, 6 is Sunday")
        windows.append(Window(days=tuple(one.days) or tuple(range(7)), start=start, end=end))
    return Schedule(
        windows=tuple(windows),
        begins=_moment(message.begins) if message.HasField("begins") else None,
        expires=_moment(message.expires) if message.HasField("expires") else None,
    )


def rule_from(message: policy_pb2.PolicyRule, path: str, *, keep: bool = False) -> Rule:
    """A rule; ``keep``: of the kept paths, which are of the system band."""
    if not message.name:
        raise BadField(f"{path}.name", "is required")
    band = enum_from(BANDS, message.band, Band.SYSTEM, f"{path}.band")
    if not keep and not message.band:
        raise BadField(f"{path}.band", "is required")
    return Rule(
        name=message.name,
        band=band,
        source=_selector(message.source, f"{path}.source"),
        target=_selector(message.target, f"{path}.target"),
        services=tuple(message.services) or ("any",),
        mode=Mode.AUDIT if message.audit else Mode.ENFORCE,
        enabled=not message.disabled,
        priority=message.priority if message.HasField("priority") else 100,
        reject=message.reject,
        alert=message.alert,
        log=message.log,
        schedule=schedule_from(message.schedule, f"{path}.schedule")
        if message.HasField("schedule")
        else None,
        comment=message.comment,
    )


def side_policy_from(message: policy_pb2.NetworkPolicy, path: str) -> SidePolicy:
    """A two-sided policy."""
    if not message.name:
        raise BadField(f"{path}.name", "is required")
    if not message.subjects:
        raise BadField(f"{path}.subjects", "is required: whom does it isolate?")
    if not message.sides or not all(message.sides):
        raise BadField(f"{path}.sides", "is required: ingress, egress or both")
    sides = [enum_from(SIDES, one, Side.INGRESS, f"{path}.sides[{n}]") for n, one in enumerate(message.sides)]
    allows = []
    for number, one in enumerate(message.allows):
        allows.append(
            SideAllow(
                side=enum_from(SIDES, one.side, sides[0], f"{path}.allows[{number}].side"),
                peers=_selector(one.peers, f"{path}.allows[{number}].peers"),
                services=tuple(one.services) or ("any",),
            )
        )
    return SidePolicy(
        name=message.name,
        subjects=_selector(message.subjects, f"{path}.subjects"),
        sides=tuple(sides),
        allows=tuple(allows),
        comment=message.comment,
    )


def policy_from(message: policy_pb2.PolicySet) -> PolicySet:
    """A policy. What only a compile can tell is not checked."""
    default = enum_from(ACTIONS, message.default_action, Action.BLOCK, "policy.default_action")
    if default is Action.REJECT:
        raise BadField("policy.default_action", "is block, alert or allow")
    groups = {}
    for name, text in message.groups.items():
        groups[name] = _selector(text, f"policy.groups[{name}]")
    return PolicySet(
        name=message.name or "policy",
        default=Default(default.name.lower()),
        rules=tuple(rule_from(one, f"policy.rules[{n}]") for n, one in enumerate(message.rules)),
        keep=tuple(rule_from(one, f"policy.keep[{n}]", keep=True) for n, one in enumerate(message.keep)),
        side_policies=tuple(
            side_policy_from(one, f"policy.network_policies[{n}]")
            for n, one in enumerate(message.network_policies)
        ),
        groups=groups,
        services={name: tuple(texts.values) for name, texts in message.services.items()},
        labels={name: tuple(texts.values) for name, texts in message.labels.items()},
    )


def schedule_to(schedule: Schedule) -> policy_pb2.PolicySchedule:
    """A schedule."""
    made = policy_pb2.PolicySchedule(
        windows=[
            policy_pb2.PolicyWindow(days=one.days, start_minute=one.start, end_minute=one.end)
            for one in schedule.windows
        ]
    )
    if schedule.begins is not None:
        made.begins.FromDatetime(schedule.begins)
    if schedule.expires is not None:
        made.expires.FromDatetime(schedule.expires)
    return made


def rule_to(rule: Rule) -> policy_pb2.PolicyRule:
    """A rule."""
    return policy_pb2.PolicyRule(
        name=rule.name,
        band=_BAND_TO[rule.band],
        source=str(rule.source),
        target=str(rule.target),
        services=rule.services,
        audit=rule.mode is Mode.AUDIT,
        disabled=not rule.enabled,
        priority=rule.priority,
        reject=rule.reject,
        alert=rule.alert,
        log=rule.log,
        schedule=None if rule.schedule is None else schedule_to(rule.schedule),
        comment=rule.comment,
    )


def side_policy_to(policy: SidePolicy) -> policy_pb2.NetworkPolicy:
    """A two-sided policy."""
    return policy_pb2.NetworkPolicy(
        name=policy.name,
        subjects=str(policy.subjects),
        sides=[_SIDE_TO[side] for side in policy.sides],
        allows=[
            policy_pb2.PolicySideAllow(side=_SIDE_TO[one.side], peers=str(one.peers), services=one.services)
            for one in policy.allows
        ],
        comment=policy.comment,
    )


def policy_to(policy: PolicySet) -> policy_pb2.PolicySet:
    """A policy; ``policy_from`` gives the same back."""
    return policy_pb2.PolicySet(
        name=policy.name,
        default_action=_ACTION_TO[policy.default.action],
        rules=[rule_to(rule) for rule in policy.rules],
        keep=[rule_to(rule) for rule in policy.keep],
        network_policies=[side_policy_to(one) for one in policy.side_policies],
        groups={name: str(selector) for name, selector in policy.groups.items()},
        services=_texts(policy.services),
        labels=_texts(policy.labels),
    )


def _texts(given: Mapping[str, tuple[str, ...]]) -> dict[str, policy_pb2.PolicyTexts]:
    return {name: policy_pb2.PolicyTexts(values=values) for name, values in given.items()}


# --- answers ----------------------------------------------------------------------------------------------------------


def problem_to(problem: Problem) -> policy_pb2.PolicyProblem:
    """One reason for a refusal."""
    return policy_pb2.PolicyProblem(
        place=problem.place, item=problem.item, field=problem.field, reason=problem.why
    )


def labels_text(identity: Identity | None) -> str:
    """What an identity stands for, as a selector would say it."""
    if identity is None:
        return ""
    if identity.entity:
        parts = [f"entity={identity.entity}"]
    else:
        parts = [f"kind={identity.kind}"] if identity.kind and identity.kind != "generic" else []
        parts += [f"{key}={value}" for key, value in sorted(identity.labels.items())]
        parts += [f"name={identity.name}"] if identity.name else []
    return ", ".join([*parts, *(f"cidr={one}" for one in identity.cidrs)]) or "no labels"


def verdict_to(
    verdict: Verdict, revision: int = 0, source: Identity | None = None, target: Identity | None = None
) -> policy_pb2.PolicyVerdict:
    """What decides, and why."""
    audit = policy_pb2.POLICY_ACTION_UNSPECIFIED
    return policy_pb2.PolicyVerdict(
        action=_ACTION_TO[verdict.action],
        band=_BAND_TO[verdict.band],
        rule=verdict.rule,
        revision=revision,
        audit_action=audit if verdict.audit_action is None else _ACTION_TO[verdict.audit_action],
        audit_rule=verdict.audit_rule,
        source=labels_text(source),
        target=labels_text(target),
        peer_rule=verdict.peer_rule,
    )


def sizes_to(sizes: Sizes) -> policy_pb2.PolicySizes:
    """How large a program is."""
    return policy_pb2.PolicySizes(
        workloads=sizes.workloads, identities=sizes.bases, rules=sizes.rules, pairs_before=sizes.pairs_before,
        pairs=sizes.pairs, rows=dict(sizes.rows), compile_seconds=sizes.seconds,
    )  # fmt: skip


def revision_to(
    revision: Revision,
    appliances: Iterable[policy_pb2.ApplianceStatus],
    *,
    confirm: float = 0.0,
    canary: str = "",
    distrust: str = "",
) -> policy_pb2.PolicyRevision:
    """A revision and what became of it."""
    return policy_pb2.PolicyRevision(
        number=revision.number, time=timestamp(revision.time), actor=revision.actor,
        credential=revision.credential, reason=revision.reason, digest=revision.digest, origin=revision.origin,
        of=revision.of, appliances=list(appliances), confirm_seconds=confirm, canary=canary,
        signature=revision.signature, signature_fault=distrust,
    )  # fmt: skip
