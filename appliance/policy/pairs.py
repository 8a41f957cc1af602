# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Clauses to pairs of classes, each with the set of clauses that apply to it.

Identities that no clause tells apart as source (as target) share a class; those that no *wide* selector tells apart
share a wide class, which is coarser. A clause with narrow sides becomes pairs of classes, one with a wide side rows
that name the wide class instead. The four tables (narrow-narrow, wide-narrow, narrow-wide, wide-wide) are searched in
this order, so each row carries the clauses of all tables behind it too, and where a wide-narrow and a narrow-wide row
meet there is a narrow-narrow one. All of it is arrays; nothing loops over pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from appliance.policy.inner import BASELINES, Clause, Level
from appliance.policy.universe import Ids

Words = NDArray[np.uint64]
WIDE_LEAST: Final = 64
WIDE_SHARE: Final = 16
"""A selector is wide beyond so many classes, and beyond this fraction of all."""


class TooLargeError(Exception):
    """More pairs than the budget."""

    def __init__(self, pairs: int) -> None:
        self.pairs = pairs
        super().__init__(str(pairs))


def mix(values: NDArray[Any], seed: int = 0) -> Words:
    """A hash of each number (splitmix64)."""
    with np.errstate(over="ignore"):
        z = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15 * (seed + 1) & (1 << 64) - 1)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def distinct(values: Ids) -> Ids:
    """The values in ascending order, each once. (numpy's own goes by hash, which is slower for so many.)"""
    ordered = np.sort(values)
    new = np.ones(len(ordered), bool)
    new[1:] = ordered[1:] != ordered[:-1]
    kept: Ids = ordered[new]
    return kept


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of different lengths, one behind the other."""

    start: Ids
    length: Ids
    data: Ids

    @classmethod
    def of(cls, parts: Sequence[Ids]) -> Ragged:
        """From arrays."""
        length = np.fromiter((len(part) for part in parts), np.int64, len(parts))
        data = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        return cls(np.cumsum(length) - length, length, data)

    @classmethod
    def grouped(cls, groups: Ids, data: Ids, number: int) -> Ragged:
        """From data whose group is given; ``groups`` ascends."""
        length = np.bincount(groups, minlength=number)
        return cls(np.cumsum(length) - length, length, data)

    @property
    def rows(self) -> Ids:
        """The row of each datum."""
        return np.repeat(np.arange(len(self.length)), self.length)

    def take(self, which: Ids) -> tuple[Ids, Ids]:
        """Some rows, in this order: position in ``which``, datum."""
        length = self.length[which]
        position = np.repeat(np.arange(len(which)), length)
        offset = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
        return position, self.data[self.start[which][position] + offset]


@dataclass(frozen=True, slots=True)
class Classes:
    """A partition of the identities: class by identity, and by class its lowest identity."""

    of: Ids
    lowest: Ids

    def __len__(self) -> int:
        return len(self.lowest)


def classify(sides: Ragged, wanted: NDArray[np.bool_], number: int) -> Classes:
    """Identities are told apart by the wanted ones among the sides (each a row of identities)."""
    signature = np.zeros((number, 2), np.uint64)
    keep = wanted[sides.rows]
    rows, ids = sides.rows[keep], sides.data[keep]
    for column in (0, 1):
        np.add.at(signature[:, column], ids, mix(rows, column))
    order = np.lexsort((np.arange(number), signature[:, 1], signature[:, 0]))
    ordered = signature[order]
    new = np.ones(number, bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    group = np.cumsum(new) - 1
    lowest = order[new]
    rank = np.argsort(np.argsort(lowest))  # classes in order of their lowest identity
    of = np.empty(number, np.int64)
    of[order] = rank[group]
    return Classes(of, np.sort(lowest))


@dataclass(frozen=True, slots=True)
class Sides:
    """One end of all clauses: which identities, classes, and who is wide."""

    side_of_clause: Ids
    narrow: Classes
    wide: Classes
    is_wide: NDArray[np.bool_]
    classes: Ragged
    """By side: narrow classes, of wide sides wide classes."""
    wide_of_narrow: Ids
    identities: Ids
    """By side, how many."""


def sides(parts: Sequence[Ids], forced: Sequence[bool], number: int) -> Sides:
    """``parts``: identities by clause; ``forced``: this clause's side is wide whatever its size."""
    index: dict[int, int] = {}
    unique: list[Ids] = []
    of_clause = np.empty(len(parts), np.int64)
    for i, part in enumerate(parts):
        at = index.setdefault(id(part), len(unique))
        if at == len(unique):
            unique.append(part)
        of_clause[i] = at
    ragged = Ragged.of(unique)
    narrow = classify(ragged, np.ones(len(unique), bool), number)
    pairs = distinct(ragged.rows * len(narrow) + narrow.of[ragged.data])
    side, classes = pairs // len(narrow), pairs % len(narrow)
    count = np.bincount(side, minlength=len(unique))
    is_wide = count > max(WIDE_LEAST, len(narrow) // WIDE_SHARE)
    is_wide[of_clause[np.asarray(forced, bool)]] = True
    wide = classify(ragged, is_wide, number)
    wide_of_narrow = wide.of[narrow.lowest]
    of_wide = distinct(np.where(is_wide[side], wide_of_narrow[classes], classes) + side * len(narrow))
    side, classes = of_wide // len(narrow), of_wide % len(narrow)
    return Sides(
        of_clause,
        narrow,
        wide,
        is_wide,
        Ragged.grouped(side, classes, len(unique)),
        wide_of_narrow,
        ragged.length,
    )


@dataclass(slots=True)
class Table:
    """Rows of one table: keys ascending (source * width + target), and the clauses of each as a set number."""

    width: int
    keys: Ids
    sets: Ids
    members: Ragged
    """Clauses by set."""

    def find(self, keys: Ids) -> Ids:
        """The set of each key, -1 where there is no row."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.sets[at], -1)


@dataclass(frozen=True, slots=True)
class PairTable:
    """Rows of one of the four tables. Classes are numbers of their lowest identities' indices."""

    source: Ids
    target: Ids
    list_of: Ids
    behind: Ids
    """The list that a packet would get if the row were not there; -1: none."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The result. ``lists``: clauses by list, ascending."""

    source: Sides
    target: Sides
    tables: dict[str, PairTable]
    """``nn``, ``wn``, ``nw``, ``ww``."""
    lists: Ragged
    identity_pairs: int


def _contains(clause: Clause) -> bool:
    """Quarantine and restrict are wide however few there are."""
    return clause.level in (Level.QUARANTINE, Level.RESTRICT) and clause.role not in BASELINES


def expand(clauses: Sequence[Clause], number: int, everybody: Sequence[Ids], budget: int) -> Pairs:
    """All pairs of ``number`` identities. ``everybody``: the arrays of ``any``, which are always wide."""
    known = {id(one) for one in everybody}
    source = sides(
        [clause.source for clause in clauses],
        [_contains(clause) or id(clause.source) in known for clause in clauses], number,
    )  # fmt: skip
    target = sides(
        [clause.target for clause in clauses],
        [_contains(clause) or id(clause.target) in known for clause in clauses], number,
    )  # fmt: skip
    source_side, target_side = source.side_of_clause, target.side_of_clause
    before = int((source.identities[source_side] * target.identities[target_side]).sum())
    product = source.classes.length[source_side] * target.classes.length[target_side]
    if int(product.sum()) > budget:
        raise TooLargeError(int(product.sum()))
    wide_source, wide_target = source.is_wide[source_side], target.is_wide[target_side]
    levels = {}
    for name, which in (
        ("nn", ~wide_source & ~wide_target),
        ("wn", wide_source & ~wide_target),
        ("nw", ~wide_source & wide_target),
        ("ww", wide_source & wide_target),
    ):
        width = len(target.wide) if name[1] == "w" else len(target.narrow)
        levels[name] = _level(np.flatnonzero(which), source, target, width, len(clauses))
    return _merge(levels, source, target, before, budget)


def _level(clauses: Ids, source: Sides, target: Sides, width: int, number: int) -> Table:
    """The rows that some clauses make by themselves."""
    source_side, target_side = source.side_of_clause[clauses], target.side_of_clause[clauses]
    ls, lt = source.classes.length[source_side], target.classes.length[target_side]
    product = ls * lt
    row = np.repeat(np.arange(len(clauses)), product)
    offset = np.arange(int(product.sum())) - np.repeat(np.cumsum(product) - product, product)
    i, j = np.divmod(offset, lt[row]) if len(row) else (offset, offset)
    s = source.classes.data[source.classes.start[source_side][row] + i]
    t = target.classes.data[target.classes.start[target_side][row] + j]
    # Sorted by (key, clause); a clause meets a key once.
    packed = np.sort((s * width + t) * number + clauses[row])
    keys, members = np.divmod(packed, number) if len(packed) else (packed, packed)
    new = np.ones(len(keys), bool)
    new[1:] = keys[1:] != keys[:-1]
    starts = np.flatnonzero(new)
    if not len(starts):
        none = np.zeros(0, np.int64)
        return Table(width, none, none, Ragged(none, none, none))
    sets, first = _sets(members, starts)
    length = np.diff(np.append(starts, len(keys)))
    return Table(width, keys[starts], sets, Ragged(starts[first], length[first], members))


def _sets(members: Ids, starts: Ids) -> tuple[Ids, Ids]:
    """Number equal runs of members alike: number by run, and the first run of each number."""
    one = np.add.reduceat(mix(members, 2), starts)
    two = np.add.reduceat(mix(members, 3), starts)
    order = np.lexsort((two, one))
    new = np.ones(len(starts), bool)
    new[1:] = (one[order][1:] != one[order][:-1]) | (two[order][1:] != two[order][:-1])
    group = np.cumsum(new) - 1
    number = np.empty(len(starts), np.int64)
    number[order] = group
    return number, order[new]


def _merge(levels: dict[str, Table], source: Sides, target: Sides, before: int, budget: int) -> Pairs:
    nn, wn, nw, ww = (levels[name] for name in ("nn", "wn", "nw", "ww"))
    s_wide, t_wide = source.wide_of_narrow, target.wide_of_narrow
    crossing = _crossing(wn, nw, s_wide, t_wide, nn.width, budget)
    nn_keys = distinct(np.concatenate([nn.keys, crossing])) if len(crossing) else nn.keys
    total = len(nn_keys) + len(wn.keys) + len(nw.keys) + len(ww.keys)
    if total > budget:
        raise TooLargeError(total)
    none = np.full
    s, t = np.divmod(nn_keys, nn.width)
    rows = {"nn": (s, t, np.stack([
        nn.find(nn_keys), wn.find(s_wide[s] * wn.width + t), nw.find(s * nw.width + t_wide[t]),
        ww.find(s_wide[s] * ww.width + t_wide[t])]))}  # fmt: skip
    s, t = np.divmod(wn.keys, wn.width)
    rows["wn"] = (
        s,
        t,
        np.stack([none(len(s), -1), wn.sets, none(len(s), -1), ww.find(s * ww.width + t_wide[t])]),
    )
    s, t = np.divmod(nw.keys, nw.width)
    rows["nw"] = (
        s,
        t,
        np.stack([none(len(s), -1), none(len(s), -1), nw.sets, ww.find(s_wide[s] * ww.width + t)]),
    )
    s, t = np.divmod(ww.keys, ww.width)
    rows["ww"] = (s, t, np.stack([none(len(s), -1), none(len(s), -1), none(len(s), -1), ww.sets]))
    # A list is a set of clauses; here, four sets of four tables.
    combined = np.concatenate([sets for _, _, sets in rows.values()], axis=1)
    fallen = np.concatenate([_behind(name, sets) for name, (_, _, sets) in rows.items()], axis=1)
    numbers, lists = _number_lists(combined, fallen, list(levels.values()))
    count, tables, at = combined.shape[1], {}, 0
    for name, (s, t, _) in rows.items():
        until = at + len(s)
        narrow_s, narrow_t = name[0] == "n", name[1] == "n"
        tables[name] = PairTable(
            (source.narrow if narrow_s else source.wide).lowest[s],
            (target.narrow if narrow_t else target.wide).lowest[t],
            numbers[at:until],
            numbers[count + at : count + until],
        )
        at = until
    return Pairs(source, target, tables, lists, before)


def _crossing(wn: Table, nw: Table, s_wide: Ids, t_wide: Ids, width: int, budget: int) -> Ids:
    """Keys of the narrow pairs where a row of wide-narrow meets one of narrow-wide."""
    if not len(wn.keys) or not len(nw.keys):
        return np.zeros(0, np.int64)
    w, t = np.divmod(wn.keys, wn.width)
    s, v = np.divmod(nw.keys, nw.width)
    mine, theirs = w * nw.width + t_wide[t], s_wide[s] * nw.width + v
    order = np.argsort(theirs, kind="stable")
    left = np.searchsorted(theirs[order], mine, "left")
    length = np.searchsorted(theirs[order], mine, "right") - left
    if int(length.sum()) > budget:
        raise TooLargeError(int(length.sum()))
    row, other = Ragged(left, length, order).take(np.arange(len(mine)))
    return distinct(s[other] * width + t[row])


def _behind(name: str, sets: Ids) -> Ids:
    """The four sets of the row that a packet would find next, all -1 if there is none."""
    _, wn, nw, ww = sets
    nothing = np.full(len(ww), -1)
    if name == "nn":
        has_wn, has_nw = wn >= 0, nw >= 0
        return np.stack([nothing, np.where(has_wn, wn, -1), np.where(~has_wn & has_nw, nw, -1), ww])
    if name == "ww":
        return np.stack([nothing] * 4)
    return np.stack([nothing, nothing, nothing, ww])


def _number_lists(combined: Ids, fallen: Ids, levels: Sequence[Table]) -> tuple[Ids, Ragged]:
    """Number the combinations (-1: the empty one) and expand each to its clauses."""
    stacked = np.concatenate([combined, fallen], axis=1)
    code = np.zeros(stacked.shape[1], np.int64)
    room = 1
    for sets, level in zip(stacked, levels, strict=True):
        size = len(level.members.length) + 1
        room *= size
        code = code * size + sets + 1
    if room >= 1 << 62:
        unique, inverse = np.unique(stacked, axis=1, return_inverse=True)
        inverse = inverse.reshape(-1)
    else:
        _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
        unique = stacked[:, first]
    parts = []
    for sets, level in zip(unique, levels, strict=True):
        has = np.flatnonzero(sets >= 0)
        position, clause = level.members.take(sets[has])
        parts.append((has[position], clause))
    row, clause = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    order = np.lexsort((clause, row))
    lists = Ragged.grouped(row[order], clause[order], unique.shape[1])
    empty = lists.length[inverse] == 0
    return np.where(empty, -1, inverse), lists
