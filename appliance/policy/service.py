# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Services as texts and as spans: ``tcp/443``, ``udp/8000-8100``, ``sctp``, ``icmp/8``, ``any``, or a name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Protocol(IntEnum):
    """What a span is of. The numbers are IP's, but for ANY."""

    ANY = 0
    ICMP = 1
    TCP = 6
    UDP = 17
    ICMP6 = 58
    SCTP = 132

    @property
    def most(self) -> int:
        """The highest port or ICMP type."""
        return 255 if self in (Protocol.ICMP, Protocol.ICMP6) else 65535

    @property
    def least(self) -> int:
        """The lowest one. SCTP has no port 0."""
        return 1 if self is Protocol.SCTP else 0


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Ports (or ICMP types) from ``low`` to ``high``, both included. ANY is every protocol there is."""

    protocol: Protocol
    low: int = 0
    high: int = 65535

    def __str__(self) -> str:
        name = self.protocol.name.lower()
        if self.protocol is Protocol.ANY or (self.low, self.high) == (
            self.protocol.least,
            self.protocol.most,
        ):
            return name
        return f"{name}/{self.low}" if self.low == self.high else f"{name}/{self.low}-{self.high}"

    def holds(self, protocol: int, port: int) -> bool:
        """Whether a packet's protocol and destination port (or ICMP type) are in it."""
        return self.protocol is Protocol.ANY or (self.protocol == protocol and self.low <= port <= self.high)


EVERYTHING: Final = Span(Protocol.ANY)
TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    "dns": ("udp/53", "tcp/53"),
    "ntp": ("udp/123",),
    "dhcp": ("udp/67", "udp/547"),
    "ping": ("icmp/8", "icmp6/128"),
    "ssh": ("tcp/22",),
    "http": ("tcp/80",),
    "https": ("tcp/443",),
    "snmp": ("udp/161",),
    "syslog": ("udp/514", "tcp/6514"),
    "prometheus": ("tcp/9100", "tcp/9400"),
    "monitoring": ("tcp/9100", "tcp/9400", "udp/161", "icmp/8", "icmp6/128"),
    "grpc": ("tcp/50051",),
}
"""Named services that every policy has; a policy may say otherwise."""

_TEXT: Final = re.compile(r"(tcp|udp|sctp|icmp|icmp6|icmpv6)(?:/(\d+)(?:-(\d+))?)?")


def parse_span(text: str) -> Span | None:
    """A span, None if the text is none (a name, perhaps). ``ValueError``: it is one, but cannot be."""
    if text == "any":
        return EVERYTHING
    found = _TEXT.fullmatch(text)
    if not found:
        if re.match(r"(tcp|udp|sctp|icmp|icmp6|icmpv6|any)/", text):
            raise ValueError(f"{text!r} is not a service: write tcp/443, udp/8000-8100 or icmp/8")
        return None
    word, low, high = found.groups()
    protocol = Protocol[word.replace("icmpv6", "icmp6").upper()]
    if low is None:
        return Span(protocol, protocol.least, protocol.most)
    first, last = int(low), int(high if high is not None else low)
    if last < first:
        raise ValueError(f"{text!r}: the range runs backwards, {first} to {last}")
    if not protocol.least <= first <= last <= protocol.most:
        raise ValueError(f"{text!r}: {word} has {protocol.least} to {protocol.most}")
    return Span(protocol, first, last)


def resolve(texts: Iterable[str], named: Mapping[str, tuple[str, ...]]) -> tuple[Span, ...]:
    """The spans of services, names included; sorted, without doubles. ``ValueError``: unknown or cyclic names."""
    found: set[Span] = set()
    _collect(texts, named, found, ())
    return tuple(sorted(found))


def _collect(
    texts: Iterable[str], named: Mapping[str, tuple[str, ...]], found: set[Span], above: tuple[str, ...]
) -> None:
    for text in texts:
        span = parse_span(text)
        if span is not None:
            found.add(span)
            continue
        inside = named.get(text) or TEMPLATES.get(text)
        if inside is None:
            known = ", ".join(sorted({*named, *TEMPLATES}))
            raise ValueError(f"there is no service {text!r}; known are {known}, or write tcp/443")
        if text in above:
            raise ValueError(f"service {text!r} contains itself: {' -> '.join((*above, text))}")
        _collect(inside, named, found, (*above, text))
