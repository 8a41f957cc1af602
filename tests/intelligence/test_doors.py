# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What a centre shows: health, reflection, its administrator's commands, alarms; and what it keeps to itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from appliance.cli.main import main
from appliance.errors import FlowError
from appliance.intelligence import access, enrol
from appliance.intelligence.authority import parse_token
from appliance.intelligence.v1 import fleet_service_pb2, fleet_service_pb2_grpc, link_pb2
from tests.intelligence.test_security import enrolled, link, operator_channel
from tests.support.central import POLICY, TIMEOUT, WORKLOADS, Centre, centre
from tests.support.fastpath import wait_for
from tests.support.rig import directory

OURS = ("Audit", "Containment", "Enrolment", "Fleet", "Inventory", "Link", "Policy", "Threat")


@pytest.fixture(scope="module")
def lab() -> Iterator[tuple[Centre, Path]]:
    with directory() as where, centre(where / "c", options=("--verbose", "--log", "json")) as made:
        made.apply(WORKLOADS)
        made.publish(POLICY)
        yield made, where


def command(made: Centre, *words: str, status: int = 0) -> str:
    """What `ringfield central ...` prints."""
    result = CliRunner().invoke(main, ["--json", "central", "--at", str(made.unix), *words])
    assert result.exit_code == status, result.output
    return result.output


def test_a_second_centre_on_the_same_state_is_refused(lab: tuple[Centre, Path]) -> None:
    """At whatever ports: it says who runs there already, and takes nothing away from it."""
    made, where = lab
    second = [sys.executable, "-m", "appliance", "central", "run", "-c", str(where / "c" / "central.yaml")]
    done = subprocess.run(second, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 1
    assert f"a centre (pid {made.process.pid}) runs in {where / 'c' / 'state'} already" in done.stderr
    assert "READY" not in done.stdout
    command(made, "fleet", "list")


def test_health_and_reflection(lab: tuple[Centre, Path]) -> None:
    made, _ = lab
    assert made.unix.stat().st_mode & 0o777 == 0o600
    with operator_channel(made, made.operator("looker", "viewer")) as far:
        for channel in (made.channel, far):
            database = ProtoReflectionDescriptorDatabase(channel)
            services = [name for name in database.get_services() if name.startswith("appliance.")]
            assert sorted(name.rpartition(".")[2] for name in services) == [f"{one}Service" for one in OURS]
            health: Any = health_pb2_grpc.HealthStub(channel)
            for name in ("", *services):
                answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=TIMEOUT)
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
    database = ProtoReflectionDescriptorDatabase(made.channel)
    # Whatever there is to call is somebody's business, and nothing else is in the table.
    descriptors = [database.FindFileContainingSymbol(name) for name in services]
    calls = {
        f"{service.name}/{method.name}"
        for file in descriptors
        for service in file.service
        for method in service.method
    }
    assert calls == access.ALLOWED.keys() | access.OPEN
    assert all(access.method_of(f"/{name}/Some") for name in services)


def test_what_a_draft_would_change(lab: tuple[Centre, Path], tmp_path: Path) -> None:
    made, _ = lab
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY.replace("5432", "3306"))
    verdict = json.loads(command(made, "policy", "simulate", "web", "db", "tcp/3306", "--file", str(file)))
    assert (verdict["action"], verdict["rule"]) == ("allow", "web-to-db")
    found = json.loads(command(made, "policy", "diff", str(file)))
    assert "-  - {name: web-to-db" in found["text"]
    services = {
        (one["service"], one["before"].split()[0], one["after"].split()[0]) for one in found["verdicts"]
    }
    assert services == {("tcp/5432", "allow", "block"), ("tcp/3306", "block", "allow")}
    assert int(found["verdicts_changed"]) >= len(found["verdicts"])
    command(made, "policy", "draft", str(file))
    assert json.loads(command(made, "policy", "diff")) == found
    assert json.loads(command(made, "policy", "history"))["revisions"][0]["number"] == "1"
    assert "no draft" in command(made, "policy", "diff", "--set", "other", status=1)
    assert "nobody" in command(made, "policy", "simulate", "nobody", "db", "tcp/1", status=1)


def test_a_policy_is_drafted_published_and_rolled_back(lab: tuple[Centre, Path], tmp_path: Path) -> None:
    made, _ = lab
    file = tmp_path / "web.yaml"
    rule = "rules: [{name: web-out, band: allow, from: app=web, to: app=db, services: [tcp/NUMBER]}]\n"

    def newest() -> tuple[str, str, str]:
        one = json.loads(command(made, "policy", "history"))["revisions"][0]
        return one["number"], one["set"], one["origin"]

    def verdict(port: int) -> str:
        found = json.loads(command(made, "policy", "simulate", "web", "db", f"tcp/{port}", "--set", "web"))
        return str(found["action"])

    first = int(newest()[0])
    file.write_text(rule.replace("NUMBER", "8001"))
    command(made, "policy", "draft", str(file), "--set", "web", "--scope", "app=web")
    assert (verdict(8001), newest()[0]) == ("allow", str(first))  # a draft changes nothing
    command(made, "policy", "publish", "--set", "web", "--reason", "a test")
    assert newest() == (str(first + 1), "web", "publish")
    file.write_text(rule.replace("NUMBER", "8002"))
    assert "is published, not" in command(
        made, "policy", "publish", str(file), "--set", "web", "--expected", str(first), status=1
    )
    command(made, "policy", "publish", str(file), "--set", "web")
    assert (verdict(8001), verdict(8002)) == ("block", "allow")
    file.write_text(rule.replace("app=web", "app=db").replace("NUMBER", "1"))
    refused = command(made, "policy", "publish", str(file), "--set", "web", status=1)
    assert "rule web-out" in refused
    assert "workload db" in refused
    command(made, "policy", "rollback", str(first + 1), "--reason", "a test")
    assert newest() == (str(first + 3), "web", "rollback")
    assert (verdict(8001), verdict(8002)) == ("allow", "block")
    sets = {one["name"]: one for one in json.loads(command(made, "policy", "list"))["sets"]}
    assert sets["web"]["scope"] == "app=web"


def test_the_inventory_by_commands(lab: tuple[Centre, Path], tmp_path: Path) -> None:
    made, _ = lab
    file = tmp_path / "criteria.yaml"
    file.write_text('criteria: [{name: tier, name_pattern: "w(.)b", labels: {tier: "t\\\\1"}}]\n')
    assert json.loads(command(made, "workload", "criteria", str(file)))["changed"] == ["web"]
    assert json.loads(command(made, "workload", "criteria"))["criteria"][0]["name"] == "tier"
    command(made, "workload", "label", "web", "owner=me")
    web = json.loads(command(made, "workload", "list", "name=web"))["workloads"][0]
    by = {one["key"]: (one["value"], one["by"]) for one in web["labels"]}
    assert by == {"app": ("web", "local"), "owner": ("me", "local"), "tier": ("te", "criterion/tier")}
    assert "is reserved" in command(made, "workload", "label", "web", "state=calm", status=1)
    assert json.loads(command(made, "workload", "networks"))["networks"][0]["name"] == "lab"
    command(
        made,
        "quarantine",
        "web",
        "--reason",
        "a test",
        "--state",
        "restricted",
        "--still",
        "name=web app=db tcp/1",
    )
    found = json.loads(command(made, "contained"))["contained"]
    assert [(one["workload"], one["state"]) for one in found] == [("web", "WORKLOAD_STATE_RESTRICTED")]
    command(made, "release", "web", "--reason", "a test")
    assert "appliance dpu1 is not connected" in command(
        made, "workload", "wait-ready", "web", "--wait", "0.5", status=1
    )
    assert isinstance(json.loads(command(made, "fleet", "list"))["generation"], str)
    assert "alarms" in json.loads(command(made, "fleet", "alarms"))
    load = json.loads(command(made, "fleet", "load", "--seconds", "60"))
    assert (load["streams"], load["behind"]) == (0, 0)
    assert 0 <= load["delay_p50"] <= load["delay_p99"] <= load["delay_max"]


def test_the_audit_log_is_shown_whole(lab: tuple[Centre, Path]) -> None:
    made, _ = lab
    command(made, "token", "dpu7")
    last = json.loads(command(made, "audit", "--limit", "1"))["entries"][0]
    assert (last["action"], last["target"], last["refused"]) == ("central.token", "dpu7", False)
    assert list(last["after"]) == ["id"]
    found = json.loads(command(made, "audit", "--verify"))
    assert found["good"]
    assert int(found["signed_entries"]) == int(found["good_entries"]) >= int(last["number"])


def test_drift_is_an_alarm_until_it_is_over(lab: tuple[Centre, Path]) -> None:
    made, where = lab
    with link(made, enrolled(made, where, "drifts")) as one:
        one.say(hello=link_pb2.Hello(version="t"))
        one.say(heartbeat=link_pb2.Heartbeat(enforced=True, expected_digest=b"a", program_digest=b"b"))
        wait_for("drift", lambda: made.of("drifts").health.startswith("drift"))
        assert made.alarms().count("drift") == 1
        one.say(heartbeat=link_pb2.Heartbeat(enforced=True, expected_digest=b"a", program_digest=b"a"))
        wait_for("its end", lambda: made.of("drifts").health == "ok")
        one.say(heartbeat=link_pb2.Heartbeat(enforced=True, expected_digest=b"a"))  # it could not look
        one.say(heartbeat=link_pb2.Heartbeat(enforced=False))
        wait_for("no fast path", lambda: made.of("drifts").health == "no fast path")
        assert made.alarms().count("drift") == 1


def test_keys_are_their_owners_and_secrets_are_nowhere(lab: tuple[Centre, Path]) -> None:
    made, where = lab
    token, operator = made.token("quiet"), made.operator("alice", "viewer")
    home = where / "quiet"
    enrol.enrol(token, made.enrolment, home)
    assert (home / enrol.KEY).stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700
    with pytest.raises(FlowError, match="used up"):
        enrol.enrol(token, made.enrolment, where / "thief")
    for word in (operator, operator + "x", token, "nonsense"):
        with grpc.secure_channel(
            made.enrolment, grpc.ssl_channel_credentials((home / enrol.AUTHORITY).read_bytes()), enrol.OPTIONS
        ) as channel:
            stub = fleet_service_pb2_grpc.FleetServiceStub(channel)
            ask = fleet_service_pb2.RevokeRequest(name="appliance/quiet", reason="no")
            with pytest.raises(grpc.RpcError) as caught:
                stub.Revoke(ask, metadata=(("authorization", f"Bearer {word}"),), timeout=TIMEOUT)
            assert word not in str(caught.value.details())
    keys = sorted((where / "c").rglob("*.key"))
    assert keys
    assert {file.stat().st_mode & 0o777 for file in keys} == {0o600}
    private = [file.read_text().splitlines()[1] for file in (*keys, home / enrol.KEY)]
    for file in (path for path in (where / "c").rglob("*") if path.is_file() and path not in keys):
        kept = file.read_bytes()
        for secret in (parse_token(token).secret, parse_token(operator).secret, *private):
            assert secret.encode() not in kept, f"{file.name} has a secret"
    assert "refused" in (where / "c" / "run.log").read_text()  # it was written, and not silent
