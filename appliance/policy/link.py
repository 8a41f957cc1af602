# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Rows of what surrounds policy: who may send from where, what hosts ask of their link, where packets leave.

Everything here follows from the inventory alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from appliance.flow.types import Fwd, FwdPort, L2Meta, L3Meta, L4Meta, PipeType, parse_mac, prefix_mask
from appliance.policy import layout as ly
from appliance.policy import overlay
from appliance.policy.identity import BITS, AddressMap, Bound, Prefix, cut, parse_prefix
from appliance.policy.model import Inventory, Network
from appliance.policy.program import Table
from appliance.policy.refusal import Refused, refuse

_L3: Final = {4: L3Meta.IPV4, 6: L3Meta.IPV6}
_ANY: Final = {4: (4, 0, 0), 6: (6, 0, 0)}
_LINK_LOCAL: Final = {4: parse_prefix("169.254.0.0/16"), 6: parse_prefix("fe80::/10")}
_UNSPECIFIED: Final = {4: (4, 0, 32), 6: (6, 0, 128)}
_STAYS: Final = {
    4: tuple(map(parse_prefix, ("127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32"))),
    6: tuple(map(parse_prefix, ("::1/128", "fe80::/10", "ff00::/8"))),
}
"""Targets that never leave by an uplink."""
_ND_TYPES: Final = (133, 134, 135, 136, 137)
_MLD_TYPES: Final = (130, 131, 132, 143, 151, 152, 153)
_HOUSEKEEPING: Final = (5353, 5355)
"""UDP ports of mDNS and LLMNR."""
FLOOR: Final = 4096

Capacity = Callable[[str, int], int]
"""Room of a pipe, by name and number of rows."""


def mac_bytes(values: Sequence[int]) -> NDArray[np.uint8]:
    """MACs as rows of six bytes."""
    return np.array(values, ">u8").view(np.uint8).reshape(-1, 8)[:, 2:]


def ip6_bytes(values: Sequence[int]) -> NDArray[np.uint8]:
    """IPv6 addresses as rows of sixteen bytes."""
    return np.frombuffer(b"".join(value.to_bytes(16, "big") for value in values), np.uint8).reshape(-1, 16)


def encoded(name: str, values: Sequence[int]) -> Any:
    """A column as ``layout.rows`` takes it."""
    if name in (ly.SRC_MAC, ly.DST_MAC):
        return mac_bytes(values)
    if name in (ly.VNI, ly.ENCAP4, ly.ENCAP6):
        width = -(-ly.ft_bits(name) // 8)
        return np.frombuffer(b"".join(value.to_bytes(width, "big") for value in values), np.uint8).reshape(
            -1, width
        )
    if name in (ly.SRC6, ly.DST6, ly.INNER_SRC6):
        return ip6_bytes(values)
    return np.array(values, np.int64)


def table(
    name: str, capacity: Capacity, keys: NDArray[np.void], *, masks: NDArray[np.void] | None = None,
    args: NDArray[np.void] | None = None, fwds: tuple[Fwd, ...] = (), fwd_of_row: NDArray[Any] | None = None,
    tags: NDArray[np.uint64] | None = None, priorities: NDArray[np.uint32] | None = None, ordered: bool = False,
) -> Table:  # fmt: skip
    """A table with its rows in order of their keys (and masks)."""
    number = len(keys)
    tags = np.zeros(number, np.uint64) if tags is None else tags
    order: Any = slice(None)
    if not ordered and number > 1 and keys.dtype.itemsize:
        packed = keys.view(np.uint8).reshape(number, -1)
        if masks is not None:
            packed = np.concatenate([packed, masks.view(np.uint8).reshape(number, -1)], axis=1)
        packed = np.ascontiguousarray(packed)
        order = np.argsort(packed.view(f"S{packed.shape[1]}").reshape(-1), kind="stable")
    return Table(
        name=ly.PREFIX + name,
        spec=ly.SHAPES[name].spec(capacity(name, number)),
        keys=keys[order],
        masks=None if masks is None else masks[order],
        args=None if args is None else args[order],
        fwds=fwds,
        fwd_of_row=None if fwd_of_row is None or len(fwds) < 2 else fwd_of_row[order].astype(np.uint32),
        tags=tags[order],
        priorities=None if priorities is None else priorities[order],
    )


@dataclass(slots=True)
class _Rows:
    """Rows of one table, collected one by one. A key that comes again must say the same."""

    name: str
    found: dict[tuple[tuple[int, ...], int], tuple[tuple[int, ...], Fwd | None, str]] = field(
        default_factory=dict
    )

    def add(
        self, key: tuple[int, ...], args: tuple[int, ...] = (), fwd: Fwd | None = None, length: int = -1,
        whose: str = "",
    ) -> None:  # fmt: skip
        """``length``: of the prefix, in LPM tables (the last of the key is the address then)."""
        old = self.found.setdefault((key, length), (args, fwd, whose))
        if old[:2] != (args, fwd):
            raise refuse(
                whose,
                "interfaces",
                f"it is bound twice: {old[2] or 'something'} has the same port, VLAN and MAC",
            )

    def table(self, capacity: Capacity, fwds: tuple[Fwd, ...]) -> Table:
        """The table; ``fwds`` are all that its rows may use, in a stable order."""
        shape = ly.SHAPES[self.name]
        number = len(self.found)
        columns = [list(column) for column in zip(*(key for key, _ in self.found), strict=True)]
        if not number:
            columns = [[] for _ in shape.columns]
        keys = (
            ly.rows(number, {n: encoded(n, c) for n, c in zip(shape.columns, columns, strict=True)})
            if shape.columns
            else np.zeros(number, np.dtype([]))
        )
        masks = None
        if any(length >= 0 for _, length in self.found) or shape.type is PipeType.LPM:
            masks = self._masks([length for _, length in self.found])
        args = None
        if shape.sets:
            given = [list(column) for column in zip(*(v[0] for v in self.found.values()), strict=True)] or [
                [] for _ in shape.sets
            ]
            args = ly.rows(number, {n: encoded(n, c) for n, c in zip(shape.sets, given, strict=True)})
        where: dict[Fwd | None, int] = {fwd: at for at, fwd in enumerate(fwds)}
        of_row = (
            np.array([where[v[1]] for v in self.found.values()], np.uint32)
            if fwds and number
            else np.zeros(number, np.uint32)
        )
        return table(
            self.name, capacity, keys, masks=masks, args=args, fwds=fwds, fwd_of_row=of_row if fwds else None
        )

    def _masks(self, lengths: list[int]) -> NDArray[np.void]:
        shape = ly.SHAPES[self.name]
        address = shape.columns[-1]
        bits = ly.ft_bits(address)
        columns: dict[str, Any] = {}
        for name in shape.columns[:-1]:
            full = shape.match[name] if shape.match[name] != ly.FULL else (1 << ly.ft_bits(name)) - 1
            width = ly.row_dtype([name]).itemsize * 8
            columns[name] = encoded(name, [full & (1 << width) - 1])
        each = {length: prefix_mask(length, bits) for length in set(lengths)}
        columns[address] = encoded(address, [each[length] for length in lengths])
        return ly.rows(len(lengths), columns)


class Link:
    """Builds the tables of an inventory."""

    def __init__(self, inventory: Inventory, addresses: AddressMap, capacity: Capacity) -> None:
        self.inventory = inventory
        self.addresses = addresses
        self.capacity = capacity
        self.zones = addresses.numbers.zones
        self.local = [bound for bound in addresses.bounds if bound.port >= 0]
        self.ports = tuple(FwdPort(number) for number in sorted(set(inventory.ports.values())))
        uplinks = {network.uplink.port for network in inventory.networks if network.uplink is not None}
        self.uplink_ports = {inventory.ports[name] for name in uplinks}
        self.workload_ports = sorted({bound.port for bound in self.local} - self.uplink_ports)
        if wrong := list(overlay.problems(inventory)):
            raise Refused(wrong)
        self.tunnels = overlay.tunnels(inventory)
        self.reached = overlay.reached(addresses.bounds, self.tunnels)
        # What is bound, by zone and version: address, prefix length, whose it is.
        self._bound_in: defaultdict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
        for bound in addresses.bounds:
            for version, address in bound.addresses:
                self._bound_in[bound.zone, version].append((address, BITS[version], id(bound)))
            for version, address, length in bound.prefixes:
                self._bound_in[bound.zone, version].append((address, length, id(bound)))
        for found in self._bound_in.values():
            found.sort()

    def tables(self) -> dict[str, Table]:
        """All of them, by short name."""
        made = [
            *self._binding(),
            *self._control(),
            *self._arp(),
            *self._nd(),
            *self._forwarding(),
            *self._tunnels(),
            *self._fixed(),
        ]
        return {one.name.removeprefix(ly.PREFIX): one for one in made}

    def _uplinks(self) -> list[tuple[Network, int, int, int]]:
        """Network, zone, port, MAC of the next hop."""
        return [
            (
                network,
                self.zones[network.name],
                self.inventory.ports[network.uplink.port],
                parse_mac(network.uplink.next_hop_mac),
            )
            for network in self.inventory.networks
            if network.uplink is not None
        ]

    @staticmethod
    def _sender(bound: Bound) -> tuple[int, int, int]:
        return bound.port, bound.network.vlan, bound.mac

    def _elsewhere(self, zone: int, within: Prefix, but: Bound | None = None) -> list[Prefix]:
        """Addresses and narrower prefixes in a prefix that are bound to somebody else: it may not speak as them."""
        version, base, length = within
        found = self._bound_in[zone, version]
        first = bisect_left(found, (base,))
        last = bisect_left(found, (base + (1 << BITS[version] - length),))
        return [
            (version, address, most)
            for address, most, at in found[first:last]
            if most > length and at != id(but)
        ]

    # -- who may send --------------------------------------------------------------------------------------------------

    def _binding(self) -> list[Table]:
        exact = {4: _Rows("bind4"), 6: _Rows("bind6")}
        prefix = {4: _Rows("prefix4"), 6: _Rows("prefix6")}
        ct = ly.to("ct")
        for bound in self.local:
            sender, whose = self._sender(bound), f"workload {bound.workload.name}"
            for version, address in bound.addresses:
                if bound.prefixes:  # a router's own address: it is one of those that may speak as routers
                    prefix[version].add(
                        (_L3[version], *sender, address), (bound.zone,), ct, BITS[version], whose
                    )
                else:
                    exact[version].add((*sender, address), (bound.zone,), whose=whose)
            for version in BITS:
                for found, fwd in (
                    (_LINK_LOCAL[version], ly.LINK_CONTROL),
                    (_UNSPECIFIED[version], ly.LINK_CONTROL),
                ):
                    prefix[version].add(
                        (_L3[version], *sender, found[1]), (bound.zone,), fwd, found[2], whose
                    )
            for version, address, length in bound.prefixes:
                prefix[version].add((_L3[version], *sender, address), (bound.zone,), ct, length, whose)
                for _, other, most in self._elsewhere(bound.zone, (version, address, length), bound):
                    prefix[version].add(
                        (_L3[version], *sender, other), (bound.zone,), ly.UNAUTHENTICATED, most, whose
                    )
        for network, zone, port, mac in self._uplinks():
            whose, fabric = f"network {network.name}", [parse_prefix(text) for text in network.prefixes]
            for version in BITS:
                rows: list[tuple[Prefix, Fwd]] = [
                    (_ANY[version], ct),
                    (_LINK_LOCAL[version], ly.LINK_CONTROL),
                ]
                mine = [one for one in fabric if one[0] == version]
                outside = [
                    one
                    for one in self._elsewhere(zone, _ANY[version])
                    if not any(
                        one[2] >= most and cut(version, one[1], most) == base for _, base, most in mine
                    )
                ]
                rows += [(one, ly.UNAUTHENTICATED) for one in (*mine, *outside)]
                for (_, address, length), way in rows:
                    prefix[version].add(
                        (_L3[version], port, network.vlan, mac, address), (zone,), way, length, whose
                    )
        tunnel = {4: ly.to("vtep"), 6: ly.to("vtep6")}
        if (made := self.tunnels) is not None:
            for end in made.peers.values():
                key = (_L3[made.version], made.port, 0, end.mac, end.address)
                whole = BITS[made.version]
                if (key, whole) in prefix[made.version].found:
                    continue  # it claims the address of a workload: only that peer is not heard
                prefix[made.version].add(
                    key, (overlay.UNDERLAY_ZONE,), tunnel[made.version], whole, "overlay"
                )
        fwds = (ct, ly.LINK_CONTROL, ly.UNAUTHENTICATED)
        return [one.table(self.capacity, ()) for one in exact.values()] + [
            one.table(self.capacity, (*fwds, tunnel[version])) for version, one in prefix.items()
        ]

    # -- housekeeping --------------------------------------------------------------------------------------------------

    def _control(self) -> list[Table]:
        four, six, dhcp = _Rows("control4"), _Rows("control6"), _Rows("dhcp4")
        for bound in self.local:
            sender, whose = self._sender(bound), f"workload {bound.workload.name}"
            hosts: list[Prefix] = [(v, address, BITS[v]) for v, address in bound.addresses]
            for version, address, length in (*hosts, *bound.prefixes, _UNSPECIFIED[4]):
                if version == 4:
                    four.add((_L3[4], *sender, address), (bound.zone, 0), None, length, whose)
            four.add((_L3[4], *sender, _LINK_LOCAL[4][1]), (bound.zone, 1), None, 16, whose)
            for version, address, length in (*hosts, *bound.prefixes):
                if version == 6:
                    six.add((_L3[6], *sender, address), (bound.zone, 0), None, length, whose)
            for _, address, length in (_LINK_LOCAL[6], _UNSPECIFIED[6]):
                six.add((_L3[6], *sender, address), (bound.zone, 1), None, length, whose)
        for network, zone, port, mac in self._uplinks():
            sender, whose = (port, network.vlan, mac), f"network {network.name}"
            four.add((_L3[4], *sender, 0), (zone, 0), None, 0, whose)
            six.add((_L3[6], *sender, 0), (zone, 0), None, 0, whose)
            six.add((_L3[6], *sender, _LINK_LOCAL[6][1]), (zone, 1), None, 10, whose)
        if (made := self.tunnels) is not None and made.version == 6:
            for mac, zone in self._next_hops(made).items():
                key = (_L3[6], made.port, 0, mac, 0)
                if (key, 0) not in six.found:
                    six.add(key, (zone, 0), None, 0, "overlay")
        for network in self.inventory.networks:
            if network.dhcp.is_on:
                dhcp.add((self.zones[network.name], L4Meta.UDP, 68, 67))
        return [one.table(self.capacity, ()) for one in (four, six, dhcp)]

    def _arp(self) -> list[Table]:
        arp, sender, router = _Rows("arp"), _Rows("arp_sender"), _Rows("arp_router")
        own, answer = _Rows("arp_own"), _Rows("arp_answer")
        for bound in self.local:
            whose = f"workload {bound.workload.name}"
            arp.add(self._sender(bound), (bound.zone,), whose=whose)
            low, high = bound.mac & 0xFFFFFFFF, bound.mac >> 32
            for version, address in (*bound.addresses, (4, 0)):
                if version == 4:
                    sender.add((bound.port, bound.zone, address, low, high))
                    if address:
                        own.add((bound.port, bound.zone, address))
            if bound.prefixes:
                router.add((bound.port, bound.zone, low, high))
        for network, zone, port, mac in self._uplinks():
            arp.add((port, network.vlan, mac), (zone,), whose=f"network {network.name}")
            router.add((port, zone, mac & 0xFFFFFFFF, mac >> 32))
        for zone, version, address, mac in self._answers():
            if version == 4:
                answer.add((zone, address, 1), (mac,))
        if self.tunnels is not None:
            for mac, zone in self._next_hops(self.tunnels).items():
                arp.add((self.tunnels.port, 0, mac), (zone,), whose="overlay")
                router.add((self.tunnels.port, zone, mac & 0xFFFFFFFF, mac >> 32))
                if self.tunnels.version == 4:
                    answer.add((zone, self.tunnels.own.address, 1), (self.tunnels.own.mac,), whose="overlay")
        return [one.table(self.capacity, ()) for one in (arp, sender, router, own, answer)]

    def _next_hops(self, made: overlay.Tunnels) -> dict[int, int]:
        """MACs that may ask for the VTEP, and where: one that is a network's uplink, too, asks in that network."""
        zones = {
            mac: zone
            for network, zone, port, mac in reversed(self._uplinks())
            if port == made.port and not network.vlan
        }
        return {end.mac: zones.get(end.mac, overlay.UNDERLAY_ZONE) for end in made.peers.values()}

    def _answers(self) -> list[tuple[int, int, int, int]]:
        """Zone, version, address, MAC of all that the appliance answers for."""
        taken: dict[tuple[int, int, int], int] = {}
        for bound in self.addresses.bounds:
            for version, address in bound.addresses:
                taken.setdefault((bound.zone, version, address), bound.mac)
        found = [(*key, mac) for key, mac in taken.items()]
        for network in self.inventory.networks:
            for text in network.gateways:
                version, address, _ = parse_prefix(text)
                row = (self.zones[network.name], version, address, parse_mac(network.gateway_mac))
                if row[:3] not in taken:
                    found.append(row)
        return found

    def _nd(self) -> list[Table]:
        own, answer = _Rows("nd_own"), _Rows("nd_answer")
        for bound in self.local:
            for version, address in bound.addresses:
                if version == 6:
                    own.add((bound.port, bound.zone, *_words(address)))
        for zone, version, address, mac in self._answers():
            if version == 6:
                answer.add((zone, *_words(address)), (mac,))
        if (made := self.tunnels) is not None and made.version == 6:
            for zone in self._next_hops(made).values():
                answer.add((zone, *_words(made.own.address)), (made.own.mac,), whose="overlay")
        return [own.table(self.capacity, ()), answer.table(self.capacity, ())]

    def _fixed(self) -> list[Table]:
        """What is the same for all inventories, but for the ports."""
        new, rogue4, rogue_udp6, rogue6 = (_Rows(n) for n in ("new", "rogue4", "rogue_udp6", "rogue6"))
        for port in self.workload_ports:
            for server, client in ((67, 68), (547, 546)):
                new.add((port, L4Meta.UDP, server, client))
            rogue4.add((port, L4Meta.UDP, 67, 68))
            rogue_udp6.add((port, L4Meta.UDP, 547, 546))
            for kind in (134, 137):
                rogue6.add((port, L4Meta.ICMP, kind))
        plain: dict[str, list[tuple[int, ...]]] = {
            "rest4": [(17, 67), (17, 68), *((17, port) for port in _HOUSEKEEPING), (2, 0)],
            "udp6": [(L4Meta.UDP, port) for port in (546, 547, *_HOUSEKEEPING)],
            "rest6": [(L4Meta.ICMP, kind) for kind in (*_ND_TYPES, *_MLD_TYPES)],
            "local4": [(1,)],
            "local6": [(1,)],
            "nd": [(L4Meta.ICMP, 135)],
            "unicast6": [(L4Meta.ICMP, kind) for kind in _ND_TYPES],
            "other": [(ly.MULTICAST_BIT,)],
            "group": [(0x0180C2000000,)],
            "ttl4": [(_L3[4], 0), (_L3[4], 1)],
            "ttl6": [(_L3[6], 0), (_L3[6], 1)],
        }
        made = [new, rogue4, rogue_udp6, rogue6]
        for name, keys in plain.items():
            rows = _Rows(name)
            for key in keys:
                rows.add(key)
            made.append(rows)
        return [*(one.table(self.capacity, ()) for one in made), self._root()]

    def _root(self) -> Table:
        rows = _Rows("root")
        ways: dict[tuple[int, int], str] = {
            (0x0800, 0): "bind4", (0x86DD, 0): "unicast6", (0x0800, 1): "rogue4", (0x86DD, 1): "rogue6",
            (0x0806, 0): "arp", (0x0806, 1): "arp",
        }  # fmt: skip
        for (kind, multicast), where in ways.items():
            for l2 in (L2Meta.NO_VLAN, L2Meta.SINGLE_VLAN):
                rows.add((l2, kind, multicast * ly.MULTICAST_BIT), fwd=ly.to(where))
        return rows.table(self.capacity, tuple(ly.to(name) for name in dict.fromkeys(ways.values())))

    # -- where packets leave -------------------------------------------------------------------------------------------

    def _forwarding(self) -> list[Table]:
        made = {
            name: _Rows(name)
            for kind in ("forward", "behind", "route", "fabric", "away")
            for name in ((kind, "forward6") if kind == "forward" else (f"{kind}4", f"{kind}6"))
        }
        made["gateway"] = _Rows("gateway")
        routers = {
            network.name: parse_mac(network.gateway_mac)
            for network in self.inventory.networks
            if network.gateways
        }
        fabric = {
            network.name: [parse_prefix(text) for text in network.prefixes]
            for network in self.inventory.networks
        }
        self._to_workloads(made, routers, fabric)
        self._to_gateways(made, routers, fabric)
        self._to_uplinks(made, routers, fabric)
        ways: tuple[Fwd, ...] = (ly.to("horizon"), *self.ports)
        named: dict[str, tuple[Fwd, ...]] = {
            "forward": ways, "behind": (ly.NO_ROUTE, ly.NO_MULTICAST, *ways), "route": ways,
            "fabric": (ly.NO_MULTICAST, ly.to("lost4"), ly.to("lost6")), "away": ways, "gateway": (),
        }  # fmt: skip
        if any(network.dhcp.is_on for network in self.inventory.networks):
            named["forward"] = (*ways, ly.SOFTWARE)
        return [rows.table(self.capacity, named[name.rstrip("46")]) for name, rows in made.items()] + [
            *self._refusing()
        ]

    def _to_workloads(
        self, made: Mapping[str, _Rows], routers: Mapping[str, int], fabric: Mapping[str, Sequence[Prefix]]
    ) -> None:
        for bound in self.reached.first:
            port: Fwd = FwdPort(bound.port) if bound.port >= 0 else ly.to("horizon")
            whose = f"workload {bound.workload.name}"
            router = routers.get(bound.network.name)
            for version, address in bound.addresses:
                name = "forward" if version == 4 else "forward6"
                made[name].add((bound.zone, bound.mac, address), (), port, whose=whose)
            for version, address, length in bound.prefixes:
                key = (_L3[version], bound.zone, bound.mac, address)
                made[f"behind{version}"].add(key, (), port, length, whose)
            hosts: list[Prefix] = [(v, address, BITS[v]) for v, address in bound.addresses]
            if router is None:
                continue
            for one in (*hosts, *bound.prefixes):
                version, address, length = one
                near = length == BITS[version] or _is_in(one, fabric[bound.network.name])
                name = f"route{version}" if near else f"away{version}"
                made[name].add((_L3[version], bound.zone, address), (router, bound.mac), port, length, whose)

    def _to_gateways(
        self, made: Mapping[str, _Rows], routers: Mapping[str, int], fabric: Mapping[str, Sequence[Prefix]]
    ) -> None:
        for network in self.inventory.networks:
            zone, router = self.zones[network.name], routers.get(network.name)
            if router is None:
                continue
            made["gateway"].add((zone, router))
            if network.dhcp.is_on:  # renewals, and what a server answers to the relay
                for version, address, _ in map(parse_prefix, network.gateways):
                    if version == 4:
                        made["forward"].add((zone, router, address), (), ly.SOFTWARE)
            for version, address, length in fabric[network.name]:
                lost = ly.to(f"lost{version}")
                made[f"fabric{version}"].add((_L3[version], zone, address), (), lost, length)

    def _to_uplinks(
        self, made: Mapping[str, _Rows], routers: Mapping[str, int], fabric: Mapping[str, Sequence[Prefix]]
    ) -> None:
        for network, zone, number, mac in self._uplinks():
            whose, router = f"network {network.name}", routers.get(network.name)
            for version in BITS:
                behind, inside, away = (made[f"{kind}{version}"] for kind in ("behind", "fabric", "away"))
                behind.add((_L3[version], zone, mac, 0), (), FwdPort(number), 0, whose)
                for _, address, length in (one for one in fabric[network.name] if one[0] == version):
                    behind.add((_L3[version], zone, mac, address), (), ly.NO_ROUTE, length, whose)
                beyond = (_L3[version], zone, 0)
                if router is not None and (beyond, 0) not in away.found:
                    away.add(beyond, (router, mac), FwdPort(number), 0, whose)
                # By a unicast MAC, but to nobody in particular, or to nobody beyond this link.
                for _, address, length in _STAYS[version]:
                    key = (_L3[version], zone, address)
                    behind.add((_L3[version], zone, mac, address), (), ly.NO_MULTICAST, length, whose)
                    if router is not None and (key, length) not in inside.found:
                        inside.add(key, (), ly.NO_MULTICAST, length)
            # Workloads do not reach what carries their tunnels.
            for version, address, length in self.tunnels.underlay if self.tunnels is not None else ():
                key, lost = (_L3[version], zone, address), ly.to(f"lost{version}")
                behind, row = made[f"behind{version}"], (_L3[version], zone, mac, address)
                # What is there already reaches nobody either, or one of the workloads.
                if (row, length) not in behind.found:
                    behind.add(row, (), ly.NO_ROUTE, length, "overlay")
                if router is not None and (key, length) not in made[f"fabric{version}"].found:
                    made[f"fabric{version}"].add(key, (), lost, length)

    def _refusing(self) -> list[Table]:
        """Which gateway speaks to whom: that of the sender's subnet, or the network's first one."""
        made = []
        for version in BITS:
            for name in (f"lost{version}", f"expired{version}"):
                rows = _Rows(name)
                for network in self.inventory.networks:
                    gateways = [one[1] for one in map(parse_prefix, network.gateways) if one[0] == version]
                    subnets = [one for one in map(parse_prefix, network.prefixes) if one[0] == version]
                    for _, base, length in [(version, 0, 0), *subnets] if gateways else ():
                        near = (one for one in gateways if cut(version, one, length) == base)
                        router = next(near, gateways[0])
                        key = (_L3[version], self.zones[network.name], base)
                        rows.add(key, (router,) if version == 4 else _words(router), None, length)
                made.append(rows.table(self.capacity, ()))
        return made

    # -- tunnels -------------------------------------------------------------------------------------------------------

    def _tunnels(self) -> list[Table]:
        horizon, arrived, tagged = _Rows("horizon"), _Rows("arrived"), _Rows("tagged")
        over = {4: _Rows("tunnel"), 6: _Rows("over6")}
        vtep = {4: _Rows("vtep"), 6: _Rows("vtep6")}
        for kind in (L2Meta.MULTI_VLAN, L2Meta.SINGLE_VLAN, L2Meta.CUSTOM_VLAN):
            tagged.add((kind,))
        owner = {4: _Rows("tunnel4"), 6: _Rows("tunnel6")}
        if (made := self.tunnels) is not None:
            horizon.add((made.port,))
            for bound in self.reached.first:
                way = bound.zone, bound.mac
                if (end := made.owner(bound)) is not None and (way, -1) not in over[made.version].found:
                    header, whose = made.header(end, bound.network.vni), f"workload {bound.workload.name}"
                    over[made.version].add(way, (header,), FwdPort(made.port), whose=whose)
            for bound in self.reached.here_too:
                arrived.add(
                    (bound.zone, bound.mac), (), FwdPort(bound.port), whose=f"workload {bound.workload.name}"
                )
            for bound in self.addresses.bounds:
                if (end := made.owner(bound)) is not None:
                    whose = f"workload {bound.workload.name}"
                    for version, address, length in overlay.speaks_for(bound):
                        key = (_L3[version], bound.zone, end.number, address)
                        owner[version].add(key, (int(length < BITS[version]),), None, length, whose)
            for network in self.inventory.networks:
                for end in made.peers.values() if network.vni else ():
                    vtep[made.version].add(
                        (end.address, made.own.address, network.vni, L2Meta.NO_VLAN),
                        (self.zones[network.name], end.number),
                    )
        return [
            *(one.table(self.capacity, self.ports) for one in (*over.values(), arrived)),
            *(one.table(self.capacity, ()) for one in (horizon, tagged, *vtep.values(), *owner.values())),
        ]


def _is_in(prefix: Prefix, others: Sequence[Prefix]) -> bool:
    """Whether a prefix is part of one of the others."""
    version, address, length = prefix
    return any(
        v == version and length >= most and cut(version, address, most) == base for v, base, most in others
    )


def _words(address: int) -> tuple[int, ...]:
    return tuple(address >> shift & 0xFFFFFFFF for shift in (96, 64, 32, 0))


def room(floor: Mapping[str, int]) -> Capacity:
    """Pipes of a power of two, at least twice their rows, at least as large as ``floor`` says while that suffices."""

    def capacity(name: str, number: int) -> int:
        known = floor.get(name, FLOOR)
        return known if number <= known else 1 << (2 * number - 1).bit_length()

    return capacity
