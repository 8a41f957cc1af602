# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The program as the fast path holds it, against the one that it was given: a digest of each.

It reads every row back, so that a difference is one of the data plane and not of this process's memory of it.
"""

from __future__ import annotations

import hashlib

import numpy as np

from appliance.flow import Dpu
from appliance.flow.rows import adopt_rows
from appliance.flow.types import PipeType
from appliance.policy.program import Program
from appliance.policy.reconciler import Reconciler
from appliance.policy.reconciler.rows import Rows, raw, rows_of


def digests(reconciler: Reconciler, dpu: Dpu, program: Program) -> tuple[bytes, bytes]:
    """SHA-256 over all tables' rows: as the program has them, and as the fast path does."""
    expected, found = hashlib.sha256(), hashlib.sha256()
    names = {table.name: reconciler.pipes.get(table.name, "") for table in program.tables}
    port = next(iter(dpu.ports.values()))
    for table in program.tables:
        pipe = port.pipes.get(names[table.name])
        for one in (expected, found):
            one.update(table.name.encode())
        if pipe is None:
            found.update(b"it is not there")
            continue
        if table.spec.type is PipeType.CT:
            continue
        expected.update(_digest(rows_of(table, pipe, names, port)))
        there = adopt_rows(pipe)
        masked = pipe.spec.type in (PipeType.LPM, PipeType.ACL)
        rows = Rows(
            there.keys, there.masks if masked else None,
            there.priorities if pipe.spec.type is PipeType.ACL else None,
            there.args if there.args.dtype.names else None, there.tags, there.fwds.astype("S48"),
        )  # fmt: skip
        found.update(_digest(rows))
    return expected.digest(), found.digest()


def _digest(rows: Rows) -> bytes:
    """In order of keys."""
    order = np.argsort(rows.ids, kind="stable")
    made = hashlib.sha256(rows.ids[order].tobytes())
    if rows.args is not None:
        made.update(raw(rows.args)[order].tobytes())
    made.update(rows.tags[order].tobytes())
    made.update(rows.fwds[order].tobytes())
    return made.digest()
