# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The pipes of the segmentation program: what each matches and does, and where it leads. No rows here.

A packet's way::

    root -> arp.., link control .. (answers and named drops)
         -> bind4 | unicast6 -> bind6 -> (prefix4|6)      its sender is who it says: zone
         -> ct -- known --> forward                       same (MAC, address): port
               -- new ----> new -> src4|6 -> dst4|6       addresses to identities
                            -> src_class -> dst_class     identities to classes
                            -> pair -> pair_wn -> pair_nw -> pair_ww   classes to a service list, or to a verdict
                            -> service -> icmp -> ports -> range -> list -> default     verdict
         forward -> forward6 -> behind4|6 -> gateway -> ttl4 -> route4 -> fabric4 -> away4
                                          -> ttl6 -> route6 -> fabric6 -> away6 -> lost4|6

To a workload behind another appliance, forwarding ends in ``horizon -> tunnel -> over6`` (VXLAN over IPv4, IPv6), for
what came out of a tunnel in ``horizon, arrived``. What comes from a known VTEP goes ``prefix4 -> vtep`` or ``prefix6 ->
vtep6``, then ``-> tunnel4 -> tunnel6``, which ask whether that VTEP owns the inner sender, and decapsulated to ``ct``.

Each arrow between tables of one line is a miss. Words of ``meta.u32``: 0 and 1 wide classes of source and target
(0 to 3 and 5 scratch in link control), 2 the VTEP that sent it, later the range class, 3 whether the sender may be a
router, the rest as ``program`` has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from appliance.flow import fields
from appliance.flow import types as ft
from appliance.flow.types import (
    ActionDesc,
    Actions,
    CtConfig,
    DescField,
    Fwd,
    FwdAnswer,
    FwdChangeable,
    FwdDrop,
    FwdPipe,
    FwdRss,
    Match,
    PipeSpec,
    PipeType,
)

PREFIX: Final = "seg/"
FULL: Final = -1
"""Mask of a whole field."""

PORT: Final = "parser_meta.port_id"
L2_TYPE: Final = "parser_meta.outer_l2_type"
L3_TYPE: Final = "parser_meta.outer_l3_type"
L4_TYPE: Final = "parser_meta.outer_l4_type"
SRC_MAC: Final = "outer.eth.src_mac"
DST_MAC: Final = "outer.eth.dst_mac"
ETH_TYPE: Final = "outer.eth.type"
VLAN: Final = "outer.eth_vlan0.tci"
SRC4: Final = "outer.ipv4.src_ip"
DST4: Final = "outer.ipv4.dst_ip"
SRC6: Final = "outer.ipv6.src_ip"
DST6: Final = "outer.ipv6.dst_ip"
PROTO4: Final = "outer.ipv4.next_proto"
SRC_PORT: Final = "outer.transport.src_port"
DST_PORT: Final = "outer.transport.dst_port"
ICMP_TYPE: Final = "outer.icmp.type"
VNI: Final = "tunnel.vxlan.vni"
INNER_L2_TYPE: Final = "parser_meta.inner_l2_type"
INNER_L3_TYPE: Final = "parser_meta.inner_l3_type"
INNER_SRC4: Final = "inner.ipv4.src_ip"
INNER_SRC6: Final = "inner.ipv6.src_ip"
ENCAP4: Final = "encap.over4"
ENCAP6: Final = "encap.over6"
"""The outer headers of a tunnel, as bytes (``overlay.Tunnels.header``); rows have them in ``encap.data``."""
ENCAP_BYTES: Final = {4: 50, 6: 70}
"""By the underlay's IP version; as much less fits through it."""
_WIDE: Final = {VNI: 24, ENCAP4: 8 * ENCAP_BYTES[4], ENCAP6: 8 * ENCAP_BYTES[6]}
_FIELDS: Final = {
    VNI: ("tunnel.vxlan.vxlan_tun_id",),
    ENCAP4: (
        "encap.is_l2", "encap.outer.ipv4.dst_ip", "encap.outer.udp.src_port", "encap.tunnel.vxlan.vxlan_tun_id",
    ),
    ENCAP6: (
        "encap.is_l2", "encap.outer.ipv6.dst_ip", "encap.outer.udp.src_port", "encap.tunnel.vxlan.vxlan_tun_id",
    ),
}  # fmt: skip
"""Columns that are not called as the fields that a pipe names for them, and their widths in bits."""


def u32(index: int) -> str:
    """The column of a meta word."""
    return f"meta.u32[{index}]"


ZONE: Final = u32(4)
SOURCE: Final = u32(5)
TARGET: Final = u32(6)
SOURCE_CLASS: Final = u32(7)
TARGET_CLASS: Final = u32(8)
SERVICES: Final = u32(9)
SOURCE_WIDE: Final = u32(0)
TARGET_WIDE: Final = u32(1)
RANGE: Final = u32(2)
VTEP: Final = u32(2)
ROUTER: Final = u32(3)
"""Not 0: the sender may be a router (``CtConfig.router_u32``)."""

VLAN_ID: Final = 0x0FFF
MULTICAST_BIT: Final = 1 << 40
CONTROL_GROUP: Final = 0xFFFFFFFFFFF0
"""Of a destination MAC: 01:80:c2:00:00:0x never leaves a link."""


def _bytes(name: str) -> int:
    if name.startswith("parser_meta.") and name != PORT:
        return 1
    return -(-(ft_bits(name)) // 8)


def ft_bits(name: str) -> int:
    """Width of a field in bits, as the fast path stores it."""
    if name in _WIDE:
        return _WIDE[name]
    return fields.ACTIONS[name].bits if name not in fields.MATCH else fields.MATCH[name].bits


def row_dtype(columns: Sequence[str]) -> np.dtype[np.void]:
    """Rows with these columns, in network order; odd widths (MAC, IPv6) are arrays of bytes."""
    kinds: dict[int, DTypeLike] = {1: "u1", 2: ">u2", 4: ">u4"}
    return np.dtype([(_column(name), kinds.get(_bytes(name), ("u1", (_bytes(name),)))) for name in columns])


def _column(name: str) -> str:
    return "encap.data" if name in (ENCAP4, ENCAP6) else name


def rows(number: int, columns: Mapping[str, Any]) -> NDArray[np.void]:
    """Rows from columns: numbers, or arrays that numpy can cast; MACs and IPv6 addresses as arrays of bytes."""
    made = np.zeros(number, row_dtype(list(columns)))
    for name, values in columns.items():
        made[_column(name)] = values
    return made


_SPECS: Final[dict[tuple[str, int], PipeSpec]] = {}
"""Made once: they are values."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A pipe without its size: ``match`` field -> mask (``FULL``: all of it), ``sets`` fields that entries bring."""

    name: str
    match: Mapping[str, int]
    miss: Fwd
    fwd: Fwd | None = None
    sets: tuple[str, ...] = ()
    constants: Mapping[str, int] | None = None
    descs: tuple[ActionDesc, ...] = ()
    type: PipeType = PipeType.BASIC
    is_root: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """What keys have."""
        return tuple(self.match)

    def spec(self, nr_entries: int) -> PipeSpec:
        """The pipe."""
        key = (self.name, nr_entries)
        if key not in _SPECS:
            _SPECS[key] = self._spec(nr_entries)
        return _SPECS[key]

    def _spec(self, nr_entries: int) -> PipeSpec:
        sets = _ones(self.sets, fields.ACTIONS)
        match = _ones(self.match, fields.MATCH)
        actions = sets | dict(self.constants or {})
        masks = match | {n: m for n, m in self.match.items() if m != FULL}
        return PipeSpec(
            name=PREFIX + self.name,
            type=self.type,
            is_root=self.is_root,
            nr_entries=nr_entries,
            match=Match.from_flat(match),
            match_mask=Match.from_flat(masks) if masks else None,
            actions=(Actions.from_flat(actions),) if actions or self.descs else (),
            action_descs=(self.descs,) if self.descs else (),
            fwd=self.fwd,
            fwd_miss=self.miss,
        )


def _ones(columns: Iterable[str], known: Mapping[str, fields.Field]) -> dict[str, int]:
    """The fields of columns, each changeable."""
    return {name: known[name].ones for column in columns for name in _FIELDS.get(column, (column,))}


def to(name: str) -> Fwd:
    """To another pipe of the program."""
    return FwdPipe(PREFIX + name)


UNAUTHENTICATED: Final = FwdDrop("unauthenticated")
TUNNEL_SPOOFED: Final = FwdDrop("tunnel_spoofed")
TUNNEL_VLAN: Final = FwdDrop("tunnel_vlan")
LINK_CONTROL: Final = FwdDrop("link_control")
ROGUE_CONTROL: Final = FwdDrop("rogue_control")
NO_MULTICAST: Final = FwdDrop("no_multicast")
NO_ROUTE: Final = FwdDrop("no_route")
UNTRACKABLE: Final = FwdDrop("ct_untrackable")
TTL: Final = FwdDrop("ttl")
EXCEEDED: Final = ft.FwdReject("ttl")
UNREACHABLE: Final = ft.FwdReject("no_route")
DENY: Final = FwdDrop("policy")
REJECT: Final = ft.FwdReject("policy")
ALLOW: Final = to("forward")
SOFTWARE: Final = FwdRss()
"""To the appliance itself."""
EACH: Final = FwdChangeable()

_LPM: Final = PipeType.LPM
_HOP4: Final = {"outer.ipv4.ttl": 255}
_HOP6: Final = {"outer.ipv6.hop_limit": 255}
_LESS4: Final = (ActionDesc.add("outer.ipv4.ttl"),)
_LESS6: Final = (ActionDesc.add("outer.ipv6.hop_limit"),)
_ROUTER4: Final = (u32(0),)
_ROUTER6: Final = tuple(u32(i) for i in range(4))
"""Whose address a router's refusal has."""
_SENDER: Final = {PORT: FULL, VLAN: VLAN_ID, SRC_MAC: FULL}


def _copy(source: DescField | str, word: int, width: int) -> ActionDesc:
    return ActionDesc.copy(source, DescField.meta_u32(word), width)


_FORWARDING: Final = (
    # A tag that tunnels do not carry has no VLAN here any more, only a priority.
    Shape("over6", {ZONE: FULL, DST_MAC: FULL}, NO_ROUTE, EACH, (ENCAP6,), {"pop_vlan": 1}),
    Shape("tunnel", {ZONE: FULL, DST_MAC: FULL}, to("over6"), EACH, (ENCAP4,), {"pop_vlan": 1}),
    # What came out of one tunnel does not go into another; who moves away or hither is here still, or already.
    Shape("arrived", {ZONE: FULL, DST_MAC: FULL}, NO_ROUTE, EACH),
    Shape("horizon", {PORT: FULL}, to("tunnel"), to("arrived")),
    # Refused as by a router: from the gateway in the sender's subnet.
    Shape("lost6", {L3_TYPE: FULL, ZONE: FULL, SRC6: FULL}, NO_ROUTE, UNREACHABLE, _ROUTER6, type=_LPM),
    Shape("lost4", {L3_TYPE: FULL, ZONE: FULL, SRC4: FULL}, to("lost6"), UNREACHABLE, _ROUTER4, type=_LPM),
    Shape("expired6", {L3_TYPE: FULL, ZONE: FULL, SRC6: FULL}, TTL, EXCEEDED, _ROUTER6, type=_LPM),
    Shape("expired4", {L3_TYPE: FULL, ZONE: FULL, SRC4: FULL}, TTL, EXCEEDED, _ROUTER4, type=_LPM),
    Shape("away6", {L3_TYPE: FULL, ZONE: FULL, DST6: FULL}, to("lost4"), EACH, (SRC_MAC, DST_MAC), _HOP6, _LESS6,
          _LPM),
    Shape("fabric6", {L3_TYPE: FULL, ZONE: FULL, DST6: FULL}, to("away6"), EACH, type=_LPM),
    Shape("route6", {L3_TYPE: FULL, ZONE: FULL, DST6: FULL}, to("fabric6"), EACH, (SRC_MAC, DST_MAC), _HOP6, _LESS6,
          _LPM),
    Shape("ttl6", {L3_TYPE: FULL, "outer.ipv6.hop_limit": FULL}, to("route6"), to("expired6")),
    Shape("away4", {L3_TYPE: FULL, ZONE: FULL, DST4: FULL}, to("ttl6"), EACH, (SRC_MAC, DST_MAC), _HOP4, _LESS4,
          _LPM),
    Shape("fabric4", {L3_TYPE: FULL, ZONE: FULL, DST4: FULL}, to("away4"), EACH, type=_LPM),
    Shape("route4", {L3_TYPE: FULL, ZONE: FULL, DST4: FULL}, to("fabric4"), EACH, (SRC_MAC, DST_MAC), _HOP4, _LESS4,
          _LPM),
    Shape("ttl4", {L3_TYPE: FULL, "outer.ipv4.ttl": FULL}, to("route4"), to("expired4")),
    Shape("gateway", {ZONE: FULL, DST_MAC: FULL}, NO_ROUTE, to("ttl4")),
    Shape("behind6", {L3_TYPE: FULL, ZONE: FULL, DST_MAC: FULL, DST6: FULL}, to("gateway"), EACH, type=_LPM),
    Shape("behind4", {L3_TYPE: FULL, ZONE: FULL, DST_MAC: FULL, DST4: FULL}, to("behind6"), EACH, type=_LPM),
    Shape("forward6", {ZONE: FULL, DST_MAC: FULL, DST6: FULL}, to("behind4"), EACH),
    Shape("forward", {ZONE: FULL, DST_MAC: FULL, DST4: FULL}, to("forward6"), EACH),
)  # fmt: skip

_POLICY: Final = (
    Shape("default", {}, DENY, EACH),
    Shape("list", {SERVICES: FULL}, to("default"), EACH),
    Shape("range", {SERVICES: FULL, RANGE: FULL}, to("list"), EACH),
    Shape("ports", {L3_TYPE: FULL, L4_TYPE: FULL, DST_PORT: FULL}, to("list"), to("range"), (RANGE,),
          type=PipeType.ACL),
    Shape("icmp", {SERVICES: FULL, L3_TYPE: FULL, L4_TYPE: FULL, ICMP_TYPE: FULL}, to("ports"), EACH),
    Shape("service", {SERVICES: FULL, L4_TYPE: FULL, DST_PORT: FULL}, to("icmp"), EACH),
    Shape("pair_ww", {SOURCE_WIDE: FULL, TARGET_WIDE: FULL}, to("default"), EACH, (SERVICES,)),
    Shape("pair_nw", {SOURCE_CLASS: FULL, TARGET_WIDE: FULL}, to("pair_ww"), EACH, (SERVICES,)),
    Shape("pair_wn", {SOURCE_WIDE: FULL, TARGET_CLASS: FULL}, to("pair_nw"), EACH, (SERVICES,)),
    Shape("pair", {SOURCE_CLASS: FULL, TARGET_CLASS: FULL}, to("pair_wn"), EACH, (SERVICES,)),
    Shape("dst_class", {TARGET: FULL}, to("default"), to("pair"), (TARGET_CLASS, TARGET_WIDE)),
    Shape("src_class", {SOURCE: FULL}, to("default"), to("dst_class"), (SOURCE_CLASS, SOURCE_WIDE)),
    Shape("dst6", {L3_TYPE: FULL, ZONE: FULL, DST6: FULL}, to("default"), to("src_class"), (TARGET,), type=_LPM),
    Shape("src6", {L3_TYPE: FULL, ZONE: FULL, SRC6: FULL}, to("default"), to("dst6"), (SOURCE,), type=_LPM),
    Shape("dst4", {L3_TYPE: FULL, ZONE: FULL, DST4: FULL}, to("default"), to("src_class"), (TARGET,), type=_LPM),
    Shape("src4", {L3_TYPE: FULL, ZONE: FULL, SRC4: FULL}, to("src6"), to("dst4"), (SOURCE,), type=_LPM),
    Shape("new", {PORT: FULL, L4_TYPE: FULL, SRC_PORT: FULL, DST_PORT: FULL}, to("src4"), ROGUE_CONTROL),
)  # fmt: skip

_OWNER: Final = {INNER_L3_TYPE: FULL, ZONE: FULL, VTEP: FULL}
_INSIDE: Final = {VNI: FULL, INNER_L2_TYPE: FULL}
_DECAP: Final = {"decap_type": int(ft.ResourceType.NON_SHARED), "decap.is_l2": 1}
_BINDING: Final = (
    Shape("tunnel6", {**_OWNER, INNER_SRC6: FULL}, TUNNEL_SPOOFED, to("ct"), (ROUTER,), _DECAP, type=_LPM),
    Shape("tunnel4", {**_OWNER, INNER_SRC4: FULL}, to("tunnel6"), to("ct"), (ROUTER,), _DECAP, type=_LPM),
    Shape("tagged", {INNER_L2_TYPE: FULL}, TUNNEL_SPOOFED, TUNNEL_VLAN),
    Shape("vtep6", {SRC6: FULL, DST6: FULL, **_INSIDE}, to("tagged"), to("tunnel4"), (ZONE, VTEP)),
    Shape("vtep", {SRC4: FULL, DST4: FULL, **_INSIDE}, to("tagged"), to("tunnel4"), (ZONE, VTEP)),
    Shape(
        "prefix6",
        {L3_TYPE: FULL, **_SENDER, SRC6: FULL},
        UNAUTHENTICATED,
        EACH,
        (ZONE,),
        {ROUTER: 1},
        type=_LPM,
    ),
    Shape("bind6", {**_SENDER, SRC6: FULL}, to("prefix6"), to("ct"), (ZONE,)),
    Shape(
        "prefix4",
        {L3_TYPE: FULL, **_SENDER, SRC4: FULL},
        UNAUTHENTICATED,
        EACH,
        (ZONE,),
        {ROUTER: 1},
        type=_LPM,
    ),
    Shape("bind4", {**_SENDER, SRC4: FULL}, to("prefix4"), to("ct"), (ZONE,)),
)

_TARGET6: Final = {u32(i): FULL for i in range(4)}
_LINK: Final = (
    # Multicast and housekeeping of IPv6.
    Shape("local6", {u32(0): FULL}, NO_MULTICAST, LINK_CONTROL),
    Shape("udp6", {L4_TYPE: FULL, DST_PORT: FULL}, to("local6"), LINK_CONTROL),
    Shape("rest6", {L4_TYPE: FULL, ICMP_TYPE: FULL}, to("udp6"), LINK_CONTROL),
    Shape("nd_answer", {ZONE: FULL, **_TARGET6}, LINK_CONTROL, FwdAnswer(), (SRC_MAC,)),
    Shape("nd_own", {PORT: FULL, ZONE: FULL, **_TARGET6}, to("nd_answer"), LINK_CONTROL),
    Shape("nd", {L4_TYPE: FULL, ICMP_TYPE: FULL}, to("rest6"), to("nd_own"), descs=tuple(
        _copy(DescField("outer.nd.target", 96 - 32 * i), i, 32) for i in range(4))),
    Shape("control6", {L3_TYPE: FULL, **_SENDER, SRC6: FULL}, UNAUTHENTICATED, to("nd"), (ZONE, u32(0)), type=_LPM),
    Shape("rogue_udp6", {PORT: FULL, L4_TYPE: FULL, SRC_PORT: FULL, DST_PORT: FULL}, to("control6"), ROGUE_CONTROL),
    Shape("rogue6", {PORT: FULL, L4_TYPE: FULL, ICMP_TYPE: FULL}, to("rogue_udp6"), ROGUE_CONTROL),
    Shape("unicast6", {L4_TYPE: FULL, ICMP_TYPE: FULL}, to("bind6"), to("rogue6")),
    # The same of IPv4.
    Shape("local4", {u32(0): FULL}, NO_MULTICAST, LINK_CONTROL),
    Shape("rest4", {PROTO4: FULL, DST_PORT: FULL}, to("local4"), LINK_CONTROL),
    Shape("dhcp4", {ZONE: FULL, L4_TYPE: FULL, SRC_PORT: FULL, DST_PORT: FULL}, to("rest4"), SOFTWARE),
    Shape("control4", {L3_TYPE: FULL, **_SENDER, SRC4: FULL}, UNAUTHENTICATED, to("dhcp4"), (ZONE, u32(0)),
          type=_LPM),
    Shape("rogue4", {PORT: FULL, L4_TYPE: FULL, SRC_PORT: FULL, DST_PORT: FULL}, to("control4"), ROGUE_CONTROL),
    # ARP.
    Shape("arp_answer", {ZONE: FULL, u32(0): FULL, u32(5): FULL}, LINK_CONTROL, FwdAnswer(), (SRC_MAC,)),
    Shape("arp_own", {PORT: FULL, ZONE: FULL, u32(0): FULL}, to("arp_answer"), LINK_CONTROL),
    Shape("arp_router", {PORT: FULL, ZONE: FULL, u32(2): FULL, u32(3): FULL}, UNAUTHENTICATED, to("arp_own")),
    Shape("arp_sender", {PORT: FULL, ZONE: FULL, u32(1): FULL, u32(2): FULL, u32(3): FULL}, to("arp_router"),
          to("arp_own")),
    Shape("arp", _SENDER, UNAUTHENTICATED, to("arp_sender"), (ZONE,), descs=(
        _copy("outer.arp.tpa", 0, 32), _copy("outer.arp.spa", 1, 32), _copy("outer.arp.sha", 2, 32),
        _copy(DescField("outer.arp.sha", 32), 3, 16), _copy("outer.arp.op", 5, 16))),
    # Neither IP nor ARP.
    Shape("other", {DST_MAC: MULTICAST_BIT}, UNTRACKABLE, NO_MULTICAST),
    Shape("group", {DST_MAC: CONTROL_GROUP}, to("other"), LINK_CONTROL),
    Shape("root", {L2_TYPE: FULL, ETH_TYPE: FULL, DST_MAC: MULTICAST_BIT}, to("group"), EACH, is_root=True),
)  # fmt: skip

SHAPES: Final[Mapping[str, Shape]] = {
    shape.name: shape for shape in (*_FORWARDING, *_POLICY, *_BINDING, *_LINK)
}
"""All pipes but ``ct``, by name."""
ORDER: Final = (
    *(shape.name for shape in _FORWARDING), *(shape.name for shape in _POLICY), "ct",
    *(shape.name for shape in _BINDING), *(shape.name for shape in _LINK),
)  # fmt: skip
"""In which pipes are created."""


def ct_spec(config: CtConfig) -> PipeSpec:
    """The pipe that keeps connections."""
    return PipeSpec(name=f"{PREFIX}ct", type=PipeType.CT, ct=config, fwd=ALLOW, fwd_miss=to("new"))
