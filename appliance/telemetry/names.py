# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What the numbers in records mean at the moment: workloads by address, labels by identity, rules by tag.

The store asks for whole batches at once and keeps codes: indices into tables that only grow, so that a record goes on
naming what was true when it came, whatever changes later. ``NameBook`` is the implementation to feed from an inventory
and a policy; anything else that satisfies ``Names`` will do.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

U8: TypeAlias = NDArray[np.uint8]
U32: TypeAlias = NDArray[np.uint32]
U64: TypeAlias = NDArray[np.uint64]
I32: TypeAlias = NDArray[np.int32]
Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Sorted pairs of key and value."""

ANY, UNKNOWN, APPLIANCE, WORLD = range(4)
"""Reserved identity bases."""
RESERVED: Final = ("any", "unknown", "appliance", "world")
STATES: Final = ("normal", "watched", "restricted", "quarantined")
"""Names of the two low bits of an identity."""


def labels(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """Labels in their one order."""
    return tuple(sorted(dict(pairs).items()))


@dataclass(frozen=True, slots=True)
class Workload:
    """Who an address belongs to. ``local``: behind a port of this appliance, else somewhere in the fabric."""

    name: str
    kind: str = ""
    labels: Labels = ()
    local: bool = True


@dataclass(frozen=True, slots=True)
class Identity:
    """What stands behind an identity's base number. ``name`` is for those that are no label set: ``world``, or the
    CIDR objects that make it.
    """

    labels: Labels = ()
    kind: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Provenance of a verdict: what a tag in the tables stands for. ``verdict`` and ``audit_verdict`` are ``allow``,
    ``alert``, ``drop``, ``reject``; the audit members are empty when no audit rule decides. ``peer_rule``: the other
    side's, in two-sided models.
    """

    verdict: str
    band: str
    rule: str = ""
    rule_id: str = ""
    peer_rule: str = ""
    audit_verdict: str = ""
    audit_rule: str = ""
    log: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    """A zone's name and its VXLAN network identifier, 0 for none."""

    name: str
    vni: int = 0


@dataclass(frozen=True, slots=True)
class Binding:
    """Addresses of a workload: a prefix (a host's has full length) in a zone (network number)."""

    zone: int
    prefix: IPv4Network | IPv6Network

    @classmethod
    def of(cls, zone: int, address: str) -> Binding:
        """From text: ``10.0.0.1``, ``2001:db8::/64``."""
        return cls(zone, ip_network(address, strict=False))


class Names(Protocol):
    """Look-ups for whole batches, called by the thread that appends records. Code 0 means nobody, no labels, no rule;
    the tables have an entry for it, only grow, and keep an index's meaning for ever.
    """

    def workload_codes(self, zones: U32, versions: U8, addresses: U8) -> I32:
        """Owners of addresses: zone numbers, IP versions (4, 6, 0), rows of 16 bytes as in flow records."""

    def identity_codes(self, identities: U32) -> I32:
        """Label sets behind identities (base << 2 | state)."""

    def verdict_codes(self, tags: U64) -> I32:
        """Verdicts behind tags of policy entries."""

    @property
    def workloads(self) -> Sequence[Workload]:
        """By code."""

    @property
    def identities(self) -> Sequence[Identity]:
        """By code."""

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """By code."""

    def port(self, index: int) -> str:
        """Name of the fast path's port; its number when it is not known, empty for none (0xffff)."""

    def network(self, zone: int) -> Network:
        """A zone's network."""


T = TypeVar("T", bound=Hashable)


class _Table(Generic[T]):
    """Values with codes: equal ones share one, none is ever forgotten."""

    def __init__(self, nobody: T) -> None:
        self.values: list[T] = [nobody]
        self._codes: dict[T, int] = {nobody: 0}

    def code(self, value: T) -> int:
        """The code of a value."""
        found = self._codes.get(value)
        if found is None:
            found = self._codes[value] = len(self.values)
            self.values.append(value)
        return found


class _Numbers:
    """Numbers to codes, by binary search."""

    def __init__(self, codes: Mapping[int, int]) -> None:
        self._keys = np.fromiter(sorted(codes), np.uint64, len(codes))
        self._codes = np.array([codes[int(key)] for key in self._keys], np.int32)

    def find(self, numbers: U64) -> I32:
        """Codes, 0 where there is none."""
        if not len(self._keys):
            return np.zeros(len(numbers), np.int32)
        at = np.minimum(np.searchsorted(self._keys, numbers), len(self._keys) - 1)
        found: I32 = np.where(self._keys[at] == numbers, self._codes[at], 0)
        return found


_MIX: Final = tuple(np.uint64(k) for k in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))
_SHIFT: Final = np.uint64(29)


def mix(first: U64, second: U64, third: U64, seed: int = 0) -> U64:
    """Three words to one number, spread well; the same everywhere."""
    word: U64 = (first + np.uint64(seed)) * _MIX[0]
    word ^= word >> _SHIFT
    word = (word + second) * _MIX[1]
    word ^= word >> _SHIFT
    word = (word + third) * _MIX[2]
    word ^= word >> _SHIFT
    return word


class _Prefixes:
    """Addresses to codes for one IP version and prefix length."""

    def __init__(self, version: int, length: int, rows: Sequence[tuple[int, bytes, int]]) -> None:
        self.version, self.length = version, length
        bits = 32 if version == 4 else 128
        mask = ((1 << length) - 1 << bits - length).to_bytes(bits // 8, "big")
        self._mask = np.frombuffer(mask.ljust(16, b"\0"), np.uint64)
        self._words = 1 if length <= 64 else 2  # beyond, a masked address has nothing
        zones = np.array([row[0] for row in rows], np.uint32)
        words = np.frombuffer(b"".join(row[1].ljust(16, b"\0") for row in rows), np.uint64).reshape(-1, 2)
        codes = np.array([row[2] for row in rows], np.int32)
        self._seed = 0
        while True:
            hashes = mix(words[:, 0], words[:, 1], zones.astype(np.uint64), self._seed)
            order = np.argsort(hashes, kind="stable")
            hashes = hashes[order]
            if not (hashes[1:] == hashes[:-1]).any():
                break
            self._seed += 1
        self._hashes, self._zones, self._codes = hashes, zones[order], codes[order]
        self._first, self._second = np.ascontiguousarray(words[order].T)

    def find(self, zones: U32, first: U64, second: U64) -> I32:
        """Codes, 0 where there is none. ``first``, ``second``: addresses as two native words."""
        first = first & self._mask[0]
        second = second & self._mask[1] if self._words == 2 else np.zeros(1, np.uint64)
        hashes = mix(first, second, zones.astype(np.uint64), self._seed)
        at = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        same = (self._first[at] == first) & (self._zones[at] == zones)
        if self._words == 2:
            same &= self._second[at] == second
        found: I32 = np.where(same, self._codes[at], 0)
        return found


@dataclass(slots=True)
class _Bound:
    code: int
    bindings: tuple[Binding, ...] = field(default=())


class NameBook:
    """``Names`` to write into. Safe to use from several threads; the first look-up after a change rebuilds the index
    that it concerns, so changes in bulk are cheap one by one too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workloads = _Table(Workload(""))
        self._identities = _Table(Identity())
        self._verdicts = _Table(Verdict("", ""))
        self._bound: dict[str, _Bound] = {}
        self._bases = {
            base: self._identities.code(Identity(name=name))
            for base, name in enumerate(RESERVED)
            if base != ANY
        }
        self._tags: dict[int, int] = {}
        self._ports: dict[int, str] = {}
        self._networks: dict[int, Network] = {}
        self._by_prefix: tuple[_Prefixes, ...] | None = None
        self._by_base: _Numbers | None = None
        self._by_tag: _Numbers | None = None

    # -- what is true now

    def set_workload(self, workload: Workload, bindings: Iterable[Binding]) -> None:
        """A new workload, or an old one's new labels and addresses."""
        with self._lock:
            self._bound[workload.name] = _Bound(self._workloads.code(workload), tuple(bindings))
            self._by_prefix = None

    def remove_workload(self, name: str) -> None:
        """Its addresses are nobody's from now on."""
        with self._lock:
            self._bound.pop(name, None)
            self._by_prefix = None

    def set_identities(self, identities: Mapping[int, Identity]) -> None:
        """Meaning of base numbers, beside those that are known already."""
        if not identities:
            return
        with self._lock:
            self._bases.update({base: self._identities.code(one) for base, one in identities.items()})
            self._by_base = None

    def set_verdicts(self, verdicts: Mapping[int, Verdict]) -> None:
        """Meaning of tags, beside those that are known already."""
        if not verdicts:
            return
        with self._lock:
            self._tags.update({tag: self._verdicts.code(one) for tag, one in verdicts.items()})
            self._by_tag = None

    def set_ports(self, ports: Mapping[int, str]) -> None:
        """Names of the fast path's ports by their index; replaces what was."""
        self._ports = dict(ports)

    def set_networks(self, networks: Mapping[int, Network]) -> None:
        """Networks by zone number; replaces what was."""
        self._networks = dict(networks)

    # -- look-ups

    def _prefixes(self) -> tuple[_Prefixes, ...]:
        found = self._by_prefix
        if found is not None:
            return found
        with self._lock:
            groups: dict[tuple[int, int], dict[tuple[int, bytes], int]] = {}
            for bound in self._bound.values():
                for binding in bound.bindings:
                    prefix = binding.prefix
                    group = groups.setdefault((prefix.prefixlen, prefix.version), {})
                    group[binding.zone, prefix.network_address.packed] = bound.code
            self._by_prefix = found = tuple(
                _Prefixes(version, length, [(*key, code) for key, code in groups[length, version].items()])
                for length, version in sorted(groups, reverse=True)
            )
            return found

    def workload_codes(self, zones: U32, versions: U8, addresses: U8) -> I32:
        """Owners of addresses, the longest prefix first."""
        found = np.zeros(len(zones), np.int32)
        first, second = np.ascontiguousarray(addresses.view(np.uint64).T)
        for group in self._prefixes():
            left = np.flatnonzero((found == 0) & (versions == group.version))
            if len(left) == len(found):
                found = group.find(zones, first, second)
            elif len(left):
                found[left] = group.find(zones[left], first[left], second[left])
        return found

    def identity_codes(self, identities: U32) -> I32:
        """Label sets behind identities."""
        index = self._by_base
        if index is None:
            with self._lock:
                self._by_base = index = _Numbers(self._bases)
        return index.find((identities >> np.uint32(2)).astype(np.uint64))

    def verdict_codes(self, tags: U64) -> I32:
        """Verdicts behind tags."""
        index = self._by_tag
        if index is None:
            with self._lock:
                self._by_tag = index = _Numbers(self._tags)
        return index.find(tags)

    @property
    def workloads(self) -> Sequence[Workload]:
        """By code."""
        return self._workloads.values

    @property
    def identities(self) -> Sequence[Identity]:
        """By code."""
        return self._identities.values

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """By code."""
        return self._verdicts.values

    def port(self, index: int) -> str:
        """Name of a port."""
        return "" if index == 0xFFFF else self._ports.get(index, str(index))

    def network(self, zone: int) -> Network:
        """A zone's network; zone 0 without one has no name."""
        return self._networks.get(zone) or Network(str(zone) if zone else "")
