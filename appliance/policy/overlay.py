# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Rows of the tunnels between appliances: who is reached through which one, and whose packets may come out of it.

A packet from a known VTEP is decapsulated only if that VTEP owns the inner sender (segmentation.md, "Across
appliances"). Who forges a VTEP's address on the underlay is not stopped by this: nothing is encrypted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from appliance.flow.types import parse_mac
from appliance.policy.identity import BITS, Bound, Prefix, parse_address, parse_prefix
from appliance.policy.model import Inventory, Overlay, Vtep, vtep_mac
from appliance.policy.refusal import Problem

VNI_MAX: Final = (1 << 24) - 1
VXLAN_PORT: Final = 4789
SOURCE_PORT: Final = 49152
UNDERLAY_ZONE: Final = 0
"""No network's: what is asked about the VTEP itself."""


@dataclass(frozen=True, slots=True)
class End:
    """One end of tunnels, parsed."""

    address: int
    mac: int
    """Of frames to it, on this appliance's overlay port."""


@dataclass(frozen=True, slots=True)
class Tunnels:
    """An inventory's overlay, parsed."""

    port: int
    own: End
    peers: dict[str, End]
    underlay: tuple[Prefix, ...]

    def owner(self, bound: Bound) -> End | None:
        """Where the tunnel to a workload ends; None: it is here, or not reached by one."""
        return self.peers.get(bound.interface.appliance) if bound.network.vni and bound.port < 0 else None

    def header(self, end: End, vni: int) -> int:
        """Ethernet, IPv4, UDP and VXLAN towards an end, as a number; lengths and checksum come with each packet.

        Not to be fragmented (RFC 7348, 4.3). One source port for all, so an underlay spreads by addresses only.
        """
        made = b"".join((
            end.mac.to_bytes(6, "big"), self.own.mac.to_bytes(6, "big"), b"\x08\x00",
            bytes([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0]),
            self.own.address.to_bytes(4, "big"), end.address.to_bytes(4, "big"),
            SOURCE_PORT.to_bytes(2, "big"), VXLAN_PORT.to_bytes(2, "big"), bytes(4),
            bytes([8, 0, 0, 0]), vni.to_bytes(3, "big"), b"\0",
        ))  # fmt: skip
        return int.from_bytes(made, "big")

    def prefixes(self, bound: Bound) -> list[Prefix]:
        """Everything that a binding speaks for."""
        return [*((version, address, BITS[version]) for version, address in bound.addresses), *bound.prefixes]


def _end(vtep: Vtep) -> End:
    version, address = parse_address(vtep.address)
    if version != 4:
        raise ValueError(f"{vtep.address} is not an IPv4 address: tunnels run over IPv4")
    return End(address, parse_mac(vtep.next_hop_mac or vtep_mac(vtep.address)))


def tunnels(inventory: Inventory) -> Tunnels | None:
    """The overlay of a checked inventory (``problems``); None if there is none."""
    overlay = inventory.overlay
    if overlay is None:
        return None
    own = _end(Vtep(address=overlay.address, next_hop_mac=overlay.mac))
    peers = {name: _end(peer) for name, peer in overlay.peers.items()}
    underlay = {parse_prefix(text) for text in overlay.prefixes}
    underlay |= {(4, end.address, 32) for end in (own, *peers.values())}
    return Tunnels(inventory.ports[overlay.port], own, peers, tuple(sorted(underlay)))


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
        if inventory.overlay is None and inventory.ports:  # a centre has no ports, and so no tunnels
            yield Problem(
                item, "vni", "there is no overlay: name the port and address of this appliance's tunnels"
            )
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
    for name, vtep in (("this appliance", own), *overlay.peers.items()):
        try:
            end = _end(vtep)
        except ValueError as error:
            yield Problem("overlay", "address" if vtep is own else f"peers[{name}]", str(error))
            continue
        other = addresses.setdefault(end.address, name)
        if other != name:
            yield Problem("overlay", f"peers[{name}]", f"{vtep.address} is {other}'s already")
        if end.mac >> 40 & 1 or not end.mac:
            yield Problem("overlay", f"peers[{name}]", "its MAC is not the address of one station")
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
