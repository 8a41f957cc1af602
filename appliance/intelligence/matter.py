# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The rules of a fleet, asked from either end: who matters to somebody, and to whom somebody matters.

A *base* is an identity in its normal state; its *stranger* is what the same address would be if nobody knew it. A base
matters to another when a clause that counts tells it from its stranger (``relevance`` says which count).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.policy.model import Side
from appliance.policy.program import Identity
from appliance.policy.selector import Op, Selector
from appliance.policy.universe import ALL_STATES, Term, Universe, flat

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
KEPT: Final = 1024
"""Bases whose ends are remembered: each takes three bytes for every base that there is."""
_NORMAL: Final = 0b0001
_WATCHED: Final = 0b0010


@dataclass(frozen=True)
class Clause:
    """Somebody, somebody else, and whether it tells."""

    source: Selector
    target: Selector
    tells: bool
    subject: Side | None = None
    """EGRESS: the source is the subject of a two-sided policy, which is a workload always; INGRESS: the target is."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Whom a base concerns, by base."""

    telling: Bools
    """It matters to them by a clause that tells."""
    silent: Bools
    """It matters to them by a silent one, where something could pass."""
    passing: Bools
    """Something may pass between it and them."""


class Index:
    """Which bases each selector selects, and where it tells a base from its stranger. It is never changed."""

    def __init__(
        self, clauses: Iterable[Clause], groups: Mapping[str, Selector], *, passes: bool,
        identities: Sequence[Identity], fallback: Sequence[int], live: Iterable[int],
    ) -> None:  # fmt: skip
        """``passes``: what no rule decides may pass. ``fallback``: by base its stranger; of a stranger, itself.
        ``live``: bases that somebody has.
        """
        self._groups, self._passes = groups, passes
        self._asked: list[tuple[Selector, bool]] = []
        numbers: dict[tuple[tuple[Term, ...], bool], int] = {}

        def number(selector: Selector, subject: bool) -> int:
            plain = flat(selector, groups)
            known = numbers.setdefault((plain.terms, subject), len(self._asked))
            if known == len(self._asked):
                self._asked.append((plain, subject))
            return known

        rows = [
            (
                number(one.source, one.subject is Side.EGRESS),
                number(one.target, one.subject is Side.INGRESS),
                one.tells,
            )
            for one in clauses
        ]
        self._source = np.array([row[0] for row in rows], np.int64)
        self._target = np.array([row[1] for row in rows], np.int64)
        self._tells = np.array([row[2] for row in rows], bool)
        self._by_label: dict[tuple[str, str], list[int]] = {}
        self._anyhow: list[int] = []
        """Selectors that may select whoever has none of the labels that they name."""
        for which, (selector, _) in enumerate(self._asked):
            needed = _needed(selector)
            if needed is None:
                self._anyhow.append(which)
            for label in needed or ():
                self._by_label.setdefault(label, []).append(which)
        none = np.zeros(0, np.int64)
        self._count = 0
        self._member_of, self._member_base = none, none
        self._differs_of, self._differs_base = none, none
        self._strange_of, self._strange_base = none, none
        self._ends: dict[int, Ends] = {}
        self._grow(range(len(self._asked)), identities, fallback)
        self._strangers = self._met(fallback, live)

    def extended(
        self, identities: Sequence[Identity], fallback: Sequence[int], live: Iterable[int]
    ) -> tuple[Index, bool]:
        """With more bases behind those that it has, and whether to those that it has the same matter still."""
        made = Index.__new__(Index)
        made.__dict__ |= self.__dict__
        if fresh := identities[self._count :]:
            made._ends = {}
            made._grow(sorted(self._asking(fresh)), identities, fallback)
        made._strangers = made._met(fallback, live)
        return made, bool(np.array_equal(made._strangers, self._strangers))

    def _asking(self, identities: Iterable[Identity]) -> set[int]:
        """Selectors that may select one of them."""
        labels = {label for one in identities for label in one.labels.items()}
        return {number for label in labels for number in self._by_label.get(label, ())}.union(self._anyhow)

    def _met(self, fallback: Sequence[int], live: Iterable[int]) -> Bools:
        """Selectors that select a stranger of somebody."""
        there = marked(np.array([fallback[base] for base in live], np.int64), self._count)
        return marked(self._strange_of[there[self._strange_base]], len(self._asked))

    def _grow(self, numbers: Iterable[int], identities: Sequence[Identity], fallback: Sequence[int]) -> None:
        """Take in what selectors say of the bases that are new. Each base is selected, or not, by itself."""
        first, self._count = self._count, len(identities)
        fresh = np.arange(first, self._count)
        which = np.union1d(fresh, np.array(fallback[first:], np.int64))
        universe = Universe({identities[at].base: identities[at] for at in which.tolist()}, self._groups)
        is_new = which >= first
        back = np.searchsorted(which, np.array([fallback[at] for at in which.tolist()], np.int64))
        is_stranger = back == np.arange(len(which))
        members: list[tuple[int, Ints]] = []
        differing: list[tuple[int, Ints]] = []
        strange: list[tuple[int, Ints]] = []
        for number in numbers:
            selector, subject = self._asked[number]
            everybody, normal, watched = (
                marked(universe.base_of[universe.ids(selector, states)], len(which))
                & ~(is_stranger & subject)
                for states in (ALL_STATES, _NORMAL, _WATCHED)
            )
            stranger = normal[back]
            differs = (normal != stranger) | (watched != stranger)
            members.append((number, which[everybody & is_new]))
            differing.append((number, which[differs & ~is_stranger & is_new]))
            strange.append((number, which[normal & is_stranger & is_new]))
        self._member_of, self._member_base = _joined(self._member_of, self._member_base, members)
        self._differs_of, self._differs_base = _joined(self._differs_of, self._differs_base, differing)
        self._strange_of, self._strange_base = _joined(self._strange_of, self._strange_base, strange)

    def mattering(self, own: Ints) -> tuple[Bools, Bools, bool]:
        """By base: whether it matters to somebody with these bases; whether something may pass between them. And
        whether silent clauses count for him.
        """
        mine = marked(own, self._count)
        selected = marked(self._member_of[mine[self._member_base]], len(self._asked))
        telling, silent = self._across(selected)
        opened = self._passes or bool((telling & self._strangers).any())
        wanted = telling | silent if opened else telling
        matter = marked(self._differs_base[wanted[self._differs_of]], self._count)
        return matter, self._passing(telling), opened

    def _across(self, selected: Bools) -> tuple[Bools, Bools]:
        """The selectors at the other end of clauses that tell, and of silent ones."""
        as_target, as_source = selected[self._target], selected[self._source]
        count = len(self._asked)
        found = []
        for tells in (self._tells, ~self._tells):
            found.append(
                marked(
                    np.concatenate([self._source[as_target & tells], self._target[as_source & tells]]), count
                )
            )
        return found[0], found[1]

    def _passing(self, telling: Bools) -> Bools:
        if self._passes:
            return np.ones(self._count, bool)
        return self._selected(telling)

    def _selected(self, numbers: Bools) -> Bools:
        return marked(self._member_base[numbers[self._member_of]], self._count)

    def ends(self, base: int) -> Ends:
        """Whom a base concerns: the same as ``mattering`` says, from its end."""
        known = self._ends.get(base)
        if known is None:
            count = len(self._asked)
            telling, silent = self._across(marked(self._differs_of[self._differs_base == base], count))
            passing, _ = self._across(marked(self._member_of[self._member_base == base], count))
            if len(self._ends) >= KEPT:
                del self._ends[next(iter(self._ends))]
            known = self._ends[base] = Ends(
                self._selected(telling), self._selected(silent), self._passing(passing)
            )
        return known


def _needed(selector: Selector) -> list[tuple[str, str]] | None:
    """Labels of which everybody who is selected has one; None: there are none."""
    found: list[tuple[str, str]] = []
    for term in selector.terms:
        part = next((one for one in term if one.field == "label" and one.op is Op.IN), None)
        if part is None:
            return None
        found += [(part.key, value) for value in part.values]
    return found


def marked(indices: Ints, count: int) -> Bools:
    """True at the indices."""
    made = np.zeros(count, bool)
    made[indices] = True
    return made


def _joined(of: Ints, base: Ints, more: Sequence[tuple[int, Ints]]) -> tuple[Ints, Ints]:
    """Number of the selector, and base, of each pair."""
    return (
        np.concatenate([of, *(np.full(len(bases), number) for number, bases in more)]).astype(np.int64),
        np.concatenate([base, *(bases for _, bases in more)]).astype(np.int64),
    )
