# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What all conversions share: refusals that name a field by its path, enums, port names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from appliance.errors import InvalidValue
from appliance.rpc import fieldtext

MAX_U16: Final = 0xFFFF

T = TypeVar("T")
K = TypeVar("K", bound=int)


class BadField(InvalidValue):
    """A request field that cannot be used; ``field`` is its path in the message."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        super().__init__(f"{field}: {reason}")


@contextmanager
def at(path: str) -> Iterator[None]:
    """Turn a ``ValueError`` into a ``BadField`` at this path, once."""
    try:
        yield
    except BadField:
        raise
    except (ValueError, TypeError) as error:
        raise BadField(path, str(error)) from None


@dataclass(frozen=True, slots=True)
class PortNames:
    """Names of started ports by logical id."""

    by_id: Mapping[int, str]

    def name(self, port_id: int) -> str:
        """The name of a port; ``changeable`` for 0xffff."""
        if port_id == MAX_U16:
            return fieldtext.CHANGEABLE
        return self.by_id.get(port_id, str(port_id))

    def id(self, name: str) -> int:
        """The logical id of a port; ``ValueError`` names what there is."""
        if name in (fieldtext.CHANGEABLE, "*"):
            return MAX_U16
        for port_id, known in self.by_id.items():
            if known == name:
                return port_id
        known_names = ", ".join(self.by_id.values()) or "none is started"
        raise ValueError(f"there is no port {name!r} (ports: {known_names})")


def enum_from(table: Mapping[K, T], number: int, default: T, path: str) -> T:
    """Unspecified is the default; unknown numbers are refused."""
    if number == 0:
        return default
    for key, value in table.items():
        if key == number:
            return value
    raise BadField(path, f"{number} is not a value of this enum")


def enum_to(table: Mapping[K, T], value: T) -> K:
    return next(key for key, known in table.items() if known == value)
