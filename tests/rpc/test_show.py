# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A pipeline written down, and frames read from the command line."""

import io
import json
from pathlib import Path

import click
import pytest

from appliance.cli.frames import PcapWriter, read_frames, read_pcap, summary
from appliance.flow import fields
from appliance.rpc import show
from appliance.rpc.convert import flow as convert
from appliance.rpc.convert.base import PortNames
from appliance.run import frames
from appliance.run.config import read_config
from tests.support.tree import ROOT


@pytest.fixture(scope="module")
def pipes() -> list[show.ShownPipe]:
    config = read_config(ROOT / "examples" / "demo.yaml")
    names = PortNames({port.port_id: port.name for port in config.ports})
    return [
        show.ShownPipe(
            convert.pipe_to(pipe.spec, pipe.port, names),
            [convert.entry_to(entry, 7, pipe.spec.name, names) for entry in pipe.entries],
            len(pipe.entries) + 1,
        )
        for pipe in config.pipes
    ]


def test_text_names_everything(pipes: list[show.ShownPipe]) -> None:
    text = show.text(pipes)
    for words in (
        "pipe classify (control, root, on p0",
        "encap vxlan to 192.0.2.2",
        "dst_ip=10.77.0.2",
        "tcp.flags=ack&ack",
        "meter 50 packets/s, burst 25",
        "-> port pf0vf0",
        "miss     pipe replies",
        "priority 2",
        "... and 1 more",
    ):
        assert words in text, f"{words!r} not in\n{text}"


def test_json_is_the_api(pipes: list[show.ShownPipe]) -> None:
    shown = json.loads(show.as_json(pipes))
    assert [item["pipe"]["name"] for item in shown["pipes"]][-1] == "classify"
    assert shown["pipes"][0]["entries"][0]["fwd"]["port"] == "pf0vf0"


def test_mermaid_has_a_node_for_each_pipe_and_arrows_between(pipes: list[show.ShownPipe]) -> None:
    lines = show.mermaid(pipes).splitlines()
    assert lines[0] == "flowchart LR"
    for pipe in pipes:
        assert any(pipe.pipe.name in line for line in lines[1:])
    assert any("-.->|miss|" in line and "replies" in line.replace("_20_", " ") for line in lines)
    declared = {
        line.split("[")[0].split("(")[0].strip()
        for line in lines[1:]
        if "-->" not in line and "-.->" not in line
    }
    for line in lines[1:]:
        if "-->" in line or "-.->" in line:
            words = line.split()
            assert {words[0], words[-1]} <= declared, line


def test_the_list_of_fields_is_complete() -> None:
    text = (ROOT / "docs" / "fields.md").read_text()
    for row in fields.MATCH_FIELDS:
        assert f"`{row.name.replace('inner.', 'outer.', 1)}`" in text, row.name


FRAME = bytes.fromhex("0200000000020200000000010800") + bytes(46)


def test_frames_are_read_from_hex_pcap_and_scapy(tmp_path: Path) -> None:
    assert read_frames(FRAME.hex()) == [FRAME]
    assert read_frames("0x" + FRAME.hex(":")) == [FRAME]
    buffer = io.BytesIO()
    writer = PcapWriter(buffer)
    writer.write(FRAME, 1_500_000_000)
    writer.write(FRAME[:20], 2_000_000_001)
    path = tmp_path / "x.pcap"
    path.write_bytes(buffer.getvalue())
    assert list(read_pcap(path)) == [FRAME, FRAME[:20]]
    assert read_frames(str(path)) == [FRAME, FRAME[:20]]
    pytest.importorskip("scapy")
    made = read_frames("Ether(dst='02:00:00:00:00:02')/IP(dst='10.0.0.1')/TCP(dport=80)")
    assert made[0][:6] == FRAME[:6]
    assert made[0][36:38] == bytes([0, 80])


def test_frames_in_a_line() -> None:
    one, two = frames.Host("02:00:00:00:00:01", "10.0.0.1"), frames.Host("02:00:00:00:00:02", "10.0.0.2")
    inner = frames.tcp(one, two, 40000, 80, frames.SYN | frames.ACK)
    assert summary(inner) == "10.0.0.1:40000 > 10.0.0.2:80 TCP SA"
    outer = frames.udp(two, one, 1, 4789, bytes.fromhex("0800000000006400") + inner)
    assert summary(outer) == "10.0.0.2 > 10.0.0.1 VXLAN 100 [10.0.0.1:40000 > 10.0.0.2:80 TCP SA]"
    assert "type 0x0000" in summary(bytes(14))
    for length in range(len(outer)):
        assert summary(outer[:length])


@pytest.mark.parametrize("what", ["hello", "0x1", "Ether(", "Nonsense()", "__import__('os')"])
def test_no_frame(what: str) -> None:
    with pytest.raises(click.UsageError):
        read_frames(what)


def test_no_pcap(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    for data in (b"", b"x" * 100):
        path.write_bytes(data)
        with pytest.raises(click.UsageError):
            read_frames(str(path))
