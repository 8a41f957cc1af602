# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""From values to C structs: byte order, unions, pointers; and the fast path's config file."""

from typing import Any

import pytest

from appliance.errors import NotFound
from appliance.flow import convert
from appliance.flow.launch import PortConfig, config_text, default_ports
from appliance.flow.types import (
    CHANGEABLE,
    COUNT,
    ActionDesc,
    Actions,
    CompareOp,
    Condition,
    Decap,
    DescField,
    Encap,
    EntrySpec,
    Eth,
    FwdDrop,
    FwdHash,
    FwdPipe,
    FwdPort,
    FwdRss,
    HashAlgorithm,
    HeaderFormat,
    Ip4,
    Ip6,
    Match,
    Meta,
    Meter,
    Monitor,
    ParserMeta,
    PipeSpec,
    PushVlan,
    SharedMeter,
    Tcp,
    Tun,
    Udp,
)
from appliance.steering.native import plain
from appliance.steering.pipes import MonitorParts, fill_fwd
from appliance.steering.structs import Arena


def nobody(reference: object) -> Any:
    raise NotFound(f"there is no pipe {reference}")


def test_a_match_is_big_endian_where_doca_is() -> None:
    match = Match(
        meta=Meta(pkt_meta=1, u32=(0, 0x01020304)),
        parser_meta=ParserMeta(port_id=5, random=7, meter_color=CHANGEABLE, outer_l3_type=CHANGEABLE),
        outer=HeaderFormat(
            eth=Eth(src_mac="aa:bb:cc:dd:ee:ff"),
            eth_vlan=(0x123,),
            ip4=Ip4(src_ip="1.2.3.4", ttl=9),
            tcp=Tcp(dst_port=80),
        ),
        tun=Tun.vxlan(100),
        inner=HeaderFormat(ip6=Ip6(dst_ip="fe80::1", flow_label=0x12345)),
    )
    arena = Arena()
    made = arena.match(convert.match_values(match))
    assert made.meta.u32[1].to_bytes(4, "little") == b"\x01\x02\x03\x04"
    assert made.parser_meta.port_id == 5
    assert made.parser_meta.random.to_bytes(2, "little") == b"\x00\x07"
    assert made.parser_meta.meter_color == 0xFF
    assert made.parser_meta.outer_l3_type == 0xFFFFFFFF
    assert bytes(made.outer.eth.src_mac) == b"\xaa\xbb\xcc\xdd\xee\xff"
    assert made.outer.l2_valid_headers == 1
    assert made.outer.eth_vlan[0].tci.to_bytes(2, "little") == b"\x01\x23"
    assert made.outer.l3_type == 1
    assert made.outer.ip4.src_ip.to_bytes(4, "little") == b"\x01\x02\x03\x04"
    assert made.outer.tcp.l4_port.dst_port.to_bytes(2, "little") == b"\x00\x50"
    assert made.tun.vxlan_tun_id.to_bytes(4, "little") == b"\x00\x00\x00\x64"
    assert made.inner.ip6.flow_label.to_bytes(4, "little") == b"\x00\x01\x23\x45"
    assert [word.to_bytes(4, "little")[:2] for word in made.inner.ip6.dst_ip] == [
        b"\xfe\x80",
        b"\0\0",
        b"\0\0",
        b"\0\0",
    ]
    assert arena.match(None) == arena.actions(None)


def test_actions_with_headers_to_push_and_strip() -> None:
    headers = HeaderFormat(ip4=Ip4(dst_ip="9.9.9.9"), udp=Udp(dst_port=4789))
    actions = Actions(
        decap=Decap(is_l2=False, eth=Eth(dst_mac=1)),
        pop_vlan=True,
        encap=Encap(headers, Tun.vxlan(1)),
        push=PushVlan(7),
    )
    arena = Arena()
    made = arena.actions(convert.actions_values(actions))
    assert (made.decap_type, made.decap_cfg.is_l2, made.pop_vlan) == (2, False, True)
    assert (made.encap_type, made.encap_cfg.is_l2) == (2, True)
    assert made.encap_cfg.encap.outer.udp.l4_port.dst_port.to_bytes(2, "little") == b"\x12\xb5"
    assert made.has_push
    assert made.push.vlan.vlan_hdr.tci.to_bytes(2, "little") == b"\x00\x07"
    shared = arena.actions(convert.actions_values(Actions(shared_encap_id=4)))
    assert (shared.encap_type, shared.shared_encap_id) == (1, 4)


def test_forwards() -> None:
    arena = Arena()

    def made(parts: Any) -> Any:
        fwd = arena.new("struct doca_flow_fwd *")
        fill_fwd(fwd, parts, arena)
        return fwd

    handle = arena.new("char *")

    def resolve(reference: object) -> Any:
        assert reference == "next"
        return arena.new("uintptr_t *") and _as_pipe(handle)

    assert made(convert.fwd_parts(FwdPort(3), nobody)).port_id == 3
    assert made(convert.fwd_parts(FwdDrop(), nobody)).type == 4
    assert made(convert.fwd_parts(FwdPipe("next"), resolve)).next_pipe == _as_pipe(handle)
    assert made(convert.fwd_parts(FwdHash("next", HashAlgorithm.FLOODING), resolve)).hash_pipe.algorithm == 16
    rss = made(convert.fwd_parts(FwdRss((4, 5)), nobody)).rss
    assert [rss.queues_array[i] for i in range(rss.nr_queues)] == [4, 5]
    assert convert.fwd_parts(None, nobody) is None
    with pytest.raises(NotFound):
        convert.fwd_parts(FwdPipe("nowhere"), nobody)


def _as_pipe(handle: Any) -> Any:
    from appliance._ringfield import ffi

    return ffi.cast("struct doca_flow_pipe *", handle)


def test_monitors() -> None:
    assert convert.monitor_parts(COUNT) == MonitorParts(counter_type=2)
    assert convert.monitor_parts(Monitor(counter=7, aging_sec=3)) == MonitorParts(1, 7, aging_sec=3)
    assert convert.monitor_parts(Monitor(meter=Meter(1000, 500))) == MonitorParts(
        meter_type=2, cir=1000, cbs=500
    )
    assert convert.monitor_parts(Monitor(meter=SharedMeter(2))) == MonitorParts(
        meter_type=1, shared_meter_id=2
    )


def test_descriptors_and_conditions() -> None:
    arena = Arena()
    descs = arena.descs(convert.desc_parts((ActionDesc.copy("outer.ipv4.ttl", DescField.meta_u32(1), 8),)))
    one = descs.desc_array[0].field_op
    assert (descs.nb_action_desc, one.width, one.dst.bit_offset) == (1, 8, 64)
    condition = Condition(CompareOp.GE, DescField("outer.ipv4.ttl"), width=8)
    parts = convert.entry_parts(EntrySpec(condition=condition), nobody)
    assert parts.condition == (5, ("outer.ipv4.ttl", 0), None, 8)


def test_a_pipe_without_match_sets_none_if_its_type_has_none() -> None:
    assert convert.pipe_parts(PipeSpec(name="a"), nobody).match == []
    assert plain(Arena().match([]))["outer"]["l3_type"] == 0


def test_config_file() -> None:
    text = config_text(
        [*default_ports(2, switch=True), PortConfig(name="x", backend="net_null", mtu=9000)], {"huge": "no"}
    )
    assert text.startswith("huge = no\n\n[port p0]\nbackend = net_ring\n")
    assert "[port pf0vf0]" in text
    assert "representor = pf0vf0" in text
    assert "mtu = 9000" in text
