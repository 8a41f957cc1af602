# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What is wrong with a policy as a whole: names, selectors that nobody can fulfil, unknown words. Finds everything."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final

from appliance.policy.model import KINDS, ORIGINS, Band, Inventory, PolicySet, Rule, Schedule
from appliance.policy.refusal import Problem, Refused
from appliance.policy.selector import STATES, Cidr, Op, Requirement, Selector
from appliance.policy.service import resolve
from appliance.policy.universe import flat

RESERVED: Final = ("default", "quarantine", "restrict", "appliance-dhcp")
"""Names that verdicts of the appliance itself have."""
Term = tuple[Requirement, ...]


def check(policy: PolicySet, inventory: Inventory | None = None) -> list[Problem]:
    """Every problem of a policy; with an inventory also labels and names that nobody has (``PolicySet.labels`` declares
    those that are yet to come).
    """
    return list(_problems(policy, inventory))


def checked(policy: PolicySet, inventory: Inventory | None = None) -> PolicySet:
    """The policy itself. ``Refused`` with every problem."""
    problems = check(policy, inventory)
    if problems:
        raise Refused(problems)
    return policy


class _Known:
    """What workloads there are, and the values of their labels; found out once for all selectors."""

    def __init__(self, inventory: Inventory) -> None:
        self.names = {one.name for one in inventory.workloads}
        self.values: dict[str, set[str]] = {}
        for one in inventory.workloads:
            for key, value in one.labels.items():
                self.values.setdefault(key, set()).add(value)


def _problems(policy: PolicySet, inventory: Inventory | None) -> Iterator[Problem]:
    known = None if inventory is None else _Known(inventory)
    yield from _names(policy)
    for name, selector in policy.groups.items():
        yield from _selector(f"group {name}", "", selector, policy, known)
    for name, texts in policy.services.items():
        yield from _services(f"service {name}", texts, policy, (name,))
    for rule in (*policy.rules, *policy.keep):
        yield from _rule(rule, policy, known)
    for one in policy.side_policies:
        item = f"network policy {one.name}"
        yield from _selector(item, "subjects", one.subjects, policy, known)
        if not one.sides:
            yield Problem(item, "sides", "it has none: say ingress, egress or both")
        for number, allow in enumerate(one.allows):
            yield from _selector(item, f"allows[{number}].peers", allow.peers, policy, known)
            yield from _services(item, allow.services, policy)
            if allow.side not in one.sides:
                why = f"it allows {allow.side.value}, but the policy is not for that side"
                yield Problem(item, f"allows[{number}].side", why)


def _names(policy: PolicySet) -> Iterator[Problem]:
    seen: set[str] = set()
    for kind, items in (
        ("rule", [one.name for one in (*policy.rules, *policy.keep)]),
        ("network policy", [one.name for one in policy.side_policies]),
    ):
        for name in items:
            if not name or len(name) > 63:
                yield Problem(f"{kind} {name}", "name", "a name has 1 to 63 letters")
            if name in RESERVED:
                yield Problem(f"{kind} {name}", "name", f"{name} is a name of the appliance itself")
            if name in seen:
                yield Problem(f"{kind} {name}", "name", "there are two of this name")
            seen.add(name)


def _rule(rule: Rule, policy: PolicySet, known: _Known | None) -> Iterator[Problem]:
    item = f"rule {rule.name}"
    yield from _selector(item, "from", rule.source, policy, known)
    yield from _selector(item, "to", rule.target, policy, known)
    yield from _services(item, rule.services, policy)
    if rule.band is Band.DEFAULT:
        yield Problem(item, "band", "default is not a band of rules; set `default` of the policy")
    blocks = rule.band in (Band.BLOCK, Band.OVERRIDE_BLOCK)
    for field, given in (("reject", rule.reject), ("alert", rule.alert)):
        if given and not blocks:
            yield Problem(item, field, f"only block rules may have it, not band {rule.band.text}")
    if rule.schedule is not None:
        yield from _schedule(item, rule.schedule)


def _schedule(item: str, schedule: Schedule) -> Iterator[Problem]:
    if schedule.begins and schedule.expires and schedule.expires <= schedule.begins:
        yield Problem(item, "schedule", "it expires before it begins")
    for window in schedule.windows:
        if not 0 <= window.start < window.end <= 1440:
            yield Problem(item, "schedule", "a window ends after it starts, on the same day (UTC)")
        if not window.days or not set(window.days) <= set(range(7)):
            yield Problem(item, "schedule", "a window has days: mon, tue, wed, thu, fri, sat, sun")


def _services(
    item: str, texts: tuple[str, ...], policy: PolicySet, above: tuple[str, ...] = ()
) -> Iterator[Problem]:
    if not texts:
        yield Problem(item, "services", "it is for no service; to mean all, write any")
    try:
        resolve(above or texts, policy.services)
    except ValueError as error:
        yield Problem(item, "services", str(error))


# --- selectors --------------------------------------------------------------------------------------------------------


def _selector(
    item: str, field: str, selector: Selector, policy: PolicySet, known: _Known | None
) -> Iterator[Problem]:
    if not selector.terms:
        yield Problem(item, field, "it selects nobody; to mean everything, write any")
    try:
        terms = flat(selector, policy.groups).terms
    except ValueError as error:
        yield Problem(item, field, str(error))
        return
    for term in terms:
        why = contradiction(term)
        if why:
            yield Problem(item, field, f"{', '.join(map(str, term))}: {why}")
    for part in dict.fromkeys(part for term in selector.terms for part in term):
        why = _unknown(part, policy, known)
        if why:
            yield Problem(item, field, why)


def nobody_has(selector: Selector, policy: PolicySet, inventory: Inventory) -> str:
    """What a selector speaks of and nobody has, in words; empty: somebody has all of it."""
    known = _Known(inventory)
    parts = dict.fromkeys(part for term in selector.terms for part in term)
    return next(filter(None, (_unknown(part, policy, known) for part in parts)), "")


def contradiction(term: Term) -> str:
    """Why nobody can fulfil a term; empty: somebody can."""
    fields = {part.field for part in term}
    if "entity" in fields and fields & {"label", "name", "kind", "origin", "state"}:
        return "what is no workload has no labels, name, kind, origin or state"
    for field, key in {(part.field, part.key) for part in term if part.field not in ("cidr", "group")}:
        parts = [part for part in term if (part.field, part.key) == (field, key)]
        wanted = [set(part.values) for part in parts if part.op is Op.IN]
        left = set.intersection(*wanted) if wanted else None
        for part in parts:
            if part.op is Op.NOT_IN and left is not None:
                left -= set(part.values)
        what = key or field
        if left is not None and not left:
            return f"no {what} can be all of that"
        forbidden = any(part.op is Op.NOT_EXISTS for part in parts)
        if forbidden and (wanted or any(part.op is Op.EXISTS for part in parts)):
            return f"{what} cannot be there and not be there"
        if field == "state" and left is None:
            excluded = {value for part in parts if part.op is Op.NOT_IN for value in part.values}
            if excluded >= set(STATES):
                return "no state is left"
    return _disjoint([part for part in term if part.field == "cidr"])


def _disjoint(parts: list[Requirement]) -> str:
    """Prefixes that must all hold an address, but do not touch."""
    if len(parts) < 2:
        return ""
    for number, part in enumerate(parts):
        for other in parts[number + 1 :]:
            pairs = (
                (ip_network(Cidr.parse(a).prefix), ip_network(Cidr.parse(b).prefix))
                for a in part.values
                for b in other.values
            )
            if not any(a.version == b.version and a.overlaps(b) for a, b in pairs):
                return f"no address is in {part} and in {other}"
    return ""


def _unknown(part: Requirement, policy: PolicySet, known: _Known | None) -> str:
    for field, words in (("kind", KINDS), ("origin", ORIGINS)):
        if part.field == field:
            wrong = [value for value in part.values if value not in words]
            if wrong:
                return f"there is no {field} {wrong[0]!r}; known are {', '.join(words)}"
    if known is None:
        return ""
    if part.field == "name":
        wrong = [value for value in part.values if value not in known.names]
        return f"there is no workload {wrong[0]!r}" if wrong else ""
    if part.field != "label":
        return ""
    declared = policy.labels.get(part.key)
    values = known.values.get(part.key, set())
    if declared is None and not values:
        return f"no workload has a label {part.key!r}; if one will, declare it under `labels`"
    if declared == () or part.op in (Op.EXISTS, Op.NOT_EXISTS):
        return ""
    wrong = [value for value in part.values if value not in values and value not in (declared or ())]
    if wrong:
        return f"no workload has {part.key}={wrong[0]}; if one will, declare it under `labels`"
    return ""
