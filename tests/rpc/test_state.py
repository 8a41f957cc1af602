# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What the appliance promised: in memory, on disk, after a torn write, after a changed configuration."""

from pathlib import Path

import numpy as np
import pytest

from appliance.errors import NotFound
from appliance.rpc.declared import Declared, merge
from appliance.rpc.state import Journal, State, read_state
from appliance.v1 import entry_pb2, flow_pb2, pipe_pb2, port_pb2, shared_resource_pb2, state_pb2

Record = state_pb2.StateRecord


def pipe(name: str, *, declared: bool = False, **members: object) -> Record:
    message = pipe_pb2.Pipe(name=name, port="p0", **members)  # type: ignore[arg-type]
    return Record(pipe=state_pb2.StatePipe(pipe=message, declared=declared))


def entries(where: str, *numbers: int, declared: bool = False) -> Record:
    messages = [entry_pb2.Entry(id=number, pipe=where, tag=number) for number in numbers]
    return Record(entries=state_pb2.StateEntries(entries=messages, declared=declared))


def columns(where: str, first: int, count: int) -> Record:
    values = b"".join((0x0A000000 + item).to_bytes(4, "big") for item in range(count))
    batch = entry_pb2.EntryColumns(
        pipe=where,
        count=count,
        match=[entry_pb2.Column(name="outer.ipv4.dst_ip", values=values)],
        fwd_table=[flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_DROP), flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_TARGET)],
        fwd_index=bytes(item % 2 for item in range(count)),
        tags=b"".join((1000 + item).to_bytes(8, "little") for item in range(count)),
    )
    return Record(columns=state_pb2.StateColumns(columns=batch, first_entry_id=first))


def removed(*numbers: int) -> Record:
    return Record(removed=np.array(numbers, "<u8").tobytes())


def full(path: Path) -> Journal:
    journal = Journal(path, State())
    drop = flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_DROP)
    for record in (
        Record(port=port_pb2.Port(name="p9", backend="net_ring", port_id=9)),
        Record(port_removed="p1"),
        Record(default_miss=port_pb2.Port(name="p0", default_miss=port_pb2.DEFAULT_MISS_RSS)),
        Record(resource=shared_resource_pb2.SharedResource(id=3, counter=entry_pb2.Counter())),
        pipe("a"),
        pipe("b", declared=True),
        Record(miss=state_pb2.StateMiss(pipe="a", fwd_miss=drop)),
        Record(resized=pipe_pb2.Pipe(name="a", nr_entries=64)),
        entries("a", 1, 2, 3),
        entries("b", 4, declared=True),
        columns("b", 5, 100),
        removed(2, 5, 7, 104),
        Record(updated=state_pb2.StateEntries(entries=[entry_pb2.Entry(id=3, fwd=drop, action_index=1)])),
        Record(updated=state_pb2.StateEntries(entries=[entry_pb2.Entry(id=8, fwd=drop)])),
    ):
        journal.write(record)
    return journal


def summary(state: State) -> list[bytes]:
    return [record.SerializeToString(deterministic=True) for record in state.records()]


def test_a_state_comes_back_from_disk(tmp_path: Path) -> None:
    journal = full(tmp_path / "state")
    again = read_state(tmp_path / "state")
    assert again is not None
    assert summary(again) == summary(journal.state)
    journal.rewrite()
    once_more = read_state(tmp_path / "state")
    assert once_more is not None
    assert summary(once_more) == summary(journal.state)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600
    journal.close()


def test_what_a_state_knows(tmp_path: Path) -> None:
    journal = full(tmp_path / "state")
    state = journal.state
    assert state.nr_entries == 2 + 1 + 97
    assert state.pipe("a").numbers() == [1, 3]
    assert state.next_entry_id == 105
    assert state.message(6).fwd.type == flow_pb2.FWD_TYPE_TARGET
    assert state.message(6).match.fields[0].value == bytes([10, 0, 0, 1])
    assert state.message(6).tag == 1001
    assert state.message(8).fwd.type == flow_pb2.FWD_TYPE_DROP
    assert state.message(3).action_index == 1
    for gone in (2, 5, 7, 104, 105, 0):
        with pytest.raises(NotFound, match=str(gone)):
            state.find(gone)
    state.apply(Record(pipe_destroyed="b"))
    assert state.nr_entries == 2
    with pytest.raises(NotFound, match="'b'"):
        state.pipe("b")
    journal.close()


def test_a_batch_that_is_gone_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state", State())
    journal.write(pipe("a"))
    journal.write(columns("a", 1, 10))
    journal.write(removed(*range(1, 11)))
    assert journal.state.pipes["a"].columns == []
    assert journal.state.next_entry_id == 11
    journal.close()


def test_a_torn_record_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "state"
    full(path).close()
    whole = path.read_bytes()
    for cut in (1, 3, 10):
        path.write_bytes(whole[:-cut])
        state = read_state(path)
        assert state is not None
        assert state.message(8).fwd.type == flow_pb2.FWD_TYPE_TARGET  # the last record was its update
    path.write_bytes(b"")
    assert read_state(path) is None
    assert read_state(tmp_path / "none") is None


def test_the_file_does_not_grow_without_bound(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state", State())
    journal.write(pipe("a"))
    first = 1
    for _ in range(40):
        journal.write(columns("a", first, 5000))
        journal.write(removed(*range(first, first + 5000)))
        first += 5000
    journal.close()
    assert (tmp_path / "state").stat().st_size < 2_000_000
    again = read_state(tmp_path / "state")
    assert again is not None
    assert again.nr_entries == 0
    assert again.next_entry_id == first


def test_another_configuration_replaces_what_one_declared() -> None:
    state = State()
    one = Declared(
        b"1",
        (),
        pipes=(pipe_pb2.Pipe(name="a", port="p0"), pipe_pb2.Pipe(name="b", port="p0")),
        entries=(
            entry_pb2.Entry(pipe="a", tag=1),
            entry_pb2.Entry(pipe="a", tag=2),
            entry_pb2.Entry(pipe="b"),
        ),
    )
    merge(state, one)
    assert [(name, len(found.entries)) for name, found in state.pipes.items()] == [("a", 2), ("b", 1)]
    state.apply(pipe("called"))
    state.apply(entries("a", 77))
    kept = [n for n in state.pipes["a"].entries if state.message(n).tag == 2][0]  # noqa: RUF015
    merge(state, one)
    assert state.nr_entries == 4
    two = Declared(
        b"2",
        (),
        pipes=(pipe_pb2.Pipe(name="a", port="p0"), pipe_pb2.Pipe(name="b", port="p0", is_root=True)),
        entries=(entry_pb2.Entry(pipe="a", tag=2), entry_pb2.Entry(pipe="a", tag=3)),
    )
    merge(state, two)
    assert list(state.pipes) == ["a", "b", "called"]
    assert sorted(state.message(n).tag for n in state.pipes["a"].entries) == [2, 3, 77]
    assert kept in state.pipes["a"].entries
    assert not state.pipes["b"].entries
