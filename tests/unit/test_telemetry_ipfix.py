# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""IPFIX export: what a collector that knows only RFC 7011 reads out of the messages."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address
from typing import Any

import pytest

from appliance.errors import BadConfig
from appliance.flow.types import FlowClose, FlowEvent
from appliance.telemetry import Telemetry, ipfix, render
from appliance.telemetry.filters import parse
from appliance.telemetry.ipfix import Exporter
from tests.support.fastpath import wait_for
from tests.support.flows import DATASET, DENIED, QUARANTINED, batch, book, closed, row, rows
from tests.support.tree import ROOT

PEN = 64999
NAMES = {
    (one.enterprise if one.enterprise != ipfix.ENTERPRISE else PEN, one.number): one.name
    for _, elements in ipfix.LAYOUTS.values()
    for one in elements
}


class Collector:
    """Learns templates from messages, then reads data records by them."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(10)
        self.port: int = self.socket.getsockname()[1]
        self.templates: dict[int, list[tuple[int, int, int]]] = {}
        self.records: list[dict[str, Any]] = []
        self.not_sent: list[int] = []
        self.counted = 0

    def read(self, wanted: int) -> list[dict[str, Any]]:
        """Messages until there are so many records."""
        while len(self.records) < wanted:
            self.message(self.socket.recv(65536))
        return self.records

    def message(self, raw: bytes) -> None:
        version, length, _, sequence, domain = struct.unpack_from("!HHIII", raw)
        assert (version, length, domain) == (10, len(raw), 77)
        assert sequence == self.counted
        assert length <= ipfix.MESSAGE
        at = 16
        while at < length:
            number, size = struct.unpack_from("!HH", raw, at)
            content = raw[at + 4 : at + size]
            at += size
            if number in (2, 3):
                self.learn(content, options=number == 3)
            elif number == ipfix.STATISTICS:
                _, count = struct.unpack("!IQ", content)
                self.not_sent.append(count)
                self.counted += 1
            else:
                self.data(number, content)

    def learn(self, content: bytes, options: bool) -> None:
        at = 0
        while at < len(content):
            template, count = struct.unpack_from("!HH", content, at)
            at += 6 if options else 4
            self.templates[template] = []
            for _ in range(count):
                number, size = struct.unpack_from("!HH", content, at)
                at += 4
                owner = 0
                if number & 0x8000:
                    (owner,) = struct.unpack_from("!I", content, at)
                    at += 4
                self.templates[template].append((owner, number & 0x7FFF, size))

    def data(self, template: int, content: bytes) -> None:
        at = 0
        while at < len(content):
            record: dict[str, Any] = {"template": template}
            for owner, number, length in self.templates[template]:
                size = length
                if length == 0xFFFF:
                    size, at = content[at], at + 1
                    if size == 255:
                        (size,), at = struct.unpack_from("!H", content, at), at + 2
                raw = content[at : at + size]
                at += size
                name = NAMES[owner, number]
                if length == 0xFFFF:
                    record[name] = raw.decode()
                elif name.endswith("Address"):
                    record[name] = raw
                else:
                    record[name] = int.from_bytes(raw, "big")
            self.records.append(record)
            self.counted += 1


def test_a_collector_reads_everything() -> None:
    telemetry = Telemetry(book(), 100)
    collector = Collector()
    with (
        collector.socket,
        Exporter(telemetry, "127.0.0.1", collector.port, domain=77, enterprise=PEN) as exporter,
    ):
        telemetry.append(
            batch(
                [
                    row(vlan=0x600A, icmp_type=3, icmp_code=1),
                    row(
                        event=FlowEvent.DENY,
                        tag=DENIED,
                        src_ip="fd00::3",
                        dst_ip="fd00::9",
                        src_identity=DATASET << 2,
                    ),
                    closed(FlowClose.POLICY, tag=QUARANTINED, drop=24, id=5),
                    {**row(src_ip=bytes(16), dst_ip=bytes(16), protocol=0), "ip_version": 0},
                ]
            )
        )
        by_template = {(one["template"], one["flowId"]): one for one in collector.read(4)}
        wait_for("the count", lambda: exporter.sent == 4)
    shown = render.records(telemetry.store.read(1, 5)[0])
    first = by_template[256, shown[0]["flow"]]
    assert first["sourceIPv4Address"] == ip_address("10.0.0.1").packed
    assert first["destinationMacAddress"] == bytes.fromhex("020000000002")
    expected = {
        "sourceTransportPort": 40000, "destinationTransportPort": 443, "protocolIdentifier": 6, "vlanId": 10,
        "icmpTypeCodeIPv4": 0x301, "flowStartMilliseconds": 1_700_000_000_000, "flowEndMilliseconds": 1_700_000_000_100,
        "packetTotalCount": 1, "octetTotalCount": 74, "reversePacketTotalCount": 0, "firewallEvent": 1,
        "flowEndReason": 0, "forwardingStatus": 64, "tcpControlBits": 2, "biflowDirection": 1, "ingressInterface": 1,
        "ingressVRFID": 7, "connection": shown[0]["connection"], "revision": 3, "src_identity": 64,
        "verdict": "allow", "band": "allow", "rule": "agents-use-tools", "src_workload": "agent-1",
        "src_labels": "app=agent,env=prod", "reporter": "only", "direction": "internal",
    }  # fmt: skip
    assert {name: first[name] for name in expected} == expected
    denied = by_template[257, shown[1]["flow"]]
    assert denied["destinationIPv6Address"] == ip_address("fd00::9").packed
    assert (denied["firewallEvent"], denied["forwardingStatus"], denied["reason"]) == (3, 128, "policy")
    assert (denied["audit_verdict"], denied["audit_rule"], denied["egressInterface"]) == (
        "allow",
        "maybe",
        0xFFFF,
    )
    ended = by_template[256, 5]
    assert (ended["firewallEvent"], ended["flowEndReason"], ended["close_reason"]) == (2, 4, "quarantine")
    assert "sourceIPv4Address" not in by_template[258, shown[3]["flow"]]
    assert collector.not_sent == [0]


def test_many_records_and_what_was_not_sent() -> None:
    telemetry = Telemetry(book(), 5000)
    collector = Collector()
    with collector.socket:
        with Exporter(
            telemetry, "127.0.0.1", collector.port, domain=77, enterprise=PEN, filters=parse("to.port=443")
        ):
            telemetry.append(rows(10, dst_port=80))
            telemetry.append(rows(300), lost=7)
        collector.read(300)  # all of it is sent before the end
        assert collector.not_sent[-1] == 7
        assert [one["flowId"] for one in collector.records] == list(range(1, 301))


def test_long_texts() -> None:
    assert ipfix._text("x" * 254) == b"\xfe" + b"x" * 254
    assert ipfix._text("x" * 300) == b"\xff\x01\x2c" + b"x" * 300
    assert ipfix._text(["a=b", "c=d"]) == b"\x07a=b,c=d"


def test_a_collector_without_a_name() -> None:
    with pytest.raises(BadConfig, match="cannot be sent"):
        Exporter(Telemetry(book(), 10), "no.such.host.invalid")


def test_docs_list_the_elements() -> None:
    text = (ROOT / "docs/records.md").read_text()
    for _, elements in ipfix.LAYOUTS.values():
        for one in elements:
            number = {0: f"{one.number}", ipfix.REVERSE: f"{ipfix.REVERSE}/{one.number}"}.get(
                one.enterprise, f"own/{one.number}"
            )
            assert f"`{one.name}` ({number})" in text
