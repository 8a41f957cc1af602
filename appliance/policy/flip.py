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

from appliance.policy import layout as ly
from appliance.policy.model import State, Workload
from appliance.policy.program import Program, Table, base_of, identity_number, state_of

_TABLES: Final = {
    4: (("seg/src4", ly.SRC4), ("seg/dst4", ly.DST4)),
    6: (("seg/src6", ly.SRC6), ("seg/dst6", ly.DST6)),
}

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

    Speaks of workloads with addresses; those that are bound by prefixes need a compile.
    """
    numbers = {}
    for workload, state in states.items():
        for index in at.get(workload, ()):
            numbers[index] = identity_number(base_of(program.bindings[index].identity), state)
    return _renumbered(program, numbers)


def relabel(
    program: Program, at: Places, before: Sequence[Workload], after: Sequence[Workload]
) -> tuple[Program, Rows, frozenset[int]] | None:
    """The same for workloads that got other labels or another kind, one by one before and after.

    None when it takes a compile: more than that has changed, or the program knows no workload like it.
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


def _renumbered(program: Program, numbers: Mapping[int, int]) -> tuple[Program, Rows, frozenset[int]]:
    """Other identity numbers for bindings, by their index."""
    bindings = list(program.bindings)
    concerned: set[int] = set()
    tables: dict[str, Table] = {}
    rows: dict[str, list[NDArray[np.int64]]] = {}
    for index, number in numbers.items():
        binding = bindings[index]
        if number == binding.identity:
            continue
        concerned.add(binding.identity)
        bindings[index] = replace(binding, identity=number)
        address = ip_address(binding.address)
        for name, column in _TABLES[address.version]:
            table = tables.get(name)
            if table is None:
                table = program.table(name)
                table = tables[name] = replace(table, args=None if table.args is None else table.args.copy())
            found = _rows(table, binding.zone, address.packed, column)
            if table.args is not None and table.args.dtype.names:
                table.args[table.args.dtype.names[0]][found] = number
            rows.setdefault(name, []).append(found)
    if not concerned:
        return program, {}, frozenset()
    changed = tuple(tables.get(table.name, table) for table in program.tables)
    whole = {name: np.concatenate(parts) for name, parts in rows.items()}
    return replace(program, tables=changed, bindings=tuple(bindings)), whole, frozenset(concerned)


def _rows(table: Table, zone: int, address: bytes, column: str) -> NDArray[np.int64]:
    """The row of one address, of full length."""
    keys = table.keys
    if table.masks is None:
        return np.zeros(0, np.int64)
    if len(address) == 4:
        number = int.from_bytes(address, "big")
        same = (keys[column] == number) & (table.masks[column] == 0xFFFFFFFF)
    else:
        wanted = np.frombuffer(address, np.uint8)
        same = (keys[column] == wanted).all(axis=1) & (table.masks[column] == 0xFF).all(axis=1)
    return np.flatnonzero(same & (keys[ly.ZONE] == zone)).astype(np.int64)
