# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Changes of workloads in a compiled program that are other identity numbers for their addresses, and nothing else.

All four states of every identity are compiled ahead, so that a quarantine is another number in a few rows. So are
labels that some other workload had when the program was compiled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.flow.types import prefix_mask
from appliance.policy import layout as ly
from appliance.policy.identity import BITS
from appliance.policy.model import State, Workload
from appliance.policy.program import Program, Range, Table, base_of, identity_number, state_of

_TABLES: Final = {
    4: (("seg/src4", ly.SRC4), ("seg/dst4", ly.DST4)),
    6: (("seg/src6", ly.SRC6), ("seg/dst6", ly.DST6)),
}

NO_RANGES: Final[Mapping[Range, int]] = {}

Rows = dict[str, NDArray[np.int64]]
Places = Mapping[str, Sequence[int]]


def places(program: Program) -> dict[str, list[int]]:
    """Where in ``program.bindings`` each workload's are. It stays true of what ``flip`` makes of the program."""
    found: dict[str, list[int]] = {}
    for index, binding in enumerate(program.bindings):
        found.setdefault(binding.workload, []).append(index)
    return found


def flip(program: Program, at: Places, states: Mapping[str, State]) -> tuple[Program, Rows, frozenset[int]]:
    """The program with these workloads in these states; the rows that changed, by table; and the identities whose
    connections are concerned.
    """
    numbers = {}
    ranges = {}
    for workload, state in states.items():
        for index in at.get(workload, ()):
            numbers[index] = identity_number(base_of(program.bindings[index].identity), state)
        for where in program.ranges.get(workload, ()):
            ranges[where] = identity_number(base_of(number_at(program, where)), state)
    return _renumbered(program, numbers, ranges)


def relabel(
    program: Program, at: Places, before: Sequence[Workload], after: Sequence[Workload]
) -> tuple[Program, Rows, frozenset[int]] | None:
    """The same for workloads that got other labels or another kind, one by one before and after.

    None when it takes a compile: more than that has changed, the program knows no workload like it, or it is bound by
    prefixes.
    """
    known = {
        (*_security(one.labels, one.kind), one.name, one.origin, one.cidrs): base
        for base, one in program.identities.items()
        if not one.entity
    }
    numbers = {}
    for old, new in zip(before, after, strict=True):
        if replace(old, labels=new.labels, kind=new.kind) != new or any(
            one.prefixes for one in new.interfaces
        ):
            return None
        for index in at.get(new.name, ()):
            number = program.bindings[index].identity
            was = program.identities[base_of(number)]
            base = known.get((*_security(new.labels, new.kind), was.name, was.origin, was.cidrs))
            if base is None:
                return None
            numbers[index] = identity_number(base, state_of(number))
    return _renumbered(program, numbers)


def _security(labels: Mapping[str, str], kind: str) -> tuple[tuple[tuple[str, str], ...], str]:
    return tuple(sorted(labels.items())), kind


def _renumbered(
    program: Program, numbers: Mapping[int, int], ranges: Mapping[Range, int] = NO_RANGES
) -> tuple[Program, Rows, frozenset[int]]:
    """Other identity numbers for bindings, by their index, and for prefixes."""
    bindings = list(program.bindings)
    changes = [(where, number_at(program, where), number) for where, number in ranges.items()]
    for index, number in numbers.items():
        binding = bindings[index]
        bindings[index] = replace(binding, identity=number)
        address = ip_address(binding.address)
        where = Range(binding.zone, address.version, int(address), address.max_prefixlen)
        changes.append((where, binding.identity, number))
    concerned: set[int] = set()
    tables: dict[str, Table] = {}
    rows: dict[str, list[NDArray[np.int64]]] = {}
    for where, old, number in changes:
        if number == old:
            continue
        concerned.add(old)
        for name, column in _TABLES[where.version]:
            table = tables.get(name)
            if table is None:
                table = program.table(name)
                table = tables[name] = replace(table, args=None if table.args is None else table.args.copy())
            found = _rows(table, where, column)
            if table.args is not None and table.args.dtype.names:
                table.args[table.args.dtype.names[0]][found] = number
            rows.setdefault(name, []).append(found)
    if not concerned:
        return program, {}, frozenset()
    changed = tuple(tables.get(table.name, table) for table in program.tables)
    whole = {name: np.concatenate(parts) for name, parts in rows.items()}
    return replace(program, tables=changed, bindings=tuple(bindings)), whole, frozenset(concerned)


def number_at(program: Program, where: Range) -> int:
    """The identity number of a prefix."""
    name, column = _TABLES[where.version][0]
    table = program.table(name)
    return int(table.arg(ly.SOURCE)[_rows(table, where, column)[0]])


def _rows(table: Table, where: Range, column: str) -> NDArray[np.int64]:
    """The row of a prefix."""
    if table.masks is None:
        return np.zeros(0, np.int64)
    keys, masks = table.keys[column], table.masks[column]
    mask = prefix_mask(where.length, BITS[where.version])
    if where.version == 4:
        same = (keys == where.address) & (masks == mask)
    else:
        key, bits = (np.frombuffer(number.to_bytes(16, "big"), np.uint8) for number in (where.address, mask))
        same = (keys == key).all(axis=1) & (masks == bits).all(axis=1)
    return np.flatnonzero(same & (table.keys[ly.ZONE] == where.zone)).astype(np.int64)
