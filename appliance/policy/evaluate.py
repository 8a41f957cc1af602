# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Questions to a compiled program: who, to whom, service -> verdict. In bulk with numpy, or one at a time.

It reads the rows of the program, so it says what the data plane will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from appliance.flow.types import L3Meta, L4Meta
from appliance.policy import layout as ly
from appliance.policy.identity import BITS, parse_address, zone_numbers
from appliance.policy.model import Inventory
from appliance.policy.program import Identity, Program, Table, Verdict, base_of
from appliance.policy.service import Protocol, Span, parse_span, resolve

Words = NDArray[np.uint64]
_L4: Final = {
    Protocol.TCP: L4Meta.TCP, Protocol.UDP: L4Meta.UDP, Protocol.ICMP: L4Meta.ICMP, Protocol.ICMP6: L4Meta.ICMP,
}  # fmt: skip
MISSING: Final = 0xFFFFFFFF
MOST_ANSWERS: Final = 1 << 24
"""Of a truth table; 128 MB."""


@dataclass(frozen=True, slots=True)
class Service:
    """One protocol and destination port (or ICMP type)."""

    protocol: int
    port: int

    def __str__(self) -> str:
        try:
            return str(Span(Protocol(self.protocol), self.port, self.port))
        except ValueError:
            return f"protocol/{self.protocol}"


def one_service(text: str, named: Mapping[str, tuple[str, ...]] | None = None) -> Service:
    """A single service from its text; of a range the first port. ``ValueError``."""
    span = parse_span(text) or resolve([text], named or {})[0]
    if span.protocol is Protocol.ANY:
        return Service(254, 0)
    return Service(int(span.protocol), span.low)


class _Index:
    """Keys to values, by binary search."""

    def __init__(self, keys: Words, **values: NDArray[Any]) -> None:
        order = np.argsort(keys, kind="stable")
        self.keys = keys[order]
        self.values = {name: value[order] for name, value in values.items()}

    def find(self, keys: Words) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Whether each key is there, and its row."""
        if not len(self.keys):
            return np.zeros(len(keys), bool), np.zeros(len(keys), np.int64)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return self.keys[at] == keys, at


def _u64(values: Any) -> Words:
    return np.asarray(values).astype(np.uint64)


def _packed(table: Table, *columns: tuple[str, int]) -> Words:
    """Columns side by side, each in so many bits; the first is the highest."""
    packed = np.zeros(len(table.keys), np.uint64)
    for name, bits in columns:
        packed = packed << np.uint64(bits) | _u64(table.keys[name])
    return packed


class Evaluator:
    """Answers for one program. ``evaluator_of`` makes it once."""

    def __init__(self, program: Program) -> None:
        self.verdicts = program.verdicts
        tables = {table.name.removeprefix(ly.PREFIX): table for table in program.tables}
        self._classes = []
        for name, key, narrow, wide in (
            ("src_class", ly.SOURCE, ly.SOURCE_CLASS, ly.SOURCE_WIDE),
            ("dst_class", ly.TARGET, ly.TARGET_CLASS, ly.TARGET_WIDE),
        ):
            table = tables[name]
            self._classes.append(
                _Index(_u64(table.keys[key]), narrow=_u64(table.arg(narrow)), wide=_u64(table.arg(wide)))
            )
        self._pairs = []
        for name in ("pair", "pair_wn", "pair_nw", "pair_ww"):
            table = tables[name]
            first, second = ly.SHAPES[name].columns
            keys = _packed(table, (first, 32), (second, 32))
            self._pairs.append(_Index(keys, list=_u64(table.arg(ly.SERVICES)), tag=table.tags))
        self._service = self._tagged(tables["service"], (ly.SERVICES, 32), (ly.L4_TYPE, 8), (ly.DST_PORT, 16))
        self._icmp = self._tagged(tables["icmp"], (ly.SERVICES, 32), (ly.L3_TYPE, 8), (ly.ICMP_TYPE, 8))
        self._range = self._tagged(tables["range"], (ly.SERVICES, 32), (ly.RANGE, 32))
        self._list = self._tagged(tables["list"], (ly.SERVICES, 32))
        self._default = tables["default"].tags[0]
        self._ranges = self._range_index(tables["ports"])
        self._addresses = _Addresses(tables)
        self.passes_by_tag = {tag: verdict.passes for tag, verdict in program.verdicts.items()}

    @staticmethod
    def _tagged(table: Table, *columns: tuple[str, int]) -> _Index:
        return _Index(_packed(table, *columns), tag=table.tags)

    @staticmethod
    def _range_index(table: Table) -> tuple[Words, Words]:
        """Lowest packed (protocol, port) of each range class, ascending, and the highest."""
        code = _u64(table.arg(ly.RANGE))
        order = np.argsort(code)
        protocol = code >> np.uint64(16)
        icmp = (protocol == Protocol.ICMP) | (protocol == Protocol.ICMP6)
        high = np.where(icmp, np.uint64(0xFFFF), _u64(table.mask(ly.DST_PORT)))
        return code[order], (protocol << np.uint64(16) | high)[order]

    # -- in bulk -------------------------------------------------------------------------------------------------------

    def identities(self, zones: NDArray[Any], version: int, addresses: NDArray[Any]) -> NDArray[np.uint32]:
        """Identity numbers of addresses: IPv4 as numbers, IPv6 as rows of 16 bytes."""
        return self._addresses.find(zones, version, addresses)

    def tags(self, source: Any, target: Any, protocol: Any, port: Any) -> Words:
        """The tag of the verdict on each connection; arrays (or numbers) of one shape."""
        given = np.broadcast_arrays(source, target, protocol, port)
        shape = given[0].shape
        s, t, proto, dport = (_u64(one.reshape(-1)) for one in given)
        found_s, row_s = self._classes[0].find(s)
        found_t, row_t = self._classes[1].find(t)
        known = found_s & found_t
        tags = np.full(len(s), self._default, np.uint64)
        lists = np.zeros(len(s), np.uint64)
        ns, ws = (self._classes[0].values[name] for name in ("narrow", "wide"))
        nt, wt = (self._classes[1].values[name] for name in ("narrow", "wide"))
        left = np.flatnonzero(known)
        for index, (a, b) in zip(self._pairs, ((ns, nt), (ws, nt), (ns, wt), (ws, wt)), strict=True):
            if not len(left) or not len(index.keys):
                continue
            hit, row = index.find(a[row_s[left]] << np.uint64(32) | b[row_t[left]])
            lists[left[hit]] = index.values["list"][row[hit]]
            direct = index.values["tag"][row[hit]]
            tags[left[hit]] = np.where(direct != 0, direct, self._default)
            left = left[~hit]
        at = np.flatnonzero(lists)
        if len(at):
            tags[at] = self._services(lists[at], proto[at], dport[at])
        return tags.reshape(shape)

    def _services(self, lists: Words, protocol: Words, port: Words) -> Words:
        tags = np.full(len(lists), self._default, np.uint64)
        done = np.zeros(len(lists), bool)

        def take(index: _Index, keys: Words, which: NDArray[np.bool_]) -> None:
            hit, row = index.find(keys)
            chosen = hit & which & ~done
            if chosen.any():
                tags[chosen] = index.values["tag"][row[chosen]]
            done[chosen] = True

        icmp = (protocol == Protocol.ICMP) | (protocol == Protocol.ICMP6)
        ported = (protocol == Protocol.TCP) | (protocol == Protocol.UDP) | (protocol == Protocol.SCTP)
        l4 = np.zeros(len(lists), np.uint64)
        for one, code in _L4.items():
            l4[protocol == one] = code
        l3 = np.where(protocol == Protocol.ICMP6, np.uint64(L3Meta.IPV6), np.uint64(L3Meta.IPV4))
        take(self._service, lists << np.uint64(24) | l4 << np.uint64(16) | port, ported)
        take(self._icmp, lists << np.uint64(16) | l3 << np.uint64(8) | port, icmp)
        low, high = self._ranges
        if len(low):
            packed = protocol << np.uint64(16) | port
            at = np.maximum(np.searchsorted(low, packed, "right"), 1) - 1
            inside = (low[at] <= packed) & (packed <= high[at])
            take(self._range, lists << np.uint64(32) | low[at], inside & (icmp | ported))
        take(self._list, lists, np.ones(len(lists), bool))
        return tags

    def passes(self, tags: Words) -> NDArray[np.bool_]:
        """Whether the verdicts let packets through."""
        known = np.array(sorted(self.passes_by_tag), np.uint64)
        yes = np.array([self.passes_by_tag[int(tag)] for tag in known], bool)
        found: NDArray[np.bool_] = yes[np.searchsorted(known, tags)]
        return found

    def verdict(self, tag: int) -> Verdict:
        """What a tag stands for."""
        return self.verdicts[int(tag)]

    def judge(self, source: int, target: int, service: Service) -> Verdict:
        """One question, on identity numbers."""
        return self.verdict(int(self.tags(source, target, service.protocol, service.port)))


def evaluator_of(program: Program) -> Evaluator:
    """The evaluator of a program: made when somebody first asks, kept with it."""
    found: Evaluator | None = program.kept.get(Evaluator)
    if found is None:
        found = program.kept[Evaluator] = Evaluator(program)
    return found


class _Addresses:
    """Longest prefixes, per length a sorted list."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._by4: list[tuple[int, _Index]] = []
        self._by6: list[tuple[int, dict[tuple[int, int], int]]] = []
        for version, column in ((4, ly.SRC4), (6, ly.SRC6)):
            table = tables[f"src{version}"]
            zones, identities = _u64(table.keys[ly.ZONE]), _u64(table.arg(ly.SOURCE))
            if version == 4:
                addresses, masks = _u64(table.keys[column]), _u64(table.mask(column))
                for mask in np.unique(masks)[::-1]:
                    which = masks == mask
                    keys = zones[which] << np.uint64(32) | addresses[which]
                    self._by4.append((int(mask), _Index(keys, identity=identities[which])))
                continue
            found: dict[int, dict[tuple[int, int], int]] = {}
            for row in range(len(table)):
                mask = int.from_bytes(table.mask(column)[row].tobytes(), "big")
                address = int.from_bytes(table.keys[column][row].tobytes(), "big")
                found.setdefault(mask, {})[int(zones[row]), address] = int(identities[row])
            self._by6 = [(mask, found[mask]) for mask in sorted(found, reverse=True)]

    def find(self, zones: NDArray[Any], version: int, addresses: NDArray[Any]) -> NDArray[np.uint32]:
        zones = np.asarray(zones)
        made = np.full(len(zones), MISSING, np.uint32)
        if version == 6:
            for at, (zone, row) in enumerate(zip(zones.tolist(), addresses, strict=True)):
                made[at] = self._one6(zone, int.from_bytes(np.asarray(row, np.uint8).tobytes(), "big"))
            return made
        left, zone, address = np.arange(len(zones)), _u64(zones), _u64(addresses)
        for mask, index in self._by4:
            hit, row = index.find(zone[left] << np.uint64(32) | address[left] & np.uint64(mask))
            made[left[hit]] = index.values["identity"][row[hit]]
            left = left[~hit]
        return made

    def _one6(self, zone: int, address: int) -> int:
        for mask, found in self._by6:
            identity = found.get((zone, address & mask))
            if identity is not None:
                return identity
        return MISSING


# --- one question, in words -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class End:
    """One end of a question."""

    name: str
    """Workload, or address."""
    identity: int
    about: Identity


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict with what stands behind it."""

    source: End
    target: End
    service: Service
    verdict: Verdict

    def __str__(self) -> str:
        verdict = self.verdict
        word = {0: "may", 1: "may (and an event is raised)", 2: "may not", 3: "may not (and is told)"}[
            verdict.action
        ]
        by = (
            f"rule {verdict.rule} of band {verdict.band.text}" if verdict.rule != "default" else "the default"
        )
        text = f"{describe(self.source)} {word} reach {describe(self.target)} on {self.service}: {by}"
        if verdict.peer_rule:
            text += f" (other side: {verdict.peer_rule})"
        if verdict.audit_action is not None:
            word = "let it pass" if verdict.audit_action.passes else "stop it"
            text += f"; if audit rules were enforced, {verdict.audit_rule} would {word}"
        return text


def describe(end: End) -> str:
    """An end with its labels."""
    about = end.about
    parts = [about.kind] if about.kind else [about.entity]
    parts += [f"{key}={value}" for key, value in about.labels.items()]
    return f"{end.name} ({', '.join(part for part in parts if part)})"


def find_end(program: Program, inventory: Inventory, text: str, network: str = "") -> End:
    """A workload by name, or an address (in ``network``, by default the first). ``ValueError``."""
    for binding in program.bindings:
        if binding.workload == text and (not network or binding.network == network):
            return End(text, binding.identity, program.identities[base_of(binding.identity)])
    try:
        version, address = parse_address(text)
    except ValueError:
        raise ValueError(f"there is no workload {text!r} with an address, and it is none itself") from None
    zones = zone_numbers(inventory, program.numbers)
    name = network or next(iter(zones), "")
    if name not in zones:
        raise ValueError(f"there is no network {name!r} (known: {', '.join(zones) or 'none'})")
    column: NDArray[Any] = np.array([address], np.uint64) if version == 4 else np.frombuffer(
        address.to_bytes(BITS[6] // 8, "big"), np.uint8
    ).reshape(1, 16)  # fmt: skip
    number = int(evaluator_of(program).identities(np.array([zones[name]]), version, column)[0])
    return End(text, number, program.identities[base_of(number)])


def ask(
    program: Program, inventory: Inventory, source: str, target: str, service: str, network: str = "",
    named: Mapping[str, tuple[str, ...]] | None = None,
) -> Answer:  # fmt: skip
    """One question: workload names or addresses, and a service. ``ValueError``: unknown ones."""
    a, b = find_end(program, inventory, source, network), find_end(program, inventory, target, network)
    asked = one_service(service, named)
    return Answer(a, b, asked, evaluator_of(program).judge(a.identity, b.identity, asked))


@dataclass(frozen=True, slots=True)
class TruthTable:
    """Tags by (source, target, service)."""

    identities: NDArray[np.int64]
    services: tuple[Service, ...]
    tags: Words


def truth_table(
    program: Program,
    services: Sequence[Service],
    identities: Iterable[int] | None = None,
    *,
    most: int = MOST_ANSWERS,
) -> TruthTable:
    """Every identity to every identity (by default those that some address has now) on every service. ``ValueError``:
    that would be more than ``most`` answers.
    """
    evaluator = evaluator_of(program)
    if identities is None:
        used = [table.arg(ly.SOURCE) for table in map(program.table, ("seg/src4", "seg/src6"))]
        chosen = np.unique(np.concatenate(used)).astype(np.int64)
    else:
        chosen = np.array(sorted(identities), np.int64)
    count = len(chosen) ** 2 * len(services)
    if count > most:
        raise ValueError(
            f"{len(chosen):,} identities and {len(services):,} services make {count:,} answers, and a truth table "
            f"has at most {most:,}: name fewer services, or ask questions"
        )
    protocol = np.array([one.protocol for one in services])
    port = np.array([one.port for one in services])
    tags = np.stack([
        evaluator.tags(one, chosen[:, None], protocol[None, :], port[None, :]) for one in chosen
    ]) if len(chosen) else np.zeros((0, 0, len(services)), np.uint64)  # fmt: skip
    return TruthTable(chosen, tuple(services), tags)
