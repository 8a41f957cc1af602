# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The program as the fast path tells of it, against the one that it was given: a digest of each.

Of every table: that its pipe is there, what it was built from, how many rows it holds, where misses go. Rows can be
read one by one only when a session is taken over (``Reconciler.adopt`` does it), so a row that was exchanged for
another is not seen here.
"""

from __future__ import annotations

import hashlib
import json

from appliance.errors import FlowError
from appliance.flow import Dpu
from appliance.flow.types import PipeType
from appliance.policy.program import Program
from appliance.policy.reconciler import Reconciler
from appliance.policy.reconciler.rows import miss_text, translated


def digests(reconciler: Reconciler, dpu: Dpu, program: Program) -> tuple[bytes, bytes]:
    """SHA-256 over all tables: as the program has them, and as the fast path does."""
    names = reconciler.pipes
    port = next(iter(dpu.ports.values()))
    expected: list[object] = []
    found: list[object] = []
    for table in program.tables:
        pipe = port.pipes.get(names.get(table.name, ""))
        if pipe is None:
            expected.append(table.name)
            continue
        miss = miss_text(translated(table.spec, names).fwd_miss, port)
        counted = table.spec.type is not PipeType.CT  # of a CT pipe it would be connections
        expected.append([table.name, pipe.name, pipe.spec.label, miss, len(table) if counted else 0])
        try:
            info = pipe.info()
        except FlowError as error:
            found.append([table.name, error.reason])
            continue
        found.append([table.name, info.name, info.label, info.fwd_miss_text, info.used if counted else 0])
    return _digest(expected), _digest(found)


def _digest(value: object) -> bytes:
    return hashlib.sha256(json.dumps(value).encode()).digest()
