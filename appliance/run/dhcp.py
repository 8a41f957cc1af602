# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""DHCP (IPv4) in networks that ask for it: answered from the inventory, or relayed to the network's server.

Requests come out of the link's control pipes (docs/policy.md), so they are of a MAC that is bound to their port. The
answer says what the inventory says: nobody gets an address that the port would not admit. Replies leave by the
client's port alone; nothing is broadcast.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from typing import Final

import structlog

from appliance.errors import FlowError
from appliance.flow import Dpu
from appliance.flow.results import PacketKind
from appliance.policy.model import Interface, Inventory, Network, Workload
from appliance.policy.overlay import tunnel_mtu
from appliance.rpc.packets import PacketHub, Wish
from appliance.run import dhcp_wire as wire
from appliance.run.dhcp_wire import Datagram, Message
from appliance.run.frames import Host

log = structlog.get_logger(__name__)

TAKE_SECONDS: Final = 0.2
SUBSCRIBE_SECONDS: Final = 5.0
PENDING: Final = 8
"""Questions of one client that are open at its network's server."""
PENDING_SECONDS: Final = 60.0
PER_SECOND, AT_ONCE = 20.0, 40.0
"""Messages taken of one port."""
ALONE: Final = IPv4Address("255.255.255.255")
"""Mask of an address that is in none of its network's prefixes."""
Use = Callable[[float | None], AbstractContextManager[Dpu]]


@dataclass(frozen=True, slots=True)
class Seat:
    """Where somebody is plugged in."""

    workload: Workload
    interface: Interface
    network: Network

    @property
    def addresses(self) -> list[IPv4Address]:
        """Its IPv4 addresses."""
        found = (ip_address(text) for text in self.interface.addresses)
        return [one for one in found if isinstance(one, IPv4Address)]


class Seats:
    """An inventory by who speaks."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.networks = {network.name: network for network in inventory.networks if network.dhcp.is_on}
        seats = [
            Seat(workload, interface, self.networks[interface.network])
            for workload in inventory.workloads
            for interface in workload.interfaces
            if interface.network in self.networks and not interface.appliance
        ]
        seats = [seat for seat in seats if seat.addresses]  # nothing else can be told
        self.by_sender = {(s.interface.port, s.interface.mac.lower(), s.network.vlan): s for s in seats}
        self.by_mac = {(s.network.name, s.interface.mac.lower()): s for s in seats}
        self.by_address = {(s.network.name, str(one)): s for s in seats for one in s.addresses}

    def uplink_network(self, port: str, datagram: Datagram) -> Network | None:
        """The network whose router speaks."""
        for network in self.networks.values():
            uplink = network.uplink
            if uplink is not None and (uplink.port, uplink.next_hop_mac.lower(), network.vlan) == (
                port, datagram.source.mac, datagram.vlan,
            ):  # fmt: skip
                return network
        return None


def gateway_of(seat: Seat) -> str:
    """The gateway in the subnet of somebody's address; the network's first one where none is."""
    known = [text for text in seat.network.gateways if ip_address(text).version == 4]
    mine = [subnet for subnet in map(ip_network, seat.network.prefixes) if seat.addresses[0] in subnet]
    near = (text for text in known if any(ip_address(text) in subnet for subnet in mine))
    return next(near, known[0])


def answer(message: Message, seat: Seat, mtu: int = 0) -> Message | None:
    """What the inventory says to a client's message; None: nothing. ``mtu``: to be told; 0: the link's own."""
    network = seat.network
    me = IPv4Address(gateway_of(seat))
    asked = message.address(wire.REQUESTED) or (message.client if int(message.client) else None)
    server = message.address(wire.SERVER_ID)
    mine = seat.addresses
    if message.op != wire.REQUEST_OP or server not in (None, me):
        return None
    given = asked if asked in mine else mine[0]
    kind = {wire.DISCOVER: wire.OFFER, wire.REQUEST: wire.ACK, wire.INFORM: wire.ACK}.get(message.type)
    if kind is None:
        return None
    made = Message(
        op=wire.REPLY_OP, xid=message.xid, mac=message.mac, flags=message.flags, relay=message.relay,
        client=message.client if kind == wire.ACK else wire.NOWHERE,
    )  # fmt: skip
    if message.type == wire.REQUEST and asked not in mine:
        options = {wire.TYPE: bytes([wire.NAK]), wire.SERVER_ID: me.packed}
        return replace(made, client=wire.NOWHERE, options=options)
    options = {wire.TYPE: bytes([kind]), wire.SERVER_ID: me.packed}
    if message.type != wire.INFORM:
        lease = network.dhcp.lease_seconds
        made = replace(made, given=given)
        options |= {
            wire.LEASE: wire.number(lease), wire.RENEW: wire.number(lease // 2),
            wire.REBIND: wire.number(lease * 7 // 8),
        }  # fmt: skip
    options |= told(network, given, seat.workload.name)
    return replace(made, options=options | ({wire.MTU: mtu.to_bytes(2, "big")} if mtu else {}))


def told(network: Network, given: IPv4Address, name: str) -> dict[int, bytes]:
    """What a client is told beside its address; empty options are left out."""
    subnets = [one for one in map(ip_network, network.prefixes) if isinstance(one, IPv4Network)]
    mine = [one for one in subnets if given in one]
    routers = [one for one in network.gateways if any(ip_address(one) in subnet for subnet in mine)]
    settings = network.dhcp
    return {
        wire.MASK: mine[0].netmask.packed if mine else ALONE.packed,
        wire.ROUTER: wire.addresses(routers), wire.DNS: wire.addresses(settings.dns),
        wire.NTP: wire.addresses(settings.ntp), wire.DOMAIN: settings.domain.encode(), wire.HOSTNAME: name.encode(),
    }  # fmt: skip


def delivered(reply: Message, data: bytes, seat: Seat) -> bytes:
    """A reply as the frame that its client gets."""
    told_at = wire.EVERYBODY
    if reply.type != wire.NAK and not reply.flags & wire.BROADCAST_FLAG:
        told_at = str(reply.client if int(reply.client) else reply.given)
    if told_at == str(wire.NOWHERE):
        told_at = wire.EVERYBODY
    source = Host(seat.network.gateway_mac, gateway_of(seat))
    target = Host(seat.interface.mac, told_at)
    return wire.build_datagram(
        Datagram(source, target, seat.network.vlan, wire.SERVER_PORT, wire.CLIENT_PORT, data)
    )


class Dhcp:
    """Decides about one packet after the other. One thread."""

    def __init__(
        self, inventory: Callable[[], Inventory], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._inventory, self._monotonic = inventory, monotonic
        self._seats = Seats(inventory())
        self._pending: dict[tuple[str, str], OrderedDict[int, float]] = {}
        self._taken: dict[str, tuple[float, float]] = {}

    def taken(self, port: str, frame: bytes) -> Iterator[tuple[str, bytes]]:
        """What is to be sent for a packet: port and frame."""
        datagram = wire.parse_datagram(frame) if self._may(port) else None
        message = wire.parse_message(datagram.data) if datagram is not None else None
        if datagram is None or message is None:
            return
        if self._seats.inventory is not self._inventory():
            self._seats = Seats(self._inventory())
            self._pending = {who: kept for who, kept in self._pending.items() if who in self._seats.by_mac}
        seat = self._seats.by_sender.get((port, datagram.source.mac, datagram.vlan))
        if message.op == wire.REPLY_OP:
            network = seat.network if seat is not None else self._seats.uplink_network(port, datagram)
            if network is not None:
                yield from self._from_server(network, datagram, message)
        elif seat is not None and message.mac == datagram.source.mac:
            yield from self._from_client(seat, datagram, message)

    def _from_client(self, seat: Seat, datagram: Datagram, message: Message) -> Iterator[tuple[str, bytes]]:
        network = seat.network
        if message.type == wire.DECLINE:
            log.warning("a workload says that somebody else has its address", workload=seat.workload.name)
        if network.dhcp.answer:
            reply = answer(message, seat, tunnel_mtu(self._seats.inventory.overlay, seat.network))
            if reply is not None:
                yield seat.interface.port, delivered(reply, wire.build_message(reply), seat)
                log.info(
                    "DHCP", workload=seat.workload.name, told={wire.OFFER: "offer", wire.ACK: "ack", wire.NAK: "nak"}[
                        reply.type], address=str(reply.given),
                )  # fmt: skip
            return
        if int(message.relay) or message.hops >= wire.MAX_HOPS:
            return  # no workload is a relay
        where = self._server_of(network)
        if where is None:
            log.warning(
                "the DHCP server of a network is nowhere", network=network.name, server=network.dhcp.server
            )
            return
        port, mac = where
        gateway = gateway_of(seat)
        self._expect((network.name, message.mac), message.xid)
        yield port, wire.build_datagram(Datagram(
            Host(network.gateway_mac, gateway), Host(mac, network.dhcp.server), network.vlan, wire.SERVER_PORT,
            wire.SERVER_PORT, wire.relayed(datagram.data, gateway),
        ))  # fmt: skip

    def _from_server(
        self, network: Network, datagram: Datagram, message: Message
    ) -> Iterator[tuple[str, bytes]]:
        """A reply of the network's server to somebody who asked, with an address that his port admits."""
        seat = self._seats.by_mac.get((network.name, message.mac))
        open_ones = self._pending.get((network.name, message.mac))
        asked = open_ones.get(message.xid, 0.0) if open_ones else 0.0
        if datagram.source.address != network.dhcp.server or seat is None or self._monotonic() > asked:
            return
        if int(message.given) and message.given not in seat.addresses:
            log.warning(
                "the DHCP server gives an address that is not the workload's: not passed on",
                workload=seat.workload.name, given=str(message.given), bound=[str(a) for a in seat.addresses],
            )  # fmt: skip
            return
        yield seat.interface.port, delivered(message, datagram.data, seat)

    def _server_of(self, network: Network) -> tuple[str, str] | None:
        """Port and MAC towards the network's server."""
        seat = self._seats.by_address.get((network.name, network.dhcp.server))
        if seat is not None:
            return seat.interface.port, seat.interface.mac
        here = any(ip_address(network.dhcp.server) in ip_network(one) for one in network.prefixes)
        if network.uplink is None or here:
            return None
        return network.uplink.port, network.uplink.next_hop_mac

    def _expect(self, client: tuple[str, str], xid: int) -> None:
        asked = self._pending.setdefault(client, OrderedDict())
        asked[xid] = self._monotonic() + PENDING_SECONDS
        asked.move_to_end(xid)
        while len(asked) > PENDING:
            asked.popitem(last=False)

    def _may(self, port: str) -> bool:
        """Whether a port has not said too much."""
        now = self._monotonic()
        left, at = self._taken.get(port, (AT_ONCE, now))
        left = min(AT_ONCE, left + (now - at) * PER_SECOND)
        self._taken[port] = (left - 1 if left >= 1 else left, now)
        return left >= 1


class DhcpService:
    """The thread that does it. Started only where a network asks for it."""

    def __init__(self, hub: PacketHub, use: Use, inventory: Callable[[], Inventory]) -> None:
        self._hub, self._use = hub, use
        self._dhcp = Dhcp(inventory)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dhcp", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._hub.subscribe(Wish(frozenset({PacketKind.RSS})), SUBSCRIBE_SECONDS) as packets:
                    while not self._stop.is_set():
                        for packet in packets.take(TAKE_SECONDS):
                            self._serve(packet.port, packet.frame)
            except FlowError as error:
                log.debug("DHCP waits for the fast path", reason=error.reason)
                self._stop.wait(TAKE_SECONDS)

    def _serve(self, port: str, frame: bytes) -> None:
        try:
            for out, made in self._dhcp.taken(port, frame):
                with self._use(SUBSCRIBE_SECONDS) as dpu:
                    dpu.transmit(out, made)
        except FlowError as error:
            log.warning("a DHCP message could not be sent", port=port, reason=error.reason)
        except Exception:
            log.exception("a DHCP message was not understood", port=port)

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
