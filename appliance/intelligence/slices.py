# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Slices: what one appliance has to know. Values, their digests, and how they differ.

A slice's digest is SHA-256 over ``ringfield slice v1\\n`` and, in this order: the revision (8 bytes, big endian), the
SHA-256 of the networks, of the policy's text, of the own workloads, of the peers and of the VTEPs. Own workloads and
peers are the SHA-256 over the 32-byte digests of their members in order of name; networks, members and VTEPs are
canonical JSON (keys sorted, no spaces).
So the digest says what is enforced, however it came: by snapshot, or by deltas. Containment is beside it, with a number
and a digest of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, NamedTuple, TypeVar

from appliance.policy.containment import Contained
from appliance.policy.model import Interface, Network, Vtep, Workload

_CONTEXT: Final = b"ringfield slice v1\n"


class Place(NamedTuple):
    """One address of a peer."""

    network: str
    version: int
    address: int
    length: int
    mac: int
    owner: str
    """Appliance; empty: none."""


@dataclass(frozen=True)
class Peer:
    """A workload as other appliances see it: its identity, and where it is."""

    name: str
    kind: str
    origin: str
    labels: tuple[tuple[str, str], ...]
    """Sorted."""
    places: tuple[Place, ...]
    """In the order of its interfaces: while it moves, packets to it go to the first of equal ones."""

    @cached_property
    def digest(self) -> bytes:
        """Of all of it."""
        return _hash([self.name, self.kind, self.origin, self.labels, self.places])


@dataclass(frozen=True)
class Own:
    """A workload behind the appliance, whole."""

    workload: Workload

    @cached_property
    def digest(self) -> bytes:
        """Of all but its state and its risk, which change no table of a slice."""
        one = self.workload
        interfaces = [
            [i.network, i.port, i.mac, i.addresses, i.prefixes, i.appliance] for i in one.interfaces
        ]
        return _hash([one.name, one.kind, one.origin, sorted(one.labels.items()), interfaces])


Member = TypeVar("Member", Own, Peer)


@dataclass(frozen=True)
class Policy:
    """The policy of a revision."""

    text: str

    @cached_property
    def digest(self) -> bytes:
        """Of the text."""
        return hashlib.sha256(self.text.encode()).digest()


@dataclass(frozen=True)
class Slice:
    """All that one appliance is to enforce, but for containment."""

    revision: int
    networks: tuple[Network, ...]
    policy: Policy
    own: Mapping[str, Own]
    peers: Mapping[str, Peer]
    vteps: Mapping[str, Vtep] = field(default_factory=dict)
    """Where the tunnels end of the other appliances that own workloads and peers are behind, as far as known."""

    @cached_property
    def digest(self) -> bytes:
        """See the module."""
        found = hashlib.sha256(_CONTEXT + self.revision.to_bytes(8, "big"))
        found.update(networks_digest(self.networks))
        found.update(self.policy.digest)
        found.update(_all(self.own))
        found.update(_all(self.peers))
        found.update(
            _hash([[name, one.address, one.next_hop_mac] for name, one in sorted(self.vteps.items())])
        )
        return found.digest()


@dataclass(frozen=True)
class Delta:
    """What makes one slice another."""

    base: bytes
    """Digest of the slice that it changes."""
    result: bytes
    revision: int
    networks: tuple[Network, ...] | None = None
    policy: Policy | None = None
    own: Mapping[str, Own] = field(default_factory=dict)
    own_removed: tuple[str, ...] = ()
    peers: Mapping[str, Peer] = field(default_factory=dict)
    peers_removed: tuple[str, ...] = ()
    vteps: Mapping[str, Vtep] | None = None


@dataclass(frozen=True)
class ContainedAt:
    """A contained workload, and who contained it."""

    contained: Contained
    origin: str = ""
    """Appliance; empty: the centre."""


@dataclass(frozen=True)
class FleetContainment:
    """Who is contained in all of the fleet."""

    number: int
    contained: Mapping[str, ContainedAt]
    places: Mapping[str, Peer] = field(default_factory=dict)
    """Where they are."""

    @cached_property
    def digest(self) -> bytes:
        """Of all but the time that is left."""
        rows = []
        for name in sorted(self.contained):
            one = self.contained[name]
            plain = one.contained.to_dict() | {"left": 0, "origin": one.origin}
            rows.append([name, plain])
        places = [self.places[name].digest.hex() for name in sorted(self.places)]
        return _hash([self.number, rows, places])


NO_CONTAINMENT: Final = FleetContainment(0, {})


def _hash(value: Any) -> bytes:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).digest()


def _all(members: Mapping[str, Own] | Mapping[str, Peer]) -> bytes:
    return hashlib.sha256(b"".join([members[name].digest for name in sorted(members)])).digest()


def networks_digest(networks: Iterable[Network]) -> bytes:
    """Of networks, but for their uplinks: those are each appliance's own."""
    plain = [
        [one.name, one.vlan, one.vni, one.prefixes, one.gateways, one.gateway_mac]
        for one in sorted(networks, key=lambda one: one.name)
    ]
    return _hash(plain)


def delta(base: Slice, wanted: Slice) -> Delta:
    """What changes the one into the other."""
    same_networks = base.networks is wanted.networks or base.networks == wanted.networks
    same_policy = base.policy is wanted.policy or base.policy.digest == wanted.policy.digest
    return Delta(
        base.digest,
        wanted.digest,
        wanted.revision,
        None if same_networks else wanted.networks,
        None if same_policy else wanted.policy,
        _changed(base.own, wanted.own),
        tuple(sorted(base.own.keys() - wanted.own.keys())),
        _changed(base.peers, wanted.peers),
        tuple(sorted(base.peers.keys() - wanted.peers.keys())),
        None if base.vteps == wanted.vteps else wanted.vteps,
    )


def _changed(base: Mapping[str, Member], wanted: Mapping[str, Member]) -> dict[str, Member]:
    made = {}
    for name, one in wanted.items():
        old = base.get(name)
        if old is not one and (old is None or old.digest != one.digest):
            made[name] = one
    return made


def patched(base: Slice, change: Delta) -> Slice:
    """A slice with a delta put in. Whether it is the right one is for the caller to see by the digests."""
    own = {name: one for name, one in base.own.items() if name not in change.own_removed} | dict(change.own)
    gone = set(change.peers_removed)
    peers = {name: one for name, one in base.peers.items() if name not in gone} | dict(change.peers)
    return Slice(
        change.revision,
        base.networks if change.networks is None else change.networks,
        base.policy if change.policy is None else change.policy,
        own,
        peers,
        base.vteps if change.vteps is None else change.vteps,
    )


# --- an appliance's workloads -----------------------------------------------------------------------------------------


def mac_text(number: int) -> str:
    """``aa:bb:cc:dd:ee:ff``."""
    return number.to_bytes(6, "big").hex(":")


def address_text(place: Place) -> str:
    """An address, or a prefix when it is not of full length."""
    text = str(IPv4Address(place.address) if place.version == 4 else IPv6Address(place.address))
    return text if place.length == (32 if place.version == 4 else 128) else f"{text}/{place.length}"


def own_at(one: Own, appliance: str) -> Workload:
    """An own workload as its appliance's registry has it: interfaces here name no appliance."""
    workload = one.workload
    interfaces = tuple(
        Interface(
            network=i.network, port=i.port if i.appliance == appliance else "", mac=i.mac, addresses=i.addresses,
            prefixes=i.prefixes, appliance="" if i.appliance == appliance else i.appliance or "-",
        )
        for i in workload.interfaces
    )  # fmt: skip
    return Workload(
        name=workload.name,
        labels=workload.labels,
        kind=workload.kind,
        origin=workload.origin,
        interfaces=interfaces,
    )


def peer_at(peer: Peer) -> Workload:
    """A peer as a workload that is plugged in elsewhere."""
    seats: dict[tuple[str, int, str], tuple[list[str], list[str]]] = {}
    for place in peer.places:
        addresses, prefixes = seats.setdefault((place.network, place.mac, place.owner), ([], []))
        text = address_text(place)
        (prefixes if "/" in text else addresses).append(text)
    interfaces = tuple(
        Interface(
            network=network, port="", mac=mac_text(mac), addresses=tuple(addresses), prefixes=tuple(prefixes),
            appliance=owner or "-",
        )
        for (network, mac, owner), (addresses, prefixes) in seats.items()
    )  # fmt: skip
    return Workload(
        name=peer.name, labels=dict(peer.labels), kind=peer.kind, origin=peer.origin, interfaces=interfaces
    )
