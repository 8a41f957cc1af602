# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Rules that are worth a look: unused, shadowed, contradicting, over-broad."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from appliance.policy.compiler import BUDGET, EPOCH
from appliance.policy.evaluate import Evaluator, evaluator_of
from appliance.policy.inner import Clause, Level, Role, clauses
from appliance.policy.model import NO_CONTAINMENT, PolicySet
from appliance.policy.pairs import Ragged, TooLargeError, expand
from appliance.policy.program import Program
from appliance.policy.service import Protocol, Span
from appliance.policy.simulate import used_identities
from appliance.policy.universe import Ids, Universe

BROAD_SHARE: Final = 0.25
"""A rule that permits more of all pairs is over-broad if it also opens many ports."""
MANY_PORTS: Final = 1000
MAX_CONTRADICTIONS: Final = 200
_FAMILIES: Final = (
    ({Level.OVERRIDE_ALLOW, Level.OVERRIDE_ALERT}, {Level.OVERRIDE_BLOCK}),
    ({Level.ALLOW, Level.ALERT}, {Level.BLOCK}),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a rule."""

    kind: str
    """``unused``, ``shadowed``, ``contradicting`` or ``over-broad``."""
    rule: str
    text: str
    other: str = ""


def analyze(policy: PolicySet, program: Program, at: datetime = EPOCH) -> list[Finding]:
    """What is worth a look in a policy, given what it compiled to; in the order of its rules."""
    universe = Universe(program.identities, policy.groups)
    inner = clauses(policy, NO_CONTAINMENT, universe, at)
    used = np.isin(universe.numbers, used_identities(program))
    mine = [one for one in inner if one.role is Role.DECIDE and one.level >= Level.OVERRIDE_ALLOW]
    found: list[Finding] = []
    idle = set()
    evaluator = evaluator_of(program)
    named = _named(program)
    for clause in mine:
        one = _idle(clause, used, named, evaluator, universe)
        if one is not None:
            found.append(one)
            idle.add(clause.name)
        elif (broad := _broad(clause, used)) is not None:
            found.append(broad)
    found += _contradictions(inner, universe, idle)
    order = {rule.name: at for at, rule in enumerate(policy.rules)}
    return sorted(found, key=lambda one: (order.get(one.rule, len(order)), one.kind, one.other))


def _named(program: Program) -> set[str]:
    """The rules that some verdict names."""
    names = set()
    for verdict in program.verdicts.values():
        names |= {verdict.rule, verdict.audit_rule, verdict.peer_rule}
    return names


def _idle(
    clause: Clause, used: np.ndarray[tuple[int], np.dtype[np.bool_]], named: set[str], evaluator: Evaluator,
    universe: Universe,
) -> Finding | None:  # fmt: skip
    """A rule that decides nothing."""
    source, target = clause.source[used[clause.source]], clause.target[used[clause.target]]
    for end, ids in (("from", source), ("to", target)):
        if not len(ids):
            return Finding("unused", clause.name, f"nobody here matches `{end}` of it")
    if clause.name in named:
        return None
    a, b = int(universe.numbers[source[0]]), int(universe.numbers[target[0]])
    span = clause.services[0]
    port = 0 if span.protocol is Protocol.ANY else span.low
    protocol = 254 if span.protocol is Protocol.ANY else int(span.protocol)
    other = evaluator.verdict(int(evaluator.tags(a, b, protocol, port))).rule
    text = f"wherever it matches another rule decides, for example {other} on {span}"
    return Finding("shadowed", clause.name, text, other)


def _broad(clause: Clause, used: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Finding | None:
    """A rule that permits a lot."""
    if not clause.action.passes:
        return None
    everybody = int(used.sum())
    pairs = int(used[clause.source].sum()) * int(used[clause.target].sum())
    share = pairs / max(1, everybody * everybody)
    ports = sum(span.high - span.low + 1 for span in clause.services)
    if share <= BROAD_SHARE or ports < MANY_PORTS:
        return None
    services = ", ".join(map(str, clause.services[:3]))
    text = f"it permits {services} between {share:.0%} of all pairs of identities ({pairs:,} of {everybody**2:,})"
    return Finding("over-broad", clause.name, text)


def _contradictions(inner: Sequence[Clause], universe: Universe, idle: Iterable[str]) -> Iterator[Finding]:
    """Rules of bands that belong together which say the opposite of the same connections."""
    try:
        lists = expand(inner, len(universe), universe.everybody, BUDGET).lists
    except TooLargeError:
        return
    skipped, told = set(idle), 0
    for i, j in sorted(_opposed(inner, lists)):
        allow, block = inner[i], inner[j]
        if not {allow.name, block.name} & skipped and _overlap(allow.services, block.services):
            told += 1
            if told > MAX_CONTRADICTIONS:
                return
            text = f"{allow.name} lets pass some of what it blocks, and wins"
            yield Finding("contradicting", block.name, text, allow.name)


def _opposed(inner: Sequence[Clause], lists: Ragged) -> set[tuple[int, int]]:
    """Pairs of clauses that meet in a list: one that passes, one that denies."""
    found: set[tuple[int, int]] = set()
    decides = np.array([one.role is Role.DECIDE for one in inner])
    levels = np.array([int(one.level) for one in inner])
    for passing, denying in _FAMILIES:
        a = decides[lists.data] & np.isin(levels[lists.data], [int(one) for one in passing])
        b = decides[lists.data] & np.isin(levels[lists.data], [int(one) for one in denying])
        rows = lists.rows
        both = np.intersect1d(rows[a], rows[b])
        for row in both.tolist():
            members: Ids = lists.data[lists.start[row] : lists.start[row] + lists.length[row]]
            yes = [one for one in members.tolist() if decides[one] and levels[one] in passing]
            no = [one for one in members.tolist() if decides[one] and levels[one] in denying]
            found.update((one, other) for one in yes for other in no)
    return found


def _overlap(a: Iterable[Span], b: Sequence[Span]) -> bool:
    return any(
        Protocol.ANY in (one.protocol, other.protocol)
        or (one.protocol is other.protocol and one.low <= other.high and other.low <= one.high)
        for one in a
        for other in b
    )
