# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Field values as people write them: "10.0.0.1", "02:00:00:00:00:01", "tcp", "syn|ack", "changeable".

Both ways, driven by the table of ``appliance.flow.fields``; used by the protobuf conversion, the configuration file and
the command line. It knows no protobuf and no file format.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum, IntFlag
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from appliance.flow.enums import (
    GreType,
    L2Meta,
    L2Valid,
    L3Meta,
    L3Type,
    L4Meta,
    L4TypeExt,
    MeterColor,
    ResourceType,
    TcpFlags,
    TunType,
    VxlanType,
)
from appliance.flow.fields import Field, Kind
from appliance.flow.values import parse_mac, prefix_mask

CHANGEABLE: Final = "changeable"
"""All bits set in a match or in actions; ``*`` is read as well."""
ALL: Final = "all"
"""All bits set in a mask."""

# Fields whose numbers have names, by the end of the field's name.
_ENUMS: Final[Mapping[str, type[IntEnum]]] = {
    "outer_l2_type": L2Meta,
    "inner_l2_type": L2Meta,
    "outer_l3_type": L3Meta,
    "inner_l3_type": L3Meta,
    "outer_l4_type": L4Meta,
    "inner_l4_type": L4Meta,
    "meter_color": MeterColor,
    "l3_type": L3Type,
    "original_l3_type": L3Type,
    "l4_type_ext": L4TypeExt,
    "tunnel.type": TunType,
    "vxlan_type": VxlanType,
    "gre_type": GreType,
    "decap_type": ResourceType,
    "encap_type": ResourceType,
}
_FLAGS: Final[Mapping[str, type[IntFlag]]] = {"tcp.flags": TcpFlags, "l2_valid_headers": L2Valid}

# Other names of fields.
_ALIASES: Final[Mapping[str, str]] = {
    "tunnel.vxlan.vni": "tunnel.vxlan.vxlan_tun_id",
    "encap.tunnel.vxlan.vni": "encap.tunnel.vxlan.vxlan_tun_id",
}


def width(row: Field) -> int:
    """Bytes of a packed value."""
    return (row.bits + 7) // 8


def resolve(name: str, rows: Mapping[str, Field]) -> Field:
    """The row that a name means; unknown names raise ``ValueError``."""
    row = rows.get(_ALIASES.get(name, name))
    if row is None:
        raise ValueError(f"there is no field {name!r}{_suggestion(name, rows)}")
    return row


def _suggestion(name: str, rows: Mapping[str, Field]) -> str:
    last = name.rsplit(".", 1)[-1]
    near = [known for known in rows if known.rsplit(".", 1)[-1] == last][:3]
    return f" (did you mean {' or '.join(near)}?)" if near else " (docs/fields.md lists them)"


def _kind_of(row: Field) -> type[IntEnum] | None:
    for suffix, enum in _ENUMS.items():
        if row.name == suffix or row.name.endswith("." + suffix):
            return enum
    return None


def _flags_of(row: Field) -> type[IntFlag] | None:
    for suffix, flags in _FLAGS.items():
        if row.name == suffix or row.name.endswith("." + suffix):
            return flags
    return None


def is_address(row: Field) -> bool:
    """Whether the field is an IP address."""
    return row.name.endswith((".src_ip", ".dst_ip"))


def parse(row: Field, text: str) -> int:
    """The number that a text means; raises ``ValueError`` with a sentence that names the field."""
    text = text.strip()
    if text in (CHANGEABLE, ALL, "*"):
        return row.ones
    try:
        number = _parse(row, text)
    except ValueError as error:
        raise ValueError(f"{row.name}: {text!r} is not {_what(row)} ({error})") from None
    if not 0 <= number <= row.ones:
        raise ValueError(f"{row.name}: {text!r} does not fit into {row.bits} bits")
    return number


def _parse(row: Field, text: str) -> int:
    if text.startswith("/") and is_address(row):
        return prefix_mask(int(text[1:]), row.bits)
    if row.kind is Kind.MAC and ":" in text:
        return parse_mac(text)
    if row.kind is Kind.BE128 and ":" in text:
        return int(IPv6Address(text))
    if row.kind is Kind.BE32 and is_address(row) and "." in text:
        return int(IPv4Address(text))
    if row.kind is Kind.BOOL and text.lower() in ("true", "false", "yes", "no"):
        return int(text.lower() in ("true", "yes"))
    enum = _kind_of(row)
    if enum is not None and not text[:1].isdigit():
        names = enum.__members__
        if text.upper() not in names:
            raise ValueError("one of " + ", ".join(name.lower() for name in names))
        return int(names[text.upper()])
    flags = _flags_of(row)
    if flags is not None and not text[:1].isdigit():
        known = flags.__members__
        parts = [part.strip().upper() for part in re.split(r"[|,+]", text)]
        if unknown := [part.lower() for part in parts if part not in known]:
            raise ValueError(f"unknown {', '.join(unknown)}; known: " + ", ".join(n.lower() for n in known))
        return sum({int(known[part]) for part in parts})
    return int(text, 0)


def _what(row: Field) -> str:
    if row.kind is Kind.MAC:
        return "a MAC address"
    if row.kind is Kind.BE128:
        return "an IPv6 address"
    if is_address(row):
        return "an IPv4 address"
    if _kind_of(row) or _flags_of(row):
        return "one of its names, or a number"
    return f"a number of {row.bits} bits"


def show(row: Field, number: int, *, changeable: bool = True) -> str:
    """The text of a number, as ``parse`` reads it; without ``changeable`` all ones is a number like others."""
    if changeable and number == row.ones and row.bits > 1:
        return CHANGEABLE
    if row.kind is Kind.MAC:
        return ":".join(f"{byte:02x}" for byte in number.to_bytes(6, "big"))
    if row.kind is Kind.BE128:
        return str(IPv6Address(number))
    if is_address(row):
        return str(IPv4Address(number))
    if row.kind is Kind.BOOL:
        return "true" if number else "false"
    enum = _kind_of(row)
    if enum is not None:
        names = {member.value: name.lower() for name, member in enum.__members__.items()}
        return names.get(number, str(number))
    flags = _flags_of(row)
    if flags is not None and number:
        shown = [name.lower() for name, member in flags.__members__.items() if number & member]
        named = sum({int(member) for member in flags.__members__.values() if number & member})
        return "|".join(shown) if named == number else hex(number)
    if row.name.endswith(
        (".type", ".tci", "version_ihl", "pkt_meta", "vxlan_tun_id", "geneve.vni", "_vs_id")
    ) or (row.name.startswith(("meta.u32", "tunnel.mpls"))):
        return hex(number)
    return str(number)


def show_mask(row: Field, number: int) -> str:
    """A mask for people: a prefix length for addresses, else hexadecimal; ``all`` for the whole field."""
    if number == row.ones:
        return ALL
    if is_address(row) and number:
        length = row.bits - ((number & -number).bit_length() - 1)
        if number == prefix_mask(length, row.bits):
            return f"/{length}"
    return show(row, number) if _flags_of(row) and number else hex(number)


def to_bytes(row: Field, number: int) -> bytes:
    """Network byte order, right-aligned in the smallest number of whole bytes."""
    return number.to_bytes(width(row), "big")


def from_bytes(row: Field, value: bytes) -> int:
    """The inverse; shorter values are right-aligned, longer ones refused."""
    if len(value) > width(row):
        raise ValueError(f"{row.name}: {len(value)} bytes, the field has {width(row)}")
    number = int.from_bytes(value, "big")
    if number > row.ones:
        raise ValueError(f"{row.name}: {number:#x} does not fit into {row.bits} bits")
    return number
