# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Which verdicts differ between two compiled policies, for workloads that both know and the rest of the world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from appliance.policy.evaluate import Service, evaluator_of
from appliance.policy.program import (
    UNKNOWN_BASE,
    WORLD_BASE,
    Identity,
    Program,
    Verdict,
    base_of,
    identity_number,
)


@dataclass(frozen=True, slots=True)
class Change:
    """A question whose answer changes: ends as the later program has them."""

    source: Identity
    target: Identity
    service: Service
    before: Verdict
    after: Verdict


def _ends(before: Program, after: Program) -> list[tuple[int, int]]:
    """Identities (before, after) that something has in both, each once."""
    old = {(one.zone, one.address): one.identity for one in before.bindings}
    found: dict[tuple[int, int], None] = {}
    for one in after.bindings:
        was = old.get((one.zone, one.address), identity_number(UNKNOWN_BASE))
        found[was, one.identity] = None
    for base in (UNKNOWN_BASE, WORLD_BASE):
        found[identity_number(base), identity_number(base)] = None
    return list(found)


def changes(
    before: Program, after: Program, services: Sequence[Service], limit: int
) -> tuple[list[Change], int]:
    """Changed answers (at most ``limit``), and how many there are. What passes and how it is refused counts; another
    rule that says the same does not.
    """
    found: list[Change] = []
    count = 0
    for source, target, service, was, now in _differing(before, after, services):
        count += 1
        if len(found) < limit:
            about = after.identities
            found.append(
                Change(
                    about[base_of(source)],
                    about[base_of(target)],
                    service,
                    before.verdicts[was],
                    after.verdicts[now],
                )
            )
    return found, count


def _differing(
    before: Program, after: Program, services: Sequence[Service]
) -> Iterator[tuple[int, int, Service, int, int]]:
    ends = _ends(before, after)
    old = np.array([was for was, _ in ends], np.uint32)
    new = np.array([now for _, now in ends], np.uint32)
    protocol = np.array([one.protocol for one in services])[None, :]
    port = np.array([one.port for one in services])[None, :]
    first, second = evaluator_of(before), evaluator_of(after)
    for was, now in ends:
        tags_before = first.tags(was, old[:, None], protocol, port)
        tags_after = second.tags(now, new[:, None], protocol, port)
        for t, s in np.argwhere(tags_before != tags_after).tolist():
            a, b = int(tags_before[t, s]), int(tags_after[t, s])
            if before.verdicts[a].action is not after.verdicts[b].action:
                yield now, int(new[t]), services[s], a, b
