# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Made-up factories of any size: workloads with label sets, rules between them. Equal seeds, equal factories."""

from __future__ import annotations

import random
from dataclasses import dataclass

from appliance.policy.model import KINDS, Band, Interface, Inventory, Network, PolicySet, Rule, Workload
from appliance.policy.selector import ANY, Selector, parse_selector


@dataclass(frozen=True, slots=True, kw_only=True)
class Factory:
    """How large, and what kind of rules."""

    workloads: int = 10_000
    label_sets: int = 2_000
    rules: int = 10_000
    ports: int = 64
    sets_per_side: float = 5.0
    """Median number of label sets that one side of a rule selects."""
    any_share: float = 0.01
    """Share of rules from any."""
    seed: int = 1


def inventory(factory: Factory) -> Inventory:
    """Workloads spread over the ports, each with one address."""
    workloads = []
    ports = {f"pf0vf{i}": i + 1 for i in range(factory.ports)}
    for i in range(factory.workloads):
        kind = KINDS[(i % factory.label_sets) % len(KINDS)]
        workloads.append(
            Workload(
                name=f"w{i}",
                labels=_labels(i % factory.label_sets),
                kind=kind,
                interfaces=(
                    Interface(
                        network="fabric",
                        port=f"pf0vf{i % factory.ports}",
                        mac=f"02:10:00:{i >> 16 & 255:02x}:{i >> 8 & 255:02x}:{i & 255:02x}",
                        addresses=(f"10.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}",),
                    ),
                ),
            )
        )
    network = Network(name="fabric", prefixes=("10.0.0.0/8",), gateways=("10.0.0.1",))
    return Inventory(networks=(network,), workloads=tuple(workloads), ports={"p0": 0, **ports})


def _labels(label_set: int) -> dict[str, str]:
    return {
        "set": f"s{label_set}",
        "tier": f"t{label_set % 7}",
        "env": ("prod", "stage", "dev")[label_set % 3],
    }


def _some(random_: random.Random, factory: Factory) -> Selector:
    count = max(1, round(random_.lognormvariate(0.0, 0.6) * factory.sets_per_side))
    chosen = random_.sample(range(factory.label_sets), min(count, factory.label_sets))
    return parse_selector(f"set in ({', '.join(f's{one}' for one in chosen)})")


def policy(factory: Factory) -> PolicySet:
    """Rules that allow, a few that block, with one to three services."""
    random_ = random.Random(factory.seed)  # noqa: S311 - reproducible, not secret
    services = [f"tcp/{port}" for port in (22, 53, 80, 443, 5432, 6379, 8080, 8443, 9092, 50051)]
    services += ["udp/53", "udp/123", "tcp/9000-9100", "tcp/30000-32767", "icmp/8"]
    rules = []
    for i in range(factory.rules):
        band = random_.choices((Band.ALLOW, Band.BLOCK, Band.OVERRIDE_BLOCK, Band.ALERT), (90, 5, 3, 2))[0]
        from_any = random_.random() < factory.any_share
        rules.append(
            Rule(
                name=f"r{i}",
                band=band,
                source=ANY if from_any else _some(random_, factory),
                target=_some(random_, factory),
                services=tuple(random_.sample(services, random_.randint(1, 3))),
            )
        )
    return PolicySet(name="factory", rules=tuple(rules))
