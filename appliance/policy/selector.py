# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Selectors: who is meant. Terms are alternatives; the requirements of a term must all hold.

Text: ``app=web, env in (prod, dev), !canary | kind=agent``. A requirement is ``key=value``, ``key!=value``,
``key in (a, b)``, ``key not in (a, b)``, ``key`` (exists), ``!key`` (does not). The keys ``name``, ``kind``,
``state`` and ``origin`` speak of the workload itself; ``label:name`` is the label called name.
``cidr=10.0.0.0/8 except 10.1.0.0/16 10.2.0.0/16`` speaks of addresses, ``entity=world`` (``unknown``,
``appliance``) of what is no workload, ``group=NAME`` of a named selector; these three have no negation.
``any`` is everything.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final


class Op(Enum):
    """How a requirement compares."""

    IN = "in"
    NOT_IN = "not in"
    EXISTS = "exists"
    NOT_EXISTS = "not exists"


ATTRIBUTES: Final = ("name", "kind", "state", "origin")
"""Keys that speak of the workload itself."""
ADDRESSES: Final = ("cidr", "entity", "group")
"""Keys that only know ``=``."""
STATES: Final = ("normal", "watched", "restricted", "quarantined")
ENTITIES: Final = ("unknown", "appliance", "world")

_WORD: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_./-]*[A-Za-z0-9_])?"
_VALUE: Final = re.compile(r"[A-Za-z0-9_.:/-]+")
_KEY: Final = re.compile(rf"(?:label:)?{_WORD}")
_COMPARE: Final = re.compile(rf"((?:label:)?{_WORD})\s*(!=|=)\s*(.*)", re.DOTALL)
_SET: Final = re.compile(rf"((?:label:)?{_WORD})\s+(not\s+in|in)\s*\((.*)\)", re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class Cidr:
    """A CIDR object: a prefix without some prefixes inside it."""

    prefix: str
    exceptions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.prefix} except {' '.join(self.exceptions)}" if self.exceptions else self.prefix

    @classmethod
    def parse(cls, text: str) -> Cidr:
        """From ``10.0.0.0/8 except 10.1.0.0/16 10.2.0.0/16``; an address alone is a prefix of its full length."""
        head, _, tail = text.partition(" except ")
        outer = _network(head)
        inner = [_network(part) for part in tail.replace(",", " ").split()]
        for one in inner:
            if one.version != outer.version or not one.subnet_of(outer):  # type: ignore[arg-type]
                raise ValueError(f"{one} is not inside {outer}")
            if one == outer:
                raise ValueError(f"{outer} except {one} leaves nothing")
        return cls(str(outer), tuple(sorted({str(one) for one in inner})))


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text.strip())
    except ValueError as error:
        raise ValueError(f"{text.strip()!r} is not a prefix: {error}") from None


@dataclass(frozen=True, slots=True)
class Requirement:
    """One comparison. ``key`` is a label's, unless ``field`` says otherwise."""

    field: str
    """``label``, or one of ``ATTRIBUTES`` and ``ADDRESSES``."""
    key: str
    op: Op
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        key = self.key if self.field == "label" else self.field
        if self.field == "label" and key in ATTRIBUTES + ADDRESSES + ("any",):
            key = f"label:{key}"
        if self.op is Op.EXISTS:
            return key
        if self.op is Op.NOT_EXISTS:
            return f"!{key}"
        if len(self.values) == 1:
            return f"{key}{'=' if self.op is Op.IN else '!='}{self.values[0]}"
        return f"{key} {self.op.value} ({', '.join(self.values)})"


@dataclass(frozen=True, slots=True)
class Selector:
    """Alternatives of requirements. No terms at all select nobody; a term without requirements everything."""

    terms: tuple[tuple[Requirement, ...], ...]

    def __str__(self) -> str:
        return " | ".join(self.texts())

    @property
    def is_any(self) -> bool:
        """Whether it selects everything."""
        return any(not term for term in self.terms)

    def texts(self) -> list[str]:
        """The terms as texts."""
        return [", ".join(str(part) for part in term) or "any" for term in self.terms]


ANY: Final = Selector(((),))
"""Everything."""


def named(*names: str) -> Selector:
    """Workloads by name."""
    return Selector(((Requirement("name", "", Op.IN, names),),))


def parse_selector(texts: str | Iterable[str]) -> Selector:
    """From one text or several, which are alternatives. ``ValueError`` says what is wrong."""
    given = [texts] if isinstance(texts, str) else list(texts)
    terms = [term for text in given for part in text.split("|") if (term := _term(part)) is not None]
    if not terms:
        raise ValueError("the selector is empty; to mean everything, write any")
    return Selector(tuple(dict.fromkeys(terms)))


@functools.lru_cache(maxsize=65536)
def _term(text: str) -> tuple[Requirement, ...] | None:
    parts = [part.strip() for part in re.split(r",(?![^(]*\))", text.strip())]
    if parts == [""]:
        return None
    if parts == ["any"]:
        return ()
    return tuple(_requirement(part) for part in parts)


def _requirement(text: str) -> Requirement:
    if found := _SET.fullmatch(text):
        key, op, inside = found.groups()
        values = tuple(value.strip() for value in inside.split(","))
        return _made(key, Op.IN if op == "in" else Op.NOT_IN, values, text)
    if found := _COMPARE.fullmatch(text):
        key, sign, value = found.groups()
        return _made(key, Op.IN if sign == "=" else Op.NOT_IN, (value.strip(),), text)
    word = text.removeprefix("!").strip()
    if word == "any":
        raise ValueError("any stands alone: it takes no other requirement and no negation")
    if not _KEY.fullmatch(word):
        raise ValueError(f"{text!r} is not a requirement: write key=value, key in (a, b), key or !key")
    return _made(word, Op.NOT_EXISTS if text.startswith("!") else Op.EXISTS, (), text)


def _made(key: str, op: Op, values: tuple[str, ...], text: str) -> Requirement:
    label = key.startswith("label:")
    key = key.removeprefix("label:")
    field = key if not label and key in ATTRIBUTES + ADDRESSES else "label"
    if field == "cidr":
        values = tuple(str(Cidr.parse(value)) for value in values)
    elif any(not _VALUE.fullmatch(value) for value in values):
        raise ValueError(f"{text!r}: a value is letters, digits and . _ : / -")
    if field in ADDRESSES and op is not Op.IN:
        raise ValueError(f"{text!r}: {field} has no negation; turn the rule round, or use except")
    if field in ATTRIBUTES and op in (Op.EXISTS, Op.NOT_EXISTS):
        raise ValueError(f"{text!r}: every workload has a {field}; compare it with a value")
    for allowed, known in (("state", STATES), ("entity", ENTITIES)):
        if field == allowed and (unknown := [value for value in values if value not in known]):
            raise ValueError(f"there is no {field} {unknown[0]!r}; known are {', '.join(known)}")
    return Requirement(field, "" if field != "label" else key, op, tuple(dict.fromkeys(values)))
