# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The compiler's inner form: clauses (source identities, target identities, services) -> verdict, whatever the model.

Banded rules, containment and two-sided policies all become clauses; ``verdicts`` decides between those that match.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final

import numpy as np

from appliance.policy.model import (
    Action,
    Band,
    Baseline,
    Containment,
    Mode,
    PolicySet,
    Rule,
    Schedule,
    Side,
    State,
)
from appliance.policy.selector import ANY, named
from appliance.policy.service import EVERYTHING, Span, resolve
from appliance.policy.universe import ALL_STATES, Ids, Universe


class Level(IntEnum):
    """In which order clauses decide; finer than bands."""

    APPLIANCE = 0
    KEEP = 1
    QUARANTINE = 2
    RESTRICT = 3
    OVERRIDE_ALLOW = 4
    OVERRIDE_ALERT = 5
    OVERRIDE_BLOCK = 6
    SIDES = 7
    ALLOW = 8
    ALERT = 9
    BLOCK = 10
    DEFAULT = 11


class Role(IntEnum):
    """What a clause's match means."""

    DECIDE = 0
    RESTRICT_SOURCE = 1
    """The source is restricted: denied unless a BASELINE_SOURCE clause, which is the source's own, matches too."""
    BASELINE_SOURCE = 2
    RESTRICT_TARGET = 3
    """The same of the target."""
    BASELINE_TARGET = 4
    EGRESS_ISOLATE = 5
    """Denied unless an EGRESS_ALLOW clause matches too."""
    EGRESS_ALLOW = 6
    INGRESS_ISOLATE = 7
    INGRESS_ALLOW = 8


BASELINES: Final = (Role.BASELINE_SOURCE, Role.BASELINE_TARGET)


LEVELS: Final = {
    Band.SYSTEM: Level.APPLIANCE,
    Band.OVERRIDE_ALLOW: Level.OVERRIDE_ALLOW,
    Band.OVERRIDE_ALERT: Level.OVERRIDE_ALERT,
    Band.OVERRIDE_BLOCK: Level.OVERRIDE_BLOCK,
    Band.ALLOW: Level.ALLOW,
    Band.ALERT: Level.ALERT,
    Band.BLOCK: Level.BLOCK,
}
ORDINARY: Final = 1 << State.NORMAL | 1 << State.WATCHED
CONTAINED: Final = 1 << State.RESTRICTED | 1 << State.QUARANTINED


@dataclass(frozen=True, slots=True)
class Clause:
    """One rectangle."""

    name: str
    level: Level
    action: Action
    source: Ids
    target: Ids
    services: tuple[Span, ...]
    priority: int = 0
    role: Role = Role.DECIDE
    band: Band = Band.SYSTEM
    audit: bool = False
    log: bool = False
    alert: bool = False


def in_force(schedule: Schedule | None, at: datetime) -> bool:
    """Whether a rule with this schedule decides at a moment (with time zone)."""
    if schedule is None:
        return True
    if schedule.begins is not None and at < schedule.begins:
        return False
    if schedule.expires is not None and at >= schedule.expires:
        return False
    now = at.astimezone(UTC)
    minute = now.hour * 60 + now.minute
    return not schedule.windows or any(
        now.weekday() in window.days and window.start <= minute < window.end for window in schedule.windows
    )


def next_change(policy: PolicySet, at: datetime) -> datetime | None:
    """When a schedule next begins or ends, so that the policy must be compiled anew; None: never."""
    now = at.astimezone(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    moments: list[datetime] = []
    for rule in (*policy.rules, *policy.keep):
        schedule = rule.schedule
        if schedule is None or not rule.enabled:
            continue
        moments += [edge for edge in (schedule.begins, schedule.expires) if edge is not None]
        for window in schedule.windows:
            for day in range(9):
                moment = midnight + timedelta(days=day)
                if moment.weekday() in window.days:
                    moments += [moment + timedelta(minutes=edge) for edge in (window.start, window.end)]
    return min((moment for moment in moments if moment > at), default=None)


def clauses(
    policy: PolicySet, containment: Containment, universe: Universe, at: datetime, *, own: Sequence[Rule] = ()
) -> list[Clause]:
    """Everything that decides, at a moment. ``own``: what the appliance itself needs."""
    services = _Services(policy)
    universe.extra[:] = False
    baselines = [one for one in containment.baselines if one.rule.enabled]
    for baseline in baselines:
        universe.extra[universe.base_of[universe.ids(named(baseline.workload))]] = True
    made = list(_contained(policy, containment, universe, services, at))
    for rule in own:
        made.append(
            Clause(
                rule.name, Level.APPLIANCE, rule.action, universe.ids(rule.source, ALL_STATES),
                universe.ids(rule.target, ALL_STATES), services(rule.services),
            )
        )  # fmt: skip
    for baseline in baselines:
        made += _baseline(baseline, universe, services)
    for rule in policy.rules:
        if rule.enabled and in_force(rule.schedule, at):
            states = ALL_STATES if rule.band is Band.SYSTEM else ORDINARY
            made.append(
                Clause(
                    rule.name, LEVELS[rule.band], rule.action, universe.ids(rule.source, states, True),
                    universe.ids(rule.target, states, True), services(rule.services), rule.priority, band=rule.band,
                    audit=rule.mode is Mode.AUDIT, log=rule.log, alert=rule.alert,
                )
            )  # fmt: skip
    made += _sides(policy, universe, services)
    return made


class _Services:
    """Spans by texts, each resolved once."""

    def __init__(self, policy: PolicySet) -> None:
        self._named = policy.services
        self._known: dict[tuple[str, ...], tuple[Span, ...]] = {}

    def __call__(self, texts: Sequence[str]) -> tuple[Span, ...]:
        key = tuple(texts)
        if key not in self._known:
            self._known[key] = resolve(key, self._named)
        return self._known[key]


def _contained(
    policy: PolicySet, containment: Containment, universe: Universe, services: _Services, at: datetime
) -> Iterator[Clause]:
    """Keep, quarantine, restrict: for every workload, whether it is contained now or not."""
    everybody = universe.ids(ANY)
    for rule in (*policy.keep, *containment.keep):
        if rule.enabled and in_force(rule.schedule, at):
            for source, target in ((ALL_STATES, CONTAINED), (CONTAINED, ALL_STATES)):
                yield Clause(
                    rule.name, Level.KEEP, Action.ALLOW, universe.ids(rule.source, source),
                    universe.ids(rule.target, target), services(rule.services), rule.priority, log=rule.log,
                    audit=rule.mode is Mode.AUDIT,
                )  # fmt: skip
    deny = Action.REJECT if containment.reject else Action.BLOCK
    for name, level, state, roles in (
        ("quarantine", Level.QUARANTINE, State.QUARANTINED, (Role.DECIDE, Role.DECIDE)),
        ("restrict", Level.RESTRICT, State.RESTRICTED, (Role.RESTRICT_SOURCE, Role.RESTRICT_TARGET)),
    ):
        some = universe.ids(ANY, 1 << state)
        for ids, role in zip(((some, everybody), (everybody, some)), roles, strict=True):
            yield Clause(name, level, deny, *ids, (EVERYTHING,), role=role)
    if containment.resets:
        some = universe.ids(named(*containment.resets), 1 << State.QUARANTINED)
        for ids in ((some, everybody), (everybody, some)):
            yield Clause("quarantine", Level.QUARANTINE, Action.REJECT, *ids, (EVERYTHING,))


def _baseline(baseline: Baseline, universe: Universe, services: _Services) -> Iterator[Clause]:
    """For the workload's own end alone: what the other end may, if it is restricted too, its own baseline says."""
    rule, restricted, others = baseline.rule, 1 << State.RESTRICTED, ORDINARY | 1 << State.RESTRICTED
    it = universe.ids(named(baseline.workload), restricted)
    for role, states in (
        (Role.BASELINE_SOURCE, (restricted, others)),
        (Role.BASELINE_TARGET, (others, restricted)),
    ):
        source, target = universe.ids(rule.source, states[0]), universe.ids(rule.target, states[1])
        if role is Role.BASELINE_SOURCE:
            source = np.intersect1d(source, it, assume_unique=True)
        else:
            target = np.intersect1d(target, it, assume_unique=True)
        if len(source) and len(target):
            yield Clause(
                rule.name, Level.RESTRICT, Action.ALLOW, source, target, services(rule.services), role=role
            )


def _sides(policy: PolicySet, universe: Universe, services: _Services) -> Iterator[Clause]:
    """Two-sided policies."""
    everybody = universe.ids(ANY, ORDINARY, True)
    isolate = {Side.EGRESS: Role.EGRESS_ISOLATE, Side.INGRESS: Role.INGRESS_ISOLATE}
    permit = {Side.EGRESS: Role.EGRESS_ALLOW, Side.INGRESS: Role.INGRESS_ALLOW}
    for side_policy in policy.side_policies:
        subjects = universe.ids(side_policy.subjects, ORDINARY, True)
        subjects = subjects[universe.is_workload[universe.base_of[subjects]]]
        for side in side_policy.sides:
            parts: list[tuple[Role, Ids, tuple[Span, ...], Action]] = [
                (isolate[side], everybody, (EVERYTHING,), Action.BLOCK)
            ]
            for allow in side_policy.allows:
                if allow.side is side:
                    peers = universe.ids(allow.peers, ORDINARY, True)
                    parts.append((permit[side], peers, services(allow.services), Action.ALLOW))
            for role, peers, spans, action in parts:
                source, target = (subjects, peers) if side is Side.EGRESS else (peers, subjects)
                band = Band.BLOCK if action is Action.BLOCK else Band.ALLOW
                yield Clause(
                    side_policy.name, Level.SIDES, action, source, target, spans, role=role, band=band
                )


__all__ = ["Clause", "Level", "Role", "clauses", "in_force", "next_change"]
