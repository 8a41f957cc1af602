# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Workloads from a directory of YAML files that is watched: what a file no longer names goes, what it changes changes.

A file is taken whole or not at all; one that cannot be taken leaves what it said before in force, and raises an alarm.
Documents are bounded in depth and aliases (``run.document``).
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from appliance.errors import FlowError
from appliance.flow.types import parse_mac
from appliance.intelligence.access import Caller, Role
from appliance.intelligence.centre import Centre
from appliance.intelligence.fleet import Book
from appliance.intelligence.inventory import Criterion, stand_in
from appliance.policy.model import KINDS, ORIGINS, Interface, Network, Workload
from appliance.run.document import ConfigError, Node, parse_document

if TYPE_CHECKING:
    from appliance.intelligence.link_service import LinkService

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 0.5
MAX_BYTES: Final = 16 << 20
MAX_FILES: Final = 1000


def read_file(text: str, file: str) -> tuple[list[Network], list[Workload]]:
    """Networks and workloads of a file; ``ConfigError`` names file, line and field."""
    root = parse_document(text, file)
    networks = [_network(name, item) for name, item in _children(root, "networks")]
    workloads = [_workload(name, item) for name, item in _children(root, "workloads")]
    root.done()
    return networks, workloads


def read_criteria(text: str, file: str) -> tuple[Criterion, ...]:
    """Rules that set labels, of a file with `criteria:`; ``ConfigError`` names file, line and field."""

    def criterion(node: Node) -> Criterion:
        labels = node.need("labels")
        made = Criterion(
            node.text("name"), node.text("name_pattern", ""), node.text("selector", ""),
            {key: value.as_text() for key, value in labels.children()},
        )  # fmt: skip
        node.done()
        return made

    root = parse_document(text, file)
    made = root.list_of("criteria", criterion)
    root.done()
    return made


def _children(root: Node, key: str) -> list[tuple[str, Node]]:
    node = root.get(key)
    return [] if node is None else list(node.children())


def _network(name: str, node: Node) -> Network:
    made = Network(
        name=name,
        vlan=node.number("vlan", 0, 0, 4094),
        vni=node.number("vni", 0, 0, (1 << 24) - 1),
        prefixes=node.list_of("prefixes", lambda one: str(one.check(lambda: ip_network(one.as_text())))),
        gateways=node.list_of("gateways", lambda one: str(one.check(lambda: ip_address(one.as_text())))),
    )
    node.done()
    return made


def _workload(name: str, node: Node) -> Workload:
    labels = node.get("labels")
    if node.get("interfaces") is not None:
        interfaces = node.list_of("interfaces", _interface_done)
    elif node.get("addresses") is not None or node.get("prefixes") is not None:
        interfaces = (_interface(node),)
    else:
        interfaces = ()
    made = Workload(
        name=name,
        labels={} if labels is None else {key: value.as_text() for key, value in labels.children()},
        kind=node.choice("kind", "generic", *KINDS),
        origin=node.choice("origin", "dc", *ORIGINS),
        risk=node.number("risk", 0, 0, 100),
        interfaces=interfaces,
    )
    node.done()
    return made


def _interface_done(node: Node) -> Interface:
    made = _interface(node)
    node.done()
    return made


def _interface(node: Node) -> Interface:
    addresses = node.list_of("addresses", lambda one: str(one.check(lambda: ip_address(one.as_text()))))
    prefixes = node.list_of("prefixes", lambda one: str(one.check(lambda: ip_network(one.as_text()))))
    network, appliance = node.text("network"), node.text("appliance", "")
    if not addresses and not prefixes:
        node.fail("'addresses' or 'prefixes' is missing")
    mac = node.get("mac")
    if mac is not None:
        mac.check(lambda: parse_mac(mac.as_text()))
    elif appliance:
        node.fail("'mac' is missing: behind an appliance it is needed")
    return Interface(
        network=network,
        port=node.text("port") if appliance else node.text("port", "-"),
        mac=mac.raw.lower() if mac is not None else stand_in(network, (*addresses, *prefixes)),
        addresses=addresses,
        prefixes=prefixes,
        appliance=appliance,
    )


class Directory:
    """Brings what the files say into the inventory."""

    def __init__(self, centre: Centre, path: Path, book: Book) -> None:
        self._centre, self._path, self._book = centre, path, book
        self._seen: dict[str, tuple[int, int, int]] = {}

    async def watch(self, link: LinkService) -> None:
        """Look, for ever."""
        while True:
            try:
                await link.core(self.look)
            except Exception:
                log.exception("the directory of workloads was not read")
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> bool:
        """Take what has changed; whether anything has."""
        there: dict[str, tuple[int, int, int]] = {}
        files = sorted([*self._path.glob("*.yaml"), *self._path.glob("*.yml")])[:MAX_FILES]
        for file in files:
            try:
                found = file.stat()
            except OSError:
                continue
            there[file.name] = found.st_mtime_ns, found.st_size, found.st_ino
        changed = [name for name, what in there.items() if self._seen.get(name) != what]
        gone = self._gone(there)
        if not changed and not gone:
            return False
        for name in changed:
            self._seen[name] = there[name]
            self._take(name)
        for name in gone:
            self._seen.pop(name, None)
            self._apply(name, [], [])
        return True

    def _gone(self, there: dict[str, Any]) -> list[str]:
        known = {
            one.source.removeprefix("file/")
            for one in self._centre.declared.values()
            if one.source.startswith("file/")
        }
        return sorted(name for name in known | self._seen.keys() if name not in there)

    def _take(self, name: str) -> None:
        path = self._path / name
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ConfigError(name, 1, "", f"the file is larger than {MAX_BYTES >> 20} MiB")
            networks, workloads = read_file(path.read_text(), name)
        except (FlowError, OSError, UnicodeDecodeError) as error:
            self._book.alarm("file", name, f"not taken: {getattr(error, 'reason', error)}")
            return
        self._apply(name, networks, workloads)

    def _apply(self, name: str, networks: list[Network], workloads: list[Workload]) -> None:
        caller = Caller(f"file/{name}", Role.EDITOR, "directory")
        centre = self._centre
        try:
            with centre.lock:
                if [one for one in networks if centre.networks.get(one.name) != one]:
                    centre.apply_networks(networks, caller)
                mine = {key for key, one in centre.declared.items() if one.source == caller.who}
                wanted = {one.name for one in workloads}
                taken = sorted(key for key in wanted - mine if key in centre.declared)
                if taken:
                    who = centre.declared[taken[0]].source
                    raise ConfigError(name, 1, f"workloads.{taken[0]}", f"{who} has declared it already")
                centre.apply_workloads(
                    workloads, sorted(mine - wanted), caller, source=caller.who, action="workload.file"
                )
        except FlowError as error:
            self._book.alarm("file", name, f"not taken: {error.reason}")
