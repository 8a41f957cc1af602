# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What a publish must not cut by accident: name resolution, and the connections that the configuration protects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from appliance.errors import InvalidValue
from appliance.policy.evaluate import Service, evaluator_of, find_end, one_service
from appliance.policy.model import Inventory, State, Workload
from appliance.policy.program import Program, state_of
from appliance.policy.selecting import means
from appliance.policy.selector import Selector, parse_selector

DNS: Final = ("udp/53", "tcp/53")


class Sides:
    """A program, and who is in it."""

    def __init__(self, program: Program, inventory: Inventory) -> None:
        self.program, self.inventory = program, inventory
        self.workloads = {workload.name: workload for workload in inventory.workloads}


def serves_dns(workload: Workload) -> bool:
    """Whether a workload is labelled as a name server (``app=dns``, ``role=dns`` ...)."""
    return "dns" in workload.labels.values()


def cut(before: Sides, after: Sides, protect: Iterable[tuple[str, str, str]] = ()) -> list[str]:
    """Connections that pass before and not after, of those that must not be cut, as sentences; contained workloads
    aside.
    """
    found: list[str] = []
    dns = [name for name, workload in after.workloads.items() if serves_dns(workload)]
    for text in DNS:
        found += _cut(before, after, "DNS", list(after.workloads), dns, one_service(text))
    for source, target, service in protect:
        ends = [_named(after, text) for text in (source, target)]
        found += _cut(before, after, f"{service} to {target}", ends[0], ends[1], one_service(service))
    return found


def cut_off(before: Sides, after: Sides, publisher: str, service: str) -> list[str]:
    """Whether who publishes would no longer reach the appliance; ``service`` is HOST:PORT of its gRPC server. Empty
    where the two do not meet through this appliance.
    """
    host, _, port = service.rpartition(":")
    where = [b for b in before.program.bindings if b.address == publisher]
    if not where or not port.isdigit():
        return []
    asked = Service(6, int(port))

    def passes(sides: Sides) -> bool:
        inventory = sides.inventory
        ends = [find_end(sides.program, inventory, text, where[0].network) for text in (publisher, host)]
        return evaluator_of(sides.program).judge(ends[0].identity, ends[1].identity, asked).passes

    try:
        lost = passes(before) and not passes(after)
    except ValueError:  # the server's address is none of this network
        return []
    return [f"it would cut off the publisher: {where[0].workload} to {service}"] if lost else []


def check_protect(protect: Iterable[tuple[str, str, str]]) -> None:
    """``InvalidValue``: an entry of the configuration cannot be read."""
    for number, (source, target, service) in enumerate(protect):
        try:
            parse_selector(source)
            parse_selector(target)
            one_service(service)
        except ValueError as error:
            raise InvalidValue(f"protect[{number}]: {error}") from None


def _named(sides: Sides, text: str) -> list[str]:
    selector: Selector = parse_selector(text)
    return [name for name, one in sides.workloads.items() if means(selector, one, one.state)]


def _cut(
    before: Sides, after: Sides, what: str, sources: Sequence[str], targets: Sequence[str], service: Service
) -> list[str]:
    if not sources or not targets:
        return []
    was, now = _identities(before.program), _identities(after.program)
    pairs = [
        (source, target)
        for target in targets
        for source in sources
        if source != target and all(name in was and name in now for name in (source, target))
    ]
    pairs = [(s, t) for s, t in pairs if all(state_of(now[name]) <= State.WATCHED for name in (s, t))]
    if not pairs:
        return []

    def passes(program: Program, numbers: dict[str, int]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        evaluator = evaluator_of(program)
        source = np.array([numbers[s] for s, _ in pairs], np.uint32)
        target = np.array([numbers[t] for _, t in pairs], np.uint32)
        count = len(pairs)
        tags = evaluator.tags(source, target, np.full(count, service.protocol), np.full(count, service.port))
        return np.asarray(evaluator.passes(tags), np.bool_)

    lost = np.flatnonzero(passes(before.program, was) & ~passes(after.program, now))
    if not len(lost):
        return []
    source, target = pairs[int(lost[0])]
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    return [f"it would cut {what}: {source} to {target} {service}{more}"]


def _identities(program: Program) -> dict[str, int]:
    """One identity of each workload."""
    return {binding.workload: binding.identity for binding in program.bindings}
