# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""States of workloads in a compiled program: the identity numbers of their addresses, and nothing else.

All four states of every identity are compiled ahead, so that a quarantine is another number in a few rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.policy.model import State
from appliance.policy.program import U32_ZONE, Program, Table, base_of, identity_number, state_of

_TABLES: Final = {
    4: (("seg/src4", "outer.ipv4.src_ip"), ("seg/dst4", "outer.ipv4.dst_ip")),
    6: (("seg/src6", "outer.ipv6.src_ip"), ("seg/dst6", "outer.ipv6.dst_ip")),
}
_ZONE: Final = f"meta.u32[{U32_ZONE}]"

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
    bindings = list(program.bindings)
    concerned: set[int] = set()
    tables: dict[str, Table] = {}
    rows: dict[str, list[NDArray[np.int64]]] = {}
    for workload, state in states.items():
        for index in at.get(workload, ()):
            binding = bindings[index]
            if state is state_of(binding.identity):
                continue
            number = identity_number(base_of(binding.identity), state)
            concerned.add(binding.identity)
            bindings[index] = replace(binding, identity=number)
            address = ip_address(binding.address)
            for name, column in _TABLES[address.version]:
                table = tables.get(name)
                if table is None:
                    table = program.table(name)
                    table = tables[name] = replace(
                        table, args=None if table.args is None else table.args.copy()
                    )
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
    return np.flatnonzero(same & (keys[_ZONE] == zone)).astype(np.int64)
