# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""LPM, ACL, hash and ordered-list pipes, conditions, sampling, ageing-free monitors."""

from collections.abc import Callable
from typing import Any

import pytest

from appliance.flow.types import (
    CHANGEABLE,
    COUNT,
    ActionDesc,
    Actions,
    CompareOp,
    Condition,
    DescField,
    Domain,
    Eth,
    Fwd,
    FwdChangeable,
    FwdDrop,
    FwdHash,
    FwdOrderedList,
    FwdPipe,
    FwdPort,
    FwdRss,
    GreType,
    HashAlgorithm,
    HeaderFormat,
    Ip4,
    Ip6,
    L2Meta,
    L3Meta,
    L3Type,
    L4Meta,
    LimitType,
    ListActions,
    ListNat64,
    Match,
    Meta,
    Meter,
    Monitor,
    OrderedList,
    ParserMeta,
    PipeType,
    Tcp,
    Tun,
    Udp,
    prefix_mask,
)
from tests.behaviour import frames
from tests.behaviour.frames import IP, TCP, UDP, IPv6, Raw, eth
from tests.behaviour.rig import TCP4, TUPLE_TCP, MakeRig, Rig, peer, tuple4
from tests.behaviour.stack import StackRig

IPV4 = ParserMeta(outer_l3_type=L3Meta.IPV4)
ANY_ADDRESS = ("0.0.0.0", 0)  # noqa: S104
DROP = FwdDrop()


def gate(r: Rig, port: int, target: Any, meta: ParserMeta = IPV4, **spec: Any) -> Any:
    """A root pipe that sends what the parser calls `meta` on to `target`, and drops the rest."""
    pipe = r.pipe(
        port,
        name="GATE",
        is_root=True,
        match=Match(parser_meta=meta),
        fwd=FwdPipe(pipe=target),
        fwd_miss=FwdDrop(),
        **spec,
    )
    r.add(pipe)
    return pipe


# --- LPM ----------------------------------------------------------------------------------------------------------


def source(address: str, length: int = 32) -> dict[str, Match]:
    """Match and prefix of an LPM entry."""
    return {
        "match": Match(outer=HeaderFormat(ip4=Ip4(src_ip=address))),
        "match_mask": Match(outer=HeaderFormat(l3_type=L3Type.IP4, ip4=Ip4(src_ip=prefix_mask(length)))),
    }


def test_lpm(rig: MakeRig) -> None:
    """flow_lpm: the longest prefix decides; a /0 entry is the default; each entry counts its own."""
    r = rig()
    lpm = r.pipe(
        0,
        name="LPM",
        type=PipeType.LPM,
        match=Match(outer=HeaderFormat(ip4=Ip4(src_ip=CHANGEABLE))),
        monitor=COUNT,
        fwd=FwdChangeable(),
        actions=(Actions(),),
    )
    gate(r, 0, lpm)
    host = r.add(lpm, **source("1.2.3.4"), monitor=COUNT, fwd=FwdPort(port_id=1))
    net = r.add(lpm, **source("1.2.0.0", 16), monitor=COUNT, fwd=FwdDrop())
    default = r.add(lpm, **source(*ANY_ADDRESS), monitor=COUNT, fwd=FwdPort(port_id=0))
    hit, dropped, rest = frames.tcp(src="1.2.3.4"), frames.tcp(src="1.2.8.9"), frames.udp(src="172.20.1.4")
    r.send(0, hit, dropped, rest, frames.tcp6())
    r.expect(wire={1: [hit], 0: [rest]}, drops={"pipe": 2})
    assert [r.count(entry) for entry in (host, net, default)] == [
        (1, len(hit)),
        (1, len(dropped)),
        (1, len(rest)),
    ]


def test_lpm_without_default_misses(rig: MakeRig) -> None:
    """No prefix covers the address: the pipe's miss."""
    r = rig()
    lpm = r.pipe(
        0,
        name="LPM",
        type=PipeType.LPM,
        match=Match(outer=HeaderFormat(ip4=Ip4(src_ip=CHANGEABLE))),
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
    )
    gate(r, 0, lpm)
    r.add(lpm, **source("10.0.0.0", 8))
    r.send(0, frames.tcp(src="10.200.1.1"), frames.tcp(src="11.0.0.1"))
    r.expect(wire={1: [frames.tcp(src="10.200.1.1")]}, drops={"pipe": 1})


def test_lpm_update_and_remove(rig: MakeRig) -> None:
    """An LPM entry can be updated and removed; what is beneath it then decides."""
    r = rig()
    lpm = r.pipe(
        0,
        name="LPM",
        type=PipeType.LPM,
        match=Match(outer=HeaderFormat(ip4=Ip4(src_ip=CHANGEABLE))),
        fwd=FwdChangeable(),
        fwd_miss=FwdDrop(),
    )
    gate(r, 0, lpm)
    r.add(lpm, **source("1.2.0.0", 16), fwd=FwdPort(port_id=0))
    host = r.add(lpm, **source("1.2.3.4"), fwd=FwdDrop())
    frame = frames.tcp()
    r.send(0, frame)
    r.expect(drops={"pipe": 1})
    r.update(host, fwd=FwdPort(port_id=1))
    r.send(0, frame)
    r.expect(wire={1: [frame]})
    r.remove(host)
    r.send(0, frame)
    r.expect(wire={0: [frame]})


def test_lpm_ipv6(rig: MakeRig) -> None:
    """LPM over an IPv6 destination."""
    r = rig()
    lpm = r.pipe(
        0,
        name="LPM6",
        type=PipeType.LPM,
        match=Match(outer=HeaderFormat(ip6=Ip6(dst_ip=CHANGEABLE))),
        fwd=FwdChangeable(),
        fwd_miss=FwdDrop(),
    )
    gate(r, 0, lpm, ParserMeta(outer_l3_type=L3Meta.IPV6))
    for address, length, fwd in (
        ("2001:db8::", 32, FwdPort(port_id=1)),
        ("2001:db8:1::", 48, FwdDrop()),
        ("2001:db8:1::5", 128, FwdPort(port_id=0)),
    ):
        r.add(
            lpm,
            match=Match(outer=HeaderFormat(ip6=Ip6(dst_ip=address))),
            fwd=fwd,
            match_mask=Match(outer=HeaderFormat(ip6=Ip6(dst_ip=prefix_mask(length, 128)))),
        )
    wide, narrow, host, other = (
        frames.tcp6(dst=d) for d in ("2001:db8:2::1", "2001:db8:1::1", "2001:db8:1::5", "2001:db9::1")
    )
    r.send(0, wide, narrow, host, other)
    r.expect(wire={1: [wide], 0: [host]}, drops={"pipe": 2})


def test_lpm_em_vxlan(rig: MakeRig) -> None:
    """flow_lpm_em: the prefix is judged within an exact key of VLAN (copied to meta), VNI and inner MAC."""
    r = rig(ports=3, mode="switch")
    exact = Match(
        meta=Meta(u32=(0, CHANGEABLE)),
        tun=Tun.vxlan(CHANGEABLE),
        inner=HeaderFormat(eth=Eth(dst_mac=CHANGEABLE)),
    )
    lpm = r.pipe(
        0,
        name="VRF",
        type=PipeType.LPM,
        match=Match(outer=HeaderFormat(ip4=Ip4(src_ip=CHANGEABLE))),
        match_mask=exact,
        fwd=FwdChangeable(),
        fwd_miss=FwdDrop(),
        monitor=COUNT,
    )
    copy = r.pipe(
        0,
        name="COPY_VLAN",
        is_root=True,
        fwd=FwdPipe(pipe=lpm),
        fwd_miss=FwdDrop(),
        actions=(Actions(),),
        match=Match(parser_meta=ParserMeta(outer_l2_type=L2Meta.SINGLE_VLAN)),
        action_descs=((ActionDesc.copy("outer.eth_vlan0.tci", DescField.meta_u32(1), 8),),),
    )
    r.add(copy)

    def entry(vlan: int, vni: int, mac: str, address: str, length: int, fwd: Fwd) -> Any:
        match = Match(
            meta=Meta(u32=(0, vlan)),
            outer=HeaderFormat(ip4=Ip4(src_ip=address)),
            tun=Tun.vxlan(vni),
            inner=HeaderFormat(eth=Eth(dst_mac=mac)),
        )
        return r.add(
            lpm, match=match, match_mask=source(address, length)["match_mask"], fwd=fwd, monitor=COUNT
        )

    def frame(vlan: int, vni: int, mac: str, src: str) -> bytes:
        inner = bytes(eth(IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / Raw(b"inner"), dst=mac))
        return frames.vxlan(inner, vni, src=src, vlan=vlan)

    a, b = "02:00:00:00:11:11", "02:00:00:00:22:22"
    entries = [
        entry(1, 100, a, "1.2.0.0", 16, FwdPort(port_id=1)),
        entry(1, 200, a, "1.2.0.0", 16, FwdPort(port_id=2)),
        entry(1, 100, b, "1.2.0.0", 16, FwdDrop()),
        entry(3, 100, a, "1.2.0.0", 16, FwdPort(port_id=1)),
        entry(3, 100, a, "1.2.3.4", 32, FwdDrop()),
    ]
    hits = [frame(1, 100, a, "1.2.3.4"), frame(1, 200, a, "1.2.3.4"), frame(3, 100, a, "1.2.8.9")]
    dropped = [
        frame(1, 100, b, "1.2.3.4"),
        frame(3, 100, a, "1.2.3.4"),
        frame(2, 100, a, "1.2.3.4"),
        frame(1, 100, a, "1.3.0.1"),
    ]
    r.send(0, *hits, *dropped)
    r.expect(wire={1: [hits[0], hits[2]], 2: [hits[1]]}, drops={"pipe": len(dropped)})
    assert [r.count(e)[0] for e in entries] == [1, 1, 1, 1, 1]


def test_lpm_em_nvgre(rig: MakeRig) -> None:
    """flow_lpm_em: the same over NVGRE, with the prefix on the inner destination and an inner port in the exact key."""
    r = rig()
    exact = Match(
        tun=Tun(gre_type=GreType.NVGRE, nvgre_vs_id=CHANGEABLE, nvgre_flow_id=CHANGEABLE),
        inner=HeaderFormat(eth=Eth(dst_mac=CHANGEABLE), udp=Udp(src_port=CHANGEABLE)),
    )
    lpm = r.pipe(
        0,
        name="NVGRE",
        type=PipeType.LPM,
        match=Match(inner=HeaderFormat(ip4=Ip4(dst_ip=CHANGEABLE))),
        match_mask=exact,
        fwd=FwdChangeable(),
        fwd_miss=FwdDrop(),
    )
    gate(r, 0, lpm)

    def frame(vsid: int, flow: int, sport: int, dst: str) -> bytes:
        inner = bytes(
            eth(
                IP(src="10.0.0.1", dst=dst) / UDP(sport=sport, dport=9) / Raw(b"inner"),
                dst=frames.INNER_DST_MAC,
            )
        )
        return frames.gre(inner, 0x6558, vsid << 8 | flow)

    def entry(vsid: int, flow: int, sport: int, dst: str, length: int, fwd: Fwd) -> None:
        match = Match(
            tun=Tun(nvgre_vs_id=vsid << 8, nvgre_flow_id=flow),
            inner=HeaderFormat(
                eth=Eth(dst_mac=frames.INNER_DST_MAC), ip4=Ip4(dst_ip=dst), udp=Udp(src_port=sport)
            ),
        )
        r.add(
            lpm,
            match=match,
            match_mask=Match(inner=HeaderFormat(ip4=Ip4(dst_ip=prefix_mask(length)))),
            fwd=fwd,
        )

    entry(1001, 5, 4000, "20.0.0.0", 16, FwdPort(port_id=1))
    entry(1001, 5, 4000, "20.0.7.7", 32, FwdDrop())
    entry(1001, 6, 4000, "20.0.0.0", 16, FwdPort(port_id=0))
    hits = [frame(1001, 5, 4000, "20.0.1.1"), frame(1001, 6, 4000, "20.0.7.7")]
    dropped = [
        frame(1001, 5, 4000, "20.0.7.7"),
        frame(1001, 5, 4001, "20.0.1.1"),
        frame(1002, 5, 4000, "20.0.1.1"),
    ]
    r.send(0, *hits, *dropped)
    r.expect(wire={1: [hits[0]], 0: [hits[1]]}, drops={"pipe": len(dropped)})


# --- ACL ----------------------------------------------------------------------------------------------------------


def acl_pipe(r: Rig, port: int, *, domain: Domain = Domain.DEFAULT, fwd_miss: Fwd | None = DROP) -> Any:
    """An ACL over the IPv4 5-tuple with a forward per entry."""
    return r.pipe(
        port,
        name="ACL",
        type=PipeType.ACL,
        domain=domain,
        fwd=FwdChangeable(),
        fwd_miss=fwd_miss,
        monitor=COUNT,
        nr_entries=64,
        match=Match(parser_meta=IPV4, outer=TUPLE_TCP.outer),
        actions=(Actions(),),
    )


def rule(
    proto: L4Meta,
    src: tuple[str, int],
    dst: tuple[str, int],
    sport: tuple[int, int],
    dport: tuple[int, int],
    priority: int,
    fwd: Fwd,
) -> dict[str, Any]:
    """One ACL entry; ports are (value, mask): mask 0 is any, equal is exact, above is the end of a range."""

    def header(sip: Any, dip: Any, sp: int, dp: int) -> HeaderFormat:
        if proto is L4Meta.TCP:
            return HeaderFormat(ip4=Ip4(src_ip=sip, dst_ip=dip), tcp=Tcp(src_port=sp, dst_port=dp))
        return HeaderFormat(ip4=Ip4(src_ip=sip, dst_ip=dip), udp=Udp(src_port=sp, dst_port=dp))

    return {
        "match": Match(
            parser_meta=ParserMeta(outer_l4_type=proto), outer=header(src[0], dst[0], sport[0], dport[0])
        ),
        "match_mask": Match(
            parser_meta=ParserMeta(outer_l4_type=CHANGEABLE),
            outer=header(prefix_mask(src[1]), prefix_mask(dst[1]), sport[1], dport[1]),
        ),
        "priority": priority,
        "fwd": fwd,
    }


def acl_rules(allow: Fwd) -> list[dict[str, Any]]:
    return [
        rule(L4Meta.TCP, ("1.2.3.4", 32), ("8.8.8.8", 32), (1234, 0), (80, 0), 10, FwdDrop()),
        rule(L4Meta.UDP, ("172.20.1.4", 32), ("192.168.3.4", 32), (1234, 0), (80, 3000), 50, allow),
        rule(L4Meta.TCP, ("172.20.1.4", 32), ("192.168.3.4", 32), (1234, 1234), (80, 0), 40, allow),
        rule(L4Meta.TCP, ("1.2.3.0", 24), ("8.8.8.0", 24), (1234, 0xFFFF), (80, 80), 20, allow),
    ]


def acl_frames() -> tuple[list[bytes], list[bytes]]:
    """Frames that pass and frames that do not."""
    far: dict[str, Any] = {"src": "172.20.1.4", "dst": "192.168.3.4"}
    passed = [
        frames.udp(**far),
        frames.udp(**far, dport=2999),
        frames.udp(**far, dport=3000),
        frames.tcp(**far, dport=801),
        frames.tcp(src="1.2.3.5", dst="8.8.8.6", sport=1237),
    ]
    dropped = [
        frames.udp(**far, dport=3001),
        frames.udp(**far, dport=79),
        frames.tcp(**far, sport=1235, dport=801),
        frames.tcp(),
        frames.tcp(src="1.2.3.5", dst="8.8.8.6", sport=1233),
        frames.tcp(src="1.2.3.5", dst="8.8.8.6", dport=81),
        frames.tcp6(),
    ]
    return passed, dropped


def test_acl(rig: MakeRig) -> None:
    """flow_acl: 5-tuples with masks, port ranges, protocols and priorities; the default is drop."""
    r = rig()
    acl = acl_pipe(r, 0)
    gate(r, 0, acl)
    entries = r.add_batch(acl, acl_rules(FwdPort(port_id=1)))
    passed, dropped = acl_frames()
    r.send(0, *passed, *dropped)
    r.expect(wire={1: passed}, drops={"pipe": len(dropped)})
    assert [r.count(entry)[0] for entry in entries] == [1, 3, 1, 1]


def test_acl_egress(rig: MakeRig) -> None:
    """flow_acl: the same in the egress domain, where the forward is the own port."""
    r = rig()
    root = r.pipe(0, name="TO_1", is_root=True, fwd=FwdPort(port_id=1))
    r.add(root)
    acl = acl_pipe(r, 1, domain=Domain.EGRESS)
    gate(r, 1, acl, domain=Domain.EGRESS)
    r.add_batch(acl, acl_rules(FwdPort(port_id=1)))
    passed, dropped = acl_frames()
    r.send(0, *passed, *dropped)
    r.expect(wire={1: passed}, drops={"pipe": len(dropped)})


def test_acl_priority_and_later_wins(rig: MakeRig) -> None:
    """Lower values first; of equal ones the later inserted; a removed entry uncovers the one beneath."""
    r = rig()
    acl = acl_pipe(r, 0)
    gate(r, 0, acl)
    wide = (ANY_ADDRESS, ANY_ADDRESS, (0, 0), (0, 0))
    r.add(acl, **rule(L4Meta.TCP, *wide, 100, FwdDrop()))
    first = r.add(acl, **rule(L4Meta.TCP, ("1.0.0.0", 8), *wide[1:], 50, FwdPort(port_id=1)))
    second = r.add(acl, **rule(L4Meta.TCP, ("1.2.0.0", 16), *wide[1:], 50, FwdPort(port_id=0)))
    frame = frames.tcp()
    r.send(0, frame)
    r.expect(wire={0: [frame]})
    r.remove(second)
    r.send(0, frame)
    r.expect(wire={1: [frame]})
    r.update(first, fwd=FwdPort(port_id=0))
    r.send(0, frame)
    r.expect(wire={0: [frame]})
    r.remove(first)
    r.send(0, frame)
    r.expect(drops={"pipe": 1})


# --- conditions, random --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "hits"),
    [
        (CompareOp.EQ, {10}),
        (CompareOp.NE, {7, 9, 11, 12}),
        (CompareOp.LT, {7, 9}),
        (CompareOp.LE, {7, 9, 10}),
        (CompareOp.GT, {11, 12}),
        (CompareOp.GE, {10, 11, 12}),
    ],
)
def test_condition(rig: MakeRig, operation: CompareOp, hits: set[int]) -> None:
    """A condition compares a field with the immediate of the entry's match."""
    r = rig()
    pipe = r.pipe(0, name="COMPARE", type=PipeType.CONTROL, is_root=True)
    r.add(
        pipe,
        match=Match(outer=HeaderFormat(tcp=Tcp(seq_num=10))),
        fwd=FwdPort(port_id=1),
        priority=1,
        condition=Condition(operation, DescField("outer.tcp.seq_num"), width=32),
    )
    r.add(pipe, fwd=FwdDrop(), priority=7)
    sent = {seq: bytes(eth(IP(src="1.2.3.4", dst="8.8.8.8") / TCP(seq=seq))) for seq in (7, 9, 10, 11, 12)}
    r.send(0, *sent.values())
    r.expect(wire={1: [sent[seq] for seq in sent if seq in hits]}, drops={"pipe": len(sent) - len(hits)})


def test_condition_two_fields(rig: MakeRig) -> None:
    """A condition compares two fields of the packet."""
    r = rig()
    pipe = r.pipe(0, name="COMPARE", type=PipeType.CONTROL, is_root=True)
    r.add(
        pipe,
        match=Match(parser_meta=TCP4),
        fwd=FwdPort(port_id=1),
        priority=1,
        condition=Condition(CompareOp.GT, DescField("outer.tcp.seq_num"), DescField("outer.tcp.ack_num"), 32),
    )
    r.add(pipe, fwd=FwdDrop(), priority=7)
    more, same, less = (
        bytes(eth(IP(src="1.2.3.4", dst="8.8.8.8") / TCP(seq=s, ack=a))) for s, a in ((9, 8), (8, 8), (7, 8))
    )
    r.send(0, more, same, less, frames.udp())
    r.expect(wire={1: [more]}, drops={"pipe": 3})


def test_tcp_seq(rig: MakeRig) -> None:
    """flow_tcp_seq: a sequence number below 10 gets its acknowledgement raised; checksums stay right."""
    r = rig()
    bump = r.pipe(
        0,
        name="ACK",
        fwd=FwdPort(port_id=1),
        actions=(Actions(outer=HeaderFormat(tcp=Tcp(ack_num=314))),),
        action_descs=((ActionDesc.add("outer.tcp.ack_num", width=32),),),
    )
    r.add(bump)
    compare = r.pipe(0, name="SEQ", type=PipeType.CONTROL)
    r.add(
        compare,
        match=Match(outer=HeaderFormat(tcp=Tcp(seq_num=10))),
        fwd=FwdPipe(pipe=bump),
        priority=1,
        condition=Condition(CompareOp.LT, DescField("outer.tcp.seq_num"), width=32),
    )
    r.add(compare, fwd=FwdDrop(), priority=7)
    gate(r, 0, compare, TCP4)

    def frame(seq: int, ack: int) -> bytes:
        return bytes(eth(IP(src="1.2.3.4", dst="8.8.8.8") / TCP(seq=seq, ack=ack, flags="A") / Raw(b"seq")))

    r.send(0, frame(7, 14), frame(12, 14), frames.udp())
    r.expect(wire={1: [frame(7, 328)]}, drops={"pipe": 2})


def test_esp(rig: MakeRig) -> None:
    """flow_esp: an SPI per entry with a constant sequence number, then conditions on the sequence number."""
    r = rig()
    below = r.pipe(0, name="BELOW", type=PipeType.CONTROL)
    above = r.pipe(0, name="ABOVE", type=PipeType.CONTROL)
    for pipe, operation in ((below, CompareOp.LT), (above, CompareOp.GT)):
        r.add(
            pipe,
            match=Match(tun=Tun(esp_sn=3)),
            fwd=FwdPort(port_id=1),
            priority=1,
            condition=Condition(operation, DescField("tunnel.esp.sn"), width=32),
        )
        r.add(pipe, fwd=FwdDrop(), priority=7)
    root = r.pipe(
        0,
        name="SPI",
        is_root=True,
        fwd=FwdChangeable(),
        fwd_miss=FwdDrop(),
        match=Match(parser_meta=ParserMeta(outer_l4_type=L4Meta.ESP), tun=Tun(esp_spi=CHANGEABLE, esp_sn=2)),
    )
    r.add(root, match=Match(tun=Tun(esp_spi=5)), fwd=FwdPipe(pipe=below))
    r.add(root, match=Match(tun=Tun(esp_spi=8)), fwd=FwdPipe(pipe=above))
    r.send(0, frames.esp(5, 2), frames.esp(8, 2), frames.esp(5, 1), frames.esp(6, 2))
    r.expect(wire={1: [frames.esp(5, 2)]}, drops={"pipe": 3})


def test_match_comparison(rig: MakeRig) -> None:
    """flow_match_comparison: header lengths are summed in meta and compared; options or TCP options make it exceed."""
    r = rig()
    compare = r.pipe(0, name="COMPARE", type=PipeType.CONTROL)
    r.add(
        compare,
        match=Match(meta=Meta(u32=(10,))),
        fwd=FwdPort(port_id=1),
        priority=1,
        condition=Condition(CompareOp.GT, DescField.meta_u32(0), width=8),
    )
    r.add(compare, fwd=FwdDrop(), priority=7)
    words = r.pipe(
        0,
        name="WORDS",
        is_root=True,
        match=Match(parser_meta=TCP4),
        fwd=FwdPipe(pipe=compare),
        fwd_miss=FwdDrop(),
        actions=(Actions(),),
        action_descs=(
            (
                ActionDesc.copy("outer.ipv4.version_ihl", DescField.meta_u32(0), 4),
                ActionDesc.add(DescField.meta_u32(0), "outer.tcp.data_offset", 4),
            ),
        ),
    )
    r.add(words)
    plain = frames.tcp()
    long = bytes(eth(IP(src="1.2.3.4", dst="8.8.8.8") / TCP(options=[("MSS", 1460)])))
    options = bytes(eth(IP(src="1.2.3.4", dst="8.8.8.8", options=frames.OPTIONS) / TCP()))
    r.send(0, plain, long, options)
    r.expect(wire={1: [long, options]}, drops={"pipe": 1})


def test_random_mask(rig: MakeRig) -> None:
    """flow_random: with k mask bits a packet is taken once in 2^k; sampled and not sampled make the whole."""
    r = rig()
    sample = r.pipe(
        0,
        name="SAMPLE",
        is_root=True,
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        monitor=COUNT,
        match=Match(),
        match_mask=Match(parser_meta=ParserMeta(random=0b111)),
    )
    entry = r.add(sample, monitor=COUNT)
    total = 4096
    for _ in range(total // 256):
        r.send(0, *[frames.tcp()] * 256)
        r.settle()
    taken = r.count(entry)[0]
    r.expect_counts(wire={1: taken}, drops={"pipe": total - taken})
    assert 512 * 0.7 < taken < 512 * 1.3


def test_random_distribution(rig: MakeRig) -> None:
    """flow_random: a hash pipe over the random number spreads over software queues, all eight packets arrive."""
    r = rig(queues=4)
    spread = r.pipe(
        0,
        name="SPREAD",
        type=PipeType.HASH,
        nr_entries=4,
        match_mask=Match(parser_meta=ParserMeta(random=CHANGEABLE)),
        fwd=FwdChangeable(),
        monitor=COUNT,
    )
    entries = [r.add(spread, index=i, fwd=FwdRss(queues=(i,)), monitor=COUNT) for i in range(4)]
    root = r.pipe(
        0,
        name="ROOT",
        is_root=True,
        match=Match(parser_meta=TCP4),
        fwd=FwdPipe(pipe=spread),
        fwd_miss=FwdDrop(),
    )
    r.add(root)
    sent = [frames.tcp()] * 256
    r.send(0, *sent)
    got = r.expect(rss={0: sent})
    used = {queue: sum(packet.queue == queue for packet in got) for queue in range(4)}
    assert [r.count(entry)[0] for entry in entries] == list(used.values())
    assert min(used.values()) > 256 / 4 / 3


def test_sampling(rig: MakeRig) -> None:
    """flow_sampling: random below a limit takes that share of the packets."""
    r = rig()
    sample = r.pipe(0, name="SAMPLE", type=PipeType.CONTROL, monitor=COUNT)
    entry = r.add(
        sample,
        match=Match(parser_meta=ParserMeta(random=65536 * 35 // 100)),
        fwd=FwdPort(port_id=1),
        priority=1,
        condition=Condition(CompareOp.LT, DescField("parser_meta.random.value"), width=16),
        monitor=COUNT,
    )
    r.add(sample, fwd=FwdDrop(), priority=7)
    gate(r, 0, sample, TCP4)
    total = 4096
    for _ in range(total // 256):
        r.send(0, *[frames.tcp()] * 256)
        r.settle()
    taken = r.count(entry)[0]
    r.expect_counts(wire={1: taken}, drops={"pipe": total - taken})
    assert 0.30 < taken / total < 0.40


# --- meters --------------------------------------------------------------------------------------------------------


def test_monitor_meter(rig: MakeRig) -> None:
    """flow_monitor_meter: a meter per entry; within the burst all pass, beyond it the meter itself drops red."""
    r = rig()
    pipe = r.pipe(
        0,
        name="METER",
        is_root=True,
        match=TUPLE_TCP,
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        monitor=Monitor(counter=True, meter=Meter(cir=0xFFFFFFFFFFFFFFFF, cbs=0xFFFFFFFFFFFFFFFF)),
    )
    frame = frames.tcp(load=bytes(946))
    assert len(frame) == 1000
    r.add(pipe, match=tuple4("tcp"), monitor=Monitor(counter=True, meter=Meter(cir=1024, cbs=4096)))
    r.send(0, frames.udp(), *[frame] * 10)
    r.settle()
    passed = r.port_counter(1, "sent")
    assert passed in (4, 5)  # 4096 bytes at once, and what 1024 a second adds meanwhile
    r.expect_counts(wire={1: passed}, drops={"pipe": 1, "meter_red": 10 - passed})


def test_monitor_meter_constant(rig: MakeRig) -> None:
    """A meter with constant figures, in packets."""
    r = rig()
    meter = Monitor(meter=Meter(cir=1, cbs=3, limit_type=LimitType.PACKETS))
    pipe = r.pipe(
        0,
        name="METER",
        is_root=True,
        match=TUPLE_TCP,
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        monitor=meter,
    )
    r.add(pipe, match=tuple4("tcp"), monitor=meter)
    r.send(0, *[frames.tcp()] * 10)
    r.settle()
    passed = r.port_counter(1, "sent")
    assert passed in (3, 4)
    r.expect_counts(wire={1: passed}, drops={"meter_red": 10 - passed})


# --- hash pipes ----------------------------------------------------------------------------------------------------


def hash_pipe(
    r: Rig, mask: Match, ports: list[int], algorithm: HashAlgorithm = HashAlgorithm.HASH, **spec: Any
) -> tuple[Any, Any]:
    """A hash pipe with one entry per port."""
    pipe = r.pipe(
        0,
        **{"name": "HASH"} | spec,
        type=PipeType.HASH,
        nr_entries=len(ports),
        match_mask=mask,
        monitor=COUNT,
        hash_map_algorithm=algorithm,
        fwd=FwdPort(port_id=0xFFFF),
    )
    return pipe, [
        r.add(pipe, index=i, fwd=FwdPort(port_id=port), monitor=COUNT) for i, port in enumerate(ports)
    ]


def test_hash_pipe(rig: MakeRig) -> None:
    """flow_hash_pipe: the same key always takes the same entry, many keys take all; calc_hash says which."""
    r = rig(ports=3, mode="switch")
    mask = Match(outer=HeaderFormat(ip4=Ip4(dst_ip=CHANGEABLE)))
    pipe, entries = hash_pipe(r, mask, [1, 2])
    root = r.pipe(
        0,
        name="ROOT",
        is_root=True,
        match=Match(parser_meta=IPV4),
        fwd=FwdPipe(pipe=pipe),
        fwd_miss=FwdDrop(),
    )
    r.add(root)
    addresses = [f"8.8.{i}.8" for i in range(32)]
    wire: dict[int, list[bytes]] = {1: [], 2: []}
    for address in addresses:
        frame = frames.udp(dst=address)
        index = r.calc_hash(pipe, Match(outer=HeaderFormat(ip4=Ip4(dst_ip=address)))) % 2
        wire[1 + index] += [frame, frame]
        r.send(0, frame, frame)
    assert all(wire.values())
    r.expect(wire=wire)
    assert [r.count(entry)[0] for entry in entries] == [len(wire[1]), len(wire[2])]


def test_ecmp(rig: MakeRig) -> None:
    """flow_ecmp: a hash over the IPv6 flow label over four ports uses all of them; IPv4 is dropped before."""
    r = rig(ports=5, mode="switch")
    mask = Match(outer=HeaderFormat(l3_type=L3Type.IP6, ip6=Ip6(flow_label=0xFFFFF)))
    pipe, entries = hash_pipe(r, mask, [1, 2, 3, 4])
    root = r.pipe(
        0,
        name="ROOT",
        is_root=True,
        match=Match(parser_meta=ParserMeta(outer_l3_type=L3Meta.IPV6)),
        fwd=FwdHash(pipe=pipe, algorithm=HashAlgorithm.HASH),
        fwd_miss=FwdDrop(),
    )
    r.add(root)
    r.send(0, *[frames.tcp6(fl=label * 0x1111 + 1) for label in range(64)], frames.tcp())
    r.settle()
    counts = [r.count(entry)[0] for entry in entries]
    assert sum(counts) == 64
    assert min(counts) >= 4
    r.expect_counts(wire={1 + i: count for i, count in enumerate(counts)}, drops={"pipe": 1})


def test_hash_identity_and_round_robin(rig: MakeRig) -> None:
    """IDENTITY takes the key's own low bits; ROUND_ROBIN and RANDOM spread equal packets."""
    r = rig(ports=5, mode="switch")
    mask = Match(outer=HeaderFormat(ip4=Ip4(dst_ip=0x3)))
    pipe, entries = hash_pipe(r, mask, [1, 2, 3, 4], HashAlgorithm.IDENTITY)
    root = r.pipe(
        0,
        name="ROOT",
        is_root=True,
        match=Match(parser_meta=IPV4),
        fwd=FwdPipe(pipe=pipe),
        fwd_miss=FwdDrop(),
    )
    r.add(root)
    sent = [frames.udp(dst=f"8.8.8.{i}") for i in range(8)]
    r.send(0, *sent)
    r.expect(wire={1 + i: [sent[i], sent[4 + i]] for i in range(4)})
    assert [r.count(entry)[0] for entry in entries] == [2, 2, 2, 2]


def test_hash_flooding(rig: MakeRig) -> None:
    """flow_hash_flooding_pipe: every entry gets a copy of its own."""
    r = rig(ports=3, mode="switch")
    mask = Match(outer=HeaderFormat(ip4=Ip4(src_ip=CHANGEABLE)))
    pipe, entries = hash_pipe(r, mask, [1, 2], HashAlgorithm.FLOODING)
    root = r.pipe(
        0,
        name="ROOT",
        is_root=True,
        match=Match(parser_meta=IPV4),
        fwd_miss=FwdDrop(),
        fwd=FwdHash(pipe=pipe, algorithm=HashAlgorithm.FLOODING),
    )
    r.add(root)
    sent = [frames.udp(src="1.2.3.4"), frames.udp(src="1.2.3.5")]
    r.send(0, *sent)
    r.expect(wire={1: sent, 2: sent})
    assert [r.count(entry) for entry in entries] == [(2, sum(map(len, sent)))] * 2


def test_trace_of_many_copies(stack_rig: Callable[..., StackRig]) -> None:
    """Every copy is an outcome, however many there are."""
    r = stack_rig(ports=3, mode="switch")
    pipe, _ = hash_pipe(r, Match(), [1, 2] * 100, HashAlgorithm.FLOODING)
    flood = FwdHash(pipe=pipe, algorithm=HashAlgorithm.FLOODING)
    root = r.pipe(0, name="ROOT", is_root=True, match=Match(parser_meta=IPV4), fwd_miss=FwdDrop(), fwd=flood)
    r.add(root)
    found = r.dpu.trace(r.names[0], frames.udp())
    assert [one.port for one in found.outcomes] == r.names[1:3] * 100
    assert {one.frame for one in found.outcomes} == {frames.udp()}


def flooding(r: Rig, name: str, domain: Domain, targets: list[Any], **spec: Any) -> tuple[Any, list[Any]]:
    """A pipe that floods to pipes, and its counted entries."""
    pipe = r.pipe(
        0,
        **spec,
        name=name,
        type=PipeType.HASH,
        domain=domain,
        match_mask=Match(),
        nr_entries=len(targets),
        hash_map_algorithm=HashAlgorithm.FLOODING,
        monitor=COUNT,
        fwd=FwdPipe(),
    )
    return pipe, [
        r.add(pipe, index=i, fwd=FwdPipe(pipe=target), monitor=COUNT) for i, target in enumerate(targets)
    ]


def test_flooding_from_egress(rig: MakeRig) -> None:
    """flow_hash_flooding_pipe: egress floods to pipes of ingress; the copies stay on their way out.

    The egress root does not see them again.
    """
    r = rig(ports=3, mode="switch")
    out = [
        r.pipe(
            0, name=f"VPORT{port}", match=Match(parser_meta=IPV4), fwd=FwdPort(port_id=port), monitor=COUNT
        )
        for port in (1, 2)
    ]
    passed = [r.add(pipe, monitor=COUNT) for pipe in out]
    floods = [flooding(r, f"FLOOD{i}", Domain.EGRESS, [out[i]] * (2 << i)) for i in range(2)]
    egress = r.pipe(
        0,
        name="OUT",
        is_root=True,
        domain=Domain.EGRESS,
        match=Match(parser_meta=IPV4, outer=HeaderFormat(ip4=Ip4(src_ip=CHANGEABLE))),
        fwd=FwdPipe(),
        fwd_miss=FwdDrop(),
        monitor=COUNT,
    )
    seen = [
        r.add(
            egress,
            match=Match(outer=HeaderFormat(ip4=Ip4(src_ip=f"1.2.3.{4 + i}"))),
            fwd=FwdPipe(pipe=flood),
            monitor=COUNT,
        )
        for i, (flood, _) in enumerate(floods)
    ]
    forward = r.pipe(0, name="FWD", match=Match(), fwd=FwdPipe(pipe=egress))
    r.add(forward)
    flooding(r, "ROOT", Domain.DEFAULT, [forward] * 2, is_root=True)
    first, second = frames.udp(src="1.2.3.4"), frames.udp(src="1.2.3.5")
    r.send(0, first, second)
    r.expect(wire={1: [first] * 4, 2: [second] * 8})
    assert [r.count(entry)[0] for entry in seen] == [2, 2]
    assert [r.count(entry)[0] for entry in passed] == [4, 8]


def test_flooding_into_egress(rig: MakeRig) -> None:
    """A flooding pipe of egress puts what ingress hands it on its way out: no egress root after that."""
    r = rig(ports=3, mode="switch")
    through = r.pipe(0, name="NEVER", is_root=True, domain=Domain.EGRESS, match=Match(), fwd=FwdDrop())
    r.add(through)
    back = [r.pipe(0, name=f"BACK{port}", fwd=FwdPort(port_id=port)) for port in (1, 2)]
    for pipe in back:
        r.add(pipe)
    flood, _ = flooding(r, "FLOOD", Domain.EGRESS, back)
    root = r.pipe(0, name="ROOT", is_root=True, match=Match(), fwd=FwdPipe(pipe=flood))
    r.add(root)
    r.send(0, frames.udp())
    r.expect(wire={1: [frames.udp()], 2: [frames.udp()]})


def test_mult_flooding_cases(rig: MakeRig) -> None:
    """flow_mult_flooding_cases: a copy is changed on one branch; the other branch and the other packet are not."""
    r = rig(ports=3, mode="switch")
    rewrite = r.pipe(
        0,
        name="REWRITE",
        fwd=FwdPort(port_id=1),
        actions=(Actions(outer=HeaderFormat(ip4=Ip4(src_ip="2.0.0.0"))),),
        actions_masks=(Actions(outer=HeaderFormat(ip4=Ip4(src_ip="255.0.0.0"))),),
    )
    plain = r.pipe(0, name="PLAIN", fwd=FwdPort(port_id=2))
    r.add(rewrite)
    r.add(plain)
    flood = r.pipe(
        0,
        name="FLOOD",
        type=PipeType.HASH,
        nr_entries=2,
        hash_map_algorithm=HashAlgorithm.FLOODING,
        monitor=COUNT,
        match_mask=Match(outer=HeaderFormat(ip4=Ip4(src_ip=CHANGEABLE))),
        fwd=FwdPipe(),
    )
    entries = [
        r.add(flood, index=i, fwd=FwdPipe(pipe=pipe), monitor=COUNT)
        for i, pipe in enumerate((rewrite, plain))
    ]
    root = r.pipe(
        0,
        name="ROOT",
        is_root=True,
        match=Match(parser_meta=IPV4),
        fwd=FwdPipe(pipe=flood),
        fwd_miss=FwdDrop(),
    )
    r.add(root)
    first, second = frames.udp(src="1.2.3.4"), frames.tcp(src="1.2.3.5")
    r.send(0, first, second)
    r.expect(wire={1: [frames.udp(src="2.2.3.4"), frames.tcp(src="2.2.3.5")], 2: [first, second]})
    assert [r.count(entry) for entry in entries] == [(2, len(first) + len(second))] * 2


# --- ordered lists -------------------------------------------------------------------------------------------------


def test_ordered_list(rig: MakeRig) -> None:
    """flow_ordered_list: counting before and after NAT64 differs by the header's growth; rewritten as the list says."""
    r = rig()
    rewrite = ListActions(
        Actions(outer=HeaderFormat(ip4=Ip4(src_ip="192.168.0.0"))),
        Actions(outer=HeaderFormat(ip4=Ip4(src_ip="255.255.0.0"))),
    )
    shared = [Monitor(counter=i) for i in (1, 2, 3)]
    r.shared_counters(0, 1, 2, 3, 4)
    templates = (
        OrderedList(0, (shared[0], rewrite)),
        OrderedList(1, (rewrite, shared[1], ListNat64(L3Type.IP4), shared[2])),
    )
    lists = r.pipe(
        0, name="LISTS", type=PipeType.ORDERED_LIST, ordered_lists=templates, fwd=FwdPort(port_id=1)
    )
    r.add(lists, index=0, ordered_list=templates[0])
    r.add(lists, index=1, ordered_list=templates[1])
    root = r.pipe(
        0, name="ROOT", is_root=True, match=TUPLE_TCP, fwd=FwdOrderedList(pipe=lists), fwd_miss=FwdDrop()
    )
    r.add(root, match=tuple4("tcp"), fwd=FwdOrderedList(pipe=lists, idx=0))
    r.add(root, match=tuple4("tcp", src="1.2.3.5"), fwd=FwdOrderedList(pipe=lists, idx=1))
    first, second = frames.tcp(), frames.tcp(src="1.2.3.5")
    prefix = "64:ff9b::"
    nat64 = bytes(
        eth(
            IPv6(src=f"{prefix}192.168.3.5", dst=f"{prefix}8.8.8.8", hlim=64)
            / TCP(sport=1234, dport=80)
            / Raw(b"ringfield tcp")
        )
    )
    r.send(0, first, second, frames.udp())
    r.expect(wire={1: [frames.tcp(src="192.168.3.4"), nat64]}, drops={"pipe": 1})
    assert r.shared_count(0, 1) == (1, len(first))
    assert r.shared_count(0, 2) == (1, len(second))
    assert r.shared_count(0, 3) == (1, len(second) + 20)


@pytest.mark.parametrize("port", [0, 1])
def test_miss_chain(rig: MakeRig, port: int) -> None:
    """flow_modify_header: pipes chained by their misses; each packet is judged by the first that hits."""
    r = rig()
    third = r.pipe(
        port,
        name="THIRD",
        match=Match(outer=HeaderFormat(udp=Udp(dst_port=53))),
        fwd=FwdPort(port_id=port),
        fwd_miss=FwdDrop(),
    )
    second = r.pipe(
        port,
        name="SECOND",
        match=Match(outer=HeaderFormat(ip4=Ip4(dst_ip="9.9.9.9"))),
        fwd=FwdPort(port_id=peer(port)),
        fwd_miss=FwdPipe(pipe=third),
        miss_counter=True,
    )
    first = r.pipe(
        port,
        name="FIRST",
        is_root=True,
        match=TUPLE_TCP,
        fwd=FwdPort(port_id=peer(port)),
        fwd_miss=FwdPipe(pipe=second),
        miss_counter=True,
    )
    r.add(third)
    r.add(second)
    r.add(first, match=tuple4("tcp"))
    r.send(port, frames.tcp(), frames.udp(dst="9.9.9.9"), frames.udp(dport=53), frames.udp())
    r.expect(
        wire={peer(port): [frames.tcp(), frames.udp(dst="9.9.9.9")], port: [frames.udp(dport=53)]},
        drops={"pipe": 1},
    )
    sizes = len(frames.udp())
    assert r.miss_count(first) == (3, 3 * sizes)
    assert r.miss_count(second) == (2, 2 * sizes)
