# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Policy sets: each with a scope, a draft and what it published; together they are the policy of the fleet."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, TypeVar

from appliance.intelligence.authority import check_name
from appliance.policy.check import check
from appliance.policy.model import Default, Inventory, PolicySet, State, Workload
from appliance.policy.reading import read_policy, write_policy
from appliance.policy.refusal import Problem, Refused
from appliance.policy.selecting import means
from appliance.policy.selector import Selector, parse_selector
from appliance.policy.universe import flat

BASE: Final = "base"
"""The set that may say what the default is."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Set:
    """One policy set. Texts are YAML, as docs/policy.md has it."""

    name: str
    scope: str = ""
    """Selector that one side of each rule must satisfy; empty: any."""
    source: str = ""
    """What is published."""
    draft: str = ""
    draft_actor: str = ""

    def to_bytes(self) -> bytes:
        """For the store."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Set:
        """The inverse."""
        return cls(**json.loads(data))


@dataclass(frozen=True, slots=True)
class Revision:
    """What the fleet was told."""

    number: int
    time: float
    actor: str
    reason: str
    origin: str
    set: str
    sources: Mapping[str, str]
    """Published text of each set."""
    of: int = 0

    def to_bytes(self) -> bytes:
        """For the store."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Revision:
        """The inverse."""
        return cls(**json.loads(data))


def check_scope(scope: str, policy: PolicySet, workloads: Iterable[Workload], name: str) -> None:
    """``Refused``: a rule of which neither side lies in the scope; names rule and workload."""
    if not scope:
        return
    bound = parse_selector(scope)
    everybody = list(workloads)
    inside = {one.name for one in everybody if means(bound, one, State.NORMAL)}
    problems = []
    for rule in (*policy.rules, *policy.keep):
        outside = [_outside(side, policy, everybody, inside) for side in (rule.source, rule.target)]
        if all(outside):
            problems.append(
                Problem(
                    f"rule {rule.name}", "from, to",
                    f"it speaks of {outside[0]} and of {outside[1]}, both outside of the scope {scope!r} of set {name}",
                )
            )  # fmt: skip
    for two in policy.side_policies:
        if beyond := _outside(two.subjects, policy, everybody, inside):
            problems.append(
                Problem(
                    f"network policy {two.name}", "subjects",
                    f"it isolates {beyond}, outside of the scope {scope!r} of set {name}",
                )
            )  # fmt: skip
    if problems:
        raise Refused(problems)


def _outside(selector: Selector, policy: PolicySet, workloads: Iterable[Workload], inside: set[str]) -> str:
    """Somebody whom a selector may mean and who is not in the scope; empty: nobody."""
    plain = flat(selector, policy.groups)
    for term in plain.terms:
        if not term:
            return "anybody"
        strange = [part for part in term if part.field in ("cidr", "entity")]
        if strange:
            return str(strange[0])
    for one in workloads:
        if one.name not in inside and any(
            means(plain, one, state) for state in (State.NORMAL, State.WATCHED, State.QUARANTINED)
        ):
            return f"workload {one.name}"
    return ""


_read: dict[str, tuple[str, PolicySet]] = {}
_reading = threading.Lock()
MOST_READ: Final = 100
MOST_LETTERS: Final = 16 << 20
"""What is remembered of sets that were read: anybody who may look asks for drafts of any name."""


def read(name: str, text: str) -> PolicySet:
    """A set's policy, checked but for what only an inventory can tell. What was read last is not read again."""
    known = _read.get(name)
    if known is None or known[0] != text:
        known = text, read_policy(text, name)
        with _reading:
            _read.pop(name, None)
            _read[name] = known
            letters = sum(len(one) for one, _ in _read.values())
            while len(_read) > 1 and (len(_read) > MOST_READ or letters > MOST_LETTERS):
                letters -= len(_read.pop(next(iter(_read)))[0])
    return known[1]


def read_for(name: str, text: str, inventory: Inventory) -> PolicySet:
    """The same, with an inventory: labels and names that nobody has are problems too. ``Refused``; ``InvalidValue``: no
    set can have such a name.
    """
    check_name(name)
    policy = read(name, text)
    return read_policy(text, name, inventory) if check(policy, inventory) else policy


def merge(sources: Mapping[str, str]) -> PolicySet:
    """What all sets say together. ``Refused``: two of them say different things under one name."""
    made = PolicySet(name="fleet")
    owners: dict[tuple[str, str], str] = {}
    for name in sorted(sources):
        policy = read(name, sources[name])
        if policy.default is not Default.BLOCK and name != BASE:
            raise Refused(
                [Problem(f"set {name}", "default", f"only the set {BASE!r} may say another default")]
            )
        for kind, items in (
            ("rule", (*policy.rules, *policy.keep)), ("network policy", policy.side_policies),
        ):  # fmt: skip
            for one in items:
                other = owners.setdefault((kind, one.name), name)
                if other != name:
                    raise Refused(
                        [Problem(f"{kind} {one.name}", "name", f"set {other} has one of this name already")]
                    )
        made = replace(
            made,
            default=policy.default if name == BASE else made.default,
            rules=(*made.rules, *policy.rules),
            keep=(*made.keep, *policy.keep),
            side_policies=(*made.side_policies, *policy.side_policies),
            groups=_joined("group", made.groups, policy.groups, name),
            services=_joined("service", made.services, policy.services, name),
            labels=_labels(made.labels, policy.labels),
        )
    return made


def _joined(kind: str, known: Mapping[str, T], added: Mapping[str, T], name: str) -> dict[str, T]:
    for key, value in added.items():
        if key in known and known[key] != value:
            raise Refused([Problem(f"{kind} {key}", "", f"set {name} says something else than another set")])
    return {**known, **added}


def _labels(known: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(known)
    for key, values in added.items():
        both = (*made.get(key, ()), *values) if made.get(key, True) and values else ()
        made[key] = tuple(dict.fromkeys(both))
    return made


def canonical(policy: PolicySet) -> str:
    """The text that appliances are told."""
    return write_policy(policy)
