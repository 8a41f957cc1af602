# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The hash of hash pipes, as the contract defines it."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.flow import fields

_POLYNOMIAL = 0x82F63B78  # CRC32C (Castagnoli), reflected


def crc32c(data: bytes, start: int = 0xFFFFFFFF) -> int:
    """CRC32C bit by bit, without the final inversion."""
    crc = start
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc


# The order of match fields in a pipe.
_LAYER = (
    "eth.dst_mac", "eth.src_mac", "eth.type", "eth_vlan0.tci", "eth_vlan1.tci", "ipv4.version_ihl", "ipv4.dscp_ecn",
    "ipv4.total_len", "ipv4.identification", "ipv4.flags_fragment_offset", "ipv4.ttl", "ipv4.next_proto",
    "ipv4.src_ip", "ipv4.dst_ip", "ipv6.traffic_class", "ipv6.flow_label", "ipv6.payload_len", "ipv6.next_proto",
    "ipv6.hop_limit", "ipv6.src_ip", "ipv6.dst_ip", "src_port", "dst_port", "tcp.seq_num", "tcp.ack_num",
    "tcp.data_offset", "tcp.flags", "icmp.type", "icmp.code", "icmp.ident",
)  # fmt: skip
_TUNNEL = ("vxlan.vxlan_tun_id", "gre.protocol", "gre.key_present", "gre.gre_key", "geneve.vni")
_IDS = ("geneve.vni",)  # 24 bits on the wire, in the upper part of DOCA's word


def _place(name: str) -> int:
    layer, rest = name.split(".", 1)
    if layer == "tunnel":
        return 1000 + _TUNNEL.index(rest)
    if layer in ("meta", "parser_meta"):
        return list(fields.MATCH).index(name) - 1000
    if rest.endswith("_port"):
        rest = rest.split(".")[1]
    return (0 if layer == "outer" else 2000) + _LAYER.index(rest)


def packed(values: Mapping[str, int]) -> bytes:
    """The masked fields of a hash pipe, one after the other in network order."""
    row = b""
    for name in sorted(values, key=_place):
        if name.endswith(_IDS):
            row += (values[name] >> 8).to_bytes(3, "big")
        elif name.endswith("vxlan_tun_id"):
            row += values[name].to_bytes(3, "big")
        elif name.startswith("parser_meta.") and name.endswith("_type"):
            row += values[name].to_bytes(1, "big")
        else:
            row += values[name].to_bytes((fields.MATCH[name].bits + 7) // 8, "big")
    return row


def pipe_hash(values: Mapping[str, int]) -> int:
    """The hash over the masked fields of a hash pipe."""
    return crc32c(packed(values))
