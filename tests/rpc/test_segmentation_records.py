# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Records of an appliance that enforces a policy, from packets to `ringfield observe`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from appliance.cli.main import main
from appliance.run import frames
from appliance.run.frames import ACK, SYN, Host
from tests.support.fastpath import wait_for
from tests.support.rig import Running
from tests.support.segmentation import DB, OPS, POLICY, PORT_OF, WEB, publish, quarantine, running


@pytest.fixture(scope="module")
def rig() -> Iterator[Running]:
    with running() as made:
        yield made


def observe(rig: Running, *words: str) -> list[dict[str, Any]]:
    target = str(rig.appliance.config.grpc.unix)
    result = CliRunner().invoke(main, ["--target", target, "--json", "observe", "--all", *words])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def told(rig: Running, *words: str) -> dict[str, Any]:
    """The first record that fits; waits for it."""
    wait_for(f"a record: {words}", lambda: bool(observe(rig, *words)))
    return observe(rig, *words)[0]


def send(
    rig: Running, source: Host, target: Host, source_port: int, port: int, flags: int, seq: int, ack: int
) -> None:
    rig.inject(PORT_OF[source], frames.tcp(source, target, source_port, port, flags, seq=seq, ack=ack))


def connect(rig: Running, source: Host, target: Host, source_port: int, port: int) -> None:
    send(rig, source, target, source_port, port, SYN, 100, 0)
    send(rig, target, source, port, source_port, SYN | ACK, 500, 101)
    send(rig, source, target, source_port, port, ACK, 101, 501)


def test_allowed_and_denied(rig: Running) -> None:
    connect(rig, WEB, DB, 40000, 5432)
    opened = told(rig, "--event", "open", "--port", "40000")
    expected = {
        "verdict": "allow", "band": "allow", "rule": "web-to-db", "revision": 1, "src_workload": "web",
        "dst_workload": "db", "src_labels": ["app=web"], "dst_labels": ["app=db"], "dst_kind": "dataset",
        "network": "lab", "in_port": "p1", "out_port": "p2", "reporter": "only", "direction": "internal",
    }  # fmt: skip
    assert {key: opened[key] for key in expected} == expected
    send(rig, WEB, DB, 40001, 22, SYN, 1, 0)
    denied = told(rig, "--verdict", "denied", "--port", "40001")
    expected = {
        "event": "deny", "verdict": "drop", "reason": "policy", "band": "default", "revision": 1,
        "src_labels": ["app=web"], "dst_workload": "db", "out_port": "",
    }  # fmt: skip
    assert {key: denied[key] for key in expected} == expected
    assert denied["src_identity"] >> 2 >= 16
    assert denied["dst_identity"] >> 2 >= 16


def test_a_rule_is_named_from_its_first_packet_on(rig: Running) -> None:
    """Names are there before packets are judged by them."""
    for number in range(5):
        rule = f"rule-{number}"
        line = (
            f"  - {{name: {rule}, band: allow, from: app=web, to: app=db, services: [tcp/{6000 + number}]}}\n"
        )
        revision = publish(rig, POLICY + line)
        send(rig, WEB, DB, 41000 + number, 6000 + number, SYN, 1, 0)
        opened = told(rig, "--event", "open", "--port", str(41000 + number))
        assert (opened["rule"], opened["revision"]) == (rule, revision.number)
    assert rig.appliance.telemetry.policy_revision == revision.number


def test_a_quarantine_cuts_and_says_so(rig: Running) -> None:
    connect(rig, OPS, DB, 42000, 22)
    told(rig, "--event", "open", "--port", "42000")
    quarantine(rig, "ops")
    send(rig, OPS, DB, 42000, 22, ACK, 101, 501)
    cut = told(rig, "--event", "close", "--port", "42000")
    expected = {"verdict": "drop", "reason": "policy", "band": "system", "close_reason": "quarantine"}
    assert {key: cut[key] for key in expected} == expected
    assert cut["src_state"] == "quarantined"
    assert cut["rule"]
    assert observe(rig, "--from", "state=quarantined", "--event", "close") == [cut]
