# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""C structs from plain values. An ``Arena`` owns what was made until the call that reads it has returned."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache

from appliance._ringfield import ffi, lib
from appliance.steering.native import NULL, Cdata, check

Assignment = tuple[str, str, int]
"""C member path (``outer.ip4.src_ip``, ``meta.u32[3]``), kind (``be16``, ``be32``, ``be32[4]``, ``u8[6]``,
``u8``, ``u16``, ``u32``, ``enum``, ``bool``), number in host order.
"""

_LITTLE = sys.byteorder == "little"
_BIG_ENDIAN = {"be16": 2, "be32": 4}
_BYTES = {"be32[4]": 16, "u8[6]": 6}

Desc = tuple[int, "tuple[str, int] | None", tuple[str, int], int]
"""Action descriptor: type, source (field string, bit) or None, destination, width."""


@lru_cache(maxsize=1024)
def _parts(path: str) -> tuple[str | int, ...]:
    split = path.replace("[", ".").replace("]", "").split(".")
    return tuple(int(part) if part.isdigit() else part for part in split)


def be(number: int, size: int) -> int:
    """A number whose bytes in memory are ``number`` in network order."""
    return int.from_bytes(number.to_bytes(size, "big"), "little") if _LITTLE else number


def store(target: Cdata, path: str, kind: str, number: int) -> None:
    """Set one member."""
    node = target
    parts = _parts(path)
    for part in parts[:-1]:
        node = node[part] if isinstance(part, int) else getattr(node, part)
    last = parts[-1]
    if kind in _BYTES:
        member = node[last] if isinstance(last, int) else getattr(node, last)
        ffi.buffer(member)[:] = number.to_bytes(_BYTES[kind], "big")
        return
    if kind in _BIG_ENDIAN:
        number = be(number, _BIG_ENDIAN[kind])
    if isinstance(last, int):
        node[last] = number
    else:
        setattr(node, last, bool(number) if kind == "bool" else number)


class Arena:
    """Memory for one call."""

    def __init__(self) -> None:
        self._kept: list[Cdata] = []

    def new(self, ctype: str, init: object = None) -> Cdata:
        """``ffi.new``, kept alive with the arena."""
        made = ffi.new(ctype) if init is None else ffi.new(ctype, init)
        self._kept.append(made)
        return made

    def buffer(self, ctype: str, array: object) -> Cdata:
        """A pointer to a buffer's memory, kept alive with the arena."""
        made = ffi.from_buffer(ctype, array)
        self._kept.append(made)
        return made

    def string(self, value: str) -> Cdata:
        """A C string; NULL for an empty one."""
        return self.new("char[]", value.encode()) if value else NULL

    def struct(self, ctype: str, assignments: Iterable[Assignment] | None) -> Cdata:
        """A zeroed struct with members set; NULL for None."""
        if assignments is None:
            return NULL
        made = self.new(f"{ctype} *")
        for path, kind, number in assignments:
            store(made, path, kind, number)
        return made

    def match(self, assignments: Iterable[Assignment] | None) -> Cdata:
        """``struct doca_flow_match *``."""
        return self.struct("struct doca_flow_match", assignments)

    def actions(self, assignments: Iterable[Assignment] | None) -> Cdata:
        """``struct doca_flow_actions *``."""
        return self.struct("struct doca_flow_actions", assignments)

    def descs(self, descs: Sequence[Desc]) -> Cdata:
        """``struct doca_flow_action_descs *``; NULL for none."""
        if not descs:
            return NULL
        array = self.new("struct doca_flow_action_desc[]", len(descs))
        for made, (kind, src, dst, width) in zip(array, descs, strict=True):
            made.type = kind
            made.field_op.dst.field_string, made.field_op.dst.bit_offset = self.string(dst[0]), dst[1]
            if src is not None:
                made.field_op.src.field_string, made.field_op.src.bit_offset = self.string(src[0]), src[1]
            made.field_op.width = width
        return self.new("struct doca_flow_action_descs *", [len(descs), array])

    def condition(self, operation: int, a: tuple[str, int], b: tuple[str, int] | None, width: int) -> Cdata:
        """``struct doca_flow_match_condition *``."""
        made = self.new("struct doca_flow_match_condition *")
        made.operation = operation
        made.field_op.a.field_string, made.field_op.a.bit_offset = self.string(a[0]), a[1]
        if b is not None:
            made.field_op.b.field_string, made.field_op.b.bit_offset = self.string(b[0]), b[1]
        made.field_op.width = width
        return made

    def rss(self, made: Cdata, queues: Sequence[int], outer: int, inner: int, function: int) -> None:
        """Fill in a ``struct doca_flow_resource_rss_cfg``."""
        made.outer_flags, made.inner_flags, made.rss_hash_func = outer, inner, function
        made.queues_array, made.nr_queues = self.new("uint16_t[]", list(queues)), len(queues)

    def pointers(self, ctype: str, items: Sequence[Cdata]) -> Cdata:
        """An array of pointers; NULL if all are."""
        return self.new(f"{ctype} *[]", list(items)) if any(item != NULL for item in items) else NULL


def target() -> Cdata:
    """The kernel of the DPU, as a forward's target."""
    out = ffi.new("struct doca_flow_target **")
    check(lib.doca_flow_get_target(lib.DOCA_FLOW_TARGET_KERNEL, out))
    return out[0]
