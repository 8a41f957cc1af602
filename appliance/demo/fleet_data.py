# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Who is who in `ringfield demo factory`: the cast of `ringfield demo`, behind two appliances, the model as replicas.

The policy is examples/factory/policy.yaml, unchanged: it names no address and no appliance. Who is meant to reach whom
is `factory_data.REACHES`, by role.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.demo.factory_data import REACHES, SSH, Host, Service

APPLIANCES: Final = ("dpu1", "dpu2")
VTEPS: Final = {"dpu1": "192.0.2.1", "dpu2": "192.0.2.2"}
UNDERLAY_PREFIX: Final = "192.0.2.0/24"
STRANGER: Final = "192.0.2.66"
"""An underlay address that is no appliance's."""
UNDERLAY: Final = "fleet-underlay"
"""Namespace of the wire between the appliances: a bridge and their two uplinks."""
BRIDGE: Final = "wire"
NETWORK: Final = "factory"
VNI: Final = 4711
MTU: Final = 1450
"""Of workloads: the underlay's 1500 without the tunnel's headers."""
REPLICAS: Final = 20
FIRST_REPLICAS: Final = 2


@dataclass(frozen=True, slots=True)
class Place:
    """A workload's port at an appliance."""

    appliance: str
    port: str


@dataclass(frozen=True, slots=True)
class Member(Host):
    """A workload of the fleet: a namespace behind a port of one of the appliances."""

    appliance: str = ""
    kind: str = "generic"
    labels: tuple[tuple[str, str], ...] = ()
    mac: str = ""

    @property
    def namespace(self) -> str:
        """Its network namespace."""
        return f"fleet-{self.name}"

    @property
    def role(self) -> str:
        """What it is to ``REACHES``: its name without the replica's number."""
        return self.name.partition("-")[0]

    @property
    def place(self) -> Place:
        """Where it is plugged in."""
        return Place(self.appliance, self.port)

    def gateways(self) -> tuple[str, str]:
        """IPv4, IPv6."""
        subnet = self.address4.split(".")[2]
        return f"10.90.{subnet}.1", f"fd52:90:{subnet}::1"


def _member(name: str, where: str, subnet: int, host: int, kind: str, labels: str, *services: str) -> Member:
    appliance, _, number = where.partition(":")
    return Member(
        name, f"pf0vf{number}", f"10.90.{subnet}.{host}", f"fd52:90:{subnet}::{host:x}",
        (*(Service.parse(text) for text in services), SSH),
        appliance=appliance, kind=kind, mac=f"02:90:00:00:{subnet:02x}:{host:02x}",
        labels=tuple((key, value) for key, _, value in (one.partition("=") for one in labels.split())),
    )  # fmt: skip


MEMBERS: Final = {
    one.name: one
    for one in (
        _member(
            "portal", "dpu1:0", 1, 10, "generic",
            "app=assistant env=prod role=portal exposure=customers", "tcp/443",
        ),
        _member("agent", "dpu1:1", 1, 20, "agent", "app=assistant env=prod", "tcp/9000"),
        _member("prep", "dpu1:2", 2, 40, "preprocessing", "app=trainer env=research data=corpus", "tcp/9090"),
        _member("context", "dpu1:3", 2, 10, "context-memory", "app=assistant env=prod", "tcp/6379", "udp/6380"),
        _member("tool", "dpu2:0", 1, 30, "tool", "app=assistant env=prod", "tcp/7000"),
        _member("dataset", "dpu2:1", 2, 30, "dataset", "app=trainer env=research data=corpus", "tcp/2049"),
        _member("training", "dpu2:2", 2, 50, "training", "app=trainer env=research", "tcp/8470", "udp/8471"),
        _member("soc", "dpu2:4", 1, 250, "generic", "role=soc env=ops"),
    )
}  # fmt: skip
"""By name: two subnets, each on both sides."""
REPLICA: Final = {
    one.name: one
    for one in (
        _member(
            f"inference-{number}", f"{APPLIANCES[1 - number % 2]}:{10 + (number - 1) // 2}", 1, 100 + number,
            "inference", "app=assistant env=prod exposure=customers", "tcp/8000",
        )
        for number in range(1, REPLICAS + 1)
    )
}  # fmt: skip
"""Replicas of the model, one here, one there."""
FIRST: Final = MEMBERS | dict(list(REPLICA.items())[:FIRST_REPLICAS])
"""Who is there at the beginning."""
LATER: Final = dict(list(REPLICA.items())[FIRST_REPLICAS:])
"""Who comes when the service scales out."""
EVERYBODY: Final = FIRST | LATER
MOVED: Final = MEMBERS["context"]
"""Who moves, with its connections open."""
NEW_PLACE: Final = Place("dpu2", "pf0vf5")
"""And to where. The port's interface lies beside the first one for a while, so it has another name."""


def reaches(source: Member, target: Member) -> set[str]:
    """Services that are meant to be open."""
    return REACHES.get((source.role, target.role), set()) if source.role != target.role else set()
