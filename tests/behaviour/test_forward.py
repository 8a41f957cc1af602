# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Where packets go: forwards, misses, drops, targets, RSS, and what a match looks at."""

import pytest

from appliance.flow.types import (
    CHANGEABLE,
    COUNT,
    Actions,
    Eth,
    Fwd,
    FwdChangeable,
    FwdDrop,
    FwdPipe,
    FwdPort,
    FwdRss,
    FwdTarget,
    HeaderFormat,
    Icmp,
    Ip4,
    Ip6,
    L2Meta,
    L3Meta,
    L3Type,
    L4Meta,
    L4TypeExt,
    Match,
    Meta,
    ParserMeta,
    PipeType,
    RssFlags,
    Tcp,
    TcpFlags,
    Transport,
    Tun,
    Udp,
)
from tests.behaviour import frames
from tests.behaviour.frames import ARP, IP, TCP, UDP, Dot1Q, IPv6, Raw, eth
from tests.behaviour.rig import TCP4, TUPLE_TCP, TUPLE_UDP, MakeRig, peer, tuple4


def test_port_fwd(rig: MakeRig) -> None:
    """flow_port_fwd: a 5-tuple crosses to the other port, in both directions; what does not match goes to software."""
    r = rig()
    hit, miss = frames.tcp(), frames.udp()
    entries = []
    for port in (0, 1):
        pipe = r.pipe(
            port,
            name="PORT_FWD",
            is_root=True,
            match=TUPLE_TCP,
            fwd=FwdPort(port_id=peer(port)),
            monitor=COUNT,
        )
        entries.append(r.add(pipe, match=tuple4("tcp"), monitor=COUNT))
    for port in (0, 1):
        r.send(port, hit, miss, frames.tcp(dport=81), frames.tcp(src="1.2.3.5"))
    r.expect(
        wire={0: [hit], 1: [hit]},
        rss={port: [miss, frames.tcp(dport=81), frames.tcp(src="1.2.3.5")] for port in (0, 1)},
    )
    assert [r.count(entry) for entry in entries] == [(1, len(hit))] * 2


def test_drop(rig: MakeRig) -> None:
    """flow_drop: a protocol gate, a 5-tuple that drops, and a miss pipe that forwards the rest; all counted."""
    r = rig()
    dropped = frames.tcp()
    passed = frames.tcp(src="2.2.2.2", dst="9.9.9.9", sport=1234, dport=4321)
    entries = []
    for port in (0, 1):
        rest = r.pipe(port, name="PORT_FWD", fwd=FwdPort(port_id=peer(port)), monitor=COUNT)
        drop = r.pipe(
            port, name="DROP", match=TUPLE_TCP, fwd=FwdDrop(), fwd_miss=FwdPipe(pipe=rest), monitor=COUNT
        )
        gate = r.pipe(
            port,
            name="GATE",
            is_root=True,
            match=Match(parser_meta=TCP4),
            fwd=FwdPipe(pipe=drop),
            fwd_miss=FwdDrop(),
            monitor=COUNT,
        )
        entries += [
            r.add(rest, monitor=COUNT),
            r.add(drop, match=tuple4("tcp"), monitor=COUNT),
            r.add(gate, monitor=COUNT),
        ]
    r.send(0, dropped, passed, frames.udp())
    r.send(1, dropped, passed)
    r.expect(wire={0: [passed], 1: [passed]}, drops={"pipe": 3})
    one, two = (1, len(passed)), (2, len(dropped) + len(passed))
    assert [r.count(entry) for entry in entries] == [one, (1, len(dropped)), two] * 2


def test_multi_fwd(rig: MakeRig) -> None:
    """flow_multi_fwd: with a changeable forward each entry decides: port, drop, another pipe, software."""
    r = rig()
    last = r.pipe(0, name="LAST", fwd=FwdPort(port_id=0))
    r.add(last)
    pipe = r.pipe(0, name="MULTI", is_root=True, match=TUPLE_TCP, fwd=FwdChangeable(), fwd_miss=FwdDrop())
    forwards: list[Fwd] = [
        FwdPort(port_id=1),
        FwdDrop(),
        FwdPipe(pipe=last),
        FwdRss(queues=(0,)),
        FwdTarget(),
    ]
    for i, fwd in enumerate(forwards):
        r.add(pipe, match=tuple4("tcp", sport=1000 + i), fwd=fwd)
    sent = [frames.tcp(sport=1000 + i) for i in range(len(forwards))]
    r.send(0, *sent, frames.udp())
    r.expect(wire={1: [sent[0]], 0: [sent[2]]}, rss={0: [sent[3]]}, kernel={0: [sent[4]]}, drops={"pipe": 2})


def test_multi_fwd_port_0xffff(rig: MakeRig) -> None:
    """A pipe's forward to port 0xffff is changeable too; entries bring the port."""
    r = rig()
    pipe = r.pipe(
        0, name="MULTI", is_root=True, match=TUPLE_TCP, fwd=FwdPort(port_id=0xFFFF), fwd_miss=FwdDrop()
    )
    for i in (0, 1):
        r.add(pipe, match=tuple4("tcp", sport=1000 + i), fwd=FwdPort(port_id=i))
    sent = [frames.tcp(sport=1000 + i) for i in range(3)]
    r.send(0, *sent)
    r.expect(wire={0: [sent[0]], 1: [sent[1]]}, drops={"pipe": 1})


def test_fwd_target(rig: MakeRig) -> None:
    """flow_fwd_target: the kernel as a forward and as a miss; neither is seen on the peer."""
    r = rig()
    pipe = r.pipe(0, name="TCP", match=TUPLE_TCP, fwd=FwdPort(port_id=1), fwd_miss=FwdTarget())
    root = r.pipe(
        0,
        name="GATE",
        is_root=True,
        match=Match(parser_meta=TCP4),
        fwd=FwdPipe(pipe=pipe),
        fwd_miss=FwdDrop(),
    )
    r.add(pipe, match=tuple4("tcp"))
    r.add(root)
    other = frames.tcp(src="2.1.2.1", dst="8.8.8.1", sport=20)
    r.send(0, frames.tcp(), other, frames.udp(src="2.1.2.1"))
    r.expect(wire={1: [frames.tcp()]}, kernel={0: [other]}, drops={"pipe": 1})


def test_rss_meta(rig: MakeRig) -> None:
    """flow_rss_meta: to software with a changeable pkt_meta, which software reads with the packet."""
    r = rig(queues=4)
    pipe = r.pipe(
        0,
        name="RSS_META",
        is_root=True,
        match=TUPLE_TCP,
        actions=(Actions(meta=Meta(pkt_meta=CHANGEABLE)),),
        fwd=FwdRss(queues=(0, 1, 2, 3), outer_flags=RssFlags.IPV4 | RssFlags.TCP),
        fwd_miss=FwdDrop(),
    )
    r.add(pipe, match=tuple4("tcp"), actions=Actions(meta=Meta(pkt_meta=10)))
    r.add(pipe, match=tuple4("tcp", sport=7), actions=Actions(meta=Meta(pkt_meta=0xDEADBEEF)))
    r.send(0, frames.tcp(), frames.tcp(sport=7), frames.udp())
    got = r.expect(rss={0: [frames.tcp(), frames.tcp(sport=7)]}, drops={"pipe": 1})
    assert {packet.frame: packet.meta for packet in got} == {
        frames.tcp(): 10,
        frames.tcp(sport=7): 0xDEADBEEF,
    }
    assert {packet.queue for packet in got} <= {0, 1, 2, 3}


def test_rss_spreads_and_is_stable(rig: MakeRig) -> None:
    """RSS keeps a flow on one queue and uses all queues for many flows; only the queues named are used."""
    r = rig(queues=8)
    r.requires("RSS hash")
    pipe = r.pipe(
        0,
        name="RSS",
        is_root=True,
        match=Match(parser_meta=TCP4),
        fwd_miss=FwdDrop(),
        fwd=FwdRss(queues=(1, 3, 4, 6), outer_flags=RssFlags.IPV4 | RssFlags.TCP),
    )
    r.add(pipe)
    flows = [frames.tcp(src=f"10.0.{i}.1", sport=1000 + i) for i in range(64)]
    r.send(0, *flows)
    first = {packet.frame: packet.queue for packet in r.expect(rss={0: flows})}
    r.send(0, *flows)
    second = {packet.frame: packet.queue for packet in r.expect(rss={0: flows})}
    assert first == second
    assert set(first.values()) == {1, 3, 4, 6}


def test_relaxed_matching(rig: MakeRig) -> None:
    """Type selectors do not check the packet: a UDP packet with the right ports hits an ungated TCP match."""
    r = rig()
    pipe = r.pipe(
        0,
        name="RELAXED",
        is_root=True,
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        match=Match(
            outer=HeaderFormat(l3_type=L3Type.IP4, tcp=Tcp(src_port=CHANGEABLE, dst_port=CHANGEABLE))
        ),
    )
    r.add(pipe, match=Match(outer=HeaderFormat(tcp=Tcp(src_port=1234, dst_port=80))))
    r.send(0, frames.tcp(), frames.udp(), frames.udp6(), frames.tcp(dport=81))
    r.expect(wire={1: [frames.tcp(), frames.udp(), frames.udp6()]}, drops={"pipe": 1})


def test_implicit_masks(rig: MakeRig) -> None:
    """Without a mask: zero is ignored, all ones is the entry's, anything else is constant whatever it says."""
    r = rig()
    pipe = r.pipe(
        0,
        name="IMPLICIT",
        is_root=True,
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        match=Match(
            parser_meta=TCP4,
            outer=HeaderFormat(ip4=Ip4(src_ip="1.2.3.4", dst_ip=CHANGEABLE), tcp=Tcp(dst_port=80)),
        ),
    )
    r.add(
        pipe,
        match=Match(
            outer=HeaderFormat(ip4=Ip4(src_ip="9.9.9.9", dst_ip="8.8.8.8"), tcp=Tcp(src_port=5, dst_port=7))
        ),
    )
    hits = [frames.tcp(), frames.tcp(sport=99)]
    r.send(0, *hits, frames.tcp(src="9.9.9.9"), frames.tcp(dst="8.8.8.9"), frames.tcp(dport=81))
    r.expect(wire={1: hits}, drops={"pipe": 3})


def test_explicit_masks(rig: MakeRig) -> None:
    """With a mask only its bits count; all ones and zero come with the entry, other values are constant."""
    r = rig()
    value = Match(
        parser_meta=TCP4,
        outer=HeaderFormat(
            ip4=Ip4(src_ip="10.1.0.0", dst_ip=CHANGEABLE), tcp=Tcp(flags=CHANGEABLE, dst_port=0, src_port=77)
        ),
    )
    mask = Match(
        parser_meta=ParserMeta(outer_l3_type=CHANGEABLE, outer_l4_type=CHANGEABLE),
        outer=HeaderFormat(
            ip4=Ip4(src_ip="255.255.0.0", dst_ip="255.255.255.0"),
            tcp=Tcp(flags=TcpFlags.SYN | TcpFlags.FIN | TcpFlags.RST, dst_port=CHANGEABLE),
        ),
    )
    pipe = r.pipe(
        0,
        name="EXPLICIT",
        is_root=True,
        match=value,
        match_mask=mask,
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
    )
    r.add(
        pipe,
        match=Match(
            outer=HeaderFormat(ip4=Ip4(dst_ip="8.8.8.77"), tcp=Tcp(flags=TcpFlags.SYN, dst_port=443))
        ),
    )

    def frame(src: str, dst: str, flags: str, dport: int, sport: int = 5) -> bytes:
        return bytes(eth(IP(src=src, dst=dst) / TCP(flags=flags, dport=dport, sport=sport)))

    hits = [
        frame("10.1.2.3", "8.8.8.1", "S", 443),
        frame("10.1.255.255", "8.8.8.255", "SEC", 443, 78),
        frame("10.1.0.0", "8.8.8.0", "SA", 443),
    ]
    misses = [
        frame("10.2.2.3", "8.8.8.1", "S", 443),
        frame("10.1.2.3", "8.8.9.1", "S", 443),
        frame("10.1.2.3", "8.8.8.1", "SF", 443),
        frame("10.1.2.3", "8.8.8.1", "A", 443),
        frame("10.1.2.3", "8.8.8.1", "S", 80),
    ]
    r.send(0, *hits, *misses)
    r.expect(wire={1: hits}, drops={"pipe": len(misses)})


def test_constant_zero(rig: MakeRig) -> None:
    """A mask with the value zero, where no entry says otherwise, compares with zero."""
    r = rig()
    pipe = r.pipe(
        0,
        name="NO_FLAGS",
        is_root=True,
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        match=Match(outer=HeaderFormat(l3_type=L3Type.IP4, l4_type_ext=L4TypeExt.TCP)),
        match_mask=Match(outer=HeaderFormat(tcp=Tcp(flags=TcpFlags.SYN))),
    )
    r.add(pipe)
    plain = bytes(eth(IP(src="1.2.3.4", dst="8.8.8.8") / TCP(flags="A")))
    syn = bytes(eth(IP(src="1.2.3.4", dst="8.8.8.8") / TCP(flags="S")))
    r.send(0, plain, syn, frames.udp())  # UDP lacks the field: it reads as zero
    r.expect(wire={1: [plain, frames.udp()]}, drops={"pipe": 1})


FIELDS = {
    "eth.dst_mac": (
        HeaderFormat(eth=Eth(dst_mac=CHANGEABLE)),
        HeaderFormat(eth=Eth(dst_mac="02:00:00:00:00:77")),
        bytes(eth(IP(src="1.1.1.1", dst="2.2.2.2"), dst="02:00:00:00:00:77")),
    ),
    "eth.type": (
        HeaderFormat(eth=Eth(type=CHANGEABLE)),
        HeaderFormat(eth=Eth(type=0x0806)),
        bytes(eth(ARP(psrc="1.1.1.1", pdst="2.2.2.2", hwsrc=frames.SRC_MAC))),
    ),
    "vlan": (
        HeaderFormat(eth_vlan=(CHANGEABLE,)),
        HeaderFormat(eth_vlan=(123,)),
        bytes(eth(Dot1Q(vlan=123) / IP(src="1.1.1.1", dst="2.2.2.2"))),
    ),
    "qinq": (
        HeaderFormat(eth_vlan=(CHANGEABLE, CHANGEABLE)),
        HeaderFormat(eth_vlan=(123, 321)),
        bytes(eth(Dot1Q(vlan=123) / Dot1Q(vlan=321) / IP(src="1.1.1.1", dst="2.2.2.2"))),
    ),
    "ipv4.ttl": (HeaderFormat(ip4=Ip4(ttl=CHANGEABLE)), HeaderFormat(ip4=Ip4(ttl=13)), frames.tcp(ttl=13)),
    "ipv4.dscp_ecn": (
        HeaderFormat(ip4=Ip4(dscp_ecn=CHANGEABLE)),
        HeaderFormat(ip4=Ip4(dscp_ecn=0xB8)),
        frames.tcp(tos=0xB8),
    ),
    "ipv4.next_proto": (
        HeaderFormat(ip4=Ip4(next_proto=CHANGEABLE)),
        HeaderFormat(ip4=Ip4(next_proto=132)),
        bytes(eth(IP(src="1.1.1.1", dst="2.2.2.2", proto=132) / Raw(bytes(12)))),
    ),
    "ipv4.options": (
        HeaderFormat(ip4=Ip4(version_ihl=CHANGEABLE), tcp=Tcp(dst_port=CHANGEABLE)),
        HeaderFormat(ip4=Ip4(version_ihl=0x46), tcp=Tcp(dst_port=443)),
        bytes(eth(IP(src="1.1.1.1", dst="2.2.2.2", options=frames.OPTIONS) / TCP(dport=443))),
    ),
    "ipv6.dst_ip": (
        HeaderFormat(ip6=Ip6(dst_ip=CHANGEABLE)),
        HeaderFormat(ip6=Ip6(dst_ip="2001:db8::77")),
        frames.tcp6(dst="2001:db8::77"),
    ),
    "ipv6.flow_label": (
        HeaderFormat(ip6=Ip6(flow_label=CHANGEABLE)),
        HeaderFormat(ip6=Ip6(flow_label=0xABCDE)),
        frames.tcp6(fl=0xABCDE),
    ),
    "ipv6.hop_limit": (
        HeaderFormat(ip6=Ip6(hop_limit=CHANGEABLE)),
        HeaderFormat(ip6=Ip6(hop_limit=3)),
        frames.udp6(hlim=3),
    ),
    "tcp.flags": (
        HeaderFormat(tcp=Tcp(flags=CHANGEABLE)),
        HeaderFormat(tcp=Tcp(flags=TcpFlags.FIN | TcpFlags.ACK)),
        bytes(eth(IP(src="1.1.1.1", dst="2.2.2.2") / TCP(flags="FA"))),
    ),
    "tcp.seq_num": (
        HeaderFormat(tcp=Tcp(seq_num=CHANGEABLE)),
        HeaderFormat(tcp=Tcp(seq_num=0x01020304)),
        bytes(eth(IP(src="1.1.1.1", dst="2.2.2.2") / TCP(seq=0x01020304))),
    ),
    "udp.dst_port": (
        HeaderFormat(udp=Udp(dst_port=CHANGEABLE)),
        HeaderFormat(udp=Udp(dst_port=53)),
        frames.udp(dport=53),
    ),
    "transport": (
        HeaderFormat(transport=Transport(dst_port=CHANGEABLE)),
        HeaderFormat(transport=Transport(dst_port=53)),
        frames.tcp(dport=53),
    ),
    "icmp": (
        HeaderFormat(l3_type=L3Type.IP4, icmp=Icmp(type=CHANGEABLE, code=CHANGEABLE)),
        HeaderFormat(icmp=Icmp(type=3, code=4)),
        frames.icmp(type=3, code=4),
    ),
}


@pytest.mark.parametrize("field", FIELDS)
def test_match_field(rig: MakeRig, field: str) -> None:
    """Each field by itself: the frame that has the value hits, frames that differ or lack it do not."""
    template, value, frame = FIELDS[field]
    r = rig()
    pipe = r.pipe(
        0,
        name="FIELD",
        is_root=True,
        match=Match(outer=template),
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        monitor=COUNT,
    )
    entry = r.add(pipe, match=Match(outer=value), monitor=COUNT)
    others = [
        frames.tcp(src="3.3.3.3"),
        frames.udp6(src="2001:db8::3"),
        bytes(eth(IP(src="4.4.4.4", dst="5.5.5.5", proto=89) / Raw(bytes(20)))),
    ]
    r.send(0, frame, *others)
    r.expect(wire={1: [frame]}, drops={"pipe": len(others)})
    assert r.count(entry) == (1, len(frame))


PARSER = {
    "untagged": (
        ParserMeta(outer_l2_type=L2Meta.NO_VLAN),
        {"tcp", "udp", "tcp6", "fragment", "later", "ip", "arp", "vxlan"},
    ),
    "single vlan": (ParserMeta(outer_l2_type=L2Meta.SINGLE_VLAN), {"vlan"}),
    "multi vlan": (ParserMeta(outer_l2_type=L2Meta.MULTI_VLAN), {"qinq"}),
    "ipv4": (
        ParserMeta(outer_l3_type=L3Meta.IPV4),
        {"tcp", "udp", "fragment", "later", "ip", "vlan", "qinq", "vxlan"},
    ),
    "ipv6": (ParserMeta(outer_l3_type=L3Meta.IPV6), {"tcp6"}),
    "neither": (ParserMeta(outer_l3_type=L3Meta.NONE), {"arp"}),
    "tcp": (ParserMeta(outer_l4_type=L4Meta.TCP), {"tcp", "tcp6", "vlan"}),
    "udp": (ParserMeta(outer_l4_type=L4Meta.UDP), {"udp", "qinq", "vxlan", "fragment"}),
    "fragment": (ParserMeta(outer_ip_fragmented=1), {"fragment", "later"}),
    "inner tcp": (ParserMeta(inner_l4_type=L4Meta.TCP), {"vxlan"}),
    "inner ipv4": (ParserMeta(inner_l3_type=L3Meta.IPV4), {"vxlan"}),
}


@pytest.mark.parametrize("what", PARSER)
def test_parser_meta(rig: MakeRig, what: str) -> None:
    """flow_parser_meta: what the parser found can be matched: tags, versions, protocols, fragments, inner too."""
    meta, hits = PARSER[what]
    packet = IP(src="1.1.1.1", dst="2.2.2.2")
    all_frames = {
        "tcp": frames.tcp(),
        "udp": frames.udp(),
        "tcp6": frames.tcp6(),
        "ip": bytes(eth(IP(src="1.1.1.1", dst="2.2.2.2", proto=253) / Raw(bytes(30)))),
        "arp": bytes(eth(ARP(psrc="1.1.1.1", pdst="2.2.2.2", hwsrc=frames.SRC_MAC))),
        "vlan": bytes(eth(Dot1Q(vlan=5) / packet / TCP())),
        "qinq": bytes(eth(Dot1Q(vlan=5) / Dot1Q(vlan=6) / packet / UDP())),
        "fragment": bytes(eth(IP(src="1.1.1.1", dst="2.2.2.2", flags="MF") / UDP(len=200) / Raw(bytes(32)))),
        "later": bytes(eth(IP(src="1.1.1.1", dst="2.2.2.2", frag=5, proto=17) / Raw(bytes(40)))),
        "vxlan": frames.vxlan(frames.tcp(), 7),
    }
    mask = Match.from_flat(
        dict.fromkeys(Match(parser_meta=meta).flat(), CHANGEABLE)
        or {
            "untagged": {"parser_meta.outer_l2_type": CHANGEABLE},
            "neither": {"parser_meta.outer_l3_type": CHANGEABLE},
        }[what]
    )
    r = rig()
    pipe = r.pipe(
        0,
        name="PARSER_META",
        is_root=True,
        match=Match(parser_meta=meta),
        match_mask=mask,
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
    )
    r.add(pipe)
    r.send(0, *all_frames.values())
    r.expect(
        wire={1: [all_frames[name] for name in all_frames if name in hits]},
        drops={"pipe": len(all_frames) - len(hits)},
    )


def broken(frame: bytes, at: int) -> bytes:
    """`frame` with one byte changed."""
    return frame[:at] + bytes([frame[at] ^ 0x55]) + frame[at + 1 :]


OK = {
    "ip checksum": (
        ParserMeta(outer_ip4_checksum_ok=1),
        broken(frames.tcp(), 24),
        [frames.tcp(), frames.udp()],
    ),
    "tcp checksum": (
        ParserMeta(outer_l4_checksum_ok=1),
        broken(frames.tcp(), 50),
        [frames.tcp(), frames.udp()],
    ),
    "udp checksum": (
        ParserMeta(outer_l4_checksum_ok=1),
        broken(frames.udp(), 41),
        [frames.tcp(), frames.udp()],
    ),
    "inner ip checksum": (
        ParserMeta(inner_ip4_checksum_ok=1),
        frames.vxlan(broken(frames.tcp(), 24), 7),
        [frames.vxlan(frames.tcp(), 7)],
    ),
    "inner tcp checksum": (
        ParserMeta(inner_l4_checksum_ok=1),
        frames.vxlan(broken(frames.tcp(), 50), 7),
        [frames.vxlan(frames.tcp(), 7)],
    ),
}


@pytest.mark.parametrize("what", OK)
def test_parser_meta_checksums(rig: MakeRig, what: str) -> None:
    """flow_parser_meta: packets whose checksums are right hit, a packet with a wrong one does not."""
    meta, bad, good = OK[what]
    r = rig()
    pipe = r.pipe(
        0,
        name="CHECKSUMS",
        is_root=True,
        match=Match(parser_meta=meta),
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
    )
    r.add(pipe)
    r.send(0, bad, *good)
    r.expect(wire={1: good}, drops={"pipe": 1})


def test_parser_meta_l4_ok(rig: MakeRig) -> None:
    """flow_parser_meta: l4_ok is wrong when the L4 header says more than the packet holds; l3 stays right."""
    r = rig()
    pipe = r.pipe(
        0,
        name="L4_OK",
        is_root=True,
        match=Match(parser_meta=ParserMeta(outer_l4_ok=1)),
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
    )
    r.add(pipe)
    long_udp = bytes(eth(IP(src="1.1.1.1", dst="2.2.2.2") / UDP(len=500, chksum=0) / Raw(b"short")))
    r.send(0, frames.udp(), long_udp, frames.tcp())
    r.expect(wire={1: [frames.udp(), frames.tcp()]}, drops={"pipe": 1})


def test_udp_checksum_zero_is_ok(rig: MakeRig) -> None:
    """flow_parser_meta: a UDP checksum of zero over IPv4 means none, and is right."""
    r = rig()
    pipe = r.pipe(
        0,
        name="ZERO",
        is_root=True,
        match=Match(parser_meta=ParserMeta(outer_l4_checksum_ok=1)),
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
    )
    r.add(pipe)
    zero = bytes(eth(IP(src="1.1.1.1", dst="2.2.2.2") / UDP(chksum=0) / Raw(b"none")))
    r.send(0, zero)
    r.expect(wire={1: [zero]})


TUNNELS = {
    "vxlan": (
        Match(tun=Tun.vxlan(CHANGEABLE)),
        Match(tun=Tun.vxlan(0xABCDEF)),
        frames.vxlan(frames.tcp(), 0xABCDEF),
        frames.vxlan(frames.tcp(), 0xABCDEE),
    ),
    "gre key": (
        Match(tun=Tun(key_present=True, gre_key=CHANGEABLE)),
        Match(tun=Tun.gre(key=900)),
        frames.gre(frames.l3(frames.udp()), 0x0800, 900),
        frames.gre(frames.l3(frames.udp()), 0x0800, 901),
    ),
    "gre protocol": (
        Match(tun=Tun.gre(protocol=0x86DD)),
        Match(),
        frames.gre(frames.l3(frames.udp6()), 0x86DD),
        frames.gre(frames.l3(frames.udp()), 0x0800),
    ),
    "geneve": (
        Match(tun=Tun.geneve(CHANGEABLE)),
        Match(tun=Tun.geneve(0x010203)),
        frames.geneve(frames.tcp(), 0x010203),
        frames.geneve(frames.tcp(), 0x010204),
    ),
    "inner addresses": (
        Match(tun=Tun.vxlan(7), inner=HeaderFormat(ip4=Ip4(src_ip=CHANGEABLE), tcp=Tcp(dst_port=CHANGEABLE))),
        Match(inner=HeaderFormat(ip4=Ip4(src_ip="1.2.3.4"), tcp=Tcp(dst_port=80))),
        frames.vxlan(frames.tcp(), 7),
        frames.vxlan(frames.tcp(src="1.2.3.5"), 7),
    ),
    "inner mac": (
        Match(inner=HeaderFormat(eth=Eth(dst_mac=CHANGEABLE))),
        Match(inner=HeaderFormat(eth=Eth(dst_mac=frames.INNER_DST_MAC))),
        frames.vxlan(bytes(eth(IP(src="1.1.1.1", dst="2.2.2.2"), dst=frames.INNER_DST_MAC)), 7),
        frames.vxlan(frames.tcp(), 7),
    ),
    "inner ipv6": (
        Match(inner=HeaderFormat(ip6=Ip6(dst_ip=CHANGEABLE))),
        Match(inner=HeaderFormat(ip6=Ip6(dst_ip="2001:db8::2"))),
        frames.vxlan(frames.tcp6(), 7),
        frames.vxlan(frames.tcp6(dst="2001:db8::3"), 7),
    ),
}


@pytest.mark.parametrize("what", TUNNELS)
def test_match_tunnel(rig: MakeRig, what: str) -> None:
    """Tunnel headers and what they carry are matched; a plain packet has neither."""
    template, value, hit, other = TUNNELS[what]
    r = rig()
    pipe = r.pipe(0, name="TUNNEL", is_root=True, match=template, fwd=FwdPort(port_id=1), fwd_miss=FwdDrop())
    r.add(pipe, match=value)
    r.send(0, hit, other, frames.tcp(src="3.3.3.3", dport=81))
    r.expect(wire={1: [hit]}, drops={"pipe": 2})


def test_later_fragment_has_no_ports(rig: MakeRig) -> None:
    """The ports of a later fragment read as zero, whatever its bytes are."""
    r = rig()
    pipe = r.pipe(0, name="PORTS", is_root=True, match=TUPLE_UDP, fwd=FwdPort(port_id=1), fwd_miss=FwdDrop())
    r.add(pipe, match=tuple4("udp"))
    later = bytes(
        eth(
            IP(src="1.2.3.4", dst="8.8.8.8", frag=5, proto=17)
            / Raw(bytes(UDP(sport=1234, dport=80)) + bytes(16))
        )
    )
    r.send(0, frames.udp(), later)
    r.expect(wire={1: [frames.udp()]}, drops={"pipe": 1})


def test_ipv6_extension_headers(rig: MakeRig) -> None:
    """The transport header is found behind extension headers."""
    r = rig()
    hop_by_hop = Raw(bytes([6, 0, 1, 4, 0, 0, 0, 0]))
    frame = bytes(
        eth(IPv6(src="2001:db8::1", dst="2001:db8::2", nh=0) / hop_by_hop / TCP(sport=1, dport=443))
    )
    pipe = r.pipe(
        0,
        name="EXTENSION",
        is_root=True,
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdDrop(),
        match=Match(
            parser_meta=ParserMeta(outer_l3_type=L3Meta.IPV6, outer_l4_type=L4Meta.TCP),
            outer=HeaderFormat(l3_type=L3Type.IP6, tcp=Tcp(dst_port=CHANGEABLE)),
        ),
    )
    r.add(pipe, match=Match(outer=HeaderFormat(tcp=Tcp(dst_port=443))))
    r.send(0, frame, frames.tcp6())
    r.expect(wire={1: [frame]}, drops={"pipe": 1})


def test_control_pipe_priorities(rig: MakeRig) -> None:
    """A control pipe takes the entry with the lowest priority value; of two equal ones the later."""
    r = rig(ports=3, mode="switch")
    pipe = r.pipe(0, name="CONTROL", type=PipeType.CONTROL, is_root=True)
    both = HeaderFormat(l3_type=L3Type.IP4, transport=Transport(dst_port=80))
    r.add(pipe, match=Match(parser_meta=TCP4, outer=both), priority=1, fwd=FwdPort(port_id=1))
    r.add(pipe, match=Match(outer=both), priority=3, fwd=FwdPort(port_id=0))
    r.add(
        pipe,
        match=Match(parser_meta=ParserMeta(outer_l3_type=L3Meta.IPV4), outer=both),
        priority=3,
        fwd=FwdPort(port_id=2),
    )
    r.add(pipe, priority=7, fwd=FwdDrop())
    r.send(0, frames.tcp(), frames.udp(), frames.tcp(dport=1), frames.udp6())
    r.expect(wire={1: [frames.tcp()], 2: [frames.udp()], 0: [frames.udp6()]}, drops={"pipe": 1})


def test_port_id(rig: MakeRig) -> None:
    """parser_meta.port_id is the logical id of the port that received the packet."""
    r = rig(ports=2)
    for port in (0, 1):
        pipe = r.pipe(
            port,
            name="SOURCE",
            is_root=True,
            match=Match(parser_meta=ParserMeta(port_id=CHANGEABLE)),
            fwd=FwdPort(port_id=peer(port)),
            fwd_miss=FwdDrop(),
        )
        r.add(pipe, match=Match(parser_meta=ParserMeta(port_id=1)))
    r.send(0, frames.tcp())
    r.send(1, frames.udp())
    r.expect(wire={0: [frames.udp()]}, drops={"pipe": 1})


def test_malformed(rig: MakeRig) -> None:
    """Frames too short for the headers that they announce are dropped by reason and reach no pipe."""
    r = rig()
    r.requires("malformed frames")
    pipe = r.pipe(0, name="ALL", is_root=True, fwd=FwdPort(port_id=1), monitor=COUNT)
    entry = r.add(pipe, monitor=COUNT)
    good = frames.tcp()
    tagged = bytes(eth(Dot1Q(vlan=5) / IP(src="1.1.1.1", dst="2.2.2.2")))
    r.send(0, good, good[:20], frames.tcp6()[:50], tagged[:16], good[:14] + b"\x4f" + good[15:40])
    r.expect(wire={1: [good]}, drops={"malformed": 4})
    assert r.count(entry) == (1, len(good))


def test_parser_meta_l3_ok(rig: MakeRig) -> None:
    """flow_parser_meta: an IP header with a wrong length or version is not ok, and is judged nevertheless."""
    r = rig()
    r.requires("wrong IP headers")
    rest = r.pipe(0, name="REST", fwd=FwdPort(port_id=0))
    r.add(rest)
    pipe = r.pipe(
        0,
        name="L3_OK",
        is_root=True,
        match=Match(parser_meta=ParserMeta(outer_l3_ok=1)),
        fwd=FwdPort(port_id=1),
        fwd_miss=FwdPipe(pipe=rest),
    )
    r.add(pipe)
    good = frames.tcp()
    bad = [
        good[:16] + b"\xff\xff" + good[18:],
        good[:14] + b"\x42" + good[15:],
        good[:14] + b"\x55" + good[15:],
    ]
    r.send(0, good, *bad)
    r.expect(wire={1: [good], 0: bad})
