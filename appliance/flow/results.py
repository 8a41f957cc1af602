# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What the fast path answers, as values: packets, traces, port and session lists, statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from appliance.flow.types import Counter, Domain, Fwd, MeterColor, PipeType


class Verdict(Enum):
    """Where a packet ended."""

    DROP = "drop"
    PORT = "port"
    RSS = "rss"
    KERNEL = "kernel"


class PacketKind(Enum):
    """Why a packet was handed to this client."""

    RSS = "rss"
    KERNEL = "kernel"
    WIRE = "wire"
    """What a ring port sent to its outside end."""
    CAPTURE_RX = "rx"
    CAPTURE_TX = "tx"
    CAPTURE_DROP = "drop"


@dataclass(frozen=True, slots=True)
class Packet:
    """A frame from the fast path. ``port`` is the fast path's port name; ``queue`` counts for RSS."""

    kind: PacketKind
    port: str
    frame: bytes
    queue: int = 0
    pkt_meta: int = 0
    """As a number in host order (DOCA's ``meta.pkt_meta``)."""
    reason: str = ""
    """CAPTURE_DROP: name of the drop reason."""
    timestamp_ns: int = 0
    """CLOCK_REALTIME."""


@dataclass(frozen=True, slots=True)
class TraceKey:
    """One compared field: the packet's value, and what it was compared with under the mask (0 at a miss)."""

    field: str
    packet: int
    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class TraceHop:
    """One pipe on a packet's way. ``entry`` is None at a miss; ``copy`` counts flooded copies from 1."""

    pipe: str
    domain: Domain
    entry: int | None
    tag: int = 0
    keys: tuple[TraceKey, ...] = ()
    actions: tuple[str, ...] = ()
    """As executed, for example ``set outer.ipv4.ttl``."""
    fwd: Fwd | None = None
    """None when the hop ended the walk without a forward."""
    fwd_text: str = ""
    color: MeterColor | None = None
    frame_length: int = 0
    copy: int = 0

    @property
    def hit(self) -> bool:
        """Whether an entry matched."""
        return self.entry is not None

    def __str__(self) -> str:
        found = "miss" if self.entry is None else f"entry {self.entry}"
        steps = [f"{self.pipe}: {found}", *self.actions, f"-> {self.fwd_text or 'stops'}"]
        return (f"copy {self.copy}: " if self.copy else "") + ", ".join(steps)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one packet or copy: ``port`` for PORT, ``queue`` for RSS, ``reason`` for DROP."""

    verdict: Verdict
    port: str = ""
    queue: int = 0
    reason: str = ""
    frame: bytes = b""
    pkt_meta: int = 0
    copy: int = 0

    def __str__(self) -> str:
        where = {Verdict.PORT: self.port, Verdict.RSS: f"queue {self.queue}", Verdict.DROP: self.reason}
        end = " ".join((self.verdict.value, where.get(self.verdict, ""))).strip()
        return (f"copy {self.copy}: " if self.copy else "") + f"verdict: {end}"


@dataclass(frozen=True, slots=True)
class Trace:
    """The answer to "where did my packet go and why": hops in order, and one outcome per copy."""

    hops: tuple[TraceHop, ...]
    outcomes: tuple[Outcome, ...]
    revision: int = 0
    """Of the tables that judged."""

    def __str__(self) -> str:
        return "\n".join(map(str, (*self.hops, *self.outcomes)))


@dataclass(frozen=True, slots=True)
class PortInfo:
    """A port of the fast path, started by somebody or not."""

    name: str
    index: int
    backend: str
    detail: str = ""
    mac: str = ""
    mtu: int = 1500
    up: bool = False
    ring: bool = False
    """A ring port: reachable from outside only through ``Dpu.inject`` and ``Dpu.receive``."""
    started: bool = False
    port_id: int | None = None
    """The logical id given at start."""
    owner: str = ""
    """Name of the session that started it."""
    pci: str = ""
    ibdev: str = ""
    representor: str = ""


@dataclass(frozen=True, slots=True)
class PortStats:
    """Counters of one port since the fast path started; ``drops`` are packets by reason of what came in
    here.
    """

    received: Counter = field(default_factory=Counter)
    sent: Counter = field(default_factory=Counter)
    injected: Counter = field(default_factory=Counter)
    transmitted: Counter = field(default_factory=Counter)
    software: Counter = field(default_factory=Counter)
    dropped: Counter = field(default_factory=Counter)
    drops: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stages:
    """Where the workers' time goes, from a sample of their turns that had packets: cycles by stage, in the order in
    which a packet meets them, since the fast path started.
    """

    turns: int
    packets: int
    cycles: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DpuStats:
    """Totals of a fast path. Conservation: received + injected + generated + copies = sent - transmitted +
    software + dropped + held, summed over ports.
    """

    boot_id: int
    nr_workers: int
    revision: int
    uptime_s: float
    entries: int
    posted: int
    refused: int
    mbufs_total: int
    mbufs_free: int
    copies: int
    generated: int
    held: int
    busy: float
    """Share of the workers' cycles that handled packets, 0 to 1."""
    cycles_busy: int
    """Those cycles, of all workers, since the fast path started."""
    heartbeat_age_s: float
    """Since the control loop's last turn."""
    ports: Mapping[str, PortStats]


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session of the fast path."""

    name: str
    number: int
    durable: bool
    attached: bool
    nr_pipes: int
    nr_entries: int
    pid: int


@dataclass(frozen=True, slots=True)
class PipeInfo:
    """A pipe as the fast path lists it, of any session."""

    name: str
    number: int
    port: str
    type: PipeType
    domain: Domain
    is_root: bool
    capacity: int
    used: int
    session: int
    label: str = ""
    fwd_text: str = ""
    fwd_miss_text: str = ""
    miss: Counter | None = None
    """The miss counter, when the pipe has one."""
    hits: Counter = field(default_factory=Counter)
    """Of all entries together, with counters or not, those removed since included."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a port or pipe: ``kind`` is port_up, port_down, port_added, port_removed,
    pipe_congested or pipe_resized.
    """

    kind: str
    port: str
    value: int
    text: str
    timestamp_ns: int
