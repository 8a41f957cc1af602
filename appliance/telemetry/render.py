# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Records as plain values: one dict each with the public columns, made column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv6Address
from operator import attrgetter
from typing import Any, Final, TypeAlias

import numpy as np

from appliance.telemetry import schema
from appliance.telemetry.names import RESERVED, STATES, Identity, Names, Verdict, Workload
from appliance.telemetry.store import Rows

Maker: TypeAlias = Callable[[], list[Any]]
"""Makes a column when it is asked for."""
ALL: Final = tuple(column.name for column in schema.COLUMNS)
FLAGS: Final = tuple(
    ",".join(name for bit, name in enumerate(schema.TCP_FLAGS) if number >> bit & 1) for number in range(256)
)


@lru_cache(maxsize=1 << 16)
def address(raw: bytes, version: int) -> str:
    """An address of a record; empty when it has none."""
    if version == 4:
        return str(IPv4Address(raw[:4]))
    return str(IPv6Address(raw)) if version == 6 else ""


def _chunks(column: Any) -> list[bytes]:
    raw, size = np.ascontiguousarray(column).tobytes(), column.shape[1]
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def _addresses(rows: Rows, name: str) -> list[str]:
    return list(map(address, _chunks(rows[name]), rows["ip_version"].tolist()))


def _macs(rows: Rows, name: str) -> list[str]:
    return [raw.hex(":") for raw in _chunks(rows[name])]


def _words(words: Sequence[str]) -> Callable[[int], str]:
    return lambda number: words[number] if number < len(words) else str(number)


def label_list(identity: Identity, workload: Workload) -> list[str]:
    """What stands behind an identity, else the workload's labels."""
    if identity.labels:
        return [f"{key}={value}" for key, value in identity.labels]
    if identity.name in RESERVED:
        return [f"reserved:{identity.name}"]
    if identity.name:
        return [identity.name]
    return [f"{key}={value}" for key, value in workload.labels]


def _side(rows: Rows, side: str) -> dict[str, Maker]:
    names = rows.names

    @cache
    def pairs() -> list[tuple[int, int]]:
        return list(zip(rows[f"{side}_labels"].tolist(), rows[f"{side}_workload"].tolist(), strict=True))

    def each(meaning: Callable[[Identity, Workload], Any]) -> list[Any]:
        known = {pair: meaning(names.identities[pair[0]], names.workloads[pair[1]]) for pair in set(pairs())}
        return [known[pair] for pair in pairs()]

    return {
        f"{side}_ip": lambda: _addresses(rows, f"{side}_ip"),
        f"{side}_mac": lambda: _macs(rows, f"{side}_mac"),
        f"{side}_state": lambda: [STATES[number & 3] for number in rows[f"{side}_identity"].tolist()],
        f"{side}_labels": lambda: each(label_list),
        f"{side}_kind": lambda: each(lambda identity, workload: identity.kind or workload.kind),
        f"{side}_workload": lambda: [
            names.workloads[code].name for code in rows[f"{side}_workload"].tolist()
        ],
    }


def _judged(rows: Rows) -> dict[str, Maker]:
    @cache
    def verdicts() -> list[Verdict]:
        known = rows.names.verdicts
        return [known[code] for code in rows["judged"].tolist()]

    def of(name: str) -> Maker:
        return lambda: list(map(attrgetter(name), verdicts()))

    return {
        name: of(name) for name in ("band", "rule", "rule_id", "peer_rule", "audit_verdict", "audit_rule")
    }


def _plain(rows: Rows) -> dict[str, Maker]:
    names: Names = rows.names

    def each(column: str, meaning: Callable[[int], Any]) -> Maker:
        def made() -> list[Any]:
            numbers = rows[column].tolist()
            known = {number: meaning(number) for number in set(numbers)}
            return list(map(known.__getitem__, numbers))

        return made

    def words(column: str, table: Sequence[str]) -> Maker:
        return each(column, _words(table))

    def pair(column: str, who: int) -> Maker:
        return lambda: rows[column][:, who].tolist()

    def flags(who: int) -> Maker:
        return lambda: [FLAGS[number] for number in rows["tcp_flags"][:, who].tolist()]

    return {
        "record": rows.records.tolist,
        "appliance": lambda: [rows.appliance] * len(rows),
        "flow": rows["id"].tolist,
        "event": words("event", schema.EVENTS),
        "verdict": words("verdict", schema.VERDICTS),
        "reason": words("drop", schema.reasons()),
        "reporter": words("reporter", schema.REPORTERS),
        "direction": words("direction", schema.DIRECTIONS),
        "in_port": each("in_port", names.port),
        "out_port": each("out_port", names.port),
        "network": each("zone", lambda zone: names.network(zone).name),
        "vni": each("zone", lambda zone: names.network(zone).vni),
        "vlan": (rows["vlan"] & np.uint16(0xFFF)).tolist,
        "protocol": each("protocol", lambda number: schema.PROTOCOLS.get(number, str(number))),
        "initiator_packets": pair("packets", 0),
        "responder_packets": pair("packets", 1),
        "initiator_bytes": pair("bytes", 0),
        "responder_bytes": pair("bytes", 1),
        "initiator_tcp_flags": flags(0),
        "responder_tcp_flags": flags(1),
        "tcp_state": words("tcp_state", schema.TCP_STATES),
        "create_reason": words("create", schema.CREATES),
        "close_reason": words("close", schema.CLOSES),
    }


def columns(rows: Rows, only: Iterable[str] = ALL) -> Mapping[str, list[Any]]:
    """Public columns as lists, in the order that is asked for."""
    makers = _plain(rows) | _side(rows, "src") | _side(rows, "dst") | _judged(rows)
    return {name: makers[name]() if name in makers else rows[name].tolist() for name in only}


def records(rows: Rows) -> list[dict[str, Any]]:
    """One dict a record, keys in the order of ``schema.COLUMNS``."""
    made = columns(rows)
    keys = list(made)
    return [dict(zip(keys, values, strict=True)) for values in zip(*made.values(), strict=True)]
