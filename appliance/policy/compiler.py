# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""``compile``: policy, inventory and containment to a program. A pure function."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from appliance.flow.types import CtConfig, Fwd, L3Meta, L4Meta, prefix_mask
from appliance.policy import layout as ly
from appliance.policy import verdicts as vd
from appliance.policy.identity import BITS, AddressMap, MapRow, Relevant, address_map
from appliance.policy.inner import Clause, clauses
from appliance.policy.link import Capacity, Link, encoded, room, table
from appliance.policy.model import (
    NO_CONTAINMENT,
    Action,
    Band,
    Containment,
    Inventory,
    PolicySet,
    Rule,
)
from appliance.policy.pairs import Pairs, Sides, TooLargeError, expand
from appliance.policy.program import Numbers, Program, Sizes, Table
from appliance.policy.refusal import Refused, refuse
from appliance.policy.selector import Cidr, Selector, named, parse_selector
from appliance.policy.service import Protocol
from appliance.policy.universe import Universe, flat, selectors_of

BUDGET: Final = 4_000_000
ROOM: Final = 1 << 23
"""Rows of all tables together. The fast path holds twice as many for one appliance, so that the old and the new rows
fit side by side while one takes the other's place.
"""
DHCP_RULE: Final = Rule(
    name="appliance-dhcp", band=Band.SYSTEM, target=parse_selector("entity=appliance"), services=("udp/67",)
)
"""Where the appliance answers or relays DHCP: renewals and servers reach it at the gateways, whoever is contained."""
NO_NUMBERS: Final = Numbers()
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WAYS: Final[tuple[Fwd, ...]] = (ly.ALLOW, ly.DENY, ly.REJECT)
_WAY: Final = {Action.ALLOW: 0, Action.ALERT: 0, Action.BLOCK: 1, Action.REJECT: 2}
_INTO_SERVICE: Final = 3
_L4: Final = {
    Protocol.TCP: L4Meta.TCP, Protocol.UDP: L4Meta.UDP, Protocol.ICMP: L4Meta.ICMP, Protocol.ICMP6: L4Meta.ICMP,
    Protocol.SCTP: L4Meta.NONE,
}  # fmt: skip
"""How the parser calls a protocol. SCTP is the only one of type NONE that has ports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What does not follow from the policy."""

    ct: CtConfig = field(default_factory=CtConfig)
    budget: int = BUDGET
    """Rows of the pair tables; a policy that needs more is refused."""
    room: int = ROOM
    """Rows of all tables; likewise."""


DEFAULT_OPTIONS: Final = Options()


def compile(  # noqa: A001 - the contract's name
    policy: PolicySet,
    inventory: Inventory,
    containment: Containment = NO_CONTAINMENT,
    *,
    numbers: Numbers = NO_NUMBERS,
    options: Options = DEFAULT_OPTIONS,
    at: datetime = EPOCH,
    previous: Program | None = None,
) -> Program:
    """The program of a policy at a moment ``at`` (it matters to schedules only).

    ``numbers`` are those of the program before (``Program.numbers``). ``previous`` keeps the sizes of its pipes where
    they suffice, so that pipes need not be made anew. ``Refused``: an inventory that contradicts itself, groups or
    services that do not exist, a policy beyond the budget.
    """
    began = time.perf_counter()
    with _no_collector():
        made = _compile(policy, inventory, containment, numbers, options, at, previous)
    return replace(made, sizes=replace(made.sizes, seconds=time.perf_counter() - began))


@contextmanager
def _no_collector() -> Iterator[None]:
    """Hundreds of thousands of small objects and no cycles: looking for some would take a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _compile(
    policy: PolicySet, inventory: Inventory, containment: Containment, numbers: Numbers, options: Options, at: datetime,
    previous: Program | None,
) -> Program:  # fmt: skip
    selectors = _flat_selectors(policy, containment)
    addresses = address_map(inventory, containment.states, relevant(selectors), numbers)
    universe = Universe(addresses.identities, policy.groups)
    own = (DHCP_RULE,) if any(network.dhcp.is_on for network in inventory.networks) else ()
    try:
        inner = clauses(policy, containment, universe, at, own=own)
    except ValueError as error:
        raise refuse(f"policy {policy.name}", "", str(error)) from None
    pairs = _expand(policy, inner, universe, options.budget)
    decided = vd.decide(inner, pairs.lists, policy.default)
    capacity = _capacity(previous)
    made = Link(inventory, addresses, capacity).tables()
    made |= dict(_maps(addresses, capacity))
    made |= _classes(pairs, universe, capacity)
    made |= _pair_tables(pairs, universe, decided, capacity)
    made |= _services(decided, capacity)
    made["ct"] = Table(
        name=f"{ly.PREFIX}ct",
        spec=ly.ct_spec(options.ct),
        keys=np.zeros(0, np.dtype([])),
        tags=np.zeros(0, np.uint64),
    )
    tables = tuple(made[name] for name in ly.ORDER)
    _fit_in(options.room, tables, policy, inner)
    return Program(
        tables=tables,
        verdicts=_reached(decided, tables),
        identities=addresses.identities,
        bindings=addresses.bindings,
        ranges=addresses.ranges,
        numbers=addresses.numbers,
        sizes=_sizes(policy, inventory, universe, pairs, decided, tables),
    )


def relevant(selectors: Sequence[Selector]) -> Relevant:
    """What selectors (flat ones) ask of identities."""
    parts = {
        part
        for one in selectors
        for term in one.terms
        for part in term
        if part.field in ("name", "origin", "cidr")
    }
    return Relevant(
        names=frozenset(value for part in parts if part.field == "name" for value in part.values),
        origin=any(part.field == "origin" for part in parts),
        cidrs=tuple(
            sorted({Cidr.parse(value) for part in parts if part.field == "cidr" for value in part.values})
        ),
    )


def _flat_selectors(policy: PolicySet, containment: Containment) -> list[Selector]:
    rules = (*containment.keep, *(one.rule for one in containment.baselines))
    given = [*selectors_of(policy), *(side for rule in rules for side in (rule.source, rule.target))]
    if containment.baselines:
        given.append(named(*dict.fromkeys(one.workload for one in containment.baselines)))
    if containment.resets:
        given.append(named(*containment.resets))
    try:
        return [flat(one, policy.groups) for one in given]
    except ValueError as error:
        raise refuse(f"policy {policy.name}", "groups", str(error)) from None


def _expand(policy: PolicySet, inner: Sequence[Clause], universe: Universe, budget: int) -> Pairs:
    try:
        return expand(inner, len(universe), universe.everybody, budget)
    except TooLargeError as error:
        why = f"the policy needs up to {error.pairs:,} rows for pairs of identities and there is room for {budget:,}"
        raise _too_large(policy, inner, why) from None


def _fit_in(room: int, tables: Sequence[Table], policy: PolicySet, inner: Sequence[Clause]) -> None:
    """``Refused``: the rows of all tables are more than there is room for."""
    needed = sum(len(one) for one in tables)
    if needed > room:
        most = sorted(tables, key=len, reverse=True)[:3]
        sizes = ", ".join(f"{one.name} {len(one):,}" for one in most)
        why = f"the policy needs {needed:,} rows and there is room for {room:,} (most in {sizes})"
        raise _too_large(policy, inner, why)


def _too_large(policy: PolicySet, inner: Sequence[Clause], why: str) -> Refused:
    """Names the rule that takes most rows, and the side that makes it so. What is for anybody takes few."""
    rules = (*policy.rules, *policy.keep)
    ours = {rule.name: "rule" for rule in rules if not (rule.source.is_any or rule.target.is_any)}
    ours |= {one.name: "network policy" for one in policy.side_policies}
    some = (clause for clause in inner if clause.name in ours)
    widest = sorted(some, key=lambda c: len(c.source) * len(c.target) * len(c.services), reverse=True)
    names = list(dict.fromkeys(clause.name for clause in widest))
    if not names:
        return refuse(f"policy {policy.name}", "", why)
    first = widest[0]
    field = "from" if len(first.source) >= len(first.target) else "to"
    kind = ours[first.name]
    return refuse(
        f"{kind} {first.name}",
        field if kind == "rule" else "subjects",
        f"{why}; the rules that take most: {', '.join(names[:5])}. Use fewer labels in them, or `any` on one side",
    )


def _capacity(previous: Program | None) -> Capacity:
    if previous is None:
        return room({})
    return room(
        {t.name.removeprefix(ly.PREFIX): t.spec.nr_entries for t in previous.tables if t.spec.nr_entries}
    )


# --- addresses and classes --------------------------------------------------------------------------------------------


def map_rows(version: int, source: bool, found: Sequence[tuple[int, MapRow]]) -> tuple[Any, Any, Any]:
    """Keys, masks, arguments of rows of an address table; each with its zone."""
    count = len(found)
    name = {(4, True): ly.SRC4, (4, False): ly.DST4, (6, True): ly.SRC6, (6, False): ly.DST6}[version, source]
    lengths = [row.prefix[2] for _, row in found]
    keys = ly.rows(count, {
        ly.L3_TYPE: L3Meta.IPV4 if version == 4 else L3Meta.IPV6,
        ly.ZONE: np.array([zone for zone, _ in found], np.int64),
        name: encoded(name, [row.prefix[1] for _, row in found]),
    })  # fmt: skip
    bits = {length: prefix_mask(length, BITS[version]) for length in set(lengths)}
    masks = ly.rows(count, {
        ly.L3_TYPE: 0xFF, ly.ZONE: 0xFFFFFFFF, name: encoded(name, [bits[length] for length in lengths]),
    })  # fmt: skip
    args = ly.rows(count, {
        ly.SOURCE if source else ly.TARGET: np.array([row.identity for _, row in found], np.int64)
    })  # fmt: skip
    return keys, masks, args


def _maps(addresses: AddressMap, capacity: Capacity) -> list[tuple[str, Table]]:
    found: dict[int, list[tuple[int, MapRow]]] = {version: [] for version in BITS}
    for network, rows in addresses.rows.items():
        zone = addresses.numbers.zones[network]
        for row in rows:
            found[row.prefix[0]].append((zone, row))
    made = []
    for version, rows_of in found.items():
        for source in (True, False):
            name = f"{'src' if source else 'dst'}{version}"
            keys, masks, args = map_rows(version, source, rows_of)
            made.append((name, table(name, capacity, keys, masks=masks, args=args)))
    return made


def _classes(pairs: Pairs, universe: Universe, capacity: Capacity) -> dict[str, Table]:
    made = {}
    for name, sides, key, narrow, wide in (
        ("src_class", pairs.source, ly.SOURCE, ly.SOURCE_CLASS, ly.SOURCE_WIDE),
        ("dst_class", pairs.target, ly.TARGET, ly.TARGET_CLASS, ly.TARGET_WIDE),
    ):
        keys = ly.rows(len(universe), {key: universe.numbers})
        args = ly.rows(len(universe), {narrow: _named(sides, universe), wide: _named(sides, universe, True)})
        made[name] = table(name, capacity, keys, args=args, ordered=True)
    return made


def _named(sides: Sides, universe: Universe, wide: bool = False) -> Any:
    """By identity: the number of its class, which is its lowest identity's."""
    classes = sides.wide if wide else sides.narrow
    return universe.numbers[classes.lowest[classes.of]]


# --- pairs and services -----------------------------------------------------------------------------------------------


def _way_of(tags: NDArray[np.uint64], decided: vd.Decided) -> NDArray[np.uint32]:
    """Index into ``_WAYS`` by tag."""
    known = np.array(sorted(decided.verdicts), np.uint64)
    ways = np.array([_WAY[decided.verdicts[int(tag)].action] for tag in known], np.uint32)
    found: NDArray[np.uint32] = ways[np.searchsorted(known, tags)]
    return found


def _pair_tables(
    pairs: Pairs, universe: Universe, decided: vd.Decided, capacity: Capacity
) -> dict[str, Table]:
    made = {}
    names = {"nn": "pair", "wn": "pair_wn", "nw": "pair_nw", "ww": "pair_ww"}
    numbers = np.append(decided.list_number, np.uint32(0))
    tags = np.append(decided.list_tag, np.uint64(decided.default_tag))
    for kind, name in names.items():
        found = pairs.tables[kind]
        number, tag = numbers[found.list_of], np.where(numbers[found.list_of] == 0, tags[found.list_of], 0)
        behind, behind_tag = (
            numbers[found.behind],
            np.where(numbers[found.behind] == 0, tags[found.behind], 0),
        )
        needed = (number != behind) | (tag != behind_tag)
        number, tag = number[needed], tag[needed].astype(np.uint64)
        direct = number == 0
        way = np.full(len(number), _INTO_SERVICE, np.uint32)
        way[direct] = _way_of(tag[direct], decided)
        source, target = universe.numbers[found.source[needed]], universe.numbers[found.target[needed]]
        columns = ly.SHAPES[name].columns
        made[name] = table(
            name,
            capacity,
            ly.rows(len(number), {columns[0]: source, columns[1]: target}),
            args=ly.rows(len(number), {ly.SERVICES: number}),
            fwds=(*_WAYS, ly.to("service")),
            fwd_of_row=way,
            tags=tag,
            ordered=True,
        )
    return made


def _services(decided: vd.Decided, capacity: Capacity) -> dict[str, Table]:
    kind, protocol = decided.row_atom >> 32, decided.row_atom >> 16 & 0xFF
    low = decided.row_atom & 0xFFFF
    icmp = (protocol == Protocol.ICMP) | (protocol == Protocol.ICMP6)
    l4 = np.zeros(256, np.int64)
    for one, code in _L4.items():
        l4[one] = code
    l3 = np.where(protocol == Protocol.ICMP6, L3Meta.IPV6, L3Meta.IPV4)
    single = kind == vd.KIND_SINGLE
    ways = _way_of(decided.row_tag, decided)

    def chosen(name: str, which: NDArray[np.bool_], columns: Mapping[str, Any]) -> Table:
        number = int(which.sum())
        keys = ly.rows(
            number, {ly.SERVICES: decided.row_list[which]} | {n: c[which] for n, c in columns.items()}
        )
        return table(name, capacity, keys, fwds=_WAYS, fwd_of_row=ways[which], tags=decided.row_tag[which])

    default = decided.default_tag
    range_class = protocol << 16 | low
    return {
        "service": chosen("service", single & ~icmp, {ly.L4_TYPE: l4[protocol], ly.DST_PORT: low}),
        "icmp": chosen("icmp", single & icmp, {ly.L3_TYPE: l3, ly.L4_TYPE: l4[protocol], ly.ICMP_TYPE: low}),
        "range": chosen("range", kind == vd.KIND_RANGE, {ly.RANGE: range_class}),
        "list": chosen("list", kind == 0, {}),
        "ports": _ports(decided, capacity),
        "default": table(
            "default", capacity, np.zeros(1, np.dtype([])), fwds=(_WAYS[_WAY[decided.verdicts[default].action]],),
            tags=np.array([default], np.uint64),
        ),
    }  # fmt: skip


def _ports(decided: vd.Decided, capacity: Capacity) -> Table:
    """Range classes: they do not overlap, so their order does not matter."""
    number = len(decided.ranges)
    protocols = np.array([p for p, _, _ in decided.ranges], np.int64)
    low = np.array([n for _, n, _ in decided.ranges], np.int64)
    high = np.array([n for _, _, n in decided.ranges], np.int64)
    is4, is6 = protocols == Protocol.ICMP, protocols == Protocol.ICMP6
    l4 = np.array([_L4[p] for p, _, _ in decided.ranges], np.int64)
    keys = ly.rows(number, {
        ly.L3_TYPE: np.where(is4, L3Meta.IPV4, np.where(is6, L3Meta.IPV6, 0)),
        ly.L4_TYPE: l4,
        ly.DST_PORT: np.where(is4 | is6, 0, low),
    })  # fmt: skip
    masks = ly.rows(number, {
        ly.L3_TYPE: np.where(is4 | is6, 0xFF, 0),
        ly.L4_TYPE: 0xFF,
        ly.DST_PORT: np.where(is4 | is6, 0, high),
    })  # fmt: skip
    args = ly.rows(number, {ly.RANGE: protocols << 16 | low})
    return table("ports", capacity, keys, masks=masks, args=args, priorities=np.zeros(number, np.uint32))


def _reached(decided: vd.Decided, tables: Sequence[Table]) -> dict[int, Any]:
    """The verdicts that some row gives."""
    used: set[int] = set()
    for one in tables:
        used.update(np.unique(one.tags).tolist())
    return {tag: decided.verdicts[tag] for tag in sorted(used) if tag}


def _sizes(
    policy: PolicySet, inventory: Inventory, universe: Universe, pairs: Pairs, decided: vd.Decided,
    tables: Sequence[Table],
) -> Sizes:  # fmt: skip
    rows = {one.name: len(one) for one in tables}
    return Sizes(
        workloads=len(inventory.workloads),
        bases=len(universe.bases),
        rules=len(policy.rules) + len(policy.keep) + len(policy.side_policies),
        pairs_before=pairs.identity_pairs,
        pairs=sum(rows[ly.PREFIX + name] for name in ("pair", "pair_wn", "pair_nw", "pair_ww")),
        source_classes=len(pairs.source.narrow),
        target_classes=len(pairs.target.narrow),
        service_lists=len(np.unique(decided.list_number)),
        rows=rows,
    )


__all__ = ["BUDGET", "DEFAULT_OPTIONS", "ROOM", "Options", "compile", "relevant"]
