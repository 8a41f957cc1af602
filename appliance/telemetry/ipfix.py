# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Records as IPFIX (RFC 7011) over UDP, connections as bidirectional flows (RFC 5103).

What IANA has an element for goes by it; names, labels and rules go by elements of ours under a private enterprise
number. Templates (one for IPv4, one for IPv6, one for neither) and the number of records that were not sent are told
again and again, since UDP may lose them. An exporter is a reader like any other, in a thread of its own.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import structlog

from appliance.errors import BadConfig
from appliance.flow.types import FlowClose
from appliance.telemetry import render, schema
from appliance.telemetry.filters import Filter
from appliance.telemetry.follower import Follower
from appliance.telemetry.hub import Telemetry
from appliance.telemetry.store import Rows

log = structlog.get_logger(__name__)

PORT: Final = 4739
ENTERPRISE: Final = 32473
"""The number that RFC 5612 sets aside for documentation; an operator with one of their own configures it."""
REVERSE: Final = 29305
"""RFC 5103: the same element of the other direction."""
MESSAGE: Final = 1400
"""Bytes of a message at most, so that it fits a packet."""
AGAIN_SECONDS: Final = 30.0
VARIABLE: Final = 0xFFFF
TEMPLATES, OPTIONS, STATISTICS = 2, 3, 259
"""Set ids of templates and options templates, and the options template's own id."""


@dataclass(frozen=True, slots=True)
class Element:
    """An information element: who numbers it (0: IANA, ``REVERSE``, ``ENTERPRISE`` stands for what is configured), its
    number, bytes (``VARIABLE`` for text), name.
    """

    enterprise: int
    number: int
    size: int
    name: str


_COMMON: Final = (
    Element(0, 148, 8, "flowId"),
    Element(0, 323, 8, "observationTimeMilliseconds"),
    Element(0, 152, 8, "flowStartMilliseconds"),
    Element(0, 153, 8, "flowEndMilliseconds"),
    Element(0, 86, 8, "packetTotalCount"),
    Element(0, 85, 8, "octetTotalCount"),
    Element(REVERSE, 86, 8, "reversePacketTotalCount"),
    Element(REVERSE, 85, 8, "reverseOctetTotalCount"),
    Element(0, 56, 6, "sourceMacAddress"),
    Element(0, 80, 6, "destinationMacAddress"),
    Element(0, 10, 4, "ingressInterface"),
    Element(0, 14, 4, "egressInterface"),
    Element(0, 234, 4, "ingressVRFID"),
    Element(0, 58, 2, "vlanId"),
    Element(0, 7, 2, "sourceTransportPort"),
    Element(0, 11, 2, "destinationTransportPort"),
    Element(0, 6, 2, "tcpControlBits"),
    Element(REVERSE, 6, 2, "reverseTcpControlBits"),
    Element(0, 4, 1, "protocolIdentifier"),
    Element(0, 239, 1, "biflowDirection"),
    Element(0, 233, 1, "firewallEvent"),
    Element(0, 136, 1, "flowEndReason"),
    Element(0, 89, 1, "forwardingStatus"),
    Element(ENTERPRISE, 1, 8, "connection"),
    Element(ENTERPRISE, 2, 8, "revision"),
    Element(ENTERPRISE, 3, 4, "src_identity"),
    Element(ENTERPRISE, 4, 4, "dst_identity"),
)
_TEXTS: Final = tuple(
    Element(ENTERPRISE, number, VARIABLE, name)
    for number, name in enumerate(
        (
            "verdict", "reason", "band", "rule", "close_reason", "src_workload", "dst_workload", "src_labels",
            "dst_labels", "audit_verdict", "audit_rule", "direction", "reporter",
        ),
        start=5,
    )
)  # fmt: skip
LAYOUTS: Final[dict[int, tuple[int, tuple[Element, ...]]]] = {
    4: (256, (Element(0, 8, 4, "sourceIPv4Address"), Element(0, 12, 4, "destinationIPv4Address"),
              Element(0, 32, 2, "icmpTypeCodeIPv4"), *_COMMON, *_TEXTS)),
    6: (257, (Element(0, 27, 16, "sourceIPv6Address"), Element(0, 28, 16, "destinationIPv6Address"),
              Element(0, 139, 2, "icmpTypeCodeIPv6"), *_COMMON, *_TEXTS)),
    0: (258, (*_COMMON, *_TEXTS)),
}  # fmt: skip
"""By IP version: template id and elements in order, those of fixed size first."""

FIREWALL_EVENT: Final = (0, 1, 5, 2, 3, 3)
"""By event: created, update, deleted, denied."""
_ENDS: Final = {
    FlowClose.FIN: 3, FlowClose.RST: 3, FlowClose.TIMEOUT: 1, FlowClose.POLICY: 4, FlowClose.EVICTED: 5,
    FlowClose.SHUTDOWN: 4, FlowClose.REUSED: 3, schema.CLOSE_QUARANTINE: 4,
}  # fmt: skip
END_REASON: Final = np.array([_ENDS.get(close, 0) for close in range(256)], np.uint8)
"""By close reason: idle timeout, end of flow detected, forced end, lack of resources; 0 while it lives."""
FORWARDING: Final = np.array([0, 64, 64, 128, 128], np.uint8)
"""By verdict: unknown, forwarded, dropped."""


def _dtype(elements: Sequence[Element]) -> np.dtype[Any]:
    form = {1: "u1", 2: ">u2", 4: ">u4", 8: ">u8"}
    addresses = ("MacAddress", "IPv4Address", "IPv6Address")
    return np.dtype(
        [
            (one.name, f"({one.size},)u1" if one.name.endswith(addresses) else form[one.size])
            for one in elements
            if one.size != VARIABLE
        ]
    )


def _fixed(rows: Rows, version: int, elements: Sequence[Element]) -> list[bytes]:
    """The part of fixed size of every record."""
    made = np.zeros(len(rows), _dtype(elements))
    packets, octets, flags = rows["packets"], rows["bytes"], rows["tcp_flags"]
    values = {
        "flowId": rows["id"],
        "observationTimeMilliseconds": rows["time_ns"] // 1_000_000,
        "flowStartMilliseconds": rows["first_ns"] // 1_000_000,
        "flowEndMilliseconds": rows["last_ns"] // 1_000_000,
        "packetTotalCount": packets[:, 0],
        "octetTotalCount": octets[:, 0],
        "reversePacketTotalCount": packets[:, 1],
        "reverseOctetTotalCount": octets[:, 1],
        "sourceMacAddress": rows["src_mac"],
        "destinationMacAddress": rows["dst_mac"],
        "ingressInterface": rows["in_port"],
        "egressInterface": rows["out_port"],
        "ingressVRFID": rows["zone"],
        "vlanId": rows["vlan"] & np.uint16(0xFFF),
        "sourceTransportPort": rows["src_port"],
        "destinationTransportPort": rows["dst_port"],
        "tcpControlBits": flags[:, 0],
        "reverseTcpControlBits": flags[:, 1],
        "protocolIdentifier": rows["protocol"],
        "biflowDirection": 1,  # the first direction is the initiator's
        "firewallEvent": np.array(FIREWALL_EVENT, np.uint8)[np.minimum(rows["event"], 5)],
        "flowEndReason": END_REASON[rows["close"]],
        "forwardingStatus": FORWARDING[np.minimum(rows["verdict"], 4)],
        "connection": rows["connection"],
        "revision": rows["revision"],
        "src_identity": rows["src_identity"],
        "dst_identity": rows["dst_identity"],
    }
    if version:
        size = 4 if version == 4 else 16
        values[f"sourceIPv{version}Address"] = rows["src_ip"][:, :size]
        values[f"destinationIPv{version}Address"] = rows["dst_ip"][:, :size]
        values[f"icmpTypeCodeIPv{version}"] = rows["icmp_type"].astype(np.uint16) << 8 | rows["icmp_code"]
    for name, value in values.items():
        made[name] = value
    raw, size = made.tobytes(), made.dtype.itemsize
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def _text(value: str | list[str]) -> bytes:
    """A string of variable length (RFC 7011, 7)."""
    raw = (value if isinstance(value, str) else ",".join(value)).encode()[:1000]
    if len(raw) < 255:
        return bytes((len(raw),)) + raw
    return b"\xff" + len(raw).to_bytes(2, "big") + raw


def data_records(rows: Rows) -> Iterator[tuple[int, bytes]]:
    """Template id and content of each record."""
    for version, (template, elements) in LAYOUTS.items():
        some = rows.take(rows["ip_version"] == version)
        if not len(some):
            continue
        columns = render.columns(some, [one.name for one in _TEXTS])
        texts = zip(*(map(_text, column) for column in columns.values()), strict=True)
        for fixed, words in zip(_fixed(some, version, elements), texts, strict=True):
            yield template, fixed + b"".join(words)


def _set(number: int, content: bytes) -> bytes:
    return struct.pack("!HH", number, 4 + len(content)) + content


def _fields(elements: Sequence[Element], enterprise: int) -> bytes:
    made = b""
    for one in elements:
        owner = enterprise if one.enterprise == ENTERPRISE else one.enterprise
        if owner:
            made += struct.pack("!HHI", one.number | 0x8000, one.size, owner)
        else:
            made += struct.pack("!HH", one.number, one.size)
    return made


def templates(enterprise: int) -> bytes:
    """The sets that describe all others."""
    described = b"".join(
        struct.pack("!HH", template, len(elements)) + _fields(elements, enterprise)
        for template, elements in LAYOUTS.values()
    )
    statistics = struct.pack("!HHHHHHH", STATISTICS, 2, 1, 149, 4, 165, 8)  # observationDomainId is the scope
    return _set(TEMPLATES, described) + _set(OPTIONS, statistics)


class Exporter(Follower[list[tuple[int, bytes]]]):
    """Sends what comes."""

    def __init__(
        self,
        telemetry: Telemetry,
        host: str,
        port: int = PORT,
        *,
        domain: int = 1,
        enterprise: int = ENTERPRISE,
        filters: Sequence[Filter] = (),
        lag: int = 1 << 16,
    ) -> None:
        """``BadConfig``: there is no way to the collector."""
        self.sent = 0
        self.not_sent = 0
        """Records that were lost on the way here, or could not be sent."""
        self._domain, self._enterprise = domain, enterprise
        self._sequence = 0
        self._due, self._told = 0.0, -1
        """When templates are told again; ``not_sent`` as it was told last."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.connect(address)
        except OSError as error:
            raise BadConfig(f"records cannot be sent to {host}:{port}: {error.strerror or error}") from None
        super().__init__(telemetry, "ipfix", filters, lag)

    def _begin(self, lost: Mapping[str, int]) -> None:
        self.not_sent += sum(lost.values())
        if time.monotonic() >= self._due or self._told != self.not_sent:
            if time.monotonic() >= self._due:
                self._send(templates(self._enterprise), 0)
            self._send(_set(STATISTICS, struct.pack("!IQ", self._domain, self.not_sent)), 1)
            self._due, self._told = time.monotonic() + AGAIN_SECONDS, self.not_sent

    def _convert(self, piece: Rows) -> list[tuple[int, bytes]]:
        return list(data_records(piece))

    def _pass_on(self, made: list[tuple[int, bytes]], count: int) -> None:
        pending: list[bytes] = []
        current, size = 0, 0
        for template, content in made:
            if pending and (template != current or size + len(content) > MESSAGE - 20):
                self._flush(current, pending)
                pending, size = [], 0
            current = template
            pending.append(content)
            size += len(content)
        if pending:
            self._flush(current, pending)

    def _flush(self, template: int, records: list[bytes]) -> None:
        if self._send(_set(template, b"".join(records)), len(records)):
            self.sent += len(records)
        else:
            self.not_sent += len(records)

    def _send(self, sets: bytes, records: int) -> bool:
        """One message; False when it was refused (nobody listens there, or no way)."""
        head = struct.pack("!HHIII", 10, 16 + len(sets), int(time.time()), self._sequence, self._domain)
        try:
            self._socket.send(head + sets)
        except OSError as error:
            log.debug("an IPFIX message was refused", why=str(error))
            return False
        self._sequence = (self._sequence + records) & 0xFFFFFFFF
        return True

    def _release(self) -> None:
        self._socket.close()
