# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""From what was seen to rules: few label-based allow rules that cover all observed connections.

Candidates for each side are conjunctions of up to two labels (kind is one) of the identities seen. A pair of candidates
is offered for a service when enough of the pairs it would permit were seen (``share``). Of all of them the one that
covers most of what is left is taken, again and again; what no candidate covers is named by all its labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.policy.evaluate import MISSING, Service, evaluator_of
from appliance.policy.model import Band, Rule
from appliance.policy.program import Identity, Program
from appliance.policy.selector import Op, Requirement, Selector
from appliance.policy.simulate import Flows

Matrix = NDArray[np.float32]
EXACT: Final = 0.999
MAX_CANDIDATES: Final = 3000


@dataclass(frozen=True, slots=True)
class Seen:
    """Connections between bases on a service, and how many."""

    source: int
    target: int
    service: Service
    count: int = 1


@dataclass(frozen=True, slots=True)
class Recommended:
    """A rule, and what it would do."""

    rule: Rule
    flows: int
    """Observed connections that it covers."""
    pairs_seen: int
    """(source base, target base, service) that it permits and that were seen."""
    pairs_extra: int
    """Those that it permits though nobody was seen doing that."""


def seen_in(program: Program, flows: Flows) -> list[Seen]:
    """Observed connections by base."""
    source, target = flows.identities(evaluator_of(program))
    known = (source != MISSING) & (target != MISSING)
    packed = np.stack([
        source[known].astype(np.int64) >> 2, target[known].astype(np.int64) >> 2,
        flows.protocol[known].astype(np.int64), flows.port[known].astype(np.int64),
    ])  # fmt: skip
    if not packed.shape[1]:
        return []
    groups, count = np.unique(packed, axis=1, return_counts=True)
    return [
        Seen(int(s), int(t), Service(int(p), int(d)), int(n))
        for (s, t, p, d), n in zip(groups.T, count, strict=True)
    ]


def recommend(
    program: Program, seen: Iterable[Seen], *, labels: Iterable[str] = (), share: float = 0.75
) -> list[Recommended]:
    """Rules that cover everything seen. ``labels``: keys that selectors may use (``kind`` is one), none: all.

    ``share``: how much of what a rule permits must have been seen, 0 to 1; at 1 nothing extra is permitted.
    """
    observed = list(seen)
    if not observed:
        return []
    return _Search(program, observed, frozenset(labels), min(share, EXACT)).run()


class _Search:
    def __init__(self, program: Program, seen: list[Seen], labels: frozenset[str], share: float) -> None:
        self.labels, self.share = labels, share
        self.bases = sorted({base for base in program.identities if base})
        self.index = {base: i for i, base in enumerate(self.bases)}
        self.identities = [program.identities[base] for base in self.bases]
        members: dict[int, set[str]] = {}
        for binding in program.bindings:
            members.setdefault(binding.identity >> 2, set()).add(binding.workload)
        number = len(self.bases)
        used = np.array(
            [bool(members.get(base)) or not self.identities[i].kind for i, base in enumerate(self.bases)]
        )
        possible = np.outer(used, used).astype(np.float32)
        for i, base in enumerate(self.bases):
            if self.identities[i].entity or len(members.get(base, ())) < 2:
                possible[i, i] = 0  # nobody else is like it
        self.services = sorted({one.service for one in seen}, key=lambda one: (one.protocol, one.port))
        self.flows = np.zeros((len(self.services), number, number), np.float32)
        for one in seen:
            place = self.services.index(one.service), self.index[one.source], self.index[one.target]
            self.flows[place] += one.count
            possible[place[1:]] = 1
        # What is no workload counts as possible only where it was seen: nobody knows what else there is.
        for i, identity in enumerate(self.identities):
            if identity.entity:
                possible[i, :] *= self.flows[:, i, :].any(axis=0)
                possible[:, i] *= self.flows[:, :, i].any(axis=0)
        self.possible = possible
        self.seen: Matrix = (self.flows > 0).astype(np.float32)
        self.left = self.seen.copy()
        self.said = [set(self._parts(identity)) for identity in self.identities]
        self.source = self._candidates(self.seen.any(axis=(0, 2)))
        self.target = self._candidates(self.seen.any(axis=(0, 1)))

    # -- candidates ----------------------------------------------------------------------------------------------------

    def _parts(self, identity: Identity) -> list[Requirement]:
        """What can be said of an identity, one requirement each."""
        if identity.entity:
            return [Requirement("entity", "", Op.IN, (identity.entity,))]
        said = [Requirement("label", key, Op.IN, (value,)) for key, value in sorted(identity.labels.items())]
        said.append(Requirement("kind", "", Op.IN, (identity.kind,)))
        allowed = [part for part in said if not self.labels or (part.key or part.field) in self.labels]
        return allowed or said

    def _selects(self, term: tuple[Requirement, ...]) -> Matrix:
        """By base: 1 where a term selects it."""
        return np.array([set(term) <= one for one in self.said], np.float32)

    def _candidates(self, used: NDArray[np.bool_] | np.bool_) -> tuple[list[Selector], Matrix]:
        """Selectors, and which bases each selects; of those that select alike the shortest."""
        seen = np.atleast_1d(used)
        terms: dict[tuple[Requirement, ...], None] = {}
        for i in np.flatnonzero(seen):
            parts = self._parts(self.identities[i])
            terms.update(dict.fromkeys((part,) for part in parts))
        for i in np.flatnonzero(seen):
            if len(terms) < MAX_CANDIDATES:
                terms.update(dict.fromkeys(combinations(self._parts(self.identities[i]), 2)))
        for i in np.flatnonzero(seen):
            terms[tuple(self._parts(self.identities[i]))] = None
        by_bases: dict[bytes, tuple[tuple[Requirement, ...], Matrix]] = {}
        for term in terms:
            row = self._selects(term)
            known = by_bases.get(row.tobytes())
            if known is None or len(term) < len(known[0]):
                by_bases[row.tobytes()] = (term, row)
        chosen = list(by_bases.values())
        return [Selector((term,)) for term, _ in chosen], np.stack([row for _, row in chosen])

    # -- search --------------------------------------------------------------------------------------------------------

    def run(self) -> list[Recommended]:
        (sources, a), (targets, b) = self.source, self.target
        permitted = a @ self.possible @ b.T
        covered = np.stack([a @ one @ b.T for one in self.seen])
        good = covered >= self.share * np.maximum(permitted, 1)
        simple = np.add.outer([len(s.terms[0]) for s in sources], [len(t.terms[0]) for t in targets])
        gain = np.stack([a @ one @ b.T for one in self.left])
        found: list[Recommended] = []
        while self.left.any():
            total = (gain * good).sum(axis=0)
            if total.max() < 0.5:
                found += self._rest(len(found))
                break
            extra = ((permitted - covered) * good * (gain > 0)).sum(axis=0)
            score = total - 0.01 * np.minimum(extra, 50) / 50 - 0.001 * simple
            i, j = np.unravel_index(int(score.argmax()), score.shape)
            which = [k for k in range(len(self.services)) if good[k, i, j] and gain[k, i, j] > 0]
            block = np.outer(a[i], b[j])
            found.append(self._made(len(found), sources[i], targets[j], which, block))
            for k in which:
                self.left[k] *= 1 - block
                gain[k] = a @ self.left[k] @ b.T
        return found

    def _made(
        self, number: int, source: Selector, target: Selector, which: list[int], block: Matrix
    ) -> Recommended:
        seen = sum(int((self.seen[k] * block).sum()) for k in which)
        permits = int((self.possible * block).sum()) * len(which)
        rule = Rule(
            name=f"seen-{number + 1}", band=Band.ALLOW, source=source, target=target,
            services=tuple(_text(self.services[k]) for k in which),
        )  # fmt: skip
        return Recommended(
            rule, sum(int((self.flows[k] * block).sum()) for k in which), seen, max(0, permits - seen)
        )

    def _rest(self, number: int) -> list[Recommended]:
        """What no candidate covers well enough: pairs by all their labels."""
        made: list[Recommended] = []
        for i, j in np.argwhere(self.left.any(axis=0)):
            which = [k for k in range(len(self.services)) if self.left[k, i, j]]
            if not which:
                continue  # a pair before it had the same labels
            terms = [tuple(self._parts(self.identities[x])) for x in (i, j)]
            block = np.outer(self._selects(terms[0]), self._selects(terms[1]))
            source, target = (Selector((term,)) for term in terms)
            made.append(self._made(number + len(made), source, target, which, block))
            for k in which:
                self.left[k] *= 1 - block
        return made


def _text(service: Service) -> str:
    return str(service) if not str(service).startswith("protocol/") else "any"
