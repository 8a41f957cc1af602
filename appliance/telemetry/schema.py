# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The stored form of a flow record: its columns, and the words for the numbers in them.

``STORED`` is how the store keeps a record: what came from the fast path, completed with codes of names
(``names.Names``) and with what follows from them. ``COLUMNS`` is what the outside sees (protobuf, JSON,
docs/records.md), in that order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np

from appliance.flow import types
from appliance.steering.session import drop_reasons

OPEN, UPDATE, CLOSE, DENY, DENY_UPDATE = (int(event) for event in types.FlowEvent)
EVENTS: Final = ("", *(event.name.lower() for event in types.FlowEvent))
CREATES: Final = ("", "policy", "adopted")
CLOSE_QUARANTINE: Final = 1 + max(types.FlowClose)
CLOSES: Final = ("", *(close.name.lower() for close in types.FlowClose if close), "quarantine")
"""What ``policy`` becomes when the quarantine decided is the last one."""
QUARANTINE: Final = ("system", "quarantine")
"""Band and rule of its verdicts. ``restrict`` cuts as policy does: what it leaves open is a matter of rules."""
TCP_STATES: Final = ("", *(state.name.lower() for state in types.TcpState if state))

ALLOW, ALERT, DROP, REJECT = range(1, 5)
VERDICTS: Final = ("", "allow", "alert", "drop", "reject")

DIRECTIONS: Final = ("transit", "egress", "ingress", "internal")
"""By which side is a workload of this appliance: bit 0 the source, bit 1 the destination."""

REPORTERS: Final = ("", "source", "destination", "only")

PROTOCOLS: Final = MappingProxyType(
    {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 58: "icmpv6", 132: "sctp"}
)
TCP_FLAGS: Final = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")

NO_PORT: Final = 0xFFFF


def word(words: tuple[str, ...], number: int) -> str:
    """The word for a number; the number itself when there is none."""
    return words[number] if number < len(words) else str(number)


@lru_cache(maxsize=1)
def reasons() -> tuple[str, ...]:
    """Names of ``enum steer_drop``, 0 (not dropped) is empty."""
    return ("", *(name for name, _ in drop_reasons()))


# -- as stored

COPIED: Final = (
    ("id", np.uint64), ("first_ns", np.int64), ("last_ns", np.int64), ("tag", np.uint64), ("revision", np.uint64),
    ("zone", np.uint32), ("src_identity", np.uint32), ("dst_identity", np.uint32),
    ("src_port", np.uint16), ("dst_port", np.uint16), ("in_port", np.uint16), ("out_port", np.uint16),
    ("vlan", np.uint16), ("ip_version", np.uint8), ("protocol", np.uint8), ("icmp_type", np.uint8),
    ("icmp_code", np.uint8), ("tcp_state", np.uint8), ("event", np.uint8), ("create", np.uint8),
    ("frames", np.uint32), ("boot", np.uint32),
)  # fmt: skip
"""Members of ``struct steer_flow_record`` that are kept as they come."""

ROWS: Final = (
    ("src_ip", np.uint8, 16), ("dst_ip", np.uint8, 16), ("src_mac", np.uint8, 6), ("dst_mac", np.uint8, 6),
    ("packets", np.uint64, 2), ("bytes", np.uint64, 2), ("tcp_flags", np.uint8, 2),
)  # fmt: skip
"""Those that are arrays."""

ADDED: Final = (
    ("time_ns", np.int64),
    ("connection", np.uint64),
    ("src_workload", np.int32),
    ("dst_workload", np.int32),
    ("src_labels", np.int32),
    ("dst_labels", np.int32),
    ("judged", np.int32),
    ("verdict", np.uint8),
    ("drop", np.uint8),
    ("close", np.uint8),
    ("direction", np.uint8),
    ("reporter", np.uint8),
)
"""What the store adds or changes: codes of names, and what follows from them."""

STORED: Final[tuple[tuple[str, type, tuple[int, ...]], ...]] = (
    *((name, kind, ()) for name, kind in COPIED),
    *((name, kind, (size,)) for name, kind, size in ROWS),
    *((name, kind, ()) for name, kind in ADDED),
)

RECORD_BYTES: Final = sum(np.dtype(kind).itemsize * (shape[0] if shape else 1) for _, kind, shape in STORED)
"""Memory that one stored record takes."""


# -- as seen from outside


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a flow record. ``kind``: ``number``, ``text``, ``labels`` (list of ``key=value``)."""

    name: str
    kind: str
    unit: str
    text: str


def _columns(*rows: tuple[str, str, str, str]) -> tuple[Column, ...]:
    return tuple(Column(*row) for row in rows)


COLUMNS: Final = _columns(
    ("record", "number", "", "number of the record in this appliance, growing by one since it started"),
    ("time_ns", "number", "ns since 1970", "when the appliance took the record"),
    ("event", "text", "", "`open`, `update`, `close`; `deny` (a denial's first packet), `deny_update`"),
    ("verdict", "text", "", "`allow`, `alert`, `drop`, `reject`"),
    ("reason", "text", "", "why it was dropped: a drop reason's name; empty when it was not"),
    ("first_ns", "number", "ns since 1970", "first packet"),
    ("last_ns", "number", "ns since 1970", "last packet"),
    ("appliance", "text", "", "name of the appliance that reports"),
    ("flow", "number", "", "the connection's number in the fast path, the same in all its records"),
    ("boot", "number", "", "start of the fast path that `flow` belongs to"),
    ("connection", "number", "", "hash of network and tuple, the same at both ends' appliances"),
    ("reporter", "text", "", "`source` or `destination` appliance of two, or the `only` one"),
    (
        "direction",
        "text",
        "",
        "`egress`, `ingress`, `internal` (both are workloads here), `transit` (none is)",
    ),
    ("in_port", "text", "", "port where the opener's packets come in"),
    ("out_port", "text", "", "port where they go out; empty for denials"),
    ("network", "text", "", "the zone's network, its number when it has no name"),
    ("vlan", "number", "", "VLAN id of the outermost tag, 0 for none"),
    ("vni", "number", "", "VXLAN network identifier of the network, 0 for none"),
    ("src_mac", "text", "", "of the opener's first packet"),
    ("dst_mac", "text", "", "of the opener's first packet"),
    ("src_ip", "text", "", "who opened it"),
    ("dst_ip", "text", "", "with whom"),
    ("protocol", "text", "", "`tcp`, `udp`, `icmp`, `icmpv6`, `sctp` ..., or the number"),
    ("src_port", "number", "", "port; of an ICMP echo the identifier"),
    ("dst_port", "number", "", "port"),
    ("icmp_type", "number", "", "of the first packet"),
    ("icmp_code", "number", "", "of the first packet"),
    ("src_identity", "number", "", "identity: base << 2 | state; 0 when not known"),
    ("dst_identity", "number", "", "identity: base << 2 | state; 0 when not known"),
    ("src_state", "text", "", "`normal`, `watched`, `restricted`, `quarantined`"),
    ("dst_state", "text", "", "`normal`, `watched`, `restricted`, `quarantined`"),
    ("src_labels", "labels", "", "behind the identity; else the workload's; `reserved:world` and the like"),
    ("dst_labels", "labels", "", "behind the identity; else the workload's; `reserved:world` and the like"),
    ("src_kind", "text", "", "kind of the workload"),
    ("dst_kind", "text", "", "kind of the workload"),
    ("src_workload", "text", "", "name, empty when the address is nobody's"),
    ("dst_workload", "text", "", "name, empty when the address is nobody's"),
    ("initiator_packets", "number", "packets", "from the opener, since the opening"),
    ("initiator_bytes", "number", "bytes", "frame lengths without FCS"),
    ("responder_packets", "number", "packets", "to the opener, since the opening"),
    ("responder_bytes", "number", "bytes", "frame lengths without FCS"),
    ("frames", "number", "packets", "of both directions, since the connection's record before"),
    ("initiator_tcp_flags", "text", "", "all that were seen: `syn,ack`"),
    ("responder_tcp_flags", "text", "", "all that were seen"),
    (
        "tcp_state",
        "text",
        "",
        "`syn_sent`, `syn_recv`, `established`, `fin_wait` ...; empty for others than TCP",
    ),
    ("band", "text", "", "band of the rule that decided: `system` ... `default`"),
    ("rule", "text", "", "its name"),
    ("rule_id", "text", "", "its id"),
    ("peer_rule", "text", "", "the other side's rule, in two-sided models"),
    ("revision", "number", "", "policy revision that decided"),
    ("tag", "number", "", "of the table entry that decided"),
    ("create_reason", "text", "", "`policy`; `adopted`: taken up in mid-stream"),
    (
        "close_reason",
        "text",
        "",
        "`fin`, `rst`, `timeout`, `policy`, `quarantine`, `evicted`, `shutdown`, `reused`",
    ),
    ("audit_verdict", "text", "", "what an audit rule would have done; empty when none decides"),
    ("audit_rule", "text", "", "that rule's name"),
)
