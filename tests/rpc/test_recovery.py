# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The appliance dies, the fast path dies: what must not change, and what must come back."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from appliance.rpc.client import Client, calls
from appliance.rpc.errors import CallError
from appliance.run import frames
from appliance.run.appliance import Appliance, kill_recorded
from appliance.run.frames import Host
from appliance.v1 import (
    entry_pb2,
    entry_service_pb2,
    flow_pb2,
    packet_service_pb2,
    pipe_pb2,
    pipe_service_pb2,
    port_pb2,
    port_service_pb2,
    stats_service_pb2,
    system_service_pb2,
    trace_pb2,
    trace_service_pb2,
)
from tests.support import process
from tests.support.fastpath import wait_for
from tests.support.rig import (
    COUNTED,
    DROP,
    ROUTER,
    TIMEOUT,
    Running,
    config,
    directory,
    match,
    running,
    to_port,
)
from tests.support.tree import ROOT

A = Host("02:00:00:00:00:0a", "10.1.0.1")
B = Host("02:00:00:00:00:0b", "10.0.0.1")
GOOD = frames.udp(A, B, 1, 2, b"good")
BAD = frames.udp(A, Host(B.mac, "10.0.0.2"), 1, 2, b"bad")
CALLED = frames.udp(A, Host(B.mac, "10.0.0.50"), 1, 2, b"by call")


def verdict(client: Client, frame: bytes) -> tuple[int, str]:
    """Where a frame at p0 goes."""
    request = trace_service_pb2.TracePacketRequest(port="p0", frame=frame)
    outcome = client.trace.TracePacket(request, timeout=TIMEOUT).trace.outcomes[0]
    return outcome.verdict, outcome.port


def change_by_calls(rig: Running) -> dict[str, int]:
    """Everything that calls can change; numbers of entries by what they are."""
    client = rig.client
    rig.create(
        pipe_pb2.Pipe(
            name="called",
            port="p0",
            match=match(outer__ipv4__dst_ip="changeable"),
            monitor=COUNTED,
            fwd=to_port("p2"),
            fwd_miss=DROP,
            nr_entries=4096,
        )
    )
    to_called = flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_PIPE, pipe="called")
    numbers = {
        "one": rig.add(
            entry_pb2.Entry(
                pipe="router",
                match=match(outer__ipv4__dst_ip="10.0.0.50"),
                fwd=to_called,
                monitor=COUNTED,
                tag=50,
            )
        ),
        "two": rig.add(
            entry_pb2.Entry(pipe="called", match=match(outer__ipv4__dst_ip="10.0.0.50"), monitor=COUNTED)
        ),
    }
    declared = next(entry for entry in rig.entries("router") if entry.fwd.type == flow_pb2.FWD_TYPE_DROP)
    client.entries.RemoveEntry(entry_service_pb2.RemoveEntryRequest(id=declared.id), timeout=TIMEOUT)
    addresses = (np.arange(1000, dtype=np.uint32) + 0x0A090000).astype(">u4").tobytes()
    batch = entry_pb2.EntryColumns(
        pipe="called",
        count=1000,
        match=[entry_pb2.Column(name="outer.ipv4.dst_ip", values=addresses)],
        monitor=COUNTED,
    )
    stream = client.entries.StreamEntries(
        iter([entry_service_pb2.StreamEntriesRequest(add_columns=batch)]), timeout=TIMEOUT
    )
    numbers["first"] = next(iter(stream)).columns.first_entry_id
    client.entries.RemoveEntry(entry_service_pb2.RemoveEntryRequest(id=numbers["first"] + 3), timeout=TIMEOUT)
    client.pipes.UpdatePipeMiss(
        pipe_service_pb2.UpdatePipeMissRequest(name="router", fwd_miss=to_called), timeout=TIMEOUT
    )
    client.ports.AddPort(
        port_service_pb2.AddPortRequest(port=port_pb2.Port(name="p9", backend="net_ring")), timeout=TIMEOUT
    )
    return numbers


def check_all(client: Client, numbers: dict[str, int]) -> None:
    """What calls had changed is as it was."""
    port, drop = trace_pb2.VERDICT_PORT, trace_pb2.VERDICT_DROP
    assert verdict(client, GOOD) == (port, "p1")
    assert verdict(client, CALLED) == (port, "p2")
    assert verdict(client, BAD)[0] == drop  # no entry any more; the miss finds none in "called" either
    assert verdict(client, frames.udp(A, Host(B.mac, "10.9.0.7"), 1, 2)) == (port, "p2")
    assert verdict(client, frames.udp(A, Host(B.mac, "10.9.0.3"), 1, 2))[0] == drop
    one = client.entries.GetEntry(entry_service_pb2.GetEntryRequest(id=numbers["one"]), timeout=TIMEOUT).entry
    assert (one.tag, one.fwd.pipe) == (50, "called")
    status = client.system.GetStatus(system_service_pb2.GetStatusRequest(), timeout=TIMEOUT)
    assert (status.pipes, status.entries) == (2, 1 + 2 + 999)
    ports = client.ports.ListPorts(port_service_pb2.ListPortsRequest(), timeout=TIMEOUT).ports
    assert [item.name for item in ports if item.started] == ["p0", "p1", "p2", "p9"]
    update = entry_pb2.Entry(id=numbers["first"] + 7, fwd=DROP)
    # Entries are usable as before, whatever way they came back.
    client.entries.RemoveEntry(entry_service_pb2.RemoveEntryRequest(id=update.id), timeout=TIMEOUT)
    assert verdict(client, frames.udp(A, Host(B.mac, "10.9.0.7"), 1, 2))[0] == drop


def test_a_killed_fast_path_comes_back_with_everything() -> None:
    with running() as rig:
        numbers = change_by_calls(rig)
        pid, boot = rig.appliance.fastpath_pid, rig.appliance.node.state.boot_id
        os.kill(pid, signal.SIGKILL)
        wait_for("notice", lambda: rig.appliance.node.dpu is None or rig.appliance.restarts)
        with contextlib.suppress(CallError), calls():
            rig.client.pipes.ListPipes(pipe_service_pb2.ListPipesRequest(), timeout=TIMEOUT)
        wait_for("recovery", lambda: rig.appliance.restarts == 1)
        assert rig.appliance.fastpath_pid != pid
        assert rig.appliance.node.state.boot_id != boot
        check_all(rig.client, numbers)
        rig.inject("p0", GOOD)
        rig.settle()
        declared = next(entry for entry in rig.entries("router") if entry.tag == 71)
        assert rig.counter(declared.id) == 1


def test_a_hanging_fast_path_is_replaced() -> None:
    with running() as rig:
        pid = rig.appliance.fastpath_pid
        os.kill(pid, signal.SIGSTOP)
        wait_for("recovery", lambda: rig.appliance.restarts == 1, 30.0)
        assert "has not moved" in rig.appliance.last_error
        assert rig.appliance.fastpath_pid != pid
        assert not Path(f"/proc/{pid}").exists()
        assert verdict(rig.client, GOOD) == (trace_pb2.VERDICT_PORT, "p1")


def test_calls_are_refused_while_there_is_no_fast_path() -> None:
    with running() as rig:
        rig.appliance.node.lost("gone for a test")
        with pytest.raises(CallError) as caught, calls():
            rig.client.pipes.ListPipes(pipe_service_pb2.ListPipesRequest(), timeout=TIMEOUT)
        assert caught.value.status.name == "UNAVAILABLE"
        assert "gone for a test" in caught.value.reason
        status = rig.client.system.GetStatus(system_service_pb2.GetStatusRequest(), timeout=TIMEOUT)
        assert status.state == system_service_pb2.FASTPATH_STATE_RECOVERING


class Load:
    """Packets at a steady rate, injected by a client of the fast path's own, past the appliance."""

    def __init__(self, where: Path, port: str = "p0", frame: bytes = GOOD) -> None:
        code = (
            "import sys, time\n"
            "from appliance.flow import Dpu\n"
            "frame = bytes.fromhex(sys.argv[2])\n"
            "dpu = Dpu.attach(sys.argv[1], session='load')\n"
            "sent = 0\n"
            "print('GO', flush=True)\n"
            "end = time.monotonic() + 60\n"
            "import select\n"
            "while not select.select([sys.stdin], [], [], 0.001)[0] and time.monotonic() < end:\n"
            "    dpu.inject(sys.argv[3], [frame] * 5)\n"
            "    sent += 5\n"
            "def taken():\n"
            "    stats = dpu.port_stats(sys.argv[3])\n"
            "    return stats.received.total_pkts + stats.injected.total_pkts\n"
            "while taken() < sent and time.monotonic() < end:\n"
            "    time.sleep(0.01)\n"
            "print(sent, flush=True)\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, str(where), frame.hex(), port],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "GO\n"

    def stop(self) -> int:
        """Packets sent."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        sent = int(self._process.stdout.readline())
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(60)
        return sent


def test_a_killed_appliance_loses_no_packet_and_finds_everything() -> None:
    with directory() as where:
        file = where / "test.yaml"
        file.write_text(ROUTER)
        try:
            with process.appliance(file) as first:
                process.wait_ready(first)
                with Client(f"unix:{where / 'ringfield.sock'}") as client:
                    rig = Running(None, client)  # type: ignore[arg-type]
                    numbers = change_by_calls(rig)
                    declared = next(entry for entry in rig.entries("router") if entry.tag == 71)
                    pid = client.system.GetStatus(
                        system_service_pb2.GetStatusRequest(), timeout=TIMEOUT
                    ).fastpath_pid
                load = Load(where)
                time.sleep(0.2)
                first.kill()
                first.wait()
                time.sleep(0.3)
                with process.appliance(file) as second:
                    process.wait_ready(second)
                    time.sleep(0.2)
                    sent = load.stop()
                    with Client(f"unix:{where / 'ringfield.sock'}") as client:
                        rig = Running(None, client)  # type: ignore[arg-type]
                        status = client.system.GetStatus(
                            system_service_pb2.GetStatusRequest(), timeout=TIMEOUT
                        )
                        assert status.adopted
                        assert status.fastpath_pid == pid
                        rig.settle()
                        # Every packet was judged by the same entry, before, during and after.
                        assert sent > 100
                        wait_for("all packets", lambda: rig.counter(declared.id) >= sent)
                        assert rig.counter(declared.id) == sent
                        ports = client.stats.GetStats(
                            stats_service_pb2.GetStatsRequest(), timeout=TIMEOUT
                        ).stats.ports
                        assert {port.port: port.sent.packets for port in ports}["p1"] == sent
                        check_all(client, numbers)
                    second.send_signal(signal.SIGTERM)
                    assert second.wait(60) == 0
            assert not (where / "steering.sock").exists()
            assert not (where / "state").exists()
        finally:
            kill_recorded(where)


def on_rings() -> str:
    """The demonstration's pipeline (control pipe, meter, tunnels, ports as matches) on ring ports."""
    text = re.sub(
        r"backend: net_tap, netns: [\w-]+,", "backend: net_ring,", (ROOT / "examples/demo.yaml").read_text()
    )
    start, end = text.index("# Made at start"), text.index("resources:")
    return text[:start] + text[end:]


def test_every_kind_of_pipe_is_adopted_as_it_is() -> None:
    prep, train = Host("02:00:00:00:00:01", "10.77.0.1"), Host("02:00:00:00:00:03", "10.77.0.3")
    frame = frames.tcp(prep, train, 40000, 8080)
    follow = trace_service_pb2.TracePacketRequest(port="pf0vf0", frame=frame)
    with directory() as where:
        file = where / "test.yaml"
        file.write_text(on_rings())
        target = f"unix:{where / 'ringfield.sock'}"
        try:
            with process.appliance(file) as first, Client(target) as client:
                process.wait_ready(first)
                before = client.trace.TracePacket(follow, timeout=TIMEOUT).trace
                first.kill()
                first.wait()
            with process.appliance(file) as second, Client(target) as client:
                process.wait_ready(second)
                assert (
                    "entries_added=0 entries_removed=0 pipes=7"
                    in (where / "run.log").read_text().splitlines()[-1]
                )
                after = client.trace.TracePacket(follow, timeout=TIMEOUT).trace
                assert [hop.entry_id for hop in after.hops] == [hop.entry_id for hop in before.hops]
                assert after.outcomes == before.outcomes
                # What was adopted can be changed and removed.
                hop = after.hops[1]
                update = entry_pb2.Entry(id=hop.entry_id, fwd=DROP, monitor=COUNTED)
                client.entries.UpdateEntry(
                    entry_service_pb2.UpdateEntryRequest(entry=update), timeout=TIMEOUT
                )
                dropped = client.trace.TracePacket(follow, timeout=TIMEOUT).trace.outcomes[0]
                assert dropped.verdict == trace_pb2.VERDICT_DROP
                remove = entry_service_pb2.RemoveEntryRequest(id=after.hops[0].entry_id)
                client.entries.RemoveEntry(remove, timeout=TIMEOUT)
                assert len(client.trace.TracePacket(follow, timeout=TIMEOUT).trace.hops) == 1
                second.send_signal(signal.SIGTERM)
                assert second.wait(60) == 0
        finally:
            kill_recorded(where)


def test_what_calls_made_survives_the_death_of_both() -> None:
    with directory() as where:
        file = where / "test.yaml"
        file.write_text(ROUTER)
        target = f"unix:{where / 'ringfield.sock'}"
        try:
            with process.appliance(file) as first, Client(target) as client:
                process.wait_ready(first)
                numbers = change_by_calls(Running(None, client))  # type: ignore[arg-type]
                pid = client.system.GetStatus(
                    system_service_pb2.GetStatusRequest(), timeout=TIMEOUT
                ).fastpath_pid
                first.kill()
                first.wait()
                os.kill(pid, signal.SIGKILL)
                wait_for("the end of the fast path", lambda: not Path(f"/proc/{pid}/exe").exists())
            with process.appliance(file) as second, Client(target) as client:
                process.wait_ready(second)
                check_all(client, numbers)
                second.send_signal(signal.SIGINT)
                assert second.wait(60) == 0
        finally:
            kill_recorded(where)


def test_lingering_is_an_upgrade_without_a_lost_packet() -> None:
    with directory() as where:
        file = where / "test.yaml"
        file.write_text("linger: true\n" + ROUTER)
        try:
            with process.appliance(file) as first:
                process.wait_ready(first)
                first.send_signal(signal.SIGTERM)
                assert first.wait(60) == 0
            assert (where / "steering.sock").exists()
            load = Load(where)
            changed = ROUTER.replace("10.0.0.2}, fwd: drop", "10.0.0.3}, fwd: drop")
            file.write_text("linger: true\n" + changed)
            with process.appliance(file) as second:
                process.wait_ready(second)
                sent = load.stop()
                with Client(f"unix:{where / 'ringfield.sock'}") as client:
                    rig = Running(None, client)  # type: ignore[arg-type]
                    rig.settle()
                    entries = rig.entries("router")
                    assert sorted(entry.match.fields[-1].text for entry in entries) == [
                        "10.0.0.1",
                        "10.0.0.3",
                    ]
                    declared = next(entry for entry in entries if entry.tag == 71)
                    wait_for("all packets", lambda: rig.counter(declared.id) >= sent)
                    assert rig.counter(declared.id) == sent > 0
                second.send_signal(signal.SIGINT)
                assert second.wait(60) == 0
            assert not (where / "steering.sock").exists()
        finally:
            kill_recorded(where)


def test_a_bad_configuration_leaves_what_runs_as_it_is() -> None:
    with directory() as where:
        file = where / "test.yaml"
        file.write_text("linger: true\n" + ROUTER)
        try:
            with process.appliance(file) as first:
                process.wait_ready(first)
                first.send_signal(signal.SIGTERM)
                assert first.wait(60) == 0
            load = Load(where)
            bad = "  - {name: bad, port: p0, match: {outer.ipv4.dst_ip: changeable}, fwd: {pipe: nowhere}}\n"
            file.write_text("linger: true\n" + ROUTER.replace("10.0.0.2}", "10.0.0.9}") + bad)
            with process.appliance(file) as second:
                assert second.wait(60) == 1
            assert "'nowhere'" in (where / "run.log").read_text()
            file.write_text("linger: true\n" + ROUTER)
            with process.appliance(file) as third:
                process.wait_ready(third)
                log = (where / "run.log").read_text().splitlines()[-1]
                assert "adopted=True entries_added=0 entries_removed=0" in log
                sent = load.stop()
                with Client(f"unix:{where / 'ringfield.sock'}") as client:
                    rig = Running(None, client)  # type: ignore[arg-type]
                    declared = next(entry for entry in rig.entries("router") if entry.tag == 71)
                    wait_for("all packets", lambda: rig.counter(declared.id) >= sent)
                    assert rig.counter(declared.id) == sent > 0
                third.send_signal(signal.SIGINT)
                assert third.wait(60) == 0
        finally:
            kill_recorded(where)


def test_a_second_appliance_is_refused() -> None:
    with directory() as where, Appliance(config(ROUTER, where)):
        file = where / "test.yaml"
        file.write_text(ROUTER)
        done = subprocess.run(
            [sys.executable, "-m", "appliance", "run", "-c", str(file), "--runtime-dir", str(where)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert f"(pid {os.getpid()}) runs in {where} already" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ROUTER.replace("backend: net_ring", "backend: net_pcap, args: 'rx_pcap=/none.pcap'", 1), "p0"),
        (ROUTER.replace("fwd: {port: p1}", "fwd: {pipe: nowhere}"), "test.yaml:"),
        (ROUTER.replace("miss: drop", "miss: {port: p1}"), "test.yaml:"),
    ],
)
def test_a_start_that_fails_leaves_nothing(text: str, words: str) -> None:
    with directory() as where:
        file = where / "test.yaml"
        file.write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "appliance", "run", "-c", str(file), "--runtime-dir", str(where)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert words in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert not (where / "steering.sock").exists()
        assert not (where / "ringfield.sock").exists()


def test_injecting_needs_no_ownership(tmp_path: Path) -> None:
    with running() as rig:
        load = Load(rig.appliance.config.runtime_dir)
        time.sleep(0.05)
        sent = load.stop()
        rig.settle()
        declared = next(entry for entry in rig.entries("router") if entry.tag == 71)
        wait_for("all packets", lambda: rig.counter(declared.id) >= sent)
        assert rig.counter(declared.id) == sent
        request = packet_service_pb2.InjectPacketsRequest(port="p0", frames=[GOOD])
        rig.client.packets.InjectPackets(request, timeout=TIMEOUT)
        rig.settle()
        assert rig.counter(declared.id) == sent + 1


def test_a_fast_path_is_found_that_did_not_serve_yet_when_its_appliance_was_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with directory() as where:
        slow = where / "slow"
        slow.write_text(f"#!{sys.executable}\nimport signal\nsignal.pause()\n")
        slow.chmod(0o700)
        file = where / "test.yaml"
        file.write_text(ROUTER)
        pids = where / "fastpath.pid"
        with monkeypatch.context() as patched:
            patched.setenv("RINGFIELD_FASTPATH", str(slow))
            with process.appliance(file) as first:
                wait_for(
                    "the start of the fast path", lambda: pids.exists() and pids.read_text().endswith("\n")
                )
                left = os.pidfd_open(int(pids.read_text()))
                first.kill()
                first.wait()
        try:
            assert not select.select([left], [], [], 0)[0]
            with process.appliance(file, end=signal.SIGINT) as second:
                process.wait_ready(second)
                assert select.select([left], [], [], 0)[0]
        finally:
            os.close(left)
            kill_recorded(where)
