# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Commands for policy, workloads, containment and audit on a real appliance; and who the audit log says did it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner

from appliance.cli.main import main
from appliance.policy.audit import LOCAL, LOG, Actor
from appliance.rpc.actor import actor_of, address_of
from appliance.rpc.client import Client, Tls, calls
from appliance.rpc.server import Server
from appliance.rpc.system_service import SystemServicer
from appliance.run.config import TcpConfig
from appliance.v1 import system_service_pb2
from tests.rpc.test_cli import certificates
from tests.support.rig import Running, directory
from tests.support.segmentation import DB, OPS, POLICY, WEB, passes, running

__all__ = ["certificates"]  # a fixture
Run = Callable[..., str]


@pytest.fixture(scope="module")
def rig() -> Iterator[Running]:
    with running() as made:
        yield made


@pytest.fixture
def run(rig: Running) -> Run:
    """Runs a command; its output. ``status``: the one that is expected."""
    target = f"unix:{rig.appliance.config.grpc.unix}"

    def call(*words: str, status: int = 0) -> str:
        done = CliRunner().invoke(main, ["--target", target, *words], env={"COLUMNS": "300"})
        assert done.exit_code == status, done.output
        return done.output

    return call


def test_policy_commands(rig: Running, run: Run, tmp_path: Path) -> None:
    file, other = tmp_path / "policy.yaml", POLICY.replace("tcp/5432", "tcp/3306")
    file.write_text(other)
    assert "good" in run("policy", "validate", str(file))
    assert "2 verdicts change" in run("policy", "diff", str(file))
    twice = (
        other
        + "  - {name: twin, priority: 200, band: allow, from: app=web, to: app=db, services: tcp/3306}\n"
    )
    (tmp_path / "twice.yaml").write_text(twice)
    assert "twin" in run("policy", "analyze", str(tmp_path / "twice.yaml"))
    assert "allow web-to-db" in run("policy", "simulate", "web", "db", "tcp/3306", "-f", str(file))
    publish = ["policy", "publish", str(file), "-m", "a test"]
    assert "revision 1 is running, not 7" in run(*publish, "--expected", "7", status=1)
    canary = ["--canary", "app=ops", "--confirm", "5m", "--expected", "1"]
    assert "applied in" in run(*publish, *canary)
    assert passes(rig, WEB, DB, 5432), "no canary is concerned yet"
    assert "applied" in run("policy", "confirm", "2")
    assert passes(rig, WEB, DB, 3306)
    assert not passes(rig, WEB, DB, 5432)
    assert "a test" in run("policy", "show", "--history")
    assert run("policy", "show").endswith(other)
    expectations = tmp_path / "expectations.yaml"
    expectations.write_text("- {from: web, to: db, service: tcp/3306, verdict: allow}\n")
    assert "1 of 1" in run("policy", "test", str(expectations))
    assert "there is no draft; what is running:" in run("policy", "draft")
    expectations.write_text("- {from: web, to: db, service: tcp/3306, verdict: deny}\n")
    assert "0 of 1 as expected" in run("policy", "test", str(expectations), status=1)
    told = json.loads(run("--json", "policy", "test", str(expectations), status=1))
    assert told["wrong"] == 1
    assert told["expectations"][0]["verdict"] == "allow"
    assert told["expectations"][0]["place"] == f"{expectations}:1"
    expectations.write_text(
        "- {from: web, to: db, service: tcp/3306, verdict: pass}\n"
        "- {from: web, to: db, service: tcp/5432, verdict: block}\n"
    )
    assert "2 of 2 as expected" in run("policy", "test", str(expectations))
    under = tmp_path / "under.yaml"
    under.write_text(POLICY)
    told = run("policy", "test", str(expectations), "-f", str(under), status=1)
    assert "0 of 2 as expected" in told
    assert "expectations.yaml:2" in told
    expectations.write_text("- {from: web, to: db, service: tcp/3306, verdict: perhaps}\n")
    assert "perhaps" in run("policy", "test", str(expectations), status=2)
    good = "- {from: web, to: db, service: tcp/3306, verdict: allow}\n"
    expectations.write_text(good + "- {from: web, to: nobody, service: tcp/3306, verdict: deny}\n")
    told = run("policy", "test", str(expectations), status=2).replace("\n", "")
    assert f"{expectations}:2: there is no workload 'nobody'" in told
    expectations.write_text("[]\n")
    assert "there is no expectation" in run("policy", "test", str(expectations), status=2)
    assert "cannot read" in run("policy", "test", str(tmp_path / "none"), status=2)
    expectations.write_text(good)
    assert "cannot read" in run("policy", "test", str(expectations), "-f", str(tmp_path / "none"), status=2)
    file.write_text("rules:\n  - {name: a, band: allow, from: app=nobody, to: any, services: any}\n")
    told = run("policy", "publish", str(file), status=1)
    assert f"{file}:2" in told.replace("\n", "")
    assert "refused, 1 problem" in told
    run("policy", "publish", str(tmp_path / "none"), status=1)
    run("policy", "rollback", "-m", "the test is over")
    assert passes(rig, WEB, DB, 5432)
    file.write_text(other)
    told = run("policy", "publish", str(file), "--number", "2", status=1).replace("\n", " ")
    assert "older than the running one" in told
    assert passes(rig, WEB, DB, 5432)
    listed = json.loads(run("--json", "policy", "show", "--history"))
    assert [one["number"] for one in listed["revisions"]] == ["3", "2", "1"]


def test_workload_and_containment_commands(rig: Running, run: Run) -> None:
    place = ["--network", "lab", "--port", "p3", "--mac", "02:00:00:00:00:09", "--address", "10.0.0.9"]
    assert "web-2" in run("workload", "add", "web-2", *place, "--label", "app=web")
    assert "bound twice" in run("workload", "add", "web-3", *place, status=1)
    run("workload", "wait", "web-2")
    late = run("--timeout", "0.2", "workload", "wait", "web-2", "ghost", status=1)
    assert "not ready after 0.2 s: ghost (there is no such workload)" in late
    run("workload", "label", "web-2", "app-", "tier=1")
    assert "web-2" in run("workload", "list", "tier")
    run("workload", "remove", "web-2")
    done = run("quarantine", "web", "-m", "scans", "--ttl", "5m", "--keep", "from app=ops tcp/22")
    assert "in force after" in done
    assert not passes(rig, WEB, DB, 5432)
    assert passes(rig, OPS, WEB, 22)
    assert "scans" in run("contained")
    run("release", "-l", "app=web", "-m", "clean")
    assert passes(rig, WEB, DB, 5432)
    nobody = run("quarantine", "web", "-m", "x", "--keep", "from app=nobody tcp/22", status=1)
    assert "keep[0].source: no workload has app=nobody" in nobody
    assert passes(rig, WEB, DB, 5432), "nothing was done"
    assert "366 days" in run("quarantine", "web", "-m", "x", "--ttl", "-1", status=1)
    assert "--reason" in run("quarantine", "web", status=2)
    assert "not 'from SELECTOR" in run("quarantine", "web", "-m", "x", "--keep", "ops", status=2)


def test_audit_commands(rig: Running, run: Run, tmp_path: Path) -> None:
    assert "good" in run("audit", "verify")
    assert "there is no audit.log" in run("audit", "verify", "--dir", str(tmp_path), status=1)
    assert "quarantine" in json.dumps(json.loads(run("--json", "audit", "show", "-n", "100")))
    where = rig.appliance.segmentation.config.state_dir  # type: ignore[union-attr]
    for name in (LOG, "audit.head", "audit.pub"):
        (tmp_path / name).write_bytes((where / name).read_bytes())
    run("audit", "verify", "--dir", str(tmp_path))
    lines = (tmp_path / LOG).read_bytes().splitlines(keepends=True)
    (tmp_path / LOG).write_bytes(b"".join([*lines[:1], *lines[2:]]))
    assert "entry 2 is missing" in run("audit", "verify", "--dir", str(tmp_path), status=1).replace("\n", " ")


class WhoAmI(SystemServicer):
    """Remembers who called."""

    def __init__(self) -> None:
        self.seen: list[tuple[Actor, str]] = []

    def GetVersion(  # noqa: N802
        self, request: system_service_pb2.GetVersionRequest, context: grpc.ServicerContext
    ) -> system_service_pb2.GetVersionResponse:
        self.seen.append((actor_of(context), address_of(context)))
        return system_service_pb2.GetVersionResponse()


def test_the_actor_follows_from_how_one_came_in(certificates: Path) -> None:
    def file(name: str) -> Path:
        return certificates / name

    who = WhoAmI()

    def call(client: Client) -> tuple[Actor, str]:
        with client, calls():
            client.system.GetVersion(system_service_pb2.GetVersionRequest(), timeout=5)
        return who.seen[-1]

    with directory() as where:
        mutual = TcpConfig("localhost:0", file("server.pem"), file("server.key"), file("ca.pem"))
        server = Server([who], where / "a.sock", mutual)
        try:
            assert call(Client(f"unix:{where / 'a.sock'}")) == (LOCAL, "")
            tls = Tls(file("ca.pem"), file("client.pem"), file("client.key"))
            actor, address = call(Client(f"localhost:{server.tcp_port}", tls=tls))
            assert actor.name == "client"
            assert actor.credential.startswith("mtls:")
            assert address in ("127.0.0.1", "::1")
        finally:
            server.close()
        server = Server([who], where / "b.sock", TcpConfig("localhost:0", insecure=True))
        try:
            actor, _ = call(Client(f"localhost:{server.tcp_port}", insecure=True))
            assert actor == Actor("unknown", "insecure")
        finally:
            server.close()
