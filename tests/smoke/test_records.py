# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Flow records of real packets: from the workers' connections to the store, every column."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from appliance.flow.types import FwdReject
from appliance.run.frames import ACK, SYN, tcp, udp
from appliance.telemetry import Telemetry, schema
from appliance.telemetry.edges import flow_map
from tests.support.fastpath import wait_for
from tests.support.flows import ALLOWED, DEFAULT, DENIED, QUARANTINED, REJECTED, book
from tests.support.tracked import CLIENT, FIN, PSH, RST, SERVER, Tracked, tracked

DATA = b"x" * 100


@pytest.fixture(scope="module")
def rig() -> Iterator[Tracked]:
    with tracked(Telemetry(book(), 1000, appliance="dpu-1"), DEFAULT) as made:
        made.rule(443, ALLOWED)
        made.rule(22, DENIED, allow=False)
        made.rule(23, REJECTED, fwd=FwdReject())
        yield made


def of(event: str, source_port: int) -> Any:
    """Whether a record is this event of a connection."""
    return lambda one: one["event"] == event and one["src_port"] == source_port


def last_ack(rig: Tracked, source_port: int) -> None:
    """Data both ways, then both sides end."""
    s, c = (SERVER, CLIENT, 443, source_port), (CLIENT, SERVER, source_port, 443)
    rig.send(
        tcp(*c, ACK | PSH, DATA, seq=101, ack=501),
        tcp(*s, ACK | PSH, DATA * 5, seq=501, ack=201),
        tcp(*c, ACK | FIN, seq=201, ack=1001),
        tcp(*s, ACK | FIN, seq=1001, ack=202),
        tcp(*c, ACK, seq=202, ack=1002),
    )


def test_every_column_of_an_allowed_connection(rig: Tracked) -> None:
    before = time.time_ns()
    rig.handshake(40000, 443)
    last_ack(rig, 40000)
    end = rig.wait_record("the end", of("close", 40000))
    start = rig.wait_record("the start", of("open", 40000))
    after = time.time_ns()
    assert [column.name for column in schema.COLUMNS] == list(end)
    expected = {
        "verdict": "allow", "reason": "", "appliance": "dpu-1", "boot": rig.dpu.boot_id, "reporter": "only",
        "direction": "internal", "in_port": "pf0vf0", "out_port": "pf0vf1", "network": "prod", "vlan": 0, "vni": 4711,
        "src_mac": CLIENT.mac, "dst_mac": SERVER.mac, "src_ip": CLIENT.address, "dst_ip": SERVER.address,
        "protocol": "tcp", "src_port": 40000, "dst_port": 443, "icmp_type": 0, "icmp_code": 0, "src_identity": 64,
        "dst_identity": 68, "src_state": "normal", "dst_state": "normal", "src_labels": ["app=agent", "env=prod"],
        "dst_labels": ["app=tool", "env=prod"], "src_kind": "agent", "dst_kind": "tool", "src_workload": "agent-1",
        "dst_workload": "tool-1", "band": "allow", "rule": "agents-use-tools", "rule_id": "r1", "peer_rule": "",
        "revision": 1, "tag": ALLOWED, "create_reason": "policy", "audit_verdict": "", "audit_rule": "",
    }  # fmt: skip
    opened = {
        "event": "open", "initiator_packets": 1, "initiator_bytes": 54, "responder_packets": 0, "responder_bytes": 0,
        "frames": 1, "initiator_tcp_flags": "syn", "responder_tcp_flags": "", "tcp_state": "syn_sent",
        "close_reason": "",
    }  # fmt: skip
    closed = {
        "event": "close", "initiator_packets": 5, "initiator_bytes": 5 * 54 + 100, "responder_packets": 3,
        "responder_bytes": 3 * 54 + 500, "frames": 7, "initiator_tcp_flags": "fin,syn,psh,ack",
        "responder_tcp_flags": "fin,syn,psh,ack", "close_reason": "fin",
    }  # fmt: skip
    for one, own in ((start, opened), (end, closed)):
        assert {key: one[key] for key in {**expected, **own}} == {**expected, **own}
        assert before <= one["first_ns"] <= one["last_ns"] <= one["time_ns"] <= after
    assert (start["flow"], start["connection"], start["first_ns"]) == (
        end["flow"],
        end["connection"],
        end["first_ns"],
    )
    assert start["first_ns"] == start["last_ns"] < end["last_ns"]
    rest = {"first_ns", "last_ns", "time_ns", "flow", "connection", "record"}
    assert {*expected, *opened, *rest} == set(end)


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (22, {"verdict": "drop", "band": "block", "rule": "no-datasets", "tag": DENIED, "audit_verdict": "allow",
              "audit_rule": "maybe"}),
        (23, {"verdict": "reject", "band": "override-block", "rule": "no-telnet", "peer_rule": "other-side"}),
        (24, {"verdict": "drop", "band": "default", "rule": "", "tag": DEFAULT}),
    ],
)  # fmt: skip
def test_a_denial(rig: Tracked, port: int, expected: dict[str, Any]) -> None:
    source = 41000 + port
    segment = tcp(CLIENT, SERVER, source, port)
    rig.send(segment)
    first = rig.wait_record("the denial", of("deny", source))
    common = {
        "reason": "policy", "revision": 1, "src_identity": 64, "dst_identity": 68, "out_port": "", "in_port": "pf0vf0",
        "src_labels": ["app=agent", "env=prod"], "dst_workload": "tool-1", "initiator_packets": 1, "close_reason": "",
        "tcp_state": "",
    }  # fmt: skip
    assert {key: first[key] for key in {**common, **expected}} == {**common, **expected}
    rig.send(segment, segment)
    more = rig.wait_record("the update", of("deny_update", source))
    assert (more["frames"], more["initiator_packets"]) == (2, 3)
    assert (more["flow"], more["rule"], more["verdict"]) == (first["flow"], first["rule"], first["verdict"])


def test_an_update_then_a_reset(rig: Tracked) -> None:
    rig.handshake(42000, 443)
    rig.wait_record("an update", of("update", 42000))
    rig.send(tcp(SERVER, CLIENT, 443, 42000, ACK | RST, seq=501, ack=101))
    end = rig.wait_record("the end", of("close", 42000))
    assert (end["close_reason"], end["responder_packets"], end["verdict"]) == ("rst", 2, "allow")
    assert "rst" in end["responder_tcp_flags"]


def test_a_time_out(rig: Tracked) -> None:
    rig.rule(53, ALLOWED)
    rig.send(udp(CLIENT, SERVER, 43000, 53, b"question"), udp(SERVER, CLIENT, 53, 43000, b"answer"))
    end = rig.wait_record("the end", of("close", 43000))
    assert (end["close_reason"], end["protocol"], end["tcp_state"]) == ("timeout", "udp", "")
    assert (end["initiator_packets"], end["responder_packets"]) == (1, 1)


def test_cut_by_quarantine(rig: Tracked) -> None:
    rig.rule(8443, ALLOWED)
    rig.handshake(44000, 8443)
    rig.wait_record("the start", of("open", 44000))
    rig.rule(8443, QUARANTINED, allow=False)
    rig.dpu.ct_epoch(2)
    rig.send(tcp(CLIENT, SERVER, 44000, 8443, ACK | PSH, DATA, seq=101, ack=501))
    end = rig.wait_record("the end", of("close", 44000))
    expected = {
        "close_reason": "quarantine", "verdict": "drop", "reason": "policy", "band": "system", "revision": 2,
        "rule": "quarantine", "tag": QUARANTINED, "responder_packets": 1,
    }  # fmt: skip
    assert {key: end[key] for key in expected} == expected


def test_nothing_is_lost_and_the_map_has_it_all(rig: Tracked) -> None:
    for source in range(45000, 45100):
        rig.dpu.inject("pf0vf0", tcp(CLIENT, SERVER, source, 443, SYN, seq=100))
    wait_for(
        "all to be opened", lambda: sum(45000 <= one["src_port"] < 45100 for one in rig.records()) >= 100
    )
    told = rig.dpu.ct_stats().records
    wait_for("every record", lambda: len(rig.records()) >= told)
    assert rig.telemetry.store.lost == {"worker": 0, "ring": 0, "store": 0, "stream": 0}
    found = flow_map(rig.telemetry.store.scan())
    edges = {(one.source, one.destination, one.port, one.verdict): one.connections for one in found.edges}
    assert edges["agent-1", "tool-1", 443, "allow"] >= 100
    assert edges["agent-1", "tool-1", 22, "drop"] == 1
