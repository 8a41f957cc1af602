# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Addresses to identities: which labels and CIDR objects every address of every network has.

An identity's base stands for a set of labels (with kind; with name or origin where the policy asks for them) and of
CIDR objects. Per network the prefixes that matter are nested or apart, so each is one row of a longest-prefix table.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final, NamedTuple

from appliance.flow.types import parse_mac
from appliance.policy.model import Interface, Inventory, Network, State, Workload
from appliance.policy.program import (
    APPLIANCE_BASE,
    UNKNOWN_BASE,
    WORLD_BASE,
    Binding,
    Identity,
    Numbers,
    Range,
    identity_number,
)
from appliance.policy.refusal import Problem, Refused
from appliance.policy.selector import Cidr

Prefix = tuple[int, int, int]
"""Version (4 or 6), address as a number, length."""
BITS: Final = {4: 32, 6: 128}
_RESERVED: Final = {"unknown": UNKNOWN_BASE, "appliance": APPLIANCE_BASE, "world": WORLD_BASE}


def parse_address(text: str) -> tuple[int, int]:
    """Version and number of an address. ``ValueError``."""
    version, family = (6, socket.AF_INET6) if ":" in text else (4, socket.AF_INET)
    try:
        return version, int.from_bytes(socket.inet_pton(family, text), "big")
    except OSError:
        raise ValueError(f"{text!r} is not an IP address") from None


def parse_prefix(text: str) -> Prefix:
    """A prefix, or an address as one of full length. ``ValueError``."""
    network = ip_network(text)
    return network.version, int(network.network_address), network.prefixlen


def cut(version: int, address: int, length: int) -> int:
    """The address with all but its first ``length`` bits cleared."""
    below = BITS[version] - length
    return address >> below << below


class Regions:
    """Which CIDR objects hold an address: the same for all addresses of a region, which is a prefix without the
    longer ones among the boundaries.
    """

    def __init__(self, objects: Iterable[Cidr]) -> None:
        boundaries: set[Prefix] = set()
        outer: dict[Prefix, list[tuple[str, set[Prefix]]]] = {}
        for cidr in sorted(set(objects)):
            prefix, inner = parse_prefix(cidr.prefix), {parse_prefix(text) for text in cidr.exceptions}
            boundaries |= {prefix, *inner}
            outer.setdefault(prefix, []).append((str(cidr), inner))
        self._lengths = {v: sorted({b[2] for b in boundaries if b[0] == v}, reverse=True) for v in BITS}
        self.boundaries = sorted(boundaries)
        self._sets: dict[Prefix, tuple[str, ...]] = {}
        for boundary in self.boundaries:
            above = list(self._above(boundary, boundaries))
            held = [
                text for prefix in above for text, inner in outer.get(prefix, ()) if inner.isdisjoint(above)
            ]
            self._sets[boundary] = tuple(sorted(held))

    def _above(self, prefix: Prefix, boundaries: set[Prefix]) -> Iterator[Prefix]:
        """The boundaries that contain a prefix, itself included, longest first."""
        version, address, most = prefix
        for length in self._lengths[version]:
            if length <= most:
                candidate = (version, cut(version, address, length), length)
                if candidate in boundaries:
                    yield candidate

    def find(self, prefix: Prefix) -> tuple[str, ...]:
        """The objects that hold all of a prefix (longer boundaries in it aside), as texts."""
        version, address, most = prefix
        for length in self._lengths[version]:
            if length <= most:
                found = self._sets.get((version, cut(version, address, length), length))
                if found is not None:
                    return found
        return ()


class Owner(NamedTuple):
    """Whose a prefix is, apart from CIDR objects."""

    text: str
    """Canonical."""
    entity: str
    workload: Workload | None
    state: State


class MapRow(NamedTuple):
    """One row of a network's longest-prefix table."""

    prefix: Prefix
    identity: int
    workload: str
    """Name, for a bound address or prefix; else empty."""


class Bound(NamedTuple):
    """An interface as the data plane needs it."""

    workload: Workload
    interface: Interface
    network: Network
    zone: int
    port: int
    mac: int
    addresses: tuple[tuple[int, int], ...]
    prefixes: tuple[Prefix, ...]


@dataclass(slots=True)
class AddressMap:
    """All networks together."""

    rows: dict[str, list[MapRow]]
    """By network, sorted by prefix."""
    identities: dict[int, Identity]
    """By base, the reserved ones included."""
    bounds: list[Bound]
    bindings: tuple[Binding, ...]
    ranges: dict[str, tuple[Range, ...]]
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Relevant:
    """What of a workload is part of its identity, beside labels and kind."""

    names: frozenset[str]
    """Workloads that a selector names."""
    origin: bool
    cidrs: tuple[Cidr, ...]


class _Builder:
    """Gives out base numbers and keeps what they stand for."""

    def __init__(self, relevant: Relevant, numbers: Numbers) -> None:
        self.relevant = relevant
        self.known = dict(numbers.bases)
        self.next_base = numbers.next_base
        self.zones = dict(numbers.zones)
        self.next_zone = numbers.next_zone
        self.identities = {base: Identity(base=base, entity=name) for name, base in _RESERVED.items()}
        self._cache: dict[tuple[str, tuple[str, ...]], int] = {}

    def zone(self, network: str) -> int:
        if network not in self.zones:
            self.zones[network] = self.next_zone
            self.next_zone += 1
        return self.zones[network]

    def owner(self, workload: Workload, state: State) -> Owner:
        labels = ",".join(sorted(f"{key}={value}" for key, value in workload.labels.items()))
        name = workload.name if workload.name in self.relevant.names else ""
        origin = workload.origin if self.relevant.origin else ""
        return Owner(f"workload|{workload.kind}|{origin}|{name}|{labels}", "", workload, state)

    def base(self, owner: Owner, cidrs: tuple[str, ...]) -> int:
        if owner.entity and not cidrs:
            return _RESERVED[owner.entity]
        key = (owner.text, cidrs)
        base = self._cache.get(key)
        if base is None:
            base = self._cache[key] = self._number(f"{owner.text}|{';'.join(cidrs)}")
            labels, kind, name = dict[str, str](), "", ""
            if owner.workload is not None:
                labels, kind = dict(sorted(owner.workload.labels.items())), owner.workload.kind
                name = owner.workload.name if owner.workload.name in self.relevant.names else ""
            origin = owner.workload.origin if owner.workload is not None and self.relevant.origin else ""
            self.identities[base] = Identity(
                base=base,
                labels=labels,
                kind=kind,
                entity=owner.entity,
                name=name,
                origin=origin,
                cidrs=cidrs,
            )
        return base

    def _number(self, text: str) -> int:
        if text not in self.known:
            self.known[text] = self.next_base
            self.next_base += 1
        return self.known[text]

    def numbers(self) -> Numbers:
        return Numbers(self.known, self.zones, self.next_base, self.next_zone)


def address_map(
    inventory: Inventory, states: Mapping[str, State], relevant: Relevant, numbers: Numbers
) -> AddressMap:
    """Identities and bindings of an inventory. ``Refused``: a workload bound twice, addresses that are none."""
    bounds = bind(inventory, numbers)
    builder, regions = _Builder(relevant, numbers), Regions(relevant.cidrs)
    owners: dict[str, dict[Prefix, Owner]] = {}
    for network in inventory.networks:
        builder.zone(network.name)
        mine: dict[Prefix, Owner] = {(v, 0, 0): Owner("world", "world", None, State.NORMAL) for v in BITS}
        for text in network.prefixes:
            mine[parse_prefix(text)] = Owner("unknown", "unknown", None, State.NORMAL)
        owners[network.name] = mine
    of_workload: dict[int, Owner] = {}
    for bound in bounds:
        workload = bound.workload
        owner = of_workload.get(id(workload))
        if owner is None:
            owner = of_workload[id(workload)] = builder.owner(
                workload, states.get(workload.name, workload.state)
            )
        mine = owners[bound.network.name]
        for prefix in bound.prefixes:
            mine[prefix] = owner
        for version, address in bound.addresses:
            mine[(version, address, BITS[version])] = owner
    for network in inventory.networks:
        for text in network.gateways:
            prefix = parse_prefix(text)
            owners[network.name].setdefault(prefix, Owner("appliance", "appliance", None, State.NORMAL))
    rows = {name: _rows(mine, regions, builder) for name, mine in owners.items()}
    identity = {
        (name, row.prefix): row.identity for name, found in rows.items() for row in found if row.workload
    }
    bindings = tuple(
        Binding(
            bound.workload.name, bound.network.name, bound.zone, text,
            bound.interface.port if bound.port >= 0 else "", bound.interface.mac,
            identity[bound.network.name, (version, address, BITS[version])],
        )
        for bound in bounds
        for text, (version, address) in zip(bound.interface.addresses, bound.addresses, strict=True)
    )  # fmt: skip
    return AddressMap(
        rows, builder.identities, bounds, bindings, _ranges(bounds, rows, builder.zones), builder.numbers()
    )


def _ranges(
    bounds: Sequence[Bound], rows: Mapping[str, Sequence[MapRow]], zones: Mapping[str, int]
) -> dict[str, tuple[Range, ...]]:
    """Rows of workloads that are bound by prefixes, but for those of their addresses. A prefix may have several: CIDR
    objects of the policy cut it.
    """
    names = {bound.workload.name for bound in bounds if bound.prefixes}
    if not names:
        return {}
    own = {
        (bound.workload.name, bound.zone, version, address)
        for bound in bounds
        if bound.workload.name in names
        for version, address in bound.addresses
    }
    found: dict[str, list[Range]] = {name: [] for name in sorted(names)}
    for network, some in rows.items():
        zone = zones[network]
        for row in some:
            version, address, length = row.prefix
            if row.workload in names and (
                length < BITS[version] or (row.workload, zone, version, address) not in own
            ):
                found[row.workload].append(Range(zone, version, address, length))
    return {name: tuple(ranges) for name, ranges in found.items()}


def _rows(owners: Mapping[Prefix, Owner], regions: Regions, builder: _Builder) -> list[MapRow]:
    lengths = {v: sorted({p[2] for p in owners if p[0] == v and p[2] < BITS[v]}, reverse=True) for v in BITS}
    made = []
    for prefix, owner in owners.items():
        made.append(_row(prefix, owner, regions, builder))
    for prefix in regions.boundaries:
        if prefix not in owners:
            version, address, most = prefix
            above = ((version, cut(version, address, n), n) for n in lengths[version] if n < most)
            made.append(_row(prefix, next(owners[p] for p in above if p in owners), regions, builder))
    made.sort()
    return made


def _row(prefix: Prefix, owner: Owner, regions: Regions, builder: _Builder) -> MapRow:
    number = identity_number(builder.base(owner, regions.find(prefix)), owner.state)
    return MapRow(prefix, number, owner.workload.name if owner.workload is not None else "")


# --- binding ----------------------------------------------------------------------------------------------------------


def bind(inventory: Inventory, numbers: Numbers) -> list[Bound]:
    """Every interface with its values parsed. ``Refused`` names every fault."""
    problems = list(_networks_wrong(inventory))
    networks = {network.name: network for network in inventory.networks}
    zones = zone_numbers(inventory, numbers)
    by_address: dict[tuple[str, int, int], str] = {}
    by_prefix: dict[tuple[str, int, int, int], str] = {}
    by_mac: dict[tuple[str, int], str] = {}
    names: set[str] = set()
    bounds: list[Bound] = []
    for workload in inventory.workloads:
        item = f"workload {workload.name}"
        if workload.name in names:
            problems.append(Problem(item, "name", "there are two workloads of this name"))
        names.add(workload.name)
        for number, interface in enumerate(workload.interfaces):
            where = f"interfaces[{number}]"
            try:
                bound = _bound(workload, interface, networks, zones, inventory.ports)
            except ValueError as error:
                problems.append(Problem(item, where, str(error)))
                continue
            bounds.append(bound)
            for version, address in bound.addresses:
                key = (interface.network, version, address)
                other = by_address.setdefault(key, workload.name)
                if other != workload.name or len(set(bound.addresses)) != len(bound.addresses):
                    why = f"an address of it is bound twice: to {other} and to {workload.name}"
                    problems.append(Problem(item, where, why))
            for version, address, length in bound.prefixes:
                other = by_prefix.setdefault((interface.network, version, address, length), workload.name)
                if other != workload.name:
                    why = f"a prefix of it is bound twice: to {other} and to {workload.name}"
                    problems.append(Problem(item, where, why))
            if bound.network.gateways and bound.mac == parse_mac(bound.network.gateway_mac):
                problems.append(Problem(item, where, f"MAC {interface.mac} is the gateway's"))
            other = by_mac.setdefault((interface.network, bound.mac), workload.name)
            if other != workload.name:
                why = f"MAC {interface.mac} is bound twice: to {other} and to {workload.name}"
                problems.append(Problem(item, where, why))
    if problems:
        raise Refused(problems)
    return bounds


def zone_numbers(inventory: Inventory, numbers: Numbers) -> dict[str, int]:
    """Zone by network name, as a compile will give them."""
    zones, following = dict(numbers.zones), numbers.next_zone
    for network in inventory.networks:
        if network.name not in zones:
            zones[network.name] = following
            following += 1
    return zones


def _bound(
    workload: Workload, interface: Interface, networks: Mapping[str, Network], zones: Mapping[str, int],
    ports: Mapping[str, int],
) -> Bound:  # fmt: skip
    network = networks.get(interface.network)
    if network is None:
        raise ValueError(
            f"there is no network {interface.network!r} (known: {', '.join(networks) or 'none'})"
        )
    port = -1
    if not interface.appliance:
        if interface.port not in ports:
            raise ValueError(f"there is no port {interface.port!r} (known: {', '.join(ports) or 'none'})")
        port = ports[interface.port]
    mac = parse_mac(interface.mac)
    if mac >> 40 & 1 or not mac:
        raise ValueError(f"{interface.mac} is not the address of one station")
    addresses = tuple(parse_address(text) for text in interface.addresses)
    prefixes = tuple(parse_prefix(text) for text in interface.prefixes)
    return Bound(workload, interface, network, zones[network.name], port, mac, addresses, prefixes)


def _networks_wrong(inventory: Inventory) -> Iterator[Problem]:
    names: set[str] = set()
    vlans: dict[int, str] = {}
    for network in inventory.networks:
        item = f"network {network.name}"
        if network.name in names:
            yield Problem(item, "name", "there are two networks of this name")
        names.add(network.name)
        if not 0 <= network.vlan < 4095:
            yield Problem(item, "vlan", f"{network.vlan} is not between 0 and 4094")
        other = vlans.setdefault(network.vlan, network.name) if network.vlan else network.name
        if other != network.name:
            yield Problem(item, "vlan", f"VLAN {network.vlan} is network {other}'s already")
        for field, texts in (("prefixes", network.prefixes), ("gateways", network.gateways)):
            for text in texts:
                try:
                    _, _, length = parse_prefix(text)
                except ValueError as error:
                    yield Problem(item, field, str(error))
                    continue
                if field == "gateways" and length not in BITS.values():
                    yield Problem(item, field, f"{text} is not one address")
        try:
            parse_mac(network.gateway_mac)
            if network.uplink is not None:
                parse_mac(network.uplink.next_hop_mac)
        except ValueError as error:
            yield Problem(item, "gateway_mac or uplink", str(error))
        if network.uplink is not None and network.uplink.port not in inventory.ports:
            yield Problem(item, "uplink", f"there is no port {network.uplink.port!r}")
