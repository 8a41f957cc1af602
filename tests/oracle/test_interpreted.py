# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Compiled programs, as pipes and entries, in the reference interpreter against brute force."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.flow.results import Verdict as End
from appliance.policy import compiler
from tests.oracle import factories as fa
from tests.oracle import packets as pc
from tests.oracle.brute import Brute
from tests.oracle.interpreter import Interpreter
from tests.oracle.test_compiled import RELAXED, as_judgement


@given(data=st.data())
@settings(RELAXED, max_examples=10)
def test_the_pipes_say_what_brute_force_says(data: st.DataObject) -> None:
    inventory, policy = data.draw(fa.inventories()), data.draw(fa.policies())
    containment = data.draw(fa.containments(inventory))
    program = compiler.compile(policy, inventory, containment)
    interpreter = Interpreter(program, list(inventory.ports.values()))
    brute = Brute(policy, inventory, containment)
    networks = {one.name: one for one in inventory.networks}
    seats = [interface for one in inventory.workloads for interface in one.interfaces]
    for first, second, third in data.draw(
        st.lists(st.tuples(*[st.integers(0, 1000)] * 3), min_size=12, max_size=12)
    ):
        a = seats[first % len(seats)]
        six = ":" in a.addresses[0]
        peers = [one for one in seats if one.network == a.network and (":" in one.addresses[0]) is six]
        b = peers[second % len(peers)]
        services: Any = fa.QUESTIONS6 if six else fa.QUESTIONS
        protocol, port = services[third % len(services)]
        source, target = a.addresses[0], b.addresses[0]
        frame = pc.question(b.mac, a.mac, source, target, protocol, port, networks[a.network].vlan)
        tag, passed, result = interpreter.judge(inventory.ports[a.port], frame)
        expected = brute.judge(a.network, source, target, protocol, port)
        assert as_judgement(program.verdicts[tag]) == expected, (
            f"{a.network}: {source} -> {target} {protocol}/{port}"
        )
        assert passed is expected.action.passes
        if passed:
            assert (result.verdict, result.port) == (End.PORT, inventory.ports[b.port])
        else:
            assert (result.verdict, result.reason) == (End.DROP, "policy")
