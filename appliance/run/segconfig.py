# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The ``segmentation:`` section of the configuration: networks, workloads, policy, connections (docs/config.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import Final

from appliance.flow.ct import CT_CAPACITY_MOST, CT_TIMEOUT_MOST, CtConfig, CtFull, CtTimeouts
from appliance.flow.values import parse_mac
from appliance.policy.compiler import ROOM
from appliance.policy.model import (
    KINDS,
    ORIGINS,
    Default,
    Dhcp,
    Interface,
    Network,
    Overlay,
    State,
    Uplink,
    Vtep,
    Workload,
)
from appliance.policy.overlay import VNI_MAX, check_vtep, own_vtep
from appliance.run.document import Node, read_document

MTU_DEFAULT: Final = 1500
_TIMEOUTS: Final = tuple(CtTimeouts.__slots__)
_STATES: Final = {state.name.lower(): state for state in State}


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationConfig:
    """The whole section."""

    networks: tuple[Network, ...]
    overlay: Overlay | None = None
    state_dir: Path
    """Policy revisions, audit log, what is contained."""
    appliance: str = "local"
    default: Default = Default.BLOCK
    policy: Path | None = None
    policy_text: str = ""
    workloads: tuple[Workload, ...] = ()
    workloads_digest: str = ""
    ct: CtConfig = field(default_factory=CtConfig)
    reject_contained: bool = False
    protect: tuple[tuple[str, str, str], ...] = ()
    """Connections (from, to, service) that no publish may cut unless forced."""
    max_rows: int = ROOM
    """Rows of all tables that a policy may take."""


def _mac(node: Node) -> str:
    node.check(lambda: parse_mac(node.as_text()))
    return node.raw.lower().replace("-", ":")


def _address(node: Node) -> str:
    return str(node.check(lambda: ip_address(node.as_text())))


def _prefix(node: Node) -> str:
    return str(node.check(lambda: ip_network(node.as_text())))


def _dhcp(node: Node | None, gateways: tuple[str, ...]) -> Dhcp:
    """``off``, ``answer``, ``relay SERVER``, or a mapping with one of them under ``mode`` and what is told."""
    if node is None:
        return Dhcp()
    mode = node.need("mode") if node.is_mapping else node
    words = mode.as_text().split()
    made = Dhcp()
    if words == ["answer"]:
        made = Dhcp(answer=True)
    elif len(words) == 2 and words[0] == "relay":
        server = mode.check(lambda: IPv4Address(words[1]))
        made = Dhcp(server=str(server))
    elif words != ["off"]:
        mode.fail(f"off, answer or relay SERVER is expected, not {mode.raw!r}")
    if node.is_mapping:
        made = replace(
            made,
            lease_seconds=node.number("lease_seconds", made.lease_seconds, 60, 30 * 86400),
            dns=node.list_of("dns", _address4),
            ntp=node.list_of("ntp", _address4),
            domain=node.text("domain", ""),
        )
        node.done()
    if made.is_on and not any(ip_address(one).version == 4 for one in gateways):
        mode.fail("the network needs an IPv4 address under 'gateways': DHCP is answered and relayed from it")
    return made


def _address4(node: Node) -> str:
    return str(node.check(lambda: IPv4Address(node.as_text())))


def _networks(node: Node, ports: Mapping[str, int]) -> tuple[Network, ...]:
    found = []
    for name, item in node.children():
        uplink = None
        if (given := item.get("uplink")) is not None:
            uplink = Uplink(port=_port(given, ports), next_hop_mac=_mac(given.need("mac")))
            given.done()
        mac = item.get("gateway_mac")
        made = Network(
            name=name,
            vlan=item.number("vlan", 0, 0, 4094),
            vni=item.number("vni", 0, 0, VNI_MAX),
            prefixes=item.list_of("prefixes", _prefix),
            gateways=item.list_of("gateways", _address),
            uplink=uplink,
            dhcp=_dhcp(item.get("dhcp"), item.list_of("gateways", _address)),
        )
        if mac is not None:
            made = replace(made, gateway_mac=_mac(mac))
        for gateway in made.gateways:
            if not any(ip_address(gateway) in ip_network(prefix) for prefix in made.prefixes):
                item.need("gateways").fail(f"{gateway} is in none of the network's prefixes")
        item.done()
        found.append(made)
    if not found:
        node.fail("at least one network is needed")
    return tuple(found)


def _port(node: Node, ports: Mapping[str, int]) -> str:
    port = node.need("port")
    if port.as_text() not in ports:
        port.fail(f"there is no port {port.raw!r} (ports: {', '.join(ports)})")
    return port.raw


def _interface(node: Node, networks: Mapping[str, Network], ports: Mapping[str, int]) -> Interface:
    """The keys of an interface; those of a workload may stand beside them. Another appliance's ports are its own."""
    network, appliance = node.get("network"), node.text("appliance", "")
    made = Interface(
        network=network.as_choice(*networks) if network is not None else next(iter(networks)),
        port=node.text("port", "") if appliance else _port(node, ports),
        mac=_mac(node.need("mac")),
        addresses=node.list_of("addresses", _address),
        prefixes=node.list_of("prefixes", _prefix),
        appliance=appliance,
    )
    if not made.addresses and not made.prefixes:
        node.fail("'addresses' or 'prefixes' is missing: the port would admit nothing")
    return made


def read_workloads(
    node: Node, networks: tuple[Network, ...], ports: Mapping[str, int]
) -> tuple[Workload, ...]:
    """Workloads by name; without ``interfaces``, the one interface's keys stand beside the others."""
    known = {network.name: network for network in networks}

    def listed(one: Node) -> Interface:
        made = _interface(one, known, ports)
        one.done()
        return made

    found = []
    for name, item in node.children():
        labels = item.get("labels")
        if item.get("interfaces") is not None:
            interfaces = item.list_of("interfaces", listed)
        elif item.get("port") is not None or item.get("appliance") is not None:
            interfaces = (_interface(item, known, ports),)
        else:
            interfaces = ()
        found.append(
            Workload(
                name=name,
                labels={} if labels is None else {key: value.as_text() for key, value in labels.children()},
                kind=item.choice("kind", "generic", *KINDS),
                origin=item.choice("origin", "dc", *ORIGINS),
                state=_STATES[item.choice("state", "normal", *_STATES)],
                risk=item.number("risk", 0, 0, 100),
                interfaces=interfaces,
            )
        )
        item.done()
    return tuple(found)


def _seconds(node: Node, key: str, default: float, least: float, most: float) -> float:
    given = node.get(key)
    if given is None:
        return default
    value = given.scalar
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        given.fail(f"seconds from {least:g} to {most:g} are expected, not {given.raw!r}")
    return float(value)


def _connections(node: Node | None) -> CtConfig:
    plain = CtConfig()
    if node is None:
        return plain
    timeouts = CtTimeouts()
    if (given := node.get("timeouts")) is not None:
        timeouts = CtTimeouts(
            **{
                name: _seconds(given, name, getattr(timeouts, name), 0.001, CT_TIMEOUT_MOST)
                for name in _TIMEOUTS
            }
        )
        given.done()
    total, each = node.get("limits"), node.get("per_identity")

    def limit(section: Node | None, key: str) -> int:
        return 0 if section is None else section.number(key, 0, 0, 0xFFFFFFFF)

    made = CtConfig(
        capacity=node.number("capacity", plain.capacity, 1, CT_CAPACITY_MOST),
        denied_capacity=node.number("denied_capacity", plain.denied_capacity, 0, CT_CAPACITY_MOST),
        full=CtFull[node.choice("when_full", "refuse", "refuse", "evict", "untracked").upper()],
        pass_invalid=node.switch("pass_invalid", False),
        timeouts=timeouts,
        max_half_open=limit(total, "half_open"),
        max_new_per_second=limit(total, "new_per_second"),
        id_max_connections=limit(each, "connections"),
        id_max_half_open=limit(each, "half_open"),
        id_max_new_per_second=limit(each, "new_per_second"),
        adopt_window=_seconds(node, "adopt_seconds", plain.adopt_window, 0, 3600),
        record_interval=_seconds(node, "record_seconds", plain.record_interval, 0, 3600),
        max_fragments=node.number("max_fragments", plain.max_fragments, 1, 1 << 20),
    )
    for section in (total, each, node):
        if section is not None:
            section.done()
    return made


def _protect(node: Node) -> tuple[str, str, str]:
    made = node.text("from", "any"), node.text("to"), node.text("service")
    node.done()
    return made


def _seen_from(appliance: str, workload: Workload) -> Workload:
    """One file may serve all appliances: what it says is behind this one, is here."""
    interfaces = tuple(
        replace(one, appliance="") if one.appliance == appliance else one for one in workload.interfaces
    )
    return replace(workload, interfaces=interfaces)


def _overlay(node: Node | None, ports: Mapping[str, int], mtus: Mapping[str, int]) -> Overlay | None:
    if node is None:
        return None
    peers = {}
    given = node.get("peers")
    for name, item in given.children() if given is not None else ():
        mac = item.get("mac")
        peer = Vtep(address=_address(item.need("address")), next_hop_mac=_mac(mac) if mac else "")
        item.check(partial(check_vtep, peer.address, peer.next_hop_mac))
        peers[name] = peer
        item.done()
    mac, next_hop = node.get("mac"), node.get("next_hop")
    port = _port(node, ports)
    made = Overlay(
        port=port,
        mtu=mtus.get(port) or MTU_DEFAULT,
        address=_address(node.need("address")),
        mac=_mac(mac) if mac else "",
        peers=peers,
        next_hop_mac=_mac(next_hop) if next_hop else "",
        prefixes=node.list_of("prefixes", _prefix),
    )
    node.check(partial(own_vtep, made))
    node.done()
    return made


def read_segmentation(
    node: Node, ports: Mapping[str, int], mtus: Mapping[str, int], base: Path, runtime_dir: Path
) -> SegmentationConfig:
    """The section, checked; paths are relative to ``base``. ``mtus``: of ports that say one."""
    networks = _networks(node.need("networks"), ports)
    given = node.get("state_dir")
    directory = base / given.as_text() if given is not None else runtime_dir / "segmentation"
    workloads: tuple[Workload, ...] = ()
    digest = ""
    if (given := node.get("workloads")) is not None:
        workloads, digest = _workloads(given, networks, ports, base)
    policy, text = _file(node, "policy", base)
    appliance = node.text("appliance", "local")
    overlay = _overlay(node.get("overlay"), ports, mtus)
    spanning = next((one.name for one in networks if one.vni), "")
    if spanning and overlay is None:
        node.fail(
            f"network {spanning} has a vni: 'overlay' is missing, with port and address of this appliance's tunnels"
        )
    made = SegmentationConfig(
        networks=networks,
        overlay=overlay,
        state_dir=directory,
        appliance=appliance,
        default=Default(node.choice("default", "block", "block", "alert", "allow")),
        policy=policy,
        policy_text=text,
        workloads=tuple(_seen_from(appliance, one) for one in workloads),
        workloads_digest=digest,
        ct=_connections(node.get("connections")),
        reject_contained=node.switch("reject_contained", False),
        protect=node.list_of("protect", _protect),
        max_rows=node.number("max_rows", ROOM, 1, ROOM),
    )
    node.done()
    return made


def _workloads(
    node: Node, networks: tuple[Network, ...], ports: Mapping[str, int], base: Path
) -> tuple[tuple[Workload, ...], str]:
    """Inline, or in a file of their own under ``workloads:``."""
    root = node
    if not node.is_mapping:
        document = read_document(base / node.as_text())
        root = document.need("workloads")
        document.done()
    workloads = read_workloads(root, networks, ports)
    return workloads, hashlib.sha256(repr((workloads, networks)).encode()).hexdigest()


def _file(node: Node, key: str, base: Path) -> tuple[Path | None, str]:
    given = node.get(key)
    if given is None:
        return None, ""
    path = base / given.as_text()
    read: Callable[[], str] = path.read_text
    try:
        return path, read()
    except OSError as error:
        given.fail(f"cannot read {path}: {error.strerror}")
    except UnicodeDecodeError:
        given.fail(f"{path} is not UTF-8 text")
