# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Packets of the reference interpreter: parse, read and write fields, checksums, headers built from values.

Written from the RFCs and from doca-flow.md, slow and plain, and sharing nothing with the C side. A parsed
packet maps field names (those of ``appliance.flow.fields``) to places in the bytes; what is not in the map
is absent: it reads as zero and writes to it are lost.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from appliance.flow.types import (
    Encap,
    Eth,
    HeaderFormat,
    L2Meta,
    L3Meta,
    L3Type,
    L4Meta,
    L4TypeExt,
    Tun,
    TunType,
    VxlanType,
)

VLAN_TYPES = (0x8100, 0x88A8, 0x9100)
IPV4, IPV6, TEB, ARP = 0x0800, 0x86DD, 0x6558, 0x0806
TCP, UDP, ICMP, ICMP6, SCTP, GRE, ESP, IPIP, IPV6_IN_IP = 6, 17, 1, 58, 132, 47, 50, 4, 41
EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options
FRAGMENT, AH = 44, 51
VXLAN_PORT, GPE_PORT, GENEVE_PORT, GTPU_PORT, MPLS_PORT = 4789, 4790, 6081, 2152, 6635


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field is: ``bits`` bits, ``shift`` bits above the end of ``length`` bytes at ``offset``."""

    offset: int
    length: int
    shift: int
    bits: int


@dataclass(slots=True)
class Layer:
    """One parsed layer: offsets into the frame, None where absent."""

    start: int
    vlans: int = 0
    vlan_type: int = 0
    l3: int | None = None
    l3_type: int = 0
    l4: int | None = None
    l4_proto: int = 0
    l4_end: int = 0
    """Where the IP datagram ends, or the bytes at hand if that is earlier."""
    l4_length: int = 0
    """Bytes of the datagram from the L4 header on."""
    l4_type: int = 0
    l3_ok: bool = False
    wire_end: int = 0
    """Where the frame or the enclosing datagram ends."""
    fragment: bool = False
    later_fragment: bool = False


@dataclass(slots=True)
class Parsed:
    """The result of ``parse``."""

    places: dict[str, Place] = dataclasses.field(default_factory=dict)
    meta: dict[str, int] = dataclasses.field(default_factory=dict)
    """parser_meta fields, as numbers."""
    outer: Layer = dataclasses.field(default_factory=lambda: Layer(0))
    inner: Layer | None = None
    tunnel: str = ""
    inner_has_eth: bool = False
    inner_start: int = 0
    malformed: bool = False


def ones_sum(data: bytes) -> int:
    """The folded one's complement sum of 16-bit words."""
    if len(data) % 2:
        data += b"\0"
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def checksum(data: bytes) -> int:
    """The Internet checksum of ``data``, whose own checksum field is zero or left out."""
    return 0xFFFF - ones_sum(data)


class Cut(Exception):  # noqa: N818 - never leaves this module as an error
    """The frame ends inside a header that it needs."""


def parse(frame: bytes) -> Parsed:
    """Find every field of a frame.

    Malformed is a frame that ends inside its Ethernet header, a tag, or the outer IP header. Wrong lengths
    inside the IP header are no reason to drop: l3_ok and l4_ok tell.
    """
    parsed = Parsed(outer=Layer(0, wire_end=len(frame)))
    try:
        ethertype, offset = _ethernet(frame, 0, "outer", parsed, parsed.outer)
        _network(frame, offset, ethertype, "outer", parsed, parsed.outer)
        _tunnel(frame, parsed)
    except Cut:
        return Parsed(malformed=True)
    parsed.meta = parser_meta(frame, parsed)
    return parsed


def parser_meta(frame: bytes, parsed: Parsed) -> dict[str, int]:
    """What the parser says about the layers that it found."""
    meta: dict[str, int] = {}
    for name in ("outer", "inner"):
        _layer_meta(frame, name, parsed, meta)
    return meta


def _put(
    parsed: Parsed, name: str, offset: int, length: int, shift: int = 0, bits: int | None = None
) -> None:
    parsed.places[name] = Place(offset, length, shift, 8 * length if bits is None else bits)


def _ethernet(frame: bytes, at: int, layer: str, parsed: Parsed, info: Layer) -> tuple[int, int]:
    if at + 14 > len(frame):
        raise Cut
    _put(parsed, f"{layer}.eth.dst_mac", at, 6)
    _put(parsed, f"{layer}.eth.src_mac", at + 6, 6)
    offset = at + 12
    while int.from_bytes(frame[offset : offset + 2], "big") in VLAN_TYPES:
        if offset + 6 > len(frame):
            raise Cut
        if not info.vlans:
            info.vlan_type = int.from_bytes(frame[offset : offset + 2], "big")
        if info.vlans < 2:
            _put(parsed, f"{layer}.eth_vlan{info.vlans}.tci", offset + 2, 2)
        info.vlans += 1
        offset += 4
    _put(parsed, f"{layer}.eth.type", offset, 2)
    return int.from_bytes(frame[offset : offset + 2], "big"), offset + 2


def _network(frame: bytes, at: int, ethertype: int, layer: str, parsed: Parsed, info: Layer) -> None:
    if ethertype == IPV4:
        _ipv4(frame, at, layer, parsed, info)
    elif ethertype == IPV6:
        _ipv6(frame, at, layer, parsed, info)
    elif ethertype == ARP and layer == "outer":
        _arp(frame, at, parsed)


def _arp(frame: bytes, at: int, parsed: Parsed) -> None:
    if at + 28 > len(frame) or frame[at : at + 6] != bytes((0, 1, 8, 0, 6, 4)):
        return
    for name, offset, length in (("op", 6, 2), ("sha", 8, 6), ("spa", 14, 4), ("tha", 18, 6), ("tpa", 24, 4)):
        _put(parsed, f"outer.arp.{name}", at + offset, length)


def _neighbour(frame: bytes, at: int, parsed: Parsed, info: Layer) -> None:
    heads = {133: 8, 134: 16, 135: 24, 136: 24, 137: 40}
    kind, end = frame[at], info.l4_end
    if kind not in heads or info.fragment or info.l3_type != L3Meta.IPV6 or at + heads[kind] > end:
        return
    if kind >= 135:
        _put(parsed, "outer.nd.target", at + 8, 16)
    option, number = at + heads[kind], 0
    while option + 8 <= end and number < 16 and frame[option + 1] and option + 8 * frame[option + 1] <= end:
        if frame[option] == (2 if kind >= 136 else 1):
            _put(parsed, "outer.nd.lladdr", option + 2, 6)
            return
        option, number = option + 8 * frame[option + 1], number + 1


def _ipv4(frame: bytes, at: int, layer: str, parsed: Parsed, info: Layer) -> None:
    if at + 20 > len(frame):
        raise Cut
    ihl = 4 * (frame[at] & 15)
    if at + ihl > len(frame):
        raise Cut
    total = int.from_bytes(frame[at + 2 : at + 4], "big")
    info.l3, info.l3_type = at, L3Meta.IPV4
    for name, offset, length in (
        ("version_ihl", 0, 1),
        ("dscp_ecn", 1, 1),
        ("total_len", 2, 2),
        ("identification", 4, 2),
        ("flags_fragment_offset", 6, 2),
        ("ttl", 8, 1),
        ("next_proto", 9, 1),
        ("src_ip", 12, 4),
        ("dst_ip", 16, 4),
    ):
        _put(parsed, f"{layer}.ipv4.{name}", at + offset, length)
    flags = int.from_bytes(frame[at + 6 : at + 8], "big")
    info.fragment = bool(flags & 0x3FFF)
    info.later_fragment = bool(flags & 0x1FFF)
    sane = frame[at] >> 4 == 4 and ihl >= 20 and total >= ihl
    info.l3_ok = sane and at + total <= info.wire_end
    if sane:
        info.l4_end = min(at + total, len(frame))
        info.l4_length = min(total, info.wire_end - at) - ihl
        if not info.later_fragment:
            _transport(frame, at + ihl, frame[at + 9], layer, parsed, info)


def _ipv6(frame: bytes, at: int, layer: str, parsed: Parsed, info: Layer) -> None:
    if at + 40 > len(frame):
        raise Cut
    total = 40 + int.from_bytes(frame[at + 4 : at + 6], "big")
    info.l3, info.l3_type = at, L3Meta.IPV6
    _put(parsed, f"{layer}.ipv6.traffic_class", at, 2, 4, 8)
    _put(parsed, f"{layer}.ipv6.flow_label", at, 4, 0, 20)
    for name, offset, length in (
        ("payload_len", 4, 2),
        ("next_proto", 6, 1),
        ("hop_limit", 7, 1),
        ("src_ip", 8, 16),
        ("dst_ip", 24, 16),
    ):
        _put(parsed, f"{layer}.ipv6.{name}", at + offset, length)
    sane = frame[at] >> 4 == 6
    info.l3_ok = sane and at + total <= info.wire_end
    if not sane:
        return
    info.l4_end = min(at + total, len(frame))
    proto, offset, inside = frame[at + 6], at + 40, False
    while proto in EXTENSIONS or proto in (FRAGMENT, AH):
        if offset + 8 > info.l4_end or (inside and proto == FRAGMENT):
            return
        if proto == FRAGMENT:
            inside = True
            fragment = int.from_bytes(frame[offset + 2 : offset + 4], "big")
            info.fragment = bool(fragment & 0xFFF9)
            info.later_fragment = bool(fragment & 0xFFF8)
            length = 8
        elif proto == AH:
            length = 4 * (frame[offset + 1] + 2)
        else:
            length = 8 * (frame[offset + 1] + 1)
        proto, offset = frame[offset], offset + length
        if offset > info.l4_end or info.later_fragment:
            return
    info.l4_length = min(at + total, info.wire_end) - offset
    _transport(frame, offset, proto, layer, parsed, info)


L4_TYPES = {TCP: L4Meta.TCP, UDP: L4Meta.UDP, ICMP: L4Meta.ICMP, ICMP6: L4Meta.ICMP, ESP: L4Meta.ESP}
L4_BYTES = {TCP: 20, UDP: 8, SCTP: 12, ICMP: 8, ICMP6: 8, GRE: 4, ESP: 8, IPIP: 0, IPV6_IN_IP: 0}


def _transport(frame: bytes, at: int, proto: int, layer: str, parsed: Parsed, info: Layer) -> None:
    info.l4_proto = proto
    info.l4_type = L4_TYPES.get(proto, L4Meta.NONE)
    if proto not in L4_BYTES or at + L4_BYTES[proto] > info.l4_end:
        return
    info.l4 = at
    if proto in (TCP, UDP, SCTP):
        for kind in ("tcp", "udp", "transport"):
            _put(parsed, f"{layer}.{kind}.src_port", at, 2)
            _put(parsed, f"{layer}.{kind}.dst_port", at + 2, 2)
    if proto == TCP:
        _put(parsed, f"{layer}.tcp.seq_num", at + 4, 4)
        _put(parsed, f"{layer}.tcp.ack_num", at + 8, 4)
        _put(parsed, f"{layer}.tcp.data_offset", at + 12, 1)
        _put(parsed, f"{layer}.tcp.flags", at + 13, 1)
    if proto in (ICMP, ICMP6):
        _put(parsed, f"{layer}.icmp.type", at, 1)
        _put(parsed, f"{layer}.icmp.code", at + 1, 1)
        _put(parsed, f"{layer}.icmp.ident", at + 4, 2)
    if proto == ICMP6 and layer == "outer":
        _neighbour(frame, at, parsed, info)


def _tunnel(frame: bytes, parsed: Parsed) -> None:
    outer, end = parsed.outer, parsed.outer.l4_end
    if outer.l4 is None:
        return
    at = outer.l4
    if outer.l4_proto in (IPIP, IPV6_IN_IP):
        _inner(frame, at, IPV4 if outer.l4_proto == IPIP else IPV6, "ipip", parsed)
        return
    if outer.l4_proto == UDP and outer.fragment:
        return
    if outer.l4_proto == UDP:
        port = int.from_bytes(frame[at + 2 : at + 4], "big")
        body = at + 8
        if port == VXLAN_PORT and body + 8 <= end:
            _put(parsed, "tunnel.vxlan.vxlan_tun_id", body + 4, 3)
            _put(parsed, "tunnel.vxlan.vxlan_tun_rsvd1", body + 7, 1)
            _inner(frame, body + 8, TEB, "vxlan", parsed)
        elif port == GENEVE_PORT and body + 8 <= end:
            header = 8 + 4 * (frame[body] & 63)
            if body + header > end:
                return
            _put(parsed, "tunnel.geneve.ver_opt_len", body, 1)
            _put(parsed, "tunnel.geneve.o_c", body + 1, 1)
            _put(parsed, "tunnel.geneve.next_proto", body + 2, 2)
            _put(parsed, "tunnel.geneve.vni", body + 4, 3)
            _inner(frame, body + header, int.from_bytes(frame[body + 2 : body + 4], "big"), "geneve", parsed)
    elif outer.l4_proto == GRE:
        flags, protocol = (
            int.from_bytes(frame[at : at + 2], "big"),
            int.from_bytes(frame[at + 2 : at + 4], "big"),
        )
        if flags & 7:  # a version other than 0
            return
        header = 4 + 4 * sum(1 for bit in (0x8000, 0x2000, 0x1000) if flags & bit)
        if flags & 0x2000 and at + 8 + (4 if flags & 0x8000 else 0) > end:
            return
        _put(parsed, "tunnel.gre.protocol", at + 2, 2)
        _put(parsed, "tunnel.gre.key_present", at, 2, 13, 1)
        if flags & 0x2000:
            _put(parsed, "tunnel.gre.gre_key", at + 4 + (4 if flags & 0x8000 else 0), 4)
        if at + header <= end:
            _inner(frame, at + header, protocol, "gre", parsed)
    elif outer.l4_proto == ESP:
        _put(parsed, "tunnel.esp.spi", at, 4)
        _put(parsed, "tunnel.esp.sn", at + 4, 4)
        parsed.tunnel = "esp"


def _inner(frame: bytes, at: int, ethertype: int, tunnel: str, parsed: Parsed) -> None:
    parsed.tunnel, parsed.inner_start = tunnel, at
    inner = Layer(at, wire_end=len(frame))
    inside = frame[: parsed.outer.l4_end]
    try:
        if ethertype == TEB:
            ethertype, at = _ethernet(inside, at, "inner", parsed, inner)
            parsed.inner_has_eth = True
        elif ethertype not in (IPV4, IPV6):
            return
        parsed.inner = inner
        _network(inside, at, ethertype, "inner", parsed, inner)
    except Cut:
        return


def _layer_meta(frame: bytes, name: str, parsed: Parsed, meta: dict[str, int]) -> None:
    layer = parsed.outer if name == "outer" else parsed.inner
    if layer is None:
        return
    single = L2Meta.SINGLE_VLAN if layer.vlan_type == VLAN_TYPES[0] else L2Meta.CUSTOM_VLAN
    vlans = {0: L2Meta.NO_VLAN, 1: single}.get(layer.vlans, L2Meta.MULTI_VLAN)
    meta[f"{name}_l2_type"] = vlans
    meta[f"{name}_l3_type"] = layer.l3_type
    meta[f"{name}_l4_type"] = layer.l4_type
    meta[f"{name}_ip_fragmented"] = int(layer.fragment)
    meta[f"{name}_l3_ok"] = int(layer.l3_ok)
    if layer.l3 is not None and layer.l3_type == L3Meta.IPV4:
        length = 4 * (frame[layer.l3] & 15)
        header = frame[layer.l3 : layer.l3 + length]
        meta[f"{name}_ip4_checksum_ok"] = int(length >= 20 and ones_sum(header) == 0xFFFF)
    if layer.l4 is None or not layer.l4_type:
        return
    covered = _l4_covered(frame, layer)
    meta[f"{name}_l4_ok"] = int(covered is not None)
    if covered is not None and not layer.fragment:
        meta[f"{name}_l4_checksum_ok"] = int(_l4_checksum_ok(frame, layer, covered))


def _l4_covered(frame: bytes, layer: Layer) -> int | None:
    """Bytes under the L4 checksum; None if the header's own lengths are impossible."""
    assert layer.l4 is not None
    if layer.l4_proto == TCP:
        return layer.l4_length if 20 <= 4 * (frame[layer.l4 + 12] >> 4) <= layer.l4_length else None
    if layer.l4_proto == UDP:
        length = int.from_bytes(frame[layer.l4 + 4 : layer.l4 + 6], "big")
        return length if 8 <= length <= layer.l4_length else None
    return layer.l4_length if layer.l4_length >= 8 else None


def _pseudo(frame: bytes, layer: Layer, length: int) -> bytes:
    assert layer.l3 is not None
    if layer.l3_type == L3Meta.IPV4:
        return frame[layer.l3 + 12 : layer.l3 + 20] + bytes([0, layer.l4_proto]) + length.to_bytes(2, "big")
    return frame[layer.l3 + 8 : layer.l3 + 40] + length.to_bytes(4, "big") + bytes([0, 0, 0, layer.l4_proto])


def _l4_checksum_at(layer: Layer) -> int | None:
    offset = {TCP: 16, UDP: 6, ICMP: 2, ICMP6: 2}.get(layer.l4_proto)
    return None if offset is None or layer.l4 is None else layer.l4 + offset


def _l4_checksum_ok(frame: bytes, layer: Layer, length: int) -> bool:
    at = _l4_checksum_at(layer)
    if at is None or (layer.l4_proto == ICMP6 and layer.l3_type == L3Meta.IPV4):
        return False
    assert layer.l4 is not None
    if layer.l4_proto == UDP and frame[at : at + 2] == b"\0\0":
        return True
    data = frame[layer.l4 : layer.l4 + length]
    if layer.l4_proto != ICMP:
        data = _pseudo(frame, layer, length) + data
    return ones_sum(data) == 0xFFFF


# DOCA's words of 24 bits of id and 8 bits of zero.
IDS = ("tunnel.geneve.vni", "tunnel.nvgre.nvgre_vs_id")


def read(frame: bytes, parsed: Parsed, name: str) -> int:
    """A field's value, zero if absent."""
    place = parsed.places.get(name)
    if place is None:
        return 0
    word = int.from_bytes(frame[place.offset : place.offset + place.length], "big")
    value = (word >> place.shift) & ((1 << place.bits) - 1)
    return value << 8 if name in IDS else value


def write(frame: bytes, parsed: Parsed, name: str, value: int) -> bytes:
    """The frame with the field set; checksums that cover it follow (RFC 1624). Lost if the field is absent."""
    place = parsed.places.get(name)
    if place is None:
        return frame
    if name in IDS:
        value >>= 8
    word = int.from_bytes(frame[place.offset : place.offset + place.length], "big")
    mask = ((1 << place.bits) - 1) << place.shift
    word = (word & ~mask) | ((value << place.shift) & mask)
    new = frame[: place.offset] + word.to_bytes(place.length, "big") + frame[place.offset + place.length :]
    return _fix_checksums(frame, new, parsed)


def _fix_checksums(old: bytes, new: bytes, parsed: Parsed) -> bytes:
    for layer in (parsed.inner, parsed.outer):  # the inner one first: the outer may cover it
        if layer is None or layer.l3 is None:
            continue
        if layer.l3_type == L3Meta.IPV4:
            length = 4 * (old[layer.l3] & 15)
            covered = [(layer.l3, layer.l3 + 10), (layer.l3 + 12, layer.l3 + length)]
            new = _adjust(
                old, new, layer.l3 + 10, [old[a:b] for a, b in covered], [new[a:b] for a, b in covered], False
            )
        at = _l4_checksum_at(layer)
        if at is None or layer.later_fragment:
            continue
        assert layer.l4 is not None
        addresses = (
            (layer.l3 + 12, layer.l3 + 20) if layer.l3_type == L3Meta.IPV4 else (layer.l3 + 8, layer.l3 + 40)
        )
        parts = [(layer.l4, at), (at + 2, layer.l4_end)]
        if layer.l4_proto != ICMP:
            parts.append(addresses)
        new = _adjust(
            old, new, at, [old[a:b] for a, b in parts], [new[a:b] for a, b in parts], layer.l4_proto == UDP
        )
    return new


def _adjust(old: bytes, new: bytes, at: int, before: list[bytes], after: list[bytes], udp: bool) -> bytes:
    if before == after:
        return new
    was = int.from_bytes(old[at : at + 2], "big")
    if udp and was == 0:
        return new
    difference = sum(ones_sum(part) for part in after) - sum(ones_sum(part) for part in before)
    # ~HC' = ~HC + difference, in one's complement arithmetic, where 0xffff and 0 are the same number
    total = (0xFFFF - was + difference) % 0xFFFF
    value = 0xFFFF - (total or 0xFFFF)
    if udp and value == 0:
        value = 0xFFFF
    return new[:at] + value.to_bytes(2, "big") + new[at + 2 :]


# -- building ------------------------------------------------------------------------------------------------------


def ethernet_bytes(eth: Eth, vlans: tuple[int, ...], ethertype: int) -> bytes:
    """An Ethernet header with tags of type 0x8100, behind 0x88a8 if there are two."""
    kinds = (b"\x88\xa8", b"\x81\0") if len(vlans) == 2 else (b"\x81\0",) * len(vlans)
    tags = b"".join(kind + tci.to_bytes(2, "big") for kind, tci in zip(kinds, vlans, strict=True))
    return (
        int(eth.dst_mac).to_bytes(6, "big")
        + int(eth.src_mac).to_bytes(6, "big")
        + tags
        + ethertype.to_bytes(2, "big")
    )


def given_vlans(valid: int, tcis: tuple[int, ...]) -> tuple[int, ...]:
    """The TCIs whose bits are set in l2_valid_headers."""
    return tuple(tci for i, tci in enumerate(tcis) if valid & (1 << i))


def encap_bytes(config: Encap, payload: bytes, inner_ethertype: int) -> bytes:
    """The frame that encapsulation makes of ``payload`` (with its Ethernet header for an L2 tunnel)."""
    outer, tun = config.outer, config.tun
    body = _tunnel_bytes(tun, TEB if config.is_l2 else inner_ethertype) + payload
    if outer.l4_type_ext is L4TypeExt.UDP:
        length = len(body) + 8
        udp = outer.udp
        body = (
            b"".join(number.to_bytes(2, "big") for number in (udp.src_port, udp.dst_port, length, 0)) + body
        )
        proto = UDP
    else:
        proto = GRE
    ethertype, body = _network_bytes(outer, proto, body)
    return ethernet_bytes(outer.eth, given_vlans(outer.l2_valid_headers, outer.eth_vlan), ethertype) + body


def _network_bytes(outer: HeaderFormat, proto: int, body: bytes) -> tuple[int, bytes]:
    if outer.l3_type is L3Type.IP4:
        ip = outer.ip4
        header = bytes([ip.version_ihl or 0x45, ip.dscp_ecn & 0xFC]) + (20 + len(body)).to_bytes(2, "big")
        header += ip.identification.to_bytes(2, "big") + ip.flags_fragment_offset.to_bytes(2, "big")
        header += bytes([ip.ttl, ip.next_proto or proto, 0, 0])
        header += int(ip.src_ip).to_bytes(4, "big") + int(ip.dst_ip).to_bytes(4, "big")
        return IPV4, header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + body
    six = outer.ip6
    word = 6 << 28 | (six.traffic_class & 0xFC) << 20 | (six.flow_label & 0xFFFFF)
    header = (
        word.to_bytes(4, "big")
        + len(body).to_bytes(2, "big")
        + bytes([six.next_proto or proto, six.hop_limit])
    )
    return IPV6, header + int(six.src_ip).to_bytes(16, "big") + int(six.dst_ip).to_bytes(16, "big") + body


def _tunnel_bytes(tun: Tun, payload_type: int) -> bytes:
    if tun.type is TunType.VXLAN:
        if tun.vxlan_type is not VxlanType.STANDARD:
            raise NotImplementedError("VXLAN extensions")
        return b"\x08\0\0\0" + (tun.vxlan_tun_id & 0xFFFFFF).to_bytes(3, "big") + bytes([tun.vxlan_tun_rsvd1])
    if tun.type is TunType.GRE:
        flags = 0x2000 if tun.key_present else 0
        key = tun.gre_key.to_bytes(4, "big") if tun.key_present else b""
        return flags.to_bytes(2, "big") + (tun.protocol or payload_type).to_bytes(2, "big") + key
    if tun.type is TunType.GENEVE:
        head = bytes([tun.geneve_ver_opt_len, tun.geneve_o_c])
        return (
            head
            + (tun.geneve_next_proto or payload_type).to_bytes(2, "big")
            + tun.geneve_vni.to_bytes(4, "big")
        )
    raise NotImplementedError(tun.type.name)
