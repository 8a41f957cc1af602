# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Which identities a selector selects, as numpy indices.

An identity has an index in order of its number. A workload's base has four identities, one per state, next to each
other; what is no workload has one. Label selectors, negations included, only ever select workloads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.policy.model import PolicySet, State
from appliance.policy.program import Identity
from appliance.policy.selector import STATES, Cidr, Op, Requirement, Selector

Bools = NDArray[np.bool_]
Ids = NDArray[np.int64]
ALL_STATES: Final = 0b1111
Term = tuple[Requirement, ...]


def flat(selector: Selector, groups: Mapping[str, Selector], above: tuple[str, ...] = ()) -> Selector:
    """The selector with its groups put in. ``ValueError``: unknown or cyclic groups."""
    if not any(part.field == "group" for term in selector.terms for part in term):
        return selector
    terms: list[Term] = []
    for term in selector.terms:
        made: list[Term] = [tuple(part for part in term if part.field != "group")]
        for part in term:
            if part.field == "group":
                inside = [t for name in part.values for t in _group(name, groups, above).terms]
                made = [(*a, *b) for a in made for b in inside]
        terms += made
    return Selector(tuple(dict.fromkeys(terms)))


def _group(name: str, groups: Mapping[str, Selector], above: tuple[str, ...]) -> Selector:
    if name not in groups:
        raise ValueError(f"there is no group {name!r} (known: {', '.join(sorted(groups)) or 'none'})")
    if name in above:
        raise ValueError(f"group {name!r} contains itself: {' -> '.join((*above, name))}")
    return flat(groups[name], groups, (*above, name))


def selectors_of(policy: PolicySet) -> Iterable[Selector]:
    """Every selector of a policy's rules, groups not put in."""
    for rule in (*policy.rules, *policy.keep):
        yield rule.source
        yield rule.target
    for side in policy.side_policies:
        yield side.subjects
        yield from (allow.peers for allow in side.allows)


class Universe:
    """The identities that there are."""

    def __init__(self, identities: Mapping[int, Identity], groups: Mapping[str, Selector]) -> None:
        self.bases = [identities[base] for base in sorted(identities) if base]
        self.groups = groups
        count = len(self.bases)
        self.is_workload = np.fromiter((not one.entity for one in self.bases), bool, count)
        width = np.where(self.is_workload, 4, 1)
        self.first: Ids = np.cumsum(width) - width
        self.base_of: Ids = np.repeat(np.arange(count), width)
        self.state_of: Ids = np.arange(int(width.sum())) - self.first[self.base_of]
        base_numbers = np.fromiter((one.base for one in self.bases), np.int64, count)
        self.numbers: Ids = base_numbers[self.base_of] << 2 | self.state_of
        """Identity number by index; ascending."""
        self._labels: dict[str, dict[str, list[int]]] = {}
        self._kinds: dict[str, dict[str, list[int]]] = {
            "kind": {},
            "name": {},
            "origin": {},
            "cidr": {},
            "entity": {},
        }
        for index, one in enumerate(self.bases):
            for key, value in one.labels.items():
                self._labels.setdefault(key, {}).setdefault(value, []).append(index)
            for field in ("kind", "name", "origin", "entity"):
                if value := getattr(one, field):
                    self._kinds[field].setdefault(value, []).append(index)
            for text in one.cidrs:
                self._kinds["cidr"].setdefault(text, []).append(index)
        self._masks: dict[Requirement, Bools] = {}
        self._ids: dict[tuple[tuple[Term, ...], int, int], Ids] = {}
        self.extra = np.zeros(count, bool)
        """Bases whose restricted state takes part in ordinary rules: see ``ids``."""

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def everybody(self) -> list[Ids]:
        """The arrays of identities that ``ids`` has given for selectors of everything."""
        return [ids for (terms, _, _), ids in self._ids.items() if () in terms]

    # -- one selector --------------------------------------------------------------------------------------------------

    def _postings(self, part: Requirement) -> tuple[Mapping[str, list[int]], Bools]:
        """Bases by value, and all bases that have one."""
        if part.field == "label":
            return self._labels.get(part.key, {}), self.is_workload
        return self._kinds[part.field], self.is_workload

    def mask(self, part: Requirement) -> Bools:
        """The bases that fulfil a requirement (not of states)."""
        known = self._masks.get(part)
        if known is not None:
            return known
        postings, workloads = self._postings(part)
        found = np.zeros(len(self.bases), bool)
        if part.op in (Op.EXISTS, Op.NOT_EXISTS):
            for indices in postings.values():
                found[indices] = True
        else:
            values = (
                [str(Cidr.parse(value)) for value in part.values] if part.field == "cidr" else part.values
            )
            for value in values:
                found[postings.get(value, [])] = True
        if part.op in (Op.NOT_IN, Op.NOT_EXISTS):
            found = workloads & ~found
        self._masks[part] = found
        return found

    def term_bases(self, term: Term) -> Ids:
        """The bases that fulfil all requirements of a term but those of states, ascending."""
        if len(term) == 1 and term[0].op is Op.IN and term[0].field not in ("state", "cidr"):
            postings, _ = self._postings(term[0])
            if len(term[0].values) == 1:
                return np.array(postings.get(term[0].values[0], ()), np.int64)
            return np.array(
                sorted({base for value in term[0].values for base in postings.get(value, ())}), np.int64
            )
        parts = [part for part in term if part.field != "state"]
        if len(parts) < len(term):
            parts_mask = self.is_workload
        elif not parts:
            return np.arange(len(self.bases))
        else:
            parts_mask = self.mask(parts[0])
            parts = parts[1:]
        for part in parts:
            parts_mask = parts_mask & self.mask(part)
        return np.flatnonzero(parts_mask)

    def ids(self, selector: Selector, states: int = ALL_STATES, extra: bool = False) -> Ids:
        """The identities that a selector selects, of the given states (a bit each); ascending.

        ``extra``: also the restricted identities of bases in ``self.extra``.
        """
        selector = flat(selector, self.groups)
        key = (selector.terms, states, extra)
        known = self._ids.get(key)
        if known is not None:
            return known
        found = [
            self._expand(self.term_bases(term), states & _states(term), extra and _states(term))
            for term in selector.terms
        ]
        made = found[0] if len(found) == 1 else np.unique(np.concatenate(found))
        self._ids[key] = made
        return made

    def _expand(self, bases: Ids, states: int, extra: int) -> Ids:
        """Identities of bases in some states."""
        if states == 0b0011 and not (extra and self.extra.any()) and self.is_workload[bases].all():
            both: Ids = (self.first[bases][:, None] + np.arange(2)).reshape(-1)
            return both
        first, workloads = self.first[bases], self.is_workload[bases]
        parts = [first] if states & 1 else []
        for state in (1, 2, 3):
            if states >> state & 1:
                parts.append(first[workloads] + state)
            elif state == State.RESTRICTED and extra >> state & 1 and self.extra.any():
                parts.append(first[workloads & self.extra[bases]] + state)
        if not parts:
            return np.zeros(0, np.int64)
        made = np.concatenate(parts)
        made.sort()
        return made


def _states(term: Term) -> int:
    """The states that a term admits, a bit each."""
    return reduce(lambda bits, part: bits & _bits(part), (p for p in term if p.field == "state"), ALL_STATES)


def _bits(part: Requirement) -> int:
    bits = sum(1 << STATES.index(value) for value in part.values)
    return bits if part.op is Op.IN else ALL_STATES & ~bits
