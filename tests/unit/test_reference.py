# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The reference interpreter on cases made by hand; frames come from scapy, which also judges the checksums."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import GRE, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN

from appliance.flow.results import Verdict
from appliance.flow.types import (
    CHANGEABLE,
    COUNT,
    ActionDesc,
    Actions,
    CompareOp,
    Condition,
    Decap,
    DefaultMiss,
    DescField,
    Domain,
    Encap,
    EntrySpec,
    Eth,
    FwdChangeable,
    FwdDrop,
    FwdHash,
    FwdOrderedList,
    FwdPipe,
    FwdPort,
    FwdRss,
    FwdTarget,
    HashAlgorithm,
    HeaderFormat,
    Icmp,
    Ip4,
    Ip4Value,
    Ip6,
    L3Meta,
    L4Meta,
    ListActions,
    Match,
    Meta,
    Monitor,
    OrderedList,
    ParserMeta,
    PipeSpec,
    PipeType,
    PushVlan,
    Tcp,
    TcpFlags,
    Transport,
    Tun,
    Udp,
    prefix_mask,
)
from tests.differential.packet import checksum, ones_sum, parse, read, write
from tests.differential.reference import Reference, Result
from tests.differential.strategies import Program, load, programs

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def raw(packet: Any) -> bytes:
    """A scapy packet as bytes."""
    return bytes(packet)


def fixed(frame: bytes) -> bytes:
    """The frame with every checksum and length computed anew by scapy."""
    packet = Ether(frame)
    layer: Any = packet
    while layer:
        for name in ("chksum", "cksum"):
            if (
                name in layer.fields
                and not isinstance(layer, GRE)
                and not (isinstance(layer, UDP) and layer.chksum == 0)
            ):
                del layer.fields[name]
        layer = layer.payload
    return bytes(packet)


TCP_FRAME = raw(ETHER / IP(src="1.2.3.4", dst="8.8.8.8") / TCP(sport=1234, dport=80, flags="S") / b"hello")
UDP_FRAME = raw(ETHER / IP(src="1.2.3.4", dst="8.8.8.8") / UDP(sport=1234, dport=80) / b"hello")
SIX_FRAME = raw(ETHER / IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=5, dport=443) / b"six")

FIVE_TUPLE = Match(
    outer=HeaderFormat(
        ip4=Ip4(src_ip=CHANGEABLE, dst_ip=CHANGEABLE),
        tcp=Tcp(src_port=CHANGEABLE, dst_port=CHANGEABLE),
    )
)


def flow(src: str = "1.2.3.4", dst: str = "8.8.8.8", sport: int = 1234, dport: int = 80) -> Match:
    return Match(outer=HeaderFormat(ip4=Ip4(src_ip=src, dst_ip=dst), tcp=Tcp(src_port=sport, dst_port=dport)))


def two_ports(*pipes: PipeSpec, miss: DefaultMiss = DefaultMiss.DROP) -> Reference:
    reference = Reference()
    reference.port_start(0, miss=miss)
    reference.port_start(1, miss=miss)
    for pipe in pipes:
        reference.pipe_create(0, pipe)
    return reference


def one(reference: Reference, frame: bytes) -> Result:
    (result,) = reference.process(0, frame)
    return result


# -- packets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "packet",
    [
        ETHER / IP() / TCP() / b"x",
        ETHER / Dot1Q(vlan=5) / IP(options=[b"\x94\x04\x00\x00"]) / UDP() / b"xyz",
        ETHER / IPv6() / IPv6ExtHdrHopByHop() / TCP() / b"xx",
        ETHER / IPv6() / UDP() / b"odd",
        ETHER / IP() / ICMP() / b"ping",
        ETHER / IP() / UDP(chksum=0) / VXLAN(vni=5) / Ether() / IP() / TCP() / b"in",
        ETHER / IP() / GRE(key_present=1, key=7) / IP() / UDP() / b"in",
    ],
    ids=lambda packet: packet.summary(),
)
def test_checksums_follow_writes(packet: Any) -> None:
    """A field written changes in the bytes, and scapy agrees with the checksums afterwards."""
    frame = raw(packet)
    parsed = parse(frame)
    names = [
        n
        for n in parsed.places
        if n.endswith((".src_ip", ".ttl", ".hop_limit", "tcp.src_port", "icmp.ident"))
    ]
    assert names
    for name in names:
        new = write(frame, parsed, name, 0x77)
        assert read(new, parse(new), name) == 0x77
        assert new == fixed(new), name


def test_parser_meta() -> None:
    meta = parse(raw(ETHER / Dot1Q() / Dot1Q() / IP() / TCP())).meta
    assert meta["outer_l2_type"] == 1
    assert meta["outer_l3_type"] == L3Meta.IPV4
    assert meta["outer_l4_type"] == L4Meta.TCP
    assert meta["outer_ip4_checksum_ok"] == meta["outer_l4_checksum_ok"] == 1
    assert parse(raw(ETHER / IP() / UDP(chksum=1))).meta["outer_l4_checksum_ok"] == 0
    later = parse(raw(ETHER / IPv6() / IPv6ExtHdrFragment(offset=5) / (b"x" * 20)))
    assert later.meta["outer_ip_fragmented"] == 1
    assert "outer.tcp.src_port" not in later.places


def test_absent_layers_read_as_zero() -> None:
    parsed = parse(SIX_FRAME)
    assert read(SIX_FRAME, parsed, "outer.ipv4.src_ip") == 0
    assert write(SIX_FRAME, parsed, "outer.ipv4.src_ip", 5) == SIX_FRAME


def test_cut_frames_never_fail() -> None:
    frame = raw(ETHER / Dot1Q() / IP() / UDP() / VXLAN() / Ether() / IPv6() / TCP())
    for length in range(len(frame)):
        parsed = parse(frame[:length])
        for name in parsed.places:
            read(frame[:length], parsed, name)


def test_one_complement() -> None:
    assert ones_sum(b"\xff\xff\x00\x01") == 1
    assert checksum(b"") == 0xFFFF


# -- matching ------------------------------------------------------------------------------------------------------


def test_five_tuple() -> None:
    reference = two_ports(
        PipeSpec(
            name="root", is_root=True, match=FIVE_TUPLE, fwd=FwdPort(1), monitor=COUNT, miss_counter=True
        )
    )
    entry = reference.entry_add("root", EntrySpec(match=flow()))
    assert one(reference, TCP_FRAME) == Result(Verdict.PORT, 1, frame=TCP_FRAME)
    assert one(reference, SIX_FRAME).reason == "default_miss"
    # Relaxed matching: l4_type_ext selects where ports are read, it does not check the protocol.
    assert one(reference, UDP_FRAME).verdict is Verdict.PORT
    assert reference.counter(entry).total_pkts == 2
    assert reference.counter(entry).total_bytes == len(TCP_FRAME) + len(UDP_FRAME)
    assert reference.pipes["root"].misses.total_pkts == 1


def test_explicit_masks() -> None:
    """V all-ones and M a flag set: (packet & M) == (E & M). V constant: (packet & M) == (V & M)."""
    flags = TcpFlags.SYN | TcpFlags.FIN | TcpFlags.RST
    match = Match(outer=HeaderFormat(tcp=Tcp(flags=CHANGEABLE), ip4=Ip4(dst_ip="8.8.9.9")))
    mask = Match(outer=HeaderFormat(tcp=Tcp(flags=flags), ip4=Ip4(dst_ip="255.255.0.0", ttl=0)))
    reference = two_ports(PipeSpec(name="root", is_root=True, match=match, match_mask=mask, fwd=FwdPort(1)))
    reference.entry_add("root", EntrySpec(match=Match()))
    assert (
        one(reference, TCP_FRAME).verdict is Verdict.DROP
    )  # 8.8.8.8 & /16 equals 8.8.9.9 & /16, but SYN is set
    ack = raw(ETHER / IP(src="1.2.3.4", dst="8.8.7.7") / TCP(flags="A"))
    assert one(reference, ack).verdict is Verdict.PORT
    elsewhere = raw(ETHER / IP(dst="8.9.0.1") / TCP(flags="A"))
    assert one(reference, elsewhere).verdict is Verdict.DROP


def test_constant_zero_needs_an_explicit_mask() -> None:
    mask = Match(outer=HeaderFormat(tcp=Tcp(flags=TcpFlags.SYN)))
    reference = two_ports(PipeSpec(name="root", is_root=True, match_mask=mask, fwd=FwdPort(1)))
    reference.entry_add("root", EntrySpec())
    assert one(reference, TCP_FRAME).verdict is Verdict.DROP
    assert one(reference, UDP_FRAME).verdict is Verdict.PORT


def test_constant_of_the_pipe_wins_over_the_entry() -> None:
    match = Match(outer=HeaderFormat(ip4=Ip4(dst_ip="8.8.8.8"), tcp=Tcp(dst_port=CHANGEABLE)))
    reference = two_ports(PipeSpec(name="root", is_root=True, match=match, fwd=FwdPort(1)))
    reference.entry_add("root", EntrySpec(match=flow(dst="9.9.9.9")))
    assert one(reference, TCP_FRAME).verdict is Verdict.PORT


def test_lpm_takes_the_longest_prefix() -> None:
    src = Match(outer=HeaderFormat(ip4=Ip4(src_ip=CHANGEABLE)))
    gate = Match(parser_meta=ParserMeta(outer_l3_type=L3Meta.IPV4))
    reference = two_ports(
        PipeSpec(name="root", is_root=True, match=gate, fwd=FwdPipe("lpm"), fwd_miss=FwdDrop()),
        PipeSpec(name="lpm", type=PipeType.LPM, match=src, fwd=FwdChangeable()),
    )
    reference.entry_add("root", EntrySpec())
    for address, length, forward in (
        ("1.2.3.4", 32, FwdPort(1)),
        ("1.2.0.0", 16, FwdDrop()),
        (0, 0, FwdRss((3,))),
    ):
        mask = Match(outer=HeaderFormat(ip4=Ip4(src_ip=prefix_mask(length))))
        match = Match(outer=HeaderFormat(ip4=Ip4(src_ip=address)))
        reference.entry_add("lpm", EntrySpec(match=match, match_mask=mask, fwd=forward))
    frames = [raw(ETHER / IP(src=src) / UDP()) for src in ("1.2.3.4", "1.2.8.9", "172.20.1.4")]
    assert [one(reference, frame).verdict for frame in frames] == [Verdict.PORT, Verdict.DROP, Verdict.RSS]
    assert one(reference, frames[2]).queue == 3


def test_acl_ranges_and_priorities() -> None:
    match = Match(
        outer=HeaderFormat(
            ip4=Ip4(src_ip=CHANGEABLE), transport=Transport(src_port=CHANGEABLE, dst_port=CHANGEABLE)
        )
    )
    reference = two_ports(
        PipeSpec(name="root", is_root=True, match=Match(), fwd=FwdPipe("acl")),
        PipeSpec(name="acl", type=PipeType.ACL, match=match, fwd=FwdChangeable(), fwd_miss=FwdDrop()),
    )
    reference.entry_add("root", EntrySpec())

    def rule(src: Ip4Value, src_mask: Ip4Value, low: int, high: int, priority: int, forward: Any) -> None:
        value = Match(outer=HeaderFormat(ip4=Ip4(src_ip=src), transport=Transport(dst_port=low)))
        mask = Match(outer=HeaderFormat(ip4=Ip4(src_ip=src_mask), transport=Transport(dst_port=high)))
        reference.entry_add("acl", EntrySpec(match=value, match_mask=mask, priority=priority, fwd=forward))

    rule(0, 0, 80, 3000, 20, FwdPort(1))
    rule("1.2.3.4", "255.255.255.255", 0, 0, 30, FwdTarget())
    rule("1.2.3.5", "255.255.255.255", 90, 90, 10, FwdDrop())

    def verdict(src: str, port: int) -> Verdict:
        return one(reference, raw(ETHER / IP(src=src) / UDP(dport=port))).verdict

    assert verdict("5.5.5.5", 80) is verdict("5.5.5.5", 3000) is Verdict.PORT
    assert verdict("5.5.5.5", 79) is verdict("5.5.5.5", 3001) is Verdict.DROP
    assert verdict("1.2.3.4", 79) is Verdict.KERNEL
    assert verdict("1.2.3.5", 90) is Verdict.DROP
    rule("1.2.3.5", "255.255.255.255", 90, 90, 10, FwdPort(1))  # equal priority: the later one wins
    assert verdict("1.2.3.5", 90) is Verdict.PORT


def test_control_pipe_with_conditions() -> None:
    reference = two_ports(PipeSpec(name="root", type=PipeType.CONTROL, is_root=True))
    condition = Condition(CompareOp.LT, DescField("outer.tcp.seq_num"), width=32)
    reference.entry_add(
        "root",
        EntrySpec(
            match=Match(outer=HeaderFormat(tcp=Tcp(seq_num=10))),
            condition=condition,
            priority=1,
            fwd=FwdPort(1),
            monitor=COUNT,
        ),
    )
    reference.entry_add("root", EntrySpec(priority=7, fwd=FwdDrop()))
    assert one(reference, raw(ETHER / IP() / TCP(seq=9))).verdict is Verdict.PORT
    assert one(reference, raw(ETHER / IP() / TCP(seq=10))).verdict is Verdict.DROP


# -- forwarding ----------------------------------------------------------------------------------------------------


def test_miss_rules() -> None:
    reference = two_ports(
        PipeSpec(name="root", is_root=True, match=FIVE_TUPLE, fwd=FwdPort(1)), miss=DefaultMiss.RSS
    )
    assert one(reference, TCP_FRAME).verdict is Verdict.RSS
    reference.update_miss("root", FwdDrop())
    assert one(reference, TCP_FRAME).reason == "pipe"
    assert reference.process(1, TCP_FRAME)[0].reason == "no_pipeline"
    assert reference.process(0, TCP_FRAME[:13])[0].reason == "malformed"


def test_egress_domain() -> None:
    reference = two_ports(
        PipeSpec(name="root", is_root=True, fwd=FwdPort(1), actions=(Actions(meta=Meta(pkt_meta=7)),)),
    )
    reference.pipe_create(
        1,
        PipeSpec(
            name="egress",
            is_root=True,
            domain=Domain.EGRESS,
            match=Match(meta=Meta(pkt_meta=7)),
            match_mask=Match(meta=Meta(pkt_meta=CHANGEABLE)),
            actions=(Actions(push=PushVlan(9)),),
            fwd=FwdPort(1),
        ),
    )
    reference.entry_add("root", EntrySpec())
    reference.entry_add("egress", EntrySpec())
    result = one(reference, TCP_FRAME)
    assert result.verdict is Verdict.PORT
    assert result.frame == TCP_FRAME[:12] + b"\x81\x00\x00\x09" + TCP_FRAME[12:]
    assert result.pkt_meta == 7


def test_a_loop_ends() -> None:
    reference = two_ports(PipeSpec(name="root", is_root=True, fwd=FwdPipe("root")))
    reference.entry_add("root", EntrySpec())
    assert one(reference, TCP_FRAME).reason == "depth"


def test_switch_mode_judges_by_the_manager() -> None:
    reference = Reference()
    for port in range(3):
        reference.port_start(port, 0)
    match = Match(parser_meta=ParserMeta(port_id=CHANGEABLE))
    reference.pipe_create(0, PipeSpec(name="root", is_root=True, match=match, fwd=FwdChangeable()))
    reference.entry_add("root", EntrySpec(match=Match(parser_meta=ParserMeta(port_id=2)), fwd=FwdPort(1)))
    assert reference.process(2, TCP_FRAME)[0].port == 1
    assert reference.process(1, TCP_FRAME)[0].verdict is Verdict.DROP


def test_flooding_copies_own_their_bytes() -> None:
    change = Actions(outer=HeaderFormat(ip4=Ip4(src_ip=CHANGEABLE)))
    reference = two_ports(
        PipeSpec(name="root", is_root=True, fwd=FwdHash("flood", HashAlgorithm.FLOODING)),
        PipeSpec(name="flood", type=PipeType.HASH, nr_entries=2, actions=(change,), fwd=FwdChangeable()),
    )
    reference.entry_add("root", EntrySpec())
    for index, address in enumerate(("2.2.2.2", "3.3.3.3")):
        actions = Actions(outer=HeaderFormat(ip4=Ip4(src_ip=address)))
        reference.entry_add("flood", EntrySpec(index=index, actions=actions, fwd=FwdPort(index)))
    results = reference.process(0, TCP_FRAME)
    assert [Ether(result.frame)[IP].src for result in results] == ["2.2.2.2", "3.3.3.3"]
    assert [result.port for result in results] == [0, 1]


def test_ordered_list_runs_in_its_order() -> None:
    count, change = COUNT, ListActions(Actions(push=PushVlan(5)))
    reference = two_ports(
        PipeSpec(name="root", is_root=True, fwd=FwdOrderedList("list", 1)),
        PipeSpec(
            name="list",
            type=PipeType.ORDERED_LIST,
            nr_entries=2,
            ordered_lists=(OrderedList(0, (count, change)), OrderedList(1, (change, count))),
            fwd=FwdPort(1),
        ),
    )
    reference.entry_add("root", EntrySpec())
    entries = [
        reference.entry_add("list", EntrySpec(index=i, ordered_list=OrderedList(i, ()))) for i in range(2)
    ]
    assert len(one(reference, TCP_FRAME).frame) == len(TCP_FRAME) + 4
    assert reference.counter(entries[1]).total_bytes == len(TCP_FRAME) + 4
    assert reference.counter(entries[0]).total_pkts == 0


# -- actions -------------------------------------------------------------------------------------------------------


def act(
    actions: Actions,
    frame: bytes = TCP_FRAME,
    mask: Actions | None = None,
    descs: tuple[ActionDesc, ...] = (),
    entry: Actions | None = None,
) -> Result:
    """What a single pipe with these actions makes of a frame."""
    reference = two_ports(
        PipeSpec(
            name="root",
            is_root=True,
            fwd=FwdPort(1),
            actions=(actions,),
            actions_masks=(mask,),
            action_descs=(descs,),
        )
    )
    reference.entry_add("root", EntrySpec(actions=entry))
    return one(reference, frame)


def test_set_constant_changeable_and_zero() -> None:
    template = Actions(
        outer=HeaderFormat(
            eth=Eth(dst_mac="aa:bb:cc:dd:ee:ff"), ip4=Ip4(dst_ip=CHANGEABLE), tcp=Tcp(dst_port=81)
        )
    )
    entry = Actions(outer=HeaderFormat(eth=Eth(dst_mac=1), ip4=Ip4(dst_ip="9.9.9.9")))
    frame = act(template, entry=entry).frame
    packet = Ether(frame)
    assert (packet.dst, packet[IP].dst, packet[TCP].dport) == ("aa:bb:cc:dd:ee:ff", "9.9.9.9", 81)
    assert frame == fixed(frame)
    mask = Actions(outer=HeaderFormat(ip4=Ip4(ttl=CHANGEABLE)))
    assert Ether(act(Actions(), mask=mask).frame)[IP].ttl == 0


def test_masked_bits_only() -> None:
    value = Actions(outer=HeaderFormat(ip4=Ip4(dst_ip="9.9.9.9")))
    mask = Actions(outer=HeaderFormat(ip4=Ip4(dst_ip="0.0.255.0")))
    assert Ether(act(value, mask=mask).frame)[IP].dst == "8.8.9.8"


def test_add_and_copy() -> None:
    down = Actions(outer=HeaderFormat(ip4=Ip4(ttl=-1)))
    frame = act(down, descs=(ActionDesc.add("outer.ipv4.ttl"),)).frame
    assert Ether(frame)[IP].ttl == 63
    assert frame == fixed(frame)
    lengths = (
        ActionDesc.copy("outer.ipv4.version_ihl", DescField.pkt_meta(2), 4),
        ActionDesc.add(DescField.pkt_meta(2), "outer.tcp.data_offset", 4),
    )
    assert act(Actions(), descs=lengths).pkt_meta == 40
    mac = (ActionDesc.copy(DescField("outer.eth.src_mac", 32), DescField.pkt_meta(), 16),)
    assert act(Actions(), descs=mac).pkt_meta == 0x0200


def test_vlan_push_and_pop() -> None:
    tagged = act(Actions(push=PushVlan(0x123))).frame
    assert raw(Ether(src=ETHER.src, dst=ETHER.dst) / Dot1Q(vlan=0x123) / Ether(TCP_FRAME)[IP]) == tagged
    assert act(Actions(pop_vlan=True), tagged).frame == TCP_FRAME
    assert act(Actions(pop_vlan=True), TCP_FRAME).frame == TCP_FRAME


VXLAN_ENCAP = Encap(
    outer=HeaderFormat(
        eth=Eth(src_mac="02:00:00:00:00:0a", dst_mac="02:00:00:00:00:0b"),
        ip4=Ip4(src_ip="10.0.0.1", dst_ip="10.0.0.2", ttl=17, flags_fragment_offset=0x4000),
        udp=Udp(src_port=0, dst_port=4789),
    ),
    tun=Tun.vxlan(0xADADAD),
)


def test_vxlan_encap_and_decap() -> None:
    out = act(Actions(encap=VXLAN_ENCAP)).frame
    expected = (
        Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:00:0b")
        / IP(src="10.0.0.1", dst="10.0.0.2", ttl=17, flags="DF", id=0)
        / UDP(sport=0, dport=4789, chksum=0)
        / VXLAN(vni=0xADADAD, flags=8)
        / Ether(TCP_FRAME)
    )
    assert out == raw(expected)
    assert act(Actions(decap=Decap(is_l2=True)), out).frame == TCP_FRAME
    assert act(Actions(decap=Decap(is_l2=True)), TCP_FRAME).reason == "action_failed"
    match = Match(tun=Tun.vxlan(0xADADAD), inner=HeaderFormat(tcp=Tcp(dst_port=80)))
    reference = two_ports(PipeSpec(name="root", is_root=True, match=match, fwd=FwdPort(1)))
    reference.entry_add("root", EntrySpec())
    assert one(reference, out).verdict is Verdict.PORT
    assert one(reference, TCP_FRAME).verdict is Verdict.DROP


def test_l3_tunnel() -> None:
    config = Encap(
        HeaderFormat(ip6=Ip6(src_ip="fd::1", dst_ip="fd::2", hop_limit=9)), Tun.gre(5), is_l2=False
    )
    out = act(Actions(encap=config)).frame
    packet = Ether(out)
    assert packet[GRE].proto == 0x0800
    assert packet[IP].dst == "8.8.8.8"
    assert packet[IPv6].plen == len(out) - 54
    eth = Eth(src_mac="02:00:00:00:00:01", dst_mac="02:00:00:00:00:02")
    assert act(Actions(decap=Decap(is_l2=False, eth=eth)), out).frame == TCP_FRAME


def test_changeable_encap_fields() -> None:
    template = Encap(
        HeaderFormat(ip4=Ip4(src_ip="1.1.1.1", dst_ip=CHANGEABLE, ttl=9), udp=Udp(dst_port=4789)),
        Tun.vxlan(CHANGEABLE),
    )
    entry = Encap(HeaderFormat(ip4=Ip4(dst_ip="2.2.2.2")), Tun.vxlan(5))
    packet = Ether(act(Actions(encap=template), entry=Actions(encap=entry)).frame)
    assert (packet[IP].dst, packet[IP].src, packet[VXLAN].vni) == ("2.2.2.2", "1.1.1.1", 5)


def test_icmp_fields() -> None:
    match = Match(outer=HeaderFormat(icmp=Icmp(type=8, ident=CHANGEABLE)))
    reference = two_ports(PipeSpec(name="root", is_root=True, match=match, fwd=FwdPort(1)))
    reference.entry_add("root", EntrySpec(match=Match(outer=HeaderFormat(icmp=Icmp(ident=3)))))
    assert one(reference, raw(ETHER / IP() / ICMP(type=8, id=3))).verdict is Verdict.PORT
    assert one(reference, raw(ETHER / IP() / ICMP(type=0, id=3))).verdict is Verdict.DROP


def test_shared_counters_add_up() -> None:
    reference = two_ports(
        PipeSpec(name="root", is_root=True, match=FIVE_TUPLE, fwd=FwdPort(1), monitor=Monitor(counter=4))
    )
    for port in (80, 81):
        reference.entry_add("root", EntrySpec(match=flow(dport=port)))
        one(reference, raw(ETHER / IP(src="1.2.3.4", dst="8.8.8.8") / TCP(sport=1234, dport=port)))
    assert reference.shared_counters[4].total_pkts == 2


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_random_programs_run(program: Program) -> None:
    """Every packet of every random program ends somewhere, and counters add up to what roots have seen."""
    reference = load(program)
    for port, frame, pkt_meta in program.packets:
        results = reference.process(port, frame, pkt_meta)
        assert results
        assert all(result.reason or result.verdict is not Verdict.DROP for result in results)
