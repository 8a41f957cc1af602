# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Random pipelines, entries and packets: the fast path and the reference give the same verdicts, bytes and
counters, with a flow cache, with one that is full all the time, and without.

``RINGFIELD_EXAMPLES`` sets how many programs are tried (default 16 for each test and cache); the seeds are fixed.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from appliance.flow.types import PipeType
from tests.differential.stack import Stack
from tests.differential.strategies import Program, programs

EXAMPLES = int(os.environ.get("RINGFIELD_EXAMPLES", "16"))
bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


CACHES = (8192, 8, 0)


@pytest.fixture(scope="class", params=CACHES, ids=lambda walks: f"cache {walks}")
def vnf(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Two ports that face each other."""
    stack = Stack("vnf", request.param)
    yield stack
    stack.close()


@pytest.fixture(scope="class", params=CACHES, ids=lambda walks: f"cache {walks}")
def switch(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """An uplink and two representors."""
    stack = Stack("switch", request.param)
    yield stack
    stack.close()


class TestVnf:
    """Pipes per port."""

    @bounded
    @given(program=programs(kinds=(PipeType.BASIC,), mode="vnf"))
    def test_basic(self, vnf: Stack, program: Program) -> None:
        vnf.run(program)

    @bounded
    @given(program=programs(kinds=(PipeType.CONTROL,), mode="vnf"))
    def test_control(self, vnf: Stack, program: Program) -> None:
        vnf.run(program)

    @bounded
    @given(program=programs(kinds=(PipeType.LPM, PipeType.ACL), mode="vnf"))
    def test_lpm_and_acl(self, vnf: Stack, program: Program) -> None:
        vnf.run(program)

    @bounded
    @given(program=programs(kinds=(PipeType.HASH, PipeType.ORDERED_LIST), mode="vnf"))
    def test_hash_and_ordered_list(self, vnf: Stack, program: Program) -> None:
        vnf.run(program)

    @bounded
    @given(program=programs(mode="vnf"))
    def test_all(self, vnf: Stack, program: Program) -> None:
        vnf.run(program)


class TestSwitch:
    """All pipes on the switch port."""

    @bounded
    @given(program=programs(mode="switch"))
    def test_all(self, switch: Stack, program: Program) -> None:
        switch.run(program)
