# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Records and maps as people read them: a line each, a Mermaid flowchart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from appliance.telemetry.edges import Edge

WITH_PORTS: Final = ("tcp", "udp", "sctp")
DENIED: Final = ("drop", "reject")


def clock(time_ns: int, *, date: bool = False) -> str:
    """Local time with milliseconds."""
    when = datetime.fromtimestamp(time_ns // 10**9)
    day = f"{when:%Y-%m-%d} " if date else ""
    return f"{day}{when:%H:%M:%S}.{time_ns % 10**9 // 10**6:03d}"


def octets(size: float) -> str:
    """1.2 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def endpoint(record: Mapping[str, Any], side: str) -> str:
    """``tool-1:443 (app=tool)``: a workload, else an address; the port of the target; labels and what is wrong."""
    address = record[f"{side}_ip"] or record[f"{side}_mac"]
    name = record[f"{side}_workload"] or (f"[{address}]" if side == "dst" and ":" in address else address)
    if side == "dst" and record["protocol"] in WITH_PORTS:
        name += f":{record['dst_port']}"
    words = list(record[f"{side}_labels"])
    if record[f"{side}_state"] != "normal":
        words.append(record[f"{side}_state"])
    return f"{name} ({','.join(words)})" if words else name


def service(record: Mapping[str, Any]) -> str:
    """``tcp``, ``icmp 8/0``."""
    protocol: str = record["protocol"]
    return (
        f"{protocol} {record['icmp_type']}/{record['icmp_code']}" if protocol.startswith("icmp") else protocol
    )


def provenance(record: Mapping[str, Any]) -> str:
    """``rule no-datasets [block] rev 3``."""
    if not record["band"]:
        return f"rev {record['revision']}" if record["revision"] else ""
    named = record["rule"] and record["rule"] != record["band"]  # the default has no other name
    rule = f"rule {record['rule']} [{record['band']}]" if named else f"[{record['band']}]"
    words = [rule, f"rev {record['revision']}"]
    if record["peer_rule"]:
        words.append(f"peer rule {record['peer_rule']}")
    if record["audit_verdict"]:
        words.append(f"audit: {record['audit_verdict']} by {record['audit_rule']}")
    return " ".join(words)


def amounts(record: Mapping[str, Any]) -> str:
    """What has passed, or been dropped, and why it ended."""
    event = record["event"]
    if event == "deny_update":
        return f"{record['frames']} more packets"
    if event not in ("update", "close"):
        return ""
    sent = f"{record['initiator_packets']}/{record['responder_packets']} packets"
    size = f"{octets(record['initiator_bytes'])}/{octets(record['responder_bytes'])}"
    return f"{sent} {size}" + (f" {record['close_reason']}" if record["close_reason"] else "")


def parts(record: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """A record's line in four: time and ends; event; verdict with reason; the rest."""
    ends = (
        f"{clock(record['time_ns'])} {endpoint(record, 'src')} -> {endpoint(record, 'dst')} {service(record)}"
    )
    verdict = " ".join(filter(None, (record["verdict"].upper(), record["reason"])))
    rest = "  ".join(filter(None, (amounts(record), provenance(record))))
    return ends, record["event"].replace("_", "-"), verdict, rest


def line(record: Mapping[str, Any]) -> str:
    """A record in one line."""
    return " ".join(part for part in parts(record) if part)


def edge_service(edge: Edge) -> str:
    """``tcp/443``, ``icmp``, ``*`` when services are not told apart."""
    if not edge.protocol:
        return "*"
    return f"{edge.protocol}/{edge.port}" if edge.protocol in WITH_PORTS else edge.protocol


def mermaid(edges: Iterable[Edge]) -> str:
    """The map as a flowchart: denied connections are dotted."""
    lines = ["flowchart LR"]
    ids: dict[str, str] = {}
    arrows: list[str] = []
    for edge in edges:
        ends = []
        for name in (edge.source, edge.destination):
            if name not in ids:
                ids[name] = f"n{len(ids)}"
                lines.append(f'    {ids[name]}["{_label(name)}"]')
            ends.append(ids[name])
        words = f"{edge_service(edge)} x{edge.connections}"
        if edge.verdict in DENIED:
            arrows.append(f'    {ends[0]} -. "{words} {edge.verdict}" .-> {ends[1]}')
        else:
            arrows.append(
                f'    {ends[0]} -- "{words}{" alert" if edge.verdict == "alert" else ""}" --> {ends[1]}'
            )
    return "\n".join([*lines, *arrows]) + "\n"


def _label(text: str) -> str:
    return re.sub(r'["`<>\n]', " ", text)


PLACES: Final[Mapping[str, str]] = {
    "worker": "inside the fast path",
    "ring": "between fast path and appliance",
    "store": "overwritten by newer ones in the store",
    "stream": "this reader was too slow",
}


def losses(lost: Mapping[str, int]) -> str:
    """``12 records lost (this reader was too slow)``; empty when none were."""
    told: Sequence[str] = [
        f"{count:,} records lost ({PLACES[place]})" for place, count in lost.items() if count
    ]
    return ", ".join(told)
