# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Records as plain values: one dict each with the public columns, made column by column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

import numpy as np

from appliance.telemetry import schema
from appliance.telemetry.names import RESERVED, STATES, Identity, Names, Workload
from appliance.telemetry.store import Rows

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


def _side(rows: Rows, side: str) -> dict[str, list[Any]]:
    names = rows.names
    codes = rows[f"{side}_workload"].tolist()
    behind = rows[f"{side}_labels"].tolist()
    pairs = set(zip(behind, codes, strict=True))
    labels = {pair: label_list(names.identities[pair[0]], names.workloads[pair[1]]) for pair in pairs}
    kinds = {pair: names.identities[pair[0]].kind or names.workloads[pair[1]].kind for pair in pairs}
    identities = rows[f"{side}_identity"].tolist()
    return {
        f"{side}_ip": _addresses(rows, f"{side}_ip"),
        f"{side}_mac": _macs(rows, f"{side}_mac"),
        f"{side}_port": rows[f"{side}_port"].tolist(),
        f"{side}_identity": identities,
        f"{side}_state": [STATES[number & 3] for number in identities],
        f"{side}_labels": [labels[pair] for pair in zip(behind, codes, strict=True)],
        f"{side}_kind": [kinds[pair] for pair in zip(behind, codes, strict=True)],
        f"{side}_workload": [names.workloads[code].name for code in codes],
    }


def _judged(rows: Rows) -> dict[str, list[Any]]:
    verdicts = [rows.names.verdicts[code] for code in rows["judged"].tolist()]
    return {
        "band": [one.band for one in verdicts],
        "rule": [one.rule for one in verdicts],
        "rule_id": [one.rule_id for one in verdicts],
        "peer_rule": [one.peer_rule for one in verdicts],
        "audit_verdict": [one.audit_verdict for one in verdicts],
        "audit_rule": [one.audit_rule for one in verdicts],
    }


def columns(rows: Rows) -> Mapping[str, list[Any]]:
    """Every public column as a list."""
    names: Names = rows.names

    def words(column: str, table: Sequence[str]) -> list[str]:
        return list(map(_words(table), rows[column].tolist()))

    def pair(column: str, who: int) -> list[int]:
        found: list[int] = rows[column][:, who].tolist()
        return found

    def ports(column: str) -> list[str]:
        numbers = rows[column].tolist()
        known = {number: names.port(number) for number in set(numbers)}
        return [known[number] for number in numbers]

    zones = rows["zone"].tolist()
    networks = {zone: names.network(zone) for zone in set(zones)}
    found: dict[str, list[Any]] = {
        "record": rows.records.tolist(),
        "appliance": [rows.appliance] * len(rows),
        "flow": rows["id"].tolist(),
        "event": words("event", schema.EVENTS),
        "verdict": words("verdict", schema.VERDICTS),
        "reason": words("drop", schema.reasons()),
        "reporter": words("reporter", schema.REPORTERS),
        "direction": words("direction", schema.DIRECTIONS),
        "in_port": ports("in_port"),
        "out_port": ports("out_port"),
        "network": [networks[zone].name for zone in zones],
        "vni": [networks[zone].vni for zone in zones],
        "vlan": (rows["vlan"] & np.uint16(0xFFF)).tolist(),
        "protocol": [schema.PROTOCOLS.get(number, str(number)) for number in rows["protocol"].tolist()],
        "initiator_packets": pair("packets", 0),
        "responder_packets": pair("packets", 1),
        "initiator_bytes": pair("bytes", 0),
        "responder_bytes": pair("bytes", 1),
        "initiator_tcp_flags": [FLAGS[number] for number in pair("tcp_flags", 0)],
        "responder_tcp_flags": [FLAGS[number] for number in pair("tcp_flags", 1)],
        "tcp_state": words("tcp_state", schema.TCP_STATES),
        "create_reason": words("create", schema.CREATES),
        "close_reason": words("close", schema.CLOSES),
        **_side(rows, "src"),
        **_side(rows, "dst"),
        **_judged(rows),
    }
    return {
        column.name: found[column.name] if column.name in found else rows[column.name].tolist()
        for column in schema.COLUMNS
    }


def records(rows: Rows) -> list[dict[str, Any]]:
    """One dict a record, keys in the order of ``schema.COLUMNS``."""
    made = columns(rows)
    keys = list(made)
    return [dict(zip(keys, values, strict=True)) for values in zip(*made.values(), strict=True)]
