# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The compiled module, the one place that turns error codes into exceptions, and conversion of answers."""

from __future__ import annotations

from typing import Any, TypeAlias

from appliance._ringfield import ffi, lib
from appliance.errors import error_from_code

Cdata: TypeAlias = Any
"""A C object of cffi."""

NULL: Cdata = ffi.NULL


def check(code: int) -> None:
    """Raise the exception for a ``doca_error_t`` other than success, with the library's sentence."""
    if code:
        raise error_from_code(code, last_error())


def last_error() -> str:
    """The library's sentence about this thread's last failed call."""
    return text(lib.doca_flow_ringfield_last_error())


def text(string: Cdata) -> str:
    """A C string or character array; empty for NULL."""
    if string == NULL:
        return ""
    raw: bytes = ffi.string(string)
    return raw.decode(errors="replace")


def address(pointer: Cdata) -> int:
    """A handle as a number, to know it again."""
    return int(ffi.cast("uintptr_t", pointer))


def plain(value: Cdata) -> Any:
    """A C struct as a dict, an array as bytes, string or list, a number as it is."""
    if not isinstance(value, ffi.CData):
        return value
    ctype = ffi.typeof(value)
    if ctype.kind == "struct":
        return {name: plain(getattr(value, name)) for name, _ in ctype.fields if not name.startswith("pad")}
    if ctype.kind == "pointer" and ctype.item.kind == "struct":
        return plain(value[0])
    if ctype.kind == "array":
        if ctype.item.cname == "char":
            return text(value)
        if ctype.item.cname in ("uint8_t", "unsigned char"):
            return bytes(value)
        return [plain(item) for item in value]
    return value
