# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Protobuf to dataclasses and back, and how fields are written as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.flow import fields
from appliance.flow import types as flow
from appliance.flow.fields import Field
from appliance.rpc import fieldtext
from appliance.rpc.convert import flow as convert
from appliance.rpc.convert import resources
from appliance.rpc.convert.base import BadField, PortNames
from appliance.v1 import entry_pb2, flow_pb2, pipe_pb2

PORTS = PortNames({0: "p0", 3: "pf0vf0"})
FIVE_TUPLE = flow.Match(
    parser_meta=flow.ParserMeta(port_id=3, outer_l4_type=flow.L4Meta.TCP),
    outer=flow.HeaderFormat(
        ip4=flow.Ip4(src_ip="10.0.0.1", dst_ip=flow.CHANGEABLE), tcp=flow.Tcp(dst_port=80, flags=0x12)
    ),
    tun=flow.Tun.vxlan(100),
    inner=flow.HeaderFormat(ip6=flow.Ip6(dst_ip="2001:db8::1")),
)
ENCAP = flow.Encap(
    outer=flow.HeaderFormat(
        eth=flow.Eth(src_mac="02:00:00:00:00:01", dst_mac=flow.CHANGEABLE),
        ip4=flow.Ip4(src_ip="192.0.2.1", dst_ip="192.0.2.2", ttl=64),
        udp=flow.Udp(dst_port=4789),
    ),
    tun=flow.Tun.vxlan(flow.CHANGEABLE),
)
PIPES = [
    flow.PipeSpec(name="drop", fwd=flow.FwdDrop()),
    flow.PipeSpec(name="named", fwd=flow.FwdDrop("no_route"), fwd_miss=flow.FwdReject("unauthenticated")),
    flow.PipeSpec(name="answers", fwd=flow.FwdAnswer(), fwd_miss=flow.FwdReject()),
    flow.PipeSpec(
        name="basic",
        is_root=True,
        nr_entries=1000,
        match=FIVE_TUPLE,
        match_mask=flow.Match(outer=flow.HeaderFormat(ip4=flow.Ip4(src_ip=0xFFFFFF00))),
        actions=(flow.Actions(encap=ENCAP), flow.Actions(pop_vlan=True, push=flow.PushVlan(7))),
        actions_masks=(flow.Actions(meta=flow.Meta(pkt_meta=0xFF)), None),
        action_descs=((), (flow.ActionDesc.add("outer.ipv4.ttl", width=8),)),
        monitor=flow.Monitor(counter=True, meter=flow.Meter(1000, 2000, flow.LimitType.PACKETS), aging_sec=5),
        fwd=flow.FwdChangeable(),
        fwd_miss=flow.FwdPipe("drop"),
        miss_counter=True,
        label="a label",
        is_resizable=True,
        congestion_level_threshold=80,
        excluded_queues=(1, 2),
    ),
    flow.PipeSpec(
        name="hash",
        type=flow.PipeType.HASH,
        domain=flow.Domain.EGRESS,
        nr_entries=4,
        match_mask=flow.Match(
            outer=flow.HeaderFormat(l3_type=flow.L3Type.IP4, ip4=flow.Ip4(dst_ip=0xFFFFFFFF))
        ),
        hash_map_algorithm=flow.HashAlgorithm.HASH | flow.HashAlgorithm.SELECT_ENABLED,
        fwd=flow.FwdRss(
            (0, 7), flow.RssFlags.IPV4 | flow.RssFlags.TCP, hash_func=flow.RssHash.SYMMETRIC_TOEPLITZ
        ),
        monitor=flow.Monitor(counter=7, meter=flow.SharedMeter(3, flow.MeterColor.GREEN)),
    ),
    flow.PipeSpec(
        name="list",
        type=flow.PipeType.ORDERED_LIST,
        ordered_lists=(
            flow.OrderedList(0, (flow.COUNT, flow.ListActions(flow.Actions(meta=flow.Meta(u32=(0, 5)))))),
            flow.OrderedList(1, (flow.ListNat64(flow.L3Type.IP4),)),
        ),
        fwd=flow.FwdPort(3),
    ),
]
CONDITION = flow.Condition(
    flow.CompareOp.GT, flow.DescField("outer.tcp.seq_num"), flow.DescField("outer.tcp.ack_num"), 32
)
ENTRIES = [
    flow.EntrySpec(),
    flow.EntrySpec(
        match=FIVE_TUPLE,
        match_mask=flow.Match(outer=flow.HeaderFormat(tcp=flow.Tcp(flags=2))),
        action_idx=1,
        actions=flow.Actions(decap=flow.Decap(is_l2=False, eth=flow.Eth(dst_mac=1))),
        actions_mask=flow.Actions(outer=flow.HeaderFormat(ip4=flow.Ip4(dscp_ecn=0xFC))),
        action_descs=(flow.ActionDesc.copy(flow.DescField("outer.ipv4.src_ip", 8), flow.DescField.meta_u32(1), 16),),
        condition=CONDITION,
        monitor=flow.COUNT,
        fwd=flow.FwdHash("hash", flow.HashAlgorithm.RANDOM),
        priority=7,
        index=9,
        tag=1 << 63,
    ),
    flow.EntrySpec(fwd=flow.FwdOrderedList("list", 2), ordered_list=flow.OrderedList(1, (flow.COUNT,))),
    flow.EntrySpec(fwd=flow.FwdTarget()),
    flow.EntrySpec(fwd=flow.FwdPort(0xFFFF)),
]  # fmt: skip


@pytest.mark.parametrize("spec", PIPES, ids=lambda spec: spec.name)
def test_pipes_come_back_as_they_went(spec: flow.PipeSpec) -> None:
    message = convert.pipe_to(spec, "p0", PORTS)
    again = convert.pipe_from(pipe_pb2.Pipe.FromString(message.SerializeToString()), PORTS)
    if not any(spec.action_descs) and not any(
        spec.actions_masks
    ):  # one descriptor list and mask per template
        assert (again.actions_masks, again.action_descs) == (
            (None,) * len(spec.actions),
            ((),) * len(spec.actions),
        )
        assert convert.pipe_to(again, "p0", PORTS) == message
    else:
        assert again == spec


@pytest.mark.parametrize("spec", ENTRIES)
def test_entries_come_back_as_they_went(spec: flow.EntrySpec) -> None:
    message = convert.entry_to(spec, 5, "basic", PORTS)
    assert convert.entry_from(entry_pb2.Entry.FromString(message.SerializeToString()), PORTS) == spec


@pytest.mark.parametrize(
    "resource",
    [
        flow.MeterConfig(1, 2, flow.MeterAlgorithm.RFC2698, flow.LimitType.PACKETS, flow.ColorMode.AWARE, pir=3, pbs=4),
        flow.CounterConfig(),
        ENCAP,
        flow.Decap(is_l2=False, eth=flow.Eth(src_mac="02:00:00:00:00:01")),
        flow.Decap(),
    ],
)  # fmt: skip
def test_shared_resources_come_back_as_they_went(resource: resources.Resource) -> None:
    assert resources.resource_from(resources.resource_to(9, resource))[1] == resource


ROWS = [*fields.MATCH_FIELDS, *fields.ACTION_FIELDS]


@given(st.sampled_from(ROWS), st.data())
def test_every_field_reads_what_it_shows(row: Field, data: st.DataObject) -> None:
    number = data.draw(st.one_of(st.integers(0, row.ones), st.sampled_from([0, 1, row.ones])))
    assert fieldtext.parse(row, fieldtext.show(row, number)) == number
    assert fieldtext.parse(row, fieldtext.show_mask(row, number)) == number
    assert fieldtext.from_bytes(row, fieldtext.to_bytes(row, number)) == number


@pytest.mark.parametrize(
    ("name", "text", "number"),
    [
        ("outer.ipv4.src_ip", "10.0.0.1", 0x0A000001),
        ("outer.ipv4.src_ip", "/8", 0xFF000000),
        ("outer.ipv6.src_ip", "::1", 1),
        ("outer.eth.dst_mac", "02:00:00:00:00:0a", 0x02000000000A),
        ("outer.tcp.flags", "syn|ack", 0x12),
        ("outer.l4_type_ext", "udp", 2),
        ("parser_meta.outer_l4_type", "TCP", 1),
        ("outer.tcp.dst_port", "0x50", 80),
        ("outer.tcp.dst_port", "changeable", 0xFFFF),
        ("tunnel.vxlan.vni", "100", 100),
    ],
)
def test_texts(name: str, text: str, number: int) -> None:
    assert fieldtext.parse(fieldtext.resolve(name, fields.MATCH), text) == number


def field(name: str, text: str = "", value: bytes = b"") -> flow_pb2.Field:
    return flow_pb2.Field(name=name, text=text, value=value)


def match(*given: flow_pb2.Field) -> pipe_pb2.Pipe:
    return pipe_pb2.Pipe(name="x", match=flow_pb2.Match(fields=given))


@pytest.mark.parametrize(
    ("pipe", "path", "words"),
    [
        (match(field("outer.ipv4.source", "1")), "pipe.match.fields[0]", "no field"),
        (match(field("inner.src_ip", "1")), "pipe.match.fields[0]", "outer.ipv4.src_ip"),
        (match(field("outer.ipv4.src_ip", "10.0.0.300")), "pipe.match.fields[0]", "IPv4 address"),
        (match(field("outer.ipv4.ttl", "256")), "pipe.match.fields[0]", "8 bits"),
        (match(field("outer.ipv4.ttl", value=b"\1\2")), "pipe.match.fields[0]", "2 bytes"),
        (match(field("outer.ipv4.ttl")), "pipe.match.fields[0]", "neither"),
        (match(*[field("outer.ipv4.ttl", "1")] * 2), "pipe.match.fields[1]", "twice"),
        (match(field("outer.l3_type", "ip5")), "pipe.match.fields[0]", "ip4, ip6"),
        (match(field("outer.tcp.flags", "syn|foo")), "pipe.match.fields[0]", "unknown foo"),
        (
            match(field("outer.tcp.seq_num", "1"), field("outer.udp.src_port", "1")),
            "pipe.match",
            "one L4 header",
        ),
        (pipe_pb2.Pipe(), "pipe.name", "1 to 63"),
        (pipe_pb2.Pipe(name="x" * 64), "pipe.name", "63"),
        (pipe_pb2.Pipe(name="x", congestion_percent=101), "pipe.congestion_percent", "100"),
        (
            pipe_pb2.Pipe(name="x", fwd=flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_PORT, port="p9")),
            "pipe.fwd.port",
            "p0",
        ),
        (
            pipe_pb2.Pipe(name="x", fwd=flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_RSS, rss_queues=[70000])),
            "pipe.fwd.rss_queues[0]",
            "65535",
        ),
    ],
)
def test_bad_fields_are_named(pipe: pipe_pb2.Pipe, path: str, words: str) -> None:
    with pytest.raises(BadField, match=words.replace("[", r"\[")) as caught:
        convert.pipe_from(pipe, PORTS)
    assert caught.value.field == path
