# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""More connections are offered than the table has room for: each is accounted for, and under `refuse` every old one
still passes. At full size (1.2 million for a table of a million) on request.
"""

import pytest

from appliance.bench import capacity, segment
from appliance.flow import FastpathProcess
from appliance.flow.types import CtFull

SIZES = [
    pytest.param(10_000, 12_000, id="small"),
    pytest.param(1_000_000, 1_200_000, id="full", marks=pytest.mark.soak),
]
RULES = 10


def offered(room: int, connections: int, full: CtFull, rounds: int) -> capacity.Offered:
    process = FastpathProcess(
        capacity.ports(connections, rounds), {"huge": "no", "mbufs": 8192, "counters": 1 << 20}
    )
    try:
        with segment.segmented(
            process, rules=RULES, capacity=room, full=full, timeouts=segment.LONG
        ) as under:
            return capacity.offer(under, connections, rounds)
    finally:
        process.stop()


@pytest.mark.parametrize(("room", "connections"), SIZES)
def test_a_full_table_refuses_new_connections_and_keeps_every_old_one(room: int, connections: int) -> None:
    found = offered(room, connections, CtFull.REFUSE, capacity.ROUNDS)
    assert (found.stats.opened, found.stats.live, found.stats.evicted) == (room, room, 0)
    assert found.sent == room * capacity.ROUNDS, "every packet of every old one passes"
    refused = (connections - room) * capacity.ROUNDS
    assert found.dropped == {"ct_full": refused}
    assert found.stats.refused_full == refused
    assert connections == found.stats.live + found.stats.evicted + refused // capacity.ROUNDS
    assert (capacity.lost_of_old(found, room), capacity.unaccounted(found)) == (0, 0)


@pytest.mark.parametrize(("room", "connections"), SIZES)
def test_a_full_table_evicts_as_many_as_come(room: int, connections: int) -> None:
    found = offered(room, connections, CtFull.EVICT, 1)
    assert (found.stats.opened, found.stats.live) == (connections, room)
    assert found.stats.opened == found.stats.live + found.stats.evicted
    assert found.sent == connections
    assert (found.dropped, capacity.unaccounted(found)) == ({}, 0)
