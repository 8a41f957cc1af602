# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What a pipe does to a packet: ``doca_flow_actions``, its descriptors, and conditions on fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.flow import fields
from appliance.flow.enums import ActionType, CompareOp, L3Type, ResourceType
from appliance.flow.headers import Eth, HeaderFormat, Meta, Tun, header_of, meta_of, tun_of
from appliance.flow.values import Value, flatten, sequence, unflatten


@dataclass(frozen=True, slots=True, repr=False)
class Encap(Value):
    """``struct doca_flow_resource_encap_cfg``: the headers to put in front.

    ``is_l2``: the inner packet keeps its Ethernet header. Lengths and checksums are computed; the rest is
    as given.
    """

    outer: HeaderFormat = HeaderFormat()
    tun: Tun = Tun()
    is_l2: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Decap(Value):
    """``struct doca_flow_resource_decap_cfg``: with ``is_l2`` false, ``eth`` and ``eth_vlan`` are put
    before the inner packet.
    """

    is_l2: bool = True
    eth: Eth = Eth()
    l2_valid_headers: int = 0
    eth_vlan: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self._tuple("eth_vlan", fields.VLAN_MAX, 16)
        if not self.l2_valid_headers:
            valid = sum(1 << i for i, tci in enumerate(self.eth_vlan) if tci)
            object.__setattr__(self, "l2_valid_headers", valid)
        self._ints(l2_valid_headers=16)


@dataclass(frozen=True, slots=True, repr=False)
class PushVlan(Value):
    """``struct doca_flow_push_vlan_action``: ``eth_type`` is the tag's TPID (0x8100 or 0x88a8)."""

    tci: int = 0
    eth_type: int = 0x8100

    def __post_init__(self) -> None:
        self._ints(tci=16, eth_type=16)


@dataclass(frozen=True, slots=True, repr=False)
class Actions(Value):
    """``struct doca_flow_actions``; also what an actions mask is written as.

    Executed in DOCA's fixed order: decap, pop VLAN, meta, outer, tun, NAT64, push VLAN, encap. Giving
    ``encap`` (or ``shared_encap_id``) also sets ``encap_type``, which C programs forget; the same holds
    for decap and push.
    """

    decap_type: ResourceType = ResourceType.NONE
    decap: Decap | None = None
    shared_decap_id: int = 0
    pop_vlan: bool = False
    meta: Meta = Meta()
    outer: HeaderFormat = HeaderFormat()
    tun: Tun = Tun()
    encap_type: ResourceType = ResourceType.NONE
    encap: Encap | None = None
    shared_encap_id: int = 0
    push: PushVlan | None = None
    nat64: L3Type = L3Type.NONE

    def __post_init__(self) -> None:
        put = object.__setattr__
        self._ints(shared_decap_id=32, shared_encap_id=32)
        for what in ("decap", "encap"):
            kind = ResourceType(getattr(self, f"{what}_type"))
            config, shared = getattr(self, what), getattr(self, f"shared_{what}_id")
            if config is not None and (shared or kind is ResourceType.SHARED):
                raise ValueError(f"{what} is shared or not: give {what} or shared_{what}_id, not both")
            if kind is ResourceType.NONE and config is not None:
                kind = ResourceType.NON_SHARED
            if kind is ResourceType.NONE and shared:
                kind = ResourceType.SHARED
            put(self, f"{what}_type", kind)
        put(self, "nat64", L3Type(self.nat64))

    @property
    def has_push(self) -> bool:
        """Whether a VLAN header is pushed."""
        return self.push is not None

    def flat(self) -> dict[str, int]:
        """The non-zero fields by name, for example ``{"outer.ipv4.ttl": 255}``."""
        return flatten(self, fields.ACTION_FIELDS)

    @classmethod
    def from_flat(cls, flat: Mapping[str, int]) -> Actions:
        """The inverse of ``flat``; an unknown name or a value too wide raises ``ValueError``."""
        tree = unflatten(flat, fields.ACTIONS)
        if tree.pop("has_push", 0):
            tree["push"] = PushVlan(**{"eth_type": 0, **tree.get("push", {})})
        if tree.get("decap_type") == ResourceType.NON_SHARED or "decap" in tree:
            part = {"is_l2": 0, **tree.get("decap", {})}
            tree["decap"] = Decap(
                bool(part["is_l2"]),
                Eth(**part.get("eth", {})),
                part.get("l2_valid_headers", 0),
                sequence(part.get("eth_vlan")),
            )
        if tree.get("encap_type") == ResourceType.NON_SHARED or "encap" in tree:
            part = {"is_l2": 0, **tree.get("encap", {})}
            tree["encap"] = Encap(header_of(part.get("outer")), tun_of(part.get("tun")), bool(part["is_l2"]))
        tree.update(
            meta=meta_of(tree.get("meta")), outer=header_of(tree.get("outer")), tun=tun_of(tree.get("tun"))
        )
        return cls(**{**tree, "pop_vlan": bool(tree.get("pop_vlan"))})


@dataclass(frozen=True, slots=True)
class DescField:
    """``struct doca_flow_desc_field``: a field by string; ``bit_offset`` counts from its least significant
    bit.

    ``meta.data`` addresses the meta words: bits 0-31 are ``pkt_meta``, then 32 for each ``u32``.
    """

    field_string: str
    bit_offset: int = 0

    @classmethod
    def pkt_meta(cls, bit: int = 0) -> DescField:
        """Bit ``bit`` of ``meta.pkt_meta``."""
        return cls("meta.data", bit)

    @classmethod
    def meta_u32(cls, index: int, bit: int = 0) -> DescField:
        """Bit ``bit`` of ``meta.u32[index]``."""
        return cls("meta.data", 32 * (index + 1) + bit)


@dataclass(frozen=True, slots=True)
class ActionDesc:
    """``struct doca_flow_action_desc``: ADD or COPY of ``width`` bits.

    ADD without ``src`` adds the value of ``dst``'s field in ``Actions`` (255 is -1 on a ttl). Width 0 is
    the whole field.
    """

    type: ActionType
    dst: DescField
    src: DescField | None = None
    width: int = 0

    @classmethod
    def add(cls, dst: DescField | str, src: DescField | str | None = None, width: int = 0) -> ActionDesc:
        """Add to ``dst``, modulo its width."""
        return cls(ActionType.ADD, desc_field(dst), None if src is None else desc_field(src), width)

    @classmethod
    def copy(cls, src: DescField | str, dst: DescField | str, width: int = 0) -> ActionDesc:
        """Copy ``width`` bits from ``src`` to ``dst``."""
        return cls(ActionType.COPY, desc_field(dst), desc_field(src), width)


def desc_field(what: DescField | str) -> DescField:
    """A ``DescField``, from a field string at bit 0 if need be."""
    return DescField(what) if isinstance(what, str) else what


@dataclass(frozen=True, slots=True)
class Condition:
    """``struct doca_flow_match_condition``: ``a operation b`` on ``width`` bits, in control pipes.

    Without ``b`` the immediate is the value of ``a``'s field in the entry's ``match``.
    """

    operation: CompareOp
    a: DescField
    b: DescField | None = None
    width: int = 0
