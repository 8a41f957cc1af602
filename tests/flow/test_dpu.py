# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The life cycle of Dpu, Port, Pipe and Entry on a private fast path."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from appliance.errors import (
    AlreadyExists,
    BadState,
    FlowError,
    InitializationFailed,
    InUse,
    InvalidValue,
    NotConnected,
    NotFound,
)
from appliance.flow import Dpu, Entries, Entry, FastpathProcess, Pipe, Port, PortConfig, Reserves
from appliance.flow.launch import default_ports
from appliance.flow.results import PacketKind, Verdict
from appliance.flow.types import (
    CHANGEABLE,
    COUNT,
    Actions,
    Counter,
    CounterConfig,
    DefaultMiss,
    EntryFlags,
    EntrySpec,
    EntryStatus,
    Eth,
    FwdChangeable,
    FwdDrop,
    FwdPipe,
    FwdPort,
    FwdRss,
    HeaderFormat,
    Ip4,
    Match,
    Meta,
    Monitor,
    PipeSpec,
    PipeType,
    SharedResourceType,
    Tcp,
    Transport,
)
from tests.differential import frames as fr
from tests.differential import packet as pk

FIVE_TUPLE = Match(
    outer=HeaderFormat(
        ip4=Ip4(src_ip=CHANGEABLE, dst_ip=CHANGEABLE), tcp=Tcp(src_port=CHANGEABLE, dst_port=CHANGEABLE)
    )
)


def flow(sport: int = 1234, dport: int = 80) -> Match:
    return Match(
        outer=HeaderFormat(
            ip4=Ip4(src_ip="1.2.3.4", dst_ip="8.8.8.8"), tcp=Tcp(src_port=sport, dst_port=dport)
        )
    )


def frame(sport: int = 1234, dport: int = 80) -> bytes:
    segment = fr.tcp(sport, dport, 0x10, 7, b"hello")
    pseudo = bytes([1, 2, 3, 4, 8, 8, 8, 8, 0, 6]) + len(segment).to_bytes(2, "big")
    body = fr.ip4(0x01020304, 0x08080808, 6, fr.with_checksum(segment, 16, pseudo))
    return pk.ethernet_bytes(Eth("02:00:00:00:00:01", "02:00:00:00:00:02"), (), 0x0800) + body


@pytest.fixture(scope="module")
def dpu() -> Iterator[Dpu]:
    with Dpu.launch(ports=2, queues=2, reserves=Reserves(counters=20_000)) as opened:
        opened.receive()
        yield opened


@pytest.fixture
def ports(dpu: Dpu) -> Iterator[tuple[Port, Port]]:
    with dpu.port_start("p0", 0) as p0, dpu.port_start("p1", 1) as p1:
        p0.pair(p1)
        p0.set_default_miss(DefaultMiss.DROP)
        p1.set_default_miss(DefaultMiss.DROP)
        yield p0, p1
    dpu.packets()


def root(port: Port, **members: object) -> Pipe:
    spec: dict[str, object] = {
        "name": "root", "is_root": True, "match": FIVE_TUPLE, "fwd": FwdPort(1 - port.id), "monitor": COUNT,
        "miss_counter": True, **members,
    }  # fmt: skip
    return port.pipe_create(PipeSpec(**spec))  # type: ignore[arg-type]


def test_a_packet_crosses(dpu: Dpu, ports: tuple[Port, Port]) -> None:
    pipe = root(ports[0])
    entry = pipe.add(match=flow(), monitor=COUNT)
    assert entry.status is EntryStatus.SUCCESS
    dpu.inject(0, frame())
    (packet,) = dpu.packets(timeout=30)
    assert (packet.kind, packet.port, packet.frame) == (PacketKind.WIRE, "p1", frame())
    assert entry.query() == Counter(1, len(frame()))
    dpu.inject("p0", [frame(dport=81), frame(dport=82)])
    assert not dpu.packets(timeout=0.05)
    assert pipe.query_miss() == Counter(2, 2 * len(frame()))
    info = pipe.info()
    assert (info.name, info.used, info.is_root, info.port) == ("root", 1, True, "p0")


def test_trace_tells_why(dpu: Dpu, ports: tuple[Port, Port]) -> None:
    entry = root(ports[0]).add(match=flow(), monitor=COUNT, tag=77)
    trace = dpu.trace("p0", frame())
    (hop,) = trace.hops
    (outcome,) = trace.outcomes
    assert (hop.pipe, hop.entry, hop.tag, hop.hit) == ("root", entry.id, 77, True)
    assert ("outer.transport.dst_port", 80) in {(key.field, key.packet) for key in hop.keys}
    assert (outcome.verdict, outcome.port, outcome.frame) == (Verdict.PORT, "p1", frame())
    (missed,) = dpu.trace("p0", frame(dport=81)).outcomes
    assert (missed.verdict, missed.reason) == (Verdict.DROP, "default_miss")
    assert entry.query() == Counter()  # a trace has no side effects


def test_trace_takes_hex_and_scapy_packets(dpu: Dpu, ports: tuple[Port, Port]) -> None:
    root(ports[0]).add(match=flow(), monitor=COUNT, tag=77)
    assert dpu.trace("p0", frame().hex()) == dpu.trace("p0", frame().hex(" ")) == dpu.trace("p0", frame())
    made = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="1.2.3.4", dst="8.8.8.8")
    (hop,) = dpu.trace("p0", made / TCP(sport=1234, dport=80)).hops
    assert (hop.tag, hop.hit) == (77, True)
    with pytest.raises(InvalidValue, match=r"'Ether.*is not hexadecimal"):
        dpu.trace("p0", "Ether()/IP()")


def test_update_and_remove(dpu: Dpu, ports: tuple[Port, Port]) -> None:
    pipe = root(ports[0], fwd=FwdChangeable())
    entry = pipe.add(match=flow(), monitor=COUNT, fwd=FwdPort(1))
    entry.update(fwd=FwdRss((3,)))
    dpu.inject(0, frame(), pkt_meta=9)
    (packet,) = dpu.packets(timeout=30)
    assert (packet.kind, packet.queue, packet.pkt_meta) == (PacketKind.RSS, 3, 9)
    entry.remove()
    assert not entry.alive
    assert pipe.entries == []
    with pytest.raises(BadState, match="root"):
        entry.query()
    assert dpu.trace(0, frame()).outcomes[0].verdict is Verdict.DROP


def test_batches_wait_for_a_push(dpu: Dpu, ports: tuple[Port, Port]) -> None:
    pipe = root(ports[0])
    entries = [
        pipe.add(match=flow(sport), wait=False, flags=EntryFlags.WAIT_FOR_BATCH) for sport in range(10)
    ]
    assert {entry.status for entry in entries} == {EntryStatus.IN_PROCESS}
    assert dpu.trace(0, frame(5)).outcomes[0].verdict is Verdict.DROP
    done = 0
    while done < 10:
        done += ports[0].process(timeout=1, max_entries=10 - done)
    assert {entry.status for entry in entries} == {EntryStatus.SUCCESS}
    assert dpu.trace(0, frame(5)).outcomes[0].verdict is Verdict.PORT


def test_entries_of_control_pipes_are_immediate(ports: tuple[Port, Port]) -> None:
    """They are complete without processing; their removal is an operation of the queue."""
    pipe = ports[0].pipe_create(PipeSpec(name="control", type=PipeType.CONTROL, is_root=True))
    entries = [
        pipe.add(match=flow(port), fwd=FwdPort(1), wait=False, flags=EntryFlags.WAIT_FOR_BATCH)
        for port in range(200)
    ]
    assert {entry.status for entry in entries} == {EntryStatus.SUCCESS}
    assert pipe.entries == entries
    for entry in entries:
        entry.remove()
        assert not entry.alive
    assert pipe.entries == []


def test_a_refusal_names_pipe_and_reason(ports: tuple[Port, Port]) -> None:
    pipe = root(ports[0])
    pipe.add(match=flow())
    with pytest.raises(FlowError, match="root"):
        pipe.add(match=flow())
    with pytest.raises(AlreadyExists, match="root"):
        root(ports[0])
    with pytest.raises(NotFound, match="nowhere"):
        ports[0].pipe("nowhere")
    with pytest.raises(InvalidValue, match="meta"):
        ports[0].pipe_create(PipeSpec(name="bad", match=Match(meta=Meta(pkt_meta=CHANGEABLE)), fwd=FwdDrop()))


def test_entries_by_the_thousand(dpu: Dpu, ports: tuple[Port, Port]) -> None:
    pipe = root(ports[0], nr_entries=20_000, fwd=FwdChangeable())
    number = 10_000
    keys = np.zeros(number, pipe.key_dtype)
    keys["outer.ipv4.src_ip"] = 0x01020304
    keys["outer.ipv4.dst_ip"] = 0x08080808
    keys["outer.transport.src_port"] = np.arange(number)
    keys["outer.transport.dst_port"] = 80
    tags = np.arange(number, dtype=np.uint64) + 5
    added = pipe.add_rows(
        keys, tags=tags, monitor=COUNT, fwd=[FwdPort(1), FwdDrop()], fwd_of_row=np.arange(number, dtype=np.uint32) % 2,
        queue=1,
    ).raise_for_error()  # fmt: skip
    assert isinstance(added, Entries)
    assert added.succeeded == number
    assert pipe.info().used == number
    assert dpu.trace(0, frame(4000)).hops[0].tag == 4005
    dpu.inject(0, [frame(4000), frame(4001)])
    assert len(dpu.packets(timeout=30)) == 1
    end = time.monotonic() + 30
    while added[4001].query() != Counter(1, len(frame())):
        assert time.monotonic() < end
    assert added[4000].query().total_pkts == 1
    assert pipe.entry(added[7].id) is added[7]
    again = pipe.add_rows(keys[:3], monitor=COUNT, fwd=FwdDrop())
    assert again.succeeded == 0
    assert again.error is not None
    added.update(monitor=COUNT, fwd=FwdPort(1))
    assert dpu.trace(0, frame(4001)).outcomes[0].verdict is Verdict.PORT
    added.remove()
    assert pipe.info().used == 0


def test_a_pipe_counts_its_hits(dpu: Dpu, ports: tuple[Port, Port]) -> None:
    """However its entries were added, with counters or not, also when they are gone."""
    pipe = root(ports[0], monitor=None, fwd=FwdPort(1), nr_entries=8192)
    keys = np.zeros(6000, pipe.key_dtype)
    keys["outer.ipv4.src_ip"] = 0x01020304
    keys["outer.ipv4.dst_ip"] = 0x08080808
    keys["outer.transport.src_port"] = np.arange(1, 6001)
    keys["outer.transport.dst_port"] = 80
    rows = pipe.add_rows(keys).raise_for_error()
    alone = pipe.add(match=flow(7000))
    dpu.inject("p0", [frame(sport) for sport in (7001, 1, 5000, 6000, 6000, 7000)])
    came = 0
    while came < 5:
        got = len(dpu.packets(timeout=30))
        assert got
        came += got
    assert pipe.info().hits == Counter(5, 5 * len(frame()))
    assert pipe.query_miss().total_pkts == 1
    alone.remove()
    rows.remove()
    assert pipe.info().hits.total_pkts == 5


def test_rows_with_actions(dpu: Dpu, ports: tuple[Port, Port]) -> None:
    actions = Actions(outer=HeaderFormat(eth=Eth(dst_mac=CHANGEABLE), ip4=Ip4(dst_ip=CHANGEABLE)))
    pipe = root(ports[0], actions=(actions,))
    keys, args = np.zeros(2, pipe.key_dtype), np.zeros(2, pipe.args_dtype())
    keys["outer.ipv4.src_ip"], keys["outer.ipv4.dst_ip"] = 0x01020304, 0x08080808
    keys["outer.transport.src_port"], keys["outer.transport.dst_port"] = [1, 2], 80
    args["outer.eth.dst_mac"] = [[2, 0, 0, 0, 0, 8], [2, 0, 0, 0, 0, 9]]
    args["outer.ipv4.dst_ip"] = [0x09090901, 0x09090902]
    added = pipe.add_rows(keys, args=args).raise_for_error()
    (outcome,) = dpu.trace(0, frame(2)).outcomes
    assert outcome.frame[:6] == b"\x02\0\0\0\0\x09"
    assert outcome.frame[30:34] == b"\x09\x09\x09\x02"
    with pytest.raises(ValueError, match="dtype"):
        pipe.add_rows(args)
    with pytest.raises(ValueError, match="dtype"):
        pipe.add_rows(keys, args=keys[["outer.ipv4.dst_ip"]])
    for wrong, why in ((args[:1], "1 rows"), (keys, "dtype")):
        with pytest.raises(ValueError, match=why):
            added.update(wrong)
    with pytest.raises(ValueError, match="fwd_of_row"):
        added.update(args, fwd=[FwdPort(1)], fwd_of_row=np.zeros(1, np.uint32))


def test_transaction_is_one_step(dpu: Dpu, ports: tuple[Port, Port]) -> None:
    pipe = root(ports[0], fwd=FwdChangeable())
    old = pipe.add(match=flow(), fwd=FwdPort(1))
    before = dpu.stats().revision
    with dpu.transaction():
        old.remove(wait=False)
        pipe.add(match=flow(), fwd=FwdRss((1,)), wait=False)
        assert dpu.trace(0, frame()).outcomes[0].verdict is Verdict.PORT
    assert dpu.trace(0, frame()).outcomes[0].verdict is Verdict.RSS
    assert dpu.stats().revision > before

    def fails() -> None:
        with dpu.transaction():
            pipe.add(match=flow(5), fwd=FwdPort(1), wait=False)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert dpu.trace(0, frame(5)).outcomes[0].verdict is Verdict.DROP


def test_an_aborted_transaction_leaves_every_object_as_it_was(dpu: Dpu, ports: tuple[Port, Port]) -> None:
    last = ports[0].pipe_create(PipeSpec(name="last", match=FIVE_TUPLE, fwd=FwdPort(1), monitor=COUNT))
    kept = last.add(match=flow(1))
    rows = np.zeros(2, last.key_dtype)
    rows["outer.transport.src_port"] = [7, 8]
    batch = last.add_rows(rows)
    first = ports[0].pipe_create(PipeSpec(name="first", is_root=True, fwd=FwdPipe("last")))
    first.add()
    before = [entry.id for entry in last.entries]
    made: list[Entry] = []
    new: list[Pipe] = []

    def fails() -> None:
        with dpu.transaction():
            kept.remove()
            made.append(last.add(match=flow(2)))
            batch.remove()
            made.append(last.add_rows(rows)[0])
            first.destroy()
            last.destroy()
            new.append(ports[0].pipe_create(PipeSpec(name="first", is_root=True, fwd=FwdDrop())))
            made.append(new[0].add())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert not any(entry.alive for entry in made)
    assert made[0].status is EntryStatus.ERROR
    assert set(ports[0].pipes) == {"first", "last"}
    assert ports[0].pipe("first") is first
    assert sorted(entry.id for entry in last.entries) == sorted(before)
    assert dpu.trace(0, frame(1)).outcomes[0].verdict is Verdict.PORT
    with pytest.raises(InUse):
        last.destroy()
    assert kept.query() == Counter(0, 0)
    kept.remove()
    batch.remove()
    assert last.info().used == 0
    with pytest.raises(BadState):
        new[0].info()
    first.destroy()
    last.destroy()
    assert not ports[0].pipes


def test_shared_counter(dpu: Dpu, ports: tuple[Port, Port]) -> None:
    dpu.shared_set(SharedResourceType.COUNTER, 3, CounterConfig())
    dpu.shared_bind(SharedResourceType.COUNTER, [3], ports[0])
    pipe = root(ports[0], monitor=Monitor(counter=3))
    for sport in (1, 2):
        pipe.add(match=flow(sport), monitor=Monitor(counter=3))
    dpu.inject(0, [frame(1), frame(2), frame(2)])
    end = time.monotonic() + 30
    while dpu.shared_query(SharedResourceType.COUNTER, 3) != Counter(3, 3 * len(frame())):
        assert time.monotonic() < end
    dpu.packets(timeout=0.1)


def test_aged_entries_are_told(dpu: Dpu, ports: tuple[Port, Port]) -> None:
    pipe = root(ports[0], monitor=Monitor(counter=True, aging_sec=0xFFFFFFFF))
    entry = pipe.add(match=flow(), monitor=Monitor(counter=True, aging_sec=1))
    stays = pipe.add(match=flow(9), monitor=Monitor(counter=True, aging_sec=100))
    end = time.monotonic() + 30
    while not (aged := ports[0].age()):
        assert time.monotonic() < end, "nothing aged"
        time.sleep(0.05)
    assert aged == [entry]
    assert entry.alive
    entry.remove()
    assert pipe.entries == [stays]


def test_resize_and_dump(ports: tuple[Port, Port]) -> None:
    pipe = root(ports[0], nr_entries=8, is_resizable=True, congestion_level_threshold=80)
    for sport in range(6):
        pipe.add(match=flow(sport))
    assert pipe.resize(80) >= 16
    for sport in range(6, 14):
        pipe.add(match=flow(sport))
    assert pipe.info().used == 14
    assert "root" in pipe.dump()


def test_capture_of_drops(dpu: Dpu, ports: tuple[Port, Port]) -> None:
    root(ports[0])
    dpu.capture(["drop"], reasons=["default_miss"])
    dpu.inject(0, frame())
    (packet,) = dpu.packets(timeout=30)
    assert (packet.kind, packet.reason, packet.frame) == (PacketKind.CAPTURE_DROP, "default_miss", frame())
    dpu.capture_stop()
    with pytest.raises(ValueError, match="nonsense"):
        dpu.capture(["drop"], reasons=["nonsense"])


def test_lists_and_statistics(dpu: Dpu, ports: tuple[Port, Port]) -> None:
    root(ports[0])
    infos = dpu.port_list()
    assert [(info.name, info.ring, info.started, info.port_id) for info in infos] == [
        ("p0", True, True, 0),
        ("p1", True, True, 1),
    ]
    assert [pipe.name for pipe in dpu.pipe_list(own=True)] == ["root"]
    stats = dpu.stats()
    assert set(stats.ports) == {"p0", "p1"}
    assert stats.heartbeat_age_s < 5
    (session,) = [session for session in dpu.sessions() if session.name == dpu.session]
    assert session.attached
    assert session.nr_pipes == 1
    assert "default_miss" in dpu.drop_reasons()


def test_ports_come_and_go(dpu: Dpu) -> None:
    info = dpu.port_add(PortConfig(name="extra"))
    assert info.name == "extra"
    with dpu.port_start("extra", 9) as port, pytest.raises(InUse):
        dpu.port_remove(port.name)
    dpu.port_remove("extra")
    assert [port.name for port in dpu.port_list()] == ["p0", "p1"]


def test_one_dpu_at_a_time(dpu: Dpu) -> None:
    with pytest.raises(BadState, match="attached"):
        Dpu.attach(dpu.runtime_dir)


def test_wrong_ports_are_named(dpu: Dpu) -> None:
    with pytest.raises(NotFound, match="nonsense"):
        dpu.port_start("nonsense")
    with pytest.raises(NotFound):
        dpu.inject(5, frame())
    with pytest.raises(InitializationFailed, match="nonsense"):
        FastpathProcess([PortConfig(name="p", backend="nonsense")], {"huge": "no"})


# The rest runs in processes of its own, since one process holds one Dpu.


def run(program: str, *arguments: str) -> str:
    """Run Python code in a process; its output."""
    root_dir = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=150, check=False,
        env=os.environ | {"PYTHONPATH": str(root_dir)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


PRELUDE = """
import sys
from appliance.flow import Dpu
from appliance.errors import *
from appliance.flow.types import *
from tests.flow.test_dpu import FIVE_TUPLE, flow, frame
from appliance.flow.types import COUNT
"""


@pytest.fixture
def elsewhere() -> Iterator[FastpathProcess]:
    process = FastpathProcess(default_ports(2, switch=False), {"huge": "no"})
    yield process
    assert process.alive
    assert process.stop() == 0


def test_nobody_answers(tmp_path: Path) -> None:
    program = (
        PRELUDE
        + """
try:
    Dpu.attach(sys.argv[1])
except FlowError as error:
    print(type(error).__name__, error.reason)
"""
    )
    assert run(program, str(tmp_path)).startswith(NotConnected.__name__)


def test_a_durable_session_is_adopted(elsewhere: FastpathProcess) -> None:
    first = (
        PRELUDE
        + """
import os
dpu = Dpu.attach(sys.argv[1], session="keeper", durable=True)
port = dpu.port_start("p0", 0); dpu.port_start("p1", 1)
port.pair(dpu.port(1))
pipe = port.pipe_create(PipeSpec(name="root", is_root=True, match=FIVE_TUPLE, fwd=FwdPort(1), monitor=COUNT))
for sport in range(3):
    pipe.add(match=flow(sport), monitor=COUNT, tag=100 + sport)
assert not dpu.resumed
sys.stdout.flush()
os._exit(0)
"""
    )
    second = (
        PRELUDE
        + """
dpu = Dpu.attach(sys.argv[1], session="keeper", durable=True)
assert dpu.resumed
dpu.receive()
port = dpu.port_start("p0", 0); dpu.port_start("p1", 1)
(pipe,) = port.adopt()
entries = pipe.adopt_entries()
print(pipe.name, sorted((entry.spec.tag, entry.key["outer.transport.src_port"]) for entry in entries))
dpu.inject("p0", frame(1))
print(len(dpu.packets(timeout=30)))
entries[0].remove()
pipe.add(match=flow(9), monitor=COUNT)
print(pipe.info().used)
dpu.close()
"""
    )
    run(first, str(elsewhere.runtime_dir))
    assert run(second, str(elsewhere.runtime_dir)).splitlines() == [
        "root [(100, 0), (101, 1), (102, 2)]",
        "1",
        "3",
    ]


def test_the_fast_path_may_go_and_come_back(tmp_path: Path) -> None:
    first = FastpathProcess(default_ports(2, switch=False), {"huge": "no"}, runtime_dir=tmp_path / "run")
    program = (
        PRELUDE
        + """
import os, signal, time
dpu = Dpu.attach(sys.argv[1], session="keeper", durable=True)
port = dpu.port_start("p0", 0)
root = PipeSpec(name="root", is_root=True, match=FIVE_TUPLE, fwd=FwdDrop(), monitor=COUNT)
pipe = port.pipe_create(root)
boot = dpu.boot_id
os.kill(int(sys.argv[2]), signal.SIGKILL)
end = time.monotonic() + 30
while dpu.alive:
    assert time.monotonic() < end
try:
    pipe.add(match=flow())
except NotConnected:
    print("gone")
print("ready", flush=True)
sys.stdin.readline()
dpu.reattach()
assert not dpu.resumed
assert dpu.boot_id != boot
entry = dpu.port_start("p0", 0).pipe_create(root).add(match=flow(), monitor=COUNT)
dpu.inject("p0", frame())
while entry.query().total_pkts != 1:
    assert time.monotonic() < end + 20
print("back")
dpu.close()
"""
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(first.runtime_dir), str(first.pid)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stdin is not None
        try:
            assert [child.stdout.readline() for _ in range(2)] == ["gone\n", "ready\n"]
            first.stop()
            second = FastpathProcess(
                default_ports(2, switch=False), {"huge": "no"}, runtime_dir=first.runtime_dir
            )
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline() == "back\n"
            assert child.wait(60) == 0
            assert second.stop() == 0
        finally:
            child.kill()


def test_ports_are_found_by_name_in_another_fast_path() -> None:
    """A device that was opened on one fast path is looked up again on the next, whose ports are others."""
    program = (
        PRELUDE
        + """
from appliance._ringfield import ffi, lib
from appliance.flow import PortConfig
kept = ffi.new("struct doca_dev **")
for names in (("p0", "p1"), ("t0", "t1", "p0")):
    with Dpu.launch(ports=[PortConfig(name=name) for name in names]) as dpu, dpu.port_start("p0", 0):
        if not kept[0]:
            assert lib.doca_flow_ringfield_dev_open(b"p0", kept) == 0
        started = [info.name for info in dpu.port_list() if info.started]
assert lib.doca_dev_close(kept[0]) == 0
print(started)
"""
    )
    assert run(program) == "['p0']\n"


def test_an_ephemeral_session_leaves_nothing(elsewhere: FastpathProcess) -> None:
    program = (
        PRELUDE
        + """
import os
dpu = Dpu.attach(sys.argv[1])
print(len(dpu.pipe_list()))
port = dpu.port_start("p0", 0)
port.pipe_create(PipeSpec(name="root", is_root=True, match=FIVE_TUPLE, fwd=FwdDrop()))
sys.stdout.flush()
os._exit(0)
"""
    )
    assert run(program, str(elsewhere.runtime_dir)) == "0\n"
    assert run(program, str(elsewhere.runtime_dir)) == "0\n"


def test_a_launched_fast_path_dies_with_its_parent() -> None:
    program = (
        PRELUDE
        + """
import os, signal
dpu = Dpu.launch()
print(dpu.process.pid, dpu.runtime_dir, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=150, check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    pid, directory = done.stdout.split()
    end = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end, "the fast path lives on"
        time.sleep(0.05)
    # What is left is a directory, which the next launch removes once it is old enough.
    os.utime(directory, (0, 0))
    FastpathProcess(default_ports(1, switch=False), {"huge": "no"}).stop()
    assert not Path(directory).exists()


def test_the_specs_of_entries_are_kept(ports: tuple[Port, Port]) -> None:
    spec = EntrySpec(match=flow(), monitor=COUNT, tag=3)
    entry = root(ports[0]).add(spec)
    assert entry.spec == spec
    assert Transport(1, 2) != Transport(2, 1)
