# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Blast radius: what somebody who owns a workload reaches from it, at once and by taking over what he reaches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.policy.evaluate import Evaluator, Service
from appliance.policy.model import Inventory, PolicySet
from appliance.policy.program import Program
from appliance.policy.service import Protocol, resolve

ANYTHING: Final = Service(254, 0)
"""Stands for every service that no rule names."""
CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Blast:
    """``direct`` and ``transitive``: pairs of workload and service. ``kinds``: workloads reached transitively."""

    direct: int = 0
    transitive: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)


def services_of(policy: PolicySet) -> list[Service]:
    """One of each service that the policy names, and one that it does not name."""
    found: dict[Service, None] = {}
    for rule in (*policy.rules, *policy.keep):
        for span in resolve(rule.services, policy.services):
            if span.protocol is not Protocol.ANY:
                found[Service(int(span.protocol), span.low)] = None
    for side in policy.side_policies:
        for allow in side.allows:
            for span in resolve(allow.services, policy.services):
                if span.protocol is not Protocol.ANY:
                    found[Service(int(span.protocol), span.low)] = None
    return [*found, ANYTHING]


def blast_radius(program: Program, inventory: Inventory, policy: PolicySet, names: Iterable[str]) -> Blast:
    """Of some workloads together; they themselves do not count."""
    first = set(names)
    identity: dict[str, int] = {}
    for binding in program.bindings:
        identity.setdefault(binding.workload, binding.identity)
    others = sorted(name for name in identity if name not in first)
    if not others or not first & identity.keys():
        return Blast()
    evaluator, services = Evaluator(program), services_of(policy)
    targets = np.array([identity[name] for name in others], np.uint32)
    reached = np.zeros((len(others), len(services)), np.bool_)
    done: set[int] = set()
    frontier = {identity[name] for name in first if name in identity}
    direct = 0
    while frontier:
        done |= frontier
        reached |= _reach(evaluator, sorted(frontier), targets, services)
        if not direct:
            direct = int(reached.sum())
        frontier = set(targets[reached.any(axis=1)].tolist()) - done
    kinds: dict[str, int] = {}
    kind_of = {workload.name: workload.kind for workload in inventory.workloads}
    for index in np.flatnonzero(reached.any(axis=1)).tolist():
        kind = kind_of.get(others[index], "")
        kinds[kind] = kinds.get(kind, 0) + 1
    return Blast(direct, int(reached.sum()), kinds)


def _reach(
    evaluator: Evaluator, sources: Sequence[int], targets: NDArray[np.uint32], services: Sequence[Service]
) -> NDArray[np.bool_]:
    """By target and service: whether any of the sources may open it."""
    protocol = np.array([service.protocol for service in services])
    port = np.array([service.port for service in services])
    unique, where = np.unique(targets, return_inverse=True)
    found = np.zeros((len(unique), len(services)), np.bool_)
    step = max(1, CHUNK // max(1, found.size))
    for at in range(0, len(sources), step):
        some = np.array(sources[at : at + step], np.uint32)
        tags = evaluator.tags(some[:, None, None], unique[None, :, None], protocol, port)
        found |= np.asarray(evaluator.passes(tags)).any(axis=0)
    return found[where]
