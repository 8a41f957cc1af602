# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The map: who talks to whom, summed up from records. Each connection counts once, as its newest record has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from appliance.errors import InvalidValue
from appliance.telemetry import schema
from appliance.telemetry.names import Identity, Workload, mix
from appliance.telemetry.render import label_list
from appliance.telemetry.store import Rows

GROUPINGS: Final = ("workload", "kind", "identity", "label:KEY")
NOBODY: Final = "unknown"
_NEEDED: Final = (
    "id", "boot", "src_workload", "dst_workload", "src_labels", "dst_labels", "protocol", "dst_port", "verdict",
    "packets", "bytes", "first_ns", "last_ns", "src_identity", "dst_identity",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edge:
    """Connections of one opener with one target over one service that ended with one verdict. ``port`` 0 and an empty
    ``protocol`` when services are not told apart. Counts are of the connections' whole lives.
    """

    source: str
    destination: str
    protocol: str
    port: int
    verdict: str
    connections: int
    initiator_packets: int
    initiator_bytes: int
    responder_packets: int
    responder_bytes: int
    first_ns: int
    last_ns: int

    @property
    def denied(self) -> bool:
        """Whether nothing of it passes any more."""
        return self.verdict in ("drop", "reject")


@dataclass(frozen=True, slots=True)
class FlowMap:
    """Edges, those with most connections first, and how many there are in all."""

    edges: tuple[Edge, ...]
    total: int
    connections: int


def _namer(by: str) -> Callable[[Identity, Workload], str]:
    def named(identity: Identity, workload: Workload) -> str:
        return identity.name or workload.name or ",".join(label_list(identity, workload)) or NOBODY

    if by == "workload":
        return lambda identity, workload: workload.name or named(identity, workload)
    if by == "kind":
        return lambda identity, workload: identity.kind or workload.kind or identity.name or NOBODY
    if by == "identity":
        return lambda identity, workload: ",".join(label_list(identity, workload)) or NOBODY
    key = by.removeprefix("label:")
    if not key or key == by:
        raise InvalidValue(f"{by!r} is no grouping: one of {', '.join(GROUPINGS)}")

    def by_label(identity: Identity, workload: Workload) -> str:
        pairs = {**dict(workload.labels), **dict(identity.labels)}
        return pairs.get(key) or identity.name or NOBODY

    return by_label


def _ends(
    rows: Rows, side: str, namer: Callable[[Identity, Workload], str]
) -> tuple[list[str], NDArray[np.int64]]:
    """Names of one side, and for each record which of them."""
    pairs = rows[f"{side}_labels"].astype(np.int64) << 32 | rows[f"{side}_workload"]
    unique, which = np.unique(pairs, return_inverse=True)
    names = rows.names
    texts = [
        namer(names.identities[int(pair) >> 32], names.workloads[int(pair) & 0xFFFFFFFF])
        for pair in unique.tolist()
    ]
    distinct = sorted(set(texts))
    number = {text: at for at, text in enumerate(distinct)}
    return distinct, np.array([number[text] for text in texts], np.int64)[which]


def newest(pieces: Iterable[Rows]) -> Rows | None:
    """The newest record of each connection, from pieces in order; only the columns that a map needs."""
    kept = [piece for piece in pieces if len(piece)]
    if not kept:
        return None
    first = kept[0]
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([piece[name] for piece in kept]) for name in _NEEDED
    }
    rows = Rows(first.names, first.appliance, np.concatenate([piece.records for piece in kept]), columns)
    keys = mix(rows["id"], rows["boot"].astype(np.uint64), np.zeros(len(rows), np.uint64))
    unique, last = np.unique(keys[::-1], return_index=True)
    del unique
    return rows.take(np.sort(len(rows) - 1 - last))


def flow_map(
    pieces: Iterable[Rows], by: str = "workload", *, services: bool = True, limit: int = 1000
) -> FlowMap:
    """The map of what is in the pieces. ``by``: one of ``GROUPINGS``; ``services`` False adds all ports up."""
    namer = _namer(by)
    rows = newest(pieces)
    if rows is None:
        return FlowMap((), 0, 0)
    sources, source = _ends(rows, "src", namer)
    destinations, destination = _ends(rows, "dst", namer)
    ends = source << 32 | destination
    service = np.zeros(len(rows), np.int64)
    if services:
        service = rows["protocol"].astype(np.int64) << 16 | rows["dst_port"]
    what = service << 8 | rows["verdict"]
    order = np.lexsort((what, ends))
    ends, what = ends[order], what[order]
    starts = np.flatnonzero(np.append(True, (ends[1:] != ends[:-1]) | (what[1:] != what[:-1])))
    counts = np.diff(np.append(starts, len(ends)))

    def summed(column: str, who: int) -> Sequence[int]:
        found: list[int] = np.add.reduceat(rows[column][order, who], starts).tolist()
        return found

    first = np.minimum.reduceat(rows["first_ns"][order], starts).tolist()
    last = np.maximum.reduceat(rows["last_ns"][order], starts).tolist()
    sent, sent_bytes, back, back_bytes = (
        summed(unit, who) for who in (0, 1) for unit in ("packets", "bytes")
    )
    best = np.argsort(-counts, kind="stable")[:limit]
    edges = []
    for at in best.tolist():
        pair, kind = int(ends[starts[at]]), int(what[starts[at]])
        protocol, port = kind >> 24, kind >> 8 & 0xFFFF
        edges.append(
            Edge(
                source=sources[pair >> 32],
                destination=destinations[pair & 0xFFFFFFFF],
                protocol=schema.PROTOCOLS.get(protocol, str(protocol)) if services else "",
                port=port,
                verdict=schema.VERDICTS[kind & 0xFF],
                connections=int(counts[at]),
                initiator_packets=sent[at],
                initiator_bytes=sent_bytes[at],
                responder_packets=back[at],
                responder_bytes=back_bytes[at],
                first_ns=first[at],
                last_ns=last[at],
            )
        )
    return FlowMap(tuple(edges), len(starts), len(rows))
