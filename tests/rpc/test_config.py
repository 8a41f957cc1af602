# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The configuration file: what it means, and that each fault is told with file, line and field."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.flow import types as flow
from appliance.run.config import RunConfig, config_from, fastpath_file, read_config
from appliance.run.document import ConfigError, parse_document
from tests.support.tree import ROOT

PORTS = """\
ports:
  p0: {backend: net_ring}
  p1: {backend: net_ring}
"""
TLS = PORTS + f"grpc: {{tcp: {{address: 'x:1', certificate: {__file__}, key: {__file__}}}}}\n"


def read(text: str) -> RunConfig:
    return config_from(parse_document(text, "x.yaml"), Path("x.yaml"), runtime_dir=Path("/run/x"))


def pipe(text: str) -> flow.PipeSpec:
    return read(PORTS + "pipes:\n  - {name: a, port: p0, " + text + "}\n").pipes[0].spec


def entry(kind: str, text: str) -> flow.EntrySpec:
    line = "{name: a, port: p0, type: " + kind + ", entries: [{" + text + "}]}"
    return read(PORTS + "pipes:\n  - " + line + "\n").pipes[0].entries[0]


def test_the_examples_are_good() -> None:
    for path in sorted((ROOT / "examples").glob("*.yaml")):
        config = read_config(path)
        assert config.pipes, path
        assert "[port p0]" in fastpath_file(config)


def test_plain_matches_are_implicit() -> None:
    spec = pipe("match: {outer.ipv4.dst_ip: changeable, outer.tcp.dst_port: 80}")
    assert spec.match_mask is None
    assert spec.match.outer.ip4.dst_ip == 0xFFFFFFFF
    assert spec.match.outer.tcp.dst_port == 80


def test_a_mask_at_one_field_gives_all_a_mask() -> None:
    spec = pipe(
        "match: {outer.ipv4.dst_ip: 10.0.0.0/8, outer.tcp.flags: syn&syn|ack, outer.tcp.dst_port: 80}"
    )
    assert spec.match_mask is not None
    assert spec.match_mask.flat() == {
        "outer.l3_type": flow.L3Type.IP4,
        "outer.l4_type_ext": flow.L4TypeExt.TCP,
        "outer.ipv4.dst_ip": 0xFF000000,
        "outer.tcp.flags": 0x12,
        "outer.tcp.dst_port": 0xFFFF,
    }


def test_a_zero_that_is_written_is_matched() -> None:
    spec = pipe("match: {outer.ipv4.ttl: 0, parser_meta.port_id: p0}")
    assert spec.match_mask is not None
    assert spec.match_mask.flat() == {
        "parser_meta.port_id": 0xFFFF,
        "outer.l3_type": 0,
        "outer.ipv4.ttl": 0xFF,
    } or (spec.match_mask.flat()["outer.ipv4.ttl"] == 0xFF)
    assert entry("basic", "match: {outer.ipv4.ttl: 0}").match_mask is None


def test_prefixes_and_ranges() -> None:
    lpm = entry("lpm", "match: {outer.ipv4.dst_ip: 10.1.0.0/16}")
    assert lpm.match_mask is not None
    assert (lpm.match.outer.ip4.dst_ip, lpm.match_mask.outer.ip4.dst_ip) == (0x0A010000, 0xFFFF0000)
    acl = entry(
        "acl", "match: {outer.ipv4.src_ip: 10.0.0.1, outer.udp.src_port: 7, outer.udp.dst_port: 80-3000}"
    )
    assert acl.match_mask is not None
    assert acl.match_mask.outer.ip4.src_ip == 0xFFFFFFFF
    assert acl.match_mask.outer.udp == flow.Udp(src_port=7, dst_port=3000)


def test_actions_say_what_they_need() -> None:
    spec = pipe(
        "actions: [{set: {encap.outer.ipv4.ttl: 64, encap.tunnel.vxlan.vni: 5, push.tci: 7}},"
        " {set: {outer.ipv4.ttl: 255}, add: [{to: outer.ipv4.ttl, width: 8}],"
        " copy: [{from: outer.ipv4.src_ip@8, to: meta.data@32, width: 16}]}]"
    )
    assert spec.actions[0].encap is not None
    assert spec.actions[0].encap.tun == flow.Tun.vxlan(5)
    assert spec.actions[0].push == flow.PushVlan(7)
    assert spec.action_descs == (
        (),
        (
            flow.ActionDesc.add("outer.ipv4.ttl", width=8),
            flow.ActionDesc.copy(flow.DescField("outer.ipv4.src_ip", 8), flow.DescField.meta_u32(0), 16),
        ),
    )


def test_forwards_and_monitors() -> None:
    spec = pipe("fwd: {rss: [0, 3], fields: [ipv4, tcp], symmetric: true}, miss: {pipe: b}")
    assert spec.fwd == flow.FwdRss(
        (0, 3), flow.RssFlags.IPV4 | flow.RssFlags.TCP, hash_func=flow.RssHash.SYMMETRIC_TOEPLITZ
    )
    assert spec.fwd_miss == flow.FwdPipe("b")
    assert pipe("fwd: {port: p1}").fwd == flow.FwdPort(1)
    assert pipe("fwd: {port: changeable}").fwd == flow.FwdPort(0xFFFF)
    assert pipe("fwd: {hash: h, algorithm: random}").fwd == flow.FwdHash("h", flow.HashAlgorithm.RANDOM)
    assert pipe("fwd: {list: l, index: 2}").fwd == flow.FwdOrderedList("l", 2)
    spec = pipe(
        "monitor: {shared_counter: 4, meter: {cir: 10, cbs: changeable, unit: packets}, aging_sec: changeable}"
    )
    assert spec.monitor == flow.Monitor(4, flow.Meter(10, (1 << 64) - 1, flow.LimitType.PACKETS), 0xFFFFFFFF)


def test_shared_resources() -> None:
    shared = read(
        PORTS
        + "shared:\n  meters: {1: {algorithm: rfc2698, cir: 1, cbs: 2, pir: 3, pbs: 4}}\n  counters: [5]\n"
        "  encaps: {2: {is_l2: true, outer.ipv4.ttl: 9, tunnel.vxlan.vni: 7}}\n  decaps: {3: {is_l2: true}}\n"
    ).shared
    assert [(item.type.name, item.id) for item in shared] == [
        ("METER", 1),
        ("COUNTER", 5),
        ("ENCAP", 2),
        ("DECAP", 3),
    ]
    assert isinstance(shared[2].resource, flow.Encap)
    assert shared[2].resource.tun == flow.Tun.vxlan(7)


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        ("", 1, "", "empty"),
        ("a: [", 1, "", "not YAML"),
        ("ports: {}", 1, "ports", "at least one"),
        ("x: 1", 1, "", "'ports' is missing"),
        (PORTS + "colour: red", 4, "colour", "no such key (known:"),
        (PORTS + "mode: vnf\nmode: vnf", 5, "mode", "twice"),
        (PORTS + "mode: both", 4, "mode", "vnf, switch"),
        ("ports:\n  p0: {}", 2, "ports.p0", "'backend' is missing"),
        ("ports:\n  p0: {backend: eth}", 2, "ports.p0.backend", "net_tap"),
        ("ports:\n  p 0: {backend: net_ring}", 2, "ports.p 0", "cannot be a name"),
        ("ports:\n  p0:\n    backend: net_ring\n    netns: x", 4, "ports.p0.netns", "only net_tap"),
        ("ports:\n  p0: {backend: net_tap, mac: '1:2'}", 2, "ports.p0.mac", "6 bytes"),
        ("ports:\n  p0: {backend: net_tap, mtu: 9}", 2, "ports.p0.mtu", "between 68"),
        ("ports:\n  a: {backend: net_ring}\n  b: {backend: net_ring, port_id: 0}", 3, "ports.b", "that of a"),
        (PORTS + "grpc: {tcp: {address: 'localhost:1'}}", 4, "grpc.tcp", "TCP without TLS is refused"),
        (PORTS + "grpc: {tcp: {address: x, insecure: true}}", 4, "grpc.tcp.address", "HOST:PORT"),
        (PORTS + "grpc: {tcp: {address: 'x:1', certificate: /none}}", 4, "grpc.tcp.certificate", "no file"),
        (TLS, 4, "grpc.tcp", "lets anyone who reaches the port change policy"),
        (
            TLS.replace("key:", f"any_client: true, client_ca: {__file__}, key:"),
            4,
            "grpc.tcp",
            "without client_ca",
        ),
        (
            PORTS + "grpc: {tcp: {address: 'x:1', insecure: true, any_client: true}}",
            4,
            "grpc.tcp",
            "client_ca",
        ),
        (PORTS + "fastpath: {workers: many}", 4, "fastpath.workers", "a number"),
        (PORTS + "pipes:\n  - {name: a}", 5, "pipes[0]", "'port' is missing"),
        (PORTS + "pipes:\n  - {name: a, port: p7}", 5, "pipes[0].port", "no port 'p7' (ports: p0, p1)"),
        (PORTS + "pipes:\n  - {name: a, port: p0}\n  - {name: a, port: p0}", 6, "pipes[1].name", "x.yaml:5"),
        (PORTS + "pipes:\n  - {name: a, port: p0, fwd: away}", 5, "pipes[0].fwd", "drop, kernel"),
        (
            PORTS + "pipes:\n  - name: a\n    port: p0\n    match:\n      outer.ipv4.ttl: 300",
            8,
            "pipes[0].match.outer.ipv4.ttl",
            "8 bits",
        ),
        (
            PORTS + "pipes:\n  - {name: a, port: p0, match: {outer.ip4.dst_ip: 1.2.3.4}}",
            5,
            "pipes[0].match.outer.ip4.dst_ip",
            "did you mean outer.ipv4.dst_ip",
        ),
        (
            PORTS
            + "pipes:\n  - {name: a, port: p0, type: acl, entries: [{match: {outer.tcp.dst_port: 9-3}}]}",
            5,
            "pipes[0].entries[0].match.outer.tcp.dst_port",
            "empty",
        ),
        (PORTS + "pairs: [[p0]]", 4, "pairs[0]", "two ports"),
        (PORTS + "pairs: [[p0, p0]]", 4, "pairs[0]", "one pair"),
        (PORTS + "namespaces: {x: {port: p0}}", 4, "namespaces.x.port", "netns"),
        (PORTS + "shared: {meters: {99999: {cir: 1, cbs: 1}}}", 4, "shared.meters.99999", "65535"),
    ],
)
def test_faults_are_named(text: str, line: int, field: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert (caught.value.file, caught.value.line, caught.value.field) == ("x.yaml", line, field), str(
        caught.value
    )
    assert words in caught.value.why


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(tmp_path / "none.yaml")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_config(tmp_path / "x.yaml")


@given(st.text(max_size=60), st.text(alphabet="{}[]:,- \nabc'\"&*!|>0", max_size=60))
def test_any_text_is_refused_politely(start: str, end: str) -> None:
    try:
        read(start + PORTS + end)
    except ConfigError:
        return
