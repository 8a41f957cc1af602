# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Programs on a real fast path: only differences are posted, and what was posted is found again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import numpy as np
import pytest

from appliance.flow import Dpu
from appliance.flow.types import (
    Actions,
    FwdChangeable,
    FwdDrop,
    FwdPipe,
    FwdPort,
    Match,
    PipeSpec,
    PipeType,
)
from appliance.policy.program import Numbers, Program, Sizes, Table
from appliance.policy.reconciler import Applied, OutOfStep, Reconciler
from appliance.run import frames
from appliance.run.frames import Host
from tests.support.fastpath import Fastpath, wait_for

PORTS = {f"p{i}": {"backend": "net_ring"} for i in range(2)}
ONES = 0xFFFFFFFF
SRC, WORD = "outer.ipv4.src_ip", "meta.u32[5]"
THERE = Host("02:00:00:00:00:0b", "10.9.9.9")


def rows(**columns: tuple[str, Any]) -> Any:
    """Rows from ``column=(type, values)``; ``__`` for a dot."""
    dtype = np.dtype([(name, kind) for name, (kind, _) in columns.items()])
    made = np.zeros(len(next(iter(columns.values()))[1]), dtype)
    for name, (_, values) in columns.items():
        made[name] = values
    return made


def program(
    identities: dict[int, int], allowed: dict[int, int], *, room: int = 0, miss: bool = True
) -> Program:
    """``identities`` by last byte of 10.0.0.x/32 (0: all of 10.0.0.0/24); ``allowed`` tags by identity."""
    forward = Table(
        name="seg/forward",
        spec=PipeSpec(
            name="seg/forward",
            match=Match.from_flat({"outer.ipv4.dst_ip": ONES}),
            fwd=FwdChangeable(),
            fwd_miss=FwdDrop(),
        ),
        keys=rows(**{"outer.ipv4.dst_ip": (">u4", [0x0A090909])}),
        tags=np.zeros(1, np.uint64),
        fwds=(FwdPort(1),),
    )
    default = Table(
        name="seg/default",
        spec=PipeSpec(
            name="seg/default", match=Match.from_flat({SRC: ONES}), fwd=FwdDrop(), fwd_miss=FwdDrop()
        ),
        keys=rows(**{SRC: (">u4", [])}),
        tags=np.zeros(0, np.uint64),
    )
    pair = Table(
        name="seg/pair",
        spec=PipeSpec(
            name="seg/pair",
            match=Match.from_flat({WORD: ONES}),
            match_mask=Match.from_flat({WORD: ONES}),
            fwd=FwdChangeable(),
            fwd_miss=FwdPipe("seg/default") if miss else FwdDrop(),
        ),
        keys=rows(**{WORD: (">u4", list(allowed))}),
        tags=np.array(list(allowed.values()), np.uint64),
        fwds=(FwdPipe("seg/forward"), FwdDrop()),
        fwd_of_row=np.array([tag >= 1000 for tag in allowed.values()], np.uint32),
    )
    lengths = [24 if last == 0 else 32 for last in identities]
    src4 = Table(
        name="seg/src4",
        spec=PipeSpec(
            name="seg/src4",
            type=PipeType.LPM,
            nr_entries=room,
            match=Match.from_flat({SRC: ONES}),
            match_mask=Match.from_flat({SRC: ONES}),
            actions=(Actions.from_flat({WORD: ONES}),),
            fwd=FwdPipe("seg/pair"),
            fwd_miss=FwdDrop(),
        ),
        keys=rows(**{SRC: (">u4", [0x0A000000 + last for last in identities])}),
        masks=rows(**{SRC: (">u4", [ONES << (32 - length) & ONES for length in lengths])}),
        args=rows(**{WORD: (">u4", list(identities.values()))}),
        tags=np.zeros(len(identities), np.uint64),
    )
    root = Table(
        name="seg/root",
        spec=PipeSpec(
            name="seg/root",
            is_root=True,
            match=Match.from_flat({"outer.eth.type": 0xFFFF}),
            fwd=FwdPipe("seg/src4"),
            fwd_miss=FwdDrop(),
        ),
        keys=rows(**{"outer.eth.type": (">u2", [0x0800])}),
        tags=np.zeros(1, np.uint64),
    )
    return Program(
        tables=(forward, default, pair, src4, root), verdicts={}, identities={}, bindings=(),
        numbers=Numbers(), sizes=Sizes(),
    )  # fmt: skip


class Rig:
    """A reconciler on a durable session."""

    def __init__(self, running: Fastpath) -> None:
        self.running = running
        self.dpu: Dpu
        self.reconciler = Reconciler()
        self.attach()

    def attach(self) -> bool:
        """As after a kill -9: a new process knows nothing. Whether it found something."""
        self.dpu = Dpu.attach(self.running.directory, session="seg", durable=True, mode="switch")
        port = self.dpu.port_start("p0", 0)
        self.dpu.port_start("p1", 1)
        if self.dpu.resumed:
            port.adopt()
        self.reconciler = Reconciler()
        return self.reconciler.adopt(self.dpu, port)

    def killed(self) -> None:
        self.dpu.close()
        assert self.attach()

    def apply(self, wanted: Program) -> Applied:
        return self.reconciler.apply(self.dpu, wanted, 1)

    def verdict(self, last: int) -> tuple[str, int]:
        """Port and tag for a packet of 10.0.0.``last``."""
        trace = self.dpu.trace(
            "p0", frames.udp(Host("02:00:00:00:00:0a", f"10.0.0.{last}"), THERE, 1, 2, b"x")
        )
        return trace.outcomes[0].port, max(hop.tag for hop in trace.hops)


@pytest.fixture
def rig(fastpath: Callable[..., Fastpath]) -> Iterator[Rig]:
    ports = {"p0": {"backend": "net_ring", "pci": "0000:03:00.0", "ibdev": "mlx5_0"},
             "p1": {"backend": "net_ring", "pci": "0000:03:00.0", "representor": "pf0vf0"}}  # fmt: skip
    made = Rig(fastpath(ports))
    yield made
    made.dpu.close()


BEFORE = program({0: 4, 5: 8, 6: 12}, {4: 10, 8: 1000, 12: 11})


def test_a_program_is_posted_and_then_nothing(rig: Rig) -> None:
    done = rig.apply(BEFORE)
    assert (done.pipes_created, done.rows_added) == (5, 8)
    assert [rig.verdict(last) for last in (1, 5, 6)] == [("p1", 10), ("", 1000), ("p1", 11)]
    assert not rig.apply(BEFORE).changed
    again = rig.apply(program({0: 4, 5: 8, 6: 12}, {4: 10, 8: 1000, 12: 11}))
    assert not again.changed
    assert again.concerned == frozenset()
    rig.killed()
    assert not rig.apply(BEFORE).changed
    assert rig.verdict(5) == ("", 1000)


@pytest.mark.parametrize("restart", [False, True])
def test_only_differences_are_posted(rig: Rig, restart: bool) -> None:
    rig.apply(BEFORE)
    if restart:
        rig.killed()
    # 5 gets another identity, 6 goes, 7 is new: its address had the prefix's identity.
    done = rig.apply(program({0: 4, 5: 12, 7: 8}, {4: 10, 8: 1000, 12: 11}))
    assert (done.rows_added, done.rows_updated, done.rows_removed, done.pipes_created) == (1, 1, 1, 0)
    assert done.concerned == frozenset({8, 12, 4})
    assert [rig.verdict(last) for last in (5, 6, 7)] == [("p1", 11), ("p1", 10), ("", 1000)]
    # A verdict gets another rule, another one another forward and rule.
    done = rig.apply(program({0: 4, 5: 12, 7: 8}, {4: 20, 8: 30, 12: 11}))
    assert (done.rows_added, done.rows_updated, done.rows_removed) == (2, 0, 2)
    assert done.concerned is None
    assert [rig.verdict(last) for last in (1, 7)] == [("p1", 20), ("p1", 30)]


def prefixes(made: Program, identities: dict[str, int]) -> Program:
    """A program with other identities, by prefix."""
    networks = [ip_network(text) for text in identities]
    old = made.table("seg/src4")
    new = replace(
        old,
        keys=rows(**{SRC: (">u4", [int(one.network_address) for one in networks])}),
        masks=rows(**{SRC: (">u4", [int(one.netmask) for one in networks])}),
        args=rows(**{WORD: (">u4", list(identities.values()))}),
        tags=np.zeros(len(networks), np.uint64),
    )
    return replace(made, tables=tuple(new if table is old else table for table in made.tables))


def test_who_had_an_address_before_it_got_a_row_of_its_own_is_concerned(rig: Rig) -> None:
    roomy = program({}, {}, room=1 << 13)
    before = {"0.0.0.0/0": 4, "10.0.0.0/16": 8, "10.0.0.0/32": 12, "10.1.0.0/16": 16}
    rig.apply(prefixes(roomy, before))
    done = rig.apply(prefixes(roomy, before | {"10.0.0.7/32": 20, "10.1.2.0/24": 24}))
    assert done.concerned == frozenset({8, 16})
    # What lies inside the new prefix has its own already; the rest of it was the widest one's.
    done = rig.apply(prefixes(roomy, before | {"10.0.0.0/8": 28}))
    assert done.concerned == frozenset({4, 20, 24})
    # One row for each of many addresses.
    many = {f"10.0.{n >> 8}.{n & 255}/32": 32 for n in range(1, 2000)}
    done = rig.apply(prefixes(roomy, before | {"10.0.0.0/8": 28} | many))
    assert done.concerned == frozenset({8})


@pytest.mark.parametrize("restart", [False, True])
def test_a_table_that_outgrows_its_pipe(rig: Rig, restart: bool) -> None:
    rig.apply(BEFORE)
    if restart:
        rig.killed()
    many = {0: 4} | dict.fromkeys(range(1, 250), 8)
    done = rig.apply(program(many | {300 + n: 12 for n in range(2000)}, {4: 10, 8: 1000, 12: 11}))
    # The LPM pipe is built anew beside the old one, and so is what forwards to it.
    assert done.pipes_created == 2
    assert rig.reconciler.pipes["seg/src4"] == "seg/src4~2"
    assert rig.verdict(7) == ("", 1000)
    assert not rig.apply(program(many | {300 + n: 12 for n in range(2000)}, {4: 10, 8: 1000, 12: 11})).changed
    rig.killed()
    assert not rig.apply(program(many | {300 + n: 12 for n in range(2000)}, {4: 10, 8: 1000, 12: 11})).changed
    back = rig.apply(program({0: 4}, {4: 10} | {20 + n: 12 for n in range(5000)}))
    assert back.pipes_created == 0  # the BASIC pipe has grown in place
    assert rig.verdict(7) == ("p1", 10)
    wait_for("the old pipe to be gone", lambda: len(rig.dpu.pipe_list(own=True)) == 5)


def test_a_miss_and_a_specification_that_change(rig: Rig) -> None:
    rig.apply(BEFORE)
    done = rig.apply(program({0: 4, 5: 8, 6: 12}, {4: 10, 8: 1000, 12: 11}, miss=False))
    assert (done.pipes_created, done.rows_added) == (0, 0)
    rig.killed()
    assert rig.dpu.port(0).pipe("seg/pair").info().fwd_miss_text == "drop"
    other = program({0: 4, 5: 8, 6: 12}, {4: 10, 8: 1000, 12: 11})
    pair = other.table("seg/pair")
    changed = replace(pair, spec=replace(pair.spec, match_mask=Match.from_flat({WORD: 0xFFFF})))
    tables = tuple(changed if table is pair else table for table in other.tables)
    done = rig.apply(replace(other, tables=tables))
    assert done.pipes_created == 3  # pair, and what leads to it
    assert done.concerned is None
    assert [rig.verdict(last) for last in (1, 5, 6)] == [("p1", 10), ("", 1000), ("p1", 11)]


def test_a_pipe_that_is_no_longer_wanted(rig: Rig) -> None:
    rig.apply(BEFORE)
    other = program({0: 4, 5: 8, 6: 12}, {4: 10, 8: 1000, 12: 11}, miss=False)
    done = rig.apply(replace(other, tables=tuple(t for t in other.tables if t.name != "seg/default")))
    assert done.pipes_destroyed == 1
    wait_for("the pipe to be gone", lambda: len(rig.dpu.pipe_list(own=True)) == 4)


def test_a_change_of_arguments_alone(rig: Rig) -> None:
    rig.apply(BEFORE)
    rig.killed()
    rig.apply(BEFORE)
    table = BEFORE.table("seg/src4")
    assert table.args is not None
    args = table.args.copy()
    args[WORD][1] = 12
    after = replace(BEFORE, tables=tuple(
        replace(t, args=args) if t is table else t for t in BEFORE.tables
    ))  # fmt: skip
    changed = {"seg/src4": np.array([1])}
    with pytest.raises(OutOfStep, match="not told"):  # there is no connection tracking here to be told
        rig.reconciler.update(rig.dpu, after, changed, 1, [8])
    assert rig.verdict(5) == ("p1", 11)
    rig.killed()
    assert not rig.apply(after).changed
