# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What `ringfield top` makes of two snapshots, and that it fits a terminal of 80 columns."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import grpc
from click.testing import CliRunner
from rich.console import Console

from appliance.cli import top
from appliance.cli.main import main
from appliance.v1 import entry_pb2, observer_pb2, stats_pb2

STAGES = {
    "receive": 120,
    "parse": 130,
    "cache": 140,
    "ct": 1000,
    "pipes": 100,
    "actions": 123,
    "send": 115,
}


def counter(packets: int, size: int = 100) -> entry_pb2.Counter:
    return entry_pb2.Counter(packets=packets, bytes=packets * size)


def snapshot(second: int, packets: int) -> stats_pb2.Stats:
    made = stats_pb2.Stats(
        timestamp_ns=second * 10**9,
        uptime_s=90_000 + second,
        workers=1,
        busy=0.5,
        cycles_busy=packets * 200 + 1000,
        entries=12345,
        revision=7,
        mbufs_free=60_000,
        mbufs_total=65_535,
        connections=stats_pb2.CtStats(live=1_000_000, opened=packets // 10, closed=packets // 20),
    )
    made.stages.packets = packets // 61
    for name, cycles in STAGES.items():
        made.stages.cycles.add(stage=name, cycles=made.stages.packets * cycles)
    for name in ("p0", "a-port-with-a-name-that-is-far-too-long-for-a-column"):
        made.ports.add(port=name, received=counter(packets // 2), sent=counter(packets // 2))
    made.pipes.add(pipe="quiet", entries=1)
    made.pipes.add(pipe="busy", entries=100_000, hits=counter(packets), misses=counter(packets // 4))
    return made


NOW = top.view(snapshot(12, 13_000_000), snapshot(10, 1_000_000))


def test_rates_between_two_snapshots() -> None:
    assert NOW.seconds == 2.0
    assert NOW.packets == 6e6
    assert NOW.cycles_per_packet == 200
    assert {name: round(value) for name, value in NOW.stages.items()} == STAGES
    assert (NOW.live, NOW.opened, NOW.closed) == (1_000_000, 6e5, 3e5)
    assert NOW.busy == 0.5
    assert [(one.pipe, one.hits, one.misses) for one in NOW.pipes] == [("busy", 6e6, 1.5e6), ("quiet", 0, 0)]
    assert NOW.ports[0].bits_in == 8 * 100 * 3e6


def test_nothing_happened() -> None:
    same = top.view(snapshot(12, 1000), snapshot(12, 1000))
    assert same.cycles_per_packet is None
    assert same.stages == {}
    assert top.view(stats_pb2.Stats(), stats_pb2.Stats()).packets == 0


def test_identities_are_both_ends_of_edges() -> None:
    def edge(
        source: str, destination: str, connections: int, verdict: observer_pb2.FlowVerdict, size: int
    ) -> observer_pb2.FlowEdge:
        return observer_pb2.FlowEdge(
            source=source, destination=destination, connections=connections, verdict=verdict,
            initiator_packets=1, responder_packets=2, initiator_bytes=size, responder_bytes=size,
        )  # fmt: skip

    allow, drop = observer_pb2.FLOW_VERDICT_ALLOW, observer_pb2.FLOW_VERDICT_DROP
    found = top.identities(
        [edge("web", "db", 10, allow, 500), edge("agent", "db", 3, drop, 0), edge("db", "db", 1, allow, 1)]
    )
    assert [(one.identity, one.connections, one.denied, one.packets, one.bytes) for one in found] == [
        ("db", 11, 3, 9, 1002),
        ("web", 10, 0, 3, 1000),
        ("agent", 0, 3, 3, 0),
    ]


def shown(view: top.View) -> list[str]:
    to = io.StringIO()
    Console(file=to, width=80, color_system=None).print(top.screen(view))
    return to.getvalue().splitlines()


def test_the_screen_fits_80_columns_and_24_rows() -> None:
    busiest = [top.Busy("app=" + "x" * 60, 1_234_567, 89_012, 123_456_789_012, 98_765_432_109_876)] * 3
    view = top.view(snapshot(12, 13_000_000), snapshot(10, 1_000_000), busiest)
    lines = shown(view)
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24, "\n".join(lines)
    for words in ("1 worker 50% busy", "6 M packets/s", "200 cycles/packet", "ct 1,000  pipes 100", "busiest pipes",
                  "busiest identities", "1,000,000 connections", "…"):  # fmt: skip
        assert any(words in line for line in lines), f"{words} is not in\n" + "\n".join(lines)
    assert lines[5] == "", "no line of the head is broken"


def test_short_numbers() -> None:
    assert [top.short(n) for n in (0, 999, 9999, 10_000, 99_960, 123_456, 999_600, 1.5e6, 45.67e9, 1.2e12)] == [
        "0", "999", "9,999", "10 k", "100 k", "123 k", "1 M", "1.5 M", "45.7 G", "1200 G",
    ]  # fmt: skip


def test_a_view_is_plain_for_programs() -> None:
    assert asdict(NOW)["ports"][0]["port"] == "p0"


def test_a_stream_that_ends_at_once_is_no_view(tmp_path: Path) -> None:
    """As when the appliance is taken down before the first snapshot."""
    ends: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(
        lambda request, context: iter(())
    )
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("appliance.v1.StatsService", {"WatchStats": ends})]
    )
    server.add_insecure_port(f"unix:{tmp_path / 'it.sock'}")
    server.start()
    try:
        done = CliRunner().invoke(main, ["--target", str(tmp_path / "it.sock"), "--json", "top"])
    finally:
        server.stop(None).wait()
    assert (done.exit_code, done.output) == (0, "")
