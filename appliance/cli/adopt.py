# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield adopt`: put a namespace or an interface of one's own behind the appliance, and take it out again.

A namespace gets a tap with a MAC, an address of the network and a route to it; an interface of this machine becomes a
port, with what is behind it as the workload. Either way it is a port, a workload with labels, and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
    ip_network,
)
from pathlib import Path
from typing import Any, Final

import click
import grpc

from appliance.cli.common import Context, out, pass_context, print_json
from appliance.errors import InitializationFailed
from appliance.policy.model import KINDS
from appliance.rpc.client import Client, calls
from appliance.rpc.errors import CallError
from appliance.run.lab import NETNS, get_sysctl, ip, set_sysctl
from appliance.v1 import port_pb2, port_service_pb2, workload_pb2, workload_service_pb2

INTERFACES: Final = Path("/sys/class/net")
REASON: Final = "ringfield adopt"
MANY: Final = 4096
"""Addresses of a prefix that are looked at for a free one."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is plugged in."""

    workload: str
    network: str
    port: str
    mac: str
    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    gateways: tuple[IPv4Address | IPv6Address, ...]


def port_of(name: str) -> str:
    """The port of an adopted namespace or interface: the same name each time, of 15 bytes (Linux takes no more)."""
    plain = re.sub(r"[^A-Za-z0-9]", "", name)[:4]
    return f"ad-{plain}{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def mac_of(name: str) -> str:
    """A locally administered MAC, the same each time."""
    digest = hashlib.sha256(name.encode()).digest()
    return "02:ad:" + ":".join(f"{byte:02x}" for byte in digest[:4])


def labels_from(text: str) -> dict[str, str]:
    """``k=v,k=v``."""
    found = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise click.BadParameter(f"{part!r} is not KEY=VALUE", param_hint="--labels")
        found[key.strip()] = value.strip()
    return found


def free_addresses(
    network: workload_pb2.Network, taken: Iterable[str], wanted: tuple[str, ...]
) -> tuple[IPv4Interface | IPv6Interface, ...]:
    """The wanted addresses, else the first free one of the network's first IPv4 and of its first IPv6 prefix."""
    prefixes = [ip_network(prefix) for prefix in network.prefixes]
    if wanted:
        found = []
        for text in wanted:
            try:
                address = ip_address(text.partition("/")[0])
            except ValueError as error:
                raise click.BadParameter(str(error), param_hint="--address") from None
            inside = next((one for one in prefixes if address in one), None)
            if inside is None:
                raise click.ClickException(
                    f"{address} is in none of the prefixes of network {network.name}: {', '.join(network.prefixes)}"
                )
            found.append(ip_interface(f"{address}/{inside.prefixlen}"))
        return tuple(found)
    used = {str(ip_address(text)) for text in (*taken, *network.gateways)}
    found = []
    for version in (4, 6):
        inside = next((one for one in prefixes if one.version == version), None)
        if inside is None:
            continue
        for number, host in enumerate(inside.hosts()):
            if str(host) not in used and int(host) & 0xFF:  # ::0 is every router's
                found.append(ip_interface(f"{host}/{inside.prefixlen}"))
                break
            if number > MANY:
                raise click.ClickException(f"no free address in {inside}: give --address")
    if not found:
        raise click.ClickException(
            f"network {network.name} has no prefix to take an address from: give --address"
        )
    return tuple(found)


class Adoption:
    """What adopt and its undo do, step by step; what was done is undone when a later step fails."""

    def __init__(self, client: Client, context: Context) -> None:
        self.client, self.context = client, context

    def network(self, name: str) -> workload_pb2.Network:
        """A network by name; without one the first."""
        networks = self.client.workloads.ListNetworks(
            workload_service_pb2.ListNetworksRequest(), timeout=self.context.timeout
        ).networks
        for one in networks:
            if name in ("", one.name):
                found: workload_pb2.Network = one
                return found
        known = ", ".join(one.name for one in networks) or "none"
        raise click.ClickException(f"there is no network {name!r} (networks: {known})")

    def _interfaces(self) -> Iterator[tuple[str, workload_pb2.WorkloadInterface]]:
        listed = self.client.workloads.ListWorkloads(
            workload_service_pb2.ListWorkloadsRequest(), timeout=self.context.timeout
        )
        for one in listed.workloads:
            for interface in one.spec.interfaces:
                yield one.name, interface

    def taken(self) -> list[str]:
        """Addresses of all workloads."""
        return [text for _, interface in self._interfaces() for text in interface.addresses]

    def plugged(self, port: str) -> list[str]:
        """Workloads behind a port."""
        return [name for name, interface in self._interfaces() if interface.port == port]

    @contextmanager
    def _call(self) -> Iterator[None]:
        with calls(self.context.target):
            yield

    def add_port(self, port: port_pb2.Port, stack: ExitStack) -> None:
        """A port that goes again if a later step fails."""
        with self._call():
            self.client.ports.AddPort(
                port_service_pb2.AddPortRequest(port=port), timeout=self.context.timeout
            )
        stack.callback(self.remove_port, port.name)

    def remove_port(self, name: str) -> bool:
        """Whether there was one."""
        try:
            with self._call():
                self.client.ports.RemovePort(
                    port_service_pb2.RemovePortRequest(name=name), timeout=self.context.timeout
                )
        except CallError as error:
            if error.status is not grpc.StatusCode.NOT_FOUND:
                raise
            return False
        return True

    def add_workload(self, place: Place, kind: str, labels: dict[str, str]) -> None:
        """Returns when its port admits it."""
        interface = workload_pb2.WorkloadInterface(
            network=place.network,
            port=place.port,
            mac=place.mac,
            addresses=[str(address.ip) for address in place.addresses],
        )
        spec = workload_pb2.WorkloadSpec(labels=labels, kind=kind, interfaces=[interface])
        workload = workload_pb2.Workload(name=place.workload, spec=spec)
        with self._call():
            self.client.workloads.CreateWorkload(
                workload_service_pb2.CreateWorkloadRequest(workload=workload, reason=REASON),
                timeout=self.context.timeout,
            )

    def remove_workload(self, name: str) -> bool:
        """Whether there was one."""
        try:
            with self._call():
                self.client.workloads.DeleteWorkload(
                    workload_service_pb2.DeleteWorkloadRequest(name=name, reason=f"{REASON} --undo"),
                    timeout=self.context.timeout,
                )
        except CallError as error:
            if error.status is not grpc.StatusCode.NOT_FOUND:
                raise
            return False
        return True


@contextmanager
def quiet_ipv6(namespace: str) -> Iterator[None]:
    """New interfaces of a namespace say nothing yet: what they say before their port admits them would be spoofing."""
    key = "net.ipv6.conf.default.disable_ipv6"
    before = get_sysctl(namespace, key)
    set_sysctl(namespace, [(key, "1")])
    try:
        yield
    finally:
        set_sysctl(namespace, [(key, before)])


def dress(namespace: str, place: Place) -> None:
    """Addresses and routes of the tap in a namespace. What the namespace has already stays."""
    set_sysctl(namespace, [(f"net.ipv6.conf.{place.port}.disable_ipv6", "0")])
    for address in place.addresses:
        options = ["nodad"] if address.version == 6 else []
        ip("-n", namespace, "address", "replace", str(address), "dev", place.port, *options)
    ip("-n", namespace, "link", "set", place.port, "up")
    for gateway in place.gateways:
        family = f"-{gateway.version}"
        if not any(gateway in address.network for address in place.addresses):
            continue
        if not ip("-n", namespace, family, "route", "show", "default").strip():
            ip("-n", namespace, family, "route", "replace", "default", "via", str(gateway), "dev", place.port)


def is_namespace(name: str) -> bool:
    """A namespace, or else an interface; neither is an error."""
    if (NETNS / name).exists():
        return True
    if (INTERFACES / name).exists():
        return False
    raise click.ClickException(
        f"there is neither a namespace nor an interface {name!r}; make one: ip netns add {name}"
    )


def take_out(context: Context, adoption: Adoption, name: str) -> None:
    """Undo an adoption, under whatever name, and say so."""
    port = port_of(name)
    gone = [f"workload {one}" for one in adoption.plugged(port) if adoption.remove_workload(one)]
    if adoption.remove_port(port):
        gone.append(f"port {port}")
    if not gone:
        raise click.ClickException(f"{name} was not adopted here")
    if context.json:
        print_json({"removed": gone})
    else:
        out.print(f"{name} is out: {' and '.join(gone)} removed")


@click.command()
@click.argument("name", metavar="NETNS|INTERFACE")
@click.option("--labels", default="", metavar="K=V,...", help="Labels of the workload.")
@click.option("--kind", type=click.Choice(KINDS), default="generic", show_default=True)
@click.option("--workload", help="Its name.  [default: the namespace's or interface's]")
@click.option("--network", default="", help="Network to plug it into.  [default: the first]")
@click.option("--address", "addresses", multiple=True, help="Its addresses.  [default: the next free ones]")
@click.option("--mac", default="", help="MAC; of an interface: that of the host behind it.")
@click.option("--undo", is_flag=True, help="Take it out again.")
@pass_context
def adopt(
    context: Context,
    name: str,
    labels: str,
    kind: str,
    workload: str | None,
    network: str,
    addresses: tuple[str, ...],
    mac: str,
    undo: bool,
) -> None:
    """Put a namespace, or what is behind an interface, behind the appliance as a workload with labels.

    Nothing of what the namespace has is changed, but for a default route when it has none. --undo takes it out again.
    """
    given = labels_from(labels)
    port = port_of(name)
    with context.client() as client:
        adoption = Adoption(client, context)
        if undo:
            take_out(context, adoption, name)
            return
        if os.geteuid() != 0:
            raise click.ClickException("taps and namespaces need root: sudo ringfield adopt ...")
        inside = is_namespace(name)
        if not inside and (not mac or not addresses):
            raise click.ClickException(
                f"{name} is an interface: say who is behind it with --mac and --address"
            )
        chosen = adoption.network(network)
        place = Place(
            workload=workload or name,
            network=chosen.name,
            port=port,
            mac=mac or mac_of(name),
            addresses=free_addresses(chosen, adoption.taken(), addresses),
            gateways=tuple(ip_address(text) for text in chosen.gateways),
        )
        with ExitStack() as undoing:
            made = port_pb2.Port(name=port, backend="net_tap", netns=name, mac=place.mac)
            if not inside:
                made = port_pb2.Port(name=port, backend="net_af_packet", args=f"iface={name}")
            try:
                with quiet_ipv6(name) if inside else nullcontext():
                    adoption.add_port(made, undoing)
                    adoption.add_workload(place, kind, given)
                undoing.callback(adoption.remove_workload, place.workload)
                if inside:
                    dress(name, place)
            except InitializationFailed as error:
                raise click.ClickException(error.reason) from None
            undoing.pop_all()
    tell(context, name, place)


def tell(context: Context, name: str, place: Place) -> None:
    """What it is now, and what to try."""
    told: dict[str, Any] = {
        "workload": place.workload,
        "network": place.network,
        "port": place.port,
        "mac": place.mac,
        "addresses": [str(address) for address in place.addresses],
    }
    if context.json:
        print_json(told)
        return
    where = " and ".join(str(address.ip) for address in place.addresses)
    out.print(
        f"[bold]{place.workload}[/] is behind the appliance: port {place.port}, {where} in {place.network}"
    )
    out.print(f"What it may do: [bold]ringfield can {place.workload} WORKLOAD tcp/443[/]")
    out.print(f"Out again: [bold]ringfield adopt {name} --undo[/]")
