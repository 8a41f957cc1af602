# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Packet headers, metadata and the match made of them, as ``doca_flow_match`` has them.

Numbers are written in host order (the layer below stores them big-endian where DOCA does), addresses as
strings, integers or ``ipaddress`` objects. Zero means "ignored" in a match and "untouched" in actions,
``CHANGEABLE`` (all ones) "supplied by each entry"; with an explicit mask the mask decides, as in DOCA.

Type selectors (``l3_type``, ``l4_type_ext``, ``tun.type``, ``l2_valid_headers``) follow from the headers
that are filled in; state them yourself when a header has only zero values. They select how fields are read
and do *not* check the packet: gate with ``ParserMeta`` for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from appliance.flow import fields
from appliance.flow.enums import GreType, L3Type, L4TypeExt, TunType, VxlanType
from appliance.flow.values import (
    CHANGEABLE,
    Ip4Value,
    Ip6Value,
    MacValue,
    Value,
    at,
    flatten,
    parse_ip4,
    parse_ip6,
    parse_mac,
    sequence,
    unflatten,
)

_NUMBERS = (fields.Kind.U8, fields.Kind.BE16, fields.Kind.BE32)


@dataclass(frozen=True, slots=True, repr=False)
class Meta(Value):
    """``struct doca_flow_meta``: ``pkt_meta`` travels with the packet to software, ``u32`` is scratch
    inside the pipeline.

    Matching on meta always needs an explicit mask. ``u32`` takes up to 10 words and is padded with zeros.
    """

    pkt_meta: int = 0
    u32: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self._ints(pkt_meta=32)
        self._tuple("u32", fields.META_U32, 32)


@dataclass(frozen=True, slots=True, repr=False)
class ParserMeta(Value):
    """``struct doca_flow_parser_meta``: what the parser found; read-only.

    ``port_id`` is the logical id of the port that received the packet. The ``*_type`` members take
    ``L2Meta``, ``L3Meta``, ``L4Meta``; ``*_ok`` and ``*_fragmented`` are 0 or 1.
    """

    port_id: int = 0
    random: int = 0
    meter_color: int = 0
    outer_l2_type: int = 0
    outer_l3_type: int = 0
    outer_l4_type: int = 0
    inner_l2_type: int = 0
    inner_l3_type: int = 0
    inner_l4_type: int = 0
    outer_ip_fragmented: int = 0
    outer_l3_ok: int = 0
    outer_ip4_checksum_ok: int = 0
    outer_l4_ok: int = 0
    outer_l4_checksum_ok: int = 0
    inner_ip_fragmented: int = 0
    inner_l3_ok: int = 0
    inner_ip4_checksum_ok: int = 0
    inner_l4_ok: int = 0
    inner_l4_checksum_ok: int = 0

    def __post_init__(self) -> None:
        self._ints(**{str(row.path[0]): row.bits for row in fields.PARSER_META})


@dataclass(frozen=True, slots=True, repr=False)
class Eth(Value):
    """``struct doca_flow_header_eth``. ``type`` is the ethertype behind the VLAN tags."""

    src_mac: MacValue = 0
    dst_mac: MacValue = 0
    type: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "src_mac", parse_mac(self.src_mac))
        object.__setattr__(self, "dst_mac", parse_mac(self.dst_mac))
        self._ints(src_mac=48, dst_mac=48, type=16)


@dataclass(frozen=True, slots=True, repr=False)
class Ip4(Value):
    """``struct doca_flow_header_ip4``. ``flags_fragment_offset`` holds 3 flag bits and 13 bits of offset
    in 8-byte units.
    """

    src_ip: Ip4Value = 0
    dst_ip: Ip4Value = 0
    version_ihl: int = 0
    dscp_ecn: int = 0
    total_len: int = 0
    identification: int = 0
    flags_fragment_offset: int = 0
    next_proto: int = 0
    ttl: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "src_ip", parse_ip4(self.src_ip))
        object.__setattr__(self, "dst_ip", parse_ip4(self.dst_ip))
        self._ints(
            src_ip=32,
            dst_ip=32,
            version_ihl=8,
            dscp_ecn=8,
            total_len=16,
            identification=16,
            flags_fragment_offset=16,
            next_proto=8,
            ttl=8,
        )


@dataclass(frozen=True, slots=True, repr=False)
class Ip6(Value):
    """``struct doca_flow_header_ip6``. ``flow_label`` holds 12 reserved bits and 20 bits of label."""

    src_ip: Ip6Value = 0
    dst_ip: Ip6Value = 0
    traffic_class: int = 0
    flow_label: int = 0
    payload_len: int = 0
    next_proto: int = 0
    hop_limit: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "src_ip", parse_ip6(self.src_ip))
        object.__setattr__(self, "dst_ip", parse_ip6(self.dst_ip))
        self._ints(
            src_ip=128, dst_ip=128, traffic_class=8, flow_label=20, payload_len=16, next_proto=8, hop_limit=8
        )


@dataclass(frozen=True, slots=True, repr=False)
class Tcp(Value):
    """``struct doca_flow_header_tcp``. ``data_offset`` is the raw byte, header length in words in its upper
    four bits; ``flags`` takes ``TcpFlags``."""

    src_port: int = 0
    dst_port: int = 0
    data_offset: int = 0
    flags: int = 0
    seq_num: int = 0
    ack_num: int = 0

    def __post_init__(self) -> None:
        self._ints(src_port=16, dst_port=16, data_offset=8, flags=8, seq_num=32, ack_num=32)


@dataclass(frozen=True, slots=True, repr=False)
class Udp(Value):
    """``struct doca_flow_header_udp``."""

    src_port: int = 0
    dst_port: int = 0

    def __post_init__(self) -> None:
        self._ints(src_port=16, dst_port=16)


@dataclass(frozen=True, slots=True, repr=False)
class Icmp(Value):
    """``struct doca_flow_header_icmp``, for ICMP and ICMPv6."""

    type: int = 0
    code: int = 0
    ident: int = 0

    def __post_init__(self) -> None:
        self._ints(type=8, code=8, ident=16)


@dataclass(frozen=True, slots=True, repr=False)
class Transport(Value):
    """``struct doca_flow_header_l4_port``: the ports of TCP or UDP, whichever the packet has."""

    src_port: int = 0
    dst_port: int = 0

    def __post_init__(self) -> None:
        self._ints(src_port=16, dst_port=16)


@dataclass(frozen=True, slots=True, repr=False)
class HeaderFormat(Value):
    """``struct doca_flow_header_format``: one layer, outer or inner.

    In C, ``ip4``/``ip6`` and the L4 headers share memory: fill one of each. ``eth_vlan`` are the TCIs,
    outermost first.
    """

    eth: Eth = Eth()
    l2_valid_headers: int = 0
    eth_vlan: tuple[int, ...] = ()
    l3_type: L3Type = L3Type.NONE
    ip4: Ip4 = Ip4()
    ip6: Ip6 = Ip6()
    l4_type_ext: L4TypeExt = L4TypeExt.NONE
    tcp: Tcp = Tcp()
    udp: Udp = Udp()
    icmp: Icmp = Icmp()
    transport: Transport = Transport()

    def __post_init__(self) -> None:
        put = object.__setattr__
        self._tuple("eth_vlan", fields.VLAN_MAX, 16)
        if not self.l2_valid_headers:
            put(self, "l2_valid_headers", sum(1 << i for i, tci in enumerate(self.eth_vlan) if tci))
        self._ints(l2_valid_headers=16)
        put(self, "l3_type", L3Type(self.l3_type))
        put(self, "l4_type_ext", L4TypeExt(self.l4_type_ext))
        has4, has6 = self.ip4 != Ip4(), self.ip6 != Ip6()
        if has4 and has6:
            raise ValueError("a header is IPv4 or IPv6: fill ip4 or ip6, not both")
        if not self.l3_type and (has4 or has6):
            put(self, "l3_type", L3Type.IP4 if has4 else L3Type.IP6)
        candidates = (
            (L4TypeExt.TCP, self.tcp, Tcp()),
            (L4TypeExt.UDP, self.udp, Udp()),
            (L4TypeExt.ICMP, self.icmp, Icmp()),
            (L4TypeExt.TRANSPORT, self.transport, Transport()),
        )
        l4 = [kind for kind, value, empty in candidates if value != empty]
        if len(l4) > 1:
            names = " and ".join(kind.name.lower() for kind in l4)
            raise ValueError(f"one L4 header at a time: {names} are filled in")
        if not self.l4_type_ext and l4:
            icmp6 = l4[0] is L4TypeExt.ICMP and self.l3_type is L3Type.IP6
            put(self, "l4_type_ext", L4TypeExt.ICMP6 if icmp6 else l4[0])


@dataclass(frozen=True, slots=True, repr=False)
class Tun(Value):
    """``struct doca_flow_tun``. The classmethods build the usual ones from plain numbers.

    ``nvgre_vs_id`` and ``geneve_vni`` are DOCA's words: 24 bits of id, then 8 reserved bits (id 100 is
    ``100 << 8``); ``vxlan_tun_id`` is the plain VNI, and VXLAN's last byte ``vxlan_tun_rsvd1``.
    """

    type: TunType = TunType.NONE
    vxlan_type: VxlanType = VxlanType.STANDARD
    vxlan_gpe_flags: int = 0
    vxlan_gpe_next_protocol: int = 0
    vxlan_gbp_group_policy_id: int = 0
    vxlan_tun_id: int = 0
    vxlan_tun_rsvd1: int = 0
    gre_type: GreType = GreType.STANDARD
    protocol: int = 0
    key_present: bool = False
    gre_key: int = 0
    nvgre_vs_id: int = 0
    nvgre_flow_id: int = 0
    gtp_teid: int = 0
    gtp_next_ext_hdr_type: int = 0
    gtp_ext_psc_qfi: int = 0
    esp_spi: int = 0
    esp_sn: int = 0
    mpls: tuple[int, ...] = ()
    geneve_ver_opt_len: int = 0
    geneve_o_c: int = 0
    geneve_next_proto: int = 0
    geneve_vni: int = 0

    _TYPE_OF: ClassVar[dict[str, TunType]] = {
        "vxlan": TunType.VXLAN,
        "gre": TunType.GRE,
        "nvgre": TunType.GRE,
        "gtp": TunType.GTPU,
        "esp": TunType.ESP,
        "geneve": TunType.GENEVE,
    }

    def __post_init__(self) -> None:
        put = object.__setattr__
        self._tuple("mpls", fields.MPLS_LABELS_MAX, 32)
        self._ints(
            **{
                str(row.path[0]): row.bits
                for row in fields.TUN
                if len(row.path) == 1 and row.kind in _NUMBERS
            }
        )
        put(self, "type", TunType(self.type))
        put(self, "vxlan_type", VxlanType(self.vxlan_type))
        put(self, "gre_type", GreType(self.gre_type))
        put(self, "key_present", bool(self.key_present))
        if self.type:
            return
        kinds = {
            self._TYPE_OF.get(row.name.split(".")[0], TunType.MPLS_O_UDP)
            for row in fields.TUN
            if not row.selector and at(self, row.path)
        }
        if len(kinds) > 1:
            names = " and ".join(sorted(kind.name for kind in kinds))
            raise ValueError(f"one tunnel at a time: {names} are filled in")
        for kind in kinds:
            put(self, "type", kind)

    @classmethod
    def vxlan(cls, vni: int) -> Tun:
        """Standard VXLAN with a 24-bit VNI, or ``CHANGEABLE``."""
        return cls(type=TunType.VXLAN, vxlan_tun_id=vni)

    @classmethod
    def gre(cls, key: int | None = None, protocol: int = 0) -> Tun:
        """Standard GRE, with a 32-bit key if one is given; ``protocol`` is an ethertype."""
        return cls(type=TunType.GRE, key_present=key is not None, gre_key=key or 0, protocol=protocol)

    @classmethod
    def geneve(cls, vni: int, next_proto: int = 0) -> Tun:
        """GENEVE without options, with a 24-bit VNI, or ``CHANGEABLE``."""
        raw = CHANGEABLE if vni == CHANGEABLE else vni << 8
        return cls(type=TunType.GENEVE, geneve_vni=raw, geneve_next_proto=next_proto)


def header_of(tree: Mapping[str, Any] | None) -> HeaderFormat:
    if not tree:
        return HeaderFormat()
    parts: dict[str, Any] = dict(tree)
    for name, cls in (
        ("eth", Eth),
        ("ip4", Ip4),
        ("ip6", Ip6),
        ("tcp", Tcp),
        ("udp", Udp),
        ("icmp", Icmp),
        ("transport", Transport),
    ):
        if name in parts:
            parts[name] = cls(**parts[name])
    parts["eth_vlan"] = sequence(parts.get("eth_vlan"))
    return HeaderFormat(**parts)


def tun_of(tree: Mapping[str, Any] | None) -> Tun:
    if not tree:
        return Tun()
    return Tun(**{**tree, "mpls": sequence(tree.get("mpls"))})


def meta_of(tree: Mapping[str, Any] | None) -> Meta:
    return Meta(**{**tree, "u32": sequence(tree.get("u32"))}) if tree else Meta()


@dataclass(frozen=True, slots=True, repr=False)
class Match(Value):
    """``struct doca_flow_match``; also what a match mask is written as."""

    meta: Meta = Meta()
    parser_meta: ParserMeta = ParserMeta()
    outer: HeaderFormat = HeaderFormat()
    tun: Tun = Tun()
    inner: HeaderFormat = HeaderFormat()

    def flat(self) -> dict[str, int]:
        """The non-zero fields by name, for example ``{"outer.ipv4.src_ip": 0x0a000001}``."""
        return flatten(self, fields.MATCH_FIELDS)

    @classmethod
    def from_flat(cls, flat: Mapping[str, int]) -> Match:
        """The inverse of ``flat``; an unknown name or a value too wide raises ``ValueError``."""
        tree = unflatten(flat, fields.MATCH)
        return cls(
            meta_of(tree.get("meta")),
            ParserMeta(**tree.get("parser_meta", {})),
            header_of(tree.get("outer")),
            tun_of(tree.get("tun")),
            header_of(tree.get("inner")),
        )
