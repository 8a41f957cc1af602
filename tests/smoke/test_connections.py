# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Connections in a whole fast path process, with one worker, with none of its own, and with two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from appliance.flow import Dpu
from appliance.run.frames import ACK, SYN, tcp
from appliance.telemetry import Telemetry
from tests.support.fastpath import wait_for
from tests.support.flows import ALLOWED, DEFAULT, book
from tests.support.tracked import CLIENT, SERVER, Tracked

CONNECTIONS = 60


@pytest.fixture(params=[{}, {"one_core": "yes"}, {"workers": 2}], ids=["worker", "one-core", "two-workers"])
def rig(request: pytest.FixtureRequest) -> Iterator[Tracked]:
    options: Mapping[str, object] = request.param
    with Dpu.launch(ports=3, mode="switch", flow_ring_bytes=1 << 20, options=options) as dpu:
        made = Tracked(dpu, Telemetry(book(), 1000, appliance="dpu-1"), DEFAULT)
        made.rule(443, ALLOWED)
        yield made


def test_connections_are_listed_and_told_when_the_pipe_goes(rig: Tracked) -> None:
    for source in range(CONNECTIONS):
        rig.dpu.inject("pf0vf0", tcp(CLIENT, SERVER, 1000 + source, 443, SYN, seq=100))
    wait_for("all to be open", lambda: rig.dpu.ct_stats().live == CONNECTIONS)
    rows = rig.dpu.ct_list()
    assert sorted(rows["src_port"]) == list(range(1000, 1000 + CONNECTIONS))
    assert np.all(rows["dst_identity"] == 17 << 2)
    hops = rig.dpu.trace("pf0vf1", tcp(SERVER, CLIENT, 443, 1000, SYN | ACK, seq=500, ack=101)).hops
    assert [hop.pipe for hop in hops] == ["root", "ct", "forward"]
    rig.destroy()
    wait_for(
        "a last record of each",
        lambda: sum(one["close_reason"] == "shutdown" for one in rig.records()) == CONNECTIONS,
    )
    stats = rig.dpu.ct_stats()
    assert (stats.live, stats.opened, stats.closed) == (0, CONNECTIONS, CONNECTIONS)
