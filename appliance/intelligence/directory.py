# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Workloads from a directory of YAML files that is watched: what a file no longer names goes, what it changes changes.

A file is taken whole or not at all; one that cannot be taken leaves what it said before in force, raises an alarm, and
is tried again where time may help: it needs what another brings, or the disk was full.
Documents are bounded in depth and aliases (``run.document``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from appliance.errors import FlowError
from appliance.flow.types import parse_mac
from appliance.intelligence.access import Caller, Role
from appliance.intelligence.centre import Centre
from appliance.intelligence.fleet import Book
from appliance.intelligence.inventory import Criterion, Declared, check_workload, effective, stand_in
from appliance.policy.identity import bind
from appliance.policy.model import KINDS, ORIGINS, Interface, Network, Workload
from appliance.policy.program import Numbers
from appliance.run.document import ConfigError, Node, parse_document

if TYPE_CHECKING:
    from appliance.intelligence.link_service import LinkService

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 5.0, 300.0
"""Between two attempts at a file that was not taken: at first, at most."""
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


Stamp = tuple[int, int, int]
"""What tells one content of a file from another: time, size, inode."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """A file that was not taken."""

    stamp: Stamp | None
    """None: it is gone, and what it said could not be removed."""
    text: str
    final: bool = False
    """Only another content helps."""
    wait: float = RETRY_SECONDS[0]
    due: float = 0.0


class Directory:
    """Brings what the files say into the inventory."""

    def __init__(
        self, centre: Centre, path: Path, book: Book, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._centre, self._path, self._book, self._monotonic = centre, path, book, monotonic
        self._seen: dict[str, Stamp] = {}
        """Files that were taken."""
        self._device = -1
        """Of the directory, when it was read last."""
        self._failed: dict[str, _Failure] = {}

    async def watch(self, link: LinkService) -> None:
        """Look, for ever."""
        while True:
            try:
                await link.core(self.look)
            except Exception:
                log.exception("the directory of workloads was not read")
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> bool:
        """Take what has changed, or was not taken and may be by now; whether there was any. As long as it cannot be
        told what files there are, what they said stays.
        """
        try:
            there = self._there()
        except OSError as error:
            self._book.alarm(
                "file", str(self._path), f"not read: {error.strerror or error}; what was said stays"
            )
            return False
        now = self._monotonic()
        wanted: list[tuple[str, Stamp | None]] = [
            (name, stamp) for name, stamp in there.items() if self._seen.get(name) != stamp
        ]
        wanted += [(name, None) for name in self._gone(there)]
        due = [(name, stamp) for name, stamp in wanted if not self._waits(name, stamp, now)]
        tried: dict[str, _Failure | None] = {}
        left = due
        while left:  # what one file needs another may have brought
            tried |= {name: self._take(name, stamp) for name, stamp in left}
            again = [(name, stamp) for name, stamp in left if (one := tried[name]) and not one.final]
            left = again if len(again) < len(left) else []
        self._failed = {name: self._failed[name] for name, _ in wanted if name in self._failed}
        for name, failed in tried.items():
            self._note(name, failed, now)
        return bool(due)

    def _waits(self, name: str, stamp: Stamp | None, now: float) -> bool:
        """Whether it is too early to try it again."""
        failed = self._failed.get(name)
        return failed is not None and failed.stamp == stamp and (failed.final or now < failed.due)

    def _note(self, name: str, failed: _Failure | None, now: float) -> None:
        """What is not taken is told once, and tried again, ever more seldom."""
        old = self._failed.pop(name, None)
        if failed is None:
            return
        same = old is not None and old.stamp == failed.stamp
        wait = min(2 * old.wait, RETRY_SECONDS[1]) if old is not None and same else RETRY_SECONDS[0]
        self._failed[name] = replace(failed, wait=wait, due=now + wait)
        if old is None or not same or old.text != failed.text:
            self._book.alarm("file", name, f"not taken: {failed.text}")

    def _there(self) -> dict[str, Stamp]:
        """Files by name, in order. ``OSError``: it cannot be told."""
        files = sorted(one for one in self._path.iterdir() if one.suffix in (".yaml", ".yml"))
        if len(files) > MAX_FILES:
            raise OSError(f"there are more than {MAX_FILES} files")
        device = self._path.stat().st_dev
        if self._seen and not files and device != self._device:
            raise OSError("it is empty, and of another file system than before: is it mounted?")
        self._device = device
        found: dict[str, Stamp] = {}
        for file in files:
            try:
                stat = file.stat()
            except FileNotFoundError:
                if file.is_symlink():
                    raise
                continue  # removed since
            found[file.name] = stat.st_mtime_ns, stat.st_size, stat.st_ino
        return found

    def _gone(self, there: Mapping[str, Stamp]) -> list[str]:
        known = {
            one.source.removeprefix("file/")
            for one in self._centre.declared.values()
            if one.source.startswith("file/")
        }
        return sorted(name for name in known | self._seen.keys() if name not in there)

    def _take(self, name: str, stamp: Stamp | None) -> _Failure | None:
        """Bring a file in, or with None out; why it cannot be."""
        networks: list[Network] = []
        workloads: list[Workload] = []
        try:
            if stamp is not None:
                if stamp[1] > MAX_BYTES:
                    raise ConfigError(name, 1, "", f"the file is larger than {MAX_BYTES >> 20} MiB")
                networks, workloads = read_file((self._path / name).read_text(), name)
        except (FlowError, UnicodeDecodeError) as error:
            return _Failure(stamp, getattr(error, "reason", str(error)), final=True)
        except OSError as error:
            return _Failure(stamp, str(error))
        try:
            self._apply(name, networks, workloads)
        except FlowError as error:
            return _Failure(stamp, error.reason)
        except Exception as error:  # the other files are taken all the same
            log.exception("a file of workloads was not taken", file=name)
            return _Failure(stamp, f"internal error ({type(error).__name__}); the log has more", final=True)
        if stamp is not None:
            self._seen[name] = stamp
        else:
            self._seen.pop(name, None)
        return None

    def _apply(self, name: str, networks: list[Network], workloads: list[Workload]) -> None:
        caller = Caller(f"file/{name}", Role.EDITOR, "directory")
        centre, action = self._centre, "workload.file"
        with centre.lock, centre.audit.refusals(caller.actor, action, name):
            mine = {key for key, one in centre.declared.items() if one.source == caller.who}
            wanted = {one.name for one in workloads}
            taken = sorted(key for key in wanted - mine if key in centre.declared)
            if taken:
                who = centre.declared[taken[0]].source
                raise ConfigError(name, 1, f"workloads.{taken[0]}", f"{who} has declared it already")
            if [one for one in networks if centre.networks.get(one.name) != one]:
                self._check(networks, workloads, mine, caller)
                centre.apply_networks(networks, caller)
            centre.apply_workloads(workloads, sorted(mine - wanted), caller, source=caller.who, action=action)

    def _check(
        self, networks: list[Network], workloads: list[Workload], mine: set[str], caller: Caller
    ) -> None:
        """``FlowError``: with these networks, the workloads cannot be."""
        centre = self._centre
        made = []
        for one in workloads:
            check_workload(one)
            full, _ = effective(Declared(one, {}, caller.who), centre.criteria)
            places = tuple(replace(place, appliance=place.appliance or "-") for place in full.interfaces)
            made.append(replace(full, interfaces=places))
        before = centre.inventory()
        known = {one.name: one for one in before.networks} | {one.name: one for one in networks}
        others = [one for one in before.workloads if one.name not in mine]
        inventory = replace(before, networks=tuple(known.values()), workloads=(*others, *made))
        bind(inventory, Numbers())
