# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""ObserverService and `ringfield observe` over a real server; records are synthetic, in the fast path's own form."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner

from appliance.cli.main import main
from appliance.flow.types import FlowClose, FlowEvent
from appliance.rpc import observer_service
from appliance.rpc.client import Client, calls
from appliance.rpc.convert.observer import flow_from, losses_from
from appliance.rpc.errors import CallError
from appliance.rpc.observer_service import ObserverServicer
from appliance.rpc.server import Server
from appliance.telemetry import Telemetry, render, schema
from appliance.v1 import observer_pb2, observer_service_pb2
from tests.support.fastpath import wait_for
from tests.support.flows import ALERTED, DENIED, QUARANTINED, batch, book, closed, row, rows
from tests.support.rig import ROUTER, TIMEOUT, directory, running

Get = observer_service_pb2.GetFlowsRequest
List = observer_service_pb2.ListFlowsRequest
Stats = observer_service_pb2.GetFlowStatsRequest
PATIENCE = 240.0  # of a test that moves thousands of records on a machine that is busy


@dataclass
class Rig:
    """A server that has nothing but records."""

    telemetry: Telemetry
    client: Client
    target: str

    def get(self, **request: Any) -> list[dict[str, Any]]:
        """A stream that ends."""
        with calls():
            answers = self.client.observer.GetFlows(Get(**request), timeout=TIMEOUT)
            return [flow_from(flow) for answer in answers for flow in answer.flows]

    def shell(self, *words: str, status: int = 0) -> str:
        """`ringfield`."""
        result = CliRunner().invoke(main, ["--target", self.target, *words], env={"COLUMNS": "200"})
        assert result.exit_code == status, f"{words}: {result.output} {result.exception}"
        return result.output


@contextmanager
def serving(capacity: int = 1000) -> Iterator[Rig]:
    telemetry = Telemetry(book(), capacity, appliance="dpu-1")
    with directory() as made:
        server = Server([ObserverServicer(telemetry)], made / "s")
        try:
            with Client(f"unix:{made / 's'}") as client:
                yield Rig(telemetry, client, str(made / "s"))
        finally:
            telemetry.close()
            server.close()


STORY: Sequence[dict[str, Any]] = (
    row(id=1),
    row(id=2, event=FlowEvent.DENY, tag=DENIED, src_ip="10.0.0.2", dst_ip="192.0.2.9", dst_identity=12, dst_port=22),
    row(id=1, event=FlowEvent.UPDATE, packets=(10, 8), bytes=(1000, 8000)),
    row(id=3, tag=ALERTED, dst_port=80),
    row(id=2, event=FlowEvent.DENY_UPDATE, tag=DENIED, src_ip="10.0.0.2", dst_ip="192.0.2.9", dst_identity=12,
        dst_port=22, frames=7, packets=(8, 0)),
    closed(FlowClose.POLICY, id=1, tag=QUARANTINED, drop=24, src_identity=16 << 2 | 3),
)  # fmt: skip


@pytest.fixture(scope="module")
def story() -> Iterator[Rig]:
    with serving() as rig:
        for one in STORY:
            rig.telemetry.append(batch([one]))
        yield rig


def test_every_column_travels(story: Rig) -> None:
    stored = story.telemetry.store.read(1, 10)[0]
    assert story.get() == render.records(stored)
    fields = [field.name for field in observer_pb2.Flow.DESCRIPTOR.fields]
    assert fields == [column.name for column in schema.COLUMNS]
    last = story.get(last=1)[0]
    expected = {
        "record": 6, "appliance": "dpu-1", "event": "close", "verdict": "drop", "reason": "policy", "band": "system",
        "rule": "quarantine", "rule_id": "s1", "close_reason": "quarantine", "revision": 3, "protocol": "tcp",
        "src_workload": "agent-1", "src_labels": ["app=agent", "env=prod"], "src_state": "quarantined",
        "src_kind": "agent", "dst_workload": "tool-1", "in_port": "pf0vf0", "out_port": "pf0vf1", "network": "prod",
        "vni": 4711, "initiator_packets": 5, "responder_bytes": 400, "direction": "internal", "reporter": "only",
        "src_mac": "02:00:00:00:00:01", "src_ip": "10.0.0.1", "dst_port": 443, "tcp_state": "close",
        "create_reason": "policy", "initiator_tcp_flags": "syn",
    }  # fmt: skip
    assert {key: last[key] for key in expected} == expected
    denied = story.get(filter="event=deny")[0]
    expected = {
        "verdict": "drop", "reason": "policy", "rule": "no-datasets", "band": "block", "audit_verdict": "allow",
        "audit_rule": "maybe", "dst_labels": ["reserved:world"], "dst_workload": "", "out_port": "",
        "create_reason": "", "direction": "egress",
    }  # fmt: skip
    assert {key: denied[key] for key in expected} == expected


def test_filters_since_last_and_until(story: Rig) -> None:
    def records(**request: Any) -> list[int]:
        return [one["record"] for one in story.get(**request)]

    assert records(filter="verdict=denied") == [2, 5, 6]
    assert records(filter="verdict=denied", last=2) == [5, 6]
    assert records(filter="verdict=denied or to.port=80") == [2, 4, 5, 6]
    message = observer_pb2.FlowFilter(
        terms=[observer_pb2.FlowTerm(field="to.port", values=["443"], negate=True)]
    )
    assert records(filters=[message]) == [2, 4, 5]
    times = {one["record"]: one["time_ns"] for one in story.get()}
    assert records(since_ns=times[3], until_ns=times[5]) == [3, 4]
    assert records(since_ns=times[6] + 1) == []


@pytest.mark.parametrize(
    ("call", "request_", "field", "words"),
    [
        ("GetFlows", Get(filter="colour=red"), "filter", "no field 'colour'"),
        ("GetFlows", Get(filters=[{"terms": [{"field": "port", "values": ["x"]}]}]), "filters", "'x'"),
        ("GetFlows", Get(filter="port=1", filters=[observer_pb2.FlowFilter()]), "filter", "not both"),
        ("GetFlows", Get(follow=True, until_ns=5), "until_ns", "following"),
        ("GetFlows", Get(lag=1 << 21), "lag", "at most"),
        ("GetFlows", Get(last=1 << 18), "last", "at most"),
        ("GetFlows", Get(since_ns=-1), "since_ns", "1970"),
        ("GetFlows", Get(since_ns=9, until_ns=5), "until_ns", "before since_ns"),
        ("ListFlows", List(page_token="x"), "page_token", "not from an answer"),  # noqa: S106
        ("ListFlows", List(page_size=10_001), "page_size", "at most 10000"),
        ("GetFlowStats", Stats(group_by="colour"), "group_by", "label:KEY"),
        ("GetFlowStats", Stats(limit=10_001), "limit", "at most"),
    ],
)
def test_refusals(story: Rig, call: str, request_: Any, field: str, words: str) -> None:
    def ask() -> None:
        answer = getattr(story.client.observer, call)(request_, timeout=TIMEOUT)
        for _ in answer if call == "GetFlows" else ():
            continue

    with pytest.raises(CallError) as caught, calls():
        ask()
    assert caught.value.status is grpc.StatusCode.INVALID_ARGUMENT
    assert words in caught.value.reason
    assert caught.value.detail is not None
    assert caught.value.detail.field == field


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(("text", "expected"), [("", [1, 2, 3, 4, 5, 6]), ("verdict=denied", [2, 5, 6])])
def test_pages(story: Rig, newest_first: bool, text: str, expected: list[int]) -> None:
    got: list[int] = []
    token = ""
    while True:
        request = List(page_size=2, filter=text, page_token=token, newest_first=newest_first)
        page = story.client.observer.ListFlows(request, timeout=TIMEOUT)
        assert len(page.flows) <= 2
        got += [flow.record for flow in page.flows]
        token = page.next_page_token
        if not token:
            break
    assert got == (expected[::-1] if newest_first else expected)
    assert (page.oldest_record, page.stored) == (1, 6)


def test_map(story: Rig) -> None:
    found = story.client.observer.GetFlowStats(Stats(), timeout=TIMEOUT)
    assert (found.total_edges, found.connections) == (3, 3)  # as the newest record of each has it
    edges = {
        (e.source, e.destination, e.port): (e.verdict, e.connections, e.initiator_packets, e.responder_bytes)
        for e in found.edges
    }
    assert edges == {
        ("agent-1", "tool-1", 443): (observer_pb2.FLOW_VERDICT_DROP, 1, 5, 400),
        ("agent-1", "tool-1", 80): (observer_pb2.FLOW_VERDICT_ALERT, 1, 1, 0),
        ("tool-1", "world", 22): (observer_pb2.FLOW_VERDICT_DROP, 1, 8, 0),
    }
    by_label = story.client.observer.GetFlowStats(
        Stats(group_by="label:app", without_services=True, filter="verdict=forwarded"), timeout=TIMEOUT
    )
    ends = [(e.source, e.destination, e.protocol, e.connections) for e in by_label.edges]
    assert ends == [("agent", "tool", "", 1)] * 2  # allowed and alerted


def test_follow_gets_what_comes_and_what_was_lost_on_the_way() -> None:
    with serving() as rig:
        rig.telemetry.append(rows(10))
        stream = rig.client.observer.GetFlows(Get(follow=True, filter="event=open"), timeout=TIMEOUT)
        first = next(stream)
        assert (len(first.flows), first.next_record) == (0, 11)
        rig.telemetry.append(rows(3, event=FlowEvent.UPDATE))
        rig.telemetry.append(rows(2), lost=9)
        rig.telemetry.report_lost("worker", 4)
        got: list[int] = []
        lost: dict[str, int] = {}
        while len(got) < 2 or lost != {"ring": 9, "worker": 4}:
            rig.telemetry.append(rows(0))
            answer = next(stream)
            got += [flow.record for flow in answer.flows]
            for place, count in losses_from(answer.losses).items():
                lost[place] = lost.get(place, 0) + count
        assert got == [14, 15]
        stream.cancel()


def test_follow_after_the_past() -> None:
    with serving() as rig:
        rig.telemetry.append(rows(1500))
        stream = rig.client.observer.GetFlows(Get(follow=True, last=700), timeout=TIMEOUT)
        got: list[int] = []
        while len(got) < 700:
            answer = next(stream)
            assert len(answer.flows) <= observer_service.BATCH
            got += [flow.record for flow in answer.flows]
        rig.telemetry.append(rows(5))
        while len(got) < 705:
            got += [flow.record for flow in next(stream).flows]
        assert got == list(range(801, 1506))
        stream.cancel()


def test_a_slow_reader_loses_is_told_and_slows_nobody() -> None:
    with serving(20_000) as rig:
        slow = rig.client.observer.GetFlows(Get(follow=True, lag=1000), timeout=PATIENCE)
        next(slow)
        quick_got: list[int] = []
        with Client(f"unix:{rig.target}") as other:
            quick = other.observer.GetFlows(Get(follow=True, lag=1 << 20), timeout=PATIENCE)
            next(quick)

            def follow() -> None:
                for answer in quick:
                    quick_got.extend(flow.record for flow in answer.flows)
                    if len(quick_got) >= sent:
                        return

            sent = 6_000
            thread = threading.Thread(target=follow)
            thread.start()
            every = rows(500)
            for _ in range(sent // 500):
                rig.telemetry.append(every)  # waits for nobody
            thread.join(PATIENCE)
            assert quick_got == list(range(1, sent + 1))
        # The slow one reads at last: what it gets and what it lost are all there was.
        got: list[int] = []
        lost = 0
        while len(got) + lost < sent:
            answer = next(slow)
            got += [flow.record for flow in answer.flows]
            lost += losses_from(answer.losses).get("stream", 0)
        assert len(got) + lost == sent
        assert lost > 0
        assert got == sorted(set(got))
        assert got[-1] == sent
        slow.cancel()


def test_overwritten_records_are_told() -> None:
    with serving(100) as rig:
        rig.telemetry.append(rows(250))
        answers = list(rig.client.observer.GetFlows(Get(), timeout=TIMEOUT))
        assert sum(len(answer.flows) for answer in answers) == 100
        assert losses_from(answers[0].losses) == {"store": 150}
        page = rig.client.observer.ListFlows(List(), timeout=TIMEOUT)
        assert (page.oldest_record, losses_from(page.losses)) == (151, {"store": 150})
        since = list(rig.client.observer.GetFlows(Get(last=5), timeout=TIMEOUT))
        assert losses_from(since[0].losses) == {}


def test_streams_are_bounded_and_given_back() -> None:
    with serving() as rig:
        streams = [rig.client.observer.GetFlows(Get(follow=True)) for _ in range(observer_service.STREAMS)]
        for stream in streams:
            next(stream)
        with pytest.raises(CallError) as caught, calls():
            next(rig.client.observer.GetFlows(Get(follow=True), timeout=TIMEOUT))
        assert caught.value.status is grpc.StatusCode.RESOURCE_EXHAUSTED
        for stream in streams:
            stream.cancel()

        def free() -> bool:
            try:
                return next(rig.client.observer.GetFlows(Get(follow=True), timeout=TIMEOUT)) is not None
            except grpc.RpcError:
                return False

        wait_for("the streams to be given back", free)


# --- the command line -------------------------------------------------------------------------------------------


def test_observe_prints_lines(story: Rig) -> None:
    lines = story.shell("observe").splitlines()
    assert len(lines) == 6
    assert (
        "agent-1 (app=agent,env=prod) -> tool-1:443 (app=tool,env=prod) tcp open ALLOW "
        "rule agents-use-tools [allow] rev 3"
    ) in lines[0]
    assert (
        "tool-1 (app=agent,env=prod) -> 192.0.2.9:22 (reserved:world) tcp deny DROP policy "
        "rule no-datasets [block] rev 3 audit: allow by maybe"
    ) in lines[1]
    assert "10/8 packets 1.0 kB/8.0 kB" in lines[2]
    assert "7 more packets" in lines[4]
    assert "agent-1 (app=agent,env=prod,quarantined)" in lines[5]
    assert "quarantine" in lines[5]
    assert len(story.shell("observe", "-n", "2").splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--verdict", "drop"], [2, 5, 6]),
        (["--verdict", "drop", "--verdict", "alert"], [2, 4, 5, 6]),
        (["--from", "agent-1", "--to", "port=443"], [1, 3, 6]),
        (["--from", "label=app=agent", "--not", "port=443"], [2, 4, 5]),
        (["--to", "identity=world"], [2, 5]),
        (["--band", "system"], [6]),
        (["--filter", "event=open port=80", "--filter", "from.state=quarantined"], [4, 6]),
        (["--kind", "agent", "--filter", "event=open port=80"], [4]),
        (["--ip", "192.0.2.0/24", "--event", "deny"], [2]),
        (["--since", "1h", "--reason", "policy", "--protocol", "tcp"], [2, 5, 6]),
        (["--until", "1h"], []),
        (["--all", "--rule", "no-*"], [2, 5]),
    ],
)
def test_observe_options(story: Rig, words: list[str], expected: list[int]) -> None:
    lines = story.shell("observe", "-o", "json", *words).splitlines()
    assert [json.loads(line)["record"] for line in lines] == expected


def test_observe_forms(story: Rig) -> None:
    assert list(json.loads(story.shell("--json", "observe", "-n", "1"))) == [c.name for c in schema.COLUMNS]
    shown = story.shell("observe", "-o", "table")
    assert "service" in shown
    assert "no-datasets" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--verdict", "maybe"], "not one of allow"),
        (["--from", "colour=red"], "no field 'from.colour'"),
        (["--since", "yesterday"], "write 30s, 5m"),
        (["-f", "-o", "table"], "a table has an end"),
        (["-f", "--until", "1h"], "no --until"),
        (["--all", "-n", "3"], "either --all or --last"),
    ],
)
def test_observe_refuses(story: Rig, words: list[str], said: str) -> None:
    assert said in story.shell("observe", *words, status=2)


def test_observe_follows() -> None:
    with serving() as rig:
        stop = threading.Event()

        def feed() -> None:
            while not stop.wait(0.02):
                rig.telemetry.append(rows(1))

        thread = threading.Thread(target=feed)
        thread.start()
        closer = threading.Timer(1.0, rig.telemetry.close)
        closer.start()
        try:
            output = rig.shell("observe", "-f")
        finally:
            stop.set()
            thread.join()
            closer.join()
        assert "agent-1" in output


def test_observe_map(story: Rig) -> None:
    shown = story.shell("observe", "map")
    for words in ("agent-1", "tcp/443", "world", "3 connections and denials"):
        assert words in shown
    drawn = story.shell("observe", "map", "--format", "mermaid", "--by", "kind")
    assert drawn.startswith("flowchart LR\n")
    assert '"tcp/80 x1 alert"' in drawn
    assert '-. "tcp/22 x1 drop" .->' in drawn
    assert json.loads(story.shell("--json", "observe", "map", "--limit", "1"))["total_edges"] == "3"
    assert "and 2 more" in story.shell("observe", "map", "--limit", "1")
    assert "label:KEY" in story.shell("observe", "map", "--by", "colour", status=1)


def test_an_appliance_serves_records_and_metrics(tmp_path: Path) -> None:
    file = tmp_path / "flows.jsonl"
    sections = f"records: {{appliance: dpu-9, json: {{file: {file}}}}}\nmetrics: {{address: '127.0.0.1:0'}}\n"
    with running(ROUTER + sections) as rig:
        assert rig.appliance.exports is not None
        server = rig.appliance.exports.metrics
        assert server is not None
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=TIMEOUT) as answer:
            text = answer.read().decode()
        for line in (
            "ringfield_up 1.0",
            'ringfield_port_received_packets_total{port="p0"} 0.0',
            "ringfield_connections 0.0",
        ):
            assert line in text
        rig.appliance.telemetry.append(batch([row()]))
        got = [
            flow_from(flow)
            for answer in rig.client.observer.GetFlows(Get(), timeout=TIMEOUT)
            for flow in answer.flows
        ]
        assert [(one["appliance"], one["in_port"]) for one in got] == [("dpu-9", "p1")]
    assert [json.loads(line)["record"] for line in file.read_text().splitlines()] == [1]


def test_time_of_records_is_now(story: Rig) -> None:
    assert abs(story.get(last=1)[0]["time_ns"] - time.time_ns()) < 600 * 10**9
