# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Blast radius: what a workload reaches, in one hop and through whatever it reaches, out of the compiled program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.policy.evaluate import Evaluator, Service, evaluator_of
from appliance.policy.model import Inventory, PolicySet
from appliance.policy.program import Program
from appliance.policy.service import Protocol, resolve

OTHERWISE = Service(254, 0)
"""Stands for all services that no rule names."""


@dataclass(frozen=True, slots=True)
class Blast:
    """Counts of (workload, service); the workloads asked about are not counted."""

    direct: int
    transitive: int
    kinds: Mapping[str, int]
    """Workloads reached in the end, by kind."""


def services_of(policy: PolicySet) -> tuple[Service, ...]:
    """One service for each stretch of ports that a rule of the policy tells apart, and ``OTHERWISE``."""
    texts = [rule.services for rule in (*policy.rules, *policy.keep)]
    texts += [allow.services for one in policy.side_policies for allow in one.allows]
    spans = {span for services in set(texts) for span in resolve(services, policy.services)}
    found = {Service(int(s.protocol), s.low) for s in spans if s.protocol is not Protocol.ANY}
    return (*sorted(found, key=lambda one: (one.protocol, one.port)), OTHERWISE)


def blast_radius(program: Program, inventory: Inventory, policy: PolicySet, names: Iterable[str]) -> Blast:
    """What the named workloads reach. Only workloads of the same network are reached."""
    asked = set(names)
    kind = {one.name: one.kind for one in inventory.workloads}
    ends = sorted({(one.zone, one.identity, one.workload) for one in program.bindings})
    zones = np.array([zone for zone, _, _ in ends], np.int64)
    identities = np.array([identity for _, identity, _ in ends], np.int64)
    begins = np.array([name in asked for _, _, name in ends], bool)
    reach = _Reach(evaluator_of(program), zones, identities, services_of(policy))
    direct = reach.of(np.flatnonzero(begins))
    everything, reached = direct.copy(), begins.copy()
    while True:
        new = np.flatnonzero(everything.any(axis=1) & ~reached)
        if not len(new):
            break
        reached[new] = True
        everything |= reach.of(new)
    names_of = [name for _, _, name in ends]
    reached_at_last = _counted(everything, names_of, asked)
    return Blast(
        sum(_counted(direct, names_of, asked).values()),
        sum(reached_at_last.values()),
        dict(sorted(Counter(kind[name] for name in reached_at_last).items())),
    )


def _counted(matrix: NDArray[np.bool_], names: Sequence[str], asked: set[str]) -> Counter[str]:
    """Services reached, by workload; a workload of several networks counts each service once."""
    rows: dict[str, NDArray[np.bool_]] = {}
    for name, row in zip(names, matrix, strict=True):
        if name not in asked:
            rows[name] = rows[name] | row if name in rows else row
    return Counter({name: int(row.sum()) for name, row in rows.items() if row.any()})


class _Reach:
    """Which ends accept which services from others; each kind of source is asked once."""

    def __init__(
        self,
        evaluator: Evaluator,
        zones: NDArray[np.int64],
        identities: NDArray[np.int64],
        services: Sequence[Service],
    ) -> None:
        self._evaluator, self._zones, self._identities = evaluator, zones, identities
        self._protocol = np.array([one.protocol for one in services])
        self._port = np.array([one.port for one in services])
        self._asked: set[tuple[int, int]] = set()

    def of(self, sources: NDArray[np.int64]) -> NDArray[np.bool_]:
        """By end and service: whether one of the sources gets through."""
        found = np.zeros((len(self._zones), len(self._protocol)), bool)
        for source in sources:
            key = (int(self._zones[source]), int(self._identities[source]))
            if key in self._asked:
                continue
            self._asked.add(key)
            near = np.flatnonzero(self._zones == key[0])
            targets, inverse = np.unique(self._identities[near], return_inverse=True)
            tags = self._evaluator.tags(key[1], targets[:, None], self._protocol, self._port)
            passes = self._evaluator.passes(tags.reshape(-1)).reshape(tags.shape)
            found[near] |= passes[inverse.reshape(-1)]
        return found
