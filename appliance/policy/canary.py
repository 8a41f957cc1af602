# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A policy for some first: the new one where the canary is an end of the connection, the old one everywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from appliance.errors import InvalidValue
from appliance.policy.model import PolicySet, Rule
from appliance.policy.selector import Op, Requirement, Selector, parse_selector

_OPPOSITE: Final = {
    Op.IN: Op.NOT_IN,
    Op.NOT_IN: Op.IN,
    Op.EXISTS: Op.NOT_EXISTS,
    Op.NOT_EXISTS: Op.EXISTS,
}
_NO_WORKLOADS: Final = parse_selector("entity in (unknown, appliance, world)")
MAX_TERMS: Final = 64


def mixed(old: PolicySet, new: PolicySet, canary: str) -> PolicySet:
    """Both policies in one. ``InvalidValue``: the canary cannot be told apart, or the policies differ in what has no
    two sides to tell apart by.
    """
    try:
        some = parse_selector(canary)
    except ValueError as error:
        raise InvalidValue(f"canary: {error}") from None
    if some.is_any or any(part.field in ("cidr", "entity", "group") for term in some.terms for part in term):
        raise InvalidValue(f"canary: {canary!r} must speak of workloads: labels, name, kind, origin")
    if old.default is not new.default:
        raise InvalidValue("canary: the policies differ in their default, which cannot apply to some first")
    if old.side_policies != new.side_policies:
        raise InvalidValue(
            "canary: the policies differ in two-sided policies, which cannot apply to some first"
        )
    others = _others(some)
    named = dict(old.groups)
    for name, selector in new.groups.items():
        if named.get(name, selector) != selector:
            raise InvalidValue(f"canary: group {name!r} means different workloads in the two policies")
        named[name] = selector
    services = dict(old.services)
    for name, texts in new.services.items():
        if services.get(name, texts) != texts:
            raise InvalidValue(f"canary: service {name!r} means different things in the two policies")
        services[name] = texts
    rules = [*_split(old.rules, new.rules, some, others)]
    keep = {rule.name: rule for rule in (*old.keep, *new.keep)}
    labels = dict(old.labels) | dict(new.labels)
    return replace(
        new, rules=tuple(rules), keep=tuple(keep.values()), groups=named, services=services, labels=labels
    )


def _split(old: Iterable[Rule], new: Iterable[Rule], some: Selector, others: Selector) -> Iterator[Rule]:
    before = {rule.name: rule for rule in old}
    after = {rule.name: rule for rule in new}
    for name, rule in after.items():
        if before.get(name) == rule:
            yield rule  # the same for all
            continue
        yield replace(rule, source=_both(rule.source, some))
        yield replace(
            rule, name=f"{name}~to", source=_both(rule.source, others), target=_both(rule.target, some)
        )
    for name, rule in before.items():
        if after.get(name) != rule:
            yield replace(
                rule, name=f"{name}~old", source=_both(rule.source, others), target=_both(rule.target, others)
            )


def _both(one: Selector, other: Selector) -> Selector:
    """What both mean."""
    terms = [tuple(dict.fromkeys((*a, *b))) for a in one.terms for b in other.terms]
    if len(terms) > MAX_TERMS:
        raise InvalidValue(f"canary: a rule would get {len(terms)} alternatives; use a simpler canary")
    return Selector(tuple(dict.fromkeys(terms)))


def _others(some: Selector) -> Selector:
    """Everybody else: workloads that it does not mean, and what is no workload."""
    terms: list[tuple[Requirement, ...]] = [()]
    for term in some.terms:
        negated = [replace(part, op=_OPPOSITE[part.op]) for part in term]
        terms = [(*above, part) for above in terms for part in negated]
        if len(terms) > MAX_TERMS:
            raise InvalidValue("canary: the selector is too complicated to be negated")
    return Selector((*terms, *_NO_WORKLOADS.terms))
