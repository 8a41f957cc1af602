# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Recommendations against hidden policies: what was seen is covered, with about as many rules and little extra."""

import random

import numpy as np

from appliance.policy import compiler
from appliance.policy.evaluate import Evaluator, Service
from appliance.policy.model import Band, Interface, Inventory, Network, PolicySet, Rule, Workload
from appliance.policy.program import Program
from appliance.policy.recommend import Seen, recommend
from appliance.policy.selector import parse_selector

KINDS = ("agent", "tool", "inference", "dataset", "embeddings", "training")
APPS = tuple(f"a{i}" for i in range(8))
ENVS = ("prod", "stage", "dev")
SERVICES = (*(Service(6, port) for port in (443, 5432, 6333, 8000, 9092)), Service(17, 53))


def hidden(seed: int) -> tuple[Inventory, PolicySet]:
    """A factory and the policy that nobody shows."""
    pick = random.Random(seed)
    workloads = []
    for i in range(pick.randint(15, 50)):
        labels = {"app": pick.choice(APPS), "env": pick.choice(ENVS)}
        if pick.random() < 0.4:
            labels["team"] = pick.choice(("red", "blue"))
        interface = Interface(
            network="n", port="pf0vf0", mac=f"02:00:00:00:01:{i:02x}", addresses=(f"10.0.0.{i + 2}",)
        )
        kind = pick.choice(KINDS)
        workloads.append(Workload(name=f"w{i}", labels=labels, kind=kind, interfaces=(interface,)))
    inventory = Inventory(
        networks=(Network(name="n", prefixes=("10.0.0.0/16",)),),
        workloads=tuple(workloads),
        ports={"pf0vf0": 1},
    )

    def side() -> str:
        one = pick.choice(workloads)
        parts = [f"kind={one.kind}", *(f"{key}={value}" for key, value in one.labels.items())]
        return ", ".join(pick.sample(parts, pick.choice((1, 1, 2))))

    rules = tuple(
        Rule(
            name=f"hidden-{i}",
            band=Band.ALLOW,
            source=parse_selector(side()),
            target=parse_selector(side()),
            services=tuple(str(one) for one in pick.sample(SERVICES, pick.randint(1, 3))),
        )
        for i in range(pick.randint(4, 14))
    )
    return inventory, PolicySet(rules=rules)


def seen_under(program: Program, keep: float, seed: int) -> list[Seen]:
    """What the workloads do under a policy: all that it permits, or some of it."""
    pick, evaluator = random.Random(seed), Evaluator(program)
    ids = np.array(
        [identity for _, identity in sorted({(one.workload, one.identity) for one in program.bindings})]
    )
    protocol, port = np.array([(one.protocol, one.port) for one in SERVICES]).T
    tags = evaluator.tags(ids[:, None, None], ids[None, :, None], protocol, port)
    passes = evaluator.passes(tags.reshape(-1)).reshape(tags.shape)
    passes[np.arange(len(ids)), np.arange(len(ids))] = False
    found = {(int(ids[i]) >> 2, int(ids[j]) >> 2, k) for i, j, k in np.argwhere(passes).tolist()}
    return [Seen(source, target, SERVICES[k]) for source, target, k in sorted(found) if pick.random() < keep]


def uncovered(program: Program, seen: list[Seen]) -> list[Seen]:
    """What a program would not let pass."""
    columns = np.array(
        [(one.source << 2, one.target << 2, one.service.protocol, one.service.port) for one in seen]
    ).T
    evaluator = Evaluator(program)
    passes = evaluator.passes(evaluator.tags(*columns))
    return [one for one, ok in zip(seen, passes, strict=True) if not ok]


def measure(keep: float, share: float, seeds: range) -> tuple[int, int, int, int]:
    """Recommended rules, hidden ones, extra and seen pairs over many factories; everything seen must be covered."""
    rules = wanted = extra = pairs = 0
    for seed in seeds:
        inventory, policy = hidden(seed)
        program = compiler.compile(policy, inventory)
        seen = seen_under(program, keep, seed)
        found = recommend(program, seen, share=share)
        again = compiler.compile(
            PolicySet(rules=tuple(one.rule for one in found)), inventory, numbers=program.numbers
        )
        assert not seen or not uncovered(again, seen), seed
        permitted = set(seen_under(again, 1.0, 0))
        extra += len(permitted - set(seen))
        rules, wanted, pairs = rules + len(found), wanted + len(policy.rules), pairs + len(seen)
    return rules, wanted, extra, pairs


def test_recommended_rules_cover_hidden_policies() -> None:
    rules, wanted, extra, pairs = measure(1.0, 1.0, range(100))
    print(f"all seen: {rules} rules for {wanted} hidden ones, {extra} extra pairs beside {pairs}")
    assert rules <= 1.2 * wanted
    assert extra == 0


def test_with_some_connections_unseen_the_rules_stay_few() -> None:
    rules, wanted, extra, pairs = measure(0.9, 0.75, range(20))
    print(f"nine of ten seen: {rules} rules for {wanted} hidden ones, {extra} extra pairs beside {pairs}")
    assert rules <= 1.5 * wanted
    assert extra <= pairs / 3


def test_labels_may_be_restricted_and_nothing_seen_gives_nothing() -> None:
    inventory, policy = hidden(3)
    program = compiler.compile(policy, inventory)
    assert recommend(program, []) == []
    found = recommend(program, seen_under(program, 1.0, 0), labels=["app", "kind"], share=0.1)
    assert found
    assert all(
        (part.key or part.field) in ("app", "kind")
        for one in found
        for side in (one.rule.source, one.rule.target)
        for term in side.terms
        for part in term
    )
