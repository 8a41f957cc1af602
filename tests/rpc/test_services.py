# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Every service over a real server and a real fast path on ring ports."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from appliance.rpc.client import calls
from appliance.rpc.errors import CallError
from appliance.run import frames
from appliance.run.frames import Host
from appliance.v1 import (
    entry_pb2,
    entry_service_pb2,
    flow_pb2,
    packet_pb2,
    packet_service_pb2,
    pipe_pb2,
    pipe_service_pb2,
    port_pb2,
    port_service_pb2,
    shared_resource_pb2,
    shared_resource_service_pb2,
    stats_service_pb2,
    system_service_pb2,
    trace_pb2,
    trace_service_pb2,
)
from tests.support.fastpath import wait_for
from tests.support.rig import COUNTED, DROP, TIMEOUT, Running, fields, match, running, to_pipe, to_port

A = Host("02:00:00:00:00:0a", "10.1.0.1")
B = Host("02:00:00:00:00:0b", "10.0.0.1")


@pytest.fixture(scope="module")
def rig() -> Iterator[Running]:
    with running() as started:
        yield started


def ask(call: Any, request: Any) -> None:
    """Make a call; of a stream read all."""
    with calls():
        answer = call(request, timeout=TIMEOUT)
        if isinstance(answer, grpc.Call):
            for _ in answer:  # type: ignore[attr-defined]
                continue


def refused(call: Any, request: Any, status: grpc.StatusCode, *words: str, field: str | None = None) -> None:
    with pytest.raises(CallError) as caught:
        ask(call, request)
    assert caught.value.status is status, caught.value
    for word in words:
        assert word in caught.value.reason
    assert caught.value.detail is not None
    if field is not None:
        assert caught.value.detail.field == field


def basic(name: str, **members: Any) -> pipe_pb2.Pipe:
    """A pipe by destination address."""
    defaults: dict[str, Any] = {
        "port": "p0",
        "match": match(outer__ipv4__dst_ip="changeable"),
        "monitor": COUNTED,
        "fwd": DROP,
        "fwd_miss": DROP,
        "nr_entries": 64,
    }
    return pipe_pb2.Pipe(name=name, **{**defaults, **members})


@pytest.fixture
def pipe(rig: Running, request: pytest.FixtureRequest) -> Iterator[str]:
    """A pipe of the test's own."""
    name = request.node.name[:60]
    rig.create(basic(name))
    yield name
    rig.client.pipes.DestroyPipe(pipe_service_pb2.DestroyPipeRequest(name=name), timeout=TIMEOUT)


def entry(pipe: str, address: str, **members: Any) -> entry_pb2.Entry:
    return entry_pb2.Entry(pipe=pipe, match=match(outer__ipv4__dst_ip=address), monitor=COUNTED, **members)


# --- the server itself ------------------------------------------------------------------------------------------


def test_health_reflection_and_socket(rig: Running) -> None:
    assert rig.appliance.config.grpc.unix.stat().st_mode & 0o777 == 0o600
    health: Any = health_pb2_grpc.HealthStub(rig.client.channel)
    for service in ("", "appliance.v1.PipeService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    services = ProtoReflectionDescriptorDatabase(rig.client.channel).get_services()
    for name in ("Port", "Pipe", "Entry", "Stats", "Packet", "Trace", "SharedResource", "System"):
        assert f"appliance.v1.{name}Service" in services


def test_status(rig: Running) -> None:
    status = rig.client.system.GetStatus(system_service_pb2.GetStatusRequest(), timeout=TIMEOUT)
    assert status.state == system_service_pb2.FASTPATH_STATE_SERVING
    assert status.fastpath_pid == rig.appliance.fastpath_pid > 0
    assert (status.pipes, status.entries, status.restarts) == (1, 2, 0)


def test_deadlines_are_kept(rig: Running) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with rig.appliance.node.use():
            held.set()
            done.wait(TIMEOUT)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(TIMEOUT)
    try:
        with pytest.raises(CallError) as caught, calls():
            rig.client.pipes.ListPipes(pipe_service_pb2.ListPipesRequest(), timeout=0.2)
        assert caught.value.status is grpc.StatusCode.DEADLINE_EXCEEDED
    finally:
        done.set()
        thread.join()


# --- ports ------------------------------------------------------------------------------------------------------


def test_ports(rig: Running) -> None:
    ports = rig.client.ports.ListPorts(port_service_pb2.ListPortsRequest(), timeout=TIMEOUT).ports
    assert [(port.name, port.port_id, port.backend, port.started) for port in ports] == [
        ("p0", 0, "net_ring", True),
        ("p1", 1, "net_ring", True),
        ("p2", 2, "net_ring", True),
    ]
    assert ports[0].mac == "02:00:00:00:00:10"
    one = rig.client.ports.GetPort(port_service_pb2.GetPortRequest(name="p1"), timeout=TIMEOUT).port
    assert one == ports[1]
    refused(
        rig.client.ports.GetPort,
        port_service_pb2.GetPortRequest(name="p7"),
        grpc.StatusCode.NOT_FOUND,
        "'p7'",
        "p0, p1, p2",
    )


def test_ports_come_and_go(rig: Running) -> None:
    added = rig.client.ports.AddPort(
        port_service_pb2.AddPortRequest(port=port_pb2.Port(name="p9", backend="net_ring")), timeout=TIMEOUT
    ).port
    assert (added.name, added.port_id, added.started) == ("p9", 3, True)
    again = port_service_pb2.AddPortRequest(port=port_pb2.Port(name="p9", backend="net_ring"))
    refused(rig.client.ports.AddPort, again, grpc.StatusCode.ALREADY_EXISTS, "p9")
    rig.client.ports.RemovePort(port_service_pb2.RemovePortRequest(name="p9"), timeout=TIMEOUT)
    ports = rig.client.ports.ListPorts(port_service_pb2.ListPortsRequest(), timeout=TIMEOUT).ports
    assert [port.name for port in ports] == ["p0", "p1", "p2"]


@pytest.mark.parametrize(
    ("port", "status", "field"),
    [
        (port_pb2.Port(backend="net_ring"), grpc.StatusCode.INVALID_ARGUMENT, "port.name"),
        (port_pb2.Port(name="x"), grpc.StatusCode.INVALID_ARGUMENT, "port.backend"),
        (
            port_pb2.Port(name="x", backend="net_ring", port_id=0),
            grpc.StatusCode.INVALID_ARGUMENT,
            "port.port_id",
        ),
        (port_pb2.Port(name="x", backend="net_nonsense"), None, None),
    ],
)
def test_bad_ports(
    rig: Running, port: port_pb2.Port, status: grpc.StatusCode | None, field: str | None
) -> None:
    with pytest.raises(CallError) as caught, calls():
        rig.client.ports.AddPort(port_service_pb2.AddPortRequest(port=port), timeout=TIMEOUT)
    assert caught.value.detail is not None
    if status is not None:
        assert caught.value.status is status
        assert caught.value.detail.field == field
    assert len(rig.client.ports.ListPorts(port_service_pb2.ListPortsRequest(), timeout=TIMEOUT).ports) == 3


def test_default_miss(rig: Running) -> None:
    def set_miss(miss: port_pb2.DefaultMiss) -> None:
        request = port_service_pb2.SetDefaultMissRequest(name="p2", default_miss=miss)
        rig.client.ports.SetDefaultMiss(request, timeout=TIMEOUT)

    set_miss(port_pb2.DEFAULT_MISS_KERNEL)
    assert (
        rig.client.ports.GetPort(
            port_service_pb2.GetPortRequest(name="p2"), timeout=TIMEOUT
        ).port.default_miss
        == port_pb2.DEFAULT_MISS_KERNEL
    )
    set_miss(port_pb2.DEFAULT_MISS_DROP)
    refused(
        rig.client.ports.SetDefaultMiss,
        port_service_pb2.SetDefaultMissRequest(name="p2"),
        grpc.StatusCode.INVALID_ARGUMENT,
        field="default_miss",
    )


# --- pipes ------------------------------------------------------------------------------------------------------


def test_a_pipe_comes_and_goes(rig: Running) -> None:
    made = rig.create(basic("temporary", label="for a test"))
    assert (made.name, made.label, made.used_entries) == ("temporary", "for a test", 0)
    found = rig.client.pipes.GetPipe(pipe_service_pb2.GetPipeRequest(name="temporary"), timeout=TIMEOUT).pipe
    assert found.match.fields[-1].text == "changeable"
    listed = rig.client.pipes.ListPipes(pipe_service_pb2.ListPipesRequest(port="p0"), timeout=TIMEOUT).pipes
    assert [item.name for item in listed] == ["router", "temporary"]
    assert not rig.client.pipes.ListPipes(pipe_service_pb2.ListPipesRequest(port="p1"), timeout=TIMEOUT).pipes
    rig.client.pipes.DestroyPipe(pipe_service_pb2.DestroyPipeRequest(name="temporary"), timeout=TIMEOUT)
    refused(
        rig.client.pipes.GetPipe,
        pipe_service_pb2.GetPipeRequest(name="temporary"),
        grpc.StatusCode.NOT_FOUND,
        "temporary",
        "router",
    )


@pytest.mark.parametrize(
    ("made", "status", "field"),
    [
        (pipe_pb2.Pipe(port="p0"), grpc.StatusCode.INVALID_ARGUMENT, "pipe.name"),
        (basic("x", port="p9"), grpc.StatusCode.INVALID_ARGUMENT, "pipe.port"),
        (
            basic("x", match=match(outer__ipv4__nonsense="1")),
            grpc.StatusCode.INVALID_ARGUMENT,
            "pipe.match.fields[0]",
        ),
        (basic("x", fwd=to_port("p9")), grpc.StatusCode.INVALID_ARGUMENT, "pipe.fwd.port"),
        (basic("x", fwd=to_pipe("nowhere")), grpc.StatusCode.NOT_FOUND, None),
        (basic("x", fwd_miss=to_port("p1")), grpc.StatusCode.INVALID_ARGUMENT, None),
        (basic("router"), grpc.StatusCode.ALREADY_EXISTS, None),
        (basic("x", type=99), grpc.StatusCode.INVALID_ARGUMENT, "pipe.type"),
        (basic("x", type=pipe_pb2.PIPE_TYPE_LPM, is_root=True), grpc.StatusCode.INVALID_ARGUMENT, None),
    ],
)
def test_bad_pipes(rig: Running, made: pipe_pb2.Pipe, status: grpc.StatusCode, field: str | None) -> None:
    refused(rig.client.pipes.CreatePipe, pipe_service_pb2.CreatePipeRequest(pipe=made), status, field=field)
    assert len(rig.client.pipes.ListPipes(pipe_service_pb2.ListPipesRequest(), timeout=TIMEOUT).pipes) == 1


def test_a_pipe_in_use_stays(rig: Running, pipe: str) -> None:
    rig.create(basic("user", fwd=to_pipe(pipe)))
    refused(
        rig.client.pipes.DestroyPipe,
        pipe_service_pb2.DestroyPipeRequest(name=pipe),
        grpc.StatusCode.FAILED_PRECONDITION,
    )
    rig.client.pipes.DestroyPipe(pipe_service_pb2.DestroyPipeRequest(name="user"), timeout=TIMEOUT)


def test_show(rig: Running) -> None:
    def show(how: pipe_pb2.PipelineFormat) -> str:
        request = pipe_service_pb2.ShowPipelineRequest(format=how)
        return rig.client.pipes.ShowPipeline(request, timeout=TIMEOUT).text

    assert "pipe router (basic, root, on p0; 2 of 1024 entries)" in show(pipe_pb2.PIPELINE_FORMAT_TEXT)
    assert '"name": "router"' in show(pipe_pb2.PIPELINE_FORMAT_JSON)
    assert show(pipe_pb2.PIPELINE_FORMAT_MERMAID).startswith("flowchart LR")
    refused(
        rig.client.pipes.ShowPipeline,
        pipe_service_pb2.ShowPipelineRequest(names=["none"]),
        grpc.StatusCode.NOT_FOUND,
        "none",
    )


def test_the_miss_can_be_changed(rig: Running) -> None:
    frame = frames.udp(A, Host(B.mac, "10.9.9.9"), 1, 2)
    miss = stats_service_pb2.QueryPipeMissRequest(pipe="router")
    before = rig.client.stats.QueryPipeMiss(miss, timeout=TIMEOUT).counter.packets
    rig.create(basic("catch", match=flow_pb2.Match(), fwd=to_port("p2"), nr_entries=1))
    number = rig.add(entry_pb2.Entry(pipe="catch", monitor=COUNTED))
    rig.client.pipes.UpdatePipeMiss(
        pipe_service_pb2.UpdatePipeMissRequest(name="router", fwd_miss=to_pipe("catch")), timeout=TIMEOUT
    )
    with rig.wire() as got:
        rig.inject("p0", frame)
        wait_for("the packet at p2", lambda: rig.counter(number) == 1)
    rig.client.pipes.UpdatePipeMiss(
        pipe_service_pb2.UpdatePipeMissRequest(name="router", fwd_miss=DROP), timeout=TIMEOUT
    )
    rig.inject("p0", frame)
    rig.settle()
    assert rig.counter(number) == 1
    assert rig.client.stats.QueryPipeMiss(miss, timeout=TIMEOUT).counter.packets == before + 2
    rig.client.pipes.DestroyPipe(pipe_service_pb2.DestroyPipeRequest(name="catch"), timeout=TIMEOUT)
    assert [(one.port, one.frame) for one in got] == [("p2", frame)]


def test_a_resizable_pipe_grows(rig: Running) -> None:
    rig.create(basic("growing", is_resizable=True, congestion_percent=50, nr_entries=16))
    request = pipe_service_pb2.ResizePipeRequest(name="growing", nr_entries=100)
    assert rig.client.pipes.ResizePipe(request, timeout=TIMEOUT).nr_entries >= 100
    for item in range(100):
        rig.add(entry("growing", f"10.3.0.{item}"))
    rig.client.pipes.DestroyPipe(pipe_service_pb2.DestroyPipeRequest(name="growing"), timeout=TIMEOUT)


# --- entries ----------------------------------------------------------------------------------------------------


def test_an_entry_judges_packets(rig: Running) -> None:
    number = rig.add(entry("router", "10.0.0.77", fwd=to_port("p2"), tag=5))
    frame = frames.udp(A, Host(B.mac, "10.0.0.77"), 1, 2, b"hello")
    with rig.wire() as got:
        rig.inject("p0", frame)
    assert [(one.port, one.frame) for one in got] == [("p2", frame)]
    assert rig.counter(number) == 1
    found = rig.client.entries.GetEntry(entry_service_pb2.GetEntryRequest(id=number), timeout=TIMEOUT)
    assert (found.entry.id, found.entry.tag, found.entry.fwd.port) == (number, 5, "p2")
    assert (found.counter.packets, found.counter.bytes) == (1, len(frame))
    update = entry_pb2.Entry(id=number, fwd=DROP)
    rig.client.entries.UpdateEntry(entry_service_pb2.UpdateEntryRequest(entry=update), timeout=TIMEOUT)
    trace = rig.client.trace.TracePacket(
        trace_service_pb2.TracePacketRequest(port="p0", frame=frame), timeout=TIMEOUT
    ).trace
    assert trace.outcomes[0].verdict == trace_pb2.VERDICT_DROP
    assert (trace.hops[0].entry_id, trace.hops[0].tag) == (number, 5)
    rig.client.entries.RemoveEntry(entry_service_pb2.RemoveEntryRequest(id=number), timeout=TIMEOUT)
    for call, request in (
        (rig.client.entries.RemoveEntry, entry_service_pb2.RemoveEntryRequest(id=number)),
        (rig.client.entries.GetEntry, entry_service_pb2.GetEntryRequest(id=number)),
        (rig.client.entries.UpdateEntry, entry_service_pb2.UpdateEntryRequest(entry=update)),
        (rig.client.entries.QueryEntries, entry_service_pb2.QueryEntriesRequest(ids=[number])),
    ):
        refused(call, request, grpc.StatusCode.NOT_FOUND, str(number))


def test_bad_entries(rig: Running, pipe: str) -> None:
    def add(message: entry_pb2.Entry, status: grpc.StatusCode, **more: Any) -> None:
        refused(rig.client.entries.AddEntry, entry_service_pb2.AddEntryRequest(entry=message), status, **more)

    add(entry("none", "10.0.0.1"), grpc.StatusCode.NOT_FOUND)
    add(entry(pipe, "10.0.0.300"), grpc.StatusCode.INVALID_ARGUMENT, field="entry.match.fields[0]")
    add(entry(pipe, "10.0.0.1", action_index=9), grpc.StatusCode.INVALID_ARGUMENT)
    refused(
        rig.client.entries.QueryEntries,
        entry_service_pb2.QueryEntriesRequest(),
        grpc.StatusCode.INVALID_ARGUMENT,
        field="ids",
    )
    refused(
        rig.client.entries.ListEntries,
        entry_service_pb2.ListEntriesRequest(pipe="x"),
        grpc.StatusCode.NOT_FOUND,
    )


def _fill(rig: Running, pipe: str, count: int) -> None:
    for item in range(count):
        rig.add(entry(pipe, f"10.4.0.{item}"))


def test_a_full_pipe_says_so(rig: Running) -> None:
    rig.create(basic("small", nr_entries=4))
    with pytest.raises(CallError) as caught, calls():
        _fill(rig, "small", 64)
    assert caught.value.status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "small" in caught.value.reason
    rig.client.pipes.DestroyPipe(pipe_service_pb2.DestroyPipeRequest(name="small"), timeout=TIMEOUT)


def test_a_stream_has_a_status_per_item(rig: Running, pipe: str) -> None:
    def requests() -> Iterator[entry_service_pb2.StreamEntriesRequest]:
        made = [entry(pipe, "10.5.0.1"), entry(pipe, "nonsense"), entry(pipe, "10.5.0.2")]
        yield entry_service_pb2.StreamEntriesRequest(sequence=1, add=entry_service_pb2.AddBatch(entries=made))
        numbers = wait_numbers()
        update = [entry_pb2.Entry(id=numbers[0], monitor=COUNTED), entry_pb2.Entry(id=1 << 40)]
        yield entry_service_pb2.StreamEntriesRequest(
            sequence=2, update=entry_service_pb2.UpdateBatch(entries=update)
        )
        yield entry_service_pb2.StreamEntriesRequest(
            sequence=3, remove=entry_service_pb2.RemoveBatch(ids=[numbers[1], numbers[1], numbers[0]])
        )

    known: list[int] = []
    ready = threading.Event()

    def wait_numbers() -> list[int]:
        ready.wait(TIMEOUT)
        return known

    answers = []
    for answer in rig.client.entries.StreamEntries(requests(), timeout=TIMEOUT):
        answers.append(answer)
        if answer.sequence == 1:
            known += [status.entry_id for status in answer.statuses if not status.doca_code]
            ready.set()
    codes = [[status.doca_code for status in answer.statuses] for answer in answers]
    assert [answer.sequence for answer in answers] == [1, 2, 3]
    assert codes == [[0, 6, 0], [0, 16], [0, 16, 0]]
    assert "nonsense" in answers[0].statuses[1].reason
    assert rig.entries(pipe) == []


def test_a_long_batch_fills_the_queue_more_than_once(rig: Running) -> None:
    rig.create(basic("long", nr_entries=2048))
    made = [entry("long", f"10.11.{item >> 8}.{item & 255}") for item in range(1000)]
    made.insert(500, entry("long", "10.11.0.7"))  # there already
    request = entry_service_pb2.StreamEntriesRequest(add=entry_service_pb2.AddBatch(entries=made))
    answer = next(iter(rig.client.entries.StreamEntries(iter([request]), timeout=TIMEOUT)))
    refused_items = [index for index, status in enumerate(answer.statuses) if status.doca_code]
    assert refused_items == [500]
    numbers = [status.entry_id for status in answer.statuses if status.entry_id]
    assert len(set(numbers)) == len(numbers) == 1000
    assert [item.id for item in rig.entries("long")] == sorted(numbers)
    destroy = pipe_service_pb2.DestroyPipeRequest(name="long")
    rig.client.pipes.DestroyPipe(destroy, timeout=TIMEOUT)


def test_columns(rig: Running) -> None:
    count = 5000
    rig.create(basic("wide", nr_entries=8192, fwd=flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_CHANGEABLE)))
    addresses = (np.arange(count, dtype=np.uint32) + 0x0A060000).astype(">u4")
    batch = entry_pb2.EntryColumns(
        pipe="wide",
        count=count,
        match=[entry_pb2.Column(name="outer.ipv4.dst_ip", values=addresses.tobytes())],
        fwd_table=[DROP, to_port("p1")],
        fwd_index=bytes(item % 2 for item in range(count)),
        tags=np.arange(count, dtype="<u8").tobytes(),
        monitor=COUNTED,
    )

    def send(
        *requests: entry_service_pb2.StreamEntriesRequest,
    ) -> list[entry_service_pb2.StreamEntriesResponse]:
        return list(rig.client.entries.StreamEntries(iter(requests), timeout=TIMEOUT))

    added = send(entry_service_pb2.StreamEntriesRequest(add_columns=batch))[0].columns
    assert (added.succeeded, added.doca_codes) == (count, b"")
    first = added.first_entry_id
    one = rig.client.entries.GetEntry(entry_service_pb2.GetEntryRequest(id=first + 7), timeout=TIMEOUT).entry
    assert (one.fwd.port, one.tag) == ("p1", 7)
    assert one.match.fields[0].value == bytes([10, 6, 0, 7])
    again = send(entry_service_pb2.StreamEntriesRequest(add_columns=batch))[0].columns
    assert again.succeeded == 0
    assert again.doca_codes.count(0) == 0
    assert again.first_reason
    rig.client.entries.RemoveEntry(entry_service_pb2.RemoveEntryRequest(id=first + 1), timeout=TIMEOUT)
    numbers = np.arange(first, first + count, dtype="<u8")
    gone = send(
        entry_service_pb2.StreamEntriesRequest(
            remove_columns=entry_service_pb2.RemoveColumns(ids=numbers.tobytes())
        )
    )[0].columns
    assert gone.succeeded == count - 1
    assert gone.doca_codes[1] == 16
    assert rig.entries("wide") == []
    added = send(entry_service_pb2.StreamEntriesRequest(add_columns=batch))[0].columns
    numbers = np.arange(added.first_entry_id, added.first_entry_id + count, dtype="<u8")
    removal = entry_service_pb2.RemoveColumns(ids=numbers.tobytes())
    assert send(entry_service_pb2.StreamEntriesRequest(remove_columns=removal))[0].columns.succeeded == count
    info = rig.client.pipes.GetPipe(pipe_service_pb2.GetPipeRequest(name="wide"), timeout=TIMEOUT).pipe
    assert info.used_entries == 0
    for bad, field in (
        (entry_pb2.EntryColumns(pipe="wide", count=0), "add_columns.count"),
        (entry_pb2.EntryColumns(pipe="wide", count=1), "add_columns.match"),
        (
            entry_pb2.EntryColumns(
                pipe="wide", count=2, match=[entry_pb2.Column(name="outer.ipv4.dst_ip", values=b"1234")]
            ),
            "add_columns.match[0]",
        ),
    ):
        with pytest.raises(CallError) as caught, calls():
            send(entry_service_pb2.StreamEntriesRequest(add_columns=bad))
        assert caught.value.detail is not None
        assert caught.value.detail.field == field
    rig.client.pipes.DestroyPipe(pipe_service_pb2.DestroyPipeRequest(name="wide"), timeout=TIMEOUT)


def test_aged_entries_are_removed(rig: Running) -> None:
    aging = flow_pb2.Monitor(counter=flow_pb2.RESOURCE_TYPE_NON_SHARED, aging_sec=0xFFFFFFFF)
    rig.create(basic("aging", monitor=aging))
    own = flow_pb2.Monitor(counter=flow_pb2.RESOURCE_TYPE_NON_SHARED, aging_sec=1)
    rig.add(entry_pb2.Entry(pipe="aging", match=match(outer__ipv4__dst_ip="10.12.0.1"), monitor=own))
    kept = rig.add(
        entry_pb2.Entry(pipe="aging", match=match(outer__ipv4__dst_ip="10.12.0.2"), monitor=COUNTED)
    )
    addresses = (np.arange(8, dtype=np.uint32) + 0x0A0C0100).astype(">u4").tobytes()
    column = entry_pb2.Column(name="outer.ipv4.dst_ip", values=addresses)
    batch = entry_pb2.EntryColumns(pipe="aging", count=8, match=[column], monitor=own)
    request = entry_service_pb2.StreamEntriesRequest(add_columns=batch)
    assert (
        next(iter(rig.client.entries.StreamEntries(iter([request]), timeout=TIMEOUT))).columns.succeeded == 8
    )
    wait_for("the aged to go", lambda: [item.id for item in rig.entries("aging")] == [kept])
    rig.client.pipes.DestroyPipe(pipe_service_pb2.DestroyPipeRequest(name="aging"), timeout=TIMEOUT)


def test_a_transaction_is_all_or_nothing(rig: Running, pipe: str) -> None:
    first = rig.add(entry(pipe, "10.7.0.1"))
    change = entry_service_pb2.EntryChange
    request = entry_service_pb2.ApplyTransactionRequest(
        changes=[change(add=entry(pipe, "10.7.0.2", tag=9)), change(remove=first)]
    )
    answer = rig.client.entries.ApplyTransaction(request, timeout=TIMEOUT)
    assert answer.revision > 0
    second = answer.statuses[0].entry_id
    assert [item.id for item in rig.entries(pipe)] == [second]
    bad = entry_service_pb2.ApplyTransactionRequest(
        changes=[
            change(add=entry(pipe, "10.7.0.3")),
            change(remove=second),
            change(add=entry(pipe, "10.7.0.4", action_index=9)),
        ]
    )
    with pytest.raises(CallError) as caught, calls():
        rig.client.entries.ApplyTransaction(bad, timeout=TIMEOUT)
    assert "changes[2]" in caught.value.reason
    assert [item.id for item in rig.entries(pipe)] == [second]
    info = rig.client.pipes.GetPipe(pipe_service_pb2.GetPipeRequest(name=pipe), timeout=TIMEOUT).pipe
    assert info.used_entries == 1
    # What the refused transaction would have removed is at hand as before.
    rig.client.entries.RemoveEntry(entry_service_pb2.RemoveEntryRequest(id=second), timeout=TIMEOUT)
    assert not rig.entries(pipe)


# --- statistics, packets, traces, shared resources --------------------------------------------------------------


def test_stats(rig: Running) -> None:
    def snapshot() -> Any:
        request = stats_service_pb2.GetStatsRequest(include_pipes=True)
        return rig.client.stats.GetStats(request, timeout=TIMEOUT).stats

    earlier = snapshot()
    before = {port.port: port for port in earlier.ports}
    frame, good = (frames.udp(A, Host(B.mac, f"10.0.0.{last}"), 1, 2) for last in (2, 1))
    rig.inject("p0", frame, frame, good)
    rig.settle()
    after = snapshot()
    ports = {port.port: port for port in after.ports}
    came = ports["p0"].received.packets + ports["p0"].injected.packets
    assert came - before["p0"].received.packets - before["p0"].injected.packets == 3
    assert ports["p0"].dropped.packets - before["p0"].dropped.packets == 2
    assert "pipe" in {drop.reason for drop in ports["p0"].drops}
    assert after.pipes[0].pipe == "router"
    hits = after.pipes[0].hits, earlier.pipes[0].hits
    assert (hits[0].packets - hits[1].packets, hits[0].bytes - hits[1].bytes) == (3, 3 * len(good))
    assert after.cycles_busy > earlier.cycles_busy
    assert after.mbufs_total >= after.mbufs_free > 0
    watched = rig.client.stats.WatchStats(stats_service_pb2.WatchStatsRequest(interval_ms=100))
    first, second = next(watched).stats, next(watched).stats
    watched.cancel()
    assert second.timestamp_ns > first.timestamp_ns
    refused(
        rig.client.stats.WatchStats,
        stats_service_pb2.WatchStatsRequest(interval_ms=5),
        grpc.StatusCode.INVALID_ARGUMENT,
        field="interval_ms",
    )


def test_receive_and_capture(rig: Running) -> None:
    good = frames.udp(A, Host(B.mac, "10.0.0.1"), 1, 2, b"good")
    bad = frames.udp(A, Host(B.mac, "10.0.0.2"), 1, 2, b"bad")
    points = [packet_pb2.PACKET_POINT_RX, packet_pb2.PACKET_POINT_TX, packet_pb2.PACKET_POINT_DROP]
    wire = rig.client.packets.ReceivePackets(packet_service_pb2.ReceivePacketsRequest(ports=["p1"]))
    capture = rig.client.packets.CapturePackets(
        packet_service_pb2.CapturePacketsRequest(points=points, limit=4)
    )
    drops = rig.client.packets.CapturePackets(
        packet_service_pb2.CapturePacketsRequest(
            points=[packet_pb2.PACKET_POINT_DROP], drop_reasons=["pipe"], limit=1
        )
    )
    streams: list[Any] = [wire, capture, drops]
    for stream in streams:
        assert not next(stream).packets
    rig.inject("p0", good, bad)
    seen = [packet for response in capture for packet in response.packets]
    assert sorted((packet.port, packet.point, packet.frame == good) for packet in seen) == [
        ("p0", packet_pb2.PACKET_POINT_RX, False),
        ("p0", packet_pb2.PACKET_POINT_RX, True),
        ("p0", packet_pb2.PACKET_POINT_DROP, False),
        ("p1", packet_pb2.PACKET_POINT_TX, True),
    ]
    dropped = [packet for response in drops for packet in response.packets]
    assert [(packet.drop_reason, packet.frame) for packet in dropped] == [("pipe", bad)]
    answer: Any = next(iter(wire))
    received = answer.packets
    assert [(packet.port, packet.point, packet.frame) for packet in received] == [
        ("p1", packet_pb2.PACKET_POINT_WIRE, good)
    ]
    wire.cancel()
    rig.settle()


def test_bad_packet_calls(rig: Running) -> None:
    request = packet_service_pb2
    short = request.InjectPacketsRequest(port="p0", frames=[b"short"])
    refused(rig.client.packets.InjectPackets, short, grpc.StatusCode.INVALID_ARGUMENT, field="frames[0]")
    unknown = request.InjectPacketsRequest(port="p7", frames=[bytes(60)])
    refused(rig.client.packets.InjectPackets, unknown, grpc.StatusCode.NOT_FOUND, "p7")
    elsewhere = request.ReceivePacketsRequest(points=[packet_pb2.PACKET_POINT_RX])
    refused(rig.client.packets.ReceivePackets, elsewhere, grpc.StatusCode.INVALID_ARGUMENT, field="points[0]")
    reasons = request.CapturePacketsRequest(drop_reasons=["pipe"])
    refused(
        rig.client.packets.CapturePackets, reasons, grpc.StatusCode.INVALID_ARGUMENT, field="drop_reasons"
    )
    nonsense = request.CapturePacketsRequest(points=[packet_pb2.PACKET_POINT_DROP], drop_reasons=["whim"])
    refused(rig.client.packets.CapturePackets, nonsense, grpc.StatusCode.INVALID_ARGUMENT, "whim")


def test_transmit(rig: Running) -> None:
    frame = frames.udp(A, B, 1, 2, b"sent past the pipeline")
    wire = rig.client.packets.ReceivePackets(packet_service_pb2.ReceivePacketsRequest(ports=["p2"]))
    next(wire)
    rig.client.packets.TransmitPackets(
        packet_service_pb2.TransmitPacketsRequest(port="p2", frames=[frame]), timeout=TIMEOUT
    )
    assert next(wire).packets[0].frame == frame
    wire.cancel()


def test_trace(rig: Running) -> None:
    def trace(frame: bytes) -> trace_pb2.Trace:
        request = trace_service_pb2.TracePacketRequest(port="p0", frame=frame)
        return rig.client.trace.TracePacket(request, timeout=TIMEOUT).trace

    hit = trace(frames.udp(A, B, 1, 2))
    assert [(hop.pipe, hop.hit, hop.tag) for hop in hit.hops] == [("router", True, 71)]
    assert hit.hops[0].fwd.port == "p1"
    compared = {field.name: (field.packet, field.value) for field in hit.hops[0].fields}
    assert compared["outer.ipv4.dst_ip"] == ("10.0.0.1", "10.0.0.1")
    assert (hit.outcomes[0].verdict, hit.outcomes[0].port) == (trace_pb2.VERDICT_PORT, "p1")
    miss = trace(frames.udp(A, Host(B.mac, "10.9.9.9"), 1, 2))
    assert not miss.hops[0].hit
    assert (miss.outcomes[0].verdict, miss.outcomes[0].drop_reason) == (trace_pb2.VERDICT_DROP, "pipe")
    refused(
        rig.client.trace.TracePacket,
        trace_service_pb2.TracePacketRequest(port="p0", frame=b"x"),
        grpc.StatusCode.INVALID_ARGUMENT,
        field="frame",
    )


def test_shared_resources(rig: Running) -> None:
    meter = shared_resource_pb2.SharedResource(
        id=1, meter=shared_resource_pb2.SharedMeter(cir=1000, cbs=2000, ebs=10)
    )
    counter = shared_resource_pb2.SharedResource(id=2, counter=entry_pb2.Counter())
    for resource in (meter, counter):
        request = shared_resource_service_pb2.SetSharedResourceRequest(resource=resource)
        rig.client.shared.SetSharedResource(request, timeout=TIMEOUT)
    get = shared_resource_service_pb2.GetSharedResourceRequest
    kind = shared_resource_pb2.SHARED_RESOURCE_KIND_METER
    found = rig.client.shared.GetSharedResource(get(kind=kind, id=1), timeout=TIMEOUT).resource
    assert (found.meter.cir, found.meter.cbs, found.meter.ebs) == (1000, 2000, 10)
    kind = shared_resource_pb2.SHARED_RESOURCE_KIND_COUNTER
    found = rig.client.shared.GetSharedResource(get(kind=kind, id=2), timeout=TIMEOUT).resource
    assert found.counter.packets == 0
    refused(rig.client.shared.GetSharedResource, get(kind=kind, id=77), grpc.StatusCode.NOT_FOUND, "77")
    refused(
        rig.client.shared.SetSharedResource,
        shared_resource_service_pb2.SetSharedResourceRequest(),
        grpc.StatusCode.INVALID_ARGUMENT,
        field="resource",
    )


def test_encapsulation_by_call(rig: Running) -> None:
    template = flow_pb2.ActionTemplate(
        actions=flow_pb2.Actions(
            fields=fields(
                encap_type="non_shared",
                encap__is_l2="true",
                encap__outer__eth__dst_mac="02:00:00:00:00:99",
                encap__outer__ipv4__src_ip="192.0.2.1",
                encap__outer__ipv4__dst_ip="192.0.2.2",
                encap__outer__ipv4__ttl="9",
                encap__outer__udp__dst_port="4789",
                encap__tunnel__vxlan__vni="77",
            )
        )
    )
    rig.create(basic("tunnel", fwd=to_port("p1"), actions=[template]))
    rig.add(entry("tunnel", "10.8.0.1"))
    number = rig.add(entry("router", "10.8.0.1", fwd=to_pipe("tunnel")))
    frame = frames.udp(A, Host(B.mac, "10.8.0.1"), 1, 2, b"inside")
    request = trace_service_pb2.TracePacketRequest(port="p0", frame=frame)
    trace = rig.client.trace.TracePacket(request, timeout=TIMEOUT).trace
    assert [hop.pipe for hop in trace.hops] == ["router", "tunnel"]
    assert frames.vxlan(trace.outcomes[0].frame) == (77, frame)
    rig.client.entries.RemoveEntry(entry_service_pb2.RemoveEntryRequest(id=number), timeout=TIMEOUT)
    rig.client.pipes.DestroyPipe(pipe_service_pb2.DestroyPipeRequest(name="tunnel"), timeout=TIMEOUT)
