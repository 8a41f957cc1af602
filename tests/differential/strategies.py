# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Random pipelines with entries and packets, for hypothesis.

Everything is bounded and made so that DOCA accepts it: pipes forward only to pipes created before them,
keys of one pipe differ, a root is BASIC or CONTROL. What a rule of doca-flow.md refuses is not generated
here; the negative table tests it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from appliance.flow import fields
from appliance.flow.types import (
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
    Fwd,
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
    Ip4,
    L3Type,
    L4TypeExt,
    ListActions,
    Match,
    Mode,
    Monitor,
    OrderedList,
    PipeSpec,
    PipeType,
    PushVlan,
    Tun,
    TunType,
    Udp,
    prefix_mask,
)
from tests.differential import frames as fr
from tests.differential.packet import Parsed, parse, read
from tests.differential.reference import Reference, comparisons

PIPES_MAX = 5
ENTRIES_MAX = 5
PACKETS_MAX = 10

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
    "vxlan.vxlan_tun_id": tuple(vni << 8 for vni in fr.VNIS),
    "geneve.vni": tuple(vni << 8 for vni in fr.VNIS),
    "gre.gre_key": fr.KEYS,
    "gre.protocol": (0x0800, 0x86DD, 0x6558),
    "meta.pkt_meta": (0, 1, 2),
    "meta.u32[0]": (0, 1, 2),
    "meta.u32[4]": (0, 1, 2),
    "parser_meta.port_id": (0, 1, 2),
    "_l2_type": (0, 1, 2),
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


@dataclass(frozen=True, slots=True)
class PortPlan:
    """A port to start."""

    port_id: int
    miss: DefaultMiss


@dataclass(frozen=True, slots=True)
class Program:
    """A pipeline with what is sent through it. Pipes stand in the order of creation."""

    mode: Mode
    ports: tuple[PortPlan, ...]
    pipes: tuple[tuple[int, PipeSpec], ...]
    entries: tuple[tuple[str, EntrySpec], ...]
    packets: tuple[tuple[int, bytes, int], ...]
    shared_counters: int = 2


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
        name: value for name, value in shape.selectors.items() if any(_belongs(name, other) for other in flat)
    }
    return Match.from_flat({**flat, **used})


def _belongs(selector: str, name: str) -> bool:
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
    selectors = {n: v for n, v in shape.selectors.items() if any(_belongs(n, other) for other in masks)}
    return Match.from_flat({**values, **selectors}), build(masks, shape), changeable, shape


# -- forwards --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Plan:
    """What the pipes of one port and domain may forward to."""

    domain: Domain
    ports: tuple[int, ...]
    below: list[PipeSpec]
    samples: tuple[Sample, ...] = ()


@st.composite
def forwards(draw: st.DrawFn, plan: Plan) -> Fwd:
    """A forward that a hit may have."""
    kinds: list[st.SearchStrategy[Fwd]] = [
        st.sampled_from([FwdPort(port) for port in plan.ports]),
        st.sampled_from([FwdPort(port) for port in plan.ports]),
        st.just(FwdDrop()),
    ]
    if plan.domain is Domain.DEFAULT:
        kinds += [st.builds(FwdRss, st.tuples(st.integers(0, 3))), st.just(FwdTarget())]
    for pipe in plan.below:
        if pipe.type is PipeType.HASH:
            kinds.append(st.just(FwdHash(pipe.name)))
        elif pipe.type is PipeType.ORDERED_LIST:
            kinds.append(
                st.builds(FwdOrderedList, st.just(pipe.name), st.integers(0, len(pipe.ordered_lists) - 1))
            )
        else:
            kinds += [st.just(FwdPipe(pipe.name))] * 2
    return draw(st.one_of(kinds))


@st.composite
def misses(draw: st.DrawFn, plan: Plan) -> Fwd | None:
    """A pipe's fwd_miss: PIPE, DROP or the default."""
    kinds: list[Fwd | None] = [None, FwdDrop()]
    kinds += [
        FwdPipe(pipe.name) for pipe in plan.below if pipe.type not in (PipeType.HASH, PipeType.ORDERED_LIST)
    ]
    return draw(st.sampled_from(kinds))


# -- actions ---------------------------------------------------------------------------------------------------------

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


@st.composite
def encaps(draw: st.DrawFn) -> Encap:
    """A VXLAN, GENEVE or GRE header over IPv4, constant."""
    kind = draw(st.sampled_from((TunType.VXLAN, TunType.GRE, TunType.GENEVE)))
    vni = draw(st.sampled_from(fr.VNIS))
    tun = {
        TunType.VXLAN: Tun.vxlan(vni),
        TunType.GRE: Tun.gre(draw(st.sampled_from(fr.KEYS)), 0x6558),
        TunType.GENEVE: Tun.geneve(vni, 0x6558),
    }[kind]
    port = {TunType.VXLAN: 4789, TunType.GENEVE: 6081}.get(kind, 0)
    outer = HeaderFormat(
        eth=Eth(draw(st.sampled_from(fr.MACS)), draw(st.sampled_from(fr.MACS))),
        ip4=Ip4(draw(st.sampled_from(fr.IP4S)), draw(st.sampled_from(fr.IP4S)), ttl=17),
        udp=Udp(draw(st.sampled_from(fr.PORTS)), port) if port else Udp(),
    )
    return Encap(outer, tun, is_l2=True)


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
    shape = draw(st.integers(0, 9))
    if shape == 0:
        extra["push"] = PushVlan(draw(st.sampled_from(fr.TCIS)))
    elif shape == 1:
        extra["pop_vlan"] = True
    elif shape == 2:
        extra["encap"] = draw(encaps())
    elif shape == 3:
        extra["decap"] = Decap(is_l2=True)
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
    return Actions.from_flat({**flat, **selectors}) if flat else Actions()


# -- pipes and entries -----------------------------------------------------------------------------------------------


@st.composite
def monitors(draw: st.DrawFn) -> Monitor | None:
    """None, a counter, or a shared counter."""
    return draw(st.sampled_from((None, COUNT, COUNT, Monitor(counter=0), Monitor(counter=1))))


@st.composite
def common(draw: st.DrawFn, plan: Plan) -> dict[str, object]:
    """Members that all pipes have."""
    templates_ = draw(st.lists(action_templates(), max_size=2))
    changeable = draw(st.booleans())
    return {
        "domain": plan.domain,
        "actions": tuple(actions for actions, _, _ in templates_),
        "actions_masks": tuple(mask for _, mask, _ in templates_),
        "action_descs": tuple(descs for _, _, descs in templates_),
        "monitor": draw(monitors()),
        "fwd": FwdChangeable() if changeable else draw(forwards(plan)),
    }


Made = tuple[PipeSpec, list[EntrySpec]]


@st.composite
def entry_common(draw: st.DrawFn, pipe: PipeSpec, plan: Plan) -> dict[str, object]:
    """Members that the entries of most pipes have."""
    made: dict[str, object] = {}
    if pipe.actions:
        index = draw(st.integers(0, len(pipe.actions) - 1))
        made.update(action_idx=index, actions=draw(entry_actions(pipe.actions[index])))
    if pipe.monitor is not None:
        made["monitor"] = pipe.monitor
    if isinstance(pipe.fwd, FwdChangeable):
        made["fwd"] = draw(forwards(plan))
    return made


def distinct(pipe: PipeSpec, entries: list[EntrySpec]) -> list[EntrySpec]:
    """Entries without those whose key an earlier one has."""
    seen, kept = set(), []
    for entry in entries:
        key = tuple(comparisons(pipe, entry))
        if key not in seen:
            seen.add(key)
            kept.append(entry)
    return kept


@st.composite
def basic(draw: st.DrawFn, name: str, root: bool, plan: Plan) -> Made:
    """A BASIC pipe with entries."""
    match, mask, changeable, shape = draw(templates(plan.samples))
    pipe = PipeSpec(
        name=name, is_root=root, match=match, match_mask=mask, nr_entries=64, fwd_miss=draw(misses(plan)),
        miss_counter=draw(st.booleans()), **draw(common(plan)),  # type: ignore[arg-type]
    )  # fmt: skip
    entries = []
    for _ in range(draw(st.integers(0, ENTRIES_MAX))):
        values = draw(values_for(changeable, plan.samples))
        entries.append(EntrySpec(match=build(values, shape), **draw(entry_common(pipe, plan))))  # type: ignore[arg-type]
    return pipe, distinct(pipe, entries)


@st.composite
def control(draw: st.DrawFn, name: str, root: bool, plan: Plan) -> Made:
    """A CONTROL pipe; each entry brings its own match, mask, condition, actions and forward."""
    pipe = PipeSpec(name=name, type=PipeType.CONTROL, is_root=root, domain=plan.domain)
    entries = []
    for _ in range(draw(st.integers(1, ENTRIES_MAX))):
        shape = draw(shapes())
        chosen = draw(st.lists(st.sampled_from(shape.names), max_size=3, unique=True))
        values = draw(values_for(chosen, plan.samples))
        masks = {field_name: draw(masks_of(field_name)) for field_name in chosen}
        condition = None
        if draw(st.integers(0, 4)) == 0:
            operation = draw(st.sampled_from(CompareOp))
            if draw(st.booleans()):
                a, b = DescField("outer.ipv4.ttl"), DescField.meta_u32(0)
                condition = Condition(operation, a, b, 8)
            else:
                field_name = draw(st.sampled_from([n for n in shape.names if n.startswith("outer.") and n.endswith(
                    ("ttl", "hop_limit", "src_port", "seq_num"))]))  # fmt: skip
                condition = Condition(operation, DescField(field_name), width=fields.MATCH[field_name].bits)
                values |= draw(values_for([field_name], plan.samples))
                masks.pop(field_name, None)
        actions, actions_mask, descs = draw(action_templates())
        given_actions = Actions.from_flat({
            name_: (draw(st.sampled_from(pool(name_))) if _is_set(name_) and value == ones(name_) else value)
            for name_, value in actions.flat().items()
        }) if not descs else actions  # fmt: skip
        selectors = {
            n: v
            for n, v in shape.selectors.items()
            if any(_belongs(n, other) for other in {**values, **masks})
        }
        entries.append(
            EntrySpec(
                match=Match.from_flat({**values, **selectors}),
                match_mask=Match.from_flat({**masks, **selectors}),
                condition=condition,
                actions=given_actions,
                actions_mask=actions_mask,
                action_descs=descs,
                monitor=draw(monitors()),
                priority=draw(st.integers(0, 7)),
                fwd=draw(forwards(plan)),
            )
        )
    return pipe, entries


def _is_set(name: str) -> bool:
    return name.startswith(("meta.", "outer.")) and not fields.ACTIONS[name].selector


@st.composite
def lpm(draw: st.DrawFn, name: str, root: bool, plan: Plan) -> Made:
    """An LPM pipe, sometimes with an exact field beside the address."""
    address = draw(st.sampled_from(("outer.ipv4.src_ip", "outer.ipv4.dst_ip", "outer.ipv6.dst_ip")))
    exact = ["meta.u32[1]"] if draw(st.booleans()) else []
    names = [address, *exact]
    l3 = {"outer.l3_type": L3Type.IP6 if "ipv6" in address else L3Type.IP4}
    whole = Match.from_flat({**{field_name: ones(field_name) for field_name in names}, **l3})
    members = draw(common(plan))
    if not isinstance(members["monitor"], Monitor) or members["monitor"] != COUNT:
        members["monitor"] = None
    pipe = PipeSpec(
        name=name, type=PipeType.LPM, match=whole, match_mask=whole if exact else None, nr_entries=64,
        fwd_miss=draw(misses(plan)), miss_counter=draw(st.booleans()), **members,  # type: ignore[arg-type]
    )  # fmt: skip
    entries = []
    width = fields.MATCH[address].bits
    for _ in range(draw(st.integers(0, ENTRIES_MAX))):
        prefix = prefix_mask(
            draw(st.one_of(st.sampled_from((0, 8, 16, 24, 31, 32, width)), st.integers(0, width))), width
        )
        values = {address: draw(values_for([address], plan.samples))[address] & prefix}
        values |= {field_name: draw(st.sampled_from((0, 1))) for field_name in exact}
        mask = Match.from_flat({address: prefix, **l3})
        given = draw(entry_common(pipe, plan))
        entries.append(EntrySpec(match=Match.from_flat({**values, **l3}), match_mask=mask, **given))  # type: ignore[arg-type]
    return pipe, distinct(pipe, entries)


@st.composite
def acl(draw: st.DrawFn, name: str, root: bool, plan: Plan) -> Made:
    """An ACL pipe over the five-tuple."""
    six = draw(st.booleans())
    ip = "outer.ipv6" if six else "outer.ipv4"
    l4 = draw(st.sampled_from(("tcp", "udp", "transport")))
    names = [f"{ip}.src_ip", f"{ip}.dst_ip", f"outer.{l4}.src_port", f"outer.{l4}.dst_port"]
    names = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    selectors: dict[str, int] = {"outer.l3_type": L3Type.IP6 if six else L3Type.IP4}
    if any(l4 in field_name for field_name in names):
        selectors["outer.l4_type_ext"] = L4TypeExt[l4.upper()]
    whole = Match.from_flat({**{field_name: ones(field_name) for field_name in names}, **selectors})
    members = draw(common(plan))
    if members["monitor"] != COUNT:
        members["monitor"] = None
    pipe = PipeSpec(
        name=name, type=PipeType.ACL, match=whole, nr_entries=64, fwd_miss=draw(misses(plan)),
        miss_counter=draw(st.booleans()), **members,  # type: ignore[arg-type]
    )  # fmt: skip
    entries = []
    for _ in range(draw(st.integers(1, ENTRIES_MAX))):
        values, masks = dict(selectors), dict(selectors)
        for field_name, value in draw(values_for(names, plan.samples)).items():
            if field_name.endswith("_port"):
                mask = draw(st.sampled_from((value, 0, 0xFFFF, max(value, 1234))))
            else:
                width = fields.MATCH[field_name].bits
                mask = prefix_mask(draw(st.sampled_from((0, 8, 16, 24, width))), width)
            values[field_name], masks[field_name] = value, mask
        given = draw(entry_common(pipe, plan))
        given.pop("monitor", None)
        match, mask_ = Match.from_flat(values), Match.from_flat(masks)
        priority = draw(st.integers(0, 3))
        entries.append(EntrySpec(match=match, match_mask=mask_, priority=priority, **given))  # type: ignore[arg-type]
    return pipe, entries


@st.composite
def hashed(draw: st.DrawFn, name: str, root: bool, plan: Plan) -> Made:
    """A HASH pipe with all its entries."""
    shape = draw(shapes(meta=False))
    names = [n for n in shape.names if not n.startswith("parser_meta.")]
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    algorithm = draw(st.sampled_from((HashAlgorithm.HASH, HashAlgorithm.FLOODING)))
    size = draw(st.sampled_from((1, 2, 4)))
    members = draw(common(plan))
    if algorithm is HashAlgorithm.FLOODING:
        members["fwd"] = FwdChangeable()
    pipe = PipeSpec(
        name=name, type=PipeType.HASH, nr_entries=size, match_mask=build({n: ones(n) for n in chosen}, shape),
        hash_map_algorithm=algorithm, **members,  # type: ignore[arg-type]
    )  # fmt: skip
    entries = []
    for index in range(size):
        given = draw(entry_common(pipe, plan))
        if algorithm is HashAlgorithm.FLOODING:
            given["fwd"] = FwdPort(draw(st.sampled_from(plan.ports)))
        entries.append(EntrySpec(index=index, **given))  # type: ignore[arg-type]
    return pipe, entries


@st.composite
def ordered(draw: st.DrawFn, name: str, root: bool, plan: Plan) -> Made:
    """An ORDERED_LIST pipe with an entry per list."""
    lists = []
    for index in range(draw(st.integers(1, 2))):
        elements = draw(st.lists(st.one_of(st.just(COUNT), _list_actions()), min_size=1, max_size=3))
        only_one = [
            e for i, e in enumerate(elements) if not isinstance(e, Monitor) or COUNT not in elements[:i]
        ]
        lists.append(OrderedList(index, tuple(only_one)))
    pipe = PipeSpec(
        name=name, type=PipeType.ORDERED_LIST, domain=plan.domain, nr_entries=4, ordered_lists=tuple(lists),
        fwd=draw(forwards(plan)),
    )  # fmt: skip
    entries = [EntrySpec(index=index, ordered_list=lists[index]) for index in range(len(lists))]
    return pipe, entries


@st.composite
def _list_actions(draw: st.DrawFn) -> ListActions:
    actions, mask, descs = draw(action_templates())
    flat = actions.flat()
    for name, value in flat.items():
        if _is_set(name) and value == ones(name) and not descs:
            flat[name] = draw(st.sampled_from([v for v in pool(name) if 0 < v < ones(name)]))
    return ListActions(Actions.from_flat(flat), mask, descs)


MAKERS: dict[PipeType, Callable[..., st.SearchStrategy[Made]]] = {
    PipeType.BASIC: basic,
    PipeType.CONTROL: control,
    PipeType.LPM: lpm,
    PipeType.ACL: acl,
    PipeType.HASH: hashed,
    PipeType.ORDERED_LIST: ordered,
}


@st.composite
def programs(
    draw: st.DrawFn, kinds: tuple[PipeType, ...] = tuple(MAKERS), mode: Mode | None = None
) -> Program:
    """A whole program. ``kinds`` are the pipe types that may occur below the roots."""
    modes: tuple[Mode, ...] = ("vnf", "vnf", "switch") if mode is None else (mode,)
    drawn = draw(st.sampled_from(modes))
    port_ids = (0, 1) if drawn == "vnf" else (0, 1, 2)
    ports = tuple(PortPlan(port, draw(st.sampled_from(DefaultMiss))) for port in port_ids)
    packets = draw(
        st.lists(
            st.tuples(st.sampled_from(port_ids), fr.frames(), st.sampled_from((0, 1, 2))),
            min_size=1,
            max_size=PACKETS_MAX,
        )
    )
    samples = tuple(Sample(port, frame, meta, parse(frame)) for port, frame, meta in packets)
    pipes: list[tuple[int, PipeSpec]] = []
    entries: list[tuple[str, EntrySpec]] = []
    owners = port_ids if drawn == "vnf" else (0,)
    for owner in owners:
        for domain in (Domain.DEFAULT, Domain.EGRESS):
            if domain is Domain.EGRESS and draw(st.integers(0, 2)):
                continue
            targets = (
                port_ids if drawn == "switch" else ((owner,) if domain is Domain.EGRESS else (1 - owner,))
            )
            plan = Plan(domain, targets, [], samples)
            count = draw(st.integers(1, PIPES_MAX if domain is Domain.DEFAULT else 2))
            for number in range(count):
                root = number == count - 1
                kind = draw(st.sampled_from((PipeType.BASIC, PipeType.CONTROL) if root else kinds))
                name = f"p{owner}{'e' if domain is Domain.EGRESS else 'd'}{number}"
                pipe, made = draw(MAKERS[kind](name, root, plan))
                pipes.append((owner, pipe))
                entries += [(name, entry) for entry in made]
                plan.below.append(pipe)
    return Program(drawn, ports, tuple(pipes), tuple(entries), tuple(packets))


def load(program: Program) -> Reference:
    """The program in the reference interpreter; entries get the numbers 1, 2 ... in their order."""
    reference = Reference()
    for plan in program.ports:
        reference.port_start(plan.port_id, plan.port_id if program.mode == "vnf" else 0, plan.miss)
    for port, pipe in program.pipes:
        reference.pipe_create(port, pipe)
    for name, entry in program.entries:
        reference.entry_add(name, entry)
    return reference
