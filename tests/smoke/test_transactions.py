# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A transaction over several pipes is one step: no packet sees a part of it."""

from collections import Counter as Multiset
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from scapy.all import IP, UDP, Ether

from appliance.errors import FlowError
from appliance.flow import Dpu, Entry, Pipe
from appliance.flow.types import (
    CHANGEABLE,
    COUNT,
    Actions,
    Eth,
    FwdPipe,
    FwdPort,
    HeaderFormat,
    Ip4,
    Match,
    PipeSpec,
)
from tests.support.fastpath import Fastpath, wait_for

FRAME = bytes(
    Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01") / IP(dst="10.0.0.2") / UDP() / bytes(22)
)
KEY = Match(outer=HeaderFormat(ip4=Ip4(dst_ip="10.0.0.2")))
TRANSACTIONS = 1000
BURST = 32


def rewrites(mark: int) -> list[Actions]:
    """What the three pipes of a set do: each leaves the set's mark in another place of the packet."""
    mac = f"02:aa:aa:aa:aa:{mark:02x}"
    return [
        Actions(outer=HeaderFormat(eth=Eth(dst_mac=mac))),
        Actions(outer=HeaderFormat(eth=Eth(src_mac=mac))),
        Actions(outer=HeaderFormat(ip4=Ip4(ttl=mark))),
    ]


def marks(frame: bytes) -> set[int]:
    return {frame[5], frame[11], frame[14 + 8]}


class Chain:
    """Three pipes in a row on p0, to p1."""

    def __init__(self, dpu: Dpu) -> None:
        self.dpu = dpu
        port, peer = dpu.port_start("p0"), dpu.port_start("p1")
        port.pair(peer)
        dpu.receive()
        places = (
            HeaderFormat(eth=Eth(dst_mac=CHANGEABLE)),
            HeaderFormat(eth=Eth(src_mac=CHANGEABLE)),
            HeaderFormat(ip4=Ip4(ttl=CHANGEABLE)),
        )
        self.pipes: list[Pipe] = []
        following: Any = FwdPort(1)
        for number in (2, 1, 0):
            made = port.pipe_create(
                PipeSpec(
                    name=f"pipe{number}",
                    is_root=number == 0,
                    match=Match(outer=HeaderFormat(ip4=Ip4(dst_ip=CHANGEABLE))),
                    actions=(Actions(outer=places[number]),),
                    monitor=COUNT,
                    fwd=following,
                )
            )
            self.pipes.insert(0, made)
            following = FwdPipe(made.name)
        self.entries: list[Entry] = []

    def add(self, mark: int) -> None:
        self.entries = [
            pipe.add(match=KEY, actions=actions)
            for pipe, actions in zip(self.pipes, rewrites(mark), strict=True)
        ]

    def remove(self) -> None:
        for entry in self.entries:
            entry.remove()

    def update(self, mark: int) -> None:
        for entry, actions in zip(self.entries, rewrites(mark), strict=True):
            entry.update(actions=actions)


@pytest.fixture
def chain(fastpath: Callable[..., Fastpath]) -> Iterator[Chain]:
    running = fastpath({"p0": {"backend": "net_ring"}, "p1": {"backend": "net_ring"}})
    with Dpu.attach(running.directory) as dpu:
        yield Chain(dpu)


def test_a_thousand_transactions_under_load(chain: Chain) -> None:
    seen: Multiset[frozenset[int]] = Multiset()
    chain.add(1)
    sent = 0
    for number in range(TRANSACTIONS):
        mark = 2 - number % 2
        chain.dpu.inject("p0", [FRAME] * BURST)  # on its way while the change is made
        sent += BURST
        with chain.dpu.transaction():
            if number % 4 < 2:
                chain.update(mark)
            else:
                chain.remove()
                chain.add(mark)
        if number % 50 == 0:
            trace = chain.dpu.trace("p0", FRAME)
            assert marks(trace.outcomes[0].frame) == {mark}
        seen.update(frozenset(marks(packet.frame)) for packet in chain.dpu.packets())

    def all_seen() -> bool:
        seen.update(frozenset(marks(packet.frame)) for packet in chain.dpu.packets(0.01))
        return seen.total() == sent

    wait_for("every packet", all_seen, 30.0)
    assert set(seen) == {frozenset({1}), frozenset({2})}


def test_nothing_shows_before_commit_and_nothing_after_abort(chain: Chain) -> None:
    chain.add(1)
    with suppress(ZeroDivisionError), chain.dpu.transaction():
        chain.update(2)
        assert marks(chain.dpu.trace("p0", FRAME).outcomes[0].frame) == {1}
        raise ZeroDivisionError
    assert marks(chain.dpu.trace("p0", FRAME).outcomes[0].frame) == {1}
    with chain.dpu.transaction():
        chain.update(2)
        assert marks(chain.dpu.trace("p0", FRAME).outcomes[0].frame) == {1}
    assert marks(chain.dpu.trace("p0", FRAME).outcomes[0].frame) == {2}


def test_a_change_that_fails_takes_all_others_with_it(chain: Chain) -> None:
    chain.add(1)

    def change() -> None:
        with chain.dpu.transaction():
            chain.update(2)
            with suppress(FlowError):
                chain.pipes[0].add(match=KEY, actions=rewrites(3)[0])  # the key is taken

    with pytest.raises(FlowError):
        change()
    assert marks(chain.dpu.trace("p0", FRAME).outcomes[0].frame) == {1}
    chain.dpu.inject("p0", [FRAME] * BURST)
    found: list[set[int]] = []

    def all_found() -> bool:
        found.extend(marks(packet.frame) for packet in chain.dpu.packets(0.01))
        return len(found) == BURST

    wait_for("the burst", all_found)
    assert all(one == {1} for one in found)
