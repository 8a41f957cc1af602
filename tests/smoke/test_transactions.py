# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A transaction over several pipes is one step: no packet sees a part of it."""

import subprocess
import sys
from collections import Counter as Multiset
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Any

import pytest
from scapy.all import IP, UDP, Ether

from appliance.errors import FlowError
from appliance.flow import Dpu, Entry, Pipe, Reserves
from appliance.flow.results import Trace, Verdict
from appliance.flow.types import (
    CHANGEABLE,
    COUNT,
    Actions,
    CounterConfig,
    Eth,
    FwdDrop,
    FwdPipe,
    FwdPort,
    HeaderFormat,
    Ip4,
    Match,
    Monitor,
    PipeSpec,
    SharedResourceType,
)
from tests.support.fastpath import Fastpath, wait_for
from tests.support.tree import ROOT

FRAME = bytes(
    Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01") / IP(dst="10.0.0.2") / UDP() / bytes(22)
)
KEY = Match(outer=HeaderFormat(ip4=Ip4(dst_ip="10.0.0.2")))
TRANSACTIONS = 1000
UPDATES = 200
BURST = 32
AHEAD = 8  # bursts that the other process may be behind

# Where each step of a set leaves the set's mark, and all ones for each field.
PLACES = (("outer.eth.dst_mac", "meta.u32[0]"), ("outer.eth.src_mac",), ("outer.ipv4.ttl",))
ONES = {
    "outer.eth.dst_mac": (1 << 48) - 1,
    "outer.eth.src_mac": (1 << 48) - 1,
    "outer.ipv4.ttl": 0xFF,
    "outer.ipv4.dst_ip": 0xFFFFFFFF,
    "meta.u32[0]": 0xFFFFFFFF,
}
KEYS = (("outer.ipv4.dst_ip",), ("outer.ipv4.dst_ip", "meta.u32[0]"), ("outer.ipv4.dst_ip", "meta.u32[0]"))


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


def test_updates_under_load(chain: Chain) -> None:
    seen: Multiset[frozenset[int]] = Multiset()
    chain.add(1)
    for number in range(UPDATES):
        chain.dpu.inject("p0", [FRAME] * BURST)  # on its way while the change is made
        with chain.dpu.transaction():
            chain.update(2 - number % 2)
        seen.update(frozenset(marks(packet.frame)) for packet in chain.dpu.packets())

    def all_seen() -> bool:
        seen.update(frozenset(marks(packet.frame)) for packet in chain.dpu.packets(0.01))
        return seen.total() == UPDATES * BURST

    wait_for("every packet", all_seen, 30.0)
    assert set(seen) == {frozenset({1}), frozenset({2})}


class TwoSets:
    """Three pipes in a row and two sets of entries for them, of which one is in force.

    The first pipe's entry says in the packet's meta whose it is; the other pipes have entries for that set alone, so
    that a packet that meets a part of each set misses, and is dropped. All entries of a set in a pipe count in one
    shared counter, which outlives them.
    """

    def __init__(self, dpu: Dpu) -> None:
        self.dpu = dpu
        port, peer = dpu.port_start("p0"), dpu.port_start("p1")
        port.pair(peer)
        counters = [self.counter(step, mark) for step in range(3) for mark in (1, 2)]
        for one in counters:
            dpu.shared_set(SharedResourceType.COUNTER, one, CounterConfig())
        dpu.shared_bind(SharedResourceType.COUNTER, counters, port)
        dpu.receive()
        self.pipes: list[Pipe] = []
        following: Any = FwdPort(1)
        for step in (2, 1, 0):
            key = Match.from_flat({field: ONES[field] for field in KEYS[step]})
            made = port.pipe_create(
                PipeSpec(
                    name=f"step{step}",
                    is_root=step == 0,
                    match=key,
                    match_mask=key,
                    actions=(Actions.from_flat({field: ONES[field] for field in PLACES[step]}),),
                    monitor=Monitor(counter=0xFFFFFFFF),
                    fwd=following,
                    fwd_miss=FwdDrop(),
                    miss_counter=True,
                )
            )
            self.pipes.insert(0, made)
            following = FwdPipe(made.name)
        self.entries: list[Entry] = []

    @staticmethod
    def counter(step: int, mark: int) -> int:
        """The shared counter of a set's entries in a pipe."""
        return 1 + 2 * step + mark

    def put_in_force(self, mark: int) -> None:
        """Replace the set that is in force by another one, which shares no entry with it."""
        for entry in self.entries:
            entry.remove()
        self.entries = []
        for step, pipe in enumerate(self.pipes):
            key = {"outer.ipv4.dst_ip": int(IPv4Address("10.0.0.2")), "meta.u32[0]": mark}
            self.entries.append(
                pipe.add(
                    match=Match.from_flat({field: key[field] for field in KEYS[step]}),
                    actions=Actions.from_flat(dict.fromkeys(PLACES[step], mark)),
                    monitor=Monitor(counter=self.counter(step, mark)),
                )
            )

    def counted(self, mark: int) -> set[int]:
        """What the set's entries have counted in each pipe."""
        return {
            self.dpu.shared_query(SharedResourceType.COUNTER, self.counter(step, mark)).total_pkts
            for step in range(3)
        }


def of_one_set(trace: Trace) -> bool:
    """Whether a trace met three entries of one set: their marks in the packet, nothing missed."""
    (outcome,) = trace.outcomes
    return outcome.verdict is Verdict.PORT and len(trace.hops) == 3 and len(marks(outcome.frame)) == 1


# Injects a burst and traces a packet each time it is told to; tells how many traces it made, and how many were good.
LOAD = """
import sys
from appliance.flow import Dpu
from tests.smoke.test_transactions import BURST, FRAME, of_one_set
with Dpu.attach(sys.argv[1], session="load") as dpu:
    print("GO", flush=True)
    made = good = 0
    while sys.stdin.readline() == "more\\n":
        dpu.inject("p0", [FRAME] * BURST)
        made, good = made + 1, good + of_one_set(dpu.trace("p0", FRAME))
        print("more", flush=True)
    print(made, good, flush=True)
    sys.stdin.read()  # frames that the fast path has not taken yet would go with the session
"""


def test_a_thousand_transactions_under_load(fastpath: Callable[..., Fastpath]) -> None:
    running = fastpath({"p0": {"backend": "net_ring"}, "p1": {"backend": "net_ring"}})
    with (
        Dpu.attach(running.directory, reserves=Reserves(shared_counters=16)) as dpu,
        subprocess.Popen(
            [sys.executable, "-c", LOAD, str(running.directory)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        ) as load,
    ):  # fmt: skip
        assert load.stdin is not None
        assert load.stdout is not None
        sets = TwoSets(dpu)
        sets.put_in_force(1)
        assert load.stdout.readline() == "GO\n"
        seen: Multiset[frozenset[int]] = Multiset()
        for number in range(TRANSACTIONS):
            load.stdin.write("more\n")
            load.stdin.flush()
            if number >= AHEAD:  # no more at once than our packet ring has room for
                assert load.stdout.readline() == "more\n"
            # On its way while the change is made, as are those of the other process.
            dpu.inject("p0", [FRAME] * BURST)
            with dpu.transaction():
                sets.put_in_force(2 - number % 2)
            seen.update(frozenset(marks(packet.frame)) for packet in dpu.packets())
        load.stdin.write("end\n")
        load.stdin.flush()
        told = [load.stdout.readline() for _ in range(AHEAD + 1)]
        assert told[-1] == f"{TRANSACTIONS} {TRANSACTIONS}\n", "a trace fits neither set"

        def all_seen() -> bool:
            seen.update(frozenset(marks(packet.frame)) for packet in dpu.packets(0.01))
            return seen.total() == 2 * BURST * TRANSACTIONS

        wait_for("every packet", all_seen, 30.0)
        assert set(seen) == {frozenset({1}), frozenset({2})}
        assert [sets.counted(mark) for mark in (1, 2)] == [{seen[frozenset({mark})]} for mark in (1, 2)]
        assert [pipe.query_miss().total_pkts for pipe in sets.pipes] == [0, 0, 0]
        load.stdin.close()


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
