# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Workloads of the fleet as they were declared, who set each label, and rules that set labels.

A label that was set by name wins over one that a criterion sets; of two criteria the later wins. Patterns run on RE2:
in time linear in the name, whatever the pattern.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import re2

from appliance.errors import InvalidValue
from appliance.policy.inventory import MAX_LABELS, check, from_dict, to_dict
from appliance.policy.model import Interface, Network, State, Workload
from appliance.policy.selecting import means
from appliance.policy.selector import ADDRESSES, ATTRIBUTES, parse_selector

RESERVED: Final = (*ATTRIBUTES, *ADDRESSES, "any")
"""Words of selectors: no label may have such a key."""
MAX_PATTERN: Final = 512
MAX_CRITERIA: Final = 1000
_FIELDS: Final = ("name", "vlan", "vni", "prefixes", "gateways", "gateway_mac")
"""Of a network: the others are each appliance's own."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A workload as somebody declared it."""

    workload: Workload
    by: Mapping[str, str]
    """Who set each label: ``operator/NAME``, ``file/PATH``, ``local``."""
    source: str
    """Who declared it."""

    def to_bytes(self) -> bytes:
        """For the store."""
        made = {"workload": to_dict(self.workload), "by": dict(self.by), "source": self.source}
        return json.dumps(made, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Declared:
        """The inverse."""
        found = json.loads(data)
        return cls(from_dict(found["workload"]), found["by"], found["source"])


@dataclass(frozen=True, slots=True)
class Criterion:
    """A rule that sets labels on workloads by name and by what was declared of them."""

    name: str
    name_pattern: str = ""
    selector: str = ""
    labels: Mapping[str, str] | None = None


class Criteria:
    """All rules, in order; checked. ``InvalidValue`` names the one that is wrong."""

    def __init__(self, given: Sequence[Criterion]) -> None:
        self.all = tuple(given)
        self._made = []
        seen: set[str] = set()
        if len(given) > MAX_CRITERIA:
            raise InvalidValue(f"criteria: at most {MAX_CRITERIA}, not {len(given)}")
        for one in given:
            where = f"criterion {one.name}"
            if not one.name or one.name in seen:
                raise InvalidValue(f"{where}: name: it is empty or comes twice")
            seen.add(one.name)
            if not one.labels:
                raise InvalidValue(f"{where}: labels: it sets none")
            check_labels(where, one.labels)
            pattern = None
            if one.name_pattern:
                if len(one.name_pattern) > MAX_PATTERN:
                    raise InvalidValue(f"{where}: name_pattern: at most {MAX_PATTERN} letters")
                try:
                    options = re2.Options()
                    options.max_mem, options.log_errors = 1 << 20, False
                    pattern = re2.compile(one.name_pattern, options)
                except re2.error as error:
                    raise InvalidValue(f"{where}: name_pattern: {error}") from None
            try:
                selector = parse_selector(one.selector) if one.selector else None
            except ValueError as error:
                raise InvalidValue(f"{where}: selector: {error}") from None
            self._made.append((one, pattern, selector))

    def labels(self, workload: Workload) -> dict[str, tuple[str, str]]:
        """Labels that the rules give a workload, each with the rule's name."""
        found: dict[str, tuple[str, str]] = {}
        for one, pattern, selector in self._made:
            match = None
            if pattern is not None:
                match = pattern.fullmatch(workload.name)
                if match is None:
                    continue
            if selector is not None and not means(selector, workload, State.NORMAL):
                continue
            for key, value in (one.labels or {}).items():
                found[key] = (_expand(value, match), one.name)
        return found

    def to_bytes(self) -> bytes:
        """For the store."""
        return json.dumps([asdict(one) for one in self.all]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Criteria:
        """The inverse."""
        return cls([Criterion(**one) for one in json.loads(data)])


def _expand(value: str, match: Any) -> str:
    """``\\1`` to ``\\9`` stand for groups of the pattern."""
    if match is None or "\\" not in value:
        return value
    made, rest = "", value
    while (at := rest.find("\\")) >= 0:
        made += rest[:at]
        digit = rest[at + 1 : at + 2]
        number = int(digit) if digit.isdigit() else -1
        made += (match.group(number) or "") if 0 <= number <= match.re.groups else rest[at : at + 2]
        rest = rest[at + 2 :]
    return made + rest


def check_labels(where: str, labels: Mapping[str, str]) -> None:
    """``InvalidValue``: a key that is a word of selectors."""
    if len(labels) > MAX_LABELS:
        raise InvalidValue(f"{where}: labels: at most {MAX_LABELS}, not {len(labels)}")
    for key in labels:
        if key in RESERVED:
            raise InvalidValue(f"{where}: labels: {key!r} is reserved")


def check_workload(workload: Workload) -> None:
    """What can be wrong with one workload by itself."""
    check(workload)
    check_labels(f"workload {workload.name}", workload.labels)
    first: dict[tuple[str, str], Interface] = {}
    for number, one in enumerate(workload.interfaces):
        other = first.setdefault((one.network, one.mac.lower()), one) if one.mac else one
        if other.appliance != one.appliance and _reached_at(other) != _reached_at(one):
            # Tunnels are found by MAC: packets to one of them would go the other's way.
            raise InvalidValue(
                f"workload {workload.name}: interfaces[{number}]: MAC {one.mac} is at appliance "
                f"{other.appliance or 'none'} with other addresses: give it a MAC of its own, or move it first and "
                "change its addresses then"
            )


def _reached_at(one: Interface) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(one.addresses), frozenset(one.prefixes)


def effective(declared: Declared, criteria: Criteria) -> tuple[Workload, dict[str, str]]:
    """A workload with the labels that count, and who set each."""
    derived = criteria.labels(declared.workload)
    labels = {key: value for key, (value, _) in derived.items() if value} | dict(declared.workload.labels)
    by = {key: f"criterion/{name}" for key, (_, name) in derived.items() if key in labels} | {
        key: declared.by.get(key, declared.source) for key in declared.workload.labels
    }
    if labels == declared.workload.labels:
        return declared.workload, by
    made = replace(declared.workload, labels=labels)
    check(made)
    return made, by


def network_to_bytes(one: Network) -> bytes:
    """For the store."""
    return json.dumps({name: getattr(one, name) for name in _FIELDS}).encode()


def network_from_bytes(data: bytes) -> Network:
    """The inverse."""
    found: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in json.loads(data).items()
        if name in _FIELDS
    }
    return Network(**found)


def duplicates(workloads: Iterable[Workload], remove: Iterable[str]) -> None:
    """``InvalidValue``: a name that is declared or removed twice, or both."""
    seen: set[str] = set()
    for name in (*(one.name for one in workloads), *remove):
        if name in seen:
            raise InvalidValue(f"workload {name}: it comes twice")
        seen.add(name)


def stand_in(network: str, places: Iterable[str]) -> str:
    """A locally administered MAC for who has none that anybody knows."""
    found = hashlib.sha256(f"{network} {' '.join(places)}".encode()).hexdigest()
    return ":".join(["06", *(found[n : n + 2] for n in range(0, 10, 2))])
