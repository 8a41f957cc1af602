# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What a policy is made of: workloads, networks, selectors, services, rules, containment. Values only.

Texts are kept as an operator writes them (``"app=web, env in (prod, dev)"``, ``"tcp/8000-8100"``); ``selector`` and
``service`` read them. Addresses are strings in their shortest form. Nothing here checks across objects: ``check`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum
from ipaddress import ip_address
from typing import Final

from appliance.policy.selector import ANY, Selector


class State(IntEnum):
    """A workload's state: the two low bits of its identity number."""

    NORMAL = 0
    WATCHED = 1
    RESTRICTED = 2
    QUARANTINED = 3


KINDS: Final = (
    "agent", "tool", "inference", "training", "preprocessing", "dataset", "embeddings", "context-memory",
    "evaluation", "orchestrator", "ingestion", "registry", "generic",
)  # fmt: skip
"""What a workload can be."""
ORIGINS: Final = ("dc", "cloud", "k8s", "edge")
"""Where a workload can run."""


class Band(IntEnum):
    """Bands of rules, in the order in which they are evaluated."""

    SYSTEM = 0
    OVERRIDE_ALLOW = 1
    OVERRIDE_ALERT = 2
    OVERRIDE_BLOCK = 3
    ALLOW = 4
    ALERT = 5
    BLOCK = 6
    DEFAULT = 7

    @property
    def text(self) -> str:
        """As an operator writes it: ``override-allow``."""
        return self.name.lower().replace("_", "-")


class Action(IntEnum):
    """What happens to a connection."""

    ALLOW = 0
    ALERT = 1
    """Allowed, and an event is raised."""
    BLOCK = 2
    """Dropped without an answer."""
    REJECT = 3
    """Dropped and answered: TCP RST, or ICMP administratively prohibited."""

    @property
    def passes(self) -> bool:
        """Whether packets get through."""
        return self <= Action.ALERT


class Mode(Enum):
    """Whether a rule decides, or is only recorded."""

    ENFORCE = "enforce"
    AUDIT = "audit"


# --- the inventory ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """Where a workload is plugged in. The port admits exactly these pairs of MAC and address.

    ``prefixes`` instead of (or beside) ``addresses``: a router or a generator behind the port.
    """

    network: str
    port: str
    """Name of the appliance's port, for example ``pf0vf0``."""
    mac: str
    """``aa:bb:cc:dd:ee:ff``."""
    addresses: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    appliance: str = ""
    """Empty: this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Something that opens and takes connections."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    kind: str = "generic"
    origin: str = "dc"
    interfaces: tuple[Interface, ...] = ()
    state: State = State.NORMAL
    risk: int = 0
    """0 to 100; never part of the identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplink:
    """Where a network leaves the appliance: to what is in no prefix of it."""

    port: str
    next_hop_mac: str
    """Of the router behind the port; also the only MAC from which packets of the world come in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dhcp:
    """What becomes of DHCP requests (IPv4) in a network: with neither, they are consumed."""

    answer: bool = False
    """From the inventory: to each workload the address that is bound to it."""
    server: str = ""
    """Relayed to this server, from the network's gateway."""
    lease_seconds: int = 3600
    dns: tuple[str, ...] = ()
    ntp: tuple[str, ...] = ()
    domain: str = ""

    @property
    def is_on(self) -> bool:
        """Whether requests come to the appliance."""
        return self.answer or bool(self.server)


NO_DHCP: Final = Dhcp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A scope of addresses. Two networks may use the same ones; nothing is forwarded between networks."""

    name: str
    vlan: int = 0
    """802.1Q id on every port of the network; 0: untagged."""
    vni: int = 0
    """VXLAN network identifier between appliances; 0: the network ends at this one's ports and uplink."""
    prefixes: tuple[str, ...] = ()
    """Its subnets. An address in them that is no workload's is ``unknown``, any other is ``world``."""
    gateways: tuple[str, ...] = ()
    """Addresses that the appliance answers for and routes between subnets at."""
    gateway_mac: str = "02:52:46:00:00:01"
    uplink: Uplink | None = None
    dhcp: Dhcp = NO_DHCP


@dataclass(frozen=True, slots=True, kw_only=True)
class Vtep:
    """Where another appliance's tunnels end."""

    address: str
    """In the underlay."""
    next_hop_mac: str = ""
    """Who takes frames for it on this appliance's overlay port, and the only MAC from which its packets come. Empty:
    the one that the appliance makes of its address (``vtep_mac``).
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """Tunnels between appliances: VXLAN (RFC 7348) over IPv4 or IPv6, for the networks that have a VNI."""

    port: str
    """Name of the port towards the underlay."""
    address: str
    """This appliance's VTEP."""
    mac: str = ""
    """Of frames that leave by the port; empty: made of the address (``vtep_mac``)."""
    peers: Mapping[str, Vtep] = field(default_factory=dict)
    """By appliance, as ``Interface.appliance`` names it."""
    next_hop_mac: str = ""
    """Of the underlay's router, which takes frames for all peers that have no ``next_hop_mac``; empty: none, all are on
    one link.
    """
    prefixes: tuple[str, ...] = ()
    """The underlay's addresses, which no workload reaches; the VTEPs are always among them."""
    mtu: int = 1500
    """Largest IP packet that leaves by the port."""


def vtep_mac(address: str) -> str:
    """The MAC that an appliance takes for its VTEP unless told otherwise: 02:56 and the address's last four bytes."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x56, *ip_address(address).packed[-4:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All that is plugged in here."""

    networks: tuple[Network, ...] = ()
    workloads: tuple[Workload, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    """Logical port id (``parser_meta.port_id``) by port name."""
    overlay: Overlay | None = None
    """None: workloads behind other appliances are known, and not reached."""


# --- rules ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A weekly time window, in UTC: minutes of the day, ``end`` not included. Days: 0 is Monday."""

    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    start: int = 0
    end: int = 1440


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a rule is in force: inside one of the windows (none: always), from ``begins`` until ``expires``."""

    windows: tuple[Window, ...] = ()
    begins: datetime | None = None
    expires: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Who may open what connection to whom. The action follows from the band; ``reject`` and ``alert`` are for the
    blocking bands.
    """

    name: str
    band: Band
    source: Selector = ANY
    target: Selector = ANY
    services: tuple[str, ...] = ("any",)
    """``tcp/443``, ``udp/8000-8100``, ``icmp/8``, ``any``, or the name of a service."""
    mode: Mode = Mode.ENFORCE
    enabled: bool = True
    priority: int = 100
    """Among rules of a band that match alike, the lowest (priority, name) is the one that is named."""
    reject: bool = False
    alert: bool = False
    log: bool = False
    schedule: Schedule | None = None
    comment: str = ""

    @property
    def action(self) -> Action:
        """What the band and ``reject`` say."""
        if self.band in (Band.OVERRIDE_BLOCK, Band.BLOCK):
            return Action.REJECT if self.reject else Action.BLOCK
        if self.band in (Band.OVERRIDE_ALERT, Band.ALERT):
            return Action.ALERT
        return Action.ALLOW


class Side(Enum):
    """Which end of a connection a side rule speaks of."""

    EGRESS = "egress"
    INGRESS = "ingress"


@dataclass(frozen=True, slots=True, kw_only=True)
class SideAllow:
    """What a selected workload may reach (egress) or be reached by (ingress)."""

    side: Side
    peers: Selector = ANY
    services: tuple[str, ...] = ("any",)


@dataclass(frozen=True, slots=True, kw_only=True)
class SidePolicy:
    """A Kubernetes NetworkPolicy: it isolates what it selects on the given sides, but for what it allows.

    A connection passes if its source's egress and its target's ingress allow it. Where neither end is isolated the
    policy says nothing. Evaluated between ``override-block`` and ``allow``.
    """

    name: str
    subjects: Selector
    sides: tuple[Side, ...] = (Side.INGRESS,)
    allows: tuple[SideAllow, ...] = ()
    comment: str = ""


class Default(Enum):
    """What happens where no rule matches."""

    BLOCK = "block"
    ALERT = "alert"
    ALLOW = "allow"

    @property
    def action(self) -> Action:
        """As an action."""
        return Action[self.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """All rules of one revision."""

    name: str = "policy"
    default: Default = Default.BLOCK
    rules: tuple[Rule, ...] = ()
    keep: tuple[Rule, ...] = ()
    """Paths that stay when a workload is quarantined or restricted: they apply only where one end is."""
    side_policies: tuple[SidePolicy, ...] = ()
    groups: Mapping[str, Selector] = field(default_factory=dict)
    """Named selectors, used as ``group=NAME``."""
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Named services, beside the built-in templates."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Labels that selectors may use though no workload has them yet; no values: any value."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A connection that one restricted workload is known to have: as its opener if the rule's source means it, as its
    target if the rule's target does. It says nothing for the other end, restricted or not.
    """

    workload: str
    rule: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Containment:
    """Who is contained, and what stays open for them."""

    states: Mapping[str, State] = field(default_factory=dict)
    """By workload name; wins over ``Workload.state``."""
    keep: tuple[Rule, ...] = ()
    """Of the quarantines in force, beside the policy's own."""
    baselines: tuple[Baseline, ...] = ()
    """What is left to restricted workloads, each for itself; anything else of theirs is dropped."""
    reject: bool = False
    """Answer the peers of contained workloads instead of dropping silently."""
    resets: tuple[str, ...] = ()
    """Quarantined workloads of whom that holds whatever ``reject`` says."""


NO_CONTAINMENT: Final = Containment()
