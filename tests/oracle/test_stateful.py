# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Sequences of publish, roll back, label change and containment on the real fast path, with connections open all along.

After each step the next packet of every connection has the fate that brute force says, its record names the rule that
brute force names, and just those connections were judged again that the step concerns. With a flow cache, with one that
is full all the time, and without.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from appliance.flow.types import FlowEvent
from appliance.policy import compiler
from appliance.policy.flip import Rows, flip, number_at, places, relabel
from appliance.policy.model import (
    NO_CONTAINMENT,
    Default,
    Interface,
    Inventory,
    Network,
    PolicySet,
    State,
    Workload,
)
from appliance.policy.program import Program, base_of
from tests.oracle import factories as fa
from tests.oracle import packets as pc
from tests.oracle.brute import Brute, Judgement
from tests.oracle.fastpath import CACHES, Segmented, segmented
from tests.oracle.test_compiled import RELAXED, as_judgement
from tests.support.fastpath import wait_for

SERVICES = ((6, 443), (6, 1999), (6, 53), (17, 53), (17, 5))
MOST = 24
"""Connections at a time."""


POLICIES = st.builds(
    lambda policy, default: replace(policy, default=default),
    fa.policies(),
    st.sampled_from((Default.ALLOW, Default.ALERT, Default.ALLOW, Default.BLOCK)),
)
"""Much stays open, so that there is something to judge again."""
Pick = tuple[int, int, int]
PICKS = st.lists(st.tuples(*[st.integers(0, 1000)] * 3), min_size=6, max_size=10)


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """Six workloads in one network, and those of ``factories`` in the other."""
    made = [
        Workload(
            name=f"r{i}", labels=draw(fa.workload_labels()), kind=draw(st.sampled_from(fa.KINDS)),
            interfaces=(
                Interface(network="red", port=f"pf0vf{i % 3}", mac=f"02:00:00:00:02:{i:02x}", addresses=(host,)),
            ),
        )
        for i, host in enumerate(fa.HOSTS)
    ]  # fmt: skip
    others = draw(fa.inventories())
    blue = [one for one in others.workloads if one.interfaces[0].network == "blue"]
    return replace(others, workloads=(*made, *blue))


@dataclass(frozen=True, slots=True)
class Flow:
    """A connection, by the port it comes from."""

    port: int
    source: Interface
    target: Interface
    network: Network
    service: tuple[int, int]

    def frame(self) -> bytes:
        """Its first packet, and every other: a datagram, or a SYN once more."""
        return pc.question(
            self.target.mac, self.source.mac, self.source.addresses[0], self.target.addresses[0], *self.service,
            self.network.vlan, self.port,
        )  # fmt: skip

    def judged(self, brute: Brute) -> Judgement:
        """What brute force says."""
        ends = self.source.addresses[0], self.target.addresses[0]
        return brute.judge(self.network.name, *ends, *self.service)


class Operation(RuleBasedStateMachine):
    """See the module."""

    fast: ClassVar[Segmented]
    left: ClassVar[dict[int, Flow]] = {}
    known: ClassVar[Inventory]
    """The ends of what is left; another inventory may bind them elsewhere, and their packets go unauthenticated."""
    ports: ClassVar[Iterator[int]] = iter(range(1024, 60000))

    @initialize(inventory=inventories(), policy=POLICIES, picks=PICKS)
    def begin(self, inventory: Inventory, policy: PolicySet, picks: list[Pick]) -> None:
        self.end_all()
        self.inventory, self.policy, self.containment = inventory, policy, NO_CONTAINMENT
        self.published = [policy]
        self.compiled()
        self.connect(picks)

    def end_all(self) -> None:
        """What the example before has left open ends at its next packet."""
        self.open: dict[int, Flow] = {}
        inventory = self.known if self.left else Inventory()
        self.program = compiler.compile(PolicySet(default=Default.BLOCK), inventory)
        self.fast.load(self.program)
        for flow in self.left.values():
            self.fast.dpu.inject(flow.source.port, flow.frame())
        wait_for("connections to end", lambda: not self.fast.dpu.ct_stats().live)

    # -- steps

    @rule(policy=POLICIES, picks=PICKS)
    def publish(self, policy: PolicySet, picks: list[Pick]) -> None:
        self.connect(picks)
        self.policy = policy
        self.published.append(policy)
        self.compiled()

    @rule(data=st.data(), picks=PICKS)
    def roll_back(self, data: st.DataObject, picks: list[Pick]) -> None:
        self.connect(picks)
        self.policy = data.draw(st.sampled_from(self.published))
        self.compiled()

    @rule()
    def again(self) -> None:
        """A compile drops what changes without one have left; the next finds nothing to do, and nobody concerned."""
        self.compiled()
        assert self.compiled() == frozenset()

    @rule(data=st.data(), labels=fa.workload_labels(), picks=PICKS)
    def change_labels(self, data: st.DataObject, labels: dict[str, str], picks: list[Pick]) -> None:
        """Without a compile where that is possible, as the appliance does it."""
        self.connect(picks)
        before = self._pick(data)
        after = replace(before, labels=labels)
        self.inventory = replace(
            self.inventory,
            workloads=tuple(after if one is before else one for one in self.inventory.workloads),
        )
        found = relabel(self.program, places(self.program), [before], [after])
        if found is None:
            self.compiled()
            return
        mine = self._bases(before.name)
        program, rows, concerned = found
        self.quick(program, rows, concerned)
        assert {base_of(one) for one in concerned} <= mine, "somebody else is concerned"

    @rule(data=st.data(), state=st.sampled_from(list(State)), picks=PICKS)
    def contain(self, data: st.DataObject, state: State, picks: list[Pick]) -> None:
        """Likewise."""
        self.connect(picks)
        one = self._pick(data)
        self.containment = replace(self.containment, states={**self.containment.states, one.name: state})
        mine = self._bases(one.name)
        program, rows, concerned = flip(self.program, places(self.program), {one.name: state})
        self.quick(program, rows, concerned)
        assert {base_of(one) for one in concerned} <= mine, "somebody else is concerned"

    def connect(self, picks: list[Pick]) -> None:
        """Some more connections; those that pass stay open."""
        seats = [(i, n) for w in self.inventory.workloads for i in w.interfaces for n in self.inventory.networks
                 if n.name == i.network]  # fmt: skip
        made: list[Flow] = []
        for first, second, third in picks if len(self.open) < MOST // 2 else ():
            source, network = seats[first % len(seats)]
            version6 = ":" in source.addresses[0]
            peers = [
                i
                for i, n in seats
                if n is network and i is not source and (":" in i.addresses[0]) is version6
            ]
            if peers and len(self.open) + len(made) < MOST:
                target = peers[second % len(peers)]
                made.append(Flow(next(self.ports), source, target, network, SERVICES[third % len(SERVICES)]))
        self.send(made)

    # -- what is said afterwards

    def compiled(self) -> frozenset[int] | None:
        """Bring what there is now into force, compiled; the identities concerned."""
        program = compiler.compile(
            self.policy, self.inventory, self.containment, numbers=self.program.numbers, previous=self.program
        )
        self.program = self.fast.held = program
        self.fast.revision += 1
        before = self.rejudged()
        applied = self.fast.reconciler.apply(self.fast.dpu, program, self.fast.revision)
        self.check(before, applied.concerned)
        return applied.concerned

    def quick(self, program: Program, rows: Rows, concerned: frozenset[int]) -> None:
        """The same without a compile."""
        self.program = self.fast.held = program
        before = self.rejudged()
        if rows:
            self.fast.revision += 1
            self.fast.reconciler.update(self.fast.dpu, program, rows, self.fast.revision, concerned)
        self.check(before, concerned)

    def rejudged(self) -> int:
        return int(self.fast.dpu.ct_stats().rejudged)

    def check(self, before: int, concerned: frozenset[int] | None) -> None:
        """The next packet of each connection; just those of the identities concerned are judged again."""
        bases = None if concerned is None else {base_of(one) for one in concerned}
        wanted = [
            port
            for port, (source, target) in self.ends.items()
            if bases is None or bases & {base_of(source), base_of(target)}
        ]
        self.send(list(self.open.values()))
        assert self.rejudged() - before == len(wanted), f"{concerned}: {self.ends}"

    @property
    def ends(self) -> dict[int, tuple[int, int]]:
        """The identities that open connections were judged with last."""
        return getattr(self, "_ends", {})

    def send(self, flows: list[Flow]) -> None:
        """A packet of each; it has the fate, and its connection the rule, that brute force says."""
        brute = Brute(self.policy, self.inventory, self.containment)
        verdicts = {flow.port: flow.judged(brute) for flow in flows}
        passing = {flow.port: flow for flow in flows if verdicts[flow.port].action.passes}
        self.fast.drain()
        denied = int(self.fast.dpu.ct_stats().denied_packets)
        for flow in flows:
            self.fast.dpu.inject(flow.source.port, flow.frame())
        expected = {(flow.target.port, flow.frame()) for flow in passing.values()}
        found: set[tuple[str, bytes]] = set()
        sent = {flow.frame() for flow in flows}
        end = time.monotonic() + 30

        def pending() -> bool:
            stats = self.fast.dpu.ct_stats()
            return bool(expected - found) or stats.denied_packets - denied < len(flows) - len(passing)

        while pending() and time.monotonic() < end:
            found |= self.heard(sent, 0.02)
        found |= self.heard(sent, 0.0)
        assert found == expected
        self.open = {port: flow for port, flow in self.open.items() if port not in verdicts} | passing
        listed = self.fast.dpu.ct_list()
        tags = {int(row["src_port"]): int(row["tag"]) for row in listed if row["event"] == FlowEvent.UPDATE}
        self._ends = {
            int(row["src_port"]): (int(row["src_identity"]), int(row["dst_identity"])) for row in listed
        }
        assert tags.keys() == self.open.keys()
        Operation.left, Operation.known = self.open, self.inventory
        for port in passing:
            assert as_judgement(self.program.verdicts[tags[port]]) == verdicts[port]

    def heard(self, sent: set[bytes], seconds: float) -> set[tuple[str, bytes]]:
        """What came out of which port; answers to what is rejected aside."""
        packets = self.fast.dpu.packets(seconds)
        return {(packet.port, packet.frame) for packet in packets if packet.frame in sent}

    def _pick(self, data: st.DataObject) -> Workload:
        return data.draw(st.sampled_from(self.inventory.workloads))

    def _bases(self, name: str) -> set[int]:
        numbers = [one.identity for one in self.program.bindings if one.workload == name]
        numbers += [number_at(self.program, one) for one in self.program.ranges.get(name, ())]
        return {base_of(number) for number in numbers}


@pytest.mark.parametrize("cache", CACHES)
def test_operation(cache: int) -> None:
    with segmented(cache) as made:
        Operation.fast, Operation.left = made, {}
        run_state_machine_as_test(
            Operation,
            settings=settings(
                RELAXED, max_examples=6, stateful_step_count=8, phases=(Phase.explicit, Phase.generate)
            ),
        )
        (worker,) = made.dpu.caches()
        assert bool(worker.hits + worker.connections) is bool(cache)
