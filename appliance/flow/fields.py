# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The one list of fields that matches and actions can hold.

Every consumer is driven by this table: the flat view of the dataclasses in ``types``, the protobuf
conversion, the filling of the C structs through cffi, and the reference interpreter of the tests. It holds
data only.

A field's *name* is DOCA's field string where one is public (``outer.ipv4.src_ip``,
``tunnel.vxlan.vxlan_tun_id``), else it is made of struct member names (``parser_meta.outer_l3_type``).
Flat values are unsigned integers in host order, ``bits`` wide; all bits set means *changeable* in a pipe
and *whole field* in a mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

META_U32: Final = 10
"""Number of scratch words in ``Meta.u32`` (DOCA_FLOW_META_SCRATCH_PAD_MAX)."""
VLAN_MAX: Final = 2
MPLS_LABELS_MAX: Final = 5


class Kind(Enum):
    """How the C struct stores a field."""

    U8 = "u8"
    U16 = "u16"  # host order
    U32 = "u32"  # host order
    BE16 = "be16"
    BE32 = "be32"
    BE128 = "be32[4]"
    MAC = "u8[6]"
    ENUM = "enum"
    BOOL = "bool"


@dataclass(frozen=True, slots=True)
class Field:
    """One row. ``path`` are the attribute names of the dataclass (an int indexes a tuple), ``c`` is the C
    member path.
    """

    name: str
    path: tuple[str | int, ...]
    c: str
    bits: int
    kind: Kind
    selector: bool = False
    """Type fields: they say which header the other fields belong to; never changeable, never compared with
    the packet.
    """

    @property
    def ones(self) -> int:
        """The all-ones value: changeable in a pipe's match, the whole field in a mask."""
        return (1 << self.bits) - 1

    def under(self, name: str, path: tuple[str | int, ...], c: str) -> Field:
        """The same field as a member of an enclosing struct."""
        return Field(
            f"{name}.{self.name}", path + self.path, f"{c}.{self.c}", self.bits, self.kind, self.selector
        )


_BITS: Final = {
    Kind.U8: 8,
    Kind.U16: 16,
    Kind.U32: 32,
    Kind.BE16: 16,
    Kind.BE32: 32,
    Kind.BE128: 128,
    Kind.MAC: 48,
    Kind.ENUM: 32,
    Kind.BOOL: 1,
}


def _row(
    name: str, attribute: str, kind: Kind, c: str = "", *, bits: int = 0, selector: bool = False
) -> Field:
    path = tuple(int(part) if part.isdigit() else part for part in attribute.split("."))
    return Field(name, path, c or attribute, bits or _BITS[kind], kind, selector)


META: Final[tuple[Field, ...]] = (
    _row("pkt_meta", "pkt_meta", Kind.BE32),
    *(_row(f"u32[{i}]", f"u32.{i}", Kind.BE32, f"u32[{i}]") for i in range(META_U32)),
)

_LAYERS: Final = ("outer", "inner")
_TYPES: Final = ("l2_type", "l3_type", "l4_type")
_FLAGS: Final = ("ip_fragmented", "l3_ok", "ip4_checksum_ok", "l4_ok", "l4_checksum_ok")

PARSER_META: Final[tuple[Field, ...]] = (
    _row("port_id", "port_id", Kind.U16),
    _row("random", "random", Kind.BE16),
    _row("meter_color", "meter_color", Kind.ENUM, bits=8),
    *(_row(f"{layer}_{kind}", f"{layer}_{kind}", Kind.ENUM) for layer in _LAYERS for kind in _TYPES),
    *(_row(f"{layer}_{flag}", f"{layer}_{flag}", Kind.U8) for layer in _LAYERS for flag in _FLAGS),
)

ETH: Final[tuple[Field, ...]] = (
    _row("eth.src_mac", "eth.src_mac", Kind.MAC),
    _row("eth.dst_mac", "eth.dst_mac", Kind.MAC),
    _row("eth.type", "eth.type", Kind.BE16),
)

VLANS: Final[tuple[Field, ...]] = (
    _row("l2_valid_headers", "l2_valid_headers", Kind.U16, selector=True),
    *(_row(f"eth_vlan{i}.tci", f"eth_vlan.{i}", Kind.BE16, f"eth_vlan[{i}].tci") for i in range(VLAN_MAX)),
)

HEADER: Final[tuple[Field, ...]] = (
    *ETH,
    *VLANS,
    _row("l3_type", "l3_type", Kind.ENUM, selector=True),
    _row("ipv4.src_ip", "ip4.src_ip", Kind.BE32),
    _row("ipv4.dst_ip", "ip4.dst_ip", Kind.BE32),
    _row("ipv4.version_ihl", "ip4.version_ihl", Kind.U8),
    _row("ipv4.dscp_ecn", "ip4.dscp_ecn", Kind.U8),
    _row("ipv4.total_len", "ip4.total_len", Kind.BE16),
    _row("ipv4.identification", "ip4.identification", Kind.BE16),
    _row("ipv4.flags_fragment_offset", "ip4.flags_fragment_offset", Kind.BE16),
    _row("ipv4.next_proto", "ip4.next_proto", Kind.U8),
    _row("ipv4.ttl", "ip4.ttl", Kind.U8),
    _row("ipv6.src_ip", "ip6.src_ip", Kind.BE128),
    _row("ipv6.dst_ip", "ip6.dst_ip", Kind.BE128),
    _row("ipv6.traffic_class", "ip6.traffic_class", Kind.U8),
    _row("ipv6.flow_label", "ip6.flow_label", Kind.BE32, bits=20),
    _row("ipv6.payload_len", "ip6.payload_len", Kind.BE16),
    _row("ipv6.next_proto", "ip6.next_proto", Kind.U8),
    _row("ipv6.hop_limit", "ip6.hop_limit", Kind.U8),
    _row("l4_type_ext", "l4_type_ext", Kind.ENUM, selector=True),
    _row("tcp.src_port", "tcp.src_port", Kind.BE16, "tcp.l4_port.src_port"),
    _row("tcp.dst_port", "tcp.dst_port", Kind.BE16, "tcp.l4_port.dst_port"),
    _row("tcp.data_offset", "tcp.data_offset", Kind.U8),
    _row("tcp.flags", "tcp.flags", Kind.U8),
    _row("tcp.seq_num", "tcp.seq_num", Kind.BE32),
    _row("tcp.ack_num", "tcp.ack_num", Kind.BE32),
    _row("udp.src_port", "udp.src_port", Kind.BE16, "udp.l4_port.src_port"),
    _row("udp.dst_port", "udp.dst_port", Kind.BE16, "udp.l4_port.dst_port"),
    _row("icmp.type", "icmp.type", Kind.U8),
    _row("icmp.code", "icmp.code", Kind.U8),
    _row("icmp.ident", "icmp.ident", Kind.BE16),
    _row("transport.src_port", "transport.src_port", Kind.BE16),
    _row("transport.dst_port", "transport.dst_port", Kind.BE16),
)

TUN: Final[tuple[Field, ...]] = (
    _row("type", "type", Kind.ENUM, selector=True),
    _row("vxlan.vxlan_type", "vxlan_type", Kind.ENUM, selector=True),
    _row("vxlan.vxlan_gpe_flags", "vxlan_gpe_flags", Kind.U8),
    _row("vxlan.vxlan_gpe_next_protocol", "vxlan_gpe_next_protocol", Kind.U8),
    _row("vxlan.vxlan_gbp_group_policy_id", "vxlan_gbp_group_policy_id", Kind.BE16),
    _row("vxlan.vxlan_tun_id", "vxlan_tun_id", Kind.BE32),
    _row("vxlan.vxlan_tun_rsvd1", "vxlan_tun_rsvd1", Kind.U8),
    _row("gre.gre_type", "gre_type", Kind.ENUM, selector=True),
    _row("gre.protocol", "protocol", Kind.BE16),
    _row("gre.key_present", "key_present", Kind.BOOL),
    _row("gre.gre_key", "gre_key", Kind.BE32),
    _row("nvgre.nvgre_vs_id", "nvgre_vs_id", Kind.BE32),
    _row("nvgre.nvgre_flow_id", "nvgre_flow_id", Kind.U8),
    _row("gtp.gtp_teid", "gtp_teid", Kind.BE32),
    _row("gtp.gtp_next_ext_hdr_type", "gtp_next_ext_hdr_type", Kind.U8),
    _row("gtp.gtp_ext_psc_qfi", "gtp_ext_psc_qfi", Kind.U8),
    _row("esp.spi", "esp_spi", Kind.BE32),
    _row("esp.sn", "esp_sn", Kind.BE32),
    *(_row(f"mpls{i}.label", f"mpls.{i}", Kind.BE32, f"mpls[{i}].label") for i in range(MPLS_LABELS_MAX)),
    _row("geneve.ver_opt_len", "geneve_ver_opt_len", Kind.U8, "geneve.ver_opt_len"),
    _row("geneve.o_c", "geneve_o_c", Kind.U8, "geneve.o_c"),
    _row("geneve.next_proto", "geneve_next_proto", Kind.BE16, "geneve.next_proto"),
    _row("geneve.vni", "geneve_vni", Kind.BE32, "geneve.vni"),
)


def _nest(rows: tuple[Field, ...], name: str, path: str = "", c: str = "") -> tuple[Field, ...]:
    return tuple(row.under(name, tuple((path or name).split(".")), c or path or name) for row in rows)


MATCH_FIELDS: Final[tuple[Field, ...]] = (
    *_nest(META, "meta"),
    *_nest(PARSER_META, "parser_meta"),
    *_nest(HEADER, "outer"),
    *_nest(TUN, "tunnel", "tun"),
    *_nest(HEADER, "inner"),
)
"""``struct doca_flow_match``, in its order."""

ENCAP_FIELDS: Final[tuple[Field, ...]] = (
    _row("is_l2", "is_l2", Kind.BOOL),
    *_nest(HEADER, "outer", "outer", "encap.outer"),
    *_nest(TUN, "tunnel", "tun", "encap.tun"),
)
"""``struct doca_flow_resource_encap_cfg``."""

DECAP_FIELDS: Final[tuple[Field, ...]] = (_row("is_l2", "is_l2", Kind.BOOL), *ETH, *VLANS)
"""``struct doca_flow_resource_decap_cfg``."""

PUSH_FIELDS: Final[tuple[Field, ...]] = (
    _row("eth_type", "eth_type", Kind.BE16, "vlan.eth_type"),
    _row("tci", "tci", Kind.BE16, "vlan.vlan_hdr.tci"),
)
"""``struct doca_flow_push_action`` of type VLAN."""

ACTION_FIELDS: Final[tuple[Field, ...]] = (
    _row("decap_type", "decap_type", Kind.ENUM, selector=True),
    _row("shared_decap_id", "shared_decap_id", Kind.U32),
    *_nest(DECAP_FIELDS, "decap", "decap", "decap_cfg"),
    _row("pop_vlan", "pop_vlan", Kind.BOOL),
    *_nest(META, "meta"),
    *_nest(HEADER, "outer"),
    *_nest(TUN, "tunnel", "tun"),
    _row("encap_type", "encap_type", Kind.ENUM, selector=True),
    _row("shared_encap_id", "shared_encap_id", Kind.U32),
    *_nest(ENCAP_FIELDS, "encap", "encap", "encap_cfg"),
    _row("has_push", "has_push", Kind.BOOL),
    *_nest(PUSH_FIELDS, "push"),
    _row("nat64.original_l3_type", "nat64", Kind.ENUM, "nat64.original_l3_type", selector=True),
)
"""``struct doca_flow_actions``, in its order."""

MATCH: Final[Mapping[str, Field]] = {row.name: row for row in MATCH_FIELDS}
"""The rows of a match by name."""
ACTIONS: Final[Mapping[str, Field]] = {row.name: row for row in ACTION_FIELDS}
"""The rows of an actions struct by name."""
