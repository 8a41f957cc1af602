# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The store of flow records: what it completes, keeps, gives away and counts as lost."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from appliance.flow.types import FlowClose, FlowEvent
from appliance.telemetry import Binding, NameBook, Telemetry, Workload, schema
from appliance.telemetry.names import STATES
from appliance.telemetry.store import CHUNK, Rows
from tests.support.flows import (
    ALERTED,
    DENIED,
    POLICY_DROP,
    QUARANTINED,
    REJECTED,
    RESTRICTED,
    ZONE,
    batch,
    book,
    closed,
    row,
    rows,
)
from tests.support.tree import ROOT


def header_enum(name: str) -> list[str]:
    text = (ROOT / "native/include/steering_ct.h").read_text()
    body = re.search(rf"enum {name} {{(.*?)}};", text, re.S)
    assert body is not None
    return re.findall(r"^\s*STEER_\w+?_([A-Z0-9_]+)(?: = \d+)?,", body[1], re.M)


def stored(*members: dict[str, Any], capacity: int = 100) -> Rows:
    telemetry = Telemetry(book(), capacity)
    telemetry.append(batch(members))
    return telemetry.store.read(1, len(members) + 1)[0]


def test_words_are_those_of_the_fast_path() -> None:
    assert [name.lower() for name in header_enum("steer_flow_event")] == list(schema.EVENTS[1:])
    assert len(header_enum("steer_flow_create")) == len(schema.CREATES) - 1
    closes = [name.lower().removeprefix("close_") for name in header_enum("steer_flow_close")]
    assert closes[1:] == list(schema.CLOSES[1:-1])
    states = [name.lower().removeprefix("tcp_") for name in header_enum("steer_ct_tcp_state")]
    assert states[1:-1] == list(schema.TCP_STATES[1:])
    assert schema.reasons()[POLICY_DROP] == "policy"
    assert len(STATES) == 4


@pytest.mark.parametrize(
    ("members", "verdict", "reason", "close"),
    [
        (row(), "allow", "", ""),
        (row(tag=ALERTED), "alert", "", ""),
        (row(tag=0), "allow", "", ""),
        (row(tag=999), "allow", "", ""),
        (row(event=FlowEvent.DENY, tag=DENIED), "drop", "policy", ""),
        (row(event=FlowEvent.DENY, tag=REJECTED), "reject", "policy", ""),
        (
            row(event=FlowEvent.DENY_UPDATE, tag=0, drop=schema.reasons().index("ct_identity_limit")),
            "drop",
            "ct_identity_limit",
            "",
        ),
        (closed(FlowClose.FIN), "allow", "", "fin"),
        (closed(FlowClose.POLICY, tag=DENIED, drop=POLICY_DROP), "drop", "policy", "policy"),
        (closed(FlowClose.POLICY, tag=QUARANTINED, drop=POLICY_DROP), "drop", "policy", "quarantine"),
        (closed(FlowClose.POLICY, tag=RESTRICTED, drop=POLICY_DROP), "drop", "policy", "policy"),
        (closed(FlowClose.REUSED), "allow", "", "reused"),
    ],
)
def test_verdicts(members: dict[str, Any], verdict: str, reason: str, close: str) -> None:
    got = stored(members)
    assert schema.VERDICTS[got["verdict"][0]] == verdict
    assert schema.CLOSES[got["close"][0]] == close
    assert schema.reasons()[got["drop"][0]] == reason


@pytest.mark.parametrize(
    ("source", "destination", "direction", "reporter"),
    [
        ("10.0.0.1", "10.0.0.2", "internal", "only"),
        ("10.0.0.1", "10.0.0.4", "egress", "source"),
        ("10.0.0.4", "10.0.0.1", "ingress", "destination"),
        ("10.0.0.1", "192.0.2.1", "egress", "only"),
        ("192.0.2.1", "10.0.0.1", "ingress", "only"),
        ("192.0.2.1", "192.0.2.2", "transit", "only"),
    ],
)
def test_direction_and_reporter(source: str, destination: str, direction: str, reporter: str) -> None:
    got = stored(row(src_ip=source, dst_ip=destination))
    assert schema.DIRECTIONS[got["direction"][0]] == direction
    assert schema.REPORTERS[got["reporter"][0]] == reporter


def test_addresses_are_looked_up_by_zone_version_and_longest_prefix() -> None:
    names = NameBook()
    names.set_workload(Workload("host"), [Binding.of(1, "10.0.0.1"), Binding.of(1, "fd00::1")])
    names.set_workload(Workload("rack"), [Binding.of(1, "10.0.0.0/24"), Binding.of(1, "fd00::/64")])
    names.set_workload(Workload("other-tenant"), [Binding.of(2, "10.0.0.1")])
    names.set_workload(Workload("everything"), [Binding.of(3, "0.0.0.0/0")])
    asked = [("10.0.0.1", 1), ("10.0.0.9", 1), ("10.0.0.1", 2), ("10.0.0.9", 2), ("fd00::1", 1), ("fd00::9", 1),
             ("9.9.9.9", 3), ("fd00::1", 3)]  # fmt: skip
    given = batch([row(src_ip=address, dst_ip=address, zone=zone) for address, zone in asked])

    def found() -> list[str]:
        codes = names.workload_codes(given["zone"], given["ip_version"], given["src_ip"])
        return [names.workloads[code].name for code in codes]

    assert found() == ["host", "rack", "other-tenant", "", "host", "rack", "everything", ""]
    names.remove_workload("host")
    assert found() == ["rack", "rack", "other-tenant", "", "rack", "rack", "everything", ""]


def test_prefixes_on_either_side_of_a_word() -> None:
    names = NameBook()
    names.set_workload(Workload("long"), [Binding.of(1, "fd00::1:0:0:0/80"), Binding.of(1, "10.0.0.0/9")])
    names.set_workload(Workload("short"), [Binding.of(1, "fd00::/63")])
    asked = ["fd00::1:0:0:9", "fd00::2:0:0:9", "fd00:0:0:1::1", "fd00:0:0:2::1", "10.127.0.1", "10.128.0.1"]
    given = batch([row(src_ip=address, dst_ip=address, zone=1) for address in asked])
    codes = names.workload_codes(given["zone"], given["ip_version"], given["src_ip"])
    assert [names.workloads[code].name for code in codes] == ["long", "short", "short", "", "long", ""]


def test_records_keep_the_names_of_their_time() -> None:
    names = book()
    telemetry = Telemetry(names, 10)
    telemetry.append(batch([row()]))
    names.set_workload(Workload("agent-2"), [Binding.of(ZONE, "10.0.0.1")])
    names.remove_workload("agent-1")
    telemetry.append(batch([row()]))
    got = telemetry.store.read(1, 3)[0]
    assert [names.workloads[code].name for code in got["src_workload"]] == ["agent-1", "agent-2"]


def test_connection_id_is_the_same_at_both_ends() -> None:
    there = row(in_port=5, out_port=6, id=77, src_mac=bytes(6), boot=1, packets=(9, 9))
    got = stored(row(), there, row(src_port=40001), row(zone=8), row(protocol=17), row(dst_ip="10.0.0.9"))
    assert got["connection"][0] == got["connection"][1]
    assert len(set(got["connection"].tolist())) == 5


@pytest.mark.parametrize("sizes", [[3], [7, 7, 7], [10], [25], [1] * 30, [9, 4, 12, 1]])
def test_the_oldest_make_room(sizes: list[int]) -> None:
    telemetry = Telemetry(book(), 10)
    store = telemetry.store
    every = rows(sum(sizes))
    at = 0
    for size in sizes:
        telemetry.append(every[at : at + size])
        at += size
    kept = min(10, at)
    assert (len(store), store.oldest, store.next) == (kept, at - kept + 1, at + 1)
    assert store.lost["store"] == at - kept
    got, gone = store.read(1, at + 1)
    assert gone == at - kept
    assert got.records.tolist() == got["id"].tolist() == list(range(at - kept + 1, at + 1))
    assert telemetry.events()["open"] == at


def test_scan_in_both_directions() -> None:
    telemetry = Telemetry(book(), 3 * CHUNK)
    telemetry.append(rows(2 * CHUNK + 100))

    def select(some: Rows) -> Any:
        return some["id"] % 1000 == 0

    expected = list(range(1000, 2 * CHUNK + 101, 1000))
    forwards = [n for piece in telemetry.store.scan(select) for n in piece["id"].tolist()]
    assert forwards == expected
    backwards = [
        n for piece in telemetry.store.scan(select, backwards=True) for n in piece["id"].tolist()[::-1]
    ]
    assert backwards == expected[::-1]
    few = [n for piece in telemetry.store.scan(select, start=1500, stop=3000) for n in piece["id"].tolist()]
    assert few == [2000]


def test_since() -> None:
    clock = iter(range(1010, 2000, 10))
    telemetry = Telemetry(book(), 10, clock=lambda: next(clock))
    for _ in range(8):
        telemetry.append(rows(2))  # at 1010, 1020 ...; the last five stay
    store = telemetry.store
    assert store.first_since(0) == store.oldest == 7
    assert [store.first_since(time) for time in (1040, 1041, 1080, 1081)] == [7, 9, 15, 17]


def test_a_reader_gets_everything_in_order() -> None:
    telemetry = Telemetry(book(), 1000)
    reader = telemetry.follow()
    history = telemetry.follow(start=1)
    got: list[int] = []
    done = threading.Event()

    def follow() -> None:
        while not (done.is_set() and reader.position == telemetry.store.next):
            got.extend(reader.take(0.05).rows["id"].tolist())

    thread = threading.Thread(target=follow)
    thread.start()
    every = rows(500)
    for at in range(0, 500, 20):
        telemetry.append(every[at : at + 20])
    done.set()
    thread.join()
    assert got == list(range(1, 501))
    assert reader.lost == 0
    assert len(history.take(0).rows) == 500


def test_a_slow_reader_loses_and_is_told() -> None:
    telemetry = Telemetry(book(), 100)
    reader = telemetry.follow(lag=40)
    telemetry.append(rows(30))
    taken = reader.take(0)
    assert (len(taken.rows), taken.lost) == (30, {})
    telemetry.append(rows(90))
    taken = reader.take(0)
    assert (len(taken.rows), taken.lost) == (40, {"stream": 50})
    assert taken.rows["id"].tolist() == list(range(51, 91))
    telemetry.append(rows(250), lost=3)
    telemetry.report_lost("worker", 2)
    taken = reader.take(0)
    assert (len(taken.rows), taken.lost) == (40, {"stream": 210, "ring": 3, "worker": 2})
    assert reader.lost == 260
    assert reader.take(0).lost == {}


def test_a_reader_of_the_past_loses_what_is_overwritten_only() -> None:
    telemetry = Telemetry(book(), 4 * CHUNK)
    telemetry.append(rows(4 * CHUNK))
    reader = telemetry.follow(start=1, lag=10)
    assert len(reader.take(0).rows) == CHUNK  # far behind, but it was asked for
    telemetry.append(rows(2 * CHUNK))
    taken = reader.take(0)
    assert (len(taken.rows), taken.lost) == (0, {"stream": CHUNK})
    assert len(reader.take(0).rows) == CHUNK


def test_losses_are_counted_from_totals() -> None:
    telemetry = Telemetry(book(), 10)
    none = rows(0)
    for total in (5, 5, 7):
        telemetry.append(none, total)
    assert telemetry.store.lost["ring"] == 7
    telemetry.append(none, 2)  # a new session: its ring's count begins at 0
    assert telemetry.store.lost["ring"] == 9


def test_a_waiting_reader_is_let_go() -> None:
    telemetry = Telemetry(book(), 10)
    readers = [telemetry.follow(), telemetry.follow()]
    threads = [threading.Thread(target=reader.take, args=(60,)) for reader in readers]
    for thread in threads:
        thread.start()
    readers[0].close()
    threads[0].join(30)
    assert not threads[0].is_alive()
    telemetry.close()
    threads[1].join(30)
    assert not threads[1].is_alive()
    assert all(reader.closed for reader in readers)


def test_readers_beside_a_busy_writer_see_whole_records() -> None:
    """Each record's columns agree, though the ring is overwritten all the time."""
    telemetry = Telemetry(book(), 5000)
    every = rows(700)
    wrong: list[str] = []
    stop = threading.Event()

    def read() -> Iterator[int]:
        while not stop.is_set():
            for piece in telemetry.store.scan():
                same = piece["id"] == piece["revision"]
                if not same.all() or (np.diff(piece.records.astype(np.int64)) != 1).any():
                    wrong.append("torn")
                yield len(piece)

    threads = [threading.Thread(target=lambda: sum(read())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(300):
        every["id"] = np.arange(700) + number * 700
        every["revision"] = every["id"]
        telemetry.append(every)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_records_wait_for_who_is_in_a_hurry() -> None:
    telemetry = Telemetry(book(), 10)
    began, done = threading.Event(), threading.Event()

    def append() -> None:
        began.set()
        while not done.is_set():
            telemetry.append(rows(1))

    thread = threading.Thread(target=append)
    with telemetry.urgent(), telemetry.urgent():
        thread.start()
        assert began.wait(60)
        first = telemetry.store.next
        for _ in range(3):
            telemetry.store.wait(
                telemetry.store.next, 10
            )  # late, but they come: nobody is in a hurry for ever
        assert telemetry.store.next > first
    telemetry.store.wait(telemetry.store.next + 10, 10)
    done.set()
    thread.join()


def test_counts_of_verdicts() -> None:
    telemetry = Telemetry(book(), 10)
    telemetry.append(rows(5))
    telemetry.append(rows(3, event=FlowEvent.UPDATE))
    telemetry.append(rows(2, event=FlowEvent.DENY, tag=DENIED))
    telemetry.append(rows(2, event=FlowEvent.DENY_UPDATE, tag=DENIED))
    counted = [(verdict.rule, word, number) for _, verdict, word, number in telemetry.verdicts()]
    assert counted == [("agents-use-tools", "allow", 5), ("no-datasets", "drop", 2)]
    assert telemetry.events() == {"open": 5, "update": 3, "close": 0, "deny": 2, "deny_update": 2}


def test_a_store_needs_room() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Telemetry(book(), 0)
    tiny = Telemetry(book(), 1)
    tiny.append(rows(5))
    assert tiny.store.read(1, 6)[0]["id"].tolist() == [5]
