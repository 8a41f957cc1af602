# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Autonomous connection tracking as values: a CT pipe's configuration, the enums of its records, statistics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class CtFull(IntEnum):
    """What happens to a new connection when the table is full."""

    REFUSE = 0
    """Its packet is dropped as ct_full."""
    EVICT = 1
    """The least useful one goes: remembered denials, then half-open, then the longest idle found."""
    UNTRACKED = 2
    """Its packet is forwarded without a connection."""


class FlowEvent(IntEnum):
    """What a flow record tells."""

    OPEN = 1
    UPDATE = 2
    CLOSE = 3
    DENY = 4
    DENY_UPDATE = 5


class FlowCreate(IntEnum):
    """How a connection came to be."""

    BY_POLICY = 1
    ADOPTED = 2


class FlowClose(IntEnum):
    """How it ended; NONE while it lives."""

    NONE = 0
    FIN = 1
    RST = 2
    TIMEOUT = 3
    POLICY = 4
    EVICTED = 5
    SHUTDOWN = 6
    REUSED = 7


class TcpState(IntEnum):
    """A connection's TCP state; NONE for other protocols."""

    NONE = 0
    SYN_SENT = 1
    SYN_RECV = 2
    ESTABLISHED = 3
    FIN_WAIT = 4
    CLOSE_WAIT = 5
    LAST_ACK = 6
    TIME_WAIT = 7
    CLOSE = 8
    SYN_SENT2 = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class CtTimeouts:
    """How long a connection lives without packets, in seconds, by state; above 0."""

    tcp_established: float = 3600.0
    tcp_setup: float = 30.0
    tcp_half_closed: float = 120.0
    tcp_close: float = 1.0
    udp: float = 30.0
    icmp: float = 6.0
    other: float = 30.0
    denied_tcp: float = 90.0
    denied_other: float = 60.0


NO_TIMEOUTS_GIVEN: Final = CtTimeouts()


CT_CAPACITY_MOST: Final = 1 << 24
"""Connections of a CT pipe, and likewise its remembered denials."""
CT_TIMEOUT_MOST: Final = 7 * 24 * 3600.0
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CtConfig:
    """An autonomous CT pipe (``PipeSpec.ct``). Its ``fwd`` is the pipe for what the policy allows, its
    ``fwd_miss`` the policy's first pipe; it has no match, actions, monitor or entries.

    ``zone_u32, src_u32, dst_u32``: which ``meta.u32[]`` holds the zone, and where the policy leaves both
    identities; None for none. ``router_u32``: which one is not 0 when the sender may be a router, whose ICMP errors
    about packets to others are believed on the port that those left by; None: every sender may be one. Limits of 0
    mean none. Windows and intervals in seconds.
    """

    capacity: int = 1 << 20
    denied_capacity: int = 1 << 16
    zone_u32: int | None = 4
    src_u32: int | None = 5
    dst_u32: int | None = 6
    router_u32: int | None = 3
    full: CtFull = CtFull.REFUSE
    pass_invalid: bool = False
    """Out-of-window and out-of-state TCP is counted and let through."""
    timeouts: CtTimeouts = NO_TIMEOUTS_GIVEN
    max_half_open: int = 0
    max_new_per_second: int = 0
    id_max_connections: int = 0
    """Per identity of the opener, as the next two."""
    id_max_half_open: int = 0
    id_max_new_per_second: int = 0
    adopt_window: float = 60.0
    """So long after the pipe was made out-of-state TCP may be adopted; 0: not."""
    record_interval: float = 10.0
    """Between two records of an active connection; 0: no records."""
    max_fragments: int = 1024
    """Fragments held until the first one of their datagram comes."""
    revision: int = 0
    """Of the policy at the start."""


@dataclass(frozen=True, slots=True)
class CtStats:
    """Connections, summed over the workers. live, half_open, denied and fragments are states, the rest only
    grow.
    """

    live: int
    half_open: int
    denied: int
    """Remembered denials."""
    opened: int
    adopted: int
    closed: int
    """All causes, evicted included."""
    evicted: int
    refused_full: int
    refused_limit: int
    untracked: int
    invalid: int
    related: int
    rejudged: int
    rejudged_denied: int
    denied_packets: int
    records: int
    records_lost: int
    fragments: int
    """Held at this moment."""
    generated: int
    """Answers to rejected packets."""
    handed_over: int
    """Packets that another worker owned."""
