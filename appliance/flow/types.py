# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""DOCA Flow's nouns as values: frozen dataclasses that mirror the C structs member for member.

Nothing here talks to a fast path. This module holds monitors, forwards, pipes and entries, and gathers the
rest: ``headers`` (Match), ``actions``, ``enums``, ``values`` (CHANGEABLE, how values are written).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, Protocol, TypeAlias, runtime_checkable

from appliance.flow.actions import (
    ActionDesc,
    Actions,
    Condition,
    Decap,
    DescField,
    Encap,
    PushVlan,
    desc_field,
)
from appliance.flow.cache import CacheStats
from appliance.flow.ct import (
    CtConfig,
    CtFull,
    CtStats,
    CtTimeouts,
    FlowClose,
    FlowCreate,
    FlowEvent,
    TcpState,
)
from appliance.flow.enums import (
    ActionType,
    ColorMode,
    CompareOp,
    DefaultMiss,
    Domain,
    EntryFlags,
    EntryOp,
    EntryStatus,
    FwdType,
    GreType,
    HashAlgorithm,
    L2Meta,
    L2Valid,
    L3Meta,
    L3Type,
    L4Meta,
    L4TypeExt,
    LimitType,
    MeterAlgorithm,
    MeterColor,
    PipeType,
    ResourceType,
    RssFlags,
    RssHash,
    SharedResourceType,
    TargetType,
    TcpFlags,
    TunType,
    VxlanType,
)
from appliance.flow.headers import (
    Eth,
    HeaderFormat,
    Icmp,
    Ip4,
    Ip6,
    Match,
    Meta,
    ParserMeta,
    Tcp,
    Transport,
    Tun,
    Udp,
)
from appliance.flow.values import (
    CHANGEABLE,
    Ip4Value,
    Ip6Value,
    MacValue,
    parse_mac,
    prefix_mask,
)
from appliance.steering.records import FLOW_RECORD

NO_MATCH: Final = Match()
NO_ACTIONS: Final = Actions()
NO_RSS_FLAGS: Final = RssFlags(0)
NO_ALGORITHM: Final = HashAlgorithm(0)
Mode: TypeAlias = Literal["vnf", "switch"]

# --- monitor and shared resources -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Meter:
    """A non-shared meter: red packets are dropped. ``cir`` per second, ``cbs`` at once, in bytes or
    packets.
    """

    cir: int
    cbs: int
    limit_type: LimitType = LimitType.BYTES


@dataclass(frozen=True, slots=True)
class SharedMeter:
    """A reference to a shared meter: it marks ``parser_meta.meter_color`` and drops nothing."""

    id: int
    init_color: MeterColor = MeterColor.RED


@dataclass(frozen=True, slots=True)
class SharedCounter:
    """A reference to a shared counter; ``int()`` gives its id."""

    id: int

    def __int__(self) -> int:
        return self.id


@dataclass(frozen=True, slots=True)
class Monitor:
    """``struct doca_flow_monitor``.

    ``counter``: True for a counter of the entry's own, an int for a shared counter's id (``0xffffffff`` on
    a pipe is changeable). ``aging_sec`` in seconds, 0 for none, ``0xffffffff`` on a pipe for "per entry".
    """

    counter: bool | int | SharedCounter = False
    meter: Meter | SharedMeter | None = None
    aging_sec: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.counter, int) and not isinstance(self.counter, bool):
            object.__setattr__(self, "counter", SharedCounter(self.counter))  # 1 would equal True

    @property
    def counter_type(self) -> ResourceType:
        """NONE, NON_SHARED or SHARED."""
        if isinstance(self.counter, bool):
            return ResourceType.NON_SHARED if self.counter else ResourceType.NONE
        return ResourceType.SHARED


COUNT = Monitor(counter=True)
"""A non-shared counter and nothing else."""


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """``struct doca_flow_resource_meter_cfg`` of a shared meter. Which of ``ebs, pir, pbs, eir`` count
    depends on ``alg``.
    """

    cir: int
    cbs: int
    alg: MeterAlgorithm = MeterAlgorithm.RFC2697
    limit_type: LimitType = LimitType.BYTES
    color_mode: ColorMode = ColorMode.BLIND
    ebs: int = 0
    pir: int = 0
    pbs: int = 0
    eir: int = 0


@dataclass(frozen=True, slots=True)
class CounterConfig:
    """A shared counter has nothing to configure; configuring it makes its id usable."""


@dataclass(frozen=True, slots=True)
class Counter:
    """``doca_flow_resource_query.counter``: packets and bytes, lengths as received at that hop, without
    FCS.
    """

    total_pkts: int = 0
    total_bytes: int = 0


# --- forward --------------------------------------------------------------------------------------


@runtime_checkable
class PipeLike(Protocol):
    """Something that stands for a pipe: ``appliance.flow.Pipe``, or anything with its name."""

    @property
    def name(self) -> str: ...


PipeRef: TypeAlias = "str | PipeLike"
"""A pipe by object, or by its name on the same port."""


def pipe_name(pipe: PipeRef) -> str:
    """The name of a referenced pipe."""
    return pipe if isinstance(pipe, str) else pipe.name


@dataclass(frozen=True, slots=True)
class Fwd:
    """``struct doca_flow_fwd``: the base of the variants below."""

    type: ClassVar[FwdType] = FwdType.NONE


@dataclass(frozen=True, slots=True)
class FwdPort(Fwd):
    """To a port by its logical id; 0xffff on a pipe is changeable."""

    type: ClassVar[FwdType] = FwdType.PORT
    port_id: int = 0


@dataclass(frozen=True, slots=True)
class FwdPipe(Fwd):
    """To another pipe; None on a pipe with changeable forward."""

    type: ClassVar[FwdType] = FwdType.PIPE
    pipe: PipeRef | None = None


@dataclass(frozen=True, slots=True)
class FwdDrop(Fwd):
    """Drop. ``reason`` names the drop reason that is counted (``Dpu.drop_reasons``); empty: ``pipe``."""

    type: ClassVar[FwdType] = FwdType.DROP
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FwdReject(Fwd):
    """Drop, and answer the sender: TCP RST, else ICMP "administratively prohibited"; counted as ``reason``,
    empty: ``policy``. For ``ttl`` and ``no_route`` it is ICMP "time exceeded", "unreachable". Ringfield's own.
    """

    type: ClassVar[FwdType] = FwdType.REJECT
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FwdAnswer(Fwd):
    """An ARP request or neighbour solicitation goes back as its answer, telling ``outer.eth.src_mac`` as the
    actions left it; anything else is dropped. Ringfield's own.
    """

    type: ClassVar[FwdType] = FwdType.ANSWER


@dataclass(frozen=True, slots=True)
class FwdRss(Fwd):
    """To software, spread over ``queues`` by a hash of the fields in ``outer_flags``; or by a shared RSS
    resource.
    """

    type: ClassVar[FwdType] = FwdType.RSS
    queues: tuple[int, ...] = (0,)
    outer_flags: RssFlags = NO_RSS_FLAGS
    inner_flags: RssFlags = NO_RSS_FLAGS
    hash_func: RssHash = RssHash.TOEPLITZ
    shared_rss_id: int | None = None


@dataclass(frozen=True, slots=True)
class FwdTarget(Fwd):
    """To a target: the kernel of the DPU."""

    type: ClassVar[FwdType] = FwdType.TARGET
    target: TargetType = TargetType.KERNEL


@dataclass(frozen=True, slots=True)
class FwdOrderedList(Fwd):
    """To entry ``idx`` of an ordered list pipe; 0xffffffff on a pipe is changeable."""

    type: ClassVar[FwdType] = FwdType.ORDERED_LIST_PIPE
    pipe: PipeRef = ""
    idx: int = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class FwdHash(Fwd):
    """To a hash pipe, with the algorithm for this jump (0: the pipe's own)."""

    type: ClassVar[FwdType] = FwdType.HASH_PIPE
    pipe: PipeRef = ""
    algorithm: HashAlgorithm = NO_ALGORITHM


@dataclass(frozen=True, slots=True)
class FwdChangeable(Fwd):
    """On a pipe: each entry brings its own (DOCA_FLOW_FWD_CHANGEABLE)."""

    type: ClassVar[FwdType] = FwdType.CHANGEABLE


# --- pipes and entries ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListActions:
    """An ordered list element of type ACTIONS."""

    actions: Actions = NO_ACTIONS
    actions_mask: Actions | None = None
    action_descs: tuple[ActionDesc, ...] = ()


@dataclass(frozen=True, slots=True)
class ListNat64:
    """An ordered list element of type NAT64; ``original_l3_type`` is what comes in."""

    original_l3_type: L3Type


ListElement: TypeAlias = "ListActions | ListNat64 | Monitor"


@dataclass(frozen=True, slots=True)
class OrderedList:
    """``struct doca_flow_ordered_list``: elements in the order in which they are executed.

    On a pipe the templates; in an entry ``idx`` says which template, and the elements bring the changeable
    values.
    """

    idx: int
    elements: tuple[ListElement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PipeSpec:
    """Everything that ``doca_flow_pipe_cfg`` and ``doca_flow_pipe_create`` take.

    ``match_mask`` None means implicit masks. ``actions`` are the templates that entries choose from by
    ``action_idx``; ``actions_masks`` and ``action_descs`` go with them one to one, or are empty.
    ``nr_entries`` 0 is the default (8192). ``fwd_miss`` None is the port's default miss.
    """

    name: str
    type: PipeType = PipeType.BASIC
    domain: Domain = Domain.DEFAULT
    is_root: bool = False
    nr_entries: int = 0
    match: Match = NO_MATCH
    match_mask: Match | None = None
    actions: tuple[Actions, ...] = ()
    actions_masks: tuple[Actions | None, ...] = ()
    action_descs: tuple[tuple[ActionDesc, ...], ...] = ()
    monitor: Monitor | None = None
    fwd: Fwd | None = None
    fwd_miss: Fwd | None = None
    miss_counter: bool = False
    label: str = ""
    is_resizable: bool = False
    congestion_level_threshold: int = 0
    """Percent of ``nr_entries`` at which CONGESTION_REACHED is reported; 0 leaves DOCA's default."""
    excluded_queues: tuple[int, ...] = ()
    hash_map_algorithm: HashAlgorithm = NO_ALGORITHM
    ordered_lists: tuple[OrderedList, ...] = ()
    ct: CtConfig | None = None
    """Of a pipe of type CT: it keeps connections by itself."""

    def actions_mask(self, index: int) -> Actions | None:
        """The mask of template ``index``, if it has one."""
        return self.actions_masks[index] if index < len(self.actions_masks) else None

    def descs(self, index: int) -> tuple[ActionDesc, ...]:
        """The descriptors of template ``index``."""
        return self.action_descs[index] if index < len(self.action_descs) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySpec:
    """What an add call takes, for any type of pipe; members that a type has no use for must keep their
    defaults.

    basic: match, action_idx, actions, monitor, fwd. control: match, match_mask, condition, actions,
    actions_mask, action_descs, monitor, priority (0 highest to 7), fwd. lpm: as basic, and match_mask is
    the prefix. acl: match, match_mask (for ports the upper end of a range), action_idx, actions, priority
    (0 highest), fwd. hash: index, action_idx, actions, monitor, fwd. ordered list: index, ordered_list, fwd.

    ``monitor`` None: what the pipe's monitor has, nothing if it has none (then queries give zero); ``fwd``
    None: the pipe's. ``tag`` is for the caller; traces show it.
    """

    match: Match = NO_MATCH
    match_mask: Match | None = None
    action_idx: int = 0
    actions: Actions | None = None
    actions_mask: Actions | None = None
    action_descs: tuple[ActionDesc, ...] = ()
    condition: Condition | None = None
    monitor: Monitor | None = None
    fwd: Fwd | None = None
    priority: int = 0
    index: int = 0
    ordered_list: OrderedList | None = None
    tag: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSpec:
    """What a port is started with: ``doca_flow_port_cfg``.

    ``name`` is the fast path's port (``p0``, ``pf0vf0``), ``port_id`` the logical id that
    ``parser_meta.port_id`` and ``FwdPort`` use. Reserves 0 are the library's defaults.
    """

    port_id: int
    name: str = ""
    is_representor: bool = False
    default_miss: DefaultMiss | None = None
    nr_counters: int = 0
    nr_meters: int = 0
    nr_shared_counters: int = 0
    nr_shared_meters: int = 0
    nr_shared_encaps: int = 0
    nr_shared_decaps: int = 0
    nr_shared_rss: int = 0
    actions_mem_size: int = 0
    devargs: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


__all__ = [
    "CHANGEABLE",
    "COUNT",
    "FLOW_RECORD",
    "NO_ACTIONS",
    "NO_ALGORITHM",
    "NO_MATCH",
    "NO_RSS_FLAGS",
    "ActionDesc",
    "ActionType",
    "Actions",
    "CacheStats",
    "ColorMode",
    "CompareOp",
    "Condition",
    "Counter",
    "CounterConfig",
    "CtConfig",
    "CtFull",
    "CtStats",
    "CtTimeouts",
    "Decap",
    "DefaultMiss",
    "DescField",
    "Domain",
    "Encap",
    "EntryFlags",
    "EntryOp",
    "EntrySpec",
    "EntryStatus",
    "Eth",
    "FlowClose",
    "FlowCreate",
    "FlowEvent",
    "Fwd",
    "FwdAnswer",
    "FwdChangeable",
    "FwdDrop",
    "FwdHash",
    "FwdOrderedList",
    "FwdPipe",
    "FwdPort",
    "FwdReject",
    "FwdRss",
    "FwdTarget",
    "FwdType",
    "GreType",
    "HashAlgorithm",
    "HeaderFormat",
    "Icmp",
    "Ip4",
    "Ip4Value",
    "Ip6",
    "Ip6Value",
    "L2Meta",
    "L2Valid",
    "L3Meta",
    "L3Type",
    "L4Meta",
    "L4TypeExt",
    "LimitType",
    "ListActions",
    "ListElement",
    "ListNat64",
    "MacValue",
    "Match",
    "Meta",
    "Meter",
    "MeterAlgorithm",
    "MeterColor",
    "MeterConfig",
    "Mode",
    "Monitor",
    "OrderedList",
    "ParserMeta",
    "PipeLike",
    "PipeRef",
    "PipeSpec",
    "PipeType",
    "PortSpec",
    "PushVlan",
    "ResourceType",
    "RssFlags",
    "RssHash",
    "SharedCounter",
    "SharedMeter",
    "SharedResourceType",
    "TargetType",
    "Tcp",
    "TcpFlags",
    "TcpState",
    "Transport",
    "Tun",
    "TunType",
    "Udp",
    "VxlanType",
    "desc_field",
    "parse_mac",
    "pipe_name",
    "prefix_mask",
]
