# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Rows of the tunnels between appliances: who is reached through which one, and whose packets may come out of it.

A packet from a known VTEP is decapsulated only if that VTEP owns the inner sender (segmentation.md, "Across
appliances"). Who forges a VTEP's address on the underlay is not stopped by this: nothing is encrypted.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Final

from appliance.flow.types import parse_mac
from appliance.policy.identity import BITS, Bound, Prefix, parse_address, parse_prefix
from appliance.policy.layout import ENCAP_BYTES
from appliance.policy.model import Inventory, Network, Overlay, Vtep, vtep_mac
from appliance.policy.refusal import Problem

VNI_MAX: Final = (1 << 24) - 1
VXLAN_PORT: Final = 4789
SOURCE_PORT: Final = 49152
UNDERLAY_ZONE: Final = 0
"""No network's: what is asked about the VTEP itself."""


@dataclass(frozen=True, slots=True)
class End:
    """One end of tunnels, parsed."""

    version: int
    address: int
    mac: int
    """Of frames to it, on this appliance's overlay port."""
    number: int = 0
    """32 bits that stand for it while a packet is on its way: no other peer's."""


def _padded(address: int, version: int) -> bytes:
    return address.to_bytes(BITS[version] // 8, "big")


@dataclass(frozen=True, slots=True)
class Tunnels:
    """An inventory's overlay, parsed."""

    port: int
    version: int
    """Of IP in the underlay."""
    own: End
    peers: dict[str, End]
    underlay: tuple[Prefix, ...]

    def owner(self, bound: Bound) -> End | None:
        """Where the tunnel to a workload ends; None: it is here, or not reached by one."""
        return self.peers.get(bound.interface.appliance) if bound.network.vni and bound.port < 0 else None

    def header(self, end: End, vni: int) -> int:
        """Ethernet, IPv4, UDP and VXLAN towards an end, as a number; lengths and checksum come with each packet.

        Not to be fragmented (RFC 7348, 4.3). One source port for all, so an underlay spreads by addresses only. No UDP
        checksum, over IPv6 either (RFC 6935).
        """
        ip = b"\x08\x00" + bytes([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0])
        if self.version == 6:
            ip = b"\x86\xdd" + bytes([0x60, 0, 0, 0, 0, 0, 17, 64])
        made = b"".join((
            end.mac.to_bytes(6, "big"), self.own.mac.to_bytes(6, "big"), ip,
            _padded(self.own.address, self.version), _padded(end.address, self.version),
            SOURCE_PORT.to_bytes(2, "big"), VXLAN_PORT.to_bytes(2, "big"), bytes(4),
            bytes([8, 0, 0, 0]), vni.to_bytes(3, "big"), b"\0",
        ))  # fmt: skip
        return int.from_bytes(made, "big")


def check_vtep(address: str, mac: str = "") -> Vtep:
    """An end of tunnels that somebody tells of. ``ValueError``: no packets can go there."""
    made = ip_address(address)
    nobodys = made.is_unspecified or made.is_multicast or made.is_loopback
    if nobodys or (made.version == 4 and made.is_reserved) or "%" in address:
        raise ValueError(f"{address} is not the address of one station")
    number = parse_mac(mac) if mac else 2 << 40
    if number >> 40 & 1 or not number:
        raise ValueError(f"{mac} is not the address of one station")
    return Vtep(address=str(made), next_hop_mac=mac.lower().replace("-", ":"))


def own_vtep(overlay: Overlay) -> Vtep:
    """This appliance's, as others are told of it."""
    return check_vtep(overlay.address, overlay.mac or vtep_mac(overlay.address))


def tunnel_mtu(overlay: Overlay | None, network: Network) -> int:
    """Largest IP packet that fits through the tunnels of a network; 0: it has none."""
    if overlay is None or not network.vni:
        return 0
    return overlay.mtu - ENCAP_BYTES[ip_address(overlay.address).version]


def reaching(overlay: Overlay | None, vteps: Mapping[str, Vtep]) -> Overlay | None:
    """An overlay as configured, with what a centre says of other appliances: it names the addresses, the configuration
    who takes frames for them. Appliances that it does not name stay as configured, and nobody else has their addresses.
    Those on an underlay of another IP version, or outside the prefixes configured for it, are not reached.
    """
    if overlay is None or not vteps:
        return overlay
    own = ip_address(overlay.address)
    fabric = [ip_network(text) for text in overlay.prefixes]
    peers = {name: one for name, one in overlay.peers.items() if name not in vteps}
    taken = {own, *(ip_address(one.address) for one in peers.values())}
    for name, one in vteps.items():
        address = ip_address(one.address)
        if address.version != own.version or address in taken:
            continue
        if fabric and not any(address in prefix for prefix in fabric):
            continue
        known = overlay.peers.get(name)
        mac = (known.next_hop_mac if known is not None else "") or overlay.next_hop_mac or one.next_hop_mac
        peers[name] = replace(one, next_hop_mac=mac)
    return replace(overlay, peers=peers)


@dataclass(frozen=True, slots=True)
class Reached:
    """Where packets to workloads go. One that moves is in two places: they go to the first of them, in the order of its
    interfaces, that can be reached from here.
    """

    first: list[Bound]
    """With the addresses and prefixes that are reached there."""
    here_too: list[Bound]
    """Places here of those whose first place is elsewhere: what comes for them out of a tunnel ends here."""


def reached(bounds: Sequence[Bound], made: Tunnels | None) -> Reached:
    """Of all bounds, in the order of their workloads' interfaces."""
    found = Reached([], [])
    taken: dict[tuple[int, int, Prefix], Bound] = {}
    for bound in bounds:
        if bound.port < 0 and (made is None or made.owner(bound) is None):
            continue
        free = {
            prefix
            for prefix in speaks_for(bound)
            if taken.setdefault((bound.zone, bound.mac, prefix), bound) is bound
        }
        if len(free) == len(bound.addresses) + len(bound.prefixes):
            found.first.append(bound)
            continue
        if free:
            addresses = tuple(one for one in bound.addresses if (*one, BITS[one[0]]) in free)
            prefixes = tuple(one for one in bound.prefixes if one in free)
            found.first.append(bound._replace(addresses=addresses, prefixes=prefixes))
        if bound.port >= 0 and any(
            taken[bound.zone, bound.mac, prefix].port < 0 for prefix in speaks_for(bound)
        ):
            found.here_too.append(bound)
    return found


def speaks_for(bound: Bound) -> list[Prefix]:
    """Everything that a binding stands for."""
    return [*((version, address, BITS[version]) for version, address in bound.addresses), *bound.prefixes]


def _end(vtep: Vtep, next_hop_mac: str = "") -> End:
    version, address = parse_address(vtep.address)
    return End(version, address, parse_mac(vtep.next_hop_mac or next_hop_mac or vtep_mac(vtep.address)))


def tunnels(inventory: Inventory) -> Tunnels | None:
    """The overlay of a checked inventory (``problems``); None if there is none."""
    overlay = inventory.overlay
    if overlay is None:
        return None
    own = _end(Vtep(address=overlay.address, next_hop_mac=overlay.mac))
    peers = _numbered({name: _end(peer, overlay.next_hop_mac) for name, peer in overlay.peers.items()})
    underlay = {parse_prefix(text) for text in overlay.prefixes}
    underlay |= {(end.version, end.address, BITS[end.version]) for end in (own, *peers.values())}
    return Tunnels(inventory.ports[overlay.port], own.version, own, peers, tuple(sorted(underlay)))


def _numbered(ends: Mapping[str, End]) -> dict[str, End]:
    """An IPv4 address is its own number; one of IPv6 gets one that others' coming and going seldom changes."""
    taken: set[int] = set()
    made = {}
    for name, end in sorted(ends.items(), key=lambda item: item[1].address):
        number = end.address if end.version == 4 else zlib.crc32(_padded(end.address, 6))
        while number in taken:
            number = (number + 1) & 0xFFFFFFFF
        taken.add(number)
        made[name] = replace(end, number=number)
    return made


def problems(inventory: Inventory) -> Iterator[Problem]:
    """What is wrong with the overlay and the networks' VNIs."""
    vnis: dict[int, str] = {}
    for network in inventory.networks:
        item = f"network {network.name}"
        if not network.vni:
            continue
        if not 0 < network.vni <= VNI_MAX:
            yield Problem(item, "vni", f"{network.vni} is not between 1 and {VNI_MAX}")
        if network.vlan:
            yield Problem(item, "vni", "tunnels carry no VLAN tags: give the network one or the other")
        other = vnis.setdefault(network.vni, network.name)
        if other != network.name:
            yield Problem(item, "vni", f"VNI {network.vni} is network {other}'s already")
    if inventory.overlay is not None:
        yield from _overlay_wrong(inventory, inventory.overlay)


def _overlay_wrong(inventory: Inventory, overlay: Overlay) -> Iterator[Problem]:
    if overlay.port not in inventory.ports:
        yield Problem("overlay", "port", f"there is no port {overlay.port!r}")
    own = Vtep(address=overlay.address, next_hop_mac=overlay.mac)
    addresses: dict[int, str] = {}
    version = 0
    for name, vtep in (("this appliance", own), *overlay.peers.items()):
        try:
            check_vtep(vtep.address, vtep.next_hop_mac)
            end = _end(vtep)
        except ValueError as error:
            yield Problem("overlay", "address" if vtep is own else f"peers[{name}]", str(error))
            continue
        version = version or end.version
        if end.version != version:
            why = f"{vtep.address} and {overlay.address} are of two IP versions"
            yield Problem("overlay", f"peers[{name}]", why)
            continue
        other = addresses.setdefault(end.address, name)
        if other != name:
            yield Problem("overlay", f"peers[{name}]", f"{vtep.address} is {other}'s already")
    for text in overlay.prefixes:
        try:
            parse_prefix(text)
        except ValueError as error:
            yield Problem("overlay", "prefixes", str(error))
    for workload in inventory.workloads:
        for number, interface in enumerate(workload.interfaces):
            if not interface.appliance and interface.port == overlay.port:
                why = f"port {interface.port} is the overlay's: what comes in there is in tunnels"
                yield Problem(f"workload {workload.name}", f"interfaces[{number}]", why)
