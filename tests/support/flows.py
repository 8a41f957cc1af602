# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Synthetic flow records, in the fast path's own form, and a book of names to go with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.flow.types import FLOW_RECORD, FlowClose, FlowEvent
from appliance.telemetry import Binding, Identity, NameBook, Network, Verdict, Workload, labels

ZONE = 7
AGENT, TOOL, DATASET, REMOTE = 16, 17, 18, 19
"""Identity bases."""
ALLOWED, DENIED, REJECTED, QUARANTINED, ALERTED, DEFAULT, RESTRICTED = range(1, 8)
"""Tags."""
POLICY_DROP = 24  # enum steer_drop

WORKLOADS: Mapping[str, tuple[str, dict[str, str], str, bool]] = {
    "agent-1": ("agent", {"app": "agent", "env": "prod"}, "10.0.0.1", True),
    "tool-1": ("tool", {"app": "tool", "env": "prod"}, "10.0.0.2", True),
    "dataset-1": ("dataset", {"app": "data", "env": "dev"}, "fd00::3", True),
    "far-1": ("inference", {"app": "far"}, "10.0.0.4", False),
}


def book() -> NameBook:
    """Workloads, identities, rules, ports."""
    made = NameBook()
    for name, (kind, pairs, address, local) in WORKLOADS.items():
        made.set_workload(Workload(name, kind, labels(pairs), local), [Binding.of(ZONE, address)])
    made.set_identities(
        {
            AGENT: Identity(labels({"app": "agent", "env": "prod"}), "agent"),
            TOOL: Identity(labels({"app": "tool", "env": "prod"}), "tool"),
            DATASET: Identity(labels({"app": "data"}), "dataset"),
            REMOTE: Identity(name="cidr:partners"),
        }
    )
    made.set_verdicts(
        {
            ALLOWED: Verdict("allow", "allow", "agents-use-tools", "r1"),
            DENIED: Verdict("drop", "block", "no-datasets", "r2", audit_verdict="allow", audit_rule="maybe"),
            REJECTED: Verdict("reject", "override-block", "no-telnet", "r3", peer_rule="other-side"),
            QUARANTINED: Verdict("drop", "system", "quarantine", "s1"),
            ALERTED: Verdict("alert", "alert", "look-at-it", "r4"),
            DEFAULT: Verdict("drop", "default"),
            RESTRICTED: Verdict("drop", "system", "restrict", "s2"),
        }
    )
    made.set_ports({0: "p0", 1: "pf0vf0", 2: "pf0vf1"})
    made.set_networks({ZONE: Network("prod", 4711)})
    return made


def row(**given: Any) -> dict[str, Any]:
    """One record's members: an open TCP connection of agent-1 to tool-1, or what is said instead."""
    defaults: dict[str, Any] = {
        "id": 1 << 56 | 9,
        "first_ns": 1_700_000_000_000_000_000,
        "last_ns": 1_700_000_000_100_000_000,
        "packets": (1, 0),
        "bytes": (74, 0),
        "tag": ALLOWED,
        "revision": 3,
        "src_ip": "10.0.0.1",
        "dst_ip": "10.0.0.2",
        "zone": ZONE,
        "src_identity": AGENT << 2,
        "dst_identity": TOOL << 2,
        "src_port": 40000,
        "dst_port": 443,
        "src_mac": bytes.fromhex("020000000001"),
        "dst_mac": bytes.fromhex("020000000002"),
        "in_port": 1,
        "out_port": 2,
        "protocol": 6,
        "tcp_flags": (2, 0),
        "tcp_state": 1,
        "event": FlowEvent.OPEN,
        "create": 1,
        "boot": 5,
    }
    members = {**defaults, **given}
    if members["event"] >= FlowEvent.DENY:
        members = {**members, "out_port": 0xFFFF, "create": 0, "drop": given.get("drop", POLICY_DROP)}
    return members


def batch(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.void]:
    """Records in bulk form from their members."""
    made = np.zeros(len(rows), FLOW_RECORD)
    for at, members in enumerate(rows):
        for name, value in members.items():
            if name in ("src_ip", "dst_ip") and isinstance(value, str):
                address = ip_address(value)
                made[name][at] = np.frombuffer(address.packed.ljust(16, b"\0"), np.uint8)
                made["ip_version"][at] = address.version
            elif isinstance(value, bytes):
                made[name][at] = np.frombuffer(value, np.uint8)
            else:
                made[name][at] = value
    return made


def rows(count: int, **given: Any) -> NDArray[np.void]:
    """Many records of the same kind, with ids from 1."""
    made = np.repeat(batch([row(**given)]), count)
    made["id"] = np.arange(1, count + 1)
    return made


def closed(reason: FlowClose, **given: Any) -> dict[str, Any]:
    """The last record of a connection."""
    return row(event=FlowEvent.CLOSE, close=reason, tcp_state=8, packets=(5, 4), bytes=(500, 400), **given)
