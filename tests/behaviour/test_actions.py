# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What is done to packets: set, add, copy, metadata, VLAN, tunnels. Bytes are compared exactly."""

import struct
from typing import Any

import pytest

from appliance.flow.types import (
    CHANGEABLE,
    COUNT,
    ActionDesc,
    Actions,
    ActionType,
    Decap,
    DescField,
    Domain,
    Encap,
    Eth,
    FwdDrop,
    FwdPipe,
    FwdPort,
    GreType,
    HeaderFormat,
    Ip4,
    Ip6,
    L3Meta,
    L3Type,
    L4Meta,
    L4TypeExt,
    Match,
    Meta,
    ParserMeta,
    PipeType,
    PushVlan,
    Tcp,
    Transport,
    Tun,
    TunType,
    Udp,
    VxlanType,
)
from tests.behaviour import frames
from tests.behaviour.frames import IP, TCP, UDP, Dot1Q, IPv6, Raw, eth
from tests.behaviour.rig import TCP4, TUPLE_TCP, MakeRig, Rig, peer, tuple4

ONLY_TCP4 = Match(parser_meta=TCP4)
NEW_SRC = "aa:bb:cc:dd:ee:ff"
NEW_DST = "11:22:33:44:55:66"


def act(
    r: Rig,
    port: int,
    template: Actions,
    entry: Actions | None = None,
    *,
    match: Match = ONLY_TCP4,
    **spec: Any,
) -> Any:
    """A root pipe on `port` that runs one action template on what matches and sends it to the peer; its entry."""
    pipe = r.pipe(
        port,
        name="ACT",
        is_root=True,
        match=match,
        actions=(template,),
        fwd=FwdPort(port_id=peer(port)),
        fwd_miss=FwdDrop(),
        monitor=COUNT,
        **spec,
    )
    return r.add(pipe, actions=entry, monitor=COUNT)


# --- set, add, copy -------------------------------------------------------------------------------------------------


def test_multi_actions(rig: MakeRig) -> None:
    """flow_multi_actions: entries pick one of two templates: a new source MAC, or a new source address."""
    r = rig()
    for port in (0, 1):
        pipe = r.pipe(
            port,
            name="MULTI",
            is_root=True,
            fwd=FwdPort(port_id=peer(port)),
            fwd_miss=FwdDrop(),
            match=Match(parser_meta=TCP4, outer=HeaderFormat(ip4=Ip4(src_ip=CHANGEABLE))),
            actions=(
                Actions(outer=HeaderFormat(eth=Eth(src_mac=CHANGEABLE))),
                Actions(outer=HeaderFormat(ip4=Ip4(src_ip=CHANGEABLE))),
            ),
        )
        r.add(
            pipe,
            match=Match(outer=HeaderFormat(ip4=Ip4(src_ip="1.1.1.1"))),
            action_idx=0,
            actions=Actions(outer=HeaderFormat(eth=Eth(src_mac=NEW_SRC))),
        )
        r.add(
            pipe,
            match=Match(outer=HeaderFormat(ip4=Ip4(src_ip="2.2.2.2"))),
            action_idx=1,
            actions=Actions(outer=HeaderFormat(ip4=Ip4(src_ip="1.2.3.4"))),
        )
        r.send(port, frames.tcp(src="1.1.1.1"), frames.tcp(src="2.2.2.2"), frames.tcp(src="3.3.3.3"))
    mac = bytes(
        eth(IP(src="1.1.1.1", dst="8.8.8.8") / TCP(sport=1234, dport=80) / Raw(b"ringfield tcp"), src=NEW_SRC)
    )
    r.expect(wire={port: [mac, frames.tcp(src="1.2.3.4")] for port in (0, 1)}, drops={"pipe": 2})


SETS: dict[str, tuple[HeaderFormat, dict[str, Any], dict[str, Any]]] = {
    "dst mac": (HeaderFormat(eth=Eth(dst_mac=NEW_DST)), {}, {"dst": NEW_DST}),
    "src ip": (HeaderFormat(ip4=Ip4(src_ip="77.1.2.3")), {"src": "77.1.2.3"}, {}),
    "dst ip": (HeaderFormat(ip4=Ip4(dst_ip="77.1.2.3")), {"dst": "77.1.2.3"}, {}),
    "ttl": (HeaderFormat(ip4=Ip4(ttl=7)), {"ttl": 7}, {}),
    "tos": (HeaderFormat(ip4=Ip4(dscp_ecn=0x2E)), {"tos": 0x2E}, {}),
    "tcp ports": (HeaderFormat(tcp=Tcp(src_port=5, dst_port=6)), {"sport": 5, "dport": 6}, {}),
}


@pytest.mark.parametrize("changeable", [False, True], ids=["constant", "changeable"])
@pytest.mark.parametrize("what", SETS)
def test_set(rig: MakeRig, what: str, changeable: bool) -> None:
    """A field is set, to a constant or to the entry's value, and checksums follow."""
    value, changed, ether = SETS[what]
    template = Actions.from_flat(
        {
            name: CHANGEABLE if field not in ("l3_type", "l4_type_ext") else number
            for name, number in Actions(outer=value).flat().items()
            for field in [name.split(".")[-1]]
        }
    )
    r = rig()
    act(r, 0, template if changeable else Actions(outer=value), Actions(outer=value) if changeable else None)
    fields: dict[str, Any] = {"src": "1.2.3.4", "dst": "8.8.8.8", "sport": 1234, "dport": 80} | changed
    transport = {name: fields.pop(name) for name in ("sport", "dport")}
    expected = bytes(eth(IP(**fields) / TCP(**transport) / Raw(b"ringfield tcp"), **ether))
    r.send(0, frames.tcp(), frames.udp())
    r.expect(wire={1: [expected]}, drops={"pipe": 1})


def test_set_masked_bits(rig: MakeRig) -> None:
    """With an actions mask only the masked bits are written; a masked zero is written too."""
    r = rig()
    act(
        r,
        0,
        Actions(outer=HeaderFormat(ip4=Ip4(src_ip="192.168.0.0", dst_ip=0), tcp=Tcp())),
        actions_masks=(Actions(outer=HeaderFormat(ip4=Ip4(src_ip="255.255.0.0", dst_ip="0.0.0.255"))),),
    )
    r.send(0, frames.tcp())
    r.expect(wire={1: [frames.tcp(src="192.168.3.4", dst="8.8.8.0")]})


def test_set_ipv6(rig: MakeRig) -> None:
    """IPv6 addresses, traffic class and hop limit are set; the TCP checksum follows."""
    r = rig()
    new = HeaderFormat(ip6=Ip6(src_ip="2001:db8::77", traffic_class=0x2E, hop_limit=9))
    act(r, 0, Actions(outer=new), match=Match(parser_meta=ParserMeta(outer_l3_type=L3Meta.IPV6)))
    r.send(0, frames.tcp6(), frames.udp6())
    r.expect(wire={1: [f(src="2001:db8::77", tc=0x2E, hlim=9) for f in (frames.tcp6, frames.udp6)]})


def test_udp_checksum_zero_stays(rig: MakeRig) -> None:
    """A UDP checksum of zero means none and stays zero when addresses change."""
    r = rig()
    act(
        r,
        0,
        Actions(outer=HeaderFormat(ip4=Ip4(dst_ip="77.1.2.3"))),
        match=Match(parser_meta=ParserMeta(outer_l4_type=L4Meta.UDP)),
    )
    plain = {
        dst: bytes(eth(IP(src="1.2.3.4", dst=dst) / UDP(sport=1, dport=2, chksum=0) / Raw(b"none")))
        for dst in ("8.8.8.8", "77.1.2.3")
    }
    r.send(0, plain["8.8.8.8"], frames.udp())
    r.expect(wire={1: [plain["77.1.2.3"], frames.udp(dst="77.1.2.3")]})


def test_modify_header(rig: MakeRig) -> None:
    """flow_modify_header: time to live minus one by ADD, VLAN 123 becomes 2748, the source MAC is set."""
    r = rig()
    vlan = Match(outer=HeaderFormat(eth_vlan=(CHANGEABLE,)))
    pipe = r.pipe(
        0,
        name="MODIFY",
        is_root=True,
        match=vlan,
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        actions=(
            Actions(
                outer=HeaderFormat(
                    eth=Eth(src_mac=CHANGEABLE), eth_vlan=(CHANGEABLE,), ip4=Ip4(ttl=CHANGEABLE)
                )
            ),
        ),
        action_descs=((ActionDesc.add("outer.ipv4.ttl", width=8),),),
    )
    r.add(
        pipe,
        match=Match(outer=HeaderFormat(eth_vlan=(123,))),
        actions=Actions(outer=HeaderFormat(eth=Eth(src_mac=NEW_SRC), eth_vlan=(2748,), ip4=Ip4(ttl=255))),
    )

    def frame(vlan: int, ttl: int, src: str) -> bytes:
        return bytes(
            eth(Dot1Q(vlan=vlan) / IP(src="1.2.3.4", dst="8.8.8.8", ttl=ttl) / TCP() / Raw(b"vlan"), src=src)
        )

    r.send(0, frame(123, 64, frames.SRC_MAC), frame(124, 64, frames.SRC_MAC), frames.tcp())
    r.expect(wire={1: [frame(2748, 63, NEW_SRC)]}, drops={"pipe": 2})


@pytest.mark.parametrize(("ttl", "after"), [(64, 63), (1, 0), (0, 255)])
def test_dec_ttl_wraps(rig: MakeRig, ttl: int, after: int) -> None:
    """ADD is modulo the width of the field; the header checksum stays right at the wrap."""
    r = rig()
    act(
        r,
        0,
        Actions(outer=HeaderFormat(ip4=Ip4(ttl=255))),
        action_descs=((ActionDesc.add("outer.ipv4.ttl", width=8),),),
    )
    r.send(0, frames.tcp(ttl=ttl))
    r.expect(wire={1: [frames.tcp(ttl=after)]})


def test_modify_vxlan_reserved(rig: MakeRig) -> None:
    """flow_modify_header: the VXLAN identifier and the reserved byte are rewritten in place; another VNI is dropped."""
    r = rig()
    pipe = r.pipe(
        0,
        name="VNI",
        is_root=True,
        match=Match(tun=Tun.vxlan(CHANGEABLE)),
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        actions=(Actions(tun=Tun.vxlan(CHANGEABLE)),),
    )
    r.add(pipe, match=Match(tun=Tun.vxlan(3)), actions=Actions(tun=Tun.vxlan(0xABCDE)))
    r.send(0, frames.vxlan(frames.tcp(), 3, reserved2=0x5A), frames.vxlan(frames.tcp(), 4))
    r.expect(wire={1: [frames.vxlan(frames.tcp(), 0xABCDE, reserved2=0x5A)]}, drops={"pipe": 1})


def test_copy_field(rig: MakeRig) -> None:
    """COPY moves bits between header fields: the low byte of the destination address becomes the time to live."""
    r = rig()
    act(r, 0, Actions(), action_descs=((ActionDesc.copy("outer.ipv4.src_ip", "outer.ipv4.ttl", 8),),))
    r.send(0, frames.tcp(src="1.2.3.99"))
    r.expect(wire={1: [frames.tcp(src="1.2.3.99", ttl=99)]})


def test_copy_at_offsets(rig: MakeRig) -> None:
    """COPY honours bit offsets at both ends and leaves the other bits."""
    r = rig()
    act(
        r,
        0,
        Actions(),
        action_descs=(
            (ActionDesc.copy(DescField("outer.ipv4.src_ip", 8), DescField("outer.ipv4.dst_ip", 16), 12),),
        ),
    )
    r.send(0, frames.tcp(src="1.171.205.9", dst="8.9.10.11"))
    # Bits 8 to 19 of 0x01abcd09 are 0xbcd; they land in bits 16 to 27 of 0x08090a0b.
    r.expect(wire={1: [frames.tcp(src="1.171.205.9", dst="11.205.10.11")]})


# --- metadata -------------------------------------------------------------------------------------------------------


def match_meta(r: Rig, port: int, *words: int, mask: tuple[int, ...] = (CHANGEABLE,)) -> Any:
    """A pipe that forwards what carries the metadata `words`, and drops the rest."""
    pipe = r.pipe(
        port,
        name="MATCH_META",
        match=Match(),
        match_mask=Match(meta=Meta(u32=mask)),
        fwd=FwdPort(port_id=peer(port)),
        fwd_miss=FwdDrop(),
        monitor=COUNT,
    )
    r.add(pipe, match=Match(meta=Meta(u32=words)), monitor=COUNT)
    return pipe


def test_set_meta(rig: MakeRig) -> None:
    """flow_set_meta: one pipe writes meta.u32[0], the next matches it."""
    r = rig()
    for port in (0, 1):
        target = match_meta(r, port, 10)
        pipe = r.pipe(
            port,
            name="SET_META",
            is_root=True,
            match=TUPLE_TCP,
            fwd=FwdPipe(pipe=target),
            fwd_miss=FwdDrop(),
            actions=(Actions(meta=Meta(u32=(CHANGEABLE,))),),
        )
        r.add(pipe, match=tuple4("tcp"), actions=Actions(meta=Meta(u32=(10,))))
        r.add(pipe, match=tuple4("tcp", sport=5), actions=Actions(meta=Meta(u32=(11,))))
        r.send(port, frames.tcp(), frames.tcp(sport=5), frames.udp())
    r.expect(wire={0: [frames.tcp()], 1: [frames.tcp()]}, drops={"pipe": 4})


def test_copy_to_meta(rig: MakeRig) -> None:
    """flow_copy_to_meta: a MAC over two meta words, the upper 24 bits of a GRE key, and both are matched."""
    r = rig()
    r.requires("NVGRE")
    target = r.pipe(
        0,
        name="MATCH_META",
        match=Match(),
        match_mask=Match(meta=Meta(u32=(CHANGEABLE, 0xFFFF0000))),
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        monitor=COUNT,
    )
    mac = r.add(target, match=Match(meta=Meta(u32=(0xCCDDEEFF, 0xAABB0000))), monitor=COUNT)
    key = r.add(target, match=Match(meta=Meta(u32=(0x00666666, 0))), monitor=COUNT)
    copy_mac = r.pipe(
        0,
        name="COPY_MAC",
        fwd=FwdPipe(pipe=target),
        actions=(Actions(),),
        action_descs=(
            (
                ActionDesc.copy("outer.eth.src_mac", DescField.meta_u32(0), 32),
                ActionDesc.copy(DescField("outer.eth.src_mac", 32), DescField.meta_u32(1, 16), 16),
            ),
        ),
    )
    copy_key = r.pipe(
        0,
        name="COPY_KEY",
        fwd=FwdPipe(pipe=target),
        actions=(Actions(),),
        match=Match(tun=Tun(type=TunType.GRE)),
        action_descs=((ActionDesc.copy("tunnel.nvgre.nvgre_vs_id", DescField.meta_u32(0), 24),),),
    )
    r.add(copy_mac)
    r.add(copy_key)
    root = r.pipe(0, name="ROOT", type=PipeType.CONTROL, is_root=True)
    r.add(root, match=ONLY_TCP4, fwd=FwdPipe(pipe=copy_mac), priority=1)
    r.add(
        root, match=Match(outer=HeaderFormat(ip4=Ip4(next_proto=47))), fwd=FwdPipe(pipe=copy_key), priority=2
    )
    r.add(root, fwd=FwdDrop(), priority=7)
    first = bytes(eth(IP(src="1.2.3.4", dst="8.8.8.8") / TCP(), src="aa:bb:cc:dd:ee:ff"))
    other = bytes(eth(IP(src="1.2.3.4", dst="8.8.8.8") / TCP(), src="aa:bc:cc:dd:ee:ff"))
    second = frames.gre(frames.l3(frames.udp()), 0x0800, 0x66666600)
    r.send(0, first, other, second, frames.udp())
    r.expect(wire={1: [first, second]}, drops={"pipe": 2})
    assert [r.count(entry)[0] for entry in (mac, key)] == [1, 1]


def test_add_to_meta(rig: MakeRig) -> None:
    """flow_add_to_meta: header lengths, in bytes, are added up in meta; only the sum of 40 passes."""
    r = rig()
    target = match_meta(r, 0, 40)
    pipe = r.pipe(
        0,
        name="SUM",
        is_root=True,
        match=ONLY_TCP4,
        fwd=FwdPipe(pipe=target),
        fwd_miss=FwdDrop(),
        actions=(Actions(),),
        action_descs=(
            (
                ActionDesc.copy("outer.ipv4.version_ihl", DescField.meta_u32(0, 2), 4),
                ActionDesc.add(DescField.meta_u32(0, 2), "outer.tcp.data_offset", 4),
            ),
        ),
    )
    r.add(pipe)
    longer = bytes(eth(IP(src="1.2.3.4", dst="8.8.8.8") / TCP(options=[("MSS", 1460)])))
    r.send(0, frames.tcp(), longer, frames.udp())
    r.expect(wire={1: [frames.tcp()]}, drops={"pipe": 2})


def test_meta_does_not_leak(rig: MakeRig) -> None:
    """Metadata of one packet is not seen by the next."""
    r = rig()
    target = match_meta(r, 0, 10)
    pipe = r.pipe(
        0,
        name="SOME",
        is_root=True,
        match=TUPLE_TCP,
        fwd=FwdPipe(pipe=target),
        fwd_miss=FwdPipe(pipe=target),
        actions=(Actions(meta=Meta(u32=(10,))),),
    )
    r.add(pipe, match=tuple4("tcp"))
    r.send(0, *[frames.tcp(), frames.udp()] * 40)
    r.expect(wire={1: [frames.tcp()] * 40}, drops={"pipe": 40})


# --- VLAN -----------------------------------------------------------------------------------------------------------


def test_push_vlan(rig: MakeRig) -> None:
    """flow_fwd_miss: a VLAN is pushed, constant or from the entry; a tagged packet gets a second tag in front."""
    r = rig()
    act(r, 0, Actions(push=PushVlan(tci=CHANGEABLE)), Actions(push=PushVlan(tci=564)))
    packet = IP(src="1.2.3.4", dst="8.8.8.8") / TCP() / Raw(b"push")
    r.send(0, bytes(eth(packet)), bytes(eth(Dot1Q(vlan=9, prio=3) / packet)))
    r.expect(
        wire={
            1: [
                bytes(eth(Dot1Q(vlan=564) / packet)),
                bytes(eth(Dot1Q(vlan=564) / Dot1Q(vlan=9, prio=3) / packet)),
            ]
        }
    )


def test_pop_vlan(rig: MakeRig) -> None:
    """pop_vlan takes the outermost tag away."""
    r = rig()
    act(r, 0, Actions(pop_vlan=True), match=Match(parser_meta=ParserMeta(outer_l3_type=L3Meta.IPV4)))
    packet = IP(src="1.2.3.4", dst="8.8.8.8") / TCP() / Raw(b"pop")
    r.send(0, bytes(eth(Dot1Q(vlan=5) / packet)), bytes(eth(Dot1Q(vlan=5) / Dot1Q(vlan=6) / packet)))
    r.expect(wire={1: [bytes(eth(packet)), bytes(eth(Dot1Q(vlan=6) / packet))]})


def test_fixed_order(rig: MakeRig) -> None:
    """Actions run in DOCA's order whatever the order of the fields: pop, then meta and outer, then push."""
    r = rig()
    act(
        r,
        0,
        Actions(pop_vlan=True, outer=HeaderFormat(ip4=Ip4(ttl=9)), push=PushVlan(tci=77, eth_type=0x88A8)),
    )
    packet = IP(src="1.2.3.4", dst="8.8.8.8") / TCP() / Raw(b"order")
    r.send(0, bytes(eth(Dot1Q(vlan=5) / packet)))
    after = bytearray(
        bytes(eth(Dot1Q(vlan=77) / IP(src="1.2.3.4", dst="8.8.8.8", ttl=9) / TCP() / Raw(b"order")))
    )
    after[12:14] = b"\x88\xa8"
    r.expect(wire={1: [bytes(after)]})


# --- encapsulation --------------------------------------------------------------------------------------------------


def outer4(dport: int, *, changeable: bool = True) -> HeaderFormat:
    """The outer headers that the samples give: addresses and MACs from the entry, a constant UDP port."""
    if changeable:
        return HeaderFormat(
            eth=Eth(src_mac=CHANGEABLE, dst_mac=CHANGEABLE),
            l3_type=L3Type.IP4,
            l4_type_ext=L4TypeExt.UDP,
            ip4=Ip4(src_ip=CHANGEABLE, dst_ip=CHANGEABLE, ttl=CHANGEABLE, flags_fragment_offset=CHANGEABLE),
            udp=Udp(dst_port=dport),
        )
    return HeaderFormat(
        eth=Eth(src_mac=NEW_SRC, dst_mac=NEW_DST),
        udp=Udp(dst_port=dport),
        ip4=Ip4(src_ip="11.21.31.41", dst_ip="81.81.81.81", ttl=17, flags_fragment_offset=0x4000),
    )


def wrapped4(payload: bytes, dport: int) -> bytes:
    """The frame that `outer4` makes of a UDP payload: id 0, DF, time to live 17, UDP source port and checksum 0."""
    packet = IP(id=0, flags="DF", ttl=17, src="11.21.31.41", dst="81.81.81.81") / UDP(
        sport=0, dport=dport, chksum=0
    )
    return bytes(eth(packet / Raw(payload), src=NEW_SRC, dst=NEW_DST))


VXLANS = {
    "standard": (
        Tun(type=TunType.VXLAN, vxlan_tun_id=CHANGEABLE),
        Tun.vxlan(0xADADAD),
        4789,
        struct.pack("!II", 0x08000000, 0xADADAD00),
    ),
    "gbp": (
        Tun(
            type=TunType.VXLAN,
            vxlan_type=VxlanType.GBP,
            vxlan_tun_id=CHANGEABLE,
            vxlan_gbp_group_policy_id=CHANGEABLE,
        ),
        Tun(
            type=TunType.VXLAN,
            vxlan_type=VxlanType.GBP,
            vxlan_tun_id=0xADADAD,
            vxlan_gbp_group_policy_id=0x1234,
        ),
        4789,
        struct.pack("!II", 0x88001234, 0xADADAD00),
    ),
    "gpe": (
        Tun(
            type=TunType.VXLAN,
            vxlan_type=VxlanType.GPE,
            vxlan_tun_id=CHANGEABLE,
            vxlan_gpe_next_protocol=CHANGEABLE,
        ),
        Tun(type=TunType.VXLAN, vxlan_type=VxlanType.GPE, vxlan_tun_id=0xADADAD, vxlan_gpe_next_protocol=3),
        4790,
        struct.pack("!II", 0x0C000003, 0xADADAD00),
    ),
}


@pytest.mark.parametrize("kind", VXLANS)
def test_vxlan_encap(rig: MakeRig, kind: str) -> None:
    """flow_vxlan_encap: ingress marks with pkt_meta, egress encapsulates by the mark, with the entry's values."""
    template, value, dport, header = VXLANS[kind]
    r = rig()
    entries = []
    for port in (0, 1):
        mark = r.pipe(
            port,
            name="MARK",
            is_root=True,
            match=TUPLE_TCP,
            fwd=FwdPort(port_id=peer(port)),
            fwd_miss=FwdDrop(),
            actions=(Actions(meta=Meta(pkt_meta=CHANGEABLE)),),
        )
        r.add(mark, match=tuple4("tcp"), actions=Actions(meta=Meta(pkt_meta=1)))
        egress = r.pipe(
            port,
            name="ENCAP",
            is_root=True,
            domain=Domain.EGRESS,
            match=Match(),
            match_mask=Match(meta=Meta(pkt_meta=CHANGEABLE)),
            fwd=FwdPort(port_id=port),
            fwd_miss=FwdDrop(),
            actions=(Actions(encap=Encap(outer4(dport), template)),),
            monitor=COUNT,
        )
        entries.append(
            r.add(
                egress,
                match=Match(meta=Meta(pkt_meta=1)),
                monitor=COUNT,
                actions=Actions(encap=Encap(outer4(dport, changeable=False), value)),
            )
        )
    for port in (0, 1):
        r.send(port, frames.tcp(), frames.udp())
    r.expect(wire={port: [wrapped4(header + frames.tcp(), dport)] for port in (0, 1)}, drops={"pipe": 2})
    assert [r.count(entry) for entry in entries] == [(1, len(frames.tcp()))] * 2


def test_vxlan_encap_ipv6_outer(rig: MakeRig) -> None:
    """The outer header may be IPv6; payload and UDP lengths are filled in."""
    r = rig()
    outer = HeaderFormat(
        eth=Eth(src_mac=NEW_SRC, dst_mac=NEW_DST),
        udp=Udp(dst_port=4789),
        ip6=Ip6(src_ip="2001:db8::a", dst_ip="2001:db8::b", hop_limit=17),
    )
    act(r, 0, Actions(encap=Encap(outer, Tun.vxlan(7))))
    r.send(0, frames.tcp())
    payload = struct.pack("!II", 0x08000000, 7 << 8) + frames.tcp()
    header = IPv6(src="2001:db8::a", dst="2001:db8::b", hlim=17) / UDP(sport=0, dport=4789, chksum=0)
    r.expect(wire={1: [bytes(eth(header / Raw(payload), src=NEW_SRC, dst=NEW_DST))]})


def test_vxlan_encap_l3(rig: MakeRig) -> None:
    """is_l2 false: the packet loses its own Ethernet header."""
    r = rig()
    act(
        r,
        0,
        Actions(
            encap=Encap(
                outer4(4790, changeable=False),
                Tun(
                    type=TunType.VXLAN,
                    vxlan_type=VxlanType.GPE,
                    vxlan_tun_id=7,
                    vxlan_gpe_next_protocol=1,
                ),
                is_l2=False,
            )
        ),
    )
    r.send(0, frames.tcp())
    r.expect(wire={1: [wrapped4(struct.pack("!II", 0x0C000001, 7 << 8) + frames.l3(frames.tcp()), 4790)]})


@pytest.mark.parametrize("is_l2", [True, False], ids=["l2", "l3"])
def test_geneve_encap(rig: MakeRig, is_l2: bool) -> None:
    """flow_geneve_encap, without options: L2 and L3."""
    r = rig()
    protocol = 0x6558 if is_l2 else 0x0800
    act(
        r, 0, Actions(encap=Encap(outer4(6081, changeable=False), Tun.geneve(0xABCDE, protocol), is_l2=is_l2))
    )
    r.send(0, frames.tcp(), frames.udp())
    payload = frames.tcp() if is_l2 else frames.l3(frames.tcp())
    r.expect(
        wire={1: [wrapped4(struct.pack("!BBHI", 0, 0, protocol, 0xABCDE << 8) + payload, 6081)]},
        drops={"pipe": 1},
    )


def test_gtp_encap(rig: MakeRig) -> None:
    """flow_gtp_encap: IPv4 goes behind GTP-U with the TEID given, IPv6 is dropped."""
    r = rig()
    act(
        r,
        0,
        Actions(encap=Encap(outer4(2152, changeable=False), Tun(gtp_teid=0xDEADBEEF), is_l2=False)),
        match=Match(parser_meta=ParserMeta(outer_l3_type=L3Meta.IPV4)),
    )
    r.send(0, frames.tcp(), frames.tcp6())
    inner = frames.l3(frames.tcp())
    r.expect(
        wire={1: [wrapped4(struct.pack("!BBHI", 0x30, 255, len(inner), 0xDEADBEEF) + inner, 2152)]},
        drops={"pipe": 1},
    )


def test_gre_encap(rig: MakeRig) -> None:
    """GRE with a key around layer 3."""
    r = rig()
    outer = HeaderFormat(
        eth=Eth(src_mac=NEW_SRC, dst_mac=NEW_DST), ip4=Ip4(src_ip="11.21.31.41", dst_ip="81.81.81.81", ttl=17)
    )
    act(r, 0, Actions(encap=Encap(outer, Tun.gre(key=900, protocol=0x0800), is_l2=False)))
    r.send(0, frames.tcp())
    packet = IP(id=0, ttl=17, src="11.21.31.41", dst="81.81.81.81", proto=47)
    payload = struct.pack("!HHI", 0x2000, 0x0800, 900) + frames.l3(frames.tcp())
    r.expect(wire={1: [bytes(eth(packet / Raw(payload), src=NEW_SRC, dst=NEW_DST))]})


IN_IP = {
    "4 in 6": (frames.tcp(), 6, 4),
    "6 in 6": (frames.udp6(), 6, 41),
    "4 in 4": (frames.tcp(), 4, 4),
    "6 in 4": (frames.udp6(), 4, 41),
}


def in_ip(frame: bytes, version: int, proto: int) -> bytes:
    """`frame`'s packet behind another IP header, as the tests below give it."""
    if version == 6:
        header = IPv6(src="2001:db8::a", dst="2001:db8::b", hlim=64, tc=0xD8, nh=proto)
    else:
        header = IP(src="10.0.0.1", dst="20.0.0.1", ttl=64, tos=0xD8, id=0, proto=proto)
    return bytes(eth(header / Raw(frames.l3(frame)), src=NEW_SRC, dst=NEW_DST))


@pytest.mark.parametrize("what", IN_IP)
def test_ip_in_ip_encap(rig: MakeRig, what: str) -> None:
    """flow_ip_in_ip: the four pairs of versions, encapsulating."""
    frame, version, proto = IN_IP[what]
    r = rig()
    if version == 6:
        six = Ip6(
            src_ip="2001:db8::a", dst_ip="2001:db8::b", hop_limit=64, traffic_class=0xD8, next_proto=proto
        )
        outer = HeaderFormat(eth=Eth(src_mac=NEW_SRC, dst_mac=NEW_DST), ip6=six)
    else:
        four = Ip4(src_ip="10.0.0.1", dst_ip="20.0.0.1", ttl=64, dscp_ecn=0xD8, next_proto=proto)
        outer = HeaderFormat(eth=Eth(src_mac=NEW_SRC, dst_mac=NEW_DST), ip4=four)
    act(r, 0, Actions(encap=Encap(outer, Tun(type=TunType.IP_IN_IP), is_l2=False)), match=Match())
    r.send(0, frame)
    r.expect(wire={1: [in_ip(frame, version, proto)]})


@pytest.mark.parametrize("what", IN_IP)
def test_ip_in_ip_decap(rig: MakeRig, what: str) -> None:
    """flow_ip_in_ip: the four pairs of versions, decapsulating; the new Ethernet header has the inner packet's type."""
    frame, version, proto = IN_IP[what]
    r = rig()
    kind = 0x0800 if proto == 4 else 0x86DD
    act(
        r,
        0,
        Actions(decap=Decap(is_l2=False, eth=Eth(src_mac=NEW_SRC, dst_mac=NEW_DST, type=kind))),
        match=Match(tun=Tun(type=TunType.IP_IN_IP)),
    )
    r.send(0, in_ip(frame, version, proto))
    r.expect(wire={1: [bytes.fromhex((NEW_DST + NEW_SRC).replace(":", "")) + frame[12:]]})


# --- decapsulation --------------------------------------------------------------------------------------------------

L3_DECAP = Actions(decap=Decap(is_l2=False, eth=Eth(src_mac=NEW_SRC, dst_mac=NEW_DST, type=0x0800)))


def behind(frame: bytes) -> bytes:
    """What an L3 decapsulation makes of a tunnel around `frame`'s packet."""
    return bytes.fromhex((NEW_DST + NEW_SRC).replace(":", "")) + frame[12:]


def test_control_pipe_tunnels(rig: MakeRig) -> None:
    """flow_control_pipe: one control pipe sends five tunnels to their pipes; each is decapsulated, as L2 or L3."""
    r = rig()

    def tunnel(name: str, match: Match, actions: Actions, entry: Match) -> Any:
        pipe = r.pipe(
            0, name=name, match=match, actions=(actions,), fwd=FwdPort(port_id=1), fwd_miss=FwdDrop()
        )
        r.add(pipe, match=entry)
        return pipe

    l2 = Actions(decap=Decap(is_l2=True))
    vxlan = tunnel("VXLAN", Match(tun=Tun.vxlan(CHANGEABLE)), l2, Match(tun=Tun.vxlan(0xCDAB12)))
    gpe = tunnel(
        "GPE",
        Match(
            tun=Tun(
                type=TunType.VXLAN,
                vxlan_type=VxlanType.GPE,
                vxlan_tun_id=CHANGEABLE,
                vxlan_gpe_next_protocol=1,
            )
        ),
        L3_DECAP,
        Match(tun=Tun.vxlan(0xCDAB12)),
    )
    gre = tunnel(
        "GRE", Match(tun=Tun(key_present=True, gre_key=CHANGEABLE)), L3_DECAP, Match(tun=Tun.gre(key=900))
    )
    nvgre = tunnel(
        "NVGRE",
        Match(tun=Tun(gre_type=GreType.NVGRE, nvgre_vs_id=CHANGEABLE)),
        l2,
        Match(tun=Tun(nvgre_vs_id=1001 << 8)),
    )
    label = 0xFFFF
    mpls = tunnel(
        "MPLS",
        Match(tun=Tun(mpls=(0, 0, CHANGEABLE))),
        L3_DECAP,
        Match(tun=Tun(mpls=(0, 0, label << 12 | 1 << 8))),
    )
    root = r.pipe(0, name="CONTROL", type=PipeType.CONTROL, is_root=True)
    udp4 = ParserMeta(outer_l3_type=L3Meta.IPV4, outer_l4_type=L4Meta.UDP)
    for dport, pipe in ((4789, vxlan), (4790, gpe), (6635, mpls)):
        r.add(
            root,
            match=Match(parser_meta=udp4, outer=HeaderFormat(udp=Udp(dst_port=dport))),
            fwd=FwdPipe(pipe=pipe),
            priority=1,
        )
    for protocol, pipe in ((0x0800, gre), (0x6558, nvgre)):
        r.add(
            root,
            match=Match(
                outer=HeaderFormat(ip4=Ip4(next_proto=47)), tun=Tun(type=TunType.GRE, protocol=protocol)
            ),
            fwd=FwdPipe(pipe=pipe),
            priority=2,
        )
    r.add(root, fwd=FwdDrop(), priority=7)

    inner = frames.tcp()
    labels = struct.pack("!III", 0xBB << 12, 0xCC << 12, label << 12 | 1 << 8)
    in_mpls = bytes(
        eth(
            IP(src="100.0.0.1", dst="100.0.0.2")
            / UDP(sport=5, dport=6635, chksum=0)
            / Raw(labels + frames.l3(inner))
        )
    )
    r.send(
        0,
        frames.vxlan(inner, 0xCDAB12),
        frames.gre(frames.l3(inner), 0x0800, 900),
        frames.vxlan(frames.l3(inner), 0xCDAB12, flags=12, reserved1=1, dport=4790),
        frames.gre(inner, 0x6558, 1001 << 8),
        in_mpls,
        frames.vxlan(inner, 5),
        inner,
    )
    r.expect(wire={1: [inner, behind(inner), behind(inner), inner, behind(inner)]}, drops={"pipe": 2})


def test_vxlan_decap(rig: MakeRig) -> None:
    """An L2 decapsulation leaves the inner frame, tags and all."""
    r = rig()
    act(r, 0, Actions(decap=Decap(is_l2=True)), match=Match(tun=Tun.vxlan(7)))
    tagged = bytes(eth(Dot1Q(vlan=9) / IP(src="1.1.1.1", dst="2.2.2.2") / TCP()))
    r.send(0, frames.vxlan(tagged, 7), frames.vxlan(frames.tcp6(), 7), frames.vxlan(tagged, 8))
    r.expect(wire={1: [tagged, frames.tcp6()]}, drops={"pipe": 1})


def test_vxlan_decap_l3(rig: MakeRig) -> None:
    """An L3 decapsulation also replaces the inner Ethernet header by the given one, with its tag."""
    r = rig()
    decap = Decap(is_l2=False, eth=Eth(src_mac=NEW_SRC, dst_mac=NEW_DST, type=0x0800), eth_vlan=(77,))
    act(r, 0, Actions(decap=decap), match=Match(tun=Tun.vxlan(7)))
    inner = frames.tcp()
    r.send(0, frames.vxlan(inner, 7), frames.vxlan(inner, 8))
    tagged = bytes.fromhex((NEW_DST + NEW_SRC).replace(":", "")) + b"\x81\x00\x00\x4d" + inner[12:]
    r.expect(wire={1: [tagged]}, drops={"pipe": 1})


def test_geneve_decap(rig: MakeRig) -> None:
    """flow_geneve_opt, without options: a GENEVE tunnel is taken off as L2."""
    r = rig()
    act(r, 0, Actions(decap=Decap(is_l2=True)), match=Match(tun=Tun.geneve(0xABCDE)))
    r.send(0, frames.geneve(frames.tcp(), 0xABCDE), frames.geneve(frames.tcp(), 0xABCDF), frames.tcp())
    r.expect(wire={1: [frames.tcp()]}, drops={"pipe": 2})


def test_decap_of_no_tunnel_drops(rig: MakeRig) -> None:
    """A decapsulation that does not fit the packet drops it by reason, and never corrupts it."""
    r = rig()
    act(r, 0, Actions(decap=Decap(is_l2=True)))
    r.send(0, frames.tcp())
    r.expect(drops={"action_failed": 1})


def test_decap_then_encap(rig: MakeRig) -> None:
    """One template takes a tunnel off and puts another on."""
    r = rig()
    act(
        r,
        0,
        Actions(decap=Decap(is_l2=True), encap=Encap(outer4(4789, changeable=False), Tun.vxlan(8))),
        match=Match(tun=Tun.vxlan(7)),
    )
    r.send(0, frames.vxlan(frames.tcp(), 7))
    r.expect(wire={1: [wrapped4(struct.pack("!II", 0x08000000, 8 << 8) + frames.tcp(), 4789)]})


def test_encap_above_mtu_drops(rig: MakeRig) -> None:
    """A frame above the output port's MTU after encapsulation is dropped by reason."""
    r = rig()
    act(r, 0, Actions(encap=Encap(outer4(4789, changeable=False), Tun.vxlan(7))))
    fits, big = frames.tcp(load=bytes(1400)), frames.tcp(load=bytes(1460))
    r.send(0, fits, big)
    r.expect(wire={1: [wrapped4(struct.pack("!II", 0x08000000, 7 << 8) + fits, 4789)]}, drops={"mtu": 1})


# --- across domains -------------------------------------------------------------------------------------------------


def test_ipv6_flow_label(rig: MakeRig) -> None:
    """flow_ipv6_flow_label: encapsulated into IPv6 in egress; the inner flow label is copied to the outer one."""
    r = rig()
    mark = r.pipe(
        0,
        name="MARK",
        is_root=True,
        match=Match(parser_meta=ParserMeta(outer_l3_type=L3Meta.IPV6)),
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        actions=(Actions(meta=Meta(pkt_meta=1)),),
    )
    r.add(mark)
    modify = r.pipe(
        1,
        name="LABEL",
        domain=Domain.EGRESS,
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        actions=(Actions(),),
        match=Match(parser_meta=ParserMeta(inner_l3_type=L3Meta.IPV6)),
        action_descs=((ActionDesc.copy("inner.ipv6.flow_label", "outer.ipv6.flow_label", 20),),),
    )
    r.add(modify)
    outer = HeaderFormat(
        eth=Eth(src_mac=NEW_SRC, dst_mac=NEW_DST),
        udp=Udp(dst_port=4789),
        ip6=Ip6(src_ip="2001:db8::a", dst_ip="2001:db8::b", hop_limit=64),
    )
    encap = r.pipe(
        1,
        name="ENCAP",
        is_root=True,
        domain=Domain.EGRESS,
        match=Match(),
        match_mask=Match(meta=Meta(pkt_meta=CHANGEABLE)),
        fwd=FwdPipe(pipe=modify),
        fwd_miss=FwdDrop(),
        actions=(Actions(encap=Encap(outer, Tun.vxlan(7))),),
    )
    r.add(encap, match=Match(meta=Meta(pkt_meta=1)))
    inner = frames.tcp6(fl=0xABCDE)
    header = IPv6(src="2001:db8::a", dst="2001:db8::b", hlim=64, fl=0xABCDE) / UDP(
        sport=0, dport=4789, chksum=0
    )
    r.send(0, inner, frames.tcp())
    expected = bytes(
        eth(header / Raw(struct.pack("!II", 0x08000000, 7 << 8) + inner), src=NEW_SRC, dst=NEW_DST)
    )
    r.expect(wire={1: [expected]}, drops={"pipe": 1})


def test_egress_of_other_port_is_not_run(rig: MakeRig) -> None:
    """The egress root of the output port judges, not that of the port the packet came in on."""
    r = rig()
    for port in (0, 1):
        root = r.pipe(
            port,
            name="IN",
            is_root=True,
            match=Match(outer=HeaderFormat(ip4=Ip4(dst_ip=CHANGEABLE))),
            fwd=FwdPort(port_id=0xFFFF),
            fwd_miss=FwdDrop(),
        )
        for out in (0, 1):
            r.add(
                root,
                match=Match(outer=HeaderFormat(ip4=Ip4(dst_ip=f"10.0.0.{out}"))),
                fwd=FwdPort(port_id=out),
            )
    egress = r.pipe(
        1,
        name="OUT",
        is_root=True,
        domain=Domain.EGRESS,
        match=ONLY_TCP4,
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        actions=(Actions(outer=HeaderFormat(ip4=Ip4(ttl=9))),),
    )
    r.add(egress)
    r.send(0, frames.tcp(dst="10.0.0.0"), frames.tcp(dst="10.0.0.1"), frames.udp(dst="10.0.0.1"))
    r.send(1, frames.tcp(dst="10.0.0.1", ttl=33))
    r.expect(
        wire={0: [frames.tcp(dst="10.0.0.0")], 1: [frames.tcp(dst="10.0.0.1", ttl=9)] * 2}, drops={"pipe": 1}
    )


def test_forward_into_egress(rig: MakeRig) -> None:
    """flow_gtp_encap: a pipe may forward into the egress domain of the peer; there the packet is on its way out."""
    r = rig()
    egress = r.pipe(
        1,
        name="ENCAP",
        is_root=True,
        domain=Domain.EGRESS,
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        match=ONLY_TCP4,
        actions=(Actions(encap=Encap(outer4(4789, changeable=False), Tun.vxlan(7))),),
    )
    r.add(egress)
    root = r.pipe(0, name="IN", is_root=True, fwd=FwdPipe(pipe=egress), fwd_miss=FwdDrop(), match=Match())
    r.add(root)
    r.send(0, frames.tcp(), frames.udp())
    expected = wrapped4(struct.pack("!II", 0x08000000, 7 << 8) + frames.tcp(), 4789)
    r.expect(wire={1: [expected]}, drops={"pipe": 1})


def test_loopback(rig: MakeRig) -> None:
    """flow_loopback: marked on its way in, a packet leaves by its own port, with headers put on in egress."""
    r = rig()
    back = r.pipe(
        0,
        name="BACK",
        is_root=True,
        match=TUPLE_TCP,
        fwd=FwdPort(port_id=0),
        fwd_miss=FwdDrop(),
        actions=(Actions(meta=Meta(pkt_meta=CHANGEABLE)),),
    )
    r.add(back, match=tuple4("tcp"), actions=Actions(meta=Meta(pkt_meta=10)))
    egress = r.pipe(
        0,
        name="OUT",
        is_root=True,
        domain=Domain.EGRESS,
        match=Match(),
        match_mask=Match(meta=Meta(pkt_meta=CHANGEABLE)),
        fwd=FwdPort(port_id=0),
        fwd_miss=FwdDrop(),
        actions=(Actions(encap=Encap(outer4(4789, changeable=False), Tun.vxlan(0xADADAD))),),
    )
    r.add(egress, match=Match(meta=Meta(pkt_meta=10)))
    r.send(0, frames.tcp(), frames.udp())
    r.expect(
        wire={0: [wrapped4(struct.pack("!II", 0x08000000, 0xADADAD << 8) + frames.tcp(), 4789)]},
        drops={"pipe": 1},
    )


def test_update_entry_actions(rig: MakeRig) -> None:
    """An update exchanges actions and forward of an entry in place; its counter goes on."""
    r = rig()
    pipe = r.pipe(
        0,
        name="UPDATE",
        is_root=True,
        match=TUPLE_TCP,
        fwd=FwdPort(port_id=0xFFFF),
        fwd_miss=FwdDrop(),
        monitor=COUNT,
        actions=(Actions(outer=HeaderFormat(ip4=Ip4(ttl=CHANGEABLE))),),
    )
    entry = r.add(
        pipe,
        match=tuple4("tcp"),
        actions=Actions(outer=HeaderFormat(ip4=Ip4(ttl=9))),
        fwd=FwdPort(port_id=1),
        monitor=COUNT,
    )
    r.send(0, frames.tcp())
    r.expect(wire={1: [frames.tcp(ttl=9)]})
    r.update(
        entry, actions=Actions(outer=HeaderFormat(ip4=Ip4(ttl=8))), fwd=FwdPort(port_id=0), monitor=COUNT
    )
    r.send(0, frames.tcp())
    r.expect(wire={0: [frames.tcp(ttl=8)]})
    assert r.count(entry) == (2, 2 * len(frames.tcp()))
    r.remove(entry)
    r.send(0, frames.tcp())
    r.expect(drops={"pipe": 1})


def test_auto_desc_is_plain_set(rig: MakeRig) -> None:
    """A descriptor of type AUTO changes nothing: the value is set."""
    r = rig()
    act(
        r,
        0,
        Actions(outer=HeaderFormat(ip4=Ip4(ttl=9))),
        action_descs=((ActionDesc(ActionType.AUTO, DescField("outer.ipv4.ttl")),),),
    )
    r.send(0, frames.tcp())
    r.expect(wire={1: [frames.tcp(ttl=9)]})


def test_transport_ports_of_either(rig: MakeRig) -> None:
    """Ports set as transport change TCP and UDP alike."""
    r = rig()
    act(
        r,
        0,
        Actions(outer=HeaderFormat(l3_type=L3Type.IP4, transport=Transport(dst_port=443))),
        match=Match(),
    )
    r.send(0, frames.tcp(), frames.udp())
    r.expect(wire={1: [frames.tcp(dport=443), frames.udp(dport=443)]})
