# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What random pipes look at and do: fields, values that packets have, match templates, action templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from appliance.flow import fields
from appliance.flow.types import (
    CHANGEABLE,
    ActionDesc,
    Actions,
    Decap,
    DescField,
    Encap,
    Eth,
    HeaderFormat,
    Ip4,
    Ip6,
    L3Type,
    L4TypeExt,
    Match,
    PushVlan,
    ResourceType,
    Tun,
    TunType,
    Udp,
    prefix_mask,
)
from tests.differential import frames as fr
from tests.differential.packet import Parsed, read

# Values that packets have, by the end of a field's name.
POOLS: dict[str, Sequence[int]] = {
    "eth.src_mac": fr.MACS,
    "eth.dst_mac": fr.MACS,
    "eth.type": (0x0800, 0x86DD, 0x0806),
    "eth_vlan0.tci": fr.TCIS,
    "eth_vlan1.tci": fr.TCIS,
    "ipv4.src_ip": fr.IP4S,
    "ipv4.dst_ip": fr.IP4S,
    "ipv4.ttl": fr.TTLS,
    "ipv4.dscp_ecn": fr.DSCPS,
    "ipv4.next_proto": (1, 6, 17),
    "ipv4.flags_fragment_offset": (0x4000, 0x2000, 0x2010),
    "ipv6.src_ip": fr.IP6S,
    "ipv6.dst_ip": fr.IP6S,
    "ipv6.hop_limit": fr.TTLS,
    "ipv6.traffic_class": fr.DSCPS,
    "ipv6.flow_label": (0, 0x55555),
    "ipv6.next_proto": (6, 17, 58),
    "src_port": fr.PORTS,
    "dst_port": fr.PORTS,
    "tcp.flags": fr.TCP_FLAGS,
    "tcp.seq_num": fr.SEQS,
    "icmp.type": fr.ICMP_TYPES,
    "icmp.ident": fr.IDENTS,
    "vxlan.vxlan_tun_id": fr.VNIS,
    "geneve.vni": tuple(vni << 8 for vni in fr.VNIS),
    "gre.gre_key": fr.KEYS,
    "gre.protocol": (0x0800, 0x86DD, 0x6558),
    "meta.pkt_meta": (0, 1, 2),
    "meta.u32[0]": (0, 1, 2),
    "meta.u32[4]": (0, 1, 2),
    "parser_meta.port_id": (0, 1, 2),
    "_l2_type": (0, 1, 2, 3),
    "_l3_type": (0, 1, 2),
    "_l4_type": (0, 1, 2, 3),
    "_fragmented": (0, 1),
    "_ok": (0, 1),
}

META_FIELDS = ("meta.pkt_meta", "meta.u32[0]", "meta.u32[4]")
PARSER_FIELDS = (
    "parser_meta.port_id", "parser_meta.outer_l2_type", "parser_meta.outer_l3_type", "parser_meta.outer_l4_type",
    "parser_meta.inner_l3_type", "parser_meta.outer_ip_fragmented", "parser_meta.outer_l3_ok",
    "parser_meta.outer_ip4_checksum_ok", "parser_meta.outer_l4_ok", "parser_meta.outer_l4_checksum_ok",
    "parser_meta.inner_l3_ok",
)  # fmt: skip
L2_FIELDS = ("eth.src_mac", "eth.dst_mac", "eth.type", "eth_vlan0.tci")
IP4_FIELDS = (
    "ipv4.src_ip",
    "ipv4.dst_ip",
    "ipv4.ttl",
    "ipv4.dscp_ecn",
    "ipv4.next_proto",
    "ipv4.flags_fragment_offset",
)
IP6_FIELDS = (
    "ipv6.src_ip",
    "ipv6.dst_ip",
    "ipv6.hop_limit",
    "ipv6.traffic_class",
    "ipv6.flow_label",
    "ipv6.next_proto",
)
L4_FIELDS = {
    "tcp": ("tcp.src_port", "tcp.dst_port", "tcp.flags", "tcp.seq_num"),
    "udp": ("udp.src_port", "udp.dst_port"),
    "transport": ("transport.src_port", "transport.dst_port"),
    "icmp": ("icmp.type", "icmp.ident"),
    "": (),
}
TUNNEL_FIELDS = {
    TunType.NONE: (),
    TunType.VXLAN: ("tunnel.vxlan.vxlan_tun_id",),
    TunType.GENEVE: ("tunnel.geneve.vni",),
    TunType.GRE: ("tunnel.gre.gre_key", "tunnel.gre.protocol"),
}


def pool(name: str) -> Sequence[int]:
    """The values for a field."""
    for end, values in POOLS.items():
        if name.endswith(end):
            return values
    raise KeyError(name)


@dataclass(slots=True)
class Shape:
    """The fields that a pipe may look at, with the selectors that go with them."""

    names: list[str]
    selectors: dict[str, int] = field(default_factory=dict)


@st.composite
def shapes(draw: st.DrawFn, meta: bool = True) -> Shape:
    """One L3 and one L4 header per layer, one tunnel."""
    shape = Shape([*PARSER_FIELDS, *(META_FIELDS if meta else ())])
    tunnel = draw(st.sampled_from((TunType.NONE, TunType.NONE, *TUNNEL_FIELDS)))
    for layer in ("outer", "inner") if tunnel else ("outer",):
        shape.names += [f"{layer}.{name}" for name in L2_FIELDS]
        l3 = draw(st.sampled_from((L3Type.IP4, L3Type.IP4, L3Type.IP6)))
        shape.names += [f"{layer}.{name}" for name in (IP4_FIELDS if l3 is L3Type.IP4 else IP6_FIELDS)]
        l4 = draw(st.sampled_from(tuple(L4_FIELDS)))
        shape.names += [f"{layer}.{name}" for name in L4_FIELDS[l4]]
        shape.selectors[f"{layer}.l3_type"] = l3
        if l4:
            six = l4 == "icmp" and l3 is L3Type.IP6
            shape.selectors[f"{layer}.l4_type_ext"] = L4TypeExt.ICMP6 if six else L4TypeExt[l4.upper()]
        shape.selectors[f"{layer}.l2_valid_headers"] = 1
    shape.names += TUNNEL_FIELDS[tunnel]
    if tunnel:
        shape.selectors["tunnel.type"] = tunnel
    return shape


def build(flat: dict[str, int], shape: Shape) -> Match:
    """A match of flat values, with the shape's selectors for the headers that are used."""
    used = {
        name: value for name, value in shape.selectors.items() if any(belongs(name, other) for other in flat)
    }
    return Match.from_flat({**flat, **used})


def belongs(selector: str, name: str) -> bool:
    layer, kind = selector.split(".", 1)
    parts = {
        "l3_type": (".ipv4.", ".ipv6."),
        "l4_type_ext": (".tcp.", ".udp.", ".transport.", ".icmp."),
        "l2_valid_headers": (".eth_vlan",),
        "type": ("tunnel.",),
    }[kind]
    return name.startswith(f"{layer}.") and any(part in name for part in parts)


def ones(name: str) -> int:
    """All bits of a field."""
    return fields.MATCH[name].ones


@st.composite
def masks_of(draw: st.DrawFn, name: str) -> int:
    """A mask for a field: mostly whole."""
    width = fields.MATCH[name].bits
    if name.endswith("_ip") and draw(st.booleans()):
        return prefix_mask(draw(st.integers(1, width)), width)
    if name.endswith(("flags", "dscp_ecn", "tci", "_mac", "_port")) and draw(st.integers(0, 3)) == 0:
        return draw(st.integers(1, ones(name)))
    return ones(name)


@dataclass(frozen=True, slots=True)
class Sample:
    """A packet of the program: entries take most of their values from one, so that they hit it."""

    port: int
    frame: bytes
    pkt_meta: int
    parsed: Parsed

    def value(self, name: str) -> int | None:
        """The field as the packet has it when it comes in; None for what pipes write before they match it."""
        if name == "parser_meta.port_id":
            return self.port
        if name.startswith("parser_meta."):
            return self.parsed.meta.get(name.removeprefix("parser_meta."), 0)
        if name == "meta.pkt_meta":
            return self.pkt_meta
        return None if name.startswith("meta.") else read(self.frame, self.parsed, name)


@st.composite
def values_for(draw: st.DrawFn, names: Sequence[str], samples: Sequence[Sample]) -> dict[str, int]:
    """A value for each field, mostly those of one packet."""
    sample = draw(st.sampled_from((*samples, *samples, None)))
    values = {}
    for name in names:
        seen = sample.value(name) if sample is not None and draw(st.integers(0, 15)) else None
        values[name] = draw(st.sampled_from(pool(name))) if seen is None else seen
    return values


@st.composite
def templates(draw: st.DrawFn, samples: Sequence[Sample]) -> tuple[Match, Match | None, list[str], Shape]:
    """A basic pipe's match, mask, the names of its changeable fields, and the shape behind it."""
    explicit = draw(st.booleans())
    shape = draw(shapes(meta=explicit))
    chosen = draw(
        st.lists(st.sampled_from(shape.names), max_size=draw(st.sampled_from((1, 2, 3, 6))), unique=True)
    )
    values, masks, changeable = {}, {}, []
    for name in chosen:
        constant = draw(st.integers(0, 2)) == 0
        values[name] = draw(values_for([name], samples))[name] if constant else ones(name)
        if values[name] == 0 and not explicit:
            values[name] = ones(name)  # a constant zero needs an explicit mask
        if values[name] == ones(name):
            changeable.append(name)
        masks[name] = draw(masks_of(name))
    if not explicit:
        return build(values, shape), None, changeable, shape
    # A value of zero vanishes from the flat view; its mask keeps the field, and the selectors follow the masks.
    selectors = {n: v for n, v in shape.selectors.items() if any(belongs(n, other) for other in masks)}
    return Match.from_flat({**values, **selectors}), build(masks, shape), changeable, shape


SET_FIELDS = (
    "outer.eth.src_mac", "outer.eth.dst_mac", "meta.pkt_meta", "meta.u32[0]", "meta.u32[4]", "outer.eth_vlan0.tci",
)  # fmt: skip
SET_IP4 = ("outer.ipv4.src_ip", "outer.ipv4.dst_ip", "outer.ipv4.ttl", "outer.ipv4.dscp_ecn")
SET_IP6 = ("outer.ipv6.src_ip", "outer.ipv6.dst_ip", "outer.ipv6.hop_limit", "outer.ipv6.traffic_class")
SET_L4 = {
    L4TypeExt.NONE: (),
    L4TypeExt.TCP: ("outer.tcp.src_port", "outer.tcp.dst_port", "outer.tcp.flags"),
    L4TypeExt.UDP: ("outer.udp.src_port", "outer.udp.dst_port"),
    L4TypeExt.TRANSPORT: ("outer.transport.src_port", "outer.transport.dst_port"),
}
COPIES = (
    ActionDesc.copy("outer.ipv4.version_ihl", DescField.meta_u32(0, 2), 4),
    ActionDesc.add(DescField.meta_u32(0, 2), "outer.tcp.data_offset", 4),
    ActionDesc.copy(DescField("outer.eth.src_mac", 32), DescField.meta_u32(4), 16),
    ActionDesc.copy("outer.ipv4.src_ip", DescField.pkt_meta(), 32),
    ActionDesc.copy(DescField("outer.ipv6.payload_len"), DescField("outer.ipv6.traffic_class", 2), 4),
    ActionDesc.add(DescField.meta_u32(0), "outer.ipv4.total_len", 16),
    ActionDesc.add(DescField.meta_u32(4, 8), DescField("outer.tcp.seq_num", 4), 12),
)


SHARED_ENCAPS = (
    Encap(
        HeaderFormat(
            eth=Eth(fr.MACS[0], fr.MACS[1]), ip4=Ip4(fr.IP4S[0], fr.IP4S[1], ttl=9), udp=Udp(80, 4789)
        ),
        Tun.vxlan(fr.VNIS[0]),
    ),
    Encap(
        HeaderFormat(eth=Eth(fr.MACS[1], fr.MACS[2]), ip6=Ip6(fr.IP6S[0], fr.IP6S[1], hop_limit=9)),
        Tun.gre(fr.KEYS[0]),
        is_l2=False,
    ),
)
SHARED_DECAPS = (Decap(), Decap(is_l2=False, eth=Eth(fr.MACS[2], fr.MACS[0])))
"""Configured under the ids 0 and 1."""


@st.composite
def encaps(draw: st.DrawFn) -> Encap:
    """A VXLAN, GENEVE or GRE header over IPv4 or IPv6; destination and id sometimes come with the entry."""
    kind = draw(st.sampled_from((TunType.VXLAN, TunType.GRE, TunType.GENEVE)))
    l2 = draw(st.sampled_from((True, True, False))) or kind is TunType.VXLAN
    vni = draw(st.sampled_from((*fr.VNIS, CHANGEABLE)))
    tun = {
        TunType.VXLAN: Tun.vxlan(vni),
        TunType.GRE: Tun.gre(draw(st.sampled_from((None, *fr.KEYS)))),
        TunType.GENEVE: Tun.geneve(vni),
    }[kind]
    port = {TunType.VXLAN: 4789, TunType.GENEVE: 6081}.get(kind, 0)
    eth = Eth(draw(st.sampled_from(fr.MACS)), draw(st.sampled_from(fr.MACS)))
    udp = Udp(draw(st.sampled_from(fr.PORTS)), port) if port else Udp()
    if draw(st.booleans()):
        to = draw(st.sampled_from((*fr.IP6S, CHANGEABLE)))
        ip6 = Ip6(draw(st.sampled_from(fr.IP6S)), to, hop_limit=17, flow_label=draw(st.sampled_from((0, 5))))
        return Encap(HeaderFormat(eth=eth, ip6=ip6, udp=udp), tun, is_l2=l2)
    ip4 = Ip4(draw(st.sampled_from(fr.IP4S)), draw(st.sampled_from((*fr.IP4S, CHANGEABLE))), ttl=17)
    return Encap(HeaderFormat(eth=eth, ip4=ip4, udp=udp), tun, is_l2=l2)


@st.composite
def filled(draw: st.DrawFn, config: Encap) -> Encap:
    """An entry's encapsulation for a template's."""
    outer, tun = config.outer, config.tun
    outer = replace(
        outer,
        ip4=replace(outer.ip4, dst_ip=draw(st.sampled_from(fr.IP4S)))
        if outer.l3_type is L3Type.IP4
        else outer.ip4,
        ip6=replace(outer.ip6, dst_ip=draw(st.sampled_from(fr.IP6S)))
        if outer.l3_type is L3Type.IP6
        else outer.ip6,
    )
    vni = draw(st.sampled_from(fr.VNIS))
    if tun.type is TunType.VXLAN:
        tun = replace(tun, vxlan_tun_id=vni)
    elif tun.type is TunType.GENEVE:
        tun = replace(tun, geneve_vni=vni << 8)
    return Encap(outer, tun, config.is_l2)


@st.composite
def action_templates(draw: st.DrawFn) -> tuple[Actions, Actions | None, tuple[ActionDesc, ...]]:
    """Actions, mask, descriptors. Descriptors never touch a field that is also set."""
    l3 = draw(st.sampled_from((SET_IP4, SET_IP6)))
    l4 = draw(st.sampled_from(tuple(SET_L4)))
    names = draw(st.lists(st.sampled_from((*SET_FIELDS, *l3, *SET_L4[l4])), max_size=3, unique=True))
    explicit = draw(st.integers(0, 3)) == 0
    values, masks = {}, {}
    for name in names:
        choices = [v for v in pool(name) if explicit or 0 < v < ones(name)]
        values[name] = draw(st.sampled_from([ones(name), *choices]))
        masks[name] = draw(st.one_of(st.just(ones(name)), st.integers(1, ones(name))))
    selectors: dict[str, int] = {}
    if any(name in l3 for name in names):
        selectors["outer.l3_type"] = L3Type.IP4 if l3 is SET_IP4 else L3Type.IP6
    if any(name in SET_L4[l4] for name in names):
        selectors["outer.l4_type_ext"] = l4
    if "outer.eth_vlan0.tci" in names:
        selectors["outer.l2_valid_headers"] = 1
    descs: tuple[ActionDesc, ...] = ()
    kind = draw(st.integers(0, 5))
    if kind == 0 and not any(name.startswith("outer.ipv6") for name in names):
        values["outer.ipv4.ttl"] = 0xFF
        masks["outer.ipv4.ttl"] = 0xFF
        selectors["outer.l3_type"] = L3Type.IP4
        descs = (ActionDesc.add("outer.ipv4.ttl", width=8),)
    elif kind == 1:
        usable = [desc for desc in COPIES if not _touches(desc, names)]
        descs = tuple(draw(st.lists(st.sampled_from(usable), max_size=2, unique=True))) if usable else ()
    extra: dict[str, object] = {}
    shape = draw(st.integers(0, 12))
    if shape == 0:
        extra["push"] = PushVlan(draw(st.sampled_from(fr.TCIS)))
    elif shape == 1:
        extra["pop_vlan"] = True
    elif shape == 2:
        extra["encap"] = draw(encaps())
    elif shape == 3:
        extra["decap"] = draw(st.sampled_from(SHARED_DECAPS))
    elif shape == 4:
        extra.update(encap_type=ResourceType.SHARED, shared_encap_id=draw(st.integers(0, 1)))
    elif shape == 5:
        extra.update(decap_type=ResourceType.SHARED, shared_decap_id=draw(st.integers(0, 1)))
    elif shape == 6:
        extra.update(pop_vlan=True, push=PushVlan(draw(st.sampled_from(fr.TCIS))))
    actions = Actions.from_flat({**values, **selectors})
    whole = Actions(meta=actions.meta, outer=actions.outer, **extra)  # type: ignore[arg-type]
    return whole, Actions.from_flat({**masks, **selectors}) if explicit else None, descs


def _touches(desc: ActionDesc, names: list[str]) -> bool:
    touched = {desc.dst.field_string} | ({desc.src.field_string} if desc.src else set())
    return any(name in touched or (name.startswith("meta.") and "meta.data" in touched) for name in names)


@st.composite
def entry_actions(draw: st.DrawFn, template: Actions) -> Actions:
    """Values for the changeable fields of a template."""
    flat = {
        name: draw(st.sampled_from(pool(name)))
        for name, value in template.flat().items()
        if name.startswith(("meta.", "outer.")) and not fields.ACTIONS[name].selector and value == ones(name)
    }
    selectors = {
        name: value
        for name, value in template.flat().items()
        if name.startswith("outer.") and fields.ACTIONS[name].selector
    }
    mine = Actions.from_flat({**flat, **selectors}) if flat else Actions()
    return replace(mine, encap=draw(filled(template.encap))) if template.encap else mine


def is_set(name: str) -> bool:
    return name.startswith(("meta.", "outer.")) and not fields.ACTIONS[name].selector
