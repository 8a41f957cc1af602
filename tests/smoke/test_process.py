# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The fast path as a process: start, refusals, strange clients, its end."""

import errno
import fcntl
import mmap
import os
import random
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fastpath import Fastpath, descriptors, refused, wait_for
from tests.support.wire import Wire, WireError, ffi, wire

RING = {"backend": "net_ring"}
START = Callable[..., Fastpath]


def test_ports_are_listed_as_configured(fastpath: START) -> None:
    running = fastpath(
        {"p0": RING, "pf0hpf": RING, "pf0vf0": RING | {"mac": "02:00:00:00:00:07", "mtu": 9000}}
    )
    assert running.port_names() == ["p0", "pf0hpf", "pf0vf0"]
    with running.wire() as client:
        infos = client.ports()
    assert [ffi.string(info.backend).decode() for info in infos] == ["net_ring"] * 3
    assert bytes(infos[2].mac) == bytes.fromhex("020000000007")
    assert infos[2].mtu == 9000
    assert all(info.ring and info.state == wire.STEER_PORT_UP and not info.started for info in infos)


def test_no_ports_is_a_start(fastpath: START) -> None:
    assert fastpath({}).port_names() == []


def test_one_core(fastpath: START) -> None:
    running = fastpath({"p0": RING}, {"one_core": "yes"})
    assert running.port_names() == ["p0"]


def test_several_workers(fastpath: START) -> None:
    running = fastpath({"p0": RING, "p1": RING}, {"workers": 2})
    assert running.stats is not None
    assert running.stats.header.nr_workers == 2


def test_two_fast_paths_side_by_side(fastpath: START) -> None:
    first, second = fastpath({"p0": RING}), fastpath({"p0": RING, "p1": RING})
    assert (len(first.port_names()), len(second.port_names())) == (1, 2)


def test_second_start_on_the_same_directory_is_refused(fastpath: START) -> None:
    running = fastpath({"p0": RING})
    sentence = refused(running.directory, "[port p0]\nbackend = net_ring\n")
    assert str(running.directory) in sentence
    assert running.port_names() == ["p0"]


def test_shutdown_by_request(fastpath: START) -> None:
    running = fastpath({"p0": RING})
    with running.wire() as client:
        client.request(wire.STEER_OP_SHUTDOWN)
    assert running.process.wait(60) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it_in_order(fastpath: START, number: signal.Signals) -> None:
    running = fastpath({"p0": RING})
    running.process.send_signal(number)
    assert running.process.wait(60) == 0


def test_starts_again_after_a_crash(fastpath: START, tmp_path: Path) -> None:
    first = fastpath({"p0": RING}, directory=tmp_path)
    first.kill()
    assert fastpath({"p0": RING}, directory=tmp_path).port_names() == ["p0"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[port p0]\n", "p0 has no backend"),
        ("[port p0]\nbackend = net_nonsense\n", "net_nonsense"),
        ("[port p0]\nbackend = net_ring\n[port p0]\nbackend = net_ring\n", "refused.conf:3"),
        ("[port ../p0]\nbackend = net_ring\n", "../p0"),
        ("[ports]\n", "refused.conf:1"),
        ("colour = blue\n", "colour"),
        ("mbufs = many\n", "mbufs must be a number"),
        ("[port p0]\nbackend = net_ring\nmac = 1:2\n", "mac"),
        ("[port p0]\nbackend = net_af_packet\nargs = iface=nosuchlink\n", "p0"),
        ("[port p0]\nbackend = net_pcap\nargs = rx_pcap=/nonexistent/file.pcap\n", "p0"),
        ("just words\n", "refused.conf:1"),
    ],
)
def test_bad_configs_are_refused(tmp_path: Path, config: str, words: str) -> None:
    assert words in refused(tmp_path, config)
    assert not (tmp_path / "steering.sock").exists()


def test_missing_config_is_refused(tmp_path: Path) -> None:
    assert "/nonexistent.conf" in refused(tmp_path, "", "--config", "/nonexistent.conf")


def test_hugepages_that_are_not_there_are_told(tmp_path: Path) -> None:
    free = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
    if free.exists() and int(free.read_text()):
        pytest.skip("this machine has free hugepages")
    assert "hugepages" in refused(tmp_path, "huge = yes\n")


# -- strange clients -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"magic": 1}, "hello"),
        ({"abi": 4711}, "4711"),
        ({"layout_hash": 1}, "layout"),
        ({"flags": 0, "nr_queues": 4096}, "queue"),
    ],
)
def test_bad_hello_is_refused_with_a_reason(fastpath: START, fields: dict[str, int], words: str) -> None:
    running = fastpath({"p0": RING})
    with Wire(running.socket) as client:
        with pytest.raises(WireError) as refusal:
            client.hello("test", **fields)
        assert words in str(refusal.value).lower()
    assert running.port_names() == ["p0"]


def test_requests_before_hello_are_refused(fastpath: START) -> None:
    running = fastpath({"p0": RING})
    with Wire(running.socket) as client, pytest.raises(OSError):
        client.request(wire.STEER_OP_PORT_START, bytes(ffi.sizeof("struct steer_port_start")))
    assert running.port_names() == ["p0"]


def test_readers_own_nothing(fastpath: START) -> None:
    running = fastpath({"p0": RING})
    with running.wire() as client:
        with pytest.raises(WireError) as refusal:
            client.request(wire.STEER_OP_PORT_START, bytes(ffi.sizeof("struct steer_port_start")))
        assert refusal.value.errno in (errno.EPERM, errno.EACCES)


def test_segments_cannot_be_cut_or_grown_by_a_client(fastpath: START) -> None:
    running = fastpath({"p0": RING})
    with Wire(running.socket) as client:
        hello = ffi.new(
            "struct steer_hello *",
            {
                "magic": wire.STEERING_MAGIC,
                "abi": wire.STEERING_ABI,
                "name": b"cutter",
                "nr_queues": 1,
                "queue_depth": 64,
            },
        )
        _, own = client.request(wire.STEER_OP_HELLO, bytes(ffi.buffer(hello)))
        _, stats = client.request(wire.STEER_OP_STATS)
        try:
            segments = [fd for fd in (*own, *stats) if "memfd:" in os.readlink(f"/proc/self/fd/{fd}")]
            assert len(segments) >= 2, "a segment of its own, and the counters"
            for fd in segments:
                size = os.fstat(fd).st_size
                for wanted in (0, size // 2, size + 4096):
                    with pytest.raises(PermissionError):
                        os.ftruncate(fd, wanted)
                assert os.fstat(fd).st_size == size > 0
                seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
                assert seals & fcntl.F_SEAL_SEAL, (
                    "nor may it take the seals off, or add one that stops us writing"
                )
            with pytest.raises(PermissionError):
                mmap.mmap(stats[0], 4096, mmap.MAP_SHARED, mmap.PROT_WRITE)
            with pytest.raises(PermissionError):
                os.pwrite(stats[0], b"nonsense", 0)
        finally:
            for fd in (*own, *stats):
                os.close(fd)
    assert running.port_names() == ["p0"]


def test_garbage_on_the_socket_harms_nobody(fastpath: START) -> None:
    running = fastpath({"p0": RING})
    noise = random.Random(1)
    with running.wire() as witness:
        for size in [0, 1, 7, 15, 16, 17, 100, 4096, 65000, *(noise.randrange(1, 600) for _ in range(200))]:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
                client.connect(str(running.socket))
                client.send(noise.randbytes(size))
        assert len(witness.ports()) == 1


@pytest.mark.parametrize("op", range(1, wire.STEER_OP_MAX + 2))
def test_short_and_random_payloads_of_every_request(fastpath: START, op: int) -> None:
    running = fastpath({"p0": RING})
    noise = random.Random(op)
    if op == wire.STEER_OP_SHUTDOWN:
        return
    for size in (0, 1, 8, 64, 300, 2000):
        client = Wire(running.socket)
        with client:
            client.hello(flags=0, nr_queues=1, queue_depth=64)
            try:
                _, fds = client.request(op, noise.randbytes(size))
            except OSError:
                continue
            for fd in fds:
                os.close(fd)
    assert running.port_names() == ["p0"]


def test_clients_that_come_and_go_cost_nothing(fastpath: START) -> None:
    running = fastpath({"p0": RING})

    def visit() -> None:
        with Wire(running.socket) as client:
            client.hello(flags=0, nr_queues=2, queue_depth=128)

    visit()
    wait_for("the first visitor to be gone", lambda: descriptors(running.pid) > 0)
    before = descriptors(running.pid)
    for _ in range(100):
        visit()
    wait_for("descriptors to be closed", lambda: descriptors(running.pid) <= before)


def test_too_many_clients_are_refused_not_served_badly(fastpath: START) -> None:
    running = fastpath({"p0": RING}, {"max_clients": 4})
    clients = [running.wire() for _ in range(4)]
    try:
        with pytest.raises(OSError):
            running.wire()
        assert len(clients[0].ports()) == 1
    finally:
        for client in clients:
            client.close()
    wait_for("room for a client", lambda: running.port_names() == ["p0"])
