# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""How a user writes a value and how it is kept: as an unsigned integer in host order, of the field's width.

Base of the dataclasses in ``types``; it knows no header, only the table of ``fields``.
"""

from __future__ import annotations

import dataclasses
import functools
import string
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, TypeAlias

from appliance.flow.fields import Field


class _Changeable(int):
    """All ones at any width."""

    def __repr__(self) -> str:
        return "CHANGEABLE"


CHANGEABLE: Final = _Changeable(-1)
"""All bits set: in a pipe's match or actions the value comes with each entry; in a mask it means the whole
field.
"""

_HEX: Final = frozenset(string.hexdigits)
MacValue: TypeAlias = "int | str | bytes"
"""``"aa:bb:cc:dd:ee:ff"``, six bytes, or an integer."""
Ip4Value: TypeAlias = "int | str | IPv4Address"
"""``"10.0.0.1"`` or an integer in host order."""
Ip6Value: TypeAlias = "int | str | IPv6Address"
"""``"2001:db8::1"`` or an integer in host order."""


def parse_mac(value: MacValue) -> int:
    """A MAC address as a 48-bit integer. ``ValueError``."""
    if isinstance(value, str):
        digits = value.replace(":", "").replace("-", "")
        if len(digits) != 12 or not set(digits) <= _HEX:
            raise ValueError(f"{value!r} is not a MAC address (6 bytes, as 02:00:00:00:00:0a)")
        return int(digits, 16)
    if isinstance(value, bytes):
        if len(value) != 6:
            raise ValueError(f"a MAC address has 6 bytes, not {len(value)}")
        return int.from_bytes(value, "big")
    return value


def parse_ip4(value: Ip4Value) -> int:
    """An IPv4 address as a 32-bit integer."""
    return value if isinstance(value, int) else int(IPv4Address(value))


def parse_ip6(value: Ip6Value) -> int:
    """An IPv6 address as a 128-bit integer."""
    return value if isinstance(value, int) else int(IPv6Address(value))


def prefix_mask(length: int, bits: int = 32) -> int:
    """The mask of a prefix: ``prefix_mask(24)`` is 255.255.255.0; give ``bits=128`` for IPv6."""
    if not 0 <= length <= bits:
        raise ValueError(f"a prefix length is between 0 and {bits}, not {length}")
    return ((1 << length) - 1) << (bits - length)


def unsigned(name: str, value: int, bits: int) -> int:
    """``value`` as it is stored in ``bits`` bits; negative values are two's complement (-1 is all ones)."""
    if not isinstance(value, int):
        raise TypeError(f"{name} is an integer of {bits} bits, not {type(value).__name__}")
    if not -(1 << (bits - 1) if bits > 1 else 1) <= value < (1 << bits):
        raise ValueError(f"{name} = {value} does not fit into {bits} bits")
    return value & ((1 << bits) - 1)


class Value:
    """Base of the value dataclasses: normalisation, a short repr, the flat view."""

    __slots__ = ()

    def _ints(self, **widths: int) -> None:
        """Bring integer attributes to their widths; for ``__post_init__``."""
        for name, bits in widths.items():
            object.__setattr__(self, name, unsigned(name, getattr(self, name), bits))

    def _tuple(self, name: str, length: int, bits: int) -> None:
        """Pad a tuple of integers with zeros to ``length``; for ``__post_init__``."""
        given: Sequence[int] = getattr(self, name)
        if len(given) > length:
            raise ValueError(f"{name} has at most {length} elements, not {len(given)}")
        kept = tuple(unsigned(f"{name}[{i}]", v, bits) for i, v in enumerate(given))
        object.__setattr__(self, name, kept + (0,) * (length - len(kept)))

    def __repr__(self) -> str:
        shown = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            default = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            if value != default and not (isinstance(value, tuple) and not any(value)):
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def at(value: object, path: tuple[str | int, ...]) -> Any:
    """What a path of attribute names and indices leads to; None where it ends early."""
    node: Any = value
    for part in path:
        node = node[part] if isinstance(part, int) else getattr(node, part)
        if node is None:
            break
    return node


@functools.cache
def _empty_defaults(cls: Any) -> dict[str, object]:
    members = {member.name: member.default for member in dataclasses.fields(cls)}
    return {name: default for name, default in members.items() if not default or isinstance(default, Value)}


_Tree: TypeAlias = "dict[str | int, Field | _Tree]"
_trees: dict[int, tuple[Sequence[Field], _Tree]] = {}
_FEW_ROWS, _TABLES = 4, 16


def _tree(rows: Sequence[Field]) -> _Tree:
    """The rows by their paths. Kept for the tables of ``fields``, with the table, so that its id stays its own."""
    known = _trees.get(id(rows))
    if known is not None:
        return known[1]
    tree: _Tree = {}
    for row in rows:
        node: Any = tree
        for part in row.path[:-1]:
            node = node.setdefault(part, {})
        node[row.path[-1]] = row
    if len(_trees) < _TABLES:
        _trees[id(rows)] = rows, tree
    return tree


def _collect(value: Any, tree: _Tree, flat: dict[str, int]) -> None:
    if isinstance(value, tuple):
        parts = [(value[part], below) for part, below in tree.items() if isinstance(part, int)]
    else:
        # Most members of most values are the empty default object itself: what lies below needs no look.
        cls: Any = type(value)
        empty = _empty_defaults(cls)
        parts = []
        for part, below in tree.items():
            member = getattr(value, str(part))
            if member and member is not empty.get(str(part)):
                parts.append((member, below))
    for member, below in parts:
        if isinstance(below, dict):
            _collect(member, below, flat)
        elif member:
            flat[below.name] = int(member)


def flatten(value: object, rows: Sequence[Field]) -> dict[str, int]:
    """The non-zero fields of a value, by name."""
    flat: dict[str, int] = {}
    if len(rows) > _FEW_ROWS:
        _collect(value, _tree(rows), flat)
        return flat
    for row in rows:
        number = at(value, row.path)
        if number:
            flat[row.name] = int(number)
    return flat


def unflatten(flat: Mapping[str, int], rows: Mapping[str, Field]) -> dict[str, Any]:
    """Flat names to nested dicts of constructor arguments; tuples come as dicts with integer keys."""
    tree: dict[str, Any] = {}
    for name, number in flat.items():
        row = rows.get(name)
        if row is None:
            raise ValueError(f"there is no field {name!r}")
        node: Any = tree
        for part in row.path[:-1]:
            node = node.setdefault(part, {})
        node[row.path[-1]] = unsigned(name, number, row.bits)
    return tree


def sequence(parts: Mapping[int, int] | None) -> tuple[int, ...]:
    """``{2: 7}`` to ``(0, 0, 7)``."""
    if not parts:
        return ()
    return tuple(parts.get(i, 0) for i in range(max(parts) + 1))
