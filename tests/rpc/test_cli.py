# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The command line against a running appliance, for people and for programs; and TCP with and without TLS."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner

from appliance.cli.frames import PcapWriter, read_pcap
from appliance.cli.main import main
from appliance.errors import BadConfig
from appliance.rpc.client import Client, Tls, calls
from appliance.rpc.errors import CallError
from appliance.rpc.server import Server
from appliance.run import frames
from appliance.run.config import TcpConfig, config_from
from appliance.run.document import ConfigError, parse_document
from appliance.v1 import packet_service_pb2, system_service_pb2
from tests.support.rig import ROUTER, Running, directory, running

A = frames.Host("02:00:00:00:00:0a", "10.1.0.1")
B = frames.Host("02:00:00:00:00:0b", "10.0.0.1")
GOOD = frames.udp(A, B, 1, 2, b"good")
BAD = frames.udp(A, frames.Host(B.mac, "10.0.0.2"), 1, 2, b"bad")


@pytest.fixture(scope="module")
def rig() -> Iterator[Running]:
    with running() as started:
        yield started


class Shell:
    """Runs `ringfield` against the rig."""

    def __init__(self, rig: Running) -> None:
        self.target = str(rig.appliance.config.grpc.unix)

    def __call__(self, *words: str, status: int = 0, text: str | None = None) -> str:
        result = CliRunner().invoke(
            main, ["--target", self.target, *words], input=text, env={"COLUMNS": "160"}
        )
        assert result.exit_code == status, f"{words}: {result.output} {result.exception}"
        return result.output

    def json(self, *words: str) -> Any:
        return json.loads(self("--json", *words))


@pytest.fixture
def shell(rig: Running) -> Shell:
    return Shell(rig)


def test_status(shell: Shell) -> None:
    assert "serving" in shell("status")
    assert shell.json("status")["state"] == "FASTPATH_STATE_SERVING"


def test_ports(shell: Shell) -> None:
    assert "net_ring" in shell("port", "list")
    assert [port["name"] for port in shell.json("port", "list")["ports"]] == ["p0", "p1", "p2"]
    assert "p8" in shell("port", "add", "p8", "--backend", "net_ring")
    shell("port", "miss", "p8", "kernel")
    assert "gone" in shell("port", "remove", "p8")
    assert "there is no port 'p8'" in shell("port", "remove", "p8", status=1)


def test_pipes_and_entries(shell: Shell, tmp_path: Path) -> None:
    assert "router" in shell("pipe", "list")
    file = tmp_path / "pipe.yaml"
    file.write_text(
        "pipes:\n  - name: web\n    port: p0\n    match: {outer.ipv4.dst_ip: changeable}\n    fwd: changeable\n"
        "    miss: drop\n    miss_counter: true\n    nr_entries: 16\n"
        "    entries: [{match: {outer.ipv4.dst_ip: 10.2.0.1}, fwd: {port: p1}, monitor: {counter: true}}]\n"
    )
    assert "web" in shell("pipe", "create", str(file))
    added = shell.json(
        "entry", "add", "web", "{match: {outer.ipv4.dst_ip: 10.2.0.2}, fwd: drop, monitor: {counter: true}}"
    )
    number = str(added["id"])
    assert "dst_ip=10.2.0.2  -> drop" in shell("entry", "list", "web")
    assert number in shell("entry", "show", number)
    assert "pipe web" in shell("pipe", "show", "web")
    assert shell.json("pipe", "show", "web")["pipes"][0]["total"] == 2
    assert shell("pipe", "show", "--format", "mermaid").startswith("flowchart LR")
    shell("pipe", "miss", "web", "kernel")
    assert "1 removed" in shell("entry", "remove", number)
    assert "there is no entry" in shell("entry", "remove", number, status=1)
    assert "ENTRY:1" in shell("entry", "add", "web", "{match: {outer.ipv4.dst: 1}}", status=1)
    assert "gone" in shell("pipe", "destroy", "web")
    assert "there is no pipe 'web'" in shell("pipe", "destroy", "web", status=1)


def test_trace(shell: Shell, tmp_path: Path) -> None:
    shown = shell("trace", "p0", GOOD.hex())
    for words in ("10.1.0.1:1 > 10.0.0.1:2 UDP", "router", "hit", "tag 71", "dst_ip=10.0.0.1", "SENT to p1"):
        assert words in shown
    assert "DROPPED (pipe)" in shell("trace", "p0", BAD.hex())
    assert shell.json("trace", "p0", GOOD.hex())[0]["outcomes"][0]["port"] == "p1"
    pytest.importorskip("scapy")
    assert "SENT to p1" in shell("trace", "p0", "Ether()/IP(dst='10.0.0.1')/UDP()")
    assert "no scapy packet" in shell("trace", "p0", "Nonsense()", status=2)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (("--reason", "pipe"), [BAD, BAD]),
        (("--at", "tx", "--port", "p1"), [GOOD, GOOD]),
        (("--at", "rx", "--port", "p0", "--snap", "20"), None),
    ],
    ids=["drop", "tx", "rx"],
)
def test_captures_are_written(
    shell: Shell, tmp_path: Path, where: tuple[str, ...], expected: list[bytes] | None
) -> None:
    file = tmp_path / "some.pcap"
    result: list[str] = []
    capture = threading.Thread(
        target=lambda: result.append(shell("capture", *where, "--count", "2", "-w", str(file)))
    )
    capture.start()
    end = time.monotonic() + 30
    while capture.is_alive() and time.monotonic() < end:
        shell("inject", "p0", BAD.hex())
        shell("inject", "p0", GOOD.hex())
        capture.join(0.1)
    assert not capture.is_alive()
    got = list(read_pcap(file))
    if expected is None:  # both, in turn, cut short
        assert sorted(got) == sorted([BAD[:20], GOOD[:20]])
    else:
        assert got == expected


def test_inject_stats_and_top(shell: Shell, rig: Running, tmp_path: Path) -> None:
    file = tmp_path / "bad.pcap"
    with file.open("wb") as out:
        PcapWriter(out, 0).write(BAD, 1)
    shell("inject", "p0", str(file))
    rig.settle()
    shown = shell("stats")
    for words in ("p0", "dropped because", "pipe", "router", "every packet accounted for"):
        assert words in shown
    assert {port["port"] for port in shell.json("stats")["stats"]["ports"]} == {"p0", "p1", "p2"}
    assert "accepted" in shell("inject", "p0", str(file), "--count", "3")
    assert "hit rate" in shell("stats", "cache")
    (cache,) = shell.json("stats", "cache")["caches"]
    assert int(cache["room"]) == 8192
    assert "accepted" in shell("transmit", "p1", GOOD.hex())
    shown = shell("top", "--count", "2", "--interval", "0.1")
    assert "ringfield top" in shown
    assert "cycles/packet" in shown
    assert "busiest pipes" in shell("top", "--once", "--interval", "0.1")
    one = shell.json("top", "--once", "--interval", "0.1")
    assert {port["port"] for port in one["ports"]} == {"p0", "p1", "p2"}
    assert one["unaccounted"] == 0
    lines = shell("top", "--json", "--count", "2", "--interval", "0.1").splitlines()
    assert [json.loads(line)["workers"] for line in lines] == [1, 1]


def test_a_pipe_is_resized(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "pipe.yaml"
    file.write_text(
        "pipes: [{name: grows, port: p0, match: {outer.ipv4.dst_ip: changeable}, fwd: drop, miss: drop,"
        " nr_entries: 16, resizable: true}]\n"
    )
    shell("pipe", "create", str(file))
    assert "holds 4,096 entries" in shell("pipe", "resize", "grows", "4096")
    assert "router" in shell("pipe", "resize", "router", "4096", status=1)
    assert "0 of 4,096" in shell("pipe", "show", "grows").replace("4096", "4,096")
    shell("pipe", "destroy", "grows")


def test_what_ring_ports_send_is_shown(shell: Shell, rig: Running) -> None:
    request = packet_service_pb2.TransmitPacketsRequest(port="p1", frames=[GOOD])
    result: list[str] = []
    receive = threading.Thread(target=lambda: result.append(shell("receive", "--port", "p1", "--count", "2")))
    receive.start()
    end = time.monotonic() + 30
    while receive.is_alive() and time.monotonic() < end:
        rig.client.packets.TransmitPackets(request, timeout=10)  # a second command would take its output
        receive.join(0.1)
    assert not receive.is_alive()
    assert result[0].count("10.1.0.1:1 > 10.0.0.1:2 UDP") == 2


def test_nobody_there() -> None:
    result = CliRunner().invoke(main, ["--target", "/nowhere/ringfield.sock", "port", "list"])
    assert result.exit_code == 1
    assert "no appliance answers at unix:/nowhere/ringfield.sock" in result.output
    result = CliRunner().invoke(main, ["--target", "localhost:1", "port", "list"])
    assert result.exit_code == 1
    assert "--insecure by name" in result.output


def test_completion_and_help() -> None:
    for shell_name in ("bash", "zsh", "fish"):
        assert "_RINGFIELD_COMPLETE" in CliRunner().invoke(main, ["completion", shell_name]).output
    for words in ([], ["port"], ["pipe"], ["entry"], ["run"], ["demo"], ["bench"]):
        result = CliRunner().invoke(main, [*words, "--help"])
        assert result.exit_code == 0, words
        assert "Usage:" in result.output


def test_a_configuration_is_checked_without_a_start(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(ROUTER)
    assert "good" in CliRunner().invoke(main, ["run", "-c", str(file), "--check"]).output
    file.write_text(ROUTER + "colour: red\n")
    result = CliRunner().invoke(main, ["run", "-c", str(file), "--check"])
    assert result.exit_code == 1
    assert f"{file}:" in result.output
    assert "colour: there is no such key" in result.output


# --- TCP --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server's and a client's certificate, and a stranger's authority."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    where = tmp_path_factory.mktemp("tls")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=where, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    for authority in ("ca", "stranger"):
        openssl(
            "req",
            "-x509",
            *curve,
            "-keyout",
            f"{authority}.key",
            "-out",
            f"{authority}.pem",
            "-subj",
            f"/CN={authority}",
        )
    for name in ("server", "client"):
        openssl("req", *curve[:5], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (where / "ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-days", "2", "-extfile", "ext",
        )  # fmt: skip
    return where


class Echo:
    """A servicer without a node."""

    service = "appliance.v1.SystemService"

    def add_to(self, server: grpc.Server) -> None:
        from appliance.rpc.system_service import SystemServicer

        SystemServicer(None, lambda response: None).add_to(server)  # type: ignore[arg-type]


def version(client: Client) -> str:
    with client, calls():
        return client.system.GetVersion(system_service_pb2.GetVersionRequest(), timeout=5).version


def test_tls_and_mutual_tls(certificates: Path) -> None:
    def file(name: str) -> Path:
        return certificates / name

    with directory() as where:
        plain = TcpConfig("localhost:0", file("server.pem"), file("server.key"))
        with pytest.raises(BadConfig, match="without certificates of clients"):
            Server([Echo()], where / "0.sock", plain)
        tcp = replace(plain, any_client=True)
        server = Server([Echo()], where / "a.sock", tcp)
        try:
            target = f"localhost:{server.tcp_port}"
            assert version(Client(target, tls=Tls(file("ca.pem"))))
            for wrong in (Client(target, tls=Tls(file("stranger.pem"))), Client(target, insecure=True)):
                with pytest.raises(CallError) as caught:
                    version(wrong)
                assert caught.value.status is grpc.StatusCode.UNAVAILABLE
        finally:
            server.close()
        mutual = replace(plain, client_ca=file("ca.pem"))
        server = Server([Echo()], where / "b.sock", mutual)
        try:
            target = f"localhost:{server.tcp_port}"
            assert version(Client(target, tls=Tls(file("ca.pem"), file("client.pem"), file("client.key"))))
            with pytest.raises(CallError):
                version(Client(target, tls=Tls(file("ca.pem"))))
        finally:
            server.close()


def test_tcp_without_tls_only_by_name() -> None:
    with directory() as where:
        with pytest.raises(BadConfig, match="without TLS"):
            Server([Echo()], where / "a.sock", TcpConfig("localhost:0"))
        server = Server([Echo()], where / "b.sock", TcpConfig("localhost:0", insecure=True))
        try:
            assert version(Client(f"localhost:{server.tcp_port}", insecure=True))
            with pytest.raises(CallError, match="--insecure"):
                Client(f"localhost:{server.tcp_port}")
            with pytest.raises(BadConfig, match="already"):
                Server([Echo()], where / "b.sock")
            with pytest.raises(BadConfig, match="cannot listen"):
                Server([Echo()], where / "c.sock", TcpConfig(f"localhost:{server.tcp_port}", insecure=True))
        finally:
            server.close()
    text = ROUTER + "grpc: {tcp: {address: 'localhost:7000'}}\n"
    with pytest.raises(ConfigError, match="insecure: true"):
        config_from(parse_document(text, "x"), Path("x"))
