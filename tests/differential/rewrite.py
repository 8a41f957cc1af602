# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Actions of the reference interpreter that change a packet's shape: VLAN tags and tunnels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from appliance.flow import fields
from appliance.flow.actions import Actions, Decap, Encap, PushVlan
from appliance.flow.enums import ResourceType
from tests.differential import packet as pk

T = TypeVar("T", Decap, Encap)


class ActionFailed(Exception):  # noqa: N818 - the name of the drop reason
    """An action does not fit the packet."""


class MarkLost(Exception):  # noqa: N818 - a drop, too
    """Congestion on a tunnel, and a packet that cannot say so."""


_ECN = {1: "ipv4.dscp_ecn", 2: "ipv6.traffic_class"}


def _ecn(frame: bytes, parsed: pk.Parsed, which: str) -> int:
    layer = parsed.outer if which == "outer" else parsed.inner
    if layer is None or layer.l3 is None:
        return 0
    return pk.read(frame, parsed, f"{which}.{_ECN[layer.l3_type]}") & 3


def _mark(frame: bytes, parsed: pk.Parsed, which: str, ecn: int) -> bytes:
    layer = parsed.outer if which == "outer" else parsed.inner
    assert layer is not None
    name = f"{which}.{_ECN[layer.l3_type]}"
    return pk.write(frame, parsed, name, pk.read(frame, parsed, name) & ~3 | ecn)


def _arrived(frame: bytes, parsed: pk.Parsed) -> bytes:
    """With the inner ECN that follows from both (RFC 6040, figure 4)."""
    if parsed.inner is None or parsed.inner.l3 is None:
        return frame
    outer, inner = _ecn(frame, parsed, "outer"), _ecn(frame, parsed, "inner")
    if outer == 3 and not inner:
        raise MarkLost
    return _mark(frame, parsed, "inner", outer) if outer == 3 or (outer, inner) == (1, 2) else frame


def pop_vlan(frame: bytes, parsed: pk.Parsed) -> bytes:
    """Without its outermost tag; as it is if it has none."""
    return frame[:12] + frame[16:] if parsed.outer.vlans else frame


def push_vlan(frame: bytes, template: PushVlan, given: PushVlan | None) -> bytes:
    """With a new outermost tag."""
    tci = given.tci if template.tci == 0xFFFF and given is not None else template.tci
    kind = given.eth_type if template.eth_type == 0xFFFF and given is not None else template.eth_type
    return frame[:12] + kind.to_bytes(2, "big") + tci.to_bytes(2, "big") + frame[12:]


def decap(frame: bytes, parsed: pk.Parsed, config: Decap) -> bytes:
    """The inner packet, with a new Ethernet header if the tunnel carried none or ``is_l2`` is false."""
    if not parsed.tunnel or parsed.inner is None:
        raise ActionFailed
    frame = _arrived(frame, parsed)
    inner = frame[parsed.inner_start : parsed.outer.l4_end]
    if config.is_l2:
        if not parsed.inner_has_eth:
            raise ActionFailed
        return inner
    if parsed.inner.l3 is None:
        raise ActionFailed
    ethertype = pk.IPV4 if parsed.inner.l3_type == 1 else pk.IPV6
    vlans = pk.given_vlans(config.l2_valid_headers, config.eth_vlan)
    header = pk.ethernet_bytes(config.eth, vlans, config.eth.type or ethertype)
    return header + frame[parsed.inner.l3 : parsed.outer.l4_end]


def encap(frame: bytes, parsed: pk.Parsed, config: Encap) -> bytes:
    """The packet inside a tunnel; without its Ethernet header if ``is_l2`` is false."""
    if config.is_l2:
        made = pk.encap_bytes(config, frame, pk.TEB)
    elif parsed.outer.l3 is None:
        raise ActionFailed
    else:
        ethertype = pk.IPV4 if parsed.outer.l3_type == 1 else pk.IPV6
        made = pk.encap_bytes(config, frame[parsed.outer.l3 : parsed.outer.l4_end], ethertype)
    ecn, now = _ecn(frame, parsed, "outer"), pk.parse(made)
    return _mark(made, now, "outer", ecn) if ecn and not _ecn(made, now, "outer") else made


def chosen(template: Actions, values: Actions, what: str, shared: Mapping[int, T]) -> T | None:
    """The configuration that counts for one hit: own (with the entry's changeable fields), or shared."""
    kind: ResourceType = getattr(template, f"{what}_type")
    if kind is ResourceType.NONE:
        return None
    if kind is ResourceType.SHARED:
        number: int = getattr(template, f"shared_{what}_id")
        entrys: int = getattr(values, f"shared_{what}_id")
        return shared[entrys if number == 0xFFFFFFFF else number]
    own: T = getattr(template, what)
    given: T | None = getattr(values, what)
    filled: T = fill_in(own, given)
    return filled


def fill_in(config: T, given: T | None) -> T:
    """``config`` with every all-ones field taken from ``given``."""
    if given is None:
        return config
    mine, theirs = _flat(config), _flat(given)
    merged = {
        name: theirs.get(name, 0) if value == fields.ACTIONS[name].ones else value
        for name, value in mine.items()
    }
    merged |= {name: value for name, value in mine.items() if fields.ACTIONS[name].selector}
    actions = Actions.from_flat(merged)
    result = actions.decap if isinstance(config, Decap) else actions.encap
    assert isinstance(result, type(config))
    filled: T = replace(result, is_l2=config.is_l2)
    return filled


def _flat(config: Decap | Encap) -> dict[str, int]:
    return (Actions(decap=config) if isinstance(config, Decap) else Actions(encap=config)).flat()
