# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Ringfield's own forwards: drops with a reason, rejects, answers."""

import time
from collections.abc import Iterator

import pytest

from appliance.errors import InvalidValue
from appliance.flow import Dpu, Port
from appliance.flow.types import (
    CHANGEABLE,
    COUNT,
    Eth,
    FwdChangeable,
    FwdDrop,
    HeaderFormat,
    Match,
    PipeSpec,
)
from tests.differential import packet as pk

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
BY_SOURCE = Match(outer=HeaderFormat(eth=Eth(src_mac=CHANGEABLE)))


@pytest.fixture(scope="module")
def dpu() -> Iterator[Dpu]:
    with Dpu.launch(ports=2) as opened:
        opened.receive()
        yield opened


@pytest.fixture
def port(dpu: Dpu) -> Iterator[Port]:
    with dpu.port_start("p0", 0) as p0:
        yield p0


def frame(source: str) -> bytes:
    return pk.ethernet_bytes(Eth(source, B), (), 0x9000) + bytes(46)


def drops(dpu: Dpu, reason: str, wanted: int) -> None:
    """Wait until so many packets of p0 were dropped for this reason."""
    end = time.monotonic() + 5
    while dpu.port_stats("p0").drops.get(reason, 0) < wanted:
        assert time.monotonic() < end, (reason, dpu.port_stats("p0").drops)
        time.sleep(0.001)
    assert dpu.port_stats("p0").drops.get(reason, 0) == wanted


def test_drops_count_under_their_reason(dpu: Dpu, port: Port) -> None:
    pipe = port.pipe_create(
        PipeSpec(
            name="root",
            is_root=True,
            match=BY_SOURCE,
            fwd=FwdChangeable(),
            fwd_miss=FwdDrop("unauthenticated"),
        )
    )
    pipe.add(match=Match(outer=HeaderFormat(eth=Eth(src_mac=A))), fwd=FwdDrop("no_route"), monitor=COUNT)
    dpu.inject("p0", [frame(A), frame(B), frame(B)])
    drops(dpu, "unauthenticated", 2)
    drops(dpu, "no_route", 1)
    trace = dpu.trace("p0", frame(A))
    assert (trace.hops[0].fwd_text, trace.outcomes[0].reason) == ("drop no_route", "no_route")
    assert dpu.trace("p0", frame(B)).outcomes[0].reason == "unauthenticated"
    assert pipe.info().fwd_miss_text == "drop unauthenticated"


def test_an_unknown_reason_is_refused(port: Port) -> None:
    with pytest.raises(InvalidValue, match="no drop reason 'fancy'"):
        port.pipe_create(PipeSpec(name="root", is_root=True, match=BY_SOURCE, fwd=FwdDrop("fancy")))
