# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Who has to be judged again after a change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.policy.layout import PREFIX
from appliance.policy.reconciler.rows import Index, Rows, lines, raw
from appliance.policy.reconciler.tables import Live, Step, posts

ADDRESSES: Final = ("seg/src4", "seg/src6", "seg/dst4", "seg/dst6")
"""Tables that give an address its identity (their one argument)."""
CLASSES: Final = ("seg/src_class", "seg/dst_class")
"""Tables that give an identity (their one key) its class."""
POLICY: Final = frozenset(
    PREFIX + name
    for name in (
        "new", "src4", "src6", "dst4", "dst6", "src_class", "dst_class", "pair", "pair_wn", "pair_nw", "pair_ww",
        "service", "icmp", "ports", "range", "list", "default",
    )
)  # fmt: skip
"""The tables that verdicts depend on: what a connection's first packet walks."""
MANY: Final = 4096
"""More concerned identities than this are everybody."""


def concerned_by(steps: Iterable[Step], gone: Iterable[Live], live: dict[str, Live]) -> frozenset[int] | None:
    """Identities whose connections may get another verdict, or the same from another rule; None: all may.

    Connections remember the identities that they were judged with, so it is the old ones that count.
    """
    found: set[int] = set()
    created = {step.table.name for step in steps if step.live is None}
    for one in gone:
        if one.name not in created and one.name in POLICY:
            return None
    for step in steps:
        name = step.table.name
        if name not in POLICY or not posts(step):
            continue
        before = live.get(name)
        if name in ADDRESSES:
            some = _addresses_concerned(step, before)
        elif name in CLASSES and step.live is not None:
            some = _classes_concerned(step, step.live)
        else:
            return None
        found |= some
        if len(found) > MANY:
            return None
    return frozenset(found)


def _values(rows: NDArray[np.void] | None) -> NDArray[np.uint32]:
    """The only column of rows, as numbers."""
    if rows is None or not rows.dtype.names:
        return np.zeros(0, np.uint32)
    return rows[rows.dtype.names[0]].astype(np.uint32)


def _addresses_concerned(step: Step, before: Live | None) -> set[int]:
    if before is None:  # first table of its kind: nobody had an identity from it
        return set()
    old = _values(before.rows.args)
    if step.live is None or step.wanted is None:
        return set(old.tolist())
    found = set(old[step.removed].tolist()) | set(old[step.updated_live].tolist())
    if len(step.added):
        found |= _covering(before.rows, old, step.wanted, step.added)
    return found


def _covering(old: Rows, identities: NDArray[np.uint32], new: Rows, added: Index) -> set[int]:
    """Identities that addresses had before they got rows of their own: those of the longest prefixes around them."""
    if old.masks is None or new.masks is None or not len(old):
        return set()
    keys, masks = raw(old.keys), raw(old.masks)
    left, left_masks = raw(new.keys)[added], raw(new.masks)[added]
    _, first, kind = np.unique(lines(masks), return_index=True, return_inverse=True)
    found: set[int] = set()
    for number in np.argsort(-np.unpackbits(masks[first], axis=1).sum(axis=1, dtype=np.int64)).tolist():
        mask = masks[first[number]]
        there = np.flatnonzero(kind == number)
        known = lines(keys[there])
        order = np.argsort(known)
        wanted = lines(left & mask)
        at = order[np.minimum(np.searchsorted(known, wanted, sorter=order), len(known) - 1)]
        hit = (known[at] == wanted) & ((left_masks & mask) == mask).all(axis=1)
        found |= set(identities[there[at[hit]]].tolist())
        left, left_masks = left[~hit], left_masks[~hit]
    return found


def _classes_concerned(step: Step, live: Live) -> set[int]:
    old = _values(live.rows.keys)
    found = set(old[step.removed].tolist()) | set(old[step.updated_live].tolist())
    if step.wanted is not None:
        found |= set(_values(step.wanted.keys)[step.added].tolist())
    return found
