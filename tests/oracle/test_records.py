# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What records of real first packets say, against brute force, with flow caches of several sizes.

A module of its own: a process is attached to one fast path at a time, and here each cache has one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from appliance.flow.types import FlowEvent
from appliance.policy import compiler
from tests.oracle import factories as fa
from tests.oracle import packets as pc
from tests.oracle.brute import Brute
from tests.oracle.fastpath import CACHES, Segmented, segmented
from tests.oracle.test_compiled import RELAXED, as_judgement
from tests.oracle.test_fastpath import PICKS, ends


@pytest.fixture(scope="module", params=CACHES, ids=lambda walks: f"cache {walks}")
def cached(request: pytest.FixtureRequest) -> Iterator[Segmented]:
    with segmented(request.param) as made:
        yield made


@given(data=st.data())
@settings(RELAXED, max_examples=4, phases=(Phase.explicit, Phase.generate))
def test_records_say_what_brute_force_says(cached: Segmented, data: st.DataObject) -> None:
    """Real first packets, each of a connection of its own: what its record says, and where it came out."""
    inventory, policy = data.draw(fa.inventories()), data.draw(fa.policies())
    containment = data.draw(fa.containments(inventory))
    program = compiler.compile(policy, inventory, containment)
    cached.load(program)
    brute, expected = Brute(policy, inventory, containment), {}
    seats = [one for one in ends(inventory) if ":" not in one[1].addresses[0]]
    cached.drain()
    sport = 1024
    for first, second, third in data.draw(PICKS):
        if not seats:
            break
        (_, a, network), (_, b, other) = seats[first % len(seats)], seats[second % len(seats)]
        protocol, port = fa.QUESTIONS[third % len(fa.QUESTIONS)]
        if a is b or network is not other or protocol not in (6, 17):
            continue
        sport += 1
        source, target = a.addresses[0], b.addresses[0]
        frame = pc.question(b.mac, a.mac, source, target, protocol, port, network.vlan, sport)
        expected[sport] = brute.judge(network.name, source, target, protocol, port), b.port, frame
        cached.dpu.inject(a.port, frame)
    found, arrived = cached.outcome(set(expected))
    for sport, (judgement, where, frame) in expected.items():
        event, tag = found[sport]
        assert event is (FlowEvent.OPEN if judgement.action.passes else FlowEvent.DENY)
        assert as_judgement(program.verdicts[tag]) == judgement
        assert ((where, frame) in arrived) is judgement.action.passes
