# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Who is who in examples/factory, who serves what, and who is meant to reach whom.

``REACHES`` is the judge's own table, written by hand and never computed from examples/factory/policy.yaml: the
demonstration measures the policy against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, order=True)
class Service:
    """A port that a workload serves."""

    protocol: str
    port: int

    def __str__(self) -> str:
        return f"{self.protocol}/{self.port}"

    @classmethod
    def parse(cls, text: str) -> Service:
        """From ``tcp/443``."""
        protocol, _, port = text.partition("/")
        return cls(protocol, int(port))


@dataclass(frozen=True, slots=True)
class Host:
    """A workload of the factory: a namespace behind a port."""

    name: str
    port: str
    address4: str
    address6: str
    services: tuple[Service, ...]

    @property
    def namespace(self) -> str:
        """Its network namespace."""
        return f"ai-{self.name}"

    def addresses(self) -> tuple[str, str]:
        """IPv4, IPv6."""
        return self.address4, self.address6


SSH: Final = Service("tcp", 22)


def _host(number: int, name: str, subnet: int, host: int, *services: str) -> Host:
    return Host(
        name,
        f"pf0vf{number}",
        f"10.80.{subnet}.{host}",
        f"fd52:80:{subnet}::{host}",
        (*(Service.parse(text) for text in services), SSH),
    )


HOSTS: Final = {
    host.name: host
    for host in (
        _host(0, "portal", 1, 10, "tcp/443"),
        _host(1, "agent", 1, 20, "tcp/9000"),
        _host(2, "tool", 1, 30, "tcp/7000"),
        _host(3, "inference", 1, 40, "tcp/8000"),
        _host(4, "context", 2, 10, "tcp/6379", "udp/6380"),
        _host(5, "embeddings", 2, 20, "tcp/6333"),
        _host(6, "dataset", 2, 30, "tcp/2049"),
        _host(7, "prep", 2, 40, "tcp/9090"),
        _host(8, "training", 2, 50, "tcp/8470", "udp/8471"),
        _host(9, "soc", 1, 250),
    )
}
"""By name: two subnets, served by one appliance."""

REACHES: Final[dict[tuple[str, str], set[str]]] = {
    ("portal", "agent"): {"tcp/9000"},
    ("portal", "inference"): {"tcp/8000"},
    ("agent", "inference"): {"tcp/8000"},
    ("agent", "tool"): {"tcp/7000"},
    ("inference", "context"): {"tcp/6379", "udp/6380"},
    ("inference", "embeddings"): {"tcp/6333"},
    ("prep", "dataset"): {"tcp/2049"},
    ("prep", "training"): {"tcp/8470", "udp/8471"},
    **{("soc", name): {"tcp/22"} for name in HOSTS if name != "soc"},
}
"""What the policy is meant to allow; everything else is not."""

HABITS: Final = (
    ("agent", "dataset", Service("tcp", 2049)),
    ("training", "inference", SSH),
    ("tool", "context", Service("tcp", 6379)),
)
"""What workloads also do today, and should not: seen in the map, lost under the policy."""

VICTIM: Final = "agent"
"""Who is taken over."""
WATCHER: Final = "soc"
"""Who keeps a path to the victim."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A long-lived connection with numbers in it."""

    source: str
    target: str
    service: Service
    version: int = 4

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.source} → {self.target} {self.service} IPv{self.version}"

    @property
    def forensic(self) -> bool:
        """The watcher's own path to the victim."""
        return {self.source, self.target} == {VICTIM, WATCHER}

    @property
    def dies(self) -> bool:
        """Whether it must end when the victim is quarantined."""
        return VICTIM in (self.source, self.target) and not self.forensic


STREAMS: Final = (
    *(
        Stream(source, target, Service.parse(text), version)
        for number, ((source, target), services) in enumerate(REACHES.items())
        if source != "soc"
        for text in sorted(services)
        for version in ((4, 6) if source in ("prep", "agent") else (4 + 2 * (number % 2),))
    ),
    Stream("soc", "agent", SSH, 4),
    Stream("soc", "inference", SSH, 6),
)
STREAM_RATE: Final = 50.0
"""Numbers per second in each stream."""
