# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Lists of clauses to verdicts per service: rows of the service tables, tags with their provenance.

A list is the same for all pairs that the same clauses apply to. Its services fall into atoms: single ports, ICMP types,
range classes (stretches of ports between the ends of all ranges that the policy uses), and the rest. For each atom the
clauses that match it are decided; lists that decide alike become one.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.policy.inner import Clause, Level, Role
from appliance.policy.model import Action, Band, Default
from appliance.policy.pairs import Ragged, distinct, mix
from appliance.policy.program import Verdict
from appliance.policy.service import Protocol, Span
from appliance.policy.universe import Ids

OTHER: Final = 0
"""The atom of all that no clause of the list names."""
KIND_SINGLE: Final = 1
KIND_RANGE: Final = 2
NOTHING: Final = (1 << 62) - 1
_POSITION: Final = 40


def atom(kind: int, protocol: Protocol, low: int) -> int:
    """The number of an atom: stable, made of what it stands for."""
    return kind << 32 | protocol << 16 | low


@dataclass(frozen=True, slots=True)
class Stretches:
    """By row: stretches of indices (from ``low`` up to, not including, ``high``), ascending and apart."""

    rows: Ragged
    """By row: its stretches, as positions in ``low`` and ``high``."""
    low: Ids
    high: Ids
    width: int
    """How many indices there are."""

    @classmethod
    def of(cls, parts: Sequence[Sequence[tuple[int, int]]], width: int) -> Stretches:
        """From stretches that may overlap or be empty, in any order."""
        low: list[int] = []
        high: list[int] = []
        length = np.zeros(len(parts), np.int64)
        for row, part in enumerate(parts):
            first = len(low)
            for a, b in sorted(part):
                if a < b and len(low) > first and a <= high[-1]:
                    high[-1] = max(high[-1], b)
                elif a < b:
                    low.append(a)
                    high.append(b)
            length[row] = len(low) - first
        rows = Ragged(np.cumsum(length) - length, length, np.arange(len(low)))
        return cls(rows, np.array(low, np.int64), np.array(high, np.int64), width)

    @property
    def count(self) -> Ids:
        """By row: how many indices."""
        return np.bincount(self.rows.rows, self.high - self.low, len(self.rows.length)).astype(np.int64)

    def take(self, which: Ids) -> tuple[Ids, Ids]:
        """Some rows, in this order: position in ``which``, index."""
        position, stretch = self.rows.take(which)
        wide, index = Ragged(self.low, self.high - self.low, np.arange(self.width)).take(stretch)
        return position[wide], index

    def has(self, rows: Ids, indices: Ids) -> NDArray[np.bool_]:
        """Whether each row has the index."""
        if not len(self.low):
            return np.zeros(len(rows), bool)
        base = self.rows.rows * self.width
        wanted = rows * self.width + indices
        at = np.searchsorted(base + self.low, wanted, "right") - 1
        found: NDArray[np.bool_] = (at >= 0) & (wanted < (base + self.high)[at])
        return found


@dataclass(frozen=True, slots=True)
class Atoms:
    """What the services of a policy fall into."""

    numbers: Ids
    """Ascending; OTHER is first."""
    covered: Stretches
    """By set of services: the atoms that it matches."""
    named: Stretches
    """By set of services: the atoms (indices) that its spans are made of."""
    ranges: tuple[tuple[Protocol, int, int], ...]
    """The range classes: protocol, low, high."""


def atoms(sets: Sequence[tuple[Span, ...]]) -> Atoms:
    """Of all sets of services in use."""
    spans = {span for one in sets for span in one if span.protocol is not Protocol.ANY}
    singles = {(span.protocol, span.low) for span in spans if span.low == span.high}
    wide = [span for span in spans if span.low != span.high]
    ranges: list[tuple[Protocol, int, int]] = []
    for protocol in sorted({span.protocol for span in wide}):
        mine = [span for span in wide if span.protocol is protocol]
        if protocol in (Protocol.ICMP, Protocol.ICMP6):
            whole = [span for span in mine if (span.low, span.high) == (protocol.least, protocol.most)]
            singles |= {
                (protocol, n) for span in mine if span not in whole for n in range(span.low, span.high + 1)
            }
            mine = whole
        edges = sorted({edge for span in mine for edge in (span.low, span.high + 1)})
        for low, after in pairwise(edges):
            if any(span.low <= low <= span.high for span in mine):
                ranges.append((protocol, low, after - 1))
    keyed = sorted(
        [(atom(KIND_SINGLE, p, n), p, n, n) for p, n in singles]
        + [(atom(KIND_RANGE, p, low), p, low, high) for p, low, high in ranges]
    )
    numbers = np.array([OTHER, *(number for number, _, _, _ in keyed)], np.int64)
    ascending = numbers.tolist()
    high_of = [0, *(high for _, _, _, high in keyed)]

    def inside(kind: int, span: Span) -> tuple[int, int]:
        low, high = (atom(kind, span.protocol, number) for number in (span.low, span.high))
        first, last = bisect_left(ascending, low), bisect_right(ascending, high)
        # A range may begin where a single number is, or a few ICMP types, and go beyond.
        return first, last - (first < last and high_of[last - 1] > span.high)

    covered: list[list[tuple[int, int]]] = []
    named: list[list[tuple[int, int]]] = []
    for one in sets:
        covered.append([])
        named.append([])
        for span in one:
            if span.protocol is Protocol.ANY:
                covered[-1].append((0, len(numbers)))
                continue
            singly, widely = inside(KIND_SINGLE, span), inside(KIND_RANGE, span)
            covered[-1] += [singly, widely]
            icmp_part = span.protocol in (Protocol.ICMP, Protocol.ICMP6) and span.high - span.low < 255
            named[-1].append(singly if span.low == span.high or icmp_part else widely)
    width = len(numbers)
    return Atoms(numbers, Stretches.of(covered, width), Stretches.of(named, width), tuple(ranges))


@dataclass(frozen=True, slots=True)
class Decided:
    """The result. Rows are sorted by (list, atom)."""

    list_number: NDArray[np.uint32]
    """By list as it came in: its number in the tables; 0 for lists that are one verdict."""
    list_tag: NDArray[np.uint64]
    """By list as it came in: the tag of what no atom of it is; 0: none, the default."""
    row_list: NDArray[np.uint32]
    row_atom: Ids
    row_tag: NDArray[np.uint64]
    verdicts: dict[int, Verdict]
    default_tag: int
    ranges: tuple[tuple[Protocol, int, int], ...]


def tag_of(verdict: Verdict) -> int:
    """The tag of a verdict: a hash of its content, never 0."""
    words = "\0".join(
        str(part)
        for part in (
            int(verdict.action), int(verdict.band), verdict.rule, verdict.log, verdict.alert, verdict.peer_rule,
            verdict.audit_action, verdict.audit_band, verdict.audit_rule,
        )
    )  # fmt: skip
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big") or 1


class _Judge:
    """Decides groups of clauses. Outcomes are int64: level << 40 | position; lower wins."""

    def __init__(self, clauses: Sequence[Clause], default: Default) -> None:
        self.clauses = clauses
        self.default = default
        order = sorted(
            range(len(clauses)),
            key=lambda i: (
                clauses[i].level,
                clauses[i].action is not Action.REJECT,
                clauses[i].priority,
                clauses[i].name,
                i,
            ),
        )
        self.by_position = np.array(order, np.int64)
        position = np.empty(len(clauses), np.int64)
        position[self.by_position] = np.arange(len(clauses))
        level = np.fromiter((int(c.level) for c in clauses), np.int64, len(clauses))
        self.rank = level << _POSITION | position
        self.role = np.fromiter((int(c.role) for c in clauses), np.int64, len(clauses))
        self.audit = np.fromiter((c.audit for c in clauses), bool, len(clauses))
        self.has_roles = bool((self.role != Role.DECIDE).any())
        self.side_outcomes: dict[tuple[Action, int, int], int] = {}

    def decide(self, group_start: Ids, members: Ids) -> tuple[Ids, Ids]:
        """Enforced and audit outcome of each group of clauses; ``group_start`` ascends, no group is empty."""

        def least(which: NDArray[np.bool_]) -> Ids:
            return np.minimum.reduceat(np.where(which, self.rank[members], NOTHING), group_start)

        decide = self.role[members] == Role.DECIDE
        enforced = least(decide & ~self.audit[members])
        audit = least(decide)
        if self.has_roles:
            by_role: dict[Role, Ids] = {
                role: least(self.role[members] == role) for role in Role if role is not Role.DECIDE
            }
            other = np.minimum(self._restricted(by_role), self._sides(by_role))
            enforced, audit = np.minimum(enforced, other), np.minimum(audit, other)
        return enforced, audit

    @staticmethod
    def _restricted(by_role: dict[Role, Ids]) -> Ids:
        """Each end that is restricted needs a baseline of its own."""
        return np.minimum(
            *(
                np.where(by_role[allow] == NOTHING, by_role[isolate], NOTHING)
                for isolate, allow in (
                    (Role.RESTRICT_SOURCE, Role.BASELINE_SOURCE),
                    (Role.RESTRICT_TARGET, Role.BASELINE_TARGET),
                )
            )
        )

    def _sides(self, by_role: dict[Role, Ids]) -> Ids:
        """Both sides must agree where one is isolated; the denying side is named, else ingress."""
        egress, egress_allow = by_role[Role.EGRESS_ISOLATE], by_role[Role.EGRESS_ALLOW]
        ingress, ingress_allow = by_role[Role.INGRESS_ISOLATE], by_role[Role.INGRESS_ALLOW]
        found = np.full(len(egress), NOTHING)
        concerned = np.flatnonzero((egress != NOTHING) | (ingress != NOTHING))
        if not len(concerned):
            return found
        packed = np.stack([part[concerned] for part in (egress, egress_allow, ingress, ingress_allow)])
        unique, inverse = np.unique(packed, axis=1, return_inverse=True)
        outcomes = [self._side(*(int(part) for part in column)) for column in unique.T]
        found[concerned] = np.array(outcomes, np.int64)[inverse.reshape(-1)]
        return found

    def _side(self, egress: int, egress_allow: int, ingress: int, ingress_allow: int) -> int:
        has_out, has_in = egress != NOTHING, ingress != NOTHING
        out_named = egress_allow if egress_allow != NOTHING else egress if has_out else NOTHING
        in_named = ingress_allow if ingress_allow != NOTHING else ingress if has_in else NOTHING
        if has_in and ingress_allow == NOTHING:
            key = (Action.BLOCK, ingress, out_named)
        elif has_out and egress_allow == NOTHING:
            key = (Action.BLOCK, egress, in_named)
        elif has_in:
            key = (Action.ALLOW, ingress_allow, out_named)
        else:
            key = (Action.ALLOW, egress_allow, in_named)
        number = self.side_outcomes.setdefault(key, len(self.side_outcomes))
        return Level.SIDES << _POSITION | number

    # -- outcomes as verdicts ------------------------------------------------------------------------------------------

    def clause(self, outcome: int) -> Clause:
        """The clause of an outcome that is one."""
        return self.clauses[int(self.by_position[outcome & (1 << _POSITION) - 1])]

    def audits(self, outcomes: Ids) -> NDArray[np.bool_]:
        """Whether a rule in audit mode decided."""
        decided = (outcomes != NOTHING) & (outcomes >> _POSITION != Level.SIDES)
        clause = self.by_position[np.where(decided, outcomes & (1 << _POSITION) - 1, 0)]
        by_audit: NDArray[np.bool_] = decided & self.audit[clause]
        return by_audit

    def verdict(self, enforced: int, audit: int) -> Verdict:
        """Of an enforced outcome, and an audit outcome (-1: none is recorded)."""
        action, band, rule, log, alert, peer = self._parts(enforced)
        if audit < 0:
            return Verdict(action=action, band=band, rule=rule, log=log, alert=alert, peer_rule=peer)
        seen = self._parts(audit)
        return Verdict(
            action=action, band=band, rule=rule, log=log, alert=alert, peer_rule=peer,
            audit_action=seen[0], audit_band=seen[1], audit_rule=seen[2],
        )  # fmt: skip

    def _parts(self, outcome: int) -> tuple[Action, Band, str, bool, bool, str]:
        if outcome == NOTHING:
            action = self.default.action
            return action, Band.DEFAULT, "default", False, action is Action.ALERT, ""
        if outcome >> _POSITION == Level.SIDES:
            number = outcome & (1 << _POSITION) - 1
            action, named, peer = list(self.side_outcomes)[number]
            band = Band.ALLOW if action is Action.ALLOW else Band.BLOCK
            return (
                action,
                band,
                self.clause(named).name,
                False,
                False,
                "" if peer == NOTHING else self.clause(peer).name,
            )
        clause = self.clause(outcome)
        alert = clause.alert or clause.action is Action.ALERT
        return clause.action, clause.band, clause.name, clause.log, alert, ""


def _tags(judge: _Judge, enforced: Ids, audit: Ids, verdicts: dict[int, Verdict]) -> NDArray[np.uint64]:
    """The tags of outcomes; equal ones are made once."""
    audit = np.where(judge.audits(audit), audit, -1)
    order = np.lexsort((audit, enforced))
    new = np.ones(len(order), bool)
    new[1:] = (enforced[order][1:] != enforced[order][:-1]) | (audit[order][1:] != audit[order][:-1])
    group = np.cumsum(new) - 1
    tags = np.zeros(int(new.sum()), np.uint64)
    for at, row in enumerate(order[new]):
        verdict = judge.verdict(int(enforced[row]), int(audit[row]))
        tag = tag_of(verdict)
        if verdicts.setdefault(tag, verdict) != verdict:
            raise AssertionError(f"two verdicts have the tag {tag:#x}")
        tags[at] = tag
    found = np.empty(len(order), np.uint64)
    found[order] = tags[group]
    return found


def decide(clauses: Sequence[Clause], lists: Ragged, default: Default) -> Decided:
    """Verdicts of all lists."""
    judge = _Judge(clauses, default)
    sets: dict[tuple[Span, ...], int] = {}
    set_of = np.fromiter((sets.setdefault(c.services, len(sets)) for c in clauses), np.int64, len(clauses))
    split = atoms(list(sets))
    count = len(lists.length)
    # Every list with each atom that its clauses name, and OTHER.
    position, atom_index = split.named.take(set_of[lists.data])
    list_of = lists.rows[position]
    width = len(split.numbers)
    cells = distinct(np.concatenate([list_of * width + atom_index, np.arange(count) * width]))
    row_list, row_atom = cells // width, cells % width
    cell, members = _matches(lists, set_of, split.covered, cells)
    verdicts: dict[int, Verdict] = {}
    enforced = np.full(len(cells), NOTHING)
    audit = np.full(len(cells), NOTHING)
    if len(cell):
        starts = np.flatnonzero(np.append(True, cell[1:] != cell[:-1]))
        enforced[cell[starts]], audit[cell[starts]] = judge.decide(starts, members)
    tags = _tags(judge, enforced, audit, verdicts)
    (default_tag,) = _tags(judge, np.array([NOTHING]), np.array([NOTHING]), verdicts).tolist()
    return _lists(row_list, split.numbers[row_atom], tags, count, default_tag, verdicts, split.ranges)


def _matches(lists: Ragged, set_of: Ids, covered: Stretches, cells: Ids) -> tuple[Ids, Ids]:
    """Cells (list * width + atom, ascending) and the clauses of their list that match their atom: index of the cell,
    ascending, and clause.

    Of each clause in a list either the atoms that it matches are looked up among the list's, or the other way round,
    whichever are fewer: ten thousand clauses of one list, each with a port of its own, are as many look-ups.
    """
    row_list, row_atom = cells // covered.width, cells % covered.width
    of_list = Ragged.grouped(row_list, np.arange(len(cells)), len(lists.length))
    row, clause = lists.rows, lists.data
    services = set_of[clause]
    by_atom = covered.count[services] < of_list.length[row]
    few, many = np.flatnonzero(by_atom), np.flatnonzero(~by_atom)
    position, index = covered.take(services[few])
    wanted = row[few][position] * covered.width + index
    at = np.minimum(np.searchsorted(cells, wanted), len(cells) - 1)
    there = cells[at] == wanted
    other, cell = of_list.take(row[many])
    match = covered.has(services[many][other], row_atom[cell])
    cell = np.concatenate([at[there], cell[match]])
    clause = np.concatenate([clause[few][position[there]], clause[many][other[match]]])
    order = np.argsort(cell, kind="stable")
    return cell[order], clause[order]


def _lists(
    row_list: Ids, row_atom: Ids, tags: NDArray[np.uint64], count: int, default_tag: int,
    verdicts: dict[int, Verdict], ranges: tuple[tuple[Protocol, int, int], ...],
) -> Decided:  # fmt: skip
    """Lists that decide alike become one, numbered by what they decide."""
    is_other = row_atom == OTHER
    list_tag = np.zeros(count, np.uint64)
    list_tag[row_list[is_other]] = tags[is_other]
    # Atoms that decide as their list's rest does say nothing, unless a range in between decides otherwise.
    plain = _all_same(row_list, tags, count)
    first, second = np.zeros(count, np.uint64), np.zeros(count, np.uint64)
    with np.errstate(over="ignore"):
        np.add.at(first, row_list, mix(mix(row_atom, 5) ^ tags, 6))
        np.add.at(second, row_list, mix(mix(row_atom, 7) ^ tags, 8))
    number = _short(first, second, plain)
    named = ~is_other | (tags != default_tag)
    keep = named & ~plain[row_list]
    rows = np.stack([number[row_list[keep]].astype(np.int64), row_atom[keep]])
    order = np.lexsort((rows[1], rows[0]))
    new = np.ones(len(order), bool)
    new[1:] = (rows[:, order][:, 1:] != rows[:, order][:, :-1]).any(axis=0)
    chosen = order[new]
    return Decided(
        number, list_tag, rows[0][chosen].astype(np.uint32), rows[1][chosen], tags[keep][chosen], verdicts,
        default_tag, ranges,
    )  # fmt: skip


def _all_same(row_list: Ids, tags: NDArray[np.uint64], count: int) -> NDArray[np.bool_]:
    """The lists that say one thing whatever the service."""
    low, high = np.full(count, np.iinfo(np.uint64).max, np.uint64), np.zeros(count, np.uint64)
    np.minimum.at(low, row_list, tags)
    np.maximum.at(high, row_list, tags)
    same: NDArray[np.bool_] = low == high
    return same


def _short(
    first: NDArray[np.uint64], second: NDArray[np.uint64], plain: NDArray[np.bool_]
) -> NDArray[np.uint32]:
    """32-bit numbers out of 128-bit contents: the same for the same content, different for different ones."""
    wanted = np.flatnonzero(~plain)
    number = np.zeros(len(first), np.uint32)
    contents = np.stack([first[wanted], second[wanted]])
    order = np.lexsort((contents[1], contents[0]))
    new = np.ones(len(order), bool)
    new[1:] = (contents[:, order][:, 1:] != contents[:, order][:, :-1]).any(axis=0)
    group = np.cumsum(new) - 1
    unique = contents[:, order][:, new]
    short = (unique[0] & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    taken = set(short.tolist())
    clashes = _repeated(short)
    for at in clashes:
        probe = int(short[at])
        while probe in taken or probe == 0:
            probe = (probe + 0x9E3779B1) & 0xFFFFFFFF
        taken.add(probe)
        short[at] = probe
    number[wanted[order]] = short[group]
    return number


def _repeated(values: NDArray[np.uint32]) -> Iterable[int]:
    """Where a value comes again, and where it is 0."""
    order = np.argsort(values, kind="stable")
    again = np.zeros(len(values), bool)
    again[order[1:]] = values[order][1:] == values[order][:-1]
    return np.flatnonzero(again | (values == 0)).tolist()
